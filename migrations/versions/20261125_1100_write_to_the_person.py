"""Messages from the team to the person, and corrections that the person proposes and staff confirm."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1100'
down_revision = '20261125_1000'


def upgrade() -> None:
    op.create_table('staff_message',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('form_key', sa.String(length=40), nullable=False),
    sa.Column('author_id', sa.Integer(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['author_id'], ['staff.id'], name=op.f('fk_staff_message_author_id_staff')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_staff_message_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff_message')),
    sa.UniqueConstraint('form_key', name=op.f('uq_staff_message_form_key')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_staff_message_case', 'staff_message', ['case_id'])

    op.create_table('correction',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('form_key', sa.String(length=40), nullable=False),
    sa.Column('page', sa.String(length=10), nullable=False),
    sa.Column('changes', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(9), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by_id', sa.Integer(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.CheckConstraint("state IN ('open', 'confirmed', 'declined')", name=op.f('ck_correction_state')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_correction_case_id_case_file')),
    sa.ForeignKeyConstraint(['decided_by_id'], ['staff.id'], name=op.f('fk_correction_decided_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_correction')),
    sa.UniqueConstraint('form_key', name=op.f('uq_correction_form_key')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_correction_case', 'correction', ['case_id'])
    opened = sa.text("state = 'open'")
    op.create_index('ix_correction_open', 'correction', ['sent_at'], postgresql_where=opened, sqlite_where=opened)


NEW_MESSAGES = "'portal.message', 'portal.correction', 'portal.corrected', 'portal.not_corrected', 'portal.address_changed', 'portal.documents', 'portal.new_address', 'portal.written_closed'"


def downgrade() -> None:
    op.execute(f"DELETE FROM message WHERE kind IN ({NEW_MESSAGES})")
    op.execute("UPDATE follow_up SET rule = 'answer_person' WHERE rule = 'confirm_correction'")
    op.drop_table('correction')
    op.drop_table('staff_message')
