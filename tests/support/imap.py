"""A real IMAP server on this machine: Dovecot, from the distribution's packages, with one mailbox."""

import datetime as dt
import grp
import imaplib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.server import free_port
from tests.support.tls import certificate_in

DOVECOT = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
USERS = {"boite": "un mot/de@passe", "boite2": "un mot de la boîte"}  # both have the same mailbox
LONGEST_WAIT = 30  # seconds for the server to be there; never asserted
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = yes
mail_location = maildir:{folder}/mail
first_valid_uid = 1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


class Dovecot:
    """A server with one mailbox; `put` delivers an e-mail to the mailbox as a mail server would."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.certificate, key = certificate_in(self.folder)
        who = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        owner = pwd.getpwnam(who)
        group = grp.getgrgid(owner.pw_gid).gr_name
        self.plain, self.tls = free_port(), free_port()
        settings = CONFIG.format(folder=self.folder, user=who, group=group, plain=self.plain, tls=self.tls)
        (self.folder / "dovecot.conf").write_text(settings)
        (self.folder / "users").write_text("".join(f"{user}:{{PLAIN}}{word}\n" for user, word in USERS.items()))
        for name in ("mail", "home", "run", "state"):
            (self.folder / name).mkdir()
            if os.getuid() == 0 and name in {"mail", "home"}:
                os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)
        assert DOVECOT
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", str(self.folder / "dovecot.conf")])
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.tls), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def url(self, *, tls: bool = True, user: str = "boite", password: str = "") -> str:
        scheme, port = ("imaps", self.tls) if tls else ("imap", self.plain)
        return f"{scheme}://{user}:{quote(password or USERS[user], safe='')}@127.0.0.1:{port}/INBOX"

    def _client(self) -> imaplib.IMAP4_SSL:
        context = ssl.create_default_context(cafile=str(self.certificate))
        client = imaplib.IMAP4_SSL("127.0.0.1", self.tls, ssl_context=context)
        client.login("boite", USERS["boite"])
        return client

    def put(self, mail: EmailMessage | bytes, on: dt.datetime | None = None) -> None:
        client = self._client()
        client.append("INBOX", None, on, mail if isinstance(mail, bytes) else bytes(mail))
        client.logout()

    def flags(self) -> list[bytes]:
        """The flags of each e-mail in the mailbox."""
        client = self._client()
        client.select("INBOX", readonly=True)
        _, found = client.fetch("1:*", "(FLAGS)")
        client.logout()
        return [imaplib.ParseFlags(one) for one in found if one]

    def empty(self) -> None:
        """Take everything out."""
        client = self._client()
        _, count = client.select("INBOX")
        if int(count[0]):
            client.store("1:*", "+FLAGS", "\\Deleted")
            client.expunge()
        client.logout()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LONGEST_WAIT)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def dovecot():
    if not DOVECOT:
        pytest.skip("no Dovecot on this machine: the mailbox is not tried (apt-get install dovecot-imapd)")
    server = Dovecot()
    yield server
    server.stop()
