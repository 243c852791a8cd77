"""The queue and ledger of messages."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, code, one_of


class Status(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"  # given up: staff see it and may send it again
    DROPPED = "dropped"  # no longer true when its turn came


_WAITING = text("status IN ('queued', 'claimed')")


class Message(Base):
    """One message to one person, rendered in that person's language when it was queued.

    Where the text needs a link, it holds "[link]": the sender makes the token while sending.
    """

    __tablename__ = "message"
    __table_args__ = (
        one_of("status", Status),
        UniqueConstraint("dedupe_key"),
        Index("ix_message_waiting", "due_at", "id", postgresql_where=_WAITING, sqlite_where=_WAITING),
        Index("ix_message_failed", "id", postgresql_where=text("status = 'failed'"),
              sqlite_where=text("status = 'failed'")),
        Index("ix_message_case", "case_id"),
        Index("ix_message_link", "link_id", postgresql_where=text("link_id IS NOT NULL"),
              sqlite_where=text("link_id IS NOT NULL")),
        {"sqlite_autoincrement": True},  # Message-IDs are made from ids: none is ever used twice
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    dedupe_key: Mapped[str] = mapped_column(String(120))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    link_id: Mapped[int | None] = mapped_column(ForeignKey("link.id"))
    subject_ids: Mapped[dict[str, Any]]  # ids that `still_true` and `on_final` need
    language: Mapped[str] = mapped_column(String(2))
    to_address: Mapped[str] = mapped_column(String(254))
    to_name: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[Status] = mapped_column(code(Status), default=Status.QUEUED)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(60))
    lease_until: Mapped[datetime | None]
    final_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(300))


# Not sent yet. In the very words of the index's condition: with bound values SQLite would walk the whole ledger.
WAITING = Message.status.in_([literal_column("'queued'"), literal_column("'claimed'")])
