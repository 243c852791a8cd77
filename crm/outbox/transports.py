"""How a message leaves: through SMTP, or, when no server is set, as a file in the data folder."""

import os
import re
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

from crm.config import Settings, Smtp
from crm.i18n import LOCALES
from crm.outbox.kinds import Attachment
from crm.outbox.models import Message
from crm.texts.facts import programme

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0


class RecipientRefusedError(Exception):
    """The server will never take this message for this recipient: trying again would not help."""


class LaterError(Exception):
    """The message was not taken this time; it may be next time."""


def _bare(name: str) -> str:
    """A name without the signs that a header reads as its own: whoever fills in the public form chooses it.

    Folding a long header, the library drops its quotes and reads encoded words: a name could then hold other addresses,
    other headers or the start of a body.
    """
    return " ".join(re.sub(r'[()<>\[\]:;@\\,"]|=\?|\?=', " ", name).split())


def compose(message: Message, body: str, settings: Settings, attachment: Attachment | None = None) -> EmailMessage:
    """The e-mail of a row. Its Message-ID is made from the row's id and never changes, so that copies can be told."""
    mail = EmailMessage()
    facts = programme()
    user, _, domain = (facts.sender or settings.mail_from).rpartition("@")
    mail["From"] = Address(_bare(facts.name[message.language]), user, domain)
    to_user, _, to_domain = message.to_address.rpartition("@")
    mail["To"] = Address(_bare(message.to_name), to_user, to_domain)
    if facts.email:
        mail["Reply-To"] = facts.email
    mail["Subject"] = message.subject.replace("=?", "= ?")
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.id}.{message.kind}@{urlsplit(settings.base_url).hostname}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body, cte="quoted-printable")
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


class Transport:
    """One connection for one round of sending; `close` when done."""

    def send(self, mail: EmailMessage) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open by default."""


class FileTransport(Transport):
    """Without an SMTP server: one .eml file per message, for a developer to open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, mail: EmailMessage) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(mail["Message-ID"]).strip("<>").partition("@")[0]
        temporary = self.folder / f".{name}"
        temporary.write_bytes(bytes(mail))
        os.replace(temporary, self.folder / f"{name}.eml")  # noqa: PTH105 - atomic, and says so


class SmtpTransport(Transport):
    """An SMTP server. The connection is opened with the first message and kept for the round."""

    def __init__(self, smtp: Smtp) -> None:
        self.smtp = smtp
        self.connection: smtplib.SMTP | None = None

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.smtp.implicit_tls:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.smtp.host, self.smtp.port, timeout=CONNECT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(self.smtp.host, self.smtp.port, timeout=CONNECT_SECONDS)
        try:
            if connection.sock is not None:
                connection.sock.settimeout(IDLE_SECONDS)
            connection.ehlo()
            if not self.smtp.implicit_tls and connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
            if self.smtp.username:
                if not self.smtp.implicit_tls and not isinstance(connection.sock, ssl.SSLSocket):
                    raise LaterError("the server offers no encryption: the password was not sent")  # noqa: TRY301
                connection.login(self.smtp.username, self.smtp.password or "")
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, mail: EmailMessage) -> None:
        try:
            if self.connection is None:
                self.connection = self._open()
            self.connection.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            self._reset()
            code, said = next(iter(error.recipients.values()))
            raise self._kind(code)(f"{code} {said.decode('utf-8', 'replace')}") from error
        except smtplib.SMTPResponseException as error:
            self.close()
            text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            fatal = isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
            kind = self._kind(error.smtp_code) if fatal else LaterError
            raise kind(f"{error.smtp_code} {text}") from error
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise LaterError(f"{type(error).__name__}: {error}") from error

    @staticmethod
    def _kind(code: int) -> type[Exception]:
        return RecipientRefusedError if 500 <= code < 600 else LaterError

    def _reset(self) -> None:
        try:
            if self.connection is not None:
                self.connection.rset()
        except (OSError, smtplib.SMTPException):
            self.close()

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()


def transport(settings: Settings) -> Transport:
    """The way mail leaves, by the settings."""
    return SmtpTransport(settings.smtp) if settings.smtp else FileTransport(settings.data_dir / "mail")
