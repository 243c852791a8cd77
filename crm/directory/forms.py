"""Forms of the directory: a body, who receives what it is sent, a programme, a rule."""

from datetime import date, timedelta
from typing import Any, ClassVar

import wtforms
from wtforms.validators import StopValidation

from crm import clock
from crm.directory.matching import Asked
from crm.directory.suggestions import forms_asked
from crm.formats import is_website, read_email, read_phone
from crm.forms import AmountField, AtMost, Boxes, Chosen, DateField, Filled, Form, Pick, Radio, WholeNumber
from crm.i18n import format_amount, format_phone, gettext, language, lazy
from crm.partners.models import Body, Person, Programme, Rule
from crm.texts import choices

_SHORT = {"inputmode": "decimal", "short": True, "optional": True}
FARTHEST = timedelta(days=366)


class _Reached(Form):
    """Somebody who is written to: what their address and their language share, whatever else a form asks of them."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = [*choices("partners.language")]

    def validate_email(self, field: wtforms.Field) -> None:
        read = read_email(field.data)
        if read is None:
            raise StopValidation(gettext("Enter a full email address, like name@example.ca"))
        field.data = read


class ContactForm(_Reached):
    ids = "contact-"

    version = wtforms.HiddenField()
    name = wtforms.StringField(lazy("Contact person"), [Filled(lazy("Enter a name")), AtMost(120)])
    email = wtforms.StringField(
        lazy("Work email"), [Filled(lazy("Enter an email address")), AtMost(254)], render_kw={"type": "email"}
    )
    language = Radio(lazy("Language we write in"), [Chosen(lazy("Choose a language"))])
    answer_days = wtforms.StringField(
        lazy("Answers within how many business days?"),
        [WholeNumber(1, 90)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
        description=lazy("Its answer is checked then, instead of when the plan says."),
    )
    chase_days = wtforms.StringField(
        lazy("Silent for how many business days before we write again?"),
        [Filled(lazy("Write 0 for never")), WholeNumber(0, 90)],
        render_kw={"inputmode": "numeric", "short": True},
        description=lazy(
            "One email for all the files that wait, twice at most; then it becomes a task for each adviser. 0: never."
        ),
    )
    verified = wtforms.BooleanField(lazy("I verified this entry with the organization today"))


class JoinForm(Form):
    """The entry of the same body that takes the place of one."""

    version = wtforms.HiddenField()
    into = Pick(lazy("Which entry stays?"), [Chosen(lazy("Choose the entry that stays"))])

    def __init__(self, *args: Any, others: list[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.into.choices = [("", gettext("Choose…")), *((one.code, one.name(language())) for one in others)]


class PersonForm(_Reached):
    """Somebody at a body."""

    ids = "person-"

    version = wtforms.HiddenField()
    name = wtforms.StringField(lazy("Name"), [Filled(lazy("Enter a name")), AtMost(120)])
    title = wtforms.StringField(lazy("Role there"), [AtMost(120)], render_kw={"optional": True, "autocomplete": "off"})
    email = wtforms.StringField(
        lazy("Work email"), [Filled(lazy("Enter an email address")), AtMost(254)], render_kw={"type": "email"}
    )
    phone = wtforms.StringField(lazy("Work phone"), render_kw={"type": "tel", "optional": True, "autocomplete": "off"})
    language = Radio(lazy("Language we write in"), [Chosen(lazy("Choose a language"))])
    receives = wtforms.BooleanField(lazy("Is told of files that wait, with a link of their own to all of them"))

    number: tuple[str, str] = ("", "")

    def validate_phone(self, field: wtforms.Field) -> None:
        read = read_phone(field.data) if field.data else ("", "")
        if read is None:
            raise StopValidation(gettext("Enter a telephone number with ten digits, like 514 555-0142"))
        self.number = read

    @classmethod
    def of(cls, person: Person) -> "PersonForm":
        said = {name: getattr(person, name) for name in ("version", "name", "title", "email", "language", "receives")}
        return cls(data=said | {"phone": format_phone(person.phone, person.phone_extension)})

    def facts(self) -> dict[str, Any]:
        """What is saved of a valid form, by column."""
        said = {name: self[name].data or "" for name in ("name", "title", "email", "language")}
        return said | {"phone": self.number[0], "phone_extension": self.number[1], "receives": self.receives.data}


class _Bilingual(Form):
    """Texts in both languages: a pair is filled in both or in neither. `pairs` names them without their language."""

    pairs: ClassVar[tuple[str, ...]] = ()

    def validate(self, extra_validators: Any = None) -> bool:
        valid = super().validate(extra_validators)
        for name in self.pairs:
            fr, en = self[f"{name}_fr"], self[f"{name}_en"]
            for one, other in ((fr, en), (en, fr)):
                if other.data and not one.data and not one.errors:
                    one.errors = [gettext("Write it in both languages")]
                    valid = False
        return valid

    def texts(self) -> dict[str, str]:
        """What was typed of the pairs, by column."""
        return {column: self[column].data or "" for name in self.pairs for column in (f"{name}_fr", f"{name}_en")}


def _texts_of(entry: Any, pairs: tuple[str, ...]) -> dict[str, str]:
    return {column: getattr(entry, column) for name in pairs for column in (f"{name}_fr", f"{name}_en")}


class BodyForm(_Bilingual):
    ids = "body-"
    pairs = ("name", "short", "offer", "territory")

    version = wtforms.HiddenField()
    name_fr = wtforms.StringField(lazy("Full name, in French"), [Filled(lazy("Enter the name in French")), AtMost(160)])
    name_en = wtforms.StringField(lazy("Full name, in English"), [AtMost(160)])
    short_fr = wtforms.StringField(
        lazy("Short name, in French"), [Filled(lazy("Enter a short name in French")), AtMost(60)]
    )
    short_en = wtforms.StringField(lazy("Short name, in English"), [AtMost(60)])
    kind = Radio(lazy("Kind"), [Chosen(lazy("Choose a kind"))])
    offer_fr = wtforms.TextAreaField(lazy("What it offers, in French"), [AtMost(2000)], render_kw={"rows": "3"})
    offer_en = wtforms.TextAreaField(lazy("What it offers, in English"), [AtMost(2000)], render_kw={"rows": "3"})
    territory_fr = wtforms.StringField(lazy("Territory, in French"), [AtMost(160)])
    territory_en = wtforms.StringField(lazy("Territory, in English"), [AtMost(160)])
    website = wtforms.StringField(
        lazy("Website"), [AtMost(200)], render_kw={"type": "url", "optional": True, "autocomplete": "off"}
    )
    part_of = Pick(
        lazy("Local office of another organization"),
        render_kw={"optional": True},
        description=lazy("Programmes of that organization then lead here, for the boroughs and cities below."),
    )
    localities = Boxes(lazy("Boroughs and cities of that territory"), render_kw={"optional": True})
    named_in_request = wtforms.BooleanField(
        lazy("Named in the request, under “Which organizations already support you?”")
    )
    active = wtforms.BooleanField(lazy("Files can be referred to it"), default=True)
    verified = wtforms.BooleanField(lazy("I verified this entry with the organization today"))

    def __init__(self, *args: Any, others: list[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        self.kind.choices = [*choices("partners.kind")]
        self.part_of.choices = [("", gettext("None")), *((str(one.id), one.short(lang)) for one in others)]
        self.localities.choices = [pair for pair in choices("cases.locality") if pair[0] != "unknown"]

    def validate_website(self, field: wtforms.Field) -> None:
        if field.data and not is_website(field.data):
            raise StopValidation(gettext("Enter a full address, like %(example)s", example="https://example.ca"))

    def validate_localities(self, field: wtforms.Field) -> None:
        if self.part_of.data and not field.data:
            raise StopValidation(gettext("Tick the boroughs and cities of its territory"))

    @classmethod
    def of(cls, body: Body, others: list[Body]) -> "BodyForm":
        return cls(
            others=others,
            data=_texts_of(body, cls.pairs)
            | {
                "version": body.version,
                "kind": body.kind,
                "website": body.website,
                "part_of": str(body.part_of_id or ""),
                "localities": body.localities or [],
                "named_in_request": body.named_in_request,
                "active": body.active,
            },
        )

    def facts(self) -> dict[str, Any]:
        """What is saved of a valid form, by column."""
        return self.texts() | {
            "kind": self.kind.data,
            "website": self.website.data or "",
            "part_of_id": int(self.part_of.data) if self.part_of.data else None,
            "localities": self.localities.data if self.part_of.data else None,
            "named_in_request": self.named_in_request.data,
            "active": self.active.data,
        }


class _AskedForm(_Bilingual):
    """What is asked of a project, from a day on."""

    stages = Boxes(lazy("Where the project stands"), render_kw={"optional": True})
    forms = Boxes(lazy("Legal forms"), render_kw={"optional": True})
    regions = Boxes(lazy("Regions"), render_kw={"optional": True})
    localities = Boxes(lazy("Boroughs and cities"), render_kw={"optional": True})
    fields = Boxes(lazy("Fields of activity"), render_kw={"optional": True})
    support = Boxes(
        lazy("Supported by one of these organizations"),
        render_kw={"optional": True},
        description=lazy("As the request says, or because it took the project on."),
    )
    since = DateField(
        lazy("What is asked of projects holds from"),
        [Filled(lazy("Choose a date"))],
        render_kw={"type": "date"},
        description=lazy("Today or later. What was asked before stays readable."),
    )

    def __init__(self, *args: Any, bodies: list[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        for name, vocabulary in LISTS.items():
            if name in self:
                self[name].choices = [pair for pair in choices(vocabulary) if pair[0] not in NOT_ASKED]
        self.forms.choices = [pair for pair in forms_asked() if pair[0] not in NOT_ASKED]
        self.support.choices = [(one.code, one.short(lang)) for one in bodies]

    def validate_since(self, field: DateField) -> None:
        today = clock.today()
        if field.day and not today <= field.day <= today + FARTHEST:
            raise StopValidation(gettext("Choose a date from today to a year ahead"))

    @property
    def day(self) -> date:
        return self.since.day or clock.today()

    def lists(self) -> dict[str, Any]:
        return {name: tuple(self[name].data or ()) for name in (*LISTS, "support") if name in self}


LISTS = {
    "needs": "cases.need",
    "stages": "cases.project_stage",
    "forms": "cases.legal_form",
    "regions": "cases.region",
    "localities": "cases.locality",
    "fields": "cases.sector",
    "languages": "partners.language",
    "kinds": "partners.kind",
}
NOT_ASKED = {"unknown", "undecided", "other"}  # nobody asks a project for what is not known of it


class ProgrammeForm(_AskedForm):
    ids = "programme-"
    pairs = ("name", "text", "criteria")

    version = wtforms.HiddenField()
    name_fr = wtforms.StringField(lazy("Name, in French"), [Filled(lazy("Enter the name in French")), AtMost(160)])
    name_en = wtforms.StringField(lazy("Name, in English"), [AtMost(160)])
    kind = Radio(lazy("Kind"), [Chosen(lazy("Choose a kind"))])
    text_fr = wtforms.TextAreaField(
        lazy("What it offers, in French"),
        [Filled(lazy("Say in French what it offers")), AtMost(2000)],
        render_kw={"rows": "3"},
    )
    text_en = wtforms.TextAreaField(lazy("What it offers, in English"), [AtMost(2000)], render_kw={"rows": "3"})
    criteria_fr = wtforms.TextAreaField(
        lazy("Other conditions, in French"), [AtMost(2000)], render_kw={"rows": "3", "optional": True}
    )
    criteria_en = wtforms.TextAreaField(
        lazy("Other conditions, in English"), [AtMost(2000)], render_kw={"rows": "3", "optional": True}
    )
    instruments = Boxes(lazy("Kinds of financing"), render_kw={"optional": True})
    answer_days = wtforms.StringField(
        lazy("Answer promised within how many business days?"),
        [WholeNumber(1, 250)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
    )
    least = AmountField(lazy("Smallest amount"), render_kw=_SHORT)
    most = AmountField(lazy("Largest amount"), render_kw=_SHORT)
    needs = Boxes(
        lazy("Needs it answers"),
        render_kw={"optional": True},
        description=lazy("None ticked: those that its kind usually answers."),
    )
    languages = Boxes(lazy("Languages in which it is given"), render_kw={"optional": True})
    team = wtforms.StringField(
        lazy("Fewest people in the founding group"),
        [WholeNumber(2, 100)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
    )
    active = wtforms.BooleanField(lazy("It is offered"), default=True)
    verified = wtforms.BooleanField(lazy("I verified this entry with the organization today"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [*choices("partners.kind")]
        self.instruments.choices = [*choices("partners.instrument")]

    def validate_most(self, field: AmountField) -> None:
        if self.least.cents is not None and field.cents is not None and field.cents < self.least.cents:
            raise StopValidation(gettext("The largest amount is below the smallest: correct one of the two"))

    @classmethod
    def of(cls, programme: Programme, asked: Asked, bodies: list[Body]) -> "ProgrammeForm":
        return cls(
            bodies=bodies,
            data=_texts_of(programme, cls.pairs)
            | {name: list(getattr(asked, name)) for name in (*LISTS, "support")}
            | {
                "version": programme.version,
                "kind": programme.kind,
                "instruments": programme.instruments or [],
                "answer_days": _typed(programme.answer_days),
                "least": format_amount(asked.least) if asked.least is not None else "",
                "most": format_amount(asked.most) if asked.most is not None else "",
                "team": _typed(asked.team),
                "active": programme.active,
                "since": clock.today().isoformat(),
            },
        )

    def facts(self) -> dict[str, Any]:
        """What is saved of a valid form beside what is asked, by column."""
        return self.texts() | {
            "kind": self.kind.data,
            "instruments": self.instruments.data or None,
            "answer_days": _number(self.answer_days),
            "active": self.active.data,
        }

    def asked(self) -> Asked:
        """What a valid form asks of projects."""
        return Asked(
            **self.lists(),
            team=_number(self.team),
            least=self.least.cents,
            most=self.most.cents,
        )


class RuleForm(_AskedForm):
    ids = "rule-"
    pairs = ("name",)

    version = wtforms.HiddenField()
    name_fr = wtforms.StringField(lazy("The rule, in French"), [Filled(lazy("Write the rule in French")), AtMost(200)])
    name_en = wtforms.StringField(lazy("The rule, in English"), [AtMost(200)])
    kinds = Boxes(lazy("For programmes of which kinds?"), [Filled(lazy("Tick at least one kind"))])
    active = wtforms.BooleanField(lazy("This rule counts"), default=True)

    @classmethod
    def of(cls, rule: Rule, asked: Asked, bodies: list[Body]) -> "RuleForm":
        return cls(
            bodies=bodies,
            data=_texts_of(rule, cls.pairs)
            | {name: list(getattr(asked, name)) for name in (*LISTS, "support")}
            | {"version": rule.version, "active": rule.active, "since": clock.today().isoformat()},
        )

    def facts(self) -> dict[str, Any]:
        return self.texts() | {"active": self.active.data}

    def asked(self) -> Asked:
        return Asked(**self.lists())


def _typed(number: int | None) -> str:
    return "" if number is None else str(number)


def _number(field: wtforms.Field) -> int | None:
    return int(field.data) if field.data else None
