"""Sessions live on the server and end there; forged and cross-site writes change nothing; nothing typed is lost."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from sqlalchemy import func, select

from crm.accounts import services as accounts
from crm.accounts.models import SignIn
from crm.cases.models import Note
from tests.conftest import PASSWORD
from tests.support.pages import Pages, words
from tests.support.typed import form_with

NINE = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
NOTE = "Appelé Mme d’Amours & laissé un « message »."


@pytest.fixture
def thief(app):
    """`thief(pages)` gives another browser with a copy of the cookies as they are now."""

    def go(pages):
        other = Pages(app)
        other.client._cookies.update(pages.client._cookies)
        return other

    return go


@pytest.fixture
def moment():
    with time_machine.travel(NINE, tick=False) as moment:
        yield moment


def is_out(pages, address="/staff/cases"):
    """The address leads to the sign-in page."""
    answer = pages.get(address, 302)
    assert answer.headers["Location"].startswith("/staff/sign-in?to=")
    return True


def notes(session) -> list[str]:
    return list(session.scalars(select(Note.body)))


# --- sessions --------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_on_the_server(people, signed_in, thief, session):
    adviser = signed_in(people.adviser)
    adviser.get("/staff/cases")
    captured = thief(adviser)
    captured.get("/staff/cases")
    gone = adviser.post("/staff/sign-out")
    assert gone.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert is_out(captured)
    assert is_out(adviser)
    assert session.scalar(select(func.count()).select_from(SignIn)) == 0


def test_signing_out_of_one_browser_leaves_the_other_signed_in(people, signed_in):
    one, other = signed_in(people.adviser), signed_in(people.adviser)
    one.get("/staff/cases")
    one.post("/staff/sign-out")
    other.get("/staff/cases")


@pytest.mark.parametrize("end", ["deactivated", "password changed"])
def test_closing_an_account_or_changing_its_password_ends_every_session_at_once(people, signed_in, session, end):
    browsers = [signed_in(people.adviser) for _ in range(2)]
    bystander = signed_in(people.other_adviser)
    if end == "deactivated":
        accounts.deactivate(people.adviser)
    else:
        accounts.set_password(people.adviser, "another long password for tests")
    session.commit()
    assert all(is_out(browser) for browser in browsers)
    bystander.get("/staff/cases")


def test_a_closed_account_signs_in_no_more_and_is_told_what_a_stranger_is_told(people, pages, session):
    accounts.deactivate(people.adviser)
    session.commit()
    pages.get("/staff/sign-in")
    closed = pages.post("/staff/sign-in", {"email": people.adviser.email, "password": PASSWORD}, status=422)
    unknown = pages.post("/staff/sign-in", {"email": "x" + people.adviser.email, "password": PASSWORD}, status=422)
    assert words(closed.text) == words(unknown.text)


def test_the_password_is_never_shown_again(people, pages):
    pages.get("/staff/sign-in")
    refused = pages.post("/staff/sign-in", {"email": people.adviser.email, "password": "secret typed"}, status=422)
    assert "secret typed" not in refused.text
    refused = pages.post(
        "/staff/sign-in", {"email": people.adviser.email, "password": "secret typed"}, status=400, token=None
    )
    assert "secret typed" not in refused.text


def test_an_hour_away_from_the_keyboard_ends_the_session(people, signed_in, moment):
    adviser = signed_in(people.adviser)
    moment.shift(timedelta(minutes=59))
    adviser.get("/staff/cases")
    moment.shift(timedelta(minutes=59))
    adviser.get("/staff/cases")
    moment.shift(timedelta(minutes=60))
    assert is_out(adviser)


def test_a_session_ends_after_eight_hours_however_busy(people, signed_in, moment):
    adviser = signed_in(people.adviser)
    for _ in range(15):
        moment.shift(timedelta(minutes=30))
        adviser.get("/staff/cases")
    moment.shift(timedelta(minutes=29, seconds=59))
    adviser.get("/staff/cases")
    moment.shift(timedelta(seconds=1))
    assert is_out(adviser)


def test_the_eleventh_try_within_five_minutes_is_refused_even_with_the_right_password(people, pages, signed_in, moment):
    pages.get("/staff/sign-in")
    for _ in range(10):
        pages.post("/staff/sign-in", {"email": people.adviser.email, "password": "a wrong one"}, status=422)
    typed = {"email": people.adviser.email.upper(), "password": PASSWORD}
    refused = pages.post("/staff/sign-in", typed, status=429)
    assert refused.headers["Retry-After"] == "300"
    signed_in(people.other_adviser)
    moment.shift(timedelta(minutes=5))
    pages.get("/staff/sign-in")
    pages.post("/staff/sign-in", typed)
    pages.get("/staff/cases")


def test_blanks_around_an_address_do_not_make_it_another_one_to_the_counter(people, pages, moment):
    pages.get("/staff/sign-in")
    for tries in range(10):
        typed = {"email": "\N{EM SPACE}" * tries + people.adviser.email, "password": "a wrong one"}
        pages.post("/staff/sign-in", typed, status=422)
    pages.post("/staff/sign-in", {"email": people.adviser.email, "password": PASSWORD}, status=429)


def test_somebody_elsewhere_locks_nobody_out(people, app, moment):
    there, here = Pages(app), Pages(app)
    there.client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    there.get("/staff/sign-in")
    for _ in range(11):
        answer = there.client.post("/staff/sign-in", headers={"Host": "127.0.0.1:8000"},
            data={"email": people.adviser.email, "password": "a wrong one", "csrf_token": there.token()})  # fmt: skip
    assert answer.status_code == 429
    here.sign_in(people.adviser, PASSWORD)
    here.get("/staff/cases")


def test_being_refused_for_trying_too_often_keeps_what_was_typed(people, pages, make, session):
    case = make.case(owner=people.adviser)
    asked = pages.post(f"/staff/cases/{case.reference}/notes", {"body": NOTE}, status=401)
    _, form = form_with(asked.text, "kept")
    for _ in range(10):
        pages.post("/staff/sign-in", {"email": people.adviser.email, "password": "a wrong one"}, status=422)
    typed = {name: values[0] for name, values in form.items()} | {"email": people.adviser.email, "password": PASSWORD}
    refused = pages.post("/staff/sign-in", typed, status=429, token=None)
    assert form_with(refused.text, "kept")[1]["kept"] == form["kept"]


@pytest.mark.parametrize("kept", ["[" * 100_000, '[["body", "\\ud800"]]', "{}", '[["body"]]'])
def test_a_forged_text_to_give_back_breaks_nothing(people, pages, make, kept):
    case = make.case(owner=people.adviser)
    pages.get("/staff/sign-in")
    typed = {
        "email": people.adviser.email,
        "password": PASSWORD,
        "to": f"/staff/cases/{case.reference}/notes",
        "kept": kept,
    }
    pages.post("/staff/sign-in", typed, status=200)


# --- forged writes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "forged", "IjEyMyI.forged.forged"])
def test_a_write_without_its_token_is_refused_and_its_text_kept(people, signed_in, make, session, token):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/notes"
    refused = adviser.post(address, {"body": NOTE}, status=400, token=token)
    assert notes(session) == []
    action, kept = form_with(refused.text, "body")
    assert action == address
    assert kept["body"] == [NOTE]
    adviser.post(action, {"body": kept["body"][0]}, token=kept["csrf_token"][0])
    assert notes(session) == [NOTE]


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:8000.evil.example"},
        {"Origin": "https://127.0.0.1:8000"},
    ],
)
def test_a_write_from_another_site_is_refused_and_offers_nothing_to_press(
    people, signed_in, make, session, headers, with_token
):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    token = adviser.token() if with_token else None
    refused = adviser.post(f"/staff/cases/{case.reference}/notes", {"body": NOTE}, 403, token=token, headers=headers)
    assert NOTE not in words(refused.text)
    assert notes(session) == []


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1:8000"}])
def test_a_write_from_our_own_page_is_taken(people, signed_in, make, session, headers):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    adviser.post(f"/staff/cases/{case.reference}/notes", {"body": NOTE}, headers=headers)
    assert notes(session) == [NOTE]


def test_another_host_name_is_refused(pages):
    pages.client.get("/fr/")
    assert pages.client.get("/fr/", headers={"Host": "evil.example"}).status_code == 400


# --- a session that ended under a form -------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["adviser", "other_adviser"])
def test_a_form_sent_after_the_session_ended_is_given_back_after_signing_in(people, signed_in, make, session, who):
    person = getattr(people, who)
    case = make.case(owner=person)
    browser = signed_in(person)
    address = f"/staff/cases/{case.reference}/assessment"
    browser.get(f"/staff/cases/{case.reference}")
    accounts.end_sessions(person)
    session.commit()
    typed = {
        "version": "1", "name": "Nom & « nom »", "project_stage": "planning", "legal_form": "coop_solidarity", "region": "06",
        "locality": "verdun", "needs": ["form", "funding"], "summary": "Deux lignes,\r\nbien tapées.",
    }  # fmt: skip
    asked = browser.post(address, typed, status=401)
    assert "Nom & « nom »" not in words(asked.text), "what was typed is not shown to whoever is there"
    action, form = form_with(asked.text, "kept")
    given = browser.post(action, form | {"email": person.email, "password": PASSWORD}, status=200, token=None)
    again, kept = form_with(given.text, "summary")
    assert again == address
    wanted = {name: value if isinstance(value, list) else [value] for name, value in typed.items()}
    shown = {name: [one.replace("\r\n", "\n") for one in values] for name, values in kept.items()}
    assert {name: shown[name] for name in wanted} == wanted | {"summary": ["Deux lignes,\nbien tapées."]}
    browser.post(again, kept, token=None)
    session.expire_all()
    assert case.project.name == "Nom & « nom »"
    assert case.project.summary == "Deux lignes,\nbien tapées."


def test_what_was_typed_survives_a_wrong_password_too(people, signed_in, make, session):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.adviser)
    accounts.end_sessions(people.adviser)
    session.commit()
    asked = browser.post(f"/staff/cases/{case.reference}/notes", {"body": NOTE}, status=401)
    action, form = form_with(asked.text, "kept")
    wrong = browser.post(action, form | {"email": people.adviser.email, "password": "wrong"}, status=422, token=None)
    action, form = form_with(wrong.text, "kept")
    given = browser.post(action, form | {"email": people.adviser.email, "password": PASSWORD}, status=200, token=None)
    browser.post(*form_with(given.text, "body"), token=None)
    assert notes(session) == [NOTE]


def test_a_page_asked_for_without_a_session_opens_after_signing_in(people, pages, make):
    case = make.case(owner=people.adviser)
    sent = pages.get(f"/staff/cases/{case.reference}?tab=1", 302).headers["Location"]
    action, form = form_with(pages.get(sent).text, "password")
    answer = pages.post(action, form | {"email": people.adviser.email, "password": PASSWORD}, token=None)
    assert answer.headers["Location"] == f"/staff/cases/{case.reference}?tab=1"


ELSEWHERE = [
    "https://evil.example/", "//evil.example", "///evil.example", "////evil.example//x", "/\\evil.example", "\\\\evil.example",
    "/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example", "\t//evil.example", " //evil.example", "/%09/evil.example",
    "/%2F/evil.example", "/%5Cevil.example", "http:evil.example", "https:/evil.example", "javascript:alert(1)",
    "data:text/html,x", "/staff/../..//evil.example", "/staff//evil.example", "/./\\evil.example", "//evil.example/staff/cases",
    "/staff/cases\r\nSet-Cookie: a=b", "/staff/cases?x=\r\nSet-Cookie: a=b", "/static/https://evil.example",
    "@evil.example", "//127.0.0.1:8000@evil.example/", "/staff/cases#//evil.example", "\u2215\u2215evil.example", "x" * 5000,
    "/staff/cases?" + "x" * 5000, "/staff/cases/\x00",
]  # fmt: skip


def test_no_way_of_writing_the_next_page_leaves_this_site(people, app, moment):
    """One sign-in each; the counters forget between them."""
    for to in ELSEWHERE:
        pages = Pages(app)
        pages.get("/staff/sign-in")
        answer = pages.post("/staff/sign-in", {"email": people.adviser.email, "password": PASSWORD, "to": to})
        where = answer.headers["Location"]
        assert where.startswith("/"), to
        assert not where.startswith(("//", "/\\")), to
        assert not set(where) & set("\r\n\t\\"), to
        assert (urlsplit(where).scheme, urlsplit(where).netloc) == ("", ""), to
        assert answer.headers.getlist("Set-Cookie"), to
        assert not [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("a=")], to
        moment.shift(timedelta(minutes=5))


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\t/evil.example", "/\\evil.example"])
def test_the_language_button_never_leaves_this_site_either(pages, to):
    pages.get("/staff/sign-in")
    answer = pages.post("/staff/language", {"lang": "en", "to": to})
    assert answer.headers["Location"] == "/staff/sign-in"
