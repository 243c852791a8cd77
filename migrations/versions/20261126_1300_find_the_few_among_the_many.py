"""Indexes for what is few among many files: those closed lately, those in somebody's hands, and what people did that waits for us.

Those of a stage and of closed files also hold what tells whether somebody may see a file: they are counted without being read.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261126_1300'
down_revision = '20261126_1200'

CLOSED = sa.text('closed_at IS NOT NULL')
OPEN = sa.text("stage <> 'closed'")
THEY_WAIT = sa.text("state = 'todo' AND rule IN ('answered', 'answer_person', 'call_person', 'permission_back', 'confirm_correction')")


def upgrade() -> None:
    op.drop_index('ix_case_stage', 'case_file')
    op.create_index('ix_case_stage', 'case_file', ['stage', 'received_at', 'id', 'owner_id', 'restricted', 'quarantined'])
    op.create_index('ix_case_closed', 'case_file', ['closed_at', 'id', 'owner_id', 'restricted', 'quarantined'], postgresql_where=CLOSED, sqlite_where=CLOSED)
    op.create_index('ix_case_owner_turn', 'case_file', ['owner_id', 'turn', 'turn_since', 'id'], postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index('ix_follow_up_they_wait', 'follow_up', ['created_at', 'rule', 'case_id'], postgresql_where=THEY_WAIT, sqlite_where=THEY_WAIT)


def downgrade() -> None:
    op.drop_index('ix_follow_up_they_wait', 'follow_up', postgresql_where=THEY_WAIT, sqlite_where=THEY_WAIT)
    op.drop_index('ix_case_owner_turn', 'case_file', postgresql_where=OPEN, sqlite_where=OPEN)
    op.drop_index('ix_case_closed', 'case_file', postgresql_where=CLOSED, sqlite_where=CLOSED)
    op.drop_index('ix_case_stage', 'case_file')
    op.create_index('ix_case_stage', 'case_file', ['stage', 'received_at', 'id'])
