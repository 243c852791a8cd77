"""A partner sends a project only with the person's agreement; the person is told, answers in one press, or is forgotten."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from crm import clock, robots
from crm.cases import services as cases
from crm.cases.addresses import link_of
from crm.cases.founders import name_founder
from crm.cases.models import Case, Founder
from crm.cases.queries import forgotten
from crm.cases.vocabulary import Source, Stage
from crm.duplicates import services as duplicates
from crm.files.kinds import Checked, FileKind
from crm.files.services import keep
from crm.i18n import speaking
from crm.intake import introductions
from crm.intake.answers import answers_of, page_of
from crm.intake.models import Agreed, Answer, Introduction
from crm.links.services import token
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.portal import corrections
from crm.portal.models import StaffMessage
from crm.portal.services import write
from tests.support.pages import Pages, words
from tests.support.typed import form_with

ADDRESS = {"fr": "/fr/diriger-un-projet", "en": "/en/send-a-project"}
SENDER = {
    "organization": "Réseau des quartiers",
    "partner_name": "Jean Roy",
    "partner_email": "jean@reseau.example",
    "consent": "yes",
    "agreed": "verbal",
}
PERSON = {
    "contact_name": "Nadia Benali",
    "email": "nadia@exemple.ca",
    "phone": "514 555-0142, poste 12",
    "lang_pref": "fr",
    "summary": "Une plateforme de partage d’outils; le groupe cherche sa forme juridique.",
}


def sender() -> dict:
    return SENDER | {"agreed_on": clock.today().isoformat()}


def first(pages, lang="fr") -> dict:
    """The first step, shown ten seconds ago."""
    with time_machine.travel(clock.now() - timedelta(seconds=10), tick=False):
        body = pages.get(ADDRESS[lang]).text
    return {name: value for name, value in form_with(body, "organization")[1].items() if name != robots.TRAP}


def second(pages, lang="fr", **changes) -> dict:
    body = pages.post(ADDRESS[lang], first(pages, lang) | sender() | changes, status=200).text
    return {name: value for name, value in form_with(body, "contact_name")[1].items() if name != robots.TRAP}


def send(pages, lang="fr", status=303, **changes):
    return pages.post(ADDRESS[lang], second(pages, lang) | PERSON | changes, status=status)


def count(session, model) -> int:
    return session.scalar(select(func.count()).select_from(model))


def inside(app, session, case) -> Pages:
    """The person's own page, opened by its link."""
    door = f"/fr/mon-dossier/ouvrir/{token(link_of(case))}"
    session.commit()
    browser = Pages(app)
    browser.get(door)
    browser.post(door)
    browser.get("/fr/mon-dossier")
    return browser


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_project_comes_with_who_sent_it_and_the_person_is_asked_in_their_language(people, session, pages, lang):
    where = send(pages, lang, lang_pref="en").headers["Location"]
    thanks = words(pages.get(where).text)
    assert {"fr": "Nous prenons le relais", "en": "We take it from here"}[lang] in thanks
    assert "PCC-" not in thanks, "the partner follows nothing of the person's file"
    case, found = session.scalars(select(Case)).one(), session.scalars(select(Introduction)).one()
    assert (case.stage, case.source, case.language) == (Stage.NEW, Source.PARTNER, "en")
    assert (found.organization, found.agreed, found.agreed_on) == ("Réseau des quartiers", Agreed.VERBAL, clock.today())
    assert forgotten() == []
    mail = session.scalars(select(Message)).one()
    assert (mail.kind, mail.to_address, mail.language) == ("intake.introduced", "nadia@exemple.ca", "en")
    assert "Jean Roy (Réseau des quartiers)" in mail.body
    assert PERSON["summary"] not in mail.body, "an open form carries nobody's words to anybody"


def test_without_the_persons_agreement_nothing_about_them_can_be_typed_or_sent(people, session, pages):
    answer = pages.post(ADDRESS["fr"], first(pages) | sender() | {"consent": "no"}, status=200).text
    assert "nous ne pouvons rien recevoir" in words(answer)
    assert 'name="contact_name"' not in answer
    for wrong in ({"consent": "no"}, {"consent": ""}, {"agreed": ""}, {"agreed_on": ""}, {"agreed_on": "2020-01-01"},
                  {"agreed_on": (clock.today() + timedelta(days=1)).isoformat()}, {"partner_email": "x"}):  # fmt: skip
        forged = second(pages) | PERSON | wrong
        pages.post(ADDRESS["fr"], forged, status=200 if wrong == {"consent": "no"} else 422)
    assert count(session, Case) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"email": "", "phone": ""}, {"email": "x"}, {"phone": "12"}, {"contact_name": " "}, {"lang_pref": "es"}, {"summary": "Court"},
     {"summary": "x" * 1501}, {"contact_name": "a\x00"}, {"email": "a@b.ca\nBcc: c@d.ca"}],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_given_back(people, session, pages, wrong):
    body = send(pages, status=422, **wrong).text
    assert "Réseau des quartiers" in body, "the first step is kept"
    assert count(session, Case) == 0


def test_pressed_twice_it_is_one_file_and_the_other_language_keeps_both_steps(people, session, pages):
    typed = second(pages) | PERSON
    other = pages.post(ADDRESS["en"], typed | {"_lang": "en"}, status=200).text
    for value in ("Réseau des quartiers", "Nadia Benali", "verbal"):
        assert value in other
    back = pages.post(ADDRESS["fr"], typed | {"_back": "1"}, status=200).text
    assert 'value="Jean Roy"' in back
    pages.post(ADDRESS["fr"], typed)
    pages.post(ADDRESS["fr"], typed)
    assert count(session, Case) == 1
    assert count(session, Message) == 1


def test_the_person_says_yes_once_and_the_team_hears_of_it(app, people, session, pages):
    send(pages)
    case = session.scalars(select(Case)).one()
    browser = inside(app, session, case)
    assert "Jean Roy (Réseau des quartiers)" in words(browser.last.text)
    browser.post("/fr/mon-dossier/oui")
    browser.get("/fr/mon-dossier")
    browser.post("/fr/mon-dossier/oui")
    assert "Pouvons-nous communiquer" not in words(browser.get("/fr/mon-dossier").text)
    session.expire_all()
    assert session.get(Introduction, case.id).answer is Answer.YES
    assert sorted(session.scalars(select(Message.kind))) == ["intake.introduced", "portal.introduction_yes"]


def everything_kept(session) -> str:
    """All that the database holds, as text."""
    tables = (
        "contact",
        "project",
        "request",
        "introduction",
        "message",
        "note",
        "exchange",
        "event_detail",
        "follow_up",
        "person_message",
        "staff_message",
        "correction",
        "founder",
        "stored_file",
    )
    return " ".join(str(row) for table in tables for row in session.execute(text(f"SELECT * FROM {table}")))


@pytest.mark.parametrize("by", ["the person", "staff"])
def test_no_destroys_what_identifies_the_person_at_once(app, people, session, pages, signed_in, by):
    send(pages)
    case = session.scalars(select(Case)).one()
    cases.add_note(case, "Nadia Benali, rue Exemple", people.adviser)
    write(case, "Ici Nadia", "clé")
    session.add(
        StaffMessage(case_id=case.id, form_key="c", author_id=people.adviser.id, body="Nadia", sent_at=clock.now())
    )
    founder = Founder(
        name="Nadia Benali", role="", language="fr", email="", phone="", phone_extension="", may_contact=False
    )
    name_founder(case, founder, people.adviser)
    keep(Checked("Nadia.pdf", FileKind.PDF, b"%PDF-"), case.id)
    with speaking("fr"):
        wanted = page_of("you", answers_of(case, "you") | {"contact_name": ["Nadia B."]})
        assert wanted.validate()
        corrections.propose(case, wanted, "autre clé")
    link = token(link_of(case))
    corrections.change_answers(case, "reach", {"email": ["autre@exemple.ca"]}, people.adviser)
    link = token(link_of(case))
    session.commit()
    duplicates.match()
    session.commit()
    if by == "the person":
        browser = inside(app, session, case)
        browser.post("/fr/mon-dossier/non", status=200)
        assert "vos renseignements sont détruits" in words(browser.last.text)
        browser.get("/fr/mon-dossier", 404)
    else:
        browser = signed_in(people.adviser)
        browser.get(f"/staff/cases/{case.reference}")
        browser.post(f"/staff/cases/{case.reference}/introduction", {"answer": "no"})
        assert "détruit" in words(browser.get(f"/staff/cases/{case.reference}").text)
    session.expire_all()
    assert case.stage is Stage.CLOSED
    kept = everything_kept(session)
    for secret in ("Nadia", "nadia@", "5145550142", "partage d’outils"):
        assert secret not in kept, secret
    assert count(session, Message)
    assert not session.scalars(
        select(Message.id).where(Message.status == Status.QUEUED, Message.to_address == "")
    ).all()
    Pages(app).get(f"/fr/mon-dossier/ouvrir/{link}", 404)
    assert forgotten() == []


def test_without_an_answer_in_thirty_days_they_are_forgotten_and_not_a_day_sooner(people, session, pages):
    send(pages)
    case = session.scalars(select(Case)).one()
    with time_machine.travel(clock.now() + timedelta(days=30), tick=False):
        assert introductions.forget_unanswered() == 0
    with time_machine.travel(clock.now() + timedelta(days=31, hours=1), tick=False):
        assert introductions.forget_unanswered() == 1
        session.commit()
        assert introductions.forget_unanswered() == 0
    assert "Nadia" not in everything_kept(session)
    assert case.stage is Stage.CLOSED


@pytest.mark.parametrize("how", ["said yes", "talked with us", "released late"])
def test_whoever_answered_in_any_way_is_kept(people, session, pages, make, how):
    send(pages)
    case = session.scalars(select(Case)).one()
    if how == "said yes":
        introductions.answered(session.get(Introduction, case.id), Answer.YES, people.adviser)
    if how == "talked with us":
        make.exchange(case, people.adviser)
    session.commit()
    with time_machine.travel(clock.now() + timedelta(days=40), tick=False):
        assert introductions.forget_unanswered() == (how == "released late")


def test_a_question_that_was_answered_meanwhile_does_not_leave(people, session, pages):
    send(pages)
    case = session.scalars(select(Case)).one()
    mail = session.scalars(select(Message)).one()
    assert introductions.still_asked(mail)
    introductions.answered(session.get(Introduction, case.id), Answer.YES, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    assert session.get(Message, mail.id).status is Status.DROPPED


def test_an_address_is_asked_once_in_thirty_days(people, session, pages):
    send(pages)
    send(pages, contact_name="N. Benali")
    assert count(session, Case) == 2
    assert count(session, Message) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {robots.TRAP: "x"},
        {"shown_at": "forged"},
        {"summary": "Voyez https://elsewhere.example pour gagner de l’argent vite"},
    ],
)
def test_a_robots_is_set_aside_and_the_person_is_asked_when_it_is_released(people, session, pages, signed_in, wrong):
    send(pages, **wrong)
    case = session.scalars(select(Case)).one()
    assert case.quarantined
    assert count(session, Message) == 0
    browser = signed_in(people.adviser)
    browser.get("/staff/requests")
    browser.post(f"/staff/requests/{case.reference}/release")
    assert [m.kind for m in session.scalars(select(Message))] == ["intake.introduced"]


def test_without_an_address_staff_ask_by_telephone(people, session, pages, signed_in):
    send(pages, email="")
    case = session.scalars(select(Case)).one()
    assert count(session, Message) == 0
    browser = signed_in(people.adviser)
    file = words(browser.get(f"/staff/cases/{case.reference}").text)
    assert "téléphonez pour demander" in file
    browser.post(f"/staff/cases/{case.reference}/introduction", {"answer": "yes"})
    assert "La personne accepte" in words(browser.get(f"/staff/cases/{case.reference}").text)
    browser.post(f"/staff/cases/{case.reference}/introduction", {"answer": "maybe"}, status=409)
