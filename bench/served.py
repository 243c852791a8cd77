"""What all measurements stand on: databases, an application behind one gunicorn worker, and the floor beside it."""

import contextlib
import http.client
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from crm.config import for_a_child
from crm.supervisor import ONE_HEAP
from tests.support.server import free_port

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1:8000"


@contextlib.contextmanager
def database_of(kind: str, folder: Path, *, kept: bool = False) -> Iterator[str]:
    """The address of a database; `kept` says that it stays in the folder for the next run."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'crm.sqlite'}"
        return
    from tests.support.postgres import Server

    data = folder / "postgresql" if kept else None
    made = data is None or not data.exists()
    server = Server(durable=True, data=data)
    try:
        if made:
            server.run("CREATE DATABASE bench")
        yield server.url("bench")
    finally:
        server.stop()


def demonstration(url: str, folder: Path, size: int) -> tuple[dict[str, str], float]:
    """Load the demonstration; gives the environment of the product that serves it, and the seconds it took.

    PostgreSQL then sees to its tables, as it does by itself some minutes after so many rows: what is measured is not the end of the loading.
    """
    environment = {**os.environ, "CRM_DATA_DIR": str(folder), "CRM_DATABASE_URL": url, "CRM_BASE_URL": f"http://{HOST}"}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "crm.cli", "demo", "--cases", str(size)],
        env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return environment, seconds


def sign_ins_of(folder: Path, roles: str) -> list[tuple[str, str]]:
    """The addresses and the passwords of the demonstration's people of some roles ("one|another")."""
    found = re.findall(rf"(?:{roles})\s+(\S+@\S+)\s+(\S+)", (folder / "demo-sign-ins.txt").read_text(encoding="utf-8"))
    must(bool(found), f"the demonstration has no {roles}")
    return found


def sign_in_of(folder: Path, role: str) -> tuple[str, str]:
    return sign_ins_of(folder, role)[0]


def coordinator() -> Any:
    """The demonstration's coordinator, in an app context."""
    from sqlalchemy import select

    from crm.access import Role
    from crm.accounts.models import Staff
    from crm.db import db

    found = db.session.scalars(select(Staff).where(Staff.role == Role.COORDINATOR).order_by(Staff.id)).first()
    must(found is not None, "the demonstration has no coordinator")
    return found


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def spread(walls: Iterable[float]) -> dict[str, float]:
    ordered = sorted(walls)
    return {"median": statistics.median(ordered), "p95": ordered[len(ordered) * 95 // 100], "worst": ordered[-1]}


class Served:
    """An application behind one gunicorn worker, and a browser with one open connection and its cookies."""

    def __init__(self, target: str) -> None:
        self.port = free_port()
        self.cookies: dict[str, str] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", target, f"--bind=127.0.0.1:{self.port}", "--workers=1",
             "--worker-class=gthread", "--threads=4", "--keep-alive=120", "--log-level=error"],
            cwd=ROOT, env=for_a_child(ONE_HEAP) | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        for _ in range(600):
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.connect()
                break
            except OSError:
                time.sleep(0.1)
        self.connection.request("GET", "/static/none", headers={"Host": HOST})
        self.connection.getresponse().read()
        self.worker = children_of(self.process.pid)[0]

    def call(self, method: str, path: str, form: dict[str, Any] | None = None) -> tuple[int, bytes]:
        headers = {"Host": HOST, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, urlencode(form or {}, doseq=True) if form is not None else None, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        for value in answer.headers.get_all("Set-Cookie") or ():
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer.status, data

    def sign_in(self, email: str, password: str) -> None:
        token = token_of(self.call("GET", "/staff/sign-in")[1])
        status, _ = self.call("POST", "/staff/sign-in", {"csrf_token": token, "email": email, "password": password})
        must(status == 303, f"sign-in answered {status}")

    def cpu(self) -> float:
        """Seconds of CPU the worker has used."""
        fields = Path(f"/proc/{self.worker}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def bare() -> Any:
    """The floor: a Flask page that does nothing."""
    from flask import Flask

    app = Flask("bare")
    app.add_url_rule("/", view_func=lambda: "<!doctype html><title>bare</title><p>Hello")
    return app


def batch(served: Served, call: Callable[[], tuple[int, bytes]], seconds: float) -> tuple[float, float]:
    """Milliseconds of CPU and of wall time for one call, over the calls that fit in `seconds`."""
    count, cpu, wall = 0, served.cpu(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        call()
        count += 1
    return (served.cpu() - cpu) / count * 1000, (time.perf_counter() - wall) / count * 1000


def must(true: bool, otherwise: str) -> None:
    if not true:
        raise SystemExit(f"bench: {otherwise}")


def token_of(page: bytes) -> str:
    found = re.search(rb'name="csrf_token" value="([^"]+)"', page)
    must(found is not None, "a page without a token")
    return found[1].decode() if found else ""
