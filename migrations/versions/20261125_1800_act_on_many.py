"""Changes made to many files at once."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1800'
down_revision = '20261125_1700'

STAGES = "'new', 'contact', 'discovery', 'planning', 'referred', 'assistance', 'financing', 'launched', 'paused', 'closed'"


def upgrade() -> None:
    op.create_table('bulk_run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('actor_id', sa.Integer(), nullable=False),
    sa.Column('action', sa.String(length=20), nullable=False),
    sa.Column('values', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('state', sa.String(length=7), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('come_from', sa.Text(), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('draft', 'running', 'done', 'undoing', 'undone')", name=op.f('ck_bulk_run_state')),
    sa.ForeignKeyConstraint(['actor_id'], ['staff.id'], name=op.f('fk_bulk_run_actor_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_run')),
    sqlite_autoincrement=True,
    )
    op.create_index('ix_bulk_run_actor', 'bulk_run', ['actor_id', 'id'])
    op.create_table('bulk_item',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('seen_stage', sa.String(length=10), nullable=False),
    sa.Column('seen_owner_id', sa.Integer(), nullable=True),
    sa.Column('state', sa.String(length=7), nullable=False),
    sa.Column('said', sa.Text(), nullable=False),
    sa.Column('journal', sa.JSON(none_as_null=True), nullable=True),
    sa.CheckConstraint("state IN ('todo', 'done', 'refused', 'undone', 'kept')", name=op.f('ck_bulk_item_state')),
    sa.CheckConstraint(f"seen_stage IN ({STAGES})", name=op.f('ck_bulk_item_seen_stage')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_bulk_item_case_id_case_file')),
    sa.ForeignKeyConstraint(['run_id'], ['bulk_run.id'], name=op.f('fk_bulk_item_run_id_bulk_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'place', name=op.f('pk_bulk_item'))
    )
    op.create_index('ix_bulk_item_state', 'bulk_item', ['run_id', 'state', 'place'])


def downgrade() -> None:
    op.drop_table('bulk_item')
    op.drop_table('bulk_run')
