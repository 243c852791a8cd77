"""Whose turn it is, as the person reads it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from crm.cases.vocabulary import Stage


class Turn(StrEnum):
    """Who does the next thing."""

    TEAM = "team"
    REPLY = "reply"  # the team, by a promised date
    TALK = "talk"  # both, at a time
    BODY = "body"
    PERSON = "person"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Standing:
    """Where a file stands for the person: a turn, and the body that it is waiting on."""

    turn: Turn
    bodies: tuple[str, ...] = ()


def standing(stage: Stage, *, replied: bool, talk_coming: bool, waiting_on: Sequence[str]) -> Standing:
    """Whose turn it is. `waiting_on` names the bodies that have a referral to answer."""
    if stage is Stage.CLOSED:
        return Standing(Turn.NOBODY)
    if talk_coming:
        return Standing(Turn.TALK)
    if stage in {Stage.NEW, Stage.CONTACT} and not replied:
        return Standing(Turn.REPLY)
    if waiting_on:
        return Standing(Turn.BODY, tuple(waiting_on))
    if stage is Stage.PAUSED:
        return Standing(Turn.PERSON)
    return Standing(Turn.TEAM)
