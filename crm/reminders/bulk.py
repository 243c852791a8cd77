"""A follow-up on many files at once."""

from collections.abc import Sequence
from typing import Any

import wtforms
from wtforms.validators import StopValidation

from crm import clock, forms
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.bulk.actions import BulkAction
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost, DateField, Filled
from crm.i18n import format_date, gettext, lazy
from crm.reminders import rules, services
from crm.reminders.models import FollowUp, State
from crm.texts import text


class BulkFollowUpForm(forms.Form):
    """What is to be done on each file, and for when. The file's owner does it unless somebody is named."""

    ids = "bulk-"
    template = "reminders/bulk_fields.html"

    title = wtforms.StringField(lazy("What is to be done?"), [Filled(lazy("Say what is to be done")), AtMost(200)])
    reason = wtforms.TextAreaField(
        lazy("Why?"), [Filled(lazy("Say why, in a few words")), AtMost(2000)], render_kw={"rows": "2"}
    )
    due_on = DateField(
        lazy("For when?"),
        [Filled(lazy("Choose a date"))],
        render_kw={"type": "date"},
        description=lazy("A date on a closed day moves to the next business day."),
    )
    owner = forms.Pick(lazy("For whom?"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(number), name) for number, name in active_case_team()]
        self.owner.choices = [("", gettext("The person responsible for each file, or me where there is none")), *people]

    def validate_due_on(self, field: DateField) -> None:
        if field.day and not rules.may_be_due(field.day, clock.today()):
            raise StopValidation(gettext("Choose a date from today to two years ahead"))


def _against(case: Case, _form: BulkFollowUpForm, _actor: Staff) -> Sequence[str]:
    return [text("cases.refusal.closed_file")] if case.stage is Stage.CLOSED else []


def _plan(case: Case, form: BulkFollowUpForm, actor: Staff, _key: str) -> dict[str, Any]:
    named = db.session.get_one(Staff, int(form.owner.data)) if form.owner.data else None
    follow_up = services.plan_by_hand(
        case,
        title=form.title.data,
        reason=form.reason.data,
        due_on=form.due_on.day or clock.today(),
        owner=named or case.owner or actor,
        actor=actor,
    )
    db.session.flush()
    return {"follow_up": follow_up.id}


def _take_back(case: Case, journal: dict[str, Any], actor: Staff) -> None:
    follow_up = db.session.get(FollowUp, journal["follow_up"])
    if follow_up is None or follow_up.case_id != case.id or follow_up.state is not State.TODO:
        raise RefusedError(text("bulk.refusal.ended"))
    services.cancel(follow_up, case, actor)


ACTIONS = (
    BulkAction(
        "follow_up",
        lazy("Plan a follow-up"),
        BulkFollowUpForm,
        lambda form: gettext(
            "Plan “%(title)s” for %(date)s", title=form.title.data, date=format_date(form.due_on.day or clock.today())
        ),
        _against,
        _plan,
        _take_back,
    ),
)
