"""Applications for money, and what a project needs and puts in."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_2300'
down_revision = '20261127_2200'

STATUSES = "('considered', 'preparing', 'filed', 'granted', 'refused', 'dropped', 'disbursed')"
INSTRUMENTS = "('grant', 'award', 'loan', 'guarantee', 'patient', 'equity', 'crowd', 'in_kind', 'other')"


def upgrade() -> None:
    op.create_table(
        'application',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('case_id', sa.Integer(), nullable=False),
        sa.Column('body_id', sa.Integer(), nullable=False),
        sa.Column('status', sa.String(10), nullable=False),
        sa.Column('instrument', sa.String(9), nullable=False),
        sa.Column('asked', sa.BigInteger(), nullable=True),
        sa.Column('granted', sa.BigInteger(), nullable=True),
        sa.Column('disbursed', sa.BigInteger(), nullable=True),
        sa.Column('conditions', sa.Text(), nullable=False),
        sa.Column('filed_on', sa.Date(), nullable=True),
        sa.Column('decision_due_on', sa.Date(), nullable=True),
        sa.Column('decided_on', sa.Date(), nullable=True),
        sa.Column('expires_on', sa.Date(), nullable=True),
        sa.Column('waits_for_id', sa.Integer(), nullable=True),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('created_by_id', sa.Integer(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint(f'status IN {STATUSES}', name=op.f('ck_application_status')),
        sa.CheckConstraint(f'instrument IN {INSTRUMENTS}', name=op.f('ck_application_instrument')),
        sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_application_case_id_case_file')),
        sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_application_body_id_body')),
        sa.ForeignKeyConstraint(['waits_for_id'], ['application.id'], name=op.f('fk_application_waits_for_id_application')),
        sa.ForeignKeyConstraint(['created_by_id'], ['staff.id'], name=op.f('fk_application_created_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_application')),
    )
    op.create_index('ix_application_case', 'application', ['case_id'])
    op.create_index('ix_application_body', 'application', ['body_id', 'status'])
    op.create_index('ix_application_waits_for', 'application', ['waits_for_id'])
    op.create_table(
        'financing_plan',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('case_id', sa.Integer(), nullable=False),
        sa.Column('budget', sa.BigInteger(), nullable=True),
        sa.Column('own', sa.BigInteger(), nullable=True),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_financing_plan_case_id_case_file')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_financing_plan')),
        sa.UniqueConstraint('case_id', name=op.f('uq_financing_plan_case_id')),
    )


def downgrade() -> None:
    op.execute("UPDATE follow_up SET rule = 'decide' WHERE rule IN ('check_decision', 'money_decided')")
    op.drop_table('financing_plan')
    op.drop_table('application')
