"""Applications for money: what they may become, what a package adds up to, and what follows a decision."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import select

from crm import clock
from crm.cases import services as cases
from crm.cases.queries import forgotten
from crm.cases.vocabulary import ClosingReason, Stage
from crm.duplicates.services import merge, undo
from crm.errors import RefusedError
from crm.financing import rules, services
from crm.financing.models import Application, FinancingPlan
from crm.financing.rules import Line, Status
from crm.financing.services import Decision, Facts
from crm.partners.vocabulary import Instrument
from crm.reminders.services import cancel, open_ones
from crm.timeline.models import Event
from tests.support.pages import words

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
ALLOWED = {
    "considered": "preparing filed dropped",
    "preparing": "filed dropped",
    "filed": "granted refused dropped",
    "granted": "disbursed dropped",
    "refused": "",
    "dropped": "",
    "disbursed": "",
}
GRANT = Facts(Instrument.GRANT, 5_000_000)


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def file(make):
    return make.case_at(Stage.PLANNING)


def steps(case) -> list[tuple[str, str, str]]:
    wanted = {"check_decision", "money_decided"}
    return [(one.rule, one.reason, one.due_on.isoformat()) for one in open_ones(case) if one.rule in wanted]


# --- pure ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ALLOWED)
@pytest.mark.parametrize("to", ALLOWED)
def test_an_application_becomes_only_what_the_reference_lets_it(origin, to):
    assert rules.may_become(Status(origin), Status(to)) is (to in ALLOWED[origin].split())
    assert [one.value for one in Status] == list(ALLOWED)


@pytest.mark.parametrize(
    ("budget", "own", "lines", "granted", "pending", "gap", "uncovered"),
    [
        (None, None, [], 0, 0, None, None),
        (100, None, [], 0, 0, 100, 100),
        (100, 20, [Line(Status.GRANTED, 50, 30)], 30, 0, 50, 50),
        (100, 20, [Line(Status.DISBURSED, 50, 30)], 30, 0, 50, 50),
        (100, 20, [Line(Status.FILED, 50)], 0, 50, 30, 80),
        (100, 20, [Line(Status.CONSIDERED, 50), Line(Status.PREPARING, None)], 0, 50, 30, 80),
        (100, 20, [Line(Status.REFUSED, 50), Line(Status.DROPPED, 50, 40)], 0, 0, 80, 80),
        (100, 80, [Line(Status.GRANTED, 50, 50)], 50, 0, -30, -30),
    ],
)
def test_what_a_package_adds_up_to(budget, own, lines, granted, pending, gap, uncovered):
    found = rules.package(budget, own, lines)
    assert (found.granted, found.pending, found.gap, found.uncovered) == (granted, pending, gap, uncovered)


AMOUNT = some.integers(min_value=0, max_value=10**12)
LINES = some.lists(
    some.builds(Line, some.sampled_from(Status), some.none() | AMOUNT, some.none() | AMOUNT), max_size=12
)


@given(some.none() | AMOUNT, some.none() | AMOUNT, LINES)
def test_the_parts_of_a_package_are_a_whole(budget, own, lines):
    found = rules.package(budget, own, lines)
    shares = rules.shares(found)
    assert all(0 < share <= 1 for _name, share in shares)
    assert not shares or abs(sum(share for _name, share in shares) - 1) < 1e-9
    if found.gap is not None:
        assert found.own + found.granted + found.pending + found.gap == budget


@given(
    some.dictionaries(some.integers(1, 6), some.none() | some.integers(1, 6), max_size=6),
    some.integers(1, 6),
    some.integers(1, 6),
)
def test_no_circle_of_waiting_is_ever_let_in(waits, one, on):
    """From chains without a circle, one more link that is let in makes none."""

    def circles(chain):
        for start in chain:
            seen, at = set(), start
            while at is not None and at not in seen:
                seen.add(at)
                at = chain.get(at)
            if at is not None and at == start:
                return True
        return False

    if circles(waits):
        return
    assert circles(waits | {one: on}) is rules.would_circle(waits, one, on)


# --- writing down, and what follows ----------------------------------------------------------------------------------


def test_a_decision_that_is_due_is_looked_for_two_business_days_later(file, make, people, session):
    body = make.body("caisse-solidaire")
    facts = Facts(Instrument.LOAN, 2_000_000, decision_due_on=date(2026, 12, 4))  # a Friday
    application = services.add(file, body, Status.FILED, facts, people.adviser)
    assert steps(file) == [("check_decision", "Caisse d’économie solidaire – Prêt", "2026-12-08")]
    assert application.filed_on == clock.today()
    later = Facts(Instrument.LOAN, 2_500_000, decision_due_on=date(2026, 12, 11))
    assert services.change(application, file, later, seen_version=application.version, actor=people.adviser)
    assert steps(file) == [("check_decision", "Caisse d’économie solidaire – Prêt", "2026-12-15")]
    services.advance(application, file, Status.GRANTED, Decision(2_400_000, "Mise de fonds de 20 %"), people.adviser)
    session.commit()
    assert steps(file) == []
    assert (application.granted, application.decided_on, application.conditions) == (
        2_400_000,
        clock.today(),
        "Mise de fonds de 20 %",
    )
    assert not forgotten(people.coordinator)


@pytest.mark.parametrize("decided", [Status.GRANTED, Status.REFUSED, Status.DROPPED])
def test_those_that_wait_for_a_decision_are_told_and_those_decided_are_not(file, make, people, session, decided):
    first = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    waits = Facts(Instrument.LOAN, 100, waits_for_id=first.id)
    services.add(file, make.body("caisse-solidaire"), Status.PREPARING, waits, people.adviser)
    gone = services.add(file, make.body("fondaction"), Status.FILED, waits, people.adviser)
    services.advance(gone, file, Status.DROPPED, Decision(), people.adviser)
    assert steps(file) == []
    services.advance(first, file, decided, Decision(1), people.adviser)
    session.commit()
    assert steps(file) == [("money_decided", "Caisse d’économie solidaire – Prêt", "2026-11-25")]


def test_what_is_no_move_is_refused_and_changes_nothing(file, make, people, session):
    application = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    session.commit()
    with pytest.raises(RefusedError, match="ne peut pas devenir"):
        services.advance(application, file, Status.DISBURSED, Decision(1), people.adviser)
    with pytest.raises(RefusedError, match="montant"):
        services.advance(application, file, Status.GRANTED, Decision(), people.adviser)
    assert (application.status, application.granted) == (Status.FILED, None)
    for status in set(Status) - set(rules.BEGUN):
        with pytest.raises(RefusedError):
            services.add(file, make.body("pme-mtl"), status, GRANT, people.adviser)


def test_an_application_waits_for_one_of_its_own_file_and_never_in_a_circle(file, make, people, session):
    one = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    two = services.add(
        file, make.body("fondaction"), Status.FILED, Facts(Instrument.LOAN, 1, waits_for_id=one.id), people.adviser
    )
    other = make.case_at(Stage.PLANNING)
    stranger = services.add(other, make.body("fondaction"), Status.FILED, GRANT, people.adviser)
    for on in (one.id, two.id, stranger.id, 10**6):
        facts = Facts(Instrument.GRANT, 1, waits_for_id=on)
        with pytest.raises(RefusedError, match="dépendre"):
            services.change(one, file, facts, seen_version=one.version, actor=people.adviser)
    with pytest.raises(RefusedError, match="dépendre"):
        services.add(
            file, make.body("cdrq"), Status.FILED, Facts(Instrument.GRANT, 1, waits_for_id=stranger.id), people.adviser
        )


def test_a_closed_file_takes_no_application(file, make, people):
    cases.advance(
        file, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.WITHDRAWN, person_told="told"
    )
    with pytest.raises(RefusedError):
        services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)


def test_merging_brings_applications_along_and_undoing_takes_them_back(make, people, session):
    kept, gone = make.case_at(Stage.PLANNING), make.case_at(Stage.PLANNING)
    body = make.body("pme-mtl")
    mine = services.add(kept, body, Status.FILED, GRANT, people.coordinator)
    theirs = services.add(gone, body, Status.FILED, GRANT, people.coordinator)
    services.save_plan(gone, seen_version=0, budget=10, own=1, actor=people.coordinator)
    session.commit()
    done = merge(gone, kept, people.coordinator)
    session.commit()
    assert [one.id for one in services.of_case(kept)] == [mine.id, theirs.id]
    assert services.plan_of(kept).budget == 10
    services.change(
        mine,
        kept,
        Facts(Instrument.GRANT, 1, waits_for_id=theirs.id),
        seen_version=mine.version,
        actor=people.coordinator,
    )
    session.commit()
    undo(done, people.coordinator)
    session.commit()
    session.expire_all()
    assert [one.id for one in services.of_case(gone)] == [theirs.id]
    assert services.plan_of(kept) is None
    assert mine.waits_for_id is None


# --- the pages -------------------------------------------------------------------------------------------------------


def page_of(case) -> str:
    return f"/staff/cases/{case.reference}/financing"


@pytest.mark.parametrize(
    ("who", "typed", "budget"),
    [("adviser", "50 000,00 $", 5_000_000), ("adviser", "$50,000", 5_000_000), ("other_adviser", "1234.5", 123_450)],
)
def test_amounts_are_read_as_people_write_them(file, people, signed_in, session, who, typed, budget):
    browser = signed_in(getattr(people, who))
    browser.get(page_of(file))
    browser.post(f"{page_of(file)}/plan", {"version": "0", "budget": typed, "own": ""})
    assert session.scalars(select(FinancingPlan)).one().budget == budget


def test_from_the_first_idea_to_the_payment_on_one_screen(file, make, people, signed_in, session):
    body = make.body("pme-mtl")
    adviser = signed_in(people.adviser)
    adviser.get(page_of(file))
    adviser.post(page_of(file), {"asked": "beaucoup"}, status=422)
    adviser.get(page_of(file))
    typed = {
        "body": str(body.id),
        "instrument": "grant",
        "status": "filed",
        "asked": "50 000",
        "decision_due_on": "2026-12-18",
    }
    adviser.post(page_of(file), typed)
    adviser.get(page_of(file))
    adviser.post(f"{page_of(file)}/plan", {"version": "0", "budget": "90 000 $", "own": "10 000 $"})
    shown = words(adviser.get(page_of(file)).text)
    assert "il manquerait 30 000 $" in shown
    application = session.scalars(select(Application)).one()
    one = f"{page_of(file)}/{application.id}"
    adviser.get(one)
    adviser.post(f"{one}/move", {"to": "granted"}, status=422)
    adviser.get(one)
    adviser.post(
        f"{one}/move",
        {"to": "granted", "amount": "45 000", "conditions": "Avant l’été", "on": "2026-11-30"},
        status=422,
    )
    adviser.get(one)
    adviser.post(
        f"{one}/move", {"to": "granted", "amount": "45 000", "conditions": "Avant l’été", "expires_on": "2027-06-01"}
    )
    shown = words(adviser.get(one).text)
    assert "45 000 $" in shown
    assert "Avant l’été" in shown
    adviser.post(f"{one}/move", {"to": "disbursed", "amount": "45 000"})
    session.expire_all()
    assert (application.status, application.disbursed) == (Status.DISBURSED, 4_500_000)
    assert "PME MTL" in words(adviser.get(f"/staff/cases/{file.reference}").text)
    kinds = session.scalars(select(Event.kind).where(Event.kind.startswith("financing.")).order_by(Event.id)).all()
    assert kinds == ["financing.added", "financing.planned", "financing.moved", "financing.moved"]


def test_two_who_save_at_once_are_told_and_nothing_is_lost(file, make, people, signed_in, session):
    application = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    session.commit()
    one, other = signed_in(people.adviser), signed_in(people.coordinator)
    address = f"{page_of(file)}/{application.id}"
    one.get(address)
    other.get(address)
    version = str(application.version)
    one.post(f"{address}/facts", {"version": version, "instrument": "loan", "asked": "1"})
    refused = other.post(f"{address}/facts", {"version": version, "instrument": "grant", "asked": "77 777"}, status=409)
    assert "77 777" in refused.text
    session.expire_all()
    assert (application.instrument, application.asked) == (Instrument.LOAN, 100)
    one.get(page_of(file))
    other.get(page_of(file))
    one.post(f"{page_of(file)}/plan", {"version": "0", "budget": "10"})
    refused = other.post(f"{page_of(file)}/plan", {"version": "0", "budget": "88 888"}, status=409)
    assert "88 888" in refused.text
    session.expire_all()
    assert session.scalars(select(FinancingPlan)).one().budget == 1000


def test_a_second_press_of_the_same_move_is_refused(file, make, people, signed_in, session):
    application = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    session.commit()
    adviser = signed_in(people.adviser)
    address = f"{page_of(file)}/{application.id}"
    adviser.get(address)
    adviser.post(f"{address}/move", {"to": "refused", "conditions": "Hors programme"})
    adviser.get(address)
    again = adviser.post(f"{address}/move", {"to": "refused", "conditions": "Hors programme cette année"}, status=409)
    assert "Hors programme cette année" in again.text, "what was typed comes back"
    assert session.scalars(select(Event).where(Event.kind == "financing.moved")).all()[1:] == []


def test_the_financing_of_a_restricted_file_is_not_found(file, make, people, signed_in, session):
    application = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    cases.restrict(file, restricted=True, readers=[], actor=people.adviser)
    mine = make.case(owner=people.other_adviser)
    session.commit()
    stranger = signed_in(people.other_adviser)
    for address in (page_of(file), f"{page_of(file)}/{application.id}", f"{page_of(mine)}/{application.id}"):
        stranger.get(address, 404)
    for verb in ("", "/plan", f"/{application.id}/facts", f"/{application.id}/move"):
        stranger.get("/staff/today")
        stranger.post(f"{page_of(file)}{verb}", {"to": "dropped"}, status=404)
    session.expire_all()
    assert application.status is Status.FILED
    assert clock.now() - NOON < timedelta(days=1)


def test_a_grant_and_a_loan_of_one_body_are_looked_for_each_on_its_day(file, make, people, session):
    body = make.body("pme-mtl")
    grant = services.add(file, body, Status.FILED, Facts(Instrument.GRANT, 1, date(2026, 12, 4)), people.adviser)
    loan = services.add(file, body, Status.FILED, Facts(Instrument.LOAN, 2, date(2026, 12, 11)), people.adviser)
    assert [day for _rule, _about, day in steps(file)] == ["2026-12-08", "2026-12-15"]
    services.advance(grant, file, Status.REFUSED, Decision(), people.adviser)
    assert [day for _rule, _about, day in steps(file)] == ["2026-12-15"]
    assert services.change(
        loan, file, Facts(Instrument.LOAN, 99, date(2026, 12, 11)), seen_version=loan.version, actor=people.adviser
    )
    assert [day for _rule, _about, day in steps(file)] == ["2026-12-15"], "the amount alone moves no date"


def test_a_file_that_only_waited_for_a_decision_is_not_forgotten_with_it(file, make, people, session):
    application = services.add(
        file, make.body("pme-mtl"), Status.FILED, Facts(Instrument.GRANT, 1, date(2026, 12, 4)), people.adviser
    )
    for one in open_ones(file):
        if one.rule != "check_decision":
            cancel(one, file, people.adviser)
    blank = Facts(Instrument.GRANT, 1)
    assert services.change(application, file, blank, seen_version=application.version, actor=people.adviser)
    assert open_ones(file)
    assert services.change(
        application,
        file,
        Facts(Instrument.GRANT, 1, date(2026, 12, 4)),
        seen_version=application.version,
        actor=people.adviser,
    )
    for one in open_ones(file):
        if one.rule != "check_decision":
            cancel(one, file, people.adviser)
    services.advance(application, file, Status.REFUSED, Decision(), people.adviser)
    session.commit()
    assert open_ones(file)
    assert not forgotten(people.coordinator)


def test_the_same_written_down_twice_in_a_moment_is_one(file, make, people, moment):
    body = make.body("pme-mtl")
    services.add(file, body, Status.FILED, GRANT, people.adviser)
    with pytest.raises(RefusedError, match="vient d’être inscrite"):
        services.add(file, body, Status.FILED, GRANT, people.adviser)
    services.add(file, body, Status.FILED, Facts(Instrument.GRANT, 1), people.adviser)
    moment.shift(timedelta(minutes=11))
    services.add(file, body, Status.FILED, GRANT, people.adviser)


@pytest.mark.parametrize("verb", ["plan", "change", "advance"])
def test_nothing_is_written_on_a_file_that_closed_meanwhile(file, make, people, session, verb):
    application = services.add(file, make.body("pme-mtl"), Status.FILED, GRANT, people.adviser)
    cases.advance(
        file, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.WITHDRAWN, person_told="told"
    )
    session.commit()
    verbs = {
        "plan": lambda: services.save_plan(file, seen_version=0, budget=1, own=1, actor=people.adviser),
        "change": lambda: services.change(
            application, file, GRANT, seen_version=application.version, actor=people.adviser
        ),
        "advance": lambda: services.advance(application, file, Status.REFUSED, Decision(), people.adviser),
    }
    with pytest.raises(RefusedError):
        verbs[verb]()
