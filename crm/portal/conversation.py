"""What the team writes to the person, and both sides of it in the order they were written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.addresses import address_of_page, link_of
from crm.cases.models import Case
from crm.cases.services import assign
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.intake.introductions import of_case
from crm.links.services import PLACE
from crm.outbox.models import Message, Status
from crm.outbox.services import queue
from crm.portal.models import PersonMessage, StaffMessage
from crm.reminders.models import FollowUp, State
from crm.reminders.services import complete
from crm.texts import text
from crm.timeline.services import SYSTEM, record

SHOWN = 50


@dataclass(frozen=True)
class Line:
    """One message: `author` is the colleague's name, empty when the person wrote it."""

    sent_at: datetime
    author: str
    body: str


def thread(case: Case, most: int | None = SHOWN) -> list[Line]:
    """What was written, the newest first."""
    theirs: Sequence[PersonMessage] = db.session.scalars(
        select(PersonMessage).where(PersonMessage.case_id == case.id).order_by(PersonMessage.id.desc()).limit(most)
    ).all()
    ours: Sequence[StaffMessage] = db.session.scalars(
        select(StaffMessage)
        .where(StaffMessage.case_id == case.id)
        .options(joinedload(StaffMessage.author).load_only(Staff.name))
        .order_by(StaffMessage.id.desc())
        .limit(most)
    ).all()
    lines = [Line(one.sent_at, "", one.body) for one in theirs]
    lines += [Line(one.sent_at, one.author.name, one.body) for one in ours]
    return sorted(lines, key=lambda one: one.sent_at, reverse=True)[:most]


def may_write(case: Case) -> None:
    """Raises RefusedError while the person may not be written to."""
    if case.quarantined:
        raise RefusedError(text("cases.refusal.quarantined"))
    if case.merged_into_id is not None:
        raise RefusedError(text("cases.refusal.merged"))
    introduction = of_case(case)
    if introduction is not None and (introduction.answer is None or introduction.destroyed_at is not None):
        raise RefusedError(text("portal.refusal.not_agreed"))


def write_to_person(case: Case, body: str, key: str, actor: Staff) -> StaffMessage:
    """The team writes: a first reply, when it is the first. What was planned to answer the person is done.

    Raises RefusedError, or IntegrityError when this very form was received before.
    """
    may_write(case)
    now = clock.now()
    message = StaffMessage(case_id=case.id, form_key=key, author_id=actor.id, body=body, sent_at=now)
    db.session.add(message)
    db.session.flush()
    record("message.written", case_id=case.id, actor=by(actor), codes={"message": message.id}, detail={"body": body})
    case.first_reply_at = min(case.first_reply_at or now, now)
    if case.stage is not Stage.CLOSED:
        for follow_up in _to_answer(case):
            complete(follow_up, case, actor)
    if case.contact.email:
        queue(
            "portal.message",
            dedupe_key=f"staff-message:{message.id}",
            to=(case.contact.email, case.contact.name),
            language=case.language,
            values={
                "name": case.contact.name,
                "reference": case.reference,
                "adviser": actor.name,
                "message": without_place(body),
                "address_of_page": address_of_page(case.language),
            },
            case_id=case.id,
            link=link_of(case),
        )
    return message


def answer_person(case: Case, body: str, key: str, actor: Staff) -> StaffMessage:
    """The team writes; a request that nobody took is the writer's from now on. Raises as `write_to_person` does."""
    if case.owner_id is None and case.stage is Stage.NEW:
        assign(case, actor, actor)
    return write_to_person(case, body, key, actor)


def without_place(typed: str) -> str:
    """Words for a message: where the token of a link goes is ours to say, what somebody typed never becomes one."""
    return typed.replace(PLACE, PLACE.strip("[]"))


def was_written(key: str) -> bool:
    """Whether a form of the team with this key was received before."""
    return db.session.scalar(select(StaffMessage.id).where(StaffMessage.form_key == key)) is not None


def _to_answer(case: Case) -> Sequence[FollowUp]:
    """What is planned to answer the person, by the rule that follows their message."""
    mine = (FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == "answer_person")
    return db.session.scalars(select(FollowUp).where(*mine)).all()


def forget_all(case: Case) -> None:
    """What both sides wrote is destroyed."""
    for table in (PersonMessage, StaffMessage):
        db.session.execute(delete(table).where(table.case_id == case.id))


def note_final(message: Message) -> None:
    """The file's history says when a message could not leave."""
    if message.status is Status.FAILED:
        record("message.not_sent", case_id=message.case_id, actor=SYSTEM, codes={"mail": message.id})
