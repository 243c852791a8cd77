"""The case page."""

from functools import partial
from typing import Any, NamedTuple, TypedDict

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
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import case_team, coordinators
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.cases import forms, pipeline, queries, readings, services, turns
from crm.cases.models import Case
from crm.cases.vocabulary import (
    ClosingReason,
    ExchangeDirection,
    ExchangeKind,
    ExchangeResult,
    LegalForm,
    Need,
    ProjectStage,
    Stage,
)
from crm.db import db
from crm.errors import RefusedError
from crm.feature import Panel, plugged
from crm.i18n import format_time, gettext, lazy
from crm.outbox.queries import mail_trouble
from crm.texts import label, text
from crm.timeline.models import ActorKind
from crm.timeline.sentences import tell

# What a history is narrowed to, in words.
GROUPS = {
    "": lazy("Everything"),
    "notes": lazy("Notes"),
    "contacts": lazy("Conversations"),
    "talks": lazy("Talks"),
    "messages": lazy("Messages"),
    "moves": lazy("Path of the file"),
    "facts": lazy("Facts"),
    "referrals": lazy("Referrals"),
    "documents": lazy("Documents"),
    "permissions": lazy("Permissions"),
    "follow_ups": lazy("Follow-ups"),
}
bp = Blueprint("cases", __name__, url_prefix="/staff/cases")


def case_or_404(reference: str, *, lock: bool = False) -> Case:
    """The file of an address, if this person may see it; otherwise the same 404 as for none."""
    case = queries.find(reference, me(), lock=lock)
    if case is None:
        abort(404)
    return case


def back_to(case: Case, said: str) -> BaseResponse:
    """To the case page after a change, saying what was done."""
    flash(said)
    return redirect(url_for("cases.page", reference=case.reference), 303)


@bp.get("/<reference>")
@case_team
def page(reference: str) -> BaseResponse:
    """The file; of one that was merged, the file that goes on in its place."""
    case = case_or_404(reference)
    if case.merged_into_id is not None and queries.may_see(me(), case.merged_into_id):
        kept = db.session.get_one(Case, case.merged_into_id)
        flash(text("cases.was_merged", reference=case.reference, kept=kept.reference))
        return redirect(url_for("cases.page", reference=kept.reference))
    return readings.noted(case_page(case), case.id, me().id)


@bp.get("/<reference>/readers")
@coordinators
def readers(reference: str) -> str:
    """Who opened the file, and when."""
    case = case_or_404(reference)
    return render_template("cases/readers.html", case=case, rows=readings.of_case(case))


def case_page(case: Case, status: int = 200, *, number: int = 0, **filled: Any) -> Response:
    """The case page. `filled` are forms that were refused, by name: they come back open, with what was typed.

    `number` says which row of a panel a refused form belongs to; the summary of errors then leads to that row's fields.
    """
    staff = me()
    context: dict[str, Any] = {}
    panels: tuple[Panel, ...] = plugged("panels")
    for panel in panels:
        context |= panel.load(case, staff)
    group = request.args.get("show", "")
    group = group if group in GROUPS else ""
    events = queries.history(case, request.args.get("before", ""), group=group)
    context["needs"], lists = queries.short_lists(case, staff)
    context |= lists
    context |= _forms(case)
    context |= filled
    body = render_template(
        "cases/page.html",
        case=case,
        panels=panels,
        refused=next(iter(filled), ""),
        refused_form=next(iter(filled.values()), None),
        refused_number=number,
        stages=list(Stage),
        order={stage: place for place, stage in enumerate(Stage)},
        today=clock.today(),
        turn_now=partial(turns.now_on, now=clock.now()),
        trouble=mail_trouble(),
        history=[_told(row, case) for row in events.rows],
        older=events.before,
        groups=GROUPS,
        group=group,
        **context,
    )
    return make_response(body, status)


class Entry(NamedTuple):
    """A line of the history as the page shows it. `stamp` is the instant with its zone, `day` and `hour` are Montréal's."""

    stamp: str
    day: str
    hour: str
    who: str
    sentence: str
    tone: str
    body: str
    merged: bool  # it happened on a file that was merged into this one


def _told(row: Any, case: Case) -> Entry:
    said = tell(row.kind, row.codes, row.detail)
    return Entry(
        row.at.isoformat(),
        clock.local_date(row.at).isoformat(),
        format_time(row.at),
        row.staff_name
        or (text("cases.event.person") if row.actor_kind is ActorKind.PERSON and said.sentence[0].islower() else ""),
        said.sentence,
        said.tone,
        row.note or row.exchange or said.body,
        row.case_id != case.id,
    )


def _forms(case: Case) -> dict[str, Any]:
    return {
        "note_form": forms.NoteForm.blank(),
        "exchange_form": forms.ExchangeForm.blank(),
        "move_form": forms.MoveForm.blank(**moves_of(case)),
        "assign_form": forms.AssignForm.blank(people=active_case_team()),
    }


class _Moves(TypedDict):
    stages: tuple[Stage, ...]
    may_force: bool


def moves_of(case: Case) -> _Moves:
    """What the move form offers: the stages that the rules allow from here, and every one to who may force a move."""
    stages: list[Stage] = pipeline.allowed(case.stage, case.paused_from)
    may_force = current_user.coordinates
    if may_force:
        stages += [s for s in Stage if s not in stages and s is not case.stage and s is not Stage.PAUSED]
    return {"stages": tuple(stages), "may_force": may_force}


@bp.post("/<reference>/take")
@case_team
def take(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    services.assign(case, me(), me())
    db.session.commit()
    return back_to(case, gettext("You are responsible for this file."))


@bp.post("/<reference>/assign")
@case_team
def assign(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    form = forms.AssignForm(request.form, people=active_case_team())
    if not form.validate():
        return case_page(case, 422, assign_form=form)
    services.assign(case, db.session.get_one(Staff, int(form.to.data)), me())
    db.session.commit()
    return back_to(case, gettext("The file was assigned."))


@bp.post("/<reference>/notes")
@case_team
def note(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    form = forms.NoteForm(request.form)
    if not form.validate():
        return case_page(case, 422, note_form=form)
    services.add_note(case, form.body.data, me())
    db.session.commit()
    return back_to(case, gettext("The note was saved."))


@bp.post("/<reference>/exchanges")
@case_team
def exchange(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    form = forms.ExchangeForm(request.form)
    if not form.validate():
        return case_page(case, 422, exchange_form=form)
    services.record_exchange(
        case,
        kind=ExchangeKind(form.kind.data),
        direction=ExchangeDirection(form.direction.data),
        result=ExchangeResult(form.result.data),
        happened_at=form.happened_at,
        minutes=form.minutes_number,
        summary=form.summary.data or "",
        actor=me(),
    )
    db.session.commit()
    return back_to(case, gettext("The conversation was recorded."))


def _to_assess(reference: str, *, lock: bool = False) -> Case:
    """The file of an address; a closed one is refused before anything typed is judged."""
    case = case_or_404(reference, lock=lock)
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    return case


@bp.get("/<reference>/assessment")
@case_team
def assessment_page(reference: str) -> Response:
    case = _to_assess(reference)
    project = case.project
    saved = {
        "version": project.version,
        "name": project.name,
        "project_stage": project.stage,
        "legal_form": project.legal_form,
        "region": project.region,
        "locality": project.locality,
        "needs": queries.needs(case),
        "summary": project.summary,
    }
    return _assessment(case, forms.AssessmentForm(data=saved))


def _assessment(case: Case, form: forms.AssessmentForm, status: int = 200) -> Response:
    return make_response(render_template("cases/assessment.html", case=case, form=form), status)


@bp.post("/<reference>/assessment")
@case_team
def assessment(reference: str) -> BaseResponse:
    case = _to_assess(reference, lock=True)
    form = forms.AssessmentForm(request.form)
    if not form.validate() or (form.seen_version() == case.project.version and form.asks_why(case.project)):
        return _assessment(case, form, 422)
    try:
        services.assess(
            case,
            seen_version=form.seen_version(),
            name=form.name.data or "",
            project_stage=ProjectStage(form.project_stage.data),
            legal_form=LegalForm(form.legal_form.data),
            region=form.region.data,
            locality=form.locality.data if form.region.data == "06" else "",
            needs=[Need(need) for need in form.needs.data],
            summary=form.summary.data,
            reason=form.reason.data or "",
            actor=me(),
        )
    except services.StaleError:
        db.session.rollback()
        return _conflict(case_or_404(reference), form)
    db.session.commit()
    return back_to(case, gettext("The needs assessment was saved."))


def _conflict(case: Case, form: forms.AssessmentForm) -> Response:
    """Two people saved the same assessment: the second keeps the own text, beside what is saved now."""
    form.version.data = case.project.version
    body = render_template("cases/conflict.html", case=case, form=form, needs=queries.needs(case))
    return make_response(body, 409)


@bp.post("/<reference>/stage")
@case_team
def move(reference: str) -> BaseResponse:
    tried = try_to_move(reference)
    if tried.status != 200:
        return case_page(tried.case, tried.status, move_form=tried.form)
    db.session.commit()
    return back_to(tried.case, gettext("The file moved to “%(stage)s”.", stage=label("cases.stage", tried.case.stage)))


class Tried(NamedTuple):
    """A move that was asked for: the file, the form with what is wrong beside its fields, and 200, 422 (the form) or 409 (the rules)."""

    case: Case
    form: forms.MoveForm
    status: int


def try_to_move(reference: str) -> Tried:
    """Move a file as the form sent asks, without committing. When the rules refuse, nothing was changed and what was typed is in the form."""
    case = case_or_404(reference, lock=True)
    form = forms.MoveForm(request.form, **moves_of(case))
    seen = form.seen.data if form.seen.data in set(Stage) else None
    if not request.form.get("to") or not _is_stage(request.form["to"]) or not _valid_but_for_choice(form):
        form.validate()
        return Tried(case, form, 422)
    try:
        services.advance(
            case,
            Stage(request.form["to"]),
            me(),
            seen_stage=Stage(seen) if seen else None,
            reason=form.reason.data or "",
            return_on=form.return_on.day,
            closing_reason=ClosingReason(form.closing_reason.data) if form.closing_reason.data else None,
            person_told=form.person_told.data or "",
            forced=bool(form.forced and form.forced.data),
        )
    except RefusedError as refusal:
        db.session.rollback()
        case = case_or_404(reference)
        again = forms.MoveForm(request.form, **moves_of(case))
        again.to.errors = list(refusal.reasons)
        return Tried(case, again, 409)
    return Tried(case, form, 200)


def _is_stage(value: str) -> bool:
    return value in set(Stage)


def _valid_but_for_choice(form: forms.MoveForm) -> bool:
    """A stage that is not offered from here is refused by the rules, with their reason, not by the list."""
    offered = form.to.choices
    form.to.choices = [*offered, *((stage, "") for stage in Stage)]
    valid = form.validate()
    form.to.choices = offered
    return valid


@bp.post("/<reference>/restriction")
@coordinators
def restriction(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    if request.form.get("restricted") not in {"yes", "no"}:
        raise RefusedError(gettext("Say whether the file is restricted or open to the team."))
    readers = [case.owner_id] if case.owner_id else []
    services.restrict(case, restricted=request.form.get("restricted") == "yes", readers=readers, actor=me())
    db.session.commit()
    said = (
        gettext("Only the people named on it see this file now.")
        if case.restricted
        else gettext("The whole team sees this file now.")
    )
    return back_to(case, said)
