"""Documents of a file: received with a request, added by the person or by staff, read by whoever may see the file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, abort, request, send_file
from flask_login import current_user
from sqlalchemy import Select, bindparam, select
from werkzeug.wrappers import Response as BaseResponse

from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.models import Case
from crm.cases.views import back_to, case_or_404, case_page
from crm.cases.vocabulary import Stage
from crm.db import db, read_instant
from crm.errors import RefusedError
from crm.errors import page as error_page
from crm.files import services as files
from crm.files.kinds import (
    CONTENT_TYPES,
    LARGEST,
    MOST,
    MOST_FROM_A_NETWORK,
    NAMES,
    Checked,
    FileKind,
    FileRefusal,
    FileRefusedError,
    clean_name,
)
from crm.files.models import StoredFile
from crm.i18n import format_size, gettext
from crm.security import client_network, takes_files, too_often
from crm.texts import text
from crm.timeline.services import record

bp = Blueprint("documents", __name__, url_prefix="/staff/cases/<reference>/documents")
MOST_OF_A_FILE = 50
FIELD = "documents"
Refused = FileRefusedError
# A document is drawn by no page of ours: it is saved, and a browser that opens it all the same runs nothing of it.
SHUT = "default-src 'none'; sandbox; frame-ancestors 'none'"


# --- receiving -------------------------------------------------------------------------------------------------------


def sent_files() -> tuple[list[Checked], list[Refused]]:
    """The documents of this request's form: those that may be kept, and those that may not with the reason.

    Ends the transaction that may have begun: looking at a document takes a moment, and nobody waits for it.
    """
    checked: list[Checked] = []
    refused: list[Refused] = []
    for place, sent in enumerate(one for one in request.files.getlist(FIELD) if one.filename):
        try:
            if place >= MOST:
                raise FileRefusedError(FileRefusal.MANY, clean_name(sent.filename or ""))  # noqa: TRY301 - told like the others
            if not current_user.is_authenticated and too_often(
                "upload", client_network(), limit=MOST_FROM_A_NETWORK, seconds=3600
            ):
                raise FileRefusedError(FileRefusal.OFTEN, clean_name(sent.filename or ""))  # noqa: TRY301
            db.session.rollback()
            checked.append(files.check(sent.filename or "", sent.stream))
        except FileRefusedError as error:
            refused.append(error)
    return checked, refused


def words_of(refused: Iterable[Refused]) -> list[tuple[str, str]]:
    """Where to mend it, and what to do, for each document that was not taken."""
    types = ", ".join(NAMES.values())
    return [
        (
            f"#{FIELD}",
            text(f"files.refusal.{one.reason}", name=one.name, types=types, max=format_size(LARGEST), most=MOST),
        )
        for one in refused
    ]


def keep_staged(draft_id: int, case: Case) -> list[StoredFile]:
    """The documents of a request that becomes a file."""
    kept = files.keep_staged(draft_id, case.id)
    for row in kept:
        _note(case, "received", row, None)
    return kept


def add(case: Case, checked: Checked, actor: Staff | None) -> StoredFile:
    """Keep a document with a file; without an actor it comes from the person. Raises FileRefusedError for want of room."""
    if len(files.of_case(case.id)) >= MOST_OF_A_FILE:
        raise FileRefusedError(FileRefusal.FULL, checked.name)
    row = files.keep(checked, case.id)
    _note(case, "added" if actor else "received", row, actor)
    return row


def destroy(case: Case, row: StoredFile, actor: Staff) -> None:
    """A document that should not be there is destroyed; the history says that there was one."""
    _note(case, "destroyed", row, actor)
    files.forget(row)


def forget_all(case: Case) -> None:
    """Every document of a file is destroyed."""
    for row in files.of_case(case.id):
        files.forget(row)


def _note(case: Case, what: str, row: StoredFile, actor: Staff | None) -> None:
    detail = {} if what == "destroyed" else {"name": row.name}
    record(f"document.{what}", case_id=case.id, actor=by(actor), codes={"document": row.id}, detail=detail)


@dataclass(frozen=True)
class DocumentsForm:
    """Documents sent by staff. What is wrong with them is told on the case page as by its other forms."""

    problems: Sequence[tuple[str, str]] = ()

    def error_links(self, number: int = 0) -> list[tuple[str, str]]:
        del number
        return list(self.problems)


# --- giving ----------------------------------------------------------------------------------------------------------


def given(row: StoredFile | None, gone: str) -> BaseResponse:
    """A document to save, never drawn by the browser; the caller let its reader in to the file it belongs to.

    `gone` says what to do when its bytes are not there any more.
    """
    if row is None:
        abort(404)
    try:
        content = files.content_of(row)
    except files.FileGoneError:
        return error_page(404, gettext("This document can no longer be opened"), gone)
    response = send_file(
        BytesIO(content), CONTENT_TYPES[row.kind], as_attachment=True, download_name=row.name, etag=False, max_age=0
    )
    response.headers["Content-Security-Policy"] = SHUT
    response.headers["Cache-Control"] = "no-store"
    return response


# --- staff -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A document as the panel of the case page shows it."""

    added_at: datetime
    id: int
    name: str
    kind: FileKind
    size: int


def rows() -> Select[*tuple[Any, ...]]:
    """The documents of a file."""
    columns = (StoredFile.added_at, StoredFile.id, StoredFile.name, StoredFile.kind, StoredFile.size)
    return select(*columns).where(StoredFile.case_id == bindparam("case_id"))


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """What the panel of the case page shows, the newest first."""
    documents = [Listed(read_instant(at), number, name, FileKind(kind), size) for at, number, name, kind, size in found]
    newest_first = sorted(documents, key=lambda one: (one.added_at, one.id), reverse=True)
    return {"documents": newest_first, "documents_form": DocumentsForm()}


@bp.get("/<int:number>")
@case_team
def download(reference: str, number: int) -> BaseResponse:
    row = files.one_of_case(case_or_404(reference).id, number)
    return given(row, gettext("Tell the person who runs this system."))


@bp.post("")
@takes_files
@case_team
def add_by_staff(reference: str) -> BaseResponse | Response:
    """Documents that the person handed over, or that the team wrote for the file."""
    case_or_404(reference)  # whose file it is comes before looking at anything
    checked, refused = sent_files()
    case = case_or_404(reference, lock=True)
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    for one in checked:
        try:
            add(case, one, me())
        except FileRefusedError as error:
            refused.append(error)
    db.session.commit()
    if refused or not checked:
        problems = words_of(refused) or [(f"#{FIELD}", gettext("Choose a document"))]
        return case_page(case, 422, documents_form=DocumentsForm(problems))
    return back_to(
        case, gettext("The documents were added.") if len(checked) > 1 else gettext("The document was added.")
    )


@bp.post("/<int:number>/destroy")
@case_team
def destroy_by_staff(reference: str, number: int) -> BaseResponse:
    case = case_or_404(reference, lock=True)
    row = files.one_of_case(case.id, number)
    if row is None:
        abort(404)
    destroy(case, row, me())
    db.session.commit()
    return back_to(case, gettext("The document was destroyed."))
