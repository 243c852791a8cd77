"""Technical assistance, the search for money and the launch: what is true before a file gets there. Domain reference, sections 14.1 and 14.2."""

from datetime import date

import pytest

from crm.cases import services as cases
from crm.cases.vocabulary import Stage
from crm.errors import RefusedError
from crm.financing import services as financing
from crm.financing.rules import Status
from crm.partners.queries import by_code
from crm.partners.vocabulary import Instrument
from crm.referrals import answers
from crm.reminders.services import open_ones
from tests.support.pages import words

LOAN = financing.Facts(Instrument.LOAN, 5_000_000)


def refused(case, to, who, reason=""):
    with pytest.raises(RefusedError) as told:
        cases.advance(case, to, who, reason=reason)
    return str(told.value)


@pytest.fixture
def helped(make, people, session):
    """A file that an organization helps."""
    referral = make.referral()
    cases.advance(referral.case, Stage.REFERRED, people.adviser)
    answers.accept(referral, "")
    cases.advance(referral.case, Stage.ASSISTANCE, people.adviser)
    session.commit()
    return referral.case


def test_assistance_asks_for_an_acceptance_unless_the_team_itself_helps(make, people, session):
    referral = make.referral()
    cases.advance(referral.case, Stage.REFERRED, people.adviser)
    session.commit()
    assert "accepté" in refused(referral.case, Stage.ASSISTANCE, people.adviser)
    direct = make.case_at(Stage.PLANNING)
    cases.advance(direct, Stage.ASSISTANCE, people.adviser)
    session.commit()
    assert direct.stage is Stage.ASSISTANCE
    assert "check_in" in {one.rule for one in open_ones(direct)}


@pytest.mark.parametrize("status", [Status.PREPARING, Status.FILED])
def test_looking_for_money_asks_for_an_application_that_is_under_way(helped, people, session, status):
    assert "demande de financement" in refused(helped, Stage.FINANCING, people.adviser)
    financing.add(helped, by_code("risq"), Status.CONSIDERED, LOAN, people.adviser)
    session.commit()
    assert "demande de financement" in refused(helped, Stage.FINANCING, people.adviser)
    financing.add(helped, by_code("evol"), status, LOAN, people.adviser)
    session.commit()
    cases.advance(helped, Stage.FINANCING, people.adviser)
    session.commit()
    assert helped.stage is Stage.FINANCING


def test_an_application_that_was_dropped_is_none(helped, people, session):
    one = financing.add(helped, by_code("risq"), Status.PREPARING, LOAN, people.adviser)
    financing.advance(one, helped, Status.DROPPED, financing.Decision(), people.adviser)
    session.commit()
    assert "demande de financement" in refused(helped, Stage.FINANCING, people.adviser)


def test_a_launch_has_a_date_and_an_organization_or_a_word_of_why_not(helped, people, session):
    told = refused(helped, Stage.LAUNCHED, people.adviser)
    assert "date de lancement" in told
    assert "date de constitution" in told
    helped.project.launched_on = date(2026, 11, 1)
    session.commit()
    assert "date de constitution" in refused(helped, Stage.LAUNCHED, people.adviser)
    cases.advance(helped, Stage.LAUNCHED, people.adviser, reason="Le groupe opère sous une coopérative existante")
    session.commit()
    assert helped.stage is Stage.LAUNCHED
    assert "launch_check" in {one.rule for one in open_ones(helped)}


@pytest.mark.parametrize("incorporated", [True, date(2026, 6, 1)])
def test_an_organization_that_is_incorporated_launches_without_a_word(helped, people, session, incorporated):
    helped.project.launched_on = date(2026, 11, 1)
    helped.project.incorporated = incorporated is True or None
    helped.project.incorporated_on = None if incorporated is True else incorporated
    session.commit()
    cases.advance(helped, Stage.LAUNCHED, people.adviser)
    assert helped.stage is Stage.LAUNCHED


def test_a_file_that_was_paused_there_is_taken_up_again_with_nothing_more(helped, people, session):
    one = financing.add(helped, by_code("risq"), Status.PREPARING, LOAN, people.adviser)
    cases.advance(helped, Stage.FINANCING, people.adviser)
    cases.advance(helped, Stage.PAUSED, people.adviser, reason="Attente", return_on=date(2027, 1, 15))
    financing.advance(one, helped, Status.DROPPED, financing.Decision(), people.adviser)
    cases.advance(helped, Stage.FINANCING, people.adviser)
    session.commit()
    assert helped.stage is Stage.FINANCING


def test_the_page_of_a_file_offers_the_late_stages_and_says_what_is_missing(helped, people, signed_in):
    browser = signed_in(people.adviser)
    page = words(browser.get(f"/staff/cases/{helped.reference}").text)
    for stage in ("Recherche de financement", "Suivi après lancement"):
        assert stage in page, stage
    told = browser.post(f"/staff/cases/{helped.reference}/move", {"to": "financing", "seen": "assistance"}, status=409)
    assert "demande de financement" in words(told.text)
