"""Activities asked for by incubators, schools and networks; projects sent our way by a partner."""

import sqlalchemy as sa
from alembic import op

revision = '20261124_2200'
down_revision = '20261124_2100'


def upgrade() -> None:
    op.create_table('activity',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('form_key', sa.String(length=40), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reply_due_on', sa.Date(), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('organization', sa.String(length=200), nullable=False),
    sa.Column('contact_name', sa.String(length=120), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('spoken', sa.String(4), nullable=False),
    sa.Column('kind', sa.String(12), nullable=False),
    sa.Column('audiences', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('expected', sa.Integer(), nullable=True),
    sa.Column('month', sa.String(length=7), nullable=False),
    sa.Column('place', sa.String(length=200), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('suspicions', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('state', sa.String(8), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=True),
    sa.Column('planned_on', sa.Date(), nullable=True),
    sa.Column('held_on', sa.Date(), nullable=True),
    sa.Column('participants', sa.Integer(), nullable=True),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("kind IN ('presentation', 'workshop', 'course', 'panel', 'other')", name=op.f('ck_activity_kind')),
    sa.CheckConstraint("spoken IN ('fr', 'en', 'both')", name=op.f('ck_activity_spoken')),
    sa.CheckConstraint("state IN ('asked', 'planned', 'held', 'declined')", name=op.f('ck_activity_state')),
    sa.CheckConstraint("state <> 'planned' OR planned_on IS NOT NULL", name=op.f('ck_activity_planned_on_a_day')),
    sa.CheckConstraint("state <> 'held' OR (held_on IS NOT NULL AND participants IS NOT NULL)",
                       name=op.f('ck_activity_held_and_counted')),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_activity_owner_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_activity')),
    sa.UniqueConstraint('form_key', name=op.f('uq_activity_form_key'))
    )
    asked = sa.text("state = 'asked'")
    op.create_index('ix_activity_asked', 'activity', ['received_at'], postgresql_where=asked, sqlite_where=asked)
    op.create_index('ix_activity_held', 'activity', ['held_on'])

    op.create_table('introduction',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('organization', sa.String(length=200), nullable=False),
    sa.Column('contact_name', sa.String(length=120), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('agreed', sa.String(7), nullable=False),
    sa.Column('agreed_on', sa.Date(), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('answer_until', sa.Date(), nullable=False),
    sa.Column('answer', sa.String(3), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('destroyed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("agreed IN ('verbal', 'written')", name=op.f('ck_introduction_agreed')),
    sa.CheckConstraint("answer IN ('yes', 'no')", name=op.f('ck_introduction_answer')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_introduction_case_id_case_file')),
    sa.PrimaryKeyConstraint('case_id', name=op.f('pk_introduction'))
    )
    unanswered = sa.text('answer IS NULL')
    op.create_index('ix_introduction_unanswered', 'introduction', ['answer_until'], postgresql_where=unanswered,
                    sqlite_where=unanswered)


def downgrade() -> None:
    op.execute("DELETE FROM message WHERE kind LIKE 'activities.%' OR kind IN ('intake.introduced', 'portal.introduction_yes')")
    op.drop_table('introduction')
    op.drop_table('activity')
