"""The ledger of mail: messages about files this person may see, and those about none."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import aliased
from werkzeug.wrappers import Response

from crm.access import COORDINATING, case_team, coordinators
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import find, visible
from crm.db import db
from crm.i18n import gettext, lazy
from crm.outbox.models import DROPPED, IN_TROUBLE, WAITING, Message, Status
from crm.outbox.queries import mail_trouble, pause
from crm.outbox.services import end_pause, send_again, settle
from crm.paging import read_key, write_key

bp = Blueprint("outbox", __name__, url_prefix="/staff/mail")
PAGE = 50
SHOWN: dict[str, Any] = {
    "trouble": lazy("Needs attention"),
    "waiting": lazy("To be sent"),
    "sent": lazy("Sent messages"),
    "dropped": lazy("Cancelled messages"),
}


def _mine() -> ColumnElement[bool]:
    """Of a file: who may see it. Of none: everybody, but a colleague's own mail only coordinators, who do not read its text."""
    of_a_file = and_(Message.case_id.is_not(None), visible(me()))
    of_none: ColumnElement[bool] = Message.case_id.is_(None)
    if me().role not in COORDINATING:
        of_none = and_(of_none, or_(Message.staff_id.is_(None), Message.staff_id == me().id))
    return or_(of_none, of_a_file)


def may_read(message: Message) -> bool:
    """Whether the text is this person's to read: a colleague's own mail names files that only the colleague may see."""
    return message.case_id is not None or message.staff_id in {None, me().id}


def _which(shown: str) -> ColumnElement[bool]:
    """Which messages a list holds. The few among all are named by their numbers, which their own indexes give: in the order of the list, the
    whole ledger would be walked for them.
    """
    waiting, in_trouble = select(Message.id).where(WAITING), select(Message.id).where(IN_TROUBLE)
    return {
        "trouble": Message.id.in_(waiting.where(Message.last_error.is_not(None)).union_all(in_trouble)),
        "waiting": Message.id.in_(waiting),
        "sent": Message.status == Status.SENT,
        "dropped": DROPPED,
    }[shown]


@bp.get("")
@case_team
def ledger() -> str:
    """One of SHOWN, the newest first, of all files or of one."""
    shown = request.args.get("show", "")
    reference = request.args.get("file", "")
    case = find(reference, me()) if reference else None
    if reference and case is None:
        abort(404)
    statement = _readable().order_by(Message.id.desc()).limit(PAGE + 1)
    if case is not None:
        statement = statement.where(Message.case_id == case.id)
    if shown not in SHOWN:
        shown = "" if case is not None else "trouble"
    if shown:
        statement = statement.where(_which(shown))
    place = read_key(request.args.get("before", ""), int)
    if place and None not in place:
        statement = statement.where(Message.id < place[0])
    rows = db.session.execute(statement).all()
    before = ""
    if len(rows) > PAGE:
        rows = rows[:PAGE]
        last = write_key(rows[-1].Message.id)
        before = url_for("outbox.ledger", show=shown or None, file=reference or None, before=last)
    return render_template(
        "outbox/ledger.html",
        rows=rows,
        shown=shown,
        views=SHOWN,
        case=case,
        before=before,
        pause=pause(),
        trouble=mail_trouble(),
    )


def _readable() -> Select[Message, str]:
    """Messages this person may know of, each with the reference of its file."""
    return select(Message, Case.reference).outerjoin(Case, Case.id == Message.case_id).where(_mine())


def _one(message_id: int, *, lock: bool = False) -> Message:
    statement = _readable().where(Message.id == message_id)
    row = db.session.execute(statement.with_for_update(of=Message) if lock else statement).one_or_none()
    if row is None:
        abort(404)
    found: Message = row.Message
    return found


@bp.get("/<int:message_id>")
@case_team
def message(message_id: int) -> str:
    """All that is known of one message, and its text as it left."""
    found = _one(message_id)
    copies = aliased(Message)
    first = found.again_of_id or found.id
    others = db.session.scalars(
        select(copies)
        .where(or_(copies.again_of_id == first, copies.id == first), copies.id != found.id)
        .order_by(copies.id)
    ).all()
    people = {one for one in (found.again_by_id, found.settled_by_id) if one}
    names = {row.id: row.name for row in db.session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(people)))}
    return render_template(
        "outbox/message.html",
        message=found,
        case=db.session.get(Case, found.case_id) if found.case_id else None,
        others=others,
        names=names,
        readable=may_read(found),
        trouble=mail_trouble(),
    )


@bp.post("/<int:message_id>/send-again")
@coordinators
def resend(message_id: int) -> Response:
    again = send_again(_one(message_id, lock=True), me().id)
    db.session.commit()
    if again.status is Status.QUEUED:
        flash(gettext("The message will leave within a minute."))
    else:
        flash(gettext("What this message says is no longer true: it will not be sent again."))
    return redirect(url_for("outbox.message", message_id=again.id), 303)


@bp.post("/<int:message_id>/settle")
@coordinators
def settled(message_id: int) -> Response:
    settle(_one(message_id, lock=True), me().id)
    db.session.commit()
    flash(gettext("Noted as seen to."))
    return redirect(url_for("outbox.ledger"), 303)


@bp.post("/try-now")
@coordinators
def try_now() -> Response:
    end_pause()
    db.session.commit()
    flash(gettext("The mail server will be tried within a minute."))
    return redirect(url_for("outbox.ledger"), 303)
