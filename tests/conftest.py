"""What every test stands on: both databases, people, pages that check themselves, and no network."""

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import argon2
import flask
import hypothesis
import jinja2
import pytest
from werkzeug.routing.rules import Rule

from crm import config, schema
from crm.access import Role
from crm.accounts import passwords
from crm.accounts.choices import choose
from crm.accounts.models import Staff
from crm.accounts.services import create_staff
from crm.app import create_app
from crm.config import ROOT
from crm.db import db, writing
from crm.i18n import use_language
from tests.support import factories
from tests.support.pages import Pages
from tests.support.postgres import Server

PASSWORD = "a long password for tests"
KEY = "a key for tests, of more than thirty-two characters"

hypothesis.settings.register_profile("untimed", deadline=None)  # no test asserts how long something takes
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def in_french():
    """A test begins in the product's first language, whatever the one before it spoke."""
    use_language("fr")


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords():
    """The same algorithm with small figures: one test checks the real ones."""
    real = passwords._hasher
    passwords._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield real
    passwords._hasher = real


class Compiled(jinja2.BytecodeCache):
    """Compiled templates, for all applications of this process."""

    def __init__(self) -> None:
        self.kept = {}

    def load_bytecode(self, bucket):
        bucket.code = self.kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket):
        self.kept[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """Each test has an application of its own. What Jinja and Werkzeug compile for each of them is always the same: half of a test's time."""
    patch = pytest.MonkeyPatch()
    patch.setattr(flask.Flask, "jinja_options", {**flask.Flask.jinja_options, "bytecode_cache": Compiled()})
    compile_builder, kept = Rule._compile_builder, {}

    def once(self, append_unknown=True):
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in kept:
            kept[key] = compile_builder(self, append_unknown)
        return kept[key]

    patch.setattr(Rule, "_compile_builder", once)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def no_other_host(monkeypatch):
    """Tests reach this machine only."""
    real = socket.socket.connect

    def connect(self, address):
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            raise AssertionError(f"a test tried to reach {address}")
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="session")
def postgres():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(request, tmp_path_factory):
    """A migrated database of each kind, made once: tests get copies."""
    made = {}

    def get(kind: str):
        if kind not in made:
            folder = tmp_path_factory.mktemp(f"migrated-{kind}")
            if kind == "sqlite":
                url = f"sqlite:///{folder / 'crm.sqlite'}"
            else:
                server = request.getfixturevalue("postgres")
                server.run("CREATE DATABASE migrated")
                url = server.url("migrated")
            app = create_app(settings_for(folder, url))
            schema.upgrade(app)
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
            if kind == "postgresql":
                server.prepare("migrated")
            made[kind] = folder / "crm.sqlite"
        return made[kind]

    return get


def filled_in(folder: Path) -> None:
    """The demonstration's facts in a data folder that has none."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "programme.toml").exists():
        shutil.copy(ROOT / "crm" / "demo" / "programme.toml", folder / "programme.toml")


def settings_for(folder: Path, url: str, **extra: str) -> config.Settings:
    """What the product is told, with the facts of a programme that filled them in."""
    filled_in(folder)
    return config.read({"CRM_DATA_DIR": str(folder), "CRM_DATABASE_URL": url, "CRM_SECRET_KEY": KEY, **extra})


@pytest.fixture
def database_url(request, kind, migrated, tmp_path):
    """A fresh migrated database of the kind under test."""
    source = migrated(kind)
    if kind == "sqlite":
        shutil.copy(source, tmp_path / "crm.sqlite")
        yield f"sqlite:///{tmp_path / 'crm.sqlite'}"
        return
    server = request.getfixturevalue("postgres")
    name = server.borrow("migrated")
    yield server.url(name)
    server.give_back(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request):
    """Both databases give the same answers: every test that touches one runs on both."""
    return request.param


@pytest.fixture
def app(database_url, tmp_path):
    app = create_app(settings_for(tmp_path, database_url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def session(app):
    """Inside the product, writing."""
    with app.app_context(), writing():
        yield db.session
        db.session.rollback()


@dataclass
class People:
    admin: Staff
    coordinator: Staff
    adviser: Staff
    other_adviser: Staff
    observer: Staff


@pytest.fixture
def people(session):
    """One person of each role; the second adviser and the observer read English."""
    made = People(
        admin=_person("admin@passerelle.example", "Alex Gagnon", Role.ADMIN),
        coordinator=_person("coordo@passerelle.example", "Camille Roy", Role.COORDINATOR, on_duty=True),
        adviser=_person("amelie@passerelle.example", "Amélie Tremblay", Role.ADVISER),
        other_adviser=_person("sam@passerelle.example", "Sam Wong", Role.ADVISER, language="en"),
        observer=_person("comite@passerelle.example", "Robin Observer", Role.OBSERVER, language="en"),
    )
    session.commit()
    return made


@pytest.fixture
def at_once(people, session):
    """Everybody of the team asked for a message for each follow-up, and no digest of them."""
    for person in (people.admin, people.coordinator, people.adviser, people.other_adviser):
        choose(person, "follow_ups", at_once=True, in_digest=False)
    session.commit()


def _person(email, name, role, language="fr", on_duty=False):
    return create_staff(email=email, name=name, role=role, language=language, password=PASSWORD, on_duty=on_duty)


@pytest.fixture
def pages(app):
    """A visitor without an account."""
    return Pages(app)


@pytest.fixture
def signed_in(app):
    """`signed_in(person)` gives that person's browser."""
    return lambda person: Pages(app).sign_in(person, PASSWORD)


@pytest.fixture
def make(session, people):
    """Files, follow-ups and referrals made by the product's own verbs."""
    return factories.Make(session, people)
