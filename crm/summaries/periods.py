"""The periods of summaries. Pure. Domain reference, section 17.1."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from crm import clock
from crm.business_days import add_business_days

CUT_OFF_DAYS = 10  # business days after the period


@dataclass(frozen=True)
class Period:
    """A calendar quarter, in Montréal's days."""

    year: int
    quarter: int

    @property
    def first(self) -> date:
        return date(self.year, 3 * self.quarter - 2, 1)

    @property
    def last(self) -> date:
        return self.next.first - timedelta(days=1)

    @property
    def next(self) -> "Period":
        return Period(self.year + 1, 1) if self.quarter == 4 else Period(self.year, self.quarter + 1)

    @property
    def previous(self) -> "Period":
        return Period(self.year - 1, 4) if self.quarter == 1 else Period(self.year, self.quarter - 1)

    @property
    def year_before(self) -> "Period":
        """The same quarter a year earlier."""
        return Period(self.year - 1, self.quarter)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """From 00:00 on the first day to 24:00 on the last, as half-open instants."""
        return clock.day_bounds(self.first, self.last)

    @property
    def rolling_days(self) -> tuple[date, date]:
        """The first and the last of the twelve months that end with the period."""
        return self.year_before.next.first, self.last

    @property
    def rolling(self) -> tuple[datetime, datetime]:
        """Those twelve months as half-open instants."""
        return clock.day_bounds(*self.rolling_days)

    @property
    def cut_off_at(self) -> datetime:
        """The instant after which nothing counts: the end of the day on which figures are taken."""
        return clock.day_bounds(self.cut_off, self.cut_off)[1]

    @property
    def cut_off(self) -> date:
        """The day the figures are taken: replies up to its end count."""
        return add_business_days(self.last, CUT_OFF_DAYS)

    @property
    def code(self) -> str:
        return f"{self.year}-q{self.quarter}"

    @classmethod
    def of(cls, day: date) -> "Period":
        return cls(day.year, (day.month + 2) // 3)

    @classmethod
    def read(cls, value: str) -> "Period | None":
        """From its code; None for anything else."""
        year, _, quarter = value.partition("-q")
        if (
            year.isascii()
            and year.isdigit()
            and len(year) == 4
            and 2000 <= int(year) < 9999
            and quarter in {"1", "2", "3", "4"}
        ):
            return cls(int(year), int(quarter))
        return None
