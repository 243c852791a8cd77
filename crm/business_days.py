"""Business days in Québec: Monday to Friday, less the statutory holidays.

Source: Loi sur les normes du travail and Loi sur la fête nationale, as listed in the domain reference, section 8.
The `holidays` package is not used: it adds "observed" days that Québec law does not have.
"""

from bisect import bisect_left, bisect_right
from datetime import date, timedelta
from functools import cache

ONE_DAY = timedelta(days=1)


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year (anonymous Gregorian computus)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    el = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * el) // 451
    month, day = divmod(h + el - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _monday(year: int, month: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(-first.weekday()) % 7 + 7 * (nth - 1))


@cache
def holidays(year: int, *, easter_monday: bool = False) -> frozenset[date]:
    """The eight statutory holidays of a year. Employers choose Good Friday or Easter Monday (`easter_monday`)."""
    before_may_25 = date(year, 5, 24)
    patriots = before_may_25 - timedelta(days=before_may_25.weekday())
    national, canada = date(year, 6, 24), date(year, 7, 1)
    return frozenset(
        {
            date(year, 1, 1),
            easter(year) + ONE_DAY if easter_monday else easter(year) - timedelta(days=2),
            patriots,
            national + ONE_DAY if national.weekday() == 6 else national,
            canada + ONE_DAY if canada.weekday() == 6 else canada,
            _monday(year, 9, 1),
            _monday(year, 10, 2),
            date(year, 12, 25),
        }
    )


def is_business_day(day: date, *, easter_monday: bool = False) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year, easter_monday=easter_monday)


def next_business_day(day: date, *, easter_monday: bool = False) -> date:
    """The day itself when it is a business day, otherwise the first one after it."""
    while not is_business_day(day, easter_monday=easter_monday):
        day += ONE_DAY
    return day


def add_business_days(day: date, count: int, *, easter_monday: bool = False) -> date:
    """Day 0 is `day` itself, whatever it is; count business days after it. `count` is 0 or more."""
    if count < 0:
        raise ValueError("count must be 0 or more")
    if count == 0:
        return next_business_day(day, easter_monday=easter_monday)
    for _ in range(count):
        day = next_business_day(day + ONE_DAY, easter_monday=easter_monday)
    return day


@cache
def _calendar(first_year: int, last_year: int) -> tuple[date, ...]:
    day, end = date(first_year, 1, 1), date(last_year, 12, 31)
    found = []
    while day <= end:
        if is_business_day(day):
            found.append(day)
        day += ONE_DAY
    return tuple(found)


def business_days_between(start: date, end: date) -> int:
    """How many business days lie after `start`, up to and including `end`; 0 when `end` is not after `start`."""
    if end <= start:
        return 0
    days = _calendar(start.year, end.year)
    return bisect_right(days, end) - bisect_left(days, start + ONE_DAY)
