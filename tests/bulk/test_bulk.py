"""One thing asked of many files: of those chosen and no other, looked at first, each once, what was refused told, taken back where it can be."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.bulk import services
from crm.bulk.actions import actions
from crm.bulk.models import BulkItem, BulkRun, ItemState, RunState
from crm.cases.filters import Filter
from crm.cases.models import Case
from crm.cases.services import advance, assign, restrict
from crm.cases.vocabulary import ClosingReason, Stage
from crm.errors import RefusedError
from crm.outbox.models import Message
from crm.portal.models import StaffMessage
from crm.reminders.models import FollowUp, State
from crm.tags import services as tags
from crm.tags.models import CaseTag, Tag
from tests.support.pages import words
from tests.support.typed import form_with


def choose(browser, *cases, listed="", which="ticked"):
    """From the list, as its form sends it; the address of the run."""
    sent = {"list": listed, "which": which, "file": [case.reference for case in cases]}
    return browser.post("/staff/bulk", sent, status=303).headers["Location"]


def ask(browser, run, do, status=303, **typed):
    browser.get(f"{run}?do={do}")
    action, form = form_with(browser.last.text, "do")
    return browser.post(action, form | typed, status=status)


def done(browser, run, do, **typed):
    """Asked, looked at, done; the words of the page of what came of it."""
    ask(browser, run, do, **typed)
    begin(browser, run)
    return words(browser.get(run).text)


def begin(browser, run):
    """The button of the page of what would happen; where there is none, its address alone."""
    stamp = re.search(r'name="stamp" value="([^"]+)"', browser.get(run).text)
    browser.post(f"{run}/begin", {"stamp": stamp[1] if stamp else ""}, status=303)


def states(session, run):
    number = int(run.rsplit("/", 1)[1])
    session.expire_all()
    found = session.scalars(select(BulkItem).where(BulkItem.run_id == number).order_by(BulkItem.place))
    return [item.state for item in found]


@pytest.fixture
def three(make, people):
    return [make.case(owner=people.adviser, name=f"Projet {name}") for name in ("Alpha", "Bêta", "Gamma")]


# --- choosing --------------------------------------------------------------------------------------------------------


def test_all_that_match_are_those_of_the_list_and_only_those_one_may_see(three, make, people, session, signed_in):
    hidden = make.case(owner=people.other_adviser, name="Caché")
    restrict(hidden, restricted=True, readers=[], actor=people.other_adviser)
    make.case(name="À personne")
    session.commit()
    browser = signed_in(people.adviser)
    page = browser.get("/staff/cases?owner=me").text
    assert "tous les dossiers de la liste (3)" in words(page)
    assert page.count('name="file"') == 3
    run = choose(browser, listed="owner=me", which="all")
    assert "3 dossiers choisis" in words(browser.get(run).text)
    # A file that is not theirs, typed in by hand, is not chosen; nor is one that does not exist.
    run = choose(browser, three[0], hidden)
    assert len(states(session, run)) == 1
    assert "Aucun dossier n’est choisi" in words(browser.post("/staff/bulk", {"file": ["x"]}, status=409).text)
    assert "Aucun dossier" in words(browser.post("/staff/bulk", {"which": "all", "list": "q=%25"}, status=409).text)


def test_a_run_is_of_the_one_who_asked(three, people, signed_in):
    run = choose(signed_in(people.adviser), *three)
    for other in (people.other_adviser, people.coordinator):
        browser = signed_in(other)
        browser.get(run, status=404)
        browser.post(f"{run}/begin", {}, status=404)


def test_too_many_are_refused_in_words(three, people, signed_in, monkeypatch):
    monkeypatch.setattr(services, "MOST", 2)
    answer = signed_in(people.adviser).post("/staff/bulk", {"which": "all", "list": ""}, status=409)
    assert "Plus de 2 dossiers" in words(answer.text)


# --- asking and doing ------------------------------------------------------------------------------------------------


def test_assigning_says_first_what_would_happen_then_does_it_and_takes_it_back(three, make, people, session, signed_in):
    theirs = make.case(owner=people.other_adviser, name="Déjà à lui")
    closed = make.case(owner=people.adviser, name="Fermé")
    advance(closed, Stage.CLOSED, people.adviser, reason="Pub", closing_reason=ClosingReason.SPAM)
    session.commit()
    nobodys = make.case(name="À personne")
    browser = signed_in(people.adviser)
    run = choose(browser, *three, theirs, closed, nobodys)
    assert "Choisissez une personne" in words(ask(browser, run, "assign", 422, to="").text)
    ask(browser, run, "assign", to=str(people.other_adviser.id))
    page = words(browser.get(run).text)
    assert f"Confier à {people.other_adviser.name} · 6 dossiers" in page
    assert "4 seraient modifiés" in page
    assert "2 seraient laissés tels quels" in page
    assert f"{people.other_adviser.name} en est déjà responsable. (1)" in page
    assert states(session, run) == [ItemState.TODO] * 6  # nothing is done by looking
    stamp = re.search(r'name="stamp" value="([^"]+)"', browser.get(run).text)[1]
    for _ in range(2):  # pressed twice
        browser.post(f"{run}/begin", {"stamp": stamp}, status=303)
    page = words(browser.get(run).text)
    assert "4 modifiés" in page
    assert "2 laissés tels quels" in page
    session.expire_all()
    assert {case.owner_id for case in (*three, theirs, nobodys)} == {people.other_adviser.id}
    browser.post(f"{run}/undo", {}, status=303)
    page = words(browser.get(run).text)
    assert "3 annulés" in page
    assert "1 n’a pas pu être annulé" in page
    assert "Personne n’en était responsable avant" in page
    session.expire_all()
    assert {case.owner_id for case in three} == {people.adviser.id}
    assert nobodys.owner_id == people.other_adviser.id
    assert "Confier à" in words(browser.get("/staff/bulk").text)


def test_a_file_changed_meanwhile_is_left_alone_and_told(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    ask(browser, run, "assign", to=str(people.other_adviser.id))
    browser.get(run)
    assign(three[1], people.coordinator, people.coordinator)
    session.commit()
    begin(browser, run)
    assert states(session, run) == [ItemState.DONE, ItemState.REFUSED, ItemState.DONE]
    assert three[1].owner_id == people.coordinator.id
    assert "Le dossier a changé depuis que vous l’avez choisi" in words(browser.get(run).text)
    # And what changed since is not undone.
    assign(three[0], people.coordinator, people.coordinator)
    session.commit()
    browser.post(f"{run}/undo", {}, status=303)
    assert states(session, run) == [ItemState.KEPT, ItemState.REFUSED, ItemState.UNDONE]
    assert three[0].owner_id == people.coordinator.id


def test_a_follow_up_is_planned_for_whoever_is_responsible_and_cancelled(three, make, people, session, signed_in):
    nobodys = make.case(name="À personne")
    browser = signed_in(people.coordinator)
    run = choose(browser, *three, nobodys)
    typed = {"title": "Inviter à l’assemblée", "reason": "Rencontre annuelle", "due_on": "1999-01-01", "owner": ""}
    ask(browser, run, "follow_up", 422, **typed)
    page = done(browser, run, "follow_up", **typed | {"due_on": str(clock.today() + timedelta(days=20))})
    assert "4 modifiés" in page
    planned = session.scalars(select(FollowUp).where(FollowUp.title == typed["title"]).order_by(FollowUp.case_id)).all()
    assert [one.owner_id for one in planned] == [people.adviser.id] * 3 + [people.coordinator.id]
    browser.post(f"{run}/undo", {}, status=303)
    session.expire_all()
    assert {one.state for one in planned} == {State.CANCELLED}


def test_files_are_tagged_and_untagged(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    assert "écrivez-en une nouvelle" in words(ask(browser, run, "tag", 422, new="").text)
    page = done(browser, run, "tag", new="Cohorte 2026")
    assert "3 modifiés" in page
    assert session.scalar(select(func.count()).select_from(CaseTag)) == 3
    again = choose(browser, *three)
    number = str(session.scalar(select(CaseTag.tag_id).limit(1)))
    assert "3 seraient laissés tels quels" in done(browser, again, "tag", tag=number)  # and nothing to press
    off = choose(browser, three[0])
    assert "1 modifié" in done(browser, off, "untag", tag=number)
    browser.post(f"{off}/undo", {}, status=303)
    browser.post(f"{run}/undo", {}, status=303)
    assert session.scalar(select(func.count()).select_from(CaseTag)) == 0


def test_moves_follow_each_files_own_rules(three, make, people, session, signed_in):
    discovery = make.case_at(Stage.DISCOVERY)
    browser = signed_in(people.adviser)
    run = choose(browser, *three, discovery)
    ask(browser, run, "move", to="paused", reason="Congé", return_on=str(clock.today() + timedelta(days=30)))
    page = words(browser.get(run).text)
    assert "1 serait modifié" in page
    begin(browser, run)
    session.expire_all()
    assert discovery.stage is Stage.PAUSED
    assert {case.stage for case in three} == {Stage.NEW}
    assert "3 laissés tels quels" in words(browser.get(run).text)
    browser.post(f"{run}/undo", {}, status=303)
    session.expire_all()
    assert discovery.stage is Stage.DISCOVERY


def test_files_are_closed_with_their_reason_and_that_is_not_undone_together(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    advance(three[2], Stage.CONTACT, people.adviser)
    session.commit()
    page = done(browser, run, "close", closing_reason="out_area", reason="Hors de Montréal", person_told="told")
    assert "2 modifiés" in page
    assert "Annuler dans" not in page
    session.expire_all()
    assert [case.stage for case in three] == [Stage.CLOSED, Stage.CLOSED, Stage.CONTACT]
    browser.post(f"{run}/undo", {}, status=409)


def test_each_person_receives_the_message_in_their_language_with_their_own_facts(make, people, session, signed_in):
    french = make.case(owner=people.adviser, name="Vélos")
    english = make.case(owner=people.adviser, name="Bikes", language="en")
    silent = make.case(owner=people.adviser, name="Sans courriel", email="")
    browser = signed_in(people.adviser)
    run = choose(browser, french, english, silent)
    before = session.scalar(select(func.count()).select_from(Message))
    assert "au moins une langue" in words(ask(browser, run, "message", 422, fr="", en="").text)
    assert "{prenom}" in words(ask(browser, run, "message", 422, fr="Bonjour {prenom}", en="").text)
    ask(browser, run, "message", fr="Bonjour {nom}, au sujet de {projet}.\n{signature}", en="")
    page = words(browser.get(run).text)
    assert "1 serait modifié" in page
    assert "n’a pas de texte en anglais. (1)" in page
    assert "pas d’adresse courriel au dossier. (1)" in page
    page = done(
        browser, run, "message", fr="Bonjour {nom}, au sujet de {projet}.\n{signature}", en="Hello {name}: {file}"
    )
    assert "2 modifiés" in page
    sent = {one.case_id: one.body for one in session.scalars(select(StaffMessage))}
    assert sent == {
        french.id: f"Bonjour Nadia Benali, au sujet de Vélos.\n{people.adviser.name}",
        english.id: f"Hello Nadia Benali: {english.reference}",
    }
    assert session.scalar(select(func.count()).select_from(Message)) == before + 2
    browser.post(f"{run}/undo", {}, status=409)


# --- interrupted, refused, forged ------------------------------------------------------------------------------------


def test_what_was_interrupted_is_carried_on_by_the_worker_and_no_file_is_done_twice(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    ask(browser, run, "follow_up", title="Appeler", reason="Nouvelles", due_on=str(clock.today()), owner="")
    number = int(run.rsplit("/", 1)[1])
    services.begin(session.get_one(BulkRun, number))
    session.commit()
    assert services._one(number)  # and the process dies here
    assert states(session, run) == [ItemState.DONE, ItemState.TODO, ItemState.TODO]
    assert "Dossiers traités : 1 sur 3" in words(browser.get(run).text)
    assert services.run_waiting() == 1
    assert services.run_waiting() == 0
    assert states(session, run) == [ItemState.DONE] * 3
    assert session.scalar(select(func.count()).where(FollowUp.title == "Appeler")) == 3
    assert session.get_one(BulkRun, number).state is RunState.DONE
    told = browser.post(f"{run}/on", {}, status=200, headers={"Accept": "application/json"}).json
    assert told["ended"]
    assert told["done"] == 3


def test_one_file_that_fails_does_not_hold_up_the_others(three, people, session, signed_in, monkeypatch, caplog):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    ask(browser, run, "assign", to=str(people.other_adviser.id))

    second = three[1].id

    def fail(case, *_):
        raise ZeroDivisionError if case.id == second else RefusedError("non")

    broken = replace(actions()["assign"], do=fail)
    monkeypatch.setattr(services, "actions", lambda: {"assign": broken})
    begin(browser, run)
    page = words(browser.get(run).text)
    assert "3 laissés tels quels" in page
    assert "Une erreur est survenue" in page
    session.expire_all()
    assert {case.owner_id for case in three} == {people.adviser.id}
    assert "ZeroDivisionError" in caplog.text


def test_who_left_the_team_changes_nothing_more(three, people, session, signed_in):
    run = choose(signed_in(people.other_adviser), *three)
    browser = signed_in(people.other_adviser)
    ask(browser, run, "tag", new="Trop tard")
    services.begin(session.get_one(BulkRun, int(run.rsplit("/", 1)[1])))
    people.other_adviser.active = False
    session.commit()
    services.run_waiting()
    assert states(session, run) == [ItemState.REFUSED] * 3


def test_strange_requests_get_a_page(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    browser.get(f"{run}?do=zzz")
    browser.post(f"{run}/ask", {"do": "zzz"}, status=303)
    begin(browser, run)  # nothing was asked
    assert states(session, run) == [ItemState.TODO] * 3
    browser.post(f"{run}/undo", {}, status=409)
    browser.get("/staff/bulk/999999", status=404)
    done(browser, run, "tag", new="x")
    action = f"{run}/ask"
    assert "déjà lancé" in words(browser.post(action, {"do": "tag", "new": "y"}, status=409).text)


def test_old_drafts_are_forgotten(three, people, session, signed_in):
    run = choose(signed_in(people.adviser), *three)
    kept = session.get_one(BulkRun, int(run.rsplit("/", 1)[1]))
    assert services.forget_old() == 0
    kept.made_at -= services.DRAFTS_FOR + timedelta(hours=1)
    session.commit()
    assert services.forget_old() == 1
    session.commit()
    assert session.scalar(select(func.count()).select_from(BulkItem)) == 0
    assert session.scalar(select(func.count()).select_from(Case)) == 3


def test_a_filter_is_read_as_the_list_reads_it(three, people, session):
    with pytest.raises(RefusedError):
        services.choose_all(Filter(q="%"), people.adviser, "")
    with pytest.raises(RefusedError):
        services.choose_all(Filter(), people.observer, "")
    assert services.choose_all(Filter(q="beta proj", facets=(("language", ("fr",)),)), people.adviser, "").total == 1
    assert not re.search("[A-Z]", services.choose_all(Filter(), people.adviser, "owner=me").come_from)


def test_a_list_too_long_to_be_read_is_refused_rather_than_widened(three, people, signed_in):
    browser = signed_in(people.adviser)
    sent = {"which": "all", "list": "&".join(f"x{n}=1" for n in range(4000)) + "&owner=me"}
    assert "trop longue" in words(browser.post("/staff/bulk", sent, status=409).text)


def test_what_is_done_is_what_was_looked_at(three, people, session, signed_in):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    ask(browser, run, "tag", new="Vu")
    stamp = re.search(r'name="stamp" value="([^"]+)"', browser.get(run).text)[1]
    ask(browser, run, "close", closing_reason="spam", reason="Autre fenêtre", person_told="")
    browser.post(f"{run}/begin", {"stamp": stamp}, status=303)
    assert states(session, run) == [ItemState.TODO] * 3


def test_a_filter_that_no_longer_exists_widens_nothing(three, people, session, signed_in):
    tag = tags.named("Éphémère")
    tags.put_on(three[0], tag, people.adviser)
    session.commit()
    browser = signed_in(people.adviser)
    listed = f"tag={tag.id}"
    tags.remove(tag)
    session.commit()
    answer = browser.post("/staff/bulk", {"which": "all", "list": listed}, status=409)
    assert "n’existe plus" in words(answer.text)
    assert session.scalar(select(func.count(BulkRun.id))) == 0


def test_the_number_of_a_removed_tag_is_never_anothers(session, people):
    first = tags.named("Première").id
    tags.remove(session.get_one(Tag, first))
    session.commit()
    assert tags.named("Seconde").id != first


def test_a_file_that_met_anothers_change_is_tried_once_more(three, people, session, signed_in, monkeypatch):
    browser = signed_in(people.adviser)
    run = choose(browser, *three)
    ask(browser, run, "tag", new="Deux à la fois")
    real, met = actions()["tag"], []

    def meets(case, form, actor, key):
        if not met:
            met.append(case.id)
            raise IntegrityError("INSERT", {}, Exception("tag.key"))
        return real.do(case, form, actor, key)

    monkeypatch.setattr(services, "actions", lambda: {"tag": replace(real, do=meets)})
    begin(browser, run)
    assert states(session, run) == [ItemState.DONE] * 3
