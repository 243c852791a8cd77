"""Documents attached to a request or a file: what they are and how to read them; their bytes lie in the data folder."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1000'
down_revision = '20261124_2200'


def upgrade() -> None:
    op.create_table('stored_file',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('draft_id', sa.Integer(), nullable=True),
    sa.Column('case_id', sa.Integer(), nullable=True),
    sa.Column('place', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(4), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=True),
    sa.Column('name', sa.String(length=160), server_default=sa.text("''"), nullable=False),
    sa.Column('content_key', sa.LargeBinary(), nullable=True),
    sa.CheckConstraint("kind IN ('pdf', 'png', 'jpg', 'docx', 'xlsx')", name=op.f('ck_stored_file_kind')),
    sa.CheckConstraint('(draft_id IS NULL) <> (case_id IS NULL)', name=op.f('ck_stored_file_of_one_thing')),
    sa.CheckConstraint('(sealed IS NULL) = (draft_id IS NULL) AND (content_key IS NULL) = (case_id IS NULL)',
                       name=op.f('ck_stored_file_sealed_while_staged')),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_stored_file_case_id_case_file')),
    sa.ForeignKeyConstraint(['draft_id'], ['draft.id'], name=op.f('fk_stored_file_draft_id_draft')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stored_file')),
    sa.UniqueConstraint('place', name=op.f('uq_stored_file_place')),
    sqlite_autoincrement=True
    )
    staged = sa.text('draft_id IS NOT NULL')
    op.create_index('ix_stored_file_staged', 'stored_file', ['draft_id'], postgresql_where=staged, sqlite_where=staged)
    op.create_index('ix_stored_file_case', 'stored_file', ['case_id'])


def downgrade() -> None:
    op.drop_table('stored_file')
