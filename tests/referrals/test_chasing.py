"""A silent body is written to once for all its files, at its interval, twice at most; then it is a task."""

import email
import email.policy
import re
from datetime import date

import pytest
import time_machine
from sqlalchemy import select, update

from crm.cases import services as cases
from crm.cases.models import Case
from crm.cases.queries import forgotten
from crm.cases.vocabulary import Stage
from crm.jobs import Job, run_job
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.partners.models import Body
from crm.partners.services import leave
from crm.referrals import answers, chasing
from crm.referrals import services as referrals
from crm.referrals.queries import opened_by
from crm.reminders import services as reminders
from tests.support.pages import Pages, words

MONDAY = "2026-11-02 15:00Z"


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


@pytest.fixture(autouse=True)
def every_two_weeks(session, moment):
    """Bodies are written to every ten business days, unless a test says otherwise."""
    session.execute(update(Body).values(chase_days=10))
    session.commit()


@pytest.fixture
def on(app, session, moment):
    """`on("2026-11-16")` goes to that day at ten in Montréal and lets the worker work; gives the mails to bodies that left then."""
    seen = set()

    def go(day, at="15:00Z", *jobs):
        session.commit()
        moment.move_to(f"{day} {at}")
        for name, job in (("chase_bodies", chasing.chase_bodies), ("send", send_due)):
            run_job(app, Job(name, job), strict=True)
        session.expire_all()
        found = session.scalars(select(Message).where(Message.kind == "referrals.chase", Message.status == Status.SENT))
        new = [one for one in found if one.id not in seen]
        seen.update(one.id for one in new)
        return new

    return go


def file_of(session, referral):
    return session.get_one(Case, referral.case_id)


def tasks(session, case, rule="call_body"):
    return [(one.reason, one.due_on.isoformat()) for one in reminders.open_ones(case) if one.rule == rule]


def test_two_mails_ten_business_days_apart_then_a_task(make, session, on, people, signed_in):
    referral = make.referral()
    case = file_of(session, referral)
    assert on("2026-11-13") == []  # nine business days
    assert on("2026-11-14") == []  # a Saturday
    assert on("2026-11-16", "12:59Z") == []  # before eight
    (first,) = on("2026-11-16")
    assert case.reference in first.body
    assert "sans réponse depuis 10 jours ouvrables" in first.body
    assert on("2026-11-17") == []
    assert on("2026-11-27") == []
    (second,) = on("2026-11-30")
    assert second.to_address == "jean@cdrq.example"
    assert tasks(session, case) == []
    assert on("2026-12-14") == []
    assert tasks(session, case) == [("CDRQ", "2026-12-15")]
    assert on("2027-01-18") == [], "a person took over"
    assert tasks(session, case) == [("CDRQ", "2026-12-15")]
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert page.count("L’organisme silencieux a été relancé") == 2
    assert "Téléphoner à l’organisme, toujours silencieux (CDRQ)" in page


def test_a_body_of_which_nothing_else_was_said_has_one_list_each_week(make, session, on):
    session.execute(update(Body).values(chase_days=Body.__table__.c.chase_days.default.arg))
    case = file_of(session, make.referral())
    assert on("2026-11-06") == []
    assert len(on("2026-11-09")) == 1
    assert on("2026-11-13") == []
    assert len(on("2026-11-16")) == 1
    assert on("2026-11-23") == []
    assert tasks(session, case) == [("CDRQ", "2026-11-24")], "before it is given up, after twenty business days"


def test_one_mail_for_all_its_files_each_with_its_own_link(app, make, session, on, tmp_path):
    older = make.referral()
    with time_machine.travel("2026-11-06 15:00Z", tick=False):
        newer = make.referral(make.case_at(Stage.PLANNING), older.body)
    (mail,) = on("2026-11-16")
    references = [file_of(session, one).reference for one in (older, newer)]
    assert [reference in mail.body for reference in references] == [True, True]
    assert [one.chases for one in (older, newer)] == [1, 0], "the second was sent six business days ago"
    assert "Nadia" not in mail.body
    left = max((tmp_path / "mail").glob("*.eml"), key=lambda file: int(file.name.partition(".")[0]))
    sent = email.message_from_bytes(left.read_bytes(), policy=email.policy.default).get_body(("plain",)).get_content()
    addresses = re.findall(r"http://127\.0\.0\.1:8000(/fr/mise-en-relation/\S+)", sent)
    assert len(addresses) == len(set(addresses)) == 2
    assert "[link" in mail.body, "the ledger keeps no token"
    opened = [opened_by(address.rpartition("/")[2]) for address in addresses]
    assert [one.id for one in opened] == [older.id, newer.id]
    assert "Continuer" in words(Pages(app).get(addresses[0]).text)


def test_who_answers_is_not_chased_and_what_was_planned_for_it_is_done(make, session, on, people):
    referral = make.referral()
    case = file_of(session, referral)
    on("2026-11-16")
    on("2026-11-30")
    on("2026-12-14")
    assert tasks(session, case)
    answers.accept(referral, "")
    session.commit()
    session.expire_all()
    assert tasks(session, case) == []
    assert on("2026-12-29") == []


def test_an_answer_between_queueing_and_sending_takes_the_file_out_of_the_mail(app, make, session, on, moment):
    first = make.referral()
    second = make.referral(make.case_at(Stage.PLANNING), first.body)
    session.commit()
    moment.move_to("2026-11-16 15:00Z")
    run_job(app, Job("chase_bodies", chasing.chase_bodies), strict=True)
    session.expire_all()
    answers.accept(first, "")
    (mail,) = on("2026-11-16")
    assert file_of(session, second).reference in mail.body
    assert file_of(session, first).reference not in mail.body


def test_when_all_is_answered_nothing_leaves(app, make, session, on, moment):
    referral = make.referral()
    session.commit()
    moment.move_to("2026-11-16 15:00Z")
    run_job(app, Job("chase_bodies", chasing.chase_bodies), strict=True)
    session.expire_all()
    answers.accept(referral, "")
    assert on("2026-11-16") == []
    assert session.scalar(select(Message.status).where(Message.kind == "referrals.chase")) is Status.DROPPED


def test_an_interval_of_zero_is_never_and_each_body_has_its_own(make, session, on):
    never, soon = make.referral(), make.referral(make.case_at(Stage.PLANNING), make.body("pme-mtl"))
    never.body.chase_days, soon.body.chase_days = 0, 3
    assert [one.subject_ids["body"] for one in on("2026-11-05")] == [soon.body_id]
    assert [one.subject_ids["body"] for one in on("2026-11-16")] == [soon.body_id]
    assert never.chases == 0


def test_a_body_without_contact_is_a_task_at_once(make, session, on):
    referral = make.referral()
    leave(referral.body, referral.body.main)
    assert on("2026-11-16") == []
    assert tasks(session, file_of(session, referral)) == [("CDRQ", "2026-11-17")]


def test_a_file_that_only_some_may_see_is_a_task_and_not_in_the_mail(make, session, on, people):
    open_one = make.referral()
    hidden = make.referral(make.case_at(Stage.PLANNING), open_one.body)
    cases.restrict(file_of(session, hidden), restricted=True, readers=[], actor=people.adviser)
    (mail,) = on("2026-11-16")
    assert file_of(session, hidden).reference not in mail.body
    assert tasks(session, file_of(session, hidden)) == [("CDRQ", "2026-11-17")]
    assert tasks(session, file_of(session, open_one)) == []


def test_a_referral_that_is_withdrawn_leaves_nobody_to_call_and_no_file_forgotten(make, session, on, people):
    referral = make.referral()
    case = file_of(session, referral)
    for day in ("2026-11-16", "2026-11-30", "2026-12-14"):
        on(day)
    assert tasks(session, case)
    for one in reminders.open_ones(case):
        if one.rule != "call_body":
            reminders.cancel(one, case, people.adviser)
    referrals.withdraw(referral, case, people.adviser)
    session.commit()
    assert tasks(session, case) == []
    assert forgotten() == []
    assert [one.rule for one in reminders.open_ones(case)] == ["decide"]


def test_two_hundred_files_that_became_tasks_do_not_hold_the_next(make, session, on, monkeypatch):
    monkeypatch.setattr(chasing, "LISTED", 1)
    older = make.referral()
    for day in ("2026-11-16", "2026-11-30", "2026-12-14"):
        on(day)
    newer = make.referral(make.case_at(Stage.PLANNING), older.body)
    assert [file_of(session, newer).reference in mail.body for mail in on("2027-01-12")] == [True]


def test_the_history_names_only_the_files_that_the_mail_named(make, session, on, app, moment, people, signed_in):
    first = make.referral()
    second = make.referral(make.case_at(Stage.PLANNING), first.body)
    session.commit()
    moment.move_to("2026-11-16 15:00Z")
    run_job(app, Job("chase_bodies", chasing.chase_bodies), strict=True)
    session.expire_all()
    answers.accept(first, "")
    on("2026-11-16")
    told = [
        "a été relancé" in words(signed_in(people.adviser).get(f"/staff/cases/{file_of(session, one).reference}").text)
        for one in (first, second)
    ]
    assert told == [False, True]


def test_a_permission_taken_back_is_not_spoken_of(make, session, on, people):
    referral = make.referral()
    referrals.withdraw_permission(referral.permission, file_of(session, referral), people.adviser)
    assert on("2026-11-16") == []


def test_a_worker_that_slept_for_a_month_writes_once(make, session, on):
    make.referral()
    assert on("2026-12-12") == []  # a Saturday
    assert len(on("2026-12-15")) == 1
    assert on("2026-12-16") == []


def test_one_body_that_fails_does_not_hold_the_others(make, session, on, monkeypatch, caplog):
    broken = make.referral()
    whole = make.referral(make.case_at(Stage.PLANNING), make.body("pme-mtl"))
    genuine, broken_id = chasing._write, broken.body_id

    def write(body, asked, day):
        if body.id == broken_id:
            raise ValueError("broken text")
        genuine(body, asked, day)

    monkeypatch.setattr(chasing, "_write", write)
    assert [one.subject_ids["body"] for one in on("2026-11-16")] == [whole.body_id]
    assert "cannot be chased" in caplog.text


def test_the_promised_delay_of_a_body_says_when_its_answer_is_checked(make, session, people, moment):
    body = make.body()
    body.answer_days = 8
    referral = make.referral(body=body)
    case = file_of(session, referral)
    cases.advance(case, Stage.REFERRED, people.adviser)
    assert tasks(session, case, "check_answer") == [("", "2026-11-12")]
    other = make.referral(case, make.body("pme-mtl"))
    assert ("PME MTL", "2026-11-09") in tasks(session, case, "check_answer"), (
        "the plan's own, of one that promises nothing"
    )
    answers.accept(other, "")
    assert tasks(session, case, "check_answer") == [("", "2026-11-12")]
    answers.accept(referral, "")
    assert tasks(session, case, "check_answer") == []


@pytest.mark.parametrize(
    ("field", "typed"),
    [("chase_days", ""), ("chase_days", "-1"), ("chase_days", "91"), ("answer_days", "0"), ("answer_days", "x")],
)
def test_a_delay_that_is_none_is_refused(make, people, signed_in, session, field, typed):
    body = make.body()
    fields = {
        "version": str(body.version),
        "name": "Jean",
        "email": "jean@cdrq.example",
        "language": "fr",
        "chase_days": "10",
        "answer_days": "5",
    }
    signed_in(people.coordinator).post(f"/staff/partners/{body.code}", fields | {field: typed}, status=422)
    signed_in(people.coordinator).post(f"/staff/partners/{body.code}", fields)
    session.expire_all()
    assert (session.merge(body).answer_days, session.merge(body).chase_days) == (5, 10)


def test_days_are_counted_as_the_programme_counts_them():
    assert chasing.silent_for(date(2026, 12, 24), date(2027, 1, 4)) == 5
