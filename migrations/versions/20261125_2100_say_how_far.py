"""Each need with its state, and the days that indicators need. Triggers and full-text tables are not touched."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_2100'
down_revision = '20261125_2000'


def upgrade() -> None:
    with op.batch_alter_table('case_need') as table:
        table.add_column(sa.Column('state', sa.String(length=8), nullable=False, server_default=sa.text("'open'")))
        table.add_column(sa.Column('state_since', sa.DateTime(timezone=True), nullable=True))
        table.create_check_constraint(op.f('ck_case_need_state'), "state IN ('open', 'referred', 'answered')")
    with op.batch_alter_table('project') as table:
        table.add_column(sa.Column('incorporated_on', sa.Date(), nullable=True))
        table.add_column(sa.Column('launched_on', sa.Date(), nullable=True))
        table.add_column(sa.Column('checked_on', sa.Date(), nullable=True))
        table.add_column(sa.Column('check_result', sa.String(length=9), nullable=True))
        table.create_check_constraint(
            op.f('ck_project_check_result'), "check_result IN ('active', 'stopped', 'unreached')"
        )


def downgrade() -> None:
    with op.batch_alter_table('project') as table:
        table.drop_constraint(op.f('ck_project_check_result'), type_='check')
        for column in ('check_result', 'checked_on', 'launched_on', 'incorporated_on'):
            table.drop_column(column)
    with op.batch_alter_table('case_need') as table:
        table.drop_constraint(op.f('ck_case_need_state'), type_='check')
        table.drop_column('state_since')
        table.drop_column('state')
