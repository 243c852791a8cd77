"""Texts that coordinators publish in the place of those that ship, and their drafts."""

import sqlalchemy as sa
from alembic import op

revision = '20261124_2100'
down_revision = '20261124_2000'


def upgrade() -> None:
    op.create_table('publication',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('after', sa.Integer(), nullable=False),
    sa.Column('fr', sa.Text(), nullable=False),
    sa.Column('en', sa.Text(), nullable=False),
    sa.Column('fr_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('en_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by_id', sa.Integer(), nullable=True),
    sa.CheckConstraint('en_at <= fr_at', name=op.f('ck_publication_french_first')),
    sa.ForeignKeyConstraint(['by_id'], ['staff.id'], name=op.f('fk_publication_by_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_publication')),
    sa.UniqueConstraint('key', 'after', name=op.f('uq_publication_key_after'))
    )
    op.create_index('ix_publication_key', 'publication', ['key', 'id'])
    op.create_table('text_draft',
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('fr', sa.Text(), nullable=False),
    sa.Column('en', sa.Text(), nullable=False),
    sa.Column('based_on', sa.Integer(), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['by_id'], ['staff.id'], name=op.f('fk_text_draft_by_id_staff')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_text_draft'))
    )


def downgrade() -> None:
    op.drop_table('text_draft')
    op.drop_table('publication')
