"""Sheets that were brought in: how each is read, its rows, and what became of every one of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base, code, one_of


class ImportState(StrEnum):
    """`reading`: its rows are being stored. `mapping`: somebody says what its columns hold. The others say what is under way or done."""

    READING = "reading"
    MAPPING = "mapping"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class RowState(StrEnum):
    """What is known of a row, then what became of it."""

    UNREAD = "unread"
    NEW = "new"  # a file would be made of it
    SAME = "same"  # it was imported before
    TWIN = "twin"  # it says the same as an earlier row of this sheet
    LIKE = "like"  # it looks like a file that is here, or like an earlier row
    WRONG = "wrong"  # no file can be made of it
    DONE = "done"
    REMOVED = "removed"  # its file was taken back
    KEPT = "kept"  # its file was worked on since, and stays


class Import(Base):
    """One sheet that somebody brought. `plan` is how its columns are read; `told` says how the sheet itself was."""

    __tablename__ = "import_run"
    __table_args__ = (one_of("state", ImportState), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    actor_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    name: Mapped[str] = mapped_column(String(160))
    state: Mapped[ImportState] = mapped_column(code(ImportState))
    titles: Mapped[list[str]]
    told: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    total: Mapped[int] = mapped_column(default=0)
    numbers: Mapped[dict[str, Any] | None]  # how many rows ended how, once the rows themselves are destroyed
    made_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    actor: Mapped[Staff] = relationship()


class ImportRow(Base):
    """One row of a sheet. `line` is its number as people see it; `place` counts from nought."""

    __tablename__ = "import_row"
    __table_args__ = (
        one_of("state", RowState),
        Index("ix_import_row_state", "import_id", "state", "place"),
        Index("ix_import_row_case", "case_id"),
    )

    import_id: Mapped[int] = mapped_column(ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    line: Mapped[int]
    cells: Mapped[list[str]]
    state: Mapped[RowState] = mapped_column(code(RowState))
    told: Mapped[dict[str, Any] | None]  # faults, how many remarks, what it looks like and why
    wanted: Mapped[bool] = mapped_column(default=False)  # a file is made of it although it looks like another
    case_id: Mapped[int | None]  # the file that was made of it; no foreign key: taken back, the number stays


class ImportKey(Base):
    """What tells a row from all others that were ever brought in: the same sheet twice adds nothing. `trace` is a digest."""

    __tablename__ = "import_key"
    __table_args__ = (Index("ix_import_key_case", "case_id"),)

    trace: Mapped[str] = mapped_column(String(32), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))


class ImportTrait(Base):
    """Under what rows of one sheet are found, so that two rows about one person are seen. Gone once the sheet is imported."""

    __tablename__ = "import_trait"

    import_id: Mapped[int] = mapped_column(ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(String(32), primary_key=True)
    place: Mapped[int]


class ImportPlan(Base):
    """How columns of certain titles are read, kept under a name for the next sheet that has them."""

    __tablename__ = "import_plan"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    titles: Mapped[str] = mapped_column(Text)  # folded, one a line
    plan: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]
    saved_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
