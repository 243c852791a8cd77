"""A referral followed to its end: the person is asked, the body asks, says what comes next and what came of it, time passes. Everybody who
waits is told who holds the file now, and nothing that was true contradicts what became true meanwhile.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm import clock
from crm.cases import services as cases
from crm.cases.addresses import link_of
from crm.cases.models import Case
from crm.cases.queries import forgotten
from crm.cases.vocabulary import ClosingReason, Stage, Turn
from crm.errors import RefusedError
from crm.i18n import speaking
from crm.intake.answers import answers_of, page_of
from crm.jobs import Job, run_job
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.partners.services import change_contact, leave
from crm.permissions.models import How, Permission
from crm.portal.corrections import change_answers, changed
from crm.referrals import answers, chasing
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason, EndedBy, Outcome, Status, SupportUnit
from crm.reminders.models import State
from crm.reminders.services import cancel, open_ones, plan_by_rule
from crm.timeline.models import Event
from tests.support.pages import Pages, words
from tests.support.plans import as_if_full
from tests.support.plans import plan as plan_of
from tests.support.typed import form_with

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
PAGE = {"fr": "/fr/permission", "en": "/en/permission"}
ANSWER = "/fr/mise-en-relation"
NOTHING_SAID = answers.mark_of("", None)


@pytest.fixture
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def asked(moment, make, people, session):
    """`asked(...)` is a referral about which the person was asked in writing."""

    def go(*, body=None, until=None, sends_itself=False, **file):
        case = make.case(owner=people.adviser, **file) if file else make.case_at(Stage.PLANNING)
        if file:
            make.exchange(case, people.adviser)
            make.assessed(case, people.adviser)
            for stage in (Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING):
                cases.advance(case, stage, people.adviser)
        referral = referrals.ask_permission(
            case,
            body or make.body(),
            purpose="l’accompagnement au démarrage",
            fields=["summary", "name", "email"],
            expires_on=until or clock.today() + timedelta(days=90),
            actor=people.adviser,
            sends_itself=sends_itself,
        )
        session.commit()
        return referral

    return go


@pytest.fixture
def works(app, session):
    """`works()` lets the worker do what time brings about, and send."""

    def go():
        session.commit()
        for name, job in (
            ("give_up_waiting", answers.give_up_waiting),
            ("end_permissions", answers.end_what_lapsed),
            ("send", send_due),
        ):
            run_job(app, Job(name, job), strict=True)
        session.expire_all()

    return go


def address_of(session, referral, lang="fr") -> str:
    link = session.scalars(
        select(Link).where(Link.object_id == referral.id, Link.purpose == Purpose.ALLOW, Link.revoked_at.is_(None))
    ).one()
    found = f"{PAGE[lang]}/{links.token(link)}"
    session.commit()
    return found


def mark_on(page) -> str:
    return form_with(page.text, "mark")[1]["mark"]


def say(app, session, referral, answer, lang="fr", status=303):
    """The person opens the link of the mail and presses a button."""
    browser, address = Pages(app), address_of(session, referral, lang)
    mark = mark_on(browser.get(address))
    said = browser.post(address, {"answer": answer, "mark": mark}, status=status)
    session.expire_all()
    return browser, said


def entered(app, session, referral):
    link = session.scalars(
        select(Link).where(Link.object_id == referral.id, Link.purpose == Purpose.REFERRAL, Link.revoked_at.is_(None))
    ).first()
    address = f"{ANSWER}/{links.token(link)}"
    session.commit()
    pages = Pages(app)
    pages.get(address)
    pages.post(address)
    return pages


def kinds(session, *starting) -> list[str]:
    found = session.scalars(select(Message.kind).order_by(Message.id))
    return [kind for kind in found if kind.startswith(starting or ("",))]


def steps(case) -> set[str]:
    return {one.rule for one in open_ones(case)}


def told(session, case) -> list[str]:
    return list(
        session.scalars(
            select(Event.kind).where(Event.case_id == case.id, Event.kind.startswith("referral.")).order_by(Event.id)
        )
    )


# --- the person is asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_yes_by_the_link_is_a_permission_with_the_very_text_that_was_shown(asked, app, session, lang):
    referral = asked(sends_itself=False)
    browser = Pages(app)
    shown = words(browser.get(address_of(session, referral, lang)).text)
    _, _ = say(app, session, referral, "yes", lang)
    permission = session.get_one(Permission, referral.permission_id)
    assert (permission.how, permission.language, permission.recorded_by_id) == (How.LINK, lang, None)
    assert permission.fields == ["name", "email", "summary"]
    assert words(permission.text_shown) in shown
    assert (permission.body_id, permission.case_id, permission.expires_on) == (
        referral.body_id, referral.case_id, date(2027, 2, 22),
    )  # fmt: skip
    assert referral.status is Status.READY
    assert kinds(session) == ["referrals.permission"], "it waits for the adviser"
    assert "permission_given" in steps(referral.case)
    assert "check_permission" not in steps(referral.case)
    assert told(session, referral.case) == ["referral.permission_asked", "referral.allowed"]


def test_what_may_leave_by_itself_leaves_with_the_yes_and_holds_only_what_was_allowed(asked, app, session, people):
    referral = asked(sends_itself=True)
    say(app, session, referral, "yes")
    assert referral.status is Status.SENT
    assert [one["field"] for one in referral.shared] == ["name", "email", "summary"]
    assert kinds(session) == ["referrals.permission", "referrals.invitation"]
    assert session.get_one(Case, referral.case_id).turn is Turn.BODY
    assert not forgotten(people.coordinator)


def test_a_yes_that_was_all_a_file_waited_for_leaves_it_a_step(asked, app, session, people):
    referral = asked(sends_itself=True)
    for one in open_ones(referral.case):
        if one.rule != "check_permission":
            cancel(one, referral.case, people.adviser)
    referral.body.answer_days = 400  # no step of the plan comes instead
    say(app, session, referral, "yes")
    assert referral.status is Status.SENT
    assert open_ones(referral.case)
    assert not forgotten(people.coordinator)


def test_what_cannot_leave_with_the_yes_becomes_a_step(asked, app, session):
    referral = asked(sends_itself=True)
    leave(referral.body, referral.body.main)
    session.commit()
    say(app, session, referral, "yes")
    assert referral.status is Status.READY
    assert "permission_given" in steps(referral.case)


def test_while_the_person_is_asked_it_is_their_turn_and_nothing_left(asked, session, works):
    referral = asked()
    works()
    case = referral.case
    assert (case.turn, case.turn_until) == (Turn.PERSON, None)
    mail = session.scalars(select(Message)).one()
    assert (mail.kind, mail.status, mail.to_address) == ("referrals.permission", MailStatus.SENT, case.contact.email)
    assert "check_permission" in steps(case)
    assert referral.sent_at is None


@pytest.mark.parametrize(
    ("answer", "status", "ended_by", "step"),
    [("no", Status.WITHDRAWN, EndedBy.PERSON, "permission_no"), ("self", Status.SELF, None, "self_check")],
)
def test_a_no_and_ones_own_way_share_nothing_and_are_followed(
    asked, app, session, answer, status, ended_by, step, people
):
    referral = asked()
    browser, _ = say(app, session, referral, answer)
    assert (referral.status, referral.declined_by, referral.permission_id) == (status, ended_by, None)
    assert step in steps(referral.case)
    assert kinds(session) == ["referrals.permission"]
    shown = words(browser.get(address_of(session, referral)).text)
    assert "rien n" in shown.lower()
    assert not forgotten(people.coordinator)


@pytest.mark.parametrize("second", ["yes", "no", "self"])
def test_the_second_press_changes_nothing_and_says_what_was_answered(asked, app, session, second):
    referral = asked()
    address = address_of(session, referral)
    one, other = Pages(app), Pages(app)
    mark = mark_on(one.get(address))
    other.get(address)
    one.post(address, {"answer": "yes", "mark": mark})
    again = other.post(address, {"answer": second, "mark": mark})
    assert again.headers["Location"] == address
    session.expire_all()
    assert referral.status is Status.READY
    assert len(session.scalars(select(Permission)).all()) == 1


def test_a_text_that_changed_below_the_button_is_shown_again(asked, app, session):
    referral = asked()
    browser, address = Pages(app), address_of(session, referral)
    browser.get(address)
    again = browser.post(address, {"answer": "yes", "mark": "an earlier one"}, status=409)
    assert "Ce texte a changé" in words(again.text)
    session.expire_all()
    assert referral.permission_id is None


def _over(session, referral, people, moment):
    moment.shift(timedelta(days=31))


def _withdrawn(session, referral, people, moment):
    referrals.withdraw(referral, referral.case, people.adviser)


def _body_gone(session, referral, people, moment):
    referral.body.active = False


def _closed(session, referral, people, moment):
    cases.advance(
        referral.case,
        Stage.CLOSED,
        people.adviser,
        reason="x",
        closing_reason=ClosingReason.WITHDRAWN,
        person_told="told",
    )


@pytest.mark.parametrize("end", [_over, _withdrawn, _body_gone, _closed])
def test_a_question_that_is_over_gets_the_neutral_page_of_a_forged_one(asked, app, session, people, moment, end):
    referral = asked()
    address = address_of(session, referral)
    browser = Pages(app)
    mark = mark_on(browser.get(address))
    forged = words(Pages(app).get(f"{PAGE['fr']}/1-x", 404).text)
    end(session, referral, people, moment)
    session.commit()
    assert words(Pages(app).get(address, 404).text) == forged
    browser.post(address, {"answer": "yes", "mark": mark}, status=404)
    session.expire_all()
    assert referral.permission_id is None
    assert kinds(session, "referrals.invitation") == []


def test_on_their_own_page_the_person_answers_the_same_question(asked, app, session):
    referral = asked()
    browser, door = Pages(app), f"/fr/mon-dossier/ouvrir/{links.token(link_of(referral.case))}"
    session.commit()
    browser.get(door)
    browser.post(door)
    page = browser.get("/fr/mon-dossier")
    assert words(referrals.question_of(referral, referral.body, "fr")) in words(page.text)
    typed = {"number": str(referral.id), "mark": mark_on(page)}
    browser.post("/fr/mon-dossier/reponse", typed | {"answer": "yes", "mark": "earlier"})
    session.expire_all()
    assert referral.permission_id is None
    browser.get("/fr/mon-dossier")
    browser.post("/fr/mon-dossier/reponse", typed | {"answer": "yes"})
    session.expire_all()
    assert session.get_one(Permission, referral.permission_id).how is How.PAGE
    browser.get("/fr/mon-dossier")
    browser.post("/fr/mon-dossier/reponse", typed | {"answer": "no"})
    session.expire_all()
    assert referral.status is Status.READY


def test_a_question_of_another_file_is_not_answered_from_ones_own_page(asked, app, session, make):
    referral, mine = asked(), make.case()
    browser, door = Pages(app), f"/fr/mon-dossier/ouvrir/{links.token(link_of(mine))}"
    session.commit()
    browser.get(door)
    browser.post(door)
    browser.get("/fr/mon-dossier")
    browser.post("/fr/mon-dossier/reponse", {"number": str(referral.id), "answer": "no"})
    session.expire_all()
    assert referral.status is Status.CONSENT_PENDING


@pytest.mark.parametrize("answer", ["verbal", "paper", "no", "self"])
def test_what_the_person_said_on_the_telephone_is_written_down_by_a_colleague(
    asked, session, people, signed_in, answer
):
    referral = asked()
    adviser = signed_in(people.adviser)
    page = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    adviser.get(page)
    adviser.post(f"{page}/permission", {"answer": answer})
    session.expire_all()
    wanted = {"no": Status.WITHDRAWN, "self": Status.SELF}
    assert referral.status is wanted.get(answer, Status.READY)
    if answer not in wanted:
        permission = session.get_one(Permission, referral.permission_id)
        assert (permission.how, permission.recorded_by_id) == (How(answer), people.adviser.id)


def test_a_person_without_an_address_is_asked_by_voice(make, people, session, moment):
    case = make.case_at(Stage.PLANNING)
    case.contact.email = ""
    with pytest.raises(RefusedError, match="de vive voix"):
        referrals.ask_permission(
            case, make.body(), purpose="x", fields=["name"], expires_on=clock.today(), actor=people.adviser
        )


# --- the body asks, and says more ------------------------------------------------------------------------------------


def test_a_body_asks_is_answered_and_accepts_and_everybody_knows_who_holds_the_file(
    make, app, session, people, signed_in, works, moment
):
    referral = make.referral()
    case = referral.case
    cases.advance(case, Stage.REFERRED, people.adviser)
    works()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "ask"}, status=422)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "ask", "note": "Combien êtes-vous?"})
    works()
    assert (referral.status, referral.question, case.turn) == (Status.INFO_ASKED, "Combien êtes-vous?", Turn.TEAM)
    assert "body_asks" in steps(case)
    moment.shift(timedelta(days=3))
    adviser = signed_in(people.adviser)
    page = f"/staff/cases/{case.reference}/referrals/{referral.id}"
    assert "Combien êtes-vous?" in adviser.get(page).text
    adviser.post(f"{page}/reply", {"words": ""}, status=422)
    adviser.get(page)
    adviser.post(f"{page}/reply", {"words": "Quatre personnes.", "seen": answers.mark_of("Combien êtes-vous?")})
    works()
    assert (referral.status, referral.reply, case.turn) == (Status.SENT, "Quatre personnes.", Turn.BODY)
    assert "body_asks" not in steps(case)
    assert referral.waits_since == clock.now() > referral.sent_at
    mail = session.scalars(select(Message).where(Message.kind == "referrals.reply")).one()
    assert (mail.status, mail.to_address) == (MailStatus.SENT, referral.body.contact_email)
    assert "Quatre personnes." in mail.body
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    typed = {"answer": "accept", "next_note": "Un premier appel", "next_on": "2026-12-03"}
    inside.post(ANSWER, typed | {"next_on": "2026-11-01"}, status=422)
    inside.get(ANSWER)
    inside.post(ANSWER, typed)
    works()
    assert (referral.status, referral.next_note, referral.next_on) == (
        Status.ACCEPTED,
        "Un premier appel",
        date(2026, 12, 3),
    )
    sent = session.scalars(
        select(Message).where(Message.kind.startswith("referrals.person_")).order_by(Message.id)
    ).all()
    assert [(one.kind, one.status) for one in sent] == [
        ("referrals.person_info_asked", MailStatus.SENT), ("referrals.person_accepted", MailStatus.SENT),
    ]  # fmt: skip
    browser, door = Pages(app), f"/fr/mon-dossier/ouvrir/{links.token(link_of(case))}"
    session.commit()
    browser.get(door)
    browser.post(door)
    theirs = words(browser.get("/fr/mon-dossier").text)
    assert "Cet organisme a accepté" in theirs
    assert "Un premier appel" in theirs
    assert not forgotten(people.coordinator)


def test_a_mail_to_the_person_that_stopped_being_so_does_not_leave(make, session, moment, works):
    referral = make.referral()
    answers.ask(referral, "Combien?")
    answers.decline(referral, DeclineReason.CAPACITY, "")
    works()
    found = session.scalars(
        select(Message).where(Message.kind.startswith("referrals.person_")).order_by(Message.id)
    ).all()
    assert [(one.kind, one.status) for one in found] == [
        ("referrals.person_info_asked", MailStatus.DROPPED), ("referrals.person_declined", MailStatus.SENT),
    ]  # fmt: skip
    assert "capacit" not in found[1].body.lower(), "the reason is the adviser's to tell"


@pytest.mark.parametrize("spoken", ["fr", "en"])
def test_the_person_is_told_in_their_language(make, session, moment, works, people, spoken):
    case = make.case(owner=people.adviser, language=spoken)
    make.exchange(case, people.adviser)
    make.assessed(case, people.adviser)
    for stage in (Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING):
        cases.advance(case, stage, people.adviser)
    referral = make.referral(case=case)
    answers.accept(referral, "")
    works()
    mail = session.scalars(select(Message).where(Message.kind == "referrals.person_accepted")).one()
    assert (mail.language, mail.to_address) == (spoken, case.contact.email)
    assert mail.subject.startswith({"fr": "Bonne nouvelle", "en": "Good news"}[spoken])
    assert "[link]" in mail.body
    assert mail.link_id == link_of(case).id


def test_what_came_of_it_is_told_with_how_much_support(make, app, session, moment):
    referral = make.referral()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "end", "came": "partly", "amount": "12"}, status=422)
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "end", "came": "partly", "amount": "12", "unit": "hours", "note": "Statuts déposés"})
    session.expire_all()
    assert (referral.status, referral.outcome, referral.outcome_note) == (
        Status.COMPLETED,
        Outcome.PARTLY,
        "Statuts déposés",
    )
    assert (referral.support_amount, referral.support_unit, referral.ended_at) == (12, SupportUnit.HOURS, clock.now())
    receipt = words(inside.get(ANSWER).text)
    assert "12 heures" in receipt
    assert "nadia@exemple.ca" not in receipt, "what was shared is shown no more"
    assert "answered" in steps(referral.case)


def test_a_body_that_stops_after_having_accepted_tells_the_adviser_and_the_person(make, app, session, works, moment):
    referral = make.referral()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "end", "came": "body", "note": "Notre conseillère nous quitte"})
    works()
    assert (referral.status, referral.declined_by, referral.outcome) == (Status.INTERRUPTED, EndedBy.BODY, None)
    assert "referrals.person_interrupted" in kinds(session)
    assert "answered" in steps(referral.case)


@pytest.mark.parametrize("forged", ["person", "staff", "time", ""])
def test_a_body_says_for_itself_only_that_it_stopped(make, app, session, moment, forged):
    referral = make.referral()
    answers.accept(referral, "")
    session.commit()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "end", "came": forged}, status=422)
    session.expire_all()
    assert referral.status is Status.ACCEPTED


def test_what_comes_next_is_said_again_until_it_ends(make, app, session, moment):
    referral = make.referral()
    answers.accept(referral, "")
    session.commit()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "next", "seen": NOTHING_SAID}, status=422)
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "next", "next_note": "Atelier de mission", "seen": NOTHING_SAID})
    session.expire_all()
    assert referral.next_note == "Atelier de mission"
    answers.complete(referral, answers.Ended(Outcome.HELPED))
    session.commit()
    inside.get(ANSWER)
    refused = inside.post(ANSWER, {"what": "next", "next_note": "Longue suite tapée"}, status=409)
    assert "Longue suite tapée" in refused.text


# --- a wrong answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["accept", "decline"])
def test_a_wrong_answer_is_taken_back_within_a_week_and_nobody_is_told_the_wrong_one(
    make, app, session, works, moment, first, people
):
    referral = make.referral()
    cases.advance(referral.case, Stage.REFERRED, people.adviser)
    works()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": first, "reason": "area", "next_note": "Demain"})
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "correct", "was": {"accept": "accepted", "decline": "declined"}[first]})
    works()
    assert (referral.status, referral.answered_at, referral.decline_reason, referral.declined_by) == (
        Status.SENT,
        None,
        None,
        None,
    )
    assert (referral.answer_note, referral.next_note) == ("", "")
    assert referral.case.turn is Turn.BODY
    assert "answered" not in steps(referral.case)
    assert {
        one.status for one in session.scalars(select(Message).where(Message.kind.startswith("referrals.person_")))
    } == {MailStatus.DROPPED}
    assert told(session, referral.case)[-1] == "referral.corrected"
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    session.expire_all()
    assert referral.status is Status.ACCEPTED
    assert not forgotten(people.coordinator)


def test_after_a_week_an_answer_stands(make, app, session, moment):
    referral = make.referral()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    moment.shift(timedelta(days=7, seconds=1))
    inside = entered(app, session, referral)
    assert "Notre dernière réponse était une erreur" not in words(inside.get(ANSWER).text)
    inside.post(ANSWER, {"what": "correct", "was": "accepted"}, status=409)
    session.expire_all()
    assert referral.status is Status.ACCEPTED


def test_what_came_of_it_told_by_mistake_leaves_it_accepted(make, session, moment):
    referral = make.referral()
    answers.accept(referral, "Avec plaisir")
    answers.complete(referral, answers.Ended(Outcome.HELPED, "x", 3, SupportUnit.MONTHS))
    answers.correct(referral, referral.status)
    session.commit()
    assert (referral.status, referral.answer_note, referral.outcome, referral.support_amount, referral.ended_at) == (
        Status.ACCEPTED, "Avec plaisir", None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("answered", ["decline", "complete", "interrupt"])
def test_a_receipt_is_read_for_a_week(make, app, session, moment, answered):
    referral = make.referral()
    if answered == "decline":
        answers.decline(referral, DeclineReason.AREA, "")
    else:
        answers.accept(referral, "")
        if answered == "complete":
            answers.complete(referral, answers.Ended(Outcome.HELPED))
        else:
            answers.interrupt(referral, EndedBy.BODY, "")
    session.commit()
    moment.shift(timedelta(days=6))
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    moment.shift(timedelta(days=1, seconds=1))
    inside.get(ANSWER, 404)
    with pytest.raises(AssertionError, match="answered 404"):
        entered(app, session, referral)


# --- on a body's behalf ----------------------------------------------------------------------------------------------


def test_what_a_body_said_on_the_telephone_is_written_down_and_marked_so(make, session, people, signed_in, moment):
    referral = make.referral()
    adviser = signed_in(people.other_adviser)
    page = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    adviser.get(page)
    adviser.post(f"{page}/answer", {"answer": "decline"}, status=422)
    adviser.get(page)
    adviser.post(f"{page}/answer", {"answer": "accept", "note": "Dit au téléphone"})
    session.expire_all()
    assert (referral.status, referral.answered_for_id) == (Status.ACCEPTED, people.other_adviser.id)
    assert f"written down by {people.other_adviser.name}" in words(adviser.get(page).text)
    assert "answered" in steps(referral.case), "the owner of the file did not hear it"
    adviser.post(f"{page}/next", {"next_note": "Une rencontre", "seen": NOTHING_SAID})
    adviser.get(page)
    adviser.post(f"{page}/end", {"came": "person", "note": "La personne a trouvé un emploi"})
    session.expire_all()
    assert (referral.status, referral.declined_by, referral.next_note) == (
        Status.INTERRUPTED,
        EndedBy.PERSON,
        "Une rencontre",
    )
    adviser.get(page)
    adviser.post(f"{page}/correct", {"was": "interrupted"})
    session.expire_all()
    assert (referral.status, referral.answered_for_id) == (Status.ACCEPTED, None)
    assert told(session, referral.case)[-4:] == [
        "referral.accepted_for", "referral.next_for", "referral.interrupted_for", "referral.corrected_for",
    ]  # fmt: skip


def test_what_a_person_did_by_themselves_is_followed_to_its_end(make, session, people, signed_in, moment):
    case = make.case_at(Stage.PLANNING)
    referral = referrals.prepare(
        case, make.body(), purpose="x", fields=[], how=None, expires_on=clock.today(), actor=people.adviser
    )
    session.commit()
    assert "self_check" in steps(case)
    adviser = signed_in(people.adviser)
    page = f"/staff/cases/{case.reference}/referrals/{referral.id}"
    adviser.get(page)
    adviser.post(f"{page}/end", {"came": "helped"})
    session.expire_all()
    assert (referral.status, referral.outcome, referral.permission_id) == (Status.COMPLETED, Outcome.HELPED, None)
    assert "self_check" not in steps(case)
    assert kinds(session) == []
    assert not forgotten(people.coordinator)
    adviser.get(page)
    adviser.post(f"{page}/correct", {"was": "completed"}, status=409)


# --- time passes -----------------------------------------------------------------------------------------------------


def test_after_twenty_business_days_another_way_is_looked_for_and_a_late_answer_still_counts(
    make, app, session, people, works, moment
):
    referral = make.referral()
    case = referral.case
    cases.advance(case, Stage.REFERRED, people.adviser)
    moment.move_to("2026-12-21 15:00Z")  # the 19th business day
    works()
    assert referral.status is Status.SENT
    moment.move_to("2026-12-22 15:00Z")
    works()
    assert (referral.status, case.turn) == (Status.NO_ANSWER, Turn.TEAM)
    assert "no_answer" in steps(case)
    assert "check_answer" not in steps(case)
    mail = session.scalars(select(Message).where(Message.kind == "referrals.person_no_answer")).one()
    assert mail.status is MailStatus.SENT
    works()
    assert told(session, case).count("referral.no_answer") == 1
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    session.expire_all()
    assert referral.status is Status.ACCEPTED


def test_an_answer_to_what_a_body_asked_gives_it_twenty_days_anew(make, session, people, works, moment):
    referral = make.referral()
    moment.move_to("2026-12-15 15:00Z")
    answers.ask(referral, "Combien?")
    answers.reply(referral, "Quatre", people.adviser)
    moment.move_to("2026-12-23 15:00Z")
    works()
    assert referral.status is Status.SENT


@pytest.mark.parametrize("status", ["ready", "sent", "info_asked", "no_answer", "accepted"])
def test_the_end_of_a_permission_is_as_its_withdrawal_and_happens_once(
    make, app, session, works, moment, status, people
):
    referral = make.referral(sent=status != "ready")
    works()
    if status == "info_asked":
        answers.ask(referral, "Combien?")
    elif status == "accepted":
        answers.accept(referral, "")
    elif status == "no_answer":
        referral.status = Status.NO_ANSWER
    referral.permission.expires_on = clock.today()
    works()
    assert session.get_one(Permission, referral.permission_id).lapsed_at is None, "its last day is not over"
    moment.move_to("2026-11-25 12:59Z")
    works()
    assert referral.permission.lapsed_at is None, "it is not eight o'clock yet"
    moment.move_to("2026-11-25 13:00Z")
    works()
    works()
    assert referral.permission.lapsed_at == clock.now()
    assert referral.status is (Status.ACCEPTED if status == "accepted" else Status.WITHDRAWN)
    assert referral.declined_by is (None if status == "accepted" else EndedBy.TIME)
    assert [one.status for one in session.scalars(select(Message).where(Message.kind == "referrals.expired"))] == (
        [] if status == "ready" else [MailStatus.SENT]
    )
    assert not session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL, Link.revoked_at.is_(None))).all()
    assert [one.rule for one in open_ones(referral.case)].count("permission_over") == 1
    assert told(session, referral.case).count("referral.expired") == 1
    assert not forgotten(people.coordinator)


def test_a_permission_taken_back_before_its_end_does_not_end_twice(make, session, works, moment, people):
    referral = make.referral()
    referrals.withdraw_permission(referral.permission, referral.case, people.adviser)
    moment.shift(timedelta(days=120))
    works()
    assert told(session, referral.case).count("referral.expired") == 0
    assert referral.permission.lapsed_at is None


def test_a_question_nobody_answered_ends_with_the_date_it_named(asked, session, works, moment):
    referral = asked(until=clock.today() + timedelta(days=10))
    moment.shift(timedelta(days=10))
    works()
    assert referral.status is Status.CONSENT_PENDING
    moment.shift(timedelta(days=1))
    works()
    works()
    assert (referral.status, referral.declined_by) == (Status.WITHDRAWN, EndedBy.TIME)
    assert "permission_over" in steps(referral.case)
    assert told(session, referral.case).count("referral.expired") == 1


def test_two_workers_end_a_permission_once(make, session, works, moment, app, database_url, tmp_path):
    referral = make.referral()
    answers.accept(referral, "")
    referral.permission.expires_on = clock.today() - timedelta(days=1)
    session.commit()
    permission = session.get_one(Permission, referral.permission_id)
    session.refresh(permission)
    assert answers._lapse(permission.id) == 1
    assert answers._lapse(permission.id) == 0
    session.commit()
    assert told(session, referral.case).count("referral.expired") == 1


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["permission", "answer", "end", "next", "reply", "correct"])
def test_a_restricted_file_has_no_referral_for_who_is_not_named_on_it(make, session, people, signed_in, verb, moment):
    referral = make.referral()
    cases.restrict(referral.case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    stranger = signed_in(people.other_adviser)
    page = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}/{verb}"
    stranger.get("/staff/today")
    stranger.post(page, {"answer": "accept", "came": "helped", "words": "x", "next_note": "x"}, status=404)
    session.expire_all()
    assert referral.status is Status.SENT


def test_what_may_not_be_done_now_is_refused_with_its_reason_and_changes_nothing(
    make, session, people, signed_in, moment
):
    referral = make.referral()
    answers.decline(referral, DeclineReason.AREA, "")
    session.commit()
    adviser = signed_in(people.adviser)
    page = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    for verb, typed in (
        ("answer", {"answer": "accept"}),
        ("end", {"came": "helped"}),
        ("next", {"next_note": "x"}),
        ("reply", {"words": "Une longue réponse"}),
        ("permission", {"answer": "verbal"}),
        ("send", {}),
        ("withdraw", {}),
    ):
        adviser.get(page)
        refused = adviser.post(f"{page}/{verb}", typed, status=409)
        assert all(value in refused.text for value in typed.values() if " " in value), "what was typed comes back"
    session.expire_all()
    assert referral.status is Status.DECLINED
    assert isinstance(referral, Referral)


# --- what chance, or two people at once, may bring -------------------------------------------------------------------


def test_a_yes_written_down_after_the_date_that_was_named_is_no_permission(asked, people, moment):
    referral = asked(until=clock.today() + timedelta(days=10))
    moment.shift(timedelta(days=11))
    with pytest.raises(RefusedError, match="est passée"):
        referrals.allow(referral, referral.case, how=How.VERBAL, language="fr", actor=people.adviser)
    assert referral.permission_id is None


def test_a_question_that_would_send_by_itself_needs_somebody_to_send_to(make, people, moment):
    case, body = make.case_at(Stage.PLANNING), make.body()
    leave(body, body.main)
    given = {"purpose": "x", "fields": ["name"], "expires_on": clock.today(), "actor": people.adviser}
    with pytest.raises(RefusedError, match="personne-ressource"):
        referrals.ask_permission(case, body, **given, sends_itself=True)
    assert referrals.ask_permission(case, body, **given).status is Status.CONSENT_PENDING


def test_a_body_that_was_answered_is_chased_anew_and_not_at_once(make, session, people, moment):
    referral = make.referral()
    referral.chases = 2
    answers.ask(referral, "Combien?")
    moment.shift(timedelta(days=20))
    answers.reply(referral, "Quatre", people.adviser)
    session.commit()
    assert referral.chases == 0
    assert chasing._waited_for(clock.today()) == []


def test_a_mail_about_a_file_that_was_joined_to_another_does_not_leave(make, session, works, moment):
    referral = make.referral()
    answers.accept(referral, "")
    message = session.scalars(select(Message).where(Message.kind == "referrals.person_accepted")).one()
    assert answers.still_so(message)
    referral.case.merged_into_id = make.case(email="autre@exemple.ca").id
    session.flush()
    assert not answers.still_so(message)


def test_an_answer_that_comes_while_a_round_looks_for_the_silent_is_not_overwritten(make, session, moment):
    referral = make.referral()
    moment.move_to("2027-01-15 15:00Z")
    answers.accept(referral, "")
    assert answers._fall_silent(referral.id, clock.today()) == 0
    assert referral.status is Status.ACCEPTED
    answers.correct(referral, referral.status)
    assert answers._fall_silent(referral.id, clock.today()) == 0, "it has the next word since today"


def test_who_wrote_the_answer_down_on_their_own_file_is_given_no_step_to_learn_of_it(make, session, people, moment):
    referral = make.referral()
    answers.accept(referral, "", staff=people.adviser)
    session.commit()
    assert "answered" not in steps(referral.case)
    assert not forgotten(people.coordinator)


def test_support_without_an_amount_has_no_unit(make, session, moment):
    referral = make.referral()
    answers.accept(referral, "")
    answers.complete(referral, answers.Ended(Outcome.HELPED, unit=SupportUnit.HOURS))
    assert (referral.support_amount, referral.support_unit) == (None, None)


def test_a_person_without_an_address_reads_on_paper_only_what_their_page_says(make, session, moment):
    referral = make.referral()
    referral.case.contact.email = ""
    answers.decline(referral, DeclineReason.AREA, "")
    session.commit()
    assert kinds(session, "referrals.person_") == []


def test_two_who_write_at_once_are_both_told_the_truth(make, session, people, signed_in, app, moment):
    """The body presses while a colleague writes its answer down: one counts, the other reads what was answered and keeps the words."""
    referral = make.referral()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    adviser = signed_in(people.adviser)
    page = f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"
    adviser.get(page)
    inside.post(ANSWER, {"answer": "accept"})
    refused = adviser.post(
        f"{page}/answer", {"answer": "decline", "reason": "area", "note": "Dit au téléphone hier"}, status=409
    )
    assert "Dit au téléphone hier" in refused.text
    session.expire_all()
    assert referral.status is Status.ACCEPTED


# --- what a hostile reading found ------------------------------------------------------------------------------------


def test_a_question_follows_the_person_to_another_address_and_dies_at_the_earlier_one(
    asked, app, session, people, works
):
    referral = asked(sends_itself=True)
    case, former = referral.case, address_of(session, referral)
    Pages(app).get(former)
    with speaking("fr"):
        wanted = page_of("reach", answers_of(case, "reach") | {"email": ["nouvelle@exemple.ca"]})
        assert wanted.validate()
        change_answers(case, "reach", changed(answers_of(case, "reach"), wanted), people.adviser)
    works()
    Pages(app).get(former, 404)
    found = session.scalars(select(Message).where(Message.kind == "referrals.permission").order_by(Message.id)).all()
    assert [(one.to_address, one.status) for one in found] == [
        ("nadia@exemple.ca", MailStatus.DROPPED), ("nouvelle@exemple.ca", MailStatus.SENT),
    ]  # fmt: skip
    say(app, session, referral, "yes")
    assert referral.status is Status.SENT


def test_an_invitation_that_waits_leaves_for_who_receives_the_mail_by_then(make, app, session, works, moment):
    referral = make.referral()
    moment.shift(timedelta(seconds=1))
    assert change_contact(
        referral.body, seen_version=referral.body.version, name="Luce Roy", email="luce@cdrq.example", language="fr",
        answer_days=None, chase_days=5, actor=None,
    )  # fmt: skip
    works()
    works()
    found = session.scalars(select(Message).where(Message.kind == "referrals.invitation").order_by(Message.id)).all()
    assert [(one.to_address, one.status) for one in found] == [
        ("jean@cdrq.example", MailStatus.DROPPED), ("luce@cdrq.example", MailStatus.SENT),
    ]  # fmt: skip
    Pages(app).get(f"{ANSWER}/{links.token(session.get_one(Link, found[1].link_id))}")


def test_a_file_that_only_waited_to_send_or_for_an_answer_keeps_a_step(asked, make, session, people, moment):
    referral = asked()
    for one in open_ones(referral.case):
        if one.rule != "check_permission":
            cancel(one, referral.case, people.adviser)
    referrals.withdraw(referral, referral.case, people.adviser)
    assert open_ones(referral.case)
    ready = make.referral(sent=False)
    for one in open_ones(ready.case):
        cancel(one, ready.case, people.adviser)
    settle_steps(ready.case)
    plan_by_rule(ready.case, "permission_given", clock.today(), about="CDRQ")
    referrals.send(ready, ready.case, people.adviser)
    session.commit()
    assert open_ones(ready.case)
    assert not forgotten(people.coordinator)


def settle_steps(case) -> None:
    for one in open_ones(case):
        one.state, one.ended_at = State.DONE, clock.now()


def test_a_second_press_takes_nothing_more_back(make, session, people, moment):
    referral = make.referral()
    answers.accept(referral, "Avec plaisir")
    answers.complete(referral, answers.Ended(Outcome.HELPED))
    answers.correct(referral, "completed")
    with pytest.raises(RefusedError, match="changé entre-temps"):
        answers.correct(referral, "completed")
    assert (referral.status, referral.answer_note) == (Status.ACCEPTED, "Avec plaisir")


@pytest.mark.parametrize("end", ["withdrawn", "over"])
def test_without_a_permission_nothing_is_corrected_and_nothing_answered(make, session, people, moment, end):
    referral, asks = make.referral(), make.referral()
    answers.decline(referral, DeclineReason.AREA, "")
    answers.ask(asks, "Combien?")
    for one in (referral, asks):
        if end == "over":
            one.permission.expires_on = clock.today() - timedelta(days=1)
        else:
            one.permission.withdrawn_at = clock.now()
    session.commit()
    with pytest.raises(RefusedError):
        answers.correct(referral, "declined", staff=people.adviser)
    with pytest.raises(RefusedError, match="permission"):
        answers.reply(asks, "Quatre", people.adviser)


def test_a_body_does_not_take_back_what_staff_wrote_down(make, session, people, moment):
    referral = make.referral()
    answers.accept(referral, "", staff=people.adviser)
    assert not answers.correctable(referral)
    assert answers.correctable(referral, by_staff=True)


def test_a_referral_prepared_or_asked_twice_is_one(asked, make, people, moment):
    referral = asked()
    given = {"purpose": referral.purpose, "fields": ["name"], "expires_on": clock.today(), "actor": people.adviser}
    with pytest.raises(RefusedError, match="attend déjà"):
        referrals.ask_permission(referral.case, referral.body, **given)
    with pytest.raises(RefusedError, match="attend déjà"):
        referrals.prepare(referral.case, referral.body, **given, how=How.VERBAL)
    referrals.prepare(referral.case, referral.body, **given | {"purpose": "autre chose"}, how=How.VERBAL)


@pytest.mark.parametrize("then", ["accept", "decline", "withdraw"])
@pytest.mark.parametrize("waits", ["body_asks", "no_answer"])
def test_a_step_that_what_happened_makes_void_does_not_stay(make, session, people, moment, works, then, waits):
    referral = make.referral()
    if waits == "body_asks":
        answers.ask(referral, "Combien?")
    else:
        moment.move_to("2026-12-22 15:00Z")
        works()
    assert waits in steps(referral.case)
    if then == "accept":
        answers.accept(referral, "")
    elif then == "decline":
        answers.decline(referral, DeclineReason.AREA, "")
    else:
        referrals.withdraw(referral, referral.case, people.adviser)
    assert waits not in steps(referral.case)


def test_a_yes_taken_back_leaves_no_step_to_send(asked, app, session, people):
    referral = asked()
    say(app, session, referral, "yes")
    assert "permission_given" in steps(referral.case)
    referrals.withdraw_permission(referral.permission, referral.case, people.adviser)
    assert "permission_given" not in steps(referral.case)
    assert referral.declined_by is EndedBy.PERSON, "a colleague wrote down what the person wished"


def test_a_body_that_may_still_answer_late_is_told_when_the_file_closes(make, session, people, moment, works):
    referral = make.referral()
    works()
    moment.move_to("2026-12-22 15:00Z")
    works()
    cases.advance(
        referral.case,
        Stage.CLOSED,
        people.adviser,
        reason="x",
        closing_reason=ClosingReason.ABANDONED,
        person_told="told",
    )
    works()
    assert referral.status is Status.WITHDRAWN
    assert "referrals.withdrawn" in kinds(session)


def test_an_answer_to_another_question_or_below_another_plan_is_not_taken(make, session, people, moment):
    referral = make.referral()
    answers.ask(referral, "Combien?")
    first = answers.mark_of(referral.question)
    answers.reply(referral, "Quatre", people.adviser, seen=first)
    answers.ask(referral, "Et où?")
    with pytest.raises(RefusedError, match="changé entre-temps"):
        answers.reply(referral, "Cinq", people.adviser, seen=first)
    answers.accept(referral, "")
    answers.say_next(referral, answers.Next("Un appel"), seen=NOTHING_SAID)
    with pytest.raises(RefusedError, match="changé entre-temps"):
        answers.say_next(referral, answers.Next("Un atelier"), seen=NOTHING_SAID)
    assert referral.next_note == "Un appel"


def test_nothing_to_share_is_not_sent_and_breaks_no_page(make, app, session, people, moment):
    referral = make.referral(sent=False, fields=("phone",))
    with pytest.raises(RefusedError, match="rien à envoyer"):
        referrals.send(referral, referral.case, people.adviser)
    referral.status, referral.sent_at = Status.SENT, clock.now()  # as an earlier version sent it
    browser, door = Pages(app), f"/fr/mon-dossier/ouvrir/{links.token(link_of(referral.case))}"
    session.commit()
    browser.get(door)
    browser.post(door)
    browser.get("/fr/mon-dossier")


def test_who_writes_bad_news_down_on_their_own_file_gets_the_step_that_the_person_is_promised(
    make, session, people, moment
):
    referral = make.referral()
    answers.decline(referral, DeclineReason.AREA, "", staff=people.adviser)
    assert "answered" in steps(referral.case)
    assert "referrals.person_declined" in kinds(session)


def test_what_ended_long_ago_is_mailed_to_nobody(make, session, works, moment):
    silent, over = make.referral(), make.referral()
    works()
    moment.move_to("2027-03-15 15:00Z")
    over.permission.expires_on = date(2026, 12, 1)
    silent.permission.expires_on = date(2027, 12, 1)
    works()
    assert (silent.status, over.status) == (Status.NO_ANSWER, Status.WITHDRAWN)
    assert kinds(session, "referrals.person_") == []
    assert kinds(session, "referrals.expired") == []
    assert "no_answer" in steps(silent.case)
    assert "permission_over" in steps(over.case)


def test_an_answer_sent_blank_below_one_that_was_given_meanwhile_keeps_its_words(
    make, app, session, people, signed_in, moment
):
    referral = make.referral()
    inside = entered(app, session, referral)
    inside.get(ANSWER)
    answers.accept(referral, "", staff=people.adviser)
    session.commit()
    refused = inside.post(ANSWER, {"answer": "decline", "note": "Une longue note tapée"}, status=409)
    assert "Une longue note tapée" in refused.text
    for nonsense in ("referral", "may_correct", "x"):
        inside.get(ANSWER)
        inside.post(ANSWER, {"what": nonsense, "_lang": "en", "answer": ""}, status=200)


def test_what_time_brings_about_is_found_by_indexes_of_its_own(session, kind):
    """Otherwise every referral and every permission ever made would be read every five minutes."""
    as_if_full(session)
    wanted = {
        "ix_referral_waits": answers.silent_ones(NOON),
        "ix_permission_live": answers.lapsed_ones(NOON.date()),
        "ix_referral_asked": answers.questions_over(NOON.date()),
    }
    for index, statement in wanted.items():
        said = "\n".join(plan_of(session, statement, {}))
        assert index in said, said
        assert kind != "sqlite" or "TEMP B-TREE FOR ORDER BY" not in said, said
