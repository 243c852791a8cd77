"""What is searched: the words of files and of the texts in them.

The index over them belongs to each database and is made by the migration: FTS5 tables kept by triggers on SQLite, a column and a GIN
index on PostgreSQL. Their names begin with `fts_`, and no model speaks of them: see `engine`.
"""

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class SearchFile(Base):
    """The words of what a file is: who asks, which project, under which number, which bodies were written to."""

    __tablename__ = "search_file"

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True, autoincrement=False)
    words: Mapped[str] = mapped_column(Text)


class SearchText(Base):
    """The words of one text of a file: a note, a message, what was said. `kind` names the feature's table, `source_id` its row."""

    __tablename__ = "search_text"
    __table_args__ = (
        Index("ix_search_text_source", "kind", "source_id", unique=True),
        Index("ix_search_text_case", "case_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    kind: Mapped[str] = mapped_column(String(12))
    source_id: Mapped[int]
    words: Mapped[str] = mapped_column(Text)
