"""Saved views: mine and the team's, one on which I begin, and none ever replaced silently."""

import re

from sqlalchemy import select

from crm.cases import saved
from crm.cases.models import SavedView
from tests.support.pages import words
from tests.support.typed import form_with

PAGE = "/staff/views"


def save(browser, address, status=303, **typed):
    """From a list, by its own button."""
    page = browser.get(address).text
    to_save = re.search(r'href="(/staff/views\?list=[^"]*)"', page)[1].replace("&amp;", "&")
    browser.get(to_save)
    action, form = form_with(browser.last.text, "name")
    return browser.post(action, form | typed, status=status)


def press(browser, name, verb, status=303):
    page = browser.get(PAGE).text
    action = re.search(rf'(?s)>{name}</a>.*?action="(/staff/views/\d+)"', page)[1]
    return browser.post(action, {"do": verb}, status=status)


def test_a_list_is_saved_with_its_filter_sort_and_columns(make, people, session, signed_in):
    make.case(owner=people.adviser, name="Outil")
    browser = signed_in(people.adviser)
    address = "/staff/cases?owner=me&language=fr&sort=step&cols=person%2Creceived"
    answer = save(browser, address, name="Mes urgences")
    assert answer.headers["Location"] == address
    told = words(browser.get("/staff/views?list=owner%3Dme%26stage%3Dnew%26language%3Dfr%26sort%3Dstep").text)
    assert "Nouvelle demande · Mes dossiers · Langue : Français · Prochaine étape la plus proche d’abord" in told
    page = browser.get(address).text
    assert re.search(r'filter--saved" href="[^"]+" aria-current="true">Mes urgences<', page)
    assert "Mes urgences" not in signed_in(people.other_adviser).get("/staff/cases").text
    # A board is saved as a board.
    answer = save(browser, "/staff/cases/board?owner=me", name="Mon tableau")
    assert answer.headers["Location"] == "/staff/cases/board?owner=me"
    assert "Mon tableau" in browser.get("/staff/cases").text


def test_no_view_is_replaced_silently(make, people, session, signed_in):
    browser = signed_in(people.adviser)
    save(browser, "/staff/cases?owner=me", name="La mienne")
    page = words(save(browser, "/staff/cases?owner=none", 409, name="la MIENNE").text)
    assert "Vous avez déjà une vue nommée « la MIENNE »." in page
    assert session.scalars(select(SavedView.query)).all() == ["owner=me"]
    assert "Donnez un nom à la vue" in words(save(browser, "/staff/cases?owner=none", 422, name=" ").text)
    (view,) = session.scalars(select(SavedView))
    save(browser, "/staff/cases?owner=none", name="", replace=f"{view.id}.{view.version}")
    session.expire_all()
    assert (view.query, view.version, view.name) == ("owner=none", 2, "La mienne")
    # Shown before it changed: nothing is replaced, and that is said.
    page = words(save(browser, "/staff/cases?late=step", 409, name="", replace=f"{view.id}.1").text)
    assert "Rien n’a été remplacé" in page
    session.expire_all()
    assert view.query == "owner=none"


def test_the_teams_views_are_seen_by_all_and_changed_by_their_owner_or_a_coordinator(make, people, session, signed_in):
    adviser, other, coordinator = (signed_in(one) for one in (people.adviser, people.other_adviser, people.coordinator))
    save(adviser, "/staff/cases?turn=body&sort=waiting", name="En attente", shared="y")
    assert "En attente" in other.get("/staff/cases").text
    (view,) = session.scalars(select(SavedView))
    assert 'value="remove"' not in other.get(PAGE).text
    other.post(f"{PAGE}/{view.id}", {"do": "remove"}, status=409)
    other.get(PAGE)
    other.post(f"{PAGE}/{view.id}", {"do": "burn"}, status=409)
    other.get(PAGE + "?list=owner%3Dme")
    action, form = form_with(other.last.text, "name")
    assert "Nothing was replaced" in words(other.post(action, form | {"replace": f"{view.id}.1"}, status=409).text)
    session.expire_all()
    assert view.query == "turn=body&sort=waiting"
    press(other, "En attente", "start")
    assert other.get("/staff/today/begin", status=302).headers["Location"] == "/staff/cases?turn=body&sort=waiting"
    press(coordinator, "En attente", "keep")
    other.get("/staff/cases")  # says once where they begin
    assert "En attente" not in other.get("/staff/cases").text
    assert other.get("/staff/today/begin", status=302).headers["Location"] == "/staff/today"
    other.post(f"{PAGE}/{view.id}", {"do": "start"}, status=404)


def test_one_view_is_where_i_begin(app, make, people, session, signed_in):
    browser = signed_in(people.adviser)
    save(browser, "/staff/cases?owner=me", name="Première", start="y")
    assert browser.get("/staff/today/begin", status=302).headers["Location"] == "/staff/cases?owner=me"
    save(browser, "/staff/cases/board?owner=me", name="Seconde", start="y")
    assert browser.get("/staff/today/begin", status=302).headers["Location"] == "/staff/cases/board?owner=me"
    assert browser.get(PAGE).text.count("Vous commencez ici") == 1
    press(browser, "Seconde", "stop")
    assert browser.get("/staff/today/begin", status=302).headers["Location"] == "/staff/today"
    press(browser, "Première", "start")
    press(browser, "Première", "remove")
    assert browser.get("/staff/today/begin", status=302).headers["Location"] == "/staff/today"
    assert [view.name for view in session.scalars(select(SavedView))] == ["Seconde"]


def test_what_an_address_makes_up_is_left_out_of_a_view(app, people, session):
    assert saved.canonical("owner=me&region=99&zzz=1&sort=up&after=abc&panel=filters") == "owner=me"
    assert saved.canonical("x" * 9000) == ""
    assert saved.canonical("q=%00%ud800&stage=all") in {"stage=all", "stage=all&q=%00%25ud800"}


def test_observers_have_no_views(people, signed_in):
    signed_in(people.observer).get(PAGE, status=404)
