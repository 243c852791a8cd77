"""Asking to talk: one request however it is pressed, nothing typed is lost, everything in the page's language."""

import http.client
import re
import threading
from urllib.parse import quote_plus, urlencode

import pytest
from sqlalchemy import func, select

from crm.cases.models import Case
from crm.i18n import gettext, speaking
from crm.intake.models import Request
from crm.outbox.models import Message
from crm.texts import pair
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, words
from tests.support.server import LONGEST_WAIT, Product
from tests.support.typed import form_with

ADDRESS = {"fr": "/fr/demande", "en": "/en/request"}
LOCALE = {"fr": "fr-CA", "en": "en-CA"}
UNREADABLE = "Some characters could not be read. Type this answer again"


def blank(pages, lang="fr"):
    """A fresh form's hidden values: its key and its token."""
    _, values = form_with(pages.get(ADDRESS[lang]).text, "form_key")
    return {"form_key": values["form_key"][0]}


def count(session, model=Case) -> int:
    return session.scalar(select(func.count()).select_from(model))


def complaints(body: str) -> dict[str, str]:
    """The error summary: the field each line leads to, and what it says. Every line leads somewhere."""
    summary = re.search(r'(?s)<div class="error-summary".*?</div>', body)
    found = re.findall(r'<a href="#([^"]+)">(.*?)</a>', summary[0]) if summary else []
    for target, _ in found:
        assert f'id="{target}"' in body, f"the summary leads to #{target}, which is nowhere"
        assert f'id="{target}-error"' in body, f"{target} says nothing beside itself"
    return {target: words(said) for target, said in found}


def said_in(lang: str, key: str) -> str:
    return " ".join(pair(key)[lang].split())


# --- pressed more than once ------------------------------------------------------------------------------------------


def test_twenty_presses_at_once_make_one_request_with_one_reference(session, people, database_url, tmp_path):
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=2)
        blank_form = _ask(port, "GET", "/fr/demande")
        _, values = form_with(blank_form[2], "form_key")
        body = urlencode(
            {**ANSWERS, "form_key": values["form_key"][0], "csrf_token": values["csrf_token"][0]}, doseq=True
        )
        cookie = blank_form[1]["Set-Cookie"].partition(";")[0]
        together, answers = threading.Barrier(20), []

        def press():
            together.wait(LONGEST_WAIT)
            answers.append(_ask(port, "POST", "/fr/demande", body, {"Cookie": cookie}))

        threads = [threading.Thread(target=press) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for status, _, _ in answers] == [303] * 20
        (address,) = {headers["Location"] for _, headers, _ in answers}
        confirmation = _ask(port, "GET", address)
        reference = re.search(r"PCC-\w{4}-\w{4}", confirmation[2])[0]
        again = _ask(port, "POST", "/fr/demande", body, {"Cookie": cookie})
        assert again[1]["Location"] == address
    finally:
        product.stop()
    assert session.scalars(select(Case.reference)).all() == [reference]
    assert (count(session, Request), count(session, Message)) == (1, 1)


def _ask(port, method, address, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT)
    sent = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, address, body, sent | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_same_form_with_other_answers_is_refused_and_its_text_kept(pages, people, session, lang):
    key = blank(pages, lang)
    confirmation = pages.get(pages.post(ADDRESS[lang], ANSWERS | key).headers["Location"])
    reference = re.search(r"PCC-\w{4}-\w{4}", confirmation.text)[0]
    pages.get(ADDRESS[lang])
    other = "Un tout autre texte, écrit après avoir pressé le bouton de retour."
    refused = pages.post(ADDRESS[lang], ANSWERS | key | {"description": other}, status=409)
    assert f'lang="{LOCALE[lang]}"' in refused.text
    assert reference in refused.text
    assert form_with(refused.text, "form_key")[1]["description"] == [other]
    assert count(session) == 1
    assert session.scalars(select(Request)).one().answers["description"] == ANSWERS["description"]


def test_a_refresh_of_the_confirmation_makes_nothing_new(pages, people, session):
    address = pages.post(ADDRESS["fr"], ANSWERS | blank(pages)).headers["Location"]
    first, second = words(pages.get(address).text), words(pages.get(address).text)
    assert first == second
    assert count(session) == 1


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
def test_each_missing_answer_is_asked_for_in_the_pages_language(pages, session, lang, cases):
    for field, changes in cases.items():
        answer = pages.post(ADDRESS[lang], ANSWERS | blank(pages, lang) | changes, status=422)
        assert f'<html lang="{LOCALE[lang]}"' in answer.text
        assert complaints(answer.text) == {field: said_in(lang, f"intake.question.{field}.empty")}
        _, kept = form_with(answer.text, "form_key")
        for name, value in (ANSWERS | changes).items():
            if name != field:
                assert kept[name] == (value if isinstance(value, list) else [value]), (field, name)
    assert count(session) == 0


WRONG = [
    ("email", "nadia@"),
    ("email", "nadia exemple.ca"),
    ("email", "nadia@exemple.ca, autre@exemple.ca"),
    ("email", "nadia@exemple.ca\nBcc: tous@exemple.ca"),
    ("phone", "12"),
    ("phone", "cinq un quatre"),
]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_each_wrong_answer_is_explained_and_shown_again_as_typed(pages, session, lang):
    for field, typed in WRONG:
        answer = pages.post(ADDRESS[lang], ANSWERS | blank(pages, lang) | {field: typed}, status=422)
        assert complaints(answer.text) == {field: said_in(lang, f"intake.question.{field}.wrong")}, typed
        assert form_with(answer.text, "form_key")[1][field] == [typed]
    assert count(session) == 0


LONGEST = {
    "contact_name": 120,
    "email": 254,
    "phone": 60,
    "project_name": 120,
    "description": 1500,
    "sector_other": 120,
}


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_each_answer_that_is_too_long_comes_back_whole(pages, session, lang):
    too_long = {field: "é" * (most + 1) for field, most in LONGEST.items()}
    nearly_a_megabyte = {field: "é" * 145_000 + "a" * 90_000 for field in ("contact_name", "description")}
    for field, typed in [*too_long.items(), *nearly_a_megabyte.items()]:
        answer = pages.post(ADDRESS[lang], ANSWERS | blank(pages, lang) | {field: typed}, status=422)
        assert f'<html lang="{LOCALE[lang]}"' in answer.text
        assert list(complaints(answer.text)) == [field]
        assert form_with(answer.text, "form_key")[1][field] == [typed]
    assert count(session) == 0


@pytest.mark.parametrize(("lang", "advice"), [("fr", "Raccourcissez"), ("en", "Shorten your text")])
def test_a_request_of_more_than_a_megabyte_is_refused_in_the_pages_language(pages, session, lang, advice):
    key = blank(pages, lang)
    answer = pages.post(ADDRESS[lang], ANSWERS | key | {"description": "a" * 1_100_000}, status=413)
    assert f'<html lang="{LOCALE[lang]}"' in answer.text
    assert advice in words(answer.text)
    assert count(session) == 0


TEXTS = ("contact_name", "email", "phone", "project_name", "description", "sector_other")
BAD_BYTES = {
    "NUL": b"\x00",
    "an escape": b"\x1b",
    "a noncharacter": b"\xef\xbf\xbf",
    "a lone surrogate": b"\xed\xa0\x80",
    "a byte that is not UTF-8": b"\xff",
}


@pytest.mark.parametrize("bad", BAD_BYTES.values(), ids=BAD_BYTES)
def test_signs_nobody_could_read_back_are_refused_and_the_rest_kept(pages, session, bad):
    for lang, field in [("fr", name) for name in (*TEXTS, "region", "stage")] + [("en", "description")]:
        fields = {**ANSWERS, **blank(pages, lang), "csrf_token": pages.token()}
        fields[field] = "Début \N{SECTION SIGN}BAD\N{SECTION SIGN} fin"
        body = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{one}\r\n'.encode()
            for name, value in fields.items()
            for one in (value if isinstance(value, list) else [value])
        )
        body = body.replace("\N{SECTION SIGN}BAD\N{SECTION SIGN}".encode(), bad) + b"--x--\r\n"
        answer = pages.client.post(
            ADDRESS[lang], data=body, headers={"Host": HOST}, content_type="multipart/form-data; boundary=x"
        )
        pages._check(answer, ADDRESS[lang], 422)
        with speaking(lang):
            assert complaints(answer.text) == {field: words(gettext(UNREADABLE))}
        _, kept = form_with(answer.text, "form_key")
        assert kept["needs"] == ANSWERS["needs"]
        if field in TEXTS:
            assert re.fullmatch("Début \ufffd+ fin", kept[field][0])
    assert count(session) == 0


@pytest.mark.parametrize("bad", ["%00", "%1B", "%EF%BF%BF"])
def test_the_same_signs_in_the_ordinary_form_encoding_are_refused_too(pages, session, bad):
    for field in TEXTS:
        fields = {**ANSWERS, **blank(pages), "csrf_token": pages.token()}
        fields.pop(field, None)
        body = f"{urlencode(fields, doseq=True)}&{field}={quote_plus('Début ')}{bad}+fin"
        answer = pages.client.post(
            "/fr/demande", data=body, headers={"Host": HOST}, content_type="application/x-www-form-urlencoded"
        )
        pages._check(answer, "/fr/demande", 422)
        assert complaints(answer.text) == {field: words(gettext(UNREADABLE))}
    assert count(session) == 0


@pytest.mark.parametrize("bad", ["%FF", "Jos%E9", "%ED%A0%80x"])
def test_bytes_that_are_not_text_are_refused_beside_the_field(pages, people, session, bad):
    body = urlencode({**ANSWERS, **blank(pages), "csrf_token": pages.token(), "project_name": ""}, doseq=True)
    answer = pages.client.post(
        "/fr/demande",
        data=body.replace("project_name=", f"project_name=Caf{bad}"),
        headers={"Host": HOST},
        content_type="application/x-www-form-urlencoded",
    )
    pages._check(answer, "/fr/demande", 422)
    assert complaints(answer.text) == {"project_name": words(gettext(UNREADABLE))}
    assert form_with(answer.text, "form_key")[1]["description"] == [ANSWERS["description"]]
    assert count(session) == 0


def test_a_raw_byte_that_is_not_text_loses_nothing_else(pages, people, session):
    fields = {**ANSWERS, **blank(pages), "csrf_token": pages.token(), "project_name": "CAFE"}
    body = urlencode(fields, doseq=True).encode().replace(b"project_name=CAFE", b"project_name=Caf\xe9")
    answer = pages.client.post(
        "/fr/demande", data=body, headers={"Host": HOST}, content_type="application/x-www-form-urlencoded"
    )
    pages._check(answer, "/fr/demande", 422)
    assert form_with(answer.text, "form_key")[1]["contact_name"] == [ANSWERS["contact_name"]]


def test_all_faults_are_listed_in_the_order_of_the_form_and_mending_them_sends_the_request(pages, people, session):
    key = blank(pages)
    wrong = {name: "" for name in ANSWERS} | {"needs": [], "email": "nadia@", "project_name": "x" * 121}
    refused = pages.post("/fr/demande", key | wrong, status=422)
    listed = list(complaints(refused.text))
    asked = [name for name in ANSWERS if name not in {"phone", "coop_type", "locality"}]
    assert listed == asked
    assert form_with(refused.text, "form_key")[1]["form_key"] == [key["form_key"]]
    pages.post("/fr/demande", key | ANSWERS)
    assert count(session) == 1


# --- languages -------------------------------------------------------------------------------------------------------

ALL_ANSWERS = ANSWERS | {
    "behalf_known": "yes",
    "sector": "other",
    "sector_other": "Épluchage de « pommes » & <poires>",
    "incorporated": "no",
}
WRONG_LETTERS = {
    "email": "pas une adresse",
    "phone": "12",
    "description": "  ",
    "contact_name": 'L’Œuvre "d’Ève" &amp; 💡 ' + "n" * 130,
    "project_name": "<script>alert(1)</script>",
    "needs": [],
    "region": "",
}


@pytest.mark.parametrize("first", ["fr", "en"])
@pytest.mark.parametrize("changes", [{}, WRONG_LETTERS], ids=["right answers", "wrong answers"])
def test_switching_the_language_keeps_every_letter_and_judges_nothing(pages, people, session, first, changes):
    other = {"fr": "en", "en": "fr"}[first]
    typed = ALL_ANSWERS | changes | blank(pages, first)
    page = pages.post(ADDRESS[other], typed | {"_lang": other}, status=200)
    assert f'<html lang="{LOCALE[other]}"' in page.text
    assert "error-summary" not in page.text
    assert 'aria-invalid="true"' not in page.text
    back = pages.post(ADDRESS[first], typed | {"_lang": first}, status=200)
    for shown in (page, back):
        address, kept = form_with(shown.text, "form_key")
        assert address == ADDRESS[other if shown is page else first]
        for name, value in typed.items():
            wanted = value if isinstance(value, list) else [value.strip()]
            assert kept.get(name, []) == wanted, name
    assert count(session) == 0
    if not changes:
        _, kept = form_with(page.text, "form_key")
        pages.post(ADDRESS[other], kept)
        assert count(session) == 1


@pytest.mark.parametrize("page", ["fr", "en"])
@pytest.mark.parametrize("asked", ["fr", "en", "either"])
def test_the_acknowledgement_speaks_the_language_asked_for(pages, people, session, page, asked):
    confirmation = pages.post(ADDRESS[page], ANSWERS | blank(pages, page) | {"lang_pref": asked}).headers["Location"]
    spoken = page if asked == "either" else asked
    case, message = session.scalars(select(Case)).one(), session.scalars(select(Message)).one()
    assert case.language == message.language == spoken
    assert message.to_address == ANSWERS["email"]
    assert message.subject == pair("intake.mail.received.subject")[spoken].replace("{reference}", case.reference)
    assert message.body.startswith({"fr": "Bonjour ", "en": "Hello "}[spoken] + ANSWERS["contact_name"])
    assert f'<html lang="{LOCALE[page]}"' in pages.get(confirmation).text


def test_without_an_address_nothing_is_sent_and_the_page_still_gives_the_reference(pages, people, session):
    answers = ANSWERS | {"contact_mode": "phone", "email": ""}
    confirmation = pages.get(pages.post("/fr/demande", answers | blank(pages)).headers["Location"])
    assert re.search(r"PCC-\w{4}-\w{4}", confirmation.text)
    assert count(session, Message) == 0


# --- cookies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_when_the_cookie_is_lost_the_text_is_kept_and_a_second_press_sends_it(pages, people, session, app, lang):
    key = blank(pages, lang)
    token = pages.token()
    pages.client = app.test_client()
    refused = pages.post(ADDRESS[lang], ALL_ANSWERS | key, status=400, token=token)
    assert f'<html lang="{LOCALE[lang]}"' in refused.text
    assert count(session) == 0
    address, kept = form_with(refused.text, "form_key")
    assert address == ADDRESS[lang]
    assert {name: values for name, values in kept.items() if name != "csrf_token"} == {
        name: value if isinstance(value, list) else [value] for name, value in (ALL_ANSWERS | key).items()
    }
    pages.post(address, kept, token=None)
    assert count(session) == 1
    request = session.scalars(select(Request)).one()
    assert request.answers["sector_other"] == ALL_ANSWERS["sector_other"]
    assert request.answers["needs"] == ALL_ANSWERS["needs"]
