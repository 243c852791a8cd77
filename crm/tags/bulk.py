"""Tags on many files at once."""

from collections.abc import Sequence
from typing import Any

import wtforms

from crm import forms
from crm.accounts.models import Staff
from crm.bulk.actions import BulkAction
from crm.cases.models import Case
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost, Chosen
from crm.i18n import gettext, lazy
from crm.tags import services
from crm.tags.models import LONGEST, Tag
from crm.texts import text


class BulkTagForm(forms.Form):
    """One tag to put on: one there is, or a new one."""

    ids = "bulk-"
    template = "tags/bulk_fields.html"

    tag = forms.Pick(lazy("Tag"))
    new = wtforms.StringField(
        lazy("Or a new tag"), [AtMost(LONGEST)], render_kw={"optional": True, "autocomplete": "off"}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag.choices = [("", gettext("Choose…")), *services.options()]

    def validate_new(self, field: wtforms.Field) -> None:
        if not field.data and not self.tag.data:
            raise wtforms.validators.StopValidation(gettext("Choose a tag, or write a new one"))

    @property
    def name(self) -> str:
        """The tag's name, as there is or as typed."""
        known = dict(services.options())
        return self.new.data or known.get(self.tag.data, "")

    def made(self) -> Tag:
        return services.named(self.new.data) if self.new.data else _there(self.tag.data)


class BulkUntagForm(forms.Form):
    """One tag to take off."""

    ids = "bulk-"
    template = "tags/bulk_fields.html"

    tag = forms.Pick(lazy("Tag"), [Chosen(lazy("Choose a tag"))])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tag.choices = [("", gettext("Choose…")), *services.options()]


def _there(number: str) -> Tag:
    """A tag, or a refusal when it was removed meanwhile."""
    tag = db.session.get(Tag, int(number))
    if tag is None:
        raise RefusedError(text("bulk.refusal.no_longer"))
    return tag


def _named(form: BulkUntagForm) -> Tag:
    return _there(form.tag.data)


def _against_tagging(case: Case, form: BulkTagForm, _actor: Staff) -> Sequence[str]:
    carried = dict(services.options())
    number = form.tag.data if not form.new.data else next((n for n, name in carried.items() if name == form.name), "")
    if number and int(number) in services.of_case(case):
        return [text("bulk.refusal.carried", name=form.name)]
    return []


def _tag(case: Case, form: BulkTagForm, actor: Staff, _key: str) -> dict[str, Any]:
    tag = form.made()
    if not services.put_on(case, tag, actor):
        raise RefusedError(text("bulk.refusal.carried", name=tag.name))
    return {"tag": tag.id}


def _untag_again(case: Case, journal: dict[str, Any], actor: Staff) -> None:
    tag = db.session.get(Tag, journal["tag"])
    if tag is None or not services.take_off(case, tag, actor):
        raise RefusedError(text("bulk.refusal.changed_since"))


def _against_untagging(case: Case, form: BulkUntagForm, _actor: Staff) -> Sequence[str]:
    tag = _named(form)
    return [] if tag.id in services.of_case(case) else [text("bulk.refusal.not_carried", name=tag.name)]


def _untag(case: Case, form: BulkUntagForm, actor: Staff, _key: str) -> dict[str, Any]:
    tag = _named(form)
    services.take_off(case, tag, actor)
    return {"tag": tag.id}


def _tag_again(case: Case, journal: dict[str, Any], actor: Staff) -> None:
    tag = db.session.get(Tag, journal["tag"])
    if tag is None or not services.put_on(case, tag, actor):
        raise RefusedError(text("bulk.refusal.changed_since"))


ACTIONS = (
    BulkAction(
        "tag",
        lazy("Put a tag on"),
        BulkTagForm,
        lambda form: gettext("Put the tag “%(name)s” on", name=form.name),
        _against_tagging,
        _tag,
        _untag_again,
    ),
    BulkAction(
        "untag",
        lazy("Take a tag off"),
        BulkUntagForm,
        lambda form: gettext("Take the tag “%(name)s” off", name=_named(form).name),
        _against_untagging,
        _untag,
        _tag_again,
    ),
)
