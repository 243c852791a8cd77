"""The indicators as the team reads them: the rows they are made of, and from each number to exactly its files."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import update

from crm import clock
from crm import demo as demonstration
from crm.access import Role
from crm.activities.models import Activity
from crm.cases import services as cases
from crm.cases.models import CaseNeed, Project
from crm.cases.vocabulary import CheckResult, ClosingReason, NeedState, Stage
from crm.duplicates.services import merge
from crm.financing import services as financing
from crm.financing.rules import Status as Applied
from crm.financing.services import Decision, Facts
from crm.partners.vocabulary import Instrument
from crm.referrals import answers
from crm.referrals.outcomes import DeclineReason
from crm.reminders.services import complete, open_ones
from crm.summaries import queries
from crm.summaries.figures import NUMBERS, Rate, Table
from crm.summaries.periods import Period
from tests.support.pages import Pages, words
from tests.support.summaries import published

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
Q4 = Period.read("2026-q4")


@pytest.fixture
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


def now(session, period=Q4):
    session.commit()
    session.expire_all()
    return queries.all_figures(period)


def counts(figures, *names) -> dict[str, int]:
    return {name: figures[name].value for name in names}


def test_every_figure_is_of_one_of_the_twenty_four_and_each_of_them_has_some(session):
    assert list(queries.all_figures(Q4)) == list(NUMBERS)
    assert sorted(set(NUMBERS.values())) == list(range(1, 25))


def test_a_request_is_answered_talked_with_referred_and_closed(session, moment, make, people):
    case = make.case_at(Stage.PLANNING)
    referral = make.referral(case, make.body("cdrq"))
    moment.shift(timedelta(days=2))
    answers.accept(referral, "")
    declined = make.referral(case, make.body("caisse-solidaire"))
    answers.decline(declined, DeclineReason.CAPACITY, "")
    figures = now(session)
    assert counts(figures, "received", "exchanges", "sent", "sent_files", "assistance") == {
        "received": 1, "exchanges": 1, "sent": 2, "sent_files": 1, "assistance": 1,
    }  # fmt: skip
    assert figures["on_time"].percent == 100
    assert set(figures["sent_by_kind"].cells) == {"assistance", "financing"}
    assert figures["active"].cells["planning"].files == (case.id,)
    assert figures["no_next_step"].part.value == 0
    later = now(session, Q4.next)
    assert (later["accepted"].part.value, later["accepted"].whole.value) == (1, 2)
    two_later = now(session, Q4.next.next)
    assert two_later["body_reply"].value == 1, "two business days, and none"
    cases.advance(
        case, Stage.CLOSED, people.adviser, closing_reason=ClosingReason.PARTNER_OK, reason="Pris en charge", person_told="told"
    )  # fmt: skip
    figures = now(session)
    assert counts(figures, "closed", "received") == {"closed": 1, "received": 1}
    assert figures["active"].value == 0


@pytest.mark.parametrize("reason", [ClosingReason.SPAM, ClosingReason.ERROR])
def test_what_never_counts_is_told_apart_and_nowhere_else(session, moment, make, people, reason):
    case = make.case(owner=people.adviser)
    cases.advance(case, Stage.CLOSED, people.adviser, closing_reason=reason, reason="Indésirable")
    figures = now(session)
    assert dict(figures["left_out"].cells)[reason].files == (case.id,)
    others = {name: one for name, one in figures.items() if name != "left_out"}
    assert not [name for name, one in others.items() if not isinstance(one, Rate) and one.value]
    assert not [name for name, one in others.items() if isinstance(one, Rate) and one.whole.value]


def test_a_request_that_is_set_aside_does_not_count(session, moment, make):
    make.case().quarantined = True
    assert now(session)["received"].value == 0


def test_of_two_files_that_become_one_the_kept_one_counts(session, moment, make, people):
    gone, kept = make.case(owner=people.adviser), make.case_at(Stage.PLANNING)
    merge(gone, kept, people.coordinator)
    figures = now(session)
    assert figures["received"].files == (kept.id,)
    assert figures["active"].value == 1


def test_a_file_that_goes_back_and_forth_is_in_one_stage_and_enters_assistance_once(session, moment, make, people):
    case = make.case_at(Stage.PLANNING)
    referral = make.referral(case, make.body("cdrq"))
    answers.accept(referral, "")
    for stage in (*(Stage.REFERRED, Stage.PLANNING) * 5, Stage.REFERRED, Stage.ASSISTANCE):
        moment.shift(timedelta(hours=1))
        cases.advance(case, stage, people.adviser, reason="On y revient")
    figures = now(session)
    assert {name: cell.files for name, cell in figures["active"].cells.items()} == {"assistance": (case.id,)}
    assert figures["assistance"].files == (case.id,)
    assert now(session, Q4.next)["assistance"].value == 0


def test_money_needs_launches_and_activities(session, moment, make, people):
    case = make.case_at(Stage.PLANNING)
    application = financing.add(
        case, make.body("pme-mtl"), Applied.FILED, Facts(Instrument.GRANT, 2_000_000), people.adviser
    )
    financing.advance(application, case, Applied.GRANTED, Decision(1_500_000), people.adviser)
    refused = financing.add(case, make.body("fondaction"), Applied.FILED, Facts(Instrument.LOAN, 1), people.adviser)
    financing.advance(refused, case, Applied.REFUSED, Decision(), people.adviser)
    session.execute(
        update(Project).values(
            launched_on=date(2026, 11, 1), incorporated_on=date(2026, 10, 1), check_result=CheckResult.ACTIVE
        )
    )
    session.execute(update(CaseNeed).values(since=NOON - timedelta(days=90), state=NeedState.OPEN))
    needs = session.query(CaseNeed).count()
    session.add(
        Activity(
            form_key="k", received_at=NOON, reply_due_on=date(2026, 11, 27), language="fr", organization="Cégep", contact_name="Li",
            email="li@cegep.example", spoken="fr", kind="workshop", audiences=["students"], expected=20, month="", place="", message="",
            state="held", held_on=date(2026, 11, 20), participants=17, note="", version=1,
        )
    )  # fmt: skip
    figures = now(session)
    assert (figures["filed"].value, figures["filed"].cents) == (2, 2_000_000)
    assert (figures["granted"].value, figures["granted"].cents, figures["approval"].percent) == (1, 1_500_000, 50)
    assert counts(figures, "launched", "incorporated", "activities", "participants", "to_launch") == {
        "launched": 1, "incorporated": 1, "activities": 1, "participants": 17, "to_launch": 0,
    }  # fmt: skip
    assert needs
    assert figures["unmet"].part.value == figures["unmet"].whole.value == needs
    year_later = now(session, Period.read("2027-q4"))
    assert year_later["still_active"].percent == 100
    session.execute(update(CaseNeed).values(state=NeedState.ANSWERED, state_since=NOON))
    assert now(session)["unmet"].part.value == 0
    session.execute(update(CaseNeed).values(state=NeedState.REFERRED, state_since=NOON))
    assert now(session)["unmet"].part.value == needs, "sent somewhere, and nobody took it on"
    answers.accept(make.referral(case, make.body("cdrq")), "")
    assert now(session)["unmet"].part.value == 0


def test_every_figure_reads_in_both_languages_whatever_it_is(session, moment, make, people, signed_in):
    case = make.case_at(Stage.PLANNING)
    case.received_at = NOON - timedelta(days=40)
    session.execute(update(Project).values(launched_on=date(2026, 11, 1), incorporated_on=date(2026, 10, 1)))
    answers.accept(make.referral(case, make.body("cdrq")), "")
    session.commit()
    french = words(signed_in(people.adviser).get("/staff/summaries/2026-q4/indicators").text)
    assert "17 jours de calendrier" in french
    english = words(signed_in(people.other_adviser).get("/staff/summaries/2026-q4/indicators").text)
    assert "17 calendar days" in english
    assert "summaries." not in french + english


def test_a_follow_up_done_on_its_day_is_on_time(session, moment, make, people):
    case = make.case_at(Stage.PLANNING)
    [step] = open_ones(case)
    moment.move_to(clock.at_local(step.due_on, 10))
    complete(step, case, people.adviser, "")
    figures = now(session)
    assert case.id in figures["steps_on_time"].part.files


# --- from each number to its files -----------------------------------------------------------------------------------

LINK = re.compile(r'href="(/staff/summaries/[\w-]+/indicators/(\w+)(?:\?of=([\w%]+))?)">([^<]+)<')


@pytest.fixture
def team(app):
    said = []
    demonstration.load(app, cases=150, seed=3, say=said.append)
    email, password = re.search(r"^coordinator\s+(\S+@\S+)\s+(\S+)$", "\n".join(said), re.MULTILINE).groups()
    browser = Pages(app)
    browser.get("/staff/sign-in")
    browser.post("/staff/sign-in", {"email": email, "password": password})
    return browser


def test_each_number_leads_to_exactly_as_many_as_it_says(app, team):
    period = Period.of(clock.today()).previous
    page = team.get(f"/staff/summaries/{period.code}/indicators").text
    with app.app_context():
        figures = queries.all_figures(period)
    followed = set()
    for address, name, which, shown in LINK.findall(page):
        listed = words(team.get(address.replace("&amp;", "&")).text)
        in_all, files = (
            int(re.sub(r"\D", "", one))
            for one in re.search(r"([\d\s]+) en tout, dans ([\d\s]+) dossier", listed).groups()
        )
        one = figures[name]
        part = {"part": one.part, "whole": one.whole}[which] if isinstance(one, Rate) else one
        part = one.without if which == "without" else one.cells[which] if isinstance(one, Table) else part
        assert in_all == len(part.files), address
        assert files == len(set(part.files)), address
        if not isinstance(one, Rate) and "jour" not in shown:
            assert in_all == int(re.sub(r"\D", "", shown)), address
        followed.add(name)
    assert {"received", "by_region", "on_time", "active", "steps_on_time", "sent", "closed_by_reason"} <= followed


def test_the_files_of_a_number_are_those_that_one_may_see_and_the_rest_is_a_count(
    session, moment, make, people, signed_in
):
    seen, hidden = make.case(owner=people.adviser), make.case(owner=people.adviser, email="autre@exemple.ca")
    cases.restrict(hidden, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    page = words(signed_in(people.other_adviser).get("/staff/summaries/2026-q4/indicators/received").text)
    assert "2 in all, in 2 files. 1 of them is not yours to see" in page
    assert seen.reference in page
    assert hidden.reference not in page
    assert hidden.reference in words(signed_in(people.adviser).get("/staff/summaries/2026-q4/indicators/received").text)


@pytest.mark.parametrize(
    "address",
    [
        "nothing",
        "received?of=part",
        "on_time",
        "on_time?of=all",
        "by_region?of=99",
        "activities",
        "first_reply?of=part",
    ],
)
def test_a_number_that_is_none_leads_nowhere(session, moment, make, people, signed_in, address):
    make.case()
    session.commit()
    signed_in(people.adviser).get(f"/staff/summaries/2026-q4/indicators/{address}", 404)


def test_the_committee_reaches_neither_numbers_nor_files(session, moment, make, people, signed_in):
    make.case()
    session.commit()
    for address in ("indicators", "indicators/received"):
        signed_in(people.observer).get(f"/staff/summaries/2026-q4/{address}", 404)
    assert people.observer.role is Role.OBSERVER


def test_figures_published_in_the_first_form_are_not_told_beside_those_of_now(session, moment, make, people, signed_in):
    summary = published(Period.read("2026-q3"), people.coordinator, people.admin)
    summary.figures = {"received": 41, "stages": {"new": 3}, "sent": 7}
    session.commit()
    signed_in(people.coordinator).get("/staff/summaries/2026-q3/indicators")


def test_a_quarter_that_has_not_begun_has_none(moment, people, signed_in):
    signed_in(people.coordinator).get("/staff/summaries/2027-q1/indicators", 404)
    signed_in(people.coordinator).get("/staff/summaries/2026-q9/indicators", 404)
