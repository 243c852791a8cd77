"""Published summaries: frozen when published, never computed again."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Summary(Base):
    """`figures` are for staff; `shown` is what was released to the committee, small counts already hidden."""

    __tablename__ = "summary"

    id: Mapped[int] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(String(7), unique=True)
    first_day: Mapped[date]
    last_day: Mapped[date]
    definitions: Mapped[str] = mapped_column(String(20))
    figures: Mapped[dict[str, Any]]
    shown: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    published_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
