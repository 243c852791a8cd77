"""Answers that come by mail, and what is told of mail that left: that it came back, that a program answered it."""

import sqlalchemy as sa
from alembic import op

revision = '20261127_2100'
down_revision = '20261127_2000'

STATES = "('tray', 'filed', 'aside')"
ACTED = "'answered', 'answer_person', 'call_person', 'permission_back', 'confirm_correction'"
REASONS = "('unknown', 'other_address', 'no_file', 'large', 'unreadable')"


def upgrade() -> None:
    op.add_column('message', sa.Column('returned_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('message', sa.Column('auto_replied_at', sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        'mailbox_place',
        sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('mailbox', sa.String(64), nullable=False),
        sa.Column('validity', sa.BigInteger(), nullable=False),
        sa.Column('next_uid', sa.BigInteger(), nullable=False),
        sa.Column('read_at', sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint('id = 1', name=op.f('ck_mailbox_place_only_one')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_mailbox_place')),
    )
    op.create_table(
        'received_mail',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('dedupe_key', sa.String(64), nullable=False),
        sa.Column('validity', sa.BigInteger(), nullable=False),
        sa.Column('uid', sa.BigInteger(), nullable=False),
        sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('from_address', sa.String(254), nullable=False),
        sa.Column('from_name', sa.String(200), nullable=False),
        sa.Column('subject', sa.String(300), nullable=False),
        sa.Column('body', sa.Text(), nullable=False),
        sa.Column('said', sa.Text(), nullable=False),
        sa.Column('attachments', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('attachments_due', sa.Boolean(), nullable=False),
        sa.Column('state', sa.String(5), nullable=False),
        sa.Column('why', sa.String(13), nullable=True),
        sa.Column('case_id', sa.Integer(), nullable=True),
        sa.Column('suggested_id', sa.Integer(), nullable=True),
        sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_by_id', sa.Integer(), nullable=True),
        sa.CheckConstraint(f'state IN {STATES}', name=op.f('ck_received_mail_state')),
        sa.CheckConstraint(f'why IN {REASONS}', name=op.f('ck_received_mail_why')),
        sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_received_mail_case_id_case_file')),
        sa.ForeignKeyConstraint(
            ['suggested_id'],
            ['case_file.id'],
            name=op.f('fk_received_mail_suggested_id_case_file'),
            ondelete='SET NULL',
        ),
        sa.ForeignKeyConstraint(['decided_by_id'], ['staff.id'], name=op.f('fk_received_mail_decided_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_received_mail')),
        sa.UniqueConstraint('dedupe_key', name=op.f('uq_received_mail_dedupe_key')),
        sqlite_autoincrement=True,
    )
    for name, columns, only in (
        ('tray', ['id'], "state = 'tray'"),
        ('aside', ['decided_at'], "state = 'aside'"),
        ('due', ['id'], 'attachments_due IS TRUE'),
        ('suggested', ['suggested_id'], 'suggested_id IS NOT NULL'),
    ):
        where = sa.text(only)
        op.create_index(f'ix_received_mail_{name}', 'received_mail', columns, postgresql_where=where, sqlite_where=where)
    op.create_index('ix_received_mail_case', 'received_mail', ['case_id'])
    they_wait(f"{ACTED}, 'mail_received'")


def downgrade() -> None:
    they_wait(ACTED)
    op.drop_table('received_mail')
    op.drop_table('mailbox_place')
    op.execute("DELETE FROM message WHERE kind LIKE 'mailbox.%'")
    op.drop_column('message', 'auto_replied_at')
    op.drop_column('message', 'returned_at')


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
