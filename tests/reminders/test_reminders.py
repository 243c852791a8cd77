"""A follow-up that comes due reaches its owner once, and only while it is still true."""

import email
import email.policy
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from click.testing import CliRunner
from flask import current_app
from sqlalchemy import func, select, text

from crm import cli, clock
from crm.cases import services as cases
from crm.cases.queries import forgotten
from crm.jobs import Job, run_job
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.outbox.services import COPIED, send_again
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.timeline.models import Event
from tests.support.pages import words
from tests.support.plans import as_if_full
from tests.support.plans import plan as plan_of
from tests.support.server import Product, environment

pytestmark = pytest.mark.usefixtures("at_once")
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TUESDAY = date(2026, 11, 24)
TUESDAY_AT_EIGHT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


@pytest.fixture
def moment():
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


@pytest.fixture
def plan(moment, make, people):
    """`plan(owner)` gives a file of the owner's, and its only open step, due on Tuesday."""
    return lambda owner=None, due_on=TUESDAY: make.only_step(owner or people.adviser, due_on, "Appeler la notaire")


@pytest.fixture
def work(session):
    """Rounds of the worker's jobs: `work("remind", "send")`; both without a name."""
    known = {"remind": reminders.queue_due, "send": send_due}

    def go(*names):
        session.commit()
        for name in names or known:
            run_job(current_app, Job(name, known[name]))
        session.expire_all()

    return go


@pytest.fixture
def sent(tmp_path):
    """The mail that left, oldest first."""

    def go():
        files = sorted((tmp_path / "mail").glob("*.eml"), key=lambda file: int(file.name.partition(".")[0]))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]

    return go


def receivers(sent):
    return [mail["To"].addresses[0].addr_spec for mail in sent()]


@pytest.mark.parametrize(
    ("who", "subject", "sentence"),
    [
        ("adviser", "Rappel : Appeler la notaire", "Rappel envoyé à Amélie Tremblay : Appeler la notaire"),
        ("other_adviser", "Reminder: Appeler la notaire", "Reminder sent to Sam Wong: Appeler la notaire"),
    ],
)
def test_a_due_follow_up_reminds_its_owner_once_in_the_owners_language(
    moment, plan, people, work, sent, session, signed_in, who, subject, sentence
):
    owner = getattr(people, who)
    case, _ = plan(owner)
    moment.move_to(TUESDAY_AT_EIGHT)
    for _ in range(3):
        work()
    (mail,) = sent()
    assert mail["To"].addresses[0].addr_spec == owner.email
    assert mail["Subject"] == f"{subject} ({case.reference})"
    assert f"/staff/cases/{case.reference}" in mail.get_body(("plain",)).get_content()
    assert "Nadia" not in mail.get_body(("plain",)).get_content(), "who asks stays in the file"
    assert session.scalar(select(func.count(Event.id)).where(Event.kind == "reminder.sent")) == 1
    assert sentence in words(signed_in(owner).get(f"/staff/cases/{case.reference}").text)


@pytest.mark.parametrize(
    ("due_on", "eight"),
    [(TUESDAY, TUESDAY_AT_EIGHT), (date(2027, 7, 6), datetime(2027, 7, 6, 12, 0, tzinfo=UTC))],
    ids=["in winter", "in summer"],
)
def test_a_reminder_leaves_at_eight_in_montreal_not_before(moment, plan, work, sent, due_on, eight):
    plan(due_on=due_on)
    moment.move_to(eight - timedelta(days=1))
    work()
    moment.move_to(eight - timedelta(seconds=1))
    work()
    assert sent() == []
    moment.move_to(eight)
    work()
    assert len(sent()) == 1


def test_a_late_follow_up_is_reminded_of_before_eight_too(moment, plan, work, sent):
    plan()
    moment.move_to(TUESDAY_AT_EIGHT + timedelta(hours=17))
    work()
    assert len(sent()) == 1


def test_a_reminder_goes_to_the_new_owner_when_the_file_changed_hands_before_it_left(
    moment, plan, people, work, sent, session
):
    case, _ = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    cases.assign(case, people.other_adviser, people.coordinator)
    work("send")
    assert session.scalar(select(Message.status)) is Status.DROPPED
    work()
    assert receivers(sent) == [people.other_adviser.email]


def test_a_reminder_is_not_lost_when_the_file_goes_away_and_comes_back_before_it_left(moment, plan, people, work, sent):
    case, _ = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    cases.assign(case, people.other_adviser, people.coordinator)
    work("send")
    cases.assign(case, people.adviser, people.coordinator)
    work()
    assert receivers(sent) == [people.adviser.email]


def test_a_reminder_is_not_lost_when_its_date_is_moved_and_moved_back_before_it_left(moment, plan, people, work, sent):
    case, follow_up = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    reminders.snooze(follow_up, case, TUESDAY + timedelta(days=1), people.adviser)
    work("send")
    reminders.snooze(follow_up, case, TUESDAY, people.adviser)
    work()
    assert receivers(sent) == [people.adviser.email]


@pytest.mark.parametrize("verb", [reminders.complete, reminders.cancel])
def test_nobody_is_reminded_of_what_was_ended_meanwhile(moment, plan, people, work, sent, session, verb):
    case, follow_up = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    verb(follow_up, case, people.adviser)
    work()
    assert sent() == []
    assert session.scalar(select(Message.status)) is Status.DROPPED


def test_a_snoozed_follow_up_reminds_on_its_new_day_only(moment, plan, people, work, sent):
    case, follow_up = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    reminders.snooze(follow_up, case, TUESDAY + timedelta(days=2), people.adviser)
    work()
    assert sent() == []
    moment.shift(timedelta(days=1))
    work()
    assert sent() == []
    moment.shift(timedelta(days=1))
    for _ in range(2):
        work()
    assert receivers(sent) == [people.adviser.email]


@pytest.mark.parametrize("before_leaving", [True, False], ids=["queued already", "not queued yet"])
def test_what_a_leaver_had_to_do_reminds_the_duty_person(
    moment, plan, people, work, sent, session, database_url, tmp_path, before_leaving
):
    case, _ = plan()
    moment.move_to(TUESDAY_AT_EIGHT)
    if before_leaving:
        work("remind")
    leaver = people.adviser.email
    session.commit()  # on SQLite an open transaction of this test would hold the command up
    done = CliRunner().invoke(cli.main, ["deactivate-staff", leaver], env=environment(database_url, tmp_path))
    assert done.exit_code == 0, done.output
    work()
    assert receivers(sent) == [people.coordinator.email]
    assert case.owner_id == people.coordinator.id
    assert forgotten() == []


@pytest.mark.parametrize("verb", [reminders.complete, reminders.cancel])
def test_a_file_whose_last_step_ends_gets_a_new_one(moment, plan, people, session, verb):
    case, follow_up = plan()
    verb(follow_up, case, people.adviser)
    session.commit()
    (left,) = reminders.open_ones(case)
    assert (left.rule, left.owner_id) == ("decide", people.adviser.id)
    assert left.due_on == TUESDAY == case.next_step_on
    assert forgotten() == []
    verb(left, case, people.adviser)
    session.commit()
    assert len(reminders.open_ones(case)) == 1


def test_completing_on_the_page_leaves_a_step_too(moment, plan, people, session, signed_in):
    case, follow_up = plan()
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    adviser.post(f"/staff/cases/{case.reference}/follow-ups/{follow_up.id}/done", {"outcome": "Statuts reçus"})
    page = words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert "Décider de la prochaine étape" in page
    assert "Statuts reçus" in page
    session.expire_all()
    assert follow_up.state is State.DONE


def test_after_three_days_of_sleep_the_worker_sends_each_reminder_once(moment, plan, people, work, sent, session):
    planned = [plan(due_on=TUESDAY + timedelta(days=days)) for days in range(3)]
    reminders.complete(planned[1][1], planned[1][0], people.adviser)
    for one in reminders.open_ones(planned[1][0]):
        one.due_on = TUESDAY + timedelta(days=30)
    moment.move_to(TUESDAY_AT_EIGHT + timedelta(days=3))
    for _ in range(3):
        work()
    subjects = [mail["Subject"] for mail in sent()]
    assert sorted(subjects) == sorted(
        f"Rappel : Appeler la notaire ({case.reference})" for case, _ in (planned[0], planned[2])
    )


def test_reminders_that_leave_together_are_asked_each_for_itself(moment, plan, people, work, sent, session):
    """Two follow-ups that are due, a further copy of a reminder, one that was done meanwhile, and one whose row cannot be read."""
    planned = [plan() for _ in range(4)]
    moment.move_to(TUESDAY_AT_EIGHT)
    work("remind")
    by_case = {one.case_id: one for one in session.scalars(select(Message).where(Message.kind == "reminders.due"))}
    first, second, done, broken = (by_case[case.id] for case, _ in planned)
    work("send")
    assert len(sent()) == 4
    copies = [send_again(one) for one in (first, second, done, broken)]
    session.flush()
    copies.append(copy_anew(session, copies[0]))
    reminders.complete(planned[2][1], planned[2][0], people.adviser)
    copies[3].subject_ids = {}
    work("send")
    assert [one.status for one in copies] == [Status.SENT, Status.SENT, Status.DROPPED, Status.FAILED, Status.SENT]
    assert len(sent()) == 7
    left = session.scalars(select(Event).where(Event.kind == "reminder.sent")).all()
    assert sorted(one.codes["message"] for one in left) == sorted(
        one.id for one in (first, second, done, broken, *(copies[n] for n in (0, 1, 4)))
    )


def copy_anew(session, message):
    """A second copy that waits with another of the same reminder."""
    copied = {name: getattr(message, name) for name in (*COPIED, "created_at", "first_due_at", "due_at", "status")}
    another = Message(**copied, dedupe_key="another", attempts=0, unknowns=0)
    session.add(another)
    return another


def test_two_workers_remind_each_owner_once(make, people, session, database_url, tmp_path):
    case = make.case(owner=people.adviser)
    late = clock.today() - timedelta(days=10)
    for number in range(40):
        reminders.plan_by_hand(
            case, title=f"Étape {number}", reason="", due_on=late, owner=people.adviser, actor=people.adviser
        )
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        both = [product.command("send-due") for _ in range(2)]
        for process in both:
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
    finally:
        product.stop()
    titles = {f"Étape {number}" for number in range(40)}
    reminded = session.scalars(
        select(FollowUp).where(FollowUp.title.in_(titles), FollowUp.reminded_on.is_not(None))
    ).all()
    assert len(reminded) == 40
    messages = session.scalars(select(Message).where(Message.kind == "reminders.due")).all()
    assert sorted(one.subject_ids["follow_up"] for one in messages) == sorted(one.id for one in reminded)
    assert {(one.status, one.attempts) for one in messages} == {(Status.SENT, 1)}
    assert session.scalar(select(func.count(Event.id)).where(Event.kind == "reminder.sent")) == 40


# What SQLite counted in a programme of a million files, and in one of a thousand files with a thousand follow-ups each.
COUNTED = {
    "many files": {"ix_follow_up_owner": "248875 1001 501", "ix_follow_up_to_remind": "183953 334"},
    "many on each": {
        "ix_follow_up_owner": "670505 470 11",
        "ix_follow_up_to_remind": "670000 667",
        "ix_follow_up_case": "1009095 101 53",
        "ix_case_stage": "1000 100 1 1 1 1 1",
        "sqlite_autoindex_case_file_1": "1000 1",
    },
}


@pytest.mark.parametrize("counted", COUNTED.values(), ids=COUNTED)
def test_what_is_due_is_found_by_its_own_index_in_its_order(session, kind, counted):
    """Otherwise each person's whole late list, or all that is planned on each file, would be read and sorted for the few of which nothing was said yet."""
    as_if_full(session)
    if kind == "sqlite":
        for index, figures in counted.items():
            values = {"index": index, "figures": figures}
            session.execute(text("UPDATE sqlite_stat1 SET stat = :figures WHERE idx = :index"), values)
        session.execute(text("ANALYZE sqlite_schema"))
    said = "\n".join(plan_of(session, reminders.to_remind(), {"last": date(2026, 11, 24), "at_most": 500}))
    assert "ix_follow_up_to_remind" in said if kind == "sqlite" else "ix_follow_up_" in said, said
    assert kind != "sqlite" or "TEMP B-TREE" not in said, said
