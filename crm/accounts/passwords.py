"""Passwords: what is accepted, and Argon2id. Figures: security reference, section 5.2."""

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST, LONGEST_BYTES = 15, 128, 1024
_hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
# At most four at once: each takes 46 MiB.
_turn = threading.BoundedSemaphore(4)
# Verified when nobody has the address, so that a known and an unknown one take the same work.
_dummy: list[str] = []


def problem(password: str) -> str | None:
    """Why a new password is refused, in English for the command line; None when it is fine."""
    password = unicodedata.normalize("NFC", password)
    if password.encode("utf-8", "replace").decode() != password:
        return "characters that can be written"
    if len(password) < SHORTEST:
        return f"at least {SHORTEST} characters"
    if len(password) > LONGEST or len(password.encode("utf-8", "replace")) > LONGEST_BYTES:
        return f"at most {LONGEST} characters"
    if len(set(password)) < 5:
        return "more varied characters"
    return None


def make_hash(password: str) -> str:
    with _turn:
        return _hasher.hash(unicodedata.normalize("NFC", password))


def matches(password: str, kept: str | None) -> bool:
    """Whether a password fits its hash; with no hash, the same work is done and the answer is no."""
    if len(password.encode("utf-8", "replace")) > LONGEST_BYTES:
        return False
    if kept is None and not _dummy:
        _dummy.append(make_hash("nobody has this password"))
    with _turn:
        try:
            _hasher.verify(kept or _dummy[0], unicodedata.normalize("NFC", password))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other figures and should be made again at the next sign-in."""
    return _hasher.check_needs_rehash(kept)
