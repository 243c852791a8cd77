"""The tray of received e-mails, those on files and those set aside."""

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response
from wtforms.validators import StopValidation

from crm import forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.cases.queries import find
from crm.db import db
from crm.forms import Chosen, Filled
from crm.i18n import gettext, lazy
from crm.mailbox import services
from crm.mailbox.models import ReceivedMail, State
from crm.mailbox.queries import received
from crm.outbox.services import settings
from crm.paging import read_key, write_key
from crm.texts import choices, text

bp = Blueprint("mailbox", __name__, url_prefix="/staff/mailbox")
PAGE = 50


class FileForm(forms.Form):
    """Where an e-mail belongs, and whose words it holds."""

    reference = wtforms.StringField(
        lazy("Reference of the file"),
        [Filled(lazy("Write the reference of the file"))],
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    words = forms.Radio(lazy("What this email is"), [Chosen(lazy("Say what this email is"))])

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.words.choices = choices("mailbox.as")

    def validate_reference(self, field: wtforms.Field) -> None:
        if find(field.data.strip(), me()) is None:
            raise StopValidation(text("mailbox.refusal.unknown_file"))


@bp.get("")
@case_team
def tray() -> str:
    """The e-mails of one state, the newest first; or those of one file."""
    reference = request.args.get("file", "")
    case = find(reference, me()) if reference else None
    if reference and case is None:
        abort(404)
    shown = next((one for one in State if one == request.args.get("show")), State.TRAY)
    statement = received(me()).order_by(ReceivedMail.id.desc()).limit(PAGE + 1)
    statement = (
        statement.where(ReceivedMail.case_id == case.id)
        if case is not None
        else statement.where(ReceivedMail.state == shown)
    )
    place = read_key(request.args.get("before", ""), int)
    if place and None not in place:
        statement = statement.where(ReceivedMail.id < place[0])
    rows = db.session.scalars(statement).all()
    before = ""
    if len(rows) > PAGE:
        rows = rows[:PAGE]
        before = url_for("mailbox.tray", show=shown, file=reference or None, before=write_key(rows[-1].id))
    return render_template(
        "mailbox/tray.html", rows=rows, shown=shown, states=State, case=case, before=before, mailbox=settings().mailbox
    )


def _one(number: int, *, lock: bool = False) -> ReceivedMail:
    statement = received(me()).where(ReceivedMail.id == number)
    if lock:
        db.session.scalar(select(ReceivedMail.id).where(ReceivedMail.id == number).with_for_update())
    found = db.session.scalar(statement)
    if found is None:
        abort(404)
    return found


def _page(row: ReceivedMail, form: FileForm, status: int = 200) -> Response:
    return make_response(render_template("mailbox/mail.html", mail=row, form=form), status)


@bp.get("/<int:number>")
@case_team
def mail(number: int) -> Response:
    """All of an e-mail, and where it may be put."""
    row = _one(number)
    return _page(row, FileForm(data={"reference": row.suggested.reference if row.suggested else ""}))


@bp.post("/<int:number>/file")
@case_team
def put_on_file(number: int) -> Response:
    row = _one(number, lock=True)
    services.check_in_tray(row)
    form = FileForm(request.form)
    if not form.validate():
        return _page(row, form, 422)
    case = find(form.reference.data.strip(), me(), lock=True)
    if case is None:
        abort(404)
    case = services.file_by_hand(row, case, me(), as_person=form.words.data == "person")
    db.session.commit()
    flash(gettext("The email is on the file."))
    return redirect(url_for("cases.page", reference=case.reference), 303)


@bp.post("/<int:number>/aside")
@case_team
def put_aside(number: int) -> Response:
    row = _one(number, lock=True)
    services.set_aside(row, me())
    db.session.commit()
    flash(gettext("The email is set aside and will be destroyed in 30 days."))
    return redirect(url_for("mailbox.tray"), 303)


@bp.post("/<int:number>/back")
@case_team
def take_back(number: int) -> Response:
    row = _one(number, lock=True)
    services.take_back(row)
    db.session.commit()
    return redirect(url_for("mailbox.mail", number=number), 303)
