"""Verbs that change files. Each checks, changes, records one event and never commits."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select, update

from crm import clock
from crm.access import COORDINATING, Role
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days
from crm.cases import pipeline, turns
from crm.cases.models import Case, CaseNeed, CaseReader, Contact, Exchange, Note, Project, StageSpell
from crm.cases.pipeline import Move, Refusal
from crm.cases.vocabulary import (
    ClosingReason,
    ContactMode,
    ExchangeDirection,
    ExchangeKind,
    ExchangeResult,
    LegalForm,
    Need,
    PreferredLanguage,
    ProjectStage,
    Source,
    Stage,
    Turn,
)
from crm.db import db, save_over, touch
from crm.errors import RefusedError
from crm.feature import plugged
from crm.i18n import language
from crm.texts import book, label, text
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM, record

REPLY_WITHIN = 3  # business days: the programme's promise
LETTERS, DIGITS = "BCDFGHJKMNPRSTVWXZ", "23456789"
Actor = tuple[ActorKind, int | None]


class StaleError(Exception):
    """Somebody saved the same thing in the meantime: nothing was changed."""


@dataclass(frozen=True)
class Facts:
    """What a request says of a project."""

    description: str
    sector: str
    stage: ProjectStage
    legal_form: LegalForm
    region: str
    needs: Sequence[Need]
    name: str = ""
    sector_other: str = ""
    incorporated: bool | None = None
    locality: str = ""
    neq: str = ""
    team_size: str = ""
    funding_band: str = ""
    supports: Sequence[str] = ()
    supports_other: str = ""
    heard: str = ""


@dataclass(frozen=True)
class Asker:
    """What a request says of the person."""

    name: str
    role: str
    language: PreferredLanguage
    mode: ContactMode
    email: str = ""
    phone: str = ""
    phone_extension: str = ""
    availability: Sequence[str] = ()


def new_reference(prefix: str) -> str:
    """A reference such as PCC-7K4M-2T9R: digits and consonants in turn, nothing that looks alike.

    One of 429 million, drawn at random; the database refuses one that is in use.
    """
    signs = [secrets.choice(DIGITS if place % 2 == 0 else LETTERS) for place in range(8)]
    return f"{prefix}-{''.join(signs[:4])}-{''.join(signs[4:])}"


def open_case(
    asker: Asker,
    facts: Facts,
    *,
    prefix: str,
    write_in: str,
    source: Source,
    received_at: datetime,
    actor: Actor,
    quarantined: bool = False,
) -> Case:
    """A file for a request just received, at the stage "new", with the reply promised within three business days.

    `write_in` is the language messages leave in: the one asked for, or the page's when the answer was "either".
    Raises IntegrityError when the reference drawn is in use: roll back and call again.
    """
    project = Project(
        name=facts.name,
        description=facts.description,
        sector=facts.sector,
        sector_other=facts.sector_other,
        stage=facts.stage,
        legal_form=facts.legal_form,
        incorporated=facts.incorporated,
        region=facts.region,
        locality=facts.locality,
        neq=facts.neq,
        team_size=facts.team_size,
        funding_band=facts.funding_band,
        supports=list(facts.supports),
        supports_other=facts.supports_other,
        summary="",
        version=1,
    )
    case = Case(
        reference=new_reference(prefix),
        stage=Stage.NEW,
        stage_since=received_at,
        contact=Contact(
            name=asker.name,
            role=asker.role,
            language=asker.language,
            mode=asker.mode,
            email=asker.email,
            phone=asker.phone,
            phone_extension=asker.phone_extension,
            availability=list(asker.availability),
        ),
        project=project,
        language=write_in,
        source=source,
        heard=facts.heard,
        received_at=received_at,
        turn=Turn.TEAM,
        turn_since=received_at,
        reply_due_on=add_business_days(clock.local_date(received_at), REPLY_WITHIN),
        restricted=False,
        quarantined=quarantined,
    )
    db.session.add(case)
    db.session.flush()  # the id is needed by the rows below
    db.session.add(StageSpell(case_id=case.id, stage=Stage.NEW, entered_at=received_at))
    turns.begin(case)
    db.session.add_all(CaseNeed(case_id=case.id, need=need, since=received_at) for need in dict.fromkeys(facts.needs))
    record("case.opened", case_id=case.id, actor=actor, codes={"source": source}, at=received_at)
    _entered(case, Move(origin=Stage.NEW, to=Stage.NEW, today=clock.local_date(received_at)), None)
    touch(case.id, opened=True)
    return case


def against_assigning(case: Case, to: Staff) -> list[str]:
    """Why a person cannot become responsible for a file; nothing when they can."""
    if case.stage is Stage.CLOSED:
        return [text("cases.refusal.closed_file")]
    if not to.active or to.role is Role.OBSERVER:
        return [text("cases.refusal.cannot_own")]
    return []


def assign(case: Case, to: Staff, actor: Staff | None) -> None:
    """Make a person responsible for the file; what its former owner had to do moves along. Doing it twice does nothing.

    Without an actor it is the entrepreneur's own doing: a talk was booked with this adviser.
    """
    if against := against_assigning(case, to):
        raise RefusedError(*against)
    if case.owner_id == to.id:
        return
    former = case.owner_id
    case.owner_id = to.id
    if actor is not None and to.id == actor.id:
        record("case.taken", case_id=case.id, actor=by(actor))
    else:
        record(
            "case.assigned" if actor else "case.given",
            case_id=case.id,
            actor=by(actor),
            codes={"to": to.id},
            detail={"to_name": to.name},
        )
    for hand_over in plugged("handoff"):
        hand_over(case, former, to)


def add_note(case: Case, body: str, actor: Staff) -> Note:
    """Text for colleagues, in the history; it never leaves."""
    event = record("note.added", case_id=case.id, actor=by(actor))
    db.session.flush()
    note = Note(case_id=case.id, event_id=event.id, author_id=actor.id, body=body)
    db.session.add(note)
    return note


def record_exchange(
    case: Case,
    *,
    kind: ExchangeKind,
    direction: ExchangeDirection,
    result: ExchangeResult,
    happened_at: datetime,
    minutes: int | None,
    summary: str,
    actor: Staff,
) -> Exchange:
    """A call, e-mail or meeting with the person. The first that went out is the file's first reply (indicator 4)."""
    if happened_at > clock.now():
        raise RefusedError(text("cases.refusal.exchange_in_future"))
    event = record(
        f"exchange.{kind}_{result}",
        case_id=case.id,
        actor=by(actor),
        codes={"minutes": minutes or 0, "direction": direction},
        at=happened_at,
    )
    db.session.flush()
    exchange = Exchange(
        case_id=case.id,
        event_id=event.id,
        staff_id=actor.id,
        kind=kind,
        direction=direction,
        result=result,
        happened_at=happened_at,
        minutes=minutes,
        summary=summary,
    )
    db.session.add(exchange)
    answered = direction is ExchangeDirection.OUTGOING or result is ExchangeResult.TWO_WAY
    if answered and happened_at >= case.received_at:
        case.first_reply_at = min(case.first_reply_at or happened_at, happened_at)
    return exchange


def assess(
    case: Case,
    *,
    seen_version: int,
    name: str,
    project_stage: ProjectStage,
    legal_form: LegalForm,
    region: str,
    locality: str,
    needs: Iterable[Need],
    summary: str,
    actor: Staff,
    reason: str = "",
) -> None:
    """Save the needs assessment; the history tells each answer that changed, with what it was, and `reason`.

    Raises StaleError when somebody saved it after `seen_version` was shown.
    """
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    project, needs = case.project, list(needs)
    before = _assessed(project, db.session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == case.id)))
    saved = save_over(
        project,
        seen_version,
        name=name,
        stage=project_stage,
        legal_form=legal_form,
        region=region,
        locality=locality,
        summary=summary,
        assessed_at=clock.now(),
        assessed_by_id=actor.id,
    )
    if not saved:
        raise StaleError
    case.matched_at = None
    set_needs(case, needs)
    after = _assessed(project, needs)
    told = [
        text("cases.fact_change", what=text(f"cases.fact.{name}"), was=was or "–", now=after[name] or "–")
        for name, was in before.items()
        if was != after[name]
    ]
    told += [text("cases.corrected_because", reason=reason)] if reason and told else []
    record("case.assessed", case_id=case.id, actor=by(actor), detail={"changes": "\n".join(told)} if told else None)


def _assessed(project: Project, needs: Iterable[Need]) -> dict[str, str]:
    """What an assessment says, in words."""
    found = set(needs)
    return {
        "name": project.name,
        "project_stage": label("cases.project_stage", project.stage),
        "legal_form": label("cases.legal_form", project.legal_form),
        "region": label("cases.region", project.region),
        "locality": label("cases.locality", project.locality) if project.locality else "",
        "needs": "; ".join(label("cases.need", need) for need in Need if need in found),
        "summary": project.summary,
    }


def correct(
    case: Case,
    *,
    person: dict[str, Any],
    project: dict[str, Any],
    of_file: dict[str, Any],
    needs: Sequence[Need] | None,
    told: Iterable[tuple[str, str, str]],
    reason: str,
    actor: Staff,
) -> None:
    """Change facts of a file that were answered: columns of the person, of the project and of the file itself, and its needs.

    `told` names each answer with its words before and after, for the history. A file whose facts changed is compared anew.
    """
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    for row, values in ((case.contact, person), (case.project, project), (case, of_file)):
        for column, value in values.items():
            setattr(row, column, value)
    if project or needs is not None:
        case.project.version += 1  # whoever assesses the file meanwhile is told
    if needs is not None:
        set_needs(case, needs)
    case.matched_at = None
    for name, was, now in told:
        why = text("cases.corrected_because", reason=reason) if reason else ""
        change = "\n".join(filter(None, (was or "–", f"→ {now or '–'}", why)))
        record("case.corrected", case_id=case.id, actor=by(actor), codes={"question": name}, detail={"change": change})


def set_needs(case: Case, needs: Iterable[Need]) -> None:
    """The needs of a file are these; one that stays keeps the day it was found."""
    wanted = set(needs)
    had = set(db.session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == case.id)))
    if had - wanted:
        db.session.execute(delete(CaseNeed).where(CaseNeed.case_id == case.id, CaseNeed.need.in_(had - wanted)))
    now = clock.now()
    db.session.add_all(CaseNeed(case_id=case.id, need=need, since=now) for need in sorted(wanted - had))


def restrict(case: Case, *, restricted: bool, readers: Iterable[int], actor: Staff) -> None:
    """Keep a file to the people named (its owner and who asked are always among them), or open it to the team."""
    db.session.execute(delete(CaseReader).where(CaseReader.case_id == case.id))
    case.restricted = restricted
    if restricted:
        db.session.add_all(CaseReader(case_id=case.id, staff_id=reader) for reader in {actor.id, *readers})
    record("case.restricted" if restricted else "case.unrestricted", case_id=case.id, actor=by(actor))


def advance(
    case: Case,
    to: Stage,
    actor: Staff | None,
    *,
    seen_stage: Stage | None = None,
    reason: str = "",
    return_on: date | None = None,
    closing_reason: ClosingReason | None = None,
    person_told: str = "",
    forced: bool = False,
    by_itself: bool = False,
) -> None:
    """Move a file to a stage, by the moves of the domain reference, section 14.2, and every feature's guards.

    Raises RefusedError with all reasons, and changes nothing, when the move is not allowed. `seen_stage` is what the
    person had on screen: another move in the meantime is told rather than compounded. Coordinators may force a move,
    with a reason. Without an actor it is the entrepreneur's own doing, or, `by_itself`, a job's.
    """
    who = SYSTEM if by_itself else by(actor)
    if seen_stage is not None and seen_stage is not case.stage:
        raise RefusedError(_told(Refusal("moved_meanwhile", {"stage": f"cases.stage.{case.stage}"})))
    if forced and (actor is None or actor.role not in COORDINATING):
        raise RefusedError(_told(Refusal("only_coordinators_force")))
    move = asked(
        case,
        to,
        reason=reason,
        return_on=return_on,
        closing_reason=closing_reason,
        person_told=person_told,
        forced=forced,
    )
    if against := against_move(case, move):
        raise RefusedError(*against)
    _set_stage(case, move)
    detail: dict[str, Any] = {"reason": reason} if reason else {}
    if to is Stage.CLOSED:
        record(
            "case.closed",
            case_id=case.id,
            actor=who,
            codes={"from": move.origin, "closing_reason": closing_reason, "person_told": person_told},
            detail=detail,
        )
    else:
        kind = "case.move_forced" if forced else "case.moved"
        record(kind, case_id=case.id, actor=who, codes={"from": move.origin, "to": to}, detail=detail)
    _entered(case, move, actor)


def asked(
    case: Case,
    to: Stage,
    *,
    reason: str = "",
    return_on: date | None = None,
    closing_reason: ClosingReason | None = None,
    person_told: str = "",
    forced: bool = False,
) -> Move:
    """The move of a file to a stage, from where it stands now."""
    return Move(
        origin=case.stage,
        to=to,
        today=clock.today(),
        reason=reason,
        return_on=return_on,
        closing_reason=closing_reason if to is Stage.CLOSED else None,
        person_told=person_told,
        forced=forced,
        paused_from=case.paused_from,
    )


def against_move(case: Case, move: Move) -> list[str]:
    """Every reason against a move, in the language spoken now; none when it is allowed. Changes nothing."""
    if case.quarantined and move.to is not Stage.CLOSED:
        return [_told(Refusal("quarantined"))]
    if case.merged_into_id is not None:
        return [_told(Refusal("merged"))]
    against = pipeline.refusals(move)
    if not against and not move.forced:
        for guard in plugged("case_guards"):
            against += guard(case, move)
    return [_told(refusal) for refusal in against]


def _set_stage(case: Case, move: Move) -> None:
    """The one place that writes a file's stage."""
    now = clock.now()
    db.session.execute(
        update(StageSpell).where(StageSpell.case_id == case.id, StageSpell.left_at.is_(None)).values(left_at=now)
    )
    db.session.add(StageSpell(case_id=case.id, stage=move.to, entered_at=now))
    case.paused_from = move.origin if move.to is Stage.PAUSED else None
    if move.origin is Stage.CLOSED:
        case.matched_at = None  # closed files are compared with open ones only
    case.stage, case.stage_since = move.to, now
    case.closed_at = now if move.to is Stage.CLOSED else None
    case.closing_reason = move.closing_reason


def close_into(gone: Case, kept: Case, actor: Staff) -> dict[str, Any]:
    """Close a file that is merged into another, and say where it stood, for `reopen_merged`."""
    before = {"stage": gone.stage, "paused_from": gone.paused_from, "closing_reason": gone.closing_reason}
    if gone.stage is Stage.CLOSED:
        gone.closing_reason = ClosingReason.DUPLICATE  # one project counts once
    else:
        reason = text("cases.merged_into", reference=kept.reference)
        advance(gone, Stage.CLOSED, actor, reason=reason, closing_reason=ClosingReason.DUPLICATE)
    gone.merged_into_id = kept.id
    kept.has_merged = True
    return before


def reopen_merged(gone: Case, kept: Case, before: dict[str, Any]) -> None:
    """Put a file that had been merged back where it stood. What was planned on it is put back by its own feature."""
    gone.merged_into_id = None
    others = select(Case.id).where(Case.merged_into_id == kept.id, Case.id != gone.id).limit(1)
    kept.has_merged = db.session.scalar(others) is not None
    former = Stage(before["stage"])
    if former is Stage.CLOSED:
        gone.closing_reason = ClosingReason(before["closing_reason"])
        return
    _set_stage(gone, Move(origin=gone.stage, to=former, today=clock.today()))
    gone.paused_from = Stage(before["paused_from"]) if before["paused_from"] else None


def _entered(case: Case, move: Move, actor: Staff | None) -> None:
    for moved in plugged("case_moved"):
        moved(case, move, actor)


def _told(refusal: Refusal) -> str:
    """A refusal in the language spoken now; values that are keys of texts are translated."""
    known = book().pairs
    values = {name: known[value][language()] if value in known else value for name, value in refusal.values.items()}
    return text(f"{refusal.feature}.refusal.{refusal.key}", **values)


def guard(case: Case, move: Move) -> list[Refusal]:
    """What files themselves ask before a move."""
    if move.to is Stage.CONTACT and case.owner_id is None:
        return [Refusal("needs_owner")]
    if move.to is Stage.PLANNING and move.origin is Stage.DISCOVERY:
        return _against_planning(case)
    if move.to is Stage.LAUNCHED and move.origin is not Stage.PAUSED:
        return [*_against_launch(case, move)]
    return []


def _against_launch(case: Case, move: Move) -> Iterator[Refusal]:
    """Domain reference, section 14.1: a launch date, and an organization that is incorporated, or why it is not."""
    project = case.project
    if project.launched_on is None:
        yield Refusal("needs_launch")
    if project.incorporated_on is None and not project.incorporated and not move.reason:
        yield Refusal("needs_incorporation")


def _against_planning(case: Case) -> list[Refusal]:
    needs = len(list(db.session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == case.id))))
    project = case.project
    missing = pipeline.missing_for_planning(
        project_stage=project.stage,
        legal_form=project.legal_form,
        region=project.region,
        needs=needs,
        summary=project.summary,
    )
    if not missing:
        return []
    words = ", ".join(text(f"cases.missing.{name}") for name in missing)
    return [Refusal("needs_assessment", {"missing": words})]


def release_files(leaver: Staff, to: Staff | None) -> int:
    """When an account closes: its open files go to the duty person with what was planned. Returns how many files."""
    files = list(db.session.scalars(select(Case).where(Case.owner_id == leaver.id, Case.stage != Stage.CLOSED)))
    for case in files:
        if to is not None:
            assign(case, to, leaver)
    return len(files)
