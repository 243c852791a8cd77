"""What files are found by, the pairs that look alike with what was judged of them, and merges with their journal."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import Base, code, one_of


class Verdict(StrEnum):
    """What somebody decided of two files."""

    SAME_PROJECT = "same_project"  # one was merged into the other
    SAME_PERSON = "same_person"  # with another project: both files go on, and know of each other
    SAME_TEAM = "same_team"  # one project, two people who each asked: both files go on, and know of each other
    RELATED = "related"  # two projects that go together: both files go on, and know of each other
    DIFFERENT = "different"  # remembered, so that it is not asked again


_UNDECIDED = text("verdict IS NULL")
_STANDING = text("undone_at IS NULL")


class MatchKey(Base):
    """A key that a file is found under (`matching.keys`)."""

    __tablename__ = "match_key"
    __table_args__ = (Index("ix_match_key_case", "case_id"), {"sqlite_with_rowid": False})

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True, autoincrement=False)


class LikePair(Base):
    """Two files that look alike; the older has the smaller number."""

    __tablename__ = "like_pair"
    __table_args__ = (
        one_of("verdict", Verdict),
        CheckConstraint("older_id < newer_id", name="in_order"),
        Index("ix_like_pair_newer", "newer_id"),
        Index("ix_like_pair_undecided", "found_at", postgresql_where=_UNDECIDED, sqlite_where=_UNDECIDED),
    )

    older_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True, autoincrement=False)
    newer_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True, autoincrement=False)
    score: Mapped[int]
    reasons: Mapped[list[str]]
    found_at: Mapped[datetime]
    verdict: Mapped[Verdict | None] = mapped_column(code(Verdict))
    judged_at: Mapped[datetime | None]
    judged_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))

    older: Mapped[Case] = relationship(foreign_keys=[older_id])
    newer: Mapped[Case] = relationship(foreign_keys=[newer_id])


class CaseMerge(Base):
    """One merge. `journal` holds, for each part, which rows it moved and which values it filled: what undoing needs."""

    __tablename__ = "case_merge"
    __table_args__ = (
        Index("ix_case_merge_gone", "gone_id", unique=True, postgresql_where=_STANDING, sqlite_where=_STANDING),
        Index("ix_case_merge_kept", "kept_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    gone_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    kept_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    at: Mapped[datetime]
    by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    journal: Mapped[dict[str, Any]]
    final: Mapped[bool] = mapped_column(
        default=False
    )  # thirty days passed: it cannot be undone, and the journal is empty
    undone_at: Mapped[datetime | None]
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))

    gone: Mapped[Case] = relationship(foreign_keys=[gone_id])
    kept: Mapped[Case] = relationship(foreign_keys=[kept_id])
    by: Mapped[Staff] = relationship(foreign_keys=[by_id])
