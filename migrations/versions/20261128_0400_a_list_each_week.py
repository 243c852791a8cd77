"""A body that something waits for is written to each week, not every two: those that had the earlier interval take the new one."""

from alembic import op

revision = '20261128_0400'
down_revision = '20261128_0300'


def upgrade() -> None:
    op.execute('UPDATE body SET chase_days = 5 WHERE chase_days = 10')


def downgrade() -> None:
    op.execute('UPDATE body SET chase_days = 10 WHERE chase_days = 5')
