"""The page of a body that many files wait for, and the programmes that fit: python bench/partners.py [--waiting 5000]
[--databases sqlite postgresql]

Prints how long the page takes, how long finding what time brings about does, and how long ranking five hundred programmes and showing them.
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

PAGE_AT_MOST, RANK_AT_MOST, TIMES, PROGRAMMES = 100, 20, 31, 500
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
            page, rank, fitting = found.pop("page"), found.pop("rank"), found.pop("fitting")
            said = f"{statistics.median(page):.1f} ms, median of {TIMES}, worst {max(page):.1f}"
            print(
                f"\n{database}: the page of a body that {options.waiting:,} files wait for: {said} (aim {PAGE_AT_MOST})"
            )
            ranked = f"{statistics.median(rank):.1f} ms, median of {TIMES}, worst {max(rank):.1f}"
            print(f"{PROGRAMMES} programmes ranked for a file: {ranked} (aim {RANK_AT_MOST})")
            shown = f"{statistics.median(fitting):.1f} ms, median of {TIMES}, worst {max(fitting):.1f}"
            print(f"the page that shows them all, criterion by criterion: {shown}")
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
        door = f"/fr/organisme/{token(services.link_of_person(_body().main))}"
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
    return found | _fitting(app)


def _fitting(app: Any) -> dict[str, list[float]]:
    """Milliseconds of each ranking of five hundred programmes for a file, once they are read, and of each page that shows them."""
    from flask import render_template
    from sqlalchemy import select

    from crm import clock
    from crm.cases.models import Case
    from crm.db import db, writing
    from crm.directory import matching, queries, suggestions
    from crm.directory.matching import Asked, Offer
    from crm.i18n import speaking
    from crm.partners import queries as partners
    from crm.partners.models import Programme, Terms

    found: dict[str, list[float]] = {"rank": [], "fitting": []}
    with app.app_context(), writing():
        there, today = partners.programmes_offered(clock.today()), clock.today()
        for number in range(PROGRAMMES - len(there)):
            like, asked = there[number % len(there)]
            columns = (
                "body_id",
                "kind",
                "name_fr",
                "name_en",
                "text_fr",
                "text_en",
                "criteria_fr",
                "criteria_en",
                "instruments",
            )
            one = Programme(code=f"copy-{number}", version=1, **{name: getattr(like, name) for name in columns})
            db.session.add(one)
            db.session.flush()
            db.session.add(Terms(programme_id=one.id, since=today, asked=asked, made_at=clock.now()))
        db.session.commit()
    with app.test_request_context("/staff/cases"), speaking("fr"):
        case = db.session.scalars(select(Case).where(Case.stage == "planning").order_by(Case.id.desc())).first()
        must(case is not None, "no file looks for a referral")
        wholes = partners.wholes(partners.everyone())
        facts, programmes = queries.known_of(case, wholes).facts, partners.programmes_offered(today)
        must(len(programmes) == PROGRAMMES, f"{len(programmes)} programmes")
        rules = {rule.code: Asked.read(asked) for rule, asked in partners.rules_in_force(today)}
        for _ in range(TIMES):
            begun = time.perf_counter()
            offers = [Offer(one.code, one.body.code, one.kind, Asked.read(asked)) for one, asked in programmes]
            ranked = matching.rank(offers, facts, rules)
            found["rank"].append((time.perf_counter() - begun) * 1000)
            must(len(ranked) == PROGRAMMES, "some were lost")
        for _ in range(TIMES):
            db.session.expire_all()
            begun = time.perf_counter()
            suggested = suggestions.suggest(case)
            groups = [(fit, [one for one in suggested if one.ranked.fit is fit]) for fit in matching.Fit]
            written = render_template("directory/fitting.html", case=case, groups=groups, may_refer=True)
            found["fitting"].append((time.perf_counter() - begun) * 1000)
            must(written.count("<article") == PROGRAMMES, "the page does not show them all")
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
