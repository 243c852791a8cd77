"""The directory: what ships, what coordinators change, what follows, and the programmes that fit a file."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from crm import clock
from crm.cases.vocabulary import Stage
from crm.config import ROOT
from crm.directory import matching, queries, suggestions
from crm.directory.matching import Asked, Fit
from crm.directory.services import save_body
from crm.financing import services as financing
from crm.financing.rules import Status as Applied
from crm.i18n import speaking
from crm.partners import queries as partners
from crm.partners.models import Body, Programme, Rule, Terms
from crm.partners.review import Standing, review_due, standing
from crm.partners.services import load_directory, set_terms
from crm.partners.vocabulary import Instrument, new_code
from crm.permissions.models import How
from crm.referrals import answers, services
from crm.referrals.models import Referral
from crm.referrals.outcomes import DeclineReason, Status
from crm.referrals.queries import opened_by
from crm.reminders.services import open_ones
from crm.texts import shipped
from crm.timeline.models import Event
from tests.support.pages import HOST, words

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SEED = "financing-after-support"


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


@pytest.fixture
def coordinator(people, signed_in):
    return signed_in(people.coordinator)


def typed(page: str, name: str) -> dict:
    """What the form that holds a field would send, as a browser would."""
    form = next(one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'name="{name}"' in one)
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        a = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" not in a or (a.get("type") in {"checkbox", "radio"} and not re.search(r"\schecked\b", tag)):
            continue
        found.setdefault(a["name"], []).append(a.get("value", ""))
    for name_, inner in re.findall(r'<textarea[^>]*name="(\w+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        found[name_] = [inner]
    for name_, inner in re.findall(r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        found[name_] = re.findall(r'value="([^"]*)" selected', inner)[:1]
    found.pop("csrf_token", None)
    return found


# --- what ships ----------------------------------------------------------------------------------------------------


def test_what_ships_is_there_once_unverified_and_never_written_over(session):
    bodies = {body.code: body for body in session.scalars(select(Body))}
    assert len(bodies) == 35
    assert {one.standing for one in [*bodies.values(), *session.scalars(select(Programme))]} == {Standing.UNVERIFIED}
    bodies["risq"].offer_fr = "Autre chose"
    session.scalar(select(Programme).where(Programme.code == "risq-ampli")).name_fr = "Nouvel Ampli"
    session.scalar(select(Rule)).name_fr = "Autre règle"
    session.commit()
    counts = [session.scalar(select(func.count()).select_from(one)) for one in (Body, Programme, Rule, Terms)]
    assert load_directory() == 0
    session.commit()
    assert counts == [session.scalar(select(func.count()).select_from(one)) for one in (Body, Programme, Rule, Terms)]
    assert session.scalar(select(Rule.name_fr)) == "Autre règle"
    assert bodies["risq"].offer_fr == "Autre chose"


def test_every_code_of_what_ships_is_one_of_files():
    facts = tomllib.loads((ROOT / "crm/partners/directory.toml").read_text(encoding="utf-8"))
    facts.pop("rules")
    words_of = {
        "needs": "cases.need", "stages": "cases.project_stage", "forms": "cases.legal_form", "regions": "cases.region",
        "fields": "cases.sector", "instruments": "partners.instrument", "localities": "cases.locality",
    }  # fmt: skip
    entries = [*facts.values(), *(one for body in facts.values() for one in body.get("programmes", {}).values())]
    tried = 0
    for entry in entries:
        for name, vocabulary in words_of.items():
            assert set(entry.get(name, ())) <= set(shipped().group(vocabulary)), entry["name"]
            tried += len(entry.get(name, ()))
    assert tried > 200


def test_each_borough_and_city_has_one_office_of_pme_mtl(session):
    whole = partners.by_code("pme-mtl")
    served = [place for office in partners.doors_of(whole) for place in office.localities]
    every = set(shipped().group("cases.locality")) - {"unknown", "l-ile-dorval"}  # nobody lives on that island all year
    assert sorted(served) == sorted(every)


def test_the_request_asks_about_the_bodies_that_the_programme_names(session):
    assert {body.code for body in partners.named_in_request()} == {
        "cqcm", "cdrq", "reseau-coop", "pme-mtl", "caisse-solidaire", "fondaction", "esplanade", "ville-montreal",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verified_on", "due"),
    [
        ("2026-01-15", "2026-07-15"),
        ("2026-08-31", "2027-02-28"),
        ("2027-08-31", "2028-02-29"),
        ("2026-12-01", "2027-06-01"),
    ],
)
def test_an_entry_counts_as_verified_for_six_months(verified_on, due):
    verified, last = date.fromisoformat(verified_on), date.fromisoformat(due)
    assert review_due(verified) == last
    assert standing(verified, last) is Standing.VERIFIED
    assert standing(verified, last + timedelta(days=1)) is Standing.OVERDUE
    assert standing(None, last) is Standing.UNVERIFIED


def test_a_code_is_made_from_a_name_and_is_nobody_elses():
    assert new_code("Fonds d’élan", set(), 30) == "fonds-d-elan"
    assert new_code("Fonds d’élan", {"fonds-d-elan", "fonds-d-elan-2"}, 30) == "fonds-d-elan-3"
    assert new_code("???", {"x"}, 30) == "x-2"
    assert len(new_code("é" * 200, set(), 30)) <= 30


# --- bodies --------------------------------------------------------------------------------------------------------


def test_a_coordinator_adds_a_body_and_advisers_only_read(session, coordinator, people, signed_in):
    form = typed(coordinator.get("/staff/directory/add").text, "short_fr")
    given = form | {
        "short_fr": "Élan", "short_en": "Élan", "name_fr": "Fonds Élan", "name_en": "Élan Fund", "kind": "financing",
        "offer_fr": "Des prêts", "offer_en": "Loans", "website": "https://elan.example/prets", "verified": "y",
    }  # fmt: skip
    coordinator.post("/staff/directory/add", given)
    body = partners.by_code("elan")
    assert (body.name_fr, body.verified_on, body.verified_by_id) == (
        "Fonds Élan",
        date(2026, 11, 24),
        people.coordinator.id,
    )
    assert not body.named_in_request
    read = signed_in(people.adviser).get("/staff/partners/elan").text
    assert "https://elan.example/prets" in read
    assert "/edit" not in read
    adviser = signed_in(people.adviser)
    adviser.get("/staff/partners/elan/edit", status=404)
    adviser.post("/staff/partners/elan/verified", {"version": "1"}, status=404)
    adviser.get("/staff/directory/add", status=404)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name_en": "Something"}, "Écrivez-le dans les deux langues"),
        ({"website": "javascript:alert(1)"}, "Écrivez une adresse Web complète"),
        ({"website": "https://"}, "Écrivez une adresse Web complète"),
        ({"part_of": "1"}, "Cochez les arrondissements"),
        ({"kind": "bank"}, "Choisissez un type"),
        ({"short_fr": ""}, "Écrivez un nom court"),
        ({"name_fr": "x" * 161}, "160 caractères"),
    ],
)
def test_what_cannot_be_saved_of_a_body_is_said_and_nothing_is_lost(session, coordinator, change, said):
    given = {
        "short_fr": "Élan",
        "short_en": "Élan",
        "name_fr": "",
        "name_en": "",
        "kind": "network",
        "territory_fr": "",
    }
    given |= (
        {"name_fr": "Fonds", "name_en": "Fund"}
        | ({"name_fr": ""} if change == {"name_en": "Something"} else {})
        | change
    )
    if change == {"name_en": "Something"}:
        given["territory_en"], given["name_fr"] = "Here", "Fonds"
    page = coordinator.post("/staff/directory/add", given, status=422).text
    assert said in words(page)
    assert partners.by_code("elan") is None
    for value in change.values():
        assert value in page or value in {"1", "bank", ""}


def test_a_body_that_somebody_saved_meanwhile_is_not_written_over(session, coordinator):
    address = "/staff/partners/risq/edit"
    form = typed(coordinator.get(address).text, "short_fr")
    coordinator.post(address, form | {"offer_fr": "Premier", "offer_en": "First"})
    page = coordinator.post(address, form | {"offer_fr": "Second", "offer_en": "Second"}, status=409).text
    assert "Second" in page
    assert partners.by_code("risq").offer_fr == "Premier"
    coordinator.post(address, typed(page, "short_fr"))
    session.expire_all()
    assert partners.by_code("risq").offer_fr == "Second"


def test_what_was_checked_today_is_noted_unless_it_changed_meanwhile(session, coordinator, moment, people, signed_in):
    for address, entry in (
        ("/staff/partners/risq", lambda: partners.by_code("risq")),
        ("/staff/partners/risq/programmes/risq-ampli", lambda: partners.programme_by_code("risq-ampli")),
    ):
        assert "Non vérifié" in words(coordinator.get(address).text)
        coordinator.post(f"{address}/verified", {"version": "99"})
        assert entry().verified_on is None
        coordinator.post(f"{address}/verified", {"version": str(entry().version)})
        session.expire_all()
        assert (entry().verified_on, entry().verified_by_id) == (clock.today(), people.coordinator.id)
        assert "Vérifié le 24 novembre 2026" in words(coordinator.get(address).text)
    moment.move_to(NOON + timedelta(days=190))
    later = signed_in(people.coordinator)
    for address in ("/staff/partners", "/staff/partners/risq", "/staff/partners/risq/programmes/risq-ampli"):
        assert "À vérifier de nouveau" in words(later.get(address).text), address


def test_a_body_that_is_left_gives_a_step_to_each_file_that_is_there(make, session, coordinator):
    sent, ready = make.referral(), make.referral(case=make.case_at(Stage.PLANNING), sent=False)
    elsewhere = make.referral(case=make.case_at(Stage.PLANNING), body=make.body("reseau-coop"))
    ended = make.referral(case=make.case_at(Stage.PLANNING))
    answers.accept(ended, "")
    answers.complete(
        ended, answers.Ended(next(iter(__import__("crm.referrals.outcomes", fromlist=["Outcome"]).Outcome)))
    )
    session.commit()
    link = services.link_to(sent, at_least=1)
    session.commit()
    assert opened_by(link.id) is not None
    form = typed(coordinator.get("/staff/partners/cdrq/edit").text, "short_fr")
    form.pop("active")
    coordinator.post("/staff/partners/cdrq/edit", form)
    session.expire_all()
    for referral, wanted in ((sent, 1), (ready, 1), (elsewhere, 0), (ended, 0)):
        steps = [one for one in open_ones(referral.case) if one.rule == "body_left"]
        assert [one.reason for one in steps] == ["CDRQ"] * wanted
    assert opened_by(link.id) is None
    assert (
        "CDRQ"
        not in coordinator.get(f"/staff/cases/{ready.case.reference}/refer")
        .text.split("<select")[1]
        .split("</select")[0]
    )
    assert "CDRQ" in coordinator.get(f"/staff/cases/{sent.case.reference}").text  # what was referred still reads
    form = typed(coordinator.get("/staff/partners/cdrq/edit").text, "short_fr")
    coordinator.post("/staff/partners/cdrq/edit", form)  # saved again, and nobody is told twice
    session.expire_all()
    assert len([one for one in open_ones(sent.case) if one.rule == "body_left"]) == 1


def test_the_page_of_a_body_says_what_it_answered(make, session, coordinator, moment):
    taken, refused, waiting, slow = (make.referral(case=make.case_at(Stage.PLANNING)) for _ in range(4))
    moment.move_to(NOON + timedelta(days=2))  # two business days
    answers.accept(taken, "")
    moment.move_to(NOON + timedelta(days=7))  # five
    answers.decline(refused, DeclineReason.CAPACITY, "")
    moment.move_to(NOON + timedelta(days=8))  # six
    answers.accept(slow, "")
    session.commit()
    record = queries.record_of(taken.body)
    assert (record.waiting, record.taken_on, record.accepted, record.declined, record.usual_days) == (1, 2, 2, 1, 5)
    assert record.reasons == [(DeclineReason.CAPACITY, 1)]
    assert waiting.status is Status.SENT
    with time_machine.travel(NOON + timedelta(days=400), tick=False):
        old = queries.record_of(taken.body)
    assert (old.accepted, old.declined, old.usual_days) == (0, 0, None)


# --- programmes and rules ------------------------------------------------------------------------------------------

FDES = "/staff/partners/pme-mtl/programmes/pme-mtl-fdes"


def test_a_programme_is_added_and_read(session, coordinator, people):
    form = typed(coordinator.get("/staff/partners/risq/add").text, "name_fr")
    given = form | {
        "name_fr": "Élan numérique", "name_en": "Digital boost", "text_fr": "Un prêt", "text_en": "A loan", "kind": "financing",
        "instruments": ["loan"], "least": "1 000 $", "most": "$20,000", "team": "3", "needs": ["funding", "tech"],
        "stages": ["planning"], "languages": ["fr"], "support": ["cdrq"], "answer_days": "20", "verified": "y",
    }  # fmt: skip
    coordinator.post("/staff/partners/risq/add", given)
    programme = session.scalar(select(Programme).where(Programme.name_fr == "Élan numérique"))
    [terms] = partners.terms_of(programme)
    assert Asked.read(terms.asked) == Asked(
        needs=("tech", "funding"),
        stages=("planning",),
        languages=("fr",),
        support=("cdrq",),
        team=3,
        least=100_000,
        most=2_000_000,
    )
    assert (terms.since, terms.made_by_id) == (clock.today(), people.coordinator.id)
    read = words(coordinator.get(f"/staff/partners/risq/programmes/{programme.code}").text)
    for expected in ("Élan numérique", "Prêt", "20 jours ouvrables", "Planification", "de 1 000 $ à 20 000 $", "CDRQ"):
        assert expected in read, expected
    assert programme.code == "risq-elan-numerique"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text_en": "Only English", "text_fr": ""}, "Dites en français"),
        ({"criteria_en": "Only English", "criteria_fr": ""}, "dans les deux langues"),
        ({"most": "beaucoup"}, "Inscrivez un montant"),
        ({"least": "90 000", "most": "50 000"}, "inférieur au minimal"),
        ({"since": "2026-11-23"}, "d’ici un an"),
        ({"since": "2028-01-01"}, "d’ici un an"),
        ({"since": "demain"}, "année-mois-jour"),
        ({"team": "1"}, "de 2 à 100"),
    ],
)
def test_what_cannot_be_saved_of_a_programme_is_said(session, coordinator, change, said):
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    page = coordinator.post(f"{FDES}/edit", form | change, status=422)
    assert said in words(page.text)
    assert len(partners.terms_of(partners.programme_by_code("pme-mtl-fdes"))) == 1


def test_a_change_of_what_is_asked_shows_the_open_files_first_and_keeps_what_was(make, session, coordinator, moment):
    near, far = make.case(name="Ici"), make.case(name="Là-bas")
    far.project.region = "13"
    for case in (near, far):
        case.project.stage, case.project.supports = "launch", ["cdrq"]
    closed = make.case(name="Fermé")
    closed.project.stage, closed.project.supports, closed.project.region = "launch", ["cdrq"], "13"
    closed.stage = Stage.CLOSED
    session.commit()
    programme = partners.programme_by_code("pme-mtl-fdes")
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    wider = form | {"regions": ["06", "13"]}
    page = coordinator.post(f"{FDES}/edit", wider, status=200).text
    read = words(page)
    assert "Ce changement touche 1 dossier ouvert" in read
    assert "Là-bas" in read
    assert "Fermé" not in read
    assert len(partners.terms_of(programme)) == 1  # nothing was saved
    moment.move_to(NOON + timedelta(minutes=5))
    coordinator.post(f"{FDES}/edit", typed(page, "name_fr") | seen(page))
    session.expire_all()
    new, old = partners.terms_of(programme)
    assert (Asked.read(new.asked).regions, Asked.read(old.asked).regions) == (("06", "13"), ("06",))
    assert new.since == clock.today()
    assert old.since == date(2026, 1, 1)
    fits = {one.programme.code: one.ranked.fit for one in suggestions.suggest(far)}
    assert fits["pme-mtl-fdes"] is not Fit.AGAINST
    # The same day again replaces; a later day waits.
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    save_seen(coordinator, f"{FDES}/edit", form | {"regions": ["06", "14"]})
    save_seen(
        coordinator,
        f"{FDES}/edit",
        typed(coordinator.get(f"{FDES}/edit").text, "name_fr") | {"regions": [], "since": "2026-12-01"},
    )
    session.expire_all()
    assert [one.since.isoformat() for one in partners.terms_of(programme)] == ["2026-12-01", "2026-11-24", "2026-01-01"]
    assert partners.in_force(partners.terms_of(programme), clock.today()).asked["regions"] == ["06", "14"]
    moment.move_to(datetime(2026, 12, 1, 17, tzinfo=UTC))
    assert dict(_asked_today())["pme-mtl-fdes"].get("regions") is None


def seen(page: str) -> dict:
    """What the button sends that says which change was shown."""
    return {"seen_files": re.search(r'name="seen_files" value="(\w+)"', page)[1]}


def save_seen(browser, address: str, form: dict) -> None:
    """Save a change after its files were shown, or at once when it touches none."""
    browser.get(address)
    answer = browser._ask(
        browser.client.post, address, data=form | {"csrf_token": browser.token()}, headers={"Host": HOST}
    )
    if answer.status_code == 200:
        browser.get(address)
        browser.post(address, form | seen(answer.text))


def _asked_today():
    return [(programme.code, asked) for programme, asked in partners.programmes_offered(clock.today())]


def test_a_change_that_touches_no_file_is_saved_at_once(session, coordinator):
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    coordinator.post(f"{FDES}/edit", form | {"text_fr": "Autre", "text_en": "Other", "regions": ["13"]})
    programme = partners.programme_by_code("pme-mtl-fdes")
    assert (programme.text_fr, len(partners.terms_of(programme))) == ("Autre", 2)


def test_two_who_save_a_programme_or_a_rule_are_told(session, coordinator):
    for address, name in ((f"{FDES}/edit", "text_fr"), (f"/staff/directory/rules/{SEED}", "name_fr")):
        form = typed(coordinator.get(address).text, name)
        coordinator.post(address, form | {name: "Premier"})
        page = coordinator.post(address, form | {name: "Second"}, status=409).text
        assert "Second" in page
        coordinator.post(address, typed(page, name))
    session.expire_all()
    assert partners.programme_by_code("pme-mtl-fdes").text_fr == "Second"
    assert partners.rule_by_code(SEED).name_fr == "Second"


def test_terms_never_begin_in_the_past(session, people):
    programme = partners.programme_by_code("pme-mtl-fdes")
    with pytest.raises(ValueError, match="today or later"):
        set_terms(programme, {}, since=clock.today() - timedelta(days=1), actor=people.coordinator)


def test_the_rule_of_the_programme_is_data_that_a_coordinator_changes(make, session, coordinator):
    case = make.case()
    case.project.supports, case.project.stage, case.project.legal_form = ["esplanade"], "launch", "coop_work"
    session.commit()
    assert {one.programme.code: one for one in suggestions.suggest(case)}[
        "caisse-solidaire-prets"
    ].ranked.fit is Fit.AGAINST
    address = f"/staff/directory/rules/{SEED}"
    form = typed(coordinator.get(address).text, "name_fr")
    page = coordinator.post(address, form | {"support": [*form["support"], "esplanade"]}, status=200).text
    assert "Ce changement touche 1 dossier ouvert" in words(page)
    coordinator.post(address, typed(page, "name_fr") | seen(page))
    session.expire_all()
    fits = {one.programme.code: one.ranked.fit for one in suggestions.suggest(case)}
    assert fits["caisse-solidaire-prets"] is Fit.FITS
    form = typed(coordinator.get(address).text, "name_fr")
    form.pop("active")
    save_seen(coordinator, address, form)
    assert partners.rules_in_force(clock.today()) == []


def test_a_rule_is_added(session, coordinator):
    form = typed(coordinator.get("/staff/directory/rules/add").text, "name_fr")
    given = form | {
        "name_fr": "Le RISQ veut un groupe",
        "name_en": "RISQ wants a group",
        "kinds": ["financing"],
        "forms": ["coop"],
    }
    coordinator.post("/staff/directory/rules/add", given)
    found = dict((rule.code, asked) for rule, asked in partners.rules_in_force(clock.today()))
    assert found["le-risq-veut-un-groupe"] == {"kinds": ["financing"], "forms": ["coop"]}
    assert "Le RISQ veut un groupe" in words(coordinator.get("/staff/directory/rules").text)
    coordinator.post("/staff/directory/rules/add", form | {"name_fr": "x", "name_en": "x"}, status=422)


def test_a_changed_list_of_kinds_touches_those_that_the_rule_is_against():
    before, after = Asked(support=("a",), kinds=("financing",)), Asked(support=("a",), kinds=("financing", "public"))
    facts = matching.Facts(supports=frozenset({"b"}))
    helped = matching.Facts(supports=frozenset({"a"}))
    assert suggestions.of_rule(before, counts=True)(facts) != suggestions.of_rule(after, counts=True)(facts)
    assert suggestions.of_rule(before, counts=True)(helped) == suggestions.of_rule(after, counts=True)(helped)


# --- the programmes that fit a file --------------------------------------------------------------------------------


def found_for(case):
    return {one.programme.code: one for one in suggestions.suggest(case)}


def test_what_fits_a_file_and_why(make, session, people, signed_in):
    case = make.case_at(Stage.PLANNING)
    read = words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}/programmes").text)
    for expected in ("Accompagnement au démarrage", "Besoins", "Choisir une forme juridique", "Rempli", "Non vérifié"):
        assert expected in read, expected
    assert "PME MTL Grand Sud-Ouest" in read  # the project is in Verdun
    assert "On aborde le financement pour les projets accompagnés par la CDRQ" in read
    browser = signed_in(people.adviser)
    browser.get("/staff/cases")
    browser.post("/staff/language", {"lang": "en", "to": "/staff/cases"})
    read = words(browser.get(f"/staff/cases/{case.reference}/programmes").text)
    assert "Financing is discussed with projects that the CDRQ" in read
    assert "Does not fit for now" in read


def test_a_local_office_is_the_door_and_the_whole_where_the_borough_is_not_known(make, session):
    case = make.case_at(Stage.PLANNING)
    assert found_for(case)["pme-mtl-accompagnement"].door.code == "pme-mtl-sud-ouest"
    case.project.locality = "anjou"
    session.commit()
    assert found_for(case)["pme-mtl-accompagnement"].door.code == "pme-mtl-est"
    case.project.locality = "unknown"
    session.commit()
    assert found_for(case)["pme-mtl-accompagnement"].door.code == "pme-mtl"
    partners.by_code("pme-mtl-est").active = False
    case.project.locality = "anjou"
    session.commit()
    assert found_for(case)["pme-mtl-accompagnement"].door.code == "pme-mtl"


def test_a_body_that_took_the_project_on_supports_it_through_its_offices_too(make, session):
    case = make.case_at(Stage.PLANNING)
    case.project.supports = []
    session.commit()
    office = make.body("pme-mtl-sud-ouest")
    referral = make.referral(case=case, body=office)
    assert queries.known_of(case, partners.wholes(partners.everyone())).facts.supports == frozenset()
    answers.accept(referral, "")
    session.commit()
    known = queries.known_of(case, partners.wholes(partners.everyone()))
    assert known.facts.supports == {"pme-mtl", "pme-mtl-sud-ouest"}
    assert found_for(case)["pme-mtl-accompagnement"].ranked.already


def test_a_body_that_declined_this_project_is_told_and_comes_last(make, session, people, signed_in):
    case = make.case_at(Stage.PLANNING)
    before = [one.programme.code for one in suggestions.suggest(case) if one.ranked.fit is Fit.FITS]
    referral = make.referral(case=case)
    answers.decline(referral, DeclineReason.CAPACITY, "")
    session.commit()
    after = [one.programme.code for one in suggestions.suggest(case) if one.ranked.fit is Fit.FITS]
    assert before[0].startswith("cdrq")
    assert after[-1].startswith("cdrq")
    assert found_for(case)["cdrq-demarrage"].ranked.at.refused
    browser = signed_in(people.adviser)
    for page in ("programmes", "refer?to=cdrq", "refer"):
        read = words(browser.get(f"/staff/cases/{case.reference}/{page}").text)
        assert "A déjà refusé ce projet" in read, page
    assert "A déjà refusé ce projet" not in words(browser.get(f"/staff/cases/{case.reference}/refer?to=esplanade").text)


def test_what_financing_still_lacks_counts_before_the_band_of_the_request(make, session, people):
    case = make.case_at(Stage.PLANNING)
    case.project.funding_band = "1m_plus"
    session.commit()
    assert queries.known_of(case, {}).facts.amount == (100_000_000, None)
    financing.save_plan(case, seen_version=0, budget=5_000_000, own=1_000_000, actor=people.adviser)
    session.commit()
    assert queries.known_of(case, {}).facts.amount == (4_000_000, 4_000_000)
    facts = financing.Facts(Instrument.GRANT, 4_000_000)
    financing.add(case, partners.by_code("risq"), Applied.FILED, facts, people.adviser)
    session.commit()
    assert queries.known_of(case, {}).facts.amount == (100_000_000, None)  # nothing is lacking any more


def test_what_is_not_offered_any_more_is_not_suggested(make, session):
    case = make.case_at(Stage.PLANNING)
    assert {"risq-ampli", "evol-prets"} <= set(found_for(case))
    partners.programme_by_code("risq-ampli").active = False
    partners.by_code("evol").active = False
    session.commit()
    assert not {"risq-ampli", "evol-prets"} & set(found_for(case))


def test_a_programme_leads_to_the_form_of_a_referral_and_stays_with_it(make, session, people, signed_in):
    case, office = make.case_at(Stage.PLANNING), make.body("pme-mtl-sud-ouest")
    browser = signed_in(people.adviser)
    address = f"/staff/cases/{case.reference}/refer"
    page = browser.get(f"{address}?to=pme-mtl-sud-ouest&programme=pme-mtl-accompagnement").text
    form = typed(page, "purpose")
    assert form["purpose"] == ["accompagnement d’affaires"]
    assert form["body"] == [str(office.id)]
    browser.post(address, form | {"answer": "verbal"})
    referral = session.scalar(select(Referral).where(Referral.case_id == case.id))
    assert referral.programme.code == "pme-mtl-accompagnement"
    # Another body was chosen in the end: it does not give that programme.
    browser.get(address)
    browser.post(address, form | {"answer": "self", "body": str(partners.by_code("risq").id)})
    other = session.scalars(select(Referral).where(Referral.case_id == case.id).order_by(Referral.id.desc())).first()
    assert (other.programme_id, other.status) == (None, Status.SELF)
    browser.get(f"{address}?to=nobody&programme=%00", status=200)


def test_a_restricted_file_is_nobody_elses_to_be_suggested_for(make, session, people, signed_in):
    case = make.case(owner=people.coordinator)
    case.restricted = True
    session.commit()
    signed_in(people.adviser).get(f"/staff/cases/{case.reference}/programmes", status=404)
    with speaking("fr"):
        shown = suggestions.impact_on_files(people.adviser, lambda _f: (Fit.FITS, ()), lambda _f: (Fit.CHECK, ()))
    assert (shown.count, shown.shown) == (0, [])


def test_a_permission_names_the_office_and_not_the_whole(make, session, people):
    case, office = make.case_at(Stage.PLANNING), make.body("pme-mtl-sud-ouest")
    referral = services.prepare(
        case, office, purpose="un prêt", fields=["name"], how=How.VERBAL, expires_on=clock.today() + timedelta(days=30),
        actor=people.adviser, programme=partners.programme_by_code("pme-mtl-prets"),
    )  # fmt: skip
    session.commit()
    assert (referral.permission.body_id, referral.programme.body.code) == (office.id, "pme-mtl")


def test_who_changed_what_of_the_directory_is_in_the_history(session, coordinator, people):
    form = typed(coordinator.get("/staff/partners/risq/edit").text, "short_fr")
    coordinator.post("/staff/partners/risq/edit", form | {"offer_fr": "Autre", "offer_en": "Other", "verified": "y"})
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    coordinator.post(f"{FDES}/edit", form | {"regions": ["13"]})
    form = typed(coordinator.get("/staff/partners/risq").text, "email")
    coordinator.post("/staff/partners/risq", form | {"name": "Li Wei", "email": "li@risq.example", "language": "fr"})
    found = session.scalars(select(Event).where(Event.kind.startswith("directory.")).order_by(Event.id)).all()
    assert {one.actor_id for one in found} == {people.coordinator.id}
    assert [(one.kind.partition(".")[2], one.codes) for one in found] == [
        ("changed", {"entry": "body:risq", "parts": ["offer_en", "offer_fr"]}),
        ("verified", {"entry": "body:risq"}),
        ("terms", {"entry": "programme:pme-mtl-fdes"}),
        ("changed", {"entry": "body:risq", "parts": ["contact_email", "contact_name"]}),
    ]


def test_what_is_added_twice_is_there_once(session, coordinator):
    counts = {}
    for address, given in (
        (
            "/staff/directory/add",
            {"short_fr": "Élan", "short_en": "Élan", "name_fr": "F", "name_en": "F", "kind": "network"},
        ),
        (
            "/staff/partners/risq/add",
            {"name_fr": "Prêt", "name_en": "Loan", "text_fr": "P", "text_en": "L", "kind": "financing"},
        ),
        ("/staff/directory/rules/add", {"name_fr": "Règle", "name_en": "Rule", "kinds": ["financing"]}),
    ):
        form = typed(coordinator.get(address).text, "name_fr") | given
        coordinator.post(address, form)
        coordinator.get(address)
        told = coordinator.post(address, form, status=422).text
        assert "a déjà ce nom" in words(told), address
        counts[address] = session.scalar(select(func.count()).select_from(Body if "short_fr" in given else Programme))
    assert counts["/staff/directory/add"] == 36
    assert session.scalar(select(func.count()).select_from(Rule)) == 2


def test_a_change_made_after_the_files_were_shown_shows_them_again(make, session, coordinator):
    case = make.case()
    case.project.region, case.project.stage, case.project.supports = "13", "launch", ["cdrq"]
    session.commit()
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    page = coordinator.post(f"{FDES}/edit", form | {"regions": ["06", "13"]}, status=200).text
    other = coordinator.post(
        f"{FDES}/edit", typed(page, "name_fr") | {"stages": ["launch"]} | seen(page), status=200
    ).text
    assert seen(other) != seen(page)
    assert len(partners.terms_of(partners.programme_by_code("pme-mtl-fdes"))) == 1


@pytest.mark.parametrize("change", ["kind", "active"])
def test_a_programme_of_another_kind_or_no_longer_offered_touches_files_too(make, session, coordinator, change):
    case = make.case()
    case.project.supports, case.project.stage, case.project.legal_form = ["esplanade"], "launch", "coop_work"
    session.commit()
    form = typed(coordinator.get(f"{FDES}/edit").text, "name_fr")
    if change == "kind":
        form["kind"] = ["public"]  # the rule of financing speaks of it no more
    else:
        case.project.supports = ["cdrq"]
        session.commit()
        form.pop("active")
    page = coordinator.post(f"{FDES}/edit", form, status=200).text
    assert "Ce changement touche 1 dossier ouvert" in words(page)


def test_what_is_named_already_stays_in_the_form_whatever_it_is_by_now(session, coordinator, people):
    whole = partners.by_code("pme-mtl")
    whole.active = False
    partners.by_code("cdrq").active = False
    session.commit()
    office = "/staff/partners/pme-mtl-est/edit"
    coordinator.post(office, typed(coordinator.get(office).text, "short_fr") | {"website": "https://est.example"})
    session.expire_all()
    assert (partners.by_code("pme-mtl-est").part_of_id, len(partners.by_code("pme-mtl-est").localities)) == (
        whole.id,
        5,
    )
    assert "cdrq" in typed(coordinator.get(f"/staff/directory/rules/{SEED}").text, "name_fr")["support"]


def test_a_body_with_programmes_or_offices_is_nobodys_office(session, coordinator):
    for code in ("risq", "pme-mtl"):
        address = f"/staff/partners/{code}/edit"
        form = typed(coordinator.get(address).text, "short_fr")
        form |= {"part_of": str(partners.by_code("cdrq").id), "localities": ["verdun"]}
        assert "bureaux locaux" in words(coordinator.post(address, form, status=422).text)


def test_a_programme_that_begins_later_is_not_offered_yet(make, session, coordinator, moment):
    case = make.case_at(Stage.PLANNING)
    form = typed(coordinator.get("/staff/partners/risq/add").text, "name_fr")
    given = {
        "name_fr": "Plus tard",
        "name_en": "Later",
        "text_fr": "x",
        "text_en": "x",
        "kind": "public",
        "since": "2026-12-01",
    }
    coordinator.post("/staff/partners/risq/add", form | given)
    assert "risq-plus-tard" not in found_for(case)
    moment.move_to(datetime(2026, 12, 1, 17, tzinfo=UTC))
    assert "risq-plus-tard" in found_for(case)


def test_two_referrals_of_a_file_at_a_body_that_is_left_give_one_step(make, session, people):
    first = make.referral()
    services.prepare(
        first.case, first.body, purpose="autre chose", fields=["name"], how=How.VERBAL,
        expires_on=clock.today() + timedelta(days=30), actor=people.adviser,
    )  # fmt: skip
    session.commit()
    save_body(first.body, first.body.version, {"active": False}, people.coordinator, verified=False)
    session.commit()
    assert len([one for one in open_ones(first.case) if one.rule == "body_left"]) == 1


def test_more_bodies_than_one_statement_takes_are_read(session):
    assert queries.usual_days(list(range(1, 900))) == {}
