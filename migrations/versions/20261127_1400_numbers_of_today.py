"""The start page finds talks that are booked, and counts follow-ups, without reading what is over and the files themselves."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1400'
down_revision = '20261127_0900'

BOOKED = sa.text("state = 'booked'")


def upgrade() -> None:
    op.create_index(
        'ix_talk_booked', 'talk', ['adviser_id', 'starts_at'], postgresql_where=BOOKED, sqlite_where=BOOKED
    )
    op.create_index(
        'ix_case_restricted',
        'case_file',
        ['id', 'owner_id'],
        postgresql_where=sa.text('restricted IS true'),
        sqlite_where=sa.text('restricted IS 1'),
    )


def downgrade() -> None:
    op.drop_index('ix_case_restricted', 'case_file')
    op.drop_index('ix_talk_booked', 'talk')
