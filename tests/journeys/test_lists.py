"""The list, the board and the search box in a real browser: by mouse, by keyboard alone, and without a script."""

import re
import uuid

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from crm.access import Role
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from tests.journeys.conftest import TWO

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def named(site, setting):
    """A file whose name is nobody else's, and that name."""
    name = f"Café-Ruche {uuid.uuid4().hex[:8]}"
    return site.case(setting.lang, name, Stage.CONTACT), name


def test_a_file_is_found_as_one_types_and_opened_by_keys_alone(window, setting, site, named):
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang))
    page = visit.page
    visit.go("/staff/today")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type(f"cafe ruche {name[-8:]}")
    found = page.locator(".suggestions a")
    expect(found).to_have_count(1)
    expect(found).to_contain_text(name)
    page.keyboard.press("ArrowDown")
    expect(found).to_be_focused()
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/search?q=*")
    visit.says(name)
    visit.go("/staff/today")
    page.keyboard.press("/")
    page.keyboard.type(name[-8:])
    expect(found).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/staff/cases/{reference}")


@in_two_settings
def test_the_box_is_a_form_without_a_script(window, setting, site, named):
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang), javascript=False)
    visit.go("/staff/cases")
    visit.page.locator("#search").fill(name)
    visit.page.locator("#search").press("Enter")
    visit.page.wait_for_url("**/staff/search?q=*")
    visit.page.locator("main .found a").filter(has_text=reference).click()
    visit.page.wait_for_url(f"**/staff/cases/{reference}")


def test_a_list_is_narrowed_and_shown_as_one_wants(window, setting, site, named):
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang))
    w, page = visit.w, visit.page
    visit.go("/staff/cases")
    visit.link(w("Filters")).click()
    page.get_by_role("group", name=w("Stage")).get_by_label(w.text("cases.stage.contact")).check()
    page.get_by_role("group", name=w("Region"), exact=True).get_by_label(w.text("cases.region.06"), exact=True).check()
    visit.button(w("Show these files")).click()
    page.wait_for_url("**stage=contact**")
    page.locator("#within").fill(name[-8:])
    visit.button(w("Apply")).click()
    row = page.locator("main tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(reference)
    expect(page.locator(".chip")).to_have_count(2)
    visit.link(w("Columns")).click()
    page.get_by_role("checkbox", name=w("Field"), exact=True).check()
    visit.button(w("Show these columns")).click()
    page.wait_for_url("**cols=**")
    expect(row).to_contain_text(w.text("cases.sector.sharing"))
    # The filter goes along to the board and back.
    visit.link(w("As a board")).click()
    expect(page.locator(".card")).to_have_count(1)
    visit.link(w("As a list")).click()
    expect(row).to_have_count(1)
    page.locator(".chip").last.click()
    expect(page.locator(".chip")).to_have_count(1)


@in_two_settings
def test_a_card_is_moved_by_its_page_without_a_script(window, setting, site, named):
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang), javascript=False)
    w, page = visit.w, visit.page
    visit.go(f"/staff/cases/board?q={name[-8:]}")
    page.locator(".card-move").click()
    page.get_by_label(w("Move to")).select_option("paused")
    visit.button(w("Change the stage")).click()
    assert visit.status == 409
    page.get_by_label(w("Move to")).select_option("closed")
    page.get_by_label(w("Closing reason (to close)")).select_option("no_answer")
    page.get_by_label(w("Reason or closing note")).fill("Sans réponse.")
    visit.button(w("Change the stage")).click()
    page.wait_for_url("**/staff/cases/board?q=*")
    expect(page.locator("[data-stage=closed] .card")).to_contain_text(name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the board scrolls, not the page"
    expect(page.locator(".said").first).to_contain_text(w.text("cases.stage.closed"))


def test_a_card_is_dragged_and_a_refused_one_goes_back(window, setting, site, named):
    if setting.width < 768:
        pytest.skip("cards are dragged with a mouse; on a phone each has a link")
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang))
    w, page = visit.w, visit.page
    visit.go(f"/staff/cases/board?q={name[-8:]}")
    card, said = page.locator(".card"), page.locator(".board-said")
    # A conversation is asked for before discovery: refused, told why, and the card is where it was.
    card.drag_to(page.locator("[data-stage=discovery]"))
    expect(said).to_have_class(re.compile("board-said--bad"))
    expect(page.locator("[data-stage=contact] .card")).to_have_count(1)
    said.get_by_role("link", name=w("Say what this move needs")).click()
    page.wait_for_url(f"**/{reference}/move?*to=discovery*")
    expect(page.get_by_label(w("Move to"))).to_have_value("discovery")
    with site.making(setting.lang) as make:
        make.exchange(make.session.scalar(select(Case).where(Case.reference == reference)), make.people.adviser)
    visit.go(f"/staff/cases/board?q={name[-8:]}")
    card.drag_to(page.locator("[data-stage=discovery]"))
    expect(page.locator("[data-stage=discovery] .card")).to_contain_text(name)
    expect(said).to_contain_text(w.text("cases.stage.discovery"))
    expect(page.locator("[data-stage=discovery] .count")).to_have_text("1")
    expect(page.locator("[data-stage=contact] .count")).to_have_text("0")
    page.reload()
    expect(page.locator("[data-stage=discovery] .card")).to_contain_text(name)


def test_the_network_away_leaves_the_card(window, setting, site, named):
    if setting.width < 768:
        pytest.skip("cards are dragged with a mouse; on a phone each has a link")
    _reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang))
    page = visit.page
    visit.loses_network = True
    visit.go(f"/staff/cases/board?q={name[-8:]}")
    page.route("**/move*", lambda route: route.abort())
    page.locator(".card").drag_to(page.locator("[data-stage=discovery]"))
    expect(page.locator(".board-said")).to_contain_text(
        visit.w("The network does not answer. The card is back where it was; try again.")
    )
    expect(page.locator("[data-stage=contact] .card")).to_have_count(1)


@in_two_settings
def test_keys_go_from_card_to_card(window, setting, site, named):
    reference, name = named
    visit = window(site, setting.lang, setting.width, person=site.person(Role.ADVISER, setting.lang))
    page = visit.page
    other = site.case(setting.lang, f"{name} bis", Stage.DISCOVERY)
    visit.go(f"/staff/cases/board?q={name[-8:]}")
    page.locator(f"[data-reference={reference}] .card-name").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"[data-reference={other}] .card-name")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(f"[data-reference={reference}] .card-name")).to_be_focused()
    page.keyboard.press("m")
    page.wait_for_url(f"**/staff/cases/{reference}/move*")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_several_files_are_tagged_at_once_and_it_is_taken_back(window, setting, site, javascript):
    word = uuid.uuid4().hex[:8]
    for place in range(3):
        site.case(setting.lang, f"Ruche {word} {'ABC'[place]}", Stage.CONTACT)
    person = site.person(Role.ADVISER, setting.lang)
    visit = window(site, setting.lang, setting.width, person=person, javascript=javascript)
    w, page = visit.w, visit.page
    visit.go(f"/staff/cases?q={word}")
    boxes = page.locator("input[name=file]")
    expect(boxes).to_have_count(3)
    if javascript:
        for key in "jxjx":  # the first row and the next
            page.keyboard.press(key)
        expect(page.locator("[data-ticked]")).to_have_text("(2)")
    else:
        boxes.nth(0).check()
        boxes.nth(1).check()
    visit.check("bulk-ticked", axe=javascript)
    page.locator("button[name=which][value=ticked]").click()
    visit.check("bulk-choose", axe=javascript)
    visit.link(w("Put a tag on")).click()
    visit.button(w("See what would happen")).click()
    assert visit.status == 422
    page.get_by_label(w("Or a new tag")).fill(f"Étiquette {word}")
    visit.check("bulk-asked", axe=javascript)
    visit.button(w("See what would happen")).click()
    expect(page.locator(".facts-row b")).to_have_text("2")
    visit.check("bulk-foreseen", axe=javascript)
    visit.button(w("Do it")).click()
    page.wait_for_url("**/staff/bulk/*")
    expect(page.locator(".facts-row b")).to_have_text("2")
    visit.check("bulk-done", axe=javascript)
    tagged = "SELECT count(*) FROM case_tag JOIN tag ON tag.id = tag_id WHERE name = :name"
    assert site.sql(tagged, name=f"Étiquette {word}") == [(2,)]
    page.locator("main form button").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(w("Undone"))
    assert site.sql(tagged, name=f"Étiquette {word}") == [(0,)]
    visit.go("/staff/bulk")
    visit.check("bulk-runs", axe=javascript)
