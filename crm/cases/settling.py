"""What follows from a change is settled in the same transaction, just before it is committed.

Whose turn it is follows from rows of many features. Rather than trust forty verbs to remember it, this looks again
at every file on which an event was recorded (truth 8: each change records one). Why so: docs/adr/0013-settled-at-commit.md.
"""

from typing import Any

from sqlalchemy import event

from crm.cases import turns
from crm.cases.models import Case
from crm.db import db, touched


def listen() -> None:
    """Settle before each commit of the session; called once, when files are plugged in."""
    event.listen(db.session, "before_commit", _before_commit)
    event.listen(db.session, "after_rollback", _after_rollback)


def settle(case: Case) -> None:
    """Bring what follows from a file's rows in step with them."""
    turns.settle(case)


def _before_commit(session: Any) -> None:
    if session.in_nested_transaction():
        return
    for case_id in touched(session):
        settle(session.get_one(Case, case_id))


def _after_rollback(session: Any) -> None:
    touched(session)
