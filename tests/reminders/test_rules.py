"""What comes due by itself when a file enters a stage: domain reference, sections 14.1 and 14.6."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.business_days import is_business_day
from crm.cases.vocabulary import Stage
from crm.reminders import rules
from crm.reminders.models import State

MONDAY = date(2026, 11, 23)
REPLY = date(2026, 11, 25)
# Entered on Monday, November 23, 2026. Christmas and New Year are closed days.
PLANNED = {
    "new": [("assign", "2026-11-24")],  # +1
    "contact": [
        ("reach", "2026-11-25"),
        ("reach_again", "2026-11-30"),
        ("reach_last", "2026-12-07"),
    ],  # service date, +5, +10
    "discovery": [("record", "2026-12-07")],  # +10
    "planning": [("suggest", "2026-11-30")],  # +5
    "referred": [("check_answer", "2026-11-30"), ("check_in", "2026-12-14")],  # +5, +15
    "assistance": [("check_in", "2027-01-22")],  # 60 days on: a Friday
    "financing": [("check_in", "2026-12-23")],  # 30 days on: a Wednesday
    "launched": [("launch_check", "2027-02-23"), ("launch_check", "2027-05-25"), ("launch_check", "2027-11-23")],
    "paused": [("resume", "2027-02-01")],  # the return date
    "closed": [],
}


@pytest.mark.parametrize("stage", PLANNED)
def test_entering_a_stage_plans_what_the_reference_says(stage):
    planned = rules.plan(Stage(stage), MONDAY, reply_due_on=REPLY, return_on=date(2027, 2, 1))
    assert [(one.rule, one.due_on.isoformat()) for one in planned] == PLANNED[stage]


def test_every_stage_has_a_plan():
    assert set(PLANNED) == set(Stage)


def test_a_request_taken_after_the_promised_day_is_reached_today_not_in_the_past():
    planned = rules.plan(Stage.CONTACT, date(2026, 11, 30), reply_due_on=REPLY)
    assert planned[0] == rules.Planned("reach", date(2026, 11, 30))


def test_a_request_taken_on_a_sunday_is_reached_on_monday():
    planned = rules.plan(Stage.CONTACT, date(2026, 11, 29), reply_due_on=REPLY)
    assert planned[0] == rules.Planned("reach", date(2026, 11, 30))


def test_a_pause_that_ends_on_a_saturday_comes_due_on_monday():
    planned = rules.plan(Stage.PAUSED, MONDAY, reply_due_on=REPLY, return_on=date(2027, 1, 30))
    assert planned == [rules.Planned("resume", date(2027, 2, 1))]


@given(
    st.sampled_from(Stage), st.dates(date(2025, 1, 1), date(2035, 12, 31)), st.integers(-40, 40), st.integers(1, 183)
)
def test_whatever_the_day_nothing_comes_due_on_a_closed_day_or_in_the_past(stage, day, reply_in, back_in):
    reply = day + timedelta(days=reply_in)
    for planned in rules.plan(stage, day, reply_due_on=reply, return_on=day + timedelta(days=back_in)):
        assert planned.due_on >= day
        assert is_business_day(planned.due_on) or planned.due_on == reply


@given(
    st.sampled_from([stage for stage in Stage if stage is not Stage.CLOSED]),
    st.dates(date(2025, 1, 1), date(2035, 1, 1)),
)
def test_no_open_file_is_left_without_a_next_step(stage, day):
    assert rules.plan(stage, day, reply_due_on=day)


@pytest.mark.parametrize(("days", "may"), [(-1, False), (0, True), (1, True), (730, True), (731, False)])
def test_a_person_plans_from_today_to_two_years_ahead(days, may):
    assert rules.may_be_due(MONDAY + timedelta(days=days), MONDAY) is may


def test_a_follow_up_is_to_do_done_or_cancelled():
    assert {state.value for state in State} == {"todo", "done", "cancelled"}


# --- what repeats ----------------------------------------------------------------------------------------------------

DAYS = st.dates(date(2026, 1, 1), date(2031, 12, 31))


@given(DAYS, st.sampled_from(rules.Repeat), st.integers(0, 1500))
def test_what_repeats_comes_back_on_the_first_day_of_its_series_that_is_still_ahead(begun_on, repeat, later):
    last = begun_on + timedelta(days=later)
    found = rules.following(begun_on, repeat, last)
    assert found > last
    before = begun_on
    while (following := rules.following(begun_on, repeat, before)) <= last:
        assert following > before
        before = following
    assert following == found
    assert before <= last


@pytest.mark.parametrize(
    ("begun_on", "repeat", "last", "back_on"),
    [
        ("2026-01-31", "month", "2026-02-01", "2026-02-28"),
        ("2026-01-31", "month", "2026-02-28", "2026-03-31"),  # the 31st again
        ("2024-02-29", "year", "2027-03-01", "2028-02-29"),
        ("2026-11-23", "two_weeks", "2026-12-07", "2026-12-21"),
        ("2026-11-23", "quarter", "2026-11-24", "2027-02-23"),
        ("2026-11-23", "half_year", "2027-05-23", "2027-11-23"),
    ],
)
def test_the_day_of_the_month_is_kept_from_the_first(begun_on, repeat, last, back_on):
    day = date.fromisoformat
    assert rules.following(day(begun_on), rules.Repeat(repeat), day(last)) == day(back_on)


# --- the plan as it is kept ------------------------------------------------------------------------------------------


def test_a_plan_is_kept_as_text_and_read_back():
    assert rules.read_steps(rules.write_steps(rules.DEFAULT)) == rules.DEFAULT


@pytest.mark.parametrize(
    "written", ["new a assign x business", "no a assign 1 business", "new a assign 1", "new a assign 1 weeks"]
)
def test_what_is_no_plan_is_refused(written):
    with pytest.raises(ValueError, match=".*"):
        rules.read_steps(written)


def test_two_steps_with_one_key_are_refused():
    with pytest.raises(ValueError, match="one key"):
        rules.read_steps("new a assign 1 business\nnew a assign 2 business")
