"""People who agreed are asked what became of their project, six and twelve months after their file closed."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1900'
down_revision = '20261127_1800'

GOING = "('active', 'building', 'waiting', 'stopped')"
BEFORE = "'referral', 'resume', 'case', 'feed'"
AFTER = "'referral', 'resume', 'case', 'survey', 'feed'"


def upgrade() -> None:
    purposes_of_links(BEFORE, AFTER)
    op.create_table(
        'survey',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('occurrence', sa.String(40), nullable=False),
        sa.Column('case_id', sa.Integer(), nullable=False),
        sa.Column('months', sa.Integer(), nullable=False),
        sa.Column('asked_on', sa.Date(), nullable=False),
        sa.Column('reminded_on', sa.Date(), nullable=True),
        sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('going', sa.String(8), nullable=True),
        sa.Column('people', sa.Integer(), nullable=True),
        sa.Column('note', sa.Text(), nullable=False),
        sa.CheckConstraint(f'going IN {GOING}', name=op.f('ck_survey_going')),
        sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_survey_case_id_case_file')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_survey')),
        sa.UniqueConstraint('occurrence', name=op.f('uq_survey_occurrence')),
    )
    op.create_index('ix_survey_case', 'survey', ['case_id'])


def downgrade() -> None:
    op.drop_table('survey')
    op.execute("UPDATE message SET link_id = NULL WHERE link_id IN (SELECT id FROM link WHERE purpose = 'survey')")
    op.execute("DELETE FROM message WHERE kind LIKE 'surveys.%'")
    op.execute("DELETE FROM link WHERE purpose = 'survey'")
    purposes_of_links(AFTER, BEFORE)


def purposes_of_links(before: str, after: str) -> None:
    """Change which purposes a link may have."""
    name = op.f('ck_link_purpose')
    if op.get_bind().dialect.name != 'sqlite':
        op.drop_constraint(name, 'link', type_='check')
        op.create_check_constraint(name, 'link', f'purpose IN ({after})')
        return
    # The numbers given so far are kept: tokens are made from them, and none may be given twice.
    given = op.get_bind().scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'link'")) or 0
    with op.batch_alter_table('link', copy_from=link(before), recreate='always') as batch_op:
        batch_op.drop_constraint(name, type_='check')
        batch_op.create_check_constraint(name, f'purpose IN ({after})')
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'link'")
    op.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('link', {int(given)})")


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
