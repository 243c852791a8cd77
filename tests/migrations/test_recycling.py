"""A database that a test gives back is, for the next one, as a fresh copy: rows, numbers to come, and nothing else."""

import psycopg
import pytest
from sqlalchemy import text


@pytest.fixture
def kind():
    return "postgresql"


def said(server, name) -> dict:
    with psycopg.connect(server.dsn(name)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        rows = {
            table: connection.execute(f'SELECT t::text FROM public."{table}" t ORDER BY 1').fetchall()
            for (table,) in tables
        }
        numbers = connection.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1").fetchall()
    return rows | {"numbers": numbers}


def test_what_is_given_back_is_as_it_was(postgres, migrated, make):
    migrated("postgresql")
    make.case()
    make.session.commit()
    used = make.session.scalar(text("SELECT current_database()"))
    fresh = said(postgres, "migrated")
    assert said(postgres, used) != fresh
    make.session.close()
    postgres.give_back(used)
    again = postgres.borrow("migrated")
    assert again == used
    assert said(postgres, again) == fresh


def test_one_whose_tables_were_changed_is_not_used_again(postgres, migrated):
    migrated("postgresql")
    name = postgres.borrow("migrated")
    with psycopg.connect(postgres.dsn(name)) as connection:
        connection.execute("ALTER TABLE note ADD COLUMN colour text")
    postgres.give_back(name)
    assert postgres.borrow("migrated") != name
