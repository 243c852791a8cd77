"""What becomes of a received e-mail. None of these commits.

An answer is known by the mark of the message it answers, which only who received that message can have, and by its sender's address, which
anybody can write: it goes on the file when both agree. Everything else that somebody wrote is shown to the team, who say where it belongs.
Programs get no answer, ever.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.business_days import add_business_days, next_business_day
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import RefusedError
from crm.feature import MergePart
from crm.i18n import speaking
from crm.mailbox.models import ASIDE, DUE, ReceivedMail, State, Why
from crm.mailbox.parsing import Incoming, Sort
from crm.outbox import threads
from crm.outbox.models import Message
from crm.outbox.services import came_back
from crm.portal.conversation import may_write
from crm.portal.services import files_of, tell_team
from crm.portal.services import write as person_writes
from crm.reminders.services import plan_once
from crm.texts import text
from crm.timeline.services import SYSTEM, record

NOT_READ = frozenset({Why.LARGE, Why.UNREADABLE})
KEPT_ASIDE = timedelta(days=30)


def receive(mail: Incoming, *, validity: int, uid: int, why: Why | None = None) -> bool:
    """Do what an e-mail asks for; whether it was one that somebody wrote. `why` says that it could not be read whole.

    Raises IntegrityError when this very e-mail was received before.
    """
    number = threads.marked(mail.marks)
    message = db.session.get(Message, number) if number is not None else None
    if mail.sort is not Sort.WORDS:
        if message is not None:
            _told_by_a_program(mail, message)
        return False
    row = ReceivedMail(
        dedupe_key=key_of(mail),
        validity=validity,
        uid=uid,
        received_at=clock.now(),
        from_address=mail.from_address,
        from_name=mail.from_name,
        subject=mail.subject,
        body=mail.text,
        said=mail.said,
        attachments=[one.name for one in mail.attached],
        state=State.TRAY,
        why=why,
    )
    db.session.add(row)
    db.session.flush()
    _place(row, message)
    return True


def key_of(mail: Incoming) -> str:
    """What tells an e-mail from all others, wherever it stands in the mailbox."""
    return hashlib.sha256(
        f"{mail.key}\n{mail.from_address}\n{mail.subject}\n{mail.text}".encode("utf-8", "replace")
    ).hexdigest()


def is_here(mail: Incoming, validity: int, uid: int) -> bool:
    """Whether this very e-mail was received before; its place in the mailbox, which may be another now, is noted."""
    row = db.session.scalar(select(ReceivedMail).where(ReceivedMail.dedupe_key == key_of(mail)))
    if row is not None:
        row.validity, row.uid = validity, uid
    return row is not None


def _told_by_a_program(mail: Incoming, message: Message) -> None:
    """A report, or an automatic reply, about a message of ours: the ledger says so; nobody is taken to have answered."""
    if mail.sort is Sort.AUTOMATIC:
        message.auto_replied_at = message.auto_replied_at or clock.now()
    elif mail.sort is Sort.RETURNED and came_back(message, mail.report):
        case = _case_of(message)
        if case is not None and message.staff_id is None and case.stage is not Stage.CLOSED:
            plan_once(case, "mail_returned", next_business_day(clock.today()))


def _case_of(message: Message | None) -> Case | None:
    return _goes_on(db.session.get(Case, message.case_id)) if message is not None and message.case_id else None


def _goes_on(case: Case | None) -> Case | None:
    """The file that a file became."""
    return db.session.get(Case, case.merged_into_id) if case is not None and case.merged_into_id else case


def _place(row: ReceivedMail, message: Message | None) -> None:
    """On its file when that is certain; otherwise in the tray, with the file that is likely."""
    case = _case_of(message)
    if message is None:
        row.suggested_id, row.why = _file_of(row.from_address), row.why or Why.UNKNOWN
    elif case is None:
        row.why = row.why or Why.NO_FILE
    else:
        row.suggested_id, row.why = case.id, row.why or _doubt(row, message, case)
        if row.why is None:
            _file(row, case, as_person=_same(message.to_address, case.contact.email))


def _doubt(row: ReceivedMail, message: Message, case: Case) -> Why | None:
    """Why an answer to a message about a file is not put on it without asking. Who received it answers, nobody else: an organization that
    knows the person's address is not believed to be the person.
    """
    if not _same(row.from_address, message.to_address) or message.staff_id:
        return Why.OTHER_ADDRESS
    try:
        with speaking("fr"):
            may_write(case)
    except RefusedError:
        return Why.NO_FILE
    return None


def _same(one: str, other: str) -> bool:
    return bool(one) and one.lower() == other.lower()


def _file_of(address: str) -> int | None:
    """The newest open file of somebody with this address: a suggestion, for anybody can write any address."""
    if not address:
        return None
    here = Case.stage != Stage.CLOSED, Case.merged_into_id.is_(None)
    found = db.session.scalar(files_of(address).where(*here).order_by(Case.id.desc()).limit(1))
    return found.id if found else None


def _file(row: ReceivedMail, case: Case, *, as_person: bool, actor: Staff | None = None) -> None:
    """Put an e-mail on a file: as words of the person of the file, who reads them on their page; or as an e-mail from somebody else,
    which only the team reads.
    """
    with speaking(case.language):
        words = row.said or text("mailbox.not_read" if row.why in NOT_READ else "mailbox.no_words")
    row.state, row.case_id, row.suggested_id, row.why = State.FILED, case.id, None, None
    if as_person:
        person_writes(case, words, row.dedupe_key[:40], mailed_from=row.from_address)
        row.attachments_due = bool(row.attachments)
        return
    shown = f"{row.from_name} <{row.from_address}>" if row.from_name else row.from_address
    record(
        "mail.received", case_id=case.id, actor=SYSTEM, codes={"mail": row.id}, detail={"body": words, "from": shown}
    )
    if case.stage is not Stage.CLOSED:
        plan_once(case, "mail_received", add_business_days(clock.today(), 1))
    if actor is None or case.owner_id != actor.id:
        tell_team("mailbox.received", case, f"received-mail:{row.id}")


# --- the tray --------------------------------------------------------------------------------------------------------


def check_in_tray(row: ReceivedMail) -> None:
    """Raises RefusedError for one that a colleague saw to meanwhile."""
    if row.state is not State.TRAY:
        raise RefusedError(text("mailbox.refusal.decided"))


def file_by_hand(row: ReceivedMail, case: Case, actor: Staff, *, as_person: bool) -> Case:
    """Somebody of the team says where an e-mail belongs; returns the file it went on, which is the one it became when it was joined to another."""
    check_in_tray(row)
    case = _goes_on(case) or case
    if as_person:
        may_write(case)
        if row.why in NOT_READ:
            raise RefusedError(text("mailbox.refusal.not_read"))
    _file(row, case, as_person=as_person, actor=actor)
    row.decided_at, row.decided_by_id = clock.now(), actor.id
    return case


def set_aside(row: ReceivedMail, actor: Staff) -> None:
    """It is not for us: destroyed in thirty days."""
    check_in_tray(row)
    row.state, row.decided_at, row.decided_by_id = State.ASIDE, clock.now(), actor.id


def take_back(row: ReceivedMail) -> None:
    """What was set aside returns to the tray. Raises RefusedError for anything else."""
    if row.state is not State.ASIDE:
        raise RefusedError(text("mailbox.refusal.decided"))
    row.state, row.decided_at, row.decided_by_id = State.TRAY, None, None


def sweep() -> int:
    """Destroy what was set aside thirty days ago; how many."""
    old = delete(ReceivedMail).where(ASIDE, ReceivedMail.decided_at <= clock.now() - KEPT_ASIDE)
    return int(db.session.execute(old).rowcount)  # type: ignore[attr-defined]


def forget_all(case: Case) -> None:
    """Every e-mail of a file, or that would have been its, is destroyed."""
    mine = or_(ReceivedMail.case_id == case.id, ReceivedMail.suggested_id == case.id)
    db.session.execute(delete(ReceivedMail).where(mine))


def _move_suggestions(gone: Case, kept: Case) -> list[int]:
    """What waits in the tray for a file waits for the one it became."""
    ids = list(db.session.scalars(select(ReceivedMail.id).where(ReceivedMail.suggested_id == gone.id)))
    _suggest(ids, gone, kept)
    return ids


def _return_suggestions(gone: Case, kept: Case, moved: list[int]) -> None:
    _suggest(moved, kept, gone)


def _suggest(ids: list[int], instead_of: Case, case: Case) -> None:
    theirs = update(ReceivedMail).where(ReceivedMail.id.in_(ids), ReceivedMail.suggested_id == instead_of.id)
    db.session.execute(theirs.values(suggested_id=case.id).execution_options(synchronize_session="fetch"))


SUGGESTIONS = MergePart("received_mail_suggested", _move_suggestions, _return_suggestions)


def due_attachments() -> Sequence[ReceivedMail]:
    """Filed e-mails whose files are still to be fetched from the mailbox."""
    due = select(ReceivedMail).where(DUE)
    return db.session.scalars(due.options(joinedload(ReceivedMail.case)).order_by(ReceivedMail.id).limit(20)).all()
