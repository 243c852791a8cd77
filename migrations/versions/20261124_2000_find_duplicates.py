"""Find files that look alike, keep what was judged of them, and let two files become one.

Files that are there already are compared by the job, some at a time. When a file is merged its permissions and referrals go to the
other one together: the foreign key between them can now wait for the end of a transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261124_2000'
down_revision = '20261124_1500'

WITH_PERMISSION = 'fk_referral_permission_for_this_file_and_body'
MERGED, UNMATCHED = sa.text('merged_into_id IS NOT NULL'), sa.text('matched_at IS NULL')
UNDECIDED, STANDING = sa.text('verdict IS NULL'), sa.text('undone_at IS NULL')


def upgrade() -> None:
    merged_into = op.f('fk_case_file_merged_into_id_case_file')
    if on_sqlite():  # adds the column with its foreign key without making the table anew
        op.execute(f'ALTER TABLE case_file ADD COLUMN merged_into_id INTEGER CONSTRAINT {merged_into} REFERENCES case_file (id)')
    else:
        op.add_column('case_file', sa.Column('merged_into_id', sa.Integer(), nullable=True))
        op.create_foreign_key(merged_into, 'case_file', 'case_file', ['merged_into_id'], ['id'])
    op.add_column('case_file', sa.Column('has_merged', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('case_file', sa.Column('matched_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_case_merged', 'case_file', ['merged_into_id'], postgresql_where=MERGED, sqlite_where=MERGED)
    op.create_index('ix_case_unmatched', 'case_file', ['id'], postgresql_where=UNMATCHED, sqlite_where=UNMATCHED)
    op.create_table('match_key',
    sa.Column('key', sa.BigInteger(), nullable=False, autoincrement=False),
    sa.Column('case_id', sa.Integer(), nullable=False, autoincrement=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_match_key_case_id_case_file')),
    sa.PrimaryKeyConstraint('key', 'case_id', name=op.f('pk_match_key')),
    sqlite_with_rowid=False,
    )
    op.create_index('ix_match_key_case', 'match_key', ['case_id'])
    op.create_table('like_pair',
    sa.Column('older_id', sa.Integer(), nullable=False, autoincrement=False),
    sa.Column('newer_id', sa.Integer(), nullable=False, autoincrement=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('reasons', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('verdict', sa.String(12), nullable=True),
    sa.Column('judged_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('judged_by_id', sa.Integer(), nullable=True),
    sa.CheckConstraint("verdict IN ('same_project', 'same_person', 'same_team', 'different')", name=op.f('ck_like_pair_verdict')),
    sa.CheckConstraint('older_id < newer_id', name=op.f('ck_like_pair_in_order')),
    sa.ForeignKeyConstraint(['older_id'], ['case_file.id'], name=op.f('fk_like_pair_older_id_case_file')),
    sa.ForeignKeyConstraint(['newer_id'], ['case_file.id'], name=op.f('fk_like_pair_newer_id_case_file')),
    sa.ForeignKeyConstraint(['judged_by_id'], ['staff.id'], name=op.f('fk_like_pair_judged_by_id_staff')),
    sa.PrimaryKeyConstraint('older_id', 'newer_id', name=op.f('pk_like_pair'))
    )
    op.create_index('ix_like_pair_newer', 'like_pair', ['newer_id'])
    op.create_index('ix_like_pair_undecided', 'like_pair', ['found_at'], postgresql_where=UNDECIDED, sqlite_where=UNDECIDED)
    op.create_table('case_merge',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('gone_id', sa.Integer(), nullable=False),
    sa.Column('kept_id', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by_id', sa.Integer(), nullable=False),
    sa.Column('journal', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('final', sa.Boolean(), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['gone_id'], ['case_file.id'], name=op.f('fk_case_merge_gone_id_case_file')),
    sa.ForeignKeyConstraint(['kept_id'], ['case_file.id'], name=op.f('fk_case_merge_kept_id_case_file')),
    sa.ForeignKeyConstraint(['by_id'], ['staff.id'], name=op.f('fk_case_merge_by_id_staff')),
    sa.ForeignKeyConstraint(['undone_by_id'], ['staff.id'], name=op.f('fk_case_merge_undone_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_case_merge'))
    )
    op.create_index('ix_case_merge_gone', 'case_merge', ['gone_id'], unique=True, postgresql_where=STANDING, sqlite_where=STANDING)
    op.create_index('ix_case_merge_kept', 'case_merge', ['kept_id'])
    referral_and_permission(deferrable=True)


def downgrade() -> None:
    """What was merged stays merged: the former product knows one file where there were two."""
    referral_and_permission(deferrable=None)
    for table in ('case_merge', 'like_pair', 'match_key'):
        op.drop_table(table)
    op.drop_index('ix_case_unmatched', 'case_file')
    op.drop_index('ix_case_merged', 'case_file')
    if not on_sqlite():
        op.drop_constraint(op.f('fk_case_file_merged_into_id_case_file'), 'case_file', type_='foreignkey')
    for column in ('matched_at', 'has_merged', 'merged_into_id'):
        op.drop_column('case_file', column)


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'


def referral_and_permission(*, deferrable: bool | None) -> None:
    """Change when the database asks that a referral and its permission be of one file and body."""
    ours, theirs = ['permission_id', 'case_id', 'body_id'], ['id', 'case_id', 'body_id']
    how = {'deferrable': True, 'initially': 'IMMEDIATE'} if deferrable else {}
    if not on_sqlite():
        op.drop_constraint(WITH_PERMISSION, 'referral', type_='foreignkey')
        op.create_foreign_key(WITH_PERMISSION, 'referral', 'permission', ours, theirs, **how)
        return
    before = {} if deferrable else {'deferrable': True, 'initially': 'IMMEDIATE'}
    with op.batch_alter_table('referral', copy_from=referral(before), recreate='always') as batch_op:
        batch_op.drop_constraint(WITH_PERMISSION, type_='foreignkey')
        batch_op.create_foreign_key(WITH_PERMISSION, 'permission', ours, theirs, **how)


def referral(how: dict[str, object]) -> sa.Table:
    """The table of referrals before the change."""
    return sa.Table('referral', sa.MetaData(),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('body_id', sa.Integer(), nullable=False),
    sa.Column('permission_id', sa.Integer(), nullable=True),
    sa.Column('status', sa.String(15), nullable=False),
    sa.Column('purpose', sa.Text(), nullable=False),
    sa.Column('shared', sa.JSON(), nullable=False),
    sa.Column('created_by_id', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decline_reason', sa.String(12), nullable=True),
    sa.Column('answer_note', sa.Text(), nullable=False),
    sa.CheckConstraint("decline_reason IN ('area', 'sector', 'too_early', 'too_advanced', 'capacity', 'legal_form', 'other')", name=op.f('ck_referral_decline_reason')),
    sa.CheckConstraint("permission_id IS NOT NULL OR (sent_at IS NULL AND status IN ('completed', 'consent_pending', 'draft', 'interrupted', 'self', 'withdrawn'))", name=op.f('ck_referral_permission_first')),
    sa.CheckConstraint("status IN ('draft', 'consent_pending', 'ready', 'sent', 'info_asked', 'accepted', 'declined', 'no_answer', 'completed', 'interrupted', 'withdrawn', 'self')", name=op.f('ck_referral_status')),
    sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_referral_body_id_body')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_referral_case_id_case_file')),
    sa.ForeignKeyConstraint(['created_by_id'], ['staff.id'], name=op.f('fk_referral_created_by_id_staff')),
    sa.ForeignKeyConstraint(['permission_id', 'case_id', 'body_id'], ['permission.id', 'permission.case_id', 'permission.body_id'], name=WITH_PERMISSION, **how),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_referral')),
    sa.Index('ix_referral_body', 'body_id', 'status'),
    sa.Index('ix_referral_case', 'case_id'),
    sa.Index('ix_referral_sent', 'sent_at'),
    )
