"""The question to the person: may we share this with that body? By the link of an e-mail; the same question is on their own page."""

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm.access import by_link
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.i18n import gettext, in_both_languages
from crm.links.cookies import count_try
from crm.permissions.models import How
from crm.referrals import queries, services
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.texts.published import version_of

bp = Blueprint("referral_permission", __name__)


def neutral(*typed: str) -> Response:
    """The same answer for every link that opens nothing, of a person or a body; what they had typed is given back."""
    return error_page(
        404,
        gettext("This link does not work any more"),
        gettext(
            "It may have expired or been withdrawn. Nothing is lost: write to us or call us, and we will send a new one."
        ),
        *typed,
    )


def unopened() -> Response:
    """The same for a token that opens nothing. Raises TooManyRequests when one network tries too many."""
    count_try("link-read")
    return neutral()


@in_both_languages(bp, "/fr/permission/<token>", "/en/permission/<token>")
@by_link
def question(lang: str, token: str) -> str | Response:
    """What would be shared with whom; reading it, however often and by whatever scanner, changes nothing."""
    referral = queries.asked_by(token)
    if referral is None:
        return unopened()
    return _page(referral, lang, token)


def _page(referral: Referral, lang: str, token: str, *, again: bool = False) -> str:
    asks = referral.status is Status.CONSENT_PENDING
    shown = services.question_of(referral, referral.body, lang) if referral.asked_until else ""
    return render_template(
        "referrals/permission.html", referral=referral, token=token, asks=asks, shown=shown, again=again, mark=mark()
    )


def mark() -> str:
    """Which version of the text a page showed: who pressed a button below an earlier one is asked again."""
    return version_of("permissions")


@in_both_languages(bp, "/fr/permission/<token>", "/en/permission/<token>", ("POST",))
@by_link
def answer_question(lang: str, token: str) -> BaseResponse | tuple[str, int]:
    """Yes, no, or the person's own way. Pressed again, it says what was answered."""
    count_try()
    referral = queries.asked_by(token)
    if referral is None:
        return neutral()
    answered = request.form.get("answer", "")
    if answered == "yes" and request.form.get("mark") != mark():
        return _page(referral, lang, token, again=True), 409
    try:
        services.take(referral, services.lock(referral), answered, how=How.LINK, lang=lang)
    except RefusedError as refusal:
        db.session.rollback()
        if (again := queries.asked_by(token)) is not None and again.status is not Status.CONSENT_PENDING:
            return redirect(url_for("referral_permission.question", lang=lang, token=token), 303)  # pressed twice
        return error_page(409, gettext("This cannot be done now"), *refusal.reasons)
    db.session.commit()
    return redirect(url_for("referral_permission.question", lang=lang, token=token), 303)
