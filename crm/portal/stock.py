"""Messages that the team sends often: kept by coordinators, put into a message by everybody of the team."""

from collections.abc import Sequence
from typing import Any

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response
from wtforms.validators import StopValidation

from crm import forms
from crm.access import case_team, coordinators
from crm.cases.models import Case
from crm.db import db, save_over
from crm.forms import AtMost, Filled
from crm.i18n import gettext, language, lazy
from crm.portal.models import MessageTemplate
from crm.portal.placeholders import NAMES, fill, unknown

bp = Blueprint("message_templates", __name__, url_prefix="/staff/message-templates")


def names_between_braces() -> str:
    """The words that become each person's own facts, as they are typed in the language spoken now."""
    return ", ".join("{" + (french if language() == "fr" else english) + "}" for french, english, _fact in NAMES)


class KnownNames:
    """Only words that mean something stand between braces."""

    def __call__(self, form: wtforms.Form, field: wtforms.Field) -> None:
        if wrong := unknown(field.data or ""):
            raise StopValidation(gettext("These words between braces mean nothing: %(words)s", words=", ".join(wrong)))


class TemplateForm(forms.Form):
    """Both languages at once: neither is ever behind the other."""

    ids = "template-"

    version = wtforms.HiddenField()
    name = wtforms.StringField(
        lazy("Its name"), [Filled(lazy("Give it a name")), AtMost(60)], render_kw={"autocomplete": "off"}
    )
    fr = wtforms.TextAreaField(
        lazy("Message in French"),
        [Filled(lazy("Write the message in French")), AtMost(), KnownNames()],
        render_kw={"rows": "8", "lang": "fr-CA"},
    )
    en = wtforms.TextAreaField(
        lazy("Message in English"),
        [Filled(lazy("Write the message in English")), AtMost(), KnownNames()],
        render_kw={"rows": "8", "lang": "en-CA"},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fr.description = gettext(
            "These words between braces become each person’s own facts: %(names)s.", names=names_between_braces()
        )


def offered() -> Sequence[MessageTemplate]:
    """Every message kept, by name."""
    return db.session.scalars(select(MessageTemplate).order_by(MessageTemplate.name).limit(200)).all()


def find(typed: str | None) -> MessageTemplate | None:
    """The message of a number that was sent; None for anything else."""
    number = str(typed or "")
    return db.session.get(MessageTemplate, int(number)) if number.isdecimal() and len(number) < 10 else None


def put_in(case: Case, body: str, greeting: str, template: MessageTemplate, facts: dict[str, str]) -> str:
    """A message with a kept one put into it, in the person's language, the names filled in.

    It comes after what was typed. One that greets by itself takes the place of the greeting when nothing else was typed.
    """
    text = template.en if case.language == "en" else template.fr
    greets = fill(text, {"person": "\0"}) != text
    kept = "" if greets and body.strip() == greeting.strip() else body.rstrip()
    return f"{kept}\n\n{fill(text, facts)}".lstrip("\n")


@bp.get("")
@case_team
def templates() -> str:
    rows = [(one, one.fr if language() == "fr" else one.en) for one in offered()]
    return render_template("portal/templates.html", rows=rows)


@bp.get("/new")
@coordinators
def new() -> Response:
    return _page(TemplateForm())


def _page(form: TemplateForm, template: MessageTemplate | None = None, status: int = 200) -> Response:
    return make_response(render_template("portal/template.html", form=form, template=template), status)


@bp.post("/new")
@coordinators
def add() -> Response:
    form = TemplateForm(request.form)
    if not form.validate():
        return _page(form, status=422)
    db.session.add(MessageTemplate(name=form.name.data, fr=form.fr.data, en=form.en.data))
    return _saved(form, None)


def _saved(form: TemplateForm, template: MessageTemplate | None) -> Response:
    number = template.id if template else 0
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        form.name.errors = [gettext("Another message is kept under this name")]
        return _page(form, db.session.get(MessageTemplate, number) if number else None, 409)
    flash(gettext("The message “%(name)s” is kept.", name=form.name.data))
    return redirect(url_for("message_templates.templates"), 303)


def _template_or_404(number: int) -> MessageTemplate:
    found = db.session.get(MessageTemplate, number)
    if found is None:
        abort(404)
    return found


@bp.get("/<int:number>")
@coordinators
def edit(number: int) -> Response:
    template = _template_or_404(number)
    return _page(TemplateForm(obj=template), template)


@bp.post("/<int:number>/change")
@coordinators
def change(number: int) -> Response:
    template, form = _template_or_404(number), TemplateForm(request.form)
    if not form.validate():
        return _page(form, template, 422)
    values = {"name": form.name.data, "fr": form.fr.data, "en": form.en.data}
    try:
        saved = save_over(template, forms.seen_version(form.version.data), **values)
    except IntegrityError:
        db.session.rollback()
        form.name.errors = [gettext("Another message is kept under this name")]
        return _page(form, _template_or_404(number), 409)
    if not saved:
        form.version.data = str(template.version)
        form.name.errors = [
            gettext("Somebody changed this message meanwhile. Theirs is below: keep yours by saving again")
        ]
        return _page(form, template, 409)
    return _saved(form, template)


@bp.post("/<int:number>/remove")
@coordinators
def remove(number: int) -> Response:
    """It is offered no more; messages that were sent stay as they are."""
    template = _template_or_404(number)
    name = template.name
    db.session.execute(delete(MessageTemplate).where(MessageTemplate.id == number))
    db.session.commit()
    flash(gettext("The message “%(name)s” is no longer offered.", name=name))
    return redirect(url_for("message_templates.templates"), 303)
