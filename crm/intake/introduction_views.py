"""Form B: a partner sends a project our way, in two steps, the person's agreement first."""

import secrets
from datetime import timedelta
from typing import Any

import wtforms
from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import clock, forms, robots
from crm.access import case_team, public
from crm.accounts.feature import me
from crm.cases.views import back_to, case_or_404
from crm.cases.vocabulary import PreferredLanguage
from crm.db import db
from crm.errors import RefusedError
from crm.formats import read_email, read_phone
from crm.forms import AtMost, Chosen, DateField, Filled
from crm.i18n import gettext, in_both_languages, lazy
from crm.intake import introductions, services
from crm.intake.forms import LONGEST_DESCRIPTION, SHORTEST_DESCRIPTION
from crm.intake.introductions import Person, Sender
from crm.intake.models import Agreed, Answer
from crm.security import client_network, counted
from crm.texts import choices, text

bp = Blueprint("introductions", __name__)
OLDEST_AGREEMENT = timedelta(days=365)


class SenderForm(forms.Form):
    """Who sends the project, and whether the person agrees. Nothing about the person is asked before."""

    form_key = wtforms.HiddenField()
    shown_at = wtforms.HiddenField()
    organization = wtforms.StringField(
        lazy("Your organization"), [Filled(lazy("Write the name of your organization")), AtMost(200)],
        render_kw={"autocomplete": "organization"},
    )  # fmt: skip
    partner_name = wtforms.StringField(
        lazy("Your name"), [Filled(lazy("Enter your name")), AtMost(120)],
        render_kw={"autocomplete": "name", "spellcheck": "false"},
    )  # fmt: skip
    partner_email = wtforms.StringField(
        lazy("Your work email"), [AtMost(254)], render_kw={"type": "email", "autocomplete": "email"}
    )
    consent = forms.Radio(
        lazy("Does the person agree that you share their contact details with us?"),
        [Chosen(lazy("Say whether the person agrees"))],
    )
    agreed = forms.Radio(lazy("How did the person agree?"))
    agreed_on = DateField(lazy("When?"), render_kw={"type": "date"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.consent.choices = [*choices("intake.option.yes_no")]
        self.agreed.choices = [*choices("intake.agreed")]

    @property
    def agrees(self) -> bool:
        return bool(self.consent.data == "yes")

    def validate_partner_email(self, field: wtforms.Field) -> None:
        if not field.data:
            raise StopValidation(gettext("Enter an email address"))
        if read_email(field.data) is None:
            raise StopValidation(gettext("Enter a full email address, like name@example.ca"))

    def validate_agreed(self, field: wtforms.Field) -> None:
        if self.agrees and not field.data:
            raise StopValidation(gettext("Say how the person agreed"))

    def validate_agreed_on(self, field: DateField) -> None:
        if not self.agrees:
            return
        today = clock.today()
        if field.day is None or not today - OLDEST_AGREEMENT <= field.day <= today:
            raise StopValidation(gettext("Choose a day within the last twelve months"))


class PersonForm(forms.Form):
    """Whom the partner tells us of."""

    contact_name = wtforms.StringField(
        lazy("The person’s name"),
        [Filled(lazy("Write the person’s name")), AtMost(120)],
        render_kw={"spellcheck": "false"},
    )
    email = wtforms.StringField(lazy("The person’s email"), [AtMost(254)], render_kw={"type": "email"})
    phone = wtforms.StringField(lazy("The person’s phone"), [AtMost(60)], render_kw={"type": "tel"})
    lang_pref = forms.Radio(lazy("The person’s language"), [Chosen(lazy("Choose a language"))])
    summary = wtforms.TextAreaField(
        lazy("The project and the need, in two sentences"), [AtMost(LONGEST_DESCRIPTION)], render_kw={"rows": "5"}
    )

    email_read: str = ""
    phone_read: tuple[str, str] = ("", "")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lang_pref.choices = [*choices("intake.option.lang_pref")]

    def validate_email(self, field: wtforms.Field) -> None:
        if not field.data and not self.phone.data:
            raise StopValidation(gettext("Write an email address or a phone number for the person"))
        if field.data:
            read = read_email(field.data)
            if read is None:
                raise StopValidation(gettext("Enter a full email address, like name@example.ca"))
            self.email_read = read

    def validate_phone(self, field: wtforms.Field) -> None:
        if field.data:
            read = read_phone(field.data)
            if read is None:
                raise StopValidation(text("intake.question.phone.wrong"))
            self.phone_read = read

    def validate_summary(self, field: wtforms.Field) -> None:
        if len(field.data or "") < SHORTEST_DESCRIPTION:
            field.errors = []
            raise StopValidation(text("intake.question.description.empty"))


@in_both_languages(bp, "/fr/diriger-un-projet", "/en/send-a-project")
@public
def start(lang: str) -> str:
    del lang
    return _first(SenderForm(data={"form_key": secrets.token_urlsafe(16), "shown_at": robots.beginning()}))


def _first(form: SenderForm) -> str:
    return render_template(
        "intake/introduce.html",
        form=form,
        person=None,
        trap=robots.TRAP,
        puzzle=robots.puzzle(form.shown_at.data or ""),
        bits=robots.bits_asked(),
    )


def _second(form: SenderForm, person: PersonForm) -> str:
    return render_template(
        "intake/introduce.html",
        form=form,
        person=person,
        trap=robots.TRAP,
        puzzle=robots.puzzle(form.shown_at.data or ""),
        bits=robots.bits_asked(),
    )


@in_both_languages(bp, "/fr/diriger-un-projet", "/en/send-a-project", ("POST",))
@public
def send(lang: str) -> BaseResponse | str | tuple[str, int]:
    """Both steps come here: the first leads to the second, and only a person who agrees is written down."""
    form = SenderForm(request.form)
    second = "step" in request.form
    if request.form.get("_lang"):  # the same step in the other language, with what was typed and the same errors
        person = PersonForm(request.form) if second else None
        if request.form.get("tried"):
            (person or form).validate()
        return _second(form, person) if person else _first(form)
    if not form.validate():
        return _first(form), 422
    if not form.agrees:
        return render_template("intake/introduce_no.html")
    if not second or request.form.get("_back"):
        return _first(form) if second else _second(form, PersonForm())
    person = PersonForm(request.form)
    if not person.validate():
        return _second(form, person), 422
    _receive(form, person, lang)
    return redirect(url_for("introductions.received", lang=lang), 303)


def _typed(form: SenderForm, person: PersonForm) -> list[str]:
    """What goes into a message to somebody else: an address of a site in it is a robot's."""
    return [field.data or "" for field in (form.organization, form.partner_name, person.contact_name, person.summary)]


def _receive(form: SenderForm, person: PersonForm, lang: str) -> None:
    """One file however often it is pressed."""
    typed = " ".join(str(field.data) for field in person)  # corrected and sent again, it is another
    sent = f"{form.form_key.data or secrets.token_urlsafe(16)} {typed}"
    if services.received_as(sent) is not None:
        return
    why = robots.suspicions(
        trap=bool(request.form.get(robots.TRAP)),
        seconds=robots.seconds_since(form.shown_at.data or ""),
        links=robots.MOST_LINKS + 1 if any(robots.links_in(typed) for typed in _typed(form, person)) else 0,
        from_network=counted("request", client_network(), seconds=3600),
        in_all=services.lately(),
        proven=robots.is_solved(form.shown_at.data or "", request.form.get("proof", "")),
    )
    for turn in range(3):
        try:
            introductions.introduce(
                Sender(
                    organization=form.organization.data or "",
                    contact_name=form.partner_name.data or "",
                    email=read_email(form.partner_email.data or "") or "",
                    agreed=Agreed(form.agreed.data),
                    agreed_on=form.agreed_on.day or clock.today(),
                ),
                Person(
                    name=person.contact_name.data or "",
                    language=PreferredLanguage(person.lang_pref.data),
                    email=person.email_read,
                    phone=person.phone_read[0],
                    phone_extension=person.phone_read[1],
                    summary=person.summary.data or "",
                ),
                key=forms.key_of(sent),
                page_language=lang,
                why_suspect=[one.value for one in why],
            )
            db.session.commit()
        except IntegrityError:  # the same form, pressed twice at once, or a reference in use
            db.session.rollback()
            if services.received_as(sent) is not None:
                return
            if turn == 2:
                raise
        else:
            return


@in_both_languages(bp, "/fr/diriger-un-projet/merci", "/en/send-a-project/thank-you")
@public
def received(lang: str) -> str:
    del lang
    return render_template("intake/introduced.html")


@bp.post("/staff/cases/<reference>/introduction")
@case_team
def answer(reference: str) -> BaseResponse:
    """What the person said to one of us: yes, we may contact them, or no."""
    case = case_or_404(reference, lock=True)
    found = introductions.of_case(case)
    said = next((one for one in Answer if one == request.form.get("answer")), None)
    if found is None or said is None:
        raise RefusedError(gettext("Say whether the person agrees"))
    introductions.answered(found, said, me())
    db.session.commit()
    return back_to(case, gettext("The answer was recorded."))
