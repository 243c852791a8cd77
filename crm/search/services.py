"""Keeping the words of files in step with what they say, in the transaction that changes it; and making them all anew.

What is searched is declared by features (`Feature.search_text`). `changes_of` says what a file's rows ask to be written; a text that never changes
is read once, when it is new.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, delete, exists, func, insert, select, update

from crm.db import as_one_value, db, listed
from crm.feature import plugged
from crm.search.models import SearchFile, SearchText
from crm.search.words import kept

FILE = ""
FILES: Any = SearchFile.__table__  # written without the units of work of a session: they are rows of words
TEXTS: Any = SearchText.__table__
INSERT_FILE, INSERT_TEXT = insert(FILES), insert(TEXTS)
BATCH = 500


@dataclass(frozen=True)
class Searched:
    """Texts of files that are searched. `rows` selects (file, number of the row, texts…).

    An empty `kind` means what a file is, all in one; another names one text per row. `changes` says that such a text may change after
    it was written; `shown` how many of its texts are read by people where it is found, all of them when it is None.
    """

    kind: str
    rows: Callable[[], Select[*tuple[Any, ...]]]
    changes: bool = False
    shown: int | None = None


def _offered() -> Sequence[Searched]:
    found: tuple[Searched, ...] = plugged("search_text")
    return found


def selects(dialect: str) -> list[Any]:
    """What `keep` needs of one file, `case_id`, as values of one statement: the words kept, then the texts of each kind."""
    words = select(SearchFile.words).where(SearchFile.case_id == bindparam("case_id"))
    return [words.scalar_subquery(), *(as_one_value(_of_one(one), dialect) for one in _offered())]


def _of_one(one: Searched) -> Select[*tuple[Any, ...]]:
    """The rows of one file; of texts that never change, those not kept yet; of others, with the words that are kept."""
    rows = one.rows().subquery()
    mine = select(*list(rows.c)[1:]).where(rows.c[0] == bindparam("case_id"))
    if one.kind == FILE:
        return mine
    same = (SearchText.kind == one.kind, SearchText.source_id == rows.c[1])
    if one.changes:
        return mine.add_columns(select(SearchText.words).where(*same).scalar_subquery())
    return mine.where(~exists().where(*same))


def keep(case_id: int, values: Sequence[Any]) -> None:
    """Write what changed of a file's words. `values` is what `selects` gave."""
    before, of_file = values[0], []
    for one, value in zip(_offered(), values[1:], strict=True):
        rows = listed(value)
        if one.kind == FILE:
            of_file += [text for row in rows for text in row[1:]]
        else:
            _keep_texts(case_id, one, rows)
    now = kept(*of_file)
    if before is None:
        db.session.execute(INSERT_FILE, {"case_id": case_id, "words": now})
    elif before != now:
        db.session.execute(_words_of_file(), {"file": case_id, "now": now})


def begin(case_id: int, of_file: Iterable[str], *texts: tuple[str, int, Iterable[str]]) -> None:
    """The words of a new file and of its texts, each (kind, number, texts), none of which are kept yet."""
    db.session.execute(INSERT_FILE, {"case_id": case_id, "words": kept(*of_file)})
    for kind, number, said in texts:
        row = {"case_id": case_id, "kind": kind, "source_id": number, "words": kept(*said)}
        db.session.execute(INSERT_TEXT, row)


def _keep_texts(case_id: int, one: Searched, rows: Iterable[list[Any]]) -> None:
    for number, *texts in rows:
        before = texts.pop() if one.changes else None
        now = kept(*texts)
        if before == now:
            continue
        if before is None:
            row = {"case_id": case_id, "kind": one.kind, "source_id": number, "words": now}
            db.session.execute(INSERT_TEXT, row)
        else:
            db.session.execute(_words_of_text(), {"of": one.kind, "row": number, "now": now})


@cache
def _words_of_file() -> Any:
    return update(SearchFile).where(SearchFile.case_id == bindparam("file")).values(words=bindparam("now"))


@cache
def _words_of_text() -> Any:
    mine = (SearchText.kind == bindparam("of"), SearchText.source_id == bindparam("row"))
    return update(SearchText).where(*mine).values(words=bindparam("now"))


def forget(case_id: int) -> None:
    """What identifies a person is destroyed: so are the words it was found under."""
    for model in (SearchFile, SearchText):
        db.session.execute(delete(model).where(model.case_id == case_id))


def rebuild(last: int, *, said: Callable[[int], None] = lambda _done: None) -> int:
    """Make the words of all files anew, up to the file `last`, some hundreds in a transaction. Returns how many texts and files were written.

    Searching goes on meanwhile, and finds what is already there.
    """
    written = 0
    for first in range(1, last + 1, BATCH):
        for model in (SearchFile, SearchText):
            db.session.execute(delete(model).where(model.case_id.between(first, first + BATCH - 1)))
        written += _write(range(first, first + BATCH))
        db.session.commit()
        said(first)
    return written


def begin_all(case_ids: Sequence[int]) -> None:
    """The words of files that were just made, with all that is in them: a few statements, however many files."""
    _write(case_ids)


def _write(files: Sequence[int]) -> int:
    """Write the words of files that have none, given by number. Returns how many texts and files were written."""
    of_file: dict[int, list[str]] = {}
    texts: list[dict[str, Any]] = []
    for one in _offered():
        rows = one.rows().subquery()
        for case_id, number, *found in db.session.execute(
            select(rows).where(_among(rows.c[0], files)).order_by(rows.c[0], rows.c[1])
        ):
            if one.kind == FILE:
                of_file.setdefault(case_id, []).extend(found)
            else:
                texts.append({"case_id": case_id, "kind": one.kind, "source_id": number, "words": kept(*found)})
    if of_file:
        words = [{"case_id": case_id, "words": kept(*found)} for case_id, found in sorted(of_file.items())]
        db.session.execute(INSERT_FILE, words)
    if texts:
        db.session.execute(INSERT_TEXT, texts)
    return len(of_file) + len(texts)


def _among(number: ColumnElement[Any], files: Sequence[int]) -> ColumnElement[bool]:
    return number.between(files[0], files[-1]) if isinstance(files, range) else number.in_(files)


def written(kind: Any, number: Any) -> ColumnElement[str]:
    """The text of a row as it was written, for a statement that found it: `kind` and `number` are columns."""
    texts = []
    for one in _offered():
        if one.kind != FILE:
            rows = one.rows().subquery()
            text = reduce(add, [func.coalesce(text, "") + "\n" for text in list(rows.c)[2:][: one.shown]])
            texts.append((kind == one.kind, select(text).where(rows.c[1] == number).scalar_subquery()))
    return case(*texts, else_="")
