"""The real one-shot command on the days and at the hours on which clocks, holidays and calendars lie, whatever the system's zone."""

import re
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from crm.accounts.models import Staff
from crm.outbox.models import Message
from crm.reminders.models import FollowUp
from tests.support.server import LONGEST_WAIT, Product

FAKETIME = shutil.which("faketime")
MONTREAL = ZoneInfo("America/Toronto")

# When it is in Montréal, what zone the system says it is in, and whether the morning's digest leaves then.
WORST = [
    ("2026-03-08 08:05", "America/Toronto", 0),  # a Sunday; an hour is missing
    ("2026-03-09 08:00", "Pacific/Auckland", 1),  # the first morning of summer time; a day later there already
    ("2026-03-09 07:59", "UTC", 0),
    ("2026-11-01 01:30", "America/Toronto", 0),  # an hour that comes twice, on a Sunday
    ("2026-11-02 08:00", "UTC", 1),  # the first morning of winter time: an hour later in UTC
    ("2026-04-03 08:05", "Pacific/Auckland", 0),  # Good Friday
    ("2026-06-24 12:00", "America/Toronto", 0),  # la Fête nationale
    ("2026-07-01 12:00", "UTC", 0),
    ("2026-12-31 23:59", "Pacific/Auckland", 1),  # the last minute of a year, which is over there
    ("2027-01-01 08:05", "America/Toronto", 0),
    ("2028-02-29 08:05", "Pacific/Auckland", 1),  # a day that comes every four years; a Tuesday
    ("2027-11-08 23:59", "UTC", 1),  # a late clock: still that day in Montréal, another in UTC
]


@pytest.mark.skipif(FAKETIME is None, reason="no faketime on this machine: apt-get install faketime")
@pytest.mark.parametrize(
    ("kind", "at", "zone", "digests"),
    [(("sqlite", "postgresql")[place % 2], *one) for place, one in enumerate(WORST)],  # on each database in turn
    indirect=["kind"],
    ids=[at for at, *_ in WORST],
)
def test_one_digest_or_none_on_the_worst_days(at, zone, digests, make, people, session, database_url, tmp_path):
    case = make.case(owner=people.adviser)
    session.execute(update(Staff).values(created_at=datetime(2025, 1, 1, tzinfo=UTC)))
    session.execute(update(Staff).where(Staff.id != people.adviser.id).values(active=False))
    session.execute(update(FollowUp).where(FollowUp.case_id == case.id).values(due_on=date(2026, 1, 5)))
    session.commit()
    product = Product(database_url, tmp_path)
    moment = datetime.strptime(at, "%Y-%m-%d %H:%M").replace(tzinfo=MONTREAL)
    try:
        done = [_digests(product, moment, zone), _digests(product, moment + timedelta(seconds=20), zone)]
    finally:
        product.stop()
    assert done == [digests, 0]
    mine = select(Message).where(Message.kind == "desk.digest")
    assert session.scalar(select(func.count()).select_from(mine.subquery())) == digests
    if digests:
        assert session.scalar(mine).subject_ids == {"day": at[:10]}


def _digests(product: Product, moment: datetime, zone: str) -> int:
    """How many digests the command queues when its clock says this moment, in a system of this zone."""
    there = moment.astimezone(ZoneInfo(zone)).strftime("@%Y-%m-%d %H:%M:%S")
    command = [FAKETIME, "--exclude-monotonic", "-f", there, sys.executable, "-m", "crm.cli", "job", "digest"]
    process = product.begin(command, TZ=zone)
    said, _ = process.communicate(timeout=LONGEST_WAIT * 2)
    assert process.returncode == 0, said
    return int(re.search(r"digest: (\d+) done", said)[1])
