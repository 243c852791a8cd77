"""What the morning's digest says of somebody's follow-ups: late ones, those of the day, those of the week.

It names files by their reference and their project, and what to do in the words of a rule: what people typed stays behind the sign-in.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select

from crm.absences.services import Reading, reading
from crm.accounts.models import Staff
from crm.cases.models import Case, Project
from crm.cases.queries import visible_to
from crm.db import db
from crm.feature import Line, Section
from crm.reminders.models import FollowUp, State
from crm.reminders.words import when
from crm.texts import label, text

SHOWN, COUNTED = 20, 100  # lines of a section; what is beyond is counted up to this


def sections(staff: Staff, day: date) -> list[Section]:
    """The follow-ups of somebody, and of those for whom they stand in that day, as far as they may see the files."""
    whose = reading(staff, day)
    found = []
    for name in ("late", "today", "week"):
        rows = _due(name, whose, day)
        lines = [_line(row, whose) for row in rows[:SHOWN]]
        found.append(Section(name, lines, more=max(len(rows) - SHOWN, 0)))
    return found


def told_of(whose: Reading) -> ColumnElement[bool]:
    """Which files somebody is told of: those they may see but, while they are away, those that their deputy may see too."""
    theirs = visible_to(whose.reader.id)
    return theirs if whose.deputy is None else and_(theirs, ~visible_to(whose.deputy.id))


def instead(owner_id: int, whose: Reading) -> str:
    """For whom somebody stands in, in words; nothing for what is their own."""
    return text("reminders.instead", name=whose.absent[owner_id]) if owner_id in whose.absent else ""


def _line(row: Any, whose: Reading) -> Line:
    what = label("reminders.rule", row.rule) if row.rule else text("reminders.digest.typed")
    return Line(row.reference, row.project, what + instead(row.owner_id, whose), when(row))


def _due(name: str, whose: Reading, day: date) -> Sequence[Any]:
    days = {
        "late": FollowUp.due_on < day,
        "today": FollowUp.due_on == day,
        "week": and_(FollowUp.due_on > day, FollowUp.due_on <= day + timedelta(days=7)),
    }[name]
    return db.session.execute(
        select(
            FollowUp.rule,
            FollowUp.due_on,
            FollowUp.due_minute,
            FollowUp.owner_id,
            Case.reference,
            Project.name.label("project"),
        )
        .join(Case, Case.id == FollowUp.case_id)
        .join(Project, Project.id == Case.project_id)
        .where(FollowUp.owner_id.in_([whose.reader.id, *whose.absent]), FollowUp.state == State.TODO, days)
        .where(Case.quarantined.is_(False), told_of(whose))
        .order_by(FollowUp.due_on, FollowUp.due_minute, FollowUp.id)
        .limit(COUNTED)
    ).all()
