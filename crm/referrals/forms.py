"""Forms of referrals: preparing one, a body's answer, what comes next, and what came of it."""

import re
from datetime import date, timedelta
from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.forms import AtMost, Chosen, DateField, Filled, WholeNumber
from crm.i18n import gettext, language, lazy
from crm.partners.models import Body
from crm.partners.review import Standing
from crm.permissions import rules as permission_rules
from crm.referrals.answers import Ended, Next
from crm.referrals.outcomes import EndedBy, Outcome, SupportUnit
from crm.texts import choices, label, text

FARTHEST = timedelta(days=730)


class ReferForm(forms.Form):
    """`programme` is the code of the one that was thought of, if any; it counts for the body that gives it."""

    programme = wtforms.HiddenField()
    body = forms.Pick(lazy("To which organization?"), [Chosen(lazy("Choose an organization"))])
    purpose = wtforms.StringField(
        lazy("For what purpose?"),
        [Filled(lazy("Say what the organization would help with")), AtMost(300)],
        description=lazy("Written to the person and to the organization: for example, “start-up support”."),
    )
    fields = forms.Boxes(lazy("What would be shared"), [Filled(lazy("Tick at least one item"))])
    answer = forms.Radio(lazy("What does the person say?"), [Chosen(lazy("Say what the person answered"))])
    sends_itself = wtforms.BooleanField(
        lazy("If permission is asked by email: send the referral as soon as the person says yes")
    )
    expires_on = DateField(
        lazy("Permission valid until"),
        [Filled(lazy("Choose a date"))],
        render_kw={"type": "date"},
        description=lazy("Six months at most."),
    )

    def __init__(self, *args: Any, bodies: list[Body], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        self.body.choices = [("", gettext("Choose…")), *((str(body.id), _shown(body, lang)) for body in bodies)]
        self.fields.choices = choices("referrals.field")
        self.answer.choices = choices("referrals.answer")

    def validate_purpose(self, field: wtforms.Field) -> None:
        """What is typed follows "for": the word is not said twice."""
        field.data = re.sub(r"^(pour|for)\s+", "", field.data or "", flags=re.IGNORECASE)

    def chosen(self, bodies: list[Body]) -> Body:
        return next(body for body in bodies if str(body.id) == self.body.data)

    def validate_expires_on(self, field: DateField) -> None:
        if field.day and not permission_rules.may_last_until(field.day, clock.today()):
            raise StopValidation(gettext("Choose a date from today to six months ahead"))


def _shown(body: Body, lang: str) -> str:
    """A body to choose; one whose entry cannot be counted on says so."""
    short = body.short(lang)
    return short if body.standing is Standing.VERIFIED else f"{short} – {label('partners.standing', body.standing)}"


class _NextFields(forms.Form):
    next_note = wtforms.StringField(
        lazy("What comes next"),
        [AtMost(300)],
        render_kw={"optional": True},
        description=lazy("For example: a first call with the organization’s team. The person reads it."),
    )
    next_on = DateField(lazy("When"), render_kw={"type": "date", "optional": True})

    def validate_next_on(self, field: DateField) -> None:
        today = clock.today()
        if field.day and not today <= field.day <= today + FARTHEST:
            raise StopValidation(gettext("Choose a date from today to two years ahead"))

    def then(self) -> Next:
        on: date | None = self.next_on.day
        return Next(self.next_note.data or "", on)


class AnswerForm(_NextFields):
    """What a body answers to a referral."""

    answer = forms.Radio(lazy("Your answer"), [Chosen(lazy("Choose an answer"))])
    reason = forms.Pick(lazy("If you decline, why?"))
    note = wtforms.TextAreaField(
        lazy("Your question, or a word for the team"), [AtMost(2000)], render_kw={"rows": "4", "optional": True}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer.choices = choices("referrals.body_answer")
        self.reason.choices = [("", gettext("Choose…")), *choices("referrals.decline_reason")]

    def validate_reason(self, field: wtforms.Field) -> None:
        if self.answer.data == "decline" and not field.data:
            raise StopValidation(gettext("Choose a reason for declining"))

    def validate_note(self, field: wtforms.Field) -> None:
        if self.answer.data == "ask" and not field.data:
            raise StopValidation(gettext("Write your question"))


class NextForm(_NextFields):
    """What a body that took a project on does next."""

    ids = "then-"

    def validate_next_note(self, field: wtforms.Field) -> None:
        if not field.data and not self.next_on.data:
            raise StopValidation(gettext("Say what comes next, or when"))


class EndForm(forms.Form):
    """What came of a referral, by the body or by a colleague who writes it down."""

    ids = "end-"
    came = forms.Radio(lazy("What came of it?"), [Chosen(lazy("Say what came of it"))])
    amount = wtforms.StringField(
        lazy("How much support was given"),
        [WholeNumber(1, 10_000)],
        render_kw={"inputmode": "numeric", "short": True, "optional": True},
    )
    unit = forms.Radio(lazy("Unit"), render_kw={"optional": True})
    note = wtforms.TextAreaField(lazy("A word for the team"), [AtMost(2000)], render_kw={"rows": "3", "optional": True})

    def __init__(self, *args: Any, by_staff: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stopped = choices("referrals.stopped") if by_staff else [(EndedBy.BODY, text("referrals.stopped_by_us"))]
        self.came.choices = [*choices("referrals.outcome"), *stopped]
        self.unit.choices = choices("referrals.support_unit")

    def validate_unit(self, field: wtforms.Field) -> None:
        if self.amount.data and not field.data:
            raise StopValidation(gettext("Say whether they are hours or months"))

    @property
    def stopped_by(self) -> EndedBy | None:
        """Who stopped it before its end; None when it came to one."""
        said = str(self.came.data)
        return EndedBy(said) if said in set(EndedBy) else None

    def ended(self) -> Ended:
        return Ended(
            Outcome(self.came.data),
            self.note.data or "",
            int(self.amount.data) if self.amount.data else None,
            SupportUnit(self.unit.data) if self.unit.data else None,
        )


class ReplyForm(forms.Form):
    """What the team answers a body that asked for something."""

    ids = "reply-"
    words = wtforms.TextAreaField(
        lazy("Your answer"),
        [Filled(lazy("Write your answer")), AtMost(4000)],
        render_kw={"rows": "5"},
        description=lazy("Sent to the organization. Share nothing here that the person has not allowed."),
    )
