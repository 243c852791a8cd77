"""Unfinished requests: kept a week, on any device, sealed; nothing that was sent or typed is lost."""

import json
import re
import string
from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from crm import clock
from crm.cases.models import Case
from crm.formats import suggested_email
from crm.forms import clean
from crm.i18n import speaking
from crm.intake import drafts
from crm.intake.forms import PAGES, read
from crm.intake.models import Draft, Request
from crm.links.models import Link
from crm.links.services import token as token_of
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.sealing import seal, unseal
from crm.texts import pair
from tests.support.asking import CHECK, START, address, ask, begin, fill, own
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words
from tests.support.typed import forms_of

CODE = re.compile(r"(?:\d[A-Z]){2}(?:-(?:\d[A-Z]){2}){2}")
LATER = {"fr": "/fr/demande/plus-tard", "en": "/en/request/later"}
RESUME = {"fr": "/fr/demande/reprendre", "en": "/en/request/resume"}


def kept(pages, page: str, lang: str = "fr") -> dict[str, list[str]]:
    body = pages.get(address(page, lang)).text
    shown = next(values for action, values in forms_of(body) if action == address(page, lang))
    return {name: values for name, values in shown.items() if name not in {"csrf_token", "check"}}


def code_on_screen(pages, lang="fr") -> str:
    return CODE.search(words(pages.get(LATER[lang]).text))[0]


def days_from_now(days: float):
    return time_machine.travel(clock.now() + timedelta(days=days), tick=False)


# --- at rest ---------------------------------------------------------------------------------------------------------


def test_what_is_typed_lies_sealed_and_the_cookie_is_not_in_the_database(pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("you", "reach"))
    cookie = pages.client.get_cookie("draft", domain="127.0.0.1").value
    code = code_on_screen(pages)
    row = session.execute(text("SELECT * FROM draft")).one()
    stored = " ".join(str(bytes(one) if isinstance(one, memoryview) else one) for one in row)
    for secret in ("Nadia", "nadia@", "Benali", cookie, code, code.replace("-", "")):
        assert secret not in stored


def test_a_seal_opens_only_in_its_own_row_and_unchanged(session):
    sealed = seal("Zoé 💡", "draft 1")
    assert unseal(sealed, "draft 1") == "Zoé 💡"
    assert unseal(sealed, "draft 2") is None
    assert unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "draft 1") is None
    assert unseal(b"", "draft 1") is None
    assert seal("Zoé 💡", "draft 1") != sealed


def test_the_cookie_can_be_read_by_no_script_and_lasts_seven_days(pages, session):
    answer = begin(pages)
    (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("draft=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=604800" in cookie


# --- seven days ------------------------------------------------------------------------------------------------------


def test_a_draft_lives_seven_days_from_its_last_save_and_is_then_destroyed(app, pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("you",))
    drafts.mail_link(session.scalars(select(Draft)).one(), "zoe@exemple.ca", "fr")
    session.commit()
    with days_from_now(6):
        assert kept(pages, "you")["contact_name"] == [ANSWERS["contact_name"]]
        fill(pages, ANSWERS, only=("reach",))
    with days_from_now(12.9):
        assert drafts.destroy_old() == 0
        assert kept(pages, "reach")["email"] == [ANSWERS["email"]]
    with days_from_now(13.1):
        assert pages.get(address("you"), 303).headers["Location"] == START["fr"]
        said = pair("intake.refusal.lost")["fr"].split(".")[0]
        assert said in words(pages.get(START["fr"]).text)
        session.commit()
        assert drafts.destroy_old() == 1
        session.commit()
    for model in (Draft, Link, Message):
        assert session.scalar(select(func.count()).select_from(model)) == 0, model


def test_the_worker_destroys_old_drafts(app):
    assert drafts.destroy_old in [job.run for job in app.extensions["features"]["jobs"]]


def test_a_draft_that_was_sent_keeps_no_letter(pages, people, session):
    ask(pages, ANSWERS)
    draft = session.scalars(select(Draft)).one()
    assert draft.sealed == b""
    assert draft.request_id == session.scalars(select(Request.id)).one()


# --- forged, and somebody else's -------------------------------------------------------------------------------------


def test_a_forged_cookie_opens_nothing_and_says_the_same_as_an_expired_one(app, pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("you",))
    genuine = pages.client.get_cookie("draft", domain="127.0.0.1").value
    key, _, signature = genuine.rpartition(".")
    other = Pages(app)
    begin(other)
    other_key = other.client.get_cookie("draft", domain="127.0.0.1").value.rpartition(".")[0]
    for forged in (f"{key}.{signature[::-1]}", f"{other_key}.{signature}", key, "x", "é", genuine + "x", "." * 500):
        stranger = Pages(app)
        stranger.client.set_cookie("draft", forged, domain="127.0.0.1")
        assert stranger.get(address("you"), 303).headers["Location"] == START["fr"]
        assert "Nadia" not in stranger.get(START["fr"]).text


# --- another device --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_code_on_screen_opens_the_request_elsewhere(app, pages, session, lang):
    begin(pages, lang)
    fill(pages, ANSWERS, lang, only=("you", "reach"))
    code = code_on_screen(pages, lang)
    for typed in (code, code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
        other = Pages(app)
        other.get(RESUME[lang])
        there = other.post(RESUME[lang], {"code": typed})
        assert there.headers["Location"] == address("project", lang)
        assert kept(other, "you", lang)["contact_name"] == [ANSWERS["contact_name"]]
        session.execute(text("DELETE FROM rate_count"))
    # Both devices hold it: what one writes the other reads.
    fill(other, ANSWERS | {"project_name": "Écrit là-bas"}, lang, only=("project",))
    assert kept(pages, "project", lang)["project_name"] == ["Écrit là-bas"]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_wrong_code_is_said_and_guessing_is_stopped(app, pages, session, lang):
    begin(pages, lang)
    stranger = Pages(app)
    with speaking(lang):
        wrong = pair("intake.resume.unknown")[lang]
    for _ in range(10):
        stranger.get(RESUME[lang])
        answer = stranger.post(RESUME[lang], {"code": "2B2B-2B2B-2B2B"}, status=422)
        assert wrong in words(answer.text)
    stranger.get(RESUME[lang])
    answer = stranger.post(RESUME[lang], {"code": code_on_screen(pages, lang)}, status=429)
    assert answer.headers["Retry-After"] == "300"
    assert "aria-invalid" in answer.text


def test_the_mailed_link_opens_the_request_after_one_press_and_reading_it_changes_nothing(app, pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("you",))
    pages.get(LATER["fr"])
    pages.post(LATER["fr"], {"email": " zoe@exemple.ca "})
    message = session.scalars(select(Message)).one()
    assert (message.to_address, message.language) == ("zoe@exemple.ca", "fr")
    token = token_of(session.scalars(select(Link)).one())
    assert token not in message.body
    before = session.execute(text("SELECT saved_at, sealed FROM draft")).one()
    scanner = Pages(app)
    for _ in range(3):
        scanner.get(f"{RESUME['fr']}/{token}")
        assert scanner.client.head(f"{RESUME['fr']}/{token}", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert scanner.client.get_cookie("draft", domain="127.0.0.1") is None
    assert session.execute(text("SELECT saved_at, sealed FROM draft")).one() == before
    for _ in range(2):  # twice: a second device, and a third
        other = Pages(app)
        other.get(f"{RESUME['fr']}/{token}")
        assert other.post(f"{RESUME['fr']}/{token}").headers["Location"] == address("reach")
        assert kept(other, "you")["contact_name"] == [ANSWERS["contact_name"]]


def test_a_newer_link_replaces_the_older_and_a_dead_one_says_so(app, pages, session):
    begin(pages)
    draft = session.scalars(select(Draft)).one()
    drafts.mail_link(draft, "zoe@exemple.ca", "fr")
    drafts.mail_link(draft, "zoe@exemple.ca", "fr")
    session.commit()
    first, second = (token_of(link) for link in session.scalars(select(Link).order_by(Link.id)))
    dead = words(Pages(app).get(f"{RESUME['fr']}/{first}", 404).text)
    assert dead == words(Pages(app).get(f"{RESUME['fr']}/9-forged", 404).text)
    Pages(app).get(f"{RESUME['fr']}/{second}")
    other = Pages(app)
    other.get(START["fr"])
    other.post(f"{RESUME['fr']}/{first}", status=404)


def test_a_link_to_a_request_that_was_sent_meanwhile_leads_to_its_confirmation(app, pages, people, session):
    begin(pages)
    drafts.mail_link(session.scalars(select(Draft)).one(), "zoe@exemple.ca", "fr")
    session.commit()
    token = token_of(session.scalars(select(Link)).one())
    fill(pages, ANSWERS)
    pages.get(CHECK["fr"])
    where = pages.post(CHECK["fr"]).headers["Location"]
    other = Pages(app)
    other.get(f"{RESUME['fr']}/{token}")
    assert other.post(f"{RESUME['fr']}/{token}").headers["Location"] == where


def test_mail_asked_for_too_often_is_refused_and_the_code_still_serves(pages, session):
    begin(pages)
    for _ in range(3):
        pages.get(LATER["fr"])
        pages.post(LATER["fr"], {"email": "zoe@exemple.ca"})
    pages.get(LATER["fr"])
    refused = pages.post(LATER["fr"], {"email": "ZOE@exemple.ca"}, status=429)
    assert CODE.search(words(refused.text))
    assert session.scalar(select(func.count(Message.id))) == 3


def test_the_mail_leaves_with_its_link_and_not_once_the_draft_is_gone(app, pages, session, tmp_path):
    begin(pages)
    draft = session.scalars(select(Draft)).one()
    drafts.mail_link(draft, "zoe@exemple.ca", "fr")
    session.commit()
    with days_from_now(7.5):
        send_due()
        session.expire_all()
        assert session.scalars(select(Message)).one().status is Status.DROPPED


def test_resuming_where_another_request_is_under_way_tells_its_code(app, pages, session):
    begin(pages)
    drafts.mail_link(session.scalars(select(Draft)).one(), "zoe@exemple.ca", "fr")
    session.commit()
    token = token_of(session.scalars(select(Link)).one())
    other = Pages(app)
    begin(other)
    its_code = code_on_screen(other)
    assert its_code in words(other.get(f"{RESUME['fr']}/{token}").text)


# --- beginning -------------------------------------------------------------------------------------------------------


def test_pressing_start_twice_makes_one_draft_and_another_can_be_begun_on_purpose(pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("you",))
    pages.get(START["fr"])
    assert pages.post(START["fr"]).headers["Location"] == address("reach")
    assert session.scalar(select(func.count(Draft.id))) == 1
    pages.get(START["fr"])
    assert pages.post(START["fr"], {"fresh": "1"}).headers["Location"] == address("you")
    assert session.scalar(select(func.count(Draft.id))) == 2
    assert "contact_name" not in kept(pages, "you") or kept(pages, "you")["contact_name"] == [""]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_network_that_begins_too_many_drafts_is_told_to_wait(app, pages, session, lang):
    pages.get(START[lang])
    for _ in range(60):
        pages.post(START[lang], {"fresh": "1"})
        pages.get(START[lang])
    answer = pages.post(START[lang], {"fresh": "1"}, status=429)
    assert answer.headers["Retry-After"]
    assert session.scalar(select(func.count(Draft.id))) == 60


def test_a_page_without_a_draft_leads_to_the_beginning(app, session):
    for lang in ("fr", "en"):
        for page in (*PAGES, "check"):
            assert Pages(app).get(address(page, lang), 303).headers["Location"] == START[lang]
        assert Pages(app).get(LATER[lang], 303).headers["Location"] == START[lang]
    assert session.scalar(select(func.count(Draft.id))) == 0


# --- saving while one types ------------------------------------------------------------------------------------------


def test_the_script_saves_only_what_was_changed_in_its_own_tab(pages, session):
    begin(pages)
    fill(pages, ANSWERS, only=("project",))
    pages.get(address("project"))
    pages.post(address("project"), {"_save": "project_name", "project_name": "Nouveau nom"}, status=204)
    # A stale tab sends what it holds, but only for what was changed there.
    stale = {"_save": "stage", "stage": "planning", "project_name": "Vieux nom", "description": "Vieux texte"}
    pages.get(address("project"))
    pages.post(address("project"), stale, status=204)
    shown = kept(pages, "project")
    assert (shown["project_name"], shown["stage"]) == (["Nouveau nom"], ["planning"])
    assert shown["description"] == [ANSWERS["description"]]
    assert "error-summary" not in pages.last.text, "saving while one types judges nothing"


def test_the_script_is_told_when_there_is_nothing_to_save_into(app, pages, people, session):
    stranger = Pages(app)
    stranger.get(START["fr"])
    stranger.post(address("you"), {"_save": "contact_name", "contact_name": "Zoé"}, status=410)
    assert session.scalar(select(func.count(Draft.id))) == 0
    ask(pages, ANSWERS)
    pages.post(address("you"), {"_save": "contact_name", "contact_name": "Zoé"}, status=410)


# --- properties ------------------------------------------------------------------------------------------------------

LETTERS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=("Cc", "Cs")), max_size=40
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.sampled_from(list(PAGES)), st.booleans(), LETTERS),
        st.tuples(st.just("switch"), st.sampled_from(list(PAGES)), LETTERS),
        st.tuples(st.just("back"), st.sampled_from(list(PAGES)), LETTERS),
        st.tuples(st.just("save"), st.sampled_from(list(PAGES)), LETTERS),
        st.tuples(st.just("jump"), st.sampled_from([*PAGES, "check"])),
        st.tuples(st.just("send")),
    ),
    min_size=1,
    max_size=9,
)
TEXT_OF = {
    "you": "contact_name", "reach": "arrangements", "project": "project_name", "form": "neq", "territory": "region",
    "needs": "supports_other", "choices": "newsletter",
}  # fmt: skip


class Model:
    """What a person would expect: each page holds what was last typed there; a right whole is sent, once."""

    def __init__(self) -> None:
        self.typed: dict[str, list[str]] = {}
        self.sent = 0

    def put(self, page: str, values: dict, only=None) -> None:
        for name in PAGES[page].questions():
            if only and name != only:
                continue
            value = values.get(name, [])
            found = value if isinstance(value, list) else [value]
            if any(found):
                self.typed[name] = found
            else:
                self.typed.pop(name, None)


@given(steps=STEPS, right=st.booleans())
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_one_does_each_page_holds_what_was_last_typed_there(app, people, session, steps, right):
    session.execute(text("DELETE FROM rate_count"))
    before = session.scalar(select(func.count(Case.id)))
    pages, model, lang = Pages(app), Model(), "fr"
    begin(pages)
    if right:
        fill(pages, ANSWERS)
        for page in PAGES:
            model.put(page, own(page, ANSWERS))
    for step in steps:
        if model.sent:
            break
        lang = _do(pages, model, lang, *step)
    if not model.sent:
        for page in PAGES:
            shown = kept(pages, page, lang)
            for name in PAGES[page].questions():
                wanted = [one for one in model.typed.get(name, []) if _choosable(name, one)]
                if name in ("region", "newsletter"):
                    continue
                assert [one.strip() for one in shown.get(name, []) if one] == [
                    one for one in map(_as_shown, wanted) if one
                ], (page, name)
    session.expire_all()
    assert session.scalar(select(func.count(Case.id))) - before == model.sent


def _do(pages, model, lang, what, page="", *rest):
    other = {"fr": "en", "en": "fr"}[lang]
    if what == "fill":
        values = own(page, ANSWERS) | ({} if rest[0] else {TEXT_OF[page]: rest[1]})
        pages.get(address(page, lang))
        answer = pages.client.post(
            address(page, lang), data=values | {"csrf_token": pages.token()}, headers={"Host": "127.0.0.1:8000"}
        )
        assert answer.status_code in {303, 422}
        model.put(page, values)
    elif what in {"switch", "back"}:
        values = own(page, ANSWERS) | {TEXT_OF[page]: rest[0]}
        pages.get(address(page, lang))
        pages.post(address(page, lang), values | ({"_lang": other} if what == "switch" else {"_back": "1"}))
        model.put(page, values)
        lang = other if what == "switch" else lang
    elif what == "save":
        pages.get(address(page, lang))
        pages.post(address(page, lang), {"_save": TEXT_OF[page], TEXT_OF[page]: rest[0]}, status=204)
        model.put(page, {TEXT_OF[page]: rest[0]}, only=TEXT_OF[page])
    elif what == "jump":
        pages.get(address(page, lang))
    else:
        pages.get(CHECK[lang])
        with pages.client.application.app_context(), speaking(lang):
            valid = read(model.typed).valid
        pages.post(CHECK[lang], status=303 if valid else 422)
        model.sent += valid
    return lang


def _as_shown(value: str) -> str:
    return str(clean(value)).strip()


def _choosable(name: str, value: str) -> bool:
    return name in {"contact_name", "arrangements", "project_name", "neq", "supports_other", "email", "phone",
                    "description", "sector_other"} or value in json.dumps(ANSWERS)  # fmt: skip


def test_the_suggestion_for_an_address_is_never_wilder_than_one_slip():
    assert suggested_email("a@gmail.com") is None
    assert suggested_email("a@exemple.ca") is None
    assert suggested_email("") is None
    assert suggested_email("a@gmail.co") == "a@gmail.com"
    assert suggested_email("a@gmaill.com") == "a@gmail.com"
    assert suggested_email("a@gnail.com") == "a@gmail.com"
    assert suggested_email("a@vidoetron.ca") == "a@videotron.ca"
    for sign in string.punctuation:
        assert suggested_email(f"a@{sign}{sign}") is None


# --- two windows -----------------------------------------------------------------------------------------------------


def shown_in(pages, page, lang="fr"):
    """A window: the page's form as it was drawn, to be sent later."""
    body = pages.get(address(page, lang)).text
    return next(values for action, values in forms_of(body) if action == address(page, lang))


def sent_from(pages, page, window, lang="fr", status=303, **typed):
    return pages.post(address(page, lang), window | {name: value for name, value in typed.items()}, status=status)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_stale_window_takes_nothing_back_that_it_left_alone(pages, people, session, lang):
    begin(pages, lang)
    fill(pages, ANSWERS, lang, only=("project",))
    stale = shown_in(pages, "project", lang)
    sent_from(
        pages,
        "project",
        shown_in(pages, "project", lang),
        lang,
        description="Une description plus longue, écrite ailleurs.",
    )
    answer = sent_from(pages, "project", stale, lang, project_name="Nom donné dans l’autre fenêtre")
    assert answer.headers["Location"] == address("form", lang)
    now = shown_in(pages, "project", lang)
    assert now["description"] == ["Une description plus longue, écrite ailleurs."]
    assert now["project_name"] == ["Nom donné dans l’autre fenêtre"]


@pytest.mark.parametrize("button", [{}, {"_back": "1"}, {"_later": "1"}, {"_lang": "en"}])
def test_an_answer_changed_in_two_windows_is_shown_before_one_leaves_and_neither_is_lost(
    pages, people, session, button
):
    begin(pages)
    fill(pages, ANSWERS, only=("project",))
    first, second = shown_in(pages, "project"), shown_in(pages, "project")
    sent_from(
        pages, "project", first, description="Ce que la première fenêtre contient, <b>en entier</b>.", sector="food"
    )
    answer = sent_from(
        pages, "project", second, status=409, description="Ce que la seconde fenêtre contient, tout autant.", **button
    )
    said = words(answer.text)
    assert "Ce que la première fenêtre contient, <b>en entier</b>." in said
    assert "Ce que la seconde fenêtre contient, tout autant." in answer.text
    now = shown_in(pages, "project")
    assert now["description"] == ["Ce que la seconde fenêtre contient, tout autant."]
    assert now["sector"] == ["food"]
    again = next(values for action, values in forms_of(answer.text) if action == address("project"))
    sent_from(pages, "project", again, **button)


def test_one_window_is_never_told_of_itself(pages, people, session):
    """What its own script saved, the back button, a refresh, and other line ends are not another window."""
    begin(pages)
    fill(pages, ANSWERS, only=("project",))
    window = shown_in(pages, "project")
    in_passing = {
        "_save": "description",
        "_tab": window["_tab"],
        "description": "Une première\nversion, enregistrée en passant.",
    }
    pages.post(address("project"), in_passing, status=204)
    sent_from(pages, "project", window, description="Une deuxième\r\nversion, envoyée par le bouton.")
    sent_from(pages, "project", window, description="Une troisième\r\nversion, après le bouton Précédent.")
    fresh = shown_in(pages, "project")
    sent_from(pages, "project", fresh)
    assert shown_in(pages, "project")["description"][0].startswith("Une troisième")


@pytest.mark.parametrize("seen", ["", "x", "a b", "00000000 " * 40, "\x00"])
def test_marks_that_mean_nothing_lose_nothing(pages, people, session, seen):
    begin(pages)
    fill(pages, ANSWERS, only=("project",))
    window = shown_in(pages, "project")
    answer = pages.post(address("project"), window | {"_seen": seen, "_tab": "x" * 5000, "project_name": "Gardé"})
    assert answer.headers["Location"] == address("form")
    assert shown_in(pages, "project")["project_name"] == ["Gardé"]


def test_a_forged_mark_shows_the_page_again_at_most(pages, people, session):
    begin(pages)
    fill(pages, ANSWERS, only=("project",))
    window = shown_in(pages, "project")
    forged = " ".join("00000000" for _ in window["_seen"][0].split())
    answer = pages.post(
        address("project"), window | {"_seen": forged, "_tab": "autre", "project_name": "Gardé"}, status=409
    )
    assert "Gardé" in answer.text
