"""Two people at once, and browsers that run no script."""

import uuid

import pytest
from playwright.sync_api import expect

from crm.access import Role
from crm.cases.vocabulary import Stage
from tests.journeys.conftest import TWO
from tests.journeys.test_adviser import move, moved

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_two_advisers_save_the_same_assessment(window, setting, site):
    lang = setting.lang
    reference = site.case(lang, f"À deux {uuid.uuid4().hex[:8]}", Stage.DISCOVERY)
    visits = [
        window(site, lang, setting.width, person=site.person(Role.ADVISER, lang)),
        window(site, lang, setting.width, person=site.person(Role.ADVISER, lang, "2")),
    ]
    forms = []
    for visit, said in zip(visits, ("Texte de la première", "Texte de la seconde\nsur deux lignes"), strict=True):
        visit.go(f"/staff/cases/{reference}")
        visit.link(visit.w("Needs assessment")).click()
        forms.append(visit.page.locator("main form"))
        forms[-1].get_by_label(visit.w("Summary")).fill(said)
        forms[-1].get_by_label(visit.w("Where the project stands")).select_option("exploration")
    first, second = visits
    w, page = second.w, second.page
    first.button(w("Save"), forms[0]).click()
    first.says(w("The needs assessment was saved."))
    second.button(w("Save"), forms[1]).click()
    assert second.status == 409
    second.says("Amélie Tremblay")
    expect(page.get_by_label(w("Summary"))).to_have_value("Texte de la seconde\nsur deux lignes")
    theirs = page.get_by_role("region", name=w("Saved now"))
    expect(theirs).to_contain_text("Texte de la première")
    second.check("conflict")
    page.get_by_label(w("Summary")).fill("Les deux textes, ensemble")
    second.button(w("Save my version")).click()
    second.says(w("The needs assessment was saved."))
    second.says("Les deux textes, ensemble")


@in_two_settings
def test_two_advisers_move_the_same_file(window, setting, site):
    reference = site.case(setting.lang, f"En double {uuid.uuid4().hex[:8]}", Stage.CONTACT)
    visits = [
        window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang, which))
        for which in ("", "2")
    ]
    for visit in visits:
        visit.go(f"/staff/cases/{reference}")
    first, second = visits
    talk = first.action(first.w("Record a conversation"))
    talk.get_by_label(first.w.text("cases.exchange_result.two_way")).check()
    first.button(first.w("Save"), talk).click()
    first.says(first.w("The conversation was recorded."))
    move(first, "discovery")
    moved(first, "discovery")
    move(second, "closed", kept="Je pensais le fermer")
    stage = second.w.text("cases.stage.discovery")
    second.says(second.w.text("cases.refusal.moved_meanwhile", stage=stage))
    form = second.action(second.w("Change the stage"))
    expect(form.get_by_label(second.w("Reason or closing note"))).to_have_value("Je pensais le fermer")


def test_without_javascript_the_adviser_works(window, setting, site):
    adviser = site.person(Role.ADVISER, setting.lang)
    name = f"Sans script {uuid.uuid4().hex[:8]}"
    site.case(setting.lang, name)
    visit = window(site, setting.lang, setting.width, javascript=False)
    w, page = visit.w, visit.page
    visit.go("/staff/cases")
    if setting.lang == "en":
        visit.button("English").click()
    visit.sign_in(adviser)
    page.locator("tr", has_text=name).get_by_role("link").click()
    visit.button(w("Take this file")).click()
    visit.says(w("You are responsible for this file."))
    note = visit.action(w("Write a note"))
    note.get_by_label(w("Note")).fill("Écrit sans script")
    visit.button(w("Save the note"), note).click()
    expect(page.locator(".timeline")).to_contain_text("Écrit sans script")
    move(visit, "contact")
    moved(visit, "contact")
    visit.button(w("Sign out")).click()
    expect(page.locator("#password")).to_be_visible()
