"""People of the team choose which mail they want, and are told of their day once."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1600'
down_revision = '20261127_1500'


def upgrade() -> None:
    op.create_table(
        'mail_choice',
        sa.Column('staff_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('kind', sa.String(length=20), nullable=False),
        sa.Column('at_once', sa.Boolean(), nullable=False),
        sa.Column('in_digest', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_mail_choice_staff_id_staff')),
        sa.PrimaryKeyConstraint('staff_id', 'kind', name=op.f('pk_mail_choice')),
    )
    op.create_table(
        'digest_day',
        sa.Column('staff_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('made_on', sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_digest_day_staff_id_staff')),
        sa.PrimaryKeyConstraint('staff_id', name=op.f('pk_digest_day')),
    )


def downgrade() -> None:
    op.drop_table('digest_day')
    op.drop_table('mail_choice')
