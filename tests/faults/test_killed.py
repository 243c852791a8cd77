"""A process killed while requests are being sent: nothing or a whole request; a number that was shown is a whole request."""

import os
import queue
import signal
import threading

from sqlalchemy import func, select, text

from crm.cases.models import Case, StageSpell
from crm.intake.forms import PAGES
from crm.intake.models import Draft, Request
from crm.outbox.models import Message
from crm.reminders.models import FollowUp
from tests.support import asking
from tests.support.browser import Browser
from tests.support.factories import ANSWERS
from tests.support.server import LONGEST_WAIT, Product

SENDERS = 8


def test_killed_while_sending(session, people, database_url, tmp_path):
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=2)
        browsers = [_ready(port, session) for _ in range(SENDERS)]
        asking.age_drafts(session)
        session.execute(text("DELETE FROM rate_count"))
        session.commit()
        answers: queue.Queue = queue.Queue()
        together = threading.Barrier(SENDERS)

        def send(browser):
            together.wait(LONGEST_WAIT)
            try:
                answers.put((browser, browser.post(asking.CHECK["fr"], {})))
            except OSError:
                answers.put((browser, None))

        threads = [threading.Thread(target=send, args=(browser,)) for browser in browsers]
        for thread in threads:
            thread.start()
        first = answers.get(timeout=LONGEST_WAIT)  # one is answered, the others are anywhere
        os.killpg(product.processes[-1].pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        seen = [first] + [answers.get() for _ in range(SENDERS - 1)]
        shown = [answer for _, answer in seen if answer and answer[0] == 303]
        assert shown
        _whole(session)
        assert session.scalar(select(func.count(Request.id))) >= len(shown), "a number was shown for nothing"
        session.commit()
        # Each person presses again: everybody has one request, those who had one have the same.
        port = product.web(workers=1)
        for browser, answer in seen:
            browser.port = port
            again = browser.post(asking.CHECK["fr"], {})
            assert again[0] == 303
            if answer and answer[0] == 303:
                assert again[1]["Location"] == answer[1]["Location"]
    finally:
        product.stop()
    _whole(session)
    assert session.scalar(select(func.count(Request.id))) == SENDERS
    assert session.scalar(select(func.count(Message.id)).where(Message.kind == "intake.received")) == SENDERS


def _ready(port, session) -> Browser:
    browser = Browser(port)
    session.execute(text("DELETE FROM rate_count"))
    session.commit()
    browser.post(asking.START["fr"], {})
    for page in PAGES:
        browser.post(asking.address(page), asking.own(page, ANSWERS))
    browser.get(asking.CHECK["fr"])
    return browser


def _whole(session) -> None:
    """As many files, stays, first steps and acknowledgements as requests, and the drafts of exactly those are emptied."""
    session.expire_all()
    many = session.scalar(select(func.count(Request.id)))
    for model, condition in (
        (Case, Case.id > 0),
        (StageSpell, StageSpell.id > 0),
        (FollowUp, FollowUp.rule == "assign"),
        (Message, Message.kind == "intake.received"),
        (Draft, Draft.request_id.is_not(None)),
    ):
        assert session.scalar(select(func.count()).select_from(model).where(condition)) == many, model
    assert (
        session.scalar(select(func.count(Draft.id)).where(Draft.request_id.is_(None), func.length(Draft.sealed) == 0))
        == 0
    )
    session.commit()
