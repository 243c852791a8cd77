"""The brief: everything on one page before a talk, inside what the reader may see."""

import pytest

from crm.cases import services as cases
from crm.duplicates import services as duplicates
from crm.intake.models import Arrangements
from crm.intake.services import seal
from tests.support.pages import words
from tests.support.talking import at_ten, book


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_brief_holds_the_talk_the_answers_similar_files_and_likely_partners(make, people, session, signed_in, lang):
    other = make.case(name="Outilthèque du Nord")
    case = make.case(owner=people.adviser)
    book(case, people.adviser, at_ten(3))
    session.add(Arrangements(case_id=case.id, sealed=seal("Une interprète", f"arrangements {case.id}")))
    session.commit()
    duplicates.match()
    session.commit()
    browser = signed_in(people.adviser)
    if lang == "en":
        browser.get("/staff/cases")
        browser.post("/staff/language", {"lang": "en", "to": "/staff/cases"})
    read = words(browser.get(f"/staff/cases/{case.reference}/brief").text)
    for expected in (
        "Nadia Benali",
        "nadia@exemple.ca",
        "bibliothèque d’outils",
        "Une interprète",
        other.reference,
        "CDRQ",
    ):
        assert expected in read, expected
    assert {"fr": "Programmes qui pourraient convenir", "en": "Programmes that may fit"}[lang] in read
    assert {"fr": "heure de l’Est", "en": "Eastern Time"}[lang] in read


def test_the_brief_shows_nothing_that_its_reader_may_not_see(make, people, session, signed_in):
    hidden, case = make.case(name="Outilthèque du Nord"), make.case(owner=people.adviser)
    cases.restrict(hidden, restricted=True, readers=[], actor=people.coordinator)
    session.add(Arrangements(case_id=case.id, sealed=seal("Une interprète", f"arrangements {case.id}")))
    session.commit()
    duplicates.match()
    session.commit()
    read = words(signed_in(people.other_adviser).get(f"/staff/cases/{case.reference}/brief").text)
    assert hidden.reference not in read
    assert "interprète" not in read, "what to arrange is for the file's owner"
    signed_in(people.adviser).get(f"/staff/cases/{hidden.reference}/brief", 404)
