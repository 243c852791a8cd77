"""The board: the files of a filter by stage, some of each, the newest request first; of closed files, the last one closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, bindparam, literal, select, union_all

from crm import clock
from crm.accounts.models import Staff
from crm.cases.filters import ALL, OPEN, Filter, Shape, mark_of, may_list, together
from crm.cases.models import Case
from crm.cases.queries import named
from crm.cases.vocabulary import Stage
from crm.db import UTCDateTime, counted, db, rows_of
from crm.partners.models import Body

CARDS = 50  # of a stage
COUNTED = 1000
CLOSED_FOR = timedelta(weeks=6)  # how long a closed file stays on the board


@dataclass(frozen=True)
class Column:
    """A stage: its first cards, and how many files it has, counted to 1,000."""

    stage: Stage
    cards: Sequence[Any]
    number: int


def columns_of(staff: Staff, wanted: Filter) -> list[Column]:
    """The stages that a filter shows, in order. Of closed files, those of the last six weeks."""
    stages = [stage for stage in Stage if wanted.stages[0] in {OPEN, ALL} or stage in wanted.stages]
    if not may_list(staff) or wanted.impossible:
        return [Column(stage, [], 0) for stage in stages]
    # A closed file is one that has a day of closing: those of the last weeks are found by it, not among all that were ever closed.
    shapes, asked = together(
        [wanted.but(stages=(ALL if stage is Stage.CLOSED else stage.value,)) for stage in stages], staff
    )
    asked |= {"cards": CARDS, "at_most": COUNTED, "closed_since": clock.now() - CLOSED_FOR}
    shown = tuple(zip(stages, shapes, strict=True))
    dialect = db.engine.dialect.name
    cards: dict[Stage, list[Any]] = {stage: [] for stage in stages}
    for row in rows_of(_cards(shown, dialect), asked):
        cards[row.stage].append(row)
    numbers = rows_of(_numbers(shown, dialect), asked)[0]
    return [Column(stage, cards[stage], number) for stage, number in zip(stages, numbers, strict=True)]


def _order(stage: Stage) -> Any:
    return Case.closed_at if stage is Stage.CLOSED else Case.received_at


def _of(stage: Stage, shape: Shape, dialect: str, place: int) -> Any:
    """The files of a stage that answer the filter."""
    files = shape.files(dialect, mark_of(place), (Case.id, _order(stage).label("at")))
    if stage is not Stage.CLOSED:
        return files
    return files.where(Case.closed_at >= bindparam("closed_since", type_=UTCDateTime))


@lru_cache(200)
def _cards(shapes: tuple[tuple[Stage, Shape], ...], dialect: str) -> Any:
    parts = []
    for place, (stage, shape) in enumerate(shapes):
        first = _of(stage, shape, dialect, place).order_by(_order(stage).desc(), Case.id.desc())
        first = first.limit(bindparam("cards", type_=Integer)).subquery()
        parts.append(select(first.c.id, first.c.at, literal(place, Integer).label("place")))
    shown = union_all(*parts).subquery()
    card = select(
        Case.id, Case.reference, Case.stage, Case.next_step_on, Case.turn, Case.turn_since, Body.short_fr, Body.short_en
    )
    return (
        named(card.add_columns(Staff.name.label("owner")).join(shown, shown.c.id == Case.id))
        .outerjoin(Staff, Staff.id == Case.owner_id)
        .outerjoin(Body, Body.id == Case.turn_body_id)
        .order_by(shown.c.place, shown.c.at.desc(), Case.id.desc())
    )


@lru_cache(200)
def _numbers(shapes: tuple[tuple[Stage, Shape], ...], dialect: str) -> Any:
    return select(*(counted(_of(stage, shape, dialect, place)) for place, (stage, shape) in enumerate(shapes)))
