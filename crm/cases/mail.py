"""The page of mail that did not leave: messages about files this person may see, and those about none."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from sqlalchemy import ColumnElement, or_, select
from werkzeug.wrappers import Response

from crm.access import case_team, coordinators
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import db
from crm.i18n import gettext
from crm.outbox.models import WAITING, Message, Status
from crm.outbox.services import send_again

bp = Blueprint("outbox", __name__, url_prefix="/staff/mail")
MOST = 100


def _mine() -> ColumnElement[bool]:
    return or_(Message.case_id.is_(None), visible(me()))


@bp.get("")
@case_team
def ledger() -> str:
    waiting = select(Message.id).where(WAITING, Message.last_error.is_not(None))
    failed = select(Message.id).where(Message.status == Status.FAILED)
    statement = (
        select(Message)
        .outerjoin(Case, Case.id == Message.case_id)
        .where(Message.id.in_(waiting.union_all(failed)), _mine())
        .order_by(Message.id.desc())
        .limit(MOST)
    )
    return render_template("outbox/ledger.html", messages=db.session.scalars(statement).all())


@bp.post("/<int:message_id>/send-again")
@coordinators
def resend(message_id: int) -> Response:
    statement = select(Message).outerjoin(Case, Case.id == Message.case_id).where(Message.id == message_id, _mine())
    message = db.session.scalar(statement)
    if message is None:
        abort(404)
    send_again(message)
    db.session.commit()
    flash(gettext("The message will leave within a minute."))
    return redirect(url_for("outbox.ledger"), 303)
