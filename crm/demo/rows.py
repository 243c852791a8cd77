"""Writing many rows at once: the same lists of values go to SQLite by INSERT and to PostgreSQL by COPY."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table, func, select, text

from crm.cases.models import Case, CaseNeed, CaseReader, Contact, Exchange, Note, Project, StageSpell, TurnSpell
from crm.db import Base
from crm.duplicates.models import MatchKey
from crm.intake.models import Request
from crm.links.models import Link
from crm.permissions.models import Permission
from crm.referrals.models import Referral
from crm.reminders.models import FollowUp
from crm.tags.models import CaseTag
from crm.talks.models import Talk
from crm.timeline.models import Event, EventDetail

Row = tuple[Any, ...]
# In the order in which foreign keys let them in, with the columns in the order in which `add` is given their values.
COLUMNS: dict[type[Base], str] = {
    Contact: "id name role language mode email phone phone_extension",
    Project: "id name description sector sector_other stage legal_form incorporated region locality summary"
    " assessed_at assessed_by_id version",
    Case: "id reference stage stage_since paused_from owner_id contact_id project_id language source received_at"
    " reply_due_on first_reply_at next_step_on closed_at closing_reason restricted matched_at turn turn_since turn_until turn_body_id",
    CaseReader: "case_id staff_id",
    CaseNeed: "case_id need since",
    CaseTag: "case_id tag_id",
    StageSpell: "id case_id stage entered_at left_at",
    TurnSpell: "id case_id turn body_id entered_at left_at",
    Request: "id form_key case_id received_at page_language notice_version answers",
    Event: "id at kind case_id actor_kind actor_id codes",
    EventDetail: "event_id values",
    Note: "id case_id event_id author_id body",
    Exchange: "id case_id event_id staff_id kind direction result happened_at minutes summary",
    FollowUp: "id case_id owner_id rule title reason waiting_on due_on first_due_on state reminded_on created_at created_by_id"
    " ended_at ended_by_id outcome",
    Talk: "id case_id adviser_id starts_at minutes mode state created_at ended_at",
    Permission: "id case_id body_id text_version text_shown language purpose fields how given_at recorded_by_id"
    " expires_on withdrawn_at",
    Referral: "id case_id body_id permission_id status purpose shared created_by_id created_at sent_at seen_at"
    " answered_at decline_reason answer_note waits_since declined_by asked_at asked_fields asked_until sends_itself",
    MatchKey: "key case_id",
    Link: "id purpose object_id version created_at expires_at revoked_at",
}
Convert = Callable[[Any], Any] | None


class Rows:
    """Rows waiting to be written, and the next id of each table."""

    def __init__(self, connection: Connection) -> None:
        self._waiting: dict[type[Base], list[Row]] = {model: [] for model in COLUMNS}
        self._ids: dict[type[Base], Iterator[int]] = {}
        for model in COLUMNS:
            table = _table(model)
            if "id" in table.c:
                last = connection.scalar(select(func.max(table.c.id)))
                self._ids[model] = count((last or 0) + 1)

    def new_id(self, model: type[Base]) -> int:
        return next(self._ids[model])

    def add(self, model: type[Base], *values: object) -> None:
        self._waiting[model].append(values)

    def write(self, connection: Connection) -> None:
        """Write what waits, in the caller's transaction."""
        for model, rows in self._waiting.items():
            if rows:
                _write(connection, model, rows)
                rows.clear()


def _table(model: type[Base]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(table)
    return table


def _write(connection: Connection, model: type[Base], rows: list[Row]) -> None:
    table = _table(model)
    columns = [table.c[name] for name in COLUMNS[model].split()]
    converts = [_conversion(column, connection.dialect) for column in columns]
    changed = [(place, convert) for place, convert in enumerate(converts) if convert is not None]

    def converted() -> Iterator[Row]:
        for row in rows:
            values = list(row)
            for place, convert in changed:
                values[place] = convert(values[place])
            yield tuple(values)

    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in columns)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        # Names come from the models, values are bound.
        statement = f"INSERT INTO {quote(table.name)} ({names}) VALUES ({places})"  # noqa: S608
        connection.exec_driver_sql(statement, list(converted()))
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(f"COPY {quote(table.name)} ({names}) FROM STDIN") as copy:
        for row in converted():
            copy.write_row(row)


def _conversion(column: Column[Any], dialect: Dialect) -> Convert:
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def finish(connection: Connection) -> None:
    """After the last row: sequences go on from the last id, and the planner learns what is there."""
    if connection.dialect.name == "postgresql":
        for model in COLUMNS:
            table = _table(model)
            if "id" in table.c and (last := connection.scalar(select(func.max(table.c.id)))):
                connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)))
    connection.execute(text("ANALYZE"))
