"""The life of a referral, against the domain reference, section 14.3. The table was typed from the reference, with what a body corrects."""

from datetime import UTC, datetime, timedelta

import pytest

from crm.referrals import outcomes
from crm.referrals.outcomes import Action, Actor, DeclineReason, Status
from tests.support.printed import kept

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
    "info_asked": "sent accepted declined withdrawn",  # a body that got its answer by telephone answers
    "accepted": "completed interrupted withdrawn sent",  # the last of each line where it is "sent" or "accepted": a correction
    "declined": "sent",
    "no_answer": "info_asked accepted declined withdrawn",  # a body may still answer late
    "completed": "accepted",
    "interrupted": "accepted",
    "withdrawn": "",
    "self": "completed interrupted",
}
NOW = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_the_statuses_are_those_of_the_reference():
    assert [status.value for status in Status] == STATUSES


@pytest.mark.parametrize("origin", STATUSES)
@pytest.mark.parametrize("to", STATUSES)
def test_a_referral_becomes_only_what_the_reference_lets_it(origin, to):
    assert outcomes.may_become(Status(origin), Status(to)) is (to in ALLOWED[origin].split())


def test_every_status_under_every_action_of_every_actor_is_as_printed():
    """Every cell; an empty one is refused with its reason."""
    lines = ["# Referrals: what each may do, and what becomes of it", ""]
    lines += [
        "Printed by `tests/referrals/test_outcomes.py` from the table that the product obeys. An empty cell is refused.",
        "",
    ]
    for actor in Actor:
        doing = [action for action in Action if actor in outcomes.TABLE[action]]
        lines += [f"## {actor}", "", f"| | {' | '.join(doing)} |", f"|---|{'---|' * len(doing)}"]
        for status in Status:
            cells = [outcomes.after(status, action, actor) or "" for action in doing]
            lines.append(f"| {status} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "## What others call a status (FHIR Task of Gravity SDOH Clinical Care)",
        "",
        "| status | code |",
        "|---|---|",
    ]
    lines += [f"| {status} | {outcomes.FHIR[status]} |" for status in Status]
    kept("docs/referrals.md", "\n".join(lines) + "\n")


def test_only_the_person_and_who_writes_down_their_words_give_a_permission():
    for action in (Action.ALLOW, Action.REFUSE, Action.GO_ALONE):
        assert set(outcomes.TABLE[action]) == {Actor.PERSON, Actor.STAFF}


def test_a_body_does_nothing_before_it_was_written_to():
    before = (Status.DRAFT, Status.CONSENT_PENDING, Status.READY, Status.SELF, Status.WITHDRAWN)
    for status in before:
        for action in Action:
            assert outcomes.after(status, action, Actor.BODY) is None


def test_nothing_is_sent_before_it_was_ready():
    before_sent = [status for status in Status if outcomes.may_become(status, Status.SENT)]
    assert before_sent == [Status.READY, Status.INFO_ASKED, Status.ACCEPTED, Status.DECLINED]
    assert [one for one in Status if any(outcomes.after(one, Action.SEND, actor) for actor in Actor)] == [Status.READY]


@pytest.mark.parametrize("actor", [Actor.STAFF, Actor.PERSON])
@pytest.mark.parametrize("status", ["draft", "consent_pending", "ready", "sent", "info_asked", "accepted", "no_answer"])
def test_a_referral_is_taken_back_at_any_time_before_it_ends(status, actor):
    assert outcomes.after(Status(status), Action.WITHDRAW, actor) is Status.WITHDRAWN


@pytest.mark.parametrize("status", ["declined", "completed", "interrupted", "withdrawn"])
def test_what_has_ended_stays_ended_but_for_a_correction(status):
    moves = {
        action for action in Action for actor in Actor if outcomes.after(Status(status), action, actor) is not None
    }
    assert moves <= {Action.CORRECT}


@pytest.mark.parametrize(
    ("status", "age", "sent", "may"),
    [
        ("accepted", timedelta(0), True, True),
        ("accepted", timedelta(days=7), True, True),
        ("accepted", timedelta(days=7, microseconds=1), True, False),
        ("declined", timedelta(days=6), True, True),
        ("completed", timedelta(days=6), True, True),
        ("interrupted", timedelta(days=6), True, True),
        ("completed", timedelta(days=6), False, False),  # what the person did by themselves
        ("sent", timedelta(0), True, False),
        ("no_answer", timedelta(0), True, False),
        ("withdrawn", timedelta(0), True, False),
    ],
)
def test_a_wrong_answer_is_corrected_within_seven_days(status, age, sent, may):
    assert outcomes.may_correct(Status(status), NOW - age, NOW, sent=sent) is may


def test_what_was_never_answered_is_not_corrected():
    assert outcomes.may_correct(Status.ACCEPTED, None, NOW, sent=True) is False


def test_a_body_reads_only_what_was_sent_and_not_taken_back():
    read = {"sent", "info_asked", "accepted", "declined", "no_answer", "completed", "interrupted"}
    assert read == outcomes.READABLE
    assert {"declined", "completed", "interrupted"} == outcomes.RECEIPTS


def test_a_file_does_not_close_over_a_referral_that_still_waits():
    assert {"draft", "consent_pending", "ready", "sent", "info_asked"} == outcomes.UNSETTLED


def test_only_what_shares_nothing_goes_without_a_permission():
    assert {"draft", "consent_pending", "self", "withdrawn", "completed", "interrupted"} == outcomes.WITHOUT_PERMISSION


def test_a_sent_referral_or_a_self_referral_opens_the_stage_referred():
    assert {
        "sent", "info_asked", "accepted", "declined", "no_answer", "completed", "interrupted", "self",
    } == outcomes.REFERRED  # fmt: skip


def test_the_reasons_for_declining_are_those_of_the_reference():
    assert {reason.value for reason in DeclineReason} == {
        "area", "sector", "too_early", "too_advanced", "capacity", "legal_form", "other",
    }  # fmt: skip


def test_every_status_has_a_code_of_the_ten_that_are_exchanged():
    ten = [
        "draft",
        "requested",
        "accepted",
        "rejected",
        "cancelled",
        "in-progress",
        "on-hold",
        "failed",
        "completed",
        "entered-in-error",
    ]
    assert set(outcomes.FHIR) == set(Status)
    assert set(outcomes.FHIR.values()) <= set(ten)
