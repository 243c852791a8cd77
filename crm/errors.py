"""What people see when something cannot be done: what was not done, whether their text is safe, what to do.

`keep` is the one way to give a form back when it could not be received (session over, token too old, database
busy): the page shows what was typed and offers to send it again to the same address.
"""

import logging
import re
import secrets

from flask import Flask, Response, g, make_response, render_template, request
from flask_login import AnonymousUserMixin, current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, SecurityError

from crm.db import SAFE_METHODS, db, is_busy, is_full, writing
from crm.forms import typed_names
from crm.i18n import gettext, use_language
from crm.security import carries_files

log = logging.getLogger(__name__)
_SECRET_FIELDS = frozenset({"csrf_token", "password"})


class RefusedError(Exception):
    """A verb refused, in plain words, in the reader's language. Answered 409; nothing was changed."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


def page(
    status: int, title: str, *paragraphs: str, kept: list[tuple[str, str]] | None = None, action: str = ""
) -> Response:
    """A page that explains a refusal. With `kept`, what was typed is shown and can be sent again, to `action`.

    What was chosen goes along unseen: its code would mean nothing to the reader.
    """
    body = render_template(
        "errors/page.html",
        title=title,
        paragraphs=paragraphs,
        kept=kept,
        typed=[value for name, value in kept or () if value and name in typed_names()],
        action=action or request.full_path.rstrip("?"),
    )
    response = make_response(body, status)
    if status == 503:
        response.headers["Retry-After"] = "10"
    return response


def keep(status: int, title: str, *paragraphs: str) -> Response:
    """The page above with everything the person typed, except passwords and tokens."""
    typed = [
        (name, value.replace("\x00", ""))
        for name, value in request.form.items(multi=True)
        if name not in _SECRET_FIELDS
    ]
    if carries_files() and (names := [one.filename for one in request.files.values() if one.filename]):
        paragraphs = (*paragraphs, gettext("Choose these documents again: %(names)s.", names=", ".join(names)))
    return page(status, title, *paragraphs, kept=typed)


def init_app(app: Flask) -> None:
    app.register_error_handler(CSRFError, _token_refused)
    app.register_error_handler(RefusedError, _refused)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def _speak_for_unknown_address() -> None:
    """An address that matched no route still tells the language when it begins with one."""
    if request.url_rule is None and (found := re.match(r"/(fr|en)(/|$)", request.path)):
        use_language(found[1])


def _token_refused(_error: CSRFError) -> Response:
    return keep(
        400,
        gettext("Please send once more"),
        gettext("This page had been open too long, or cookies are blocked, so nothing was saved yet."),
        gettext("What you typed is below. Check it and send it again."),
    )


def _refused(error: RefusedError) -> Response:
    db.session.rollback()
    title = gettext("This cannot be done now")
    if request.method in SAFE_METHODS:
        return page(409, title, *error.reasons)
    return keep(409, title, *error.reasons, gettext("Nothing was changed."))


def _database(error: DBAPIError) -> Response:
    db.session.rollback()
    full = is_full(error)
    if not full and not is_busy(error):
        return _unforeseen(error)
    log.log(logging.ERROR if full else logging.WARNING, "database %s: %s", "full" if full else "busy", request.endpoint)
    with writing(allowed=False):  # the page itself only reads: it must not wait for the lock again
        return _busy(gettext("Nothing can be saved at the moment") if full else gettext("The system is busy"))


def _busy(title: str) -> Response:
    try:
        bool(current_user.is_authenticated)
    except DBAPIError:  # even who is signed in cannot be read now: the page is anybody's
        db.session.rollback()
        g._login_user = AnonymousUserMixin()  # noqa: SLF001 - Flask-Login reads it; there is no other way in
    if request.method in SAFE_METHODS:
        return page(503, title, gettext("Nothing is lost. Wait a moment, then load this page again."))
    return keep(
        503,
        title,
        gettext("Your text was not saved yet, and it is not lost."),
        gettext("Wait a moment, then send it again with the button below."),
    )


def _http(error: HTTPException) -> Response:
    if isinstance(error, SecurityError):  # another host name: no page of ours can be addressed from here
        return Response("This host name is not served here.\n", 400, content_type="text/plain; charset=utf-8")
    if error.code in {301, 302, 303, 304, 307, 308}:
        return error.get_response()  # type: ignore[return-value]
    _speak_for_unknown_address()
    status = error.code or 500
    title, text = {
        400: (gettext("This request could not be read"), gettext("Go back and try again.")),
        403: (
            gettext("This was refused"),
            gettext("The request came from another site. Go back and try again."),
        ),
        404: (
            gettext("This page cannot be found"),
            gettext("Check the address. The page may have moved, or you may not have access to it."),
        ),
        405: (gettext("This address does not work that way"), gettext("Go back and use the page’s buttons.")),
        409: (gettext("This cannot be done now"), gettext("Nothing was changed.")),
        413: (
            gettext("This is too large"),
            gettext(
                "No document was added; what was already saved has not changed. Go back and choose smaller documents: at most 10 MB each, 25 MB at a time."
            )
            if carries_files()
            else gettext("Shorten your text, then send it again. Nothing was saved."),
        ),
        503: (gettext("Nothing can be saved at the moment"), gettext("Wait a moment, then send it again.")),
        429: (gettext("Too many tries"), gettext("Wait five minutes, then try again.")),
    }.get(status, (gettext("This request could not be read"), gettext("Go back and try again.")))
    response = keep(status, title, text) if status == 429 and request.form else page(status, title, text)
    for name, value in getattr(error, "headers", None) or ():
        response.headers[name] = value
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    if status == 429:
        response.headers["Retry-After"] = "300"
    return response


def _unforeseen(error: Exception) -> Response:
    db.session.rollback()
    incident = secrets.token_hex(4)
    # The endpoint and the kind of error only: no path, body or token, which may hold personal information.
    log.error("incident %s at %s: %s", incident, request.endpoint, type(error).__name__, exc_info=error)
    paragraphs = (
        gettext("Something went wrong on our side. It was recorded under number %(incident)s.", incident=incident),
    )
    if request.method in SAFE_METHODS:
        return page(500, gettext("Something went wrong"), *paragraphs)
    return keep(500, gettext("Something went wrong"), *paragraphs, gettext("What you typed is below."))
