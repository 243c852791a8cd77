"""Changing the plan: what a change would do to the files that are open, saving it, and doing it, file by file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import next_business_day
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.reminders.models import FollowUp, PlanChange, State
from crm.reminders.plans import KEY, NAMES, Changes, Standing, changes, in_force
from crm.reminders.rules import OUTLIVE_A_STAGE, Step, read_steps, write_steps
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule
from crm.texts.published import publish
from crm.timeline.services import record

AT_ONCE = 200  # files looked at in one transaction
AT_WORK = 5.0  # seconds of one round


@dataclass
class Effect:
    """How many follow-ups of open files a change moves, takes away and adds, and of how many files."""

    moved: int = 0
    cancelled: int = 0
    created: int = 0
    files: int = 0


def effects(after: Sequence[Step]) -> dict[Stage, Effect]:
    """What another plan would do to today's open files, by stage; stages whose steps do not change are left out."""
    before, found = in_force(), {}
    for stage in changed_stages(before, after):
        found[stage] = effect = Effect()
        for _case_id, change in _changes_of(before, after, [stage], entered_by=clock.now()):
            effect.moved += len(change.moved)
            effect.cancelled += len(change.cancelled)
            effect.created += len(change.created)
            effect.files += bool(change)
    return found


def changed_stages(before: Sequence[Step], after: Sequence[Step]) -> list[Stage]:
    """The stages that one plan treats otherwise than the other."""

    def of(stage: Stage, steps: Sequence[Step]) -> list[Step]:
        return [step for step in steps if step.stage is stage]

    return [stage for stage in Stage if of(stage, before) != of(stage, after)]


def _changes_of(
    before: Sequence[Step],
    after: Sequence[Step],
    stages: Sequence[Stage],
    *,
    entered_by: datetime,
    reached: int = 0,
    limit: int | None = None,
) -> Iterator[tuple[int, Changes]]:
    """Each file that was in one of some stages at an instant, with what a change does to it, by number, after the one that was reached."""
    files = select(Case.id, Case.stage, Case.stage_since, Case.reply_due_on).where(
        Case.stage.in_(stages), Case.stage_since <= entered_by, Case.id > reached, Case.quarantined.is_(False)
    )
    rows = db.session.execute(files.order_by(Case.id).limit(limit)).all()
    today = next_business_day(clock.today())
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        standing: dict[int, list[Standing]] = {}
        made = select(FollowUp.case_id, FollowUp.id, FollowUp.rule, FollowUp.due_on, FollowUp.first_due_on).where(
            FollowUp.case_id.in_([row.id for row in part]),
            FollowUp.state == State.TODO,
            FollowUp.rule.not_in(OUTLIVE_A_STAGE),
        )
        for one in db.session.execute(made.order_by(FollowUp.due_on, FollowUp.id)):
            standing.setdefault(one.case_id, []).append(Standing(one.id, one.rule, one.due_on, one.first_due_on))
        for row in part:
            found = changes(
                before,
                after,
                stage=row.stage,
                entered_on=clock.local_date(row.stage_since),
                reply_due_on=row.reply_due_on,
                standing=standing.get(row.id, ()),
                today=today,
            )
            yield row.id, found


def save(after: Sequence[Step], names: dict[str, tuple[str, str]], actor: Staff, *, apply: bool) -> bool:
    """Put a plan in force; whether it was another one. `names` are those of new steps, French and English. `apply` changes the files that are open too.

    Raises IntegrityError when another plan was saved meanwhile.
    """
    before = in_force()
    if tuple(after) == before:
        return False
    for code, (fr, en) in names.items():
        publish(f"{NAMES}.{code}", fr, en, by_id=actor.id, both_agree=True)
    written = write_steps(after)
    publish(KEY, written, written, by_id=actor.id, both_agree=True)
    record("plan.changed", case_id=None, actor=by(actor))
    if apply:
        change = PlanChange(before=write_steps(before), after=written, made_at=clock.now(), made_by_id=actor.id)
        db.session.add(change)
    db.session.flush()
    return True


def waiting() -> PlanChange | None:
    """The change being applied, which is the oldest: while another worker has it, nothing, for the next one follows from it."""
    oldest = select(func.min(PlanChange.id)).where(PlanChange.done_at.is_(None)).scalar_subquery()
    return db.session.scalar(select(PlanChange).where(PlanChange.id == oldest).with_for_update(skip_locked=True))


def last() -> PlanChange | None:
    """The newest change that was applied, or is being."""
    return db.session.scalar(select(PlanChange).order_by(PlanChange.id.desc()).limit(1))


def apply_waiting() -> int:
    """Job: apply a saved plan to the files that are open, for some seconds, in parts that each are a transaction. Returns how many were looked at."""
    looked, until = 0, time.monotonic() + AT_WORK
    while (part := _apply_part()) and time.monotonic() < until:
        looked += part
        db.session.commit()
    return looked + part


def _apply_part() -> int:
    change = waiting()
    if change is None:
        return 0
    before, after = read_steps(change.before), read_steps(change.after)
    looked = 0
    of_files = _changes_of(
        before,
        after,
        changed_stages(before, after),
        entered_by=change.made_at,
        reached=change.reached,
        limit=AT_ONCE,
    )
    for case_id, found in of_files:
        looked, change.reached = looked + 1, case_id
        if found and _apply(case_id, found, entered_by=change.made_at):
            change.moved += len(found.moved)
            change.cancelled += len(found.cancelled)
            change.created += len(found.created)
    if looked < AT_ONCE:
        change.done_at = clock.now()
    return looked


def _apply(case_id: int, found: Changes, *, entered_by: datetime) -> bool:
    case = db.session.get_one(Case, case_id, with_for_update={"key_share": True}, populate_existing=True)
    if case.stage is Stage.CLOSED or case.stage_since > entered_by:
        return False  # it moved since it was read: the new plan planned it
    todo = (FollowUp.case_id == case_id, FollowUp.state == State.TODO)  # somebody may have acted since it was read
    for number, due_on in found.moved.items():
        db.session.execute(
            update(FollowUp)
            .where(FollowUp.id == number, *todo)
            .values(due_on=due_on, first_due_on=due_on, reminded_on=None)
        )
    if found.cancelled:
        ended = {"state": State.CANCELLED, "ended_at": clock.now()}
        db.session.execute(update(FollowUp).where(FollowUp.id.in_(found.cancelled), *todo).values(**ended))
    for rule, due_on in found.created:
        plan_by_rule(case, rule, due_on)
    keep_from_being_forgotten(case)
    return True
