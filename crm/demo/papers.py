"""One referral of a demonstration file, with the permission it rests on and the link the body was sent."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from crm.demo.rows import Rows
from crm.demo.words import both, said
from crm.demo.world import Partner
from crm.i18n import format_phone
from crm.links.models import Link
from crm.partners.vocabulary import BodyKind
from crm.permissions.models import Permission
from crm.permissions.rules import LONGEST
from crm.referrals.models import Referral
from crm.referrals.outcomes import UNSETTLED, Status
from crm.referrals.services import FIELDS, LINK_DAYS

if TYPE_CHECKING:
    from crm.demo.story import Story

BEGUN = {Status.SELF: "self", Status.CONSENT_PENDING: "permission_asked"}
SHARED = tuple(name for name in FIELDS if name != "description")
DECLINES = ("too_early", "too_early", "capacity", "area", "sector", "too_advanced", "legal_form", "other")


class Paper:
    """Prepared, sent, read, answered: each step is a minute of the file's story."""

    def __init__(self, story: "Story", kind: BodyKind, status: Status = Status.READY) -> None:
        """Prepare a referral; `status` says whether with a permission, without one yet, or by the person alone."""
        rng, world = story.rng, story.world
        self.story = story
        used = {paper.partner for paper in story.papers}
        free = [one for one in world.bodies if one.kind is kind and one not in used]
        self.partner: Partner = rng.choice(free or [one for one in world.bodies if one not in used])
        self.id = story.rows.new_id(Referral)
        self.status = status
        self.purpose = said(rng, "purpose", story.asked.lang, self.partner.kind)
        self.created = story.now
        self.sent: int | None = None
        self.seen: int | None = None
        self.answered: int | None = None
        self.withdrawn: int | None = None
        self.reason: str | None = None
        self.answer_note = ""
        self.shared: list[dict[str, str]] = []
        self.permission: int | None = None
        self.asked = status is Status.CONSENT_PENDING
        self.how = "paper" if rng.random() < 0.2 else "verbal"
        self.taken_back = False
        if status is Status.READY:
            self.permission = story.rows.new_id(Permission)
            self._permission_event("given")
        self._event(BEGUN.get(status, "prepared"))
        story.papers.append(self)

    @property
    def unsettled(self) -> bool:
        return self.status in UNSETTLED

    def _event(self, what: str, *, body: bool = False, **codes: str) -> None:
        story = self.story
        actor = ("body", self.partner.id) if body else None
        fact = story.event(f"referral.{what}", actor, codes={"referral": self.id, "body": self.partner.id, **codes})
        fact.detail = {"body_name": self.partner.short[story.asked.lang]}
        if body and self.answer_note:
            fact.detail["note"] = self.answer_note

    def _permission_event(self, what: str) -> None:
        story = self.story
        fact = story.event(f"permission.{what}", codes={"permission": self.permission, "body": self.partner.id})
        fact.detail = {"body_name": self.partner.short[story.asked.lang]}

    def send(self) -> None:
        self.status, self.sent = Status.SENT, self.story.now
        self.shared = self._frozen()
        self._event("sent")

    def read(self) -> None:
        """The body opened the link and pressed Continue."""
        self.seen = self.story.now
        self._event("seen", body=True)

    def answer(self, status: Status) -> None:
        """What the body answered, or that it did not; what came later of a yes has no event of its own yet."""
        story = self.story
        accepted = status in {Status.ACCEPTED, Status.COMPLETED, Status.INTERRUPTED}
        self.status = status
        if not accepted and status is not Status.DECLINED:
            return
        self.answered = story.now
        key = "accepted" if accepted else story.rng.choice(DECLINES)
        self.answer_note = said(story.rng, "answer", self.partner.language, key)
        if accepted:
            self._event("accepted", body=True)
        else:
            self.reason = key
            self._event("declined", body=True, decline_reason=key)
        story.answered(self.partner.short)

    def take_back(self) -> None:
        """The person takes the permission back: the referral that rests on it stops at once."""
        self.taken_back = True
        self._permission_event("withdrawn")
        self.withdraw()

    def withdraw(self) -> None:
        self.status, self.withdrawn = Status.WITHDRAWN, self.story.now
        self._event("withdrawn")

    def left(self) -> datetime | None:
        """When the body no longer held the file; None while it does."""
        ends = [minute for minute in (self.answered, self.withdrawn) if minute is not None]
        if ends:
            return self.story.at(min(ends))
        return None if self.status is Status.SENT else self.story.at(self.sent or 0)

    def _frozen(self) -> list[dict[str, str]]:
        """What left, in both languages; what was empty did not."""
        asked = self.story.asked
        region = both("cases.region", asked.region)
        place = both("cases.locality", asked.locality) if asked.locality else ("", "")
        needs = [both("cases.need", need) for need in (*asked.needs, *asked.needs_found)]
        values = {
            "name": (asked.person, asked.person),
            "email": (asked.email, asked.email),
            "phone": tuple(format_phone(asked.phone, asked.extension, lang) for lang in ("fr", "en")),
            "project_name": (asked.name, asked.name),
            "summary": (self.story.summary, self.story.summary),
            "sector": both("cases.sector", asked.idea.sector),
            "project_stage": both("cases.project_stage", asked.stage),
            "legal_form": both("cases.legal_form", asked.legal_form),
            "territory": tuple(", ".join(part for part in (region[n], place[n]) if part) for n in (0, 1)),
            "needs": tuple("; ".join(need[n] for need in needs) for n in (0, 1)),
        }
        return [{"field": name, "fr": values[name][0], "en": values[name][1]} for name in SHARED if values[name][0]]

    def _ended_by(self) -> str | None:
        """Who said no or took it back, for the column of that name."""
        if self.status is Status.WITHDRAWN:
            return "person" if self.taken_back else "staff"
        return "body" if self.status in {Status.DECLINED, Status.INTERRUPTED} else None

    def _asked(self, at: datetime, until: date) -> tuple[datetime | None, list[str] | None, date | None, bool]:
        """What the person was asked, where an answer is waited for."""
        if not self.asked:
            return None, None, None, False
        return at, list(SHARED), until, False

    def write(self, rows: Rows) -> None:
        story = self.story
        case_id, lang = story.case_id, story.asked.lang
        given_at = story.at(self.created)
        until = story.days.day(self.created) + LONGEST
        if self.permission is not None:
            fields = list(SHARED)
            rows.add(
                Permission, self.permission, case_id, self.partner.id, story.world.permission_version,
                story.world.permission_text(self.partner, lang, self.purpose, fields, until), lang, self.purpose,
                fields, self.how, given_at, story.mate().id, until,
                story.at(self.withdrawn or 0) if self.taken_back else None,
            )  # fmt: skip
        at = [None if minute is None else story.at(minute) for minute in (self.sent, self.seen, self.answered)]
        rows.add(
            Referral, self.id, case_id, self.partner.id, self.permission, self.status.value, self.purpose, self.shared,
            story.mate().id, given_at, *at, self.reason, self.answer_note, at[0], self._ended_by(), *self._asked(given_at, until),
        )  # fmt: skip
        if self.sent is not None and at[0] is not None:
            last = min(story.days.day(self.sent) + timedelta(days=LINK_DAYS), until)
            rows.add(
                Link, rows.new_id(Link), "referral", self.id, 1, at[0],
                at[0] + (last - story.days.day(self.sent)), None if self.withdrawn is None else story.at(self.withdrawn),
            )  # fmt: skip
