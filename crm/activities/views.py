"""Form C for the public, and the activities of staff."""

import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms, robots
from crm.access import case_team, public
from crm.accounts.feature import me
from crm.activities import services
from crm.activities.models import GROUPS, Activity, Audience, Kind, Spoken, State
from crm.activities.services import Asked, Written
from crm.db import db
from crm.formats import read_email
from crm.forms import AtMost, Chosen, DateField, Filled, read_people
from crm.i18n import format_month, gettext, in_both_languages, language, lazy
from crm.partners.models import Body
from crm.partners.queries import by_codes, directory
from crm.security import client_network, counted
from crm.texts import choices, text

bp = Blueprint("activities", __name__)
MONTHS = 12
LARGEST = 100_000


class AskForm(forms.Form):
    """Form C: domain reference, section 13.4."""

    form_key = wtforms.HiddenField()
    shown_at = wtforms.HiddenField()
    organization = wtforms.StringField(
        lazy("Your organization"), [Filled(lazy("Write the name of your organization")), AtMost(200)],
        render_kw={"autocomplete": "organization"},
    )  # fmt: skip
    contact_name = wtforms.StringField(
        lazy("Your name"), [Filled(lazy("Enter your name")), AtMost(120)],
        render_kw={"autocomplete": "name", "spellcheck": "false"},
    )  # fmt: skip
    email = wtforms.StringField(
        lazy("Your work email"), [AtMost(254)], render_kw={"type": "email", "autocomplete": "email"}
    )
    kind = forms.Radio(lazy("What kind of activity?"), [Chosen(lazy("Choose the kind of activity"))])
    spoken = forms.Radio(lazy("Language of the activity"), [Chosen(lazy("Choose a language"))])
    audiences = forms.Boxes(lazy("Who is it for?"))
    expected = wtforms.StringField(
        lazy("How many people do you expect?"), [AtMost(12)], render_kw={"inputmode": "numeric", "short": True}
    )
    month = forms.Pick(lazy("When would suit you?"))
    place = wtforms.StringField(
        lazy("Where?"), [AtMost(200)], description=lazy("A neighbourhood or an address, or “online”.")
    )
    message = wtforms.TextAreaField(lazy("Anything else we should know?"), [AtMost(2000)])

    people: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spoken.choices = [*choices("activities.spoken")]
        self.kind.choices = [one for one in choices("activities.kind") if one[0] not in GROUPS]
        self.audiences.choices = [*choices("activities.audience")]
        self.month.choices = [("", gettext("No preference")), *coming_months(clock.today())]

    def validate_email(self, field: wtforms.Field) -> None:
        if not field.data:
            raise StopValidation(gettext("Enter an email address"))
        if read_email(field.data) is None:
            raise StopValidation(gettext("Enter a full email address, like name@example.ca"))

    def validate_expected(self, field: wtforms.Field) -> None:
        self.people = read_people(field.data or "", LARGEST)


def coming_months(today: date) -> list[tuple[str, str]]:
    """This month and the eleven after it: (2026-11, novembre 2026)."""
    firsts = [date(today.year + (today.month - 1 + n) // 12, (today.month - 1 + n) % 12 + 1, 1) for n in range(MONTHS)]
    return [(first.isoformat()[:7], format_month(first)) for first in firsts]


@in_both_languages(bp, "/fr/activite", "/en/activity")
@public
def ask(lang: str) -> str:
    del lang
    return _ask_page(AskForm(data={"form_key": secrets.token_urlsafe(16), "shown_at": robots.beginning()}))


def _ask_page(form: AskForm) -> str:
    return render_template(
        "activities/ask.html",
        form=form,
        trap=robots.TRAP,
        puzzle=robots.puzzle(form.shown_at.data or ""),
        bits=robots.bits_asked(),
    )


@in_both_languages(bp, "/fr/activite", "/en/activity", ("POST",))
@public
def send(lang: str) -> BaseResponse | tuple[str, int]:
    """One activity however often it is pressed; the language button keeps what was typed."""
    form = AskForm(request.form)
    if request.form.get("_lang"):  # the same page in the other language, with what was typed and the same errors
        if request.form.get("tried"):
            form.validate()
        return _ask_page(form), 200
    if not form.validate():
        return _ask_page(form), 422
    key = _key_of(form)
    if services.received_as(key) is None:
        why = robots.suspicions(
            trap=bool(request.form.get(robots.TRAP)),
            seconds=robots.seconds_since(form.shown_at.data or ""),
            links=robots.links_in(form.message.data or ""),
            from_network=counted("request", client_network(), seconds=3600),
            in_all=services.lately(),
            proven=robots.is_solved(form.shown_at.data or "", request.form.get("proof", "")),
        )
        try:
            services.ask_for(_asked(form), key=key, language=lang, why_suspect=[one.value for one in why])
            db.session.commit()
        except IntegrityError:  # the same form, pressed twice at once
            db.session.rollback()
            if services.received_as(key) is None:
                raise
    return redirect(url_for("activities.received", lang=lang), 303)


def _key_of(form: Any) -> str:
    """What was corrected and sent again is another activity: the key is the form's and its words'."""
    typed = " ".join(str(field.data) for field in form if field.name != "shown_at")
    return f"{form.form_key.data or secrets.token_urlsafe(16)} {typed}"


def _asked(form: AskForm) -> Asked:
    return Asked(
        organization=form.organization.data or "",
        contact_name=form.contact_name.data or "",
        email=read_email(form.email.data or "") or "",
        spoken=Spoken(form.spoken.data),
        kind=Kind(form.kind.data),
        audiences=[Audience(one).value for one in form.audiences.data],
        expected=form.people,
        month=form.month.data or "",
        place=form.place.data or "",
        message=form.message.data or "",
    )


@in_both_languages(bp, "/fr/activite/merci", "/en/activity/thank-you")
@public
def received(lang: str) -> str:
    del lang
    return render_template("activities/received.html")


# --- staff -----------------------------------------------------------------------------------------------------------


class _WithBodies(forms.Form):
    """The bodies that were present: active ones, local offices under the body that they are of, and those that an activity names already."""

    bodies = forms.Boxes(lazy("Organizations present"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bodies.choices = []
        self.offer([body for body in directory() if body.part_of_id is None])

    def offer(self, there: Sequence[Body]) -> None:
        """Offer bodies that are not offered yet."""
        known = {code for code, _short in self.bodies.choices}
        self.bodies.choices += [(body.code, body.short(language())) for body in there if body.code not in known]


class WriteForm(_WithBodies):
    """An activity of the team, written down once it was held, or planned."""

    ids = "written-"

    form_key = wtforms.HiddenField()
    day = DateField(lazy("Date"), render_kw={"type": "date"}, description=lazy("A day to come makes it planned."))
    kind = forms.Radio(lazy("What was it?"), [Chosen(lazy("Choose the kind of activity"))])
    spoken = forms.Radio(lazy("Language of the activity"), [Chosen(lazy("Choose a language"))])
    audiences = forms.Boxes(lazy("Who was it for?"))
    participants = wtforms.StringField(
        lazy("Number of participants"), [AtMost(12)], render_kw={"inputmode": "numeric", "short": True}
    )
    organization = wtforms.StringField(lazy("With whom, or at whose place?"), [AtMost(200)])
    place = wtforms.StringField(lazy("Place"), [AtMost(200)])
    note = wtforms.TextAreaField(lazy("Note"), [AtMost(2000)], render_kw={"rows": "3", "optional": True})

    people: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [*choices("activities.kind")]
        self.spoken.choices = [*choices("activities.spoken")]
        self.audiences.choices = [*choices("activities.audience")]

    def validate_day(self, field: DateField) -> None:
        if field.day is None:
            raise StopValidation(gettext("Choose a date"))

    def validate_participants(self, field: wtforms.Field) -> None:
        self.people = read_people(field.data or "", LARGEST)
        if self.people is None and self.day.day is not None and self.day.day <= clock.today():
            raise StopValidation(gettext("Write how many people took part"))

    def written(self) -> Written:
        """What was typed, once it is valid."""
        assert self.day.day is not None  # noqa: S101 - it was validated
        return Written(
            self.day.day,
            Kind(self.kind.data),
            Spoken(self.spoken.data),
            [Audience(one).value for one in self.audiences.data],
            self.people,
            by_codes(self.bodies.data),
            (self.organization.data or "").strip(),
            (self.place.data or "").strip(),
            self.note.data or "",
        )


class SettleForm(_WithBodies):
    """What becomes of an activity."""

    ids = "settle-"

    version = wtforms.HiddenField()
    state = forms.Radio(lazy("What becomes of it?"), [Chosen(lazy("Say what becomes of it"))])
    day = DateField(lazy("Date"), render_kw={"type": "date"})
    participants = wtforms.StringField(
        lazy("Number of participants"), [AtMost(12)], render_kw={"inputmode": "numeric", "short": True}
    )
    note = wtforms.TextAreaField(lazy("Note"), [AtMost(2000)], render_kw={"rows": "3", "optional": True})

    people: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state.choices = [one for one in choices("activities.settle") if one[0] != State.ASKED]

    def validate_day(self, field: DateField) -> None:
        if self.state.data in {State.PLANNED, State.HELD} and field.day is None:
            raise StopValidation(gettext("Choose a date"))
        if self.state.data == State.HELD and field.day and field.day > clock.today():
            raise StopValidation(gettext("An activity that was held has a date in the past"))

    def validate_participants(self, field: wtforms.Field) -> None:
        self.people = read_people(field.data or "", LARGEST)
        if self.state.data == State.HELD and self.people is None:
            raise StopValidation(gettext("Write how many people took part"))


def _activity_or_404(number: int, *, lock: bool = False) -> Activity:
    found = db.session.get(Activity, number, with_for_update=lock or None)
    if found is None:
        abort(404)
    return found


@bp.get("/staff/activities")
@case_team
def activities() -> str:
    return render_template(
        "activities/list.html", waiting=services.waiting(), settled=services.settled(), today=clock.today()
    )


@bp.get("/staff/activities/new")
@case_team
def new() -> str:
    """The form of an activity that the team writes down."""
    return render_template("activities/write.html", form=WriteForm(data={"form_key": secrets.token_urlsafe(16)}))


@bp.post("/staff/activities/new")
@case_team
def write_down() -> BaseResponse | tuple[str, int]:
    """One activity however often it is pressed."""
    form = WriteForm(request.form)
    if not form.validate():
        return render_template("activities/write.html", form=form), 422
    key = _key_of(form)
    try:
        found = services.write_down(form.written(), key=key, actor=me())
        db.session.commit()
    except IntegrityError:  # the same form, pressed twice at once
        db.session.rollback()
        before = services.received_as(key)
        if before is None:
            raise
        found = before
    flash(text("activities.said.written"))
    return redirect(url_for("activities.activity", number=found.id), 303)


@bp.get("/staff/activities/<int:number>")
@case_team
def activity(number: int) -> Response:
    found = _activity_or_404(number)
    day = found.held_on or (found.planned_on if found.state is State.PLANNED else None)
    shown = {
        "version": str(found.version),
        "state": "" if found.state is State.ASKED else found.state,
        "day": day.isoformat() if day else "",
        "participants": "" if found.participants is None else str(found.participants),
        "note": found.note,
        "bodies": [body.code for body in found.bodies],
    }
    return _page(found, SettleForm(data=shown))


def _page(found: Activity, form: SettleForm, status: int = 200, *, theirs: bool = False) -> Response:
    form.offer(found.bodies)
    body = render_template(
        "activities/page.html", activity=found, form=form, theirs=theirs, months=dict(_month_of(found))
    )
    return make_response(body, status)


def _month_of(found: Activity) -> list[tuple[str, str]]:
    return [(found.month, format_month(date.fromisoformat(f"{found.month}-01")))] if found.month else []


@bp.post("/staff/activities/<int:number>/take")
@case_team
def take(number: int) -> BaseResponse:
    found = _activity_or_404(number, lock=True)
    services.take(found, me())
    db.session.commit()
    flash(gettext("You are seeing to this activity."))
    return redirect(url_for("activities.activity", number=number), 303)


@bp.post("/staff/activities/<int:number>/release")
@case_team
def release(number: int) -> BaseResponse:
    """One press: it is a person's request, and the acknowledgement leaves."""
    found = _activity_or_404(number, lock=True)
    services.release(found, me())
    db.session.commit()
    flash(gettext("The request is out of quarantine. What was to leave for it is on its way."))
    return redirect(url_for("activities.activity", number=number), 303)


@bp.post("/staff/activities/<int:number>/settle")
@case_team
def settle(number: int) -> BaseResponse:
    found = _activity_or_404(number)
    form = SettleForm(request.form)
    form.offer(found.bodies)
    if not form.validate():
        return _page(found, form, 422)
    try:
        services.settle(
            found,
            State(form.state.data),
            me(),
            seen_version=forms.seen_version(form.version.data),
            day=form.day.day,
            participants=form.people,
            note=form.note.data or "",
            bodies=by_codes(form.bodies.data),
        )
    except services.StaleError:
        db.session.rollback()
        found = _activity_or_404(number)
        form.version.data = str(found.version)
        return _page(found, form, 409, theirs=True)
    db.session.commit()
    flash(text("activities.said.settled"))
    return redirect(url_for("activities.activity", number=number), 303)
