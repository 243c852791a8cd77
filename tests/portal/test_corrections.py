"""Answers corrected: proposed by the person and confirmed or not by staff, or corrected by staff; judged as any answer, told, kept."""

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from crm import clock
from crm.cases.addresses import link_of
from crm.cases.models import Case, CaseNeed, StageSpell
from crm.cases.queries import needs
from crm.cases.services import advance
from crm.cases.vocabulary import ClosingReason, LegalForm, Stage
from crm.i18n import speaking
from crm.intake.answers import CORRECTED, answers_of, changed, page_of
from crm.intake.browser import SLUGS
from crm.intake.forms import PAGES
from crm.links.models import Link
from crm.outbox.models import Message, Status
from crm.outbox.services import send_again
from crm.portal import corrections
from crm.portal.conversation import write_to_person
from crm.portal.models import Correction, CorrectionState
from crm.portal.services import new_link
from crm.reminders.models import FollowUp, State
from crm.timeline.models import Event, EventDetail
from tests.intake.test_requests import ALL_ANSWERS
from tests.portal.test_page import HOME, inside
from tests.support.asking import ask
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words
from tests.support.typed import forms_of

BASE = {"fr": "/fr/mon-dossier/corriger", "en": "/en/my-file/correct"}


def at(page, lang="fr"):
    return f"{BASE[lang]}/{SLUGS[page][lang == 'en']}"


def blank(browser, address):
    """The form of a page as it is shown: what a browser would send unchanged."""
    browser.get(address)
    form = next(values for action, values in forms_of(browser.last.text) if action in {address, ""})
    return {name: values for name, values in form.items() if name != "csrf_token"}


def correct(browser, page, lang="fr", status=303, **changes):
    return browser.post(at(page, lang), blank(browser, at(page, lang)) | changes, status=status)


def count(session, model, *conditions):
    session.rollback()
    return session.scalar(select(func.count()).select_from(model).where(*conditions))


def only(session):
    session.rollback()
    return session.scalars(select(Correction)).one()


def decide(browser, case, number, **data):
    browser.get(f"/staff/cases/{case.reference}")
    return browser.post(f"/staff/cases/{case.reference}/corrections/{number}", data)


# --- the form and the file say the same ------------------------------------------------------------------------------


@pytest.mark.parametrize(("answers", "lang"), list(product((ANSWERS, ALL_ANSWERS), ("fr", "en"))))
def test_a_file_shows_the_answers_it_was_sent_with_and_nothing_differs(pages, people, session, answers, lang):
    ask(pages, answers, lang)
    case = session.scalars(select(Case)).one()
    with speaking(lang):
        for code in CORRECTED:
            shown = answers_of(case, code)
            page = page_of(code, {name: shown[name] for name in PAGES[code].questions() if name in shown})
            assert page.validate(), (code, page.errors)
            assert changed(shown, page) == {}
            for name in set(PAGES[code].questions()) & set(answers) - {"arrangements", "phone", "neq"}:
                wanted = answers[name] if isinstance(answers[name], list) else [answers[name]]
                assert shown.get(name, []) == wanted, name


def test_a_type_that_staff_know_better_is_not_undone_by_another_correction(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    case.project.legal_form = LegalForm.NPO_QC
    session.commit()
    browser = inside(app, session, case)
    correct(browser, "form", incorporated="yes")
    decide(signed_in(people.adviser), case, only(session).id, decision="confirm")
    session.rollback()
    assert (case.project.legal_form, case.project.incorporated) == (LegalForm.NPO_QC, True)


# --- proposed and confirmed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_correction_changes_nothing_until_staff_confirm_it_in_one_press(app, make, people, session, signed_in, lang):
    case = make.case(owner=people.adviser, language=lang)
    browser = inside(app, session, case, lang)
    correct(browser, "reach", lang, phone="(438) 555-0199 poste 7")
    assert {"fr": "en attente", "en": "waiting"}[lang] in words(browser.get(HOME[lang]).text)
    session.rollback()
    assert case.contact.phone == ""
    rule = FollowUp.rule == "confirm_correction"
    assert count(session, FollowUp, rule, FollowUp.state == State.TODO) == 1
    told = session.scalars(select(Message).where(Message.kind == "portal.correction")).one()
    assert told.to_address == people.adviser.email
    assert "0199" not in told.subject + told.body
    adviser = signed_in(people.adviser)
    page = words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert "Correction à vérifier" in page
    assert "(438) 555-0199 poste 7" in page
    case.matched_at = clock.now()
    session.commit()
    decide(adviser, case, only(session).id, decision="confirm")
    session.rollback()
    assert (case.contact.phone, case.contact.phone_extension) == ("+14385550199", "7")
    assert case.matched_at is None
    assert count(session, FollowUp, rule, FollowUp.state == State.DONE) == 1
    mail = session.scalars(select(Message).where(Message.kind == "portal.corrected")).one()
    assert (mail.language, mail.to_address) == (lang, "nadia@exemple.ca")
    assert {"fr": "confirmée", "en": "confirmed"}[lang] in words(browser.get(HOME[lang]).text)
    history = words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert "a corrigé une réponse : téléphone" in history.replace("\u00a0", " ")
    assert "a confirmé la correction" in history


def test_every_answer_of_every_page_can_be_corrected(app, pages, people, session, signed_in):
    """The file of one request becomes that of another, page by page."""
    ask(pages, ANSWERS)
    case = session.scalars(select(Case)).one()
    link_of(case)
    session.commit()
    adviser = signed_in(people.adviser)
    browser = inside(app, session, case)
    wanted = ALL_ANSWERS | {
        "lang_pref": "en",
        "region": "13",
        "needs": ["legal", "funding"],
        "email": "nadia.b@exemple.ca",
    }
    for code in CORRECTED:
        typed = {name: wanted[name] for name in PAGES[code].questions() if name in wanted and name != "arrangements"}
        browser = inside(app, session, case)
        browser.post(at(code), blank(browser, at(code)) | typed)
    for number in session.scalars(select(Correction.id)).all():
        decide(adviser, case, number, decision="confirm")
    session.rollback()
    session.expire_all()
    with speaking("fr"):
        for code in CORRECTED:
            shown = answers_of(case, code)
            for name in set(PAGES[code].questions()) - {"arrangements", "phone", "neq", "locality", "behalf_known"}:
                expected = wanted.get(name, [])
                expected = expected if isinstance(expected, list) else [expected]
                assert sorted(shown.get(name, [])) == sorted(expected), name
    assert case.project.locality == ""  # only Montréal's boroughs are asked for
    assert case.project.neq == "1160000000"
    assert case.language == "en"
    assert sorted(needs(case)) == ["funding", "legal"]


def test_what_is_not_confirmed_changes_nothing_and_the_person_reads_why(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    correct(browser, "project", project_name="Autre nom")
    adviser = signed_in(people.adviser)
    number = only(session).id
    adviser.get(f"/staff/cases/{case.reference}")
    answer = adviser.post(
        f"/staff/cases/{case.reference}/corrections/{number}", {"decision": "decline", "reason": " "}, status=422
    )
    assert "Expliquez votre décision" in words(answer.text)
    assert f'id="decline-reason-{number}-error"' in answer.text
    assert only(session).state is CorrectionState.OPEN
    decide(adviser, case, number, decision="decline", reason="Le nom est déjà <pris>.")
    session.rollback()
    assert case.project.name == "Outilthèque de Rosemont"
    mail = session.scalars(select(Message).where(Message.kind == "portal.not_corrected")).one()
    assert "Le nom est déjà <pris>." in mail.body
    page = browser.get(HOME["fr"]).text
    assert "Le nom est déjà &lt;pris&gt;." in page
    assert "non retenue" in page
    # Decided by two people at once: the second is told.
    answer = adviser.post(f"/staff/cases/{case.reference}/corrections/{number}", {"decision": "confirm"}, status=409)
    assert "déjà été traitée" in words(answer.text)
    adviser.post(f"/staff/cases/{case.reference}/corrections/{number}", {"decision": "x"}, status=409)


def test_a_new_address_is_told_to_the_old_one_and_only_new_links_open_the_page(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    correct(browser, "reach", email="nouvelle@exemple.ca")
    before = session.scalars(select(Link.id)).all()
    waiting = session.scalars(select(Message).where(Message.kind == "portal.link")).all()
    assert not waiting
    decide(signed_in(people.adviser), case, only(session).id, decision="confirm")
    session.rollback()
    assert case.contact.email == "nouvelle@exemple.ca"
    warned = session.scalars(select(Message).where(Message.kind == "portal.address_changed")).one()
    assert warned.to_address == "nadia@exemple.ca"
    assert "[link]" not in warned.body
    assert "nouvelle@" not in warned.body
    sent = session.scalars(select(Message).where(Message.kind == "portal.new_address")).one()
    assert sent.to_address == "nouvelle@exemple.ca"
    assert sent.link_id not in before
    browser.get(HOME["fr"], 404)
    assert not session.scalars(select(Message).where(Message.to_address == "nadia@exemple.ca", Message.link_id.in_(select(Link.id).where(Link.revoked_at.is_(None))))).all()  # fmt: skip


def test_mail_that_waits_follows_the_address(app, make, people, session, signed_in):
    """A message queued a moment before the address changed reaches the new one, never the old one with a link that works."""
    case = make.case(owner=people.adviser)
    write_to_person(case, "Bonjour", "x", people.adviser)
    session.commit()
    corrections.change_answers(case, "reach", {"email": ["nouvelle@exemple.ca"]}, people.adviser)
    session.commit()
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    assert message.to_address == "nouvelle@exemple.ca"
    assert session.get(Link, message.link_id).revoked_at is None


def test_mail_that_waited_for_a_former_address_never_leaves_with_a_link_that_works(app, make, people, session):
    """The address is taken off, or was mistyped: what waits, or failed, follows the file's address or does not leave."""
    case = make.case(owner=people.adviser)
    case.contact.phone, case.contact.mode = "+15145550142", "phone"
    write_to_person(case, "Bonjour", "x", people.adviser)
    write_to_person(case, "Rebonjour", "y", people.adviser)
    waiting, failed = session.scalars(
        select(Message).where(Message.kind == "portal.message").order_by(Message.id)
    ).all()
    failed.status = Status.FAILED
    session.commit()
    corrections.change_answers(case, "reach", {"email": []}, people.adviser)
    session.commit()
    assert [waiting.status, failed.status] == [Status.DROPPED, Status.DROPPED]
    corrections.change_answers(case, "reach", {"email": ["nouvelle@exemple.ca"]}, people.adviser)
    new_link(case, people.adviser)
    session.commit()
    live = select(Link.id).where(Link.revoked_at.is_(None))
    to_old = (Message.to_address == "nadia@exemple.ca", Message.link_id.in_(live))
    assert not session.scalars(select(Message).where(*to_old)).all()


def test_a_failed_message_sent_again_goes_to_the_address_as_it_is_now(app, make, people, session):
    case = make.case(owner=people.adviser, email="nadia@exmple.ca")
    write_to_person(case, "Bonjour", "x", people.adviser)
    message = session.scalars(select(Message).where(Message.kind == "portal.message")).one()
    message.status = Status.FAILED
    corrections.change_answers(case, "reach", {"email": ["nadia@exemple.ca"]}, people.adviser)
    send_again(message)
    session.commit()
    session.refresh(message)
    assert message.to_address == "nadia@exemple.ca"
    assert session.get(Link, message.link_id).revoked_at is None


def test_an_address_where_there_was_none_closes_the_printed_link(app, make, people, session):
    case = make.case(owner=people.adviser, email="")
    case.contact.phone, case.contact.mode = "+15145550142", "phone"
    session.commit()
    browser = inside(app, session, case)
    corrections.change_answers(case, "reach", {"email": ["nadia@exemple.ca"]}, people.adviser)
    session.commit()
    browser.get(HOME["fr"], 404)
    assert session.scalars(select(Message.to_address).where(Message.kind == "portal.new_address")).all() == [
        "nadia@exemple.ca"
    ]


def test_nothing_is_mailed_to_who_is_in_quarantine(app, make, people, session):
    case = make.case(owner=people.adviser)
    case.quarantined = True
    page = page_of("project", answers_of(case, "project") | {"project_name": ["Autre"]})
    assert page.validate()
    made = corrections.propose(case, page, "x")
    corrections.decline(made, case, "Non", people.adviser)
    corrections.change_answers(case, "reach", {"email": ["nouvelle@exemple.ca"]}, people.adviser)
    session.commit()
    assert not session.scalars(select(Message).where(Message.kind.in_(["portal.new_address", "portal.not_corrected", "portal.address_changed"]))).all()  # fmt: skip


def test_an_answer_that_changed_since_is_shown_before_it_is_overwritten(app, make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    correct(inside(app, session, case), "project", project_name="Ce que veut la personne")
    corrections.change_answers(case, "project", {"project_name": ["Ce que l’équipe a su"]}, people.adviser, "x")
    session.commit()
    adviser, number = signed_in(people.adviser), only(session).id
    decide(adviser, case, number, decision="confirm")
    assert only(session).state is CorrectionState.OPEN
    page = words(adviser.get(f"/staff/cases/{case.reference}").text)
    assert "Une réponse a changé" in page
    assert "Ce que l’équipe a su" in page
    assert case.project.name == "Ce que l’équipe a su"
    decide(adviser, case, number, decision="confirm")
    session.rollback()
    assert case.project.name == "Ce que veut la personne"


def test_a_form_sent_again_after_the_answer_says_so(app, make, people, session):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    typed = blank(browser, at("project")) | {"project_name": "Nouveau"}
    browser.post(at("project"), typed)
    corrections.decline(only(session), case, "Voir [link]", people.adviser)
    session.commit()
    mail = session.scalars(select(Message).where(Message.kind == "portal.not_corrected")).one()
    assert mail.body.count("[link]") == 1
    browser.post(at("project"), typed)
    assert "déjà été traitée" in words(browser.get(HOME["fr"]).text)
    assert "Nouveau" in browser.get("/fr/mon-dossier/copie").text


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "changes", "said"),
    [
        ("you", {"contact_name": " "}, "Écrivez votre nom"),
        ("reach", {"email": "nadia@", "contact_mode": "email"}, "adresse courriel complète"),
        ("reach", {"phone": "12"}, "numéro à 10 chiffres"),
        ("project", {"description": "court"}, "au moins"),
        ("project", {"project_name": "a" * 121}, "120"),
        ("needs", {"needs": []}, "Cochez au moins un sujet"),
        ("project", {"project_name": "Nom\x00"}, "n’ont pas pu être lus"),
    ],
)
def test_a_wrong_answer_is_told_beside_itself_and_kept(app, make, people, session, page, changes, said):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    answer = correct(browser, page, status=422, **changes)
    assert said in words(answer.text)
    assert 'class="error-summary"' in answer.text
    assert count(session, Correction) == 0


def test_the_language_button_keeps_what_was_typed_and_sends_nothing(app, make, people, session):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    typed = blank(browser, at("project")) | {"project_name": "Un nom « tapé »", "description": "court", "_lang": "en"}
    answer = browser.post(at("project", "en"), typed, status=200)
    assert "Un nom « tapé »" in answer.text
    assert "Describe your project in a few sentences" in answer.text
    assert count(session, Correction) == 0


def test_nothing_changed_pressed_twice_closed_or_by_a_stranger(app, make, people, session):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    correct(browser, "project")
    assert "rien n’a été envoyé" in words(browser.get(HOME["fr"]).text)
    typed = blank(browser, at("project")) | {"project_name": "Nouveau"}
    for _ in range(3):
        browser.post(at("project"), typed)
    assert count(session, Correction) == 1
    stranger = Pages(app)
    stranger.get(at("project"), 404)
    answer = stranger.post(at("project"), typed | {"description": "Un texte qu’il ne faut pas perdre."}, status=404)
    assert "Un texte qu’il ne faut pas perdre." in words(answer.text)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    browser.get(at("project"), 302)
    browser.get(HOME["fr"])
    browser.post(at("project"), typed | {"project_name": "Encore"}, status=409)


def test_a_correction_that_is_wrong_by_now_is_refused_and_stays_open(app, make, people, session, signed_in):
    """The person removes the address; meanwhile they are to be reached by email."""
    case = make.case(owner=people.adviser)
    case.contact.mode, case.contact.phone = "phone", "+15145550142"
    session.commit()
    browser = inside(app, session, case)
    correct(browser, "reach", email="")
    case.contact.mode = "email"
    session.commit()
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    answer = adviser.post(
        f"/staff/cases/{case.reference}/corrections/{only(session).id}", {"decision": "confirm"}, status=409
    )
    assert "Écrivez votre adresse courriel" in words(answer.text)
    assert only(session).state is CorrectionState.OPEN


def test_a_correction_asked_again_shows_what_waits_and_takes_its_place(app, make, people, session):
    """The person changes their mind before anybody answered: one correction of a page waits at most."""
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    correct(browser, "project", project_name="Premier choix")
    assert "attend d’être vérifiée" in words(browser.get(at("project")).text)
    assert 'value="Premier choix"' in browser.last.text
    correct(browser, "project", project_name="Second choix")
    correct(browser, "you", contact_name="Nadia B.")
    waiting = session.scalars(select(Correction).order_by(Correction.id)).all()
    assert [
        one.changes[name]["wanted"] for one, name in zip(waiting, ("project_name", "contact_name"), strict=True)
    ] == [["Second choix"], ["Nadia B."]]
    # Back to what the file says: nothing is left to decide on that page, nor, after the other, at all.
    correct(browser, "project", project_name=case.project.name)
    assert len(session.scalars(select(Correction)).all()) == 1
    rule = FollowUp.rule == "confirm_correction"
    assert count(session, FollowUp, rule, FollowUp.state == State.TODO) == 1
    correct(browser, "you", contact_name=case.contact.name)
    assert count(session, Correction) == 0
    assert count(session, FollowUp, rule, FollowUp.state == State.TODO) == 0


def test_a_file_that_closes_leaves_no_correction_waiting(app, make, people, session):
    case = make.case(owner=people.adviser)
    browser = inside(app, session, case)
    correct(browser, "project", project_name="Nouveau")
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    assert only(session).state is CorrectionState.DECLINED
    assert "fermé avant que cette correction soit vérifiée" in words(browser.get(HOME["fr"]).text)


def test_corrections_of_one_file_are_not_those_of_another(app, make, people, session, signed_in):
    case, other = make.case(owner=people.adviser), make.case(owner=people.adviser, email="autre@exemple.ca")
    correct(inside(app, session, case), "project", project_name="Nouveau")
    adviser = signed_in(people.adviser)
    number = only(session).id
    adviser.get(f"/staff/cases/{other.reference}")
    adviser.post(f"/staff/cases/{other.reference}/corrections/{number}", {"decision": "confirm"}, status=404)
    assert only(session).state is CorrectionState.OPEN


# --- by staff --------------------------------------------------------------------------------------------------------


def test_staff_correct_with_a_reason_and_the_history_keeps_both(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/answers/you"
    typed = blank(adviser, address) | {"contact_name": "Nadia Bénali"}
    answer = adviser.post(address, typed, status=422)
    assert "Indiquez pourquoi" in words(answer.text)
    assert "Nadia Bénali" in answer.text
    adviser.post(address, typed | {"why": "Elle l’a épelé au téléphone"})
    session.rollback()
    assert case.contact.name == "Nadia Bénali"
    detail = session.scalars(select(EventDetail.values).join(Event).where(Event.kind == "case.corrected")).one()
    assert detail["change"] == "Nadia Benali\n→ Nadia Bénali\nMotif\u00a0: Elle l’a épelé au téléphone"


def test_two_people_who_correct_the_same_page_never_overwrite_each_other(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    first, second = signed_in(people.adviser), signed_in(people.coordinator)
    address = f"/staff/cases/{case.reference}/answers/project"
    mine, theirs = blank(first, address), blank(second, address)
    first.post(address, mine | {"project_name": "Premier", "why": "a"})
    answer = second.post(address, theirs | {"project_name": "Second", "why": "b"}, status=409)
    said = words(answer.text)
    assert "Premier" in said
    assert 'value="Second"' in answer.text
    session.rollback()
    assert case.project.name == "Premier"
    again = next(values for action, values in forms_of(answer.text) if "why" in values)
    second.post(address, {name: values for name, values in again.items() if name != "csrf_token"})
    session.rollback()
    assert case.project.name == "Second"


def test_an_assessment_open_meanwhile_is_told(make, people, session):
    case = make.case(owner=people.adviser)
    before = case.project.version
    corrections.change_answers(case, "project", {"project_name": ["Autre"]}, people.adviser, "x")
    session.commit()
    assert case.project.version == before + 1


@pytest.mark.parametrize("page", ["choices", "check", "rien"])
def test_no_other_page_can_be_corrected(make, people, signed_in, page):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}/answers/{page}", 404)
    adviser.post(f"/staff/cases/{case.reference}/answers/{page}", {}, status=404)


def test_what_is_to_be_arranged_is_neither_shown_nor_changed(app, pages, people, session, signed_in):
    ask(pages, ALL_ANSWERS)
    case = session.scalars(select(Case)).one()
    session.commit()
    colleague = signed_in(people.coordinator)
    page = colleague.get(f"/staff/cases/{case.reference}/answers/reach").text
    assert "Sous-titrage" not in page
    assert 'name="arrangements"' not in page


# --- any change at all -----------------------------------------------------------------------------------------------

OPTIONS = {
    "contact_role": ["lead", "team", "org", "other"],
    "sector": ["sharing", "food", "unknown"],
    "stage": ["idea", "planning", "unknown"],
    "legal_form": ["npo", "mutual", "undecided", "coop"],
    "coop_type": ["coop_work", "coop_solidarity", "coop"],
    "incorporated": ["yes", "no"],
    "region": ["06", "13", "01"],
    "needs": [["form"], ["funding", "legal"], ["unknown"]],
}


@given(steps=st.lists(st.sampled_from(sorted(OPTIONS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(OPTIONS[name]))), max_size=8))  # fmt: skip
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_run_of_corrections_leaves_a_file_that_says_the_last_of_each(make, people, session, steps):
    """A plain model: the last value of each answer, and nothing else changed."""
    case = make.case(owner=people.adviser)
    before = {code: answers_of(case, code) for code in CORRECTED}
    model = {name: value for shown in before.values() for name, value in shown.items()}
    for name, value in steps:
        code = next(code for code in CORRECTED if name in PAGES[code].questions())
        wanted = value if isinstance(value, list) else [value]
        corrections.change_answers(case, code, {name: wanted}, people.adviser, "x")
        session.commit()
        model[name] = wanted
        if name == "legal_form" and value != "coop":
            model.pop("coop_type", None)
        if name == "legal_form" and value == "coop":
            model.setdefault("coop_type", ["coop"])
        if name == "coop_type" and model["legal_form"] != ["coop"]:
            model.pop("coop_type", None)
    for code in CORRECTED:
        shown = answers_of(case, code)
        for name in PAGES[code].questions():
            assert sorted(shown.get(name, [])) == sorted(model.get(name, [])), name
    session.query(CaseNeed).filter_by(case_id=case.id).count()
    assert session.scalar(select(func.count(StageSpell.id)).where(StageSpell.case_id == case.id)) == 1
