"""The default plan: what comes due by itself when a file enters a stage, and when what repeats comes due again. Pure.

Domain reference, sections 14.1 and 14.6. The plan is a list of steps that coordinators may change (`plans`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from hashlib import sha256

from crm import clock
from crm.business_days import add_business_days, next_business_day
from crm.cases.vocabulary import Stage, Turn

# What another party did, and waits for us to act on.
THEY_ACTED = (
    "answered",
    "answer_person",
    "body_asks",
    "call_person",
    "confirm_correction",
    "mail_received",
    "money_said",
    "permission_back",
    "permission_given",
    "permission_no",
)
THE_PERSON_ACTED = frozenset(
    {"answer_person", "call_person", "confirm_correction", "permission_given", "permission_no"}
)


def who_acted(rule: str) -> Turn | None:
    """Who did what a rule makes us act on: the person or a body; None for a rule of our own."""
    return Turn.PERSON if rule in THE_PERSON_ACTED else Turn.BODY if rule in THEY_ACTED else None


# What a move to another stage does not cancel: what somebody typed or asked for, and these.
OUTLIVE_A_STAGE = (
    "",
    "chase",
    "body_left",
    "call_body",
    "check_decision",
    "check_permission",
    "mail_returned",
    "money_decided",
    "no_answer",
    "nobody_there",
    "permission_over",
    "self_check",
    *THEY_ACTED,
)


ANY_TIME = 24 * 60  # a minute of the day after all others: no hour was said


class Unit(StrEnum):
    """What the delay of a step is counted in, or what its day hangs on."""

    BUSINESS = "business"
    DAYS = "days"
    MONTHS = "months"
    PROMISED = "promised"  # the day promised for the first reply
    RETURN = "return"  # the day a pause ends


COUNTED = (Unit.BUSINESS, Unit.DAYS, Unit.MONTHS)
LONGEST = {Unit.BUSINESS: 500, Unit.DAYS: 730, Unit.MONTHS: 24}  # two years, as far ahead as a person may plan
MOST_STEPS = 12  # of one stage


@dataclass(frozen=True)
class Step:
    """One step of the plan: on entering `stage`, `rule` comes due `after` so many of `unit`. `key` tells steps of one plan apart, and
    follows a step from one version of the plan to the next.
    """

    key: str
    stage: Stage
    rule: str
    after: int
    unit: Unit

    def due(self, entered_on: date, *, reply_due_on: date, return_on: date | None) -> date:
        """The day it comes due for a file that entered its stage on a day; always a business day."""
        match self.unit:
            case Unit.BUSINESS:
                return add_business_days(entered_on, self.after)
            case Unit.DAYS:
                return next_business_day(entered_on + timedelta(days=self.after))
            case Unit.MONTHS:
                return next_business_day(clock.months_after(entered_on, self.after))
            case Unit.PROMISED:
                return max(reply_due_on, next_business_day(entered_on))
            case Unit.RETURN:
                return next_business_day(return_on or entered_on + timedelta(days=30))


# Sections 14.1 and 14.6, in the form in which a changed plan is kept.
SHIPPED = """
new assign assign 1 business
contact reach reach 0 promised
contact reach_again reach_again 5 business
contact reach_last reach_last 10 business
contact nudge_contact nudge 0 business
discovery record record 10 business
discovery nudge_discovery nudge 5 business
planning suggest suggest 5 business
planning nudge_planning nudge 5 business
referred check_answer check_answer 5 business
referred check_in_referred check_in 15 business
referred nudge_referred nudge 0 business
assistance check_in_assistance check_in 60 days
assistance nudge_assistance nudge 10 business
financing check_in_financing check_in 30 days
financing nudge_financing nudge 10 business
launched launch_3 launch_check 3 months
launched launch_6 launch_check 6 months
launched launch_12 launch_check 12 months
launched nudge_launched nudge 0 business
paused resume resume 0 return
"""


def read_steps(written: str) -> tuple[Step, ...]:
    """A plan from the text in which it is kept. Raises ValueError for what is no plan."""
    steps = []
    for line in written.strip().splitlines():
        stage, key, rule, after, unit = line.split()
        steps.append(Step(key, Stage(stage), rule, int(after), Unit(unit)))
    if len({step.key for step in steps}) < len(steps):
        raise ValueError("two steps have one key")
    return tuple(steps)


def write_steps(steps: Iterable[Step]) -> str:
    """A plan as the text in which it is kept, `read_steps` the other way."""
    return "\n".join(f"{step.stage} {step.key} {step.rule} {step.after} {step.unit}" for step in steps)


def mark_of(steps: Iterable[Step]) -> str:
    """Tells one plan from another, on one line: a browser changes the line ends of what a form carries."""
    return sha256(write_steps(steps).encode()).hexdigest()[:16]


DEFAULT = read_steps(SHIPPED)
# A step that plans nothing: of a person who stays silent in that stage, after how many days more somebody calls them once they were written to; 0 for never.
NUDGE = "nudge"
OWN = re.compile(r"own_\d{1,6}")  # a step that coordinators named


@dataclass(frozen=True)
class Planned:
    """A follow-up a rule makes: its code (words in `texts.toml`) and its due date, always a business day."""

    rule: str
    due_on: date


def plan(
    stage: Stage,
    entered_on: date,
    *,
    reply_due_on: date,
    return_on: date | None = None,
    steps: Sequence[Step] = DEFAULT,
) -> list[Planned]:
    """What is planned on entering a stage on a day, by a plan."""
    return [
        Planned(step.rule, step.due(entered_on, reply_due_on=reply_due_on, return_on=return_on))
        for step in steps
        if step.stage is stage and step.rule != NUDGE
    ]


def nudged_for(stage: Stage, steps: Sequence[Step]) -> int:
    """For how many business days a silent person has another chance once they were written to; 0 where nobody is written to."""
    return next((step.after for step in steps if step.stage is stage and step.rule == NUDGE), 0)


class Repeat(StrEnum):
    """How often a follow-up comes back once it is done."""

    WEEK = "week"
    TWO_WEEKS = "two_weeks"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


_WEEKS = {Repeat.WEEK: 1, Repeat.TWO_WEEKS: 2}
_MONTHS = {Repeat.MONTH: 1, Repeat.QUARTER: 3, Repeat.HALF_YEAR: 6, Repeat.YEAR: 12}


def following(begun_on: date, repeat: Repeat, last: date) -> date:
    """The first day after `last` of a series that began on a day. The day of the month is kept from the first: a series begun on the
    31st falls on the last day of shorter months and on the 31st of the others.
    """
    if repeat in _WEEKS:
        every = 7 * _WEEKS[repeat]
        return begun_on + timedelta(days=every * max(1, (last - begun_on).days // every + 1))
    every, gone = _MONTHS[repeat], (last.year - begun_on.year) * 12 + last.month - begun_on.month
    count = max(1, gone // every)
    while (day := clock.months_after(begun_on, every * count)) <= last:
        count += 1
    return day


def may_be_due(due_on: date, today: date) -> bool:
    """Whether a person may plan a follow-up for a day: from today to two years ahead."""
    return today <= due_on <= today + timedelta(days=730)
