"""Create everything.

History is append-only: triggers refuse changing an event or its detail, and deleting an event. A detail can be deleted,
because destruction at the end of retention must be able to remove what identifies people.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261122_1200'
down_revision = None

REFUSALS = (("event", "UPDATE"), ("event", "DELETE"), ("event_detail", "UPDATE"))


def refuse_changing_history() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, verb in REFUSALS:
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_changing_history() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'history is append-only'; END $$"
    )
    for table, verb in REFUSALS:
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_changing_history()"
        )


def upgrade() -> None:
    op.create_table('body',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('code', sa.String(length=30), nullable=False),
    sa.Column('kind', sa.String(10), nullable=False),
    sa.Column('name_fr', sa.String(length=160), nullable=False),
    sa.Column('name_en', sa.String(length=160), nullable=False),
    sa.Column('short_fr', sa.String(length=60), nullable=False),
    sa.Column('short_en', sa.String(length=60), nullable=False),
    sa.Column('offer_fr', sa.Text(), nullable=False),
    sa.Column('offer_en', sa.Text(), nullable=False),
    sa.Column('territory_fr', sa.String(length=160), nullable=False),
    sa.Column('territory_en', sa.String(length=160), nullable=False),
    sa.Column('contact_name', sa.String(length=120), nullable=False),
    sa.Column('contact_email', sa.String(length=254), nullable=False),
    sa.Column('contact_language', sa.String(length=2), nullable=False),
    sa.Column('verified_on', sa.Date(), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("kind IN ('assistance', 'financing', 'incubation', 'network', 'public')", name=op.f('ck_body_kind')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_body')),
    sa.UniqueConstraint('code', name=op.f('uq_body_code'))
    )
    op.create_table('contact',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('role', sa.String(length=10), nullable=False),
    sa.Column('language', sa.String(6), nullable=False),
    sa.Column('mode', sa.String(5), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('phone', sa.String(length=20), nullable=False),
    sa.Column('phone_extension', sa.String(length=10), nullable=False),
    sa.CheckConstraint("language IN ('fr', 'en', 'either')", name=op.f('ck_contact_language')),
    sa.CheckConstraint("mode IN ('email', 'phone', 'video')", name=op.f('ck_contact_mode')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contact'))
    )
    op.create_table('heartbeat',
    sa.Column('job', sa.String(length=60), nullable=False),
    sa.Column('host', sa.String(length=120), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', sa.String(length=300), nullable=True),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('job', name=op.f('pk_heartbeat'))
    )
    op.create_table('link',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(8), nullable=False),
    sa.Column('object_id', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("purpose IN ('referral')", name=op.f('ck_link_purpose')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link')),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('link', schema=None) as batch_op:
        batch_op.create_index('ix_link_object', ['purpose', 'object_id'], unique=False)

    op.create_table('rate_count',
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('window', sa.DateTime(timezone=True), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('key', 'window', name=op.f('pk_rate_count'))
    )
    op.create_table('staff',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('role', sa.String(11), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('password_hash', sa.String(length=200), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('on_duty', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("role IN ('admin', 'coordinator', 'adviser', 'observer')", name=op.f('ck_staff_role')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff')),
    sa.UniqueConstraint('email', name=op.f('uq_staff_email'))
    )
    op.create_table('project',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('sector', sa.String(length=10), nullable=False),
    sa.Column('sector_other', sa.String(length=120), nullable=False),
    sa.Column('stage', sa.String(13), nullable=False),
    sa.Column('legal_form', sa.String(15), nullable=False),
    sa.Column('incorporated', sa.Boolean(), nullable=True),
    sa.Column('region', sa.String(length=6), nullable=False),
    sa.Column('locality', sa.String(length=40), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('assessed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('assessed_by_id', sa.Integer(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("legal_form IN ('coop', 'coop_consumer', 'coop_producer', 'coop_work', 'coop_solidarity', 'coop_wsc', 'coop_federal', 'npo', 'npo_qc', 'npo_federal', 'mutual', 'unincorporated', 'share_corp', 'other', 'undecided')", name=op.f('ck_project_legal_form')),
    sa.CheckConstraint("stage IN ('idea', 'exploration', 'planning', 'incorporation', 'launch', 'operating', 'conversion', 'unknown')", name=op.f('ck_project_stage')),
    sa.ForeignKeyConstraint(['assessed_by_id'], ['staff.id'], name=op.f('fk_project_assessed_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_project'))
    )
    op.create_table('sign_in',
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_sign_in_staff_id_staff')),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_sign_in'))
    )
    with op.batch_alter_table('sign_in', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sign_in_staff_id'), ['staff_id'], unique=False)

    op.create_table('summary',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('period', sa.String(length=7), nullable=False),
    sa.Column('first_day', sa.Date(), nullable=False),
    sa.Column('last_day', sa.Date(), nullable=False),
    sa.Column('definitions', sa.String(length=20), nullable=False),
    sa.Column('figures', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('shown', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published_by_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['published_by_id'], ['staff.id'], name=op.f('fk_summary_published_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_summary')),
    sa.UniqueConstraint('period', name=op.f('uq_summary_period'))
    )
    op.create_table('case_file',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('reference', sa.String(length=20), nullable=False),
    sa.Column('stage', sa.String(10), nullable=False),
    sa.Column('stage_since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('paused_from', sa.String(10), nullable=True),
    sa.Column('owner_id', sa.Integer(), nullable=True),
    sa.Column('contact_id', sa.Integer(), nullable=False),
    sa.Column('project_id', sa.Integer(), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('source', sa.String(7), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reply_due_on', sa.Date(), nullable=False),
    sa.Column('first_reply_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('next_step_on', sa.Date(), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closing_reason', sa.String(11), nullable=True),
    sa.Column('restricted', sa.Boolean(), nullable=False),
    sa.CheckConstraint("closing_reason IN ('launched_ok', 'partner_ok', 'answered', 'other_model', 'abandoned', 'suspended', 'no_answer', 'out_scope', 'out_area', 'withdrawn', 'consent', 'duplicate', 'spam', 'error')", name=op.f('ck_case_file_closing_reason')),
    sa.CheckConstraint("source IN ('web', 'phone', 'event', 'partner')", name=op.f('ck_case_file_source')),
    sa.CheckConstraint("stage IN ('new', 'contact', 'discovery', 'planning', 'referred', 'assistance', 'financing', 'launched', 'paused', 'closed')", name=op.f('ck_case_file_stage')),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], name=op.f('fk_case_file_contact_id_contact')),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_case_file_owner_id_staff')),
    sa.ForeignKeyConstraint(['project_id'], ['project.id'], name=op.f('fk_case_file_project_id_project')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_case_file')),
    sa.UniqueConstraint('reference', name=op.f('uq_case_file_reference'))
    )
    with op.batch_alter_table('case_file', schema=None) as batch_op:
        batch_op.create_index('ix_case_contact', ['contact_id'], unique=False)
        batch_op.create_index('ix_case_open', ['received_at', 'id'], unique=False, postgresql_where=sa.text("stage <> 'closed'"), sqlite_where=sa.text("stage <> 'closed'"))
        batch_op.create_index('ix_case_owner', ['owner_id', 'stage', 'received_at', 'id'], unique=False)
        batch_op.create_index('ix_case_owner_open', ['owner_id', 'received_at', 'id'], unique=False, postgresql_where=sa.text("stage <> 'closed'"), sqlite_where=sa.text("stage <> 'closed'"))
        batch_op.create_index('ix_case_project', ['project_id'], unique=False)
        batch_op.create_index('ix_case_received', ['received_at', 'id'], unique=False)
        batch_op.create_index('ix_case_stage', ['stage', 'received_at', 'id'], unique=False)

    op.create_table('case_need',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('need', sa.String(10), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("need IN ('model', 'form', 'governance', 'market', 'plan', 'tech', 'legal', 'funding', 'network', 'incubation', 'growth', 'other', 'unknown')", name=op.f('ck_case_need_need')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_case_need_case_id_case_file')),
    sa.PrimaryKeyConstraint('case_id', 'need', name=op.f('pk_case_need'))
    )
    op.create_table('case_reader',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_case_reader_case_id_case_file')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_case_reader_staff_id_staff')),
    sa.PrimaryKeyConstraint('case_id', 'staff_id', name=op.f('pk_case_reader'))
    )
    op.create_table('event',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=True),
    sa.Column('actor_kind', sa.String(6), nullable=False),
    sa.Column('actor_id', sa.Integer(), nullable=True),
    sa.Column('codes', sa.JSON(none_as_null=True), nullable=False),
    sa.CheckConstraint("actor_kind IN ('staff', 'person', 'body', 'system')", name=op.f('ck_event_actor_kind')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_event_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event'))
    )
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.create_index('ix_event_case_at', ['case_id', 'at', 'id'], unique=False)

    op.create_table('follow_up',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=True),
    sa.Column('rule', sa.String(length=20), nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('first_due_on', sa.Date(), nullable=False),
    sa.Column('state', sa.String(9), nullable=False),
    sa.Column('reminded_on', sa.Date(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_by_id', sa.Integer(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_by_id', sa.Integer(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.CheckConstraint("state IN ('todo', 'done', 'cancelled')", name=op.f('ck_follow_up_state')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_follow_up_case_id_case_file')),
    sa.ForeignKeyConstraint(['created_by_id'], ['staff.id'], name=op.f('fk_follow_up_created_by_id_staff')),
    sa.ForeignKeyConstraint(['ended_by_id'], ['staff.id'], name=op.f('fk_follow_up_ended_by_id_staff')),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_follow_up_owner_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_follow_up'))
    )
    with op.batch_alter_table('follow_up', schema=None) as batch_op:
        batch_op.create_index('ix_follow_up_case', ['case_id', 'state'], unique=False)
        batch_op.create_index('ix_follow_up_owner', ['owner_id', 'due_on'], unique=False, postgresql_where=sa.text("state = 'todo'"), sqlite_where=sa.text("state = 'todo'"))
        batch_op.create_index('ix_follow_up_to_remind', ['due_on'], unique=False, postgresql_where=sa.text("state = 'todo' AND reminded_on IS NULL"), sqlite_where=sa.text("state = 'todo' AND reminded_on IS NULL"))

    op.create_table('message',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('dedupe_key', sa.String(length=120), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=True),
    sa.Column('link_id', sa.Integer(), nullable=True),
    sa.Column('subject_ids', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('to_address', sa.String(length=254), nullable=False),
    sa.Column('to_name', sa.String(length=200), nullable=False),
    sa.Column('subject', sa.String(length=300), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('status', sa.String(7), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('claimed_by', sa.String(length=60), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('final_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.String(length=300), nullable=True),
    sa.CheckConstraint("status IN ('queued', 'claimed', 'sent', 'failed', 'dropped')", name=op.f('ck_message_status')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_message_case_id_case_file')),
    sa.ForeignKeyConstraint(['link_id'], ['link.id'], name=op.f('fk_message_link_id_link')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message')),
    sa.UniqueConstraint('dedupe_key', name=op.f('uq_message_dedupe_key')),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.create_index('ix_message_case', ['case_id'], unique=False)
        batch_op.create_index('ix_message_failed', ['id'], unique=False, postgresql_where=sa.text("status = 'failed'"), sqlite_where=sa.text("status = 'failed'"))
        batch_op.create_index('ix_message_waiting', ['due_at', 'id'], unique=False, postgresql_where=sa.text("status IN ('queued', 'claimed')"), sqlite_where=sa.text("status IN ('queued', 'claimed')"))

    op.create_table('permission',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('body_id', sa.Integer(), nullable=False),
    sa.Column('text_version', sa.String(length=20), nullable=False),
    sa.Column('text_shown', sa.Text(), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('purpose', sa.String(length=300), nullable=False),
    sa.Column('fields', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('how', sa.String(6), nullable=False),
    sa.Column('given_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_by_id', sa.Integer(), nullable=False),
    sa.Column('expires_on', sa.Date(), nullable=False),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("how IN ('verbal', 'paper')", name=op.f('ck_permission_how')),
    sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_permission_body_id_body')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_permission_case_id_case_file')),
    sa.ForeignKeyConstraint(['recorded_by_id'], ['staff.id'], name=op.f('fk_permission_recorded_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_permission')),
    sa.UniqueConstraint('id', 'case_id', 'body_id', name=op.f('uq_permission_id_case_id_body_id'))
    )
    with op.batch_alter_table('permission', schema=None) as batch_op:
        batch_op.create_index('ix_permission_case', ['case_id'], unique=False)

    op.create_table('request',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('form_key', sa.String(length=40), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('page_language', sa.String(length=2), nullable=False),
    sa.Column('notice_version', sa.String(length=20), nullable=False),
    sa.Column('answers', sa.JSON(none_as_null=True), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_request_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request')),
    sa.UniqueConstraint('form_key', name=op.f('uq_request_form_key'))
    )
    with op.batch_alter_table('request', schema=None) as batch_op:
        batch_op.create_index('ix_request_case', ['case_id'], unique=False)

    op.create_table('stage_spell',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('stage', sa.String(10), nullable=False),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("stage IN ('new', 'contact', 'discovery', 'planning', 'referred', 'assistance', 'financing', 'launched', 'paused', 'closed')", name=op.f('ck_stage_spell_stage')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_stage_spell_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stage_spell'))
    )
    with op.batch_alter_table('stage_spell', schema=None) as batch_op:
        batch_op.create_index('ix_stage_spell_case', ['case_id'], unique=False)
        batch_op.create_index('ix_stage_spell_entered', ['entered_at', 'left_at'], unique=False)

    op.create_table('talk',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('adviser_id', sa.Integer(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('mode', sa.String(9), nullable=False),
    sa.Column('state', sa.String(9), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("mode IN ('phone', 'video', 'in_person')", name=op.f('ck_talk_mode')),
    sa.CheckConstraint("state IN ('booked', 'held', 'no_show', 'cancelled')", name=op.f('ck_talk_state')),
    sa.ForeignKeyConstraint(['adviser_id'], ['staff.id'], name=op.f('fk_talk_adviser_id_staff')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_talk_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_talk'))
    )
    with op.batch_alter_table('talk', schema=None) as batch_op:
        batch_op.create_index('ix_talk_case', ['case_id', 'state'], unique=False)
        batch_op.create_index('uq_talk_adviser_start', ['adviser_id', 'starts_at'], unique=True, postgresql_where=sa.text("state = 'booked'"), sqlite_where=sa.text("state = 'booked'"))

    op.create_table('event_detail',
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('values', sa.JSON(none_as_null=True), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_event_detail_event_id_event')),
    sa.PrimaryKeyConstraint('event_id', name=op.f('pk_event_detail'))
    )
    op.create_table('exchange',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(7), nullable=False),
    sa.Column('direction', sa.String(8), nullable=False),
    sa.Column('result', sa.String(7), nullable=False),
    sa.Column('happened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=True),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.CheckConstraint("direction IN ('outgoing', 'incoming')", name=op.f('ck_exchange_direction')),
    sa.CheckConstraint("kind IN ('call', 'mail', 'meeting')", name=op.f('ck_exchange_kind')),
    sa.CheckConstraint("result IN ('two_way', 'attempt')", name=op.f('ck_exchange_result')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_exchange_case_id_case_file')),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_exchange_event_id_event')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_exchange_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_exchange'))
    )
    with op.batch_alter_table('exchange', schema=None) as batch_op:
        batch_op.create_index('ix_exchange_case', ['case_id', 'happened_at'], unique=False)
        batch_op.create_index('ix_exchange_event', ['event_id'], unique=True)

    op.create_table('note',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.Column('author_id', sa.Integer(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['author_id'], ['staff.id'], name=op.f('fk_note_author_id_staff')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_note_case_id_case_file')),
    sa.ForeignKeyConstraint(['event_id'], ['event.id'], name=op.f('fk_note_event_id_event')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_note'))
    )
    with op.batch_alter_table('note', schema=None) as batch_op:
        batch_op.create_index('ix_note_case', ['case_id'], unique=False)
        batch_op.create_index('ix_note_event', ['event_id'], unique=True)

    op.create_table('referral',
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
    sa.ForeignKeyConstraint(['permission_id', 'case_id', 'body_id'], ['permission.id', 'permission.case_id', 'permission.body_id'], name='fk_referral_permission_for_this_file_and_body'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_referral'))
    )
    with op.batch_alter_table('referral', schema=None) as batch_op:
        batch_op.create_index('ix_referral_body', ['body_id', 'status'], unique=False)
        batch_op.create_index('ix_referral_case', ['case_id'], unique=False)
        batch_op.create_index('ix_referral_sent', ['sent_at'], unique=False)


    refuse_changing_history()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_changing_history() CASCADE")
    with op.batch_alter_table('referral', schema=None) as batch_op:
        batch_op.drop_index('ix_referral_sent')
        batch_op.drop_index('ix_referral_case')
        batch_op.drop_index('ix_referral_body')

    op.drop_table('referral')
    with op.batch_alter_table('note', schema=None) as batch_op:
        batch_op.drop_index('ix_note_event')
        batch_op.drop_index('ix_note_case')

    op.drop_table('note')
    with op.batch_alter_table('exchange', schema=None) as batch_op:
        batch_op.drop_index('ix_exchange_event')
        batch_op.drop_index('ix_exchange_case')

    op.drop_table('exchange')
    op.drop_table('event_detail')
    with op.batch_alter_table('talk', schema=None) as batch_op:
        batch_op.drop_index('uq_talk_adviser_start', postgresql_where=sa.text("state = 'booked'"), sqlite_where=sa.text("state = 'booked'"))
        batch_op.drop_index('ix_talk_case')

    op.drop_table('talk')
    with op.batch_alter_table('stage_spell', schema=None) as batch_op:
        batch_op.drop_index('ix_stage_spell_entered')
        batch_op.drop_index('ix_stage_spell_case')

    op.drop_table('stage_spell')
    with op.batch_alter_table('request', schema=None) as batch_op:
        batch_op.drop_index('ix_request_case')

    op.drop_table('request')
    with op.batch_alter_table('permission', schema=None) as batch_op:
        batch_op.drop_index('ix_permission_case')

    op.drop_table('permission')
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.drop_index('ix_message_waiting', postgresql_where=sa.text("status IN ('queued', 'claimed')"), sqlite_where=sa.text("status IN ('queued', 'claimed')"))
        batch_op.drop_index('ix_message_failed', postgresql_where=sa.text("status = 'failed'"), sqlite_where=sa.text("status = 'failed'"))
        batch_op.drop_index('ix_message_case')

    op.drop_table('message')
    with op.batch_alter_table('follow_up', schema=None) as batch_op:
        batch_op.drop_index('ix_follow_up_to_remind', postgresql_where=sa.text("state = 'todo' AND reminded_on IS NULL"), sqlite_where=sa.text("state = 'todo' AND reminded_on IS NULL"))
        batch_op.drop_index('ix_follow_up_owner', postgresql_where=sa.text("state = 'todo'"), sqlite_where=sa.text("state = 'todo'"))
        batch_op.drop_index('ix_follow_up_case')

    op.drop_table('follow_up')
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_index('ix_event_case_at')

    op.drop_table('event')
    op.drop_table('case_reader')
    op.drop_table('case_need')
    with op.batch_alter_table('case_file', schema=None) as batch_op:
        batch_op.drop_index('ix_case_stage')
        batch_op.drop_index('ix_case_received')
        batch_op.drop_index('ix_case_project')
        batch_op.drop_index('ix_case_owner_open', postgresql_where=sa.text("stage <> 'closed'"), sqlite_where=sa.text("stage <> 'closed'"))
        batch_op.drop_index('ix_case_owner')
        batch_op.drop_index('ix_case_open', postgresql_where=sa.text("stage <> 'closed'"), sqlite_where=sa.text("stage <> 'closed'"))
        batch_op.drop_index('ix_case_contact')

    op.drop_table('case_file')
    op.drop_table('summary')
    with op.batch_alter_table('sign_in', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sign_in_staff_id'))

    op.drop_table('sign_in')
    op.drop_table('project')
    op.drop_table('staff')
    op.drop_table('rate_count')
    with op.batch_alter_table('link', schema=None) as batch_op:
        batch_op.drop_index('ix_link_object')

    op.drop_table('link')
    op.drop_table('heartbeat')
    op.drop_table('contact')
    op.drop_table('body')
