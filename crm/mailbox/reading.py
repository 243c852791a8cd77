"""Job: read what is new in the mailbox. Nothing in it is changed, marked or deleted: people may read it too.

How far it was read is in the database, in the transaction of each e-mail. One that cannot be read is shown as such, and holds no other.
"""

import hashlib
import imaplib
import logging
import ssl
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from imap_tools import AND, BaseMailBox, MailBox, MailBoxStartTls, MailMessage
from imap_tools.errors import ImapToolsError
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
PATIENCE = 30.0  # seconds without a byte from the server
BATCH = 50  # e-mails of one round
# What says that the server or the way to it is in trouble, not an e-mail.
CONNECTION = (OSError, imaplib.IMAP4.error, ImapToolsError)
LARGEST = 36 * 1024 * 1024  # bytes of an e-mail: 25 MB of files, as mail carries them


def read_mailbox() -> int:
    """One round: what is new, then the files that came with what was put on a file; how many e-mails were read. Nothing without a mailbox."""
    mailbox = settings().mailbox
    if mailbox is None:
        return 0
    with closing(_Opened(mailbox)) as opened:
        done = _take_new(opened.box, mailbox)
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


def _take_new(box: BaseMailBox, mailbox: Mailbox) -> int:
    status = box.folder.status(mailbox.folder, ["UIDVALIDITY", "UIDNEXT"])
    validity, following = int(status["UIDVALIDITY"]), int(status["UIDNEXT"])
    begin = _begin(box, _name_of(mailbox), validity, following)
    done = 0
    # "n:*" names the last one also when its number is lower.
    new = sorted(int(uid) for uid in box.uids(f"UID {begin}:*") if int(uid) >= begin)
    for uid in new[:BATCH]:
        done += _take(box, validity, uid)
    return done


def _name_of(mailbox: Mailbox) -> str:
    """What tells a mailbox from another, whose numbers mean other e-mails."""
    return hashlib.sha256(f"{mailbox.username}@{mailbox.host}/{mailbox.folder}".encode()).hexdigest()


def _begin(box: BaseMailBox, name: str, validity: int, following: int) -> int:
    """The number to read from. The first time, what comes from now on; where the server numbers anew, what came since the day before the last reading."""
    place = db.session.get(MailboxPlace, 1)
    if place is not None and (place.mailbox, place.validity) == (name, validity):
        begin = place.next_uid
        db.session.rollback()
        return begin
    begin = following
    if place is not None and place.mailbox == name:
        since = clock.local_date(place.read_at) - timedelta(days=1)
        db.session.rollback()
        begin = min((int(uid) for uid in box.uids(AND(date_gte=since))), default=following)
    place = db.session.get(MailboxPlace, 1)
    if place is None:
        place = MailboxPlace(id=1)
        db.session.add(place)
    place.mailbox = name
    _go_on(place, validity, begin)
    db.session.commit()
    return begin


def _go_on(place: MailboxPlace, validity: int, next_uid: int) -> None:
    """Note how far the mailbox was read."""
    place.validity, place.next_uid, place.read_at = validity, next_uid, clock.now()


def _take(box: BaseMailBox, validity: int, uid: int) -> int:
    """Read one e-mail and do what it asks for; 1 when somebody wrote it. What cannot be read, or be received, is shown as such."""
    mail, why = _fetched(box, uid)
    unknown = Incoming(Sort.WORDS, "", "", "", marks="", text="", said="", attached=(), key=f"{validity}:{uid}")
    attempts = [(mail, why), (_only_its_head(mail), Why.UNREADABLE)] if mail is not None else []
    if why is not None or mail is not None:
        attempts.append((unknown, Why.UNREADABLE))
    for known, because in attempts:
        try:
            done = services.receive(known, validity=validity, uid=uid, why=because)
            _passed(validity, uid)
        except OperationalError:
            raise
        except Exception as error:
            db.session.rollback()
            if isinstance(error, IntegrityError) and services.is_here(known, validity, uid):
                _passed(validity, uid)  # received before, or by another worker
                return 0
            log.exception("e-mail %s of the mailbox cannot be received", uid)
        else:
            return int(done)
    _passed(validity, uid)  # taken out of the mailbox meanwhile
    return 0


def _passed(validity: int, uid: int) -> None:
    _go_on(db.session.get_one(MailboxPlace, 1), validity, uid + 1)
    db.session.commit()


def _only_its_head(mail: Incoming) -> Incoming:
    return replace(mail, sort=Sort.WORDS, marks="", text="", said="", attached=())


def _fetched(box: BaseMailBox, uid: int) -> tuple[Incoming | None, Why | None]:
    """An e-mail, or of one that is too large what its headers say. None without a reason is one that is in the mailbox no more."""
    try:
        head = _one(box, uid, headers_only=True)
        if head is not None and head.size_rfc822 > LARGEST:
            return read(head.obj), Why.LARGE
        whole = _one(box, uid) if head is not None else None
        if whole is not None:
            return read(whole.obj), None
    except CONNECTION:
        raise
    except Exception:
        log.exception("e-mail %s of the mailbox cannot be read", uid)
        return None, Why.UNREADABLE
    if str(uid) in box.uids(AND(uid=str(uid))):
        log.error("the mailbox names e-mail %s and does not give it", uid)
        return None, Why.UNREADABLE
    return None, None


def _one(box: BaseMailBox, uid: int, *, headers_only: bool = False) -> MailMessage | None:
    """An e-mail, or its headers; None when the server gives none, or something else in its place."""
    given = box.fetch(uid_list=[str(uid)], mark_seen=False, headers_only=headers_only)
    return next((mail for mail in given if mail.uid == str(uid) and mail.obj.keys()), None)


# --- files that came along ---------------------------------------------------------------------------------------------


def _fetch_files(box: BaseMailBox, folder: str) -> None:
    """Keep the files of e-mails that were put on a file, each e-mail's in one transaction."""
    due = [(row.id, row.dedupe_key, row.validity, row.uid) for row in services.due_attachments()]
    db.session.rollback()
    if not due:
        return
    validity = int(box.folder.status(folder, ["UIDVALIDITY"])["UIDVALIDITY"])
    for number, key, of, uid in due:
        mail, _why = _fetched(box, uid) if of == validity else (None, None)
        attached = mail.attached if mail is not None and services.key_of(mail) == key else None
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
