"""The programme's facts: what pages and messages say of it.

They come from `programme.toml` (the one that ships, then the one of the data folder), then from what a coordinator saved in the
settings, which is kept as texts under "programme." and wins.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from flask import current_app

from crm.config import Programme, Settings
from crm.texts import book

PREFIX = "programme"
YES, NO = "yes", "no"


class Kind(StrEnum):
    """How a fact is typed and read."""

    LINE = "line"  # one text, the same in both languages
    PAIR = "pair"
    EMAIL = "email"
    SWITCH = "switch"


@dataclass(frozen=True)
class Fact:
    """One fact. `printed` by the notice: the form stays closed while it is empty."""

    name: str
    kind: Kind
    printed: bool = False


FACTS = (
    Fact("short_name", Kind.LINE),
    Fact("name", Kind.PAIR, printed=True),
    Fact("organisation", Kind.PAIR, printed=True),
    Fact("phone", Kind.LINE, printed=True),
    Fact("email", Kind.EMAIL, printed=True),
    Fact("address", Kind.PAIR, printed=True),
    Fact("privacy_title", Kind.PAIR, printed=True),
    Fact("privacy_email", Kind.EMAIL, printed=True),
    Fact("hosting_place", Kind.PAIR, printed=True),
    Fact("retention", Kind.PAIR, printed=True),
    Fact("sender", Kind.EMAIL),
    Fact("asks_newsletter", Kind.SWITCH),
    Fact("asks_survey", Kind.SWITCH),
    Fact("form_open", Kind.SWITCH),
)


def programme() -> Programme:
    """The facts as they stand."""
    found: Programme = book().once(PREFIX, _read)
    return found


def _read() -> Programme:
    settings: Settings = current_app.extensions["settings"]
    pairs = book().pairs
    saved = {fact: pairs[f"{PREFIX}.{fact.name}"] for fact in FACTS if f"{PREFIX}.{fact.name}" in pairs}
    values = {
        fact.name: value if fact.kind is Kind.PAIR else value["fr"] == YES if fact.kind is Kind.SWITCH else value["fr"]
        for fact, value in saved.items()
    }
    return replace(settings.programme, **values)  # type: ignore[arg-type]


def missing(facts: Programme) -> list[str]:
    """Facts that the notice prints and that are empty, by name."""
    return [fact.name for fact in FACTS if fact.printed and not _filled(getattr(facts, fact.name))]


def _filled(value: object) -> bool:
    return all(value.values()) if isinstance(value, dict) else bool(value)


def form_is_open() -> bool:
    """Whether requests can be begun: somebody opened the form, and nothing the notice prints is missing."""
    facts = programme()
    return facts.form_open and not missing(facts)
