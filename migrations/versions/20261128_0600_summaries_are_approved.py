"""A summary has a life: a draft, two people, files. What was published before keeps its figures, in the new shape."""

import sqlalchemy as sa
from alembic import op

revision = '20261128_0600'
down_revision = '20261128_0500'

STATES = ('draft', 'proposed', 'approved', 'published')
KEPT = ('id', 'period', 'first_day', 'last_day', 'definitions', 'published_by_id', 'figures', 'shown', 'published_at')
TYPES = {
    'first_day': sa.Date(),
    'last_day': sa.Date(),
    'figures': sa.JSON(),
    'shown': sa.JSON(),
    'texts': sa.JSON(),
    'names': sa.JSON(),
    'published_at': sa.DateTime(timezone=True),
    'made_at': sa.DateTime(timezone=True),
}


def table(*names: str) -> sa.TableClause:
    return sa.table('summary', *(sa.column(name, TYPES.get(name)) for name in names))


OLD = table(*KEPT)
NEW = table(*KEPT, 'state', 'digest', 'version', 'texts', 'names', 'made_at')
DAYS = {'unit': 'days'}
PERCENT = {'unit': 'percent'}


def upgrade() -> None:
    rows = [row._asdict() for row in op.get_bind().execute(sa.select(OLD).order_by(OLD.c.id))]
    op.drop_table('summary')
    op.create_table(
        'summary',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('period', sa.String(length=10), nullable=False),
        sa.Column('first_day', sa.Date(), nullable=False),
        sa.Column('last_day', sa.Date(), nullable=False),
        sa.Column('definitions', sa.String(length=20), nullable=False),
        sa.Column('state', sa.String(length=9), nullable=False),
        sa.Column('figures', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('shown', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('texts', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('names', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('proposed_by_id', sa.Integer(), nullable=True),
        sa.Column('proposed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('approved_by_id', sa.Integer(), nullable=True),
        sa.Column('approved_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('published_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('published_by_id', sa.Integer(), nullable=True),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint(one_of('state', STATES), name=op.f('ck_summary_state')),
        sa.CheckConstraint(
            "state <> 'published' OR published_at IS NOT NULL", name=op.f('ck_summary_published_on_a_day')
        ),
        sa.CheckConstraint(
            "state NOT IN ('proposed', 'approved') OR proposed_by_id IS NOT NULL",
            name=op.f('ck_summary_proposed_by_one'),
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR approved_by_id IS NOT NULL", name=op.f('ck_summary_approved_by_one')
        ),
        sa.CheckConstraint(
            'approved_by_id IS NULL OR proposed_by_id IS NULL OR approved_by_id <> proposed_by_id',
            name=op.f('ck_summary_two_people'),
        ),
        sa.ForeignKeyConstraint(['proposed_by_id'], ['staff.id'], name=op.f('fk_summary_proposed_by_id_staff')),
        sa.ForeignKeyConstraint(['approved_by_id'], ['staff.id'], name=op.f('fk_summary_approved_by_id_staff')),
        sa.ForeignKeyConstraint(['published_by_id'], ['staff.id'], name=op.f('fk_summary_published_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_summary')),
        sa.UniqueConstraint('period', name=op.f('uq_summary_period')),
    )
    for row in rows:
        row['shown'] = in_the_new_shape(row['shown'])
        row |= {'state': 'published', 'texts': {}, 'names': [], 'made_at': row['published_at'], 'digest': '', 'version': 1}
    write(NEW, rows)
    op.create_table(
        'summary_counted',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('summary_id', sa.Integer(), nullable=False),
        sa.Column('figure', sa.String(length=40), nullable=False),
        sa.Column('part', sa.String(length=40), nullable=False),
        sa.Column('files', sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(['summary_id'], ['summary.id'], name=op.f('fk_summary_counted_summary_id_summary')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_summary_counted')),
        sa.UniqueConstraint('summary_id', 'figure', 'part', name=op.f('uq_summary_counted_summary_id_figure_part')),
    )
    op.create_index(op.f('ix_summary_counted_summary_id'), 'summary_counted', ['summary_id'])
    op.create_table(
        'summary_file',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('summary_id', sa.Integer(), nullable=False),
        sa.Column('format', sa.String(length=4), nullable=False),
        sa.Column('language', sa.String(length=2), nullable=False),
        sa.Column('table', sa.String(length=40), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('size', sa.Integer(), nullable=False),
        sa.Column('content', sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(one_of('format', ('pdf', 'xlsx', 'csv', 'json', 'svg')), name=op.f('ck_summary_file_format')),
        sa.ForeignKeyConstraint(['summary_id'], ['summary.id'], name=op.f('fk_summary_file_summary_id_summary')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_summary_file')),
        sa.UniqueConstraint('summary_id', 'format', 'language', 'table', name=op.f('uq_summary_file_summary_id_format_language_table')),
    )
    op.create_index(op.f('ix_summary_file_summary_id'), 'summary_file', ['summary_id'])


def downgrade() -> None:
    op.drop_table('summary_file')
    op.drop_table('summary_counted')
    published = sa.select(*(NEW.c[name] for name in KEPT)).where(NEW.c.state == 'published', sa.func.length(NEW.c.period) <= 7, NEW.c.published_by_id.isnot(None))
    rows = [row._asdict() for row in op.get_bind().execute(published.order_by(NEW.c.id))]
    op.drop_table('summary')
    op.create_table(
        'summary',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('period', sa.String(length=7), nullable=False),
        sa.Column('first_day', sa.Date(), nullable=False),
        sa.Column('last_day', sa.Date(), nullable=False),
        sa.Column('definitions', sa.String(length=20), nullable=False),
        sa.Column('figures', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('shown', sa.JSON(none_as_null=True), nullable=False),
        sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('published_by_id', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['published_by_id'], ['staff.id'], name=op.f('fk_summary_published_by_id_staff')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_summary')),
        sa.UniqueConstraint('period', name=op.f('uq_summary_period')),
    )
    for row in rows:
        row['shown'] = in_the_old_shape(row['shown'])
    write(OLD, rows)


def one_of(column: str, values: tuple[str, ...]) -> str:
    return f'{column} IN ({", ".join(repr(value) for value in values)})'


def write(table: sa.TableClause, rows: list[dict]) -> None:
    if not rows:
        return
    op.get_bind().execute(table.insert(), rows)
    if op.get_bind().dialect.name == 'postgresql':
        op.execute("SELECT setval(pg_get_serial_sequence('summary', 'id'), (SELECT max(id) FROM summary))")


def in_the_new_shape(shown: dict) -> dict:
    """The six figures of the first form, as a release of the second. A count that was hidden was small; the rest says only that it is hidden."""
    small = {code: as_small(shown[code]) for code in ('received', 'active', 'sent')}
    figures = {
        'received': small['received'],
        'first_reply': as_masked(shown['median_reply']) | DAYS,
        'no_next_step_count': as_masked(shown['no_next_step']),
        'sent': small['sent'],
        'accepted': as_masked(shown['acceptance']) | PERCENT,
    }
    stages = {stage: as_masked(cell) for stage, cell in shown['stages'].items()}
    tables = {'active': {'total': small['active'], 'cells': stages}}
    return {'form': 1, 'k': 5, 'figures': figures, 'tables': tables, 'year': None}


def as_small(cell: dict) -> dict:
    return {'hidden': 'small'} if cell.get('hidden') else cell


def as_masked(cell: dict) -> dict:
    return {'hidden': 'masked'} if cell.get('hidden') else cell


def in_the_old_shape(shown: dict) -> dict:
    figures, active = shown['figures'], shown['tables']['active']
    return {
        'received': as_before(figures['received']),
        'stages': {stage: as_before(cell) for stage, cell in (active['cells'] or {}).items()},
        'active': as_before(active['total']),
        'sent': as_before(figures['sent']),
        'acceptance': as_before(figures['accepted']),
        'median_reply': as_before(figures['first_reply']),
        'no_next_step': as_before(figures.get('no_next_step_count', {'hidden': True})),
    }


def as_before(cell: dict) -> dict:
    return {'hidden': True} if cell.get('hidden') else {name: cell[name] for name in ('value', 'empty') if name in cell}
