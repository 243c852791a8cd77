"""Booking talks and recording what came of them."""

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, delete, exists, literal_column, null, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from crm import clock
from crm.absences.services import reading
from crm.accounts.choices import wants_at_once
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days, is_business_day
from crm.cases.addresses import address_of_file, address_of_page, link_of
from crm.cases.models import Case, Contact, Exchange, Project
from crm.cases.pipeline import NOBODY_TO_TELL, Move, Refusal
from crm.cases.queries import named, visible_to
from crm.cases.services import assign, record_exchange
from crm.cases.vocabulary import ExchangeDirection, ExchangeKind, ExchangeResult, Stage
from crm.db import UTCDateTime, db
from crm.errors import RefusedError
from crm.feature import Line, Section
from crm.i18n import format_phone, format_time, format_weekday_date, speaking
from crm.outbox.kinds import Attachment
from crm.outbox.models import Message
from crm.outbox.services import queue
from crm.reminders.digest import instead, told_of
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, plan_once, set_rule_date
from crm.talks import calendars
from crm.talks.hours import DEFAULT
from crm.talks.models import Mode, Talk, TalkCell, TalkRules, TalkState
from crm.talks.slots import cells
from crm.texts import label, text
from crm.timeline.services import record

REMIND_AT_HOUR = 8  # local time
MAIL = "talks"  # the kind of mail that people of the team choose about


class TakenError(RefusedError):
    """A quarter of an hour that a talk needs is another talk's."""


def holds(case: Any, at: datetime) -> ColumnElement[bool]:
    """A file is held at an instant by a booked talk that is still to come."""
    return exists().where(
        Talk.case_id == case.id,
        Talk.created_at <= at,
        or_(Talk.ended_at.is_(None), Talk.ended_at > at),
        Talk.starts_at > at,
    )


def turns() -> Select[*tuple[Any, ...]]:
    """A talk that is booked holds the file until it starts."""
    who = literal_column("'talk'", String).label("turn")
    return select(who, Talk.created_at, Talk.starts_at, null().label("body")).where(
        Talk.case_id == bindparam("case_id"), Talk.state == TalkState.BOOKED
    )


def booked(case: Case) -> list[Talk]:
    """Talks of a file that are booked, the next one first."""
    return list(db.session.scalars(_booked(), {"case_id": case.id}))


def of_today(staff: Staff) -> dict[str, Any]:
    """For the start page: my talks of today, and earlier ones of which nobody said what came."""
    start, end = clock.day_bounds(clock.today(), clock.today())
    asked = {"staff_id": staff.id, "end": end, "since": start - timedelta(days=60)}
    rows = db.session.execute(_of_today(), asked).all()[::-1]
    return {
        "talks_today": [row for row in rows if row.Talk.starts_at >= start],
        "talks_to_record": [row for row in rows if row.Talk.starts_at < start],
        "now": clock.now(),
    }


def digest(staff: Staff, day: date) -> list[Section]:
    """The talks of a day: when and on which file, without a name or a number."""
    whose = reading(staff, day)
    start, end = clock.day_bounds(day, day)
    rows = db.session.execute(
        select(Talk.starts_at, Talk.mode, Talk.adviser_id, Case.reference, Project.name.label("project"))
        .join(Case, Case.id == Talk.case_id)
        .join(Project, Project.id == Case.project_id)
        .where(Talk.adviser_id.in_([staff.id, *whose.absent]), Talk.state == _IS_BOOKED, told_of(whose))
        .where(Talk.starts_at >= start, Talk.starts_at < end)
        .order_by(Talk.starts_at, Talk.id)
        .limit(MOST_OF_TODAY)
    ).all()
    lines = [
        Line(
            row.reference,
            row.project,
            label("talks.mode", row.mode) + instead(row.adviser_id, whose),
            format_time(row.starts_at),
        )
        for row in rows
    ]
    return [Section("talks", lines)]


MOST_OF_TODAY = 40  # those of today first
_IS_BOOKED: Any = literal_column("'booked'")  # as the index of the few that are booked writes it


@cache
def _of_today() -> Any:
    instant = {name: bindparam(name, type_=UTCDateTime) for name in ("end", "since")}
    read = select(Talk, Case.reference, Contact.phone, Contact.phone_extension)
    return (
        named(read.join(Case, Case.id == Talk.case_id))
        .where(Talk.adviser_id == bindparam("staff_id"), Talk.state == _IS_BOOKED, visible_to(bindparam("staff_id")))
        .where(Talk.starts_at >= instant["since"], Talk.starts_at < instant["end"])
        .order_by(Talk.starts_at.desc(), Talk.id.desc())
        .limit(MOST_OF_TODAY)
    )


def coming(case: Case) -> list[Talk]:
    """The booked talks of a file that have not begun, the next one first."""
    now = clock.now()
    return [talk for talk in booked(case) if talk.starts_at > now]


def _of_file() -> tuple[Any, ...]:
    return Talk.case_id == bindparam("case_id"), Talk.state == TalkState.BOOKED


@cache
def _booked() -> Select[Talk]:
    return select(Talk).where(*_of_file()).options(joinedload(Talk.adviser)).order_by(Talk.starts_at)


def rows() -> Select[*tuple[Any, ...]]:
    """Talks of the file `case_id` that are booked, as a panel of its page reads them."""
    read = select(Talk.starts_at, Talk.id, Talk.minutes, Talk.mode, Staff.name).join(Staff, Staff.id == Talk.adviser_id)
    return read.where(*_of_file())


def book(
    case: Case, *, adviser: Staff, starts_at: datetime, minutes: int, mode: Mode, actor: Staff | None, buffer: int = 0
) -> Talk:
    """Fix a talk, and tell the person. Three business days after it, recording what was said comes due (section 14.1).

    Without an actor the person chose the time: a file that is nobody's goes to that adviser. Raises RefusedError when one
    of its quarters of an hour, buffer included, is taken: the database gives each to one talk.
    """
    _may_change(case)
    if starts_at <= clock.now():
        raise RefusedError(text("talks.refusal.past"))
    if actor is None and coming(case):
        raise RefusedError(text("talks.refusal.one_already"))
    talk = Talk(
        case_id=case.id,
        adviser_id=adviser.id,
        starts_at=starts_at,
        minutes=minutes,
        mode=mode,
        state=TalkState.BOOKED,
        created_at=clock.now(),
        sequence=0,
        reminded_for=_reminded_already(starts_at),
    )
    _take_cells(talk, minutes + buffer)
    if actor is None and case.owner_id is None:
        assign(case, adviser, None)
    codes = {"mode": mode, "at": starts_at.isoformat()}
    if actor is None:
        record("talk.chosen", case_id=case.id, actor=by(None), codes=codes)
        _tell_adviser(talk, case, "talks.told_chosen")
    else:
        record("talk.booked", case_id=case.id, actor=by(actor), codes=codes)
    set_rule_date(case, "record", _record_by(starts_at))
    _tell_person(talk, case, "talks.confirmed")
    return talk


def _may_change(case: Case, talk: Talk | None = None) -> None:
    """Refuse on a closed file, and when the talk is settled already."""
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    if talk is not None and talk.state is not TalkState.BOOKED:
        raise RefusedError(text("talks.refusal.ended"))


def _take_cells(talk: Talk, minutes: int) -> None:
    """Give a talk its quarters of an hour, and the talk its number. Raises RefusedError when one is another talk's."""
    try:
        with db.session.begin_nested():
            db.session.add(talk)
            db.session.flush()
            wanted = cells(talk.starts_at, minutes)
            db.session.add_all(TalkCell(adviser_id=talk.adviser_id, at=at, talk_id=talk.id) for at in wanted)
            db.session.flush()
    except IntegrityError:
        raise TakenError(text("talks.refusal.taken")) from None


def _free_cells(talk: Talk) -> None:
    db.session.execute(delete(TalkCell).where(TalkCell.talk_id == talk.id))


def move(talk: Talk, case: Case, *, starts_at: datetime, minutes: int, buffer: int) -> None:
    """The person takes the same talk at another time, with the same adviser. The time it had is free again, unless the new one is refused."""
    _may_change(case, talk)
    if starts_at <= clock.now():
        raise RefusedError(text("talks.refusal.past"))
    before = talk.starts_at
    if before == starts_at:
        return
    _free_cells(talk)
    talk.starts_at, talk.minutes, talk.sequence = starts_at, minutes, talk.sequence + 1
    talk.reminded_for = _reminded_already(starts_at)
    _take_cells(talk, minutes + buffer)
    record(
        "talk.moved_by_person",
        case_id=case.id,
        actor=by(None),
        codes={"from": before.isoformat(), "at": starts_at.isoformat()},
    )
    set_rule_date(case, "record", _record_by(starts_at))
    _tell_person(talk, case, "talks.moved")
    _tell_adviser(talk, case, "talks.told_moved")


def cancel(talk: Talk, case: Case, actor: Staff | None, *, tell: bool = True) -> None:
    """Cancel a talk that is still to come. Its time is free again, and the person is told unless there is nobody to tell."""
    talk.state, talk.ended_at, talk.sequence = TalkState.CANCELLED, clock.now(), talk.sequence + 1
    _free_cells(talk)
    record(
        "talk.cancelled" if actor else "talk.cancelled_by_person",
        case_id=case.id,
        actor=by(actor),
        codes={"at": talk.starts_at.isoformat()},
    )
    if talk.starts_at <= clock.now():
        return
    if tell:
        _tell_person(talk, case, "talks.cancelled")
    if actor is None:
        _tell_adviser(talk, case, "talks.told_cancelled")


def cancel_by_person(talk: Talk, case: Case) -> None:
    """The person does not come: a follow-up to agree on another time is planned for the next business day."""
    _may_change(case, talk)
    cancel(talk, case, None)
    plan_by_rule(case, "no_show", add_business_days(clock.today(), 1))
    keep_from_being_forgotten(case)


def ask_to_be_called(case: Case) -> bool:
    """The person prefers to be called: a follow-up for the next business day. False when they had asked already."""
    _may_change(case)
    if not plan_once(case, "call_person", add_business_days(clock.today(), 1)):
        return False
    record("talk.call_asked", case_id=case.id, actor=by(None))
    return True


def may_still_change(talk: Talk) -> bool:
    """Whether the person may still move or cancel: until the notice that the adviser set."""
    rules = db.session.get(TalkRules, talk.adviser_id)
    notice = rules.notice_hours if rules else DEFAULT["notice_hours"]
    return talk.state is TalkState.BOOKED and talk.starts_at - timedelta(hours=notice) > clock.now()


def _record_by(starts_at: datetime) -> date:
    return add_business_days(clock.local_date(starts_at), 3)


def moved(case: Case, move: Move, actor: Staff | None) -> None:
    """Closing cancels the talks still to come; entering discovery with one booked, recording it waits for the talk."""
    if move.to is Stage.CLOSED:
        for talk in booked(case):
            cancel(talk, case, actor, tell=move.closing_reason not in NOBODY_TO_TELL)
    elif move.to is Stage.DISCOVERY and (talks := booked(case)):
        set_rule_date(case, "record", _record_by(talks[0].starts_at))


def settle(talk: Talk, case: Case, state: TalkState, actor: Staff, summary: str) -> None:
    """Record whether a talk was held, missed by the person, or cancelled. A missed one makes a dated follow-up."""
    _may_change(case, talk)
    if state is not TalkState.CANCELLED and talk.starts_at > clock.now():
        raise RefusedError(text("talks.refusal.not_yet"))
    if state is TalkState.CANCELLED:
        cancel(talk, case, actor)
    else:
        talk.state, talk.ended_at = state, clock.now()
        held = state is TalkState.HELD
        record_exchange(
            case,
            kind=ExchangeKind.CALL if talk.mode is Mode.PHONE else ExchangeKind.MEETING,
            direction=ExchangeDirection.OUTGOING,
            result=ExchangeResult.TWO_WAY if held else ExchangeResult.ATTEMPT,
            happened_at=talk.starts_at,
            minutes=talk.minutes if held else None,
            summary=summary,
            actor=actor,
        )
    if state is not TalkState.HELD:
        plan_by_rule(case, "no_show", add_business_days(clock.today(), 1))
    keep_from_being_forgotten(case)


# --- telling the person and the adviser ------------------------------------------------------------------------------


def when(talk: Talk, lang: str) -> str:
    """le mercredi 25 novembre 2026, de 14 h à 14 h 30 (heure de l’Est): the zone is always named."""
    with speaking(lang):
        return text(
            "talks.when",
            day=format_weekday_date(clock.local_date(talk.starts_at)),
            begins=format_time(talk.starts_at),
            ends=format_time(talk.starts_at + timedelta(minutes=talk.minutes)),
        )


def where(talk: Talk, case: Case, lang: str) -> str:
    """How the talk is held: who calls whom, the video address, or the place."""
    with speaking(lang):
        way = label("talks.mode", talk.mode)
        if talk.mode is Mode.PHONE:
            number = format_phone(case.contact.phone, case.contact.phone_extension)
            return text("talks.call_at", number=number) if number else way
        rules = db.session.get(TalkRules, talk.adviser_id)
        there = (rules.video_address if talk.mode is Mode.VIDEO else rules.place) if rules else ""
        return f"{way} – {there}" if there else way


def _tell_person(talk: Talk, case: Case, kind: str) -> None:
    """Nothing leaves for a file that is set aside; what should have left does when it is released."""
    if not case.contact.email or case.quarantined:
        return
    lang = case.language
    adviser = db.session.get_one(Staff, talk.adviser_id)
    queue(
        kind,
        dedupe_key=f"talk:{talk.id}:{talk.sequence}:{kind}",
        to=(case.contact.email, case.contact.name),
        language=lang,
        values={
            "name": case.contact.name,
            "when": when(talk, lang),
            "where": where(talk, case, lang),
            "adviser": adviser.name,
            "reference": case.reference,
            "address_of_page": address_of_page(lang),
        },
        case_id=case.id,
        link=link_of(case),
        subject_ids={"talk": talk.id, "sequence": talk.sequence},
    )


def _tell_adviser(talk: Talk, case: Case, kind: str) -> None:
    adviser = db.session.get_one(Staff, talk.adviser_id)
    if not wants_at_once(adviser, MAIL):
        return
    queue(
        kind,
        dedupe_key=f"talk:{talk.id}:{talk.sequence}:{kind}",
        to=(adviser.email, adviser.name),
        language=adviser.language,
        values={
            "name": adviser.name,
            "when": when(talk, adviser.language),
            "reference": case.reference,
            "address_of_file": address_of_file(case),
        },
        case_id=case.id,
        subject_ids={"talk": talk.id, "sequence": talk.sequence},
        staff_id=adviser.id,
    )


def tell_of_coming(case: Case) -> None:
    """A file was released from quarantine: its talk is confirmed now."""
    for talk in coming(case):
        _tell_person(talk, case, "talks.confirmed")


def still_so(message: Message) -> bool:
    """Whether a message about a talk is still true: the talk did not change since, and has not begun."""
    talk = db.session.get(Talk, message.subject_ids["talk"])
    if talk is None or talk.sequence != message.subject_ids["sequence"]:
        return False
    return talk.state in {TalkState.CANCELLED, TalkState.BOOKED} and talk.starts_at > clock.now()


def calendar_file(message: Message) -> Attachment:
    """The calendar file that goes along with what a person is told of a talk."""
    talk = db.session.get_one(Talk, message.subject_ids["talk"])
    case = db.session.get_one(Case, talk.case_id)
    cancelled = talk.state is TalkState.CANCELLED
    content = calendars.file_of(
        talk, case, where=where(talk, case, message.language), cancelled=cancelled, language=message.language
    )
    method = "CANCEL" if cancelled else "REQUEST"
    with speaking(message.language):
        return Attachment(text("talks.calendar.file"), "calendar", content, (("method", method), ("charset", "utf-8")))


def _reminded_already(starts_at: datetime) -> datetime | None:
    """A talk fixed on the very day its reminder would leave needs none: the confirmation has just left."""
    return starts_at if _remind_on(starts_at) <= clock.today() else None


def _remind_on(starts_at: datetime) -> date:
    """The business day before a talk."""
    day = clock.local_date(starts_at) - timedelta(days=1)
    while not is_business_day(day):
        day -= timedelta(days=1)
    return day


def remind() -> int:
    """Job: the business day before a talk, from eight o'clock, remind the person, once. Returns how many."""
    now = clock.now()
    if clock.local(now).hour < REMIND_AT_HOUR:
        return 0
    soon = (
        select(Talk)
        .where(Talk.state == TalkState.BOOKED, Talk.starts_at > now, Talk.starts_at < now + timedelta(days=8))
        .where(or_(Talk.reminded_for.is_(None), Talk.reminded_for != Talk.starts_at))
        .with_for_update(skip_locked=True)
    )
    reminded = 0
    for talk in db.session.scalars(soon).all():
        if _remind_on(talk.starts_at) <= clock.local_date(now):
            talk.reminded_for = talk.starts_at
            _tell_person(talk, db.session.get_one(Case, talk.case_id), "talks.reminder")
            reminded += 1
    return reminded


def guard(case: Case, move: Move) -> list[Refusal]:
    """Discovery starts with a two-way exchange, or with a talk booked for a date."""
    if move.to is not Stage.DISCOVERY or move.origin is not Stage.CONTACT:
        return []
    spoke = select(Exchange.id).where(Exchange.case_id == case.id, Exchange.result == ExchangeResult.TWO_WAY)
    will_speak = select(Talk.id).where(Talk.case_id == case.id, Talk.state == TalkState.BOOKED)
    found = db.session.scalar(spoke.limit(1)) or db.session.scalar(will_speak.limit(1))
    return [] if found else [Refusal("needs_exchange")]
