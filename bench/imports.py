"""A long sheet brought in, and taken back: python bench/imports.py [--rows 50000] [--databases sqlite postgresql] [--back]

On a database that already holds the demonstration (`--cases`). Prints how long the rehearsal and the import take, how long each
batch holds the database, and the memory of the process that does it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.served import ROOT, coordinator, database_of, demonstration, must, spread

MINUTES_AT_MOST, MEGABYTES_AT_MOST, HELD_AT_MOST = 5, 300, 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50000)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--back", action="store_true", help="take the import back too")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.rows, back=options.back)))
        return 0
    with tempfile.TemporaryDirectory(prefix="crm-bench-") as made:
        for database in options.databases:
            folder = Path(made) / database
            folder.mkdir()
            with database_of(database, folder) as url:
                environment, _ = demonstration(url, folder, options.cases)
                command = [sys.executable, __file__, "--one", "--rows", str(options.rows)]
                out = subprocess.run(
                    [*command, *(["--back"] if options.back else [])],
                    env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
            _print(database, options.rows, json.loads(out.stdout.splitlines()[-1]))
    return 0


def begin(rows: int, seed: int = 0) -> int:
    """Store a sheet, say what its columns hold, rehearse it, and begin its import; gives its number. In an app context, writing."""
    from crm.db import db
    from crm.imports import rounds, services
    from crm.imports.fields import Plan
    from crm.imports.models import Import
    from crm.imports.reading import read_csv
    from tests.imports.sheets import TITLES, csv_of, many

    run = services.store(read_csv(csv_of([TITLES, *many(rows, seed=seed or rows)])), "bench.csv", coordinator())
    number, guessed = run.id, Plan.of(run.plan)
    plan = Plan(guessed.columns, {"sector": {"livraison": "delivery"}}, guessed.blank, guessed.days)
    services.set_plan(run, plan, run.version)
    services.begin_checking(run)
    db.session.commit()
    rounds.carry_on(number, 3600)
    run = db.session.get_one(Import, number)
    services.want(run, None, wanted=True)
    services.begin(run)
    db.session.commit()
    return number


def measure(rows: int, *, back: bool) -> dict[str, Any]:
    from sqlalchemy import event

    from crm.app import create_app
    from crm.db import db, writing
    from crm.i18n import speaking
    from crm.imports import rounds, services
    from crm.imports.models import Import, RowState

    found: dict[str, Any] = {}
    held: list[float] = []
    began: list[float] = []
    hold = services.hold

    def timed(*given: Any, **more: Any) -> bool:
        """From when the database begins to be held to when the batch is on the disk."""
        began[:] = [time.perf_counter()]
        return hold(*given, **more)

    def ended(_session: Any) -> None:
        if began:
            held.append((time.perf_counter() - began.pop()) * 1000)

    with create_app().app_context(), speaking("fr"):
        started = time.perf_counter()
        number = begin(rows)
        found["rehearsed"] = time.perf_counter() - started
        services.hold = timed
        event.listen(db.session, "after_commit", ended)
        started = time.perf_counter()
        rounds.carry_on(number, 3600)
        found["made"] = time.perf_counter() - started
        run = db.session.get_one(Import, number)
        found["state"], found["files"] = run.state, services.numbers(run)[RowState.DONE]
        event.remove(db.session, "after_commit", ended)
        db.session.rollback()
        found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if back:
            with writing():
                services.begin_undoing(run)
                db.session.commit()
            started = time.perf_counter()
            rounds.carry_on(number, 3600)
            found["back"] = time.perf_counter() - started
            db.session.rollback()
            must(db.session.get_one(Import, number).state != found["state"], "the import was not taken back")
    return found | {"held": spread(held)}


def _print(database: str, rows: int, found: dict[str, Any]) -> None:
    held = found["held"]
    back = f", taken back in {found['back']:.0f} s" if "back" in found else ""
    print(
        f"{database:10} {rows:,} rows: stored and rehearsed in {found['rehearsed']:.0f} s, imported in {found['made']:.0f} s{back}; "
        f"a batch holds the database {held['median']:.0f} ms at the median, p95 {held['p95']:.0f}, worst {held['worst']:.0f}; "
        f"{found['megabytes']:.0f} MB; {found['state']}, {found['files']:,} files"
    )
    for figure, aim, what in (
        (found["made"], MINUTES_AT_MOST * 60, "seconds to import"),
        (found["megabytes"], MEGABYTES_AT_MOST, "MB"),
        (held["p95"], HELD_AT_MOST, "ms held, 95 of 100 batches"),
    ):
        if figure > aim:
            print(f"  misses its aim: {figure:.0f} {what} (at most {aim})")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
