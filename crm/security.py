"""Headers on every answer, forged and cross-site writes refused, and counters that limit guessing.

Figures: security reference, sections 5.5 to 5.7.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_network
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl

from flask import Flask, Response, abort, current_app, g, request
from flask import Request as BaseRequest
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markupsafe import Markup
from sqlalchemy import Executable, String, bindparam, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from crm import clock
from crm.config import Settings
from crm.db import SAFE_METHODS, Base, db

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
LARGEST_REQUEST = 1_000_000  # bytes, where no file is taken
LONGEST_FIELD, MOST_PARTS = 64 * 1024, 200  # bytes of a text, and parts, of a form that takes files
LARGEST_WITH_FILES = 25 * 1024 * 1024  # bytes of one request
PIECE = 16 * 1024  # bytes of a form that are read at a time
READ_ANYWAY = (
    100 * 1024 * 1024
)  # bytes of a request too large that are read and thrown away, so that its sender hears why

View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()


def csrf_field() -> Markup:
    """The hidden field of every form that writes; a page of many forms makes it once."""
    field: Markup | None = g.get("csrf_field")
    if field is None:
        field = g.csrf_field = Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())
    return field


class _FormParser(FormDataParser):
    """What is not UTF-8 becomes U+FFFD in both form encodings, which forms refuse beside the field, the rest kept."""

    def _parse_urlencoded(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        del mimetype, content_length, options
        items = parse_qsl(stream.read().decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
        return stream, self.cls(items), self.cls()

    def _parse_multipart(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Read in pieces well below the limit of a field: of the same size, an ordinary file is taken for a field too long."""
        boundary = options.get("boundary", "").encode("ascii", "replace")
        if not boundary:
            raise ValueError("a form without a boundary")
        parser = MultiPartParser(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            cls=self.cls,
            buffer_size=PIECE,
        )
        form, files = parser.parse(stream, boundary, content_length)
        return stream, form, files


class Request(BaseRequest):
    form_data_parser_class = _FormParser


def takes_files(view: View) -> View:
    """Marks a view whose form carries files: security reference, section 5.8."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


def carries_files() -> bool:
    """Whether this request is a form with files, sent to a view that takes them."""
    view = current_app.view_functions.get(request.endpoint or "")
    return request.mimetype == "multipart/form-data" and hasattr(view, "takes_files")


def receive_whole() -> None:
    """Before anything asks the database: a request that comes slowly, or half, keeps nobody else waiting."""
    if request.method in SAFE_METHODS:
        return
    if carries_files():
        request.max_content_length = LARGEST_WITH_FILES
        request.max_form_memory_size, request.max_form_parts = LONGEST_FIELD, MOST_PARTS
        _throw_away_what_is_too_large()
    try:
        request.get_data(parse_form_data=True)
    except OSError:  # a large form is kept in a temporary file, for which there is no room
        raise ServiceUnavailable from None


def _throw_away_what_is_too_large() -> None:
    """A browser that is still sending when it is refused shows a broken connection: what is sent is read first, up to a point."""
    if LARGEST_WITH_FILES < (request.content_length or 0) <= READ_ANYWAY:
        stream = request.input_stream
        left = request.content_length or 0
        while left > 0 and (piece := stream.read(min(left, 1 << 16))):
            left -= len(piece)
        raise RequestEntityTooLarge


class RateCount(Base):
    """How often something was tried in a window of time. Keys are keyed hashes: no address is kept."""

    __tablename__ = "rate_count"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    window: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


def init_app(app: Flask, settings: Settings) -> None:
    https = settings.https
    app.config.update(
        SECRET_KEY=settings.secret_key,
        TRUSTED_HOSTS=settings.hosts,
        SESSION_COOKIE_NAME="__Host-session" if https else "session",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_REQUEST,
        MAX_FORM_PARTS=400,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a long form must not expire
        WTF_CSRF_SSL_STRICT=False,  # the Origin and Sec-Fetch-Site checks below do this, without needing a Referer
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]
    extra = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"} if https else {}
    headers = HEADERS | extra

    @app.before_request
    def _refuse_other_sites() -> None:
        if request.method in SAFE_METHODS:
            return
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site == "cross-site" or (origin and origin != "null" and origin not in _own_origins(settings)):
            abort(403)

    app.jinja_env.globals["csrf"] = csrf_field
    csrf.init_app(app)  # after the check above: what another site sends is refused, not given back to be sent again

    @app.after_request
    def _set_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if request.endpoint == "static":
            # Addresses of static files carry a version: they may be kept for a year.
            response.headers["Cache-Control"] = (
                "public, max-age=31536000, immutable" if request.args.get("v") else "public, max-age=3600"
            )
        else:
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _own_origins(settings: Settings) -> tuple[str, ...]:
    # On the developer's machine 127.0.0.1 and localhost are both ours: the host was already checked.
    return (settings.base_url, request.host_url.rstrip("/"))


def too_often(name: str, who: str, *, limit: int, seconds: int) -> bool:
    """Count one try of `name` by `who` and commit; True when more than `limit` fell within the window.

    Must be called before anything else was changed in this transaction.
    """
    count = counted(name, who, seconds=seconds)
    db.session.commit()
    return count > limit


def counted(name: str, who: str, *, seconds: int) -> int:
    """Count one try of `name` by `who` in the caller's transaction; how many fell within the window, this one included."""
    now = clock.now()
    window = datetime.fromtimestamp(now.timestamp() // seconds * seconds, tz=now.tzinfo)
    secret = str(current_app.config["SECRET_KEY"]).encode()
    key = hmac.new(secret, f"{name}:{who}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    one_more = _one_more(db.engine.dialect.name)
    return int(db.session.execute(one_more, {"of": key, "within": window}).scalar_one())


@cache
def _one_more(dialect_name: str) -> Executable:
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    table = RateCount.__table__
    insert = dialect.insert(table).values(key=bindparam("of"), window=bindparam("within"), count=1)
    more = insert.on_conflict_do_update(index_elements=["key", "window"], set_={"count": table.c.count + 1})
    counted: Executable = more.returning(table.c.count)
    return counted


def forget_old_counts() -> int:
    """Destroy counters older than a day; returns how many."""
    gone = db.session.execute(delete(RateCount).where(RateCount.window < clock.now() - timedelta(days=1)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def own_cookie(name: str) -> str:
    """The name a cookie of ours goes by: over https, one that only this host can have set."""
    return f"__Host-{name}" if current_app.config["SESSION_COOKIE_SECURE"] else name


def set_own_cookie(response: BaseResponse, name: str, value: str, *, lives: timedelta) -> None:
    """A cookie that no script reads and no other site sends along with a form."""
    response.set_cookie(
        own_cookie(name),
        value,
        max_age=lives,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
        path="/",
    )


def client_network() -> str:
    """Where a request comes from, as far as it may be trusted: an IPv4 address, or an IPv6 /64."""
    address = request.remote_addr or "unknown"
    try:
        return str(ip_network((address, 64), strict=False)) if ":" in address else address
    except ValueError:
        return "unknown"
