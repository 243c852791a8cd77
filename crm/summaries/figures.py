"""The figures of a period. Pure: rows in, figures out. Domain reference, section 17.

Indicators here: 1 (requests received), 4 (median time to first reply), 8 (active files by stage), 9 (files with no
next step), 11 (referrals sent) and 12 (acceptance rate).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from crm import clock
from crm.business_days import add_business_days, business_days_between

DEFINITIONS = "2026-11"
CUT_OFF_DAYS = 10  # business days after the period: domain reference, section 17.1
ACCEPTED_WITHIN = timedelta(days=60)


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
    def bounds(self) -> tuple[datetime, datetime]:
        """From 00:00 on the first day to 24:00 on the last, as half-open instants."""
        return clock.day_bounds(self.first, self.last)

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


@dataclass(frozen=True)
class Reply:
    """A request and its first personal reply."""

    received_at: datetime
    first_reply_at: datetime | None


@dataclass(frozen=True)
class Sent:
    """A referral of the cohort: not withdrawn, with the instant it was accepted if it was."""

    sent_at: datetime
    accepted_at: datetime | None


@dataclass(frozen=True)
class Figures:
    """`stages` are active files by stage on the last day, on hold included under "paused"."""

    received: int
    stages: dict[str, int]
    sent: int
    cohort: int
    cohort_accepted: int
    replies: int
    median_reply: float | None
    followed: int
    no_next_step: int


def compute(
    replies: Iterable[Reply],
    stages: dict[str, int],
    *,
    sent: int,
    cohort: Iterable[Sent],
    no_next_step: int,
    cut_off: datetime,
) -> Figures:
    """The figures of a period from its rows; `cut_off` is the instant after which nothing counts."""
    asked = list(replies)
    delays = [
        business_days_between(clock.local_date(one.received_at), clock.local_date(one.first_reply_at))
        for one in asked
        if one.first_reply_at is not None and one.first_reply_at < cut_off
    ]
    known = list(cohort)
    accepted = [
        one for one in known if one.accepted_at is not None and one.accepted_at <= one.sent_at + ACCEPTED_WITHIN
    ]
    return Figures(
        received=len(asked),
        stages=dict(stages),
        sent=sent,
        cohort=len(known),
        cohort_accepted=len(accepted),
        replies=len(delays),
        median_reply=to_half(median(delays)) if delays else None,
        followed=sum(count for stage, count in stages.items() if stage != "paused"),
        no_next_step=no_next_step,
    )


def to_half(value: float) -> float:
    """Rounded to half-days."""
    return round(value * 2) / 2
