"""Registers of people's requests about their information and of confidentiality incidents; consents are counted by their days."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_1200'
down_revision = '20261128_1100'

UNANSWERED, OPEN = sa.text('answered_on IS NULL'), sa.text('closed_on IS NULL')
WITHDRAWN = sa.text('withdrawn_at IS NOT NULL')
BY_DAY = (('consent', 'given_at', None), ('consent', 'withdrawn_at', WITHDRAWN), ('permission', 'given_at', None), ('permission', 'withdrawn_at', WITHDRAWN), ('correction', 'sent_at', None))


def upgrade() -> None:
    op.create_table(
        'rights_request',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('form_key', sa.String(length=40), nullable=False),
        sa.Column('received_on', sa.Date(), nullable=False),
        sa.Column('due_on', sa.Date(), nullable=False),
        sa.Column('asked', sa.String(length=13), nullable=False),
        sa.Column('person', sa.String(length=200), nullable=False),
        sa.Column('case_id', sa.Integer(), nullable=True),
        sa.Column('identity', sa.String(length=200), nullable=False),
        sa.Column('note', sa.Text(), nullable=False),
        sa.Column('answered_on', sa.Date(), nullable=True),
        sa.Column('outcome', sa.String(length=7), nullable=True),
        sa.Column('reasons', sa.Text(), nullable=False),
        sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('recorded_by_id', sa.Integer(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint("asked IN ('access', 'portability', 'rectification', 'deletion', 'withdrawal', 'deindexing')", name=op.f('ck_rights_request_asked')),
        sa.CheckConstraint("outcome IN ('granted', 'partly', 'refused', 'dropped')", name=op.f('ck_rights_request_outcome')),
        sa.CheckConstraint('(answered_on IS NULL) = (outcome IS NULL)', name=op.f('ck_rights_request_answered_with_an_outcome')),
        sa.CheckConstraint("outcome NOT IN ('refused', 'partly') OR reasons <> ''", name=op.f('ck_rights_request_refused_with_reasons')),
        sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_rights_request_case_id_case_file')),
        sa.ForeignKeyConstraint(['recorded_by_id'], ['staff.id'], name=op.f('fk_rights_request_recorded_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_rights_request')),
        sa.UniqueConstraint('form_key', name=op.f('uq_rights_request_form_key')),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_rights_request_case', 'rights_request', ['case_id'])
    op.create_index('ix_rights_request_received', 'rights_request', ['received_on'])
    op.create_index('ix_rights_request_open', 'rights_request', ['due_on'], postgresql_where=UNANSWERED, sqlite_where=UNANSWERED)
    op.create_table(
        'incident',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('form_key', sa.String(length=40), nullable=False),
        sa.Column('learned_on', sa.Date(), nullable=False),
        sa.Column('happened', sa.String(length=200), nullable=False),
        sa.Column('information', sa.Text(), nullable=False),
        sa.Column('circumstances', sa.Text(), nullable=False),
        sa.Column('people', sa.Integer(), nullable=True),
        sa.Column('risk', sa.String(length=9), nullable=False),
        sa.Column('grounds', sa.Text(), nullable=False),
        sa.Column('commission_on', sa.Date(), nullable=True),
        sa.Column('people_on', sa.Date(), nullable=True),
        sa.Column('public_notice', sa.Text(), nullable=False),
        sa.Column('measures', sa.Text(), nullable=False),
        sa.Column('closed_on', sa.Date(), nullable=True),
        sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('recorded_by_id', sa.Integer(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint("risk IN ('assessing', 'none', 'serious')", name=op.f('ck_incident_risk')),
        sa.CheckConstraint("closed_on IS NULL OR (risk <> 'assessing' AND grounds <> '')", name=op.f('ck_incident_closed_once_assessed')),
        sa.CheckConstraint("closed_on IS NULL OR risk <> 'serious' OR commission_on IS NOT NULL", name=op.f('ck_incident_serious_ones_notified')),
        sa.CheckConstraint('closed_on >= learned_on', name=op.f('ck_incident_closed_after_it_was_known')),
        sa.ForeignKeyConstraint(['recorded_by_id'], ['staff.id'], name=op.f('fk_incident_recorded_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_incident')),
        sa.UniqueConstraint('form_key', name=op.f('uq_incident_form_key')),
        sqlite_autoincrement=True,
    )
    op.create_index('ix_incident_learned', 'incident', ['learned_on'])
    op.create_index('ix_incident_open', 'incident', ['learned_on'], postgresql_where=OPEN, sqlite_where=OPEN)
    for table, column, where in BY_DAY:
        op.create_index(f"ix_{table}_{column.removesuffix('_at')}", table, [column], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for table, column, _where in BY_DAY:
        op.drop_index(f"ix_{table}_{column.removesuffix('_at')}", table_name=table)
    op.drop_table('incident')
    op.drop_table('rights_request')
