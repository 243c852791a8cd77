"""The files of a list as rows of a sheet, in the order of the list, read some hundreds at a time so that memory stays flat."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from crm import clock
from crm.accounts.models import Staff
from crm.cases.filters import Filter
from crm.cases.listing import COLUMNS as LISTED
from crm.cases.listing import SEPARATOR, Look, columns, page_of
from crm.cases.models import Case, Contact, Project
from crm.cases.queries import visible_to
from crm.db import db
from crm.i18n import format_phone, language, lazy
from crm.partners.models import Body
from crm.sheets import Value
from crm.texts import words

AT_ONCE, READ_AT_ONCE = 400, 5000


@dataclass(frozen=True)
class Column:
    """One column of the sheet. `of` are the columns of the list that bring it along; none: it comes with everything only."""

    label: Any
    value: Any
    of: tuple[str, ...] = ()


def _day(name: str) -> Any:
    return lambda row, _said: clock.local_date(getattr(row, name)) if getattr(row, name) else None


def _as_is(name: str) -> Any:
    return lambda row, _said: getattr(row, name)


def _said(name: str, vocabulary: str) -> Any:
    return lambda row, said: said[vocabulary].get(getattr(row, name), "")


def _turn(row: Any, said: Any) -> str:
    held: str = _spoken(row, "short") if row.turn == "body" else said["turn"].get(row.turn, "")
    return held or ""


def _spoken(row: Any, name: str) -> Any:
    return getattr(row, f"{name}_{language()}")


def _all(gathered: str | None, said: Mapping[str, str] | None = None) -> Iterator[str]:
    """The texts that a list gathers of a file, or the words of these codes."""
    for one in gathered.split(SEPARATOR) if gathered else ():
        yield said[one] if said else one


COLUMNS: dict[str, Column] = {
    "reference": Column(lazy("Reference"), _as_is("reference"), ("always",)),
    "project": Column(lazy("Project"), _as_is("project"), ("always",)),
    "person": Column(LISTED["person"].label, _as_is("person"), ("person",)),
    "email": Column(lazy("Email"), _as_is("email")),
    "phone": Column(lazy("Phone"), lambda row, _said: format_phone(row.phone, row.phone_extension)),
    "language": Column(LISTED["language"].label, _said("language", "language"), ("language",)),
    "stage": Column(LISTED["stage"].label, _said("stage", "stage"), ("stage",)),
    "stage_since": Column(lazy("At this stage since"), _day("stage_since")),
    "turn": Column(LISTED["turn"].label, _turn, ("turn",)),
    "turn_since": Column(lazy("Since"), _day("turn_since"), ("turn",)),
    "owner": Column(LISTED["owner"].label, _as_is("owner"), ("owner",)),
    "received": Column(LISTED["received"].label, _day("received_at"), ("received",)),
    "reply": Column(LISTED["reply"].label, _as_is("reply_due_on"), ("reply",)),
    "first_reply": Column(lazy("First reply"), _day("first_reply_at")),
    "step": Column(LISTED["step"].label, _as_is("next_step_on"), ("step",)),
    "region": Column(LISTED["region"].label, _said("region", "region"), ("region",)),
    "borough": Column(LISTED["borough"].label, _said("locality", "locality"), ("borough",)),
    "field": Column(
        LISTED["field"].label, lambda row, said: row.sector_other or said["sector"].get(row.sector, ""), ("field",)
    ),
    "form": Column(LISTED["form"].label, _said("legal_form", "legal_form"), ("form",)),
    "stands": Column(LISTED["project"].label, _said("project_stage", "project_stage"), ("project",)),
    "source": Column(LISTED["source"].label, _said("source", "source"), ("source",)),
    "needs": Column(LISTED["needs"].label, lambda row, said: "; ".join(_all(row.needs, said["need"])), ("needs",)),
    "body": Column(lazy("Referred to"), lambda row, _said: "; ".join(_all(_spoken(row, "bodies"))), ("body",)),
    "tags": Column(lazy("Tags"), lambda row, _said: "; ".join(_all(row.tags)), ("tags",)),
    "closed": Column(lazy("Closed on"), _day("closed_at")),
    "closing_reason": Column(lazy("Closing reason"), _said("closing_reason", "closing_reason")),
    "description": Column(lazy("Description"), _as_is("description")),
    "summary": Column(lazy("Summary"), _as_is("summary")),
}
_VOCABULARIES = (
    "language", "stage", "turn", "region", "locality", "sector", "legal_form", "project_stage", "source", "closing_reason", "need",
)  # fmt: skip
GATHERED = ("needs", "tags", "body")  # columns whose texts stand together, read only where they are asked for


def chosen(look: Look, *, everything: bool) -> list[str]:
    """The columns of a sheet: every one, or those that the list shows."""
    if everything:
        return list(COLUMNS)
    shown = {"always", *look.columns}
    return [name for name, column in COLUMNS.items() if shown.intersection(column.of)]


def rows_of(staff: Staff, wanted: Filter, look: Look, names: Sequence[str]) -> Iterator[list[Value]]:
    """The heads, then one row for each file. The database is held only while some hundreds are read."""
    yield [str(COLUMNS[name].label) for name in names]
    said = {name: words(f"cases.{name}") for name in _VOCABULARIES}
    staff_id, every = staff.id, _numbers(staff, wanted, look)
    details = _details(tuple(name for name in GATHERED if name in names))
    for start in range(0, len(every), AT_ONCE):
        ids = every[start : start + AT_ONCE]
        found = {row.id: row for row in db.session.execute(details, {"ids": ids, "staff_id": staff_id})}
        db.session.rollback()  # nothing is held while the reader's line is slow
        for number in ids:
            if (row := found.get(number)) is None:
                continue
            yield [COLUMNS[name].value(row, said) for name in names]


def _numbers(staff: Staff, wanted: Filter, look: Look) -> list[int]:
    """The files of the list by number, in its order, read before anything is written: none is there twice because it moved meanwhile."""
    found: dict[int, None] = {}
    after = ""
    while True:
        page = page_of(staff, wanted, look.sort, after=after, limit=READ_AT_ONCE, columns=())
        found |= dict.fromkeys(row.id for row in page.rows)
        after = page.after
        if not after:
            db.session.rollback()
            return list(found)


def _ids() -> Any:
    return bindparam("ids", expanding=True)


@cache
def _details(gathered: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Case.id,
            Case.reference,
            Case.stage,
            Case.stage_since,
            Case.turn,
            Case.turn_since,
            Case.language,
            Case.received_at,
            Case.reply_due_on,
            Case.first_reply_at,
            Case.next_step_on,
            Case.source,
            Case.closed_at,
            Case.closing_reason,
            Contact.name.label("person"),
            Contact.email,
            Contact.phone,
            Contact.phone_extension,
            Project.name.label("project"),
            Project.region,
            Project.locality,
            Project.sector,
            Project.sector_other,
            Project.legal_form,
            Project.stage.label("project_stage"),
            Project.description,
            Project.summary,
            Staff.name.label("owner"),
            Body.short_fr,
            Body.short_en,
            *(read for name in gathered for read in columns()[name].reads),
        )
        .join(Contact, Contact.id == Case.contact_id)
        .join(Project, Project.id == Case.project_id)
        .outerjoin(Staff, Staff.id == Case.owner_id)
        .outerjoin(Body, Body.id == Case.turn_body_id)
        .where(Case.id.in_(_ids()), visible_to(bindparam("staff_id")))
    )
