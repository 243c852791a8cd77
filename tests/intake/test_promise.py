"""The promise of a first reply in the morning's digest: before the day to who keeps it, after it to the coordinators too."""

from datetime import date

import pytest
import time_machine

from crm import clock
from crm.absences.models import Absence
from crm.cases import services as cases
from crm.intake import promise
from crm.talks import services as talks
from crm.talks.models import Mode

RECEIVED = "2026-11-23 15:00Z"  # a Monday: the reply is promised for Thursday


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(RECEIVED, tick=False) as moment:
        yield moment


def told(staff, day):
    """(section, references) of a day's digest of somebody."""
    sections = promise.sections(staff, date.fromisoformat(day))
    return {one.name.removeprefix("promise_"): [line.reference for line in one.lines] for one in sections if one.lines}


def test_who_has_the_file_is_told_before_and_the_coordinators_after(make, people):
    case = make.case(owner=people.adviser)
    assert case.reply_due_on == date(2026, 11, 26)
    for day, adviser, coordinator in (
        ("2026-11-24", {}, {}),
        ("2026-11-25", {"soon": [case.reference]}, {}),
        ("2026-11-26", {"soon": [case.reference]}, {}),
        ("2026-11-27", {"late": [case.reference]}, {"late": [case.reference]}),
    ):
        assert told(people.adviser, day) == adviser, day
        assert told(people.coordinator, day) == coordinator, day
        assert told(people.other_adviser, day) == {}, day


def test_the_words_differ_before_and_after(make, people):
    make.case(owner=people.adviser)
    for day, words in (
        ("2026-11-25", "réponse promise au plus tard le 26 novembre 2026"),
        ("2026-11-30", "la réponse était promise pour le 26 novembre 2026"),
    ):
        (section,) = [one for one in promise.sections(people.adviser, date.fromisoformat(day)) if one.lines]
        assert section.lines[0].words.replace("\u00a0", " ") == words


def test_a_reply_ends_it(make, people, session):
    case = make.case(owner=people.adviser)
    make.exchange(case, people.adviser)
    assert told(people.adviser, "2026-11-27") == told(people.coordinator, "2026-11-27") == {}


def test_while_a_talk_is_booked_the_clock_stands_still(make, people, session):
    case = make.case(owner=people.adviser)
    at = clock.at_local(date(2026, 12, 1), 10)
    talk = talks.book(case, adviser=people.adviser, starts_at=at, minutes=30, mode=Mode.PHONE, actor=people.adviser)
    session.commit()
    assert told(people.adviser, "2026-11-27") == told(people.coordinator, "2026-11-27") == {}
    talks.cancel(talk, case, actor=people.adviser)
    session.commit()
    assert told(people.coordinator, "2026-11-27") == {"late": [case.reference]}


def test_a_deputy_is_told_instead(make, people, session):
    case = make.case(owner=people.adviser)
    session.add(
        Absence(
            staff_id=people.adviser.id,
            begins_on=date(2026, 11, 24),
            ends_on=date(2026, 11, 30),
            deputy_id=people.other_adviser.id,
        )
    )
    session.commit()
    assert told(people.other_adviser, "2026-11-25") == {"soon": [case.reference]}
    assert told(people.adviser, "2026-11-25") == {}
    (section,) = [one for one in promise.sections(people.other_adviser, date(2026, 11, 25)) if one.lines]
    assert people.adviser.name in section.lines[0].words


def test_a_file_that_one_may_not_see_is_not_spoken_of(make, people, session):
    case = make.case(owner=people.adviser)
    cases.restrict(case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    assert told(people.coordinator, "2026-11-27") == {}
    assert told(people.adviser, "2026-11-27") == {"late": [case.reference]}
