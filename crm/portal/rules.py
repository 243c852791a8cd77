"""Whose turn it is, as the person reads it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from crm.cases.vocabulary import Stage
from crm.cases.vocabulary import Turn as Holder


class Turn(StrEnum):
    """Who does the next thing, and why: keys of what the page says."""

    TEAM = "team"
    REPLY = "reply"  # the team, by a promised date
    TALK = "talk"  # both, at a time
    BODY = "body"
    ASKED = "asked"  # the person, who was asked something
    PERSON = "person"  # the person, whose file is on hold
    NOBODY = "nobody"


@dataclass(frozen=True)
class Standing:
    """Where a file stands for the person: a turn, and the body that it is waiting on."""

    turn: Turn
    bodies: tuple[str, ...] = ()


def standing(holder: Holder, stage: Stage, *, reply_owed: bool, waiting_on: Sequence[str]) -> Standing:
    """What the person reads of who holds the file. `waiting_on` names the bodies that have a referral to answer."""
    match holder:
        case Holder.NOBODY:
            return Standing(Turn.NOBODY)
        case Holder.TALK:
            return Standing(Turn.TALK)
        case Holder.BODY:
            return Standing(Turn.BODY, tuple(waiting_on))
        case Holder.PERSON:
            return Standing(Turn.PERSON if stage is Stage.PAUSED else Turn.ASKED)
        case Holder.TEAM:
            return Standing(Turn.REPLY if reply_owed else Turn.TEAM)
