"""What the team reads of received e-mails. Every read goes through `_mine`: an e-mail that concerns a file is seen by who may see the file."""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import aliased, joinedload

from crm.absences.services import stands_in
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import db
from crm.feature import Section
from crm.mailbox.models import IN_TRAY, ReceivedMail

COUNTED = 100


def _mine(staff: Staff) -> ColumnElement[bool]:
    file = aliased(Case)
    concerned = or_(ReceivedMail.case_id == file.id, ReceivedMail.suggested_id == file.id)
    none: ColumnElement[bool] = and_(ReceivedMail.case_id.is_(None), ReceivedMail.suggested_id.is_(None))
    return or_(none, exists().where(concerned, visible(staff, file)))


def received(staff: Staff) -> Select[ReceivedMail]:
    """E-mails that somebody may see, with the files they concern."""
    files = joinedload(ReceivedMail.case), joinedload(ReceivedMail.suggested)
    return select(ReceivedMail).where(_mine(staff)).options(*files)


def in_tray(staff: Staff) -> int:
    """How many wait for somebody to say where they belong, counted to 100 at most."""
    some = select(ReceivedMail.id).where(IN_TRAY, _mine(staff)).limit(COUNTED)
    return db.session.scalar(select(func.count()).select_from(some.subquery())) or 0


def digest(staff: Staff, day: date) -> list[Section]:
    """How many e-mails are to be filed, without a word of them; nothing for who is away."""
    waiting = 0 if stands_in(staff, day) is not None else in_tray(staff)
    return [Section("mailbox", (), more=waiting)] if waiting else []


def of_today(staff: Staff) -> dict[str, Any]:
    """For the start page: how many e-mails are to be filed."""
    return {"mails_in_tray": in_tray(staff)}
