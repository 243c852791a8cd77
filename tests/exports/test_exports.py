"""A list taken out: with a reason and a password, the files one may see and no other, in sheets that open whole and run nothing."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from crm import clock
from crm.cases.services import restrict, set_needs
from crm.cases.vocabulary import Need
from crm.exports import rows, views
from crm.exports.models import Export
from crm.tags import services as tags
from tests.conftest import PASSWORD
from tests.support.pages import words
from tests.support.typed import form_with


def ask(browser, listed="", status=303, **typed):
    browser.get("/staff/exports?list=" + listed.replace("=", "%3D").replace("&", "%26"))
    action, form = form_with(browser.last.text, "password")
    typed = {"reason": "Rencontre du comité", "password": browser.password} | typed
    return browser.post(action, form | typed, status=status)


def taken(browser, listed="", **typed):
    """The bytes of the file."""
    at = ask(browser, listed, **typed).headers["Location"]
    assert "Télécharger" in browser.get(at).text or "Download" in browser.last.text
    return browser.get(f"{at}/file")


def read_csv(answer, separator=";"):
    assert answer.data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig")), delimiter=separator))


@pytest.fixture
def browser(people, signed_in):
    return with_password(signed_in(people.adviser), people.adviser)


def with_password(browser, person):
    browser.password = PASSWORD
    return browser


def test_the_list_leaves_as_it_is_shown_with_its_filter_and_order(make, people, browser):
    first, second = make.case(owner=people.adviser, name="Éclair à vélo"), make.case(owner=people.adviser, name="Beta")
    make.case(owner=people.other_adviser, name="Pas à moi")
    hidden = make.case(owner=people.other_adviser, name="Caché")
    restrict(hidden, restricted=True, readers=[], actor=people.other_adviser)
    make.session.commit()
    answer = taken(browser, "owner=me&sort=old&cols=person,stage", kind="csv")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=dossiers-")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert read_csv(answer) == [
        ["Référence", "Projet", "Personne", "Étape"],
        [first.reference, "Éclair à vélo", "Nadia Benali", "Nouvelle demande"],
        [second.reference, "Beta", "Nadia Benali", "Nouvelle demande"],
    ]
    every = read_csv(taken(browser, "stage=all", kind="csv"))
    assert {row[1] for row in every[1:]} == {"Éclair à vélo", "Beta", "Pas à moi"}


def test_the_workbook_has_real_types_and_nothing_that_runs(make, people, session, browser):
    case = make.case(owner=people.adviser, name="Œuvre & <Île>")
    case.project.description = '=HYPERLINK("http://mechant.example";"clic")'
    case.contact.name, case.contact.phone = "@SUM(A1)", "+15145550142"
    set_needs(case, [Need.FORM, Need.TECH])
    tags.put_on(case, tags.named("Cohorte"), people.adviser)
    session.commit()
    answer = taken(browser, kind="xlsx", columns="all")
    book = load_workbook(io.BytesIO(answer.data))
    heads, row = list(book.active.iter_rows(values_only=True))
    found = dict(zip(heads, row, strict=True))
    assert found["Projet"] == "Œuvre & <Île>"
    assert found["Personne"] == "@SUM(A1)"
    assert found["Description"].startswith("=HYPERLINK")  # a text, with nothing before it
    assert found["Reçu"].date() == clock.today()
    assert found["Étiquettes"] == "Cohorte"
    assert len(found["Besoins"].split("; ")) == 2
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    line = dict(zip(*read_csv(taken(browser, kind="csv", columns="all")), strict=True))
    assert line["Description"].startswith("'=HYPERLINK")
    assert line["Personne"] == "'@SUM(A1)"
    assert line["Téléphone"].startswith("514")


def test_what_a_file_has_several_of_leaves_with_the_columns_that_show_it(make, people, session, browser):
    case = make.referral().case
    for name in ("Zèbre", "Écologie"):
        tags.put_on(case, tags.named(name), people.adviser)
    session.commit()
    heads, row = read_csv(taken(browser, "cols=body,tags", kind="csv"))
    assert heads == ["Référence", "Projet", "Mis en relation avec", "Étiquettes"]
    assert row[2:] == ["CDRQ", "Écologie; Zèbre"]


def test_a_password_and_a_reason_are_asked_and_tries_are_counted(make, people, session, browser):
    make.case(owner=people.adviser)
    page = words(ask(browser, status=422, reason="", password="").text)
    assert "Dites à quoi servira le fichier" in page
    assert "Ce n’est pas votre mot de passe" in words(ask(browser, status=422, password="faux").text)
    assert session.scalars(select(Export)).all() == []
    for _ in range(9):
        ask(browser, status=422, password="faux")
    assert "Trop d’essais" in words(ask(browser, status=429).text)


def test_advisers_take_short_lists_and_coordinators_read_the_log(
    make, people, session, browser, signed_in, monkeypatch
):
    monkeypatch.setattr(views, "MOST_OF_AN_ADVISER", 2)
    for place in range(3):
        make.case(owner=people.adviser, name=f"Projet {place}")
    assert "dépasse 2 dossiers" in words(browser.get("/staff/exports").text)
    coordinator = with_password(signed_in(people.coordinator), people.coordinator)
    answer = taken(coordinator, kind="csv")
    number = session.scalar(select(Export.id))
    assert len(read_csv(answer)) == 4
    assert session.get_one(Export, number).rows == 3
    log = words(coordinator.get("/staff/exports/log").text)
    assert "Rencontre du comité" in log
    browser.get("/staff/exports/log", status=404)
    # A form typed by hand does not go around it, and nobody fetches another's file.
    sent = {"list": "", "kind": "csv", "columns": "list", "reason": "x", "password": browser.password}
    browser.post("/staff/exports", sent, status=409)
    browser.get(f"/staff/exports/{number}/file", status=404)


def test_a_file_is_fetched_for_a_while_only(make, people, session, browser):
    make.case(owner=people.adviser)
    at = ask(browser).headers["Location"]
    (export,) = session.scalars(select(Export))
    export.at -= views.FETCHED_WITHIN + timedelta(minutes=1)
    session.commit()
    browser.get(f"{at}/file", status=410)
    assert "n’est plus disponible" in words(browser.get(at).text)


def test_a_list_that_grew_is_not_fetched_by_an_adviser(make, people, browser, monkeypatch):
    make.case(owner=people.adviser)
    at = ask(browser).headers["Location"]
    monkeypatch.setattr(views, "MOST_OF_AN_ADVISER", 0)
    assert "Trop de dossiers" in words(browser.get(f"{at}/file", status=409).text)


def test_long_lists_are_read_some_at_a_time_and_each_file_once(make, people, monkeypatch, browser):
    monkeypatch.setattr(rows, "AT_ONCE", 2)
    monkeypatch.setattr(rows, "READ_AT_ONCE", 3)
    names = {f"Projet {place}" for place in range(5)}
    for name in names:
        make.case(owner=people.adviser, name=name)
    found = read_csv(taken(browser, "sort=step", kind="csv"))
    assert sorted(row[1] for row in found[1:]) == sorted(names)


def test_a_list_of_nothing_is_heads_alone(people, browser):
    assert len(read_csv(taken(browser, "q=%25", kind="csv"))) == 1
    assert load_workbook(io.BytesIO(taken(browser, "stage=launched").data)).active.max_row == 1
