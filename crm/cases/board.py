"""The board: the files of a filter by stage, some of each, the newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, literal, select, union_all

from crm import clock
from crm.accounts.models import Staff
from crm.cases.filters import ALL, OPEN, Filter, Shape, may_list
from crm.cases.models import Case, Contact, Project
from crm.cases.vocabulary import Stage
from crm.db import UTCDateTime, db
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
    asked: dict[str, Any] = {"cards": CARDS, "counted": COUNTED, "closed_since": clock.now() - CLOSED_FOR}
    shapes = []
    for place, stage in enumerate(stages):
        one = wanted.but(stages=(stage.value,))
        shapes.append((stage, one.shape))
        asked |= {f"{name}_{place}": value for name, value in one.values(staff).items()}
    dialect = db.engine.dialect.name
    cards: dict[Stage, list[Any]] = {stage: [] for stage in stages}
    for row in db.session.execute(_cards(tuple(shapes), dialect), asked):
        cards[row.stage].append(row)
    numbers = db.session.execute(_numbers(tuple(shapes), dialect), asked).one()
    return [Column(stage, cards[stage], number) for stage, number in zip(stages, numbers, strict=True)]


def _of(stage: Stage, shape: Shape, dialect: str, place: int) -> Any:
    """The files of a stage that answer the filter."""
    files = select(Case.id)
    if shape.facets:
        files = files.join(Project, Project.id == Case.project_id)
    files = files.where(shape.condition(dialect, f"_{place}"))
    return (
        files.where(Case.closed_at >= bindparam("closed_since", type_=UTCDateTime)) if stage is Stage.CLOSED else files
    )


@lru_cache(200)
def _cards(shapes: tuple[tuple[Stage, Shape], ...], dialect: str) -> Select[Any]:
    parts = []
    for place, (stage, shape) in enumerate(shapes):
        first = _of(stage, shape, dialect, place).order_by(Case.received_at.desc(), Case.id.desc())
        first = first.limit(bindparam("cards", type_=Integer)).subquery()
        parts.append(select(first.c.id, literal(place, Integer).label("place")))
    shown = union_all(*parts).subquery()
    statement: Any = (
        select(
            Case.id, Case.reference, Case.stage, Case.next_step_on, Case.turn, Case.turn_since, Project.name.label("project"),
            Contact.name.label("person"), Staff.name.label("owner"), Body.short_fr, Body.short_en,
        )
        .join(shown, shown.c.id == Case.id)
        .join(Contact, Contact.id == Case.contact_id)
        .join(Project, Project.id == Case.project_id)
        .outerjoin(Staff, Staff.id == Case.owner_id)
        .outerjoin(Body, Body.id == Case.turn_body_id)
        .order_by(shown.c.place, Case.received_at.desc(), Case.id.desc())
    )  # fmt: skip
    return statement  # type: ignore[no-any-return]


@lru_cache(200)
def _numbers(shapes: tuple[tuple[Stage, Shape], ...], dialect: str) -> Select[Any]:
    counts = []
    for place, (stage, shape) in enumerate(shapes):
        some = _of(stage, shape, dialect, place).limit(bindparam("counted", type_=Integer)).subquery()
        counts.append(select(func.count()).select_from(some).scalar_subquery().label(f"number_{place}"))
    return select(*counts)
