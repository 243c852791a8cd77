"""Whose turn it is: the rule by a table, and that every verb leaves the file in the right hands."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm import clock
from crm.business_days import add_business_days
from crm.cases import services as cases
from crm.cases import turns
from crm.cases.models import Case, TurnSpell
from crm.cases.settling import settle
from crm.cases.turns import Claim, held, whose
from crm.cases.vocabulary import ClosingReason, Stage, Turn
from crm.jobs import run_job
from crm.portal.conversation import write_to_person
from crm.portal.services import write
from crm.referrals import answers
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.talks import services as talks
from crm.talks.models import Mode, TalkState
from tests.support.pages import words
from tests.support.typed import form_with

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
BEFORE, LATER, LONG_AGO = NOW - timedelta(days=2), NOW + timedelta(days=2), NOW - timedelta(days=9)
WAS = Claim(Turn.TEAM, LONG_AGO)
BODY, BODY_OLDER = Claim(Turn.BODY, BEFORE, None, 4), Claim(Turn.BODY, LONG_AGO, None, 5)
TALK, TALK_OVER = Claim(Turn.TALK, BEFORE, LATER), Claim(Turn.TALK, LONG_AGO, BEFORE)
ASKED = Claim(Turn.PERSON, BEFORE)  # until it is answered
PERSON, OURS = Claim(Turn.PERSON, BEFORE, LATER), Claim(Turn.TEAM, BEFORE)


@pytest.mark.parametrize(
    ("stage", "claims", "owed", "was", "wanted"),
    [
        (Stage.CLOSED, [OURS, TALK], None, WAS, Claim(Turn.NOBODY, BEFORE)),
        (Stage.PLANNING, [], None, WAS, WAS),
        (Stage.PLANNING, [], None, BODY, Claim(Turn.TEAM, NOW)),
        (Stage.PLANNING, [], None, TALK_OVER, Claim(Turn.TEAM, BEFORE)),
        (Stage.PLANNING, [TALK_OVER], None, WAS, WAS),
        (Stage.NEW, [], LONG_AGO, WAS, Claim(Turn.TEAM, LONG_AGO)),
        (Stage.NEW, [BODY, PERSON], LONG_AGO, WAS, Claim(Turn.TEAM, LONG_AGO)),
        (Stage.NEW, [TALK], LONG_AGO, WAS, TALK),
        (Stage.REFERRED, [BODY, BODY_OLDER, PERSON], None, WAS, BODY_OLDER),
        (Stage.REFERRED, [BODY, TALK, PERSON, OURS], None, WAS, OURS),
        (Stage.REFERRED, [BODY, TALK], None, WAS, TALK),
        (Stage.PLANNING, [PERSON], None, WAS, PERSON),
        (Stage.PLANNING, [PERSON, ASKED], None, WAS, ASKED),
        (Stage.PAUSED, [], None, WAS, Claim(Turn.PERSON, BEFORE)),
    ],
)  # fmt: skip
def test_who_holds_a_file(stage, claims, owed, was, wanted):
    assert whose(stage, claims, now=NOW, was=was, stage_since=BEFORE, unanswered_since=owed) == wanted


def test_days_that_each_held_a_file():
    spells = [(Turn.TEAM, LONG_AGO, BEFORE), (Turn.BODY, BEFORE, None), (Turn.TEAM, NOW - timedelta(hours=5), NOW)]
    assert held(spells, NOW) == {Turn.TEAM: 7, Turn.BODY: 2}


def hands(session, case):
    """Who held the file one after the other; the last is who holds it."""
    session.commit()
    session.expire_all()
    spells = session.scalars(select(TurnSpell).where(TurnSpell.case_id == case.id).order_by(TurnSpell.id)).all()
    assert [spell.left_at for spell in spells[:-1]] == [spell.entered_at for spell in spells[1:]]
    assert spells[-1].left_at is None
    assert (spells[-1].turn, spells[-1].body_id) == (case.turn, case.turn_body_id)
    return [spell.turn for spell in spells]


def test_a_file_changes_hands_as_things_happen(make, people, session):
    case = make.case_at(Stage.PLANNING)
    assert hands(session, case) == [Turn.TEAM]
    body = make.body()
    referral = make.referral(case=case, body=body)
    assert hands(session, case) == [Turn.TEAM, Turn.BODY]
    assert (case.turn_body_id, case.turn_since) == (body.id, referral.sent_at)
    answers.accept(referral, "")
    assert hands(session, case) == [Turn.TEAM, Turn.BODY, Turn.TEAM]
    for one in session.scalars(select(FollowUp).where(FollowUp.case_id == case.id, FollowUp.rule == "answered")).all():
        reminders.complete(one, case, people.adviser)
    reminders.chase(case, clock.today() + timedelta(days=10))
    assert hands(session, case)[-1] is Turn.PERSON
    assert case.turn_until == clock.at_local(add_business_days(clock.today() + timedelta(days=9), 1), 0)
    write(case, "J’ai une question.", "key")
    assert hands(session, case)[-1] is Turn.TEAM
    write_to_person(case, "Voici la réponse.", "other key", people.adviser)
    assert hands(session, case)[-1] is Turn.TEAM, "they wrote: we no longer wait for them"
    talk = talks.book(
        case, adviser=people.adviser, starts_at=clock.now() + timedelta(days=3), minutes=30, mode=Mode.PHONE,
        actor=people.adviser,
    )  # fmt: skip
    assert hands(session, case)[-1] is Turn.TALK
    assert case.turn_until == talk.starts_at
    talks.settle(talk, case, TalkState.CANCELLED, people.adviser, "")
    assert hands(session, case)[-1] is Turn.TEAM
    cases.advance(
        case, Stage.CLOSED, people.adviser, reason="Fini.", closing_reason=ClosingReason.WITHDRAWN, person_told="told"
    )
    assert hands(session, case)[-1] is Turn.NOBODY


def test_a_new_request_is_ours_since_it_came_until_a_talk_is_booked(make, people, session):
    case = make.case(owner=people.adviser, received_at=clock.now() - timedelta(days=2))
    assert hands(session, case) == [Turn.TEAM]
    assert case.turn_since == case.received_at


def test_a_wait_that_is_over_comes_back_to_the_team_at_its_instant(app, make, people, session):
    with time_machine.travel("2026-11-02 15:00Z", tick=False):
        case = make.case_at(Stage.PLANNING)
        reminders.plan_by_hand(
            case, title="Relire le plan", reason="Elle l’envoie", due_on=clock.today() + timedelta(days=7),
            owner=people.adviser, actor=people.adviser, waiting_on=Turn.PERSON,
        )  # fmt: skip
        assert hands(session, case)[-1] is Turn.PERSON
    job = next(one for one in app.extensions["features"]["jobs"] if one.name == "turns")
    with time_machine.travel("2026-11-08 15:00Z", tick=False):
        assert run_job(app, job) == 0
    with time_machine.travel("2026-11-09 15:00Z", tick=False):
        session.expire_all()
        assert turns.now_on(case, clock.now()) == Claim(Turn.TEAM, clock.at_local(clock.today(), 0))
        session.commit()
        assert run_job(app, job) == 1
        assert run_job(app, job) == 0
        assert hands(session, case)[-1] is Turn.TEAM
        assert case.turn_since == clock.at_local(clock.today(), 0)
        assert session.scalar(select(FollowUp.state).where(FollowUp.title == "Relire le plan")) is State.TODO


def test_what_is_taken_back_moves_nothing(make, people, session):
    case = make.case_at(Stage.PLANNING)
    session.commit()
    reminders.chase(case, clock.today() + timedelta(days=10))
    session.rollback()
    assert hands(session, case) == [Turn.TEAM]


def test_the_case_page_says_whose_turn_and_for_how_long(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    make.referral(case=case, body=make.body())
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "À qui le tour : CDRQ , depuis le" in page
    assert "L’équipe 0 jour, Un organisme 0 jour" in page


def test_an_adviser_says_that_the_person_is_to_act(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    browser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}"
    on = add_business_days(clock.today(), 6)
    browser.get(address)
    typed = {"title": "Relancer", "reason": "Plan promis", "due_on": on.isoformat(), "owner": str(people.adviser.id)}
    browser.post(f"{address}/follow-ups", typed | {"waiting_on": "person"})
    assert "À qui le tour : La personne , depuis le" in words(browser.get(address).text)
    assert hands(session, case)[-1] is Turn.PERSON
    # With a message, too: the day on which to get back is the end of the person's turn.
    other = make.case_at(Stage.PLANNING)
    browser.get(f"/staff/cases/{other.reference}/message")
    address, form = form_with(browser.last.text, "chase_on")
    browser.post(address, form | {"body": "Pouvez-vous nous l’envoyer?", "chase_on": on.isoformat()})
    assert hands(session, other)[-1] is Turn.PERSON
    assert other.turn_until == clock.at_local(on, 0)
    browser.get(f"/staff/cases/{other.reference}/message")
    address, form = form_with(browser.last.text, "chase_on")
    wrong = form | {"body": "Encore.", "chase_on": "2020-01-01"}
    assert "Choisissez une date" in words(browser.post(address, wrong, status=422).text)


def test_every_file_of_the_demonstration_is_in_the_hands_that_the_rule_gives(app, session):
    from crm import demo

    session.commit()
    demo.load(app, cases=120, seed=3, say=lambda _line: None)
    session.expire_all()
    cases_there = session.scalars(select(Case)).all()
    assert {case.turn for case in cases_there} == set(Turn)
    for case in cases_there:
        before = (case.turn, case.turn_body_id)
        lapsed = case.turn_until is not None and case.turn_until <= clock.now()
        assert settle(case) is lapsed, (case.reference, before, case.turn)
