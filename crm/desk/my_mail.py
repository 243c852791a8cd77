"""Which mail somebody of the team wants of the product."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from crm.access import case_team
from crm.accounts.choices import choose, chosen, parts
from crm.accounts.feature import me
from crm.db import db
from crm.i18n import gettext
from crm.outbox.queries import mail_trouble

bp = Blueprint("my_mail", __name__, url_prefix="/staff/my-mail")


@bp.get("")
@case_team
def page() -> str:
    return render_template("desk/my_mail.html", parts=parts(me()), chosen=chosen(me()), trouble=mail_trouble())


@bp.post("")
@case_team
def keep() -> Response:
    """Ticked boxes are named "at_once" and "in_digest", with the kind as their value; others are nobody's."""
    at_once, in_digest = set(request.form.getlist("at_once")), set(request.form.getlist("in_digest"))
    for part in parts(me()):
        choose(me(), part.kind, at_once=part.kind in at_once, in_digest=part.kind in in_digest)
    db.session.commit()
    flash(gettext("Your choices are kept."))
    return redirect(url_for("my_mail.page"), 303)
