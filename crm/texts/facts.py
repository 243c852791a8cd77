"""The programme's facts: what pages and messages say of it.

They come from `programme.toml` (the one that ships, then the one of the data folder), then from what a coordinator saved in the
settings, which is kept as texts under "programme." and wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from flask import current_app
from sqlalchemy import func, select

from crm.business_days import Calendar, read_closures
from crm.config import Programme, Settings
from crm.db import db
from crm.texts import book
from crm.texts.models import Publication

PREFIX = "programme"
YES, NO = "yes", "no"


class Kind(StrEnum):
    """How a fact is typed and read."""

    LINE = "line"  # one text, the same in both languages
    PAIR = "pair"
    EMAIL = "email"
    SWITCH = "switch"
    DAYS = "days"  # days and periods, as `read_closures` reads them


@dataclass(frozen=True)
class Fact:
    """One fact. `printed` by the notice: the form stays closed while it is empty."""

    name: str
    kind: Kind
    printed: bool = False


FACTS = (
    Fact("form_open", Kind.SWITCH),
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
    Fact("easter_monday", Kind.SWITCH),
    Fact("closures", Kind.DAYS),
    Fact("asks_newsletter", Kind.SWITCH),
    Fact("asks_survey", Kind.SWITCH),
    Fact("asks_files", Kind.SWITCH),
)


def programme() -> Programme:
    """The facts as they stand."""
    found: Programme = book().once(PREFIX, _read)
    return found


def calendar() -> Calendar:
    """Which days are business days, by the facts as they stand."""
    found: Calendar = book().once("calendar", _calendar)
    return found


def _calendar() -> Calendar:
    facts = programme()
    return Calendar(facts.easter_monday, read_closures(facts.closures) or ())


def _read() -> Programme:
    return _replaced({key: value for key, value in book().pairs.items() if key.startswith(f"{PREFIX}.")})


def facts_before(publication: int) -> Programme:
    """The facts as they stood before a publication: what an earlier version of a page printed."""
    newest = (
        select(func.max(Publication.id))
        .where(Publication.key.startswith(f"{PREFIX}.", autoescape=True), Publication.id < publication)
        .group_by(Publication.key)
    )
    rows = db.session.execute(select(Publication.key, Publication.fr, Publication.en).where(Publication.id.in_(newest)))
    return _replaced({row.key: {"fr": row.fr, "en": row.en} for row in rows})


def _replaced(saved: Mapping[str, Mapping[str, str]]) -> Programme:
    """The facts of the files with those that were saved in their place."""
    settings: Settings = current_app.extensions["settings"]
    values: dict[str, object] = {}
    for fact in FACTS:
        value = saved.get(f"{PREFIX}.{fact.name}")
        if value is not None:
            values[fact.name] = (
                value if fact.kind is Kind.PAIR else value["fr"] == YES if fact.kind is Kind.SWITCH else value["fr"]
            )
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
