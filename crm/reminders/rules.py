"""The default plan: what comes due by itself when a file enters a stage. Pure. Domain reference, section 14.1."""

from dataclasses import dataclass
from datetime import date, timedelta

from crm.business_days import add_business_days, next_business_day
from crm.cases.vocabulary import Stage

# What another party did, and waits for us to act on.
THEY_ACTED = ("answered", "answer_person", "call_person", "permission_back", "confirm_correction")
THE_PERSON_ACTED = frozenset({"answer_person", "call_person", "confirm_correction"})
# What a move to another stage does not cancel: what somebody typed or asked for, and these.
OUTLIVE_A_STAGE = ("", "chase", *THEY_ACTED)


@dataclass(frozen=True)
class Planned:
    """A follow-up a rule makes: its code (words in `texts.toml`) and its due date, always a business day."""

    rule: str
    due_on: date


def plan(stage: Stage, entered_on: date, *, reply_due_on: date, return_on: date | None = None) -> list[Planned]:
    """What is planned on entering a stage on a day."""

    def after(days: int) -> date:
        return add_business_days(entered_on, days)

    def in_days(days: int) -> date:
        return next_business_day(entered_on + timedelta(days=days))

    match stage:
        case Stage.NEW:
            return [Planned("assign", after(1))]
        case Stage.CONTACT:
            first = max(reply_due_on, next_business_day(entered_on))
            return [
                Planned("reach", first),
                Planned("reach_again", after(5)),
                Planned("reach_last", after(10)),
            ]
        case Stage.DISCOVERY:
            return [Planned("record", after(10))]
        case Stage.PLANNING:
            return [Planned("suggest", after(5))]
        case Stage.REFERRED:
            return [Planned("check_answer", after(5)), Planned("check_in", after(15))]
        case Stage.ASSISTANCE:
            return [Planned("check_in", in_days(60))]
        case Stage.FINANCING:
            return [Planned("check_in", in_days(30))]
        case Stage.LAUNCHED:
            return [Planned("launch_check", in_days(days)) for days in (91, 182, 365)]
        case Stage.PAUSED:
            return [Planned("resume", next_business_day(return_on or entered_on + timedelta(days=30)))]
        case Stage.CLOSED:
            return []


def may_be_due(due_on: date, today: date) -> bool:
    """Whether a person may plan a follow-up for a day: from today to two years ahead."""
    return today <= due_on <= today + timedelta(days=730)
