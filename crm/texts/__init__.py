"""Bilingual texts: each in French and in English, or not at all.

The words of questions, stages, notices and messages are content, not code: each feature keeps its own in a
`texts.toml` beside its modules, where every entry is a pair ["French", "English"]. Words of the interface (buttons,
headings) are in the gettext catalogue instead.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
    """Every text of the product."""
    return load(ROOT / "crm")


def pair(key: str) -> Pair:
    """Both languages of a text. Raises KeyError for an unknown key."""
    return everything()[key]


def text(key: str, **values: object) -> str:
    """A text in the language spoken now, its named placeholders filled; unknown placeholders stay as they are."""
    return fill(everything()[key][language()], values)


def fill(template: str, values: Mapping[str, object]) -> str:
    """Replace {name} by a value. Values are never read as templates themselves."""
    if not values:
        return template
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), template)


@cache
def group(prefix: str) -> dict[str, Pair]:
    """The pairs directly under a prefix, by last part of the key, in the order of their file."""
    start = f"{prefix}."
    return {
        key.removeprefix(start): value
        for key, value in everything().items()
        if key.startswith(start) and "." not in key.removeprefix(start)
    }


@cache
def _choices(prefix: str, lang: str) -> tuple[tuple[str, str], ...]:
    return tuple((code, value[lang]) for code, value in group(prefix).items())


def choices(prefix: str) -> tuple[tuple[str, str], ...]:
    """(code, label) of a vocabulary in the language spoken now, for a form."""
    return _choices(prefix, language())


@cache
def _labels(prefix: str, lang: str) -> dict[str, str]:
    return dict(_choices(prefix, lang))


def label(prefix: str, code: str | None) -> str:
    """The label of a code in the language spoken now; empty for no code, the code itself when it is unknown."""
    return "" if code is None else _labels(prefix, language()).get(code, code)


def told(prefix: str, code: str | None) -> str:
    """The label of an answer for readers other than who gave it: "not sure yet" is told as "to be clarified"."""
    return _labels(f"{prefix}_told", language()).get(code or "") or label(prefix, code)


@cache
def _words(prefix: str, lang: str) -> dict[str, str]:
    return {name: value[lang] for name, value in group(prefix).items()}


def words(prefix: str) -> dict[str, str]:
    """All texts directly under a prefix in the language spoken now, by last part of their key."""
    return _words(prefix, language())
