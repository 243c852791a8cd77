"""Forms of follow-ups, of one file or of many, and the days for which something may be planned."""

from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.accounts.queries import People, active_case_team
from crm.cases.vocabulary import Turn
from crm.forms import AtMost, Chosen, DateField, Filled, read_instant_on, read_time
from crm.i18n import gettext, lazy
from crm.reminders.rules import ANY_TIME, may_be_due
from crm.texts import choices


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
    due_at = wtforms.StringField(lazy("At what time?"), render_kw={"type": "time", "optional": True})
    repeat = forms.Pick(lazy("Does it come back?"), default="")
    waiting_on = forms.Pick(lazy("Whose turn is it meanwhile?"), default="")

    def __init__(self, *args: Any, people: People, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner.choices = [(str(number), name) for number, name in people]
        self.repeat.choices = [("", gettext("No, just once")), *choices("reminders.repeat")]
        self.waiting_on.choices = [("", gettext("Ours")), (Turn.PERSON, gettext("The person’s: we wait for them"))]

    @property
    def due_minute(self) -> int:
        """The minute of the day that was typed; ANY_TIME for none."""
        if not self.due_at.data:
            return ANY_TIME
        hour, minute = read_time(self.due_at.data)
        return hour * 60 + minute

    def validate_due_at(self, field: wtforms.Field) -> None:
        if field.data and self.due_on.day:
            read_instant_on(self.due_on.day, field.data)


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
    """What came of a follow-up, and what comes next: all of it or nothing."""

    ids = "done-"

    outcome = wtforms.TextAreaField(lazy("What came of it?"), [AtMost(2000)], render_kw={"rows": "2", "optional": True})
    next_title = wtforms.StringField(lazy("What comes next?"), [AtMost(200)], render_kw={"optional": True})
    next_reason = wtforms.StringField(lazy("Why?"), [AtMost(2000)])
    next_on = DateField(lazy("For when?"), [DueDay()], render_kw={"type": "date"})

    def goes_on(self) -> bool:
        """Whether something was said of what comes next."""
        return bool(self.next_title.data or self.next_reason.data or self.next_on.data)

    def validate(self, extra_validators: Any = None) -> bool:
        valid = super().validate(extra_validators)
        if self.goes_on():
            for field, wanted in (
                (self.next_title, gettext("Say what is to be done")),
                (self.next_reason, gettext("Say why, in a few words")),
                (self.next_on, gettext("Choose a date")),
            ):
                if not field.data:
                    field.errors, valid = [wanted], False
        return valid


class SnoozeForm(forms.Form):
    """Another day, whose answer brings it back before, and who does it."""

    ids = "snooze-"

    until = DateField(lazy("Snooze until"), [Filled(lazy("Choose a date")), DueDay()], render_kw={"type": "date"})
    wakes_on = forms.Pick(lazy("Or sooner"), default="")
    owner = forms.Pick(lazy("For whom?"), default="")

    def __init__(self, *args: Any, people: People, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wakes_on.choices = [
            ("", gettext("No, on that day")),
            (Turn.PERSON, gettext("As soon as the person answers: it is their turn")),
            (Turn.BODY, gettext("As soon as an organization answers")),
        ]
        self.owner.choices = [("", gettext("The same person")), *((str(number), name) for number, name in people)]
