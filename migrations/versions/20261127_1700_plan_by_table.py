"""Follow-ups have an hour, come back, and wait for an answer; a changed plan is applied to the files that are open."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1700'
down_revision = '20261127_1600'

TURNS = "('team', 'person', 'body', 'talk', 'nobody')"
REPEATS = "('week', 'two_weeks', 'month', 'quarter', 'half_year', 'year')"


def upgrade() -> None:
    if on_sqlite():  # a CHECK comes with a new column; the table is not made anew
        op.execute('ALTER TABLE follow_up ADD COLUMN due_minute INTEGER NOT NULL DEFAULT 1440')
        op.execute(f'ALTER TABLE follow_up ADD COLUMN repeat VARCHAR(9) CONSTRAINT ck_follow_up_repeat CHECK (repeat IN {REPEATS})')
        op.execute('ALTER TABLE follow_up ADD COLUMN series_on DATE')
        op.execute(f'ALTER TABLE follow_up ADD COLUMN wakes_on VARCHAR(6) CONSTRAINT ck_follow_up_wakes_on CHECK (wakes_on IN {TURNS})')
    else:
        op.add_column('follow_up', sa.Column('due_minute', sa.Integer(), nullable=False, server_default=sa.text('1440')))
        op.add_column('follow_up', sa.Column('repeat', sa.String(9), nullable=True))
        op.create_check_constraint(op.f('ck_follow_up_repeat'), 'follow_up', f'repeat IN {REPEATS}')
        op.add_column('follow_up', sa.Column('series_on', sa.Date(), nullable=True))
        op.add_column('follow_up', sa.Column('wakes_on', sa.String(6), nullable=True))
        op.create_check_constraint(op.f('ck_follow_up_wakes_on'), 'follow_up', f'wakes_on IN {TURNS}')
    op.create_table(
        'plan_change',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('before', sa.Text(), nullable=False),
        sa.Column('after', sa.Text(), nullable=False),
        sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('made_by_id', sa.Integer(), nullable=False),
        sa.Column('reached', sa.Integer(), nullable=False),
        sa.Column('moved', sa.Integer(), nullable=False),
        sa.Column('cancelled', sa.Integer(), nullable=False),
        sa.Column('created', sa.Integer(), nullable=False),
        sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['made_by_id'], ['staff.id'], name=op.f('fk_plan_change_made_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_plan_change')),
    )


def downgrade() -> None:
    op.drop_table('plan_change')
    if on_sqlite():
        # SQLite drops no column that a CHECK of its own names, but takes the CHECK along when it came with the column.
        for column in ('wakes_on', 'series_on', 'repeat', 'due_minute'):
            op.execute(f'ALTER TABLE follow_up DROP COLUMN {column}')
    else:
        op.drop_constraint(op.f('ck_follow_up_wakes_on'), 'follow_up', type_='check')
        op.drop_constraint(op.f('ck_follow_up_repeat'), 'follow_up', type_='check')
        for column in ('wakes_on', 'series_on', 'repeat', 'due_minute'):
            op.drop_column('follow_up', column)


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'
