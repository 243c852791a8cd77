"""Talks booked with a person, the cells they take, and the hours that advisers offer."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
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
    """`sequence` goes up each time the talk changes: calendars tell an older copy by it."""

    __tablename__ = "talk"
    __table_args__ = (
        one_of("mode", Mode),
        one_of("state", TalkState),
        Index("ix_talk_case", "case_id", "state"),
        Index("ix_talk_adviser", "adviser_id", "starts_at"),
        Index("ix_talk_booked", "adviser_id", "starts_at", postgresql_where=_BOOKED, sqlite_where=_BOOKED),
        Index("ix_talk_coming", "starts_at", postgresql_where=_BOOKED, sqlite_where=_BOOKED),
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
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    reminded_for: Mapped[datetime | None]  # the start that the person was reminded of

    adviser: Mapped[Staff] = relationship()


class TalkCell(Base):
    """A quarter of an hour of one adviser, taken by one talk: the database gives it to nobody else."""

    __tablename__ = "talk_cell"
    __table_args__ = (Index("ix_talk_cell_talk", "talk_id"),)

    adviser_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    talk_id: Mapped[int] = mapped_column(ForeignKey("talk.id"))


class TalkRules(Base):
    """How an adviser is offered to the public."""

    __tablename__ = "talk_rules"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    offered: Mapped[bool]
    minutes: Mapped[int]
    buffer: Mapped[int]
    notice_hours: Mapped[int]
    languages: Mapped[list[str]]
    modes: Mapped[list[str]]
    regions: Mapped[list[str]]  # empty: everywhere
    video_address: Mapped[str] = mapped_column(String(300))
    place: Mapped[str] = mapped_column(String(300))
    version: Mapped[int] = mapped_column(default=1)


class Opening(Base):
    """Hours of one weekday, Monday being 0: minutes after midnight on a Montréal wall clock."""

    __tablename__ = "opening"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday_exists"),
        CheckConstraint("starts >= 0 AND starts < ends AND ends <= 1440", name="hours"),
        Index("ix_opening_staff", "staff_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    weekday: Mapped[int]
    starts: Mapped[int]
    ends: Mapped[int]


class OpeningException(Base):
    """The hours of one day in place of its weekday's: as they are typed, nothing when the day is closed."""

    __tablename__ = "opening_exception"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    hours: Mapped[str] = mapped_column(String(200))
