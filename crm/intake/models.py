"""Requests: unfinished ones, kept sealed for a week, and those that were sent, with what the person was told."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base


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
