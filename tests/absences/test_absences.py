"""Somebody away has a deputy: reminders go there meanwhile, and the start page says so."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from crm import clock
from crm.absences.models import Absence
from crm.absences.services import plan, stands_in
from crm.access import Role
from crm.cases.services import restrict
from crm.errors import RefusedError
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.reminders.models import FollowUp
from crm.reminders.services import queue_due
from tests.support.pages import words

pytestmark = pytest.mark.usefixtures("at_once")
PAGE = "/staff/absences"


def days(first, last):
    return clock.today() + timedelta(days=first), clock.today() + timedelta(days=last)


def sent(person, deputy, first, last):
    begins, ends = days(first, last)
    return {"staff": str(person.id), "begins_on": str(begins), "ends_on": str(ends), "deputy": str(deputy.id)}


def due(session, case):
    """The follow-ups of a file come due; to whom its reminders go."""
    for follow_up in session.scalars(select(FollowUp).where(FollowUp.case_id == case.id)):
        follow_up.due_on = clock.today() - timedelta(days=1)
    session.commit()
    queue_due()
    session.commit()
    found = session.scalars(select(Message).where(Message.case_id == case.id, Message.kind == "reminders.due"))
    return [(one.to_address, one.body) for one in found]


def test_reminders_go_to_the_deputy_while_one_is_away(make, people, session):
    plan(people.adviser, *days(-1, 3), people.other_adviser)
    first, later = make.case(owner=people.adviser), make.case(owner=people.adviser, name="Plus tard")
    ((to, body),) = due(session, first)
    assert to == people.other_adviser.email
    assert people.adviser.name in body
    session.execute(Absence.__table__.delete())
    ((to, body),) = due(session, later)
    assert to == people.adviser.email
    assert "remplacez" not in body


def test_a_file_that_the_deputy_may_not_see_stays_its_owners(make, people, session):
    plan(people.adviser, *days(0, 3), people.other_adviser)
    case = make.case(owner=people.adviser)
    restrict(case, restricted=True, readers=[], actor=people.adviser)
    ((to, _body),) = due(session, case)
    assert to == people.adviser.email


@pytest.mark.parametrize("change", ["left", "hidden", "demoted"])
def test_a_reminder_to_a_deputy_who_may_not_read_it_any_more_does_not_leave(make, people, session, change):
    plan(people.adviser, *days(-1, 3), people.other_adviser)
    case, other = make.case(owner=people.adviser), make.case(owner=people.coordinator, name="Autre")
    ((to, _body),) = due(session, case)
    assert to == people.other_adviser.email
    due(session, other)
    if change == "left":
        people.other_adviser.active = False
    elif change == "hidden":
        restrict(case, restricted=True, readers=[], actor=people.adviser)
    else:
        people.other_adviser.role = Role.OBSERVER
    session.commit()
    send_due()
    session.expire_all()
    of = {case.id: Status.DROPPED, other.id: Status.SENT}
    found = session.scalars(select(Message).where(Message.kind == "reminders.due")).all()
    assert {one.case_id: one.status for one in found} == of


def test_a_deputy_who_is_away_too_or_has_left_stands_in_for_nobody(people, session):
    today = clock.today()
    plan(people.adviser, *days(0, 3), people.other_adviser)
    assert stands_in(people.adviser, today) is people.other_adviser
    assert stands_in(people.adviser, today + timedelta(days=4)) is None
    plan(people.other_adviser, *days(0, 1), people.coordinator)
    assert stands_in(people.adviser, today) is None
    assert stands_in(people.adviser, today + timedelta(days=2)) is people.other_adviser
    people.other_adviser.active = False
    session.flush()
    assert stands_in(people.adviser, today + timedelta(days=2)) is None


def test_one_notes_ones_own_absence_and_coordinators_anybodys(make, people, session, signed_in):
    adviser, coordinator = signed_in(people.adviser), signed_in(people.coordinator)
    assert "Choisissez quelqu’un d’autre" in words(
        adviser.post(PAGE, sent(people.adviser, people.adviser, 0, 3), status=422).text
    )
    assert "vient après le premier" in words(
        adviser.post(PAGE, sent(people.adviser, people.other_adviser, 3, 0), status=422).text
    )
    adviser.post(PAGE, sent(people.other_adviser, people.coordinator, 0, 3), status=422)  # not somebody else's
    adviser.post(PAGE, sent(people.adviser, people.other_adviser, 0, 3))
    answer = adviser.post(PAGE, sent(people.adviser, people.coordinator, 2, 5), status=409)
    assert "tombe les mêmes jours" in words(answer.text)
    coordinator.post(PAGE, sent(people.other_adviser, people.coordinator, 10, 12))
    assert session.scalar(select(func.count(Absence.id))) == 2
    (mine, theirs) = session.scalars(select(Absence.id).order_by(Absence.begins_on))
    assert f"Vous remplacez {people.adviser.name}" in words(
        signed_in(people.other_adviser).get("/staff/today").text
    ) or f"You stand in for {people.adviser.name}" in words(signed_in(people.other_adviser).get("/staff/today").text)
    assert "Une absence est inscrite à votre nom" in words(adviser.get("/staff/today").text)
    adviser.post(f"{PAGE}/{theirs}/remove", {}, status=404)
    coordinator.post(f"{PAGE}/{mine}/remove", {}, status=303)
    assert session.scalars(select(Absence.id)).all() == [theirs]


def test_what_cannot_be_is_refused_by_the_verb_too(people):
    with pytest.raises(RefusedError):
        plan(people.adviser, *days(-5, -1), people.other_adviser)
    with pytest.raises(RefusedError):
        plan(people.adviser, *days(0, 500), people.other_adviser)
    with pytest.raises(RefusedError):
        plan(people.adviser, *days(0, 3), people.observer)
