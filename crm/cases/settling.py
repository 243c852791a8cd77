"""What follows from a change is settled in the same transaction, just before it is committed: whose turn it is, and what search finds.

Both follow from rows of many features. Rather than trust forty verbs to remember them, this looks again at every file on
which an event was recorded (truth 8: each change records one). Why so: docs/adr/0013-settled-at-commit.md.
"""

from functools import cache
from typing import Any

from flask import has_request_context
from sqlalchemy import Select, event, select

from crm import clock
from crm.cases import searching, turns
from crm.cases.models import Case
from crm.db import db, touched
from crm.search import services as search


def listen() -> None:
    """Settle before each commit of the session; called once, when files are plugged in."""
    event.listen(db.session, "before_commit", _before_commit)
    event.listen(db.session, "after_rollback", _after_rollback)


def _before_commit(session: Any) -> None:
    if session.in_nested_transaction():
        return
    for case_id, opened in sorted(touched(session).items()):  # always in one order: two jobs may touch the same files
        case = session.get_one(Case, case_id)
        if not opened and not has_request_context():
            # Verbs of a request hold the file already; a job may touch it while one of them changes it.
            # Held by its "key share" lock, as everywhere: a plain FOR UPDATE also waits for whoever is adding a row that points
            # at the file, so that two jobs that each added an event would wait for each other for ever.
            session.flush()  # reading a row again forgets what was not written of it
            session.refresh(case, with_for_update={"of": Case, "key_share": True})
        settle(case, opened=opened)


def _after_rollback(session: Any) -> None:
    touched(session)


def settle(case: Case, *, opened: bool = False) -> bool:
    """Bring what follows from a file's rows in step with them, asking for all of it in one statement; True when it changed hands.

    A file that was only `opened` is the team's, as it was made.
    """
    if opened:
        searching.keep_new(case)
        return False
    dialect = db.engine.dialect.name
    claims = len(_turns(dialect))
    values = db.session.execute(_asked(dialect), {"case_id": case.id}).one()
    search.keep(case.id, values[claims:])
    return turns.settle(case, values[:claims])


@cache
def _turns(dialect: str) -> list[Any]:
    return turns.selects(dialect)


@cache
def _asked(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = [*_turns(dialect), *search.selects(dialect)]
    return select(*(one.label(f"value_{place}") for place, one in enumerate(wanted)))


def settle_lapsed(*, limit: int = 500) -> int:
    """Job: files whose time in somebody's hands has passed come back to the team. Returns how many."""
    late = select(Case).where(Case.turn_until.is_not(None), Case.turn_until <= clock.now())
    late = late.order_by(Case.turn_until).limit(limit).with_for_update(skip_locked=True, key_share=True)
    found = db.session.scalars(late).all()
    for case in found:
        settle(case)
    return len(found)
