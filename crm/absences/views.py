"""The page of absences: one's own, and for coordinators everybody's."""

from typing import Any

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.absences import services
from crm.absences.models import Absence
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.db import db
from crm.errors import RefusedError
from crm.forms import Chosen, DateField, Filled
from crm.i18n import gettext, lazy

bp = Blueprint("absences", __name__, url_prefix="/staff/absences")


class AbsenceForm(forms.Form):
    """Who is away (coordinators say), from when to when, and who stands in."""

    ids = "absence-"

    staff = forms.Pick(lazy("Who is away"), [Chosen(lazy("Choose a person"))])
    begins_on = DateField(lazy("From"), [Filled(lazy("Choose a date"))], render_kw={"type": "date"})
    ends_on = DateField(lazy("Until, that day included"), [Filled(lazy("Choose a date"))], render_kw={"type": "date"})
    deputy = forms.Pick(
        lazy("Who stands in"),
        [Chosen(lazy("Choose a person"))],
        description=lazy("Receives the reminders meanwhile, and sees these files on the start page."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(number), name) for number, name in active_case_team()]
        mine = [one for one in people if current_user.coordinates or one[0] == str(me().id)]
        self.staff.choices, self.deputy.choices = mine, [("", gettext("Choose…")), *people]

    def validate_ends_on(self, field: DateField) -> None:
        if field.day and self.begins_on.day and field.day < self.begins_on.day:
            raise StopValidation(gettext("The last day comes after the first"))
        if field.day and field.day < clock.today():
            raise StopValidation(gettext("Choose a date from today on"))

    def validate_deputy(self, field: Any) -> None:
        if field.data == self.staff.data:
            raise StopValidation(gettext("Choose somebody else"))


def _page(form: AbsenceForm, status: int = 200) -> Response:
    rows = services.coming()
    body = render_template("absences/absences.html", form=form, rows=rows, may_change=services.may_change)
    return make_response(body, status)


@bp.get("")
@case_team
def page() -> Response:
    return _page(AbsenceForm(data={"staff": str(me().id)}))


@bp.post("")
@case_team
def plan() -> Response:
    form = AbsenceForm(request.form)
    if not form.validate():
        return _page(form, 422)
    away, deputy = (db.session.get_one(Staff, int(form[name].data)) for name in ("staff", "deputy"))
    try:
        services.plan(away, form.begins_on.day or clock.today(), form.ends_on.day or clock.today(), deputy)
    except RefusedError as refusal:
        db.session.rollback()
        form.begins_on.errors = list(refusal.reasons)
        return _page(form, 409)
    db.session.commit()
    flash(gettext("The absence is noted."))
    return redirect(url_for("absences.page"), 303)


@bp.post("/<int:number>/remove")
@case_team
def remove(number: int) -> Response:
    absence = db.session.get(Absence, number)
    if absence is None or not services.may_change(absence, me()):
        abort(404)
    db.session.delete(absence)
    db.session.commit()
    flash(gettext("The absence is taken off."))
    return redirect(url_for("absences.page"), 303)
