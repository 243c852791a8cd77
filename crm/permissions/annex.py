"""What the operator's annex to a summary says of consents and permissions. Domain reference, sections 15 and 17.2."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select

from crm import clock
from crm.cases.models import Case
from crm.cases.queries import counted
from crm.db import db
from crm.feature import AnnexLine
from crm.permissions.models import Consent, Permission, Purpose
from crm.texts import label, text


def lines(first: date, last: date) -> Iterator[AnnexLine]:
    """Consents and permissions given and withdrawn from one day to another, both included; those of unwanted requests, of mistakes and of duplicates are left out."""
    given, withdrawn = (_consents(at, first, last) for at in (Consent.given_at, Consent.withdrawn_at))
    for purpose in Purpose:
        of = label("permissions.purpose", purpose)
        yield AnnexLine("consents", text("permissions.annex.given", purpose=of), given.get(purpose, 0))
        yield AnnexLine("consents", text("permissions.annex.withdrawn", purpose=of), withdrawn.get(purpose, 0))
    for code, at in (("shared", Permission.given_at), ("taken_back", Permission.withdrawn_at)):
        shared: Select[Any] = select(func.count(Permission.id)).join(Case, Case.id == Permission.case_id)
        number = db.session.scalar(_within(shared, at, first, last)) or 0
        yield AnnexLine("consents", text(f"permissions.annex.{code}"), number)


def _consents(at: Any, first: date, last: date) -> dict[Purpose, int]:
    read: Any = select(Consent.purpose, func.count(Consent.id).label("number"))
    read = _within(read.join(Case, Case.id == Consent.case_id), at, first, last).group_by(Consent.purpose)
    return {row.purpose: row.number for row in db.session.execute(read)}


def _within(read: Select[Any], at: Any, first: date, last: date) -> Select[Any]:
    start, end = clock.day_bounds(first, last)
    return read.where(at >= start, at < end, counted())
