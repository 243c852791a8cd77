"""What mail each person of the team wants of the product: at once, in the morning's digest, or not at all, for each kind."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Select, bindparam, select

from crm.access import CASE_ROLES, COORDINATING
from crm.accounts.models import MailChoice, Staff
from crm.db import db
from crm.feature import MailPart, plugged


def parts(staff: Staff) -> Sequence[MailPart]:
    """The kinds that somebody chooses about."""
    return [part for part in plugged("digest") if staff.role in COORDINATING or not part.coordinates]


def _part(kind: str) -> MailPart:
    found: MailPart = next(part for part in plugged("digest") if part.kind == kind)
    return found


def wants_at_once(staff: Staff, kind: str) -> bool:
    """Whether somebody is told of such a thing when it happens. Raises StopIteration for a kind that nobody declares."""
    choice = db.session.get(MailChoice, (staff.id, kind))
    return choice.at_once if choice is not None else bool(_part(kind).at_once)


def who_want_at_once(kind: str) -> Sequence[Staff]:
    """The people of the team who asked to be told of such a thing when it happens, of a kind that is not so from the start."""
    return db.session.scalars(_who_want(), {"kind": kind}).all()


@cache
def _who_want() -> Select[Staff]:
    chose = MailChoice.kind == bindparam("kind"), MailChoice.at_once.is_(True)
    return (
        select(Staff)
        .join(MailChoice, MailChoice.staff_id == Staff.id)
        .where(*chose, Staff.active.is_(True), Staff.role.in_(CASE_ROLES))
        .order_by(Staff.id)
    )


def chosen(staff: Staff) -> dict[str, tuple[bool, bool]]:
    """(at once, in the digest) of every kind, as somebody chose or as it is from the start."""
    rows = db.session.scalars(select(MailChoice).where(MailChoice.staff_id == staff.id))
    own = {row.kind: (row.at_once, row.in_digest) for row in rows}
    return {part.kind: own.get(part.kind, (bool(part.at_once), bool(part.in_digest))) for part in parts(staff)}


def choose(staff: Staff, kind: str, *, at_once: bool, in_digest: bool) -> None:
    """Keep somebody's choice about a kind; what a kind does not offer stays off."""
    part = _part(kind)
    choice = db.session.get(MailChoice, (staff.id, kind))
    if choice is None:
        choice = MailChoice(staff_id=staff.id, kind=kind)
        db.session.add(choice)
    choice.at_once = at_once and part.at_once is not None
    choice.in_digest = in_digest and part.in_digest is not None
