"""A coordinator brings an old spreadsheet in, in a real browser: with and without a script, in both languages, and takes it back."""

import re
import uuid

import pytest
from playwright.sync_api import expect

from crm.access import Role
from tests.conftest import PASSWORD
from tests.imports.sheets import TITLES, csv_of, many
from tests.journeys.conftest import TWO
from tests.journeys.site import plain

in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@in_two_settings
@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_an_old_sheet_is_brought_in_and_taken_back(window, setting, site, javascript):
    word = uuid.uuid4().hex[:8]
    rows = [[*row[:5], f"Ruche {word} {row[0]}", *row[6:]] for row in many(120, seed=int(word, 16))]
    rows[3][1] = ""
    visit = window(
        site, setting.lang, setting.width, person=site.person(Role.COORDINATOR, setting.lang), javascript=javascript
    )
    w, page = visit.w, visit.page
    visit.go("/staff/cases")
    visit.link(w("Import")).click()
    sheet = {"name": "Suivi 2025.csv", "mimeType": "text/csv", "buffer": csv_of([TITLES, *rows], "cp1252")}
    page.get_by_label(w("The sheet")).set_input_files(sheet)
    visit.button(w("Read the sheet")).click()
    visit.check("import-columns", axe=javascript)
    expect(page.get_by_label("Prénom et nom")).to_have_value("name")
    page.get_by_label("Bailleur").select_option("")
    visit.button(w("Go on to the rehearsal")).click()
    visit.check("import-words", axe=javascript)
    visit.button(w("Rehearse the import")).click()
    _until_done(visit, w("Rehearsal"), w("What would be imported"), javascript)
    visit.check("import-rehearsal", axe=javascript)
    visit.says(visit.w.text("imports.fault.empty_name"))
    assert site.sql("SELECT count(*) FROM project WHERE name LIKE :name", name=f"Ruche {word}%") == [(0,)]
    page.get_by_label(w("Your password")).fill(PASSWORD)
    visit.button(w("Import")).click()
    assert visit.status == 422
    visit.says(w("Correct the sheet, or say that these rows are left out"))
    page.locator("[name=leave_out]").check()
    page.get_by_label(w("Your password")).fill(PASSWORD)
    page.keyboard.press("Enter")
    _until_done(visit, w("The import is under way"), w("What was imported"), javascript)
    visit.check("imported", axe=javascript)
    assert site.sql("SELECT count(*) FROM project WHERE name LIKE :name", name=f"Ruche {word}%") == [(119,)]
    visit.go(f"/staff/cases?q={word}&stage=all")
    visit.says(f"Ruche {word}")
    visit.back()
    visit.link(w("Take the import back…")).click()
    visit.check("import-undo", axe=javascript)
    visit.button(w("Take the import back")).click()
    _until_done(visit, w("The import is being taken back"), w("The import was taken back"), javascript)
    assert site.sql("SELECT count(*) FROM project WHERE name LIKE :name", name=f"Ruche {word}%") == [(0,)]


def _until_done(visit, under_way: str, title: str, javascript: bool) -> None:
    """The page goes on by itself; without a script, its button does."""
    heading = visit.page.get_by_role("heading", level=1)
    while not javascript:
        expect(heading).to_have_text(re.compile(f"^({re.escape(under_way)}|{re.escape(title)})$"))
        if plain(heading.inner_text()) == title:
            break
        with visit.page.expect_navigation():
            visit.button(visit.w("See how far it is")).click()
    expect(heading).to_have_text(title, timeout=30_000)
