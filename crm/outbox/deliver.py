"""Sending what is due: claim with a lease, ask whether it is still true, send one, mark it, commit.

A worker killed before the server said yes leaves the message to be sent after the lease; killed between the yes and
the mark, it leaves one extra copy with the same Message-ID, which is the least SMTP allows.
"""

import logging
import os
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from crm import clock
from crm.db import db, is_busy, writing
from crm.feature import plugged
from crm.links.models import Link
from crm.links.services import PLACE, is_live, place_of, token
from crm.outbox import kinds
from crm.outbox.models import WAITING, MailPause, Message, Status, Why
from crm.outbox.services import settings
from crm.outbox.transports import (
    LaterError,
    NoAnswerError,
    RecipientRefusedError,
    RefusesUsError,
    Transport,
    compose,
    returns_to,
    transport,
)

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
# Minutes to wait after the 1st, 2nd… failed try; security reference, section 3.
WAITS = (1, 2, 5, 10, 20, 30, 60)
GIVE_UP_AFTER = timedelta(hours=24)
TRIES_WITHOUT_ANSWER = 2
PAUSE = timedelta(minutes=15)
BATCH = 50
HAND = 10  # messages taken with one statement
BEGUN_WITHIN = 0.1  # of the lease, for the last of a hand to be begun: what one message may take fits in the rest
NOTED_WITHIN = 0.05  # seconds that what became of a message may wait for that of the next
TRUE_FOR = 1.0  # seconds after a message was found to be true, within which it is handed over without being asked again
BUSY_WAIT = 1.0  # seconds before a busy or absent database is asked again to note what a server answered


def send_due(*, lease: timedelta = LEASE, limit: int = BATCH) -> int:
    """Send the messages that are due, at most `limit`; returns how many left. Safe to run in many processes at once.

    A message is this process's for as long as its `lease`. One that the server did not answer is tried once more when its lease is over.
    """
    me = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
    out = transport(settings())
    sent = taken = 0
    try:
        while taken < limit and (hand := _claim(me, lease, min(HAND, limit - taken))):
            taken += len(hand)
            sent += _send_all(hand, me, out, lease)
    except OperationalError as error:
        if not is_busy(error):
            raise
        db.session.rollback()  # others hold the database: the next round goes on, and what was sent stays sent
        log.warning("the database is busy: sending goes on with the next round")
    finally:
        out.close()
    return sent


def _claimable(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(Message.status == Status.QUEUED, Message.due_at <= now),
        and_(Message.status == Status.CLAIMED, Message.lease_until < now),
    )


def _claim(me: str, lease: timedelta, at_most: int) -> dict[int, str]:
    """Take the messages whose turn it is, in their order, with their kinds: they are ours until the lease ends. None while mail is paused."""
    now = clock.now()
    paused = exists().where(MailPause.try_at > now)
    found = db.session.scalars(
        select(Message.id)
        .where(WAITING, _claimable(now), ~paused)
        .order_by(Message.due_at, Message.id)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    ).all()
    taken: dict[int, str] = {}
    if found:
        rows = db.session.execute(
            update(Message)
            .where(Message.id.in_(found), _claimable(now))
            .values(
                status=Status.CLAIMED,
                claimed_by=me,
                claimed_at=now,
                lease_until=now + lease,
                attempts=Message.attempts + 1,
            )
            .returning(Message.id, Message.kind)
            .execution_options(synchronize_session=False)
        )
        taken = dict(sorted(rows.all(), key=lambda row: found.index(row[0])))
    db.session.commit()
    return taken


def _send_all(hand: dict[int, str], me: str, out: Transport, lease: timedelta) -> int:
    """Send what was taken, one at a time; returns how many left. Where the server is slow or refuses us, the rest goes back at once:
    each message is begun with most of its lease before it, and others may take what would wait here.

    Of the kinds that answer for several at once, messages are prepared together, and what becomes of those that follow each other faster than
    `NOTED_WITHIN` is noted together. Any other is prepared once all is noted that came before it: its truth may hang on that.
    """
    begun, sent = clock.now(), 0
    rest = list(hand)
    many = {one.kind for one in plugged("messages") if one.true_ones is not None}
    ready: dict[int, _Ready] = {}
    became: dict[int, partial[None]] = {}
    noted_at = time.monotonic()
    try:
        while rest and (len(rest) == len(hand) or clock.now() - begun <= lease * BEGUN_WITHIN):
            number = rest.pop(0)
            alone = hand[number] not in many
            if alone:
                _note(became, me, lease)
            if number not in ready or ready[number].is_stale():
                behind = [] if alone or number in ready else [one for one in rest if hand[one] in many]
                ready |= _made_ready([number, *behind])
            what = _tried(number, ready.pop(number), out, lease)
            sent += what.func is _took
            if what.func is _pause:
                _note(became, me, lease)  # the refusal begins after what left before it
            became[number] = what
            if alone or time.monotonic() - noted_at >= NOTED_WITHIN:
                _note(became, me, lease)
                noted_at = time.monotonic()
            if what.func is _pause:
                break
    finally:
        try:
            _note(became, me, lease)
        finally:
            if rest:
                _give_back(rest, me)
    return sent


def _give_back(rest: list[int], me: str) -> None:
    """What was taken and not begun waits again, as if nobody had taken it. A database that does not take this gives it back with the lease."""
    try:
        db.session.rollback()
        db.session.execute(
            update(Message)
            .where(Message.id.in_(rest), Message.claimed_by == me, Message.status == Status.CLAIMED)
            .values(status=Status.QUEUED, lease_until=None, attempts=Message.attempts - 1)
            .execution_options(synchronize_session=False)
        )
        db.session.commit()
    except OperationalError:
        db.session.rollback()
        log.warning("%s messages that were taken and not begun wait until their lease ends", len(rest))


@dataclass(frozen=True)
class _Ready:
    """A message as it may leave: by what was true at `read_at`, of the clock that only goes on. Without a mail, `ends` says why it does not."""

    read_at: float
    mail: EmailMessage | None
    text: str = ""  # as the ledger keeps it
    returns: str | None = None
    ends: "partial[None] | None" = None

    def is_stale(self) -> bool:
        return time.monotonic() - self.read_at > TRUE_FOR


def _made_ready(numbers: list[int]) -> dict[int, _Ready]:
    """Ask of each message whether it is still true, and make its mail; no transaction stays open while the server answers. Of several, where one
    cannot even be read or asked, the first alone.
    """
    with writing(allowed=False):  # many senders read together; only their notes wait for each other
        try:
            return _all_made_ready(numbers)
        except OperationalError:
            raise  # the database's trouble, not the message's: it is taken up again when its lease is over
        except Exception:
            if len(numbers) == 1:
                raise
            log.exception("messages %s cannot be asked of together", numbers)
        finally:
            db.session.rollback()
    return _made_ready(numbers[:1])


def _all_made_ready(numbers: list[int]) -> dict[int, _Ready]:
    now = time.monotonic()
    found = {number: _Ready(now, None, ends=partial(_end, status=Status.DROPPED)) for number in numbers}
    messages = {one.id: one for one in db.session.scalars(select(Message).where(Message.id.in_(numbers)))}
    together = _true_ones(messages.values()) if len(numbers) > 1 else None
    for number, message in messages.items():
        try:
            found[number] = _prepared(message, now, together)
        except OperationalError:
            raise
        except OSError as error:
            db.session.rollback()
            found[number] = _Ready(now, None, ends=partial(_later, error=f"{type(error).__name__}: {error}"))
        except Exception as error:  # a poisoned row must not block the others
            log.exception("message %s cannot be prepared", number)
            db.session.rollback()
            said = f"{type(error).__name__}: {error}"
            found[number] = _Ready(now, None, ends=partial(_end, status=Status.FAILED, error=said))
    return found


def _true_ones(messages: Iterable[Message]) -> set[int]:
    """The numbers of the messages that are still true, each kind asked once."""
    of_kind: dict[str, list[Message]] = defaultdict(list)
    for one in messages:
        of_kind[one.kind].append(one)
    return {number for kind, all_of_it in of_kind.items() for number in kinds.find(kind).true_of(all_of_it)}


def _prepared(message: Message, now: float, together: set[int] | None) -> _Ready:
    """The e-mail and its text as the ledger keeps it, both made now, or why there is none any more. `together` are those that were found to be true,
    of several that were asked at once.
    """
    link = db.session.get_one(Link, message.link_id) if message.link_id is not None else None
    if link is not None and not is_live(link):
        return _Ready(now, None, ends=partial(_end, status=Status.DROPPED, why=Why.LINK_CLOSED))
    kind = kinds.find(message.kind)
    is_true = message.id in (kind.true_of([message]) if together is None else together)
    text = kind.written_anew(message) if is_true else None
    if text is None:
        return _Ready(now, None, ends=partial(_end, status=Status.DROPPED, why=Why.NOT_TRUE))
    body = text.replace(PLACE, token(link)) if link is not None else text
    for number in message.subject_ids.get("links", ()):
        body = body.replace(place_of(number), token(db.session.get_one(Link, number)))
    mail = compose(message, body, settings(), kind.attachment(message))
    if kind.way_out is not None:
        address = kind.way_out(message)
        mail["List-Unsubscribe"] = f"<{address.replace(PLACE, token(link)) if link is not None else address}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return _Ready(now, mail, text, returns_to(message, settings()))


def _tried(number: int, ready: _Ready, out: Transport, lease: timedelta) -> "partial[None]":
    """Hand a message over, unless it is no longer true; gives what is to be written of it."""
    if ready.mail is None:
        return ready.ends or partial(_end, status=Status.DROPPED)
    try:
        return partial(_took, answer=out.send(ready.mail, ready.returns), text=ready.text)
    except RecipientRefusedError as error:
        return partial(_end, status=Status.FAILED, error=str(error))
    except RefusesUsError as error:
        return partial(_pause, said=str(error))
    except NoAnswerError as error:
        return partial(_unknown, error=str(error), lease=lease)
    except (LaterError, OSError) as error:  # of files in the data folder too, whose disk may be full
        return partial(_later, error=str(error))
    except Exception as error:  # a mail that cannot be written must not block the others
        log.exception("message %s cannot be handed over", number)
        return partial(_end, status=Status.FAILED, error=f"{type(error).__name__}: {error}")


def _note(became: "dict[int, partial[None]]", me: str, lease: timedelta) -> None:
    """Write what became of messages, and forget it, unless their lease ended and somebody else has them.

    A database that is busy or away is asked again until the lease ends: a message that a server took must not leave a second time for
    want of a note.
    """
    until = clock.now() + lease
    while became:
        try:
            _write(became, me)
        except (
            OperationalError,
            IntegrityError,
        ):  # the second: two senders were refused together, and both begin a pause
            db.session.rollback()
            if clock.now() >= until:
                became.clear()
                raise
            log.warning("messages %s: the database does not take what became of them; asked again", list(became))
            time.sleep(BUSY_WAIT)
        except Exception:
            became.clear()
            raise
        else:
            became.clear()


def _write(became: "dict[int, partial[None]]", me: str, *, telling: bool = True) -> None:
    """One transaction: what became of messages, and what follows for the features that queued them. When that cannot be recorded, each message
    is written by itself, and the one that it is about is final all the same: a second transaction says only that.
    """
    held = Message.id.in_(became), Message.claimed_by == me, Message.status == Status.CLAIMED
    ours = select(Message).where(*held).order_by(Message.case_id, Message.id).with_for_update()
    mine = db.session.scalars(ours).all()
    for message in mine:
        became[message.id](message)
    final = [one for one in mine if one.status not in {Status.QUEUED, Status.CLAIMED}]
    try:
        db.session.flush()
        with db.session.no_autoflush:  # written together: each is about another message
            for message in final if telling else ():
                kinds.find(message.kind).on_final(message)
        if any(one.status is Status.SENT for one in final):
            db.session.execute(delete(MailPause).execution_options(synchronize_session=False))
        db.session.commit()
    except OperationalError:
        raise
    except Exception:
        if not (final and telling):
            raise
        db.session.rollback()
        log.exception("messages %s: their end could not be recorded on their file", list(became))
        if len(became) == 1:
            _write(became, me, telling=False)
        else:
            _write_each(became, me)


def _write_each(became: "dict[int, partial[None]]", me: str) -> None:
    """Each in a transaction of its own; raises the first error once all were tried."""
    errors = []
    for number, what in became.items():
        try:
            _write({number: what}, me)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below: it must not keep the others from being noted
            db.session.rollback()
            errors.append(error)
    if errors:
        raise errors[0]


def _took(message: Message, answer: str, text: str) -> None:
    message.answer = answer[:300] or None
    message.body = text
    _end(message, Status.SENT)


def _end(message: Message, status: Status, error: str = "", *, why: Why | None = None) -> None:
    message.status = status
    message.final_at = clock.now()
    message.lease_until = None
    message.why = why
    if error or status is Status.SENT:  # what was dropped keeps what was said of it before
        message.last_error = error[:300] or None


def _later(message: Message, error: str) -> None:
    now = clock.now()
    if now - message.created_at > GIVE_UP_AFTER and message.attempts >= len(WAITS):
        _end(message, Status.FAILED, error)
        return
    wait = WAITS[min(message.attempts, len(WAITS)) - 1]
    # `due_at` moves with each try; the age that decides about giving up is that of the row.
    _back(message, error, now + timedelta(minutes=wait))


def _unknown(message: Message, error: str, lease: timedelta) -> None:
    """It may have arrived. Once more, for a lost message is worse than two with one Message-ID; then staff decide."""
    message.unknowns += 1
    if message.unknowns >= TRIES_WITHOUT_ANSWER:
        _end(message, Status.UNKNOWN, error)
    else:
        _back(message, error, clock.now() + lease)


def _pause(message: Message, said: str) -> None:
    """The server refuses us: nothing leaves for a while, and this try does not count."""
    now = clock.now()
    pause = db.session.get(MailPause, 1)
    if pause is None:
        pause = MailPause(id=1, since=now)
        db.session.add(pause)
    pause.try_at, pause.said = now + PAUSE, said[:300]
    message.attempts -= 1
    _back(message, said, message.due_at)


def _back(message: Message, error: str, due_at: datetime) -> None:
    message.status = Status.QUEUED
    message.lease_until = None
    message.last_error = error[:300]
    message.due_at = due_at
