"""Robots: a suspect sees the ordinary confirmation, nothing leaves for it, and one press releases it."""

import hashlib
import itertools
import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from crm import clock
from crm.app import create_app
from crm.business_days import add_business_days, next_business_day
from crm.cases.models import Case
from crm.cases.services import advance
from crm.cases.vocabulary import ClosingReason, Stage
from crm.db import db
from crm.errors import RefusedError
from crm.intake import desk
from crm.intake.models import Draft, Request
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.reminders.services import queue_due
from crm.robots import TRAP, Suspicion, suspicions
from crm.summaries.periods import Period
from crm.summaries.queries import figure_of
from crm.texts import pair
from tests.conftest import settings_for
from tests.support.asking import CHECK, address, ask, begin, fill, own
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words

LINKS = "Une plateforme pour le quartier : https://a.example www.b.example http://c.example et la suite."
LIST = "/staff/requests"


def count(session, model) -> int:
    return session.scalar(select(func.count()).select_from(model))


def suspect(pages, **changes):
    """A request with three links; its file."""
    return ask(pages, ANSWERS | {"description": LINKS} | changes)


@pytest.mark.parametrize(
    ("signs", "why"),
    [
        ({}, []),
        ({"trap": True}, [Suspicion.TRAP]),
        ({"seconds": 3.9}, [Suspicion.FAST]),
        ({"seconds": 4.0}, []),
        ({"links": 2}, []),
        ({"links": 3}, [Suspicion.LINKS]),
        ({"from_network": 10}, []),
        ({"from_network": 11}, [Suspicion.NETWORK]),
        ({"in_all": 200}, []),
        ({"in_all": 201}, [Suspicion.FLOOD]),
        ({"trap": True, "seconds": 0, "links": 9}, [Suspicion.TRAP, Suspicion.FAST, Suspicion.LINKS]),
    ],
)
def test_what_speaks_against_a_request(signs, why):
    ordinary = {"trap": False, "seconds": 300, "links": 0, "from_network": 1, "in_all": 1}
    assert suspicions(**ordinary | signs) == why


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_suspect_sees_the_ordinary_confirmation_and_no_mail_leaves(app, pages, people, session, lang):
    plain = words(pages.get(ask(pages, ANSWERS, lang).headers["Location"]).text)
    other = Pages(app)
    shown = words(other.get(ask(other, ANSWERS | {"description": LINKS}, lang).headers["Location"]).text)
    reference = re.compile(r"PCC-\w{4}-\w{4}")
    assert reference.sub("", shown) == reference.sub("", plain)
    case = session.scalars(select(Case).where(Case.quarantined)).one()
    assert case.reference in shown
    assert session.scalars(select(Message.case_id)).all() == [
        session.scalars(select(Case.id).where(~Case.quarantined)).one()
    ]


def test_the_field_that_people_do_not_see_betrays_a_robot_on_any_page(pages, people, session):
    begin(pages)
    assert pages.get(address("territory")).text.count(f'name="{TRAP}" tabindex="-1" autocomplete="off"') == 1
    pages.post(address("territory"), own("territory", ANSWERS) | {TRAP: "http://spam.example"})
    fill(pages, ANSWERS)
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    assert session.scalars(select(Request.suspicions)).one() == ["trap"]


def test_sending_within_four_seconds_betrays_a_robot(pages, people, session):
    begin(pages)
    session.execute(update(Draft).values(started_at=clock.now()))
    fill(pages, ANSWERS)
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    assert session.scalars(select(Request.suspicions)).one() == ["fast"]


def test_the_eleventh_of_a_network_in_an_hour_is_set_aside_and_none_is_refused(app, people, session):
    noon = clock.at_local(clock.today(), 12)
    with time_machine.travel(noon, tick=False):
        for _ in range(12):
            ask(Pages(app), ANSWERS)
    assert count(session, Case) == 12
    found = session.scalars(select(Request.suspicions).order_by(Request.id)).all()
    assert found == [None] * 10 + [["network"]] * 2
    with time_machine.travel(noon + timedelta(hours=1), tick=False):
        ask(Pages(app), ANSWERS)
    assert session.scalars(select(Request.suspicions).order_by(Request.id.desc())).first() is None


def test_one_press_releases_it_with_the_date_promised_at_reception(pages, people, session, signed_in):
    suspect(pages)
    case = session.scalars(select(Case)).one()
    promised = add_business_days(clock.local_date(case.received_at), 3)
    session.commit()
    staff = signed_in(people.adviser)
    shown = words(staff.get(LIST).text)
    assert case.reference in shown
    assert pair("intake.suspicion.links")["fr"] in shown
    assert case.reference not in staff.get("/staff/cases").text
    staff.get(LIST)
    staff.post(f"{LIST}/{case.reference}/release")
    session.expire_all()
    assert case.quarantined is False
    assert case.reply_due_on == promised
    message = session.scalars(select(Message)).one()
    assert message.kind == "intake.received"
    assert str(promised.day) in message.body
    assert case.reference in staff.get("/staff/cases").text
    # Two people press: one acknowledgement.
    staff.get(LIST)
    staff.post(f"{LIST}/{case.reference}/release", {"from": "page"})
    assert count(session, Message) == 1


def test_a_file_in_quarantine_goes_no_further_before_it_is_released(pages, people, session, signed_in):
    suspect(pages)
    case = session.scalars(select(Case)).one()
    file = f"/staff/cases/{case.reference}"
    session.commit()
    staff = signed_in(people.adviser)
    page = staff.get(file)
    assert "En quarantaine" in words(page.text)
    staff.post(f"{file}/take")
    staff.get(file)
    refused = staff.post(f"{file}/stage", {"to": "contact", "seen": "new"}, status=409)
    assert pair("cases.refusal.quarantined")["fr"] in words(refused.text)


def test_it_is_left_out_of_the_summary_until_it_is_released(pages, people, session, signed_in):
    ask(pages, ANSWERS)
    suspect(pages)
    today = clock.today()
    period = Period.of(today)
    assert figure_of(period, "received").value == 1
    case = session.scalars(select(Case).where(Case.quarantined)).one()
    desk.services.release(case, people.adviser)
    session.flush()
    assert figure_of(period, "received").value == 2


def test_nobody_is_written_to_about_each_but_the_duty_person_is_told_of_all_once_a_day(pages, people, session):
    for _ in range(3):
        suspect(pages)
    due = next_business_day(clock.today() + timedelta(days=1))
    with time_machine.travel(clock.at_local(due, 7, 59), tick=False):
        assert desk.tell_of_quarantine() == 0
    with time_machine.travel(clock.at_local(due, 8, 1), tick=False):
        assert queue_due() == 0
        assert desk.tell_of_quarantine() == 1
        assert desk.tell_of_quarantine() == 0
        session.commit()
        message = session.scalars(select(Message)).one()
        assert message.to_address == people.coordinator.email
        assert "3 demandes" in message.subject.replace("\u00a0", " ")
        assert "Nadia" not in message.body
        session.execute(update(Case).values(quarantined=False))
        session.commit()
        send_due()
        session.expire_all()
        assert message.status is Status.DROPPED
        assert queue_due() > 0, "once released, what is due is reminded of"


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_request_is_closed_from_the_list(pages, people, session, signed_in, lang):
    suspect(pages)
    case = session.scalars(select(Case)).one()
    session.commit()
    staff = signed_in(people.adviser if lang == "fr" else people.other_adviser)
    staff.get(LIST)
    staff.post(f"{LIST}/{case.reference}/close", {"reason": "spam", "note": ""})
    session.expire_all()
    assert (case.stage, case.closing_reason) == (Stage.CLOSED, ClosingReason.SPAM)
    assert count(session, Message) == 0
    assert case.reference not in staff.get(LIST).text.replace(f"{case.reference} est fermé", "").replace(
        f"{case.reference} is closed", ""
    )


def test_outside_the_mandate_asks_whether_the_person_was_told(pages, people, session, signed_in):
    ask(pages, ANSWERS)
    case = session.scalars(select(Case)).one()
    session.commit()
    staff = signed_in(people.adviser)
    staff.get(LIST)
    refused = staff.post(f"{LIST}/{case.reference}/close", {"reason": "out_scope"}, status=409)
    assert pair("cases.refusal.needs_told")["fr"] in words(refused.text)
    staff.get(LIST)
    staff.post(f"{LIST}/{case.reference}/close", {"reason": "forged"}, status=422)
    staff.get(LIST)
    staff.post(f"{LIST}/{case.reference}/close", {"reason": "out_scope", "note": "Hors mandat", "told": "y"})
    session.expire_all()
    assert case.closing_reason is ClosingReason.OUT_SCOPE


def test_the_list_shows_who_waits_longest_first_and_taking_one_removes_it(make, people, session, signed_in):
    old = make.case(received_at=clock.now() - timedelta(days=9), name="Vieille")
    new = make.case(name="Neuve")
    references = (old.reference, new.reference)
    session.commit()
    staff = signed_in(people.adviser)
    page = staff.get(LIST).text
    assert page.index(references[0]) < page.index(references[1])
    assert "jours ouvrables" in words(page)
    staff.post(f"{LIST}/{references[0]}/take")
    assert f"/staff/cases/{references[0]}" not in staff.get(LIST).text
    session.expire_all()
    assert db.session.get_one(Case, old.id).owner_id == people.adviser.id


def test_nothing_but_closing_moves_it_and_a_closed_one_is_counted_by_its_reason(pages, people, session):
    suspect(pages)
    case = session.scalars(select(Case)).one()
    for forced in (False, True):
        with pytest.raises(RefusedError):
            advance(case, Stage.CONTACT, people.coordinator, reason="x", forced=forced)
    advance(
        case, Stage.CLOSED, people.coordinator, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
    )
    session.commit()
    today = clock.today()
    assert figure_of(Period.of(today), "received").value == 1
    advance(case, Stage.DISCOVERY, people.coordinator, reason="x")
    assert case.quarantined is False


def test_the_list_does_nothing_to_a_file_that_went_on_in_the_meantime(make, people, session, signed_in):
    taken, planned = make.case(owner=people.other_adviser), make.case_at(Stage.PLANNING)
    references = taken.reference, planned.reference
    session.commit()
    staff = signed_in(people.adviser)
    staff.get(LIST)
    staff.post(f"{LIST}/{references[0]}/take", status=409)
    staff.get(LIST)
    staff.post(f"{LIST}/{references[1]}/close", {"reason": "spam"}, status=409)
    session.expire_all()
    assert (taken.owner_id, planned.stage) == (people.other_adviser.id, Stage.PLANNING)


# --- proof of work, off unless asked for -------------------------------------------------------------------------------


def solve(page: str) -> str:
    """What the script of a page works out."""
    puzzle, bits = re.search(r'data-puzzle="(\w+)" data-bits="(\d+)"', page).groups()
    return next(
        str(n)
        for n in itertools.count()
        if int.from_bytes(hashlib.sha256(f"{puzzle}{n}".encode()).digest()) >> (256 - int(bits)) == 0
    )


@pytest.mark.parametrize("proof", ["done", "none", "another's", "x", "9" * 13])
def test_a_browser_that_did_not_do_the_work_is_set_aside_and_never_refused(
    database_url, tmp_path, people, session, proof
):
    demanding = create_app(settings_for(tmp_path, database_url, CRM_PROOF_OF_WORK="8"))
    pages, other = Pages(demanding), Pages(demanding)
    for browser in (pages, other):
        begin(browser)
        fill(browser, ANSWERS)
    page = pages.get(CHECK["fr"]).text
    made = {"done": solve(page), "none": "", "another's": solve(other.get(CHECK["fr"]).text)}.get(proof, proof)
    answer = pages.post(CHECK["fr"], {"proof": made})
    assert "recue" in answer.headers["Location"]
    session.expire_all()
    request = session.scalars(select(Request)).one()
    right = proof == "done" or (proof != "none" and is_right(page, made))
    assert (request.suspicions is None) is right
    if not right:
        assert request.suspicions == ["proof"]


def is_right(page: str, answer: str) -> bool:
    """By chance another's answer may be right: one time in two hundred and fifty-six."""
    puzzle = re.search(r'data-puzzle="(\w+)"', page)[1]
    short = answer.isdigit() and len(answer) <= 12
    return short and hashlib.sha256(f"{puzzle}{answer}".encode()).digest()[0] == 0


def test_no_work_is_asked_unless_the_settings_do(pages):
    begin(pages)
    fill(pages, ANSWERS)
    assert "proof" not in pages.get(CHECK["fr"]).text
