"""Names of people and projects in what is written for the committee, which recognizes nobody. Pure."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from crm.search.words import fold

LONGEST = 6  # words of a name that is looked for
SHORTEST = 4  # letters of a part of a name that is looked for by itself; a shorter one only after "M." or "Mme"
_WORD = re.compile(r"[^\W_]+")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ASIDE = re.compile(r"\([^)]*\)")
_TITLES = frozenset({"m", "mm", "mme", "mmes", "mr", "mrs", "ms", "me", "dr", "dre", "monsieur", "madame"})
# What many names of projects begin with, which alone names none.
_COMMON = frozenset(
    [
        "l",
        "le",
        "la",
        "les",
        "d",
        "de",
        "du",
        "des",
        "un",
        "une",
        "the",
        "a",
        "an",
        "coop",
        "cooperative",
        "co",
        "op",
        "obnl",
        "projet",
        "project",
        "plateforme",
        "platform",
        "association",
    ]
)


def named(text: str, people: Iterable[str], projects: Iterable[str]) -> list[str]:
    """Which of these people and projects a text names, in the order given, each once.

    A name is found whole, whatever its accents and capitals. A part of somebody's name but the first, and a project of one word, are found
    with a capital; a short part of a name after a title.

    >>> named("Grâce à Nadia Benali et à l’équipe de M. Roy.", ["Nadia Bénali", "Jean Roy", "Ève Noir"], [])
    ['Nadia Bénali', 'Jean Roy']
    >>> named("Mme Tremblay suit une outilthèque.", ["Zoé Tremblay-Gagnon", "Tremblay, Zoé"], ["L’Outilthèque"])
    ['Zoé Tremblay-Gagnon', 'Tremblay, Zoé']
    >>> named("Merci à l’Outilthèque.", [], ["Coopérative Outilthèque", "Coop", "Le Fil"])
    ['Coopérative Outilthèque']
    """
    words = _WORD.findall(_UNSEEN.sub("", text))
    folded = [fold(word) for word in words]
    said = _Said(
        set(_runs(folded)),
        {fold(word) for word in words if word[:1].isupper() and len(word) >= SHORTEST},
        {after for title, after in pairwise(folded) if title in _TITLES},
    )
    found = [name for name in people if _is_person(name, said)]
    found += [name for name in projects if _is_project(name, said)]
    return list(dict.fromkeys(found))


class _Said(NamedTuple):
    """A text's runs of words, its words with a capital, and those that follow a title; all folded."""

    runs: set[tuple[str, ...]]
    capitals: set[str]
    titled: set[str]


def _runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(words)):
        for length in range(1, LONGEST + 1):
            if start + length <= len(words):
                yield tuple(words[start : start + length])


def _parts(name: str) -> tuple[str, ...]:
    return tuple(fold(word) for word in _WORD.findall(_UNSEEN.sub("", _ASIDE.sub(" ", name))))[:LONGEST]


def _is_person(name: str, said: _Said) -> bool:
    last, comma, first = name.partition(",")
    parts = _parts(f"{first} {last}" if comma else name)
    if len(parts) < 2:
        return bool(parts) and parts[0] in said.capitals
    return parts in said.runs or any(one in said.capitals or one in said.titled for one in parts[1:])


def _is_project(name: str, said: _Said) -> bool:
    parts = _parts(name)
    if len(parts) > 1 and parts in said.runs:
        return True
    while parts and parts[0] in _COMMON:
        parts = parts[1:]
    if len(parts) == 1:
        return parts[0] in said.capitals
    return bool(parts) and parts in said.runs


# What the fonts of the PDF hold: Latin, Greek and Cyrillic letters, punctuation, money, arrows and signs of arithmetic.
_SET = ((0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x1E00, 0x1EFF), (0x2010, 0x2027),
        (0x2030, 0x203A), (0x20AC, 0x20AC), (0x2122, 0x2122), (0x2190, 0x2193), (0x2212, 0x2212), (0x2260, 0x2265))  # fmt: skip
_BLANK = frozenset("\n\r\t\u2009\u202f\u2011")


def cannot_be_set(text: str) -> list[str]:
    """The signs of a text that the PDF cannot show, each once.

    >>> cannot_be_set("Œuvrer à 100 % – 2,5 M$ 🎉 🎉")
    ['🎉']
    """
    unset = [sign for sign in text if sign not in _BLANK and not any(low <= ord(sign) <= high for low, high in _SET)]
    return list(dict.fromkeys(unset))
