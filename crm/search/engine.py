"""How each database is asked for words: the one place that knows FTS5 and tsvector. The answers are the same on both.

A question is words of ASCII letters and digits (`words`), so nothing of what people type is ever part of a database's own language.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    union_all,
)

from crm.search.models import SearchFile, SearchText
from crm.search.words import Question

PREFIX = "fts_"  # of everything that an engine makes for itself
RECENT = 2000  # rows that PostgreSQL looks at one by one before it asks its index
_TABLES: dict[type[Any], str] = {SearchFile: "fts_file", SearchText: "fts_text"}


def is_ours(name: str | None) -> bool:
    """Whether a table, column or index is an engine's own, which models do not speak of."""
    return (name or "").startswith(PREFIX)


def asked(question: Question, dialect: str, *, whole: bool = False) -> str:
    """A question in a database's own language. `whole` asks for whole words, otherwise for beginnings too."""
    if dialect == "sqlite":
        return " AND ".join(f'"{word}"' + ("" if whole else " *") for word in question.words)
    return " & ".join(f"'{word}'" + ("" if whole else ":*") for word in question.words)


def matches(model: type[SearchFile | SearchText], dialect: str, parameter: str) -> Select[int]:
    """The numbers of the rows of a table whose words answer the question bound as `parameter`, in no order."""
    if dialect == "sqlite":
        name = _TABLES[model]
        index: Any = table(name, column("rowid"))
        asked = bindparam(parameter, type_=String)
        return select(index.c.rowid.label("id")).where(literal_column(name, String).op("MATCH")(asked))
    return select(_number(model).label("id")).where(_answers(model, parameter))


def newest(
    model: type[SearchFile | SearchText], dialect: str, parameter: str, hidden: Select[int], at_most: str
) -> Select[int]:
    """The numbers of the rows that `matches` gives, but those of the files that `hidden` selects: the last ones, at most as many as the
    number bound as `at_most`, in no order.

    SQLite walks its index from the last row backwards. PostgreSQL's has no order: of a frequent word it would read every row, so the last
    ones are looked at first, one by one, and its index is asked only when they are not enough.
    """
    most = bindparam(at_most, type_=Integer)
    if dialect == "sqlite":
        found = matches(model, dialect, parameter)
        number: Any = found.selected_columns[0]
        if model is SearchText:
            found = found.join(SearchText, SearchText.id == number)
        seen = (SearchText.case_id if model is SearchText else number).not_in(hidden)
        return found.where(seen).order_by(number.desc()).limit(most)
    number, answers = _number(model), _answers(model, parameter)
    seen = model.case_id.not_in(hidden)
    last = select(func.max(number)).scalar_subquery() - RECENT
    # The planner, which takes any word for rare, is left no choice: for what is asked as IS TRUE there is no index of words, and for what is
    # asked of a sum no index of numbers.
    late = select(number.label("id")).where(number > last, answers.is_(True), seen).order_by(number.desc()).limit(most)
    recent = late.cte(f"recent_{model.__tablename__}_{parameter}")
    enough = select(func.count()).select_from(recent).scalar_subquery() >= most
    early = select(number.label("id")).where(number + 0 <= last, answers, seen, ~enough)
    both = union_all(select(recent.c.id), early.order_by((number + 0).desc()).limit(most))
    return select(both.subquery().c.id)


def _number(model: type[SearchFile | SearchText]) -> Any:
    return SearchFile.case_id if model is SearchFile else SearchText.id


def _answers(model: type[SearchFile | SearchText], parameter: str) -> ColumnElement[bool]:
    """PostgreSQL's condition of a row whose words answer the question bound as `parameter`."""
    vector: ColumnElement[Any] = literal_column(f"{model.__tablename__}.{PREFIX}words")
    return vector.op("@@", is_comparison=True)(bindparam(parameter, type_=String).op("::")(literal_column("tsquery")))
