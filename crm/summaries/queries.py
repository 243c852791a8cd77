"""The figures of a period as they stand now, and summaries from their draft on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from crm.access import Role
from crm.accounts.models import Staff
from crm.cases.models import Case, Contact, Founder, Project
from crm.cases.queries import visible
from crm.cases.vocabulary import Stage
from crm.config import LANGUAGES
from crm.db import db
from crm.i18n import language
from crm.partners.models import Body
from crm.summaries.course import Body as Answered
from crm.summaries.course import bodies_of
from crm.summaries.course_rows import asked_of
from crm.summaries.figures import Figure, Rows, counted_again, figures_by_part, figures_of, kinds_of
from crm.summaries.models import CountedFiles, Format, State, Summary, SummaryFile
from crm.summaries.periods import Period
from crm.summaries.rows import rows_of

ACTIVE = tuple(stage.value for stage in Stage if stage is not Stage.CLOSED)
PAGE = 50
AT_ONCE = 400  # numbers of one statement


def all_figures(period: Period) -> dict[str, Figure]:
    """The twenty-four indicators as they stand now, with the files of each."""
    return figures_by_part(partial(rows_of, period), period, period.cut_off_at)


@dataclass(frozen=True)
class Looked:
    """What was found of a period: its figures, what periods published before, of the same twelve months, count now, and what each body answered."""

    figures: dict[str, Figure]
    earlier: dict[str, dict[str, int]]
    bodies: Mapping[str, Answered]


def look(period: Period) -> Looked:
    """The figures of a period as they stand now, and what there is to revise of those before it."""
    first = period.rolling_days[0]
    published = select(Summary.period).where(Summary.state == State.PUBLISHED)
    published = published.where(Summary.first_day >= first, Summary.last_day < period.first).order_by(Summary.first_day)
    before = [one for code in db.session.scalars(published) if (one := Period.read(code)) is not None]
    earlier: dict[str, dict[str, int]] = {}
    bodies: dict[str, Answered] = {}

    def read(*kinds: str) -> Rows:
        rows = rows_of(period, *kinds)
        if "requests" in kinds:
            earlier.update({one.code: counted_again(rows, one) for one in before})
        if "sent" in kinds:
            bodies.update(bodies_of(asked_of(rows.sent, period)))
        return rows

    figures = figures_by_part(read, period, period.cut_off_at)
    return Looked(figures, earlier, bodies)


def figure_of(period: Period, name: str) -> Figure | None:
    """One figure as it stands now, from the rows that it needs; None when there is none of that name."""
    kinds = kinds_of(name)
    return figures_of(rows_of(period, *kinds), period, period.cut_off_at)[name] if kinds else None


@dataclass(frozen=True)
class Files:
    """A page of the files that a number is made of: `shown` of `visible`, of all that it counts, each once. `hidden` are not this person's to
    see, or are there no more.
    """

    shown: list[Case]
    visible: int
    hidden: int
    next: int | None


def files_of(numbers: Sequence[int], staff: Staff, *, after: int = 0) -> Files:
    """The files of a number that somebody may see, the newest first; `after` is the last one of the page before, 0 for none."""
    distinct = sorted(set(numbers), reverse=True)
    there: list[int] = []
    for start in range(0, len(distinct), AT_ONCE):
        some = distinct[start : start + AT_ONCE]
        there += db.session.scalars(select(Case.id).where(Case.id.in_(some), visible(staff)).order_by(Case.id.desc()))
    page = [one for one in there if not after or one < after][: PAGE + 1]
    read = select(Case).where(Case.id.in_(page[:PAGE])).join(Case.project).options(contains_eager(Case.project))
    shown = list(db.session.scalars(read.order_by(Case.id.desc())))
    return Files(shown, len(there), len(distinct) - len(there), page[PAGE - 1] if len(page) > PAGE else None)


# --- summaries -------------------------------------------------------------------------------------------------------


def of_period(period: Period) -> Summary | None:
    """The summary of a period, whatever its state."""
    return db.session.scalar(select(Summary).where(Summary.period == period.code))


def published(period: Period) -> Summary | None:
    found: Summary | None = db.session.scalar(_published().where(Summary.period == period.code))
    return found


def overlapping(period: Period) -> Summary | None:
    """A summary, whatever its state, of which some days are the period's too."""
    shared = Summary.first_day <= period.last, Summary.last_day >= period.first
    return db.session.scalar(select(Summary).where(*shared).order_by(Summary.first_day).limit(1))


def published_after(day: date) -> bool:
    """Whether a summary of later days is published: numbers of earlier ones would tell its tables apart."""
    read = _published().where(Summary.last_day > day).limit(1)
    return db.session.scalar(read) is not None


def all_published() -> list[Summary]:
    """Newest first."""
    return list(db.session.scalars(_published().order_by(Summary.first_day.desc())))


def revisions_of(code: str, published: Sequence[Summary]) -> list[tuple[Summary, dict[str, Any]]]:
    """What published summaries, the newest first, revised of a period: of each figure the last time, with the summary that says so."""
    found: dict[str, tuple[Summary, dict[str, Any]]] = {}
    for later in reversed(published):
        for one in later.shown.get("revised", ()):
            if one["period"] == code:
                found[one["figure"]] = later, one
    return list(found.values())


def _published() -> Select[Any]:
    return select(Summary).where(Summary.state == State.PUBLISHED)


def told_to(body: Body) -> tuple[Period, dict[str, Any]] | None:
    """What the last published summary tells a body of its own answers, with the period that ends its twelve months; None when it was sent nothing."""
    read = select(Summary.period, Summary.bodies).where(Summary.state == State.PUBLISHED)
    last = db.session.execute(read.order_by(Summary.last_day.desc()).limit(1)).first()
    period = Period.read(last.period) if last else None
    if last is None or period is None or not (last.bodies or {}).get(body.code):
        return None
    return period, last.bodies[body.code]


def in_work() -> list[Summary]:
    """Those that are not published yet, the oldest first."""
    return list(db.session.scalars(select(Summary).where(Summary.state != State.PUBLISHED).order_by(Summary.first_day)))


def latest() -> Summary | None:
    """That of the newest period, whatever its state."""
    return db.session.scalar(select(Summary).order_by(Summary.last_day.desc()).limit(1))


def counted(summary: Summary, figure: str, part: str) -> list[int] | None:
    """The files that a frozen number counts; None when none are kept of it."""
    read = select(CountedFiles.files).where(
        CountedFiles.summary_id == summary.id, CountedFiles.figure == figure, CountedFiles.part == part
    )
    return db.session.scalar(read)


def kept_parts(summary: Summary) -> set[tuple[str, str]]:
    """The numbers of a summary, figure and part, of which the files are kept."""
    read = select(CountedFiles.figure, CountedFiles.part).where(CountedFiles.summary_id == summary.id)
    return {(figure, part) for figure, part in db.session.execute(read)}


@dataclass(frozen=True)
class Offered:
    """A file of a published summary, without its content."""

    id: int
    format: Format
    language: str
    table: str
    size: int


def files_offered(summary: Summary) -> list[Offered]:
    read = select(SummaryFile.id, SummaryFile.format, SummaryFile.language, SummaryFile.table, SummaryFile.size)
    read = read.where(SummaryFile.summary_id == summary.id).order_by(SummaryFile.id)
    return [Offered(*row) for row in db.session.execute(read)]


def file_of(summary: Summary, number: int) -> SummaryFile | None:
    return db.session.scalar(select(SummaryFile).where(SummaryFile.summary_id == summary.id, SummaryFile.id == number))


def short_names() -> dict[str, str]:
    """The short names of all bodies, by their code."""
    return {body.code: body.short(language()) for body in db.session.scalars(select(Body))}


def names_of_bodies(numbers: Iterable[str]) -> dict[str, dict[str, str]]:
    """The short names of some bodies, by number and language; what is no number is left out."""
    wanted = [int(number) for number in numbers if number.isdecimal()]
    found = db.session.scalars(select(Body).where(Body.id.in_(wanted)).order_by(Body.id))
    return {str(body.id): {lang: body.short(lang) for lang in LANGUAGES} for body in found}


def observers() -> list[Staff]:
    """Who is told that a summary is published."""
    return list(
        db.session.scalars(select(Staff).where(Staff.active.is_(True), Staff.role == Role.OBSERVER).order_by(Staff.id))
    )


def names() -> tuple[Iterator[str], Iterator[str]]:
    """The names of all people, and of all projects, that the files know."""
    people = (select(Contact.name).distinct(), select(Founder.name).distinct())
    projects = select(Project.name).where(Project.name != "").distinct()
    return (
        (name for read in people for name in db.session.scalars(read)),
        (name for name in db.session.scalars(projects)),
    )
