"""A process killed while requests are being sent: nothing or a whole request; a number that was shown is a whole request."""

import os
import queue
import signal
import threading

from sqlalchemy import func, select, text

from crm.cases.models import Case, StageSpell
from crm.files import services as files
from crm.files.models import StoredFile
from crm.intake.forms import PAGES
from crm.intake.models import Draft, Request
from crm.outbox.models import Message
from crm.reminders.models import FollowUp
from tests.conftest import filled_in
from tests.support import asking, papers
from tests.support.browser import Browser, over_the_wire
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


def _multipart(token: str, name: str, content: bytes) -> tuple[bytes, str]:
    """A form with one document, as a browser writes it."""
    mark = "----une-limite-qui-ne-se-trouve-pas-dans-le-document"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'.encode()]
    parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="documents"; filename="{name}"\r\n'.encode())
    parts.append(b"Content-Type: application/pdf\r\n\r\n" + content + f"\r\n--{mark}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={mark}"


def test_killed_while_documents_arrive(app, session, people, database_url, tmp_path):
    """A row never names bytes that are not there; bytes that no row names are swept; sending afterwards takes what was added."""
    filled_in(tmp_path)
    with (tmp_path / "programme.toml").open("a") as facts:
        facts.write("\nasks_files = true\n")
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=2)
        browsers = [_ready(port, session) for _ in range(SENDERS)]
        asking.age_drafts(session)
        session.execute(text("DELETE FROM rate_count"))
        session.commit()
        contents = {browser: papers.pdf_with_stream(bytes([place]) * 300_000) for place, browser in enumerate(browsers)}
        answers: queue.Queue = queue.Queue()
        together = threading.Barrier(SENDERS)

        def add(browser):
            body, kind = _multipart(browser.token, "plan.pdf", contents[browser])
            together.wait(LONGEST_WAIT)
            try:
                headers = {"Cookie": browser.cookie(), "Content-Type": kind}
                answers.put((browser, over_the_wire(browser.port, "POST", "/fr/demande/documents", body, headers)[0]))
            except OSError:
                answers.put((browser, None))

        threads = [threading.Thread(target=add, args=(browser,)) for browser in browsers]
        for thread in threads:
            thread.start()
        # One document is taken, the others are anywhere; some may have been asked to come back, as too many came at once.
        seen = [answers.get(timeout=LONGEST_WAIT)]
        while seen[-1][1] != 303 and len(seen) < SENDERS:
            seen.append(answers.get(timeout=LONGEST_WAIT))
        os.killpg(product.processes[-1].pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        seen += [answers.get() for _ in range(SENDERS - len(seen))]
        added = [browser for browser, status in seen if status == 303]
        assert added
        there = session.scalars(select(StoredFile)).all()
        assert len(there) >= len(added)
        folder = tmp_path / "files"
        assert all((folder / row.place[:2] / row.place).stat().st_size > row.size for row in there)
        session.commit()
        port = product.web(workers=1)
        for browser in browsers:
            browser.port = port
            browser.get(asking.CHECK["fr"])
            assert browser.post(asking.CHECK["fr"], {})[0] == 303
    finally:
        product.stop()
    session.rollback()
    kept = session.scalars(select(StoredFile)).all()
    assert len(kept) == len(there)
    assert all(row.case_id is not None and files.content_of(row) in contents.values() for row in kept)
    session.commit()
    for path in folder.glob("??/*"):
        os.utime(path, (0, 0))
    files.sweep()
    assert {path.name for path in folder.glob("??/*")} == {row.place for row in kept}
