"""The morning's digest: one mail a person and business day, in their language, of what their screens show, or none when there is nothing.

What is due is computed from rows. A worker that slept sends the digest of the day on which it wakes, not those of the days before.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import or_, select

from crm import clock
from crm.access import CASE_ROLES
from crm.accounts.choices import chosen, parts
from crm.accounts.models import Staff
from crm.db import db
from crm.desk.models import DigestDay
from crm.feature import Line, Section
from crm.i18n import format_date, format_number, speaking
from crm.jobs import one_by_one, working_day
from crm.outbox.models import Message
from crm.outbox.services import queue, settings, written
from crm.texts import text

AT_HOUR = 8  # local time on business days
SECTIONS = (
    "promise_late",
    "late",
    "promise_soon",
    "today",
    "week",
    "rights",
    "decisions",
    "talks",
    "mailbox",
    "requests",
)  # in the order in which they are told
LIST_OF = {
    "promise_late": "/staff/cases?late=reply",
    "promise_soon": "/staff/today",
    "late": "/staff/follow-ups?when=late",
    "today": "/staff/follow-ups?when=today",
    "week": "/staff/follow-ups?when=week",
    "rights": "/staff/privacy",
    "decisions": "/staff/today",
    "talks": "/staff/today",
    "mailbox": "/staff/mailbox",
    "requests": "/staff/requests",
}


def queue_digests() -> int:
    """Job: the digests of today that were not made yet. Returns how many mails were queued; each person is a transaction of its own."""
    day = working_day(AT_HOUR)
    if day is None:
        return 0
    return one_by_one(_to_tell(day), lambda staff_id: _one(staff_id, day), "the digest of account %s cannot be made")


def _to_tell(day: date) -> Sequence[int]:
    """Who has no digest of the day yet: the people of the team who had an account when it was time."""
    begun = clock.at_local(day, AT_HOUR)
    return db.session.scalars(
        select(Staff.id)
        .outerjoin(DigestDay, DigestDay.staff_id == Staff.id)
        .where(Staff.active.is_(True), Staff.role.in_(CASE_ROLES), Staff.created_at < begun)
        .where(or_(DigestDay.made_on.is_(None), DigestDay.made_on < day))
        .order_by(Staff.id)
    ).all()


def _one(staff_id: int, day: date) -> int:
    made = db.session.get(DigestDay, staff_id, with_for_update=True)
    if made is None:
        made = DigestDay(staff_id=staff_id)
        db.session.add(made)
    made.made_on = day
    staff = db.session.get_one(Staff, staff_id)
    values = told(staff, day)
    if values is None:
        return 0
    message = queue(
        "desk.digest",
        dedupe_key=f"digest:{staff_id}:{day}",
        to=(staff.email, staff.name),
        language=staff.language,
        values=values,
        subject_ids={"day": day.isoformat()},
        staff_id=staff_id,
    )
    return int(message is not None)


def told(staff: Staff, day: date) -> dict[str, object] | None:
    """What the digest of a day says to somebody, as the values of its texts; None when there is nothing.

    While somebody is away, their deputy's digest says it, and theirs only what the deputy may not see.
    """
    if not staff.active or staff.role not in CASE_ROLES:
        return None
    wanted = {kind for kind, (_, in_digest) in chosen(staff).items() if in_digest}
    with speaking(staff.language):
        found = {
            section.name: section
            for part in parts(staff)
            if part.kind in wanted
            for section in part.sections(staff, day)
            if section.lines or section.more
        }
        if not found:
            return None
        return {
            "name": staff.name,
            "day": format_date(day),
            "sections": "\n\n".join(_section(found[name]) for name in SECTIONS if name in found),
            "address": f"{settings().base_url}/staff/today",
            "address_of_choices": f"{settings().base_url}/staff/my-mail",
        }


def _section(section: Section) -> str:
    number = len(section.lines) + section.more
    title = text(f"desk.section.{section.name}", count=format_number(number))
    lines = [title, *(f"- {_line(line)}" for line in section.lines)]
    address = f"{settings().base_url}{LIST_OF[section.name]}"
    if section.more and section.lines:
        lines.append(f"- {text('desk.digest.more', count=section.more)}\n{address}")
    elif section.more:
        lines.append(address)
    return "\n".join(lines)


def _line(line: Line) -> str:
    file = f"{line.project} ({line.reference})" if line.project else line.reference
    said = text("desk.digest.line", file=file, words=line.words)
    if line.when:
        said = text("desk.digest.line_when", line=said, when=line.when)
    return f"{said}\n{settings().base_url}{line.address or f'/staff/cases/{line.reference}'}"


def written_now(message: Message) -> str | None:
    """The text of a digest that is about to leave: what is true now, not when it was queued. None on a later day, or when all is done."""
    if message.subject_ids["day"] != clock.today().isoformat():
        return None
    values = told(db.session.get_one(Staff, message.staff_id), clock.today())
    return written("desk.digest", message.language, values)[1] if values is not None else None
