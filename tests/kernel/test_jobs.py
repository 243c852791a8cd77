"""The jobs of the product itself."""

from sqlalchemy import text

from crm import schema
from crm.jobs import OWN, run_job


def test_sqlite_counts_its_tables_for_its_planner_and_only_when_they_grew(app, make, session, kind):
    for number in range(5):
        make.case(name=f"Projet {number}")
    session.commit()
    (job,) = OWN
    if kind == "postgresql":
        assert run_job(app, job) == 0
        return
    first = run_job(app, job)
    counted = session.execute(text("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = 'case_file'")).all()
    assert dict(tuple(row) for row in counted)["ix_case_received"].startswith("5 ")
    session.commit()
    assert run_job(app, job) < first / 2, "tables without rows are looked at again, the others are not"


def test_an_upgrade_counts_what_it_made(app, make, session, kind):
    """Of an index made a moment ago SQLite's planner knows nothing, and would walk another one."""
    for number in range(5):
        make.case(name=f"Projet {number}")
    session.commit()
    if kind == "postgresql":
        return
    schema.downgrade(app, "20261126_1300")
    schema.upgrade(app)
    counted = session.execute(text("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = 'case_file'")).all()
    assert dict(tuple(row) for row in counted)["ix_case_turn"].startswith("5 ")
