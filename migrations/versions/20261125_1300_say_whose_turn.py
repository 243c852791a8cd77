"""Whose turn it is on each file, since when, and how long each held it.

Files that are there already are given the turn that follows from their rows; what came before is one stay.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1300'
down_revision = '20261125_1200'

TURNS = "('team', 'person', 'body', 'talk', 'nobody')"
LAPSES = sa.text('turn_until IS NOT NULL')
# What somebody else did and waits for the team to act on.
THEY_ACTED = "('answered', 'answer_person', 'call_person', 'permission_back', 'confirm_correction')"
OPEN = "stage <> 'closed'"


def upgrade() -> None:
    op.create_table('turn_spell',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('turn', sa.String(6), nullable=False),
    sa.Column('body_id', sa.Integer(), nullable=True),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint(f'turn IN {TURNS}', name=op.f('ck_turn_spell_turn')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_turn_spell_case_id_case_file')),
    sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_turn_spell_body_id_body')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_turn_spell'))
    )
    op.create_index('ix_turn_spell_case', 'turn_spell', ['case_id'])
    body = op.f('fk_case_file_turn_body_id_body')
    if on_sqlite():  # a CHECK and a foreign key come with a new column; the table is not made anew
        op.execute(f"ALTER TABLE follow_up ADD COLUMN waiting_on VARCHAR(6) CONSTRAINT ck_follow_up_waiting_on CHECK (waiting_on IN {TURNS})")
        op.execute(f"ALTER TABLE case_file ADD COLUMN turn VARCHAR(6) NOT NULL DEFAULT 'team' CONSTRAINT ck_case_file_turn CHECK (turn IN {TURNS})")
        op.execute("ALTER TABLE case_file ADD COLUMN turn_since DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00'")
        op.execute('ALTER TABLE case_file ADD COLUMN turn_until DATETIME')
        op.execute(f'ALTER TABLE case_file ADD COLUMN turn_body_id INTEGER CONSTRAINT {body} REFERENCES body (id)')
    else:
        op.add_column('follow_up', sa.Column('waiting_on', sa.String(6), nullable=True))
        op.create_check_constraint(op.f('ck_follow_up_waiting_on'), 'follow_up', f'waiting_on IN {TURNS}')
        op.add_column('case_file', sa.Column('turn', sa.String(6), nullable=False, server_default='team'))
        op.create_check_constraint(op.f('ck_case_file_turn'), 'case_file', f'turn IN {TURNS}')
        op.add_column('case_file', sa.Column('turn_since', sa.DateTime(timezone=True), nullable=False, server_default=sa.text("'1970-01-01 00:00:00'")))
        op.add_column('case_file', sa.Column('turn_until', sa.DateTime(timezone=True), nullable=True))
        op.add_column('case_file', sa.Column('turn_body_id', sa.Integer(), nullable=True))
        op.create_foreign_key(body, 'case_file', 'body', ['turn_body_id'], ['id'])
    op.create_index('ix_case_turn_lapses', 'case_file', ['turn_until'], postgresql_where=LAPSES, sqlite_where=LAPSES)
    say_whose_turn()


def say_whose_turn() -> None:
    """From what yields to what prevails, each over the one before."""
    op.execute("UPDATE case_file SET turn_since = stage_since")
    op.execute("UPDATE case_file SET turn = 'person' WHERE stage = 'paused'")
    waits = "FROM referral WHERE referral.case_id = case_file.id AND referral.status = 'sent' AND referral.sent_at IS NOT NULL"
    op.execute(f"UPDATE case_file SET turn = 'body', turn_since = (SELECT min(referral.sent_at) {waits}), "
               f"turn_body_id = (SELECT referral.body_id {waits} ORDER BY referral.sent_at, referral.id LIMIT 1) "
               f"WHERE {OPEN} AND EXISTS (SELECT 1 {waits})")
    owed = "stage IN ('new', 'contact') AND first_reply_at IS NULL"
    op.execute(f"UPDATE case_file SET turn = 'team', turn_since = received_at, turn_body_id = NULL WHERE {owed}")
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')" if on_sqlite() else 'now()'
    talks = f"FROM talk WHERE talk.case_id = case_file.id AND talk.state = 'booked' AND talk.starts_at > {now}"
    op.execute(f"UPDATE case_file SET turn = 'talk', turn_until = (SELECT min(talk.starts_at) {talks}), turn_body_id = NULL, "
               f"turn_since = (SELECT talk.created_at {talks} ORDER BY talk.starts_at, talk.id LIMIT 1) "
               f"WHERE {OPEN} AND EXISTS (SELECT 1 {talks})")
    ours = f"FROM follow_up WHERE follow_up.case_id = case_file.id AND follow_up.state = 'todo' AND follow_up.rule IN {THEY_ACTED}"
    op.execute(f"UPDATE case_file SET turn = 'team', turn_since = (SELECT min(follow_up.created_at) {ours}), turn_until = NULL, "
               f"turn_body_id = NULL WHERE {OPEN} AND EXISTS (SELECT 1 {ours})")
    op.execute("UPDATE case_file SET turn = 'nobody', turn_since = stage_since, turn_until = NULL, turn_body_id = NULL WHERE stage = 'closed'")
    op.execute('INSERT INTO turn_spell (case_id, turn, body_id, entered_at) SELECT id, turn, turn_body_id, turn_since FROM case_file')


def downgrade() -> None:
    op.drop_index('ix_case_turn_lapses', 'case_file')
    if on_sqlite():
        # SQLite drops no column that a CHECK of its own names, but takes the CHECK along when it came with the column.
        for table, column in (('follow_up', 'waiting_on'), ('case_file', 'turn_body_id'), ('case_file', 'turn_until'),
                              ('case_file', 'turn_since'), ('case_file', 'turn')):
            op.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
    else:
        op.drop_constraint(op.f('fk_case_file_turn_body_id_body'), 'case_file', type_='foreignkey')
        op.drop_constraint(op.f('ck_case_file_turn'), 'case_file', type_='check')
        op.drop_constraint(op.f('ck_follow_up_waiting_on'), 'follow_up', type_='check')
        op.drop_column('follow_up', 'waiting_on')
        for column in ('turn_body_id', 'turn_until', 'turn_since', 'turn'):
            op.drop_column('case_file', column)
    op.drop_table('turn_spell')


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'
