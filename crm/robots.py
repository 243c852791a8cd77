"""What makes a request look like a robot's. Domain reference, section 12.1; security reference, section 5.5.

A suspect is never refused: it is set aside for a person to look at, and its sender sees the ordinary confirmation.
"""

import hashlib
import hmac
import re
from enum import StrEnum

from flask import current_app
from itsdangerous import BadSignature, TimestampSigner

from crm import clock

FASTEST = 4.0  # seconds from the first page to sending; nobody answers ten questions in less
MOST_LINKS = 2
PER_NETWORK, PER_HOUR_IN_ALL = 10, 200  # requests within an hour
TRAP = "page_note"  # a field that people do not see


class Suspicion(StrEnum):
    TRAP = "trap"  # the field that people do not see was filled in
    FAST = "fast"
    LINKS = "links"
    NETWORK = "network"  # many from one network: a robot, or a community centre
    FLOOD = "flood"  # many in all
    PROOF = "proof"  # the browser did not do the work that the page asked of it


def suspicions(
    *, trap: bool, seconds: float, links: int, from_network: int, in_all: int, proven: bool = True
) -> list[Suspicion]:
    """Why a request is set aside; empty when nothing speaks against it.

    `seconds` is the time from beginning to sending; `from_network` and `in_all` count this request too.
    """
    signs = {
        Suspicion.TRAP: trap,
        Suspicion.FAST: seconds < FASTEST,
        Suspicion.LINKS: links > MOST_LINKS,
        Suspicion.NETWORK: from_network > PER_NETWORK,
        Suspicion.FLOOD: in_all > PER_HOUR_IN_ALL,
        Suspicion.PROOF: not proven,
    }
    return [suspicion for suspicion, there in signs.items() if there]


def links_in(words: str) -> int:
    """How many web addresses a text holds."""
    return len(re.findall(r"(?:https?://|www\.)\S", words, re.IGNORECASE))


def beginning() -> str:
    """A signed mark of now, for a form without a draft: what it was shown at cannot be forged."""
    return _signer().sign("form").decode()


def seconds_since(mark: str) -> float:
    """Seconds since a form was shown; 0 for a mark that is not ours, which makes it a suspect."""
    try:
        _, at = _signer().unsign(mark, return_timestamp=True)
    except BadSignature:
        return 0.0
    return max(0.0, (clock.now() - at).total_seconds())


def _signer() -> TimestampSigner:
    return TimestampSigner(str(current_app.config["SECRET_KEY"]), salt="form-shown")


# --- proof of work, off unless the settings ask for it -----------------------------------------------------------------


def bits_asked() -> int:
    """How many bits of work the settings ask of a sender's browser; 0 for none."""
    return int(current_app.extensions["settings"].proof_of_work)


def puzzle(subject: str) -> str:
    """What a browser works on, its own for each form: an answer to one is none to another."""
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, f"puzzle:{subject}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def is_solved(subject: str, answer: str) -> bool:
    """Whether a browser did the work: SHA-256 of the puzzle and its answer begins with as many zero bits as were asked."""
    bits = bits_asked()
    if not bits:
        return True
    if not (answer.isascii() and answer.isdigit() and len(answer) <= 12):
        return False
    made = int.from_bytes(hashlib.sha256(f"{puzzle(subject)}{answer}".encode()).digest())
    return made >> (256 - bits) == 0
