"""Messages that the team sends often, kept under a name."""

import sqlalchemy as sa
from alembic import op

revision = '20261126_1100'
down_revision = '20261126_1000'


def upgrade() -> None:
    op.create_table('message_template',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('fr', sa.Text(), nullable=False),
    sa.Column('en', sa.Text(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message_template')),
    sa.UniqueConstraint('name', name=op.f('uq_message_template_name'))
    )


def downgrade() -> None:
    op.drop_table('message_template')
