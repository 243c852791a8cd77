"""Numbers of the queue's lists without reading its files: their indexes also hold what tells whether somebody may see one."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_0900'
down_revision = '20261126_1300'

OPEN = sa.text("stage <> 'closed'")
OWED = sa.text("first_reply_at IS NULL AND stage IN ('new', 'contact')")
# Name, what it was, which files are in it.
WIDER = (
    ('ix_case_step', ['next_step_on', 'id'], OPEN),
    ('ix_case_turn', ['turn', 'turn_since', 'id'], OPEN),
    ('ix_case_owed', ['reply_due_on', 'id'], OWED),
    ('ix_case_open', ['received_at', 'id'], OPEN),
    ('ix_case_owner_turn', ['owner_id', 'turn', 'turn_since', 'id'], OPEN),
    ('ix_case_owner_open', ['owner_id', 'received_at', 'id'], OPEN),
)
SEEN = ('owner_id', 'restricted', 'quarantined')


def upgrade() -> None:
    for name, columns, which in WIDER:
        op.drop_index(name, 'case_file')
        more = [one for one in SEEN if one not in columns]
        op.create_index(name, 'case_file', columns + more, postgresql_where=which, sqlite_where=which)


def downgrade() -> None:
    for name, columns, which in WIDER:
        op.drop_index(name, 'case_file')
        op.create_index(name, 'case_file', columns, postgresql_where=which, sqlite_where=which)
