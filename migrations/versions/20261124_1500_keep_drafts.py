"""Keep drafts of requests; ask the rest of the questions; record consents.

On SQLite a CHECK changes by making its table anew, which `crm.schema` allows for by checking foreign keys at the end.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261124_1500'
down_revision = '20261122_1200'

ASKED = {
    'contact': [('availability', sa.JSON(none_as_null=True), None)],
    'project': [
        ('neq', sa.String(10), sa.text("''")),
        ('team_size', sa.String(8), sa.text("''")),
        ('funding_band', sa.String(10), sa.text("''")),
        ('supports', sa.JSON(none_as_null=True), None),
        ('supports_other', sa.String(200), sa.text("''")),
    ],
    'case_file': [('heard', sa.String(10), sa.text("''")), ('quarantined', sa.Boolean(), sa.false())],
    'request': [('suspicions', sa.JSON(none_as_null=True), None)],
}


def upgrade() -> None:
    for table, columns in ASKED.items():
        for name, kind, empty in columns:
            op.add_column(table, sa.Column(name, kind, nullable=empty is None, server_default=empty))
    here = sa.text('quarantined')
    op.create_index('ix_case_quarantined', 'case_file', ['id'], postgresql_where=here, sqlite_where=here)
    purposes_of_links("'referral'", "'referral', 'resume'")
    op.create_table('draft',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=43), nullable=False),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('request_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['request_id'], ['request.id'], name=op.f('fk_draft_request_id_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_draft')),
    sa.UniqueConstraint('code_hash', name=op.f('uq_draft_code_hash')),
    sa.UniqueConstraint('key', name=op.f('uq_draft_key'))
    )
    op.create_index('ix_draft_saved', 'draft', ['saved_at'])
    op.create_table('arrangements',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_arrangements_case_id_case_file')),
    sa.PrimaryKeyConstraint('case_id', name=op.f('pk_arrangements'))
    )
    op.create_table('consent',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(10), nullable=False),
    sa.Column('text_version', sa.String(length=20), nullable=False),
    sa.Column('text_shown', sa.Text(), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('given_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("purpose IN ('newsletter', 'survey')", name=op.f('ck_consent_purpose')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_consent_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent'))
    )
    op.create_index('ix_consent_case', 'consent', ['case_id'])


def downgrade() -> None:
    op.drop_table('consent')
    op.drop_table('arrangements')
    op.drop_table('draft')
    op.execute("DELETE FROM message WHERE link_id IN (SELECT id FROM link WHERE purpose = 'resume')")
    op.execute("DELETE FROM link WHERE purpose = 'resume'")
    purposes_of_links("'referral', 'resume'", "'referral'")
    op.drop_index('ix_case_quarantined', 'case_file')
    for table, columns in reversed(ASKED.items()):
        for name, _kind, _empty in reversed(columns):
            op.drop_column(table, name)


def purposes_of_links(before: str, after: str) -> None:
    """Change which purposes a link may have."""
    name = op.f('ck_link_purpose')
    if op.get_bind().dialect.name != 'sqlite':
        op.drop_constraint(name, 'link', type_='check')
        op.create_check_constraint(name, 'link', f'purpose IN ({after})')
        return
    with op.batch_alter_table('link', copy_from=link(before), recreate='always') as batch_op:
        batch_op.drop_constraint(name, type_='check')
        batch_op.create_check_constraint(name, f'purpose IN ({after})')


def link(purposes: str) -> sa.Table:
    """The table of links before the change."""
    return sa.Table('link', sa.MetaData(),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(8), nullable=False),
    sa.Column('object_id', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint(f'purpose IN ({purposes})', name=op.f('ck_link_purpose')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link')),
    sa.Index('ix_link_object', 'purpose', 'object_id'),
    sqlite_autoincrement=True,
    )
