"""Sending what is due: claim with a lease, ask whether it is still true, send one, mark it, commit.

A worker killed before the server said yes leaves the message to be sent after the lease; killed between the yes and
the mark, it leaves one extra copy with the same Message-ID, which is the least SMTP allows.
"""

import logging
import os
import secrets
import socket
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select, update

from crm import clock
from crm.db import db
from crm.links.models import Link
from crm.links.services import PLACE, is_live, token
from crm.outbox import kinds
from crm.outbox.models import WAITING, Message, Status
from crm.outbox.services import settings
from crm.outbox.transports import LaterError, RecipientRefusedError, Transport, compose, transport

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
# Minutes to wait after the 1st, 2nd… failed try; security reference, section 3.
WAITS = (1, 2, 5, 10, 20, 30, 60)
GIVE_UP_AFTER = timedelta(hours=24)
BATCH = 50


def send_due(*, lease: timedelta = LEASE, limit: int = BATCH) -> int:
    """Send the messages that are due, at most `limit`; returns how many left. Safe to run in many processes at once."""
    me = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
    out = transport(settings())
    sent = 0
    try:
        for _ in range(limit):
            message_id = _claim_one(me, clock.now(), lease)
            if message_id is None:
                break
            sent += _send_one(message_id, me, out)
    finally:
        out.close()
    return sent


def _claimable(now: datetime) -> object:
    return or_(
        and_(Message.status == Status.QUEUED, Message.due_at <= now),
        and_(Message.status == Status.CLAIMED, Message.lease_until < now),
    )


def _claim_one(me: str, now: datetime, lease: timedelta) -> int | None:
    """Take one message by conditional update; one row changed means it is ours until the lease ends."""
    while True:
        candidate = db.session.scalar(
            select(Message.id)
            .where(WAITING, _claimable(now))  # type: ignore[arg-type]
            .order_by(Message.due_at, Message.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if candidate is None:
            db.session.rollback()
            return None
        taken = db.session.execute(
            update(Message)
            .where(Message.id == candidate, _claimable(now))  # type: ignore[arg-type]
            .values(status=Status.CLAIMED, claimed_by=me, lease_until=now + lease, attempts=Message.attempts + 1)
        )
        db.session.commit()
        if taken.rowcount == 1:  # type: ignore[attr-defined]
            return int(candidate)


def _send_one(message_id: int, me: str, out: Transport) -> int:
    message = db.session.get_one(Message, message_id)
    try:
        body = _body(message)
        kind = kinds.find(message.kind)
        true = body is not None and kind.still_true(message)
        mail = compose(message, body, settings(), kind.attachment(message)) if body is not None and true else None
    except Exception as error:  # a poisoned row must not block the others
        log.exception("message %s cannot be prepared", message_id)
        db.session.rollback()
        return _finish(message_id, me, Status.FAILED, f"{type(error).__name__}: {error}")
    if mail is None:
        return _finish(message_id, me, Status.DROPPED, "")
    db.session.rollback()  # no transaction stays open while the server answers
    try:
        out.send(mail)
    except RecipientRefusedError as error:
        return _finish(message_id, me, Status.FAILED, str(error))
    except LaterError as error:
        return _later(message_id, me, str(error))
    _finish(message_id, me, Status.SENT, "")
    return 1


def _body(message: Message) -> str | None:
    """The text with its link made now; None when the link died meanwhile."""
    if message.link_id is None:
        return message.body
    link = db.session.get_one(Link, message.link_id)
    return message.body.replace(PLACE, token(link)) if is_live(link) else None


def _finish(message_id: int, me: str, status: Status, error: str) -> int:
    message = db.session.get_one(Message, message_id)
    if message.claimed_by == me:  # otherwise the lease ended and somebody else has it
        message.status = status
        message.final_at = clock.now()
        message.lease_until = None
        if error or status is Status.SENT:  # what was dropped keeps what was said of it before
            message.last_error = error[:300] or None
        _tell_owner(message)
    db.session.commit()
    return 0


def _tell_owner(message: Message) -> None:
    """The feature that queued it hears of the end; when it cannot, the message is final all the same."""
    try:
        with db.session.begin_nested():
            kinds.find(message.kind).on_final(message)
    except Exception:
        log.exception("message %s: its end could not be recorded on its file", message.id)


def _later(message_id: int, me: str, error: str) -> int:
    message = db.session.get_one(Message, message_id)
    if message.claimed_by == me:
        now = clock.now()
        if now - message.created_at > GIVE_UP_AFTER and message.attempts >= len(WAITS):
            return _finish(message_id, me, Status.FAILED, error)
        wait = WAITS[min(message.attempts, len(WAITS)) - 1]
        message.status = Status.QUEUED
        message.lease_until = None
        message.last_error = error[:300]
        # `due_at` moves with each try; the age that decides about giving up is that of the row.
        message.due_at = now + timedelta(minutes=wait)
    db.session.commit()
    return 0
