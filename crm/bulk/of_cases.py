"""What files themselves let one ask of many: giving them to somebody, moving them, closing them."""

from collections.abc import Mapping, Sequence
from typing import Any

import wtforms

from crm import forms
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.bulk.actions import BulkAction
from crm.bulk.models import BulkItem
from crm.cases.forms import AssignForm, with_blank
from crm.cases.models import Case
from crm.cases.pipeline import Move
from crm.cases.services import advance, against_assigning, against_move, asked, assign
from crm.cases.vocabulary import ClosingReason, Stage
from crm.db import db
from crm.errors import RefusedError
from crm.forms import AtMost, Chosen, DateField, Filled
from crm.i18n import gettext, lazy
from crm.texts import label, text


def same_stage(case: Case, item: BulkItem) -> bool:
    """Whether a file is where it was when it was chosen."""
    return case.stage is item.seen_stage


def same_owner(case: Case, item: BulkItem) -> bool:
    """Whether a file is whose it was when it was chosen."""
    return case.owner_id == item.seen_owner_id


# --- give them to somebody -------------------------------------------------------------------------------------------


def _assign_form(sent: Mapping[str, Any] | None) -> AssignForm:
    return AssignForm(sent, people=active_case_team())


def _to(form: AssignForm) -> Staff:
    return db.session.get_one(Staff, int(form.to.data))


def _against_assigning(case: Case, form: AssignForm, _actor: Staff) -> Sequence[str]:
    to = _to(form)
    if case.owner_id == to.id:
        return [text("bulk.refusal.theirs", name=to.name)]
    return against_assigning(case, to)


def _assign(case: Case, form: AssignForm, actor: Staff, _key: str) -> dict[str, Any] | None:
    to, former = _to(form), case.owner_id
    assign(case, to, actor)
    return {"from": former, "to": to.id}


def _give_back(case: Case, journal: dict[str, Any], actor: Staff) -> None:
    if case.owner_id != journal["to"]:
        raise RefusedError(text("bulk.refusal.changed_since"))
    if journal["from"] is None:
        raise RefusedError(text("bulk.refusal.had_nobody"))
    assign(case, db.session.get_one(Staff, journal["from"]), actor)


# --- move them -------------------------------------------------------------------------------------------------------


class BulkMoveForm(forms.Form):
    """A stage for many files; each file's own rules say whether it may go there."""

    ids = "bulk-"
    template = "bulk/move_fields.html"

    to = forms.Pick(lazy("Move to"), [Chosen(lazy("Choose a stage"))])
    reason = wtforms.TextAreaField(
        lazy("Reason"),
        [AtMost(2000)],
        render_kw={"rows": "3", "optional": True},
        description=lazy("Needed to go back and to put on hold."),
    )
    return_on = DateField(
        lazy("Return date (to put on hold)"),
        render_kw={"type": "date", "optional": True},
        description=lazy("Within six months."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stages = [one for one in Stage if one not in {Stage.NEW, Stage.CLOSED}]
        self.to.choices = [("", gettext("Choose…")), *((one, label("cases.stage", one)) for one in stages)]


def _move(case: Case, form: BulkMoveForm) -> Move:
    return asked(case, Stage(form.to.data), reason=form.reason.data or "", return_on=form.return_on.day)


def _do_move(case: Case, form: BulkMoveForm, actor: Staff, _key: str) -> dict[str, Any]:
    origin = case.stage
    advance(case, Stage(form.to.data), actor, reason=form.reason.data or "", return_on=form.return_on.day)
    return {"from": origin.value, "to": case.stage.value}


def _move_back(case: Case, journal: dict[str, Any], actor: Staff) -> None:
    """An ordinary move, by the ordinary rules."""
    if case.stage != journal["to"]:
        raise RefusedError(text("bulk.refusal.changed_since"))
    advance(case, Stage(journal["from"]), actor, reason=text("bulk.undone"))


# --- close them ------------------------------------------------------------------------------------------------------


class BulkCloseForm(forms.Form):
    """One reason and one note for the closing of many files."""

    ids = "bulk-"
    template = "bulk/close_fields.html"

    closing_reason = forms.Pick(lazy("Closing reason"), [Chosen(lazy("Choose the closing reason"))])
    reason = wtforms.TextAreaField(
        lazy("Closing note"), [Filled(lazy("Write the closing note")), AtMost(2000)], render_kw={"rows": "3"}
    )
    person_told = forms.Pick(
        lazy("Have these people been told?"),
        render_kw={"optional": True},
        description=lazy("Needed, except for unwanted requests, errors, duplicates and people who never answered."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closing_reason.choices = with_blank("cases.closing_reason")
        self.person_told.choices = with_blank("cases.person_told")


def _closing(form: BulkCloseForm) -> dict[str, Any]:
    return {
        "reason": form.reason.data or "",
        "closing_reason": ClosingReason(form.closing_reason.data),
        "person_told": form.person_told.data or "",
    }


def _close(case: Case, form: BulkCloseForm, actor: Staff, _key: str) -> None:
    advance(case, Stage.CLOSED, actor, **_closing(form))


ACTIONS = (
    BulkAction(
        "assign",
        lazy("Assign to somebody"),
        _assign_form,
        lambda form: gettext("Assign to %(name)s", name=_to(form).name),
        _against_assigning,
        _assign,
        _give_back,
        same_owner,
    ),
    BulkAction(
        "move",
        lazy("Move to a stage"),
        BulkMoveForm,
        lambda form: gettext("Move to “%(stage)s”", stage=label("cases.stage", form.to.data)),
        lambda case, form, _actor: against_move(case, _move(case, form)),
        _do_move,
        _move_back,
        same_stage,
        lazy("Undoing moves back only the files whose stage allows it."),
    ),
    BulkAction(
        "close",
        lazy("Close"),
        BulkCloseForm,
        lambda form: gettext("Close: %(reason)s", reason=label("cases.closing_reason", form.closing_reason.data)),
        lambda case, form, _actor: against_move(case, asked(case, Stage.CLOSED, **_closing(form))),
        _close,
        None,
        same_stage,
        lazy("This cannot be undone together. Each file can be reopened from its page."),
    ),
)
