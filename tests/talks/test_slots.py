"""When a talk can be held: hours, exceptions, holidays, notice, buffers, and the two days on which clocks change."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import clock
from crm.talks.slots import CELL, cells, free_starts, read_spans, write_spans

MONDAY = date(2026, 11, 23)
MORNING = [(9 * 60, 12 * 60)]


def starts(now, weekly=None, **changes):
    """Free starts as local (day, hour:minute)."""
    wanted = {
        "now": now, "weekly": {day: MORNING for day in range(5)} if weekly is None else weekly, "exceptions": {},
        "minutes": 30, "buffer": 15, "notice_hours": 0, "taken": set(),
    }  # fmt: skip
    return [clock.local(at) for at in free_starts(**wanted | changes)]


def on(day, found):
    return [f"{at:%H:%M}" for at in found if at.date() == day]


def test_starts_follow_each_other_with_their_buffer_and_end_within_the_hours():
    found = starts(clock.at_local(MONDAY, 0))
    assert on(MONDAY, found) == ["09:00", "09:45", "10:30", "11:15"]
    whole = starts(clock.at_local(MONDAY, 0), buffer=0)
    assert on(MONDAY, whole) == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]


def test_nothing_is_offered_before_the_notice():
    found = starts(clock.at_local(MONDAY, 9, 40), notice_hours=24)
    assert on(MONDAY, found) == []
    assert on(MONDAY + timedelta(days=1), found) == ["09:45", "10:30", "11:15"]


def test_a_taken_quarter_of_an_hour_takes_every_start_that_needs_it():
    taken = {clock.at_local(MONDAY, 10)}  # within the buffer of 9:45 to 10:30, and of 9:30 too
    found = starts(clock.at_local(MONDAY, 0), taken=taken)
    assert on(MONDAY, found) == ["09:00", "10:30", "11:15"]
    found = starts(clock.at_local(MONDAY, 0), taken={clock.at_local(MONDAY, 10, 15)})
    assert "09:45" not in on(MONDAY, found)


def test_an_exception_replaces_its_day_and_a_holiday_is_closed_unless_one_opens_it():
    christmas, before = date(2026, 12, 25), date(2026, 12, 24)
    found = starts(clock.at_local(date(2026, 12, 21), 0), exceptions={before: []})
    assert on(before, found) == on(christmas, found) == []
    found = starts(clock.at_local(date(2026, 12, 21), 0), exceptions={christmas: [(600, 660)]})
    assert on(christmas, found) == ["10:00"]
    assert on(date(2026, 12, 28), found) == ["09:00", "09:45", "10:30", "11:15"]


def test_weekends_are_closed_unless_somebody_opens_them():
    saturday = date(2026, 11, 28)
    assert on(saturday, starts(clock.at_local(MONDAY, 0))) == []
    assert on(saturday, starts(clock.at_local(MONDAY, 0), weekly={5: MORNING})) != []


def test_the_hour_that_does_not_exist_is_not_offered_and_the_one_that_comes_twice_is_offered_once():
    spring, autumn = date(2027, 3, 14), date(2026, 11, 1)
    night = {6: [(60, 4 * 60)]}
    skipped = starts(clock.at_local(spring, 0), weekly=night, buffer=0)
    assert on(spring, skipped) == ["01:00", "01:30", "03:00", "03:30"]
    twice = starts(clock.at_local(autumn, 0), weekly=night, buffer=0)
    assert on(autumn, twice) == ["01:00", "01:30", "02:00", "02:30", "03:00", "03:30"]
    instants = [at.astimezone(UTC) for at in twice if at.date() == autumn]
    assert len(set(instants)) == len(instants)


def test_nine_o_clock_is_nine_o_clock_on_both_sides_of_a_change():
    for monday, hour in ((date(2026, 10, 26), 13), (date(2026, 11, 2), 14)):
        first = starts(clock.at_local(monday, 0))[0]
        assert (f"{first:%H:%M}", first.astimezone(UTC).hour) == ("09:00", hour)


@pytest.mark.parametrize(
    ("start", "minutes", "wanted"),
    [("14:00", 30, 2), ("14:00", 45, 3), ("14:10", 30, 3), ("14:00", 15, 1), ("14:59", 1, 1), ("14:59", 2, 2)],
)
def test_what_a_talk_takes(start, minutes, wanted):
    at = datetime.fromisoformat(f"2026-11-25T{start}:00+00:00")
    found = cells(at, minutes)
    assert len(found) == wanted
    assert found[0] <= at < found[0] + CELL
    assert all(cell.minute % 15 == 0 for cell in found)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.integers(1, 120),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.integers(1, 120),
)  # fmt: skip
def test_two_talks_that_overlap_always_share_a_cell(one, first, two, second):
    one, two = (
        one.replace(tzinfo=UTC),
        two.replace(tzinfo=UTC, year=one.year, month=one.month, day=min(one.day, two.day)),
    )
    overlap = one < two + timedelta(minutes=second) and two < one + timedelta(minutes=first)
    if overlap:
        assert set(cells(one, first)) & set(cells(two, second))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("", []),
        ("9:00-12:00", [(540, 720)]),
        ("9-12, 13h30 à 17h", [(540, 720), (810, 1020)]),
        ("13 h 30 – 17 h; 9 h à 12 h", [(540, 720), (810, 1020)]),
        ("9:00 to 12:00 and 13:00 to 14:00", [(540, 720), (780, 840)]),
        ("0:00-24:00", [(0, 1440)]),
        ("12-9", None),
        ("9-12, 11-13", None),
        ("9-25", None),
        ("9:75-10", None),
        ("le matin", None),
        ("9-12 13-15", None),
    ],
)
def test_hours_typed_by_hand(typed, read):
    assert read_spans(typed) == read
    if read:
        assert read_spans(write_spans(read)) == read
