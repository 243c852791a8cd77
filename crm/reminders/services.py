"""Planning, completing and moving follow-ups, and the reminders that they send.

Truth 1: an open file always has a dated next step with an owner. Every verb here that ends a follow-up calls
`keep_from_being_forgotten`, which gives the file a step rather than leave it with none.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Select,
    String,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased, joinedload

from crm import clock
from crm.absences.services import stands_in
from crm.access import CASE_ROLES
from crm.accounts.choices import wants_at_once
from crm.accounts.models import Staff
from crm.accounts.queries import duty_person
from crm.accounts.services import by
from crm.business_days import add_business_days, next_business_day
from crm.cases import pipeline
from crm.cases.addresses import address_of_file
from crm.cases.merging import move_rows, return_rows
from crm.cases.models import Case
from crm.cases.pipeline import Move, Refusal
from crm.cases.queries import is_held, may_see, visible_to
from crm.cases.vocabulary import Stage, Turn
from crm.db import db, rows_of, touch
from crm.errors import RefusedError
from crm.i18n import speaking
from crm.outbox.models import Message, Status
from crm.outbox.services import queue
from crm.reminders import rules
from crm.reminders.models import THEY_WAIT, FollowUp, State
from crm.reminders.plans import in_force
from crm.reminders.rules import Repeat
from crm.reminders.words import title_of, when
from crm.texts import label, text
from crm.timeline.models import ActorKind
from crm.timeline.services import SYSTEM, record

REMIND_AT_HOUR = 8  # local time on the due date
MAIL = "follow_ups"  # the kind of mail that people choose about


def holds(case: Any, at: datetime) -> ColumnElement[bool]:
    """A file is held at an instant by an open follow-up that somebody owns; being late still counts as holding."""
    return exists().where(
        FollowUp.case_id == case.id,
        FollowUp.created_at <= at,
        or_(FollowUp.ended_at.is_(None), FollowUp.ended_at > at),
        FollowUp.owner_id.is_not(None),
    )


def turns_of_ours() -> Select[*tuple[Any, ...]]:
    """What somebody else did, and waits for us to act on, makes it our turn."""
    who = literal_column("'team'", String).label("turn")
    return select(who, FollowUp.created_at, null().label("until"), null().label("body")).where(
        FollowUp.case_id == bindparam("case_id"),
        FollowUp.state == State.TODO,
        FollowUp.rule.in_(rules.THEY_ACTED),
    )


def turns_waited() -> Select[*tuple[Any, ...]]:
    """A follow-up that waits on the person leaves it their turn until it is due."""
    who = cast(FollowUp.waiting_on, String).label("turn")
    return select(who, FollowUp.created_at, FollowUp.due_on, null().label("body")).where(
        FollowUp.case_id == bindparam("case_id"), FollowUp.state == State.TODO, FollowUp.waiting_on.is_not(None)
    )


def they_acted() -> list[tuple[str, str]]:
    """What somebody did that waits for us, as lists of files are narrowed by it."""
    return [(rule, label("reminders.rule", rule)) for rule in rules.THEY_ACTED]


def has_todo(which: Any) -> ColumnElement[bool]:
    """Files that have an open follow-up of one of some rules, of those of THEY_ACTED."""
    return Case.id.in_(select(FollowUp.case_id).where(THEY_WAIT, FollowUp.rule.in_(which)))


def typed_ones() -> Select[*tuple[Any, ...]]:
    """What people typed of follow-ups, for search."""
    return select(FollowUp.case_id, FollowUp.id, FollowUp.title, FollowUp.reason).where(FollowUp.rule == "")


def open_ones(case: Case) -> Sequence[FollowUp]:
    """The open follow-ups of a file with their owners, the earliest first."""
    return db.session.scalars(_open_ones(), {"case_id": case.id}).all()


@cache
def _open_ones() -> Select[FollowUp]:
    return (
        select(FollowUp)
        .where(FollowUp.case_id == bindparam("case_id"), FollowUp.state == State.TODO)
        .options(joinedload(FollowUp.owner).load_only(Staff.name))
        .order_by(FollowUp.due_on, FollowUp.id)
    )


def plan_by_hand(
    case: Case,
    *,
    title: str,
    reason: str,
    due_on: date,
    owner: Staff,
    actor: Staff,
    waiting_on: Turn | None = None,
    due_minute: int = rules.ANY_TIME,
    repeat: Repeat | None = None,
) -> FollowUp:
    """A follow-up a person types. Its due date moves to the next business day.

    `waiting_on` says whose turn it is meanwhile; when it comes due, the turn is ours again. `due_minute` is the minute of that day in
    Montréal. One that repeats comes back when it is done, counted from the day typed here.
    """
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    follow_up = _make(
        case,
        due_on=next_business_day(due_on),
        owner=owner,
        title=title,
        reason=reason,
        actor=actor,
        waiting_on=waiting_on,
        due_minute=due_minute,
        repeat=repeat,
        series_on=due_on if repeat else None,
    )
    _tell("planned", follow_up, by(actor), dated=True)
    settle(case, ("decide",), ("",), actor)  # what comes next was to be decided, and was
    return follow_up


def plan_by_rule(case: Case, rule: str, due_on: date, about: str = "") -> FollowUp:
    """A follow-up a rule makes, for the file's owner or, while it has none, the duty person. Never on a closed file.

    `about` tells apart two of one rule on a file: the name of the body that answered.
    """
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    _wait_no_longer(case, rule)
    follow_up = _make(case, due_on=due_on, owner=case.owner or duty_person(), rule=rule, reason=about)
    refresh(case)
    return follow_up


def chase(case: Case, on: date) -> FollowUp:
    """The person was asked something: it is their turn until a day, when somebody gets back to them."""
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    due_on, owner = next_business_day(on), case.owner or duty_person()
    follow_up = _make(case, due_on=due_on, owner=owner, rule="chase", waiting_on=Turn.PERSON)
    refresh(case)
    return follow_up


def plan_once(case: Case, rule: str, due_on: date) -> bool:
    """What a rule plans, unless it is planned and open already; whether it was planned now."""
    there = select(FollowUp.id).where(FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == rule)
    if db.session.scalar(there.limit(1)) is not None:
        _wait_no_longer(case, rule)
        return False
    plan_by_rule(case, rule, due_on)
    return True


def _wait_no_longer(case: Case, rule: str) -> None:
    """Somebody did something: what waited on the person waits no longer and stays planned; what was to come back at an answer is due at once."""
    who = rules.who_acted(rule)
    if who is None:
        return
    here = FollowUp.case_id == case.id, FollowUp.state == State.TODO
    today = next_business_day(clock.today())
    for follow_up in db.session.scalars(select(FollowUp).where(*here, FollowUp.wakes_on == who)):
        follow_up.wakes_on = None
        if follow_up.due_on > today:
            follow_up.due_on, follow_up.reminded_on, follow_up.due_minute = today, None, rules.ANY_TIME
            _tell("woken", follow_up, SYSTEM, dated=True)
    if who is Turn.PERSON:
        db.session.execute(
            update(FollowUp)
            .where(*here, FollowUp.waiting_on == Turn.PERSON)
            .values(waiting_on=None)
            .execution_options(synchronize_session="fetch")
        )


def set_rule_date(case: Case, rule: str, due_on: date) -> None:
    """Move what a rule already planned to another day, or plan it."""
    moved_along = db.session.execute(
        update(FollowUp)
        .where(FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == rule)
        .values(due_on=due_on, first_due_on=due_on, reminded_on=None)
        .execution_options(synchronize_session="fetch")
    )
    if not moved_along.rowcount:  # type: ignore[attr-defined]
        plan_by_rule(case, rule, due_on)
    refresh(case)


def settle(case: Case, planned: Collection[str], about: Collection[str], actor: Staff | None = None) -> bool:
    """What some rules planned about something (a body's name, or nothing) is done by what happened, or by what somebody did; whether there was any."""
    settled = db.session.execute(
        update(FollowUp)
        .where(FollowUp.case_id == case.id, FollowUp.state == State.TODO)
        .where(FollowUp.rule.in_(planned), FollowUp.reason.in_(about))
        .values(state=State.DONE, ended_at=clock.now(), ended_by_id=actor.id if actor else None)
        .execution_options(synchronize_session="fetch")
    )
    refresh(case)
    return bool(settled.rowcount)  # type: ignore[attr-defined]


def rename_about(files: Select[Any], names: Mapping[str, str]) -> None:
    """What is planned about something that has another name from now on, on some files, is told apart by that name."""
    for before, after in names.items():
        db.session.execute(
            update(FollowUp)
            .where(FollowUp.case_id.in_(files), FollowUp.state == State.TODO, FollowUp.reason == before)
            .values(reason=after)
            .execution_options(synchronize_session="fetch")
        )


def _make(
    case: Case,
    *,
    due_on: date,
    owner: Staff | None,
    rule: str = "",
    title: str = "",
    reason: str = "",
    actor: Staff | None = None,
    waiting_on: Turn | None = None,
    due_minute: int = rules.ANY_TIME,
    repeat: Repeat | None = None,
    series_on: date | None = None,
) -> FollowUp:
    follow_up = FollowUp(
        case_id=case.id,
        owner_id=owner.id if owner else None,
        rule=rule,
        title=title,
        reason=reason,
        waiting_on=waiting_on,
        due_on=due_on,
        due_minute=due_minute,
        first_due_on=due_on,
        repeat=repeat,
        series_on=series_on,
        state=State.TODO,
        created_at=clock.now(),
        created_by_id=actor.id if actor else None,
        outcome="",
    )
    db.session.add(follow_up)
    return follow_up


def complete(follow_up: FollowUp, case: Case, actor: Staff | None, outcome: str = "") -> bool:
    """Mark as done; without an actor, it is the entrepreneur's own doing. One that repeats comes back. When nothing else holds the file, somebody gets a
    step to decide what comes next, and this is true: a caller who knows better plans it before.
    """
    return _end(follow_up, case, State.DONE, actor, outcome)


def cancel(follow_up: FollowUp, case: Case, actor: Staff) -> None:
    """Take a follow-up off the list; the file is never left with none."""
    _end(follow_up, case, State.CANCELLED, actor, "")


def check_open(follow_up: FollowUp) -> None:
    """Raises RefusedError for one that was completed or cancelled meanwhile."""
    if follow_up.state is not State.TODO:
        raise RefusedError(text("reminders.refusal.already_ended"))


def _end(follow_up: FollowUp, case: Case, state: State, actor: Staff | None, outcome: str) -> bool:
    check_open(follow_up)
    follow_up.state = state
    follow_up.ended_at = clock.now()
    follow_up.ended_by_id = actor.id if actor else None
    follow_up.outcome = outcome
    _tell(state, follow_up, by(actor), more={"outcome": outcome} if outcome else None)
    if state is State.DONE and follow_up.repeat is not None:
        _tell("planned", _comes_back(follow_up, case), by(actor), dated=True)
    return keep_from_being_forgotten(case)


def _comes_back(follow_up: FollowUp, case: Case) -> FollowUp:
    """The next of what repeats: the first day of its series that is after today and after the day it was for."""
    begun_on, repeat = follow_up.series_on or follow_up.first_due_on, follow_up.repeat
    assert repeat is not None  # noqa: S101 - the caller looked
    return _make(
        case,
        due_on=next_business_day(rules.following(begun_on, repeat, max(clock.today(), follow_up.first_due_on))),
        owner=follow_up.owner or case.owner or duty_person(),
        title=follow_up.title,
        reason=follow_up.reason,
        waiting_on=follow_up.waiting_on,
        due_minute=follow_up.due_minute,
        repeat=repeat,
        series_on=begun_on,
    )


def _told(follow_up: FollowUp) -> tuple[dict[str, Any], dict[str, Any]]:
    """A follow-up's title for an event: the rule's code, named when it is read, or the words a person typed."""
    return ({}, {"title": follow_up.title}) if follow_up.title else ({"rule": follow_up.rule}, {})


def _tell(
    what: str,
    follow_up: FollowUp,
    actor: tuple[ActorKind, int | None],
    *,
    dated: bool = False,
    more: dict[str, str] | None = None,
) -> None:
    """The file's history says what became of a follow-up and, where it is dated, for which day it is now."""
    codes, title = _told(follow_up)
    if dated:
        codes["due_on"] = follow_up.due_on.isoformat()
    record(f"follow_up.{what}", case_id=follow_up.case_id, actor=actor, codes=codes, detail=title | (more or {}))


def snooze(
    follow_up: FollowUp,
    case: Case,
    until: date,
    actor: Staff,
    *,
    wakes_on: Turn | None = None,
    owner: Staff | None = None,
) -> None:
    """Move the due date; the first one is kept for the indicator, and the reminder will leave on the new one.

    `wakes_on` brings it back as soon as the person, or a body, answers; until then it is the person's turn. `owner` hands it to somebody.
    """
    check_open(follow_up)
    follow_up.due_on, follow_up.reminded_on, follow_up.wakes_on = next_business_day(until), None, wakes_on
    if wakes_on is Turn.PERSON:
        follow_up.waiting_on = Turn.PERSON
    _tell("snoozed", follow_up, by(actor), dated=True)
    if owner is not None and owner.id != follow_up.owner_id:
        follow_up.owner_id = owner.id
        _tell("handed", follow_up, by(actor), more={"to_name": owner.name})
    refresh(case)


def keep_from_being_forgotten(case: Case) -> bool:
    """Give an open file that nothing holds a step for the next business day; True when it needed one."""
    db.session.flush()  # the question below is asked of the database
    needed = case.stage is not Stage.CLOSED and not db.session.scalar(
        select(Case.id).where(Case.id == case.id, is_held())
    )
    if needed:
        _make(case, due_on=add_business_days(clock.today(), 1), owner=case.owner or duty_person(), rule="decide")
    refresh(case)
    return bool(needed)


def decides(case: Case) -> bool:
    """Whether all that is planned on a file is to decide what comes next."""
    return {one.rule for one in open_ones(case)} == {"decide"}


def refresh(case: Case) -> None:
    """A file's `next_step_on`, as the database sees it; whose turn it is follows from it too."""
    touch(case.id)
    db.session.flush()  # the minimum below is asked of the database
    case.next_step_on = db.session.scalar(
        select(func.min(FollowUp.due_on)).where(FollowUp.case_id == case.id, FollowUp.state == State.TODO)
    )


def guard(case: Case, move: Move) -> list[Refusal]:
    """What a person planned is never thrown away by closing, unless the closing settles everything by itself."""
    if move.to is not Stage.CLOSED or move.closing_reason in pipeline.SETTLING:
        return []
    count = db.session.scalar(
        select(func.count(FollowUp.id)).where(
            FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == ""
        )
    )
    return [Refusal("open_follow_ups", {"count": str(count)}, feature="reminders")] if count else []


def moved(case: Case, move: Move, _actor: Staff | None) -> None:
    """Leaving a stage cancels what its rules had planned; entering one plans anew. Closing ends all that is open."""
    opening = move.to is move.origin
    if not opening:
        # What a body answered or the person wrote still has to be acted on, wherever the file goes.
        automatic = (FollowUp.rule.not_in(rules.OUTLIVE_A_STAGE),) if move.to is not Stage.CLOSED else ()
        db.session.execute(
            update(FollowUp)
            .where(FollowUp.case_id == case.id, FollowUp.state == State.TODO, *automatic)
            .values(state=State.CANCELLED, ended_at=clock.now())
            .execution_options(synchronize_session="fetch")
        )
    planned = rules.plan(
        move.to, move.today, reply_due_on=case.reply_due_on, return_on=move.return_on, steps=in_force()
    )
    owner = (case.owner or duty_person()) if planned else None
    for one in planned:
        _make(case, due_on=one.due_on, owner=owner, rule=one.rule)
    if opening:  # nothing else is planned yet: no need to ask the database
        case.next_step_on = min((one.due_on for one in planned), default=None)
    else:
        refresh(case)


def hand_over(case: Case, former_id: int | None, to: Staff) -> None:
    """When a file changes hands, what its former owner or nobody in particular had to do moves along."""
    theirs = or_(FollowUp.owner_id == former_id, FollowUp.owner_id.is_(None), FollowUp.rule != "")
    db.session.execute(
        update(FollowUp)
        .where(FollowUp.case_id == case.id, FollowUp.state == State.TODO, theirs)
        .values(owner_id=to.id, reminded_on=None)
        .execution_options(synchronize_session="fetch")
    )
    _start_reaching(case, to)


def _start_reaching(case: Case, owner: Staff) -> None:
    """A new request that found its owner: assigning it is done, reaching the person by the promised date is next."""
    if settle(case, ("assign",), ("",), owner):
        planned = rules.plan(Stage.CONTACT, clock.today(), reply_due_on=case.reply_due_on, steps=in_force())
        for first in planned[:1]:
            _make(case, due_on=first.due_on, owner=owner, rule=first.rule)
        refresh(case)


def move_on(gone: Case, kept: Case) -> dict[str, list[int]]:
    """Merging: all that was done or typed goes along, and what outlives a stage; the plan of the stage it leaves does not.

    The kept file has a plan of its own: the other's is cancelled when it closes, and named here for `move_back`.
    """
    plan = select(FollowUp.id).where(
        FollowUp.case_id == gone.id, FollowUp.state == State.TODO, FollowUp.rule.not_in(rules.OUTLIVE_A_STAGE)
    )
    planned = list(db.session.scalars(plan))
    moved = move_rows(FollowUp, gone.id, kept.id, FollowUp.id.not_in(planned))
    refresh(kept)
    return {"moved": moved, "planned": planned}


def move_back(gone: Case, kept: Case, journal: dict[str, list[int]]) -> None:
    """Undoing: each goes back, and the plan that closing cancelled is open again."""
    return_rows(FollowUp, gone.id, kept.id, journal["moved"])
    if gone.stage is not Stage.CLOSED and journal["planned"]:
        db.session.execute(
            update(FollowUp)
            .where(FollowUp.id.in_(journal["planned"]), FollowUp.state == State.CANCELLED)
            .values(state=State.TODO, ended_at=None, ended_by_id=None, reminded_on=None)
            .execution_options(synchronize_session="fetch")
        )
    refresh(gone)
    refresh(kept)


def adopt_from(leaver: Staff, to: Staff | None) -> None:
    """When an account closes: every follow-up it still holds, on anybody's file, goes to the duty person."""
    db.session.execute(
        update(FollowUp)
        .where(FollowUp.owner_id == leaver.id, FollowUp.state == State.TODO)
        .values(owner_id=to.id if to else None, reminded_on=None)
        .execution_options(synchronize_session="fetch")
    )


def repair_forgotten() -> int:
    """Job: give a step to any open file that has none, should a fault ever make one. Returns how many."""
    if (duty := duty_person()) is None:
        return 0
    db.session.execute(
        update(FollowUp).where(FollowUp.owner_id.is_(None), FollowUp.state == State.TODO).values(owner_id=duty.id)
    )
    found = list(db.session.scalars(select(Case).where(Case.stage != Stage.CLOSED, ~is_held()).limit(100)))
    return sum(keep_from_being_forgotten(case) for case in found)


class Due(NamedTuple):
    """What is said of a follow-up that came due: whole rows take four times as long to read."""

    id: int
    case_id: int
    owner_id: int
    rule: str
    title: str
    reason: str
    due_on: date
    due_minute: int


def due_ones(limit: int) -> list[Due]:
    """Follow-ups that are due and of which nothing was said yet, the earliest first; locked until the transaction ends, but for those that
    somebody else holds.
    """
    now = clock.now()
    today = clock.local_date(now)
    last = today if clock.local(now).hour >= REMIND_AT_HOUR else today - timedelta(days=1)
    found = to_remind().with_for_update(of=FollowUp, skip_locked=True)
    return [Due._make(row) for row in rows_of(found, {"last": last, "at_most": limit})]


def to_remind() -> Select[*tuple[Any, ...]]:
    """What is due up to a day (`last`), of which nothing was said yet: at most `at_most`.

    The owner and the file are joined by expressions so that databases begin with the few that are due, in their order, and not with each
    person or each file and all that is planned of theirs.
    """
    return (
        select(*(getattr(FollowUp, name) for name in Due._fields))
        .join(Staff, Staff.id == FollowUp.owner_id + literal_column("0"))
        .join(Case, Case.id == FollowUp.case_id + literal_column("0"))
        .where(FollowUp.state == State.TODO, FollowUp.reminded_on.is_(None))
        .where(FollowUp.due_on <= bindparam("last", type_=Date), Staff.active.is_(True))
        .where(Case.quarantined.is_(False))  # the duty person is told once a day how many wait, not of each
        .order_by(FollowUp.due_on, FollowUp.id)
        .limit(bindparam("at_most", type_=Integer))
    )


def queue_due(*, limit: int = 500) -> int:
    """Job: turn follow-ups that are due into messages to their owners, each once. Returns how many."""
    now = clock.now()
    found = due_ones(limit)
    if not found:
        return 0
    said = update(FollowUp).where(FollowUp.id.in_([one.id for one in found])).values(reminded_on=FollowUp.due_on)
    db.session.execute(said.execution_options(synchronize_session=False))
    theirs = select(Staff).where(Staff.id.in_({one.owner_id for one in found}))
    owners = {one.id: one for one in db.session.scalars(theirs)}
    deputies = {number: stands_in(owner, clock.local_date(now)) for number, owner in owners.items()}
    people = {*owners.values(), *(one for one in deputies.values() if one)}
    told = {one.id for one in people if wants_at_once(one, MAIL)}
    concerned = select(Case).where(Case.id.in_({one.case_id for one in found})).options(joinedload(Case.project))
    files = {case.id: case for case in db.session.scalars(concerned)} if told else {}
    with db.session.no_autoflush:  # written together: each is about another follow-up
        for one in found:
            owner, deputy = owners[one.owner_id], deputies[one.owner_id]
            to = deputy if deputy is not None and may_see(deputy, one.case_id) else owner
            if to.id in told:
                _queue_one(one, files[one.case_id], owner, to, now)
    return len(found)


def _queue_one(follow_up: Due, case: Case, owner: Staff, to: Staff, now: datetime) -> None:
    """A message about one follow-up to who does it, when that person wants one for each; the others read the digest."""
    with speaking(to.language):
        title = title_of(follow_up)
        values: dict[str, object] = {
            "name": to.name,
            "title": title,
            "instead": "" if to is owner else text("reminders.instead", name=owner.name),
            "reference": case.reference,
            "project": f" – {case.project.name}" if case.project.name else "",
            "due_on": when(follow_up),
            "address_of_file": address_of_file(case),
        }
    queue(
        "reminders.due",
        dedupe_key=f"follow-up:{follow_up.id}:{follow_up.due_on}:{owner.id}",
        to=(to.email, to.name),
        language=to.language,
        values=values,
        case_id=case.id,
        subject_ids={"follow_up": follow_up.id, "due_on": follow_up.due_on.isoformat(), "owner": owner.id}
        | ({} if follow_up.title else {"rule": follow_up.rule}),
        due_at=now,
        staff_id=to.id,
    )


def still_due(messages: Sequence[Message]) -> set[int]:
    """Which reminders may leave: same owner, same date, not done meanwhile, and whoever reads it, owner or deputy, may see the file."""
    asked = {}
    for one in messages:
        told = one.subject_ids
        asked[one.id] = (told["follow_up"], told["owner"], told["due_on"], one.staff_id or told["owner"])
    values = {"follow_ups": [one for one, *_ in asked.values()], "readers": [reader for *_, reader in asked.values()]}
    found = db.session.execute(_still_due(), values)
    due = {(follow_up, owner, day.isoformat(), reader) for follow_up, owner, day, reader in found}
    return {number for number, one in asked.items() if one in due}


@cache
def _still_due() -> Select[*tuple[Any, ...]]:
    """Built once: asked of reminders just before they leave."""
    owner, reader = aliased(Staff), aliased(Staff)
    return (
        select(FollowUp.id, FollowUp.owner_id, FollowUp.due_on, reader.id)
        .join(Case, Case.id == FollowUp.case_id)
        .join(owner, owner.id == FollowUp.owner_id)
        .join(reader, reader.id.in_(bindparam("readers", expanding=True)))
        .where(
            FollowUp.id.in_(bindparam("follow_ups", expanding=True)),
            FollowUp.state == State.TODO,
            owner.active,
            reader.active,
            reader.role.in_(CASE_ROLES),
            visible_to(reader.id),
        )
    )


def note_final(message: Message) -> None:
    """The file's history says that a reminder left, or could not."""
    if message.status not in {Status.SENT, Status.FAILED}:
        return
    number, rule = message.subject_ids["follow_up"], message.subject_ids.get("rule")
    codes, detail = ({"rule": rule}, {}) if rule else _told(db.session.get_one(FollowUp, number))
    record(
        "reminder.sent" if message.status is Status.SENT else "reminder.failed",
        case_id=message.case_id,
        actor=SYSTEM,
        codes={"follow_up": number, "message": message.id} | codes,
        detail={"to_name": message.to_name} | detail,
    )
