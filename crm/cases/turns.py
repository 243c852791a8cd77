"""Whose turn it is on a file. The rule is pure; `settle` applies it to what the features say, and is the one place that writes it.

A feature says who holds a file by a claim: a row (turn, since, until, body) for `case_id`. It offers them as a select (`Feature.case_turns`),
and the claims of all features are read in one statement. `until` may be a day: the claim then ends as that day begins in Montréal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, bindparam, select, update

from crm import clock
from crm.cases.models import Case, TurnSpell
from crm.cases.vocabulary import Stage, Turn
from crm.db import as_one_value, db, listed, read_instant, repoint
from crm.feature import plugged


@dataclass(frozen=True)
class Claim:
    """Somebody who holds a file, since an instant and, where it ends by itself, until another."""

    turn: Turn
    since: datetime
    until: datetime | None = None
    body_id: int | None = None


def whose(
    stage: Stage,
    claims: Iterable[Claim],
    *,
    now: datetime,
    was: Claim,
    stage_since: datetime,
    unanswered_since: datetime | None,
) -> Claim:
    """Who holds a file now.

    What somebody did and waits for us to act on comes first, then a talk that is booked, a first reply that is owed
    (`unanswered_since`), a body that has not answered, and the person. With nothing of these it is the team's turn, since
    it became so. `was` is who held it before.
    """
    if stage is Stage.CLOSED:
        return Claim(Turn.NOBODY, stage_since)
    live: dict[Turn, list[Claim]] = {}
    for claim in claims:
        if claim.until is None or claim.until > now:
            live.setdefault(claim.turn, []).append(claim)
    if Turn.TEAM in live:
        return min(live[Turn.TEAM], key=lambda one: one.since)
    if Turn.TALK in live:
        return min(live[Turn.TALK], key=lambda one: one.until or now)
    if unanswered_since is not None:
        return Claim(Turn.TEAM, unanswered_since)
    if Turn.BODY in live:
        return min(live[Turn.BODY], key=lambda one: one.since)
    if Turn.PERSON in live:
        # Of several things the person was asked, the one that stays longest: one without an end stays until it is answered.
        return max(live[Turn.PERSON], key=lambda one: (one.until is None, one.until or now))
    if stage is Stage.PAUSED:
        return Claim(Turn.PERSON, stage_since)
    if was.turn is Turn.TEAM:
        return Claim(Turn.TEAM, was.since)
    lapsed = was.until is not None and was.until <= now
    return Claim(Turn.TEAM, was.until if lapsed and was.until else now)


def held(spells: Iterable[tuple[Turn, datetime, datetime | None]], now: datetime) -> Mapping[Turn, int]:
    """Whole days that each held a file, over all its spells; those who never did are left out."""
    seconds: dict[Turn, float] = {}
    for turn, entered, left in spells:
        seconds[turn] = seconds.get(turn, 0.0) + max(0.0, ((left or now) - entered).total_seconds())
    return {turn: int(total // 86400) for turn, total in seconds.items()}


def unanswered(case: Case) -> datetime | None:
    """Since when a first reply is owed to the person; None when it was given or is past."""
    owed = case.stage in {Stage.NEW, Stage.CONTACT} and case.first_reply_at is None
    return case.received_at if owed else None


def now_on(case: Case, now: datetime) -> Claim:
    """Who holds a file, as it was last settled; one whose time has passed came back to the team by itself."""
    if case.turn_until is not None and case.turn_until <= now:
        return Claim(Turn.TEAM, case.turn_until)
    return Claim(case.turn, case.turn_since, case.turn_until, case.turn_body_id)


def selects(dialect: str) -> list[Any]:
    """What `settle` needs of one file, `case_id`, as values of one statement: what each feature claims."""
    return [as_one_value(rows(), dialect) for rows in plugged("case_turns")]


def _read(row: list[Any]) -> Claim:
    turn, since, until, body_id = row
    return Claim(Turn(turn), read_instant(since), _read_until(until), body_id)


def _read_until(value: str | None) -> datetime | None:
    if value is None:
        return None
    return clock.at_local(date.fromisoformat(value), 0) if len(value) == 10 else read_instant(value)


def spells() -> Select[*tuple[Any, ...]]:
    """Who held a file, for the case page."""
    return select(TurnSpell.turn, TurnSpell.entered_at, TurnSpell.left_at).where(
        TurnSpell.case_id == bindparam("case_id")
    )


def shown(rows: list[list[Any]]) -> dict[str, Any]:
    """Days that each held the file, for the case page."""
    read = [(Turn(turn), read_instant(entered), read_instant(left) if left else None) for turn, entered, left in rows]
    days = held(read, clock.now())
    return {"held": [(turn, days[turn]) for turn in Turn if turn in days and turn is not Turn.NOBODY]}


def begin(case: Case) -> None:
    """A file just opened is the team's, as it was made, since its request was received."""
    db.session.add(TurnSpell(case_id=case.id, turn=Turn.TEAM, entered_at=case.received_at))


def held_by_another(gone: int, kept: int) -> None:
    """Two bodies, by number, are one from now on: whatever the one held, the other holds, and did."""
    for column in (Case.turn_body_id, TurnSpell.body_id):
        repoint(column, gone, kept)


def settle(case: Case, values: Sequence[Any]) -> bool:
    """Say whose turn it is from what the features claim now, as `selects` gave it; True when somebody else holds the file."""
    now = clock.now()
    found = whose(
        case.stage,
        [_read(row) for value in values for row in listed(value)],
        now=now,
        was=Claim(case.turn, case.turn_since, case.turn_until, case.turn_body_id),
        stage_since=case.stage_since,
        unanswered_since=unanswered(case),
    )
    changed = (found.turn, found.body_id) != (case.turn, case.turn_body_id)
    if changed:
        lapsed = case.turn_until if case.turn_until is not None and case.turn_until <= now else None
        at = lapsed or now  # spells follow each other, whatever a claim says of its beginning
        db.session.execute(
            update(TurnSpell).where(TurnSpell.case_id == case.id, TurnSpell.left_at.is_(None)).values(left_at=at)
        )
        db.session.add(TurnSpell(case_id=case.id, turn=found.turn, body_id=found.body_id, entered_at=at))
    case.turn, case.turn_since, case.turn_until, case.turn_body_id = found.turn, found.since, found.until, found.body_id
    return changed
