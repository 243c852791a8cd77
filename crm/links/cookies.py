"""After the first page of a link: the token leaves the address, and a cookie of two hours stands for it."""

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from crm.db import db
from crm.links.models import Link, Purpose
from crm.links.services import is_live

HOURS = 2


def keep(response: Response, link: Link) -> Response:
    """This browser may use the link for two hours, without its token."""
    response.set_cookie(
        _name(link.purpose),
        _serializer(link.purpose).dumps(link.id),
        max_age=HOURS * 3600,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def kept(purpose: Purpose) -> Link | None:
    """The link this browser holds for a purpose; None when it is over, forged, revoked or expired."""
    try:
        number = _serializer(purpose).loads(request.cookies.get(_name(purpose), ""), max_age=HOURS * 3600)
    except BadSignature:
        return None
    link = db.session.get(Link, number) if isinstance(number, int) else None
    return link if link is not None and link.purpose is purpose and is_live(link) else None


def _name(purpose: Purpose) -> str:
    return f"__Host-{purpose}" if current_app.config["SESSION_COOKIE_SECURE"] else f"link-{purpose}"


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.config["SECRET_KEY"]), salt=f"link-cookie-{purpose}")
