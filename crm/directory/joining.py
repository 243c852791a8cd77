"""Two entries of the directory that are one body become one: what hangs on the one hangs on the other, and the one stays to be read."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from crm import clock
from crm.accounts.models import Staff
from crm.activities import services as activities
from crm.activities.models import ActivityBody
from crm.db import db, repoint
from crm.directory.services import invite, waiting_at
from crm.errors import RefusedError
from crm.financing import services as financing
from crm.financing.models import Application
from crm.links.models import Purpose
from crm.links.services import hand_over, revoke_older
from crm.partners import queries
from crm.partners.models import Body, Person, Programme, Rule, Terms
from crm.partners.queries import at_address, in_force, terms_of
from crm.partners.services import hold, note, set_terms
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.texts import text


@dataclass(frozen=True)
class Moves:
    """What goes from one entry to the other, in numbers."""

    files: int
    applications: int
    programmes: int
    people: int
    offices: int
    activities: int  # at which it was present


def what_moves(gone: Body) -> Moves:
    """What hangs on an entry now."""

    def count(column: object, *where: object) -> int:
        return db.session.scalar(select(func.count(column)).where(*where)) or 0  # type: ignore[arg-type]

    return Moves(
        files=count(Referral.case_id.distinct(), Referral.body_id == gone.id),
        applications=count(Application.id, Application.body_id == gone.id),
        programmes=count(Programme.id, Programme.body_id == gone.id),
        people=count(Person.id, Person.body_id == gone.id, Person.left_at.is_(None)),
        offices=count(Body.id, Body.part_of_id == gone.id),
        activities=count(ActivityBody.activity_id, ActivityBody.body_id == gone.id),
    )


def may_take(gone: Body) -> list[Body]:
    """The entries that may take the place of one, by short name: those that are referred to, and neither its whole nor a local office of its own."""
    return [one for one in queries.directory() if _may_take(gone, one)]


def _of_each_other(one: Body, other: Body) -> bool:
    return one.part_of_id == other.id or other.part_of_id == one.id


def _may_take(gone: Body, other: Body) -> bool:
    """Whether an entry may take the place of another; a local office has neither programmes nor offices, and takes only an office's place."""
    if other.id == gone.id or not other.active or _of_each_other(gone, other):
        return False
    return other.part_of_id is None or gone.part_of_id is not None


def check_not_joined(body: Body) -> None:
    """Raises RefusedError for an entry that was joined to another already, as after a button pressed twice."""
    if body.joined_to_id is not None:
        raise RefusedError(text("directory.refusal.joined_before"))


def join(gone: Body, kept: Body, actor: Staff) -> None:
    """Give all that hangs on an entry to another one of the same body, which is referred to from now on. Its people keep their links to all
    that waits; about what waits, whoever receives there now is written to.

    Raises RefusedError when it was joined before, or the other may not take its place.
    """
    hold()
    for one in (gone, kept):
        db.session.refresh(one)
    check_not_joined(gone)
    if not _may_take(gone, kept):
        raise RefusedError(text("directory.refusal.cannot_join"))
    waiting = [*waiting_at(gone), *(waiting_at(kept) if kept.main_id is None else ())]
    here, there = gone.contact_email.lower(), kept.contact_email.lower()
    referrals.move_to_body(gone, kept, same_person=gone.active and bool(here) and there in {"", here})
    if not gone.active:  # links to all that waits, which opened nothing any more, stay so
        people = select(Person.id).where(Person.body_id == gone.id)
        revoke_older(Purpose.BODY, people, None)
    financing.move_to_body(gone, kept)
    activities.move_to_body(gone, kept)
    receives = gone.contact_email if kept.main_id is None else ""
    _move_people(gone, kept)
    for column in (Programme.body_id, Body.part_of_id, Body.joined_to_id):
        repoint(column, gone.id, kept.id)
    _name_in_terms(gone, kept, actor)
    if not kept.known_as:
        kept.known_as, gone.known_as = gone.known_as, ""
    gone.active, gone.joined_to_id, gone.main_id, gone.part_of_id = False, kept.id, None, None
    gone.version += 1
    kept.version += 1  # who has its form open is told
    first = at_address(kept, receives) if receives else None
    if first is not None:
        kept.main_id = first.id
    db.session.flush()
    db.session.expire_all()  # whose body is which was written past them
    invite(waiting)  # but for those whose link works for who receives now
    note("joined", gone, actor)
    note("changed", kept, actor, ["joined"])


def _move_people(gone: Body, kept: Body) -> None:
    """The people of an entry are the other's; somebody who is at both under one address is there once, and their links go along."""
    for person in db.session.scalars(select(Person).where(Person.body_id == gone.id).order_by(Person.id)):
        there = at_address(kept, person.email) if person.left_at is None else None
        person.body_id = kept.id
        if there is not None:
            hand_over(Purpose.BODY, person.id, there.id)
            person.left_at = clock.now()
            there.receives = there.receives or person.receives
        db.session.flush()


def _name_in_terms(gone: Body, kept: Body, actor: Staff) -> None:
    """What is asked of projects and names the entry names the other from today on; what was in force stays to be read."""
    for owner, terms in _that_hold():
        support = terms.asked.get("support", [])
        if gone.code in support:
            renamed = list(dict.fromkeys(kept.code if code == gone.code else code for code in support))
            since = max(terms.since, clock.today())
            set_terms(owner, {**terms.asked, "support": renamed}, since=since, actor=actor)


def _that_hold() -> Iterator[tuple[Programme | Rule, Terms]]:
    """The terms in force today, and those that begin later, with whose they are."""
    today = clock.today()
    for owner in (*db.session.scalars(select(Programme)), *db.session.scalars(select(Rule))):
        terms = terms_of(owner)
        now = in_force(terms, today)
        yield from ((owner, one) for one in terms if one is now or one.since > today)
