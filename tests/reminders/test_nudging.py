"""A person who stays silent is written to once, left some days more, then it is a task; who prefers the telephone is called."""

from datetime import date

import pytest
import time_machine
from sqlalchemy import select

from crm.cases.vocabulary import ContactMode, Stage
from crm.jobs import Job, run_job
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.portal.services import write
from crm.reminders import nudging
from crm.reminders import services as reminders
from tests.support.pages import words


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel("2026-11-16 15:00Z", tick=False) as moment:
        yield moment


@pytest.fixture
def asked(make, session):
    """A file in referral planning whose person was asked something, due back on Friday the 20th."""

    def go(stage=Stage.PLANNING):
        case = make.case_at(stage)
        follow_up = reminders.chase(case, date(2026, 11, 20))
        session.commit()
        return case, follow_up

    return go


@pytest.fixture
def on(app, session, moment):
    """`on("2026-11-20")` goes to that day at ten in Montréal and lets the worker work; gives the mails that left to silent people."""
    seen = set()

    def go(day, at="15:00Z"):
        session.commit()
        moment.move_to(f"{day} {at}")
        for name, job in (("remind", reminders.queue_due), ("nudge", nudging.nudge_silent), ("send", send_due)):
            run_job(app, Job(name, job), strict=True)
        session.expire_all()
        found = session.scalars(select(Message).where(Message.kind == "reminders.nudge", Message.status == Status.SENT))
        new = [one for one in found if one.id not in seen]
        seen.update(one.id for one in new)
        return new

    return go


def test_once_when_it_comes_due_then_it_is_a_task(asked, on, session, people, signed_in):
    case, follow_up = asked()
    assert on("2026-11-19") == []
    assert on("2026-11-20", "12:59Z") == []  # before eight
    (mail,) = on("2026-11-20")
    assert mail.to_address == "nadia@exemple.ca"
    assert people.adviser.name in mail.body
    assert follow_up.due_on == date(2026, 11, 27)
    assert on("2026-11-27") == on("2026-11-30") == on("2026-12-01") == []
    assert follow_up.due_on == date(2026, 11, 27), "from now on it is the adviser's"
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "Message envoyé d’office à la personne restée silencieuse (Nadia Benali)" in page


def test_who_answers_is_not_written_to(asked, on, session, app, moment):
    case, _ = asked()
    write(case, "Me voici", "k1")
    assert on("2026-11-20") == []
    other, follow_up = asked()
    session.commit()
    moment.move_to("2026-11-20 15:00Z")
    run_job(app, Job("nudge", nudging.nudge_silent), strict=True)
    session.expire_all()
    write(other, "Me voici", "k2")  # between queueing and sending
    assert on("2026-11-20") == []
    assert session.scalar(select(Message.status).where(Message.kind == "reminders.nudge")) is Status.DROPPED


@pytest.mark.parametrize("why", ["telephone", "no address", "stage", "old"])
def test_who_is_not_written_to(asked, on, session, make, people, why):
    case, _follow_up = asked(Stage.CONTACT if why == "stage" else Stage.PLANNING)
    if why == "telephone":
        case.contact.mode, case.contact.phone = ContactMode.PHONE, "+15145550142"
    if why == "no address":
        case.contact.email = ""
    assert on("2026-12-07" if why == "old" else "2026-11-20") == []


def test_three_days_asleep_write_once(asked, on):
    asked()
    assert len(on("2026-11-24")) == 1
    assert on("2026-11-25") == []


def test_the_owner_is_not_told_that_it_is_due_while_the_person_has_another_chance(asked, on, session, at_once):
    _case, follow_up = asked()
    on("2026-11-20")
    told = select(Message.status).where(Message.kind == "reminders.due", Message.status == Status.SENT)
    assert session.scalars(told).all() == []
    on("2026-11-27")
    due = [
        one
        for one in session.scalars(select(Message).where(Message.kind == "reminders.due"))
        if one.subject_ids["follow_up"] == follow_up.id
    ]
    assert [one.status for one in due if one.subject_ids["due_on"] == "2026-11-27"] == [Status.SENT]


def test_two_things_that_wait_on_one_person_make_one_mail(asked, on, session):
    case, first = asked()
    second = reminders.chase(case, date(2026, 11, 20))
    third = reminders.chase(case, date(2026, 11, 24))
    assert len(on("2026-11-20")) == 1
    assert on("2026-11-24") == []
    assert sorted(one.due_on.isoformat() for one in (first, second)) == ["2026-11-20", "2026-11-27"]
    assert third.due_on == date(2026, 11, 24), "a task at once"


def test_a_mail_that_cannot_leave_makes_it_due_at_once(asked, on, session, app, monkeypatch):
    _case, follow_up = asked()
    session.commit()
    message = None
    with time_machine.travel("2026-11-20 15:00Z", tick=False):
        run_job(app, Job("nudge", nudging.nudge_silent), strict=True)
        session.expire_all()
        message = session.scalar(select(Message).where(Message.kind == "reminders.nudge"))
        message.status = Status.FAILED
        nudging.note_final(message)
        assert follow_up.due_on == date(2026, 11, 20)
