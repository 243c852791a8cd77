"""A summary as a workbook: figures, each table with its chart, definitions. Numbers are numbers, nothing is hidden and nothing runs."""

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from crm.sheets import plain
from crm.summaries.content import Grid, Report
from crm.summaries.formats.tables import dollars, head
from crm.texts import text

_FORMATS = {
    "title": {"bold": True, "font_size": 14},
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"},
    "wrap": {"text_wrap": True, "valign": "top"},
    "count": {"num_format": "#,##0", "valign": "top"},
    "percent": {"num_format": "0%", "valign": "top"},
    "days": {"num_format": "0.0", "valign": "top"},
    "amount": {"num_format": "#,##0 $", "valign": "top"},
    "bold": {"bold": True, "top": 1},
    "bold_count": {"bold": True, "top": 1, "num_format": "#,##0"},
}


_HEADS = ("number", "indicator", "figure", "unit", "said", "amount", "without", "year_ago", "rolling")


def workbook(report: Report, made_at: datetime) -> bytes:
    """The bytes of an XLSX file, the same each time for the same report and instant."""
    import xlsxwriter  # noqa: PLC0415 - read only when a summary is published

    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    book.set_properties({"title": report.title, "created": made_at.astimezone(UTC).replace(tzinfo=None)})
    styles = {name: book.add_format(how) for name, how in _FORMATS.items()}
    names: set[str] = set()
    _figures(book.add_worksheet(_sheet_name(text("summaries.sheet.figures"), names)), report, styles)
    for grid in report.grids:
        _grid(book, book.add_worksheet(_sheet_name(text(f"summaries.tab.{grid.code}"), names)), grid, styles)
    if report.written:
        _words(book.add_worksheet(_sheet_name(text("summaries.sheet.written"), names)), report, styles)
    _definitions(book.add_worksheet(_sheet_name(text("summaries.sheet.definitions"), names)), report, styles)
    book.close()
    return out.getvalue()


def _sheet_name(name: str, taken: set[str]) -> str:
    """What Excel takes for a name: 31 signs, each name once."""
    short = re.sub(r"[\[\]:*?/\\']", " ", name)[:31].strip()
    while short.casefold() in taken:
        short = f"{short[:28]} {len(taken)}"
    taken.add(short.casefold())
    return short


def _figures(sheet: Any, report: Report, styles: dict[str, Any]) -> None:
    sheet.write_string(0, 0, plain(report.title), styles["title"])
    sheet.write_string(1, 0, plain(report.days))
    for place, sentence in enumerate(report.three):
        sheet.write_string(2 + place, 0, plain(sentence))
    top = 4 + len(report.three)
    for place, name in enumerate(_HEADS):
        sheet.write_string(top, place, head(name), styles["head"])
    for row, line in enumerate(report.lines, top + 1):
        sheet.write_number(row, 0, line.number, styles["count"])
        sheet.write_string(row, 1, plain(line.name), styles["wrap"])
        _put(sheet, (row, 2), line.value, line.unit, styles)
        sheet.write_string(row, 3, text(f"summaries.measure.{line.unit}"), styles["wrap"])
        sheet.write_string(row, 4, plain(line.said), styles["wrap"])
        if line.amount is not None:
            sheet.write_number(row, 5, dollars(line.amount), styles["amount"])
        elif line.amount_said:
            sheet.write_string(row, 5, plain(line.amount_said), styles["wrap"])
        _put(sheet, (row, 6), line.without, "count", styles)
        _put(sheet, (row, 7), line.before, line.unit, styles)
        _put(sheet, (row, 8), line.rolling, line.unit, styles)
    for column, width in enumerate((5, 44, 12, 16, 22, 16, 16, 16, 16)):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(top + 1, 2)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _put(sheet: Any, cell: tuple[int, int], value: float | None, unit: str, styles: dict[str, Any]) -> None:
    if value is None:
        return
    style = styles["days" if unit in {"days", "calendar"} else unit]
    sheet.write_number(*cell, value / 100 if unit == "percent" else value, style)


def _grid(book: Any, sheet: Any, grid: Grid, styles: dict[str, Any]) -> None:
    sheet.write_string(0, 0, plain(grid.name), styles["title"])
    days = text("summaries.days_iso", first=grid.days[0], last=grid.days[1]) if grid.days else ""
    sheet.write_string(1, 0, plain(" ".join(part for part in (grid.sentence, days) if part)))
    of = "value" if grid.unit == "count" else "share"
    heads: Sequence[str] = ("category", of, "said", *(("amount",) if grid.has_amounts else ()))
    for place, name in enumerate(heads):
        sheet.write_string(3, place, head(name), styles["head"])
    last = 3
    for last, row in enumerate(grid.rows, 4):
        sheet.write_string(last, 0, plain(row.name), styles["wrap"])
        if row.value is not None:
            _put(sheet, (last, 1), row.value, grid.unit, styles)
        sheet.write_string(last, 2, plain(row.said), styles["wrap"])
        if row.amount is not None:
            sheet.write_number(last, 3, dollars(row.amount), styles["amount"])
        elif row.amount_said:
            sheet.write_string(last, 3, plain(row.amount_said), styles["wrap"])
    if grid.unit == "count":
        sheet.write_string(last + 1, 0, head("total"), styles["bold"])
        if grid.total is not None:
            sheet.write_number(last + 1, 1, grid.total, styles["bold_count"])
        sheet.write_string(last + 1, 2, plain(grid.total_said), styles["bold"])
    for column, width in enumerate((44, 12, 14, 16)):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(4, 1)
    sheet.fit_to_pages(1, 0)
    if sum(row.value is not None for row in grid.rows) > 1:
        _draw(book, sheet, grid, last)


def _draw(book: Any, sheet: Any, grid: Grid, last: int) -> None:
    """The table as bars, of the cells themselves: whoever corrects a copy sees it move."""
    drawn = book.add_chart({"type": "bar"})
    drawn.add_series(
        {
            "name": grid.name,
            "categories": [sheet.name, 4, 0, last, 0],
            "values": [sheet.name, 4, 1, last, 1],
            "fill": {"color": "#2F5D73"},
            "data_labels": {"value": True},
            "gap": 60,
        }
    )
    drawn.set_title({"name": grid.name, "name_font": {"size": 12}})
    drawn.set_legend({"none": True})
    drawn.set_y_axis({"reverse": True})
    drawn.set_x_axis({"visible": False, "major_gridlines": {"visible": False}, "min": 0})
    drawn.set_size({"width": 620, "height": 120 + 28 * len(grid.rows)})
    sheet.insert_chart(3, 5, drawn, {"description": plain(grid.sentence)})


def _words(sheet: Any, report: Report, styles: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 110)
    row = 0
    for title, blocks in report.written:
        sheet.write_string(row, 0, plain(title), styles["title"])
        for block in blocks:
            row += 1
            sheet.write_string(row, 0, plain(block), styles["wrap"])
        row += 2


def _definitions(sheet: Any, report: Report, styles: dict[str, Any]) -> None:
    for place, name in enumerate(("number", "indicator", "how")):
        sheet.write_string(0, place, head(name), styles["head"])
    for row, (number, name, how) in enumerate(report.definitions, 1):
        sheet.write_number(row, 0, number, styles["count"])
        sheet.write_string(row, 1, plain(name), styles["wrap"])
        sheet.write_string(row, 2, plain(how), styles["wrap"])
    below = 2 + len(report.definitions)
    for place, note in enumerate([note for note in (report.year, *report.notes) if note]):
        sheet.write_string(below + place, 2, plain(note), styles["wrap"])
    for column, width in enumerate((5, 44, 90)):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(1, 0)
    sheet.fit_to_pages(1, 0)
