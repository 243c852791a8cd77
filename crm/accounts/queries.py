"""Reads about accounts."""

from functools import cache

from sqlalchemy import Select, case, select

from crm.access import CASE_ROLES, Role
from crm.accounts.models import Staff
from crm.db import db
from crm.feature import once

People = tuple[tuple[int, str], ...]


def account_address(email: str) -> str:
    """An address as accounts keep it: the one form in which it is looked for, and in which tries are counted."""
    return email.strip().lower()


def active_case_team() -> People:
    """(id, name) of the people a file can be assigned to, by name; asked of the database once per request."""
    found: People = once("case_team", lambda: tuple((row.id, row.name) for row in db.session.execute(_case_team())))
    return found


@cache
def _case_team() -> Select[int, str]:
    return select(Staff.id, Staff.name).where(Staff.active.is_(True), Staff.role.in_(CASE_ROLES)).order_by(Staff.name)


def duty_person() -> Staff | None:
    """Who gets what nobody holds: the one on duty, otherwise a coordinator, an admin, an adviser."""
    return db.session.scalar(_duty())


@cache
def _duty() -> Select[Staff]:
    rank = case({Role.COORDINATOR: 0, Role.ADMIN: 1, Role.ADVISER: 2}, value=Staff.role, else_=3)
    team = select(Staff).where(Staff.active.is_(True), Staff.role.in_(CASE_ROLES))
    return team.order_by(Staff.on_duty.desc(), rank, Staff.id).limit(1)


def by_email(email: str) -> Staff | None:
    return db.session.scalar(select(Staff).where(Staff.email == account_address(email)))


def active_admins() -> list[int]:
    """Ids of the admins who can sign in."""
    return list(db.session.scalars(select(Staff.id).where(Staff.active.is_(True), Staff.role == Role.ADMIN)))
