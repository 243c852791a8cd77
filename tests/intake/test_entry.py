"""A request that staff enter for somebody: the same questions, judged alike, with its source and the notice given."""

import re

import pytest
from sqlalchemy import func, select

from crm.cases.models import Case
from crm.intake.models import Request
from crm.outbox.models import Message
from crm.texts import pair
from crm.timeline.models import ActorKind, Event
from tests.support.factories import ANSWERS
from tests.support.pages import words
from tests.support.typed import form_with

NEW = "/staff/requests/new"


def entry(browser, **changes):
    _, form = form_with(browser.get(NEW).text, "form_key")
    return ANSWERS | {"form_key": form["form_key"][0], "source": "phone", "told": "y"} | changes


@pytest.mark.parametrize(("spoken", "hello"), [("fr", "Bonjour"), ("en", "Hello"), ("either", "Bonjour")])
def test_it_becomes_a_file_with_its_source_and_the_person_is_told_in_their_language(
    people, session, signed_in, spoken, hello
):
    browser = signed_in(people.adviser)
    answer = browser.post(NEW, entry(browser, lang_pref=spoken, source="event"))
    case = session.scalars(select(Case)).one()
    assert answer.headers["Location"] == f"/staff/cases/{case.reference}"
    assert (case.source, case.owner_id, case.quarantined) == ("event", None, False)
    request = session.scalars(select(Request)).one()
    assert request.notice_version == pair("intake.notice.version")["fr"]
    assert session.scalars(select(Message.body)).one().startswith(hello)
    opened = session.scalars(select(Event).where(Event.kind == "case.opened")).one()
    assert (opened.actor_kind, opened.actor_id) == (ActorKind.STAFF, people.adviser.id)


def test_pressing_twice_enters_it_once(people, session, signed_in):
    browser = signed_in(people.adviser)
    typed = entry(browser)
    first = browser.post(NEW, typed).headers["Location"]
    browser.get(NEW)
    assert browser.post(NEW, typed).headers["Location"] == first
    assert session.scalar(select(func.count(Case.id))) == 1


def test_what_is_missing_is_asked_for_and_the_rest_kept(people, session, signed_in):
    browser = signed_in(people.other_adviser)
    refused = browser.post(NEW, entry(browser, email="nadia@", source="", told="", needs=[]), status=422)
    summary = re.search(r'(?s)<div class="error-summary".*?</div>', refused.text)[0]
    targets = re.findall(r'href="#([^"]+)"', summary)
    assert targets == ["source", "told", "email", "needs"]
    assert all(f'id="{target}"' in refused.text for target in targets)
    assert pair("intake.question.email.wrong")["en"] in words(refused.text)
    assert form_with(refused.text, "form_key")[1]["description"] == [ANSWERS["description"]]
    assert session.scalar(select(func.count(Case.id))) == 0
