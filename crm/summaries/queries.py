"""The figures of a period as they stand now, and published summaries."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.summaries.figures import Figure, figures_of
from crm.summaries.models import Summary
from crm.summaries.periods import Period
from crm.summaries.rows import rows_of
from crm.summaries.suppression import Figures

ACTIVE = tuple(stage.value for stage in Stage if stage is not Stage.CLOSED)


def all_figures(period: Period) -> dict[str, Figure]:
    """The twenty-four indicators as they stand now, with the files of each."""
    return figures_of(rows_of(period), period, period.cut_off_at)


def figures(period: Period) -> Figures:
    """What is published of a period, as it stands now."""
    rows = rows_of(period, "requests", "stays", "sent")
    return Figures.of(figures_of(rows, period, period.cut_off_at), ACTIVE)


PAGE = 50
AT_ONCE = 400  # numbers of one statement


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


def published(period: Period) -> Summary | None:
    return db.session.scalar(select(Summary).where(Summary.period == period.code))


def all_published() -> list[Summary]:
    """Newest first."""
    return list(db.session.scalars(select(Summary).order_by(Summary.first_day.desc())))
