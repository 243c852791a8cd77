"""Messages that the team keeps under a name: both languages, put into a message with each one's facts, never sent by themselves."""

import pytest
from sqlalchemy import func, select

from crm.outbox.models import Message
from crm.portal.models import MessageTemplate, StaffMessage
from tests.support.pages import words
from tests.support.typed import form_with

TEXTS = {
    "name": "Relance",
    "fr": "Bonjour {nom},\n\nOù en est « {projet} »?",
    "en": "Hello {name},\n\nHow is “{project}” going?",
}


@pytest.fixture
def kept(people, signed_in, session):
    signed_in(people.coordinator).post("/staff/message-templates/new", TEXTS)
    return session.scalars(select(MessageTemplate)).one()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", "Bonjour Nadia Benali,\n\nOù en est « Outils & <b> »?"),
        ("en", "Hello Nadia Benali,\n\nHow is “Outils & <b>” going?"),
    ],
)
def test_it_takes_the_place_of_the_greeting_in_the_persons_language_and_nothing_is_sent(
    kept, make, people, signed_in, session, language, said
):
    case = make.case(owner=people.adviser, name="Outils & <b>", language=language)
    session.commit()
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/message"
    adviser.get(address)
    action, form = form_with(adviser.last.text, "body")
    adviser.post(action, form | {"template": str(kept.id), "put_in": "yes", "chase_on": "2030-01-07"}, status=200)
    _, form = form_with(adviser.last.text, "body")
    assert form["body"] == [said]
    assert form["chase_on"] == ["2030-01-07"], "the rest of what was typed stays"
    assert session.scalar(select(func.count(StaffMessage.id))) == session.scalar(select(func.count(Message.id))) == 0


def test_it_comes_after_what_was_typed(kept, make, people, signed_in, session):
    case = make.case(owner=people.adviser)
    session.commit()
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/message"
    adviser.get(address)
    action, form = form_with(adviser.last.text, "body")
    adviser.post(action, form | {"body": "Déjà écrit.", "template": str(kept.id), "put_in": "yes"}, status=200)
    body = form_with(adviser.last.text, "body")[1]["body"][0]
    assert body.startswith("Déjà écrit.\n\nBonjour Nadia")
    for forged in ("", "999", "x", "9" * 30):
        adviser.post(action, form | {"body": "Déjà écrit.", "template": forged, "put_in": "yes"}, status=200)
        assert form_with(adviser.last.text, "body")[1]["body"] == ["Déjà écrit."]


def test_many_receive_it_each_in_their_language_with_their_own_facts(kept, make, people, signed_in, session):
    for language, name in (("fr", "Alpha"), ("en", "Beta")):
        make.case(owner=people.adviser, name=name, language=language, email=f"{name.lower()}@exemple.ca")
    session.commit()
    adviser = signed_in(people.adviser)
    run = adviser.post("/staff/bulk", {"list": "", "which": "all"}).headers["Location"]
    assert "Relance" in words(adviser.get(f"{run}?do=message").text)
    adviser.get(f"{run}?do=message&kept={kept.id}")
    action, form = form_with(adviser.last.text, "do")
    assert (form["fr"], form["en"]) == ([TEXTS["fr"]], [TEXTS["en"]])
    adviser.post(action, form)
    stamp = form_with(adviser.get(run).text, "stamp")[1]
    adviser.post(f"{run}/begin", stamp)
    sent = set(session.scalars(select(StaffMessage.body)))
    assert sent == {"Bonjour Nadia Benali,\n\nOù en est « Alpha »?", "Hello Nadia Benali,\n\nHow is “Beta” going?"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "Donnez-lui un nom"),
        ({"fr": ""}, "Écrivez le message en français"),
        ({"en": " "}, "Écrivez le message en anglais"),
        ({"en": "Hello {prénom}"}, "ne veulent rien dire"),
    ],
)
def test_both_languages_are_written_and_only_known_names_stand_between_braces(people, signed_in, session, wrong, said):
    coordinator = signed_in(people.coordinator)
    coordinator.post("/staff/message-templates/new", TEXTS | wrong, status=422)
    assert said in words(coordinator.last.text)
    assert session.scalar(select(func.count(MessageTemplate.id))) == 0


def test_two_who_change_one_are_told_and_nothing_typed_is_lost(kept, people, signed_in, session):
    coordinator, admin = signed_in(people.coordinator), signed_in(people.admin)
    coordinator.get(f"/staff/message-templates/{kept.id}")
    address, form = form_with(coordinator.last.text, "version")
    admin.get("/staff/message-templates")
    admin.post(address, form | {"fr": "À elle."})
    coordinator.post(address, form | {"fr": "À lui."}, status=409)
    page = coordinator.last.text
    assert "Quelqu’un a changé ce message entre-temps" in words(page)
    assert "À elle." in words(page)
    _, again = form_with(page, "version")
    assert again["fr"] == ["À lui."]
    coordinator.post(address, again)
    session.expire_all()
    assert session.get_one(MessageTemplate, kept.id).fr == "À lui."


def test_a_name_is_one_messages_own(kept, people, signed_in, session):
    coordinator = signed_in(people.coordinator)
    coordinator.post("/staff/message-templates/new", TEXTS | {"fr": "Autre"}, status=409)
    assert "Un autre message est gardé sous ce nom" in words(coordinator.last.text)
    coordinator.post("/staff/message-templates/new", TEXTS | {"name": "Deuxième"})
    other = session.scalars(select(MessageTemplate).where(MessageTemplate.name == "Deuxième")).one()
    coordinator.get(f"/staff/message-templates/{other.id}")
    _, form = form_with(coordinator.last.text, "version")
    coordinator.post(f"/staff/message-templates/{other.id}/change", form | {"name": "Relance"}, status=409)
    coordinator.post(f"/staff/message-templates/{other.id}/remove", {})
    assert session.scalar(select(func.count(MessageTemplate.id))) == 1


def test_advisers_read_them_and_coordinators_change_them(kept, people, signed_in):
    adviser = signed_in(people.adviser)
    assert "Relance" in words(adviser.get("/staff/message-templates").text)
    adviser.get(f"/staff/message-templates/{kept.id}", status=404)
    adviser.post(f"/staff/message-templates/{kept.id}/change", TEXTS, status=404)
    adviser.post("/staff/message-templates/new", TEXTS, status=404)
