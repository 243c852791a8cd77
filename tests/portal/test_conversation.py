"""What the team and the person write to each other: once, in the person's language, on the page and by mail, and in the history."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select

from crm import clock
from crm.accounts.models import SignIn, Staff
from crm.cases.models import Case
from crm.cases.services import advance
from crm.cases.vocabulary import ClosingReason, PreferredLanguage, Stage
from crm.intake.introductions import Person, Sender, introduce
from crm.intake.models import Agreed
from crm.links.models import Link
from crm.links.services import token as token_of
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.portal.conversation import thread, write_to_person
from crm.portal.models import StaffMessage
from crm.portal.services import write
from crm.reminders.models import FollowUp, State
from crm.timeline.models import Event
from tests.portal.test_page import HOME, inside
from tests.support.pages import Pages, words
from tests.support.typed import form_with

BODY = "Bonjour Nadia,\n\nSeriez-vous libre jeudi? <b>À bientôt</b>"


def compose(browser, case, **also):
    """The blank form of a message as the browser would send it back."""
    browser.get(f"/staff/cases/{case.reference}/message")
    _, form = form_with(browser.last.text, "body")
    return {name: values[0] for name, values in form.items()} | {"body": BODY} | also


def count(session, model, *conditions):
    session.rollback()
    return session.scalar(select(func.count()).select_from(model).where(*conditions))


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_message_leaves_in_the_persons_language_and_stands_on_their_page(app, make, people, session, signed_in, lang):
    case = make.case(owner=people.adviser, language=lang)
    adviser = signed_in(people.adviser)
    form = compose(adviser, case)
    page = words(adviser.last.text)
    assert "nadia@exemple.ca" in page
    assert {"fr": "français", "en": "anglais"}[lang] in page.partition("langue des messages")[2]
    adviser.post(f"/staff/cases/{case.reference}/message", form)
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    assert (message.language, message.to_address) == (lang, "nadia@exemple.ca")
    assert BODY in message.body
    assert {"fr": "Message de Amélie Tremblay", "en": "Message from Amélie Tremblay"}[lang] in message.subject
    assert "[link]" in message.body
    browser = inside(app, session, case, lang)
    shown = browser.get(HOME[lang]).text
    assert "&lt;b&gt;À bientôt&lt;/b&gt;" in shown
    assert "Amélie Tremblay" in shown
    history = adviser.get(f"/staff/cases/{case.reference}").text
    assert "a écrit à la personne" in history
    assert "&lt;b&gt;À bientôt&lt;/b&gt;" in history
    assert (
        "&lt;b&gt;" in browser.get({"fr": "/fr/mon-dossier/copie", "en": "/en/my-file/copy"}[lang]).text
        or "<b>" in browser.last.text
    )


def test_the_first_message_is_the_first_reply_and_later_ones_are_not(make, people, session):
    case = make.case(owner=people.adviser, received_at=clock.now() - timedelta(days=2))
    assert case.first_reply_at is None
    write_to_person(case, BODY, "a", people.adviser)
    session.commit()
    first = case.first_reply_at
    write_to_person(case, BODY, "b", people.adviser)
    session.commit()
    assert first is not None
    assert case.first_reply_at == first


def test_pressed_twice_it_leaves_once_and_another_text_is_another_message(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    form = compose(adviser, case)
    address = f"/staff/cases/{case.reference}/message"
    for _ in range(3):
        adviser.post(address, form)
    assert count(session, StaffMessage) == count(session, Message, Message.kind == "portal.message") == 1
    adviser.post(address, form | {"body": "Autre chose"})
    assert count(session, StaffMessage) == 2


def test_answering_ends_what_was_planned_to_answer_and_never_leaves_the_file_without_a_step(make, people, session):
    case = make.case(owner=people.adviser)
    write(case, "Avez-vous des nouvelles?", "x")
    session.commit()
    planned = FollowUp.rule == "answer_person"
    assert count(session, FollowUp, planned, FollowUp.state == State.TODO) == 1
    write_to_person(case, BODY, "y", people.adviser)
    session.commit()
    assert count(session, FollowUp, planned, FollowUp.state == State.DONE) == 1
    assert count(session, FollowUp, FollowUp.state == State.TODO) >= 1
    assert [line.author for line in thread(case)] == ["Amélie Tremblay", ""]


def test_an_answer_from_the_list_takes_the_request_and_comes_back_to_the_list(make, people, session, signed_in):
    case = make.case()
    adviser = signed_in(people.adviser)
    page = adviser.get("/staff/requests")
    address = f"/staff/cases/{case.reference}/message"
    assert f"{address}?from=requests" in page.text
    adviser.get(f"{address}?from=requests")
    assert "vous la prenez en charge" in words(adviser.last.text)
    _, form = form_with(adviser.last.text, "body")
    answer = adviser.post(address, {name: values[0] for name, values in form.items()} | {"body": BODY})
    assert answer.headers["Location"] == "/staff/requests"
    session.rollback()
    assert session.get(Case, case.id).owner_id == people.adviser.id
    assert case.reference not in adviser.get("/staff/requests").text


def test_without_an_address_the_message_waits_on_the_page_and_staff_are_told(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser, email="")
    adviser = signed_in(people.adviser)
    form = compose(adviser, case)
    assert "ne contient pas d’adresse courriel" in words(adviser.last.text)
    adviser.post(f"/staff/cases/{case.reference}/message", form)
    assert "ne contient pas d’adresse courriel" in words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert count(session, Message, Message.kind == "portal.message") == 0
    assert "jeudi" in inside(app, session, case).get(HOME["fr"]).text


def test_a_greeting_alone_is_no_message(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    form = compose(adviser, case)
    answer = adviser.post(
        f"/staff/cases/{case.reference}/message", form | {"body": "Bonjour Nadia Benali,\r\n "}, status=422
    )
    assert "Écrivez le message" in words(answer.text)
    assert count(session, StaffMessage) == 0


def test_a_message_to_a_closed_file_reaches_somebody_who_can_answer(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    browser = inside(app, session, case)
    _, form = form_with(browser.get(HOME["fr"]).text, "body")
    browser.post(f"{HOME['fr']}/message", {"form_key": form["form_key"][0], "body": "Encore une question"})
    told = session.scalars(select(Message).where(Message.kind == "portal.written_closed")).one()
    assert told.to_address == people.adviser.email
    assert "Aucun suivi n’est prévu" in told.body
    assert (
        f"/staff/cases/{case.reference}/message" in signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text
    )


def test_who_asked_to_be_called_reads_by_when(app, make, people, session):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    browser.get(HOME["fr"])
    browser.post(f"{HOME['fr']}/appel")
    page = words(browser.get(HOME["fr"]).text)
    assert "Vous avez demandé qu’on vous appelle" in page
    assert "Je préfère qu’on m’appelle" not in page


@pytest.mark.parametrize(
    ("body", "said"), [("", "Écrivez le message"), (" \n\u00a0", "Écrivez le message"), ("a" * 20_001, "20 000 caractères"), ("Bon\x00jour", "n’ont pas pu être lus")]
)  # fmt: skip
def test_a_message_that_cannot_be_sent_comes_back_with_what_was_typed(make, people, session, signed_in, body, said):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    answer = adviser.post(f"/staff/cases/{case.reference}/message", compose(adviser, case, body=body), status=422)
    assert said in words(answer.text).replace("\u00a0", " ")
    assert count(session, StaffMessage) == 0


def test_a_message_typed_while_the_session_ended_is_given_back(make, people, session, signed_in, app):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    form = compose(adviser, case)
    session.execute(delete(SignIn))
    session.commit()
    answer = adviser.post(f"/staff/cases/{case.reference}/message", form, status=401)
    assert "Seriez-vous libre jeudi?" in answer.text


def test_a_signed_word_never_becomes_a_link(make, people, session):
    """What somebody typed stands in the mail as typed: the place where the token goes is ours."""
    case = make.case(owner=people.adviser)
    write_to_person(case, "Voir [link] {adviser} {name}", "x", people.adviser)
    session.commit()
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    assert message.body.count("[link]") == 1
    assert "{adviser} {name}" in message.body
    assert message.body.index("[link]") > message.body.index("Amélie Tremblay")


def test_nobody_writes_to_who_is_in_quarantine_or_has_not_agreed(make, people, session, signed_in):
    aside = make.case()
    aside.quarantined = True
    sender = Sender("Réseau", "Jean", "jean@reseau.example", Agreed.VERBAL, clock.today())
    person = Person(
        "Zoé", PreferredLanguage.FR, "zoe@exemple.ca", "", "", "Un projet de plateforme de quartier, à plusieurs."
    )
    asked = introduce(sender, person, key="k", page_language="fr").case
    session.commit()
    adviser = signed_in(people.adviser)
    for case in (aside, asked):
        adviser.get(f"/staff/cases/{case.reference}/message", 409)
        adviser.get(f"/staff/cases/{case.reference}")
        answer = adviser.post(f"/staff/cases/{case.reference}/message", {"body": BODY}, status=409)
        assert "Seriez-vous libre jeudi?" in words(answer.text)
    assert count(session, StaffMessage) == 0


def test_a_closed_file_can_still_be_written_to_and_another_teams_cannot(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    adviser = signed_in(people.adviser)
    adviser.post(f"/staff/cases/{case.reference}/message", compose(adviser, case))
    assert count(session, StaffMessage) == 1
    signed_in(people.observer).get(f"/staff/cases/{case.reference}/message", 404)


def test_mail_that_cannot_leave_is_told_in_the_history(make, people, session, app, monkeypatch, tmp_path):
    """The mail folder is a file: every try fails as a mail server that refuses would."""
    from crm.outbox import deliver
    from crm.outbox.transports import RecipientRefusedError, Transport

    class Refusing(Transport):
        def send(self, mail):
            raise RecipientRefusedError("550 no such user")

    monkeypatch.setattr(deliver, "transport", lambda _settings: Refusing())
    case = make.case(owner=people.adviser)
    write_to_person(case, BODY, "x", people.adviser)
    session.commit()
    send_due()
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    assert message.status is MailStatus.FAILED
    assert count(session, Event, Event.kind == "message.not_sent") == 1


def test_the_link_of_a_message_opens_the_page(app, make, people, session):
    case = make.case(owner=people.adviser)
    write_to_person(case, BODY, "x", people.adviser)
    session.commit()
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    link = session.get(Link, message.link_id)
    browser = Pages(app)
    address = f"/fr/mon-dossier/ouvrir/{token_of(link)}"
    browser.get(address)
    assert browser.post(address).headers["Location"] == HOME["fr"]
    assert re.search("jeudi", browser.get(HOME["fr"]).text)
    assert session.get(Staff, people.adviser.id).name in browser.last.text
