"""What we owe people leaves, once, whatever the mail server does."""

import contextlib
import html
import re
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
import time_machine
from sqlalchemy import delete, event, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError

from crm import clock
from crm.cases import services as cases
from crm.config import Smtp
from crm.db import Base, db
from crm.i18n import gettext, speaking
from crm.intake.services import note_acknowledged
from crm.links.models import Link
from crm.outbox import deliver
from crm.outbox.deliver import GIVE_UP_AFTER, LEASE, PAUSE, WAITS
from crm.outbox.html import as_html
from crm.outbox.kinds import MessageKind
from crm.outbox.models import MailPause, Message, Status, Why
from crm.outbox.services import queue, settings
from crm.outbox.transports import WATCH, FileTransport, SmtpTransport, compose
from crm.referrals import services as referrals
from crm.texts import text
from crm.timeline.models import Event
from tests.outbox.conftest import message_id
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import words
from tests.support.server import poll

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@pytest.fixture
def owe(session):
    """`owe(address)` queues an acknowledgement and gives its row."""
    made = iter(range(1_000))

    def go(address="nadia@exemple.ca", language="fr", case=None, **more):
        message = queue(
            "intake.received",
            dedupe_key=f"test:{next(made)}",
            to=(address, "Nadia Benali"),
            language=language,
            values={"name": "Nadia Benali", "reference": "PCC-2B3C-4D5F", "date": "25 novembre 2026"},
            case_id=case.id if case else None,
            **more,
        )
        session.commit()
        return message

    return go


def in_french(message: str) -> str:
    with speaking("fr"):
        return " ".join(gettext(message).split())  # as `words` gives it


@pytest.mark.parametrize(
    ("language", "locale", "subject", "greeting"),
    [
        ("fr", "fr-CA", "Nous avons bien reçu votre demande (PCC-2B3C-4D5F)", "Bonjour Nadia Benali,"),
        ("en", "en-CA", "We have received your request (PCC-2B3C-4D5F)", "Hello Nadia Benali,"),
    ],
)
def test_a_message_leaves_once_in_its_readers_language(
    owe, round_of_sending, smtp, session, language, locale, subject, greeting
):
    message = owe(language=language)
    assert round_of_sending() == 1
    assert round_of_sending() == 0
    (taken,) = smtp.received
    assert taken.to == ["nadia@exemple.ca"]
    assert taken.message_id == message_id(message)
    assert taken.mail["Subject"] == subject
    assert taken.mail["Auto-Submitted"] == "auto-generated"
    assert taken.text.startswith(greeting)
    assert taken.mail["Content-Language"] == locale
    assert message.status is Status.SENT
    assert (message.attempts, message.lease_until, message.last_error) == (1, None, None)


def test_nobody_hears_of_a_fact_that_was_not_saved(make, people, session, round_of_sending, smtp):
    referral = make.referral(sent=False)
    referrals.send(referral, referral.case, people.adviser)
    session.rollback()
    assert round_of_sending() == 0
    assert smtp.received == []


def test_the_token_of_a_link_is_in_the_mail_and_nowhere_in_the_database(make, session, round_of_sending, smtp, pages):
    make.referral()
    assert round_of_sending() == 1
    address = next(line for line in smtp.received[0].text.splitlines() if "/mise-en-relation/" in line)
    token = address.rpartition("/")[2].strip()
    secret = token.partition("-")[2]
    assert len(secret) == 43
    stored = [repr(row) for table in Base.metadata.sorted_tables for row in session.execute(select(table))]
    assert len(stored) > 10
    assert not [row for row in stored if secret in row]
    assert "CDRQ" in pages.get(f"/fr/mise-en-relation/{token}").text


def test_a_refused_recipient_is_shown_to_staff_at_once_and_can_be_sent_again(
    owe, make, people, signed_in, round_of_sending, smtp, session
):
    case = make.case(owner=people.adviser)
    smtp.refuse["nadia@exemple.ca"] = "550 5.1.1 nobody of that name"
    message = owe(case=case)
    assert round_of_sending() == 0
    assert message.status is Status.FAILED
    assert message.attempts == 1
    assert session.scalar(select(Event.kind).where(Event.kind == "request.not_acknowledged"))

    adviser = signed_in(people.adviser)
    assert in_french("Some messages could not leave.") in words(adviser.get("/staff/cases").text)
    assert "550 5.1.1 nobody of that name" in words(adviser.get("/staff/mail").text)
    adviser.post(f"/staff/mail/{message.id}/send-again", status=404)
    session.expire_all()
    assert message.status is Status.FAILED

    smtp.behave()
    coordinator = signed_in(people.coordinator)
    coordinator.get("/staff/mail")
    assert f'action="/staff/mail/{message.id}/send-again"' in coordinator.last.text
    coordinator.post(f"/staff/mail/{message.id}/send-again")
    assert round_of_sending() == 1
    assert [one.message_id for one in smtp.received] == [message_id(message)]
    assert message.status is Status.SENT
    assert in_french("All mail has left.") in words(coordinator.get("/staff/mail").text)


def test_one_refused_recipient_does_not_keep_the_next_from_leaving(owe, round_of_sending, smtp):
    smtp.refuse["nobody@exemple.ca"] = "550 nobody"
    owe("nobody@exemple.ca")
    other = owe("nadia@exemple.ca")
    assert round_of_sending() == 1
    assert list(smtp.copies()) == [message_id(other)]


@pytest.mark.parametrize(
    ("place", "said"),
    [("dot", "451 4.3.0 try later"), ("mail", "421 4.7.0 too busy"), ("rcpt", "450 4.2.1 greylisted"), ("", "")],
    ids=["451 after the text", "421 at once", "450 for the recipient", "connection refused"],
)
def test_an_unwilling_server_is_asked_again_ever_later_until_it_takes_the_message(
    owe, people, signed_in, round_of_sending, smtp, place, said
):
    with time_machine.travel(NOON, tick=False) as moment:
        if place:
            smtp.answer[place] = said
        else:
            smtp.stop()
        message = owe()
        for tries, minutes in enumerate((*WAITS, WAITS[-1]), start=1):
            assert round_of_sending() == 0
            assert (message.status, message.attempts) == (Status.QUEUED, tries)
            assert message.due_at == clock.now() + timedelta(minutes=minutes)
            if tries == 1:
                adviser = signed_in(people.adviser)
                banner = in_french(
                    "Mail is delayed: the mail server does not answer. Messages will leave by themselves."
                )
                assert banner in words(adviser.get("/staff/cases").text)
                assert (said or "Connection refused") in words(adviser.get("/staff/mail").text)
            moment.move_to(message.due_at - timedelta(seconds=1))
            round_of_sending()
            assert message.attempts == tries, "it was tried before its time"
            moment.move_to(message.due_at)
        if place:
            smtp.behave()
        else:
            smtp.start()
        assert round_of_sending() == 1
        assert smtp.copies() == {message_id(message): 1}
        assert banner not in words(signed_in(people.adviser).get("/staff/cases").text)


def test_after_a_day_of_refusals_a_message_is_given_up_and_shown(owe, round_of_sending, smtp):
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.answer["dot"] = "451 try later"
        message = owe()
        moment.shift(GIVE_UP_AFTER)
        for _ in WAITS[1:]:
            round_of_sending()
            assert message.status is Status.QUEUED, "given up after too few tries"
            moment.move_to(message.due_at)
        round_of_sending()
        assert message.status is Status.FAILED
        assert message.last_error == "451 try later"


def test_an_answer_lost_after_the_text_brings_a_second_copy_with_the_same_message_id(owe, round_of_sending, smtp):
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.drop_after_dot = True
        message = owe()
        assert round_of_sending() == 0
        assert message.status is Status.QUEUED
        assert round_of_sending() == 0
        assert smtp.copies() == {message_id(message): 1}
        smtp.behave()
        moment.move_to(message.due_at)
        assert round_of_sending() == 1
        assert smtp.copies() == {message_id(message): 2}
        assert (message.status, message.unknowns) == (Status.SENT, 1)


def test_requests_are_received_while_the_mail_server_is_away(pages, people, session, round_of_sending, smtp):
    smtp.stop()
    confirmation = asking.ask(pages, ANSWERS)
    assert "PCC-" in pages.get(confirmation.headers["Location"]).text
    round_of_sending()
    smtp.start()
    waiting = session.scalars(select(Message)).one()
    waiting.due_at = clock.now()
    assert round_of_sending() == 1
    assert smtp.received[0].to == ["nadia@exemple.ca"]


POISONS = {
    "a kind nobody declares any more": {"kind": "gone.away"},
    "an object it lost": {"kind": "referrals.invitation", "subject_ids": {}},
    "an address no header can hold": {"to_address": "nadia\r\nBcc: all@exemple.ca"},
    "a language nobody speaks": {"language": "xx"},
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_message_that_cannot_be_prepared_fails_alone(owe, round_of_sending, smtp, session, poison):
    poisoned = owe("first@exemple.ca")
    others = [owe(f"other{n}@exemple.ca") for n in range(3)]
    session.execute(update(Message).where(Message.id == poisoned.id).values(**poison))
    session.commit()
    round_of_sending()
    assert {one.to[0] for one in smtp.received} == {one.to_address for one in others}
    assert poisoned.status is Status.FAILED
    assert poisoned.last_error
    assert [one.status for one in others] == [Status.SENT] * 3


def test_a_message_whose_end_cannot_be_recorded_is_final_and_holds_no_other(
    owe, declare, make, people, round_of_sending, smtp, session, monkeypatch
):
    def broken(_message):
        raise ValueError("its file cannot take this")

    declare("test.broken", true_ones=all_of, on_final=broken)
    monkeypatch.setattr(deliver, "NOTED_WITHIN", 60.0)
    cases = [make.case(owner=people.adviser, name=f"Projet {n}") for n in range(3)]
    session.execute(delete(Message))
    messages = [owe(f"person{n}@exemple.ca", case=case) for n, case in enumerate(cases)]
    messages[1].kind = "test.broken"
    declare("test.many", true_ones=all_of, on_final=note_acknowledged)
    messages[0].kind = messages[2].kind = "test.many"
    assert round_of_sending() == 3
    assert [one.status for one in messages] == [Status.SENT] * 3
    assert set(smtp.copies().values()) == {1}
    told = select(Event.case_id).where(Event.kind == "request.acknowledged")
    assert set(session.scalars(told)) == {cases[0].id, cases[2].id}


def test_the_thread_that_watches_a_connection_ends_with_it(owe, round_of_sending, smtp):
    smtp.refuse["nobody@exemple.ca"] = "550 nobody"
    smtp.answer["dot"] = "451 try later"
    owe("nobody@exemple.ca")
    owe()
    round_of_sending()
    poll(lambda: not [one for one in threading.enumerate() if one.name == WATCH], "the end of the thread")


def test_saying_goodbye_to_a_server_is_part_of_what_one_message_may_take():
    waits = SmtpTransport(Smtp("127.0.0.1", 9, None, None, implicit_tls=False), whole=10_000)
    with waits._watched():
        until = waits.until
        with waits._watched():
            assert waits.until == until
        assert waits.until == until
    waits.close()
    assert waits.until > until


def test_what_was_taken_behind_a_slow_message_is_given_back_as_if_nobody_had_taken_it(owe, smtp, session):
    messages = [owe(f"person{n}@exemple.ca") for n in range(3)]
    session.commit()
    assert (
        deliver.send_due(lease=timedelta(0)) == 3
    )  # every message takes longer than this lease allows for the next to be begun
    session.expire_all()
    assert [(one.status, one.attempts) for one in messages] == [(Status.SENT, 1)] * 3
    assert [one.to[0] for one in smtp.received] == [one.to_address for one in messages]


@pytest.fixture
def declare(app, monkeypatch):
    """`declare(kind, …)` makes a kind of message that no feature sends."""

    def go(kind, **more):
        declared = app.extensions["features"]["messages"]
        added = MessageKind(kind, "intake.mail.received", **more)
        monkeypatch.setitem(app.extensions["features"], "messages", (*declared, added))

    return go


def all_of(messages):
    return {one.id for one in messages}


@pytest.mark.parametrize(
    ("kinds", "within", "noted"),
    [
        (["intake.received"] * 3, 60.0, [0, 1, 2]),
        (["test.many"] * 3, 0.0, [0, 1, 2]),
        (["test.many"] * 3, 60.0, [0, 0, 0]),
        (["test.many", "test.many", "intake.received"], 60.0, [0, 0, 2]),
    ],
    ids=["by itself", "many, slow", "many, quick", "by itself after many"],
)
def test_what_left_is_noted_before_the_next_leaves_unless_many_leave_quickly(
    owe, declare, session, tmp_path, monkeypatch, kinds, within, noted
):
    seen = []

    class Watching(FileTransport):
        def send(self, mail, returns=None):
            with db.engine.connect() as other:
                seen.append(other.scalar(select(func.count(Message.id)).where(Message.status == Status.SENT)))
            return super().send(mail, returns)

    declare("test.many", true_ones=all_of)
    monkeypatch.setattr(deliver, "NOTED_WITHIN", within)
    monkeypatch.setattr(deliver, "transport", lambda settings: Watching(tmp_path / "mail"))
    messages = [owe(f"person{n}@exemple.ca") for n in range(3)]
    for message, its_kind in zip(messages, kinds, strict=True):
        message.kind = its_kind
    session.commit()
    assert deliver.send_due() == 3
    session.expire_all()
    assert {one.status for one in messages} == {Status.SENT}
    assert seen == noted


@pytest.mark.parametrize(
    ("kind_", "true_for", "ends"),
    [
        ("referrals.invitation", 60.0, Status.DROPPED),
        ("test.many", -1.0, Status.DROPPED),
        ("test.many", 60.0, Status.SENT),
    ],
    ids=["by itself", "many, long ago", "many, just now"],
)
def test_what_was_found_true_is_asked_again_unless_many_leave_quickly(
    make, declare, session, tmp_path, monkeypatch, kind_, true_for, ends
):
    """A link is closed while the message before is with the server: the next is dropped, unless it was to leave at once after it."""

    class Closing(FileTransport):
        def send(self, mail, returns=None):
            with db.engine.begin() as other:
                other.execute(update(Link).where(Link.id == closed).values(revoked_at=clock.now()))
            return super().send(mail, returns)

    declare("test.many", true_ones=all_of)
    monkeypatch.setattr(deliver, "TRUE_FOR", true_for)
    monkeypatch.setattr(deliver, "transport", lambda settings: Closing(tmp_path / "mail"))
    for _ in range(2):
        make.referral()
    session.commit()
    first, last = session.scalars(select(Message).where(Message.link_id.is_not(None)).order_by(Message.due_at)).all()
    first.kind = last.kind = kind_
    closed = last.link_id
    session.commit()
    deliver.send_due()
    session.expire_all()
    assert (first.status, last.status) == (Status.SENT, ends)


def test_a_server_that_refuses_us_after_it_took_some_of_many_is_not_asked_again_at_once(
    owe, declare, round_of_sending, smtp, session, monkeypatch
):
    class Refusing(SmtpTransport):
        def send(self, mail, returns=None):
            said = super().send(mail, returns)
            smtp.answer["mail"] = "550 5.7.1 quota"
            return said

    declare("test.many", true_ones=all_of)
    monkeypatch.setattr(deliver, "NOTED_WITHIN", 60.0)
    monkeypatch.setattr(deliver, "transport", lambda settings: Refusing(settings.smtp))
    with time_machine.travel(NOON, tick=False):
        messages = [owe(f"person{n}@exemple.ca") for n in range(3)]
        session.execute(update(Message).values(kind="test.many"))
        assert round_of_sending() == 1
        assert session.get_one(MailPause, 1).since == NOON
        assert round_of_sending() == 0
    assert smtp.offered == 2
    assert [one.status for one in messages] == [Status.SENT, Status.QUEUED, Status.QUEUED]


def test_a_database_that_fails_between_two_of_many_has_the_first_noted_once_it_is_back(
    owe, declare, session, smtp, monkeypatch, kind
):
    """What left is not noted yet when the next is asked of again, and that question meets the failure."""
    declare("test.many", true_ones=all_of)
    monkeypatch.setattr(deliver, "NOTED_WITHIN", 60.0)
    monkeypatch.setattr(deliver, "TRUE_FOR", -1.0)
    messages = [owe(f"person{n}@exemple.ca") for n in range(3)]
    session.execute(update(Message).values(kind="test.many"))
    session.commit()
    failed = []

    def fail(connection, _cursor, statement, *_):
        if len(smtp.received) == 1 and not failed and statement.startswith("SELECT"):
            failed.append(statement)
            if kind == "sqlite":
                raise OperationalError(statement, {}, Exception("database is locked"))
            mine = connection.connection.dbapi_connection.info.backend_pid
            with db.engine.connect() as other:
                other.execute(sql("SELECT pg_terminate_backend(:mine, 5000)"), {"mine": mine})

    event.listen(db.engine, "before_cursor_execute", fail)
    try:
        with contextlib.suppress(OperationalError):
            deliver.send_due()
    finally:
        event.remove(db.engine, "before_cursor_execute", fail)
    assert failed
    session.rollback()
    assert [one.status for one in messages] == [Status.SENT, Status.CLAIMED, Status.QUEUED]
    session.execute(update(Message).where(Message.status == Status.CLAIMED).values(lease_until=clock.now()))
    session.commit()
    deliver.send_due()
    assert smtp.copies() == {message_id(message): 1 for message in messages}


def test_a_row_of_many_that_cannot_even_be_read_holds_no_other(owe, declare, round_of_sending, smtp, session, kind):
    if kind == "postgresql":
        pytest.skip("PostgreSQL takes no such row")
    declare("test.many", true_ones=all_of)
    number, *_others = [owe(f"person{n}@exemple.ca").id for n in range(3)]
    session.execute(update(Message).values(kind="test.many"))
    session.execute(sql("UPDATE message SET subject_ids = '{' WHERE id = :number"), {"number": number})
    for _ in range(2):
        round_of_sending()
    assert [one.to for one in smtp.received] == [["person1@exemple.ca"], ["person2@exemple.ca"]]


def test_what_somebody_else_took_meanwhile_is_not_given_back(owe, smtp, session):
    theirs = owe()
    theirs.status, theirs.claimed_by, theirs.lease_until = Status.CLAIMED, "another", clock.now() + LEASE
    session.commit()
    deliver._give_back([theirs.id], "me")
    session.expire_all()
    assert (theirs.status, theirs.claimed_by) == (Status.CLAIMED, "another")


def test_the_page_of_unsent_mail_says_nothing_of_a_file_one_may_not_see(
    make, people, signed_in, round_of_sending, smtp, session
):
    smtp.refuse["jean@cdrq.example"] = "550 nobody"
    referral = make.referral()
    cases.restrict(referral.case, restricted=True, readers=[], actor=people.adviser)
    round_of_sending()
    assert referral.case.reference in signed_in(people.adviser).get("/staff/mail").text
    signed_in(people.other_adviser).get(f"/staff/cases/{referral.case.reference}", 404)
    assert referral.case.reference not in signed_in(people.other_adviser).get("/staff/mail").text


HOSTILE_NAMES = [
    "=?utf-8?q?Z=0d=0aReply-To=3A_evil=40evil=2Etest=0d=0a=0d=0aPHISH?=",
    "victim@x.example," * 7,
    "a <evil@x.example>, " * 6,
    'Nadia "la" (chef) Benali; <x@y.example>',
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_typed_by_anybody_adds_no_address_no_header_and_no_text(app, session, name):
    message = queue(
        "intake.received",
        dedupe_key="hostile",
        to=("nadia@exemple.ca", name),
        language="fr",
        values={"name": "N", "reference": f"PCC-2B3C-4D5F {HOSTILE_NAMES[0]}", "date": "demain"},
    )
    session.commit()
    mail = message_from_bytes(bytes(compose(message, "Le corps", settings())), policy=policy.default)
    assert [address.addr_spec for address in mail["To"].addresses] == ["nadia@exemple.ca"]
    assert mail["Reply-To"].addresses[0].addr_spec == settings().programme.email
    assert mail["Date"] is not None
    assert mail.get_body(("plain",)).get_content().strip() == "Le corps"


def test_headers_that_are_kept_from_one_message_to_the_next_are_those_of_each(owe):
    people = {
        "nadia@exemple.ca": "Nadia Benali",
        "zoe@exemple.ca": "Zoé Âgée-d’Ûnlongnom " * 4,
        "bob@exemple.ca": "=?utf-8?q?B?=",
    }
    for address, name in [*people.items(), *people.items()]:
        for language in ("fr", "en"):
            message = owe(address, language)
            message.to_name = name
            mail = compose(message, "Le corps", settings())
            anew = message_from_bytes(mail.as_bytes(policy=policy.default), policy=policy.default)
            assert bytes(mail) == mail.as_bytes(policy=policy.default) == bytes(anew)
            assert anew["To"].addresses[0].addr_spec == address
            assert anew["Message-ID"] == message_id(message)
            assert anew["Subject"] == message.subject
            assert anew["Content-Language"] == f"{language}-CA"


# --- a server that refuses us, and answers that never come ------------------------------------------------------------


def test_a_server_that_refuses_us_stops_all_mail_which_says_so_and_goes_on_by_itself(
    owe, people, signed_in, round_of_sending, smtp, session
):
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.answer["mail"] = "535 5.7.8 wrong password"
        messages = [owe(f"person{n}@exemple.ca") for n in range(3)]
        round_of_sending()
        assert [(one.status, one.attempts) for one in messages] == [(Status.QUEUED, 0)] * 3, "no try is counted"
        assert smtp.offered == 1, "a server that refuses us was asked again at once"
        pause = session.get_one(MailPause, 1)
        assert (pause.since, pause.try_at, pause.said) == (clock.now(), clock.now() + PAUSE, "535 5.7.8 wrong password")
        browser = signed_in(people.coordinator)
        banner = in_french("Mail is stopped: the mail server refuses us. Nothing is lost.")
        assert banner in words(browser.get("/staff/today").text)
        assert "535 5.7.8 wrong password" in words(browser.get("/staff/mail").text)

        smtp.behave()
        moment.shift(PAUSE - timedelta(seconds=1))
        assert round_of_sending() == 0, "it was tried before its time"
        moment.shift(timedelta(seconds=1))
        assert round_of_sending() == 3
        assert session.get(MailPause, 1) is None
        assert banner not in words(signed_in(people.coordinator).get("/staff/today").text)


def test_a_day_of_refusals_of_us_gives_up_no_message(owe, round_of_sending, smtp, session):
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.answer["mail"] = "530 5.7.0 sign in first"
        message = owe()
        for _ in range(30):
            round_of_sending()
            moment.shift(timedelta(hours=1))
        assert (message.status, message.attempts) == (Status.QUEUED, 0)
        assert session.get_one(MailPause, 1).since == NOON


def test_a_coordinator_has_the_server_tried_now(owe, people, signed_in, round_of_sending, smtp, session):
    smtp.answer["mail"] = "535 5.7.8 wrong password"
    owe()
    round_of_sending()
    smtp.behave()
    assert round_of_sending() == 0
    signed_in(people.adviser).post("/staff/mail/try-now", status=404)
    browser = signed_in(people.coordinator)
    browser.get("/staff/mail")
    browser.post("/staff/mail/try-now")
    assert round_of_sending() == 1


def test_an_answer_that_never_comes_is_tried_once_more_then_told_as_unknown(
    owe, make, people, signed_in, round_of_sending, smtp, session
):
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.drop_after_dot = True
        message = owe(case=make.case(owner=people.adviser))
        round_of_sending()
        assert (message.status, message.unknowns, message.due_at) == (Status.QUEUED, 1, NOON + LEASE)
        moment.move_to(NOON + LEASE)
        round_of_sending()
        assert (message.status, message.unknowns) == (Status.UNKNOWN, 2)
        moment.shift(timedelta(days=1))
        round_of_sending()
        assert smtp.copies() == {message_id(message): 2}, "after that, people decide"

        browser = signed_in(people.coordinator)
        page = words(browser.get("/staff/mail").text)
        assert text("outbox.status.unknown") in page
        assert in_french("Some messages could not leave.") in page
        browser.post(f"/staff/mail/{message.id}/settle")
        session.expire_all()
        page = words(browser.get("/staff/mail").text)
        assert in_french("All mail has left.") in page
        assert in_french("Some messages could not leave.") not in page
        assert people.coordinator.name in words(browser.get(f"/staff/mail/{message.id}").text)

        smtp.behave()
        browser.post(f"/staff/mail/{message.id}/send-again")
        assert round_of_sending() == 1
        assert smtp.copies() == {message_id(message): 3}
        assert message.status is Status.SENT


def test_a_disk_that_is_full_keeps_mail_that_becomes_files(owe, session, tmp_path, app):
    object.__setattr__(app.extensions["settings"], "smtp", None)
    (tmp_path / "mail").write_text("in the way")
    message, other = owe(), owe("other@exemple.ca")
    session.commit()
    assert deliver.send_due() == 0
    session.expire_all()
    assert {one.status for one in (message, other)} == {Status.QUEUED}
    assert "File exists" in message.last_error
    (tmp_path / "mail").unlink()
    message.due_at = other.due_at = clock.now()
    session.commit()
    assert deliver.send_due() == 2
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_the_ledger_tells_all_that_became_of_a_message(owe, make, people, signed_in, round_of_sending, smtp, session):
    case = make.case(owner=people.adviser)
    with time_machine.travel(NOON, tick=False) as moment:
        smtp.answer["dot"] = "451 4.3.0 try later"
        message = owe(case=case)
        round_of_sending()
        smtp.behave()
        moment.shift(timedelta(hours=3))
        round_of_sending()
        assert (message.first_due_at, message.final_at) == (NOON, NOON + timedelta(hours=3))
        assert message.answer == "250 taken"
        page = words(signed_in(people.adviser).get(f"/staff/mail/{message.id}").text)
    for told in (
        "Nadia Benali",
        "nadia@exemple.ca",
        case.reference,
        "250 taken",
        "3\u00a0heures en retard",
        "Bonjour Nadia Benali,",
    ):
        assert " ".join(told.split()) in " ".join(page.split()), told
    assert f"/staff/mail/{message.id}" in signed_in(people.adviser).get("/staff/mail?show=sent").text
    assert f"/staff/mail/{message.id}" in signed_in(people.adviser).get(f"/staff/mail?file={case.reference}").text
    assert "send-again" not in signed_in(people.adviser).get(f"/staff/mail/{message.id}").text


def test_what_was_sent_can_be_sent_again_as_a_message_of_its_own_once(
    owe, people, signed_in, round_of_sending, smtp, session
):
    message = owe()
    round_of_sending()
    browser = signed_in(people.coordinator)
    browser.get(f"/staff/mail/{message.id}")
    for _ in range(2):  # a double press
        browser.post(f"/staff/mail/{message.id}/send-again")
    assert round_of_sending() == 1
    copy = session.scalars(select(Message).where(Message.again_of_id == message.id)).one()
    assert (copy.body, copy.to_address, copy.again_by_id) == (message.body, message.to_address, people.coordinator.id)
    assert smtp.copies() == {message_id(message): 1, message_id(copy): 1}
    browser.post(f"/staff/mail/{copy.id}/send-again")
    assert round_of_sending() == 1
    page = browser.get(f"/staff/mail/{copy.id}").text
    assert f"/staff/mail/{message.id}" in page
    assert people.coordinator.name in words(page)


def test_a_message_that_stopped_being_true_says_why_it_did_not_leave(
    make, people, session, signed_in, round_of_sending
):
    referral = make.referral()
    referrals.withdraw(referral, referral.case, people.adviser)
    session.commit()
    round_of_sending()
    message = session.scalars(select(Message).where(Message.kind == "referrals.invitation")).one()
    assert (message.status, message.why) == (Status.DROPPED, Why.LINK_CLOSED)
    browser = signed_in(people.coordinator)
    assert text("outbox.why.link_closed") in words(browser.get(f"/staff/mail/{message.id}").text)
    assert f"/staff/mail/{message.id}" in browser.get("/staff/mail?show=dropped").text
    browser.post(f"/staff/mail/{message.id}/send-again")
    said = in_french("What this message says is no longer true: it will not be sent again.")
    assert said in words(browser.get(f"/staff/mail/{message.id}").text)


def test_the_ledger_turns_its_pages_and_takes_no_nonsense(owe, people, signed_in, session):
    for _ in range(120):
        owe()
    browser = signed_in(people.adviser)
    seen, address = set(), "/staff/mail?show=waiting"
    while address:
        page = browser.get(address).text
        seen |= set(re.findall(r'/staff/mail/(\d+)"', page))
        found = re.search(r'<a class="button" href="([^"]+)" rel="next"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == 120
    for nonsense in ("show=x", "before=zzz", "before=WyJhIl0", "show=sent&before=" + "9" * 300):
        browser.get(f"/staff/mail?{nonsense}")
    browser.get("/staff/mail?file=PCC-2B2B-2B2B", 404)
    browser.get("/staff/mail/999999", 404)


# --- words in two forms -----------------------------------------------------------------------------------------------


def test_a_message_comes_as_plain_text_and_as_html_with_the_same_words(owe, round_of_sending, smtp):
    owe()
    round_of_sending()
    (taken,) = smtp.received
    assert taken.mail.get_content_type() == "multipart/alternative"
    plain = re.sub(r"<[^>]+>", " ", taken.html.partition("<body>")[2])
    assert html.unescape(plain).split() == taken.text.split()
    assert 'lang="fr-CA"' in taken.html


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<script>alert(1)</script> & «é»", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; «é»"),
        (
            "Voir https://a.example/x?a=1&b=2.",
            '<a href="https://a.example/x?a=1&amp;b=2">https://a.example/x?a=1&amp;b=2</a>.',
        ),
        ('Voir https://a.example/"onclick="x', "Voir https://a.example/&#34;onclick=&#34;x</p>"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("Titre\n- un\nsuite\n- deux", "<li>un<br>\nsuite</li><li>deux</li>"),
        ("a\nb\n\nc", '<p style="margin:0 0 1em">a<br>\nb</p>\n<p style="margin:0 0 1em">c</p>'),
    ],
)
def test_html_says_what_the_text_says_and_nothing_of_it_is_live(body, expected):
    made = as_html("Objet <b>", body, "fr")
    assert expected in made
    assert "<title>Objet &lt;b&gt;</title>" in made
    assert not re.findall(r"<(?:img|script|link|iframe)|url\(", made)
