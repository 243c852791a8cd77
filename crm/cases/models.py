"""Tables of files."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.accounts.models import Staff
from crm.cases import vocabulary as v
from crm.db import Base, code, one_of

_OPEN = text("stage <> 'closed'")
_OF_OPEN: dict[str, Any] = {"postgresql_where": _OPEN, "sqlite_where": _OPEN}
_SEEN = ("owner_id", "restricted", "quarantined")
_CLOSED = text("closed_at IS NOT NULL")
_BEGAN, _LAUNCHED = text("incorporated_on IS NOT NULL"), text("launched_on IS NOT NULL")
_OPEN_STAY = text("stage <> 'closed'")
_OWED = text("first_reply_at IS NULL AND stage IN ('new', 'contact')")
_RESTRICTED: dict[str, Any] = {"postgresql_where": text("restricted IS true"), "sqlite_where": text("restricted IS 1")}
_MERGED = text("merged_into_id IS NOT NULL")
_LAPSES = text("turn_until IS NOT NULL")
_UNMATCHED = text("matched_at IS NULL")


class Contact(Base):
    """The person who asks, or speaks for the team."""

    __tablename__ = "contact"
    __table_args__ = (
        one_of("language", v.PreferredLanguage),
        one_of("mode", v.ContactMode),
        Index("ix_contact_email", "email"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(10))
    language: Mapped[v.PreferredLanguage] = mapped_column(code(v.PreferredLanguage))
    mode: Mapped[v.ContactMode] = mapped_column(code(v.ContactMode))
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(20), default="")
    phone_extension: Mapped[str] = mapped_column(String(10), default="")
    availability: Mapped[list[str] | None]


class Founder(Base):
    """Somebody of the founding team beside the person who asks. `may_contact`: they agreed that we write or call."""

    __tablename__ = "founder"
    __table_args__ = (one_of("language", v.PreferredLanguage), Index("ix_founder_case", "case_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(120), default="")
    language: Mapped[v.PreferredLanguage] = mapped_column(code(v.PreferredLanguage))
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(20), default="")
    phone_extension: Mapped[str] = mapped_column(String(10), default="")
    may_contact: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)


class Project(Base):
    """What is being built. `version` goes up with each saved change: a stale save is told so (409)."""

    __tablename__ = "project"
    __table_args__ = (
        one_of("stage", v.ProjectStage),
        one_of("legal_form", v.LegalForm),
        one_of("check_result", v.CheckResult),
        Index("ix_project_incorporated", "incorporated_on", postgresql_where=_BEGAN, sqlite_where=_BEGAN),
        Index("ix_project_launched", "launched_on", postgresql_where=_LAUNCHED, sqlite_where=_LAUNCHED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    description: Mapped[str] = mapped_column(Text)
    sector: Mapped[str] = mapped_column(String(10))
    sector_other: Mapped[str] = mapped_column(String(120), default="")
    stage: Mapped[v.ProjectStage] = mapped_column(code(v.ProjectStage))
    legal_form: Mapped[v.LegalForm] = mapped_column(code(v.LegalForm))
    incorporated: Mapped[bool | None]
    region: Mapped[str] = mapped_column(String(6))
    locality: Mapped[str] = mapped_column(String(40), default="")
    neq: Mapped[str] = mapped_column(String(10), default="", server_default=text("''"))
    team_size: Mapped[str] = mapped_column(String(8), default="", server_default=text("''"))
    funding_band: Mapped[str] = mapped_column(String(10), default="", server_default=text("''"))
    supports: Mapped[list[str] | None]  # codes of bodies
    supports_other: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    summary: Mapped[str] = mapped_column(Text, default="")
    assessed_at: Mapped[datetime | None]
    assessed_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    incorporated_on: Mapped[date | None]
    launched_on: Mapped[date | None]
    checked_on: Mapped[date | None]  # twelve months after the launch
    check_result: Mapped[v.CheckResult | None] = mapped_column(code(v.CheckResult))
    version: Mapped[int] = mapped_column(default=1)

    assessed_by: Mapped[Staff | None] = relationship()


class Case(Base):
    """A file: one project's path from request to outcome. The table is `case_file` because CASE is SQL's own word."""

    __tablename__ = "case_file"
    __table_args__ = (
        one_of("stage", v.Stage),
        one_of("source", v.Source),
        one_of("closing_reason", v.ClosingReason),
        one_of("turn", v.Turn),
        # The queue: each list that people name walks one of these. Those that are counted also hold what tells whether somebody may see a file,
        # so that it need not be read for that.
        Index("ix_case_step", "next_step_on", "id", *_SEEN, **_OF_OPEN),
        Index("ix_case_owner_step", "owner_id", "next_step_on", "id", **_OF_OPEN),
        Index("ix_case_waiting", "turn_since", "id", **_OF_OPEN),
        Index("ix_case_turn", "turn", "turn_since", "id", *_SEEN, **_OF_OPEN),
        Index("ix_case_owed", "reply_due_on", "id", *_SEEN, postgresql_where=_OWED, sqlite_where=_OWED),
        Index("ix_case_open", "received_at", "id", *_SEEN, **_OF_OPEN),
        Index("ix_case_stage", "stage", "received_at", "id", *_SEEN),
        Index("ix_case_owner", "owner_id", "stage", "received_at", "id"),
        Index("ix_case_owner_turn", "owner_id", "turn", "turn_since", "id", *_SEEN[1:], **_OF_OPEN),
        Index("ix_case_owner_open", "owner_id", "received_at", "id", *_SEEN[1:], **_OF_OPEN),
        Index("ix_case_closed", "closed_at", "id", *_SEEN, postgresql_where=_CLOSED, sqlite_where=_CLOSED),
        Index("ix_case_received", "received_at", "id"),
        Index("ix_case_contact", "contact_id"),
        Index("ix_case_project", "project_id"),
        Index("ix_case_restricted", "id", "owner_id", **_RESTRICTED),
        Index("ix_case_merged", "merged_into_id", postgresql_where=_MERGED, sqlite_where=_MERGED),
        Index("ix_case_turn_lapses", "turn_until", postgresql_where=_LAPSES, sqlite_where=_LAPSES),
        Index("ix_case_unmatched", "id", postgresql_where=_UNMATCHED, sqlite_where=_UNMATCHED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(String(20), unique=True)
    stage: Mapped[v.Stage] = mapped_column(code(v.Stage))
    stage_since: Mapped[datetime]
    paused_from: Mapped[v.Stage | None] = mapped_column(code(v.Stage))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    language: Mapped[str] = mapped_column(String(2))  # the one we write in
    source: Mapped[v.Source] = mapped_column(code(v.Source))
    heard: Mapped[str] = mapped_column(String(10), default="", server_default=text("''"))  # how they heard of us
    received_at: Mapped[datetime]
    reply_due_on: Mapped[date]
    first_reply_at: Mapped[datetime | None]
    next_step_on: Mapped[date | None]  # the earliest open follow-up; written by reminders only
    closed_at: Mapped[datetime | None]
    closing_reason: Mapped[v.ClosingReason | None] = mapped_column(code(v.ClosingReason))
    restricted: Mapped[bool] = mapped_column(default=False)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))  # the file that goes on in its place
    has_merged: Mapped[bool] = mapped_column(default=False, server_default=false())  # others were merged into it
    matched_at: Mapped[datetime | None]  # when it was compared with the others; none after its facts changed
    # Set aside as a robot's until somebody looks: no mail leaves for it.
    quarantined: Mapped[bool] = mapped_column(default=False, server_default=false())

    # Whose turn it is, since when and until when it holds; written by `turns` only.
    turn: Mapped[v.Turn] = mapped_column(code(v.Turn), default=v.Turn.TEAM, server_default=text("'team'"))
    turn_since: Mapped[datetime] = mapped_column(server_default=text("'1970-01-01 00:00:00'"))
    turn_until: Mapped[datetime | None]
    turn_body_id: Mapped[int | None] = mapped_column(ForeignKey("body.id"))

    owner: Mapped[Staff | None] = relationship(foreign_keys=[owner_id])
    contact: Mapped[Contact] = relationship()
    project: Mapped[Project] = relationship()

    @property
    def title(self) -> str:
        """The project's name, or the reference when it has none."""
        return self.project.name or self.reference


class CaseReader(Base):
    """The people named on a restricted file: nobody else sees it."""

    __tablename__ = "case_reader"

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)


class CaseReading(Base):
    """Who opened a file on which day (Montréal's), for the coordinators who answer for what is read here."""

    __tablename__ = "case_reading"

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    first_at: Mapped[datetime]


class SavedView(Base):
    """A list or a board that somebody gave a name: its filter, sort and columns as an address writes them."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(Text)
    on_board: Mapped[bool] = mapped_column(default=False)
    shared: Mapped[bool] = mapped_column(default=False)  # the whole team sees it
    version: Mapped[int] = mapped_column(default=1)

    owner: Mapped[Staff] = relationship()


class StartView(Base):
    """The saved view on which somebody begins, in place of Today."""

    __tablename__ = "start_view"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("saved_view.id", ondelete="CASCADE"))


class CaseNeed(Base):
    """One need of a file."""

    __tablename__ = "case_need"
    __table_args__ = (one_of("need", v.Need), one_of("state", v.NeedState))

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    need: Mapped[v.Need] = mapped_column(code(v.Need), primary_key=True)
    since: Mapped[datetime]
    state: Mapped[v.NeedState] = mapped_column(
        code(v.NeedState), default=v.NeedState.OPEN, server_default=text("'open'")
    )
    state_since: Mapped[datetime | None]


class StageSpell(Base):
    """A stay of a file in a stage: what a summary needs to know where files stood at any instant."""

    __tablename__ = "stage_spell"
    __table_args__ = (
        one_of("stage", v.Stage),
        Index("ix_stage_spell_case", "case_id"),
        Index("ix_stage_spell_entered", "entered_at", "left_at"),
        # Where files that were not closed stood at an instant.
        Index("ix_stage_spell_left", "left_at", postgresql_where=_OPEN_STAY, sqlite_where=_OPEN_STAY),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    stage: Mapped[v.Stage] = mapped_column(code(v.Stage))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class TurnSpell(Base):
    """A stay of a file in somebody's hands: how long each of them held it."""

    __tablename__ = "turn_spell"
    __table_args__ = (
        one_of("turn", v.Turn),
        Index("ix_turn_spell_case", "case_id"),
        Index("ix_turn_spell_left", "left_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    turn: Mapped[v.Turn] = mapped_column(code(v.Turn))
    body_id: Mapped[int | None] = mapped_column(ForeignKey("body.id"))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class Note(Base):
    """Text for colleagues. It never leaves: messages to people are another table."""

    __tablename__ = "note"
    __table_args__ = (Index("ix_note_event", "event_id", unique=True), Index("ix_note_case", "case_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    body: Mapped[str] = mapped_column(Text)


class Exchange(Base):
    """A call, an e-mail or a meeting with the person, or an attempt at one."""

    __tablename__ = "exchange"
    __table_args__ = (
        one_of("kind", v.ExchangeKind),
        one_of("direction", v.ExchangeDirection),
        one_of("result", v.ExchangeResult),
        Index("ix_exchange_event", "event_id", unique=True),
        Index("ix_exchange_case", "case_id", "happened_at"),
        Index("ix_exchange_happened", "happened_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[v.ExchangeKind] = mapped_column(code(v.ExchangeKind))
    direction: Mapped[v.ExchangeDirection] = mapped_column(code(v.ExchangeDirection))
    result: Mapped[v.ExchangeResult] = mapped_column(code(v.ExchangeResult))
    happened_at: Mapped[datetime]
    minutes: Mapped[int | None]
    summary: Mapped[str] = mapped_column(Text, default="")
