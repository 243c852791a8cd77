"""What the person reads and does on their own page. Each verb is theirs: the history says "the person"."""

import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import joinedload

from crm import clock, forms
from crm.accounts.choices import wants_at_once
from crm.accounts.models import Staff
from crm.accounts.queries import duty_person
from crm.accounts.services import by
from crm.business_days import add_business_days
from crm.cases import documents, turns
from crm.cases.addresses import DAYS, address_of_file, address_of_page, link_of
from crm.cases.models import Case, CaseNeed, Contact
from crm.cases.queries import may_see
from crm.cases.services import advance
from crm.cases.vocabulary import ClosingReason, Stage
from crm.cases.vocabulary import Turn as Holder
from crm.db import db
from crm.duplicates.matching import email_key
from crm.duplicates.models import MatchKey
from crm.errors import RefusedError
from crm.files import services as files
from crm.files.kinds import Checked, FileRefusedError
from crm.i18n import speaking
from crm.intake import introductions
from crm.intake.answers import CORRECTED, answers_of, in_words
from crm.intake.forms import PAGES, applies
from crm.intake.models import Answer, Arrangements, Introduction, Request
from crm.intake.services import opened_arrangements
from crm.links.models import Link, Purpose
from crm.links.services import issue
from crm.outbox.models import Message
from crm.outbox.services import carry_instead, queue
from crm.permissions.models import Consent, How, Permission
from crm.permissions.services import withdraw_consent
from crm.portal.conversation import thread
from crm.portal.models import About, Correction, PersonMessage
from crm.portal.rules import Standing, standing
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.referrals.services import is_asked, take, withdraw_permission
from crm.reminders.models import FollowUp, State
from crm.reminders.services import plan_by_rule, plan_once
from crm.talks.models import Talk
from crm.talks.services import ask_to_be_called
from crm.texts import label, text
from crm.timeline.models import Event
from crm.timeline.services import record

MAIL = "people"  # the kind of mail that people of the team choose about


def case_of(link: Link, *, lock: bool = False) -> Case | None:
    """The file a link opens, with its person and project. `lock` holds the row, so that two presses follow each other."""
    statement = select(Case).where(Case.id == link.object_id)
    if lock:
        return db.session.scalar(statement.with_for_update())
    return db.session.scalar(
        statement.options(joinedload(Case.contact), joinedload(Case.project), joinedload(Case.owner))
    )


def referrals_of(case: Case) -> Sequence[Referral]:
    """Every referral of the file with its body and permission, the newest first: those not sent yet say that nothing left."""
    return db.session.scalars(
        select(Referral)
        .where(Referral.case_id == case.id)
        .options(joinedload(Referral.body), joinedload(Referral.permission))
        .order_by(Referral.id.desc())
    ).all()


def consents_of(case: Case, *, withdrawn: bool = False) -> Sequence[Consent]:
    """What the person agreed to and still does; with `withdrawn`, what they took back too."""
    given = select(Consent).where(Consent.case_id == case.id).order_by(Consent.id)
    return db.session.scalars(given if withdrawn else given.where(Consent.withdrawn_at.is_(None))).all()


def talks_of(case: Case) -> Sequence[Talk]:
    """Every talk of the file, whatever came of it."""
    return db.session.scalars(select(Talk).where(Talk.case_id == case.id).order_by(Talk.starts_at)).all()


def answers_in_words(case: Case) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every answer as the file has it now, by page of questions: (page, pairs of question and answer)."""
    found = []
    for code in CORRECTED:
        now = answers_of(case, code)
        asked = [name for name in PAGES[code].questions() if name in now and applies(name, now)]
        found.append(
            (code, [(text(f"intake.question.{name}.label"), in_words(code, name, now[name])) for name in asked])
        )
    return found


def standing_of(case: Case, talks: Sequence[Talk], referrals: Sequence[Referral], language: str) -> Standing:
    """Whose turn it is."""
    holder = turns.now_on(case, clock.now()).turn
    if holder is Holder.TALK and not talks:
        holder = Holder.TEAM
    return standing(
        holder,
        case.stage,
        reply_owed=turns.unanswered(case) is not None,
        waiting_on=[one.body.short(language) for one in referrals if one.status is Status.SENT],
    )


def write(case: Case, body: str, form_key: str, *, mailed_from: str = "") -> None:
    """The person writes to the team, on their page or by mail from an address: their adviser, or the duty person, has until the next business
    day to answer.

    Raises IntegrityError when this very form was received before.
    """
    message = PersonMessage(case_id=case.id, form_key=form_key, about=About.MESSAGE, body=body, sent_at=clock.now())
    db.session.add(message)
    db.session.flush()
    if mailed_from:
        record("person.mailed", case_id=case.id, actor=by(None), detail={"body": body, "from": mailed_from})
    else:
        record("person.message", case_id=case.id, actor=by(None), detail={"body": body})
    goes_on = db.session.get_one(Case, case.merged_into_id) if case.merged_into_id else case
    if goes_on.stage is not Stage.CLOSED:
        plan_once(goes_on, "answer_person", add_business_days(clock.today(), 1))
        tell_team("portal.written", goes_on, f"person-message:{message.id}")
    else:
        tell_team("portal.written_closed", goes_on, f"person-message:{message.id}")


def add_documents(case: Case, checked: Sequence[Checked]) -> list[FileRefusedError]:
    """Keep the person's documents with their file, and tell their adviser; those for which there is no room come back."""
    refused, kept = [], []
    for one in checked:
        try:
            kept.append(documents.add(case, one, None))
        except FileRefusedError as error:
            refused.append(error)
    if kept:
        plan_once(case, "answer_person", add_business_days(clock.today(), 1))
        tell_team("portal.documents", case, f"documents:{kept[0].id}")
    return refused


def was_written(sent: str, body: str) -> bool:
    """Whether a form with this key was received before."""
    return db.session.scalar(select(PersonMessage.id).where(PersonMessage.form_key == key_of(sent, body))) is not None


def open_introduction(case: Case) -> Introduction | None:
    """The question that a partner's introduction asks the person, while it is unanswered."""
    found = introductions.of_case(case)
    return found if found is not None and found.answer is None and found.destroyed_at is None else None


def answer_introduction(case: Case, answer: Answer) -> bool:
    """The person says whether we may contact them; the team hears of a yes. False when it was answered before."""
    found = open_introduction(case)
    if found is None or not introductions.answered(found, answer, None):
        return False
    if answer is Answer.YES:
        tell_team("portal.introduction_yes", case, f"case:{case.id}:introduction-yes")
    return True


def call(case: Case) -> None:
    """The person prefers to be called: planned for the next business day, and told, once until it is done."""
    if ask_to_be_called(case):
        tell_team("portal.call_asked", case, f"case:{case.id}:call:{clock.now().isoformat()}")


def call_planned(case: Case) -> date | None:
    """By when the person is to be called, as they asked; None when they did not, or it is done."""
    theirs = (FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == "call_person")
    return db.session.scalar(select(func.min(FollowUp.due_on)).where(*theirs))


def _reader(case: Case) -> Staff | None:
    """Who hears of the person: the owner while they work here, otherwise the duty person."""
    return case.owner if case.owner is not None and case.owner.active else duty_person()


def tell_team(kind: str, case: Case, key: str) -> None:
    """Mail to whoever hears of the person: the owner, or the duty person."""
    to = _reader(case)
    if to is None or not wants_at_once(to, MAIL):
        return
    queue(
        kind,
        dedupe_key=key,
        to=(to.email, to.name),
        language=to.language,
        values={
            "name": to.name,
            "reference": case.reference,
            "address_of_file": address_of_file(case),
        },
        case_id=case.id,
        subject_ids={"staff": to.id},
        staff_id=to.id,
    )


def may_still_read(message: Message) -> bool:
    """Whether the colleague a mail is for still works here and may see the file, asked just before it leaves."""
    staff = db.session.get(Staff, message.subject_ids["staff"])
    return staff is not None and staff.active and message.case_id is not None and may_see(staff, message.case_id)


def take_permission_back(case: Case, number: int) -> bool:
    """A permission stops at once: its link dies, the body is told today, and the adviser gets a next step."""
    permission = db.session.scalar(
        select(Permission)
        .where(Permission.id == number, Permission.case_id == case.id)
        .options(joinedload(Permission.body))
    )
    if permission is None:
        return False
    if permission.withdrawn_at is not None:
        return True
    withdraw_permission(permission, case, None)
    if case.stage is not Stage.CLOSED:
        lang = case.owner.language if case.owner else "fr"
        plan_by_rule(case, "permission_back", add_business_days(clock.today(), 1), about=permission.body.short(lang))
    return True


def answer_question(case: Case, number: int, answered: str, language: str) -> bool:
    """The person says yes, no or "I do it myself" to a question of their page, in a language; False when it is no question any more."""
    referral = db.session.scalar(select(Referral).where(Referral.id == number, Referral.case_id == case.id))
    if referral is None or not is_asked(referral):
        return False
    take(referral, case, answered, how=How.PAGE, lang=language)
    return True


def take_consent_back(case: Case, number: int) -> bool:
    """A choice is unticked; False when it is no choice of this file."""
    given = db.session.scalar(select(Consent).where(Consent.id == number, Consent.case_id == case.id))
    if given is not None:
        withdraw_consent(given, case)
    return given is not None


def withdraw_request(case: Case) -> None:
    """The person takes the request back: the file closes, what was planned and shared stops. Twice does nothing more."""
    if case.merged_into_id is not None:
        raise RefusedError(text("portal.page.joined"))
    if case.stage is Stage.CLOSED:
        return
    with speaking(case.owner.language if case.owner else "fr"):
        reason = label("cases.closing_reason", ClosingReason.WITHDRAWN)
    for permission in _live_permissions(case):
        withdraw_permission(permission, case, None)
    advance(case, Stage.CLOSED, None, reason=reason, closing_reason=ClosingReason.WITHDRAWN, person_told="told")
    tell_team("portal.request_withdrawn", case, f"case:{case.id}:withdrawn:{case.stage_since.isoformat()}")


def _live_permissions(case: Case) -> list[Permission]:
    """What the person allowed and did not take back: with the request, it stops too, also where a body had accepted."""
    theirs = select(Permission).where(Permission.case_id == case.id, Permission.withdrawn_at.is_(None))
    return list(db.session.scalars(theirs.options(joinedload(Permission.body))))


# --- a copy ----------------------------------------------------------------------------------------------------------


def news_of(case: Case) -> list[dict[str, Any]]:
    """What the person said became of the project, each time they were asked after the file closed."""
    said = select(Event).where(Event.case_id == case.id, Event.kind == "survey.answered").order_by(Event.id)
    return [
        {"at": one.at.isoformat(), **one.codes, "note": (one.detail.values if one.detail else {}).get("note", "")}
        for one in db.session.scalars(said)
    ]


def copy_of(case: Case) -> dict[str, Any]:
    """What was collected from the person and what was done with it, to keep or to take elsewhere (P-39.1, s. 27).

    Notes of the team are not in it: they are asked for as an access request.
    """
    contact, project = case.contact, case.project
    family = or_(Case.id == case.id, Case.merged_into_id == case.id)
    requests = db.session.scalars(select(Request).join(Request.case).where(family).order_by(Request.id)).all()
    request = next((one for one in requests if one.case_id == case.id), None)
    needs = db.session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == case.id).order_by(CaseNeed.need))
    permissions = db.session.scalars(
        select(Permission)
        .where(Permission.case_id == case.id)
        .options(joinedload(Permission.body))
        .order_by(Permission.id)
    )
    sealed = select(Arrangements.sealed).where(Arrangements.case_id == case.id)
    return {
        "reference": case.reference,
        "received_at": case.received_at.isoformat(),
        "stage": case.stage,
        "person": {
            "name": contact.name,
            "role": contact.role,
            "language": contact.language,
            "mode": contact.mode,
            "email": contact.email,
            "phone": contact.phone,
            "phone_extension": contact.phone_extension,
            "availability": contact.availability or [],
        },
        "project": {
            "name": project.name,
            "description": project.description,
            "sector": project.sector_other or project.sector,
            "stage": project.stage,
            "legal_form": project.legal_form,
            "neq": project.neq,
            "region": project.region,
            "locality": project.locality,
            "needs": list(needs),
        },
        "answers_as_sent": request.answers if request else {},
        "answers_of_joined_requests": [one.answers for one in requests if one.case_id != case.id],
        "arrangements": opened_arrangements(case, db.session.scalar(sealed)),
        "notice": {"version": request.notice_version, "language": request.page_language} if request else {},
        "consents": [
            {
                "purpose": one.purpose,
                "text": one.text_shown,
                "given_at": one.given_at.isoformat(),
                "withdrawn_at": _iso(one),
            }
            for one in db.session.scalars(select(Consent).where(Consent.case_id == case.id).order_by(Consent.id))
        ],
        "news": news_of(case),
        "permissions": [
            {
                "organization": one.body.name(case.language),
                "text": one.text_shown,
                "given_at": one.given_at.isoformat(),
                "expires_on": one.expires_on.isoformat(),
                "withdrawn_at": _iso(one),
            }
            for one in permissions
        ],
        "shared": [
            {"organization": one.body.name(case.language), "sent_at": one.sent_at.isoformat(), "what": one.shared}
            for one in referrals_of(case)
            if one.sent_at
        ],
        "talks": [
            {"starts_at": one.starts_at.isoformat(), "minutes": one.minutes, "mode": one.mode, "state": one.state}
            for one in talks_of(case)
        ],
        "corrections": [
            {"changes": one.changes, "sent_at": one.sent_at.isoformat(), "state": one.state, "reason": one.reason}
            for one in db.session.scalars(
                select(Correction).where(Correction.case_id == case.id).order_by(Correction.id)
            )
        ],
        "documents": [
            {"name": one.name, "bytes": one.size, "sha256": one.sha256, "added_at": one.added_at.isoformat()}
            for one in files.of_case(case.id)
        ],
        "messages": [
            {"from": one.author or case.contact.name, "body": one.body, "sent_at": one.sent_at.isoformat()}
            for one in thread(case, most=None)
        ],
    }


def _iso(one: Consent | Permission) -> str | None:
    return one.withdrawn_at.isoformat() if one.withdrawn_at else None


# --- the link itself -------------------------------------------------------------------------------------------------


def files_of(email: str) -> Select[Case]:
    """The files of somebody with this address.

    It is looked for whatever its capitals, by the key that files are compared under; one that was not compared yet, as typed, in lower
    case, and with the capital that telephones put: indexes serve both.
    """
    compared = select(MatchKey.case_id).where(MatchKey.key == email_key(email))
    written = select(Case.id).join(Contact).where(Contact.email.in_({email, email.lower(), email.lower().capitalize()}))
    return (
        select(Case)
        .join(Contact)
        .where(Case.id.in_(compared.union(written)), func.lower(Contact.email) == email.lower())
    )


def send_link_again(email: str) -> None:
    """Mail the link of each open file of this address, and say nothing of whether there is one."""
    mine = files_of(email)
    recent = mine.where(Case.quarantined.is_(False), Case.stage != Stage.CLOSED).order_by(Case.received_at.desc())
    for case in db.session.scalars(recent.limit(5).options(joinedload(Case.contact))):
        mail_link(case, link_of(case), "portal.link")


def mail_link(case: Case, link: Link, kind: str) -> None:
    """Mail the link to the person's page to the address on file."""
    queue(
        kind,
        dedupe_key=f"case-link:{link.id}:{clock.now().isoformat(timespec='minutes')}",
        to=(case.contact.email, case.contact.name),
        language=case.language,
        values={
            "name": case.contact.name,
            "reference": case.reference,
            "address_of_page": address_of_page(case.language),
        },
        case_id=case.id,
        link=link,
    )


def new_link(case: Case, actor: Staff) -> Link:
    """Staff issue another link: earlier ones stop working. It is mailed when there is an address."""
    if case.stage is Stage.CLOSED and case.closed_at and case.closed_at < clock.now() - timedelta(days=DAYS):
        raise RefusedError(text("cases.refusal.closed_file"))
    if case.quarantined:
        raise RefusedError(text("cases.refusal.quarantined"))
    link = issue(Purpose.CASE, case.id, days=DAYS)
    carry_instead(link, to=case.contact.email)
    record("person.link_issued", case_id=case.id, actor=by(actor))
    if case.contact.email:
        mail_link(case, link, "portal.link")
    return link


def new_form_key() -> str:
    """A key for a blank message form."""
    return secrets.token_urlsafe(16)


def key_of(sent: str, body: str) -> str:
    """The database key of a form and its text: another text is another message. One without a key is its own each time."""
    return forms.key_of(f"{sent or new_form_key()} {body}")
