"""The directory: loading what ships, and keeping contacts right."""

import tomllib
from datetime import date

from sqlalchemy import select

from crm import clock
from crm.config import ROOT
from crm.db import db, save_over
from crm.links.models import Purpose
from crm.links.services import revoke
from crm.partners.models import CHASED_AFTER, Body
from crm.partners.vocabulary import BodyKind


def load_directory() -> int:
    """Add the bodies that ship and are not there yet; never changes one that is. Returns how many were added."""
    shipped = tomllib.loads((ROOT / "crm" / "partners" / "directory.toml").read_text(encoding="utf-8"))
    there = set(db.session.scalars(select(Body.code)))
    new = [
        Body(
            code=code,
            kind=BodyKind(facts["kind"]),
            name_fr=facts["name"][0],
            name_en=facts["name"][1],
            short_fr=facts["short"][0],
            short_en=facts["short"][1],
            offer_fr=facts["offer"][0],
            offer_en=facts["offer"][1],
            territory_fr=facts["territory"][0],
            territory_en=facts["territory"][1],
            contact_name="",
            contact_email="",
            contact_language="fr",
            active=True,
            chase_days=CHASED_AFTER,
            version=1,
        )
        for code, facts in shipped.items()
        if code not in there
    ]
    db.session.add_all(new)
    return len(new)


def change_contact(
    body: Body,
    *,
    seen_version: int,
    name: str,
    email: str,
    language: str,
    answer_days: int | None,
    chase_days: int,
    verified_on: date | None,
) -> bool:
    """Save who receives what we send to a body, and its delays in business days; False when somebody changed it after `seen_version` was shown.

    Who received it before leaves: the links that they were sent stop working.
    """
    another = bool(body.contact_email) and email.lower() != body.contact_email.lower()
    if another:
        revoke(Purpose.BODY, body.id)
    return save_over(
        body,
        seen_version,
        contact_since=clock.now() if another else body.contact_since,
        contact_name=name,
        contact_email=email,
        contact_language=language,
        answer_days=answer_days,
        chase_days=chase_days,
        verified_on=verified_on or body.verified_on,
    )
