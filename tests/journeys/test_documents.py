"""Documents in a real browser: added to a request in both languages, with and without script, and on the person's page; staff save them."""

import uuid

import pytest
from playwright.sync_api import expect

from crm.access import Role
from crm.cases.addresses import link_of
from crm.cases.models import Case, Contact
from crm.files.models import StoredFile
from crm.links.services import token as token_of
from tests.journeys.conftest import site_of_files, with_documents
from tests.journeys.site import plain
from tests.journeys.test_entrepreneur import answers, begin, fill, go_on, some_email
from tests.support import papers
from tests.support.asking import address

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PLAN = {"name": "Plan d’affaires.pdf", "mimeType": "application/pdf", "buffer": papers.pdf()}
PHOTO = {"name": "photo du quartier.JPG", "mimeType": "image/jpeg", "buffer": papers.jpeg((800, 600))}
SCRIPT = {"name": "formulaire.pdf", "mimeType": "application/pdf", "buffer": papers.pdf_with_script()}
LARGE = {"name": "gros.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-" + b"x" * 9_000_000}


@pytest.fixture(scope="module")
def taking(migrated, post, tmp_path_factory):
    """An installation that takes documents."""
    folder = tmp_path_factory.mktemp("documents")
    with_documents(folder)
    site = site_of_files(migrated, post, folder)
    yield site
    site.stop()


def choose(visit, *files):
    visit.site.forget_tries()
    visit.page.locator("#documents").set_input_files(list(files))


@pytest.mark.parametrize(
    ("lang", "width", "script"), [("fr", 360, True), ("en", 1280, True), ("fr", 1280, False), ("en", 360, False)]
)
def test_documents_come_with_the_request_and_leave_with_whoever_may_see_the_file(window, taking, lang, width, script):
    visit = window(taking, lang, width, javascript=script)
    other = "en" if lang == "fr" else "fr"
    page, email = visit.page, some_email("documents")
    begin(visit, lang)
    for code, given in answers(email, lang).items():
        if code == "choices":
            break
        fill(visit, given)
        go_on(visit)
    assert page.url.endswith("/documents")
    choose(visit, PLAN, SCRIPT)
    visit.button({"fr": "Ajouter", "en": "Add"}[lang]).click()
    assert visit.status == 422
    expect(page.locator(".error-summary")).to_contain_text("formulaire.pdf")
    expect(page.locator("main")).to_contain_text(PLAN["name"])
    if script:
        visit.check("documents-refused")
    choose(visit, PHOTO)
    visit.button({"fr": "English", "en": "Français"}[lang]).click()
    expect(page.locator("html")).to_have_attribute("lang", f"{other}-CA")
    expect(page.locator("main")).to_contain_text("photo du quartier.JPG")
    visit.button({"fr": "Français", "en": "English"}[lang]).click()
    expect(page.locator("html")).to_have_attribute("lang", f"{lang}-CA")
    choose(visit, LARGE, LARGE | {"name": "b.pdf"}, LARGE | {"name": "c.pdf"})
    visit.button({"fr": "Ajouter", "en": "Add"}[lang]).click()
    visit.says({"fr": "25\u00a0Mo au plus à la fois", "en": "25 MB at a time"}[lang])
    visit.go({"fr": "/fr/demande/documents", "en": "/en/request/documents"}[lang])
    go_on(visit)
    assert page.url.endswith(address("choices", lang))
    go_on(visit)
    expect(page.locator("main")).to_contain_text(PLAN["name"])
    expect(page.locator("main")).to_contain_text("photo du quartier.JPG")
    if script:
        visit.check("documents-checked")
    go_on(visit)
    with taking.inside() as session:
        case = session.query(Case).join(Case.contact).filter(Contact.email == email).one()
        reference, door = case.reference, token_of(link_of(case))
        kept = session.query(StoredFile).filter_by(case_id=case.id).all()
        assert sorted(one.name for one in kept) == [PLAN["name"], "photo du quartier.JPG"]

    # The person's own page: one more, and theirs to save.
    visit.site.forget_tries()
    visit.go(f"/{ {'fr': 'fr/mon-dossier/ouvrir', 'en': 'en/my-file/open'}[lang] }/{door}")
    go_on(visit)
    choose(visit, PLAN | {"name": "suite.pdf"})
    page.locator("form[enctype] button").click()
    expect(page.locator(".said")).to_be_visible()
    with page.expect_download() as saved:
        visit.link("suite.pdf").click()
    assert saved.value.suggested_filename == "suite.pdf"
    assert saved.value.path().read_bytes() == PLAN["buffer"]
    if script:
        visit.check("documents-page")

    # The team.
    staff = window(taking, lang, width, person=taking.person(Role.ADVISER, lang), javascript=script)
    staff.go(f"/staff/cases/{reference}")
    with staff.page.expect_download() as saved:
        staff.link(PLAN["name"]).first.click()
    assert saved.value.suggested_filename == PLAN["name"]
    expect(staff.page.locator(".timeline")).to_contain_text("suite.pdf")
    for folded in staff.page.locator("details.more", has=staff.page.locator("input[type=file]")).all():
        folded.locator("summary").click()
    staff.page.locator("#documents").set_input_files(
        [PLAN | {"name": f"{uuid.uuid4().hex}.docx", "buffer": papers.docx()}]
    )
    staff.page.locator("form[enctype] button").click()
    expect(staff.page.locator(".said")).to_be_visible()
    if script:
        staff.check("documents-file", open_all=True)


def test_what_staff_write_and_what_the_person_corrects(window, site_on_sqlite, post):
    """A message from the list of requests, by keyboard; a correction on the phone, confirmed in one press."""
    site = site_on_sqlite
    adviser, email = site.person(Role.ADVISER, "fr"), some_email("ecrire")
    name = f"Toile {uuid.uuid4().hex[:8]}"
    reference = site.case("fr", name, email=email)
    staff = window(site, "fr", 1280, person=adviser)
    page = staff.page
    staff.go("/staff/requests")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    row = page.locator("tr", has_text=name)
    for _ in range(page.locator("table[data-keys] tbody tr").count()):
        page.keyboard.press("j")
        if row.locator(":focus").count():
            break
    expect(row.locator(":focus")).to_have_count(1)
    page.keyboard.press("r")
    page.wait_for_url("**/message?from=requests")
    page.locator("#body").fill("Bonjour,\n\nÀ quel numéro vous joindre?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/staff/requests")
    expect(page.locator(".said")).to_contain_text(email)
    site.send_due()
    mail = plain(post.to(email)[-1].get_body(("plain",)).get_content())
    assert "À quel numéro vous joindre?" in mail
    person = window(site, "fr", 360)
    site.forget_tries()
    person.page.goto(next(word for word in mail.split() if "/ouvrir/" in word))
    go_on(person)
    person.says("À quel numéro vous joindre?")
    person.check("messages", axe=True)
    person.link("Pour vous joindre").click()
    person.page.locator("#phone").fill("438 555-0199, poste 7")
    person.check("correct")
    go_on(person)
    expect(person.page.locator(".said")).to_be_visible()
    staff.go(f"/staff/cases/{reference}")
    staff.check("to-confirm")
    page.locator(".to-confirm button[value=confirm]").click()
    expect(page.locator(".facts")).to_contain_text("438\u00a0555-0199, poste\u00a07")
    person.page.reload()
    person.says("confirmée")


def test_keys_can_be_switched_off_and_never_act_while_one_types(window, site_on_sqlite):
    site = site_on_sqlite
    site.case("fr", f"Touche {uuid.uuid4().hex[:8]}")
    staff = window(site, "fr", 1280, person=site.person(Role.ADVISER, "fr"))
    page = staff.page
    staff.go("/staff/requests")
    page.keyboard.press("j")
    page.keyboard.press("c")  # the form to close a request unfolds, and its first field is ready
    expect(page.locator("details.more[open] select").first).to_be_focused()
    before = page.url
    page.keyboard.type("jtro")
    assert page.url == before
    page.locator("[data-opens=keys]").click()
    page.locator("#keys input").uncheck()
    page.keyboard.press("Escape")
    staff.go("/staff/requests")
    page.keyboard.press("j")
    assert page.locator("table :focus").count() == 0
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_two_windows_on_one_request_lose_nothing(window, site_on_sqlite):
    visit = window(site_on_sqlite, "fr", 1280)
    begin(visit, "fr")
    visit.go(address("project", "fr"))
    second = visit.context.new_page()
    second.goto(visit.page.url)
    visit.page.locator("#description").fill("Écrit dans la première fenêtre, sans presser de bouton.")
    expect(visit.page.locator(".saved")).to_contain_text("enregistrées")
    second.locator("#description").fill("Écrit dans la seconde fenêtre, au même moment ou presque.")
    second.locator("main .button--main").click()
    expect(second.locator("main")).to_contain_text("Écrit dans la première fenêtre, sans presser de bouton.")
    expect(second.locator("#description")).to_have_value("Écrit dans la seconde fenêtre, au même moment ou presque.")
