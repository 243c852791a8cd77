"""Reads of the directory's pages: what is known of a body's answers, and of a project that programmes are matched with."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, exists, func, select

from crm import clock
from crm.accounts.models import Staff
from crm.cases.filters import IS_OPEN
from crm.cases.listing import SEPARATOR, gathered
from crm.cases.models import Case, CaseNeed, Contact, Project
from crm.cases.queries import visible
from crm.db import db
from crm.directory.matching import BANDS, TEAMS, Facts
from crm.financing.models import FinancingPlan
from crm.financing.services import of_case, package_of, plan_of
from crm.partners.models import Body
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason, EndedBy, Status
from crm.referrals.queries import DECLINED, RECENT, usual_days

SUPPORTING = (Status.ACCEPTED, Status.COMPLETED)
OFTEN = 400  # files of one statement


@dataclass(frozen=True)
class Record:
    """How a body answered in the last twelve months; `usual_days` are business days."""

    waiting: int
    taken_on: int
    accepted: int
    declined: int
    unanswered: int
    usual_days: int | None
    reasons: list[tuple[DeclineReason, int]]


def record_of(body: Body) -> Record:
    """What a body did with the files that it was sent."""
    since = clock.now() - RECENT
    now = dict(
        db.session.execute(
            select(Referral.status, func.count()).where(Referral.body_id == body.id).group_by(Referral.status)
        ).all()
    )
    answered = db.session.execute(
        select(Referral.status, Referral.declined_by, Referral.decline_reason, func.count())
        .where(Referral.body_id == body.id, Referral.answered_at > since)
        .group_by(Referral.status, Referral.declined_by, Referral.decline_reason)
    )
    accepted, reasons = 0, Counter[DeclineReason]()
    for status, by, reason, count in answered:
        if status is Status.DECLINED and by is EndedBy.BODY and reason is not None:
            reasons[reason] += count
        elif status in SUPPORTING or status is Status.INTERRUPTED:
            accepted += count
    return Record(
        waiting=now.get(Status.SENT, 0) + now.get(Status.INFO_ASKED, 0),
        taken_on=now.get(Status.ACCEPTED, 0),
        accepted=accepted,
        declined=sum(reasons.values()),
        unanswered=now.get(Status.NO_ANSWER, 0),
        usual_days=usual_days([body.id]).get(body.id),
        reasons=reasons.most_common(),
    )


@dataclass(frozen=True)
class Known:
    """What is known of a project, and the bodies that declined it, by code."""

    facts: Facts
    refused: frozenset[str]


def known_of(case: Case, wholes: Mapping[str, str]) -> Known:
    """What is known of the project of a file. What its financing still lacks counts before the band that the request named.

    `wholes` says which body each local office belongs to.
    """
    row = db.session.execute(_projects([case.id])).one()
    facts = _facts(row, wholes)
    if row.planned:
        gap = package_of(plan_of(case), of_case(case)).gap
        facts = replace(facts, amount=(gap, gap)) if gap is not None and gap > 0 else facts
    return Known(facts, frozenset(_codes(row.refused)))


def open_files(staff: Staff, most: int, wholes: Mapping[str, str]) -> Iterable[tuple[Any, Facts]]:
    """The newest files that are open and that this person may see, with what is known of each project; some hundreds at a time."""
    rows = db.session.execute(
        select(Case.id, Case.reference, Project.name.label("project"))
        .join(Project, Project.id == Case.project_id)
        .where(IS_OPEN, Case.quarantined.is_(False), visible(staff))
        .order_by(Case.id.desc())
        .limit(most)
    ).all()
    for start in range(0, len(rows), OFTEN):
        some = rows[start : start + OFTEN]
        found = {one.id: one for one in db.session.execute(_projects([row.id for row in some]))}
        yield from ((row, _facts(found[row.id], wholes)) for row in some)


def _facts(row: Any, wholes: Mapping[str, str]) -> Facts:
    supports = {*(row.supports or ()), *_codes(row.supporting)}
    return Facts(
        needs=frozenset(_codes(row.needs)),
        stage=row.stage,
        form=row.legal_form,
        region=row.region,
        locality=row.locality,
        field=row.sector,
        language=row.language,
        team=TEAMS.get(row.team_size),
        amount=BANDS.get(row.funding_band),
        # What supports a project through one of its local offices supports it.
        supports=frozenset(supports | {wholes[code] for code in supports if code in wholes}),
        others_support=bool(row.supports_other),
    )


def _codes(gathered_: str | None) -> list[str]:
    return gathered_.split(SEPARATOR) if gathered_ else []


def _projects(ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    at_body = select(Body.code).join(Referral, Referral.body_id == Body.id).where(Referral.case_id == Case.id)
    planned = exists().where(FinancingPlan.case_id == Case.id)
    return (
        select(
            Case.id,
            Contact.language,
            Project.stage,
            Project.legal_form,
            Project.region,
            Project.locality,
            Project.sector,
            Project.team_size,
            Project.funding_band,
            Project.supports,
            Project.supports_other,
            gathered(select(CaseNeed.need).where(CaseNeed.case_id == Case.id)).label("needs"),
            gathered(at_body.where(Referral.status.in_(SUPPORTING))).label("supporting"),
            gathered(at_body.where(DECLINED)).label("refused"),
            planned.label("planned"),
        )
        .join(Project, Project.id == Case.project_id)
        .join(Contact, Contact.id == Case.contact_id)
        .where(Case.id.in_(ids))
    )
