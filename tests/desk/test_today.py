"""The start page: what is mine today, what the team owes, and numbers that lead to the list that makes them."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from crm import clock, demo
from crm.access import Role
from crm.accounts.models import Staff
from crm.business_days import add_business_days
from crm.cases import board
from crm.cases import services as cases
from crm.cases.filters import FORGOTTEN, Filter, together
from crm.cases.listing import _counts, count
from crm.cases.models import Case
from crm.cases.queries import forgotten, hidden_from, visible
from crm.cases.queue_views import QUICK
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.desk.views import NUMBERS
from crm.portal.services import write
from crm.referrals.queries import _owed
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.reminders.today import _counts as _counts_due
from crm.reminders.today import _unanswered, due, mine
from crm.talks import services as talks
from crm.talks.models import Mode, Talk, TalkState
from tests.conftest import PASSWORD
from tests.support.pages import Pages, words
from tests.support.plans import as_if_full, plan

NOON = "2026-11-25 17:00Z"  # a Wednesday, noon in Montréal


@pytest.fixture(autouse=True)
def at_noon():
    with time_machine.travel(NOON, tick=False):
        yield


def part(page, title):
    """The words of the part of the page under a title."""
    found = re.search(rf'(?s)<h2 id="{title}-title">.*?</section>', page)
    return words(found[0]) if found else ""


def rewind(session, follow_up, days):
    follow_up.due_on = clock.today() - timedelta(days=days)
    session.flush()


def test_signing_in_leads_to_today(app, people, signed_in):
    browser = Pages(app)
    browser.get("/staff/sign-in")
    answer = browser.post("/staff/sign-in", {"email": people.adviser.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/staff/today/begin"
    assert browser.get("/staff/today/begin", status=302).headers["Location"] == "/staff/today"
    assert "Aujourd’hui mercredi 25 novembre 2026" in words(browser.get("/staff/today").text)
    signed_in(people.observer).get("/staff/today", status=404)
    signed_in(people.observer).get("/staff/follow-ups", status=404)


def test_my_follow_ups_the_late_ones_first(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    for title, days in (("Relire le plan", 0), ("Rappeler Nadia", 3), ("Plus tard", -4)):
        made = reminders.plan_by_hand(
            case, title=title, reason="Parce que", due_on=clock.today() + timedelta(days=7), owner=people.adviser, actor=people.adviser
        )  # fmt: skip
        rewind(session, made, days)
    session.commit()
    browser = signed_in(people.adviser)
    told = part(browser.get("/staff/today").text, "follow-ups")
    assert "1 en retard 1 aujourd’hui Rappeler Nadia En retard 2026-11-22" in told
    assert told.index("Rappeler Nadia") < told.index("Relire le plan")
    assert "Plus tard" not in told
    late = words(browser.get("/staff/follow-ups?when=late").text)
    assert "Rappeler Nadia" in late
    assert "Relire le plan" not in late
    assert "Plus tard" in words(browser.get("/staff/follow-ups?when=week").text)
    assert "Plus tard" in words(browser.get("/staff/follow-ups?when=zzz&after=zzz").text)
    other = words(signed_in(people.other_adviser).get("/staff/follow-ups").text)
    assert "Rappeler Nadia" not in other


def test_what_is_hidden_is_all_that_is_not_seen_and_no_number_counts_it(make, people, session):
    """Two ways of saying who may see a file: one for what is read, one for what is only counted."""
    me, them = people.adviser, people.other_adviser
    names = ("open", "mine", "theirs", "shown to me", "nobody’s", "nobody’s, shown to me")
    every = {name: make.case(owner=me if name == "mine" else them) for name in names}
    for name, case in every.items():
        made = reminders.plan_by_hand(
            case, title="À faire", reason="x", due_on=clock.today() + timedelta(days=7), owner=me, actor=them
        )
        rewind(session, made, 2)
        if name != "open":
            readers = [me.id] if "shown" in name else []
            cases.restrict(case, restricted=True, readers=readers, actor=case.owner)
        if "nobody" in name:
            case.owner_id = None
    session.commit()
    hidden = set(session.scalars(hidden_from(me.id)))
    assert hidden == {every["theirs"].id, every["nobody’s"].id}
    assert hidden == {case.id for case in every.values()} - set(session.scalars(select(Case.id).where(visible(me))))
    assert due(me).late == len(mine(me, "late")) == 4


def test_pages_of_my_follow_ups_follow_each_other(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    for number in range(57):
        reminders.plan_by_hand(
            case, title=f"Suivi {number}", reason="x", due_on=clock.today() + timedelta(days=number % 3), owner=people.adviser,
            actor=people.adviser,
        )  # fmt: skip
    session.commit()
    mine_now = session.scalars(
        select(FollowUp.id)
        .where(FollowUp.owner_id == people.adviser.id, FollowUp.state == State.TODO)
        .order_by(FollowUp.due_on, FollowUp.id)
    ).all()
    assert [row.FollowUp.id for row in mine(people.adviser, limit=1000)] == mine_now
    browser, seen, address = signed_in(people.adviser), 0, "/staff/follow-ups"
    while address:
        page = browser.get(address).text
        seen += page.count('<th scope="row">')
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == len(mine_now) > 50
    assert due(people.adviser).today == sum(1 for row in mine(people.adviser, "today", limit=1000))


def test_talks_of_the_day_and_those_nobody_recorded(make, people, session, signed_in):
    case, other = make.case_at(Stage.PLANNING), make.case_at(Stage.PLANNING)

    def book(on, at):
        return talks.book(on, adviser=people.adviser, starts_at=at, minutes=30, mode=Mode.PHONE, actor=people.adviser)

    book(case, clock.now() + timedelta(hours=2))
    past = book(other, clock.now() + timedelta(hours=5))
    past.starts_at = clock.now() - timedelta(days=1)
    session.commit()
    told = part(signed_in(people.adviser).get("/staff/today").text, "talks")
    assert "Échanges du jour 1 14 h Nadia Benali Par téléphone" in told
    assert "Que s’est-il passé à ces échanges? Nadia Benali 24 novembre 2026 à 12 h" in told
    english = part(signed_in(people.other_adviser).get("/staff/today").text, "talks")
    assert "No talk today." in english


def test_many_talks_that_nobody_recorded_push_none_of_today_away(make, people, session, monkeypatch):
    monkeypatch.setattr(talks, "MOST_OF_TODAY", 3)
    talks._of_today.cache_clear()
    today = [clock.now() + timedelta(hours=hours) for hours in (2, 3)]
    for starts_at in [clock.now() - timedelta(days=day) for day in (4, 3, 2, 1)] + today:
        session.add(
            Talk(
                case_id=make.case().id, adviser_id=people.adviser.id, starts_at=starts_at, minutes=30, mode=Mode.PHONE,
                state=TalkState.BOOKED, created_at=clock.now(), sequence=0,
            )
        )  # fmt: skip
    session.flush()
    found = talks.of_today(people.adviser)
    talks._of_today.cache_clear()
    assert [row.Talk.starts_at for row in found["talks_today"]] == today
    assert [row.Talk.starts_at for row in found["talks_to_record"]] == [clock.now() - timedelta(days=1)]


def test_people_who_wrote_and_bodies_that_are_silent(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    write(case, "Avez-vous des nouvelles?", "k")
    with time_machine.travel("2026-11-10 17:00Z", tick=False):
        referral = make.referral()
    browser = signed_in(people.adviser)
    page = browser.get("/staff/today").text
    assert (
        "Répondre à la personne depuis le 25 novembre 2026 Outilthèque de Rosemont, Nadia Benali (Amélie Tremblay)"
        in part(page, "answers")
    )
    assert "CDRQ 11 jours ouvrables Outilthèque de Rosemont , Nadia Benali" in part(page, "owed")
    cases.restrict(session.get(Case, case.id), restricted=True, readers=[], actor=people.coordinator)
    session.commit()
    assert part(signed_in(people.other_adviser).get("/staff/today").text, "answers") == ""
    assert referral.sent_at is not None


def test_a_request_nobody_took_is_taken_from_here(make, people, session, signed_in):
    with time_machine.travel("2026-11-20 17:00Z", tick=False):
        case = make.case(name="Four à pain")
    browser = signed_in(people.adviser)
    assert "Four à pain répondre d’ici le 2026-11-25 Nadia Benali, attend depuis 3 jours ouvrables" in part(
        browser.get("/staff/today").text, "fresh"
    )
    answer = browser.post(f"/staff/requests/{case.reference}/take", {"from": "today"})
    assert answer.headers["Location"] == "/staff/today"
    assert "Four à pain" not in part(browser.get("/staff/today").text, "fresh")


def test_each_number_leads_to_the_list_that_makes_it(app, people, session):
    session.commit()
    demo.load(app, cases=150, seed=5, say=lambda _line: None)
    session.execute(
        update(Staff).where(Staff.email.like("%@passerelle.example")).values(password_hash=people.adviser.password_hash)
    )
    session.commit()
    for role in (Role.COORDINATOR, Role.ADVISER):
        staff = session.scalars(select(Staff).where(Staff.role == role).order_by(Staff.id.desc())).first()
        browser = Pages(app).sign_in(staff, PASSWORD)
        page = browser.get("/staff/today").text
        numbers = re.findall(r'class="number[^"]*" href="([^"]+)"><strong>(\d+\+?)</strong>', page)
        assert len(numbers) == 8
        assert sum(number != "0" for _address, number in numbers) >= 4
        for address, number in numbers:
            seen, at = 0, address.replace("&amp;", "&")
            while at:
                listed = browser.get(at).text
                seen += listed.count('<th scope="row">')
                following = re.search(r'href="([^"]+)" rel="next"', listed)
                at = following[1].replace("&amp;", "&") if following else ""
            assert str(seen) == number, address


def test_a_file_that_a_fault_left_without_next_step_is_counted_and_repaired(make, people, session, signed_in):
    case = make.case_at(Stage.PLANNING)
    wanted = Filter(late=FORGOTTEN)
    assert count(people.adviser, wanted) == 0
    session.execute(
        update(FollowUp).where(FollowUp.case_id == case.id).values(state=State.CANCELLED, ended_at=clock.now())
    )
    case.next_step_on = None
    session.commit()
    assert [one.id for one in forgotten()] == [case.id]
    assert count(people.adviser, wanted) == 1
    assert case.reference in signed_in(people.adviser).get("/staff/cases?late=nothing").text
    assert reminders.repair_forgotten() == 1
    session.commit()
    assert count(people.adviser, wanted) == 0
    assert case.next_step_on == add_business_days(clock.today(), 1)


# --- plans -----------------------------------------------------------------------------------------------------------

SERVED_BY = {
    "late": "ix_case_step",
    "nobody": "ix_case_owner_open",
    "reply": "ix_case_owed",
    "ours": "ix_case_turn",
    "answer": "ix_follow_up_they_wait",
    "mine_ours": "ix_case_owner_turn",
    "mine_late": "ix_case_owner_step",
    "forgotten": "ix_case_step",
}


@pytest.mark.parametrize("name", SERVED_BY)
def test_what_is_few_among_many_is_found_by_its_own_index(session, people, kind, name):
    """A condition that no longer says what the index says would read every open file: seen in a large programme only."""
    as_if_full(session)
    one = next(number for number in (*NUMBERS, *QUICK) if number.name == name)
    shapes, asked = together([one.wanted], people.coordinator)
    said = "\n".join(plan(session, _counts(shapes, db.engine.dialect.name), asked | {"at_most": 100}))
    assert (SERVED_BY[name] if kind == "sqlite" else "ix_") in said, said
    assert not re.search(r"Seq Scan on (case_file|follow_up)|SCAN (case_file|follow_up)\b(?! USING)", said), said
    assert name != "nobody" or "Sort" not in said, said


def test_the_parts_of_today_read_what_is_few_by_its_own_index(session, people, kind):
    as_if_full(session)
    asked = {"staff_id": people.coordinator.id, "at_most": 12}
    days = {"since": clock.now() - timedelta(days=60), "end": clock.now()}
    counts = plan(session, _counts_due(), asked | {"today": clock.today()})
    booked = plan(session, talks._of_today(), {"staff_id": people.coordinator.id} | days)
    for lines, table, own in (
        (plan(session, _unanswered(), asked), "follow_up", "ix_follow_up_they_wait"),
        (booked, "talk", "ix_talk_booked"),
        (counts, "follow_up", "ix_follow_up_owner"),
    ):
        said = "\n".join(lines)
        # PostgreSQL, whose tables are empty here, finds one index of a table as good as another.
        assert (own if kind == "sqlite" else f"ix_{table}_") in said, said
        assert f"Seq Scan on {table}" not in said, said
    said = "\n".join(counts)
    assert not re.search(r"case_file(_1)? USING (INTEGER PRIMARY KEY|INDEX)|Scan using case_file_pkey", said), said
    assert db.engine.dialect.name != "sqlite" or "USING COVERING INDEX ix_case_restricted" in said, said
    index = "ix_case_owner_turn" if kind == "sqlite" else "Index Scan using ix_case_"
    said = "\n".join(plan(session, _owed(), {"staff_id": people.coordinator.id}))
    assert index in said, said
    assert "Seq Scan on case_file" not in said


def test_the_board_finds_closed_files_by_when_they_were_closed(session, people):
    as_if_full(session)
    shapes, asked = together([Filter(stages=("all",))], people.coordinator)
    asked |= {"cards": 50, "at_most": 1000, "closed_since": clock.now()}
    shown = ((Stage.CLOSED, shapes[0]),)
    for statement in (board._cards(shown, db.engine.dialect.name), board._numbers(shown, db.engine.dialect.name)):
        said = "\n".join(plan(session, statement, asked))
        assert "ix_case_closed" in said, said
