"""Follow-ups: what is next on a file, for whom, by when, and why."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, and_, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases.vocabulary import Turn
from crm.db import Base, code, one_of
from crm.reminders.rules import ANY_TIME, THEY_ACTED, Repeat

_TODO = text("state = 'todo'")
_TO_REMIND = text("state = 'todo' AND reminded_on IS NULL")
_ACTED = text(f"state = 'todo' AND rule IN ({', '.join(repr(rule) for rule in THEY_ACTED)})")

_SILENT = text("state = 'todo' AND waiting_on = 'person' AND nudged_on IS NULL")


class State(StrEnum):
    TODO = "todo"
    DONE = "done"
    CANCELLED = "cancelled"


class FollowUp(Base):
    """`rule` names the rule that made it, and is empty when a person typed it: rules never touch those.

    `reason` is why, as a person typed it; on a rule's own, what it is about (a body's name). `due_minute` is the minute of the local
    day, ANY_TIME for none. What repeats counts from `series_on`, the day first typed. `wakes_on` says whose answer brings it back before its day.
    """

    __tablename__ = "follow_up"
    __table_args__ = (
        one_of("state", State),
        one_of("waiting_on", Turn),
        one_of("wakes_on", Turn),
        one_of("repeat", Repeat),
        Index("ix_follow_up_case", "case_id", "state"),
        Index("ix_follow_up_first_due", "first_due_on"),
        Index("ix_follow_up_owner", "owner_id", "due_on", postgresql_where=_TODO, sqlite_where=_TODO),
        # Few among all: what somebody did that waits for us.
        Index(
            "ix_follow_up_they_wait",
            "created_at",
            "rule",
            "case_id",
            postgresql_where=_ACTED,
            sqlite_where=_ACTED,
        ),
        Index("ix_follow_up_silent", "due_on", postgresql_where=_SILENT, sqlite_where=_SILENT),
        Index("ix_follow_up_to_remind", "due_on", postgresql_where=_TO_REMIND, sqlite_where=_TO_REMIND),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    rule: Mapped[str] = mapped_column(String(20), default="")
    title: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    waiting_on: Mapped[Turn | None] = mapped_column(code(Turn))  # who has something to do meanwhile; none: we do
    due_on: Mapped[date]
    due_minute: Mapped[int] = mapped_column(default=ANY_TIME, server_default=text(str(ANY_TIME)))
    first_due_on: Mapped[date]
    repeat: Mapped[Repeat | None] = mapped_column(code(Repeat))
    series_on: Mapped[date | None]
    wakes_on: Mapped[Turn | None] = mapped_column(code(Turn))
    nudged_on: Mapped[date | None]  # when the silent person was written to by itself
    state: Mapped[State] = mapped_column(code(State), default=State.TODO)
    reminded_on: Mapped[date | None]  # the due date for which it was said, or not wanted, that it came due
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    ended_at: Mapped[datetime | None]
    ended_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str] = mapped_column(Text, default="")

    owner: Mapped[Staff | None] = relationship(foreign_keys=[owner_id])


class PlanChange(Base):
    """A plan that coordinators changed, being applied to the files that were open, file by file: `reached` is the last one looked at.

    `before` and `after` are plans as `rules.write_steps` writes them.
    """

    __tablename__ = "plan_change"

    id: Mapped[int] = mapped_column(primary_key=True)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    reached: Mapped[int] = mapped_column(default=0)
    moved: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]


WAITS_ON_PERSON: ColumnElement[bool] = and_(
    FollowUp.state == literal_column("'todo'"),
    FollowUp.waiting_on == literal_column("'person'"),
    FollowUp.nudged_on.is_(None),
)
# Written as the index of these few writes it, so that the database sees that it serves.
THEY_WAIT: ColumnElement[bool] = and_(
    FollowUp.state == literal_column("'todo'"), FollowUp.rule.in_([literal_column(repr(rule)) for rule in THEY_ACTED])
)
