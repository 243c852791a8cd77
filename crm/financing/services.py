"""Writing applications down, moving them on, and what follows: a step when a decision is due, and when one that others wait for is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days
from crm.cases.merging import move_rows, return_rows
from crm.cases.models import Case
from crm.cases.pipeline import Move, Refusal
from crm.cases.vocabulary import Stage
from crm.config import LANGUAGES
from crm.db import db, repoint, save_over
from crm.errors import RefusedError
from crm.financing import rules
from crm.financing.models import Application, FinancingPlan
from crm.financing.rules import DECIDED, Line, Package, Status
from crm.i18n import language, speaking
from crm.partners.models import Body
from crm.partners.vocabulary import Instrument
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, rename_about, settle
from crm.texts import label, text
from crm.timeline.models import ActorKind
from crm.timeline.services import record

CHECK_AFTER = 2  # business days after the day on which a body decides: domain reference, section 14.1
MOMENT = timedelta(minutes=10)
MOST = 40  # applications of one file


def refused(key: str, **values: str) -> RefusedError:
    return RefusedError(text(f"financing.refusal.{key}", **values))


@dataclass(frozen=True)
class Facts:
    """What is written of an application; amounts in cents."""

    instrument: Instrument
    asked: int | None
    decision_due_on: date | None = None
    waits_for_id: int | None = None


@dataclass(frozen=True)
class Decision:
    """What comes with a move: how much, on what conditions, when, and until when it must be taken up."""

    amount: int | None = None
    conditions: str = ""
    on: date | None = None
    expires_on: date | None = None


_READ: dict[str, Any] = {
    "id": Application.id,
    "status": Application.status,
    "asked": Application.asked,
    "granted": Application.granted,
    "short_fr": Body.short_fr,
    "short_en": Body.short_en,
}


def rows() -> Select[*tuple[Any, ...]]:
    """The applications of the file `case_id` with their bodies, as a panel of its page reads them."""
    read = select(*(column.label(name) for name, column in _READ.items())).join(Body, Body.id == Application.body_id)
    return read.where(Application.case_id == bindparam("case_id"))


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """For the panel of the case page, in the order in which they were written down."""
    read = [dict(zip(_READ, row, strict=True)) for row in sorted(found)]
    return {"applications": [one | {"body": one[f"short_{language()}"]} for one in read]}


def of_case(case: Case) -> Sequence[Application]:
    """The applications of a file with their bodies, in the order in which they were written down."""
    found = select(Application).where(Application.case_id == case.id).order_by(Application.id)
    return db.session.scalars(found.options(joinedload(Application.body))).all()


def plan_of(case: Case) -> FinancingPlan | None:
    """What a project costs and what its group puts in, where it was written down."""
    return db.session.scalar(select(FinancingPlan).where(FinancingPlan.case_id == case.id))


def package_of(plan: FinancingPlan | None, applications: Sequence[Application]) -> Package:
    """What a file's applications add up to."""
    lines = (Line(one.status, one.asked, one.granted) for one in applications)
    return rules.package(plan.budget if plan else None, plan.own if plan else None, lines)


def save_plan(case: Case, *, seen_version: int, budget: int | None, own: int | None, actor: Staff) -> bool:
    """Save what a project costs and what its group puts in; False when somebody saved it after `seen_version` was shown (0 for none)."""
    _check_open(case)
    plan = plan_of(case)
    if plan is None:
        if seen_version != 0:
            return False
        db.session.add(FinancingPlan(case_id=case.id, budget=budget, own=own, version=1))
    elif not save_over(plan, seen_version, budget=budget, own=own):
        return False
    record("financing.planned", case_id=case.id, actor=by(actor), codes={"budget": budget or 0, "own": own or 0})
    return True


def add(case: Case, body: Body, status: Status, facts: Facts, actor: Staff) -> Application:
    """Write an application down, as far as it is. Raises RefusedError on a closed file, or for one that waits for a stranger."""
    _check_open(case)
    if status not in rules.BEGUN:
        raise refused("begun")
    there = of_case(case)
    if len(there) >= MOST:
        raise refused("most", count=str(MOST))
    _check_waits(there, None, facts.waits_for_id)
    if any(_is_same(one, body, status, facts) for one in there):
        raise refused("twice")
    application = Application(
        case_id=case.id,
        body_id=body.id,
        status=status,
        instrument=facts.instrument,
        asked=facts.asked,
        conditions="",
        filed_on=clock.today() if status is Status.FILED else None,
        decision_due_on=facts.decision_due_on,
        waits_for_id=facts.waits_for_id,
        created_at=clock.now(),
        created_by_id=actor.id,
    )
    db.session.add(application)
    db.session.flush()  # its id is in the event
    _tell("added", application, actor, facts.asked)
    plan_the_check(application, case)
    return application


def change(application: Application, case: Case, facts: Facts, *, seen_version: int, actor: Staff) -> bool:
    """Save what is written of an application; False when somebody saved it after `seen_version` was shown."""
    _check_open(case)
    _check_waits(of_case(case), application.id, facts.waits_for_id)
    decides_on, instrument = application.decision_due_on, application.instrument
    saved = save_over(
        application,
        seen_version,
        instrument=facts.instrument,
        asked=facts.asked,
        decision_due_on=facts.decision_due_on,
        waits_for_id=facts.waits_for_id,
    )
    if saved:
        _tell("changed", application, actor, facts.asked)
        if (decides_on, instrument) != (facts.decision_due_on, facts.instrument):
            settle(case, ("check_decision",), names(application.body, instrument), actor)
            plan_the_check(application, case)
            keep_from_being_forgotten(case)
    return saved


def _check_open(case: Case) -> None:
    if case.stage is Stage.CLOSED or case.merged_into_id is not None:
        raise RefusedError(text("cases.refusal.closed_file"))


def _is_same(one: Application, body: Body, status: Status, facts: Facts) -> bool:
    """Whether a button was pressed twice: the same was written down a moment ago."""
    same = one.body_id == body.id and one.status is status and one.instrument is facts.instrument
    return same and one.asked == facts.asked and clock.now() - one.created_at < MOMENT


def _check_waits(there: Sequence[Application], one: int | None, on: int | None) -> None:
    waits = {other.id: other.waits_for_id for other in there}
    if on is not None and (on not in waits or (one is not None and rules.would_circle(waits, one, on))):
        raise refused("circle")


def check_move(application: Application, to: str) -> None:
    """Raises RefusedError when an application cannot become `to` any more: a colleague may have moved it meanwhile."""
    if to in set(Status) and not rules.may_become(application.status, Status(to)):
        was, wanted = label("financing.status", application.status), label("financing.status", Status(to))
        raise refused("move", status=was, to=wanted)


def advance(application: Application, case: Case, to: Status, decision: Decision, actor: Staff) -> None:
    """Move an application on. One that is decided gives those who wait for it a step; raises RefusedError for a move that is none."""
    _check_open(case)
    db.session.scalar(select(Case.id).where(Case.id == case.id).with_for_update(key_share=True))
    db.session.refresh(application, with_for_update={"of": Application})
    check_move(application, to)
    if to in {Status.GRANTED, Status.DISBURSED} and decision.amount is None:
        raise refused("amount")
    application.status = to
    application.said_at = None  # what stands is a colleague's from now on: the body does not take it back
    application.version += 1
    today = decision.on or clock.today()
    match to:
        case Status.FILED:
            application.filed_on = today
        case Status.GRANTED:
            application.granted, application.decided_on = decision.amount, today
            application.conditions, application.expires_on = decision.conditions, decision.expires_on
        case Status.REFUSED | Status.DROPPED:
            application.decided_on, application.conditions = today, decision.conditions or application.conditions
        case Status.DISBURSED:
            application.disbursed = decision.amount
        case _:
            pass
    _tell("moved", application, actor, decision.amount, note=decision.conditions)
    if to in DECIDED:
        settle(case, ("check_decision", "money_decided"), names(application.body, application.instrument), actor)
        tell_waiting(application, case)
        keep_from_being_forgotten(case)


def tell_waiting(application: Application, case: Case) -> None:
    """One is decided: those of the file that wait for it get a step."""
    waiting = (
        select(Application).where(Application.waits_for_id == application.id).options(joinedload(Application.body))
    )
    for one in db.session.scalars(waiting.order_by(Application.id)):
        if one.status in rules.PENDING:
            plan_by_rule(case, "money_decided", add_business_days(clock.today(), 1), about=about(case, one))


def plan_the_check(application: Application, case: Case) -> None:
    """When the body says that it decides, somebody looks two business days later."""
    if application.decision_due_on is not None and application.status in rules.PENDING:
        due_on = add_business_days(max(application.decision_due_on, clock.today()), CHECK_AFTER)
        plan_by_rule(case, "check_decision", due_on, about=about(case, application))


def _named(body: Body, instrument: Instrument, lang: str) -> str:
    """What a step about an application is told apart by: two of one body are a grant and a loan."""
    with speaking(lang):
        return f"{body.short(lang)} – {label('partners.instrument', instrument)}"


def names(body: Body, instrument: Instrument) -> list[str]:
    """What `about` may have been, whoever the step was for."""
    return [_named(body, instrument, lang) for lang in LANGUAGES]


def about(case: Case, application: Application) -> str:
    """What a step planned about an application is told apart by, in the language of who does it."""
    body = db.session.get_one(Body, application.body_id)
    return _named(body, application.instrument, case.owner.language if case.owner else "fr")


def _tell(what: str, application: Application, actor: Staff, amount: int | None, *, note: str = "") -> None:
    _record(what, application, by(actor), amount, note)


def note_said(application: Application, amount: int | None, *, anew: bool) -> None:
    """The history says what the body itself said of an application, or that it corrected what it had said."""
    actor = ActorKind.BODY, application.body_id
    _record("said_anew" if anew else "said", application, actor, amount, application.conditions)


def _record(
    what: str, application: Application, actor: tuple[ActorKind, int | None], amount: int | None, note: str
) -> None:
    body = db.session.get_one(Body, application.body_id)
    case = db.session.get_one(Case, application.case_id)
    record(
        f"financing.{what}",
        case_id=case.id,
        actor=actor,
        codes={
            "application": application.id,
            "body": application.body_id,
            "status": application.status.value,
            "amount": amount or 0,
        },
        detail={"body_name": body.short(case.language)} | ({"note": note} if note else {}),
    )


def move_on(gone: Case, kept: Case) -> dict[str, list[int]]:
    """Merging: applications go along; what the project costs does where the kept file says nothing of it."""
    plans = move_rows(FinancingPlan, gone.id, kept.id) if plan_of(kept) is None else []
    return {"applications": move_rows(Application, gone.id, kept.id), "plans": plans}


def move_back(gone: Case, kept: Case, journal: dict[str, list[int]]) -> None:
    """Undoing: each goes back. One that was made to wait for an application of the other file waits no more."""
    return_rows(Application, gone.id, kept.id, journal["applications"])
    return_rows(FinancingPlan, gone.id, kept.id, journal["plans"])
    for case in (gone, kept):
        mine = select(Application.id).where(Application.case_id == case.id)
        db.session.execute(
            update(Application)
            .where(Application.case_id == case.id, Application.waits_for_id.is_not(None))
            .where(Application.waits_for_id.not_in(mine))
            .values(waits_for_id=None)
            .execution_options(synchronize_session="fetch")
        )


def move_to_body(gone: Body, kept: Body) -> None:
    """Two entries of one body become one: what was asked of the one was asked of the other, and what is planned about it is named so."""
    repoint(Application.body_id, gone.id, kept.id)
    files = select(Application.case_id).where(Application.body_id == kept.id)
    renamed = {_named(gone, one, lang): _named(kept, one, lang) for lang in LANGUAGES for one in Instrument}
    rename_about(files, renamed)


SOUGHT = frozenset({Status.PREPARING, Status.FILED, Status.GRANTED, Status.DISBURSED})


def guard(case: Case, move: Move) -> list[Refusal]:
    """Domain reference, section 14.1: an application in preparation or further before a file looks for financing."""
    if move.to is not Stage.FINANCING or move.origin is Stage.PAUSED:
        return []
    sought = select(Application.id).where(Application.case_id == case.id, Application.status.in_(SOUGHT)).limit(1)
    return [] if db.session.scalar(sought) else [Refusal("needs_application", feature="financing")]
