"""The requests page of staff: those nobody took, by how long they wait, and those that were set aside as a robot's."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Row, exists, func, select
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.absences.services import stands_in
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import duty_person
from crm.activities import services as activities
from crm.business_days import business_days_between
from crm.cases.models import Case, Contact, Project
from crm.cases.queries import named, visible
from crm.cases.services import advance, assign
from crm.cases.views import case_or_404
from crm.cases.vocabulary import ClosingReason, Source, Stage
from crm.db import db
from crm.duplicates import views as duplicates
from crm.errors import RefusedError
from crm.feature import Line, Section
from crm.forms import AtMost, Chosen
from crm.i18n import format_date, gettext, lazy, ngettext, speaking
from crm.intake import drafts, introductions, services
from crm.intake.forms import PAGES, QuestionPage, read
from crm.intake.models import Request
from crm.jobs import working_day
from crm.outbox.models import Message
from crm.outbox.services import queue, settings
from crm.texts import label, text

bp = Blueprint("requests", __name__, url_prefix="/staff/requests")
SHOWN, SHOWN_TODAY, MOST_COUNTED = 200, 8, 100
ASKED_BY_STAFF = tuple(code for code in PAGES if code != "choices")  # consents are ticked by the person only
TELL_AT_HOUR = 8  # local time on business days
REASONS = (ClosingReason.SPAM, ClosingReason.OUT_SCOPE, ClosingReason.OUT_AREA, ClosingReason.ERROR)


class EntryForm(forms.Form):
    """How a request came that staff enter for somebody."""

    form_key = wtforms.HiddenField()
    source = forms.Radio(lazy("How did it come?"), [Chosen(lazy("Say how the request came"))])
    told = wtforms.BooleanField(lazy("I read or gave the notice on personal information to the person"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source.choices = [
            (code, label("cases.source", code)) for code in (Source.PHONE, Source.EVENT, Source.PARTNER)
        ]

    def validate_told(self, field: wtforms.Field) -> None:
        if not field.data:
            raise wtforms.ValidationError(gettext("Read or give the notice to the person, then tick the box"))


class CloseForm(forms.Form):
    """Closing a request without opening its file. One form per row: its fields have no id of their own."""

    reason = forms.Pick(lazy("Closing reason"), [Chosen(lazy("Choose a reason"))])
    note = wtforms.StringField(lazy("Closing note"), [AtMost(2000)])
    told = wtforms.BooleanField(lazy("The person has been told"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reason.choices = [("", gettext("Choose…"))] + [
            (reason.value, label("cases.closing_reason", reason)) for reason in REASONS
        ]


def _waiting(staff: Staff, *, quarantined: bool) -> Sequence[Row[Any]]:
    """New requests, the one that waits longest first."""
    nobodys = Case.owner_id.is_(None) if not quarantined else Case.stage != Stage.CLOSED
    return db.session.execute(
        _rows().where(nobodys, Case.quarantined.is_(quarantined), visible(staff)).limit(SHOWN)
    ).all()


def _rows() -> Any:
    read = select(
        Case.id,
        Case.reference,
        Case.received_at,
        Case.reply_due_on,
        Case.language,
        Case.source,
        Contact.email,
        Contact.phone,
        Contact.phone_extension,
        Project.description,
        Request.suspicions,
    )
    return (
        named(read.select_from(Case))
        .outerjoin(Request, Request.case_id == Case.id)
        .where(Case.stage == Stage.NEW)
        .order_by(Case.received_at, Case.id)
    )


@bp.get("")
@case_team
def requests() -> str:
    return _page()


def _page(refused: str = "", form: CloseForm | None = None) -> str:
    staff, today = me(), clock.today()
    fresh = _waiting(staff, quarantined=False)
    return render_template(
        "intake/requests.html",
        fresh=fresh,
        aside=_waiting(staff, quarantined=True),
        waited={row.id: _waited(row, today) for row in fresh},
        today=today,
        most=SHOWN,
        most_alike=duplicates.SHOWN,
        drafts=drafts.waiting(),
        alike=duplicates.waiting(staff),
        activities=activities.waiting(),
        form=CloseForm(),
        refused=refused,
        refused_form=form,
    )


def load_today(staff: Staff) -> dict[str, Any]:
    """For the start page: the requests that nobody took, the longest waiting first."""
    nobodys = _rows().where(Case.owner_id.is_(None), Case.quarantined.is_(False), visible(staff))
    rows = db.session.execute(nobodys.limit(SHOWN_TODAY)).all()
    today = clock.today()
    return {"fresh": rows, "waited": {row.id: _waited(row, today) for row in rows}}


def digest(staff: Staff, day: date) -> list[Section]:
    """The requests that nobody took, the longest waiting first, without who asks; nothing for who is away."""
    if stands_in(staff, day) is not None:
        return []
    nobodys = _rows().where(Case.owner_id.is_(None), Case.quarantined.is_(False), visible(staff))
    rows = db.session.execute(nobodys.limit(MOST_COUNTED)).all()
    lines = [
        Line(row.reference, row.project, text("intake.digest.reply_by", date=format_date(row.reply_due_on)))
        for row in rows[:SHOWN_TODAY]
    ]
    return [Section("requests", lines, more=max(len(rows) - SHOWN_TODAY, 0))]


def _waited(row: Any, today: Any) -> str:
    days = business_days_between(clock.local_date(row.received_at), today)
    if days <= 0:
        return gettext("today")
    return ngettext("%(num)s business day", "%(num)s business days", days)


@bp.post("/<reference>/take")
@case_team
def take(reference: str) -> BaseResponse:
    """Take a request and stay in the list."""
    case = case_or_404(reference, lock=True)
    if case.owner_id not in {None, me().id} or case.stage is not Stage.NEW:
        raise RefusedError(text("intake.refusal.taken_meanwhile"))
    assign(case, me(), me())
    db.session.commit()
    flash(gettext("You are responsible for the file %(reference)s.", reference=case.reference))
    return redirect(url_for("today.page" if request.form.get("from") == "today" else "requests.requests"), 303)


@bp.post("/<reference>/release")
@case_team
def release(reference: str) -> BaseResponse:
    """One press: the request is a person's; its acknowledgement leaves."""
    case = case_or_404(reference, lock=True)
    introduction = introductions.of_case(case) if case.quarantined else None
    services.release(case, me(), acknowledge=introduction is None)
    if introduction is not None:
        introductions.ask_person(introduction)
    db.session.commit()
    flash(
        gettext("%(reference)s is out of quarantine. What was to leave for it is on its way.", reference=case.reference)
    )
    to = url_for("cases.page", reference=case.reference) if request.form.get("from") else url_for("requests.requests")
    return redirect(to, 303)


@bp.post("/<reference>/close")
@case_team
def close(reference: str) -> BaseResponse | tuple[str, int]:
    """Close a request from the list: unwanted, outside the mandate or the territory, or a mistake."""
    case = case_or_404(reference, lock=True)
    form = CloseForm(request.form)
    if not form.validate():
        return _page(case.reference, form), 422
    reason = ClosingReason(form.reason.data)
    advance(
        case,
        Stage.CLOSED,
        me(),
        seen_stage=Stage.NEW,
        reason=form.note.data or label("cases.closing_reason", reason),
        closing_reason=reason,
        person_told="told" if form.told.data else "",
    )
    db.session.commit()
    flash(gettext("%(reference)s is closed.", reference=case.reference))
    return redirect(url_for("requests.requests"), 303)


# --- a request received by phone, at an event, from a partner --------------------------------------------------------


@bp.get("/new")
@case_team
def new() -> str:
    return _entry_page(EntryForm(data={"form_key": secrets.token_urlsafe(16)}), read_pages({}))


def _entry_page(form: EntryForm, pages: Mapping[str, QuestionPage]) -> str:
    errors = [link for one in (form, *pages.values()) for link in one.error_links()]
    return render_template("intake/entry.html", form=form, pages=pages, errors=errors, facts=services.notice_values())


@bp.post("/new")
@case_team
def enter() -> BaseResponse | tuple[str, int]:
    """The same questions, judged alike; the person is told as if they had sent it themselves."""
    form = EntryForm(request.form)
    questions = [name for page in ASKED_BY_STAFF for name in PAGES[page].questions()]
    whole = read({name: request.form.getlist(name) for name in questions if any(request.form.getlist(name))})
    if not form.validate() or not whole.valid:
        return _entry_page(form, {code: whole.pages[code] for code in ASKED_BY_STAFF}), 422
    key = form.form_key.data or secrets.token_urlsafe(16)
    spoken = "en" if whole.you.lang_pref.data == "en" else "fr"
    try:
        received = services.receive(
            whole, key=key, page_language=spoken, source=Source(form.source.data), entered_by=me()
        )
        reference = received.case.reference
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        earlier = services.received_as(key)
        if earlier is None:
            raise
        reference = earlier.case.reference
    flash(gettext("The request is entered. Its file is %(reference)s.", reference=reference))
    return redirect(url_for("cases.page", reference=reference), 303)


def read_pages(answers: dict[str, list[str]]) -> dict[str, QuestionPage]:
    """The pages of questions that staff ask for somebody."""
    return {code: PAGES[code](answers) for code in ASKED_BY_STAFF}


# --- nobody forgets the quarantine -----------------------------------------------------------------------------------


def tell_of_quarantine() -> int:
    """Job: on the morning of a business day, tell the duty person how many requests wait in quarantine, in one mail."""
    today = working_day(TELL_AT_HOUR)
    if today is None:
        return 0
    start, _ = clock.day_bounds(today, today)
    old = select(func.count(Case.id)).where(
        Case.quarantined.is_(True), Case.stage == Stage.NEW, Case.received_at < start
    )
    many = db.session.scalar(old) or 0
    duty = duty_person() if many else None
    if duty is None:
        return 0
    with speaking(duty.language):
        counted = ngettext("%(num)s request", "%(num)s requests", many)
    sent = queue(
        "intake.quarantine",
        dedupe_key=f"quarantine:{today}",
        to=(duty.email, duty.name),
        language=duty.language,
        values={"name": duty.name, "count": counted, "address": f"{settings().base_url}/staff/requests"},
    )
    return int(sent is not None)


def still_waiting(_message: Message) -> bool:
    """Whether a request still waits in quarantine, asked just before the mail leaves."""
    return bool(db.session.scalar(select(exists().where(Case.quarantined.is_(True), Case.stage == Stage.NEW))))
