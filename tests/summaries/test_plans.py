"""The rows of a period are found by their days: no statement reads all that ever was."""

import re

import pytest
from sqlalchemy import event, text

from crm.db import db
from crm.summaries import course_rows, rows
from crm.summaries.periods import Period
from tests.support.plans import as_if_full

# What grows with the history. Bodies, programmes and activities are few.
LARGE = (
    "case_file",
    "event",
    "project",
    "exchange",
    "stage_spell",
    "follow_up",
    "referral",
    "application",
    "case_need",
    "talk",
    "turn_spell",
)


READ = {**rows._READ, **course_rows.READ}


def asked_by(session, kind: str) -> list[tuple[str, object]]:
    """The statements that one kind of rows is read by, with their values."""
    found: list[tuple[str, object]] = []

    def keep(_connection, _cursor, statement, values, _context, _many):
        found.append((statement, values))

    session.execute(text("SELECT 1"))
    event.listen(db.engine, "before_cursor_execute", keep)
    try:
        list(READ[kind](Period.read("2026-q3")))
    finally:
        event.remove(db.engine, "before_cursor_execute", keep)
    return found


@pytest.mark.parametrize("read", READ)
def test_no_statement_reads_a_whole_table(session, read):
    statements = asked_by(session, read)
    as_if_full(session)
    cursor = session.connection().connection.cursor()
    on_sqlite = db.engine.dialect.name == "sqlite"
    for way in () if on_sqlite else ("seqscan", "hashjoin", "mergejoin", "sort", "hashagg", "material"):
        cursor.execute(f"SET LOCAL enable_{way} = off")
    assert statements
    for statement, values in statements:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if on_sqlite else ''}{statement}", values)
        steps = [row[3] if on_sqlite else row[0] for row in cursor.fetchall()]
        whole = r"SCAN ({})\b" if on_sqlite else r"Seq Scan on ({})\b"
        read = [step for step in steps if re.search(whole.format("|".join(LARGE)), step)]
        assert not read, "\n".join([statement, *steps])
