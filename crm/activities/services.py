"""Receiving a request for an activity, and what becomes of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.queries import duty_person
from crm.accounts.services import by
from crm.activities.models import Activity, Kind, Spoken, State
from crm.business_days import add_business_days
from crm.db import db, save_over
from crm.errors import RefusedError
from crm.i18n import format_date
from crm.outbox.models import Message
from crm.outbox.services import queue, settings
from crm.texts import pair, text
from crm.timeline.services import record

REPLY_WITHIN = 3  # business days, as for any request
SHOWN = 100


@dataclass(frozen=True)
class Asked:
    """What form C says."""

    organization: str
    contact_name: str
    email: str
    spoken: Spoken
    kind: Kind
    audiences: Sequence[str]
    expected: int | None
    month: str
    place: str
    message: str


class StaleError(Exception):
    """Somebody changed the activity in the meantime: nothing was changed."""


def key_of(sent: str) -> str:
    """The database key of a form."""
    return hashlib.sha256(sent.encode("utf-8", "replace")).hexdigest()[:40]


def received_as(sent: str) -> Activity | None:
    """The activity that a form already asked for, if any."""
    return db.session.scalar(select(Activity).where(Activity.form_key == key_of(sent)))


def ask_for(asked: Asked, *, key: str, language: str, why_suspect: Sequence[str] = ()) -> Activity:
    """Write down a request, thank who sent it and tell the duty person. A suspect's mail leaves when somebody released it.

    Raises IntegrityError when this very form was received before.
    """
    now = clock.now()
    activity = Activity(
        form_key=key_of(key),
        received_at=now,
        reply_due_on=add_business_days(clock.local_date(now), REPLY_WITHIN),
        language=language,
        organization=asked.organization,
        contact_name=asked.contact_name,
        email=asked.email,
        spoken=asked.spoken,
        kind=asked.kind,
        audiences=list(asked.audiences),
        expected=asked.expected,
        month=asked.month,
        place=asked.place,
        message=asked.message,
        suspicions=list(why_suspect) or None,
        state=State.ASKED,
        note="",
        version=1,
    )
    db.session.add(activity)
    db.session.flush()  # its id is in the messages
    record("activity.asked", case_id=None, actor=by(None), codes={"activity": activity.id})
    if not activity.suspicions:
        _acknowledge(activity)
    return activity


def lately() -> int:
    """How many were asked for within an hour, this one included."""
    recent = select(Activity.id).where(Activity.received_at > clock.now() - timedelta(hours=1)).limit(500)
    return 1 + (db.session.scalar(select(func.count()).select_from(recent.subquery())) or 0)


def release(activity: Activity, actor: Staff) -> None:
    """Somebody looked: it is a person's request. Its acknowledgement leaves now."""
    if not activity.suspicions:
        return
    activity.suspicions = None
    record("activity.released", case_id=None, actor=by(actor), codes={"activity": activity.id})
    _acknowledge(activity)


def _acknowledge(activity: Activity) -> None:
    queue(
        "activities.received",
        dedupe_key=f"activity:{activity.id}:received",
        to=(activity.email, activity.contact_name),
        language=activity.language,
        values={
            "name": activity.contact_name,
            "organization": activity.organization,
            "date": format_date(activity.reply_due_on, activity.language),
        },
        subject_ids={"activity": activity.id},
    )
    duty = duty_person()
    if duty is not None:
        queue(
            "activities.told",
            dedupe_key=f"activity:{activity.id}:told",
            to=(duty.email, duty.name),
            language=duty.language,
            values={
                "name": duty.name,
                "kind": pair(f"activities.kind.{activity.kind}")[duty.language],
                "address": f"{settings().base_url}/staff/activities/{activity.id}",
            },
            subject_ids={"activity": activity.id},
        )


def still_asked(message: Message) -> bool:
    """Whether the team still has to hear of it."""
    activity = db.session.get(Activity, message.subject_ids["activity"])
    return activity is not None and activity.state is State.ASKED


def take(activity: Activity, actor: Staff) -> None:
    """Somebody sees to it. Raises RefusedError when a colleague does."""
    if activity.owner_id not in {None, actor.id}:
        raise RefusedError(text("activities.refusal.taken_meanwhile"))
    if activity.owner_id is None:
        activity.owner_id = actor.id
        record("activity.taken", case_id=None, actor=by(actor), codes={"activity": activity.id})


def settle(
    activity: Activity,
    state: State,
    actor: Staff,
    *,
    seen_version: int,
    day: date | None = None,
    participants: int | None = None,
    note: str = "",
) -> None:
    """Say what becomes of an activity: planned for a day, held with so many people, or declined.

    Raises StaleError when somebody said otherwise after `seen_version` was shown.
    """
    if activity.suspicions:
        raise RefusedError(text("activities.refusal.quarantined"))
    saved = save_over(
        activity,
        seen_version,
        state=state,
        planned_on=day if state is State.PLANNED else activity.planned_on,
        held_on=day if state is State.HELD else None,
        participants=participants if state is State.HELD else None,
        note=note,
        owner_id=activity.owner_id or actor.id,
    )
    if not saved:
        raise StaleError
    record(f"activity.{state}", case_id=None, actor=by(actor), codes={"activity": activity.id})


def waiting() -> Sequence[Activity]:
    """Activities asked for that nobody settled, the one that waits longest first."""
    return db.session.scalars(
        select(Activity)
        .where(Activity.state == State.ASKED)
        .order_by(Activity.received_at, Activity.id)
        .limit(SHOWN)
        .options(joinedload(Activity.owner).load_only(Staff.name))
    ).all()


def settled() -> Sequence[Activity]:
    """The others, the newest first."""
    return db.session.scalars(
        select(Activity)
        .where(Activity.state != State.ASKED)
        .order_by(Activity.id.desc())
        .limit(SHOWN)
        .options(joinedload(Activity.owner).load_only(Staff.name))
    ).all()
