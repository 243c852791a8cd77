"""Business days in Québec, against the table and the vectors of the domain reference, section 8."""

import os
import time
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import clock
from crm.business_days import (
    Calendar,
    add_business_days,
    business_days_between,
    easter,
    holidays,
    is_business_day,
    next_business_day,
    read_closures,
)

# The table of section 8, copied column by column: New Year, Good Friday, Easter Monday, Patriots, national holiday,
# Canada Day, Labour Day, Thanksgiving, Christmas.
TABLE = {
    2026: ("01-01", "04-03", "04-06", "05-18", "06-24", "07-01", "09-07", "10-12", "12-25"),
    2027: ("01-01", "03-26", "03-29", "05-24", "06-24", "07-01", "09-06", "10-11", "12-25"),
    2028: ("01-01", "04-14", "04-17", "05-22", "06-24", "07-01", "09-04", "10-09", "12-25"),
    2029: ("01-01", "03-30", "04-02", "05-21", "06-25", "07-02", "09-03", "10-08", "12-25"),
    2030: ("01-01", "04-19", "04-22", "05-20", "06-24", "07-01", "09-02", "10-14", "12-25"),
}
# Start, n, the answer where Good Friday is kept, the answer where Easter Monday is.
VECTORS = [
    ("2026-11-22", 3, "2026-11-25", "2026-11-25"),
    ("2026-12-24", 3, "2026-12-30", "2026-12-30"),
    ("2026-12-31", 1, "2027-01-04", "2027-01-04"),
    ("2027-03-25", 1, "2027-03-29", "2027-03-26"),
    ("2027-05-21", 2, "2027-05-26", "2027-05-26"),
    ("2027-06-23", 2, "2027-06-28", "2027-06-28"),
    ("2028-06-23", 1, "2028-06-26", "2028-06-26"),
    ("2029-06-22", 1, "2029-06-26", "2029-06-26"),
    ("2029-06-29", 1, "2029-07-03", "2029-07-03"),
]
# Days people from elsewhere would expect to be closed, and which Québec law does not close.
OPEN = {
    "2026-02-16": "Family Day",
    "2026-08-03": "the August civic holiday",
    "2026-09-30": "Truth and Reconciliation",
    "2026-11-11": "Remembrance Day",
    "2027-12-27": "an observed Christmas",
    "2028-01-03": "an observed New Year",
    "2028-12-26": "Boxing Day",
    "2027-03-29": "Easter Monday where Good Friday is kept",
}
DAYS = st.dates(date(2020, 1, 1), date(2040, 12, 31))
COUNTS = st.integers(0, 60)
PERIODS = st.tuples(DAYS, st.integers(0, 20)).map(lambda one: (one[0], one[0] + timedelta(days=one[1])))
CALENDARS = st.builds(Calendar, st.booleans(), st.lists(PERIODS, max_size=4).map(tuple))


@pytest.mark.parametrize("year", TABLE)
def test_the_eight_holidays_of_a_year_are_those_of_the_law(year):
    days = {name: date.fromisoformat(f"{year}-{day}") for name, day in zip("NGEPQCLTX", TABLE[year], strict=True)}
    with_friday, with_monday = set(days.values()) - {days["E"]}, set(days.values()) - {days["G"]}
    assert holidays(year) == with_friday
    assert holidays(year, easter_monday=True) == with_monday


@pytest.mark.parametrize("year", TABLE)
def test_easter_stands_between_good_friday_and_easter_monday(year):
    assert easter(year) - timedelta(days=2) == date.fromisoformat(f"{year}-{TABLE[year][1]}")
    assert easter(year) + timedelta(days=1) == date.fromisoformat(f"{year}-{TABLE[year][2]}")


@pytest.mark.parametrize(("start", "count", "friday", "monday"), VECTORS)
def test_a_due_date_falls_on_the_day_people_count_to(start, count, friday, monday):
    start = date.fromisoformat(start)
    assert add_business_days(start, count) == date.fromisoformat(friday)
    assert add_business_days(start, count, Calendar(easter_monday=True)) == date.fromisoformat(monday)


@pytest.mark.parametrize("day", OPEN, ids=OPEN.values())
def test_the_office_is_open_on_days_that_only_others_keep(day):
    assert is_business_day(date.fromisoformat(day))


def test_a_holiday_on_saturday_is_not_given_back_on_another_day():
    assert is_business_day(date(2028, 6, 23))
    assert is_business_day(date(2028, 6, 26))


def test_a_national_holiday_on_sunday_closes_the_monday_and_leaves_the_sunday_a_sunday():
    assert not is_business_day(date(2029, 6, 25))
    assert date(2029, 6, 24) not in holidays(2029)


def test_counting_nothing_from_a_closed_day_moves_to_the_next_open_one():
    assert add_business_days(date(2026, 11, 21), 0) == date(2026, 11, 23)
    assert add_business_days(date(2026, 11, 23), 0) == date(2026, 11, 23)


def test_counting_backwards_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        add_business_days(date(2026, 11, 23), -1)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-23", "2026-11-23", 0),  # the same day
        ("2026-11-23", "2026-11-24", 1),
        ("2026-11-20", "2026-11-23", 1),  # over a weekend
        ("2026-11-21", "2026-11-22", 0),  # both closed
        ("2026-11-24", "2026-11-23", 0),  # an end before the start
        ("2026-12-24", "2027-01-04", 5),  # 28, 29, 30, 31 and 4: Christmas and New Year are closed
        ("2026-06-23", "2026-06-25", 1),  # the national holiday
    ],
)
def test_the_days_somebody_waited_are_counted_without_closed_ones(start, end, days):
    assert business_days_between(date.fromisoformat(start), date.fromisoformat(end)) == days


@given(DAYS, COUNTS, CALENDARS)
def test_every_due_date_is_a_business_day(day, count, calendar):
    assert is_business_day(add_business_days(day, count, calendar), calendar)


@given(DAYS, st.integers(0, 30), COUNTS, CALENDARS)
def test_a_later_start_is_never_due_earlier(day, later, count, calendar):
    first = add_business_days(day, count, calendar)
    assert first <= add_business_days(day + timedelta(days=later), count, calendar)


@given(DAYS, st.integers(2, 60), CALENDARS)
def test_each_further_day_is_due_strictly_later(day, count, calendar):
    assert add_business_days(day, count - 1, calendar) < add_business_days(day, count, calendar)


@given(DAYS, COUNTS, CALENDARS, PERIODS)
def test_one_more_closure_never_makes_anything_due_earlier(day, count, calendar, period):
    longer = Calendar(calendar.easter_monday, (*calendar.closures, period))
    assert add_business_days(day, count, longer) >= add_business_days(day, count, calendar)
    assert next_business_day(day, longer) >= next_business_day(day, calendar)


@given(DAYS, COUNTS, st.sampled_from(["UTC", "America/Toronto", "Pacific/Auckland"]))
def test_neither_the_systems_zone_nor_the_change_of_clock_moves_a_due_date(day, count, zone):
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        due = add_business_days(day, count)
        # What happens at any hour of a day in Montréal, the two days of the change included, happens on that day.
        hours = {clock.local_date(clock.at_local(day, hour)) for hour in range(24)}
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    assert hours == {day}
    assert due == add_business_days(day, count)


@given(DAYS, st.integers(1, 60), CALENDARS)
def test_counting_to_a_day_and_counting_the_days_to_it_agree(day, count, calendar):
    assert business_days_between(day, add_business_days(day, count, calendar), calendar) == count


@given(DAYS)
def test_the_next_business_day_is_the_first_open_one(day):
    found = next_business_day(day)
    assert found >= day
    assert is_business_day(found)
    assert not any(is_business_day(day + timedelta(days=n)) for n in range((found - day).days))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("", ()),
        (" , ", ()),
        ("2027-07-19", ((date(2027, 7, 19), date(2027, 7, 19)),)),
        (
            "2027-07-19 ; 2026-12-24 / 2027-01-03",
            ((date(2026, 12, 24), date(2027, 1, 3)), (date(2027, 7, 19), date(2027, 7, 19))),
        ),
        ("2026-12-24 au 2027-01-03", ((date(2026, 12, 24), date(2027, 1, 3)),)),
        ("2026-12-24 to 2027-01-03", ((date(2026, 12, 24), date(2027, 1, 3)),)),
        ("2027-02-30", None),
        ("2027-01-03/2026-12-24", None),
        ("2026-01-01/2026-12-31", None),
        ("Noël", None),
        ("0001-01-01", None),
        (",".join(f"2027-01-{day:02d}" for day in range(1, 25)), None),
    ],
)
def test_closures_are_read_as_people_type_them(typed, read):
    assert read_closures(typed) == read


def test_a_closure_pushes_what_is_due_beyond_it():
    calendar = Calendar(closures=((date(2026, 12, 24), date(2027, 1, 3)),))
    assert add_business_days(date(2026, 12, 22), 2, calendar) == date(2027, 1, 4)
    assert next_business_day(date(2026, 12, 29), calendar) == date(2027, 1, 4)
    assert business_days_between(date(2026, 12, 22), date(2027, 1, 4), calendar) == 2
