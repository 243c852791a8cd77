"""Reads of the directory."""

import re
from functools import cache

from sqlalchemy import Select, select
from sqlalchemy.orm import load_only

from crm.db import db
from crm.partners.models import Body
from crm.search.words import Question

CODE = re.compile(r"[a-z0-9_-]{1,30}")


def directory() -> list[Body]:
    """Active bodies, by short name."""
    return list(db.session.scalars(select(Body).where(Body.active.is_(True)).order_by(Body.short_fr)))


def named(question: Question) -> list[Body]:
    """Bodies that are active and have every word of a question in their names, whole or as a beginning."""
    if not question:
        return []
    bodies = db.session.scalars(_names())
    return [one for one in bodies if question.answered_by(f"{one.name_fr} {one.name_en} {one.short_fr} {one.short_en}")]


@cache
def _names() -> Select[Body]:
    names = load_only(Body.code, Body.name_fr, Body.name_en, Body.short_fr, Body.short_en)
    return select(Body).where(Body.active.is_(True)).options(names).order_by(Body.short_fr)


def by_code(code: str) -> Body | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Body).where(Body.code == code))
