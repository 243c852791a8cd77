"""An adviser's own hours, and the feed that their calendar reads."""

from datetime import timedelta
from typing import Any

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import CASE_ROLES, by_link, case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import visible
from crm.db import db
from crm.forms import AtMost, Chosen, DateField, Filled
from crm.i18n import LOCALES, gettext, in_both_languages, lazy, weekdays
from crm.links.models import Link, Purpose
from crm.links.services import issue, opened, revoke
from crm.links.services import token as token_of
from crm.outbox.services import settings
from crm.reminders.forms import DueDay
from crm.reminders.today import in_calendars
from crm.talks import calendars, hours
from crm.talks.models import Mode, Talk, TalkRules, TalkState
from crm.talks.slots import Span, read_spans, write_spans
from crm.texts import choices, text

bp = Blueprint("hours", __name__, url_prefix="/staff/hours")
feed_bp = Blueprint("feed", __name__)
FEED_DAYS = 3650
LONGEST_HOURS = 200
PAST_SHOWN = timedelta(days=90)


class Hours:
    """Hours that can be read; `spans` holds them by the name of the field."""

    def __call__(self, form: Any, field: wtforms.Field) -> None:
        typed = field.data or ""
        read = read_spans(typed) if len(typed) <= LONGEST_HOURS else None
        if read is None:
            raise StopValidation(
                gettext("Write the hours like %(example)s, without overlap", example="9:00-12:00, 13:30-17:00")
            )
        if len(write_spans(read)) > LONGEST_HOURS:
            raise StopValidation(gettext("Write fewer hours"))
        form.spans[field.name] = read


class HoursForm(forms.Form):
    version = wtforms.HiddenField()
    offered = wtforms.BooleanField(lazy("Offer these times to people who ask to talk"))
    monday = wtforms.StringField(validators=[Hours()])
    tuesday = wtforms.StringField(validators=[Hours()])
    wednesday = wtforms.StringField(validators=[Hours()])
    thursday = wtforms.StringField(validators=[Hours()])
    friday = wtforms.StringField(validators=[Hours()])
    saturday = wtforms.StringField(validators=[Hours()])
    sunday = wtforms.StringField(validators=[Hours()])
    minutes = forms.Pick(lazy("Length of a talk"), [Chosen(lazy("Choose a length"))])
    buffer = forms.Pick(lazy("Kept free after each talk"), [Chosen(lazy("Choose a length"))])
    notice_hours = forms.Pick(lazy("Notice before a talk"), [Chosen(lazy("Choose a notice"))])
    languages = forms.Boxes(lazy("Languages"), [Filled(lazy("Tick at least one language"))])
    modes = forms.Boxes(lazy("How"), [Filled(lazy("Tick at least one way"))])
    regions = forms.Boxes(lazy("Regions you serve"), description=lazy("None ticked: all of them."))
    video_address = wtforms.StringField(
        lazy("Address of your video room"), [AtMost(300)], render_kw={"inputmode": "url", "optional": True}
    )
    place = wtforms.StringField(lazy("Place of talks in person"), [AtMost(300)], render_kw={"optional": True})

    DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spans: dict[str, list[Span]] = {}
        self.minutes.choices = [(str(n), gettext("%(minutes)s minutes", minutes=n)) for n in (15, 30, 45, 60, 90)]
        self.buffer.choices = [(str(n), gettext("%(minutes)s minutes", minutes=n)) for n in (0, 15, 30)]
        self.notice_hours.choices = [(str(n), gettext("%(hours)s hours", hours=n)) for n in (2, 4, 24, 48, 72)]
        self.languages.choices = [("fr", gettext("French")), ("en", gettext("English"))]
        self.modes.choices = choices("talks.mode")
        self.regions.choices = choices("cases.region")

    def validate_video_address(self, field: wtforms.Field) -> None:
        if field.data and not field.data.startswith("https://"):
            raise StopValidation(gettext("Begin the address with https://"))
        if Mode.VIDEO in (self.modes.data or ()) and not field.data:
            raise StopValidation(gettext("Write the address of the room, or untick video calls"))

    def validate_place(self, field: wtforms.Field) -> None:
        if Mode.IN_PERSON in (self.modes.data or ()) and not field.data:
            raise StopValidation(gettext("Write where you meet people, or untick talks in person"))


class ExceptionForm(forms.Form):
    ids = "exception-"

    day = DateField(lazy("Date"), [Filled(lazy("Choose a date")), DueDay()], render_kw={"type": "date"})
    hours = wtforms.StringField(
        lazy("Hours"),
        [Hours()],
        render_kw={"optional": True},
        description=lazy("Blank: the day is closed."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spans: dict[str, list[Span]] = {}


@bp.get("")
@case_team
def mine() -> str:
    return _page(_filled(), ExceptionForm())


def _filled() -> HoursForm:
    staff = me()
    rules, weekly = hours.rules_of(staff), hours.weekly_of(staff)
    typed: dict[str, Any] = {name: weekly[place] for place, name in enumerate(HoursForm.DAYS)}
    for name in ("minutes", "buffer", "notice_hours", "version"):
        typed[name] = str(getattr(rules, name))
    for name in ("offered", "languages", "modes", "regions", "video_address", "place"):
        typed[name] = getattr(rules, name)
    return HoursForm(data=typed)


def _page(form: HoursForm, exception: ExceptionForm, address: str = "") -> str:
    from_monday = dict(zip(HoursForm.DAYS, weekdays(), strict=True))
    feed = db.session.scalar(_my_feed())
    return render_template(
        "talks/hours.html",
        form=form,
        exception_form=exception,
        refused=exception if exception.errors else form,
        names=from_monday,
        exceptions=hours.exceptions_of(me()),
        has_feed=feed is not None,
        address=address,
    )


def _my_feed() -> Any:
    return select(Link.id).where(Link.purpose == Purpose.FEED, Link.object_id == me().id, Link.revoked_at.is_(None))


@bp.post("")
@case_team
def save() -> BaseResponse | tuple[str, int]:
    form = HoursForm(request.form)
    if not form.validate():
        return _page(form, ExceptionForm()), 422
    staff = db.session.get_one(Staff, me().id, with_for_update=True)
    rules = hours.rules_of(staff)
    if str(rules.version) != (form.version.data or ""):
        form.offered.errors = [
            gettext("You changed your hours in another window. Check what you typed, then save again")
        ]
        form.version.data = str(rules.version)
        return _page(form, ExceptionForm()), 409
    _keep(rules, form)
    hours.save_weekly(staff, {place: form.spans[name] for place, name in enumerate(HoursForm.DAYS)})
    db.session.commit()
    flash(gettext("Your hours are saved."))
    return redirect(url_for("hours.mine"), 303)


def _keep(rules: TalkRules, form: HoursForm) -> None:
    rules.offered = bool(form.offered.data)
    rules.minutes, rules.buffer = int(form.minutes.data), int(form.buffer.data)
    rules.notice_hours = int(form.notice_hours.data)
    rules.languages, rules.modes, rules.regions = form.languages.data, form.modes.data, form.regions.data
    rules.video_address, rules.place = form.video_address.data or "", form.place.data or ""
    rules.version += 1
    db.session.add(rules)


@bp.post("/exceptions")
@case_team
def add_exception() -> BaseResponse | tuple[str, int]:
    form = ExceptionForm(request.form)
    if not form.validate() or form.day.day is None:
        return _page(_filled(), form), 422
    staff = db.session.get_one(Staff, me().id, with_for_update=True)  # two presses follow each other
    hours.save_exception(staff, form.day.day, form.spans["hours"])
    db.session.commit()
    flash(gettext("That day is noted. Talks already booked on it stay: move them if need be."))
    return redirect(url_for("hours.mine"), 303)


@bp.post("/exceptions/remove")
@case_team
def remove_exception() -> BaseResponse:
    form = DayForm(request.form)
    if form.validate() and form.day.day is not None:
        hours.forget_exception(me(), form.day.day)
        db.session.commit()
    return redirect(url_for("hours.mine"), 303)


class DayForm(forms.Form):
    day = DateField(validators=[Filled("")])


@bp.post("/feed")
@case_team
def new_feed() -> BaseResponse:
    """A new address for my calendar, shown once; the former one stops working."""
    link = issue(Purpose.FEED, me().id, days=FEED_DAYS)
    path = {"fr": "fr/agenda", "en": "en/calendar"}[me().language]
    address = f"{settings().base_url}/{path}/{token_of(link)}"
    response = make_response(_page(_filled(), ExceptionForm(), address))
    db.session.commit()
    return response


@bp.post("/feed/revoke")
@case_team
def no_feed() -> BaseResponse:
    revoke(Purpose.FEED, me().id)
    db.session.commit()
    flash(gettext("The address of your calendar no longer works."))
    return redirect(url_for("hours.mine"), 303)


@in_both_languages(feed_bp, "/fr/agenda/<token>", "/en/calendar/<token>")
@by_link
def feed(lang: str, token: str) -> Response:
    """An adviser's talks and follow-ups, or with `only=talks` the first alone, for Outlook, Google and Apple calendars. Reading it changes nothing."""
    link = opened(token, Purpose.FEED)
    staff = db.session.get(Staff, link.object_id) if link else None
    if staff is None or not staff.active or staff.role not in CASE_ROLES:
        abort(404)
    rows = db.session.execute(
        select(Talk, Case)
        .join(Case, Case.id == Talk.case_id)
        .where(visible(staff), Talk.adviser_id == staff.id, Talk.starts_at > clock.now() - PAST_SHOWN)
        .where(Talk.state.in_((TalkState.BOOKED, TalkState.HELD, TalkState.CANCELLED)))
        .order_by(Talk.starts_at)
        .limit(1000)
    )
    to_do = [] if request.args.get("only") == "talks" else in_calendars(staff)
    content = calendars.feed([(row[0], row[1]) for row in rows], to_do, language=lang, name=staff.name)
    response = Response(content, content_type="text/calendar; charset=utf-8")
    response.headers["Content-Disposition"] = f'inline; filename="{text("talks.calendar.file")}"'
    response.headers["Content-Language"] = LOCALES[lang]
    response.headers["X-Robots-Tag"] = "noindex"
    return response
