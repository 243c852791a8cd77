"""The one place that reads the clock. Times are stored in UTC and shown in Montréal's zone."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Toronto")


def now() -> datetime:
    """The current instant, in UTC, with its zone."""
    return datetime.now(UTC)


def local(instant: datetime) -> datetime:
    """The same instant on a Montréal wall clock."""
    return instant.astimezone(ZONE)


def local_date(instant: datetime) -> date:
    """The calendar day of an instant in Montréal (after 17:00 it is still the same day)."""
    return instant.astimezone(ZONE).date()


def today() -> date:
    """The current calendar day in Montréal."""
    return local_date(now())


def at_local(day: date, hour: int, minute: int = 0) -> datetime:
    """The UTC instant of a Montréal wall-clock time. An hour the spring change skips becomes the next real one."""
    wall = datetime.combine(day, time(hour, minute), tzinfo=ZONE)
    return wall.astimezone(UTC)


def is_skipped(day: date, hour: int, minute: int = 0) -> bool:
    """Whether a wall-clock time does not exist in Montréal: the hour that the spring change skips."""
    wall = datetime.combine(day, time(hour, minute), tzinfo=ZONE)
    return wall.astimezone(UTC).astimezone(ZONE).replace(tzinfo=None) != wall.replace(tzinfo=None)


def day_bounds(first: date, last: date) -> tuple[datetime, datetime]:
    """From 00:00 on `first` to 24:00 on `last` in Montréal, as a half-open interval of UTC instants."""
    return at_local(first, 0), at_local(last + timedelta(days=1), 0)


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or of an earlier one when `months` is below zero; its last day where it is shorter.

    >>> months_after(date(2026, 8, 31), 6).isoformat(), months_after(date(2028, 2, 29), -12).isoformat()
    ('2027-02-28', '2027-02-28')
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
