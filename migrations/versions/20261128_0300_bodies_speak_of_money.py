"""A body says itself what it decided on an application, through a referral that it took on."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0300'
down_revision = '20261128_0200'

REFERRAL = 'fk_application_referral_id_referral'
ACTED_BEFORE = (
    "'answered', 'answer_person', 'body_asks', 'call_person', 'confirm_correction', 'mail_received', "
    "'permission_back', 'permission_given', 'permission_no'"
)
ACTED = (
    "'answered', 'answer_person', 'body_asks', 'call_person', 'confirm_correction', 'mail_received', 'money_said', "
    "'permission_back', 'permission_given', 'permission_no'"
)


def upgrade() -> None:
    if on_sqlite():
        op.execute(f'ALTER TABLE application ADD COLUMN referral_id INTEGER CONSTRAINT {REFERRAL} REFERENCES referral (id)')
    else:
        op.add_column('application', sa.Column('referral_id', sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(REFERRAL), 'application', 'referral', ['referral_id'], ['id'])
    op.add_column('application', sa.Column('said_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_application_referral', 'application', ['referral_id'])
    they_wait(ACTED)


def downgrade() -> None:
    op.execute("UPDATE follow_up SET rule = 'answered' WHERE rule = 'money_said'")
    they_wait(ACTED_BEFORE)
    op.drop_index('ix_application_referral', 'application')
    op.drop_column('application', 'said_at')
    if not on_sqlite():
        op.drop_constraint(op.f(REFERRAL), 'application', type_='foreignkey')
    op.drop_column('application', 'referral_id')


def they_wait(rules: str) -> None:
    """The index of what somebody did that waits for us, of these rules."""
    where = sa.text(f"state = 'todo' AND rule IN ({rules})")
    op.drop_index('ix_follow_up_they_wait', 'follow_up')
    op.create_index('ix_follow_up_they_wait', 'follow_up', ['created_at', 'rule', 'case_id'], postgresql_where=where, sqlite_where=where)


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'
