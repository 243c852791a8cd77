"""The files of a list as rows of a sheet, in the order of the list, read some hundreds at a time so that memory stays flat."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from crm import clock
from crm.accounts.models import Staff
from crm.cases.filters import Filter
from crm.cases.listing import COLUMNS as LISTED
from crm.cases.listing import Look, page_of
from crm.cases.models import Case, CaseNeed, Contact, Project
from crm.cases.queries import visible_to
from crm.db import db
from crm.i18n import format_phone, language, lazy
from crm.partners.models import Body
from crm.sheets import Value
from crm.tags.models import CaseTag, Tag
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
    held: str = getattr(row, f"short_{language()}") if row.turn == "body" else said["turn"].get(row.turn, "")
    return held or ""


COLUMNS: dict[str, Column] = {
    "reference": Column(lazy("Reference"), _as_is("reference"), ("always",)),
    "project": Column(lazy("Project"), _as_is("project"), ("always",)),
    "person": Column(LISTED["person"], _as_is("person"), ("person",)),
    "email": Column(lazy("Email"), _as_is("email")),
    "phone": Column(lazy("Phone"), lambda row, _said: format_phone(row.phone, row.phone_extension)),
    "language": Column(LISTED["language"], _said("language", "language"), ("language",)),
    "stage": Column(LISTED["stage"], _said("stage", "stage"), ("stage",)),
    "stage_since": Column(lazy("At this stage since"), _day("stage_since")),
    "turn": Column(LISTED["turn"], _turn, ("turn",)),
    "turn_since": Column(lazy("Since"), _day("turn_since"), ("turn",)),
    "owner": Column(LISTED["owner"], _as_is("owner"), ("owner",)),
    "received": Column(LISTED["received"], _day("received_at"), ("received",)),
    "reply": Column(LISTED["reply"], _as_is("reply_due_on"), ("reply",)),
    "first_reply": Column(lazy("First reply"), _day("first_reply_at")),
    "step": Column(LISTED["step"], _as_is("next_step_on"), ("step",)),
    "region": Column(LISTED["region"], _said("region", "region"), ("region",)),
    "borough": Column(LISTED["borough"], _said("locality", "locality"), ("borough",)),
    "field": Column(
        LISTED["field"], lambda row, said: row.sector_other or said["sector"].get(row.sector, ""), ("field",)
    ),
    "form": Column(LISTED["form"], _said("legal_form", "legal_form"), ("form",)),
    "stands": Column(LISTED["project"], _said("project_stage", "project_stage"), ("project",)),
    "source": Column(LISTED["source"], _said("source", "source"), ("source",)),
    "needs": Column(lazy("Needs"), None),
    "tags": Column(lazy("Tags"), None),
    "closed": Column(lazy("Closed on"), _day("closed_at")),
    "closing_reason": Column(lazy("Closing reason"), _said("closing_reason", "closing_reason")),
    "description": Column(lazy("Description"), _as_is("description")),
    "summary": Column(lazy("Summary"), _as_is("summary")),
}
_VOCABULARIES = (
    "language", "stage", "turn", "region", "locality", "sector", "legal_form", "project_stage", "source", "closing_reason",
)  # fmt: skip


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
    need_words = words("cases.need")
    staff_id, every = staff.id, _numbers(staff, wanted, look)
    for start in range(0, len(every), AT_ONCE):
        ids = every[start : start + AT_ONCE]
        found = {row.id: row for row in db.session.execute(_details(), {"ids": ids, "staff_id": staff_id})}
        needs = _gathered(_needs(), ids) if "needs" in names else {}
        tags = _gathered(_tags(), ids) if "tags" in names else {}
        db.session.rollback()  # nothing is held while the reader's line is slow
        for number in ids:
            if (row := found.get(number)) is None:
                continue
            lists = {
                "needs": "; ".join(need_words[need] for need in needs.get(number, ())),
                "tags": "; ".join(tags.get(number, ())),
            }
            yield [lists[name] if name in lists else COLUMNS[name].value(row, said) for name in names]


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


def _gathered(statement: Any, ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for case_id, value in db.session.execute(statement, {"ids": ids}):
        found.setdefault(case_id, []).append(value)
    return found


def _ids() -> Any:
    return bindparam("ids", expanding=True)


@cache
def _needs() -> Select[*tuple[Any, ...]]:
    of = select(CaseNeed.case_id, CaseNeed.need).where(CaseNeed.case_id.in_(_ids()))
    return of.order_by(CaseNeed.since, CaseNeed.need)


@cache
def _tags() -> Select[*tuple[Any, ...]]:
    of = select(CaseTag.case_id, Tag.name).join(Tag, Tag.id == CaseTag.tag_id)
    return of.where(CaseTag.case_id.in_(_ids())).order_by(Tag.key)


@cache
def _details() -> Select[*tuple[Any, ...]]:
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
        )
        .join(Contact, Contact.id == Case.contact_id)
        .join(Project, Project.id == Case.project_id)
        .outerjoin(Staff, Staff.id == Case.owner_id)
        .outerjoin(Body, Body.id == Case.turn_body_id)
        .where(Case.id.in_(_ids()), visible_to(bindparam("staff_id")))
    )
