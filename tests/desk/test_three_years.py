"""Each day of three years, stepped through in one process: one digest on each business day, at eight in Montréal, whatever the system's zone."""

import os
import time
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm import clock
from crm.business_days import is_business_day
from crm.desk.digest import queue_digests
from crm.outbox.models import Message
from crm.reminders import services as reminders

FIRST, LAST = date(2026, 1, 1), date(2028, 12, 31)


@pytest.fixture
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.delenv("TZ")
    time.tzset()


WHERE = [
    ("sqlite", "UTC"),
    ("sqlite", "America/Toronto"),
    ("sqlite", "Pacific/Auckland"),
    ("postgresql", "Pacific/Auckland"),
]


@pytest.mark.parametrize(("kind", "zone"), WHERE, indirect=True)
def test_one_digest_on_each_business_day_of_three_years(zone, make, people, session):
    assert os.environ["TZ"] == zone
    with time_machine.travel(datetime(2025, 12, 30, 15, 0, tzinfo=UTC), tick=False) as moment:
        people.admin.active = people.other_adviser.active = False
        for person in (people.coordinator, people.adviser):  # one has something to do every day, the other never
            person.created_at = clock.now()
        case = make.case(owner=people.adviser)
        case.first_reply_at = clock.now()  # nothing else to say to anybody
        for one in reminders.open_ones(case):
            one.due_on = date(2025, 12, 30)  # late for ever: there is something to say every day
        session.commit()
        queued, day = [], FIRST
        while day <= LAST:
            eight = clock.at_local(day, 8)
            for at in (clock.at_local(day, 0), eight - timedelta(seconds=1), eight, clock.at_local(day, 23, 59)):
                moment.move_to(at)
                if queue_digests():
                    queued.append((day, at == eight))
            day += timedelta(days=1)
        days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
        assert queued == [(day, True) for day in days if is_business_day(day)]
        told = session.scalars(select(Message.subject_ids).where(Message.kind == "desk.digest").order_by(Message.id))
        assert [one["day"] for one in told] == [day.isoformat() for day, _ in queued]
