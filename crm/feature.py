"""What a feature plugs into the product. One record per feature, collected by `create_app`.

A lower feature asks for what higher ones offer through these fields and in the order of FEATURES. The functions
run in the caller's transaction, never commit, and an exception aborts the verb. The list of fields is closed and
short: add one only when an issue needs it; `docs/features.md` prints who plugs what where.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, current_app, g
from sqlalchemy import ColumnElement, Select

if TYPE_CHECKING:  # types only: the layers are about imports at run time
    from crm.accounts.models import Staff
    from crm.bulk.actions import BulkAction
    from crm.cases.filters import Facet
    from crm.cases.listing import ListColumn
    from crm.cases.models import Case
    from crm.cases.pipeline import Move, Refusal
    from crm.jobs import Job
    from crm.outbox.kinds import MessageKind
    from crm.search.services import Searched
    from crm.timeline.sentences import Sentence


@dataclass(frozen=True)
class Panel:
    """A part of the case page: `load` reads what `template` shows, inside the caller's scope.

    `place` is "top" (under the next step), "side" (beside the history) or "facts" (under the person and the project); panels of one place keep the order of FEATURES.
    A short list of the file is better given as `rows`, a select of texts and numbers for `case_id`
    (and `staff_id`, who looks): the lists of all panels are read in
    one statement, and `shown` makes of its rows what the template shows.
    """

    place: str
    template: str
    load: "Callable[[Case, Staff], dict[str, Any]]" = lambda _case, _staff: {}
    rows: "Callable[[], Select[Any]] | None" = None
    shown: "Callable[[list[list[Any]]], dict[str, Any]]" = lambda _rows: {}


@dataclass(frozen=True)
class TodayPart:
    """A part of the start page: `load` reads what `template` shows, for one person.

    A short list is better given as `rows`, a select of texts, numbers and days, or None where there is nothing for this person: those of all
    parts are read in one statement, and `shown` makes of the rows, which come in no order, what the template shows.
    """

    name: str
    template: str
    load: "Callable[[Staff], dict[str, Any]]" = lambda _staff: {}
    rows: "Callable[[Staff], Select[*tuple[Any, ...]] | None]" = lambda _staff: None
    shown: "Callable[[list[list[Any]]], dict[str, Any]]" = lambda _rows: {}


@dataclass(frozen=True)
class Line:
    """One line of a digest: which file, and in words that name nobody. `when` is a day or an hour, already in words.

    What is of no file says what it is of instead of a reference, and its `address`.
    """

    reference: str
    project: str
    words: str
    when: str = ""
    address: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a digest: its lines, and how many more there are, which may be all. `name` is a code of `desk.section`."""

    name: str
    lines: "Sequence[Line]"
    more: int = 0


@dataclass(frozen=True)
class MailPart:
    """A kind of mail that people of the team choose about (named in `desk.kind`): whether they get it at once and in the morning's digest from the start; None where
    there is no such mail. `sections` is what a day's digest says of it to one person, in the language spoken. Some kinds are for who coordinates.
    """

    kind: str
    at_once: bool | None = None
    in_digest: bool | None = None
    sections: "Callable[[Staff, date], Iterable[Section]]" = lambda _staff, _day: ()
    coordinates: bool = False


@dataclass(frozen=True)
class BodyPart:
    """A part of a page of a body: `load` reads what `template` shows, of a referral that it took on or, where `place` is "list", of the body itself."""

    template: str
    load: "Callable[[Any], dict[str, Any]]"
    place: str = "referral"


@dataclass(frozen=True)
class AnnexLine:
    """A line of the operator's annex to a summary: a number and what it counts, in words, or how many `of` a whole. `section` is a code of `summaries.annex`."""

    section: str
    name: str
    value: int
    of: int | None = None


@dataclass(frozen=True)
class MergePart:
    """What becomes of one kind of row when two files become one.

    `move(gone, kept)` gives what is worth keeping to the kept file and returns what undoing needs, as JSON; `undo(gone, kept, journal)`
    takes it back, leaving alone what was changed since.
    """

    name: str
    move: "Callable[[Case, Case], Any]"
    undo: "Callable[[Case, Case, Any], None]"


@dataclass(frozen=True)
class Feature:
    """A feature's offer to the rest. Each field has one consumer, named in its comment."""

    name: str
    blueprints: tuple[Blueprint, ...] = ()  # app
    panels: tuple[Panel, ...] = ()  # cases: the case page
    jobs: "tuple[Job, ...]" = ()  # jobs: the worker
    event_sentences: "tuple[Sentence, ...]" = ()  # timeline
    case_guards: "tuple[Callable[[Case, Move], Iterable[Refusal]], ...]" = ()  # cases: reasons against a move
    case_moved: "tuple[Callable[[Case, Move, Staff | None], None], ...]" = ()  # cases: what a move sets off
    merge: tuple[MergePart, ...] = ()  # duplicates: two files become one
    handoff: "tuple[Callable[[Case, int | None, Staff], None], ...]" = ()  # cases: a file changes hands
    case_holds: "tuple[Callable[[Any, datetime], ColumnElement[bool]], ...]" = ()  # cases: what keeps a file from being forgotten
    case_turns: "tuple[Callable[[], Select[Any]], ...]" = ()  # cases: who holds a file
    case_facets: "tuple[Facet, ...]" = ()  # cases: what lists are narrowed by
    case_columns: "tuple[ListColumn, ...]" = ()  # cases: what lists show
    bulk: "tuple[BulkAction, ...]" = ()  # bulk: what can be asked of many files at once
    samples: "tuple[Callable[[Staff, str], dict[str, str]], ...]" = ()  # content: what a text that is being written is tried with
    body_parts: tuple[BodyPart, ...] = ()  # referrals: the pages of a body
    # summaries: lines of the operator's annex, of the days from one to another, both included
    annex: "tuple[Callable[[date, date], Iterable[AnnexLine]], ...]" = ()
    search_text: "tuple[Searched, ...]" = ()  # search: what of files is found
    today: tuple[TodayPart, ...] = ()  # desk: the start page
    digest: tuple[MailPart, ...] = ()  # accounts: the mail that people choose, and the morning's digest
    messages: "tuple[MessageKind, ...]" = ()  # outbox
    personal_data: "tuple[Callable[[Case], None], ...]" = ()  # intake: what is destroyed of a person who refused


def once(name: str, make: "Callable[[], Any]") -> Any:
    """What `make` gives, worked out once in a request."""
    if name not in g:
        setattr(g, name, make())
    return g.get(name)


def plug(app: Flask, features: tuple[Feature, ...]) -> None:
    """Keep the features on the app, for `plugged` to read."""
    app.extensions["features"] = {
        field.name: tuple(item for feature in features for item in getattr(feature, field.name))
        for field in fields(Feature)
        if field.name != "name"
    }


def plugged(field: str) -> tuple[Any, ...]:
    """All that features offer under `field`, in the order of FEATURES."""
    offered: dict[str, tuple[Any, ...]] = current_app.extensions["features"]
    return offered[field]
