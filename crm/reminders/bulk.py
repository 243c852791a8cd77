"""A follow-up on many files at once."""

from collections.abc import Sequence
from typing import Any

from crm import clock
from crm.accounts.models import Staff
from crm.bulk.actions import BulkAction
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.i18n import format_date, gettext, lazy
from crm.reminders import services
from crm.reminders.forms import BulkFollowUpForm
from crm.reminders.models import FollowUp, State
from crm.texts import text


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
