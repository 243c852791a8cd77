"""The rows of a list of files. Each column's cell is a template of its own, in `cases/columns/`; the rows of a choice of columns are composed of
them once and kept: a cell costs a list no more than if it were written in its page, where a macro or an include for each would double the page.

In the composition what cells call `row.stage`, `words.stage` and `said.late` are plain names: a row of fifty is looked up a thousand times, and
Jinja finds a name of its own ten times sooner than an attribute of an object.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

from flask import current_app, url_for
from jinja2 import Template
from markupsafe import Markup, escape

from crm import clock
from crm.cases.listing import COLUMNS, names_read
from crm.i18n import gettext, language
from crm.texts import words

KEPT = 200  # compositions of columns
_VOCABULARIES = ("stage", "turn", "language", "region", "locality", "sector", "legal_form", "project_stage", "source")
_NAMED = re.compile(r"\b(row|words|said)\.(\w+)")
_PREFIX = {"row": "", "words": "words_", "said": "said_"}
_HEAD = (
    '<td class="tick"><input type="checkbox" form="bulk" name="file" value="{{ row.reference }}" data-key="x" aria-label="{{ row.project or row.reference }}"></td>'
    '<th scope="row"><a data-key="o" href="%s{{ row.reference }}">{{ row.project or row.reference }}</a>'
    '{% if row.project %} <span class="quiet nowrap">{{ row.reference }}</span>{% endif %}</th>'
)


def rows_as_html(rows: Sequence[Any], columns: Sequence[str]) -> Markup:
    """The rows of a table, with the columns asked for in their order."""
    lang = language()
    said = {
        "days": gettext("d"), "nobody": gettext("Nobody’s yet"), "late": gettext("Late"), "late_reply": gettext("Reply late"),
        "reply_by": gettext("reply by"),
    }  # fmt: skip
    context: dict[str, Any] = {"rows": rows, "today": clock.today()}
    context |= {f"words_{name}": words(f"cases.{name}") for name in _VOCABULARIES}
    context |= {f"said_{name}": told for name, told in said.items()}
    return Markup(_composed(tuple(columns), lang, url_for("cases.queue") + "/").render(context))  # noqa: S704 - our own template, which escapes


def _composed(columns: tuple[str, ...], lang: str, base: str) -> Template:
    """The template of rows of some columns, with what is the same in every row written into it: the names of columns in a language, and the
    address that files stand under.
    """
    kept: dict[Any, Template] = current_app.extensions.setdefault("rows_of_files", {})
    key = (columns, lang, base)
    if key not in kept:
        if len(kept) >= KEPT:
            kept.clear()
        env: Any = current_app.jinja_env.overlay(autoescape=False, finalize=_escaped)

        def literal(text: object) -> str:
            return "{% raw %}" + escape(str(text)) + "{% endraw %}"

        def plain(cell: str) -> str:
            return _NAMED.sub(
                lambda found: f"{_PREFIX[found[1]]}{found[2]}", cell.replace("row[short]", f"short_{lang}")
            )

        cells = [
            f'<td data-name="{literal(COLUMNS[name])}">{plain(env.loader.get_source(env, f"cases/columns/{name}.html")[0].strip())}</td>'
            for name in columns
        ]
        row = f"<tr>{plain(_HEAD).replace('%s', literal(base), 1)}{''.join(cells)}</tr>"
        names = ", ".join(names_read(columns))
        kept[key] = env.from_string(f"{{% for {names} in rows %}}{row}{{% endfor %}}")
    return kept[key]


def _escaped(value: object) -> str:
    """What a cell says, as HTML. Jinja's own way makes an object of each of eight hundred values; this one, which it calls for every value
    of the composition, does the same to texts at a third of the cost.
    """
    if type(value) is str:
        return html.escape(value)
    return value.__html__() if hasattr(value, "__html__") else html.escape(str(value))
