"""Follow-ups on the case page, and the jobs that make them come due."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, request
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.cases.filters import Facet
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404, case_page
from crm.cases.vocabulary import Turn
from crm.db import db
from crm.feature import Feature, MailPart, MergePart, Panel, TodayPart
from crm.i18n import gettext, lazy
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.reminders import bulk, digest, nudging, services, today, words
from crm.reminders.forms import DoneForm, FollowUpForm, SnoozeForm
from crm.reminders.list_views import bp as list_bp
from crm.reminders.models import FollowUp, State
from crm.reminders.plan_views import bp as plan_bp
from crm.reminders.replanning import apply_waiting
from crm.reminders.rules import Repeat
from crm.search.services import Searched
from crm.timeline.sentences import Sentence

bp = Blueprint("reminders", __name__, url_prefix="/staff/cases/<reference>/follow-ups")


BLANK_DONE = DoneForm()  # read for its words only


def load(case: Case, staff: Staff) -> dict[str, Any]:
    """What the panel and the top of the case page show."""
    people = active_case_team()
    return {
        "follow_ups": services.open_ones(case),
        "title_of": words.title_of,
        "follow_up_form": FollowUpForm.blank(people=people, owner=str(case.owner_id or staff.id)),
        "when": words.when,
        "blank_done": BLANK_DONE,
        "blank_snooze": SnoozeForm(people=people),
    }


def _loaded(reference: str, number: int) -> tuple[Case, FollowUp]:
    case = case_or_404(reference, lock=True)
    follow_up = db.session.scalar(select(FollowUp).where(FollowUp.id == number, FollowUp.case_id == case.id))
    if follow_up is None:
        abort(404)
    return case, follow_up


@bp.post("")
@case_team
def plan(reference: str) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    form = FollowUpForm(request.form, people=active_case_team())
    if not form.validate():
        return case_page(case, 422, follow_up_form=form)
    services.plan_by_hand(
        case,
        title=form.title.data,
        reason=form.reason.data,
        due_on=form.due_on.day or clock.today(),
        owner=db.session.get_one(Staff, int(form.owner.data)),
        actor=me(),
        waiting_on=Turn(form.waiting_on.data) if form.waiting_on.data else None,
        due_minute=form.due_minute,
        repeat=Repeat(form.repeat.data) if form.repeat.data else None,
    )
    db.session.commit()
    return back_to(case, gettext("The follow-up was planned."))


@bp.post("/<int:number>/done")
@case_team
def done(reference: str, number: int) -> Response | BaseResponse:
    case, follow_up = _loaded(reference, number)
    form = DoneForm(request.form)
    if not form.validate():
        return case_page(case, 422, number=number, done_form=form)
    services.check_open(follow_up)
    if form.goes_on():
        services.plan_by_hand(
            case,
            title=form.next_title.data,
            reason=form.next_reason.data,
            due_on=form.next_on.day or clock.today(),
            owner=me(),
            actor=me(),
        )
    if follow_up.state is not State.DONE:  # what was to be decided is done by deciding
        left_bare = services.complete(follow_up, case, me(), form.outcome.data or "")
        if left_bare and follow_up.rule == "decide":
            db.session.rollback()
            form.next_title.errors = [gettext("Say what is to be done")]
            return case_page(case_or_404(reference), 422, number=number, done_form=form)
    db.session.commit()
    if follow_up.rule != "decide" and services.decides(case):
        return back_to(case, gettext("Done. Nothing else is planned on this file: what comes next?"))
    return back_to(case, gettext("Done. Check that the next step below is the right one."))


@bp.post("/<int:number>/snooze")
@case_team
def snooze(reference: str, number: int) -> Response | BaseResponse:
    case, follow_up = _loaded(reference, number)
    form = SnoozeForm(request.form, people=active_case_team())
    if not form.validate():
        return case_page(case, 422, number=number, snooze_form=form)
    services.snooze(
        follow_up,
        case,
        form.until.day or clock.today(),
        me(),
        wakes_on=Turn(form.wakes_on.data) if form.wakes_on.data else None,
        owner=db.session.get_one(Staff, int(form.owner.data)) if form.owner.data else None,
    )
    db.session.commit()
    return back_to(case, gettext("The follow-up was snoozed."))


@bp.post("/<int:number>/cancel")
@case_team
def cancel(reference: str, number: int) -> BaseResponse:
    case, follow_up = _loaded(reference, number)
    services.cancel(follow_up, case, me())
    db.session.commit()
    return back_to(case, gettext("The follow-up was cancelled. Check that the next step below is the right one."))


def _sentence(kind: str, text: str, tone: str = "internal", body: str | None = None, *codes: str) -> Sentence:
    detail = {"title", "to_name"} | ({body} if body else set())
    return Sentence(
        kind,
        f"reminders.event.{text}",
        tone,
        frozenset({"rule", *codes}),
        frozenset(detail),
        labels={"rule": "reminders.rule"},
        formats={"due_on": "day"} if "due_on" in codes else None,
        stands_in={"rule": "title"},
        body=body,
    )


feature = Feature(
    name="reminders",
    blueprints=(bp, list_bp, plan_bp),
    panels=(Panel("side", "reminders/panel.html", load),),
    jobs=(
        Job("nudge", nudging.nudge_silent, every=300),
        Job("remind", services.queue_due, every=30),
        Job("repair", services.repair_forgotten, every=300),
        Job("replan", apply_waiting, every=15),
    ),
    bulk=bulk.ACTIONS,
    event_sentences=(
        _sentence("follow_up.planned", "planned", "internal", None, "due_on"),
        _sentence("follow_up.done", "done", "internal", "outcome"),
        _sentence("follow_up.cancelled", "cancelled", "internal"),
        _sentence("follow_up.snoozed", "snoozed", "internal", None, "due_on"),
        _sentence("follow_up.woken", "woken", "internal", None, "due_on"),
        _sentence("follow_up.handed", "handed", "internal"),
        Sentence(
            "follow_up.nudged", "reminders.event.nudged", "outgoing", frozenset({"message"}), frozenset({"to_name"})
        ),
        Sentence("plan.changed", "reminders.event.plan_changed"),
        replace(_sentence("reminder.sent", "sent", "reminder", None, "follow_up", "message"), settles=False),
        replace(_sentence("reminder.failed", "failed", "failed", None, "follow_up", "message"), settles=False),
    ),
    case_guards=(services.guard,),
    case_moved=(services.moved,),
    merge=(MergePart("follow_up", services.move_on, services.move_back),),
    handoff=(services.hand_over,),
    case_holds=(services.holds,),
    search_text=(Searched("follow_up", services.typed_ones),),
    case_facets=(Facet("todo", lazy("To act on"), services.they_acted, services.has_todo),),
    today=(
        TodayPart("follow_ups", "reminders/today.html", today.load),
        TodayPart("answers", "reminders/today_answers.html", today.load_answers),
    ),
    digest=(MailPart(services.MAIL, at_once=False, in_digest=True, sections=digest.sections),),
    case_turns=(services.turns_of_ours, services.turns_waited),
    messages=(
        MessageKind(
            "reminders.nudge", "reminders.mail.nudge", still_true=nudging.still_silent, on_final=nudging.note_final
        ),
        MessageKind("reminders.due", "reminders.mail.due", true_ones=services.still_due, on_final=services.note_final),
    ),
)
