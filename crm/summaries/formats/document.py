"""A summary as PDF: tagged, in its language, with fonts inside. Typst makes it from data alone: nothing of a text is read as markup, and
no address and no file but its own template is opened.
"""

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crm.summaries.content import Report
from crm.texts import text

_TEMPLATE = Path(__file__).parent / "summary.typ"


class TypstError(Exception):
    """The document cannot be made: a sign that no font holds, for one."""


def document(report: Report, charts: Mapping[str, str], made_at: datetime, by: str, closing: str) -> bytes:
    """The bytes of a PDF/UA-1. `charts` are SVG by table; `by` is who publishes, `closing` what the last page says. Raises TypstError."""
    import typst  # noqa: PLC0415 - read only when a summary is published

    given: dict[str, Any] = {
        "language": report.language,
        "title": report.title,
        "heading": text("summaries.pdf.heading"),
        "by": by,
        "days": report.days,
        "three": list(report.three),
        "three_title": text("summaries.pdf.three"),
        "written": [{"title": title, "blocks": list(blocks)} for title, blocks in report.written],
        "parts": [
            {
                "title": part.title,
                "lines": [_line(line) for line in part.lines],
                "grids": [_grid(grid, charts.get(grid.code)) for grid in part.grids],
                "year": report.year if part.code in {"answers", "closings"} else "",
            }
            for part in report.parts
        ],
        "no_year": report.year if not any(part.code == "answers" for part in report.parts) else "",
        "definitions_title": text("summaries.sheet.definitions"),
        "definitions": [{"name": f"{number}. {name}", "how": how} for number, name, how in report.definitions],
        "notes": [*report.notes, closing],
        "heads": {
            name: text(f"summaries.head.{name}")
            for name in ("indicator", "result", "year_ago", "rolling", "category", "amount", "total")
        },
        "year": made_at.astimezone(UTC).year,
        "month": made_at.astimezone(UTC).month,
        "day": made_at.astimezone(UTC).day,
    }
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # the only folder that the template could read: it is empty but for itself
        main = Path(folder) / "summary.typ"
        main.write_bytes(_TEMPLATE.read_bytes())
        try:
            made = typst.compile(
                str(main),
                root=folder,
                sys_inputs={"data": json.dumps(given, ensure_ascii=False)},
                ignore_system_fonts=True,
                pdf_standards=["ua-1"],
                timestamp=int(made_at.timestamp()),
            )
        except typst.TypstError as error:
            raise TypstError(str(error)) from error
    return bytes(made)


def _line(line: Any) -> dict[str, Any]:
    said = line.said + (f" ({line.amount_said})" if line.amount_said else "")
    return {
        "name": line.name,
        "said": said,
        "without": line.without_said,
        "before": line.before_said,
        "rolling": line.rolling_said,
    }


def _grid(grid: Any, svg: str | None) -> dict[str, Any]:
    return {
        "name": grid.name,
        "sentence": grid.sentence,
        "rows": [{"name": row.name, "said": row.said, "amount": row.amount_said} for row in grid.rows],
        "total": grid.total_said if grid.unit == "count" else "",
        "value": text("summaries.head.value" if grid.unit == "count" else "summaries.head.share"),
        "amounts": grid.has_amounts,
        "svg": svg or "",
    }
