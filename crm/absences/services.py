"""Who is away, until when, and who stands in for them: reminders go to that person meanwhile, whose start page says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.absences.models import Absence
from crm.access import CASE_ROLES, COORDINATING
from crm.accounts.models import Staff
from crm.db import db
from crm.errors import RefusedError
from crm.texts import text

LONGEST = timedelta(days=400)
MOST_AHEAD = 20  # absences of one person that are to come


def plan(staff: Staff, begins_on: date, ends_on: date, deputy: Staff) -> Absence:
    """Somebody is away from a day to a day, both included. Raises RefusedError when that cannot be."""
    if ends_on < begins_on or ends_on < clock.today() or ends_on - begins_on > LONGEST:
        raise RefusedError(text("absences.refusal.days"))
    if deputy.id == staff.id or not deputy.active or deputy.role not in CASE_ROLES:
        raise RefusedError(text("absences.refusal.deputy"))
    ahead = coming(staff)
    if any(one.begins_on <= ends_on and begins_on <= one.ends_on for one in ahead):
        raise RefusedError(text("absences.refusal.overlaps"))
    if len(ahead) >= MOST_AHEAD:
        raise RefusedError(text("absences.refusal.many"))
    absence = Absence(staff_id=staff.id, begins_on=begins_on, ends_on=ends_on, deputy_id=deputy.id)
    db.session.add(absence)
    return absence


def coming(staff: Staff | None = None) -> Sequence[Absence]:
    """Absences that have not ended, of one person or of everybody, the earliest first."""
    wanted = select(Absence).where(Absence.ends_on >= clock.today())
    if staff is not None:
        wanted = wanted.where(Absence.staff_id == staff.id)
    both = joinedload(Absence.staff), joinedload(Absence.deputy)
    return db.session.scalars(wanted.options(*both).order_by(Absence.begins_on, Absence.id)).all()


def may_change(absence: Absence, actor: Staff) -> bool:
    """Whoever is away, and coordinators."""
    return absence.staff_id == actor.id or actor.role in COORDINATING


def stands_in(staff: Staff, day: date) -> Staff | None:
    """Who stands in for somebody on a day; None when they are there, or when their deputy is away too or has left."""
    away = _away(day, Absence.staff_id == staff.id)
    absence = db.session.scalar(away)
    if absence is None or not absence.deputy.active:
        return None
    return None if db.session.scalar(_away(day, Absence.staff_id == absence.deputy_id)) else absence.deputy


def stood_in_for(staff: Staff, day: date) -> list[Staff]:
    """For whom somebody stands in on a day: the other side of `stands_in`."""
    absences = db.session.scalars(
        select(Absence)
        .where(Absence.deputy_id == staff.id, Absence.begins_on <= day, Absence.ends_on >= day)
        .options(joinedload(Absence.staff))
        .order_by(Absence.id)
    )
    found = [one.staff for one in absences]
    return [one for one in found if stands_in(one, day) == staff] if found else []


@dataclass(frozen=True)
class Reading:
    """Whose day somebody reads: their own and that of those for whom they stand in, by number and name. While they are away themselves,
    `deputy` reads theirs, as far as the deputy may.
    """

    reader: Staff
    absent: dict[int, str]
    deputy: Staff | None


def reading(staff: Staff, day: date) -> Reading:
    return Reading(staff, {one.id: one.name for one in stood_in_for(staff, day)}, stands_in(staff, day))


def _away(day: date, who: Any) -> Any:
    return (
        select(Absence)
        .where(who, Absence.begins_on <= day, Absence.ends_on >= day)
        .options(joinedload(Absence.deputy))
        .limit(1)
    )


def of_today(staff: Staff) -> dict[str, Any]:
    """For the start page: for whom this person stands in today, and who is away today for whom they are away."""
    day = clock.today()
    mine = or_(Absence.deputy_id == staff.id, Absence.staff_id == staff.id)
    found = db.session.scalars(
        select(Absence)
        .where(mine, Absence.begins_on <= day, Absence.ends_on >= day)
        .options(joinedload(Absence.staff), joinedload(Absence.deputy))
        .order_by(Absence.ends_on, Absence.id)
    ).all()
    return {
        "standing_in": [one for one in found if one.deputy_id == staff.id],
        "my_absence": next((one for one in found if one.staff_id == staff.id), None),
    }
