"""The rows of a period are found by their days, not by reading all that ever was."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0900'
down_revision = '20261128_0800'

# Name, table, column, and of which rows.
INDEXES = (
    ('ix_exchange_happened', 'exchange', 'happened_at', None),
    ('ix_stage_spell_left', 'stage_spell', 'left_at', "stage <> 'closed'"),
    ('ix_follow_up_first_due', 'follow_up', 'first_due_on', None),
    ('ix_project_incorporated', 'project', 'incorporated_on', 'incorporated_on IS NOT NULL'),
    ('ix_project_launched', 'project', 'launched_on', 'launched_on IS NOT NULL'),
    ('ix_application_filed', 'application', 'filed_on', 'filed_on IS NOT NULL'),
    ('ix_application_decided', 'application', 'decided_on', 'decided_on IS NOT NULL'),
    ('ix_referral_replied', 'referral', 'answered_at', 'answered_at IS NOT NULL'),
)


def upgrade() -> None:
    for name, table, column, of in INDEXES:
        where = sa.text(of) if of else None
        op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for name, table, _column, _of in reversed(INDEXES):
        op.drop_index(name, table_name=table)
