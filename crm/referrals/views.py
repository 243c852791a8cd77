"""Referring a file (staff), and answering one (a person at a body, by link)."""

import re
from typing import Any

import wtforms
from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import by_link, case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.views import case_or_404
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.forms import AtMost, Chosen, DateField, Filled
from crm.i18n import gettext, in_both_languages, language, lazy, speaking
from crm.links import cookies
from crm.links.models import Purpose
from crm.partners.models import Body
from crm.partners.queries import directory
from crm.permissions import rules as permission_rules
from crm.permissions.models import How, Permission
from crm.permissions.services import live, wording
from crm.referrals import queries, services
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason, Status, may_become
from crm.texts import choices, text

bp = Blueprint("referrals", __name__)
DEFAULT_FIELDS = [
    "name",
    "email",
    "phone",
    "project_name",
    "summary",
    "sector",
    "project_stage",
    "legal_form",
    "territory",
    "needs",
]


# --- staff ---------------------------------------------------------------------------------------------------------


class ReferForm(forms.Form):
    body = forms.Pick(lazy("To which organization?"), [Chosen(lazy("Choose an organization"))])
    purpose = wtforms.StringField(
        lazy("For what purpose?"),
        [Filled(lazy("Say what the organization would help with")), AtMost(300)],
        description=lazy("Written to the person and to the organization: for example, “start-up support”."),
    )
    fields = forms.Boxes(lazy("What would be shared"), [Filled(lazy("Tick at least one item"))])
    answer = forms.Radio(lazy("What does the person say?"), [Chosen(lazy("Say what the person answered"))])
    expires_on = DateField(
        lazy("Permission valid until"),
        [Filled(lazy("Choose a date"))],
        render_kw={"type": "date"},
        description=lazy("Six months at most."),
    )

    def __init__(self, *args: Any, bodies: list[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        self.body.choices = [("", gettext("Choose…")), *((str(body.id), body.short(lang)) for body in bodies)]
        self.fields.choices = choices("referrals.field")
        self.answer.choices = choices("referrals.answer")

    def validate_purpose(self, field: wtforms.Field) -> None:
        """What is typed follows "for": the word is not said twice."""
        field.data = re.sub(r"^(pour|for)\s+", "", field.data or "", flags=re.IGNORECASE)

    def chosen(self, bodies: list[Body]) -> Body:
        return next(body for body in bodies if str(body.id) == self.body.data)

    def validate_expires_on(self, field: DateField) -> None:
        if field.day and not permission_rules.may_last_until(field.day, clock.today()):
            raise StopValidation(gettext("Choose a date from today to six months ahead"))


def load(case: Case, _staff: Staff) -> dict[str, Any]:
    """The panel of the case page."""
    return {"may_refer": case.stage in services.MAY_REFER_FROM}


@bp.get("/staff/cases/<reference>/refer")
@case_team
def refer(reference: str) -> str:
    case = case_or_404(reference)
    bodies = directory()
    default = {"fields": DEFAULT_FIELDS, "expires_on": (clock.today() + permission_rules.LONGEST).isoformat()}
    form = ReferForm(bodies=bodies, data=default)
    return _refer_page(case, form, bodies)


def _refer_page(case: Case, form: ReferForm, bodies: list[Body], script: str = "") -> str:
    if not script:
        with speaking(case.language):
            script = text("permissions.script", body="…", list="…", purpose="…", date="…")
    return render_template("referrals/refer.html", case=case, form=form, bodies=bodies, script=script)


@bp.post("/staff/cases/<reference>/refer")
@case_team
def prepare(reference: str) -> BaseResponse | tuple[str, int]:
    case = case_or_404(reference, lock=True)
    bodies = directory()
    form = ReferForm(request.form, bodies=bodies)
    valid = form.validate()
    if "words" in request.form:  # the words to say, before the person has answered: nothing is saved
        form.answer.errors = []
        if any(field.errors for field in form):
            return _refer_page(case, form, bodies), 422
        return _refer_page(case, form, bodies, _words_to_say(case, form, bodies)), 200
    if not valid:
        return _refer_page(case, form, bodies), 422
    referral = services.prepare(
        case,
        form.chosen(bodies),
        purpose=form.purpose.data,
        fields=form.fields.data,
        how=None if form.answer.data == "self" else How(form.answer.data),
        expires_on=form.expires_on.day or clock.today(),
        actor=me(),
    )
    db.session.commit()
    if referral.status is Status.SELF:
        flash(gettext("Noted: the person contacts the organization themselves. Nothing was shared."))
        return redirect(url_for("cases.page", reference=case.reference), 303)
    flash(gettext("The permission is recorded. Nothing has left yet: check, then send."))
    return redirect(url_for("referrals.preview", reference=case.reference, number=referral.id), 303)


def _words_to_say(case: Case, form: ReferForm, bodies: list[Body]) -> str:
    return wording(
        "script",
        language=case.language,
        body=form.chosen(bodies),
        purpose=form.purpose.data,
        fields=[field for field in services.FIELDS if field in form.fields.data],
        expires_on=form.expires_on.day or clock.today(),
    )


def _referral_or_404(case: Case, number: int) -> Referral:
    referral = db.session.scalar(
        select(Referral)
        .where(Referral.id == number, Referral.case_id == case.id)
        .options(joinedload(Referral.body), joinedload(Referral.permission))
    )
    if referral is None:
        abort(404)
    return referral


@bp.get("/staff/cases/<reference>/referrals/<int:number>")
@case_team
def preview(reference: str, number: int) -> str:
    """What would leave, before sending; what left, for ever after."""
    case = case_or_404(reference)
    referral = _referral_or_404(case, number)
    would = services.values_now(case, referral.permission.fields) if referral.permission else []
    script = ""
    if referral.permission:
        script = wording(
            "script",
            language=case.language,
            body=referral.body,
            purpose=referral.purpose,
            fields=referral.permission.fields,
            expires_on=referral.permission.expires_on,
        )
    return render_template(
        "referrals/preview.html",
        case=case,
        referral=referral,
        shared=referral.shared if referral.sent_at else would,
        script=script,
        live=live,
        may_withdraw=may_become(referral.status, Status.WITHDRAWN),
    )


@bp.post("/staff/cases/<reference>/referrals/<int:number>/send")
@case_team
def send(reference: str, number: int) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    services.send(referral, case, me())
    db.session.commit()
    flash(gettext("The referral is on its way to %(body)s.", body=referral.body.short(language())))
    return redirect(url_for("cases.page", reference=case.reference), 303)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/withdraw")
@case_team
def withdraw(reference: str, number: int) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    services.withdraw(_referral_or_404(case, number), case, me())
    db.session.commit()
    flash(gettext("The referral is withdrawn and its link no longer works."))
    return redirect(url_for("cases.page", reference=case.reference), 303)


@bp.post("/staff/cases/<reference>/permissions/<int:number>/withdraw")
@case_team
def withdraw_permission(reference: str, number: int) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    permission = db.session.scalar(select(Permission).where(Permission.id == number, Permission.case_id == case.id))
    if permission is None:
        abort(404)
    services.withdraw_permission(permission, case, me())
    db.session.commit()
    flash(
        gettext(
            "The permission is withdrawn and the link is closed. If the organization had been written to, it is told today."
        )
    )
    return redirect(url_for("cases.page", reference=case.reference), 303)


# --- a person at a body ----------------------------------------------------------------------------------------------


class AnswerForm(forms.Form):
    answer = forms.Radio(lazy("Your answer"), [Chosen(lazy("Choose an answer"))])
    reason = forms.Pick(lazy("If you decline, why?"))
    note = wtforms.TextAreaField(lazy("A word for the team"), [AtMost(2000)], render_kw={"rows": "4", "optional": True})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer.choices = [
            ("accept", gettext("We accept: we will contact the person")),
            ("decline", gettext("We decline")),
        ]
        self.reason.choices = [("", gettext("Choose…")), *choices("referrals.decline_reason")]

    def validate_reason(self, field: wtforms.Field) -> None:
        if self.answer.data == "decline" and not field.data:
            raise StopValidation(gettext("Choose a reason for declining"))


def _neutral(note: str = "") -> Response:
    """The same answer for every link that opens nothing; what the person had typed is given back."""
    return error_page(
        404,
        gettext("This link does not work any more"),
        gettext(
            "It may have expired or been withdrawn. Nothing is lost: write to us or call us, and we will send a new one."
        ),
        *([note] if note else []),
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
    return cookies.keep(redirect(url_for("referrals.answer_page", lang=lang), 303), link)


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
    return render_template("referrals/answer.html", referral=referral, form=AnswerForm())


@in_both_languages(bp, "/fr/mise-en-relation", "/en/referral", ("POST",))
@by_link
def answer(lang: str) -> BaseResponse | tuple[str, int]:
    referral = _referral_of_cookie()
    form = AnswerForm(request.form)
    if referral is None:
        return _neutral(form.note.data or "")
    if request.form.get("about", str(referral.id)) != str(referral.id):
        return error_page(
            409,
            gettext("This cannot be done now"),
            gettext(
                "You opened another referral in the meantime. Open the link of this one again, then send your answer."
            ),
            form.note.data or "",
        )
    if request.form.get("_lang"):
        # The language button of the form: same page, same words typed, nothing decided.
        return make_response(render_template("referrals/answer.html", referral=referral, form=form))
    if not form.validate():
        return render_template("referrals/answer.html", referral=referral, form=form), 422
    note = form.note.data or ""
    try:
        if form.answer.data == "accept":
            services.accept(referral, note)
        else:
            services.decline(referral, DeclineReason(form.reason.data), note)
    except RefusedError as refusal:
        # Somebody at the body answered in the meantime: what this person wrote is given back.
        db.session.rollback()
        return error_page(409, gettext("This cannot be done now"), *refusal.reasons, note)
    db.session.commit()
    return redirect(url_for("referrals.answer_page", lang=lang), 303)
