"""What of files is searched, and looking for files: inside the caller's scope, the closest match first.

A question is answered in tiers: files that have every word whole in what they are (name, address, number, project, body), then those that have
it as a beginning, then texts of files. Within each, the newest first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, exists, func, literal, select, union_all

from crm.access import CASE_ROLES
from crm.accounts.models import Staff
from crm.cases.models import Case, Contact, Exchange, Founder, Note, Project
from crm.cases.queries import hidden_from, named
from crm.db import db, touch
from crm.search import engine, services
from crm.search.models import SearchFile, SearchText
from crm.search.services import FILE, Searched
from crm.search.words import Question

_NAMED = (Case.reference, Contact.name, Contact.email, Contact.phone, Project.name, Project.neq)
_TOLD = (Project.description, Project.summary, Project.sector_other, Project.supports_other)


def _what_a_file_is() -> Select[*tuple[Any, ...]]:
    columns = [column.label(f"says_{place}") for place, column in enumerate(_NAMED)]
    files = select(Case.id, Case.id.label("number"), *columns)
    return files.join(Contact, Contact.id == Case.contact_id).join(Project, Project.id == Case.project_id)


def _project() -> Select[*tuple[Any, ...]]:
    return select(Case.id, Project.id.label("number"), *_TOLD).join(Project, Project.id == Case.project_id)


def keep_new(case: Case) -> None:
    """The words of a file that was just opened, from what it was made of: nothing else is in it yet."""
    rows: dict[Any, Any] = {Case: case, Contact: case.contact, Project: case.project}

    def says(columns: Iterable[Any]) -> list[str]:
        return [getattr(rows[column.class_], column.key) for column in columns]

    services.begin(case.id, says(_NAMED), ("project", case.project_id, says(_TOLD)))


SEARCHED = (
    Searched(FILE, _what_a_file_is),
    Searched(FILE, lambda: select(Founder.case_id, Founder.id, Founder.name, Founder.email, Founder.phone)),
    Searched("project", _project, changes=True),
    Searched("note", lambda: select(Note.case_id, Note.id, Note.body)),
    Searched("exchange", lambda: select(Exchange.case_id, Exchange.id, Exchange.summary).where(Exchange.summary != "")),
)


def is_whole() -> bool:
    """Whether every file is indexed: not so after an upgrade, nor when making the index was interrupted."""
    missing = select(Case.id).where(~exists().where(SearchFile.case_id == Case.id)).limit(1)
    return db.session.scalar(missing) is None


def rebuild(said: Callable[[int], None] = lambda _done: None) -> int:
    """Make the words of all files anew. Returns how many texts and files were written."""
    last = db.session.scalar(select(func.max(Case.id))) or 0
    return services.rebuild(last, said=said)


def forget_all(case: Case) -> None:
    """The words of a file are destroyed with what they were found in; what is left of it is settled before the commit."""
    services.forget(case.id)
    touch(case.id)


# --- looking ---------------------------------------------------------------------------------------------------------

FOUND = 20
AROUND = 90  # signs of a text that are shown before and after what was found


@dataclass(frozen=True)
class Found:
    """A file that answers. `kind` and `excerpt` say where, when it is a text that does."""

    row: Any
    kind: str = ""
    excerpt: str = ""


def find(staff: Staff, question: Question, limit: int = FOUND) -> Sequence[Found]:
    """The files that answer a question, at most `limit`, of those this person may see."""
    if staff.role not in CASE_ROLES or not question:
        return []
    dialect = db.engine.dialect.name
    asked = {
        "whole": engine.asked(question, dialect, whole=True),
        "begun": engine.asked(question, dialect),
        "staff_id": staff.id,
        "at_most": limit,
    }
    found: dict[int, Found] = {}
    for row in sorted(db.session.execute(_files(dialect), asked), key=lambda row: (row.tier, -row.id)):
        found.setdefault(row.id, Found(row))
    if len(found) < limit:
        for row in db.session.execute(_texts(dialect), asked | {"at_most": 3 * limit}):
            if row.id not in found and len(found) < limit:
                found[row.id] = Found(row, row.kind, excerpt(row.text or "", question))
    return list(found.values())[:limit]


def _shown(*more: Any) -> Any:
    read = select(Case.id, Case.reference, Case.stage, Case.quarantined, Staff.name.label("owner"), *more)
    return named(read.select_from(Case).outerjoin(Staff, Staff.id == Case.owner_id))


@cache
def _files(dialect: str) -> Any:
    def tier(number: int, parameter: str) -> Any:
        answers = engine.newest(
            SearchFile, dialect, parameter, hidden_from(bindparam("staff_id")), "at_most"
        ).subquery()
        return select(answers.c.id, literal(number, Integer).label("tier"))

    both = union_all(tier(0, "whole"), tier(1, "begun")).subquery()
    return _shown(both.c.tier).join(both, both.c.id == Case.id)


@cache
def _texts(dialect: str) -> Any:
    answers = engine.newest(SearchText, dialect, "begun", hidden_from(bindparam("staff_id")), "at_most").subquery()
    mine = (
        select(SearchText.id, SearchText.case_id, SearchText.kind, SearchText.source_id)
        .join(answers, answers.c.id == SearchText.id)
        .subquery()
    )
    return (
        _shown(mine.c.kind, services.written(mine.c.kind, mine.c.source_id).label("text"))
        .join(mine, mine.c.case_id == Case.id)
        .order_by(mine.c.id.desc())
    )


def excerpt(text: str, question: Question) -> str:
    """What stands around the first word of a text that answers a question; the beginning when none is found there.

    >>> excerpt("Une bibliothèque d’outils", Question(("outil",)))
    'Une bibliothèque d’outils'
    """
    flat = " ".join(text.split())
    place = next((at for at, word in _places(flat) if question.meets(word)), 0)
    start = max(0, place - AROUND)
    if start:
        start = flat.find(" ", start, place) + 1 or start
    end = place + AROUND
    if end < len(flat):
        end = flat.rfind(" ", place, end) if flat.rfind(" ", place, end) > place else end
    return ("…" if start else "") + flat[start:end].strip() + ("…" if end < len(flat) else "")


def _places(flat: str) -> Any:
    at = 0
    for word in flat.split(" ")[:5000]:
        yield at, word
        at += len(word) + 1


def marked(text: str, question: Question) -> list[tuple[str, bool]]:
    """Pieces of a text, and whether each is a word that answers the question: for showing it."""
    pieces: list[tuple[str, bool]] = []
    for word in text.split(" "):
        hit = question.meets(word)
        if pieces and pieces[-1][1] == hit:
            pieces[-1] = (f"{pieces[-1][0]} {word}", hit)
        else:
            pieces.append((word, hit))
    return pieces
