"""Follow-ups that come due, and mail that leaves: python bench/outbox.py [--follow-ups 1000000] [--due 10000] [--databases sqlite postgresql]

Prints how long finding what is due takes, turning it into messages, and draining them by three senders into an SMTP sink on this machine,
beside a bare smtplib loop over one connection into the same sink, and the memory of a sender.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.served import ROOT, coordinator, database_of, demonstration, must
from tests.support.server import answers, free_port

FOUND_AT_MOST, TURNED_AT_MOST, SHARE_AT_LEAST, MEGABYTES_AT_MOST = 100, 20, 0.5, 150
SENDERS, FOUND_TIMES, FILLED = 3, 15, 20_000
ROUND = 500  # what one round of the job finds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--follow-ups", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=10_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--one", choices=list(ONE), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(ONE[options.one](options.follow_ups, options.due)))
        return 0
    port = free_port()
    sink = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    sink.start()
    while not answers(port):
        time.sleep(0.05)
    with tempfile.TemporaryDirectory(prefix="crm-bench-") as made:
        for database in options.databases:
            folder = Path(made) / database
            folder.mkdir()
            with database_of(database, folder) as url:
                environment, _ = demonstration(url, folder, 1000)
                environment |= {"CRM_SMTP_URL": f"smtp://127.0.0.1:{port}"}
                environment["CRM_MAIL_FROM"] = "passerelle@exemple.ca"
                sizes = ["--follow-ups", str(options.follow_ups), "--due", str(options.due)]
                turned_into = {}
                for one in ("fill", "found", "turned"):  # each in a process of its own, so that its memory is its own
                    turned_into |= _child(environment, "--one", one, *sizes)
                bare, drained, senders = _drained(environment, port, options.due)
            _print(database, options, turned_into, bare, drained, senders)
    sink.terminate()
    return 0


def _child(environment: dict[str, str], *words: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *words]
    out = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def _drained(environment: dict[str, str], port: int, messages: int) -> tuple[float, float, list[dict[str, Any]]]:
    """Seconds of the bare loop, of the senders together, and what each sender says of itself."""
    bare = min(_bare(port, messages) for _ in range(2))
    begun = time.perf_counter()
    command = [sys.executable, __file__, "--one", "sent"]
    senders = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(SENDERS)
    ]
    said = [json.loads(sender.communicate()[0].splitlines()[-1]) for sender in senders]
    last = max(one["ended"] for one in said) - min(one["begun"] for one in said)
    must(sum(one["sent"] for one in said) == messages, "not every message left once")
    must(time.perf_counter() - begun >= last, "a sender's clock is not this one's")
    return bare, last, said


# --- in a process of the product --------------------------------------------------------------------------------------


def fill(follow_ups: int, due: int) -> dict[str, Any]:
    """Fill the table, for somebody who wants a message for each."""
    from crm.accounts.choices import choose
    from crm.app import create_app
    from crm.db import db, writing
    from crm.reminders.services import MAIL

    with create_app().app_context(), writing():
        _fill(follow_ups, due)
        choose(coordinator(), MAIL, at_once=True, in_digest=False)
        db.session.commit()
    return {}


def found(_follow_ups: int, due: int) -> dict[str, Any]:
    """Find what is due: what a round of the job takes, and all of it."""
    from crm.app import create_app
    from crm.db import db, writing
    from crm.reminders.services import due_ones

    times: dict[int, list[float]] = {ROUND: [], due: []}
    with create_app().app_context(), writing():
        for _ in range(FOUND_TIMES):
            for many, each in times.items():
                begun = time.perf_counter()
                rows = due_ones(many)
                each.append((time.perf_counter() - begun) * 1000)
                must(len(rows) == many, f"{len(rows)} of {many} were found")
                db.session.rollback()
    return {"round": times[ROUND], "all": times[due]}


def turned(_follow_ups: int, due: int) -> dict[str, Any]:
    """Turn all that is due into messages, as the job does."""
    from crm.app import create_app
    from crm.db import db, writing
    from crm.reminders.services import queue_due

    with create_app().app_context(), writing():
        begun, done = time.perf_counter(), 0
        while many := queue_due():
            db.session.commit()
            done += many
        seconds = time.perf_counter() - begun
    must(done == due, f"{done} of {due} were turned")
    return {"seconds": seconds, "megabytes": _megabytes()}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fill(follow_ups: int, due: int) -> None:
    """Follow-ups of the coordinator on the demonstration's open files: some due, the rest in the two years to come, one in three of them done."""
    from sqlalchemy import delete, insert, select, update

    from crm import clock
    from crm.cases.models import Case
    from crm.cases.vocabulary import Stage
    from crm.db import count_for_the_planner, db
    from crm.outbox.models import Message
    from crm.reminders.models import FollowUp, State

    db.session.execute(update(FollowUp).values(reminded_on=FollowUp.due_on))
    db.session.execute(delete(Message))
    here = Case.stage != Stage.CLOSED, Case.quarantined.is_(False), Case.restricted.is_(False)
    files = db.session.scalars(select(Case.id).where(*here)).all()
    today, now, whose = clock.today(), clock.now(), coordinator().id
    for first in range(0, follow_ups, FILLED):
        rows = []
        for number in range(first, min(first + FILLED, follow_ups)):
            day = today - timedelta(days=1) if number < due else today + timedelta(days=1 + number % 700)
            state = State.DONE if number >= due and number % 3 == 1 else State.TODO
            rows.append(
                {
                    "case_id": files[number % len(files)],
                    "owner_id": whose,
                    "rule": "check_in",
                    "due_on": day,
                    "first_due_on": day,
                    "state": state,
                    "created_at": now,
                }
            )
        db.session.execute(insert(FollowUp), rows)
        db.session.commit()
    count_for_the_planner()


def sent(_follow_ups: int, _due: int) -> dict[str, Any]:
    """One sender, until nothing is left."""
    from crm.app import create_app
    from crm.db import writing
    from crm.outbox.deliver import send_due

    with create_app().app_context(), writing():
        begun, many = time.time(), 0
        while done := send_due():
            many += done
        ended = time.time()
    return {"begun": begun, "ended": ended, "sent": many, "megabytes": _megabytes()}


# --- the sink and the floor -------------------------------------------------------------------------------------------


def serve(port: int) -> None:
    """An SMTP server that takes everything and keeps nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"220 sink\r\n")
            while line := await reader.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    writer.write(b"354 go\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    break
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", port, limit=2**22)
        await server.serve_forever()

    asyncio.run(run())


def _bare(port: int, messages: int) -> float:
    """Seconds that as many messages of the same size take one smtplib connection."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@exemple.ca", "b@exemple.ca", "Rappel"
    mail.set_content("Bonjour,\n\n" + "Un suivi arrive à échéance. " * 20)
    mail.add_alternative("<p>" + "Un suivi arrive à échéance. " * 20 + "</p>", subtype="html")
    begun = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as connection:
        for number in range(messages):
            del mail["Message-ID"]
            mail["Message-ID"] = f"<{number}@exemple.ca>"
            connection.send_message(mail)
    return time.perf_counter() - begun


def _print(
    database: str, options: Any, made: dict[str, Any], bare: float, drained: float, senders: list[dict[str, Any]]
) -> None:
    many = options.due
    share = bare / drained
    peak = max(one["megabytes"] for one in senders)
    print(f"\n{database}, {options.follow_ups:,} follow-ups of which {many:,} are due ({os.cpu_count()} processors)")
    for words, times in ((f"a round of {ROUND}", made["round"]), (f"all {many:,} at once", made["all"])):
        said = f"{statistics.median(times):.1f} ms, median of {FOUND_TIMES}, worst {max(times):.1f}"
        print(f"found: {words} in {said} (aim {FOUND_AT_MOST})")
    print(
        f"turned into messages in {made['seconds']:.1f} s (aim {TURNED_AT_MOST}), in {made['megabytes']:.0f} MB (aim {MEGABYTES_AT_MOST})"
    )
    print(
        f"drained by {SENDERS} senders in {drained:.1f} s, {many / drained:.0f} a second; a bare loop {many / bare:.0f} a second"
    )
    print(
        f"share of the bare loop's speed: {share:.2f} (aim {SHARE_AT_LEAST}); a sender's memory {peak:.0f} MB (aim {MEGABYTES_AT_MOST})"
    )


ONE = {"fill": fill, "found": found, "turned": turned, "sent": sent}

if __name__ == "__main__":
    sys.exit(main())
