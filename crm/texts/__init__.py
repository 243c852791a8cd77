"""Bilingual texts: each in French and in English, or not at all.

The words of questions, stages, notices and messages are content, not code: each feature keeps its own in a
`texts.toml` beside its modules, where every entry is a pair ["French", "English"]. Words of the interface (buttons,
headings) are in the gettext catalogue instead. What ships can be replaced by coordinators (`crm.texts.published`).
"""

import re
import tomllib
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import current_app, has_app_context

from crm.config import LANGUAGES, ROOT
from crm.i18n import language

Pair = Mapping[str, str]
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class TextError(Exception):
    """A text is missing in a language, empty, or its placeholders differ between languages."""


def load(folder: Path) -> dict[str, Pair]:
    """All pairs of a folder's features, by key: the folder's name, then the path in its file, joined by dots."""
    found: dict[str, Pair] = {}
    for file in sorted(folder.glob("*/texts.toml")):
        _flatten(file.parent.name, tomllib.loads(file.read_text(encoding="utf-8")), found)
    return found


def _flatten(prefix: str, value: Any, found: dict[str, Pair]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{prefix}.{name}", inner, found)
        return
    complete = isinstance(value, list) and len(value) == len(LANGUAGES) and all(isinstance(v, str) and v for v in value)
    if not complete:
        raise TextError(f"{prefix}: a pair of French and English is needed")
    french, english = value
    if set(PLACEHOLDER.findall(french)) != set(PLACEHOLDER.findall(english)):
        raise TextError(f"{prefix}: the placeholders differ between French and English")
    found[prefix] = dict(zip(LANGUAGES, value, strict=True))


@cache
def everything() -> dict[str, Pair]:
    """Every text that ships."""
    return load(ROOT / "crm")


class Book:
    """Every text as it stands: what ships, with what coordinators published in its place. Never changed once made.

    `stamp` tells one book from another; `known` keeps what was worked out of this one.
    """

    def __init__(self, pairs: dict[str, Pair], stamp: str = "") -> None:
        self.pairs, self.stamp = pairs, stamp
        self.known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, worked out once for this book."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def group(self, prefix: str) -> dict[str, Pair]:
        found: dict[str, Pair] = self.once(("group", prefix), lambda: self._group(f"{prefix}."))
        return found

    def _group(self, start: str) -> dict[str, Pair]:
        return {
            key.removeprefix(start): value
            for key, value in self.pairs.items()
            if key.startswith(start) and "." not in key.removeprefix(start)
        }

    def words(self, prefix: str, lang: str) -> dict[str, str]:
        found: dict[str, str] = self.once(
            ("words", prefix, lang), lambda: {name: value[lang] for name, value in self.group(prefix).items()}
        )
        return found


@cache
def shipped() -> Book:
    """The texts as they ship."""
    return Book(everything())


def book() -> Book:
    """The texts as they stand now: those that ship where no product runs."""
    if not has_app_context():
        return shipped()
    found: Book = current_app.extensions["texts"]() if "texts" in current_app.extensions else shipped()
    return found


def pair(key: str) -> Pair:
    """Both languages of a text. Raises KeyError for an unknown key."""
    return book().pairs[key]


def text(key: str, **values: object) -> str:
    """A text in the language spoken now, its named placeholders filled; unknown placeholders stay as they are."""
    return fill(pair(key)[language()], values)


def fill(template: str, values: Mapping[str, object]) -> str:
    """Replace {name} by a value. Values are never read as templates themselves."""
    if not values:
        return template
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), template)


def group(prefix: str) -> dict[str, Pair]:
    """The pairs directly under a prefix, by last part of the key, in the order of their file."""
    return book().group(prefix)


def choices(prefix: str) -> tuple[tuple[str, str], ...]:
    """(code, label) of a vocabulary in the language spoken now, for a form."""
    now, lang = book(), language()
    found: tuple[tuple[str, str], ...] = now.once(
        ("choices", prefix, lang), lambda: tuple(now.words(prefix, lang).items())
    )
    return found


def label(prefix: str, code: str | None) -> str:
    """The label of a code in the language spoken now; empty for no code, the code itself when it is unknown."""
    return "" if code is None else words(prefix).get(code, code)


def told(prefix: str, code: str | None) -> str:
    """The label of an answer for readers other than who gave it: "not sure yet" is told as "to be clarified"."""
    return words(f"{prefix}_told").get(code or "") or label(prefix, code)


def words(prefix: str) -> dict[str, str]:
    """All texts directly under a prefix in the language spoken now, by last part of their key."""
    return book().words(prefix, language())
