"""Bodies we refer to, their programmes, and the terms that these set. Never deleted, only deactivated, so that old referrals still read correctly."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm import clock
from crm.accounts.models import Staff
from crm.db import Base, one_of
from crm.db import code as column_code
from crm.partners import review
from crm.partners.vocabulary import BodyKind

CHASED_AFTER = 5  # business days: one list each week


class Checked:
    """What tells whether an entry can be counted on."""

    verified_on: Mapped[date | None]

    @property
    def standing(self) -> review.Standing:
        return review.standing(self.verified_on, clock.today())

    @property
    def review_due(self) -> date | None:
        """The last day on which it counts as verified; None when it never was."""
        return review.review_due(self.verified_on) if self.verified_on else None


class Person(Base):
    """Somebody at a body: work details only. Who left keeps their row, so that what was sent to them still reads, and their links die.

    `receives`: they are told of files that wait, with a link of their own to all of them.
    """

    __tablename__ = "body_person"
    __table_args__ = (Index("ix_body_person_body", "body_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    name: Mapped[str] = mapped_column(String(120))
    title: Mapped[str] = mapped_column(String(120), default="")
    email: Mapped[str] = mapped_column(String(254))
    phone: Mapped[str] = mapped_column(String(20), default="")
    phone_extension: Mapped[str] = mapped_column(String(10), default="")
    language: Mapped[str] = mapped_column(String(2))
    receives: Mapped[bool] = mapped_column(default=True)
    left_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class Body(Checked, Base):
    __tablename__ = "body"
    __table_args__ = (one_of("kind", BodyKind),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(30), unique=True)
    kind: Mapped[BodyKind] = mapped_column(column_code(BodyKind))
    name_fr: Mapped[str] = mapped_column(String(160))
    name_en: Mapped[str] = mapped_column(String(160))
    short_fr: Mapped[str] = mapped_column(String(60))
    short_en: Mapped[str] = mapped_column(String(60))
    offer_fr: Mapped[str] = mapped_column(Text)
    offer_en: Mapped[str] = mapped_column(Text)
    territory_fr: Mapped[str] = mapped_column(String(160))
    territory_en: Mapped[str] = mapped_column(String(160))
    known_as: Mapped[str] = mapped_column(
        String(100), default="", server_default=text("''")
    )  # its id in the directory it came from
    website: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    part_of_id: Mapped[int | None] = mapped_column(ForeignKey("body.id"))  # whose door it is, for a territory
    joined_to_id: Mapped[int | None] = mapped_column(
        ForeignKey("body.id")
    )  # the entry of the same body that took its place
    localities: Mapped[list[str] | None]  # boroughs and cities of that territory, as files name them
    named_in_request: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Who receives each referral; the other people of the body are told of what waits.
    main_id: Mapped[int | None] = mapped_column(
        ForeignKey("body_person.id", use_alter=True, name="fk_body_main_id_body_person")
    )
    contact_since: Mapped[
        datetime | None
    ]  # when another address took the place of an earlier one, whose links work no more
    verified_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    # In business days: the delay it promises, by which its answer is checked; how long it may be silent before it is written to again, 0 for never.
    answer_days: Mapped[int | None]
    chase_days: Mapped[int] = mapped_column(
        default=CHASED_AFTER, server_default=text("10")
    )  # which no row has: each is written with its own
    chased_on: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    main: Mapped[Person | None] = relationship(foreign_keys=[main_id], lazy="joined", innerjoin=False)
    part_of: Mapped["Body | None"] = relationship(remote_side="Body.id", foreign_keys=[part_of_id])
    joined_to: Mapped["Body | None"] = relationship(remote_side="Body.id", foreign_keys=[joined_to_id])
    verified_by: Mapped[Staff | None] = relationship()

    @property
    def contact_name(self) -> str:
        """The name of who receives what the body is sent; nothing when nobody does."""
        return self.main.name if self.main else ""

    @property
    def contact_email(self) -> str:
        return self.main.email if self.main else ""

    @property
    def contact_language(self) -> str:
        return self.main.language if self.main else "fr"

    def name(self, lang: str) -> str:
        return self.name_fr if lang == "fr" else self.name_en

    def short(self, lang: str) -> str:
        return self.short_fr if lang == "fr" else self.short_en

    def offer(self, lang: str) -> str:
        return self.offer_fr if lang == "fr" else self.offer_en

    def territory(self, lang: str) -> str:
        return self.territory_fr if lang == "fr" else self.territory_en


class Programme(Checked, Base):
    """What a body offers. Whom it is for, and for how much, is in its terms."""

    __tablename__ = "programme"
    __table_args__ = (one_of("kind", BodyKind),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(60), unique=True)
    known_as: Mapped[str] = mapped_column(String(100), default="", server_default=text("''"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"), index=True)
    kind: Mapped[BodyKind] = mapped_column(column_code(BodyKind))
    name_fr: Mapped[str] = mapped_column(String(160))
    name_en: Mapped[str] = mapped_column(String(160))
    text_fr: Mapped[str] = mapped_column(Text)
    text_en: Mapped[str] = mapped_column(Text)
    criteria_fr: Mapped[str] = mapped_column(Text, default="")  # what no rule says
    criteria_en: Mapped[str] = mapped_column(Text, default="")
    instruments: Mapped[list[str] | None]
    answer_days: Mapped[int | None]  # business days within which an answer is promised
    verified_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    version: Mapped[int] = mapped_column(default=1)

    body: Mapped[Body] = relationship()
    verified_by: Mapped[Staff | None] = relationship()

    def name(self, lang: str) -> str:
        return self.name_fr if lang == "fr" else self.name_en

    def text(self, lang: str) -> str:
        return self.text_fr if lang == "fr" else self.text_en

    def criteria(self, lang: str) -> str:
        return self.criteria_fr if lang == "fr" else self.criteria_en


class Rule(Base):
    """What holds for all programmes of some kinds, whatever each says; its terms say which kinds and what is asked."""

    __tablename__ = "match_rule"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_fr: Mapped[str] = mapped_column(String(200))
    name_en: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    version: Mapped[int] = mapped_column(default=1)

    def name(self, lang: str) -> str:
        return self.name_fr if lang == "fr" else self.name_en


class Terms(Base):
    """Whom a programme, or a rule, is for, from a day on: the newest that began is in force, and those before it stay to be read.

    `asked` is read and written by `crm.directory.matching.Asked`, which says what it holds. Their owner never has two that begin on one day.
    """

    __tablename__ = "match_terms"
    __table_args__ = (
        CheckConstraint("(programme_id IS NULL) <> (rule_id IS NULL)", name="of_one"),
        UniqueConstraint("programme_id", "since"),
        UniqueConstraint("rule_id", "since"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    programme_id: Mapped[int | None] = mapped_column(ForeignKey("programme.id"))
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("match_rule.id"))
    since: Mapped[date]
    asked: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # none: they ship with the product

    made_by: Mapped[Staff | None] = relationship()
