"""Reads of the directory."""

import re
from functools import cache

from sqlalchemy import Select, select
from sqlalchemy.orm import load_only

from crm.db import db
from crm.partners.models import Body
from crm.search.words import Question, words_of

CODE = re.compile(r"[a-z0-9_-]{1,30}")


def directory() -> list[Body]:
    """Active bodies, by short name."""
    return list(db.session.scalars(select(Body).where(Body.active.is_(True)).order_by(Body.short_fr)))


def named(question: Question) -> list[Body]:
    """Bodies that are active and have every word of a question in their names, whole or as a beginning."""
    if not question:
        return []

    def answers(body: Body) -> bool:
        words = words_of(f"{body.name_fr} {body.name_en} {body.short_fr} {body.short_en}")
        return all(any(word.startswith(asked) for word in words) for asked in question.words)

    return [body for body in db.session.scalars(_names()) if answers(body)]


@cache
def _names() -> Select[Body]:
    names = load_only(Body.code, Body.name_fr, Body.name_en, Body.short_fr, Body.short_en)
    return select(Body).where(Body.active.is_(True)).options(names).order_by(Body.short_fr)


def by_code(code: str) -> Body | None:
    if not CODE.fullmatch(code):
        return None
    return db.session.scalar(select(Body).where(Body.code == code))
