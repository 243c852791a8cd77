"""What the committee may read: small counts hidden, with what would betray them. Domain reference, section 17.3."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm.cases.vocabulary import Stage
from crm.summaries import suppression
from crm.summaries.suppression import Figures, count, middle, part, rate, released, row

HIDDEN, EMPTY = {"hidden": True}, {"empty": True}
STAGES = [stage.value for stage in Stage if stage is not Stage.CLOSED]


def value(number: float) -> dict[str, float]:
    return {"value": number}


def figures(**changes) -> Figures:
    stages = changes.pop("stages", dict.fromkeys(STAGES, 0))
    followed = sum(number for stage, number in stages.items() if stage != "paused")
    facts = {
        "received": 0,
        "stages": stages,
        "sent": 0,
        "cohort": 0,
        "cohort_accepted": 0,
        "replies": 0,
        "median_reply": None,
        "followed": followed,
        "no_next_step": 0,
    }
    return Figures(**(facts | changes))


def test_the_threshold_never_falls_below_five():
    assert suppression.K >= 5


@pytest.mark.parametrize(
    ("number", "shown"), [(0, value(0)), (1, HIDDEN), (4, HIDDEN), (5, value(5)), (6, value(6)), (100, value(100))]
)
def test_a_count_from_one_to_four_is_hidden(number, shown):
    assert count(number) == shown


@pytest.mark.parametrize(
    ("accepted", "of", "shown"),
    [
        (0, 0, EMPTY),  # never 0 % of nothing
        (5, 9, HIDDEN),  # fewer than ten
        (5, 10, value(50)),
        (4, 20, HIDDEN),
        (16, 20, HIDDEN),  # four were not accepted
        (15, 20, value(75)),
        (0, 10, value(0)),
        (10, 10, value(100)),
        (1, 10, HIDDEN),
        (9, 10, HIDDEN),
        (10, 30, value(33)),
        (20, 30, value(67)),
        (0, 9, HIDDEN),
    ],
)
def test_a_rate_that_rests_on_few_is_hidden(accepted, of, shown):
    assert rate(accepted, of) == shown


@pytest.mark.parametrize(
    ("median", "of", "shown"),
    [(None, 0, EMPTY), (2.5, 1, HIDDEN), (2.5, 4, HIDDEN), (2.5, 5, value(2.5)), (0, 5, value(0))],
)
def test_a_median_of_fewer_than_five_is_hidden(median, of, shown):
    assert middle(median, of) == shown


@pytest.mark.parametrize(
    ("number", "of", "shown"),
    [
        (0, 0, value(0)),
        (0, 40, value(0)),
        (4, 40, HIDDEN),
        (5, 40, value(5)),
        (36, 40, HIDDEN),  # the other four
        (35, 40, value(35)),
        (40, 40, value(40)),
        (0, 3, HIDDEN),  # the rest is small
    ],
)
def test_a_part_is_hidden_with_a_small_rest(number, of, shown):
    assert part(number, of) == shown


# Cells, and the names of those that are hidden.
@pytest.mark.parametrize(
    ("cells", "hidden"),
    [
        ({"a": 0, "b": 0}, ""),
        ({"a": 5, "b": 9}, ""),
        ({"a": 3, "b": 9, "c": 20}, "ab"),  # alone it would be the total less the others: the next smallest goes too
        ({"a": 3, "b": 9, "c": 7}, "ac"),
        ({"a": 3, "b": 4, "c": 20}, "ab"),  # together seven: enough
        ({"a": 1, "b": 1, "c": 20, "d": 6}, "abd"),  # together two: the total would still say "small"
        ({"a": 1, "b": 3, "c": 20, "d": 6}, "abd"),
        ({"a": 3, "b": 0, "c": 9}, "ac"),  # a zero hides nothing
        ({"a": 3, "b": 0}, "a"),  # the total is small as well, and hidden by itself
        ({"a": 3, "b": 8, "c": 8}, "ab"),  # the same size: the first by name, so that a release is always the same
        ({"a": 1, "b": 2, "c": 1, "d": 4}, "abcd"),
    ],
)
def test_a_small_cell_takes_along_what_would_betray_it(cells, hidden):
    found = row(cells)
    assert "".join(sorted(name for name, shown in found.items() if shown == HIDDEN)) == hidden
    assert {name: shown["value"] for name, shown in found.items() if shown != HIDDEN} == {
        name: number for name, number in cells.items() if name not in hidden
    }


def test_cells_keep_the_order_of_the_pipeline():
    assert list(row(dict.fromkeys(STAGES, 3))) == STAGES


def test_a_release_worked_out_by_hand():
    stages = dict(zip(STAGES, (7, 12, 3, 9, 0, 0, 0, 0, 6), strict=True))
    shown = released(
        figures(received=41, stages=stages, sent=4, cohort=20, cohort_accepted=12, replies=38, median_reply=1.5)
    )
    hidden = {name for name, cell in shown["stages"].items() if cell == HIDDEN}
    assert hidden == {"discovery", "paused"}
    assert shown["received"] == value(41)
    assert shown["active"] == value(37)
    assert shown["sent"] == HIDDEN
    assert shown["acceptance"] == value(60)
    assert shown["median_reply"] == value(1.5)
    assert shown["no_next_step"] == value(0)


def test_the_release_of_an_empty_quarter_says_so():
    shown = released(figures())
    assert shown["received"] == shown["active"] == shown["sent"] == shown["no_next_step"] == value(0)
    assert shown["acceptance"] == shown["median_reply"] == EMPTY


CELLS = st.fixed_dictionaries(dict.fromkeys(STAGES, st.integers(0, 12) | st.integers(0, 300)))


@given(CELLS)
def test_no_small_count_is_ever_released(stages):
    shown = released(figures(stages=stages, received=sum(stages.values())))
    released_counts = [*shown["stages"].values(), shown["active"], shown["received"], shown["no_next_step"]]
    assert not [cell for cell in released_counts if 0 < cell.get("value", 0) < suppression.K]


@given(CELLS)
def test_what_is_shown_is_true(stages):
    shown = released(figures(stages=stages))
    assert all(cell.get("value", stages[name]) == stages[name] for name, cell in shown["stages"].items())
    assert shown["active"].get("value", sum(stages.values())) == sum(stages.values())


@given(CELLS)
def test_no_hidden_cell_is_the_total_less_the_others(stages):
    shown = released(figures(stages=stages))
    hidden = [name for name, cell in shown["stages"].items() if cell == HIDDEN]
    if not hidden or shown["active"] == HIDDEN:
        return
    rest = shown["active"]["value"] - sum(cell.get("value", 0) for cell in shown["stages"].values())
    assert len(hidden) >= 2
    assert rest >= suppression.K
    assert rest == sum(stages[name] for name in hidden)


@given(CELLS)
def test_nothing_more_is_hidden_than_the_rules_ask(stages):
    shown = row(stages)
    hidden = sorted(stages[name] for name, cell in shown.items() if cell == HIDDEN)
    if not any(0 < number < suppression.K for number in stages.values()):
        assert not hidden
    elif len(hidden) > 2 and hidden[-1] >= suppression.K:
        assert sum(hidden[:-1]) < suppression.K  # without the last one the total would have betrayed them
    ones = [number for number in hidden if number]
    assert 0 not in hidden or ones == [1] * len(ones), (
        "zeros are hidden only where the total would tell that all are ones"
    )


def known_from(shown: dict, total: int | None) -> dict[str, set[int]]:
    """What somebody with a pencil knows of each hidden cell: together they make what is missing, and none is zero as long
    as a zero is shown elsewhere."""
    hidden = [name for name, cell in shown.items() if cell == HIDDEN]
    low = 1 if any(cell.get("value") == 0 for cell in shown.values()) else 0
    if total is None and len(hidden) >= suppression.K:
        return {name: set(range(low, suppression.K)) for name in hidden}
    if total is None:
        # The total is one to four: so is each cell, and there are as many cells as there are.
        return {name: set(range(1, suppression.K - len(hidden) + 1)) for name in hidden}
    missing = total - sum(cell.get("value", 0) for cell in shown.values())
    return {name: set(range(low, missing - low * (len(hidden) - 1) + 1)) for name in hidden}


@given(CELLS)
def test_nobody_with_a_pencil_finds_a_hidden_cell_unless_all_are_ones(stages):
    shown = released(figures(stages=stages))
    hidden = [stages[name] for name, cell in shown["stages"].items() if cell == HIDDEN]
    if hidden == [1] * len(hidden):
        return  # the next test
    known = known_from(shown["stages"], shown["active"].get("value"))
    assert all(stages[name] in possible for name, possible in known.items())
    assert all(len(possible) > 1 for possible in known.values())


@given(st.integers(5, len(STAGES)))
@example(5)
def test_five_files_in_five_stages_are_not_told_one_by_one(ones):
    stages = {stage: int(place < ones) for place, stage in enumerate(STAGES)}
    shown = released(figures(stages=stages))
    known = known_from(shown["stages"], shown["active"].get("value"))
    assert all(len(possible) > 1 for possible in known.values())


def test_forgotten_files_do_not_betray_those_on_hold():
    stages = dict.fromkeys(STAGES, 0) | {"new": 20, "contact": 7, "paused": 3}
    shown = released(figures(stages=stages, no_next_step=27))
    assert shown["stages"]["paused"] == HIDDEN
    # Followed files are the active ones less those on hold, one at least; the rest of them is none or five at least.
    active, forgotten = shown["active"]["value"], shown["no_next_step"].get("value")
    on_hold = [n for n in range(1, active) if forgotten is None or (active - n) - forgotten in {0, *range(5, active)}]
    assert len(on_hold) > 1
