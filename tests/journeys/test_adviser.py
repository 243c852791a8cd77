"""An adviser takes a request and brings it to referral planning; the reminder of a follow-up comes once."""

import uuid
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from crm import clock
from crm.access import Role
from tests.journeys.conftest import THREE, TWO
from tests.journeys.site import body_of, plain

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
in_three_settings = pytest.mark.parametrize("setting", THREE, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def adviser(site, setting):
    """The address of an adviser who reads the language of the setting."""
    return site.person(Role.ADVISER, setting.lang)


def move(visit, to, *, kept="Noté avant de savoir"):
    form = visit.action(visit.w("Change the stage"))
    form.get_by_label(visit.w("Move to")).select_option(to)
    form.get_by_label(visit.w("Reason or closing note")).fill(kept)
    visit.button(visit.w("Change the stage"), form).click()


def refused(visit, why, kept="Noté avant de savoir"):
    """The move was refused in words, beside the form, with what was typed still there."""
    assert visit.status == 409
    summary = visit.page.locator(".error-summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text(why)
    form = visit.action(visit.w("Change the stage"))
    expect(form.get_by_label(visit.w("Reason or closing note"))).to_have_value(kept)
    expect(form.locator(".error")).to_contain_text(why)


def moved(visit, to):
    stage = visit.w.text(f"cases.stage.{to}")
    expect(visit.page.locator(".said")).to_contain_text(stage)
    expect(visit.page.locator("[aria-current=step]")).to_contain_text(stage)


@in_two_settings
def test_signs_in(visit, setting, site, adviser):
    w, page = visit.w, visit.page
    visit.go("/staff/cases?owner=me")
    if setting.lang == "en":
        visit.button("English").click()
    visit.check("sign-in")
    visit.sign_in(adviser, "not the password")
    assert visit.status == 422
    expect(page.locator(".error-summary")).to_be_focused()
    visit.says(w("This address and password do not go together, or the account is closed"))
    expect(page.get_by_label(w("Email address"))).to_have_value(adviser)
    expect(page.get_by_label(w("Password"))).to_have_value("")
    visit.check("sign-in-error")
    visit.sign_in(adviser)
    assert page.url.endswith("/staff/cases?owner=me")
    visit.check("queue-mine")
    visit.button(w("Sign out")).click()
    assert page.url.endswith("/staff/sign-in")
    visit.back()
    assert "owner" in page.url  # asked for again, and told to sign in
    expect(page.locator("#password")).to_be_visible()  # the page left behind is not kept to be read by the next person


@in_three_settings
def test_from_the_queue_to_referral_planning(window, setting, site, post, adviser):
    name = f"Toile {uuid.uuid4().hex[:8]}"
    reference = site.case(setting.lang, name)
    visit = window(site, setting.lang, setting.width, person=adviser)
    w, page = visit.w, visit.page

    visit.go("/staff/cases")
    row = page.locator("tr", has_text=name)
    expect(row.locator(".tag")).to_have_count(1)  # nobody has it yet
    visit.check("queue")
    row.get_by_role("link").click()
    assert page.url.endswith(f"/staff/cases/{reference}")
    visit.check("case-new")

    move(visit, "contact")
    refused(visit, w.text("cases.refusal.needs_owner"))
    visit.check("case-refused")
    visit.button(w("Take this file")).click()
    visit.says(w("You are responsible for this file."))

    note = visit.action(w("Write a note"))
    note.get_by_label(w("Note")).fill("Première ligne\nDeuxième ligne <b>& fin</b>")
    visit.button(w("Save the note"), note).click()
    visit.says(w("The note was saved."))
    expect(page.locator(".timeline")).to_contain_text("Deuxième ligne <b>& fin</b>")

    title = f"Rappeler {uuid.uuid4().hex[:8]}"
    plan = visit.action(w("Plan a follow-up"))
    plan.get_by_label(w("What is to be done?")).fill(title)
    plan.get_by_label(w("Why?")).fill("Attend notre liste")
    plan.get_by_label(w("For when?")).fill(clock.today().isoformat())
    visit.button(w("Plan the follow-up"), plan).click()
    visit.says(w("The follow-up was planned."))
    expect(page.locator(".side")).to_contain_text(title)

    move(visit, "contact")
    moved(visit, "contact")
    move(visit, "discovery")
    refused(visit, w.text("cases.refusal.needs_exchange"))
    talk = visit.action(w("Record a conversation"))
    talk.get_by_label(w.text("cases.exchange_result.two_way")).check()
    talk.get_by_label(w.optional("Length in minutes")).fill("25")
    talk.get_by_label(w.optional("What was said")).fill("Le groupe compte douze personnes.")
    visit.button(w("Save"), talk).click()
    visit.says(w("The conversation was recorded."))
    expect(page.locator(".timeline")).to_contain_text("Le groupe compte douze personnes.")
    move(visit, "discovery")
    moved(visit, "discovery")
    move(visit, "planning")
    refused(visit, w.text("cases.missing.summary"))
    visit.link(w("Needs assessment")).click()
    visit.check("assessment")
    needs = visit.page.locator("main form")
    needs.get_by_label(w("Where the project stands")).select_option("exploration")
    needs.get_by_label(w("Summary")).fill("Le groupe veut choisir sa forme juridique.")
    visit.button(w("Save"), needs).click()
    visit.says(w("The needs assessment was saved."))
    move(visit, "planning")
    moved(visit, "planning")

    visit.go("/staff/my-mail")
    visit.check("my-mail")
    page.locator("input[name=at_once][value=follow_ups]").check()
    visit.button(w("Keep my choices")).click()
    visit.says(w("Your choices are kept."))

    # A day ago, whatever the hour of this run and the day of the week: the reminder is due.
    yesterday = clock.today() - timedelta(days=1)
    site.sql("UPDATE follow_up SET due_on = :day WHERE title = :title", day=yesterday.isoformat(), title=title)
    site.send_due()
    site.send_due()
    (mail,) = (mail for mail in post.to(adviser) if title in mail["Subject"])
    assert plain(mail["Subject"]) == w.text("reminders.mail.due.subject", title=title, reference=reference)
    assert f"{site.base}/staff/cases/{reference}" in body_of(mail)
    visit.go(f"/staff/cases/{reference}")
    sent = w.text("reminders.event.sent", to_name="Amélie Tremblay", title=title)
    expect(page.locator(".timeline").get_by_text(sent)).to_have_count(1)
    expect(page.locator(".next-step")).to_contain_text(w("Late"))
    visit.check("case")

    visit.button(w("Done"), page.locator(".next-step")).click()
    visit.says(w("Done. Check that the next step below is the right one."))
    expect(page.locator(".next-what")).to_have_text(w.text("reminders.rule.suggest"))
    visit.go("/staff/cases?owner=me&stage=planning")
    expect(page.locator("tr", has_text=name)).to_have_count(1)


@in_two_settings
def test_a_session_that_ended_gives_back_what_was_typed(window, setting, site, adviser):
    reference = site.case(setting.lang, f"Rendu {uuid.uuid4().hex[:8]}")
    visit = window(site, setting.lang, setting.width)
    visit.go(f"/staff/cases/{reference}")
    if setting.lang == "en":
        visit.button("English").click()
    visit.sign_in(adviser)
    note = visit.action(visit.w("Write a note"))
    note.get_by_label(visit.w("Note")).fill("Un long texte\nde deux lignes")
    site.sql("DELETE FROM sign_in WHERE created_at = (SELECT max(created_at) FROM sign_in)")
    visit.button(visit.w("Save the note"), note).click()
    assert visit.status == 401
    visit.check("session-ended")
    visit.sign_in(adviser)
    visit.says("Un long texte")
    visit.check("given-back")
    visit.button(visit.w("Send again")).click()
    visit.says(visit.w("The note was saved."))
    expect(visit.page.locator(".timeline")).to_contain_text("de deux lignes")
