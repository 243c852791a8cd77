"""Several senders at once, and senders that die: other processes, a real server, real databases."""

import os
import signal
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from crm import clock
from crm.outbox.models import Message, Status
from crm.outbox.services import queue
from tests.support.server import poll

ROWS = 100


@pytest.fixture
def owed(session):
    """`owed(n)` queues n messages, each to a person of its own."""

    def go(count):
        for number in range(count):
            queue(
                "intake.received",
                dedupe_key=f"test:{number}",
                to=(f"person{number}@exemple.ca", "Nadia Benali"),
                language="fr",
                values={"name": "Nadia", "reference": "PCC-2B3C-4D5F", "date": "demain"},
            )
        session.commit()
        return list(session.scalars(select(Message).order_by(Message.due_at, Message.id)))  # as they are taken

    return go


def id_of(message) -> str:
    return f"<{message.id}.{message.kind}@127.0.0.1>"


@pytest.mark.parametrize("senders", [2, 4])
def test_senders_that_race_send_each_message_exactly_once(owed, product, smtp, session, senders):
    wanted = {id_of(message): 1 for message in owed(ROWS)}
    session.commit()  # on SQLite an open transaction of this test would hold the senders up
    smtp.hold_at = "mail"  # nobody goes on before all have taken their first message
    processes = [product.command("send-due", smtp_url=smtp.url) for _ in range(senders)]
    poll(lambda: smtp.waiting == senders, "all senders at the mail server")
    smtp.let_go()
    for process in processes:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert smtp.copies() == wanted
    session.expire_all()
    assert set(session.scalars(select(Message.status))) == {Status.SENT}
    assert set(session.scalars(select(Message.attempts))) == {1}
    names = session.scalars(select(Message.claimed_by))  # host:process:round
    assert len({name.split(":")[1] for name in names}) == senders


@pytest.mark.parametrize(("place", "most"), [("mail", 1), ("rcpt", 1), ("data", 1), ("dot", 2)])
def test_a_sender_killed_in_the_middle_of_a_message_loses_nothing(
    owed, product, smtp, session, round_of_sending, place, most
):
    messages = owed(2)
    session.commit()  # on SQLite an open transaction of this test would hold the sender up
    smtp.hold_at = place
    process = product.command("send-due", "--lease", "1", smtp_url=smtp.url)
    smtp.wait_until_held()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    smtp.let_go()
    session.expire_all()
    assert [one.status for one in messages] == [Status.CLAIMED, Status.QUEUED]
    assert messages[0].lease_until < clock.now() + timedelta(seconds=1)

    session.execute(update(Message).values(lease_until=clock.now() + timedelta(minutes=1)))
    round_of_sending()
    assert smtp.copies()[id_of(messages[0])] == most - 1, "sent by somebody else before the lease ended"
    assert messages[1].status is Status.SENT

    session.execute(
        update(Message).where(Message.id == messages[0].id).values(lease_until=clock.now() - timedelta(seconds=1))
    )
    round_of_sending()
    round_of_sending()
    assert smtp.copies() == {id_of(messages[0]): most, id_of(messages[1]): 1}
    assert [one.status for one in messages] == [Status.SENT] * 2


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
    assert smtp.copies() == {id_of(message): 1}
