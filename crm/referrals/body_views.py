"""The pages of a person at a body, by link: what was shared, their answer, and later what came of it."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm.access import by_link
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.i18n import gettext, in_both_languages
from crm.links import cookies
from crm.links.models import Purpose
from crm.referrals import answers, queries, services
from crm.referrals.forms import AnswerForm, EndForm, NextForm
from crm.referrals.models import Referral
from crm.referrals.views import next_form_of, save_answer, save_end

bp = Blueprint("referral_body", __name__)


def _neutral(*typed: str) -> Response:
    """The same answer for every link that opens nothing; what the person had typed is given back."""
    return error_page(
        404,
        gettext("This link does not work any more"),
        gettext(
            "It may have expired or been withdrawn. Nothing is lost: write to us or call us, and we will send a new one."
        ),
        *typed,
    )


@in_both_languages(bp, "/fr/mise-en-relation/<token>", "/en/referral/<token>")
@by_link
def landing(lang: str, token: str) -> str | Response:
    """Says who asks and offers to continue; opening it, however often and by whatever scanner, changes nothing."""
    del lang
    referral = queries.opened_by(token)
    if referral is None:
        return _neutral()
    return render_template("referrals/landing.html", referral=referral, token=token)


@in_both_languages(bp, "/fr/mise-en-relation/<token>", "/en/referral/<token>", ("POST",))
@by_link
def enter(lang: str, token: str) -> BaseResponse:
    """Continue was pressed: the token becomes a cookie of two hours, and the address holds no secret any more."""
    link = cookies.pressed(token, Purpose.REFERRAL)
    referral = queries.opened_by(link.id) if link else None
    if link is None or referral is None:
        return _neutral()
    services.note_seen(referral)
    db.session.commit()
    return cookies.keep(redirect(url_for("referral_body.answer_page", lang=lang), 303), link)


def _referral_of_cookie() -> Referral | None:
    link = cookies.kept(Purpose.REFERRAL)
    return queries.opened_by(link.id) if link else None


@in_both_languages(bp, "/fr/mise-en-relation", "/en/referral")
@by_link
def answer_page(lang: str) -> str | Response:
    del lang
    referral = _referral_of_cookie()
    if referral is None:
        return _neutral()
    return _page(referral)


def _page(referral: Referral, **filled: Any) -> str:
    return render_template(
        "referrals/answer.html",
        referral=referral,
        answer_form=filled.get("answer") or AnswerForm(),
        end_form=filled.get("end") or EndForm(),
        next_form=filled.get("next") or next_form_of(referral),
        form=next(iter(filled.values()), None),
        may_correct=answers.correctable(referral),
    )


FORMS: dict[str, Any] = {"answer": AnswerForm, "end": EndForm, "next": NextForm}


@in_both_languages(bp, "/fr/mise-en-relation", "/en/referral", ("POST",))
@by_link
def answer(lang: str) -> BaseResponse | tuple[str, int]:
    """One of the forms of the page: an answer, what comes next, what came of it, or that the last answer was a mistake."""
    referral = _referral_of_cookie()
    what = request.form.get("what", "answer")
    form = FORMS[what](request.form) if what in FORMS else AnswerForm(request.form)
    typed = [text for text in (form.data.get("note"), form.data.get("next_note")) if text]
    if referral is None:
        return _neutral(*typed)
    if request.form.get("about", str(referral.id)) != str(referral.id):
        return error_page(
            409,
            gettext("This cannot be done now"),
            gettext(
                "You opened another referral in the meantime. Open the link of this one again, then send your answer."
            ),
            *typed,
        )
    if request.form.get("_lang"):
        # The language button of the form: same page, same words typed, nothing decided.
        return make_response(_page(referral, **{what: form}))
    if what != "correct" and not form.validate():
        return _page(referral, **{what: form}), 422
    try:
        if what == "end":
            save_end(referral, form, None)
        elif what == "next":
            answers.say_next(referral, form.then())
        elif what == "correct":
            answers.correct(referral)
        else:
            save_answer(referral, form, None)
    except RefusedError as refusal:
        # Somebody at the body answered in the meantime: what this person wrote is given back.
        db.session.rollback()
        return error_page(409, gettext("This cannot be done now"), *refusal.reasons, *typed)
    db.session.commit()
    return redirect(url_for("referral_body.answer_page", lang=lang), 303)
