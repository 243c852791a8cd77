"""Which moves exist and what each asks for, against the domain reference, sections 14.1, 14.2 and 14.5.

The table below was typed from the reference, not from the code: it is the second opinion.
"""

from datetime import date, timedelta

import pytest

from crm.cases import pipeline
from crm.cases.pipeline import Move, Refusal
from crm.cases.vocabulary import ClosingReason, Stage

STAGES = [
    "new",
    "contact",
    "discovery",
    "planning",
    "referred",
    "assistance",
    "financing",
    "launched",
    "paused",
    "closed",
]
ALLOWED = {
    "new": "contact closed",
    "contact": "discovery paused closed",
    "discovery": "planning paused closed",
    "planning": "referred assistance financing discovery paused closed",
    "referred": "assistance financing planning paused closed",
    "assistance": "financing launched planning paused closed",
    "financing": "assistance launched planning paused closed",
    "launched": "assistance financing closed",
    "paused": "closed",  # and the stage it came from
    "closed": "discovery",
}
PAIRS = [(origin, to) for origin in STAGES for to in STAGES]
MAY_PAUSE = ["contact", "discovery", "planning", "referred", "assistance", "financing"]
GOING_BACK = [
    ("planning", "discovery"),
    ("referred", "planning"),
    ("assistance", "planning"),
    ("financing", "planning"),
    ("financing", "assistance"),
    ("launched", "assistance"),
    ("launched", "financing"),
    ("closed", "discovery"),
]
SUCCESS = ["launched_ok", "partner_ok", "answered"]
NEUTRAL = ["other_model", "abandoned", "suspended", "no_answer", "out_scope", "out_area", "withdrawn", "consent"]
EXCLUDED = ["duplicate", "spam", "error"]
FOR_A_NEW_REQUEST = {"spam", "duplicate", "error", "out_scope", "out_area", "withdrawn"}
NOBODY_TO_TELL = {"spam", "error", "no_answer", "duplicate"}
TODAY = date(2026, 11, 23)


def move(origin: str, to: str, **facts) -> Move:
    """A move with everything that any move could ask for."""
    filled = {
        "reason": "Un motif",
        "return_on": TODAY + timedelta(days=30),
        "closing_reason": ClosingReason.SPAM,
        "person_told": "told",
        "today": TODAY,
    }
    return Move(origin=Stage(origin), to=Stage(to), **(filled | facts))


def refused(origin: str, to: str, **facts) -> list[str]:
    return [refusal.key for refusal in pipeline.refusals(move(origin, to, **facts))]


def test_the_stages_are_those_of_the_reference_in_their_order():
    assert [stage.value for stage in Stage] == STAGES


@pytest.mark.parametrize(("origin", "to"), PAIRS)
def test_a_file_goes_where_the_reference_lets_it_and_nowhere_else(origin, to):
    expected = to in ALLOWED[origin].split()
    assert (Stage(to) in pipeline.allowed(Stage(origin))) is expected
    if not expected:
        assert refused(origin, to) == ["not_allowed"]
    else:
        assert refused(origin, to) == []


@pytest.mark.parametrize("origin", STAGES)
def test_what_is_allowed_comes_in_the_order_of_the_pipeline(origin):
    assert pipeline.allowed(Stage(origin)) == [stage for stage in STAGES if stage in ALLOWED[origin].split()]


@pytest.mark.parametrize("came_from", MAY_PAUSE)
@pytest.mark.parametrize("to", STAGES)
def test_a_paused_file_goes_back_only_where_it_came_from_or_closes(came_from, to):
    found = refused("paused", to, paused_from=Stage(came_from))
    assert found == ([] if to in {came_from, "closed"} else ["not_allowed"])


@pytest.mark.parametrize("came_from", MAY_PAUSE)
def test_a_file_is_taken_up_again_without_having_to_say_why(came_from):
    assert refused("paused", came_from, paused_from=Stage(came_from), reason="") == []
    assert Stage(came_from) in pipeline.allowed(Stage.PAUSED, Stage(came_from))


@pytest.mark.parametrize("origin", [stage for stage in STAGES if stage != "paused"])
def test_where_a_file_was_paused_once_opens_no_door_later(origin):
    assert pipeline.allowed(Stage(origin), Stage.PLANNING) == pipeline.allowed(Stage(origin))


@pytest.mark.parametrize(("origin", "to"), GOING_BACK)
def test_going_back_asks_why(origin, to):
    assert refused(origin, to, reason="") == ["needs_reason"]
    assert refused(origin, to, reason="Le groupe a changé d’idée") == []


@pytest.mark.parametrize(
    ("origin", "to"),
    [
        (origin, to)
        for origin, to in PAIRS
        if to in ALLOWED[origin].split() and (origin, to) not in GOING_BACK and to not in {"paused", "closed"}
    ],
)
def test_going_forward_asks_nothing(origin, to):
    found = refused(origin, to, reason="", return_on=None, closing_reason=None, person_told="")
    assert found == []


@pytest.mark.parametrize(
    ("facts", "accepted"),
    [
        ({"return_on": TODAY + timedelta(days=1)}, True),
        ({"return_on": TODAY + timedelta(days=183)}, True),
        ({"return_on": TODAY + timedelta(days=184)}, False),
        ({"return_on": TODAY}, False),
        ({"return_on": TODAY - timedelta(days=1)}, False),
        ({"return_on": None}, False),
        ({"reason": ""}, False),
    ],
)
def test_a_pause_has_a_reason_and_a_return_within_six_months(facts, accepted):
    assert refused("discovery", "paused", **facts) == ([] if accepted else ["needs_pause"])


def test_the_closing_reasons_are_those_of_the_reference():
    assert {reason.value for reason in ClosingReason} == {*SUCCESS, *NEUTRAL, *EXCLUDED}


@pytest.mark.parametrize("origin", [stage for stage in STAGES if "closed" in ALLOWED[stage].split()])
def test_closing_asks_for_a_reason_and_a_note(origin):
    assert refused(origin, "closed", closing_reason=None) == ["needs_closing"]
    assert refused(origin, "closed", reason="") == ["needs_closing"]


@pytest.mark.parametrize("reason", list(ClosingReason))
def test_a_new_request_closes_only_for_what_can_be_seen_at_once(reason):
    found = refused("new", "closed", closing_reason=reason)
    assert found == ([] if reason in FOR_A_NEW_REQUEST else ["closing_reason_not_for_new"])


@pytest.mark.parametrize("reason", list(ClosingReason))
def test_a_file_does_not_close_behind_the_person_s_back(reason):
    found = refused("discovery", "closed", closing_reason=reason, person_told="")
    assert found == ([] if reason in NOBODY_TO_TELL else ["needs_told"])


@pytest.mark.parametrize("reason", list(ClosingReason))
def test_only_unwanted_mistaken_and_merged_files_are_left_out_of_the_figures(reason):
    assert (reason in pipeline.NEVER_COUNTED) is (reason in EXCLUDED)


@pytest.mark.parametrize("reason", list(ClosingReason))
def test_withdrawal_spam_and_merging_are_never_blocked_by_what_is_still_open(reason):
    assert (reason in pipeline.SETTLING) is (reason in {"withdrawn", "spam", "duplicate", "error"})


@pytest.mark.parametrize(("origin", "to"), [pair for pair in PAIRS if pair[0] != pair[1]])
def test_a_coordinator_forces_any_move_but_says_why(origin, to):
    assert refused(origin, to, forced=True) == []
    assert refused(origin, to, forced=True, reason="") == ["needs_reason"]


def test_even_forced_a_closed_file_has_a_closing_reason():
    assert refused("referred", "closed", forced=True, closing_reason=None) == ["needs_closing"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_is_not_forced_to_where_it_is(stage):
    assert refused(stage, stage, forced=True) == ["not_allowed"]


def test_a_refusal_names_both_stages_so_that_it_can_be_told_in_both_languages():
    assert pipeline.refusals(move("new", "planning")) == [
        Refusal("not_allowed", {"from": "cases.stage.new", "to": "cases.stage.planning"})
    ]


COMPLETE = {"project_stage": "idea", "legal_form": "coop", "region": "06", "needs": 1, "summary": "Un résumé"}


def test_a_complete_needs_assessment_lacks_nothing():
    assert pipeline.missing_for_planning(**COMPLETE) == []


@pytest.mark.parametrize("name", COMPLETE)
def test_a_needs_assessment_says_what_it_lacks(name):
    nothing = 0 if name == "needs" else ""
    assert pipeline.missing_for_planning(**(COMPLETE | {name: nothing})) == [name]


def test_an_empty_needs_assessment_lacks_everything_in_the_order_of_the_page():
    nothing = {"project_stage": None, "legal_form": None, "region": None, "needs": 0, "summary": ""}
    assert pipeline.missing_for_planning(**nothing) == list(COMPLETE)
