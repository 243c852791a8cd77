"""The life of a summary: its figures are taken on the cut-off day, the team writes, a second person approves, and it is published whole.

What was published is never computed again. Domain reference, section 17.1.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.config import LANGUAGES
from crm.db import db, save_over, writing
from crm.errors import RefusedError
from crm.i18n import format_date, speaking
from crm.outbox.services import queue, settings
from crm.partners.queries import everyone, wholes
from crm.summaries import queries
from crm.summaries.bodies import beside_others
from crm.summaries.content import MOST_PARAGRAPHS, WRITTEN, Report, paragraphs, period_name, report
from crm.summaries.figures import DEFINITIONS, Figure, numbers_of, parts_of
from crm.summaries.formats import charts, data, document, tables, workbook
from crm.summaries.models import CountedFiles, Format, State, Summary, SummaryFile
from crm.summaries.names import cannot_be_set, named
from crm.summaries.periods import MONTHS, Kind, Period
from crm.summaries.queries import Looked
from crm.summaries.release import FORM, PART_OF, Before, Released, put_together, released
from crm.texts import text
from crm.timeline.models import ActorKind
from crm.timeline.services import record

log = logging.getLogger(__name__)
LONGEST_TEXT = 6000  # signs of each part that the team writes
MOST_MADE = 4  # periods that are made up for after the worker was away
Texts = Mapping[str, Mapping[str, str]]


def threshold() -> int:
    return settings().summary_threshold


def current() -> Period:
    """The period that runs now, of the kind that this programme publishes."""
    return Period.of(clock.today(), Kind(settings().summary_period), settings().fiscal_start)


# --- the draft -------------------------------------------------------------------------------------------------------


def look(period: Period) -> Looked:
    """The figures of a period as they stand now, read in a transaction of its own that keeps nobody from writing: they may take seconds. What
    the caller had begun and not committed is given up.
    """
    with _reading():
        return queries.look(period)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """A transaction of its own that only reads, all of it as of one instant."""
    db.session.rollback()
    with writing(allowed=False):
        if db.engine.dialect.name == "postgresql":  # SQLite's are so anyway
            db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        try:
            yield
        finally:
            db.session.rollback()


def may_be_made(period: Period, *, at: datetime | None = None) -> None:
    """Raises RefusedError before the cut-off day, when there is one already, and for days that overlap what there is."""
    if at is None and clock.today() < period.cut_off:
        raise RefusedError(text("summaries.refusal.too_early", date=format_date(period.cut_off)))
    if period.kind is Kind.CHOSEN:
        raise RefusedError(text("summaries.refusal.by_hand"))
    if queries.of_period(period) is not None:
        raise RefusedError(text("summaries.refusal.already"))
    if queries.published_after(period.last):
        raise RefusedError(text("summaries.refusal.too_old"))
    if (other := queries.overlapping(period)) is not None:
        raise RefusedError(text("summaries.refusal.overlaps", period=period_name(other.period)))


def make(period: Period, *, at: datetime | None = None, found: Looked | None = None) -> Summary:
    """Keep the figures of a period as a draft, with the files of each: those that `look` found, or those of now. Refused as `may_be_made` says."""
    may_be_made(period, at=at)
    summary = Summary(
        period=period.code,
        first_day=period.first,
        last_day=period.last,
        definitions=DEFINITIONS,
        state=State.DRAFT,
        texts={},
        names=[],
        digest="",
        version=1,
    )
    found = found or queries.look(period)
    _take(summary, period, found, at or clock.now())
    db.session.add(summary)
    db.session.flush()
    _keep_files(summary, found.figures)
    return summary


def make_due() -> int:
    """The drafts that are due: of each period that ended since the last summary and of which the cut-off day has come. Returns how many were made."""
    period = current().previous
    latest = queries.latest()
    due: list[Period] = []
    while len(due) < MOST_MADE and (latest is None or period.first > latest.last_day):
        due.append(period)
        if latest is None:
            break
        period = period.previous
    made = 0
    for one in reversed(due):
        if clock.today() < one.cut_off:
            continue
        try:
            make(one, found=look(one))
            record("summary.drafted", case_id=None, actor=(ActorKind.SYSTEM, None), codes={"period": one.code})
            db.session.commit()
        except IntegrityError:  # another worker was faster
            db.session.rollback()
            continue
        made += 1
    return made


def take_again(summary: Summary, seen_version: int, actor: Staff, *, found: Looked | None = None) -> None:
    """The figures anew, those that `look` found or those of now, while nobody has approved them."""
    _still(summary, State.DRAFT, State.PROPOSED)
    _save(summary, seen_version, state=State.DRAFT, proposed_by_id=None, proposed_at=None)
    period = _period(summary)
    found = found or queries.look(period)
    _take(summary, period, found, clock.now())
    _keep_files(summary, found.figures)
    record("summary.taken_again", case_id=None, actor=by(actor), codes={"period": summary.period})


def _take(summary: Summary, period: Period, found: Looked, at: datetime) -> None:
    summary.figures = {"form": FORM} | {code: numbers_of(figure) for code, figure in found.figures.items()}
    summary.shown = release_of(period, found)
    summary.bodies = beside_others(found.bodies, threshold(), wholes(everyone()))
    summary.made_at = at
    summary.definitions = DEFINITIONS


def _keep_files(summary: Summary, found: Mapping[str, Figure]) -> None:
    db.session.execute(delete(CountedFiles).where(CountedFiles.summary_id == summary.id))
    for code, figure in found.items():
        table = summary.shown["tables"].get(code, {})
        parts = parts_of(figure) | put_together(code, figure, table.get("cells") or {})
        for part, files in parts.items():
            db.session.add(CountedFiles(summary_id=summary.id, figure=code, part=part, files=sorted(files)))


def release_of(period: Period, found: Looked) -> Released:
    """What the committee would read of a period's figures, with what was published before beside it."""
    earlier = [one for one in queries.all_published() if one.period != period.code]
    before = [Before.of(one.first_day, one.last_day, one.shown) for one in earlier]
    fresh = {
        one.first_day: (one.period, found.earlier[one.period])
        for one in earlier
        if one.period in found.earlier and one.definitions == DEFINITIONS and one.shown["form"] == FORM
    }
    shown = released(found.figures, period, queries.ACTIVE, before, threshold(), fresh=fresh)
    if "sent_by_body" in shown["tables"]:  # by their names of now, whatever they are called later
        shown["tables"]["sent_by_body"]["names"] = queries.names_of_bodies(
            name.partition("/")[2] for name in shown["tables"]["sent_by_body"]["cells"]
        )
    return shown | {"compared": _compared(period, shown, {one.period: one for one in earlier})}


def _compared(period: Period, shown: Released, earlier: Mapping[str, Summary]) -> dict[str, Any]:
    """The same quarter a year earlier, and sums of four quarters: of published numbers alone, so that nothing more is told."""
    alike = {
        code: one.shown for code, one in earlier.items() if one.definitions == DEFINITIONS and one.shown["form"] == FORM
    }
    year_ago = alike.get(period.year_before.code)
    others: list[Released | None] = []
    one = period
    for _ in range(12 // MONTHS[period.kind] - 1 if period.kind in MONTHS else 0):
        one = one.previous
        others.append(alike.get(one.code))
    rolling = {}
    for code, cell in shown["figures"].items():
        cells = [cell, *((one or {}).get("figures", {}).get(code, {}) for one in others)]
        if others and code not in PART_OF and "unit" not in cell and all("value" in told for told in cells):
            rolling[code] = {"value": sum(told["value"] for told in cells)}
    before = {"before": dict(year_ago["figures"]), "k": year_ago["k"]} if year_ago else {"before": {}}
    return before | {"rolling": rolling}


# --- what the team writes --------------------------------------------------------------------------------------------


def write(summary: Summary, texts: Texts, seen_version: int, actor: Staff) -> None:
    """Keep what the team wrote. What was proposed is a draft again: nobody approves words that they did not read."""
    _still(summary, State.DRAFT, State.PROPOSED)
    kept = {lang: {part: texts[lang].get(part, "").strip() for part in WRITTEN} for lang in LANGUAGES}
    for lang in LANGUAGES:
        if len(paragraphs(kept[lang]["text"])) > MOST_PARAGRAPHS:
            raise RefusedError(text("summaries.refusal.paragraphs", number=MOST_PARAGRAPHS))
        if any(len(words) > LONGEST_TEXT for words in kept[lang].values()):
            raise RefusedError(text("summaries.refusal.long", number=LONGEST_TEXT))
        if unset := cannot_be_set("".join(kept[lang].values())):
            raise RefusedError(text("summaries.refusal.signs", signs=" ".join(unset[:10])))
    names = _names_in(kept)
    _save(summary, seen_version, texts=kept, names=names, state=State.DRAFT, proposed_by_id=None, proposed_at=None)
    record("summary.written", case_id=None, actor=by(actor), codes={"period": summary.period})


def may_be_written(summary: Summary) -> None:
    """Raises RefusedError once it is approved."""
    _still(summary, State.DRAFT, State.PROPOSED)


def _names_in(texts: Texts) -> list[str]:
    """The people and projects of the database that the texts name."""
    said = "\n".join(words for one in texts.values() for words in one.values())
    if not said.strip():
        return []
    people, projects = queries.names()
    return named(said, people, projects)


def propose(summary: Summary, seen_version: int, actor: Staff, *, names_may_stay: bool) -> None:
    """Say that it is ready for a second person. Refused while a text is in one language only, or names somebody and nobody said that it may."""
    _still(summary, State.DRAFT)
    for part in WRITTEN:
        said = [bool(summary.texts.get(lang, {}).get(part)) for lang in settings().languages]
        if any(said) and not all(said):
            raise RefusedError(text("summaries.refusal.one_language", part=text(f"summaries.written.{part}")))
    if not _holds(summary):
        raise RefusedError(text("summaries.refusal.stale"))
    if not names_may_stay and (names := _names_in(summary.texts)):
        raise RefusedError(text("summaries.refusal.names", names=", ".join(names[:10])))
    _save(summary, seen_version, state=State.PROPOSED, proposed_by_id=actor.id, proposed_at=clock.now())
    record("summary.proposed", case_id=None, actor=by(actor), codes={"period": summary.period})


def approve(summary: Summary, seen_version: int, actor: Staff) -> None:
    """A second person approves what was proposed; the worker publishes it. Refused to whoever proposed it."""
    _still(summary, State.PROPOSED)
    if summary.proposed_by_id == actor.id:
        raise RefusedError(text("summaries.refusal.same_person"))
    if not _holds(summary):
        raise RefusedError(text("summaries.refusal.stale"))
    _save(summary, seen_version, state=State.APPROVED, approved_by_id=actor.id, approved_at=clock.now())
    record("summary.approved", case_id=None, actor=by(actor), codes={"period": summary.period})


def _holds(summary: Summary) -> bool:
    """Whether what is released was worked out under the threshold of today, and knowing all that was published since."""
    others = queries.all_published()
    newer = [one for one in others if one.published_at and one.published_at >= summary.made_at]
    later = [one for one in others if one.last_day > summary.last_day]
    return not newer and not later and summary.shown["k"] == threshold()


def discard(summary: Summary, seen_version: int, actor: Staff) -> None:
    """Take a draft away, with its figures. What was approved stays."""
    _still(summary, State.DRAFT, State.PROPOSED)
    _save(summary, seen_version, state=State.DRAFT)
    db.session.execute(delete(CountedFiles).where(CountedFiles.summary_id == summary.id))
    record("summary.discarded", case_id=None, actor=by(actor), codes={"period": summary.period})
    db.session.delete(summary)


def _still(summary: Summary, *states: State) -> None:
    if summary.state not in states:
        raise RefusedError(text(f"summaries.refusal.is_{summary.state}"))


def _save(summary: Summary, seen_version: int, **values: Any) -> None:
    if not save_over(summary, seen_version, **values):
        raise RefusedError(text("summaries.refusal.meanwhile"))


def _period(summary: Summary) -> Period:
    period = Period.read(summary.period)
    assert period is not None  # noqa: S101 - only periods are kept
    return period


# --- publication -----------------------------------------------------------------------------------------------------


def publish_approved() -> int:
    """Publish what was approved, each in a transaction of its own: all of it or nothing. Returns how many."""
    waiting = db.session.scalars(select(Summary.id).where(Summary.state == State.APPROVED).order_by(Summary.first_day))
    done = 0
    for number in list(waiting):
        now = clock.now()
        why = "stale"  # another one was published first: its figures must be taken again, and approved again
        files, version = list[SummaryFile](), 0
        try:
            files, version = _made(number, now)
        except CannotBeMadeError:
            log.exception("the files of summary %s cannot be made", number)
            why = "failed"
        summary = db.session.get(Summary, number)
        if summary is None or summary.state is not State.APPROVED or (files and summary.version != version):
            continue  # approved anew meanwhile: its turn comes again
        if files and _holds(summary):
            publish(summary, at=now, files=files)
            tell(summary)
            db.session.commit()
            done += 1
            continue
        _save(summary, summary.version, state=State.DRAFT, proposed_by_id=None, approved_by_id=None)
        record(f"summary.{why}", case_id=None, actor=(ActorKind.SYSTEM, None), codes={"period": summary.period})
        db.session.commit()
    return done


def _made(number: int, at: datetime) -> tuple[list[SummaryFile], int]:
    """The files of a summary that is approved, with the version that they are of; none when it is stale or gone."""
    with _reading():
        summary = db.session.get(Summary, number)
        if summary is None or summary.state is not State.APPROVED or not _holds(summary):
            return [], 0
        return list(files_of(summary, at)), summary.version


def publish(summary: Summary, *, at: datetime | None = None, files: Iterable[SummaryFile] | None = None) -> None:
    """Freeze all of it with its files, those that were made or those made now, in the caller's transaction."""
    now = at or clock.now()
    files = files or list(files_of(summary, now))
    if not save_over(
        summary, summary.version, state=State.PUBLISHED, published_at=now, published_by_id=summary.approved_by_id
    ):
        return  # somebody else is publishing it
    for made in files:
        made.summary_id = summary.id
        db.session.add(made)
    db.session.flush()
    summary.digest = digest_of(summary)
    record(
        "summary.published",
        case_id=None,
        actor=(ActorKind.STAFF, summary.approved_by_id) if summary.approved_by_id else (ActorKind.SYSTEM, None),
        codes={"period": summary.period},
        at=now,
    )


def tell(summary: Summary) -> None:
    """A mail to each observer."""
    for observer in queries.observers():
        with speaking(observer.language):
            name = period_name(summary.period)
        queue(
            "summaries.published",
            dedupe_key=f"summary:{summary.id}:published:{observer.id}",
            to=(observer.email, observer.name),
            language=observer.language,
            values={
                "name": observer.name,
                "period": name,
                "address": f"{settings().base_url}/staff/summaries/{summary.period}",
            },
            staff_id=observer.id,
        )


def report_of(summary: Summary) -> Report:
    """What a summary says in the language spoken now."""
    return report(_period(summary), summary.shown, summary.texts)


def files_of(summary: Summary, made_at: datetime) -> Iterator[SummaryFile]:
    """All files of a summary, in both languages, made at the instant at which it is published."""
    reports: dict[str, Report] = {}
    for lang in LANGUAGES:
        with speaking(lang):
            one = reports[lang] = report_of(summary)
            drawn = {grid.code: svg for grid in one.grids if (svg := charts.chart(grid)) is not None}
            closing = text(
                "summaries.pdf.closing",
                date=format_date(clock.local_date(made_at)),
                definitions=summary.definitions,
                taken=format_date(clock.local_date(summary.made_at)),
            )
            by_whom = settings().programme.organisation.get(lang, "") or settings().programme.short_name
            try:
                printed = document.document(one, drawn, made_at, by_whom, closing)
            except document.TypstError as error:
                raise CannotBeMadeError(str(error)) from error
            yield _file(Format.PDF, lang, "", printed)
            yield _file(Format.XLSX, lang, "", workbook.workbook(one, made_at))
            for name, content in tables.tables(one):
                yield _file(Format.CSV, lang, name, content)
            for name, svg in drawn.items():
                yield _file(Format.SVG, lang, name, svg.encode())
    yield _file(
        Format.JSON,
        "",
        "",
        data.data(reports, summary.first_day, summary.last_day, summary.definitions, summary.period),
    )


def _file(form: Format, lang: str, table: str, content: bytes) -> SummaryFile:
    return SummaryFile(
        format=form,
        language=lang,
        table=table,
        digest=_sha256(content),
        size=len(content),
        content=content,
    )


def digest_of(summary: Summary) -> str:
    """The digest of all that is published: figures, what is shown, definitions, texts, and the files by their own."""
    read = select(SummaryFile.format, SummaryFile.language, SummaryFile.table, SummaryFile.digest)
    files = [
        [form.value, lang, table, digest]
        for form, lang, table, digest in db.session.execute(read.where(SummaryFile.summary_id == summary.id))
    ]
    frozen: list[Any] = [
        summary.period, summary.definitions, summary.figures, summary.shown, summary.texts, sorted(files),
    ]  # fmt: skip
    if summary.bodies is not None:  # later than the first digests
        frozen.append(summary.bodies)
    return _sha256(json.dumps(frozen, sort_keys=True, ensure_ascii=False).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_sound(kept: SummaryFile) -> bool:
    return _sha256(kept.content) == kept.digest


class CannotBeMadeError(Exception):
    """A text holds what a file of the summary cannot show."""


class ChangedError(Exception):
    """What was published is not what is kept now."""


def whole(kept: SummaryFile) -> bytes:
    """The content of a file as it was published. Raises ChangedError when it was changed since."""
    if not _is_sound(kept):
        log.error("file %s of summary %s was changed since it was published", kept.id, kept.summary_id)
        raise ChangedError(str(kept.id))
    return kept.content


def verify_all() -> int:
    """Look whether what was published is unchanged. Returns how many summaries were looked at; raises ChangedError naming those that are not."""
    looked, changed = 0, []
    for summary in queries.all_published():
        looked += 1
        files = db.session.scalars(select(SummaryFile).where(SummaryFile.summary_id == summary.id))
        sound = all(_is_sound(one) for one in files)
        if summary.digest and not (sound and digest_of(summary) == summary.digest):
            changed.append(summary.period)
    if changed:
        raise ChangedError(", ".join(changed))
    return looked
