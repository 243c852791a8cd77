"""Correcting answers: the person proposes on their page, staff confirm or not, and staff correct what they were told otherwise."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import by_link, case_team
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404, case_page
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost, Filled
from crm.i18n import View, gettext, language, lazy
from crm.intake.answers import CORRECTED, answers_of, changed, in_words, page_of, typed_on
from crm.intake.browser import SLUGS
from crm.intake.forms import QuestionPage
from crm.portal import corrections
from crm.portal.services import key_of, new_form_key
from crm.portal.views import case_here, lost_page
from crm.texts import label, text

bp = Blueprint("corrections", __name__)
staff_bp = Blueprint("answers", __name__, url_prefix="/staff/cases/<reference>")
TYPED = {name for code in CORRECTED for name in ("description", "contact_name", "project_name")}


# --- the person ------------------------------------------------------------------------------------------------------


def _in_both(*methods: str) -> Callable[[View], View]:
    """One view for the pages of questions that can be corrected, each under an address readable in its language."""

    def add(view: View) -> View:
        for page in CORRECTED:
            for lang, base, slug in zip(
                ("fr", "en"), ("mon-dossier/corriger", "my-file/correct"), SLUGS[page], strict=True
            ):
                rule = f"/{lang}/{base}/{slug}"
                bp.add_url_rule(rule, view.__name__, view, defaults={"lang": lang, "page": page}, methods=list(methods))
        return view

    return add


@_in_both("GET")
@by_link
def correct(lang: str, page: str) -> str | BaseResponse:
    """The questions of a page with the answers as the file has them."""
    del lang
    case = case_here()
    if case is None:
        return lost_page()
    if case.stage is Stage.CLOSED or case.merged_into_id is not None:
        return redirect(url_for("portal.page", lang=language()))
    asked = corrections.pending(case, page)
    shown = {name: values for name, values in (answers_of(case, page) | asked).items() if values}
    return _page(case, page_of(page, shown), new_form_key(), waits=bool(asked))


def _page(case: Case, form: QuestionPage, key: str, *, waits: bool = False) -> str:
    return render_template("portal/correct.html", case=case, form=form, page=form.page, key=key, waits=waits)


@_in_both("POST")
@by_link
def propose(lang: str, page: str) -> BaseResponse:
    """What is changed goes to staff; the other language shows the same page with what was typed."""
    case = case_here(lock=True)
    typed = typed_on(page, request.form)
    if case is None:
        return lost_page("\n".join(value for name in TYPED for value in typed.get(name, ())))
    key = request.form.get("form_key", "")
    written = json.dumps(typed, sort_keys=True)
    form = page_of(page, typed)
    if other := request.form.get("_lang"):
        if other != language():
            return redirect(url_for("corrections.correct", lang="en" if other == "en" else "fr", page=page), 303)
        return make_response(_page(case, form, key))
    if not form.validate():
        return make_response(_page(case, form, key), 422)
    try:
        made = corrections.propose(case, form, key_of(key, written))
        db.session.commit()
    except IntegrityError:  # pressed twice: the first one is there
        db.session.rollback()
        flash(text("portal.correct.said" if corrections.waits(key_of(key, written)) else "portal.correct.answered"))
    else:
        flash(text("portal.correct.said") if made else text("portal.correct.same"))
    return redirect(url_for("portal.page", lang=lang), 303)


# --- staff decide ----------------------------------------------------------------------------------------------------


class DeclineForm(forms.Form):
    ids = "decline-"

    reason = wtforms.TextAreaField(
        lazy("Why the correction is declined"), [Filled(lazy("Explain your decision to the person")), AtMost(2000)]
    )


@staff_bp.post("/corrections/<int:number>")
@case_team
def decide(reference: str, number: int) -> BaseResponse:
    """Confirm in one press; not to confirm asks for a reason that the person reads."""
    case = case_or_404(reference, lock=True)
    correction = corrections.find(case, number)
    if correction is None:
        abort(404)
    if request.form.get("decision") == "confirm":
        if corrections.caught_up(correction, case):
            db.session.commit()
            return back_to(case, gettext("An answer changed since the person wrote. Compare again, then decide."))
        corrections.confirm(correction, case, me())
        said = gettext("The correction is confirmed: the file is up to date, and the person will see it on their page.")
    elif request.form.get("decision") == "decline":
        form = DeclineForm(request.form)
        if not form.validate():
            return case_page(case, 422, number=number, decline_form=form)
        corrections.decline(correction, case, form.reason.data or "", me())
        said = gettext("The correction is declined. The person will read your explanation on their page.")
    else:
        raise RefusedError(gettext("Say whether you confirm the correction."))
    db.session.commit()
    return back_to(case, said)


# --- staff correct ---------------------------------------------------------------------------------------------------


class WhyForm(forms.Form):
    """What goes with answers that staff correct. `seen` tells which answers were on the screen."""

    seen = wtforms.HiddenField()
    why = wtforms.StringField(lazy("Reason for the correction"), [Filled(lazy("Say why, in a few words")), AtMost(300)])


def _seen(case: Case, page: str) -> str:
    """A mark of the answers of a page as they are now."""
    now = json.dumps(answers_of(case, page), sort_keys=True)
    return hashlib.sha256(now.encode("utf-8", "replace")).hexdigest()[:16]


def _correctable(reference: str, page: str, *, lock: bool = False) -> Case:
    if page not in CORRECTED:
        abort(404)
    case = case_or_404(reference, lock=lock)
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    return case


@staff_bp.get("/answers/<page>")
@case_team
def answers(reference: str, page: str) -> str:
    case = _correctable(reference, page)
    return _staff_page(case, page_of(page, answers_of(case, page)), WhyForm(data={"seen": _seen(case, page)}))


def _staff_page(case: Case, form: QuestionPage, why: WhyForm, theirs: Any = ()) -> str:
    return render_template("portal/answers.html", case=case, form=form, page=form.page, why=why, theirs=theirs)


@staff_bp.post("/answers/<page>")
@case_team
def correct_answers(reference: str, page: str) -> BaseResponse:
    """Answers that staff were told otherwise: changed at once, with the reason in the history."""
    case = _correctable(reference, page, lock=True)
    form, why = page_of(page, typed_on(page, request.form)), WhyForm(request.form)
    if not (form.validate() & why.validate()):
        return make_response(_staff_page(case, form, why), 422)
    now = _seen(case, page)
    if why.seen.data != now:
        why.seen.data = now
        saved = answers_of(case, page)
        theirs = [
            (label("intake.answer", name), in_words(page, name, saved.get(name, ()))) for name in changed(saved, form)
        ]
        return make_response(_staff_page(case, form, why, theirs), 409)
    before = answers_of(case, page)
    really = corrections.change_answers(case, page, changed(before, form), me(), why.why.data or "")
    db.session.commit()
    return back_to(case, gettext("The answers were corrected.") if really else gettext("Nothing had changed."))
