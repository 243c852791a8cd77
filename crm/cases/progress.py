"""How far a project is: each need with its state, and the days that indicators need (domain reference, section 17, indicators 15 and 19 to 22)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import wtforms
from flask import Blueprint, make_response, render_template, request
from sqlalchemy import select, update
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.models import Case, CaseNeed
from crm.cases.services import StaleError
from crm.cases.views import back_to, case_or_404
from crm.cases.vocabulary import CheckResult, Need, NeedState
from crm.db import db, save_over
from crm.forms import DateField
from crm.i18n import format_date, gettext, lazy
from crm.texts import choices, label
from crm.timeline.services import record

bp = Blueprint("progress", __name__, url_prefix="/staff/cases/<reference>/progress")
DATES = {"incorporated": "incorporated_on", "launched": "launched_on", "checked": "checked_on"}


@dataclass(frozen=True)
class Dates:
    """When the organization was incorporated, when it launched, and what its check after twelve months found."""

    incorporated_on: date | None = None
    launched_on: date | None = None
    checked_on: date | None = None
    check_result: CheckResult | None = None


class ProgressForm(forms.Form):
    """`version` is the one of the project that was on the screen. The states of needs are read beside it, by `states_typed`."""

    ids = "progress-"

    version = wtforms.HiddenField()
    incorporated_on = DateField(lazy("Incorporated on"), render_kw={"type": "date", "optional": True})
    launched_on = DateField(lazy("Launched on"), render_kw={"type": "date", "optional": True})
    checked_on = DateField(
        lazy("Checked twelve months after the launch, on"), render_kw={"type": "date", "optional": True}
    )
    check_result = forms.Pick(lazy("What the check found"), render_kw={"optional": True})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.check_result.choices = [("", gettext("Not checked yet")), *choices("cases.check_result")]

    def validate_incorporated_on(self, field: DateField) -> None:
        _not_ahead(field)

    def validate_launched_on(self, field: DateField) -> None:
        _not_ahead(field)

    def validate_checked_on(self, field: DateField) -> None:
        _not_ahead(field)
        found = self.check_result.data in set(CheckResult)
        if bool(field.data) != found:
            raise StopValidation(gettext("Give both the day of the check and what it found, or neither"))
        launched = self.launched_on.day
        if field.day and (launched is None or field.day < launched):
            raise StopValidation(gettext("The check comes after the launch: give the day of the launch too"))

    def dates(self) -> Dates:
        found = CheckResult(self.check_result.data) if self.check_result.data else None
        return Dates(self.incorporated_on.day, self.launched_on.day, self.checked_on.day, found)


def _not_ahead(field: DateField) -> None:
    if field.day and field.day > clock.today():
        raise StopValidation(gettext("Choose a date that has come"))


def states_of(case: Case) -> dict[Need, NeedState]:
    """The needs of a file with their states, in the order they were found."""
    rows = select(CaseNeed.need, CaseNeed.state).where(CaseNeed.case_id == case.id)
    return {row.need: row.state for row in db.session.execute(rows.order_by(CaseNeed.since, CaseNeed.need))}


def states_typed(case: Case, typed: Mapping[str, str]) -> dict[Need, NeedState]:
    """The same with what was chosen; a value that means nothing leaves a need as it is."""
    chosen = {need: typed.get(f"need_{need}", "") for need in Need}
    known = set(NeedState)
    return {
        need: NeedState(chosen[need]) if chosen[need] in known else state for need, state in states_of(case).items()
    }


def save_progress(
    case: Case, states: Mapping[Need, NeedState], dates: Dates, *, seen_version: int, actor: Staff
) -> None:
    """Keep how far a project is; each change is told in the history with what it was. Raises StaleError when somebody saved the project meanwhile."""
    project = case.project
    before = Dates(project.incorporated_on, project.launched_on, project.checked_on, project.check_result)
    if not save_over(project, seen_version, **vars(dates)):
        raise StaleError
    had = states_of(case)
    for need, state in states.items():
        if need in had and had[need] is not state:
            mine = CaseNeed.case_id == case.id, CaseNeed.need == need
            db.session.execute(update(CaseNeed).where(*mine).values(state=state, state_since=clock.now()))
            record(
                "need.settled",
                case_id=case.id,
                actor=by(actor),
                codes={"need": need, "state": state, "was": had[need]},
            )
    for what, column in DATES.items():
        was, now = getattr(before, column), getattr(dates, column)
        found = (before.check_result, dates.check_result) if what == "checked" else (None, None)
        if (was, found[0]) != (now, found[1]):
            change = f"{_said(was, found[0])} → {_said(now, found[1])}"
            record("milestone.set", case_id=case.id, actor=by(actor), codes={"what": what}, detail={"change": change})


def note_check(case: Case, on: date, found: CheckResult) -> None:
    """What the check twelve months after the launch found, as the person themselves says; one noted before stays unless it reached nobody."""
    project = case.project
    if project.check_result not in {None, CheckResult.UNREACHED}:
        return
    change = f"{_said(project.checked_on, project.check_result)} → {_said(on, found)}"
    project.checked_on, project.check_result, project.version = on, found, project.version + 1
    record("milestone.set", case_id=case.id, actor=by(None), codes={"what": "checked"}, detail={"change": change})


def _said(day: date | None, found: CheckResult | None) -> str:
    if day is None:
        return "–"
    return f"{format_date(day)} ({label('cases.check_result', found)})" if found else format_date(day)


@bp.get("")
@case_team
def page(reference: str) -> BaseResponse:
    case = case_or_404(reference)
    project = case.project
    saved = {name: getattr(project, name) for name in ("version", *vars(Dates()))}
    form = ProgressForm(data={name: str(value) if value else "" for name, value in saved.items()})
    return _page(case, form, states_of(case))


def _page(
    case: Case, form: ProgressForm, states: Mapping[Need, NeedState], status: int = 200, *, stale: bool = False
) -> BaseResponse:
    theirs: list[tuple[str, str]] = []
    if stale:
        project = case.project
        theirs = [
            (label("cases.need", need), label("cases.need_state", state)) for need, state in states_of(case).items()
        ]
        days = (
            ("incorporated_on", project.incorporated_on, None),
            ("launched_on", project.launched_on, None),
            ("checked_on", project.checked_on, project.check_result),
        )
        theirs += [(str(form[name].label.text), _said(day, found)) for name, day, found in days]
    body = render_template("cases/progress.html", case=case, form=form, states=states, theirs=theirs)
    return make_response(body, status)


@bp.post("")
@case_team
def save(reference: str) -> BaseResponse:
    """Save it; who saves over somebody else's change is shown it first, with what was typed kept."""
    case = case_or_404(reference, lock=True)
    form, states = ProgressForm(request.form), states_typed(case, request.form)
    if not form.validate():
        return _page(case, form, states, 422)
    try:
        seen = forms.seen_version(form.version.data)
        save_progress(case, states, form.dates(), seen_version=seen, actor=me())
    except StaleError:
        db.session.rollback()
        case = case_or_404(reference)
        form.version.data = str(case.project.version)
        return _page(case, form, states, 409, stale=True)
    db.session.commit()
    return back_to(case, gettext("The progress of the project was saved."))
