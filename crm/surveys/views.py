"""The page where a person says what became of the project. Its link names one asking; opening it changes nothing."""

from typing import Any

import wtforms
from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import by_link
from crm.db import db
from crm.errors import page as error_page
from crm.forms import AtMost, Chosen, read_people
from crm.i18n import in_both_languages
from crm.links.cookies import pressed
from crm.links.models import Link, Purpose
from crm.links.services import opened
from crm.security import csrf
from crm.surveys import services
from crm.surveys.models import Going, Survey
from crm.texts import choices, text

bp = Blueprint("surveys", __name__)
LARGEST = 100_000
PAGE = ("/fr/nouvelles/<token>", "/en/news/<token>")
STOP = ("/fr/nouvelles/retrait/<token>", "/en/news/stop/<token>")


class AnswerForm(forms.Form):
    going = forms.Radio(validators=[])
    people = wtforms.StringField(render_kw={"inputmode": "numeric", "short": True, "optional": True})
    note = wtforms.TextAreaField(validators=[AtMost(2000)], render_kw={"optional": True, "rows": "4"})
    call = wtforms.BooleanField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.count: int | None = None
        self.going.choices = [*choices("surveys.going")]
        for field in self:
            field.label.text = text(f"surveys.page.{field.name}")

    def validate_going(self, field: wtforms.Field) -> None:
        Chosen(text("surveys.page.choose"))(self, field)

    def validate_people(self, field: wtforms.Field) -> None:
        self.count = read_people(field.data or "", LARGEST)


def _dead() -> Response:
    return error_page(404, text("surveys.page.dead_title"), text("surveys.page.dead"))


@in_both_languages(bp, *PAGE)
@by_link
def ask(lang: str, token: str) -> str | Response:
    del lang
    survey = services.of_link(opened(token, Purpose.SURVEY))
    if survey is None:
        return _dead()
    said = {
        "going": survey.going or "",
        "people": "" if survey.people is None else str(survey.people),
        "note": survey.note,
    }
    return _page(survey, token, AnswerForm(data=said))


def _page(survey: Survey, token: str, form: AnswerForm) -> str:
    return render_template(
        "surveys/page.html",
        survey=survey,
        token=token,
        form=form,
        stopped=services.agreement(survey.case) is None,
    )


@in_both_languages(bp, *PAGE, ("POST",))
@by_link
def send(lang: str, token: str) -> BaseResponse | tuple[str, int]:
    """Keeps the answer, however often it is pressed; the language button keeps what was typed."""
    survey = services.of_link(_pressed(token), lock=not request.form.get("_lang"))
    if survey is None:
        return _dead()
    form = AnswerForm(request.form)
    if request.form.get("_lang"):
        if request.form.get("tried"):
            form.validate()
        return _page(survey, token, form), 200
    if not form.validate():
        return _page(survey, token, form), 422
    services.answer(
        survey,
        going=Going(form.going.data),
        people=form.count,
        note=form.note.data or "",
        call=bool(form.call.data),
    )
    db.session.commit()
    return redirect(url_for("surveys.thanks", lang=lang, token=token), 303)


def _pressed(token: str) -> Link | None:
    return pressed(token, Purpose.SURVEY)


@in_both_languages(bp, "/fr/nouvelles/merci/<token>", "/en/news/thanks/<token>")
@by_link
def thanks(lang: str, token: str) -> str | Response:
    del lang
    survey = services.of_link(opened(token, Purpose.SURVEY))
    if survey is None or survey.answered_at is None:
        return _dead()
    return render_template("surveys/thanks.html", survey=survey, token=token)


@in_both_languages(bp, *STOP)
@by_link
def ask_to_stop(lang: str, token: str) -> str | Response:
    """Asks for one press; mail scanners that follow links take nobody off."""
    del lang
    survey = services.of_link(opened(token, Purpose.SURVEY), any_stage=True)
    if survey is None:
        return _dead()
    return _stop_page(survey, token)


def _stop_page(survey: Survey, token: str) -> str:
    stopped = services.agreement(survey.case) is None
    return render_template("surveys/stop.html", token=token, stopped=stopped)


@in_both_languages(bp, *STOP, ("POST",))
@by_link
def stop(lang: str, token: str) -> Response:
    """Asked no more, now. A mail program's press carries no token of ours."""
    del lang
    survey = services.of_link(_pressed(token), lock=True, any_stage=True)
    if survey is None:
        return _dead()
    services.stop(survey)
    db.session.commit()
    return make_response(_stop_page(survey, token))


csrf.exempt(stop)
