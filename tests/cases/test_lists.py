"""Lists of files: each filter, sort and page is what reading every file in memory gives, on both databases, and each named list walks an index."""

import html
import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from markupsafe import Markup
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from bench.lists import NAMED, drawn
from crm import clock, demo
from crm.cases.cells import _escaped
from crm.cases.filters import Filter, facets, together
from crm.cases.listing import COUNTED, SORTS, USUAL, Look, _counts, _statement, columns, count, counts, page_of
from crm.cases.models import Case, CaseNeed, CaseReader
from crm.cases.queue_views import QUICK
from crm.cases.services import set_needs
from crm.cases.vocabulary import Need, Stage, Turn
from crm.db import db
from crm.partners.models import Body
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.tags.services import named, put_on
from tests.support.pages import words
from tests.support.plans import as_if_full, plan


def read(query: str = "") -> Filter:
    found, ignored = Filter.read(MultiDict([pair.split("=", 1) for pair in query.split("&") if pair]))
    assert ignored == []
    return found


def every_page(staff, wanted, sort="new", limit=7):
    seen, after = [], ""
    while True:
        page = page_of(staff, wanted, sort, after=after, limit=limit)
        seen += [row.id for row in page.rows]
        assert not page.stray
        if not page.after:
            return seen
        assert len(page.rows) == limit
        after = page.after


@pytest.fixture
def programme(app, people, session):
    """A demonstration of some size, as anybody of the team sees it."""
    session.commit()
    demo.load(app, cases=160, seed=11, say=lambda _line: None)
    session.expire_all()
    for case in list(session.scalars(select(Case)))[:40:10]:
        case.quarantined = True
    session.commit()
    return session


ORDERS = {
    "new": lambda c: (-c.received_at.timestamp(), -c.id),
    "old": lambda c: (c.received_at, c.id),
    "waiting": lambda c: (c.turn_since, c.id),
    "step": lambda c: (c.next_step_on is None, c.next_step_on or date.min, c.id),
    "stage": lambda c: (list(Stage).index(c.stage), c.id),
}


def in_memory(session, staff, keep, sort):
    named = {row.case_id for row in session.scalars(select(CaseReader).where(CaseReader.staff_id == staff.id))}
    seen = [
        case
        for case in session.scalars(select(Case))
        if not case.quarantined and (not case.restricted or case.owner_id == staff.id or case.id in named)
    ]
    return [case.id for case in sorted((case for case in seen if keep(case)), key=ORDERS[sort])]


def is_open(case):
    return case.stage is not Stage.CLOSED


def owed(case):
    return case.first_reply_at is None and case.stage in {Stage.NEW, Stage.CONTACT}


def test_every_filter_and_sort_gives_what_reading_all_files_gives(programme, people):
    session, today = programme, clock.today()
    adviser = session.scalars(select(Case.owner_id).where(Case.owner_id.is_not(None))).first()
    needs = {}
    for row in session.scalars(select(CaseNeed)):
        needs.setdefault(row.case_id, set()).add(row.need)
    away = (Status.DRAFT, Status.CONSENT_PENDING, Status.READY)
    went = session.execute(
        select(Referral.case_id, Body.code).join(Body, Body.id == Referral.body_id).where(Referral.status.not_in(away))
    )
    bodies = {}
    for row in went:
        bodies.setdefault(row.case_id, set()).add(row.code)
    spring = clock.at_local(today - timedelta(days=200), 0)
    tried = {
        "": is_open,
        "stage=all": lambda c: True,
        "stage=discovery&stage=paused": lambda c: c.stage in {Stage.DISCOVERY, Stage.PAUSED},
        "stage=closed": lambda c: not is_open(c),
        f"owner={adviser}": lambda c: is_open(c) and c.owner_id == adviser,
        f"owner=none&owner={adviser}&stage=all": lambda c: c.owner_id in {None, adviser},
        "owner=none": lambda c: is_open(c) and c.owner_id is None,
        "late=step": lambda c: is_open(c) and c.next_step_on is not None and c.next_step_on < today,
        "late=reply": lambda c: owed(c) and c.reply_due_on < today,
        "turn=team&turn=body": lambda c: c.turn in {Turn.TEAM, Turn.BODY},
        "language=en": lambda c: is_open(c) and c.language == "en",
        "region=06&stage=all": lambda c: c.project.region == "06",
        "borough=verdun&stage=all": lambda c: c.project.locality == "verdun",
        "field=food&field=mobility&stage=all": lambda c: c.project.sector in {"food", "mobility"},
        "form=coop&stage=all": lambda c: c.project.legal_form.startswith("coop"),
        "form=coop_work&stage=all": lambda c: c.project.legal_form == "coop_work",
        "project=idea&stage=all": lambda c: c.project.stage == "idea",
        "need=funding": lambda c: is_open(c) and "funding" in needs.get(c.id, ()),
        "source=phone&stage=all": lambda c: c.source == "phone",
        "body=cdrq&stage=all": lambda c: "cdrq" in bodies.get(c.id, ()),
        f"since={today - timedelta(days=200)}&stage=all": lambda c: c.received_at >= spring,
        f"until={today - timedelta(days=201)}&stage=all": lambda c: c.received_at < spring,
        "language=fr&need=funding&turn=team&late=step": lambda c: (
            is_open(c) and c.language == "fr" and "funding" in needs.get(c.id, ()) and c.turn is Turn.TEAM
            and c.next_step_on is not None and c.next_step_on < today
        ),
    }  # fmt: skip
    empty = []
    for query, keep in tried.items():
        for sort in SORTS:
            wanted = in_memory(session, people.coordinator, keep, sort)
            assert every_page(people.coordinator, read(query), sort) == wanted, (query, sort)
        assert count(people.coordinator, read(query), 10_000) == len(wanted), query
        assert count(people.coordinator, read(query), 3) == min(3, len(wanted)), query
        if not wanted:
            empty.append(query)
    assert len(empty) <= 3, empty


def test_words_are_looked_for_inside_the_filter(programme, people):
    session = programme
    every = set(every_page(people.coordinator, read("stage=all&q=coop")))
    assert every
    assert set(every_page(people.coordinator, read("q=coop"))) == {
        n for n in every if session.get(Case, n).stage is not Stage.CLOSED
    }
    assert every_page(people.coordinator, read("stage=all&q=zzzz")) == []
    assert every_page(people.coordinator, read("stage=all&q=´")) == []
    assert count(people.coordinator, read("stage=all&q=coop"), 1000) == len(every)


def test_a_filter_is_written_as_it_is_read(app, session):
    for query in ("", "stage=all", "stage=new&stage=paused", "owner=me&owner=none&owner=12", "turn=team&region=06&region=13&late=step",
                  "since=2026-01-01&until=2026-02-01&q=caf%C3%A9"):  # fmt: skip
        once = Filter.read(MultiDict([tuple(pair.split("=")) for pair in query.split("&") if pair]))[0]
        assert Filter.read(MultiDict(once.pairs()))[0] == once


STRANGE = [
    "stage=nothing", "owner=zoe", "owner=-1", "owner=99999999999999", "region=99", "late=yes", "since=2026-13-01", "until=x", "turn=nobody",
    "need=%00", "language=either", "body=nowhere", "field='; DROP TABLE case_file; --", "since=0001-01-01",
]  # fmt: skip


@pytest.mark.parametrize("query", STRANGE)
def test_what_means_nothing_is_left_out_and_said(app, session, people, query):
    name, _, value = query.partition("=")
    found, ignored = Filter.read(MultiDict([(name, value)]))
    assert ignored == [name]
    assert found == Filter()


@pytest.fixture
def two(make, people):
    return [
        make.case(owner=people.adviser, name=f"Projet {n}", received_at=clock.now() - timedelta(days=n))
        for n in range(2)
    ]


def test_strange_addresses_get_a_page_and_a_notice(two, people, signed_in):
    browser = signed_in(people.adviser)
    for query in [
        *STRANGE,
        "sort=up",
        "cols=person,age",
        "after=abc",
        "after=W10",
        "panel=zzz",
        "q=%25%22*",
        "stage=" + "x" * 5000,
    ]:
        page = words(browser.get(f"/staff/cases?{query}").text)
        assert "Projet 1" in page or "q=" in query, query
        if not query.startswith(("panel", "q=")):
            assert "ne correspond à rien" in page, query


def test_a_key_opens_pages_of_its_own_list_only(programme, people):
    first = page_of(people.coordinator, read(), "new", limit=5)
    assert page_of(people.coordinator, read(), "new", after=first.after, limit=5).stray is False
    for wanted, sort in ((read("stage=all"), "new"), (read("owner=me"), "new"), (read(), "old"), (read(), "stage")):
        other = page_of(people.coordinator, wanted, sort, after=first.after, limit=5)
        assert other.stray
        assert [row.id for row in other.rows] == [
            row.id for row in page_of(people.coordinator, wanted, sort, limit=5).rows
        ]
    for forged in (
        "W10",
        "bnVsbA",
        "a" * 200,
        "\u00e9",
        first.after[:-4],
        "WyJuZXciLCAwLCAiTmFOIiwgMV0",
    ):
        assert page_of(people.coordinator, read(), "new", after=forged, limit=5).stray, forged


def test_nobody_outside_the_team_lists_anything(two, people):
    assert page_of(people.observer, read()).rows == []
    assert counts(people.observer, [read()]) == [0]


def test_numbers_lead_to_the_list_that_makes_them(programme, people, signed_in):
    browser = signed_in(people.coordinator)
    page = browser.get("/staff/cases").text
    links = re.findall(r'<a class="filter" href="([^"]+)"[^>]*>([^<]+) <span class="count[^"]*">(\d+\+?)</span>', page)
    assert len(links) == len(QUICK) - 1
    for address, name, number in links:
        seen, at = 0, address.replace("&amp;", "&")
        while at:
            page = browser.get(at).text
            seen += len(re.findall(r'<th scope="row">', page))
            following = re.search(r'href="([^"]+)" rel="next"', page)
            at = following[1].replace("&amp;", "&") if following else ""
        assert (str(seen) if seen < 100 else "99+") == number, name


def test_columns_are_chosen_and_put_in_order(two, people, signed_in):
    browser = signed_in(people.adviser)
    assert "panel=columns" in browser.get("/staff/cases?owner=me").text
    browser.get("/staff/cases?owner=me&panel=columns")
    answer = browser.get(
        "/staff/cases?owner=me&arrange=1&show=stage&show=person&show=region&place_person=2&place_region=1", status=303
    )
    assert answer.headers["Location"] == "/staff/cases?owner=me&cols=region%2Cperson%2Cstage"
    page = browser.get(answer.headers["Location"]).text
    heads = re.findall(r'<th scope="col">([^<]+)</th>', page)
    assert heads == ["Projet", "Région", "Personne", "Étape"]
    browser.get("/staff/cases?arrange=1", status=303)
    every = list(columns())
    assert {"needs", "tags", "body"} < set(every)
    shown = browser.get(f"/staff/cases?cols={','.join(every)}").text
    assert len(re.findall(r'<th scope="col">', shown)) == len(every) + 1
    assert Look.read(MultiDict({"cols": ""}))[0].columns == USUAL


def test_what_a_file_has_several_of_stands_in_one_cell_in_order(make, people, session, signed_in):
    """Needs as they came, tags by their letters, organizations as the file went to them, none twice and none it did not go to yet."""
    case = make.case_at(Stage.PLANNING, owner=people.adviser)
    set_needs(case, [Need.FORM, Need.GOVERNANCE])
    for name in ("Zèbre", "Écologie", "alpha, bêta"):
        put_on(case, named(name), people.adviser)
    first, second, third = make.body("ville-montreal"), make.body("cdrq"), make.body("fondaction")
    refused = make.referral(case, first)
    refused.status = Status.DECLINED
    session.flush()
    make.referral(case, second)
    make.referral(case, first)
    make.referral(case, third, sent=False)
    make.case(owner=people.adviser, name="Sans rien")
    session.commit()
    for person, needs in (
        (people.adviser, "Choisir une forme juridique; Gouvernance, membres et règlements"),
        (people.other_adviser, "Choosing a legal form; Governance, members and by-laws"),
    ):
        page = signed_in(person).get("/staff/cases?cols=needs,tags,body,turn").text
        row = next(one for one in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if case.reference in one)
        cells = [words(one).strip() for one in re.findall(r"<td data-name[^>]*>(.*?)</td>", row, re.DOTALL)]
        assert cells[:2] == [needs, "alpha, bêta Écologie Zèbre"]
        assert re.fullmatch("(Ville de Montréal|City of Montréal); CDRQ", cells[2])
        nothing = next(one for one in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if "Sans rien" in one)
        assert [
            words(one).strip() for one in re.findall(r"<td data-name[^>]*>(.*?)</td>", nothing, re.DOTALL)[1:3]
        ] == ["", ""]


def test_a_filter_goes_along_and_is_taken_away_one_by_one(two, people, signed_in):
    browser = signed_in(people.adviser)
    page = browser.get("/staff/cases?owner=me&region=06&language=fr&sort=step").text
    away = [one.replace("&amp;", "&") for one in re.findall(r'class="chip" href="([^"]+)"', page)]
    assert away == [
        "/staff/cases?language=fr&region=06&sort=step",
        "/staff/cases?owner=me&region=06&sort=step",
        "/staff/cases?owner=me&language=fr&sort=step",
    ]
    assert "Projet 1" in page
    panel = words(browser.get("/staff/cases?owner=me&region=06&panel=filters").text)
    assert "Région (1)" in panel
    assert "CDRQ" in panel
    assert words(browser.get("/staff/cases?region=01").text).count("Aucun dossier") == 1


# --- plans -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "sort"), [one[1:] for one in NAMED], ids=str)
@pytest.mark.parametrize("where", ["first", "on"])
def test_a_named_list_walks_an_index_and_sorts_nothing(session, people, query, sort, where):
    wanted = read(query)
    values = wanted.values(people.adviser) | {"at_most": 51}
    if where == "on":
        values |= {"key": clock.today() if sort == "step" else datetime(2026, 5, 5, tzinfo=UTC), "key_id": 5}
    for size in ("empty", "full"):
        if size == "full":
            as_if_full(session)
        said = "\n".join(plan(session, _statement(wanted.shape, sort, where, db.engine.dialect.name), values))
        assert "ix_case_" in said, said
        assert "Seq Scan on case_file" not in said, said
        assert not re.search(r"SCAN case_file(?! USING)", said), said
        assert "Sort" not in said, said
        assert "TEMP B-TREE" not in said, said


OTHER_TABLES = "event|project|contact|follow_up|referral|case_need|case_tag"


def test_no_other_list_reads_a_table_from_end_to_end(session, people):
    """Whatever it is narrowed to and sorted by, and its number with it. Where files of every stage are asked for, their number may look at them all: it stops at 100 found."""
    as_if_full(session)
    dialect = db.engine.dialect.name
    for pairs, sort in drawn(150):
        wanted, ignored = Filter.read(MultiDict(pairs))
        assert ignored == []
        shapes, asked = together([wanted], people.adviser)
        page = plan(
            session, _statement(wanted.shape, sort, "first", dialect), wanted.values(people.adviser) | {"at_most": 51}
        )
        number = plan(session, _counts(shapes, dialect), asked | {"at_most": COUNTED})
        for steps, tables in (
            (page, f"case_file|{OTHER_TABLES}"),
            (number, "event|contact|follow_up|referral" if "all" in wanted.stages else f"case_file|{OTHER_TABLES}"),
        ):
            said = "\n".join(steps)
            assert not re.search(rf"SCAN ({tables})\b(?! USING)|Seq Scan on ({tables})\b", said), (pairs, sort, said)


def test_what_a_cell_holds_several_of_is_found_file_by_file(session, people):
    as_if_full(session)
    dialect, wanted = db.engine.dialect.name, Filter()
    every = tuple(columns())
    asked = wanted.values(people.adviser) | {"at_most": 51}
    said = "\n".join(plan(session, _statement(wanted.shape, "new", "first", dialect, every), asked))
    assert "ix_case_open" in said or dialect != "sqlite", said
    assert not re.search(r"SCAN (case_need|case_tag|referral|case_file\b(?! USING INDEX))|Seq Scan", said), said


def test_every_facet_has_words_for_every_value(app, session):
    rng = random.Random(1)
    named("Étiquette")
    for facet in facets().values():
        options = facet.options()
        assert options, facet.name
        value = rng.choice([value for value, _words in options])
        assert facet.where(list(facet.widen(value))) is not None


@pytest.mark.parametrize("sign", ["&", "<", ">", '"', "'", "é", ""])
def test_each_sign_alone_is_escaped(sign):
    assert _escaped(f"a{sign}b") == html.escape(f"a{sign}b")
    assert _escaped(Markup("<b>") + sign) == f"<b>{Markup.escape(sign)}"
    assert _escaped(7) == "7"


def test_what_people_typed_is_shown_as_text_in_every_cell_and_card(make, people, session, signed_in):
    """Rows and cards are composed apart from their page, and escape by a way of their own."""
    hostile = "<script>alert(1)</script>\"'&amp;"
    case = make.case(owner=people.adviser, name=f"P{hostile}")
    case.contact.name, case.project.sector, case.project.sector_other = f"C{hostile}", "other", f"S{hostile}"
    people.adviser.name = f"A{hostile}"
    session.commit()
    browser = signed_in(people.adviser)
    for address, typed in (
        (f"/staff/cases?cols={','.join(columns())}", "PCSA"),
        ("/staff/cases/board", "PCA"),
    ):
        page = browser.get(address).text
        assert "<script>alert" not in page
        for letter in typed:
            assert f"{letter}&lt;script&gt;alert(1)&lt;/script&gt;&#34;" in page.replace("&quot;", "&#34;"), (
                address,
                letter,
            )
        assert "&amp;amp;" in page
        assert "&amp;lt;" not in page, "escaped twice"
