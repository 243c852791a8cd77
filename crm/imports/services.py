"""A sheet brought in: its rows are stored, somebody says what its columns hold, a rehearsal tells what would become of each row, and
then files are made of them, some at a time; all of it can be taken back.

However any of these is interrupted, it goes on where it stood: what became of a row is written in the transaction that makes its file.
Two who carry on the same import do no harm: its own row is held by one of them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team, duty_person
from crm.cases.models import Case, Project
from crm.db import db, is_busy, is_full, save_over, writing
from crm.duplicates.matching import Keys, Traits, folded, keys
from crm.duplicates.services import look
from crm.errors import RefusedError
from crm.feature import once
from crm.i18n import speaking
from crm.imports import fields
from crm.imports import writing as files
from crm.imports.fields import Plan, Reading
from crm.imports.models import Import, ImportKey, ImportPlan, ImportRow, ImportState, ImportTrait, RowState
from crm.imports.reading import Sheet
from crm.texts import group, text
from crm.texts.facts import programme

log = logging.getLogger(__name__)
STORED_AT_ONCE, CHECKED_AT_ONCE, MADE_AT_ONCE, TAKEN_BACK_AT_ONCE = 500, 50, 20, 20
LONGEST_HOLD = 0.05  # seconds after which a batch ends: nobody waits longer to write
UNDO_WITHIN = timedelta(days=30)
UNUSED_FOR = timedelta(days=7)
UNDER_WAY = frozenset({ImportState.CHECKING, ImportState.RUNNING, ImportState.UNDOING})
MADE = (RowState.DONE, RowState.REMOVED, RowState.KEPT)


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
    number, some, total = run.id, list[dict[str, Any]](), 0
    try:
        for line, cells in sheet.rows:
            some.append({"import_id": number, "place": total, "line": line, "cells": cells, "state": RowState.UNREAD})
            total += 1
            if len(some) == STORED_AT_ONCE:
                _store(some)
        _store(some)
    except Exception:
        db.session.rollback()
        db.session.execute(delete(Import).where(Import.id == number))
        db.session.commit()
        raise
    plan = _first_plan(run)
    _turn(run.id, {ImportState.READING}, ImportState.MAPPING, total=total, plan=plan.kept())
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
    days = [cell for place, name in columns.items() if name in fields.DATES for cell in column(run, place)]
    return Plan(columns, days=fields.order_of_days(days))


def signature(run: Import) -> str:
    """What tells that two sheets have the same columns."""
    return "\n".join(folded(title) for title in run.titles)


def column(run: Import, place: int, rows: int = 200) -> list[str]:
    """What the first rows hold in one column, blank cells left out."""
    read = select(ImportRow.cells).where(ImportRow.import_id == run.id).order_by(ImportRow.place).limit(rows)
    return [cells[place] for cells in db.session.scalars(read) if place < len(cells) and cells[place]]


# --- what columns and words mean -------------------------------------------------------------------------------------


def labels_of_words() -> dict[str, dict[str, list[str]]]:
    """The words of each field, by code, in both languages; people by number, with their name."""
    found = {
        name: {code: [pair["fr"], pair["en"]] for code, pair in group(prefix).items()}
        for name, prefix in fields.WORDS.items()
        if prefix
    }
    return found | {"owner": {str(number): [name] for number, name in active_case_team()}}


def known() -> dict[str, dict[str, str]]:
    """The code of every word that is understood."""
    return fields.known_words(labels_of_words())


def unknown_words(run: Import, plan: Plan, most: int = 60) -> dict[str, list[tuple[str, int]]]:
    """Words that are not understood, by field, the most frequent first, with how many rows have each."""
    understood, found = known(), dict[str, dict[str, tuple[str, int]]]()
    wordy = [(place, name) for place, name in plan.columns.items() if name in fields.WORDS]
    for _, cells in _all_cells(run):
        for place, name in wordy:
            for word in fields.words_of(name, cells[place]) if place < len(cells) else ():
                key = folded(word)
                if key and key not in understood[name]:
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
    """Say how a sheet is read; every row is to be looked at anew. False when somebody said otherwise meanwhile."""
    if run.state not in {ImportState.MAPPING, ImportState.CHECKED}:
        raise RefusedError(text("imports.refusal.begun"))
    if not save_over(run, seen_version, plan=plan.kept(), state=ImportState.MAPPING):
        return False
    mine = ImportRow.import_id == run.id
    _quietly(
        update(ImportRow)
        .where(mine, ImportRow.state != RowState.UNREAD)
        .values(state=RowState.UNREAD, told=None, wanted=False)
    )
    _quietly(delete(ImportTrait).where(ImportTrait.import_id == run.id))
    return True


def _quietly(statement: Any) -> int:
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


def plan_kept(run: Import) -> ImportPlan | None:
    """What was kept for sheets with these titles."""
    return db.session.scalar(select(ImportPlan).where(ImportPlan.titles == signature(run)))


# --- states ----------------------------------------------------------------------------------------------------------


def _turn(number: int, before: Iterable[ImportState], after: ImportState, **more: Any) -> bool:
    changed = db.session.execute(
        update(Import)
        .where(Import.id == number, Import.state.in_(list(before)))
        .values(state=after, **more)
        .execution_options(synchronize_session="fetch")
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def begin_checking(run: Import) -> bool:
    """Begin the rehearsal; False when it is under way or past."""
    return _turn(run.id, {ImportState.MAPPING}, ImportState.CHECKING)


def begin(run: Import) -> bool:
    """From here on files are made until the last row; False when it was begun before."""
    return _turn(run.id, {ImportState.CHECKED}, ImportState.RUNNING, started_at=clock.now())


def may_undo(run: Import) -> bool:
    """Whether all of it can be taken back: while it runs, and for thirty days."""
    in_time = run.ended_at is not None and clock.now() - run.ended_at <= UNDO_WITHIN
    return run.state is ImportState.RUNNING or (run.state is ImportState.DONE and in_time)


def begin_undoing(run: Import) -> bool:
    """Stop, and take back what was made. Raises RefusedError when it is too late; False when it was begun before."""
    if run.state is ImportState.DONE and not may_undo(run):
        raise RefusedError(text("imports.refusal.late"))
    return _turn(run.id, {ImportState.RUNNING, ImportState.DONE}, ImportState.UNDOING)


def discard(run: Import) -> bool:
    """Destroy a sheet of which no file was made."""
    unused = [ImportState.READING, ImportState.MAPPING, ImportState.CHECKING, ImportState.CHECKED]
    return bool(_quietly(delete(Import).where(Import.id == run.id, Import.state.in_(unused))))


def numbers(run: Import) -> dict[str, int]:
    """How many rows are in each state."""
    found = dict.fromkeys((state.value for state in RowState), 0)
    if run.numbers is not None:
        return found | run.numbers
    counted = select(ImportRow.state, func.count()).where(ImportRow.import_id == run.id).group_by(ImportRow.state)
    return found | {state.value: number for state, number in db.session.execute(counted)}


def wanted_number(run: Import) -> int:
    """How many rows a file would be made of."""
    return db.session.scalar(select(func.count()).select_from(ImportRow).where(*_to_make(run.id))) or 0


def _to_make(number: int) -> tuple[Any, ...]:
    one_of = (ImportRow.state == RowState.NEW) | ((ImportRow.state == RowState.LIKE) & ImportRow.wanted.is_(True))
    return ImportRow.import_id == number, one_of


def want(run: Import, places: Iterable[int] | None, *, wanted: bool) -> None:
    """Make files of rows that look like others all the same, or not: those named, or all of them."""
    if run.state is not ImportState.CHECKED:
        raise RefusedError(text("imports.refusal.begun"))
    which = [ImportRow.import_id == run.id, ImportRow.state == RowState.LIKE]
    if places is not None:
        which.append(ImportRow.place.in_(list(places)))
    _quietly(update(ImportRow).where(*which).values(wanted=wanted))


# --- carrying on -----------------------------------------------------------------------------------------------------


def carry_on(number: int, seconds: float) -> None:
    """Go on with an import, some rows at a time, for some seconds or until it is done. Commits."""
    until = time.monotonic() + seconds
    steps: Mapping[ImportState, Callable[[int, int], bool]] = {
        ImportState.CHECKING: _check_some,
        ImportState.RUNNING: _make_some,
        ImportState.UNDOING: _take_back_some,
    }
    most, wary = 0, 0
    while True:
        state, language = _where(number)
        if state is None or state not in steps:
            return
        try:
            with speaking(language):
                left = steps[state](number, most)
            most = 1 if (wary := max(0, wary - 1)) else 0
        except Exception as error:  # one row must not hold up the others
            db.session.rollback()
            if is_busy(error) or is_full(error) or getattr(error, "connection_invalidated", False):
                raise
            if most == 1:
                log.exception("a row of import %s could not be gone on with", number)
                _give_up(number, state)
            most, wary, left = 1, MADE_AT_ONCE, True  # which row it was shows when they go one by one
        if not left or time.monotonic() >= until:
            return


def _where(number: int) -> tuple[ImportState | None, str]:
    """Where an import stands, and the language of who brought it; read without holding anybody up."""
    db.session.rollback()
    with writing(allowed=False):
        read = select(Import.state, Staff.language).join(Staff, Staff.id == Import.actor_id).where(Import.id == number)
        found = db.session.execute(read).first()
        db.session.rollback()
    return (found.state, found.language) if found else (None, "")


def _give_up(number: int, state: ImportState) -> None:
    """The next row of an import is left alone: something of ours goes wrong with it."""
    undoing = state is ImportState.UNDOING
    which: tuple[Any, ...] = _to_make(number)
    if state is ImportState.CHECKING:
        which = (ImportRow.import_id == number, ImportRow.state == RowState.UNREAD)
    elif undoing:
        which = (ImportRow.import_id == number, ImportRow.state == RowState.DONE)
    order = ImportRow.place.desc() if undoing else ImportRow.place
    with writing():
        row = db.session.scalar(select(ImportRow).where(*which).order_by(order).limit(1))
        if row is not None:
            row.state = RowState.KEPT if undoing else RowState.WRONG
            row.told = {"faults": [["fault", "", ""]]}
        db.session.commit()


def _hold(number: int, state: ImportState) -> bool:
    """Hold an import until the transaction ends; False when another process has it, or when it is no longer in this state."""
    mine = select(Import.id).where(Import.id == number, Import.state == state)
    return db.session.scalar(mine.with_for_update(skip_locked=True)) is not None


def _next(which: Sequence[Any], order: Any, most: int) -> Sequence[ImportRow]:
    return db.session.scalars(select(ImportRow).where(*which).order_by(order).limit(most)).all()


def _let_go(rows: Iterable[ImportRow]) -> None:
    """Rows were read, and what is known of them is kept elsewhere: they are not read again while others wait."""
    for row in rows:
        db.session.expunge(row)
    db.session.rollback()


def _first(which: Sequence[Any]) -> int | None:
    return db.session.scalar(select(func.min(ImportRow.place)).where(*which))


# --- rehearsing ------------------------------------------------------------------------------------------------------


def trace_of(row: ImportRow, titles: Sequence[str], reading: Reading) -> str:
    """A digest of what a row says, in whatever order its columns are; with the programme's own number, of that and the name."""
    values = reading.values
    if values["number"]:
        said = ["number", folded(values["number"]), folded(values["name"])]
    else:
        said = sorted(
            f"{folded(titles[place]) if place < len(titles) else ''}\x1f{cell}"
            for place, cell in enumerate(row.cells)
            if cell
        )
    return blake2b("\x1e".join(said).encode("utf-8", "replace"), digest_size=16).hexdigest()


def traits_of(reading: Reading) -> Traits:
    """What of a row is compared with files."""
    values = reading.values
    return Traits(
        name=values["name"],
        email=values["email"],
        phone=values["phone"][0],
        extension=values["phone"][1],
        neq=values["neq"],
        project=values["project"],
        sector=values["sector"] if values["sector"] != "unknown" else "",
        place=values["locality"] or (values["region"] if values["region"] != "06" else ""),
    )


def _read_all(run: Import, rows: Sequence[ImportRow]) -> list[Reading]:
    plan, understood, today = Plan.of(run.plan), once("words_of_sheets", known), clock.today()
    return [fields.read_row(row.cells, run.titles, plan, understood, today) for row in rows]


def _check_some(number: int, most: int) -> bool:
    """Look at the next rows without holding anybody up, then write what was found."""
    unread = (ImportRow.import_id == number, ImportRow.state == RowState.UNREAD)
    with writing(allowed=False):
        run = db.session.get_one(Import, number)
        rows = _next(unread, ImportRow.place, most or CHECKED_AT_ONCE)
        found, traits = _judged(run, rows)
        _let_go(rows)
    with writing():
        if not _hold(number, ImportState.CHECKING):
            db.session.rollback()
            return False
        if not found:
            _turn(number, {ImportState.CHECKING}, ImportState.CHECKED)
        elif _first(unread) == found[0]["place"]:  # nobody was quicker
            db.session.execute(update(ImportRow), found)
            if traits:
                db.session.execute(insert(ImportTrait), traits)
        db.session.commit()
    return bool(found)


def _judged(run: Import, rows: Sequence[ImportRow]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is found of some rows, and under what they are found themselves."""
    readings = _read_all(run, rows)
    traces = [trace_of(row, run.titles, reading) for row, reading in zip(rows, readings, strict=True)]
    before = _imported(traces)
    known_as = [_known_as(traces[place], traits_of(reading)) for place, reading in enumerate(readings)]
    earlier = _earlier(run, {trait for one in known_as for trait in one})
    found, new = list[dict[str, Any]](), list[dict[str, Any]]()
    for row, reading, trace, names in zip(rows, readings, traces, known_as, strict=True):
        met = next(((name, earlier[name]) for name in names if name in earlier), None)
        told: dict[str, Any] = {"remarks": len(reading.remarks)} if reading.remarks else {}
        if trace in before:
            state, told = RowState.SAME, {"case": before[trace]}
        elif met and met[0].startswith("="):
            state, told = RowState.TWIN, {"line": met[1]}
        elif reading.faults:
            state, told = RowState.WRONG, {"faults": reading.faults}
        elif met:
            state, told = RowState.LIKE, told | {"line": met[1], "reasons": [met[0].split(":")[0]]}
        elif alike := _alike(traits_of(reading)):
            other, likeness = alike
            state, told = (
                RowState.LIKE,
                told | {"case": other.id, "reasons": [reason.value for reason in likeness.reasons]},
            )
        else:
            state = RowState.NEW
        found.append({"import_id": run.id, "place": row.place, "state": state, "told": told or None})
        if state not in {RowState.SAME, RowState.TWIN, RowState.WRONG}:
            for name in names:
                if name not in earlier:
                    earlier[name] = row.line
                    new.append({"import_id": run.id, "trait": name, "place": row.line})
    return found, new


def _alike(traits: Traits) -> Any:
    found_under = keys(traits)
    best = look(traits, Keys(found_under.exact, found_under.coarse), but=0)
    return best[0] if best else None


def _known_as(trace: str, traits: Traits) -> list[str]:
    """Under what a row is found by later rows of its sheet: what it says, and what is one person's or one organization's own."""
    own = {"email": traits.email.casefold(), "phone": traits.phone + traits.extension, "neq": traits.neq}
    hidden = [(name, blake2b(value.encode(), digest_size=12).hexdigest()) for name, value in own.items() if value]
    return [f"={trace[:31]}", *(f"{name}:{digest}" for name, digest in hidden)]


def _earlier(run: Import, traits: set[str]) -> dict[str, int]:
    """The line of the sheet on which each of some traits was met first."""
    read = select(ImportTrait.trait, ImportTrait.place).where(
        ImportTrait.import_id == run.id, ImportTrait.trait.in_(traits)
    )
    return {row.trait: row.place for row in db.session.execute(read)}


def _imported(traces: Iterable[str]) -> dict[str, int]:
    """The file that was made of each of some rows, by what the row says."""
    read = select(ImportKey.trace, ImportKey.case_id).where(ImportKey.trace.in_(list(traces)))
    return {row.trace: row.case_id for row in db.session.execute(read)}


# --- making ----------------------------------------------------------------------------------------------------------


def _make_some(number: int, most: int) -> bool:
    """Read the next rows without holding anybody up, then make their files."""
    with writing(allowed=False):
        run = db.session.get_one(Import, number)
        rows = _next(_to_make(number), ImportRow.place, most or MADE_AT_ONCE)
        readings = _read_all(run, rows)
        traces = [trace_of(row, run.titles, reading) for row, reading in zip(rows, readings, strict=True)]
        read = list(zip([(row.place, row.line) for row in rows], readings, traces, strict=True))
        first, setting = rows[0].place if rows else None, _setting(run)
        _let_go(rows)
    with writing():
        if not _hold(number, ImportState.RUNNING):
            db.session.rollback()
            return False
        if first is None:
            _turn(number, {ImportState.RUNNING}, ImportState.DONE, ended_at=clock.now())
            _quietly(delete(ImportTrait).where(ImportTrait.import_id == number))
        elif _first(_to_make(number)) == first:  # nobody was quicker
            _make(number, read, setting)
        db.session.commit()
    return first is not None


def _make(number: int, rows: Sequence[tuple[tuple[int, int], Reading, str]], setting: files.Setting) -> None:
    before, good, became = _imported(trace for *_, trace in rows), dict[str, Any](), list[dict[str, Any]]()
    for (place, line), reading, trace in rows:
        if trace in before or trace in good:  # another import was quicker
            became.append(
                {"place": place, "state": RowState.SAME, "told": {"case": before.get(trace)}, "case_id": None}
            )
        elif reading.faults:  # what could be read at the rehearsal no longer can: somebody who was named has left
            became.append(
                {"place": place, "state": RowState.WRONG, "told": {"faults": reading.faults}, "case_id": None}
            )
        else:
            good[trace] = place, line, reading
    made = files.write([(line, reading) for _, line, reading in good.values()], setting) if good else []
    for (place, *_), case in zip(good.values(), made, strict=True):
        became.append({"place": place, "state": RowState.DONE, "told": None, "case_id": case.id})
    if good:
        marks = [{"trace": trace, "case_id": case.id} for trace, case in zip(good, made, strict=True)]
        db.session.execute(insert(ImportKey), marks)
    db.session.execute(update(ImportRow), [{"import_id": number, **one} for one in became])


def _setting(run: Import) -> files.Setting:
    duty, team = duty_person(), frozenset(number for number, _ in active_case_team())
    prefix = programme().reference_prefix
    return files.Setting(run.id, run.actor_id, prefix, team, duty.id if duty else None, clock.now())


# --- taking back -----------------------------------------------------------------------------------------------------


def _take_back_some(number: int, most: int) -> bool:
    with writing():
        if not _hold(number, ImportState.UNDOING):
            db.session.rollback()
            return False
        made = (ImportRow.import_id == number, ImportRow.state == RowState.DONE)
        rows = _next(made, ImportRow.place.desc(), most or TAKEN_BACK_AT_ONCE)
        if not rows:
            _turn(number, {ImportState.UNDOING}, ImportState.UNDONE, ended_at=clock.now())
            _quietly(delete(ImportTrait).where(ImportTrait.import_id == number))
            db.session.commit()
            return False
        gone = files.take_back(files.untouched(row.case_id for row in rows if row.case_id))
        for row in rows:
            row.state = RowState.REMOVED if row.case_id in gone else RowState.KEPT
        db.session.commit()
    return True


def worked_on(run: Import) -> int:
    """How many files of an import would stay if it were taken back now, because something happened on them since."""
    made = select(ImportRow.case_id).where(ImportRow.import_id == run.id, ImportRow.state == RowState.DONE)
    return files.touched_since(made)


# --- jobs ------------------------------------------------------------------------------------------------------------


def run_waiting(*, seconds: float = 20) -> int:
    """Job: imports under way, however they were interrupted; the oldest first. Returns how many were worked on."""
    waiting = db.session.scalars(select(Import.id).where(Import.state.in_(UNDER_WAY)).order_by(Import.id)).all()
    until = time.monotonic() + seconds
    for number in waiting:
        carry_on(number, max(0.0, until - time.monotonic()))
    return len(waiting)


def forget_old() -> int:
    """Job: sheets that nobody went on with, and the rows of sheets that can no longer be taken back. Returns how many sheets."""
    now = clock.now()
    unused = [ImportState.READING, ImportState.MAPPING, ImportState.CHECKED]
    gone = _quietly(delete(Import).where(Import.state.in_(unused), Import.made_at < now - UNUSED_FOR))
    ended = Import.state.in_([ImportState.DONE, ImportState.UNDONE]) & (Import.ended_at < now - UNDO_WITHIN)
    old = db.session.scalars(select(Import).where(ended, Import.numbers.is_(None)).limit(20)).all()
    for run in old:
        run.numbers = {state: number for state, number in numbers(run).items() if number}
        _quietly(delete(ImportRow).where(ImportRow.import_id == run.id))
    return gone + len(old)


# --- reads -----------------------------------------------------------------------------------------------------------


def all_runs(most: int = 100) -> Sequence[Import]:
    """The sheets that were brought in, the newest first."""
    return db.session.scalars(select(Import).order_by(Import.id.desc()).limit(most)).all()


def rows_in(run: Import, states: Iterable[RowState], after: int = -1, most: int = 50) -> Sequence[ImportRow]:
    """Rows in some states, in the order of the sheet, those beyond a place."""
    which = (ImportRow.import_id == run.id, ImportRow.state.in_(list(states)), ImportRow.place > after)
    return _next(which, ImportRow.place, most)


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
