"""Hiding small counts, together with the cell that would betray them. Pure. Domain reference, section 17.3.

What comes out holds either a value or the reason there is none; nothing hidden can be computed back from what is
shown in the same release.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crm.summaries.figures import Count, Figure, Median, Rate, Table

K = 5  # never below 5
SMALLEST_DENOMINATOR = 10
FEWEST_VALUES = 5
Shown = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """What is published of a period. `stages` are active files by stage on the last day, on hold included under "paused"."""

    received: int
    stages: dict[str, int]
    sent: int
    cohort: int
    cohort_accepted: int
    replies: int
    median_reply: float | None
    followed: int
    no_next_step: int

    @classmethod
    def of(cls, found: Mapping[str, Figure], stages: Iterable[str]) -> "Figures":
        """What is published, of all figures of a period; `stages` are those that a file may be active in."""
        active, received, sent = found["active"], found["received"], found["sent"]
        accepted, replies, no_step = found["accepted"], found["first_reply"], found["no_next_step"]
        assert isinstance(active, Table) and isinstance(received, Count) and isinstance(sent, Count)  # noqa: S101, PT018
        assert isinstance(accepted, Rate) and isinstance(replies, Median) and isinstance(no_step, Rate)  # noqa: S101, PT018
        return cls(
            received=received.value,
            stages={stage: active.cells[stage].value if stage in active.cells else 0 for stage in stages},
            sent=sent.value,
            cohort=accepted.whole.value,
            cohort_accepted=accepted.part.value,
            replies=len(replies.values),
            median_reply=replies.value,
            followed=no_step.whole.value,
            no_next_step=no_step.part.value,
        )


def count(value: int) -> Shown:
    """A count by itself; zero is shown."""
    return {"hidden": True} if 0 < value < K else {"value": value}


def row(cells: dict[str, int]) -> dict[str, Shown]:
    """Cells of a table whose total is shown as well.

    A small cell is hidden; so are the next smallest ones until at least two are hidden and their sum, which the total
    gives away, is no longer small.
    """
    hidden = {name for name, value in cells.items() if 0 < value < K}
    others = sorted((name for name, value in cells.items() if value >= K), key=lambda name: (cells[name], name))
    while hidden and others and (len(hidden) < 2 or sum(cells[name] for name in hidden) < K):
        hidden.add(others.pop(0))
    if hidden and sum(cells[name] for name in hidden) == len(hidden) and sum(cells.values()) >= K:
        # The total would say that each hidden cell is 1: the zeros are hidden as well, so that nobody knows which.
        hidden |= {name for name, value in cells.items() if value == 0}
    return {name: {"hidden": True} if name in hidden else {"value": value} for name, value in cells.items()}


def rate(numerator: int, denominator: int) -> Shown:
    """A percentage to the whole number; hidden when it rests on few, empty when it rests on none."""
    if denominator == 0:
        return {"empty": True}
    rest = denominator - numerator
    if denominator < SMALLEST_DENOMINATOR or 0 < numerator < K or 0 < rest < K:
        return {"hidden": True}
    return {"value": (200 * numerator + denominator) // (2 * denominator)}  # half goes up


def middle(value: float | None, of: int) -> Shown:
    """A median; hidden with fewer than five values."""
    if value is None:
        return {"empty": True}
    return {"hidden": True} if of < FEWEST_VALUES else {"value": value}


def part(value: int, whole: int) -> Shown:
    """A count of a whole that the same release shows: hidden when it or the rest is small."""
    return {"hidden": True} if 0 < value < K or 0 < whole - value < K else {"value": value}


def released(figures: Figures) -> dict[str, Any]:
    """What the committee reads of a period's figures.

    The files with no next step are a part of the files not on hold: when those on hold are hidden, so is a part that
    could give them away. When every stage is a single file and there is no zero to hide among, the total goes too.
    """
    stages = row(figures.stages)
    total = sum(figures.stages.values())
    given_away = total == len(stages) and all(cell.get("hidden") for cell in stages.values())
    return {
        "received": count(figures.received),
        "stages": stages,
        "active": {"hidden": True} if given_away else count(total),
        "sent": count(figures.sent),
        "acceptance": rate(figures.cohort_accepted, figures.cohort),
        "median_reply": middle(figures.median_reply, figures.replies),
        "no_next_step": {"hidden": True}
        if figures.no_next_step and stages.get("paused", {}).get("hidden")
        else part(figures.no_next_step, figures.followed),
    }
