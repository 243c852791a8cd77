"""The rows a summary is made of, and published summaries."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from crm import clock
from crm.cases.models import Case, StageSpell
from crm.cases.pipeline import NEVER_COUNTED
from crm.cases.queries import is_held
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.summaries.figures import Figures, Period, Reply, Sent, compute
from crm.summaries.models import Summary


def _counted() -> ColumnElement[bool]:
    """Left out everywhere: unwanted requests, those still set aside as such, mistakes, duplicates."""
    return Case.quarantined.is_(False) & or_(Case.closing_reason.is_(None), Case.closing_reason.not_in(NEVER_COUNTED))


def figures(period: Period) -> Figures:
    """The figures of a period as they stand now; the whole programme, so for staff and for publication only."""
    start, end = period.bounds
    _, cut_off = clock.day_bounds(period.cut_off, period.cut_off)
    return compute(
        _replies(start, end),
        _stages(end),
        sent=_sent(start, end),
        cohort=_cohort(*period.previous.bounds),
        no_next_step=_no_next_step(end),
        cut_off=cut_off,
    )


def _replies(start: datetime, end: datetime) -> list[Reply]:
    statement = select(Case.received_at, Case.first_reply_at).where(
        Case.received_at >= start, Case.received_at < end, _counted()
    )
    return [Reply(row.received_at, row.first_reply_at) for row in db.session.execute(statement)]


def _in_stage_at(end: datetime) -> ColumnElement[bool]:
    return (
        (StageSpell.entered_at < end)
        & or_(StageSpell.left_at.is_(None), StageSpell.left_at >= end)
        & (StageSpell.stage != Stage.CLOSED)
    )


def _stages(end: datetime) -> dict[str, int]:
    statement = (
        select(StageSpell.stage, func.count(StageSpell.id))
        .join(Case, Case.id == StageSpell.case_id)
        .where(_in_stage_at(end), _counted())
        .group_by(StageSpell.stage)
    )
    found = {row[0]: row[1] for row in db.session.execute(statement)}
    return {stage.value: found.get(stage, 0) for stage in Stage if stage is not Stage.CLOSED}


def _sent(start: datetime, end: datetime) -> int:
    statement = (
        select(func.count(Referral.id))
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.sent_at >= start, Referral.sent_at < end, _counted())
    )
    return db.session.scalar(statement) or 0


def _cohort(start: datetime, end: datetime) -> list[Sent]:
    """Referrals sent in a period and not withdrawn; a declined or silent one counts, and was not accepted."""
    accepted = (Status.ACCEPTED, Status.COMPLETED, Status.INTERRUPTED)
    statement = (
        select(Referral.sent_at, Referral.answered_at, Referral.status)
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.sent_at >= start, Referral.sent_at < end, Referral.status != Status.WITHDRAWN, _counted())
    )
    return [
        Sent(row.sent_at, row.answered_at if row.status in accepted else None) for row in db.session.execute(statement)
    ]


def _no_next_step(end: datetime) -> int:
    statement = (
        select(func.count(StageSpell.id))
        .join(Case, Case.id == StageSpell.case_id)
        .where(_in_stage_at(end), StageSpell.stage != Stage.PAUSED, _counted(), ~is_held(end))
    )
    return db.session.scalar(statement) or 0


def published(period: Period) -> Summary | None:
    return db.session.scalar(select(Summary).where(Summary.period == period.code))


def all_published() -> list[Summary]:
    """Newest first."""
    return list(db.session.scalars(select(Summary).order_by(Summary.first_day.desc())))
