"""When an entry of the directory has to be looked at again. Pure. Source: domain reference, section 2.2, `review_due`."""

from datetime import date
from enum import StrEnum

from crm import clock

REVIEWED_AFTER = 6  # months


class Standing(StrEnum):
    """Whether what an entry says can be counted on."""

    VERIFIED = "verified"
    OVERDUE = "overdue"  # it was verified, too long ago
    UNVERIFIED = "unverified"


def review_due(verified_on: date) -> date:
    """The last day on which an entry counts as verified: the same day six months later, or the last day of that month.

    >>> review_due(date(2026, 8, 31)).isoformat()
    '2027-02-28'
    """
    return clock.months_after(verified_on, REVIEWED_AFTER)


def standing(verified_on: date | None, today: date) -> Standing:
    """Whether an entry verified on a day counts as verified today."""
    if verified_on is None:
        return Standing.UNVERIFIED
    return Standing.VERIFIED if today <= review_due(verified_on) else Standing.OVERDUE
