"""Events and their detail.

An event holds codes and numbers only and is never changed. What identifies people (names, reasons, old and new
values) is in its detail row, which destruction at the end of retention can remove. Triggers in the database refuse
an UPDATE of either and a DELETE of an event (migration 20261122_1200).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.db import Base, code, one_of


class ActorKind(StrEnum):
    STAFF = "staff"
    PERSON = "person"  # the entrepreneur
    BODY = "body"
    SYSTEM = "system"


class Event(Base):
    __tablename__ = "event"
    __table_args__ = (
        one_of("actor_kind", ActorKind),
        Index("ix_event_case_at", "case_id", "at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    actor_kind: Mapped[ActorKind] = mapped_column(code(ActorKind))
    actor_id: Mapped[int | None]
    codes: Mapped[dict[str, Any]]

    detail: Mapped["EventDetail | None"] = relationship(back_populates="event")


class EventDetail(Base):
    __tablename__ = "event_detail"

    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"), primary_key=True)
    values: Mapped[dict[str, Any]]

    event: Mapped[Event] = relationship(back_populates="detail")
