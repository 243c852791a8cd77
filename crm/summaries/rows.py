"""The rows that the figures of a period are made of, as they stand now. What is left out everywhere is left out here."""

from collections.abc import Callable, Iterator
from datetime import datetime
from sys import intern
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from crm import clock
from crm.activities.models import GROUPS, Activity, ActivityBody
from crm.activities.models import State as ActivityState
from crm.cases.models import Case, CaseNeed, Exchange, Project, StageSpell
from crm.cases.pipeline import NEVER_COUNTED
from crm.cases.queries import counted, is_held
from crm.cases.vocabulary import ExchangeKind, ExchangeResult, NeedState, Stage
from crm.db import db
from crm.financing.models import Application
from crm.financing.rules import Status as Applied
from crm.partners.models import Body, Programme
from crm.partners.vocabulary import BodyKind
from crm.referrals.models import Referral
from crm.referrals.outcomes import EndedBy, Status
from crm.reminders.models import FollowUp
from crm.reminders.models import State as StepState
from crm.summaries import figures as f
from crm.summaries.periods import Period

ACCEPTED = (Status.ACCEPTED, Status.COMPLETED, Status.INTERRUPTED)  # a body took it on, whatever came of it
DECISIONS = {Applied.GRANTED: "granted", Applied.DISBURSED: "granted", Applied.REFUSED: "refused"}


def between(column: Any, bounds: tuple[datetime, datetime]) -> ColumnElement[bool]:
    """Instants of a half-open span."""
    return and_(column >= bounds[0], column < bounds[1])


def rows_of(period: Period, *kinds: str) -> f.Rows:
    """The rows of a period, of some kinds or of all; the whole programme, so for the team and for publication only."""
    return f.Rows(**{kind: list(_READ[kind](period)) for kind in kinds or _READ})


STREAMED = 5_000  # rows that are held at once on their way from the database


def streamed(statement: Any) -> Any:
    """The rows of a statement, some at a time and as the connection gives them: those of a large programme are many."""
    return db.session.connection().execute(statement, execution_options={"yield_per": STREAMED})


def _as_far_as(period: Period) -> tuple[datetime, datetime]:
    """The twelve months that end with a period, and all of it and of the one before when they are longer."""
    start, end = period.rolling
    return min(start, period.previous.bounds[0]), end


def _requests(period: Period) -> Iterator[f.Request]:
    before = between(Case.received_at, period.previous.bounds)
    spoke = select(Exchange.case_id, func.min(Exchange.happened_at)).join(Case, Case.id == Exchange.case_id)
    spoke = spoke.where(before, Exchange.result == ExchangeResult.TWO_WAY).group_by(Exchange.case_id)
    first = dict(db.session.execute(spoke).all())
    read = (
        select(
            Case.id,
            Case.received_at,
            case((Case.received_at >= period.previous.bounds[0], Case.first_reply_at)),  # of the others it is not asked
            Project.region,
            Case.language,
            Project.sector,
            type_coerce(Project.stage, String),
            type_coerce(Project.legal_form, String),
            Case.heard,
        )
        .join(Project, Project.id == Case.project_id)
        .where(between(Case.received_at, _as_far_as(period)), counted())
        .order_by(Case.id)
    )
    for number, received_at, replied_at, region, language, sector, stage, form, heard in streamed(read):
        yield f.Request(
            number,
            received_at,
            replied_at,
            first.get(number),
            *map(intern, (region, language, sector, stage, form, heard)),  # one string for each code, however many rows
        )


def _talked(period: Period) -> Iterator[f.Talked]:
    spoken = Exchange.kind.in_((ExchangeKind.CALL, ExchangeKind.MEETING)), Exchange.result == ExchangeResult.TWO_WAY
    read = select(Exchange.case_id, Exchange.happened_at, Exchange.kind == ExchangeKind.MEETING, Exchange.minutes)
    read = read.join(Case, Case.id == Exchange.case_id)
    read = read.where(between(Exchange.happened_at, period.bounds), *spoken, counted()).order_by(Exchange.id)
    for number, at, is_meeting, minutes in streamed(read):
        yield f.Talked(number, at, bool(is_meeting), minutes)


def _stood(period: Period) -> ColumnElement[bool]:
    """The stays in which files that were not closed stood at the end of the last day."""
    _start, end = period.bounds
    return and_(
        StageSpell.entered_at < end,
        or_(StageSpell.left_at.is_(None), StageSpell.left_at >= end),
        StageSpell.stage != literal_column("'closed'"),  # written as their index is
    )


def _stays(period: Period) -> Iterator[f.Stay]:
    held = is_held(period.bounds[1])
    # Written as a sum, so that SQLite begins with the stays of that day and not with all files there ever were.
    read = select(StageSpell.case_id, type_coerce(StageSpell.stage, String), held).join(
        Case, Case.id == StageSpell.case_id + 0
    )
    for number, stage, is_one in streamed(read.where(_stood(period), counted()).order_by(StageSpell.id + 0)):
        yield f.Stay(number, intern(stage), bool(is_one))


def _steps(period: Period) -> Iterator[f.Step]:
    read = select(FollowUp.case_id, FollowUp.first_due_on, type_coerce(FollowUp.state, String), FollowUp.ended_at)
    read = read.join(Case, Case.id == FollowUp.case_id)
    read = read.where(
        FollowUp.first_due_on.between(period.first, period.last), FollowUp.state != StepState.CANCELLED, counted()
    )
    for number, first_due_on, state, ended_at in streamed(read.order_by(FollowUp.id)):
        ended_on = clock.local_date(ended_at) if ended_at is not None else None
        yield f.Step(number, first_due_on, ended_on if state == StepState.DONE else None)


def _kind() -> Any:
    """What a referral asks for: the kind of the programme that was thought of or, without one, of the body."""
    return func.coalesce(Programme.kind, Body.kind)


def _is_for(kind: BodyKind) -> ColumnElement[bool]:
    """The same as a condition on referrals alone: joined, the few bodies may lead PostgreSQL to ask of each of them about each file."""
    ours = Referral.programme_id.in_(select(Programme.id).where(Programme.kind == kind))
    theirs = Referral.body_id.in_(select(Body.id).where(Body.kind == kind))
    return or_(ours, and_(Referral.programme_id.is_(None), theirs))


def _referrals(*columns: Any) -> Select[Any]:
    read = select(*columns).join(Case, Case.id == Referral.case_id).join(Body, Body.id == Referral.body_id)
    return read.outerjoin(Programme, Programme.id == Referral.programme_id)


def _sent(period: Period) -> Iterator[f.Sent]:
    """Of twelve months, though figures are of fewer: what each body is told of its own answers is made of the same rows."""
    span = min(period.rolling[0], period.previous.previous.bounds[0]), period.bounds[1]
    read = _referrals(
        Referral.case_id,
        Referral.sent_at,
        _kind(),
        Referral.status,
        Referral.declined_by,
        Referral.answered_at,
        func.coalesce(Body.joined_to_id, Body.part_of_id, Body.id),  # a local office is one with the body that it is of
        Referral.body_id,
    ).where(between(Referral.sent_at, span), counted())
    for number, sent_at, kind, status, declined_by, answered_at, body, entry in streamed(read.order_by(Referral.id)):
        answer = answer_of(status, declined_by)
        yield f.Sent(
            number,
            sent_at,
            str(kind),
            answered_at if answer == "accepted" else None,
            answered_at if answer == "declined" else None,
            status is Status.WITHDRAWN and declined_by is not EndedBy.TIME,  # a permission that ended took nothing back
            body,
            entry,
        )


def answer_of(status: Status, declined_by: EndedBy | None) -> str:
    """What a body answered to a referral: "accepted", whatever came of it, "declined" by itself, or nothing."""
    if status in ACCEPTED:
        return "accepted"
    return "declined" if status is Status.DECLINED and declined_by is EndedBy.BODY else ""


def _begun(period: Period) -> Iterator[f.Begun]:
    """Files whose first body for technical assistance took them on, and those that the team began to assist without one."""
    assists = Referral.status.in_(ACCEPTED), _is_for(BodyKind.ASSISTANCE)
    some = select(Referral.case_id).where(between(Referral.answered_at, period.bounds), *assists)
    first = (
        select(Referral.case_id, func.min(Referral.answered_at).label("at"))
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.case_id.in_(some), *assists, counted())
        .group_by(Referral.case_id)
        .subquery()
    )
    for number, at in streamed(select(first.c.case_id, first.c.at).order_by(first.c.case_id)):
        yield f.Begun(number, at)
    entered = func.min(StageSpell.entered_at).label("at")
    in_it = select(StageSpell.case_id).where(
        StageSpell.stage == Stage.ASSISTANCE, between(StageSpell.entered_at, period.bounds)
    )
    direct = (
        select(StageSpell.case_id, entered)
        .join(Case, Case.id == StageSpell.case_id)
        .where(StageSpell.case_id.in_(in_it), StageSpell.stage == Stage.ASSISTANCE, counted())
        .group_by(StageSpell.case_id)
        .subquery()
    )
    taken_on = (
        select(Referral.id)
        .where(Referral.case_id == direct.c.case_id, Referral.answered_at <= direct.c.at, *assists)
        .correlate(direct)
    )
    read = select(direct.c.case_id, direct.c.at).where(~taken_on.exists()).order_by(direct.c.case_id)
    for number, at in streamed(read):
        yield f.Begun(number, at)


def _needs(period: Period) -> Iterator[f.Needed]:
    _start, end = period.bounds
    taken_on = exists().where(
        Referral.case_id == CaseNeed.case_id, Referral.status.in_(ACCEPTED), Referral.answered_at < end
    )
    by_then = CaseNeed.state_since < end
    met = case(
        (and_(CaseNeed.state == NeedState.ANSWERED, by_then), True),
        (and_(CaseNeed.state == NeedState.REFERRED, by_then, taken_on), True),
        else_=False,
    )
    read = (
        select(CaseNeed.case_id, type_coerce(CaseNeed.need, String), CaseNeed.since, met)
        .join(StageSpell, StageSpell.case_id == CaseNeed.case_id)
        .join(Case, Case.id == CaseNeed.case_id)
        .where(_stood(period), CaseNeed.since < end - f.UNMET_AFTER, counted())
        .order_by(CaseNeed.case_id, CaseNeed.need)
    )
    for number, need, since, is_met in streamed(read):
        yield f.Needed(number, intern(need), since, bool(is_met))


def _money(period: Period) -> Iterator[f.Money]:
    days = period.first, period.last
    read = (
        select(
            Application.case_id,
            Application.instrument,
            Application.filed_on,
            Application.asked,
            Application.status,
            Application.decided_on,
            Application.granted,
        )
        .join(Case, Case.id == Application.case_id)
        .where(or_(Application.filed_on.between(*days), Application.decided_on.between(*days)), counted())
        .order_by(Application.id)
    )
    for number, instrument, filed_on, asked, status, decided_on, granted in streamed(read):
        yield f.Money(number, instrument.value, filed_on, asked, DECISIONS.get(status, ""), decided_on, granted)


def _built(period: Period) -> Iterator[f.Built]:
    read = (
        select(
            Case.id,
            Case.received_at,
            Project.legal_form,
            Project.incorporated_on,
            Project.launched_on,
            Project.check_result,
        )
        .join(Project, Project.id == Case.project_id)
        .where(
            or_(
                Project.incorporated_on.between(period.first, period.last),
                Project.launched_on.between(period.year_before.first, period.last),
            ),
            counted(),
        )
        .order_by(Case.id)
    )
    for number, received_at, form, incorporated_on, launched_on, check in streamed(read):
        yield f.Built(
            number, received_at, form.value, incorporated_on, launched_on, check.value if check is not None else ""
        )


def _closed(period: Period) -> Iterator[f.Closed]:
    read = select(Case.id, Case.closed_at, type_coerce(Case.closing_reason, String)).where(
        Case.stage == Stage.CLOSED,
        between(Case.closed_at, _as_far_as(period)),
        Case.quarantined.is_(False),
    )
    for number, closed_at, reason in streamed(read.order_by(Case.id)):
        if closed_at is not None and reason is not None:
            yield f.Closed(number, closed_at, intern(reason), reason not in NEVER_COUNTED)


def _activities(period: Period) -> Iterator[f.Held]:
    """Of the twelve months that end with the period: what is published of the earlier ones may have to be revised."""
    first = min(period.first, period.rolling_days[0])
    held = Activity.state == ActivityState.HELD, Activity.held_on.between(first, period.last)
    there = select(ActivityBody.activity_id, ActivityBody.body_id).join(Activity).where(*held)
    bodies: dict[int, list[int]] = {}
    for number, body in streamed(there.order_by(ActivityBody.activity_id, ActivityBody.body_id)):
        bodies.setdefault(number, []).append(body)
    read = select(Activity.id, Activity.held_on, Activity.participants, Activity.kind).where(*held)
    for number, held_on, participants, kind in streamed(read.order_by(Activity.id)):
        if held_on is not None:  # the database says so of every one that was held
            yield f.Held(held_on, participants or 0, kind in GROUPS, tuple(bodies.get(number, ())))


_READ: dict[str, Callable[[Period], Iterator[Any]]] = {
    "requests": _requests,
    "talked": _talked,
    "stays": _stays,
    "steps": _steps,
    "sent": _sent,
    "begun": _begun,
    "needs": _needs,
    "money": _money,
    "built": _built,
    "closed": _closed,
    "activities": _activities,
}
