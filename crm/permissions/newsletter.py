"""The newsletter list: exported by a coordinator for the mailing tool, each address with its own way out.

The way out is a signed address without an end (CASL asks for sixty days at least). Reading it changes nothing; a pressed
button, or the one press of a mail program (RFC 8058), takes the address off the list with that transaction.
"""

import io
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select

from crm import clock
from crm.access import by_link, coordinators
from crm.cases.models import Case, Contact
from crm.db import db
from crm.errors import page as error_page
from crm.i18n import gettext, in_both_languages
from crm.outbox.services import settings
from crm.permissions.models import Consent, Purpose
from crm.permissions.services import withdraw_consent
from crm.security import csrf
from crm.sheets import write_csv

bp = Blueprint("newsletter", __name__)
COLUMNS = ("email", "name", "language", "agreed_on", "unsubscribe")


def subscribers() -> list[Any]:
    """Who agreed and did not change their mind, by the day they agreed; one row for each address."""
    rows = db.session.execute(
        select(Consent, Case, Contact)
        .join(Case, Case.id == Consent.case_id)
        .join(Contact, Contact.id == Case.contact_id)
        .where(Consent.purpose == Purpose.NEWSLETTER, Consent.withdrawn_at.is_(None), Contact.email != "")
        .where(Case.quarantined.is_(False))
        .order_by(Consent.given_at, Consent.id)
    )
    found = {row.Contact.email.lower(): row for row in rows}
    return list(found.values())


def address_of(consent: Consent, language: str) -> str:
    """The way out of one subscription."""
    path = {"fr": "fr/infolettre/retrait", "en": "en/newsletter/unsubscribe"}[language]
    return f"{settings().base_url}/{path}/{_serializer().dumps(consent.id)}"


@bp.get("/staff/newsletter")
@coordinators
def export() -> Response:
    """The list as CSV, with a mark that Excel reads accents by, and nothing that a spreadsheet would run."""
    rows: list[Any] = [COLUMNS]
    for given, case, contact in subscribers():
        agreed = clock.local_date(given.given_at)
        rows.append((contact.email, contact.name, case.language, agreed, address_of(given, case.language)))
    written = io.BytesIO()
    write_csv(written, rows)
    response = Response(written.getvalue(), content_type="text/csv; charset=utf-8")
    name = gettext("newsletter")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{clock.today().isoformat()}.csv"'
    return response


@in_both_languages(bp, "/fr/infolettre/retrait/<token>", "/en/newsletter/unsubscribe/<token>")
@by_link
def ask(lang: str, token: str) -> str | Response:
    """Asks for one press; mail scanners that follow links take nobody off the list."""
    del lang
    consent = _consent_of(token)
    if consent is None:
        return _dead()
    return render_template("permissions/unsubscribe.html", token=token, done=consent.withdrawn_at is not None)


@in_both_languages(bp, "/fr/infolettre/retrait/<token>", "/en/newsletter/unsubscribe/<token>", ("POST",))
@by_link
def unsubscribe(lang: str, token: str) -> Response:
    """Off the list, now; pressing again changes nothing more. A mail program's press carries no token of ours."""
    del lang
    consent = _consent_of(token)
    if consent is None:
        return _dead()
    case = db.session.get_one(Case, consent.case_id)
    for one in _all_of(case.contact.email):
        withdraw_consent(one, db.session.get_one(Case, one.case_id))
    db.session.commit()
    return make_response(render_template("permissions/unsubscribe.html", token=token, done=True))


csrf.exempt(unsubscribe)


def _all_of(email: str) -> list[Consent]:
    """Every live subscription of an address: somebody who asked twice leaves once."""
    theirs = (
        select(Consent)
        .join(Case, Case.id == Consent.case_id)
        .join(Contact, Contact.id == Case.contact_id)
        .where(Contact.email == email, Consent.purpose == Purpose.NEWSLETTER, Consent.withdrawn_at.is_(None))
    )
    return list(db.session.scalars(theirs))


def _consent_of(token: str) -> Consent | None:
    try:
        number = _serializer().loads(token)
    except BadSignature:
        return None
    return db.session.get(Consent, number) if isinstance(number, int) else None


def _dead() -> Response:
    return error_page(404, gettext("This page cannot be found"), gettext("Check the address."))


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.config["SECRET_KEY"]), salt="newsletter-unsubscribe")
