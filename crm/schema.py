"""Migrations: what `crm db upgrade` runs, and what `crm check` compares."""

import contextlib
from collections.abc import Iterator
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Connection

from crm.cases.searching import is_whole as search_is_whole
from crm.cases.searching import rebuild as rebuild_search
from crm.config import ROOT
from crm.db import count_for_the_planner, db, writing
from crm.partners.services import load_directory
from crm.search import engine


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def upgrade(app: Flask, revision: str = "head") -> None:
    """Bring the database to a revision, and add to the directory the bodies that ship and are not there yet."""
    with app.app_context(), writing():
        with db.engine.connect() as connection, tables_made_anew(connection):
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        if revision == "head":
            load_directory()
            db.session.commit()
            if not search_is_whole():
                rebuild_search()
            count_for_the_planner()  # of a new index SQLite knows nothing yet, and passes it by


def downgrade(app: Flask, revision: str) -> None:
    """Take the database back to a revision. What only newer revisions know is lost: make a copy first."""
    with app.app_context(), writing(), db.engine.connect() as connection, tables_made_anew(connection):
        config = configuration()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


@contextlib.contextmanager
def tables_made_anew(connection: Connection) -> Iterator[None]:
    """SQLite changes a constraint by making its table anew, which foreign keys would forbid: they are checked at the end."""
    if db.engine.dialect.name != "sqlite":
        yield
        return
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        if broken := raw.execute("PRAGMA foreign_key_check").fetchall():
            raise MigrationError(f"{len(broken)} rows point to rows that are not there: {broken[:5]}")
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


class MigrationError(Exception):
    """A migration left the database in a state that its own constraints refuse."""


def is_ours(_item: object, name: str | None, _kind: str, _reflected: bool, _compared: object) -> bool:
    """For Alembic: whether a thing of the database is one that models speak of."""
    return not engine.is_ours(name)


def is_current(app: Flask) -> bool:
    """Whether the database is at the newest revision."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    with app.app_context(), db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head
