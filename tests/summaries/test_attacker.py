"""From everything ever published, nobody bounds a hidden count more tightly than the threshold does. The attacker: attacker.py."""

import pytest

from crm.summaries import release
from crm.summaries.suppression import SMALL
from tests.summaries.attacker import KINDS, attack, found_out, invented, releases


@pytest.mark.parametrize(
    ("seed", "k", "since"), [(0, 5, 0), (8, 5, 0), (4, 5, 2), (5, 7, 0), (7, 10, 4), (9, 5, 0), (14, 5, 2)]
)
def test_nothing_hidden_is_found_out(seed, k, since):
    history = invented(seed)
    known = attack(history, releases(history, k, since=since), k)
    assert sum(0 < number < k for number in known.truth.values()) > 50, "the history has nothing to hide"
    assert found_out(known) == []


by_body = release._by_body


def _of_every_kind(figure, by_kind, k):
    """Bodies of all kinds, those among them that the table of kinds does not tell."""
    return by_body(figure, by_kind | {"cells": dict.fromkeys(KINDS)}, k)


# The same attacker finds what each of these rules hides: none of them is there for nothing, and the attacker sees.
@pytest.mark.parametrize(
    ("broken", "by"),
    [
        ("_year", lambda found, period, before, received, k: dict.fromkeys(("first", "last"), period.last.isoformat())),
        ("_shares", release._table),
        ("merged", lambda cells, _k: {name: number for name, number in cells.items() if number}),
        ("row", lambda cells, k: {n: dict(SMALL) if 0 < v < k else {"value": v} for n, v in cells.items()}),
        ("part", lambda value, _whole, _k: {"value": value}),
        ("_by_body", _of_every_kind),
        ("_hide_what_betrays", lambda _shown, _found, _last, _k: None),
    ],
    ids=[
        "tables that overlap",
        "numbers of closings",
        "no cell put together",
        "only small cells hidden",
        "small parts",
        "bodies of kinds that are not told",
        "rates that betray",
    ],
)
def test_without_one_of_the_rules_much_is_found_out(monkeypatch, broken, by):
    monkeypatch.setattr(release, broken, by)
    seeds = {"_hide_what_betrays": (7, 11), "_by_body": (8, 13)}
    histories = [invented(seed) for seed in seeds.get(broken, (0, 5))]
    found = 0
    for history in histories:
        known = attack(history, releases(history, 5, since=0), 5)
        known.truth = dict(sorted(known.truth.items(), key=str)[:: 2 if broken == "_year" else 1])
        found += len(found_out(known))
    assert found
