"""Taking a list of files out of the product: asked with a reason and one's password, kept in a log, then fetched."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from typing import IO

import wtforms
from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from sqlalchemy import select, update
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.access import COORDINATING, case_team, coordinators
from crm.accounts import again
from crm.accounts.feature import me
from crm.cases import saved
from crm.cases.listing import count
from crm.cases.queue_views import address_of, said_of
from crm.db import db, writing
from crm.errors import page as error_page
from crm.exports.models import Export
from crm.exports.rows import chosen, rows_of
from crm.forms import AtMost, Chosen, Filled
from crm.i18n import gettext, language, lazy
from crm.sheets import Value, write_csv, write_xlsx

bp = Blueprint("exports", __name__, url_prefix="/staff/exports")
MOST_OF_AN_ADVISER = 200
FETCHED_WITHIN = timedelta(minutes=15)
LISTED = 200
TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ExportForm(forms.Form):
    """`list` is the list, as an address writes it."""

    ids = "export-"

    list = wtforms.HiddenField()
    kind = forms.Radio(lazy("What kind of file"), [Chosen(lazy("Choose the kind of file"))], default="xlsx")
    columns = forms.Radio(lazy("Which columns"), [Chosen(lazy("Choose the columns"))], default="list")
    reason = wtforms.StringField(
        lazy("What is it for?"),
        [Filled(lazy("Say what it is for")), AtMost(300)],
        description=lazy("Kept in the log of exports, which coordinators read."),
        render_kw={"autocomplete": "off"},
    )
    password = wtforms.PasswordField(
        lazy("Your password"),
        [Filled(lazy("Enter your password"))],
        description=lazy("Asked again because the file leaves the product with people’s facts in it."),
        render_kw={"autocomplete": "current-password"},
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [("xlsx", gettext("Workbook (XLSX)")), ("csv", gettext("Text with separators (CSV)"))]
        self.columns.choices = [
            ("list", gettext("Those of the list")),
            ("all", gettext("Everything, with how to reach people and what they wrote")),
        ]


def _may_take(rows: int) -> bool:
    """Source: security reference, section 4. Advisers take out short lists only."""
    return me().role in COORDINATING or rows <= MOST_OF_AN_ADVISER


def _page(form: ExportForm, status: int = 200) -> Response:
    wanted, look = saved.read(form.list.data or "")
    number = count(me(), wanted, MOST_OF_AN_ADVISER + 1)
    body = render_template(
        "exports/ask.html",
        form=form,
        said=said_of(wanted, look),
        number=number,
        most=MOST_OF_AN_ADVISER + 1,
        may=_may_take(number),
        back=address_of(wanted, look),
    )
    return make_response(body, status)


@bp.get("")
@case_team
def ask() -> Response:
    return _page(ExportForm(data={"list": saved.canonical(request.args.get("list", ""))}))


@bp.post("")
@case_team
def take() -> BaseResponse:
    """Note who takes what and why; the file itself is fetched from an address of its own, so that a line that breaks can be tried again."""
    form = ExportForm(request.form)
    typed = form.list.data or ""
    form.list.data = saved.canonical(typed)
    if not form.validate():
        return _page(form, 422)
    if status := again.refusal(form.password, "export"):
        return _page(form, status)
    wanted, look = saved.read_whole(typed)
    if not _may_take(count(me(), wanted, MOST_OF_AN_ADVISER + 1)):
        return _page(form, 409)
    export = Export(
        staff_id=me().id,
        at=clock.now(),
        query=form.list.data,
        kind=form.kind.data,
        everything=form.columns.data == "all",
        said=" · ".join(said_of(wanted, look)),
        reason=form.reason.data,
    )
    db.session.add(export)
    db.session.commit()
    return redirect(url_for("exports.ready", number=export.id), 303)


def _mine_or_404(number: int) -> Export:
    export = db.session.get(Export, number)
    if export is None or export.staff_id != me().id:
        abort(404)
    return export


@bp.get("/<int:number>")
@case_team
def ready(number: int) -> str:
    """The file is one press away."""
    export = _mine_or_404(number)
    wanted, look = saved.read(export.query)
    late = clock.now() - export.at > FETCHED_WITHIN
    return render_template("exports/ready.html", export=export, late=late, back=address_of(wanted, look))


@bp.get("/<int:number>/file")
@case_team
def fetch(number: int) -> BaseResponse:
    """The list as it is now, of the files that this person may see now."""
    export = _mine_or_404(number)
    if clock.now() - export.at > FETCHED_WITHIN:
        return error_page(410, gettext("This export is no longer here"), gettext("Ask for it again from the list."))
    wanted, look = saved.read_whole(export.query)
    if not _may_take(count(me(), wanted, MOST_OF_AN_ADVISER + 1)):  # the list may have grown since
        return error_page(409, gettext("Too many files"), gettext("Narrow the list, then ask for it again."))
    rows = rows_of(me(), wanted, look, chosen(look, everything=export.everything))
    # Written whole before the first byte leaves: the reader gets all of it or a page that says why not, and holds nothing of the database.
    file, taken = _written(rows, export.kind)
    _note(number, taken)
    called = gettext("files")
    name = f"{called}-{clock.today().isoformat()}.{export.kind}"
    return send_file(file, TYPES[export.kind], as_attachment=True, download_name=name, max_age=0)


def _written(rows: Iterator[list[Value]], kind: str) -> tuple[IO[bytes], int]:
    """A file of its own that nobody else can open, gone when it is closed, and how many files of ours it holds."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it was sent
    if kind == "xlsx":
        taken = write_xlsx(file, gettext("Files"), rows)
    else:
        taken = write_csv(file, rows, ";" if language() == "fr" else ",")
    file.seek(0)
    return file, taken


def _note(number: int, taken: int) -> None:
    """How many files left, once they all did."""
    with writing():
        db.session.execute(update(Export).where(Export.id == number).values(rows=taken))
        db.session.commit()


@bp.get("/log")
@coordinators
def log() -> str:
    """Who took what out, and why."""
    rows = db.session.scalars(select(Export).order_by(Export.id.desc()).limit(LISTED)).all()
    return render_template("exports/log.html", rows=rows)
