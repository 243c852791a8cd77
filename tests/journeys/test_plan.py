"""A coordinator changes what is planned by itself, in a real browser: seen before it is saved, told when somebody else was quicker."""

import pytest
from playwright.sync_api import expect

from crm.access import Role
from tests.journeys.conftest import TWO

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
FIELD = "#after-nudge_launched"  # of the whole plan, what plans nothing for the files of the other journeys


@in_two_settings
def test_a_plan_is_seen_then_saved_and_the_second_of_two_is_told(window, setting, site):
    first, second = (
        window(site, setting.lang, setting.width, person=site.person(Role.COORDINATOR, setting.lang)) for _ in range(2)
    )
    for visit in (first, second):
        visit.go("/staff/plan")
    w, page = first.w, first.page
    days = str(int(page.locator(FIELD).input_value()) + 1)
    page.locator(FIELD).fill(days)
    first.button(w("See what this changes")).click()
    expect(page.locator("#effect-title")).to_be_focused()
    first.check("plan-looked-at")
    first.button(w("Save the plan")).click()
    first.says(w("The plan is saved. Open files follow it within a few minutes."))
    expect(page.locator(FIELD)).to_have_value(days)
    second.page.locator(FIELD).fill("80")
    second.button(w("See what this changes")).click()
    assert second.status == 409
    expect(second.page.locator(FIELD)).to_have_value("80")
