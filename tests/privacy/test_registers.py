"""The registers of the law: a request is answered by its day and nobody forgets it, an incident closes once it was assessed, and the annex counts them."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import ClosingReason
from crm.desk.digest import queue_digests
from crm.feature import plugged
from crm.intake import services as intake
from crm.intake.models import Request
from crm.outbox.models import Message
from crm.permissions.models import Consent, Purpose
from crm.portal.models import Correction, CorrectionState
from crm.privacy import services
from crm.privacy.models import Incident, Outcome, Right, RightsRequest, Risk
from crm.privacy.rules import answer_by
from crm.referrals import services as referrals
from tests.support.pages import words
from tests.support.typed import form_with

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
PAGE, ANNEX = "/staff/privacy", "/staff/summaries/2026-q4/annex"


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture(autouse=True)
def in_english(people, session):
    for one in (people.coordinator, people.adviser, people.admin):
        one.language = "en"
    session.commit()


def asked(browser, status=303, **typed):
    """The form of a request, sent as a person does."""
    form = form_with(browser.get(f"{PAGE}/requests/new").text, "person")[1]
    form |= {"received_on": "2026-11-20", "asked": "access", "person": "Ada Roy, ada@exemple.ca"}
    return browser.post(f"{PAGE}/requests/new", form | typed, status=status)


def happened(browser, status=303, **typed):
    form = form_with(browser.get(f"{PAGE}/incidents/new").text, "information")[1]
    form |= {
        "learned_on": "2026-11-20",
        "information": "Noms et courriels",
        "circumstances": "Envoi au mauvais organisme",
    }
    return browser.post(f"{PAGE}/incidents/new", form | typed, status=status)


def save(browser, kind, number, status=303, **typed):
    address = f"{PAGE}/{kind}/{number}"
    field = "person" if kind == "requests" else "information"
    return browser.post(f"{address}/save", form_with(browser.get(address).text, field)[1] | typed, status=status)


@pytest.mark.parametrize(
    ("received", "due"), [("2026-11-20", "2026-12-20"), ("2027-02-01", "2027-03-03"), ("2028-02-01", "2028-03-02")]
)
def test_a_request_is_answered_within_thirty_days_of_the_calendar(received, due):
    assert answer_by(date.fromisoformat(received)) == date.fromisoformat(due)


def test_a_request_is_written_down_answered_and_kept(session, people, signed_in, make):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.coordinator)
    where = asked(browser, reference=case.reference.lower()).headers["Location"]
    found = session.scalars(select(RightsRequest)).one()
    assert (found.case_id, found.due_on, found.asked) == (case.id, date(2026, 12, 20), Right.ACCESS)
    assert "entered a personal information request in the register" in words(
        signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text
    )
    page = words(browser.get(where).text)
    assert "To be answered by December 20, 2026." in page
    save(browser, "requests", found.id, answered_on="2026-11-24", outcome="granted")
    session.expire_all()
    assert (found.answered_on, found.outcome, found.version) == (clock.today(), Outcome.GRANTED, 2)
    page = words(browser.get(PAGE).text)
    assert "No request is waiting for an answer." in page
    assert "Granted 2026-11-24" in page


def test_a_form_pressed_twice_is_one_entry(session, people, signed_in):
    browser = signed_in(people.coordinator)
    form = form_with(browser.get(f"{PAGE}/requests/new").text, "person")[1]
    form |= {"received_on": "2026-11-20", "asked": "deletion", "person": "Ada"}
    for _ in range(2):
        browser.post(f"{PAGE}/requests/new", form)
    assert session.scalars(select(RightsRequest.version)).all() == [1]
    browser.post(f"{PAGE}/requests/new", form | {"person": "Bea"})  # gone back, corrected and sent again
    found = session.scalars(select(RightsRequest)).one()
    assert (found.person, found.version) == ("Bea", 2)
    page = browser.post(f"{PAGE}/requests/new", form | {"person": "Cléa"}, status=409).text  # gone back once more
    assert "Cléa" in page
    incident = form_with(browser.get(f"{PAGE}/incidents/new").text, "information")[1]
    incident |= {"learned_on": "2026-11-20", "information": "Noms", "circumstances": "Perte"}
    for circumstances in ("Perte", "Perte", "Vol"):
        browser.post(f"{PAGE}/incidents/new", incident | {"circumstances": circumstances})
    assert session.scalars(select(Incident.circumstances)).all() == ["Vol"]


def test_a_form_that_is_corrected_wrongly_and_then_rightly_is_saved(session, people, signed_in):
    browser = signed_in(people.coordinator)
    form = form_with(browser.get(f"{PAGE}/requests/new").text, "person")[1]
    form |= {"received_on": "2026-11-20", "asked": "deletion", "person": "Ada"}
    browser.post(f"{PAGE}/requests/new", form)
    page = browser.post(f"{PAGE}/requests/new", form | {"person": ""}, status=422).text
    number = session.scalar(select(RightsRequest.id))
    browser.post(f"{PAGE}/requests/{number}/save", form_with(page, "person")[1] | {"person": "Adèle"})
    session.expire_all()
    assert session.get(RightsRequest, number).person == "Adèle"


def test_saving_twice_changes_nothing_the_second_time(session, people, signed_in):
    browser = signed_in(people.coordinator)
    number = int(asked(browser).headers["Location"].rpartition("/")[2])
    address = f"{PAGE}/requests/{number}"
    form = form_with(browser.get(address).text, "person")[1] | {"note": "Rappelée"}
    for _ in range(2):
        browser.post(f"{address}/save", form)
    session.expire_all()
    assert session.get(RightsRequest, number).version == 2


def test_earlier_entries_are_on_later_pages(session, people, signed_in):
    for number in range(services.SHOWN + 1):
        services.write_request(
            services.Asked(clock.today(), Right.ACCESS, f"Ada {number}.", "", "", clock.today(), Outcome.GRANTED, ""),
            None, key=f"a{number}", actor=people.admin,
        )  # fmt: skip
        done = services.Happened(
            clock.today(), "", f"Noms {number}.", "x", None, Risk.NONE, "x", None, None, "", "", clock.today()
        )
        services.write_incident(done, key=f"a{number}", actor=people.admin)
    session.commit()
    browser = signed_in(people.coordinator)
    page = browser.get(PAGE).text
    assert "Ada 0." not in page
    assert "Noms 0." not in page
    for register, oldest in (("requests", "Ada 0."), ("incidents", "Noms 0.")):
        found = re.search(rf'href="([^"]+{register}=\d+)"', page)
        assert oldest in browser.get(found[1]).text
    browser.get(f"{PAGE}?requests=x&incidents=-1")


def test_what_cannot_be_is_said_in_words_and_nothing_is_lost(session, people, signed_in, make):
    hidden = make.case(owner=people.adviser)
    cases.restrict(hidden, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    browser = signed_in(people.coordinator)
    for wrong, said in (
        ({"received_on": "2026-11-25"}, "Choose today or an earlier date"),
        ({"received_on": ""}, "Choose a date"),
        ({"person": " "}, "Write who is asking"),
        ({"reference": "PCC-0000-0000"}, "Check the reference: no file has it"),
        ({"reference": hidden.reference}, "Check the reference: no file has it"),
        ({"answered_on": "2026-11-19", "outcome": "granted"}, "This day is before the one on which it was known"),
        ({"answered_on": "2026-11-21"}, "Say what the outcome is"),
        ({"outcome": "granted"}, "Choose a date"),
        ({"answered_on": "2026-11-21", "outcome": "partly"}, "Write the reasons for the refusal"),
        ({"answered_on": "2026-11-21", "outcome": "refused"}, "Write the reasons for the refusal"),
    ):
        page = asked(browser, 422, note="Ce que j’ai écrit", **wrong).text
        assert said in words(page), wrong
        assert "Ce que j’ai écrit" in page
    assert session.scalar(select(func.count()).select_from(RightsRequest)) == 0


def test_two_who_write_at_once_lose_nothing(session, people, signed_in):
    browser = signed_in(people.coordinator)
    number = int(asked(browser).headers["Location"].rpartition("/")[2])
    address = f"{PAGE}/requests/{number}"
    mine = form_with(browser.get(address).text, "person")[1]
    save(signed_in(people.admin), "requests", number, note="De l’autre")
    page = browser.post(f"{address}/save", mine | {"note": "De moi"}, status=409).text
    assert "Somebody changed this entry meanwhile" in words(page)
    assert "De moi" in page
    session.expire_all()
    assert session.get(RightsRequest, number).note == "De l’autre"
    browser.post(f"{address}/save", form_with(page, "person")[1])
    session.expire_all()
    assert session.get(RightsRequest, number).note == "De moi"


def test_who_coordinates_may_not_see_the_file_and_takes_it_off_by_no_mistake(session, people, signed_in, make):
    case = make.case(owner=people.adviser)
    browser = signed_in(people.coordinator)
    number = int(asked(browser, reference=case.reference).headers["Location"].rpartition("/")[2])
    cases.restrict(case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    assert case.reference not in browser.get(f"{PAGE}/requests/{number}").text
    assert "is of a file that you cannot see" in words(browser.last.text)
    other = make.case(owner=people.coordinator)
    save(browser, "requests", number, note="Rappelée", reference=other.reference)
    session.expire_all()
    assert (session.get(RightsRequest, number).case_id, session.get(RightsRequest, number).note) == (
        case.id,
        "Rappelée",
    )


def test_an_incident_closes_once_it_was_assessed_and_the_commission_was_told(session, people, signed_in):
    browser = signed_in(people.coordinator)
    number = int(happened(browser, people="1 200").headers["Location"].rpartition("/")[2])
    for wrong, said in (
        ({"closed_on": "2026-11-24"}, "To close the incident, first say whether"),
        ({"closed_on": "2026-11-24", "risk": "none"}, "To close the incident, first say whether"),
        (
            {"closed_on": "2026-11-24", "risk": "serious", "grounds": "Numéros d’assurance"},
            "Enter the date the Commission was notified",
        ),
        ({"commission_on": "2026-11-25"}, "Choose today or an earlier date"),
        ({"commission_on": "2026-11-19"}, "This day is before the one on which it was known"),
        (
            {"closed_on": "2026-11-19", "risk": "none", "grounds": "x"},
            "This day is before the one on which it was known",
        ),
        ({"people": "beaucoup"}, "people"),
    ):
        assert said in words(save(browser, "incidents", number, 422, **wrong).text), wrong
    done = {"closed_on": "2026-11-24", "risk": "serious", "grounds": "NAS", "commission_on": "2026-11-21"}
    save(browser, "incidents", number, **done)
    session.expire_all()
    found = session.get(Incident, number)
    assert (found.people, found.risk, found.closed_on) == (1200, Risk.SERIOUS, clock.today())
    assert "No incident is open." in words(browser.get(PAGE).text)


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        ("incident", "closed_on = '2026-11-24'"),
        ("incident", "closed_on = '2026-11-24', risk = 'none'"),
        ("incident", "closed_on = '2026-11-24', risk = 'serious', grounds = 'x'"),
        ("incident", "closed_on = '2026-11-01', risk = 'none', grounds = 'x'"),
        ("rights_request", "answered_on = '2026-11-24', outcome = 'partly'"),
        ("rights_request", "answered_on = '2026-11-24'"),
        ("rights_request", "answered_on = '2026-11-24', outcome = 'refused'"),
    ],
)
def test_the_database_refuses_what_the_law_does(session, people, table, changed):
    actor = people.coordinator
    services.write_request(
        services.Asked(clock.today(), Right.ACCESS, "Ada", "", "", None, None, ""), None, key="a", actor=actor
    )
    services.write_incident(
        services.Happened(clock.today(), "", "Noms", "Perte", None, Risk.ASSESSING, "", None, None, "", "", None),
        key="b", actor=actor,
    )  # fmt: skip
    session.commit()
    with pytest.raises(IntegrityError):
        session.execute(text(f"UPDATE {table} SET {changed}"))
    session.rollback()


def test_nobody_else_opens_the_registers_or_the_annex(people, signed_in):
    for who in (people.adviser, people.observer):
        browser = signed_in(who)
        for address in (PAGE, f"{PAGE}/requests/new", f"{PAGE}/incidents/new", ANNEX):
            browser.get(address, 404)
    browser = signed_in(people.coordinator)
    browser.get(ANNEX.replace("q4", "q9"), 404)
    browser.get("/staff/summaries/2027-q4/annex", 404)
    for number in (0, 99, 2**31):
        browser.get(f"{PAGE}/requests/{number}", 404)
        browser.get(f"{PAGE}/incidents/{number}", 404)


def test_a_request_that_waits_is_on_the_start_page_and_from_the_fifteenth_day_in_the_mail(
    session, people, signed_in, moment
):
    browser = signed_in(people.coordinator)
    number = int(asked(browser, received_on="2026-11-24").headers["Location"].rpartition("/")[2])
    assert "See their information, or get a copy 2026-12-24" in words(browser.get("/staff/today").text)
    assert "See their information" not in words(signed_in(people.adviser).get("/staff/today").text)

    def told() -> set[str]:
        queue_digests()
        session.commit()
        read = select(Message).where(Message.kind == "desk.digest", Message.body.contains("/staff/privacy"))
        return {one.to_address for one in session.scalars(read)}

    moment.move_to(clock.at_local(date(2026, 12, 8), 9))  # the fourteenth day
    assert told() == set()
    moment.move_to(clock.at_local(date(2026, 12, 9), 9))
    assert told() == {people.coordinator.email, people.admin.email}
    body = session.scalars(select(Message.body).where(Message.body.contains("/staff/privacy")).limit(1)).one()
    assert "Ada" not in body
    session.execute(text("DELETE FROM message"))
    browser = signed_in(people.coordinator)
    save(browser, "requests", number, answered_on="2026-12-09", outcome="granted")
    assert "See their information" not in words(browser.get("/staff/today").text)
    moment.shift(timedelta(days=1))
    assert told() == set()


def test_the_annex_counts_what_the_law_asks_to_follow_beside_a_year_earlier(session, people, signed_in, make, moment):
    browser = signed_in(people.coordinator)
    for received, answered in (("2026-10-01", "2026-10-31"), ("2026-10-01", "2026-11-01"), ("2026-11-20", "")):
        asked(browser, received_on=received, answered_on=answered, outcome="granted" if answered else "", note=answered)
    asked(browser, received_on="2026-10-20")  # late, and not answered
    asked(browser, received_on="2025-12-31")  # a year earlier
    asked(browser, received_on="2026-09-30")  # of another quarter
    happened(browser)
    happened(browser, risk="serious", grounds="NAS")
    _consents(session, make)
    _set_aside(session, people, make)
    _corrections(session, people, make, moment)
    page = words(browser.get(ANNEX).text)
    for line in (
        "Requests entered in the register 4 1",
        "Requests answered within thirty days 1 /3 (33%) 0 /1 (0%)",  # one is not due yet
        "Confidentiality incidents 2 0",
        "Incidents with a risk of serious injury 1 /2 (50%) 0",
        "Consents given: newsletters and invitations by email 2 0",
        "Consents withdrawn: newsletters and invitations by email 1 0",
        "Permissions given: share information with an organization 2 0",
        "Permissions withdrawn: share information with an organization 1 0",
        "Requests set aside (suspected robot) 4 0",
        "Requests set aside by mistake, then released by the team 2 /4 (50%) 0",
        "Corrections that people asked for on their page 3 0",
        "Corrections answered within thirty days 1 /2 (50%) 0",
    ):
        assert line in page, (line, page)


def _consents(session, make) -> None:
    """Two that count, one of them withdrawn; one of a request that waits in quarantine, and one of an unwanted request."""
    for place in range(4):
        case = make.case()
        case.quarantined = place == 2
        case.closing_reason = ClosingReason.SPAM if place == 3 else None
        session.add(
            Consent(
                case_id=case.id, purpose=Purpose.NEWSLETTER, text_version="x", text_shown="x", language="fr",
                given_at=clock.now(), withdrawn_at=clock.now() if place == 1 else None,
            )
        )  # fmt: skip
    kept, taken_back = make.referral(), make.referral()
    referrals.withdraw_permission(taken_back.permission, taken_back.case, taken_back.case.owner)
    assert kept.permission.withdrawn_at is None


def _set_aside(session, people, make) -> None:
    """One released, one closed as a person's, one as a robot's, one that waits; and one of another quarter."""
    for place in range(5):
        case = make.case()
        case.quarantined = True
        received = clock.now() - timedelta(days=100 if place == 4 else 0)
        case.received_at = received
        session.add(
            Request(
                form_key=f"k{place}", case=case, received_at=received, page_language="fr", notice_version="x",
                answers={}, suspicions=["links"],
            )
        )  # fmt: skip
        session.flush()
        if place == 0:
            intake.release(case, people.adviser, acknowledge=False)
        if place in {1, 2}:
            case.quarantined, case.closing_reason = False, (ClosingReason.OUT_SCOPE, ClosingReason.SPAM)[place - 1]
    session.commit()


def _corrections(session, people, make, moment) -> None:
    """One answered in time, one too late, one that is not due yet."""
    for place, (asked_days_ago, answered_days_ago) in enumerate(((40, 10), (40, 9), (5, None))):
        ago = clock.now() - timedelta(days=asked_days_ago)
        answered = clock.now() - timedelta(days=answered_days_ago) if answered_days_ago else None
        session.add(
            Correction(
                case_id=make.case().id, form_key=f"c{place}", page="you", changes={}, sent_at=ago, decided_at=answered,
                state=CorrectionState.CONFIRMED if answered else CorrectionState.OPEN,
            )
        )  # fmt: skip
    session.commit()


def test_a_form_that_was_open_while_files_were_merged_follows_the_file_that_is_left(session, people, make, signed_in):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser)
    browser = signed_in(people.coordinator)
    number = int(asked(browser, reference=gone.reference).headers["Location"].rpartition("/")[2])
    form = form_with(browser.get(f"{PAGE}/requests/{number}").text, "person")[1]
    gone.merged_into_id = kept.id
    session.commit()
    browser.post(f"{PAGE}/requests/{number}/save", form | {"note": "Rappelée"})
    session.expire_all()
    assert session.get(RightsRequest, number).case_id == kept.id


def test_requests_follow_the_file_that_takes_the_place_of_theirs(session, people, make):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser)
    entry = services.write_request(
        services.Asked(clock.today(), Right.ACCESS, "Ada", "", "", None, None, ""), gone, key="a", actor=people.admin
    )
    session.commit()
    (part,) = [one for one in plugged("merge") if one.name == "rights_request"]
    moved = part.move(gone, kept)
    assert entry.case_id == kept.id
    part.undo(gone, kept, moved)
    assert entry.case_id == gone.id
