"""Changes made to many files at once: what was asked, of which files, and what became of each."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases import vocabulary as v
from crm.db import Base, code, one_of


class RunState(StrEnum):
    """`draft`: files chosen, nothing asked yet or nothing begun. The others say what is under way or done."""

    DRAFT = "draft"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class ItemState(StrEnum):
    """What became of one file: `refused` was left alone, `kept` could not be undone."""

    TODO = "todo"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    KEPT = "kept"


class BulkRun(Base):
    """One change asked of many files by one person. `values` is the form as it was sent."""

    __tablename__ = "bulk_run"
    __table_args__ = (
        one_of("state", RunState),
        Index("ix_bulk_run_actor", "actor_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    actor_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    action: Mapped[str] = mapped_column(String(20), default="")
    values: Mapped[dict[str, Any] | None]
    state: Mapped[RunState] = mapped_column(code(RunState))
    total: Mapped[int]
    come_from: Mapped[str] = mapped_column(Text, default="")  # the list they were chosen on, as an address writes it
    made_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    actor: Mapped[Staff] = relationship()


class BulkItem(Base):
    """One file of a run, as it stood when it was chosen, and what became of it."""

    __tablename__ = "bulk_item"
    __table_args__ = (
        one_of("state", ItemState),
        one_of("seen_stage", v.Stage),
        Index("ix_bulk_item_state", "run_id", "state", "place"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("bulk_run.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    seen_stage: Mapped[v.Stage] = mapped_column(code(v.Stage))
    seen_owner_id: Mapped[int | None]
    state: Mapped[ItemState] = mapped_column(code(ItemState))
    said: Mapped[str] = mapped_column(Text, default="")  # why it was left alone, in the language of who asked
    journal: Mapped[dict[str, Any] | None]  # what undoing needs
