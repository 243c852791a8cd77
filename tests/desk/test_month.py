"""The month of follow-ups and talks, and what an adviser's own calendar reads."""

from datetime import date

import pytest
import time_machine
from icalendar import Calendar

from crm import clock
from crm.access import Role
from crm.cases import services as cases
from crm.desk.month import read_month, weeks_of
from crm.reminders import services as reminders
from crm.talks import services as talks
from crm.talks.models import Mode
from tests.support.pages import words


@pytest.fixture(autouse=True)
def at_ten():
    with time_machine.travel("2026-11-25 15:00Z", tick=False):
        yield


def plan(case, people, title, due_on, minute=24 * 60):
    return reminders.plan_by_hand(
        case, title=title, reason="Prévu", due_on=due_on, owner=people.adviser, actor=people.adviser, due_minute=minute
    )


def cells(page):
    """What each day says, by day."""
    return {part.split('"')[0]: words("<p " + part) for part in page.split('<time datetime="')[1:]}


def test_a_month_shows_what_is_due_each_day_by_the_hour_and_what_is_late(make, people, session, signed_in):
    case, _ = make.only_step(people.adviser, date(2026, 11, 25), "Appeler la notaire")
    plan(case, people, "Envoyer le guide", date(2026, 11, 27), 14 * 60 + 30)
    plan(case, people, "Saluer", date(2026, 11, 27), 9 * 60)
    reminders.open_ones(case)[0].due_on = date(2026, 11, 24)
    talks.book(
        case,
        adviser=people.adviser,
        starts_at=clock.at_local(date(2026, 11, 27), 11),
        minutes=30,
        buffer=0,
        mode=Mode.PHONE,
        actor=people.adviser,
    )
    session.commit()
    seen = cells(signed_in(people.adviser).get("/staff/calendar").text)
    assert len(seen) == 35
    assert "Appeler la notaire" in seen["2026-11-24"]
    assert "En retard" in seen["2026-11-24"]
    friday = seen["2026-11-27"]
    assert friday.index("9 h Saluer") < friday.index("11 h Par téléphone") < friday.index("14 h 30 Envoyer le guide")
    assert "Aujourd’hui" in seen["2026-11-25"]


def test_a_full_day_shows_the_first_ones_and_leads_to_the_list(make, people, session, signed_in):
    case, _ = make.only_step(people.adviser, date(2026, 11, 30), "Appeler")
    for number in range(6):
        plan(case, people, f"Tâche {number}", date(2026, 12, 2))
    session.commit()
    browser = signed_in(people.adviser)
    page = browser.get("/staff/calendar?month=2026-12").text
    assert [f"Tâche {number}" in words(page) for number in range(6)] == [True] * 4 + [False] * 2
    address = page.split('<li class="quiet"><a href="')[1].split('"')[0]
    listed = words(browser.get(address).text)
    assert [f"Tâche {number}" in listed for number in range(6)] == [True] * 6
    assert "Appeler" not in listed.split("Étape")[-1]


def test_a_colleagues_month_shows_only_files_i_may_see(make, people, session, signed_in):
    case, _ = make.only_step(people.adviser, date(2026, 11, 26), "Appeler")
    hidden, _ = make.only_step(people.adviser, date(2026, 11, 26), "Relire", name="Coop réservée")
    cases.restrict(hidden, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    address = f"/staff/calendar?of={people.adviser.id}"
    for staff, sees in ((people.adviser, True), (people.other_adviser, False)):
        page = words(signed_in(staff).get(address).text)
        assert "Appeler" in page
        assert ("Relire" in page) is sees
        assert ("Coop réservée" in page) is sees
    assert "Appeler" not in words(signed_in(people.other_adviser).get("/staff/calendar").text)


@pytest.mark.parametrize(
    ("typed", "month"),
    [("2026-12", "2026-12-01"), ("", "2026-11-01"), ("2026-13", "2026-11-01"), ("0000-01", "2026-11-01"),
     ("9999-12", "2026-11-01"), ("x", "2026-11-01"), ("2026-1", "2026-11-01"), ("1999-12", "2026-11-01")],
)  # fmt: skip
def test_a_month_that_is_none_is_this_one(typed, month):
    assert read_month(typed).isoformat() == month


@pytest.mark.parametrize("month", ["2000-01", "2199-12"])
def test_the_first_and_the_last_month_are_shown(people, signed_in, month):
    page = signed_in(people.adviser).get(f"/staff/calendar?month={month}").text
    assert ("Mois précédent" in page, "Mois suivant" in page) == (
        (False, True) if month == "2000-01" else (True, False)
    )


def test_weeks_begin_on_sunday_and_are_whole():
    for month in (date(2026, 2, 1), date(2026, 11, 1), date(2027, 1, 1)):
        weeks = weeks_of(month)
        assert all(len(week) == 7 and week[0].isoweekday() == 7 for week in weeks)


def test_an_observer_has_no_calendar(people, signed_in):
    assert people.observer.role is Role.OBSERVER
    signed_in(people.observer).get("/staff/calendar", status=404)


def test_my_own_calendar_reads_follow_ups_without_what_was_typed(make, people, session, signed_in):
    case, typed = make.only_step(people.adviser, date(2026, 11, 26), "Appeler Nadia Benali")
    plan(case, people, "Saluer", date(2026, 11, 27), 14 * 60 + 30)
    reminders.plan_by_rule(case, "answered", date(2026, 11, 30), about="CDRQ")
    session.commit()
    browser = signed_in(people.adviser)
    page = browser.post("/staff/hours/feed", status=200).text
    address = page.split("http://127.0.0.1:8000")[1].split('"')[0].split("<")[0].strip()
    calendar = Calendar.from_ical(browser.get(address).data)
    events = {str(event["uid"]).split("@")[0]: event for event in calendar.walk("VEVENT")}
    assert len(events) == 3
    whole_day = events[f"follow-up-{typed.id}"]
    assert whole_day.decoded("dtstart") == date(2026, 11, 26)
    assert str(whole_day["summary"]) == f"Faire le suivi prévu {case.reference}"
    assert str(whole_day["transp"]) == "TRANSPARENT"
    starts = {str(event["summary"]): event.decoded("dtstart") for event in events.values()}
    assert any(getattr(start, "hour", None) == 14 for start in starts.values())
    assert f"Donner suite à la réponse de l’organisme {case.reference}" in starts
    assert "Nadia" not in calendar.to_ical().decode()
    assert not Calendar.from_ical(browser.get(f"{address}?only=talks").data).walk("VEVENT")
    reminders.complete(session.merge(typed), session.merge(case), people.adviser)
    session.commit()
    assert len(Calendar.from_ical(browser.get(address).data).walk("VEVENT")) == 2
