"""A coordinator enters contacts, an adviser refers a file, two bodies answer, the file goes on to its end."""

import re
import uuid
from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from crm import clock
from crm.access import Role
from crm.cases.addresses import link_of
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.links.services import token as token_of
from crm.partners.queries import by_code
from crm.referrals.services import link_of_person
from tests.journeys.conftest import THREE, TWO
from tests.journeys.site import body_of
from tests.journeys.test_adviser import move, moved, refused

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
in_three_settings = pytest.mark.parametrize("setting", THREE, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LINK = re.compile(r"https?://\S+/(?:fr/mise-en-relation|en/referral)/\S+")


def enter_contact(visit, code, email, language):
    w = visit.w
    visit.go(f"/staff/partners/{code}")
    visit.page.get_by_label(w("Contact person")).fill("Jean Roy-Leduc")
    visit.page.get_by_label(w("Work email")).fill("jean@")
    visit.page.locator(f'input[name="language"][value="{language}"]').check()
    visit.button(w("Save")).click()
    visit.says(w("Enter a full email address, like name@example.ca"))
    visit.check("body-error")
    visit.page.get_by_label(w("Work email")).fill(email)
    visit.page.get_by_label(w("I verified this entry with the organization today")).check()
    visit.button(w("Save")).click()
    visit.says(w("The contact was saved."))


def refer(visit, site, reference, short, *, picture=""):
    w, page = visit.w, visit.page
    visit.go(f"/staff/cases/{reference}")
    visit.link(w("Prepare a referral")).click()
    if picture:
        visit.check("refer")
        visit.button(w("Save")).click()
        assert visit.status == 422
        expect(page.locator(".error-summary")).to_be_focused()
        visit.check("refer-errors")
    page.get_by_label(w("To which organization?")).select_option(label=short)
    page.get_by_label(w("For what purpose?")).fill("l’accompagnement au démarrage")
    page.get_by_label(w.text("referrals.field.phone")).uncheck()
    page.get_by_label(w.text("referrals.answer.verbal")).check()
    visit.button(w("Save")).click()
    facts = page.locator(".fact-list")
    expect(facts).to_contain_text("Nadia Benali")
    expect(facts).not_to_contain_text(re.compile(r"555.?0142"))  # not three digits alone: a made-up name may hold them
    expect(facts).not_to_contain_text(w.text("referrals.field.phone"))
    if picture:
        visit.check(picture)
    visit.button(w("Send the referral")).click()
    visit.says(w("The referral is on its way to %(body)s.", body=short))


def about(post, address, reference):
    """The mails about one file that an address received: who comes to a body is written to about all that waits there."""
    return [one for one in post.to(address) if reference in one["Subject"]]


def open_link(window, site, setting, mail, lang, *, picture=False):
    """A person at a body, on a device of their own, as far as the answer page."""
    link = LINK.search(body_of(mail))[0]
    visit = window(site, lang, setting.width)
    for _ in range(2):  # a scanner, then a person: opening changes nothing
        visit.page.goto(link)
        visit.says(visit.w("A project for your organization"))
    if picture:
        visit.check("landing")
    visit.button(visit.w("Continue")).click()
    visit.says("Nadia Benali")
    return visit


@in_three_settings
def test_a_programme_that_fits_leads_to_a_referral(window, setting, site, post):
    lang, mark = setting.lang, uuid.uuid4().hex[:8]
    first = f"jean-{mark}@cdrq.example.ca"
    coordinator = window(site, lang, setting.width, person=site.person(Role.COORDINATOR, lang))
    enter_contact(coordinator, "cdrq", first, lang)
    reference = site.case(lang, f"Outils {mark}", Stage.PLANNING)

    adviser = window(site, lang, setting.width, person=site.person(Role.ADVISER, lang))
    w, page = adviser.w, adviser.page
    adviser.go(f"/staff/cases/{reference}")
    adviser.link(w("Programmes that may fit")).click()
    fits = page.locator("article", has_text="CDRQ").first
    expect(fits.locator("h3")).to_have_text({"fr": "Accompagnement au démarrage", "en": "Start-up support"}[lang])
    fits.locator("summary").click()
    expect(fits.locator("table")).to_contain_text(w.text("directory.verdict.met"))
    adviser.check("fitting")
    fits.get_by_role("link", name=w("Prepare a referral")).click()
    expect(page.locator("select[name=body] option:checked")).to_contain_text("CDRQ")
    # Said in the language in which we write to the person.
    expect(page.locator("[name=purpose]")).to_have_value(re.compile("accompagnement au démarrage|start-up support"))
    page.get_by_label(w.text("referrals.answer.verbal")).check()
    adviser.button(w("Save")).click()
    adviser.button(w("Send the referral")).click()
    adviser.says(w("The referral is on its way to %(body)s.", body="CDRQ"))
    site.send_due()
    assert about(post, first, reference)

    coordinator.go("/staff/partners/cdrq/programmes/cdrq-demarrage/edit")
    coordinator.page.locator("[name=stages][value=exploration]").uncheck()
    coordinator.button(coordinator.w("Save")).click()
    coordinator.says(reference)  # nothing was saved: the files that it touches are shown first
    coordinator.check("programme-touches")
    coordinator.go("/staff/partners/cdrq/programmes/cdrq-demarrage")
    coordinator.says(coordinator.w.text("cases.project_stage.exploration"))


@in_three_settings
def test_a_referral_from_the_directory_to_the_end(window, setting, site, post):
    lang, mark = setting.lang, uuid.uuid4().hex[:8]
    first, second = f"jean-{mark}@cdrq.example.ca", f"sam-{mark}@coop.example.ca"
    coordinator = window(site, lang, setting.width, person=site.person(Role.COORDINATOR, lang))
    coordinator.go("/staff/partners")
    coordinator.check("directory")
    coordinator.link("CDRQ").click()
    coordinator.check("body")
    enter_contact(coordinator, "cdrq", first, lang)
    enter_contact(coordinator, "reseau-coop", second, setting.other)

    reference = site.case(lang, f"Semences {mark}", Stage.PLANNING)
    adviser = window(site, lang, setting.width, person=site.person(Role.ADVISER, lang))
    w, page = adviser.w, adviser.page
    adviser.go(f"/staff/cases/{reference}")
    move(adviser, "referred")
    refused(adviser, w.text("referrals.refusal.needs_referral"))
    refer(adviser, site, reference, "CDRQ", picture="preview")
    refer(adviser, site, reference, "Réseau COOP")

    site.send_due()
    (to_first,), (to_second,) = about(post, first, reference), about(post, second, reference)
    assert reference in to_first["Subject"]
    body = open_link(window, site, setting, to_first, lang, picture=True)
    assert "token" not in body.page.url
    expect(body.page.locator("main")).not_to_contain_text("555-0142")
    body.check("answer")
    body.page.get_by_label(body.w.optional("Your question, or a word for the team")).fill("Avec plaisir,\nl’équipe")
    body.button({"fr": "English", "en": "Français"}[lang]).click()
    expect(body.page.locator("html")).to_have_attribute("lang", f"{setting.other}-CA")
    expect(body.page.locator("textarea")).to_have_value("Avec plaisir,\nl’équipe")
    body.check(lang=setting.other)
    body.button({"en": "English", "fr": "Français"}[lang]).click()
    body.page.get_by_label(body.w.text("referrals.body_answer.accept")).check()
    body.button(body.w("Send our answer")).click()
    expect(body.page.locator(".receipt")).to_be_visible()
    body.check("answer-accepted")
    body.link(body.w("Say what was asked, or decided")).click()
    body.page.get_by_label(body.w.text("financing.said.granted")).check()
    body.page.get_by_label(body.w("Kind of financing")).select_option("grant")
    body.page.get_by_label(body.w.optional("If it is granted, the amount")).fill("12 500")
    body.button(body.w("Tell the team")).click()
    expect(body.page.locator(".receipt")).to_be_visible()
    body.check("money-said")

    body = open_link(window, site, setting, to_second, setting.other)
    body.page.get_by_label(body.w.text("referrals.body_answer.decline")).check()
    body.button(body.w("Send our answer")).click()
    body.says(body.w("Choose a reason for declining"))
    expect(body.page.locator(".error-summary")).to_be_focused()
    body.check("answer-error")
    body.page.get_by_label(body.w("If you decline, why?")).select_option("capacity")
    body.button(body.w("Send our answer")).click()
    expect(body.page.locator(".receipt")).to_be_visible()
    body.check("answer-declined")

    adviser.go(f"/staff/cases/{reference}")
    adviser.says(w.text("referrals.event.accepted", body_name="CDRQ"))
    declined = w.text("referrals.decline_reason.capacity")
    adviser.says(w.text("referrals.event.declined", body_name="Réseau COOP", decline_reason=declined))
    adviser.says({"fr": "12 500 $", "en": "$12,500"}[lang])
    adviser.check("case-answered")
    move(adviser, "referred")
    moved(adviser, "referred")

    move(adviser, "paused", kept="En congé")
    refused(adviser, w.text("cases.refusal.needs_pause"), kept="En congé")
    form = adviser.action(w("Change the stage"))
    form.get_by_label(w("Return date (to put on hold)")).fill((clock.today() + timedelta(days=30)).isoformat())
    adviser.button(w("Change the stage"), form).click()
    moved(adviser, "paused")
    adviser.check("case-paused")
    move(adviser, "referred")
    moved(adviser, "referred")
    move(adviser, "closed", kept="Suivi par la CDRQ")
    refused(adviser, w.text("cases.refusal.needs_closing"), kept="Suivi par la CDRQ")
    form = adviser.action(w("Change the stage"))
    form.get_by_label(w("Closing reason (to close)")).select_option("partner_ok")
    form.get_by_label(w("Has the person been told? (to close)")).select_option("told")
    adviser.button(w("Change the stage"), form).click()
    moved(adviser, "closed")
    adviser.check("case-closed")
    expect(page.locator(".next-step")).to_have_count(0)
    adviser.go("/staff/cases")
    expect(page.locator("tr", has_text=mark)).to_have_count(0)


@in_two_settings
def test_a_referral_taken_back_closes_its_link_at_once(window, setting, site, post):
    lang, mark = setting.lang, uuid.uuid4().hex[:8]
    contact = f"retrait-{mark}@caisse.example.ca"
    coordinator = window(site, lang, setting.width, person=site.person(Role.COORDINATOR, lang))
    enter_contact(coordinator, "fondaction", contact, lang)
    reference = site.case(lang, f"Retrait {mark}", Stage.PLANNING)
    adviser = window(site, lang, setting.width, person=site.person(Role.ADVISER, lang))
    refer(adviser, site, reference, "Fondaction")
    site.send_due()
    body = open_link(window, site, setting, about(post, contact, reference)[0], lang)
    adviser.page.locator(".side").get_by_role("link", name="Fondaction").click()
    adviser.button(adviser.w("Withdraw this referral")).click()
    adviser.says(adviser.w("The referral is withdrawn and its link no longer works."))
    body.page.reload()
    assert body.status == 404
    body.says(body.w("This link does not work any more"))
    expect(body.page.locator("body")).not_to_contain_text("Nadia Benali")
    body.check("link-dead")


QUESTION = re.compile(r"https?://\S+/(?:fr|en)/permission/\S+")
LIST = re.compile(r"https?://\S+/(?:fr/organisme|en/organization)/\S+")


@in_two_settings
def test_a_person_is_asked_in_writing_and_the_loop_is_closed(window, setting, site, post):
    """Asked by mail, answered on a telephone; the body asks something, is answered, accepts, and says what came of it."""
    lang, mark = setting.lang, uuid.uuid4().hex[:8]
    to_body, to_person = f"jean-{mark}@cdrq.example.ca", f"nadia-{mark}@exemple.ca"
    coordinator = window(site, lang, setting.width, person=site.person(Role.COORDINATOR, lang))
    enter_contact(coordinator, "cdrq", to_body, lang)
    reference = site.case(lang, f"Vélos {mark}", Stage.PLANNING, email=to_person)
    adviser = window(site, lang, setting.width, person=site.person(Role.ADVISER, lang))
    w, page = adviser.w, adviser.page
    adviser.go(f"/staff/cases/{reference}/refer")
    page.get_by_label(w("To which organization?")).select_option(label="CDRQ")
    page.get_by_label(w("For what purpose?")).fill("l’accompagnement au démarrage")
    page.get_by_label(w.text("referrals.answer.ask")).check()
    page.get_by_label(w("If permission is asked by email: send the referral as soon as the person says yes")).check()
    adviser.button(w("Save")).click()
    adviser.says(
        w("The question is going out by email and is on the person’s page. Nothing is shared before they say yes.")
    )
    adviser.says(w.text("referrals.status.consent_pending"))
    page.locator(".side .todo-list a[href*='/referrals/']").first.click()
    adviser.check("referral-pending")
    here = page.url

    site.send_due()
    assert about(post, to_body, reference) == [], "nothing leaves before the person says yes"
    (asked,) = post.to(to_person)
    person = window(site, lang, 360)
    for _ in range(2):  # a scanner, then a person: opening changes nothing
        person.page.goto(QUESTION.search(body_of(asked))[0])
        person.says(person.w.text("referrals.ask.title"))
    person.check("permission")
    person.button(person.w.text("referrals.ask.yes")).click()
    person.says("CDRQ")
    person.check("permission-given")

    site.send_due()
    (invited,) = about(post, to_body, reference)
    body = open_link(window, site, setting, invited, lang)
    body.page.get_by_label(body.w.text("referrals.body_answer.ask")).check()
    body.button(body.w("Send our answer")).click()
    body.says(body.w("Write your question"))
    body.check("answer-ask-error")
    body.page.get_by_label(body.w.optional("Your question, or a word for the team")).fill("Combien de personnes?")
    body.button(body.w("Send our answer")).click()
    expect(body.page.locator(".receipt")).to_be_visible()
    body.check("answer-asked")

    page.goto(here)
    adviser.says("Combien de personnes?")
    adviser.check("referral-asked")
    page.get_by_label(w("Your answer")).fill("Quatre personnes.")
    adviser.button(w("Send the answer")).click()
    adviser.says(w("Your answer is on its way to %(body)s.", body="CDRQ"))

    site.send_due()
    body = open_link(window, site, setting, about(post, to_body, reference)[-1], lang)
    body.says("Quatre personnes.")
    body.page.get_by_label(body.w.text("referrals.body_answer.accept")).check()
    body.page.get_by_label(body.w.optional("If you accept, what comes next")).fill("Un premier appel")
    body.button(body.w("Send our answer")).click()
    expect(body.page.locator(".receipt")).to_be_visible()
    body.page.get_by_label(body.w.text("referrals.outcome.helped"), exact=True).check()
    body.page.get_by_label(body.w.optional("How much support was given")).fill("12")
    body.page.get_by_label(body.w.text("referrals.support_unit.hours"), exact=True).check()
    body.button(body.w("Send our answer")).last.click()
    body.says(body.w("Thank you. The team knows what came of it."))
    body.check("answer-ended")
    page.goto(here)
    adviser.says(w.text("referrals.outcome.helped"))
    adviser.check("referral-ended")


@in_two_settings
def test_a_person_goes_there_themselves_and_a_link_that_is_over_is_sent_again(window, setting, site, post):
    """On their own page a person prefers to contact the organization; another organization's link to its list expires, and is sent anew."""
    lang, mark = setting.lang, uuid.uuid4().hex[:8]
    to_body, to_person = f"sara-{mark}@risq.example.ca", f"lou-{mark}@exemple.ca"
    coordinator = window(site, lang, setting.width, person=site.person(Role.COORDINATOR, lang))
    enter_contact(coordinator, "risq", to_body, lang)
    reference = site.case(lang, f"Toits {mark}", Stage.PLANNING, email=to_person)
    adviser = window(site, lang, setting.width, person=site.person(Role.ADVISER, lang))
    w = adviser.w
    adviser.go(f"/staff/cases/{reference}/refer")
    chosen = adviser.page.get_by_label(w("To which organization?"))
    chosen.select_option(chosen.locator("option", has_text="TIESS").get_attribute("value"))
    adviser.page.get_by_label(w("For what purpose?")).fill("un transfert de connaissances")
    adviser.page.get_by_label(w.text("referrals.answer.ask")).check()
    adviser.button(w("Save")).click()
    adviser.says(w.text("referrals.status.consent_pending"))

    with site.inside() as session:
        file = token_of(link_of(session.scalars(select(Case).where(Case.reference == reference)).one()))
    person = window(site, lang, 360)
    person.go({"fr": "/fr/mon-dossier/ouvrir/", "en": "/en/my-file/open/"}[lang] + file)
    person.page.locator("main button").click()
    person.says("TIESS")
    person.check("file-asks")
    person.button(f"{person.w.text('referrals.ask.self')} – TIESS").click()
    expect(person.page.get_by_role("status")).to_be_visible()
    expect(person.page.get_by_role("button", name="TIESS")).to_have_count(0)
    adviser.go(f"/staff/cases/{reference}")
    adviser.says(w.text("referrals.event.goes_alone", body_name="TIESS"))
    adviser.says(w.text("reminders.rule.self_check"))
    site.send_due()
    assert not [one for one in post.to(to_body) if reference in str(one)], "nothing was shared with anybody"

    with site.inside() as session:
        link = link_of_person(by_code("risq").main)
        session.flush()
        number, token = link.id, token_of(link)
    site.sql("UPDATE link SET expires_at = :day WHERE id = :number", day="2026-01-01 00:00:00", number=number)
    body = window(site, lang, setting.width)
    body.go({"fr": "/fr/organisme/", "en": "/en/organization/"}[lang] + token)
    assert body.status == 404
    body.check("list-over")
    body.button(body.w.text("referrals.list.again")).click()
    body.says(body.w.text("referrals.list.again_said"))
    site.send_due()
    again = LIST.search(body_of(post.to(to_body)[-1]))[0]
    assert token not in again
    body.page.goto(again)
    body.button(body.w("Continue")).click()
    body.says(body.w.text("referrals.list.title"))
    body.check("list")
