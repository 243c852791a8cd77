"""The tables of a summary as CSV, one file each; the figures are a table too."""

import io
from collections.abc import Iterable

from crm.sheets import Value, write_csv
from crm.summaries.content import Grid, Report
from crm.texts import text

FIGURES = "figures"  # the name of the table of single figures
SEPARATORS = {"fr": ";", "en": ","}


def tables(report: Report) -> Iterable[tuple[str, bytes]]:
    """Each table by its name, as bytes."""
    yield FIGURES, _written(report, figure_rows(report))
    for grid in report.grids:
        yield grid.code, _written(report, grid_rows(grid))


def _written(report: Report, rows: Iterable[tuple[Value, ...]]) -> bytes:
    out = io.BytesIO()
    write_csv(out, rows, SEPARATORS[report.language])
    return out.getvalue()


def head(name: str) -> str:
    return text(f"summaries.head.{name}")


def figure_rows(report: Report) -> Iterable[tuple[Value, ...]]:
    """The single figures. A value is a number in its own unit, or nothing where it is not told; how it is said stands beside it. Amounts are in dollars."""
    names = ("number", "indicator", "figure", "unit", "said", "amount", "without", "year_ago", "rolling", "how")
    yield tuple(head(name) for name in names)
    for line in report.lines:
        yield (
            line.number,
            line.name,
            number(line.value),
            text(f"summaries.measure.{line.unit}"),
            line.said,
            dollars(line.amount) if line.amount is not None else line.amount_said or None,
            line.without,
            number(line.before),
            number(line.rolling),
            line.how,
        )


def grid_rows(grid: Grid) -> Iterable[tuple[Value, ...]]:
    amounts = ("amount",) if grid.has_amounts else ()
    value = "value" if grid.unit == "count" else "share"
    yield tuple(head(name) for name in ("category", value, "said", *amounts))
    for row in grid.rows:
        said: tuple[Value, ...] = (row.name, row.value, row.said)
        yield (*said, dollars(row.amount)) if grid.has_amounts else said
    if grid.unit == "count":
        yield (head("total"), grid.total, grid.total_said, *((None,) if grid.has_amounts else ()))


def number(value: float | None) -> Value:
    """Whole when it is; half-days are told as a text that both kinds of spreadsheet read."""
    if value is None or value == int(value):
        return None if value is None else int(value)
    return str(value)


def dollars(cents: int | None) -> int | None:
    """Amounts are told to the hundred dollars, so no cent is lost."""
    return None if cents is None else cents // 100
