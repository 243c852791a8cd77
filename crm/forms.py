"""What every form shares: blanks stripped, unreadable characters refused, errors summarised with links.

A field shows its error beside itself; the summary on top repeats the same words and links to the field.
"""

import contextlib
import hashlib
import re
import unicodedata
from collections.abc import Hashable, Iterator, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any

import wtforms
from flask import current_app, has_app_context, render_template
from markupsafe import Markup
from wtforms import Field, StringField
from wtforms.fields.core import UnboundField
from wtforms.validators import StopValidation, ValidationError

from crm import clock
from crm.formats import read_amount
from crm.i18n import format_amount, format_number, gettext, language

# Control characters other than tab and line feed, lone surrogates, and what a wrong encoding leaves behind.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd\ufffe\uffff]")
_BLANKS = " \t\n\r\u00a0\u202f\u200b\u200c\u200d\u2060\ufeff"
LONGEST, LONGEST_WORD = 20_000, 200
_PARTS = re.compile(r"(\s+)")


def clean(value: object) -> object:
    """Strip blanks of all kinds at both ends, make line ends and accents regular. Leaves non-text alone."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n").strip(_BLANKS)
    return value if value.isascii() else "".join(_regular(part) for part in _PARTS.split(value))


def on_one_line(value: object) -> object:
    """What stands in a field of one line is one line: a browser sends nothing else."""
    if not isinstance(value, str) or "\n" not in value:
        return value
    return " ".join(part for line in value.split("\n") if (part := line.strip(" \t")))


def _regular(part: str) -> str:
    """Making accents regular costs the square of a run of them: no word is that long, so a longer one is left as it is."""
    return part if len(part) > LONGEST_WORD else unicodedata.normalize("NFC", part)


class Form(wtforms.Form):
    """Base of all forms. `ids` starts the id of each field, so that several forms can share a page.

    A form with a `template` can stand in a page as `{{ form }}`: its fields are drawn by it.
    """

    ids = ""
    template = ""

    class Meta:
        def bind_field(self, form: wtforms.Form, unbound_field: Any, options: dict[str, Any]) -> Field:
            options["id"] = f"{getattr(form, 'ids', '')}{options['name']}"
            if issubclass(unbound_field.field_class, StringField) and not issubclass(
                unbound_field.field_class, wtforms.PasswordField
            ):
                filters = [clean, *unbound_field.kwargs.get("filters", [])]
                if not issubclass(unbound_field.field_class, (wtforms.TextAreaField, wtforms.HiddenField)):
                    filters.insert(1, on_one_line)
                return unbound_field.bind(form=form, filters=filters, **options)
            return unbound_field.bind(form=form, **options)

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """All validators, after refusing characters that nobody could read back."""
        readable = True
        for field in self:
            if isinstance(field.data, str) and _UNREADABLE.search(field.data):
                # What is left of the text is shown again; the browser could not carry the rest anyway.
                field.data = _UNREADABLE.sub("\ufffd", field.data)
                field.unreadable = True
                readable = False
        valid = super().validate(extra_validators)
        for field in self:
            if getattr(field, "unreadable", False):
                field.errors = [gettext("Some characters could not be read. Type this answer again")]
        return bool(valid and readable)

    def __html__(self) -> Markup:
        return Markup(render_template(self.template, form=self))  # noqa: S704 - a template escapes what it shows

    @classmethod
    def blank(cls, **made_with: Hashable) -> Markup:
        """The fields before anything is typed, drawn once a day for each language, state of the texts and `made_with`.

        Pages of staff hold many forms and hardly ever a filled one.
        """
        form: Any = cls
        return _blank(form, language(), clock.today(), _texts(), tuple(made_with.items()))

    def error_list(self) -> Iterator[tuple[str, str]]:
        """Pairs of (id of the field to go to, message), one per field, in the order of the form."""
        for field in self:
            if field.errors:
                yield field.id, " ".join(str(error) for error in field.errors)

    def error_links(self, number: int = 0) -> list[tuple[str, str]]:
        """The same, each with its address on the page; `number` tells apart rows that hold the same form."""
        row = f"-{number}" if number else ""
        return [(f"#{target}{row}", message) for target, message in self.error_list()]


@cache
def typed_names() -> frozenset[str]:
    """Names of the fields that people type in, in every form; all other values are chosen, or carried unseen."""
    typed: set[str] = set()
    waiting: list[type[Form]] = [Form]
    while waiting:
        form = waiting.pop()
        waiting += form.__subclasses__()
        typed |= {name for name, field in vars(form).items() if isinstance(field, UnboundField) and _by_hand(field)}
    return frozenset(typed)


def _by_hand(field: UnboundField) -> bool:
    kind = field.field_class
    return issubclass(kind, StringField) and not issubclass(kind, wtforms.HiddenField)


def _texts() -> str:
    """Which texts are read now: labels are among them. They are kept a layer above, on the app."""
    read = current_app.extensions.get("texts") if has_app_context() else None
    return str(read().stamp) if read else ""


@lru_cache(maxsize=512)
def _blank(form: Any, _lang: str, _today: date, _texts: str, made_with: tuple[tuple[str, Any], ...]) -> Markup:
    drawn: Markup = form(**dict(made_with)).__html__()
    return drawn


class Pick(wtforms.SelectField):
    """One of a list. A value that is none of the options counts as no answer: validators say what to do."""

    data: Any

    def pre_validate(self, form: wtforms.Form) -> None:
        if self.data not in {value for value, *_ in self.choices}:
            self.data = ""


class Radio(wtforms.RadioField):
    """One of a few, all in sight; unknown values count as no answer."""

    data: Any

    def pre_validate(self, form: wtforms.Form) -> None:
        if self.data not in {value for value, *_ in self.choices}:
            self.data = ""


class Boxes(wtforms.SelectMultipleField):
    """Any number of options; unknown values are left out."""

    data: Any

    def pre_validate(self, form: wtforms.Form) -> None:
        known = {value for value, *_ in self.choices}
        self.data = [value for value in self.data or [] if value in known]


class Chosen:
    """A value was chosen and is one of the options; says what to do otherwise."""

    def __init__(self, message: Any) -> None:
        self.message = message

    def __call__(self, form: wtforms.Form, field: Field) -> None:
        if not field.data or field.data not in {value for value, *_ in field.choices}:
            field.errors = []
            raise StopValidation(str(self.message))


class Filled:
    """Something other than blanks was typed."""

    def __init__(self, message: Any) -> None:
        self.message = message

    def __call__(self, form: wtforms.Form, field: Field) -> None:
        if not field.data:
            field.errors = []
            raise StopValidation(str(self.message))


class AtMost:
    """No longer than `longest` characters."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest

    def __call__(self, form: wtforms.Form, field: Field) -> None:
        if field.data and len(field.data) > self.longest:
            raise ValidationError(
                gettext("Shorten your answer to %(max)s characters or fewer", max=format_number(self.longest))
            )


def key_of(sent: str) -> str:
    """The database key of a form: what is sent twice is one row."""
    return hashlib.sha256(sent.encode("utf-8", "replace")).hexdigest()[:40]


def whole(typed: str) -> int | None:
    """The number of plain digits; None for anything else, and for one too long to be meant."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else None


def read_people(typed: str, most: int) -> int | None:
    """A number of people, however its thousands are parted; None for nothing. Raises StopValidation for what is no number, or too many."""
    bare = typed.replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
    number = whole(bare)
    if bare and (number is None or number > most):
        raise StopValidation(gettext("Write a number, like %(example)s", example="25"))
    return number


class WholeNumber:
    """A whole number between two; blank is none of its business."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def __call__(self, form: wtforms.Form, field: Field) -> None:
        number = whole(field.data or "")
        if field.data and (number is None or not self.least <= number <= self.most):
            raise StopValidation(gettext("Write a whole number from %(min)s to %(max)s", min=self.least, max=self.most))


YEARS = range(1990, 2200)


class DateField(StringField):
    """A day, typed as 2026-11-25 or picked in the browser's calendar. `day` holds it once valid."""

    day: date | None = None

    def pre_validate(self, form: wtforms.Form) -> None:
        if not self.data:
            return
        with contextlib.suppress(ValueError):
            self.day = date.fromisoformat(self.data)
        if self.day is None or self.day.year not in YEARS:
            self.day = None
            raise StopValidation(gettext("Write the date as year-month-day, like %(example)s", example="2026-11-25"))


class AmountField(StringField):
    """Dollars as people write them in either language; `cents` is what was read."""

    @property
    def cents(self) -> int | None:
        return read_amount(self.data) if self.data else None

    def pre_validate(self, form: wtforms.Form) -> None:
        if self.data and read_amount(self.data) is None:
            raise StopValidation(
                gettext("Enter an amount in dollars, like %(example)s", example=format_amount(5_000_000))
            )


def seen_version(typed: object) -> int:
    """The version that was on the screen, as its form sent it; 0, which is always stale, when it is missing or forged."""
    value = str(typed or "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def read_instant_on(day: date, typed: str) -> datetime:
    """The instant of a Montréal wall-clock time typed for a day. Raises StopValidation, saying what to do, for one that is not or never was."""
    try:
        hour, minute = read_time(typed)
        skipped = clock.is_skipped(day, hour, minute)
    except (ValueError, OverflowError):
        raise StopValidation(
            gettext("Write the time as hours and minutes, like %(example)s", example="14:30")
        ) from None
    if skipped:
        raise StopValidation(gettext("Clocks go forward that night, and this hour does not exist. Choose another"))
    return clock.at_local(day, hour, minute)


def read_time(typed: str) -> tuple[int, int]:
    """The hour and minute of 14:30 (or 14:30:00, as some browsers send). Raises ValueError for anything else."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?", typed, re.ASCII)
    if not found:
        raise ValueError(typed)
    return int(found[1]), int(found[2])
