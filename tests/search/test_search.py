"""Looking for files: what is found, in which order, by whom, in step with every change; the same on both databases."""

import re
from itertools import pairwise

import pytest
from sqlalchemy import func, select, text

from crm import clock, demo, schema
from crm.cases import services as cases
from crm.cases.founders import founders_of_case
from crm.cases.models import Case, Exchange, Founder, Note
from crm.cases.queries import visible
from crm.cases.searching import _files, _texts, excerpt, find, forget_all, is_whole, rebuild
from crm.cases.vocabulary import Stage
from crm.duplicates import services as duplicates
from crm.partners.models import Body
from crm.portal.conversation import write_to_person
from crm.portal.services import write
from crm.referrals.models import Referral
from crm.reminders import services as reminders
from crm.reminders.models import FollowUp
from crm.search import engine
from crm.search.models import SearchFile, SearchText
from crm.search.words import Question, read_question, words_of
from tests.support.asking import ask
from tests.support.factories import ANSWERS
from tests.support.pages import Pages, words
from tests.support.plans import plan


def found(staff, typed):
    return [one.row.reference for one in find(staff, read_question(typed))]


def found_case(session, make, **kwargs):
    case = make.case(**kwargs)
    session.commit()
    return case


@pytest.fixture
def known(make, people, session):
    """A file of which everything that is looked for is known."""
    case = make.case(owner=people.adviser, name="Coopérative L’Échappée-Belle", email="noemie.d@courriel.example")
    case.contact.name, case.contact.phone = "Noémie D’Amours-Côté", "+15145550199"
    case.project.neq = "1167845390"
    cases.add_note(case, "Elle cherche un fiscaliste à Hochelaga.", people.adviser)
    session.commit()
    return case


@pytest.mark.parametrize(
    "typed",
    [
        "noemie", "NOÉMIE d'amours", "damours", "amours-cote", "amourscote", "d’amours côté", "noém", "cote noe",
        "noemie.d@courriel.example", "courriel.example", "echappee", "échappée belle", "echappeebelle", "L'Échappée",
        "514 555-0199", "(514) 555.0199", "+1 514 555 0199", "5550199", "0199", "1167845390", "1167 845 390",
        "fiscaliste", "hochelaga FISCALISTES"[:20], "bibliothèque d’outils", "quartier bibliotheque",
    ],
)  # fmt: skip
def test_a_file_is_found_by_anything_it_says(known, people, typed):
    assert found(people.adviser, typed) == [known.reference]


@pytest.mark.parametrize("typed", ["noemi tremblay", "zzz", "emie", "555 0100", "fiscaliste noemie", "%", "a", "*", ""])
def test_what_is_not_there_is_not_found(known, people, typed):
    assert found(people.adviser, typed) == []


def test_a_file_is_found_by_its_number_however_it_is_typed(known, people, signed_in):
    whole = known.reference
    for typed in (
        whole,
        whole.lower(),
        whole.replace("-", ""),
        whole.replace("-", " "),
        whole[4:],
        whole[4:].replace("-", ""),
        whole[:6],
    ):
        assert found(people.adviser, typed) == [whole], typed
    answer = signed_in(people.adviser).get(f"/staff/search?q={whole.lower()}", status=302)
    assert answer.headers["Location"] == f"/staff/cases/{whole}"


def test_whole_words_come_before_beginnings_what_a_file_is_before_its_texts_and_the_newest_first(make, people, session):
    begun, whole, older = (found_case(session, make, name=name) for name in ("Royaume", "Le roi Roy", "Roy et fils"))
    texted = found_case(session, make, name="Autre chose")
    cases.add_note(texted, "Vu avec monsieur Roy.", people.adviser)
    session.commit()
    assert found(people.adviser, "roy") == [one.reference for one in (older, whole, begun, texted)]
    (last,) = [one for one in find(people.adviser, read_question("roy")) if one.kind]
    assert (last.kind, last.excerpt) == ("note", "Vu avec monsieur Roy.")


def test_everybody_finds_only_what_they_may_see(known, people, session, signed_in):
    cases.restrict(known, restricted=True, readers=[], actor=people.coordinator)
    session.commit()
    assert found(people.adviser, "noemie") == [known.reference], "its owner"
    assert found(people.coordinator, "noemie") == [known.reference], "named on it"
    for typed in ("noemie", "fiscaliste", known.reference):
        assert found(people.other_adviser, typed) == []
        assert found(people.observer, typed) == []
    signed_in(people.observer).get("/staff/search?q=noemie", status=404)
    page = signed_in(people.other_adviser).get("/staff/search?q=noemie")
    assert known.reference not in page.text
    signed_in(people.other_adviser).get(f"/staff/search?q={known.reference}")
    answer = Pages(people.adviser and signed_in(people.adviser).client.application).get(
        "/staff/search?q=noemie", status=302
    )
    assert "/staff/sign-in" in answer.headers["Location"]


def test_what_is_found_changes_with_the_file_in_the_same_transaction(make, people, session):
    case = found_case(session, make, name="Outilthèque", owner=people.adviser)
    adviser = people.adviser
    cases.add_note(case, "Parle de menuiserie.", adviser)
    assert found(adviser, "menuiserie") == [], "not before the commit"
    session.rollback()
    assert found(adviser, "menuiserie") == [], "nor after it was taken back"
    cases.add_note(case, "Parle de menuiserie.", adviser)
    make.exchange(case, adviser)
    write(case, "Où en est l’ébénisterie?", "k")
    write_to_person(case, "Nous regardons la vernissure.", "k2", adviser)
    reminders.plan_by_hand(
        case, title="Vérifier le bail", reason="Loyer", due_on=clock.today(), owner=adviser, actor=adviser
    )
    session.commit()
    for typed in ("menuiserie", "ebenisterie", "vernissure", "bail loyer", "bon echange"):
        assert found(adviser, typed) == [case.reference], typed
    make.assessed(case, adviser)
    assert found(adviser, "forme juridique") == [case.reference], "the summary"
    cases.correct(
        case,
        person={"name": "Zoé Beaulieu"},
        project={"name": "Fabrique"},
        of_file={},
        needs=None,
        told=[],
        reason="",
        actor=adviser,
    )
    reminders.plan_once(case, "answer_person", clock.today())
    session.commit()
    assert found(adviser, "zoe fabrique") == [case.reference]
    assert found(adviser, "outiltheque") == []


def test_a_file_is_found_by_its_founders_and_by_the_bodies_it_went_to(make, people, session, signed_in):
    body = make.body()
    referral = make.referral(body=body)
    case = session.get(Case, referral.case_id)
    address = f"/staff/cases/{case.reference}"
    browser = signed_in(people.adviser)
    browser.get(f"{address}/founders")
    browser.post(
        f"{address}/founders", {"name": "Ousmane Ndiaye", "language": "fr", "email": "ousmane@exemple.ca", "told": "y"}
    )
    assert founders_of_case(case)
    for typed in ("ousmane", "ousmane@exemple.ca", body.short_fr, body.name_en):
        assert found(people.adviser, typed) == [case.reference], typed
    page = words(browser.get(f"/staff/search?q={body.short_fr}").text)
    assert f"{body.name_fr} Organisme" in page


def test_a_request_is_found_as_soon_as_it_is_received(app, people, session):
    ask(Pages(app), ANSWERS | {"project_name": "Vélos du Plateau"})
    reference = session.scalar(select(Case.reference))
    assert found(people.adviser, "velos plateau") == [reference]
    assert found(people.adviser, "nadia benali") == [reference]
    assert found(people.adviser, "5145550142") == [reference]


def test_merged_files_are_found_and_lead_to_the_one_that_goes_on(make, people, session, signed_in):
    kept, gone = found_case(session, make, name="Boulange"), found_case(session, make, name="Boulangerie du coin")
    cases.add_note(gone, "Parle de levain.", people.adviser)
    session.commit()
    duplicates.merge(gone, kept, people.adviser)
    session.commit()
    browser = signed_in(people.adviser)
    page = browser.get("/staff/search?q=levain").text
    (address,) = set(re.findall(r'href="(/staff/cases/PCC-[\w-]+)"', page))
    assert address.rpartition("/")[2] in {kept.reference, gone.reference}
    browser.client.get(address, headers={"Host": "127.0.0.1:8000"})
    assert found(people.adviser, "boulange")[0] in {kept.reference, gone.reference}


def test_what_is_destroyed_is_found_no_more(known, people, session):
    forget_all(known)
    known.contact.name = known.contact.email = known.project.name = known.project.description = ""
    for note in session.scalars(select(Note)):
        session.delete(note)
    session.commit()
    for typed in ("noemie", "fiscaliste", "echappee", "bibliotheque"):
        assert found(people.adviser, typed) == [], typed
    assert session.scalar(select(func.count()).select_from(SearchText).where(SearchText.words != "")) == 0


HOSTILE = [
    "%", "_", '"', "*", "NEAR", "NEAR(a b)", "AND", "a OR b", "NOT x", "'; --", "' OR 1=1 --", "^a", "a:b", "{words}: x", "(", ")",
    "\\", "a\x00b", "\ud800", "\u202eabc", "😀", "´`^", "a" * 10_000, "mot " * 2_500, "-" * 500, "1" * 300, "é", "ß", "ﷺ", "ー",
    "<script>alert(1)</script>", "&amp;", "a & b | !c", "'x':*", "::tsquery", "$1", ":begun", "%(x)s", "{typed}",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE)
def test_whatever_is_typed_gets_an_answer(known, people, signed_in, typed):
    found(people.adviser, typed)
    browser = signed_in(people.adviser)
    try:
        typed.encode()
    except UnicodeEncodeError:
        return
    for address in ("/staff/search", "/staff/search/suggestions"):
        answer = browser._ask(
            browser.client.get, address, query_string={"q": typed}, headers={"Host": "127.0.0.1:8000"}
        )
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text


def test_the_index_is_made_anew_by_a_command_and_says_the_same(app, known, make, people, session):
    make.referral()
    kept = [session.execute(select(SearchFile.case_id, SearchFile.words).order_by(SearchFile.case_id)).all()]
    columns = (SearchText.case_id, SearchText.kind, SearchText.source_id, SearchText.words)
    kept.append(sorted(session.execute(select(*columns)).all()))
    session.execute(text("UPDATE search_file SET words = 'faux'"))
    session.execute(text("DELETE FROM search_text"))
    session.commit()
    assert found(people.adviser, "faux") != []
    assert rebuild() == len(kept[0]) + len(kept[1])
    assert session.execute(select(SearchFile.case_id, SearchFile.words).order_by(SearchFile.case_id)).all() == kept[0]
    assert sorted(session.execute(select(*columns)).all()) == kept[1]
    assert found(people.adviser, "faux") == []
    assert found(people.adviser, "fiscaliste") == [known.reference]


def test_an_index_whose_making_was_interrupted_is_made_by_the_next_upgrade(app, known, make, people, session):
    make.case(name="Autre")
    session.execute(text("DELETE FROM search_file WHERE case_id = (SELECT max(id) FROM case_file)"))
    session.commit()
    assert not is_whole()
    session.commit()
    schema.upgrade(app)
    assert is_whole()
    assert len(found(people.adviser, "autre")) == 1


@pytest.fixture
def looked_at_first(monkeypatch):
    """So many rows are looked at one by one before PostgreSQL asks its index."""

    def few(rows):
        monkeypatch.setattr(engine, "RECENT", rows)
        _files.cache_clear()
        _texts.cache_clear()

    yield few
    monkeypatch.undo()
    _files.cache_clear()
    _texts.cache_clear()


@pytest.mark.parametrize("rows", [0, 1, 4, 30, 2000])
def test_the_newest_are_found_wherever_they_are_looked_for(make, people, session, looked_at_first, rows):
    """Those that answer in whole words, then those that begin so; then those of which a text does; nothing hidden takes a place."""
    looked_at_first(rows)
    every = []
    for place in range(24):
        case = make.case(name=("Atelier vélo", "Vélos d’hiver", "Cuisine")[place % 3], owner=people.adviser)
        if place % 5 == 4:
            cases.restrict(case, restricted=True, readers=[], actor=people.other_adviser)
            case.owner_id = people.other_adviser.id
        elif place % 3 == 2 and place % 2:
            cases.add_note(case, "Parle de son vélo", actor=people.adviser)
        every.append(case)
    session.commit()
    seen = [case.id for place, case in enumerate(every) if place % 5 != 4]
    whole = [case.id for case in every[::3] if case.id in seen][::-1]
    begun = [case.id for case in every[1::3] if case.id in seen][::-1]
    told = [every[place].id for place in range(23, 0, -1) if place % 5 != 4 and place % 3 == 2 and place % 2]
    for limit in (1, 3, 7, 12, 50):
        given = [one.row.id for one in find(people.adviser, read_question("velo"), limit=limit)]
        assert given == (whole + begun + told)[:limit]


def test_a_frequent_word_is_looked_for_among_the_last_files_only(app, people, session, kind):
    """PostgreSQL's index has no order: asked for a word that half of the files have, it would read them all."""
    if kind == "sqlite":
        pytest.skip("SQLite walks its index from the last row backwards")
    question = {"whole": "'coop'", "begun": "'coop':*", "staff_id": people.adviser.id, "at_most": 8}
    for statement, name, times in ((_files(kind), "search_file", 2), (_texts(kind), "search_text", 1)):
        said = "\n".join(plan(session, statement, question))
        assert said.count("One-Time Filter: ($") == said.count("CTE recent_") == times, said
        assert f"Index Scan Backward using pk_{name}" in said, said
        assert not re.search(r"Index Cond: \((case_)?id <=", said), said


@pytest.mark.parametrize("rows", [5, 2000])
def test_both_databases_answer_as_a_plain_reading_of_every_file_does(app, people, session, looked_at_first, rows):
    """Words of the demonstration, whole and begun, alone and together: what is found is what a search without index finds."""
    looked_at_first(rows)
    session.commit()
    demo.load(app, cases=150, seed=7, say=lambda _line: None)
    session.expire_all()
    named, texts = {}, {}
    for case in session.scalars(select(Case)):
        bodies = session.scalars(
            select(Body).join(Referral, Referral.body_id == Body.id).where(Referral.case_id == case.id)
        ).all()
        founders = session.scalars(select(Founder).where(Founder.case_id == case.id))
        says = [
            case.reference,
            case.contact.name,
            case.contact.email,
            case.contact.phone,
            case.project.name,
            case.project.neq,
        ]
        says += [value for one in founders for value in (one.name, one.email, one.phone)]
        named[case.id] = set().union(*(words_of(value) for value in says if value))
        project = case.project
        texts[case.id] = [
            words_of(f"{project.description} {project.summary} {project.sector_other} {project.supports_other}"),
            *(words_of(f"{one.name_fr} {one.name_en} {one.short_fr} {one.short_en}") for one in bodies),
        ]
    for model in (Note, Exchange):
        for row in session.scalars(select(model)):
            texts[row.case_id].append(words_of(row.body if model is Note else row.summary))
    seen = set(session.scalars(select(Case.id).where(visible(people.coordinator))))
    every = sorted({word for those in named.values() for word in those})
    tried = [*every[::23], *(word[:3] for word in every[::31]), *(f"{a} {b[:4]}" for a, b in pairwise(every[::37]))]
    tried += ["coop", "projet", "caisse", "le plan", "514", "la", "pcc", "equipe coop"]
    met = 0
    for typed in tried:
        question = read_question(typed)

        def answers(those, question=question):
            return bool(question) and all(any(word.startswith(asked) for word in those) for asked in question.words)

        wanted = {number for number in seen if answers(named[number])}
        wanted |= {number for number in seen if any(answers(one) for one in texts[number])}
        given = {one.row.id for one in find(people.coordinator, question, limit=1000)}
        assert given == wanted | (_in_follow_ups(session, answers) & seen), typed
        met += bool(wanted)
    assert met > len(tried) / 2


def _in_follow_ups(session, answers):
    """Files one of whose follow-ups, as somebody typed it, answers."""
    typed = session.execute(select(FollowUp.case_id, FollowUp.title, FollowUp.reason).where(FollowUp.rule == ""))
    return {row.case_id for row in typed if answers(words_of(f"{row.title} {row.reason}"))}


def test_an_excerpt_stands_around_what_was_found():
    long = "mot " * 100 + "la bibliothèque d’outils " + "fin " * 100
    assert "bibliothèque" in excerpt(long, Question(("biblio",)))
    assert excerpt(long, Question(("biblio",))).startswith("…")
    assert excerpt(long, Question(("biblio",))).endswith("…")
    assert len(excerpt("a" * 5000, Question(("zzz",)))) < 300
    assert excerpt("", Question(("x",))) == ""


def test_the_page_and_the_box_say_the_same_in_both_languages(known, people, signed_in):
    browser = signed_in(people.adviser)
    page = words(browser.get("/staff/search?q=fiscaliste").text)
    assert "1 dossier trouvé" in page
    assert "Note : Elle cherche un fiscaliste à Hochelaga." in page
    part = words(
        browser._ask(
            browser.client.get, "/staff/search/suggestions?q=fiscaliste", headers={"Host": "127.0.0.1:8000"}
        ).text
    )
    assert "Coopérative L’Échappée-Belle Noémie D’Amours-Côté" in part
    assert "Note : Elle cherche un fiscaliste" in part
    english = words(signed_in(people.other_adviser).get("/staff/search?q=zzzz").text)
    assert "Nothing found." in english
    assert "Search for a name" in words(signed_in(people.other_adviser).get("/staff/search").text)


def test_a_closed_file_is_found_with_its_stage(make, people, session):
    case = make.case(owner=people.adviser, name="Fini")
    case.stage = Stage.CLOSED
    session.commit()
    (one,) = find(people.adviser, read_question("fini"))
    assert one.row.stage is Stage.CLOSED
