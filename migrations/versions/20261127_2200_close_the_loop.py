"""A referral is followed to its end: the person is asked by link, the body asks, is answered, says what comes next and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_2200'
down_revision = '20261127_2100'

PURPOSES_BEFORE = "'referral', 'resume', 'case', 'survey', 'feed'"
PURPOSES = "'referral', 'allow', 'body', 'resume', 'case', 'survey', 'feed'"
HOWS_BEFORE, HOWS = "('verbal', 'paper')", "('verbal', 'paper', 'page', 'link')"
ACTED_BEFORE = "'answered', 'answer_person', 'call_person', 'permission_back', 'confirm_correction', 'mail_received'"
ACTED = (
    "'answered', 'answer_person', 'body_asks', 'call_person', 'confirm_correction', 'mail_received', "
    "'permission_back', 'permission_given', 'permission_no'"
)
# Name, type, what stands in rows that are there already, values that are allowed.
COLUMNS = (
    ('asked_at', sa.DateTime(timezone=True), None, None),
    ('asked_fields', sa.JSON(none_as_null=True), None, None),
    ('asked_until', sa.Date(), None, None),
    ('sends_itself', sa.Boolean(), 'false', None),
    ('waits_since', sa.DateTime(timezone=True), None, None),
    ('declined_by', sa.String(6), None, "('body', 'person', 'staff', 'time')"),
    ('question', sa.Text(), "''", None),
    ('reply', sa.Text(), "''", None),
    ('next_note', sa.Text(), "''", None),
    ('next_on', sa.Date(), None, None),
    ('ended_at', sa.DateTime(timezone=True), None, None),
    ('outcome', sa.String(11), None, "('helped', 'partly', 'not_helped', 'unreachable')"),
    ('outcome_note', sa.Text(), "''", None),
    ('support_amount', sa.Integer(), None, None),
    ('support_unit', sa.String(6), None, "('hours', 'months')"),
)
FOR_WHOM = 'fk_referral_answered_for_id_staff'
WAITS = sa.text("status = 'sent'")
LIVE = sa.text('withdrawn_at IS NULL AND lapsed_at IS NULL')


def upgrade() -> None:
    purposes_of_links(PURPOSES_BEFORE, PURPOSES)
    op.add_column('body', sa.Column('contact_since', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('permission') as table:
        table.add_column(sa.Column('lapsed_at', sa.DateTime(timezone=True), nullable=True))
        table.alter_column('recorded_by_id', existing_type=sa.Integer(), nullable=True)
        table.drop_constraint(op.f('ck_permission_how'), type_='check')
        table.create_check_constraint(op.f('ck_permission_how'), f'how IN {HOWS}')
    op.create_index('ix_permission_live', 'permission', ['expires_on'], postgresql_where=LIVE, sqlite_where=LIVE)
    for name, kind, default, values in COLUMNS:
        check = op.f(f'ck_referral_{name}')
        if on_sqlite():  # a CHECK comes with a new column; the table is not made anew
            written = f'ALTER TABLE referral ADD COLUMN {name} {kind.compile(op.get_bind().dialect)}'
            written += f' NOT NULL DEFAULT {default}' if default else ''
            op.execute(written + (f' CONSTRAINT {check} CHECK ({name} IN {values})' if values else ''))
            continue
        op.add_column('referral', sa.Column(name, kind, nullable=default is None, server_default=sa.text(default) if default else None))
        if values:
            op.create_check_constraint(check, 'referral', f'{name} IN {values}')
    if on_sqlite():
        op.execute(f'ALTER TABLE referral ADD COLUMN answered_for_id INTEGER CONSTRAINT {FOR_WHOM} REFERENCES staff (id)')
    else:
        op.add_column('referral', sa.Column('answered_for_id', sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(FOR_WHOM), 'referral', 'staff', ['answered_for_id'], ['id'])
    op.execute('UPDATE referral SET waits_since = sent_at')
    # What ended long ago is not ended again: bodies hear of what is news, and of nothing that a person settled since.
    op.execute("UPDATE permission SET lapsed_at = CURRENT_TIMESTAMP WHERE expires_on < CURRENT_DATE AND id NOT IN (SELECT permission_id FROM "
               "referral WHERE permission_id IS NOT NULL AND status IN ('ready', 'sent', 'info_asked', 'no_answer'))")
    op.execute("UPDATE referral SET declined_by = 'body' WHERE status = 'declined'")
    op.create_index('ix_referral_waits', 'referral', ['waits_since'], postgresql_where=WAITS, sqlite_where=WAITS)
    they_wait(ACTED)


def downgrade() -> None:
    they_wait(ACTED_BEFORE)
    op.drop_index('ix_referral_waits', 'referral')
    op.execute("UPDATE follow_up SET rule = 'permission_back' WHERE rule IN ('permission_given', 'permission_no')")
    op.execute("UPDATE follow_up SET rule = 'answered' WHERE rule = 'body_asks'")
    op.execute(
        "UPDATE follow_up SET rule = 'check_answer' WHERE rule IN ('check_permission', 'no_answer', 'permission_over', 'self_check')"
    )
    if on_sqlite():
        # SQLite drops no column that a CHECK of its own names, but takes the CHECK along when it came with the column.
        for name in ('answered_for_id', *(one[0] for one in COLUMNS)):
            op.execute(f'ALTER TABLE referral DROP COLUMN {name}')
    else:
        op.drop_constraint(op.f(FOR_WHOM), 'referral', type_='foreignkey')
        op.drop_column('referral', 'answered_for_id')
        for name, _kind, _default, values in COLUMNS:
            if values:
                op.drop_constraint(op.f(f'ck_referral_{name}'), 'referral', type_='check')
            op.drop_column('referral', name)
    op.drop_index('ix_permission_live', 'permission')
    op.execute("UPDATE permission SET recorded_by_id = (SELECT min(id) FROM staff) WHERE recorded_by_id IS NULL")
    op.execute("UPDATE permission SET how = 'paper' WHERE how IN ('page', 'link')")
    with op.batch_alter_table('permission') as table:
        table.drop_constraint(op.f('ck_permission_how'), type_='check')
        table.create_check_constraint(op.f('ck_permission_how'), f'how IN {HOWS_BEFORE}')
        table.alter_column('recorded_by_id', existing_type=sa.Integer(), nullable=False)
        table.drop_column('lapsed_at')
    op.execute("UPDATE message SET link_id = NULL WHERE link_id IN (SELECT id FROM link WHERE purpose IN ('allow', 'body'))")
    op.execute("DELETE FROM link WHERE purpose IN ('allow', 'body')")
    op.drop_column('body', 'contact_since')
    purposes_of_links(PURPOSES, PURPOSES_BEFORE)


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'


def they_wait(rules: str) -> None:
    """The index of what somebody did that waits for us, of these rules."""
    where = sa.text(f"state = 'todo' AND rule IN ({rules})")
    op.drop_index('ix_follow_up_they_wait', 'follow_up')
    op.create_index(
        'ix_follow_up_they_wait',
        'follow_up',
        ['created_at', 'rule', 'case_id'],
        postgresql_where=where,
        sqlite_where=where,
    )


def purposes_of_links(before: str, after: str) -> None:
    """Change which purposes a link may have."""
    name = op.f('ck_link_purpose')
    if not on_sqlite():
        op.drop_constraint(name, 'link', type_='check')
        op.create_check_constraint(name, 'link', f'purpose IN ({after})')
        return
    # The numbers given so far are kept: tokens are made from them, and none may be given twice.
    given = op.get_bind().scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'link'")) or 0
    with op.batch_alter_table('link', copy_from=link(before), recreate='always') as batch_op:
        batch_op.drop_constraint(name, type_='check')
        batch_op.create_check_constraint(name, f'purpose IN ({after})')
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'link'")
    op.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('link', {int(given)})")


def link(purposes: str) -> sa.Table:
    """The table of links before the change."""
    return sa.Table('link', sa.MetaData(),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(8), nullable=False),
    sa.Column('object_id', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint(f'purpose IN ({purposes})', name=op.f('ck_link_purpose')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link')),
    sa.Index('ix_link_object', 'purpose', 'object_id'),
    sqlite_autoincrement=True,
    )
