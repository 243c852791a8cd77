"""How a message leaves: through SMTP, or, when no server is set, as a file in the data folder."""

import contextlib
import math
import os
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crm.config import Settings, Smtp
from crm.i18n import LOCALES
from crm.outbox import threads
from crm.outbox.html import as_html
from crm.outbox.kinds import Attachment
from crm.outbox.models import Message
from crm.texts.facts import programme

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
WHOLE_SECONDS = 200.0  # less than a lease: when it is over, nobody else has the message yet
TOO_LARGE = 552
KEPT_HEADERS = 64
WATCH = "mail-watch"


class RecipientRefusedError(Exception):
    """The server will never take this message for this recipient: trying again would not help."""


class LaterError(Exception):
    """The message was not taken this time; it may be next time."""


class RefusesUsError(Exception):
    """The server refuses us, not this message: our sign-in, our address. Nothing will leave until somebody sees to it."""


class NoAnswerError(Exception):
    """The message was handed over whole and no answer came: it may have been taken, or not."""


def _bare(name: str) -> str:
    """A name without the signs that a header reads as its own: whoever fills in the public form chooses it.

    Folding a long header, the library drops its quotes and reads encoded words: a name could then hold other addresses,
    other headers or the start of a body.
    """
    return " ".join(re.sub(r'[()<>\[\]:;@\\,"]|=\?|\?=', " ", name).split())


class _Headers(HeaderRegistry):
    """The library makes a class for each header of each message and parses it anew, half of what composing a message costs. Here a name keeps its
    class, and a header that says what one before it said is that one: nothing changes a header once it is made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = lru_cache(KEPT_HEADERS)(super().__getitem__)
        self.kept = lru_cache(KEPT_HEADERS)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        return self.kinds(name.lower())

    def __call__(self, name: str, value: Any) -> Any:
        return self.kept(name, value) if isinstance(value, str) else super().__call__(name, value)


class _Policy(EmailPolicy):
    """The library's, which folds no header twice that says the same."""

    def fold_binary(self, name: str, value: str) -> bytes:
        return _folded(self.linesep, self.utf8, name, value)


@lru_cache(KEPT_HEADERS)
def _folded(linesep: str, utf8: bool, name: str, value: str) -> bytes:
    return EmailPolicy(linesep=linesep, utf8=utf8).fold_binary(name, value)


POLICY = _Policy(header_factory=_Headers())


@lru_cache(KEPT_HEADERS)
def _addressed(header: str, name: str, user: str, domain: str) -> Any:
    """A header that names one address."""
    return POLICY.header_factory(header, Address(name, user, domain))


def compose(message: Message, body: str, settings: Settings, attachment: Attachment | None = None) -> EmailMessage:
    """The e-mail of a row. Its Message-ID is made from the row's id and never changes, so that copies can be told."""
    mail = EmailMessage(POLICY)
    facts = programme()
    user, _, domain = (facts.sender or settings.mail_from).rpartition("@")
    mail["From"] = _addressed("From", _bare(facts.name[message.language]), user, domain)
    to_user, _, to_domain = message.to_address.rpartition("@")
    mail["To"] = _addressed("To", _bare(message.to_name), to_user, to_domain)
    if settings.mailbox and message.staff_id is None:
        mail["Reply-To"] = threads.address(message.id, settings.mailbox.address)
    elif facts.email:
        mail["Reply-To"] = facts.email
    mail["Subject"] = message.subject.replace("=?", "= ?")
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = threads.message_id(message.id, message.kind, urlsplit(settings.base_url).hostname or "")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body, cte="quoted-printable")
    mail.add_alternative(as_html(message.subject, body, message.language), subtype="html", cte="quoted-printable")
    if attachment is not None:
        mail.add_attachment(
            attachment.content,
            maintype="text",
            subtype=attachment.subtype,
            filename=attachment.name,
            params=dict(attachment.parameters),
        )
    mail["Content-Language"] = LOCALES[message.language]  # after the content, which clears what describes it
    return mail


def returns_to(message: Message, settings: Settings) -> str | None:
    """Where a report that a message could not be delivered is sent: the mailbox that is read, where it is of the domain that mail leaves
    from; another domain would vouch for the message no more (SPF). None is the address that it leaves from.
    """
    sender = programme().sender or settings.mail_from
    if settings.mailbox is None or settings.mailbox.address.rpartition("@")[2] != sender.rpartition("@")[2]:
        return None
    return threads.address(message.id, settings.mailbox.address)


class Transport:
    """One connection for one round of sending; `close` when done."""

    def send(self, mail: EmailMessage, returns: str | None = None) -> str:
        """Hand over one message; returns what the server said when it took it. `returns` is where reports of non-delivery go.

        Raises RecipientRefusedError, LaterError, RefusesUsError or NoAnswerError.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open by default."""


class FileTransport(Transport):
    """Without an SMTP server: one .eml file per message, for a developer to open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, mail: EmailMessage, returns: str | None = None) -> str:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(mail["Message-ID"]).strip("<>").partition("@")[0].rpartition(".")[0]
        temporary = self.folder / f".{name}"
        temporary.write_bytes(bytes(mail))
        os.replace(temporary, self.folder / f"{name}.eml")  # noqa: PTH105 - atomic, and says so
        return ""


class _Connection(smtplib.SMTP):
    """What ours add to the library's: it can be cut from another thread while it opens, and it tells whether a message was handed over
    whole without an answer. In the clear, until STARTTLS.
    """

    def __init__(self, transport: "SmtpTransport", *args: Any, **kwargs: Any) -> None:
        self.handed_over = False
        self.said = b""
        transport.connection = self
        super().__init__(*args, **kwargs)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """DATA, the text and the final dot. `handed_over` stays true when no answer, or none that makes sense, comes back."""
        code, said = self.docmd("DATA")
        if code != 354:
            raise smtplib.SMTPDataError(code, said)
        ended = b".\r\n" if msg.endswith(b"\r\n") else b"\r\n.\r\n"
        self.send(re.sub(rb"(?m)^\.", b"..", msg) + ended)
        self.handed_over = True
        code, self.said = self.getreply()
        self.handed_over = not 200 <= code < 600
        return code, self.said

    def cut(self) -> None:
        """End the conversation at once, from whatever thread: who waits for an answer is told that there is none."""
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Tls(_Connection, smtplib.SMTP_SSL):
    """Encrypted from the first byte."""


class SmtpTransport(Transport):
    """An SMTP server. The connection is opened with the first message and kept for the round.

    `connect` and `idle` are the seconds that opening and each answer may take, `whole` those of one message with all that it
    needs: a server that says one byte a second is always about to answer.
    """

    def __init__(
        self,
        smtp: Smtp,
        *,
        connect: float = CONNECT_SECONDS,
        idle: float = IDLE_SECONDS,
        whole: float = WHOLE_SECONDS,
    ) -> None:
        self.smtp = smtp
        self.patience = (connect, idle, whole)
        self.connection: _Connection | None = None
        self.until = math.inf  # when what goes on must be over
        self.closed: threading.Event | None = None  # for the thread that sees to it

    def _open(self) -> _Connection:
        connect, idle, _ = self.patience
        # Called where it is needed only: to read the system's authorities takes longer than many messages.
        checked = ssl.create_default_context
        where = {"host": self.smtp.host, "port": self.smtp.port, "timeout": connect}
        connection: _Connection = (
            _Tls(self, context=checked(), **where) if self.smtp.implicit_tls else _Connection(self, **where)
        )
        if connection.sock is not None:
            connection.sock.settimeout(idle)
        connection.ehlo()
        if not self.smtp.implicit_tls and connection.has_extn("starttls"):
            connection.starttls(context=checked())
            connection.ehlo()
        if self.smtp.username:
            if not isinstance(connection.sock, ssl.SSLSocket):
                raise RefusesUsError("the server offers no encryption: the password was not sent")
            self._sign_in(connection, self.smtp.username, self.smtp.password or "")
        return connection

    @staticmethod
    def _sign_in(connection: _Connection, username: str, password: str) -> None:
        try:
            connection.login(username, password)
        except smtplib.SMTPNotSupportedError as error:
            raise RefusesUsError(f"the server offers no sign-in: {error}") from error
        except smtplib.SMTPAuthenticationError as error:
            kind = RefusesUsError if _for_good(error.smtp_code) else LaterError
            raise kind(_said(error.smtp_code, error.smtp_error)) from error

    def send(self, mail: EmailMessage, returns: str | None = None) -> str:
        with self._watched():
            return self._send(mail, returns)

    def _send(self, mail: EmailMessage, returns: str | None) -> str:
        try:
            connection = self.connection or self._open()
            connection.send_message(mail, from_addr=returns)
            return _said(250, connection.said)
        except smtplib.SMTPNotSupportedError as error:  # an address that this server cannot carry
            raise RecipientRefusedError(str(error)) from error
        except smtplib.SMTPRecipientsRefused as error:
            self._reset()
            code, said = next(iter(error.recipients.values()))
            raise (RecipientRefusedError if _for_good(code) else LaterError)(_said(code, said)) from error
        except smtplib.SMTPResponseException as error:
            raise self._refused(error) from error
        except (OSError, smtplib.SMTPException) as error:
            kind = NoAnswerError if self._handed_over() else LaterError
            self.close()
            raise kind(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """What happens inside takes hardly longer than the whole of a message may."""
        if self.closed is None:
            closed = threading.Event()
            threading.Thread(target=self._watch, args=(closed,), name=WATCH, daemon=True).start()
            self.closed = closed
        before, self.until = self.until, min(self.until, time.monotonic() + self.patience[-1])
        try:
            yield
        finally:
            self.until = before

    def _watch(self, closed: threading.Event) -> None:
        """In a thread for as long as the connection: one for each message would cost as much as handing it over."""
        while not closed.wait(self.patience[-1] / 20):
            if time.monotonic() >= self.until:
                self._cut()

    def _refused(self, error: smtplib.SMTPResponseException) -> Exception:
        """What a refusal means. Of the sender, it is about us: every other message would be refused too."""
        about_us = isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code != TOO_LARGE
        of_the_text = isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
        no_answer = self._handed_over()
        self.close()
        said = _said(error.smtp_code, error.smtp_error)
        if no_answer:
            return NoAnswerError(said)
        if not of_the_text or not _for_good(error.smtp_code):
            return LaterError(said)
        return RefusesUsError(said) if about_us else RecipientRefusedError(said)

    def _handed_over(self) -> bool:
        return self.connection is not None and self.connection.handed_over

    def _cut(self) -> None:
        if self.connection is not None:
            self.connection.cut()

    def _reset(self) -> None:
        try:
            if self.connection is not None:
                self.connection.rset()
        except (OSError, smtplib.SMTPException):
            self.close()

    def close(self) -> None:
        connection = self.connection
        if connection is not None:
            if not connection.handed_over:
                with self._watched(), contextlib.suppress(OSError, smtplib.SMTPException):
                    connection.quit()
            connection.close()
            self.connection = None
        if self.closed is not None:
            self.closed.set()
            self.closed = None


def _for_good(code: int) -> bool:
    return 500 <= code < 600


def _said(code: int, words: bytes | str) -> str:
    """An answer as the ledger shows it."""
    plain = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return "".join(sign for sign in f"{code} {' '.join(plain.split())}".strip() if sign.isprintable())


def transport(settings: Settings) -> Transport:
    """The way mail leaves, by the settings."""
    return SmtpTransport(settings.smtp) if settings.smtp else FileTransport(settings.data_dir / "mail")
