"""Referrals to bodies, and the frozen copy of what each received."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.cases.models import Case
from crm.db import Base, code, one_of
from crm.partners.models import Body
from crm.permissions.models import Permission
from crm.referrals.outcomes import WITHOUT_PERMISSION, DeclineReason, Status

_FREE = ", ".join(f"'{status}'" for status in sorted(WITHOUT_PERMISSION))


class Referral(Base):
    """`shared` is what left, frozen when it left: a list of {"field", "fr", "en"}."""

    __tablename__ = "referral"
    __table_args__ = (
        one_of("status", Status),
        one_of("decline_reason", DeclineReason),
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
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    permission_id: Mapped[int | None] = mapped_column()
    status: Mapped[Status] = mapped_column(code(Status))
    purpose: Mapped[str] = mapped_column(Text)
    shared: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    created_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    decline_reason: Mapped[DeclineReason | None] = mapped_column(code(DeclineReason))
    answer_note: Mapped[str] = mapped_column(Text, default="")
    chases: Mapped[int] = mapped_column(
        default=0, server_default=text("0")
    )  # mails to the silent body about it, then one for the task

    case: Mapped[Case] = relationship(foreign_keys=[case_id])
    body: Mapped[Body] = relationship(foreign_keys=[body_id])
    permission: Mapped[Permission | None] = relationship(
        foreign_keys=[permission_id], primaryjoin=lambda: Referral.permission_id == Permission.id
    )
