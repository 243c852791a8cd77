"""What a body says of the money on its own page: what it may say, what becomes of it, and who hears of it."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import ClosingReason, Stage
from crm.duplicates.services import merge, undo
from crm.errors import RefusedError
from crm.financing import by_body, rules, services
from crm.financing.by_body import Said
from crm.financing.models import Application
from crm.financing.rules import Status
from crm.financing.services import Decision, Facts
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.partners.vocabulary import Instrument
from crm.permissions.models import Permission
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.reminders.services import open_ones
from crm.timeline.models import ActorKind, Event
from tests.support.pages import Pages, words
from tests.support.typed import form_with

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
PAGE = "/fr/mise-en-relation/financement"
GRANTED = {"status": "granted", "instrument": "grant", "asked": "25 000", "granted": "20 000", "on": "2026-11-20"}


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def referral(make, session):
    """A referral that a body took on."""
    found = make.referral(body=make.body("caisse-solidaire"))
    answers.accept(found, "")
    session.commit()
    return found


@pytest.fixture
def body(app, session, referral):
    """The browser of the person at the body, on the page of the financing."""
    return entered(app, session, referral)


def entered(app, session, referral):
    link = session.scalars(select(Link).where(Link.object_id == referral.id, Link.purpose == Purpose.REFERRAL)).first()
    address = f"/fr/mise-en-relation/{links.token(link)}"
    session.commit()
    pages = Pages(app)
    pages.post(address)
    return pages


def applications(session) -> list[Application]:
    session.expire_all()
    return list(session.scalars(select(Application).order_by(Application.id)))


def press(body, about, typed, *, number=None, status=303, address=PAGE):
    """The form of the page, filled in as a person does: what stands, and what they change."""
    page = body.get(f"{address}?number={number}" if number else address)
    path, filled = form_with(page.text, "conditions")
    return body.post(path, filled | {"about": str(about.id)} | typed, status=status)


def money_steps(case) -> list[tuple[str, str, str]]:
    wanted = {"check_decision", "money_decided", "money_said"}
    return [(one.rule, one.reason, one.due_on.isoformat()) for one in open_ones(case) if one.rule in wanted]


def told(session, referral) -> list[Event]:
    kinds = ("financing.said", "financing.said_anew")
    found = select(Event).where(Event.case_id == referral.case_id, Event.kind.in_(kinds)).order_by(Event.id)
    return list(session.scalars(found))


WEEK = timedelta(days=7)


@pytest.mark.parametrize("status", Status)
def test_a_body_says_while_it_is_not_decided_and_for_a_week_after_it_decided_itself(status):
    now = clock.now()
    open_ = status in {Status.CONSIDERED, Status.PREPARING, Status.FILED}
    own = status in {Status.FILED, Status.GRANTED, Status.REFUSED}
    assert rules.body_may_say(status, None, now) is open_
    assert rules.body_may_say(status, now - WEEK, now) is (open_ or own)
    assert rules.body_may_say(status, now - WEEK - timedelta(seconds=1), now) is open_


def test_what_was_granted_is_written_down_by_the_body_and_the_adviser_gets_a_step(session, referral, body):
    front = body.get("/fr/mise-en-relation")
    assert "Inscrire la demande ou la décision" in words(front.text)
    assert f'href="{PAGE}"' in front.text
    press(body, referral, GRANTED | {"conditions": "Mise de fonds de 20 %", "expires_on": "2027-05-31"})
    [one] = applications(session)
    assert (one.status, one.instrument, one.asked, one.granted) == (
        Status.GRANTED,
        Instrument.GRANT,
        2_500_000,
        2_000_000,
    )
    assert (one.decided_on, one.expires_on, one.filed_on) == (date(2026, 11, 20), date(2027, 5, 31), date(2026, 11, 20))
    assert (one.conditions, one.referral_id, one.body_id) == ("Mise de fonds de 20 %", referral.id, referral.body_id)
    assert money_steps(referral.case) == [("money_said", "Caisse d’économie solidaire – Subvention", "2026-11-25")]
    [event] = told(session, referral)
    assert (event.actor_kind, event.actor_id) == (ActorKind.BODY, referral.body_id)
    assert event.codes["amount"] == 2_000_000
    page = words(body.get(PAGE).text)
    assert "Subvention Accordée" in page
    assert "20 000" in page
    assert "Mise de fonds de 20 %" in page


def test_a_decision_to_come_is_looked_for_two_business_days_after_its_day(session, referral, body):
    asked = {"status": "filed", "instrument": "loan", "asked": "50000", "due_on": "2026-12-14"}
    press(body, referral, asked)
    assert money_steps(referral.case) == [("check_decision", "Caisse d’économie solidaire – Prêt", "2026-12-16")]
    [one] = applications(session)
    press(body, referral, {"status": "refused", "conditions": "Trop tôt"}, number=one.id)
    [one] = applications(session)
    assert (one.status, one.granted, one.decided_on, one.decision_due_on) == (
        Status.REFUSED,
        None,
        clock.today(),
        None,
    )
    assert money_steps(referral.case) == [("money_said", "Caisse d’économie solidaire – Prêt", "2026-11-25")]


def test_one_that_waits_for_it_gets_a_step_when_the_body_decides(session, make, people, referral, body):
    press(body, referral, {"status": "filed", "instrument": "loan", "asked": "50000", "due_on": "2026-12-14"})
    [one] = applications(session)
    other = services.add(
        referral.case,
        make.body("pme-mtl"),
        Status.PREPARING,
        Facts(Instrument.GRANT, 1_000_000, waits_for_id=one.id),
        people.adviser,
    )
    session.commit()
    press(body, referral, {"status": "granted", "granted": "40000"}, number=one.id)
    assert ("money_decided", "PME MTL – Subvention", "2026-11-25") in money_steps(referral.case)
    assert other.status is Status.PREPARING


def test_what_the_team_wrote_down_before_is_taken_for_the_same(session, people, referral, body):
    facts = Facts(Instrument.GRANT, 3_000_000)
    before = services.add(referral.case, referral.body, Status.CONSIDERED, facts, people.adviser)
    further = services.add(referral.case, referral.body, Status.FILED, facts, people.adviser)
    loan = services.add(referral.case, referral.body, Status.FILED, Facts(Instrument.LOAN, 1), people.adviser)
    session.commit()
    assert "30 000" not in words(body.get(PAGE).text), "what the team wrote is not the body's to read before it says so"
    press(body, referral, GRANTED)
    assert [(one.id, one.status) for one in applications(session)] == [
        (before.id, Status.CONSIDERED),
        (further.id, Status.GRANTED),
        (loan.id, Status.FILED),
    ]


def test_what_the_team_heard_already_is_not_counted_twice(session, people, referral, body):
    heard = services.add(referral.case, referral.body, Status.FILED, Facts(Instrument.GRANT, 3_000_000), people.adviser)
    services.advance(heard, referral.case, Status.GRANTED, Decision(2_000_000), people.adviser)
    session.commit()
    press(body, referral, GRANTED)
    [one] = applications(session)
    assert (one.asked, one.granted, one.referral_id) == (3_000_000, 2_000_000, referral.id)


def test_what_a_body_does_not_say_stays_as_the_team_wrote_it(session, people, referral, body):
    services.add(referral.case, referral.body, Status.FILED, Facts(Instrument.GRANT, 3_000_000), people.adviser)
    session.commit()
    press(body, referral, GRANTED | {"asked": ""})
    [one] = applications(session)
    assert (one.asked, one.granted) == (3_000_000, 2_000_000)


def test_a_mistake_is_corrected_within_a_week_and_both_stay_in_the_history(app, session, referral, body, moment):
    press(body, referral, GRANTED)
    [one] = applications(session)
    press(body, referral, {"granted": "22 000"}, number=one.id)
    [one] = applications(session)
    assert one.granted == 2_200_000
    assert [(event.kind, event.codes["amount"]) for event in told(session, referral)] == [
        ("financing.said", 2_000_000),
        ("financing.said_anew", 2_200_000),
    ]
    assert [step[0] for step in money_steps(referral.case)] == ["money_said"], "one step, not one for each"
    page = body.get(PAGE)
    assert "Corriger" in words(page.text)
    moment.shift(WEEK + timedelta(minutes=1))
    again = {"about": str(referral.id), "number": str(one.id), "version": str(one.version)}
    body = entered(app, session, referral)
    assert "Corriger" not in words(body.get(PAGE).text)
    refused = body.post(PAGE, {**again, **GRANTED, "granted": "1", "conditions": "ce mot"}, status=409)
    assert "est à l’état « Accordée »" in words(refused.text)
    assert "ce mot" in refused.text
    assert applications(session)[0].granted == 2_200_000


def test_a_press_that_is_doubled_writes_one(session, referral, body):
    press(body, referral, GRANTED)
    press(body, referral, GRANTED)
    assert len(applications(session)) == 1
    assert len(told(session, referral)) == 1


def test_what_a_colleague_changed_meanwhile_is_not_written_over(session, people, referral, body):
    press(body, referral, {"status": "filed", "instrument": "grant", "asked": "25000"})
    [one] = applications(session)
    shown = form_with(body.get(f"{PAGE}?number={one.id}").text, "conditions")[1]
    services.advance(one, referral.case, Status.REFUSED, Decision(conditions="Au téléphone"), people.adviser)
    session.commit()
    stale = body.post(PAGE, shown | {"status": "granted", "granted": "9"}, status=409)
    assert "Quelqu’un a modifié cette demande entre-temps" in words(stale.text)
    assert applications(session)[0].status is Status.REFUSED
    assert "Corriger" not in words(body.get(PAGE).text), "what a colleague wrote down is not the body's to take back"


BAD = {
    "no status": ({"status": ""}, "Dites où en est la demande"),
    "no kind": ({"instrument": "gold"}, "Choisissez un type de financement"),
    "granted nothing": ({"granted": ""}, "Inscrivez le montant accordé"),
    "granted zero": ({"granted": "0"}, "Inscrivez le montant accordé"),
    "no amount": ({"granted": "vingt mille"}, "un montant en dollars"),
    "decided tomorrow": ({"on": "2026-11-25"}, "Choisissez aujourd’hui ou un jour des deux dernières années"),
    "decided long ago": ({"on": "2023-11-25"}, "Choisissez aujourd’hui ou un jour des deux dernières années"),
    "expires before": ({"expires_on": "2026-11-19"}, "Choisissez un jour qui ne précède pas la décision"),
    "due yesterday": ({"status": "filed", "due_on": "2026-11-23"}, "Choisissez une date d’ici deux ans"),
    "too long": ({"conditions": "x" * 2001}, "Raccourcissez"),
}


@pytest.mark.parametrize("typed, said", BAD.values(), ids=BAD)
def test_bad_input_is_said_and_what_was_typed_stays(session, referral, body, typed, said):
    page = press(body, referral, GRANTED | {"conditions": "gardé"} | typed, status=422)
    assert said in words(page.text)
    assert typed.get("conditions", "gardé") in page.text
    assert applications(session) == []


def test_the_language_changes_with_what_was_typed(session, referral, body):
    english = body.post(
        "/en/referral/financing",
        {"about": str(referral.id), "_lang": "en", **GRANTED, "conditions": "gardé"},
        status=200,
    )
    assert "Financing of the project" in english.text
    assert "gardé" in english.text
    assert applications(session) == []


def test_only_a_body_that_took_the_project_on_speaks_of_money(app, session, make):
    waiting = make.referral(body=make.body("pme-mtl"))
    body = entered(app, session, waiting)
    assert body.get(PAGE, status=404)
    refused = body.post(PAGE, {"about": str(waiting.id), **GRANTED}, status=409)
    assert "Acceptez d’abord la mise en relation" in words(refused.text)
    answers.decline(waiting, answers.DeclineReason.OTHER, "")
    session.commit()
    assert body.post(PAGE, {"about": str(waiting.id), **GRANTED}, status=409)
    assert applications(session) == []


def test_a_body_neither_reads_nor_writes_the_applications_of_another_referral(app, session, make, referral, body):
    press(body, referral, GRANTED | {"conditions": "secret de la Caisse"})
    [theirs] = applications(session)
    other = make.referral(referral.case, make.body("pme-mtl"))
    answers.accept(other, "")
    session.commit()
    another = entered(app, session, other)
    assert "secret de la Caisse" not in another.get(f"{PAGE}?number={theirs.id}").text
    assert "secret de la Caisse" not in another.get("/fr/mise-en-relation").text
    typed = {"about": str(other.id), "number": str(theirs.id), "version": str(theirs.version), **GRANTED}
    assert another.post(PAGE, typed | {"granted": "1"}, status=409)
    assert body.post(PAGE, {**typed, "about": str(other.id)}, status=409), "a page left open of another referral"
    assert applications(session)[0].granted == 2_000_000


def test_nobody_writes_without_a_link_or_once_the_permission_is_withdrawn(app, session, people, referral, body):
    assert Pages(app).post(PAGE, {"about": str(referral.id), **GRANTED}, status=404)
    permission = session.get_one(Permission, referral.permission_id)
    referrals.withdraw_permission(permission, referral.case, people.adviser)
    session.commit()
    gone = body.post(PAGE, {"about": str(referral.id), **GRANTED, "conditions": "mes mots"}, status=404)
    assert "mes mots" in gone.text, "what was typed is given back"
    assert applications(session) == []


def test_of_a_file_that_was_closed_meanwhile_it_is_written_down_without_a_step(session, people, referral, body):
    cases.advance(
        referral.case,
        Stage.CLOSED,
        people.adviser,
        closing_reason=ClosingReason.ABANDONED,
        reason="L’équipe arrête",
        person_told="told",
    )
    session.commit()
    press(body, referral, GRANTED)
    assert applications(session)[0].granted == 2_000_000
    assert open_ones(referral.case) == []


def test_it_follows_a_file_that_is_merged_and_comes_back(session, make, people, referral, body):
    kept = make.case_at(Stage.PLANNING)
    merged = merge(referral.case, kept, people.coordinator)
    session.commit()
    press(body, referral, GRANTED)
    [one] = applications(session)
    assert one.case_id == kept.id == referral.case_id
    undo(merged, people.coordinator)
    session.commit()
    assert "Accordée" in words(body.get(PAGE).text)


def test_more_than_a_file_holds_is_refused(session, people, referral, body):
    for number in range(services.MOST):
        facts = Facts(Instrument.LOAN, 100 + number)
        services.add(referral.case, referral.body, Status.CONSIDERED, facts, people.adviser)
    session.commit()
    assert press(body, referral, GRANTED, status=409)
    with pytest.raises(RefusedError):
        by_body.say(referral, Said(Status.FILED, Instrument.OTHER))
