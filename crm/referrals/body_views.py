"""The pages of a person at a body, by link: what was shared, their answer, and later what came of it."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm.access import by_link
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.feature import plugged
from crm.forms import whole
from crm.i18n import gettext, in_both_languages
from crm.links import cookies
from crm.links import services as links
from crm.links.models import Purpose
from crm.referrals import answers, queries, services
from crm.referrals.forms import AnswerForm, EndForm, NextForm
from crm.referrals.models import Referral
from crm.referrals.outcomes import Action, Actor
from crm.referrals.person_views import neutral, unopened
from crm.referrals.views import next_form_of, save_answer, save_end
from crm.security import too_often

bp = Blueprint("referral_body", __name__)
MOST = 2**31 - 1  # the largest number that a row may have


@in_both_languages(bp, "/fr/mise-en-relation/<token>", "/en/referral/<token>")
@by_link
def landing(lang: str, token: str) -> str | Response:
    """Says who asks and offers to continue; opening it, however often and by whatever scanner, changes nothing."""
    del lang
    referral = queries.opened_by(token)
    if referral is None:
        return unopened()
    return render_template("referrals/landing.html", referral=referral, token=token)


@in_both_languages(bp, "/fr/mise-en-relation/<token>", "/en/referral/<token>", ("POST",))
@by_link
def enter(lang: str, token: str) -> BaseResponse:
    """Continue was pressed: the token becomes a cookie of two hours, and the address holds no secret any more."""
    link = cookies.pressed(token, Purpose.REFERRAL)
    referral = queries.opened_by(link.id) if link else None
    if link is None or referral is None:
        return neutral()
    services.note_seen(referral)
    db.session.commit()
    return cookies.keep(redirect(url_for("referral_body.answer_page", lang=lang), 303), link)


def referral_of_cookie() -> Referral | None:
    """The referral that this browser came to by its link, while the link counts."""
    link = cookies.kept(Purpose.REFERRAL)
    return queries.opened_by(link.id) if link else None


LIST, ALL = ("/fr/organisme", "/en/organization"), ("/fr/organisme/<token>", "/en/organization/<token>")


@in_both_languages(bp, *ALL)
@by_link
def list_landing(lang: str, token: str) -> str | Response:
    """Says what the link opens; opening it, however often and by whatever scanner, changes nothing."""
    del lang
    body = queries.body_of(links.opened(token, Purpose.BODY))
    if body is None:
        cookies.count_try("link-read")
        return _over(token)
    return render_template("referrals/list_landing.html", body=body, token=token)


@in_both_languages(bp, *ALL, ("POST",))
@by_link
def list_enter(lang: str, token: str) -> BaseResponse:
    """Continue was pressed: the token becomes a cookie of two hours. Of a link whose days are over, another is sent to the same address."""
    if "again" in request.form:
        return _send_again(token)
    link = cookies.pressed(token, Purpose.BODY)
    if link is None or queries.body_of(link) is None:
        return _over(token)
    return cookies.keep(redirect(url_for("referral_body.list_page", lang=lang), 303), link)


def _send_again(token: str) -> Response:
    """The same words whoever asks: a link that was never ours, or is somebody else's by now, brings nothing."""
    cookies.count_try()
    link = links.expired(token, Purpose.BODY)
    person, body = queries.holder_of(link), queries.body_of(link)
    if person is not None and body is not None:
        if not too_often("link-again", person.email.lower(), limit=3, seconds=6 * 3600):
            services.send_list_again(body, person)
        db.session.commit()
    return make_response(render_template("referrals/list_over.html", token=token, said=True))


def _over(token: str) -> Response:
    return make_response(render_template("referrals/list_over.html", token=token, said=False), 404)


def _number(typed: str) -> int:
    """A row's number, or one that no row has."""
    return min(whole(typed) or 0, MOST)


@in_both_languages(bp, *LIST)
@by_link
def list_page(lang: str) -> str | Response:
    """All that waits for a body, and what it is working on; reading it changes nothing."""
    del lang
    body = queries.body_of(cookies.kept(Purpose.BODY))
    if body is None:
        return neutral()
    waiting, more = queries.waiting_for(body, after=_number(request.args.get("after", "")))
    working, more_working = queries.taken_on_by(body, after=_number(request.args.get("working", "")))
    return render_template(
        "referrals/list.html",
        body=body,
        waiting=waiting,
        more=more,
        working=working,
        more_working=more_working,
        parts=_parts("list", body),
    )


@in_both_languages(bp, *LIST, ("POST",))
@by_link
def open_one(lang: str) -> BaseResponse:
    """One file of the list is opened: it was seen, and its own page is as the link of its mail opens it."""
    through = cookies.kept(Purpose.BODY)
    body = queries.body_of(through)
    referral = services.of_body(body, _number(request.form.get("number", ""))) if body is not None else None
    if referral is None or referral.permission is None:
        return neutral()
    link = services.link_to(referral, at_least=0)
    if queries.opened_by(link.id) is None:
        return neutral()
    services.note_seen(referral)
    db.session.commit()
    return cookies.keep(redirect(url_for("referral_body.answer_page", lang=lang), 303), link, through=through)


@in_both_languages(bp, "/fr/mise-en-relation", "/en/referral")
@by_link
def answer_page(lang: str) -> str | Response:
    del lang
    referral = referral_of_cookie()
    if referral is None:
        return neutral()
    return _page(referral)


def _parts(place: str, of: Any) -> list[tuple[str, dict[str, Any]]]:
    """What other features show on a page of a body, with their templates."""
    return [(one.template, one.load(of)) for one in plugged("body_parts") if one.place == place]


def _page(referral: Referral, **filled: Any) -> str:
    parts = _parts("referral", referral)
    return render_template(
        "referrals/answer.html",
        referral=referral,
        parts=parts,
        answer_form=filled.get("answer") or AnswerForm(),
        end_form=filled.get("end") or EndForm(),
        next_form=filled.get("next") or next_form_of(referral),
        form=next(iter(filled.values()), None),
        may_correct=answers.correctable(referral),
        next_mark=answers.mark_of(referral.next_note, referral.next_on),
        listed=queries.body_of(cookies.kept(Purpose.BODY)) is not None,
    )


def of_another(referral: Referral, *typed: str) -> Response | None:
    """The answer to a form of a page that was left open while another referral was opened in this browser; None for one of this referral."""
    if request.form.get("about", str(referral.id)) == str(referral.id):
        return None
    return error_page(
        409,
        gettext("This cannot be done now"),
        gettext("You opened another referral in the meantime. Open the link of this one again, then send your answer."),
        *typed,
    )


ASKS = {"answer": Action.ACCEPT, "end": Action.COMPLETE}
FORMS: dict[str, Any] = {"answer": AnswerForm, "end": EndForm, "next": NextForm}


@in_both_languages(bp, "/fr/mise-en-relation", "/en/referral", ("POST",))
@by_link
def answer(lang: str) -> BaseResponse | tuple[str, int]:
    """One of the forms of the page: an answer, what comes next, what came of it, or that the last answer was a mistake."""
    referral = referral_of_cookie()
    what = request.form.get("what", "answer")
    what = what if what in {*FORMS, "correct"} else "answer"
    form = FORMS.get(what, AnswerForm)(request.form)
    typed = [text for text in (form.data.get("note"), form.data.get("next_note")) if text]
    if referral is None:
        return neutral(*typed)
    if (another := of_another(referral, *typed)) is not None:
        return another
    if request.form.get("_lang") and what in FORMS:
        # The language button of the form: same page, same words typed, nothing decided.
        return make_response(_page(referral, **{what: form}))
    try:
        # Before the words are looked at: somebody may have answered meanwhile, and the page would have no such form any more.
        if what in ASKS:
            services.check_may(referral, ASKS[what], Actor.BODY)
        if what != "correct" and not form.validate():
            return _page(referral, **{what: form}), 422
        if what == "end":
            save_end(referral, form, None)
        elif what == "next":
            answers.say_next(referral, form.then(), seen=request.form.get("seen", ""))
        elif what == "correct":
            answers.correct(referral, request.form.get("was", ""))
        else:
            save_answer(referral, form, None)
    except RefusedError as refusal:
        # Somebody at the body answered in the meantime: what this person wrote is given back.
        db.session.rollback()
        return error_page(409, gettext("This cannot be done now"), *refusal.reasons, *typed)
    db.session.commit()
    return redirect(url_for("referral_body.answer_page", lang=lang), 303)
