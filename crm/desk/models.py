"""What the start of the day remembers."""

from datetime import date

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class DigestDay(Base):
    """The last day whose digest was looked into for somebody, whether there was something to say or not."""

    __tablename__ = "digest_day"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True, autoincrement=False)
    made_on: Mapped[date]
