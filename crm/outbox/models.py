"""The queue and ledger of messages."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, code, one_of

LATE_FROM = timedelta(minutes=5)


class Status(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"  # given up: staff see it and may send it again
    UNKNOWN = "unknown"  # twice handed over whole without an answer: it may have arrived
    DROPPED = "dropped"  # no longer true when its turn came


class Why(StrEnum):
    """Why a message was dropped."""

    NOT_TRUE = "not_true"
    LINK_CLOSED = "link_closed"
    NO_ADDRESS = "no_address"


_WAITING = text("status IN ('queued', 'claimed')")
_DROPPED = text("status = 'dropped'")
_IN_TROUBLE = text("status IN ('failed', 'unknown') AND settled_at IS NULL")


class Message(Base):
    """One message to one person, rendered in that person's language when it was queued.

    Where the text needs a link, it holds "[link]": the sender makes the token while sending.
    A message about no file is read by `staff_id`, the person of the team it is for, or by coordinators when it is for an outsider.
    """

    __tablename__ = "message"
    __table_args__ = (
        one_of("status", Status),
        one_of("why", Why),
        UniqueConstraint("dedupe_key"),
        Index("ix_message_waiting", "due_at", "id", postgresql_where=_WAITING, sqlite_where=_WAITING),
        Index("ix_message_in_trouble", "id", postgresql_where=_IN_TROUBLE, sqlite_where=_IN_TROUBLE),
        Index("ix_message_dropped", "id", postgresql_where=_DROPPED, sqlite_where=_DROPPED),
        Index("ix_message_case", "case_id"),
        Index("ix_message_link", "link_id", postgresql_where=text("link_id IS NOT NULL"),
              sqlite_where=text("link_id IS NOT NULL")),
        Index("ix_message_staff", "staff_id", "id", postgresql_where=text("staff_id IS NOT NULL"),
              sqlite_where=text("staff_id IS NOT NULL")),
        Index("ix_message_again_of", "again_of_id", postgresql_where=text("again_of_id IS NOT NULL"),
              sqlite_where=text("again_of_id IS NOT NULL")),
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
    first_due_at: Mapped[datetime]  # when it was to leave at first; `due_at` moves with each try
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    unknowns: Mapped[int] = mapped_column(default=0)  # how often it was handed over whole and no answer came
    claimed_by: Mapped[str | None] = mapped_column(String(60))
    claimed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    final_at: Mapped[datetime | None]
    returned_at: Mapped[datetime | None]  # when a server said that what another took could not be delivered
    auto_replied_at: Mapped[datetime | None]  # when the recipient's mail program answered by itself
    answer: Mapped[str | None] = mapped_column(String(300))  # what the server said when it took it
    last_error: Mapped[str | None] = mapped_column(String(300))
    why: Mapped[Why | None] = mapped_column(code(Why))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    again_of_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))  # the one that this is a further copy of
    again_at: Mapped[datetime | None]  # when somebody asked for it to leave again
    again_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    settled_at: Mapped[datetime | None]  # when somebody said that its trouble is seen to
    settled_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))

    @property
    def late(self) -> timedelta | None:
        """How long after its time it left, when that is worth telling."""
        if self.status is not Status.SENT or self.final_at is None:
            return None
        waited = self.final_at - self.first_due_at
        return waited if waited >= LATE_FROM else None


class MailPause(Base):
    """While the mail server refuses us as such, not one message: nothing is sent before `try_at`. One row or none."""

    __tablename__ = "mail_pause"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[datetime]
    try_at: Mapped[datetime]
    said: Mapped[str] = mapped_column(String(300))


# In the very words of the indexes' conditions: with bound values SQLite would walk the whole ledger.
WAITING = Message.status.in_([literal_column("'queued'"), literal_column("'claimed'")])  # not sent yet
IN_TROUBLE: ColumnElement[bool] = and_(
    Message.status.in_([literal_column("'failed'"), literal_column("'unknown'")]), Message.settled_at.is_(None)
)
DROPPED: ColumnElement[bool] = Message.status == literal_column("'dropped'")
