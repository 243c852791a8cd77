"""Nothing leaves for a body without a permission naming it; a link opens one thing, changes nothing, and dies at once."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import Stage
from crm.db import Base
from crm.errors import RefusedError
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.permissions import services as permissions
from crm.permissions.models import How, Permission
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason, Status
from crm.reminders.services import open_ones
from crm.reminders.words import title_of
from crm.timeline.models import Event
from tests.support.pages import Pages, words
from tests.support.typed import form_with

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@pytest.fixture
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


def link_of(session, referral) -> Link:
    return session.scalars(select(Link).where(Link.object_id == referral.id)).one()


def token_of(session, referral) -> str:
    return links.token(link_of(session, referral))


def entered(app, token):
    """The browser of a person at the body, past the Continue button."""
    pages = Pages(app)
    pages.get(f"/fr/mise-en-relation/{token}")
    pages.post(f"/fr/mise-en-relation/{token}")
    return pages


def mail_kinds(session) -> list[str]:
    return list(session.scalars(select(Message.kind).order_by(Message.id)))


# --- permission first ------------------------------------------------------------------------------------------------


def test_a_referral_without_a_permission_is_never_sent(make, people, session):
    case = make.case_at(Stage.PLANNING)
    referral = referrals.prepare(
        case, make.body(), purpose="x", fields=["name"], how=None, expires_on=clock.today(), actor=people.adviser
    )
    session.commit()
    assert referral.status is Status.SELF
    with pytest.raises(RefusedError):
        referrals.send(referral, case, people.adviser)
    session.rollback()
    assert mail_kinds(session) == []


@pytest.mark.parametrize("why", ["withdrawn", "expired"])
def test_a_permission_that_counts_no_more_sends_nothing(make, people, session, signed_in, moment, why):
    referral = make.referral(sent=False)
    if why == "withdrawn":
        permissions.withdraw(referral.permission, referral.case, people.adviser)
    else:
        moment.shift(timedelta(days=91))
    session.commit()
    adviser = signed_in(people.adviser)
    preview = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    adviser.get(preview)
    refused = adviser.post(preview + "/send", status=409)
    assert "La permission de la personne manque" in words(refused.text)
    session.expire_all()
    assert (referral.status, referral.sent_at, referral.shared) == (Status.READY, None, [])
    assert mail_kinds(session) == []


def test_a_permission_expires_at_the_end_of_its_last_day_in_montreal(make, session, pages, moment):
    referral = make.referral()
    permission = referral.permission
    permission.expires_on = clock.today()
    address = f"/fr/mise-en-relation/{token_of(session, referral)}"
    session.commit()
    moment.move_to(datetime(2026, 11, 25, 4, 59, 59, tzinfo=UTC))
    pages.get(address)
    moment.move_to(datetime(2026, 11, 25, 5, 0, tzinfo=UTC))
    pages.get(address, 404)


@pytest.mark.parametrize("status", ["ready", "sent", "info_asked", "accepted", "declined", "no_answer"])
def test_the_database_itself_refuses_a_referral_without_a_permission(make, session, status):
    referral = make.referral(sent=False)
    with pytest.raises(IntegrityError, match="permission_first"):
        session.execute(update(Referral).where(Referral.id == referral.id).values(permission_id=None, status=status))
    session.rollback()
    columns = "case_id, body_id, purpose, shared, created_by_id, created_at, answer_note"
    with pytest.raises(IntegrityError, match="permission_first"):
        session.execute(
            text(f"INSERT INTO referral (status, {columns}) SELECT :status, {columns} FROM referral"),
            {"status": status},
        )


def test_the_database_itself_refuses_a_permission_given_for_another_body_or_file(make, people, session):
    referral = make.referral(sent=False)
    other_body, other_case = make.body(_other_code(session)), make.case()
    elsewhere = permissions.give(
        other_case,
        referral.body,
        purpose="x",
        fields=["name"],
        how=How.VERBAL,
        language="fr",
        expires_on=clock.today(),
        recorded_by=people.adviser,
    )
    session.commit()
    for wrong in ({"body_id": other_body.id}, {"case_id": other_case.id}, {"permission_id": elsewhere.id}):
        with pytest.raises(IntegrityError):
            session.execute(update(Referral).where(Referral.id == referral.id).values(**wrong))
        session.rollback()
    with pytest.raises(IntegrityError):
        session.execute(update(Permission).where(Permission.id == referral.permission_id).values(body_id=other_body.id))


def _other_code(session) -> str:
    return session.scalar(text("SELECT code FROM body WHERE code <> 'cdrq' ORDER BY id LIMIT 1"))


def test_only_the_fields_that_were_allowed_are_shared(make, session, app, people):
    referral = make.referral(fields=("project_name", "email"))
    assert [one["field"] for one in referral.shared] == ["email", "project_name"]
    body = entered(app, token_of(session, referral))
    read = words(body.get("/fr/mise-en-relation").text)
    assert "nadia@exemple.ca" in read
    assert "Nadia Benali" not in read
    assert "choisir sa forme juridique" not in read


def test_what_was_sent_stays_as_it_was_sent(make, session, app, people, signed_in):
    referral = make.referral()
    case, token = referral.case, token_of(session, referral)
    case.contact.email, case.contact.name = "nouvelle@exemple.ca", "Nom Changé"
    case.project.summary = "Un tout autre résumé."
    session.commit()
    read = [
        words(entered(app, token).get("/fr/mise-en-relation").text),
        words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}/referrals/{referral.id}").text),
    ]
    for page in read:
        assert "nadia@exemple.ca" in page
        assert "Nadia Benali" in page
        assert "choisir sa forme juridique" in page
        assert "nouvelle@exemple.ca" not in page
        assert "Un tout autre résumé" not in page


# --- links -----------------------------------------------------------------------------------------------------------


def everything(session) -> dict[str, list[str]]:
    found = {
        table.name: sorted(repr(row) for row in session.execute(select(table))) for table in Base.metadata.sorted_tables
    }
    session.commit()
    return found


def test_opening_a_link_changes_nothing_however_often_and_by_whatever(make, session, app):
    token = token_of(session, make.referral())
    before = everything(session)
    for address in (f"/fr/mise-en-relation/{token}", f"/en/referral/{token}"):
        for method in ("GET", "HEAD", "OPTIONS"):
            scanner = Pages(app).client
            answer = scanner.open(address, method=method, headers={"Host": "127.0.0.1:8000"})
            assert answer.status_code == 200
            assert "link=" not in str(answer.headers.getlist("Set-Cookie")), "opening gives no access"
    assert everything(session) == before


def _flip(token: str, place: int) -> str:
    number, _, secret = token.partition("-")
    changed = bytearray(secret.encode())
    changed[place] ^= 1
    return f"{number}-{changed.decode()}"


def _for_purpose(session, referral, purpose):
    link = link_of(session, referral)
    return f"{link.id}-{links._signature(link.id, purpose, link.version)}"


BROKEN = {
    "one bit of the first sign": lambda s, r: _flip(token_of(s, r), 0),
    "one bit in the middle": lambda s, r: _flip(token_of(s, r), 20),
    "one bit of the last sign": lambda s, r: _flip(token_of(s, r), -1),
    "upper case": lambda s, r: token_of(s, r).upper(),
    "one sign less": lambda s, r: token_of(s, r)[:-1],
    "one sign more": lambda s, r: token_of(s, r) + "A",
    "no secret": lambda s, r: f"{link_of(s, r).id}-",
    "no number": lambda s, r: token_of(s, r).partition("-")[2],
    "made for another purpose": lambda s, r: _for_purpose(s, r, "portal"),
    "made for another version": lambda s, r: f"{link_of(s, r).id}-{links._signature(link_of(s, r).id, 'referral', 2)}",
    "a link that never was": lambda s, r: f"424242-{links._signature(424242, 'referral', 1)}",
    "a number no row can have": lambda s, r: f"999999999999-{links._signature(999999999999, 'referral', 0)}",
    "a number longer than any": lambda s, r: "9" * 400 + "-x",
    "digits of another script": lambda s, r: "١-x",
    "a NUL": lambda s, r: token_of(s, r) + "%00",
    "not text": lambda s, r: "%FF%FE",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_every_forged_link_gets_the_same_neutral_page(make, session, app, broken):
    referral = make.referral()
    before = everything(session)
    token = broken(session, referral)
    session.commit()
    for address, said in NEUTRAL.items():
        pages = Pages(app)
        shown = pages.get(f"{address}/{token}", 404)
        assert words(shown.text).count(said) == 1
        assert "CDRQ" not in shown.text
        pages.get("/fr/demande")  # for its token
        pages.post(f"{address}/{token}", status=404)
    session.execute(text("DELETE FROM rate_count"))
    session.commit()
    assert everything(session) == before


NEUTRAL = {"/fr/mise-en-relation": "Ce lien ne fonctionne plus", "/en/referral": "This link does not work any more"}


def _expire(session, referral, people, moment):
    moment.shift(timedelta(days=31))


def _revoke(session, referral, people, moment):
    links.revoke(Purpose.REFERRAL, referral.id)


def _withdraw(session, referral, people, moment):
    referrals.withdraw(referral, referral.case, people.adviser)


def _take_back(session, referral, people, moment):
    referrals.withdraw_permission(referral.permission, referral.case, people.adviser)


def _leave(session, referral, people, moment):
    referral.body.active = False


ENDS = {"expired": _expire, "revoked": _revoke, "referral withdrawn": _withdraw, "permission taken back": _take_back,
        "body closed": _leave}  # fmt: skip


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_link_that_ended_is_neutral_at_once_also_for_who_was_inside(make, session, app, people, moment, end):
    referral = make.referral()
    token = token_of(session, referral)
    inside = entered(app, token)
    inside.get("/fr/mise-en-relation")
    end(session, referral, people, moment)
    session.commit()
    forged = words(Pages(app).get("/fr/mise-en-relation/1-x", 404).text)
    assert words(Pages(app).get(f"/fr/mise-en-relation/{token}", 404).text) == forged
    assert words(inside.get("/fr/mise-en-relation", 404).text) == forged
    inside.get("/fr/demande")  # for its token
    inside.post("/fr/mise-en-relation", {"answer": "accept"}, status=404)
    session.expire_all()
    assert referral.answered_at is None


def test_a_body_stays_inside_for_two_hours(make, session, app, moment):
    inside = entered(app, token_of(session, make.referral()))
    moment.shift(timedelta(hours=1, minutes=59))
    inside.get("/fr/mise-en-relation")
    moment.shift(timedelta(minutes=2))
    inside.get("/fr/mise-en-relation", 404)


def test_taking_a_permission_back_tells_the_body_in_its_language_and_cancels_what_waits(
    make, session, people, signed_in
):
    referral = make.referral(body=make.body(language="en"))
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{referral.case.reference}")
    adviser.post(f"/staff/cases/{referral.case.reference}/permissions/{referral.permission_id}/withdraw")
    session.expire_all()
    assert referral.status is Status.WITHDRAWN
    assert mail_kinds(session) == ["referrals.invitation", "referrals.withdrawn"]
    invitation, told = session.scalars(select(Message).order_by(Message.id))
    assert not referrals.still_open(invitation)
    assert (told.language, told.to_address) == ("en", referral.body.contact_email)
    assert told.subject == f"Referral withdrawn ({referral.case.reference})"
    assert link_of(session, referral).revoked_at is not None
    events = session.scalars(select(Event.kind).where(Event.case_id == referral.case_id))
    assert {"permission.withdrawn", "referral.withdrawn"} <= set(events)


@pytest.mark.parametrize("left", [True, False])
def test_a_body_that_was_never_written_to_is_not_told_of_a_withdrawal(make, session, people, left):
    referral = make.referral()
    if left:
        send_due()
    referrals.withdraw(referral, referral.case, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    invitation, told = (message.status for message in session.scalars(select(Message).order_by(Message.id)))
    assert (invitation, told) == (
        (MailStatus.SENT, MailStatus.SENT) if left else (MailStatus.DROPPED, MailStatus.DROPPED)
    )


def test_what_was_accepted_closes_too_when_the_permission_is_taken_back(make, session, app, people):
    referral = make.referral()
    inside = entered(app, token_of(session, referral))
    inside.get("/fr/mise-en-relation")
    inside.post("/fr/mise-en-relation", {"answer": "accept"})
    session.expire_all()
    referrals.withdraw_permission(referral.permission, referral.case, people.adviser)
    session.commit()
    inside.get("/fr/mise-en-relation", 404)
    assert mail_kinds(session)[-1] == "referrals.withdrawn"


def test_a_body_whose_server_may_have_taken_the_invitation_is_told(make, session, people):
    """The yes of a mail server can be lost: the message waits to be sent again, and the body holds what it received."""
    referral = make.referral()
    invitation = session.scalars(select(Message)).one()
    invitation.attempts, invitation.last_error = 1, "the server dropped the line"
    referrals.withdraw(referral, referral.case, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    told = session.scalars(select(Message).where(Message.kind == "referrals.withdrawn")).one()
    assert told.status is MailStatus.SENT


def test_an_answer_typed_for_one_referral_is_never_taken_for_another(make, session, app):
    one, other = make.referral(), make.referral(body=make.body("esplanade"))
    inside = entered(app, token_of(session, one))
    inside.get("/fr/mise-en-relation")
    about = form_with(inside.last.text, "note")[1]["about"]
    inside.get(f"/fr/mise-en-relation/{token_of(session, other)}")
    inside.post(f"/fr/mise-en-relation/{token_of(session, other)}")
    typed = {"answer": "decline", "reason": "area", "note": "Hors de notre territoire", "about": about}
    refused = inside.post("/fr/mise-en-relation", typed, status=409)
    assert "Hors de notre territoire" in refused.text
    session.expire_all()
    assert (one.status, other.status) == (Status.SENT, Status.SENT)


def test_a_referral_made_ready_does_not_leave_while_the_file_is_on_hold(make, session, people):
    referral = make.referral(sent=False)
    make.body("cdrq")
    cases.advance(
        referral.case, Stage.PAUSED, people.adviser, reason="congé", return_on=clock.today() + timedelta(days=30)
    )
    with pytest.raises(RefusedError):
        referrals.send(referral, referral.case, people.adviser)


def test_a_note_typed_under_a_link_that_ended_is_given_back(make, session, app, people):
    referral = make.referral()
    inside = entered(app, token_of(session, referral))
    inside.get("/fr/mise-en-relation")
    referrals.withdraw(referral, referral.case, people.adviser)
    session.commit()
    given = inside.post("/fr/mise-en-relation", {"answer": "accept", "note": "Longue note tapée"}, status=404)
    assert "Longue note tapée" in given.text


def test_the_words_to_say_are_complete_before_the_person_answers_and_nothing_is_saved(make, session, people, signed_in):
    case, body = make.case_at(Stage.PLANNING), make.body("cdrq")
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/refer"
    adviser.get(address)
    until = (clock.today() + timedelta(days=60)).isoformat()
    typed = {"purpose": "pour trouver un conseil", "fields": ["name", "email"], "expires_on": until, "words": "1"}
    shown = adviser.post(address, typed | {"body": str(body.id)}, status=200).text
    said = words(shown.partition('id="say"')[2])
    assert "pour trouver un conseil" in said
    assert "pour pour" not in said
    assert "…" not in said.partition("?")[0]
    adviser.post(address, typed | {"body": ""}, status=422)
    assert session.scalar(select(func.count()).select_from(Permission)) == 0


def test_two_answers_on_one_file_make_two_steps_that_name_their_body(make, session, people):
    one = make.referral()
    other = make.referral(case=one.case, body=make.body("esplanade"))
    answers.accept(one, "")
    answers.decline(other, DeclineReason.CAPACITY, "")
    session.commit()
    titles = {title_of(step) for step in open_ones(one.case) if step.rule == "answered"}
    assert len(titles) == 2
    assert any("CDRQ" in title for title in titles)


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_second_of_two_answers_is_refused_and_changes_nothing(make, session, app, lang):
    referral = make.referral()
    token = token_of(session, referral)
    first, second = entered(app, token), entered(app, token)
    address = {"fr": "/fr/mise-en-relation", "en": "/en/referral"}[lang]
    second.get(address)
    first.get(address)
    first.post(address, {"answer": "accept", "note": "Avec plaisir"})
    refused = second.post(address, {"answer": "decline", "reason": "capacity", "note": "Trop"}, status=409)
    said = {"fr": "a déjà répondu", "en": "has already answered"}[lang]
    assert said in words(refused.text)
    session.expire_all()
    assert (referral.status, referral.answer_note, referral.decline_reason) == (Status.ACCEPTED, "Avec plaisir", None)
    kinds = list(session.scalars(select(Event.kind).where(Event.kind.in_(("referral.accepted", "referral.declined")))))
    assert kinds == ["referral.accepted"]


def test_the_words_of_the_second_answer_are_not_thrown_away(make, session, app):
    token = token_of(session, make.referral())
    first, second = entered(app, token), entered(app, token)
    second.get("/fr/mise-en-relation")
    first.get("/fr/mise-en-relation")
    first.post("/fr/mise-en-relation", {"answer": "accept"})
    note = "Un long mot pour l’équipe, tapé pendant dix minutes."
    refused = second.post("/fr/mise-en-relation", {"answer": "decline", "reason": "capacity", "note": note}, status=409)
    assert note in words(refused.text)


def test_declining_needs_a_reason_and_keeps_the_words(make, session, app):
    referral = make.referral()
    inside = entered(app, token_of(session, referral))
    inside.get("/fr/mise-en-relation")
    refused = inside.post("/fr/mise-en-relation", {"answer": "decline", "note": "Un mot"}, status=422)
    assert 'href="#reason"' in refused.text
    assert "Un mot" in refused.text
    inside.post("/fr/mise-en-relation", {"answer": "decline", "reason": "area", "note": "Un mot"})
    session.expire_all()
    assert (referral.status, referral.decline_reason) == (Status.DECLINED, DeclineReason.AREA)


def test_a_referral_is_sent_once_however_often_the_button_is_pressed(make, session, people, signed_in):
    referral = make.referral(sent=False)
    adviser = signed_in(people.adviser)
    preview = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    adviser.get(preview)
    adviser.post(preview + "/send")
    adviser.get("/staff/cases")
    adviser.get(preview)
    adviser.post(preview + "/send", status=409)
    assert mail_kinds(session) == ["referrals.invitation"]
    assert session.scalar(select(func.count()).select_from(Link)) == 1


# --- who may see -----------------------------------------------------------------------------------------------------


def staff_addresses(referral) -> tuple[list[str], list[str]]:
    """What can be read and what can be pressed about a file and its referral."""
    file = f"/staff/cases/{referral.case.reference}"
    one = f"{file}/referrals/{referral.id}"
    pressed = ["take", "assign", "notes", "exchanges", "assessment", "stage", "refer", "follow-ups", "talks"]
    return (
        [file, file.lower(), f"{file}/refer", one],
        [f"{file}/{verb}" for verb in pressed]
        + [f"{one}/send", f"{one}/withdraw", f"{file}/permissions/{referral.permission_id}/withdraw"],
    )


@pytest.mark.parametrize("who", ["other_adviser", "coordinator", "admin", "observer"])
def test_a_restricted_file_does_not_exist_for_who_is_not_named_on_it(make, session, people, signed_in, who):
    referral = make.referral()
    cases.restrict(referral.case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    read, pressed = staff_addresses(referral)
    stranger = signed_in(getattr(people, who))
    before = everything(session)
    for address in read:
        stranger.get(address, 404)
    for address in pressed:
        stranger.post(address, {"body": "x"}, status=404)
    if who != "observer":
        assert referral.case.reference not in stranger.get("/staff/cases?stage=all").text
    assert everything(session) == before
    owner = signed_in(people.adviser)
    for address in read:
        owner.get(address)


def test_an_observer_sees_no_file_at_all(make, session, people, signed_in):
    referral = make.referral()
    session.commit()
    observer = signed_in(people.observer)
    read, pressed = staff_addresses(referral)
    before = everything(session)
    for address in [*read, "/staff/cases", "/staff/mail", "/staff/organizations"]:
        observer.get(address, 404)
    for address in pressed:
        observer.post(address, {"body": "x"}, status=404)
    assert everything(session) == before
    summaries = observer.get("/staff/summaries").text
    assert not re.search(r"PCC-\w{4}-\w{4}|Nadia|Outilthèque", summaries)


def test_a_referral_of_another_file_is_not_reached_through_ones_own(make, session, people, signed_in):
    hidden = make.referral()
    cases.restrict(hidden.case, restricted=True, readers=[], actor=people.adviser)
    mine = make.case(owner=people.other_adviser)
    session.commit()
    file = f"/staff/cases/{mine.reference}"
    other = signed_in(people.other_adviser)
    other.get(f"{file}/referrals/{hidden.id}", 404)
    other.get(file)
    other.post(f"{file}/referrals/{hidden.id}/withdraw", status=404)
    other.get(file)
    other.post(f"{file}/permissions/{hidden.permission_id}/withdraw", status=404)
    session.expire_all()
    assert hidden.status is Status.SENT
