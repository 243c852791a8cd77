"""What the case page owes its readers beyond its journeys: all of the history, and reasons that can be read."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from crm import clock
from crm.cases import queries, readings, services
from crm.cases.models import CaseReading
from crm.cases.vocabulary import ClosingReason, Stage
from crm.feature import plugged
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp
from crm.talks.models import Talk
from crm.timeline.groups import group_of
from tests.support.pages import words


def test_every_event_of_a_long_history_is_on_exactly_one_page(session, people, make, signed_in):
    case = make.case(owner=people.adviser)
    for number in range(45):
        services.add_note(case, f"Note numéro {number:02}.", people.adviser)
    session.commit()
    adviser = signed_in(people.adviser)
    seen, address = [], f"/staff/cases/{case.reference}"
    for _ in range(10):
        page = adviser.get(address).text
        seen += re.findall(r"Note numéro \d\d\.", page)
        older = re.search(r'href="([^"#]+before=[^"#]+)#history-title"', page)
        if not older:
            break
        address = older[1].replace("&amp;", "&")
    assert seen == [f"Note numéro {number:02}." for number in reversed(range(45))]
    assert len(list(queries.history(case).rows)) == queries.HISTORY
    assert adviser.get(f"/staff/cases/{case.reference}?before=xx").text.count("Note numéro") == queries.HISTORY


@pytest.mark.parametrize("verb", ["get", "post"])
def test_the_needs_of_a_closed_file_cannot_be_changed_and_the_page_says_why(session, people, make, signed_in, verb):
    case = make.case(owner=people.adviser)
    services.advance(
        case, Stage.CLOSED, people.adviser, reason="pourriel", closing_reason=ClosingReason.SPAM, person_told=""
    )
    session.commit()
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    address = f"/staff/cases/{case.reference}/assessment"
    if verb == "get":
        page = adviser.get(address, status=409).text
        assert '<form method="post" action="/staff/cases/' not in page
    else:
        page = adviser.post(address, {"version": "1", "summary": "Un texte tapé"}, status=409).text
        assert "Un texte tapé" in page


def test_a_refused_move_shows_the_stage_that_was_chosen(session, people, make, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    page = adviser.post(
        f"/staff/cases/{case.reference}/stage",
        {"to": "contact", "seen": "new", "reason": "x" * 2001},
        status=422,
    ).text
    listed = re.search(r'(?s)<select class="input" id="move-to".*?</select>', page)[0]
    assert re.findall(r'<option value="(\w*)"', listed).count("contact") == 1
    assert '<option value="contact" selected>' in listed


def test_restricting_needs_a_plain_answer(session, people, make, signed_in):
    case = make.case(owner=people.adviser)
    services.restrict(case, restricted=True, readers=[people.adviser.id], actor=people.coordinator)
    session.commit()
    coordinator = signed_in(people.coordinator)
    coordinator.get(f"/staff/cases/{case.reference}")
    coordinator.post(f"/staff/cases/{case.reference}/restriction", {}, status=409)
    session.expire_all()
    assert case.restricted


def test_nobody_is_reminded_of_a_file_they_may_not_see(session, people, make, at_once):
    case = make.case(owner=people.adviser)
    step = reminders.plan_by_hand(
        case,
        title="Appeler",
        reason="parce que",
        due_on=clock.today(),
        owner=people.other_adviser,
        actor=people.adviser,
    )
    services.restrict(case, restricted=True, readers=[people.adviser.id], actor=people.coordinator)
    step.due_on = clock.today() - timedelta(days=1)
    session.commit()
    reminders.queue_due()
    session.commit()
    send_due()
    session.expire_all()
    fates = {mail.to_address: mail.status for mail in session.scalars(select(Message))}
    assert fates[people.other_adviser.email] is Status.DROPPED


@pytest.mark.parametrize(
    "when",
    [
        {"on": "9999-12-31", "at": "18:40"},
        {"on": "2150-06-01", "at": "10:00"},
        {"on": "2026-11-31", "at": "10:00"},
        {"on": "", "at": "10:00"},
    ],
)
def test_a_talk_on_a_day_that_cannot_be_is_refused_in_the_form(session, people, make, signed_in, when):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    steps = {step.due_on for step in session.scalars(select(FollowUp).where(FollowUp.case_id == case.id))}
    typed = {"minutes": "90", "mode": "phone", "adviser": str(people.adviser.id)} | when
    page = adviser.post(f"/staff/cases/{case.reference}/talks", typed, status=422).text
    assert 'href="#talk-on"' in page
    session.expire_all()
    assert list(session.scalars(select(Talk))) == []
    assert {step.due_on for step in session.scalars(select(FollowUp).where(FollowUp.case_id == case.id))} == steps


@pytest.mark.parametrize("at", ["1_0:3_0", "٠٩:١٥", "10:00:zz", "25:00", "10"])
def test_an_hour_that_is_none_is_refused_in_the_form(people, make, signed_in, at):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    typed = {"on": (clock.today() + timedelta(days=7)).isoformat(), "at": at, "minutes": "30", "mode": "phone"}
    page = adviser.post(
        f"/staff/cases/{case.reference}/talks", typed | {"adviser": str(people.adviser.id)}, status=422
    ).text
    assert 'href="#talk-at"' in page


def test_an_address_of_a_body_with_a_sign_no_database_takes_is_a_plain_404(people, signed_in):
    signed_in(people.adviser).get("/staff/partners/a%00", status=404)


# --- a part of the history ---------------------------------------------------------------------------------------------


def test_the_history_is_narrowed_to_a_kind_and_paged_there(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    for place in range(queries.HISTORY + 3):
        services.add_note(case, f"Note numéro {place}", people.adviser)
    session.commit()
    browser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}"
    page = browser.get(f"{address}?show=notes").text
    assert page.count('class="words">Note numéro') == queries.HISTORY
    assert "entry--move" not in page
    assert "entry--move" in browser.get(f"{address}?show=moves").text
    older = re.search(r'href="([^"#]+before=[^"#]+)#history-title"', page)[1].replace("&amp;", "&")
    assert "show=notes" in older
    assert browser.get(older).text.count('class="words">Note numéro') == 3
    assert "Rien de ce genre" in words(browser.get(f"{address}?show=talks").text)
    assert "Note numéro" in browser.get(f"{address}?show=zzz").text


def test_every_kind_of_event_of_a_file_is_of_a_group(session):
    alone = {"text.published", "summary.published", "request.acknowledged"}
    kinds = {sentence.kind for sentence in plugged("event_sentences")}
    lost = {kind for kind in kinds if not group_of(kind)} - alone
    of_no_file = ("text.", "summary.", "session.", "activity.", "demo.", "plan.", "directory.", "incident.")
    assert lost <= {kind for kind in lost if kind.startswith(of_no_file)}, lost


# --- who opened it -----------------------------------------------------------------------------------------------------


def test_who_opened_a_file_is_noted_once_a_day_and_read_by_coordinators(app, make, people, session, signed_in, caplog):
    case = make.case(owner=people.adviser)
    adviser, coordinator = signed_in(people.adviser), signed_in(people.coordinator)
    address = f"/staff/cases/{case.reference}"
    adviser.get(address)
    adviser.get(address)
    adviser.get(f"{address}/readers", status=404)
    page = words(coordinator.get(f"{address}/readers").text)
    assert page.count(people.adviser.name) == 1
    readings.known(app).clear()  # another process
    adviser.get(address)
    coordinator.get(address)
    found = session.execute(select(CaseReading.staff_id, CaseReading.day).order_by(CaseReading.staff_id)).all()
    assert found == [
        (one.id, clock.today()) for one in sorted((people.adviser, people.coordinator), key=lambda p: p.id)
    ]
    assert "could not take it" not in caplog.text


def test_a_page_that_is_refused_is_no_reading(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    services.restrict(case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    signed_in(people.coordinator).get(f"/staff/cases/{case.reference}", status=404)
    assert session.scalars(select(CaseReading)).all() == []
