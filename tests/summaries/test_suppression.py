"""The rules that hide small counts, one by one. Domain reference, section 17.3. Together: test_attacker.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.summaries.suppression import (
    EMPTY,
    MASKED,
    OTHER,
    SMALL,
    amount,
    count,
    merged,
    middle,
    part,
    rate,
    row,
)

K = 5


def value(number: float) -> dict[str, float]:
    return {"value": number}


@pytest.mark.parametrize(
    ("number", "shown"), [(0, value(0)), (1, SMALL), (4, SMALL), (5, value(5)), (6, value(6)), (100, value(100))]
)
def test_a_count_from_one_to_four_is_hidden(number, shown):
    assert count(number, K) == shown


def test_a_higher_threshold_hides_more():
    assert count(9, 10) == SMALL
    assert count(10, 10) == value(10)
    assert merged({"a": 9, "b": 40, "c": 50}, 10) == {"c": 50, OTHER: 49}


@pytest.mark.parametrize(
    ("accepted", "of", "shown"),
    [
        (0, 0, EMPTY),  # never 0 % of nothing
        (5, 9, MASKED),  # fewer than ten
        (5, 10, value(50)),
        (4, 20, MASKED),
        (16, 20, MASKED),  # four were not accepted
        (15, 20, value(75)),
        (0, 10, value(0)),
        (10, 10, value(100)),
        (1, 10, MASKED),
        (9, 10, MASKED),
        (10, 30, value(33)),
        (20, 30, value(67)),
        (0, 9, MASKED),
    ],
)
def test_a_rate_that_rests_on_few_is_hidden(accepted, of, shown):
    assert rate(accepted, of, K) == shown


@pytest.mark.parametrize(
    ("median", "of", "shown"),
    [(None, 0, EMPTY), (2.5, 1, MASKED), (2.5, 4, MASKED), (2.5, 5, value(2.5)), (0, 5, value(0))],
)
def test_a_median_of_fewer_than_five_is_hidden(median, of, shown):
    assert middle(median, of, K) == shown


@pytest.mark.parametrize(
    ("number", "of", "shown"),
    [
        (0, 0, value(0)),
        (0, 40, value(0)),
        (4, 40, MASKED),
        (5, 40, value(5)),
        (36, 40, MASKED),  # the other four
        (35, 40, value(35)),
        (40, 40, value(40)),
        (0, 3, MASKED),  # the rest is small
        (3, 3, MASKED),
    ],
)
def test_a_part_is_hidden_with_a_small_rest(number, of, shown):
    assert part(number, of, K) == shown


@pytest.mark.parametrize(
    ("by_file", "shown"),
    [
        ({}, value(0)),
        ({1: 100, 2: 100, 3: 100, 4: 100}, MASKED),  # four files
        ({1: 100, 2: 100, 3: 100, 4: 100, 5: 100}, value(500)),
        ({1: 75, 2: 10, 3: 5, 4: 5, 5: 5}, value(100)),  # three quarters, no more
        ({1: 76, 2: 10, 3: 5, 4: 5, 5: 4}, MASKED),
        ({1: 60, 2: 40, 3: 0, 4: 0, 5: 0}, MASKED),  # of three the amount is not known: two hold all of it
        ({1: 0, 2: 0, 3: 0, 4: 0, 5: 0}, MASKED),
    ],
)
def test_an_amount_that_few_share_is_hidden(by_file, shown):
    assert amount(by_file, sum(by_file.values()), K) == shown


# Cells that keep their names, and the names of those that are hidden; none when nothing can be shown.
@pytest.mark.parametrize(
    ("cells", "hidden"),
    [
        ({"a": 0, "b": 0}, ""),
        ({"a": 5, "b": 9}, ""),
        ({"a": 3, "b": 9, "c": 20}, "ab"),  # alone it would be the total less the others: the next smallest goes too
        ({"a": 3, "b": 9, "c": 7}, "ac"),
        ({"a": 3, "b": 4, "c": 20}, "ab"),  # together seven: each is one to six
        ({"a": 1, "b": 1, "c": 20, "d": 6}, "abd"),  # together two: each would be one
        ({"a": 1, "b": 3, "c": 20, "d": 6}, "abd"),
        ({"a": 1, "b": 4, "c": 20, "d": 6}, "ab"),  # together five: each is one to four, as "< 5" says
        ({"a": 1, "b": 1, "c": 3, "d": 6, "e": 40}, "abcd"),  # together five, but of three: each would be one to three
        ({"a": 3, "b": 0, "c": 9}, "ac"),  # a zero hides nothing
        ({"a": 3, "b": 8, "c": 8}, "ab"),  # the same size: the first by name, so that a release is always the same
        ({"a": 1, "b": 2, "c": 1, "d": 4}, "abcd"),
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, None),  # the total would say that each is one
    ],
)
def test_a_small_cell_takes_along_what_would_betray_it(cells, hidden):
    found = row(cells, K)
    if hidden is None:
        assert found is None
        return
    assert "".join(sorted(name for name, shown in found.items() if shown == MASKED)) == hidden
    assert {name: shown["value"] for name, shown in found.items() if shown != MASKED} == {
        name: number for name, number in cells.items() if name not in hidden
    }
    assert list(found) == list(cells), "cells keep their order"


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ({}, {}),
        ({"a": 0, "b": 0}, {}),
        ({"a": 9, "b": 5}, {"a": 9, "b": 5}),
        ({"a": 9, "b": 3, "c": 2}, {"a": 9, OTHER: 5}),
        ({"a": 9, "b": 7, "c": 2}, {"a": 9, OTHER: 9}),  # one by itself takes the next smallest along
        ({"a": 9, "b": 7, "c": 1, "d": 1}, {"a": 9, OTHER: 9}),
        ({"a": 9, "b": 2}, None),  # nothing would be left but the total
        ({"a": 2, "b": 4}, None),
    ],
)
def test_small_categories_are_put_together(cells, shown):
    assert merged(cells, K) == shown


CELLS = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 9) | st.integers(0, 200))


@given(CELLS, st.integers(5, 10))
def test_what_is_put_together_says_the_same_total_and_no_small_number(cells, k):
    shown = merged(cells, k)
    if shown is not None:
        assert sum(shown.values()) == sum(cells.values())
        assert all(number >= k for number in shown.values())
        assert all(cells[name] == number for name, number in shown.items() if name != OTHER)


@given(CELLS, st.integers(5, 10))
def test_nobody_with_a_pencil_finds_a_hidden_cell(cells, k):
    """Of a row with its total, what is hidden makes the rest, each one at least: no cell is bounded more tightly than "< k" bounds it."""
    shown = row(cells, k)
    if shown is None:
        return
    assert not [cell for cell in shown.values() if 0 < cell.get("value", 0) < k]
    hidden = [cells[name] for name, cell in shown.items() if cell == MASKED]
    if hidden:
        rest = sum(cells.values()) - sum(cell.get("value", 0) for cell in shown.values())
        assert rest - (len(hidden) - 1) - 1 >= (k - 1) - 1


@given(CELLS, st.integers(5, 10))
def test_nothing_more_is_hidden_than_the_rules_ask(cells, k):
    shown = row(cells, k)
    if shown is None:
        return
    hidden = sorted(cells[name] for name, cell in shown.items() if cell == MASKED)
    if not any(0 < number < k for number in cells.values()):
        assert not hidden
    elif hidden[-1] >= k and len(hidden) > 2:
        without = hidden[:-1]
        assert sum(without) - len(without) < k - 2, "without the last one the total would have betrayed them"
