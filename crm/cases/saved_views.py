"""The page of saved views: naming the list one comes from, and what becomes of those there are."""

from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.cases import saved
from crm.cases.models import SavedView
from crm.cases.queue_views import address_of_view, said_of
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost, Filled
from crm.i18n import gettext, lazy
from crm.outbox.queries import mail_trouble
from crm.texts import text

VERBS = frozenset({"share", "keep", "start", "stop", "remove"})
bp = Blueprint("views", __name__, url_prefix="/staff/views")


class ViewForm(forms.Form):
    """The list one comes from, under a name. `replace` is "number.version" of the view to replace, as it was shown."""

    query = wtforms.HiddenField()
    board = wtforms.HiddenField()
    name = wtforms.StringField(lazy("Name of the view"), [AtMost(60)])
    replace = forms.Pick(lazy("Or replace one of these"), default="")
    shared = wtforms.BooleanField(lazy("Show it to the whole team"))
    start = wtforms.BooleanField(lazy("Begin my day on it"))

    def __init__(self, *args: Any, views: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = [row.SavedView for row in views if saved.may_change(row.SavedView, me())]
        self.replace.choices = [
            ("", gettext("None: keep it under a new name")),
            *((f"{v.id}.{v.version}", v.name) for v in mine),
        ]

    def validate_name(self, field: wtforms.Field) -> None:
        if not self.replace.data:
            Filled(gettext("Give the view a name"))(self, field)


@bp.get("")
@case_team
def views() -> Response:
    rows = saved.seen_by(me())
    listed = saved.canonical(request.args.get("list", ""))
    form = ViewForm(data={"query": listed, "board": request.args.get("board", "")}, views=rows)
    return _page(form, rows, coming="list" in request.args)


def _page(form: ViewForm, rows: Any, status: int = 200, *, coming: bool = True) -> Response:
    wanted, look = saved.read(form.query.data or "")
    listed = said_of(wanted, look)
    body = render_template(
        "cases/views.html", form=form, rows=rows, coming=coming, listed=listed, address_of_view=address_of_view, may_change=saved.may_change,
        trouble=mail_trouble(),
    )  # fmt: skip
    return make_response(body, status)


@bp.post("")
@case_team
def save() -> BaseResponse:
    rows = saved.seen_by(me())
    form = ViewForm(request.form, views=rows)
    if request.form.get("replace", "") not in {value for value, _words in form.replace.choices}:
        form.replace.errors = [text("cases.refusal.view_changed")]
        return _page(form, rows, 409)
    if not form.validate():
        return _page(form, rows, 422)
    try:
        view = _saved(form)
        db.session.commit()
    except (RefusedError, IntegrityError) as error:  # two windows may save the same name at once
        db.session.rollback()
        refusal = error if isinstance(error, RefusedError) else saved.exists_already(form.name.data)
        form.name.errors = list(refusal.reasons)
        return _page(form, saved.seen_by(me()), 409)
    flash(gettext("The view “%(name)s” is saved.", name=view.name))
    return redirect(address_of_view(view), 303)


def _saved(form: ViewForm) -> SavedView:
    query, on_board = form.query.data or "", form.board.data == "yes"
    if form.replace.data:
        number, _, version = form.replace.data.partition(".")
        view = _view_or_404(int(number))
        saved.replace(view, query, on_board=on_board, seen_version=int(version), actor=me())
    else:
        view = saved.save(form.name.data, query, on_board=on_board, shared=form.shared.data, actor=me())
    if form.start.data:
        saved.begin_on(view, me())
    return view


def _view_or_404(number: int) -> SavedView:
    view = saved.find(number, me())
    if view is None:
        abort(404)
    return view


@bp.post("/<int:number>")
@case_team
def change(number: int) -> BaseResponse:
    """What becomes of a view, as the button pressed says."""
    view, verb = _view_or_404(number), request.form.get("do", "")
    if verb not in VERBS:
        raise RefusedError(gettext("Choose what to do with this view."))
    if verb in {"share", "keep"}:
        saved.share(view, me(), shared=verb == "share")
        said = gettext("The team sees this view.") if verb == "share" else gettext("The team no longer sees this view.")
    elif verb == "remove":
        said = gettext("The view “%(name)s” is gone. The files are where they were.", name=view.name)
        saved.remove(view, me())
    else:
        saved.begin_on(view if verb == "start" else None, me())
        said = (
            gettext("You begin on “%(name)s” from now on.", name=view.name)
            if verb == "start"
            else gettext("You begin on Today.")
        )
    db.session.commit()
    flash(said)
    return redirect(url_for("views.views"), 303)
