"""Words by which the team sorts its files."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base

LONGEST, LONGEST_KEY = 40, 160  # ligatures and letters of other alphabets unfold


class Tag(Base):
    """One word or a few. `key` is the name without accents or case: two tags never differ by these alone."""

    __tablename__ = "tag"
    __table_args__ = ({"sqlite_autoincrement": True},)  # what a removed tag was is never another's

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST))
    key: Mapped[str] = mapped_column(
        String(LONGEST_KEY), unique=True
    )  # ligatures and letters of other alphabets unfold
    version: Mapped[int] = mapped_column(default=1)


class CaseTag(Base):
    """A tag on a file."""

    __tablename__ = "case_tag"
    __table_args__ = (Index("ix_case_tag_tag", "tag_id", "case_id"),)

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), primary_key=True)
