"""With a summary, what each body is told of its own answers is kept; those taken before have none."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_1100'
down_revision = '20261128_1000'


def upgrade() -> None:
    op.add_column('summary', sa.Column('bodies', sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column('summary', 'bodies')
