"""Needs with their state, the days that indicators need, and a history that says what was before."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from crm import clock
from crm.cases.models import CaseNeed
from crm.cases.progress import Dates, save_progress, states_of
from crm.cases.vocabulary import CheckResult, Need, NeedState, Stage
from crm.duplicates.services import merge, undo
from tests.support.pages import words
from tests.support.typed import form_with


def of(case, page="progress"):
    return f"/staff/cases/{case.reference}/{page}"


def send(browser, case, status=303, **typed):
    browser.get(of(case))
    action, form = form_with(browser.last.text, "launched_on")
    return browser.post(action, form | typed, status=status)


@pytest.fixture
def case(make, people):
    return make.case(owner=people.adviser)


def test_each_need_has_its_state_and_the_history_says_what_it_was(case, people, session, signed_in):
    browser = signed_in(people.adviser)
    send(browser, case, need_form="referred", need_zzz="open", need_funding="nonsense")
    assert states_of(case) == {Need.FORM: NeedState.REFERRED, Need.FUNDING: NeedState.OPEN}
    page = words(browser.get(f"/staff/cases/{case.reference}").text)
    assert "Choisir une forme juridique Mis en relation" in page
    assert "a changé l’état du besoin « Choisir une forme juridique » : À combler → Mis en relation" in page
    since = session.scalar(select(CaseNeed.state_since).where(CaseNeed.need == Need.FORM))
    assert since is not None


def test_dates_are_those_that_have_come_and_the_check_follows_the_launch(case, people, session, signed_in):
    browser = signed_in(people.adviser)
    today = clock.today()
    page = send(browser, case, 422, incorporated_on=str(today + timedelta(days=1)), launched_on="hier").text
    assert "Choisissez une date déjà passée" in words(page)
    assert 'value="hier"' in page
    assert "ou ni l’une ni l’autre" in words(send(browser, case, 422, checked_on=str(today)).text)
    answer = send(browser, case, 422, checked_on=str(today), check_result="active")
    assert "indiquez aussi la date du lancement" in words(answer.text)
    year = today - timedelta(days=370)
    send(browser, case, incorporated_on=str(year), launched_on=str(year), checked_on=str(today), check_result="active")
    session.refresh(case.project)
    assert (case.project.launched_on, case.project.check_result) == (year, CheckResult.ACTIVE)
    send(browser, case, launched_on=str(year + timedelta(days=2)))
    page = browser.get(f"/staff/cases/{case.reference}?show=facts").text
    assert "a inscrit une date pour le lancement" in words(page)
    assert " → " in words(page)
    assert "En activité" in words(page)


def test_who_saves_over_another_is_told_and_loses_nothing(case, people, session, signed_in):
    mine, theirs = signed_in(people.adviser), signed_in(people.other_adviser)
    mine.get(of(case))
    action, form = form_with(mine.last.text, "launched_on")
    day = str(clock.today() - timedelta(days=3))
    send(theirs, case, launched_on=day)
    page = mine.post(action, form | {"need_form": "answered", "incorporated_on": day}, status=409)
    assert f'value="{day}"' in page.text
    assert "Quelqu’un a modifié" in words(page.text)
    assert states_of(case)[Need.FORM] is NeedState.OPEN
    action, form = form_with(page.text, "launched_on")
    assert form["need_form"] == ["answered"]
    mine.post(action, form | {"launched_on": day}, status=303)
    session.refresh(case.project)
    assert case.project.incorporated_on == case.project.launched_on


def test_an_assessment_tells_what_changed_and_asks_why_once_something_was_decided(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    browser = signed_in(people.adviser)
    browser.get(of(case, "assessment"))
    _action, form = form_with(browser.last.text, "legal_form")
    action = of(case, "assessment")
    other = "npo" if case.project.legal_form != "npo" else "coop_work"
    page = browser.post(action, form | {"legal_form": other}, status=422)
    assert "Dites pourquoi" in words(page.text)
    browser.post(action, form | {"legal_form": other, "reason": "Vote du groupe"}, status=303)
    page = words(browser.get(f"/staff/cases/{case.reference}?show=facts").text)
    assert "Forme juridique : " in page
    assert "→ OBNL" in page or "→ Coopérative de travail" in page
    assert "Motif : Vote du groupe" in page
    # Words alone need no reason.
    browser.get(of(case, "assessment"))
    _action, form = form_with(browser.last.text, "legal_form")
    browser.post(action, form | {"summary": "Un nouveau résumé."}, status=303)


def test_a_merge_brings_dates_and_states_and_undoing_takes_them_back(make, people, session):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser, name="Outilthèque")
    day = clock.today() - timedelta(days=400)
    save_progress(
        gone,
        {Need.FORM: NeedState.REFERRED},
        Dates(day, day, clock.today(), CheckResult.STOPPED),
        seen_version=gone.project.version,
        actor=people.adviser,
    )
    session.commit()
    done = merge(gone, kept, people.coordinator)
    session.commit()
    session.refresh(kept.project)
    assert (kept.project.launched_on, kept.project.check_result) == (day, CheckResult.STOPPED)
    undo(done, people.coordinator)
    session.commit()
    session.refresh(kept.project)
    assert (kept.project.launched_on, kept.project.checked_on, kept.project.check_result) == (None, None, None)
