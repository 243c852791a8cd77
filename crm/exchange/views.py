"""Taking the directory out, and bringing one in: a rehearsal first, which shows what would change, then the change."""

import base64
import binascii
import io
import json
import zlib
from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.access import case_team, coordinators
from crm.accounts.feature import me
from crm.db import db
from crm.exchange import services
from crm.exchange.entries import Entry, Problem, UnreadableError, from_hsds, from_rows, to_hsds, to_rows
from crm.exchange.services import Comparison
from crm.i18n import gettext, language, speaking
from crm.imports.reading import SheetError, read_csv
from crm.partners.services import hold
from crm.security import takes_files
from crm.sheets import write_csv
from crm.texts import text

bp = Blueprint("exchange", __name__, url_prefix="/staff/directory/exchange")
LARGEST = 1024 * 1024  # bytes, of what is brought in
LONGEST_HELD = 900_000  # signs, of what a form carries from the rehearsal to the change
SHOWN = 200  # problems


@bp.get("")
@case_team
def page() -> str:
    return _page()


def _page(**shown: Any) -> str:
    return render_template("exchange/page.html", SHOWN=SHOWN, told=services.told, **shown)


@bp.get("/hsds")
@case_team
def hsds() -> Response:
    """The directory as Open Referral HSDS 3."""
    entries, verified = services.entries(), services.verified_on()
    with speaking("fr"):
        document = to_hsds(entries, services.said(), verified)
    answer = make_response(json.dumps(document, ensure_ascii=False, indent=1))
    return _attached(answer, "application/json; charset=utf-8", "json")


@bp.get("/sheet")
@case_team
def sheet() -> Response:
    """The directory as a sheet."""
    written = io.BytesIO()
    write_csv(written, to_rows(services.entries()), ";" if language() == "fr" else ",")
    return _attached(make_response(written.getvalue()), "text/csv; charset=utf-8", "csv")


def _attached(answer: Response, kind: str, ending: str) -> Response:
    name = {"fr": "repertoire", "en": "directory"}[language()]
    answer.headers["Content-Type"] = kind
    answer.headers["Content-Disposition"] = f"attachment; filename={name}-{clock.today().isoformat()}.{ending}"
    return answer


@bp.post("")
@coordinators
@takes_files
def rehearse() -> BaseResponse:
    """What a file would change; nothing is saved."""
    sent = request.files.get("file")
    content = sent.read(LARGEST + 1) if sent else b""
    try:
        if not content:
            raise UnreadableError("none")  # noqa: TRY301 - each reason is told in one place
        entries, problems = _read(content)
    except UnreadableError as error:
        return make_response(_page(error=text(f"exchange.unreadable.{error.why}")), 422)
    if problems:
        return make_response(_page(wrong=problems), 422)
    held = _hold(content)
    if len(held) > LONGEST_HELD:
        return make_response(_page(error=text("exchange.unreadable.large")), 422)
    return make_response(_page(comparison=services.compare(entries), held=held))


def _read(content: bytes) -> tuple[list[Entry], list[Problem]]:
    """The entries of a file, JSON or CSV, and all that is wrong with it. Raises UnreadableError."""
    if len(content) > LARGEST:
        raise UnreadableError("large")
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
        try:
            document = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise UnreadableError("json") from None
        entries, problems = from_hsds(document, services.known())
    else:
        try:
            read = read_csv(content)
            entries, problems = from_rows(read.titles, read.rows, services.known())
        except SheetError:
            raise UnreadableError("sheet") from None
    return entries, problems or services.problems(entries)


def _hold(content: bytes) -> str:
    """A file as a form carries it, from the rehearsal to the change."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _held(typed: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(base64.b64decode(typed, validate=True), LARGEST + 1)
    except (binascii.Error, ValueError, zlib.error):
        return b""


@bp.post("/apply")
@coordinators
def apply() -> BaseResponse:
    """Make the changes that were shown. When they would be others by now, they are shown again."""
    hold()  # nobody changes the directory between the comparison and the change
    content = _held(request.form.get("held", ""))
    try:
        entries, problems = _read(content) if content else ([], [])
    except UnreadableError as error:
        return make_response(_page(error=text(f"exchange.unreadable.{error.why}")), 422)
    comparison: Comparison = services.compare(entries)
    if not content or problems or comparison.stamp != request.form.get("stamp"):
        return make_response(_page(comparison=comparison, held=_hold(content), wrong=problems, again=True), 409)
    try:
        services.take_in(comparison, me())
    except services.ChangedMeanwhileError:
        db.session.rollback()
        return make_response(_page(comparison=services.compare(entries), held=_hold(content), again=True), 409)
    db.session.commit()
    flash(gettext("The directory was brought up to date. What is new or changed is to be verified."))
    return redirect(url_for("directory.bodies"), 303)
