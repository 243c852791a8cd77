"""What makes a request look like a robot's. Pure. Domain reference, section 12.1; security reference, section 5.5.

A suspect is never refused: it is set aside for a person to look at, and its sender sees the ordinary confirmation.
"""

from enum import StrEnum

FASTEST = 4.0  # seconds from the first page to sending; nobody answers ten questions in less
MOST_LINKS = 2
PER_NETWORK, PER_HOUR_IN_ALL = 10, 200  # requests within an hour


class Suspicion(StrEnum):
    TRAP = "trap"  # the field that people do not see was filled in
    FAST = "fast"
    LINKS = "links"
    NETWORK = "network"  # many from one network: a robot, or a community centre
    FLOOD = "flood"  # many in all


def suspicions(*, trap: bool, seconds: float, links: int, from_network: int, in_all: int) -> list[Suspicion]:
    """Why a request is set aside; empty when nothing speaks against it.

    `seconds` is the time from beginning to sending; `from_network` and `in_all` count this request too.
    """
    signs = {
        Suspicion.TRAP: trap,
        Suspicion.FAST: seconds < FASTEST,
        Suspicion.LINKS: links > MOST_LINKS,
        Suspicion.NETWORK: from_network > PER_NETWORK,
        Suspicion.FLOOD: in_all > PER_HOUR_IN_ALL,
    }
    return [suspicion for suspicion, there in signs.items() if there]
