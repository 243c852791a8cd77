"""The rows that tell how files go, as they stand now."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, exists, or_, select, type_coerce

from crm.cases.models import Case, CaseNeed, Project, StageSpell, TurnSpell
from crm.cases.vocabulary import NeedState, Stage, Turn
from crm.financing.models import Application
from crm.financing.rules import Status as Applied
from crm.partners.models import Body
from crm.referrals.models import Referral
from crm.referrals.outcomes import EndedBy, Status
from crm.summaries import course as c
from crm.summaries.periods import Period
from crm.summaries.rows import ACCEPTED, between, counted, streamed

GRANTED = (Applied.GRANTED, Applied.DISBURSED)


def rows_of(period: Period) -> c.Rows:
    """The rows of a period; the cohort and the bodies are of the twelve months that end with it."""
    return c.Rows(
        list(_stages(period)), list(_hands(period)), list(_cohort(period)), list(_asked(period)), list(_lacked(period))
    )


def _stages(period: Period) -> Iterator[c.Spell]:
    read = select(StageSpell.case_id, type_coerce(StageSpell.stage, String), StageSpell.entered_at, StageSpell.left_at)
    read = read.join(Case, Case.id == StageSpell.case_id)
    read = read.where(between(StageSpell.left_at, period.bounds), StageSpell.stage != Stage.CLOSED, counted())
    for row in streamed(read.order_by(StageSpell.id + 0)):
        yield c.Spell(*row)


def _hands(period: Period) -> Iterator[c.Spell]:
    read = select(TurnSpell.case_id, type_coerce(TurnSpell.turn, String), TurnSpell.entered_at, TurnSpell.left_at)
    read = read.join(Case, Case.id == TurnSpell.case_id)
    read = read.where(between(TurnSpell.left_at, period.bounds), TurnSpell.turn != Turn.NOBODY, counted())
    for row in streamed(read.order_by(TurnSpell.id + 0)):
        yield c.Spell(*row)


def _cohort(period: Period) -> Iterator[c.Reached]:
    def true_if(condition: ColumnElement[bool]) -> Any:
        return case((condition, True), else_=False)

    sent = exists().where(Referral.case_id == Case.id, Referral.sent_at.is_not(None))
    taken_on = exists().where(Referral.case_id == Case.id, Referral.status.in_(ACCEPTED))
    assisted = exists().where(StageSpell.case_id == Case.id, StageSpell.stage == Stage.ASSISTANCE)
    granted = exists().where(Application.case_id == Case.id, Application.status.in_(GRANTED))
    read = select(
        Case.id,
        true_if(sent),
        true_if(or_(taken_on, assisted)),
        true_if(granted),
        true_if(Project.launched_on.is_not(None)),
    ).join(Project, Project.id == Case.project_id)
    read = read.where(between(Case.received_at, period.rolling), counted()).order_by(Case.id)
    for number, *reached in streamed(read):
        yield c.Reached(number, *map(bool, reached))


def _asked(period: Period) -> Iterator[c.Asked]:
    read = select(
        Referral.case_id, Body.code, Referral.sent_at, Referral.status, Referral.declined_by, Referral.answered_at
    )
    read = read.join(Body, Body.id == Referral.body_id).join(Case, Case.id == Referral.case_id)
    read = read.where(between(Referral.sent_at, period.rolling), Referral.status != Status.WITHDRAWN, counted())
    for number, body, sent_at, status, declined_by, answered_at in streamed(read.order_by(Referral.id)):
        declined = status is Status.DECLINED and declined_by is EndedBy.BODY
        answer = "accepted" if status in ACCEPTED else "declined" if declined else ""
        yield c.Asked(number, body, sent_at, answer if answered_at is not None else "", answered_at)


def _lacked(period: Period) -> Iterator[c.Lacked]:
    """Of files that came in those twelve months."""
    sent = exists().where(Referral.case_id == CaseNeed.case_id, Referral.sent_at.is_not(None))
    taken_on = exists().where(Referral.case_id == CaseNeed.case_id, Referral.status.in_(ACCEPTED))
    waits = exists().where(
        Referral.case_id == CaseNeed.case_id, Referral.status.in_((Status.SENT, Status.INFO_ASKED, Status.WITHDRAWN))
    )
    read = select(CaseNeed.case_id, type_coerce(CaseNeed.need, String)).join(Case, Case.id == CaseNeed.case_id)
    read = read.where(between(Case.received_at, period.rolling), counted())
    read = read.where(and_(CaseNeed.state != NeedState.ANSWERED, sent, ~taken_on, ~waits))
    for row in streamed(read.order_by(CaseNeed.case_id, CaseNeed.need)):
        yield c.Lacked(*row)
