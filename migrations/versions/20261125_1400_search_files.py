"""The words of files and of their texts, and each database's own index over them.

The words of files that are there already are made after the upgrade, by `crm db upgrade` itself.
"""

import sqlalchemy as sa
from alembic import op

revision = '20261125_1400'
down_revision = '20261125_1300'

# The index of a table: (table, its number, index).
INDEXED = (('search_file', 'case_id', 'fts_file'), ('search_text', 'id', 'fts_text'))


def upgrade() -> None:
    op.create_table('search_file',
    sa.Column('case_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_search_file_case_id_case_file')),
    sa.PrimaryKeyConstraint('case_id', name=op.f('pk_search_file'))
    )
    op.create_table('search_text',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('source_id', sa.Integer(), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['case_file.id'], name=op.f('fk_search_text_case_id_case_file')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_search_text'))
    )
    op.create_index('ix_search_text_source', 'search_text', ['kind', 'source_id'], unique=True)
    op.create_index('ix_search_text_case', 'search_text', ['case_id'])
    for table, number, index in INDEXED:
        if op.get_bind().dialect.name == 'sqlite':
            index_of_sqlite(table, number, index)
        else:
            # The words are single and in order: an array of them is the vector, and no parser has a say.
            op.execute(f"ALTER TABLE {table} ADD COLUMN fts_words tsvector "
                       "GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED")
            op.execute(f'CREATE INDEX {index} ON {table} USING gin (fts_words)')


def index_of_sqlite(table: str, number: str, index: str) -> None:
    """An FTS5 table that reads its words from ours; triggers tell it of each change, in the transaction that makes it."""
    op.execute(f"CREATE VIRTUAL TABLE {index} USING fts5(words, content='{table}', content_rowid='{number}', "
               "tokenize='ascii', detail='none', prefix='2 3 4')")
    forget = f"INSERT INTO {index} ({index}, rowid, words) VALUES ('delete', old.{number}, old.words);"
    keep = f"INSERT INTO {index} (rowid, words) VALUES (new.{number}, new.words);"
    for what, does in (('INSERT', keep), ('DELETE', forget), ('UPDATE OF words', f'{forget} {keep}')):
        name = f'{index}_{what.split()[0].lower()}'
        op.execute(f'CREATE TRIGGER {name} AFTER {what} ON {table} BEGIN {does} END')


def downgrade() -> None:
    for table, _number, index in INDEXED:
        if op.get_bind().dialect.name == 'sqlite':
            op.execute(f'DROP TABLE {index}')
        op.drop_table(table)
