"""The database session, column types and conventions shared by all tables, on SQLite and PostgreSQL."""

import contextlib
import json
import select as sockets
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from flask import Flask, has_request_context, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    ScalarSelect,
    Select,
    String,
    bindparam,
    cast,
    event,
    func,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from crm.config import Settings

try:
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this platform: the standard library's SQLite serves
    import sqlite3 as sqlite  # type: ignore[no-redef,unused-ignore]

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Below this version two connections can corrupt a database in WAL mode (SQLite forum, March 2026).
SQLITE_VERSION: str = sqlite.sqlite_version
WAL_IS_SAFE = sqlite.sqlite_version_info >= (3, 51, 3)

# When set, overrides the choice made from the request's method.
_write_override: ContextVar[bool | None] = ContextVar("write_override", default=None)


class UTCDateTime(TypeDecorator[datetime]):
    """An instant. Refuses naive values; comes back with its zone (SQLite drops offsets silently)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """PostgreSQL's come with their zone, which is UTC on every connection of ours: nothing is asked of each value."""
        return super().result_processor(dialect, coltype) if dialect.name == "sqlite" else None


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UTCDateTime(),
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


# Used for its session and engines only: models inherit from Base itself, which mypy understands.
db = SQLAlchemy()


class Code(TypeDecorator[Any]):
    """An enum's code as text; comes back as the member."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__(max(len(member.value) for member in enum))
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum(value)


def code(enum: type[StrEnum]) -> Code:
    """The column type of an enum's code; the CHECK that repeats its values is `one_of`."""
    return Code(enum)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """A named CHECK that repeats an enum in the database."""
    values = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({values})", name=column)


def rows_of(statement: Any, values: dict[str, Any]) -> Sequence[Any]:
    """The rows of a select of columns, in the session's transaction but without the session, which is made for objects and makes each row
    a second time.
    """
    db.session.flush()
    return db.session.connection().execute(statement, values).all()


def as_one_value(rows: Select[Any], dialect: str) -> ScalarSelect[Any]:
    """The rows of a select of texts, numbers and instants as one JSON text, so that several short lists are one statement.

    `listed` reads it. Lists must be put in order by whoever reads them.
    """
    inner = rows.subquery()
    if dialect == "sqlite":
        return select(func.json_group_array(func.json_array(*inner.c))).scalar_subquery()
    gathered = func.json_agg(func.json_build_array(*inner.c))
    return select(func.coalesce(cast(gathered, String), "[]")).scalar_subquery()


def counted(rows: Select[Any]) -> ScalarSelect[int]:
    """How many rows a select has, counted to the number bound as `at_most`: nobody counts all there are to show a page."""
    some = rows.limit(bindparam("at_most", type_=Integer)).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def listed(value: str) -> list[list[Any]]:
    """The rows that `as_one_value` gave; instants are texts, which `read_instant` reads."""
    found: list[list[Any]] = json.loads(value)
    return found


def read_instant(value: str) -> datetime:
    """An instant as a JSON text of either database holds it."""
    found = datetime.fromisoformat(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def touch(case_id: int, *, opened: bool = False) -> None:
    """Note that something happened on a file in this transaction: what follows from it is settled before the commit.

    `opened` says that so far nothing happened but its being opened.
    """
    db.session().info.setdefault("touched", {})[case_id] = opened


def touched(session: Any) -> dict[int, bool]:
    """The files that something happened on in this transaction, and whether only their being opened; they are told once."""
    found: dict[int, bool] = session.info.pop("touched", {})
    return found


def save_over(row: Any, seen_version: int, **values: Any) -> bool:
    """Save values on a row that carries a version, unless somebody saved it after `seen_version` was shown; whether it was saved.

    Asked and done in one statement, so that of two who save at once one is told. What the row holds is read again.
    """
    model: Any = type(row)
    changed = db.session.execute(
        update(model)
        .where(model.id == row.id, model.version == seen_version)
        .values(version=model.version + 1, **values)
        .execution_options(synchronize_session=False)
    )
    db.session.expire(row)
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def count_for_the_planner() -> int:
    """Let SQLite count again the tables that grew much: it chooses among indexes by what it counted. Returns how many tables.

    Table by table, so that nobody waits long to write. Connections that are open go on with what they read when they opened.
    PostgreSQL does this by itself.
    """
    if db.engine.dialect.name != "sqlite":
        return 0
    db.session.rollback()
    connection = db.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA optimize=0x10003")  # what it would do, without doing it
        wanted = [one for (one,) in cursor.fetchall()]
        cursor.execute("PRAGMA analysis_limit=1000")
        for one in wanted:
            cursor.execute(one)
    finally:
        connection.close()
    return len(wanted)


@contextlib.contextmanager
def writing(*, allowed: bool = True) -> Iterator[None]:
    """Say that transactions begun inside write (or do not), whatever the request's method."""
    token = _write_override.set(allowed)
    try:
        yield
    finally:
        _write_override.reset(token)


def is_busy(error: BaseException) -> bool:
    """Whether a database error means "held by someone else for too long": try again later, nothing was saved."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    # 55P03 lock not available, 57014 statement timeout, 40001/40P01 serialization failure and deadlock.
    return state in {"55P03", "57014", "40001", "40P01"} or "database is locked" in str(error.orig)


def is_full(error: BaseException) -> bool:
    """Whether a database error means that nothing can be written for want of room: nothing was saved."""
    if not isinstance(error, DBAPIError):
        return False
    # 53100 disk full. SQLite says it in words, also when the journal beside the database cannot be written.
    words = ("database or disk is full", "disk I/O error")
    return getattr(error.orig, "sqlstate", None) == "53100" or any(one in str(error.orig) for one in words)


def init_app(app: Flask, settings: Settings) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(settings)
    db.init_app(app)
    with app.app_context():
        if settings.is_sqlite:
            _prepare_sqlite(db.engine)
        else:
            event.listen(db.engine, "checkout", _refuse_the_dead)
            event.listen(db.engine, "handle_error", _name_no_value)


def _engine_options(settings: Settings) -> dict[str, Any]:
    if settings.is_sqlite:
        return {
            "module": sqlite,
            "hide_parameters": True,
            "connect_args": {"check_same_thread": False},
            "pool_recycle": 3600,  # a connection plans by what was counted of the tables when it opened
        }
    return {
        "hide_parameters": True,  # values are people's: they stay out of logs
        "pool_size": 8,
        "max_overflow": 8,
        "connect_args": {
            "connect_timeout": 10,
            "keepalives_idle": 60,  # a server that went away without a word is noticed
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,  # ms
            # Four, the usual cost of a random page, is a turning disk's: the planner then passes indexes by.
            "options": "-c timezone=UTC -c lock_timeout=10s -c statement_timeout=120s "
            "-c idle_in_transaction_session_timeout=60s -c random_page_cost=1.1",
        },
    }


def repoint(column: Any, was: int, now: int) -> None:
    """Rows whose column, of a foreign key, named one row name another from now on, here and in the session."""
    change = update(column.class_).where(column == was).values({column: now})
    db.session.execute(change.execution_options(synchronize_session="fetch"))


DATA_EXCEPTION = "22"  # the class of errors whose very words hold the value that was refused


def _name_no_value(context: Any) -> None:
    """PostgreSQL tells the whole row that it refuses, and rows are people's: of an error stays which it is and where it arose, for the logs."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    state, told = getattr(error, "sqlstate", None), getattr(error, "diag", None)
    if not state or told is None:
        return
    words = "" if state.startswith(DATA_EXCEPTION) else told.message_primary
    said = ", ".join(part for part in (state, words, told.table_name, told.column_name, told.constraint_name) if part)
    error.args = (said,)
    if wrapped is not None:
        wrapped.args = (f"({type(error).__name__}) {said}",)


def _refuse_the_dead(connection: Any, _record: object, _proxy: object) -> None:
    """Whoever takes a connection from the pool gets one that lives. A server that stops says so to those that wait, and nothing else is ever
    said to a connection that asked nothing: looking whether something came saves the question that `pool_pre_ping` asks of the server for each page.

    Raises InvalidatePoolError: the pool then opens another.
    """
    arrived = sockets.poll()
    arrived.register(connection.fileno(), sockets.POLLIN)
    if arrived.poll(0):
        raise InvalidatePoolError("the database closed this connection")


def _prepare_sqlite(engine: Engine) -> None:
    journal = "WAL" if WAL_IS_SAFE else "TRUNCATE"

    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, below: the driver's own loses updates
        for pragma in (
            "busy_timeout=10000",
            f"journal_mode={journal}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-1024",  # of each connection, of which a worker has several; the system keeps the rest
            "journal_size_limit=67108864",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails at once under concurrency, whatever the timeout.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _will_write() else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)


def _will_write() -> bool:
    override = _write_override.get()
    if override is not None:
        return override
    return not has_request_context() or request.method not in SAFE_METHODS
