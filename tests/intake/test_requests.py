"""Asking to talk: one request however it is pressed, nothing typed is lost, everything in the page's language."""

import re
import threading
from urllib.parse import quote_plus, urlencode

import pytest
from sqlalchemy import func, select

from crm.cases.models import Case, CaseNeed
from crm.i18n import gettext, speaking
from crm.intake.forms import PAGE_OF, PAGES
from crm.intake.models import Arrangements, Request
from crm.outbox.models import Message
from crm.permissions.models import Consent, Purpose
from crm.texts import pair
from tests.support import asking
from tests.support.asking import CHECK, START, address, ask, begin, fill, own
from tests.support.browser import Browser, over_the_wire
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, words
from tests.support.server import LONGEST_WAIT, Product
from tests.support.typed import form_with, forms_of

LOCALE = {"fr": "fr-CA", "en": "en-CA"}
UNREADABLE = "Some characters could not be read. Type this answer again"
ALL_ANSWERS = ANSWERS | {
    "contact_role": "behalf",
    "behalf_known": "yes",
    "availability": ["am", "eve"],
    "arrangements": "Sous-titrage & « interprétation »",
    "sector": "other",
    "sector_other": "Épluchage de « pommes » & <poires>",
    "incorporated": "yes",
    "neq": "11 6000-0000",
    "team_size": "3_4",
    "funding_band": "10k_49k",
    "supports": ["cdrq", "pme-mtl"],
    "supports_other": "La Ruche",
    "heard": "event",
    "newsletter": "yes",
    "survey": "yes",
}


def count(session, model=Case) -> int:
    return session.scalar(select(func.count()).select_from(model))


def complaints(body: str) -> dict[str, str]:
    """The error summary: the field each line leads to, and what it says. Every line leads somewhere."""
    summary = re.search(r'(?s)<div class="error-summary".*?</div>', body)
    found = re.findall(r'<a href="([^"]*)#([^"]+)">(.*?)</a>', summary[0]) if summary else []
    for page, target, _ in found:
        if not page:
            assert f'id="{target}"' in body, f"the summary leads to #{target}, which is nowhere"
            assert f'id="{target}-error"' in body, f"{target} says nothing beside itself"
    return {target: words(said) for _, target, said in found}


def said_in(lang: str, key: str) -> str:
    return " ".join(pair(key)[lang].split())


def send_page(pages, page: str, answers: dict, lang: str = "fr", status: int = 422, **also):
    """Press a button of one page; gives the answer."""
    pages.get(address(page, lang))
    return pages.post(address(page, lang), own(page, answers) | also, status=status)


def kept(pages, page: str, lang: str = "fr") -> dict[str, list[str]]:
    """What a page shows of what was typed."""
    body = pages.get(address(page, lang)).text
    shown = next(values for action, values in forms_of(body) if action == address(page, lang))
    return {name: values for name, values in shown.items() if name != "csrf_token"}


# --- a whole request -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_request_with_every_answer_is_kept_whole(pages, people, session, lang):
    confirmation = pages.get(ask(pages, ALL_ANSWERS, lang).headers["Location"])
    case = session.scalars(select(Case)).one()
    assert case.reference in confirmation.text
    contact, project = case.contact, case.project
    assert (contact.email, contact.phone, contact.phone_extension) == ("nadia@exemple.ca", "+15145550142", "12")
    assert contact.availability == ["am", "eve"]
    assert (project.neq, project.team_size, project.funding_band) == ("1160000000", "3_4", "10k_49k")
    assert (project.supports, project.supports_other, case.heard) == (["cdrq", "pme-mtl"], "La Ruche", "event")
    assert project.sector_other == ALL_ANSWERS["sector_other"]
    assert project.incorporated is True
    assert set(session.scalars(select(CaseNeed.need))) == {"form", "funding"}
    request = session.scalars(select(Request)).one()
    assert request.page_language == lang
    assert "arrangements" not in request.answers
    consents = session.scalars(select(Consent).order_by(Consent.id)).all()
    assert [one.purpose for one in consents] == list(Purpose)
    with speaking(lang):
        assert all(one.language == lang and "Conseil québécois" in one.text_shown for one in consents)


def test_only_the_ten_questions_are_required(pages, people, session):
    required = ("lang_pref", "contact_name", "contact_role", "contact_mode", "email", "description", "sector", "stage",
                "legal_form", "region", "needs")  # fmt: skip
    bare = {name: value for name, value in ANSWERS.items() if name in required}
    assert set(bare) == set(required)
    ask(pages, bare)
    case = session.scalars(select(Case)).one()
    assert case.contact.phone == case.project.neq == case.project.team_size == case.heard == ""
    assert count(session, Consent) == count(session, Arrangements) == 0


def test_what_is_to_be_arranged_lies_sealed_is_read_by_the_owner_only_and_destroyed_at_closing(
    pages, people, session, signed_in
):
    ask(pages, ALL_ANSWERS)
    case = session.scalars(select(Case)).one()
    sealed = session.scalars(select(Arrangements.sealed)).one()
    assert b"Sous-titrage" not in sealed
    file = f"/staff/cases/{case.reference}"
    session.commit()
    owner, colleague = signed_in(people.adviser), signed_in(people.coordinator)
    owner.get(file)
    owner.post(f"{file}/take")
    assert "Sous-titrage &amp; « interprétation »" in owner.get(file).text
    for person in (colleague, signed_in(people.admin)):
        assert "Sous-titrage" not in person.get(file).text
    owner.get(file)
    closing = {"to": "closed", "seen": "new", "reason": "Essai", "closing_reason": "error", "person_told": "told"}
    owner.post(f"{file}/stage", closing)
    assert count(session, Arrangements) == 0


def test_an_answer_that_the_others_do_not_call_for_is_not_sent(pages, people, session):
    changed = ALL_ANSWERS | {
        "contact_role": "lead", "sector": "food", "legal_form": "npo", "incorporated": "no", "region": "13",
        "needs": ["form"],
    }  # fmt: skip
    begin(pages)
    fill(pages, ALL_ANSWERS)
    fill(pages, changed)
    shown = words(pages.get(CHECK["fr"]).text)
    assert "Épluchage" not in shown
    assert "6000" not in shown
    pages.post(CHECK["fr"])
    case = session.scalars(select(Case)).one()
    project = case.project
    assert (project.sector_other, project.neq, project.locality, project.funding_band) == ("", "", "", "")
    assert project.legal_form == "npo"
    answers = session.scalars(select(Request)).one().answers
    assert not {"behalf_known", "sector_other", "coop_type", "neq", "locality", "funding_band"} & set(answers)


# --- pressed more than once ------------------------------------------------------------------------------------------


def test_twenty_presses_at_once_make_one_request_with_one_reference(session, people, database_url, tmp_path):
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=2)
        browser = Browser(port)
        browser.post(START["fr"], {})
        for page in PAGES:
            browser.post(address(page), own(page, ANSWERS))
        asking.age_drafts(session)
        session.commit()
        browser.get(CHECK["fr"])
        body, cookie = urlencode({"csrf_token": browser.token}), browser.cookie()
        together, answers = threading.Barrier(20), []

        def press():
            together.wait(LONGEST_WAIT)
            answers.append(over_the_wire(port, "POST", CHECK["fr"], body, {"Cookie": cookie}))

        threads = [threading.Thread(target=press) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for status, _, _ in answers] == [303] * 20
        (where,) = {headers["Location"] for _, headers, _ in answers}
        confirmation = over_the_wire(port, "GET", where)
        reference = re.search(r"PCC-\w{4}-\w{4}", confirmation[2])[0]
        again = over_the_wire(port, "POST", CHECK["fr"], body, {"Cookie": cookie})
        assert again[1]["Location"] == where
    finally:
        product.stop()
    assert session.scalars(select(Case.reference)).all() == [reference]
    assert (count(session, Request), count(session, Message)) == (1, 1)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_after_sending_every_page_leads_to_the_same_confirmation(pages, people, session, lang):
    where = ask(pages, ANSWERS, lang).headers["Location"]
    reference = session.scalars(select(Case.reference)).one()
    for page in (*PAGES, "check"):
        assert pages.get(address(page, lang), 303).headers["Location"] == where
        with speaking(lang):
            said = " ".join(pair("intake.refusal.already_sent")[lang].replace("{reference}", reference).split())
        assert said in words(pages.get(where).text)
    assert pages.post(CHECK[lang]).headers["Location"] == where
    assert count(session) == 1


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_page_sent_from_another_tab_after_sending_is_refused_and_its_text_given_back(pages, people, session, lang):
    ask(pages, ANSWERS, lang)
    reference = session.scalars(select(Case.reference)).one()
    other = "Un tout autre texte, écrit dans un autre onglet avant de presser le bouton."
    refused = pages.post(address("project", lang), own("project", ANSWERS) | {"description": other}, status=409)
    assert f'lang="{LOCALE[lang]}"' in refused.text
    assert reference in refused.text
    assert other in words(refused.text)
    assert session.scalars(select(Request)).one().answers["description"] == ANSWERS["description"]


def test_a_refresh_of_the_confirmation_makes_nothing_new(pages, people, session):
    where = ask(pages, ANSWERS).headers["Location"]
    first, second = words(pages.get(where).text), words(pages.get(where).text)
    assert first == second
    assert count(session) == 1


def test_another_request_can_be_sent_from_the_same_browser(pages, people, session):
    first = ask(pages, ANSWERS).headers["Location"]
    second = ask(pages, ANSWERS | {"project_name": "Une autre plateforme"}).headers["Location"]
    assert first != second
    assert count(session) == 2


# --- answers that cannot be taken ------------------------------------------------------------------------------------

EMPTY = {
    "lang_pref": {"lang_pref": ""},
    "contact_name": {"contact_name": " \u00a0\t"},
    "contact_role": {"contact_role": ""},
    "behalf_known": {"contact_role": "behalf"},
    "contact_mode": {"contact_mode": ""},
    "email": {"email": ""},
    "phone": {"contact_mode": "phone", "phone": ""},
    "description": {"description": "Trop court"},
    "sector": {"sector": ""},
    "stage": {"stage": ""},
    "legal_form": {"legal_form": ""},
    "region": {"region": ""},
    "needs": {"needs": []},
}
FORGED = {
    name: {name: "forged"}
    for name in ("lang_pref", "contact_role", "contact_mode", "sector", "stage", "legal_form", "region")
}
FORGED["needs"] = {"needs": ["forged"]}


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize("cases", [EMPTY, FORGED], ids=["empty", "forged"])
def test_each_missing_answer_is_asked_for_on_its_page_and_again_at_sending(pages, people, session, lang, cases):
    for field, changes in cases.items():
        pages.client = pages.client.application.test_client()
        begin(pages, lang)
        fill(pages, ANSWERS, lang)
        page = PAGE_OF[field]
        answer = send_page(pages, page, ANSWERS | changes, lang)
        assert f'<html lang="{LOCALE[lang]}"' in answer.text
        wanted = {field: said_in(lang, f"intake.question.{field}.empty")}
        assert complaints(answer.text) == wanted
        shown = kept(pages, page, lang)
        assert complaints(pages.last.text) == wanted, "the page forgot what was wrong"
        for name, value in own(page, ANSWERS | changes).items():
            if name != field:
                assert shown[name] == (value if isinstance(value, list) else [value]), (field, name)
        pages.get(CHECK[lang])
        refused = pages.post(CHECK[lang], status=422)
        assert complaints(refused.text) == wanted
        assert f'href="{address(page, lang)}?check=1#{field}"' in refused.text
    assert count(session) == 0


WRONG = [
    ("email", "nadia@"),
    ("email", "nadia exemple.ca"),
    ("email", "nadia@exemple.ca, autre@exemple.ca"),
    ("email", "nadia@exemple.ca\nBcc: tous@exemple.ca"),
    ("phone", "12"),
    ("phone", "cinq un quatre"),
    ("neq", "12345"),
    ("neq", "onze chiffres"),
]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_each_wrong_answer_is_explained_and_shown_again_as_typed(pages, session, lang):
    begin(pages, lang)
    for field, typed in WRONG:
        page = PAGE_OF[field]
        answer = send_page(pages, page, ANSWERS | {"incorporated": "yes", field: typed}, lang)
        assert complaints(answer.text) == {field: said_in(lang, f"intake.question.{field}.wrong")}, typed
        assert kept(pages, page, lang)[field] == [typed.replace("\n", " ")], "a field of one line holds one line"
    assert count(session) == 0


LONGEST = {
    "contact_name": 120,
    "email": 254,
    "phone": 60,
    "arrangements": 300,
    "project_name": 120,
    "description": 1500,
    "sector_other": 120,
    "neq": 60,
    "supports_other": 200,
}
AT_THEIR_LIMIT = {
    "contact_name": "é" * 120,
    "arrangements": "💡" * 300,
    "project_name": "\u200fعربي " + "x" * 114,
    "description": "é" * 1500,
    "supports_other": "œ" * 200,
}


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_each_answer_that_is_too_long_comes_back_whole(pages, session, lang):
    begin(pages, lang)
    too_long = {field: "é" * (most + 1) for field, most in LONGEST.items()}
    nearly_a_megabyte = {field: "é" * 145_000 + "a" * 90_000 for field in ("contact_name", "description")}
    for field, typed in [*too_long.items(), *nearly_a_megabyte.items()]:
        page = PAGE_OF[field]
        answer = send_page(pages, page, ANSWERS | {"incorporated": "yes", field: typed}, lang)
        assert f'<html lang="{LOCALE[lang]}"' in answer.text
        assert list(complaints(answer.text)) == [field]
        assert kept(pages, page, lang)[field] == [typed]
    assert count(session) == 0


def test_each_answer_at_its_limit_is_taken(pages, people, session):
    ask(pages, ANSWERS | AT_THEIR_LIMIT)
    case = session.scalars(select(Case)).one()
    assert (case.contact.name, case.project.description) == ("é" * 120, "é" * 1500)
    assert case.project.name == AT_THEIR_LIMIT["project_name"]


@pytest.mark.parametrize(("lang", "advice"), [("fr", "Raccourcissez"), ("en", "Shorten your text")])
def test_a_page_of_more_than_a_megabyte_is_refused_in_the_pages_language(pages, session, lang, advice):
    begin(pages, lang)
    answer = send_page(pages, "project", ANSWERS | {"description": "a" * 1_100_000}, lang, 413)
    assert f'<html lang="{LOCALE[lang]}"' in answer.text
    assert advice in words(answer.text)


BAD_BYTES = {
    "NUL": b"\x00",
    "an escape": b"\x1b",
    "a noncharacter": b"\xef\xbf\xbf",
    "a lone surrogate": b"\xed\xa0\x80",
    "a byte that is not UTF-8": b"\xff",
}


@pytest.mark.parametrize("bad", BAD_BYTES.values(), ids=BAD_BYTES)
def test_signs_nobody_could_read_back_are_refused_and_the_rest_kept(pages, session, bad):
    begin(pages)
    for lang, field in [("fr", name) for name in (*LONGEST, "stage")] + [("en", "description")]:
        page = PAGE_OF[field]
        pages.get(address(page, lang))
        fields = {**own(page, ANSWERS), "incorporated": "yes", "csrf_token": pages.token()}
        fields[field] = "Début \N{SECTION SIGN}BAD\N{SECTION SIGN} fin"
        body = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{one}\r\n'.encode()
            for name, value in fields.items()
            for one in (value if isinstance(value, list) else [value])
        )
        body = body.replace("\N{SECTION SIGN}BAD\N{SECTION SIGN}".encode(), bad) + b"--x--\r\n"
        answer = pages.client.post(
            address(page, lang), data=body, headers={"Host": HOST}, content_type="multipart/form-data; boundary=x"
        )
        pages._check(answer, address(page, lang), 422)
        with speaking(lang):
            assert words(gettext(UNREADABLE)) in complaints(answer.text)[field]
        if field in LONGEST:
            assert re.search("Début \ufffd+ fin", answer.text)
    assert count(session) == 0


@pytest.mark.parametrize("bad", ["%00", "%1B", "%EF%BF%BF", "%FF", "Jos%E9", "%ED%A0%80x"])
def test_the_same_signs_in_the_ordinary_form_encoding_are_refused_too(pages, session, bad):
    begin(pages)
    for field in ("contact_name", "arrangements", "description", "project_name"):
        page = PAGE_OF[field]
        pages.get(address(page))
        fields = {**own(page, ANSWERS), "csrf_token": pages.token()}
        fields.pop(field, None)
        body = f"{urlencode(fields, doseq=True)}&{field}={quote_plus('Début ')}{bad}+fin"
        answer = pages.client.post(
            address(page), data=body, headers={"Host": HOST}, content_type="application/x-www-form-urlencoded"
        )
        pages._check(answer, address(page), 422)
        assert complaints(answer.text) == {field: words(gettext(UNREADABLE))}
    assert count(session) == 0


def test_jumping_to_the_end_lists_every_fault_in_the_order_of_the_form_and_mending_them_sends(pages, people, session):
    begin(pages)
    assert words(pages.get(CHECK["fr"]).text).count(said_in("fr", "intake.check.none")) > 10
    refused = pages.post(CHECK["fr"], status=422)
    listed = list(complaints(refused.text))
    assert listed == ["lang_pref", "contact_name", "contact_role", "contact_mode", "description", "sector", "stage",
                      "legal_form", "region", "needs"]  # fmt: skip
    assert count(session) == 0
    fill(pages, ANSWERS)
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    assert count(session) == 1


# --- languages -------------------------------------------------------------------------------------------------------

WRONG_LETTERS = {
    "email": "pas une adresse",
    "phone": "12",
    "description": "  ",
    "contact_name": 'L’Œuvre "d’Ève" &amp; 💡 ' + "n" * 130,
    "project_name": "<script>alert(1)</script>",
    "needs": [],
    "region": "",
    "neq": "pas dix",
    "newsletter": [],
}


@pytest.mark.parametrize("first", ["fr", "en"])
@pytest.mark.parametrize("changes", [{}, WRONG_LETTERS], ids=["right answers", "wrong answers"])
@pytest.mark.parametrize("page", PAGES)
def test_switching_the_language_keeps_every_letter_and_judges_nothing(pages, people, session, first, changes, page):
    other = {"fr": "en", "en": "fr"}[first]
    begin(pages, first)
    typed = own(page, ALL_ANSWERS | changes)
    switched = send_page(pages, page, typed, first, 303, _lang=other)
    assert switched.headers["Location"] == address(page, other)
    for lang in (other, first):
        shown = kept(pages, page, lang)
        assert f'<html lang="{LOCALE[lang]}"' in pages.last.text
        assert "error-summary" not in pages.last.text
        assert 'aria-invalid="true"' not in pages.last.text
        for name, value in typed.items():
            wanted = value if isinstance(value, list) else [value.strip()]
            assert shown.get(name, [""] if wanted == [""] else []) == wanted, name


@pytest.mark.parametrize("first", ["fr", "en"])
@pytest.mark.parametrize("page", [page for page in PAGES if page != "choices"])
def test_switching_the_language_shows_the_same_errors_translated(pages, session, first, page):
    other = {"fr": "en", "en": "fr"}[first]
    begin(pages, first)
    wrong = ALL_ANSWERS | WRONG_LETTERS | {"legal_form": ""}
    faults = complaints(send_page(pages, page, wrong, first).text)
    assert faults
    send_page(pages, page, wrong, first, 303, _lang=other)
    translated = complaints(pages.get(address(page, other)).text)
    assert list(translated) == list(faults)
    assert all(translated[field] != said for field, said in faults.items())


@pytest.mark.parametrize("page", ["fr", "en"])
@pytest.mark.parametrize("asked", ["fr", "en", "either"])
def test_the_acknowledgement_speaks_the_language_asked_for(pages, people, session, page, asked):
    confirmation = ask(pages, ANSWERS | {"lang_pref": asked}, page).headers["Location"]
    spoken = page if asked == "either" else asked
    case, message = session.scalars(select(Case)).one(), session.scalars(select(Message)).one()
    assert case.language == message.language == spoken
    assert message.to_address == ANSWERS["email"]
    assert message.subject == pair("intake.mail.received.subject")[spoken].replace("{reference}", case.reference)
    assert message.body.startswith({"fr": "Bonjour ", "en": "Hello "}[spoken] + ANSWERS["contact_name"])
    assert f'<html lang="{LOCALE[page]}"' in pages.get(confirmation).text


def test_without_an_address_nothing_is_sent_and_the_page_still_gives_the_reference(pages, people, session):
    answers = ANSWERS | {"contact_mode": "phone", "email": ""}
    confirmation = pages.get(ask(pages, answers).headers["Location"])
    assert re.search(r"PCC-\w{4}-\w{4}", confirmation.text)
    assert count(session, Message) == 0


# --- the check page --------------------------------------------------------------------------------------------------


def test_a_change_from_the_check_page_comes_back_to_it(pages, people, session):
    begin(pages)
    fill(pages, ANSWERS)
    page = pages.get(CHECK["fr"]).text
    for one in PAGES:
        assert f'href="{address(one)}?check=1"' in page
    changing = pages.get(f"{address('reach')}?check=1")
    _, values = form_with(changing.text, "contact_mode")
    assert values["check"] == ["1"]
    back = pages.post(address("reach"), values | {"phone": "438 555-0101"}, token=None)
    assert back.headers["Location"] == CHECK["fr"]
    assert "438 555-0101" in words(pages.get(CHECK["fr"]).text)


def test_a_misspelled_address_is_suggested_mended_in_one_press_and_never_blocks(pages, people, session):
    slips = {"zoe@gmial.com": "zoe@gmail.com", "Zoé@hotmial.com": "Zoé@hotmail.com", "z@outlok.com": "z@outlook.com"}
    begin(pages)
    fill(pages, ANSWERS | {"email": "zoe@gmial.com"})
    page = pages.get(CHECK["fr"])
    assert "Vouliez-vous écrire zoe@gmail.com?" in words(page.text)
    pages.post(CHECK["fr"], {"_email": "1"})
    page = pages.get(CHECK["fr"])
    assert slips["zoe@gmial.com"] in words(page.text)
    assert "Vouliez-vous" not in page.text
    fill(pages, {**ANSWERS, "email": "z@outlok.com"}, only=("reach",))
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    assert session.scalars(select(Case)).one().contact.email == "z@outlok.com"


# --- cookies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_when_the_cookies_are_lost_the_page_is_given_back_and_a_second_press_keeps_it(
    pages, people, session, app, lang
):
    begin(pages, lang)
    pages.get(address("project", lang))
    token = pages.token()
    pages.client = app.test_client()
    typed = own("project", ALL_ANSWERS)
    refused = pages.post(address("project", lang), typed, status=400, token=token)
    assert f'<html lang="{LOCALE[lang]}"' in refused.text
    action, values = form_with(refused.text, "description")
    assert action == address("project", lang)
    assert {name: found for name, found in values.items() if name != "csrf_token"} == {
        name: value if isinstance(value, list) else [value] for name, value in typed.items()
    }
    # The earlier pages are gone with the cookie: it says so, and keeps what this page held.
    after = pages.post(action, values, token=None)
    assert after.headers["Location"] == address("you", lang)
    with speaking(lang):
        assert pair("intake.refusal.lost")[lang].split(".")[0] in words(pages.get(address("you", lang)).text)
    assert kept(pages, "project", lang)["sector_other"] == [ALL_ANSWERS["sector_other"]]
