"""Asking what became of a project six and twelve months after its file closed, of those who agreed to be asked: one mail, one reminder, no more."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from zlib import crc32

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.services import by
from crm.business_days import business_days_between
from crm.cases.models import Case, Contact
from crm.cases.progress import note_check
from crm.cases.vocabulary import CheckResult, ClosingReason, Stage
from crm.clock import months_after
from crm.db import db
from crm.i18n import format_date
from crm.jobs import one_by_one, working_day
from crm.links.models import Link
from crm.links.models import Purpose as LinkPurpose
from crm.links.services import PLACE, standing
from crm.outbox.models import Message, Status
from crm.outbox.services import queue, settings
from crm.permissions.models import Consent, Purpose
from crm.permissions.services import withdraw_consent
from crm.portal.models import PersonMessage
from crm.portal.services import write
from crm.surveys.models import Going, Survey
from crm.texts import text
from crm.timeline.services import SYSTEM, record

MONTHS = (6, 12)
AT_HOUR = 9  # local time on business days
MISSED = timedelta(days=30)  # a worker that slept asks until then, and not later: the question would surprise
REMIND_AFTER = 10  # business days
LINK_DAYS, LINK_LEFT = 90, 60  # the way out of a message works for sixty days after it (CASL, s. 11)
AT_ONCE = 100  # files of one round
NOT_ASKED = frozenset(
    {ClosingReason.SPAM, ClosingReason.ERROR, ClosingReason.DUPLICATE, ClosingReason.CONSENT, ClosingReason.WITHDRAWN}
)
PATH = {"fr": "fr/nouvelles", "en": "en/news"}
# What an answer says of the check after twelve months (indicator 21); of what is not launched, nothing.
FOUND = {Going.ACTIVE: CheckResult.ACTIVE, Going.STOPPED: CheckResult.STOPPED}
CHECK_FROM = 11  # months after the launch


def is_time(closed_on: date, months: int, day: date) -> bool:
    """Whether a file closed on a day is asked about now, for so many months after. Pure."""
    due_on = months_after(closed_on, months)
    return due_on <= day <= due_on + MISSED


def ask_and_remind() -> int:
    """Job: the askings that are due, and the reminders. Returns how many mails were queued; each is a transaction of its own."""
    day = working_day(AT_HOUR)
    if day is None:
        return 0
    asked = one_by_one(list(_to_ask(day)), lambda one: _ask(*one, day), "survey %s cannot be asked")
    return asked + one_by_one(_to_remind(day), lambda number: _remind(number, day), "survey %s cannot be reminded of")


def _to_ask(day: date) -> Iterator[tuple[int, int]]:
    for months in MONTHS:
        # As wide as months are uneven; `is_time` then says.
        first, last = (
            months_after(day - MISSED, -months) - timedelta(days=3),
            months_after(day, -months) + timedelta(days=3),
        )
        start, end = clock.day_bounds(first, last)
        rows = db.session.execute(
            select(Case.id, Case.closed_at)
            .join(Contact, Contact.id == Case.contact_id)
            .where(Case.closed_at >= start, Case.closed_at < end, Case.stage == Stage.CLOSED)
            .where(Case.closing_reason.not_in(NOT_ASKED), Case.merged_into_id.is_(None), Case.quarantined.is_(False))
            .where(Contact.email != "", exists().where(*_agreed(Case.id)))
            .order_by(Case.closed_at, Case.id)
        ).all()
        found = {row.id: clock.local_date(row.closed_at) for row in rows if row.closed_at}
        due = {number: on for number, on in found.items() if is_time(on, months, day)}
        names = {occurrence(number, on, months): number for number, on in due.items()}
        asked = (
            set(db.session.scalars(select(Survey.occurrence).where(Survey.occurrence.in_(names)))) if names else set()
        )
        yield from (
            (number, months) for name, number in list(names.items())[: AT_ONCE + len(asked)] if name not in asked
        )


def _agreed(case_id: Any) -> tuple[ColumnElement[bool], ...]:
    """The live agreements of a file."""
    return Consent.case_id == case_id, Consent.purpose == Purpose.SURVEY, Consent.withdrawn_at.is_(None)


def occurrence(case_id: int, closed_on: date, months: int) -> str:
    """The name of one asking: a file that is opened again and closed later is asked about again."""
    return f"{case_id}:{closed_on}:{months}"


def _ask(case_id: int, months: int, day: date) -> int:
    case = db.session.get_one(Case, case_id)
    closed_on = clock.local_date(case.closed_at) if case.closed_at else day
    survey = Survey(
        occurrence=occurrence(case_id, closed_on, months), case_id=case_id, months=months, asked_on=day, note=""
    )
    db.session.add(survey)
    db.session.flush()  # another worker's is refused here
    _queue("surveys.asked", survey, case)
    record("survey.asked", case_id=case_id, actor=SYSTEM, codes={"months": months})
    return 1


def _to_remind(day: date) -> Sequence[int]:
    rows = db.session.execute(
        select(Survey.id, Survey.asked_on)
        .where(Survey.answered_at.is_(None), Survey.reminded_on.is_(None))
        .where(Survey.asked_on > day - MISSED)
        .order_by(Survey.id)
    )
    return [row.id for row in rows if business_days_between(row.asked_on, day) >= REMIND_AFTER][:AT_ONCE]


def _remind(survey_id: int, day: date) -> int:
    survey = db.session.get_one(Survey, survey_id, with_for_update=True)
    if survey.reminded_on is not None:
        return 0
    survey.reminded_on = day
    first = select(Message.status).where(Message.dedupe_key == f"surveys.asked:{survey.id}")
    if not (asks_still(survey) and survey.case.contact.email and db.session.scalar(first) is Status.SENT):
        return 0
    _queue("surveys.reminder", survey, survey.case)
    return 1


def _queue(kind: str, survey: Survey, case: Case) -> None:
    link = standing(LinkPurpose.SURVEY, survey.id, days=LINK_DAYS, at_least=LINK_LEFT)
    queue(
        kind,
        dedupe_key=f"{kind}:{survey.id}",
        to=(case.contact.email, case.contact.name),
        language=case.language,
        values={
            "name": case.contact.name,
            "reference": case.reference,
            "closed_on": format_date(clock.local_date(case.closed_at), case.language) if case.closed_at else "",
            "until": format_date(clock.local_date(link.expires_at), case.language),
            "address_of_link": f"{settings().base_url}/{PATH[case.language]}/{PLACE}",
        },
        case_id=case.id,
        link=link,
        subject_ids={"survey": survey.id},
    )


def asks_still(survey: Survey) -> bool:
    """Whether an answer is still wanted: the file is closed, the person still agrees, and has not answered."""
    case = survey.case
    return survey.answered_at is None and case.stage is Stage.CLOSED and agreement(case) is not None


def still_true(message: Message) -> bool:
    """Asked just before a mail leaves."""
    survey = db.session.get(Survey, message.subject_ids["survey"])
    return survey is not None and asks_still(survey) and survey.case.contact.email == message.to_address


def way_out(message: Message) -> str:
    """Where a mail program takes the person off, in one press."""
    return f"{settings().base_url}/{PATH[message.language]}/{'retrait' if message.language == 'fr' else 'stop'}/{PLACE}"


def agreement(case: Case) -> Consent | None:
    """The person's live agreement to be asked, if there is one."""
    return db.session.scalar(select(Consent).where(*_agreed(case.id)).limit(1))


def of_link(link: Link | None, *, lock: bool = False, any_stage: bool = False) -> Survey | None:
    """The survey that a live link opens. Of a file that was opened again, none, unless for `any_stage`: the team speaks with the person."""
    if link is None:
        return None
    read = select(Survey).where(Survey.id == link.object_id).options(joinedload(Survey.case))
    found = db.session.scalar(read.with_for_update(of=Survey) if lock else read)
    return found if found is not None and (any_stage or found.case.stage is Stage.CLOSED) else None


def answer(survey: Survey, *, going: Going, people: int | None, note: str, call: bool) -> None:
    """Keep what the person says; said again, it replaces what was said. Twelve months after a launch it is the check of the indicator.

    `call` asks to be called: the team hears of it as of a message of the person.
    """
    case = survey.case
    said_before = survey.going, survey.people, survey.note
    survey.going, survey.people, survey.note = going, people, note
    first, survey.answered_at = survey.answered_at is None, clock.now()
    if first or said_before != (going, people, note):
        codes: dict[str, object] = {"months": survey.months, "going": going, "people": people}
        record("survey.answered", case_id=case.id, actor=by(None), codes=codes, detail={"note": note} if note else None)
        today, launched_on = clock.today(), case.project.launched_on
        if going in FOUND and launched_on is not None and today >= months_after(launched_on, CHECK_FROM):
            note_check(case, today, FOUND[going])
    if call:
        body = "\n\n".join(part for part in (text("surveys.call_me"), note) if part)
        key = f"survey-{survey.id}-{crc32(body.encode())}"  # pressed again, it is the same message
        if db.session.scalar(select(PersonMessage.id).where(PersonMessage.form_key == key)) is None:
            write(case, body, key)


def stop(survey: Survey) -> None:
    """The person is asked no more, as of this transaction; pressing again changes nothing."""
    while (given := agreement(survey.case)) is not None:  # of a file that another was merged into, each of them
        withdraw_consent(given, survey.case)
        db.session.flush()
