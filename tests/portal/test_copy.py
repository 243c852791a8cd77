"""A copy to read: everything the person gave and what was done with it, in their language, and nothing of the team's own."""

import pytest
from sqlalchemy import select

from crm.cases.models import Case
from crm.cases.services import add_note
from crm.duplicates.services import match
from crm.files import services as files
from crm.i18n import speaking
from crm.intake.answers import answers_of, page_of
from crm.outbox.models import Message
from crm.permissions.models import Consent
from crm.permissions.services import withdraw_consent
from crm.portal import corrections
from crm.portal.conversation import write_to_person
from crm.portal.services import send_link_again, write
from tests.intake.test_requests import ALL_ANSWERS
from tests.portal.test_page import inside
from tests.support import papers
from tests.support.asking import ask
from tests.support.pages import Pages, words
from tests.support.talking import book

COPY = {"fr": "/fr/mon-dossier/ma-copie", "en": "/en/my-file/my-copy"}


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_copy_says_everything_and_no_note_of_the_team(app, pages, people, session, lang):
    ask(pages, ALL_ANSWERS | {"lang_pref": lang}, lang)
    case = session.scalars(select(Case)).one()
    add_note(case, "Entre collègues seulement", people.adviser)
    write(case, "Un mot de la personne", "clé")
    write_to_person(case, "Un mot de l’équipe", "autre", people.adviser)
    book(case, people.adviser)
    files.keep(files.Checked("Plan.pdf", files.FileKind.PDF, papers.pdf()), case.id)
    with speaking(lang):
        page = page_of("project", answers_of(case, "project") | {"project_name": ["Un nom corrigé"]})
        assert page.validate()
        made = corrections.propose(case, page, "encore")
    corrections.decline(made, case, "Une raison donnée", people.adviser)
    withdraw_consent(session.scalars(select(Consent).order_by(Consent.id)).first(), case)
    session.commit()
    browser = inside(app, session, case, lang)
    shown = words(browser.get(COPY[lang]).text)
    typed = ("Nadia Benali", "nadia@exemple.ca", "514\u00a0555-0142", ALL_ANSWERS["description"], ALL_ANSWERS["project_name"], ALL_ANSWERS["sector_other"],
             "1160000000", "La Ruche", ALL_ANSWERS["arrangements"], "Un mot de la personne", "Un mot de l’équipe", "Plan.pdf", "Un nom corrigé", "Une raison donnée")  # fmt: skip
    for one in typed:
        assert one.replace("\u00a0", " ") in shown.replace("\u00a0", " "), one
    assert {"fr": "retiré le", "en": "withdrawn on"}[lang] in shown
    assert "Entre collègues seulement" not in shown
    Pages(app).get(COPY[lang], 404)


def test_what_was_shared_with_a_body_is_in_the_copy(app, make, people, session):
    referral = make.referral(body=make.body("cdrq"))
    shown = words(inside(app, session, referral.case).get(COPY["fr"]).text)
    assert "Coopérative de développement régional du Québec" in shown
    assert "Le groupe veut choisir sa forme juridique." in shown


def test_a_lost_link_is_found_whatever_the_capitals(make, people, session):
    case = make.case(email="Nadia.Benali@Exemple.ca")
    match()
    session.commit()
    send_link_again("nadia.BENALI@exemple.CA")
    session.commit()
    assert session.scalars(select(Message.to_address).where(Message.kind == "portal.link")).all() == [
        "Nadia.Benali@Exemple.ca"
    ]
    assert case.contact.email == "Nadia.Benali@Exemple.ca"


def test_a_founders_address_opens_nobodys_file(make, people, session):
    from crm.cases.founders import name_founder
    from crm.cases.models import Founder

    case = make.case(owner=people.adviser)
    name_founder(
        case,
        Founder(
            name="Li", role="", language="fr", email="li@exemple.ca", phone="", phone_extension="", may_contact=True
        ),
        people.adviser,
    )
    session.commit()
    match()
    send_link_again("li@exemple.ca")
    session.commit()
    assert not session.scalars(select(Message).where(Message.kind == "portal.link")).all()
