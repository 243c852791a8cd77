"""The ledger says when a message was to leave, what the server answered, why it did not leave, and who sent it again."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_1500'
down_revision = '20261127_1400'

STATUSES = "status IN ('queued', 'claimed', 'sent', 'failed', 'unknown', 'dropped')"
BEFORE = "status IN ('queued', 'claimed', 'sent', 'failed', 'dropped')"
WHYS = "why IN ('not_true', 'link_closed', 'no_address')"
IN_TROUBLE = sa.text("status IN ('failed', 'unknown') AND settled_at IS NULL")
DROPPED = sa.text("status = 'dropped'")
FAILED = sa.text("status = 'failed'")
TO_STAFF, AGAIN = sa.text('staff_id IS NOT NULL'), sa.text('again_of_id IS NOT NULL')
INSTANTS = ('claimed_at', 'again_at', 'settled_at')
PEOPLE = ('staff_id', 'again_by_id', 'settled_by_id')


def upgrade() -> None:
    numbered = _last_number()
    op.drop_index('ix_message_failed', 'message')
    with op.batch_alter_table('message', table_kwargs={'sqlite_autoincrement': True}) as table:
        table.add_column(sa.Column('first_due_at', sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column('unknowns', sa.Integer(), nullable=False, server_default='0'))
        table.add_column(sa.Column('answer', sa.String(length=300), nullable=True))
        table.add_column(sa.Column('why', sa.String(length=11), nullable=True))
        table.add_column(sa.Column('again_of_id', sa.Integer(), nullable=True))
        for name in INSTANTS:
            table.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        for name in PEOPLE:
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
            table.create_foreign_key(op.f(f'fk_message_{name}_staff'), 'staff', [name], ['id'])
        table.create_foreign_key(op.f('fk_message_again_of_id_message'), 'message', ['again_of_id'], ['id'])
        table.drop_constraint(op.f('ck_message_status'), type_='check')
        table.create_check_constraint(op.f('ck_message_status'), STATUSES)
        table.create_check_constraint(op.f('ck_message_why'), WHYS)
    op.execute('UPDATE message SET first_due_at = due_at')
    with op.batch_alter_table('message', table_kwargs={'sqlite_autoincrement': True}) as table:
        table.alter_column('first_due_at', existing_type=sa.DateTime(timezone=True), nullable=False)
        table.alter_column('unknowns', existing_type=sa.Integer(), server_default=None)
    op.create_index(
        'ix_message_in_trouble', 'message', ['id'], postgresql_where=IN_TROUBLE, sqlite_where=IN_TROUBLE
    )
    op.create_index('ix_message_dropped', 'message', ['id'], postgresql_where=DROPPED, sqlite_where=DROPPED)
    op.create_index('ix_message_staff', 'message', ['staff_id', 'id'], postgresql_where=TO_STAFF, sqlite_where=TO_STAFF)
    op.create_index('ix_message_again_of', 'message', ['again_of_id'], postgresql_where=AGAIN, sqlite_where=AGAIN)
    op.create_table(
        'mail_pause',
        sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('since', sa.DateTime(timezone=True), nullable=False),
        sa.Column('try_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('said', sa.String(length=300), nullable=False),
        sa.CheckConstraint('id = 1', name=op.f('ck_mail_pause_only_one')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_mail_pause')),
    )
    _go_on_from(numbered)


def downgrade() -> None:
    numbered = _last_number()
    op.drop_table('mail_pause')
    for name in ('ix_message_again_of', 'ix_message_staff', 'ix_message_dropped', 'ix_message_in_trouble'):
        op.drop_index(name, 'message')
    op.execute("UPDATE message SET status = 'failed' WHERE status = 'unknown'")
    with op.batch_alter_table('message', table_kwargs={'sqlite_autoincrement': True}) as table:
        table.drop_constraint(op.f('ck_message_why'), type_='check')
        table.drop_constraint(op.f('ck_message_status'), type_='check')
        table.create_check_constraint(op.f('ck_message_status'), BEFORE)
        table.drop_constraint(op.f('fk_message_again_of_id_message'), type_='foreignkey')
        for name in PEOPLE:
            table.drop_constraint(op.f(f'fk_message_{name}_staff'), type_='foreignkey')
        for name in (*PEOPLE, *INSTANTS, 'again_of_id', 'why', 'answer', 'unknowns', 'first_due_at'):
            table.drop_column(name)
    op.create_index('ix_message_failed', 'message', ['id'], postgresql_where=FAILED, sqlite_where=FAILED)
    _go_on_from(numbered)


def _last_number() -> int | None:
    """The largest number ever given to a message: Message-IDs are made from them, and SQLite forgets it with the table."""
    if op.get_bind().dialect.name != 'sqlite':
        return None
    return op.get_bind().execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'message'")).scalar()


def _go_on_from(number: int | None) -> None:
    if number is not None:
        told = {'number': number}
        op.get_bind().execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'message'"))
        op.get_bind().execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('message', :number)"), told)
