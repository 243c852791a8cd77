"""Financing applications: their statuses, the moves between them, and what a project's package adds up to. Pure. Domain reference, section 14.4."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    CONSIDERED = "considered"
    PREPARING = "preparing"
    FILED = "filed"
    GRANTED = "granted"
    REFUSED = "refused"
    DROPPED = "dropped"
    DISBURSED = "disbursed"


S = Status
MOVES: Mapping[Status, frozenset[Status]] = {
    S.CONSIDERED: frozenset({S.PREPARING, S.FILED, S.DROPPED}),
    S.PREPARING: frozenset({S.FILED, S.DROPPED}),
    S.FILED: frozenset({S.GRANTED, S.REFUSED, S.DROPPED}),
    S.GRANTED: frozenset({S.DISBURSED, S.DROPPED}),
    S.REFUSED: frozenset(),
    S.DROPPED: frozenset(),
    S.DISBURSED: frozenset(),
}
BEGUN = (S.CONSIDERED, S.PREPARING, S.FILED)  # what an application may be when it is written down
PENDING = frozenset(BEGUN)
DECIDED = frozenset({S.GRANTED, S.REFUSED, S.DROPPED})
LOST = frozenset({S.REFUSED, S.DROPPED})
SAID = (S.FILED, S.GRANTED, S.REFUSED)  # what a body says of an application that it has
TAKEN_BACK_WITHIN = timedelta(days=7)


def may_become(status: Status, to: Status) -> bool:
    return to in MOVES[status]


def body_may_say(status: Status, said_at: datetime | None, now: datetime) -> bool:
    """Whether a body may say how far an application is: while it is not decided, and for a week after it decided it itself.

    `said_at` is when the body said what stands; None when a colleague wrote it down.
    """
    if status in PENDING:
        return True
    return status in SAID and said_at is not None and now - said_at <= TAKEN_BACK_WITHIN


@dataclass(frozen=True)
class Line:
    """One application as the package counts it, in cents."""

    status: Status
    asked: int | None
    granted: int | None = None


@dataclass(frozen=True)
class Package:
    """A project's financing, in cents: what it costs, what its group puts in, what was granted and what is still asked for."""

    budget: int | None
    own: int
    granted: int
    pending: int

    @property
    def gap(self) -> int | None:
        """What nothing covers yet, were all that is asked for granted; below zero when there is more than is needed. None without a budget."""
        return None if self.budget is None else self.budget - self.own - self.granted - self.pending

    @property
    def uncovered(self) -> int | None:
        """What is not there today, whatever may still be granted. None without a budget."""
        return None if self.budget is None else self.budget - self.own - self.granted


def package(budget: int | None, own: int | None, lines: Iterable[Line]) -> Package:
    """What the applications of a project add up to; what was refused or dropped counts for nothing.

    >>> package(10_000, 2_000, [Line(S.GRANTED, 5_000, 3_000), Line(S.FILED, 4_000), Line(S.REFUSED, 9_000)]).gap
    1000
    """
    all_ = list(lines)
    granted = sum(one.granted or 0 for one in all_ if one.status in {S.GRANTED, S.DISBURSED})
    pending = sum(one.asked or 0 for one in all_ if one.status in PENDING)
    return Package(budget, own or 0, granted, pending)


def would_circle(waits: Mapping[int, int | None], one: int, on: int | None) -> bool:
    """Whether `one` would wait for itself, by way of others, were it to wait for `on`. `waits` says which waits for which.

    >>> would_circle({1: 2, 2: 3, 3: None}, 3, 1), would_circle({1: 2, 2: None, 3: None}, 3, 1)
    (True, False)
    """
    seen: set[int] = set()
    while on is not None and on not in seen:
        if on == one:
            return True
        seen.add(on)
        on = waits.get(on)
    return False


def shares(found: Package) -> list[tuple[str, float]]:
    """The parts of the package for its chart, each with its share of the whole, from 0 to 1: own, granted, pending, gap."""
    parts = [
        ("own", found.own),
        ("granted", found.granted),
        ("pending", found.pending),
        ("gap", max(found.gap or 0, 0)),
    ]
    whole = sum(cents for _name, cents in parts)
    return [(name, cents / whole) for name, cents in parts if cents] if whole else []
