"""The texts as they stand: what ships, with the newest version of each text that was published in its place.

Each process keeps the book it made and asks the database at most once a second whether another was published since; the one
that publishes sees it at once. When the database cannot answer, the last book serves: an error page must not fail in its turn.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, current_app
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from crm import clock
from crm.db import db
from crm.texts import Book, book, everything
from crm.texts.facts import FACTS, PREFIX
from crm.texts.models import Publication

log = logging.getLogger(__name__)
FRESH_FOR = 1.0  # seconds
SHIPPED_AT = datetime.fromisoformat("2026-11-01T00:00:00+00:00")


@dataclass
class Shelf:
    """The book that this process reads from, and until when it need not ask whether there is another."""

    book: Book
    fresh_until: float = 0

    def read(self) -> Book:
        """The texts as they stand."""
        if time.monotonic() >= self.fresh_until:
            try:
                with db.session.no_autoflush:
                    self._ask()
            except SQLAlchemyError as error:
                log.warning("texts could not be read: %s", type(error).__name__)
            self.fresh_until = time.monotonic() + FRESH_FOR
        return self.book

    def _ask(self) -> None:
        # The count too: of two transactions that end in another order than they began, neither is missed.
        stamp = "{}.{}".format(*db.session.execute(select(func.max(Publication.id), func.count())).one())
        if stamp == self.book.stamp or (stamp == "None.0" and not self.book.stamp):
            return
        newest = select(func.max(Publication.id)).group_by(Publication.key)
        rows = db.session.execute(
            select(Publication.key, Publication.fr, Publication.en).where(Publication.id.in_(newest))
        )
        self.book = Book(everything() | {row.key: {"fr": row.fr, "en": row.en} for row in rows}, stamp)


def init_app(app: Flask) -> None:
    """Read texts from the database of this app."""
    app.extensions["texts_shelf"] = shelf = Shelf(Book(everything()))  # its own: facts are an app's
    app.extensions["texts"] = shelf.read


def forget() -> None:
    """Ask the database again at the next reading."""
    current_app.extensions["texts_shelf"].fresh_until = 0


class EnglishAheadError(Exception):
    """The English would be newer than the French: nothing was changed."""


def newest(key: str) -> Publication | None:
    """The version of a text that people read, if it is not the one that ships."""
    return db.session.scalar(select(Publication).where(Publication.key == key).order_by(Publication.id.desc()).limit(1))


def versions(key: str) -> list[Publication]:
    """Every published version of a text, the newest first."""
    return list(db.session.scalars(select(Publication).where(Publication.key == key).order_by(Publication.id.desc())))


def dated(before: "Standing", fr: str, en: str, *, now: datetime, both_agree: bool) -> tuple[datetime, datetime]:
    """When the French and the English of a new version were last found right. Pure.

    A language that changed is of now; `both_agree` says that somebody read both and that each says what the other does.
    Raises EnglishAheadError when the English would be newer than the French.
    """
    now = max(now, before.fr_at, before.en_at)  # a clock that was set back must not make the English the newer
    fr_at = now if both_agree or fr != before.fr else before.fr_at
    en_at = now if both_agree or en != before.en else before.en_at
    if en_at > fr_at:
        raise EnglishAheadError
    return fr_at, en_at


@dataclass(frozen=True)
class Standing:
    """A text as people read it now, and since when each language says so."""

    fr: str
    en: str
    fr_at: datetime = SHIPPED_AT
    en_at: datetime = SHIPPED_AT
    number: int = 0  # of the version; 0 for what ships

    @property
    def english_is_older(self) -> bool:
        return self.en_at < self.fr_at


def standing(key: str) -> Standing:
    """How a text stands. One that neither ships nor was published is blank."""
    found = newest(key)
    if found is not None:
        return Standing(found.fr, found.en, found.fr_at, found.en_at, found.id)
    ships = everything().get(key, {"fr": "", "en": ""})
    return Standing(ships["fr"], ships["en"])


def publish(key: str, fr: str, en: str, *, by_id: int | None, both_agree: bool = False) -> Publication | None:
    """Put a text in the place of what people read now; None when nothing changes. Raises EnglishAheadError (`dated`),
    and IntegrityError when another version took the same place meanwhile.
    """
    now, before = clock.now(), standing(key)
    fr_at, en_at = dated(before, fr, en, now=now, both_agree=both_agree)
    said = (fr, en) == (before.fr, before.en) and (before.number or key in everything())
    if said and not (both_agree and before.english_is_older):
        return None
    made = Publication(key=key, after=before.number, fr=fr, en=en, fr_at=fr_at, en_at=en_at, at=now, by_id=by_id)
    db.session.add(made)
    forget()
    return made


def version_of(prefix: str) -> str:
    """Which version of some texts people read now: the one that ships, and the number of the newest published under a prefix or of the facts they print."""
    now = book()

    def find() -> str:
        printed = [f"{PREFIX}.{fact.name}" for fact in FACTS if fact.printed]
        theirs = Publication.key.startswith(f"{prefix}.", autoescape=True) | Publication.key.in_(printed)
        last = db.session.scalar(select(func.max(Publication.id)).where(theirs))
        return now.pairs[f"{prefix}.version"]["fr"] + (f"+{last}" if last else "")

    found: str = now.once(("version", prefix), find)
    return found
