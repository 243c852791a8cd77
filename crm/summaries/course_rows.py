"""The rows that tell how files go, as they stand now."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, exists, or_, select, type_coerce

from crm.cases.models import Case, CaseNeed, Project, StageSpell, TurnSpell
from crm.cases.queries import counted
from crm.cases.vocabulary import NeedState, Stage, Turn
from crm.financing.models import Application
from crm.financing.rules import Status as Applied
from crm.partners.queries import everyone
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.summaries import course as c
from crm.summaries.figures import Sent, within
from crm.summaries.periods import Period
from crm.summaries.rows import ACCEPTED, between, streamed
from crm.summaries.rows import rows_of as figure_rows

GRANTED = (Applied.GRANTED, Applied.DISBURSED)


def rows_of(period: Period, *kinds: str) -> c.Rows:
    """The rows of a period, of some kinds or of all; the cohort and the bodies are of the twelve months that end with it."""
    return c.Rows(**{kind: list(READ[kind](period)) for kind in kinds or READ})


def _stages(period: Period) -> Iterator[c.Spell]:
    return _spells(StageSpell, StageSpell.stage, Stage.CLOSED, period)


def _hands(period: Period) -> Iterator[c.Spell]:
    return _spells(TurnSpell, TurnSpell.turn, Turn.NOBODY, period)


def _spells(spell: Any, where: Any, left_out: Stage | Turn, period: Period) -> Iterator[c.Spell]:
    """Stays that ended in the period, but those of closed files."""
    read = select(spell.case_id, type_coerce(where, String), spell.entered_at, spell.left_at)
    read = read.join(Case, Case.id == spell.case_id)
    read = read.where(between(spell.left_at, period.bounds), where != left_out, counted())
    for row in streamed(read.order_by(spell.id + 0)):
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
    return asked_of(figure_rows(period, "sent").sent, period)


def asked_of(sent: Sequence[Sent], period: Period) -> Iterator[c.Asked]:
    """What bodies were asked in the twelve months that end with a period, and what they answered, of referrals that were read: those that nobody took
    back.
    """
    codes = {body.id: body.code for body in everyone()}
    for one in sent:
        if not one.withdrawn and within(one.sent_at, period.rolling):
            answer = "accepted" if one.accepted_at else "declined" if one.declined_at else ""
            yield c.Asked(one.file, codes[one.entry], one.sent_at, answer, one.accepted_at or one.declined_at)


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


READ: dict[str, Callable[[Period], Iterator[Any]]] = {
    "stages": _stages,
    "hands": _hands,
    "cohort": _cohort,
    "asked": _asked,
    "lacked": _lacked,
}
