"""The public pages: home, the request, its confirmation."""

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm.access import public
from crm.db import db
from crm.errors import page as error_page
from crm.feature import Feature
from crm.i18n import gettext, in_both_languages, language
from crm.intake import services
from crm.intake.forms import RequestForm
from crm.outbox.kinds import MessageKind
from crm.outbox.services import programme_values, settings
from crm.texts import text
from crm.timeline.sentences import Sentence

bp = Blueprint("intake", __name__)
TRIES = 3


@bp.get("/")
@public
def root() -> BaseResponse:
    """French first; a link leads to English."""
    return redirect(url_for("intake.home", lang="fr"))


@in_both_languages(bp, "/fr/", "/en/")
@public
def home(lang: str) -> str:
    del lang
    return render_template("intake/home.html", facts=programme_values(language()))


@in_both_languages(bp, "/fr/demande", "/en/request")
@public
def request_form(lang: str) -> str:
    del lang
    return _form_page(RequestForm(data={"form_key": services.new_form_key()}))


def _form_page(form: RequestForm) -> str:
    lang = language()
    facts = programme_values(lang)
    organisation = str(facts["organisation"])
    facts["organisation_start"] = organisation[0].upper() + organisation[1:]
    return render_template("intake/form.html", form=form, facts=facts)


@in_both_languages(bp, "/fr/demande", "/en/request", ("POST",))
@public
def send_request(lang: str) -> Response | BaseResponse:
    form = RequestForm(request.form)
    if request.form.get("_lang"):
        # The language button of the form: the same page in the other language, every letter kept, nothing judged.
        return make_response(_form_page(form))
    if not form.validate():
        return make_response(_form_page(form), 422)
    try:
        token = _receive_once(form, lang)
    except services.OtherContentError as error:
        db.session.rollback()
        said = text("intake.refusal.other_content", reference=error.reference, email=settings().programme.email)
        flash(said)
        return make_response(_form_page(form), 409)
    return redirect(url_for("intake.received", lang=lang, token=token), 303)


def _receive_once(form: RequestForm, lang: str) -> str:
    """The token of the confirmation. Twenty presses make one request: the database refuses the others, which read the first.

    It also refuses a reference that is in use: another one is drawn then.
    """
    for _ in range(TRIES):
        try:
            token = services.receipt_token(services.receive(form, page_language=lang))
            db.session.commit()
        except IntegrityError as error:
            db.session.rollback()
            refused = error
        else:
            return token
        if (earlier := services.already_received(form)) is not None:
            return services.receipt_token(earlier)
    raise refused


@in_both_languages(bp, "/fr/demande/recue/<token>", "/en/request/received/<token>")
@public
def received(lang: str, token: str) -> str | Response:
    del lang
    case = services.case_of_receipt(token)
    if case is None:
        return error_page(404, gettext("This page cannot be found"), gettext("Check the address of your confirmation."))
    return render_template("intake/received.html", case=case, token=token, facts=programme_values(language()))


feature = Feature(
    name="intake",
    blueprints=(bp,),
    event_sentences=(
        Sentence("request.acknowledged", "intake.event.acknowledged", "outgoing", frozenset({"message"})),
        Sentence("request.not_acknowledged", "intake.event.not_acknowledged", "failed", frozenset({"message"})),
    ),
    messages=(MessageKind("intake.received", "intake.mail.received", on_final=services.note_acknowledged),),
)
