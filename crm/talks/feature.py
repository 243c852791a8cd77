"""Talks on the case page."""

from datetime import datetime
from typing import Any, NamedTuple

import wtforms
from flask import Blueprint, Response, abort, request
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import People, active_case_team
from crm.cases.merging import rows_of
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404, case_page
from crm.db import db, read_instant
from crm.feature import Feature, MailPart, Panel, TodayPart
from crm.forms import AtMost, Chosen, DateField, Filled, read_instant_on
from crm.i18n import gettext, lazy
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.reminders.forms import DueDay
from crm.talks import services
from crm.talks.hours_views import bp as hours_bp
from crm.talks.hours_views import feed_bp
from crm.talks.models import Mode, Talk, TalkState
from crm.texts import choices
from crm.timeline.sentences import Sentence

bp = Blueprint("talks", __name__, url_prefix="/staff/cases/<reference>/talks")


class TalkForm(forms.Form):
    ids = "talk-"
    template = "talks/talk_fields.html"

    on = DateField(lazy("Date"), [Filled(lazy("Choose a date")), DueDay()], render_kw={"type": "date"})
    at = wtforms.StringField(
        lazy("Time"),
        [Filled(lazy("Choose a time"))],
        render_kw={"type": "time"},
        description=lazy("Montréal time."),
    )
    minutes = forms.Pick(lazy("Length"), [Chosen(lazy("Choose a length"))], default="30")
    mode = forms.Radio(lazy("How"), [Chosen(lazy("Say how you will talk"))], default=Mode.PHONE)
    adviser = forms.Pick(lazy("With whom?"), [Chosen(lazy("Choose a person"))])

    starts_at: datetime

    def __init__(self, *args: Any, people: People, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adviser.choices = [(str(number), name) for number, name in people]
        self.minutes.choices = [(str(n), gettext("%(minutes)s minutes", minutes=n)) for n in (15, 30, 45, 60, 90)]
        self.mode.choices = choices("talks.mode")

    def validate_at(self, field: wtforms.Field) -> None:
        if self.on.day is None or not field.data:
            return
        self.starts_at = read_instant_on(self.on.day, field.data)


class OutcomeForm(forms.Form):
    ids = "outcome-"

    state = forms.Pick(lazy("What came of it?"), [Chosen(lazy("Say what came of the talk"))])
    summary = wtforms.TextAreaField(lazy("What was said"), [AtMost()], render_kw={"rows": "3", "optional": True})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state.choices = [("", gettext("Choose…")), *choices("talks.outcome")]


def load(case: Case, staff: Staff) -> dict[str, Any]:
    return {"talk_form": TalkForm.blank(people=active_case_team(), adviser=str(case.owner_id or staff.id))}


class Booked(NamedTuple):
    """A talk to come, or one of which nobody said what came."""

    starts_at: datetime
    id: int
    minutes: int
    mode: str
    adviser: str


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """For the case page, the next one first."""
    talks = sorted(Booked(read_instant(row[0]), *row[1:]) for row in found)
    return {"talks": talks, "outcome_form": OutcomeForm() if talks else None}


@bp.post("")
@case_team
def book(reference: str) -> Response | BaseResponse:
    case = case_or_404(reference, lock=True)
    form = TalkForm(request.form, people=active_case_team())
    if not form.validate():
        return case_page(case, 422, talk_form=form)
    services.book(
        case,
        adviser=db.session.get_one(Staff, int(form.adviser.data)),
        starts_at=form.starts_at,
        minutes=int(form.minutes.data),
        mode=Mode(form.mode.data),
        actor=me(),
    )
    db.session.commit()
    return back_to(case, gettext("The talk is booked."))


@bp.post("/<int:number>/outcome")
@case_team
def outcome(reference: str, number: int) -> Response | BaseResponse:
    case = case_or_404(reference, lock=True)
    talk = db.session.scalar(select(Talk).where(Talk.id == number, Talk.case_id == case.id))
    if talk is None:
        abort(404)
    form = OutcomeForm(request.form)
    if not form.validate():
        return case_page(case, 422, number=number, outcome_form=form)
    services.settle(talk, case, TalkState(form.state.data), me(), form.summary.data or "")
    db.session.commit()
    return back_to(case, gettext("The outcome was recorded."))


_AT = {"at": "instant"}
_BOTH = {"at": "instant", "from": "instant"}

feature = Feature(
    name="talks",
    blueprints=(bp, hours_bp, feed_bp),
    panels=(Panel("side", "talks/panel.html", load, rows=services.rows, shown=shown),),
    jobs=(Job("talks", services.remind, every=300),),
    event_sentences=(
        Sentence("talk.booked", "talks.event.booked", "contact", frozenset({"mode", "at"}), formats=_AT),
        Sentence("talk.cancelled", "talks.event.cancelled", "contact", frozenset({"at"}), formats=_AT),
        Sentence("talk.chosen", "talks.event.chosen", "incoming", frozenset({"mode", "at"}), formats=_AT),
        Sentence(
            "talk.moved_by_person", "talks.event.moved_by_person", "incoming", frozenset({"from", "at"}), formats=_BOTH
        ),
        Sentence(
            "talk.cancelled_by_person", "talks.event.cancelled_by_person", "incoming", frozenset({"at"}), formats=_AT
        ),
        Sentence("talk.call_asked", "talks.event.call_asked", "incoming"),
    ),
    merge=(rows_of(Talk),),
    case_guards=(services.guard,),
    case_moved=(services.moved,),
    today=(TodayPart("talks", "talks/today.html", services.of_today),),
    digest=(MailPart(services.MAIL, at_once=True, in_digest=True, sections=services.digest),),
    case_holds=(services.holds,),
    case_turns=(services.turns,),
    messages=(
        *(
            MessageKind(
                f"talks.{kind}",
                f"talks.mail.{kind}",
                still_true=services.still_so,
                attachment=services.calendar_file,
            )
            for kind in ("confirmed", "moved", "cancelled", "reminder")
        ),
        *(
            MessageKind(f"talks.{kind}", f"talks.mail.{kind}", still_true=services.still_so)
            for kind in ("told_chosen", "told_moved", "told_cancelled")
        ),
    ),
)
