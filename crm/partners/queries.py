"""Reads of the directory."""

from sqlalchemy import select

from crm.db import db
from crm.partners.models import Body


def directory() -> list[Body]:
    """Active bodies, by short name."""
    return list(db.session.scalars(select(Body).where(Body.active.is_(True)).order_by(Body.short_fr)))


def by_code(code: str) -> Body | None:
    return db.session.scalar(select(Body).where(Body.code == code))
