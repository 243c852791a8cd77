"""What a text that is being written is tried with: the newest open file that the writer may see."""

from sqlalchemy import select

from crm.accounts.models import Staff
from crm.cases.addresses import address_of_file
from crm.cases.filters import IS_OPEN
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import db


def of_newest(staff: Staff, language: str) -> dict[str, str]:
    """The values that texts print of a file, by placeholder, from the newest open file in a language, or the newest of all; nothing where there is none."""
    newest = (
        select(Case)
        .where(IS_OPEN, visible(staff), Case.quarantined.is_(False), Case.restricted.is_(False))
        .order_by(Case.received_at.desc(), Case.id.desc())  # as the index of open files has them
        .limit(1)
    )
    case = db.session.scalar(newest.where(Case.language == language)) or db.session.scalar(newest)
    if case is None:
        return {}
    return {
        "name": case.contact.name,
        "reference": case.reference,
        "project_name": case.project.name or case.reference,
        "project": f" – {case.project.name}" if case.project.name else "",
        "adviser": case.owner.name if case.owner else staff.name,
        "address_of_file": address_of_file(case),
    }
