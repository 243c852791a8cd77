"""A summary as JSON, in both languages at once. Its schema is published with it (`schema.json`)."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from crm.summaries.content import Grid, Line, Report

SCHEMA = "passerelle-summary-1"
_SCHEMA_FILE = Path(__file__).parent / "schema.json"


def schema() -> str:
    """The published schema, as text."""
    return _SCHEMA_FILE.read_text(encoding="utf-8")


def data(reports: Mapping[str, Report], first: date, last: date, definitions: str, code: str) -> bytes:
    """The same report in each language, as one document. What is not told has no value, and says why in words."""
    one = next(iter(reports.values()))
    document = {
        "format": SCHEMA,
        "period": {"code": code, "first": first.isoformat(), "last": last.isoformat()},
        "definitions": definitions,
        "title": {lang: report.title for lang, report in reports.items()},
        "highlights": {lang: list(report.three) for lang, report in reports.items()},
        "written": {
            lang: [{"title": title, "paragraphs": list(blocks)} for title, blocks in report.written]
            for lang, report in reports.items()
        },
        "figures": [
            _figure({lang: report.lines[place] for lang, report in reports.items()}) for place in range(len(one.lines))
        ],
        "tables": [
            _table({lang: report.grids[place] for lang, report in reports.items()}) for place in range(len(one.grids))
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _figure(lines: Mapping[str, Line]) -> dict[str, Any]:
    line = next(iter(lines.values()))
    return {
        "code": line.code,
        "indicator": line.number,
        "name": {lang: one.name for lang, one in lines.items()},
        "definition": {lang: one.how for lang, one in lines.items()},
        "unit": line.unit,
        "value": line.value,
        "said": {lang: one.said for lang, one in lines.items()},
        "amount_cents": line.amount,
        "without": line.without,
        "year_ago": line.before,
        "rolling": line.rolling,
        "was": line.was,
    }


def _table(grids: Mapping[str, Grid]) -> dict[str, Any]:
    grid = next(iter(grids.values()))
    rows = [
        {
            "code": row.code,
            "name": {lang: one.rows[place].name for lang, one in grids.items()},
            "value": row.value,
            "amount_cents": row.amount,
        }
        for place, row in enumerate(grid.rows)
    ]
    return {
        "code": grid.code,
        "indicator": grid.number,
        "name": {lang: one.name for lang, one in grids.items()},
        "definition": {lang: one.how for lang, one in grids.items()},
        "unit": grid.unit,
        "first": grid.days[0] if grid.days else None,
        "last": grid.days[1] if grid.days else None,
        "total": grid.total,
        "rows": rows,
    }
