"""A page of the list of files: which columns, in which order, sorted how, from which file on. Pages follow each other by key, never by number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Date, Integer, and_, bindparam, case, func, or_, select

from crm.accounts.models import Staff
from crm.cases.filters import Filter, Shape, mark_of, may_list, together
from crm.cases.models import Case, CaseNeed, Contact, Project
from crm.cases.vocabulary import Stage
from crm.db import UTCDateTime, counted, db, rows_of
from crm.feature import plugged
from crm.i18n import lazy
from crm.paging import read_key, write_key
from crm.partners.models import Body

PAGE = 50
SHAPES = 400  # statements kept built


@dataclass(frozen=True)
class ListColumn:
    """One column of a list of files: what it reads of a file beside what every list does, under names that no other column has, and what it
    joins for that. Its cell is `template`, or the one of its name in `cases/columns/`.
    """

    name: str
    label: Any
    reads: tuple[Any, ...]
    join: Callable[[Any], Any] = lambda files: files
    template: str = ""


def gathered(rows: Any) -> Any:
    """Several texts of a file as one value of the list's own statement, SEPARATOR between them: the first column of `rows`, a select for
    `Case.id`, in its order. Both databases add texts up in the order of a sorted subquery.
    """
    found = rows.correlate(Case).subquery()
    return select(func.aggregate_strings(found.c[0], SEPARATOR)).correlate(Case).scalar_subquery()


SEPARATOR = "\x1f"  # nobody types it; a text that held it would be shown as two
_NEEDS = select(CaseNeed.need).where(CaseNeed.case_id == Case.id).order_by(CaseNeed.since, CaseNeed.need)
COLUMNS = {
    one.name: one
    for one in (
        ListColumn(
            "person",
            lazy("Person"),
            (Contact.name.label("person"),),
            lambda files: files.join(Contact, Contact.id == Case.contact_id),
        ),
        ListColumn("stage", lazy("Stage"), ()),
        ListColumn(
            "turn",
            lazy("Whose turn"),
            (Case.turn, Case.turn_since, Body.short_fr, Body.short_en),
            lambda files: files.outerjoin(Body, Body.id == Case.turn_body_id),
        ),
        ListColumn(
            "owner",
            lazy("Owner"),
            (Staff.name.label("owner"),),
            lambda files: files.outerjoin(Staff, Staff.id == Case.owner_id),
        ),
        ListColumn("received", lazy("Received"), (Case.received_at, Case.reply_due_on, Case.first_reply_at)),
        ListColumn("step", lazy("Next step"), (Case.next_step_on,)),
        ListColumn("reply", lazy("Reply by"), (Case.reply_due_on, Case.first_reply_at)),
        ListColumn("language", lazy("Language"), (Case.language,)),
        ListColumn("region", lazy("Region"), (Project.region,)),
        ListColumn("borough", lazy("Borough or city"), (Project.locality,)),
        ListColumn("field", lazy("Field"), (Project.sector, Project.sector_other)),
        ListColumn("form", lazy("Legal form"), (Project.legal_form,)),
        ListColumn("project", lazy("Where the project stands"), (Project.stage.label("project_stage"),)),
        ListColumn("source", lazy("Source"), (Case.source,)),
        ListColumn("needs", lazy("Needs"), (gathered(_NEEDS).label("needs"),)),
    )
}
USUAL = ("person", "stage", "turn", "owner", "received", "step")
SORTS = {
    "new": lazy("Newest request first"),
    "old": lazy("Oldest request first"),
    "waiting": lazy("Longest in the same hands first"),
    "step": lazy("Next step, the earliest first"),
    "stage": lazy("Stage, in order"),
}


def columns() -> Mapping[str, ListColumn]:
    """Every column, by name: those of files themselves, then those of other features."""
    return COLUMNS | {one.name: one for one in plugged("case_columns")}


RANK = case({stage.value: place for place, stage in enumerate(Stage)}, value=Case.stage)
# What a page is sorted by, what kind of value that is, and how it is bound.
_KEYS: dict[str, tuple[Any, type[Any], Any]] = {
    "new": (Case.received_at, datetime, UTCDateTime),
    "old": (Case.received_at, datetime, UTCDateTime),
    "waiting": (Case.turn_since, datetime, UTCDateTime),
    "step": (Case.next_step_on, date, Date),
    "stage": (RANK, int, Integer),
}


@dataclass(frozen=True)
class Look:
    """How a list is shown. `sort` is a key of SORTS, `columns` names of columns in the order shown."""

    sort: str = "new"
    columns: tuple[str, ...] = USUAL

    @classmethod
    def read(cls, arguments: Any) -> "tuple[Look, list[str]]":
        """From an address, with the names of what meant nothing and was left out."""
        ignored = []
        sort, named = arguments.get("sort", "new"), arguments.get("cols", "")
        if sort not in SORTS:
            ignored.append("sort")
        known = columns()
        shown = tuple(dict.fromkeys(one for one in named.split(",") if one in known))
        if any(one not in known for one in named.split(",") if one):
            ignored.append("cols")
        return cls(sort if sort in SORTS else "new", shown or USUAL), ignored

    def pairs(self) -> list[tuple[str, str]]:
        """As an address writes it, what is usual left out."""
        found = [("sort", self.sort)] if self.sort != "new" else []
        return found + ([("cols", ",".join(self.columns))] if self.columns != USUAL else [])


@dataclass(frozen=True)
class Page:
    """One page of files; `after` opens the next one, and is empty on the last. `stray` says that the key asked for was of no page of this list."""

    rows: Sequence[Any]
    after: str = ""
    stray: bool = False


def page_of(
    staff: Staff,
    wanted: Filter,
    sort: str = "new",
    *,
    after: str = "",
    limit: int = PAGE,
    columns: tuple[str, ...] = USUAL,
) -> Page:
    """A page of the files that answer a filter, of those this person may see, with what some columns show of them."""
    if not may_list(staff) or wanted.impossible:
        return Page([])
    key = _read_key(after, sort, wanted.stamp())
    asked = wanted.values(staff) | {"at_most": limit + 1}
    if key is not None:
        asked |= {"key": key[0], "key_id": key[1]} if key[0] is not None else {"key_id": key[1]}
    where = "first" if key is None else "last" if key[0] is None else "on"
    dialect = db.engine.dialect.name
    rows = list(rows_of(_statement(wanted.shape, sort, where, dialect, columns), asked))
    if where == "on" and sort == "step" and len(rows) <= limit:  # then those without a next step, from the first
        asked |= {"key_id": 0, "at_most": limit + 1 - len(rows)}
        asked.pop("key")
        rows += rows_of(_statement(wanted.shape, sort, "last", dialect, columns), asked)
    stray = bool(after) and key is None
    if len(rows) <= limit:
        return Page(rows, "", stray)
    last = rows[limit - 1]
    return Page(rows[:limit], write_key(sort, wanted.stamp(), last.key, last.id), stray)


def _read_for(shown: Sequence[str]) -> dict[str, Any]:
    """What is read of each file for some columns, by name, in the order in which a row of the list holds it."""
    known = columns()
    every: list[Any] = [Case.id, Case.reference, Case.stage, Project.name.label("project")]
    every += [one for name in shown for one in known[name].reads]
    return {one.key: one for one in every}


def _reading(shown: Sequence[str], sort: str) -> Any:
    """Files with what some columns show of them."""
    known, read = columns(), _read_for(shown).values()
    statement: Any = select(*read, _KEYS[sort][0].label("key")).join(Project, Project.id == Case.project_id)
    for name in shown:
        statement = known[name].join(statement)
    return statement


@lru_cache(SHAPES)
def _statement(shape: Shape, sort: str, where: str, dialect: str, columns: tuple[str, ...] = USUAL) -> Any:
    """The files of a page. `where` says whether it is the first one, one after a key, or after a file that has none."""
    of = _KEYS[sort][0]
    statement = _reading(columns, sort).where(shape.condition(dialect))
    if sort == "new":
        ordered = statement.order_by(of.desc(), Case.id.desc())
    elif sort == "step" and where == "first":
        ordered = statement.order_by(of.asc().nulls_last(), Case.id)
    else:
        ordered = statement.order_by(of, Case.id)
    if where != "first":
        ordered = ordered.where(_beyond(sort, where))
    return ordered.limit(bindparam("at_most", type_=Integer))


def _beyond(sort: str, where: str) -> ColumnElement[bool]:
    of, _kind, bound_as = _KEYS[sort]
    key, key_id = bindparam("key", type_=bound_as), bindparam("key_id", type_=Integer)
    if where == "last":
        return and_(of.is_(None), Case.id > key_id)
    if sort == "new":
        return and_(of <= key, or_(of < key, Case.id < key_id))
    return and_(of >= key, or_(of > key, Case.id > key_id))


def _read_key(value: str, sort: str, stamp: str) -> tuple[Any, int] | None:
    """The key of a page of this very list; None for any other."""
    found = read_key(value, str, str, _KEYS[sort][1], int)
    if found is None or (found[0], found[1]) != (sort, stamp) or found[3] is None:
        return None
    key = found[2]
    if (key is None and sort != "step") or (sort == "stage" and key >= len(Stage)):
        return None
    return key, found[3]


# --- counts ----------------------------------------------------------------------------------------------------------

COUNTED = 100


def count(staff: Staff, wanted: Filter, most: int = COUNTED) -> int:
    """How many files answer a filter, counted to `most`."""
    return 0 if wanted.impossible else counts(staff, [wanted], most)[0]


def counts(staff: Staff, filters: Sequence[Filter], most: int = COUNTED) -> list[int]:
    """How many files answer each of some filters, each counted to `most`, in one statement."""
    if not may_list(staff) or not filters:
        return [0] * len(filters)
    shapes, asked = together(filters, staff)
    return list(rows_of(_counts(shapes, db.engine.dialect.name), asked | {"at_most": most})[0])


@lru_cache(SHAPES)
def _counts(shapes: tuple[Shape, ...], dialect: str) -> Any:
    return select(*(counted(_files_of(shape, dialect, mark_of(place))) for place, shape in enumerate(shapes)))


def _files_of(shape: Shape, dialect: str, mark: str) -> Any:
    """The files of a list, to be counted. Those of nobody are asked for in the order of their own index: they are the last ones of the table,
    and PostgreSQL, which takes a hundred of nine thousand to be found soon wherever it begins, would pass all others first.
    """
    files = shape.files(dialect, mark)
    return files.order_by(Case.owner_id, Case.received_at, Case.id) if shape.nobody and not shape.owners else files
