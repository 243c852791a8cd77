"""The directory leaves as HSDS 3 and as a sheet, comes back as it was, and nothing is written over unseen."""

import io
import json
import random
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import func, select

from crm import clock
from crm.config import ROOT
from crm.directory.matching import Asked
from crm.exchange import services
from crm.exchange.entries import (
    LISTS,
    MOST_ENTRIES,
    BodyEntry,
    Known,
    ProgrammeEntry,
    UnreadableError,
    from_hsds,
    from_rows,
    number_of,
    problems_of,
    to_hsds,
    to_rows,
)
from crm.i18n import speaking
from crm.imports.reading import read_csv
from crm.partners import queries as partners
from crm.partners.models import Body, Programme, Terms
from crm.partners.services import set_terms
from crm.reminders.services import open_ones
from crm.sheets import write_csv
from crm.texts import shipped
from tests.support.pages import HOST, words
from tools import hsds

SCHEMAS = ROOT.parent / "shared" / "data" / "hsds-3"
ADDRESS = "/staff/directory/exchange"
NOTHING = Known({name: set() for name in services.VOCABULARIES}, {}, {})


@pytest.fixture
def coordinator(people, signed_in):
    return signed_in(people.coordinator)


def send(browser, content: bytes, status: int, name: str = "repertoire.json"):
    token = browser.get(ADDRESS).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    data = {"file": (io.BytesIO(content), name), "csrf_token": token}
    return browser._check(
        browser._ask(browser.client.post, ADDRESS, data=data, headers={"Host": HOST}), ADDRESS, status
    )


def apply(browser, page: str, status: int = 303):
    fields = {name: page.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("held", "stamp")}
    return browser.post(f"{ADDRESS}/apply", fields, status=status)


def exported(browser) -> dict:
    return json.loads(browser.client.get(f"{ADDRESS}/hsds", headers={"Host": HOST}).text)


# --- pure: there and back ------------------------------------------------------------------------------------------

CODE = some.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=8)
TEXT = some.text("aéŒ’;,\"'=+-@\n $|", max_size=12).map(str.strip)
NAME = some.text('aéŒ’; ,"|', min_size=1, max_size=12).map(str.strip).filter(bool)
CODES = some.lists(CODE, max_size=3, unique=True).map(tuple)
THEIRS = some.just("") | some.uuids().map(str)
CENTS = some.none() | some.integers(0, 10**9)
BODIES = some.builds(
    BodyEntry, code=CODE, known_as=THEIRS, kind=CODE, name_fr=NAME, name_en=NAME, short_fr=NAME, short_en=NAME, offer_fr=NAME, offer_en=NAME,
    territory_fr=NAME, territory_en=NAME, website=some.just("https://a.example"), localities=CODES, active=some.booleans(),
)  # fmt: skip
ASKED = some.builds(
    Asked,
    CODES,
    CODES,
    CODES,
    CODES,
    CODES,
    CODES,
    CODES,
    CODES,
    some.just(()),
    some.none() | some.integers(1, 99),
    CENTS,
    CENTS,
)
PROGRAMMES = some.builds(
    ProgrammeEntry, code=CODE, known_as=THEIRS, body=some.just("b"), kind=CODE, name_fr=NAME, name_en=NAME, text_fr=NAME, text_en=NAME,
    criteria_fr=NAME, criteria_en=NAME, instruments=CODES, answer_days=some.none() | some.integers(1, 99),
    active=some.booleans(), asked=ASKED,
)  # fmt: skip


def unordered(one):
    return replace(one, localities=tuple(sorted(one.localities))) if isinstance(one, BodyEntry) else one


@given(BODIES, PROGRAMMES, some.booleans())
def test_what_leaves_as_hsds_comes_back_as_it_was(body, programme, office):
    whole = replace(body, code="b")
    local = replace(body, code="b-2", known_as="", part_of="b") if office else None
    there = [one for one in (whole, local, programme) if one is not None]
    document = json.loads(json.dumps(to_hsds(there, {}, {})))
    back, problems = from_hsds(document, NOTHING)
    assert not problems
    assert back == there


@given(BODIES, PROGRAMMES, some.sampled_from([",", ";"]))
def test_what_leaves_as_a_sheet_comes_back_as_it_was(body, programme, separator):
    there = [replace(body, code="b"), programme]
    written = io.BytesIO()
    write_csv(written, to_rows(there), separator)
    read = read_csv(written.getvalue())
    back, problems = from_rows(read.titles, read.rows, NOTHING)
    assert not problems
    assert back == there


def test_each_list_that_is_asked_travels():
    assert {*LISTS, "kinds", "team", "least", "most"} == set(Asked.__dataclass_fields__)


@pytest.mark.parametrize(
    "document",
    [
        None,
        3,
        "text",
        [],
        {},
        {"organizations": []},
        {"organizations": {}},
        {"services": "x"},
        {"organizations": [], "services": 4},
    ],
)
def test_what_is_no_directory_is_said(document):
    with pytest.raises(UnreadableError):
        from_hsds(document, NOTHING)


@pytest.mark.parametrize(
    "one",
    [
        None, 3, "text", [], {}, {"id": 3, "name": []}, {"id": "x"}, {"name": "y"}, {"id": "x", "name": "y", "attributes": 4},
        {"id": "x", "name": "y", "attributes": [3, {}, {"taxonomy_term": 4}, {"taxonomy_term": {"code": 3}}]},
        {"id": "x", "name": "y", "organization_identifiers": "z", "parent_organization_id": 4, "website": 3},
        {"id": "x", "name": "y", "organization": 3}, {"id": "x", "name": "y", "organization": {"id": "q"}},
    ],
)  # fmt: skip
def test_whatever_stands_in_a_document_is_read_or_told_and_never_fails(one):
    for document in ({"organizations": [one]}, {"services": [one]}, [one], {"contents": [one]}):
        entries, problems = from_hsds(document, NOTHING)
        problems += problems_of(entries, NOTHING)
        assert problems or entries


def test_a_document_of_somebody_else_gets_codes_of_ours_and_both_languages():
    theirs = {
        "id": "B1F3", "name": "Prêts", "status": "active",
        "organization": {"id": "A0E1", "name": "Coop d’épargne", "description": "Des prêts"},
    }  # fmt: skip
    entries, problems = from_hsds([theirs, theirs | {"id": "B1F4"}], NOTHING)
    assert not problems
    assert [(one.code, one.name_en) for one in entries] == [
        ("coop-d-epargne", "Coop d’épargne"), ("coop-d-epargne-prets", "Prêts"), ("coop-d-epargne-prets-2", "Prêts"),
    ]  # fmt: skip
    # Sent again, once it is here: the same number is the same entry only when it is ours.
    ours = theirs | {
        "id": number_of("programme", "p"),
        "organization": theirs["organization"] | {"id": number_of("organization", "o").upper()},
    }
    entries, _problems = from_hsds(
        [ours], Known({}, {number_of("organization", "o"): "o"}, {number_of("programme", "p"): "p"})
    )
    assert [(one.code, one.known_as) for one in entries if isinstance(one, ProgrammeEntry)] == [("p", "")]
    entries, _problems = from_hsds([theirs], Known({}, {"a0e1": "coop"}, {"b1f3": "prets"}))
    assert [(one.code, one.known_as) for one in entries] == [("prets", "b1f3")]


def test_too_many_entries_are_refused_before_they_are_read():
    with pytest.raises(UnreadableError, match="many"):
        from_hsds({"services": [{}] * (MOST_ENTRIES + 1)}, NOTHING)
    rows = ((number, ["organization", f"c{number}", "n"]) for number in range(MOST_ENTRIES + 1))
    with pytest.raises(UnreadableError, match="many"):
        from_rows(("entry", "code", "name_fr"), rows, NOTHING)


BODY = BodyEntry(code="b", name_fr="n", name_en="n", short_fr="s", short_en="s")
GIVEN = ProgrammeEntry(code="p", body="b", name_fr="n", name_en="n", text_fr="t", text_en="t")
KNOWN = Known({name: {"ok", "network"} for name in services.VOCABULARIES}, {}, {})


@pytest.mark.parametrize(
    ("entries", "whys"),
    [
        ([BODY, GIVEN], []),
        ([BODY, BODY], ["twice"]),
        ([GIVEN], ["no_body"]),
        ([replace(BODY, code="B b")], ["code"]),
        ([replace(BODY, code="b" * 31)], ["code"]),
        ([replace(BODY, name_fr="x" * 161)], ["long"]),
        ([replace(BODY, short_en="x" * 61)], ["long"]),
        ([BODY, replace(GIVEN, criteria_fr="x" * 2001)], ["long"]),
        ([replace(BODY, kind="bank")], ["unknown"]),
        ([replace(BODY, localities=("ok", "mars"))], ["unknown"]),
        ([replace(BODY, website="javascript:alert(1)")], ["website"]),
        ([replace(BODY, part_of="b")], ["part_of"]),
        ([replace(BODY, part_of="nobody")], ["part_of"]),
        ([BODY, replace(BODY, code="c", part_of="b"), replace(BODY, code="d", part_of="c")], ["part_of", "part_of"]),
        ([BODY, replace(GIVEN, instruments=("gold",))], ["unknown"]),
        ([BODY, replace(GIVEN, asked=Asked(stages=("late",), support=("nobody",)))], ["unknown", "unknown"]),
        ([BODY, replace(GIVEN, asked=Asked(least=2, most=1))], ["amounts"]),
    ],
)
def test_what_keeps_an_entry_from_being_saved(entries, whys):
    assert [one.why for one in problems_of(entries, KNOWN)] == whys


# --- the product ---------------------------------------------------------------------------------------------------


def test_the_directory_holds_against_the_public_schemas_and_a_broken_one_does_not(session):
    if not SCHEMAS.is_dir():
        pytest.skip(f"the schemas of HSDS 3 are not beside the product ({SCHEMAS.relative_to(ROOT.parent)})")
    with speaking("fr"):
        document = json.loads(json.dumps(to_hsds(services.entries(), services.said(), {"risq-ampli": "2026-11-24"})))
    assert (len(document["organizations"]), len(document["services"])) == (35, 40)
    assert list(hsds.faults(document, SCHEMAS)) == []
    document["organizations"][3]["id"] = "not a number"
    document["services"][4].pop("status")
    document["services"][5]["attributes"][0]["taxonomy_term"]["name"] = 4
    assert len(list(hsds.faults(document, SCHEMAS))) == 3
    with pytest.raises(hsds.SchemasError):
        hsds.validators(Path(__file__).parent)


def test_what_was_taken_out_changes_nothing_when_it_is_brought_in(coordinator, session):
    for address, name in (("hsds", "a.json"), ("sheet", "a.csv")):
        content = coordinator.client.get(f"{ADDRESS}/{address}", headers={"Host": HOST}).data
        read = words(send(coordinator, content, 200, name).text)
        assert "75 fiches sont déjà identiques" in read
        assert "Faire ces changements" not in read


def test_a_file_is_rehearsed_then_taken_in_and_what_changed_is_to_be_verified(coordinator, session, people, make):
    body, programme = partners.by_code("risq"), partners.programme_by_code("risq-ampli")
    for entry in (body, programme):
        entry.verified_on, entry.verified_by_id = session.scalar(select(func.current_date())), people.coordinator.id
    make.body("risq")
    session.commit()
    document = exported(coordinator)
    at = {one["organization_identifiers"][0]["identifier"]: one for one in document["organizations"]}
    at["risq"]["description"] = "Autre offre"
    document["services"] = [
        one for one in document["services"] if one["organization"]["name"].startswith("Réseau d’inv")
    ]
    ampli = next(one for one in document["services"] if one["name"] == "L’Ampli")
    ampli["attributes"] = [one for one in ampli["attributes"] if one["link_type"] != "stages"]
    document["services"].append(
        {
            "id": "7",
            "name": "Nouveau prêt",
            "status": "active",
            "organization": {"id": "8", "name": "Nouvel organisme", "description": ""},
        }
    )
    page = send(coordinator, json.dumps(document).encode(), 200).text
    read = words(page)
    for expected in ("Autre offre", "Nouveau prêt", "Nouvel organisme", "Où en est le projet", "Constitution en cours"):
        assert expected in read, expected
    session.expire_all()
    assert body.offer_fr != "Autre offre"
    assert partners.by_code("nouvel-organisme") is None
    apply(coordinator, page)
    session.expire_all()
    assert (body.offer_fr, body.verified_on, body.contact_email) == ("Autre offre", None, "jean@risq.example")
    assert programme.verified_on is None
    assert [sorted(one.asked) for one in partners.terms_of(programme)] == [
        ["forms", "most", "needs"],
        ["forms", "most", "needs", "stages"],
    ]
    assert partners.programmes_of(partners.by_code("nouvel-organisme"))[0].name_fr == "Nouveau prêt"
    assert session.scalar(select(func.count()).select_from(Body)) == 36
    assert session.scalar(select(func.count()).select_from(Programme)) == 41
    page = apply(coordinator, page, status=409).text  # pressed again: it would do nothing any more
    assert "Faire ces changements" not in page
    assert session.scalar(select(func.count()).select_from(Terms).where(Terms.programme_id == programme.id)) == 2


def test_a_directory_that_changed_between_the_rehearsal_and_the_change_is_shown_again(coordinator, session):
    document = exported(coordinator)
    next(one for one in document["organizations"] if one["name"] == "Ulule")["description"] = "Une campagne"
    page = send(coordinator, json.dumps(document).encode(), 200).text
    partners.by_code("ulule").territory_fr = "Ailleurs"
    session.commit()
    page = apply(coordinator, page, status=409).text
    assert "Le répertoire a changé entre-temps" in words(page)
    session.expire_all()
    assert partners.by_code("ulule").offer_fr != "Une campagne"
    apply(coordinator, page)
    session.expire_all()
    assert partners.by_code("ulule").offer_fr == "Une campagne"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Choisissez un fichier"),
        (b"{", "ne se lit pas"),
        (b"[" * 100_000, "ne se lit pas"),
        (b'{"organizations": [' + b" " * (2 * 1024 * 1024) + b"]}", "trop lourd"),
        (b"{}", "HSDS 3"),
        (b"un,deux\n1,2\n", "colonnes d’un répertoire"),
        (b"\x00\x01", "Ce tableau"),
        (b"entry,code,name_fr,team\nprogramme,x,Nom,beaucoup\n", "un nombre ne se lit pas"),
        (b"entry,code,name_fr\nbanque,x,Nom\n", "ni « organization » ni « programme »"),
        (b"entry,code,name_fr,of\nprogramme,x,Nom,personne\n", "n’est pas dans le répertoire"),
        (b"entry,code,name_fr\norganization,x,\n", "il manque le code ou le nom"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_taken_in_says_why_and_changes_nothing(coordinator, session, content, said):
    page = send(coordinator, content, 422).text
    assert said in words(page)
    assert session.scalar(select(func.count()).select_from(Body)) == 35


def test_a_forged_file_changes_nothing(coordinator, session):
    coordinator.get(ADDRESS)
    for held in ("", "????", "AAAA", "eJw="):
        coordinator.post(f"{ADDRESS}/apply", {"held": held, "stamp": "x"}, status=409)
    assert session.scalar(select(func.count()).select_from(Body)) == 35


def test_advisers_take_the_directory_out_and_do_not_bring_one_in(people, signed_in):
    adviser = signed_in(people.adviser)
    page = adviser.get(ADDRESS).text
    assert "Importer un répertoire" not in page
    assert exported(adviser)["version"] == "3.0"
    adviser.post(f"{ADDRESS}/apply", {}, status=404)


def test_a_body_that_a_file_leaves_is_left_as_if_a_coordinator_had_done_so(make, coordinator, session):
    referral = make.referral(body=make.body("ulule"))
    document = exported(coordinator)
    ulule = next(one for one in document["organizations"] if one["name"] == "Ulule")
    term = {
        "id": number_of("term", "x"),
        "code": "active",
        "name": "active",
        "description": "active",
        "taxonomy": "passerelle",
    }
    ulule["attributes"].append(
        {"id": number_of("a", "x"), "link_type": "passerelle", "value": "no", "taxonomy_term": term}
    )
    apply(coordinator, send(coordinator, json.dumps(document).encode(), 200).text)
    session.expire_all()
    assert "body_left" in {one.rule for one in open_ones(referral.case)}


def test_each_part_of_an_entry_has_its_words():
    parts = {*BodyEntry.__dataclass_fields__, *ProgrammeEntry.__dataclass_fields__, *Asked.__dataclass_fields__}
    assert set(shipped().group("exchange.part")) == parts - {"code", "asked", "kinds"}
    with speaking("en"):
        assert services.told("stages", "planning idea") == "Idea, Planning"
        assert (services.told("most", "5000000"), services.told("active", "False")) == ("$50,000", "No")
        assert services.told("name_fr", "Nom") == "Nom"


# --- what a file does not speak of stays --------------------------------------------------------------------------


def changes_of(browser, content: bytes, name: str) -> str:
    return words(send(browser, content, 200, name).text)


def test_a_sheet_with_few_columns_changes_those_only(coordinator, session):
    before = {one.code: one for one in services.entries()}
    sheet = "entry;code;name_fr;name_en\norganization;pme-mtl-est;PME MTL Est;PME MTL East\nprogramme;risq-ampli;Ampli;Ampli\n"
    apply(coordinator, send(coordinator, sheet.encode(), 200, "a.csv").text)
    session.expire_all()
    after = {one.code: one for one in services.entries()}
    assert after["pme-mtl-est"] == replace(before["pme-mtl-est"], name_fr="PME MTL Est", name_en="PME MTL East")
    assert after["risq-ampli"] == replace(before["risq-ampli"], name_fr="Ampli", name_en="Ampli")
    assert [one for one in before if before[one] != after[one]] == ["pme-mtl-est", "risq-ampli"]


def test_a_document_of_somebody_else_that_comes_again_changes_what_it_speaks_of_only(coordinator, session, people):
    theirs = {
        "id": "7",
        "name": "Prêt",
        "status": "active",
        "organization": {"id": "8", "name": "Fonds", "description": "Des prêts"},
    }
    apply(coordinator, send(coordinator, json.dumps([theirs]).encode(), 200).text)
    session.expire_all()
    programme, body = partners.programme_by_code("fonds-pret"), partners.by_code("fonds")
    programme.text_en, body.active, body.territory_fr = "A loan", False, "Montréal"
    set_terms(programme, {"needs": ["funding"], "stages": ["launch"]}, since=clock.today(), actor=people.coordinator)
    session.commit()
    assert "Faire ces changements" not in changes_of(coordinator, json.dumps([theirs]).encode(), "a.json")
    changed = theirs | {"description": "Un prêt plus grand", "status": "defunct"}
    apply(coordinator, send(coordinator, json.dumps([changed]).encode(), 200).text)
    session.expire_all()
    assert (programme.text_fr, programme.text_en, programme.active) == ("Un prêt plus grand", "A loan", False)
    assert partners.terms_of(programme)[0].asked == {"needs": ["funding"], "stages": ["launch"]}
    assert (body.active, body.territory_fr) == (False, "Montréal")
    # Our own file, which sends numbers of ours for theirs, keeps theirs.
    assert "Faire ces changements" not in changes_of(coordinator, json.dumps(exported(coordinator)).encode(), "a.json")
    assert (programme.known_as, body.known_as) == ("7", "8")


def test_all_that_would_be_added_is_shown(coordinator):
    sheet = "entry;code;name_fr;name_en;of;localities;website\norganization;pme-mtl-nord;Nord;North;pme-mtl;verdun anjou;https://nord.example\n"
    read = changes_of(coordinator, sheet.encode(), "a.csv")
    for expected in ("Bureau local de", "pme-mtl", "Anjou, Verdun", "https://nord.example"):
        assert expected in read, expected


@pytest.mark.parametrize("sign", ["\x00", "\ud800", "\ufffe"])
def test_signs_that_nothing_holds_are_left_out_wherever_they_stand(coordinator, session, sign):
    one = {
        "id": f"9{sign}",
        "name": f"Prêt{sign}",
        "organization": {"id": f"8{sign}", "name": f"Fonds{sign}", "description": sign},
    }
    one["organization"]["organization_identifiers"] = [{"identifier_type": "passerelle", "identifier": f"fonds{sign}"}]
    apply(coordinator, send(coordinator, json.dumps([one]).encode(), 200).text)
    assert partners.programme_by_code("fonds-pret").name_fr == "Prêt"


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        ("organization;x;X;pme-mtl-est", True),  # an office of an office
        ("organization;cdrq;CDRQ;caisse-solidaire", True),  # it has programmes
        ("organization;pme-mtl;PME MTL;cqcm", True),  # it has offices
        ("organization;x;X;pme-mtl", False),
    ],
)
def test_an_office_is_one_of_a_body_that_is_none(coordinator, rows, refused):
    send(coordinator, f"entry;code;name_fr;of\n{rows}\n".encode(), 422 if refused else 200, "a.csv")


@pytest.mark.parametrize(
    ("status", "active"), [("active", True), ("inactive", False), ("defunct", False), ("temporarily closed", False)]
)
def test_a_service_is_offered_only_when_it_is_active(status, active):
    given = {
        "id": "7",
        "name": "Prêt",
        "status": status,
        "organization": {"id": "8", "name": "Fonds", "description": ""},
    }
    entries, _problems = from_hsds([given], NOTHING)
    assert entries[1].active is active


def test_a_name_of_a_million_signs_is_refused_for_its_length(coordinator):
    one = {"id": "9", "name": "e" + "\u0301" * 300_000, "organization": {"id": "8", "name": "Fonds", "description": ""}}
    told = words(send(coordinator, json.dumps([one], ensure_ascii=False).encode(), 422).text)
    assert "le texte est trop long" in told


def test_a_file_that_could_not_be_carried_to_the_change_is_refused_at_once(coordinator):
    noise = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=1_000_000))
    one = {"id": "9", "name": "Prêt", "organization": {"id": "8", "name": "Fonds", "description": ""}, "noise": noise}
    assert "trop lourd" in words(send(coordinator, json.dumps([one]).encode(), 422).text)
