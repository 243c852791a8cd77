"""The people of a body: who receives each referral, who is told of what waits, and what ends when somebody leaves."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from crm.cases.vocabulary import Stage
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.models import Message
from crm.outbox.models import Status as Sent
from crm.partners import queries as partners
from crm.partners.models import Person
from crm.partners.services import add_person, change_contact, leave, put_first
from crm.referrals import answers, chasing, services
from crm.referrals.queries import opened_by
from crm.reminders.services import open_ones
from tests.support.pages import Pages, words

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
LIST = "/fr/organisme"
LI = {"name": "Li Wei", "email": "li@cdrq.example", "language": "en", "title": "Directrice"}


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def body(make, session, people):
    body = make.body()
    add_person(body, LI, people.coordinator)
    session.commit()
    return body


def person(session, name) -> Person:
    return session.scalars(select(Person).where(Person.name == name).order_by(Person.id.desc())).first()


def mail(session, kind):
    return [one for one in session.scalars(select(Message).where(Message.kind == kind).order_by(Message.id))]


def entered(app, session, who):
    token = links.token(services.link_of_person(who))
    session.commit()
    browser = Pages(app)
    browser.get(f"{LIST}/{token}")
    browser.post(f"{LIST}/{token}")
    return browser


def test_people_are_written_down_changed_and_listed(session, people, signed_in, make):
    browser = signed_in(people.coordinator)
    address = "/staff/partners/cdrq/people"
    browser.get(f"{address}/add")
    given = {
        "name": "Ana Roy",
        "title": "Conseillère",
        "email": "ana@cdrq.example",
        "phone": "514 555 0142 p. 12",
        "language": "fr",
        "receives": "y",
    }
    browser.post(f"{address}/add", given)
    ana = person(session, "Ana Roy")
    body = partners.by_code("cdrq")
    assert (body.main_id, body.contact_email) == (
        ana.id,
        "ana@cdrq.example",
    )  # the first one receives what the body is sent
    browser.get(f"{address}/add")
    browser.post(f"{address}/add", given | {"email": "ANA@cdrq.example"}, status=422)
    browser.post(f"{address}/add", given | {"email": "ana@"}, status=422)
    browser.post(f"{address}/add", given | {"email": "x@cdrq.example", "phone": "12"}, status=422)
    browser.post(f"{address}/add", given | {"name": "Li Wei", "email": "li@cdrq.example", "receives": ""})
    read = words(browser.get("/staff/partners/cdrq").text)
    for expected in ("Ana Roy", "Conseillère", "514 555-0142, poste 12", "Chaque mise en relation", "Li Wei", "Rien"):
        assert expected in read, expected
    page = browser.get(f"{address}/{ana.id}").text
    assert "514 555-0142, poste 12" in page.replace("\u00a0", " ")
    browser.post(f"{address}/{ana.id}/save", given | {"name": "Ana Roy-Li", "version": str(ana.version)})
    assert "Ana Roy-Li" in words(browser.get("/staff/partners/cdrq").text)
    browser.get(f"{address}/{ana.id}")
    told = browser.post(f"{address}/{ana.id}/save", given | {"name": "Second", "version": "1"}, status=409).text
    assert "Second" in told
    browser.post(f"{address}/{ana.id}/save", given | {"email": "li@cdrq.example", "version": "2"}, status=422)
    other = make.body("risq")
    browser.get(f"/staff/partners/cdrq/people/{other.main_id}", status=404)
    signed_in(people.adviser).get(f"{address}/{ana.id}", status=404)


def test_each_person_has_a_link_of_their_own_to_what_waits(make, body, app, session):
    referral = make.referral(body=body)
    jean, li = body.main, person(session, "Li Wei")
    tokens = {links.token(services.link_of_person(one)) for one in (jean, li)}
    session.commit()
    assert len(tokens) == 2
    browser = entered(app, session, li)
    assert referral.case.reference in browser.get(LIST).text
    browser.post(LIST, {"number": str(referral.id)})
    assert "Nadia Benali" in browser.get("/fr/mise-en-relation").text  # and may answer


def test_one_person_receives_each_referral_and_the_others_are_told_of_what_waits(make, body, session, moment):
    make.referral(body=body)
    assert [one.to_address for one in mail(session, "referrals.invitation")] == ["jean@cdrq.example"]
    moment.move_to(datetime(2026, 12, 9, 17, tzinfo=UTC))
    chasing.chase_bodies()
    session.commit()
    assert [one.to_address for one in mail(session, "referrals.chase")] == ["jean@cdrq.example"]
    [told] = mail(session, "referrals.waiting")
    assert (told.to_address, told.language) == ("li@cdrq.example", "en")
    assert "Jean Roy" in told.body
    assert "Nadia" not in told.body
    assert session.get(Link, told.link_id).object_id == person(session, "Li Wei").id
    assert chasing.still_waits(told)


@pytest.mark.parametrize("end", ["answered", "left", "told no more", "restricted", "inactive", "moved"])
def test_nobody_is_told_of_what_does_not_wait_any_more_or_is_not_theirs(make, body, session, moment, people, end):
    referral = make.referral(body=body)
    moment.move_to(datetime(2026, 12, 9, 17, tzinfo=UTC))
    chasing.chase_bodies()
    session.commit()
    [told] = mail(session, "referrals.waiting")
    li = person(session, "Li Wei")
    match end:
        case "answered":
            answers.accept(referral, "")
        case "left":
            leave(body, li, people.coordinator)
        case "told no more":
            li.receives = False
        case "restricted":
            referral.case.restricted = True
        case "inactive":
            body.active = False
        case "moved":
            li.email = "li@ailleurs.example"
    session.commit()
    assert not chasing.still_waits(told)


def test_who_leaves_reads_nothing_any_more_and_the_others_go_on(make, body, app, session, people):
    referral = make.referral(body=body)
    jean, li = body.main, person(session, "Li Wei")
    theirs, hers = entered(app, session, jean), entered(app, session, li)
    leave(body, li, people.coordinator)
    session.commit()
    hers.get(LIST, 404)
    assert referral.case.reference in theirs.get(LIST).text
    token = links.token(
        session.scalars(select(Link).where(Link.purpose == Purpose.BODY, Link.object_id == li.id)).first()
    )
    again = Pages(app)
    again.get(f"{LIST}/{token}", 404)
    again.post(f"{LIST}/{token}", {"again": "1"}, status=200)
    session.expire_all()
    assert mail(session, "referrals.list") == []


def test_a_link_whose_days_are_over_is_sent_again_to_its_holder_only(make, body, app, session, moment):
    make.referral(body=body)
    li = person(session, "Li Wei")
    token = links.token(services.link_of_person(li))
    session.commit()
    moment.shift(timedelta(days=31))
    browser = Pages(app)
    browser.get(f"{LIST}/{token}", 404)
    browser.post(f"{LIST}/{token}", {"again": "1"}, status=200)
    [sent] = mail(session, "referrals.list")
    assert sent.to_address == "li@cdrq.example"
    assert services.still_theirs(sent)


def test_another_first_person_ends_the_links_of_each_file_and_receives_what_waits_to_leave(
    make, body, app, session, people, moment
):
    referral = make.referral(body=body)
    [invitation] = mail(session, "referrals.invitation")
    link, jean, li = invitation.link_id, body.main, person(session, "Li Wei")
    theirs = entered(app, session, jean)
    assert opened_by(link) is not None
    moment.shift(timedelta(minutes=1))
    put_first(body, li, people.coordinator)
    session.commit()
    assert opened_by(link) is None
    assert body.contact_email == "li@cdrq.example"
    assert referral.case.reference in theirs.get(LIST).text  # Jean works there still, and is told of what waits
    assert not services.still_open(invitation)
    invitation.status = Sent.DROPPED
    services.note_invitation(invitation)
    session.commit()
    assert [one.to_address for one in mail(session, "referrals.invitation")][1:] == ["li@cdrq.example"]


def test_when_the_first_person_leaves_nobody_is_written_to_and_files_become_tasks(make, body, session, people, moment):
    referral = make.referral(body=body, case=make.case_at(Stage.PLANNING))
    leave(body, body.main, people.coordinator)
    session.commit()
    assert (body.contact_email, body.main_id) == ("", None)
    moment.move_to(datetime(2026, 12, 9, 17, tzinfo=UTC))
    chasing.chase_bodies()
    session.commit()
    assert mail(session, "referrals.chase") == []
    assert "call_body" in {one.rule for one in open_ones(referral.case)}


def test_the_form_of_the_first_person_finds_somebody_who_is_there_and_keeps_the_delays(body, session, people):
    saved = change_contact(
        body, seen_version=body.version, name="Li Wei", email="LI@cdrq.example", language="fr", answer_days=5, chase_days=0,
        actor=people.coordinator,
    )  # fmt: skip
    session.commit()
    assert saved
    assert [one.name for one in partners.people_of(body)] == ["Li Wei"]  # Jean left: another address is another person
    assert (body.contact_language, body.answer_days, body.chase_days) == ("fr", 5, 0)
    assert session.scalar(select(Person.left_at).where(Person.name == "Jean Roy")) is not None


def test_a_form_of_the_first_person_opened_before_another_came_first_is_stale(body, session, people):
    seen = body.version
    put_first(body, person(session, "Li Wei"), people.coordinator)
    session.commit()
    saved = change_contact(
        body, seen_version=seen, name="Jean Roy", email="jean@cdrq.example", language="fr", answer_days=None, chase_days=10,
        actor=people.coordinator,
    )  # fmt: skip
    assert not saved
    session.rollback()
    assert body.contact_name == "Li Wei"


def test_the_first_person_reads_what_waits_whatever_is_ticked(make, body, app, session):
    referral = make.referral(body=body)
    body.main.receives = False
    session.commit()
    assert referral.case.reference in entered(app, session, body.main).get(LIST).text


def test_somebody_told_who_leaves_reads_no_file_any_more_either(make, body, app, session, people):
    referral = make.referral(body=body)
    li = person(session, "Li Wei")
    hers = entered(app, session, li)
    hers.get(LIST)
    hers.post(LIST, {"number": str(referral.id)})
    assert "Nadia Benali" in hers.get("/fr/mise-en-relation").text
    leave(body, li, people.coordinator)
    session.commit()
    hers.get("/fr/mise-en-relation", 404)


def test_a_body_that_nobody_receives_for_gives_steps_and_the_next_person_receives_what_waits(
    make, body, session, people, signed_in
):
    referral = make.referral(body=body)
    browser = signed_in(people.coordinator)
    browser.get("/staff/partners/cdrq")
    browser.post(f"/staff/partners/cdrq/people/{body.main_id}/works-there-no-more")
    session.expire_all()
    assert [one.reason for one in open_ones(referral.case) if one.rule == "nobody_there"] == ["CDRQ"]
    [invitation] = mail(session, "referrals.invitation")
    invitation.status = Sent.DROPPED
    services.note_invitation(invitation)
    referral.chases = 3
    session.commit()
    li = person(session, "Li Wei")
    browser.get("/staff/partners/cdrq")
    browser.post(f"/staff/partners/cdrq/people/{li.id}/first")
    session.expire_all()
    assert [one.to_address for one in mail(session, "referrals.invitation")] == ["jean@cdrq.example", "li@cdrq.example"]
    assert referral.chases == 0


def test_a_form_of_a_body_without_anybody_is_stale_once_somebody_was_added(session, people):
    body = partners.by_code("risq")
    seen = body.version
    add_person(body, {"name": "Jean", "email": "jean@risq.example", "language": "fr"}, people.coordinator)
    session.commit()
    assert not change_contact(
        body, seen_version=seen, name="Li", email="li@risq.example", language="fr", answer_days=None, chase_days=10,
        actor=people.coordinator,
    )  # fmt: skip
