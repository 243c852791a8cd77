"""Tags: put on a file, taken off, renamed, removed; lists are narrowed by them; a colleague's change stays done."""

import re

import pytest
from sqlalchemy import func, select

from crm.cases.models import Case
from crm.cases.services import restrict
from crm.duplicates.services import merge, undo
from crm.errors import RefusedError
from crm.tags import services
from crm.tags.models import CaseTag, Tag
from tests.support.pages import words
from tests.support.typed import form_with


def of(case):
    return f"/staff/cases/{case.reference}/tags"


def tag(browser, case, status=303, **typed):
    browser.get(of(case))
    action, form = form_with(browser.last.text, "new")
    return browser.post(action, form | typed, status=status)


def numbers(session):
    return {one.name: str(one.id) for one in session.scalars(select(Tag))}


def test_a_file_is_tagged_and_lists_are_narrowed_by_it(make, people, session, signed_in):
    case, other = make.case(owner=people.adviser), make.case(owner=people.adviser, name="Vélos du Nord")
    browser = signed_in(people.adviser)
    tag(browser, case, new="  Économie   circulaire ")
    number = numbers(session)["Économie circulaire"]
    page = browser.get(f"/staff/cases/{case.reference}").text
    assert f'href="/staff/cases?tag={number}">Économie circulaire<' in page
    assert "a ajouté l’étiquette « Économie circulaire »" in words(page)
    listed = words(browser.get(f"/staff/cases?tag={number}").text)
    assert "Outilthèque de Rosemont" in listed
    assert "Vélos du Nord" not in listed
    assert "Étiquette : Économie circulaire" in listed
    # The same word, however it is written, is the same tag.
    tag(browser, other, new="economie CIRCULAIRE")
    assert session.scalar(select(func.count(Tag.id))) == 1
    tag(browser, other, carried=[])
    assert session.scalars(select(CaseTag.case_id)).all() == [case.id]
    assert "a retiré l’étiquette" in words(browser.get(f"/staff/cases/{other.reference}").text)


def test_what_a_colleague_did_meanwhile_stays_done(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    mine, theirs = signed_in(people.adviser), signed_in(people.other_adviser)
    tag(mine, case, new="Santé")
    tag(mine, case, new="Rosemont")
    mine.get(of(case))
    action, form = form_with(mine.last.text, "new")
    tag(theirs, case, new="Urgent")
    tag(theirs, case, carried=[numbers(session)["Urgent"], numbers(session)["Rosemont"]])  # Santé is taken off
    mine.post(action, form | {"carried": [numbers(session)["Santé"]]}, status=303)  # Rosemont is unticked
    names = session.scalars(select(Tag.name).join(CaseTag).where(CaseTag.case_id == case.id))
    assert list(names) == ["Urgent"]


def test_names_that_cannot_be_are_refused_and_kept(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.adviser)
    assert "Raccourcissez" in words(tag(browser, case, 422, new="x" * 41).text)
    assert "Donnez à l’étiquette un nom" in words(tag(browser, case, 409, new="́").text)
    tag(browser, case, new="<b>Gras</b>")
    assert "&lt;b&gt;Gras&lt;/b&gt;" in browser.get(f"/staff/cases/{case.reference}").text
    for place in range(services.MOST_ON_A_FILE - 1):
        services.put_on(case, services.named(f"mot {place}"), people.adviser)
    with pytest.raises(RefusedError):
        services.put_on(case, services.named("un de trop"), people.adviser)
    assert "20 étiquettes au plus" in words(tag(browser, case, 409, new="encore").text)
    browser.post(of(case), {"carried": ["x", "999999"], "shown": "a,b", "new": ""}, status=303)
    assert session.scalar(select(func.count()).select_from(CaseTag)) == services.MOST_ON_A_FILE


def test_coordinators_rename_and_remove_tags(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser, coordinator = signed_in(people.adviser), signed_in(people.coordinator)
    tag(adviser, case, new="Sante")
    tag(adviser, case, new="Vélo")
    ids = numbers(session)
    assert 'name="seen"' not in adviser.get("/staff/tags").text
    adviser.post(f"/staff/tags/{ids['Sante']}", {"name": "X", "seen": "1"}, status=404)
    adviser.post(f"/staff/tags/{ids['Sante']}/remove", {}, status=404)
    address = f"/staff/tags/{ids['Sante']}"
    coordinator.post(address, {"name": "Santé", "seen": "1"}, status=303)
    assert "Santé" in adviser.get(f"/staff/cases/{case.reference}").text
    page = coordinator.post(address, {"name": "Autre", "seen": "1"}, status=409).text
    assert 'value="Autre"' in page
    assert "se nomme déjà" in words(coordinator.post(address, {"name": "velo", "seen": "2"}, status=422).text)
    coordinator.post(address, {"name": " ", "seen": "2"}, status=422)
    coordinator.post(f"/staff/tags/{ids['Vélo']}/remove", {}, status=303)
    assert list(numbers(session)) == ["Santé"]
    coordinator.post("/staff/tags/4242/remove", {}, status=404)
    assert "Vélo" in words(adviser.get(f"/staff/cases/{case.reference}").text)  # its history keeps the name


def test_a_restricted_file_is_tagged_by_its_readers_only(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    restrict(case, restricted=True, readers=[people.adviser.id], actor=people.coordinator)
    session.commit()
    tag(signed_in(people.adviser), case, new="Discret")
    assert re.search(r"Discret \D*1\b", words(signed_in(people.adviser).get("/staff/tags").text))
    assert re.search(r"Discret \D*0\b", words(signed_in(people.other_adviser).get("/staff/tags").text))
    signed_in(people.other_adviser).get(of(case), status=404)
    signed_in(people.observer).get("/staff/tags", status=404)


def test_a_merge_brings_the_tags_and_undoing_takes_them_back(make, people, session):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser, name="Outilthèque")
    both, theirs = services.named("Les deux"), services.named("La leur")
    services.put_on(kept, both, people.adviser)
    for one in (both, theirs):
        services.put_on(gone, one, people.adviser)
    session.commit()
    done = merge(gone, kept, people.coordinator)
    session.commit()
    assert services.of_case(kept) == {both.id, theirs.id}
    undo(done, people.coordinator)
    session.commit()
    assert services.of_case(kept) == {both.id}
    assert services.of_case(gone) == {both.id, theirs.id}
    assert session.scalar(select(func.count(Case.id))) == 2
