"""The list of files. Their bytes lie in the data folder, sealed each with a key of its own that only its row knows."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, code, one_of
from crm.files.kinds import FileKind

_STAGED = text("draft_id IS NOT NULL")


class StoredFile(Base):
    """A file of an unfinished request, whose name and key are sealed with the secret key, or of a file of ours.

    Destroying the row destroys the key: what is left in the folder cannot be read by anybody.
    """

    __tablename__ = "stored_file"
    __table_args__ = (
        one_of("kind", FileKind),
        CheckConstraint("(draft_id IS NULL) <> (case_id IS NULL)", name="of_one_thing"),
        CheckConstraint("(sealed IS NULL) = (draft_id IS NULL) AND (content_key IS NULL) = (case_id IS NULL)", name="sealed_while_staged"),
        Index("ix_stored_file_staged", "draft_id", postgresql_where=_STAGED, sqlite_where=_STAGED),
        Index("ix_stored_file_case", "case_id"),
        {"sqlite_autoincrement": True},  # a number of one that was destroyed is never another's
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int | None] = mapped_column(ForeignKey("draft.id"))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    place: Mapped[str] = mapped_column(String(32), unique=True)  # its name in the folder: drawn at random
    kind: Mapped[FileKind] = mapped_column(code(FileKind))
    size: Mapped[int]  # bytes, as kept
    sha256: Mapped[str] = mapped_column(String(64))
    added_at: Mapped[datetime]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    name: Mapped[str] = mapped_column(String(160), default="", server_default=text("''"))
    content_key: Mapped[bytes | None] = mapped_column(LargeBinary)
