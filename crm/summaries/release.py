"""What the committee reads of a period: all figures that are released together, by the rules of suppression. Pure.

What is released of a period is fixed, so that no two releases say the same thing of overlapping times: counts of the period's own days, states of
its last day, and once in twelve months the tables of the twelve months that end with it. Tables of twelve months that overlap would say
by their differences what each quarter holds (docs/adr/0023-what-a-summary-releases.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Any

from crm.summaries.figures import BY_AWARENESS, Amount, Figure, Median, Number, Rate, Table
from crm.summaries.periods import Period
from crm.summaries.suppression import (
    FEWEST,
    MASKED,
    OTHER,
    SMALLEST_DENOMINATOR,
    Cell,
    amount,
    count,
    is_small,
    merged,
    middle,
    part,
    rate,
    row,
)

FORM = 2  # of what is kept; summaries of the first form had six figures
Released = dict[str, Any]
# Tables that are released once in twelve months, and those of the period itself.
YEARLY = ("by_region", "by_language", "by_field", "by_stage", "by_form", "heard", "closed_by_reason", "left_out")
# Told as shares: their numbers, with files received and files active, would say how many were closed each quarter.
SHARES = frozenset({"closed_by_reason"})
FEWEST_BODIES = 2  # others of a body, at least, beside which it may read how many each was sent
PART_OF = {"sent_files": "sent", "granted_files": "granted"}  # a count, and the one that it is a part of
OWN = ("active", "sent_by_kind", "unmet_by_need", "granted_by_instrument", "incorporated")
# Of the team's own doing, and of bodies: nobody is counted, so nothing is hidden.
OF_THE_TEAM = frozenset({"activities", "groups", "bodies_present"})
# Figures that a later summary revises, those of earlier periods of its twelve months: no other number that is released follows from them, but
# the totals of tables of twelve months. The others wait: what they counted and what they count now would tell apart a few files.
REVISED = ("received", "activities", "participants", "groups", "group_participants", "bodies_present")
# Categories that are put together before anything is hidden. What is in none stays by itself.
MONTREAL, ELSEWHERE = "06", ("canada", "abroad")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "proximity": ("mobility", "delivery", "food", "commerce", "tourism"),
    "home": ("housing", "care", "health"),
    "culture": ("arts", "media", "education", "civic"),
    "transition": ("sharing", "circular", "energy"),
    "work": ("freelance", "finance"),
    "digital": ("data", "tools"),
}
_FIELD_OF = {field: group for group, fields in FIELDS.items() for field in fields}


@dataclass(frozen=True)
class Before:
    """A summary that was published: its days, its figures, and the days of its tables of twelve months, if it had them, with the requests
    that they are of. `revised` is what was told of earlier periods, by the first day and by figure.
    """

    first: date
    last: date
    figures: Mapping[str, Cell]
    year: tuple[date, date] | None = None
    in_year: int = 0
    revised: Mapping[tuple[date, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, first: date, last: date, shown: Released) -> "Before":
        year = shown.get("year")
        days = (date.fromisoformat(year["first"]), date.fromisoformat(year["last"])) if year else None
        requests = shown["tables"].get("by_language", {}).get("total", {}).get("value", 0) if days else 0
        revised = {(date.fromisoformat(one["first"]), one["figure"]): one["now"] for one in shown.get("revised", ())}
        return cls(first, last, shown["figures"], days, requests, revised)


Fresh = Mapping[
    date, tuple[str, Mapping[str, int]]
]  # what earlier periods count now, by their first day, each with its code


def released(
    found: Mapping[str, Figure],
    period: Period,
    stages: Sequence[str],
    before: Sequence[Before],
    k: int,
    *,
    fresh: Fresh | None = None,
) -> Released:
    """The release of a period, of its figures and of what was released before. `stages` are those that a file may be active in."""
    figures: dict[str, Cell] = {}
    tables: dict[str, Released] = {}
    for code, figure in found.items():
        if code in OWN:
            tables[code] = _own_table(code, figure, stages, k)
        elif code not in YEARLY and code not in {"closed", "from_awareness", "sent_by_body"}:
            figures[code] = _figure(code, figure, found, k)
            if isinstance(figure, Amount):
                amount_ = _money(figure, k) if "value" in figures[code] else dict(MASKED)
                figures[f"{code}_amount"] = amount_ | {"unit": "amount"}
    by_body = _by_body(found["sent_by_body"], tables["sent_by_kind"], k)
    if by_body["cells"]:
        tables["sent_by_body"] = by_body
    year = _year(found, period, before, figures["received"], k)
    previous = next((one for one in before if one.last == period.previous.last), None)
    _hide_what_betrays({"figures": figures, "tables": tables}, found, previous.figures if previous else {}, k)
    if not year or not _known_to_be_enough(figures, period, before, k):
        figures.pop("to_launch")
    for code in YEARLY if year else ():
        tables[code] = (_shares if code in SHARES else _table)(_grouped(code, found[code]), k)
    shown: Released = {"form": FORM, "k": k, "figures": figures, "tables": tables, "year": year}
    revised = revisions(fresh or {}, before, period, shown)
    if previous is not None:
        now = [
            one["now"] for one in revised if one["first"] == previous.first.isoformat() and one["figure"] == "received"
        ]
        _hide_late_entries(figures, found, [*told_ever(previous, before, "received"), *now])
    return shown | {"revised": revised}


def _hide_late_entries(figures: dict[str, Cell], found: Mapping[str, Figure], told: Sequence[int]) -> None:
    """The rate of people reached is of all requests of the period before, those that were entered late among them: it is told only when that
    number was, for beside another one it would say how few these were.
    """
    reached = found["reached"]
    assert isinstance(reached, Rate)  # noqa: S101
    if told and reached.whole.value not in told:
        figures["reached"] = {"unit": "percent"} | MASKED


def _figure(code: str, figure: Figure, found: Mapping[str, Figure], k: int) -> Cell:
    match figure:
        case Rate():
            return rate(figure.part.value, figure.whole.value, k) | {"unit": "percent"}
        case Median():
            unit = "calendar" if code == "to_launch" else "days"
            # How many had no answer is a part of a whole that was published, so it is told under the same rules.
            whole = len(figure.values) + figure.without.value
            return middle(figure.value, len(figure.values), k) | {
                "unit": unit,
                "without": part(figure.without.value, whole, k),
            }
        case Number() if code in OF_THE_TEAM:
            return {"value": figure.value}
        case _ if code in PART_OF:
            return part(_size(figure), _size(found[PART_OF[code]]), k)
        case _ if code == "not_reached":
            reached = found["still_active"]
            whole = _size(figure) + (reached.whole.value if isinstance(reached, Rate) else 0)
            return part(_size(figure), whole, k)
        case _:
            return count(_size(figure), k)


def _size(figure: Figure) -> int:
    """How many there are of what a figure counts."""
    assert not isinstance(figure, Rate | Median)  # noqa: S101
    return figure.value


def _hide_what_betrays(shown: Released, found: Mapping[str, Figure], last: Mapping[str, Cell], k: int) -> None:
    """Mask what would tell another number by what readers know beside it. A percentage of a small whole often has one solution in whole
    numbers, so a rate counts as telling its part and its whole. `last` are the figures that were released of the period before.
    """
    figures, hold = shown["figures"], {"unit": "percent"} | MASKED
    stages = shown["tables"]["active"]["cells"]
    if stages is None or "value" not in stages.get("paused", {"value": 0}):
        figures["no_next_step"] = dict(hold)  # of active files less those on hold
    if "value" not in figures["not_reached"]:
        figures["still_active"] = dict(hold)  # of those launched a year earlier less those not reached
    replied, in_time = found["first_reply"], found["on_time"]
    assert isinstance(replied, Median) and isinstance(in_time, Rate)  # noqa: S101, PT018
    if is_small(len(replied.values) - in_time.part.value, k):
        figures["first_reply"]["without"] = dict(
            MASKED
        )  # late replies are what is neither in time nor without an answer
    accepted = found["accepted"]
    assert isinstance(accepted, Rate)  # noqa: S101
    if is_small(abs(last.get("sent", {}).get("value", 0) - accepted.whole.value), k):
        figures["accepted"] = dict(hold)  # withdrawn ones are those sent less those it is a share of
    if "value" in last.get("accepted", {}):
        figures["body_reply"]["without"] = dict(MASKED)  # the same referrals: refused ones are what is neither
    for code in ("first_reply", "body_reply"):
        median = found[code]
        assert isinstance(median, Median)  # noqa: S101
        whole = len(median.values) + median.without.value
        if "value" not in figures[code]["without"] and whole - max(FEWEST, k) < k - 2:
            figures[code] |= MASKED  # a median that is told says that enough answered, so that few are left
            figures[code].pop("value", None)


def _known_to_be_enough(figures: Mapping[str, Cell], period: Period, before: Sequence[Before], k: int) -> bool:
    """Whether readers know from what is published that enough projects were launched in twelve months for a median: that there is none then
    tells nothing.
    """
    first, last = period.rolling_days
    launched = [one.figures.get("launched", {}) for one in before if first <= one.first and one.last <= last]
    known: int = sum(cell.get("value", 1 if "hidden" in cell else 0) for cell in [*launched, figures["launched"]])
    return known >= max(FEWEST, k)


def _money(figure: Amount, k: int) -> Cell:
    by_file: dict[int, int] = {}
    for file, cents in figure.parts:
        by_file[file] = by_file.get(file, 0) + cents
    return amount(by_file, figure.cents, k) | {"unit": "amount"}


def _own_table(code: str, figure: Figure, stages: Sequence[str], k: int) -> Released:
    assert isinstance(figure, Table)  # noqa: S101
    sizes = {name: cell.value for name, cell in figure.cells.items()}
    if code == "active":
        total = sum(sizes.values())
        cells = row({stage: sizes.get(stage, 0) for stage in stages}, k) if not is_small(total, k) else None
        return {"total": count(total, k), "cells": cells}
    table = _table(sizes | ({"without": figure.without.value} if figure.without.value else {}), k)
    if code == "granted_by_instrument" and table["cells"]:
        table["amounts"] = _amounts(figure, table["cells"], k)
    return table


def _by_body(figure: Figure, by_kind: Released, k: int) -> Released:
    """Referrals by body, of those kinds of bodies that are told. The rows of a kind are all of its number, so that beside the table of kinds they
    tell nothing more; what is left of the total is one row. Readers are at these bodies and know their own number, and what they answered: a kind
    is told by body only where a row of several, less the number of any one of them, is not small; and nothing is, unless the others of any
    body are several that were sent enough for a rate, which is what that body learns of them when the answers of all are told.
    """
    assert isinstance(figure, Table)  # noqa: S101
    by_body: dict[str, int] = {}
    for name, cell in figure.cells.items():
        body = name.partition("/")[2]
        by_body[body] = by_body.get(body, 0) + cell.value
    others = [sum(by_body.values()) - own for own in by_body.values()]
    cells: dict[str, Cell] = {}
    if len(by_body) <= FEWEST_BODIES or min(others) < SMALLEST_DENOMINATOR:
        return {"total": by_kind["total"], "cells": cells}
    for kind in by_kind["cells"] or {}:
        of_kind = {name: cell.value for name, cell in figure.cells.items() if name.startswith(f"{kind}/")}
        shown = merged(of_kind, k) or {}
        together = [value for name, value in of_kind.items() if name not in shown]
        if any(is_small(sum(together) - own, k) for own in together):
            continue
        for name, value in shown.items():
            cells[f"{kind}/{OTHER}" if name == OTHER else name] = {"value": value}
    left = by_kind["total"].get("value", 0) - sum(cell["value"] for cell in cells.values())
    if cells and left:
        cells[OTHER] = {"value": left}
    return {"total": by_kind["total"], "cells": cells}


def _table(sizes: Mapping[str, int], k: int) -> Released:
    """A table with its total; its cells are none when the total is all that can be told."""
    total = sum(sizes.values())
    cells = None if is_small(total, k) else merged(sizes, k)
    return {
        "total": count(total, k),
        "cells": None if cells is None else {name: {"value": n} for name, n in cells.items()},
    }


def _shares(sizes: Mapping[str, int], k: int) -> Released:
    """A table of shares of a total that is not told."""
    total = sum(sizes.values())
    cells = merged(sizes, k) if total >= SMALLEST_DENOMINATOR else None
    untold = {"value": 0} if total == 0 else dict(MASKED)
    shown = None if cells is None else {name: rate(n, total, k) | {"unit": "percent"} for name, n in cells.items()}
    return {"total": untold, "cells": shown}


def _amounts(figure: Table, shown: Mapping[str, Cell], k: int) -> dict[str, Cell]:
    """The amount of each cell that is shown: all of them or none, since a single one that is missing is what the total has more."""
    amounts: dict[str, Cell] = {}
    for name in shown:
        kept = [cell for code, cell in figure.cells.items() if code == name or (name == OTHER and code not in shown)]
        parts = tuple(one for cell in kept if isinstance(cell, Amount) for one in cell.parts)
        amounts[name] = _money(Amount(parts), k)
    if any("value" not in cell for cell in amounts.values()):
        return {name: dict(MASKED) | {"unit": "amount"} for name in shown}
    return amounts


def _grouped(code: str, figure: Figure) -> dict[str, int]:
    """A table's categories put together, with those that gave no answer."""
    assert isinstance(figure, Table)  # noqa: S101
    sizes: dict[str, int] = {}
    for name, cell in figure.cells.items():
        group = _group(code, name)
        sizes[group] = sizes.get(group, 0) + cell.value
    most_first = dict(sorted(sizes.items(), key=lambda one: (-one[1], one[0])))
    return most_first | ({"without": figure.without.value} if figure.without.value else {})


def put_together(code: str, figure: Figure, cells: Mapping[str, Cell]) -> dict[str, tuple[int, ...]]:
    """The files of those shown cells of a table that hold several categories."""
    if not isinstance(figure, Table):
        return {}
    found: dict[str, tuple[int, ...]] = {}
    categories = dict(figure.cells) | ({"without": figure.without} if figure.without.files else {})
    for name, cell in categories.items():
        group = _group(code, name)
        shown = next((one for one in (group, f"{group.partition('/')[0]}/{OTHER}") if one in cells), OTHER)
        if shown in cells and shown != name:
            found[shown] = (*found.get(shown, ()), *cell.files)
    for name in found.keys() & categories.keys():  # a group called like one of its categories
        found[name] = (*found[name], *categories[name].files)
    return found


def _group(code: str, name: str) -> str:
    if code == "by_region":
        return name if name == MONTREAL else "elsewhere" if name in ELSEWHERE else "quebec"
    if code == "by_field":
        return _FIELD_OF.get(name, name)
    if code == "heard":
        return "awareness" if name in BY_AWARENESS else name
    return name


def told_ever(one: Before, before: Sequence[Before], code: str) -> list[int]:
    """All numbers that were published of a period's figure, the newest last; none when it was hidden."""
    numbers = [one.figures.get(code, {}).get("value")]
    numbers += [later.revised.get((one.first, code)) for later in sorted(before, key=lambda other: other.last)]
    told = [number for number in numbers if number is not None]
    return told if numbers[0] is not None else []


def revisions(fresh: Fresh, before: Sequence[Before], period: Period, shown: Released) -> list[dict[str, Any]]:
    """What is told of earlier periods that count otherwise now. A number that differs by 1 to k-1 from any that was told of the same waits until
    it has grown, and so does one that would leave as few in a table of twelve months.
    """
    k = shown["k"]
    told = {(one.first, one.last): told_ever(one, before, "received") for one in before}
    told[period.first, period.last] = [
        number for number in (shown["figures"]["received"].get("value"),) if number is not None
    ]
    these = Before.of(period.first, period.last, shown)
    years = [(one.year, one.in_year) for one in (*before, these) if one.year is not None]
    found = []
    for one in sorted(before, key=lambda other: other.first):
        code_of_period, counts = fresh.get(one.first, ("", {}))
        for code in REVISED:
            ever = told_ever(one, before, code)
            if not ever or code not in counts or counts[code] == ever[-1]:
                continue
            now = counts[code]
            if code not in OF_THE_TEAM:
                if "value" not in count(now, k) or any(is_small(abs(now - number), k) for number in ever):
                    continue
                if code == "received":
                    after = told | {(one.first, one.last): [*ever, now]}
                    if any(_leaves_few(days, total, after, k) for days, total in years):
                        continue
                    told = after
            entry = {
                "period": code_of_period,
                "first": one.first.isoformat(),
                "figure": code,
                "was": ever[-1],
                "now": now,
            }
            found.append(entry)
    return found


def _leaves_few(days: tuple[date, date], total: int, told: Mapping[tuple[date, date], Sequence[int]], k: int) -> bool:
    """Whether the total of a table of twelve months, less what was ever told of the periods in it, is a small count."""
    inside = [numbers for (first, last), numbers in told.items() if days[0] <= first and last <= days[1]]
    return any(is_small(abs(total - sum(numbers)), k) for numbers in product(*inside))


def _year(
    found: Mapping[str, Figure], period: Period, before: Sequence[Before], received: Cell, k: int
) -> dict[str, str] | None:
    """The days of the twelve months of which this release has tables; none when some of them were in such tables before, or when the
    total of the tables, less what the quarters said, would give a small count away.
    """
    first, last = period.rolling_days
    if any(one.year is not None and one.year[0] <= last and one.year[1] >= first for one in before):
        return None
    in_it = [one for one in before if first <= one.first and one.last <= last]
    told = {(one.first, one.last): told_ever(one, before, "received") for one in in_it}
    if "value" not in received or not all(told.values()):
        return None
    told[period.first, period.last] = [received["value"]]
    requests = found["by_language"]
    assert isinstance(requests, Table)  # noqa: S101
    total = requests.value + requests.without.value
    # Requests of quarters that were not published, or that were entered late, or taken away since.
    if _leaves_few((first, last), total, told, k):
        return None
    return {"first": first.isoformat(), "last": last.isoformat()}
