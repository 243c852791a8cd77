"""Going on with an import, some rows at a time: rehearsing them, making files of them, taking the files back.

Rows are read and compared without holding anybody up, then written in one short transaction, which also says what became of each: however
it is interrupted, it goes on where it stood. Two who carry on the same import do no harm: its own row is held by one of them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team, duty_person
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import db, is_busy, is_full, writing
from crm.duplicates.matching import Traits, folded, keys
from crm.duplicates.models import MatchKey
from crm.duplicates.services import look
from crm.feature import once
from crm.i18n import speaking
from crm.imports import fields, services
from crm.imports import writing as files
from crm.imports.fields import Plan, Reading
from crm.imports.models import Import, ImportKey, ImportRow, ImportState, ImportTrait, RowState
from crm.tags.models import Tag
from crm.texts.facts import programme

log = logging.getLogger(__name__)
CHECKED_AT_ONCE, MADE_AT_ONCE, TAKEN_BACK_AT_ONCE = 50, 20, 20
HEAVIEST = 30_000  # signs of the rows of one batch: nobody waits longer to write
TRIES = 5  # of a batch that met another's change


# --- carrying on -----------------------------------------------------------------------------------------------------


def carry_on(number: int, seconds: float) -> None:
    """Go on with an import, some rows at a time, for some seconds or until it is done. Commits."""
    until = time.monotonic() + seconds
    steps: Mapping[ImportState, Callable[[int, int], bool]] = {
        ImportState.CHECKING: _check_some,
        ImportState.RUNNING: _make_some,
        ImportState.UNDOING: _take_back_some,
    }
    most, wary, tries = 0, 0, 0
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
            # Somebody was quicker: what they made is seen next time.
            met = isinstance(error, IntegrityError) and tries < TRIES
            tries += met
            if most == 1 and not met:
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
    which: tuple[Any, ...] = services.to_make(number)
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


def _next(which: Sequence[Any], order: Any, most: int) -> Sequence[ImportRow]:
    """The next rows, at most so many of them and of their signs, and one at least."""
    rows, signs = list[ImportRow](), 0
    for row in db.session.scalars(select(ImportRow).where(*which).order_by(order).limit(most)):
        signs += sum(map(len, row.cells))
        if rows and signs > HEAVIEST:
            db.session.expunge(row)
            break
        rows.append(row)
    return rows


def _let_go(rows: Iterable[ImportRow]) -> None:
    """Rows were read, and what is known of them is kept elsewhere: they are not read again while others wait."""
    for row in rows:
        db.session.expunge(row)
    db.session.rollback()


def _first(which: Sequence[Any]) -> int | None:
    return db.session.scalar(select(func.min(ImportRow.place)).where(*which))


def run_waiting(*, seconds: float = 20) -> int:
    """Job: imports under way, however they were interrupted; the oldest first. Returns how many were worked on."""
    waiting = db.session.scalars(
        select(Import.id).where(Import.state.in_(services.UNDER_WAY)).order_by(Import.id)
    ).all()
    until = time.monotonic() + seconds
    for number in waiting:
        carry_on(number, max(0.0, until - time.monotonic()))
    return len(waiting)


# --- rehearsing ------------------------------------------------------------------------------------------------------


def traces_of(row: ImportRow, titles: Sequence[str], reading: Reading) -> list[str]:
    """What tells a row from all others: a digest of what it says, in whatever order its columns are, and, where the programme numbers
    its rows, one of the number with the name.
    """
    said = sorted(
        f"{title}\x1f{cell}"
        for place, cell in enumerate(row.cells)
        if cell and (title := folded(titles[place]) if place < len(titles) else "") not in fields.REPORT
    )
    found = [_digest(*said)]
    if number := reading.values["number"]:
        found.append(_digest("number", number.casefold(), folded(reading.values["name"])))
    return found


def _digest(*said: str) -> str:
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
    plan, understood, today = Plan.of(run.plan), once("words_of_sheets", services.known), clock.today()
    return [fields.read_row(row.cells, run.titles, plan, understood, today) for row in rows]


def _check_some(number: int, most: int) -> bool:
    """Look at the next rows without holding anybody up, then write what was found."""
    unread = (ImportRow.import_id == number, ImportRow.state == RowState.UNREAD)
    with writing(allowed=False):
        run = db.session.get_one(Import, number)
        version = run.version
        rows = _next(unread, ImportRow.place, most or CHECKED_AT_ONCE)
        found, traits = _judged(run, rows)
        _let_go(rows)
    with writing():
        if not services.hold(number, ImportState.CHECKING, version, skip_locked=True):
            db.session.rollback()
            return False
        if found and _first(unread) == found[0]["place"]:  # nobody was quicker
            db.session.execute(update(ImportRow), found)
            if traits:
                db.session.execute(insert(ImportTrait), traits)
        left = _first(unread) is not None
        if not left:
            services.turn(number, {ImportState.CHECKING}, ImportState.CHECKED)
        db.session.commit()
    return left


def _judged(run: Import, rows: Sequence[ImportRow]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is found of some rows, and under what they are found themselves."""
    readings = _read_all(run, rows)
    traces = [traces_of(row, run.titles, reading) for row, reading in zip(rows, readings, strict=True)]
    before = _imported(trace for one in traces for trace in one)
    known_as = [_known_as(traces[place], traits_of(reading)) for place, reading in enumerate(readings)]
    earlier = _earlier(run, {trait for one in known_as for trait in one})
    found, new = list[dict[str, Any]](), list[dict[str, Any]]()
    for row, reading, trace, names in zip(rows, readings, traces, known_as, strict=True):
        state, told = _verdict(run, reading, trace, names, before=before, earlier=earlier)
        found.append({"import_id": run.id, "place": row.place, "state": state, "told": told or None})
        if state in {RowState.NEW, RowState.LIKE}:
            for name in names:
                if name not in earlier:
                    earlier[name] = row.line
                    new.append({"import_id": run.id, "trait": name, "place": row.line})
    return found, new


def _verdict(
    run: Import,
    reading: Reading,
    trace: Sequence[str],
    names: Sequence[str],
    *,
    before: Mapping[str, int],
    earlier: Mapping[str, int],
) -> tuple[RowState, dict[str, Any]]:
    """What would become of a row, and what is told of it."""
    told: dict[str, Any] = {"remarks": len(reading.remarks)} if reading.remarks else {}
    if trace[0] in before:
        return RowState.SAME, {"case": before[trace[0]]}
    if names[0] in earlier:
        return RowState.TWIN, {"line": earlier[names[0]]}
    if reading.faults:
        return RowState.WRONG, {"faults": reading.faults}
    if trace[-1] in before:
        return RowState.LIKE, told | {"case": before[trace[-1]], "reasons": ["number"]}
    if met := next((name for name in names if name in earlier), None):
        return RowState.LIKE, told | {"line": earlier[met], "reasons": [met.split(":")[0]]}
    if alike := _alike(traits_of(reading), run.actor):
        other, likeness = alike
        return RowState.LIKE, told | {"case": other.id, "reasons": [reason.value for reason in likeness.reasons]}
    return RowState.NEW, told


def _alike(traits: Traits, reader: Staff) -> Any:
    """The file that a row looks like most, of those that who brought the sheet may see; None when there is none."""
    found = look(traits, keys(traits), but=0)
    if not found:
        return None
    seen = set(db.session.scalars(select(Case.id).where(Case.id.in_([row.id for row, _ in found]), visible(reader))))
    return next((one for one in found if one[0].id in seen), None)


def _known_as(traces: Sequence[str], traits: Traits) -> list[str]:
    """Under what a row is found by later rows of its sheet: what it says, then what is one person's or one organization's own."""
    own = {"email": traits.email.casefold(), "phone": traits.phone + traits.extension, "neq": traits.neq}
    hidden = [(name, blake2b(value.encode(), digest_size=12).hexdigest()) for name, value in own.items() if value]
    numbered = [f"number:{trace[:24]}" for trace in traces[1:]]
    return [f"={traces[0][:31]}", *numbered, *(f"{name}:{digest}" for name, digest in hidden)]


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
        rows = _next(services.to_make(number), ImportRow.place, most or MADE_AT_ONCE)
        readings = _read_all(run, rows)
        traces = [traces_of(row, run.titles, reading) for row, reading in zip(rows, readings, strict=True)]
        met = [
            None if row.wanted else _now_here(reading, run.actor) for row, reading in zip(rows, readings, strict=True)
        ]
        read = list(zip([(row.place, row.line) for row in rows], readings, traces, met, strict=True))
        first, setting = rows[0].place if rows else None, _setting(run)
        _let_go(rows)
    with writing():
        if not services.hold(number, ImportState.RUNNING, skip_locked=True):
            db.session.rollback()
            return False
        if first is not None and _first(services.to_make(number)) == first:  # nobody was quicker
            _make(number, read, setting)
        left = _first(services.to_make(number)) is not None
        if not left:
            services.turn(number, {ImportState.RUNNING}, ImportState.DONE, ended_at=clock.now())
        db.session.commit()
        if not left:
            services.forget_traits(number)
    return left


def _now_here(reading: Reading, reader: Staff) -> dict[str, Any] | None:
    """A file that a row did not look like at the rehearsal, and looks like now: somebody opened it meanwhile."""
    traits = traits_of(reading)
    exact = keys(traits).exact
    if not exact or db.session.scalar(select(MatchKey.case_id).where(MatchKey.key.in_(exact)).limit(1)) is None:
        return None
    alike = _alike(traits, reader)
    return {"case": alike[0].id, "reasons": [reason.value for reason in alike[1].reasons]} if alike else None


Read = tuple[tuple[int, int], Reading, list[str], dict[str, Any] | None]


def _make(number: int, rows: Sequence[Read], setting: files.Setting) -> None:
    before = _imported(trace for _, _, traces, _ in rows for trace in traces)
    good, became = dict[str, tuple[int, int, Reading, list[str]]](), list[dict[str, Any]]()
    for (place, line), reading, traces, met in rows:
        state: RowState | None = None
        told: dict[str, Any] | None = None
        if traces[0] in before or traces[0] in good:  # another import was quicker
            state, told = RowState.SAME, {"case": before.get(traces[0])}
        elif reading.faults:  # what could be read at the rehearsal no longer can: somebody who was named has left
            state, told = RowState.WRONG, {"faults": reading.faults}
        elif met:
            state, told = RowState.LIKE, met
        if state is None:
            good[traces[0]] = place, line, reading, traces
        else:
            became.append({"place": place, "state": state, "told": told, "case_id": None})
    made = files.write([(line, reading) for _, line, reading, _ in good.values()], setting) if good else []
    marks: dict[str, int] = {}
    for (place, _, _, traces), case in zip(good.values(), made, strict=True):
        became.append({"place": place, "state": RowState.DONE, "told": None, "case_id": case.id})
        marks |= {trace: case.id for trace in traces if trace not in before and trace not in marks}
    if marks:
        db.session.execute(
            insert(ImportKey), [{"trace": trace, "case_id": case_id} for trace, case_id in marks.items()]
        )
    db.session.execute(update(ImportRow), [{"import_id": number, **one} for one in became])


def _setting(run: Import) -> files.Setting:
    duty, team = duty_person(), frozenset(number for number, _ in active_case_team())
    prefix, tags = programme().reference_prefix, frozenset(db.session.scalars(select(Tag.id)))
    return files.Setting(run.id, run.actor_id, prefix, team, tags, duty.id if duty else None, clock.now())


# --- taking back -----------------------------------------------------------------------------------------------------


def _take_back_some(number: int, most: int) -> bool:
    with writing():
        if not services.hold(number, ImportState.UNDOING, skip_locked=True):
            db.session.rollback()
            return False
        made = (ImportRow.import_id == number, ImportRow.state == RowState.DONE)
        rows = _next(made, ImportRow.place.desc(), most or TAKEN_BACK_AT_ONCE)
        if not rows:
            services.turn(number, {ImportState.UNDOING}, ImportState.UNDONE, ended_at=clock.now())
            db.session.commit()
            services.forget_traits(number)
            return False
        gone = files.take_back(files.untouched(row.case_id for row in rows if row.case_id))
        for row in rows:
            row.state = RowState.REMOVED if row.case_id in gone else RowState.KEPT
            if row.state is RowState.REMOVED:  # what was taken back is nobody's to keep
                row.cells = []
        db.session.commit()
    return True
