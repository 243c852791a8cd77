"""A summary as people read it, in one language: what all formats show, from what was released alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from crm.i18n import format_amount, format_date, format_number, language
from crm.summaries.figures import NUMBERS
from crm.summaries.periods import Kind, Period
from crm.summaries.release import FIELDS, YEARLY, Released
from crm.summaries.suppression import OTHER, Cell
from crm.texts import label, text

# The parts of a summary, each with its figures and its tables, in the order in which they are read.
PARTS: Mapping[str, tuple[str, ...]] = {
    "requests": ("received", "first_reply", "on_time", "reached"),
    "answers": ("by_region", "by_language", "by_field", "by_stage", "by_form", "heard"),
    "follow_up": ("exchanges", "no_next_step_count", "no_next_step", "steps_on_time", "active"),
    "referrals": ("sent", "sent_files", "accepted", "body_reply", "assistance", "sent_by_kind", "sent_by_body"),
    "needs": ("unmet", "unmet_by_need"),
    "money": ("filed", "granted", "granted_files", "approval", "granted_by_instrument"),
    "projects": ("launched", "still_active", "not_reached", "to_launch", "incorporated"),
    "closings": ("closed_by_reason", "left_out"),
    "awareness": ("activities", "participants", "groups", "group_participants", "bodies_present"),
}
WRITTEN = ("text", "learned", "missing")  # what the team writes
MOST_PARAGRAPHS = 5
# What the categories of a table are called.
CATEGORIES = {
    "by_region": "cases.region",
    "by_language": "cases.language",
    "by_field": "cases.sector",
    "by_stage": "cases.project_stage",
    "by_form": "cases.legal_form",
    "heard": "cases.heard",
    "active": "cases.stage",
    "sent_by_kind": "partners.kind",
    "unmet_by_need": "cases.need",
    "granted_by_instrument": "partners.instrument",
    "incorporated": "cases.legal_form",
    "closed_by_reason": "cases.closing_reason",
    "left_out": "cases.closing_reason",
}
_GROUPS = frozenset({OTHER, "without", "quebec", "elsewhere", "awareness", *FIELDS})


@dataclass(frozen=True)
class Line:
    """A figure: `said` is its value in words, `value` the same as a number where there is one. `amount` is in cents."""

    code: str
    number: int
    name: str
    how: str
    said: str
    value: float | None
    unit: str
    amount_said: str = ""
    amount: int | None = None
    without_said: str = ""
    without: int | None = None
    before_said: str = ""
    before: float | None = None
    rolling_said: str = ""
    rolling: float | None = None
    was: float | None = None  # of a figure of an earlier period that is told again: what was published of it


@dataclass(frozen=True)
class Row:
    """A category of a table. `share` is of the total, from 0 to 1, where both are told."""

    code: str
    name: str
    said: str
    value: int | None
    amount_said: str = ""
    amount: int | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Grid:
    """A table with its total; `sentence` is what it shows, in words."""

    code: str
    number: int
    name: str
    how: str
    sentence: str
    rows: Sequence[Row]
    total_said: str
    total: int | None
    has_amounts: bool = False
    unit: str = "count"
    days: tuple[str, str] | None = None  # the first and the last, ISO, of a table of twelve months


@dataclass(frozen=True)
class Part:
    code: str
    title: str
    lines: Sequence[Line] = ()
    grids: Sequence[Grid] = ()


@dataclass(frozen=True)
class Report:
    """A summary in one language. `three` are what matters first; `written` what the team wrote, by title."""

    language: str
    title: str
    days: str
    three: Sequence[str]
    written: Sequence[tuple[str, Sequence[str]]]
    parts: Sequence[Part]
    year: str
    notes: Sequence[str] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        return [line for part in self.parts for line in part.lines]

    @property
    def definitions(self) -> list[tuple[int, str, str]]:
        """Number, name and how it is counted, of each figure and table."""
        found = [(one.number, one.name, one.how) for one in self.lines if one.was is None]
        found += [(one.number, one.name, one.how) for one in self.grids]
        return sorted(found, key=lambda one: one[0])

    @property
    def grids(self) -> list[Grid]:
        return [grid for part in self.parts for grid in part.grids]


def report(period: Period, shown: Released, texts: Mapping[str, Mapping[str, str]]) -> Report:
    """What a summary says in the language spoken now."""
    parts = [
        Part(
            code,
            label("summaries.part_title", code),
            [_line(name, shown) for name in codes if name in shown["figures"]],
            [_grid(name, shown["tables"][name], shown) for name in codes if name in shown["tables"]],
        )
        for code, codes in PARTS.items()
    ]
    said = texts.get(language(), {})
    return Report(
        language(),
        period_name(period.code),
        text("summaries.days", first=format_date(period.first), last=format_date(period.last)),
        _three(shown),
        [(label("summaries.written", one), paragraphs(said[one])) for one in WRITTEN if said.get(one)],
        [part for part in (*parts, _revised(shown)) if part.lines or part.grids],
        _year(shown),
        [text("summaries.definition.hidden", k=shown["k"], most=shown["k"] - 1)],
    )


def paragraphs(words: str) -> list[str]:
    r"""What stands between empty lines.

    >>> paragraphs(" One.\n\n Two,\nstill two. \n\n\n")
    ['One.', 'Two,\nstill two.']
    """
    blocks = "\n".join(line.strip() for line in words.strip().splitlines()).split("\n\n")
    return [block.strip() for block in blocks if block.strip()]


def period_name(code: str) -> str:
    """Juillet à septembre 2026."""
    period = Period.read(code)
    if period is None:
        return code
    if period.kind is Kind.QUARTER:
        return text(f"summaries.quarter.{code[5:]}", year=period.first.year)
    if period.kind is Kind.YEAR and period.first.month == 1:
        return text("summaries.whole_year", year=period.first.year)
    return text("summaries.days", first=format_date(period.first), last=format_date(period.last))


def category(code: str, name: str, bodies: Mapping[str, str] | None = None) -> str:
    """What a category of a table is called. `bodies` are names by number, for the table of which the categories are a kind and a body of it."""
    if code == "sent_by_body" and "/" in name:
        kind, _slash, body = name.partition("/")
        body = label("summaries.group", "merged_bodies") if body == OTHER else (bodies or {}).get(body, body)
        return text("summaries.body_of_kind", body=body, kind=label("partners.kind", kind))
    if name in _GROUPS and not (name == "without" and code == "active"):
        return label("summaries.group", name)
    return label(CATEGORIES[code], name)


# --- cells -----------------------------------------------------------------------------------------------------------


def plain(cell: Cell, k: int = 5) -> str:
    """A cell as people read it: a number with its unit, "< 5" when it is small, "hidden", or "n/a"."""
    if "value" not in cell:
        if cell.get("hidden") == "small":
            return text("summaries.unit.small", k=k)
        return text("summaries.unit.hidden" if "hidden" in cell else "summaries.unit.empty")
    return measured(cell["value"], cell.get("unit", ""))


def measured(value: float, unit: str) -> str:
    """A number with its unit: percent, days, calendar days, an amount in cents, or nothing."""
    if unit == "percent":
        return text("summaries.unit.percent", value=format_number(value))
    if unit == "amount":
        return format_amount(int(value))
    if unit in {"days", "calendar"}:
        one = value < 2 if language() == "fr" else value == 1
        return text(f"summaries.unit.{unit}_{'one' if one else 'many'}", value=format_number(value))
    return format_number(value)


def _line(code: str, shown: Released) -> Line:
    k, cell = shown["k"], shown["figures"][code]
    money = shown["figures"].get(f"{code}_amount")
    compared = shown.get("compared", {})
    before, rolling = compared.get("before", {}).get(code), compared.get("rolling", {}).get(code)
    without = cell.get("without")
    return Line(
        code,
        NUMBERS[code.removesuffix("_count")],
        label("summaries.indicator", code),
        label("summaries.counted_as", code),
        plain(cell, k),
        cell.get("value"),
        cell.get("unit", "count"),
        plain(money) if money and "empty" not in money else "",
        money.get("value") if money else None,
        text("summaries.without", number=plain(without)) if without and without.get("value") else "",
        without.get("value") if without else None,
        plain(before, compared.get("k", k)) if before else "",
        before.get("value") if before else None,
        plain(rolling, k) if rolling else "",
        rolling.get("value") if rolling else None,
    )


def _revised(shown: Released) -> Part:
    """What is told again of earlier periods, as a part of its own."""
    lines = [
        Line(
            f"{one['figure']}@{one['period']}",
            NUMBERS[one["figure"]],
            text(
                "summaries.revised.name",
                name=label("summaries.indicator", one["figure"]),
                period=period_name(one["period"]),
            ),
            text("summaries.revised.how"),
            revised_said(one),
            one["now"],
            "count",
            was=one["was"],
        )
        for one in shown.get("revised", ())
    ]
    return Part("revised", label("summaries.part_title", "revised"), lines)


def revised_said(one: Mapping[str, Any]) -> str:
    """A number that is told again, with what was published and the difference."""
    difference = one["now"] - one["was"]
    sign = "+" if difference > 0 else "\u2212"
    return text(
        "summaries.revised.said",
        now=format_number(one["now"]),
        was=format_number(one["was"]),
        difference=f"{sign}{format_number(abs(difference))}",
    )


def _grid(code: str, table: Released, shown: Released) -> Grid:
    k, year = shown["k"], shown["year"]
    cells, amounts = table["cells"] or {}, table.get("amounts") or {}
    total = table["total"].get("value")
    bodies = {number: names[language()] for number, names in table.get("names", {}).items()}
    rows = [
        Row(
            name,
            category(code, name, bodies),
            plain(cell, k),
            cell.get("value"),
            plain(amounts[name]) if name in amounts else "",
            amounts.get(name, {}).get("value"),
            _share(cell, total),
        )
        for name, cell in cells.items()
    ]
    return Grid(
        code,
        NUMBERS[code],
        label("summaries.indicator", code),
        label("summaries.counted_as", code),
        _sentence(rows, table),
        rows,
        plain(table["total"], k),
        total,
        bool(amounts),
        "percent" if any(cell.get("unit") == "percent" for cell in cells.values()) else "count",
        (year["first"], year["last"]) if year and code in YEARLY else None,
    )


def _share(cell: Cell, total: int | None) -> float:
    if "value" not in cell:
        return 0.0
    if cell.get("unit") == "percent":
        return float(cell["value"]) / 100
    return cell["value"] / total if total else 0.0


def _sentence(rows: Sequence[Row], table: Released) -> str:
    if table["cells"] is None:
        return text("summaries.sentence.withheld")
    told = [row for row in rows if row.value and row.code not in {OTHER, "without"}]
    if table["total"].get("value") == 0:
        return text("summaries.sentence.none")
    if not told:
        return text("summaries.sentence.hidden")
    first = max(told, key=lambda row: row.value or 0)
    if "value" not in table["total"]:
        return text("summaries.sentence.most_share", name=first.name, percent=first.said)
    return text(
        "summaries.sentence.most",
        name=first.name,
        number=first.said,
        total=plain(table["total"]),
        percent=measured(int(first.share * 100 + 0.5), "percent"),
    )


def _year(shown: Released) -> str:
    """Over which twelve months the tables of requests and closings are, or that there are none this time."""
    if shown["form"] == 1:
        return ""
    if shown["year"] is None:
        return text("summaries.year.none")
    first, last = (date.fromisoformat(shown["year"][end]) for end in ("first", "last"))
    return text("summaries.year.days", first=format_date(first), last=format_date(last))


# --- the three things that matter first -------------------------------------------------------------------------------


def _three(shown: Released) -> list[str]:
    """What came in and how fast somebody answered; where files stand; what came of it."""
    return [sentence for sentence in (_came_in(shown), _stands(shown), _came_of_it(shown)) if sentence]


def _came_in(shown: Released) -> str:
    received, reply = shown["figures"]["received"], shown["figures"].get("first_reply", {})
    if "value" not in received:
        return text("summaries.first.few", k=shown["k"])
    said = _counted("summaries.first.received", received["value"])
    before = shown.get("compared", {}).get("before", {}).get("received", {})
    if "value" in before:
        said += text("summaries.first.a_year_ago", number=format_number(before["value"]))
    said += "."
    if "value" in reply:
        said += " " + text(
            "summaries.first.reply" if reply["value"] else "summaries.first.reply_at_once", days=plain(reply)
        )
    return said


def _stands(shown: Released) -> str:
    active = shown["tables"].get("active", {"total": {}, "cells": None})
    if "value" not in active["total"]:
        return ""
    said = _counted("summaries.first.active", active["total"]["value"])
    told = {
        stage: cell["value"]
        for stage, cell in (active["cells"] or {}).items()
        if cell.get("value") and stage != "paused"
    }
    if told:
        most = max(told, key=lambda stage: told[stage])
        said += text("summaries.first.stage", stage=label("cases.stage", most), number=format_number(told[most]))
    return said + "."


def _came_of_it(shown: Released) -> str:
    figures = shown["figures"]
    ways: Sequence[tuple[str, Callable[[Any], str]]] = (
        ("sent", lambda cell: _counted("summaries.first.sent", cell["value"])),
        ("accepted", lambda cell: text("summaries.first.accepted", percent=plain(cell))),
        ("granted_amount", lambda cell: text("summaries.first.granted", amount=plain(cell))),
        ("launched", lambda cell: _counted("summaries.first.launched", cell["value"])),
    )
    said = [say(figures[code]) for code, say in ways if figures.get(code, {}).get("value")]
    if not said:
        return ""
    sentence = "; ".join(said[:3]) + "."
    return sentence[0].upper() + sentence[1:]


def _counted(key: str, number: int) -> str:
    """A number of things in a sentence: none, or many; from one to four nothing is told."""
    return text(f"{key}_{'many' if number else 'none'}", number=format_number(number))
