"""Coordinators write pages, texts and facts; French is never behind English; what people agreed to keeps its version."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from crm import business_days, clock
from crm.cases.models import Case
from crm.content import editing
from crm.content.markup import drawn
from crm.db import db
from crm.intake.models import Request
from crm.outbox.models import Message
from crm.permissions.models import Consent
from crm.talks.slots import free_starts
from crm.texts import everything, pair, text
from crm.texts.facts import FACTS, form_is_open, missing, programme
from crm.texts.models import Publication, TextDraft
from crm.texts.published import (
    SHIPPED_AT,
    EnglishAheadError,
    Standing,
    dated,
    forget,
    publish,
    standing,
    version_of,
)
from tests.support.asking import START, ask, begin
from tests.support.factories import ANSWERS
from tests.support.pages import words
from tests.support.server import Product, poll
from tests.support.typed import form_with

HOME = "intake.home.title"
NOW, BEFORE = clock.now(), clock.now() - timedelta(days=9)


def shown_form(body: str, name: str) -> dict:
    """What a browser would send from the form that holds a field."""
    return form_with(body, name)[1]


def count(session, model) -> int:
    return session.scalar(select(func.count()).select_from(model))


# --- French is never behind English ----------------------------------------------------------------------------------

WAS = Standing("Ancien", "Old", BEFORE, BEFORE)
STALE = Standing("Nouveau", "Old", BEFORE, BEFORE - timedelta(days=1))
RULE = {
    "both change": (WAS, "Neuf", "New", False, (NOW, NOW)),
    "French alone": (WAS, "Neuf", "Old", False, (NOW, BEFORE)),
    "English alone": (WAS, "Ancien", "New", False, None),
    "English alone, and the French was read": (WAS, "Ancien", "New", True, (NOW, NOW)),
    "English catches up with a newer French": (STALE, "Nouveau", "New", False, None),
    "English catches up, both read": (STALE, "Nouveau", "New", True, (NOW, NOW)),
    "nothing": (WAS, "Ancien", "Old", False, (BEFORE, BEFORE)),
}


@pytest.mark.parametrize("what", RULE)
def test_english_is_never_newer_than_french(what):
    before, fr, en, agree, expected = RULE[what]
    if expected is None:
        with pytest.raises(EnglishAheadError):
            dated(before, fr, en, now=NOW, both_agree=agree)
    else:
        assert dated(before, fr, en, now=NOW, both_agree=agree) == expected


def test_the_database_itself_keeps_french_first(session):
    session.add(Publication(key=HOME, after=0, fr="a", en="b", fr_at=BEFORE, en_at=NOW, at=NOW, by_id=None))
    with pytest.raises(IntegrityError):
        session.flush()


def test_a_text_is_published_kept_by_version_and_read_at_once_in_both_languages(people, session, signed_in, pages):
    browser = signed_in(people.coordinator)
    address = f"/staff/texts/{HOME}"
    page = browser.get(address).text
    typed = shown_form(page, "fr") | {"fr": 'Parlons de "votre" projet : c\'est simple...', "en": "Let’s talk"}
    browser.post(address, typed | {"_preview": "1"}, status=200)
    assert count(session, Publication) == 0
    browser.post(address, typed)
    assert "Parlons de" in words(pages.get("/fr/").text)
    assert "projet\u00a0: c’est simple…" in pages.get("/fr/").text, "no-break spaces and apostrophes are put in"
    assert "Let’s talk" in pages.get("/en/").text
    kept = session.scalars(select(Publication)).one()
    assert (kept.key, kept.by_id) == (HOME, people.coordinator.id)
    browser.get(address)
    again = shown_form(browser.last.text, "fr")
    browser.post(address, again | {"fr": "Autrement"})
    assert "Anglais à mettre à jour" in words(browser.get("/staff/texts?group=pages").text)
    browser.get(address)
    browser.post(f"{address}/back", {"version": str(kept.id)})
    assert standing(HOME).en == "Let’s talk"
    browser.get(address)
    browser.post(f"{address}/back", {"version": "0"})
    assert pair(HOME) == everything()[HOME]
    assert count(session, Publication) == 4, "versions are added, never changed"


def test_english_alone_is_refused_unless_the_french_was_read_again(people, session, signed_in):
    browser = signed_in(people.coordinator)
    address = f"/staff/texts/{HOME}"
    typed = shown_form(browser.get(address).text, "fr") | {"en": "Something else"}
    refused = browser.post(address, typed, status=422).text
    assert "Seul l’anglais a changé" in words(refused)
    assert "Something else" in refused, "what was typed is kept"
    browser.post(address, typed | {"both_agree": "y"})
    assert standing(HOME).en == "Something else"


@pytest.mark.parametrize(
    ("key", "fr", "said"),
    [
        (HOME, "", "Écrivez le texte français"),
        ("intake.received.next", "Une personne vous écrira.", "Remettez ceci"),
        ("intake.received.next", "D’ici le {date} {nom}", "Ce code n’existe pas"),
        ("content.faq.title", "Questions à {organisation}", "Ce code n’existe pas"),
        (HOME, "x\x00y", "caractères"),
        (HOME, "x" * 40_001, "Raccourcissez"),
    ],
)
def test_a_text_that_would_break_a_page_is_refused_in_words(people, session, signed_in, key, fr, said):
    browser = signed_in(people.coordinator)
    typed = shown_form(browser.get(f"/staff/texts/{key}").text, "fr") | {"fr": fr}
    assert said in words(browser.post(f"/staff/texts/{key}", typed, status=422).text)
    assert count(session, Publication) == 0


def test_a_draft_is_kept_in_one_language_or_both_and_nobody_reads_it(people, session, signed_in, pages):
    browser = signed_in(people.coordinator)
    address = "/staff/texts/content.faq.body"
    typed = shown_form(browser.get(address).text, "fr") | {"fr": "## Brouillon", "en": "", "_draft": "1"}
    browser.post(address, typed)
    assert "Brouillon" not in words(pages.get("/fr/questions").text)
    page = browser.get(address).text
    assert "## Brouillon" in page
    assert "Brouillon" in words(browser.get("/staff/texts").text)
    browser.post(f"{address}/discard", {"draft_seen": "another"})
    assert count(session, TextDraft) == 1, "not the one that was on screen"
    browser.post(f"{address}/discard", {"draft_seen": shown_form(page, "fr")["draft_seen"][0]})
    assert count(session, TextDraft) == 0
    assert standing("content.faq.body").fr == everything()["content.faq.body"]["fr"]


def test_two_coordinators_never_overwrite_each_other_silently(people, session, signed_in):
    first, second = signed_in(people.coordinator), signed_in(people.admin)
    address = f"/staff/texts/{HOME}"
    mine, theirs = (shown_form(one.get(address).text, "fr") for one in (first, second))
    second.post(address, theirs | {"fr": "Le leur", "en": "Theirs"})
    first.get(address)
    conflict = first.post(address, mine | {"fr": "Le mien", "en": "Mine"}, status=409).text
    assert "Le mien" in conflict
    assert "Le leur" in conflict
    assert standing(HOME).fr == "Le leur"
    first.post(address, shown_form(conflict, "fr"))
    assert standing(HOME).fr == "Le mien"


def test_only_texts_that_people_read_may_be_changed_and_only_by_coordinators(people, session, signed_in):
    browser = signed_in(people.coordinator)
    for key in ("cases.stage.new", "intake.notice.version", "cases.refusal.merged", "nothing", "programme.phone"):
        browser.get(f"/staff/texts/{key}", 404)
    signed_in(people.adviser).get("/staff/settings", 404)
    for group in editing.GROUPS:
        browser.get(f"/staff/texts?group={group}")
    assert not [key for key in everything() if editing.is_editable(key) and key.startswith("cases.stage")]


def test_a_published_message_leaves_in_its_words_and_a_name_is_not_read_as_a_placeholder(people, session, make, pages):
    publish("intake.mail.received.subject", "Reçu : {reference}", "Received: {reference}", by_id=None)
    session.commit()
    ask(pages, ANSWERS | {"contact_name": "{phone} Nadia"})
    mail = session.scalars(select(Message).where(Message.kind == "intake.received")).one()
    assert mail.subject.startswith("Reçu : PCC-")
    assert "{phone} Nadia" in mail.body


def test_what_people_agree_to_keeps_the_version_of_the_words_they_read(people, session, pages):
    before = version_of("intake.notice")
    publish("intake.notice.optional", "Tout est facultatif.", "All is optional.", by_id=None)
    publish("intake.consent.newsletter", "J’accepte {organisation}.", "I agree {organisation}.", by_id=None)
    session.commit()
    ask(pages, ANSWERS | {"newsletter": "yes"})
    request, given = session.scalars(select(Request)).one(), session.scalars(select(Consent)).one()
    assert request.notice_version.startswith(f"{before}+")
    assert "+" in given.text_version
    assert given.text_shown.startswith("J’accepte le Conseil")


def test_another_process_reads_a_published_text_without_being_told(database_url, tmp_path, session, people):
    product = Product(database_url, tmp_path)
    try:
        from tests.support.browser import over_the_wire

        port = product.web()
        assert everything()[HOME]["fr"] in words(over_the_wire(port, "GET", "/fr/")[2])
        publish(HOME, "Un nouveau titre", "A new title", by_id=None)
        session.commit()
        poll(lambda: "Un nouveau titre" in over_the_wire(port, "GET", "/fr/")[2], "the other process reads it")
    finally:
        product.stop()


def test_a_database_that_cannot_answer_leaves_the_texts_it_had(app, session, monkeypatch):
    assert text(HOME) == everything()[HOME]["fr"]
    forget()
    session.execute(db.text("DROP TABLE publication"))
    assert text(HOME) == everything()[HOME]["fr"]
    session.rollback()


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize(("fr", "en"), [("questions", "questions"), ("confidentialite", "privacy"), ("accessibilite", "accessibility")])  # fmt: skip
def test_each_page_is_there_and_prints_the_programmes_facts(pages, lang, fr, en):
    slug = fr if lang == "fr" else en
    page = pages.get(f"/{lang}/{slug}").text
    assert not re.search(r"\{[a-z_]+\}", page)
    assert page.count("<h1") == 1
    assert "<h2>" in page
    if slug in {"confidentialite", "privacy"}:
        assert "vieprivee@passerelle.example" in page


def test_the_notice_and_every_public_page_lead_to_the_policy(pages):
    for address in ("/fr/", START["fr"], "/fr/questions"):
        assert 'href="/fr/confidentialite"' in pages.get(address).text


def test_earlier_versions_of_the_policy_stay_readable_by_everybody(people, session, pages):
    key = "content.privacy.body"
    assert "En vigueur depuis" not in words(pages.get("/fr/confidentialite").text)
    first = publish(key, "## Un", "## One", by_id=None)
    session.commit()
    publish(key, "## Deux", "## Two", by_id=None)
    session.commit()
    page = words(pages.get("/fr/confidentialite").text)
    assert "Deux" in page
    assert "En vigueur depuis le" in page
    assert "Première version" in page
    old = words(pages.get(f"/fr/confidentialite?version={first.id}").text)
    assert "Un" in old
    assert "n’est plus en vigueur" in old
    assert "One" in words(pages.get(f"/en/privacy?version={first.id}").text)
    assert "Qui est responsable" in words(pages.get("/fr/confidentialite?version=0").text)
    for wrong in ("999999", "x", "-1"):
        pages.get(f"/fr/confidentialite?version={wrong}", 404)


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://elsewhere.example/p.png)", "<img src=x>",
        "[x](data:text/html,x)", "    <b>code</b>",
    ],
)  # fmt: skip
def test_a_page_lets_no_script_picture_or_html_through(typed):
    made = str(drawn(typed))
    assert not re.search(r"<(script|img|b)\b|href=\"(javascript|data):", made)


def test_headings_begin_under_the_title():
    assert str(drawn("# Un\n\n## Deux\n\n### Trois")) == "<h2>Un</h2>\n<h2>Deux</h2>\n<h3>Trois</h3>\n"


# --- the programme's facts -------------------------------------------------------------------------------------------


def facts_form(browser) -> dict:
    return shown_form(browser.get("/staff/settings").text, "phone")


def test_a_fact_that_a_coordinator_saves_is_printed_everywhere_and_keeps_its_versions(
    people, session, signed_in, pages
):
    browser = signed_in(people.coordinator)
    typed = facts_form(browser) | {"phone": "514 555-0199", "name_fr": "L'autre nom", "name_en": "The other name"}
    browser.post("/staff/settings", typed)
    assert programme().phone == "514 555-0199"
    assert programme().name["fr"] == "L’autre nom"
    assert "514 555-0199" in words(pages.get("/fr/").text)
    assert {one.key for one in session.scalars(select(Publication))} == {"programme.phone", "programme.name"}
    browser.post("/staff/settings", facts_form(browser))
    assert count(session, Publication) == 2, "what did not change is not a version"


def test_the_form_is_not_opened_while_the_notice_would_lack_a_fact(people, session, signed_in, pages):
    browser = signed_in(people.coordinator)
    typed = facts_form(browser) | {"hosting_place_fr": "", "hosting_place_en": ""}
    refused = words(browser.post("/staff/settings", typed, status=422).text)
    assert "ne peut pas être ouvert" in refused
    assert "Lieu d’hébergement" in refused
    closed = {name: value for name, value in typed.items() if name != "form_open"}
    browser.get("/staff/settings")
    browser.post("/staff/settings", closed)
    assert not form_is_open()
    assert "Le formulaire n’est pas ouvert" in words(pages.get(START["fr"]).text)
    assert "The form is not open" in words(pages.get(START["en"]).text)
    pages.get("/fr/")
    assert pages.post(START["fr"]).headers["Location"] == START["fr"]
    assert missing(programme()) == ["hosting_place"]


def test_a_request_begun_before_the_form_closed_can_be_sent(people, session, pages):
    begin(pages)
    publish("programme.form_open", "no", "no", by_id=None, both_agree=True)
    session.commit()
    from tests.support.asking import CHECK, fill

    fill(pages, ANSWERS)
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    assert count(session, Case) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "pas une adresse"}, "adresse courriel complète"),
        ({"sender": "a@b.ca, c@d.ca"}, "adresse courriel complète"),
        ({"name_en": ""}, "les deux langues"),
        ({"phone": "5" * 301}, "Raccourcissez"),
    ],
)
def test_a_fact_that_cannot_be_printed_is_refused(people, session, signed_in, wrong, said):
    browser = signed_in(people.coordinator)
    assert said in words(browser.post("/staff/settings", facts_form(browser) | wrong, status=422).text)
    assert count(session, Publication) == 0


def test_settings_saved_meanwhile_are_told(people, session, signed_in):
    first, second = signed_in(people.coordinator), signed_in(people.admin)
    mine = facts_form(first)
    second.post("/staff/settings", facts_form(second) | {"phone": "514 555-0101"})
    assert "entre-temps" in words(first.post("/staff/settings", mine | {"phone": "514 555-0102"}, status=409).text)
    assert programme().phone == "514 555-0101"


def test_a_product_whose_facts_nobody_filled_in_works_and_keeps_its_form_closed(app, session, pages):
    for fact in FACTS:
        if fact.printed:
            publish(f"programme.{fact.name}", "", "", by_id=None, both_agree=True)
    session.commit()
    for address in ("/fr/", START["fr"], "/fr/confidentialite", "/fr/questions", "/en/"):
        pages.get(address)
    assert programme().form_open
    assert not form_is_open(), "open in the settings, and still closed while the notice lacks a fact"


def test_the_shipped_texts_have_an_age(session):
    assert standing(HOME) == Standing(everything()[HOME]["fr"], everything()[HOME]["en"], SHIPPED_AT, SHIPPED_AT)


# --- two people at once, and what an earlier version printed ---------------------------------------------------------


def test_a_draft_is_not_overwritten_nor_thrown_away_by_somebody_elses(people, session, signed_in):
    first, second = signed_in(people.coordinator), signed_in(people.admin)
    address = f"/staff/texts/{HOME}"
    mine, theirs = (shown_form(one.get(address).text, "fr") for one in (first, second))
    second.post(address, theirs | {"fr": "Leur brouillon", "_draft": "1"})
    refused = first.post(address, mine | {"fr": "Mon brouillon", "_draft": "1"}, status=409).text
    assert "Leur brouillon" in refused
    assert "Mon brouillon" in refused
    first.post(address, mine | {"fr": "Publié entre-temps", "en": "Published"})
    assert session.get(TextDraft, HOME).fr == "Leur brouillon"
    resumed = shown_form(second.get(address).text, "fr")
    assert resumed["fr"] == ["Leur brouillon"]
    stale = second.post(address, resumed | {"both_agree": "y"}, status=409).text
    assert "Publié entre-temps" in stale, "a draft begun before is told of what was published since"


def test_two_versions_never_take_the_same_place(people, session):
    publish(HOME, "Un", "One", by_id=None)
    session.commit()
    session.add(Publication(key=HOME, after=0, fr="Deux", en="Two", fr_at=NOW, en_at=NOW, at=NOW, by_id=None))
    with pytest.raises(IntegrityError):
        session.flush()


def test_an_earlier_policy_prints_the_facts_of_its_time(people, session, pages):
    publish("programme.retention", "12 mois", "12 months", by_id=None, both_agree=True)
    session.commit()
    publish("content.privacy.body", "## Neuf, {retention}", "## New, {retention}", by_id=None)
    session.commit()
    publish("programme.retention", "36 mois", "36 months", by_id=None, both_agree=True)
    session.commit()
    assert "36 mois" in words(pages.get("/fr/confidentialite").text)
    assert "12 mois" in words(pages.get("/fr/confidentialite?version=0").text)


def test_a_changed_fact_changes_the_version_of_the_notice_that_prints_it(session):
    before = version_of("intake.notice")
    publish("programme.retention", "12 mois", "12 months", by_id=None, both_agree=True)
    session.commit()
    assert version_of("intake.notice") != before


def test_signs_of_markdown_in_a_fact_mean_themselves(people, session, pages):
    publish("programme.address", "[x](https://elsewhere.example) *a_b*", "[x](https://elsewhere.example)", by_id=None)
    session.commit()
    page = pages.get("/fr/confidentialite").text
    assert "elsewhere.example" in page
    assert 'href="https://elsewhere.example' not in page
    assert "*a_b*" in page


def test_a_fact_is_one_line(people, session, signed_in):
    browser = signed_in(people.coordinator)
    browser.post("/staff/settings", facts_form(browser) | {"name_fr": "Le nom\r\nBcc: x@y.ca", "name_en": "The name"})
    assert programme().name["fr"] == "Le nom Bcc\u00a0: x@y.ca"


def test_a_clock_that_was_set_back_does_not_make_the_english_newer():
    ahead = Standing("Ancien", "Old", NOW + timedelta(hours=2), NOW + timedelta(hours=2))
    fr_at, en_at = dated(ahead, "Neuf", "Old", now=NOW, both_agree=False)
    assert en_at <= fr_at


def test_what_the_programme_is_closed_for_moves_due_dates_and_offers_no_talk(people, session, signed_in, make):
    with time_machine.travel(datetime(2026, 12, 21, 15, 0, tzinfo=UTC), tick=False):
        assert business_days.add_business_days(date(2026, 12, 23), 2) == date(2026, 12, 28)
        browser = signed_in(people.coordinator)
        for wrong in ("Noël", "2027-01-03/2026-12-24"):
            page = browser.post("/staff/settings", facts_form(browser) | {"closures": wrong}, status=422).text
            assert wrong in page, "what was typed stays"
            assert "2026-12-24/2027-01-03" in words(page), "an example is given"
            browser.get("/staff/settings")
        closed = {"closures": "2026-12-24/2027-01-03", "easter_monday": "y"}
        browser.post("/staff/settings", facts_form(browser) | closed)
        assert facts_form(browser)["closures"] == [closed["closures"]]
        assert business_days.add_business_days(date(2026, 12, 23), 2) == date(2027, 1, 5)
        assert business_days.next_business_day(date(2027, 3, 26)) == date(2027, 3, 26), "Good Friday is worked"
        assert business_days.next_business_day(date(2027, 3, 29)) == date(2027, 3, 30)
        assert make.case().reply_due_on == date(2027, 1, 4), "the promise skips it"
        weekly = {day: [(9 * 60, 12 * 60)] for day in range(5)}
        starts = free_starts(
            now=clock.now(), weekly=weekly, exceptions={}, minutes=60, buffer=0, notice_hours=0, taken=()
        )
        days = {clock.local_date(start) for start in starts}
        assert date(2026, 12, 23) in days
        assert date(2027, 1, 4) in days
        assert not [day for day in days if date(2026, 12, 24) <= day <= date(2027, 1, 3)]
