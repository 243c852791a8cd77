"""The questions of form A: domain reference, section 13, page by page.

Labels, helps and messages come from `texts.toml`; this module says which answers are accepted and which questions an
answer calls for. A draft keeps what was typed, right or wrong; `read` judges all of it again at sending.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

import wtforms
from werkzeug.datastructures import MultiDict
from wtforms.fields.core import UnboundField
from wtforms.validators import StopValidation

from crm import forms
from crm.cases.vocabulary import ContactMode, LegalForm
from crm.formats import read_email, read_neq, read_phone
from crm.forms import AtMost, Boxes, Filled, Pick, Radio
from crm.i18n import language, lazy
from crm.partners.queries import named_in_request
from crm.texts import choices, text

Answers = Mapping[str, list[str]]  # what was typed, by question
P = TypeVar("P", bound="QuestionPage")
SHORTEST_DESCRIPTION, LONGEST_DESCRIPTION = 30, 1500
LONGEST_ARRANGEMENTS = 300


class Asked:
    """The question was answered."""

    def __call__(self, form: wtforms.Form, field: wtforms.Field) -> None:
        if not field.data:
            field.errors = []
            raise StopValidation(text(f"intake.question.{field.name}.empty"))


class QuestionPage(forms.Form):
    """One page of questions. `page` is its code; `vocabularies` says where the options of a question are."""

    page: ClassVar[str]
    vocabularies: ClassVar[Mapping[str, str]] = {}

    def __init__(self, answers: Answers, *, shown: bool = True) -> None:
        super().__init__(MultiDict((name, one) for name, values in answers.items() for one in values))
        self.given, self.shown = answers, shown
        for name, vocabulary in self.vocabularies.items():
            self[name].choices = self.options(name, vocabulary)

    def options(self, name: str, vocabulary: str) -> list[tuple[str, str]]:
        del name
        return list(choices(vocabulary))

    @classmethod
    def questions(cls) -> list[str]:
        """The names of its questions, in the order they are asked."""
        found = [(field.creation_counter, name) for name, field in vars(cls).items() if isinstance(field, UnboundField)]
        return [name for _, name in sorted(found)]


class You(QuestionPage):
    page = "you"
    vocabularies: ClassVar = {
        "lang_pref": "intake.option.lang_pref",
        "contact_role": "intake.option.contact_role",
        "behalf_known": "intake.option.yes_no",
    }
    lang_pref = Radio(validators=[Asked()])
    contact_name = wtforms.StringField(validators=[Asked(), AtMost(120)])
    contact_role = Radio(validators=[Asked()])
    behalf_known = Radio()

    def validate_behalf_known(self, field: wtforms.Field) -> None:
        if self.contact_role.data == "behalf" and not field.data:
            raise StopValidation(text("intake.question.behalf_known.empty"))


class Reach(QuestionPage):
    page = "reach"
    vocabularies: ClassVar = {"contact_mode": "cases.contact_mode", "availability": "cases.availability"}
    contact_mode = Radio(validators=[Asked()])
    email = wtforms.StringField(validators=[AtMost(254)])
    phone = wtforms.StringField(validators=[AtMost(60)])
    availability = Boxes()
    arrangements = wtforms.TextAreaField(validators=[AtMost(LONGEST_ARRANGEMENTS)])

    phone_read: tuple[str, str] = ("", "")
    email_read: str = ""

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


class AboutProject(QuestionPage):
    page = "project"
    vocabularies: ClassVar = {"sector": "cases.sector", "stage": "intake.option.stage"}
    description = wtforms.TextAreaField(validators=[Asked(), AtMost(LONGEST_DESCRIPTION)])
    project_name = wtforms.StringField(validators=[AtMost(120)])
    sector = Radio(validators=[Asked()])
    sector_other = wtforms.StringField(validators=[AtMost(120)])
    stage = Radio(validators=[Asked()])

    def validate_description(self, field: wtforms.Field) -> None:
        if len(field.data or "") < SHORTEST_DESCRIPTION:
            field.errors = []
            raise StopValidation(text("intake.question.description.empty"))


class Legal(QuestionPage):
    page = "form"
    vocabularies: ClassVar = {
        "legal_form": "intake.option.legal_form",
        "coop_type": "intake.option.coop_type",
        "incorporated": "intake.option.yes_no",
    }
    legal_form = Radio(validators=[Asked()])
    coop_type = Radio()
    incorporated = Radio()
    neq = wtforms.StringField(validators=[AtMost(60)])

    neq_read: str = ""

    def validate_neq(self, field: wtforms.Field) -> None:
        if not field.data or not applies("neq", self.given):
            return
        read = read_neq(field.data)
        if read is None:
            raise StopValidation(text("intake.question.neq.wrong"))
        self.neq_read = read

    def chosen(self) -> LegalForm:
        """The code kept: a co-op's type when it was chosen, its family otherwise."""
        if self.legal_form.data == "coop" and self.coop_type.data:
            return LegalForm(self.coop_type.data)
        return LegalForm(self.legal_form.data)


class Team(QuestionPage):
    page = "territory"
    vocabularies: ClassVar = {
        "region": "cases.region",
        "locality": "cases.locality",
        "team_size": "cases.team_size",
    }
    region = Pick(validators=[Asked()])
    locality = Pick()
    team_size = Radio()

    def options(self, name: str, vocabulary: str) -> list[tuple[str, str]]:
        found = super().options(name, vocabulary)
        return found if name == "team_size" else [("", text("intake.form.choose")), *found]


class Needs(QuestionPage):
    page = "needs"
    vocabularies: ClassVar = {
        "needs": "cases.need",
        "funding_band": "cases.funding_band",
        "supports": "",
        "heard": "cases.heard",
    }
    needs = Boxes(validators=[Asked()])
    funding_band = Radio()
    supports = Boxes()
    supports_other = wtforms.StringField(validators=[AtMost(200)])
    heard = Radio()

    def options(self, name: str, vocabulary: str) -> list[tuple[str, str]]:
        if name != "supports":
            return super().options(name, vocabulary)
        # Judging an empty answer needs no list of bodies.
        return supporting_bodies() if self.shown or self.given.get(name) else []


class Choices(QuestionPage):
    """The two optional consents, each on its own and unticked: domain reference, section 15.2."""

    page = "choices"
    newsletter = wtforms.BooleanField()
    survey = wtforms.BooleanField()


PAGES: Mapping[str, type[QuestionPage]] = {
    page.page: page for page in (You, Reach, AboutProject, Legal, Team, Needs, Choices)
}
PAGE_OF: Mapping[str, str] = {name: code for code, page in PAGES.items() for name in page.questions()}
# A question that only a certain answer calls for: (the other question, the answer that calls for it).
CALLED_FOR: Mapping[str, tuple[str, str]] = {
    "behalf_known": ("contact_role", "behalf"),
    "sector_other": ("sector", "other"),
    "coop_type": ("legal_form", "coop"),
    "neq": ("incorporated", "yes"),
    "locality": ("region", "06"),
    "funding_band": ("needs", "funding"),
}


def supporting_bodies() -> list[tuple[str, str]]:
    """(code, short name) of the bodies that the request asks about."""
    return [(body.code, body.short(language())) for body in named_in_request()]


def applies(question: str, answers: Answers) -> bool:
    """Whether the other answers call for this question. What was typed under one that does not apply is not sent."""
    if question not in CALLED_FOR:
        return True
    other, calling = CALLED_FOR[question]
    return calling in answers.get(other, ())


class AddressForm(forms.Form):
    """An e-mail address to which a link is mailed; `address` is how it was read."""

    email = wtforms.StringField(
        lazy("Email address"),
        [Filled(lazy("Enter your email address"))],
        render_kw={"autocomplete": "email", "type": "email", "inputmode": "email", "spellcheck": "false"},
    )

    address: str = ""

    def validate_email(self, field: wtforms.Field) -> None:
        read = read_email(field.data)
        if read is None:
            raise StopValidation(text("intake.question.email.wrong"))
        self.address = read


@dataclass(frozen=True)
class Whole:
    """A request judged whole: its pages, all of them valid or not."""

    pages: Mapping[str, QuestionPage]

    @property
    def valid(self) -> bool:
        return not any(form.errors for form in self.pages.values())

    def wrong_pages(self) -> list[str]:
        return [code for code, form in self.pages.items() if form.errors]

    @property
    def you(self) -> You:
        return self._page(You)

    @property
    def reach(self) -> Reach:
        return self._page(Reach)

    @property
    def project(self) -> AboutProject:
        return self._page(AboutProject)

    @property
    def legal(self) -> Legal:
        return self._page(Legal)

    @property
    def team(self) -> Team:
        return self._page(Team)

    @property
    def needs(self) -> Needs:
        return self._page(Needs)

    @property
    def choices(self) -> Choices:
        return self._page(Choices)

    def _page(self, kind: type[P]) -> P:
        return cast(P, self.pages[kind.page])

    def words(self) -> list[str]:
        """Everything that was typed by hand."""
        return [field.data for form in self.pages.values() for field in form if isinstance(field.data, str)]

    def answers(self) -> dict[str, Any]:
        """Everything as answered and called for, for the request's own record; what must stay restricted is left out."""
        found: dict[str, Any] = {}
        for form in self.pages.values():
            for field in form:
                if field.data and field.name not in RESTRICTED and applies(field.name, form.given):
                    found[field.name] = field.data
        return found


RESTRICTED = frozenset({"arrangements", *Choices.questions()})


def read(answers: Answers) -> Whole:
    """Judge every page of a request: nothing is taken for judged because it was judged before."""
    pages = {code: page(answers, shown=False) for code, page in PAGES.items()}
    for form in pages.values():
        form.validate()
    return Whole(pages)
