"""Who opened which file: one row for each person, file and day, written once the page has left, so that nobody waits for it.

When the database cannot take it, the product's log says who opened what instead: a page is not refused to somebody at work because another
writes. Source: security reference, section 4 ("logged"), and the design reference on what a GET may write.
"""

import logging
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from crm import clock
from crm.accounts.models import Staff
from crm.cases.models import Case, CaseReading
from crm.db import db, writing

log = logging.getLogger(__name__)
LISTED = 500
KNOWN = 20_000


def noted(answer: Response, case_id: int, staff_id: int) -> Response:
    """The page of a file for somebody; that they opened it today is kept once it has left."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - no other way out of a request
    key = (case_id, staff_id, clock.today())
    if key not in known(app):
        answer.call_on_close(lambda: _note(app, key))
    return answer


def known(app: Flask) -> set[tuple[int, int, date]]:
    """What this process noted already: (file, account, day), to note again would add nothing."""
    found: set[tuple[int, int, date]] = app.extensions.setdefault("readings", set())
    return found


def _note(app: Flask, key: tuple[int, int, date]) -> None:
    case_id, staff_id, day = key
    with app.app_context(), writing():
        try:
            values = {"case_id": case_id, "staff_id": staff_id, "day": day, "first_at": clock.now()}
            db.session.execute(_insert(db.engine.dialect.name), values)
            db.session.commit()
        except DBAPIError:
            db.session.rollback()
            log.exception("file %s was opened by account %s; the database could not take it", case_id, staff_id)
            return
    if len(known(app)) >= KNOWN:
        known(app).clear()
    known(app).add(key)


@cache
def _insert(dialect: str) -> Any:
    insert: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    names = ("case_id", "staff_id", "day", "first_at")
    return insert(CaseReading).values({name: bindparam(name) for name in names}).on_conflict_do_nothing()


def of_case(case: Case) -> Sequence[Any]:
    """Who opened a file and when, the latest first."""
    read = (
        select(Staff.name, Staff.role, CaseReading.day, CaseReading.first_at)
        .join(CaseReading, CaseReading.staff_id == Staff.id)
        .where(CaseReading.case_id == case.id)
        .order_by(CaseReading.day.desc(), CaseReading.first_at.desc())
        .limit(LISTED)
    )
    return db.session.execute(read).all()
