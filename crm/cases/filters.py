"""What a list of files is narrowed to: the same filter for the queue, the board, a saved view and an export, written in the address.

A filter is read from an address, and gives the conditions of a statement and the values bound in it. The statement depends only on the
filter's `shape` (which facets are used), so that it is built once for each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from sqlalchemy import ColumnElement, Date, and_, bindparam, exists, literal_column, or_, select

from crm import clock
from crm.access import CASE_ROLES
from crm.accounts.models import Staff
from crm.cases.models import Case, CaseNeed, Project
from crm.cases.queries import is_held, visible_to
from crm.cases.vocabulary import LegalForm, PreferredLanguage, Stage, Turn
from crm.db import UTCDateTime, db
from crm.feature import plugged
from crm.i18n import lazy
from crm.search import engine
from crm.search.models import SearchFile, SearchText
from crm.search.words import LONGEST_QUESTION, read_question
from crm.texts import choices

OPEN, ALL = "open", "all"
ME, NOBODY = "me", "none"
LATE_STEP, LATE_REPLY, FORGOTTEN = "step", "reply", "nothing"
MOST_VALUES = 30  # of one facet
# Written as the database's indexes write it, so that it sees that they serve.
IS_OPEN: ColumnElement[bool] = Case.stage.op("<>", is_comparison=True)(literal_column("'closed'"))
IS_OWED: ColumnElement[bool] = and_(
    Case.first_reply_at.is_(None), Case.stage.in_([literal_column("'new'"), literal_column("'contact'")])
)
Options = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Facet:
    """One thing that files are told apart by. `options` are the values and their words in the language spoken now.

    `where` makes the condition from a parameter that holds the chosen values; `widen` says what a chosen value stands for; `of_project`
    says that the condition reads the project.
    """

    name: str
    label: Any
    options: Callable[[], Options]
    where: Callable[[Any], ColumnElement[bool]]
    widen: Callable[[str], Iterable[str]] = lambda value: (value,)
    of_project: bool = False


def _family(value: str) -> Iterable[str]:
    """Co-operatives and non-profits stand for all of their kinds."""
    return [form for form in LegalForm if form == value or form.startswith(f"{value}_")]


def _but(vocabulary: str, left_out: str) -> Options:
    """A vocabulary without the value that no list is narrowed to."""
    return [(code, words) for code, words in choices(vocabulary) if code != left_out]


FACETS = (
    Facet("turn", lazy("Whose turn"), lambda: _but("cases.turn", Turn.NOBODY), Case.turn.in_),
    Facet(
        "language",
        lazy("Language"),
        lambda: _but("cases.language", PreferredLanguage.EITHER),
        Case.language.in_,
    ),
    Facet("region", lazy("Region"), lambda: choices("cases.region"), Project.region.in_, of_project=True),
    Facet("borough", lazy("Borough or city"), lambda: choices("cases.locality"), Project.locality.in_, of_project=True),
    Facet("field", lazy("Field"), lambda: choices("cases.sector"), Project.sector.in_, of_project=True),
    Facet(
        "form",
        lazy("Legal form"),
        lambda: choices("cases.legal_form"),
        Project.legal_form.in_,
        _family,
        of_project=True,
    ),
    Facet(
        "project",
        lazy("Where the project stands"),
        lambda: choices("cases.project_stage"),
        Project.stage.in_,
        of_project=True,
    ),
    Facet(
        "need",
        lazy("Need"),
        lambda: choices("cases.need"),
        lambda values: exists().where(CaseNeed.case_id == Case.id, CaseNeed.need.in_(values)),
    ),
    Facet("source", lazy("Source"), lambda: choices("cases.source"), Case.source.in_),
)


def facets() -> Mapping[str, Facet]:
    """Every facet, by name: those of files themselves, then those of other features."""
    return {one.name: one for one in (*FACETS, *plugged("case_facets"))}


@dataclass(frozen=True)
class Filter:
    """`stages` are codes, or "open" or "all" alone; `owners` numbers of accounts, "me" and "none"; `late` is "step", "reply", "nothing" (no next step at all, which never is) or empty.

    `since` and `until` are days of reception, both included; `q` is what somebody typed.
    """

    stages: tuple[str, ...] = (OPEN,)
    owners: tuple[str, ...] = ()
    facets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    late: str = ""
    since: date | None = None
    until: date | None = None
    q: str = ""

    @classmethod
    def read(cls, arguments: Any) -> "tuple[Filter, list[str]]":
        """From an address (a multi-dict), with the names of what meant nothing and was left out."""
        ignored: list[str] = []

        def known(name: str, wanted: Iterable[str]) -> tuple[str, ...]:
            allowed, typed = set(wanted), list(dict.fromkeys(arguments.getlist(name)))[:MOST_VALUES]
            ignored.extend(name for value in typed if value and value not in allowed)
            return tuple(value for value in typed if value in allowed)

        stages = known("stage", (OPEN, ALL, *Stage))
        alone = next((one for one in (ALL, OPEN) if one in stages), None)
        owners = tuple(_known_owners(arguments, ignored))
        chosen = tuple(
            (name, values)
            for name, facet in facets().items()
            if name in arguments and (values := known(name, [value for value, _words in facet.options()]))
        )
        since, until = (_day(arguments.get(name, ""), name, ignored) for name in ("since", "until"))
        found = cls(
            stages=(alone,) if alone else tuple(one for one in Stage if one in stages) or (OPEN,),
            owners=owners,
            facets=chosen,
            late=(known("late", (LATE_STEP, LATE_REPLY, FORGOTTEN)) or ("",))[0],
            since=since,
            until=until,
            q=" ".join(arguments.get("q", "").split())[:LONGEST_QUESTION],
        )
        return found, list(dict.fromkeys(ignored))

    def pairs(self) -> list[tuple[str, str]]:
        """The filter as an address writes it, what is usual left out; the same filter is always written alike."""
        found = [("stage", stage) for stage in self.stages if self.stages != (OPEN,)]
        found += [("owner", owner) for owner in self.owners]
        found += [(name, value) for name, values in self.facets for value in values]
        found += [("late", self.late)] if self.late else []
        found += [(name, day.isoformat()) for name, day in (("since", self.since), ("until", self.until)) if day]
        return found + ([("q", self.q)] if self.q else [])

    def address(self) -> str:
        return urlencode(self.pairs())

    def stamp(self) -> str:
        """Tells this filter from others, in the key of a page."""
        return f"{crc32(self.address().encode()):x}"

    def but(self, **changes: Any) -> "Filter":
        """The same filter with parts of it changed."""
        return replace(self, **changes)

    def with_facet(self, name: str, *values: str) -> "Filter":
        """The same filter with these values of a facet, or without it when there are none."""
        kept = dict(self.facets) | {name: values}
        return replace(self, facets=tuple((one, kept[one]) for one in facets() if kept.get(one)))

    def chosen(self, name: str) -> tuple[str, ...]:
        return dict(self.facets).get(name, ())

    # --- the statement

    @property
    def shape(self) -> "Shape":
        return Shape(
            self.stages[0] if self.stages[0] in {OPEN, ALL} else "some" if len(self.stages) > 1 else "one",
            any(owner != NOBODY for owner in self.owners),
            NOBODY in self.owners,
            tuple(name for name, _values in self.facets),
            self.late,
            since=self.since is not None,
            until=self.until is not None,
            words=bool(self.q),
        )

    def values(self, staff: Staff) -> dict[str, Any]:
        """What the statement of this shape binds."""
        found: dict[str, Any] = {"staff_id": staff.id}
        if self.stages[0] not in {OPEN, ALL}:
            found |= {"stage": self.stages[0]} if len(self.stages) == 1 else {"stages": list(self.stages)}
        if owners := [staff.id if one == ME else int(one) for one in self.owners if one != NOBODY]:
            found["owners"] = owners
        every = facets()
        for name, values in self.facets:
            found[f"facet_{name}"] = list(dict.fromkeys(wide for value in values for wide in every[name].widen(value)))
        if self.late in {LATE_STEP, LATE_REPLY}:
            found["today"] = clock.today()
        if self.late == FORGOTTEN:
            found["now"] = clock.now()
        if self.since:
            found["since"] = clock.at_local(self.since, 0)
        if self.until:
            found["until"] = clock.day_bounds(self.until, self.until)[1]
        if self.q:
            question = read_question(self.q)
            found["words"] = engine.asked(question, db.engine.dialect.name)
        return found

    @property
    def impossible(self) -> bool:
        """Whether words were typed that say nothing to look for."""
        return bool(self.q) and not read_question(self.q)


@dataclass(frozen=True)
class Shape:
    """Which parts a filter has, whatever their values."""

    stages: str
    owners: bool
    nobody: bool
    facets: tuple[str, ...]
    late: str
    since: bool
    until: bool
    words: bool

    def condition(self, dialect: str, mark: str = "") -> ColumnElement[bool]:
        """What files answer a filter of this shape, of those that the person bound as `staff_id` may see.

        `mark` ends the names of parameters, where several filters stand in one statement.
        """

        def value(name: str, kind: Any = None, *, many: bool = False) -> Any:
            return bindparam(f"{name}{mark}", type_=kind, expanding=many)

        found: list[ColumnElement[bool]] = [visible_to(value("staff_id")), Case.quarantined.is_(False)]
        if (self.stages == OPEN or self.late) and self.late != LATE_REPLY:  # a file that is owed a reply is open
            found.append(IS_OPEN)
        if self.stages == "one":
            found.append(Case.stage == value("stage", Case.stage.type))
        elif self.stages == "some":
            found.append(Case.stage.in_(value("stages", many=True)))
        if self.owners or self.nobody:
            theirs = [Case.owner_id.in_(value("owners", many=True))] if self.owners else []
            nobodys = [Case.owner_id.is_(None)] if self.nobody else []
            found.append(or_(*theirs, *nobodys))
        every = facets()
        found += [every[name].where(value(f"facet_{name}", many=True)) for name in self.facets]
        if self.late == LATE_STEP:
            found.append(Case.next_step_on < value("today", Date))
        elif self.late == LATE_REPLY:
            found.append(and_(IS_OWED, Case.reply_due_on < value("today", Date)))
        elif self.late == FORGOTTEN:
            # Without a next step on its face, and held by nothing else: an index serves, where asking of every open file would not.
            found += [Case.next_step_on.is_(None), ~is_held(value("now", UTCDateTime))]
        if self.since:
            found.append(Case.received_at >= value("since", UTCDateTime))
        if self.until:
            found.append(Case.received_at < value("until", UTCDateTime))
        if self.words:
            files = engine.matches(SearchFile, dialect, f"words{mark}")
            texts = engine.matches(SearchText, dialect, f"words{mark}").subquery()
            of_texts = select(SearchText.case_id).join(texts, texts.c.id == SearchText.id)
            found.append(Case.id.in_(files.union_all(of_texts)))
        return and_(*found)

    def files(self, dialect: str, mark: str = "", reading: Sequence[Any] = (Case.id,)) -> Any:
        """The files that answer: their numbers, or other columns of theirs."""
        found: Any = select(*reading)
        if any(facets()[name].of_project for name in self.facets):
            found = found.join(Project, Project.id == Case.project_id)
        return found.where(self.condition(dialect, mark))


def mark_of(place: int) -> str:
    """What ends the names of parameters of one filter among several."""
    return f"_{place}"


def together(filters: Sequence[Filter], staff: Staff) -> tuple[tuple[Shape, ...], dict[str, Any]]:
    """Several filters for one statement: their shapes, and what it binds, each value under the mark of its filter's place."""
    asked = {
        f"{name}{mark_of(place)}": value
        for place, wanted in enumerate(filters)
        for name, value in wanted.values(staff).items()
    }
    return tuple(wanted.shape for wanted in filters), asked


def _known_owners(arguments: Any, ignored: list[str]) -> list[str]:
    """Owners of an address: "me", "none", or the number of an account."""
    found = []
    for value in list(dict.fromkeys(arguments.getlist("owner")))[:MOST_VALUES]:
        if value in {ME, NOBODY} or (value.isascii() and value.isdigit() and len(value) < 10):
            found.append(value)
        elif value not in {"", ALL}:
            ignored.append("owner")
    return found


def _day(value: str, name: str, ignored: list[str]) -> date | None:
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or not 1900 < day.year < 2200:
        ignored.append(name)
        return None
    return day


def may_list(staff: Staff) -> bool:
    """Whether this person sees lists of files at all."""
    return staff.role in CASE_ROLES
