"""A person who stays silent is written to once for each thing that waits for them."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_2000'
down_revision = '20261127_1900'

SILENT = sa.text("state = 'todo' AND waiting_on = 'person' AND nudged_on IS NULL")


def upgrade() -> None:
    op.add_column('follow_up', sa.Column('nudged_on', sa.Date(), nullable=True))
    op.create_index('ix_follow_up_silent', 'follow_up', ['due_on'], postgresql_where=SILENT, sqlite_where=SILENT)


def downgrade() -> None:
    op.drop_index('ix_follow_up_silent', 'follow_up')
    op.drop_column('follow_up', 'nudged_on')
