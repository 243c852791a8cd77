"""Days on which somebody is away, and who stands in."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_2200'
down_revision = '20261125_2100'


def upgrade() -> None:
    op.create_table('absence',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('begins_on', sa.Date(), nullable=False),
    sa.Column('ends_on', sa.Date(), nullable=False),
    sa.Column('deputy_id', sa.Integer(), nullable=False),
    sa.CheckConstraint('ends_on >= begins_on', name=op.f('ck_absence_days')),
    sa.CheckConstraint('deputy_id <> staff_id', name=op.f('ck_absence_deputy')),
    sa.ForeignKeyConstraint(['deputy_id'], ['staff.id'], name=op.f('fk_absence_deputy_id_staff')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_absence_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_absence'))
    )
    op.create_index('ix_absence_staff', 'absence', ['staff_id', 'ends_on'])
    op.create_index('ix_absence_deputy', 'absence', ['deputy_id', 'ends_on'])


def downgrade() -> None:
    op.drop_table('absence')
