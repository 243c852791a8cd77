"""The team writes down its own activities: three kinds of working groups, and the bodies that were present."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0700'
down_revision = '20261128_0600'

KINDS_BEFORE = "('presentation', 'workshop', 'course', 'panel', 'other')"
KINDS = "('presentation', 'workshop', 'course', 'panel', 'other', 'wg_financing', 'wg_bodies', 'wg_projects')"


def upgrade() -> None:
    kinds_are(KINDS)
    op.create_table(
        'activity_body',
        sa.Column('activity_id', sa.Integer(), nullable=False),
        sa.Column('body_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['activity_id'], ['activity.id'], name=op.f('fk_activity_body_activity_id_activity')),
        sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_activity_body_body_id_body')),
        sa.PrimaryKeyConstraint('activity_id', 'body_id', name=op.f('pk_activity_body')),
    )
    op.create_index(op.f('ix_activity_body_body_id'), 'activity_body', ['body_id'])


def downgrade() -> None:
    op.drop_table('activity_body')
    op.execute("UPDATE activity SET kind = 'other' WHERE kind IN ('wg_financing', 'wg_bodies', 'wg_projects')")
    kinds_are(KINDS_BEFORE)


def kinds_are(values: str) -> None:
    with op.batch_alter_table('activity') as table:
        table.drop_constraint(op.f('ck_activity_kind'), type_='check')
        table.create_check_constraint(op.f('ck_activity_kind'), f'kind IN {values}')
