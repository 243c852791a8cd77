"""What the team writes to the person: one page that says who receives it, in which language, and what was written before."""

import wtforms
from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.forms import AtMost, DateField, Filled
from crm.i18n import gettext, lazy, speaking
from crm.portal import stock
from crm.portal.bulk import facts_of
from crm.portal.conversation import answer_person, may_write, thread, was_written
from crm.portal.services import key_of, new_form_key
from crm.reminders.forms import DueDay
from crm.reminders.services import chase
from crm.texts import text

bp = Blueprint("messages", __name__, url_prefix="/staff/cases/<reference>/message")


class MessageForm(forms.Form):
    """What the team writes to the person. `come_from` is the list to go back to."""

    form_key = wtforms.HiddenField()
    come_from = wtforms.HiddenField()
    body = wtforms.TextAreaField(
        lazy("Message"), [Filled(lazy("Write the message")), AtMost()], render_kw={"rows": "10", "autofocus": True}
    )
    chase_on = DateField(
        lazy("If you expect an answer: get back to the person on"),
        [DueDay()],
        render_kw={"type": "date", "optional": True},
        description=lazy("Until then it is the person’s turn. You get a follow-up that day."),
    )


@bp.get("")
@case_team
def compose(reference: str) -> str:
    """A message to the person: who receives it, in which language, and what was written before."""
    case = case_or_404(reference)
    may_write(case)
    form = MessageForm(
        data={"form_key": new_form_key(), "come_from": request.args.get("from"), "body": _greeting(case)}
    )
    return _compose(case, form)


def _greeting(case: Case) -> str:
    """How a message begins, in the person's language."""
    with speaking(case.language):
        return text("portal.message.greeting", name=case.contact.name)


def _compose(case: Case, form: MessageForm) -> str:
    return render_template("portal/compose.html", case=case, form=form, thread=thread(case, 10), kept=stock.offered())


def _with_kept(case: Case, form: MessageForm) -> BaseResponse:
    """The same form with a message that the team keeps put into it; nothing is sent."""
    template = stock.find(request.form.get("template"))
    if template is not None:
        body, facts = form.body.data or "", facts_of(case, me())
        form.body.data = stock.put_in(case, body, _greeting(case), template, facts)
    return make_response(_compose(case, form))


@bp.post("")
@case_team
def send_message(reference: str) -> BaseResponse:
    """Send it, once however often it is pressed; a request that nobody took is the sender's from now on."""
    case = case_or_404(reference, lock=True)
    form = MessageForm(request.form)
    if "put_in" in request.form:
        return _with_kept(case, form)
    valid = form.validate()
    if valid and form.body.data == _greeting(case):
        form.body.errors = [gettext("Write the message")]
        valid = False
    if not valid:
        return make_response(_compose(case, form), 422)
    key = key_of(form.form_key.data or "", form.body.data)
    try:
        answer_person(case, form.body.data, key, me())
        if form.chase_on.day and case.stage is not Stage.CLOSED:
            chase(case, form.chase_on.day)
        db.session.commit()
    except IntegrityError:  # pressed twice: the first one is on its way
        db.session.rollback()
        if not was_written(key):
            raise
        case = case_or_404(reference)
    said = (
        gettext("The message is on its way to %(address)s.", address=case.contact.email)
        if case.contact.email
        else gettext(
            "The message is on the person’s page. There is no email address on file: let the person know another way."
        )
    )
    if form.come_from.data == "requests":
        flash(said)
        return redirect(url_for("requests.requests"), 303)
    return back_to(case, said)
