"""Referring a file to a body: permission first, then exactly the fields it allows, then the body's answer."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy import text as sql
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days, next_business_day
from crm.cases import pipeline
from crm.cases.merging import move_rows, return_rows
from crm.cases.models import Case
from crm.cases.pipeline import Move, Refusal
from crm.cases.queries import needs as needs_of
from crm.cases.turns import held_by_another
from crm.cases.vocabulary import Stage
from crm.config import LANGUAGES
from crm.db import db, repoint
from crm.errors import RefusedError
from crm.i18n import format_date, format_phone, language, speaking
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.outbox.services import never_tried, programme_values, queue, settings
from crm.partners.models import Body, Person, Programme
from crm.partners.vocabulary import BodyKind
from crm.permissions import services as permissions
from crm.permissions.models import How, Permission
from crm.referrals.models import Referral
from crm.referrals.outcomes import (
    REFERRED,
    UNSETTLED,
    Action,
    Actor,
    EndedBy,
    Status,
    after,
)
from crm.referrals.queries import was_for_another
from crm.reminders.plans import in_force
from crm.reminders.services import (
    keep_from_being_forgotten,
    plan_by_rule,
    plan_once,
    rename_about,
    set_rule_date,
    settle,
)
from crm.texts import fill, label, pair, text, told
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM, record

LINK_DAYS = 30
PATH = {"fr": "fr/mise-en-relation", "en": "en/referral"}
PATH_OF_LIST = {"fr": "fr/organisme", "en": "en/organization"}
# Business days after which somebody looks whether the person answered, or reached the body.
ASKED_DAYS, ALONE_DAYS = 5, 10
FIELDS = (
    "name",
    "email",
    "phone",
    "project_name",
    "description",
    "summary",
    "sector",
    "project_stage",
    "legal_form",
    "territory",
    "needs",
)
MAY_REFER_FROM = frozenset(
    {Stage.DISCOVERY, Stage.PLANNING, Stage.REFERRED, Stage.ASSISTANCE, Stage.FINANCING, Stage.LAUNCHED}
)


WAITS_FOR_AN_ANSWER = ("check_answer", "call_body")


def refused(key: str, **values: str) -> RefusedError:
    return RefusedError(text(f"referrals.refusal.{key}", **values))


def values_now(case: Case, fields: Sequence[str]) -> list[dict[str, str]]:
    """What would be shared now: each field's value in both languages; empty values are left out."""
    contact, project = case.contact, case.project
    found = []
    for field in FIELDS:
        if field not in fields:
            continue
        both = {}
        for lang in LANGUAGES:
            with speaking(lang):
                match field:
                    case "name":
                        value = contact.name
                    case "email":
                        value = contact.email
                    case "phone":
                        value = format_phone(contact.phone, contact.phone_extension)
                    case "project_name":
                        value = project.name
                    case "description":
                        value = project.description
                    case "summary":
                        value = project.summary
                    case "sector":
                        value = project.sector_other or told("cases.sector", project.sector)
                    case "project_stage":
                        value = label("cases.project_stage", project.stage)
                    case "legal_form":
                        value = label("cases.legal_form", project.legal_form)
                    case "territory":
                        borough = label("cases.locality", project.locality) if project.locality else ""
                        value = ", ".join(part for part in (label("cases.region", project.region), borough) if part)
                    case "needs":
                        value = "; ".join(told("cases.need", need) for need in needs_of(case))
                    case _:
                        raise ValueError(field)
            both[lang] = value
        if both["fr"]:
            found.append({"field": field, **both})
    return found


def about(case: Case, body: Body) -> str:
    """What a step planned about a body is told apart by: its name, in the language of who does it."""
    return body.short(case.owner.language if case.owner else "fr")


def names_of(body: Body) -> list[str]:
    """What `about` may have been, whoever the step was for: steps about a body are settled by these."""
    return [body.short(lang) for lang in LANGUAGES]


def in_order(fields: Sequence[str]) -> list[str]:
    """Fields that may be shared, in the order in which they are always told."""
    return [field for field in FIELDS if field in fields]


def prepare(
    case: Case,
    body: Body,
    *,
    purpose: str,
    fields: Sequence[str],
    how: How | None,
    expires_on: date,
    actor: Staff,
    programme: Programme | None = None,
) -> Referral:
    """Record the person's permission naming this body and make a referral ready to be sent; nothing leaves yet.

    With `how` None the person prefers to contact the body: nothing is shared, and the loop is still followed.
    """
    if case.stage not in MAY_REFER_FROM:
        raise refused("closed")
    _check_not_twice(case, body, purpose)
    permission = None
    if how is not None:
        permission = permissions.give(
            case,
            body,
            purpose=purpose,
            fields=in_order(fields),
            how=how,
            language=case.language,
            expires_on=expires_on,
            recorded_by=actor,
        )
    referral = _new(case, body, purpose, Status.READY if permission else Status.SELF, actor)
    referral.permission_id = permission.id if permission else None
    referral.programme_id = programme.id if programme else None
    _begin(referral, "prepared" if permission else "self", case, body, actor)
    if permission is None:
        _ask_later_whether_it_worked(case, body)
    return referral


def ask_permission(
    case: Case,
    body: Body,
    *,
    purpose: str,
    fields: Sequence[str],
    expires_on: date,
    actor: Staff,
    sends_itself: bool = False,
    programme: Programme | None = None,
) -> Referral:
    """Ask the person, by mail and on their page, whether these fields may be shared with this body. Nothing leaves before they say yes;
    with `sends_itself` it leaves then. The adviser gets a step for the day by which an answer is looked for.
    """
    if case.stage not in MAY_REFER_FROM:
        raise refused("closed")
    if not case.contact.email:
        raise refused("no_email")
    _check_not_twice(case, body, purpose)
    if sends_itself and not body.contact_email:
        raise refused("no_contact")
    referral = _new(case, body, purpose, Status.CONSENT_PENDING, actor)
    referral.programme_id = programme.id if programme else None
    referral.asked_at = clock.now()
    referral.asked_fields = in_order(fields)
    referral.asked_until = expires_on
    referral.sends_itself = sends_itself
    _begin(referral, "permission_asked", case, body, actor)
    _mail_the_question(referral, case, body)
    plan_by_rule(case, "check_permission", add_business_days(clock.today(), ASKED_DAYS), about=about(case, body))
    return referral


def _check_not_twice(case: Case, body: Body, purpose: str) -> None:
    """A button pressed twice prepares one referral, and asks once."""
    same = Referral.case_id == case.id, Referral.body_id == body.id, Referral.purpose == purpose
    waits = Referral.status.in_((Status.CONSENT_PENDING, Status.READY))
    if db.session.scalar(select(Referral.id).where(*same, waits).limit(1)) is not None:
        raise refused("prepared_before", body=body.short(language()))


def _new(case: Case, body: Body, purpose: str, status: Status, actor: Staff) -> Referral:
    return Referral(
        case_id=case.id,
        body_id=body.id,
        status=status,
        purpose=purpose,
        shared=[],
        created_by_id=actor.id,
        created_at=clock.now(),
        sends_itself=False,
        answer_note="",
    )


def _begin(referral: Referral, what: str, case: Case, body: Body, actor: Staff) -> None:
    db.session.add(referral)
    db.session.flush()  # its id is in the event and the address
    tell(what, case, referral, body, by(actor))


def _mail_the_question(referral: Referral, case: Case, body: Body) -> None:
    assert referral.asked_until is not None  # noqa: S101 - it was asked
    lang = case.language
    days = min(LINK_DAYS, max((referral.asked_until - clock.today()).days, 1))
    link = links.issue(Purpose.ALLOW, referral.id, days=days)
    queue(
        "referrals.permission",
        dedupe_key=f"referral:{referral.id}:permission:{link.id}",
        to=(case.contact.email, case.contact.name),
        language=lang,
        values={
            "name": case.contact.name,
            "body": body.name(lang),
            "reference": case.reference,
            "question": question_of(referral, body, lang),
            "address_of_link": f"{settings().base_url}/{lang}/permission/{links.PLACE}",
            "until": format_date(clock.today() + timedelta(days=days), lang),
        },
        case_id=case.id,
        link=link,
        subject_ids={"referral": referral.id},
    )


def ask_anew(case: Case) -> None:
    """The person has another address: the links of questions that wait die, and each is asked anew there, where there is one."""
    waiting = select(Referral).where(Referral.case_id == case.id, Referral.status == Status.CONSENT_PENDING)
    for referral in db.session.scalars(waiting.options(joinedload(Referral.body)).order_by(Referral.id)):
        links.revoke(Purpose.ALLOW, referral.id)
        if case.contact.email and referral.asked_until is not None and referral.asked_until >= clock.today():
            _mail_the_question(referral, case, referral.body)


def is_asked(referral: Referral) -> bool:
    """Whether the person is being asked about a referral now: it waits for them, its date has not passed and their file is open."""
    return (
        referral.status is Status.CONSENT_PENDING
        and referral.asked_until is not None
        and referral.asked_until >= clock.today()
        and referral.case.stage is not Stage.CLOSED
    )


def question_of(referral: Referral, body: Body, lang: str) -> str:
    """The exact text by which the person is asked, in a language: what they allow by saying yes."""
    assert referral.asked_until is not None  # noqa: S101 - it was asked
    return permissions.wording(
        "shown",
        language=lang,
        body=body,
        purpose=referral.purpose,
        fields=referral.asked_fields or [],
        expires_on=referral.asked_until,
    )


def allow(referral: Referral, case: Case, *, how: How, language: str, actor: Staff | None) -> None:
    """The person says yes to what was asked, in a language: the permission is recorded. It leaves at once where that was
    asked for and can be; otherwise the adviser gets a step to send it.
    """
    check_may(referral, Action.ALLOW, Actor.STAFF if actor else Actor.PERSON)
    if referral.asked_until is None or referral.asked_until < clock.today():
        raise refused("asked_too_late")
    body = referral.body
    permission = permissions.give(
        case,
        body,
        purpose=referral.purpose,
        fields=referral.asked_fields or [],
        how=how,
        language=language,
        expires_on=referral.asked_until,
        recorded_by=actor,
    )
    referral.permission_id = permission.id
    set_status(referral, Action.ALLOW, Actor.STAFF if actor else Actor.PERSON)
    tell("allowed_for" if actor else "allowed", case, referral, body, by(actor))
    _asked_no_longer(referral, case)
    db.session.flush()
    db.session.refresh(referral, ["permission"])
    if referral.sends_itself:
        try:
            send(referral, case, None)
        except RefusedError:  # a person sees to it
            pass
        else:
            return
    if case.stage is not Stage.CLOSED:
        plan_by_rule(case, "permission_given", add_business_days(clock.today(), 1), about=about(case, body))


def refuse(referral: Referral, case: Case, actor: Staff | None) -> None:
    """The person says no to what was asked: nothing leaves, and the adviser gets a step."""
    _said_no(referral, case, actor, Action.REFUSE, "refused_for" if actor else "refused")
    referral.declined_by = EndedBy.PERSON


def go_alone(referral: Referral, case: Case, actor: Staff | None) -> None:
    """The person prefers to contact the body: nothing is shared, and the loop is still followed."""
    if case.stage is not Stage.CLOSED:
        _ask_later_whether_it_worked(case, referral.body)
    _said_no(referral, case, actor, Action.GO_ALONE, "self" if actor else "goes_alone")


def take(referral: Referral, case: Case, answered: str, *, how: How, lang: str) -> None:
    """What the person pressed; anything else than their three buttons does nothing. Raises RefusedError when it was answered before."""
    match answered:
        case "yes":
            allow(referral, case, how=how, language=lang, actor=None)
        case "no":
            refuse(referral, case, None)
        case "self":
            go_alone(referral, case, None)


def _said_no(referral: Referral, case: Case, actor: Staff | None, action: Action, told: str) -> None:
    set_status(referral, action, Actor.STAFF if actor else Actor.PERSON)
    tell(told, case, referral, referral.body, by(actor))
    _asked_no_longer(referral, case)
    if case.stage is not Stage.CLOSED and actor is None:
        plan_by_rule(case, "permission_no", add_business_days(clock.today(), 1), about=about(case, referral.body))
    keep_from_being_forgotten(case)


def _asked_no_longer(referral: Referral, case: Case) -> None:
    settle(case, ("check_permission",), names_of(referral.body))


def _ask_later_whether_it_worked(case: Case, body: Body) -> None:
    plan_by_rule(case, "self_check", add_business_days(clock.today(), ALONE_DAYS), about=about(case, body))


def _what_leaves(referral: Referral, case: Case) -> list[dict[str, str]]:
    """What a referral that is ready would share now. Raises RefusedError when it cannot leave."""
    body, permission = referral.body, referral.permission
    if case.stage not in MAY_REFER_FROM:
        raise refused("closed")
    if permission is None or not permissions.live(permission):
        raise refused("no_permission")
    if not body.contact_email or not body.active:
        raise refused("no_contact")
    values = values_now(case, permission.fields)
    if not values:
        raise refused("nothing_to_share")
    return values


def send(referral: Referral, case: Case, actor: Staff | None) -> None:
    """Freeze the allowed fields, and write the body's contact with a link; all in one transaction. Without `actor` it leaves because the
    person said yes. Raises RefusedError, and has changed nothing then, when it cannot leave.
    """
    shared = _what_leaves(referral, case)
    body = referral.body
    set_status(referral, Action.SEND, Actor.STAFF if actor else Actor.PROGRAM)
    referral.shared = shared
    referral.sent_at = referral.waits_since = clock.now()
    _invite(referral, case)
    tell("sent" if actor else "sent_itself", case, referral, body, by(actor) if actor else SYSTEM)
    settle(case, ("permission_given",), names_of(body), actor)
    waits_for_the_body(referral, case)
    keep_from_being_forgotten(case)


def _invite(referral: Referral, case: Case) -> None:
    """Write to who receives what the body is sent, with a link of their own."""
    body, permission = referral.body, referral.permission
    assert permission is not None  # noqa: S101 - it was sent on its strength
    until = min(clock.today() + timedelta(days=LINK_DAYS), permission.expires_on)
    link = links.issue(Purpose.REFERRAL, referral.id, days=max((until - clock.today()).days, 1))
    lang = body.contact_language
    queue(
        "referrals.invitation",
        dedupe_key=f"referral:{referral.id}:invitation:{link.id}",
        to=(body.contact_email, body.contact_name),
        language=lang,
        values={
            "name": body.contact_name,
            "body": body.short(lang),
            "reference": case.reference,
            "purpose": referral.purpose,
            "address_of_link": address_of_referral(lang),
            "until": format_date(until, lang),
            "organisation_sentence": organisation_sentence(lang),
        },
        case_id=case.id,
        link=link,
        subject_ids={"referral": referral.id},
    )


def link_to(referral: Referral, *, at_least: int) -> Link:
    """A link to a referral for who receives what its body is sent now: that of an earlier person is not given to another. It lives as long
    as the permission, for thirty days at most; one that lives for `at_least` days more serves again.
    """
    assert referral.permission is not None  # noqa: S101 - what a body may read rests on one
    days = min(LINK_DAYS, max((referral.permission.expires_on - clock.today()).days, 1))
    link = links.live(Purpose.REFERRAL, referral.id, at_least=min(at_least, days - 1))
    if link is None or was_for_another(link, referral.body):
        link = links.issue(Purpose.REFERRAL, referral.id, days=days, replacing=False)
    return link


def link_of_person(person: Person) -> Link:
    """The link of somebody at a body to all that waits for it."""
    return links.standing(Purpose.BODY, person.id, days=LINK_DAYS, at_least=LINK_DAYS // 2)


def organisation_sentence(lang: str) -> str:
    """For whom what a body receives is sent."""
    return fill(pair("referrals.link.organisation_sentence")[lang], programme_values(lang))


def address_of_referral(lang: str, place: str = links.PLACE) -> str:
    """The address by which a body opens a referral; the token is put in its place while sending."""
    return f"{settings().base_url}/{PATH[lang]}/{place}"


def address_of_list(lang: str, place: str = links.PLACE) -> str:
    """The address of all that waits for a body; the token is put in its place while sending."""
    return f"{settings().base_url}/{PATH_OF_LIST[lang]}/{place}"


def of_body(body: Body, number: int) -> Referral | None:
    """A referral of a body's list by its number; None for any other."""
    return db.session.scalar(
        select(Referral)
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.id == number, Referral.body_id == body.id, Case.restricted.is_(False))
    )


def send_list_again(body: Body, person: Person) -> None:
    """Mail a new link to all that waits to the person at a body whose link's days are over."""
    link = link_of_person(person)
    lang = person.language
    queue(
        "referrals.list",
        dedupe_key=f"body:{body.id}:list:{person.id}:{clock.now().isoformat()}",
        to=(person.email, person.name),
        language=lang,
        values={
            "name": person.name,
            "body": body.short(lang),
            "address_of_link": address_of_list(lang),
            "until": format_date(clock.today() + timedelta(days=LINK_DAYS), lang),
            "organisation_sentence": organisation_sentence(lang),
        },
        link=link,
        subject_ids={"body": body.id, "person": person.id},
    )


def still_theirs(message: Message) -> bool:
    """Whether a link to all that waits is still for who it is addressed to."""
    body = db.session.get(Body, message.subject_ids["body"])
    if body is None or not body.active:
        return False
    # A message of before each person had a link of their own names nobody: it was for who received everything.
    person = db.session.get(Person, message.subject_ids.get("person", body.main_id or 0))
    if person is None or person.left_at is not None or person.body_id != body.id:
        return False
    return (person.receives or body.main_id == person.id) and person.email == message.to_address


def note_seen(referral: Referral) -> None:
    """The body pressed Continue: a date, once, not a status."""
    if referral.seen_at is None:
        referral.seen_at = clock.now()
        tell("seen", referral.case, referral, referral.body, (ActorKind.BODY, referral.body_id))


def no_longer_awaited(referral: Referral, case: Case) -> None:
    """Checking for an answer, or calling for one, is done: that of this body, and the plan's own when none is awaited any more."""
    names = names_of(referral.body)
    others = select(Referral.id).where(
        Referral.case_id == case.id, Referral.status == Status.SENT, Referral.id != referral.id
    )
    if db.session.scalar(others.limit(1)) is None:
        names.append("")
    settle(case, WAITS_FOR_AN_ANSWER, names)
    settle(case, ("no_answer", "body_asks"), names[: len(LANGUAGES)])


def waits_for_the_body(referral: Referral, case: Case) -> None:
    """A body has the next word: its answer is checked for in due time, where the file waits for answers."""
    if case.stage is Stage.REFERRED and (due_on := _check_by(referral, case)) is not None:
        plan_by_rule(case, "check_answer", due_on, about=about(case, referral.body))


def _check_by(referral: Referral, case: Case) -> date | None:
    """By when a body's answer is checked: the delay it promises or, of one that promises none, what the plan says; None when the plan says nothing."""
    sent_on = clock.local_date(referral.waits_since) if referral.waits_since else clock.today()
    if (days := referral.body.answer_days) is not None:
        return max(add_business_days(sent_on, days), next_business_day(clock.today()))
    steps = (step for step in in_force() if step.stage is Stage.REFERRED and step.rule == "check_answer")
    return next((step.due(sent_on, reply_due_on=case.reply_due_on, return_on=None) for step in steps), None)


def withdraw(referral: Referral, case: Case, actor: Staff | None, *, by_whom: EndedBy | None = None) -> None:
    """Take a referral back: its link dies with this transaction, and a body that received it is told the same day. `by_whom` says whose
    wish it was when a colleague writes it down.
    """
    set_status(referral, Action.WITHDRAW, Actor.STAFF if actor else Actor.PERSON)
    referral.declined_by = by_whom or (EndedBy.STAFF if actor else EndedBy.PERSON)
    _end("referrals.withdrawn", referral, case)
    keep_from_being_forgotten(case)
    tell("withdrawn", case, referral, referral.body, by(actor))


def expire(referral: Referral, case: Case, *, tells: bool = True) -> None:
    """The permission came to its end: the same as taking it back, and the adviser gets a step. What a body had taken on goes on, without
    its link.
    """
    if after(referral.status, Action.EXPIRE, Actor.PROGRAM) is not None:
        set_status(referral, Action.EXPIRE, Actor.PROGRAM)
        referral.declined_by = EndedBy.TIME
    _end("referrals.expired", referral, case, tells=tells)
    tell("expired", case, referral, referral.body, SYSTEM)
    if case.stage is not Stage.CLOSED:
        plan_by_rule(case, "permission_over", next_business_day(clock.today()), about=about(case, referral.body))
    keep_from_being_forgotten(case)


def _end(kind: str, referral: Referral, case: Case, *, tells: bool = True) -> None:
    """What rested on a permission ends: the links die, nothing is awaited, and a body that was written to is told by a message of a kind."""
    was_sent = referral.sent_at is not None
    links.revoke(Purpose.REFERRAL, referral.id)
    links.revoke(Purpose.ALLOW, referral.id)
    names = names_of(referral.body)
    settle(case, ("check_permission", "permission_given", "no_answer", "body_asks"), names)
    if was_sent and case.stage is not Stage.CLOSED:
        no_longer_awaited(referral, case)
    body = referral.body
    if tells and was_sent and body.contact_email:
        lang = body.contact_language
        queue(
            kind,
            dedupe_key=f"referral:{referral.id}:{kind.removeprefix('referrals.')}",
            to=(body.contact_email, body.contact_name),
            language=lang,
            values={
                "name": body.contact_name,
                "reference": case.reference,
                "organisation_sentence": organisation_sentence(lang),
            },
            case_id=case.id,
            subject_ids={"referral": referral.id},
        )


def withdraw_permission(permission: Permission, case: Case, actor: Staff | None) -> None:
    """The person takes a permission back: everything that rests on it stops at once."""
    if not permissions.withdraw(permission, case, actor):
        return
    resting = db.session.scalars(select(Referral).where(Referral.permission_id == permission.id))
    for referral in resting:
        if after(referral.status, Action.WITHDRAW, Actor.STAFF) is not None:
            withdraw(referral, case, actor, by_whom=EndedBy.PERSON)
        else:
            links.revoke(Purpose.REFERRAL, referral.id)


def lock(referral: Referral) -> Case:
    """The file of a referral and the referral itself, held until the transaction ends, as they are now: the file first, as every other verb
    does, for whose turn it is follows from all of them.
    """
    db.session.scalar(select(Case.id).where(Case.id == referral.case_id).with_for_update(key_share=True))
    db.session.refresh(referral, with_for_update={"of": Referral})
    return referral.case


def check_may(referral: Referral, action: Action, actor: Actor) -> Status:
    """What an action of somebody would make of a referral now. Raises RefusedError, with its reason, when it may not be."""
    to = after(referral.status, action, actor)
    if to is None:
        status = label("referrals.status", referral.status)
        raise (
            refused("already_answered", status=status)
            if actor is Actor.BODY
            else refused("wrong_status", status=status)
        )
    return to


def set_status(referral: Referral, action: Action, actor: Actor) -> None:
    """The one place that writes a referral's status after its making. Raises RefusedError for what this actor may not do now."""
    referral.status = check_may(referral, action, actor)


def tell(
    what: str,
    case: Case,
    referral: Referral,
    body: Body,
    actor: tuple[ActorKind, int | None],
    *,
    codes: dict[str, str] | None = None,
    note: str = "",
) -> None:
    record(
        f"referral.{what}",
        case_id=case.id,
        actor=actor,
        codes={"referral": referral.id, "body": body.id, **(codes or {})},
        detail={"body_name": body.short(case.language)} | ({"note": note} if note else {}),
    )


def guard(case: Case, move: Move) -> list[Refusal]:
    """What referrals ask before a move: a sent one before "referred", an accepted one before assistance, none open at
    closing unless the closing settles everything by itself.
    """
    if move.to is Stage.REFERRED and move.origin is Stage.PLANNING and not _count(case, REFERRED):
        return [Refusal("needs_referral", feature="referrals")]
    if move.to is Stage.ASSISTANCE and move.origin is Stage.REFERRED and not _assistance_accepted(case):
        return [Refusal("needs_acceptance", feature="referrals")]
    if move.to is Stage.CLOSED and move.closing_reason not in pipeline.SETTLING:
        count = _count(case, UNSETTLED)
        return [Refusal("unsettled", {"count": str(count)}, feature="referrals")] if count else []
    return []


def _count(case: Case, statuses: frozenset[Status]) -> int:
    statement = select(func.count(Referral.id)).where(Referral.case_id == case.id, Referral.status.in_(statuses))
    return db.session.scalar(statement) or 0


def _assistance_accepted(case: Case) -> bool:
    statement = (
        select(Referral.id)
        .join(Referral.body)
        .where(
            Referral.case_id == case.id,
            Referral.status.in_((Status.ACCEPTED, Status.COMPLETED)),
            Body.kind == BodyKind.ASSISTANCE,
        )
    )
    return db.session.scalar(statement.limit(1)) is not None


def moved(case: Case, move: Move, actor: Staff | None) -> None:
    """A closing that settles everything withdraws what still waited, and tells the bodies. The answer of a body that says when it answers is checked then."""
    if move.to is Stage.REFERRED:
        sent = db.session.scalars(
            select(Referral)
            .where(Referral.case_id == case.id, Referral.status == Status.SENT)
            .options(joinedload(Referral.body))
        ).all()
        days = [day for one in sent if (day := _check_by(one, case)) is not None]
        if days and any(one.body.answer_days is not None for one in sent):
            set_rule_date(case, "check_answer", min(days))
    if move.to is not Stage.CLOSED:
        return
    waits = {*UNSETTLED, Status.NO_ANSWER}  # a body may answer late, but no closed file
    unsettled = select(Referral).where(Referral.case_id == case.id, Referral.status.in_(waits))
    for referral in db.session.scalars(unsettled.options(joinedload(Referral.body)).order_by(Referral.id.desc())):
        withdraw(referral, case, actor)


def move_on(gone: Case, kept: Case) -> dict[str, list[int]]:
    """Merging: permissions and the referrals they allow go to the kept file together, as the database asks of them."""
    _move_together()
    return {
        "permissions": move_rows(Permission, gone.id, kept.id),
        "referrals": move_rows(Referral, gone.id, kept.id),
    }


def move_back(gone: Case, kept: Case, journal: dict[str, list[int]]) -> None:
    """Undoing: each goes back."""
    _move_together()
    return_rows(Permission, gone.id, kept.id, journal["permissions"])
    return_rows(Referral, gone.id, kept.id, journal["referrals"])


def move_to_body(gone: Body, kept: Body, *, same_person: bool) -> None:
    """Two entries of one body become one: what was referred to the one is at the other, with its permissions, its steps and its turn.
    A link to one file goes on working only for who receives at the other too (`same_person`): no other comes to life, or outlives who held it.
    The files are held until the transaction ends.
    """
    here = select(Referral.case_id).where(Referral.body_id == gone.id)
    db.session.execute(select(Case.id).where(Case.id.in_(here)).order_by(Case.id).with_for_update()).all()
    theirs = select(Referral.id).where(Referral.body_id == gone.id)
    if not same_person:
        links.revoke_older(Purpose.REFERRAL, theirs, None)
    elif gone.contact_since is not None:
        links.revoke_older(Purpose.REFERRAL, theirs, gone.contact_since)
    _move_together()
    for column in (Permission.body_id, Referral.body_id):
        repoint(column, gone.id, kept.id)
    at_kept = select(Referral.case_id).where(Referral.body_id == kept.id)
    rename_about(at_kept, {gone.short(lang): kept.short(lang) for lang in LANGUAGES})
    held_by_another(gone.id, kept.id)


def _move_together() -> None:
    """Until the transaction ends, the database asks only then that a referral and its permission be of one file."""
    one_file = "fk_referral_permission_for_this_file_and_body"
    sqlite = db.engine.dialect.name == "sqlite"
    db.session.execute(sql("PRAGMA defer_foreign_keys = ON" if sqlite else f"SET CONSTRAINTS {one_file} DEFERRED"))


def still_open(message: Message) -> bool:
    """Whether an invitation is still true when its turn comes."""
    referral = db.session.get(Referral, message.subject_ids["referral"])
    return referral is not None and _may_be_read(referral) and referral.body.contact_email == message.to_address


def _may_be_read(referral: Referral) -> bool:
    """Whether a body that was written to has something to answer still, and is there."""
    permission = referral.permission
    counts = permission is not None and permissions.live(permission)
    return referral.status is Status.SENT and counts and referral.body.active


def still_asked(message: Message) -> bool:
    """Whether a question to the person still waits for an answer when its turn comes."""
    referral = db.session.get(Referral, message.subject_ids["referral"])
    return (
        referral is not None
        and is_asked(referral)
        and referral.case.contact.email.casefold() == message.to_address.casefold()
    )


def invitation_left(message: Message) -> bool:
    """Whether a body that is told of a withdrawal may have been invited: false only when no server was ever asked to take
    an invitation, for a server may have taken one without our hearing its yes.
    """
    invitations = db.session.scalars(_invitations(message.case_id, message.subject_ids["referral"])).all()
    return not invitations or not all(never_tried(invitation) for invitation in invitations)


def note_invitation(message: Message) -> None:
    """As `note_final`; what was not sent because another person receives the body's mail by now leaves for that person."""
    note_final(message)
    if message.status is not MailStatus.DROPPED:
        return
    referral = db.session.get(Referral, message.subject_ids["referral"])
    if referral is None or not _may_be_read(referral) or referral.case.stage is Stage.CLOSED:
        return
    if referral.body.contact_email not in {"", message.to_address} and not _is_invited(referral):
        _invite(referral, referral.case)


def _is_invited(referral: Referral) -> bool:
    """Whether who receives what the body is sent has an invitation, or will have, whose link works."""
    theirs = Message.to_address == referral.body.contact_email
    sent = _invitations(referral.case_id, referral.id).where(
        theirs, Message.status.not_in((MailStatus.DROPPED, MailStatus.FAILED))
    )
    found = (db.session.get(Link, one.link_id) for one in db.session.scalars(sent) if one.link_id is not None)
    return any(link is not None and links.is_live(link) and not was_for_another(link, referral.body) for link in found)


def invite_again(referral: Referral) -> None:
    """Write about a referral that waits to who receives what its body is sent now, while it may be read and its file is open. An invitation
    that has not left yet finds its way to them by itself.
    """
    if not (_may_be_read(referral) and referral.case.stage is not Stage.CLOSED and referral.body.contact_email):
        return
    waits = Message.status.in_((MailStatus.QUEUED, MailStatus.CLAIMED))
    on_its_way = db.session.scalar(_invitations(referral.case_id, referral.id).where(waits).limit(1)) is not None
    if not on_its_way and not _is_invited(referral):
        _invite(referral, referral.case)


def _invitations(case_id: int | None, referral_id: int) -> Select[Message]:
    key = f"referral:{referral_id}:invitation:"
    return select(Message).where(Message.case_id == case_id, Message.dedupe_key.startswith(key))


def note_final(message: Message) -> None:
    """The file's history says that a message to a body left, or could not: whoever follows the file sees to it then."""
    if message.status is MailStatus.FAILED and message.case_id is not None:
        case = db.session.get_one(Case, message.case_id)
        if case.stage is not Stage.CLOSED:
            plan_once(case, "mail_returned", next_business_day(clock.today()))
    if message.status in {MailStatus.SENT, MailStatus.FAILED}:
        record(
            "referral.mail_sent" if message.status is MailStatus.SENT else "referral.mail_failed",
            case_id=message.case_id,
            actor=SYSTEM,
            codes={"referral": message.subject_ids["referral"], "message": message.id},
            detail={"to_name": message.to_name},
        )
