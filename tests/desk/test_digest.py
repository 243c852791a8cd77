"""The morning's digest: one mail a person and business day, of what their screens show, that names nobody."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import current_app
from sqlalchemy import func, select, update

from crm.absences.services import plan as plan_absence
from crm.accounts.choices import choose, chosen
from crm.accounts.models import MailChoice, Staff
from crm.cases import services as cases
from crm.desk.digest import queue_digests
from crm.i18n import gettext, speaking
from crm.jobs import Job, run_job
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status, Why
from crm.reminders import services as reminders
from crm.talks import services as talks
from crm.talks.models import Mode
from crm.texts import pair
from tests.support.pages import words

MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TUESDAY_AT_EIGHT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


@pytest.fixture
def moment(session):
    with time_machine.travel(MONDAY, tick=False) as moment:
        yield moment


@pytest.fixture
def step(moment, make, people):
    """`step(due)` gives a file of the adviser's whose only open step, typed by a person, is due on a day of November 2026."""

    def go(due=24, owner=None, name="Outilthèque de Rosemont"):
        return make.only_step(owner or people.adviser, date(2026, 11, due), "Appeler Nadia", name=name)

    return go


@pytest.fixture
def morning(session):
    """Rounds of the job, then what it queued, by address."""

    def go(rounds=3):
        session.commit()
        for _ in range(rounds):
            run_job(current_app, Job("digest", queue_digests))
        session.expire_all()
        found = session.scalars(select(Message).where(Message.kind == "desk.digest").order_by(Message.id))
        return {message.to_address: message for message in found}

    return go


@pytest.fixture
def send(session):
    def go():
        session.commit()
        run_job(current_app, Job("send", send_due))
        session.expire_all()

    return go


def title(name, lang, count=1):
    return pair(f"desk.section.{name}")[lang].replace("{count}", str(count))


def test_one_mail_a_person_in_their_language_late_first_and_nobody_named(step, people, moment, morning):
    late, _ = step(24)
    moment.move_to(datetime(2026, 11, 25, 13, 0, tzinfo=UTC))
    due, _ = step(25)
    soon, _ = step(27)
    english, _ = step(25, owner=people.other_adviser)
    step(30, owner=people.coordinator)
    found = morning()
    assert set(found) == {people.adviser.email, people.other_adviser.email, people.coordinator.email}
    body = found[people.adviser.email].body
    places = [body.index(case.reference) for case in (late, due, soon)]
    assert places == sorted(places)
    assert [body.index(title(name, "fr")) for name in ("late", "today", "week")] == sorted(
        body.index(title(name, "fr")) for name in ("late", "today", "week")
    )
    for private in ("Nadia", "Benali", "nadia@exemple.ca", "Statuts", "Appeler"):
        assert private not in "".join(message.body + message.subject for message in found.values())
    assert f"/staff/cases/{late.reference}" in body
    assert "Outilthèque de Rosemont" in body
    assert english.reference not in body
    assert found[people.other_adviser.email].body.startswith("Hello Sam Wong,")
    assert title("today", "en") in found[people.other_adviser.email].body


def test_who_has_nothing_gets_nothing_also_when_something_comes_later_that_day(step, people, moment, morning):
    moment.move_to(TUESDAY_AT_EIGHT)
    assert morning() == {}
    step(24)
    moment.shift(timedelta(hours=2))
    assert morning() == {}
    moment.move_to(TUESDAY_AT_EIGHT + timedelta(days=1))
    assert set(morning()) == {people.adviser.email}


@pytest.mark.parametrize(
    ("at", "leaves"),
    [
        (TUESDAY_AT_EIGHT - timedelta(seconds=1), False),
        (TUESDAY_AT_EIGHT, True),
        (TUESDAY_AT_EIGHT + timedelta(hours=9), True),
        (datetime(2026, 11, 28, 15, 0, tzinfo=UTC), False),
        (datetime(2026, 12, 25, 15, 0, tzinfo=UTC), False),
    ],
    ids=["before eight", "at eight", "the worker woke at five", "a Saturday", "Christmas"],
)
def test_it_leaves_at_eight_on_business_days(step, moment, morning, at, leaves):
    step(24)
    moment.move_to(at)
    assert bool(morning()) is leaves


def test_three_days_asleep_make_one_digest(step, people, moment, morning, session):
    step(24)
    moment.move_to(TUESDAY_AT_EIGHT + timedelta(days=3))
    morning()
    mine = select(func.count(Message.id)).where(Message.staff_id == people.adviser.id)
    assert session.scalar(mine) == 1


def test_it_says_what_is_true_when_it_leaves(step, people, moment, morning, send, session):
    gone, _ = step(24, name="Confié à quelqu’un d’autre")
    done, follow_up = step(24, name="Fait entretemps")
    stays, _ = step(24, name="Toujours à faire")
    moment.move_to(TUESDAY_AT_EIGHT)
    morning()
    cases.assign(gone, people.other_adviser, people.coordinator)
    reminders.plan_by_hand(
        done, title="Plus tard", reason="x", due_on=date(2027, 1, 11), owner=people.adviser, actor=people.adviser
    )
    reminders.complete(follow_up, done, people.adviser)
    send()
    message = session.scalars(select(Message).where(Message.to_address == people.adviser.email)).one()
    assert message.status is Status.SENT
    assert stays.reference in message.body, "the ledger keeps what left"
    assert gone.reference not in message.body
    assert done.reference not in message.body


def test_nothing_leaves_when_all_is_done_the_day_is_over_or_the_account_is_closed(
    step, people, moment, morning, send, session
):
    moment.move_to(MONDAY)
    case, follow_up = step(24)
    step(24, owner=people.other_adviser)
    step(24, owner=people.coordinator)
    moment.move_to(TUESDAY_AT_EIGHT)
    found = morning()
    assert len(found) == 3
    reminders.plan_by_hand(
        case, title="Plus tard", reason="x", due_on=date(2027, 1, 11), owner=people.adviser, actor=people.adviser
    )
    reminders.complete(follow_up, case, people.adviser)
    people.other_adviser.active = False
    found[people.coordinator.email].due_at += timedelta(days=1)
    session.commit()
    send()
    moment.shift(timedelta(days=1))
    send()
    assert {(one.status, one.why) for one in found.values()} == {(Status.DROPPED, Why.NOT_TRUE)}


def test_a_file_one_may_not_see_is_in_nobody_elses_digest(step, people, moment, morning, session):
    case, follow_up = step(24)
    follow_up.owner_id = people.other_adviser.id
    cases.restrict(case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    moment.move_to(TUESDAY_AT_EIGHT)
    assert morning() == {}


def test_a_deputy_reads_the_day_of_who_is_away_but_for_the_files_they_may_not_see(
    step, people, moment, morning, session
):
    case, _ = step(24)
    secret, _ = step(24, name="Confidentiel")
    cases.restrict(secret, restricted=True, readers=[], actor=people.adviser)
    plan_absence(people.adviser, date(2026, 11, 24), date(2026, 11, 27), people.other_adviser)
    session.commit()
    moment.move_to(TUESDAY_AT_EIGHT)
    found = morning()
    assert set(found) == {people.adviser.email, people.other_adviser.email}
    deputys, own = found[people.other_adviser.email].body, found[people.adviser.email].body
    assert case.reference in deputys
    assert f"you stand in for {people.adviser.name}" in deputys
    assert secret.reference not in deputys
    assert secret.reference in own
    assert case.reference not in own


def test_talks_and_requests_are_told_without_who_and_where(moment, make, people, morning, session):
    case = make.case(owner=people.adviser)
    starts = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
    talks.book(case, adviser=people.adviser, mode=Mode.PHONE, starts_at=starts, minutes=30, actor=people.adviser)
    nobodys = make.case(name="Nouveau café")
    session.commit()
    moment.move_to(TUESDAY_AT_EIGHT)
    found = morning()
    body = found[people.adviser.email].body
    assert title("talks", "fr") in body
    assert "14\u00a0h\u00a030" in body
    assert title("requests", "fr") in body
    assert nobodys.reference in body
    assert title("talks", "en") not in found[people.other_adviser.email].body
    assert nobodys.reference in found[people.other_adviser.email].body
    assert "Benali" not in body
    assert people.observer.email not in found


def test_a_long_list_is_cut_and_says_how_many_more(step, people, moment, morning, session):
    case, _ = step(24)
    for _ in range(25):
        reminders.plan_by_hand(
            case, title="x", reason="x", due_on=date(2026, 11, 24), owner=people.adviser, actor=people.adviser
        )
    moment.move_to(TUESDAY_AT_EIGHT)
    body = morning()[people.adviser.email].body
    assert title("today", "fr", 26) in body
    assert body.count(case.reference + ")") == 20
    assert "et 6 de plus" in body
    assert "/staff/follow-ups?when=today" in body


def test_what_one_chose_not_to_get_is_left_out(step, make, people, moment, morning, session):
    make.case(name="Nouveau café")
    step(24)
    choose(people.adviser, "requests", at_once=False, in_digest=False)
    choose(people.other_adviser, "requests", at_once=False, in_digest=False)
    moment.move_to(TUESDAY_AT_EIGHT)
    found = morning()
    assert people.other_adviser.email not in found
    assert title("requests", "fr") not in found[people.adviser.email].body
    assert title("today", "fr") in found[people.adviser.email].body


def test_a_broken_digest_keeps_nobody_elses_from_leaving(step, people, moment, morning, session):
    step(24)
    step(24, owner=people.other_adviser)
    session.execute(update(Staff).where(Staff.id == people.adviser.id).values(language="xx"))
    moment.move_to(TUESDAY_AT_EIGHT)
    assert set(morning()) == {people.other_adviser.email}
    session.execute(update(Staff).where(Staff.id == people.adviser.id).values(language="fr"))
    assert set(morning()) == {people.other_adviser.email, people.adviser.email}, "it is made once it can be"


def test_somebody_who_came_after_eight_waits_for_tomorrow(step, people, moment, morning, session):
    step(24)
    people.adviser.created_at = TUESDAY_AT_EIGHT + timedelta(minutes=5)
    moment.move_to(TUESDAY_AT_EIGHT + timedelta(hours=1))
    assert morning() == {}


# --- what people choose ----------------------------------------------------------------------------------------------


def test_everybody_chooses_on_a_page_of_their_own(people, signed_in, session):
    browser = signed_in(people.adviser)
    page = browser.get("/staff/my-mail").text
    assert page.count('type="checkbox"') == 10, "what does not exist cannot be ticked"
    assert dict(chosen(people.adviser))["follow_ups"] == (False, True)
    session.commit()
    browser.post("/staff/my-mail", {"at_once": ["follow_ups", "nothing"], "in_digest": ["talks", "people"]})
    session.expire_all()
    assert chosen(people.adviser) == {
        "follow_ups": (True, False),
        "talks": (False, True),
        "requests": (False, False),
        "people": (False, False),
        "promise": (False, False),
        "mailbox": (False, False),
        "decisions": (False, False),
    }
    assert session.scalar(select(func.count(MailChoice.kind)).where(MailChoice.kind == "nothing")) == 0
    signed_in(people.observer).get("/staff/my-mail", 404)


def test_a_request_is_told_at_once_to_who_asked_for_it_while_nobody_has_it(make, people, session, send):
    choose(people.adviser, "requests", at_once=True, in_digest=False)
    choose(people.other_adviser, "requests", at_once=True, in_digest=False)
    session.commit()
    from crm.intake.services import tell_who_want

    case = make.case()
    tell_who_want(case)
    found = list(session.scalars(select(Message).where(Message.kind == "intake.told").order_by(Message.id)))
    assert [one.to_address for one in found] == [people.adviser.email, people.other_adviser.email]
    assert "Benali" not in found[0].body
    cases.assign(case, people.adviser, people.adviser)
    send()
    assert {one.status for one in found} == {Status.DROPPED}


def test_a_follow_up_sends_no_message_of_its_own_unless_whoever_reads_it_asked(step, people, moment, session):
    def told():
        reminders.queue_due()
        session.commit()
        return list(session.scalars(select(Message.to_address).where(Message.kind == "reminders.due")))

    _, quiet = step(24)
    plan_absence(people.coordinator, date(2026, 11, 24), date(2026, 11, 27), people.other_adviser)
    choose(people.other_adviser, "follow_ups", at_once=True, in_digest=False)
    step(24, owner=people.coordinator)
    moment.move_to(TUESDAY_AT_EIGHT)
    assert told() == [people.other_adviser.email], "the deputy reads it, and the deputy asked"
    assert quiet.reminded_on == quiet.due_on, "it is not looked at again every half minute"


def test_who_does_not_want_to_hear_of_talks_at_once_does_not(make, people, session, moment):
    def told(kind="told_chosen"):
        return session.scalar(select(func.count(Message.id)).where(Message.kind == f"talks.{kind}"))

    def book(hour):
        talks.book(
            make.case(owner=people.adviser),
            adviser=people.adviser,
            mode=Mode.PHONE,
            starts_at=datetime(2026, 11, 24, hour, 0, tzinfo=UTC),
            minutes=30,
            actor=None,
        )

    book(15)
    assert told() == 1
    choose(people.adviser, "talks", at_once=False, in_digest=True)
    book(17)
    assert told() == 1
    assert told("confirmed") == 2, "the person hears of their talk, whatever the adviser chose"


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_colleagues_own_mail_is_read_by_nobody_else(step, people, moment, morning, session, signed_in, lang):
    people.coordinator.language = people.other_adviser.language = lang
    case, _ = step(24)
    moment.move_to(TUESDAY_AT_EIGHT)
    message = morning()[people.adviser.email]
    number = message.id
    assert case.reference in signed_in(people.adviser).get(f"/staff/mail/{number}").text
    page = signed_in(people.coordinator).get(f"/staff/mail/{number}").text
    with speaking(lang):
        told = gettext("This message is a colleague’s own: it may name files that only they may see.")
    assert " ".join(told.split()) in words(page)
    assert case.reference not in page
    signed_in(people.other_adviser).get(f"/staff/mail/{number}", 404)
    assert f"/staff/mail/{number}" not in signed_in(people.other_adviser).get("/staff/mail?show=waiting").text
