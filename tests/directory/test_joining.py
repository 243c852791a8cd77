"""Two entries of one body become one: nothing that hangs on either is lost, and no link that was dead comes to life."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from crm import clock
from crm.activities.models import Activity, Kind, Spoken
from crm.activities.services import Written, write_down
from crm.cases import services as cases
from crm.cases.vocabulary import Stage, Turn
from crm.directory import joining
from crm.directory.suggestions import suggest
from crm.errors import RefusedError
from crm.financing import services as financing
from crm.financing.rules import Status as Applied
from crm.financing.services import Facts
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.partners import queries
from crm.partners.models import Body, Terms
from crm.partners.services import add_person, leave, save_entry
from crm.partners.vocabulary import Instrument
from crm.permissions.models import Permission
from crm.referrals import answers
from crm.referrals.models import Referral
from crm.referrals.queries import opened_by, waiting_for
from crm.referrals.services import link_of_person
from crm.reminders.services import open_ones
from tests.support.pages import Pages, words

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def gone(make):
    return make.body("risq")


@pytest.fixture
def kept(make):
    return make.body("fondaction")


def token_to(session, referral) -> str:
    here = Link.object_id == referral.id, Link.purpose == Purpose.REFERRAL
    return links.token(session.scalars(select(Link).where(*here).order_by(Link.id.desc()).limit(1)).one())


def join(session, gone, kept, people):
    joining.join(gone, kept, people.coordinator)
    session.commit()
    session.expire_all()


def mails(session, kind) -> list[tuple[str, str]]:
    found = session.scalars(select(Message).where(Message.kind == f"referrals.{kind}").order_by(Message.id))
    return [(one.to_address, str(one.status)) for one in found]


def test_where_it_was_present_the_other_was_and_once(session, people, gone, kept):
    """Both entries at one activity are one body there."""
    for number, there in enumerate(([gone], [gone, kept], [kept])):
        written = Written(clock.today(), Kind.PANEL, Spoken.FR, [], 5, there, "", "", "")
        write_down(written, key=str(number), actor=people.adviser)
    session.commit()
    assert joining.what_moves(gone).activities == 2
    join(session, gone, kept, people)
    for activity in session.scalars(select(Activity)):
        assert activity.bodies == [kept]


def test_what_was_referred_there_is_at_the_other_and_who_receives_there_is_told(session, make, people, gone, kept):
    referral = make.referral(body=gone)
    send_due()
    token = token_to(session, referral)
    join(session, gone, kept, people)
    assert (referral.body_id, session.get_one(Permission, referral.permission_id).body_id) == (kept.id, kept.id)
    assert opened_by(token) is None, "a link is of who received it, and another receives here"
    send_due()
    session.expire_all()
    assert mails(session, "invitation")[1:] == [("jean@fondaction.example", MailStatus.SENT)]
    assert opened_by(token_to(session, referral)).id == referral.id
    assert [one.id for one in waiting_for(kept)[0]] == [referral.id]
    assert (gone.active, gone.joined_to_id) == (False, kept.id)
    answers.accept(referral, "")
    session.commit()
    assert ("answered", "Fondaction") in [(one.rule, one.reason) for one in open_ones(referral.case)]


def test_the_turn_and_the_steps_of_a_file_name_the_entry_that_stays(session, make, people, gone, kept):
    referral = make.referral(body=gone)
    case = referral.case
    cases.advance(case, Stage.REFERRED, people.adviser)
    make.referral(case, gone)
    facts = Facts(Instrument.LOAN, 1_000, date(2026, 12, 14))
    financing.add(case, gone, Applied.FILED, facts, people.adviser)
    session.commit()
    assert (case.turn, case.turn_body_id) == (Turn.BODY, gone.id)
    join(session, gone, kept, people)
    assert (case.turn, case.turn_body_id) == (Turn.BODY, kept.id)
    steps = {(one.rule, one.reason) for one in open_ones(case)}
    assert {("check_answer", "Fondaction"), ("check_decision", "Fondaction – Prêt")} <= steps
    answers.accept(referral, "")
    session.commit()
    assert "check_answer" not in {one.rule for one in open_ones(case) if one.reason == "Fondaction"}
    assert financing.of_case(case)[0].body_id == kept.id


def test_an_invitation_that_had_not_left_leaves_for_who_receives_there(session, make, people, gone, kept):
    make.referral(body=gone)
    join(session, gone, kept, people)
    send_due()
    send_due()
    session.expire_all()
    assert mails(session, "invitation") == [
        ("jean@risq.example", MailStatus.DROPPED),
        ("jean@fondaction.example", MailStatus.SENT),
    ]


def test_an_entry_without_anybody_takes_who_receives_and_what_waited(session, make, people, gone):
    kept = make.body("fondaction")
    referral = make.referral(body=gone)
    orphan = make.referral(make.case_at(Stage.PLANNING), kept)
    send_due()
    token = token_to(session, referral)
    leave(kept, kept.main, people.coordinator)
    session.commit()
    join(session, gone, kept, people)
    assert (kept.contact_email, gone.contact_email) == ("jean@risq.example", "")
    assert opened_by(token) is not None, "the link of who received there all along"
    send_due()
    session.expire_all()
    assert mails(session, "invitation")[2:] == [("jean@risq.example", MailStatus.SENT)]
    assert opened_by(token_to(session, orphan)).id == orphan.id


def test_people_are_there_once_and_the_link_of_each_goes_on_working(app, session, make, people, gone, kept):
    both = {"name": "Jean Roy", "email": "JEAN@risq.example", "language": "fr", "receives": False}
    here, there = add_person(kept, both, people.coordinator), gone.main
    other = add_person(gone, {"name": "Li", "email": "li@risq.example", "language": "en"}, people.coordinator)
    tokens = [links.token(link_of_person(one)) for one in (there, other)]
    make.referral(body=gone)
    join(session, gone, kept, people)
    assert [one.email for one in queries.people_of(kept)] == [
        "jean@fondaction.example",
        "JEAN@risq.example",
        "li@risq.example",
    ]
    assert (there.left_at is not None, here.receives) == (True, True)
    for token in tokens:
        pages = Pages(app)
        pages.post(f"/fr/organisme/{token}")
        assert "Fondaction" in words(pages.get("/fr/organisme").text)


def test_a_link_that_was_nobodys_any_more_stays_dead(session, make, people, gone, kept, moment):
    referral = make.referral(body=gone)
    send_due()
    token = token_to(session, referral)
    assert opened_by(token) is not None
    moment.shift(timedelta(hours=1))
    leave(gone, gone.main, people.coordinator)
    session.commit()
    assert opened_by(token) is None
    join(session, gone, kept, people)
    assert opened_by(token) is None


def test_what_a_deactivated_entry_had_closed_stays_closed(app, session, make, people, gone, kept, moment):
    referral = make.referral(body=gone)
    send_due()
    of_list, token = links.token(link_of_person(gone.main)), token_to(session, referral)
    gone.active = False
    session.commit()
    join(session, gone, kept, people)
    assert opened_by(token) is None
    Pages(app).post(f"/fr/organisme/{of_list}", status=404)


def test_who_leaves_after_the_join_reads_nothing_more(session, make, people, gone, kept):
    referral = make.referral(body=gone)
    send_due()
    token, person = token_to(session, referral), gone.main
    join(session, gone, kept, people)
    leave(kept, person, people.coordinator)
    session.commit()
    assert opened_by(token) is None


def test_what_nobody_received_any_more_leaves_for_who_receives_there(session, make, people, gone, kept):
    referral = make.referral(body=gone)
    send_due()
    leave(gone, gone.main, people.coordinator)
    session.commit()
    join(session, gone, kept, people)
    send_due()
    session.expire_all()
    assert opened_by(token_to(session, referral)).id == referral.id


def test_an_entry_that_was_joined_is_not_brought_back(session, people, gone, kept):
    join(session, gone, kept, people)
    assert save_entry(gone, gone.version, people.coordinator, active=True)
    assert not gone.active


def test_programmes_and_local_offices_go_along_and_the_old_entry_leads_on(session, make, people, signed_in):
    gone, kept = queries.by_code("pme-mtl"), queries.by_code("fondaction")
    programmes, offices = {one.code for one in queries.programmes_of(gone)}, len(queries.doors_of(gone))
    assert programmes
    assert offices == 6
    case = make.case_at(Stage.PLANNING)
    join(session, gone, kept, people)
    assert programmes <= {one.code for one in queries.programmes_of(kept)}
    assert len(queries.doors_of(kept)) == 6
    assert programmes <= {one.programme.code for one in suggest(case)}
    page = words(signed_in(people.adviser).get("/staff/partners/pme-mtl").text)
    assert "Cette fiche a été fusionnée avec une autre, qui a tout repris : Fondaction" in page


def test_what_the_rules_ask_names_the_entry_that_stays_from_today_on(session, make, people, kept):
    gone = queries.by_code("cdrq")
    rule = queries.rule_by_code("financing-after-support")
    before = queries.terms_of(rule)[0].asked["support"]
    assert "cdrq" in before
    join(session, gone, kept, people)
    newest, *earlier = queries.terms_of(rule)
    assert newest.since == clock.today()
    assert set(newest.asked["support"]) == {*before, "fondaction"} - {"cdrq"}
    assert [one.asked["support"] for one in earlier] == [before], "what was in force stays to be read"
    assert session.scalar(select(func.count()).select_from(Terms).where(Terms.rule_id == rule.id)) == 2


def test_a_project_that_the_gone_one_supports_is_supported(session, make, people, kept):
    gone = queries.by_code("cdrq")
    wholes = queries.wholes(queries.everyone())
    assert "cdrq" not in wholes
    join(session, gone, kept, people)
    assert queries.wholes(queries.everyone())["cdrq"] == "fondaction"


def test_a_list_that_names_the_gone_one_finds_its_files(session, make, people, signed_in, gone, kept):
    case = make.referral(body=gone).case
    join(session, gone, kept, people)
    for code in ("risq", "fondaction"):
        assert case.reference in signed_in(people.adviser).get(f"/staff/cases?body={code}").text
    assert case.reference not in signed_in(people.adviser).get("/staff/cases?body=cdrq").text


def test_it_is_done_once_and_only_with_one_that_may_take_its_place(session, people, gone, kept):
    door, whole = queries.by_code("pme-mtl-centre-est"), queries.by_code("pme-mtl")
    for one, other in ((door, whole), (whole, door), (gone, gone)):
        with pytest.raises(RefusedError):
            joining.join(one, other, people.coordinator)
    kept.active = False
    session.commit()
    with pytest.raises(RefusedError):
        joining.join(gone, kept, people.coordinator)
    session.rollback()
    kept.active = True
    session.commit()
    join(session, gone, kept, people)
    with pytest.raises(RefusedError, match="déjà fusionnée"):
        joining.join(gone, queries.by_code("cdrq"), people.coordinator)


def test_a_coordinator_sees_what_goes_before_it_goes(session, make, people, signed_in, gone, kept):
    make.referral(body=gone)
    browser = signed_in(people.coordinator)
    assert "Fusionner avec une autre fiche du même organisme" in words(browser.get("/staff/partners/risq/edit").text)
    version = str(gone.version)
    session.commit()
    assert browser.post("/staff/partners/risq/join", {"version": version}, status=422)
    shown = words(
        browser.post("/staff/partners/risq/join", {"version": version, "into": "fondaction"}, status=200).text
    )
    assert "1 dossier mis en relation avec l’organisme" in shown
    assert "Chaque nouvelle mise en relation sera envoyée à Jean Roy" in shown
    stale = {"version": str(int(version) - 1), "into": "fondaction", "seen": "1"}
    assert "Passeront de la fiche" in words(browser.post("/staff/partners/risq/join", stale, status=200).text)
    session.expire_all()
    assert queries.by_code("risq").active
    session.commit()
    browser.post("/staff/partners/risq/join", stale | {"version": version}, status=303)
    session.expire_all()
    assert queries.by_code("risq").joined_to_id == kept.id
    assert session.scalar(select(func.count()).where(Referral.body_id == gone.id)) == 0
    refused = signed_in(people.adviser)
    assert refused.post("/staff/partners/fondaction/join", {"into": "cdrq"}, status=404)
    assert session.scalar(select(Body.active).where(Body.code == "fondaction"))
