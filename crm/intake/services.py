"""Receiving a request: one form makes one request, one file, one acknowledgement, however often it is pressed."""

import hashlib
import json
import secrets

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.cases.models import Case
from crm.cases.services import Asker, Facts, open_case
from crm.cases.vocabulary import ContactMode, Need, PreferredLanguage, ProjectStage, Source
from crm.db import db
from crm.i18n import format_date
from crm.intake.forms import RequestForm
from crm.intake.models import Request
from crm.outbox.models import Message, Status
from crm.outbox.services import queue, settings
from crm.texts import pair
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM, record


class OtherContentError(Exception):
    """The same form was sent before with other answers."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


def new_form_key() -> str:
    """A key for a blank form, signed so that it is one of ours."""
    return _serializer().dumps(secrets.token_urlsafe(16))


def _key_of(signed: str) -> str:
    """The database key of a form. An unsigned or foreign one still works, and so does none: it counts as its own form."""
    if not signed:
        signed = secrets.token_urlsafe(16)
    try:
        inner = str(_serializer().loads(signed))
    except BadSignature:
        inner = f"{signed}-foreign"
    return hashlib.sha256(inner.encode("utf-8", "replace")).hexdigest()[:40]


def already_received(form: RequestForm) -> Request | None:
    """The request that this form already made, if any. Raises OtherContentError when it was sent with other answers."""
    made_it = Request.form_key == _key_of(form.form_key.data or "")
    earlier = db.session.scalar(select(Request).where(made_it).options(joinedload(Request.case)))
    if earlier is not None and not _same_answers(earlier, form):
        raise OtherContentError(earlier.case.reference)
    return earlier


def _same_answers(request: Request, form: RequestForm) -> bool:
    return json.dumps(request.answers, sort_keys=True) == json.dumps(form.answers(), sort_keys=True)


def receive(form: RequestForm, *, page_language: str) -> Request:
    """Turn a valid form into a request, a file and an acknowledgement, in one transaction.

    When the form was received before, the database refuses the second (IntegrityError, now or at the commit): ask
    `already_received` then.
    """
    now = clock.now()
    preferred = PreferredLanguage(form.lang_pref.data)
    write_in = page_language if preferred is PreferredLanguage.EITHER else preferred.value
    phone, extension = form.phone_read
    case = open_case(
        Asker(
            name=form.contact_name.data,
            role=form.contact_role.data,
            language=preferred,
            mode=ContactMode(form.contact_mode.data),
            email=form.email_read,
            phone=phone,
            phone_extension=extension,
        ),
        Facts(
            name=form.project_name.data or "",
            description=form.description.data,
            sector=form.sector.data,
            sector_other=form.sector_other.data or "" if form.sector.data == "other" else "",
            stage=ProjectStage(form.stage.data),
            legal_form=form.chosen_legal_form(),
            incorporated={"yes": True, "no": False}.get(form.incorporated.data or ""),
            region=form.region.data,
            locality=form.locality.data or "" if form.region.data == "06" else "",
            needs=[Need(need) for need in form.needs.data],
        ),
        prefix=settings().programme.reference_prefix,
        write_in=write_in,
        source=Source.WEB,
        received_at=now,
        actor=(ActorKind.PERSON, None),
    )
    request = Request(
        form_key=_key_of(form.form_key.data or ""),
        case=case,
        received_at=now,
        page_language=page_language,
        notice_version=pair("intake.notice.version")[page_language],
        answers=form.answers(),
    )
    db.session.add(request)
    _acknowledge(case)
    return request


def _acknowledge(case: Case) -> None:
    if case.contact.email:
        queue(
            "intake.received",
            dedupe_key=f"case:{case.id}:received",
            to=(case.contact.email, case.contact.name),
            language=case.language,
            values={
                "name": case.contact.name,
                "reference": case.reference,
                "date": format_date(case.reply_due_on, case.language),
            },
            case_id=case.id,
        )


def note_acknowledged(message: Message) -> None:
    """The file's history says that the acknowledgement left, or could not."""
    if message.status in {Status.SENT, Status.FAILED}:
        record(
            "request.acknowledged" if message.status is Status.SENT else "request.not_acknowledged",
            case_id=message.case_id,
            actor=SYSTEM,
            codes={"message": message.id},
        )


def receipt_token(request: Request) -> str:
    """What the address of the confirmation carries: it names the file and cannot be guessed."""
    return _serializer("receipt").dumps(request.case.reference)


def case_of_receipt(token: str) -> Case | None:
    """The file of a confirmation's address; None for one that is not ours."""
    try:
        reference = _serializer("receipt").loads(token)
    except BadSignature:
        return None
    return db.session.scalar(select(Case).where(Case.reference == str(reference)).options(joinedload(Case.contact)))


def _serializer(salt: str = "form-key") -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key, salt=f"intake-{salt}")
