"""A mailbox that the product reads, and what people and programs put into it."""

import dataclasses
import email
import email.policy
from email.message import EmailMessage
from types import SimpleNamespace

import pytest

from crm.app import create_app
from crm.db import db
from crm.jobs import Job, run_job
from crm.mailbox.reading import read_mailbox
from crm.outbox.deliver import send_due
from tests.conftest import settings_for
from tests.support.imap import dovecot  # noqa: F401 - a fixture
from tests.support.smtp import smtp  # noqa: F401 - a fixture

BOX = "programme@exemple.org"


@pytest.fixture
def app(database_url, tmp_path, dovecot, monkeypatch):  # noqa: F811
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.certificate))
    dovecot.empty()
    told = {"CRM_IMAP_URL": dovecot.url(), "CRM_IMAP_ADDRESS": BOX, "CRM_MAIL_FROM": "passerelle@exemple.org"}
    app = create_app(settings_for(tmp_path, database_url, **told))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def set_otherwise(app, monkeypatch):
    """The product is told something else about its mailbox, or that it has none."""

    def go(**change):
        settings = app.extensions["settings"]
        mailbox = dataclasses.replace(settings.mailbox, **change) if change else None
        monkeypatch.setitem(app.extensions, "settings", dataclasses.replace(settings, mailbox=mailbox))

    return go


@pytest.fixture
def box(app, session, dovecot, tmp_path):  # noqa: F811
    """The mailbox: `put` delivers to it, `read` lets the worker read it, `left` gives what the worker sent since it was last asked."""
    seen = set()

    def read(*, strict=True):
        session.commit()
        done = run_job(app, Job("mailbox", read_mailbox), strict=strict)
        session.expire_all()
        return done

    def left(kind=""):
        session.commit()
        run_job(app, Job("send", send_due), strict=True)
        session.expire_all()
        new = [file for file in (tmp_path / "mail").glob("*.eml") if file not in seen]
        seen.update(new)
        mails = [
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            for file in sorted(new, key=lambda file: int(file.name.partition(".")[0]))
        ]
        return [one for one in mails if f".{kind}" in str(one["Message-ID"])]

    read()  # the first reading begins with what comes from then on
    return SimpleNamespace(put=dovecot.put, read=read, left=left, server=dovecot)


def written(sender, subject="Re: Bonjour", text="Bonjour", *, to=BOX, **headers) -> EmailMessage:
    """An e-mail as somebody's program makes it."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Message-ID"], mail["Date"] = (
        f"<{abs(hash((sender, subject, text)))}@ailleurs.exemple>",
        "Fri, 27 Nov 2026 10:00:00 -0500",
    )
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def answer_to(mail: EmailMessage, text: str, *, sender: str | None = None, by_thread: bool = False) -> EmailMessage:
    """An answer to a message of ours, from who received it, quoting it; `by_thread` loses the address it should go to."""
    quoted = "\n".join(f"> {line}" for line in mail.get_body(("plain",)).get_content().splitlines())
    return written(
        sender or str(mail["To"]),
        f"Re: {mail['Subject']}",
        f"{text}\n\nLe ven. 27 nov. 2026 à 10:00, Programme <{BOX}>\na écrit :\n\n{quoted}\n",
        to=BOX if by_thread else str(mail["Reply-To"]),
        In_Reply_To=str(mail["Message-ID"]),
        References=str(mail["Message-ID"]),
    )


def report_on(
    mail: EmailMessage, action: str = "failed", status: str = "5.1.1", said: str = "550 5.1.1 User unknown"
) -> bytes:
    """A report of delivery as Postfix writes it (RFC 3464), quoting the headers of the message."""
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.exemple.org\r\nTo: {BOX}\r\nSubject: Undelivered Mail\r\n"
        f"Message-ID: <{status}.{mail['Message-ID'].strip('<>')}>\r\nAuto-Submitted: auto-replied\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nI am sorry to have to inform you.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.exemple.org\r\n\r\n"
        f"Final-Recipient: rfc822; {mail['To'].addresses[0].addr_spec}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {said}\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {mail['Message-ID']}\r\nSubject: x\r\n\r\n--b--\r\n"
    ).encode()
