"""A database held by somebody else: nothing is saved, nothing typed is lost, the answer says to try again."""

import contextlib
import http.client
import socket
from urllib.parse import urlencode

import psycopg
import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine import make_url

from crm import clock
from crm.accounts import services as accounts
from crm.cases.models import Case, Note
from crm.db import WAL_IS_SAFE, db, sqlite
from crm.intake.forms import PAGES
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp
from tests.conftest import PASSWORD
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words
from tests.support.server import Product
from tests.support.typed import form_with

PATIENCE = 50  # milliseconds, instead of the product's ten seconds
NOTE = "Appelé Mme d’Amours & laissé un « message »."


@pytest.fixture
def impatient(app):
    """The product's own connections, waiting less long."""

    def connect(connection, _record):
        if db.engine.dialect.name == "sqlite":
            connection.execute(f"PRAGMA busy_timeout={PATIENCE}")
        else:
            connection.execute(f"SET lock_timeout = {PATIENCE}")
            connection.commit()

    with app.app_context():
        engine = db.engine
        event.listen(engine, "connect", connect)
        engine.dispose()
    return app


@pytest.fixture
def held(session, kind, database_url):
    """`with held("case_file"):` somebody else is writing there (on SQLite: anywhere)."""

    @contextlib.contextmanager
    def hold(*tables, reading=False):
        session.commit()
        if kind == "sqlite":
            other = sqlite.connect(make_url(database_url).database, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE" if reading else "BEGIN IMMEDIATE")
        else:
            other = psycopg.connect(database_url)
            for table in tables:
                other.execute(f"LOCK TABLE {table} IN {'ACCESS EXCLUSIVE' if reading else 'EXCLUSIVE'} MODE")
        try:
            yield
        finally:
            other.rollback() if kind != "sqlite" else other.execute("ROLLBACK")
            other.close()

    return hold


def count(session, model) -> int:
    return session.scalar(select(func.count()).select_from(model))


@pytest.mark.parametrize(
    ("lang", "locale", "said"),
    [
        ("fr", "fr-CA", "Votre texte n’est pas encore enregistré"),
        ("en", "en-CA", "Your text was not saved yet, and it is not lost."),
    ],
)
def test_a_page_that_cannot_be_saved_now_comes_back_filled_and_is_kept_by_a_second_press(
    impatient, people, held, session, lang, locale, said
):
    pages = Pages(impatient)
    asking.begin(pages, lang)
    address = asking.address("project", lang)
    pages.get(address)
    typed = asking.own("project", ANSWERS) | {"sector_other": "« Épluchage » & <poires>"}
    with held("draft"):
        refused = pages.post(address, typed, status=503)
    assert refused.headers["Retry-After"] == "10"
    assert f'<html lang="{locale}"' in refused.text
    assert said in words(refused.text)
    action, kept = form_with(refused.text, "description")
    assert action == address
    assert {name: values for name, values in kept.items() if name != "csrf_token"} == {
        name: [value] for name, value in typed.items()
    }
    pages.post(action, kept, token=None)
    assert form_with(pages.get(address).text, "description")[1]["sector_other"] == [typed["sector_other"]]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_request_that_cannot_be_sent_now_shows_no_number_and_is_sent_by_a_second_press(
    impatient, people, held, session, lang
):
    pages = Pages(impatient)
    asking.begin(pages, lang)
    asking.fill(pages, ANSWERS, lang)
    pages.get(asking.CHECK[lang])
    with held("case_file", "project", "request"):
        refused = pages.post(asking.CHECK[lang], status=503)
    assert "PCC-" not in refused.text
    assert count(session, Case) == 0
    session.commit()
    action, kept = form_with(refused.text, "csrf_token")
    assert action == asking.CHECK[lang]
    pages.post(action, kept, token=None)
    assert count(session, Case) == 1


def test_a_note_that_cannot_be_saved_now_comes_back_and_is_saved_by_a_second_press(
    impatient, people, make, held, session, signed_in
):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/notes"
    adviser.get(f"/staff/cases/{case.reference}")
    with held("event", "note", "case_file"):
        refused = adviser.post(address, {"body": NOTE}, status=503)
    assert refused.headers["Retry-After"] == "10"
    assert count(session, Note) == 0
    session.commit()
    action, kept = form_with(refused.text, "body")
    assert (action, kept["body"]) == (address, [NOTE])
    adviser.post(action, kept, token=None)
    assert session.scalars(select(Note.body)).all() == [NOTE]


def test_when_even_the_session_cannot_be_read_the_text_still_comes_back(
    impatient, people, make, held, session, signed_in
):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}"
    adviser.get(address)
    with held("sign_in", "staff", reading=True):
        refused = adviser.post(f"{address}/notes", {"body": NOTE}, status=503)
    assert refused.headers["Retry-After"] == "10"
    assert form_with(refused.text, "body")[1]["body"] == [NOTE]


def test_a_page_that_cannot_be_read_now_says_so(impatient, people, held, signed_in, kind):
    if kind == "sqlite" and WAL_IS_SAFE:
        pytest.skip("with a write-ahead log, nobody can keep a reader waiting")
    adviser = signed_in(people.adviser)
    adviser.get("/staff/cases")
    with held("case_file", "sign_in", reading=True):
        refused = adviser.get("/staff/cases", 503)
    assert refused.headers["Retry-After"] == "10"
    adviser.get("/staff/cases")


def test_reading_goes_on_while_somebody_writes(impatient, people, make, held, signed_in):
    case = make.case(owner=people.adviser)
    adviser, address = signed_in(people.adviser), f"/staff/cases/{case.reference}"
    with held("case_file", "event", "sign_in", "message"):
        adviser.get("/staff/cases")
        adviser.get(address)
        Pages(impatient).get("/fr/demande")


def test_signing_in_while_the_database_is_busy_makes_no_session(impatient, people, held, session):
    pages = Pages(impatient)
    pages.get("/staff/sign-in")
    typed = {"email": people.adviser.email, "password": "a long password for tests"}
    with held("sign_in", "rate_count"):
        refused = pages.post("/staff/sign-in", typed, status=503)
    assert "a long password for tests" not in refused.text
    assert accounts.sign_in(typed["email"], typed["password"]) is not None


def test_a_request_that_comes_half_keeps_nobody_else_waiting(session, people, database_url, tmp_path):
    """A signed-in browser that loses its network in the middle of a form: others write as if it were not there."""
    email = people.observer.email
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=1)
        cookies: dict[str, str] = {}

        def ask(method, path, fields=None):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)  # shorter than waiting for a lock
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            if fields is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, urlencode(fields, doseq=True) if fields is not None else None, headers)
            answer = connection.getresponse()
            for value in answer.headers.get_all("Set-Cookie") or ():
                name, _, rest = value.partition("=")
                cookies[name] = rest.partition(";")[0]
            return answer.status, answer.read().decode()

        token = form_with(ask("GET", "/staff/sign-in")[1], "email")[1]["csrf_token"][0]
        typed = {"csrf_token": token, "email": email, "password": PASSWORD}
        assert ask("POST", "/staff/sign-in", typed)[0] == 303
        half = socket.create_connection(("127.0.0.1", port))
        signed = "; ".join(f"{name}={value}" for name, value in cookies.items())
        half.sendall(
            f"POST /staff/language HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {signed}\r\nContent-Length: 1000\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nlang=fr".encode()
        )
        cookies.clear()
        token = form_with(ask("GET", "/fr/demande")[1], "csrf_token")[1]["csrf_token"][0]
        assert ask("POST", "/fr/demande", {"csrf_token": token})[0] == 303
        for page in PAGES:
            assert ask("POST", asking.address(page), asking.own(page, ANSWERS) | {"csrf_token": token})[0] == 303
        assert ask("POST", asking.CHECK["fr"], {"csrf_token": token})[0] == 303
        half.close()
    finally:
        product.stop()


def test_two_jobs_that_each_add_to_a_file_do_not_wait_for_each_other(
    impatient, people, make, session, kind, database_url
):
    case = make.case(owner=people.adviser)
    session.commit()
    with contextlib.ExitStack() as stack:
        if kind != "sqlite":  # which has one writer at a time
            other = stack.enter_context(psycopg.connect(database_url))
            # What adding a row that points at the file takes hold of, until it is committed.
            other.execute("SELECT id FROM case_file WHERE id = %s FOR KEY SHARE", [case.id])
        reminders.plan_by_hand(
            case, title="Rappeler", reason="", due_on=clock.today(), owner=people.adviser, actor=people.adviser
        )
        session.commit()
    assert session.scalar(select(func.count()).select_from(FollowUp).where(FollowUp.title == "Rappeler")) == 1


def test_connections_that_the_database_closed_meanwhile_are_given_to_nobody(
    app, people, session, signed_in, kind, database_url
):
    """A database that was restarted: the next page is served, as if nothing had happened."""
    if kind == "sqlite":
        pytest.skip("there is no server to restart")
    browser = signed_in(people.adviser)
    browser.get("/staff/cases")
    session.close()
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert (True,) in other.execute(ended).fetchall()
    browser.get("/staff/cases")
