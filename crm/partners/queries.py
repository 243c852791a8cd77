"""Reads of the directory."""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import contains_eager, load_only

from crm.db import db
from crm.i18n import language
from crm.partners.models import Body, Person, Programme, Rule, Terms
from crm.partners.vocabulary import CODE
from crm.search.words import Question, fold


def directory() -> list[Body]:
    """Active bodies, by short name."""
    return list(db.session.scalars(select(Body).where(Body.active.is_(True)).order_by(Body.short_fr)))


def named(question: Question) -> list[Body]:
    """Bodies that are active and have every word of a question in their names, whole or as a beginning."""
    if not question:
        return []
    bodies = db.session.scalars(_names())
    return [one for one in bodies if question.answered_by(f"{one.name_fr} {one.name_en} {one.short_fr} {one.short_en}")]


@cache
def _names() -> Select[Body]:
    names = load_only(Body.code, Body.name_fr, Body.name_en, Body.short_fr, Body.short_en)
    return select(Body).where(Body.active.is_(True)).options(names).order_by(Body.short_fr)


def by_code(code: str) -> Body | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Body).where(Body.code == code))


def by_codes(codes: Iterable[str]) -> list[Body]:
    """Bodies of some codes, by short name; codes of none are left out."""
    return list(db.session.scalars(select(Body).where(Body.code.in_(list(codes))).order_by(Body.short_fr)))


def named_in_request() -> list[Body]:
    """The bodies that the request asks about, by short name."""
    return [body for body in directory() if body.named_in_request]


def owned_by(owner: Programme | Rule) -> ColumnElement[bool]:
    """The terms of a programme or of a rule."""
    return Terms.rule_id == owner.id if isinstance(owner, Rule) else Terms.programme_id == owner.id


def terms_of(owner: Programme | Rule) -> list[Terms]:
    """The terms that a programme or a rule has, had and will have, the last to begin first."""
    return list(db.session.scalars(select(Terms).where(owned_by(owner)).order_by(Terms.since.desc())))


def in_force(terms: list[Terms], day: date) -> Terms | None:
    """Of terms from the last to begin to the first, those that hold on a day."""
    return next((one for one in terms if one.since <= day), None)


def programmes_offered(day: date) -> list[tuple[Programme, dict[str, Any]]]:
    """The programmes that active bodies offer on a day, each with what it asks; one that begins later is not among them."""
    last = select(func.max(Terms.since)).where(Terms.programme_id == Programme.id, Terms.since <= day)
    now = and_(Terms.programme_id == Programme.id, Terms.since == last.correlate(Programme).scalar_subquery())
    read = select(Programme, Terms.asked).join(Programme.body).join(Terms, now)
    read = read.where(Programme.active.is_(True), Body.active.is_(True)).order_by(Programme.code)
    found = db.session.execute(read.options(contains_eager(Programme.body)))
    return [(programme, asked) for programme, asked in found]


def asked_by_programmes(day: date) -> dict[int, dict[str, Any]]:
    """What each programme asks on a day, offered or not, by number."""
    read = select(Terms.programme_id, Terms.asked).where(Terms.programme_id.is_not(None), Terms.since <= day)
    found = db.session.execute(read.order_by(Terms.since))
    return {number: asked for number, asked in found if number is not None}  # the last to begin stays


def rules_in_force(day: date) -> list[tuple[Rule, dict[str, Any]]]:
    """The rules that count, each with what it asks on a day; those that begin later are not among them."""
    last = select(func.max(Terms.since)).where(Terms.rule_id == Rule.id, Terms.since <= day)
    now = and_(Terms.rule_id == Rule.id, Terms.since == last.correlate(Rule).scalar_subquery())
    read = select(Rule, Terms.asked).join(Terms, now).where(Rule.active.is_(True)).order_by(Rule.code)
    return [(rule, asked) for rule, asked in db.session.execute(read)]


def programmes_of(body: Body) -> list[Programme]:
    """The programmes of a body, those that are offered first."""
    read = select(Programme).where(Programme.body_id == body.id)
    return list(db.session.scalars(read.order_by(Programme.active.desc(), Programme.code)))


def programme_by_code(code: str) -> Programme | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Programme).where(Programme.code == code))


def rules() -> list[Rule]:
    return list(db.session.scalars(select(Rule).order_by(Rule.code)))


def doors(bodies: Iterable[Body]) -> dict[int, dict[str, Body]]:
    """Which local office of a body, by number, serves each borough or city. Pure."""
    found: dict[int, dict[str, Body]] = {}
    for body in bodies:
        if body.part_of_id is not None and body.active:
            found.setdefault(body.part_of_id, {}).update((locality, body) for locality in body.localities or ())
    return found


def wholes(bodies: Sequence[Body]) -> dict[str, str]:
    """The body that each local office belongs to, or that an entry was joined to, by code. Pure."""
    codes = {body.id: body.code for body in bodies}
    of_another = ((body.code, body.joined_to_id or body.part_of_id) for body in bodies)
    return {code: codes[number] for code, number in of_another if number is not None}


def rule_by_code(code: str) -> Rule | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Rule).where(Rule.code == code))


def everyone() -> list[Body]:
    """All bodies, those that nothing is referred to any more last, else by short name as people read it."""
    found = db.session.scalars(select(Body))
    return sorted(found, key=lambda body: (not body.active, fold(body.short(language())), body.id))


def doors_of(body: Body) -> list[Body]:
    """The doors of a body, for its territories."""
    return list(db.session.scalars(select(Body).where(Body.part_of_id == body.id).order_by(Body.short_fr)))


def count_programmes() -> dict[int, int]:
    """How many programmes each body offers, by number."""
    read = select(Programme.body_id, func.count()).where(Programme.active.is_(True)).group_by(Programme.body_id)
    return dict(db.session.execute(read).all())


def people_of(body: Body) -> list[Person]:
    """The people of a body who are there, the one who receives each referral first, then by name."""
    found = db.session.scalars(select(Person).where(Person.body_id == body.id, Person.left_at.is_(None)))
    return sorted(found, key=lambda one: (one.id != body.main_id, fold(one.name), one.id))


def at_address(body: Body, email: str) -> Person | None:
    """Who is at a body under an address."""
    here = Person.body_id == body.id, Person.left_at.is_(None), func.lower(Person.email) == email.lower()
    return db.session.scalar(select(Person).where(*here).order_by(Person.id).limit(1))


def person_of(body: Body, number: int) -> Person | None:
    """Somebody who is at a body, by number."""
    here = Person.id == number, Person.body_id == body.id, Person.left_at.is_(None)
    return db.session.scalar(select(Person).where(*here))
