"""Planning and ending follow-ups by hand: the hour, what comes back, what waits for an answer, and what comes next."""

from datetime import date

import pytest
import time_machine

from crm.cases.queries import forgotten
from crm.cases.vocabulary import Stage, Turn
from crm.portal.services import write
from crm.referrals import answers
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.reminders.rules import ANY_TIME, Repeat
from tests.support.pages import words

MONDAY = "2026-11-23 15:00Z"


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


@pytest.fixture
def file(make, people):
    """An adviser's file and its only open follow-up, typed and due on Tuesday."""
    return make.only_step(people.adviser, date(2026, 11, 24), "Appeler la notaire")


def todo(session, case):
    session.expire_all()
    return reminders.open_ones(case)


def acts(signed_in, people, case, follow_up):
    browser = signed_in(people.adviser)
    return lambda verb, data=None, status=303: browser.post(
        f"/staff/cases/{case.reference}/follow-ups/{follow_up.id}/{verb}", data, status=status
    )


# --- the hour --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "minute", "said"),
    [("14:30", 870, "14 h 30"), ("", ANY_TIME, "Échéance : mercredi 25 novembre 2026, Amélie")],
)
def test_a_follow_up_may_have_an_hour(make, people, session, signed_in, typed, minute, said):
    case, first = make.only_step(people.adviser, date(2026, 11, 30), "Rappeler")
    fields = {
        "title": "Appeler le notaire",
        "reason": "Rendez-vous pris",
        "due_on": "2026-11-25",
        "due_at": typed,
        "owner": str(people.adviser.id),
    }
    browser = signed_in(people.adviser)
    browser.post(f"/staff/cases/{case.reference}/follow-ups", fields)
    assert [one.due_minute for one in todo(session, case)] == [minute, ANY_TIME]
    assert said in words(browser.get(f"/staff/cases/{case.reference}").text)


def test_an_hour_that_is_none_or_never_is_refused(make, people, signed_in):
    case = make.case(owner=people.adviser)
    fields = {"title": "Appeler", "reason": "Prévu", "owner": str(people.adviser.id)}
    browser = signed_in(people.adviser)
    for day, typed, said in (
        ("2026-11-25", "25:00", "Écrivez l’heure"),
        ("2026-11-25", "midi", "Écrivez l’heure"),
        ("2027-03-14", "2:30", "ce moment n’existe pas"),
    ):
        page = browser.post(
            f"/staff/cases/{case.reference}/follow-ups", fields | {"due_on": day, "due_at": typed}, status=422
        )
        assert said in words(page.text)


# --- what comes back -------------------------------------------------------------------------------------------------


def test_what_repeats_comes_back_once_it_is_done_and_not_before(make, people, session, signed_in, moment):
    case, first = make.only_step(people.adviser, date(2026, 12, 31), "Rappeler")
    fields = {
        "title": "Prendre des nouvelles",
        "reason": "Le groupe avance lentement",
        "due_on": "2026-11-28",  # a Saturday
        "due_at": "9:00",
        "owner": str(people.adviser.id),
        "repeat": "month",
    }
    browser = signed_in(people.adviser)
    browser.post(f"/staff/cases/{case.reference}/follow-ups", fields)
    monthly = todo(session, case)[0]
    assert (monthly.due_on, monthly.repeat) == (date(2026, 11, 30), Repeat.MONTH)
    moment.move_to("2027-01-04 15:00Z")  # late: the one of December is past already
    assert len(todo(session, case)) == 2
    browser = signed_in(people.adviser)
    browser.post(f"/staff/cases/{case.reference}/follow-ups/{monthly.id}/done", {"outcome": "Tout va bien"})
    following = next(one for one in todo(session, case) if one.repeat)
    assert (following.due_on, following.due_minute) == (date(2027, 1, 28), 540)
    assert (following.title, following.reason) == (monthly.title, monthly.reason)
    assert "Chaque mois" in words(browser.get(f"/staff/cases/{case.reference}").text)
    browser.post(f"/staff/cases/{case.reference}/follow-ups/{following.id}/cancel")
    assert [one.title for one in todo(session, case)] == ["Rappeler"], "cancelled, it does not come back"


# --- what waits for an answer ----------------------------------------------------------------------------------------


def test_a_follow_up_snoozed_until_the_person_answers_is_back_when_they_do(file, people, session, signed_in):
    case, follow_up = file
    act = acts(signed_in, people, case, follow_up)
    act("snooze", {"until": "2026-12-15", "wakes_on": "person"})
    session.expire_all()
    assert (follow_up.due_on, follow_up.wakes_on) == (date(2026, 12, 15), Turn.PERSON)
    assert follow_up.first_due_on == date(2026, 11, 24)
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "plus tôt si la personne répond" in page
    write(case, "Voici nos statuts.", "k1")
    session.commit()
    session.expire_all()
    assert (follow_up.due_on, follow_up.wakes_on, follow_up.waiting_on) == (date(2026, 11, 23), None, None)
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "Le suivi « Appeler la notaire » revient au 23 novembre 2026 : la réponse attendue est arrivée" in page


def test_one_that_waits_for_an_organization_wakes_for_it_only(make, people, session):
    referral = make.referral()
    case = referral.case if hasattr(referral, "case") else session.get_one(type(make.case()), referral.case_id)
    asked = dict(title="Voir la suite", reason="Selon la réponse", due_on=date(2026, 12, 15), owner=people.adviser)
    follow_up = reminders.plan_by_hand(case, actor=people.adviser, **asked)
    reminders.snooze(follow_up, case, date(2026, 12, 15), people.adviser, wakes_on=Turn.BODY)
    write(case, "Bonjour", "k1")
    session.commit()
    assert (follow_up.due_on, follow_up.wakes_on) == (date(2026, 12, 15), Turn.BODY)
    answers.accept(referral, "")
    session.commit()
    session.expire_all()
    assert (follow_up.due_on, follow_up.wakes_on) == (date(2026, 11, 23), None)


def test_a_day_that_has_come_is_not_moved_by_an_answer(file, session, people, moment):
    case, follow_up = file
    reminders.snooze(follow_up, case, date(2026, 11, 25), people.adviser, wakes_on=Turn.PERSON)
    session.commit()
    moment.move_to("2026-11-27 15:00Z")
    write(case, "Bonjour", "k1")
    session.commit()
    session.expire_all()
    assert (follow_up.due_on, follow_up.wakes_on) == (date(2026, 11, 25), None)


def test_moving_what_waits_on_the_person_leaves_it_their_turn(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    waits = reminders.chase(case, date(2026, 11, 27))
    session.commit()
    acts(signed_in, people, case, waits)("snooze", {"until": "2026-12-04"})
    session.expire_all()
    assert (waits.due_on, waits.waiting_on) == (date(2026, 12, 4), Turn.PERSON)


def test_a_follow_up_is_handed_to_a_colleague(file, people, session, signed_in):
    case, follow_up = file
    acts(signed_in, people, case, follow_up)("snooze", {"until": "2026-11-26", "owner": str(people.other_adviser.id)})
    session.expire_all()
    assert follow_up.owner_id == people.other_adviser.id
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "a confié à Sam Wong le suivi « Appeler la notaire »" in page


# --- what comes next -------------------------------------------------------------------------------------------------

NEXT = {"next_title": "Relire les statuts", "next_reason": "Le notaire les envoie", "next_on": "2026-12-01"}


def test_completing_plans_what_comes_next_in_the_same_press(file, people, session, signed_in):
    case, follow_up = file
    acts(signed_in, people, case, follow_up)("done", {"outcome": "Elle envoie tout"} | NEXT)
    (following,) = todo(session, case)
    assert (following.title, following.reason, following.due_on) == (
        "Relire les statuts", "Le notaire les envoie", date(2026, 12, 1),
    )  # fmt: skip
    assert following.owner_id == people.adviser.id


@pytest.mark.parametrize("left_out", NEXT)
def test_what_comes_next_is_told_whole_or_not_at_all(file, people, session, signed_in, left_out):
    case, follow_up = file
    fields = {"outcome": "Elle envoie tout"} | {name: value for name, value in NEXT.items() if name != left_out}
    page = acts(signed_in, people, case, follow_up)("done", fields, 422)
    assert "Elle envoie tout" in page.text
    assert f'href="#done-{left_out}-{follow_up.id}"' in page.text
    assert f'id="done-{left_out}-{follow_up.id}"' in page.text
    assert [one.id for one in todo(session, case)] == [follow_up.id]


def test_left_blank_the_file_is_asked_about_and_planning_anything_settles_it(file, people, session, signed_in):
    case, follow_up = file
    browser = signed_in(people.adviser)
    here = f"/staff/cases/{case.reference}"
    browser.post(f"{here}/follow-ups/{follow_up.id}/done")
    page = browser.get(here).text
    assert "Rien d’autre n’est prévu dans ce dossier : quelle est la suite?" in words(page)
    (decide,) = todo(session, case)
    assert (decide.rule, decide.due_on) == ("decide", date(2026, 11, 24))
    assert f'href="#done-next_title-{decide.id}"' in page
    refused = browser.post(f"{here}/follow-ups/{decide.id}/done", status=422)
    assert "Indiquez ce qu’il faut faire" in words(refused.text)
    assert [one.id for one in todo(session, case)] == [decide.id]
    browser.post(f"{here}/follow-ups/{decide.id}/done", NEXT)
    assert [one.title for one in todo(session, case)] == ["Relire les statuts"]
    browser.post(f"{here}/follow-ups/{decide.id}/done", NEXT, status=409)  # pressed twice
    assert [one.title for one in todo(session, case)] == ["Relire les statuts"]
    session.expire_all()
    assert session.get_one(FollowUp, decide.id).state is State.DONE
    assert forgotten() == []


def test_planning_by_the_ordinary_form_settles_what_was_to_be_decided(file, people, session, signed_in):
    case, follow_up = file
    browser, here = signed_in(people.adviser), f"/staff/cases/{case.reference}/follow-ups"
    browser.post(f"{here}/{follow_up.id}/done")
    (decide,) = todo(session, case)
    asked = {"title": "Relire", "reason": "Reçu", "due_on": "2026-12-01", "owner": str(people.adviser.id)}
    browser.post(here, asked)
    assert [one.title for one in todo(session, case)] == ["Relire"]
    done = session.get_one(FollowUp, decide.id)
    assert (done.state, done.ended_by_id) == (State.DONE, people.adviser.id)


def test_with_something_else_planned_nothing_is_asked(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    more = reminders.plan_by_hand(
        case, title="Lire", reason="Reçu", due_on=date(2026, 12, 1), owner=people.adviser, actor=people.adviser
    )
    session.commit()
    acts(signed_in, people, case, more)("done")
    assert [one.rule for one in todo(session, case)] == ["suggest"]


def test_deciding_with_something_else_planned_may_be_left_blank(make, people, session, signed_in):
    case, first = make.only_step(people.adviser, date(2026, 11, 24), "Appeler")
    reminders.complete(first, case, people.adviser)
    reminders.plan_by_rule(case, "answered", date(2026, 11, 26), about="CDRQ")
    session.commit()
    decide = next(one for one in todo(session, case) if one.rule == "decide")
    acts(signed_in, people, case, decide)("done")
    assert [one.rule for one in todo(session, case)] == ["answered"]
