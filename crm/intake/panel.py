"""What the request says that only the case page shows: what to arrange, who supports the project, what was agreed to."""

from typing import Any

from sqlalchemy import Select, String, bindparam, cast, select
from sqlalchemy import case as case_of

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import db
from crm.i18n import language
from crm.intake.introductions import of_case
from crm.intake.models import Arrangements
from crm.intake.services import opened_arrangements
from crm.partners.queries import by_codes
from crm.permissions.models import Consent, Purpose


def load(case: Case, staff: Staff) -> dict[str, Any]:
    mine = case.owner_id == staff.id  # what somebody needs arranged is its owner's to read
    sealed = db.session.scalar(select(Arrangements.sealed).where(Arrangements.case_id == case.id)) if mine else None
    return {
        "introduction": of_case(case),
        "arrangements": opened_arrangements(case, sealed) if sealed else "",
        "purposes": list(Purpose),
        "supports": [*_named(case.project.supports), *filter(None, [case.project.supports_other])],
    }


def rows() -> Select[*tuple[Any, ...]]:
    """The choices of a file, read with the short lists of its page."""
    still = case_of((Consent.withdrawn_at.is_(None), 1), else_=0).label("still")
    return select(cast(Consent.purpose, String), still).where(Consent.case_id == bindparam("case_id"))


def shown(rows: list[list[Any]]) -> dict[str, Any]:
    """What was agreed to, and whether it still is: a file that took another in may hold two answers."""
    return {"agreed": {Purpose(name): any(still for one, still in rows if one == name) for name, _still in rows}}


def _named(codes: list[str] | None) -> list[str]:
    """Short names of bodies, active or not."""
    if not codes:
        return []
    return [body.short(language()) for body in by_codes(codes)]
