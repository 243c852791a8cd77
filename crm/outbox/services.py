"""Queueing messages and sending them again."""

import logging
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import OperationalError

from crm import clock
from crm.config import Programme, Settings
from crm.db import db
from crm.i18n import speaking
from crm.links.models import Link
from crm.outbox.kinds import find
from crm.outbox.models import WAITING, MailPause, Message, Status, Why
from crm.texts import fill, pair
from crm.texts.facts import programme

log = logging.getLogger(__name__)
COPIED = (  # what a further copy has of the message it is one of
    "kind", "case_id", "link_id", "subject_ids", "language", "to_address", "to_name", "subject", "body", "staff_id",
)  # fmt: skip


def settings() -> Settings:
    found: Settings = current_app.extensions["settings"]
    return found


def queue(
    kind: str,
    *,
    dedupe_key: str,
    to: tuple[str, str],
    language: str,
    values: dict[str, object],
    case_id: int | None = None,
    link: Link | None = None,
    subject_ids: dict[str, Any] | None = None,
    due_at: datetime | None = None,
    staff_id: int | None = None,
) -> Message | None:
    """Write a message in the caller's transaction; None when one with this `dedupe_key` waits or left
    already; one that was dropped is queued anew.

    `to` is (address, name). `values` fill the named placeholders of the kind's two texts; the programme's facts are
    always there. Line ends are taken out of the subject. `staff_id` names who of the team a message is for.
    """
    earlier = db.session.scalar(select(Message).where(Message.dedupe_key == dedupe_key))
    if earlier is not None and earlier.status is not Status.DROPPED:
        return None
    subject, body = written(kind, language, values)
    now = clock.now()
    if earlier is not None:
        # It was dropped because it had stopped being true; now it is again, and nobody received it.
        earlier.subject, earlier.body, earlier.language = subject, body, language
        earlier.to_address, earlier.to_name = to[0], " ".join(to[1].split())
        earlier.link_id = link.id if link else None
        earlier.status, earlier.attempts, earlier.final_at, earlier.why = Status.QUEUED, 0, None, None
        earlier.due_at = earlier.first_due_at = due_at or now
        return earlier
    return _begin(
        due_at or now,
        kind=kind,
        dedupe_key=dedupe_key,
        case_id=case_id,
        link_id=link.id if link else None,
        subject_ids=subject_ids or {},
        language=language,
        to_address=to[0],
        to_name=" ".join(to[1].split()),
        subject=subject,
        body=body,
        staff_id=staff_id,
    )


def _begin(due_at: datetime, **given: Any) -> Message:
    """A message that waits for its time."""
    now = clock.now()
    message = Message(
        status=Status.QUEUED, created_at=now, first_due_at=due_at, due_at=due_at, attempts=0, unknowns=0, **given
    )
    db.session.add(message)
    return message


def written(kind: str, language: str, values: dict[str, object]) -> tuple[str, str]:
    """The subject, on one line, and the body of a kind of message. Raises KeyError for a kind that no feature declares."""
    texts = find(kind).texts
    with speaking(language):
        filled = programme_values(language) | values
        subject = " ".join(fill(pair(f"{texts}.subject")[language], filled).split())
        return subject[:300], fill(pair(f"{texts}.body")[language], filled)


def programme_values(language: str, facts: Programme | None = None) -> dict[str, object]:
    """The programme's facts, as placeholders of any text: as they stand, or those given."""
    facts = facts or programme()
    return {
        "programme": facts.name[language],
        "organisation": facts.organisation[language],
        "phone": facts.phone,
        "email": facts.email,
        "address": facts.address[language],
        "privacy_title": facts.privacy_title[language],
        "privacy_email": facts.privacy_email,
        "place": facts.hosting_place[language],
        "retention": facts.retention[language],
    }


def carry_instead(link: Link, *, to: str | None = None) -> None:
    """What waits to leave with an earlier link to the same object leaves with this one, or it would not leave at all.

    With `to`, what waits, or could not leave, is for that address from now on; for an empty one it does not leave any more.
    """
    earlier = select(Link.id).where(Link.purpose == link.purpose, Link.object_id == link.object_id, Link.id != link.id)
    mine = update(Message).where(Message.link_id.in_(earlier)).execution_options(synchronize_session=False)
    if to == "":
        unsent = or_(WAITING, Message.status.in_((Status.FAILED, Status.UNKNOWN)))
        gone = {"status": Status.DROPPED, "final_at": clock.now(), "why": Why.NO_ADDRESS}
        db.session.execute(mine.where(unsent).values(**gone))
    elif to:
        unsent = or_(WAITING, Message.status.in_((Status.FAILED, Status.UNKNOWN)))
        db.session.execute(mine.where(unsent).values(link_id=link.id, to_address=to))
    else:
        db.session.execute(mine.where(WAITING).values(link_id=link.id))


def send_again(message: Message, by_id: int | None = None) -> Message:
    """Somebody asks for a message to leave again; returns the one that will.

    What was given up, or may not have arrived, goes back in the queue and keeps its Message-ID, so that two copies are told to be one. Of
    what a server took, a further copy leaves, a message of its own. What waits, or was dropped for being no longer true, stays as it is.
    """
    now = clock.now()
    if message.status in {Status.FAILED, Status.UNKNOWN}:
        message.status = Status.QUEUED
        message.attempts = message.unknowns = 0
        message.due_at = now
        message.final_at = message.settled_at = message.returned_at = None
        message.again_at, message.again_by_id = now, by_id
        return message
    if message.status is not Status.SENT:
        return message
    first = message.again_of_id or message.id
    earlier = db.session.scalars(
        select(Message).where(Message.again_of_id == first).order_by(Message.id.desc()).limit(1)
    ).first()
    if earlier is not None and earlier.status in {Status.QUEUED, Status.CLAIMED}:
        return earlier  # pressed twice, or by two people
    number = db.session.scalar(select(func.count(Message.id)).where(Message.again_of_id == first))
    return _begin(
        now,
        dedupe_key=f"again:{first}:{number}",
        again_of_id=first,
        again_at=now,
        again_by_id=by_id,
        **{name: getattr(message, name) for name in COPIED},
    )


def tell_owner(message: Message) -> None:
    """The feature that queued a message hears of its end; when it cannot, the message is final all the same."""
    try:
        with db.session.begin_nested():
            find(message.kind).on_final(message)
    except OperationalError:
        raise
    except Exception:
        log.exception("message %s: its end could not be recorded on its file", message.id)


def came_back(message: Message, said: str) -> bool:
    """A server reports that it could not deliver what another had taken: not sent after all. Whether that is news."""
    if message.status not in {Status.SENT, Status.UNKNOWN}:
        return False
    message.status, message.returned_at, message.last_error = Status.FAILED, clock.now(), said[:300]
    tell_owner(message)
    return True


def settle(message: Message, by_id: int) -> None:
    """Somebody saw to what could not leave: it stays in the ledger and is no longer told of."""
    if message.status in {Status.FAILED, Status.UNKNOWN} and message.settled_at is None:
        message.settled_at, message.settled_by_id = clock.now(), by_id


def end_pause() -> None:
    """Somebody asks for the mail server to be tried now."""
    db.session.execute(update(MailPause).values(try_at=clock.now()).execution_options(synchronize_session=False))


def never_tried(message: Message) -> bool:
    """Whether no mail server was ever asked to take a message. A claim counts as one attempt, also when it ends in dropping
    the message; what a server said stays in `last_error`, also when the message is sent again by hand.
    """
    claims = {Status.QUEUED: 0, Status.DROPPED: 1}
    return message.status in claims and message.attempts <= claims[message.status] and not message.last_error
