"""An activity is asked for once however often it is pressed, is no file, and is planned, held and counted by staff."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from crm import clock, robots
from crm.activities import services
from crm.activities.models import Activity, Kind, Spoken, State
from crm.cases.models import Case
from crm.outbox.models import Message
from tests.support.pages import words
from tests.support.typed import form_with

ADDRESS = {"fr": "/fr/activite", "en": "/en/activity"}
TYPED = {
    "organization": "Incubateur du Nord",
    "contact_name": "Zoé Roy",
    "email": "zoe@incubateur.example",
    "kind": "workshop",
    "spoken": "both",
    "audiences": ["students", "entrepreneurs"],
    "expected": "1 200",
    "place": "Villeray",
    "message": "En soirée, si possible.",
}


def shown(pages, lang="fr") -> dict:
    """The form as a person sends it: shown ten seconds ago."""
    with time_machine.travel(clock.now() - timedelta(seconds=10), tick=False):
        body = pages.get(ADDRESS[lang]).text
    return {name: value for name, value in form_with(body, "organization")[1].items() if name != robots.TRAP}


def send(pages, lang="fr", status=303, **changes):
    return pages.post(ADDRESS[lang], shown(pages, lang) | TYPED | changes, status=status)


def mails(session) -> list[str]:
    return sorted(session.scalars(select(Message.kind)))


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_an_activity_is_asked_for_and_both_sides_hear_of_it(people, session, pages, lang):
    where = send(pages, lang).headers["Location"]
    assert {"fr": "Merci", "en": "Thank you"}[lang] in words(pages.get(where).text)
    activity = session.scalars(select(Activity)).one()
    assert (activity.kind, activity.spoken, activity.expected) == (Kind.WORKSHOP, Spoken.BOTH, 1200)
    assert activity.audiences == ["students", "entrepreneurs"]
    assert activity.language == lang
    assert session.scalar(select(func.count()).select_from(Case)) == 0, "it is no file"
    assert mails(session) == ["activities.received", "activities.told"]
    thanks = session.scalars(select(Message).where(Message.kind == "activities.received")).one()
    assert (thanks.to_address, thanks.language) == ("zoe@incubateur.example", lang)
    assert "Incubateur du Nord" in thanks.body


def test_the_same_form_pressed_again_is_one_activity(people, session, pages):
    typed = shown(pages) | TYPED
    pages.post(ADDRESS["fr"], typed)
    pages.post(ADDRESS["fr"], typed)
    assert session.scalar(select(func.count()).select_from(Activity)) == 1
    assert len(mails(session)) == 2


def test_what_was_corrected_and_sent_again_is_not_thrown_away(people, session, pages):
    typed = shown(pages) | TYPED
    pages.post(ADDRESS["fr"], typed)
    pages.post(ADDRESS["fr"], typed | {"email": "zoe.roy@incubateur.example"})
    assert sorted(session.scalars(select(Activity.email))) == ["zoe.roy@incubateur.example", "zoe@incubateur.example"]


def test_a_request_set_aside_is_released_before_it_is_settled(people, session, pages, signed_in):
    send(pages, **{robots.TRAP: "x"})
    number = session.scalars(select(Activity.id)).one()
    browser = signed_in(people.adviser)
    form = form_with(browser.get(f"/staff/activities/{number}").text, "participants")[1]
    browser.post(f"/staff/activities/{number}/settle", form | {"state": "declined"}, status=409)


def test_only_five_answers_are_required_and_errors_are_told_in_both_languages(people, session, pages):
    blank = {name: "" for name in TYPED if name != "audiences"}
    refused = pages.post(ADDRESS["fr"], shown(pages) | blank, status=422).text
    assert refused.count('class="error"') == 5
    for said in ("Écrivez le nom de votre organisme", "Écrivez votre nom", "Choisissez le type d’activité", "Choisissez une langue"):  # fmt: skip
        assert said in words(refused)
    other = pages.post(ADDRESS["en"], form_with(refused, "organization")[1] | {"_lang": "en"}, status=200).text
    assert "Write the name of your organization" in words(other)
    five = {name: TYPED[name] for name in ("organization", "contact_name", "email", "kind", "spoken")}
    pages.post(ADDRESS["fr"], shown(pages) | five)
    assert session.scalar(select(func.count()).select_from(Activity)) == 1


def test_the_other_language_keeps_what_was_typed_and_scolds_nobody(people, session, pages):
    typed = shown(pages) | TYPED | {"email": "pas encore", "_lang": "en"}
    body = pages.post(ADDRESS["en"], typed, status=200).text
    assert 'lang="en-CA"' in body
    for value in ("Incubateur du Nord", "pas encore", "En soirée, si possible."):
        assert value in body
    assert 'class="error"' not in body
    assert session.scalar(select(func.count()).select_from(Activity)) == 0


WRONG = [
    ("email", "a@b.ca\nBcc: c@d.ca"), ("email", "deux@a.ca, trois@b.ca"), ("expected", "beaucoup"), ("expected", "-3"),
    ("expected", "100001"), ("expected", "٣"), ("organization", "x" * 201), ("message", "x" * 2001), ("contact_name", "a\x00b"),
    ("kind", "concert"), ("spoken", "es"), ("organization", "   "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_cannot_be_kept_is_refused_and_given_back(people, session, pages, name, value):
    body = send(pages, status=422, **{name: value}).text
    assert "Incubateur du Nord" in body or name == "organization"
    assert session.scalar(select(func.count()).select_from(Activity)) == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({robots.TRAP: "x"}, "trap"),
        ({"shown_at": "forged"}, "fast"),
        ({"message": "https://a.example https://b.example https://c.example"}, "links"),
    ],
)
def test_a_robots_is_set_aside_and_leaves_when_somebody_released_it(people, session, pages, signed_in, changes, why):
    where = send(pages, **changes).headers["Location"]
    assert "Merci" in words(pages.get(where).text), "its sender sees the ordinary confirmation"
    activity = session.scalars(select(Activity)).one()
    assert activity.suspicions == [why]
    assert mails(session) == []
    browser = signed_in(people.adviser)
    assert "En quarantaine" in words(browser.get("/staff/requests").text)
    browser.get(f"/staff/activities/{activity.id}")
    browser.post(f"/staff/activities/{activity.id}/release")
    browser.post(f"/staff/activities/{activity.id}/release")
    assert mails(session) == ["activities.received", "activities.told"]


def test_staff_take_plan_hold_and_count_it(people, session, pages, signed_in):
    send(pages)
    number = session.scalars(select(Activity.id)).one()
    address = f"/staff/activities/{number}"
    mine, theirs = signed_in(people.adviser), signed_in(people.other_adviser)
    assert "Activités demandées (1)" in words(mine.get("/staff/requests").text)
    mine.get(address)
    mine.post(f"{address}/take")
    theirs.get(address)
    theirs.post(f"{address}/take", status=409)
    planned = form_with(mine.get(address).text, "participants")[1]
    day = clock.today() + timedelta(days=20)
    mine.post(f"{address}/settle", planned | {"state": "planned"}, status=422)
    mine.post(f"{address}/settle", planned | {"state": "planned", "day": day.isoformat()})
    assert "Activités demandées" not in words(mine.get("/staff/requests").text)
    assert "Prévue" in words(mine.get("/staff/activities").text)
    stale = theirs.post(f"{address}/settle", planned | {"state": "declined", "note": "Trop loin"}, status=409).text
    assert "Trop loin" in stale
    held = form_with(mine.get(address).text, "participants")[1] | {"state": "held", "participants": "34"}
    mine.post(f"{address}/settle", held, status=422)  # the day is still to come
    mine.post(f"{address}/settle", held | {"day": clock.today().isoformat()})
    session.expire_all()
    activity = session.get(Activity, number)
    assert (activity.state, activity.participants, activity.held_on) == (State.HELD, 34, clock.today())
    assert activity.owner_id == people.adviser.id


def written(browser, **changes) -> dict:
    form = form_with(browser.get("/staff/activities/new").text, "participants")[1]
    typed = {"kind": "wg_financing", "spoken": "both", "day": clock.today().isoformat(), "participants": "9"}
    return form | typed | changes


def test_the_team_writes_down_what_it_held_with_the_bodies_present_however_often_it_is_pressed(
    people, session, make, signed_in
):
    bodies = [make.body(code).code for code in ("fondaction", "pme-mtl")]
    browser = signed_in(people.adviser)
    form = written(browser, bodies=bodies, audiences=["funders"])
    where = browser.post("/staff/activities/new", form).headers["Location"]
    assert browser.post("/staff/activities/new", form).headers["Location"] == where
    activity = session.scalars(select(Activity)).one()
    assert (activity.state, activity.held_on, activity.participants) == (State.HELD, clock.today(), 9)
    assert (activity.kind, activity.owner_id) == (Kind.GROUP_FINANCING, people.adviser.id)
    assert {body.code for body in activity.bodies} == set(bodies)
    page = words(browser.get(where).text)
    for said in ("Groupe de travail sur le financement", "Fondaction", "PME MTL", "Inscrite le"):
        assert said in page
    assert mails(session) == [], "nobody asked, so nobody is answered"
    assert "Groupe de travail sur le financement" in words(browser.get("/staff/activities").text)


def test_what_was_changed_after_going_back_is_another_activity(people, session, signed_in):
    browser = signed_in(people.adviser)
    form = written(browser)
    for people_there in ("9", "30", "9"):
        browser.post("/staff/activities/new", form | {"participants": people_there})
    assert sorted(session.scalars(select(Activity.participants))) == [9, 30]


def test_a_planned_activity_that_moves_keeps_the_bodies_written_down_for_it(people, session, make, signed_in):
    body, browser = make.body("fondaction").code, signed_in(people.adviser)
    day = clock.today() + timedelta(days=9)
    where = browser.post("/staff/activities/new", written(browser, day=day.isoformat(), bodies=[body])).headers[
        "Location"
    ]
    moved = form_with(browser.get(where).text, "participants")[1] | {"day": (day + timedelta(days=7)).isoformat()}
    browser.post(f"{where}/settle", moved)
    activity = session.scalars(select(Activity)).one()
    assert [one.code for one in activity.bodies] == [body]


def test_a_day_to_come_is_planned_and_counted_once_it_was_held(people, session, make, signed_in):
    body = make.body("fondaction").code
    browser = signed_in(people.adviser)
    day = clock.today() + timedelta(days=9)
    form = written(browser, day=day.isoformat(), participants="")
    where = browser.post("/staff/activities/new", form).headers["Location"]
    activity = session.scalars(select(Activity)).one()
    assert (activity.state, activity.planned_on, activity.participants) == (State.PLANNED, day, None)
    held = form_with(browser.get(where).text, "participants")[1]
    held |= {"state": "held", "day": clock.today().isoformat(), "participants": "6", "bodies": [body]}
    browser.post(f"{where}/settle", held)
    session.expire_all()
    assert (activity.state, activity.participants) == (State.HELD, 6)
    assert [one.code for one in activity.bodies] == [body]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"day": ""}, "Choisissez une date"),
        ({"day": "31 février"}, "date"),
        ({"participants": ""}, "Écrivez combien de personnes"),
        ({"participants": "beaucoup"}, "25"),
        ({"kind": "concert"}, "Choisissez le type d’activité"),
        ({"organization": "x" * 201}, "200"),
    ],
)
def test_what_cannot_be_written_down_is_given_back(people, session, make, signed_in, changes, said):
    body = make.body("fondaction").code
    browser = signed_in(people.adviser)
    answer = browser.post("/staff/activities/new", written(browser, bodies=[body], **changes), status=422).text
    assert said in words(answer)
    again = form_with(answer, "participants")[1]
    assert again["bodies"] in (body, [body]), "what was ticked is still ticked"
    assert session.scalar(select(func.count()).select_from(Activity)) == 0


def test_unknown_bodies_and_audiences_are_left_out_and_working_groups_cannot_be_asked_for(
    people, session, pages, signed_in
):
    browser = signed_in(people.adviser)
    browser.post("/staff/activities/new", written(browser, bodies=["nobody", "'; --"], audiences=["x"]))
    activity = session.scalars(select(Activity)).one()
    assert (activity.bodies, activity.audiences) == ([], [])
    send(pages, status=422, kind="wg_financing")


def test_the_database_refuses_an_activity_that_was_held_on_no_day_or_by_nobody(people, session, pages):
    send(pages)
    activity = session.scalars(select(Activity)).one()
    activity.state = State.HELD
    with pytest.raises(IntegrityError):
        session.flush()


def test_the_duty_person_is_not_told_of_what_was_settled_meanwhile(people, session, pages):
    send(pages)
    activity = session.scalars(select(Activity)).one()
    told = session.scalars(select(Message).where(Message.kind == "activities.told")).one()
    assert services.still_asked(told)
    services.settle(activity, State.DECLINED, people.adviser, seen_version=activity.version)
    session.commit()
    assert not services.still_asked(told)
