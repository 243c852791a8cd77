"""Which texts coordinators may change, and the verbs that do."""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, select

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.config import LANGUAGES
from crm.db import db
from crm.feature import plugged
from crm.i18n import speaking
from crm.outbox.services import programme_values, queue
from crm.texts import PLACEHOLDER, everything, fill, pair, words
from crm.texts.facts import PREFIX, Fact, Kind, programme
from crm.texts.models import Publication, TextDraft
from crm.texts.published import publish
from crm.texts.typography import mend
from crm.timeline.services import record

# Where people read a text, and the beginnings of its key. What code reasons about (stages, refusals, history) is not among them.
GROUPS: dict[str, tuple[str, ...]] = {
    "pages": ("content.faq.", "content.privacy.", "content.accessibility.", "intake.home.", "intake.footer.", "intake.closed.", "activities.ask.", "activities.received."),
    "request": ("intake.introduction.", "intake.form.", "intake.question.", "intake.check.", "intake.later.", "intake.resume.", "intake.received.",
                "intake.section.", "intake.documents.", "cases.sector.", "cases.need.", "cases.project_stage.", "cases.contact_role.", "cases.heard."),
    "notice": ("intake.notice.", "intake.consent.", "permissions.shown", "permissions.script", "permissions.unsubscribe."),
    "person": ("portal.page.", "portal.documents.", "portal.correct.", "portal.copy.", "portal.turn.", "portal.stage.", "portal.times.", "portal.landing.", "portal.lost.", "portal.said.",
               "surveys.page.", "surveys.going."),
    "mail": ("activities.mail.", "intake.mail.", "portal.mail.", "talks.mail.", "referrals.mail.", "reminders.mail.", "surveys.mail."),
}  # fmt: skip
# Filled in wherever they stand in a page or a message.
FACTS_OF_TEXTS = frozenset(
    {"programme", "organisation", "phone", "email", "address", "privacy_title", "privacy_email", "place", "retention"}
)


def group_of(key: str) -> str | None:
    """Where people read a text; None for one that is not to be changed."""
    if key not in everything() or key.endswith(".version"):
        return None
    return next((group for group, starts in GROUPS.items() if key.startswith(starts)), None)


def is_editable(key: str) -> bool:
    return group_of(key) is not None


def is_mail(key: str) -> bool:
    """Whether a text is the subject or the body of a message."""
    return ".mail." in key


def is_body(key: str) -> bool:
    """Whether a text is the body of a page: Markdown, in which facts are filled in."""
    return key.startswith("content.") and key.endswith(".body")


def placeholders(key: str) -> set[str]:
    """What a text must leave room for: what ships does."""
    needed = set(PLACEHOLDER.findall(everything()[key]["fr"]))
    return needed - FACTS_OF_TEXTS if is_body(key) else needed


def always(key: str) -> frozenset[str]:
    """Facts of the programme that a text may print besides: in pages and messages they are always filled in."""
    return FACTS_OF_TEXTS if is_body(key) or ".mail." in key else frozenset()


@dataclass(frozen=True)
class Row:
    """A text in the list. `state`: "" as it ships, "published", "english_older", and whether a draft waits."""

    key: str
    words: str
    state: str
    drafted: bool


def listed(group: str, lang: str) -> list[Row]:
    """The texts of a group, in the order in which they ship."""
    keys = [key for key in everything() if group_of(key) == group]
    newest = select(func.max(Publication.id)).where(Publication.key.in_(keys)).group_by(Publication.key)
    published = {
        row.key: row.en_at < row.fr_at
        for row in db.session.execute(
            select(Publication.key, Publication.fr_at, Publication.en_at).where(Publication.id.in_(newest))
        )
    }
    drafts = set(db.session.scalars(select(TextDraft.key).where(TextDraft.key.in_(keys))))
    return [
        Row(
            key,
            " ".join(pair(key)[lang].replace("#", "").split())[:160],
            "" if key not in published else "english_older" if published[key] else "published",
            key in drafts,
        )
        for key in keys
    ]


def sample(lang: str, reader: Staff | None = None) -> dict[str, object]:
    """What stands for each placeholder of a text that is being written: the programme's facts and examples or, for who may read it, what a real file says."""
    with speaking(lang):
        found: dict[str, object] = dict(words("content.sample")) | programme_values(lang)
        for offered in plugged("samples") if reader is not None else ():
            found |= offered(reader, lang)
    return found


def send_test(key: str, typed: dict[str, str], actor: Staff) -> None:
    """Mail a text that is being written to who writes it, in both languages, with the other half of the message as it stands."""
    whole, _, part = key.rpartition(".")
    for lang in LANGUAGES:
        values = sample(lang)  # mail travels: no person of a file is in it
        halves = {name: pair(f"{whole}.{name}")[lang] for name in ("subject", "body")} | {part: typed[lang]}
        queue(
            "content.test",
            dedupe_key=f"test:{actor.id}:{lang}:{secrets.token_urlsafe(12)}",
            to=(actor.email, actor.name),
            language=lang,
            values={"subject": fill(halves["subject"], values), "body": fill(halves["body"], values)},
            staff_id=actor.id,
        )


def newest_fact() -> int:
    """The number of the newest version of any fact."""
    theirs = select(func.max(Publication.id)).where(Publication.key.startswith(f"{PREFIX}.", autoescape=True))
    return db.session.scalar(theirs) or 0


def mended(french: str) -> str:
    """The French with its no-break spaces, apostrophes and points, which nobody should have to type."""
    return mend(french)


def publish_text(key: str, fr: str, en: str, actor: Staff, *, both_agree: bool) -> Publication | None:
    """Publish a text; None when nothing changed. Raises EnglishAheadError."""
    made = publish(key, fr, en, by_id=actor.id, both_agree=both_agree)
    if made is not None:
        record("text.published", case_id=None, actor=by(actor), codes={"text_key": key})
    return made


def save_facts(typed: dict[Fact, tuple[str, str]], actor: Staff) -> int:
    """Save the facts that changed. Returns how many."""
    facts, saved = programme(), 0
    for fact, (fr, en) in typed.items():
        now = getattr(facts, fact.name)
        was = (
            (now["fr"], now["en"])
            if fact.kind is Kind.PAIR
            else ("yes" if now is True else "no" if now is False else now,) * 2
        )
        french = mended(fr) if fact.kind is Kind.PAIR else fr
        if (french, en) != was:
            publish(f"{PREFIX}.{fact.name}", french, en, by_id=actor.id, both_agree=True)
            record("text.published", case_id=None, actor=by(actor), codes={"text_key": f"{PREFIX}.{fact.name}"})
            saved += 1
    return saved


class StaleDraftError(Exception):
    """Somebody else kept a draft of this text in the meantime: nothing was changed."""


def draft_of(key: str) -> TextDraft | None:
    """The draft of a text, if there is one."""
    return db.session.get(TextDraft, key)


def mark_of(draft: TextDraft | None) -> str:
    """Tells one saving of a draft from another; empty for none."""
    return draft.saved_at.isoformat() if draft else ""


def keep_draft(key: str, fr: str, en: str, actor: Staff, *, based_on: int, seen: str) -> None:
    """Keep a text aside. Right or wrong, in one language or both: publishing judges.

    `seen` is the mark of the draft that was on screen. Raises StaleDraftError when another was kept since.
    """
    found = db.session.get(TextDraft, key, with_for_update=True)
    if mark_of(found) != seen:
        raise StaleDraftError
    found = found or TextDraft(key=key)
    found.fr, found.en, found.based_on, found.saved_at, found.by_id = fr, en, based_on, clock.now(), actor.id
    db.session.add(found)


def drop_draft(key: str, *, seen: str) -> None:
    """Throw a draft away, if it is still the one that was on screen."""
    found = db.session.get(TextDraft, key)
    if found is not None and mark_of(found) == seen:
        db.session.delete(found)
