"""Receiving a request: one draft makes one request, one file, one acknowledgement, however often it is pressed."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import Select, bindparam, delete, func, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.choices import who_want_at_once
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.addresses import address_of_file, address_of_page, link_of
from crm.cases.models import Case
from crm.cases.pipeline import Move
from crm.cases.queries import may_see
from crm.cases.services import Asker, Facts, open_case
from crm.cases.vocabulary import ContactMode, Need, PreferredLanguage, ProjectStage, Source, Stage
from crm.db import UTCDateTime, db
from crm.files import services as files
from crm.forms import key_of
from crm.i18n import format_date, language
from crm.intake.drafts import Content
from crm.intake.forms import Whole, applies
from crm.intake.models import Arrangements, Draft, Request
from crm.links.models import Purpose as LinkPurpose
from crm.links.services import live
from crm.links.services import token as token_of
from crm.outbox.models import Message, Status
from crm.outbox.services import programme_values, queue, settings
from crm.permissions.models import Purpose
from crm.permissions.services import consent
from crm.robots import PER_HOUR_IN_ALL, Suspicion, links_in, suspicions
from crm.sealing import seal, unseal
from crm.talks.services import tell_of_coming
from crm.texts import text
from crm.texts.facts import programme
from crm.texts.published import version_of
from crm.timeline.services import SYSTEM, record

MAIL = "requests"  # the kind of mail that people of the team choose about


def receive(
    whole: Whole,
    *,
    key: str,
    page_language: str,
    source: Source = Source.WEB,
    entered_by: Staff | None = None,
    why_suspect: Sequence[Suspicion] = (),
) -> Request:
    """Turn a request that was judged whole and right into a file and an acknowledgement, in one transaction.

    `key` is that of the draft or of the form of staff. A suspect makes a file too, set aside: its acknowledgement leaves
    when somebody releases it. Raises IntegrityError, now or at the commit, when the same was received before or the
    reference drawn is in use.
    """
    now = clock.now()
    preferred = PreferredLanguage(whole.you.lang_pref.data)
    case = open_case(
        asker_of(whole, preferred),
        facts_of(whole),
        prefix=programme().reference_prefix,
        write_in=page_language if preferred is PreferredLanguage.EITHER else preferred.value,
        source=source,
        received_at=now,
        actor=by(entered_by),
        quarantined=bool(why_suspect),
    )
    request = Request(
        form_key=key_of(key),
        case=case,
        received_at=now,
        page_language=page_language,
        notice_version=version_of("intake.notice"),
        answers=whole.answers(),
        suspicions=[suspicion.value for suspicion in why_suspect] or None,
    )
    db.session.add(request)
    if wanted := whole.reach.arrangements.data:
        db.session.add(Arrangements(case_id=case.id, sealed=seal(wanted, _row(case))))
    _record_consents(case, whole, page_language)
    if not case.quarantined:
        _acknowledge(case)
        tell_who_want(case)
    if not case.contact.email:
        link_of(case)  # shown on the confirmation: nothing can be mailed
    return request


def received_as(key: str) -> Request | None:
    """The request that a form already made, if any."""
    return db.session.scalar(select(Request).where(Request.form_key == key_of(key)).options(joinedload(Request.case)))


def asker_of(whole: Whole, preferred: PreferredLanguage) -> Asker:
    """What the request says of the person."""
    phone, extension = whole.reach.phone_read
    return Asker(
        name=whole.you.contact_name.data or "",
        role=whole.you.contact_role.data,
        language=preferred,
        mode=ContactMode(whole.reach.contact_mode.data),
        email=whole.reach.email_read,
        phone=phone,
        phone_extension=extension,
        availability=whole.reach.availability.data,
    )


def facts_of(whole: Whole) -> Facts:
    """What the request says of the project. An answer to a question that the others do not call for is left out."""

    def called_for(name: str, value: str | None) -> str:
        return value or "" if applies(name, whole.needs.given) else ""

    return Facts(
        name=whole.project.project_name.data or "",
        description=whole.project.description.data or "",
        sector=whole.project.sector.data,
        sector_other=called_for("sector_other", whole.project.sector_other.data),
        stage=ProjectStage(whole.project.stage.data),
        legal_form=whole.legal.chosen(),
        incorporated={"yes": True, "no": False}.get(whole.legal.incorporated.data or ""),
        neq=whole.legal.neq_read,
        region=whole.team.region.data,
        locality=called_for("locality", whole.team.locality.data),
        team_size=whole.team.team_size.data or "",
        needs=[Need(need) for need in whole.needs.needs.data],
        funding_band=called_for("funding_band", whole.needs.funding_band.data),
        supports=whole.needs.supports.data,
        supports_other=whole.needs.supports_other.data or "",
        heard=whole.needs.heard.data or "",
    )


def documents_gone(draft: Draft, content: Content) -> list[str]:
    """Names of documents that were added and are not there any more: they are kept for a day."""
    there = {str(row.id) for row in files.staged(draft.id)} if content.documents else set()
    return [name for number, name in content.documents.items() if number not in there]


def _record_consents(case: Case, whole: Whole, page_language: str) -> None:
    for purpose in consents_offered():
        if whole.choices[purpose.value].data:
            consent(
                case,
                purpose,
                shown=consent_wording(purpose),
                version=version_of("intake.consent"),
                language=page_language,
            )


def notice_values() -> dict[str, object]:
    """The programme's facts as the collection notice prints them, in the language spoken now."""
    facts = programme_values(language())
    organisation = str(facts["organisation"])
    return facts | {"organisation_start": organisation[:1].upper() + organisation[1:]}


def consents_offered() -> list[Purpose]:
    """The optional consents that the programme asks for."""
    facts = programme()
    asked = {Purpose.NEWSLETTER: facts.asks_newsletter, Purpose.SURVEY: facts.asks_survey}
    return [purpose for purpose in Purpose if asked[purpose]]


def consent_wording(purpose: Purpose) -> str:
    """The words beside the box, in the language spoken now."""
    return text(f"intake.consent.{purpose}", **programme_values(language()))


def opened_arrangements(case: Case, sealed: bytes | None) -> str:
    """What the person asked us to plan, read from its seal; only the file's owner is shown it."""
    return (unseal(sealed, _row(case)) or "") if sealed else ""


def _row(case: Case) -> str:
    """The row that a seal belongs to."""
    return f"arrangements {case.id}"


def moved(case: Case, move: Move, _actor: Staff | None) -> None:
    """Closing destroys what was to be arranged (domain reference, section 16), and ends a quarantine: somebody looked."""
    if move.to is Stage.CLOSED:
        case.quarantined = False
        db.session.execute(delete(Arrangements).where(Arrangements.case_id == case.id))


def move_arrangements(gone: Case, kept: Case) -> dict[str, str]:
    """Merging: what both people asked us to plan is read together. The journal keeps what each file had, sealed."""
    had = {case.id: db.session.get(Arrangements, case.id) for case in (gone, kept)}
    theirs, ours = had[gone.id], had[kept.id]
    if theirs is None or kept.stage is Stage.CLOSED:
        return {}
    journal = {str(number): b64encode(row.sealed).decode() for number, row in had.items() if row}
    wanted = [opened_arrangements(case, row.sealed) for case, row in ((kept, ours), (gone, theirs)) if row]
    sealed = seal("\n".join(filter(None, wanted)), _row(kept))
    if ours is None:
        db.session.add(Arrangements(case_id=kept.id, sealed=sealed))
    else:
        ours.sealed = sealed
    return journal


def return_arrangements(gone: Case, kept: Case, journal: dict[str, str]) -> None:
    """Undoing: each open file has its own again; a closed one has none, as closing destroys it."""
    for case in (gone, kept) if journal else ():
        db.session.execute(delete(Arrangements).where(Arrangements.case_id == case.id))
        sealed = journal.get(str(case.id))
        if sealed and case.stage is not Stage.CLOSED:
            db.session.add(Arrangements(case_id=case.id, sealed=b64decode(sealed)))


def why_suspect(draft: Draft, content: Content, whole: Whole, *, from_network: int, proven: bool) -> list[Suspicion]:
    """What speaks against a request that is about to be received."""
    return suspicions(
        trap=content.trapped,
        seconds=(clock.now() - draft.started_at).total_seconds(),
        links=sum(links_in(typed) for typed in whole.words()),
        from_network=from_network,
        in_all=lately(),
        proven=proven,
    )


def lately() -> int:
    """How many requests came by themselves within an hour, this one included."""
    return 1 + (db.session.scalar(_lately(), {"since": clock.now() - timedelta(hours=1)}) or 0)


@cache
def _lately() -> Select[int]:
    by_themselves = Case.source.in_((Source.WEB, Source.PARTNER))
    recent = select(Case.id).where(Case.received_at > bindparam("since", type_=UTCDateTime), by_themselves)
    return select(func.count()).select_from(recent.limit(PER_HOUR_IN_ALL + 1).subquery())


def release(case: Case, actor: Staff, *, acknowledge: bool = True) -> None:
    """Somebody looked: it is a person's request. Its acknowledgement leaves now, with the date promised at reception.

    A project that a partner sent has none: the person is asked first.
    """
    if not case.quarantined:
        return
    case.quarantined = False
    record("request.released", case_id=case.id, actor=by(actor))
    if case.stage is not Stage.CLOSED and acknowledge:
        _acknowledge(case)
        tell_of_coming(case)
        tell_who_want(case)


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
                "address_of_page": address_of_page(case.language),
            },
            case_id=case.id,
            link=link_of(case),
        )


def tell_who_want(case: Case) -> None:
    """Those who asked to hear of every new request when it comes, when they may see it."""
    for staff in who_want_at_once(MAIL):
        if not may_see(staff, case.id):
            continue
        queue(
            "intake.told",
            dedupe_key=f"case:{case.id}:told:{staff.id}",
            to=(staff.email, staff.name),
            language=staff.language,
            values={
                "name": staff.name,
                "reference": case.reference,
                "date": format_date(case.reply_due_on, staff.language),
                "address_of_file": address_of_file(case),
            },
            case_id=case.id,
            staff_id=staff.id,
        )


def still_nobodys(message: Message) -> bool:
    """Whether a request that a colleague is told of still waits for somebody, and is theirs to see."""
    staff = db.session.get_one(Staff, message.staff_id)
    case = db.session.get_one(Case, message.case_id)
    return case.owner_id is None and case.stage is Stage.NEW and staff.active and may_see(staff, case.id)


def note_acknowledged(message: Message) -> None:
    """The file's history says that the acknowledgement left, or could not."""
    if message.status in {Status.SENT, Status.FAILED}:
        record(
            "request.acknowledged" if message.status is Status.SENT else "request.not_acknowledged",
            case_id=message.case_id,
            actor=SYSTEM,
            codes={"message": message.id},
        )


def printed_link(case: Case) -> str:
    """The address of the person's page, for the confirmation of a request without an e-mail address, on its first day."""
    if case.contact.email or clock.now() - case.received_at > timedelta(days=1):
        return ""
    link = live(LinkPurpose.CASE, case.id)
    return address_of_page(case.language, token_of(link)) if link else ""


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


def _serializer(salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key, salt=f"intake-{salt}")
