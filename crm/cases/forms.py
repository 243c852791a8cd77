"""Forms of the case page."""

from datetime import datetime
from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.accounts.queries import People
from crm.cases.models import Project
from crm.cases.vocabulary import ExchangeDirection, ExchangeKind, Stage
from crm.forms import AtMost, Chosen, DateField, Filled, read_instant_on
from crm.i18n import gettext, lazy
from crm.texts import choices, label


def with_blank(prefix: str) -> list[tuple[str, Any]]:
    """The choices of a vocabulary for a list that starts with nothing chosen."""
    return [("", gettext("Choose…")), *choices(prefix)]


class NoteForm(forms.Form):
    ids = "note-"
    template = "cases/note_fields.html"

    body = wtforms.TextAreaField(lazy("Note"), [Filled(lazy("Write the note")), AtMost()], render_kw={"rows": "4"})


class ExchangeForm(forms.Form):
    ids = "exchange-"
    template = "cases/exchange_fields.html"

    kind = forms.Radio(lazy("How"), [Chosen(lazy("Say how you were in touch"))], default=ExchangeKind.CALL)
    direction = forms.Radio(
        lazy("Direction"), [Chosen(lazy("Say who wrote to whom"))], default=ExchangeDirection.OUTGOING
    )
    # Nothing is chosen in advance: a conversation that took place stops the clock of the promised reply.
    result = forms.Radio(lazy("Result"), [Chosen(lazy("Say whether the person was reached"))])
    on = DateField(lazy("Date"), [Filled(lazy("Write the date"))], render_kw={"type": "date"})
    at = wtforms.StringField(
        lazy("Time"), render_kw={"type": "time", "optional": True}, description=lazy("Montréal time.")
    )
    minutes = wtforms.StringField(
        lazy("Length in minutes"), render_kw={"inputmode": "numeric", "optional": True, "short": True}
    )
    summary = wtforms.TextAreaField(lazy("What was said"), [AtMost()], render_kw={"rows": "4", "optional": True})

    happened_at: datetime
    minutes_number: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = choices("cases.exchange_kind")
        self.direction.choices = choices("cases.exchange_direction")
        self.result.choices = choices("cases.exchange_result")
        if not self.on.data and not args:
            self.on.data = clock.today().isoformat()

    def validate_minutes(self, field: wtforms.Field) -> None:
        if field.data:
            if not (
                field.data.isascii() and field.data.isdigit() and len(field.data) <= 3 and 0 < int(field.data) <= 600
            ):
                raise StopValidation(gettext("Write a whole number of minutes, from 1 to 600"))
            self.minutes_number = int(field.data)

    def validate_at(self, field: wtforms.Field) -> None:
        """A day without an hour means now when it is today, noon otherwise."""
        if self.on.day is None:
            return
        if not field.data:
            today = self.on.day == clock.today()
            self.happened_at = clock.now() if today else clock.at_local(self.on.day, 12)
        else:
            self.happened_at = read_instant_on(self.on.day, field.data)
        if self.happened_at > clock.now():
            raise StopValidation(gettext("Choose a date and time in the past"))


class AssessmentForm(forms.Form):
    ids = "assessment-"
    template = "cases/assessment_fields.html"

    version = wtforms.HiddenField()
    name = wtforms.StringField(lazy("Project name"), [AtMost(120)], render_kw={"optional": True})
    project_stage = forms.Pick(lazy("Where the project stands"), [Chosen(lazy("Choose where the project stands"))])
    legal_form = forms.Pick(lazy("Legal form"), [Chosen(lazy("Choose a legal form"))])
    region = forms.Pick(lazy("Region"), [Chosen(lazy("Choose a region"))])
    locality = forms.Pick(lazy("Borough or city on the island"), render_kw={"optional": True})
    needs = forms.Boxes(lazy("Needs"), [Filled(lazy("Tick at least one need"))])
    reason = wtforms.StringField(
        lazy("Why this change?"),
        [AtMost(300)],
        render_kw={"optional": True, "autocomplete": "off"},
        description=lazy("Needed when the legal form or the region that was decided changes."),
    )
    summary = wtforms.TextAreaField(
        lazy("Summary"),
        [Filled(lazy("Write a summary of one or two sentences")), AtMost()],
        render_kw={"rows": "5"},
        description=lazy("What the project is and what it needs, in words a partner organization could read."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project_stage.choices = with_blank("cases.project_stage")
        self.legal_form.choices = with_blank("cases.legal_form")
        self.region.choices = with_blank("cases.region")
        self.locality.choices = with_blank("cases.locality")
        self.needs.choices = choices("cases.need")

    def asks_why(self, project: Project) -> bool:
        """Whether something that was decided in an assessment would change without a word of why; says so on the form."""
        decided = (project.legal_form, project.region)
        changes = project.assessed_at is not None and decided != (self.legal_form.data, self.region.data)
        if changes and not self.reason.data:
            self.reason.errors = [gettext("Say why what was decided changes")]
            return True
        return False

    def seen_version(self) -> int:
        """The version that was on screen; 0 (always stale) when it is missing or forged."""
        return forms.seen_version(self.version.data)


class MoveForm(forms.Form):
    ids = "move-"
    template = "cases/move_fields.html"

    seen = wtforms.HiddenField()
    to = forms.Pick(lazy("Move to"), [Chosen(lazy("Choose a stage"))])
    reason = wtforms.TextAreaField(
        lazy("Reason or closing note"),
        [AtMost(2000)],
        render_kw={"rows": "3", "optional": True},
        description=lazy("Needed to go back, to put on hold and to close."),
    )
    return_on = DateField(
        lazy("Return date (to put on hold)"),
        render_kw={"type": "date"},
        description=lazy("Within six months."),
    )
    closing_reason = forms.Pick(lazy("Closing reason (to close)"))
    person_told = forms.Pick(lazy("Has the person been told? (to close)"))
    forced = wtforms.BooleanField(lazy("Force this move (coordination, with a reason)"))

    def __init__(self, *args: Any, stages: tuple[Stage, ...], may_force: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_force:
            del self.forced
        self.to.choices = [("", gettext("Choose…")), *((stage, label("cases.stage", stage)) for stage in stages)]
        self.closing_reason.choices = with_blank("cases.closing_reason")
        self.person_told.choices = with_blank("cases.person_told")


class AssignForm(forms.Form):
    ids = "assign-"
    template = "cases/assign_fields.html"

    to = forms.Pick(lazy("Assign to"), [Chosen(lazy("Choose a person"))])

    def __init__(self, *args: Any, people: People, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.to.choices = [("", gettext("Choose…")), *((str(number), name) for number, name in people)]
