"""What the advisory committee reads, and what staff see and do before it is published."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.access import CASE_ROLES, COORDINATING, anyone_signed_in, case_team, coordinators
from crm.accounts.feature import me
from crm.config import LANGUAGES
from crm.db import db
from crm.errors import RefusedError
from crm.feature import AnnexLine, plugged
from crm.forms import clean, whole
from crm.i18n import format_date, format_number, gettext, language, lazy
from crm.partners.models import Body
from crm.search.words import fold
from crm.summaries import figures as f
from crm.summaries import queries, services
from crm.summaries.content import WRITTEN, Report, category, measured, period_name, report, revised_said
from crm.summaries.course import course_of, kind_of
from crm.summaries.course import files_of as course_files_of
from crm.summaries.course_rows import rows_of as course_rows
from crm.summaries.formats import data
from crm.summaries.models import Format, State, Summary
from crm.summaries.periods import Kind, Period
from crm.summaries.release import FORM
from crm.texts import label, text

bp = Blueprint("summaries", __name__, url_prefix="/staff/summaries")
TYPES = {
    Format.PDF: "application/pdf",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.SVG: "image/svg+xml",
}
CALENDAR_DAYS = frozenset({"to_launch"})  # the other medians are of business days
ANNEX = ("rights", "incidents", "consents", "quarantine")  # its sections, in the order in which they are read
COURSE_WORDS = {
    "stages": "cases.stage", "hands": "cases.turn", "cohort": "summaries.step", "lacked": "cases.need",
}  # fmt: skip


class TextsForm(forms.Form):
    """What the team writes, in both languages."""

    version = wtforms.HiddenField()


for _lang in LANGUAGES:
    for _part in WRITTEN:
        setattr(TextsForm, f"{_part}_{_lang}", wtforms.TextAreaField(lazy("Text"), filters=[clean]))


# --- reading ---------------------------------------------------------------------------------------------------------


@bp.get("")
@anyone_signed_in
def published() -> str:
    """Published summaries, those whose name or words hold what is looked for; staff also see those in work."""
    return _list()


def _list(refused: str = "") -> str:
    wanted = request.args.get("q", "").strip()[:100]
    found = [summary for summary in queries.all_published() if _holds(summary, wanted)]
    is_team = me().role in CASE_ROLES
    current = services.current()
    begun = [one for one in (current, current.previous) if queries.overlapping(one) is None] if is_team else []
    return render_template(
        "summaries/list.html",
        summaries=found,
        wanted=wanted,
        in_work=queries.in_work() if is_team else [],
        begun=[period.code for period in begun],
        period_name=period_name,
        is_team=is_team,
        refused=refused,
        first=request.args.get("first", ""),
        last=request.args.get("last", ""),
    )


@bp.get("/chosen")
@case_team
def chosen() -> BaseResponse:
    """The indicators of days chosen by hand, which stay with the team."""
    try:
        first, last = (date.fromisoformat(request.args.get(end, "")) for end in ("first", "last"))
    except ValueError:
        return make_response(_list(text("summaries.refusal.no_days")), 422)
    try:
        period = Period.chosen(first, last)
    except ValueError:
        return make_response(
            _list(text("summaries.refusal.reversed" if last < first else "summaries.refusal.too_many")), 422
        )
    if Period.read(period.code) is None or first > clock.today():
        return make_response(_list(text("summaries.refusal.no_days_yet")), 422)
    return redirect(url_for("summaries.indicators", code=period.code))


def _holds(summary: Summary, wanted: str) -> bool:
    if not wanted:
        return True
    words = [period_name(summary.period), summary.period, *(w for one in summary.texts.values() for w in one.values())]
    return all(part in fold(" ".join(words)) for part in fold(wanted).split())


@bp.get("/compare")
@anyone_signed_in
def compare() -> str:
    """Two published summaries side by side."""
    summaries = queries.all_published()
    sides = [_published_or_none(request.args.get(side, "")) for side in ("a", "b")]
    reports = [services.report_of(one) for one in sides if one is not None]
    return render_template(
        "summaries/compare.html",
        summaries=summaries,
        sides=sides,
        reports=reports,
        figures=_beside([{line.code: (line.name, line.said) for line in one.lines} for one in reports]),
        tables=_tables_beside(reports),
        same_definitions=len({(one.definitions, one.shown["form"]) for one in sides if one}) < 2,
        period_name=period_name,
    )


def _published_or_none(code: str) -> Summary | None:
    period = Period.read(code)
    return queries.published(period) if period else None


def _beside(sides: list[dict[str, tuple[str, str]]]) -> list[tuple[str, list[str]]]:
    """What each side says of each figure that one of them has."""
    names = {code: name for side in reversed(sides) for code, (name, _said) in side.items()}
    return [(name, [side.get(code, ("", "–"))[1] for side in sides]) for code, name in names.items()]


def _tables_beside(reports: list[Report]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    grids = [{grid.code: grid for grid in one.grids} for one in reports]
    names = {code: grid.name for side in reversed(grids) for code, grid in side.items()}
    shared = [code for code in names if all(code in side for side in grids)]
    return [
        (
            names[code],
            _beside([{row.code: (row.name, row.said) for row in side[code].rows} for side in grids]),
        )
        for code in shared
    ]


@bp.get("/schema")
@anyone_signed_in
def schema() -> Response:
    """What the JSON of a summary holds."""
    return Response(data.schema(), content_type="application/schema+json")


@bp.get("/<code>")
@anyone_signed_in
def read(code: str) -> str:
    """A published summary; for the team also one in work, or what one would say now."""
    period = _period_or_404(code)
    if period.kind is Kind.CHOSEN:
        abort(404)
    summary = queries.of_period(period)
    is_team = me().role in CASE_ROLES
    if (summary is None or summary.state is not State.PUBLISHED) and (not is_team or period.first > clock.today()):
        abort(404)
    is_published = summary is not None and summary.state is State.PUBLISHED
    offered = queries.files_offered(summary) if summary and is_published else []
    published = queries.all_published() if is_published else []
    return render_template(
        "summaries/read.html",
        summary=summary,
        period=period,
        report=services.report_of(summary) if summary else _as_of_now(period),
        year_of=_tables_elsewhere(summary, published),
        files=[one for one in offered if one.format is not Format.SVG],
        charts={one.table: one.id for one in offered if one.format is Format.SVG and one.language == language()},
        kept=queries.kept_parts(summary) if summary and is_team else set(),
        is_team=is_team,
        may={
            "coordinate": me().role in COORDINATING,
            "make": summary is None and clock.today() >= period.cut_off,
            "approve": summary is not None and summary.state is State.PROPOSED and summary.proposed_by_id != me().id,
        },
        revised=[
            (later.period, revised_said(one), one["figure"]) for later, one in queries.revisions_of(code, published)
        ],
        names=summary.names if summary and summary.state is State.DRAFT and is_team else [],
        period_name=period_name,
        name=period_name(code),
    )


def _as_of_now(period: Period) -> Report:
    return report(period, services.release_of(period, queries.look(period)), {})


def _tables_elsewhere(summary: Summary | None, published: Sequence[Summary]) -> Summary | None:
    """The published summary in which a reader finds the tables of twelve months that this one has not."""
    if summary is None or summary.shown.get("year"):
        return None
    earlier = [one for one in published if one.shown.get("year") and one.last_day < summary.last_day]
    return earlier[0] if earlier else None


def _period_or_404(code: str) -> Period:
    period = Period.read(code)
    if period is None:
        abort(404)
    return period


@bp.get("/<code>/files/<int:number>")
@anyone_signed_in
def file(code: str, number: int) -> BaseResponse:
    """A file of a published summary, as it was published."""
    summary = queries.published(_period_or_404(code))
    kept = queries.file_of(summary, number) if summary else None
    if kept is None:
        abort(404)
    try:
        content = services.whole(kept)
    except services.ChangedError:
        raise RefusedError(text("summaries.refusal.changed")) from None
    answer = Response(content, content_type=TYPES[kept.format])
    if kept.format is not Format.SVG:
        parts = [
            part for part in (text("summaries.pdf.file"), code, kept.table.replace("_", "-"), kept.language) if part
        ]
        answer.headers["Content-Disposition"] = f'attachment; filename="{"-".join(parts)}.{kept.format}"'
    return answer


# --- the life of a summary -------------------------------------------------------------------------------------------


@bp.post("/<code>/make")
@coordinators
def make(code: str) -> BaseResponse:
    """Take the figures, where no draft made itself."""
    period = _period_or_404(code)
    services.may_be_made(period)
    try:
        services.make(period, found=services.look(period))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise RefusedError(text("summaries.refusal.already")) from None
    flash(gettext("The figures are taken. It is a draft: the committee does not see it yet."))
    return redirect(url_for("summaries.read", code=code), 303)


@bp.get("/<code>/write")
@coordinators
def write(code: str) -> str:
    """The form of the texts."""
    summary = _in_work_or_404(code)
    services.may_be_written(summary)
    form = TextsForm(data=_typed(summary) | {"version": str(summary.version)})
    return _write_page(summary, form)


def _typed(summary: Summary) -> dict[str, str]:
    return {f"{part}_{lang}": summary.texts.get(lang, {}).get(part, "") for lang in LANGUAGES for part in WRITTEN}


def _write_page(summary: Summary, form: Any, refused: RefusedError | None = None) -> str:
    return render_template(
        "summaries/write.html",
        summary=summary,
        form=form,
        written=WRITTEN,
        languages=LANGUAGES,
        name=period_name(summary.period),
        refused=refused.reasons if refused else (),
        now=_typed(summary) if refused else {},
    )


@bp.post("/<code>/write")
@coordinators
def save(code: str) -> BaseResponse | Response:
    """Keep what was typed; what cannot be kept is given back, with what stands there now."""
    summary = _in_work_or_404(code)
    form = TextsForm(request.form)
    texts = {lang: {part: form[f"{part}_{lang}"].data or "" for part in WRITTEN} for lang in LANGUAGES}
    try:
        services.write(summary, texts, forms.seen_version(form.version.data), me())
    except RefusedError as refused:
        db.session.rollback()
        form.version.data = str(summary.version)
        return make_response(_write_page(summary, form, refused), 409)
    return _done(code, gettext("The text is saved."))


def _in_work_or_404(code: str) -> Summary:
    summary = queries.of_period(_period_or_404(code))
    if summary is None:
        abort(404)
    return summary


@bp.post("/<code>/again")
@coordinators
def again(code: str) -> BaseResponse:
    """The figures anew."""
    services.may_be_written(_in_work_or_404(code))
    found = services.look(_period_or_404(code))
    services.take_again(_in_work_or_404(code), _seen(), me(), found=found)
    return _done(code, gettext("The figures are taken again, as they stand now."))


@bp.post("/<code>/propose")
@coordinators
def propose(code: str) -> BaseResponse:
    """Ready for a second person."""
    services.propose(_in_work_or_404(code), _seen(), me(), names_may_stay=request.form.get("names_may_stay") == "y")
    return _done(code, gettext("A second person can now approve it."))


@bp.post("/<code>/discard")
@coordinators
def discard(code: str) -> BaseResponse:
    """Take a draft away."""
    services.discard(_in_work_or_404(code), _seen(), me())
    db.session.commit()
    flash(gettext("The draft is deleted."))
    return redirect(url_for("summaries.published"), 303)


@bp.post("/<code>/approve")
@coordinators
def approve(code: str) -> BaseResponse:
    """Approved by a second person: the worker makes the files and publishes."""
    services.approve(_in_work_or_404(code), _seen(), me())
    return _done(code, gettext("Approved. The files are being made; the summary is published within a minute."))


def _done(code: str, said: str) -> BaseResponse:
    """What was done is kept, and its summary is shown."""
    db.session.commit()
    flash(said)
    return redirect(url_for("summaries.read", code=code), 303)


def _seen() -> int:
    return forms.seen_version(request.form.get("version", ""))


# --- for the team ----------------------------------------------------------------------------------------------------


def said(code: str, figure: f.Figure) -> str:
    """A figure as the team reads it; nothing is hidden from them."""
    match figure:
        case f.Rate():
            return _measured(figure.percent, "percent")
        case f.Median():
            return _measured(figure.value, _days_of(code))
        case _:
            return format_number(figure.value)


def _measured(value: float | None, unit: str) -> str:
    return text("summaries.unit.empty") if value is None else measured(value, unit)


def _days_of(code: str) -> str:
    """The unit of a median."""
    return "calendar" if code in CALENDAR_DAYS else "days"


def _frozen_figures(summary: Summary | None) -> Mapping[str, Any]:
    """The figures of a published summary; those of the first form are not told beside the others, whose names they have."""
    if summary is None or summary.state is not State.PUBLISHED or summary.figures.get("form") != FORM:
        return {}
    return summary.figures


def frozen(code: str, kept: Mapping[str, Any]) -> str:
    """A figure as it was kept when its period was published, as the team reads it."""
    if "whole" in kept:
        percent = _measured(f.percent_of(kept["part"], kept["whole"]), "percent")
        return f"{percent} ({format_number(kept['part'])}/{format_number(kept['whole'])})"
    if "of" in kept:
        return _measured(kept["value"], _days_of(code))
    return format_number(kept["value"])


@bp.get("/<code>/indicators")
@case_team
def indicators(code: str) -> str:
    """The twenty-four indicators as they stand now, each number leading to its files."""
    period = _begun_or_404(code)
    summary = queries.of_period(period)
    figures = queries.all_figures(period)
    return render_template(
        "summaries/indicators.html",
        period=period,
        name=period_name(code),
        name_before=period_name(period.year_before.code),
        figures=figures,
        before=queries.all_figures(period.year_before),
        published=_frozen_figures(summary),
        frozen=frozen,
        numbers_of=f.numbers_of,
        numbers=f.NUMBERS,
        said=said,
        category=partial(category, bodies=_bodies_of(f.parts_of(figures["sent_by_body"]))),
    )


def _bodies_of(categories: Iterable[str]) -> dict[str, str]:
    """The names of the bodies of some categories, each a kind and a body of it, by number, in the language spoken."""
    names = queries.names_of_bodies(name.partition("/")[2] for name in categories)
    return {number: one[language()] for number, one in names.items()}


def _begun_or_404(code: str) -> Period:
    period = _period_or_404(code)
    if period.first > clock.today():
        abort(404)
    return period


@bp.get("/<code>/indicators/<name>")
@case_team
def files(code: str, name: str) -> str:
    """The files that a number is made of now: those that this person may see, and how many more there are."""
    period = _begun_or_404(code)
    figure = queries.figure_of(period, name)
    part = f.part_of(figure, request.args.get("of", "")) if figure is not None else None
    if part is None:
        abort(404)
    return _files_page(period, name, part.files, "summaries.files")


@bp.get("/<code>/course")
@case_team
def course(code: str) -> str:
    """How files go, for the team: time in each stage and in whose hands, how far a cohort comes, what bodies answer, needs that nobody met."""
    period = _begun_or_404(code)
    return render_template(
        "summaries/course.html",
        period=period,
        name=period_name(code),
        course=course_of(course_rows(period)),
        bodies=queries.short_names(),
        measured=measured,
        percent_of=f.percent_of,
        days=_twelve_months(period),
    )


@bp.get("/<code>/course/<name>")
@case_team
def course_files(code: str, name: str) -> str:
    """The files of a number of that page: of a step of the cohort or, with `of`, of another of its tables."""
    period = _begun_or_404(code)
    table = _table_asked()
    kind = kind_of(table)
    numbers = course_files_of(course_of(course_rows(period, kind)), table, name) if kind else None
    if numbers is None:
        abort(404)
    return _files_page(period, name, numbers, "summaries.course_files")


@bp.get("/<code>/annex")
@coordinators
def annex(code: str) -> str:
    """What the law asks the operator to follow, beside the same days a year earlier; the committee has nothing of it."""
    period = _begun_or_404(code)
    return render_template(
        "summaries/annex.html",
        period=period,
        name=period_name(code),
        name_before=period_name(period.year_before.code),
        sections=_annex_of(period),
        measured=measured,
        percent_of=f.percent_of,
    )


def _annex_of(period: Period) -> list[tuple[str, list[tuple[AnnexLine, AnnexLine]]]]:
    """The lines that all features have for the annex, by section, each beside that of a year earlier."""
    found: dict[str, list[tuple[AnnexLine, AnnexLine]]] = {}
    for offered in plugged("annex"):
        now, before = (offered(days.first, days.last) for days in (period, period.year_before))
        for line, earlier in zip(now, before, strict=True):
            found.setdefault(line.section, []).append((line, earlier))
    return [(section, found[section]) for section in ANNEX if section in found]


def _table_asked() -> str:
    return request.args.get("of", "cohort")


@bp.get("/<code>/counted/<name>")
@case_team
def counted(code: str, name: str) -> str:
    """The files that a frozen number counted when its figures were taken."""
    period = _period_or_404(code)
    summary = queries.of_period(period)
    numbers = queries.counted(summary, name, request.args.get("of", "")) if summary else None
    if numbers is None:
        abort(404)
    return _files_page(period, name, numbers, "summaries.counted")


def of_body(body: Body) -> dict[str, Any]:
    """A body's own answers, for its page."""
    found = queries.told_to(body)
    if found is None:
        return {}
    period, own = found
    return {"own": own, "days": _twelve_months(period), "measured": measured}


def _twelve_months(period: Period) -> str:
    first, last = period.rolling_days
    return text("summaries.days", first=format_date(first), last=format_date(last))


def _files_page(period: Period, name: str, numbers: Any, endpoint: str) -> str:
    which = request.args.get("of", "")
    is_category = which not in {"", "part", "whole", "without"}
    of_course = endpoint == "summaries.course_files"
    return render_template(
        "summaries/files.html",
        period=period,
        name=name,
        period_said=period_name(period.code),
        which=which,
        title=label("summaries.course", _table_asked()) if of_course else label("summaries.indicator", name),
        category=_of_course(name) if of_course else category(name, which, _bodies_of([which])) if is_category else "",
        in_all=len(numbers),
        found=queries.files_of(numbers, me(), after=whole(request.args.get("after", "")) or 0),
        endpoint=endpoint,
    )


def _of_course(name: str) -> str:
    table = _table_asked()
    return label(COURSE_WORDS[table], name) if table in COURSE_WORDS else queries.short_names().get(name, name)
