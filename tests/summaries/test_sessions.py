"""A session of the committee: what changed, what is decided, who follows it up, who was there; the team's alone."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.access import Role
from crm.desk.digest import told
from crm.summaries import services, sessions
from crm.summaries.models import Point, Session, Summary
from crm.summaries.periods import Period
from crm.timeline.models import Event
from tests.support.pages import words
from tests.support.summaries import published
from tests.support.typed import form_with

Q2, Q3 = Period.read("2026-q2"), Period.read("2026-q3")
PAGE = "/staff/summaries/2026-q3/session"


@pytest.fixture
def moment():
    with time_machine.travel(datetime(2026, 5, 4, 14, tzinfo=UTC), tick=False) as moment:
        yield moment


@pytest.fixture
def summaries(moment, make, people, session):
    """Two published quarters, of six requests and of nine."""
    for period, number in ((Q2, 6), (Q3, 9)):
        moment.move_to(clock.at_local(period.first + timedelta(days=30), 10))
        for place in range(number):
            make.case(owner=people.adviser, name=f"P {period.code} {place}", email=f"{period.code}{place}@exemple.ca")
        session.commit()
        moment.move_to(clock.at_local(period.cut_off, 10))
        published(period, people.coordinator, people.admin)
        session.commit()


def asked(browser, title="Prolonger le programme", page=PAGE) -> None:
    form = form_with(browser.get(page).text, "title")[1]
    browser.post(f"{page}/points", form | {"title": title})


def decided(session, browser, people, due: date, title="Prolonger le programme", **changes) -> Point:
    asked(browser, title)
    point = session.scalars(select(Point).order_by(Point.id.desc())).first()
    form = form_with(browser.get(f"{PAGE}/points/{point.id}").text, "decision")[1]
    typed = {"decision": "Oui, d’un an.", "owner": str(people.adviser.id), "due_on": due.isoformat()}
    browser.post(f"{PAGE}/points/{point.id}/save", form | typed | changes)
    session.expire_all()
    return point


def test_the_page_says_what_changed_since_the_last_summary(summaries, people, signed_in):
    page = signed_in(people.coordinator).get(PAGE).text
    row = page[page.index("Demandes reçues</th>") :][:300]
    assert row.index(">6<") < row.index(">9<")
    first = words(signed_in(people.coordinator).get("/staff/summaries/2026-q2/session").text)
    assert "Aucun sommaire précédent n’est publié" in first


def test_a_point_is_added_once_decided_followed_up_and_seen_to(session, summaries, people, signed_in):
    browser, adviser = signed_in(people.coordinator), signed_in(people.adviser)
    form = form_with(browser.get(PAGE).text, "title")[1] | {"title": "Prolonger le programme"}
    for _press in range(2):
        browser.post(f"{PAGE}/points", form)
    assert session.scalar(select(func.count()).select_from(Point)) == 1
    due = clock.today() + timedelta(days=5)
    point = decided(session, browser, people, due, title="Trouver un local")
    assert (point.decision, point.owner_id, point.due_on) == ("Oui, d’un an.", people.adviser.id, due)
    assert "Trouver un local" in words(adviser.get("/staff/today").text)
    assert "Trouver un local" not in words(signed_in(people.other_adviser).get("/staff/today").text)
    adviser.get(PAGE)
    for _press in range(2):
        adviser.post(f"{PAGE}/points/{point.id}/done", {"version": str(point.version)})
    session.expire_all()
    assert point.done_at is not None
    assert "Trouver un local" not in words(adviser.get("/staff/today").text)
    assert "Fait le" in words(browser.get(PAGE).text)


def test_the_mornings_mail_says_that_a_decision_waits_and_not_what_it_says(
    session, moment, summaries, people, signed_in
):
    decided(session, signed_in(people.coordinator), people, clock.today() + timedelta(days=2))
    said = told(people.adviser, clock.today())["sections"]
    assert "Séance du comité" in said
    assert f"{PAGE}" in said
    assert "Prolonger" not in said
    assert "d’un an" not in said
    moment.shift(timedelta(days=10))  # late: who coordinates is told too
    assert "Séance du comité" in told(people.coordinator, clock.today())["sections"]


def test_a_decision_of_somebody_who_left_comes_to_who_coordinates(session, summaries, people, signed_in):
    decided(session, signed_in(people.coordinator), people, clock.today() + timedelta(days=30))
    assert not sessions.to_see_to(people.coordinator)
    people.adviser.active = False
    session.commit()
    assert [one.title for one in sessions.to_see_to(people.coordinator)] == ["Prolonger le programme"]


def test_the_next_session_shows_what_became_of_the_decisions(session, moment, summaries, people, signed_in):
    browser = signed_in(people.coordinator)
    before = "/staff/summaries/2026-q2/session"
    asked(browser, "Écrire aux bailleurs", before)
    point = session.scalars(select(Point)).one()
    sessions.decide(
        point, 1, title=point.title, decision="Oui.", owner_id=people.adviser.id, due_on=clock.today() - timedelta(days=1), actor=people.admin
    )  # fmt: skip
    session.commit()
    page = words(browser.get(PAGE).text)
    assert "Décisions de la séance précédente" in page
    assert "Écrire aux bailleurs" in page
    assert "En retard" in page


def test_attendance_is_kept_and_two_who_write_at_once_lose_nothing(session, summaries, people, signed_in):
    one, other = signed_in(people.coordinator), signed_in(people.admin)
    form = form_with(one.get(PAGE).text, "others")[1]
    typed = {"held_on": "2026-10-20", "present": [str(people.observer.id)], "others": "Ana Roy, Fondaction"}
    one.post(PAGE, form | typed)
    stale = other.post(PAGE, form | {"held_on": "2026-10-21", "others": "Li Wei"}, status=409).text
    assert "Ana Roy, Fondaction" in stale
    assert "Li Wei" in stale
    session.expire_all()
    kept = session.scalars(select(Session)).one()
    assert (kept.held_on, [who.id for who in kept.present]) == (date(2026, 10, 20), [people.observer.id])
    other.post(PAGE, form_with(stale, "others")[1] | {"others": "Ana Roy, Fondaction\nLi Wei"})
    session.expire_all()
    assert kept.others.splitlines() == ["Ana Roy, Fondaction", "Li Wei"]


def test_two_who_decide_at_once_are_told(session, summaries, people, signed_in):
    browser, other = signed_in(people.coordinator), signed_in(people.admin)
    asked(browser)
    point = session.scalars(select(Point)).one()
    address = f"{PAGE}/points/{point.id}"
    form = form_with(browser.get(address).text, "decision")[1]
    other.get(address)
    browser.post(f"{address}/save", form | {"decision": "Oui."})
    stale = words(other.post(f"{address}/save", form | {"decision": "Non."}, status=409).text)
    assert "Oui." in stale
    assert "Non." in stale
    assert session.scalars(select(Point.decision)).all() == ["Oui."]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decision": ""}, "Écrivez ce qui a été décidé"),
        ({"owner": ""}, "Indiquez qui assure le suivi"),
        ({"due_on": ""}, "Choisissez une date"),
        ({"due_on": "bientôt"}, "date"),
        ({"title": " "}, "Écrivez ce qu’il faut décider"),
        ({"owner": "99999"}, "Indiquez qui assure le suivi"),
    ],
)
def test_half_a_follow_up_is_refused_and_given_back(session, summaries, people, signed_in, changes, said):
    browser = signed_in(people.coordinator)
    asked(browser)
    address = f"{PAGE}/points/{session.scalars(select(Point.id)).one()}"
    typed = {"decision": "Oui.", "owner": str(people.adviser.id), "due_on": "2026-11-01"}
    form = form_with(browser.get(address).text, "decision")[1] | typed | changes
    answer = browser.post(f"{address}/save", form, status=422).text
    assert said in words(answer)
    assert session.scalars(select(Point.decision)).one() == ""


def test_a_point_that_was_decided_is_not_taken_off(session, summaries, people, signed_in):
    browser = signed_in(people.coordinator)
    point = decided(session, browser, people, clock.today())
    browser.post(f"{PAGE}/points/{point.id}/take-off", {"version": str(point.version)}, status=409)
    asked(browser, "Autre chose")
    other = session.scalars(select(Point).where(Point.id != point.id)).one()
    browser.post(f"{PAGE}/points/{other.id}/take-off", {"version": str(other.version)})
    assert session.scalars(select(Point.title)).all() == ["Prolonger le programme"]


def test_members_of_the_committee_read_nothing_of_it_and_advisers_only_read(session, summaries, people, signed_in):
    point = decided(session, signed_in(people.coordinator), people, clock.today())
    observer, other = signed_in(people.observer), signed_in(people.other_adviser)
    observer.get(PAGE, 404)
    observer.get(f"{PAGE}/points/{point.id}", 404)
    other.get(PAGE)
    other.get(f"{PAGE}/points/{point.id}", 404)
    other.post(f"{PAGE}/points", {"title": "x", "form_key": "y"}, status=404)
    other.post(f"{PAGE}/points/{point.id}/done", {"version": str(point.version)}, status=409)
    assert point.done_at is None


def test_the_database_refuses_a_follow_up_by_nobody_and_one_of_nothing(session, summaries, people):
    sessions.add_point(Q3, "x", key="k", actor=people.coordinator)
    session.commit()
    point = session.scalars(select(Point)).one()
    for values in ({"due_on": clock.today(), "decision": "x"}, {"done_at": clock.now()}):
        for name, value in values.items():
            setattr(point, name, value)
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


def test_another_title_from_the_same_form_is_another_point(session, summaries, people, signed_in):
    """As after the browser's Back."""
    browser = signed_in(people.coordinator)
    form = form_with(browser.get(PAGE).text, "title")[1]
    for title in ("Un", "Deux", "Un"):
        browser.post(f"{PAGE}/points", form | {"title": title})
    assert session.scalars(select(Point.title).order_by(Point.id)).all() == ["Un", "Deux"]


def test_what_is_decided_otherwise_after_it_was_seen_to_is_to_be_seen_to(session, summaries, people, signed_in):
    browser = signed_in(people.coordinator)
    point = decided(session, browser, people, clock.today())
    browser.post(f"{PAGE}/points/{point.id}/done", {"version": str(point.version)})
    address = f"{PAGE}/points/{point.id}"
    form = form_with(browser.get(address).text, "decision")[1]
    browser.post(f"{address}/save", form | {"title": "Un autre titre"})
    session.expire_all()
    assert point.done_at is not None
    told = select(Event.kind).where(Event.kind.startswith("session.")).order_by(Event.id.desc())
    assert session.scalars(told).first() == "session.changed", "no decision was taken"
    form = form_with(browser.get(address).text, "decision")[1]
    browser.post(f"{address}/save", form | {"owner": str(people.other_adviser.id)})
    session.expire_all()
    assert point.done_at is None
    assert sessions.to_see_to(people.other_adviser) == [point]


def test_nobody_says_that_a_decision_they_did_not_read_was_seen_to(session, summaries, people, signed_in):
    browser, other = signed_in(people.coordinator), signed_in(people.admin)
    point = decided(session, browser, people, clock.today())
    seen = str(point.version)
    other.get(PAGE)
    address = f"{PAGE}/points/{point.id}"
    form = form_with(browser.get(address).text, "decision")[1]
    browser.post(f"{address}/save", form | {"decision": "Tout autre chose"})
    other.post(f"{address}/done", {"version": seen}, status=409)
    session.expire_all()
    assert point.done_at is None
    without = decided(session, browser, people, clock.today(), title="Sans suivi", owner="", due_on="")
    browser.post(f"{PAGE}/points/{without.id}/done", {"version": str(without.version)}, status=409)


def test_what_was_written_of_a_session_outlives_its_draft(session, moment, summaries, people, signed_in):
    moment.move_to(clock.at_local(Q3.next.cut_off, 10))
    draft = services.make(Q3.next)
    session.commit()
    browser, page = signed_in(people.coordinator), PAGE.replace("q3", "q4")
    browser.get(page.replace("/session", ""))
    browser.post(f"{page.replace('/session', '')}/discard", {"version": str(draft.version)})
    browser.get(page, 404)
    services.make(Q3.next)
    session.commit()
    asked(browser, "Prolonger", page)
    draft = session.scalars(select(Summary).where(Summary.period == "2026-q4")).one()
    browser.post(f"{page.replace('/session', '')}/discard", {"version": str(draft.version)})
    assert "Prolonger" in words(browser.get(page).text)


def test_the_same_attendance_twice_and_a_point_added_meanwhile_are_no_quarrel(session, summaries, people, signed_in):
    browser, other = signed_in(people.coordinator), signed_in(people.admin)
    form = form_with(browser.get(PAGE).text, "others")[1] | {
        "held_on": "2026-10-20",
        "present": [str(people.observer.id)],
    }
    asked(other, "Autre")
    for _press in range(2):
        browser.post(PAGE, form)
    assert session.scalars(select(Session.held_on)).all() == [date(2026, 10, 20)]


def test_a_decision_of_somebody_who_is_no_longer_of_the_team_comes_to_who_coordinates(
    session, summaries, people, signed_in
):
    decided(session, signed_in(people.coordinator), people, clock.today() + timedelta(days=30))
    people.adviser.role = Role.OBSERVER
    session.commit()
    assert [one.title for one in sessions.to_see_to(people.coordinator)] == ["Prolonger le programme"]
