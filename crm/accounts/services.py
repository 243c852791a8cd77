"""Making, changing and closing accounts, and signing in and out."""

import hashlib
import secrets
from datetime import timedelta
from functools import cache

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.orm import contains_eager

from crm import clock
from crm.access import Role
from crm.accounts import passwords
from crm.accounts.models import SignIn, Staff
from crm.accounts.queries import account_address
from crm.db import db
from crm.timeline.models import ActorKind

# A working day, and an hour away from the keyboard: domain reference, section 12.1.
LONGEST_SESSION = timedelta(hours=8)
LONGEST_IDLE = timedelta(minutes=60)


def by(actor: Staff | None) -> tuple[ActorKind, int | None]:
    """Who did it, for the history: a colleague, or the entrepreneur when it is no colleague."""
    return (ActorKind.STAFF, actor.id) if actor is not None else (ActorKind.PERSON, None)


def create_staff(*, email: str, name: str, role: Role, language: str, password: str, on_duty: bool = False) -> Staff:
    """A new account. Raises ValueError when the address is taken or the password is refused."""
    email = account_address(email)
    if db.session.scalar(select(Staff.id).where(Staff.email == email)) is not None:
        raise ValueError(f"{email} has an account already")
    if wrong := passwords.problem(password):
        raise ValueError(f"the password needs {wrong}")
    staff = Staff(
        email=email,
        name=name.strip(),
        role=role,
        language=language,
        password_hash=passwords.make_hash(password),
        active=True,
        on_duty=on_duty,
        created_at=clock.now(),
    )
    db.session.add(staff)
    return staff


def set_password(staff: Staff, password: str) -> None:
    """Change a password and end every session of the account."""
    if wrong := passwords.problem(password):
        raise ValueError(f"the password needs {wrong}")
    staff.password_hash = passwords.make_hash(password)
    end_sessions(staff)


def deactivate(staff: Staff) -> None:
    """Close an account: nobody signs in with it any more and its sessions end."""
    staff.active = False
    staff.on_duty = False
    end_sessions(staff)


def end_sessions(staff: Staff) -> None:
    db.session.execute(delete(SignIn).where(SignIn.staff_id == staff.id))


def sign_in(email: str, password: str) -> tuple[Staff, str] | None:
    """The person and a new session's token, or None; the same work is done for a known and an unknown address."""
    staff = db.session.scalar(select(Staff).where(Staff.email == account_address(email)))
    usable = staff is not None and staff.active
    fits = passwords.matches(password, staff.password_hash if staff is not None and usable else None)
    if staff is None or not fits:
        return None
    if passwords.is_outdated(staff.password_hash):
        staff.password_hash = passwords.make_hash(password)
    token = secrets.token_urlsafe(32)
    now = clock.now()
    db.session.add(SignIn(token_hash=_hash(token), staff_id=staff.id, created_at=now, seen_at=now))
    return staff, token


def sign_out(token: str) -> None:
    """End one session on the server: its cookie is worthless from now on."""
    db.session.execute(delete(SignIn).where(SignIn.token_hash == _hash(token)))


def session_of(token: str) -> SignIn | None:
    """The live session of a token, with its person; None when ended, too old, idle too long or deactivated."""
    now = clock.now()
    live = {"token_hash": _hash(token), "made_after": now - LONGEST_SESSION, "seen_after": now - LONGEST_IDLE}
    return db.session.scalar(_live_session(), live)


@cache
def _live_session() -> Select[SignIn]:
    return (
        select(SignIn)
        .join(SignIn.staff)
        .where(
            SignIn.token_hash == bindparam("token_hash"),
            SignIn.created_at > bindparam("made_after"),
            SignIn.seen_at > bindparam("seen_after"),
            Staff.active.is_(True),
        )
        .options(contains_eager(SignIn.staff))
    )


def forget_old_sessions() -> int:
    """Destroy sessions that can never come back; returns how many."""
    gone = db.session.execute(delete(SignIn).where(SignIn.created_at < clock.now() - LONGEST_SESSION))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
