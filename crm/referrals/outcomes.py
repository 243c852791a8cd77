"""The statuses of a referral and the moves between them. Pure. Domain reference, section 14.3."""

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


class DeclineReason(StrEnum):
    AREA = "area"
    SECTOR = "sector"
    TOO_EARLY = "too_early"
    TOO_ADVANCED = "too_advanced"
    CAPACITY = "capacity"
    LEGAL_FORM = "legal_form"
    OTHER = "other"


S = Status
MOVES: dict[Status, frozenset[Status]] = {
    S.DRAFT: frozenset({S.CONSENT_PENDING, S.READY, S.SELF, S.WITHDRAWN}),
    S.CONSENT_PENDING: frozenset({S.READY, S.SELF, S.WITHDRAWN}),
    S.READY: frozenset({S.SENT, S.WITHDRAWN}),
    S.SENT: frozenset({S.INFO_ASKED, S.ACCEPTED, S.DECLINED, S.NO_ANSWER, S.WITHDRAWN}),
    S.INFO_ASKED: frozenset({S.SENT, S.WITHDRAWN}),
    S.ACCEPTED: frozenset({S.COMPLETED, S.INTERRUPTED, S.WITHDRAWN}),
    S.NO_ANSWER: frozenset({S.ACCEPTED, S.DECLINED, S.WITHDRAWN}),
    S.DECLINED: frozenset(),
    S.COMPLETED: frozenset(),
    S.INTERRUPTED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.SELF: frozenset({S.COMPLETED, S.INTERRUPTED}),
}
# Still waiting for somebody: a file does not close over these.
UNSETTLED = frozenset({S.DRAFT, S.CONSENT_PENDING, S.READY, S.SENT, S.INFO_ASKED})
# The body may read what was shared.
READABLE = frozenset({S.SENT, S.INFO_ASKED, S.ACCEPTED, S.DECLINED, S.NO_ANSWER})
# May be without a permission, as long as nothing was sent: a self-referral is followed to its end.
WITHOUT_PERMISSION = frozenset({S.DRAFT, S.CONSENT_PENDING, S.SELF, S.WITHDRAWN, S.COMPLETED, S.INTERRUPTED})
# These open the stage "referred".
REFERRED = frozenset({S.SENT, S.INFO_ASKED, S.ACCEPTED, S.DECLINED, S.NO_ANSWER, S.COMPLETED, S.INTERRUPTED, S.SELF})


def may_become(status: Status, to: Status) -> bool:
    return to in MOVES[status]
