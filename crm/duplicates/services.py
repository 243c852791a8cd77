"""Finding files that look alike, and what people decide of them: the same project, the same person, or neither."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import aliased, joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.merging import same_person
from crm.cases.models import Case, Contact, Founder, Project
from crm.cases.pipeline import Move, Refusal
from crm.cases.queries import counted
from crm.cases.services import assign, close_into, reopen_merged
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.duplicates.matching import THRESHOLD, Keys, Known, Likeness, Traits, compare, keys
from crm.duplicates.models import CaseMerge, LikePair, MatchKey, Verdict
from crm.errors import RefusedError
from crm.feature import plugged
from crm.reminders.services import keep_from_being_forgotten
from crm.texts import text
from crm.timeline.services import record

MET = 80  # files that share a key and are compared on the facts
KEPT = 10  # of those that look alike, how many are shown
AT_ONCE, A_FEW = 200, 5  # files compared by one run of the job, and by one of its transactions
UNDO_FOR = timedelta(days=30)


# --- finding ---------------------------------------------------------------------------------------------------------


def facts() -> Select[*tuple[Any, ...]]:
    """What of files is compared; rows that `traits_of` reads."""
    return (
        select(
            Case.id,
            Case.stage,
            Contact.name,
            Contact.email,
            Contact.phone,
            Contact.phone_extension.label("extension"),
            Project.neq,
            Project.name.label("project"),
            Project.sector,
            Project.region,
            Project.locality,
        )
        .join(Contact, Contact.id == Case.contact_id)
        .join(Project, Project.id == Case.project_id)
    )


def founders_of(ids: Iterable[int]) -> dict[int, tuple[Known, ...]]:
    """The founders beside who asked, by file."""
    rows = db.session.execute(_founders(), {"files": list(ids)})
    found: dict[int, tuple[Known, ...]] = {}
    for case_id, *known in rows:
        found[case_id] = (*found.get(case_id, ()), Known(*known))
    return found


@cache
def _founders() -> Select[*tuple[Any, ...]]:
    known = (Founder.case_id, Founder.name, Founder.email, Founder.phone, Founder.phone_extension)
    return select(*known).where(Founder.case_id.in_(bindparam("files", expanding=True))).order_by(Founder.id)


def traits_of(row: Any, founders: tuple[Known, ...] = ()) -> Traits:
    """What of a row of `facts` is compared, with the file's other founders."""
    return Traits(
        name=row.name,
        email=row.email,
        phone=row.phone,
        extension=row.extension,
        neq=row.neq,
        project=row.project,
        sector=row.sector,
        place=row.locality or (row.region if row.region != "06" else ""),
        founders=founders,
    )


def comparable() -> ColumnElement[bool]:
    """Files that another may be a duplicate of: not those merged already, set aside, unwanted or made by mistake."""
    return Case.merged_into_id.is_(None) & counted()


def look(traits: Traits, found_under: Keys, *, but: int) -> list[tuple[Row[Any], Likeness]]:
    """The files that look like these facts, the likest first: two reads, by index, however many files there are."""
    if not found_under.every:
        return []
    exact = func.max(case((MatchKey.key.in_(bindparam("exact", expanding=True)), 1), else_=0))
    met = (
        select(MatchKey.case_id)
        .where(MatchKey.key.in_(bindparam("every", expanding=True)), MatchKey.case_id != but)
        .group_by(MatchKey.case_id)
        .order_by(exact.desc(), func.count().desc(), MatchKey.case_id.desc())
        .limit(MET)
    )
    asked: Any = {"exact": list(found_under.exact) or [-1], "every": list(found_under.every)}
    others = list(db.session.scalars(met, asked))
    if not others:
        return []
    rows = db.session.execute(facts().where(Case.id.in_(others), comparable())).all()
    founders = founders_of(row.id for row in rows)
    alike = ((row, compare(traits, traits_of(row, founders.get(row.id, ())))) for row in rows)
    best = [(row, likeness) for row, likeness in alike if likeness.score >= THRESHOLD]
    return sorted(best, key=lambda found: (-found[1].score, -found[0].id))[:KEPT]


def match(*, limit: int = AT_ONCE) -> int:
    """Job: compare files that are new, or whose facts changed, with all others. Returns how many.

    A few at a time, each few in a transaction of its own: on SQLite nobody can write while it lasts.
    """
    done = 0
    while done < limit and (some := _match_some(min(A_FEW, limit - done))):
        db.session.commit()
        done += some
    return done


def _match_some(few: int) -> int:
    waiting = select(Case.id).where(Case.matched_at.is_(None), Case.quarantined.is_(False)).order_by(Case.id.desc())
    ids = list(db.session.scalars(waiting.limit(few).with_for_update(skip_locked=True)))
    founders = founders_of(ids)
    for row in db.session.execute(facts().where(Case.id.in_(ids)).order_by(Case.id)).all():
        _match_one(row, founders.get(row.id, ()))
    if ids:
        db.session.execute(update(Case).where(Case.id.in_(ids)).values(matched_at=clock.now()))
    return len(ids)


def _match_one(row: Row[Any], founders: tuple[Known, ...]) -> None:
    traits = traits_of(row, founders)
    found_under = keys(traits)
    db.session.execute(delete(MatchKey).where(MatchKey.case_id == row.id))
    rows = [{"key": key, "case_id": row.id} for key in dict.fromkeys(found_under.every)]
    if rows:
        db.session.execute(insert(MatchKey), rows)
    counts = db.session.scalar(select(Case.id).where(Case.id == row.id, comparable())) is not None
    _keep_pairs(row, look(traits, found_under, but=row.id) if counts else [])


def _keep_pairs(row: Row[Any], found: Sequence[tuple[Row[Any], Likeness]]) -> None:
    """What is found is kept for people to judge; what they judged stays judged; what no longer looks alike goes."""
    mine = or_(LikePair.older_id == row.id, LikePair.newer_id == row.id)
    there = {(pair.older_id, pair.newer_id): pair for pair in db.session.scalars(select(LikePair).where(mine))}
    now = clock.now()
    for other, likeness in found:
        if Stage.CLOSED is row.stage is other.stage:
            continue
        order = in_order(row.id, other.id)
        pair = there.pop(order, None)
        if pair is None:
            pair = LikePair(older_id=order[0], newer_id=order[1], found_at=now)
            db.session.add(pair)
        pair.score, pair.reasons = likeness.score, [reason.value for reason in likeness.reasons]
    for pair in there.values():
        if pair.verdict is None:
            db.session.delete(pair)


def in_order(one: int, other: int) -> tuple[int, int]:
    """How a pair is kept: the older file first."""
    return min(one, other), max(one, other)


# --- judging ---------------------------------------------------------------------------------------------------------


def pair_of(one: Case, other: Case, *, lock: bool = False) -> LikePair | None:
    """What is known of two files, if anything."""
    statement = select(LikePair).where(
        LikePair.older_id == min(one.id, other.id), LikePair.newer_id == max(one.id, other.id)
    )
    return db.session.scalar(statement.with_for_update() if lock else statement)


def likeness_of(one: Case, other: Case) -> Likeness:
    """How alike two files are now."""
    rows = {row.id: row for row in db.session.execute(facts().where(Case.id.in_([one.id, other.id])))}
    founders = founders_of(rows)
    mine, theirs = (traits_of(rows[case.id], founders.get(case.id, ())) for case in (one, other))
    return compare(mine, theirs)


def judge(one: Case, other: Case, verdict: Verdict | None, actor: Staff) -> None:
    """Remember what somebody decided of two files, or that it is to be decided anew. The same verdict twice does nothing.

    Raises RefusedError for a pair of which one was merged into the other: that is undone, not judged.
    """
    pair = _pair_to_judge(one, other)
    if pair.verdict is Verdict.SAME_PROJECT:
        raise RefusedError(text("duplicates.refusal.merged_already"))
    if pair.verdict is verdict:
        return
    _write_verdict(pair, verdict, actor)
    for mine, their in ((one, other), (other, one)):
        record(
            f"duplicate.{verdict or 'reopened'}",
            case_id=mine.id,
            actor=by(actor),
            codes={"other": their.id},
            detail=_named(their),
        )


def _named(file: Case) -> dict[str, str]:
    """A file's number, for the history of another: that of a restricted one is for those who may see it."""
    return {} if file.restricted else {"reference": file.reference}


def _pair_to_judge(one: Case, other: Case) -> LikePair:
    pair = pair_of(one, other, lock=True)
    if pair is None:
        likeness = likeness_of(one, other)
        order = in_order(one.id, other.id)
        pair = LikePair(
            older_id=order[0],
            newer_id=order[1],
            score=likeness.score,
            reasons=[reason.value for reason in likeness.reasons],
            found_at=clock.now(),
        )
        db.session.add(pair)
    return pair


def _write_verdict(pair: LikePair, verdict: Verdict | None, actor: Staff) -> None:
    pair.verdict = verdict
    pair.judged_at = clock.now() if verdict else None
    pair.judged_by_id = actor.id if verdict else None


def undecided(condition: ColumnElement[bool], *, limit: int) -> Sequence[LikePair]:
    """Pairs that nobody judged, of which one file at least is open, the newest first. `condition` is on `older` and `newer`."""
    return db.session.scalars(
        select(LikePair)
        .join(OLDER, OLDER.id == LikePair.older_id)
        .join(NEWER, NEWER.id == LikePair.newer_id)
        .where(LikePair.verdict.is_(None), condition, open_pair())
        .order_by(LikePair.found_at.desc(), LikePair.newer_id.desc())
        .limit(limit)
        .options(
            *(
                option
                for file in (LikePair.older, LikePair.newer)
                for option in (joinedload(file).joinedload(Case.contact), joinedload(file).joinedload(Case.project))
            )
        )
    ).all()


OLDER, NEWER = aliased(Case), aliased(Case)


def open_pair() -> ColumnElement[bool]:
    """A pair still worth judging: one file open, neither merged nor set aside nor closed as unwanted."""
    fine = (file.merged_into_id.is_(None) & counted(file) for file in (OLDER, NEWER))
    one_open = or_(OLDER.stage != Stage.CLOSED, NEWER.stage != Stage.CLOSED)
    first, second = fine
    return first & second & one_open


def guard(file: Case, move: Move) -> list[Refusal]:
    """First contact comes after the duplicate check (domain reference, section 14.1); a restricted file does not show by it."""
    if move.to is not Stage.CONTACT or move.origin is not Stage.NEW:
        return []
    mine = or_(OLDER.id == file.id, NEWER.id == file.id)
    shown = or_(OLDER.id == file.id, OLDER.restricted.is_(False)) & or_(
        NEWER.id == file.id, NEWER.restricted.is_(False)
    )
    return [Refusal("to_judge", feature="duplicates")] if undecided(mine & shown, limit=1) else []


# --- merging ---------------------------------------------------------------------------------------------------------


def merge(gone: Case, kept: Case, actor: Staff) -> CaseMerge:
    """Two files of one project become one: all that lives moves to `kept`, and `gone` closes as its duplicate.

    The history is read together, both references go on working, links given before are closed, and it can be undone for thirty
    days. Raises RefusedError when either is merged already or set aside, when they are two people's, or when an open file would go into a
    closed one.
    """
    _may_merge(gone, kept)
    pair = _pair_to_judge(gone, kept)
    journal: dict[str, Any] = {"verdict": pair.verdict}
    for part in plugged("merge"):
        journal[part.name] = part.move(gone, kept)
    # Files merged into the one that goes are now merged into the one that stays.
    earlier = list(db.session.scalars(select(Case.id).where(Case.merged_into_id == gone.id)))
    _point(earlier, kept.id)
    if kept.owner_id is None and gone.owner is not None and gone.owner.active and kept.stage is not Stage.CLOSED:
        assign(kept, gone.owner, actor)
    journal["earlier"] = earlier
    journal["stood"] = close_into(gone, kept, actor)
    kept.matched_at = gone.matched_at = None
    db.session.flush()
    others = or_(LikePair.older_id != pair.older_id, LikePair.newer_id != pair.newer_id)
    db.session.execute(delete(LikePair).where(_of(gone), others, LikePair.verdict.is_(None)))
    _write_verdict(pair, Verdict.SAME_PROJECT, actor)
    done = CaseMerge(gone=gone, kept=kept, at=clock.now(), by_id=actor.id, journal=journal)
    db.session.add(done)
    record("case.merged", case_id=kept.id, actor=by(actor), codes={"other": gone.id}, detail=_named(gone))
    keep_from_being_forgotten(kept)
    return done


def _of(file: Case) -> ColumnElement[bool]:
    return or_(LikePair.older_id == file.id, LikePair.newer_id == file.id)


def _point(files: Iterable[int], kept_id: int) -> None:
    if files:
        db.session.execute(update(Case).where(Case.id.in_(files)).values(merged_into_id=kept_id))


def _may_merge(gone: Case, kept: Case) -> None:
    if gone.id == kept.id:
        raise RefusedError(text("duplicates.refusal.same_file"))
    if gone.merged_into_id or kept.merged_into_id:
        raise RefusedError(text("duplicates.refusal.merged_already"))
    if gone.quarantined or kept.quarantined:
        raise RefusedError(text("cases.refusal.quarantined"))
    if not same_person(gone, kept):
        raise RefusedError(text("duplicates.refusal.two_people"))
    if kept.stage is Stage.CLOSED and gone.stage is not Stage.CLOSED:
        raise RefusedError(text("duplicates.refusal.keep_the_open_one"))


def merge_of(gone: Case) -> CaseMerge | None:
    """The merge that a file went by, unless it was undone."""
    return db.session.scalar(select(CaseMerge).where(CaseMerge.gone_id == gone.id, CaseMerge.undone_at.is_(None)))


def undo_until(done: CaseMerge) -> datetime:
    """Until when a merge can be undone."""
    return done.at + UNDO_FOR


def undo(done: CaseMerge, actor: Staff) -> None:
    """Take a merge back: each part returns what it moved, but for what was changed since.

    Raises RefusedError after thirty days, when it was undone before, or while the kept file is itself merged into another.
    """
    gone, kept = done.gone, done.kept
    if done.undone_at is not None:
        raise RefusedError(text("duplicates.refusal.undone_already"))
    if done.final or clock.now() > undo_until(done):
        raise RefusedError(text("duplicates.refusal.too_late"))
    later = select(CaseMerge.id).where(
        CaseMerge.kept_id == kept.id, CaseMerge.undone_at.is_(None), CaseMerge.id > done.id
    )
    if db.session.scalar(later.limit(1)) is not None:
        raise RefusedError(text("duplicates.refusal.later_first"))
    if kept.merged_into_id is not None:
        raise RefusedError(text("duplicates.refusal.kept_was_merged"))
    done.undone_at, done.undone_by_id = clock.now(), actor.id
    reopen_merged(gone, kept, done.journal["stood"])
    _point(done.journal["earlier"], gone.id)
    gone.has_merged = bool(done.journal["earlier"])
    for part in reversed(plugged("merge")):
        if part.name in done.journal:
            part.undo(gone, kept, done.journal[part.name])
    kept.matched_at = gone.matched_at = None
    former = done.journal.get("verdict")
    _write_verdict(_pair_to_judge(gone, kept), Verdict(former) if former else None, actor)
    for mine, their in ((gone, kept), (kept, gone)):
        record(
            "case.unmerged", case_id=mine.id, actor=by(actor), codes={"other": their.id},
            detail=_named(their),
        )  # fmt: skip
    if gone.owner is not None and not gone.owner.active and gone.stage is not Stage.CLOSED:
        assign(gone, actor, actor)  # who had it left in the meantime
    keep_from_being_forgotten(kept)
    keep_from_being_forgotten(gone)


def moved(file: Case, move: Move, _actor: Staff | None) -> None:
    """Closing a file destroys what was to be arranged, also where a merge kept it for undoing."""
    if move.to is not Stage.CLOSED:
        return
    for done in db.session.scalars(
        select(CaseMerge).where(CaseMerge.kept_id == file.id, CaseMerge.undone_at.is_(None))
    ):
        if done.journal.get("arrangements"):
            done.journal = done.journal | {"arrangements": {}}


def make_final() -> int:
    """Job: after thirty days a merge cannot be undone, and its journal is emptied. Returns how many."""
    old = update(CaseMerge).where(CaseMerge.final.is_(False), CaseMerge.at < clock.now() - UNDO_FOR)
    made = db.session.execute(old.values(final=True, journal={}))
    return int(made.rowcount)  # type: ignore[attr-defined]
