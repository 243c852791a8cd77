"""A session of the committee: what changed, what it is asked to decide, what it decided, who follows that up, and who was there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, literal, null, or_, select, type_coerce, union_all
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from crm import clock
from crm.access import CASE_ROLES, COORDINATING
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.db import db, save_over
from crm.errors import RefusedError
from crm.feature import Line, Section
from crm.forms import key_of
from crm.i18n import format_date
from crm.summaries.content import Report, period_name
from crm.summaries.models import Point, Session, State, Summary
from crm.summaries.periods import Period
from crm.texts import text
from crm.timeline.services import record

MOST_POINTS = 40  # of one session
SHOWN = 20


class StaleError(Exception):
    """Somebody changed it in the meantime: nothing was changed."""


@dataclass(frozen=True)
class Change:
    """A figure that is not what it was in the summary before, both as they are told."""

    name: str
    was: str
    now: str


TOTALS = ("active", "incorporated", "unmet_by_need")  # tables of which no figure tells the total


def changes(now: Report, before: Report) -> list[Change]:
    """Of what both summaries tell in numbers, what is not the same, in the order of the later one. Pure."""
    was = _told(before)
    return [
        Change(name, was[code][1], said)
        for code, (name, said) in _told(now).items()
        if code in was and was[code][1] != said
    ]


def _told(one: Report) -> dict[str, tuple[str, str]]:
    told = {line.code: (line.name, line.said) for line in one.lines if line.value is not None and line.was is None}
    amounts = [line for line in one.lines if line.amount is not None]
    told |= {
        f"{line.code}_amount": (text("summaries.session.amount_of", name=line.name), line.amount_said)
        for line in amounts
    }
    totals = [grid for grid in one.grids if grid.code in TOTALS and grid.total is not None]
    return told | {grid.code: (grid.name, grid.total_said) for grid in totals}


# --- reading ---------------------------------------------------------------------------------------------------------


def of_period(period: Period) -> Session | None:
    """The session on a period, with all that was written of it."""
    read = select(Session).where(Session.period == period.code)
    return db.session.scalar(read.options(selectinload(Session.present), _points()))


def _points() -> Any:
    return selectinload(Session.points).joinedload(Point.owner)


def before(period: Period) -> Session | None:
    """The last session on an earlier period."""
    every = db.session.scalars(select(Session).options(_points())).all()
    earlier = [
        (at.last, one) for one in every if (at := Period.read(one.period)) is not None and at.last < period.first
    ]
    return max(earlier, key=lambda pair: pair[0])[1] if earlier else None


def point_of(period: Period, number: int) -> Point | None:
    """A point of the session on a period."""
    read = select(Point).join(Point.session).where(Point.id == number, Session.period == period.code)
    return db.session.scalar(read.options(joinedload(Point.owner)))


# --- writing ---------------------------------------------------------------------------------------------------------


def save(
    period: Period, seen_version: int, *, held_on: date | None, present: Sequence[Staff], others: str, actor: Staff
) -> None:
    """Keep when a session is, and who is there. `seen_version` is 0 when none was written down. Raises StaleError when somebody changed it since."""
    session = of_period(period)
    if session is None and seen_version:
        raise StaleError
    session = session or _begun(period)
    if not save_over(session, seen_version, held_on=held_on, others=others):
        if (session.held_on, session.others, {one.id for one in session.present}) == (
            held_on,
            others,
            {one.id for one in present},
        ):
            return  # the same, pressed twice
        raise StaleError
    session.present = list(present)
    record("session.written", case_id=None, actor=by(actor), codes={"period": period.code})


def _begun(period: Period) -> Session:
    """At version 0: nobody wrote down the date yet, nor who was there. Raises IntegrityError when another request began it at the same time."""
    session = Session(period=period.code, held_on=None, others="", version=0)
    db.session.add(session)
    db.session.flush()
    return session


def add_point(period: Period, title: str, *, key: str, actor: Staff) -> None:
    """One more point to decide, once however often it is pressed; another title is another point."""
    kept = key_of(f"{period.code} {key} {title}")
    if db.session.scalar(select(Point.id).where(Point.form_key == kept)) is not None:
        return
    session = of_period(period) or _begun(period)
    if len(session.points) >= MOST_POINTS:
        raise RefusedError(text("summaries.refusal.points", number=MOST_POINTS))
    db.session.add(Point(session_id=session.id, form_key=kept, title=title, decision="", version=1))
    record("session.asked", case_id=None, actor=by(actor), codes={"period": period.code})


def decide(
    point: Point,
    seen_version: int,
    *,
    title: str,
    decision: str,
    owner_id: int | None,
    due_on: date | None,
    actor: Staff,
) -> None:
    """Keep what was decided of a point, who follows it up and by when: both or none. Raises StaleError when somebody wrote otherwise meanwhile."""
    if (owner_id is None) != (due_on is None) or (owner_id is not None and not decision):
        raise RefusedError(text("summaries.refusal.follow_up"))
    same = (point.decision, point.owner_id, point.due_on) == (decision, owner_id, due_on)
    done_at = point.done_at if same else None  # what was decided otherwise, or given to somebody else, is to be seen to
    if not save_over(
        point, seen_version, title=title, decision=decision, owner_id=owner_id, due_on=due_on, done_at=done_at
    ):
        raise StaleError
    changed = "changed" if same else "decided"  # the point's words alone
    record(f"session.{changed}", case_id=None, actor=by(actor), codes={"period": point.session.period})


def see_to(point: Point, seen_version: int, actor: Staff, *, done: bool) -> None:
    """Say that a decision was seen to, or that it was not after all. Refused to who neither follows it up nor coordinates, and when somebody
    wrote otherwise meanwhile; what is so already stays so.
    """
    if point.owner_id != actor.id and actor.role not in COORDINATING:
        raise RefusedError(text("summaries.refusal.not_yours"))
    if not point.decision or point.owner_id is None:
        raise RefusedError(text("summaries.refusal.undecided"))
    if (point.done_at is not None) == done:
        return
    if not save_over(point, seen_version, done_at=clock.now() if done else None):
        raise RefusedError(text("summaries.refusal.meanwhile"))
    what = "seen_to" if done else "opened_again"
    record(f"session.{what}", case_id=None, actor=by(actor), codes={"period": point.session.period})


def take_off(point: Point, seen_version: int, actor: Staff) -> None:
    """Take a point off that was not decided."""
    if point.decision:
        raise RefusedError(text("summaries.refusal.decided"))
    period = point.session.period
    if not save_over(point, seen_version, title=point.title):
        raise RefusedError(text("summaries.refusal.meanwhile"))
    db.session.delete(point)
    record("session.taken_off", case_id=None, actor=by(actor), codes={"period": period})


# --- what comes due --------------------------------------------------------------------------------------------------


def open_to(staff: Staff) -> list[ColumnElement[bool]]:
    """The decisions that somebody follows up; for who coordinates also those that are late, and those of people who left."""
    mine: ColumnElement[bool] = Point.owner_id == staff.id
    if staff.role in COORDINATING:
        mine = or_(mine, Point.due_on < clock.today(), Staff.active.is_(False), Staff.role.not_in(CASE_ROLES))
    return [Point.owner_id.is_not(None), Point.done_at.is_(None), mine]


def to_see_to(staff: Staff) -> list[Point]:
    """The decisions of `open_to`, the first due first."""
    read = select(Point).join(Point.session).join(Point.owner).where(*open_to(staff))
    read = read.options(contains_eager(Point.session), contains_eager(Point.owner))
    return list(db.session.scalars(read.order_by(Point.due_on, Point.id).limit(SHOWN)))


class ToSeeTo(NamedTuple):
    """A decision as the start page shows it."""

    period: str
    day: date
    title: str
    owner_id: int
    name: str


class InWork(NamedTuple):
    """A summary that waits for somebody who coordinates."""

    period: str
    state: str


def of_today(staff: Staff) -> Select[*tuple[Any, ...]]:
    """For the start page: the decisions to see to and, for who coordinates, the summaries that wait for one of them."""
    nothing = literal("", String)
    points = select(
        literal(1).label("order"), Session.period, Point.due_on.label("day"), Point.title, Point.owner_id, Staff.name, nothing.label("state")
    )  # fmt: skip
    points = points.join(Point.session).join(Point.owner).where(*open_to(staff))
    waiting = select(
        literal(2), Summary.period, Summary.first_day, nothing, null(), nothing, type_coerce(Summary.state, String)
    ).where(Summary.state != State.PUBLISHED)
    read: Any = union_all(points, waiting) if staff.role in COORDINATING else points
    return select(read.order_by("order", "day").limit(2 * SHOWN).subquery())


def shown_today(rows: list[list[Any]]) -> dict[str, Any]:
    """Those as the template shows them, the first due first."""
    found = sorted(rows, key=lambda row: (row[0], row[2]))
    return {
        "decisions_to_see_to": [
            ToSeeTo(period, date.fromisoformat(day), title, owner_id, name)
            for order, period, day, title, owner_id, name, _state in found
            if order == 1
        ],
        "summaries_in_work": [
            (InWork(period, state), period_name(period))
            for order, period, _day, _title, _owner, _name, state in found
            if order != 1
        ],
    }


def digest(staff: Staff, day: date) -> list[Section]:
    """For the morning's mail: what is late or due within a week, in words that say nothing of what was decided."""
    due = [one for one in to_see_to(staff) if one.due_on is not None and one.due_on <= day + timedelta(days=7)]
    lines = [
        Line(
            text("summaries.session.of", period=period_name(one.session.period)),
            "",
            text("summaries.session.to_see_to" if one.owner_id == staff.id else "summaries.session.somebody_elses"),
            format_date(one.due_on) if one.due_on else "",
            f"/staff/summaries/{one.session.period}/session",
        )
        for one in due
    ]
    return [Section("decisions", lines)] if lines else []
