"""Business days in Québec: Monday to Friday, less the statutory holidays.

Source: Loi sur les normes du travail and Loi sur la fête nationale, as listed in the domain reference, section 8.
The `holidays` package is not used: it adds "observed" days that Québec law does not have.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache

from flask import current_app, has_app_context

ONE_DAY = timedelta(days=1)
Period = tuple[date, date]  # both days included
MOST_CLOSURES, LONGEST_CLOSURE = 20, timedelta(days=62)
_DAY = r"\d{4}-\d{2}-\d{2}"
_PERIOD = re.compile(rf"({_DAY})(?:\s*(?:/|à|to|au)\s*({_DAY}))?")


@dataclass(frozen=True)
class Calendar:
    """What a programme is closed for beside weekends: Good Friday or Easter Monday, and periods of its own."""

    easter_monday: bool = False
    closures: tuple[Period, ...] = ()

    def is_closed(self, day: date) -> bool:
        """Whether nobody works that day, were it a weekday: a statutory holiday, or a day of a closure."""
        return day in holidays(day.year, easter_monday=self.easter_monday) or any(
            first <= day <= last for first, last in self.closures
        )


def in_force() -> Calendar:
    """The calendar that the programme set, where the product runs; otherwise Good Friday and no closure."""
    if has_app_context() and (read := current_app.extensions.get("calendar")) is not None:
        found: Calendar = read()
        return found
    return Calendar()


def read_closures(typed: str) -> tuple[Period, ...] | None:
    """Closures as they are typed: days and periods parted by commas. None when they cannot be read, go backwards or are too long.

    >>> read_closures("2026-12-24/2027-01-03, 2027-07-19")
    ((datetime.date(2026, 12, 24), datetime.date(2027, 1, 3)), (datetime.date(2027, 7, 19), datetime.date(2027, 7, 19)))
    """
    found = []
    for part in filter(str.strip, re.split(r"[,;]", typed)):
        read = _PERIOD.fullmatch(" ".join(part.split()))
        if read is None:
            return None
        try:
            first, last = date.fromisoformat(read[1]), date.fromisoformat(read[2] or read[1])
        except ValueError:
            return None
        if not first <= last <= first + LONGEST_CLOSURE or not 2000 <= first.year <= 2200:
            return None
        found.append((first, last))
    return tuple(sorted(found)) if len(found) <= MOST_CLOSURES else None


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


def is_business_day(day: date, calendar: Calendar | None = None) -> bool:
    """Whether somebody works that day; by the calendar in force, unless one is given."""
    return day.weekday() < 5 and not (calendar or in_force()).is_closed(day)


def next_business_day(day: date, calendar: Calendar | None = None) -> date:
    """The day itself when it is a business day, otherwise the first one after it."""
    calendar = calendar or in_force()
    while not is_business_day(day, calendar):
        day += ONE_DAY
    return day


def add_business_days(day: date, count: int, calendar: Calendar | None = None) -> date:
    """Day 0 is `day` itself, whatever it is; count business days after it. `count` is 0 or more."""
    if count < 0:
        raise ValueError("count must be 0 or more")
    calendar = calendar or in_force()
    if count == 0:
        return next_business_day(day, calendar)
    for _ in range(count):
        day = next_business_day(day + ONE_DAY, calendar)
    return day


@lru_cache(maxsize=64)
def _days(first_year: int, last_year: int, calendar: Calendar) -> tuple[date, ...]:
    day, end = date(first_year, 1, 1), date(last_year, 12, 31)
    found = []
    while day <= end:
        if is_business_day(day, calendar):
            found.append(day)
        day += ONE_DAY
    return tuple(found)


def business_days_between(start: date, end: date, calendar: Calendar | None = None) -> int:
    """How many business days lie after `start`, up to and including `end`; 0 when `end` is not after `start`."""
    if end <= start:
        return 0
    days = _days(start.year, end.year, calendar or in_force())
    return bisect_right(days, end) - bisect_left(days, start + ONE_DAY)
