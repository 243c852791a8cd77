"""Sessions of the advisory committee: who was there, what was to be decided, what was decided and who follows it up."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0800'
down_revision = '20261128_0700'

OPEN = sa.text('owner_id IS NOT NULL AND done_at IS NULL')


def upgrade() -> None:
    op.create_table(
        'summary_session',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('period', sa.String(length=10), nullable=False),
        sa.Column('held_on', sa.Date(), nullable=True),
        sa.Column('others', sa.Text(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_summary_session')),
        sa.UniqueConstraint('period', name=op.f('uq_summary_session_period')),
    )
    op.create_table(
        'session_presence',
        sa.Column('session_id', sa.Integer(), nullable=False),
        sa.Column('staff_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['session_id'], ['summary_session.id'], name=op.f('fk_session_presence_session_id_summary_session')),
        sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_session_presence_staff_id_staff')),
        sa.PrimaryKeyConstraint('session_id', 'staff_id', name=op.f('pk_session_presence')),
    )
    op.create_table(
        'session_point',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('session_id', sa.Integer(), nullable=False),
        sa.Column('form_key', sa.String(length=40), nullable=False),
        sa.Column('title', sa.String(length=200), nullable=False),
        sa.Column('decision', sa.Text(), nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=True),
        sa.Column('due_on', sa.Date(), nullable=True),
        sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('(owner_id IS NULL) = (due_on IS NULL)', name=op.f('ck_session_point_followed_up_by_a_day')),
        sa.CheckConstraint("decision <> '' OR (owner_id IS NULL AND done_at IS NULL)", name=op.f('ck_session_point_decided_first')),
        sa.ForeignKeyConstraint(['session_id'], ['summary_session.id'], name=op.f('fk_session_point_session_id_summary_session')),
        sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_session_point_owner_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_session_point')),
        sa.UniqueConstraint('form_key', name=op.f('uq_session_point_form_key')),
    )
    op.create_index(op.f('ix_session_point_session_id'), 'session_point', ['session_id'])
    op.create_index('ix_session_point_open', 'session_point', ['owner_id', 'due_on'], postgresql_where=OPEN, sqlite_where=OPEN)


def downgrade() -> None:
    op.drop_table('session_point')
    op.drop_table('session_presence')
    op.drop_table('summary_session')
