"""The founding team: named by staff once they know, compared with other files, never overwritten, destroyed when asked."""

import pytest
from sqlalchemy import func, select

from crm.cases.founders import MOST, name_founder
from crm.cases.models import Founder
from crm.cases.services import advance
from crm.cases.vocabulary import ClosingReason, PreferredLanguage, Stage
from crm.duplicates.matching import Reason
from crm.duplicates.models import LikePair
from crm.duplicates.services import match
from crm.errors import RefusedError
from tests.support.pages import words

LI = {
    "name": "Li Wei",
    "role": "Technique",
    "language": "en",
    "email": "li@exemple.ca",
    "phone": "(438) 555-0177 p. 4",
    "told": "y",
}


def founder(**changes):
    blank = {
        "name": "Li Wei",
        "role": "",
        "language": PreferredLanguage.EN,
        "email": "",
        "phone": "",
        "phone_extension": "",
        "may_contact": False,
    }
    return Founder(**blank | changes)


def count(session, *conditions):
    session.rollback()
    return session.scalar(select(func.count(Founder.id)).where(*conditions))


def test_a_founder_is_named_and_stands_on_the_file_with_whether_we_may_write(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/founders"
    adviser.get(address)
    adviser.post(address, LI)
    page = words(adviser.get(f"/staff/cases/{case.reference}").text).replace("\u00a0", " ")
    assert "Li Wei , Technique" in page
    assert "438 555-0177, poste 4" in page
    assert "Ne pas joindre" in page
    assert "a inscrit Li Wei dans l’équipe fondatrice" in page
    number = session.scalars(select(Founder.id)).one()
    adviser.get(f"{address}/{number}")
    adviser.post(f"{address}/{number}/change", LI | {"seen": "1", "may_contact": "y", "name": "Li Wei-Tremblay"})
    page = words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert "Li Wei-Tremblay" in page
    assert "Ne pas joindre" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": " "}, "Écrivez le nom"),
        ({"name": "a" * 121}, "120"),
        ({"told": ""}, "Informez d’abord la personne"),
        ({"email": "li@"}, "adresse courriel complète"),
        ({"phone": "12"}, "10 chiffres"),
        ({"language": "de"}, "Choisissez la langue"),
        ({"role": "x\x00"}, "n’ont pas pu être lus"),
    ],
)
def test_what_cannot_be_kept_is_told_beside_itself(make, people, session, signed_in, changes, said):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/founders"
    adviser.get(address)
    answer = adviser.post(address, LI | changes, status=422)
    assert said in words(answer.text)
    assert "Technique" in answer.text or "role" in changes
    assert count(session) == 0


def test_two_people_who_save_the_same_founder_never_overwrite_each_other(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    name_founder(case, founder(), people.adviser)
    session.commit()
    number = session.scalars(select(Founder.id)).one()
    address = f"/staff/cases/{case.reference}/founders/{number}"
    first, second = signed_in(people.adviser), signed_in(people.coordinator)
    first.get(address)
    second.get(address)
    first.post(f"{address}/change", LI | {"seen": "1", "name": "Premier nom"})
    answer = second.post(f"{address}/change", LI | {"seen": "1", "name": "Second nom"}, status=409)
    assert "Premier nom" in words(answer.text)
    assert 'value="Second nom"' in answer.text
    assert count(session, Founder.name == "Premier nom") == 1
    second.post(f"{address}/change", LI | {"seen": "2", "name": "Second nom"})
    assert count(session, Founder.name == "Second nom") == 1


def test_a_founder_taken_off_is_destroyed_and_the_history_names_nobody_more(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    name_founder(case, founder(), people.adviser)
    session.commit()
    number = session.scalars(select(Founder.id)).one()
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    adviser.post(f"/staff/cases/{case.reference}/founders/{number}/forget")
    assert count(session) == 0
    assert "a retiré une personne" in words(adviser.get(f"/staff/cases/{case.reference}").text)
    adviser.post(f"/staff/cases/{case.reference}/founders/{number}/forget", status=404)


def test_a_founder_is_reached_through_their_own_file_and_a_closed_one_is_left_alone(make, people, session, signed_in):
    case, other = make.case(owner=people.adviser), make.case(owner=people.adviser, email="autre@exemple.ca")
    name_founder(case, founder(), people.adviser)
    session.commit()
    number = session.scalars(select(Founder.id)).one()
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{other.reference}/founders/{number}", 404)
    adviser.post(f"/staff/cases/{other.reference}/founders/{number}/forget", status=404)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    adviser.get(f"/staff/cases/{case.reference}/founders", 409)
    adviser.post(f"/staff/cases/{case.reference}/founders/{number}/forget", status=409)
    assert count(session) == 1


def test_there_is_an_end_to_a_team(make, people, session):
    case = make.case(owner=people.adviser)
    for place in range(MOST):
        name_founder(case, founder(name=f"Personne {place}"), people.adviser)
    with pytest.raises(RefusedError):
        name_founder(case, founder(), people.adviser)


@pytest.mark.parametrize(
    ("known", "reasons"),
    [
        ({"email": "Sam@Exemple.ca"}, {Reason.EMAIL}),
        ({"phone": "+15145550177"}, {Reason.PHONE}),
        ({"name": "WEI, Li", "email": ""}, {Reason.NAME}),
    ],
)
def test_somebody_who_asks_and_is_a_founder_elsewhere_is_found(make, people, session, known, reasons):
    """A co-founder asks alone for the same project: the two files meet, with the reason."""
    first = make.case(owner=people.adviser, name="Outils du quartier")
    second = make.case(owner=people.adviser, name="Le grenier commun", email="sam@exemple.ca")
    second.contact.name, second.contact.phone = "Li Wei", "+15145550177"
    session.commit()
    match()
    assert session.scalars(select(LikePair)).all() == []
    name_founder(first, founder(**{"name": "Quelqu’un"} | known), people.adviser)
    first.project.locality = second.project.locality = "verdun"
    session.commit()
    assert first.matched_at is None
    match()
    pair = session.scalars(select(LikePair)).one()
    assert reasons <= {Reason(reason) for reason in pair.reasons}
    session.delete(session.scalars(select(Founder)).one())
    first.matched_at = None
    session.commit()
    match()
    assert session.scalars(select(LikePair)).all() == []
