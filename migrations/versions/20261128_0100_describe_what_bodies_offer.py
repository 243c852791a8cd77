"""Bodies have programmes, programmes and rules have terms from a day on, and a body may be the door of another for a territory."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0100'
down_revision = '20261127_2400'

KINDS = "('assistance', 'financing', 'incubation', 'network', 'public')"
KEYS = 'financing.instrument.'
NOW = 'partners.instrument.'
PART_OF, BY = 'fk_body_part_of_id_body', 'fk_body_verified_by_id_staff'
PROGRAMME = 'fk_referral_programme_id_programme'
ANSWERED = sa.text('answered_at IS NOT NULL')


def upgrade() -> None:
    op.add_column('body', sa.Column('known_as', sa.String(100), nullable=False, server_default=sa.text("''")))
    op.add_column('body', sa.Column('website', sa.String(200), nullable=False, server_default=sa.text("''")))
    op.add_column('body', sa.Column('localities', sa.JSON(none_as_null=True), nullable=True))
    op.add_column('body', sa.Column('named_in_request', sa.Boolean(), nullable=False, server_default=sa.false()))
    for column, name, table in (('part_of_id', PART_OF, 'body'), ('verified_by_id', BY, 'staff')):
        if on_sqlite():  # the constraint comes with the column; the table is not made anew
            op.execute(f'ALTER TABLE body ADD COLUMN {column} INTEGER CONSTRAINT {name} REFERENCES {table} (id)')
        else:
            op.add_column('body', sa.Column(column, sa.Integer(), nullable=True))
            op.create_foreign_key(op.f(name), 'body', table, [column], ['id'])
    op.execute('UPDATE body SET named_in_request = true')  # until now the question named each of them
    op.create_table(
        'programme',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('code', sa.String(60), nullable=False),
        sa.Column('known_as', sa.String(100), nullable=False, server_default=sa.text("''")),
        sa.Column('body_id', sa.Integer(), nullable=False),
        sa.Column('kind', sa.String(10), nullable=False),
        sa.Column('name_fr', sa.String(160), nullable=False),
        sa.Column('name_en', sa.String(160), nullable=False),
        sa.Column('text_fr', sa.Text(), nullable=False),
        sa.Column('text_en', sa.Text(), nullable=False),
        sa.Column('criteria_fr', sa.Text(), nullable=False),
        sa.Column('criteria_en', sa.Text(), nullable=False),
        sa.Column('instruments', sa.JSON(none_as_null=True), nullable=True),
        sa.Column('answer_days', sa.Integer(), nullable=True),
        sa.Column('verified_on', sa.Date(), nullable=True),
        sa.Column('verified_by_id', sa.Integer(), nullable=True),
        sa.Column('active', sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint(f'kind IN {KINDS}', name=op.f('ck_programme_kind')),
        sa.ForeignKeyConstraint(['body_id'], ['body.id'], name=op.f('fk_programme_body_id_body')),
        sa.ForeignKeyConstraint(['verified_by_id'], ['staff.id'], name=op.f('fk_programme_verified_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_programme')),
        sa.UniqueConstraint('code', name=op.f('uq_programme_code')),
    )
    op.create_index(op.f('ix_programme_body_id'), 'programme', ['body_id'])
    op.create_table(
        'match_rule',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('code', sa.String(40), nullable=False),
        sa.Column('name_fr', sa.String(200), nullable=False),
        sa.Column('name_en', sa.String(200), nullable=False),
        sa.Column('active', sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_match_rule')),
        sa.UniqueConstraint('code', name=op.f('uq_match_rule_code')),
    )
    op.create_table(
        'match_terms',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('programme_id', sa.Integer(), nullable=True),
        sa.Column('rule_id', sa.Integer(), nullable=True),
        sa.Column('since', sa.Date(), nullable=False),
        sa.Column('asked', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('made_by_id', sa.Integer(), nullable=True),
        sa.CheckConstraint('(programme_id IS NULL) <> (rule_id IS NULL)', name=op.f('ck_match_terms_of_one')),
        sa.ForeignKeyConstraint(['programme_id'], ['programme.id'], name=op.f('fk_match_terms_programme_id_programme')),
        sa.ForeignKeyConstraint(['rule_id'], ['match_rule.id'], name=op.f('fk_match_terms_rule_id_match_rule')),
        sa.ForeignKeyConstraint(['made_by_id'], ['staff.id'], name=op.f('fk_match_terms_made_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_match_terms')),
        sa.UniqueConstraint('programme_id', 'since', name=op.f('uq_match_terms_programme_id_since')),
        sa.UniqueConstraint('rule_id', 'since', name=op.f('uq_match_terms_rule_id_since')),
    )
    if on_sqlite():
        op.execute(f'ALTER TABLE referral ADD COLUMN programme_id INTEGER CONSTRAINT {PROGRAMME} REFERENCES programme (id)')
    else:
        op.add_column('referral', sa.Column('programme_id', sa.Integer(), nullable=True))
        op.create_foreign_key(op.f(PROGRAMME), 'referral', 'programme', ['programme_id'], ['id'])
    op.create_index('ix_referral_answered', 'referral', ['body_id', 'answered_at'], postgresql_where=ANSWERED, sqlite_where=ANSWERED)
    renamed(KEYS, NOW)


def downgrade() -> None:
    renamed(NOW, KEYS)
    op.drop_index('ix_referral_answered', 'referral')
    if on_sqlite():
        op.execute('ALTER TABLE referral DROP COLUMN programme_id')
    else:
        op.drop_constraint(op.f(PROGRAMME), 'referral', type_='foreignkey')
        op.drop_column('referral', 'programme_id')
    op.drop_table('match_terms')
    op.drop_table('match_rule')
    op.drop_table('programme')
    for column, name in (('verified_by_id', BY), ('part_of_id', PART_OF)):
        if on_sqlite():
            op.execute(f'ALTER TABLE body DROP COLUMN {column}')
        else:
            op.drop_constraint(op.f(name), 'body', type_='foreignkey')
            op.drop_column('body', column)
    op.drop_column('body', 'named_in_request')
    op.drop_column('body', 'localities')
    op.drop_column('body', 'website')
    op.drop_column('body', 'known_as')


def on_sqlite() -> bool:
    return op.get_bind().dialect.name == 'sqlite'


def renamed(before: str, after: str) -> None:
    """The words of the kinds of financing are the directory's now: what was published of them goes along."""
    for table in ('publication', 'text_draft'):
        op.execute(sa.text(f"UPDATE {table} SET key = :after || substr(key, :n) WHERE key LIKE :like").bindparams(after=after, n=len(before) + 1, like=f'{before}%'))
