"""Referring a file to a body: permission first, then exactly the fields it allows, then the body's answer."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import func, select
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
from crm.cases.vocabulary import Stage
from crm.config import LANGUAGES
from crm.db import db
from crm.errors import RefusedError
from crm.i18n import format_date, format_phone, speaking
from crm.links import services as links
from crm.links.models import Purpose
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.outbox.services import never_tried, programme_values, queue, settings
from crm.partners.models import Body, BodyKind
from crm.permissions import services as permissions
from crm.permissions.models import How, Permission
from crm.referrals.models import Referral
from crm.referrals.outcomes import (
    REFERRED,
    UNSETTLED,
    DeclineReason,
    Status,
    may_become,
)
from crm.reminders.plans import in_force
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, set_rule_date, settle
from crm.texts import fill, label, pair, text, told
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM, record

LINK_DAYS = 30
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


def prepare(
    case: Case,
    body: Body,
    *,
    purpose: str,
    fields: Sequence[str],
    how: How | None,
    expires_on: date,
    actor: Staff,
) -> Referral:
    """Record the person's permission naming this body and make a referral ready to be sent; nothing leaves yet.

    With `how` None the person prefers to contact the body: nothing is shared, and the loop is still followed.
    """
    if case.stage not in MAY_REFER_FROM:
        raise refused("closed")
    permission = None
    if how is not None:
        permission = permissions.give(
            case,
            body,
            purpose=purpose,
            fields=[field for field in FIELDS if field in fields],
            how=how,
            language=case.language,
            expires_on=expires_on,
            recorded_by=actor,
        )
    referral = Referral(
        case_id=case.id,
        body_id=body.id,
        permission_id=permission.id if permission else None,
        status=Status.READY if permission else Status.SELF,
        purpose=purpose,
        shared=[],
        created_by_id=actor.id,
        created_at=clock.now(),
        answer_note="",
    )
    db.session.add(referral)
    db.session.flush()  # its id is in the event and the address
    _tell("prepared" if permission else "self", case, referral, body, by(actor))
    return referral


def send(referral: Referral, case: Case, actor: Staff) -> None:
    """Freeze the allowed fields, and write the body's contact with a link; all in one transaction."""
    body, permission = referral.body, referral.permission
    if case.stage not in MAY_REFER_FROM:
        raise refused("closed")
    if permission is None or not permissions.live(permission):
        raise refused("no_permission")
    if not body.contact_email or not body.active:
        raise refused("no_contact")
    _set_status(referral, Status.SENT)
    referral.shared = values_now(case, permission.fields)
    referral.sent_at = clock.now()
    until = min(clock.today() + timedelta(days=LINK_DAYS), permission.expires_on)
    link = links.issue(Purpose.REFERRAL, referral.id, days=max((until - clock.today()).days, 1))
    lang = body.contact_language
    slug = "mise-en-relation" if lang == "fr" else "referral"
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
            "address_of_link": f"{settings().base_url}/{lang}/{slug}/{links.PLACE}",
            "until": format_date(until, lang),
            "organisation_sentence": fill(pair("referrals.link.organisation_sentence")[lang], programme_values(lang)),
        },
        case_id=case.id,
        link=link,
        subject_ids={"referral": referral.id},
    )
    _tell("sent", case, referral, body, by(actor))
    if case.stage is Stage.REFERRED and (due_on := _check_by(referral, case)) is not None:
        plan_by_rule(case, "check_answer", due_on, about=body.short(case.owner.language if case.owner else "fr"))


def note_seen(referral: Referral) -> None:
    """The body pressed Continue: a date, once, not a status."""
    if referral.seen_at is None:
        referral.seen_at = clock.now()
        _tell("seen", referral.case, referral, referral.body, (ActorKind.BODY, referral.body_id))


def accept(referral: Referral, note: str) -> None:
    """The body takes the project on. The adviser gets a dated next step."""
    _answer(referral, Status.ACCEPTED, note, None)


def decline(referral: Referral, reason: DeclineReason, note: str) -> None:
    """The body says no and why. The adviser gets a dated next step."""
    _answer(referral, Status.DECLINED, note, reason)


def _answer(referral: Referral, status: Status, note: str, reason: DeclineReason | None) -> None:
    # The file first, as every other verb does: whose turn it is follows from all of them.
    db.session.scalar(select(Case.id).where(Case.id == referral.case_id).with_for_update(key_share=True))
    db.session.refresh(referral, with_for_update={"of": Referral})
    if not may_become(referral.status, status):
        raise refused("already_answered", status=label("referrals.status", referral.status))
    _set_status(referral, status)
    referral.answered_at = clock.now()
    referral.answer_note = note
    referral.decline_reason = reason
    case = referral.case
    codes = {"decline_reason": reason.value} if reason else {}
    _tell(status, case, referral, referral.body, (ActorKind.BODY, referral.body_id), codes=codes, note=note)
    if case.stage is not Stage.CLOSED:
        lang = case.owner.language if case.owner else "fr"
        plan_by_rule(case, "answered", add_business_days(clock.today(), 1), about=referral.body.short(lang))
        _no_longer_awaited(referral, case)


def _no_longer_awaited(referral: Referral, case: Case) -> None:
    """Checking for an answer, or calling for one, is done: that of this body, and the plan's own when none is awaited any more."""
    names = [referral.body.short(lang) for lang in LANGUAGES]
    others = select(Referral.id).where(
        Referral.case_id == case.id, Referral.status == Status.SENT, Referral.id != referral.id
    )
    if db.session.scalar(others.limit(1)) is None:
        names.append("")
    settle(case, WAITS_FOR_AN_ANSWER, names)


def _check_by(referral: Referral, case: Case) -> date | None:
    """By when a body's answer is checked: the delay it promises or, of one that promises none, what the plan says; None when the plan says nothing."""
    sent_on = clock.local_date(referral.sent_at) if referral.sent_at else clock.today()
    if (days := referral.body.answer_days) is not None:
        return max(add_business_days(sent_on, days), next_business_day(clock.today()))
    steps = (step for step in in_force() if step.stage is Stage.REFERRED and step.rule == "check_answer")
    return next((step.due(sent_on, reply_due_on=case.reply_due_on, return_on=None) for step in steps), None)


def withdraw(referral: Referral, case: Case, actor: Staff | None) -> None:
    """Take a referral back: its link dies with this transaction, and a body that received it is told the same day."""
    was_sent = referral.sent_at is not None
    _set_status(referral, Status.WITHDRAWN)
    links.revoke(Purpose.REFERRAL, referral.id)
    _tell("withdrawn", case, referral, referral.body, by(actor))
    if was_sent and case.stage is not Stage.CLOSED:
        _no_longer_awaited(referral, case)
        keep_from_being_forgotten(case)
    body = referral.body
    if was_sent and body.contact_email:
        lang = body.contact_language
        queue(
            "referrals.withdrawn",
            dedupe_key=f"referral:{referral.id}:withdrawn",
            to=(body.contact_email, body.contact_name),
            language=lang,
            values={
                "name": body.contact_name,
                "reference": case.reference,
                "organisation_sentence": fill(
                    pair("referrals.link.organisation_sentence")[lang], programme_values(lang)
                ),
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
        if may_become(referral.status, Status.WITHDRAWN):
            withdraw(referral, case, actor)
        else:
            links.revoke(Purpose.REFERRAL, referral.id)


def _set_status(referral: Referral, to: Status) -> None:
    """The one place that writes a referral's status after its making."""
    if not may_become(referral.status, to):
        raise refused("wrong_status", status=label("referrals.status", referral.status))
    referral.status = to


def _tell(
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
    unsettled = select(Referral).where(Referral.case_id == case.id, Referral.status.in_(UNSETTLED))
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


def _move_together() -> None:
    """Until the transaction ends, the database asks only then that a referral and its permission be of one file."""
    one_file = "fk_referral_permission_for_this_file_and_body"
    sqlite = db.engine.dialect.name == "sqlite"
    db.session.execute(sql("PRAGMA defer_foreign_keys = ON" if sqlite else f"SET CONSTRAINTS {one_file} DEFERRED"))


def still_open(message: Message) -> bool:
    """Whether an invitation is still true when its turn comes."""
    referral = db.session.get(Referral, message.subject_ids["referral"])
    return (
        referral is not None
        and referral.status is Status.SENT
        and referral.permission is not None
        and permissions.live(referral.permission)
    )


def invitation_left(message: Message) -> bool:
    """Whether a body that is told of a withdrawal may have been invited: false only when no server was ever asked to take
    an invitation, for a server may have taken one without our hearing its yes.
    """
    invitations = db.session.scalars(
        select(Message).where(
            Message.case_id == message.case_id,
            Message.dedupe_key.startswith(f"referral:{message.subject_ids['referral']}:invitation:"),
        )
    ).all()
    return not invitations or not all(never_tried(invitation) for invitation in invitations)


def note_final(message: Message) -> None:
    """The file's history says that a message to a body left, or could not."""
    if message.status in {MailStatus.SENT, MailStatus.FAILED}:
        record(
            "referral.mail_sent" if message.status is MailStatus.SENT else "referral.mail_failed",
            case_id=message.case_id,
            actor=SYSTEM,
            codes={"referral": message.subject_ids["referral"], "message": message.id},
            detail={"to_name": message.to_name},
        )
