"""The page on which a body says what was asked of it and what it decided, by the link of a referral that it took on."""

from typing import Any

import wtforms
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.access import by_link
from crm.db import db
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.financing import by_body
from crm.financing.by_body import Said
from crm.financing.models import Application
from crm.financing.rules import DECIDED, Status
from crm.forms import AmountField, AtMost, Chosen, DateField, whole
from crm.i18n import format_amount, gettext, in_both_languages, lazy
from crm.partners.vocabulary import Instrument
from crm.referrals.body_views import of_another, referral_of_cookie
from crm.referrals.forms import FARTHEST
from crm.referrals.models import Referral
from crm.referrals.person_views import neutral
from crm.texts import choices

bp = Blueprint("financing_body", __name__)

_SHORT = {"inputmode": "decimal", "short": True, "optional": True}
_DAY = {"type": "date", "optional": True}
PATHS = ("/fr/mise-en-relation/financement", "/en/referral/financing")


class SaidForm(forms.Form):
    """What a body says of one application."""

    status = forms.Radio(lazy("Where does it stand?"), [Chosen(lazy("Say where the application stands"))])
    instrument = forms.Pick(lazy("Kind of financing"), [Chosen(lazy("Choose a kind of financing"))])
    asked = AmountField(lazy("Amount asked for"), render_kw=_SHORT)
    due_on = DateField(lazy("Decision expected on"), render_kw=_DAY)
    granted = AmountField(lazy("Amount granted"), render_kw=_SHORT)
    on = DateField(lazy("Date of the decision"), render_kw=_DAY, description=lazy("Today, when left blank."))
    expires_on = DateField(lazy("To be taken up before"), render_kw=_DAY)
    conditions = wtforms.TextAreaField(
        lazy("Conditions, or reasons"),
        [AtMost(2000)],
        render_kw={"rows": "4", "optional": True},
        description=lazy("The team reads this, not the person."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.status.choices = choices("financing.said")
        self.instrument.choices = [("", gettext("Choose…")), *choices("partners.instrument")]

    def validate_granted(self, field: AmountField) -> None:
        if self.status.data == Status.GRANTED and not field.cents:
            raise StopValidation(gettext("Enter the amount granted"))

    def validate_due_on(self, field: DateField) -> None:
        today = clock.today()
        if self.status.data == Status.FILED and field.day and not today <= field.day <= today + FARTHEST:
            raise StopValidation(gettext("Choose a date from today to two years ahead"))

    def validate_on(self, field: DateField) -> None:
        if self.status.data not in DECIDED or not field.day:
            return
        if not clock.today() - FARTHEST <= field.day <= clock.today():
            raise StopValidation(gettext("Choose today or an earlier day, of the last two years"))

    def validate_expires_on(self, field: DateField) -> None:
        if self.status.data == Status.GRANTED and field.day and field.day < (self.on.day or clock.today()):
            raise StopValidation(gettext("Choose a day that is not before the decision"))

    def said(self) -> Said:
        return Said(
            status=Status(self.status.data),
            instrument=Instrument(self.instrument.data),
            asked=self.asked.cents,
            granted=self.granted.cents,
            conditions=self.conditions.data or "",
            on=self.on.day,
            due_on=self.due_on.day,
            expires_on=self.expires_on.day,
        )


def _form_of(one: Application | None) -> SaidForm:
    if one is None:
        return SaidForm()
    days = {"due_on": one.decision_due_on, "on": one.decided_on, "expires_on": one.expires_on}
    return SaidForm(
        data={
            "status": one.status.value,
            "instrument": one.instrument.value,
            "asked": "" if one.asked is None else format_amount(one.asked),
            "granted": "" if one.granted is None else format_amount(one.granted),
            "conditions": one.conditions,
            **{name: day.isoformat() if day else "" for name, day in days.items()},
        }
    )


@in_both_languages(bp, *PATHS)
@by_link
def page(lang: str) -> str | BaseResponse:
    """What the body said of the financing, and a form to say more, or to say how one of them goes on."""
    del lang
    referral = referral_of_cookie()
    if referral is None or referral.status not in by_body.MAY_SPEAK:
        return neutral()
    return _page(referral, whole(request.args.get("number", "")))


def _page(referral: Referral, number: int | None, form: SaidForm | None = None) -> str:
    """`number` is of what the body says more about; none, or one that is not its own, is of something new."""
    spoken_of = by_body.spoken_of(referral)
    chosen = next((one for one in spoken_of if one.id == number), None)
    return render_template(
        "financing/by_body.html",
        referral=referral,
        spoken_of=[(one, by_body.may_say(one)) for one in spoken_of],
        chosen=chosen if chosen is not None and by_body.may_say(chosen) else None,
        said_form=form or _form_of(chosen),
        form=form,
        said=request.args.get("said") == "1",
    )


@in_both_languages(bp, *PATHS, ("POST",))
@by_link
def say(lang: str) -> BaseResponse | tuple[str, int]:
    """The body says where an application stands."""
    referral = referral_of_cookie()
    form = SaidForm(request.form)
    typed = [text for text in (form.conditions.data, form.asked.data, form.granted.data) if text]
    if referral is None:
        return neutral(*typed)
    if (another := of_another(referral, *typed)) is not None:
        return another
    number = whole(request.form.get("number", ""))
    if request.form.get("_lang"):
        # The language button of the form: same page, same words typed, nothing said.
        return make_response(_page(referral, number, form))
    if not form.validate():
        return _page(referral, number, form), 422
    try:
        by_body.say(
            referral, form.said(), number=number, seen_version=forms.seen_version(request.form.get("version", ""))
        )
    except RefusedError as refusal:
        db.session.rollback()
        return error_page(409, gettext("This cannot be done now"), *refusal.reasons, *typed)
    db.session.commit()
    return redirect(url_for("financing_body.page", lang=lang, said=1), 303)
