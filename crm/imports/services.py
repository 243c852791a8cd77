"""A sheet brought in: its rows are stored, somebody says what its columns hold, a rehearsal tells what would become of each row, and
then files are made of them; all of it can be taken back. What takes long is gone on with by `rounds`.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.cases.models import Case, Project
from crm.db import db, writing
from crm.duplicates.matching import folded
from crm.errors import RefusedError
from crm.imports import fields
from crm.imports import writing as files
from crm.imports.fields import Plan
from crm.imports.models import Import, ImportPlan, ImportRow, ImportState, ImportTrait, RowState
from crm.imports.reading import TALL, Sheet, SheetError
from crm.tags.services import options
from crm.texts import group, text

log = logging.getLogger(__name__)
STORED_AT_ONCE = 500
CHANGED_AT_ONCE = 2000  # rows changed or destroyed in one statement: nobody waits longer to write
UNDO_WITHIN = timedelta(days=30)
UNUSED_FOR = timedelta(days=7)
CHANGING = frozenset({ImportState.MAPPING, ImportState.CHECKED})  # while what the columns hold can still be said
UNDER_WAY = frozenset({ImportState.CHECKING, ImportState.RUNNING, ImportState.UNDOING})


# --- storing ---------------------------------------------------------------------------------------------------------


def store(sheet: Sheet, name: str, actor: Staff) -> Import:
    """Keep the rows of a sheet. Commits, some hundreds at a time, so that nobody waits for a long sheet.

    Raises SheetError, and keeps nothing, when the sheet is broken further on.
    """
    run = Import(
        actor_id=actor.id,
        name=name[:160],
        state=ImportState.READING,
        titles=list(sheet.titles),
        told=sheet.told,
        plan={},
        made_at=clock.now(),
    )
    db.session.add(run)
    db.session.commit()
    number, some, total, tall = run.id, list[dict[str, Any]](), 0, 0
    try:
        for line, cells in sheet.rows:
            tall += any(cell.count("\n") >= TALL for cell in cells)
            some.append({"import_id": number, "place": total, "line": line, "cells": cells, "state": RowState.UNREAD})
            total += 1
            if len(some) == STORED_AT_ONCE:
                _store(some)
        _store(some)
        if not total:
            raise SheetError("empty")  # noqa: TRY301 - one place clears what was kept
    except Exception as error:
        db.session.rollback()
        db.session.execute(delete(Import).where(Import.id == number))
        db.session.commit()
        if isinstance(error, IntegrityError):  # somebody threw it away meanwhile
            raise SheetError("gone") from None
        raise
    with writing(allowed=False):
        plan, told = _first_plan(run), run.told | ({"tall": tall} if tall else {})
        db.session.rollback()
    turn(number, {ImportState.READING}, ImportState.MAPPING, total=total, plan=plan.kept(), told=told)
    db.session.commit()
    return run


def _store(some: list[dict[str, Any]]) -> None:
    if some:
        db.session.execute(insert(ImportRow), some)
        db.session.commit()
        some.clear()


def labels_of_fields() -> dict[str, str]:
    """Our own names of fields, folded, in both languages."""
    found = {folded(name): field for field, pair in group("imports.field").items() for name in (pair["fr"], pair["en"])}
    return {words: field for words, field in found.items() if field in fields.FIELDS}


def _first_plan(run: Import) -> Plan:
    """How a sheet with these titles was read the last time, otherwise what its titles say."""
    kept = db.session.scalar(
        select(ImportPlan).where(ImportPlan.titles == signature(run)).order_by(ImportPlan.id.desc())
    )
    if kept is not None:
        return Plan.of(kept.plan)
    columns = fields.guessed(run.titles, labels_of_fields())
    dates = [place for place, name in columns.items() if name in fields.DATES]
    days = [cells[place] for _, cells in _all_cells(run) for place in dates if place < len(cells) and cells[place]]
    return Plan(columns, days=fields.order_of_days(days))


def signature(run: Import) -> str:
    """What tells that two sheets have the same columns."""
    return "\n".join(folded(title) for title in run.titles)


def examples(run: Import, most: int = 3, rows: int = 200) -> list[list[str]]:
    """What the first rows hold, by column, blank cells left out."""
    read = select(ImportRow.cells).where(ImportRow.import_id == run.id).order_by(ImportRow.place).limit(rows)
    found: list[list[str]] = [[] for _ in run.titles]
    for cells in db.session.scalars(read):
        for held, cell in zip(found, cells, strict=False):
            if cell and len(held) < most and cell not in held:
                held.append(cell)
    return found


# --- what columns and words mean -------------------------------------------------------------------------------------


def labels_of_words() -> dict[str, dict[str, list[str]]]:
    """The words of each field, by code, in both languages; people by number, with their name."""
    found = {
        name: {code: [pair["fr"], pair["en"]] for code, pair in group(prefix).items()}
        for name, prefix in fields.WORDS.items()
        if prefix
    }
    tags = {number: [name] for number, name in options()}
    return found | {"owner": {str(number): [name] for number, name in active_case_team()}, "tags": tags}


def known() -> dict[str, dict[str, str]]:
    """The code of every word that is understood."""
    return fields.known_words(labels_of_words())


def unknown_words(run: Import, plan: Plan, most: int = 60) -> dict[str, list[tuple[str, int]]]:
    """Words that are not understood and that nobody said anything of, by field, the most frequent first, with how many rows have each."""
    understood, found = known(), dict[str, dict[str, tuple[str, int]]]()
    wordy = [(place, name) for place, name in plan.columns.items() if name in fields.WORDS]
    for _, cells in _all_cells(run):
        for place, name in wordy:
            for word in fields.words_of(name, cells[place]) if place < len(cells) else ():
                key = folded(word)
                if key and key not in understood[name] and key not in plan.words.get(name, {}):
                    seen = found.setdefault(name, {}).get(key, (word, 0))
                    found[name][key] = (seen[0], seen[1] + 1)
    return {
        name: sorted(words.values(), key=lambda word: (-word[1], word[0]))[:most]
        for name in fields.FIELDS
        if (words := found.get(name))
    }


def _all_cells(run: Import) -> Iterable[Any]:
    read = select(ImportRow.place, ImportRow.cells).where(ImportRow.import_id == run.id).order_by(ImportRow.place)
    return db.session.execute(read.execution_options(yield_per=1000))


def set_plan(run: Import, plan: Plan, seen_version: int) -> bool:
    """Say how a sheet is read; every row is to be looked at anew, once the rehearsal begins. False when somebody said otherwise, or went on,
    meanwhile.
    """
    if run.state not in CHANGING:
        raise RefusedError(text("imports.refusal.begun"))
    as_seen = (Import.id == run.id, Import.version == seen_version, Import.state.in_(list(CHANGING)))
    saved = quietly(
        update(Import).where(*as_seen).values(plan=plan.kept(), state=ImportState.MAPPING, version=Import.version + 1)
    )
    db.session.expire(run)
    return bool(saved)


def quietly(statement: Any) -> int:
    """Run a statement whose rows no object in memory stands for; how many rows it met."""
    return int(db.session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def keep_plan(run: Import, name: str, actor: Staff) -> bool:
    """Keep how a sheet is read under a name, for the next with the same titles; False when another has the name."""
    mine = signature(run)
    there = db.session.scalar(select(ImportPlan).where(ImportPlan.name == name))
    if there is not None and there.titles != mine:
        return False
    kept = there or db.session.scalar(select(ImportPlan).where(ImportPlan.titles == mine)) or ImportPlan(titles=mine)
    kept.name, kept.plan, kept.saved_at, kept.saved_by_id = name, dict(run.plan), clock.now(), actor.id
    db.session.add(kept)
    return True


def keep_words(run: Import) -> None:
    """What words mean is kept too, where what the columns hold was kept for this very sheet."""
    kept, now = plan_kept(run), Plan.of(run.plan)
    if kept is not None and replace(Plan.of(kept.plan), words={}) == replace(now, words={}):
        kept.plan = now.kept()


def plan_kept(run: Import) -> ImportPlan | None:
    """What was kept for sheets with these titles."""
    return db.session.scalar(select(ImportPlan).where(ImportPlan.titles == signature(run)))


# --- states ----------------------------------------------------------------------------------------------------------


def turn(number: int, before: Iterable[ImportState], after: ImportState, **more: Any) -> bool:
    changed = db.session.execute(
        update(Import)
        .where(Import.id == number, Import.state.in_(list(before)))
        .values(state=after, version=Import.version + 1, **more)
        .execution_options(synchronize_session="fetch")
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def begin_checking(run: Import) -> bool:
    """Begin the rehearsal; False when it is under way or past. What an earlier one found is forgotten first, some rows at a time. Commits."""
    looked_at = update(ImportRow).where(*_some_rows(run.id, ImportRow.state != RowState.UNREAD))
    anew = looked_at.values(state=RowState.UNREAD, told=None, wanted=False)
    return _turn_after((anew, _some_traits(run.id)), run.id, ImportState.MAPPING, ImportState.CHECKING)


def _turn_after(statements: Iterable[Any], number: int, before: ImportState, after: ImportState, **more: Any) -> bool:
    """Turn an import once statements that meet some rows at a time meet none; False when somebody turned it meanwhile. Commits."""
    while hold(number, before):
        if not any(quietly(one) for one in statements):
            return turn(number, {before}, after, **more)
        db.session.commit()
    return False


def hold(number: int, state: ImportState, version: int | None = None, *, skip_locked: bool = False) -> bool:
    """Hold an import until the transaction ends; False when it no longer is as it was seen, or, with `skip_locked`, when another process has it."""
    mine = select(Import.id).where(Import.id == number, Import.state == state)
    mine = mine if version is None else mine.where(Import.version == version)
    return db.session.scalar(mine.with_for_update(skip_locked=skip_locked)) is not None


def _some_traits(number: int) -> Any:
    """Destroys some of what rows of a sheet are found under."""
    some = select(ImportTrait.trait).where(ImportTrait.import_id == number).limit(CHANGED_AT_ONCE)
    return delete(ImportTrait).where(ImportTrait.import_id == number, ImportTrait.trait.in_(some.scalar_subquery()))


def _some_rows(number: int, *which: Any) -> tuple[Any, ...]:
    """The condition of some rows of a sheet."""
    some = select(ImportRow.place).where(ImportRow.import_id == number, *which).limit(CHANGED_AT_ONCE)
    return ImportRow.import_id == number, ImportRow.place.in_(some.scalar_subquery())


def _in_parts(statement: Any) -> None:
    """Run a statement that meets some rows, until none are left. Commits."""
    while quietly(statement):
        db.session.commit()


def forget_traits(number: int) -> None:
    """What rows are found under is of no use once they are imported or taken back. Commits."""
    _in_parts(_some_traits(number))


def begin(run: Import) -> bool:
    """From here on files are made until the last row; False when it was begun before. Commits."""
    chosen = _some_rows(run.id, ImportRow.state == RowState.LIKE, ImportRow.wanted.is_(True))
    made_of = update(ImportRow).where(*chosen).values(state=RowState.NEW)
    return _turn_after((made_of,), run.id, ImportState.CHECKED, ImportState.RUNNING, started_at=clock.now())


def may_undo(run: Import) -> bool:
    """Whether all of it can be taken back: while it runs, and for thirty days."""
    in_time = run.ended_at is not None and clock.now() - run.ended_at <= UNDO_WITHIN
    return run.state is ImportState.RUNNING or (run.state is ImportState.DONE and in_time)


def begin_undoing(run: Import) -> bool:
    """Stop, and take back what was made. Raises RefusedError when it is too late; False when it was begun before."""
    if run.state is ImportState.DONE and not may_undo(run):
        raise RefusedError(text("imports.refusal.late"))
    return turn(run.id, {ImportState.RUNNING, ImportState.DONE}, ImportState.UNDOING)


def discard(number: int) -> bool:
    """Destroy a sheet of which no file was made; False when some are. Commits.

    First it is as if it were still being read, so that nobody goes on with it; interrupted, it is destroyed when it is old.
    """
    if not turn(number, _UNUSED, ImportState.READING):
        return False
    db.session.commit()
    _in_parts(delete(ImportRow).where(*_some_rows(number)))
    forget_traits(number)
    quietly(delete(Import).where(Import.id == number))
    db.session.commit()
    return True


_UNUSED = (ImportState.READING, ImportState.MAPPING, ImportState.CHECKING, ImportState.CHECKED)


def numbers(run: Import) -> dict[str, int]:
    """How many rows are in each state."""
    found = dict.fromkeys((state.value for state in RowState), 0)
    if run.numbers is not None:
        return found | run.numbers
    counted = select(ImportRow.state, func.count()).where(ImportRow.import_id == run.id).group_by(ImportRow.state)
    return found | {state.value: number for state, number in db.session.execute(counted)}


def wanted_number(run: Import) -> int:
    """How many rows a file would be made of."""
    chosen = (ImportRow.import_id == run.id, ImportRow.state == RowState.LIKE, ImportRow.wanted.is_(True))
    many = [select(func.count()).select_from(ImportRow).where(*which) for which in (to_make(run.id), chosen)]
    return sum(db.session.scalar(one) or 0 for one in many)


def to_make(number: int) -> tuple[Any, ...]:
    return ImportRow.import_id == number, ImportRow.state == RowState.NEW


def want(run: Import, places: Iterable[int] | None, *, wanted: bool) -> None:
    """Make files of rows that look like others all the same, or not: those named, or all of them. Commits when it is all of them."""
    if run.state is not ImportState.CHECKED:
        raise RefusedError(text("imports.refusal.begun"))
    alike = (ImportRow.state == RowState.LIKE, ImportRow.wanted.is_(not wanted))
    changed = update(ImportRow).values(wanted=wanted)
    if places is None:
        _in_parts(changed.where(*_some_rows(run.id, *alike)))
    else:
        quietly(changed.where(ImportRow.import_id == run.id, ImportRow.place.in_(list(places)), *alike))


def worked_on(run: Import) -> int:
    """How many files of an import would stay if it were taken back now, because something happened on them since."""
    made = select(ImportRow.case_id).where(ImportRow.import_id == run.id, ImportRow.state == RowState.DONE)
    return files.touched_since(made)


# --- jobs ------------------------------------------------------------------------------------------------------------


def forget_old() -> int:
    """Job: sheets that nobody went on with, and the rows of sheets that can no longer be taken back. Returns how many sheets. Commits."""
    now = clock.now()
    idle = Import.state.in_([state for state in _UNUSED if state not in UNDER_WAY])
    unused = db.session.scalars(select(Import.id).where(idle, Import.made_at < now - UNUSED_FOR)).all()
    for number in unused:
        discard(number)
    ended = Import.state.in_([ImportState.DONE, ImportState.UNDONE])
    found = exists().where(ImportTrait.import_id == Import.id)
    for number in db.session.scalars(select(Import.id).where(ended, found)).all():  # a process died before it was done
        forget_traits(number)
    kept = exists().where(ImportRow.import_id == Import.id)
    old = db.session.scalars(select(Import).where(ended, Import.ended_at < now - UNDO_WITHIN, kept).limit(20)).all()
    for run in old:
        if run.numbers is None:
            run.numbers = {state: number for state, number in numbers(run).items() if number}
            db.session.commit()
        _in_parts(delete(ImportRow).where(*_some_rows(run.id)))
    return len(unused) + len(old)


# --- reads -----------------------------------------------------------------------------------------------------------


def all_runs(most: int = 100) -> Sequence[Import]:
    """The sheets that were brought in, the newest first."""
    return db.session.scalars(select(Import).order_by(Import.id.desc()).limit(most)).all()


def rows_in(run: Import, states: Iterable[RowState], after: int = -1, most: int = 50) -> Sequence[ImportRow]:
    """Rows in some states, in the order of the sheet, those beyond a place."""
    which = (ImportRow.import_id == run.id, ImportRow.state.in_(list(states)), ImportRow.place > after)
    return db.session.scalars(select(ImportRow).where(*which).order_by(ImportRow.place).limit(most)).all()


def faults_by_kind(run: Import, most: int = 20) -> list[tuple[str, str, int]]:
    """What is wrong with rows: (key, field, how many rows), the most frequent first."""
    found: dict[tuple[str, str], int] = {}
    wrong = select(ImportRow.told).where(ImportRow.import_id == run.id, ImportRow.state == RowState.WRONG)
    for told in db.session.scalars(wrong.execution_options(yield_per=1000)):
        for key, name, _ in (told or {}).get("faults", ()):
            found[key, name] = found.get((key, name), 0) + 1
    return [(*which, number) for which, number in sorted(found.items(), key=lambda one: -one[1])[:most]]


def files_of(rows: Iterable[ImportRow], seen: Any) -> dict[int, Any]:
    """The files that some rows name, by number: (id, reference, name), those that `seen` lets through."""
    wanted = {number for row in rows for number in (row.case_id, (row.told or {}).get("case")) if number}
    read = select(Case.id, Case.reference, Project.name).join(Project, Project.id == Case.project_id)
    return {case.id: case for case in db.session.execute(read.where(Case.id.in_(wanted), seen))} if wanted else {}
