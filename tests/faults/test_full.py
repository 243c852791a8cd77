"""No room left: reading goes on, nothing is half saved, no number is shown, what was typed comes back, and it heals by itself."""

import contextlib

import pytest
from sqlalchemy import event, func, select, text

from crm.cases.models import Case, Note
from crm.db import db
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, Pages, words
from tests.support.typed import form_with


@pytest.fixture
def full(session, kind, app):
    """`with full("note"):` the database has no room left (on PostgreSQL: for these tables)."""

    @contextlib.contextmanager
    def fill(*tables):
        session.commit()
        engine = db.engine
        if kind == "sqlite":

            def limit(connection, _record=None):
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count={pages}")

            def fill_up(connection):
                with contextlib.suppress(Exception):
                    while True:
                        connection.execute("INSERT INTO filler VALUES (randomblob(200))")

            session.execute(text("CREATE TABLE filler (bytes BLOB)"))
            session.commit()
            engine.dispose()
            event.listen(engine, "connect", limit)
            raw = engine.raw_connection()
            fill_up(raw.driver_connection)
            raw.close()
            session.rollback()
            yield
            event.remove(engine, "connect", limit)
            engine.dispose()
            session.execute(text("DROP TABLE filler"))
            session.commit()
            return
        session.execute(
            text(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"
            )
        )
        for table in tables:
            session.execute(
                text(f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_room()")
            )
        session.commit()
        yield
        session.rollback()
        for table in tables:
            session.execute(text(f"DROP TRIGGER no_room ON {table}"))
        session.execute(text("DROP FUNCTION no_room"))
        session.commit()

    return fill


def count(session, model) -> int:
    return session.scalar(select(func.count()).select_from(model))


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_request_shows_no_number_without_room_and_is_sent_when_there_is_some(app, people, session, full, lang):
    """Requests are sent until one finds no room: the pages that the database has already hold some more."""
    waiting = []
    for _ in range(14):
        pages = Pages(app)
        asking.begin(pages, lang)
        asking.fill(pages, ANSWERS | {"description": "Un long récit. " * 99}, lang)
        pages.get(asking.CHECK[lang])
        waiting.append(pages)
    with full("case_file", "message"):
        sent = 0
        for pages in waiting:
            answer = pages.client.post(asking.CHECK[lang], data={"csrf_token": pages.token()}, headers={"Host": HOST})
            if answer.status_code == 503:
                break
            sent += 1
        refused = answer.get_data(as_text=True)
        assert answer.status_code == 503
        assert "PCC-" not in refused
        assert {"fr": "Rien ne peut être enregistré", "en": "Nothing can be saved"}[lang] in words(refused)
        assert answer.headers["Retry-After"] == "10"
        pages.get(asking.CHECK[lang])
        pages.get(f"/{lang}/")
    session.commit()
    assert count(session, Case) == sent
    session.commit()
    action, kept = form_with(refused, "csrf_token")
    pages.post(action, kept, token=None)
    assert count(session, Case) == sent + 1


def test_a_note_without_room_comes_back_and_is_saved_later(app, people, make, session, signed_in, full):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}"
    adviser.get(address)
    with full("note", "event"):
        # Longer than what a page or two that some housekeeping frees meanwhile could hold.
        refused = adviser.post(f"{address}/notes", {"body": "Une longue note. " * 1_100}, status=503)
        adviser.get(address)
    assert count(session, Note) == 0
    session.commit()
    action, kept = form_with(refused.text, "body")
    adviser.post(action, kept, token=None)
    assert count(session, Note) == 1
