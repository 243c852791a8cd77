"""Who allowed what to be shared with whom, by which text, until when. Rows are never changed but to say withdrawn."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.db import Base, code, one_of
from crm.partners.models import Body


class How(StrEnum):
    """How a permission was given: domain reference, section 15."""

    VERBAL = "verbal"
    PAPER = "paper"
    PAGE = "page"  # a button on the person's own page
    LINK = "link"  # the button of a page that an e-mail leads to


_WITHDRAWN = text("withdrawn_at IS NOT NULL")
_LIVE = text("withdrawn_at IS NULL AND lapsed_at IS NULL")


class Permission(Base):
    __tablename__ = "permission"
    __table_args__ = (
        one_of("how", How),
        # What a referral points to: this permission, for this file, naming this body.
        UniqueConstraint("id", "case_id", "body_id"),
        Index("ix_permission_case", "case_id"),
        Index("ix_permission_given", "given_at"),
        Index("ix_permission_withdrawn", "withdrawn_at", postgresql_where=_WITHDRAWN, sqlite_where=_WITHDRAWN),
        Index("ix_permission_live", "expires_on", postgresql_where=_LIVE, sqlite_where=_LIVE),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    text_version: Mapped[str] = mapped_column(String(20))
    text_shown: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(2))
    purpose: Mapped[str] = mapped_column(String(300))
    fields: Mapped[list[str]]
    how: Mapped[How] = mapped_column(code(How))
    given_at: Mapped[datetime]
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # none: the person pressed the button
    expires_on: Mapped[date]
    withdrawn_at: Mapped[datetime | None]
    lapsed_at: Mapped[datetime | None]  # when what rested on it was ended because its day had passed

    body: Mapped[Body] = relationship()


class Purpose(StrEnum):
    """What a person agreed to for their own sake, apart from the request: domain reference, section 15."""

    NEWSLETTER = "newsletter"
    SURVEY = "survey"


class Consent(Base):
    """A box that a person ticked, with the exact words beside it. Never changed but to say withdrawn."""

    __tablename__ = "consent"
    __table_args__ = (
        one_of("purpose", Purpose),
        Index("ix_consent_case", "case_id"),
        Index("ix_consent_given", "given_at"),
        Index("ix_consent_withdrawn", "withdrawn_at", postgresql_where=_WITHDRAWN, sqlite_where=_WITHDRAWN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    purpose: Mapped[Purpose] = mapped_column(code(Purpose))
    text_version: Mapped[str] = mapped_column(String(20))
    text_shown: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(2))
    given_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
