"""Referrals to bodies, and the frozen copy of what each received."""

from datetime import date, datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import Base, code, one_of
from crm.partners.models import Body, Programme
from crm.permissions.models import Permission
from crm.referrals.outcomes import (
    WITHOUT_PERMISSION,
    DeclineReason,
    EndedBy,
    Outcome,
    Status,
    SupportUnit,
)

_WAITS = text("status = 'sent'")
_ANSWERED = text("answered_at IS NOT NULL")
_ASKED = text("status = 'consent_pending'")
_FREE = ", ".join(f"'{status}'" for status in sorted(WITHOUT_PERMISSION))


class Referral(Base):
    """`shared` is what left, frozen when it left: a list of {"field", "fr", "en"}.

    The columns of the last answer are written over by the next one; each answer stays in the history of the file.
    """

    __tablename__ = "referral"
    __table_args__ = (
        one_of("status", Status),
        one_of("decline_reason", DeclineReason),
        one_of("declined_by", EndedBy),
        one_of("outcome", Outcome),
        one_of("support_unit", SupportUnit),
        # Nothing leaves without a permission naming this body for this file.
        CheckConstraint(
            f"permission_id IS NOT NULL OR (sent_at IS NULL AND status IN ({_FREE}))", name="permission_first"
        ),
        ForeignKeyConstraint(
            ["permission_id", "case_id", "body_id"],
            ["permission.id", "permission.case_id", "permission.body_id"],
            name="fk_referral_permission_for_this_file_and_body",
            deferrable=True,  # when two files become one, a permission and its referral move together
            initially="IMMEDIATE",
        ),
        Index("ix_referral_case", "case_id"),
        Index("ix_referral_body", "body_id", "status"),
        Index("ix_referral_sent", "sent_at"),
        Index("ix_referral_answered", "body_id", "answered_at", postgresql_where=_ANSWERED, sqlite_where=_ANSWERED),
        Index("ix_referral_replied", "answered_at", postgresql_where=_ANSWERED, sqlite_where=_ANSWERED),
        Index("ix_referral_asked", "asked_until", postgresql_where=_ASKED, sqlite_where=_ASKED),
        Index("ix_referral_waits", "waits_since", postgresql_where=_WAITS, sqlite_where=_WAITS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    programme_id: Mapped[int | None] = mapped_column(
        ForeignKey("programme.id")
    )  # of the body's, the one that was thought of
    permission_id: Mapped[int | None] = mapped_column()
    status: Mapped[Status] = mapped_column(code(Status))
    purpose: Mapped[str] = mapped_column(Text)
    shared: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    created_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    # What the person was asked to allow, until when, and whether it leaves by itself once they say yes.
    asked_at: Mapped[datetime | None]
    asked_fields: Mapped[list[str] | None]
    asked_until: Mapped[date | None]
    sends_itself: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    sent_at: Mapped[datetime | None]
    waits_since: Mapped[
        datetime | None
    ]  # since when the body has the next word: it was sent, or what it asked was answered
    seen_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    decline_reason: Mapped[DeclineReason | None] = mapped_column(code(DeclineReason))
    declined_by: Mapped[EndedBy | None] = mapped_column(code(EndedBy))
    answered_for_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id")
    )  # who wrote the body's answer down for it
    answer_note: Mapped[str] = mapped_column(Text, default="")
    question: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))  # what the body asked for last
    reply: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))  # and what it was answered
    next_note: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))  # what the body does next
    next_on: Mapped[date | None]
    ended_at: Mapped[datetime | None]  # when what came of it was told
    outcome: Mapped[Outcome | None] = mapped_column(code(Outcome))
    outcome_note: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    support_amount: Mapped[int | None]
    support_unit: Mapped[SupportUnit | None] = mapped_column(code(SupportUnit))
    chases: Mapped[int] = mapped_column(
        default=0, server_default=text("0")
    )  # mails to the silent body about it, then one for the task

    case: Mapped[Case] = relationship(foreign_keys=[case_id])
    body: Mapped[Body] = relationship(foreign_keys=[body_id])
    programme: Mapped[Programme | None] = relationship(foreign_keys=[programme_id])
    answered_for: Mapped[Staff | None] = relationship(foreign_keys=[answered_for_id])
    permission: Mapped[Permission | None] = relationship(
        foreign_keys=[permission_id], primaryjoin=lambda: Referral.permission_id == Permission.id
    )


# In the very words of the indexes' conditions: with bound values SQLite may walk every referral.
WAITS: ColumnElement[bool] = Referral.status == literal_column("'sent'")
ASKED: ColumnElement[bool] = Referral.status == literal_column("'consent_pending'")
