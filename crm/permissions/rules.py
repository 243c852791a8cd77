"""When a permission counts. Pure."""

from datetime import date, datetime, timedelta

LONGEST = timedelta(days=183)  # six months: domain reference, section 15


def is_live(*, expires_on: date, withdrawn_at: datetime | None, today: date) -> bool:
    """Whether information may leave, or still be read, on the strength of a permission."""
    return withdrawn_at is None and expires_on >= today


def may_last_until(expires_on: date, today: date) -> bool:
    """Whether a permission given today may last until that day."""
    return today <= expires_on <= today + LONGEST
