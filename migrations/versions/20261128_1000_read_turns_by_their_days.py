"""Who had files in hand is found by the days on which that ended."""

from alembic import op

revision = '20261128_1000'
down_revision = '20261128_0900'


def upgrade() -> None:
    op.create_index('ix_turn_spell_left', 'turn_spell', ['left_at'])


def downgrade() -> None:
    op.drop_index('ix_turn_spell_left', table_name='turn_spell')
