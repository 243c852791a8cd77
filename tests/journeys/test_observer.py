"""A member of the advisory committee reads a published quarter, and never a file."""

import pytest
from playwright.sync_api import expect

from crm import clock
from crm.access import Role
from crm.accounts.queries import by_email
from crm.db import db
from crm.summaries import queries
from crm.summaries.periods import Period
from tests.support.summaries import published

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

QUARTER = Period.read("2026-q2")


@pytest.fixture
def quarter(site):
    """An old quarter, with a dozen requests, published."""
    coordinator = site.person(Role.COORDINATOR, "fr")
    with site.inside():
        done = queries.published(QUARTER) is not None
    if not done:
        with site.making("fr") as make:
            for day in range(12):
                make.case(received_at=clock.at_local(QUARTER.first.replace(day=day + 2), 10), name=f"Printemps {day}")
        with site.inside():
            published(QUARTER, by_email(coordinator), by_email(site.person(Role.ADMIN, "fr")))
            db.session.commit()
    return QUARTER.code


def test_reads_a_summary_in_both_languages_and_no_file(window, setting, site, quarter):
    reference = site.case("fr", "Un dossier à soi")
    observer = site.person(Role.OBSERVER, setting.lang)
    visit = window(site, setting.lang, setting.width)
    w, page = visit.w, visit.page
    visit.go("/staff")
    visit.sign_in(observer) if setting.lang == "fr" else sign_in_from_french(visit, observer)
    assert page.url.endswith("/staff/summaries")
    visit.check("summaries")
    expect(visit.link(w("Queue"))).to_have_count(0)
    expect(visit.link(w("Organizations"))).to_have_count(0)
    visit.link(w.text("summaries.quarter.q2", year=2026)).click()
    visit.says(w.text("summaries.indicator.received"))
    expect(page.locator(".summary-lines td").first).to_have_text("12")
    visit.check("summary")

    visit.button({"fr": "English", "en": "Français"}[setting.lang]).click()
    assert page.url.endswith(f"/staff/summaries/{quarter}")
    visit.check("summary", lang=setting.other)
    expect(page.locator(".summary-lines td").first).to_have_text("12")
    visit.button({"en": "English", "fr": "Français"}[setting.lang]).click()
    visit.check()

    for address in (
        f"/staff/cases/{reference}",
        "/staff/cases",
        "/staff/partners",
        "/staff/mail",
        "/staff/summaries/2026-q3",
    ):
        assert visit.go(address) == 404, address
        visit.says(w("This page cannot be found"))
        expect(page.locator("body")).not_to_contain_text("Nadia")
    visit.check("not-found")


def sign_in_from_french(visit, person):
    visit.button("English").click()
    visit.sign_in(person)
