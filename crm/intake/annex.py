"""What the operator's annex to a summary says of requests that were set aside. Domain reference, sections 12.1 and 17.2."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Select, exists, func, or_, select

from crm import clock
from crm.cases.models import Case
from crm.cases.pipeline import NEVER_COUNTED
from crm.db import db
from crm.feature import AnnexLine
from crm.intake.models import Request
from crm.texts import text
from crm.timeline.models import Event


def lines(first: date, last: date) -> Iterator[AnnexLine]:
    """How many requests received from one day to another were set aside as a robot's, and how many of these the team let in, or closed as a person's."""
    aside = _set_aside(first, last)
    released = exists().where(Event.case_id == Case.id, Event.kind == "request.released")
    let_in = or_(released, Case.closing_reason.not_in(NEVER_COUNTED))
    in_all = db.session.scalar(aside) or 0
    yield AnnexLine("quarantine", text("intake.annex.aside"), in_all)
    yield AnnexLine("quarantine", text("intake.annex.let_in"), db.session.scalar(aside.where(let_in)) or 0, in_all)


def _set_aside(first: date, last: date) -> Select[int]:
    start, end = clock.day_bounds(first, last)
    read = select(func.count(Case.id)).join(Request, Request.case_id == Case.id)
    return read.where(Case.received_at >= start, Case.received_at < end, Request.suspicions.is_not(None))
