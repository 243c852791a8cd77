"""Delays and conditions of the law on personal information. Pure. Domain reference, section 10."""

from datetime import date, timedelta

ANSWER_WITHIN = timedelta(days=30)  # calendar days: P-39.1, section 32
WARNED_FROM = timedelta(days=15)  # after reception, in the morning's mail


def answer_by(received_on: date) -> date:
    """The last day on which a request that was received on a day may be answered; silence is then a refusal.

    >>> answer_by(date(2026, 11, 1)).isoformat()
    '2026-12-01'
    """
    return received_on + ANSWER_WITHIN
