"""Putting tags on files and taking them off; what becomes of the tags themselves. Nothing here commits."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, func, select

from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.listing import gathered
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import counted, db, save_over
from crm.errors import RefusedError
from crm.feature import MergePart, once
from crm.forms import clean
from crm.search.words import fold
from crm.sheets import plain
from crm.tags.models import LONGEST, LONGEST_KEY, CaseTag, Tag
from crm.texts import text
from crm.timeline.services import record

MOST_TAGS = 200  # of the team: more are no longer read through
MOST_ON_A_FILE = 20
COUNTED = 1000


# --- reads -----------------------------------------------------------------------------------------------------------


def all_tags() -> Sequence[Tag]:
    """Every tag, in the order of its letters."""
    return db.session.scalars(select(Tag).order_by(Tag.key)).all()


def options() -> list[tuple[str, str]]:
    """Tags as lists of files are narrowed by them; read once in a request."""
    read = select(Tag.id, Tag.name).order_by(Tag.key)
    found: list[tuple[str, str]] = once("tags", lambda: [(str(row.id), row.name) for row in db.session.execute(read)])
    return found


def with_tag(wanted: Any) -> Any:
    """Files that carry one of some tags."""
    return exists().where(CaseTag.case_id == Case.id, CaseTag.tag_id.in_(wanted))


def names() -> Any:
    """The names of a file's tags, within a list of files, in the order of their letters."""
    carried = select(Tag.name).join(CaseTag, CaseTag.tag_id == Tag.id).where(CaseTag.case_id == Case.id)
    return gathered(carried.order_by(Tag.key))


def rows() -> Select[*tuple[Any, ...]]:
    """The tags of a file."""
    carried = select(Tag.key, Tag.id, Tag.name).join(CaseTag, CaseTag.tag_id == Tag.id)
    return carried.where(CaseTag.case_id == bindparam("case_id"))


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """For the panel of the case page, in the order of their letters."""
    return {"tags": [(number, name) for _key, number, name in sorted(found)]}


def of_case(case: Case) -> set[int]:
    """The numbers of a file's tags."""
    return set(db.session.scalars(select(CaseTag.tag_id).where(CaseTag.case_id == case.id)))


def with_use(staff: Staff) -> Sequence[Any]:
    """Every tag with the number of its files that this person sees in lists, counted to COUNTED."""
    seen = visible(staff), Case.quarantined.is_(False)
    files = select(CaseTag.case_id).join(Case, Case.id == CaseTag.case_id)
    carried = counted(files.where(CaseTag.tag_id == Tag.id, *seen).correlate(Tag))
    return db.session.execute(select(Tag, carried.label("used")).order_by(Tag.key), {"at_most": COUNTED}).all()


# --- verbs -----------------------------------------------------------------------------------------------------------


def named(typed: str) -> Tag:
    """The tag of a name, made when there is none. Raises RefusedError for a name that is empty or too long, or one tag too many."""
    name = _name(typed)
    found = db.session.scalar(select(Tag).where(Tag.key == fold(name)))
    if found is not None:
        return found
    if (db.session.scalar(select(func.count(Tag.id))) or 0) >= MOST_TAGS:
        raise RefusedError(text("tags.refusal.many", most=MOST_TAGS))
    tag = Tag(name=name, key=fold(name), version=1)
    db.session.add(tag)
    db.session.flush()
    return tag


def read_name(typed: str) -> str:
    """What somebody typed as the name of a tag; empty when no tag can have it."""
    name = " ".join(str(clean(typed)).split())
    fits = 0 < len(fold(name)) <= LONGEST_KEY and len(name) <= LONGEST and plain(name) == name
    return name if fits else ""


def _name(typed: str) -> str:
    name = read_name(typed)
    if not name:
        raise RefusedError(text("tags.refusal.name", longest=LONGEST))
    return name


def put_on(case: Case, tag: Tag, actor: Staff) -> bool:
    """A file carries a tag; whether it did not before. Raises RefusedError when it carries too many."""
    carried = of_case(case)
    if tag.id in carried:
        return False
    if len(carried) >= MOST_ON_A_FILE:
        raise RefusedError(text("tags.refusal.many_on_file", most=MOST_ON_A_FILE))
    db.session.add(CaseTag(case_id=case.id, tag_id=tag.id))
    db.session.flush()
    _note(case, "put_on", tag, actor)
    return True


def take_off(case: Case, tag: Tag, actor: Staff) -> bool:
    """A file no longer carries a tag; whether it did before."""
    carried = CaseTag.case_id == case.id, CaseTag.tag_id == tag.id
    if not db.session.execute(delete(CaseTag).where(*carried)).rowcount:  # type: ignore[attr-defined]
        return False
    _note(case, "taken_off", tag, actor)
    return True


def _note(case: Case, what: str, tag: Tag, actor: Staff) -> None:
    record(f"tag.{what}", case_id=case.id, actor=by(actor), codes={"tag": tag.id}, detail={"name": tag.name})


def set_tags(case: Case, wanted: Iterable[Tag], actor: Staff) -> None:
    """The tags of a file are these."""
    kept = {tag.id: tag for tag in wanted}
    carried = of_case(case)
    gone = carried - kept.keys()
    for tag in db.session.scalars(select(Tag).where(Tag.id.in_(gone)).order_by(Tag.key)) if gone else ():
        take_off(case, tag, actor)
    for number, tag in kept.items():
        if number not in carried:
            put_on(case, tag, actor)


def rename(tag: Tag, typed: str, *, seen_version: int) -> bool:
    """Give a tag another name; False when somebody changed it meanwhile. Raises RefusedError for a name that another tag has."""
    name = _name(typed)
    taken = db.session.scalar(select(Tag.id).where(Tag.key == fold(name), Tag.id != tag.id))
    if taken is not None:
        raise RefusedError(text("tags.refusal.taken", name=name))
    return save_over(tag, seen_version, name=name, key=fold(name))


def remove(tag: Tag) -> None:
    """The tag no longer exists, on any file; their histories keep its name."""
    db.session.refresh(tag, with_for_update=True)  # whoever is putting it on is done first, or told that it is gone
    db.session.execute(delete(CaseTag).where(CaseTag.tag_id == tag.id))
    db.session.delete(tag)


def forget_all(case: Case) -> None:
    """A file whose facts are destroyed carries no words of ours either."""
    db.session.execute(delete(CaseTag).where(CaseTag.case_id == case.id))


# --- two files become one --------------------------------------------------------------------------------------------


def _add(gone: Case, kept: Case) -> list[int]:
    new = sorted(of_case(gone) - of_case(kept))
    db.session.add_all(CaseTag(case_id=kept.id, tag_id=number) for number in new)
    return new


def _drop(_gone: Case, kept: Case, added: list[int]) -> None:
    if added:
        db.session.execute(delete(CaseTag).where(CaseTag.case_id == kept.id, CaseTag.tag_id.in_(added)))


MERGE = MergePart("tags", _add, _drop)
