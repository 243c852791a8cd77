"""What a merge does to each kind of row: the tools that features build their part with, and the parts of files themselves.

A part moves its rows from the file that goes to the file that is kept, and says what it did; given that back, it undoes it.
The history is not moved: events never change, so the kept file's history reads those of the files merged into it.
"""

from datetime import date
from typing import Any

from sqlalchemy import delete, func, select, update

from crm.cases.addresses import link_of
from crm.cases.models import Case, CaseNeed, CaseReader, Exchange, Founder, Note
from crm.cases.vocabulary import Need
from crm.db import db
from crm.feature import MergePart
from crm.files.models import StoredFile
from crm.links.models import Link, Purpose
from crm.links.services import revoke
from crm.outbox.models import WAITING, Message

# Blanks of the kept file that the other one fills: (attribute of the file, columns that go together).
BLANKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("contact", ("email",)),
    ("contact", ("phone", "phone_extension")),
    ("contact", ("availability",)),
    ("project", ("name",)),
    ("project", ("neq",)),
    ("project", ("incorporated",)),
    ("project", ("locality",)),
    ("project", ("team_size",)),
    ("project", ("funding_band",)),
    ("project", ("supports",)),
    ("project", ("supports_other",)),
    ("project", ("summary",)),
    ("project", ("incorporated_on",)),
    ("project", ("launched_on",)),
    ("project", ("checked_on", "check_result")),
)


def rows_of(model: Any) -> MergePart:
    """The part of a table whose rows belong to a file by `case_id`."""

    def move(gone: Case, kept: Case) -> list[int]:
        return move_rows(model, gone.id, kept.id)

    def undo(gone: Case, kept: Case, moved: list[int]) -> None:
        return_rows(model, gone.id, kept.id, moved)

    return MergePart(model.__tablename__, move, undo)


def move_rows(model: Any, gone_id: int, kept_id: int, *only: Any) -> list[int]:
    """Give the rows of one file to another; their numbers."""
    ids = list(db.session.scalars(select(model.id).where(model.case_id == gone_id, *only)))
    if ids:
        db.session.execute(_giving(model, kept_id).where(model.id.in_(ids)))
    return ids


def return_rows(model: Any, gone_id: int, kept_id: int, ids: list[int]) -> None:
    """Give back those of the rows that are still where a merge put them."""
    if ids:
        db.session.execute(_giving(model, gone_id).where(model.id.in_(ids), model.case_id == kept_id))


def _giving(model: Any, case_id: int) -> Any:
    return update(model).values(case_id=case_id).execution_options(synchronize_session="fetch")


# --- the parts of files ----------------------------------------------------------------------------------------------


def _fill(gone: Case, kept: Case) -> dict[str, Any]:
    """What the kept file lacks comes from the other; what both have stays as the kept one says."""
    filled: dict[str, Any] = {}
    for of, columns in BLANKS:
        ours, theirs = getattr(kept, of), getattr(gone, of)
        if getattr(ours, columns[0]) in (None, "", []) and getattr(theirs, columns[0]) not in (None, "", []):
            for column in columns:
                filled[f"{of}.{column}"] = [_kept(getattr(ours, column)), _kept(getattr(theirs, column))]
                setattr(ours, column, getattr(theirs, column))
    if filled:
        kept.project.version += 1
    reply = gone.first_reply_at
    if kept.first_reply_at is None and reply is not None and reply >= kept.received_at:
        kept.first_reply_at = reply
        filled["first_reply_at"] = [None, reply.isoformat()]
    return filled


def _kept(value: Any) -> Any:
    """A value as JSON holds it."""
    return value.isoformat() if isinstance(value, date) else value


def _empty(_gone: Case, kept: Case, filled: dict[str, Any]) -> None:
    """Take out what came from the other file, unless somebody changed it since."""
    reply = kept.first_reply_at
    if "first_reply_at" in filled and reply is not None and reply.isoformat() == filled["first_reply_at"][1]:
        kept.first_reply_at = None
    for of, columns in BLANKS:  # what goes together is taken out together, or stays
        ours = getattr(kept, of)
        came = {column: filled[f"{of}.{column}"] for column in columns if f"{of}.{column}" in filled}
        if came and all(_kept(getattr(ours, column)) == put for column, (_before, put) in came.items()):
            for column, (before, _put) in came.items():
                setattr(ours, column, before)  # it was blank: no day has to be read again
    if filled:
        kept.project.version += 1


def _add_needs(gone: Case, kept: Case) -> list[str]:
    ours = set(db.session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == kept.id)))
    columns = (CaseNeed.need, CaseNeed.since, CaseNeed.state, CaseNeed.state_since)
    theirs = db.session.execute(select(*columns).where(CaseNeed.case_id == gone.id)).all()
    new = [row for row in theirs if row.need not in ours]
    db.session.add_all(
        CaseNeed(case_id=kept.id, need=row.need, since=row.since, state=row.state, state_since=row.state_since)
        for row in new
    )
    return [row.need.value for row in new]


def _drop_needs(_gone: Case, kept: Case, added: list[str]) -> None:
    if added:
        mine = CaseNeed.need.in_([Need(need) for need in added])
        db.session.execute(delete(CaseNeed).where(CaseNeed.case_id == kept.id, mine))


def _restrict(gone: Case, kept: Case) -> None:
    """When the file that goes was kept to some people, the one that stays is. Undoing does not open it: somebody decides that."""
    if gone.restricted and not kept.restricted:
        kept.restricted = True
        readers = set(db.session.scalars(select(CaseReader.staff_id).where(CaseReader.case_id == gone.id)))
        readers |= {owner for owner in (gone.owner_id, kept.owner_id) if owner}
        db.session.add_all(CaseReader(case_id=kept.id, staff_id=reader) for reader in readers)


def _leave(_gone: Case, _kept: Case, _journal: None) -> None:
    """Nothing to take back."""


def same_person(one: Case, other: Case) -> bool:
    """Whether two files are one person's: same e-mail address or, where neither has one, same telephone."""
    mine, theirs = one.contact, other.contact
    if mine.email or theirs.email:
        return mine.email.casefold() == theirs.email.casefold()
    return bool(mine.phone) and (mine.phone, mine.phone_extension) == (theirs.phone, theirs.phone_extension)


def _close_links(gone: Case, kept: Case) -> None:
    """No link given before opens the two files as one: whoever typed somebody's address could hold it.

    What waits to leave carries a new one, which only the mailbox on file, or a colleague, can give.
    """
    earlier = select(Link.id).where(Link.purpose == Purpose.CASE, Link.object_id.in_((gone.id, kept.id)))
    theirs = (WAITING, Message.link_id.in_(earlier), func.lower(Message.to_address) == kept.contact.email.lower())
    waiting = list(db.session.scalars(select(Message.id).where(*theirs)))
    revoke(Purpose.CASE, gone.id)
    revoke(Purpose.CASE, kept.id)
    if waiting:
        db.session.execute(
            update(Message)
            .where(Message.id.in_(waiting))
            .values(link_id=link_of(kept).id)
            .execution_options(synchronize_session="fetch")
        )


PARTS = (
    MergePart("link", _close_links, _leave),
    MergePart("blanks", _fill, _empty),
    MergePart("needs", _add_needs, _drop_needs),
    MergePart("restriction", _restrict, _leave),
    rows_of(Note),
    rows_of(Exchange),
    rows_of(StoredFile),
    rows_of(Founder),
    rows_of(Message),
)
