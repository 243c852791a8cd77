"""The financing of a project on one screen: what it needs, what was asked for, granted and missing, and what waits for what."""

from collections.abc import Sequence
from typing import Any

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.views import case_or_404
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.financing import rules, services
from crm.financing.models import Application, FinancingPlan
from crm.financing.rules import BEGUN, Status
from crm.financing.services import Decision, Facts
from crm.forms import AmountField, AtMost, Chosen, DateField
from crm.i18n import format_amount, gettext, language, lazy
from crm.partners.models import Body
from crm.partners.queries import directory
from crm.partners.vocabulary import Instrument
from crm.texts import choices, label

bp = Blueprint("financing", __name__, url_prefix="/staff/cases/<reference>/financing")


_SHORT = {"inputmode": "decimal", "short": True, "optional": True}


class PlanForm(forms.Form):
    version = wtforms.HiddenField()
    budget = AmountField(lazy("Budget of the project"), render_kw=_SHORT)
    own = AmountField(lazy("The group’s own contribution"), render_kw=_SHORT)


class FactsForm(forms.Form):
    """What is written of an application. `others` are those of the file that it may wait for."""

    version = wtforms.HiddenField()
    instrument = forms.Pick(lazy("Kind of financing"), [Chosen(lazy("Choose a kind of financing"))])
    asked = AmountField(lazy("Amount asked for"), render_kw=_SHORT)
    decision_due_on = DateField(
        lazy("Decision expected on"),
        render_kw={"type": "date", "optional": True},
        description=lazy("A follow-up is planned two business days later."),
    )
    waits_for = forms.Pick(lazy("Depends on"), render_kw={"optional": True})

    def __init__(self, *args: Any, others: Sequence[Application] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        self.instrument.choices = [("", gettext("Choose…")), *choices("partners.instrument")]
        self.waits_for.choices = [
            ("", gettext("No other application")),
            *(
                (str(one.id), f"{one.body.short(lang)} – {label('partners.instrument', one.instrument)}")
                for one in others
            ),
        ]

    def facts(self) -> Facts:
        return Facts(
            instrument=Instrument(self.instrument.data),
            asked=self.asked.cents,
            decision_due_on=self.decision_due_on.day,
            waits_for_id=int(self.waits_for.data) if self.waits_for.data else None,
        )


class AddForm(FactsForm):
    ids = "add-"
    body = forms.Pick(lazy("Organization"), [Chosen(lazy("Choose an organization"))])
    status = forms.Radio(lazy("How far along is it?"), [Chosen(lazy("Say how far it is"))])

    def __init__(self, *args: Any, bodies: Sequence[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        self.body.choices = [("", gettext("Choose…")), *((str(one.id), one.short(lang)) for one in bodies)]
        self.status.choices = [(one.value, label("financing.status", one)) for one in BEGUN]


class MoveForm(forms.Form):
    ids = "move-"
    to = forms.Radio(lazy("New status"), [Chosen(lazy("Choose the new status"))])
    amount = AmountField(lazy("Amount granted, or paid"), render_kw=_SHORT)
    on = DateField(
        lazy("Date"), render_kw={"type": "date", "optional": True}, description=lazy("Today, when left blank.")
    )
    conditions = wtforms.TextAreaField(
        lazy("Conditions, or reasons"), [AtMost(2000)], render_kw={"rows": "3", "optional": True}
    )
    expires_on = DateField(lazy("To be taken up before"), render_kw={"type": "date", "optional": True})

    def __init__(self, *args: Any, status: Status, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.to.choices = [
            (one.value, label("financing.status", one)) for one in Status if rules.may_become(status, one)
        ]

    def validate_amount(self, field: AmountField) -> None:
        if self.to.data in {Status.GRANTED, Status.DISBURSED} and not field.data:
            raise StopValidation(gettext("Enter the amount"))

    def validate_on(self, field: DateField) -> None:
        if field.day and field.day > clock.today():
            raise StopValidation(gettext("Choose today or an earlier day"))

    def decision(self) -> Decision:
        return Decision(self.amount.cents, self.conditions.data or "", self.on.day, self.expires_on.day)


@bp.get("")
@case_team
def page(reference: str) -> str:
    case = case_or_404(reference)
    return _page(case)


def _page(case: Case, **filled: Any) -> str:
    applications, plan = services.of_case(case), services.plan_of(case)
    found = services.package_of(plan, applications)
    return render_template(
        "financing/page.html",
        case=case,
        applications=applications,
        package=found,
        shares=rules.shares(found),
        plan_form=filled.get("plan") or _plan_form(plan),
        add_form=filled.get("add") or AddForm(bodies=directory(), others=applications),
        form=next(iter(filled.values()), None),
        theirs=plan if filled.get("stale") else None,
        open=case.stage is not Stage.CLOSED,
    )


def _typed(cents: int | None) -> str:
    return "" if cents is None else format_amount(cents)


def _plan_form(plan: FinancingPlan | None) -> PlanForm:
    if plan is None:
        return PlanForm(data={"version": 0})
    return PlanForm(data={"version": plan.version, "budget": _typed(plan.budget), "own": _typed(plan.own)})


@bp.post("/plan")
@case_team
def save_plan(reference: str) -> BaseResponse | tuple[str, int]:
    case = case_or_404(reference, lock=True)
    form = PlanForm(request.form)
    if not form.validate():
        return _page(case, plan=form), 422
    seen = forms.seen_version(form.version.data)
    if not services.save_plan(case, seen_version=seen, budget=form.budget.cents, own=form.own.cents, actor=me()):
        db.session.rollback()
        case = case_or_404(reference)
        plan = services.plan_of(case)
        form.version.data = plan.version if plan else 0
        return make_response(_page(case, plan=form, stale=True), 409)
    return _back(case)


@bp.post("")
@case_team
def add(reference: str) -> BaseResponse | tuple[str, int]:
    case = case_or_404(reference, lock=True)
    bodies = directory()
    form = AddForm(request.form, bodies=bodies, others=services.of_case(case))
    if not form.validate():
        return _page(case, add=form), 422
    body = next(one for one in bodies if str(one.id) == form.body.data)
    services.add(case, body, Status(form.status.data), form.facts(), me())
    return _back(case)


def _application_or_404(case: Case, number: int) -> Application:
    found = db.session.scalar(
        select(Application)
        .where(Application.id == number, Application.case_id == case.id)
        .options(joinedload(Application.body))
    )
    if found is None:
        abort(404)
    return found


@bp.get("/<int:number>")
@case_team
def application(reference: str, number: int) -> str:
    case = case_or_404(reference)
    return _application(case, _application_or_404(case, number))


def _application(case: Case, one: Application, **filled: Any) -> str:
    return render_template(
        "financing/application.html",
        case=case,
        one=one,
        facts_form=filled.get("facts") or _facts_form(case, one),
        move_form=filled.get("move") or MoveForm(status=one.status),
        form=next(iter(filled.values()), None),
        stale=bool(filled.get("stale")),
        waits_for=db.session.get(Application, one.waits_for_id) if one.waits_for_id else None,
        open=case.stage is not Stage.CLOSED,
    )


def _others(case: Case, one: Application) -> list[Application]:
    return [other for other in services.of_case(case) if other.id != one.id]


def _facts_form(case: Case, one: Application) -> FactsForm:
    return FactsForm(
        data={
            "version": one.version,
            "instrument": one.instrument,
            "asked": _typed(one.asked),
            "decision_due_on": one.decision_due_on.isoformat() if one.decision_due_on else "",
            "waits_for": str(one.waits_for_id or ""),
        },
        others=_others(case, one),
    )


@bp.post("/<int:number>/facts")
@case_team
def change(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    case = case_or_404(reference, lock=True)
    one = _application_or_404(case, number)
    form = FactsForm(request.form, others=_others(case, one))
    if not form.validate():
        return _application(case, one, facts=form), 422
    seen = forms.seen_version(form.version.data)
    if not services.change(one, case, form.facts(), seen_version=seen, actor=me()):
        db.session.rollback()
        case = case_or_404(reference)
        one = _application_or_404(case, number)
        form.version.data = one.version
        return make_response(_application(case, one, facts=form, stale=True), 409)
    return _back(case)


@bp.post("/<int:number>/move")
@case_team
def move(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    case = case_or_404(reference, lock=True)
    one = _application_or_404(case, number)
    services.check_move(one, request.form.get("to", ""))
    form = MoveForm(request.form, status=one.status)
    if not form.validate():
        return _application(case, one, move=form), 422
    services.advance(one, case, Status(form.to.data), form.decision(), me())
    return _back(case)


def _back(case: Case) -> BaseResponse:
    db.session.commit()
    flash(gettext("Saved."))
    return redirect(url_for("financing.page", reference=case.reference), 303)
