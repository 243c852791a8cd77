"""Hiding small counts, together with what would betray them: the rules, one by one. Pure. Domain reference, section 17.3.

A cell holds a value, or the reason that there is none: "small" (it is from 1 to k - 1), "masked" (it could betray another, or rests on few)
or "empty" (there is nothing to divide by, or no value). `k` is the threshold, 5 to 10.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from crm.summaries.figures import percent_of

K = 5  # the lowest threshold, and the one without a setting
SMALLEST_DENOMINATOR = 10
FEWEST = 5  # values of a median and files behind an amount, or the threshold when it is higher
DOMINANT = 0.75  # of an amount, held by one file: more than this betrays it
OTHER = "merged"  # what categories too small to be shown are merged into
Cell = dict[str, Any]
SMALL: Cell = {"hidden": "small"}
MASKED: Cell = {"hidden": "masked"}
EMPTY: Cell = {"empty": True}


def is_small(value: int, k: int) -> bool:
    """Whether a count is hidden by itself; zero is not."""
    return 0 < value < k


def count(value: int, k: int) -> Cell:
    """A count by itself."""
    return dict(SMALL) if is_small(value, k) else {"value": value}


def part(value: int, whole: int, k: int) -> Cell:
    """A count of a whole that readers know: masked when it or the rest is small."""
    return dict(MASKED) if is_small(value, k) or is_small(whole - value, k) or is_small(whole, k) else {"value": value}


def rate(numerator: int, denominator: int, k: int) -> Cell:
    """A percentage to the whole number; masked when it rests on few, empty when it rests on none."""
    if denominator == 0:
        return dict(EMPTY)
    few = denominator < SMALLEST_DENOMINATOR
    if few or is_small(numerator, k) or is_small(denominator - numerator, k):
        return dict(MASKED)
    return {"value": percent_of(numerator, denominator)}


def middle(value: float | None, of: int, k: int) -> Cell:
    """A median; masked with few values."""
    if value is None:
        return dict(EMPTY)
    return dict(MASKED) if of < max(FEWEST, k) else {"value": value}


def amount(by_file: Mapping[int, int], cents: int, k: int) -> Cell:
    """A sum in cents, of files with what each holds of it: masked when few files hold it, or one holds most of it. Files of which it is
    not known hold nothing; none at all is zero.
    """
    if not by_file:
        return {"value": 0}
    held = [one for one in by_file.values() if one]
    few = len(held) < max(FEWEST, k)
    return dict(MASKED) if few or max(held) > DOMINANT * sum(held) else {"value": cents}


def merged(cells: Mapping[str, int], k: int) -> dict[str, int] | None:
    """Categories of which the total is known, the small ones merged into another (`OTHER`), the last.

    The next smallest go with them, until two at least are merged and their sum is no longer small. None when nothing would be left but the total.
    """
    sizes = {name: value for name, value in cells.items() if value}
    away = {name for name, value in sizes.items() if value < k}
    others = sorted((name for name in sizes if name not in away), key=lambda name: (sizes[name], name))
    while away and others and not (len(away) > 1 and sum(sizes[name] for name in away) >= k):
        away.add(others.pop(0))
    if not away:
        return sizes
    if not others:
        return None
    return {name: sizes[name] for name in sizes if name not in away} | {OTHER: sum(sizes[name] for name in away)}


def row(cells: Mapping[str, int], k: int) -> dict[str, Cell] | None:
    """Cells that keep their names, of which the total is known. None when nothing of them can be shown.

    A small cell is masked; so are the next smallest ones, until what the total gives away leaves each of them as wide a doubt as the
    threshold does: with n masked cells of one at least, the least and the most that one can be are their sum less n apart.
    """
    hidden = {name for name, value in cells.items() if is_small(value, k)}
    others = sorted((name for name, value in cells.items() if value >= k), key=lambda name: (cells[name], name))
    while hidden and not _in_doubt([cells[name] for name in hidden], k):
        if not others:
            return None
        hidden.add(others.pop(0))
    return {name: dict(MASKED) if name in hidden else {"value": value} for name, value in cells.items()}


def _in_doubt(hidden: Sequence[int], k: int) -> bool:
    return len(hidden) > 1 and sum(hidden) - len(hidden) >= k - 2
