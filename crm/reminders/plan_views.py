"""The plan as a table that coordinators change, seeing what a change does to the files that are open before they save it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import forms
from crm.access import coordinators
from crm.accounts.feature import me
from crm.cases.vocabulary import Stage
from crm.db import db, writing
from crm.forms import AtMost, whole
from crm.i18n import gettext, lazy
from crm.reminders import plans, replanning
from crm.reminders.rules import COUNTED, LONGEST, MOST_STEPS, NUDGE, Step, Unit, mark_of
from crm.texts import choices
from crm.texts.published import forget, standing
from crm.texts.typography import mend

bp = Blueprint("plan", __name__, url_prefix="/staff/plan")
PREFIX = "new_"  # of the fields of a new step
STAGES = tuple(stage for stage in Stage if stage is not Stage.CLOSED)


class NewStepForm(forms.Form):
    """A step that the coordinator names."""

    ids = "new-"

    stage = forms.Pick(lazy("On entering"))
    fr = wtforms.StringField(lazy("What is to be done, in French"), [AtMost(120)])
    en = wtforms.StringField(lazy("What is to be done, in English"), [AtMost(120)])
    after = wtforms.StringField(lazy("After"), render_kw={"inputmode": "numeric", "short": True})
    unit = forms.Pick(lazy("Counted in"))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        stages = dict(choices("cases.stage"))
        self.stage.choices = [("", gettext("No new step")), *((stage.value, stages[stage]) for stage in STAGES)]
        units = dict(choices("reminders.unit"))
        self.unit.choices = [(unit.value, units[unit]) for unit in COUNTED]


@dataclass
class Row:
    """A step as it is typed: its delay, whether it goes, and what is wrong with it."""

    step: Step
    after: str
    unit: str
    removed: bool = False
    error: str = ""

    @property
    def counted(self) -> bool:
        return self.step.unit in COUNTED

    @property
    def kept(self) -> bool:
        return self.step.rule in plans.KEPT_RULES


@dataclass
class Typed:
    """The whole plan as it was typed."""

    rows: list[Row]
    new: NewStepForm
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def steps(self) -> tuple[Step, ...]:
        """The plan this makes; what is wrong is noted in `errors`."""
        found: list[Step] = []
        for row in self.rows:
            if row.removed and not row.kept:
                continue
            if row.counted:
                after, row.error = _delay(row.after, row.unit, least=0 if row.step.rule == NUDGE else 1)
                if row.error:
                    self.errors.append((f"#after-{row.step.key}", row.error))
                unit = row.step.unit if row.error else Unit(row.unit)
                found.append(replace(row.step, after=after, unit=unit))
            else:
                found.append(row.step)
        self._add_new(found)
        for stage in STAGES:
            count = sum(step.stage is stage and step.rule != NUDGE for step in found)
            named = dict(choices("cases.stage"))[stage]
            if not count:
                self.errors.append((f"#stage-{stage}", gettext("Leave at least one step in “%(stage)s”", stage=named)))
            elif count > MOST_STEPS:
                most = gettext("No more than %(max)s steps in “%(stage)s”", max=MOST_STEPS, stage=named)
                self.errors.append((f"#stage-{stage}", most))
        place = {stage: number for number, stage in enumerate(Stage)}
        return tuple(sorted(found, key=lambda step: place[step.stage]))

    def _add_new(self, found: list[Step]) -> None:
        new = self.new
        if not (new.stage.data or new.fr.data or new.en.data or new.after.data):
            return
        new.validate()
        if new.stage.data not in STAGES:
            new.stage.errors = [gettext("Choose a stage")]
        if not new.fr.data:
            new.fr.errors = [gettext("Write the French")]
        if not new.en.data:
            new.en.errors = [gettext("Write the English")]
        after, wrong = _delay(new.after.data or "", new.unit.data)
        if wrong:
            new.after.errors = [wrong]
        if new.errors:
            self.errors += new.error_links()
            return
        code = plans.next_own()
        self.names[code] = (mend(new.fr.data), new.en.data)
        found.append(Step(code, Stage(new.stage.data), code, after, Unit(new.unit.data)))


def _delay(typed: str, unit: str, *, least: int = 1) -> tuple[int, str]:
    """The number of a delay, and what is wrong with it."""
    longest = LONGEST[Unit(unit) if unit in COUNTED else Unit.DAYS]
    number = whole(typed)
    if unit not in COUNTED or number is None or not least <= number <= longest:
        return 1, gettext("Write a whole number from %(min)s to %(max)s", min=least, max=longest)
    return number, ""


def _rows(steps: Sequence[Step]) -> list[Row]:
    return [Row(step, str(step.after), step.unit) for step in steps]


@bp.get("")
@coordinators
def table() -> str:
    return _page(Typed(_rows(plans.in_force()), NewStepForm(unit=Unit.BUSINESS, prefix=PREFIX)), _seen())


def _seen() -> str:
    return str(standing(plans.KEY).number)


def _page(typed: Typed, seen: str, **more: object) -> str:
    return render_template(
        "reminders/plan.html",
        typed=typed,
        seen=seen,
        stages=STAGES,
        units=[(code, name) for code, name in choices("reminders.unit") if code in COUNTED],
        last=replanning.last(),
        **more,
    )


def _read() -> Typed:
    """What was typed, over the plan in force: a step that somebody else took away meanwhile is not there to be changed."""
    sent = request.form
    rows = [
        Row(
            step,
            (sent.get(f"after-{step.key}") or str(step.after)).strip(),
            sent.get(f"unit-{step.key}") or step.unit,
            f"remove-{step.key}" in sent,
        )
        for step in plans.in_force()
    ]
    return Typed(rows, NewStepForm(sent, prefix=PREFIX))


@bp.post("")
@coordinators
def change() -> BaseResponse | tuple[str, int]:
    """What a change does, then, when it was seen, the change."""
    seen = request.form.get("seen", "")
    forget()  # another process may have saved a plan this second
    typed = _read()
    if seen != _seen():
        return _page(typed, _seen(), theirs=True), 409
    steps = typed.steps()
    if typed.errors:
        return _page(typed, seen), 422
    if steps == plans.in_force():
        flash(gettext("Nothing had changed."))
        return redirect(url_for("plan.table"), 303)
    if request.form.get("do") != "save" or request.form.get("shown") != mark_of(steps):
        db.session.rollback()
        with writing(allowed=False):  # a stage may hold many files: nobody waits for the counting to write
            effects = replanning.effects(steps)
        return _page(typed, seen, effects=effects, shown=mark_of(steps)), 200
    apply = request.form.get("apply") == "open"
    try:
        replanning.save(steps, typed.names, me(), apply=apply)
        db.session.commit()
    except IntegrityError:  # two saved at the same instant
        db.session.rollback()
        forget()
        return _page(_read(), _seen(), theirs=True), 409
    forget()
    flash(
        gettext("The plan is saved. Open files follow it within a few minutes.")
        if apply
        else gettext("The plan is saved. It serves from the next time a file enters a stage.")
    )
    return redirect(url_for("plan.table"), 303)
