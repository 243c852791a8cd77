"""Two projects that go together are linked, though neither is the other's duplicate."""

import sqlalchemy as sa
from alembic import op

revision = '20261126_1200'
down_revision = '20261126_1100'

CHECK = 'ck_like_pair_verdict'
BEFORE = "verdict IN ('same_project', 'same_person', 'same_team', 'different')"
AFTER = "verdict IN ('same_project', 'same_person', 'same_team', 'related', 'different')"
UNDECIDED = sa.text('verdict IS NULL')


def upgrade() -> None:
    allow(AFTER, BEFORE)


def downgrade() -> None:
    op.execute("UPDATE like_pair SET verdict = 'different' WHERE verdict = 'related'")
    allow(BEFORE, AFTER)


def allow(verdicts: str, before: str) -> None:
    if op.get_bind().dialect.name != 'sqlite':
        op.drop_constraint(op.f(CHECK), 'like_pair', type_='check')
        op.create_check_constraint(op.f(CHECK), 'like_pair', verdicts)
        return
    with op.batch_alter_table('like_pair', copy_from=like_pair(before), recreate='always') as batch_op:
        batch_op.drop_constraint(op.f(CHECK), type_='check')
        batch_op.create_check_constraint(op.f(CHECK), verdicts)


def like_pair(verdicts: str) -> sa.Table:
    """The table of pairs before the change."""
    table = sa.Table('like_pair', sa.MetaData(),
    sa.Column('older_id', sa.Integer(), nullable=False, autoincrement=False),
    sa.Column('newer_id', sa.Integer(), nullable=False, autoincrement=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('reasons', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('verdict', sa.String(12), nullable=True),
    sa.Column('judged_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('judged_by_id', sa.Integer(), nullable=True),
    sa.CheckConstraint(verdicts, name=op.f(CHECK)),
    sa.CheckConstraint('older_id < newer_id', name=op.f('ck_like_pair_in_order')),
    sa.ForeignKeyConstraint(['older_id'], ['case_file.id'], name=op.f('fk_like_pair_older_id_case_file')),
    sa.ForeignKeyConstraint(['newer_id'], ['case_file.id'], name=op.f('fk_like_pair_newer_id_case_file')),
    sa.ForeignKeyConstraint(['judged_by_id'], ['staff.id'], name=op.f('fk_like_pair_judged_by_id_staff')),
    sa.PrimaryKeyConstraint('older_id', 'newer_id', name=op.f('pk_like_pair'))
    )
    sa.Index('ix_like_pair_newer', table.c.newer_id)
    sa.Index('ix_like_pair_undecided', table.c.found_at, postgresql_where=UNDECIDED, sqlite_where=UNDECIDED)
    return table
