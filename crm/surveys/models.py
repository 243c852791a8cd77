"""What became of a project: what was asked after its file closed, and what was answered."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base, code, one_of


class Going(StrEnum):
    """Where the project stands, as the person says."""

    ACTIVE = "active"
    BUILDING = "building"
    WAITING = "waiting"
    STOPPED = "stopped"


class Survey(Base):
    """One asking, so many months after the closing of a file. `occurrence` names it: the file, the day it closed and the months, once for all."""

    __tablename__ = "survey"
    __table_args__ = (one_of("going", Going), Index("ix_survey_case", "case_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    occurrence: Mapped[str] = mapped_column(String(40), unique=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    months: Mapped[int]
    asked_on: Mapped[date]
    reminded_on: Mapped[date | None]
    answered_at: Mapped[datetime | None]
    going: Mapped[Going | None] = mapped_column(code(Going))
    people: Mapped[int | None]  # who work in it or belong to it
    note: Mapped[str] = mapped_column(Text, default="")

    case: Mapped[Case] = relationship()
