"""A body has people: one receives each referral, others are told of what waits, each by a link of their own."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0200'
down_revision = '20261128_0100'

MAIN = 'fk_body_main_id_body_person'


def upgrade() -> None:
    op.create_table(
        'body_person',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('body_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(120), nullable=False),
        sa.Column('title', sa.String(120), nullable=False),
        sa.Column('email', sa.String(254), nullable=False),
        sa.Column('phone', sa.String(20), nullable=False),
        sa.Column('phone_extension', sa.String(10), nullable=False),
        sa.Column('language', sa.String(2), nullable=False),
        sa.Column('receives', sa.Boolean(), nullable=False),
        sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_body_person_body_id_body')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_body_person')),
    )
    op.create_index('ix_body_person_body', 'body_person', ['body_id'])
    if on_sqlite():
        op.execute(f'ALTER TABLE body ADD COLUMN main_id INTEGER CONSTRAINT {MAIN} REFERENCES body_person (id)')
    else:
        op.add_column('body', sa.Column('main_id', sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(MAIN), 'body', 'body_person', ['main_id'], ['id'])
    op.execute(
        "INSERT INTO body_person (body_id, name, title, email, phone, phone_extension, language, receives, version) "
        "SELECT id, contact_name, '', contact_email, '', '', contact_language, true, 1 FROM body WHERE contact_email <> '' ORDER BY id"
    )
    op.execute('UPDATE body SET main_id = (SELECT body_person.id FROM body_person WHERE body_person.body_id = body.id)')
    # The link to all that waits for a body was of whoever received what it is sent: it is theirs now. One of nobody's opens nothing any more.
    op.execute("UPDATE link SET revoked_at = CURRENT_TIMESTAMP WHERE purpose = 'body' AND revoked_at IS NULL AND object_id NOT IN "
               "(SELECT id FROM body WHERE main_id IS NOT NULL)")
    op.execute("UPDATE link SET object_id = (SELECT main_id FROM body WHERE body.id = link.object_id) WHERE purpose = 'body' AND object_id IN "
               "(SELECT id FROM body WHERE main_id IS NOT NULL)")
    for name in ('contact_name', 'contact_email', 'contact_language'):
        op.drop_column('body', name)


def downgrade() -> None:
    for name, size, default in (('contact_name', 120, ''), ('contact_email', 254, ''), ('contact_language', 2, 'fr')):
        op.add_column('body', sa.Column(name, sa.String(size), nullable=False, server_default=default))
        op.execute(f"UPDATE body SET {name} = (SELECT {name[8:]} FROM body_person WHERE body_person.id = body.main_id) WHERE main_id IS NOT NULL")
    if not on_sqlite():  # which takes no default away without making the table anew
        for name in ('contact_name', 'contact_email', 'contact_language'):
            op.alter_column('body', name, server_default=None)
        op.drop_constraint(op.f(MAIN), 'body', type_='foreignkey')
    # Who is told beside the first has no link in the earlier state.
    op.execute("UPDATE link SET revoked_at = CURRENT_TIMESTAMP WHERE purpose = 'body' AND revoked_at IS NULL AND object_id NOT IN "
               "(SELECT main_id FROM body WHERE main_id IS NOT NULL)")
    op.execute("UPDATE link SET object_id = (SELECT body_id FROM body_person WHERE body_person.id = link.object_id) WHERE purpose = 'body' "
               "AND object_id IN (SELECT id FROM body_person)")
    op.drop_column('body', 'main_id')
    op.drop_table('body_person')


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'
