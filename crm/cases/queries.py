"""Reads of files. Every one goes through `visible`, the single answer to "which files may this person see?"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, bindparam, exists, false, func, or_, select
from sqlalchemy.orm import aliased, contains_eager, joinedload

from crm import clock
from crm.access import CASE_ROLES
from crm.accounts.models import Staff
from crm.cases.models import Case, CaseNeed, CaseReader, Contact, Exchange, Note, Project
from crm.cases.pipeline import NEVER_COUNTED
from crm.cases.vocabulary import Need, Stage
from crm.db import UTCDateTime, as_one_value, db, listed, read_instant
from crm.feature import plugged
from crm.paging import read_key, write_key
from crm.timeline.models import ActorKind, Event, EventDetail
from crm.timeline.sentences import kinds_of

REFERENCE = re.compile(r"[A-Z0-9-]{1,20}")
HISTORY = 20


def visible(staff: Staff, file: Any = Case) -> ColumnElement[bool]:
    """The filter of every read: staff see the files of their team, a restricted file only when named on it.

    `file` is an alias of the table, where a statement reads two files.
    """
    if staff.role not in CASE_ROLES:
        return false()
    return visible_to(staff.id, file)


def counted(file: Any = Case) -> ColumnElement[bool]:
    """Files that count: not those still set aside as unwanted, nor unwanted, mistaken or duplicate ones. Domain reference, section 17.1."""
    reason = file.closing_reason
    return and_(file.quarantined.is_(False), or_(reason.is_(None), reason.not_in(NEVER_COUNTED)))


def may_see(staff: Staff, case_id: int) -> bool:
    """Whether a file is this person's to see."""
    return db.session.scalar(select(Case.id).where(Case.id == case_id, visible(staff))) is not None


def visible_to(staff_id: Any, file: Any = Case) -> ColumnElement[bool]:
    """The same for somebody of the case team, whose number may be left open: for statements that are built once."""
    named = exists().where(CaseReader.case_id == file.id, CaseReader.staff_id == staff_id)
    return or_(file.restricted.is_(False), file.owner_id == staff_id, named)


def hidden_from(staff_id: Any) -> Select[int]:
    """The numbers of the files that `visible_to` hides from somebody: for statements that count what only names a file. Restricted files are
    few, and have an index of their own: asking whether a file is one of them reads none of the others.
    """
    hidden = aliased(Case)
    named = exists().where(CaseReader.case_id == hidden.id, CaseReader.staff_id == staff_id)
    not_theirs = or_(hidden.owner_id.is_(None), hidden.owner_id != staff_id)
    return select(hidden.id).where(hidden.restricted.is_(True), not_theirs, ~named)


def find(reference: str, staff: Staff, *, lock: bool = False) -> Case | None:
    """The file of a reference, or None when it does not exist or is not this person's to see.

    `lock` holds the row until the transaction ends, so that two verbs on one file follow each other.
    """
    if staff.role not in CASE_ROLES or not REFERENCE.fullmatch(reference.upper()):
        return None
    return db.session.scalar(_one(lock=lock), {"reference": reference.upper(), "staff_id": staff.id})


@cache
def _one(*, lock: bool) -> Select[Case]:
    statement = (
        select(Case)
        .join(Case.contact)
        .join(Case.project)
        .where(Case.reference == bindparam("reference"), visible_to(bindparam("staff_id")))
        .options(
            contains_eager(Case.contact),
            contains_eager(Case.project).joinedload(Project.assessed_by).load_only(Staff.name),
            joinedload(Case.owner).load_only(Staff.name),
        )
    )
    return statement.with_for_update(of=Case, key_share=True) if lock else statement


def waiting_requests(staff: Staff) -> int:
    """How many new requests nobody took, counted to 100 at most."""
    some = select(Case.id).where(visible(staff), Case.stage == Stage.NEW, Case.owner_id.is_(None)).limit(100)
    return db.session.scalar(select(func.count()).select_from(some.subquery())) or 0


def needs(case: Case) -> list[str]:
    """The needs of a file, in the order they were found."""
    return list(db.session.scalars(_needs(), {"case_id": case.id}))


def short_lists(case: Case, staff: Staff) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """The needs of a file with their states, and what the short lists of all panels show, in one statement."""
    values = db.session.execute(_short_lists(db.engine.dialect.name), {"case_id": case.id, "staff_id": staff.id}).one()
    panels = [panel for panel in plugged("panels") if panel.rows]
    shown: dict[str, Any] = {}
    for panel, value in zip(panels, values[1:], strict=True):
        shown |= panel.shown(listed(value))
    found = sorted(listed(values[0]), key=lambda one: (read_instant(one[1]), one[0]))
    return [(need, state) for need, _since, state in found], shown


@cache
def _short_lists(dialect: str) -> Select[*tuple[Any, ...]]:
    needs = select(CaseNeed.need, CaseNeed.since, CaseNeed.state).where(CaseNeed.case_id == bindparam("case_id"))
    lists = [needs, *(panel.rows() for panel in plugged("panels") if panel.rows)]
    return select(*(as_one_value(rows, dialect).label(f"list_{place}") for place, rows in enumerate(lists)))


@cache
def _needs() -> Select[Need]:
    return select(CaseNeed.need).where(CaseNeed.case_id == bindparam("case_id")).order_by(CaseNeed.since, CaseNeed.need)


def named(statement: Any) -> Any:
    """A statement on files, with who asks (`person`) and for which project (`project`)."""
    return (
        statement.add_columns(Project.name.label("project"), Contact.name.label("person"))
        .join(Contact, Contact.id == Case.contact_id)
        .join(Project, Project.id == Case.project_id)
    )


@dataclass(frozen=True)
class HistoryPage:
    """One page of a file's history, the newest first; `before` opens the next one, and is empty on the last."""

    rows: Sequence[Row[Any]]
    before: str


def history(case: Case, before: str = "", limit: int = HISTORY, *, group: str = "") -> HistoryPage:
    """Events of a file, and of those merged into it, with their detail, author, note and exchange; of one group, when it is named."""
    key = read_key(before, datetime, int)
    files = [case.id]
    if case.has_merged:
        files += db.session.scalars(select(Case.id).where(Case.merged_into_id == case.id))
    asked: dict[str, Any] = {"files": files, "at_most": limit + 1}
    further = key is not None and None not in key
    if key is not None and further:
        asked |= {"at": key[0], "event_id": key[1]}
    if group:
        asked["kinds"] = kinds_of(group)
    rows = db.session.execute(_history(first=not further, narrowed=bool(group)), asked).all()
    if len(rows) <= limit:
        return HistoryPage(rows, "")
    last = rows[limit - 1]
    return HistoryPage(rows[:limit], write_key(last.at, last.id))


@cache
def _history(*, first: bool, narrowed: bool) -> Select[*tuple[Any, ...]]:
    statement = (
        select(
            Event.id,
            Event.at,
            Event.case_id,
            Event.kind,
            Event.codes,
            Event.actor_kind,
            EventDetail.values.label("detail"),
            Staff.name.label("staff_name"),
            Note.body.label("note"),
            Exchange.summary.label("exchange"),
        )
        .outerjoin(EventDetail, EventDetail.event_id == Event.id)
        .outerjoin(Staff, and_(Staff.id == Event.actor_id, Event.actor_kind == ActorKind.STAFF))
        .outerjoin(Note, Note.event_id == Event.id)
        .outerjoin(Exchange, Exchange.event_id == Event.id)
        .where(Event.case_id.in_(bindparam("files", expanding=True)))
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(bindparam("at_most", type_=Integer))
    )
    if narrowed:
        statement = statement.where(Event.kind.in_(bindparam("kinds", expanding=True)))
    if first:
        return statement
    at = bindparam("at", type_=UTCDateTime)
    return statement.where(Event.at <= at, or_(Event.at < at, Event.id < bindparam("event_id")))


def is_held(at: Any = None) -> ColumnElement[bool]:
    """Truth 1 as a filter on files, now or at an earlier instant (a parameter, in a statement that is kept): an open follow-up or a booked talk holds it.

    Indicator 9 counts exactly the files where this fails.
    """
    return or_(*(hold(Case, clock.now() if at is None else at) for hold in plugged("case_holds")))


def forgotten(staff: Staff | None = None) -> list[Case]:
    """Open files that nothing holds: always none."""
    statement = select(Case).where(Case.stage != Stage.CLOSED, ~is_held())
    if staff is not None:
        statement = statement.where(visible(staff))
    return list(db.session.scalars(statement.order_by(Case.id).limit(1000)))
