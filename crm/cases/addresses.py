"""Where messages lead: a file, for the team; the person's own page, by the one link that every message to them carries."""

from crm.cases.models import Case
from crm.links.models import Link, Purpose
from crm.links.services import PLACE, standing
from crm.outbox.services import settings

DAYS, AT_LEAST = 180, 30  # security reference, section 5.4
PATH = {"fr": "fr/mon-dossier/ouvrir", "en": "en/my-file/open"}


def address_of_file(case: Case) -> str:
    """The address of a file, for people who sign in."""
    return f"{settings().base_url}/staff/cases/{case.reference}"


def link_of(case: Case) -> Link:
    """The live link to the page of the person who asked, renewable and revocable."""
    return standing(Purpose.CASE, case.id, days=DAYS, at_least=AT_LEAST)


def address_of_page(language: str, token: str = PLACE) -> str:
    """The address of that page; the token is put in its place while sending."""
    return f"{settings().base_url}/{PATH[language]}/{token}"
