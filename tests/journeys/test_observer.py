"""A member of the advisory committee reads a published quarter, and never a file."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from crm import clock
from crm.access import Role
from crm.accounts.queries import by_email
from crm.db import db
from crm.summaries import queries, services
from crm.summaries.periods import Period
from tests.journeys.conftest import THREE
from tests.journeys.site import body_of, plain
from tests.support.summaries import published

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
in_three_settings = pytest.mark.parametrize("setting", THREE, indirect=True, ids=str)

QUARTER = Period.read("2026-q2")


@pytest.fixture
def quarter(site):
    """An old quarter, with a dozen requests, published."""
    coordinator, second = site.person(Role.COORDINATOR, "fr"), site.person(Role.COORDINATOR, "fr", "-two")
    with site.inside():
        done = queries.published(QUARTER) is not None
    if not done:
        with site.making("fr") as make:
            for day in range(12):
                make.case(received_at=clock.at_local(QUARTER.first.replace(day=day + 2), 10), name=f"Printemps {day}")
        with site.inside():
            published(QUARTER, by_email(coordinator), by_email(second))
            db.session.commit()
    return QUARTER.code


@in_three_settings
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
        "/staff/summaries/2026-q1",
    ):
        assert visit.go(address) == 404, address
        visit.says(w("This page cannot be found"))
        expect(page.locator("body")).not_to_contain_text("Nadia")
    visit.check("not-found")


def sign_in_from_french(visit, person):
    visit.button("English").click()
    visit.sign_in(person)


def unpublished(site) -> Period:
    """The quarter after the one that is published, without what an earlier journey on this site made of it."""
    period = QUARTER.next
    mine = f"(SELECT id FROM summary WHERE period = '{period.code}')"
    for table in ("summary_file", "summary_counted"):
        site.sql(f"DELETE FROM {table} WHERE summary_id IN {mine}")  # noqa: S608
    site.sql(f"DELETE FROM summary WHERE period = '{period.code}'")  # noqa: S608
    site.sql("DELETE FROM message WHERE kind = 'summaries.published'")
    return period


@in_three_settings
def test_a_summary_goes_from_two_people_of_the_team_to_a_member_of_the_committee(window, setting, site, post):
    """Taken, written in both languages, proposed by one, approved by another, published by the worker, read and downloaded."""
    period = unpublished(site)
    coordinator = site.person(Role.COORDINATOR, setting.lang)
    second = site.person(Role.COORDINATOR, setting.lang, "-two")
    observer = site.person(Role.OBSERVER, setting.lang)
    with site.making("fr") as make:
        for day in range(12):
            make.case(received_at=clock.at_local(period.first.replace(day=day + 2), 10), name=f"Été {day}")
    title = {"fr": "Juillet à septembre 2026", "en": "July to September 2026"}[setting.lang]

    visit = window(site, setting.lang, setting.width, person=coordinator)
    w, page = visit.w, visit.page
    visit.go(f"/staff/summaries/{period.code}")
    visit.button(w("Take the figures")).click()
    visit.says(w("The figures are taken. It is a draft: the committee does not see it yet."))
    visit.check("summary-draft")
    visit.go("/staff/today")
    visit.link(title).click()
    visit.link(w("Write the text")).click()
    for lang, said in (("fr", "Un trimestre calme."), ("en", "A quiet quarter.")):
        page.locator(f"#text_{lang}").fill(said)
    page.locator("#learned_fr").fill("Merci à Nadia Benali.")
    visit.check("summary-write")
    visit.button(w("Save")).click()
    visit.says("Nadia Benali")
    visit.button(w("Ready: ask a second person to approve")).click()
    visit.says(w.text("summaries.refusal.one_language", part=w.text("summaries.written.learned")))
    visit.go(f"/staff/summaries/{period.code}/write")
    page.locator("#learned_fr").fill("")
    visit.button(w("Save")).click()
    visit.button(w("Ready: ask a second person to approve")).click()
    visit.says(w("A second person can now approve it."))
    expect(visit.button(w("Approve and publish to the committee"))).to_have_count(0)

    other = window(site, setting.lang, setting.width, person=second)
    other.go(f"/staff/summaries/{period.code}")
    other.check("summary-proposed")
    other.button(w("Approve and publish to the committee")).click()
    other.says(w.text("summaries.state.approved"))
    with site.inside():
        assert services.publish_approved() == 1

    site.send_due()
    mails = [one for one in post.to(observer) if title in plain(one["Subject"]) and site.base in body_of(one)]
    address = re.search(r"http\S+", body_of(mails[-1]))[0]
    reader = window(site, setting.lang, setting.width, person=observer)
    reader.go(address.removeprefix(site.base))
    reader.says({"fr": "Un trimestre calme.", "en": "A quiet quarter."}[setting.lang])
    expect(reader.page.locator("img.chart").first).to_be_visible()
    assert reader.page.evaluate("() => [...document.images].every(one => one.complete && one.naturalWidth > 100)")
    reader.check("summary-published")
    with reader.page.expect_download() as downloaded:
        reader.page.locator(".downloads a").first.click()
    assert Path(downloaded.value.path()).read_bytes().startswith(b"%PDF-")
    assert downloaded.value.suggested_filename.endswith(f"-{period.code}-fr.pdf")
