"""Requests: unfinished ones, kept sealed for a week, and those that were sent, with what the person was told."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base, code, one_of


class Request(Base):
    """A request as it was sent. `form_key` comes from its draft: the same draft sent again is the same request."""

    __tablename__ = "request"
    __table_args__ = (Index("ix_request_case", "case_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    received_at: Mapped[datetime]
    page_language: Mapped[str] = mapped_column(String(2))
    notice_version: Mapped[str] = mapped_column(String(20))
    answers: Mapped[dict[str, Any]]
    suspicions: Mapped[list[str] | None]  # why it was set aside, if it was

    case: Mapped[Case] = relationship()


class Draft(Base):
    """A request being written. `sealed` holds what was typed, and is empty once the request is sent.

    `key` names the draft; the cookie is that name signed, so that a copy of this table opens nothing.
    """

    __tablename__ = "draft"
    __table_args__ = (Index("ix_draft_saved", "saved_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(43), unique=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    started_at: Mapped[datetime]
    saved_at: Mapped[datetime]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    request_id: Mapped[int | None] = mapped_column(ForeignKey("request.id"))


class Arrangements(Base):
    """What the person asked us to plan for a talk. Read by the file's owner only; destroyed when the file closes."""

    __tablename__ = "arrangements"

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Agreed(StrEnum):
    """How a person agreed that a partner gives us their details."""

    VERBAL = "verbal"
    WRITTEN = "written"


class Answer(StrEnum):
    """What the person says when we ask whether we may contact them."""

    YES = "yes"
    NO = "no"


_UNANSWERED = text("answer IS NULL")


class Introduction(Base):
    """A project that a partner sent our way (form B: domain reference, section 13.3, consent C7).

    The person is asked; without an answer by `answer_until`, what identifies them is destroyed (`destroyed_at`).
    """

    __tablename__ = "introduction"
    __table_args__ = (
        one_of("agreed", Agreed),
        one_of("answer", Answer),
        Index("ix_introduction_unanswered", "answer_until", postgresql_where=_UNANSWERED, sqlite_where=_UNANSWERED),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    organization: Mapped[str] = mapped_column(String(200))
    contact_name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))
    agreed: Mapped[Agreed] = mapped_column(code(Agreed))
    agreed_on: Mapped[date]
    summary: Mapped[str] = mapped_column(Text)
    answer_until: Mapped[date]
    answer: Mapped[Answer | None] = mapped_column(code(Answer))
    answered_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]

    case: Mapped[Case] = relationship()
