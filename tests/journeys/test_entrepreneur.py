"""An entrepreneur asks to talk with the team, from the home page to the acknowledgement: with and without script,
by hand and by keyboard, on one device and two."""

import re
import uuid

import pytest
from playwright.sync_api import expect

from crm.intake.forms import PAGES
from tests.journeys.conftest import TWO
from tests.journeys.site import Wire, Words, body_of, plain
from tests.support.asking import CHECK, START, address
from tests.support.server import poll

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

REFERENCE = re.compile(r"PCC-\w{4}-\w{4}")
RECEIVED = re.compile("/recue/|/received/")
NAME = "Zoé « L’Érable » O’Neil-Bélanger & fils <b>"
TEXT = "Une plateforme de livraison\nqui appartient aux livreuses et aux livreurs.\n\nÀ suivre… 100 % coop"
# What the person typed: without the token and what the draft knows of this window (`_tab`, `_seen`: new on each page).
TYPED = """() => [...new FormData(document.querySelector("form#request"))]
    .filter(([name]) => name !== "csrf_token" && !name.startsWith("_"))"""
# Each thing a person can reach: a link, a button, a field, one of each group of radio buttons.
REACHABLE = """() => {
  const groups = new Set()
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(e => {
    if (e.tabIndex < 0 || e.type === "hidden" || e.disabled || !e.getClientRects().length) return false
    if (e.type !== "radio") return true
    return groups.has(e.name) ? false : groups.add(e.name)
  }).length
}"""


def answers(email: str, preferred: str) -> dict[str, dict]:
    """What is answered on each page: radios and boxes, texts, lists."""
    return {
        "you": {"lang_pref": preferred, "contact_role": "behalf", "behalf_known": "yes", "#contact_name": NAME},
        "reach": {"contact_mode": "email", "#email": email, "#phone": "514 555-0142, poste 12", "availability": "am",
                  "#arrangements": "Sous-titrage"},
        "project": {"#description": TEXT, "#project_name": "Les Livreuses unies", "sector": "other",
                    "#sector_other": "Épluchage", "stage": "idea"},
        "form": {"legal_form": "coop", "coop_type": "coop_work", "incorporated": "yes", "#neq": "11 6000-0000"},
        "territory": {">region": "06", ">locality": "verdun", "team_size": "3_4"},
        "needs": {"needs": "funding", "funding_band": "10k_49k", "supports": "cdrq", "heard": "web"},
        "choices": {"newsletter": "yes"},
    }  # fmt: skip


def fill(visit, given: dict[str, str]) -> None:
    for name, value in given.items():
        if name.startswith("#"):
            visit.page.locator(name).fill(value)
        elif name.startswith(">"):
            visit.page.locator(f'select[name="{name[1:]}"]').select_option(value)
        else:
            visit.page.locator(f'input[name="{name}"][value="{value}"]').check()


def go_on(visit) -> None:
    """The yellow button of the page."""
    visit.page.locator("main .button--main").click()


def begin(visit, lang: str) -> None:
    visit.site.forget_tries()
    visit.go(START[lang])
    go_on(visit)
    assert visit.page.url.endswith(address("you", lang))


def fill_all(visit, lang: str, email: str, preferred: str = "") -> None:
    for page, given in answers(email, preferred or lang).items():
        assert visit.page.url.endswith(address(page, lang)), visit.page.url
        fill(visit, given)
        go_on(visit)
        if visit.page.url.endswith("/documents"):  # where the programme takes some: never needed
            go_on(visit)
    assert visit.page.url.endswith(CHECK[lang])


def some_email(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}@exemple.ca"


def switch(visit, to: str) -> None:
    visit.button({"fr": "Français", "en": "English"}[to]).click()
    expect(visit.page.locator("html")).to_have_attribute("lang", f"{to}-CA")


def test_asks_to_talk(visit, setting, site, post):
    w, page, lang = visit.w, visit.page, setting.lang
    site.forget_tries()
    visit.go("/")
    assert page.url == f"{site.base}/fr/"
    visit.check("home", lang="fr")
    if lang == "en":
        visit.link("English").click()
        visit.check("home")
    visit.link(w.text("intake.home.button")).first.click()
    assert page.url == site.base + START[lang]
    visit.check("start")
    go_on(visit)

    email = some_email("zoe")
    titles = set()
    for code, given in answers(email, lang if setting.width == 360 else "either").items():
        visit.check(f"ask-{code}")
        if code != "choices":
            go_on(visit)
            _is_told_what_is_missing(visit, w)
        fill(visit, given)
        before = page.evaluate(TYPED)
        switch(visit, setting.other)
        assert page.url == site.base + address(code, setting.other)
        assert page.evaluate(TYPED) == before
        switch(visit, lang)
        assert page.evaluate(TYPED) == before
        visit.check(f"ask-{code}-filled")
        titles.add(page.title())
        go_on(visit)
    assert len(titles) == len(PAGES), "two pages have the same title"

    assert page.url == site.base + CHECK[lang]
    visit.check("ask-check")
    for said in (NAME, email, "Les Livreuses unies", "Épluchage", "Verdun", "CDRQ"):
        visit.says(said)
    visit.link(re.compile(re.escape(w.text("intake.section.project")))).click()
    page.locator("#project_name").fill("Les Livreuses réunies")
    page.locator("#project_name").press("Enter")
    page.wait_for_url(site.base + CHECK[lang])
    visit.says("Les Livreuses réunies")
    go_on(visit)
    page.wait_for_url(RECEIVED)
    visit.check("received")
    reference = REFERENCE.search(page.locator(".receipt").inner_text())[0]
    visit.says(email)
    assert re.search(r"20\d\d", page.locator("main").inner_text()), "no date on the confirmation"
    visit.link({"fr": "English", "en": "Français"}[lang]).click()
    visit.says(reference)
    visit.check(lang=setting.other)
    visit.back()

    page.emulate_media(media="print")
    for hidden in page.locator(".no-print, .lang, .skip").all():
        expect(hidden).to_be_hidden()
    expect(page.locator(".receipt .ref")).to_be_visible()
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    visit.picture("received-print")
    assert page.pdf().count(b"/Type /Page\n") <= 1

    site.send_due()
    (mail,) = post.to(email)
    assert plain(mail["Subject"]) == w.text("intake.mail.received.subject", reference=reference)
    said = body_of(mail)
    assert NAME in said
    assert w.text("intake.mail.received.body").splitlines()[2] in said


def _is_told_what_is_missing(visit, w) -> None:
    page = visit.page
    assert visit.status == 422
    summary = page.locator(".error-summary")
    expect(summary).to_be_focused()
    assert plain(page.title()).startswith(w("Error:"))
    visit.check()
    links = summary.get_by_role("link")
    assert links.count() >= 1
    for place in range(links.count()):
        target = links.nth(place).get_attribute("href").removeprefix("#")
        links.nth(place).click()
        expect(page.locator(f"#{target}")).to_be_focused()
        assert visit.focus()["onScreen"], target
        beside = page.locator(f"#{target}-error")
        assert plain(links.nth(place).inner_text()) in plain(beside.inner_text())


@in_two_settings
def test_without_script_the_whole_request_is_the_same(window, setting, site):
    visit = window(site, setting.lang, setting.width, javascript=False)
    begin(visit, setting.lang)
    email = some_email("sans")
    fill_all(visit, setting.lang, email)
    go_on(visit)
    visit.page.wait_for_url(RECEIVED)
    assert site.sql("SELECT count(*) FROM contact WHERE email = :email", email=email) == [(1,)]


@in_two_settings
def test_pressing_twice_or_going_back_makes_one_request(visit, setting, site):
    begin(visit, setting.lang)
    email = some_email("deux")
    fill_all(visit, setting.lang, email)
    visit.page.locator("main #request .button--main").dblclick(no_wait_after=True)
    expect(visit.page).to_have_url(RECEIVED)
    reference = visit.page.locator(".receipt .ref").inner_text()
    visit.page.reload()
    visit.back()
    expect(visit.page).to_have_url(RECEIVED)
    expect(visit.page.locator(".receipt .ref")).to_have_text(reference)
    assert site.sql("SELECT count(*) FROM contact WHERE email = :email", email=email) == [(1,)]


@in_two_settings
def test_back_and_forward_lose_nothing(visit, setting):
    begin(visit, setting.lang)
    given = answers("nord@exemple.ca", setting.lang)
    fill(visit, given["you"])
    go_on(visit)
    visit.page.locator("#email").fill("à moitié")
    visit.button(visit.w.text("intake.form.back")).click()
    assert visit.page.url.endswith(address("you", setting.lang))
    expect(visit.page.locator("#contact_name")).to_have_value(NAME)
    go_on(visit)
    expect(visit.page.locator("#email")).to_have_value("à moitié")
    expect(visit.page.locator(".error-summary")).to_have_count(0)


@in_two_settings
def test_what_is_typed_is_kept_without_pressing_anything(window, setting, site):
    visit = window(site, setting.lang, setting.width)
    begin(visit, setting.lang)
    visit.page.locator("#contact_name").press_sequentially("Zoé")
    expect(visit.page.locator(".saved")).to_have_text(visit.w.text("intake.form.saved"), use_inner_text=False)
    visit.go(address("you", setting.lang))
    expect(visit.page.locator("#contact_name")).to_have_value("Zoé")
    # What was typed a moment ago goes along when the window goes elsewhere.
    visit.page.locator("#contact_name").fill("Zoé B.")
    visit.go("/fr/")

    def came_along():  # it leaves with the window, and may reach the server after the next page was asked for
        visit.go(address("you", setting.lang))
        return visit.page.locator("#contact_name").input_value() == "Zoé B."

    poll(came_along, "what was typed a moment ago")


def test_a_lost_network_is_told_and_what_was_typed_leaves_when_it_is_back(window, site_on_sqlite):
    wire = Wire(site_on_sqlite)
    visit = window(wire.site, "fr", 360)
    begin(visit, "fr")
    visit.page.wait_for_load_state()
    visit.loses_network = True
    wire.lose()
    visit.page.locator("#contact_name").fill("Zoé")
    expect(visit.page.locator(".saved")).to_have_text(visit.w.text("intake.form.not_saved"), use_inner_text=False)
    wire.find()
    expect(visit.page.locator(".saved")).to_have_text(visit.w.text("intake.form.saved"), use_inner_text=False)
    visit.go(address("you"))
    expect(visit.page.locator("#contact_name")).to_have_value("Zoé")
    wire.close()


@in_two_settings
def test_the_request_goes_on_elsewhere_by_code_and_by_link(visit, window, setting, site, post):
    lang = setting.lang
    begin(visit, lang)
    given = answers("x@exemple.ca", lang)
    fill(visit, given["you"])
    go_on(visit)
    fill(visit, given["reach"])
    visit.button(visit.w.text("intake.form.later")).click()
    visit.page.wait_for_url(re.compile("/plus-tard|/later"))
    visit.check("later")
    code = visit.page.locator(".receipt .ref").inner_text()
    email = some_email("appareil")
    visit.page.locator("#email").fill(email)
    visit.page.locator("#email").press("Enter")
    visit.says(email)

    second = window(site, lang, setting.width)
    second.go(START[lang])
    second.link(second.w.text("intake.form.elsewhere")).click()
    second.page.wait_for_url(re.compile("/reprendre|/resume"))
    second.check("resume")
    second.page.locator("#code").fill(code.lower())
    second.button(second.w.text("intake.resume.go")).last.click()
    assert second.page.url.endswith(address("project", lang))
    fill(second, given["project"])
    go_on(second)

    site.send_due()
    (mail,) = post.to(email)
    link = re.search(r"http://\S+", body_of(mail))[0]
    third = window(site, lang, setting.width)
    third.go(link.removeprefix(site.base))
    third.check("resume-link")
    third.button(third.w.text("intake.resume.go")).click()
    assert third.page.url.endswith(address("form", lang))
    third.go(address("project", lang))
    expect(third.page.locator("#description")).to_have_value(TEXT)


def test_the_keyboard_alone_reaches_everything_and_sees_where_it_is(visit, setting):
    begin(visit, setting.lang)
    page = visit.page
    for code in ("you", "reach", "needs"):
        visit.go(address(code, setting.lang))
        wanted = page.evaluate(REACHABLE)
        first = visit.tab()
        assert first["text"] == visit.w("Skip to content")
        assert first["onScreen"]
        seen = [first]
        while (now := visit.tab()) is not None:
            assert len(seen) <= wanted, f"the keyboard is caught at {now}"
            seen.append(now)
        assert len(seen) == wanted, [one["name"] or one["text"] for one in seen]
        for one in seen:
            assert one["outlined"], f"the focus cannot be seen on {one}"
            assert one["onScreen"], f"hidden while it has the focus: {one}"
    page.evaluate("() => scrollTo(0, 0)")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert visit.tab()["inMain"]


def test_the_keyboard_alone_sends_the_request(visit, setting, site):
    page, lang = visit.page, setting.lang
    email = some_email("clavier")
    site.forget_tries()
    visit.go(START[lang])
    _press(visit, visit.w.text("intake.form.start"))
    for code, given in answers(email, lang).items():
        page.wait_for_url(site.base + address(code, lang))
        texts = {name[1:]: value for name, value in given.items() if name[0] == "#"}
        picked = {name.lstrip(">"): value for name, value in given.items() if name[0] != "#"}
        _answer_by_keyboard(visit, texts, picked, visit.w.text("intake.form.next"))
    page.wait_for_url(site.base + CHECK[lang])
    _press(visit, visit.w.text("intake.form.send"))
    page.wait_for_url(RECEIVED)
    ((kept,),) = site.sql(
        "SELECT project.description FROM project JOIN case_file ON case_file.project_id = project.id "
        "JOIN contact ON contact.id = case_file.contact_id WHERE contact.email = :email", email=email,
    )  # fmt: skip
    assert kept == TEXT


def _press(visit, button: str) -> None:
    for _ in range(60):
        at = visit.tab()
        if at and at["tag"] == "BUTTON" and plain(at["text"]) == button and at["inMain"]:
            visit.page.keyboard.press("Enter")
            return
    raise AssertionError(f"no button {button}")


def _answer_by_keyboard(visit, texts: dict, picked: dict, button: str) -> None:
    page, done = visit.page, set()
    for _ in range(150):
        at = visit.tab()
        name, kind = at["name"], at["type"]
        if kind == "radio" and name in picked and name not in done:
            page.keyboard.press("Space")
            for _ in range(30):
                if visit.focus()["value"] == picked[name]:
                    break
                page.keyboard.press("ArrowDown")
            assert visit.focus()["checked"], name
            done.add(name)
        elif kind == "checkbox" and picked.get(name) == at["value"]:
            page.keyboard.press("Space")
        elif at["tag"] == "SELECT" and name in picked:
            for _ in range(40):
                if visit.focus()["value"] == picked[name]:
                    break
                page.keyboard.press("ArrowDown")
        elif at["tag"] in {"INPUT", "TEXTAREA"} and texts.get(name):
            for place, line in enumerate(texts[name].split("\n")):
                if place:
                    page.keyboard.press("Enter")
                page.keyboard.insert_text(line)
        elif at["tag"] == "BUTTON" and plain(at["text"]) == button and at["inMain"]:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"no button {button}")


@in_two_settings
def test_a_wrong_answer_is_said_in_the_language_of_the_page_and_of_the_other(visit, setting):
    begin(visit, setting.lang)
    visit.go(address("reach", setting.lang))
    fill(visit, {"contact_mode": "email", "#email": "zoe@", "#phone": "12"})
    go_on(visit)
    visit.says(visit.w.text("intake.question.email.wrong"))
    visit.says(visit.w.text("intake.question.phone.wrong"))
    expect(visit.page.locator("#email")).to_have_value("zoe@")
    expect(visit.page.locator("#email")).to_have_attribute("aria-invalid", "true")
    visit.check("wrong")
    other = Words(setting.other)
    assert other.text("intake.question.email.wrong") not in visit.page.content()
    switch(visit, setting.other)
    visit.says(other.text("intake.question.email.wrong"))
    visit.says(other.text("intake.question.phone.wrong"))
    assert visit.w.text("intake.question.email.wrong") not in visit.page.content()


def test_a_question_shows_when_an_answer_calls_for_it(window, site_on_sqlite):
    visit = window(site_on_sqlite, "fr", 360, javascript=False)
    begin(visit, "fr")
    calls = {
        "you": ("#behalf_known", {"contact_role": "behalf"}), "project": ("#sector_other", {"sector": "other"}),
        "form": ("#neq", {"incorporated": "yes"}), "territory": ("#locality", {">region": "06"}),
        "needs": ("#funding_band", {"needs": "funding"}),
    }  # fmt: skip
    for code, (asked, calling) in calls.items():
        visit.go(address(code))
        expect(visit.page.locator(asked)).to_be_hidden()
        fill(visit, calling)
        expect(visit.page.locator(asked)).to_be_visible()
