"""How a database would answer a statement."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from crm.db import db


def plan(session, statement, values) -> list[str]:
    """The steps, as the database tells them."""
    dialect = sqlite.dialect() if db.engine.dialect.name == "sqlite" else postgresql.dialect()
    written = str(statement.params(**values).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    if dialect.name == "sqlite":
        return [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {written.replace(':', chr(92) + ':')}"))]
    # The tables are empty: what is asked is whether an index serves, not whether it is worth it here.
    for way in ("seqscan", "bitmapscan", "sort", "incremental_sort", "hashjoin", "mergejoin"):
        session.execute(text(f"SET LOCAL enable_{way} = off"))
    return [row[0] for row in session.execute(text(f"EXPLAIN {written.replace(':', chr(92) + ':')}"))]


def as_if_full(session) -> None:
    """Tell SQLite's planner what it would know of the demonstration's 100,000 files, in this connection, until the transaction ends.

    PostgreSQL looks at the tables themselves: there, `plan` asks only whether an index serves.
    """
    if db.engine.dialect.name != "sqlite":
        return
    session.execute(text("ANALYZE staff"))  # makes the table of statistics
    session.execute(text("DELETE FROM sqlite_stat1"))
    for line in (Path(__file__).parent / "statistics_at_100_000.txt").read_text(encoding="ascii").splitlines():
        table, index, figures = line.split(" ", 2)
        session.execute(
            text("INSERT INTO sqlite_stat1 VALUES (:table, :index, :figures)"),
            {"table": table, "index": None if index == "-" else index, "figures": figures},
        )
    session.execute(text("ANALYZE sqlite_schema"))  # reads them
