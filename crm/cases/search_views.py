"""One box for everything: a page of results, and the same as somebody types."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from crm.access import case_team
from crm.accounts.feature import me
from crm.cases import queries
from crm.cases.searching import find, marked
from crm.outbox.queries import mail_trouble
from crm.partners.queries import named
from crm.search.words import read_question

bp = Blueprint("search", __name__, url_prefix="/staff/search")
AT_ONCE = 8  # files shown as somebody types


@bp.get("")
@case_team
def results() -> str | Response:
    """Everything found; the number of a file opens it."""
    typed = request.args.get("q", "").strip()
    case = queries.find(typed, me()) if "-" in typed else None
    if case is not None:
        return redirect(url_for("cases.page", reference=case.reference))
    return render_template("cases/search.html", typed=typed, trouble=mail_trouble(), **_found(typed, 50))


@bp.get("/suggestions")
@case_team
def suggestions() -> str:
    """A part of a page: what is found so far."""
    typed = request.args.get("q", "").strip()
    return render_template("cases/search_found.html", typed=typed, short=True, **_found(typed, AT_ONCE))


def _found(typed: str, most: int) -> dict[str, Any]:
    question = read_question(typed)
    return {
        "question": question,
        "files": find(me(), question, most),
        "bodies": named(question)[:3],
        "most": most,
        "marked": lambda text: marked(text, question),
    }
