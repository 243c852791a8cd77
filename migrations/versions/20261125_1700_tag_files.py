"""Words by which the team sorts its files."""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1700'
down_revision = '20261125_1600'


def upgrade() -> None:
    op.create_table('tag',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=160), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tag')),
    sa.UniqueConstraint('key', name=op.f('uq_tag_key')),
    sqlite_autoincrement=True,
    )
    op.create_table('case_tag',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('tag_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_case_tag_case_id_case_file')),
    sa.ForeignKeyConstraint(['tag_id'], ['tag.id'], name=op.f('fk_case_tag_tag_id_tag')),
    sa.PrimaryKeyConstraint('case_id', 'tag_id', name=op.f('pk_case_tag'))
    )
    op.create_index('ix_case_tag_tag', 'case_tag', ['tag_id', 'case_id'])


def downgrade() -> None:
    op.drop_table('case_tag')
    op.drop_table('tag')
