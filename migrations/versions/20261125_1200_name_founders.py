"""The other people of a founding team, named by staff."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1200'
down_revision = '20261125_1100'


def upgrade() -> None:
    op.create_table('founder',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('role', sa.String(length=120), nullable=False),
    sa.Column('language', sa.String(6), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('phone', sa.String(length=20), nullable=False),
    sa.Column('phone_extension', sa.String(length=10), nullable=False),
    sa.Column('may_contact', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("language IN ('fr', 'en', 'either')", name=op.f('ck_founder_language')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_founder_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_founder'))
    )
    op.create_index('ix_founder_case', 'founder', ['case_id'])


def downgrade() -> None:
    op.drop_table('founder')
