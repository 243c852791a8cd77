"""From text to the words that are looked for, and from what somebody types to a question. Pure: no database, no web.

Words are folded: without accents, case, or the marks inside a compound. They are ASCII, whatever the alphabet, so that both databases
cut and compare them alike: a letter that is not Latin is written by its number ("ж" becomes "x0436").
"""

import re
import unicodedata
from dataclasses import dataclass

LONGEST_WORD = 40  # signs of a word that count
LONGEST_QUESTION, MOST_WORDS = 200, 8  # signs and words of a question that count
MOST_KEPT = 6000  # words of one text that are kept
_LETTERS = str.maketrans(
    {"œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae", "ß": "ss", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l"}
)
_INSIDE = "-‐‑‒–'’.·"
# Words held together by a mark: Jean-Philippe, l’école, O.B.N.L., PCC-7K4M-2T9R.
_COMPOUND = re.compile(rf"[^\W_]+(?:[{_INSIDE}][^\W_]+)*")
_PARTS = re.compile(r"[^\W_]+")
_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\u00ad"
_UNSEEN = str.maketrans(dict.fromkeys(_MARKS))
# A telephone number, however it is spaced: seven digits at least.
_PHONE = re.compile(r"(?<!\w)\+?\d(?:[\s().\-‐‑–]{0,3}\d){6,14}(?!\w)")


def fold(text: str) -> str:
    """Text without accents or case, ligatures undone.

    >>> fold("Cœur de l’Île")
    'coeur de l’ile'
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.translate(_UNSEEN).translate(_LETTERS)).casefold()
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _word(word: str) -> str:
    if not word.isascii():
        word = "".join(sign if sign.isascii() else f"x{ord(sign):04x}" for sign in word)
    return word[:LONGEST_WORD]


def words_of(text: str) -> set[str]:
    """The words under which a text is found: each, compounds also in one piece and from each part on, telephone numbers by their ends.

    >>> sorted(words_of("Jean-Philippe, 514 555-0142"))
    ['0142', '514', '5145550142', '555', '5550142', 'jean', 'jeanphilippe', 'philippe']
    """
    folded = fold(text)
    found: set[str] = set()
    for compound in _COMPOUND.findall(folded):
        parts = _PARTS.findall(compound)
        found.update(_word(part) for part in parts)
        if 1 < len(parts) <= MOST_WORDS:
            found.update(_word("".join(parts[place:])) for place in range(len(parts) - 1))
        if len(found) > MOST_KEPT:
            break
    for number in _PHONE.findall(folded):
        found |= _ends(re.sub(r"\D", "", number))
    return found


def _ends(digits: str) -> set[str]:
    """A telephone number with and without its country, and by its last seven and four digits."""
    national = digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
    return {digits, national, national[-7:], national[-4:]}


def kept(*texts: str | None) -> str:
    """What is kept of some texts: their words, in alphabetical order, with one space between."""
    found: set[str] = set()
    for text in texts:
        if text:
            found |= words_of(text)
    return " ".join(sorted(found))


@dataclass(frozen=True)
class Question:
    """What somebody looks for: every word must be there, as a whole or as the beginning of one."""

    words: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.words)

    def meets(self, text: str) -> bool:
        """Whether a word of a text is, or begins with, one that is looked for."""
        return any(word.startswith(self.words) for word in words_of(text))

    def answered_by(self, text: str) -> bool:
        """Whether a text has every word that is looked for, whole or as a beginning."""
        words = words_of(text)
        return all(any(word.startswith(asked) for word in words) for asked in self.words)


def read_question(typed: str) -> Question:
    """The question in what was typed; empty when there is nothing to look for. Signs that mean something to a database mean nothing here.

    >>> read_question("(514) 555-0142").words
    ('5145550142',)
    >>> read_question('coopérative de "Rosemont"*').words
    ('cooperative', 'de', 'rosemont')
    """
    typed = typed[:LONGEST_QUESTION]
    digits = re.sub(r"[\s().\-‐‑–+]", "", fold(typed))
    # Seven digits and more are a telephone number or an enterprise's, however they are spaced.
    if digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15:
        return Question((digits[1:] if len(digits) == 11 and digits.startswith("1") else digits,))
    parts = [_word(part) for part in _PARTS.findall(fold(typed))]
    telling = [part for part in parts if len(part) > 1] or [part for part in parts if not part.isdigit()]
    return Question(tuple(dict.fromkeys(telling))[:MOST_WORDS]) if len("".join(telling)) > 1 else Question(())
