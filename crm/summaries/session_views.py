"""The page of a session of the committee, which the team prepares, shows at the meeting and keeps."""

import secrets
from collections.abc import Sequence
from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import COORDINATING, case_team, coordinators
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.db import db
from crm.forms import AtMost, DateField, Filled
from crm.i18n import gettext, lazy
from crm.summaries import queries, services, sessions
from crm.summaries.content import period_name
from crm.summaries.models import Point, Session, State, Summary
from crm.summaries.periods import Kind, Period

bp = Blueprint("sessions", __name__, url_prefix="/staff/summaries/<code>/session")


class SessionForm(forms.Form):
    """When it is, and who is there."""

    ids = "session-"

    version = wtforms.HiddenField()
    held_on = DateField(lazy("Date of the session"), render_kw={"type": "date", "optional": True})
    present = forms.Boxes(lazy("Present"))
    others = wtforms.TextAreaField(
        lazy("Others present"), [AtMost(2000)], render_kw={"rows": "3", "optional": True},
        description=lazy("One person per line, with the organization."),
    )  # fmt: skip

    def __init__(self, *args: Any, accounts: Sequence[Staff] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.present.choices = [(str(one.id), one.name) for one in accounts]


class AskForm(forms.Form):
    """One more point to decide."""

    ids = "asked-"

    form_key = wtforms.HiddenField()
    title = wtforms.StringField(
        lazy("Add a point to decide"), [Filled(lazy("Write what is to be decided")), AtMost(200)]
    )


class PointForm(forms.Form):
    """What was decided, who follows it up, and by when."""

    ids = "point-"

    version = wtforms.HiddenField()
    title = wtforms.StringField(lazy("Point to decide"), [Filled(lazy("Write what is to be decided")), AtMost(200)])
    decision = wtforms.TextAreaField(
        lazy("Decision"), [AtMost(2000)], render_kw={"rows": "4", "optional": True},
    )  # fmt: skip
    owner = forms.Pick(lazy("Who follows it up"), render_kw={"optional": True})
    due_on = DateField(lazy("By when"), render_kw={"type": "date", "optional": True})

    def __init__(self, *args: Any, team: Sequence[tuple[int, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner.choices = [("", gettext("Nobody")), *((str(number), name) for number, name in team)]

    def validate_decision(self, field: wtforms.Field) -> None:
        if self.owner.data and not (field.data or "").strip():
            raise StopValidation(gettext("Write what was decided"))

    def validate_owner(self, field: wtforms.Field) -> None:
        if self.due_on.data and not field.data:
            raise StopValidation(gettext("Say who follows it up"))

    def validate_due_on(self, field: DateField) -> None:
        if self.owner.data and field.day is None:
            raise StopValidation(gettext("Choose a date"))


def _summary_or_404(code: str) -> tuple[Period, Summary | None]:
    """A period with its summary. One whose draft was taken away keeps what was written of its session."""
    period = Period.read(code)
    if period is None or period.kind is Kind.CHOSEN:
        abort(404)
    summary = queries.of_period(period)
    if summary is None and sessions.of_period(period) is None:
        abort(404)
    return period, summary


@bp.get("")
@case_team
def page(code: str) -> Response:
    """What changed, what is to be decided, what was decided, who was there."""
    period, summary = _summary_or_404(code)
    session = sessions.of_period(period)
    form = SessionForm(data=_kept(session), accounts=_accounts(session))
    return _page((period, summary), session, form, AskForm(data={"form_key": secrets.token_urlsafe(16)}))


def _kept(session: Session | None) -> dict[str, Any]:
    if session is None:
        return {"version": "0"}
    return {
        "version": str(session.version),
        "held_on": session.held_on.isoformat() if session.held_on else "",
        "present": [str(one.id) for one in session.present],
        "others": session.others,
    }


def _accounts(session: Session | None) -> Sequence[Staff]:
    """Whom to tick: members of the committee and people of the team, and those who were there and left since."""
    there = [one.id for one in session.present] if session else []
    read = select(Staff).where(or_(Staff.active.is_(True), Staff.id.in_(there)))
    return db.session.scalars(read.order_by(Staff.role != "observer", Staff.name)).all()


def _page(
    here: tuple[Period, Summary | None], session: Session | None, form: SessionForm, asked: AskForm, status: int = 200, *, theirs: bool = False
) -> Response:  # fmt: skip
    period, summary = here
    earlier = sessions.before(period)
    published = [one for one in queries.all_published() if one.last_day < period.first]
    report = services.report_of(summary) if summary else None
    body = render_template(
        "summaries/session.html",
        period=period,
        summary=summary,
        name=period_name(period.code),
        report=report,
        session=session,
        form=form,
        asked=asked,
        theirs=theirs,
        earlier=earlier,
        name_before=period_name(published[0].period) if published else "",
        name_earlier=period_name(earlier.period) if earlier else "",
        changes=sessions.changes(report, services.report_of(published[0])) if published and report else [],
        is_draft=summary is not None and summary.state is not State.PUBLISHED,
        may_write=me().role in COORDINATING,
        today=clock.today(),
    )
    return make_response(body, status)


@bp.post("")
@coordinators
def save(code: str) -> BaseResponse:
    """Keep the date and who was there; what two people typed at once is given back."""
    period, summary = _summary_or_404(code)
    session = sessions.of_period(period)
    accounts = _accounts(session)
    form = SessionForm(request.form, accounts=accounts)
    asked = AskForm(data={"form_key": secrets.token_urlsafe(16)})
    if not form.validate():
        return _page((period, summary), session, form, asked, 422)
    present = [one for one in accounts if str(one.id) in form.present.data]
    try:
        sessions.save(
            period,
            forms.seen_version(form.version.data),
            held_on=form.held_on.day,
            present=present,
            others=form.others.data or "",
            actor=me(),
        )
        db.session.commit()
    except (sessions.StaleError, IntegrityError):
        db.session.rollback()
        session = sessions.of_period(period)
        form.version.data = str(session.version if session else 0)
        return _page((period, summary), session, form, asked, 409, theirs=True)
    return _done(code, gettext("The session is saved."))


@bp.post("/points")
@coordinators
def ask(code: str) -> BaseResponse:
    """Add a point."""
    period, summary = _summary_or_404(code)
    asked = AskForm(request.form)
    if not asked.validate():
        session = sessions.of_period(period)
        return _page(
            (period, summary), session, SessionForm(data=_kept(session), accounts=_accounts(session)), asked, 422
        )
    try:
        sessions.add_point(period, asked.title.data or "", key=asked.form_key.data or "", actor=me())
        db.session.commit()
    except IntegrityError:  # the same press twice at once, or the session begun by two: it is there now
        db.session.rollback()
        sessions.add_point(period, asked.title.data or "", key=asked.form_key.data or "", actor=me())
        db.session.commit()
    return redirect(url_for("sessions.page", code=code, _anchor="points"), 303)


def _point_or_404(code: str, number: int) -> Point:
    period, _summary = _summary_or_404(code)
    point = sessions.point_of(period, number)
    if point is None:
        abort(404)
    return point


@bp.get("/points/<int:number>")
@coordinators
def point(code: str, number: int) -> Response:
    """The form of a point: what is decided, who follows it up, by when."""
    found = _point_or_404(code, number)
    shown = {
        "version": str(found.version),
        "title": found.title,
        "decision": found.decision,
        "owner": str(found.owner_id or ""),
        "due_on": found.due_on.isoformat() if found.due_on else "",
    }
    return _point_page(code, found, PointForm(data=shown, team=_team(found)))


def _team(point: Point) -> list[tuple[int, str]]:
    """The people of the team, and who follows the decision up already."""
    team = list(active_case_team())
    if point.owner is not None and point.owner_id not in {number for number, _name in team}:
        team.append((point.owner.id, point.owner.name))
    return team


def _point_page(code: str, found: Point, form: PointForm, status: int = 200, *, theirs: bool = False) -> Response:
    body = render_template(
        "summaries/point.html", code=code, point=found, form=form, theirs=theirs, name=period_name(code)
    )
    return make_response(body, status)


@bp.post("/points/<int:number>/save")
@coordinators
def decide(code: str, number: int) -> BaseResponse:
    """Keep a decision."""
    found = _point_or_404(code, number)
    form = PointForm(request.form, team=_team(found))
    if not form.validate():
        return _point_page(code, found, form, 422)
    try:
        sessions.decide(
            found,
            forms.seen_version(form.version.data),
            title=form.title.data or "",
            decision=(form.decision.data or "").strip(),
            owner_id=int(form.owner.data) if form.owner.data else None,
            due_on=form.due_on.day,
            actor=me(),
        )
    except sessions.StaleError:
        db.session.rollback()
        found = _point_or_404(code, number)
        form.version.data = str(found.version)
        return _point_page(code, found, form, 409, theirs=True)
    return _done(code, gettext("The decision is saved.") if found.decision else gettext("The point is saved."))


@bp.post("/points/<int:number>/done")
@case_team
def done(code: str, number: int) -> BaseResponse:
    """Seen to, by one press; the second one changes nothing."""
    sessions.see_to(_point_or_404(code, number), _seen(), me(), done=True)
    return _done(code, gettext("The decision is marked as seen to."))


@bp.post("/points/<int:number>/again")
@case_team
def again(code: str, number: int) -> BaseResponse:
    """Not seen to after all."""
    sessions.see_to(_point_or_404(code, number), _seen(), me(), done=False)
    return _done(code, gettext("The decision is to be seen to again."))


@bp.post("/points/<int:number>/take-off")
@coordinators
def take_off(code: str, number: int) -> BaseResponse:
    """Take a point off that nobody decided."""
    sessions.take_off(_point_or_404(code, number), _seen(), me())
    return _done(code, gettext("The point is taken off."))


def _seen() -> int:
    return forms.seen_version(request.form.get("version", ""))


def _done(code: str, said: str) -> BaseResponse:
    db.session.commit()
    flash(said)
    return redirect(url_for("sessions.page", code=code), 303)
