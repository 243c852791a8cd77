"""The tags of a file, and the page of all tags."""

from typing import Any

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response

from crm import forms
from crm.access import case_team, coordinators
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost
from crm.i18n import gettext, lazy
from crm.tags import services
from crm.tags.models import LONGEST, Tag

of_case_bp = Blueprint("case_tags", __name__, url_prefix="/staff/cases/<reference>/tags")
bp = Blueprint("tags", __name__, url_prefix="/staff/tags")


class TagsForm(forms.Form):
    """Which tags a file carries. `shown` are those it carried when the form was drawn: what a colleague did meanwhile stays done."""

    carried = forms.Boxes(lazy("Tags of this file"))
    shown = wtforms.HiddenField()
    new = wtforms.StringField(
        lazy("Another tag"),
        [AtMost(LONGEST)],
        render_kw={"optional": True, "autocomplete": "off"},
        description=lazy("One word or a few, for the team only: the person never sees it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.carried.choices = services.options()


@of_case_bp.get("")
@case_team
def page(reference: str) -> Response:
    case = case_or_404(reference)
    carried = sorted(services.of_case(case))
    return _page(case, TagsForm(data={"carried": [str(one) for one in carried], "shown": _listed(carried)}))


def _listed(numbers: Any) -> str:
    return ",".join(str(one) for one in numbers)


def _page(case: Case, form: TagsForm, status: int = 200) -> Response:
    return make_response(render_template("tags/of_case.html", case=case, form=form), status)


@of_case_bp.post("")
@case_team
def save(reference: str) -> Response:
    case = case_or_404(reference, lock=True)
    form = TagsForm(request.form)
    if not form.validate():
        return _page(case, form, 422)
    known = {str(tag.id): tag for tag in services.all_tags()}
    ticked, before = set(form.carried.data), set((form.shown.data or "").split(","))
    # Only what this person ticked or unticked: a tag that a colleague put on or took off meanwhile stays so.
    now = {str(one) for one in services.of_case(case)}
    wanted = [known[number] for number in known if number in (now | (ticked - before)) - (before - ticked)]
    try:
        if form.new.data:
            wanted.append(services.named(form.new.data))
        services.set_tags(case, wanted, me())
        db.session.commit()
    except (RefusedError, IntegrityError) as error:  # two people may make the same tag at once
        db.session.rollback()
        refused = error.reasons if isinstance(error, RefusedError) else [gettext("Somebody made this tag just now.")]
        form = TagsForm(request.form)
        form.new.errors = list(refused)
        return _page(case_or_404(reference), form, 409)
    return back_to(case, gettext("The tags were saved."))


# --- the tags themselves ---------------------------------------------------------------------------------------------


@bp.get("")
@case_team
def tags() -> Response:
    return _all()


def _all(status: int = 200, *, number: int = 0, typed: str = "", problem: str = "") -> Response:
    body = render_template(
        "tags/tags.html",
        rows=services.with_use(me()),
        most=services.COUNTED,
        number=number,
        typed=typed,
        problem=problem,
    )
    return make_response(body, status)


def _tag_or_404(number: int) -> Tag:
    tag = db.session.get(Tag, number)
    if tag is None:
        abort(404)
    return tag


@bp.post("/<int:number>")
@coordinators
def change(number: int) -> Response:
    """Rename a tag."""
    tag, typed = _tag_or_404(number), request.form.get("name", "")
    try:
        saved = services.rename(tag, typed, seen_version=forms.seen_version(request.form.get("seen")))
        db.session.commit()
    except (RefusedError, IntegrityError) as error:  # two people may give the same name at once
        db.session.rollback()
        problem = error.reasons[0] if isinstance(error, RefusedError) else gettext("Somebody made this tag just now.")
        return _all(422, number=number, typed=typed, problem=problem)
    if not saved:
        problem = gettext("Somebody renamed this tag meanwhile. What you typed is here: save again to keep it.")
        return _all(409, number=number, typed=typed, problem=problem)
    flash(gettext("The tag is now “%(name)s”, on every file that carries it.", name=tag.name))
    return redirect(url_for("tags.tags"), 303)


@bp.post("/<int:number>/remove")
@coordinators
def remove(number: int) -> Response:
    tag = _tag_or_404(number)
    services.remove(tag)
    db.session.commit()
    flash(gettext("The tag “%(name)s” is gone. The files are where they were.", name=tag.name))
    return redirect(url_for("tags.tags"), 303)
