"""The life of a referral, against the domain reference, section 14.3. The table was typed from the reference."""

import pytest

from crm.referrals import outcomes
from crm.referrals.outcomes import DeclineReason, Status

STATUSES = [
    "draft",
    "consent_pending",
    "ready",
    "sent",
    "info_asked",
    "accepted",
    "declined",
    "no_answer",
    "completed",
    "interrupted",
    "withdrawn",
    "self",
]
ALLOWED = {
    "draft": "consent_pending ready self withdrawn",
    "consent_pending": "ready self withdrawn",
    "ready": "sent withdrawn",
    "sent": "info_asked accepted declined no_answer withdrawn",
    "info_asked": "sent withdrawn",
    "accepted": "completed interrupted withdrawn",
    "declined": "",
    "no_answer": "accepted declined withdrawn",  # a body may still answer late
    "completed": "",
    "interrupted": "",
    "withdrawn": "",
    "self": "completed interrupted",
}


def test_the_statuses_are_those_of_the_reference():
    assert [status.value for status in Status] == STATUSES


@pytest.mark.parametrize("origin", STATUSES)
@pytest.mark.parametrize("to", STATUSES)
def test_a_referral_becomes_only_what_the_reference_lets_it(origin, to):
    assert outcomes.may_become(Status(origin), Status(to)) is (to in ALLOWED[origin].split())


def test_every_status_says_what_may_follow():
    assert set(outcomes.MOVES) == set(Status)


def test_nothing_is_sent_before_it_was_ready():
    before_sent = [status for status in Status if Status.SENT in outcomes.MOVES[status]]
    assert before_sent == [Status.READY, Status.INFO_ASKED]


@pytest.mark.parametrize("status", ["draft", "consent_pending", "ready", "sent", "info_asked", "accepted", "no_answer"])
def test_a_person_takes_a_referral_back_at_any_time_before_it_ends(status):
    assert outcomes.may_become(Status(status), Status.WITHDRAWN)


@pytest.mark.parametrize("status", ["declined", "completed", "interrupted", "withdrawn"])
def test_what_has_ended_stays_ended(status):
    assert not outcomes.MOVES[Status(status)]


def test_a_body_that_answered_cannot_answer_otherwise():
    assert not outcomes.may_become(Status.ACCEPTED, Status.DECLINED)
    assert not outcomes.may_become(Status.DECLINED, Status.ACCEPTED)


def test_a_body_reads_only_what_was_sent_and_not_taken_back():
    assert {"sent", "info_asked", "accepted", "declined", "no_answer"} == outcomes.READABLE


def test_a_file_does_not_close_over_a_referral_that_still_waits():
    assert {"draft", "consent_pending", "ready", "sent", "info_asked"} == outcomes.UNSETTLED


def test_only_what_shares_nothing_goes_without_a_permission():
    assert {"draft", "consent_pending", "self", "withdrawn", "completed", "interrupted"} == outcomes.WITHOUT_PERMISSION
    assert not outcomes.WITHOUT_PERMISSION & outcomes.READABLE


def test_a_sent_referral_or_a_self_referral_opens_the_stage_referred():
    assert {
        "sent", "info_asked", "accepted", "declined", "no_answer", "completed", "interrupted", "self",
    } == outcomes.REFERRED  # fmt: skip


def test_the_reasons_for_declining_are_those_of_the_reference():
    assert {reason.value for reason in DeclineReason} == {
        "area", "sector", "too_early", "too_advanced", "capacity", "legal_form", "other",
    }  # fmt: skip
