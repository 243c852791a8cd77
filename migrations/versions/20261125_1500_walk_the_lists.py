"""An index for each list that people name: by next step, by whose turn it is, by the reply that is owed."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1500'
down_revision = '20261125_1400'

OPEN = sa.text("stage <> 'closed'")
OWED = sa.text("first_reply_at IS NULL AND stage IN ('new', 'contact')")
INDEXES = (
    ('ix_case_step', ['next_step_on', 'id'], OPEN),
    ('ix_case_owner_step', ['owner_id', 'next_step_on', 'id'], OPEN),
    ('ix_case_waiting', ['turn_since', 'id'], OPEN),
    ('ix_case_turn', ['turn', 'turn_since', 'id'], OPEN),
    ('ix_case_owed', ['reply_due_on', 'id'], OWED),
)


def upgrade() -> None:
    for name, columns, where in INDEXES:
        op.create_index(name, 'case_file', columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for name, _columns, _where in reversed(INDEXES):
        op.drop_index(name, 'case_file')
