"""One time, one talk; the person and the adviser are told; calendars agree."""

import re
import threading
from datetime import timedelta
from email import message_from_bytes, policy

import icalendar
import pytest
import time_machine
from sqlalchemy import func, select, text

from crm import clock
from crm.business_days import next_business_day
from crm.cases.models import Case
from crm.cases.queries import forgotten
from crm.cases.services import advance, restrict
from crm.cases.vocabulary import ClosingReason, Stage
from crm.errors import RefusedError
from crm.intake.services import release
from crm.links.models import Link
from crm.links.services import token as token_of
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.reminders.models import FollowUp, State
from crm.talks import hours, services
from crm.talks.models import Mode, Talk, TalkCell, TalkState
from tests.support.browser import Browser
from tests.support.pages import Pages
from tests.support.server import LONGEST_WAIT, Product
from tests.support.talking import at_ten, book, open_hours

HOURS = "/staff/hours"
WEEK = {"monday": "9-12", "tuesday": "9-12", "wednesday": "9-12", "thursday": "9-12", "friday": "9-12"}
RULES = {
    "version": "0", "offered": "y", "minutes": "30", "buffer": "15", "notice_hours": "24", "languages": ["fr", "en"],
    "modes": ["phone", "video"], "video_address": "https://visio.example/salle", "saturday": "", "sunday": "", "place": "",
}  # fmt: skip


def calendar_of(message) -> icalendar.Calendar:
    return icalendar.Calendar.from_ical(services.calendar_file(message).content)


# --- one time, one talk ----------------------------------------------------------------------------------------------


def test_the_database_gives_a_quarter_of_an_hour_once(make, people, session):
    first, second = make.case(), make.case()
    book(first, people.adviser)
    session.commit()
    for minutes in (0, -30, 30, -44, 44):
        with pytest.raises(RefusedError):
            book(second, people.adviser, at_ten() + timedelta(minutes=minutes))
        assert session.scalar(select(func.count(Talk.id))) == 1
    book(second, people.adviser, at_ten() + timedelta(minutes=45))
    book(make.case(), people.other_adviser)
    session.commit()
    assert session.scalar(select(func.count(Talk.id))) == 3


def test_fifty_people_pressing_the_same_time_make_one_talk_and_49_kind_answers(
    make, people, session, database_url, tmp_path
):
    open_hours(session, people.adviser)
    tokens = []
    for _ in range(50):
        case = make.case()
        tokens.append(services.link_of(case))
    session.commit()
    tokens = [token_of(link) for link in tokens]
    wanted = hours.offers(session.scalars(select(Case)).first(), Mode.PHONE)[0].starts_at.isoformat()
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(workers=4)
        session.execute(text("DELETE FROM rate_count"))
        session.commit()
        browsers = [_browser(port, token) for token in tokens[:25]]
        session.execute(text("DELETE FROM rate_count"))
        session.commit()
        browsers += [_browser(port, token) for token in tokens[25:]]
        together, answers = threading.Barrier(50), []

        def press(browser):
            together.wait(LONGEST_WAIT)
            answers.append(browser.post("/fr/mon-dossier/moments", {"mode": "phone", "start": wanted, "about": ""}))

        threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        product.stop()
    statuses = sorted(status for status, _headers, _body in answers)
    assert statuses == [303] + [409] * 49
    for status, _headers, body in answers:
        if status == 409:
            assert "vient d’être pris" in body
            assert body.count('name="start"') > 5, "other times are offered"
            assert wanted not in body
    session.expire_all()
    (talk,) = session.scalars(select(Talk)).all()
    assert session.scalar(select(func.count()).select_from(TalkCell)) == 3
    assert session.scalar(select(func.count(Message.id)).where(Message.kind == "talks.confirmed")) == 1
    assert session.get_one(Case, talk.case_id).owner_id == people.adviser.id


def _browser(port, token):
    browser = Browser(port)
    browser.get(f"/fr/mon-dossier/ouvrir/{token}")
    status, _, _ = browser.post(f"/fr/mon-dossier/ouvrir/{token}", {})
    assert status == 303
    return browser


def test_moving_frees_the_old_time_and_a_refused_move_keeps_it(make, people, session):
    one, two = make.case(), make.case()
    talk = book(one, people.adviser)
    book(two, people.adviser, at_ten() + timedelta(hours=1))
    session.commit()
    with pytest.raises(RefusedError):
        services.move(talk, one, starts_at=at_ten() + timedelta(hours=1), minutes=30, buffer=15)
    session.rollback()
    assert talk.starts_at == at_ten()
    assert session.scalar(select(func.count()).where(TalkCell.talk_id == talk.id)) == 3
    services.move(talk, one, starts_at=at_ten() + timedelta(hours=2), minutes=30, buffer=15)
    session.commit()
    book(make.case(), people.adviser)
    session.commit()


def test_a_talk_in_the_past_and_a_second_of_one_file_are_refused(make, people, session):
    case = make.case()
    with pytest.raises(RefusedError):
        book(case, people.adviser, clock.now() - timedelta(minutes=1))
    book(case, people.adviser)
    with pytest.raises(RefusedError):
        book(case, people.adviser, at_ten() + timedelta(hours=1))


# --- which times, and whose --------------------------------------------------------------------------------------------


def test_times_are_those_of_advisers_who_speak_the_language_and_serve_the_region(make, people, session):
    open_hours(session, people.adviser, languages=["fr"])
    open_hours(session, people.other_adviser, languages=["en"])
    french, english, either = make.case(), make.case(language="en"), make.case()
    either.contact.language = "either"
    session.commit()

    def who(case):
        return {adviser for offer in hours.offers(case) for adviser in offer.advisers}

    assert who(french) == {people.adviser.id}
    assert who(english) == {people.other_adviser.id}
    assert who(either) == {people.adviser.id, people.other_adviser.id}
    hours.rules_of(people.adviser).regions = ["13"]
    session.commit()
    assert who(french) == set()
    either.owner_id = people.other_adviser.id
    session.commit()
    assert who(either) == {people.other_adviser.id}, "once a file has an owner, the times are theirs"
    hours.rules_of(people.other_adviser).offered = False
    session.commit()
    assert who(either) == set()


def test_the_least_busy_adviser_comes_first(make, people, session):
    open_hours(session, people.adviser, people.other_adviser)
    book(make.case(), people.adviser, at_ten(5))
    session.commit()
    offer = next(one for one in hours.offers(make.case()) if len(one.advisers) == 2)
    assert offer.advisers[0] == people.other_adviser.id


def test_booking_gives_a_file_that_is_nobodys_to_the_adviser_and_moves_no_stage(make, people, session):
    case = make.case()
    book(case, people.adviser)
    session.commit()
    assert (case.owner_id, case.stage) == (people.adviser.id, Stage.NEW)
    assert not forgotten()
    advance(case, Stage.CONTACT, people.adviser)
    advance(case, Stage.DISCOVERY, people.adviser)  # a talk booked with a date lets it in
    session.commit()
    taken = make.case(owner=people.other_adviser)
    book(taken, people.other_adviser)
    assert taken.owner_id == people.other_adviser.id


# --- telling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "name", "zone"), [("fr", "echange.ics", "heure de l’Est"), ("en", "talk.ics", "Eastern Time")]
)
def test_calendars_agree_when_a_talk_is_fixed_moved_and_cancelled(make, people, session, lang, name, zone):
    case = make.case(language=lang)
    talk = book(case, people.adviser)
    session.commit()

    def last(kind):
        return session.scalars(select(Message).where(Message.kind == kind).order_by(Message.id.desc())).first()

    fixed = last("talks.confirmed")
    assert fixed.language == lang
    assert zone in fixed.body
    assert services.calendar_file(fixed).name == name
    first = calendar_of(fixed)
    services.move(talk, case, starts_at=at_ten() + timedelta(hours=1), minutes=30, buffer=15)
    session.commit()
    second = calendar_of(last("talks.moved"))
    services.cancel_by_person(talk, case)
    session.commit()
    third = calendar_of(last("talks.cancelled"))
    events = [one.walk("VEVENT")[0] for one in (first, second, third)]
    assert len({str(event["UID"]) for event in events}) == 1
    assert [int(event["SEQUENCE"]) for event in events] == [0, 1, 2]
    assert [str(one["METHOD"]) for one in (first, second, third)] == ["REQUEST", "REQUEST", "CANCEL"]
    assert str(events[2]["STATUS"]) == "CANCELLED"
    assert events[0]["DTSTART"].dt == at_ten()
    assert events[0]["DTSTART"].params["TZID"] == "America/Toronto"
    assert first.walk("VTIMEZONE")
    assert (events[0]["DTEND"].dt - events[0]["DTSTART"].dt) == timedelta(minutes=30)
    # What was said of the former time no longer leaves.
    assert [services.still_so(message) for message in (fixed, last("talks.moved"), last("talks.cancelled"))] == [
        False, False, True,
    ]  # fmt: skip


def test_the_mail_holds_the_file_and_a_link_that_is_not_at_rest(make, people, session, tmp_path):
    case = make.case()
    book(case, people.adviser)
    session.commit()
    token = token_of(session.scalars(select(Link)).one())
    assert send_due() == 2
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in (tmp_path / "mail").glob("*.eml")]
    mail = next(one for one in mails if one["To"].addresses[0].addr_spec == case.contact.email)
    (calendar,) = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert calendar.get_filename() == "echange.ics"
    assert calendar.get_param("method") == "REQUEST"
    assert icalendar.Calendar.from_ical(calendar.get_payload(decode=True)).walk("VEVENT")
    assert token in mail.get_body(("plain",)).get_content()
    assert not session.scalar(select(func.count()).where(Message.body.contains(token)))


def test_the_person_is_reminded_once_the_business_day_before(make, people, session):
    monday = next_business_day(clock.today() + timedelta(days=14))
    while monday.weekday():
        monday += timedelta(days=1)
    monday = next_business_day(monday)
    case = make.case()
    book(case, people.adviser, clock.at_local(monday, 10))
    session.commit()
    before = monday - timedelta(days=1)
    while before.weekday() > 4 or before != next_business_day(before):
        before -= timedelta(days=1)
    with time_machine.travel(clock.at_local(before, 7, 59), tick=False):
        assert services.remind() == 0
    with time_machine.travel(clock.at_local(before, 8, 1), tick=False):
        assert services.remind() == 1
        assert services.remind() == 0
        session.commit()
    assert session.scalar(select(func.count()).where(Message.kind == "talks.reminder")) == 1
    # Moved afterwards: reminded anew, of the new time.
    talk = session.scalars(select(Talk)).one()
    services.move(talk, case, starts_at=clock.at_local(next_business_day(monday + timedelta(days=7)), 10),
                  minutes=30, buffer=15)  # fmt: skip
    session.commit()
    later = next_business_day(monday + timedelta(days=6))
    with time_machine.travel(clock.at_local(later, 9), tick=False):
        assert services.remind() == 1


def test_a_talk_fixed_for_tomorrow_needs_no_reminder(make, people, session):
    tomorrow = next_business_day(clock.today() + timedelta(days=1))
    eve = tomorrow - timedelta(days=1)
    while eve != next_business_day(eve):
        eve -= timedelta(days=1)
    case = make.case()
    with time_machine.travel(clock.at_local(eve, 9), tick=False):
        book(case, people.adviser, clock.at_local(tomorrow, 11))
        assert services.remind() == 0


def test_a_no_show_and_a_cancellation_make_a_dated_follow_up(make, people, session):
    for end in (
        lambda talk, case: services.settle(talk, case, TalkState.NO_SHOW, people.adviser, ""),
        services.cancel_by_person,
    ):
        case = make.case(owner=people.adviser)
        talk = book(case, people.adviser, at_ten())
        session.commit()
        with time_machine.travel(talk.starts_at + timedelta(hours=1), tick=False):
            end(talk, case)
        session.commit()
        open_rules = session.scalars(
            select(FollowUp.rule).where(FollowUp.case_id == case.id, FollowUp.state == State.TODO)
        ).all()
        assert "no_show" in open_rules
        assert talk.state in {TalkState.NO_SHOW, TalkState.CANCELLED}
        session.execute(text("DELETE FROM talk_cell"))


@pytest.mark.parametrize(("why", "told"), [(ClosingReason.OUT_SCOPE, 1), (ClosingReason.SPAM, 0)])
def test_closing_cancels_the_talk_and_frees_its_time(make, people, session, why, told):
    case = make.case(owner=people.adviser)
    talk = book(case, people.adviser)
    session.commit()
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=why, person_told="told")
    session.commit()
    assert session.scalar(select(func.count(Message.id)).where(Message.kind == "talks.cancelled")) == told
    assert talk.state is TalkState.CANCELLED
    assert session.scalar(select(func.count()).select_from(TalkCell)) == 0


# --- an adviser's own pages ------------------------------------------------------------------------------------------


def test_an_adviser_sets_hours_a_different_day_and_what_cannot_be_read_comes_back(people, session, signed_in):
    adviser = signed_in(people.adviser)
    adviser.get(HOURS)
    adviser.post(HOURS, RULES | WEEK)
    session.expire_all()
    assert hours.weekly_of(people.adviser)[0] == "9:00-12:00"
    assert hours.rules_of(people.adviser).offered
    adviser.get(HOURS)
    refused = adviser.post(HOURS, RULES | WEEK | {"version": "1", "monday": "9-12, 11-13"}, status=422)
    assert 'value="9-12, 11-13"' in refused.text
    adviser.get(HOURS)
    stale = adviser.post(HOURS, RULES | WEEK | {"monday": "8-9"}, status=409)
    assert 'value="8-9"' in stale.text
    session.expire_all()
    assert hours.weekly_of(people.adviser)[0] == "9:00-12:00"
    day = next_business_day(clock.today() + timedelta(days=5)).isoformat()
    adviser.get(HOURS)
    adviser.post(f"{HOURS}/exceptions", {"day": day, "hours": ""})
    assert [one.hours for one in hours.exceptions_of(people.adviser)] == [""]
    adviser.get(HOURS)
    adviser.post(f"{HOURS}/exceptions", {"day": "2020-01-01", "hours": "9-10"}, status=422)
    adviser.get(HOURS)
    adviser.post(f"{HOURS}/exceptions/remove", {"day": day})
    session.expire_all()
    assert hours.exceptions_of(people.adviser) == []


def test_the_feed_is_read_without_an_account_holds_no_name_and_can_be_revoked(app, make, people, session, signed_in):
    case = make.case()
    book(case, people.adviser)
    reference = case.reference
    session.commit()
    adviser = signed_in(people.adviser)
    adviser.get(HOURS)
    address = re.search(r"/fr/agenda/[\w-]+", adviser.post(f"{HOURS}/feed", status=200).text)[0]
    reader = Pages(app)
    for _ in range(2):
        answer = reader.client.get(address, headers={"Host": "127.0.0.1:8000"})
        assert answer.status_code == 200
    assert answer.content_type.startswith("text/calendar")
    read = icalendar.Calendar.from_ical(answer.data)
    (event,) = [one for one in read.walk("VEVENT") if str(one["UID"]).startswith("talk-")]
    assert reference in str(event["SUMMARY"])
    assert "Nadia" not in answer.text
    assert "Outilthèque" not in answer.text
    english = address.replace("/fr/agenda", "/en/calendar")
    assert "talk.ics" in reader.client.get(english, headers={"Host": "127.0.0.1:8000"}).headers["Content-Disposition"]
    adviser.get(HOURS)
    adviser.post(f"{HOURS}/feed/revoke")
    reader.get(address, 404)


def test_hours_are_an_advisers_own(people, session, signed_in):
    open_hours(session, people.adviser)
    other = signed_in(people.other_adviser)
    assert 'value="9:00-12:00"' not in other.get(HOURS).text


def test_a_quarantined_file_gets_its_confirmation_when_released(make, people, session):
    case = make.case()
    case.quarantined = True
    session.commit()
    book(case, people.adviser)
    session.commit()
    assert not session.scalar(select(func.count()).where(Message.to_address == case.contact.email))
    release(case, people.coordinator)
    session.commit()
    kinds = set(session.scalars(select(Message.kind).where(Message.to_address == case.contact.email)))
    assert kinds == {"intake.received", "talks.confirmed"}
    assert session.scalars(select(Message.status)).first() is Status.QUEUED


def test_hours_too_long_to_keep_or_to_read_are_refused_on_both_databases(people, session, signed_in):
    adviser = signed_in(people.adviser)
    day = next_business_day(clock.today() + timedelta(days=5)).isoformat()
    for typed in (",".join(f"{hour}-{hour + 1}" for hour in range(24)), "9" + " " * 3000 + "-9" + " " * 3000 + "x"):
        adviser.get(HOURS)
        adviser.post(f"{HOURS}/exceptions", {"day": day, "hours": typed}, status=422)
        adviser.get(HOURS)
        adviser.post(HOURS, RULES | WEEK | {"monday": typed}, status=422)


def test_the_feed_leaves_out_a_file_restricted_without_its_adviser(app, make, people, session, signed_in):
    case = make.case(owner=people.other_adviser)
    book(case, people.adviser, actor=people.coordinator)
    reference = case.reference
    session.commit()
    adviser = signed_in(people.adviser)
    adviser.get(HOURS)
    address = re.search(r"/fr/agenda/[\w-]+", adviser.post(f"{HOURS}/feed", status=200).text)[0]
    reader = Pages(app).client
    assert reference in reader.get(address, headers={"Host": "127.0.0.1:8000"}).text
    restrict(case, restricted=True, readers=[people.other_adviser.id], actor=people.coordinator)
    session.commit()
    assert reference not in reader.get(address, headers={"Host": "127.0.0.1:8000"}).text


def test_times_to_move_to_are_long_enough_for_the_talk_as_it_is(make, people, session):
    open_hours(session, people.adviser)
    case = make.case(owner=people.adviser)
    talk = book(case, people.adviser, actor=people.adviser, minutes=90)
    session.commit()
    offered = hours.offers(case, Mode.PHONE, moving=talk)
    assert offered
    assert all(
        clock.local(offer.starts_at).hour * 60 + clock.local(offer.starts_at).minute <= 12 * 60 - 90
        for offer in offered
    )
