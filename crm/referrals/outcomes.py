"""The statuses of a referral, who may move it from one to another, and what others call them. Pure. Domain reference, section 14.3."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    DRAFT = "draft"
    CONSENT_PENDING = "consent_pending"
    READY = "ready"
    SENT = "sent"
    INFO_ASKED = "info_asked"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    WITHDRAWN = "withdrawn"
    SELF = "self"


class Actor(StrEnum):
    """Who does something to a referral. Staff also act on a body's behalf, and record what a person said: it is marked so."""

    STAFF = "staff"
    BODY = "body"
    PERSON = "person"
    PROGRAM = "program"  # what comes by itself with time


class Action(StrEnum):
    ASK_PERMISSION = "ask_permission"
    ALLOW = "allow"
    REFUSE = "refuse"
    GO_ALONE = "go_alone"
    SEND = "send"
    ACCEPT = "accept"
    DECLINE = "decline"
    ASK = "ask"
    REPLY = "reply"
    FALL_SILENT = "fall_silent"
    COMPLETE = "complete"
    INTERRUPT = "interrupt"
    CORRECT = "correct"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


class DeclineReason(StrEnum):
    AREA = "area"
    SECTOR = "sector"
    TOO_EARLY = "too_early"
    TOO_ADVANCED = "too_advanced"
    CAPACITY = "capacity"
    LEGAL_FORM = "legal_form"
    OTHER = "other"


class EndedBy(StrEnum):
    """Who said no, gave up or took back: the column `declined_by`."""

    BODY = "body"
    PERSON = "person"
    STAFF = "staff"
    TIME = "time"  # the permission came to its end


class Outcome(StrEnum):
    """What came of a referral that a body had taken on."""

    HELPED = "helped"
    PARTLY = "partly"
    NOT_HELPED = "not_helped"
    UNREACHABLE = "unreachable"


class SupportUnit(StrEnum):
    HOURS = "hours"
    MONTHS = "months"


S, A = Status, Action
_STAFF, _BODY, _PERSON, _PROGRAM = Actor.STAFF, Actor.BODY, Actor.PERSON, Actor.PROGRAM
UNANSWERED = (S.SENT, S.INFO_ASKED, S.NO_ANSWER)
_OPEN = (S.DRAFT, S.CONSENT_PENDING, S.READY, *UNANSWERED, S.ACCEPTED)
# Each action: who may do it, and what it makes of a referral that is in some status. Whatever is not here is refused.
TABLE: Mapping[Action, Mapping[Actor, Mapping[Status, Status]]] = {
    A.ASK_PERMISSION: {_STAFF: {S.DRAFT: S.CONSENT_PENDING}},
    A.ALLOW: {one: {S.DRAFT: S.READY, S.CONSENT_PENDING: S.READY} for one in (_STAFF, _PERSON)},
    A.REFUSE: {one: {S.CONSENT_PENDING: S.WITHDRAWN} for one in (_STAFF, _PERSON)},
    A.GO_ALONE: {one: {S.DRAFT: S.SELF, S.CONSENT_PENDING: S.SELF} for one in (_STAFF, _PERSON)},
    A.SEND: {one: {S.READY: S.SENT} for one in (_STAFF, _PROGRAM)},
    A.ACCEPT: {one: dict.fromkeys(UNANSWERED, S.ACCEPTED) for one in (_BODY, _STAFF)},
    A.DECLINE: {one: dict.fromkeys(UNANSWERED, S.DECLINED) for one in (_BODY, _STAFF)},
    A.ASK: {one: dict.fromkeys((S.SENT, S.NO_ANSWER), S.INFO_ASKED) for one in (_BODY, _STAFF)},
    A.REPLY: {_STAFF: {S.INFO_ASKED: S.SENT}},
    A.FALL_SILENT: {_PROGRAM: {S.SENT: S.NO_ANSWER}},
    A.COMPLETE: {_BODY: {S.ACCEPTED: S.COMPLETED}, _STAFF: dict.fromkeys((S.ACCEPTED, S.SELF), S.COMPLETED)},
    A.INTERRUPT: {_BODY: {S.ACCEPTED: S.INTERRUPTED}, _STAFF: dict.fromkeys((S.ACCEPTED, S.SELF), S.INTERRUPTED)},
    A.CORRECT: {
        one: {S.ACCEPTED: S.SENT, S.DECLINED: S.SENT, S.COMPLETED: S.ACCEPTED, S.INTERRUPTED: S.ACCEPTED}
        for one in (_BODY, _STAFF)
    },
    A.WITHDRAW: {one: dict.fromkeys(_OPEN, S.WITHDRAWN) for one in (_STAFF, _PERSON)},
    A.EXPIRE: {_PROGRAM: dict.fromkeys((S.CONSENT_PENDING, S.READY, *UNANSWERED), S.WITHDRAWN)},
}
CORRECTED_WITHIN = timedelta(days=7)
SILENT_AFTER = 20  # business days without an answer, after which another way is looked for
# Still waiting for somebody: a file does not close over these.
UNSETTLED = frozenset({S.DRAFT, S.CONSENT_PENDING, S.READY, S.SENT, S.INFO_ASKED})
# The body may read what was shared, or at least what it answered.
READABLE = frozenset({S.SENT, S.INFO_ASKED, S.ACCEPTED, S.DECLINED, S.NO_ANSWER, S.COMPLETED, S.INTERRUPTED})
# Of these, the body reads only a receipt, while it may still correct itself.
RECEIPTS = frozenset({S.DECLINED, S.COMPLETED, S.INTERRUPTED})
# May be without a permission, as long as nothing was sent: a self-referral is followed to its end.
WITHOUT_PERMISSION = frozenset({S.DRAFT, S.CONSENT_PENDING, S.SELF, S.WITHDRAWN, S.COMPLETED, S.INTERRUPTED})
# These open the stage "referred".
REFERRED = frozenset({S.SENT, S.INFO_ASKED, S.ACCEPTED, S.DECLINED, S.NO_ANSWER, S.COMPLETED, S.INTERRUPTED, S.SELF})
# Status codes of the Task of a referral in FHIR (Gravity SDOH Clinical Care), for exchange.
FHIR: Mapping[Status, str] = {
    S.DRAFT: "draft",
    S.CONSENT_PENDING: "draft",
    S.READY: "draft",
    S.SENT: "requested",
    S.INFO_ASKED: "on-hold",
    S.ACCEPTED: "accepted",
    S.DECLINED: "rejected",
    S.NO_ANSWER: "failed",
    S.COMPLETED: "completed",
    S.INTERRUPTED: "failed",
    S.WITHDRAWN: "cancelled",
    S.SELF: "in-progress",
}


def after(status: Status, action: Action, actor: Actor) -> Status | None:
    """What an action of somebody makes of a referral in a status; None when it is refused."""
    return TABLE[action].get(actor, {}).get(status)


def may_become(status: Status, to: Status) -> bool:
    """Whether anything that anybody may do leads from one status to another."""
    return any(moves.get(status) is to for action in TABLE.values() for moves in action.values())


def may_correct(status: Status, answered_at: datetime | None, now: datetime, *, sent: bool) -> bool:
    """Whether the last answer about a referral may still be taken for a mistake: for a week, and only what a body had received."""
    if not sent or answered_at is None or after(status, Action.CORRECT, Actor.BODY) is None:
        return False
    return now - answered_at <= CORRECTED_WITHIN
