"""Queueing messages and sending them again."""

from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import or_, select, update

from crm import clock
from crm.config import Programme, Settings
from crm.db import db
from crm.i18n import speaking
from crm.links.models import Link
from crm.outbox.kinds import find
from crm.outbox.models import WAITING, Message, Status
from crm.texts import fill, pair
from crm.texts.facts import programme


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
) -> Message | None:
    """Write a message in the caller's transaction; None when one with this `dedupe_key` waits or left
    already; one that was dropped is queued anew.

    `to` is (address, name). `values` fill the named placeholders of the kind's two texts; the programme's facts are
    always there. Line ends are taken out of the subject.
    """
    declared = find(kind)
    earlier = db.session.scalar(select(Message).where(Message.dedupe_key == dedupe_key))
    if earlier is not None and earlier.status is not Status.DROPPED:
        return None
    with speaking(language):
        filled = programme_values(language) | values
        subject = " ".join(fill(pair(f"{declared.texts}.subject")[language], filled).split())
        body = fill(pair(f"{declared.texts}.body")[language], filled)
    now = clock.now()
    if earlier is not None:
        # It was dropped because it had stopped being true; now it is again, and nobody received it.
        earlier.subject, earlier.body, earlier.language = subject[:300], body, language
        earlier.to_address, earlier.to_name = to[0], " ".join(to[1].split())
        earlier.link_id = link.id if link else None
        earlier.status, earlier.attempts, earlier.final_at = Status.QUEUED, 0, None
        earlier.due_at = due_at or now
        return earlier
    message = Message(
        kind=kind,
        dedupe_key=dedupe_key,
        case_id=case_id,
        link_id=link.id if link else None,
        subject_ids=subject_ids or {},
        language=language,
        to_address=to[0],
        to_name=" ".join(to[1].split()),
        subject=subject[:300],
        body=body,
        status=Status.QUEUED,
        created_at=now,
        due_at=due_at or now,
        attempts=0,
    )
    db.session.add(message)
    return message


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
        unsent = or_(WAITING, Message.status == Status.FAILED)
        db.session.execute(mine.where(unsent).values(status=Status.DROPPED, final_at=clock.now()))
    elif to:
        unsent = or_(WAITING, Message.status == Status.FAILED)
        db.session.execute(mine.where(unsent).values(link_id=link.id, to_address=to))
    else:
        db.session.execute(mine.where(WAITING).values(link_id=link.id))


def send_again(message: Message) -> None:
    """Put a message that was given up back in the queue, due now. It keeps its Message-ID."""
    if message.status is Status.FAILED:
        message.status = Status.QUEUED
        message.attempts = 0
        message.due_at = clock.now()
        message.final_at = None


def never_tried(message: Message) -> bool:
    """Whether no mail server was ever asked to take a message. A claim counts as one attempt, also when it ends in dropping
    the message; what a server said stays in `last_error`, also when the message is sent again by hand.
    """
    claims = {Status.QUEUED: 0, Status.DROPPED: 1}
    return message.status in claims and message.attempts <= claims[message.status] and not message.last_error
