"""The directory's pages."""

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import case_team, coordinators
from crm.db import db
from crm.formats import read_email
from crm.forms import AtMost, Chosen, Filled, WholeNumber
from crm.i18n import gettext, lazy
from crm.partners import queries
from crm.partners.models import Body
from crm.partners.services import change_contact
from crm.texts import choices

bp = Blueprint("directory", __name__, url_prefix="/staff/partners")


class ContactForm(forms.Form):
    version = wtforms.HiddenField()
    name = wtforms.StringField(lazy("Contact person"), [Filled(lazy("Enter a name")), AtMost(120)])
    email = wtforms.StringField(
        lazy("Work email"), [Filled(lazy("Enter an email address")), AtMost(254)], render_kw={"type": "email"}
    )
    language = forms.Radio(lazy("Language we write in"), [Chosen(lazy("Choose a language"))])
    answer_days = wtforms.StringField(
        lazy("Answers within how many business days?"),
        [WholeNumber(1, 90)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
        description=lazy("Its answer is checked then, instead of when the plan says."),
    )
    chase_days = wtforms.StringField(
        lazy("Silent for how many business days before we write again?"),
        [Filled(lazy("Write 0 for never")), WholeNumber(0, 90)],
        render_kw={"inputmode": "numeric", "short": True},
        description=lazy(
            "One email for all the files that wait, twice at most; then it becomes a task for each adviser. 0: never."
        ),
    )
    verified = wtforms.BooleanField(lazy("I verified this entry with the organization today"))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = [*choices("partners.language")]

    def validate_email(self, field: wtforms.Field) -> None:
        read = read_email(field.data)
        if read is None:
            raise StopValidation(gettext("Enter a full email address, like name@example.ca"))
        field.data = read


def _body_or_404(code: str) -> Body:
    body = queries.by_code(code)
    if body is None:
        abort(404)
    return body


@bp.get("")
@case_team
def bodies() -> str:
    return render_template("directory/bodies.html", bodies=queries.directory())


@bp.get("/<code>")
@case_team
def body(code: str) -> str:
    found = _body_or_404(code)
    return render_template("directory/body.html", body=found, form=_form(found), theirs=None)


@bp.post("/<code>")
@coordinators
def change(code: str) -> Response:
    found = _body_or_404(code)
    form = ContactForm(request.form)
    if not form.validate():
        return make_response(render_template("directory/body.html", body=found, form=form, theirs=None), 422)
    saved = change_contact(
        found,
        seen_version=forms.seen_version(form.version.data),
        name=form.name.data,
        email=form.email.data,
        language=form.language.data,
        answer_days=int(form.answer_days.data) if form.answer_days.data else None,
        chase_days=int(form.chase_days.data),
        verified_on=clock.today() if form.verified.data else None,
    )
    if not saved:
        db.session.rollback()
        found = _body_or_404(code)
        form.version.data = found.version
        return make_response(render_template("directory/body.html", body=found, form=form, theirs=found), 409)
    db.session.commit()
    flash(gettext("The contact was saved."))
    return redirect(url_for("directory.body", code=code), 303)


def _form(body: Body) -> ContactForm:
    return ContactForm(
        data={
            "version": body.version,
            "name": body.contact_name,
            "email": body.contact_email,
            "language": body.contact_language,
            "answer_days": "" if body.answer_days is None else str(body.answer_days),
            "chase_days": str(body.chase_days),
        }
    )
