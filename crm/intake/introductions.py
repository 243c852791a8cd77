"""Projects that a partner sends our way: the person is told by whom and why, says yes or no, and is forgotten without an answer.

Domain reference, sections 13.3, 15 (C7) and 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import delete, exists, select, update

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.addresses import address_of_page, link_of
from crm.cases.models import Case, Contact, Exchange, Note
from crm.cases.services import Asker, Facts, advance, open_case
from crm.cases.vocabulary import (
    ClosingReason,
    ContactMode,
    ExchangeResult,
    LegalForm,
    PreferredLanguage,
    ProjectStage,
    Source,
    Stage,
)
from crm.db import db
from crm.duplicates.models import LikePair, MatchKey
from crm.feature import plugged
from crm.i18n import format_date, speaking
from crm.intake.models import Agreed, Answer, Introduction, Request
from crm.links.models import Purpose
from crm.links.services import revoke
from crm.outbox.models import WAITING, Message, Status, Why
from crm.outbox.services import queue
from crm.partners import models as partners
from crm.reminders.models import FollowUp
from crm.talks.models import Talk
from crm.texts import text
from crm.texts.facts import programme
from crm.texts.published import version_of
from crm.timeline.models import ActorKind, Event, EventDetail
from crm.timeline.services import SYSTEM, record

ANSWER_WITHIN = timedelta(days=30)
GONE = "…"  # in the place of what was destroyed


@dataclass(frozen=True)
class Sender:
    """Who sends a project our way, and how the person agreed."""

    organization: str
    contact_name: str
    email: str
    agreed: Agreed
    agreed_on: date


@dataclass(frozen=True)
class Person:
    """Whom we are told of, and what for."""

    name: str
    language: PreferredLanguage
    email: str
    phone: str
    phone_extension: str
    summary: str


def introduce(
    sender: Sender, person: Person, *, key: str, page_language: str, why_suspect: Sequence[str] = ()
) -> Introduction:
    """A file for a project that a partner sends, and the question to the person. `key` is the database key of the form.

    Raises IntegrityError when this very form was received before, or the reference drawn is in use.
    """
    now = clock.now()
    case = open_case(
        Asker(
            name=person.name,
            role="other",
            language=person.language,
            mode=ContactMode.EMAIL if person.email else ContactMode.PHONE,
            email=person.email,
            phone=person.phone,
            phone_extension=person.phone_extension,
        ),
        Facts(
            description=person.summary,
            sector="",
            stage=ProjectStage.UNKNOWN,
            legal_form=LegalForm.UNDECIDED,
            region="",
            needs=[],
        ),
        prefix=programme().reference_prefix,
        write_in=page_language if person.language is PreferredLanguage.EITHER else person.language.value,
        source=Source.PARTNER,
        received_at=now,
        actor=(ActorKind.BODY, None),
        quarantined=bool(why_suspect),
    )
    db.session.add(
        Request(
            form_key=key,
            case=case,
            received_at=now,
            page_language=page_language,
            notice_version=version_of("intake.notice"),
            answers={},
            suspicions=list(why_suspect) or None,
        )
    )
    found = Introduction(
        case=case,
        organization=sender.organization,
        contact_name=sender.contact_name,
        email=sender.email,
        agreed=sender.agreed,
        agreed_on=sender.agreed_on,
        summary=person.summary,
        answer_until=clock.today() + ANSWER_WITHIN,
    )
    db.session.add(found)
    if not case.quarantined:
        ask_person(found)
    return found


def of_case(case: Case) -> Introduction | None:
    """How a partner sent this file, if one did."""
    return db.session.get(Introduction, case.id) if case.source is Source.PARTNER else None


def ask_person(found: Introduction) -> None:
    """Tell the person who gave us their details and why, and ask whether we may contact them. By telephone only, staff do.

    An address is written to once in thirty days, and nothing but names that the sender typed goes into the message: the form is
    open to anybody, and must not carry anybody's words to anybody.
    """
    case = found.case
    if not case.contact.email or _was_asked_lately(case):
        return
    queue(
        "intake.introduced",
        dedupe_key=f"case:{case.id}:introduced",
        to=(case.contact.email, case.contact.name),
        language=case.language,
        values={
            "name": case.contact.name,
            "sender": f"{found.contact_name} ({found.organization})",
            "date": format_date(found.answer_until, case.language),
            "address_of_page": address_of_page(case.language),
        },
        case_id=case.id,
        link=link_of(case),
    )


def _was_asked_lately(case: Case) -> bool:
    """Whether another introduction gave this address within thirty days."""
    email = case.contact.email
    others = (
        select(Introduction.case_id)
        .join(Introduction.case)
        .join(Case.contact)
        .where(
            Contact.email.in_({email, email.lower()}),
            Case.id != case.id,
            Case.received_at > clock.now() - ANSWER_WITHIN,
        )
    )
    return db.session.scalar(others.limit(1)) is not None


def still_asked(message: Message) -> bool:
    """Whether the question is still to be answered, asked just before it leaves."""
    found = db.session.get(Introduction, message.case_id)
    return found is not None and found.answer is None and found.destroyed_at is None


def answered(found: Introduction, answer: Answer, actor: Staff | None) -> bool:
    """The person says yes or no, on their page or to one of us. False when they had said so before.

    No closes the file and destroys what identifies the person, at once.
    """
    if found.answer is not None or found.destroyed_at is not None:
        return False
    found.answer, found.answered_at = answer, clock.now()
    record(f"introduction.{answer}", case_id=found.case_id, actor=by(actor))
    if answer is Answer.NO:
        _close(found.case, actor, "no", by_itself=False)
        destroy(found)
    return True


def _close(case: Case, actor: Staff | None, why: str, *, by_itself: bool) -> None:
    if case.stage is Stage.CLOSED:
        return
    with speaking(case.owner.language if case.owner else "fr"):
        reason = text(f"intake.introduction.closed_{why}")
    advance(
        case,
        Stage.CLOSED,
        actor,
        reason=reason,
        closing_reason=ClosingReason.WITHDRAWN,
        person_told="told" if why == "no" else "unreachable",
        by_itself=by_itself,
    )


def forget_unanswered() -> int:
    """Job: destroy the details of people who did not answer in thirty days. Returns how many files.

    Somebody we have talked with, or who has a talk booked, has answered in another way.
    """
    spoke = exists().where(Exchange.case_id == Introduction.case_id, Exchange.result == ExchangeResult.TWO_WAY)
    will_speak = exists().where(Talk.case_id == Introduction.case_id)
    due = (
        select(Introduction)
        .join(Introduction.case)
        .where(
            Introduction.answer.is_(None),
            Introduction.destroyed_at.is_(None),
            Introduction.answer_until < clock.today(),
            Case.merged_into_id.is_(None),
            Case.has_merged.is_(False),
            ~spoke,
            ~will_speak,
        )
        .limit(50)
    )
    found = list(db.session.scalars(due))
    for one in found:
        _close(one.case, None, "unanswered", by_itself=True)
        destroy(one)
    return len(found)


def destroy(found: Introduction) -> None:
    """Destroy what identifies the person, wherever this file holds it; that there was a request, and when, remains."""
    case = found.case
    contact, project = case.contact, case.project
    # To the person, at this address or a former one: whoever is neither a colleague nor a body.
    ours = select(Staff.email).union(select(partners.Person.email))
    to_them = (Message.case_id == case.id) & Message.to_address.not_in(ours)
    db.session.execute(
        update(Message).where(to_them, WAITING).values(status=Status.DROPPED, final_at=clock.now(), why=Why.NOT_TRUE)
    )
    db.session.execute(update(Message).where(to_them).values(to_address="", to_name="", subject=GONE, body=GONE))
    contact.name, contact.email, contact.phone, contact.phone_extension = GONE, "", "", ""
    contact.availability = None
    project.name, project.description, project.summary, project.neq = "", GONE, "", ""
    found.summary = GONE
    found.destroyed_at = clock.now()
    of_file = {"case_id": case.id}
    db.session.flush()
    db.session.execute(update(Request).filter_by(**of_file).values(answers={}))
    db.session.execute(update(Note).filter_by(**of_file).values(body=GONE))
    db.session.execute(update(Exchange).filter_by(**of_file).values(summary=""))
    db.session.execute(
        update(FollowUp).where(FollowUp.case_id == case.id, FollowUp.rule == "").values(title=GONE, reason="")
    )
    db.session.execute(update(FollowUp).filter_by(**of_file).values(outcome=""))
    events = select(Event.id).where(Event.case_id == case.id)
    db.session.execute(delete(EventDetail).where(EventDetail.event_id.in_(events)))
    db.session.execute(delete(MatchKey).filter_by(**of_file))
    db.session.execute(delete(LikePair).where((LikePair.older_id == case.id) | (LikePair.newer_id == case.id)))
    for destroy_part in plugged("personal_data"):
        destroy_part(case)
    revoke(Purpose.CASE, case.id)
    record("introduction.destroyed", case_id=case.id, actor=SYSTEM)
