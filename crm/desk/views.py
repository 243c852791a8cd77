"""The start page: what is to be done today, by me and by the team. Each number leads to the list that makes it."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases.filters import FORGOTTEN, LATE_REPLY, LATE_STEP, ME, NOBODY, Filter
from crm.cases.listing import COUNTED, Look, counts
from crm.cases.queue_views import Quick, address_of, address_of_view
from crm.cases.saved import start_of
from crm.cases.vocabulary import Turn
from crm.db import as_one_value, db, listed
from crm.feature import TodayPart, plugged
from crm.i18n import lazy
from crm.outbox.queries import mail_trouble

bp = Blueprint("today", __name__, url_prefix="/staff/today")
# What is told first: what has an hour, then what is mine, then what waits.
ORDER = ("absences", "talks", "follow_ups", "answers", "mailbox", "requests", "bodies", "privacy", "summaries")


NUMBERS = (
    Quick("mine", lazy("My files"), Filter(owners=(ME,)), "step"),
    Quick("mine_late", lazy("Mine with a late next step"), Filter(owners=(ME,), late=LATE_STEP), "step", bad=True),
    Quick("mine_ours", lazy("Mine, our turn"), Filter(owners=(ME,), facets=(("turn", (Turn.TEAM,)),)), "waiting"),
    Quick("nobody", lazy("Nobody’s"), Filter(owners=(NOBODY,)), "old"),
    Quick("reply", lazy("Late first replies"), Filter(late=LATE_REPLY), "old", bad=True),
    Quick(
        "answer",
        lazy("People to answer"),
        Filter(facets=(("todo", ("answer_person", "call_person", "confirm_correction")),)),
        "waiting",
    ),
    Quick("bodies", lazy("Organizations that owe an answer"), Filter(facets=(("turn", (Turn.BODY,)),)), "waiting"),
    Quick("forgotten", lazy("With no next step"), Filter(late=FORGOTTEN), "old", bad=True),
)


@bp.get("/begin")
@case_team
def begin() -> Response:
    """Where somebody begins: the view they chose, or this page."""
    view = start_of(me())
    return redirect(address_of_view(view) if view else url_for("today.page"))


def _short_lists(parts: Sequence[TodayPart], staff: Staff) -> dict[str, Any]:
    """What the short lists of all parts show, in one statement."""
    found = [(part, rows) for part in parts if (rows := part.rows(staff)) is not None]
    if not found:
        return {}
    lists = [as_one_value(rows, db.engine.dialect.name).label(part.name) for part, rows in found]
    values = db.session.execute(select(*lists)).one()
    context: dict[str, Any] = {}
    for (part, _rows), value in zip(found, values, strict=True):
        context |= part.shown(listed(value))
    return context


@bp.get("")
@case_team
def page() -> str:
    staff = me()
    parts: Sequence[TodayPart] = sorted(plugged("today"), key=lambda part: ORDER.index(part.name))
    context: dict[str, Any] = {}
    for part in parts:
        context |= part.load(staff)
    context |= _short_lists(parts, staff)
    counted = counts(staff, [one.wanted for one in NUMBERS])
    numbers = [
        (one, address_of(one.wanted, Look(one.sort)), number) for one, number in zip(NUMBERS, counted, strict=True)
    ]
    return render_template(
        "desk/today.html",
        parts=parts,
        numbers=numbers,
        counted=COUNTED,
        today=clock.today(),
        trouble=mail_trouble(),
        **context,
    )
