"""A summary, from the draft that makes itself to what was published, which never changes."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base, code, one_of


class State(StrEnum):
    """`APPROVED` is what a second person approved, and of which the worker makes the files before it is published, all at once."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    PUBLISHED = "published"


class Summary(Base):
    """`figures` are numbers for staff; `shown` is what is released to the committee, small counts already hidden; `texts` are what the team writes, by language and part.

    `digest` is of all that was published: figures, definitions, texts and files.
    """

    __tablename__ = "summary"
    __table_args__ = (
        one_of("state", State),
        CheckConstraint("state <> 'published' OR published_at IS NOT NULL", name="published_on_a_day"),
        CheckConstraint("state NOT IN ('proposed', 'approved') OR proposed_by_id IS NOT NULL", name="proposed_by_one"),
        CheckConstraint("state <> 'approved' OR approved_by_id IS NOT NULL", name="approved_by_one"),
        CheckConstraint(
            "approved_by_id IS NULL OR proposed_by_id IS NULL OR approved_by_id <> proposed_by_id",
            name="two_people",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(String(10), unique=True)
    first_day: Mapped[date]
    last_day: Mapped[date]
    definitions: Mapped[str] = mapped_column(String(20))
    state: Mapped[State] = mapped_column(code(State))
    figures: Mapped[dict[str, Any]]
    shown: Mapped[dict[str, Any]]
    texts: Mapped[dict[str, Any]]
    # What each body is told of its own answers, by its code; none of what was taken before there was any.
    bodies: Mapped[dict[str, Any] | None]
    names: Mapped[list[str]]  # of people and projects, that the texts held when they were written
    made_at: Mapped[datetime]  # when the figures were taken
    proposed_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    approved_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    published_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    digest: Mapped[str] = mapped_column(
        String(64)
    )  # empty before publication, and of what was published before there were any
    version: Mapped[int]

    proposed_by: Mapped[Staff | None] = relationship(foreign_keys=[proposed_by_id])
    approved_by: Mapped[Staff | None] = relationship(foreign_keys=[approved_by_id])


class CountedFiles(Base):
    """The files that a frozen number counts, by their number: what staff reach from it, as far as they are still there."""

    __tablename__ = "summary_counted"
    __table_args__ = (UniqueConstraint("summary_id", "figure", "part"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    summary_id: Mapped[int] = mapped_column(ForeignKey("summary.id"), index=True)
    figure: Mapped[str] = mapped_column(String(40))
    part: Mapped[str] = mapped_column(String(40))  # a category, "part", "whole", "without" or nothing
    files: Mapped[list[int]] = mapped_column(JSON(none_as_null=True))


class Format(StrEnum):
    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"
    SVG = "svg"


class SummaryFile(Base):
    """A file of a published summary, kept with its digest, so that one that was changed is noticed. `table` names what it holds, nothing for the whole summary."""

    __tablename__ = "summary_file"
    __table_args__ = (one_of("format", Format), UniqueConstraint("summary_id", "format", "language", "table"))

    id: Mapped[int] = mapped_column(primary_key=True)
    summary_id: Mapped[int] = mapped_column(ForeignKey("summary.id"), index=True)
    format: Mapped[Format] = mapped_column(code(Format))
    language: Mapped[str] = mapped_column(String(2))
    table: Mapped[str] = mapped_column(String(40))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)


_TO_SEE_TO = sql("owner_id IS NOT NULL AND done_at IS NULL")


class Presence(Base):
    """Somebody with an account who was at a session."""

    __tablename__ = "session_presence"

    session_id: Mapped[int] = mapped_column(ForeignKey("summary_session.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)


class Session(Base):
    """A session of the committee on the summary of a period. What is written of it is the team's: members read published summaries alone.

    `others` are those present who have no account, as they were typed.
    """

    __tablename__ = "summary_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(String(10), unique=True)
    held_on: Mapped[date | None]
    others: Mapped[str] = mapped_column(Text)
    version: Mapped[int]

    present: Mapped[list[Staff]] = relationship(secondary="session_presence", order_by=Staff.name)
    points: Mapped[list["Point"]] = relationship(back_populates="session", order_by="Point.id")


class Point(Base):
    """What a session is asked to decide; then what it decided, and who follows it up, by when. `done_at`: it was seen to."""

    __tablename__ = "session_point"
    __table_args__ = (
        CheckConstraint("(owner_id IS NULL) = (due_on IS NULL)", name="followed_up_by_a_day"),
        CheckConstraint("decision <> '' OR (owner_id IS NULL AND done_at IS NULL)", name="decided_first"),
        Index("ix_session_point_open", "owner_id", "due_on", postgresql_where=_TO_SEE_TO, sqlite_where=_TO_SEE_TO),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("summary_session.id"), index=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    decision: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    due_on: Mapped[date | None]
    done_at: Mapped[datetime | None]
    version: Mapped[int]

    session: Mapped[Session] = relationship(back_populates="points")
    owner: Mapped[Staff | None] = relationship()
