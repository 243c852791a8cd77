"""All that waits for a body on one page, by a link of its own: it shows that body's files only, dies with who held it, and is sent again."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import Stage
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.partners.services import change_contact, leave
from crm.referrals import answers, queries
from crm.referrals import services as referrals
from crm.referrals.outcomes import DeclineReason, Outcome, Status
from tests.support.pages import Pages, words

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
LIST = {"fr": "/fr/organisme", "en": "/en/organization"}


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


def address_of(session, body, lang="fr") -> str:
    found = f"{LIST[lang]}/{links.token(referrals.link_of_person(body.main))}"
    session.commit()
    return found


def entered(app, session, body):
    address = address_of(session, body)
    session.execute(text("DELETE FROM rate_count"))
    session.commit()
    browser = Pages(app)
    browser.get(address)
    browser.post(address)
    return browser


def replace_contact(body, email) -> None:
    assert change_contact(
        body, seen_version=body.version, name="Luce Roy", email=email, language="fr",
        answer_days=None, chase_days=5, actor=None,
    )  # fmt: skip


def test_a_body_sees_all_its_files_and_no_other_and_answers_from_there(make, app, session, people):
    mine, other = make.body("cdrq"), make.body("esplanade")
    one = make.referral(body=mine)
    two = make.referral(case=one.case, body=mine)
    taken = make.referral(body=mine)
    answers.accept(taken, "", then=answers.Next("Un atelier"))
    declined, ended, ready = make.referral(body=mine), make.referral(body=mine), make.referral(body=mine, sent=False)
    answers.decline(declined, DeclineReason.AREA, "")
    answers.accept(ended, "")
    answers.complete(ended, answers.Ended(Outcome.HELPED))
    theirs = make.referral(body=other)
    late = make.referral(body=mine)
    late.status = Status.NO_ANSWER
    late.case.stage = Stage.CLOSED
    hidden = make.referral(body=mine)
    cases.restrict(hidden.case, restricted=True, readers=[], actor=people.adviser)
    back = make.referral(body=mine)
    referrals.withdraw_permission(back.permission, back.case, people.adviser)
    over = make.referral(body=mine)
    over.permission.expires_on = clock.today() - timedelta(days=1)  # and the worker has not seen it yet
    session.commit()
    browser = entered(app, session, mine)
    page = browser.get(LIST["fr"])
    shown = words(page.text)
    assert shown.count("Ouvrir") == 3
    for listed in (one, taken):
        assert listed.case.reference in shown
    for absent in (late, declined, ended, ready, theirs, hidden, back, over):
        assert absent.case.reference not in shown
    assert "Un atelier" in shown
    assert "nadia@exemple.ca" not in shown, "what was shared is on the page of the file alone"
    for number in (theirs.id, hidden.id, back.id, over.id, ready.id, 0, 10**12):
        browser.get(LIST["fr"])
        browser.post(LIST["fr"], {"number": str(number)}, status=404)
    browser.get(LIST["fr"])
    browser.post(LIST["fr"], {"number": "1 OR 1=1"}, status=404)
    browser.get(LIST["fr"])
    browser.post(LIST["fr"], {"number": str(two.id)})
    session.expire_all()
    assert two.seen_at == clock.now()
    assert one.seen_at is None
    assert "Tous les projets de votre organisme" in words(browser.get("/fr/mise-en-relation").text)
    browser.post("/fr/mise-en-relation", {"answer": "accept", "about": str(two.id)})
    session.expire_all()
    assert (one.status, two.status) == (Status.SENT, Status.ACCEPTED)


def test_opening_the_link_gives_no_access_and_changes_nothing(make, app, session):
    referral = make.referral()
    address = address_of(session, referral.body)
    scanner = Pages(app)
    for _ in range(3):
        scanner.get(address)
    scanner.get(LIST["fr"], 404)
    session.expire_all()
    assert referral.seen_at is None


def test_a_long_list_turns_its_pages(make, app, session):
    referral = make.referral()
    many = [referral] + [make.referral(case=referral.case, body=referral.body) for _ in range(queries.PAGE)]
    browser = entered(app, session, referral.body)
    first = browser.get(LIST["fr"])
    assert words(first.text).count("Ouvrir") == queries.PAGE
    last = browser.get(f"{LIST['fr']}?after={many[-2].id}")
    assert words(last.text).count("Ouvrir") == 1
    for nonsense in ("x", "-1", "9" * 30, "1.5", "%00"):
        assert words(browser.get(f"{LIST['fr']}?after={nonsense}&working={nonsense}").text)


@pytest.mark.parametrize("end", ["revoked", "another person", "body closed", "no contact"])
def test_a_list_closes_at_once_also_for_who_was_inside(make, app, session, end):
    referral = make.referral()
    body, address = referral.body, address_of(session, referral.body)
    inside = entered(app, session, body)
    inside.get(LIST["fr"])
    if end == "revoked":
        links.revoke(Purpose.BODY, body.main_id)
    elif end == "another person":
        replace_contact(body, "luce@cdrq.example")
    elif end == "body closed":
        body.active = False
    else:
        leave(body, body.main)
    session.commit()
    inside.get(LIST["fr"], 404)
    Pages(app).get(address, 404)
    inside.get("/fr/demande")  # for its token
    inside.post(LIST["fr"], {"number": str(referral.id)}, status=404)


def test_who_receives_the_mail_no_more_opens_nothing_and_the_next_person_gets_links_of_their_own(
    make, app, session, moment
):
    referral = make.referral()
    token = links.token(session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL)).one())
    Pages(app).get(f"/fr/mise-en-relation/{token}")
    moment.shift(timedelta(seconds=1))
    replace_contact(referral.body, "luce@cdrq.example")
    session.commit()
    Pages(app).get(f"/fr/mise-en-relation/{token}", 404)
    session.refresh(referral.body)
    link = referrals.link_to(referral, at_least=0)
    session.commit()
    Pages(app).get(f"/fr/mise-en-relation/{links.token(link)}")
    assert link.id == referrals.link_to(referral, at_least=0).id


def test_the_same_person_with_new_capitals_keeps_their_links(make, app, session):
    referral = make.referral()
    address = address_of(session, referral.body)
    replace_contact(referral.body, referral.body.contact_email.title())
    session.commit()
    Pages(app).get(address)


# --- a link whose days are over --------------------------------------------------------------------------------------


def ask_again(app, address, lang="fr"):
    browser = Pages(app)
    browser.get(address, 404)
    return words(browser.post(address, {"again": "1"}, status=200).text)


def test_a_link_whose_days_are_over_is_sent_again_to_the_same_address(make, app, session, moment):
    referral = make.referral()
    address = address_of(session, referral.body)
    moment.shift(timedelta(days=31))
    assert "un nouveau est en route" in ask_again(app, address)
    send_due()
    session.expire_all()
    mail = session.scalars(select(Message).where(Message.kind == "referrals.list")).one()
    assert (mail.status, mail.to_address) == (MailStatus.SENT, referral.body.contact_email)
    Pages(app).get(f"{LIST['fr']}/{links.token(session.get_one(Link, mail.link_id))}")
    Pages(app).get(address, 404)


def test_a_link_asked_for_does_not_leave_for_a_body_that_closed_meanwhile(make, app, session, moment):
    referral = make.referral()
    address = address_of(session, referral.body)
    moment.shift(timedelta(days=31))
    ask_again(app, address)
    referral.body.active = False
    session.commit()
    send_due()
    session.expire_all()
    assert session.scalars(select(Message.status).where(Message.kind == "referrals.list")).one() is MailStatus.DROPPED


def _forged(session, body, address, moment):
    moment.shift(timedelta(days=31))
    return address[:-1] + ("A" if address[-1] != "A" else "B")


def _revoked(session, body, address, moment):
    links.revoke(Purpose.BODY, body.main_id)
    moment.shift(timedelta(days=31))
    return address


def _of_who_left(session, body, address, moment):
    moment.shift(timedelta(days=31))
    replace_contact(body, "luce@cdrq.example")
    return address


def _of_another_purpose(session, body, address, moment):
    link = session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL)).one()
    moment.shift(timedelta(days=31))
    return f"{LIST['fr']}/{links.token(link)}"


@pytest.mark.parametrize("broken", [_forged, _revoked, _of_who_left, _of_another_purpose])
def test_whoever_else_asks_reads_the_same_words_and_brings_nothing(make, app, session, moment, broken):
    referral = make.referral()
    address = broken(session, referral.body, address_of(session, referral.body), moment)
    session.commit()
    assert "un nouveau est en route" in ask_again(app, address)
    assert not session.scalars(select(Message).where(Message.kind == "referrals.list")).all()


def test_a_link_is_sent_again_three_times_in_six_hours_at_most(make, app, session, moment):
    referral = make.referral()
    first = address_of(session, referral.body)
    moment.shift(timedelta(days=31))
    for _ in range(5):
        ask_again(app, first)
        moment.shift(timedelta(seconds=1))
    assert len(session.scalars(select(Message).where(Message.kind == "referrals.list")).all()) == 3


def test_a_live_link_is_not_sent_again(make, app, session):
    referral = make.referral()
    address = address_of(session, referral.body)
    browser = Pages(app)
    browser.get(address)
    browser.post(address, {"again": "1"}, status=200)
    assert not session.scalars(select(Message).where(Message.kind == "referrals.list")).all()


def test_a_list_in_english_says_the_same(make, app, session):
    referral = make.referral(body=make.body(language="en"))
    address = address_of(session, referral.body, "en")
    browser = Pages(app)
    browser.get(address)
    browser.post(address)
    assert "Waiting for your answer" in words(browser.get(LIST["en"]).text)
