"""Migrations make the database of the models, go up and down, and guard history, on SQLite and PostgreSQL."""

import json
from datetime import date

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError

from crm import clock, i18n, schema
from crm.accounts.models import Staff
from crm.app import create_app
from crm.cases.models import Case, TurnSpell
from crm.cases.searching import find
from crm.cases.settling import settle
from crm.cases.vocabulary import Stage
from crm.db import Base, db, writing
from crm.links.models import Link, Purpose
from crm.links.services import issue
from crm.outbox.models import Message
from crm.partners.models import Body
from crm.search.words import read_question
from crm.summaries import services
from crm.summaries.models import Summary
from crm.talks.models import TalkCell
from crm.timeline.models import Event, EventDetail
from tests.conftest import settings_for

_names = iter(range(1_000))


@pytest.fixture
def empty(request, kind, tmp_path):
    """The product on a database with nothing in it."""
    if kind == "sqlite":
        url, drop = f"sqlite:///{tmp_path / 'empty.sqlite'}", None
    else:
        server = request.getfixturevalue("postgres")
        name = f"empty{next(_names)}"
        server.run(f"CREATE DATABASE {name}")
        url, drop = server.url(name), f"DROP DATABASE {name} WITH (FORCE)"
    app = create_app(settings_for(tmp_path, url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    if drop:
        server.run(drop)


def differences(app) -> list:
    with app.app_context(), db.engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_object": schema.is_ours}
        context = MigrationContext.configure(connection, opts=opts)
        return compare_metadata(context, Base.metadata)


def things(app) -> set[str]:
    """Tables, indexes, constraints, triggers and functions, by name."""
    with app.app_context(), db.engine.connect() as connection:
        if db.engine.dialect.name == "sqlite":
            rows = connection.execute(
                text(
                    "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
                )
            )
        else:
            rows = connection.execute(
                text(
                    "SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "UNION SELECT 'constraint ' || conname || pg_get_constraintdef(oid) FROM pg_constraint "
                    "WHERE connamespace = 'public'::regnamespace "
                    "UNION SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal "
                    "UNION SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                )
            )
        # A table made anew writes its constraints in any order: the lines are compared, wherever they stand.
        return {"\n".join(sorted(line.strip(" \t,") for line in row[0].split("\n"))) for row in rows}


def downgrade(app, revision="base") -> None:
    schema.downgrade(app, revision)


def test_an_empty_database_becomes_what_the_models_say(empty):
    assert not schema.is_current(empty)
    schema.upgrade(empty)
    assert schema.is_current(empty)
    assert differences(empty) == []


def test_every_check_of_the_models_is_in_the_database(empty):
    """Alembic does not compare CHECKs: their names are compared here."""
    schema.upgrade(empty)
    with empty.app_context():
        found = inspect(db.engine)
        for table in Base.metadata.sorted_tables:
            wanted = {c.name for c in table.constraints if c.__class__.__name__ == "CheckConstraint"}
            assert {c["name"] for c in found.get_check_constraints(table.name)} == wanted, table.name


def test_every_value_of_an_enum_is_allowed_by_its_check(empty):
    schema.upgrade(empty)
    with empty.app_context():
        found = inspect(db.engine)
        for table in Base.metadata.sorted_tables:
            checks = {c["name"]: c["sqltext"] for c in found.get_check_constraints(table.name)}
            for column in table.columns:
                said = checks.get(f"ck_{table.name}_{column.name}")
                if said is not None:
                    for member in column.type.enum:
                        assert f"'{member.value}'" in said, f"{table.name}.{column.name}: {member.value}"


def test_upgrading_twice_is_harmless(empty):
    schema.upgrade(empty)
    with empty.app_context(), writing():
        body = db.session.scalars(select(Body).order_by(Body.id)).first()
        body.offer_fr = "Écrit par nous"
        db.session.commit()
        bodies = db.session.scalars(select(Body.code).order_by(Body.id)).all()
        db.session.commit()
    before = things(empty)
    schema.upgrade(empty)
    assert things(empty) == before
    with empty.app_context():
        assert db.session.scalars(select(Body.code).order_by(Body.id)).all() == bodies
        assert "Écrit par nous" in db.session.scalars(select(Body.offer_fr)).all()


def test_up_and_down_and_up_again_leaves_nothing_and_makes_the_same(empty):
    schema.upgrade(empty)
    first = things(empty)
    downgrade(empty)
    left = {one for one in things(empty) if "alembic_version" not in one}
    assert left == set()
    schema.upgrade(empty)
    assert things(empty) == first
    assert differences(empty) == []


CHANGES = {
    "an event changed": "UPDATE event SET kind = 'case.closed'",
    "an event deleted": "DELETE FROM event",
    "a detail changed": "UPDATE event_detail SET \"values\" = '{}'",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_history_refuses_to_be_changed(make, people, session, statement):
    case = make.case(owner=people.adviser)
    make.referral(case=make.case_at(Stage.PLANNING))
    before = session.execute(select(Event.id, Event.kind, EventDetail.values).outerjoin(EventDetail)).all()
    session.commit()
    assert any(row.values for row in before)
    with pytest.raises(DBAPIError, match="history is append-only"):
        session.execute(text(statement))
    session.rollback()
    assert session.execute(select(Event.id, Event.kind, EventDetail.values).outerjoin(EventDetail)).all() == before
    assert case.reference


def test_what_identifies_people_can_be_destroyed_and_the_fact_remains(make, people, session):
    make.referral()
    events = session.scalars(select(Event.id).order_by(Event.id)).all()
    session.execute(text("DELETE FROM event_detail"))
    session.commit()
    assert session.scalars(select(Event.id).order_by(Event.id)).all() == events


# --- from the last landed state --------------------------------------------------------------------------------------

LANDED = "20261122_1200"
A_FILE = """
INSERT INTO contact (id, name, role, language, mode, email, phone, phone_extension)
VALUES (7, 'Nadia', 'lead', 'fr', 'email', 'nadia@exemple.ca', '', '');
INSERT INTO project (id, name, description, sector, sector_other, stage, legal_form, region, locality, summary, version)
VALUES (7, 'Outilthèque', 'Une bibliothèque d''outils', 'sharing', '', 'idea', 'coop', '06', '', '', 3);
INSERT INTO case_file (id, reference, stage, stage_since, contact_id, project_id, language, source, received_at,
reply_due_on, restricted) VALUES (7, 'PCC-2B3C-4D5F', 'new', '2026-11-20 10:00:00', 7, 7, 'fr', 'web',
'2026-11-20 10:00:00', '2026-11-25', false);
INSERT INTO link (id, purpose, object_id, version, created_at, expires_at)
VALUES (41, 'referral', 5, 2, '2026-11-20 10:00:00', '2026-12-20 10:00:00');
INSERT INTO message (id, kind, dedupe_key, link_id, subject_ids, language, to_address, to_name, subject, body, status,
created_at, due_at, attempts) VALUES (9, 'referrals.invitation', 'k', 41, '{}', 'fr', 'a@b.ca', '', 's', 'b', 'sent',
'2026-11-20 10:00:00', '2026-11-20 10:00:00', 1);
INSERT INTO staff (id, email, name, role, language, password_hash, active, on_duty, created_at)
VALUES (3, 'amelie@b.ca', 'Amélie', 'adviser', 'fr', 'x', true, false, '2026-11-20 10:00:00');
INSERT INTO talk (id, case_id, adviser_id, starts_at, minutes, mode, state, created_at)
VALUES (5, 7, 3, '2027-01-05 15:10:00', 30, 'phone', 'booked', '2026-11-20 10:00:00');
INSERT INTO talk (id, case_id, adviser_id, starts_at, minutes, mode, state, created_at)
VALUES (6, 7, 3, '2026-11-21 15:00:00', 30, 'phone', 'held', '2026-11-20 10:00:00')
"""


def test_what_was_landed_is_kept_and_still_points_where_it_did(empty):
    schema.upgrade(empty, LANDED)
    with empty.app_context(), writing():
        for statement in A_FILE.split(";\n"):
            db.session.connection().exec_driver_sql(statement)
        db.session.commit()
    schema.upgrade(empty)
    assert differences(empty) == []
    with empty.app_context(), writing():
        case = db.session.get_one(Case, 7)
        assert (case.reference, case.heard, case.project.neq, case.project.version) == ("PCC-2B3C-4D5F", "", "", 3)
        assert case.contact.availability is None
        assert not case.project.supports
        message = db.session.get_one(Message, 9)
        assert db.session.get_one(Link, message.link_id).purpose is Purpose.REFERRAL
        taken = db.session.execute(select(TalkCell.at, TalkCell.talk_id).order_by(TalkCell.at)).all()
        assert [(f"{row.at:%H:%M}", row.talk_id) for row in taken] == [("15:00", 5), ("15:15", 5), ("15:30", 5)]
        db.session.commit()
        with pytest.raises(DBAPIError):
            db.session.execute(text("DELETE FROM link"))
        db.session.rollback()
        # No number of a link that existed is given to another.
        db.session.execute(text("UPDATE message SET link_id = NULL"))
        db.session.execute(text("DELETE FROM link"))
        db.session.commit()
        given = issue(Purpose.RESUME, 1, days=7).id
        assert given == 42 or db.engine.dialect.name != "sqlite"
        db.session.commit()


def test_going_back_keeps_what_was_landed_and_never_gives_a_number_of_a_link_twice(empty):
    schema.upgrade(empty, LANDED)
    with empty.app_context(), writing():
        for statement in A_FILE.split(";\n"):
            db.session.connection().exec_driver_sql(statement)
        db.session.commit()
    schema.upgrade(empty)
    with empty.app_context(), writing():
        last = issue(Purpose.CASE, 7, days=7).id
        db.session.commit()
    schema.downgrade(empty, LANDED)
    schema.upgrade(empty)
    with empty.app_context(), writing():
        assert db.session.get_one(Message, 9).link_id == 41
        again = issue(Purpose.CASE, 7, days=7).id
        assert again > last or db.engine.dialect.name != "sqlite"
        db.session.commit()


BEFORE_TURNS = "20261125_1200"
FILES = """
INSERT INTO staff (id, email, name, role, language, password_hash, active, on_duty, created_at)
VALUES (3, 'amelie@b.ca', 'Amélie', 'adviser', 'fr', 'x', true, false, '2026-01-01 10:00:00');
INSERT INTO body (id, code, kind, name_fr, name_en, short_fr, short_en, offer_fr, offer_en, territory_fr, territory_en, contact_name,
contact_email, contact_language, active, version) VALUES (90, 'cdrq', 'assistance', 'C', 'C', 'CDRQ', 'CDRQ', '', '', '', '', '', '', 'fr', true, 1);
INSERT INTO permission (id, case_id, body_id, text_version, text_shown, language, purpose, fields, how, given_at, recorded_by_id, expires_on)
SELECT n, n, 90, 'v', 't', 'fr', 'p', '[]', 'verbal', '2026-02-01 10:00:00', 3, '2027-02-01' FROM (SELECT 3 AS n UNION SELECT 5) AS numbers;
INSERT INTO referral (id, case_id, body_id, permission_id, status, purpose, shared, created_by_id, created_at, sent_at, answer_note)
SELECT n, n, 90, n, 'sent', 'p', '[]', 3, '2026-02-01 10:00:00', '2026-02-02 10:00:00', '' FROM (SELECT 3 AS n UNION SELECT 5) AS numbers;
INSERT INTO talk (id, case_id, adviser_id, starts_at, minutes, mode, state, created_at)
VALUES (1, 4, 3, '2035-01-05 15:00:00', 30, 'phone', 'booked', '2026-02-03 10:00:00');
INSERT INTO follow_up (id, case_id, owner_id, rule, title, reason, due_on, first_due_on, state, created_at, outcome)
VALUES (1, 5, 3, 'answer_person', '', '', '2026-02-09', '2026-02-09', 'todo', '2026-02-06 10:00:00', '')
"""
STOOD = {  # stage, when it was first replied to: the turn that follows, since when
    1: ("new", None, ("team", "2026-01-02 10:00:00", None)),
    2: ("paused", "2026-01-03 10:00:00", ("person", "2026-01-20 10:00:00", None)),
    3: ("referred", "2026-01-03 10:00:00", ("body", "2026-02-02 10:00:00", 90)),
    4: ("discovery", "2026-01-03 10:00:00", ("talk", "2026-02-03 10:00:00", None)),
    5: ("referred", "2026-01-03 10:00:00", ("team", "2026-02-06 10:00:00", None)),
    6: ("closed", None, ("nobody", "2026-01-20 10:00:00", None)),
    7: ("planning", "2026-01-03 10:00:00", ("team", "2026-01-20 10:00:00", None)),
}


def test_files_that_were_there_are_in_the_right_hands_and_are_found(empty):
    schema.upgrade(empty, BEFORE_TURNS)
    with empty.app_context(), writing():
        run = db.session.connection().exec_driver_sql
        first, *others = FILES.split(";\n")
        run(first)
        for number, (stage, replied, _turn) in STOOD.items():
            run(
                f"INSERT INTO contact (id, name, role, language, mode, email, phone, phone_extension) VALUES ({number}, 'Nadia n{number}', 'lead', 'fr', 'email', '', '', '')"
            )
            run(
                f"INSERT INTO project (id, name, description, sector, sector_other, stage, legal_form, region, locality, summary, version) VALUES ({number}, 'Projet {number}', 'Menuiserie', 'sharing', '', 'idea', 'coop', '06', '', '', 1)"
            )
            first_reply = f"'{replied}'" if replied else "NULL"
            run(
                "INSERT INTO case_file (id, reference, stage, stage_since, contact_id, project_id, language, source, received_at, reply_due_on, restricted, first_reply_at) "
                f"VALUES ({number}, 'PCC-2B3C-4D5{number}', '{stage}', '2026-01-20 10:00:00', {number}, {number}, 'fr', 'web', '2026-01-02 10:00:00', '2026-01-07', false, {first_reply})"
            )
        for statement in others:
            run(statement)
        db.session.commit()
    schema.upgrade(empty)
    with empty.app_context(), writing():
        for number, (_stage, _replied, (turn, since, body)) in STOOD.items():
            case = db.session.get_one(Case, number)
            assert (case.turn, f"{case.turn_since:%Y-%m-%d %H:%M:%S}", case.turn_body_id) == (turn, since, body), number
            assert (case.turn_until is not None) is (turn == "talk")
            (spell,) = db.session.scalars(select(TurnSpell).where(TurnSpell.case_id == number)).all()
            assert (spell.turn, spell.entered_at, spell.left_at) == (case.turn, case.turn_since, None)
            # What the migration said is what the rule says.
            assert settle(case) is False, number
        staff = db.session.get_one(Staff, 3)
        assert len(find(staff, read_question("menuiserie"))) == len(STOOD)
        assert [one.row.reference for one in find(staff, read_question("nadia n3"))] == ["PCC-2B3C-4D53"]
        db.session.commit()


def test_summaries_that_were_published_keep_their_figures_both_ways(empty):
    """Six figures of the first form become figures of the second: the same numbers, and what was hidden stays so."""
    shown = {
        "received": {"value": 41},
        "stages": {"new": {"value": 9}, "paused": {"hidden": True}},
        "active": {"value": 20},
        "sent": {"hidden": True},
        "acceptance": {"value": 60},
        "median_reply": {"value": 1.5},
        "no_next_step": {"value": 7},
    }
    schema.upgrade(empty, "20261128_0500")
    with empty.app_context(), writing():
        db.session.execute(
            text(
                "INSERT INTO staff (id, email, name, role, language, password_hash, active, on_duty, created_at)"
                " VALUES (1, 'a@exemple.ca', 'A', 'coordinator', 'fr', 'x', true, false, '2026-01-01 14:00:00')"
            )
        )
        db.session.execute(
            text(
                "INSERT INTO summary (id, period, first_day, last_day, definitions, figures, shown, published_at, published_by_id)"
                " VALUES (5, '2026-q2', '2026-04-01', '2026-06-30', '2026-11', '{}', :shown, '2026-07-20 14:00:00', 1)"
            ),
            {"shown": json.dumps(shown)},
        )
        db.session.commit()
    schema.upgrade(empty)
    with empty.app_context():
        (summary,) = db.session.scalars(select(Summary))
        assert (summary.id, summary.state, summary.digest, f"{summary.published_at:%F %H:%M}") == (
            5,
            "published",
            "",
            "2026-07-20 14:00",
        )
        with i18n.speaking("fr"):
            said = {line.code: line.said for line in services.report_of(summary).lines}
        assert {code: words.replace("\u00a0", " ") for code, words in said.items()} == {
            "received": "41",
            "first_reply": "1,5 jour ouvrable",
            "no_next_step_count": "7",
            "sent": "< 5",
            "accepted": "60 %",
        }
        stages = summary.shown["tables"]["active"]
        assert stages == {
            "total": {"value": 20},
            "cells": {"new": {"value": 9}, "paused": {"hidden": "masked"}},
        }
        db.session.commit()
    with empty.app_context(), writing():
        again = Summary(
            period="2026-q3", first_day=date(2026, 7, 1), last_day=date(2026, 9, 30), definitions="2026-11",
            state="draft", figures={}, shown={}, texts={}, names=[], made_at=clock.now(), digest="", version=1,
        )  # fmt: skip
        db.session.add(again)
        db.session.commit()
        assert again.id == 6, "the next number, on both databases"
        db.session.remove()
    downgrade(empty, "20261128_0500")
    with empty.app_context():
        rows = db.session.execute(text("SELECT id, period, shown FROM summary")).all()
        assert [(row.id, row.period) for row in rows] == [(5, "2026-q2")]
        back = rows[0].shown if isinstance(rows[0].shown, dict) else json.loads(rows[0].shown)
        assert back == shown
