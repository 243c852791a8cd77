"""Reads of the directory."""

import re

from sqlalchemy import select

from crm.db import db
from crm.partners.models import Body

CODE = re.compile(r"[a-z0-9_-]{1,30}")


def directory() -> list[Body]:
    """Active bodies, by short name."""
    return list(db.session.scalars(select(Body).where(Body.active.is_(True)).order_by(Body.short_fr)))


def by_code(code: str) -> Body | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Body).where(Body.code == code))
