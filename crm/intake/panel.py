"""What the request says that only the case page shows: what to arrange, who supports the project, what was agreed to."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import db
from crm.i18n import language
from crm.intake.introductions import of_case
from crm.intake.models import Arrangements
from crm.intake.services import opened_arrangements
from crm.partners.models import Body
from crm.permissions.models import Consent, Purpose


def load(case: Case, staff: Staff) -> dict[str, Any]:
    rows = db.session.execute(_of_case(), {"case_id": case.id}).all()
    return {
        "introduction": of_case(case),
        "arrangements": opened_arrangements(case, rows[0].sealed) if rows and case.owner_id == staff.id else "",
        "agreed": _agreed(rows),
        "purposes": list(Purpose),
        "supports": [*_named(case.project.supports), *filter(None, [case.project.supports_other])],
    }


def _agreed(rows: Sequence[Any]) -> dict[Purpose, bool]:
    """What was agreed to, and whether it still is: a file that took another in may hold two answers."""
    given = [row for row in rows if row.purpose is not None]
    return {row.purpose: any(r.purpose == row.purpose and r.withdrawn_at is None for r in given) for row in given}


@cache
def _of_case() -> Select[*tuple[Any, ...]]:
    return (
        select(Arrangements.sealed, Consent.purpose, Consent.withdrawn_at)
        .select_from(Case)
        .outerjoin(Arrangements, Arrangements.case_id == Case.id)
        .outerjoin(Consent, Consent.case_id == Case.id)
        .where(Case.id == bindparam("case_id"))
        .order_by(Consent.id)
    )


def _named(codes: list[str] | None) -> list[str]:
    """Short names of bodies, active or not."""
    if not codes:
        return []
    bodies = db.session.scalars(select(Body).where(Body.code.in_(codes)).order_by(Body.short_fr))
    return [body.short(language()) for body in bodies]
