"""What the banner and the worker page ask of the outbox."""

from datetime import timedelta
from functools import cache

from sqlalchemy import Select, and_, bindparam, exists, or_, select

from crm import clock
from crm.db import db
from crm.jobs import LATE_AFTER, Heartbeat
from crm.outbox.models import IN_TROUBLE, WAITING, MailPause, Message

DELAYED_AFTER = timedelta(minutes=10)


def mail_trouble() -> str | None:
    """What staff must be told about mail, in one statement: "stopped", "paused", "delayed", "failed" or None."""
    now = clock.now()
    since = {"alive_since": now - LATE_AFTER, "due_before": now - DELAYED_AFTER}
    alive, paused, delayed, failed = db.session.execute(_trouble(), since).one()
    if not alive:
        return "stopped"
    if paused:
        return "paused"
    return "delayed" if delayed else "failed" if failed else None


@cache
def _trouble() -> Select[bool, bool, bool, bool]:
    overdue = Message.due_at < bindparam("due_before")
    delayed = exists().where(
        WAITING,
        or_(Message.attempts > 0, overdue),
        or_(Message.last_error.is_not(None), overdue),
    )
    failed = exists().where(IN_TROUBLE)
    paused = and_(exists(MailPause.id), exists().where(WAITING))
    alive = exists().where(Heartbeat.finished_at > bindparam("alive_since"))
    return select(alive, paused, delayed, failed)


def pause() -> MailPause | None:
    """Why no mail leaves at all, while the server refuses us."""
    return db.session.get(MailPause, 1)
