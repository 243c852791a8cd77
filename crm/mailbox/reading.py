"""Job: read what is new in the mailbox. Nothing in it is changed, marked or deleted: people may read it too.

How far it was read is in the database, in the transaction of each e-mail. One that cannot be read is shown as such, and holds no other.
"""

import logging
import ssl
from contextlib import closing

from imap_tools import AND, BaseMailBox, MailBox, MailBoxStartTls, MailMessage
from sqlalchemy.exc import IntegrityError, OperationalError

from crm import clock
from crm.cases import documents
from crm.config import Mailbox
from crm.db import db
from crm.files import services as files
from crm.files.kinds import MOST, Checked, FileRefusal, FileRefusedError
from crm.i18n import speaking
from crm.mailbox import services
from crm.mailbox.models import MailboxPlace, ReceivedMail, Why
from crm.mailbox.parsing import Attached, Incoming, Sort, read
from crm.outbox.services import settings
from crm.timeline.services import SYSTEM, record

log = logging.getLogger(__name__)
PATIENCE = 30.0  # seconds for each answer of the server
BATCH = 50  # e-mails of one round
# What the libraries that read an e-mail raise over one that no program of good faith wrote.
WRONGLY_WRITTEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
LARGEST = 36 * 1024 * 1024  # bytes of an e-mail: 25 MB of files, as mail carries them


def read_mailbox() -> int:
    """One round: what is new, then the files that came with what was put on a file; how many e-mails were read. Nothing without a mailbox."""
    mailbox = settings().mailbox
    if mailbox is None:
        return 0
    with closing(_Opened(mailbox)) as opened:
        done = _take_new(opened.box, mailbox.folder)
        _fetch_files(opened.box, mailbox.folder)
    services.sweep()
    db.session.commit()
    return done


class _Opened:
    """A signed-in connection to the mailbox, always encrypted."""

    def __init__(self, mailbox: Mailbox) -> None:
        kind = MailBox if mailbox.implicit_tls else MailBoxStartTls
        context = ssl.create_default_context()
        self.box: BaseMailBox = kind(mailbox.host, mailbox.port, timeout=PATIENCE, ssl_context=context)
        plain = (mailbox.username + mailbox.password).isascii()
        sign_in = self.box.login if plain else self.box.login_utf8
        sign_in(mailbox.username, mailbox.password, initial_folder=mailbox.folder)

    def close(self) -> None:
        try:
            self.box.logout()
        except Exception as error:  # noqa: BLE001 - the round is over: how it says goodbye changes nothing
            log.info("the mailbox did not say goodbye: %s", type(error).__name__)


def _take_new(box: BaseMailBox, folder: str) -> int:
    status = box.folder.status(folder, ["UIDVALIDITY", "UIDNEXT"])
    validity, following = int(status["UIDVALIDITY"]), int(status["UIDNEXT"])
    begin = _begin(box, validity, following)
    done = 0
    # "n:*" names the last one also when its number is lower.
    new = sorted(int(uid) for uid in box.uids(f"UID {begin}:*") if int(uid) >= begin)
    for uid in new[:BATCH]:
        done += _take(box, validity, uid)
    return done


def _begin(box: BaseMailBox, validity: int, following: int) -> int:
    """The number to read from. The first time, what comes from now on; where the server numbers anew, what came since the day before the last reading."""
    place = db.session.get(MailboxPlace, 1)
    if place is not None and place.validity == validity:
        begin = place.next_uid
        db.session.rollback()
        return begin
    begin = following
    if place is not None:
        since = clock.local_date(place.read_at)
        db.session.rollback()
        begin = min((int(uid) for uid in box.uids(AND(date_gte=since))), default=following)
    _go_on(validity, begin)
    db.session.commit()
    return begin


def _go_on(validity: int, next_uid: int) -> None:
    """Note how far the mailbox was read."""
    place = db.session.get(MailboxPlace, 1)
    if place is None:
        place = MailboxPlace(id=1)
        db.session.add(place)
    place.validity, place.next_uid, place.read_at = validity, next_uid, clock.now()


def _take(box: BaseMailBox, validity: int, uid: int) -> int:
    """Read one e-mail and do what it asks for; 1 when somebody wrote it."""
    mail, why = _fetched(box, uid)
    if mail is None:
        _go_on(validity, uid + 1)  # taken out of the mailbox meanwhile
        db.session.commit()
        return 0
    for known in (mail, _nothing_known(mail)):
        try:
            done = services.receive(known, validity=validity, uid=uid, why=why)
            _go_on(validity, uid + 1)
            db.session.commit()
        except OperationalError:
            raise
        except Exception as error:
            db.session.rollback()
            if isinstance(error, IntegrityError) and services.was_received(known):
                _go_on(validity, uid + 1)  # before, or another worker was quicker
                db.session.commit()
                return 0
            if why is Why.UNREADABLE:
                raise
            log.exception("e-mail %s of the mailbox cannot be received", uid)
            why = Why.UNREADABLE
        else:
            return int(done)
    return 0


def _fetched(box: BaseMailBox, uid: int) -> tuple[Incoming | None, Why | None]:
    """An e-mail, or of one that is too large or cannot be read what its headers say."""
    head = _one(box, uid, headers_only=True)
    if head is None:
        return None, None
    if head.size_rfc822 > LARGEST:
        return read(head), Why.LARGE
    try:
        whole = _one(box, uid)
        return (read(whole) if whole is not None else None), None
    except WRONGLY_WRITTEN as error:
        log.warning("e-mail %s of the mailbox cannot be read: %s", uid, type(error).__name__)
        return _nothing_known(None), Why.UNREADABLE


def _one(box: BaseMailBox, uid: int, *, headers_only: bool = False) -> MailMessage | None:
    return next(box.fetch(AND(uid=str(uid)), mark_seen=False, headers_only=headers_only), None)


def _nothing_known(mail: Incoming | None) -> Incoming:
    """What is told of an e-mail that cannot be read: that there is one."""
    sender = (mail.from_address, mail.from_name, mail.subject) if mail is not None else ("", "", "")
    key = mail.key if mail is not None else clock.now().isoformat()
    return Incoming(Sort.WORDS, *sender, marks="", text="", said="", attached=(), key=key)


# --- files that came along ---------------------------------------------------------------------------------------------


def _fetch_files(box: BaseMailBox, folder: str) -> None:
    """Keep the files of e-mails that were put on a file, each e-mail's in one transaction."""
    due = [(row.id, row.validity, row.uid) for row in services.due_attachments()]
    db.session.rollback()
    if not due:
        return
    validity = int(box.folder.status(folder, ["UIDVALIDITY"])["UIDVALIDITY"])
    for number, of, uid in due:
        mail, _why = _fetched(box, uid) if of == validity else (None, None)
        attached = mail.attached if mail is not None else None
        try:
            checked, refused = _checked(attached) if attached is not None else ([], [])
        except _BusyError:
            continue  # files are being looked at for others: the next round
        _keep(number, checked, refused, gone=attached is None)
        db.session.commit()


class _BusyError(Exception):
    """No file can be looked at now."""


def _checked(attached: tuple[Attached, ...]) -> tuple[list[Checked], list[FileRefusedError]]:
    """The files that may be kept and those that may not, by the limits of documents sent on a page."""
    checked: list[Checked] = []
    refused: list[FileRefusedError] = []
    for place, one in enumerate(attached):
        try:
            if place >= MOST:
                raise FileRefusedError(FileRefusal.MANY, one.name)  # noqa: TRY301 - told like the others
            checked.append(files.check(one.name, one.stream()))
        except FileRefusedError as error:
            if error.reason is FileRefusal.BUSY:
                raise _BusyError from None
            refused.append(error)
    return checked, refused


def _keep(number: int, checked: list[Checked], refused: list[FileRefusedError], *, gone: bool) -> None:
    row = db.session.get(ReceivedMail, number, with_for_update=True)
    if row is None or not row.attachments_due or row.case is None:
        return  # another worker was quicker, or the file was destroyed
    row.attachments_due = False
    left = list(row.attachments) if gone else []
    for one in checked:
        try:
            documents.add(row.case, one, None)
        except FileRefusedError as error:
            refused.append(error)
    language = row.case.owner.language if row.case.owner else "fr"
    with speaking(language):
        left += [words for _place, words in documents.words_of(refused)]
    if left:
        record(
            "mail.left_out",
            case_id=row.case.id,
            actor=SYSTEM,
            codes={"mail": row.id},
            detail={"body": "\n".join(left)},
        )
