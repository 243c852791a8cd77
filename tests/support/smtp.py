"""A real SMTP server on this machine that keeps what it takes, and can be told to behave badly."""

import asyncio
import email
import email.policy
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

TAKEN = "250 taken"
LONGEST_WAIT = 30  # seconds; a bound for other processes, never asserted


@dataclass
class Received:
    """One message the server took, or held in its hands."""

    to: list[str]
    raw: bytes
    sender: str  # of the envelope: where reports of non-delivery go

    @property
    def mail(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def message_id(self) -> str:
        return self.mail["Message-ID"]

    @property
    def text(self) -> str:
        """The words for who reads no HTML."""
        return self.mail.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        return self.mail.get_body(("html",)).get_content()


class _Conversation(SMTP):
    """Adds the two moments aiosmtpd has no hook for: the client said hello, and DATA was asked; the server has not answered."""

    async def smtp_EHLO(self, hostname):  # noqa: N802
        await self.event_handler.pause("ehlo")
        await super().smtp_EHLO(hostname)

    async def smtp_DATA(self, arg):  # noqa: N802
        await self.event_handler.pause("data")
        await super().smtp_DATA(arg)

    async def push(self, status):
        await super().push(status)
        self.event_handler.said = str(status)


@dataclass
class MailServer:
    """`refuse` answers by recipient; `answer` answers everybody, at "mail", "rcpt" or "dot".

    `drop_after_dot` closes the connection instead of answering the final dot. `hold_at` keeps a client waiting at "ehlo",
    "mail", "rcpt", "data" or "dot": `held` is set when one waits there, `let_go` ends it.
    """

    refuse: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    drop_after_dot: bool = False
    hold_at: str = ""
    received: list[Received] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    waiting: int = 0
    said: str = ""
    offered: int = 0  # how often a client named a sender

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._controller = None
        self.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer again, on the same port as before."""
        server = self

        class OnLoopback(Controller):
            def factory(self):
                return _Conversation(server, hostname="mail.test", ident="test")

        self._controller = OnLoopback(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        self._released = asyncio.Event()

    def stop(self) -> None:
        """From now on the port refuses connections."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def let_go(self) -> None:
        self.hold_at = ""
        self.held.clear()
        if self._controller is not None:
            self._controller.loop.call_soon_threadsafe(self._released.set)

    def wait_until_held(self) -> None:
        assert self.held.wait(LONGEST_WAIT), f"nobody came to {self.hold_at!r}"

    def behave(self) -> None:
        """An ordinary server again."""
        self.refuse, self.answer, self.drop_after_dot = {}, {}, False
        self.let_go()

    def copies(self) -> Counter[str]:
        """How many times each Message-ID was taken."""
        return Counter(one.message_id for one in self.received)

    def answers_are_read(self) -> bool:
        """Whether the server took a message, and nothing that it said is still on its way or waits to be read by a client."""
        clients = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        queues = [one[4].split(":") for one in clients if one[2].endswith(f":{self.port:04X}") and one[3] == "01"]
        return self.said == TAKEN and bool(queues) and all(int(waits, 16) == 0 for _, waits in queues)

    async def pause(self, place: str) -> None:
        if self.hold_at == place:
            self.waiting += 1
            self.held.set()
            await self._released.wait()

    # What aiosmtpd calls.

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        self.offered += 1
        await self.pause("mail")
        if "mail" in self.answer:
            return self.answer["mail"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        await self.pause("rcpt")
        said = self.refuse.get(address) or self.answer.get("rcpt")
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if "dot" in self.answer:
            return self.answer["dot"]
        with self._lock:
            self.received.append(Received(list(envelope.rcpt_tos), envelope.content, envelope.mail_from))
        if self.drop_after_dot:
            server.transport.abort()
            return "250 never heard"
        await self.pause("dot")
        return TAKEN


@pytest.fixture
def smtp():
    """A mail server of this test's own."""
    server = MailServer()
    yield server
    server.let_go()
    server.stop()
