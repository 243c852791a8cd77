"""The figures of a period, a published summary and its files: python bench/summaries.py [--sizes 100000] [--databases sqlite postgresql]
[--folder F, where databases are kept for the next run]

Prints how long all figures of the last whole quarter take and what memory they need beside an idle process, the same for shorter and longer
periods up to the same day, what one makes the page of the queue wait meanwhile, how long a published summary takes to read, and the PDF to make.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.served import ROOT, Served, database_of, demonstration, must, sign_in_of

SECONDS_AT_MOST, MEGABYTES_AT_MOST, READ_AT_MOST, PDF_AT_MOST, SLOWER_AT_MOST = 20, 300, 30, 3, 1.25
PROCESSES, TIMES, DAYS = 3, 31, (1, 7, 30, 91, 182, 365)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(ONE[options.one]()))
        return 0
    with contextlib.ExitStack() as stack:
        folder = options.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="crm-bench-"))
        for database in options.databases:
            for size in options.sizes:
                _print_one(database, size, Path(folder) / f"{database}-{size}", kept=bool(options.folder))
    return 0


def _print_one(database: str, size: int, folder: Path, *, kept: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with database_of(database, folder, kept=kept) as url:
        environment, _seconds = demonstration(url, folder, size)

        def run(what: str) -> Any:
            """In a process of its own, so that its memory is its own."""
            command = [sys.executable, __file__, "--one", what]
            out = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            return json.loads(out.stdout.splitlines()[-1])

        print(f"\n{database}, {size:,} cases")
        idle = run("idle")["megabytes"]
        for what, aim in (("figures", SECONDS_AT_MOST), ("files", PDF_AT_MOST)):
            found = [run(what) for _ in range(PROCESSES)]
            seconds, most = statistics.median(one["seconds"] for one in found), max(one["megabytes"] for one in found)
            print(
                f"{found[0]['name']}: {seconds:.1f} s, median of {PROCESSES}, worst {max(one['seconds'] for one in found):.1f} (aim {aim}), "
                f"{most - idle:.0f} MB more than the {idle:.0f} of an idle process (aim {MEGABYTES_AT_MOST}); {found[0]['told']}"
            )
        for one in run("periods"):
            print(f"all figures of {one['days']} days: {one['seconds']:.2f} s, over {one['rows']:,} rows")
        os.environ.update(environment)
        beside = _queue_beside(folder, environment)
        ratio = beside["meanwhile"] / beside["alone"]
        print(
            f"queue: {beside['alone']:.1f} ms alone, {beside['meanwhile']:.1f} while figures are made: {ratio:.2f} x (aim {SLOWER_AT_MOST})"
        )
        print(
            f"a published summary is read in {beside['read']:.1f} ms, median of {TIMES}, worst {beside['worst']:.1f} (aim {READ_AT_MOST})"
        )
        sys.stdout.flush()


def _queue_beside(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the queue's first page alone and while another process makes figures, and of a published summary."""
    served = Served("wsgi:app")
    try:
        served.sign_in(*sign_in_of(folder, "coordinator"))
        command = [sys.executable, __file__, "--one", "again"]

        def waits(path: str, times: int) -> list[float]:
            found = []
            for _ in range(times):
                begun = time.perf_counter()
                status, _body = served.call("GET", path)
                found.append((time.perf_counter() - begun) * 1000)
                must(status == 200, f"{path} answered {status}")
            return found

        waits("/staff/cases", TIMES)
        alone, meanwhile = [], []
        for _ in range(3):
            alone += waits("/staff/cases", TIMES)
            other = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            must(other.stdout is not None and other.stdout.readline() == "begun\n", "figures were not begun")
            while other.poll() is None:
                meanwhile += waits("/staff/cases", 5)
        period = subprocess.run(
            [sys.executable, __file__, "--one", "period"], env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        address = f"/staff/summaries/{json.loads(period.splitlines()[-1])}"
        waits(address, TIMES)
        read = waits(address, TIMES)
    finally:
        served.stop()
    return {
        "alone": statistics.median(alone), "meanwhile": statistics.median(meanwhile), "read": statistics.median(read), "worst": max(read),
    }  # fmt: skip


# --- each in a process of its own ------------------------------------------------------------------------------------


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _last_quarter() -> Any:
    from crm import clock
    from crm.summaries.periods import Period

    return Period.of(clock.today()).previous


def idle() -> dict[str, float]:
    """The product with its code loaded, which has read nothing."""
    from crm.summaries import services  # noqa: F401

    with _app():
        return {"megabytes": _megabytes()}


def _app() -> Any:
    from crm.app import create_app

    return create_app().app_context()


def figures() -> dict[str, Any]:
    """All figures of the last whole quarter, and what would be released of them."""
    from crm.summaries import services

    with _app():
        period = _last_quarter()
        begun = time.perf_counter()
        found = services.look(period)
        services.release_of(period, found)
        seconds = time.perf_counter() - begun
        received = found.figures["received"]
        return {
            "name": f"all figures of {period.code} and their release", "seconds": seconds, "megabytes": _megabytes(),
            "told": f"{getattr(received, 'value', 0):,} requests in it",
        }  # fmt: skip


def files() -> dict[str, Any]:
    """The PDF, in French, of the published summary that has the most tables."""
    from crm.i18n import speaking
    from crm.summaries import queries, services

    with _app(), speaking("fr"):
        summary = max(queries.all_published(), key=lambda one: len(one.shown["tables"]))
        begun = time.perf_counter()
        made = next(iter(services.files_of(summary, summary.made_at))).content
        seconds = time.perf_counter() - begun
    return {
        "name": f"the PDF of {summary.period}", "seconds": seconds, "megabytes": _megabytes(), "told": f"{len(made):,} bytes, charts included",
    }  # fmt: skip


def periods() -> list[dict[str, Any]]:
    """The figures of periods of some lengths that end with the last whole quarter: the cost is the period's, not the history's."""
    from crm.summaries import figures as f
    from crm.summaries.periods import Period
    from crm.summaries.rows import rows_of

    found = []
    with _app():
        last = _last_quarter().last
        for days in DAYS:
            period = Period.chosen(last - timedelta(days=days - 1), last)
            begun = time.perf_counter()
            rows = rows_of(period)
            f.figures_of(rows, period, period.cut_off_at)
            number = sum(len(getattr(rows, name)) for name in rows.__dataclass_fields__)
            found.append({"days": days, "seconds": time.perf_counter() - begun, "rows": number})
    return found


def again() -> None:
    """Figures of the quarter, for ten seconds, said when it begins."""
    from crm.summaries import queries

    with _app():
        print("begun", flush=True)
        begun = time.perf_counter()
        while time.perf_counter() - begun < 10:
            queries.all_figures(_last_quarter())


def period() -> str:
    from crm.summaries import queries

    with _app():
        return queries.all_published()[0].period


ONE = {"idle": idle, "figures": figures, "files": files, "periods": periods, "again": again, "period": period}

if __name__ == "__main__":
    raise SystemExit(main())
