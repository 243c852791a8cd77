"""From a list, to many files at once: what to ask of them, what would come of it, how far it is, and what became of each."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, jsonify, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from crm.access import case_team
from crm.accounts.feature import me
from crm.bulk import services
from crm.bulk.actions import BulkAction, actions
from crm.bulk.models import BulkItem, BulkRun, ItemState, RunState
from crm.cases import saved
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.cases.queue_views import address_of
from crm.db import db
from crm.i18n import gettext
from crm.outbox.queries import mail_trouble

bp = Blueprint("bulk", __name__, url_prefix="/staff/bulk")
NAMED = 30  # files named on the page
AT_ONCE = 1.0  # seconds of work in one request
_UNSENT = frozenset({"csrf_token", "do"})


def _run_or_404(number: int) -> BulkRun:
    run = services.find_run(number, me())
    if run is None:
        abort(404)
    return run


def _here(run: BulkRun, **more: Any) -> Response:
    return redirect(url_for("bulk.page", number=run.id, **more), 303)


def _list_of(run: BulkRun) -> str:
    """The list the files were chosen on."""
    wanted, look = saved.read(run.come_from)
    return address_of(wanted, look)


@bp.get("")
@case_team
def runs() -> str:
    """What this person asked of many files."""
    rows = [(run, _told(run), services.progress(run)) for run in services.runs_of(me())]
    return render_template("bulk/runs.html", rows=rows)


@bp.post("")
@case_team
def choose() -> Response:
    """Files ticked on a list, or all that match it, become a draft."""
    typed = request.form.get("list", "")
    come_from = saved.canonical(typed)
    if request.form.get("which") == "all":
        run = services.choose_all(saved.read_whole(typed)[0], me(), come_from)
    else:
        run = services.choose_ticked(request.form.getlist("file"), me(), come_from)
    db.session.commit()
    return _here(run)


@bp.get("/<int:number>")
@case_team
def page(number: int) -> Response:
    """Where a run stands: what to ask, what would come of it, or what came of it."""
    run = _run_or_404(number)
    if run.state is not RunState.DRAFT:
        return _progress_page(run)
    offered = actions()
    wanted = offered.get(request.args.get("do", ""))
    asked = services.action_of(run)
    if wanted is None and asked is not None and asked[1].validate():
        return _check_page(run, *asked)
    again = wanted is not None and asked is not None and asked[0] is wanted
    form = asked[1] if again and asked else _blank(wanted) if wanted else None
    return _choose_page(run, wanted, form)


def _blank(action: BulkAction) -> Any:
    """The form before anything is typed, or begun with something that is kept for it."""
    kept = request.args.get("kept", "")
    return action.begun(kept) if action.begun and kept else action.form(None)


def _choose_page(run: BulkRun, wanted: BulkAction | None, form: Any, status: int = 200) -> Response:
    body = render_template(
        "bulk/choose.html",
        run=run,
        files=_some(run),
        actions=actions(),
        wanted=wanted,
        kept=wanted.kept() if wanted else (),
        form=form,
        back=_list_of(run),
    )
    return make_response(body, status)


def _some(run: BulkRun) -> Any:
    """The first files of a run, for their names."""
    chosen = select(Case).join(BulkItem, BulkItem.case_id == Case.id).where(BulkItem.run_id == run.id, visible(me()))
    return db.session.scalars(chosen.order_by(BulkItem.place).limit(NAMED)).all()


def _check_page(run: BulkRun, action: BulkAction, form: Any) -> Response:
    body = render_template(
        "bulk/check.html",
        run=run,
        action=action,
        told=action.told(form),
        foreseen=services.foresee(run, action, form, me()),
        stamp=services.stamp(run),
        back=_list_of(run),
        trouble=mail_trouble(),
    )
    return make_response(body)


@bp.post("/<int:number>/ask")
@case_team
def ask(number: int) -> Response:
    """Keep what is asked; nothing is done yet."""
    run, action = _run_or_404(number), actions().get(request.form.get("do", ""))
    if action is None:
        return _here(run)
    values = {name: given for name, given in request.form.lists() if name not in _UNSENT}
    form = action.form(request.form)
    if not form.validate():
        return _choose_page(run, action, form, 422)
    services.ask(run, action, values)
    db.session.commit()
    return _here(run)


@bp.post("/<int:number>/begin")
@case_team
def begin(number: int) -> Response:
    """Do it: at once while that is short, then by the page or the worker, whichever comes first. Pressed twice, it is done once."""
    run = _run_or_404(number)
    asked = services.action_of(run)
    if asked is None:
        return _here(run)
    if request.form.get("stamp") != services.stamp(run):
        return _here(run)  # something else was asked meanwhile, in another window: it is looked at first
    return _set_off(run, begun=services.begin(run))


@bp.post("/<int:number>/undo")
@case_team
def undo(number: int) -> Response:
    run = _run_or_404(number)
    return _set_off(run, begun=services.begin_undoing(run))


def _set_off(run: BulkRun, *, begun: bool) -> Response:
    """What was begun is kept, then done for as long as somebody may be made to wait."""
    db.session.commit()
    if begun:
        services.carry_on(run.id, AT_ONCE)
    return _here(run)


@bp.post("/<int:number>/on")
@case_team
def go_on(number: int) -> Response:
    """Carry on what is under way; told how far it is when the page's script asks."""
    run = _run_or_404(number)
    services.carry_on(number, AT_ONCE)
    db.session.refresh(run)
    if request.headers.get("Accept") != "application/json":
        return _here(run)
    done = _done(run, services.progress(run))
    said = gettext("%(done)s of %(total)s files", done=done, total=run.total)
    return jsonify(done=done, said=said, ended=run.state not in services.UNDER_WAY)


def _done(run: BulkRun, numbers: Mapping[ItemState, int]) -> int:
    """How many files are behind us."""
    ahead = ItemState.DONE if run.state is RunState.UNDOING else ItemState.TODO
    return run.total - numbers[ahead]


def _told(run: BulkRun) -> str:
    asked = services.action_of(run)
    if asked is None:
        return ""
    action, form = asked
    return action.told(form) if form.validate() else str(action.label)


def _progress_page(run: BulkRun) -> Response:
    numbers = services.progress(run)
    body = render_template(
        "bulk/run.html",
        run=run,
        told=_told(run),
        numbers={state.value: number for state, number in numbers.items()},
        done=_done(run, numbers),
        under_way=run.state in services.UNDER_WAY,
        left=services.left_alone(run, me()),
        may_undo=services.may_undo(run),
        back=_list_of(run),
        trouble=mail_trouble(),
    )
    return make_response(body)
