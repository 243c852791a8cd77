"""The sheet for who takes over: all that is going on in somebody's open files, of those the reader may see."""

from datetime import timedelta

from crm import clock
from crm.cases.services import add_note, advance, restrict
from crm.cases.vocabulary import ClosingReason, Stage
from crm.reminders.services import plan_by_hand
from tests.support.pages import words
from tests.support.talking import at_ten, book


def test_it_says_what_is_going_on_in_each_open_file(make, people, session, signed_in):
    case = make.case_at(Stage.DISCOVERY)
    add_note(case, "Attend le prix du local.", people.adviser)
    add_note(case, "Le prix est arrivé : à revoir ensemble.", people.adviser)
    plan_by_hand(
        case, title="Relire le bail", reason="Clause de sortie", due_on=clock.today() + timedelta(days=9),
        owner=people.adviser, actor=people.adviser,
    )  # fmt: skip
    book(case, people.adviser, at_ten(3))
    closed = make.case(owner=people.adviser, name="Terminé")
    advance(
        closed, Stage.CLOSED, people.adviser, reason="Fini", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
    )
    session.commit()
    page = words(signed_in(people.coordinator).get(f"/staff/handoff?who={people.adviser.id}").text)
    for said in (
        case.title,
        case.reference,
        "Relire le bail",
        "Clause de sortie",
        "Le prix est arrivé",
        "10 h",
        case.contact.email,
    ):
        assert said in page
    assert "Attend le prix" not in page, "only what was written last"
    assert "1 dossier ouvert" in page
    assert closed.reference not in page


def test_a_file_kept_to_some_people_is_not_on_the_sheet_of_others(make, people, session, signed_in):
    hidden = make.case(owner=people.adviser, name="Secret")
    restrict(hidden, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    assert "Secret" not in signed_in(people.other_adviser).get(f"/staff/handoff?who={people.adviser.id}").text
    assert "Secret" in signed_in(people.adviser).get("/staff/handoff").text


def test_an_answer_that_is_awaited_is_on_it(make, people, session, signed_in):
    referral = make.referral()
    session.commit()
    page = words(signed_in(people.adviser).get(f"/staff/handoff?who={referral.case.owner_id}").text)
    assert "n’a pas encore répondu" in page


def test_nobody_and_forged_numbers(people, signed_in):
    adviser = signed_in(people.adviser)
    assert "aucun dossier ouvert" in words(adviser.get("/staff/handoff").text)
    adviser.get("/staff/handoff?who=99999", status=404)
    adviser.get("/staff/handoff?who=x")
    signed_in(people.observer).get("/staff/handoff", status=404)
