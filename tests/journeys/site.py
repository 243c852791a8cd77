"""The product as people meet it: a web server in a process of its own, a mail server, and the worker's one-shot command."""

import contextlib
import copy
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import SimpleNamespace
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller
from sqlalchemy import text as sql

from crm import clock, config
from crm.access import Role
from crm.accounts.queries import by_email
from crm.accounts.services import create_staff
from crm.app import create_app
from crm.cases.queries import find
from crm.db import db, touch, writing
from crm.i18n import gettext, speaking
from crm.jobs import Heartbeat
from crm.supervisor import web_command
from crm.texts import text
from tests.conftest import KEY, PASSWORD, filled_in
from tests.support.factories import Make

NAMES = {Role.COORDINATOR: "Camille Roy", Role.ADVISER: "Amélie Tremblay", Role.OBSERVER: "Robin Côté"}
REFUSED = "refuse@"  # the mail server does not know addresses that begin so


def plain(words: str) -> str:
    """Without no-break spaces, which the browser's own matching folds too."""
    return re.sub(r"[\u00a0\u202f]", " ", words)


class Words:
    """What the product says, in one language: `w("Save")` for the interface, `w.text("cases.stage.new")` for texts."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, message: str, **values: object) -> str:
        with speaking(self.lang):
            return plain(gettext(message, **values))

    def text(self, key: str, **values: object) -> str:
        with speaking(self.lang):
            return plain(text(key, **values))

    def optional(self, message: str) -> str:
        """The label of a question that may be left blank."""
        return f"{self(message)} ({self('optional')})"


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


class Post:
    """A real SMTP server that keeps what it is given."""

    def __init__(self) -> None:
        self.received: list[tuple[list[str], EmailMessage]] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.controller.start()
        self.url = f"smtp://127.0.0.1:{self.controller.port}"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith(REFUSED):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.received.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content, policy=policy.default)))
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for recipients, mail in self.received if address in recipients]

    def stop(self) -> None:
        self.controller.stop()


def body_of(mail: EmailMessage) -> str:
    return plain(mail.get_body(("plain",)).get_content())


class Site:
    """One installation: database, data folder, web server, and what tests do behind its back."""

    def __init__(self, folder, url: str, post: Post) -> None:
        self.post = post
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)  # the browser's first request waits here until the server is up: nothing to poll
        port = listening.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.settings = {
            "CRM_DATA_DIR": str(folder),
            "CRM_DATABASE_URL": url,
            "CRM_SECRET_KEY": KEY,
            "CRM_BASE_URL": self.base,
            "CRM_SMTP_URL": post.url,
        }
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("CRM_")
        } | self.settings
        filled_in(folder)
        self.app = create_app(config.read(self.settings))
        self.log, self.log_read = folder / "web.log", 0
        here = f"--bind=fd://{listening.fileno()}"
        command = [here if part.startswith("--bind=") else part for part in web_command("127.0.0.1", port, 1)]
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                command, env=self.environ, pass_fds=[listening.fileno()], stdout=log, stderr=log
            )
        listening.close()
        self.sign_ins: dict[str, dict] = {}  # the browser's cookies, by address
        with self.inside() as session:  # no worker runs beside: say one does, or every page would warn of it
            session.add(Heartbeat(job="test", host="test", finished_at=clock.now() + timedelta(days=1), done=0))

    @contextlib.contextmanager
    def inside(self):
        """A transaction of the product itself, committed at the end."""
        with self.app.app_context(), writing():
            yield db.session
            db.session.commit()

    def sql(self, statement: str, **values: object) -> list:
        with self.inside() as session:
            done = session.execute(sql(statement), values)
            return list(done) if done.returns_rows else []

    def person(self, role: Role, lang: str, which: str = "") -> str:
        """The address of the account of this role that reads this language, made at the first asking."""
        email = f"{role}{which}-{lang}@passerelle.example"
        with self.inside():
            if by_email(email) is None:
                name = NAMES[role] if not which else "Sam Wong"
                duty = role is Role.COORDINATOR and lang == "fr"
                create_staff(email=email, name=name, role=role, language=lang, password=PASSWORD, on_duty=duty)
        return email

    @contextlib.contextmanager
    def making(self, lang: str):
        """Real objects by the product's own verbs: `make.case_at(...)`; the adviser is the one of this language."""
        adviser = self.person(Role.ADVISER, lang)
        with self.inside() as session:
            yield Make(session, SimpleNamespace(adviser=by_email(adviser)))

    def case(self, lang: str, name: str, stage=None, **extra: object) -> str:
        """A file of this name, at this stage; gives its reference."""
        with self.making(lang) as make:
            case = make.case(name=name, language=lang, **extra) if stage is None else make.case_at(stage)
            case.project.name = name
            if stage is not None and "email" in extra:
                case.contact.email, case.language = extra["email"], lang
            touch(case.id)  # named behind the verbs' back: search is told
            return case.reference

    def stage_of(self, reference: str, reader: str) -> str:
        with self.inside():
            return find(reference, by_email(reader)).stage

    def send_due(self) -> str:
        """What the worker does, once, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "crm.cli", "send-due"],
            env=self.environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def forget_tries(self) -> None:
        """Many people sign in from this one machine: not what the counters are there to stop."""
        self.sql("DELETE FROM rate_count")

    def new_incidents(self) -> list[str]:
        """What the server logged as an error since this was last asked."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        fresh, self.log_read = lines[self.log_read :], len(lines)
        return [line for line in fresh if "incident" in line or "Error" in line]

    def stop(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        self.server.send_signal(signal.SIGINT)  # at once, not after the browser's open connections
        self.server.wait(20)


class Wire:
    """A network between a browser and an installation, which can be lost: `Visit` is given `wire.site`."""

    def __init__(self, site: Site) -> None:
        there = urlsplit(site.base)
        self._there = (there.hostname, there.port)
        self._here = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._lost = False
        self.site = copy.copy(site)
        self.site.base = f"http://127.0.0.1:{self._here.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self) -> None:
        """From now on nothing goes through, not even on connections that are open."""
        self._lost = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def find(self) -> None:
        self._lost = False

    def close(self) -> None:
        self.lose()
        self._here.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._here.accept()
            except OSError:
                return
            if self._lost:
                near.close()
                continue
            far = socket.create_connection(self._there)
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := one.recv(65536):
                other.sendall(some)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
