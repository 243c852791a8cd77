"""Migrations: what `crm db upgrade` runs, and what `crm check` compares."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from crm.config import ROOT
from crm.db import db, writing
from crm.partners.services import load_directory


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def upgrade(app: Flask, revision: str = "head") -> None:
    """Bring the database to a revision, and add to the directory the bodies that ship and are not there yet."""
    with app.app_context(), writing():
        with db.engine.connect() as connection:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        if revision == "head":
            load_directory()
            db.session.commit()


def is_current(app: Flask) -> bool:
    """Whether the database is at the newest revision."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    with app.app_context(), db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head
