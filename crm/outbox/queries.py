"""What the banner and the worker page ask of the outbox."""

from datetime import timedelta

from sqlalchemy import exists, or_, select

from crm import clock
from crm.db import db
from crm.jobs import LATE_AFTER, Heartbeat
from crm.outbox.models import Message, Status

DELAYED_AFTER = timedelta(minutes=10)


def mail_trouble() -> str | None:
    """What staff must be told about mail, in one statement: "stopped", "delayed", "failed" or None."""
    now = clock.now()
    delayed = exists().where(
        Message.status.in_((Status.QUEUED, Status.CLAIMED)),
        or_(Message.attempts > 0, Message.due_at < now - DELAYED_AFTER),
        or_(Message.last_error.is_not(None), Message.due_at < now - DELAYED_AFTER),
    )
    failed = exists().where(Message.status == Status.FAILED)
    alive = exists().where(Heartbeat.finished_at > now - LATE_AFTER)
    row = db.session.execute(select(alive, delayed, failed)).one()
    if not row[0]:
        return "stopped"
    return "delayed" if row[1] else "failed" if row[2] else None
