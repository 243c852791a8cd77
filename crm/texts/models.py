"""Texts that coordinators wrote in the place of those that ship."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Publication(Base):
    """One version of a text, in both languages. Rows are added, never changed: the newest of a key is what people read.

    `fr_at` and `en_at` say when each language was last written, or found right as it is: English is never ahead.
    """

    __tablename__ = "publication"
    __table_args__ = (
        CheckConstraint("en_at <= fr_at", name="french_first"),
        Index("ix_publication_key", "key", "id"),
        UniqueConstraint("key", "after"),  # two published at once: the second is told
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80))
    after: Mapped[int]  # the version it takes the place of; 0 for what ships
    fr: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    fr_at: Mapped[datetime]
    en_at: Mapped[datetime]
    at: Mapped[datetime]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))


class TextDraft(Base):
    """A text being written, which nobody but coordinators reads."""

    __tablename__ = "text_draft"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    fr: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    based_on: Mapped[int]  # the version that people read when it was begun
    saved_at: Mapped[datetime]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
