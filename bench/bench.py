"""Measures pages on the demonstration data, beside floors in the same process and the same run.

    python bench/bench.py                      both databases, 1,000 and 100,000 cases
    python bench/bench.py --sizes 1000 --databases sqlite

Pages and the bare Flask page are served the same way: one gunicorn worker with threads, one connection kept open. What is
counted is that worker's CPU (PostgreSQL's own shows in the wall time only). Each figure is the median of several batches,
the batches of all pages taken in turn, so that a busy machine weighs on all alike. Each batch has one of the bare page
just before it: "x" is the median of the ratios of these pairs, for machines change speed from one second to the next.
"""

import argparse
import contextlib
import gc
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import lists
from bench.served import HOST, ROOT, Served, batch, database_of, demonstration, must, sign_in_of, spread, token_of

BATCHES, SECONDS = 11, 0.6
AIMS = {
    "form": 10, "saved": 15, "accepted": 25, "queue": 15, "deep": 15, "board": 60, "today": 25, "search": 15, "note": 25, "case": 20,
    "summary": 10,
}  # fmt: skip
SQL_AT_MOST = {"queue": 8, "deep": 8, "board": 10, "today": 12, "search": 4, "note": 15, "case": 12}
GROWTH_AT_MOST = {"search": 1.5, "case": 1.1, "note": 1.1}
OTHER_SQL_AT_MOST, OTHER_GROWTH_AT_MOST = 12, 1.25
MATCH_AT_MOST = 50  # ms, 95 of 100


def main() -> int:
    options = _options()
    if options.one:
        print(json.dumps(measure(Path(options.one))))
        return 0
    results: dict[tuple[str, int], dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        folder = options.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="crm-bench-"))
        for database in options.databases:
            for size in options.sizes:
                results[database, size] = _one(
                    database, size, Path(folder) / f"{database}-{size}", kept=bool(options.folder)
                )
                _print_one(database, size, results[database, size])
    return _verdict(results, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--folder", help="keep the databases here: the next run does not load them again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _one(database: str, size: int, folder: Path, *, kept: bool) -> dict[str, Any]:
    """Load the demonstration into a database of its own and measure it in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with database_of(database, folder, kept=kept) as url:
        environment, loaded = demonstration(url, folder, size)
        out = subprocess.run(
            [sys.executable, __file__, "--one", str(folder)],
            env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    return {"loaded": loaded, **json.loads(out.stdout.splitlines()[-1])}


# --- measuring ------------------------------------------------------------------------------------------------------


def measure(folder: Path) -> dict[str, Any]:
    """CPU, wall time, bytes and SQL of each page, and the floors, on the database that the environment names."""
    about, keys = _about_database(), lists.deep_keys()
    about["deep"] = f"stage=all&after={keys['every file'][0]}"
    waiting = drafts_of(9000)
    staff, visitor, sender, floor = (Served(app) for app in ("wsgi:app", "wsgi:app", "wsgi:app", "bench.served:bare()"))
    try:
        staff.sign_in(*sign_in_of(folder, "coordinator"))
        form_token = token_of(visitor.call("GET", "/fr/demande")[1])
        sender_token = token_of(sender.call("GET", "/fr/demande")[1])

        typed = {
            "csrf_token": form_token,
            "description": "Une bibliothèque d’outils du quartier. " * 8,
            "sector": "food",
        }
        visitor.cookies["draft"] = waiting.pop()

        def send() -> tuple[int, bytes]:
            sender.cookies["draft"] = waiting.pop()
            return sender.call("POST", "/fr/demande/verifier", {"csrf_token": sender_token})

        staff_token = token_of(staff.call("GET", "/staff/cases")[1])
        typed_words = itertools.cycle(
            ["trem", "coop", "noe", "roy", "le+bail", "514", "velo+cargo", "pcc", "bel", "caisse+solid"]
        )

        def note() -> tuple[int, bytes]:
            typed = {"csrf_token": staff_token, "body": "Elle rappelle jeudi."}
            return staff.call("POST", f"/staff/cases/{about['busiest']}/notes", typed)

        pages: dict[str, tuple[Served, Callable[[], tuple[int, bytes]]]] = {
            "bare": (floor, lambda: floor.call("GET", "/")),
            "form": (visitor, lambda: visitor.call("GET", "/fr/demande/projet")),
            "saved": (visitor, lambda: visitor.call("POST", "/fr/demande/projet", typed | {"_back": "1"})),
            "accepted": (sender, send),
            "queue": (staff, lambda: staff.call("GET", "/staff/cases")),
            "deep": (staff, lambda: staff.call("GET", f"/staff/cases?{about['deep']}")),
            "board": (staff, lambda: staff.call("GET", "/staff/cases/board")),
            "today": (staff, lambda: staff.call("GET", "/staff/today")),
            "search": (staff, lambda: staff.call("GET", f"/staff/search/suggestions?q={next(typed_words)}")),
            "note": (staff, note),
            "case": (staff, lambda: staff.call("GET", f"/staff/cases/{about['busiest']}")),
            "summary": (staff, lambda: staff.call("GET", f"/staff/summaries/{about['period']}")),
        }
        found: dict[str, Any] = {}
        for name, (_, call) in pages.items():
            for _ in range(10):
                status, data = call()
                must(status == (303 if name in {"saved", "accepted", "note"} else 200), f"{name} answered {status}")
            found[name] = {"cpus": [], "walls": [], "ratios": [], "bytes": len(data)}
        for _ in range(BATCHES):
            for name, (served, call) in pages.items():
                beside, _ = batch(*pages["bare"], SECONDS / 2)
                cpu, wall = batch(served, call, SECONDS)
                for figure, value in (("cpus", cpu), ("walls", wall), ("ratios", cpu / beside)):
                    found[name][figure].append(value)
        named = lists.named(staff, floor, keys)
        others, searches = lists.others(staff), lists.searches(staff)
    finally:
        for served in (staff, visitor, sender, floor):
            served.stop()
    for page in found.values():
        for figure in ("cpu", "wall", "ratio"):
            page[figure] = statistics.median(page.pop(f"{figure}s"))
    lists_sql = _count_sql(found, folder, about)
    return {
        "pages": found, "named": named, "others": others, "searches": searches, "lists_sql": lists_sql,
        "match": _match(), "durable": _durable(found),
    }  # fmt: skip


def _match() -> dict[str, float]:
    """Milliseconds to find the files that look like a new request, over files drawn from the whole demonstration."""
    from sqlalchemy import select

    from crm.app import create_app
    from crm.cases.models import Case
    from crm.db import db
    from crm.duplicates import services
    from crm.duplicates.matching import keys

    with create_app().app_context():
        ids = list(db.session.scalars(select(Case.id).order_by(Case.id)))
        step = max(1, len(ids) // 300)
        rows = db.session.execute(services.facts().where(Case.id.in_(ids[::step]))).all()
        gc.collect()
        gc.freeze()  # as the worker does, which runs this
        walls, found = [], 0
        for row in rows:
            wall = time.perf_counter()
            traits = services.traits_of(row, services.founders_of([row.id]).get(row.id, ()))
            found += len(services.look(traits, keys(traits), but=row.id))
            walls.append((time.perf_counter() - wall) * 1000)
    return spread(walls) | {"found": found / len(rows), "files": len(rows)}


def _durable(found: dict[str, Any]) -> dict[str, float]:
    """Durable inserts per second of one row as large as a request, beside requests accepted per second."""
    from sqlalchemy import text

    from crm.app import create_app
    from crm.db import db, writing
    from tests.support.factories import ANSWERS

    size = len(json.dumps(ANSWERS))
    with create_app().app_context(), writing(), db.engine.connect() as connection:
        connection.execute(text("CREATE TABLE bench_floor (id INTEGER PRIMARY KEY, body TEXT)"))
        connection.commit()
        count, wall = 0, time.perf_counter()
        while time.perf_counter() - wall < BATCHES * SECONDS:
            count += 1
            connection.execute(text("INSERT INTO bench_floor VALUES (:id, :body)"), {"id": count, "body": "x" * size})
            connection.commit()
        inserts = count / (time.perf_counter() - wall)
        connection.execute(text("DROP TABLE bench_floor"))
        connection.commit()
    return {"bytes": size, "inserts": inserts, "accepted": 1000 / found["accepted"]["wall"]}


def _about_database() -> dict[str, str]:
    """The file with the most events among the first ones, and the newest published summary."""
    from sqlalchemy import func, select

    from crm.app import create_app
    from crm.cases.models import Case
    from crm.db import db
    from crm.summaries.models import Summary
    from crm.timeline.models import Event

    with create_app().app_context():
        busiest = (
            select(Case.reference).join(Event, Event.case_id == Case.id).where(Case.id <= 1000)
            .group_by(Case.reference).order_by(func.count(Event.id).desc(), Case.reference).limit(1)
        )  # fmt: skip
        return {
            "busiest": str(db.session.scalar(busiest)),
            "period": str(db.session.scalar(select(Summary.period).order_by(Summary.first_day.desc()).limit(1))),
        }


def drafts_of(count: int) -> list[str]:
    """Cookies of whole requests that only wait to be sent."""
    from crm.app import create_app
    from crm.db import db, writing
    from crm.intake import drafts
    from tests.support.factories import ANSWERS

    answers = {name: value if isinstance(value, list) else [value] for name, value in ANSWERS.items()}
    cookies = []
    with create_app().app_context(), writing():
        for _ in range(count):
            draft = drafts.begin()
            drafts.save(draft, drafts.Content(answers=dict(answers)))
            cookies.append(drafts.cookie_of(draft))
        db.session.commit()
        db.engine.dispose()
    return cookies


def _count_sql(found: dict[str, Any], folder: Path, about: dict[str, str]) -> int:
    """How many statements each page runs, and the CPU of the same statements on a bare cursor; gives the most that a list runs."""
    from sqlalchemy import event

    from crm.app import create_app
    from crm.db import db

    (draft,) = drafts_of(1)
    app = create_app()
    client = app.test_client()
    email, password = sign_in_of(folder, "coordinator")
    headers = {"Host": HOST}
    token = token_of(client.get("/staff/sign-in", headers=headers).data)
    client.post("/staff/sign-in", headers=headers, data={"csrf_token": token, "email": email, "password": password})
    client.set_cookie("draft", draft, domain="127.0.0.1")
    token = token_of(client.get("/fr/demande", headers=headers).data)
    statements: list[tuple[str, Any]] = []
    with app.app_context():
        engine = db.engine
    event.listen(
        engine, "before_cursor_execute", lambda _c, _cur, sql, values, _ctx, _many: statements.append((sql, values))
    )
    paths = {
        "form": "/fr/demande/projet",
        "queue": "/staff/cases",
        "deep": f"/staff/cases?{about['deep']}",
        "board": "/staff/cases/board",
        "today": "/staff/today",
        "search": "/staff/search/suggestions?q=coop",
        "note": f"/staff/cases/{about['busiest']}/notes",
        "case": f"/staff/cases/{about['busiest']}",
        "summary": f"/staff/summaries/{about['period']}",
    }

    def seen(path: str) -> None:
        """Twice: the first one may also ask whether texts were published, which is asked once a second."""
        for _ in range(2):
            statements.clear()
            client.get(path, headers=headers)

    def recorded() -> list[tuple[str, Any]]:
        return [one for one in statements if not one[0].lstrip().upper().startswith(("PRAGMA", "BEGIN"))]

    for name in ("form", "saved", "accepted", "queue", "deep", "board", "today", "search", "note", "case", "summary"):
        statements.clear()
        if name == "saved":
            client.post(
                "/fr/demande/besoins", headers=headers, data={"csrf_token": token, "needs": "form", "_back": "1"}
            )
        elif name == "note":
            token_now = token_of(client.get("/staff/cases", headers=headers).data)
            statements.clear()
            client.post(paths[name], headers=headers, data={"csrf_token": token_now, "body": "Elle rappelle jeudi."})
        elif name == "accepted":
            client.post("/fr/demande/verifier", headers=headers, data={"csrf_token": token})
        else:
            seen(paths[name])
        found[name]["sql"] = len(recorded())
        if statements and name not in {"saved", "accepted", "note"}:
            found[name]["sql_cpu"] = _bare_sql(engine, recorded())
    found["bare"]["sql"] = 0
    most = 0
    for address in [*(lists.address_of(query, sort) for _, query, sort in lists.NAMED), *lists.addresses(lists.OTHERS)]:
        seen(address)
        most = max(most, len(recorded()))
    return most


def _bare_sql(engine: Any, recorded: list[tuple[str, Any]]) -> float:
    """CPU milliseconds of the page's own statements, run on a bare cursor and fetched."""
    connection = engine.raw_connection()
    cursor = connection.cursor()
    figures = []
    try:
        for _ in range(BATCHES):
            count, cpu, wall = 0, time.process_time(), time.perf_counter()
            while time.perf_counter() - wall < SECONDS / 4:
                for sql, parameters in recorded:
                    cursor.execute(sql, parameters)
                    cursor.fetchall()
                count += 1
            figures.append((time.process_time() - cpu) / count * 1000)
    finally:
        connection.rollback()
        connection.close()
    return statistics.median(figures)


# --- printing -------------------------------------------------------------------------------------------------------


def _print_one(database: str, size: int, result: dict[str, Any]) -> None:
    pages = result["pages"]
    print(f"\n{database}, {size:,} cases (loaded in {result['loaded']:.0f} s)")
    print(
        f"{'':10} {'CPU ms':>8} {'x bare':>7} {'aim':>5} {'wall ms':>8} {'bytes':>8} {'SQL':>4} {'same SQL, bare: CPU ms':>23}"
    )
    for name, page in pages.items():
        aim = f"{AIMS[name]}" if name in AIMS else ""
        bare = f"{page['sql_cpu']:.2f}" if "sql_cpu" in page else ""
        print(
            f"{name:10} {page['cpu']:8.2f} {page['ratio']:7.1f} {aim:>5} {page['wall']:8.2f} {page['bytes']:8,} "
            f"{page['sql']:4} {bare:>23}"
        )
    print(f"\n{'lists: x bare, wall ms':24} {'first':>6} {'':>7} {'deep':>6} {'':>7}  (aim {AIMS['queue']})")
    for name, one in result["named"].items():
        first, deep = one["first"], one["deep"]
        print(
            f"{name:24} {first['ratio']:6.1f} {first['wall']:7.2f} {deep['ratio']:6.1f} {deep['wall']:7.2f}  page {one['page']}"
        )
    for name, one, most in (
        ("other lists", result["others"], lists.OTHERS_AT_MOST),
        ("searches", result["searches"], lists.SEARCHES_AT_MOST),
    ):
        print(
            f"{name}: {one['count']}, wall median {one['median']:.1f} ms, p95 {one['p95']:.1f} (aim {most}), "
            f"worst {one['worst']:.1f}: {one['slowest']}"
        )
    print(f"most statements of a list: {result['lists_sql']} (aim {lists.SQL_AT_MOST})")
    match, durable = result["match"], result["durable"]
    print(
        f"match      one request against {size:,} files: median {match['median']:.1f} ms, p95 {match['p95']:.1f}, worst "
        f"{match['worst']:.1f} (aim {MATCH_AT_MOST}); {match['found']:.1f} alike each, over {match['files']} files"
    )
    print(
        f"durable    {durable['accepted']:.0f} requests accepted a second, one connection; "
        f"{durable['inserts']:.0f} durable inserts of {durable['bytes']} bytes: {durable['inserts'] / durable['accepted']:.1f} x"
    )
    sys.stdout.flush()


def _verdict(results: dict[tuple[str, int], dict[str, Any]], options: argparse.Namespace) -> int:
    """What misses its aim, in words. The exit code tells only whether everything could be measured."""
    print()
    misses = [miss for (database, size), result in results.items() for miss in _misses(f"{database} {size:,}", result)]
    if len(options.sizes) > 1:
        small, large = min(options.sizes), max(options.sizes)
        for database in options.databases:
            misses += _growth(database, results[database, small], results[database, large])
    print("\n".join(["Misses:", *misses]) if misses else "Every aim is met.")
    return 0


def _misses(where: str, result: dict[str, Any]) -> list[str]:
    found = []
    if result["match"]["p95"] > MATCH_AT_MOST:
        found.append(f"{where}: a match takes {result['match']['p95']:.0f} ms (at most {MATCH_AT_MOST})")
    for name, page in result["pages"].items():
        if name in AIMS and page["ratio"] > AIMS[name]:
            found.append(f"{where}: {name} costs {page['ratio']:.1f} bare pages (aim {AIMS[name]})")
        most = SQL_AT_MOST.get(name, OTHER_SQL_AT_MOST)
        if page["sql"] > most and name != "accepted":
            found.append(f"{where}: {name} uses {page['sql']} statements (at most {most})")
    for name, one in result["named"].items():
        found += [
            f"{where}: list “{name}”, {which} page, costs {one[which]['ratio']:.1f} bare pages (aim {AIMS['queue']})"
            for which in ("first", "deep")
            if one[which]["ratio"] > AIMS["queue"]
        ]
    if result["lists_sql"] > lists.SQL_AT_MOST:
        found.append(f"{where}: a list uses {result['lists_sql']} statements (at most {lists.SQL_AT_MOST})")
    for name, most in (("others", lists.OTHERS_AT_MOST), ("searches", lists.SEARCHES_AT_MOST)):
        if result[name]["p95"] > most:
            found.append(f"{where}: {name}: 95 of 100 take at most {result[name]['p95']:.0f} ms (aim {most})")
    return found


def _growth(database: str, one: dict[str, Any], many: dict[str, Any]) -> list[str]:
    """From the smallest to the largest, in bare pages of CPU, and in wall time, where PostgreSQL's own work shows."""
    found = []
    for name in AIMS:
        ratio, wall = (many["pages"][name][figure] / one["pages"][name][figure] for figure in ("ratio", "wall"))
        print(f"growth, {database}, {name}: {ratio:.2f} (wall {wall:.2f})")
        most = GROWTH_AT_MOST.get(name, OTHER_GROWTH_AT_MOST)
        if ratio > most:
            found.append(f"{database}: {name} grows by {ratio:.2f} (at most {most})")
    for name, small in one["named"].items():
        for which in ("first", "deep"):
            ratio = many["named"][name][which]["ratio"] / small[which]["ratio"]
            print(f"growth, {database}, list “{name}”, {which} page: {ratio:.2f}")
            if ratio > OTHER_GROWTH_AT_MOST:
                found.append(
                    f"{database}: list “{name}”, {which} page, grows by {ratio:.2f} (at most {OTHER_GROWTH_AT_MOST})"
                )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
