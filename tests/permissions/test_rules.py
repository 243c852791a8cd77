"""When a permission counts: domain reference, section 15."""

from datetime import UTC, date, datetime, timedelta

import pytest

from crm.permissions.rules import is_live, may_last_until

TODAY = date(2026, 11, 23)
THEN = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expires_on", "withdrawn_at", "counts"),
    [
        (TODAY + timedelta(days=1), None, True),
        (TODAY, None, True),  # the last day counts whole
        (TODAY - timedelta(days=1), None, False),
        (TODAY + timedelta(days=1), THEN, False),
        (TODAY, THEN, False),
        (TODAY - timedelta(days=1), THEN, False),
    ],
)
def test_a_permission_counts_until_its_last_day_or_until_it_is_taken_back(expires_on, withdrawn_at, counts):
    assert is_live(expires_on=expires_on, withdrawn_at=withdrawn_at, today=TODAY) is counts


@pytest.mark.parametrize(
    ("days", "may"), [(-1, False), (0, True), (1, True), (182, True), (183, True), (184, False), (3650, False)]
)
def test_a_permission_lasts_six_months_at_most(days, may):
    assert may_last_until(TODAY + timedelta(days=days), TODAY) is may
