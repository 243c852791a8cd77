"""The twenty-four indicators of a period. Pure: rows in, figures out. Domain reference, sections 17.1 and 17.2.

A figure keeps the number of the file that each thing it counts is of, so that a reader of the team reaches exactly those. What is published
keeps none of them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple, Protocol, TypeVar

from crm import clock
from crm.business_days import Calendar, business_days_between, in_force
from crm.summaries.periods import Period

DEFINITIONS = "2026-11"
ACCEPTED_WITHIN = timedelta(days=60)
ON_TIME = 3  # business days: the service standard
REACHED_WITHIN = 20  # business days
UNMET_AFTER = timedelta(days=60)
LONG_ENOUGH = 10  # minutes of a call that counts as a conversation
CHECKED_AFTER = 12  # months after the launch
BY_AWARENESS = frozenset({"incubator", "school", "event"})  # how somebody heard of us, of indicator 24
HUNDRED = 10_000  # cents: amounts are told to the nearest hundred dollars


# --- rows ------------------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """A request. `two_way_at` is the first time both sides spoke; codes are empty where nothing was answered."""

    file: int
    received_at: datetime
    first_reply_at: datetime | None = None
    two_way_at: datetime | None = None
    region: str = ""
    language: str = ""
    field: str = ""
    stage: str = ""
    form: str = ""
    heard: str = ""


class Talked(NamedTuple):
    """A meeting, or a call in which both sides spoke."""

    file: int
    happened_at: datetime
    meeting: bool
    minutes: int | None = None


class Stay(NamedTuple):
    """Where a file stood at the end of the last day. `held`: something makes sure that it is not forgotten."""

    file: int
    stage: str
    held: bool = True


class Step(NamedTuple):
    """A follow-up that was not cancelled, by the day for which it was first planned."""

    file: int
    first_due_on: date
    done_on: date | None = None


class Sent(NamedTuple):
    """A referral that was sent to a body, by its number, and when it said yes or no. `entry` is the number of the very entry of the directory: that of
    the body or of one of its local offices.
    """

    file: int
    sent_at: datetime
    kind: str = ""
    accepted_at: datetime | None = None
    declined_at: datetime | None = None
    withdrawn: bool = False
    body: int = 0
    entry: int = 0


class Begun(NamedTuple):
    """The first time that a body took a file on for technical assistance, or that the team began to assist it itself."""

    file: int
    at: datetime


class Needed(NamedTuple):
    """A need of a file that was active at the end of the last day. `met`: a body took it on, or the team answered it."""

    file: int
    need: str
    since: datetime
    met: bool = False


class Money(NamedTuple):
    """An application; amounts in cents. `decision` is "granted", "refused" or nothing, on `decided_on`."""

    file: int
    instrument: str
    filed_on: date | None = None
    asked: int | None = None
    decision: str = ""
    decided_on: date | None = None
    granted: int | None = None


class Built(NamedTuple):
    """What became of a project. `check` is what the check twelve months after the launch found: "active", "stopped", "unreached" or nothing."""

    file: int
    received_at: datetime
    form: str = ""
    incorporated_on: date | None = None
    launched_on: date | None = None
    check: str = ""


class Closed(NamedTuple):
    """A file that is closed; `counted` unless its reason is one that never counts."""

    file: int
    closed_at: datetime
    reason: str
    counted: bool = True


class Held(NamedTuple):
    """An activity that was held, in awareness or, as `group`, in a working group; `bodies` are the numbers of those that were present."""

    held_on: date
    participants: int
    group: bool = False
    bodies: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rows:
    """All that the figures of a period are made of. Rows that are of another time may be among them: they are not counted."""

    requests: Sequence[Request] = ()
    talked: Sequence[Talked] = ()
    stays: Sequence[Stay] = ()
    steps: Sequence[Step] = ()
    sent: Sequence[Sent] = ()
    begun: Sequence[Begun] = ()
    needs: Sequence[Needed] = ()
    money: Sequence[Money] = ()
    built: Sequence[Built] = ()
    closed: Sequence[Closed] = ()
    activities: Sequence[Held] = ()


# --- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many there are, each with the file that it is of."""

    files: tuple[int, ...] = ()

    @property
    def value(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Number:
    """A number of what is of no file."""

    value: int


@dataclass(frozen=True)
class Amount:
    """How many there are, and what they come to in cents, by file; one of which the amount is not known counts, and adds nothing."""

    parts: tuple[tuple[int, int], ...] = ()

    @property
    def files(self) -> tuple[int, ...]:
        return tuple(file for file, _cents in self.parts)

    @property
    def value(self) -> int:
        return len(self.parts)

    @property
    def cents(self) -> int:
        """The sum, to the nearest hundred dollars; half goes up.

        >>> Amount(((1, 1_234_999), (2, 0))).cents, Amount(((1, 1_235_000),)).cents
        (1230000, 1240000)
        """
        return (sum(cents for _file, cents in self.parts) + HUNDRED // 2) // HUNDRED * HUNDRED


def percent_of(part: int, whole: int) -> int | None:
    """Whole percent; none of nothing. Half goes up, as people round.

    >>> percent_of(1, 8), percent_of(0, 3), percent_of(0, 0)
    (13, 0, None)
    """
    return (200 * part + whole) // (2 * whole) if whole else None


@dataclass(frozen=True)
class Rate:
    """A part of a whole, in whole percent; none when there is no whole."""

    part: Count
    whole: Count

    @property
    def percent(self) -> int | None:
        return percent_of(self.part.value, self.whole.value)


@dataclass(frozen=True)
class Median:
    """The middle of what was waited, by file, rounded to half days; `without` are those that have no value."""

    values: tuple[tuple[int, float], ...] = ()
    without: Count = Count()

    @property
    def files(self) -> tuple[int, ...]:
        return tuple(file for file, _value in self.values)

    @property
    def value(self) -> float | None:
        return to_half(median(value for _file, value in self.values)) if self.values else None


@dataclass(frozen=True)
class Table:
    """What there is of each category, the most first; `without` are those of no category."""

    cells: Mapping[str, Count | Amount] = field(default_factory=dict)
    without: Count = Count()

    @property
    def value(self) -> int:
        """How many there are of some category."""
        return sum(cell.value for cell in self.cells.values())


Figure = Count | Number | Amount | Rate | Median | Table
# Which of the twenty-four indicators of the reference each figure belongs to.
NUMBERS: Mapping[str, int] = {
    "received": 1,
    "by_region": 2,
    "by_language": 2,
    "by_field": 2,
    "by_stage": 2,
    "by_form": 2,
    "heard": 3,
    "first_reply": 4,
    "on_time": 5,
    "reached": 6,
    "exchanges": 7,
    "active": 8,
    "no_next_step": 9,
    "steps_on_time": 10,
    "sent": 11,
    "sent_files": 11,
    "sent_by_kind": 11,
    "sent_by_body": 11,
    "accepted": 12,
    "body_reply": 13,
    "assistance": 14,
    "unmet": 15,
    "unmet_by_need": 15,
    "filed": 16,
    "granted": 17,
    "granted_files": 17,
    "granted_by_instrument": 17,
    "approval": 18,
    "incorporated": 19,
    "launched": 20,
    "still_active": 21,
    "not_reached": 21,
    "to_launch": 22,
    "closed": 23,
    "closed_by_reason": 23,
    "left_out": 23,
    "activities": 24,
    "participants": 24,
    "groups": 24,
    "group_participants": 24,
    "bodies_present": 24,
    "from_awareness": 24,
}

# The rows that the figures of each indicator are made of.
_KINDS: Mapping[int, tuple[str, ...]] = {
    **dict.fromkeys(range(1, 7), ("requests",)),
    7: ("talked",),
    **dict.fromkeys((8, 9), ("stays",)),
    10: ("steps",),
    **dict.fromkeys((11, 12, 13), ("sent",)),
    14: ("begun",),
    15: ("needs",),
    **dict.fromkeys((16, 17, 18), ("money",)),
    **dict.fromkeys((19, 20, 21, 22), ("built",)),
    23: ("closed",),
    24: ("activities", "requests"),
}


def kinds_of(code: str) -> tuple[str, ...]:
    """The kinds of rows that a figure is made of; none when there is no such figure."""
    return _KINDS[NUMBERS[code]] if code in NUMBERS else ()


def parts_of(figure: Figure) -> dict[str, tuple[int, ...]]:
    """The files of a figure by part, as `part_of` names them; parts of no file are left out."""
    match figure:
        case Rate():
            found = {"part": figure.part.files, "whole": figure.whole.files}
        case Table():
            found = {name: cell.files for name, cell in figure.cells.items()} | {"without": figure.without.files}
        case Median():
            found = {"": figure.files, "without": figure.without.files}
        case Count() | Amount():
            found = {"": figure.files}
        case Number():
            found = {}
    return {which: files for which, files in found.items() if files}


def numbers_of(figure: Figure) -> dict[str, Any]:
    """A figure without its files, as JSON keeps it."""
    match figure:
        case Rate():
            return {"part": figure.part.value, "whole": figure.whole.value}
        case Table():
            cells = {name: numbers_of(cell) for name, cell in figure.cells.items()}
            return {"cells": cells, "without": figure.without.value}
        case Median():
            return {"value": figure.value, "of": len(figure.values), "without": figure.without.value}
        case Amount():
            return {"value": figure.value, "cents": figure.cents}
        case Count() | Number():
            return {"value": figure.value}


def part_of(figure: Figure, which: str) -> Count | Amount | Median | None:
    """The part of a figure that a reader follows to its files: all of it, "part" or "whole" of a rate, "without" a value or a category, or
    the category of that name; None when there is no such part.
    """
    match figure:
        case Rate():
            return {"part": figure.part, "whole": figure.whole}.get(which)
        case Table():
            return figure.without if which == "without" else figure.cells.get(which)
        case Median() if which == "without":
            return figure.without
        case Count() | Amount() | Median() if not which:
            return figure
    return None


class _OfFile(Protocol):
    @property
    def file(self) -> int: ...


Row = TypeVar("Row", bound=_OfFile)


_FILE: Callable[[_OfFile], int] = attrgetter("file")


def counted(rows: Iterable[_OfFile]) -> Count:
    """Rows as a count, each with its file."""
    return Count(tuple(map(_FILE, rows)))


def by(rows: Iterable[Row], category: Callable[[Row], str]) -> Table:
    """Rows by category; an empty one is none."""
    found = grouped(rows, category)
    without = counted(found.pop("", ()))
    return Table({name: counted(found[name]) for name in _the_most_first(found)}, without)


def grouped(rows: Iterable[Row], category: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by category, in the order in which categories first come."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[category(row)].append(row)
    return dict(found)


def _the_most_first(found: Mapping[str, Sequence[object]]) -> list[str]:
    return sorted(found, key=lambda name: (-len(found[name]), name))


def totals(rows: Iterable[tuple[int, int | None]]) -> Amount:
    """Files with their cents as an amount; what is not known adds nothing."""
    return Amount(tuple((file, cents or 0) for file, cents in rows))


def once(files: Iterable[int]) -> Count:
    """Each file once, in the order in which they first come."""
    return Count(tuple(dict.fromkeys(files)))


# --- the twenty-four -------------------------------------------------------------------------------------------------


def figures_of(rows: Rows, period: Period, cut_off: datetime) -> dict[str, Figure]:
    """The figures of a period, by code, in the order of the reference. `cut_off` is the instant after which nothing counts."""
    return figures_by_part(lambda *_kinds: rows, period, cut_off)


def figures_by_part(read: Callable[..., Rows], period: Period, cut_off: datetime) -> dict[str, Figure]:
    """The same, of rows that `read` gives by their kinds: those of one part of the figures are let go before the next are read."""
    found: dict[str, Figure] = {}
    for kinds, count in _PARTS.items():
        found |= count(read(*kinds), period, cut_off)
    return {code: found[code] for code in NUMBERS}


def _requests(rows: Rows, period: Period, cut_off: datetime) -> dict[str, Figure]:
    bounds, previous, rolling = period.bounds, period.previous.bounds, period.rolling
    now = [one for one in rows.requests if within(one.received_at, bounds)]
    before = [one for one in rows.requests if within(one.received_at, previous)]
    year = [one for one in rows.requests if within(one.received_at, rolling)]
    answered = [one for one in now if one.first_reply_at is not None and one.first_reply_at < cut_off]
    calendar = in_force()
    waits = tuple((one.file, waited(one.received_at, one.first_reply_at, calendar)) for one in answered)
    replied = {one.file for one in answered}
    return {
        "received": counted(now),
        "by_region": by(year, attrgetter("region")),
        "by_language": by(year, attrgetter("language")),
        "by_field": by(year, attrgetter("field")),
        "by_stage": by(year, attrgetter("stage")),
        "by_form": by(year, attrgetter("form")),
        "heard": by(year, attrgetter("heard")),
        "first_reply": Median(waits, counted(one for one in now if one.file not in replied)),
        "on_time": Rate(Count(tuple(file for file, days in waits if days <= ON_TIME)), counted(now)),
        "reached": Rate(counted(one for one in before if _was_reached(one, calendar)), counted(before)),
    }


def _was_reached(one: Request, calendar: Calendar) -> bool:
    return one.two_way_at is not None and waited(one.received_at, one.two_way_at, calendar) <= REACHED_WITHIN


def _conversations(rows: Rows, period: Period) -> dict[str, Figure]:
    held, bounds = (one for one in rows.talked if one.meeting or (one.minutes or 0) >= LONG_ENOUGH), period.bounds
    return {"exchanges": counted(one for one in held if within(one.happened_at, bounds))}


def _follow_up(rows: Rows, period: Period) -> dict[str, Figure]:
    followed = [one for one in rows.stays if one.stage != "paused"]
    due = [one for one in rows.steps if period.first <= one.first_due_on <= period.last]
    return {
        "active": by(rows.stays, lambda one: one.stage),
        "no_next_step": Rate(counted(one for one in followed if not one.held), counted(followed)),
        "steps_on_time": Rate(
            counted(one for one in due if one.done_on is not None and one.done_on <= one.first_due_on), counted(due)
        ),
    }


def _referrals(rows: Rows, period: Period, cut_off: datetime) -> dict[str, Figure]:
    bounds, previous, earlier = period.bounds, period.previous.bounds, period.previous.previous.bounds
    now = [one for one in rows.sent if within(one.sent_at, bounds)]
    before = [one for one in rows.sent if within(one.sent_at, previous) and not one.withdrawn]
    two_back = [one for one in rows.sent if within(one.sent_at, earlier)]
    answers = [(one, at) for one in two_back if (at := one.accepted_at or one.declined_at) is not None and at < cut_off]
    answered = {id(one) for one, _at in answers}
    begun = [one for one in rows.begun if within(one.at, bounds)]
    calendar = in_force()
    return {
        "sent": counted(now),
        "sent_files": once(one.file for one in now),
        "sent_by_kind": by(now, lambda one: one.kind),
        # A body with programmes of several kinds has a row in each, so that the rows of a kind are all of its number.
        "sent_by_body": by(now, lambda one: f"{one.kind}/{one.body}"),
        "accepted": Rate(counted(one for one in before if _was_accepted(one)), counted(before)),
        "body_reply": Median(
            tuple((one.file, waited(one.sent_at, at, calendar)) for one, at in answers),
            counted(one for one in two_back if id(one) not in answered),
        ),
        "assistance": once(one.file for one in begun),
    }


def _was_accepted(one: Sent) -> bool:
    return one.accepted_at is not None and one.accepted_at <= one.sent_at + ACCEPTED_WITHIN


def _needs(rows: Rows, period: Period) -> dict[str, Figure]:
    _start, end = period.bounds
    old = [one for one in rows.needs if one.since < end - UNMET_AFTER]
    unmet = [one for one in old if not one.met]
    return {
        "unmet": Rate(counted(unmet), counted(old)),
        "unmet_by_need": by(unmet, lambda one: one.need),
    }


def _money(rows: Rows, period: Period) -> dict[str, Figure]:
    filed = [one for one in rows.money if falls(one.filed_on, period)]
    decided = [one for one in rows.money if falls(one.decided_on, period) and one.decision]
    granted = [one for one in decided if one.decision == "granted"]
    instruments: dict[str, list[tuple[int, int | None]]] = {}
    for one in granted:
        instruments.setdefault(one.instrument, []).append((one.file, one.granted))
    return {
        "filed": totals((one.file, one.asked) for one in filed),
        "granted": totals((one.file, one.granted) for one in granted),
        "granted_files": once(one.file for one in granted),
        "granted_by_instrument": Table({name: totals(instruments[name]) for name in _the_most_first(instruments)}),
        "approval": Rate(counted(granted), counted(decided)),
    }


def _projects(rows: Rows, period: Period) -> dict[str, Figure]:
    incorporated = [one for one in rows.built if falls(one.incorporated_on, period)]
    launched = [one for one in rows.built if falls(one.launched_on, period)]
    due = [
        one
        for one in rows.built
        if one.launched_on is not None and falls(clock.months_after(one.launched_on, CHECKED_AFTER), period)
    ]
    reached = [one for one in due if one.check in {"active", "stopped"}]
    first, last = period.rolling_days
    year = [
        (one, one.launched_on) for one in rows.built if one.launched_on is not None and first <= one.launched_on <= last
    ]
    return {
        "incorporated": by(incorporated, lambda one: one.form),
        "launched": counted(launched),
        "still_active": Rate(counted(one for one in reached if one.check == "active"), counted(reached)),
        "not_reached": counted(one for one in due if one.check not in {"active", "stopped"}),
        "to_launch": Median(
            tuple((one.file, max((day - clock.local_date(one.received_at)).days, 0)) for one, day in year)
        ),
    }


def _closings(rows: Rows, period: Period) -> dict[str, Figure]:
    bounds, rolling = period.bounds, period.rolling
    year = [one for one in rows.closed if within(one.closed_at, rolling)]
    now = [one for one in rows.closed if within(one.closed_at, bounds)]
    return {
        "closed": counted(one for one in now if one.counted),
        "closed_by_reason": by((one for one in year if one.counted), lambda one: one.reason),
        "left_out": by((one for one in year if not one.counted), lambda one: one.reason),
    }


def _awareness(rows: Rows, period: Period) -> dict[str, Figure]:
    held, bounds = [one for one in rows.activities if falls(one.held_on, period)], period.bounds
    later = (one for one in rows.requests if one.heard in BY_AWARENESS and within(one.received_at, bounds))
    awareness = [one for one in held if not one.group]
    groups = [one for one in held if one.group]
    return {
        "activities": Number(len(awareness)),
        "participants": Number(sum(one.participants for one in awareness)),
        "groups": Number(len(groups)),
        "group_participants": Number(sum(one.participants for one in groups)),
        "bodies_present": Number(len({body for one in held for body in one.bodies})),
        "from_awareness": counted(later),
    }


# What is counted of which kinds of rows.
_PARTS: Mapping[tuple[str, ...], Callable[[Rows, Period, datetime], dict[str, Figure]]] = {
    ("requests", "activities"): lambda rows, period, cut_off: (
        _requests(rows, period, cut_off) | _awareness(rows, period)
    ),
    ("talked",): lambda rows, period, _cut_off: _conversations(rows, period),
    ("stays", "steps"): lambda rows, period, _cut_off: _follow_up(rows, period),
    ("sent", "begun"): _referrals,
    ("needs",): lambda rows, period, _cut_off: _needs(rows, period),
    ("money",): lambda rows, period, _cut_off: _money(rows, period),
    ("built",): lambda rows, period, _cut_off: _projects(rows, period),
    ("closed",): lambda rows, period, _cut_off: _closings(rows, period),
}


def counted_again(rows: Rows, period: Period) -> dict[str, int]:
    """What an earlier period of the same twelve months counts now, from rows of all of them: those figures that are revised when they were
    published otherwise.
    """
    numbers, bounds = (
        {code: one.value for code, one in _awareness(rows, period).items() if isinstance(one, Number)},
        period.bounds,
    )
    return {"received": sum(within(one.received_at, bounds) for one in rows.requests)} | numbers


# --- time ------------------------------------------------------------------------------------------------------------


def within(at: datetime, bounds: tuple[datetime, datetime]) -> bool:
    """Whether an instant falls between two, the first included."""
    return bounds[0] <= at < bounds[1]


def falls(day: date | None, period: Period) -> bool:
    """Whether a day is one of a period's."""
    return day is not None and period.first <= day <= period.last


def waited(since: datetime, until: datetime | None, calendar: Calendar | None = None) -> int:
    """Business days between two instants, by Montréal's days; by the calendar in force, which is asked for once by who counts many, unless one is given."""
    assert until is not None  # noqa: S101 - only what came is measured
    return business_days_between(clock.local_date(since), clock.local_date(until), calendar)


def to_half(value: float) -> float:
    """Rounded to half-days."""
    return round(value * 2) / 2
