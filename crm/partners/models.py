"""Bodies we refer to. Never deleted, only deactivated, so that old referrals still read correctly."""

from datetime import date, datetime

from sqlalchemy import String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base, one_of
from crm.db import code as column_code
from crm.partners.vocabulary import BodyKind

CHASED_AFTER = 10


class Body(Base):
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
    # Work details only, of the person who receives what we send.
    contact_name: Mapped[str] = mapped_column(String(120), default="")
    contact_email: Mapped[str] = mapped_column(String(254), default="")
    contact_language: Mapped[str] = mapped_column(String(2), default="fr")
    contact_since: Mapped[
        datetime | None
    ]  # when another address took the place of an earlier one, whose links work no more
    verified_on: Mapped[date | None]
    # In business days: the delay it promises, by which its answer is checked; how long it may be silent before it is written to again, 0 for never.
    answer_days: Mapped[int | None]
    chase_days: Mapped[int] = mapped_column(default=CHASED_AFTER, server_default=text(str(CHASED_AFTER)))
    chased_on: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    def name(self, lang: str) -> str:
        return self.name_fr if lang == "fr" else self.name_en

    def short(self, lang: str) -> str:
        return self.short_fr if lang == "fr" else self.short_en

    def offer(self, lang: str) -> str:
        return self.offer_fr if lang == "fr" else self.offer_en

    def territory(self, lang: str) -> str:
        return self.territory_fr if lang == "fr" else self.territory_en
