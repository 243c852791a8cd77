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
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lists import NAMED, address_of
from bench.served import ROOT, Served, children_of, database_of, demonstration, must, sign_in_of, sign_ins_of, spread
from tests.support.browser import Browser
from tests.support.server import answers, free_port, poll

ADVISERS, EVERY, REQUESTS_A_MINUTE = 30, 3.0, 50
IMPORTED = 30000
P95_AT_MOST, MEGABYTES_AT_MOST, COLD_AT_MOST = 500, 120, 2.5
SEED = 20261126
PLACES = {"today": "/staff/today", "board": "/staff/cases/board"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--folder", help="keep the databases here: the next run does not load it again")
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
            with database_of(database, folder, kept=bool(options.folder)) as url:
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
        self.port = free_port()

    def pass_by(self) -> None:
        product = subprocess.Popen(
            [sys.executable, "-m", "crm.cli", "run", "--port", str(self.port), "--web-workers", "2"],
            cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "CRM_BASE_URL": f"http://127.0.0.1:{self.port}"},
        )  # fmt: skip
        try:
            poll(lambda: answers(self.port), "the product", product)
            people = [
                self._signed_in(*self.sign_ins[number % len(self.sign_ins)], number) for number in range(ADVISERS)
            ]
            self.until = time.monotonic() + self.seconds
            before = _done(self.run)
            work: list[tuple[Any, tuple[Any, ...]]] = [(self._advise, one) for one in enumerate(people)]
            work += [(self._ask, ()), (self._export, (self._signed_in(*self.coordinator), self.coordinator[1]))]
            threads = [threading.Thread(target=self._guarded, args=one, daemon=True) for one in work]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(self.seconds + 120)
            self.made = (before, _done(self.run))
            self.megabytes = sorted(map(_megabytes, _web_workers(product.pid)))
        finally:
            os.killpg(product.pid, signal.SIGTERM)
            product.wait(60)

    def _guarded(self, work: Any, given: tuple[Any, ...]) -> None:
        try:
            work(*given)
        except (Exception, SystemExit) as error:
            self.broken.append(f"{work.__name__}: {error!r}")

    # --- what people do

    def _advise(self, number: int, browser: Browser) -> None:
        chance = random.Random(SEED + number)
        references: list[str] = []
        time.sleep(chance.uniform(0, EVERY))
        while time.monotonic() < self.until:
            began = time.monotonic()
            (what,) = chance.choices(("list", "file", "note", "today", "search", "board"), (25, 35, 15, 10, 10, 5))
            if what in {"file", "note"} and not references:
                what = "list"
            address = f"/staff/cases/{chance.choice(references)}" if references else ""
            if what == "list":
                _, query, sort = chance.choice(NAMED)
                page = self._timed(what, browser.get, address_of(query, sort))
                references = re.findall(r"/staff/cases/([A-Z]+-\w{4}-\w{4})", page) or references
            elif what == "search":
                words = chance.choice(("tremblay", "coop velo", "noemie", "514 555", "caisse"))
                self._timed(what, browser.get, f"/staff/search/suggestions?{urlencode({'q': words})}")
            elif what in PLACES:
                self._timed(what, browser.get, PLACES[what])
            else:
                self._timed("file", browser.get, address)
                if what == "note":
                    self._timed(what, browser.post, f"{address}/notes", {"body": "Elle rappelle jeudi."})
            time.sleep(max(0.0, began + chance.uniform(0.5, 1.5) * EVERY - time.monotonic()))

    def _ask(self) -> None:
        """Whole requests, each from a network of its own."""
        for number, draft in enumerate(self.drafts):
            if time.monotonic() > self.until:
                return
            began = time.monotonic()
            browser = Browser(self.port, network=f"10.{number // 250}.{number % 250}.7")
            browser.cookies["draft"] = draft
            self._timed("request", browser.post, "/fr/demande/verifier", {})
            time.sleep(max(0.0, began + 60 / REQUESTS_A_MINUTE - time.monotonic()))

    def _export(self, browser: Browser, password: str) -> None:
        """Every file, as a workbook; then again."""
        typed = {"list": "stage=all", "kind": "xlsx", "columns": "list", "reason": "bench", "password": password}
        for _ in range(9):  # ten in five minutes are let through
            if time.monotonic() > self.until:
                return
            self._timed("ask for export", browser.get, "/staff/exports?list=stage%3Dall")
            status, headers, _ = browser.post("/staff/exports", typed)
            must(status == 303, f"an export was answered {status}")
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            connection.request("GET", f"{headers['Location']}/file", headers={"Cookie": browser.cookie()})
            must(connection.getresponse().read().startswith(b"PK"), "an export is no workbook")
            connection.close()
            self.exports.append(time.perf_counter() - began)

    # --- asking

    def _signed_in(self, email: str, password: str, desk: int = 0) -> Browser:
        browser = Browser(self.port, network=f"10.200.{desk}.7")  # one network may not try to sign in thirty times
        browser.get("/staff/sign-in")
        status, _, _ = browser.post("/staff/sign-in", {"email": email, "password": password})
        must(status == 303, f"{email} could not sign in: {status}")
        return browser

    def _timed(self, what: str, ask: Callable[..., tuple[int, Any, str]], *given: Any) -> str:
        began = time.perf_counter()
        status, _, page = ask(*given)
        self.answers.append((what, (time.perf_counter() - began) * 1000, status))
        return page


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


def _web_workers(supervisor: int) -> list[int]:
    return [
        worker
        for child in children_of(supervisor)
        if b"gunicorn" in Path(f"/proc/{child}/cmdline").read_bytes()
        for worker in children_of(child)
    ]


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def _print(database: str, cases: int, morning: Morning, cold: float) -> None:
    must(bool(morning.answers), f"nothing was answered: {morning.broken}")
    walls = spread(wall for _, wall, _ in morning.answers)
    wrong = [(what, status) for what, _, status in morning.answers if status >= 500]
    refused = [(what, status) for what, _, status in morning.answers if 400 <= status < 500]
    print(
        f"\n{database}, {cases:,} cases, {morning.seconds} s: {len(morning.answers)} answers, median {walls['median']:.0f} ms, "
        f"p95 {walls['p95']:.0f} (aim {P95_AT_MOST}), worst {walls['worst']:.0f}; {len(wrong)} of 500 or more, {len(refused)} refused"
    )
    for what in dict.fromkeys(what for what, _, _ in morning.answers):
        some = [wall for one, wall, _ in morning.answers if one == what]
        found = spread(some)
        print(f"  {what:15} {len(some):5}  median {found['median']:6.0f} ms, p95 {found['p95']:6.0f}")
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
