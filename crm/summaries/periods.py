"""The periods of summaries: quarters, halves and years, which are published, and days chosen by hand, which stay with the team. Pure.

Domain reference, section 17.1. All are of Montréal's days.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from crm import clock
from crm.business_days import add_business_days

CUT_OFF_DAYS = 10  # business days after the period
EARLIEST = 2000
STARTS = (
    1,
    4,
    7,
    10,
)  # months that a fiscal year, and with it a half, may begin with: quarters are those of the calendar
LONGEST = 3 * 366  # days chosen by hand


class Kind(StrEnum):
    QUARTER = "quarter"
    HALF = "half"
    YEAR = "year"
    CHOSEN = "chosen"


MONTHS = {Kind.QUARTER: 3, Kind.HALF: 6, Kind.YEAR: 12}
_LETTERS = {Kind.HALF: "h", Kind.YEAR: "y"}


@dataclass(frozen=True)
class Period:
    """From the first day to the last, both of them included."""

    first: date
    last: date
    kind: Kind

    @classmethod
    def quarter(cls, year: int, number: int) -> "Period":
        """A quarter of the calendar, 1 to 4."""
        return cls._of_months(Kind.QUARTER, year, 3 * number - 2)

    @classmethod
    def _of_months(cls, kind: Kind, year: int, month: int) -> "Period":
        """So many months from the first day of one on, which may be counted beyond its year."""
        first = _month(year, month)
        return cls(first, _month(year, month + MONTHS[kind]) - timedelta(days=1), kind)

    @classmethod
    def chosen(cls, first: date, last: date) -> "Period":
        """Days chosen by hand. Raises ValueError when they are reversed, or too many."""
        if not first <= last or (last - first).days >= LONGEST:
            raise ValueError("these days are no period")
        return cls(first, last, Kind.CHOSEN)

    @property
    def next(self) -> "Period":
        return self._shifted(1)

    @property
    def previous(self) -> "Period":
        """The one before, of the same kind; of days chosen by hand, as many days before."""
        return self._shifted(-1)

    def _shifted(self, by: int) -> "Period":
        if self.kind is Kind.CHOSEN:
            days = timedelta(days=((self.last - self.first).days + 1) * by)
            return Period(self.first + days, self.last + days, self.kind)
        return self._of_months(self.kind, self.first.year, self.first.month + by * MONTHS[self.kind])

    @property
    def year_before(self) -> "Period":
        """The same days a year earlier."""
        if self.kind is Kind.CHOSEN:
            return Period(_a_year_before(self.first), _a_year_before(self.last), self.kind)
        return self._of_months(self.kind, self.first.year - 1, self.first.month)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """From 00:00 on the first day to 24:00 on the last, as half-open instants."""
        return clock.day_bounds(self.first, self.last)

    @property
    def rolling_days(self) -> tuple[date, date]:
        """The first and the last of the twelve months that end with the period."""
        return _a_year_before(self.last) + timedelta(days=1), self.last

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
        """What names it in addresses.

        >>> Period.quarter(2026, 3).code, Period.of(date(2026, 5, 1), Kind.YEAR, 4).code
        ('2026-q3', '2026-y04')
        """
        match self.kind:
            case Kind.QUARTER:
                return f"{self.first.year}-q{(self.first.month + 2) // 3}"
            case Kind.CHOSEN:
                return f"{self.first.isoformat()}-{self.last.isoformat()}"
            case _:
                return f"{self.first.year}-{_LETTERS[self.kind]}{self.first.month:02}"

    @classmethod
    def of(cls, day: date, kind: Kind = Kind.QUARTER, start: int = 1) -> "Period":
        """The period of a kind that a day is in; `start` is the month with which the year begins."""
        months = MONTHS[kind]
        passed = (day.month - start) % 12
        return cls._of_months(kind, day.year, day.month - passed % months)

    @classmethod
    def read(cls, value: str) -> "Period | None":
        """From its code; None for anything else."""
        try:
            period = cls._read(value)
        except ValueError:
            return None
        return period if period.code == value and EARLIEST <= period.first.year < date.max.year - 1 else None

    @classmethod
    def _read(cls, value: str) -> "Period":
        if len(value) == len("2026-01-01-2026-01-31"):
            return cls.chosen(date.fromisoformat(value[:10]), date.fromisoformat(value[11:]))
        year, letter, number = int(value[:4]), value[5:6], int(value[6:])
        if letter == "q" and number in range(1, 5):
            return cls.quarter(year, number)
        kinds = {letter: kind for kind, letter in _LETTERS.items()}
        if letter in kinds and number in STARTS:
            return cls._of_months(kinds[letter], year, number)
        raise ValueError(value)


def _month(year: int, month: int) -> date:
    """The first day of a month, counted on beyond either end of its year."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _a_year_before(day: date) -> date:
    """February 29 had a 28 the year before."""
    return clock.months_after(day, -12)
