"""Applications for money, beside referrals, and what a project needs and puts in. Amounts are whole cents."""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.db import Base, code, one_of
from crm.financing.rules import Status
from crm.partners.models import Body
from crm.partners.vocabulary import Instrument

_FILED, _DECIDED = text("filed_on IS NOT NULL"), text("decided_on IS NOT NULL")


class Application(Base):
    __tablename__ = "application"
    __table_args__ = (
        one_of("status", Status),
        one_of("instrument", Instrument),
        Index("ix_application_case", "case_id"),
        Index("ix_application_body", "body_id", "status"),
        Index("ix_application_waits_for", "waits_for_id"),
        Index("ix_application_referral", "referral_id"),
        Index("ix_application_filed", "filed_on", postgresql_where=_FILED, sqlite_where=_FILED),
        Index("ix_application_decided", "decided_on", postgresql_where=_DECIDED, sqlite_where=_DECIDED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    status: Mapped[Status] = mapped_column(code(Status))
    instrument: Mapped[Instrument] = mapped_column(code(Instrument))
    asked: Mapped[int | None] = mapped_column(BigInteger)
    granted: Mapped[int | None] = mapped_column(BigInteger)
    disbursed: Mapped[int | None] = mapped_column(BigInteger)
    conditions: Mapped[str] = mapped_column(Text, default="")
    filed_on: Mapped[date | None]
    decision_due_on: Mapped[date | None]  # when the body says that it will decide
    decided_on: Mapped[date | None]
    expires_on: Mapped[date | None]  # until when what was granted must be taken up
    waits_for_id: Mapped[int | None] = mapped_column(ForeignKey("application.id"))
    # The referral through which the body itself speaks of it, and when it did so last; nothing once a colleague moved it since.
    referral_id: Mapped[int | None] = mapped_column(ForeignKey("referral.id"))
    said_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))  # of one that a body wrote down: who referred it
    version: Mapped[int] = mapped_column(default=1)

    body: Mapped[Body] = relationship()


class FinancingPlan(Base):
    """What a project costs and what its group puts in; at most one for a file."""

    __tablename__ = "financing_plan"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), unique=True)
    budget: Mapped[int | None] = mapped_column(BigInteger)
    own: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(default=1)
