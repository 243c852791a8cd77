"""What became of a project: asked of those who agreed, twice at most each time, answered on a page without an account."""

import email
import email.policy
import re
from datetime import UTC, date, datetime

import pytest
import time_machine
from sqlalchemy import select

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import CheckResult, ClosingReason, Stage
from crm.jobs import Job, run_job
from crm.outbox.deliver import send_due
from crm.permissions.models import Consent, Purpose
from crm.permissions.services import consent, withdraw_consent
from crm.portal.models import PersonMessage
from crm.portal.services import copy_of
from crm.surveys import services as surveys
from crm.surveys.models import Going, Survey
from crm.timeline.models import Event
from tests.support.pages import Pages, words


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel("2026-01-30 15:00Z", tick=False) as moment:
        yield moment


@pytest.fixture
def closed(make, people, session):
    """`closed()` gives a file closed that day, whose person agreed to be asked."""

    def go(reason=ClosingReason.PARTNER_OK, *, agreed=True, **file):
        case = make.case(owner=people.adviser, **file)
        if agreed:
            consent(case, Purpose.SURVEY, shown="J’accepte", version="1", language=case.language)
        if case.stage is Stage.NEW:
            cases.advance(case, Stage.CONTACT, people.adviser)
        cases.advance(case, Stage.CLOSED, people.adviser, closing_reason=reason, reason="Fini.", person_told="told")
        session.commit()
        return case

    return go


@pytest.fixture
def on(app, session, moment, tmp_path):
    """`on("2026-07-30")` goes to that day at ten in Montréal and lets the worker work; gives the subjects and texts that left then."""
    told = {"count": 0}

    def go(day, at="15:00Z"):
        session.commit()
        moment.move_to(f"{day} {at}")
        for name, job in (("surveys", surveys.ask_and_remind), ("send", send_due)):
            run_job(app, Job(name, job), strict=True)
        session.expire_all()
        files = sorted((tmp_path / "mail").glob("*.eml"), key=lambda file: int(file.name.partition(".")[0]))
        mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        mine = [mail for mail in mails if ".surveys." in str(mail["Message-ID"])]
        new, told["count"] = mine[told["count"] :], len(mine)
        return new

    return go


def link_in(mail):
    return re.search(
        r"http://127\.0\.0\.1:8000(/(?:fr/nouvelles|en/news)/\S+)", mail.get_body(("plain",)).get_content()
    )[1]


# --- when ------------------------------------------------------------------------------------------------------------


def test_six_and_twelve_months_after_closing_with_one_reminder_each(closed, on):
    closed()
    assert on("2026-07-29") == []
    assert on("2026-07-30", "12:59Z") == []  # before nine
    (first,) = on("2026-07-30")
    assert first["Subject"] == "Qu’est devenu votre projet?"
    assert on("2026-07-31") == []
    assert on("2026-08-12") == []
    (reminder,) = on("2026-08-13")
    assert reminder["Subject"] == "Des nouvelles de votre projet?"
    assert on("2026-08-31") == on("2026-09-30") == []
    assert on("2027-01-30") == []
    assert [mail["Subject"] for mail in on("2027-02-01")] == ["Qu’est devenu votre projet?"]  # the 30th is a Saturday
    assert [mail["Subject"] for mail in on("2027-02-15")] == ["Des nouvelles de votre projet?"]
    assert on("2027-07-30") == on("2028-01-31") == []


@pytest.mark.parametrize(
    ("closed_on", "months", "day", "asks"),
    [
        ("2026-08-31", 6, "2027-02-27", False),
        ("2026-08-31", 6, "2027-02-28", True),
        ("2026-08-31", 6, "2027-03-30", True),
        ("2026-08-31", 6, "2027-03-31", False),  # thirty days late: not any more
        ("2024-02-29", 12, "2025-02-28", True),
    ],
)
def test_a_worker_that_slept_asks_late_but_not_too_late(closed_on, months, day, asks):
    assert surveys.is_time(date.fromisoformat(closed_on), months, date.fromisoformat(day)) is asks


def test_a_worker_that_slept_for_weeks_asks_once(closed, on):
    closed()
    assert len(on("2026-08-17")) == 1
    assert on("2026-08-18") == []


def test_only_those_who_agreed_whose_file_is_closed_for_good_and_who_have_an_address(closed, on, session, people, make):
    closed(agreed=False)
    closed(ClosingReason.ERROR)
    taken_back = closed()
    withdraw_consent(session.scalar(select(Consent).where(Consent.case_id == taken_back.id)), taken_back)
    reopened = closed()
    cases.advance(reopened, Stage.DISCOVERY, people.adviser, reason="Elle revient")
    no_address = closed()
    no_address.contact.email = ""
    make.case(owner=people.adviser)  # open
    assert on("2026-07-30") == []
    assert session.scalars(select(Survey)).all() == []


def test_in_the_language_of_the_file_and_with_a_way_out_for_mail_programs(closed, on, app, session):
    case = closed(language="en")
    (mail,) = on("2026-07-30")
    assert mail["Subject"] == "What became of your project?"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = re.fullmatch(r"<http://127\.0\.0\.1:8000(/en/news/stop/\S+)>", mail["List-Unsubscribe"])[1]
    Pages(app).post(address, {"List-Unsubscribe": "One-Click"}, status=200, token=None)
    session.expire_all()
    assert surveys.agreement(case) is None
    assert on("2026-08-13") == []


def test_who_answered_or_came_back_before_it_left_is_not_written_to(closed, on, app, session, moment, people):
    case = closed()
    session.commit()
    moment.move_to("2026-07-30 15:00Z")
    run_job(app, Job("surveys", surveys.ask_and_remind), strict=True)
    session.expire_all()
    cases.advance(case, Stage.DISCOVERY, people.adviser, reason="Elle revient")
    assert on("2026-07-30") == []


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_answer_is_kept_on_the_file_and_may_be_corrected(closed, on, app, session, people, signed_in):
    case = closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    assert "Qu’est devenu votre projet?" in words(pages.get(address).text)
    assert session.scalar(select(Survey.answered_at)) is None, "opening changes nothing"
    pages.post(address, {"going": "active", "people": "1 200", "note": "Trois emplois créés"})
    assert "Merci de vos nouvelles" in words(pages.get(address.replace("nouvelles", "nouvelles/merci")).text)
    session.expire_all()
    survey = session.scalar(select(Survey))
    assert (survey.going, survey.people, survey.note) == (Going.ACTIVE, 1200, "Trois emplois créés")
    page = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert "Nouvelles du projet, 6 mois après la fermeture : Le projet est lancé et il roule" in page
    assert "Trois emplois créés" in page
    assert on("2026-08-13") == [], "who answered is not reminded"
    pages = Pages(app)
    again = pages.get(address).text
    assert "Trois emplois créés" in again
    pages.post(address, {"going": "waiting", "people": "", "note": ""})
    session.expire_all()
    assert (survey.going, survey.people, survey.note) == (Going.WAITING, None, "")
    told = select(Event.id).where(Event.kind == "survey.answered")
    assert len(session.scalars(told).all()) == 2
    pages.get(address)
    pages.post(address, {"going": "waiting", "people": "", "note": ""})  # pressed again: nothing new to tell
    assert len(session.scalars(told).all()) == 2


def test_a_call_that_is_asked_for_reaches_the_team(closed, on, app, session):
    case = closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    pages.get(address)
    for _ in range(2):
        pages.get(address)
        pages.post(address, {"going": "stopped", "call": "y", "note": "Rappelez-moi le matin"})
    message = session.scalar(select(PersonMessage).where(PersonMessage.case_id == case.id))
    assert message.body == "J’aimerais qu’on me téléphone au sujet du projet.\n\nRappelez-moi le matin"
    assert len(session.scalars(select(PersonMessage)).all()) == 1, "pressed twice"


@pytest.mark.parametrize(
    ("launched_on", "going", "before", "found"),
    [
        ("2025-08-01", "active", None, CheckResult.ACTIVE),
        ("2025-08-01", "stopped", CheckResult.UNREACHED, CheckResult.STOPPED),
        ("2025-08-01", "building", None, None),
        ("2025-08-01", "stopped", CheckResult.ACTIVE, CheckResult.ACTIVE),  # the team found it out itself
        ("2026-01-05", "active", None, None),  # launched six months ago
        (None, "active", None, None),
    ],
)
def test_an_answer_feeds_the_indicator_of_twelve_months(closed, on, app, session, launched_on, going, before, found):
    case = closed()
    case.project.launched_on = date.fromisoformat(launched_on) if launched_on else None
    case.project.check_result = before
    case.project.checked_on = date(2026, 7, 1) if before else None
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    pages.get(address)
    pages.post(address, {"going": going})
    session.expire_all()
    assert case.project.check_result is found
    if found and found is not before:
        assert case.project.checked_on == date(2026, 7, 30)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "Choisissez où en est le projet"),
        ({"going": "great"}, "Choisissez où en est le projet"),
        ({"going": "active", "people": "beaucoup"}, "Écrivez un nombre"),
        ({"going": "active", "people": "-3"}, "Écrivez un nombre"),
        ({"going": "active", "people": "9999999"}, "Écrivez un nombre"),
        ({"going": "active", "note": "é" * 2001}, "Raccourcissez votre réponse"),
    ],
)
def test_bad_input_is_told_and_what_was_typed_stays(closed, on, app, session, typed, said):
    closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    pages.get(address)
    page = pages.post(address, {"note": "À garder"} | typed, status=422).text
    assert said in words(page)
    assert ("À garder" in page) or "note" in typed
    assert session.scalar(select(Survey.answered_at)) is None
    other = pages.post(address, {"note": "À garder", "_lang": "en", "tried": "1"} | typed, status=200).text
    assert ("À garder" in other) or "note" in typed


def test_links_that_are_wrong_over_or_of_an_opened_file_lead_to_one_page(closed, on, app, session, people, moment):
    case = closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    wrong = address[:-1] + ("A" if address[-1] != "A" else "B")
    for one in (
        wrong,
        address.upper().replace("/FR/NOUVELLES", "/fr/nouvelles"),
        "/fr/nouvelles/1-x",
        wrong.replace("nouvelles", "nouvelles/merci"),
    ):
        assert "Ce lien ne mène plus nulle part" in words(pages.get(one, status=404).text)
    pages.get(address)
    pages.post(wrong, {"going": "active"}, status=404)
    pages.post(wrong.replace("nouvelles", "nouvelles/retrait"), {}, status=404)
    cases.advance(case, Stage.DISCOVERY, people.adviser, reason="Elle revient")
    session.commit()
    pages.get(address, status=404)
    cases.advance(
        case, Stage.CLOSED, people.adviser, closing_reason=ClosingReason.ABANDONED, reason="Fin", person_told="told"
    )
    session.commit()
    pages.get(address)
    moment.move_to(datetime(2026, 12, 1, 15, tzinfo=UTC))
    pages.get(address, status=404)


def test_asked_no_more_at_one_press_however_often(closed, on, app, session):
    case = closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    pages.get(address)
    for _ in range(2):
        page = words(pages.post(address.replace("nouvelles", "nouvelles/retrait"), {}, status=200).text)
        assert "Nous ne vous demanderons plus de nouvelles" in page
    assert len(session.scalars(select(Event).where(Event.kind == "consent.withdrawn")).all()) == 1
    assert on("2026-08-13") == on("2027-02-01") == []
    assert clock.today() == date(2027, 2, 1)
    assert surveys.agreement(case) is None


def test_the_way_out_works_while_the_file_is_open_again_and_takes_back_every_agreement(
    closed, on, app, session, people
):
    case = closed()
    consent(case, Purpose.SURVEY, shown="J’accepte", version="1", language="fr")  # as after a merge
    way_out = link_in(on("2026-07-30")[0]).replace("nouvelles", "nouvelles/retrait")
    cases.advance(case, Stage.DISCOVERY, people.adviser, reason="Elle revient")
    session.commit()
    pages = Pages(app)
    assert "Le reste de votre dossier ne change pas" in words(pages.get(way_out).text)
    assert surveys.agreement(case) is not None, "opening changes nothing"
    session.commit()
    assert "Nous ne vous demanderons plus de nouvelles" in words(pages.post(way_out, {}, status=200).text)
    session.expire_all()
    assert surveys.agreement(case) is None


def test_the_copy_that_a_person_takes_holds_their_news(closed, on, app, session):
    case = closed()
    address = link_in(on("2026-07-30")[0])
    pages = Pages(app)
    pages.get(address)
    pages.post(address, {"going": "active", "people": "12", "note": "Tout roule"})
    session.expire_all()
    (news,) = copy_of(case)["news"]
    assert (news["months"], news["going"], news["people"], news["note"]) == (6, "active", 12, "Tout roule")


def test_the_reminder_waits_for_a_first_mail_that_left(closed, on, app, session, moment):
    case = closed()
    session.commit()
    moment.move_to("2026-07-30 15:00Z")
    run_job(app, Job("surveys", surveys.ask_and_remind), strict=True)
    session.expire_all()
    case.contact.email = "autre@exemple.ca"  # the first mail, to the former address, is dropped
    assert on("2026-07-30") == on("2026-08-13") == []


def test_who_answers_between_the_reminder_and_its_leaving_does_not_get_it(closed, on, app, session, moment):
    closed()
    address = link_in(on("2026-07-30")[0])
    session.commit()
    moment.move_to("2026-08-13 15:00Z")
    run_job(app, Job("surveys", surveys.ask_and_remind), strict=True)
    pages = Pages(app)
    pages.get(address)
    pages.post(address, {"going": "active"})
    assert on("2026-08-13") == []
