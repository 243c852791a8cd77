"""Bodies are written to again when they are silent, each at its own interval, then it becomes a task."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = '20261127_1800'
down_revision = '20261127_1700'


def upgrade() -> None:
    op.add_column('body', sa.Column('answer_days', sa.Integer(), nullable=True))
    op.add_column('body', sa.Column('chase_days', sa.Integer(), nullable=False, server_default=sa.text('10')))
    op.add_column('body', sa.Column('chased_on', sa.Date(), nullable=True))
    op.add_column('referral', sa.Column('chases', sa.Integer(), nullable=False, server_default=sa.text('0')))
    # What has waited for months is left to people: no body gets a mail about years on the first morning.
    referral = sa.table('referral', sa.column('chases'), sa.column('sent_at', sa.DateTime(timezone=True)))
    op.execute(referral.update().where(referral.c.sent_at < datetime.now(UTC) - timedelta(days=60)).values(chases=3))


def downgrade() -> None:
    op.drop_column('referral', 'chases')
    for column in ('chased_on', 'chase_days', 'answer_days'):
        op.drop_column('body', column)
