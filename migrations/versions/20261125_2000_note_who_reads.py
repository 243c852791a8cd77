"""Who opened which file, one row for each person, file and day."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_2000'
down_revision = '20261125_1900'


def upgrade() -> None:
    op.create_table('case_reading',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('first_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_case_reading_case_id_case_file')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_case_reading_staff_id_staff')),
    sa.PrimaryKeyConstraint('case_id', 'day', 'staff_id', name=op.f('pk_case_reading'))
    )


def downgrade() -> None:
    op.drop_table('case_reading')
