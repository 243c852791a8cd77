"""Lists that people give a name, and the one on which each begins."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1600'
down_revision = '20261125_1500'


def upgrade() -> None:
    op.create_table('saved_view',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('query', sa.Text(), nullable=False),
    sa.Column('on_board', sa.Boolean(), nullable=False),
    sa.Column('shared', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_saved_view_owner_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_saved_view')),
    sa.UniqueConstraint('owner_id', 'name', name=op.f('uq_saved_view_owner_id_name'))
    )
    op.create_table('start_view',
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('view_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_start_view_staff_id_staff')),
    sa.ForeignKeyConstraint(['view_id'], ['saved_view.id'], name=op.f('fk_start_view_view_id_saved_view'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('staff_id', name=op.f('pk_start_view'))
    )


def downgrade() -> None:
    op.drop_table('start_view')
    op.drop_table('saved_view')
