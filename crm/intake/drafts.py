"""Requests being written: kept sealed on the server for seven days from the last save, on whatever device.

A draft is reached by a cookie, by a code that can be read aloud, or by a link mailed on demand. Cookie and code are
made from the draft's key and the secret key: neither is at rest.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import Select, bindparam, delete, func, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.cases.services import DIGITS, LETTERS
from crm.db import UTCDateTime, db
from crm.files import services as files
from crm.forms import clean
from crm.i18n import format_date
from crm.intake.models import Draft, Request
from crm.links.models import Link, Purpose
from crm.links.services import PLACE, issue
from crm.outbox.models import Message
from crm.outbox.services import queue, settings
from crm.sealing import seal, unseal

LIVES = timedelta(days=7)
CODE_SIGNS = 12
RESUME = {"fr": "demande/reprendre", "en": "request/resume"}


@dataclass
class Content:
    """What a draft holds: what was typed by question, and the pages that were judged and found wanting."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)
    trapped: bool = False  # the field that people do not see was filled in
    tabs: dict[str, str] = field(default_factory=dict)  # the window that wrote each answer last
    documents: dict[str, str] = field(default_factory=dict)  # what was added, number to name: it is kept for a day only

    def put(self, typed: dict[str, list[str]]) -> None:
        """Keep what was typed, letter by letter; an empty answer takes back an earlier one."""
        for name, values in typed.items():
            if any(values):
                self.answers[name] = values
            else:
                self.answers.pop(name, None)

    def merge(self, typed: dict[str, list[str]], *, tab: str, seen: Mapping[str, str]) -> dict[str, list[str]]:
        """Keep what was typed in one window beside what another wrote meanwhile; the other's answers that had to give way.

        `seen` marks each answer as it was when this window was drawn. An answer that it left alone stays as the other window has
        it; where both changed one, this window's stands, and the other's is given back to be shown.
        """
        replaced: dict[str, list[str]] = {}
        for name, values in typed.items():
            there = self.answers.get(name, [])
            elsewhere = name in seen and self.tabs.get(name) != tab and mark_of(there) != seen[name]
            if elsewhere and mark_of(values) == seen[name]:
                continue
            if elsewhere and mark_of(values) != mark_of(there):
                replaced[name] = there
            self.put({name: values})
            if tab:
                self.tabs[name] = tab
        return replaced

    def judge(self, page: str, *, wrong: bool) -> None:
        self.judged = [one for one in self.judged if one != page] + ([page] if wrong else [])


def mark_of(values: list[str]) -> str:
    """A mark that tells one answer from another, however its browser ends lines."""
    cleaned = [one for one in (str(clean(value)) for value in values) if one]
    return hashlib.sha256(json.dumps(cleaned).encode("utf-8", "replace")).hexdigest()[:8]


def begin() -> Draft:
    """An empty draft."""
    now = clock.now()
    key = secrets.token_urlsafe(32)
    draft = Draft(key=key, code_hash=_hash_of(_code_of(key)), started_at=now, saved_at=now, sealed=b"")
    save(draft, Content())
    db.session.add(draft)
    return draft


def save(draft: Draft, content: Content) -> None:
    """Keep a draft's content; its seven days begin anew."""
    written = json.dumps(asdict(content))
    draft.sealed, draft.saved_at = seal(written, _row(draft)), clock.now()


def content_of(draft: Draft) -> Content:
    """What a draft holds; nothing when it was sent or cannot be opened any more."""
    written = unseal(draft.sealed, _row(draft)) if draft.sealed else None
    return Content(**json.loads(written)) if written else Content()


def _row(draft: Draft) -> str:
    """The row that a seal belongs to."""
    return f"draft {draft.key}"


def finish(draft: Draft, request: Request) -> None:
    """The draft was sent: what was typed is in the request, and only the way to its confirmation stays."""
    db.session.flush()  # the request's id is needed
    draft.request_id, draft.sealed = request.id, b""


# --- reaching a draft ------------------------------------------------------------------------------------------------


def cookie_of(draft: Draft) -> str:
    """The value of the cookie that opens a draft."""
    return str(_serializer().dumps(draft.key))


def of_cookie(value: str, *, lock: bool = False) -> Draft | None:
    """The live draft of a cookie, or None for every failure alike: forged, expired, destroyed.

    `lock` holds the row until the transaction ends, so that two presses follow each other.
    """
    try:
        key = str(_serializer().loads(value))
    except BadSignature:
        return None
    return _live("key", key, lock=lock)


def code_of(draft: Draft) -> str:
    """The code to type on another device, such as 7K4M-2T9R-3B8C: 43 bits, signs that do not look alike."""
    return _code_of(draft.key)


def of_code(typed: str) -> Draft | None:
    """The live draft of a code, whatever its case, spaces and dashes."""
    signs = "".join(sign for sign in typed.upper() if sign.isalnum())
    code = "-".join(signs[start : start + 4] for start in range(0, len(signs), 4))
    return _live("code_hash", _hash_of(code)) if len(signs) == CODE_SIGNS else None


def of_link(link: Link | None) -> Draft | None:
    """The live draft of a live link that was mailed."""
    return _live("id", link.object_id) if link else None


def mail_link(draft: Draft, address: str, language: str) -> None:
    """Mail a link that opens this draft for as long as it lives. Earlier links to it stop working."""
    link = issue(Purpose.RESUME, draft.id, days=LIVES.days)
    queue(
        "intake.resume",
        dedupe_key=f"resume:{link.id}",
        to=(address, ""),
        language=language,
        values={
            "date": format_date(clock.local_date(expires_at(draft)), language),
            "address_of_link": f"{settings().base_url}/{language}/{RESUME[language]}/{PLACE}",
        },
        link=link,
    )


def still_there(message: Message) -> bool:
    """Whether the draft is still there, asked just before the mail leaves; the link itself is the sender's to ask about."""
    return of_link(db.session.get(Link, message.link_id)) is not None


def expires_at(draft: Draft) -> datetime:
    return draft.saved_at + LIVES


def _live(of: str, value: object, *, lock: bool = False) -> Draft | None:
    return db.session.scalar(_live_one(of, lock=lock), {"value": value, "since": clock.now() - LIVES})


@cache
def _live_one(of: str, *, lock: bool) -> Select[Draft]:
    live = Draft.saved_at > bindparam("since", type_=UTCDateTime)
    statement = select(Draft).where(getattr(Draft, of) == bindparam("value"), live)
    return statement.with_for_update() if lock else statement


def sent_as(draft: Draft) -> Request | None:
    """The request that a draft became; None while it is being written."""
    if draft.request_id is None:
        return None
    found = select(Request).where(Request.id == draft.request_id).options(joinedload(Request.case))
    return db.session.scalar(found)


def waiting() -> int:
    """How many requests are being written now."""
    return db.session.scalar(select(func.count(Draft.id)).where(Draft.request_id.is_(None))) or 0


def destroy_old() -> int:
    """Destroy drafts seven days after their last save, with the links and the mail that led to them; how many."""
    old = list(
        db.session.scalars(
            select(Draft.id).where(Draft.saved_at <= clock.now() - LIVES).limit(500).with_for_update(skip_locked=True)
        )
    )
    if old:
        links = select(Link.id).where(Link.purpose == Purpose.RESUME, Link.object_id.in_(old))
        _delete(delete(Message).where(Message.link_id.in_(links)))
        _delete(delete(Link).where(Link.purpose == Purpose.RESUME, Link.object_id.in_(old)))
        files.forget_of_drafts(old)
        _delete(delete(Draft).where(Draft.id.in_(old)))
    return len(old)


def _delete(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(_secret(), salt="intake-draft")


def _code_of(key: str) -> str:
    drawn = int.from_bytes(hmac.new(_secret().encode(), f"draft code {key}".encode(), hashlib.sha256).digest(), "big")
    signs = []
    for place in range(CODE_SIGNS):
        alphabet = DIGITS if place % 2 == 0 else LETTERS
        drawn, sign = divmod(drawn, len(alphabet))
        signs.append(alphabet[sign])
    return "-".join("".join(signs[start : start + 4]) for start in range(0, CODE_SIGNS, 4))


def _hash_of(code: str) -> str:
    made = hmac.new(_secret().encode(), f"draft code hash {code}".encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(made.digest()).decode()


def _secret() -> str:
    return str(current_app.config["SECRET_KEY"])
