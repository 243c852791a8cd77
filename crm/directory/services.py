"""Adding and changing entries of the directory, and what follows when a body is there no more."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from sqlalchemy import Select, select

from crm import clock
from crm.accounts.models import Staff
from crm.business_days import next_business_day
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.directory.matching import Asked
from crm.partners.models import CHASED_AFTER, Body, Person, Programme, Rule
from crm.partners.services import leave, note, save_entry, set_terms
from crm.partners.vocabulary import new_code
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.referrals.services import about, invite_again
from crm.reminders.services import plan_by_rule

WAITS_THERE = (Status.READY, Status.SENT, Status.INFO_ASKED)
AT_A_BODY = (Status.CONSENT_PENDING, Status.READY, Status.SENT, Status.INFO_ASKED, Status.NO_ANSWER, Status.ACCEPTED)


def add_body(code: str, facts: dict[str, Any], actor: Staff, *, verified: bool) -> Body:
    """Put a body in the directory; it receives nothing before somebody says who receives it."""
    body = Body(
        code=code,
        chase_days=CHASED_AFTER,
        version=1,
        **facts,
    )
    db.session.add(body)
    db.session.flush()
    note("added", body, actor)
    if verified:
        save_entry(body, body.version, actor, verified=True)
    return body


def save_body(body: Body, seen_version: int, facts: dict[str, Any], actor: Staff, *, verified: bool) -> bool:
    """Save what is written of a body; False when somebody saved it after `seen_version` was shown.

    Nothing is referred any more to one that is not active, and its links open nothing: whoever follows a file that is there gets a step.
    """
    was_active = body.active
    if not save_entry(body, seen_version, actor, verified=verified, **facts):
        return False
    if was_active and not facts["active"]:
        for case in db.session.scalars(_at(body)):
            plan_by_rule(case, "body_left", next_business_day(clock.today()), about=about(case, body))
    return True


def _at(body: Body, statuses: tuple[Status, ...] = AT_A_BODY) -> Select[Case]:
    """The open files that are at a body, each once."""
    there = select(Referral.case_id).where(Referral.body_id == body.id, Referral.status.in_(statuses))
    read = select(Case).where(Case.id.in_(there), Case.stage != Stage.CLOSED, Case.merged_into_id.is_(None))
    return read.order_by(Case.id)


def person_left(body: Body, person: Person, actor: Staff) -> None:
    """Somebody is at a body no more. When they were the one who received what it is sent, whoever follows a file that waits there gets a step."""
    first = body.main_id == person.id
    leave(body, person, actor)
    if first:
        for case in db.session.scalars(_at(body, WAITS_THERE)):
            plan_by_rule(case, "nobody_there", next_business_day(clock.today()), about=about(case, body))


@contextmanager
def welcoming(body: Body) -> Iterator[None]:
    """Around a change of who receives what a body is sent. What waits there leaves for whoever does now, when it was somebody else, or
    nobody, who did, and they are chased as anybody is.
    """
    before = body.contact_email.lower()
    yield
    if body.contact_email and body.contact_email.lower() != before:
        invite(waiting_at(body))


def waiting_at(body: Body) -> Sequence[Referral]:
    """What was sent to a body and is not answered."""
    there = select(Referral).where(Referral.body_id == body.id, Referral.status == Status.SENT)
    return db.session.scalars(there.order_by(Referral.id)).all()


def invite(waiting: Iterable[Referral]) -> None:
    """Write about what waits to who receives it now, and chase them as anybody is."""
    for referral in waiting:
        referral.chases = 0
        invite_again(referral)


def add_programme(
    body: Body, facts: dict[str, Any], asked: Asked, since: date, actor: Staff, *, verified: bool
) -> Programme:
    """Write down what a body offers, and whom it is for from a day on."""
    taken = set(db.session.scalars(select(Programme.code)))
    programme = Programme(
        code=new_code(f"{body.code} {facts['name_fr']}", taken, 60), body_id=body.id, version=1, **facts
    )
    db.session.add(programme)
    db.session.flush()
    note("added", programme, actor)
    set_terms(programme, asked.kept(), since=since, actor=actor)
    if verified:
        save_entry(programme, programme.version, actor, verified=True)
    return programme


def add_rule(facts: dict[str, Any], asked: Asked, since: date, actor: Staff) -> Rule:
    """Write a rule down, which holds from a day on."""
    taken = set(db.session.scalars(select(Rule.code)))
    rule = Rule(code=new_code(facts["name_fr"][:40], taken, 40), version=1, **facts)
    db.session.add(rule)
    db.session.flush()
    note("added", rule, actor)
    set_terms(rule, asked.kept(), since=since, actor=actor)
    return rule
