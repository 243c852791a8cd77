"""Who took which list of files out, when and why."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1900'
down_revision = '20261125_1800'


def upgrade() -> None:
    op.create_table('export',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('query', sa.Text(), nullable=False),
    sa.Column('said', sa.Text(), nullable=False),
    sa.Column('kind', sa.String(length=4), nullable=False),
    sa.Column('everything', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('rows', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_export_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_export'))
    )
    op.create_index('ix_export_at', 'export', ['at'])


def downgrade() -> None:
    op.drop_table('export')
