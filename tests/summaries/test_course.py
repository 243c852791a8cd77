"""How files go, for the team: by hand on rows, and from the database, each number with its files."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import update

from crm.cases.models import CaseNeed, Project, StageSpell
from crm.cases.vocabulary import NeedState, Stage
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.referrals.outcomes import DeclineReason
from crm.summaries.course import Asked, Course, Lacked, Reached, Rows, Spell, course_of, files_of
from crm.summaries.course_rows import rows_of
from crm.summaries.periods import Period
from tests.support.pages import words

Q4 = Period.read("2026-q4")
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
PAGE = "/staff/summaries/2026-q4/course"


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 10, day, hour, tzinfo=UTC)


def test_times_are_medians_of_calendar_days_to_the_half():
    found = course_of(
        Rows(
            stages=[Spell(1, "new", at(1), at(3)), Spell(2, "new", at(1), at(6)), Spell(3, "new", at(2), at(5, 22))],
            hands=[Spell(1, "body", at(1), at(1, 20)), Spell(1, "team", at(2), at(2))],
        )
    )
    assert {stage: one.value for stage, one in found.stages.items()} == {"new": 3.5}
    assert {turn: one.value for turn, one in found.hands.items()} == {"body": 0.5, "team": 0}
    assert files_of(found, "stages", "new") == (1, 2, 3)


def test_each_step_of_a_cohort_is_counted_by_itself():
    cohort = [Reached(1, True, True, True, True), Reached(2, True), Reached(3), Reached(4, launched=True)]
    found = course_of(Rows(cohort=cohort))
    assert {step: one.files for step, one in found.cohort.items()} == {
        "received": (1, 2, 3, 4), "referred": (1, 2), "supported": (1,), "financed": (1,), "launched": (1, 4),
    }  # fmt: skip


def test_what_each_body_answers_and_how_soon():
    asked = [
        Asked(1, "cdrq", at(5), "accepted", at(7)), Asked(2, "cdrq", at(5), "declined", at(13)), Asked(3, "cdrq", at(5)),
        Asked(4, "evol", at(5), "accepted", at(5)),
    ]  # fmt: skip
    found = course_of(Rows(asked=asked))
    cdrq = found.bodies["cdrq"]
    assert list(found.bodies) == ["cdrq", "evol"]
    assert (cdrq.sent.value, cdrq.accepted.value, cdrq.declined.value, cdrq.silent.value) == (3, 1, 1, 1)
    assert cdrq.waits.value == 3.5  # two business days, and five: Thanksgiving is none
    assert found.all_bodies.value == 2
    assert files_of(found, "sent", "cdrq") == (1, 2, 3)
    assert [files_of(found, answer, "cdrq") for answer in ("accepted", "declined", "silent")] == [(1,), (2,), (3,)]


def test_a_number_that_is_none_has_no_files():
    found = course_of(Rows(lacked=[Lacked(1, "plan"), Lacked(2, "plan"), Lacked(2, "legal")]))
    assert {need: one.files for need, one in found.lacked.items()} == {"plan": (1, 2), "legal": (2,)}
    for figure, part in (
        ("stages", "new"),
        ("sent", "x"),
        ("accepted", "x"),
        ("lacked", "tech"),
        ("nothing", "x"),
        ("all_bodies", ""),
    ):
        assert files_of(found, figure, part) is None
    assert course_of(Rows()).all_bodies.value is None


@pytest.fixture
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


def now(session) -> Course:
    session.commit()
    session.expire_all()
    return course_of(rows_of(Q4))


def test_from_the_database(session, moment, make, people):
    """One file that a body took on and that was launched, one that a body refused, one that nobody wrote to."""
    taken, refused, alone = make.referral(), make.referral(), make.case()
    before = [taken.case_id, refused.case_id, alone.id]
    moment.shift(timedelta(days=2))
    answers.accept(taken, "Oui", staff=people.adviser)
    answers.decline(refused, DeclineReason.AREA, "Non", staff=people.adviser)
    session.execute(update(Project).where(Project.id == taken.case.project_id).values(launched_on=date(2026, 11, 20)))
    session.execute(update(CaseNeed).values(state=NeedState.OPEN))
    found = now(session)
    assert {step: set(one.files) for step, one in found.cohort.items()} == {
        "received": set(before),
        "referred": {taken.case_id, refused.case_id},
        "supported": {taken.case_id},
        "financed": set(),
        "launched": {taken.case_id},
    }
    (body,) = found.bodies.values()
    assert (body.sent.value, body.accepted.value, body.declined.value, body.waits.value) == (2, 1, 1, 2)
    needs = set(session.query(CaseNeed.need).filter(CaseNeed.case_id == refused.case_id))
    assert {need for need, one in found.lacked.items() if one.files == (refused.case_id,)} == {
        n.value for (n,) in needs
    }
    assert found.hands["body"].value == 2
    spells = session.query(StageSpell).filter(StageSpell.left_at.is_not(None), StageSpell.stage != Stage.CLOSED).count()
    assert sum(len(one.files) for one in found.stages.values()) == spells > 0


def test_what_was_taken_back_was_not_asked_and_what_lapsed_had_no_answer(session, moment, make, people):
    taken_back, lapsed = make.referral(), make.referral()
    referrals.withdraw(taken_back, taken_back.case, people.adviser)
    referrals.expire(lapsed, lapsed.case)
    (body,) = now(session).bodies.values()
    assert (body.sent.files, body.silent.files) == ((lapsed.case_id,), (lapsed.case_id,))


def test_every_number_of_the_page_leads_to_its_files(session, moment, make, people, signed_in):
    refused = make.referral()
    answers.decline(refused, DeclineReason.AREA, "Non", staff=people.adviser)
    session.commit()
    browser = signed_in(people.adviser)
    page = browser.get(PAGE).text
    for said in ("Le parcours des dossiers", "Temps passé à chaque étape", "Réponses des organismes"):
        assert said in words(page)
    assert "1 en tout, dans 1 dossier" in words(browser.get(f"{PAGE}/received").text)
    body = refused.body.code
    assert refused.case.reference in words(browser.get(f"{PAGE}/{body}?of=declined").text)
    for wrong in ("nothing", "x?of=nothing", "received?of=stages", "nobody?of=sent"):
        browser.get(f"{PAGE}/{wrong}", 404)
    signed_in(people.observer).get(PAGE, 404)
    browser.get("/staff/summaries/2027-q4/course", 404)
