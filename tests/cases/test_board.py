"""The board: the files of a filter by stage, and moving them from it, with or without a script."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from crm import clock, demo
from crm.cases import board, services
from crm.cases.filters import Filter
from crm.cases.listing import count
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from tests.support.pages import HOST, words


def read(query: str = "") -> Filter:
    return Filter.read(MultiDict(parse_qsl(query)))[0]


@pytest.mark.parametrize(
    "query", ["", "owner=none", "turn=team&language=fr", "stage=discovery&stage=closed", "stage=all&q=coop"]
)
def test_each_column_holds_the_files_that_the_list_of_its_stage_holds(app, people, session, query):
    session.commit()
    demo.load(app, cases=150, seed=9, say=lambda _line: None)
    session.expire_all()
    wanted = read(query)
    recently = clock.now() - board.CLOSED_FOR
    shown = board.columns_of(people.coordinator, wanted)
    assert [column.stage for column in shown] == (
        [Stage.DISCOVERY, Stage.CLOSED] if "stage=disc" in query else list(Stage)
    )
    for column in shown:
        one = wanted.but(stages=(column.stage.value,))
        number = count(people.coordinator, one, 10_000)
        if column.stage is Stage.CLOSED:
            late = [row for row in column.cards if session.get(Case, row.id).closed_at < recently]
            assert late == []
            assert column.number <= number
        else:
            assert column.number == number
        assert len(column.cards) == min(column.number, board.CARDS)
        at = "closed_at" if column.stage is Stage.CLOSED else "received_at"
        cases = [session.get(Case, row.id) for row in column.cards]
        assert cases == sorted(cases, key=lambda case: (getattr(case, at), case.id), reverse=True)


def test_a_restricted_file_is_on_the_board_of_those_named_only(make, people, session, signed_in):
    case = make.case(owner=people.adviser, name="Canari")
    services.restrict(case, restricted=True, readers=[], actor=people.coordinator)
    session.commit()
    assert "Canari" in signed_in(people.adviser).get("/staff/cases/board").text
    assert "Canari" not in signed_in(people.other_adviser).get("/staff/cases/board").text
    signed_in(people.other_adviser).get(f"/staff/cases/{case.reference}/move", status=404)
    signed_in(people.observer).get("/staff/cases/board", status=404)
    assert board.columns_of(people.observer, read())[0].cards == []


def test_a_full_column_leads_to_its_list(make, people, session, signed_in, monkeypatch):
    monkeypatch.setattr(board, "CARDS", 3)
    for number in range(5):
        make.case(name=f"Projet {number}")
    page = signed_in(people.adviser).get("/staff/cases/board?language=fr").text
    assert page.count('class="card"') == 3
    assert 'href="/staff/cases?stage=new&amp;language=fr"' in page
    assert "Nouvelle demande 5" in words(page)


def test_a_card_moves_by_its_page_and_the_filter_is_kept(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.adviser)
    page = browser.get("/staff/cases/board?owner=me").text
    address = re.search(rf'href="(/staff/cases/{case.reference}/move[^"]*)"', page)[1]
    assert address.endswith("/move?owner=me")
    browser.get(address)
    answer = browser.post(address, {"to": "contact", "seen": "new"})
    assert answer.headers["Location"] == "/staff/cases/board?owner=me"
    assert "« Outilthèque de Rosemont » est passé à « Premier contact »." in words(
        browser.get("/staff/cases/board?owner=me").text
    )
    session.expire_all()
    assert case.stage is Stage.CONTACT


def test_a_refused_move_says_why_and_keeps_what_was_typed(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/move"
    browser.get(f"{address}?to=planning")
    page = browser.post(address, {"to": "planning", "seen": "new", "reason": "Parce que"}, status=409).text
    assert "Parce que" in page
    assert "«\u00a0Nouvelle demande\u00a0»" in page or "Nouvelle demande" in words(page)
    browser.post(address, {"to": ""}, status=422)
    browser.post(address, {"to": "nowhere", "seen": "zzz"}, status=422)
    session.expire_all()
    assert case.stage is Stage.NEW


def drag(browser, case, to, seen):
    return browser._ask(
        browser.client.post, f"/staff/cases/{case.reference}/move", data={"csrf_token": browser.token(), "to": to, "seen": seen},
        headers={"Host": HOST, "Accept": "application/json"},
    )  # fmt: skip


def test_dragging_is_told_in_words(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.adviser)
    answer = drag(browser, case, "contact", "new")
    assert (answer.status_code, json.loads(answer.text)["moved"], json.loads(answer.text)["stage"]) == (
        200,
        True,
        "contact",
    )
    assert json.loads(answer.text)["said"] == [
        "«\u00a0Outilthèque de Rosemont\u00a0» est passé à «\u00a0Premier contact\u00a0»."
    ]
    answer = drag(browser, case, "discovery", "contact")
    assert json.loads(answer.text)["moved"] is False
    assert json.loads(answer.text)["said"]
    answer = drag(browser, case, "closed", "contact")
    assert json.loads(answer.text)["moved"] is False, "closing asks for its reason"
    # Somebody moved it meanwhile: said, and nothing is moved twice.
    answer = drag(browser, case, "contact", "new")
    told = json.loads(answer.text)
    assert (told["moved"], told["stage"]) == (False, "contact")
    assert "Premier contact" in told["said"][0]
    session.expire_all()
    assert case.stage is Stage.CONTACT


def test_closed_files_leave_the_board_after_six_weeks(make, people, session, signed_in):
    case = make.case(owner=people.adviser, name="Fini")
    case.stage, case.closed_at = Stage.CLOSED, clock.now() - timedelta(days=41)
    session.commit()
    browser = signed_in(people.adviser)
    assert "Fini" in browser.get("/staff/cases/board").text
    case.closed_at = clock.now() - timedelta(days=43)
    session.commit()
    assert "Fini" not in browser.get("/staff/cases/board").text
    assert session.scalar(select(Case.id)) == case.id
