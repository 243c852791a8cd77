"""Days on which somebody is away."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base


class Absence(Base):
    """Both days included; the deputy stands in meanwhile."""

    __tablename__ = "absence"
    __table_args__ = (
        CheckConstraint("ends_on >= begins_on", name="days"),
        CheckConstraint("deputy_id <> staff_id", name="deputy"),
        Index("ix_absence_staff", "staff_id", "ends_on"),
        Index("ix_absence_deputy", "deputy_id", "ends_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    begins_on: Mapped[date]
    ends_on: Mapped[date]
    deputy_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))

    staff: Mapped[Staff] = relationship(foreign_keys=[staff_id])
    deputy: Mapped[Staff] = relationship(foreign_keys=[deputy_id])
