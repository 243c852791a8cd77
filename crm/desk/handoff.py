"""The sheet somebody leaves to who takes over: every open file of theirs with what is going on, to be read or printed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, abort, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.queries import active_case_team
from crm.cases.models import Case, Note
from crm.cases.queries import visible
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.reminders.models import FollowUp, State
from crm.reminders.words import title_of
from crm.talks.models import Talk, TalkState
from crm.timeline.models import Event

bp = Blueprint("handoff", __name__, url_prefix="/staff/handoff")
MOST = 300  # files of one sheet
WAITING = (Status.SENT, Status.INFO_ASKED)


@dataclass
class Sheet:
    """One file on the sheet."""

    case: Case
    steps: list[FollowUp] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    note: str = ""


@bp.get("")
@case_team
def page() -> str:
    """One's own files, or a colleague's: everybody of the team may need to take over."""
    asked = request.args.get("who", "")
    who = db.session.get(Staff, int(asked)) if asked.isdecimal() and len(asked) < 10 else me()
    if who is None:
        abort(404)
    files = open_files(who, me())
    return render_template(
        "desk/handoff.html",
        who=who,
        team=active_case_team(),
        files=files[:MOST],
        more=len(files) > MOST,
        title_of=title_of,
        today=clock.today(),
    )


def open_files(who: Staff, reader: Staff) -> Sequence[Sheet]:
    """The open files of a person that `reader` may see, the earliest next step first, with what is going on: five reads, however many files."""
    mine = (
        select(Case)
        .join(Case.contact)
        .join(Case.project)
        .where(Case.owner_id == who.id, Case.stage != Stage.CLOSED, visible(reader))
        .order_by(Case.next_step_on, Case.id)
        .limit(MOST + 1)
        .options(contains_eager(Case.contact), contains_eager(Case.project))
    )
    sheets = {case.id: Sheet(case) for case in db.session.scalars(mine)}
    ids = list(sheets)
    for step in _of(FollowUp, ids, FollowUp.state == State.TODO, order=(FollowUp.due_on, FollowUp.id)):
        sheets[step.case_id].steps.append(step)
    booked = (Talk.state == TalkState.BOOKED, Talk.starts_at >= clock.now())
    for talk in _of(Talk, ids, *booked, order=(Talk.starts_at,)):
        sheets[talk.case_id].talks.append(talk)
    read = _of(
        Referral, ids, Referral.status.in_(WAITING), order=(Referral.sent_at,), options=[joinedload(Referral.body)]
    )
    for referral in read:
        sheets[referral.case_id].referrals.append(referral)
    for case_id, body in _last_notes(ids).items():
        sheets[case_id].note = body
    return list(sheets.values())


def _of(model: Any, ids: Iterable[int], *which: Any, order: Sequence[Any], options: Sequence[Any] = ()) -> Any:
    return db.session.scalars(select(model).where(model.case_id.in_(ids), *which).order_by(*order).options(*options))


def _last_notes(ids: Sequence[int]) -> Mapping[int, str]:
    """What colleagues wrote last on each file."""
    last = (
        select(func.max(Event.id))
        .join(Note, Note.event_id == Event.id)
        .where(Note.case_id.in_(ids))
        .group_by(Note.case_id)
    )
    rows = db.session.execute(select(Note.case_id, Note.body).where(Note.event_id.in_(last)))
    return {row.case_id: row.body for row in rows}
