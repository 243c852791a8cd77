"""How each database is asked for words: the one place that knows FTS5 and tsvector. The answers are the same on both.

A question is words of ASCII letters and digits (`words`), so nothing of what people type is ever part of a database's own language.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, column, literal_column, select, table

from crm.search.models import SearchFile, SearchText
from crm.search.words import Question

PREFIX = "fts_"  # of everything that an engine makes for itself
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
    asked = bindparam(parameter, type_=String)
    if dialect == "sqlite":
        name = _TABLES[model]
        index: Any = table(name, column("rowid"))
        return select(index.c.rowid.label("id")).where(literal_column(name, String).op("MATCH")(asked))
    number: Any = SearchFile.case_id if model is SearchFile else SearchText.id
    vector: ColumnElement[Any] = literal_column(f"{model.__tablename__}.{PREFIX}words")
    answers = vector.op("@@", is_comparison=True)(asked.op("::")(literal_column("tsquery")))
    return select(number.label("id")).where(answers)
