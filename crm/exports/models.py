"""Who took which list of files out of the product, when and why."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base


class Export(Base):
    """One list taken out. `rows` is how many files it held, once it left whole."""

    __tablename__ = "export"
    __table_args__ = (Index("ix_export_at", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]
    query: Mapped[str] = mapped_column(Text)  # the list, as an address writes it
    said: Mapped[str] = mapped_column(Text, default="")  # the same in words, as they were said to who took it
    kind: Mapped[str] = mapped_column(String(4))  # csv or xlsx
    everything: Mapped[bool]  # every column, or those of the list
    reason: Mapped[str] = mapped_column(Text)
    rows: Mapped[int | None]

    staff: Mapped[Staff] = relationship()
