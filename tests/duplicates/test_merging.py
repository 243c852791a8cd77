"""Files that look alike are shown with their reasons; two become one with all they have, and two again."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from crm import clock
from crm.cases import services as cases
from crm.cases.addresses import link_of
from crm.cases.models import Case, CaseNeed, Exchange, Note
from crm.cases.queries import forgotten, history
from crm.cases.vocabulary import ClosingReason, Need, Stage
from crm.duplicates import services
from crm.duplicates.models import CaseMerge, LikePair, Verdict
from crm.errors import RefusedError
from crm.intake.models import Arrangements
from crm.intake.services import opened_arrangements, seal
from crm.links.models import Link
from crm.links.services import token as token_of
from crm.outbox.models import Message
from crm.permissions.models import Consent, Permission
from crm.permissions.models import Purpose as Choice
from crm.permissions.services import consent
from crm.portal.models import PersonMessage
from crm.portal.services import copy_of, send_link_again, withdraw_request, write
from crm.referrals.models import Referral
from crm.reminders.models import FollowUp, State
from crm.reminders.services import complete, plan_by_hand
from crm.talks.models import Talk, TalkState
from tests.support.pages import Pages, words
from tests.support.talking import at_ten, book


def count(session, model, *conditions) -> int:
    return session.scalar(select(func.count()).select_from(model).where(*conditions))


def pairs(session):
    return session.scalars(select(LikePair).order_by(LikePair.older_id, LikePair.newer_id)).all()


# --- found -----------------------------------------------------------------------------------------------------------


def test_the_job_finds_who_came_back_says_why_and_finds_it_once(make, people, session):
    first = make.case()
    stranger = make.case(name="Couture du Sud", email="jo@exemple.ca")
    stranger.contact.name = "Jo Tran"
    stranger.project.sector, stranger.project.locality = "food", "lasalle"
    second = make.case(name="Outiltheque Rosemont", email="Nadia@exemple.ca")
    session.commit()
    assert services.match() == 3
    session.commit()
    (pair,) = pairs(session)
    assert (pair.older_id, pair.newer_id) == (first.id, second.id)
    assert pair.reasons == ["email", "project", "name", "sector"]
    assert services.match() == 0
    session.commit()
    assert len(pairs(session)) == 1


def test_a_changed_fact_is_compared_again_and_what_was_judged_stays(make, people, session):
    first, second = make.case(), make.case(name="Autre chose", email="autre@exemple.ca")
    second.contact.name = "Jo Tran"
    second.project.sector, second.project.locality = "food", "lasalle"
    session.commit()
    services.match()
    session.commit()
    assert pairs(session) == []
    cases.assess(
        second, seen_version=1, name="Outilthèque de Rosemont", project_stage=second.project.stage,
        legal_form=second.project.legal_form, region="06", locality="", needs=[Need.FORM], summary="x", actor=people.adviser,
    )  # fmt: skip
    session.commit()
    services.match()
    session.commit()
    (pair,) = pairs(session)
    assert pair.reasons == ["project"]
    services.judge(first, second, Verdict.DIFFERENT, people.adviser)
    for case in (first, second):
        case.matched_at = None
    session.commit()
    services.match()
    session.commit()
    assert [one.verdict for one in pairs(session)] == [Verdict.DIFFERENT]


@pytest.mark.parametrize("why", ["quarantined", "spam", "both closed", "merged"])
def test_files_that_are_no_duplicates_are_not_shown(make, people, session, why):
    first, second = make.case(owner=people.adviser), make.case()
    if why == "quarantined":
        second.quarantined = True
    if why == "spam":
        cases.advance(second, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.SPAM)
    if why == "both closed":
        for case in (first, second):
            cases.advance(
                case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
            )  # fmt: skip
    if why == "merged":
        services.merge(second, first, people.adviser)
    session.commit()
    services.match()
    session.commit()
    assert [pair for pair in pairs(session) if pair.verdict is None] == []


# --- judged ----------------------------------------------------------------------------------------------------------


def similar(make, session, **changes):
    first, second = make.case(), make.case(**changes)
    services.match()
    session.commit()
    return first, second


def test_first_contact_comes_after_the_duplicate_check(make, people, session):
    first, second = similar(make, session)
    cases.assign(second, people.adviser, people.adviser)
    with pytest.raises(RefusedError, match="Dossiers semblables"):
        cases.advance(second, Stage.CONTACT, people.adviser)
    services.judge(second, first, Verdict.SAME_PERSON, people.adviser)
    session.flush()
    cases.advance(second, Stage.CONTACT, people.adviser)
    assert second.stage is Stage.CONTACT


def test_a_restricted_file_does_not_show_by_a_refusal_nor_on_any_page(make, people, session, signed_in):
    first, second = similar(make, session)
    cases.restrict(first, restricted=True, readers=[], actor=people.coordinator)
    cases.assign(second, people.adviser, people.adviser)
    session.commit()
    pages = signed_in(people.adviser)
    for address in ("/staff/requests", f"/staff/cases/{second.reference}"):
        assert first.reference not in pages.get(address).text
    pages.get(f"/staff/cases/{second.reference}/beside/{first.reference}", 404)
    cases.advance(second, Stage.CONTACT, people.adviser)
    assert first.reference in signed_in(people.coordinator).get("/staff/requests").text


def test_staff_see_reasons_compare_and_decide(make, people, session, signed_in):
    first, second = similar(make, session)
    pages = signed_in(people.adviser)
    shown = words(pages.get("/staff/requests").text)
    assert "Doublons à trancher (1)" in shown
    assert "Même adresse courriel" in shown
    beside = f"/staff/cases/{second.reference}/beside/{first.reference}"
    page = pages.get(beside).text
    assert "nadia@exemple.ca" in page
    pages.post(f"{beside}/verdict", {"verdict": "same_person"})
    file = words(pages.get(f"/staff/cases/{second.reference}").text)
    assert "Même personne" in file
    assert first.reference in file
    assert "Doublons à trancher" not in words(pages.get("/staff/requests").text)
    pages.get(beside)
    pages.post(f"{beside}/verdict", {"verdict": ""})
    assert "Doublons à trancher (1)" in words(pages.get("/staff/requests").text)
    pages.get(beside)
    pages.post(f"{beside}/verdict", {"verdict": "different"})
    pages.post(f"{beside}/verdict", {"verdict": "different"})
    pages.get(f"/staff/cases/{second.reference}")  # says what was done
    assert first.reference not in words(pages.get(f"/staff/cases/{second.reference}").text).split("Écrire une note")[0]
    kinds = [row.kind for row in history(second).rows]
    assert kinds.count("duplicate.different") == 1


@pytest.mark.parametrize("other", ["PCC-ZZZZ-ZZZZ", "same", "", "' OR 1=1"])
def test_a_number_that_is_no_other_file_is_told(make, people, session, signed_in, other):
    case = make.case()
    pages = signed_in(people.adviser)
    to = pages.get(f"/staff/cases/{case.reference}/beside?other={case.reference if other == 'same' else other}", 302)
    said = {"same": "C’est le même dossier", "": "Écrivez le numéro"}.get(other, "Aucun autre dossier")
    assert said in words(pages.get(to.headers["Location"]).text)
    pages.get(f"/staff/cases/{case.reference}/beside/{case.reference}", 404)


# --- merged ----------------------------------------------------------------------------------------------------------


def a_full_file(make, people, session):
    """A file with a row of everything that a merge moves."""
    case = make.case_at(Stage.PLANNING)
    make.referral(case=case)
    cases.add_note(case, "Note de l’autre dossier", people.adviser)
    book(case, people.adviser, at_ten(4))
    plan_by_hand(case, title="Relancer", reason="Promis", due_on=clock.today() + timedelta(days=9), owner=people.adviser,
                 actor=people.adviser)  # fmt: skip
    write(case, "Bonjour", "clé-1")
    consent(case, Choice.NEWSLETTER, shown="J’accepte", version="1", language="fr")
    session.add(Arrangements(case_id=case.id, sealed=seal("Une interprète", f"arrangements {case.id}")))
    case.contact.phone = "+15145550142"
    case.project.neq = "1160000000"
    session.commit()
    return case


OF_A_FILE = (Permission, Referral, Talk, PersonMessage, Consent, Note, Exchange, Arrangements)


def where_things_are(session, *files):
    session.expire_all()
    found = {
        model.__tablename__: [count(session, model, model.case_id == case.id) for case in files] for model in OF_A_FILE
    }
    open_now = FollowUp.state == State.TODO
    found["follow-ups"] = [
        sorted(session.scalars(select(FollowUp.rule).where(FollowUp.case_id == case.id, open_now))) for case in files
    ]
    found["needs"] = [
        sorted(session.scalars(select(CaseNeed.need).where(CaseNeed.case_id == case.id))) for case in files
    ]
    found["facts"] = [
        (case.contact.phone, case.project.neq, case.project.summary, case.stage, case.paused_from, case.next_step_on)
        for case in files
    ]
    return found


def test_merging_moves_everything_and_undoing_puts_it_back(make, people, session):
    gone = a_full_file(make, people, session)
    kept = make.case(owner=people.other_adviser)
    kept.project.summary = ""
    session.commit()
    before = where_things_are(session, gone, kept)
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    after = where_things_are(session, gone, kept)
    for table in (model.__tablename__ for model in OF_A_FILE):
        assert before[table][0], f"the test moves a row of {table}"
        assert after[table][0] == 0, table
        assert after[table][1] == before[table][0] + before[table][1] - (table == "arrangements" and before[table][1])
    assert after["follow-ups"][0] == []
    assert set(after["follow-ups"][1]) == {"", "answer_person", "reach", "reach_again", "reach_last"} - {
        "reach_again",
        "reach_last",
    } | {rule for rule in before["follow-ups"][1]}
    assert set(after["needs"][1]) == set(before["needs"][0]) | set(before["needs"][1])
    assert kept.contact.phone == "+15145550142"
    assert kept.project.neq == "1160000000"
    assert kept.owner_id == people.other_adviser.id
    assert (gone.stage, gone.closing_reason, gone.merged_into_id) == (Stage.CLOSED, ClosingReason.DUPLICATE, kept.id)
    assert session.scalars(select(Talk.state)).all() == [TalkState.BOOKED], "closing the duplicate cancels no talk"
    told = [row.note for row in history(kept).rows if row.note]
    assert told == ["Note de l’autre dossier"]
    assert opened_arrangements(kept, session.get(Arrangements, kept.id).sealed) == "Une interprète"
    assert forgotten() == []
    services.undo(done, people.adviser)
    session.commit()
    again = where_things_are(session, gone, kept)
    assert again == before
    assert (gone.closing_reason, gone.merged_into_id, kept.has_merged) == (None, None, False)
    assert forgotten() == []
    assert [row.note for row in history(kept).rows if row.note] == []


def test_what_was_done_since_the_merge_stays_where_it_was_done(make, people, session):
    gone, kept = a_full_file(make, people, session), make.case(owner=people.adviser)
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    kept.contact.phone = "+15145550199"
    cases.add_note(kept, "Après la fusion", people.adviser)
    typed = session.scalars(select(FollowUp).where(FollowUp.title == "Relancer")).one()
    complete(typed, kept, people.adviser)
    session.commit()
    services.undo(done, people.adviser)
    session.commit()
    assert kept.contact.phone == "+15145550199"
    assert [row.note for row in history(kept).rows if row.note] == ["Après la fusion"]
    assert (typed.case_id, typed.state) == (gone.id, State.DONE)
    assert forgotten() == []


def test_a_merge_is_undone_once_within_thirty_days_and_from_the_last(make, people, session):
    first, second, third = make.case(), make.case(), make.case()
    done = services.merge(first, second, people.adviser)
    session.commit()
    last = services.merge(second, third, people.adviser)
    session.commit()
    assert first.merged_into_id == third.id, "one step leads to the file that goes on"
    with pytest.raises(RefusedError, match="Annulez d’abord"):
        services.undo(done, people.adviser)
    services.undo(last, people.adviser)
    session.commit()
    session.refresh(first)
    assert first.merged_into_id == second.id
    assert second.has_merged
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        with pytest.raises(RefusedError, match="30 jours"):
            services.undo(done, people.adviser)
    services.undo(done, people.adviser)
    session.commit()
    with pytest.raises(RefusedError, match="déjà été annulée"):
        services.undo(done, people.adviser)
    assert count(session, Case, Case.stage != Stage.CLOSED) == 3


REFUSED = {
    "into itself": lambda one, two, by: (one, one),
    "an open file into a closed one": lambda one, two, by: (
        one, cases.advance(two, Stage.CLOSED, by, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told") or two),
    "a file set aside": lambda one, two, by: (setattr(one, "quarantined", True) or one, two),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_merged_is_refused(make, people, session, what):
    one, two = make.case(owner=people.adviser), make.case(owner=people.adviser)
    gone, kept = REFUSED[what](one, two, people.adviser)
    with pytest.raises(RefusedError):
        services.merge(gone, kept, people.adviser)
    assert count(session, CaseMerge) == 0


ANOTHER = {
    "another address": {"email": "cofondatrice@exemple.ca"},
    "no address, the same telephone": {"email": ""},
}


@pytest.mark.parametrize("who", ANOTHER)
def test_two_people_are_linked_and_never_merged(make, people, session, signed_in, who):
    """Each answered and allowed for themselves; and nobody proved that a telephone without an address is theirs."""
    kept, gone = make.case(), make.case(**ANOTHER[who])
    kept.contact.phone = gone.contact.phone = "+15145550142"
    session.commit()
    with pytest.raises(RefusedError, match="deux personnes"):
        services.merge(gone, kept, people.adviser)
    browser = signed_in(people.adviser)
    beside = f"/staff/cases/{gone.reference}/beside/{kept.reference}"
    page = words(browser.get(beside).text)
    assert "Fusionner et conserver" not in page
    assert "Le même projet, deux personnes" in page
    browser.post(f"{beside}/verdict", {"verdict": "same_team"})
    assert "Même équipe" in words(browser.get(f"/staff/cases/{kept.reference}").text)
    assert count(session, CaseMerge) == 0


def test_no_link_given_before_opens_the_two_files_as_one(app, make, people, session):
    """Whoever typed somebody's address in a request holds a link to that request: it must not open the other's."""
    gone, kept = make.case(), make.case(email="NADIA@exemple.ca")
    links = [token_of(link_of(case)) for case in (gone, kept)]
    cases.add_note(gone, "x", people.adviser)
    send_link_again("nadia@exemple.ca")  # waits to leave with a link that the merge closes
    session.commit()
    waiting = session.scalars(select(Message).where(Message.kind == "portal.link")).first()
    services.merge(gone, kept, people.adviser)
    session.commit()
    for link in links:
        Pages(app).get(f"/fr/mon-dossier/ouvrir/{link}", 404)
    session.refresh(waiting)
    carried = session.get(Link, waiting.link_id)
    assert (carried.object_id, carried.revoked_at) == (kept.id, None)
    Pages(app).get(f"/fr/mon-dossier/ouvrir/{token_of(carried)}")


def test_what_the_person_writes_on_the_page_of_a_merged_file_reaches_the_one_that_goes_on(make, people, session):
    gone, kept = make.case(), make.case(owner=people.adviser)
    services.merge(gone, kept, people.adviser)
    session.commit()
    write(gone, "Bonjour", "clé-2")
    session.commit()
    assert count(session, FollowUp, FollowUp.case_id == kept.id, FollowUp.rule == "answer_person") == 1
    told = session.scalars(select(Message).where(Message.kind == "portal.written")).one()
    assert told.case_id == kept.id
    with pytest.raises(RefusedError, match="jointe à une autre"):
        withdraw_request(gone)
    assert len(copy_of(kept)["answers_of_joined_requests"]) == 0, "these files were made without a form"


def test_merges_are_undone_from_the_last(make, people, session):
    kept = make.case()
    kept.project.summary = ""
    first, second = make.case(), make.case()
    for case, wanted in ((first, "Une interprète"), (second, "Du sous-titrage"), (kept, "Un lieu calme")):
        session.add(Arrangements(case_id=case.id, sealed=seal(wanted, f"arrangements {case.id}")))
    session.commit()
    one = services.merge(first, kept, people.adviser)
    session.commit()
    two = services.merge(second, kept, people.adviser)
    session.commit()
    joined = opened_arrangements(kept, session.get(Arrangements, kept.id).sealed)
    assert joined.split("\n") == ["Un lieu calme", "Une interprète", "Du sous-titrage"]
    with pytest.raises(RefusedError, match="depuis"):
        services.undo(one, people.adviser)
    services.undo(two, people.adviser)
    session.commit()
    services.undo(one, people.adviser)
    session.commit()
    read = {
        case.id: opened_arrangements(case, session.get(Arrangements, case.id).sealed) for case in (first, second, kept)
    }
    assert read == {first.id: "Une interprète", second.id: "Du sous-titrage", kept.id: "Un lieu calme"}


def test_closing_the_kept_file_destroys_what_was_to_be_arranged_everywhere(make, people, session):
    gone, kept = make.case(), make.case(owner=people.adviser)
    session.add(Arrangements(case_id=gone.id, sealed=seal("Une interprète", f"arrangements {gone.id}")))
    session.commit()
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    assert done.journal["arrangements"]
    cases.advance(
        kept, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
    )
    session.commit()
    session.expire_all()
    assert not done.journal["arrangements"]
    assert count(session, Arrangements) == 0


def test_after_thirty_days_a_merge_is_final_and_its_journal_is_empty(make, people, session):
    done = services.merge(make.case(), make.case(), people.adviser)
    session.commit()
    assert services.make_final() == 0
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        assert services.make_final() == 1
        session.commit()
        session.expire_all()
        assert done.journal == {}
        with pytest.raises(RefusedError, match="30 jours"):
            services.undo(done, people.adviser)


def test_undoing_gives_no_work_to_somebody_who_left(make, people, session):
    gone, kept = make.case(owner=people.other_adviser), make.case(owner=people.adviser)
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    people.other_adviser.active = False
    session.commit()
    services.undo(done, people.adviser)
    session.commit()
    assert gone.owner_id == people.adviser.id
    assert count(session, FollowUp, FollowUp.owner_id == people.other_adviser.id, FollowUp.state == State.TODO) == 0


def test_the_number_of_a_restricted_file_is_not_told_in_the_history_of_another(make, people, session, signed_in):
    hidden, open_ = make.case(), make.case()
    cases.restrict(hidden, restricted=True, readers=[], actor=people.coordinator)
    services.judge(hidden, open_, Verdict.SAME_PERSON, people.coordinator)
    session.commit()
    assert hidden.reference not in words(signed_in(people.adviser).get(f"/staff/cases/{open_.reference}").text)


def test_a_file_that_is_opened_again_is_compared_again(make, people, session):
    first, second = make.case(owner=people.adviser), make.case(owner=people.adviser)
    for case in (first, second):
        cases.advance(
            case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
        )
    session.commit()
    services.match()
    session.commit()
    assert pairs(session) == []
    cases.advance(first, Stage.DISCOVERY, people.coordinator, reason="x", forced=True)
    session.commit()
    assert services.match() == 1
    session.commit()
    assert len(pairs(session)) == 1


def test_a_reply_before_the_request_is_no_reply_to_it(make, people, session):
    gone, kept = make.case(received_at=clock.now() - timedelta(days=40)), make.case()
    make.exchange(gone, people.adviser, clock.now() - timedelta(days=30))
    services.merge(gone, kept, people.adviser)
    session.commit()
    assert kept.first_reply_at is None


def test_a_restricted_file_restricts_the_one_it_goes_into(make, people, session, signed_in):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser)
    cases.restrict(gone, restricted=True, readers=[people.adviser.id], actor=people.coordinator)
    session.commit()
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    assert kept.restricted
    signed_in(people.other_adviser).get(f"/staff/cases/{kept.reference}", 404)
    services.undo(done, people.adviser)
    session.commit()
    assert kept.restricted, "opening it again is somebody's decision"
    assert gone.restricted


def test_on_the_page_pressed_twice_it_is_merged_once_the_old_number_leads_on_and_it_is_undone(
    make, people, session, signed_in
):
    gone, kept = make.case(owner=people.adviser, name="Ancien nom"), make.case(owner=people.adviser)
    session.commit()
    pages = signed_in(people.adviser)
    beside = f"/staff/cases/{gone.reference}/beside/{kept.reference}"
    pages.get(beside)
    pages.post(f"{beside}/merge", {"keep": kept.reference})
    pages.post(f"{beside}/merge", {"keep": kept.reference})
    assert count(session, CaseMerge) == 1
    to = pages.get(f"/staff/cases/{gone.reference}", 302).headers["Location"]
    assert to.endswith(kept.reference)
    file = words(pages.get(to).text)
    assert "Dossier fusionné" in file
    assert gone.reference in file
    pages.get(beside)
    pages.post(f"{beside}/merge", {"keep": "PCC-ZZZZ-ZZZZ"}, status=409)
    pages.get(beside)
    pages.post(f"{beside}/undo")
    pages.post(f"{beside}/undo")
    session.expire_all()
    assert gone.stage is Stage.NEW
    pages.get(f"/staff/cases/{gone.reference}")


def test_a_merged_file_is_reopened_by_undoing_only(make, people, session):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser)
    services.merge(gone, kept, people.adviser)
    session.commit()
    with pytest.raises(RefusedError, match="Annulez d’abord la fusion"):
        cases.advance(gone, Stage.DISCOVERY, people.coordinator, reason="x", forced=True)


@pytest.mark.parametrize("stood", [Stage.NEW, Stage.PAUSED, Stage.CLOSED])
def test_undoing_puts_a_file_back_where_it_stood(make, people, session, stood):
    gone, kept = make.case(owner=people.adviser), make.case(owner=people.adviser)
    if stood is Stage.PAUSED:
        cases.advance(gone, Stage.CONTACT, people.adviser)
        cases.advance(gone, stood, people.adviser, reason="x", return_on=clock.today() + timedelta(days=30))
    if stood is Stage.CLOSED:
        cases.advance(
            gone, stood, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told"
        )
    session.commit()
    before = (gone.stage, gone.paused_from, gone.closing_reason)
    done = services.merge(gone, kept, people.adviser)
    session.commit()
    assert gone.closing_reason is ClosingReason.DUPLICATE
    services.undo(done, people.adviser)
    session.commit()
    assert (gone.stage, gone.paused_from, gone.closing_reason) == before
    assert forgotten() == []


def test_two_projects_that_go_together_are_linked_and_each_file_shows_the_other(make, people, session, signed_in):
    one, two = make.case(name="Marché Nord", email="a@exemple.ca"), make.case(name="Four banal", email="b@exemple.ca")
    session.commit()
    browser = signed_in(people.adviser)
    beside = f"/staff/cases/{one.reference}/beside/{two.reference}"
    browser.get(beside)
    action = re.search(r'action="([^"]+/verdict)"', browser.last.text)[1]
    browser.post(action, {"verdict": "related"})
    browser.post(action, {"verdict": "related"})
    for mine, their in ((one, "Four banal"), (two, "Marché Nord")):
        page = words(browser.get(f"/staff/cases/{mine.reference}").text)
        assert f"{their} Lié" in page
        assert page.count("leurs projets vont ensemble") == 1
    assert "Décidé : deux projets qui vont ensemble." in words(browser.get(beside).text)
    services.match()
    session.commit()
    assert "Lié" in words(browser.get(f"/staff/cases/{one.reference}").text)
    browser.post(action, {"verdict": ""})
    assert "Lié" not in words(browser.get(f"/staff/cases/{one.reference}").text)
