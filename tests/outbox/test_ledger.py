"""The ledger of messages only grows: what every page and every sending ask of it must not walk through it."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from crm import clock
from crm.db import db
from crm.operations.queries import mail_state
from crm.outbox.deliver import send_due
from crm.outbox.queries import mail_trouble

MANY = 20_000


@pytest.fixture
def ledger(session):
    """Many messages that left long ago."""
    long_ago = clock.now() - timedelta(days=90)
    row = {"at": long_ago.replace(tzinfo=None).isoformat(" ") if db.engine.dialect.name == "sqlite" else long_ago}
    numbers = (
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY}) "
        if db.engine.dialect.name == "sqlite"
        else f"WITH numbers AS (SELECT generate_series(1, {MANY}) AS n) "
    )
    session.execute(
        text(
            "INSERT INTO message (kind, dedupe_key, subject_ids, language, to_address, to_name, subject, body, status, unknowns, first_due_at, "
            "created_at, due_at, attempts, final_at) "
            + numbers
            + "SELECT 'intake.received', 'old:' || n, '{}', 'fr', 'a@exemple.ca', 'A', 'S', 'B', 'sent', 0, :at, :at, :at, 1, :at FROM numbers"
        ),
        row,
    )
    session.commit()
    session.execute(text("ANALYZE"))
    session.commit()
    return session


@pytest.mark.parametrize("ask", [mail_trouble, send_due, mail_state])
def test_no_question_walks_through_the_messages_that_left(ledger, ask):
    refuse_a_walk(ledger, ask)


@pytest.mark.parametrize("shown", ["trouble", "waiting", "dropped"])
def test_no_list_of_a_few_walks_through_the_messages_that_left(people, ledger, signed_in, shown):
    browser = signed_in(people.coordinator)
    refuse_a_walk(ledger, lambda: browser.get(f"/staff/mail?show={shown}"))


def refuse_a_walk(ledger, ask):
    """What is asked of the ledger meanwhile is read from indexes of the few."""
    asked = []

    def note(_connection, _cursor, statement, values, _context, _many):
        if statement.lstrip().startswith("SELECT") and "message" in statement:
            asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        ask()
        ledger.rollback()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert asked
    for statement, values in asked:
        explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
        cursor = ledger.connection().connection.cursor()
        cursor.execute(explain + statement, values)
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        plan = plan.replace("\n", " | ")
        plan = re.sub(
            r"Index Scan using pk_message on message [^|]*\|\s+Index Cond: \(id = message_1\.id\)", "by number", plan
        )
        walked = re.findall(r"(?:SCAN message|Scan [^|]*on message)[^|]*", plan)
        assert not [line for line in walked if not re.search("ix_message_(waiting|in_trouble|dropped)", line)], plan
