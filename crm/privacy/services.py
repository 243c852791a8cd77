"""Writing in the registers, and what of them is due."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select

from crm import clock
from crm.access import COORDINATING
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.models import Case
from crm.db import db, save_over
from crm.feature import AnnexLine, Line, Section
from crm.forms import key_of
from crm.i18n import format_date
from crm.privacy.models import Incident, Outcome, Right, RightsRequest, Risk
from crm.privacy.rules import WARNED_FROM, answer_by
from crm.texts import label, text
from crm.timeline.services import record

SHOWN = 50
TODAY = 12  # on the start page
Entry = TypeVar("Entry", RightsRequest, Incident)


class StaleError(Exception):
    """Somebody wrote on the entry in the meantime: nothing was changed."""


@dataclass(frozen=True)
class Asked:
    """What is written down of a request of a person."""

    received_on: date
    asked: Right
    person: str
    identity: str
    note: str
    answered_on: date | None
    outcome: Outcome | None
    reasons: str


@dataclass(frozen=True)
class Happened:
    """What is written down of an incident."""

    learned_on: date
    happened: str
    information: str
    circumstances: str
    people: int | None
    risk: Risk
    grounds: str
    commission_on: date | None
    people_on: date | None
    public_notice: str
    measures: str
    closed_on: date | None


def made_by(model: type[Entry], key: str) -> Entry | None:
    """The entry that a form made already."""
    return db.session.scalar(select(model).where(model.form_key == key_of(key)))


def write_request(
    asked: Asked, case: Case | None, *, key: str, actor: Staff, at: datetime | None = None
) -> RightsRequest:
    """Write a request down, due by the day that the law says. The same form sent twice is one request; raises IntegrityError when both are sent at once."""
    case = _standing(case)
    return _write(
        RightsRequest, asked, key, actor, at, due_on=answer_by(asked.received_on), case_id=case.id if case else None
    )


def write_incident(happened: Happened, *, key: str, actor: Staff, at: datetime | None = None) -> Incident:
    """Write an incident down. The same form sent twice is one incident; raises IntegrityError when both are sent at once."""
    return _write(Incident, happened, key, actor, at)


def _write(
    model: type[Entry], written: Asked | Happened, key: str, actor: Staff, at: datetime | None, **more: Any
) -> Entry:
    if (before := made_by(model, key)) is not None:
        return before
    entry = model(
        form_key=key_of(key),
        recorded_at=at or clock.now(),
        recorded_by_id=actor.id,
        version=1,
        **asdict(written),
        **more,
    )
    db.session.add(entry)
    db.session.flush()
    _tell(entry, "recorded", actor, at)
    return entry


def change_request(entry: RightsRequest, asked: Asked, case: Case | None, seen_version: int, actor: Staff) -> None:
    """Write anew what a request says, its answer among it. Raises StaleError when somebody else did meanwhile."""
    answered = entry.answered_on is None and asked.answered_on is not None
    of = _standing(case)
    if _change(entry, asked, seen_version, due_on=answer_by(asked.received_on), case_id=of.id if of else None):
        _tell(entry, "answered" if answered else "changed", actor)


def change_incident(entry: Incident, happened: Happened, seen_version: int, actor: Staff) -> None:
    """Write anew what an incident says. Raises StaleError when somebody else did meanwhile."""
    closed = entry.closed_on is None and happened.closed_on is not None
    if _change(entry, happened, seen_version):
        _tell(entry, "closed" if closed else "changed", actor)


def _change(entry: RightsRequest | Incident, written: Asked | Happened, seen_version: int, **more: Any) -> bool:
    """Whether anything changes: what stands there already, because it was pressed twice, is no change."""
    values = asdict(written) | more
    if all(getattr(entry, name) == value for name, value in values.items()):
        return False
    if not save_over(entry, seen_version, **values):
        raise StaleError
    return True


def _standing(case: Case | None) -> Case | None:
    """The file itself, or the one that took its place while a form was open."""
    while case is not None and case.merged_into_id is not None:
        case = db.session.get(Case, case.merged_into_id)
    return case


def _tell(entry: RightsRequest | Incident, what: str, actor: Staff, at: datetime | None = None) -> None:
    if isinstance(entry, RightsRequest):
        record(f"rights.{what}", case_id=entry.case_id, actor=by(actor), codes={"entry": entry.id}, at=at)
    else:
        record(f"incident.{what}", case_id=None, actor=by(actor), codes={"entry": entry.id}, at=at)


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Register(Generic[Entry]):
    """A page of a register: all that is open and some of what is settled, the last written down first. `next` is the entry after which there are more."""

    open: Sequence[Entry]
    settled: Sequence[Entry]
    next: int | None


def requests(after: int = 0) -> Register[RightsRequest]:
    """Requests; those that wait for an answer, the first due first, are not told again on later pages."""
    open_ones = RightsRequest.answered_on.is_(None)
    return _page(RightsRequest, open_ones, after, RightsRequest.due_on, RightsRequest.id)


def incidents(after: int = 0) -> Register[Incident]:
    """Incidents; those that are not closed, the latest first, are not told again on later pages."""
    return _page(Incident, Incident.closed_on.is_(None), after, Incident.learned_on.desc(), Incident.id.desc())


def _page(model: type[Entry], open_ones: ColumnElement[bool], after: int, *first: Any) -> Register[Entry]:
    settled = select(model).where(~open_ones).order_by(model.id.desc()).limit(SHOWN + 1)
    found = db.session.scalars(settled.where(model.id < after) if after else settled).all()
    standing = [] if after else db.session.scalars(select(model).where(open_ones).order_by(*first)).all()
    return Register(standing, found[:SHOWN], found[SHOWN - 1].id if len(found) > SHOWN else None)


@dataclass(frozen=True)
class Due:
    """A request as the start page shows it."""

    day: date
    id: int
    asked: str


def of_today(staff: Staff) -> Select[*tuple[Any, ...]] | None:
    """For the start page of who coordinates: the requests that wait for an answer."""
    if staff.role not in COORDINATING:
        return None
    read = select(RightsRequest.due_on, RightsRequest.id, RightsRequest.asked)
    read = read.where(RightsRequest.answered_on.is_(None))
    return read.order_by(RightsRequest.due_on, RightsRequest.id).limit(TODAY)


def shown_today(rows: list[list[Any]]) -> dict[str, Any]:
    """Those as the template shows them, the first due first."""
    return {"rights_due": [Due(date.fromisoformat(day), number, asked) for day, number, asked in sorted(rows)]}


def digest(staff: Staff, day: date) -> list[Section]:
    """For the morning's mail of who coordinates: from the fifteenth day on, the requests that wait for an answer; nobody is named."""
    del staff
    read = select(RightsRequest).where(
        RightsRequest.answered_on.is_(None), RightsRequest.received_on <= day - WARNED_FROM
    )
    lines = [
        Line(
            text("privacy.line"),
            "",
            label("privacy.right", one.asked),
            format_date(one.due_on),
            f"/staff/privacy/requests/{one.id}",
        )
        for one in db.session.scalars(read.order_by(RightsRequest.due_on, RightsRequest.id).limit(SHOWN))
    ]
    return [Section("rights", lines)] if lines else []


def annex(first: date, last: date) -> Iterator[AnnexLine]:
    """Requests received and incidents learned of from one day to another, and how many requests, of those
    that were answered or should have been, were by the day that the law says.
    """
    received = RightsRequest.received_on.between(first, last)
    number = select(func.count(RightsRequest.id)).where(received)
    in_all = db.session.scalar(number) or 0
    yield AnnexLine("rights", text("privacy.annex.received"), in_all)
    in_time = db.session.scalar(number.where(RightsRequest.answered_on <= RightsRequest.due_on)) or 0
    due = (
        db.session.scalar(number.where(RightsRequest.answered_on.is_not(None) | (RightsRequest.due_on < clock.today())))
        or 0
    )
    yield AnnexLine("rights", text("privacy.annex.in_time"), in_time, due)
    learned = select(func.count(Incident.id)).where(Incident.learned_on.between(first, last))
    happened = db.session.scalar(learned) or 0
    yield AnnexLine("incidents", text("privacy.annex.incidents"), happened)
    serious = db.session.scalar(learned.where(Incident.risk == Risk.SERIOUS)) or 0
    yield AnnexLine("incidents", text("privacy.annex.serious"), serious, happened)
