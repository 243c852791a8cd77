"""A busy morning: python bench/busy.py [--cases 100000] [--seconds 120] [--databases sqlite postgresql]

`crm run` with two web workers and its worker, on the demonstration: thirty advisers each do something every three seconds, fifty requests
arrive a minute, a sheet of thousands of rows is being imported and every file is taken out as a workbook again and again. All of it shares
the processors with the one that asks. Prints how long each answer took, what was answered 500 or more, what each web worker holds in memory,
and what a web worker spends from cold to its first answer.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lists import NAMED, address_of
from bench.served import HOST, ROOT, Served, database_of, demonstration, must, sign_in_of, sign_ins_of, token_of

ADVISERS, EVERY, REQUESTS_A_MINUTE = 30, 3.0, 50
IMPORTED = 30000
P95_AT_MOST, MEGABYTES_AT_MOST, COLD_AT_MOST = 500, 120, 2.5
SEED = 20261126


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--folder", help="keep SQLite's database here: the next run does not load it again")
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        print(json.dumps(prepared(options.prepare)))
        return 0
    with contextlib.ExitStack() as stack:
        made = options.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="crm-bench-"))
        for database in options.databases:
            folder = Path(made) / database
            folder.mkdir(parents=True, exist_ok=True)
            with database_of(database, folder) as url:
                environment, _ = demonstration(url, folder, options.cases)
                environment |= {"CRM_TRUSTED_PROXIES": "1"}
                os.environ |= environment
                os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation keeps its compiled modules
                requests = options.seconds * REQUESTS_A_MINUTE // 60 + 10
                out = subprocess.run(
                    [sys.executable, __file__, "--prepare", str(requests)],
                    env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
                cold = min(_cold(), _cold())  # the first one may compile the modules
                morning = Morning(folder, options.seconds, **json.loads(out.stdout.splitlines()[-1]))
                morning.pass_by()
            _print(database, options.cases, morning, cold)
    return 0


def prepared(requests: int) -> dict[str, Any]:
    """An import about to be made, and whole requests that only wait to be sent."""
    from bench.bench import drafts_of
    from bench.imports import begin
    from crm.app import create_app
    from crm.db import db, writing
    from crm.i18n import speaking

    drafts = drafts_of(requests)
    with create_app().app_context(), speaking("fr"), writing():
        number = begin(IMPORTED, seed=os.getpid())
        db.session.commit()
    return {"drafts": drafts, "run": number}


def _cold() -> float:
    """Seconds of CPU that a web worker uses from its start to the end of its first page."""
    served = Served("wsgi:app")
    try:
        served.call("GET", "/fr/")
        return served.cpu()
    finally:
        served.stop()


class Morning:
    """What happened: `answers` are (what, milliseconds, status)."""

    def __init__(self, folder: Path, seconds: int, drafts: list[str], run: int) -> None:
        self.seconds, self.drafts, self.run = seconds, drafts, run
        self.sign_ins = sign_ins_of(folder, "coordinator|adviser")
        self.coordinator = sign_in_of(folder, "coordinator")
        self.answers: list[tuple[str, float, int]] = []
        self.broken: list[str] = []
        self.exports: list[float] = []
        self.made = (0, 0)
        self.megabytes: list[float] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def pass_by(self) -> None:
        product = subprocess.Popen(
            [sys.executable, "-m", "crm.cli", "run", "--port", str(self.port), "--web-workers", "2"],
            cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            self._wait()
            cookies = [self._signed_in(*one) for one in self.sign_ins]
            self.until = time.monotonic() + self.seconds
            before = _done(self.run)
            work = [(self._advise, (cookies[number % len(cookies)], number)) for number in range(ADVISERS)]
            work += [(self._ask, ()), (self._export, (self._signed_in(*self.coordinator), self.coordinator[1]))]
            threads = [threading.Thread(target=self._guarded, args=one, daemon=True) for one in work]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(self.seconds + 120)
            self.made = (before, _done(self.run))
            self.megabytes = sorted(_megabytes(pid) for pid in _web_workers(product.pid))
        finally:
            os.killpg(product.pid, signal.SIGTERM)
            product.wait(60)

    def _guarded(self, work: Any, given: tuple[Any, ...]) -> None:
        try:
            work(*given)
        except (Exception, SystemExit) as error:
            self.broken.append(f"{work.__name__}: {error!r}")

    # --- what people do

    def _advise(self, cookie: str, number: int) -> None:
        chance = random.Random(SEED + number)
        references: list[str] = []
        time.sleep(chance.uniform(0, EVERY))
        while time.monotonic() < self.until:
            began = time.monotonic()
            what = chance.choices(
                ("list", "file", "note", "today", "search", "board"), (25, 35, 15, 10, 10, 5)
            )[0]  # fmt: skip
            if what in {"file", "note"} and not references:
                what = "list"
            if what == "list":
                _, query, sort = chance.choice(NAMED)
                page = self._timed(what, "GET", address_of(query, sort), cookie)
                references = re.findall(r"/staff/cases/([A-Z]+-\w{4}-\w{4})", page) or references
            elif what == "file":
                self._timed(what, "GET", f"/staff/cases/{chance.choice(references)}", cookie)
            elif what == "note":
                address = f"/staff/cases/{chance.choice(references)}"
                token = token_of(self._timed("file", "GET", address, cookie).encode())
                self._timed(
                    what, "POST", f"{address}/notes", cookie, {"csrf_token": token, "body": "Elle rappelle jeudi."}
                )
            elif what == "search":
                words = chance.choice(("tremblay", "coop velo", "noemie", "514 555", "caisse"))
                self._timed(what, "GET", f"/staff/search/suggestions?{urlencode({'q': words})}", cookie)
            else:
                self._timed(what, "GET", {"today": "/staff/today", "board": "/staff/cases/board"}[what], cookie)
            time.sleep(max(0.0, began + chance.uniform(0.5, 1.5) * EVERY - time.monotonic()))

    def _ask(self) -> None:
        number = 0
        while time.monotonic() < self.until and self.drafts:
            number += 1
            began, draft = time.monotonic(), f"draft={self.drafts.pop()}"
            page, _, set_cookie = self._call("GET", "/fr/demande", draft, network=number)
            token = token_of(page.encode())
            cookie = "; ".join([draft, *(one for one in set_cookie if not one.startswith("draft="))])
            self._timed("request", "POST", "/fr/demande/verifier", cookie, {"csrf_token": token}, network=number)
            time.sleep(max(0.0, began + 60 / REQUESTS_A_MINUTE - time.monotonic()))

    def _export(self, cookie: str, password: str) -> None:
        """Every file, as a workbook; then again."""
        asked = 0
        while time.monotonic() < self.until and asked < 9:  # ten in five minutes are let through
            asked += 1
            token = token_of(self._timed("ask for export", "GET", "/staff/exports?list=stage%3Dall", cookie).encode())
            typed = {
                "csrf_token": token, "list": "stage=all", "kind": "xlsx", "columns": "list", "reason": "bench", "password": password,
            }  # fmt: skip
            page, headers, _ = self._call("POST", "/staff/exports", cookie, typed)
            must(
                "Location" in headers,
                f"an export was answered {headers['status']}: {re.findall('error[^<]*<[^<]*', page)[:3]}",
            )
            began = time.perf_counter()
            _, _, _ = self._call("GET", f"{headers['Location']}/file", cookie)
            self.exports.append(time.perf_counter() - began)

    # --- asking

    def _wait(self) -> None:
        for _ in range(600):
            try:
                self._call("GET", "/fr/", "")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit("bench: the product does not answer")

    def _signed_in(self, email: str, password: str) -> str:
        page, _, cookies = self._call("GET", "/staff/sign-in", "")
        typed = {"csrf_token": token_of(page.encode()), "email": email, "password": password}
        _, headers, more = self._call("POST", "/staff/sign-in", "; ".join(cookies), typed)
        must("Location" in headers, f"{email} could not sign in")
        kept = dict(one.split("=", 1) for one in (*cookies, *more))
        cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
        _, _, last = self._call("GET", "/staff/cases", cookie)  # the first page brings the token's own cookie
        kept |= dict(one.split("=", 1) for one in last)
        return "; ".join(f"{name}={value}" for name, value in kept.items())

    def _timed(self, what: str, method: str, path: str, cookie: str, form: Any = None, network: int = 0) -> str:
        began = time.perf_counter()
        page, headers, _ = self._call(method, path, cookie, form, network)
        self.answers.append((what, (time.perf_counter() - began) * 1000, int(headers["status"])))
        return page

    def _call(
        self, method: str, path: str, cookie: str, form: Any = None, network: int = 0
    ) -> tuple[str, dict[str, str], list[str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            headers = {"Host": HOST, "Cookie": cookie, "X-Forwarded-For": f"10.{network // 250}.{network % 250}.7"}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, urlencode(form) if form is not None else None, headers)
            answer = connection.getresponse()
            body = answer.read()
            cookies = [one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie") or ()]
            return body.decode("utf-8", "replace"), dict(answer.headers) | {"status": str(answer.status)}, cookies
        finally:
            connection.close()


def _done(run: int) -> int:
    """How many rows of the import became files."""
    from sqlalchemy import func, select

    from crm.app import create_app
    from crm.db import db
    from crm.imports.models import ImportRow, RowState

    with create_app().app_context():
        many = select(func.count()).where(ImportRow.import_id == run, ImportRow.state == RowState.DONE)
        found = int(db.session.scalar(many) or 0)
        db.session.remove()
        db.engine.dispose()
    return found


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _web_workers(supervisor: int) -> list[int]:
    return [
        worker
        for child in _children(supervisor)
        if b"gunicorn" in Path(f"/proc/{child}/cmdline").read_bytes()
        for worker in _children(child)
    ]


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def _print(database: str, cases: int, morning: Morning, cold: float) -> None:
    walls = sorted(wall for _, wall, _ in morning.answers)
    must(bool(walls), f"nothing was answered: {morning.broken}")
    p95 = walls[len(walls) * 95 // 100]
    wrong = [(what, status) for what, _, status in morning.answers if status >= 500]
    refused = [(what, status) for what, _, status in morning.answers if 400 <= status < 500]
    print(
        f"\n{database}, {cases:,} cases, {morning.seconds} s: {len(walls)} answers, median {walls[len(walls) // 2]:.0f} ms, "
        f"p95 {p95:.0f} (aim {P95_AT_MOST}), worst {walls[-1]:.0f}; {len(wrong)} of 500 or more, {len(refused)} refused"
    )
    for what in dict.fromkeys(what for what, _, _ in morning.answers):
        some = sorted(wall for one, wall, _ in morning.answers if one == what)
        print(
            f"  {what:15} {len(some):5}  median {some[len(some) // 2]:6.0f} ms, p95 {some[len(some) * 95 // 100]:6.0f}"
        )
    print(
        f"  meanwhile: {morning.made[1] - morning.made[0]:,} rows imported; "
        f"{len(morning.exports)} exports of every file, {', '.join(f'{one:.0f} s' for one in morning.exports)}"
    )
    held = ", ".join(f"{one:.0f} MB" for one in morning.megabytes)
    print(
        f"  web workers hold {held} (aim {MEGABYTES_AT_MOST}); {cold:.2f} s of CPU from cold to the first page (aim {COLD_AT_MOST})"
    )
    for one in (*morning.broken, *sorted({f"{what} answered {status}" for what, status in (*wrong, *refused)})):
        print(f"  wrong: {one}")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
