"""Names between braces in a message, which each person's own facts take the place of. Pure.

Either language's name stands for the same fact, so that a text copied from one language to the other still means something.
"""

import re
from collections.abc import Mapping

# In French, in English, what it stands for.
NAMES: tuple[tuple[str, str, str], ...] = (
    ("nom", "name", "person"),
    ("projet", "project", "project"),
    ("dossier", "file", "reference"),
    ("signature", "signature", "adviser"),
)
_MEANS = {word: fact for french, english, fact in NAMES for word in (french, english)}
_BRACES = re.compile(r"\{([^{}\n]{0,40})\}")


def unknown(text: str) -> list[str]:
    """What stands between braces and means nothing, as typed.

    >>> unknown("Bonjour {nom}, {prénom}")
    ['{prénom}']
    """
    return list(dict.fromkeys(found[0] for found in _BRACES.finditer(text) if found[1].strip().lower() not in _MEANS))


def fill(text: str, facts: Mapping[str, str]) -> str:
    """A text with each person's facts in their places; what means nothing is left as it is.

    >>> fill("Bonjour { Nom }", {"person": "Zoé"})
    'Bonjour Zoé'
    """

    def fact(found: re.Match[str]) -> str:
        return facts.get(_MEANS.get(found[1].strip().lower(), ""), found[0])

    return _BRACES.sub(fact, text)
