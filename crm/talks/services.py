"""Booking talks and recording what came of them."""

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days
from crm.cases.models import Case, Exchange
from crm.cases.pipeline import Move, Refusal
from crm.cases.services import record_exchange
from crm.cases.vocabulary import ExchangeDirection, ExchangeKind, ExchangeResult, Stage
from crm.db import db
from crm.errors import RefusedError
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, set_rule_date
from crm.talks.models import Mode, Talk, TalkState
from crm.texts import text
from crm.timeline.services import record


def holds(case: Any, at: datetime) -> ColumnElement[bool]:
    """A file is held at an instant by a booked talk that is still to come."""
    return exists().where(
        Talk.case_id == case.id,
        Talk.created_at <= at,
        or_(Talk.ended_at.is_(None), Talk.ended_at > at),
        Talk.starts_at > at,
    )


def booked(case: Case) -> list[Talk]:
    """Talks of a file that are booked, the next one first."""
    return list(db.session.scalars(_booked(), {"case_id": case.id}))


@cache
def _booked() -> Select[Talk]:
    mine = Talk.case_id == bindparam("case_id")
    return select(Talk).where(mine, Talk.state == TalkState.BOOKED).order_by(Talk.starts_at)


def book(case: Case, *, adviser: Staff, starts_at: datetime, minutes: int, mode: Mode, actor: Staff) -> Talk:
    """Fix a talk. Three business days after it, recording what was said comes due (domain reference, 14.1)."""
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    if starts_at <= clock.now():
        raise RefusedError(text("talks.refusal.past"))
    length = timedelta(minutes=minutes)
    # One booking at a time for one adviser: the question below is asked when the other's answer is known.
    db.session.scalar(select(Staff.id).where(Staff.id == adviser.id).with_for_update())
    others = db.session.execute(
        select(Talk.starts_at, Talk.minutes).where(
            Talk.adviser_id == adviser.id,
            Talk.state == TalkState.BOOKED,
            Talk.starts_at < starts_at + length,
            Talk.starts_at > starts_at - timedelta(hours=4),
        )
    )
    if any(other.starts_at + timedelta(minutes=other.minutes) > starts_at for other in others):
        raise RefusedError(text("talks.refusal.taken"))
    talk = Talk(
        case_id=case.id,
        adviser_id=adviser.id,
        starts_at=starts_at,
        minutes=minutes,
        mode=mode,
        state=TalkState.BOOKED,
        created_at=clock.now(),
    )
    db.session.add(talk)
    record(
        "talk.booked",
        case_id=case.id,
        actor=by(actor),
        codes={"mode": mode, "at": starts_at.isoformat()},
    )
    set_rule_date(case, "record", _record_by(starts_at))
    return talk


def _record_by(starts_at: datetime) -> date:
    return add_business_days(clock.local_date(starts_at), 3)


def moved(case: Case, move: Move, actor: Staff | None) -> None:
    """Closing cancels the talks still to come; entering discovery with one booked, recording it waits for the talk."""
    if move.to is Stage.CLOSED and actor is not None:
        for talk in booked(case):
            talk.state, talk.ended_at = TalkState.CANCELLED, clock.now()
            record("talk.cancelled", case_id=case.id, actor=by(actor), codes={"at": talk.starts_at.isoformat()})
    elif move.to is Stage.DISCOVERY and (coming := booked(case)):
        set_rule_date(case, "record", _record_by(coming[0].starts_at))


def settle(talk: Talk, case: Case, state: TalkState, actor: Staff, summary: str) -> None:
    """Record whether a talk was held, missed by the person, or cancelled. A missed one makes a dated follow-up."""
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    if talk.state is not TalkState.BOOKED:
        raise RefusedError(text("talks.refusal.ended"))
    if state is not TalkState.CANCELLED and talk.starts_at > clock.now():
        raise RefusedError(text("talks.refusal.not_yet"))
    talk.state, talk.ended_at = state, clock.now()
    if state is TalkState.CANCELLED:
        record("talk.cancelled", case_id=case.id, actor=by(actor), codes={"at": talk.starts_at.isoformat()})
    else:
        held = state is TalkState.HELD
        record_exchange(
            case,
            kind=ExchangeKind.CALL if talk.mode is Mode.PHONE else ExchangeKind.MEETING,
            direction=ExchangeDirection.OUTGOING,
            result=ExchangeResult.TWO_WAY if held else ExchangeResult.ATTEMPT,
            happened_at=talk.starts_at,
            minutes=talk.minutes if held else None,
            summary=summary,
            actor=actor,
        )
    if state is not TalkState.HELD:
        plan_by_rule(case, "no_show", add_business_days(clock.today(), 1))
    keep_from_being_forgotten(case)


def guard(case: Case, move: Move) -> list[Refusal]:
    """Discovery starts with a two-way exchange, or with a talk booked for a date."""
    if move.to is not Stage.DISCOVERY or move.origin is not Stage.CONTACT:
        return []
    spoke = select(Exchange.id).where(Exchange.case_id == case.id, Exchange.result == ExchangeResult.TWO_WAY)
    will_speak = select(Talk.id).where(Talk.case_id == case.id, Talk.state == TalkState.BOOKED)
    found = db.session.scalar(spoke.limit(1)) or db.session.scalar(will_speak.limit(1))
    return [] if found else [Refusal("needs_exchange")]
