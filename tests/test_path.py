"""The whole path, over HTTP, on both databases."""

import re

from sqlalchemy import select

from crm.cases.models import Case
from crm.db import db
from crm.links.models import Link, Purpose
from crm.links.services import token
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import words


def ask(pages, lang="fr", **changes):
    """Ask to talk, page after page; gives the answer to the last button."""
    return asking.ask(pages, ANSWERS | changes, lang)


def test_a_request_becomes_a_referred_case(pages, signed_in, people, make, session):
    confirmation = pages.get(ask(pages).headers["Location"])
    reference = re.search(r"PCC-\w{4}-\w{4}", confirmation.text)[0]
    assert "nadia@exemple.ca" in confirmation.text
    make.body("cdrq")

    adviser = signed_in(people.adviser)
    assert "Outilthèque de Rosemont" in adviser.get("/staff/cases").text
    file = f"/staff/cases/{reference}"
    adviser.get(file)
    adviser.post(f"{file}/take")
    adviser.get(file)
    adviser.post(f"{file}/stage", {"to": "contact", "seen": "new"})
    adviser.get(file)
    adviser.post(
        f"{file}/exchanges",
        {
            "kind": "call",
            "direction": "outgoing",
            "result": "two_way",
            "at": "",
            "minutes": "30",
            "summary": "Bon échange",
        }
        | {"on": _in_days(0)},
    )
    adviser.get(file)
    adviser.post(f"{file}/stage", {"to": "discovery", "seen": "contact"})
    adviser.get(file)
    adviser.post(
        f"{file}/assessment",
        {"version": "1", "name": "Outilthèque", "project_stage": "planning", "legal_form": "coop_solidarity", "region": "06",
         "locality": "verdun", "needs": ["form"], "summary": "Choisir la forme."},
    )  # fmt: skip
    adviser.get(file)
    adviser.post(f"{file}/stage", {"to": "planning", "seen": "discovery"})
    adviser.get(f"{file}/refer")
    body = next(m for m in re.findall(r'<option value="(\d+)">([^<]+)', adviser.last.text) if m[1].startswith("CDRQ"))[
        0
    ]
    prepared = adviser.post(
        f"{file}/refer",
        {
            "body": body,
            "purpose": "l’accompagnement",
            "fields": ["name", "email"],
            "answer": "verbal",
            "expires_on": _in_days(30),
        },
    )
    adviser.get(prepared.headers["Location"])
    adviser.post(prepared.headers["Location"] + "/send")
    adviser.get(file)
    adviser.post(f"{file}/stage", {"to": "referred", "seen": "planning"})

    assert send_due() == 2
    assert "Courriel envoyé à Jean Roy" in words(adviser.get(file).text)
    with_link = db.session.scalars(select(Link).where(Link.purpose == Purpose.REFERRAL)).one()
    address = f"/fr/mise-en-relation/{token(with_link)}"
    pages.get(address)
    pages.post(address)
    pages.get("/fr/mise-en-relation")
    assert "Nadia Benali" in pages.last.text
    assert "514" not in words(pages.last.text).replace("514 555-0142", "", 1)
    pages.post("/fr/mise-en-relation", {"answer": "accept", "reason": "", "note": "Avec plaisir"})
    assert "L’organisme a accepté la mise en relation" in words(adviser.get(file).text)

    db.session.expire_all()
    case = db.session.scalars(select(Case)).one()
    assert case.stage == "referred"
    subjects = set(db.session.scalars(select(Message.subject)))
    assert any(reference in subject for subject in subjects)


def _in_days(days):
    from datetime import timedelta

    from crm import clock

    return (clock.today() + timedelta(days=days)).isoformat()
