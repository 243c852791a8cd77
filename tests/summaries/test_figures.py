"""The figures of a period, worked out by hand: domain reference, sections 17.1 and 17.2."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.summaries.figures import Period, Reply, Sent, compute, to_half


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("2026-q1", "2026-01-01", "2026-03-31"),
        ("2026-q2", "2026-04-01", "2026-06-30"),
        ("2026-q3", "2026-07-01", "2026-09-30"),
        ("2026-q4", "2026-10-01", "2026-12-31"),
        ("2028-q1", "2028-01-01", "2028-03-31"),
    ],
)
def test_a_quarter_goes_from_its_first_day_to_its_last(code, first, last):
    period = Period.read(code)
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)
    assert period.code == code


@pytest.mark.parametrize(
    ("code", "start", "end"),
    [
        # Midnight in Montréal is 05:00 UTC in winter and 04:00 in summer: each quarter but the third crosses a change.
        ("2026-q1", datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC)),
        ("2026-q3", datetime(2026, 7, 1, 4, tzinfo=UTC), datetime(2026, 10, 1, 4, tzinfo=UTC)),
        ("2026-q4", datetime(2026, 10, 1, 4, tzinfo=UTC), datetime(2027, 1, 1, 5, tzinfo=UTC)),
    ],
)
def test_a_quarter_begins_and_ends_at_midnight_in_montreal(code, start, end):
    assert Period.read(code).bounds == (start, end)


@pytest.mark.parametrize(
    ("code", "cut_off"),
    [
        ("2026-q1", "2026-04-15"),  # Good Friday is closed, Easter Monday is not
        ("2026-q2", "2026-07-15"),  # Canada Day
        ("2026-q3", "2026-10-15"),  # Thanksgiving
        ("2026-q4", "2027-01-15"),  # New Year's Day
    ],
)
def test_figures_are_taken_ten_business_days_after_the_quarter(code, cut_off):
    assert Period.read(code).cut_off.isoformat() == cut_off


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_every_day_belongs_to_exactly_one_quarter(day):
    period = Period.of(day)
    assert period.first <= day <= period.last
    assert period.next.first == period.last + timedelta(days=1)
    assert period.next.previous == period
    assert Period.read(period.code) == period


@pytest.mark.parametrize(
    "code",
    [
        "",
        "2026",
        "2026-q0",
        "2026-q5",
        "2026-Q1",
        "26-q1",
        "2026-q",
        "2026-q11",
        "-q1",
        "0000-q1",
        "²026-q1",
        "2026-q1 ",
    ],
)
def test_an_address_that_names_no_quarter_is_none(code):
    assert Period.read(code) is None


@pytest.mark.parametrize("code", ["0001-q1", "9999-q4"])
def test_a_quarter_that_is_read_can_be_computed_with_its_neighbours(code):
    period = Period.read(code)
    assert period is None or (period.cut_off and period.previous.bounds and period.next.bounds)


def at(day: str, hour: int = 15) -> datetime:
    """An instant of a day in Montréal, at an hour UTC that is the same day there."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC) + timedelta(hours=hour)


CUT_OFF = at("2027-01-16", 5)  # the end of January 15 in Montréal
NOTHING = {"new": 0, "paused": 0}


def figures(replies=(), stages=NOTHING, sent=0, cohort=(), no_next_step=0):
    return compute(replies, stages, sent=sent, cohort=cohort, no_next_step=no_next_step, cut_off=CUT_OFF)


def test_a_quarter_with_nothing_has_no_median_and_no_rate():
    empty = figures()
    assert (empty.received, empty.replies, empty.median_reply, empty.cohort) == (0, 0, None, 0)


def test_the_median_time_to_a_first_reply_worked_out_by_hand():
    replies = [
        Reply(at("2026-11-23"), at("2026-11-23")),  # Monday, the same day: 0
        Reply(at("2026-11-20"), at("2026-11-23")),  # Friday to Monday: 1
        Reply(at("2026-11-23"), at("2026-11-26")),  # Monday to Thursday: 3
        Reply(at("2026-12-23"), at("2026-12-29")),  # 24, 28 and 29; Christmas and the weekend are closed: 3
        Reply(at("2026-11-21"), at("2026-11-30")),  # Saturday to the Monday after next: 23 to 27 and 30: 6
        Reply(at("2026-12-01"), None),  # nobody answered yet
    ]
    found = figures(replies)
    assert found.received == 6
    assert found.replies == 5
    assert found.median_reply == 3


def test_between_two_middle_values_the_median_is_half_way():
    replies = [Reply(at("2026-11-23"), at("2026-11-24")), Reply(at("2026-11-23"), at("2026-11-25"))]
    assert figures(replies).median_reply == 1.5


def test_a_reply_late_in_the_evening_counts_on_its_day_in_montreal():
    # 02:00 UTC on Tuesday is still Monday evening in Montréal.
    assert figures([Reply(at("2026-11-23"), at("2026-11-24", 2))]).median_reply == 0


def test_a_reply_after_the_cut_off_does_not_count_and_its_request_does():
    just_before = Reply(at("2026-12-31"), CUT_OFF - timedelta(seconds=1))
    just_after = Reply(at("2026-12-31"), CUT_OFF)
    found = figures([just_before, just_after])
    assert (found.received, found.replies) == (2, 1)


def test_the_acceptance_counts_what_was_accepted_within_sixty_days():
    sent = at("2026-08-03")
    cohort = [
        Sent(sent, sent + timedelta(days=1)),
        Sent(sent, sent + timedelta(days=60)),  # the last moment
        Sent(sent, sent + timedelta(days=60, seconds=1)),  # too late
        Sent(sent, None),  # declined, or no answer
    ]
    found = figures(cohort=cohort, sent=7)
    assert (found.cohort, found.cohort_accepted, found.sent) == (4, 2, 7)


def test_files_on_hold_are_shown_apart_and_nobody_follows_them():
    stages = {"new": 3, "contact": 4, "planning": 2, "paused": 6}
    found = figures(stages=stages, no_next_step=1)
    assert found.stages == stages
    assert found.followed == 9
    assert found.no_next_step == 1


@pytest.mark.parametrize(("value", "half"), [(0, 0), (0.5, 0.5), (1, 1), (2.5, 2.5), (3.2, 3), (3.3, 3.5), (3.8, 4)])
def test_medians_are_rounded_to_half_days(value, half):
    assert to_half(value) == half


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 30) | st.none()), max_size=12))
def test_the_median_never_falls_outside_what_people_waited(delays):
    start = at("2026-09-01")
    replies = [
        Reply(start + timedelta(days=day), None if wait is None else start + timedelta(days=day + wait))
        for day, wait in delays
    ]
    found = figures(replies)
    assert found.received == len(delays)
    assert found.replies == sum(wait is not None for _, wait in delays)
    if found.median_reply is not None:
        assert 0 <= found.median_reply <= max(wait for _, wait in delays if wait is not None)
