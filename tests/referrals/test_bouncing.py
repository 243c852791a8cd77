"""A body's mail that the server refuses, or that comes back: the file's history says so, somebody is told, and another person still answers."""

import email
import email.policy
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm.app import create_app
from crm.cases import services as cases
from crm.cases.queries import forgotten
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.jobs import Job, run_job
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.mailbox.parsing import read
from crm.mailbox.services import receive
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.partners.queries import people_of
from crm.partners.services import add_person
from crm.referrals import answers, chasing
from crm.referrals import services as referrals
from crm.referrals.outcomes import Status
from crm.reminders.services import open_ones
from crm.timeline.models import Event
from tests.conftest import settings_for
from tests.mailbox.conftest import BOX, report_on
from tests.support.pages import Pages, words
from tests.support.smtp import MailServer

MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
ANSWER, LIST = "/fr/mise-en-relation", "/fr/organisme"
JEAN, LI = "jean@cdrq.example", "li@cdrq.example"
NOBODY = "550 5.1.1 nobody of that name"


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


@pytest.fixture
def server():
    """The mail server that ours hands its mail to."""
    server = MailServer()
    yield server
    server.let_go()
    server.stop()


@pytest.fixture
def app(database_url, tmp_path, server):
    """Mail leaves through a server, and reports of delivery are for a mailbox; here they are handed over as they would be read there."""
    told = {"CRM_SMTP_URL": server.url, "CRM_IMAP_URL": "imaps://boite:mot@127.0.0.1:1", "CRM_IMAP_ADDRESS": BOX}
    app = create_app(settings_for(tmp_path, database_url, CRM_MAIL_FROM="passerelle@exemple.org", **told))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def works(app, session):
    """`works()` lets the worker write to who is silent, and send."""

    def go():
        session.commit()
        for name, job in (("chase_bodies", chasing.chase_bodies), ("send", send_due)):
            run_job(app, Job(name, job), strict=True)
        session.expire_all()

    return go


@pytest.fixture
def comes_back(session):
    """`comes_back(received)`: a server further on reports that it could not deliver what ours had taken."""

    def go(received, **how):
        report = email.message_from_bytes(report_on(received.mail, **how), policy=email.policy.default)
        receive(read(report), validity=1, uid=1)
        session.commit()
        session.expire_all()

    return go


def entered(app, session, link) -> Pages:
    place = {Purpose.REFERRAL: ANSWER, Purpose.BODY: LIST}[link.purpose]
    address = f"{place}/{links.token(link)}"
    session.commit()
    browser = Pages(app)
    browser.get(address)
    browser.post(address)
    return browser


def mails(session, kind="referrals.invitation") -> list[tuple[str, MailStatus]]:
    found = session.scalars(select(Message).where(Message.kind == kind).order_by(Message.id))
    return [(one.to_address, one.status) for one in found]


def told(session, case) -> list[str]:
    found = select(Event.kind).where(Event.case_id == case.id, Event.kind.like("referral.%mail%")).order_by(Event.id)
    return list(session.scalars(found))


def steps(case) -> list[str]:
    return [one.rule for one in open_ones(case)]


def link_that_left(session, to) -> Link:
    found = select(Message).where(Message.kind == "referrals.invitation", Message.to_address == to)
    return session.get_one(Link, session.scalars(found.order_by(Message.id.desc())).first().link_id)


def accepts(app, session, referral, link) -> None:
    browser = entered(app, session, link)
    browser.get(ANSWER)
    browser.post(ANSWER, {"answer": "accept"})
    session.expire_all()
    assert referral.status is Status.ACCEPTED


def other_person_comes_first(people, signed_in, body) -> None:
    browser = signed_in(people.coordinator)
    browser.get(f"/staff/partners/{body.code}")
    typed = {"name": "Li Wei", "email": LI, "language": "en", "chase_days": "10", "version": str(body.version)}
    browser.post(f"/staff/partners/{body.code}", typed)


REFUSALS = {
    "nobody of that name": {"refuse": {JEAN: NOBODY}},
    "a mailbox that is closed": {"refuse": {JEAN: "552 5.2.1 mailbox disabled"}},
    "a text that is not wanted": {"answer": {"dot": "554 5.7.1 message refused"}},
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_invitation_is_told_on_its_file_and_to_the_team(
    make, session, people, signed_in, works, server, refusal
):
    for name, value in refusal.items():
        setattr(server, name, value)
    referral = make.referral()
    case = referral.case
    cases.advance(case, Stage.REFERRED, people.adviser)
    works()
    assert mails(session) == [(JEAN, MailStatus.FAILED)]
    assert told(session, case) == ["referral.mail_failed"]
    browser = signed_in(people.adviser)
    shown = words(browser.get(f"/staff/cases/{case.reference}").text)
    assert "Le courriel destiné à Jean Roy n’a pas pu être envoyé" in shown
    assert "pas pu être envoyés" in words(browser.get("/staff/today").text)
    (said,) = (answer for part in refusal.values() for answer in part.values())
    assert said in words(browser.get("/staff/mail").text)
    assert (referral.status, "check_answer" in steps(case)) == (Status.SENT, True), "somebody looks for an answer"
    assert steps(case).count("mail_returned") == 1
    assert not forgotten(people.coordinator)
    works()
    assert (told(session, case), server.received) == (["referral.mail_failed"], []), "it is not tried for ever"


def test_what_is_refused_for_a_day_is_given_up_and_told(make, session, works, moment, server):
    server.refuse[JEAN] = "450 4.2.1 later"
    referral = make.referral()
    for _ in range(40):
        works()
        moment.shift(timedelta(hours=1))
    assert mails(session) == [(JEAN, MailStatus.FAILED)]
    assert told(session, referral.case) == ["referral.mail_failed"]
    assert steps(referral.case).count("mail_returned") == 1


def test_an_invitation_that_came_back_is_a_step_told_once(make, session, people, signed_in, works, server, comes_back):
    referral = make.referral()
    works()
    (received,) = server.received
    for status in ("5.1.1", "5.0.0"):
        comes_back(received, status=status)
    case = referral.case
    assert mails(session) == [(JEAN, MailStatus.FAILED)]
    assert told(session, case) == ["referral.mail_sent", "referral.mail_failed"]
    assert steps(case).count("mail_returned") == 1
    assert "vérifier l’adresse ou téléphoner" in words(
        signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text
    )
    assert referral.status is Status.SENT, "the body may have received it all the same, and answers"
    assert not forgotten(people.coordinator)


def test_a_body_that_received_it_all_the_same_answers(make, app, session, works, server, comes_back):
    referral = make.referral()
    works()
    comes_back(server.received[0])
    accepts(app, session, referral, link_that_left(session, JEAN))


@pytest.mark.parametrize("comes", ["refused", "back"])
def test_sent_again_it_leaves_for_who_receives_the_mail_by_then(
    make,
    app,
    session,
    people,
    signed_in,
    works,
    moment,
    server,
    comes_back,
    comes,
):
    if comes == "refused":
        server.refuse[JEAN] = NOBODY
    referral = make.referral()
    works()
    if comes == "back":
        comes_back(server.received[0])
    former = link_that_left(session, JEAN)
    moment.shift(timedelta(hours=1))
    other_person_comes_first(people, signed_in, referral.body)
    works()
    assert mails(session) == [(JEAN, MailStatus.FAILED), (LI, MailStatus.SENT)], (
        "what waits there leaves for who receives it now, by itself"
    )
    message = session.scalars(
        select(Message).where(Message.kind == "referrals.invitation").order_by(Message.id)
    ).first()
    coordinator = signed_in(people.coordinator)
    coordinator.get("/staff/mail")
    coordinator.post(f"/staff/mail/{message.id}/send-again")
    works()
    works()
    assert mails(session) == [(JEAN, MailStatus.DROPPED), (LI, MailStatus.SENT)]
    assert [one.to for one in server.received if one.to != [JEAN]] == [[LI]]
    assert "Tous les messages ont été envoyés" in words(coordinator.get("/staff/mail").text)
    Pages(app).get(f"{ANSWER}/{links.token(former)}", 404)
    accepts(app, session, referral, link_that_left(session, LI))
    assert not forgotten(people.coordinator)


def test_who_works_there_no_more_leaves_the_invitation_to_the_next_person(
    make,
    app,
    session,
    people,
    signed_in,
    works,
    moment,
    server,
    comes_back,
):
    """The coordinator who heard of it writes down that Jean left, then who is there: the invitation leaves by itself."""
    referral = make.referral()
    works()
    comes_back(server.received[0])
    moment.shift(timedelta(hours=1))
    body, browser = referral.body, signed_in(people.coordinator)
    browser.get(f"/staff/partners/cdrq/people/{body.main_id}")
    browser.post(f"/staff/partners/cdrq/people/{body.main_id}/works-there-no-more")
    session.expire_all()
    assert {"mail_returned", "nobody_there"} <= set(steps(referral.case))
    browser.get("/staff/partners/cdrq/people/add")
    browser.post("/staff/partners/cdrq/people/add", {"name": "Li Wei", "email": LI, "language": "en", "receives": "y"})
    works()
    assert mails(session) == [(JEAN, MailStatus.FAILED), (LI, MailStatus.SENT)]
    assert told(session, referral.case) == ["referral.mail_sent", "referral.mail_failed", "referral.mail_sent"]
    accepts(app, session, referral, link_that_left(session, LI))


def test_a_silent_body_whose_mail_came_back_is_written_to_at_its_new_address(
    make,
    app,
    session,
    people,
    signed_in,
    works,
    moment,
    server,
    comes_back,
):
    """Even when nobody sends anything again."""
    referral = make.referral()
    works()
    comes_back(server.received[0])
    moment.shift(timedelta(hours=1))
    other_person_comes_first(people, signed_in, referral.body)
    moment.move_to("2026-11-16 15:00Z")
    works()
    assert mails(session, "referrals.chase") == [(LI, MailStatus.SENT)]
    chase = session.scalars(select(Message).where(Message.kind == "referrals.chase")).one()
    accepts(app, session, referral, session.get_one(Link, chase.subject_ids["links"][0]))


def test_a_colleague_of_who_cannot_be_reached_reads_what_waits_and_answers(
    make,
    app,
    session,
    people,
    works,
    server,
    comes_back,
):
    body = make.body()
    li = add_person(body, {"name": "Li Wei", "email": LI, "language": "fr"}, people.coordinator)
    server.refuse[JEAN] = NOBODY
    referral = make.referral(body=body)
    works()
    browser = entered(app, session, referrals.link_of_person(li))
    browser.get(LIST)
    browser.post(LIST, {"number": str(referral.id)})
    browser.get(ANSWER)
    browser.post(ANSWER, {"answer": "accept"})
    session.expire_all()
    assert referral.status is Status.ACCEPTED
    assert [one.name for one in people_of(body)] == ["Jean Roy", "Li Wei"]


def test_a_reminder_that_cannot_be_delivered_becomes_a_task_in_the_end(make, session, works, moment, server, people):
    server.refuse[JEAN] = NOBODY
    referral = make.referral()
    works()
    for day in ("2026-11-16", "2026-11-30", "2026-12-14"):
        moment.move_to(f"{day} 15:00Z")
        works()
    assert mails(session, "referrals.chase") == [(JEAN, MailStatus.FAILED)] * 2
    failed = session.scalars(select(Event.kind).where(Event.kind == "referral.chase_failed")).all()
    assert len(failed) == 2
    assert "call_body" in steps(referral.case)
    assert not forgotten(people.coordinator)


def test_an_answer_of_the_team_that_comes_back_is_a_step_and_the_body_still_answers(
    make,
    app,
    session,
    people,
    works,
    server,
    comes_back,
):
    referral = make.referral()
    answers.ask(referral, "Combien?")
    answers.reply(referral, "Quatre", people.adviser)
    works()
    reply = next(one for one in server.received if "Quatre" in one.text)
    comes_back(reply)
    assert mails(session, "referrals.reply") == [(JEAN, MailStatus.FAILED)]
    assert "mail_returned" in steps(referral.case)
    assert told(session, referral.case)[-1] == "referral.mail_failed"
    accepts(app, session, referral, link_that_left(session, JEAN))


def test_the_end_of_a_referral_that_nobody_could_be_told_of_is_a_step(make, session, people, works, server, comes_back):
    referral = make.referral()
    works()
    referrals.withdraw_permission(referral.permission, referral.case, people.adviser)
    works()
    comes_back(server.received[-1])
    assert mails(session, "referrals.withdrawn") == [(JEAN, MailStatus.FAILED)]
    assert "mail_returned" in steps(referral.case), "who holds what was shared was not asked to destroy it"
    assert told(session, referral.case)[-1] == "referral.mail_failed"
