"""The page of a body that many files wait for: python bench/partners.py [--waiting 5000] [--databases sqlite postgresql]

Prints how long the page takes, and how long finding what time brings about does.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.served import HOST, ROOT, database_of, demonstration, must

PAGE_AT_MOST, TIMES = 100, 31
FILES_FOR_ONE = (
    6  # files of the demonstration for each referral that rests on a permission and was sent, or a little less
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=5000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.waiting)))
        return 0
    with tempfile.TemporaryDirectory(prefix="crm-bench-") as made:
        for database in options.databases:
            folder = Path(made) / database
            folder.mkdir()
            with database_of(database, folder) as url:
                environment, _ = demonstration(url, folder, options.waiting * FILES_FOR_ONE)
                command = [sys.executable, __file__, "--one", "--waiting", str(options.waiting)]
                out = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(out.stdout.splitlines()[-1])
            page = found.pop("page")
            said = f"{statistics.median(page):.1f} ms, median of {TIMES}, worst {max(page):.1f}"
            print(
                f"\n{database}: the page of a body that {options.waiting:,} files wait for: {said} (aim {PAGE_AT_MOST})"
            )
            for name, milliseconds in found.items():
                print(f"{name}: {milliseconds:.1f} ms")
    return 0


def measured(waiting: int) -> dict[str, Any]:
    """Milliseconds of each page asked for, and of the three searches of the worker."""
    from crm import clock
    from crm.app import create_app
    from crm.db import db, writing
    from crm.links.services import token
    from crm.referrals import answers, services

    app = create_app()
    with app.app_context(), writing():
        _all_for_one(waiting)
        door = f"/fr/organisme/{token(services.link_of_body(_body()))}"
        db.session.commit()
        searches = {
            "bodies that are silent, a round of 500": answers.silent_ones(clock.now()),
            "permissions that ended": answers.lapsed_ones(clock.today()),
            "questions that are over": answers.questions_over(clock.today()),
        }
        found: dict[str, Any] = {}
        for name, statement in searches.items():
            begun = time.perf_counter()
            db.session.execute(statement).all()
            found[name] = (time.perf_counter() - begun) * 1000
            db.session.rollback()
    browser, host = app.test_client(), {"Host": HOST, "Referer": f"http://{HOST}/"}
    shown = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get(door, headers=host).text)
    must(shown is not None, "the link opens nothing")
    browser.post(door, data={"csrf_token": shown[1] if shown else ""}, headers=host)
    found["page"] = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = browser.get("/fr/organisme", headers=host)
        found["page"].append((time.perf_counter() - begun) * 1000)
        must(answer.status_code == 200 and "?after=" in answer.text, "it is not the page of a long list")
    return found


def _body() -> Any:
    from crm.partners.queries import by_code

    found = by_code("cdrq")
    must(found is not None, "the directory has no CDRQ")
    return found


def _all_for_one(waiting: int) -> None:
    """The demonstration's referrals are one body's, and wait for its answer."""
    from sqlalchemy import select, text, update

    from crm import clock
    from crm.cases.models import Case
    from crm.cases.vocabulary import Stage
    from crm.db import count_for_the_planner, db
    from crm.permissions.models import Permission
    from crm.referrals.models import Referral
    from crm.referrals.outcomes import Status

    sent = select(Referral.id, Referral.permission_id, Referral.case_id).where(Referral.sent_at.is_not(None))
    rows = db.session.execute(
        sent.where(Referral.permission_id.is_not(None)).order_by(Referral.id).limit(waiting)
    ).all()
    must(len(rows) == waiting, f"{len(rows)} referrals of {waiting}")
    db.session.commit()
    sqlite = db.engine.dialect.name == "sqlite"
    db.session.execute(text("PRAGMA defer_foreign_keys = ON" if sqlite else "SET CONSTRAINTS ALL DEFERRED"))
    whose = _body().id
    until = clock.today() + timedelta(days=60)
    for first in range(0, len(rows), 500):
        part = rows[first : first + 500]
        changes: tuple[tuple[Any, list[int], dict[str, Any]], ...] = (
            (
                Permission,
                [one.permission_id for one in part],
                {"body_id": whose, "expires_on": until, "withdrawn_at": None},
            ),
            (
                Case,
                [one.case_id for one in part],
                {"stage": Stage.DISCOVERY, "closing_reason": None, "restricted": False},
            ),
            (Referral, [one.id for one in part], {"body_id": whose, "status": Status.SENT}),
        )
        for model, ids, values in changes:
            change = update(model).where(model.id.in_(ids)).values(**values)
            db.session.execute(change.execution_options(synchronize_session=False))
    db.session.commit()
    count_for_the_planner()
    if not sqlite:
        db.session.execute(text("ANALYZE"))
        db.session.commit()


if __name__ == "__main__":
    sys.exit(main())
