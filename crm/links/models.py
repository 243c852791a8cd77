"""The ledger of links. Tokens are not in it: they are made from a row when a message leaves."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, code, one_of


class Purpose(StrEnum):
    REFERRAL = "referral"
    ALLOW = "allow"  # a question to the person: may we share this with that body
    BODY = "body"  # all that waits for a body, for the person there who receives what we send
    RESUME = "resume"  # an unfinished request, on another device
    CASE = "case"  # the person's own page
    SURVEY = "survey"  # what became of a project
    FEED = "feed"  # an adviser's calendar


class Link(Base):
    __tablename__ = "link"
    __table_args__ = (
        one_of("purpose", Purpose),
        Index("ix_link_object", "purpose", "object_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(code(Purpose))
    object_id: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
