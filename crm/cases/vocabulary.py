"""Codes of the domain that the database repeats as CHECKs. Their words are in `texts.toml`."""

from enum import StrEnum


class Stage(StrEnum):
    """Where staff attention is: domain reference, section 14.1."""

    NEW = "new"
    CONTACT = "contact"
    DISCOVERY = "discovery"
    PLANNING = "planning"
    REFERRED = "referred"
    ASSISTANCE = "assistance"
    FINANCING = "financing"
    LAUNCHED = "launched"
    PAUSED = "paused"
    CLOSED = "closed"


class Turn(StrEnum):
    """Who does the next thing on a file."""

    TEAM = "team"
    PERSON = "person"
    BODY = "body"
    TALK = "talk"  # both, at a time that is booked
    NOBODY = "nobody"  # closed


class ClosingReason(StrEnum):
    """Domain reference, section 14.5."""

    LAUNCHED_OK = "launched_ok"
    PARTNER_OK = "partner_ok"
    ANSWERED = "answered"
    OTHER_MODEL = "other_model"
    ABANDONED = "abandoned"
    SUSPENDED = "suspended"
    NO_ANSWER = "no_answer"
    OUT_SCOPE = "out_scope"
    OUT_AREA = "out_area"
    WITHDRAWN = "withdrawn"
    CONSENT = "consent"
    DUPLICATE = "duplicate"
    SPAM = "spam"
    ERROR = "error"


class ProjectStage(StrEnum):
    """Domain reference, section 4."""

    IDEA = "idea"
    EXPLORATION = "exploration"
    PLANNING = "planning"
    INCORPORATION = "incorporation"
    LAUNCH = "launch"
    OPERATING = "operating"
    CONVERSION = "conversion"
    UNKNOWN = "unknown"


class LegalForm(StrEnum):
    """Domain reference, section 3; `coop` and `npo` stand for a family whose type is not known yet."""

    COOP = "coop"
    COOP_CONSUMER = "coop_consumer"
    COOP_PRODUCER = "coop_producer"
    COOP_WORK = "coop_work"
    COOP_SOLIDARITY = "coop_solidarity"
    COOP_WSC = "coop_wsc"
    COOP_FEDERAL = "coop_federal"
    NPO = "npo"
    NPO_QC = "npo_qc"
    NPO_FEDERAL = "npo_federal"
    MUTUAL = "mutual"
    UNINCORPORATED = "unincorporated"
    SHARE_CORP = "share_corp"
    OTHER = "other"
    UNDECIDED = "undecided"


class Need(StrEnum):
    """Domain reference, question 14."""

    MODEL = "model"
    FORM = "form"
    GOVERNANCE = "governance"
    MARKET = "market"
    PLAN = "plan"
    TECH = "tech"
    LEGAL = "legal"
    FUNDING = "funding"
    NETWORK = "network"
    INCUBATION = "incubation"
    GROWTH = "growth"
    OTHER = "other"
    UNKNOWN = "unknown"


class NeedState(StrEnum):
    """What became of a need: indicator 15 counts those that stay open."""

    OPEN = "open"
    REFERRED = "referred"
    ANSWERED = "answered"


class CheckResult(StrEnum):
    """What the check twelve months after the launch found: indicator 21."""

    ACTIVE = "active"
    STOPPED = "stopped"
    UNREACHED = "unreached"


class PreferredLanguage(StrEnum):
    FR = "fr"
    EN = "en"
    EITHER = "either"


class ContactMode(StrEnum):
    EMAIL = "email"
    PHONE = "phone"
    VIDEO = "video"


class Source(StrEnum):
    WEB = "web"
    PHONE = "phone"
    EVENT = "event"
    PARTNER = "partner"


class ExchangeKind(StrEnum):
    CALL = "call"
    MAIL = "mail"
    MEETING = "meeting"


class ExchangeDirection(StrEnum):
    OUTGOING = "outgoing"
    INCOMING = "incoming"


class ExchangeResult(StrEnum):
    TWO_WAY = "two_way"
    ATTEMPT = "attempt"
