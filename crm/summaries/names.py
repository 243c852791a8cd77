"""Names of people and projects in what is written for the committee, which recognizes nobody. Pure."""

import re
from collections.abc import Iterable, Iterator

from crm.search.words import fold

LONGEST = 6  # words of a name that is looked for
SHORTEST = 4  # letters of a name of one word
_WORD = re.compile(r"[^\W_]+")


def named(text: str, people: Iterable[str], projects: Iterable[str]) -> list[str]:
    """Which of these people and projects a text names, in the order given, each once.

    A name is found whole, whatever its accents and capitals; somebody's last name, or a project of one word, only with a capital.

    >>> named("Grâce à Nadia Benali et à l’équipe de M. Roy.", ["Nadia Bénali", "Jean Roy", "Ève Noir"], [])
    ['Nadia Bénali']
    >>> named("Mme Tremblay suit le dossier de la coopérative outilthèque.", ["Zoé Tremblay"], ["Outilthèque"])
    ['Zoé Tremblay']
    """
    words = _WORD.findall(text)
    runs = set(_runs([fold(word) for word in words]))
    capitals = {fold(word) for word in words if word[:1].isupper() and len(word) >= SHORTEST}
    found = [name for name in people if _is_there(name, runs, capitals, by_last=True)]
    found += [name for name in projects if _is_there(name, runs, capitals, by_last=False)]
    return list(dict.fromkeys(found))


def _runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(words)):
        for length in range(1, LONGEST + 1):
            if start + length <= len(words):
                yield tuple(words[start : start + length])


def _is_there(name: str, runs: set[tuple[str, ...]], capitals: set[str], *, by_last: bool) -> bool:
    parts = tuple(fold(word) for word in _WORD.findall(name))[:LONGEST]
    if not parts:
        return False
    if len(parts) == 1:
        return parts[0] in capitals
    return parts in runs or (by_last and parts[-1] in capitals)
