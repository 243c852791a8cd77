"""The person's own page. A link opens it after one press; a GET changes nothing; every change is a pressed button."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import wtforms
from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.access import by_link, case_team, public
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases import documents
from crm.cases.addresses import address_of_page
from crm.cases.models import Case
from crm.cases.views import case_or_404
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.files import services as files
from crm.forms import AtMost, Filled
from crm.i18n import gettext, in_both_languages, language, lazy
from crm.intake.answers import CORRECTED
from crm.intake.forms import AddressForm
from crm.intake.models import Answer
from crm.links import cookies
from crm.links.models import Purpose
from crm.links.services import opened
from crm.links.services import token as token_of
from crm.permissions.services import listed
from crm.portal import corrections, services
from crm.portal.conversation import thread
from crm.referrals.models import Referral
from crm.referrals.person_views import mark
from crm.referrals.services import is_asked, question_of
from crm.security import client_network, takes_files, too_often
from crm.talks import hours
from crm.talks import services as talks
from crm.talks.models import Mode, Talk, TalkRules
from crm.texts import text
from crm.texts.facts import programme

bp = Blueprint("portal", __name__)
staff_bp = Blueprint("portal_staff", __name__, url_prefix="/staff/cases/<reference>/page-link")


class WriteForm(forms.Form):
    form_key = wtforms.HiddenField()
    body = wtforms.TextAreaField(validators=[Filled(lazy("Write your message")), AtMost(4000)])


# --- the link --------------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/mon-dossier/ouvrir/<token>", "/en/my-file/open/<token>")
@by_link
def landing(lang: str, token: str) -> str | Response:
    """Says what the link opens; reading it, however often and by whatever scanner, changes nothing."""
    del lang
    if opened(token, Purpose.CASE) is None:
        return _dead()
    return render_template("portal/landing.html", token=token)


@in_both_languages(bp, "/fr/mon-dossier/ouvrir/<token>", "/en/my-file/open/<token>", ("POST",))
@by_link
def enter(lang: str, token: str) -> BaseResponse:
    """The button was pressed: a cookie of two hours, and an address without a secret."""
    link = cookies.pressed(token, Purpose.CASE)
    if link is None:
        return _dead()
    return cookies.keep(redirect(url_for("portal.page", lang=lang), 303), link)


def _dead() -> Response:
    return make_response(render_template("portal/lost.html", form=AddressForm(), dead=True), 404)


def case_here(*, lock: bool = False) -> Case | None:
    """The file that this browser may open, if any."""
    link = cookies.kept(Purpose.CASE)
    return services.case_of(link, lock=lock) if link else None


def lost_page(typed: str = "") -> Response:
    """No link in this browser: what was typed is given back, and the link can be asked for again."""
    body = render_template("portal/lost.html", form=AddressForm(), dead=False, typed=typed)
    return make_response(body, 404)


# --- the page --------------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/mon-dossier", "/en/my-file")
@by_link
def page(lang: str) -> str | Response:
    del lang
    case = case_here()
    if case is None:
        return lost_page()
    return _page(case, _blank_form())


def _blank_form() -> WriteForm:
    return WriteForm(data={"form_key": services.new_form_key()})


def _page(case: Case, form: WriteForm, documents_refused: Sequence[tuple[str, str]] = ()) -> str:
    lang = language()
    coming = talks.coming(case)
    referrals = services.referrals_of(case)
    return render_template(
        "portal/page.html",
        case=case,
        form=form,
        standing=services.standing_of(case, coming, referrals, lang),
        talks=[
            (talk, talks.when(talk, lang), talks.where(talk, case, lang), talks.may_still_change(talk))
            for talk in coming
        ],
        referrals=referrals,
        questions=[(one, question_of(one, one.body, lang)) for one in reversed(referrals) if is_asked(one)],
        mark=mark(),
        consents=services.consents_of(case),
        messages=thread(case),
        corrections=corrections.of_case(case),
        to_correct=CORRECTED,
        shared_words=_shared_words,
        today=clock.today(),
        open=case.stage is not Stage.CLOSED,
        introduction=services.open_introduction(case),
        call_by=services.call_planned(case) if not coming else None,
        documents=files.of_case(case.id),
        documents_refused=documents_refused,
    )


def _shared_words(referral: Referral) -> str:
    """What left for a body, in a sentence: your name and your email address."""
    return listed([item["field"] for item in referral.shared])


def _verb(french: str, english: str) -> Callable[[Callable[[Case], str]], Callable[[Case], str]]:
    """An address of the page that changes one thing: `change` does it on the locked file and gives what to say."""

    def add(change: Callable[[Case], str]) -> Callable[[Case], str]:
        def view(lang: str) -> BaseResponse:
            case = case_here(lock=True)
            if case is None:
                return lost_page(request.form.get("body", ""))
            said = change(case)
            db.session.commit()
            if said:
                flash(said)
            return redirect(url_for("portal.page", lang=lang), 303)

        view.__name__ = change.__name__
        in_both_languages(bp, f"/fr/mon-dossier/{french}", f"/en/my-file/{english}", ("POST",))(by_link(view))
        return change

    return add


def _number() -> int:
    value = request.form.get("number", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


@in_both_languages(bp, "/fr/mon-dossier/message", "/en/my-file/message", ("POST",))
@by_link
def write(lang: str) -> BaseResponse:
    """A message to the team, received once however often it is pressed."""
    case = case_here(lock=True)
    form = WriteForm(request.form)
    if case is None:
        return lost_page(form.body.data or "")
    if not form.validate():
        return make_response(_page(case, form), 422)
    try:
        services.write(case, form.body.data, services.key_of(form.form_key.data or "", form.body.data))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        if not services.was_written(form.form_key.data or "", form.body.data):
            raise
    flash(text("portal.said.written"))
    return redirect(url_for("portal.page", lang=lang), 303)


@_verb("oui", "yes")
def agree(case: Case) -> str:
    """A partner gave us the person's details: yes, contact me."""
    return text("intake.introduction.said_yes") if services.answer_introduction(case, Answer.YES) else ""


@in_both_languages(bp, "/fr/mon-dossier/non", "/en/my-file/no", ("POST",))
@by_link
def decline(lang: str) -> BaseResponse:
    """No, thank you: everything is destroyed, this page with it."""
    case = case_here(lock=True)
    if case is None:
        return lost_page()
    if not services.answer_introduction(case, Answer.NO):
        return redirect(url_for("portal.page", lang=lang), 303)
    db.session.commit()
    return error_page(200, text("intake.introduction.said_no"))


@_verb("permission", "permission")
def take_permission_back(case: Case) -> str:
    return text("portal.said.permission") if services.take_permission_back(case, _number()) else ""


@_verb("reponse", "answer")
def permission(case: Case) -> str:
    """Yes, no or their own way to a question about one organization, below the very text that was shown."""
    answered = request.form.get("answer", "")
    if answered == "yes" and request.form.get("mark") != mark():
        return text("referrals.ask.changed")
    if answered not in {"yes", "no", "self"}:
        return ""
    if not services.answer_question(case, _number(), answered, language()):
        return text("portal.said.answered_before")
    return text(f"portal.said.answered_{answered}")


@_verb("choix", "choice")
def take_consent_back(case: Case) -> str:
    return text("portal.said.consent") if services.take_consent_back(case, _number()) else ""


@_verb("retirer", "withdraw")
def withdraw(case: Case) -> str:
    if not request.form.get("sure"):
        return text("portal.said.tick")
    services.withdraw_request(case)
    return text("portal.said.withdrawn")


@_verb("appel", "call-me")
def call_me(case: Case) -> str:
    services.call(case)
    return text("portal.said.call")


@_verb("annuler-echange", "cancel-talk")
def cancel_talk(case: Case) -> str:
    talk = _talk(case, _number())
    if talk is None:
        return ""
    if not talks.may_still_change(talk):
        raise RefusedError(text("talks.refusal.too_late", phone=programme().phone))
    talks.cancel_by_person(talk, case)
    return text("portal.said.cancelled")


def _talk(case: Case, number: int) -> Talk | None:
    return next((talk for talk in talks.coming(case) if talk.id == number), None)


@in_both_languages(bp, "/fr/mon-dossier/ma-copie", "/en/my-file/my-copy")
@by_link
def readable_copy(lang: str) -> str | Response:
    """The same as the JSON copy, to read and to print."""
    case = case_here()
    if case is None:
        return lost_page()
    return render_template(
        "portal/copy.html",
        case=case,
        today=clock.today(),
        answers=services.answers_in_words(case),
        copy=services.copy_of(case),
        thread=thread(case, None),
        corrections=corrections.of_case(case, None),
        documents=files.of_case(case.id),
        referrals=services.referrals_of(case),
        shared_words=_shared_words,
        consents=services.consents_of(case, withdrawn=True),
        talks=[(talk, talks.when(talk, lang)) for talk in services.talks_of(case)],
    )


@in_both_languages(bp, "/fr/mon-dossier/copie", "/en/my-file/copy")
@by_link
def copy(lang: str) -> Response:
    """Everything collected from the person, as JSON, to keep or to take elsewhere."""
    del lang
    case = case_here()
    if case is None:
        return lost_page()
    body = json.dumps(services.copy_of(case), ensure_ascii=False, indent=2)
    response = Response(body, content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{case.reference}.json"'
    return response


# --- documents -------------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/mon-dossier/document", "/en/my-file/document")
@by_link
def document(lang: str) -> BaseResponse:
    """One of their own documents, to save."""
    del lang
    case = case_here()
    if case is None:
        return lost_page()
    number = request.args.get("number", "")
    known = number.isascii() and number.isdigit() and len(number) < 10
    row = files.one_of_case(case.id, int(number)) if known else None
    return documents.given(row, text("portal.documents.gone", phone=programme().phone))


@in_both_languages(bp, "/fr/mon-dossier/documents", "/en/my-file/documents", ("POST",))
@takes_files
@by_link
def add_documents(lang: str) -> BaseResponse:
    """Documents that the person adds while the file is open; the team is told, once for all of them."""
    if case_here() is None:
        return lost_page()
    checked, refused = documents.sent_files()
    case = case_here(lock=True)
    if case is None:
        return lost_page()
    if case.stage is Stage.CLOSED or not programme().asks_files:
        raise RefusedError(text("portal.documents.not_now"))
    refused += services.add_documents(case, checked)
    db.session.commit()
    if refused or not checked:
        errors = documents.words_of(refused) or [("#documents", text("portal.documents.choose"))]
        return make_response(_page(case, _blank_form(), errors), 422)
    flash(text("portal.documents.said"))
    return redirect(url_for("portal.page", lang=lang), 303)


# --- a time to talk --------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/mon-dossier/moments", "/en/my-file/times")
@by_link
def times(lang: str) -> str | BaseResponse:
    """Times that are free now, by day; to move a talk when one is booked."""
    del lang
    case = case_here()
    if case is None:
        return lost_page()
    return redirect(url_for("portal.page", lang=language())) if case.stage is Stage.CLOSED else _times(case)


def _times(case: Case, refused: str = "", chosen_mode: str = "") -> str:
    moving = _moved(case)
    modes = [moving.mode] if moving else hours.modes_offered(case)
    wanted = (chosen_mode, request.args.get("mode"), str(case.contact.mode))
    mode = next((one for asked in wanted for one in modes if one == asked), modes[0] if modes else None)
    found = hours.offers(case, mode, moving=moving) if mode else []
    days: dict[Any, list[hours.Offer]] = {}
    for offer in found:
        if moving is None or offer.starts_at != moving.starts_at:
            days.setdefault(clock.local_date(offer.starts_at), []).append(offer)
    return render_template(
        "portal/times.html",
        case=case,
        days=list(days.items())[:10],
        modes=modes,
        mode=mode,
        moving=moving,
        about=_about(moving),
        when=talks.when(moving, language()) if moving else "",
        refused=refused,
    )


@in_both_languages(bp, "/fr/mon-dossier/moments", "/en/my-file/times", ("POST",))
@by_link
def choose_time(lang: str) -> BaseResponse:
    """Book the chosen time, or move the talk to it. Of fifty who press at once one has it; the others are offered other times."""
    case = case_here(lock=True)
    if case is None:
        return lost_page()
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("portal.turn.nobody"))
    mode = next((one for one in Mode if one == request.form.get("mode")), None)
    starts_at = _instant(request.form.get("start", ""))
    if starts_at is None or mode is None:
        return make_response(_times(case, text("portal.times.choose"), mode or ""), 422)
    moving = _moved(case)
    if moving is not None and moving.starts_at == starts_at:  # pressed twice: it is theirs already
        return redirect(url_for("portal.page", lang=lang), 303)
    if request.form.get("about", "") != _about(moving):
        return make_response(_times(case, text("portal.times.changed"), mode), 409)
    if moving is not None and not talks.may_still_change(moving):
        raise RefusedError(text("talks.refusal.too_late", phone=programme().phone))
    if not _take(case, moving, starts_at, moving.mode if moving else mode):
        db.session.rollback()
        case = case_here()
        if case is None:
            return lost_page()
        return make_response(_times(case, text("portal.times.taken"), mode), 409)
    db.session.commit()
    flash(text("portal.said.booked"))
    return redirect(url_for("portal.page", lang=lang), 303)


def _moved(case: Case) -> Talk | None:
    """The talk that is being moved: the one named in the address or the form, or the next one."""
    coming = talks.coming(case)
    wanted = request.values.get("talk", "") or request.form.get("about", "").partition(".")[0]
    return next((talk for talk in coming if str(talk.id) == wanted), next(iter(coming), None))


def _about(talk: Talk | None) -> str:
    """Which talk, as it stood when the times were shown: a later change is told rather than overwritten."""
    return f"{talk.id}.{talk.sequence}" if talk else ""


def _take(case: Case, moving: Talk | None, starts_at: datetime, mode: Mode) -> bool:
    """Try the advisers who are free then, one after the other; False when none is any more."""
    offers = hours.offers(case, mode, moving=moving)
    offer = next((one for one in offers if one.starts_at == starts_at), None)
    for adviser_id in offer.advisers if offer else ():
        rules = db.session.get_one(TalkRules, adviser_id)
        try:
            with db.session.begin_nested():
                if moving is not None:
                    talks.move(moving, case, starts_at=starts_at, minutes=moving.minutes, buffer=rules.buffer)
                else:
                    talks.book(
                        case,
                        adviser=db.session.get_one(Staff, adviser_id),
                        starts_at=starts_at,
                        minutes=rules.minutes,
                        mode=mode,
                        actor=None,
                        buffer=rules.buffer,
                    )
        except talks.TakenError:
            continue
        return True
    return False


def _instant(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


# --- a lost link -----------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/mon-dossier/lien", "/en/my-file/link", ("POST",))
@public
def send_again(lang: str) -> BaseResponse:
    """Mail the link again to the address on file; the answer is the same whether or not there is one."""
    form = AddressForm(request.form)
    if not form.validate():
        return make_response(render_template("portal/lost.html", form=form, dead=False), 422)
    address = form.address
    if too_often("case-link", client_network(), limit=10, seconds=3600):
        raise TooManyRequests
    if not too_often("case-link-to", address.lower(), limit=3, seconds=6 * 3600):
        services.send_link_again(address)
        db.session.commit()
    flash(text("portal.lost.done", address=address))
    return redirect(url_for("portal.page", lang=lang), 303)


# --- staff -----------------------------------------------------------------------------------------------------------


@staff_bp.post("")
@case_team
def issue_link(reference: str) -> BaseResponse:
    """A new link for the person: mailed to the address on file, or shown once to be read or printed for them."""
    case = case_or_404(reference, lock=True)
    link = services.new_link(case, me())
    shown = "" if case.contact.email else address_of_page(case.language, token_of(link))
    db.session.commit()
    if not shown:
        flash(
            gettext("A new link is on its way to %(address)s. Earlier ones no longer work.", address=case.contact.email)
        )
        return redirect(url_for("cases.page", reference=case.reference), 303)
    return error_page(
        200,
        gettext("The person’s page"),
        gettext("Give this address to the person, on paper or aloud. It is shown once; earlier ones no longer work."),
        shown,
    )
