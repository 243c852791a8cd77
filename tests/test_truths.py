"""The twelve things that are always true (design): one test each, which fails when the line is broken."""

import html
import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from crm import clock, texts
from crm.accounts.services import deactivate
from crm.business_days import is_business_day
from crm.cases import queries, services
from crm.cases.filters import Filter
from crm.cases.listing import page_of
from crm.cases.models import Case, StageSpell
from crm.cases.vocabulary import ClosingReason, Stage
from crm.db import db
from crm.errors import RefusedError
from crm.links.models import Link
from crm.links.services import token
from crm.outbox.deliver import send_due
from crm.outbox.models import Message, Status
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.referrals.queries import opened_by
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp, State
from crm.summaries.periods import Period
from crm.summaries.queries import figure_of
from crm.talks.models import Mode, TalkState
from crm.talks.services import book, settle
from crm.timeline.models import Event, EventDetail
from crm.timeline.sentences import tell
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import words
from tests.support.summaries import published


def test_1_no_file_is_forgotten(session, people, make):
    """Random verbs by people never leave an open file without a dated next step; a fault that does is counted and repaired."""
    dice = random.Random(7)
    files = [make.case(owner=people.adviser, name=f"Projet {n}") for n in range(4)]
    for _ in range(60):
        case = dice.choice(files)
        try:
            _something(dice, case, people)
            session.commit()
        except RefusedError:
            session.rollback()
        assert queries.forgotten() == []
        earliest = session.scalar(
            select(func.min(FollowUp.due_on)).where(FollowUp.case_id == case.id, FollowUp.state == State.TODO)
        )
        assert case.next_step_on == earliest
    deactivate(people.adviser)
    session.flush()
    services.release_files(people.adviser, people.coordinator)
    reminders.adopt_from(people.adviser, people.coordinator)
    session.commit()
    assert queries.forgotten() == []
    victim = make.case(owner=people.other_adviser)
    session.execute(delete(FollowUp).where(FollowUp.case_id == victim.id))
    session.commit()
    assert [case.id for case in queries.forgotten()] == [victim.id]
    assert figure_of(Period.of(clock.today()), "no_next_step").part.value == 1, (
        "indicator 9 counts exactly the files where this fails"
    )
    assert reminders.repair_forgotten() == 1
    session.commit()
    assert queries.forgotten() == []


def _something(dice, case, people):
    steps = list(reminders.open_ones(case))
    match dice.randrange(8):
        case 0 | 1 if steps:
            reminders.complete(dice.choice(steps), case, people.adviser)
        case 2 if steps:
            reminders.cancel(dice.choice(steps), case, people.adviser)
        case 3:
            talk = book(
                case,
                adviser=people.adviser,
                starts_at=clock.now() + timedelta(hours=dice.randrange(1, 500)),
                minutes=30,
                mode=Mode.PHONE,
                actor=people.adviser,
            )
            settle(talk, case, TalkState.CANCELLED, people.adviser, "")
        case 4:
            services.assign(case, dice.choice([people.adviser, people.other_adviser]), people.coordinator)
        case _:
            services.advance(
                case,
                dice.choice(list(Stage)),
                people.coordinator,
                reason="parce que",
                return_on=clock.today() + timedelta(days=30),
                closing_reason=dice.choice(list(ClosingReason)),
                person_told="told",
                forced=dice.random() < 0.5,
            )


def test_2_a_request_sent_again_is_the_same_request(pages, session, people):
    first = asking.ask(pages, ANSWERS).headers["Location"]
    shown = pages.get(first).text
    for _ in range(3):
        assert pages.post(asking.CHECK["fr"]).headers["Location"] == first
    assert session.scalars(select(Case.reference)).one() in shown
    assert session.scalar(select(func.count(Message.id))) == 1, "one acknowledgement"


def test_3_nothing_leaves_without_a_permission_naming_that_body(session, people, make):
    referral = make.referral(sent=False)
    case, permission = referral.case, referral.permission
    permission.expires_on = clock.today() - timedelta(days=1)
    with pytest.raises(RefusedError):
        referrals.send(referral, case, people.adviser)
    session.rollback()
    make.body("cdrq")
    referrals.send(referral, case, people.adviser)
    session.commit()
    assert {item["field"] for item in referral.shared} == {"name", "email", "summary"}
    link = session.scalars(select(Link)).one()
    assert opened_by(token(link)) is not None
    case.contact.name = "Quelqu’un d’autre"
    session.commit()
    assert referral.shared[0]["fr"] == "Nadia Benali", "what left is frozen"
    referrals.withdraw_permission(permission, case, people.adviser)
    session.commit()
    assert opened_by(token(link)) is None
    other = make.body("esplanade")
    with pytest.raises(IntegrityError):
        session.execute(update(Referral).where(Referral.id == referral.id).values(body_id=other.id))
    session.rollback()
    with pytest.raises(IntegrityError):
        session.execute(update(Referral).where(Referral.id == referral.id).values(permission_id=None, status="sent"))


def test_4_the_fact_and_its_message_are_one_transaction(session, people, make, at_once):
    referral = make.referral(sent=False)
    make.body("cdrq")
    referrals.send(referral, referral.case, people.adviser)
    session.rollback()
    assert session.scalar(select(func.count(Message.id))) == 0
    assert referral.sent_at is None
    referrals.send(referral, referral.case, people.adviser)
    session.commit()
    message = session.scalars(select(Message)).one()
    assert "[link]" in message.body
    assert token(session.get_one(Link, message.link_id)) not in message.body, "no token at rest"
    referrals.withdraw(referral, referral.case, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    assert session.get_one(Message, message.id).status is Status.DROPPED, "no longer true: it does not leave"
    step = reminders.plan_by_hand(
        referral.case,
        title="Appeler",
        reason="parce que",
        due_on=clock.today(),
        owner=people.adviser,
        actor=people.adviser,
    )
    session.execute(update(FollowUp).values(due_on=clock.today() - timedelta(days=1)))
    session.commit()
    assert reminders.queue_due() > 0
    reminders.complete(step, referral.case, people.adviser)
    session.commit()
    send_due()
    session.expire_all()
    mails = session.scalars(select(Message).where(Message.kind == "reminders.due"))
    fate = {mail.subject_ids["follow_up"]: mail.status for mail in mails}
    assert fate.pop(step.id) is Status.DROPPED, "what was done meanwhile is not reminded of"
    assert set(fate.values()) == {Status.SENT}, "the others leave"


def test_5_opening_a_link_changes_nothing(app, session, pages, make):
    make.referral()
    address = f"/fr/mise-en-relation/{token(session.scalars(select(Link)).one())}"
    before = _everything(session)
    for _ in range(3):
        pages.get(address)
        pages.get(address.replace("/fr/mise-en-relation", "/en/referral"))
    assert pages._ask(pages.client.head, address, headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert _everything(session) == before


def _everything(session):
    session.rollback()
    return {
        table.name: session.execute(select(table).order_by(*table.primary_key.columns)).all()
        for table in Case.metadata.sorted_tables
        if table.name != "rate_count"
    }


def test_6_french_is_never_behind_english(tmp_path):
    folder = tmp_path / "feature"
    folder.mkdir()
    for wrong in ('a = ["", "English"]', 'a = ["Français"]', 'a = ["Bonjour {name}", "Hello"]'):
        (folder / "texts.toml").write_text(wrong, encoding="utf-8")
        with pytest.raises(texts.TextError):
            texts.load(tmp_path)
    for key, pair in texts.everything().items():
        assert set(pair) == {"fr", "en"}, key


def test_7_nobody_overwrites_somebody_silently_and_no_text_is_lost(session, people, make, signed_in, pages):
    case = make.case_at(Stage.DISCOVERY)
    one, two = signed_in(people.adviser), signed_in(people.other_adviser)
    form = {
        "version": "1",
        "name": "Outilthèque",
        "project_stage": "idea",
        "legal_form": "npo",
        "region": "06",
        "needs": ["form"],
    }
    address = f"/staff/cases/{case.reference}/assessment"
    one.post(address, form | {"summary": "Le texte d’Amélie"})
    two.post(address, form | {"summary": "Le texte de Sam"}, status=409)
    assert "Le texte d’Amélie" in two.last.text
    assert "Le texte de Sam" in two.last.text
    session.expire_all()
    assert case.project.summary == "Le texte d’Amélie"
    note = f"/staff/cases/{case.reference}/notes"
    one.token()
    one.post("/staff/sign-out")
    pages.get("/staff/sign-in")
    pages.post(note, {"body": "Écrit pendant que la session finissait"}, status=401)
    kept = {"email": people.adviser.email, "password": "a long password for tests", "to": note}
    kept["kept"] = html.unescape(re.search(r'name="kept" value="([^"]*)"', pages.last.text)[1])
    pages.post("/staff/sign-in", kept, status=200)
    assert "Écrit pendant que la session finissait" in pages.last.text


def test_8_history_is_append_only_and_its_detail_can_be_destroyed(session, people, make):
    case = make.case(owner=people.adviser)
    services.assign(case, people.other_adviser, people.coordinator)
    session.commit()
    for statement in (
        "UPDATE event SET kind = 'x'",
        "DELETE FROM event",
        "UPDATE event_detail SET event_id = event_id",
    ):
        with pytest.raises(DBAPIError, match="append-only"):
            session.execute(text(statement))
        session.rollback()
    event = session.scalars(select(Event).where(Event.kind == "case.assigned")).one()
    assert "Sam Wong" in tell(event.kind, event.codes, event.detail.values).sentence
    assert "Sam" not in str(event.codes), "an event holds codes only"
    session.execute(delete(EventDetail).where(EventDetail.event_id == event.id))
    assert "…" in tell(event.kind, event.codes, None).sentence


def test_9_the_committee_reads_frozen_aggregates_only(session, people, make, signed_in):
    period = Period.quarter(2026, 2)
    with time_machine.travel(datetime(2026, 5, 4, 14, tzinfo=UTC), tick=False):
        for n in range(7):
            make.case(owner=people.adviser, name=f"Projet {n}")
        for case in session.scalars(select(Case).limit(2)):
            services.advance(case, Stage.CONTACT, people.adviser)
        session.commit()
    with time_machine.travel(datetime(2026, 7, 20, 14, tzinfo=UTC), tick=False):
        published(period, people.coordinator, people.admin)
        session.commit()
        committee = signed_in(people.observer)
        page = committee.get("/staff/summaries/2026-q2").text
        # 5 new and 2 in first contact, of 7: hiding only the 2 would betray it.
        assert page.count("hidden</td>") == 2
        session.execute(update(StageSpell).values(stage="closed"))
        session.execute(update(Case).values(stage="closed"))
        session.commit()
        assert committee.get("/staff/summaries/2026-q2").text == page, "frozen when published"
        for case in session.scalars(select(Case)):
            committee.get(f"/staff/cases/{case.reference}", status=404)
        committee.get("/staff/cases", status=404)
        committee.get("/staff/summaries/2026-q3", status=404)


@pytest.mark.parametrize("hour, expected", [(11, 0), (12, 1)])
def test_10_times_are_utc_and_what_is_due_is_computed_from_rows(session, people, make, hour, expected):
    """8:00 in Montréal on a summer day is 12:00 UTC."""
    with time_machine.travel(datetime(2026, 6, 1, 14, tzinfo=UTC), tick=False):
        case = make.case(owner=people.adviser)
        session.execute(update(FollowUp).values(reminded_on=FollowUp.due_on))
        step = reminders.plan_by_hand(
            case,
            title="Appeler",
            reason="parce que",
            due_on=date(2026, 6, 24),
            owner=people.adviser,
            actor=people.adviser,
        )
        session.commit()
        assert step.due_on == date(2026, 6, 25), "June 24 is a holiday"
        assert is_business_day(step.due_on)
        with pytest.raises(Exception, match="zone"):
            session.execute(update(Case).values(received_at=datetime(2026, 6, 1)))  # noqa: DTZ001
        session.rollback()
    with time_machine.travel(datetime(2026, 6, 25, hour, 0, tzinfo=UTC), tick=False):
        assert reminders.queue_due() == expected
    stored = session.scalar(text("SELECT received_at FROM case_file"))
    assert "14:00" in str(stored)


def test_11_both_databases_give_the_same_answers(session, people, make):
    """Pages of the queue are the same as sorting in memory, on each database, with equal times and every filter."""
    dice = random.Random(3)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for n in range(23):
        make.case(
            owner=dice.choice([None, people.adviser, people.other_adviser]),
            received_at=start + timedelta(hours=dice.randrange(6)),
            name=f"Projet {n}",
        )
    every = list(session.scalars(select(Case)))
    for owner, keep in (((), lambda _c: True), (("me",), lambda c: c.owner_id == people.adviser.id), (("none",), lambda c: c.owner_id is None)):  # fmt: skip
        wanted = [c.id for c in sorted(every, key=lambda c: (c.received_at, c.id), reverse=True) if keep(c)]
        seen, after = [], ""
        while True:
            found = page_of(people.adviser, Filter(owners=owner), "new", after=after, limit=5)
            seen += [row.id for row in found.rows]
            after = found.after
            if not after:
                break
        assert seen == wanted


def test_12_who_may_see_a_row_is_a_filter_in_the_query(session, people, make, signed_in):
    case = make.case(owner=people.adviser, name="Projet canari")
    services.restrict(case, restricted=True, readers=[], actor=people.coordinator)
    session.commit()
    address = f"/staff/cases/{case.reference}"
    for person, sees in (
        (people.adviser, True),
        (people.coordinator, True),
        (people.other_adviser, False),
        (people.admin, False),
    ):
        browser = signed_in(person)
        listed = "Projet canari" in browser.get("/staff/cases?stage=all").text
        assert listed is sees, person.name
        assert queries.waiting_requests(person) == 0
        browser.get(address, status=200 if sees else 404)
        if not sees:
            unknown = words(browser.get("/staff/cases/PCC-2B2B-2B2B", status=404).text)
            assert words(browser.get(address, status=404).text) == unknown
            browser.post(f"{address}/notes", {"body": "canari"}, status=404)
            browser.get(f"{address}/refer", status=404)
    assert not db.session.scalar(select(func.count(Event.id)).where(Event.kind == "note.added"))
