"""The hour that the spring change skips is no hour; the one that autumn gives twice is one."""

from datetime import date

import pytest
from sqlalchemy import func, select

from crm import clock
from crm.cases.models import Exchange
from crm.talks.models import Talk
from tests.support.pages import words

SPRING = [date(2026, 3, 8), date(2027, 3, 14), date(2028, 3, 12)]
AUTUMN = [date(2026, 11, 1), date(2027, 11, 7)]


@pytest.mark.parametrize("day", SPRING)
def test_two_oclock_does_not_exist_when_clocks_go_forward(day):
    assert [clock.is_skipped(day, hour, minute) for hour, minute in ((1, 59), (2, 0), (2, 59), (3, 0))] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("day", [*AUTUMN, date(2027, 3, 13), date(2027, 7, 1)])
def test_every_hour_exists_on_other_days(day):
    assert not any(clock.is_skipped(day, hour, minute) for hour in range(24) for minute in (0, 30))


def test_staff_who_type_an_hour_that_does_not_exist_are_told(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}"
    talk = {"on": "2027-03-14", "at": "02:30", "minutes": "30", "mode": "phone", "adviser": str(people.adviser.id)}
    spoken = {
        "on": "2026-03-08",
        "at": "02:30",
        "kind": "call",
        "direction": "outgoing",
        "result": "attempt",
        "summary": "Un mot",
    }
    for form, typed, table in (("talks", talk, Talk), ("exchanges", spoken, Exchange)):
        adviser.get(address)
        answer = adviser.post(f"{address}/{form}", typed, status=422)
        assert "ce moment n’existe pas" in words(answer.text)
        assert 'value="02:30"' in answer.text
        session.rollback()
        assert session.scalar(select(func.count(table.id))) == 0
    adviser.get(address)
    adviser.post(f"{address}/talks", talk | {"at": "03:30"})
    page = words(adviser.get(address).text)
    assert "30 minutes, Amélie Tremblay" in page.replace("\u00a0", " ")
