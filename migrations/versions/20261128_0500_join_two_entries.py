"""Two entries of the directory that are one body become one; the one that is gone says which took its place."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0500'
down_revision = '20261128_0400'

JOINED = 'fk_body_joined_to_id_body'


def upgrade() -> None:
    if on_sqlite():
        op.execute(f'ALTER TABLE body ADD COLUMN joined_to_id INTEGER CONSTRAINT {JOINED} REFERENCES body (id)')
    else:
        op.add_column('body', sa.Column('joined_to_id', sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(JOINED), 'body', 'body', ['joined_to_id'], ['id'])


def downgrade() -> None:
    if not on_sqlite():
        op.drop_constraint(op.f(JOINED), 'body', type_='foreignkey')
    op.drop_column('body', 'joined_to_id')


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'
