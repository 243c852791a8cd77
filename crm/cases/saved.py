"""Lists that people give a name: theirs and the team's. None is ever replaced unless its owner says which one, as they last saw it."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import bindparam, delete, or_, select
from werkzeug.datastructures import MultiDict

from crm.access import COORDINATING
from crm.accounts.models import Staff
from crm.cases.filters import Filter
from crm.cases.listing import Look
from crm.cases.models import SavedView, StartView
from crm.db import db
from crm.errors import RefusedError
from crm.texts import text

MOST = 50  # of one person
LONGEST = 20_000  # signs of an address: every value of every filter ticked is less


def read(query: str) -> tuple[Filter, Look]:
    """The list of an address; what means nothing is left out.

    Raises RefusedError for one too long to be a list: cut short, it would be another, wider one.
    """
    return _read(query)[0]


def read_whole(query: str) -> tuple[Filter, Look]:
    """The same for who acts on all of its files. Raises RefusedError when part of it means nothing any more: left out, the list would be a wider one."""
    found, ignored = _read(query)
    if ignored:
        raise RefusedError(text("cases.refusal.list_changed"))
    return found


def _read(query: str) -> tuple[tuple[Filter, Look], list[str]]:
    if len(query) > LONGEST:
        raise RefusedError(text("cases.refusal.long_list"))
    arguments = MultiDict(parse_qsl(query))
    wanted, ignored = Filter.read(arguments)
    look, also = Look.read(arguments)
    return (wanted, look), [*ignored, *also]


def canonical(query: str) -> str:
    """A list as its address is always written, from any address of it."""
    wanted, look = read(query)
    return urlencode([*wanted.pairs(), *look.pairs()])


def seen_by(staff: Staff) -> Sequence[Any]:
    """The views of a person and those of the team: theirs first, each by name; with who made them, and whether they begin there."""
    return db.session.execute(_seen(), {"staff_id": staff.id}).all()


@cache
def _seen() -> Any:
    me: Any = bindparam("staff_id")
    return (
        select(SavedView, Staff.name.label("owner"), StartView.view_id.label("start"))
        .join(Staff, Staff.id == SavedView.owner_id)
        .outerjoin(StartView, (StartView.view_id == SavedView.id) & (StartView.staff_id == me))
        .where(or_(SavedView.owner_id == me, SavedView.shared.is_(True)))
        .order_by(SavedView.owner_id != me, SavedView.name, SavedView.id)
    )


def find(number: int, staff: Staff) -> SavedView | None:
    """A view that this person sees; None for another."""
    view = db.session.get(SavedView, number)
    return view if view is not None and (view.shared or view.owner_id == staff.id) else None


def may_change(view: SavedView, staff: Staff) -> bool:
    """Its owner; a coordinator too, once it is the team's."""
    return view.owner_id == staff.id or (view.shared and staff.role in COORDINATING)


def _must_be_theirs(view: SavedView, actor: Staff) -> None:
    if not may_change(view, actor):
        raise RefusedError(text("cases.refusal.not_your_view"))


def save(name: str, query: str, *, on_board: bool, shared: bool, actor: Staff) -> SavedView:
    """A new view. Raises RefusedError when this person has one of that name, whatever its capitals, or too many."""
    mine = db.session.scalars(select(SavedView.name).where(SavedView.owner_id == actor.id)).all()
    if name.casefold() in {one.casefold() for one in mine}:
        raise exists_already(name)
    if len(mine) >= MOST:
        raise RefusedError(text("cases.refusal.too_many_views", count=MOST))
    view = SavedView(owner_id=actor.id, name=name, query=canonical(query), on_board=on_board, shared=shared, version=1)
    db.session.add(view)
    db.session.flush()  # its number is pinned and shown
    return view


def exists_already(name: str) -> RefusedError:
    return RefusedError(text("cases.refusal.view_exists", name=name))


def replace(view: SavedView, query: str, *, on_board: bool, seen_version: int, actor: Staff) -> None:
    """What a view shows is this list from now on. Raises RefusedError when somebody changed it after it was shown."""
    _must_be_theirs(view, actor)
    if view.version != seen_version:
        raise RefusedError(text("cases.refusal.view_changed"))
    view.query, view.on_board, view.version = canonical(query), on_board, view.version + 1


def share(view: SavedView, actor: Staff, *, shared: bool) -> None:
    """Show a view to the team, or keep it to its owner: whoever else began there begins on Today again."""
    _must_be_theirs(view, actor)
    view.shared, view.version = shared, view.version + 1
    if not shared:
        others = (StartView.view_id == view.id, StartView.staff_id != view.owner_id)
        db.session.execute(delete(StartView).where(*others))


def remove(view: SavedView, actor: Staff) -> None:
    """Take a view away; whoever began there begins on Today again: the database sees to it."""
    _must_be_theirs(view, actor)
    db.session.delete(view)


def begin_on(view: SavedView | None, actor: Staff) -> None:
    """Begin on a view from now on, or on Today when there is none."""
    start = db.session.get(StartView, actor.id)
    if view is None:
        if start is not None:
            db.session.delete(start)
    elif start is None:
        db.session.add(StartView(staff_id=actor.id, view_id=view.id))
    else:
        start.view_id = view.id


def start_of(staff: Staff) -> SavedView | None:
    """The view on which a person begins, while they see it."""
    start = db.session.get(StartView, staff.id)
    return find(start.view_id, staff) if start is not None else None
