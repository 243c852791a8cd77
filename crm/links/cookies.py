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


def count_try(name: str = "link") -> None:
    """Count one try of a link by a network. Raises TooManyRequests when it tries too many; called before anything was changed."""
    if too_often(name, client_network(), limit=30, seconds=60):
        raise TooManyRequests


def pressed(token: str, purpose: Purpose) -> Link | None:
    """The live link of a token whose button was pressed, or None. Raises TooManyRequests when one network presses too many."""
    count_try()
    return opened(token, purpose)


def keep(response: Response, link: Link, *, through: Link | None = None) -> Response:
    """This browser may use the link for two hours, without its token; when it came to it `through` another, while that one lives."""
    held = link.id if through is None else [link.id, through.id]
    set_own_cookie(response, _name(link.purpose), str(_serializer(link.purpose).dumps(held)), lives=LIVES)
    return response


def kept(purpose: Purpose) -> Link | None:
    """The link this browser holds for a purpose; None when it is over, forged, revoked or expired."""
    held = request.cookies.get(own_cookie(_name(purpose)), "")
    try:
        number = _serializer(purpose).loads(held, max_age=LIVES.seconds)
    except BadSignature:
        return None
    if isinstance(number, list):
        number, through = number
        by = db.session.get(Link, through)
        if by is None or not is_live(by):
            return None
    link = db.session.get(Link, number) if isinstance(number, int) else None
    return link if link is not None and link.purpose is purpose and is_live(link) else None


def _name(purpose: Purpose) -> str:
    return f"link-{purpose}"


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.config["SECRET_KEY"]), salt=f"link-cookie-{purpose}")
