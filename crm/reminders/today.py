"""My follow-ups: those of the start page, and the list of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Date, Integer, Select, and_, bindparam, or_, select

from crm import clock
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import hidden_from, named, visible_to
from crm.db import counted, db
from crm.reminders.models import THEY_WAIT, FollowUp, State
from crm.reminders.rules import THE_PERSON_ACTED
from crm.reminders.words import hour_of, title_of

SHOWN, PAGE, COUNTED = 12, 50, 100
IN_CALENDARS = 1000
WHEN = ("late", "today", "week", "all")


@dataclass(frozen=True)
class Due:
    """How many of my follow-ups are late and due today, each counted to 100."""

    late: int
    today: int


def mine(
    staff: Staff, when: str = "all", after: tuple[date, int, int] | None = None, limit: int = PAGE
) -> Sequence[Any]:
    """My open follow-ups, the earliest first: `when` is one of WHEN. `after` is the due day, minute and number of the last one seen."""
    asked: dict[str, Any] = {"staff_id": staff.id, "at_most": limit} | _days(when)
    if after is not None:
        asked |= {"day": after[0], "minute": after[1], "number": after[2]}
    return db.session.execute(_mine(when, on=after is not None), asked).all()


def _days(when: str) -> dict[str, date]:
    today = clock.today()
    return {"today": today, "week": today + timedelta(days=7)} if when != "all" else {}


def _due(when: str) -> list[ColumnElement[bool]]:
    """Which days a list holds; `due` is the late ones and those of today together."""
    today, week = bindparam("today", type_=Date), bindparam("week", type_=Date)
    return {
        "late": [FollowUp.due_on < today],
        "today": [FollowUp.due_on == today],
        "due": [FollowUp.due_on <= today],
        "week": [FollowUp.due_on > today, FollowUp.due_on <= week],
        "all": [],
    }[when]


@cache
def _mine(when: str, *, on: bool) -> Any:
    statement: Any = (
        named(select(FollowUp, Case.reference, Case.stage).join(Case, Case.id == FollowUp.case_id))
        .where(FollowUp.owner_id == bindparam("staff_id"), FollowUp.state == State.TODO, *_due(when))
        .where(visible_to(bindparam("staff_id")))
        .order_by(FollowUp.due_on, FollowUp.due_minute, FollowUp.id)
        .limit(bindparam("at_most", type_=Integer))
    )
    day, number = bindparam("day", type_=Date), bindparam("number", type_=Integer)
    minute = bindparam("minute", type_=Integer)
    later = or_(FollowUp.due_minute > minute, and_(FollowUp.due_minute == minute, FollowUp.id > number))
    beyond = and_(FollowUp.due_on >= day, or_(FollowUp.due_on > day, later))
    return statement.where(beyond) if on else statement


def in_calendars(staff: Staff) -> list[tuple[FollowUp, Case]]:
    """My open follow-ups with their files, as my own calendar shows them: late ones of the last three months, and what is ahead."""
    rows = db.session.execute(
        select(FollowUp, Case)
        .join(Case, Case.id == FollowUp.case_id)
        .where(FollowUp.owner_id == staff.id, FollowUp.state == State.TODO, visible_to(staff.id))
        .where(FollowUp.due_on > clock.today() - timedelta(days=90), Case.quarantined.is_(False))
        .order_by(FollowUp.due_on, FollowUp.id)
        .limit(IN_CALENDARS)
    )
    return [(row[0], row[1]) for row in rows]


def due(staff: Staff) -> Due:
    """How many are late and due today, in one statement."""
    values = db.session.execute(_counts(), {"staff_id": staff.id, "at_most": COUNTED} | _days("late")).one()
    return Due(*values)


@cache
def _counts() -> Select[*tuple[Any, ...]]:
    mine = select(FollowUp.id).where(FollowUp.owner_id == bindparam("staff_id"), FollowUp.state == State.TODO)
    mine = mine.where(FollowUp.case_id.not_in(hidden_from(bindparam("staff_id"))))
    return select(*(counted(mine.where(*_due(when))) for when in ("late", "today")))


def load(staff: Staff) -> dict[str, Any]:
    """My follow-ups that are late or due today."""
    return {
        "my_due": due(staff),
        "my_counted": COUNTED,
        "my_follow_ups": mine(staff, "due", limit=SHOWN),
        "title_of": title_of,
        "hour_of": hour_of,
    }


def load_answers(staff: Staff) -> dict[str, Any]:
    """People who wrote, asked for a call or a correction, and were not answered: whoever it falls to, the longest waiting first."""
    rows = db.session.execute(_unanswered(), {"staff_id": staff.id, "at_most": SHOWN}).all()
    return {"unanswered": rows}


@cache
def _unanswered() -> Any:
    read = select(FollowUp.rule, FollowUp.created_at, FollowUp.due_on, Case.reference, Staff.name.label("owner"))
    return (
        named(read.join(Case, Case.id == FollowUp.case_id))
        .outerjoin(Staff, Staff.id == FollowUp.owner_id)
        .where(THEY_WAIT, FollowUp.rule.in_(sorted(THE_PERSON_ACTED)))
        .where(visible_to(bindparam("staff_id")))
        .order_by(FollowUp.created_at, FollowUp.id)
        .limit(bindparam("at_most", type_=Integer))
    )
