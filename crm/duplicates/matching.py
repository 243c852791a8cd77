"""How alike two files are, and why. Pure: no database, no web.

A file is looked for under a few keys (`keys`): exact ones for what is one person's or one organization's own, and coarse ones
for names, so that a slip of the finger or another order still meets. Those it meets are then compared on the facts (`compare`).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from itertools import product

THRESHOLD = 40  # at this score or above, staff are asked
NEAR_NAME, NEAR_PROJECT = 88.0, 85.0  # of 100, on words in alphabetical order
LONGEST_READ = 120  # characters of a name that count
MOST_WORDS = 8
# Words that say nothing of which project it is.
EMPTY = frozenset(
    [
        "a",
        "an",
        "and",
        "au",
        "aux",
        "cooperative",
        "cooperatif",
        "collectif",
        "collective",
        "coop",
        "coops",
        "de",
        "des",
        "du",
        "et",
        "en",
        "for",
        "l",
        "la",
        "le",
        "les",
        "ma",
        "mon",
        "notre",
        "of",
        "on",
        "our",
        "pour",
        "platform",
        "plateforme",
        "project",
        "projet",
        "sur",
        "the",
        "un",
        "une",
    ]
)


class Reason(StrEnum):
    """What two files have in common."""

    EMAIL = "email"
    PHONE = "phone"
    NEQ = "neq"
    NAME = "name"
    NEAR_NAME = "near_name"
    PROJECT = "project"
    NEAR_PROJECT = "near_project"
    SECTOR = "sector"
    PLACE = "place"


POINTS = {
    Reason.NEQ: 80,
    Reason.EMAIL: 60,
    Reason.PHONE: 50,
    Reason.PROJECT: 40,
    Reason.NAME: 30,
    Reason.NEAR_PROJECT: 25,
    Reason.NEAR_NAME: 20,
    Reason.PLACE: 10,
    Reason.SECTOR: 5,
}
OF_THE_PROJECT = frozenset({Reason.NEQ, Reason.PROJECT, Reason.NEAR_PROJECT})


@dataclass(frozen=True)
class Known:
    """How a person is known on a file."""

    name: str
    email: str = ""
    phone: str = ""
    extension: str = ""


@dataclass(frozen=True)
class Traits:
    """What of a file is compared. `place` is the borough or city, else the region; `founders` are the people beside who asked."""

    name: str
    email: str = ""
    phone: str = ""
    extension: str = ""
    neq: str = ""
    project: str = ""
    sector: str = ""
    place: str = ""
    founders: tuple[Known, ...] = ()

    @property
    def people(self) -> tuple[Known, ...]:
        """Who asked, and the other founders."""
        return (Known(self.name, self.email, self.phone, self.extension), *self.founders)


@dataclass(frozen=True)
class Keys:
    """Under what a file is found: `exact` before `coarse`. Each is a whole number of 63 bits."""

    exact: tuple[int, ...]
    coarse: tuple[int, ...]

    @property
    def every(self) -> tuple[int, ...]:
        return self.exact + self.coarse


@dataclass(frozen=True)
class Likeness:
    """A score and its reasons, the weightiest first."""

    score: int
    reasons: tuple[Reason, ...]

    @property
    def same_project(self) -> bool:
        """Whether it is the project that looks the same, rather than the person alone."""
        return bool(OF_THE_PROJECT & set(self.reasons))


def folded(text: str) -> str:
    """Lower case without accents or signs, words apart by one space.

    >>> folded("  Marie-Ève  O’Côté ")
    'marie eve o cote'
    """
    plain = text[:LONGEST_READ]
    for _ in range(2):  # taking a sign apart can leave a capital, and lowering it another sign to take apart
        plain = unicodedata.normalize("NFKD", plain.casefold())
    plain = plain.replace("œ", "oe").replace("æ", "ae")
    return " ".join(re.findall(r"\w+", "".join(sign for sign in plain if not unicodedata.combining(sign))))


def telling(project: str) -> str:
    """The words of a project's name that tell it from others, folded and in alphabetical order."""
    words = {word for word in folded(project).split() if word not in EMPTY}
    return " ".join(sorted(words))


def compare(one: Traits, other: Traits) -> Likeness:
    """How alike two files are. The same whichever comes first."""
    reasons = sorted(_reasons(one, other), key=lambda reason: -POINTS[reason])
    return Likeness(sum(POINTS[reason] for reason in reasons), tuple(reasons))


def _reasons(one: Traits, other: Traits) -> Iterator[Reason]:
    if {known.email.casefold() for known in one.people if known.email} & {
        known.email.casefold() for known in other.people
    }:
        yield Reason.EMAIL
    pairs = list(product(one.people, other.people))
    if any(
        mine.phone and mine.phone == their.phone and _one_line(mine.extension, their.extension) for mine, their in pairs
    ):
        yield Reason.PHONE
    if one.neq and one.neq == other.neq:
        yield Reason.NEQ
    if found := max(_near(_sorted(mine.name), _sorted(their.name), NEAR_NAME) for mine, their in pairs):
        yield Reason.NAME if found == 100 else Reason.NEAR_NAME
    if found := _near(telling(one.project), telling(other.project), NEAR_PROJECT):
        yield Reason.PROJECT if found == 100 else Reason.NEAR_PROJECT
    if one.sector and one.sector == other.sector and one.sector != "other":
        yield Reason.SECTOR
    if one.place and one.place == other.place:
        yield Reason.PLACE


def _one_line(one: str, other: str) -> bool:
    """Two extensions of one switchboard are two people."""
    return not one or not other or one == other


def _sorted(name: str) -> str:
    return " ".join(sorted(folded(name).split()))


def _near(one: str, other: str, least: float) -> float:
    from rapidfuzz import fuzz  # noqa: PLC0415 - several megabytes, and the web compares nobody: a job does

    return fuzz.ratio(one, other, score_cutoff=least) if one and other else 0


def email_key(email: str) -> int:
    """Under what the files of an address are found, whatever its capitals."""
    return _key("email", email.casefold())


def keys(traits: Traits) -> Keys:
    """Under what a file is found."""
    exact = [email_key(known.email) for known in traits.people if known.email]
    exact += [_key("phone", known.phone) for known in traits.people if known.phone]
    exact += [_key("neq", traits.neq)] if traits.neq else []
    coarse = [_key("name", key) for known in traits.people for key in _name_keys(known.name)]
    coarse += [_key("project", _skeleton(word)) for word in telling(traits.project).split()[:MOST_WORDS]]
    return Keys(tuple(dict.fromkeys(exact)), tuple(dict.fromkeys(coarse)))


def _name_keys(name: str) -> list[str]:
    """Each end of the name in full with the other's first letter, either way round: one slip leaves one of them."""
    words = folded(name).split()
    if not words:
        return []
    first, last = words[0], words[-1]
    if len(words) == 1:
        return [_skeleton(first)]
    return [f"{_skeleton(long)} {short[0]}" for long, short in ((first, last), (last, first))]


def _skeleton(word: str) -> str:
    """A word without its vowels and doubled letters, which are what people misspell; digits stay.

    >>> _skeleton("tremblay"), _skeleton("trembley"), _skeleton("eau")
    ('trmbl', 'trmbl', 'e')
    """
    bare = word[0] + re.sub(r"[aeiouyh]", "", word[1:])
    return re.sub(r"(.)\1+", r"\1", bare)


def _key(kind: str, value: str) -> int:
    made = blake2b(f"{kind}:{value}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(made) >> 1
