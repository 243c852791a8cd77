"""What a body answers, by its link or through a colleague who writes it down for it, and what follows: the adviser gets a dated step, the person
reads and is told who holds the file now. None of these commits; each holds the file and its referral.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, select

from crm import clock
from crm.accounts.models import Staff
from crm.business_days import add_business_days, business_days_between
from crm.cases.addresses import address_of_page, link_of
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.i18n import format_date
from crm.jobs import one_by_one, working_day
from crm.outbox.models import Message
from crm.outbox.services import programme_values, queue
from crm.permissions import services as permissions
from crm.permissions.models import Permission
from crm.referrals.models import ASKED, WAITS, Referral
from crm.referrals.outcomes import (
    SILENT_AFTER,
    TABLE,
    Action,
    Actor,
    DeclineReason,
    EndedBy,
    Outcome,
    Status,
    SupportUnit,
    may_correct,
)
from crm.referrals.services import (
    about,
    address_of_referral,
    expire,
    link_to,
    lock,
    names_of,
    no_longer_awaited,
    organisation_sentence,
    refused,
    set_status,
    tell,
    waits_for_the_body,
)
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, settle
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM

# What came about longer ago surprises: nobody is mailed of it, and the adviser still gets a step.
NEWS = timedelta(days=60)
AT_ONCE = 500  # of one round
AT_HOUR = 8  # local time at which what time brings about is looked at
# What the person is told by mail, by what became of the referral; of the rest, their page tells.
TOLD = frozenset({Status.ACCEPTED, Status.DECLINED, Status.INFO_ASKED, Status.NO_ANSWER, Status.INTERRUPTED})


@dataclass(frozen=True)
class Next:
    """What a body says comes next, and when; both may be left out."""

    note: str = ""
    on: date | None = None


NOTHING_SAID = Next()


def accept(referral: Referral, note: str, *, then: Next = NOTHING_SAID, staff: Staff | None = None) -> None:
    """The body takes the project on. `staff` is the colleague who writes it down for the body."""
    _answer(referral, Action.ACCEPT, note, staff)
    referral.next_note, referral.next_on = then.note, then.on


def decline(referral: Referral, reason: DeclineReason, note: str, *, staff: Staff | None = None) -> None:
    """The body says no, and why."""
    _answer(referral, Action.DECLINE, note, staff, reason=reason)


def ask(referral: Referral, question: str, *, staff: Staff | None = None) -> None:
    """The body asks for something before it answers: it is the team's turn."""
    _answer(referral, Action.ASK, question, staff)
    referral.question, referral.reply = question, ""


def _answer(
    referral: Referral, action: Action, note: str, staff: Staff | None, *, reason: DeclineReason | None = None
) -> None:
    case = lock(referral)
    set_status(referral, action, Actor.STAFF if staff else Actor.BODY)
    referral.answered_at = clock.now()
    referral.answered_for_id = staff.id if staff else None
    referral.answer_note, referral.decline_reason = note, reason
    referral.declined_by = EndedBy.BODY if action is Action.DECLINE else None
    _follows(referral, case, note, staff, {"decline_reason": reason.value} if reason else {})


def _follows(referral: Referral, case: Case, note: str, staff: Staff | None, codes: dict[str, str]) -> None:
    """The history, the adviser's step and the person's mail, the same for every answer."""
    status = referral.status
    _tell(status, case, referral, staff, codes=codes, note=note)
    if case.stage is Stage.CLOSED:
        return
    no_longer_awaited(referral, case)
    if status is Status.INFO_ASKED:
        plan_by_rule(case, "body_asks", add_business_days(clock.today(), 1), about=about(case, referral.body))
    elif staff is None or case.owner_id != staff.id or status not in {Status.ACCEPTED, Status.COMPLETED}:
        # Who wrote good news down on their own file knows; of the rest, the person is told that somebody gets back to them.
        plan_by_rule(case, "answered", add_business_days(clock.today(), 1), about=about(case, referral.body))
    keep_from_being_forgotten(case)
    tell_person(referral, case)


def _tell(
    what: str,
    case: Case,
    referral: Referral,
    staff: Staff | None,
    *,
    codes: dict[str, str] | None = None,
    note: str = "",
) -> None:
    """The history says what a body did, or that a colleague wrote it down for it."""
    actor = (ActorKind.STAFF, staff.id) if staff else (ActorKind.BODY, referral.body_id)
    tell(f"{what}_for" if staff else what, case, referral, referral.body, actor, codes=codes, note=note)


def mark_of(*said: object) -> str:
    """Tells what a page showed from what stands now: a form that was filled in below something else is not taken for this."""
    return sha256("\n".join(str(one) for one in said).encode("utf-8", "replace")).hexdigest()[:16]


def reply(referral: Referral, words: str, actor: Staff, *, seen: str | None = None) -> None:
    """The team answers what the body asked for: it is the body's turn again, and it is written to. `seen` is the mark of the question that
    the page showed.
    """
    case = lock(referral)
    if seen is not None and seen != mark_of(referral.question):
        raise refused("changed")
    if referral.permission is None or not permissions.live(referral.permission):
        raise refused("no_permission")
    set_status(referral, Action.REPLY, Actor.STAFF)
    referral.reply = words
    referral.waits_since, referral.chases = clock.now(), 0
    body = referral.body
    tell("replied", case, referral, body, (ActorKind.STAFF, actor.id), note=words)
    settle(case, ("body_asks",), names_of(body), actor)
    if body.contact_email:
        lang = body.contact_language
        queue(
            "referrals.reply",
            dedupe_key=f"referral:{referral.id}:reply:{referral.waits_since.isoformat()}",
            to=(body.contact_email, body.contact_name),
            language=lang,
            values={
                "name": body.contact_name,
                "reference": case.reference,
                "question": referral.question,
                "reply": words,
                "address_of_link": address_of_referral(lang),
                "organisation_sentence": organisation_sentence(lang),
            },
            case_id=case.id,
            link=link_to(referral, at_least=7),
            subject_ids={"referral": referral.id},
        )
    waits_for_the_body(referral, case)
    keep_from_being_forgotten(case)


def say_next(referral: Referral, then: Next, *, staff: Staff | None = None, seen: str | None = None) -> None:
    """A body that took a project on says what comes next, and when. `seen` is the mark of what the page showed of it."""
    case = lock(referral)
    if referral.status is not Status.ACCEPTED:
        raise refused("not_accepted")
    if seen is not None and seen != mark_of(referral.next_note, referral.next_on):
        raise refused("changed")
    referral.next_note, referral.next_on = then.note, then.on
    _tell("next", case, referral, staff, note=then.note)


@dataclass(frozen=True)
class Ended:
    """What came of a referral: in a word, in words, and how much support was given."""

    outcome: Outcome
    note: str = ""
    amount: int | None = None
    unit: SupportUnit | None = None


def complete(referral: Referral, ended: Ended, *, staff: Staff | None = None) -> None:
    """What the body was asked for is done, or what the person did by themselves has come to something."""
    _finish(referral, Action.COMPLETE, ended.note, staff, ended.outcome)
    referral.support_amount = ended.amount
    referral.support_unit = ended.unit if ended.amount else None


def interrupt(referral: Referral, by: EndedBy, note: str, *, staff: Staff | None = None) -> None:
    """It stops before its end, by the body, the person or the team."""
    _finish(referral, Action.INTERRUPT, note, staff, None)
    referral.declined_by = by


def _finish(referral: Referral, action: Action, note: str, staff: Staff | None, outcome: Outcome | None) -> None:
    case = lock(referral)
    set_status(referral, action, Actor.STAFF if staff else Actor.BODY)
    referral.ended_at = clock.now()
    referral.answered_for_id = staff.id if staff else None
    referral.outcome, referral.outcome_note = outcome, note
    settle(case, ("self_check",), names_of(referral.body), staff)
    _follows(referral, case, note, staff, {"outcome": outcome.value} if outcome else {})


def correctable(referral: Referral, *, by_staff: bool = False) -> bool:
    """Whether the last answer may still be taken for a mistake: while the permission counts, and by a body only what it said itself."""
    at = referral.ended_at or referral.answered_at
    if referral.permission is None or not permissions.live(referral.permission):
        return False
    if not by_staff and referral.answered_for_id is not None:
        return False
    return may_correct(referral.status, at, clock.now(), sent=referral.sent_at is not None)


def correct(referral: Referral, seen: str, *, staff: Staff | None = None) -> None:
    """The last answer was a mistake: the referral stands as before it, and waits for another. `seen` is the status of the page whose button
    was pressed: a second press takes nothing more back. Raises RefusedError after a week.
    """
    case = lock(referral)
    if seen != referral.status:
        raise refused("changed")
    if not correctable(referral, by_staff=staff is not None):
        raise refused("correct_too_late")
    set_status(referral, Action.CORRECT, Actor.STAFF if staff else Actor.BODY)
    if referral.status is Status.SENT:
        referral.answered_at, referral.answer_note, referral.decline_reason = None, "", None
        referral.waits_since, referral.next_note, referral.next_on, referral.chases = clock.now(), "", None, 0
    referral.ended_at, referral.outcome, referral.outcome_note = None, None, ""
    referral.support_amount, referral.support_unit = None, None
    referral.answered_for_id, referral.declined_by = None, None
    _tell("corrected", case, referral, staff, codes={"was": seen})
    if case.stage is Stage.CLOSED:
        return
    settle(case, ("answered",), names_of(referral.body), staff)
    if referral.status is Status.SENT:
        # Somebody hears of it soon: what was told of the first answer may have to be taken back by a person.
        plan_by_rule(case, "check_answer", add_business_days(clock.today(), 1), about=about(case, referral.body))
    keep_from_being_forgotten(case)


# --- the person ------------------------------------------------------------------------------------------------------


def tell_person(referral: Referral, case: Case) -> None:
    """Mail to the person, in their language: what the body said, who holds the file now and what comes next."""
    if referral.status not in TOLD or not case.contact.email or referral.permission_id is None:
        return
    lang, body = case.language, referral.body
    at = referral.ended_at or referral.answered_at or clock.now()
    queue(
        f"referrals.person_{referral.status}",
        dedupe_key=f"referral:{referral.id}:person:{referral.status}:{at.isoformat()}",
        to=(case.contact.email, case.contact.name),
        language=lang,
        values={
            "name": case.contact.name,
            "reference": case.reference,
            "body": body.short(lang),
            "adviser": case.owner.name if case.owner else programme_values(lang)["programme"],
            "date": format_date(add_business_days(clock.today(), 1), lang),
            "address_of_page": address_of_page(lang),
        },
        case_id=case.id,
        link=link_of(case),
        subject_ids={"referral": referral.id, "status": str(referral.status)},
    )


def still_so(message: Message) -> bool:
    """Whether what the person is to be told is still so: no mail contradicts what somebody did meanwhile."""
    referral = db.session.get(Referral, message.subject_ids["referral"])
    return (
        referral is not None
        and referral.status == message.subject_ids["status"]
        and referral.case.stage is not Stage.CLOSED
        and referral.case.merged_into_id is None
    )


# --- what time brings about ------------------------------------------------------------------------------------------


def give_up_waiting() -> int:
    """Job: a body that has not answered for twenty business days is taken not to answer; it still may. Returns how many."""
    day = working_day(AT_HOUR)
    if day is None:
        return 0
    return one_by_one(_silent(day), lambda number: _fall_silent(number, day), "referral %s cannot be given up")


def silent_ones(before: datetime) -> Select[*tuple[Any, ...]]:
    """Referrals that a body has had to answer since before an instant, the longest first; a business day is never less than a day."""
    found = select(Referral.id, Referral.waits_since).where(WAITS, Referral.waits_since < before)
    return found.order_by(Referral.waits_since, Referral.id).limit(AT_ONCE)


def lapsed_ones(today: date) -> Select[int]:
    """Permissions whose last day has passed and of which nothing was ended yet."""
    live = Permission.withdrawn_at.is_(None), Permission.lapsed_at.is_(None)
    return (
        select(Permission.id).where(*live, Permission.expires_on < today).order_by(Permission.expires_on).limit(AT_ONCE)
    )


def questions_over(today: date) -> Select[int]:
    """Questions to people whose date has passed."""
    return select(Referral.id).where(ASKED, Referral.asked_until < today).order_by(Referral.asked_until).limit(AT_ONCE)


def _silent(day: date) -> Sequence[int]:
    rows = db.session.execute(silent_ones(clock.now() - timedelta(days=SILENT_AFTER))).all()
    return [row.id for row in rows if _too_long(row.waits_since, day)]


def _too_long(since: datetime | None, day: date) -> bool:
    return since is not None and business_days_between(clock.local_date(since), day) >= SILENT_AFTER


def _fall_silent(number: int, day: date) -> int:
    referral = db.session.get_one(Referral, number)
    case = lock(referral)
    if referral.status is not Status.SENT or not _too_long(referral.waits_since, day):
        return 0
    set_status(referral, Action.FALL_SILENT, Actor.PROGRAM)
    tell("no_answer", case, referral, referral.body, SYSTEM)
    if case.stage is not Stage.CLOSED:
        no_longer_awaited(referral, case)
        plan_by_rule(case, "no_answer", add_business_days(day, 1), about=about(case, referral.body))
        if referral.waits_since is not None and clock.now() - referral.waits_since <= NEWS:
            tell_person(referral, case)
    return 1


def end_what_lapsed() -> int:
    """Job: permissions whose last day has passed end what rests on them, and questions that can be answered no more. Returns how many."""
    if clock.local(clock.now()).hour < AT_HOUR:
        return 0
    today = clock.today()
    ended = one_by_one(db.session.scalars(lapsed_ones(today)).all(), _lapse, "permission %s cannot be ended")
    asked = db.session.scalars(questions_over(today)).all()
    return ended + one_by_one(asked, _question_over, "the question of referral %s cannot be ended")


def _lapse(number: int) -> int:
    case_id = db.session.scalar(select(Permission.case_id).where(Permission.id == number))
    db.session.scalar(select(Case.id).where(Case.id == case_id).with_for_update(key_share=True))
    permission = db.session.get_one(Permission, number, with_for_update=True, populate_existing=True)
    if permission.lapsed_at is not None or permission.withdrawn_at is not None:
        return 0  # another worker was quicker, or the person
    permission.lapsed_at = clock.now()
    for referral in db.session.scalars(select(Referral).where(Referral.permission_id == number).order_by(Referral.id)):
        case = lock(referral)
        if referral.status in TABLE[Action.EXPIRE][Actor.PROGRAM] or referral.status is Status.ACCEPTED:
            expire(referral, case, tells=clock.today() - permission.expires_on <= NEWS)
    return 1


def _question_over(number: int) -> int:
    referral = db.session.get_one(Referral, number)
    case = lock(referral)
    if referral.status is not Status.CONSENT_PENDING:
        return 0
    expire(referral, case)
    return 1
