"""A summary, from the draft that makes itself to what was published, which never changes."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
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
