"""Who held a demonstration file, and when: the product's own rule, applied at each instant at which something changed."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crm.cases.turns import Claim, whose
from crm.cases.vocabulary import Stage, Turn


@dataclass(frozen=True)
class Hold:
    """A claim that lasted from an instant to another, or still does."""

    claim: Claim
    ended: datetime | None = None


def hands(
    received_at: datetime,
    stages: Sequence[tuple[Stage, datetime]],
    holds: Sequence[Hold],
    *,
    replied_at: datetime | None,
    now: datetime,
) -> list[tuple[Claim, datetime]]:
    """Each that held the file in turn, by the last claim they held it by, and from when. `stages` are those entered, in order, with when."""
    instants = {received_at, *(at for _stage, at in stages)}
    for hold in holds:
        instants |= {at for at in (hold.claim.since, hold.claim.until, hold.ended) if at is not None}
    if replied_at is not None:
        instants.add(replied_at)
    starts = [at for _stage, at in stages]
    was = Claim(Turn.TEAM, received_at)
    found_so_far = [(was, received_at)]
    for at in sorted(one for one in instants if received_at < one <= now):
        place = max(0, bisect_right(starts, at) - 1)
        stage, since = stages[place]
        owed = stage in {Stage.NEW, Stage.CONTACT} and (replied_at is None or replied_at > at)
        live = [one.claim for one in holds if one.claim.since <= at and (one.ended is None or one.ended > at)]
        found = whose(stage, live, now=at, was=was, stage_since=since, unanswered_since=received_at if owed else None)
        if (found.turn, found.body_id) == (was.turn, was.body_id):
            found_so_far[-1] = (found, found_so_far[-1][1])
        else:
            found_so_far.append((found, at))
        was = found
    return found_so_far
