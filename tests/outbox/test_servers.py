"""Mail servers that are silent, slow, rude or badly set up: what is concluded from each."""

import contextlib
import socket
import ssl
import threading
import warnings
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from crm.config import Smtp
from crm.outbox.deliver import BEGUN_WITHIN, LEASE
from crm.outbox.transports import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    WHOLE_SECONDS,
    LaterError,
    NoAnswerError,
    RecipientRefusedError,
    RefusesUsError,
    SmtpTransport,
)
from tests.support.server import free_port
from tests.support.tls import certificate_in


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Message-ID"] = "a@exemple.ca", "b@exemple.ca", "<1@exemple.ca>"
    made.set_content("Bonjour\n.\n..suite\n")
    return made


class Scripted:
    """A server that says what it is told to: `says` maps what a client asks, by its first word, to an answer.

    "" is the greeting and "." the end of the text. None says nothing more, for ever; "hang up" closes; a "drip:" answer comes a byte at
    a time.
    """

    def __init__(self, **says):
        self.says = {"greeting": "220 hello", "EHLO": "250 hello", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go"}
        self.says |= {"dot": "250 2.0.0 taken as 7", "QUIT": "221 bye", "RSET": "250 ok"} | says
        self.texts, self.dripped = [], 0
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.smtp = Smtp("127.0.0.1", self.listener.getsockname()[1], None, None, implicit_tls=False)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as asked:
            going = self._answer(connection, "greeting")
            while going and (line := asked.readline()):
                word = line.split()[0].decode().upper() if line.split() else ""
                going = self._answer(connection, word)
                if word == "DATA" and going:
                    text = []
                    while (line := asked.readline()) and line != b".\r\n":
                        text.append(line)
                    self.texts.append(b"".join(text))
                    going = self._answer(connection, "dot")

    def _answer(self, connection, word):
        said = self.says.get(word, "250 ok")
        if said == "hang up":
            return False
        if said is None:
            self.over.wait()
            return False
        if said.startswith("drip:"):
            for byte in said.removeprefix("drip:").encode():
                connection.sendall(bytes([byte]))
                self.dripped += 1
                if self.over.wait(0.02):
                    return False
            return False
        connection.sendall(said.encode() + b"\r\n")
        return not said.startswith("421")

    def close(self):
        self.over.set()
        self.listener.close()


@pytest.fixture
def server():
    made = []

    def go(**says):
        made.append(Scripted(**says))
        return made[-1]

    yield go
    for one in made:
        one.close()


def outcome(server, **patience):
    """What handing over one message to a server comes to: its answer, or the kind of trouble."""
    transport = SmtpTransport(server.smtp, **({"connect": 5, "idle": 5, "whole": 20} | patience))
    try:
        return transport.send(mail())
    except (LaterError, NoAnswerError, RecipientRefusedError, RefusesUsError) as error:
        return type(error)
    finally:
        transport.close()


def test_what_the_server_answers_is_kept(server):
    good = server()
    assert outcome(good) == "250 2.0.0 taken as 7"
    assert good.texts[0].endswith(b"Bonjour\r\n..\r\n...suite\r\n"), "a line of one dot is not the end of the text"


SAYS = [
    ({"greeting": "554 go away"}, LaterError),
    ({"greeting": "hang up"}, LaterError),
    ({"EHLO": "421 closing", "HELO": "421 closing"}, LaterError),
    ({"MAIL": "421 too busy"}, LaterError),
    ({"MAIL": "451 try later"}, LaterError),
    ({"MAIL": "530 5.7.0 sign in first"}, RefusesUsError),
    ({"MAIL": "550 5.7.1 that sender may not"}, RefusesUsError),
    ({"MAIL": "552 too large"}, RecipientRefusedError),
    ({"RCPT": "451 greylisted"}, LaterError),
    ({"RCPT": "421 closing"}, LaterError),
    ({"RCPT": "550 nobody"}, RecipientRefusedError),
    ({"RCPT": "hang up"}, LaterError),
    ({"DATA": "451 not now"}, LaterError),
    ({"DATA": "554 no"}, RecipientRefusedError),
    ({"DATA": "hang up"}, LaterError),
    ({"dot": "451 not now"}, LaterError),
    ({"dot": "421 closing"}, LaterError),
    ({"dot": "554 5.7.1 not that text"}, RecipientRefusedError),
    ({"dot": "hang up"}, NoAnswerError),
    ({"dot": "what?"}, NoAnswerError),
    ({"QUIT": "hang up"}, "250 2.0.0 taken as 7"),
]


@pytest.mark.parametrize(
    ("says", "expected"), SAYS, ids=[next(iter(f"{k} {v}" for k, v in s.items())) for s, _ in SAYS]
)
def test_each_answer_is_understood(server, says, expected):
    assert outcome(server(**says)) == expected


STEPS = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"]


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_falls_silent_is_left(server, step):
    silent = server(**{step: None})
    assert outcome(silent, connect=0.2, idle=0.2, whole=10_000) is (NoAnswerError if step == "dot" else LaterError)


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_says_one_byte_at_a_time_is_left_when_the_whole_takes_too_long(server, step):
    slow = server(**{step: "drip:" + "x" * 2000})
    assert outcome(slow, whole=0.4) is (NoAnswerError if step == "dot" else LaterError)
    assert 0 < slow.dripped < 2000, "it was heard to the end"


def test_all_that_may_take_time_is_over_before_a_claim_is():
    assert (CONNECT_SECONDS, IDLE_SECONDS) == (10, 60)
    assert LEASE.total_seconds() * (1 - BEGUN_WITHIN) > WHOLE_SECONDS, "the last of a hand is still ours when it ends"


def test_an_address_that_the_server_cannot_carry_is_the_recipients_trouble_alone(server):
    transport = SmtpTransport(server().smtp)
    made = mail()
    made.replace_header("To", "éloïse@exemple.ca")
    with pytest.raises(RecipientRefusedError, match="internationalized"):
        transport.send(made)
    transport.close()


# Servers that encrypt and ask for a password.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key) of 127.0.0.1, signed by nobody that a system knows."""
    return certificate_in(tmp_path_factory.mktemp("tls"))


class Keeps:
    """A handler that keeps what comes."""

    def __init__(self):
        self.texts = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        self.texts.append(envelope.content)
        return "250 taken"


@pytest.fixture(params=[False, True], ids=["STARTTLS", "implicit TLS"])
def guarded(request, certificate):
    """A server that takes mail only from who encrypts and knows the password "sesame". Gives (settings maker, handler)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    handler, implicit = Keeps(), request.param

    def knows(_server, _session, _envelope, _mechanism, given):
        return AuthResult(success=given.password == b"sesame", handled=False)

    class Guarded(Controller):
        def factory(self):
            warnings.filterwarnings(
                "ignore", "Requiring AUTH while not requiring TLS"
            )  # it is encrypted before it begins
            tls = {} if implicit else {"tls_context": context, "require_starttls": True}
            return SMTP(
                handler,
                authenticator=knows,
                auth_required=True,
                auth_require_tls=not implicit,
                hostname="mail.test",
                **tls,
            )

    port = free_port()
    controller = Guarded(handler, hostname="127.0.0.1", port=port, ssl_context=context if implicit else None)
    controller.start()
    yield lambda password: Smtp("127.0.0.1", port, "programme", password, implicit_tls=implicit), handler
    controller.stop()


def handed(smtp):
    transport = SmtpTransport(smtp)
    try:
        return transport.send(mail())
    finally:
        transport.close()


def test_mail_leaves_encrypted_and_signed_in(guarded, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    settings, handler = guarded
    assert handed(settings("sesame")) == "250 taken"
    assert len(handler.texts) == 1


def test_a_refused_password_is_about_us(guarded, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    settings, handler = guarded
    with pytest.raises(RefusesUsError, match="535"):
        handed(settings("guess"))
    assert not handler.texts


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(guarded):
    settings, handler = guarded
    with pytest.raises(LaterError, match="CERTIFICATE_VERIFY_FAILED"):
        handed(settings("sesame"))
    assert not handler.texts


def test_a_password_is_never_said_in_the_clear(server):
    plain = server()
    with pytest.raises(RefusesUsError, match="no encryption"):
        handed(Smtp("127.0.0.1", plain.smtp.port, "programme", "sesame", implicit_tls=False))
