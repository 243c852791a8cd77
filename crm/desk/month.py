"""A month of follow-ups and talks: mine, or a colleague's, as far as I may see the files."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import func, select

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.business_days import is_business_day
from crm.cases.models import Case, Project
from crm.cases.queries import visible_to
from crm.clock import months_after
from crm.db import db
from crm.i18n import format_month, format_time, weekdays
from crm.outbox.queries import mail_trouble
from crm.paging import write_key
from crm.reminders.models import FollowUp, State
from crm.reminders.words import hour_of, title_of
from crm.talks.models import Talk, TalkState
from crm.texts import label

bp = Blueprint("month", __name__, url_prefix="/staff/calendar")
SHOWN = 4  # follow-ups of a day
FIRST, LAST = date(2000, 1, 1), date(2199, 12, 1)


@dataclass(frozen=True)
class Entry:
    """One thing of a day: when, what, and of which file. `minute` orders them; `at` is the hour in words, nothing for any time of the day."""

    minute: int
    at: str
    words: str
    reference: str
    project: str
    late: bool = False
    talk: bool = False


@dataclass
class Day:
    """A day of the month, or of the weeks at its ends; `more` is how many follow-ups are not shown."""

    day: date
    inside: bool
    closed: bool
    entries: list[Entry] = field(default_factory=list)
    more: int = 0

    @property
    def before(self) -> str:
        """Where the list of follow-ups begins, to begin with this day."""
        return write_key(self.day, 0, 0)


def weeks_of(month: date) -> list[list[date]]:
    """The days of a month in whole weeks that begin on Sunday, as calendars do here."""
    return calendar.Calendar(firstweekday=6).monthdatescalendar(month.year, month.month)


def read_month(typed: str) -> date:
    """The first day of 2026-11; of this month when it is none."""
    if re.fullmatch(r"\d{4}-\d{2}", typed, re.ASCII) and 1 <= int(typed[5:]) <= 12:
        found = date(max(1, int(typed[:4])), int(typed[5:]), 1)
        if FIRST <= found <= LAST:
            return found
    return clock.today().replace(day=1)


def filled(reader: Staff, whose: int, month: date) -> list[list[Day]]:
    """A month of somebody's, as another person may see it."""
    weeks = weeks_of(month)
    first, last, today = weeks[0][0], weeks[-1][-1], clock.today()
    days = {day: Day(day, day.month == month.month, not is_business_day(day)) for week in weeks for day in week}
    for row in _talks(reader, whose, first, last):
        at = clock.local(row.starts_at)
        how, hour = label("talks.mode", row.mode), format_time(row.starts_at)
        entry = Entry(at.hour * 60 + at.minute, hour, how, row.reference, row.project, talk=True)
        days[at.date()].entries.append(entry)
    for row in _follow_ups(reader, whose, first, last):
        one, day = row.FollowUp, days[row.FollowUp.due_on]
        day.more, late = max(row.of_day - SHOWN, 0), one.due_on < today
        day.entries.append(Entry(one.due_minute, hour_of(one), title_of(one), row.reference, row.project, late=late))
    for day in days.values():
        day.entries.sort(key=lambda entry: (entry.minute, not entry.talk))
    return [[days[day] for day in week] for week in weeks]


def _talks(reader: Staff, whose: int, first: date, last: date) -> Sequence[Any]:
    start, end = clock.day_bounds(first, last)
    return db.session.execute(
        select(Talk.starts_at, Talk.mode, Case.reference, Project.name.label("project"))
        .join(Case, Case.id == Talk.case_id)
        .join(Project, Project.id == Case.project_id)
        .where(Talk.adviser_id == whose, Talk.state == TalkState.BOOKED, visible_to(reader.id))
        .where(Talk.starts_at >= start, Talk.starts_at < end)
        .order_by(Talk.starts_at)
        .limit(500)
    ).all()


def _follow_ups(reader: Staff, whose: int, first: date, last: date) -> Sequence[Any]:
    """The first few of each day, with how many there are."""
    of_day = FollowUp.due_on
    numbered = (
        select(
            FollowUp.id,
            func.row_number().over(partition_by=of_day, order_by=(FollowUp.due_minute, FollowUp.id)).label("place"),
            func.count().over(partition_by=of_day).label("of_day"),
        )
        .join(Case, Case.id == FollowUp.case_id)
        .where(FollowUp.owner_id == whose, FollowUp.state == State.TODO, visible_to(reader.id))
        .where(FollowUp.due_on >= first, FollowUp.due_on <= last, Case.quarantined.is_(False))
        .subquery()
    )
    return db.session.execute(
        select(FollowUp, Case.reference, Project.name.label("project"), numbered.c.of_day)
        .join(numbered, numbered.c.id == FollowUp.id)
        .join(Case, Case.id == FollowUp.case_id)
        .join(Project, Project.id == Case.project_id)
        .where(numbered.c.place <= SHOWN)
        .order_by(FollowUp.due_on, numbered.c.place)
    ).all()


@bp.get("")
@case_team
def page() -> str:
    month, people = read_month(request.args.get("month", "")), active_case_team()
    asked = request.args.get("of", "")
    whose = next((number for number, _name in people if str(number) == asked), me().id)

    def address(to: date) -> str:
        return url_for("month.page", month=f"{to:%Y-%m}", of=None if whose == me().id else whose)

    names, weeks = weekdays(), filled(me(), whose, month)
    return render_template(
        "desk/month.html",
        weeks=weeks,
        empty=not any(day.entries for week in weeks for day in week),
        names=[names[-1], *names[:-1]],  # they begin on Monday
        month=month,
        named=format_month(month),
        people=people,
        whose=whose,
        before=address(months_after(month, -1)) if month > FIRST else "",
        after=address(months_after(month, 1)) if month < LAST else "",
        this_month=address(clock.today()),
        today=clock.today(),
        trouble=mail_trouble(),
    )
