"""The promise of a first reply: who must keep it is told before the day, and once it is broken the coordinators are told too, each in their digest.

The clock stands still while somebody else holds the file: a talk is booked, or the person was asked something.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, select

from crm.absences.services import Reading, reading
from crm.access import COORDINATING
from crm.accounts.models import Staff
from crm.business_days import add_business_days
from crm.cases.filters import IS_OWED
from crm.cases.models import Case, Project
from crm.cases.vocabulary import Turn
from crm.db import db
from crm.feature import Line, Section
from crm.i18n import format_date
from crm.reminders.digest import instead, told_of
from crm.texts import text

MAIL = "promise"  # the kind of mail that people of the team choose about
SHOWN, COUNTED = 20, 100


def sections(staff: Staff, day: date) -> list[Section]:
    """First replies that are promised for today or the next business day, and those that are late: one's own, for coordinators everybody's."""
    whose = reading(staff, day)
    own = Case.owner_id.in_([staff.id, *whose.absent])
    late = _owed(Case.reply_due_on < day, whose, own if staff.role not in COORDINATING else None)
    until = add_business_days(day, 1)
    soon = _owed((Case.reply_due_on >= day) & (Case.reply_due_on <= until), whose, own)
    return [_section("promise_late", late, whose), _section("promise_soon", soon, whose)]


def _section(name: str, rows: Sequence[Any], whose: Reading) -> Section:
    lines = [
        Line(
            row.reference,
            row.project,
            text(f"intake.digest.{name}", date=format_date(row.reply_due_on)) + instead(row.owner_id, whose),
        )
        for row in rows[:SHOWN]
    ]
    return Section(name, lines, more=max(len(rows) - SHOWN, 0))


def _owed(when: ColumnElement[bool], whose: Reading, own: ColumnElement[bool] | None) -> Sequence[Any]:
    read = select(Case.reference, Case.reply_due_on, Case.owner_id, Project.name.label("project"))
    found = (
        read.join(Project, Project.id == Case.project_id)
        .where(IS_OWED, when, Case.turn == Turn.TEAM, Case.quarantined.is_(False), told_of(whose))
        .order_by(Case.reply_due_on, Case.id)
        .limit(COUNTED)
    )
    return db.session.execute(found if own is None else found.where(own)).all()
