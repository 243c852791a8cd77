"""Forms of follow-ups, of one file or of many, and the days for which something may be planned."""

from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.accounts.queries import People, active_case_team
from crm.cases.vocabulary import Turn
from crm.forms import AtMost, Chosen, DateField, Filled
from crm.i18n import gettext, lazy
from crm.reminders.rules import may_be_due


class DueDay:
    """A day for which something may be planned; none is none of its business."""

    def __call__(self, form: wtforms.Form, field: DateField) -> None:
        if field.day and not may_be_due(field.day, clock.today()):
            raise StopValidation(gettext("Choose a date from today to two years ahead"))


class ToDoForm(forms.Form):
    """What is to be done, why and for when."""

    title = wtforms.StringField(lazy("What is to be done?"), [Filled(lazy("Say what is to be done")), AtMost(200)])
    reason = wtforms.TextAreaField(
        lazy("Why?"), [Filled(lazy("Say why, in a few words")), AtMost(2000)], render_kw={"rows": "2"}
    )
    due_on = DateField(
        lazy("For when?"),
        [Filled(lazy("Choose a date")), DueDay()],
        render_kw={"type": "date"},
        description=lazy("A date on a closed day moves to the next business day."),
    )


class FollowUpForm(ToDoForm):
    ids = "follow-up-"
    template = "reminders/follow_up_fields.html"

    owner = forms.Pick(lazy("For whom?"), [Chosen(lazy("Choose a person"))])
    waiting_on = forms.Pick(lazy("Whose turn is it meanwhile?"), default="")

    def __init__(self, *args: Any, people: People, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner.choices = [(str(number), name) for number, name in people]
        self.waiting_on.choices = [("", gettext("Ours")), (Turn.PERSON, gettext("The person’s: we wait for them"))]


class BulkFollowUpForm(ToDoForm):
    """The same for many files. The owner of each does it unless somebody is named."""

    ids = "bulk-"
    template = "reminders/bulk_fields.html"

    owner = forms.Pick(lazy("For whom?"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(number), name) for number, name in active_case_team()]
        self.owner.choices = [("", gettext("Each file’s owner, or me if none")), *people]


class DoneForm(forms.Form):
    ids = "done-"

    outcome = wtforms.TextAreaField(lazy("What came of it?"), [AtMost(2000)], render_kw={"rows": "2", "optional": True})


class SnoozeForm(forms.Form):
    ids = "snooze-"

    until = DateField(lazy("Snooze until"), [Filled(lazy("Choose a date")), DueDay()], render_kw={"type": "date"})
