"""What each body is told of its own answers, beside the others' without saying whose. Pure. Domain reference, section 17.3."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from crm.summaries.course import Body
from crm.summaries.figures import to_half
from crm.summaries.suppression import FEWEST

MOST_HELD = 0.5  # of the others' answers, by one of them: with more, their median would be its own


def beside_others(bodies: Mapping[str, Body], k: int, wholes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """For each body what it was sent and what it answered, the median of its business days to an answer, and that of all the others' answers:
    none when fewer than `k` others answered, or one of them gave more than half of the answers. Local offices are one with the body that they
    are of, which `wholes` says by code.
    """
    waits: dict[str, Counter[float]] = {}
    for code, body in bodies.items():
        waits.setdefault(wholes.get(code, code), Counter()).update(days for _file, days in body.waits.values)
    everybody: Counter[float] = sum(waits.values(), Counter())
    found = {}
    for code, body in bodies.items():
        whole = wholes.get(code, code)
        sizes = [one.total() for other, one in waits.items() if other != whole and one]
        is_told = len(sizes) >= max(FEWEST, k) and max(sizes) <= MOST_HELD * sum(sizes)
        found[code] = {
            "sent": body.sent.value,
            "accepted": body.accepted.value,
            "declined": body.declined.value,
            "silent": body.silent.value,
            "days": body.waits.value,
            "others": _middle(everybody - waits[whole]) if is_told else None,
        }
    return found


def _middle(waits: Counter[float]) -> float:
    """The median of values with how often each comes, to half days.

    >>> _middle(Counter({1: 2, 4: 1, 5: 1}))
    2.5
    """
    half = (waits.total() - 1) // 2, waits.total() // 2
    middle, reached = [], 0
    for days in sorted(waits):
        middle += [days for place in half if reached <= place < reached + waits[days]]
        reached += waits[days]
    return to_half(sum(middle) / 2)
