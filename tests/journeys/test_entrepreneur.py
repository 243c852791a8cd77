"""An entrepreneur asks to talk with the team, from the home page to the acknowledgement."""

import re
import uuid

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import TWO
from tests.journeys.site import Words, body_of, plain

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

REFERENCE = re.compile(r"PCC-\w{4}-\w{4}")
FORM = {"fr": "/fr/demande", "en": "/en/request"}
NAME = "Zoé « L’Érable » O’Neil-Bélanger & fils <b>"
TEXT = "Une plateforme de livraison\nqui appartient aux livreuses et aux livreurs.\n\nÀ suivre… 100 % coop"
CHOSEN = {"contact_role": "team", "contact_mode": "email", "stage": "idea", "legal_form": "coop", "incorporated": "no"}
TYPED = """() => [...new FormData(document.querySelector("form#request"))].filter(([name]) => name !== "csrf_token")"""
# Each thing a person can reach: a link, a button, a field, one of each group of radio buttons.
REACHABLE = """() => {
  const groups = new Set()
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(e => {
    if (e.tabIndex < 0 || e.type === "hidden" || e.disabled || !e.getClientRects().length) return false
    if (e.type !== "radio") return true
    return groups.has(e.name) ? false : groups.add(e.name)
  }).length
}"""


def pick(visit, name, value):
    visit.page.locator(f'input[name="{name}"][value="{value}"]').check()


def choose(visit, name, value):
    visit.page.locator(f'select[name="{name}"]').select_option(value)


def fill_half(visit):
    pick(visit, "contact_role", CHOSEN["contact_role"])
    visit.page.locator("#contact_name").fill(NAME)
    visit.page.locator("#description").fill(TEXT)
    choose(visit, "sector", "delivery")
    pick(visit, "needs", "form")
    pick(visit, "needs", "funding")


def fill_rest(visit, email, preferred):
    pick(visit, "lang_pref", preferred)
    for name in ("contact_mode", "stage", "legal_form", "incorporated"):
        pick(visit, name, CHOSEN[name])
    visit.page.locator("#email").fill(email)
    visit.page.locator("#phone").fill("514 555-0142, poste 12")
    choose(visit, "region", "06")
    choose(visit, "locality", "verdun")
    choose(visit, "coop_type", "coop_work")


def switch(visit, to):
    visit.button({"fr": "Français", "en": "English"}[to]).click()
    expect(visit.page.locator("html")).to_have_attribute("lang", f"{to}-CA")


def test_asks_to_talk(visit, setting, site, post):
    w, page, lang = visit.w, visit.page, setting.lang
    visit.go("/")
    assert page.url == f"{site.base}/fr/"
    visit.check("home", lang="fr")
    if lang == "en":
        visit.link("English").click()
        visit.check("home")
    visit.link(w.text("intake.home.button")).first.click()
    assert page.url == site.base + FORM[lang]
    visit.check("form")

    visit.button(w.text("intake.form.send")).click()
    assert visit.status == 422
    summary = page.locator(".error-summary")
    expect(summary).to_be_focused()
    assert plain(page.title()).startswith(w("Error:"))
    visit.check("form-errors")
    links = summary.get_by_role("link")
    assert links.count() == 10
    for place in range(links.count()):
        target = links.nth(place).get_attribute("href").removeprefix("#")
        links.nth(place).click()
        expect(page.locator(f"#{target}")).to_be_focused()
        assert visit.focus()["onScreen"], target
        beside = page.locator(f"#{target}-error")
        assert plain(links.nth(place).inner_text()) in plain(beside.inner_text())

    fill_half(visit)
    before = page.evaluate(TYPED)
    assert len(before) > 6
    switch(visit, setting.other)
    assert page.url == site.base + FORM[setting.other]
    assert page.evaluate(TYPED) == before
    expect(page.locator(".error-summary, .field--error")).to_have_count(0)
    visit.check("form-half", lang=setting.other)
    switch(visit, lang)
    assert page.evaluate(TYPED) == before

    email = f"zoe-{uuid.uuid4().hex[:8]}@exemple.ca"
    preferred = lang if setting.width == 360 else "either"
    fill_rest(visit, email, preferred)
    page.locator("#project_name").fill("Les Livreuses unies")
    page.locator("#project_name").press("Enter")
    page.wait_for_url(re.compile("/recue/|/received/"))
    assert page.url.startswith(f"{site.base}{FORM[lang]}/")
    visit.check("received")
    reference = REFERENCE.search(page.locator(".receipt").inner_text())[0]
    visit.says(email)
    when = re.search(r"20\d\d", page.locator("main").inner_text())
    assert when, "no date on the confirmation"
    visit.link({"fr": "English", "en": "Français"}[lang]).click()
    visit.says(reference)
    visit.check(lang=setting.other)
    page.go_back()

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


@in_two_settings
def test_pressing_twice_or_going_back_makes_one_request(visit, setting, site):
    visit.go(FORM[setting.lang])
    fill_half(visit)
    email = f"deux-{uuid.uuid4().hex[:8]}@exemple.ca"
    fill_rest(visit, email, setting.lang)
    visit.button(visit.w.text("intake.form.send")).dblclick(no_wait_after=True)
    visit.page.wait_for_url(re.compile("/recue/|/received/"))
    expect(visit.page.locator(".receipt .ref")).to_be_visible()
    visit.page.reload()
    assert site.sql("SELECT count(*) FROM contact WHERE email = :email", email=email) == [(1,)]


def test_the_keyboard_alone_reaches_everything_and_sees_where_it_is(visit, setting):
    visit.go(FORM[setting.lang])
    page = visit.page
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


def test_the_keyboard_alone_sends_the_form(visit, setting, site):
    w, page = visit.w, visit.page
    email = f"clavier-{uuid.uuid4().hex[:8]}@exemple.ca"
    texts = {"contact_name": NAME, "email": email, "phone": "", "project_name": "Toile", "description": TEXT}
    picked = {**CHOSEN, "lang_pref": setting.lang, "sector": "arts", "region": "13"}
    ticked = {"tech", "network"}
    visit.go(FORM[setting.lang])
    for _ in range(150):
        at = visit.tab()
        name, kind = at["name"], at["type"]
        if kind == "radio" and name in picked:
            page.keyboard.press("Space")
            for _ in range(20):
                if visit.focus()["value"] == picked[name]:
                    break
                page.keyboard.press("ArrowDown")
            assert visit.focus()["checked"], name
        elif kind == "checkbox" and at["value"] in ticked:
            page.keyboard.press("Space")
        elif at["tag"] == "SELECT" and name in picked:
            for _ in range(30):
                if visit.focus()["value"] == picked[name]:
                    break
                page.keyboard.press("ArrowDown")
        elif at["tag"] in {"INPUT", "TEXTAREA"} and texts.get(name):
            for place, line in enumerate(texts[name].split("\n")):
                if place:
                    page.keyboard.press("Enter")
                page.keyboard.insert_text(line)
        elif at["tag"] == "BUTTON" and at["text"] == w.text("intake.form.send"):
            page.keyboard.press("Enter")
            break
    page.wait_for_url(re.compile("/recue/|/received/"))
    ((kept,),) = site.sql(
        "SELECT project.description FROM project JOIN case_file ON case_file.project_id = project.id "
        "JOIN contact ON contact.id = case_file.contact_id WHERE contact.email = :email", email=email,
    )  # fmt: skip
    assert kept == TEXT


@in_two_settings
def test_a_wrong_answer_is_said_in_the_language_of_the_page(visit, setting):
    visit.go(FORM[setting.lang])
    fill_half(visit)
    fill_rest(visit, "zoe@", setting.lang)
    visit.page.locator("#phone").fill("12")
    visit.button(visit.w.text("intake.form.send")).click()
    visit.says(visit.w.text("intake.question.email.wrong"))
    visit.says(visit.w.text("intake.question.phone.wrong"))
    expect(visit.page.locator("#email")).to_have_value("zoe@")
    expect(visit.page.locator("#email")).to_have_attribute("aria-invalid", "true")
    visit.check("form-wrong")
    other = Words(setting.other)
    assert other.text("intake.question.email.wrong") not in visit.page.content()
