"""What the person writes on their own page."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, code, one_of


class About(StrEnum):
    """A message, or an answer to correct: staff confirm the correction on the file."""

    MESSAGE = "message"
    CORRECTION = "correction"


class PersonMessage(Base):
    """Text from the person to the team. `form_key` came with the blank form: sent twice, it is one message."""

    __tablename__ = "person_message"
    __table_args__ = (one_of("about", About), Index("ix_person_message_case", "case_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    about: Mapped[About] = mapped_column(code(About))
    body: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]
