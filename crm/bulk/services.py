"""Choosing many files, asking one thing of them, doing it file by file, and taking it back.

Each file is changed in a transaction of its own, in which what became of it is written too: however a run is interrupted, no file is
changed twice and none is left out. Two who carry on the same run at once do no harm: a file's row is taken by one of them.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zlib import crc32

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import contains_eager

from crm import clock
from crm.accounts.models import Staff
from crm.bulk.actions import BulkAction, actions, filled
from crm.bulk.models import BulkItem, BulkRun, ItemState, RunState
from crm.cases.filters import Filter, may_list
from crm.cases.models import Case
from crm.cases.queries import REFERENCE, find, visible
from crm.db import db, is_busy, is_full
from crm.errors import RefusedError
from crm.i18n import speaking
from crm.texts import text

log = logging.getLogger(__name__)
MOST = 5000  # files of one run
CHECKED = 200  # files looked at before asking whether to go on
UNDO_WITHIN = timedelta(days=7)
KEPT_FOR, DRAFTS_FOR = timedelta(days=90), timedelta(days=2)
CHOSEN = (Case.id, Case.stage, Case.owner_id)  # read of each file when it is chosen
UNDER_WAY = frozenset({RunState.RUNNING, RunState.UNDOING})


# --- choosing --------------------------------------------------------------------------------------------------------


def choose_ticked(references: Sequence[str], actor: Staff, come_from: str) -> BulkRun:
    """A draft for some files, of those this person may see. Raises RefusedError when none is left."""
    wanted = list(dict.fromkeys(one.upper() for one in references if REFERENCE.fullmatch(one.upper())))[:MOST]
    seen = visible(actor), Case.quarantined.is_(False)
    return _draft(select(*CHOSEN).where(Case.reference.in_(wanted), *seen), {}, actor, come_from)


def choose_all(wanted: Filter, actor: Staff, come_from: str) -> BulkRun:
    """A draft for every file that answers a filter. Raises RefusedError when there are none, or too many."""
    if wanted.impossible or not may_list(actor):
        raise RefusedError(text("bulk.refusal.none"))
    files = wanted.shape.files(db.engine.dialect.name, reading=CHOSEN)
    return _draft(files, wanted.values(actor), actor, come_from)


def _draft(files: Any, asked: Mapping[str, Any], actor: Staff, come_from: str) -> BulkRun:
    """The files as they stand now are kept: what is asked later is asked of these, and of no other."""
    found = db.session.execute(files.order_by(Case.received_at, Case.id).limit(MOST + 1), asked).all()
    if not found:
        raise RefusedError(text("bulk.refusal.none"))
    if len(found) > MOST:
        raise RefusedError(text("bulk.refusal.many", most=MOST))
    run = BulkRun(
        actor_id=actor.id, action="", state=RunState.DRAFT, total=len(found), come_from=come_from, made_at=clock.now()
    )
    db.session.add(run)
    db.session.flush()
    db.session.execute(
        insert(BulkItem),
        [
            {
                "run_id": run.id,
                "place": place,
                "case_id": row.id,
                "seen_stage": row.stage,
                "seen_owner_id": row.owner_id,
                "state": ItemState.TODO,
                "said": "",
            }
            for place, row in enumerate(found)
        ],
    )
    return run


def find_run(number: int, actor: Staff) -> BulkRun | None:
    """A run of this person; None for another."""
    run = db.session.get(BulkRun, number)
    return run if run is not None and run.actor_id == actor.id else None


def runs_of(actor: Staff, most: int = 50) -> Sequence[BulkRun]:
    """What a person asked of many files, the newest first."""
    mine = select(BulkRun).where(BulkRun.actor_id == actor.id, BulkRun.state != RunState.DRAFT)
    return db.session.scalars(mine.order_by(BulkRun.id.desc()).limit(most)).all()


# --- asking ----------------------------------------------------------------------------------------------------------


def ask(run: BulkRun, action: BulkAction, values: Mapping[str, list[str]]) -> None:
    """Keep what is asked, for it to be looked at before it is done."""
    if not _turn(run, RunState.DRAFT, RunState.DRAFT, action=action.name, values=dict(values)):
        raise RefusedError(text("bulk.refusal.begun"))


def stamp(run: BulkRun) -> str:
    """Tells what is asked now from what was asked before."""
    return f"{crc32(json.dumps([run.action, run.values], sort_keys=True).encode()):x}"


def action_of(run: BulkRun) -> tuple[BulkAction, Any] | None:
    """What is asked, and its form as it was sent; None before anything was, or when it no longer exists."""
    action = actions().get(run.action)
    return (action, filled(action, run.values or {})) if action else None


@dataclass(frozen=True)
class Foreseen:
    """What would become of the first files of a run: how many would change, and those left alone, by reason.

    `checked` is how many were looked at.
    """

    checked: int
    good: int
    left: dict[str, list[Case]]


def foresee(run: BulkRun, action: BulkAction, form: Any, actor: Staff) -> Foreseen:
    """Look at the first files of a run as they stand now. Changes nothing."""
    statement = (
        select(Case, BulkItem)
        .join(BulkItem, BulkItem.case_id == Case.id)
        .join(Case.project)
        .join(Case.contact)
        .where(BulkItem.run_id == run.id, BulkItem.place < CHECKED, visible(actor))
        .order_by(BulkItem.place)
        .options(contains_eager(Case.project), contains_eager(Case.contact))
    )
    good, left = 0, dict[str, list[Case]]()
    rows = db.session.execute(statement).all()
    for case, item in rows:
        if against := _against(case, item, action, form, actor):
            left.setdefault(" ".join(against), []).append(case)
        else:
            good += 1
    return Foreseen(len(rows), good, left)


def _against(case: Case, item: BulkItem, action: BulkAction, form: Any, actor: Staff) -> Sequence[str]:
    if not action.seen(case, item):
        return [text("bulk.refusal.changed_meanwhile")]
    return action.against(case, form, actor)


# --- doing -----------------------------------------------------------------------------------------------------------


def begin(run: BulkRun) -> bool:
    """From here on the run is carried on until its end, whoever asks; False when it was begun before."""
    return _turn(run, RunState.DRAFT, RunState.RUNNING, started_at=clock.now())


def begin_undoing(run: BulkRun) -> bool:
    """Take back what can be. Raises RefusedError when it is too late, or when nothing of it can be."""
    if not _undoable(run):
        raise RefusedError(text("bulk.refusal.no_undo"))
    return _turn(run, RunState.DONE, RunState.UNDOING)


def may_undo(run: BulkRun) -> bool:
    """Whether taking it back is offered."""
    return run.state is RunState.DONE and _undoable(run)


def _undoable(run: BulkRun) -> bool:
    """Whether what was asked can be taken back at all, and still."""
    action = actions().get(run.action)
    in_time = run.ended_at is not None and clock.now() - run.ended_at <= UNDO_WITHIN
    return action is not None and action.undo is not None and in_time


def _turn(run: BulkRun, before: RunState, after: RunState, **more: Any) -> bool:
    changed = db.session.execute(
        update(BulkRun)
        .where(BulkRun.id == run.id, BulkRun.state == before)
        .values(state=after, **more)
        .execution_options(synchronize_session="fetch")
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def carry_on(number: int, seconds: float) -> None:
    """Change file after file of a run, each in its own transaction, for some seconds or until none is left. Commits."""
    until, again = time.monotonic() + seconds, set[int]()
    while _one(number, again) and time.monotonic() < until:
        pass


def _one(number: int, again: set[int] | None = None) -> bool:
    """Change the next file of a run, or take its change back; False when none is left, or when another has it.

    A file that met another's change is tried once more: `again` holds the places of those. Raises what the database raises when it is
    busy, full or away: nothing was saved, and a later round goes on.
    """
    again = set() if again is None else again
    run = db.session.get(BulkRun, number, populate_existing=True)
    if run is None or run.state not in UNDER_WAY:
        db.session.rollback()
        return False
    undoing = run.state is RunState.UNDOING
    wanted, order = (ItemState.DONE, BulkItem.place.desc()) if undoing else (ItemState.TODO, BulkItem.place)
    left = select(BulkItem).where(BulkItem.run_id == number, BulkItem.state == wanted).order_by(order).limit(1)
    item = db.session.scalar(left.with_for_update(skip_locked=True))
    if item is None:
        if db.session.scalar(left) is None:  # nor does another have one
            after = RunState.UNDONE if undoing else RunState.DONE
            _turn(run, run.state, after, **({} if undoing else {"ended_at": clock.now()}))
        db.session.commit()
        return False
    actor, place = run.actor, item.place
    with speaking(actor.language):
        try:
            _undo(run, item, actor) if undoing else _do(run, item, actor)
            db.session.commit()
        except RefusedError as refusal:
            _leave(number, place, undoing, " ".join(refusal.reasons))
        except Exception as error:  # one file must not hold up the others
            db.session.rollback()
            if is_busy(error) or is_full(error) or getattr(error, "connection_invalidated", False):
                raise
            if isinstance(error, IntegrityError) and place not in again:
                again.add(place)
                return True
            log.exception("a file of run %s could not be changed", number)
            _leave(number, place, undoing, text("bulk.refusal.fault"))
    return True


def _leave(number: int, place: int, undoing: bool, said: str) -> None:
    """Write that a file was left alone, and why."""
    db.session.rollback()
    before, after = (ItemState.DONE, ItemState.KEPT) if undoing else (ItemState.TODO, ItemState.REFUSED)
    db.session.execute(
        update(BulkItem)
        .where(BulkItem.run_id == number, BulkItem.place == place, BulkItem.state == before)
        .values(state=after, said=said)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()


def _held(item: BulkItem, actor: Staff) -> Case:
    """The file, held until the transaction ends, if it is still this person's to see and to change."""
    reference = db.session.scalar(select(Case.reference).where(Case.id == item.case_id))
    case = find(reference, actor, lock=True) if reference and actor.active else None
    if case is None:
        raise RefusedError(text("bulk.refusal.gone"))
    return case


def _do(run: BulkRun, item: BulkItem, actor: Staff) -> None:
    case, asked = _held(item, actor), action_of(run)
    if asked is None or not asked[1].validate():
        raise RefusedError(text("bulk.refusal.no_longer"))
    action, form = asked
    if against := _against(case, item, action, form, actor):
        raise RefusedError(*against)
    item.journal = action.do(case, form, actor, f"bulk:{run.id}:{case.id}")
    item.state = ItemState.DONE


def _undo(run: BulkRun, item: BulkItem, actor: Staff) -> None:
    case, action = _held(item, actor), actions()[run.action]
    if action.undo is None:
        raise RefusedError(text("bulk.refusal.no_undo"))
    action.undo(case, item.journal or {}, actor)
    item.state = ItemState.UNDONE


def run_waiting(*, seconds: float = 20) -> int:
    """Job: runs that were begun and not ended, however that came; the oldest first. Returns how many were worked on."""
    waiting = db.session.scalars(select(BulkRun.id).where(BulkRun.state.in_(UNDER_WAY)).order_by(BulkRun.id)).all()
    until = time.monotonic() + seconds
    for number in waiting:
        carry_on(number, max(0.0, until - time.monotonic()))
    return len(waiting)


def forget_old() -> int:
    """Job: drafts that nobody went on with, and runs of long ago."""
    now = clock.now()
    drafts = (BulkRun.state == RunState.DRAFT) & (BulkRun.made_at < now - DRAFTS_FOR)
    old = delete(BulkRun).where(drafts | (BulkRun.made_at < now - KEPT_FOR))
    return int(db.session.execute(old.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


# --- what became of them ---------------------------------------------------------------------------------------------


def progress(run: BulkRun) -> dict[ItemState, int]:
    """How many files are in each state."""
    counted = select(BulkItem.state, func.count()).where(BulkItem.run_id == run.id).group_by(BulkItem.state)
    found = dict.fromkeys(ItemState, 0)
    for state, number in db.session.execute(counted):
        found[state] = number
    return found


def left_alone(run: BulkRun, actor: Staff, most: int = 500) -> dict[str, list[Case]]:
    """Files that were left alone or could not be undone, by reason, of those this person may still see."""
    statement = (
        select(Case, BulkItem.said)
        .join(BulkItem, BulkItem.case_id == Case.id)
        .join(Case.project)
        .where(BulkItem.run_id == run.id, BulkItem.state.in_((ItemState.REFUSED, ItemState.KEPT)), visible(actor))
        .order_by(BulkItem.place)
        .limit(most)
        .options(contains_eager(Case.project))
    )
    found = dict[str, list[Case]]()
    for case, said in db.session.execute(statement):
        found.setdefault(said, []).append(case)
    return found
