"""Journeys drive a real Chromium before a real server. One browser and one mail server serve all of a worker's."""

import os
import shutil
from dataclasses import dataclass

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import filled_in
from tests.journeys.site import Post, Site
from tests.journeys.visit import Visit

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Setting:
    kind: str
    lang: str
    width: int

    @property
    def other(self) -> str:
        return "en" if self.lang == "fr" else "fr"

    def __str__(self) -> str:
        return f"{self.kind}-{self.lang}-{self.width}"


SETTINGS = [Setting("sqlite", lang, width) for lang in ("fr", "en") for width in (360, 1280)]
SETTINGS.append(Setting("postgresql", "fr", 1280))
# One of each language and width: enough for what the main journeys do not already cross, and for axe in them.
TWO = [SETTINGS[0], SETTINGS[3]]
# Those and the other database: for long journeys whose pages are looked at one by one in both widths elsewhere.
THREE = [*TWO, SETTINGS[4]]


@pytest.fixture(params=SETTINGS, ids=str)
def setting(request):
    """Both languages on a phone and a desk; the other database once."""
    return request.param


@pytest.fixture(scope="session")
def chromium():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "no Chromium: run make test, which finds or installs one, or set CHROMIUM=/path/to/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def post():
    server = Post()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def site_on_sqlite(migrated, post, tmp_path_factory):
    """An installation for all journeys of a worker: each makes its own data."""
    site = site_of_files(migrated, post, tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="session")
def site_on_postgresql(postgres, migrated, post, tmp_path_factory):
    migrated("postgresql")
    postgres.run("CREATE DATABASE site TEMPLATE migrated")
    site = Site(tmp_path_factory.mktemp("site"), postgres.url("site"), post)
    yield site
    site.stop()


def site_of_files(migrated, post, folder):
    """An installation on a fresh SQLite database."""
    shutil.copy(migrated("sqlite"), folder / "crm.sqlite")
    return Site(folder, f"sqlite:///{folder / 'crm.sqlite'}", post)


def with_documents(folder):
    """The facts of a programme that takes documents, for a site that is about to be made there."""
    filled_in(folder)
    with (folder / "programme.toml").open("a", encoding="utf-8") as facts:
        facts.write("\nasks_files = true\n")


@pytest.fixture
def site(request, setting):
    return request.getfixturevalue(f"site_on_{setting.kind}")


@pytest.fixture
def window(request, chromium):
    """`window(site, lang, width, person=…)` opens one; whatever went wrong in any of them fails the test."""
    opened = []

    def open_one(site, lang, width, **kwargs) -> Visit:
        judged = "setting" not in request.fixturenames or request.getfixturevalue("setting") in TWO
        opened.append(Visit(chromium, site, lang, width, judged=judged, **kwargs))
        return opened[-1]

    yield open_one
    problems = [problem for one in opened for problem in one.close()]
    problems += [line for site in {one.site for one in opened} for line in site.new_incidents()]
    assert not problems, "\n".join(problems)


@pytest.fixture
def visit(window, site, setting):
    """A person without an account, in the setting of the test."""
    return window(site, setting.lang, setting.width)
