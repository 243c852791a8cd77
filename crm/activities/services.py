"""Receiving a request for an activity, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.queries import duty_person
from crm.accounts.services import by
from crm.activities.models import Activity, ActivityBody, Kind, Spoken, State
from crm.business_days import add_business_days
from crm.db import db, save_over
from crm.errors import RefusedError
from crm.forms import key_of
from crm.i18n import format_date
from crm.outbox.models import Message
from crm.outbox.services import queue, settings
from crm.partners.models import Body
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


@dataclass(frozen=True)
class Written:
    """What the team writes down of an activity that nobody asked for. `participants` is none of one that is still to come."""

    day: date
    kind: Kind
    spoken: Spoken
    audiences: Sequence[str]
    participants: int | None
    bodies: Sequence[Body]
    organization: str
    place: str
    note: str


class StaleError(Exception):
    """Somebody changed the activity in the meantime: nothing was changed."""


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


def write_down(written: Written, *, key: str, actor: Staff, at: datetime | None = None) -> Activity:
    """Write down an activity of the team, now or `at` an instant: held when its day has come and planned before. The same form sent twice is one activity.

    Raises RefusedError for one that was held and of which nobody counted who came.
    """
    if (before := received_as(key)) is not None:
        return before
    today = clock.today()
    held = written.day <= today
    if held and written.participants is None:
        raise RefusedError(text("activities.refusal.uncounted"))
    now = at or clock.now()
    activity = Activity(
        form_key=key_of(key),
        received_at=now,
        reply_due_on=clock.local_date(now),
        language=actor.language,
        organization=written.organization,
        contact_name="",
        email="",
        spoken=written.spoken,
        kind=written.kind,
        audiences=list(written.audiences),
        expected=None if held else written.participants,
        month="",
        place=written.place,
        message="",
        state=State.HELD if held else State.PLANNED,
        owner_id=actor.id,
        planned_on=None if held else written.day,
        held_on=written.day if held else None,
        participants=written.participants if held else None,
        note=written.note,
        bodies=list(written.bodies),
        version=1,
    )
    db.session.add(activity)
    db.session.flush()
    codes = {"activity": activity.id}
    record(f"activity.{activity.state}", case_id=None, actor=by(actor), codes=codes, at=now)
    return activity


def move_to_body(gone: Body, kept: Body) -> None:
    """Where a body was present that another entry of the directory replaces, that one was."""
    both = select(ActivityBody.activity_id).where(ActivityBody.body_id == kept.id)
    there = ActivityBody.body_id == gone.id
    concerned = Activity.id.in_(select(ActivityBody.activity_id).where(there))
    db.session.execute(
        update(Activity).where(concerned).values(version=Activity.version + 1)
    )  # whose form is open is told
    db.session.execute(delete(ActivityBody).where(there, ActivityBody.activity_id.in_(both)))
    db.session.execute(update(ActivityBody).where(there).values(body_id=kept.id))


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
    bodies: Sequence[Body] = (),
) -> None:
    """Say what becomes of an activity: planned for a day, held with so many people and these bodies, or declined.

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
    activity.bodies = [] if state is State.DECLINED else list(bodies)
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
