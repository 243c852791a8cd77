"""Talks booked with a person. Opening hours and booking by the public come with the talks issue."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base, code, one_of

_BOOKED = text("state = 'booked'")


class Mode(StrEnum):
    PHONE = "phone"
    VIDEO = "video"
    IN_PERSON = "in_person"


class TalkState(StrEnum):
    BOOKED = "booked"
    HELD = "held"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"


class Talk(Base):
    __tablename__ = "talk"
    __table_args__ = (
        one_of("mode", Mode),
        one_of("state", TalkState),
        Index("ix_talk_case", "case_id", "state"),
        # One adviser, one talk at a time.
        Index(
            "uq_talk_adviser_start",
            "adviser_id",
            "starts_at",
            unique=True,
            postgresql_where=_BOOKED,
            sqlite_where=_BOOKED,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    adviser_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    starts_at: Mapped[datetime]
    minutes: Mapped[int] = mapped_column(default=30)
    mode: Mapped[Mode] = mapped_column(code(Mode))
    state: Mapped[TalkState] = mapped_column(code(TalkState), default=TalkState.BOOKED)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    adviser: Mapped[Staff] = relationship()
