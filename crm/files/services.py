"""Taking, keeping, giving and forgetting files. None of these commits.

A file is checked (`check`) before any transaction: it takes a moment, and nobody should wait for it. Then it is written to the data
folder, and only then does a row say so: whatever dies in between leaves bytes that no row knows, which a job sweeps away.
"""

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app
from sqlalchemy import delete, select

from crm import clock
from crm.config import Settings
from crm.db import db
from crm.files.kinds import (
    LARGEST,
    ROOM,
    Checked,
    FileKind,
    FileRefusal,
    FileRefusedError,
    clean_name,
    kind_of,
)
from crm.files.models import StoredFile
from crm.sealing import seal, unseal

log = logging.getLogger(__name__)
STAGED_FOR = timedelta(hours=24)
ORPHAN_AFTER = 3600  # seconds: a request that is being answered may have written bytes whose row is not there yet
LONGEST_LOOK = 10  # seconds that the inspecting process may take
WAITING, LONGEST_WAIT = (
    3,
    5,
)  # requests of a process that wait for a look, and the seconds they do: the others serve pages
NONCE = 12  # bytes
_one_at_a_time = threading.BoundedSemaphore()  # a large picture takes memory: a process looks at one after the other
_waiting = threading.BoundedSemaphore(WAITING)


# --- checking --------------------------------------------------------------------------------------------------------


def check(name: str, stream: IO[bytes]) -> Checked:
    """Judge a file that somebody sent. Raises FileRefusedError with the reason; reads at most one byte too many."""
    shown = clean_name(name)
    kind = kind_of(shown)
    if kind is None:
        raise FileRefusedError(FileRefusal.TYPE, shown)
    content = stream.read(LARGEST + 1)
    try:
        if not content:
            raise FileRefusedError(FileRefusal.EMPTY)  # noqa: TRY301 - one place adds the name
        if len(content) > LARGEST:
            raise FileRefusedError(FileRefusal.SIZE)  # noqa: TRY301
        return Checked(shown, kind, _inspected(kind, content))
    except FileRefusedError as refused:
        raise FileRefusedError(refused.reason, shown) from None


def _inspected(kind: FileKind, content: bytes) -> bytes:
    """What the inspecting process makes of the bytes. It is given nothing else: no settings, no folder of ours."""
    command = [sys.executable, "-I", "-m", "crm.files.inspection", kind.value]
    with _a_turn():
        try:
            done = subprocess.run(  # noqa: S603 - our own module, and a kind from our own list
                command, input=content, capture_output=True, timeout=LONGEST_LOOK, check=False, env={}, cwd="/"
            )
        except subprocess.TimeoutExpired:
            raise FileRefusedError(FileRefusal.UNREADABLE) from None
        except OSError as error:  # no process can be started now
            log.error("no process to look at a file: %s", error.strerror)  # noqa: TRY400
            raise FileRefusedError(FileRefusal.BUSY) from None
    said, _, kept = done.stdout.partition(b"\n")
    if said == b"ok":
        return kept
    reason = said.decode("ascii", "replace").removeprefix("no ")
    if reason not in set(FileRefusal):
        log.warning("a %s ended its inspection with %s", kind, done.returncode)
        reason = FileRefusal.UNREADABLE
    raise FileRefusedError(FileRefusal(reason))


@contextlib.contextmanager
def _a_turn() -> Iterator[None]:
    """One look at a time, a few that wait a little for theirs, and a refusal for the rest: files never take all threads."""
    if not _waiting.acquire(blocking=False):
        raise FileRefusedError(FileRefusal.BUSY)
    try:
        if not _one_at_a_time.acquire(timeout=LONGEST_WAIT):
            raise FileRefusedError(FileRefusal.BUSY)
        try:
            yield
        finally:
            _one_at_a_time.release()
    finally:
        _waiting.release()


# --- keeping ---------------------------------------------------------------------------------------------------------


def stage(checked: Checked, draft_id: int) -> StoredFile:
    """Keep a file with an unfinished request, for a day. Raises FileRefusedError when there is no room for it."""
    row, key = _written(checked)
    row.draft_id = draft_id
    about = json.dumps({"name": checked.name, "key": b64encode(key).decode()})
    row.sealed = seal(about, _row(row))
    db.session.add(row)
    db.session.flush()  # its number is shown
    return row


def keep(checked: Checked, case_id: int) -> StoredFile:
    """Keep a file with a file of ours. Raises FileRefusedError when there is no room for it."""
    row, row.content_key = (written := _written(checked))[0], written[1]
    row.case_id, row.name = case_id, checked.name
    db.session.add(row)
    db.session.flush()
    return row


def keep_staged(draft_id: int, case_id: int) -> list[StoredFile]:
    """The request is sent: what was staged with it belongs to its file from now on. Gives what was there still."""
    kept = []
    for row in list(staged(draft_id)):
        about = _about(row)
        if about is None:  # the secret key changed meanwhile: nobody can read it any more
            db.session.delete(row)
            continue
        row.name, row.content_key = about
        row.draft_id, row.sealed, row.case_id = None, None, case_id
        kept.append(row)
    return kept


def _written(checked: Checked) -> tuple[StoredFile, bytes]:
    """The bytes sealed and in the folder, durably; their row, not added yet, and their key."""
    folder = _folder()
    key, nonce, place = AESGCM.generate_key(256), secrets.token_bytes(NONCE), secrets.token_hex(16)
    target = folder / place[:2] / place
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < ROOM:
            raise FileRefusedError(FileRefusal.ROOM, checked.name)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(nonce + AESGCM(key).encrypt(nonce, checked.content, place.encode()))
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
        _sync(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        log.error("a file could not be kept: %s", error.strerror)  # noqa: TRY400 - no trace is needed, and no name may be told
        raise FileRefusedError(FileRefusal.ROOM, checked.name) from None
    digest = hashlib.sha256(checked.content).hexdigest()
    row = StoredFile(
        place=place, kind=checked.kind, size=len(checked.content), sha256=digest, added_at=clock.now(), name=""
    )
    return row, key


def _sync(folder: Path) -> None:
    """A name in a folder outlives a power cut only once the folder itself is written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _folder() -> Path:
    settings: Settings = current_app.extensions["settings"]
    return settings.data_dir / "files"


def _row(row: StoredFile) -> str:
    """The row that a seal belongs to."""
    return f"file {row.place}"


def _about(row: StoredFile) -> tuple[str, bytes] | None:
    """The name and the key of a staged file; None when they cannot be opened any more."""
    written = unseal(row.sealed, _row(row)) if row.sealed else None
    if written is None:
        return None
    about = json.loads(written)
    return about["name"], b64decode(about["key"])


# --- reading ---------------------------------------------------------------------------------------------------------


def staged(draft_id: int) -> Sequence[StoredFile]:
    """What is staged with an unfinished request and not a day old yet, the oldest first."""
    since = clock.now() - STAGED_FOR
    mine = select(StoredFile).where(StoredFile.draft_id == draft_id, StoredFile.added_at > since)
    return db.session.scalars(mine.order_by(StoredFile.id)).all()


def staged_names(draft_id: int) -> list[tuple[StoredFile, str]]:
    """The same with their names, for the browser that holds the draft; their bytes are given to nobody."""
    return [(row, about[0]) for row in staged(draft_id) if (about := _about(row)) is not None]


def of_case(case_id: int) -> Sequence[StoredFile]:
    """The files of a file of ours, the newest first. Whoever asks was let in to it."""
    mine = select(StoredFile).where(StoredFile.case_id == case_id)
    return db.session.scalars(mine.order_by(StoredFile.added_at.desc(), StoredFile.id.desc())).all()


def one_of_case(case_id: int, number: int) -> StoredFile | None:
    """One of them, or None: a file is reached through the file of ours that it belongs to, never by its number alone."""
    return db.session.scalar(select(StoredFile).where(StoredFile.id == number, StoredFile.case_id == case_id))


class FileGoneError(Exception):
    """The bytes are not in the folder any more, or are not those that were kept."""


def content_of(row: StoredFile) -> bytes:
    """The bytes of a file of ours, as they were kept. Raises FileGoneError."""
    try:
        sealed = (_folder() / row.place[:2] / row.place).read_bytes()
        content = AESGCM(row.content_key or b"").decrypt(sealed[:NONCE], sealed[NONCE:], row.place.encode())
    except (OSError, InvalidTag, ValueError) as error:
        log.error("file %s cannot be read: %s", row.id, type(error).__name__)  # noqa: TRY400
        raise FileGoneError from None
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise FileGoneError
    return content


# --- forgetting ------------------------------------------------------------------------------------------------------


def forget(row: StoredFile) -> None:
    """Destroy a file: without its row nobody can read the bytes, which the job takes out of the folder."""
    db.session.delete(row)


def forget_of_drafts(draft_ids: Iterable[int]) -> None:
    """What was staged with drafts that are destroyed goes with them."""
    gone = delete(StoredFile).where(StoredFile.draft_id.in_(list(draft_ids)))
    db.session.execute(gone, execution_options={"synchronize_session": False})


def sweep() -> int:
    """Job: destroy what was staged for a day and not sent, then bytes that no row knows. Returns how many of both."""
    old = delete(StoredFile).where(StoredFile.draft_id.is_not(None), StoredFile.added_at <= clock.now() - STAGED_FOR)
    gone = int(db.session.execute(old).rowcount)  # type: ignore[attr-defined]
    db.session.commit()
    return gone + sum(_sweep_some(group) for group in _groups(_old_enough()))


def _old_enough() -> Iterator[Path]:
    """Files of the folder that no request can still be about to name."""
    limit = time.time() - ORPHAN_AFTER
    for path in sorted(_folder().glob("??/*")):
        try:
            if path.stat().st_mtime < limit:
                yield path
        except FileNotFoundError:  # another worker was quicker
            continue


def _groups(paths: Iterable[Path], size: int = 500) -> Iterator[list[Path]]:
    group: list[Path] = []
    for path in paths:
        group.append(path)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _sweep_some(paths: list[Path]) -> int:
    known = set(db.session.scalars(select(StoredFile.place).where(StoredFile.place.in_([path.name for path in paths]))))
    db.session.rollback()
    lost = [path for path in paths if path.name not in known]
    for path in lost:
        path.unlink(missing_ok=True)
    return len(lost)
