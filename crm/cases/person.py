"""The way to the person's own page: one link, carried by every message to them, renewable and revocable."""

from crm.cases.models import Case
from crm.links.models import Link, Purpose
from crm.links.services import PLACE, standing
from crm.outbox.services import settings

DAYS, AT_LEAST = 180, 30  # security reference, section 5.4
PATH = {"fr": "fr/mon-dossier/ouvrir", "en": "en/my-file/open"}


def link_of(case: Case) -> Link:
    """The live link to the page of the person who asked."""
    return standing(Purpose.CASE, case.id, days=DAYS, at_least=AT_LEAST)


def address_of_page(language: str, token: str = PLACE) -> str:
    """The address of the page; the token is put in its place while sending."""
    return f"{settings().base_url}/{PATH[language]}/{token}"
