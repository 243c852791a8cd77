"""The demonstration: a believable programme, the same each time, that never mixes with real files."""

import re
import stat
from datetime import date

import pytest
from sqlalchemy import func, select, update

from crm import clock
from crm import demo as demonstration
from crm.access import Role
from crm.accounts.models import Staff
from crm.accounts.services import create_staff
from crm.app import create_app
from crm.business_days import next_business_day
from crm.cases.models import Case, Note, StageSpell
from crm.cases.queries import forgotten
from crm.cases.vocabulary import Stage
from crm.db import Base, db
from crm.feature import plugged
from crm.i18n import speaking
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.reminders.models import FollowUp, State
from crm.summaries.models import Summary
from crm.talks.models import Talk, TalkState
from crm.timeline.models import Event, EventDetail
from crm.timeline.sentences import tell
from tests.conftest import PASSWORD, settings_for
from tests.support.pages import Pages

SEED = 20261122


def load(app, cases=150, seed=SEED) -> str:
    """What loading says."""
    said = []
    demonstration.load(app, cases=cases, seed=seed, say=said.append)
    return "\n".join(said)


def counts() -> dict[str, int]:
    """How many rows each table holds."""
    return {
        name: db.session.scalar(select(func.count()).select_from(table)) for name, table in Base.metadata.tables.items()
    }


def sign_ins(said: str) -> dict[str, tuple[str, str]]:
    """Role to (address, password), the last of each role."""
    return {
        role: (email, password)
        for role, email, password in re.findall(r"^(\w+)\s+(\S+@\S+)\s+(\S+)$", said, re.MULTILINE)
    }


def test_the_programme_is_believable_and_keeps_its_promises(app, tmp_path):
    said = load(app)
    file = tmp_path / demonstration.SIGN_INS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text(encoding="utf-8").strip() in said
    with app.app_context():
        today = clock.today()
        held = counts()
        assert held["case_file"] == 150
        assert 100 < held["request"] < 150, "some came by phone or at an event"
        roles = list(db.session.scalars(select(Staff.role)))
        assert (len(roles), roles.count(Role.OBSERVER)) == (5, 1)
        assert set(db.session.scalars(select(Case.language))) == {"fr", "en"}
        assert set(db.session.scalars(select(Case.stage))) == set(Stage)
        assert set(db.session.scalars(select(Referral.status))) == set(Status)
        assert set(db.session.scalars(select(Talk.state))) == set(TalkState)
        assert db.session.scalar(select(func.count(Note.id))) > 50
        assert db.session.scalar(select(func.count(Summary.id))) >= 4
        due = set(db.session.scalars(select(FollowUp.due_on).where(FollowUp.state == State.TODO)))
        assert next_business_day(today) in due, "something is due today, or on Monday when it is Sunday"
        assert min(due) < today, "something is late"
        received = list(db.session.scalars(select(Case.received_at)))
        assert clock.local_date(min(received)) <= date.fromordinal(today.toordinal() - 500)
        assert max(db.session.scalars(select(Event.at))) <= clock.now(), "nothing happened in the future"
        assert forgotten() == []
        _check_steps()
        _check_spells()


def _check_steps():
    """Each file's next step is the earliest of its open follow-ups."""
    earliest = dict(
        db.session.execute(
            select(FollowUp.case_id, func.min(FollowUp.due_on))
            .where(FollowUp.state == State.TODO)
            .group_by(FollowUp.case_id)
        ).all()
    )
    for number, next_step_on in db.session.execute(select(Case.id, Case.next_step_on)):
        assert next_step_on == earliest.get(number)


def _check_spells():
    """The stays of each file follow each other without a hole, up to where it stands."""
    for case in db.session.scalars(select(Case)):
        spells = list(
            db.session.scalars(select(StageSpell).where(StageSpell.case_id == case.id).order_by(StageSpell.id))
        )
        assert spells[0].entered_at == case.received_at
        for one, following in zip(spells, spells[1:], strict=False):
            assert one.left_at == following.entered_at
        assert (spells[-1].stage, spells[-1].left_at, spells[-1].entered_at) == (case.stage, None, case.stage_since)


def test_every_event_is_told_in_both_languages(app):
    load(app)
    with app.app_context():
        declared = {sentence.kind: sentence for sentence in plugged("event_sentences")}
        rows = db.session.execute(
            select(Event.kind, Event.codes, EventDetail.values)
            .outerjoin(EventDetail, EventDetail.event_id == Event.id)
            .where(Event.kind != demonstration.LOADED)
        ).all()
        kinds = {row.kind for row in rows}
        assert len(kinds) > 25
        for kind, codes, detail in rows:
            assert set(codes) <= declared[kind].codes, kind
            assert set(detail or {}) <= declared[kind].detail, kind
            told = {}
            for lang in ("fr", "en"):
                with speaking(lang):
                    told[lang] = tell(kind, codes, detail)
                assert told[lang].sentence
                assert "{" not in told[lang].sentence + told[lang].body, (kind, told[lang])
            assert told["fr"].sentence != told["en"].sentence, kind


def test_its_sign_ins_open_its_pages(app):
    said = load(app)
    assert set(sign_ins(said)) == {"admin", "coordinator", "adviser", "observer"} & set(sign_ins(said)) | {
        "observer",
        "adviser",
        "coordinator",
    }
    for role, (email, password) in sign_ins(said).items():
        pages = Pages(app)
        pages.get("/staff/sign-in")
        pages.post("/staff/sign-in", {"email": email, "password": password})
        if role == "observer":
            with app.app_context():
                period = db.session.scalar(select(Summary.period).order_by(Summary.first_day.desc()))
            pages.get(f"/staff/summaries/{period}")
            pages.get("/staff/cases", status=404)
            continue
        pages.get("/staff/cases?stage=all")
        found = re.findall(r'href="(/staff/cases/[A-Z]+-\w{4}-\w{4})"', pages.last.text)
        assert len(found) == 50
        for address in found[:10]:
            pages.get(address)


def test_loading_twice_changes_nothing_and_repeats_the_sign_ins(app):
    first = load(app, cases=20)
    with app.app_context():
        before = counts()
    again = load(app, cases=20)
    with app.app_context():
        assert counts() == before
    assert "there already" in again
    assert sign_ins(again) == sign_ins(first)


def test_it_never_mixes_with_real_files(app, make, session):
    make.case()
    session.execute(update(Staff).values(email=func.replace(Staff.email, demonstration.DOMAIN, "cooperation.example")))
    session.commit()
    before = counts()
    session.rollback()
    with pytest.raises(demonstration.RealDataError, match="real files"):
        load(app)
    session.rollback()
    assert counts() == before


def test_a_load_that_stopped_before_its_end_is_told(app, session, make):
    create_staff(
        email=f"someone@{demonstration.DOMAIN}", name="Quelqu’une", role=Role.ADVISER, language="fr", password=PASSWORD
    )
    make.case()
    session.commit()
    with pytest.raises(demonstration.RealDataError, match="stopped before its end"):
        load(app)


def test_the_same_seed_gives_the_same_data_on_both_databases(migrated, postgres, tmp_path):
    migrated("postgresql")
    postgres.run("CREATE DATABASE demo_twin TEMPLATE migrated")
    folders = {kind: tmp_path / kind for kind in ("sqlite", "postgresql")}
    for folder in folders.values():
        folder.mkdir()
    (folders["sqlite"] / "crm.sqlite").write_bytes(migrated("sqlite").read_bytes())
    urls = {"sqlite": f"sqlite:///{folders['sqlite'] / 'crm.sqlite'}", "postgresql": postgres.url("demo_twin")}
    found = {}
    for kind, url in urls.items():
        app = create_app(settings_for(folders[kind], url))
        load(app, cases=60)
        with app.app_context():
            found[kind] = {
                name: db.session.execute(select(table).order_by(*table.primary_key.columns)).all()
                for name, table in Base.metadata.tables.items()
                # Passwords are random; a heartbeat or the mark of the load says when this happened.
                if name not in {"staff", "heartbeat", "event"}
            }
            found[kind]["event"] = db.session.execute(
                select(Event.__table__).where(Event.kind != demonstration.LOADED).order_by(Event.id)
            ).all()
            found[kind]["staff"] = db.session.execute(select(Staff.id, Staff.email, Staff.name, Staff.role)).all()
            db.session.remove()
            db.engine.dispose()
    postgres.run("DROP DATABASE demo_twin WITH (FORCE)")
    for name, rows in found["sqlite"].items():
        assert rows == found["postgresql"][name], name
    assert sum(map(len, found["sqlite"].values())) > 1000


def test_another_seed_gives_other_data(app, migrated, tmp_path):
    load(app, cases=20)
    with app.app_context():
        one = set(db.session.scalars(select(Case.reference)))
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "crm.sqlite"
    copy.write_bytes(migrated("sqlite").read_bytes())
    other = create_app(settings_for(tmp_path / "other", f"sqlite:///{copy}"))
    load(other, cases=20, seed=SEED + 1)
    with other.app_context():
        two = set(db.session.scalars(select(Case.reference)))
        db.session.remove()
        db.engine.dispose()
    assert len(one | two) == 40
