"""Several senders at once, and senders that die: other processes, a real server, real databases."""

import contextlib
import signal
import sys
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from crm import clock
from crm.db import db
from crm.outbox.deliver import HAND
from crm.outbox.models import Message, Status
from crm.reminders.services import queue_due
from tests.outbox.conftest import message_id
from tests.support.server import poll

ROWS, RACED = 25, 1000


@pytest.mark.parametrize("senders", [2, 8])
def test_senders_that_race_send_each_message_exactly_once(owed, product, smtp, session, senders):
    wanted = {message_id(message): 1 for message in owed(RACED)}
    session.commit()  # on SQLite an open transaction of this test would hold the senders up
    smtp.hold_at = "mail"  # nobody goes on before all have taken their first message
    processes = [product.command("send-due", smtp_url=smtp.url) for _ in range(senders)]
    poll(lambda: smtp.waiting == senders, "all senders at the mail server")
    smtp.let_go()
    for process in processes:
        said, _ = process.communicate(timeout=150)
        assert process.returncode == 0, said
    assert smtp.copies() == wanted
    session.expire_all()
    assert set(session.scalars(select(Message.status))) == {Status.SENT}
    assert set(session.scalars(select(Message.attempts))) == {1}
    names = session.scalars(select(Message.claimed_by))  # host:process:round
    assert len({name.split(":")[1] for name in names}) == senders


KILL_POINTS = [("ehlo", 1), ("mail", 1), ("rcpt", 1), ("data", 1), ("dot", 2), ("after 250", 2)]


@pytest.mark.parametrize(("place", "most"), KILL_POINTS, ids=[place for place, _ in KILL_POINTS])
def test_a_sender_killed_in_the_middle_of_a_message_loses_nothing(owed, product, smtp, session, place, most):
    messages = owed(2 * ROWS)
    wanted, first = {message_id(message): 1 for message in messages}, messages[0].id
    session.commit()  # on SQLite an open transaction of this test would hold the senders up
    smtp.hold_at = "dot" if place == "after 250" else place
    process = product.command("send-due", "--lease", "60", smtp_url=smtp.url)
    smtp.wait_until_held()
    if place == "after 250":
        with nobody_else_writes(first):
            smtp.let_go()
            poll(smtp.answers_are_read, "the answer in the sender's hands")
            process.kill()
            process.wait()
    else:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    smtp.let_go()
    session.expire_all()
    session.commit()
    left = 2 * ROWS - HAND
    assert [one.status for one in messages] == [Status.CLAIMED] * HAND + [Status.QUEUED] * left
    session.commit()

    assert f"{left} messages sent" in drained(product, smtp), (
        "what the dead sender held was sent before its lease ended"
    )
    assert smtp.copies()[message_id(messages[0])] == most - 1
    assert not {message_id(one) for one in messages[1:HAND]} & set(smtp.copies())
    session.execute(update(Message).where(Message.status == Status.CLAIMED).values(lease_until=clock.now()))
    session.commit()
    assert f"{HAND} messages sent" in drained(product, smtp)
    assert "0 messages sent" in drained(product, smtp)
    assert smtp.copies() == wanted | {message_id(messages[0]): most}
    session.expire_all()
    assert {one.status for one in messages} == {Status.SENT}


def test_a_sender_killed_in_the_middle_of_many_reminders_sends_some_twice_at_most_and_none_never(
    make, people, at_once, product, smtp, session
):
    """What a quick server takes of a kind of which many leave together is noted together: when that is not done, each has one more copy."""
    for _ in range(2 * HAND):
        make.only_step(people.adviser, clock.today() - timedelta(days=3), "Appeler la notaire")
    session.execute(delete(Message))
    session.commit()
    assert queue_due() == 2 * HAND
    session.commit()
    messages = session.scalars(select(Message).order_by(Message.due_at, Message.id)).all()
    wanted, first = {message_id(message): 1 for message in messages}, messages[0].id
    session.commit()  # on SQLite an open transaction of this test would hold the senders up
    smtp.hold_at = "dot"
    process = product.command("send-due", "--lease", "60", smtp_url=smtp.url)
    smtp.wait_until_held()
    with nobody_else_writes(first):
        smtp.let_go()
        poll(smtp.answers_are_read, "the answer in the sender's hands")
        process.kill()
        process.wait()
    taken = set(smtp.copies())
    assert taken <= {message_id(one) for one in messages[:HAND]}
    session.execute(update(Message).where(Message.status == Status.CLAIMED).values(lease_until=clock.now()))
    session.commit()
    drained(product, smtp)
    assert smtp.copies() == wanted | dict.fromkeys(taken, 2)
    session.expire_all()
    assert {one.status for one in messages} == {Status.SENT}


def test_a_database_that_is_held_when_a_server_took_a_message_is_asked_again_rather_than_send_twice(
    owed, product, smtp, session
):
    (message,) = owed(1)
    wanted, number = {message_id(message): 1}, message.id
    session.commit()  # on SQLite an open transaction of this test would hold the sender up
    smtp.hold_at = "dot"
    process = product.command("send-due", smtp_url=smtp.url)
    smtp.wait_until_held()
    with nobody_else_writes(number):
        smtp.let_go()
        while "asked again" not in (line := process.stdout.readline()):
            assert line, "the sender gave up"
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "1 messages sent" in said
    session.expire_all()
    assert message.status is Status.SENT
    assert smtp.copies() == wanted


def drained(product, smtp) -> str:
    """What the one-shot command says once nothing is left that it may take."""
    process = product.command("send-due", smtp_url=smtp.url)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


@contextlib.contextmanager
def nobody_else_writes(message_id):
    """Hold what a sender needs to note what became of a message."""
    with db.engine.connect() as other:
        other.execute(select(Message.id).where(Message.id == message_id).with_for_update())  # on SQLite, all of it
        yield
        other.rollback()


def test_a_worker_sends_by_itself_what_is_queued_while_it_runs(owed, product, smtp, session):
    worker = product.command("worker", smtp_url=smtp.url)
    (message,) = owed(1)
    session.commit()
    poll(lambda: smtp.received, "the worker's mail", worker)
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=30)
    assert worker.returncode == 0, said
    session.expire_all()
    assert message.status is Status.SENT
    assert smtp.copies() == {message_id(message): 1}


TOLD_WHILE_IT_HANDS_A_JOB_OVER = """
import os, signal
from apscheduler.executors.pool import BasePoolExecutor
from crm.app import create_app
from crm.jobs import work

real = BasePoolExecutor._do_submit_job

def told_to_stop(self, *job):
    os.kill(os.getpid(), signal.SIGTERM)
    return real(self, *job)

BasePoolExecutor._do_submit_job = told_to_stop
work(create_app())
print("stopped")
"""


def test_a_worker_told_to_stop_while_it_hands_a_job_over_stops(product):
    process = product.begin([sys.executable, "-c", TOLD_WHILE_IT_HANDS_A_JOB_OVER])
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.endswith("stopped\n")
