"""Working time as a line: business days of eight hours, laid end to end, counted in minutes.

Lives of files are drawn on this line, so that nothing staff do falls on a Sunday, on June 24 or at three in the morning.
"""

from bisect import bisect_left
from datetime import date, datetime, timedelta
from functools import cache

from crm import clock
from crm.business_days import add_business_days, is_business_day

DAY = 480  # minutes, from 9:00
after = cache(add_business_days)


class Workdays:
    """The business days from `first` to the eve of `today`: `at` reads the clock at a minute of the line."""

    def __init__(self, first: date, today: date) -> None:
        every = (first + timedelta(days=number) for number in range((today - first).days))
        self.days = [day for day in every if is_business_day(day)]
        self.starts = [clock.at_local(day, 9) for day in self.days]
        self.end = len(self.days) * DAY - 1

    def at(self, minute: int) -> datetime:
        day, rest = divmod(minute, DAY)
        return self.starts[day] + timedelta(minutes=rest)

    def day(self, minute: int) -> date:
        return self.days[minute // DAY]

    def of_day(self, day: date) -> int:
        """The first minute of a day, or of the business day after it."""
        return bisect_left(self.days, day) * DAY

    def following(self, instant: datetime) -> int:
        """The first minute that is not before an instant."""
        start = self.of_day(clock.local_date(instant))
        if start > self.end:
            return start
        late = instant - self.starts[start // DAY]
        return start + min(max(-(-int(late.total_seconds()) // 60), 0), DAY)
