"""Answers by mail, from a real IMAP server: on the right file, in the tray, or noted in the ledger; each once, and nothing answered."""

import dataclasses
import re
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from crm.cases import services as cases
from crm.cases.vocabulary import ClosingReason, Stage
from crm.config import Smtp
from crm.desk.digest import told
from crm.files import services as files
from crm.jobs import Heartbeat, JobFailedError
from crm.mailbox import reading, services
from crm.mailbox.models import MailboxPlace, ReceivedMail, State, Why
from crm.outbox import threads
from crm.outbox.models import Message, Status
from crm.outbox.services import send_again
from crm.portal.conversation import thread, write_to_person
from crm.portal.services import copy_of
from crm.reminders.models import FollowUp
from crm.reminders.models import State as Planned
from crm.timeline.models import Event
from tests.mailbox.conftest import BOX, answer_to, report_on, written
from tests.support.imap import USERS
from tests.support.pages import words
from tests.support.papers import pdf


@pytest.fixture
def asked(make, people, session, box):
    """(file, mail): the adviser wrote to the person of a file, and this is what the person received."""

    def go(**file):
        case = make.case(owner=people.adviser, **file)
        cases.advance(case, Stage.CONTACT, people.adviser)
        session.flush()
        write_to_person(case, "Mardi vous irait?", f"clé-{case.id}", people.adviser)
        (mail,) = box.left("portal.message")
        return case, mail

    return go


def received(session):
    return session.scalars(select(ReceivedMail).order_by(ReceivedMail.id)).all()


def planned(session, case, rule):
    return session.scalars(
        select(FollowUp).where(FollowUp.case_id == case.id, FollowUp.rule == rule, FollowUp.state == Planned.TODO)
    ).all()


def events(session, case, kind):
    return session.scalars(select(Event).where(Event.case_id == case.id, Event.kind == kind)).all()


def message_of(session, mail):
    return session.get(Message, int(str(mail["Message-ID"]).strip("<").partition(".")[0]))


# --- the person answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_thread", [False, True], ids=["by its address", "by its thread"])
def test_an_answer_goes_on_its_file_once(asked, box, session, people, by_thread):
    case, mail = asked()
    answer = answer_to(mail, "Oui, mardi.\n\nNadia", by_thread=by_thread)
    answer.add_attachment(pdf(), maintype="application", subtype="pdf", filename="Plan d’affaires.pdf")
    box.put(answer)
    assert box.read() == 1
    assert [(line.author, line.body) for line in thread(case)][0] == ("", "Oui, mardi.\n\nNadia")
    (event,) = events(session, case, "person.mailed")
    assert event.detail.values == {"body": "Oui, mardi.\n\nNadia", "from": "nadia@exemple.ca"}
    assert len(planned(session, case, "answer_person")) == 1
    assert [one.name for one in files.of_case(case.id)] == ["Plan d’affaires.pdf"]
    (row,) = received(session)
    assert (row.state, row.case_id, row.attachments_due) == (State.FILED, case.id, False)
    assert "Mardi vous irait?" in row.body, "all of the e-mail is kept"
    (told_adviser,) = box.left("portal.written")
    assert told_adviser["To"].addresses[0].addr_spec == people.adviser.email
    assert "+m" not in (told_adviser["Reply-To"] or ""), "what the team answers is not the person's"
    assert copy_of(case)["messages"][0]["body"] == "Oui, mardi.\n\nNadia"

    place = session.get(MailboxPlace, 1).next_uid
    assert box.read() == 0
    assert session.get(MailboxPlace, 1).next_uid == place == row.uid + 1, "it is not read again"
    assert box.server.flags() == [()], "nothing in the mailbox is marked"
    session.get(MailboxPlace, 1).next_uid = 1
    assert box.read() == 0, "read again from the first, it adds nothing"
    assert len(received(session)) == len(events(session, case, "person.mailed")) == 1
    assert box.left() == [], "nobody is answered by a program"


def test_what_follows_a_refused_attachment_is_told(asked, box, session):
    case, mail = asked()
    answer = answer_to(mail, "Voici.")
    answer.add_attachment(b"<svg/>", maintype="image", subtype="svg+xml", filename="logo.svg")
    answer.add_attachment(pdf(), maintype="application", subtype="pdf", filename="bon.pdf")
    box.put(answer)
    box.read()
    assert [one.name for one in files.of_case(case.id)] == ["bon.pdf"]
    (event,) = events(session, case, "mail.left_out")
    assert "logo.svg" in event.detail.values["body"]


@pytest.mark.parametrize("lost", ["taken out", "numbered anew", "another in its place"])
def test_attachments_that_left_the_mailbox_are_told(asked, box, session, lost):
    case, mail = asked()
    answer = answer_to(mail, "Voici.")
    answer.add_attachment(pdf(), maintype="application", subtype="pdf", filename="bon.pdf")
    box.put(answer)
    box.read()
    (row,) = received(session)
    kept = len(files.of_case(case.id))
    row.attachments_due = True  # as when no file could be looked at
    if lost == "taken out":
        box.server.empty()
    elif lost == "numbered anew":
        row.validity -= 1  # its number may be another's now
    else:
        row.dedupe_key = "another"
    box.read()
    assert len(files.of_case(case.id)) == kept
    (event,) = events(session, case, "mail.left_out")
    assert event.detail.values["body"] == "bon.pdf"


def test_an_answer_about_a_closed_file_is_told(asked, box, session, people):
    case, mail = asked()
    cases.advance(
        case, Stage.CLOSED, people.adviser, closing_reason=ClosingReason.PARTNER_OK, reason="Fini.", person_told="told"
    )
    box.left()
    box.put(answer_to(mail, "Encore une question."))
    box.read()
    assert thread(case)[0].body == "Encore une question."
    assert not planned(session, case, "answer_person")
    assert len(box.left("portal.written_closed")) == 1


# --- what is not believed ----------------------------------------------------------------------------------------------


def test_an_answer_from_another_address_waits_for_somebody(asked, box, session):
    case, mail = asked()
    box.put(answer_to(mail, "Je réponds pour Nadia.", sender="Autre <autre@exemple.ca>"))
    assert box.read() == 1
    (row,) = received(session)
    assert (row.state, row.why, row.case_id, row.suggested_id) == (State.TRAY, Why.OTHER_ADDRESS, None, case.id)
    assert len(thread(case)) == 1
    assert not planned(session, case, "answer_person")


@pytest.mark.parametrize("change", [lambda mark: mark[:-1] + ("a" if mark[-1] != "a" else "b"), lambda _mark: "a" * 20])
def test_a_forged_mark_is_no_mark(asked, box, session, change):
    case, mail = asked()
    number = message_of(session, mail).id
    mark = re.search(r"-([a-z2-7]{20})@", str(mail["Reply-To"]))[1]
    forged = change(mark)
    box.put(
        written(
            "nadia@exemple.ca",
            to=f"programme+m{number}-{forged}@exemple.org",
            References=f"<{number}.portal.message.{forged}@127.0.0.1> <{number}.portal.message@127.0.0.1>",
        )
    )
    box.read()
    (row,) = received(session)
    assert (row.state, row.why, row.suggested_id) == (State.TRAY, Why.UNKNOWN, case.id)
    assert len(thread(case)) == 1


def test_an_organization_that_writes_the_persons_address_is_not_the_person(make, box, session):
    referral = make.referral()
    (mail,) = box.left("referrals.")
    before = len(thread(referral.case))
    box.put(answer_to(mail, "Je retire ma demande.", sender="nadia@exemple.ca"))
    box.read()
    (row,) = received(session)
    assert (row.state, row.why, row.suggested_id) == (State.TRAY, Why.OTHER_ADDRESS, referral.case.id)
    assert len(thread(referral.case)) == before


def test_a_mark_of_one_message_serves_no_other(app, make, session):
    one = threads.address(12, BOX)
    with app.test_request_context():
        assert threads.marked(one) == 12
        assert threads.marked(one.upper()) == 12, "a server may change capitals"
        assert threads.marked(one.replace("+m12-", "+m13-")) is None
        assert threads.marked(one[: one.index("@") - 1] + "ſ@exemple.org") is None


def test_an_answer_about_a_request_set_aside_as_a_robots_waits_for_somebody(asked, box, session, people, signed_in):
    case, mail = asked()
    case.quarantined = True
    box.put(answer_to(mail, "Je ne suis pas un robot."))
    box.read()
    (row,) = received(session)
    assert (row.state, row.why, row.suggested_id) == (State.TRAY, Why.NO_FILE, case.id)
    page = signed_in(people.adviser)
    page.get(f"/staff/mailbox/{row.id}")
    page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference, "words": "person"}, status=409)
    assert len(thread(case)) == 1


def test_an_unknown_sender_goes_to_the_tray(box, session):
    box.put(written("Quelqu’un <nouveau@ailleurs.exemple>", "Projet", "Bonjour, j’ai un projet."))
    box.read()
    (row,) = received(session)
    assert (row.state, row.why, row.suggested_id) == (State.TRAY, Why.UNKNOWN, None)
    assert (row.from_name, row.from_address, row.subject) == ("Quelqu’un", "nouveau@ailleurs.exemple", "Projet")
    assert box.left() == []


def test_an_organization_answers_by_mail(make, box, session, people):
    referral = make.referral()
    (mail,) = box.left("referrals.")
    before = len(thread(referral.case))
    answer = answer_to(mail, "Nous la rencontrons jeudi.")
    answer.add_attachment(pdf(), maintype="application", subtype="pdf", filename="interne.pdf")
    box.put(answer)
    box.read()
    (event,) = events(session, referral.case, "mail.received")
    assert event.detail.values["body"] == "Nous la rencontrons jeudi."
    assert len(thread(referral.case)) == before, "the person does not read it"
    assert files.of_case(referral.case.id) == [], "nor what came along, which their page would show"
    assert len(planned(session, referral.case, "mail_received")) == 1
    assert len(box.left("mailbox.received")) == 1


# --- programs ----------------------------------------------------------------------------------------------------------


def test_what_came_back_is_not_sent_after_all(asked, box, session, people, signed_in):
    case, mail = asked()
    box.put(report_on(mail))
    assert box.read() == 0
    message = message_of(session, mail)
    assert (message.status, message.last_error) == (Status.FAILED, "5.1.1 550 5.1.1 User unknown")
    assert message.returned_at is not None
    assert len(planned(session, case, "mail_returned")) == 1
    assert len(events(session, case, "message.not_sent")) == 1
    page = signed_in(people.adviser)
    shown = words(page.get(f"/staff/mail/{message.id}").text)
    assert "Non envoyé" in shown
    assert "Revenu" in shown
    assert "User unknown" in shown
    assert "vérifier l’adresse ou téléphoner" in words(page.get(f"/staff/cases/{case.reference}").text)
    box.put(report_on(mail, status="5.0.0"))
    box.read()
    assert len(events(session, case, "message.not_sent")) == 1, "a second report is no news"
    assert received(session) == []
    assert len(thread(case)) == 1
    send_again(message)
    assert (message.status, message.returned_at) == (Status.QUEUED, None)
    box.left()
    assert message.status is Status.SENT


def test_a_colleagues_mail_that_came_back_is_no_reason_to_call_the_person(asked, box, session):
    case, mail = asked()
    box.put(answer_to(mail, "Oui."))
    box.read()
    (told_adviser,) = box.left("portal.written")
    box.put(report_on(told_adviser))
    box.read()
    assert message_of(session, told_adviser).status is Status.FAILED
    assert not planned(session, case, "mail_returned")


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_report_that_nothing_is_lost_changes_nothing(asked, box, session, action):
    case, mail = asked()
    box.put(report_on(mail, action, "4.4.1", "451 later"))
    box.read()
    message = message_of(session, mail)
    assert (message.status, message.returned_at) == (Status.SENT, None)
    assert not planned(session, case, "mail_returned")
    assert received(session) == []


AUTOMATIC = [
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": "auto-generated (out of office)"},
    {"Return_Path": "<>"},
    {"X_Autoreply": "yes"},
    {"Precedence": "auto_reply"},
]


@pytest.mark.parametrize("headers", AUTOMATIC, ids=lambda headers: next(iter(headers)))
def test_an_automatic_reply_is_no_answer(asked, box, session, headers):
    case, mail = asked()
    away = answer_to(mail, "Je suis en vacances.")
    for name, value in headers.items():
        away[name.replace("_", "-")] = value
    box.put(away)
    assert box.read() == 0
    assert message_of(session, mail).auto_replied_at is not None
    assert received(session) == []
    assert len(thread(case)) == 1
    assert not planned(session, case, "answer_person")
    assert box.left() == [], "no loop begins"


def test_our_own_mail_that_comes_to_the_mailbox_is_left(asked, box, session):
    _case, mail = asked()
    box.put(bytes(mail))
    assert box.read() == 0
    assert received(session) == []


def test_a_report_about_nothing_of_ours_is_left(asked, box, session):
    _case, mail = asked()
    mail.replace_header("Message-ID", "<1.portal.message@ailleurs.exemple>")
    box.put(report_on(mail))
    assert box.read() == 0
    assert received(session) == []
    assert session.scalar(select(func.count(Message.id)).where(Message.returned_at.is_not(None))) == 0


# --- the tray ----------------------------------------------------------------------------------------------------------


def test_somebody_puts_an_email_on_a_file_as_the_persons(asked, box, session, people, signed_in):
    case, mail = asked()
    answer = answer_to(mail, "De mon autre adresse.", sender="nadia@travail.exemple")
    answer.add_attachment(pdf(), maintype="application", subtype="pdf", filename="bon.pdf")
    box.put(answer)
    box.read()
    (row,) = received(session)
    page = signed_in(people.adviser)
    assert "1 courriel à classer" in words(page.get("/staff/today").text)
    assert case.reference in page.get("/staff/mailbox").text
    shown = words(page.get(f"/staff/mailbox/{row.id}").text)
    assert "d’une autre adresse" in shown
    assert "De mon autre adresse." in shown
    page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference.lower(), "words": "person"})
    session.expire_all()
    assert thread(case)[0].body == "De mon autre adresse."
    assert row.attachments_due
    box.read()
    assert [one.name for one in files.of_case(case.id)] == ["bon.pdf"]
    refused = page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference, "words": "person"}, status=409)
    assert "entre-temps" in refused.text
    assert len(thread(case)) == 2
    assert "De mon autre adresse" in page.get(f"/staff/mailbox?file={case.reference}").text


def test_somebody_puts_an_email_on_a_file_as_anothers(asked, box, session, people, signed_in):
    case, _mail = asked()
    box.put(written("conjoint@exemple.ca", "Au sujet de Nadia", "Elle est malade."))
    box.read()
    (row,) = received(session)
    page = signed_in(people.adviser)
    page.get(f"/staff/mailbox/{row.id}")
    wrong = page.post(f"/staff/mailbox/{row.id}/file", {"reference": "PC-0000-0000", "words": ""}, status=422)
    assert "Aucun dossier n’a cette référence" in wrong.text
    page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference, "words": "other"})
    session.expire_all()
    assert len(thread(case)) == 1
    (event,) = events(session, case, "mail.received")
    assert event.detail.values == {"body": "Elle est malade.", "from": "conjoint@exemple.ca"}
    assert "Elle est malade." in page.get(f"/staff/cases/{case.reference}").text


def test_what_is_not_for_us_is_destroyed_after_thirty_days(box, session, people, signed_in):
    box.put(written("vendeur@ailleurs.exemple", "Offre", "Achetez."))
    box.read()
    (row,) = received(session)
    page = signed_in(people.adviser)
    page.get(f"/staff/mailbox/{row.id}")
    page.post(f"/staff/mailbox/{row.id}/aside")
    page.get(f"/staff/mailbox/{row.id}")
    page.post(f"/staff/mailbox/{row.id}/back")
    session.expire_all()
    assert row.state is State.TRAY
    page.get(f"/staff/mailbox/{row.id}")
    page.post(f"/staff/mailbox/{row.id}/aside")
    box.read()
    assert len(received(session)) == 1
    received(session)[0].decided_at -= timedelta(days=30)
    box.read()
    assert received(session) == []


def test_an_email_about_a_restricted_file_is_seen_by_who_may_see_the_file(asked, box, session, people, signed_in):
    case, mail = asked()
    case.restricted = True
    box.put(answer_to(mail, "Secret.", sender="autre@exemple.ca"))
    box.read()
    (row,) = received(session)
    other = signed_in(people.coordinator)
    assert "à classer" not in words(other.get("/staff/today").text)
    other.get(f"/staff/mailbox/{row.id}", status=404)
    assert "autre@exemple.ca" not in other.get("/staff/mailbox").text
    other.post(f"/staff/mailbox/{row.id}/aside", status=404)
    signed_in(people.adviser).get(f"/staff/mailbox/{row.id}")


def test_the_morning_digest_says_how_many_are_to_be_filed(box, session, people):
    assert told(people.adviser, date(2026, 11, 27)) is None
    box.put(written("un@ailleurs.exemple", "Un projet secret"))
    box.put(written("deux@ailleurs.exemple", "Deux"))
    box.read()
    said = told(people.adviser, date(2026, 11, 27))["sections"]
    assert said == "Courriels reçus à classer (2)\nhttp://127.0.0.1:8000/staff/mailbox"


def test_a_file_that_is_destroyed_takes_its_emails_along(asked, box, session):
    case, mail = asked()
    box.put(answer_to(mail, "Oui."))
    box.put(answer_to(mail, "Oui aussi.", sender="autre@exemple.ca"))
    box.read()
    assert len(received(session)) == 2
    services.forget_all(case)
    assert received(session) == []


# --- the mailbox -------------------------------------------------------------------------------------------------------


def test_the_first_reading_begins_with_what_comes_from_then_on(app, session, box):
    session.delete(session.get(MailboxPlace, 1))
    box.put(written("avant@exemple.ca", "Avant"))
    assert box.read() == 0
    box.put(written("apres@exemple.ca", "Après"))
    assert box.read() == 1
    assert [row.subject for row in received(session)] == ["Après"]


def test_a_mailbox_that_is_numbered_anew_is_read_from_the_day_before(box, session):
    box.put(written("un@exemple.ca", "Un"))
    box.read()
    session.get(MailboxPlace, 1).validity += 1
    session.get(MailboxPlace, 1).next_uid = 10_000
    (row,) = received(session)
    row.validity, row.uid = 1, 1
    box.server.empty()
    today = datetime.now(UTC)
    box.put(written("avant@exemple.ca", "Avant-hier"), on=today - timedelta(days=3))
    box.put(written("hier@exemple.ca", "Hier"), on=today - timedelta(days=1))
    box.put(written("un@exemple.ca", "Un"), on=today - timedelta(days=1))
    box.read()
    assert [row.subject for row in received(session)] == ["Un", "Hier"]
    assert row.validity == session.get(MailboxPlace, 1).validity, "what was read before is found where it is now"


def test_another_mailbox_is_read_from_what_comes_from_then_on(box, session):
    box.put(written("un@exemple.ca", "Un"))
    session.get(MailboxPlace, 1).mailbox = "another"
    assert box.read() == 0
    box.put(written("deux@exemple.ca", "Deux"))
    assert box.read() == 1
    assert [row.subject for row in received(session)] == ["Deux"]


def test_two_files_that_become_one_keep_what_waits_for_either(asked, make, box, session, people):
    case, mail = asked()
    box.put(answer_to(mail, "D’ailleurs.", sender="autre@exemple.ca"))
    box.read()
    kept = make.case(owner=people.adviser, name="Autre")
    moved = services.SUGGESTIONS.move(case, kept)
    (row,) = received(session)
    assert row.suggested_id == kept.id
    services.SUGGESTIONS.undo(case, kept, moved)
    session.refresh(row)
    assert row.suggested_id == case.id


def test_an_email_that_cannot_be_received_holds_no_other(asked, box, session, monkeypatch):
    case, mail = asked()
    real = services.person_writes

    def poisoned(case, body, *rest, **more):
        if "poison" in body:
            raise ValueError("poison")
        return real(case, body, *rest, **more)

    monkeypatch.setattr(services, "person_writes", poisoned)
    box.put(answer_to(mail, "poison"))
    box.put(answer_to(mail, "Bonjour"))
    assert box.read() == 2
    first, second = received(session)
    assert (first.state, first.why, first.from_address) == (State.TRAY, Why.UNREADABLE, "nadia@exemple.ca")
    assert second.state is State.FILED
    assert thread(case)[0].body == "Bonjour"


def test_an_email_that_is_too_large_is_shown_with_its_file(asked, box, session, people, signed_in, monkeypatch):
    case, mail = asked()
    monkeypatch.setattr(reading, "LARGEST", 10_000)
    box.put(answer_to(mail, "Long " * 5_000))
    box.read()
    (row,) = received(session)
    assert (row.state, row.why, row.suggested_id, row.body) == (State.TRAY, Why.LARGE, case.id, "")
    page = signed_in(people.adviser)
    assert "qui n’a pas été lu ici" in words(page.get(f"/staff/mailbox/{row.id}").text)
    refused = page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference, "words": "person"}, status=409)
    assert "comme un courriel de quelqu’un d’autre" in refused.text
    page.get(f"/staff/mailbox/{row.id}")
    page.post(f"/staff/mailbox/{row.id}/file", {"reference": case.reference, "words": "other"})
    session.expire_all()
    (event,) = events(session, case, "mail.received")
    assert "qui n’a pas été lu ici" in event.detail.values["body"]
    assert box.left("mailbox.received") == [], "the adviser put it there, and knows"


WRONG = [
    b"",
    b"\r\n",
    b"From: \xff\xfe\r\nSubject: =?utf-8?q?=ZZ?=\r\n\r\n\xff\x00\xfe",
    b"From: a@b.ca\r\nContent-Type: text/plain; charset=no-such-charset\r\n\r\nBonjour a vous",
    b"From: x@b.ca\r\nSubject: =?utf-8?b?A?=\r\n\r\nBonjour",
    b"From: a@b.ca\r\nMessage-ID: <\xff\xfe>\r\nDate: \xff\r\nReferences: \xff\r\n\r\nBonjour",
    b"From: a@b.ca\r\nContent-Type: multipart/mixed\r\n\r\nno boundary",
    b"From: a@b.ca, c@d.ca\r\nSubject: deux\r\n\r\n\x00\x01",
    b'From: "a\r\n b" <not an address>\r\nDate: never\r\n\r\n<html>',
    b"From: a@b.ca\r\nContent-Type: text/html\r\n\r\n" + b"<div>" * 3_000 + b"Bonsoir",
    (
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nnothing\r\n--x--"
    ),
    b"From: a@b.ca\r\n" + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 50,
]


def test_emails_that_are_written_wrongly_hold_no_other(box, session):
    for raw in WRONG:
        box.put(raw or b"\n")
    box.put(written("bon@exemple.ca", "Bon"))
    box.read()
    rows = received(session)
    assert rows[-1].subject == "Bon"
    assert len(rows) == len(WRONG) - 1, (
        "two of them are alike: nothing, and the report that says nothing is a program's"
    )
    assert all(row.state is State.TRAY for row in rows)


def test_a_refused_sign_in_is_told_on_the_workers_page_without_the_password(box, session, set_otherwise):
    set_otherwise(password="un-autre-mot")
    with pytest.raises(JobFailedError):
        box.read()
    beat = session.get(Heartbeat, "mailbox")
    assert beat.failed_at is not None
    assert "un-autre-mot" not in beat.error


def test_other_ways_to_sign_in(box, set_otherwise):
    set_otherwise(implicit_tls=False, port=box.server.plain)
    box.put(written("bon@exemple.ca", "STARTTLS"))
    assert box.read() == 1
    set_otherwise(username="boite2", password=USERS["boite2"], implicit_tls=True, port=box.server.tls)
    assert box.read() == 0, "another mailbox, as far as we know: what comes from now on"
    box.put(written("bon@exemple.ca", "Des accents dans le mot de passe"))
    assert box.read() == 1


def test_a_server_that_nobody_vouches_for_is_not_told_the_password(app, box, session, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(JobFailedError):
        box.read()
    assert "certificate" in session.get(Heartbeat, "mailbox").error.lower()


def test_without_a_mailbox_nothing_is_read_and_mail_is_as_before(box, asked, set_otherwise):
    set_otherwise()
    assert box.read() == 0
    _case, mail = asked()
    assert "+m" not in str(mail["Reply-To"] or "")


def test_reports_come_to_the_mailbox_where_it_is_of_the_senders_domain(app, make, people, smtp, set_otherwise, box):
    url = urlsplit(smtp.url)
    server = Smtp(url.hostname, url.port, None, None, implicit_tls=False)
    for address, sender in ((BOX, r"programme\+m\d+-[a-z2-7]{20}"), ("a@ailleurs.exemple", "passerelle")):
        set_otherwise(address=address)
        app.extensions["settings"] = dataclasses.replace(app.extensions["settings"], smtp=server)
        before = len(smtp.received)
        case = make.case(owner=people.adviser, email="nadia@exemple.ca")
        write_to_person(case, "Bonjour", address, people.adviser)
        make.referral()
        box.left()
        taken = smtp.received[before:]
        assert {"nadia@exemple.ca"} < {one.to[0] for one in taken}
        assert all(re.fullmatch(rf"{sender}@exemple\.org", one.sender) for one in taken)
        team = {people.adviser.email, people.coordinator.email}
        assert all(("+m" in (one.mail["Reply-To"] or "")) == (one.to[0] not in team) for one in taken)
