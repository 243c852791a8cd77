"""Whether the product works, as people, monitors and Prometheus are told."""

from datetime import timedelta

import pytest
from click.testing import CliRunner
from flask import current_app
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, func, select, update

from crm import cli, clock
from crm.app import create_app
from crm.cases.models import Case
from crm.db import db
from crm.jobs import Heartbeat, Job, JobFailedError, all_jobs, run_job
from crm.operations.queries import job_states
from crm.outbox.models import MailPause, Message
from crm.outbox.services import queue
from crm.reminders.models import FollowUp
from crm.reminders.services import repair_forgotten
from crm.texts import pair
from tests.conftest import settings_for
from tests.support.pages import Pages, words
from tests.support.server import environment

TOKEN = "a-token-for-figures"


@pytest.fixture
def working(session):
    """The worker ran all its jobs a moment ago."""
    for job in all_jobs():
        session.add(Heartbeat(job=job.name, host="here:1", finished_at=clock.now(), done=2))
    session.commit()


def owe(session, **values):
    message = queue(
        "intake.received",
        dedupe_key="one",
        to=("nadia@exemple.ca", "Nadia"),
        language="fr",
        values={"name": "Nadia", "reference": "PCC-2B3C-4D5F", "date": "demain"},
    )
    for name, value in values.items():
        setattr(message, name, value)
    session.commit()
    return message


def test_every_job_has_a_name_of_its_own_words_in_both_languages_and_a_function(app):
    with app.app_context():
        jobs = all_jobs()
    assert len({job.name for job in jobs}) == len(jobs) >= 15
    for job in jobs:
        assert set(pair(f"operations.job.{job.name}")) == {"fr", "en"}
        assert callable(job.run)
        assert job.every > 0


def test_each_job_is_a_command_too(app, database_url, tmp_path, people, session):
    session.commit()
    run = CliRunner(env=environment(database_url, tmp_path))
    names = run.invoke(cli.main, ["job"]).output.split()
    assert names == [job.name for job in all_jobs()]
    for name in names:
        done = run.invoke(cli.main, ["job", name])
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"{name}: ")
    assert set(session.scalars(select(Heartbeat.job))) == set(names)
    wrong = run.invoke(cli.main, ["job", "nothing"])
    assert wrong.exit_code == 1
    assert "no job is called nothing" in wrong.output


def test_a_job_that_fails_is_told_and_tried_again(session):
    outcomes = iter([ValueError("broken"), 3])

    def run():
        found = next(outcomes)
        if isinstance(found, Exception):
            raise found
        return found

    with pytest.raises(JobFailedError, match="broken"):
        run_job(current_app, Job("repair", run), strict=True)
    state = next(one for one in job_states() if one.name == "repair")
    assert (state.failing, state.error, state.late) == (True, "ValueError: broken", True)
    session.commit()  # on SQLite an open transaction of this test would keep the heartbeat from being written
    assert run_job(current_app, Job("repair", run)) == 3
    session.expire_all()
    state = next(one for one in job_states() if one.name == "repair")
    assert (state.failing, state.done, state.late) == (False, 3, False)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_coordinators_read_how_the_worker_is(working, make, people, session, signed_in, lang):
    people.coordinator.language = lang
    message = owe(session, due_at=clock.now() - timedelta(hours=2))
    session.execute(
        update(Heartbeat).where(Heartbeat.job == "remind").values(finished_at=clock.now() - timedelta(hours=1))
    )
    session.execute(
        update(Heartbeat).where(Heartbeat.job == "match").values(failed_at=clock.now(), error="ValueError: broken")
    )
    session.commit()
    page = signed_in(people.coordinator).get("/staff/worker").text
    for told in ("ValueError: broken", "here:1", pair("operations.job.remind")[lang]):
        assert told in words(page)
    assert page.count("tag--late") == 2
    assert message is not None
    signed_in(people.adviser).get("/staff/worker", 404)


def test_a_file_that_a_fault_left_without_a_next_step_is_shown_and_mended(working, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    session.execute(delete(FollowUp).where(FollowUp.case_id == case.id))
    session.commit()
    browser = signed_in(people.coordinator)
    assert case.reference in browser.get("/staff/worker").text
    assert repair_forgotten() == 1
    session.commit()
    assert case.reference not in browser.get("/staff/worker").text
    assert session.get_one(Case, case.id).next_step_on is not None


def test_a_monitor_hears_of_a_late_worker_and_of_mail_that_waits(working, pages, session):
    good = pages.get("/healthz").json
    assert (good["worker"], good["late_jobs"], good["mail"], good["mail_waits_seconds"]) == ("ok", [], "ok", 0)
    owe(session, due_at=clock.now() - timedelta(minutes=10))
    session.add(MailPause(id=1, since=clock.now(), try_at=clock.now(), said="535 secret words"))
    session.execute(update(Heartbeat).where(Heartbeat.job == "remind").values(finished_at=None))
    session.commit()
    told = pages.get("/healthz")
    assert told.json["late_jobs"] == ["remind"]
    assert told.json["mail"] == "paused"
    assert 600 <= told.json["mail_waits_seconds"] < 700
    assert "secret" not in told.text
    session.execute(update(Heartbeat).values(finished_at=clock.now() - timedelta(minutes=4)))
    session.commit()
    assert pages.get("/healthz", 503).json["worker"] == "late"


def test_figures_are_for_who_knows_the_token_and_otherwise_do_not_exist(
    working, pages, make, people, session, database_url, tmp_path
):
    pages.get("/metrics", 404)
    owe(session, due_at=clock.now() - timedelta(minutes=10))
    case = make.case(owner=people.adviser)
    session.execute(delete(FollowUp).where(FollowUp.case_id == case.id))
    session.commit()
    app = create_app(settings_for(tmp_path, database_url, CRM_METRICS_TOKEN=TOKEN))
    asked = Pages(app).client.get
    for wrong in (
        {},
        {"Authorization": "Bearer no"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer é"},
    ):
        assert asked("/metrics", headers=wrong).status_code == 404
    answer = asked("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    figures = {
        (one.name, one.labels.get("job", "")): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    assert figures["passerelle_mail_waiting", ""] == session.scalar(select(func.count(Message.id)))
    assert figures["passerelle_files_without_next_step", ""] == 1
    assert 600 <= figures["passerelle_mail_wait_seconds", ""] < 700
    assert figures["passerelle_job_late", "send"] == 0
    assert figures["passerelle_job_last_success_timestamp_seconds", "send"] == pytest.approx(
        clock.now().timestamp(), abs=600
    )
    assert "nadia" not in answer.text.lower()
