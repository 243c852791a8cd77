"""A message that is being written is tried on a real file and mailed to who writes it."""

import pytest
from sqlalchemy import select

from crm.content.editing import FACTS_OF_TEXTS, is_editable, is_mail
from crm.outbox.models import Message
from crm.texts import PLACEHOLDER, everything, pair
from tests.support.pages import words

KEY = "intake.mail.received.body"


def typed(**changed):
    return {"fr": pair(KEY)["fr"] + "\nÀ bientôt!", "en": pair(KEY)["en"] + "\nSee you soon!", "seen": "0"} | changed


def test_a_preview_reads_as_it_would_on_the_newest_file(make, people, signed_in):
    case = make.case(owner=people.adviser)
    page = words(signed_in(people.coordinator).post(f"/staff/texts/{KEY}", typed(_preview="1"), status=200).text)
    assert case.reference in page
    assert "Nadia Benali" in page


def test_a_trial_goes_to_who_writes_in_both_languages_and_publishes_nothing(make, people, signed_in, session):
    case = make.case(owner=people.adviser)
    page = signed_in(people.coordinator).post(f"/staff/texts/{KEY}", typed(_test="1"), status=200).text
    assert f"Deux essais partent vers {people.coordinator.email}" in words(page)
    sent = session.scalars(select(Message).where(Message.kind == "content.test").order_by(Message.id)).all()
    assert [(one.language, one.to_address) for one in sent] == [
        ("fr", people.coordinator.email),
        ("en", people.coordinator.email),
    ]
    assert sent[0].subject.startswith("Essai : ")
    assert "À bientôt!" in sent[0].body
    assert "See you soon!" in sent[1].body
    assert case.reference not in sent[0].body, "mail travels: it shows an example"
    assert "PCC-2D4M-7G7G" in sent[0].body
    assert "{" not in sent[0].body + sent[0].subject
    assert "À bientôt!" not in pair(KEY)["fr"]


def test_what_is_not_complete_is_not_tried(people, signed_in, session):
    signed_in(people.coordinator).post(f"/staff/texts/{KEY}", typed(en="", _test="1"), status=422)
    signed_in(people.coordinator).post(f"/staff/texts/{KEY}", typed(fr="Sans rien", _test="1"), status=422)
    assert session.scalars(select(Message).where(Message.kind == "content.test")).all() == []


def test_trials_are_counted(people, signed_in):
    browser = signed_in(people.coordinator)
    for _ in range(20):
        browser.post(f"/staff/texts/{KEY}", typed(_test="1"), status=200)
    browser.post(f"/staff/texts/{KEY}", typed(_test="1"), status=429)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_everything_that_a_message_prints_has_an_example(lang):
    printed = {
        name
        for key, texts in everything().items()
        if is_mail(key) and is_editable(key)
        for name in PLACEHOLDER.findall(texts[lang])
    }
    examples = {key.removeprefix("content.sample.") for key in everything() if key.startswith("content.sample.")}
    assert printed - FACTS_OF_TEXTS - examples == {"instead"}, "which is nothing, most of the time"
