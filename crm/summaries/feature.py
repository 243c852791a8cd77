"""What the advisory committee reads, and what staff see before it is published."""

from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import CASE_ROLES, anyone_signed_in, coordinators
from crm.accounts.feature import me
from crm.db import db
from crm.errors import RefusedError
from crm.feature import Feature
from crm.i18n import format_number, gettext, language
from crm.summaries import queries, services
from crm.summaries.figures import Period
from crm.summaries.suppression import Shown, released
from crm.texts import text
from crm.timeline.sentences import Sentence

bp = Blueprint("summaries", __name__, url_prefix="/staff/summaries")


def period_name(code: str) -> str:
    """Juillet à septembre 2026."""
    period = Period.read(code)
    return text(f"summaries.quarter.q{period.quarter}", year=period.year) if period else code


def plain(cell: Shown) -> str:
    """A count as people read it: a number, "< 5" when it is small."""
    if "value" in cell:
        return format_number(cell["value"])
    return text("summaries.unit.small") if cell.get("hidden") else text("summaries.unit.empty")


def masked(cell: Shown) -> str:
    """A cell of a table, where what is hidden is not always small."""
    return format_number(cell["value"]) if "value" in cell else text("summaries.unit.hidden")


def days(cell: Shown) -> str:
    if "value" not in cell:
        return text("summaries.unit.hidden" if cell.get("hidden") else "summaries.unit.empty")
    value = cell["value"]
    one = value < 2 if language() == "fr" else value == 1
    return text(f"summaries.unit.days_{'one' if one else 'many'}", value=format_number(value))


def percent(cell: Shown) -> str:
    if "value" not in cell:
        return text("summaries.unit.hidden" if cell.get("hidden") else "summaries.unit.empty")
    return text("summaries.unit.percent", value=format_number(cell["value"]))


@bp.get("")
@anyone_signed_in
def published() -> str:
    """Published summaries; staff also see the quarters that can be read before publication."""
    drafts: list[str] = []
    summaries = queries.all_published()
    if me().role in CASE_ROLES:
        known = {summary.period for summary in summaries}
        current = Period.of(clock.today())
        drafts = [period.code for period in (current, current.previous) if period.code not in known]
    return render_template("summaries/list.html", summaries=summaries, drafts=drafts, period_name=period_name)


@bp.get("/<code>")
@anyone_signed_in
def read(code: str) -> str | Response:
    period = Period.read(code)
    if period is None:
        abort(404)
    summary = queries.published(period)
    if summary is None and (me().role not in CASE_ROLES or period.first > clock.today()):
        abort(404)
    shown: dict[str, Any] = summary.shown if summary else released(queries.figures(period))
    return render_template(
        "summaries/read.html",
        summary=summary,
        period=period,
        name=period_name(code),
        shown=shown,
        tools={"plain": plain, "masked": masked, "days": days, "percent": percent},
        may_publish=summary is None and clock.today() >= period.cut_off and me().role in {"admin", "coordinator"},
    )


@bp.post("/<code>/publish")
@coordinators
def publish(code: str) -> BaseResponse:
    period = Period.read(code)
    if period is None:
        abort(404)
    try:
        services.publish(period, me())
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise RefusedError(text("summaries.refusal.already")) from None
    flash(gettext("The summary is published and will not change any more."))
    return redirect(url_for("summaries.read", code=code), 303)


feature = Feature(
    name="summaries",
    blueprints=(bp,),
    event_sentences=(Sentence("summary.published", "summaries.event.published", "internal", frozenset({"period"})),),
)
