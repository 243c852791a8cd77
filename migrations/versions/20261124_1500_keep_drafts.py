"""Keep drafts of requests; ask the rest of the questions; record consents; offer times to talk.

Each talk that is booked takes its quarters of an hour, as it would have when it was booked; of two that overlap, which the
former rule refused already, the first keeps what both would take.

On SQLite a CHECK changes by making its table anew, which `crm.schema` allows for by checking foreign keys at the end.
"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = '20261124_1500'
down_revision = '20261122_1200'

ASKED = {
    'contact': [('availability', sa.JSON(none_as_null=True), None)],
    'project': [
        ('neq', sa.String(10), sa.text("''")),
        ('team_size', sa.String(8), sa.text("''")),
        ('funding_band', sa.String(10), sa.text("''")),
        ('supports', sa.JSON(none_as_null=True), None),
        ('supports_other', sa.String(200), sa.text("''")),
    ],
    'case_file': [('heard', sa.String(10), sa.text("''")), ('quarantined', sa.Boolean(), sa.false())],
    'request': [('suspicions', sa.JSON(none_as_null=True), None)],
}
PURPOSES = "'referral', 'resume', 'case', 'feed'"


def upgrade() -> None:
    for table, columns in ASKED.items():
        for name, kind, empty in columns:
            op.add_column(table, sa.Column(name, kind, nullable=empty is None, server_default=empty))
    linked = sa.text('link_id IS NOT NULL')
    op.create_index('ix_message_link', 'message', ['link_id'], postgresql_where=linked, sqlite_where=linked)
    op.create_index('ix_contact_email', 'contact', ['email'])
    purposes_of_links("'referral'", PURPOSES)
    op.create_table('draft',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=43), nullable=False),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('request_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['request_id'], ['request.id'], name=op.f('fk_draft_request_id_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_draft')),
    sa.UniqueConstraint('code_hash', name=op.f('uq_draft_code_hash')),
    sa.UniqueConstraint('key', name=op.f('uq_draft_key'))
    )
    op.create_index('ix_draft_saved', 'draft', ['saved_at'])
    op.create_table('arrangements',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_arrangements_case_id_case_file')),
    sa.PrimaryKeyConstraint('case_id', name=op.f('pk_arrangements'))
    )
    op.create_table('consent',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(10), nullable=False),
    sa.Column('text_version', sa.String(length=20), nullable=False),
    sa.Column('text_shown', sa.Text(), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('given_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("purpose IN ('newsletter', 'survey')", name=op.f('ck_consent_purpose')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_consent_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent'))
    )
    op.create_index('ix_consent_case', 'consent', ['case_id'])
    offer_times()
    op.create_table('person_message',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('form_key', sa.String(length=40), nullable=False),
    sa.Column('about', sa.String(10), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("about IN ('message', 'correction')", name=op.f('ck_person_message_about')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_person_message_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person_message')),
    sa.UniqueConstraint('form_key', name=op.f('uq_person_message_form_key'))
    )
    op.create_index('ix_person_message_case', 'person_message', ['case_id'])


def offer_times() -> None:
    op.add_column('talk', sa.Column('sequence', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('talk', sa.Column('reminded_for', sa.DateTime(timezone=True), nullable=True))
    booked = sa.text("state = 'booked'")
    op.create_index('ix_talk_adviser', 'talk', ['adviser_id', 'starts_at'])
    op.create_index('ix_talk_coming', 'talk', ['starts_at'], postgresql_where=booked, sqlite_where=booked)
    op.drop_index('uq_talk_adviser_start', 'talk')
    cell = op.create_table('talk_cell',
    sa.Column('adviser_id', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('talk_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['adviser_id'], ['staff.id'], name=op.f('fk_talk_cell_adviser_id_staff')),
    sa.ForeignKeyConstraint(['talk_id'], ['talk.id'], name=op.f('fk_talk_cell_talk_id_talk')),
    sa.PrimaryKeyConstraint('adviser_id', 'at', name=op.f('pk_talk_cell'))
    )
    op.create_index('ix_talk_cell_talk', 'talk_cell', ['talk_id'])
    op.create_table('talk_rules',
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('offered', sa.Boolean(), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('buffer', sa.Integer(), nullable=False),
    sa.Column('notice_hours', sa.Integer(), nullable=False),
    sa.Column('languages', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('modes', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('regions', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('video_address', sa.String(length=300), nullable=False),
    sa.Column('place', sa.String(length=300), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_talk_rules_staff_id_staff')),
    sa.PrimaryKeyConstraint('staff_id', name=op.f('pk_talk_rules'))
    )
    op.create_table('opening',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('weekday', sa.Integer(), nullable=False),
    sa.Column('starts', sa.Integer(), nullable=False),
    sa.Column('ends', sa.Integer(), nullable=False),
    sa.CheckConstraint('weekday BETWEEN 0 AND 6', name=op.f('ck_opening_weekday_exists')),
    sa.CheckConstraint('starts >= 0 AND starts < ends AND ends <= 1440', name=op.f('ck_opening_hours')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_opening_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_opening'))
    )
    op.create_index('ix_opening_staff', 'opening', ['staff_id'])
    op.create_table('opening_exception',
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('hours', sa.String(length=200), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_opening_exception_staff_id_staff')),
    sa.PrimaryKeyConstraint('staff_id', 'day', name=op.f('pk_opening_exception'))
    )
    take_cells(cell)


def take_cells(cell: sa.Table) -> None:
    """The quarters of an hour of the talks that are booked."""
    here = op.get_bind()
    talk = sa.table('talk', sa.column('id', sa.Integer), sa.column('adviser_id', sa.Integer), sa.column('minutes', sa.Integer),
                    sa.column('starts_at', sa.DateTime(timezone=True)), sa.column('state', sa.String))
    taken = set()
    for row in here.execute(sa.select(talk).where(talk.c.state == 'booked').order_by(talk.c.id)).all():
        first = row.starts_at - timedelta(minutes=row.starts_at.minute % 15, seconds=row.starts_at.second,
                                          microseconds=row.starts_at.microsecond)
        at = first
        while at < row.starts_at + timedelta(minutes=row.minutes):
            if (row.adviser_id, at) not in taken:
                taken.add((row.adviser_id, at))
                here.execute(cell.insert().values(adviser_id=row.adviser_id, at=at, talk_id=row.id))
            at += timedelta(minutes=15)


def downgrade() -> None:
    for table in ('person_message', 'opening_exception', 'opening', 'talk_rules', 'talk_cell'):
        op.drop_table(table)
    booked = sa.text("state = 'booked'")
    op.create_index('uq_talk_adviser_start', 'talk', ['adviser_id', 'starts_at'], unique=True,
                    postgresql_where=booked, sqlite_where=booked)
    op.drop_index('ix_talk_coming', 'talk')
    op.drop_index('ix_talk_adviser', 'talk')
    op.drop_column('talk', 'reminded_for')
    op.drop_column('talk', 'sequence')
    op.drop_table('consent')
    op.drop_table('arrangements')
    op.drop_table('draft')
    op.execute("DELETE FROM message WHERE kind IN ('intake.resume', 'intake.quarantine') OR kind LIKE 'portal.%' "
               "OR kind LIKE 'talks.%'")
    op.execute("UPDATE message SET link_id = NULL WHERE link_id IN (SELECT id FROM link WHERE purpose <> 'referral')")
    op.execute("DELETE FROM link WHERE purpose <> 'referral'")
    purposes_of_links(PURPOSES, "'referral'")
    op.drop_index('ix_contact_email', 'contact')
    op.drop_index('ix_message_link', 'message')
    for table, columns in reversed(ASKED.items()):
        for name, _kind, _empty in reversed(columns):
            op.drop_column(table, name)


def purposes_of_links(before: str, after: str) -> None:
    """Change which purposes a link may have."""
    name = op.f('ck_link_purpose')
    if op.get_bind().dialect.name != 'sqlite':
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
