"""After the first page of a link: the token leaves the address, and a cookie of two hours stands for it."""

from datetime import timedelta

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response

from crm.db import db
from crm.links.models import Link, Purpose
from crm.links.services import is_live, opened
from crm.security import client_network, own_cookie, set_own_cookie, too_often

LIVES = timedelta(hours=2)


def pressed(token: str, purpose: Purpose) -> Link | None:
    """The live link of a token whose button was pressed, or None. Raises TooManyRequests when one network presses too many."""
    if too_often("link", client_network(), limit=30, seconds=60):
        raise TooManyRequests
    return opened(token, purpose)


def keep(response: Response, link: Link) -> Response:
    """This browser may use the link for two hours, without its token."""
    set_own_cookie(response, _name(link.purpose), str(_serializer(link.purpose).dumps(link.id)), lives=LIVES)
    return response


def kept(purpose: Purpose) -> Link | None:
    """The link this browser holds for a purpose; None when it is over, forged, revoked or expired."""
    held = request.cookies.get(own_cookie(_name(purpose)), "")
    try:
        number = _serializer(purpose).loads(held, max_age=LIVES.seconds)
    except BadSignature:
        return None
    link = db.session.get(Link, number) if isinstance(number, int) else None
    return link if link is not None and link.purpose is purpose and is_live(link) else None


def _name(purpose: Purpose) -> str:
    return f"link-{purpose}"


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.config["SECRET_KEY"]), salt=f"link-cookie-{purpose}")
