"""Which times are offered, and to whom: advisers' hours, their rules, and what is taken already."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select

from crm import clock
from crm.access import CASE_ROLES
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import db
from crm.talks.models import Mode, Opening, OpeningException, Talk, TalkCell, TalkRules, TalkState
from crm.talks.slots import DAYS_AHEAD, Span, free_starts, read_spans, write_spans

DEFAULT = {"minutes": 30, "buffer": 15, "notice_hours": 24}


@dataclass(frozen=True)
class Offer:
    """A start, and the advisers who are free then, the least busy first."""

    starts_at: datetime
    advisers: tuple[int, ...]


def offers(case: Case, mode: Mode | None = None, *, moving: Talk | None = None) -> list[Offer]:
    """Times of advisers who speak the person's language and serve their region; its owner's only, once a file has one.

    `mode` keeps those who talk that way. A talk that is `moving` stays with its adviser, and its own cells count as free.
    """
    now = clock.now()
    only = moving.adviser_id if moving else case.owner_id
    rules = [rule for rule in _rules(case, only) if mode is None or mode in rule.modes]
    staff = [rule.staff_id for rule in rules]
    if not staff:
        return []
    weekly, exceptions, taken, load = (
        _weekly(staff),
        _exceptions(staff, now),
        _taken(staff, now, moving),
        _load(staff, now),
    )
    found: dict[datetime, list[int]] = defaultdict(list)
    for rule in sorted(rules, key=lambda rule: (load.get(rule.staff_id, 0), rule.staff_id)):
        for start in free_starts(
            now=now,
            weekly=weekly[rule.staff_id],
            exceptions=exceptions[rule.staff_id],
            minutes=moving.minutes if moving else rule.minutes,
            buffer=rule.buffer,
            notice_hours=rule.notice_hours,
            taken=taken[rule.staff_id],
        ):
            found[start].append(rule.staff_id)
    return [Offer(start, tuple(advisers)) for start, advisers in sorted(found.items())]


def _rules(case: Case, only: int | None) -> list[TalkRules]:
    statement = (
        select(TalkRules)
        .join(Staff, Staff.id == TalkRules.staff_id)
        .where(TalkRules.offered.is_(True), Staff.active.is_(True), Staff.role.in_(CASE_ROLES))
    )
    if only is not None:
        statement = statement.where(TalkRules.staff_id == only)
    spoken = {"fr", "en"} if case.contact.language == "either" else {str(case.contact.language)}
    region = case.project.region
    return [
        rule
        for rule in db.session.scalars(statement)
        if spoken & set(rule.languages) and (not rule.regions or region in rule.regions)
    ]


def modes_offered(case: Case) -> list[Mode]:
    """The ways of talking that at least one of these advisers offers."""
    rules = _rules(case, case.owner_id)
    return [mode for mode in Mode if any(mode in rule.modes for rule in rules)]


def _weekly(staff: Sequence[int]) -> Mapping[int, dict[int, list[Span]]]:
    found: dict[int, dict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for row in db.session.scalars(select(Opening).where(Opening.staff_id.in_(staff))):
        found[row.staff_id][row.weekday].append((row.starts, row.ends))
    return found


def _exceptions(staff: Sequence[int], now: datetime) -> Mapping[int, dict[date, list[Span]]]:
    found: dict[int, dict[date, list[Span]]] = defaultdict(dict)
    coming = OpeningException.day >= clock.local_date(now)
    for row in db.session.scalars(select(OpeningException).where(OpeningException.staff_id.in_(staff), coming)):
        found[row.staff_id][row.day] = read_spans(row.hours) or []
    return found


def _taken(staff: Sequence[int], now: datetime, moving: Talk | None) -> Mapping[int, set[datetime]]:
    found: dict[int, set[datetime]] = defaultdict(set)
    coming = select(TalkCell.adviser_id, TalkCell.at).where(
        TalkCell.adviser_id.in_(staff), TalkCell.at > now, TalkCell.at < now + timedelta(days=DAYS_AHEAD + 1)
    )
    if moving is not None:
        coming = coming.where(TalkCell.talk_id != moving.id)
    for row in db.session.execute(coming):
        found[row.adviser_id].add(row.at)
    return found


def _load(staff: Sequence[int], now: datetime) -> dict[int, int]:
    coming = (
        select(Talk.adviser_id, func.count(Talk.id))
        .where(Talk.adviser_id.in_(staff), Talk.state == TalkState.BOOKED, Talk.starts_at > now)
        .group_by(Talk.adviser_id)
    )
    return {row[0]: row[1] for row in db.session.execute(coming)}


# --- an adviser's own ------------------------------------------------------------------------------------------------


def rules_of(staff: Staff) -> TalkRules:
    """An adviser's rules; those of a beginning when none were saved yet."""
    kept = db.session.get(TalkRules, staff.id)
    return kept or TalkRules(
        staff_id=staff.id,
        offered=False,
        languages=[staff.language],
        modes=[Mode.PHONE.value, Mode.VIDEO.value],
        regions=[],
        video_address="",
        place="",
        version=0,
        **DEFAULT,
    )


def weekly_of(staff: Staff) -> dict[int, str]:
    """The hours of each weekday as they are typed."""
    hours = _weekly([staff.id])[staff.id]
    return {weekday: write_spans(hours.get(weekday, ())) for weekday in range(7)}


def save_weekly(staff: Staff, weekly: Mapping[int, Sequence[Span]]) -> None:
    """Replace an adviser's weekly hours. Talks already booked stay."""
    db.session.execute(delete(Opening).where(Opening.staff_id == staff.id))
    db.session.add_all(
        Opening(staff_id=staff.id, weekday=weekday, starts=starts, ends=ends)
        for weekday, spans in weekly.items()
        for starts, ends in spans
    )


def exceptions_of(staff: Staff) -> list[OpeningException]:
    """Days to come that are not like their weekday."""
    coming = select(OpeningException).where(
        OpeningException.staff_id == staff.id, OpeningException.day >= clock.today()
    )
    return list(db.session.scalars(coming.order_by(OpeningException.day)))


def save_exception(staff: Staff, day: date, spans: Sequence[Span]) -> None:
    """Other hours on one day; none of them when it is closed. Typing a day again replaces what was there."""
    kept = db.session.get(OpeningException, (staff.id, day))
    if kept is None:
        kept = OpeningException(staff_id=staff.id, day=day)
        db.session.add(kept)
    kept.hours = write_spans(spans)


def forget_exception(staff: Staff, day: date) -> None:
    """That day is like its weekday again."""
    db.session.execute(
        delete(OpeningException).where(OpeningException.staff_id == staff.id, OpeningException.day == day)
    )
