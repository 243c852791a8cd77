"""The same message to many people, each in their language, with their own facts in it."""

from collections.abc import Sequence
from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import forms
from crm.accounts.models import Staff
from crm.bulk.actions import BulkAction
from crm.cases.models import Case
from crm.errors import RefusedError
from crm.forms import AtMost
from crm.i18n import gettext, language, lazy
from crm.portal import stock
from crm.portal.conversation import answer_person, may_write
from crm.portal.placeholders import fill
from crm.portal.stock import KnownNames
from crm.texts import text


class BulkMessageForm(forms.Form):
    """The message in both languages; one alone when everybody reads it."""

    ids = "bulk-"
    template = "portal/bulk_fields.html"

    fr = wtforms.TextAreaField(
        lazy("Message in French"), [AtMost(), KnownNames()], render_kw={"rows": "8", "optional": True, "lang": "fr-CA"}
    )
    en = wtforms.TextAreaField(
        lazy("Message in English"), [AtMost(), KnownNames()], render_kw={"rows": "8", "optional": True, "lang": "en-CA"}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fr.description = gettext(
            "Each person receives the text in the language we write to them in. These words between braces become each one’s own facts: %(names)s.",
            names=stock.names_between_braces(),
        )

    def validate_fr(self, field: wtforms.Field) -> None:
        if not field.data and not self.en.data:
            raise StopValidation(gettext("Write the message in at least one language"))


def _text(case: Case, form: BulkMessageForm) -> str:
    body: str = (form.en if case.language == "en" else form.fr).data or ""
    return body


def _against(case: Case, form: BulkMessageForm, _actor: Staff) -> Sequence[str]:
    try:
        may_write(case)
    except RefusedError as refusal:
        return refusal.reasons
    if not case.contact.email:
        return [text("bulk.refusal.no_address")]
    if not _text(case, form):
        return [text("bulk.refusal.no_english" if case.language == "en" else "bulk.refusal.no_french")]
    return []


def facts_of(case: Case, actor: Staff) -> dict[str, str]:
    """What takes the place of names between braces, for a file and who writes."""
    return {
        "person": case.contact.name,
        "project": case.project.name or case.reference,
        "reference": case.reference,
        "adviser": actor.name,
    }


def _write(case: Case, form: BulkMessageForm, actor: Staff, key: str) -> None:
    answer_person(case, fill(_text(case, form), facts_of(case, actor)), key, actor)


def _told(form: BulkMessageForm) -> str:
    body: str = (form.fr if language() == "fr" else form.en).data or form.fr.data or form.en.data or ""
    start = body.strip().splitlines()[0] if body.strip() else ""
    return gettext("Write: “%(start)s”", start=start[:80])


def _kept() -> list[tuple[str, str]]:
    return [(str(one.id), one.name) for one in stock.offered()]


def _begun(number: str) -> BulkMessageForm:
    template = stock.find(number)
    return BulkMessageForm(data={"fr": template.fr, "en": template.en} if template else None)


ACTIONS = (
    BulkAction(
        "message",
        lazy("Write to the people"),
        BulkMessageForm,
        _told,
        _against,
        _write,
        None,
        warning=lazy("A message cannot be taken back."),
        kept=_kept,
        begun=_begun,
    ),
)
