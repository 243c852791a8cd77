"""Making, opening and revoking links."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Select, select, true, update

from crm import clock
from crm.db import db
from crm.links.models import Link, Purpose

# Stands in a message's text where the token goes; the sender replaces it while sending.
PLACE = "[link]"


def place_of(number: int) -> str:
    """The same for one link of a message that carries several, which it names in `subject_ids["links"]`."""
    return f"[link:{number}]"


def issue(purpose: Purpose, object_id: int, *, days: int, replacing: bool = True) -> Link:
    """A new link to one object for one purpose, for `days` days. Earlier ones for the same are revoked when `replacing`."""
    if replacing:
        revoke(purpose, object_id)
    now = clock.now()
    link = Link(purpose=purpose, object_id=object_id, created_at=now, expires_at=now + timedelta(days=days), version=1)
    db.session.add(link)
    db.session.flush()  # its id is needed by the message that carries it
    return link


def live(purpose: Purpose, object_id: int, *, at_least: int = 0) -> Link | None:
    """The newest link to an object that lives for `at_least` days more, if there is one."""
    return db.session.scalar(
        select(Link)
        .where(
            Link.purpose == purpose,
            Link.object_id == object_id,
            Link.revoked_at.is_(None),
            Link.expires_at > clock.now() + timedelta(days=at_least),
        )
        .order_by(Link.id.desc())
        .limit(1)
    )


def standing(purpose: Purpose, object_id: int, *, days: int, at_least: int = 0) -> Link:
    """The live link to an object, so that several messages carry the same; a new one when none lives long enough."""
    return live(purpose, object_id, at_least=at_least) or issue(purpose, object_id, days=days, replacing=False)


def revoke(purpose: Purpose, object_id: int) -> None:
    """Every link to this object for this purpose stops working with this transaction."""
    db.session.execute(
        update(Link)
        .where(Link.purpose == purpose, Link.object_id == object_id, Link.revoked_at.is_(None))
        .values(revoked_at=clock.now())
    )


def revoke_older(purpose: Purpose, objects: Select[Any], before: datetime | None) -> None:
    """Every link to some objects for this purpose that was made before an instant, or whenever, stops working with this transaction."""
    older = Link.created_at < before if before is not None else true()
    db.session.execute(
        update(Link)
        .where(Link.purpose == purpose, Link.object_id.in_(objects), older, Link.revoked_at.is_(None))
        .values(revoked_at=clock.now())
        .execution_options(synchronize_session="fetch")
    )


def hand_over(purpose: Purpose, object_id: int, to: int) -> None:
    """The links to an object are from now on to another that took its place."""
    db.session.execute(
        update(Link)
        .where(Link.purpose == purpose, Link.object_id == object_id)
        .values(object_id=to)
        .execution_options(synchronize_session="fetch")
    )


def token(link: Link) -> str:
    """The secret part of a link's address: the row's id and 256 bits made from the key, the id and the version."""
    return f"{link.id}-{_signature(link.id, link.purpose, link.version)}"


def opened(value: str, purpose: Purpose) -> Link | None:
    """The live link of a token, or None for every failure alike: forged, other purpose, expired, revoked."""
    link = _genuine(value, purpose)
    return link if link is not None and is_live(link) else None


def _genuine(value: str, purpose: Purpose) -> Link | None:
    """The link that a token was made from, live or not; None for one that was not made here for this purpose."""
    number, _, signature = value.partition("-")
    if not number.isascii() or not number.isdigit() or len(number) > 9 or not signature.isascii():
        return None
    link = db.session.get(Link, int(number))
    version = link.version if link else 0
    genuine = hmac.compare_digest(signature, _signature(int(number), purpose, version))
    return link if link is not None and genuine and link.purpose == purpose else None


def expired(value: str, purpose: Purpose) -> Link | None:
    """The link of a genuine token whose days are over, and that nobody revoked: its holder may ask for another. None for all else."""
    link = _genuine(value, purpose)
    over = link is not None and link.revoked_at is None and not is_live(link)
    return link if over else None


def is_live(link: Link) -> bool:
    return link.revoked_at is None and link.expires_at > clock.now()


def _signature(number: int, purpose: str, version: int) -> str:
    secret = str(current_app.config["SECRET_KEY"]).encode()
    made = hmac.new(secret, f"link:{number}:{purpose}:{version}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
