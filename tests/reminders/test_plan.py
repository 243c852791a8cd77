"""The plan as coordinators change it: what a change does to the files that are open, before and after it is saved."""

from datetime import date

import pytest
import time_machine
from sqlalchemy import select

from crm.cases import services as cases
from crm.cases.queries import forgotten
from crm.cases.vocabulary import Stage
from crm.jobs import Job, run_job
from crm.reminders import plans, replanning
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.reminders.plans import Standing, changes
from crm.reminders.rules import DEFAULT, Step, Unit, read_steps
from tests.support.pages import words

MONDAY = "2026-11-23 15:00Z"
ENTERED, TODAY = date(2026, 11, 23), date(2026, 11, 25)


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


def plan_of(text):
    return read_steps(text)


WAS = plan_of("referred one check_answer 5 business\nreferred two check_in 15 business")


def change(after, standing, *, today=TODAY, before=WAS, stage=Stage.REFERRED):
    return changes(
        before, plan_of(after), stage=stage, entered_on=ENTERED, reply_due_on=ENTERED, standing=standing, today=today
    )


def made(number, rule, due_on, first=None):
    return Standing(number, rule, date.fromisoformat(due_on), date.fromisoformat(first or due_on))


AS_PLANNED = [made(1, "check_answer", "2026-11-30"), made(2, "check_in", "2026-12-14")]


# --- the rule --------------------------------------------------------------------------------------------------------


def test_a_longer_delay_moves_what_stands_as_planned_and_nothing_else():
    found = change("referred one check_answer 8 business\nreferred two check_in 15 business", AS_PLANNED)
    assert (found.moved, found.cancelled, found.created) == ({1: date(2026, 12, 3)}, [], [])


def test_what_somebody_moved_stays():
    moved_by_hand = [made(1, "check_answer", "2026-12-09", "2026-11-30"), AS_PLANNED[1]]
    assert not change("referred one check_answer 8 business\nreferred two check_in 15 business", moved_by_hand)


def test_what_is_late_stays_late():
    found = change(
        "referred one check_answer 20 business\nreferred two check_in 15 business", AS_PLANNED, today=date(2026, 12, 2)
    )
    assert not found
    assert not change("referred two check_in 15 business", AS_PLANNED, today=date(2026, 12, 2)), "nor is it taken away"


def test_a_shorter_delay_that_is_past_already_comes_due_today():
    found = change("referred one check_answer 5 business\nreferred two check_in 1 business", AS_PLANNED)
    assert found.moved == {2: TODAY}


def test_a_step_taken_away_is_cancelled_and_a_new_one_is_added_unless_it_would_be_late():
    after = "referred two check_in 15 business\nreferred own_1 own_1 10 days\nreferred own_2 own_2 1 business"
    found = change(after, AS_PLANNED)
    assert (found.moved, found.cancelled, found.created) == ({}, [1], [("own_1", date(2026, 12, 3))])


def test_of_three_steps_of_one_rule_each_follows_its_own():
    before = [step for step in DEFAULT if step.stage is Stage.LAUNCHED]
    standing = [
        made(7, "launch_check", "2027-02-23"),
        made(8, "launch_check", "2027-05-25"),
        made(9, "launch_check", "2027-11-23"),
    ]
    after = "launched launch_3 launch_check 3 months\nlaunched launch_12 launch_check 14 months"
    found = change(after, standing, before=before, stage=Stage.LAUNCHED)
    assert (found.moved, found.cancelled) == ({9: date(2028, 1, 24)}, [8])


def test_what_somebody_moved_to_the_day_of_another_step_is_not_taken_for_it():
    before = [step for step in DEFAULT if step.stage is Stage.LAUNCHED]
    standing = [
        made(7, "launch_check", "2027-05-25", "2027-02-23"),  # by hand
        made(8, "launch_check", "2027-05-25"),
    ]
    found = change("launched launch_3 launch_check 3 months", standing, before=before, stage=Stage.LAUNCHED)
    assert (found.moved, found.cancelled, found.created) == ({}, [8], [])


# --- the page --------------------------------------------------------------------------------------------------------


def sent(**changed):
    """What the browser sends of the whole table, with some fields changed."""
    fields = {"seen": "0", "do": "look"}
    for step in DEFAULT:
        if step.unit in {Unit.BUSINESS, Unit.DAYS, Unit.MONTHS}:
            fields |= {f"after-{step.key}": str(step.after), f"unit-{step.key}": step.unit.value}
    return fields | changed


def saved(browser, fields, apply="open"):
    """Look, then save what was looked at."""
    shown = browser.post("/staff/plan", fields, status=200)
    plan = shown.text.split('name="shown" value="')[1].split('"')[0]
    browser.post("/staff/plan", fields | {"do": "save", "shown": plan, "apply": apply})
    return shown.text


def todo(session, case):
    session.expire_all()
    rows = session.scalars(select(FollowUp).where(FollowUp.case_id == case.id, FollowUp.state == State.TODO))
    return sorted((one.rule or one.title, one.due_on.isoformat()) for one in rows)


def replan(app, session):
    session.commit()
    while run_job(app, Job("replan", replanning.apply_waiting), strict=True):
        pass
    session.expire_all()


def test_a_coordinator_sees_what_a_change_does_saves_it_and_open_files_follow(app, make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    reminders.plan_by_hand(
        case,
        title="Lire les statuts",
        reason="Reçus",
        due_on=date(2026, 12, 1),
        owner=people.adviser,
        actor=people.adviser,
    )
    session.commit()
    browser = signed_in(people.coordinator)
    text = {"new_stage": "planning", "new_fr": "Inviter à l'atelier", "new_en": "Invite to the workshop"}
    shown = saved(browser, sent(**{"after-suggest": "8", "new_after": "2", "new_unit": "business"}, **text))
    assert "Orientation 1 1 0 1" in words(shown)
    assert todo(session, case) == [("Lire les statuts", "2026-12-01"), ("suggest", "2026-11-30")], "the job does it"
    replan(app, session)
    assert todo(session, case) == [
        ("Lire les statuts", "2026-12-01"),
        ("own_1", "2026-11-25"),
        ("suggest", "2026-12-03"),
    ]
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "Inviter à l’atelier" in page, "its own words, with the typography mended"
    other = words(signed_in(people.other_adviser).get(f"/staff/cases/{case.reference}").text)
    assert "Invite to the workshop" in other
    assert "1 déplacés, 0 retirés, 1 ajoutés" in words(browser.get("/staff/plan").text)


def test_a_file_that_enters_the_stage_after_follows_the_new_plan_and_is_not_changed_twice(
    app, make, people, session, signed_in, moment
):
    saved(signed_in(people.coordinator), sent(**{"after-suggest": "8", "remove-reach_last": "y"}))
    moment.shift(60)
    case = make.case_at(Stage.PLANNING)
    assert todo(session, case) == [("suggest", "2026-12-03")]
    replan(app, session)
    assert todo(session, case) == [("suggest", "2026-12-03")]


def test_only_new_entries_follow_when_so_chosen(app, make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    saved(signed_in(people.coordinator), sent(**{"after-suggest": "8"}), apply="new")
    replan(app, session)
    assert todo(session, case) == [("suggest", "2026-11-30")]
    assert plans.in_force() != DEFAULT


def test_taking_away_all_that_a_file_had_leaves_it_a_step(app, make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    fields = {"remove-suggest": "y", "new_stage": "planning", "new_fr": "Appeler", "new_en": "Call", "new_after": "1"}
    session.commit()
    with time_machine.travel("2026-11-25 15:00Z", tick=False):  # the new one would be late already
        saved(signed_in(people.coordinator), sent(new_unit="business", **fields))
        replan(app, session)
        assert todo(session, case) == [("decide", "2026-11-26")]
        assert forgotten() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"after-suggest": "0"}, "Inscrivez un nombre entier de 1 à 500"),
        ({"after-suggest": "9999"}, "Inscrivez un nombre entier de 1 à 500"),
        ({"after-suggest": "2,5"}, "Inscrivez un nombre entier de 1 à 500"),
        ({"after-launch_3": "25"}, "Inscrivez un nombre entier de 1 à 24"),
        ({"unit-suggest": "weeks"}, "Inscrivez un nombre entier"),
        ({"unit-suggest": "promised"}, "Inscrivez un nombre entier"),
        ({"remove-suggest": "y"}, "Gardez au moins un suivi à l’étape « Orientation »"),
        ({"new_fr": "Appeler"}, "Choisissez une étape"),
        ({"new_stage": "closed", "new_fr": "A", "new_en": "B", "new_after": "1"}, "Choisissez une étape"),
        ({"new_stage": "planning", "new_fr": "A" * 121, "new_en": "B", "new_after": "1"}, "Raccourcissez"),
        (
            {"new_stage": "planning", "new_fr": "Appeler", "new_after": "1", "new_unit": "days"},
            "Écrivez le texte anglais",
        ),
    ],
)
def test_what_makes_no_plan_is_refused_and_what_was_typed_stays(people, signed_in, changed, said):
    browser = signed_in(people.coordinator)
    page = words(browser.post("/staff/plan", sent(**changed), status=422).text)
    assert said in page
    assert plans.in_force() == DEFAULT


def test_what_the_code_relies_on_is_not_taken_away(people, session, signed_in):
    browser = signed_in(people.coordinator)
    browser.post("/staff/plan", sent(**{"remove-assign": "y", "remove-record": "y", "remove-reach": "y"}))
    assert plans.in_force() == DEFAULT


def test_who_saves_over_a_plan_that_changed_meanwhile_is_told(people, session, signed_in):
    first, second = signed_in(people.coordinator), signed_in(people.coordinator)
    saved(first, sent(**{"after-suggest": "8"}))
    page = second.post("/staff/plan", sent(**{"after-suggest": "3"}), status=409)
    assert "Quelqu’un a changé le plan entretemps" in words(page.text)
    assert [step.after for step in plans.in_force() if step.key == "suggest"] == [8]


def test_what_was_not_looked_at_is_shown_before_it_is_saved(people, session, signed_in):
    browser = signed_in(people.coordinator)
    browser.post("/staff/plan", sent(**{"after-suggest": "8", "do": "save", "shown": "other"}), status=200)
    assert plans.in_force() == DEFAULT


def test_advisers_have_no_such_page(people, signed_in):
    signed_in(people.adviser).get("/staff/plan", status=404)


def test_a_change_is_applied_in_parts_and_goes_on_where_it_stopped(app, make, people, session, monkeypatch):
    every = [make.case_at(Stage.PLANNING) for _ in range(5)]
    monkeypatch.setattr(replanning, "AT_ONCE", 2)
    monkeypatch.setattr(replanning, "AT_WORK", 0)
    after = [
        step if step.key != "suggest" else Step("suggest", Stage.PLANNING, "suggest", 8, Unit.BUSINESS)
        for step in DEFAULT
    ]
    replanning.save(after, {}, people.coordinator, apply=True)
    session.commit()
    assert run_job(app, Job("replan", replanning.apply_waiting), strict=True) == 2
    assert [todo(session, case)[0][1] for case in every] == ["2026-12-03"] * 2 + ["2026-11-30"] * 3
    replan(app, session)
    assert [todo(session, case)[0][1] for case in every] == ["2026-12-03"] * 5
    done = replanning.last()
    assert (done.moved, done.cancelled, done.created, done.done_at is not None) == (5, 0, 0, True)


def test_leaving_the_stage_cancels_what_a_named_step_planned(make, people, session):
    replanning.save(
        (*DEFAULT, Step("own_1", Stage.PLANNING, "own_1", 2, Unit.DAYS)),
        {"own_1": ("Inviter", "Invite")},
        people.coordinator,
        apply=False,
    )
    session.commit()
    case = make.case_at(Stage.PLANNING)
    assert ("own_1", "2026-11-25") in todo(session, case)
    cases.advance(case, Stage.DISCOVERY, people.adviser, reason="À revoir")
    session.commit()
    assert [rule for rule, _day in todo(session, case)] == ["record"]
