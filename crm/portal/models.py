"""What the person and the team write to each other, and the answers that the person would have corrected."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base, code, one_of


class About(StrEnum):
    """A message; or, before answers could be corrected one by one, a correction told in words."""

    MESSAGE = "message"
    CORRECTION = "correction"


class PersonMessage(Base):
    """Text from the person to the team. `form_key` came with the blank form: sent twice, it is one message."""

    __tablename__ = "person_message"
    __table_args__ = (one_of("about", About), Index("ix_person_message_case", "case_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    about: Mapped[About] = mapped_column(code(About))
    body: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]


class StaffMessage(Base):
    """Text from the team to the person: it leaves by mail when there is an address, and is read on their page. Notes are another table."""

    __tablename__ = "staff_message"
    __table_args__ = (Index("ix_staff_message_case", "case_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    body: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]

    author: Mapped[Staff] = relationship()


class CorrectionState(StrEnum):
    OPEN = "open"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


_OPEN = text("state = 'open'")


class Correction(Base):
    """Answers of one page of questions that the person would have otherwise. Nothing changes until staff confirm.

    `changes` holds, by question, the answer as it `was` and as it is `wanted`, as lists of codes or words.
    """

    __tablename__ = "correction"
    __table_args__ = (
        one_of("state", CorrectionState),
        Index("ix_correction_case", "case_id"),
        Index("ix_correction_sent", "sent_at"),
        Index("ix_correction_open", "sent_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    page: Mapped[str] = mapped_column(String(10))
    changes: Mapped[dict[str, Any]]
    sent_at: Mapped[datetime]
    state: Mapped[CorrectionState] = mapped_column(code(CorrectionState), default=CorrectionState.OPEN)
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(Text, default="")


class MessageTemplate(Base):
    """A message that the team sends often, kept under a name in both languages. Names between braces become each person's own facts."""

    __tablename__ = "message_template"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    fr: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
