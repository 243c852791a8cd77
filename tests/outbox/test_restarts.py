"""PostgreSQL fails and comes back while mail is sent. SQLite has no server: `test_processes.py` holds its file, and kills who uses it."""

import signal

import pytest

from crm import schema
from crm.app import create_app
from crm.db import db
from crm.outbox.models import Message, Status
from tests.conftest import settings_for
from tests.outbox.conftest import message_id
from tests.support.postgres import Server
from tests.support.server import poll

ROWS = 12


@pytest.fixture
def server():
    """A server of this test alone, which keeps what it said it keeps."""
    server = Server(durable=True)
    yield server
    server.stop()


@pytest.fixture
def database_url(server, tmp_path):
    server.run("CREATE DATABASE product")
    app = create_app(settings_for(tmp_path, server.url("product")))
    schema.upgrade(app)
    with app.app_context():
        db.engine.dispose()
    return server.url("product")


def statuses(session) -> set[Status]:
    session.rollback()
    return {one.status for one in session.query(Message)}


@pytest.mark.parametrize("place", ["mail", "dot"], ids=["before the text", "after the text"])
def test_a_database_that_fails_while_a_message_is_with_the_server_loses_nothing_and_sends_nothing_twice(
    server, owed, product, smtp, session, place
):
    wanted = {message_id(message): 1 for message in owed(ROWS)}
    session.commit()
    smtp.hold_at = place
    process = product.command("send-due", smtp_url=smtp.url)
    smtp.wait_until_held()
    server.crash()
    smtp.let_go()
    while "asked again" not in (line := process.stdout.readline()):
        assert line, "the sender gave up"
    server.begin()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert smtp.copies() == wanted
    assert statuses(session) == {Status.SENT}


def test_a_worker_goes_on_after_a_database_that_failed(server, owed, product, smtp, session):
    (first,) = owed(1)
    wanted = {message_id(first): 1}
    session.commit()
    worker = product.command("worker", smtp_url=smtp.url)
    poll(lambda: smtp.received, "the worker's mail", worker)
    server.crash()
    server.begin()
    session.remove()
    later = owed(3)[1:]
    wanted |= {message_id(message): 1 for message in later}
    session.commit()
    poll(lambda: len(smtp.received) >= len(wanted), "the mail after the restart", worker)
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=30)
    assert worker.returncode == 0, said
    assert smtp.copies() == wanted
    assert statuses(session) == {Status.SENT}
