"""People who stay silent are written to once, when what waits on them comes due; they are left some days more, then it is a task for the adviser.

Who prefers the telephone is not written to: somebody calls them.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import select

from crm import clock
from crm.accounts.queries import duty_person
from crm.business_days import add_business_days, next_business_day
from crm.cases.addresses import address_of_page, link_of
from crm.cases.models import Case, Contact
from crm.cases.vocabulary import ContactMode, Turn
from crm.db import db
from crm.jobs import one_by_one, working_day
from crm.outbox.models import Message, Status
from crm.outbox.services import queue
from crm.reminders.models import WAITS_ON_PERSON, FollowUp, State
from crm.reminders.plans import in_force
from crm.reminders.rules import NUDGE, nudged_for
from crm.reminders.services import refresh
from crm.texts.facts import programme
from crm.timeline.services import SYSTEM, record

# Local time on business days. It is decided before reminders and digests are made, which would announce as due what waits longer.
AT_HOUR, LEAVES_AT = 7, 8
AT_ONCE = 200
LATE = timedelta(days=14)  # what came due longer ago is a task already, and the message would surprise


def nudge_silent() -> int:
    """Job: write to the people who stayed silent. Returns how many; each is a transaction of its own."""
    day = working_day(AT_HOUR)
    if day is None:
        return 0
    trouble = "follow-up %s: the person cannot be written to"
    return one_by_one(_waiting(day), lambda number: _one(number, day), trouble)


def _waiting(day: date) -> Sequence[int]:
    """Follow-ups that wait on a person, have come due and of which nobody was written to, in the stages where that is done."""
    stages = [step.stage for step in in_force() if step.rule == NUDGE and step.after > 0]
    return db.session.scalars(
        select(FollowUp.id)
        .join(Case, Case.id == FollowUp.case_id)
        .join(Contact, Contact.id == Case.contact_id)
        .where(WAITS_ON_PERSON, FollowUp.due_on <= day, FollowUp.due_on > day - LATE)
        .where(
            Case.stage.in_(stages), Case.quarantined.is_(False), Contact.email != "", Contact.mode != ContactMode.PHONE
        )
        .order_by(FollowUp.due_on, FollowUp.id)
        .limit(AT_ONCE)
    ).all()


def _one(number: int, day: date) -> int:
    case_id = db.session.scalar(select(FollowUp.case_id).where(FollowUp.id == number))
    case = db.session.get_one(Case, case_id, with_for_update={"key_share": True})
    follow_up = db.session.get_one(FollowUp, number, with_for_update=True, populate_existing=True)
    days = nudged_for(case.stage, in_force())
    if follow_up.state is not State.TODO or follow_up.waiting_on is not Turn.PERSON or follow_up.nudged_on or not days:
        return 0  # they answered, or another worker was quicker
    lately = select(FollowUp.id).where(
        FollowUp.case_id == case.id, FollowUp.id != number, FollowUp.nudged_on > day - LATE
    )
    follow_up.nudged_on = day
    if db.session.scalar(lately.limit(1)) is not None:
        return 0  # they were written to about something else: this is a task at once
    follow_up.reminded_on = None
    follow_up.due_on = follow_up.first_due_on = add_business_days(day, days)
    who = case.owner or duty_person()
    queue(
        "reminders.nudge",
        dedupe_key=f"nudge:{case.id}:{day}",
        to=(case.contact.email, case.contact.name),
        language=case.language,
        values={
            "name": case.contact.name,
            "reference": case.reference,
            "adviser": who.name if who else programme().name[case.language],
            "address_of_page": address_of_page(case.language),
        },
        case_id=case.id,
        link=link_of(case),
        subject_ids={"follow_up": follow_up.id},
        due_at=max(clock.now(), clock.at_local(day, LEAVES_AT)),
    )
    refresh(case)
    return 1


def still_silent(message: Message) -> bool:
    """Whether the person is silent still, asked just before the mail leaves."""
    follow_up = db.session.get(FollowUp, message.subject_ids["follow_up"])
    return follow_up is not None and follow_up.state is State.TODO and follow_up.waiting_on is Turn.PERSON


def note_final(message: Message) -> None:
    """The file's history says that the person was written to. Where the mail could not leave, what waited on them is due at once."""
    if message.status is Status.FAILED:
        follow_up = db.session.get_one(FollowUp, message.subject_ids["follow_up"])
        if still_silent(message):
            follow_up.due_on = follow_up.first_due_on = next_business_day(clock.today())
            refresh(db.session.get_one(Case, follow_up.case_id))
    if message.status is Status.SENT:
        record(
            "follow_up.nudged",
            case_id=message.case_id,
            actor=SYSTEM,
            codes={"message": message.id},
            detail={"to_name": message.to_name},
        )
