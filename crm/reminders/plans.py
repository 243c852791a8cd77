"""The plan in force: the one that ships, or the newest that a coordinator saved.

It is kept as the programme's other facts are, among the published texts: each version stays, two who save at once are told, and every
process reads a new one within a second. A step that coordinators named has its name there too, in both languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from crm.cases.vocabulary import Stage
from crm.reminders.rules import DEFAULT, NUDGE, OWN, Step, read_steps
from crm.texts import book

KEY = "reminders.plan"
NAMES = "reminders.rule"
# What the code itself plans or looks for: their delay may change, but they are not taken away.
KEPT_RULES = frozenset({"assign", "reach", "record", "resume", NUDGE})


def in_force() -> tuple[Step, ...]:
    """The steps of the plan as it stands."""
    now = book()
    found: tuple[Step, ...] = now.once(KEY, lambda: read_steps(now.pairs[KEY]["fr"]) if KEY in now.pairs else DEFAULT)
    return found


def next_own() -> str:
    """A code for a step that a coordinator names: one that no step ever had."""
    taken = [int(name.removeprefix("own_")) for name in book().group(NAMES) if OWN.fullmatch(name)]
    return f"own_{max(taken, default=0) + 1}"


@dataclass(frozen=True)
class Standing:
    """An open follow-up that a rule made, as it stands on a file."""

    number: int
    rule: str
    due_on: date
    first_due_on: date


@dataclass
class Changes:
    """What another plan does to the follow-ups of one file: days that move, those taken away, and what is new."""

    moved: dict[int, date] = field(default_factory=dict)
    cancelled: list[int] = field(default_factory=list)
    created: list[tuple[str, date]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.moved or self.cancelled or self.created)


def changes(
    before: Sequence[Step],
    after: Sequence[Step],
    *,
    stage: Stage,
    entered_on: date,
    reply_due_on: date,
    standing: Sequence[Standing],
    today: date,
) -> Changes:
    """What the plan `after` does to a file that entered its stage under `before`. Pure.

    Only what still stands as the plan made it changes: what somebody moved, and what is late, stays. What the new plan would have had
    due already is left out, or comes due today when it was there.
    """
    asked = {"reply_due_on": reply_due_on, "return_on": None}
    was = {step.key: step for step in before if step.stage is stage and step.rule != NUDGE}
    will = {step.key: step for step in after if step.stage is stage and step.rule != NUDGE}
    due_was = {key: step.due(entered_on, **asked) for key, step in was.items()}  # type: ignore[arg-type]
    found, taken = Changes(), set()
    for one in standing:
        mine = (
            key for key, step in was.items() if key not in taken and (step.rule, due_was[key]) == (one.rule, one.due_on)
        )
        key = next(mine, None)
        if key is None or one.due_on != one.first_due_on:
            continue
        taken.add(key)
        if one.due_on < today:
            continue
        if key not in will:
            found.cancelled.append(one.number)
        elif (due_on := max(today, will[key].due(entered_on, **asked))) != one.due_on:  # type: ignore[arg-type]
            found.moved[one.number] = due_on
    for key, step in will.items():
        if key not in was and (due_on := step.due(entered_on, **asked)) >= today:  # type: ignore[arg-type]
            found.created.append((step.rule, due_on))
    return found
