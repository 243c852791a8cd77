"""What a body itself says of the money that a project asked it for, on its page of a referral that it took on. It sees the applications that
it spoke of through that referral, and no others. None of these commits.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.business_days import add_business_days
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.financing import rules
from crm.financing.models import Application
from crm.financing.rules import DECIDED, PENDING, SAID, Status
from crm.financing.services import MOMENT, MOST, about, names, note_said, of_case, plan_the_check, refused, tell_waiting
from crm.partners.vocabulary import Instrument
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status as ReferralStatus
from crm.referrals.services import lock
from crm.reminders.services import keep_from_being_forgotten, plan_by_rule, settle
from crm.texts import label

# While a body has a project in hand, and as long as it reads the receipt of what came of it.
MAY_SPEAK = frozenset({ReferralStatus.ACCEPTED, ReferralStatus.COMPLETED})


@dataclass(frozen=True)
class Said:
    """What a body says of an application; amounts in cents. `on` is the day of the decision, today when left out."""

    status: Status
    instrument: Instrument
    asked: int | None = None
    granted: int | None = None
    conditions: str = ""
    on: date | None = None
    due_on: date | None = None
    expires_on: date | None = None

    def as_its_status_allows(self) -> "Said":
        """Without what is said of another status only: a form keeps what was typed before one changed one's mind."""
        granted, decided = self.status is Status.GRANTED, self.status in DECIDED
        return replace(
            self,
            granted=self.granted if granted else None,
            expires_on=self.expires_on if granted else None,
            conditions=self.conditions if decided else "",
            on=self.on if decided else None,
            due_on=None if decided else self.due_on,
        )


def spoken_of(referral: Referral) -> list[Application]:
    """The applications that a body spoke of through a referral, in the order in which they were written down."""
    found = select(Application).where(Application.referral_id == referral.id).order_by(Application.id)
    return list(db.session.scalars(found.options(joinedload(Application.body))))


def load(referral: Referral) -> dict[str, Any]:
    """For the page of the body."""
    return {"money": spoken_of(referral), "may_speak": referral.status in MAY_SPEAK}


def may_say(application: Application) -> bool:
    """Whether the body may say how far an application is, now."""
    return rules.body_may_say(application.status, application.said_at, clock.now())


def say(referral: Referral, said: Said, *, number: int | None = None, seen_version: int = 0) -> Application:
    """Write down what a body says: of the application `number`, as it stood in `seen_version`, or of one that the page does not show. Such a
    one that a colleague wrote down already is taken for the same. Said twice in a row, it is written down once.

    Raises RefusedError when the body may not say it, or somebody changed it after it was shown.
    """
    case = lock(referral)
    if referral.status not in MAY_SPEAK:
        raise refused("not_accepted")
    if said.status not in SAID:
        raise ValueError(said.status)
    said = said.as_its_status_allows()
    there = {one.id: one for one in spoken_of(referral)}
    if number is None:
        if (twice := next((one for one in there.values() if _is_same(one, said)), None)) is not None:
            return twice
        written = _of_the_team(case, referral, said.instrument)
        if (known := _known_before(written, said)) is not None:
            known.referral_id = referral.id
            return known
        application = _written_before(written) or _new(case, referral, said)
        if said.asked is None:  # what it does not say stays
            said = replace(said, asked=application.asked)
    else:
        if number not in there:
            raise refused("changed")
        application = there[number]
        db.session.refresh(application, with_for_update={"of": Application})
        if _is_same(application, said):
            return application
        if application.version != seen_version:
            raise refused("changed")
        if not may_say(application):
            raise refused("decided", status=label("financing.status", application.status))
    _write(application, case, referral, said)
    return application


_SAME_DECISION = {Status.GRANTED: (Status.GRANTED, Status.DISBURSED), Status.REFUSED: (Status.REFUSED,)}


def _of_the_team(case: Case, referral: Referral, instrument: Instrument) -> list[Application]:
    """What the team wrote down of a body's money of a kind, and the body has not spoken of."""
    same = referral.body_id, instrument, None
    return [one for one in of_case(case) if (one.body_id, one.instrument, one.referral_id) == same]


def _known_before(written: list[Application], said: Said) -> Application | None:
    """A decision that the team heard and wrote down already, to the cent: it is not counted twice."""
    decided = _SAME_DECISION.get(said.status, ())
    return next((one for one in written if one.status in decided and one.granted == said.granted), None)


def _written_before(written: list[Application]) -> Application | None:
    """One that the team wrote down and that the body now speaks of: the one that is farthest along, held until the transaction ends."""
    pending = [one for one in written if one.status in PENDING]
    if not pending:
        return None
    farthest = max(pending, key=lambda one: (rules.BEGUN.index(one.status), -one.id))
    db.session.refresh(farthest, with_for_update={"of": Application})
    return farthest


def _new(case: Case, referral: Referral, said: Said) -> Application:
    if len(of_case(case)) >= MOST:
        raise refused("most", count=str(MOST))
    application = Application(
        case_id=case.id,
        body_id=referral.body_id,
        status=Status.CONSIDERED,
        instrument=said.instrument,
        conditions="",
        created_at=clock.now(),
        created_by_id=referral.created_by_id,
        version=1,
    )
    db.session.add(application)
    db.session.flush()
    return application


def _is_same(one: Application, said: Said) -> bool:
    """Whether a button was pressed twice: the body said just this a moment ago."""
    stands = one.status, one.instrument, one.asked, one.granted, one.conditions, one.decision_due_on, one.expires_on
    told = said.status, said.instrument, said.asked, said.granted, said.conditions, said.due_on, said.expires_on
    return stands == told and one.said_at is not None and clock.now() - one.said_at < MOMENT


def _write(application: Application, case: Case, referral: Referral, said: Said) -> None:
    anew = application.status in DECIDED
    before = names(referral.body, application.instrument)
    application.case_id = case.id  # it follows its referral, also when two files that were one are two again
    application.referral_id, application.said_at = referral.id, clock.now()
    application.status, application.instrument = said.status, said.instrument
    application.asked = said.asked
    application.granted, application.conditions = said.granted, said.conditions
    application.decision_due_on, application.expires_on = said.due_on, said.expires_on
    # Of one that is heard of once it is decided, the day it was filed is not known: it was no later than the decision.
    application.filed_on = application.filed_on or min(clock.today(), said.on or clock.today())
    application.decided_on = (said.on or clock.today()) if said.status in DECIDED else None
    application.version += 1
    db.session.flush()
    note_said(application, said.asked if said.granted is None else said.granted, anew=anew)
    if case.stage is Stage.CLOSED:
        return
    settle(case, ("check_decision", "money_decided", "money_said"), before)
    if said.status in DECIDED:
        tell_waiting(application, case)
    plan_the_check(application, case)
    if said.status in DECIDED or anew or application.decision_due_on is None:
        plan_by_rule(case, "money_said", add_business_days(clock.today(), 1), about=about(case, application))
    keep_from_being_forgotten(case)
