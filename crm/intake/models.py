"""Requests as they were sent: the answers, and what the person was told when sending."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base


class Request(Base):
    """`form_key` was made with the blank form: the same form sent again is the same request."""

    __tablename__ = "request"
    __table_args__ = (Index("ix_request_case", "case_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    received_at: Mapped[datetime]
    page_language: Mapped[str] = mapped_column(String(2))
    notice_version: Mapped[str] = mapped_column(String(20))
    answers: Mapped[dict[str, Any]]

    case: Mapped[Case] = relationship()
