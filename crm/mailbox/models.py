"""What came in by mail, and how far the mailbox was read."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base, code, one_of


class State(StrEnum):
    TRAY = "tray"  # somebody must say where it belongs
    FILED = "filed"
    ASIDE = "aside"  # not for us: destroyed after a while


class Why(StrEnum):
    """Why a mail was not put on a file by itself."""

    UNKNOWN = "unknown"  # nothing in it shows that it answers a message of ours
    OTHER_ADDRESS = "other_address"  # it answers one, from another address than those of the file
    NO_FILE = "no_file"  # it answers one that is about no file, or about one that may not be written to
    LARGE = "large"  # too large to be read
    UNREADABLE = "unreadable"


class MailboxPlace(Base):
    """How far the mailbox was read. One row, or none before the first reading."""

    __tablename__ = "mailbox_place"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mailbox: Mapped[str] = mapped_column(String(64))  # which one, as a digest
    validity: Mapped[int] = mapped_column(BigInteger)  # UIDVALIDITY: another one means that all numbers changed
    next_uid: Mapped[int] = mapped_column(BigInteger)
    read_at: Mapped[datetime]


_IN_TRAY = text("state = 'tray'")
_ASIDE = text("state = 'aside'")
_DUE = text("attachments_due IS TRUE")


class ReceivedMail(Base):
    """An e-mail that somebody wrote. `dedupe_key` tells one from another whatever its place in the mailbox, where it stays."""

    __tablename__ = "received_mail"
    __table_args__ = (
        one_of("state", State),
        one_of("why", Why),
        Index("ix_received_mail_tray", "id", postgresql_where=_IN_TRAY, sqlite_where=_IN_TRAY),
        Index("ix_received_mail_aside", "decided_at", postgresql_where=_ASIDE, sqlite_where=_ASIDE),
        Index("ix_received_mail_due", "id", postgresql_where=_DUE, sqlite_where=_DUE),
        Index("ix_received_mail_case", "case_id"),
        Index("ix_received_mail_suggested", "suggested_id", postgresql_where=text("suggested_id IS NOT NULL"),
              sqlite_where=text("suggested_id IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(64), unique=True)
    validity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]  # when we read it: what its headers say is anybody's word
    from_address: Mapped[str] = mapped_column(String(254))
    from_name: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)  # all of it, as text
    said: Mapped[str] = mapped_column(Text)  # what is new in it
    attachments: Mapped[list[str]]  # names of the files that came along
    attachments_due: Mapped[bool] = mapped_column(
        default=False
    )  # to be fetched from the mailbox and kept with the file
    state: Mapped[State] = mapped_column(code(State))
    why: Mapped[Why | None] = mapped_column(code(Why))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    # A guess keeps no file from being taken back.
    suggested_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id", ondelete="SET NULL"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))

    case: Mapped[Case | None] = relationship(foreign_keys=[case_id])
    suggested: Mapped[Case | None] = relationship(foreign_keys=[suggested_id])


# In the very words of the indexes' conditions, as the ledger's.
IN_TRAY: ColumnElement[bool] = ReceivedMail.state == literal_column("'tray'")
ASIDE: ColumnElement[bool] = ReceivedMail.state == literal_column("'aside'")
DUE: ColumnElement[bool] = ReceivedMail.attachments_due.is_(literal_column("TRUE"))
