"""The two registers that the law asks for: requests of people about their information, and confidentiality incidents."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.db import Base, code, one_of

_UNANSWERED, _OPEN = text("answered_on IS NULL"), text("closed_on IS NULL")


class Right(StrEnum):
    """What somebody asks for: domain reference, section 10.2, duties of P-39.1, sections 8, 27 to 28.1."""

    ACCESS = "access"
    PORTABILITY = "portability"
    RECTIFICATION = "rectification"
    DELETION = "deletion"
    WITHDRAWAL = "withdrawal"  # of a consent
    DEINDEXING = "deindexing"


class Outcome(StrEnum):
    GRANTED = "granted"
    PARTLY = "partly"  # what is refused, with the reasons, the section of the law and the recourse
    REFUSED = "refused"
    DROPPED = "dropped"  # by the person


class Risk(StrEnum):
    """Whether an incident carries a risk of serious injury."""

    ASSESSING = "assessing"
    NONE = "none"
    SERIOUS = "serious"


class RightsRequest(Base):
    """A request of a person, answered by the day that the law says. `identity` is how it was checked who asks."""

    __tablename__ = "rights_request"
    __table_args__ = (
        one_of("asked", Right),
        one_of("outcome", Outcome),
        CheckConstraint("(answered_on IS NULL) = (outcome IS NULL)", name="answered_with_an_outcome"),
        CheckConstraint("outcome NOT IN ('refused', 'partly') OR reasons <> ''", name="refused_with_reasons"),
        Index("ix_rights_request_case", "case_id"),
        Index("ix_rights_request_received", "received_on"),
        Index("ix_rights_request_open", "due_on", postgresql_where=_UNANSWERED, sqlite_where=_UNANSWERED),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    received_on: Mapped[date]
    due_on: Mapped[date]
    asked: Mapped[Right] = mapped_column(code(Right))
    person: Mapped[str] = mapped_column(String(200))  # who asks, and where to answer
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    identity: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(Text)
    answered_on: Mapped[date | None]
    outcome: Mapped[Outcome | None] = mapped_column(code(Outcome))
    reasons: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    version: Mapped[int]

    case: Mapped[Case | None] = relationship()
    recorded_by: Mapped[Staff] = relationship()


class Incident(Base):
    """A confidentiality incident, with the fields of the regulation (A-2.1, r. 3.1): domain reference, section 10.3."""

    __tablename__ = "incident"
    __table_args__ = (
        one_of("risk", Risk),
        # "Register entry cannot be closed without the assessment."
        CheckConstraint("closed_on IS NULL OR (risk <> 'assessing' AND grounds <> '')", name="closed_once_assessed"),
        CheckConstraint(
            "closed_on IS NULL OR risk <> 'serious' OR commission_on IS NOT NULL", name="serious_ones_notified"
        ),
        CheckConstraint("closed_on >= learned_on", name="closed_after_it_was_known"),
        Index("ix_incident_learned", "learned_on"),
        Index("ix_incident_open", "learned_on", postgresql_where=_OPEN, sqlite_where=_OPEN),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    learned_on: Mapped[date]
    happened: Mapped[str] = mapped_column(String(200))  # the day or the period, in words
    information: Mapped[str] = mapped_column(Text)  # which, or why it is not known
    circumstances: Mapped[str] = mapped_column(Text)
    people: Mapped[int | None]  # concerned, or about how many
    risk: Mapped[Risk] = mapped_column(code(Risk))
    grounds: Mapped[str] = mapped_column(Text)  # for saying that there is a risk of serious injury, or none
    commission_on: Mapped[date | None]  # when the commission was told
    people_on: Mapped[date | None]  # when the people were
    public_notice: Mapped[str] = mapped_column(Text)  # whether there was one, and why
    measures: Mapped[str] = mapped_column(Text)
    closed_on: Mapped[date | None]
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    version: Mapped[int]

    recorded_by: Mapped[Staff] = relationship()
