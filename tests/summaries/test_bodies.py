"""What each body reads of its own answers, beside the others' without saying whose; and what the committee reads of bodies."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from crm import clock
from crm.links import services as links
from crm.partners.models import Body
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason
from crm.summaries import course_rows, queries, services
from crm.summaries.bodies import beside_others
from crm.summaries.course import Asked, Rows, course_of
from crm.summaries.figures import Count, Table, to_half
from crm.summaries.models import SummaryFile
from crm.summaries.periods import Period
from crm.summaries.release import _by_body
from tests.support.pages import Pages, words
from tests.support.summaries import published

Q3 = Period.read("2026-q3")
READ = "/staff/summaries/2026-q3"
SENT = datetime(2026, 8, 3, 14, tzinfo=UTC)  # a Monday


def told(waits: dict[str, list[int]], k: int = 5, wholes: dict[str, str] | None = None) -> dict:
    """What bodies are told that answered after so many days, all within one week."""
    rows = [
        Asked(1, body, SENT, "accepted", SENT + timedelta(days=days)) for body, some in waits.items() for days in some
    ]
    return beside_others(course_of(Rows(asked=rows)).bodies, k, wholes or {})


def test_a_body_reads_the_median_of_all_answers_but_its_own():
    found = told({"mine": [4, 4, 4], "a": [0], "b": [1], "c": [2], "d": [3], "e": [3]})
    assert found["mine"] == {"sent": 3, "accepted": 3, "declined": 0, "silent": 0, "days": 4, "others": 2}
    assert found["a"]["others"] == 3.5 - 0.5  # of 1, 2, 3, 3, 4, 4, 4


def test_with_few_others_nothing_is_told_of_them():
    four = {"mine": [1], "a": [0], "b": [1], "c": [2], "d": [3]}
    assert told(four)["mine"]["others"] is None
    assert told(four | {"e": [2]})["mine"]["others"] == 2
    assert told(four | {"e": [2]}, k=6)["mine"]["others"] is None


def test_local_offices_are_one_with_the_body_that_they_are_of():
    offices = {"mine": [1], **{f"door{n}": [3] for n in range(6)}}
    of_one = {f"door{n}": "door" for n in range(6)}
    assert told(offices)["mine"]["others"] == 3
    assert told(offices, wholes=of_one)["mine"]["others"] is None
    both = offices | {"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}
    assert told(both, wholes=of_one)["mine"]["others"] == 2
    own = told(both, wholes=of_one)[
        "door1"
    ]  # a door reads its own answers, and not those of the other doors beside them
    assert (own["sent"], own["days"], own["others"]) == (1, 3, 1)


def test_a_median_that_would_be_one_bodys_own_is_not_told():
    others = {"mine": [1], "a": [3] * 5, "b": [1], "c": [1], "d": [1], "e": [1]}
    assert told(others)["mine"]["others"] is None
    assert told(others | {"f": [1]})["mine"]["others"] == 2


def test_a_body_that_was_silent_has_no_time_and_counts_for_no_other():
    rows = [Asked(1, "mine", SENT), *(Asked(2, body, SENT, "declined", SENT) for body in "abcd"), Asked(3, "e", SENT)]
    found = beside_others(course_of(Rows(asked=rows)).bodies, 5, {})
    assert found["mine"] == {"sent": 1, "accepted": 0, "declined": 0, "silent": 1, "days": None, "others": None}
    assert found["a"]["declined"] == 1


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=6))
def test_the_median_of_the_others_is_the_median_of_their_answers(waits):
    for body, own in told(waits).items():
        others = [days for other, some in waits.items() if other != body for days in some]
        assert own["days"] == to_half(median(waits[body]))
        assert own["others"] in {None, to_half(median(others))}
        most = max(len(some) for other, some in waits.items() if other != body)
        assert (own["others"] is None) == (len(waits) < 6 or most > len(others) / 2)


OTHERS = {"b/8": 10, "b/9": 10}  # of a kind that the table of kinds does not tell


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (OTHERS | {"a/1": 6, "a/2": 5}, {"a/1": 6, "a/2": 5, "merged": 20}),
        (OTHERS | {"a/1": 9, "a/2": 3, "a/3": 3, "a/4": 2}, {"a/1": 9, "a/merged": 8, "merged": 20}),
        (OTHERS | {"a/1": 9, "a/2": 5, "a/3": 3}, {}),  # whoever was sent five would know what the other was sent
        (OTHERS | {"a/1": 6, "a/2": 1}, {}),
        (OTHERS | {"a/1": 7}, {"a/1": 7, "merged": 20}),
        # Later, the answers of all are told: of two bodies each learns the other's, and of one everybody does.
        ({"a/1": 12}, {}),
        ({"a/1": 12, "a/2": 12}, {}),
        ({"a/1": 12, "a/2": 5, "a/3": 5}, {"a/1": 12, "a/2": 5, "a/3": 5}),
        ({"a/1": 12, "a/2": 5, "b/2": 4}, {}),  # a body with programmes of two kinds is one
        ({"a/1": 30, "a/2": 5, "b/3": 4}, {}),  # nine of all others
    ],
)
def test_bodies_are_told_where_none_of_them_learns_of_another(sent, shown):
    figure = Table({name: Count(tuple(range(number))) for name, number in sent.items()})
    kinds = {"total": {"value": sum(sent.values())}, "cells": {"a": {}, "merged": {}}}
    assert _by_body(figure, kinds, 5)["cells"] == {name: {"value": number} for name, number in shown.items()}


# --- with a database --------------------------------------------------------------------------------------------------


@pytest.fixture
def moment():
    with time_machine.travel(SENT, tick=False) as moment:
        yield moment


@pytest.fixture
def bodies(make, people, session, moment):
    """Six bodies that answered, one of them after two days and once not at all."""
    found = [make.body(code) for code in ("cdrq", "esplanade", "fondaction", "pme-mtl", "caisse-solidaire", "risq")]
    asked = [make.referral(body=body) for body in found]
    make.referral(body=found[0])
    answers.decline(asked[0], DeclineReason.AREA, "", staff=people.adviser)
    moment.shift(timedelta(days=2))
    for one in asked[1:]:
        answers.accept(one, "", staff=people.adviser)
    session.commit()
    moment.move_to(clock.at_local(Q3.cut_off, 10))
    return found


def list_of(app, session, body, lang="fr"):
    """The page of a body, entered by its link."""
    address = f"{ {'fr': '/fr/organisme', 'en': '/en/organization'}[lang] }/{links.token(referrals.link_of_person(body.main))}"
    session.commit()
    browser = Pages(app)
    browser.get(address)
    browser.post(address)
    return words(browser.get(address.rpartition("/")[0]).text)


def test_a_body_reads_its_own_answers_on_its_page_once_a_summary_is_published(app, session, bodies, people):
    mine, other = bodies[:2]
    assert "Vos réponses sur douze mois" not in list_of(app, session, mine)
    published(Q3, people.coordinator, people.admin)
    session.commit()
    page = list_of(app, session, mine)
    assert "Du 1er octobre 2025 au 30 septembre 2026" in page
    assert (
        "Mises en relation reçues, sauf celles qui ont été retirées 2 Acceptées 0 Refusées 1 Sans réponse de votre part 1 "
        "Votre délai médian de réponse 0 jour ouvrable Délai médian de réponse des autres organismes 2 jours ouvrables"
        in page
    )
    page = list_of(app, session, other, "en")
    assert "Referrals received, except those withdrawn 1 Accepted 1 Declined 0 Without an answer from you 0" in page
    assert "Hidden, so that" not in page


def test_what_a_body_was_told_stays_and_is_part_of_the_digest(app, session, bodies, people, make):
    made = published(Q3, people.coordinator, people.admin)
    session.commit()
    make.referral(body=bodies[0])
    session.commit()
    assert "ont été retirées 2 " in list_of(app, session, bodies[0])
    assert services.verify_all() == 1
    made.bodies = made.bodies | {"cdrq": made.bodies["cdrq"] | {"sent": 9}}
    session.commit()
    with pytest.raises(services.ChangedError):
        services.verify_all()


def test_what_a_body_is_told_is_what_the_team_reads_of_it(session, bodies, people, make):
    taken_back, lapsed = make.referral(body=bodies[0]), make.referral(body=bodies[1])
    referrals.withdraw(taken_back, taken_back.case, people.adviser)
    referrals.expire(lapsed, lapsed.case)
    session.execute(update(Referral).values(sent_at=SENT))
    session.commit()
    found = queries.look(Q3).bodies
    assert found == course_of(course_rows.rows_of(Q3, "asked")).bodies
    assert (found["cdrq"].sent.value, found["esplanade"].silent.value) == (2, 1)


def test_a_body_that_was_sent_nothing_reads_nothing_of_the_others(app, session, bodies, people, make):
    published(Q3, people.coordinator, people.admin)
    session.commit()
    assert "Vos réponses" not in list_of(app, session, make.body("ville-montreal"))


def test_the_committee_reads_how_many_each_body_was_sent_only_where_there_are_enough(
    session, make, people, signed_in, moment
):
    sent = {"cdrq": 6, "reseau-coop": 5, "fondaction": 6, "risq": 1}
    numbers = {}
    for code, number in sent.items():
        body = make.body(code)
        numbers[code] = body.id
        for _ in range(number):
            make.referral(body=body)
    moment.move_to(clock.at_local(Q3.cut_off, 10))
    made = published(Q3, people.coordinator, people.admin)
    session.commit()
    table = made.shown["tables"]["sent_by_body"]
    # Financing is not split: six of one body would say that another one had one.
    assert table["cells"] == {
        f"assistance/{numbers['cdrq']}": {"value": 6},
        f"assistance/{numbers['reseau-coop']}": {"value": 5},
        "merged": {"value": 7},
    }
    by_code(session, "cdrq").short_en = by_code(session, "cdrq").short_fr = "Autrement"
    session.commit()
    page = words(signed_in(people.observer).get(READ).text)
    assert "Technical assistance: CDRQ 6" in page
    assert "Autrement" not in page
    assert "Other (merged) 7" in page
    assert "fondaction" not in page.lower()
    counted = f"{READ}/counted/sent_by_body?of="
    team = signed_in(people.adviser)
    assert "6 en tout" in words(team.get(f"{counted}assistance/{numbers['cdrq']}").text)
    assert "7 en tout" in words(team.get(f"{counted}merged").text)
    signed_in(people.observer).get(f"{counted}merged", 404)


def by_code(session, code):
    return session.scalars(select(Body).where(Body.code == code)).one()


def test_the_last_summary_speaks_and_older_ones_without_it_are_still_whole(app, session, bodies, people, moment):
    first = published(Q3, people.coordinator, people.admin)
    session.commit()
    moment.move_to(clock.at_local(Q3.next.cut_off, 10))
    published(Q3.next, people.coordinator, people.admin)
    session.commit()
    assert "Du 1er janvier 2026 au 31 décembre 2026" in list_of(app, session, bodies[0])
    first.bodies = None  # as one that was published before there was any: its digest is of the rest
    frozen = [first.period, first.definitions, first.figures, first.shown, first.texts]
    read = select(SummaryFile).where(SummaryFile.summary_id == first.id)
    files = sorted([one.format.value, one.language, one.table, one.digest] for one in session.scalars(read))
    written = json.dumps([*frozen, files], sort_keys=True, ensure_ascii=False)
    assert services.digest_of(first) == hashlib.sha256(written.encode()).hexdigest()
