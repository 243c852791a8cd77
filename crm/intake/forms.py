"""The request form: form A of the domain reference, section 13, its required questions and what they imply.

Labels, helps and messages come from `texts.toml`; this module says which answers are accepted.
"""

from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import forms
from crm.cases.vocabulary import ContactMode, LegalForm
from crm.forms import AtMost, Boxes, Radio
from crm.intake.formats import read_email, read_phone
from crm.texts import choices, text


class Asked:
    """The question was answered."""

    def __call__(self, form: wtforms.Form, field: wtforms.Field) -> None:
        if not field.data:
            field.errors = []
            raise StopValidation(text(f"intake.question.{field.name}.empty"))


class RequestForm(forms.Form):
    form_key = wtforms.HiddenField()
    lang_pref = Radio(validators=[Asked()])
    contact_name = wtforms.StringField(validators=[Asked(), AtMost(120)])
    contact_role = Radio(validators=[Asked()])
    behalf_known = Radio()
    contact_mode = Radio(validators=[Asked()])
    email = wtforms.StringField(validators=[AtMost(254)])
    phone = wtforms.StringField(validators=[AtMost(60)])
    project_name = wtforms.StringField(validators=[AtMost(120)])
    description = wtforms.TextAreaField(validators=[Asked(), AtMost(1500)])
    sector = Radio(validators=[Asked()])
    sector_other = wtforms.StringField(validators=[AtMost(120)])
    stage = Radio(validators=[Asked()])
    legal_form = Radio(validators=[Asked()])
    coop_type = Radio()
    incorporated = Radio()
    region = Radio(validators=[Asked()])
    locality = Radio()
    needs = Boxes(validators=[Asked()])

    phone_read: tuple[str, str] = ("", "")
    email_read: str = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        vocabularies = {
            "lang_pref": "intake.option.lang_pref",
            "contact_role": "intake.option.contact_role",
            "behalf_known": "intake.option.yes_no",
            "contact_mode": "cases.contact_mode",
            "sector": "cases.sector",
            "stage": "intake.option.stage",
            "legal_form": "intake.option.legal_form",
            "coop_type": "intake.option.coop_type",
            "incorporated": "intake.option.yes_no",
            "region": "cases.region",
            "locality": "cases.locality",
            "needs": "cases.need",
        }
        for name, vocabulary in vocabularies.items():
            self[name].choices = choices(vocabulary)

    def validate_description(self, field: wtforms.Field) -> None:
        if len(field.data or "") < 30:
            field.errors = []
            raise StopValidation(text("intake.question.description.empty"))

    def validate_behalf_known(self, field: wtforms.Field) -> None:
        if self.contact_role.data == "behalf" and not field.data:
            raise StopValidation(text("intake.question.behalf_known.empty"))

    def validate_email(self, field: wtforms.Field) -> None:
        if not field.data:
            if self.contact_mode.data in {ContactMode.EMAIL, ContactMode.VIDEO}:
                raise StopValidation(text("intake.question.email.empty"))
            return
        read = read_email(field.data)
        if read is None:
            raise StopValidation(text("intake.question.email.wrong"))
        self.email_read = read

    def validate_phone(self, field: wtforms.Field) -> None:
        if not field.data:
            if self.contact_mode.data == ContactMode.PHONE:
                raise StopValidation(text("intake.question.phone.empty"))
            return
        read = read_phone(field.data)
        if read is None:
            raise StopValidation(text("intake.question.phone.wrong"))
        self.phone_read = read

    def chosen_legal_form(self) -> LegalForm:
        """The code kept: a co-op's type when it was chosen, its family otherwise."""
        if self.legal_form.data == "coop" and self.coop_type.data:
            return LegalForm(self.coop_type.data)
        return LegalForm(self.legal_form.data)

    def answers(self) -> dict[str, Any]:
        """Everything as answered, for the request's own record."""
        return {field.name: field.data for field in self if field.name != "form_key" and field.data}
