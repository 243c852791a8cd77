"""How files go: how long they stay in each stage and in whose hands, how far they come, what each body answers, which needs nobody met. For the
team alone, and pure: rows in, figures out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from crm.business_days import in_force
from crm.summaries.figures import Count, Median, counted, grouped, waited

DAY = 86_400  # seconds
STEPS = ("received", "referred", "supported", "financed", "launched")


class Spell(NamedTuple):
    """A stay of a file, in a stage or in somebody's hands, that ended in the period."""

    file: int
    where: str
    entered_at: datetime
    left_at: datetime


class Reached(NamedTuple):
    """A file of a cohort, and how far it has come up to now."""

    file: int
    referred: bool = False  # sent to a body
    supported: bool = False  # a body took it on, or the team assists it itself
    financed: bool = False  # something was granted
    launched: bool = False


class Asked(NamedTuple):
    """A referral that was sent to a body: `answer` is "accepted", "declined" or nothing, on `answered_at`."""

    file: int
    body: str
    sent_at: datetime
    answer: str = ""
    answered_at: datetime | None = None


class Lacked(NamedTuple):
    """A need that is open on a file that was sent to bodies, none of which took it on."""

    file: int
    need: str


@dataclass(frozen=True)
class Rows:
    stages: Sequence[Spell] = ()
    hands: Sequence[Spell] = ()
    cohort: Sequence[Reached] = ()
    asked: Sequence[Asked] = ()
    lacked: Sequence[Lacked] = ()


@dataclass(frozen=True)
class Body:
    """What a body was asked and what it answered; `waits` in business days, of those that it answered."""

    sent: Count
    accepted: Count
    declined: Count
    silent: Count
    waits: Median


@dataclass(frozen=True)
class Course:
    """By category: medians in calendar days, counts of the cohort, what bodies answered, needs that nobody met."""

    stages: Mapping[str, Median]
    hands: Mapping[str, Median]
    cohort: Mapping[str, Count]
    bodies: Mapping[str, Body]
    all_bodies: Median
    lacked: Mapping[str, Count]


def course_of(rows: Rows) -> Course:
    """The figures, in the order in which they are read: stages and hands as they come, the others with the most first."""
    bodies = bodies_of(rows.asked)
    lacked = {need: counted(found) for need, found in grouped(rows.lacked, lambda one: one.need).items()}
    return Course(
        {stage: _days(found) for stage, found in grouped(rows.stages, lambda one: one.where).items()},
        {turn: _days(found) for turn, found in grouped(rows.hands, lambda one: one.where).items()},
        {step: counted(one for one in rows.cohort if step == "received" or getattr(one, step)) for step in STEPS},
        dict(sorted(bodies.items(), key=lambda one: (-one[1].sent.value, one[0]))),
        _waits(rows.asked),
        dict(sorted(lacked.items(), key=lambda one: (-one[1].value, one[0]))),
    )


def bodies_of(asked: Iterable[Asked]) -> dict[str, Body]:
    """What each body was asked and what it answered, by its code."""
    return {name: _body(found) for name, found in grouped(asked, lambda one: one.body).items()}


def kind_of(figure: str) -> str | None:
    """The kind of rows that a figure is made of; None when there is none of that name."""
    if figure in {"sent", "accepted", "declined", "silent"}:
        return "asked"
    return figure if figure in {"stages", "hands", "cohort", "lacked"} else None


def files_of(course: Course, figure: str, part: str) -> tuple[int, ...] | None:
    """The files of a number: of a stage, of hands, of a step of the cohort, of a need, or of what a body was sent and how it answered; None when
    there is none.
    """
    match kind_of(figure):
        case None:
            return None
        case "asked":
            found = getattr(course.bodies.get(part), figure, None)
        case _:
            found = getattr(course, figure).get(part)
    return found.files if found is not None else None


def _days(spells: Iterable[Spell]) -> Median:
    return Median(tuple((one.file, (one.left_at - one.entered_at).total_seconds() / DAY) for one in spells))


def _waits(asked: Iterable[Asked]) -> Median:
    answered, calendar = [one for one in asked if one.answer], in_force()
    return Median(tuple((one.file, waited(one.sent_at, one.answered_at, calendar)) for one in answered))


def _body(asked: Sequence[Asked]) -> Body:
    accepted, declined, silent = (
        counted(one for one in asked if one.answer == answer) for answer in ("accepted", "declined", "")
    )
    return Body(counted(asked), accepted, declined, silent, _waits(asked))
