"""Bodies are written to again when they are silent, each at its own interval, then it becomes a task."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1800'
down_revision = '20261127_1700'


def upgrade() -> None:
    op.add_column('body', sa.Column('answer_days', sa.Integer(), nullable=True))
    op.add_column('body', sa.Column('chase_days', sa.Integer(), nullable=False, server_default=sa.text('10')))
    op.add_column('body', sa.Column('chased_on', sa.Date(), nullable=True))
    op.add_column('referral', sa.Column('chases', sa.Integer(), nullable=False, server_default=sa.text('0')))


def downgrade() -> None:
    op.drop_column('referral', 'chases')
    for column in ('chased_on', 'chase_days', 'answer_days'):
        op.drop_column('body', column)
