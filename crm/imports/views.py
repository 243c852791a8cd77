"""Bringing a sheet in, for coordinators: what its columns hold, a rehearsal, the import, and taking all of it back."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import wtforms
from flask import (
    Blueprint,
    abort,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from crm import forms
from crm.access import coordinators
from crm.accounts import again
from crm.accounts.feature import me
from crm.accounts.queries import active_case_team
from crm.cases.queries import visible
from crm.db import db, writing
from crm.duplicates.matching import folded
from crm.errors import RefusedError
from crm.files.kinds import FileRefusal, FileRefusedError, clean_name
from crm.files.services import check
from crm.forms import AtMost, Filled
from crm.i18n import gettext, language, lazy
from crm.imports import fields, rounds, services
from crm.imports.fields import Plan
from crm.imports.models import Import, ImportRow, ImportState, RowState
from crm.imports.reading import SheetError, read_csv, read_xlsx
from crm.security import takes_files
from crm.sheets import write_csv
from crm.tags.services import options as tags
from crm.tags.services import read_name
from crm.texts import choices, text

bp = Blueprint("imports", __name__, url_prefix="/staff/imports")
LARGEST_CSV = 20 * 1024 * 1024
AT_ONCE = 1.0  # seconds of work in one request
SHOWN = 50
ROWS_SHOWN = {
    ImportState.CHECKED: (RowState.WRONG, RowState.LIKE, RowState.TWIN, RowState.SAME, RowState.NEW),
    ImportState.DONE: (RowState.DONE, RowState.WRONG, RowState.LIKE, RowState.TWIN, RowState.SAME),
    ImportState.UNDONE: (RowState.KEPT, RowState.REMOVED),
}


class KeepForm(forms.Form):
    """The name under which a way of reading is kept."""

    ids = "import-"

    keep = wtforms.StringField(
        lazy("Keep these choices under a name"),
        [AtMost(60)],
        description=lazy("The next sheet with the same titles will be read alike."),
        render_kw={"autocomplete": "off", "optional": True},
    )


class BeginForm(forms.Form):
    ids = "import-"

    leave_out = wtforms.BooleanField(lazy("Import without the rows that are to be corrected"))
    password = wtforms.PasswordField(
        lazy("Your password"),
        [Filled(lazy("Enter your password"))],
        description=lazy("Asked again because an import makes many files at once."),
        render_kw={"autocomplete": "current-password"},
    )


# --- the sheets, and a new one ---------------------------------------------------------------------------------------


@bp.get("")
@coordinators
def all_imports() -> str:
    return _all_page()


def _all_page(error: str = "") -> str:
    rows = [(run, services.numbers(run)) for run in services.all_runs()]
    return render_template("imports/all.html", rows=rows, error=error)


@bp.post("")
@coordinators
@takes_files
def bring() -> Response | tuple[str, int]:
    """Keep the rows of a sheet; nothing is made of them yet."""
    sent = request.files.get("documents")
    if sent is None or not sent.filename:
        return _all_page(text("imports.sheet.none")), 422
    name, actor = clean_name(sent.filename), me()
    db.session.commit()  # nobody waits to write while a sheet is read
    try:
        run = services.store(_sheet(sent, name), name, actor)
    except SheetError as error:
        return _all_page(text(f"imports.sheet.{error.reason}")), 422
    return redirect(url_for("imports.page", number=run.id), 303)


def _sheet(sent: FileStorage, name: str) -> Any:
    """Read what was sent. A workbook is looked at first by the process that looks at documents: it may be a bomb."""
    if name.lower().endswith((".csv", ".txt", ".tsv")):
        content = sent.stream.read(LARGEST_CSV + 1)
        if len(content) > LARGEST_CSV:
            raise SheetError("size")
        return read_csv(content)
    if not name.lower().endswith(".xlsx"):
        raise SheetError("type")
    try:
        return read_xlsx(check(name, sent.stream).content)
    except FileRefusedError as refused:
        known = {FileRefusal.SIZE: "size", FileRefusal.BUSY: "busy", FileRefusal.TYPE: "type"}
        raise SheetError(known.get(refused.reason, "broken")) from None


# --- one sheet -------------------------------------------------------------------------------------------------------


def _run_or_404(number: int) -> Import:
    run = db.session.get(Import, number)
    if run is None:
        abort(404)
    return run


def _here(run: Import, **more: Any) -> Response:
    return redirect(url_for("imports.page", number=run.id, **more), 303)


@bp.get("/<int:number>")
@coordinators
def page(number: int) -> Response:
    """Where an import stands, and what can be done next."""
    run, step = _run_or_404(number), request.args.get("step", "")
    if run.state is ImportState.MAPPING and step == "words":
        return _words_page(run)
    if run.state is ImportState.MAPPING or (run.state in services.CHANGING and step == "columns"):
        return _columns_page(run, Plan.of(run.plan), KeepForm(data={"keep": _kept_name(run)}))
    if step == "undo" and services.may_undo(run):
        return _undo_page(run)
    return _state_page(run, BeginForm())


def _kept_name(run: Import) -> str:
    kept = services.plan_kept(run)
    return kept.name if kept else ""


# --- what its columns and words mean ---------------------------------------------------------------------------------


def _columns_page(run: Import, plan: Plan, form: KeepForm, error: str = "", status: int = 200) -> Response:
    wordy = [name for name in fields.WORDS if name != "closing_reason"]
    body = render_template(
        "imports/columns.html",
        run=run,
        plan=plan,
        form=form,
        error=error,
        columns=[
            (place, title, held, plan.columns.get(place, ""))
            for place, (title, held) in enumerate(zip(run.titles, services.examples(run), strict=True))
        ],
        offered=[(name, text(f"imports.field.{name}")) for name in fields.FIELDS],
        blanks=[(name, text(f"imports.field.{name}"), _options(name), plan.blank[name]) for name in wordy],
        kept=services.plan_kept(run),
        empty={"owner": gettext("Nobody yet"), "locality": gettext("Not known"), "tags": gettext("No tag")},
    )
    return make_response(body, status)


def _options(name: str) -> Sequence[tuple[str, str]]:
    """The codes of a field with their words, for a choice."""
    if name == "owner":
        return [(str(number), who) for number, who in active_case_team()]
    if name == "tags":
        return tags()
    return choices(fields.WORDS[name])


@bp.post("/<int:number>/columns")
@coordinators
def columns(number: int) -> Response:
    """Say what the columns hold; the words that are not understood come next, if there are any, otherwise the rehearsal."""
    run, form = _run_or_404(number), KeepForm(request.form)
    plan = _typed_plan(run)
    if error := _against(run, plan):
        return _columns_page(run, plan, form, error, 422)
    if not form.validate():
        return _columns_page(run, plan, form, "", 422)
    if not services.set_plan(run, plan, forms.seen_version(request.form.get("version"))):
        db.session.rollback()
        changed = gettext("Somebody changed these choices meanwhile. Look at yours again, then go on.")
        return _columns_page(_run_or_404(number), plan, form, changed, 409)
    if form.keep.data and not services.keep_plan(run, form.keep.data, me()):
        db.session.rollback()
        taken = gettext("Choices for other titles are already kept under this name. Choose another.")
        form.keep.errors = [taken]
        return _columns_page(_run_or_404(number), plan, form, "", 422)
    try:
        db.session.commit()
    except IntegrityError:  # two people kept their choices under one name at once
        db.session.rollback()
        return _columns_page(
            _run_or_404(number),
            plan,
            form,
            gettext("Somebody changed these choices meanwhile. Look at yours again, then go on."),
            409,
        )
    return _words_or_rehearsal(number)


def _words_or_rehearsal(number: int) -> Response:
    """Words that nobody said anything of are asked about first; looking for them keeps nobody from writing."""
    with writing(allowed=False):
        run = _run_or_404(number)
        asked = services.unknown_words(run, Plan.of(run.plan), most=1)
        db.session.rollback()
    return _here(run, step="words") if asked else _rehearse(_run_or_404(number))


def _typed_plan(run: Import) -> Plan:
    """What was chosen, of what can be."""
    chosen = {place: request.form.get(f"column-{place}", "") for place in range(len(run.titles))}
    blank = {
        name: given
        for name in fields.WORDS
        if (given := request.form.get(f"blank-{name}")) is not None
        and (given in dict(_options(name)) or (not given and name in fields.MAY_BE_BLANK))
    }
    days = request.form.get("days", "")
    return Plan(
        {place: name for place, name in chosen.items() if name in fields.FIELDS},
        Plan.of(run.plan).words,
        fields.BLANK | blank,
        days if days in {"dmy", "mdy", "ymd"} else "dmy",
    )


def _against(run: Import, plan: Plan) -> str:
    """Why a sheet cannot be read so; nothing when it can."""
    if "name" not in plan.columns.values():
        return gettext("Say which column holds the person’s name.")
    for name in fields.FIELDS:
        twice = [run.titles[place] or str(place + 1) for place, held in plan.columns.items() if held == name]
        if len(twice) > 1 and name not in fields.SEVERAL:
            return gettext(
                "Two columns cannot both be “%(field)s”: %(columns)s.",
                field=text(f"imports.field.{name}"),
                columns=", ".join(twice),
            )
    return ""


def _words_page(run: Import) -> Response:
    plan = Plan.of(run.plan)
    labels = services.labels_of_words()
    unknown = [
        (
            name,
            text(f"imports.field.{name}"),
            _meanings(name),
            [(word, folded(word), times, _nearest(name, word, labels[name])) for word, times in words],
        )
        for name, words in services.unknown_words(run, plan).items()
    ]
    chosen = plan.words
    return make_response(render_template("imports/words.html", run=run, unknown=unknown, chosen=chosen))


def _meanings(name: str) -> Sequence[tuple[str, str]]:
    """What a word may be said to mean: a code of its field, or a tag that is not there yet."""
    return [(fields.NEW, gettext("A new tag")), *_options(name)] if name == "tags" else _options(name)


def _nearest(name: str, word: str, labels: Mapping[str, Sequence[str]]) -> str:
    """The first choice for a word that is not understood: the code whose words are nearest, none when nothing is near. A tag is a new one:
    "Cohort 2024" is nothing like "Cohort 2026".
    """
    if name == "tags":
        return fields.NEW if read_name(word) else ""
    return fields.nearest(word, labels)


@bp.post("/<int:number>/words")
@coordinators
def words(number: int) -> Response:
    """Say what the words of a sheet mean, then rehearse."""
    run = _run_or_404(number)
    if _against(run, Plan.of(run.plan)):
        return _here(run, step="columns")
    chosen: dict[str, dict[str, str]] = {name: dict(known) for name, known in Plan.of(run.plan).words.items()}
    for key, code in request.form.items():
        _, name, word = [*key.split(":", 2), "", ""][:3]
        if key.startswith("word:") and name in fields.WORDS and (not code or code in dict(_meanings(name))):
            chosen.setdefault(name, {})[word] = code
    if not services.set_plan(
        run, replace(Plan.of(run.plan), words=chosen), forms.seen_version(request.form.get("version"))
    ):
        db.session.rollback()
        flash(gettext("Somebody changed these choices meanwhile. Look at them again, then go on."))
        return _here(_run_or_404(number), step="words")
    services.keep_words(run)
    db.session.commit()
    return _words_or_rehearsal(number)


def _rehearse(run: Import) -> Response:
    begun = services.begin_checking(run)
    return _set_off(run, begun=begun)


def _set_off(run: Import, *, begun: bool) -> Response:
    """What was begun is kept, then gone on with for as long as somebody may be made to wait."""
    db.session.commit()
    number = run.id
    if begun:
        rounds.carry_on(number, AT_ONCE)
    return redirect(url_for("imports.page", number=number), 303)


# --- the rehearsal, the import, and taking it back -------------------------------------------------------------------


def _state_page(run: Import, form: BeginForm, status: int = 200) -> Response:
    numbers, under_way = services.numbers(run), run.state in services.UNDER_WAY
    shown = [state for state in ROWS_SHOWN.get(run.state, ()) if numbers[state]]
    wanted = request.args.get("show", "")
    state = next((one for one in shown if one == wanted), shown[0] if shown else None)
    after = request.args.get("after")
    rows = services.rows_in(run, [state], forms.seen_version(after) if after else -1, SHOWN + 1) if state else []
    rows_here = list(rows)[:SHOWN]
    body = render_template(
        "imports/run.html",
        run=run,
        form=form,
        numbers=numbers,
        under_way=under_way,
        done=_done(run, numbers),
        total=_out_of(run, numbers),
        shown=shown,
        state=state,
        rows=_told(run, rows_here),
        beyond=rows_here[-1].place if len(rows) > SHOWN else None,
        faults=services.faults_by_kind(run) if numbers[RowState.WRONG] else [],
        to_make=services.wanted_number(run) if run.state is ImportState.CHECKED else 0,
        may_undo=services.may_undo(run),
        fault=_fault,
    )
    return make_response(body, status)


def _done(run: Import, numbers: Mapping[str, int]) -> int:
    """How many rows are behind us."""
    if run.state is ImportState.CHECKING:
        return run.total - numbers[RowState.UNREAD]
    if run.state is ImportState.UNDOING:
        return numbers[RowState.REMOVED] + numbers[RowState.KEPT]
    return numbers[RowState.DONE]


def _out_of(run: Import, numbers: Mapping[str, int]) -> int:
    if run.state is ImportState.CHECKING:
        return run.total
    if run.state is ImportState.UNDOING:
        return numbers[RowState.REMOVED] + numbers[RowState.KEPT] + numbers[RowState.DONE]
    return numbers[RowState.DONE] + services.wanted_number(run)


def _fault(key: str, name: str) -> str:
    return text(f"imports.fault.{key}_{name}")


def _reason(code: str) -> str:
    return text("imports.reason.number" if code == "number" else f"duplicates.reason.{code}")


def _told(run: Import, rows: Sequence[ImportRow]) -> list[dict[str, Any]]:
    """Rows as people read them: the line, who and what, why, and the file it is about where they may see it."""
    plan, files = Plan.of(run.plan), services.files_of(rows, visible(me()))
    found = []
    for row in rows:
        cells = {
            name: row.cells[place]
            for place, name in plan.columns.items()
            if name in {"name", "project"} and place < len(row.cells)
        }
        told = row.told or {}
        number = row.case_id or told.get("case")
        hidden = bool(number) and number not in files and row.state is not RowState.REMOVED
        found.append(
            {
                "row": row,
                "called": "–" if hidden else " · ".join(filter(None, (cells.get("name"), cells.get("project")))) or "–",
                "why": [
                    f"{_fault(key, name)}{f' ({cell})' if cell else ''}" for key, name, cell in told.get("faults", ())
                ],
                "remarks": told.get("remarks", 0),
                "like": [] if hidden else [_reason(reason) for reason in told.get("reasons", ())],
                "line": told.get("line"),
                "file": files.get(number) if number else None,
                "hidden": hidden,
            }
        )
    return found


@bp.post("/<int:number>/rows")
@coordinators
def rows(number: int) -> Response:
    """Rows that look like other files: those of which a file is made all the same."""
    run = _run_or_404(number)
    which = request.form.get("which", "")
    if which in {"all", "none"}:
        services.want(run, None, wanted=which == "all")
    else:
        seen, ticked = ({forms.seen_version(place) for place in request.form.getlist(name)} for name in ("seen", "row"))
        services.want(run, seen - ticked, wanted=False)
        services.want(run, seen & ticked, wanted=True)
    db.session.commit()
    return _here(run, show="like")


@bp.post("/<int:number>/begin")
@coordinators
def begin(number: int) -> Response:
    """Make the files: at once while that is short, then by the page or the worker. Pressed twice, it is done once."""
    run, form = _run_or_404(number), BeginForm(request.form)
    if run.state is not ImportState.CHECKED:
        return _here(run)
    valid = form.validate()
    wrong = services.numbers(run)[RowState.WRONG]
    if wrong and not form.leave_out.data:
        form.leave_out.errors = [gettext("Correct the sheet, or say that these rows are left out")]
        valid = False
    if services.wanted_number(run) == 0:
        raise RefusedError(text("imports.refusal.nothing"))
    if not valid:
        return _state_page(run, form, 422)
    if status := again.refusal(form.password, "import"):
        return _state_page(run, form, status)
    return _set_off(run, begun=services.begin(_run_or_404(number)))


@bp.post("/<int:number>/on")
@coordinators
def go_on(number: int) -> Response:
    """Carry on what is under way; told how far it is when the page's script asks."""
    _run_or_404(number)
    rounds.carry_on(number, AT_ONCE)
    run = _run_or_404(number)
    if request.headers.get("Accept") != "application/json":
        return _here(run)
    numbers = services.numbers(run)
    done = _done(run, numbers)
    said = gettext("%(done)s of %(total)s rows", done=done, total=_out_of(run, numbers))
    return jsonify(done=done, said=said, ended=run.state not in services.UNDER_WAY)


def _undo_page(run: Import) -> Response:
    made, stay = services.numbers(run)[RowState.DONE], services.worked_on(run)
    return make_response(render_template("imports/undo.html", run=run, made=made, stay=stay))


@bp.post("/<int:number>/undo")
@coordinators
def undo(number: int) -> Response:
    """Take back every file that nobody touched since."""
    run = _run_or_404(number)
    return _set_off(run, begun=services.begin_undoing(run))


@bp.post("/<int:number>/discard")
@coordinators
def discard(number: int) -> Response:
    """Destroy a sheet of which nothing was made."""
    if not services.discard(_run_or_404(number).id):
        raise RefusedError(text("imports.refusal.begun"))
    flash(gettext("The sheet was thrown away. No file was made of it."))
    return redirect(url_for("imports.all_imports"), 303)


@bp.get("/<int:number>/report")
@coordinators
def report(number: int) -> Response:
    """The rows of which no file is made, with why, as a sheet to correct and bring back."""
    run = _run_or_404(number)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it was sent
    write_csv(file, _report_rows(run), ";" if language() == "fr" else ",")
    file.seek(0)
    called = gettext("rows-not-imported")
    name = f"{called}-{run.id}.csv"
    return send_file(file, "text/csv", as_attachment=True, download_name=name, max_age=0)


def _report_rows(run: Import) -> Iterator[list[str | int]]:
    yield [gettext("Row"), gettext("What"), gettext("Why"), *run.titles]
    left_out = (RowState.WRONG, RowState.LIKE, RowState.TWIN, RowState.SAME)
    after = -1
    while some := services.rows_in(run, left_out, after, 500):
        for told in _told(run, some):
            row = told["row"]
            why = [*told["why"], *told["like"]]
            why += [gettext("row %(line)s", line=told["line"])] if told["line"] else []
            why += [told["file"].reference] if told["file"] else []
            yield [row.line, text(f"imports.row.{row.state}"), "; ".join(why), *row.cells]
        after = some[-1].place
        db.session.expunge_all()
        run = _run_or_404(run.id)
