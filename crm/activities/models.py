"""Activities, from the request to the day they were held."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.db import Base, code, one_of
from crm.partners.models import Body

_ASKED = text("state = 'asked'")


class Kind(StrEnum):
    """What is asked for in awareness, and the working groups that the team holds: domain reference, section 1."""

    PRESENTATION = "presentation"
    WORKSHOP = "workshop"
    COURSE = "course"
    PANEL = "panel"
    OTHER = "other"
    GROUP_FINANCING = "wg_financing"
    GROUP_BODIES = "wg_bodies"
    GROUP_PROJECTS = "wg_projects"


GROUPS = frozenset({Kind.GROUP_FINANCING, Kind.GROUP_BODIES, Kind.GROUP_PROJECTS})


class Audience(StrEnum):
    STUDENTS = "students"
    ENTREPRENEURS = "entrepreneurs"
    ADVISERS = "advisers"
    FUNDERS = "funders"


class Spoken(StrEnum):
    FR = "fr"
    EN = "en"
    BOTH = "both"


class State(StrEnum):
    ASKED = "asked"
    PLANNED = "planned"
    HELD = "held"
    DECLINED = "declined"


class ActivityBody(Base):
    """A body that was present."""

    __tablename__ = "activity_body"

    activity_id: Mapped[int] = mapped_column(ForeignKey("activity.id"), primary_key=True)
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"), primary_key=True, index=True)


class Activity(Base):
    """An activity somebody asked for (form C: domain reference, section 13.4), or that the team wrote down itself: then nobody is to be
    answered. Work contact details only.
    """

    __tablename__ = "activity"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("spoken", Spoken),
        one_of("state", State),
        CheckConstraint("state <> 'planned' OR planned_on IS NOT NULL", name="planned_on_a_day"),
        CheckConstraint(
            "state <> 'held' OR (held_on IS NOT NULL AND participants IS NOT NULL)", name="held_and_counted"
        ),
        Index("ix_activity_asked", "received_at", postgresql_where=_ASKED, sqlite_where=_ASKED),
        Index("ix_activity_held", "held_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    form_key: Mapped[str] = mapped_column(String(40), unique=True)
    received_at: Mapped[datetime]
    reply_due_on: Mapped[date]
    language: Mapped[str] = mapped_column(String(2))  # the one we write in
    organization: Mapped[str] = mapped_column(String(200))
    contact_name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))
    spoken: Mapped[Spoken] = mapped_column(code(Spoken))
    kind: Mapped[Kind] = mapped_column(code(Kind))
    audiences: Mapped[list[str]]
    expected: Mapped[int | None]
    month: Mapped[str] = mapped_column(String(7))  # 2027-02, or nothing
    place: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(Text)
    suspicions: Mapped[list[str] | None]  # why it was set aside as a robot's; none once somebody looked
    state: Mapped[State] = mapped_column(code(State))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    planned_on: Mapped[date | None]
    held_on: Mapped[date | None]
    participants: Mapped[int | None]
    note: Mapped[str] = mapped_column(Text)
    version: Mapped[int]

    owner: Mapped[Staff | None] = relationship()
    bodies: Mapped[list[Body]] = relationship(secondary="activity_body", order_by=Body.short_fr)

    @property
    def was_asked(self) -> bool:
        """Whether somebody outside asked for it."""
        return bool(self.email)
