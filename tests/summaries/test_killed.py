"""A process killed while a summary is published: it is approved still, or published whole; and while figures and files are made, others write."""

import pytest
import time_machine
from sqlalchemy import event, text

from crm import clock
from crm.db import db, writing
from crm.summaries import services
from crm.summaries.periods import Period
from tests.support.killing import lines_of

Q3 = Period.read("2026-q3")
# The job of the worker in a process of its own: at each write in turn, and at the commit and the moment after it, a copy of it is killed as
# `kill -9` does. What the database holds then is told, a line for each, until a copy meets nothing any more: it was published before.
PUBLISHED_AND_KILLED = """
from crm.app import create_app
from crm.db import writing
from crm.summaries import services
from tests.support.killing import kill_at, killed_at_each_write, rows_told

app = create_app()
HELD = (
    "SELECT state, published_at IS NOT NULL, digest <> '', (SELECT count(*) FROM summary_file), "
    "(SELECT count(*) FROM message WHERE kind = 'summaries.published'), (SELECT count(*) FROM event WHERE kind = 'summary.published') "
    "FROM summary"
)


def publish(at):
    with app.app_context(), writing():
        kill_at(at)
        return services.publish_approved()


killed_at_each_write(publish, lambda: rows_told(app, HELD))
"""


@pytest.fixture
def approved(make, people, session):
    """A quarter of twelve requests that two people saw to; it waits to be published."""
    with time_machine.travel(clock.at_local(Q3.first, 10), tick=False) as moment:
        for place in range(12):
            make.case(owner=people.adviser, name=f"Projet {place}", email=f"p{place}@exemple.ca")
        session.commit()
        moment.move_to(clock.at_local(Q3.cut_off, 10))
        summary = services.make(Q3)
        services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
        services.approve(summary, summary.version, people.admin)
        session.commit()
        yield summary


def test_killed_while_it_publishes_it_is_approved_still_or_published_whole(approved, database_url, tmp_path):
    lines = lines_of(PUBLISHED_AND_KILLED, database_url, tmp_path)
    kept = ["approved", 0, 0, 0, 0, 0]
    (last, ((*whole,),)) = lines[-1]
    assert last == 0, "published by the copy that was killed after its commit: the next one found nothing to do"
    assert whole[0] == "published"
    assert whole[1:3] == [1, 1]
    assert whole[3] > 10
    assert whole[4:] == [1, 1]
    assert len(lines) > 5
    for how, (found,) in lines[:-1]:
        assert how == "killed"
        assert [int(one) if isinstance(one, bool) else one for one in found] in (kept, whole)


def test_nobody_waits_to_write_while_figures_and_files_are_made(approved, session):
    """Another connection takes SQLite's one lock in the middle of each reading."""
    number, wrote = approved.id, []
    session.rollback()

    def write(_connection, _cursor, statement, *_):
        for part in ("FROM stage_spell", "WHERE summary.id = "):
            if part in statement and part not in wrote:
                wrote.append(part)
                with db.engine.connect() as other:
                    if other.dialect.name == "sqlite":
                        other.exec_driver_sql("PRAGMA busy_timeout=0")
                    other.execute(text("UPDATE staff SET on_duty = on_duty"))
                    other.rollback()
                    if other.dialect.name == "sqlite":
                        other.exec_driver_sql("PRAGMA busy_timeout=10000")

    event.listen(db.engine, "before_cursor_execute", write)
    try:
        with writing():
            services.look(Q3)
            assert services._made(number, clock.now())
    finally:
        event.remove(db.engine, "before_cursor_execute", write)
    assert wrote == ["FROM stage_spell", "WHERE summary.id = "]
