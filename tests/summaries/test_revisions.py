"""What was published stays; what an earlier period counts now is told again with the difference, or waits until it betrays nobody."""

import io
import json
import random
from copy import deepcopy
from datetime import date, timedelta

import openpyxl
import pytest
import time_machine
from sqlalchemy import select, update

from crm import clock
from crm.cases.models import Case
from crm.i18n import speaking
from crm.summaries import release, services
from crm.summaries.figures import Count, Rate
from crm.summaries.models import Format, Summary
from crm.summaries.periods import Period
from crm.summaries.release import Before, released, revisions, told_ever
from tests.summaries.attacker import STAGES, Attack, figures, invented
from tests.summaries.test_formats import contents, rows_of, squeezed, text_of
from tests.support.pages import words
from tests.support.summaries import published

K = 5
Q1, Q2, Q3 = (Period.quarter(2026, number) for number in (1, 2, 3))


def shown(value: int | None, **more) -> dict:
    cell = {"value": value} if value is not None else {"hidden": "small"}
    return {"k": K, "figures": {"received": cell, "activities": {"value": 3}}, "tables": {}, "year": None} | more


def before(period: Period, value: int | None, **more) -> Before:
    return Before.of(period.first, period.last, shown(value, **more))


def told(fresh: dict, *earlier: Before, now: dict | None = None) -> list[tuple[str, str, int, int]]:
    counts = {period.first: (period.code, found) for period, found in fresh.items()}
    return [
        (one["period"], one["figure"], one["was"], one["now"])
        for one in revisions(counts, earlier, Q3, now or shown(20))
    ]


@pytest.mark.parametrize(
    ("was", "now", "is_told"),
    [
        (12, 17, True),
        (12, 16, False),
        (12, 12, False),
        (12, 7, True),
        (12, 8, False),
        (12, 3, False),
        (None, 12, False),
        (9, 0, True),
    ],
)
def test_a_difference_of_fewer_than_five_waits(was, now, is_told):
    assert told({Q2: {"received": now}}, before(Q2, was)) == ([(Q2.code, "received", was, now)] if is_told else [])


def test_what_is_of_the_teams_own_doing_is_told_at_once():
    assert told({Q2: {"activities": 4}}, before(Q2, 12)) == [(Q2.code, "activities", 3, 4)]


def test_what_waited_is_told_once_it_has_grown_and_counts_from_what_was_told_last():
    first = before(Q1, 12)
    second = before(
        Q2, 15, revised=[{"period": Q1.code, "first": Q1.first.isoformat(), "figure": "received", "was": 12, "now": 18}]
    )
    assert told_ever(first, [first, second], "received") == [12, 18]
    assert told({Q1: {"received": 22}}, first, second) == []
    assert told({Q1: {"received": 23}}, first, second) == [(Q1.code, "received", 18, 23)]


def test_up_and_then_down_does_not_tell_the_little_that_is_left():
    """Twelve, then twenty-two; were it fourteen now, two would be what came late and stayed."""
    first = before(Q1, 12)
    again = [{"period": Q1.code, "first": Q1.first.isoformat(), "figure": "received", "was": 12, "now": 22}]
    second = before(Q2, 15, revised=again)
    assert told({Q1: {"received": 14}}, first, second) == []
    assert told({Q1: {"received": 17}}, first, second) == [(Q1.code, "received", 22, 17)]
    assert told({Q1: {"received": 12}}, first, second) == [(Q1.code, "received", 22, 12)]


def test_it_waits_where_a_table_of_twelve_months_would_leave_few():
    """Seven were entered late of two quarters: told of the one, the table would say how many of the other."""
    year = {"first": Q1.first.isoformat(), "last": (Q3.first - timedelta(days=1)).isoformat()}
    with_table = before(Q2, 15, year=year, tables={"by_language": {"total": {"value": 34}}})
    assert told({Q1: {"received": 18}}, before(Q1, 12), with_table) == []
    assert told({Q1: {"received": 19}}, before(Q1, 12), with_table) == [(Q1.code, "received", 12, 19)]


@pytest.mark.parametrize(("received", "is_told"), [(20, True), (17, False), (23, False), (15, False), (None, True)])
def test_a_rate_of_all_requests_of_the_period_before_does_not_say_how_few_came_late(received, is_told):
    found = figures(invented(0), 4) | {"reached": Rate(Count(tuple(range(10))), Count(tuple(range(20))))}
    made = released(found, Q3, STAGES, [before(Q2, received)], K)
    assert ("value" in made["figures"]["reached"]) is is_told


# --- an attacker ------------------------------------------------------------------------------------------------------


def change(cells: dict[str, int], number: int) -> None:
    """So many more, or fewer, in whichever categories have some."""
    for name, there in cells.items():
        step = max(number, -there)
        cells[name] = there + step
        number -= step


def with_late_entries(seed: int) -> tuple[list[dict], dict[tuple[int, int], int], list[int]]:
    """A history in which requests are entered quarters late: what is published each time, how many came late, what each first counted."""
    history, chance = deepcopy(invented(seed)), random.Random(seed)
    out, late, first = [], {}, []
    earlier: list[Before] = []
    period = Period.quarter(2024, 1)
    periods: list[Period] = []
    for place in range(len(history)):
        for old in range(max(0, place - 3), place):
            number = chance.choice((0, 0, 0, 1, 2, 3, 6, 9, -2, -6, -8))
            number = late[old, place] = max(number, -history[old].received)
            for table in ("by_form", "heard", "by_field", "by_region"):
                change(history[old].requests[table], number)
        first.append(history[place].received)
        fresh = {
            periods[old].first: (periods[old].code, {"received": history[old].received})
            for old in range(max(0, place - 3), place)
        }
        found = figures(history, place)
        made = released(found, period, STAGES, earlier, K, fresh=fresh)
        earlier.append(Before.of(period.first, period.last, made))
        out.append(made)
        periods.append(period)
        period = period.next
    return out, late, first


FAR = 1000  # what is unknown is not negative: differences are told from here


def betrayed(seed: int) -> list[tuple]:
    """The small differences, between what a quarter counted at two releases, that all releases together bound more tightly than "fewer than five"."""
    out, late, _first = with_late_entries(seed)
    known, starts = Attack(K), {}
    for place, made in enumerate(out):
        starts[Period.quarter(2024 + place // 4, place % 4 + 1).first.isoformat()] = place
        known.one("count", place, place)
        known.hears(made["figures"]["received"], {("count", place, place): 1.0})
        for one in made["revised"]:
            known.is_({("count", starts[one["first"]], place): 1.0}, one["now"])
        if made["year"]:
            inside = range(max(0, place - 3), place + 1)
            total = made["tables"]["by_language"]["total"]["value"]
            known.is_({("count", old, place): 1.0 for old in inside}, total)
    differences = {}
    for place in range(len(out)):
        for old in range(max(0, place - 3), place):
            for since in {old, place - 1}:
                terms = {
                    ("count", old, place): 1.0,
                    ("count", old, since): -1.0,
                    ("difference", old, since, place): -1.0,
                }
                known.is_(terms, -FAR)
                number = sum(late[old, at] for at in range(since + 1, place + 1))
                differences["difference", old, since, place] = number
    found = []
    for name, number in differences.items():
        if 0 < abs(number) < K:
            low, high = known.solved(name)
            assert low - FAR <= number <= (number if high is None else high - FAR)
            if high is not None and high - low < K - 2:
                found.append((name, number, low - FAR, high - FAR))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_nobody_finds_how_few_were_entered_late_or_taken_away(seed):
    assert betrayed(seed) == []


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        ("_leaves_few", lambda _days, _total, _told, _k: False),
        ("told_ever", lambda one, before, code: told_ever(one, before, code)[-1:]),
        ("is_small", lambda _number, _k: False),
    ],
    ids=["a table that leaves few", "only the newest number", "no difference waits"],
)
def test_without_one_of_the_rules_some_are_found(monkeypatch, broken, by):
    monkeypatch.setattr(release, broken, by)
    assert any(betrayed(seed) for seed in range(40))


# --- in the product ---------------------------------------------------------------------------------------------------


@pytest.fixture
def revised(make, people, session):
    """Twelve requests of a quarter that was published; then six more of it, entered late, and the next quarter's summary."""
    with time_machine.travel(clock.at_local(date(2026, 5, 4), 10), tick=False) as moment:
        for place in range(12):
            make.case(owner=people.adviser, name=f"Projet {place}", email=f"p{place}@exemple.ca")
        session.commit()
        moment.move_to(clock.at_local(Q2.cut_off, 10))
        published(Q2, people.coordinator, people.admin)
        session.commit()
        for place in range(20):
            late = make.case(owner=people.adviser, name=f"Tard {place}", email=f"t{place}@exemple.ca")
            if place < 6:
                session.execute(update(Case).where(Case.id == late.id).values(received_at=clock.at_local(Q2.last, 9)))
        session.commit()
        moment.move_to(clock.at_local(Q3.cut_off, 10))
        summary = published(Q3, people.coordinator, people.admin)
        session.commit()
        yield summary


def test_a_later_summary_tells_the_difference_in_every_format_and_the_earlier_one_stays(
    revised, people, session, signed_in
):
    committee = signed_in(people.observer)
    first = session.scalars(select(Summary).where(Summary.period == Q2.code)).one()
    assert first.shown["figures"]["received"] == {"value": 12}
    page = words(committee.get("/staff/summaries/2026-q3").text)
    earlier = words(committee.get("/staff/summaries/2026-q2").text)
    said = {"fr": "18 (publié : 12; différence : +6)", "en": "18 (published: 12; difference: +6)"}
    assert said["en"] in page
    assert "Revised since it was published" in earlier
    assert said["en"] in earlier
    (one,) = [one for one in json.loads(contents(revised, Format.JSON)[("", "")])["figures"] if one["was"] is not None]
    assert (one["code"], one["value"], one["was"]) == ("received@2026-q2", 18, 12)
    for lang, words_ in said.items():
        with speaking(lang):
            (line,) = [line for line in services.report_of(revised).lines if line.was is not None]
        assert squeezed(line.said) == squeezed(words_)
        (row,) = [row for row in rows_of(contents(revised, Format.CSV)[lang, "figures"], lang) if row[1] == line.name]
        assert (row[2], row[4]) == ("18", line.said)
        book = openpyxl.load_workbook(io.BytesIO(contents(revised, Format.XLSX)[lang, ""]))
        assert [row[2] for row in book.worksheets[0].iter_rows(values_only=True) if row[1] == line.name] == [18]
        assert squeezed(f"{line.name}{line.said}") in squeezed(text_of(contents(revised, Format.PDF)[lang, ""]))
    assert services.verify_all() == 2
