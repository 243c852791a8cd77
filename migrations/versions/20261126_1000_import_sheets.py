"""Sheets that are brought in.

A file that was imported and that nobody touched can be taken back with its first events: of these, and of no others, the trigger that keeps
history allows the deletion.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261126_1000'
down_revision = '20261125_2200'

STATES = "'reading', 'mapping', 'checking', 'checked', 'running', 'done', 'undoing', 'undone'"
ROWS = "'unread', 'new', 'same', 'twin', 'like', 'wrong', 'done', 'removed', 'kept'"
KINDS = "'import.opened', 'import.note'"


def refuse_deleting_events(*, but: str = "") -> None:
    when = f"WHEN (OLD.kind NOT IN ({but})) " if but else ""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER event_refuses_delete")
        op.execute(
            f"CREATE TRIGGER event_refuses_delete BEFORE DELETE ON event {when}"
            "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END"
        )
        return
    op.execute("DROP TRIGGER event_refuses_delete ON event")
    op.execute(
        f"CREATE TRIGGER event_refuses_delete BEFORE DELETE ON event FOR EACH ROW {when}"
        "EXECUTE FUNCTION refuse_changing_history()"
    )


def upgrade() -> None:
    op.create_table('import_run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('actor_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=160), nullable=False),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('titles', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('told', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('plan', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('numbers', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint(f"state IN ({STATES})", name=op.f('ck_import_run_state')),
    sa.ForeignKeyConstraint(['actor_id'], ['staff.id'], name=op.f('fk_import_run_actor_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_import_run')),
    sqlite_autoincrement=True,
    )
    op.create_table('import_row',
    sa.Column('import_id', sa.Integer(), nullable=False),
    sa.Column('place', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('cells', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('state', sa.String(length=7), nullable=False),
    sa.Column('told', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('wanted', sa.Boolean(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=True),
    sa.CheckConstraint(f"state IN ({ROWS})", name=op.f('ck_import_row_state')),
    sa.ForeignKeyConstraint(['import_id'], ['import_run.id'], name=op.f('fk_import_row_import_id_import_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'place', name=op.f('pk_import_row'))
    )
    op.create_index('ix_import_row_state', 'import_row', ['import_id', 'state', 'place'])
    op.create_index('ix_import_row_case', 'import_row', ['case_id'])
    op.create_table('import_key',
    sa.Column('trace', sa.String(length=32), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_import_key_case_id_case_file')),
    sa.PrimaryKeyConstraint('trace', name=op.f('pk_import_key'))
    )
    op.create_index('ix_import_key_case', 'import_key', ['case_id'])
    op.create_table('import_trait',
    sa.Column('import_id', sa.Integer(), nullable=False),
    sa.Column('trait', sa.String(length=32), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['import_id'], ['import_run.id'], name=op.f('fk_import_trait_import_id_import_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'trait', name=op.f('pk_import_trait'))
    )
    op.create_table('import_plan',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('titles', sa.Text(), nullable=False),
    sa.Column('plan', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('saved_by_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['saved_by_id'], ['staff.id'], name=op.f('fk_import_plan_saved_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_import_plan')),
    sa.UniqueConstraint('name', name=op.f('uq_import_plan_name'))
    )
    refuse_deleting_events(but=KINDS)


def downgrade() -> None:
    refuse_deleting_events()
    for table in ('import_plan', 'import_trait', 'import_key', 'import_row', 'import_run'):
        op.drop_table(table)
