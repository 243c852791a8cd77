"""The person's own page: opened by one press, changing nothing when read, and every change theirs alone."""

import json
import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from crm import clock
from crm.cases.addresses import link_of
from crm.cases.models import Case
from crm.cases.queries import forgotten
from crm.cases.services import add_note, advance
from crm.cases.vocabulary import ClosingReason, Stage
from crm.cases.vocabulary import Turn as Holder
from crm.i18n import speaking
from crm.links.models import Link, Purpose
from crm.links.services import revoke
from crm.links.services import token as token_of
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.permissions.models import Consent, Permission
from crm.portal import services
from crm.portal.models import PersonMessage
from crm.portal.rules import Standing, Turn, standing
from crm.referrals.answers import accept
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.referrals.queries import opened_by
from crm.reminders.models import FollowUp, State
from crm.talks import hours
from crm.talks.models import Talk, TalkState
from crm.texts import pair
from crm.timeline.models import ActorKind, Event
from tests.support.asking import CHECK, ask, begin, fill
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words
from tests.support.talking import at_ten, book, open_hours
from tests.support.typed import form_with

HOME = {"fr": "/fr/mon-dossier", "en": "/en/my-file"}
OPEN = {"fr": "/fr/mon-dossier/ouvrir", "en": "/en/my-file/open"}
TIMES = "/fr/mon-dossier/moments"


def door(session, case, lang="fr") -> str:
    """The address in the person's mail."""
    address = f"{OPEN[lang]}/{token_of(link_of(case))}"
    session.commit()
    return address


def inside(app, session, case, lang="fr") -> Pages:
    """A browser in which the person pressed the button."""
    session.execute(text("DELETE FROM rate_count"))
    browser, address = Pages(app), door(session, case, lang)
    browser.get(address)
    assert browser.post(address).headers["Location"] == HOME[lang]
    return browser


def press(browser, verb, data=None, status=303):
    browser.get(HOME["fr"])
    return browser.post(f"{HOME['fr']}/{verb}", data or {}, status=status)


def count(session, model, *conditions) -> int:
    return session.scalar(select(func.count()).select_from(model).where(*conditions))


# --- the door --------------------------------------------------------------------------------------------------------


def snapshot(session) -> list:
    return [
        session.execute(text(f"SELECT * FROM {table} ORDER BY 1")).all()  # noqa: S608 - names typed here
        for table in ("case_file", "event", "message", "link", "talk", "permission", "consent", "follow_up")
    ]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_reading_the_link_changes_nothing_however_often(app, make, session, lang):
    case = make.case(language=lang)
    address = door(session, case, lang)
    before = snapshot(session)
    session.commit()
    scanner = Pages(app)
    for _ in range(3):
        scanner.get(address)
        assert scanner.client.head(address, headers={"Host": "127.0.0.1:8000"}).status_code == 200
        scanner.get(HOME[lang], 404)
    assert snapshot(session) == before
    assert "Nadia" not in scanner.last.text


def test_one_press_opens_the_page_and_the_address_holds_no_secret(app, make, session):
    case = make.case()
    token = door(session, case).rpartition("/")[2]
    browser = inside(app, session, case)
    page = browser.get(HOME["fr"])
    assert case.reference in page.text
    assert "Nadia Benali" in page.text
    assert token not in page.text
    assert 'name="robots" content="noindex"' in page.text


def test_a_dead_link_says_so_alike_for_every_reason_and_offers_another(app, make, session):
    case = make.case()
    dead = []
    expired = door(session, case)
    with time_machine.travel(clock.now() + timedelta(days=181), tick=False):
        dead.append(words(Pages(app).get(expired, 404).text))
    revoke(Purpose.CASE, case.id)
    session.commit()
    dead += [words(Pages(app).get(address, 404).text) for address in (expired, f"{OPEN['fr']}/1-forged")]
    assert len(set(dead)) == 1
    assert pair("portal.lost.send")["fr"] in dead[0]


def test_revoking_the_link_closes_the_page_at_once(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    browser.get(HOME["fr"])
    staff = signed_in(people.adviser)
    staff.get(f"/staff/cases/{case.reference}")
    staff.post(f"/staff/cases/{case.reference}/page-link")
    browser.get(HOME["fr"], 404)
    mail = session.scalars(select(Message).where(Message.kind == "portal.link")).one()
    assert mail.to_address == case.contact.email


def test_a_person_without_an_address_gets_the_link_from_the_confirmation_and_from_staff(
    app, pages, people, session, signed_in
):
    confirmation = ask(pages, ANSWERS | {"contact_mode": "phone", "email": ""}).headers["Location"]
    address = re.search(r"/fr/mon-dossier/ouvrir/[\w-]+", pages.get(confirmation).text)[0]
    Pages(app).get(address)
    case = session.scalars(select(Case)).one()
    reference = case.reference
    session.commit()
    staff = signed_in(people.adviser)
    staff.get(f"/staff/cases/{reference}")
    shown = staff.post(f"/staff/cases/{reference}/page-link", status=200)
    newer = re.search(r"/fr/mon-dossier/ouvrir/[\w-]+", shown.text)[0]
    Pages(app).get(newer)
    Pages(app).get(address, 404)
    with time_machine.travel(clock.now() + timedelta(days=2), tick=False):
        assert "mon-dossier/ouvrir" not in pages.get(confirmation).text


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_lost_link_is_sent_again_with_the_same_answer_whether_the_address_is_known_or_not(app, make, session, lang):
    make.case(email="connue@exemple.ca", language=lang)
    said = []
    for email in ("Connue@exemple.ca", "inconnue@exemple.ca"):
        browser = Pages(app)
        browser.get(HOME[lang], 404)
        browser.post(f"{HOME[lang]}/{'lien' if lang == 'fr' else 'link'}", {"email": email})
        said.append(words(browser.get(HOME[lang], 404).text).replace(email, "…"))
    assert said[0] == said[1]
    message = session.scalars(select(Message).where(Message.kind == "portal.link")).one()
    assert (message.to_address, message.language) == ("connue@exemple.ca", lang)
    browser = Pages(app)
    for _ in range(4):
        browser.get(HOME[lang], 404)
        browser.post(f"{HOME[lang]}/{'lien' if lang == 'fr' else 'link'}", {"email": "connue@exemple.ca"})
    assert count(session, Message, Message.kind == "portal.link") <= 4


# --- what it says ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder", "stage", "given", "wanted"),
    [
        (Holder.TEAM, Stage.NEW, {"reply_owed": True}, Standing(Turn.REPLY)),
        (Holder.TEAM, Stage.NEW, {}, Standing(Turn.TEAM)),
        (Holder.TALK, Stage.NEW, {"reply_owed": True}, Standing(Turn.TALK)),
        (Holder.BODY, Stage.REFERRED, {"waiting_on": ["CDRQ"]}, Standing(Turn.BODY, ("CDRQ",))),
        (Holder.TALK, Stage.REFERRED, {"waiting_on": ["CDRQ"]}, Standing(Turn.TALK)),
        (Holder.PERSON, Stage.PAUSED, {}, Standing(Turn.PERSON)),
        (Holder.PERSON, Stage.PLANNING, {}, Standing(Turn.ASKED)),
        (Holder.NOBODY, Stage.CLOSED, {"waiting_on": ["CDRQ"]}, Standing(Turn.NOBODY)),
    ],
)
def test_whose_turn_it_is(holder, stage, given, wanted):
    assert standing(holder, stage, **{"reply_owed": False, "waiting_on": []} | given) == wanted


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_page_says_where_the_file_stands_and_what_was_shared(app, make, people, session, lang):
    referral = make.referral(body=make.body("cdrq"))
    add_note(referral.case, "Note entre collègues", people.adviser)
    session.commit()
    browser = inside(app, session, referral.case, lang)
    said = words(browser.get(HOME[lang]).text)
    with speaking(lang):
        assert " ".join(pair("portal.turn.body")[lang].split()).split("{")[0] in said
    assert "CDRQ" in said
    assert "Note entre collègues" not in said
    name = pair("permissions.field.name")[lang]
    assert name in said


# --- what it changes -------------------------------------------------------------------------------------------------


def test_a_permission_taken_back_stops_everything_at_once(app, make, people, session):
    referral = make.referral(body=make.body("cdrq"))
    case = referral.case
    invitation = session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL)).one()
    browser = inside(app, session, case)
    for _ in range(2):  # pressed twice
        press(browser, "permission", {"number": referral.permission_id})
    session.expire_all()
    assert session.get_one(Permission, referral.permission_id).withdrawn_at is not None
    assert session.get_one(Referral, referral.id).status is Status.WITHDRAWN
    assert session.get_one(Link, invitation.id).revoked_at is not None
    assert count(session, Message, Message.kind == "referrals.withdrawn") == 1
    assert count(session, FollowUp, FollowUp.rule == "permission_back", FollowUp.state == State.TODO) == 1
    actors = session.scalars(select(Event.actor_kind).where(Event.kind == "permission.withdrawn")).all()
    assert actors == [ActorKind.PERSON]


def test_nothing_of_another_file_can_be_touched(app, make, people, session):
    mine, theirs = make.case(), make.referral(body=make.body("cdrq"))
    consent = Consent(case_id=theirs.case.id, purpose="newsletter", text_version="1", text_shown="x", language="fr",
                      given_at=clock.now())  # fmt: skip
    session.add(consent)
    open_hours(session, people.adviser)
    talk = book(theirs.case, people.adviser)
    session.commit()
    browser = inside(app, session, mine)
    for verb, number in (("permission", theirs.permission_id), ("choix", consent.id), ("annuler-echange", talk.id)):
        press(browser, verb, {"number": number})
    session.expire_all()
    assert session.get_one(Permission, theirs.permission_id).withdrawn_at is None
    assert session.get_one(Consent, consent.id).withdrawn_at is None
    assert session.get_one(Talk, talk.id).state is TalkState.BOOKED


def test_a_choice_is_unticked(app, pages, people, session):
    ask(pages, ANSWERS | {"newsletter": "yes"})
    case = session.scalars(select(Case)).one()
    browser = inside(app, session, case)
    press(browser, "choix", {"number": session.scalars(select(Consent.id)).one()})
    assert session.scalars(select(Consent.withdrawn_at)).one() is not None
    assert "infolettre" not in words(browser.get(HOME["fr"]).text)


def test_a_message_is_received_once_and_makes_somebody_answer(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    _, form = form_with(browser.get(HOME["fr"]).text, "body")
    typed = {"form_key": form["form_key"][0], "body": "Mon nom s’écrit « Benalli »."}
    for _ in range(3):
        browser.post(f"{HOME['fr']}/message", typed)
    assert count(session, PersonMessage) == 1
    # The same form with another text, after the back button: another message, and still one follow-up.
    browser.post(f"{HOME['fr']}/message", typed | {"body": "Et mon prénom, Nadya."})
    assert count(session, PersonMessage) == 2
    assert count(session, FollowUp, FollowUp.rule == "answer_person") == 1
    message = session.scalars(select(Message).where(Message.kind == "portal.written")).first()
    assert message.to_address == people.adviser.email
    assert "Benalli" not in message.body
    shown = signed_in(people.adviser).get(f"/staff/cases/{case.reference}")
    assert "Mon nom s’écrit « Benalli »." in words(shown.text)
    browser.get(HOME["fr"])
    refused = browser.post(f"{HOME['fr']}/message", typed | {"body": " "}, status=422)
    assert "aria-invalid" in refused.text


def test_what_was_typed_comes_back_when_the_link_is_over(app, make, session):
    case = make.case()
    browser = inside(app, session, case)
    browser.get(HOME["fr"])
    revoke(Purpose.CASE, case.id)
    session.commit()
    lost = browser.post(f"{HOME['fr']}/message", {"body": "Un long message"}, status=404)
    assert "Un long message" in words(lost.text)


def test_withdrawing_asks_once_more_then_closes_the_file_and_tells_everybody(app, make, people, session):
    referral = make.referral(body=make.body("cdrq"))
    case = referral.case
    browser = inside(app, session, case)
    press(browser, "retirer")
    session.expire_all()
    assert case.stage is not Stage.CLOSED
    for _ in range(2):
        press(browser, "retirer", {"sure": "y"})
    session.expire_all()
    assert (case.stage, case.closing_reason) == (Stage.CLOSED, ClosingReason.WITHDRAWN)
    assert session.get_one(Referral, referral.id).status is Status.WITHDRAWN
    assert count(session, FollowUp, FollowUp.case_id == case.id, FollowUp.state == State.TODO) == 0
    assert count(session, Message, Message.kind == "portal.request_withdrawn") == 1
    assert count(session, Event, Event.kind == "case.closed", Event.actor_kind == ActorKind.PERSON) == 1
    assert pair("portal.stage.closed")["fr"] in words(browser.get(HOME["fr"]).text)


def test_the_copy_holds_what_the_person_gave_and_nothing_the_team_wrote(app, pages, people, session):
    ask(pages, ANSWERS | {"survey": "yes"})
    case = session.scalars(select(Case)).one()
    add_note(case, "Note entre collègues", people.adviser)
    session.commit()
    browser = inside(app, session, case)
    answer = browser.client.get(f"{HOME['fr']}/copie", headers={"Host": "127.0.0.1:8000"})
    assert answer.content_type == "application/json; charset=utf-8"
    read = json.loads(answer.text)
    assert read["reference"] == case.reference
    assert read["person"]["email"] == ANSWERS["email"]
    assert read["answers_as_sent"]["description"] == ANSWERS["description"]
    assert [one["purpose"] for one in read["consents"]] == ["survey"]
    assert "collègues" not in answer.text


# --- the talk --------------------------------------------------------------------------------------------------------


def test_a_time_is_chosen_from_the_confirmation_moved_and_cancelled(app, pages, people, session):
    open_hours(session, people.adviser)
    confirmation = ask(pages, ANSWERS).headers["Location"]
    pages.get(confirmation)
    assert pages.post(confirmation).headers["Location"] == TIMES
    times = re.findall(r'name="start" value="([^"]+)"', pages.get(TIMES).text)
    assert len(times) > 10
    pages.post(TIMES, {"mode": "phone", "start": times[0]})
    pages.get(TIMES)
    pages.post(TIMES, {"mode": "phone", "start": times[0]})  # the same press again
    (talk,) = session.scalars(select(Talk)).all()
    assert talk.starts_at.isoformat() == times[0]
    # A form shown before the talk was booked says so, and moves nothing.
    pages.get(TIMES)
    pages.post(TIMES, {"mode": "phone", "start": times[5], "about": ""}, status=409)
    session.expire_all()
    assert talk.sequence == 0
    about = form_with(pages.get(TIMES).text, "about")[1]["about"][0]
    pages.post(TIMES, {"mode": "phone", "start": times[5], "about": about})
    session.expire_all()
    assert (talk.starts_at.isoformat(), talk.sequence) == (times[5], 1)
    press(pages, "annuler-echange", {"number": talk.id})
    session.expire_all()
    assert talk.state is TalkState.CANCELLED
    assert not forgotten()
    kinds = session.scalars(select(Message.kind).order_by(Message.id)).all()
    assert kinds == [
        "intake.received", "talks.told_chosen", "talks.confirmed", "talks.moved", "talks.told_moved", "talks.cancelled",
        "talks.told_cancelled",
    ]  # fmt: skip


def test_the_confirmation_opens_the_page_only_where_the_request_was_sent(app, pages, people, session):
    confirmation = ask(pages, ANSWERS).headers["Location"]
    stranger = Pages(app)
    shown = stranger.get(confirmation)
    assert pair("intake.received.time_button")["fr"] not in words(shown.text)
    assert "mon-dossier/ouvrir" not in shown.text
    stranger.get("/fr/demande")
    assert stranger.post(confirmation).headers["Location"] == HOME["fr"]
    stranger.get(HOME["fr"], 404)


WRONG_TIMES = {
    "past": lambda: clock.now() - timedelta(days=1),
    "within the notice": lambda: clock.at_local(clock.today(), 23, 45),
    "outside opening hours": lambda: clock.at_local(clock.today() + timedelta(days=9), 22),
    "far away": lambda: clock.at_local(clock.today() + timedelta(days=300), 10),
}


@pytest.mark.parametrize("moment", WRONG_TIMES)
def test_a_time_that_is_not_offered_is_answered_kindly_with_others(app, make, people, session, moment):
    open_hours(session, people.adviser)
    browser = inside(app, session, make.case())
    browser.get(TIMES)
    answer = browser.post(TIMES, {"mode": "phone", "start": WRONG_TIMES[moment]().isoformat()}, status=409)
    assert answer.text.count('name="start"') > 5
    assert count(session, Talk) == 0


@pytest.mark.parametrize(
    "typed", [{"start": ""}, {"start": "demain"}, {"start": "2026-11-25T10:00"}, {"mode": "pigeon", "start": "x"}]
)
def test_what_is_no_time_is_asked_for_again(app, make, people, session, typed):
    open_hours(session, people.adviser)
    browser = inside(app, session, make.case())
    browser.get(TIMES)
    browser.post(TIMES, {"mode": "phone"} | typed, status=422)


def test_within_the_notice_the_talk_is_no_longer_changed_here(app, make, people, session):
    open_hours(session, people.adviser)
    case = make.case()
    talk = book(case, people.adviser)
    session.commit()
    with time_machine.travel(at_ten() - timedelta(hours=23), tick=False):
        browser = inside(app, session, case)
        page = words(browser.get(HOME["fr"]).text)
        assert "trop proche" in page
        refused = press(browser, "annuler-echange", {"number": talk.id}, status=409)
        moved = browser.post(
            TIMES, {"mode": "phone", "start": at_ten(5).isoformat(), "about": f"{talk.id}.0"}, status=409
        )
    for answer in (refused, moved):
        assert re.findall(r'class="kept">(.*?)<', answer.text) == [], "what was chosen is a code that nobody can read"
    session.expire_all()
    assert talk.state is TalkState.BOOKED


def test_being_called_is_planned_and_told_once(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    for _ in range(3):
        press(browser, "appel")
    assert count(session, FollowUp, FollowUp.rule == "call_person", FollowUp.state == State.TODO) == 1
    assert count(session, Message, Message.kind == "portal.call_asked") == 1
    shown = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    assert pair("talks.event.call_asked")["fr"] in shown


def test_whoever_only_held_the_draft_does_not_open_the_page(app, pages, people, session):
    """Begun on a shared computer, sent from a phone: the computer's next user learns nothing."""
    begin(pages)
    fill(pages, ANSWERS)
    other = Pages(app)
    code = re.search(r"(?:\d[A-Z]){2}(?:-(?:\d[A-Z]){2}){2}", words(pages.get("/fr/demande/plus-tard").text))[0]
    other.get("/fr/demande/reprendre")
    other.post("/fr/demande/reprendre", {"code": code})
    other.get(CHECK["fr"])
    confirmation = other.post(CHECK["fr"]).headers["Location"]
    pages.get(CHECK["fr"], 303)
    pages.get(confirmation)
    assert pages.post(confirmation).headers["Location"] == HOME["fr"]
    pages.get(HOME["fr"], 404)
    other.get(confirmation)
    assert other.post(confirmation).headers["Location"] == TIMES
    with time_machine.travel(clock.now() + timedelta(hours=3), tick=False):
        other.get(confirmation)
        assert other.post(confirmation).headers["Location"] == HOME["fr"]


def test_a_talk_is_moved_with_its_own_adviser_whoever_owns_the_file(app, make, people, session):
    open_hours(session, people.adviser, people.other_adviser)
    case = make.case(owner=people.adviser)
    talk = book(case, people.other_adviser, actor=people.coordinator)
    hours.rules_of(people.other_adviser).offered = False
    session.commit()
    browser = inside(app, session, case)
    assert 'name="start"' not in browser.get(TIMES).text
    hours.rules_of(people.other_adviser).offered = True
    session.commit()
    page = browser.get(TIMES).text
    about = form_with(page, "about")[1]["about"][0]
    browser.post(
        TIMES, {"mode": "phone", "start": re.findall(r'name="start" value="([^"]+)"', page)[9], "about": about}
    )
    session.expire_all()
    assert (talk.sequence, talk.adviser_id) == (1, people.other_adviser.id)


def test_a_past_talk_whose_outcome_nobody_recorded_stands_in_nobodys_way(app, make, people, session):
    open_hours(session, people.adviser)
    case = make.case(owner=people.adviser)
    talk = book(case, people.adviser)
    session.commit()
    with time_machine.travel(talk.starts_at + timedelta(days=1), tick=False):
        browser = inside(app, session, case)
        assert pair("portal.page.talk_none")["fr"] in words(browser.get(HOME["fr"]).text)
        page = browser.get(TIMES).text
        browser.post(
            TIMES, {"mode": "phone", "start": re.findall(r'name="start" value="([^"]+)"', page)[5], "about": ""}
        )
        assert count(session, Talk) == 2
        # Closing says nothing of a talk that is past.
        advance(
            case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.WITHDRAWN, person_told="told"
        )
        session.commit()
    assert count(session, Message, Message.kind == "talks.cancelled") == 1


def test_a_new_link_takes_along_what_was_waiting_to_leave(app, make, people, session, tmp_path):
    case = make.case(owner=people.adviser)
    book(case, people.adviser)
    session.commit()
    services.new_link(case, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    sent = set(session.scalars(select(Message.kind).where(Message.status == MailStatus.SENT)))
    assert sent == {"talks.confirmed", "talks.told_chosen", "portal.link"}


def test_withdrawing_stops_a_body_that_had_accepted_from_reading(app, make, people, session):
    referral = make.referral(body=make.body("cdrq"))
    link = session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL)).one()
    accept(referral, "Oui")
    session.commit()
    browser = inside(app, session, referral.case)
    press(browser, "retirer", {"sure": "y"})
    session.expire_all()
    assert opened_by(link.id) is None


def test_a_message_on_a_closed_file_goes_to_somebody_who_still_works_here(app, make, people, session):
    case = make.case(owner=people.adviser)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.WITHDRAWN, person_told="told")
    people.adviser.active = False
    session.commit()
    browser = inside(app, session, case)
    browser.get(HOME["fr"])
    browser.post(f"{HOME['fr']}/message", {"body": "Je reviens"})
    message = session.scalars(select(Message).where(Message.kind == "portal.written_closed")).one()
    assert message.to_address == people.coordinator.email
    assert pages_redirect(browser, TIMES) == HOME["fr"]


def pages_redirect(browser, address) -> str:
    return browser.get(address, 302).headers["Location"]
