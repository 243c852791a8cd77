"""Questions that wait for a person are few among all referrals: they are found by an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_2400'
down_revision = '20261127_2300'

ASKED = sa.text("status = 'consent_pending'")


def upgrade() -> None:
    op.create_index('ix_referral_asked', 'referral', ['asked_until'], postgresql_where=ASKED, sqlite_where=ASKED)


def downgrade() -> None:
    op.drop_index('ix_referral_asked', 'referral')
