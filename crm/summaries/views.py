"""What the advisory committee reads, and what staff see before it is published."""

from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import CASE_ROLES, anyone_signed_in, case_team, coordinators
from crm.accounts.feature import me
from crm.db import db
from crm.errors import RefusedError
from crm.forms import whole
from crm.i18n import format_number, gettext, language
from crm.summaries import figures as f
from crm.summaries import queries, services
from crm.summaries.periods import Period
from crm.summaries.suppression import Shown, released
from crm.texts import label, text

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


def days(cell: Shown, *, calendar: bool = False) -> str:
    if "value" not in cell:
        return text("summaries.unit.hidden" if cell.get("hidden") else "summaries.unit.empty")
    value = cell["value"]
    one = value < 2 if language() == "fr" else value == 1
    unit = f"{'calendar' if calendar else 'days'}_{'one' if one else 'many'}"
    return text(f"summaries.unit.{unit}", value=format_number(value))


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
        is_team=me().role in CASE_ROLES,
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


# --- for the team ----------------------------------------------------------------------------------------------------

# What the categories of a table are called.
CATEGORIES = {
    "by_region": "cases.region",
    "by_language": "cases.language",
    "by_field": "cases.sector",
    "by_stage": "cases.project_stage",
    "by_form": "cases.legal_form",
    "heard": "cases.heard",
    "active": "cases.stage",
    "sent_by_kind": "partners.kind",
    "unmet_by_need": "cases.need",
    "granted_by_instrument": "partners.instrument",
    "incorporated": "cases.legal_form",
    "closed_by_reason": "cases.closing_reason",
    "left_out": "cases.closing_reason",
}
CALENDAR_DAYS = frozenset({"to_launch"})  # the other medians are of business days


def said(code: str, figure: f.Figure) -> str:
    """A figure as the team reads it; nothing is hidden from them."""
    match figure:
        case f.Rate():
            return text("summaries.unit.empty") if figure.percent is None else percent({"value": figure.percent})
        case f.Median():
            if figure.value is None:
                return text("summaries.unit.empty")
            return days({"value": figure.value}, calendar=code in CALENDAR_DAYS)
        case _:
            return format_number(figure.value)


def category(code: str, name: str) -> str:
    return label(CATEGORIES[code], name)


@bp.get("/<code>/indicators")
@case_team
def indicators(code: str) -> str:
    """The twenty-four indicators as they stand now, each number leading to its files."""
    period = _begun_or_404(code)
    return render_template(
        "summaries/indicators.html",
        period=period,
        name=period_name(code),
        name_before=period_name(period.year_before.code),
        figures=queries.all_figures(period),
        before=queries.all_figures(period.year_before),
        numbers=f.NUMBERS,
        said=said,
        category=category,
    )


def _begun_or_404(code: str) -> Period:
    period = Period.read(code)
    if period is None or period.first > clock.today():
        abort(404)
    return period


@bp.get("/<code>/indicators/<name>")
@case_team
def files(code: str, name: str) -> str:
    """The files that a number is made of: those that this person may see, and how many more there are."""
    period = _begun_or_404(code)
    figure = queries.all_figures(period).get(name)
    which = request.args.get("of", "")
    part = f.part_of(figure, which) if figure is not None else None
    if part is None:
        abort(404)
    found = queries.files_of(part.files, me(), after=whole(request.args.get("after", "")) or 0)
    return render_template(
        "summaries/files.html",
        period=period,
        name=name,
        period_said=period_name(code),
        which=which,
        category=category(name, which) if isinstance(figure, f.Table) and which != "without" else "",
        in_all=len(part.files),
        found=found,
    )
