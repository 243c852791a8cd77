"""The registers, for who coordinates."""

import secrets
from collections.abc import Callable
from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import coordinators
from crm.accounts.feature import me
from crm.cases.models import Case
from crm.cases.queries import find, may_see
from crm.db import db
from crm.forms import AtMost, Chosen, DateField, Filled, read_people, whole
from crm.i18n import gettext, lazy
from crm.privacy import services
from crm.privacy.models import Incident, Outcome, Right, RightsRequest, Risk
from crm.privacy.services import Asked, Happened
from crm.texts import choices

bp = Blueprint("privacy", __name__, url_prefix="/staff/privacy")
MOST = 100_000_000  # people


def _day(name: Any, **more: Any) -> DateField:
    return DateField(name, render_kw={"type": "date", **more})


def _past(field: DateField, since: DateField | None = None) -> None:
    """A day that has come, and not before another one."""
    if field.day is not None and field.day > clock.today():
        raise StopValidation(gettext("Choose today or an earlier date"))
    if field.day is not None and since is not None and since.day is not None and field.day < since.day:
        raise StopValidation(gettext("This day is before the one on which it was known: check both dates"))


class RequestForm(forms.Form):
    """A request of a person about their information."""

    ids = "rights-"

    version = wtforms.HiddenField()
    form_key = wtforms.HiddenField()
    received_on = _day(lazy("Date received"))
    asked = forms.Radio(lazy("What is the person asking for?"), [Chosen(lazy("Choose what the person is asking for"))])
    person = wtforms.StringField(
        lazy("Who is asking, and where to reply"),
        [Filled(lazy("Write who is asking, and where to reply")), AtMost(200)],
    )
    reference = wtforms.StringField(
        lazy("File"), [AtMost(20)], render_kw={"optional": True, "short": True, "spellcheck": "false"},
        description=lazy("Reference number, if the person has a file."),
    )  # fmt: skip
    identity = wtforms.StringField(
        lazy("How was the person’s identity verified?"), [AtMost(200)], render_kw={"optional": True},
        description=lazy("For example: an email from the address in the file, or a call to the number in the file."),
    )  # fmt: skip
    note = wtforms.TextAreaField(lazy("Note"), [AtMost(2000)], render_kw={"rows": "3", "optional": True})
    answered_on = _day(lazy("Answered on"), optional=True)
    outcome = forms.Pick(lazy("Outcome"), render_kw={"optional": True})
    reasons = wtforms.TextAreaField(
        lazy("If any part is refused: the reasons, the section of the law, the recourse and its time limit"), [AtMost(4000)],
        render_kw={"rows": "3", "optional": True},
    )  # fmt: skip

    case: Case | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked.choices = [*choices("privacy.right")]
        self.outcome.choices = [("", gettext("Not answered yet")), *choices("privacy.outcome")]

    def validate_received_on(self, field: DateField) -> None:
        if field.day is None:
            raise StopValidation(gettext("Choose a date"))
        _past(field)

    def validate_reference(self, field: wtforms.Field) -> None:
        typed = (field.data or "").strip()
        self.case = find(typed, me()) if typed else None
        if typed and self.case is None:
            raise StopValidation(gettext("Check the reference: no file has it, or you cannot see that file"))

    def validate_answered_on(self, field: DateField) -> None:
        if self.outcome.data and field.day is None:
            raise StopValidation(gettext("Choose a date"))
        _past(field, self.received_on)

    def validate_outcome(self, field: wtforms.Field) -> None:
        if self.answered_on.data and not field.data:
            raise StopValidation(gettext("Say what the outcome is"))

    def validate_reasons(self, field: wtforms.Field) -> None:
        if self.outcome.data in {Outcome.PARTLY, Outcome.REFUSED} and not (field.data or "").strip():
            raise StopValidation(
                gettext("Write the reasons for the refusal, the section of the law, the recourse and its time limit")
            )

    def written(self) -> Asked:
        """What was typed, once it is valid."""
        assert self.received_on.day is not None  # noqa: S101 - it was validated
        return Asked(
            self.received_on.day,
            Right(self.asked.data),
            (self.person.data or "").strip(),
            (self.identity.data or "").strip(),
            self.note.data or "",
            self.answered_on.day,
            Outcome(self.outcome.data) if self.outcome.data else None,
            (self.reasons.data or "").strip(),
        )


class IncidentForm(forms.Form):
    """An incident, with the fields of the regulation."""

    ids = "incident-"

    version = wtforms.HiddenField()
    form_key = wtforms.HiddenField()
    learned_on = _day(lazy("Date the team became aware"))
    happened = wtforms.StringField(
        lazy("When did it happen?"), [AtMost(200)], render_kw={"optional": True},
        description=lazy("The day or the period, or an approximation."),
    )  # fmt: skip
    information = wtforms.TextAreaField(
        lazy("Which personal information?"),
        [Filled(lazy("Write which information, or why it is not known")), AtMost(4000)], render_kw={"rows": "3"},
        description=lazy("If it is not known, say why."),
    )  # fmt: skip
    circumstances = wtforms.TextAreaField(
        lazy("What happened?"), [Filled(lazy("Write what happened")), AtMost(4000)], render_kw={"rows": "3"}
    )
    people = wtforms.StringField(
        lazy("Number of people concerned"), [AtMost(12)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
        description=lazy("If the exact number is not known, give an estimate."),
    )  # fmt: skip
    risk = forms.Radio(
        lazy("Is there a risk of serious injury?"), [Chosen(lazy("Say whether there is a risk of serious injury"))]
    )
    grounds = wtforms.TextAreaField(
        lazy("Why?"), [AtMost(4000)], render_kw={"rows": "3", "optional": True},
        description=lazy("How sensitive the information is, the expected consequences of its use, how likely it is to be used to cause harm."),
    )  # fmt: skip
    measures = wtforms.TextAreaField(
        lazy("What was done to reduce the risk of injury and keep it from happening again?"), [AtMost(4000)],
        render_kw={"rows": "3", "optional": True},
    )  # fmt: skip
    commission_on = _day(lazy("Date the Commission d’accès à l’information was notified"), optional=True)
    people_on = _day(lazy("Date the people concerned were notified"), optional=True)
    public_notice = wtforms.TextAreaField(
        lazy("Was there a public notice, and why?"), [AtMost(2000)], render_kw={"rows": "2", "optional": True}
    )
    closed_on = _day(lazy("Closed on"), optional=True)

    number: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.risk.choices = [*choices("privacy.risk")]

    def validate_learned_on(self, field: DateField) -> None:
        if field.day is None:
            raise StopValidation(gettext("Choose a date"))
        _past(field)

    def validate_people(self, field: wtforms.Field) -> None:
        self.number = read_people(field.data or "", MOST)

    def validate_grounds(self, field: wtforms.Field) -> None:
        if self.closed_on.data and not (field.data or "").strip():
            raise StopValidation(
                gettext(
                    "To close the incident, first say whether there is a risk of serious injury (yes or no), then say why"
                )
            )

    def validate_commission_on(self, field: DateField) -> None:
        _past(field, self.learned_on)
        if self.closed_on.data and self.risk.data == Risk.SERIOUS and field.day is None:
            raise StopValidation(
                gettext(
                    "Enter the date the Commission was notified: without it, an incident with a risk of serious injury cannot be closed"
                )
            )

    def validate_people_on(self, field: DateField) -> None:
        _past(field, self.learned_on)

    def validate_closed_on(self, field: DateField) -> None:
        _past(field, self.learned_on)
        if field.data and self.risk.data == Risk.ASSESSING:
            raise StopValidation(
                gettext(
                    "To close the incident, first say whether there is a risk of serious injury (yes or no), then say why"
                )
            )

    def written(self) -> Happened:
        """What was typed, once it is valid."""
        assert self.learned_on.day is not None  # noqa: S101 - it was validated
        return Happened(
            self.learned_on.day,
            (self.happened.data or "").strip(),
            self.information.data or "",
            self.circumstances.data or "",
            self.number,
            Risk(self.risk.data),
            (self.grounds.data or "").strip(),
            self.commission_on.day,
            self.people_on.day,
            self.public_notice.data or "",
            self.measures.data or "",
            self.closed_on.day,
        )


@bp.get("")
@coordinators
def registers() -> str:
    """Both registers: what is open, then what is settled, some at a time: `requests` and `incidents` say after which entry."""
    after = {register: whole(request.args.get(register, "")) or 0 for register in ("requests", "incidents")}
    return render_template(
        "privacy/registers.html",
        requests=services.requests(after["requests"]),
        incidents=services.incidents(after["incidents"]),
        today=clock.today(),
    )


def _key() -> str:
    return secrets.token_urlsafe(16)


# --- requests --------------------------------------------------------------------------------------------------------


def _request_or_404(number: int) -> RightsRequest:
    found = db.session.get(RightsRequest, number)
    if found is None:
        abort(404)
    return found


def _request_page(
    form: RequestForm, entry: RightsRequest | None, status: int = 200, *, theirs: bool = False
) -> Response:
    return make_response(
        render_template(
            "privacy/request.html",
            form=form,
            entry=entry,
            theirs=theirs,
            hidden=entry is not None and _hidden(entry) is not None,
            today=clock.today(),
        ),
        status,
    )


@bp.get("/requests/new")
@coordinators
def new_request() -> Response:
    return _request_page(RequestForm(data={"form_key": _key()}), None)


@bp.post("/requests/new")
@coordinators
def write_request() -> BaseResponse:
    """One request however often it is pressed."""
    form = RequestForm(request.form)
    key = form.form_key.data or _key()
    if (before := services.made_by(RightsRequest, key)) is not None:
        return _save_request(before, form, 1)  # gone back, corrected and sent again
    if not form.validate():
        return _request_page(form, None, 422)

    def write() -> RightsRequest:
        return services.write_request(form.written(), form.case, key=key, actor=me())

    entry = _once(write)
    flash(gettext("The request is in the register."))
    return redirect(url_for("privacy.request_page", number=entry.id), 303)


def _once(write: Any) -> Any:
    """What a form wrote, also when it was pressed twice at once."""
    try:
        entry = write()
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        entry = write()
        db.session.commit()
    return entry


@bp.get("/requests/<int:number>")
@coordinators
def request_page(number: int) -> Response:
    entry = _request_or_404(number)
    shown = {
        "version": str(entry.version),
        "received_on": entry.received_on.isoformat(),
        "asked": entry.asked.value,
        "person": entry.person,
        "reference": entry.case.reference if entry.case and not _hidden(entry) else "",
        "identity": entry.identity,
        "note": entry.note,
        "answered_on": entry.answered_on.isoformat() if entry.answered_on else "",
        "outcome": entry.outcome.value if entry.outcome else "",
        "reasons": entry.reasons,
    }
    return _request_page(RequestForm(data=shown), entry)


@bp.post("/requests/<int:number>/save")
@coordinators
def save_request(number: int) -> BaseResponse:
    """Keep what is known of a request now; what two people typed at once is given back."""
    form = RequestForm(request.form)
    return _save_request(_request_or_404(number), form, forms.seen_version(form.version.data))


def _save_request(entry: RightsRequest, form: RequestForm, seen_version: int) -> BaseResponse:
    def change() -> None:
        services.change_request(entry, form.written(), _hidden(entry) or form.case, seen_version, me())

    return _save(entry, form, seen_version, change, _request_page) or _done(gettext("The request is saved."))


def _save(
    entry: RightsRequest | Incident,
    form: Any,
    seen_version: int,
    change: Callable[[], None],
    page: Callable[..., Response],
) -> Response | None:
    """Change an entry; the page that says why it cannot be, with what was typed, or None once it is."""
    form.version.data = str(seen_version)  # which a form that was blank when it was first sent has not
    if not form.validate():
        return page(form, entry, 422)
    try:
        change()
    except services.StaleError:
        db.session.rollback()
        form.version.data = str(entry.version)
        return page(form, entry, 409, theirs=True)
    return None


def _hidden(entry: RightsRequest) -> Case | None:
    """The file of an entry that is not this person's to see: it stays, whatever was typed."""
    return entry.case if entry.case is not None and not may_see(me(), entry.case.id) else None


def _done(said: str) -> BaseResponse:
    db.session.commit()
    flash(said)
    return redirect(url_for("privacy.registers"), 303)


# --- incidents -------------------------------------------------------------------------------------------------------


def _incident_or_404(number: int) -> Incident:
    found = db.session.get(Incident, number)
    if found is None:
        abort(404)
    return found


def _incident_page(form: IncidentForm, entry: Incident | None, status: int = 200, *, theirs: bool = False) -> Response:
    return make_response(render_template("privacy/incident.html", form=form, entry=entry, theirs=theirs), status)


@bp.get("/incidents/new")
@coordinators
def new_incident() -> Response:
    return _incident_page(IncidentForm(data={"form_key": _key(), "risk": Risk.ASSESSING.value}), None)


@bp.post("/incidents/new")
@coordinators
def write_incident() -> BaseResponse:
    """One incident however often it is pressed."""
    form = IncidentForm(request.form)
    key = form.form_key.data or _key()
    if (before := services.made_by(Incident, key)) is not None:
        return _save_incident(before, form, 1)  # gone back, corrected and sent again
    if not form.validate():
        return _incident_page(form, None, 422)

    def write() -> Incident:
        return services.write_incident(form.written(), key=key, actor=me())

    entry = _once(write)
    flash(gettext("The incident is in the register."))
    return redirect(url_for("privacy.incident_page", number=entry.id), 303)


@bp.get("/incidents/<int:number>")
@coordinators
def incident_page(number: int) -> Response:
    entry = _incident_or_404(number)
    shown = {
        "version": str(entry.version),
        "learned_on": entry.learned_on.isoformat(),
        "people": "" if entry.people is None else str(entry.people),
        "risk": entry.risk.value,
    }
    for name in ("happened", "information", "circumstances", "grounds", "public_notice", "measures"):
        shown[name] = getattr(entry, name)
    for name in ("commission_on", "people_on", "closed_on"):
        day = getattr(entry, name)
        shown[name] = day.isoformat() if day else ""
    return _incident_page(IncidentForm(data=shown), entry)


@bp.post("/incidents/<int:number>/save")
@coordinators
def save_incident(number: int) -> BaseResponse:
    """Keep what is known of an incident now; what two people typed at once is given back."""
    form = IncidentForm(request.form)
    return _save_incident(_incident_or_404(number), form, forms.seen_version(form.version.data))


def _save_incident(entry: Incident, form: IncidentForm, seen_version: int) -> BaseResponse:
    def change() -> None:
        services.change_incident(entry, form.written(), seen_version, me())

    return _save(entry, form, seen_version, change, _incident_page) or _done(gettext("The incident is saved."))
