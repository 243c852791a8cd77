"""Referring a file, and what staff do with a referral: what they hear of it is written down here."""

from typing import Any

from flask import (
    Blueprint,
    abort,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.views import case_or_404
from crm.db import db
from crm.i18n import gettext, language, speaking
from crm.partners.models import Body, Programme
from crm.partners.queries import directory, programme_by_code
from crm.permissions import rules as permission_rules
from crm.permissions.models import How, Permission
from crm.permissions.services import wording
from crm.referrals import answers, queries, services
from crm.referrals.forms import AnswerForm, EndForm, NextForm, ReferForm, ReplyForm
from crm.referrals.models import Referral
from crm.referrals.outcomes import Action, Actor, DeclineReason, Status, after
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


def load(case: Case, _staff: Staff) -> dict[str, Any]:
    """The panel of the case page."""
    return {"may_refer": case.stage in services.MAY_REFER_FROM}


@bp.get("/staff/cases/<reference>/refer")
@case_team
def refer(reference: str) -> str:
    case = case_or_404(reference)
    bodies = directory()
    default = {"fields": DEFAULT_FIELDS, "expires_on": (clock.today() + permission_rules.LONGEST).isoformat()}
    programme = programme_by_code(request.args.get("programme", ""))
    if programme is not None and programme.active:
        default |= {"programme": programme.code, "purpose": _after_for(programme.name(case.language))}
    to = next((str(body.id) for body in bodies if body.code == request.args.get("to")), "")
    form = ReferForm(bodies=bodies, data=default | {"body": to})
    return _refer_page(case, form, bodies)


def _refer_page(case: Case, form: ReferForm, bodies: list[Body], script: str = "") -> str:
    if not script:
        with speaking(case.language):
            script = text("permissions.script", body="…", list="…", purpose="…", date="…")
    body = next((body for body in bodies if str(body.id) == form.body.data), None)
    return render_template(
        "referrals/refer.html",
        case=case,
        form=form,
        script=script,
        body=body,
        usual_days=queries.usual_days([body.id]).get(body.id) if body else None,
        refusals=[one for one in queries.refusals_of(case) if body is None or one.body_id == body.id],
    )


def _after_for(name: str) -> str:
    """A name as it follows "for": without its capital, but for that of an acronym."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def _programme_of(form: ReferForm, body: Body) -> Programme | None:
    """The programme that was thought of, when this body gives it or is its door."""
    found = programme_by_code(form.programme.data or "")
    return found if found is not None and found.body_id in {body.id, body.part_of_id} else None


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
    asked: dict[str, Any] = {
        "purpose": form.purpose.data,
        "fields": form.fields.data,
        "expires_on": form.expires_on.day or clock.today(),
        "actor": me(),
        "programme": _programme_of(form, form.chosen(bodies)),
    }
    if form.answer.data == "ask":
        services.ask_permission(case, form.chosen(bodies), **asked, sends_itself=form.sends_itself.data)
        db.session.commit()
        flash(
            gettext(
                "The question is going out by email and is on the person’s page. Nothing is shared before they say yes."
            )
        )
        return redirect(url_for("cases.page", reference=case.reference), 303)
    how = None if form.answer.data == "self" else How(form.answer.data)
    referral = services.prepare(case, form.chosen(bodies), **asked, how=how)
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
        fields=services.in_order(form.fields.data),
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
    return _preview(case, _referral_or_404(case, number))


def _preview(case: Case, referral: Referral, **forms_with_errors: Any) -> str:
    fields = referral.permission.fields if referral.permission else referral.asked_fields or []
    return render_template(
        "referrals/preview.html",
        case=case,
        referral=referral,
        shared=referral.shared if referral.sent_at else services.values_now(case, fields),
        question=services.question_of(referral, referral.body, case.language) if referral.asked_until else "",
        may={action.value: after(referral.status, action, Actor.STAFF) is not None for action in Action},
        may_correct=answers.correctable(referral, by_staff=True),
        next_mark=answers.mark_of(referral.next_note, referral.next_on),
        question_mark=answers.mark_of(referral.question),
        answers_of_person=[*_said_otherwise(), ("no", text("referrals.says_no"))],
        answer_form=forms_with_errors.get("answer_form") or AnswerForm(),
        end_form=forms_with_errors.get("end_form") or EndForm(by_staff=True),
        next_form=forms_with_errors.get("next_form") or next_form_of(referral),
        reply_form=forms_with_errors.get("reply_form") or ReplyForm(),
        form=next(iter(forms_with_errors.values()), None),
    )


def _said_otherwise() -> list[tuple[str, str]]:
    """What the person may have answered, other than by pressing a button of ours."""
    return [pair for pair in choices("referrals.answer") if pair[0] != "ask"]


def next_form_of(referral: Referral) -> NextForm:
    """The form of what comes next, as it was said last."""
    on = referral.next_on.isoformat() if referral.next_on else ""
    return NextForm(data={"next_note": referral.next_note, "next_on": on})


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


@bp.post("/staff/cases/<reference>/referrals/<int:number>/permission")
@case_team
def note_permission(reference: str, number: int) -> BaseResponse:
    """A colleague writes down what the person answered to the question."""
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    answer = request.form.get("answer", "")
    if answer in {How.VERBAL, How.PAPER}:
        services.allow(referral, case, how=How(answer), language=case.language, actor=me())
        flash(gettext("The permission is recorded."))
    elif answer == "no":
        services.refuse(referral, case, me())
        flash(gettext("Noted: the person says no. Nothing was shared."))
    elif answer == "self":
        services.go_alone(referral, case, me())
        flash(gettext("Noted: the person contacts the organization themselves. Nothing was shared."))
    else:
        flash(gettext("Say what the person answered"))
    db.session.commit()
    return redirect(url_for("referrals.preview", reference=case.reference, number=number), 303)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/answer")
@case_team
def answer_for(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    """A colleague writes down what the body answered by telephone or in person."""
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    services.check_may(referral, Action.ACCEPT, Actor.STAFF)
    form = AnswerForm(request.form)
    if not form.validate():
        return _preview(case, referral, answer_form=form), 422
    save_answer(referral, form, me())
    return _noted(case, number)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/end")
@case_team
def end_for(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    """A colleague writes down what came of it."""
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    services.check_may(referral, Action.COMPLETE, Actor.STAFF)
    form = EndForm(request.form, by_staff=True)
    if not form.validate():
        return _preview(case, referral, end_form=form), 422
    save_end(referral, form, me())
    return _noted(case, number)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/next")
@case_team
def next_for(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    """A colleague writes down what the body does next."""
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    form = NextForm(request.form)
    if not form.validate():
        return _preview(case, referral, next_form=form), 422
    answers.say_next(referral, form.then(), staff=me(), seen=request.form.get("seen", ""))
    return _noted(case, number)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/reply")
@case_team
def reply(reference: str, number: int) -> BaseResponse | tuple[str, int]:
    """The team answers what the body asked for."""
    case = case_or_404(reference, lock=True)
    referral = _referral_or_404(case, number)
    services.check_may(referral, Action.REPLY, Actor.STAFF)
    form = ReplyForm(request.form)
    if not form.validate():
        return _preview(case, referral, reply_form=form), 422
    answers.reply(referral, form.words.data or "", me(), seen=request.form.get("seen", ""))
    db.session.commit()
    flash(gettext("Your answer is on its way to %(body)s.", body=referral.body.short(language())))
    return redirect(url_for("cases.page", reference=case.reference), 303)


@bp.post("/staff/cases/<reference>/referrals/<int:number>/correct")
@case_team
def correct_for(reference: str, number: int) -> BaseResponse:
    """The last answer was a mistake, also where a colleague had written it down."""
    case = case_or_404(reference, lock=True)
    answers.correct(_referral_or_404(case, number), request.form.get("was", ""), staff=me())
    return _noted(case, number)


def _noted(case: Case, number: int) -> BaseResponse:
    db.session.commit()
    flash(gettext("Noted."))
    return redirect(url_for("referrals.preview", reference=case.reference, number=number), 303)


def save_answer(referral: Referral, form: AnswerForm, staff: Staff | None) -> None:
    """What a valid form says, by the body or for it. Raises RefusedError when it may not be any more."""
    note = form.note.data or ""
    match form.answer.data:
        case "accept":
            answers.accept(referral, note, then=form.then(), staff=staff)
        case "decline":
            answers.decline(referral, DeclineReason(form.reason.data), note, staff=staff)
        case _:
            answers.ask(referral, note, staff=staff)


def save_end(referral: Referral, form: EndForm, staff: Staff | None) -> None:
    """What a valid form says of what came of it, by the body or for it. Raises RefusedError when it may not be any more."""
    if form.stopped_by is not None:
        answers.interrupt(referral, form.stopped_by, form.note.data or "", staff=staff)
    else:
        answers.complete(referral, form.ended(), staff=staff)
