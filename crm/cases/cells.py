"""The rows of a list of files, and the cards of a board. Each column's cell is a template of its own, in `cases/columns/`; the rows of a choice
of columns are composed of them once and kept: a cell costs a list no more than if it were written in its page, where a macro or an include for
each would double the page. What is rendered apart also costs less than within a page, each piece of which passes through every template it
extends: the board's cards took half of its time.

In the composition what cells call `row.stage`, `words.stage` and `said.late` are plain names: a row of fifty is looked up a thousand times, and
Jinja finds a name of its own ten times sooner than an attribute of an object.
"""

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from flask import current_app, url_for
from jinja2 import Template
from markupsafe import Markup, escape

from crm import clock
from crm.cases.listing import SEPARATOR, columns
from crm.i18n import gettext, language
from crm.texts import words

KEPT = 200  # compositions of columns
_VOCABULARIES = (
    "stage",
    "turn",
    "language",
    "region",
    "locality",
    "sector",
    "legal_form",
    "project_stage",
    "source",
    "need",
)
_NAMED = re.compile(r"\b(row|words|said)\.(\w+)")
_SPOKEN = re.compile(r"\brow\[(\w+)\]")  # what a row holds in both languages
_PREFIX = {"row": "", "words": "words_", "said": "said_"}
_ESCAPED = re.compile("[&<>\"']")
_HEAD = (
    '<td class="tick"><input type="checkbox" form="bulk" name="file" value="{{ row.reference }}" data-key="x" aria-label="{{ row.project or row.reference }}"></td>'
    '<th scope="row"><a data-key="o" href="%s{{ row.reference }}">{{ row.project or row.reference }}</a>'
    '{% if row.project %} <span class="quiet nowrap">{{ row.reference }}</span>{% endif %}</th>'
)


def rows_as_html(rows: Sequence[Any], shown: Sequence[str]) -> Markup:
    """The rows of a table, with the columns asked for in their order."""
    said = {
        "days": gettext("d"), "nobody": gettext("Nobody’s yet"), "late": gettext("Late"), "late_reply": gettext("Reply late"),
        "reply_by": gettext("reply by"),
    }  # fmt: skip

    def body() -> str:
        known = [columns()[name] for name in shown]
        cells = [
            f'<td data-name="{_literal(one.label)}">{_source(one.template or f"cases/columns/{one.name}.html")}</td>'
            for one in known
        ]
        return f"<tr>{_HEAD}{''.join(cells)}</tr>"

    return _rendered(("row", *shown), body, rows, said=said, vocabularies=_VOCABULARIES)


def cards_as_html(cards: Sequence[Any], back: str) -> Markup:
    """The cards of a column of the board; `back` is what their move's address carries of the board's own."""
    said = {
        "days": gettext("d"), "nobody": gettext("Nobody’s yet"), "late": gettext("Late"), "move_to": gettext("Move to…"),
        "next_step": gettext("Next step:"), "back": back,
    }  # fmt: skip
    if not cards:
        return Markup()
    return _rendered(("card",), lambda: _source("cases/card.html"), cards, said=said, vocabularies=("turn",))


def _rendered(
    key: tuple[str, ...],
    body: Callable[[], str],
    rows: Sequence[Any],
    *,
    said: dict[str, str],
    vocabularies: Sequence[str],
) -> Markup:
    context: dict[str, Any] = {"rows": rows, "today": clock.today(), "separator": SEPARATOR}
    context |= {f"words_{name}": words(f"cases.{name}") for name in vocabularies}
    context |= {f"said_{name}": told for name, told in said.items()}
    return Markup(_composed(key, rows[0]._fields, body).render(context))  # noqa: S704 - our own template, which escapes


def _composed(key: tuple[str, ...], names: Sequence[str], body: Callable[[], str]) -> Template:
    """The template of rows, with what is the same in every row written into it: the names of columns in a language, and the address that
    files stand under (`%s`).
    """
    kept: dict[Any, Template] = current_app.extensions.setdefault("rows_of_files", {})
    lang, base = language(), url_for("cases.queue") + "/"
    if (key, lang, base) not in kept:
        if len(kept) >= KEPT:
            kept.clear()
        env: Any = current_app.jinja_env.overlay(autoescape=False, finalize=_escaped)
        plain = _NAMED.sub(lambda found: f"{_PREFIX[found[1]]}{found[2]}", _SPOKEN.sub(rf"\1_{lang}", body()))
        row = plain.replace("%s", _literal(base))
        kept[key, lang, base] = env.from_string(f"{{% for {', '.join(names)} in rows %}}{row}{{% endfor %}}")
    return kept[key, lang, base]


def _source(template: str) -> str:
    env: Any = current_app.jinja_env
    return str(env.loader.get_source(env, template)[0]).strip()


def _literal(text: object) -> str:
    return "{% raw %}" + escape(str(text)) + "{% endraw %}"


def _escaped(value: object) -> str:
    """What a cell says, as HTML. Jinja's own way makes an object of each of eight hundred values; this one, which it calls for every value
    of the composition, does the same to texts at a third of the cost.
    """
    if type(value) is not str:
        if hasattr(value, "__html__"):
            return str(value.__html__())
        value = str(value)
    return html.escape(value) if _ESCAPED.search(value) else value
