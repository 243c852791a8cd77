"""What somebody hostile, curious or merely quick does to the pages of bodies and of people, and to those by which staff refer, keep the
directory and follow money. The cases are those of the security reference; what is not here is shown by these:

T1   tests/rules/test_routes.py::test_a_number_nobody_has_is_not_found, and on the person's page
     tests/portal/test_page.py::test_nothing_of_another_file_can_be_touched
T2   tests/rules/test_routes.py::test_each_person_opens_what_their_role_opens_and_nothing_else, with empty forms
T6   tests/kernel/test_sheets.py::test_what_looks_like_a_formula_is_a_text
T7   tests/referrals/test_referrals.py::test_opening_a_link_changes_nothing_however_often_and_by_whatever, for one link of three
T8   tests/referrals/test_referrals.py::test_every_forged_link_gets_the_same_neutral_page, ::test_a_link_that_ended_is_neutral_at_once_also_for_who_was_inside
     tests/referrals/test_list.py::test_a_list_closes_at_once_also_for_who_was_inside
     tests/referrals/test_loop.py::test_a_question_that_is_over_gets_the_neutral_page_of_a_forged_one
     tests/portal/test_page.py::test_a_dead_link_says_so_alike_for_every_reason_and_offers_another
     tests/outbox/test_sending.py::test_the_token_of_a_link_is_in_the_mail_and_nowhere_in_the_database
T10  tests/accounts/test_sign_in.py::test_another_host_name_is_refused
T16  tests/accounts/test_sign_in.py::test_a_write_from_another_site_is_refused_and_offers_nothing_to_press, of one form
     tests/rules/test_routes.py::test_an_address_that_only_receives_does_not_answer_to_reading
T17  tests/exchange/test_exchange.py::test_a_file_that_cannot_be_taken_in_says_why_and_changes_nothing
T19  tests/outbox/test_sending.py::test_a_name_typed_by_anybody_adds_no_address_no_header_and_no_text
T23  tests/referrals/test_outcomes.py::test_every_status_under_every_action_of_every_actor_is_as_printed
     tests/referrals/test_referrals.py::test_the_second_of_two_answers_is_refused_and_changes_nothing
     tests/referrals/test_loop.py::test_what_may_not_be_done_now_is_refused_with_its_reason_and_changes_nothing
     tests/directory/test_people.py::test_a_form_of_the_first_person_opened_before_another_came_first_is_stale
     tests/financing/test_financing.py::test_two_who_save_at_once_are_told_and_nothing_is_lost
"""

import base64
import csv
import io
import json
import logging
import re
import threading
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from functools import partial

import pytest
import time_machine
from sqlalchemy import Boolean, Date, DateTime, Integer, delete, func, select, text, update

from crm import clock
from crm.app import create_app
from crm.cases import services as cases
from crm.cases.addresses import link_of as page_link_of
from crm.cases.models import Case
from crm.cases.vocabulary import ClosingReason, Stage
from crm.config import Smtp
from crm.db import Base, db
from crm.duplicates.services import merge, undo
from crm.exchange.views import LARGEST
from crm.financing import services as financing
from crm.financing.models import Application
from crm.financing.rules import Status as Applied
from crm.financing.services import Facts
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.partners.models import Body, Person, Programme
from crm.partners.queries import by_code
from crm.partners.services import add_person
from crm.partners.vocabulary import Instrument
from crm.permissions.models import Permission
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.security import MOST_PARTS, RateCount
from crm.timeline.models import Event
from tests.conftest import PASSWORD, settings_for
from tests.support import papers
from tests.support.pages import HOST, Pages, words
from tests.support.smtp import LONGEST_WAIT, MailServer
from tests.support.typed import forms_of

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
ANSWER, LIST, QUESTION, OPEN, MINE = (
    "/fr/mise-en-relation",
    "/fr/organisme",
    "/fr/permission",
    "/fr/mon-dossier/ouvrir",
    "/fr/mon-dossier",
)
EXCHANGE = "/staff/directory/exchange"
BLUEPRINTS = (
    "referrals",
    "referral_body",
    "referral_permission",
    "directory",
    "fitting",
    "financing",
    "financing_body",
    "exchange",
)
OF_THE_PERSON = ("portal.permission", "portal.take_permission_back")
NOBODYS = 999_999


@pytest.fixture(autouse=True)
def moment():
    with time_machine.travel(NOON, tick=False) as moment:
        yield moment


def everything(session) -> dict[str, list[str]]:
    """All rows of all tables, but for the counters of tries."""
    tables = [table for table in Base.metadata.sorted_tables if table is not RateCount.__table__]
    found = {table.name: sorted(repr(row) for row in session.execute(select(table))) for table in tables}
    session.commit()
    return found


def forget_tries(session) -> None:
    session.execute(text("DELETE FROM rate_count"))
    session.commit()


def live_link(session, purpose, number) -> Link:
    found = select(Link).where(Link.purpose == purpose, Link.object_id == number, Link.revoked_at.is_(None))
    return session.scalars(found.order_by(Link.id.desc())).first()


def entered(app, session, address) -> Pages:
    """A browser in which somebody pressed the button below a link."""
    forget_tries(session)
    browser = Pages(app)
    browser.get(address)
    browser.post(address)
    return browser


# --- one of everything -----------------------------------------------------------------------------------------------


@dataclass
class Form:
    """A form that a person has in front of them: where it stands, where it goes, and what they type. `having` tells it from others that go there."""

    endpoint: str
    browser: Pages
    page: str
    address: str
    typed: dict[str, object] = field(default_factory=dict)
    having: dict[str, str] = field(default_factory=dict)
    status: int = 303
    bearer: bool = False  # whoever holds the link may press
    fields: Callable[[], dict[str, object]] | None = None

    def _whole(self) -> tuple[str, dict[str, list[str]]]:
        shown = self.browser.get(self.page).text
        here = self.page.partition("?")[0]
        for html in re.findall(r"(?s)<form.*?</form>", shown):
            ((action, values),) = forms_of(html)
            if (action or here) == self.address and all(values.get(name) == [one] for name, one in self.having.items()):
                return html, values
        raise AssertionError(f"no form of {self.page} goes to {self.address}")

    def filled(self) -> dict[str, object]:
        """What the browser would send, but for the token."""
        if self.fields is not None:
            return self.fields() | self.typed
        values = self._whole()[1]
        values.pop("csrf_token")
        return values | self.typed

    def declared(self) -> set[str]:
        """The names of all that can be filled in."""
        names = set() if self.fields is not None else set(re.findall(r'name="([^"]+)"', self._whole()[0]))
        return names | set(self.typed)


@dataclass
class Scene:
    case: Case
    of: dict[str, Referral]
    application: Application
    forms: list[Form]


# Each state that a form acts on, at a body of its own; `asked` are questions to the person.
AT = {
    "ready": "pme-mtl",
    "sent": "esplanade",
    "withdrawn": "risq",
    "back": "ulule",
    "told": "cqcm",
    "ended": "fiducie",
    "next": "filaction",
    "corrected": "saje",
    "asks": "tiess",
    "body_answers": "chantier",
    "body_next": "cesim",
    "body_money": "microcredit-montreal",
    "body_ends": "evol",
    "body_corrects": "desjardins",
}
ASKED = {"asked": "innogec", "asked_by_mail": "poles", "asked_on_page": "fechimm"}


@pytest.fixture
def scene(make, session, people, signed_in, app):
    """A file with a referral in each state that a form acts on, and every form, filled in so that it would be taken."""
    make.body("cdrq")
    case = make.case_at(Stage.PLANNING)
    of = {state: make.referral(case, make.body(code), sent=state != "ready") for state, code in AT.items()}
    for state in ("ended", "next", "corrected", "body_next", "body_money", "body_ends", "body_corrects"):
        answers.accept(of[state], "")
    answers.ask(of["asks"], "Combien êtes-vous?")
    listed = of["sent"].body
    for state, code in ASKED.items():
        of[state] = referrals.ask_permission(
            case, make.body(code), purpose="un atelier", fields=["name"], expires_on=clock.today() + timedelta(days=60), actor=people.adviser
        )  # fmt: skip
    facts = Facts(Instrument.GRANT, 100_000)
    moved, changed = (
        financing.add(case, by_code(code), Applied.FILED, facts, people.adviser) for code in ("cdrq", "risq")
    )
    li = add_person(
        by_code("cdrq"), {"name": "Li Wei", "email": "li@cdrq.example", "language": "en"}, people.coordinator
    )
    session.commit()
    token = {state: links.token(link) for state in of if (link := live_link(session, Purpose.REFERRAL, of[state].id))}
    asks = links.token(live_link(session, Purpose.ALLOW, of["asked_by_mail"].id))
    of_list = links.token(referrals.link_of_person(listed.main))
    door = f"{OPEN}/{links.token(page_link_of(case))}"
    session.commit()
    file = f"/staff/cases/{case.reference}"
    money = f"{file}/financing"
    adviser, coordinator = signed_in(people.adviser), signed_in(people.coordinator)
    forms: list[Form] = []

    def add(endpoint, browser, page, address=None, /, **more):
        forms.append(Form(endpoint, browser, page, address or page, **more))

    def on_referral(verb, state, address=None, /, **typed):
        one = f"{file}/referrals/{of[state].id}"
        add(f"referrals.{verb}", adviser, one, f"{one}/{address or verb}", typed=typed)

    until = (clock.today() + timedelta(days=60)).isoformat()
    refer = {"body": str(by_code("futurpreneur").id), "purpose": "un prêt", "fields": ["name"], "answer": "verbal", "expires_on": until}  # fmt: skip
    add("referrals.prepare", adviser, f"{file}/refer", typed=refer)
    on_referral("send", "ready")
    on_referral("withdraw", "withdrawn")
    given = f"{file}/permissions/{of['back'].permission_id}/withdraw"
    add("referrals.withdraw_permission", adviser, file, given)
    on_referral("note_permission", "asked", "permission", answer="verbal")
    on_referral("answer_for", "told", "answer", answer="accept", note="Oui", next_note="", next_on="")
    on_referral("end_for", "ended", "end", came="helped", amount="3", unit="hours", note="Fini")
    on_referral("next_for", "next", "next", next_note="Un appel")
    on_referral("reply", "asks", words="Quatre")
    on_referral("correct_for", "corrected", "correct")
    for state, what, typed in (
        ("body_answers", "answer", {"answer": "accept", "note": "Avec plaisir"}),
        ("body_next", "next", {"next_note": "Un atelier"}),
        ("body_ends", "end", {"came": "partly", "amount": "3", "unit": "months"}),
        ("body_corrects", "correct", {}),
    ):
        browser = entered(app, session, f"{ANSWER}/{token[state]}")
        add("referral_body.answer", browser, ANSWER, typed=typed, having={"what": what})
    said = {"status": "granted", "instrument": "loan", "granted": "5 000"}
    add(
        "financing_body.say",
        entered(app, session, f"{ANSWER}/{token['body_money']}"),
        f"{ANSWER}/financement",
        typed=said,
    )
    anybody = Pages(app)
    add("referral_body.enter", anybody, f"{ANSWER}/{token['sent']}", bearer=True)
    add("referral_body.list_enter", anybody, f"{LIST}/{of_list}", bearer=True)
    add("referral_body.open_one", entered(app, session, f"{LIST}/{of_list}"), LIST)
    add("referral_permission.answer_question", anybody, f"{QUESTION}/{asks}", typed={"answer": "yes"}, bearer=True)
    person = entered(app, session, door)
    on_page = {"number": str(of["asked_on_page"].id)}
    add("portal.permission", person, MINE, f"{MINE}/reponse", typed={"answer": "yes"}, having=on_page)
    shared = {"number": str(of["sent"].permission_id)}
    add("portal.take_permission_back", person, MINE, f"{MINE}/permission", having=shared)

    add("financing.save_plan", adviser, money, f"{money}/plan", typed={"budget": "90 000", "own": "1 000"})
    applied = {
        "body": str(by_code("ulule").id),
        "instrument": "loan",
        "status": "filed",
        "asked": "5 000",
        "waits_for": "",
    }
    add("financing.add", adviser, money, typed=applied)
    add("financing.change", adviser, f"{money}/{changed.id}", f"{money}/{changed.id}/facts", typed={"asked": "7 000"})
    add(
        "financing.move",
        adviser,
        f"{money}/{moved.id}",
        f"{money}/{moved.id}/move",
        typed={"to": "granted", "amount": "1 000"},
    )

    at = "/staff/partners"
    add("directory.change", coordinator, f"{at}/risq", typed={"name": "Jean Roy-Li", "verified": "y"})
    somebody = {"name": "Zoé", "title": "", "email": "zoe@pme-mtl.example", "phone": "514 555-0142", "language": "fr", "receives": "y"}  # fmt: skip
    add("directory.add_person", coordinator, f"{at}/pme-mtl/people/add", typed=somebody)
    one = f"{at}/ulule/people/{by_code('ulule').main_id}"
    add("directory.save_person", coordinator, one, f"{one}/save", typed={"title": "Direction"})
    add("directory.put_person_first", coordinator, f"{at}/cdrq/people/{li.id}", f"{at}/cdrq/people/{li.id}/first")
    leaves = f"{at}/saje/people/{by_code('saje').main_id}"
    add("directory.person_left", coordinator, leaves, f"{leaves}/works-there-no-more")
    new = {
        "name_fr": "Nouvel organisme",
        "name_en": "New body",
        "short_fr": "Nouvel",
        "short_en": "New",
        "kind": "financing",
    }
    add("directory.add_body", coordinator, "/staff/directory/add", typed=new)
    add("directory.save", coordinator, f"{at}/evol/edit", typed={"website": "https://evol.example", "verified": "y"})

    def seen() -> dict[str, object]:
        return {"into": "fondaction", "version": str(by_code("mce-conseils").version), "seen": "1"}

    add("directory.join", coordinator, f"{at}/mce-conseils/join", fields=seen)
    add("directory.verify", coordinator, f"{at}/fondaction", f"{at}/fondaction/verified")
    offer = {
        "name_fr": "Prêt neuf",
        "name_en": "New loan",
        "kind": "financing",
        "text_fr": "Un prêt",
        "text_en": "A loan",
    }
    add("directory.add_programme", coordinator, f"{at}/desjardins/add", typed=offer)
    of_cdrq = f"{at}/cdrq/programmes/cdrq-demarrage"
    add("directory.save_programme", coordinator, f"{of_cdrq}/edit", typed={"answer_days": "9", "verified": "y"})
    of_cqcm = f"{at}/cqcm/programmes/cqcm-demarrage"
    add("directory.verify_programme", coordinator, of_cqcm, f"{of_cqcm}/verified")
    rule = {"name_fr": "Une règle", "name_en": "A rule", "kinds": ["financing"]}
    add("directory.add_rule", coordinator, "/staff/directory/rules/add", typed=rule)
    add("directory.save_rule", coordinator, "/staff/directory/rules/financing-after-support", typed={"name_en": "Anew"})

    def document() -> dict[str, object]:
        coordinator.get(EXCHANGE)
        return {"file": (io.BytesIO(changed_directory(coordinator)), "repertoire.json")}

    def rehearsed() -> dict[str, object]:
        token = coordinator.get(EXCHANGE).text.partition('name="csrf_token" value="')[2].partition('"')[0]
        sent = coordinator.client.post(EXCHANGE, data=document() | {"csrf_token": token}, headers={"Host": HOST})
        (values,) = [values for action, values in forms_of(sent.text) if action == f"{EXCHANGE}/apply"]
        return {name: values[name] for name in ("held", "stamp")}

    add("exchange.rehearse", coordinator, EXCHANGE, status=200, fields=document)
    add("exchange.apply", coordinator, EXCHANGE, f"{EXCHANGE}/apply", fields=rehearsed)
    session.commit()
    return Scene(case, of, moved, forms)


def changed_directory(browser, said="Une campagne") -> bytes:
    document = json.loads(browser.client.get(f"{EXCHANGE}/hsds", headers={"Host": HOST}).text)
    next(one for one in document["organizations"] if one["name"] == "Ulule")["description"] = said
    return json.dumps(document).encode()


def press(form: Form, data: dict[str, object], token: str | None, *, browser=None, headers=None, query="") -> int:
    """Send a form; the status of the answer. A document is sent anew each time."""
    browser = browser or form.browser
    sent = {name: one if name != "file" else (io.BytesIO(one[0].getvalue()), one[1]) for name, one in data.items()}
    sent |= {"csrf_token": token} if token else {}
    answer = browser._ask(
        browser.client.post, form.address + query, data=sent, headers={"Host": HOST, **(headers or {})}
    )
    browser.last = answer
    return answer.status_code


def test_every_form_of_these_pages_is_in_the_scene(app, scene):
    wanted = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in rule.methods and (rule.endpoint.partition(".")[0] in BLUEPRINTS or rule.endpoint in OF_THE_PERSON)
    }
    assert {form.endpoint for form in scene.forms} == wanted


# --- T1 --------------------------------------------------------------------------------------------------------------


def test_t1_a_number_of_a_file_that_is_hidden_reads_like_one_that_nobody_has(
    scene, app, make, people, session, signed_in
):
    mine = make.case(owner=people.other_adviser, email="autre@exemple.ca")
    cases.restrict(scene.case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    theirs = {
        "referrals": scene.of["sent"].id,
        "permissions": scene.of["sent"].permission_id,
        "financing": scene.application.id,
    }
    browser = signed_in(people.other_adviser)
    token = browser.token()
    before = everything(session)
    tried = 0
    for rule in app.url_map.iter_rules():
        if (
            rule.endpoint.partition(".")[0] not in BLUEPRINTS
            or "<int:number>" not in rule.rule
            or "<reference>" not in rule.rule
        ):
            continue
        of = next(part for part in theirs if f"/{part}/" in rule.rule)
        for method in sorted(rule.methods & {"GET", "POST"}):
            said = []
            for reference, number in (
                (mine.reference, theirs[of]),
                (mine.reference, NOBODYS),
                (scene.case.reference, theirs[of]),
            ):
                address = rule.rule.replace("<reference>", reference).replace("<int:number>", str(number))
                typed = (
                    {"csrf_token": token, "answer": "accept", "to": "dropped", "words": "x"}
                    if method == "POST"
                    else None
                )
                answer = browser._ask(
                    getattr(browser.client, method.lower()), address, data=typed, headers={"Host": HOST}
                )
                said.append((answer.status_code, words(answer.text)))
            assert said[0] == said[1] == said[2], rule
            assert said[0][0] == 404, rule
            tried += 1
    assert tried >= 13
    assert everything(session) == before


def test_t1_a_person_or_a_programme_is_found_under_its_own_body_only(scene, people, session, signed_in):
    browser, jean = signed_in(people.coordinator), by_code("ulule").main_id
    before = everything(session)
    said = set()
    for number in (jean, NOBODYS):
        said.add(words(browser.get(f"/staff/partners/risq/people/{number}", 404).text))
        for verb in ("save", "first", "works-there-no-more"):
            browser.get("/staff/partners/risq")
            browser.post(
                f"/staff/partners/risq/people/{number}/{verb}", {"name": "x", "email": "x@x.example"}, status=404
            )
    for programme in ("cdrq-demarrage", "nothing"):
        said.add(words(browser.get(f"/staff/partners/risq/programmes/{programme}", 404).text))
        said.add(words(browser.get(f"/staff/partners/risq/programmes/{programme}/edit", 404).text))
        for verb in ("edit", "verified"):
            browser.get("/staff/partners/risq")
            browser.post(f"/staff/partners/risq/programmes/{programme}/{verb}", {"version": "1"}, status=404)
    assert len(said) == 1
    assert everything(session) == before


def test_t1_an_application_of_another_file_is_nothing_to_wait_for(scene, make, people, session, signed_in):
    mine = make.case(owner=people.other_adviser, email="autre@exemple.ca")
    browser, address = signed_in(people.other_adviser), f"/staff/cases/{mine.reference}/financing"
    browser.get(address)
    typed = {"body": str(by_code("ulule").id), "instrument": "loan", "status": "filed", "asked": "5"}
    browser.post(address, typed | {"waits_for": str(scene.application.id)})
    assert [one.waits_for_id for one in financing.of_case(mine)] == [None]


# --- T2 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["anonymous", "observer", "other_adviser"])
def test_t2_who_may_not_write_changes_nothing_by_sending_the_very_form(scene, app, people, session, signed_in, who):
    sent = [(form, form.filled()) for form in scene.forms if not form.bearer]
    cases.restrict(scene.case, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    browser = Pages(app) if who == "anonymous" else signed_in(getattr(people, who))
    token = browser.token()
    before = everything(session)
    for form, data in sent:
        refused = 401 if who == "anonymous" and form.address.startswith("/staff") else 404
        assert press(form, data, token, browser=browser) == refused, form.endpoint
    assert everything(session) == before


def test_t2_a_body_writes_about_its_own_referral_whatever_number_it_sends(scene, session):
    theirs = scene.of["told"]
    for form in scene.forms:
        if form.endpoint == "referral_body.answer":
            assert press(form, form.filled() | {"about": str(theirs.id)}, form.browser.token()) == 409, form.having
        elif form.endpoint == "referral_body.open_one":
            assert press(form, {"number": str(theirs.id)}, form.browser.token()) == 404
    session.expire_all()
    assert (theirs.status, theirs.seen_at) == (Status.SENT, None)


# --- T4 --------------------------------------------------------------------------------------------------------------

PLANTED = {Integer: "987654", Date: "2001-02-03", DateTime: "2001-02-03T04:05:06+00:00", Boolean: "1"}
# The values of these columns are codes: what another person's form would say.
CODES = {"status": "completed", "kind": "assistance", "how": "paper", "outcome": "helped", "declined_by": "time"}
TRACES = ("987654", "canari", "2001, 2, 3", "2001-02-03")


def planted() -> dict[str, str]:
    """A value for every column of every table, as somebody who guesses their names would send it."""
    found = {}
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            kinds = (
                value for kind, value in PLANTED.items() if isinstance(getattr(column.type, "impl", column.type), kind)
            )
            found[column.name] = CODES.get(column.name) or next(kinds, "canari")
    return found | {"permission": "987654", "granted": "987654", "main": "987654", "is_admin": "1"}


def flags(session) -> dict[tuple[str, int, str], bool]:
    """Every yes and no of every row."""
    found = {}
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, Boolean)]
        if columns and "id" in table.columns:
            for row in session.execute(select(table.c.id, *columns)):
                found |= {
                    (table.name, row.id, column.name): value for column, value in zip(columns, row[1:], strict=True)
                }
    session.commit()
    return found


BECAME = {
    "ready": Status.SENT,
    "sent": Status.WITHDRAWN,  # the person took the permission back
    "withdrawn": Status.WITHDRAWN,
    "back": Status.WITHDRAWN,
    "told": Status.ACCEPTED,
    "ended": Status.COMPLETED,
    "next": Status.ACCEPTED,
    "corrected": Status.SENT,
    "asks": Status.SENT,
    "body_answers": Status.ACCEPTED,
    "body_next": Status.ACCEPTED,
    "body_ends": Status.COMPLETED,
    "body_money": Status.ACCEPTED,
    "body_corrects": Status.SENT,
    "asked": Status.READY,
    "asked_by_mail": Status.READY,
    "asked_on_page": Status.READY,
}


def test_t4_fields_that_no_form_has_change_nothing(scene, session):
    """Each form is sent with every column of the database beside what it asks for: it does what it does, and no more."""
    columns, before = planted(), flags(session)
    for form in scene.forms:
        data, declared = form.filled(), form.declared()
        forged = {name: value for name, value in columns.items() if name not in declared}
        if "file" in data:  # such a form has two hundred parts at most
            forged = dict(list(forged.items())[: MOST_PARTS - 10])
        assert len(forged) > 100
        assert press(form, forged | data, form.browser.token()) == form.status, (
            form.endpoint,
            words(form.browser.last.text)[:600],
        )
        rows = [row for table in everything(session).values() for row in table]
        assert not [row for row in rows if any(trace in row for trace in TRACES)], form.endpoint
    session.expire_all()
    assert {state: one.status for state, one in scene.of.items()} == BECAME
    now = flags(session)
    before["body", by_code("mce-conseils").id, "active"] = False  # it was joined to another
    assert {place: value for place, value in now.items() if place in before} == before
    applied = session.execute(select(Application.status, Application.granted).order_by(Application.id)).all()
    assert applied == [
        (Applied.GRANTED, 100_000),
        (Applied.FILED, None),
        (Applied.GRANTED, 500_000),
        (Applied.FILED, None),
    ]


# --- T6 --------------------------------------------------------------------------------------------------------------

FORMULAS = ['=HYPERLINK("http://evil.example")', "+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1+1", " =1+1"]


def live_cells(rows) -> list[str]:
    return [cell for row in rows for cell in row if cell.lstrip(" \t\r\n\x00\u00a0")[:1] in set("=+-@")]


def test_t6_names_of_the_directory_are_no_formulas_in_its_sheet(scene, people, session, signed_in):
    body = by_code("ulule")
    for column, formula in zip(
        ("name_fr", "name_en", "short_fr", "offer_fr", "territory_fr", "known_as"), FORMULAS, strict=True
    ):
        setattr(body, column, formula)
    session.execute(update(Programme).values(name_fr=FORMULAS[0], text_fr=FORMULAS[1]))
    session.commit()
    for who, separator in ((people.adviser, ";"), (people.other_adviser, ",")):
        sheet = signed_in(who).get(f"{EXCHANGE}/sheet").data.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(sheet), delimiter=separator))
        assert live_cells(rows) == []
        held = [cell for row in rows for cell in row]
        assert all(f"'{formula}" in held for formula in FORMULAS)


@pytest.mark.parametrize("kind_of_sheet", ["csv", "xlsx"])
def test_t6_the_body_that_a_file_went_to_is_no_formula_in_a_list_that_is_taken_out(
    make, people, session, signed_in, kind_of_sheet
):
    body = make.body("ulule")
    body.short_fr = body.short_en = FORMULAS[0]
    make.referral(body=body)
    browser = signed_in(people.coordinator)
    browser.get("/staff/exports?list=cols%3Dbody")
    action, typed = next(form for form in forms_of(browser.last.text) if "password" in form[1])
    typed |= {"reason": "Rencontre du comité", "password": PASSWORD, "kind": kind_of_sheet}
    taken = browser.get(f"{browser.post(action, typed).headers['Location']}/file").data
    if kind_of_sheet == "csv":
        rows = list(csv.reader(io.StringIO(taken.decode("utf-8-sig")), delimiter=";"))
        assert live_cells(rows) == []
        assert [cell for row in rows for cell in row if "HYPERLINK" in cell] == [f"'{FORMULAS[0]}"]
    else:
        parts = {
            name: zipfile.ZipFile(io.BytesIO(taken)).read(name)
            for name in zipfile.ZipFile(io.BytesIO(taken)).namelist()
        }
        assert not [name for name, part in parts.items() if b"<f>" in part]
        assert [name for name, part in parts.items() if b"HYPERLINK" in part]


# --- T7 --------------------------------------------------------------------------------------------------------------


def doors(scene, session) -> dict[str, str]:
    """The addresses that are mailed: to a body about one file and about all, to the person about a question and about their page."""
    of_list = links.token(referrals.link_of_person(scene.of["sent"].body.main))
    found = {
        "referral": f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, scene.of['sent'].id))}",
        "list": f"{LIST}/{of_list}",
        "question": f"{QUESTION}/{links.token(live_link(session, Purpose.ALLOW, scene.of['asked_by_mail'].id))}",
        "page": f"{OPEN}/{links.token(page_link_of(scene.case))}",
    }
    session.commit()
    return found


ENGLISH = {ANSWER: "/en/referral", LIST: "/en/organization", QUESTION: "/en/permission", OPEN: "/en/my-file/open"}


def in_english(address: str) -> str:
    place, _, token = address.rpartition("/")
    return f"{ENGLISH[place]}/{token}"


def test_t7_scanners_that_follow_the_link_change_nothing(scene, app, session):
    """Nor do those that look at the pages behind it with the cookie of who pressed."""
    followed = doors(scene, session)
    behind = [(form.browser, form.page) for form in scene.forms if form.page in {ANSWER, LIST, MINE}]
    assert len(behind) >= 7
    before = everything(session)
    asked = [(Pages(app), one) for address in followed.values() for one in (address, in_english(address))] + behind
    for browser, address in asked:
        for method in ("GET", "HEAD", "OPTIONS") * 3:
            answer = browser._ask(partial(browser.client.open, method=method), address, headers={"Host": HOST})
            assert answer.status_code == 200, (method, address)
            assert "link" not in str(answer.headers.getlist("Set-Cookie")), "opening gives no access"
    assert everything(session) == before


def test_t7_a_button_pressed_without_a_choice_decides_nothing(scene, session):
    typed = {
        "referral_body.answer": 422,
        "referral_body.open_one": 404,
        "referral_permission.answer_question": 303,
        "portal.permission": 303,
        "portal.take_permission_back": 303,
    }
    pressed = [
        (form, {"what": form.having["what"]} if "what" in form.having else {})
        for form in scene.forms
        if form.endpoint in typed
    ]
    assert len(pressed) == 8
    before = everything(session)
    for form, data in pressed:
        refused = typed[form.endpoint] if data.get("what") != "correct" else 409
        form.browser.get(form.page)
        assert press(form, data, form.browser.token()) == refused, (form.endpoint, data)
        form.browser.get(form.page)
        for nonsense in ("", "ACCEPT", "yes;no", "1"):
            assert (
                press(form, data | {"answer": nonsense, "came": nonsense, "was": nonsense}, form.browser.token())
                == refused
            )
    assert everything(session) == before


# --- T8 --------------------------------------------------------------------------------------------------------------


def flipped(token: str, place: int) -> str:
    number, _, secret = token.partition("-")
    changed = bytearray(secret.encode())
    changed[place] ^= 1
    return f"{number}-{changed.decode()}"


def forged(token: str, other: str) -> dict[str, str]:
    """Tokens that are nearly right; `other` is a genuine one, of another link for the same purpose."""
    number, _, secret = token.partition("-")
    return {
        "one bit of the first sign": flipped(token, 0),
        "one bit of the last sign": flipped(token, -1),
        "upper case": token.upper(),
        "lower case": token.lower(),
        "one sign less": token[:-1],
        "one sign more": f"{token}A",
        "the number of one and the secret of another": f"{other.partition('-')[0]}-{secret}",
        "the secret of one and the number of another": f"{number}-{other.partition('-')[2]}",
        "a number written otherwise": f"0{number}-{secret[:-1]}",
        "another version": f"{number}-{links._signature(int(number), 'referral', 2)}",
        "no secret": f"{number}-",
        "a NUL": f"{token}%00",
    }


@pytest.mark.parametrize("of", ["referral", "list", "question", "page"])
def test_t8_a_link_that_is_nearly_right_opens_what_a_forged_one_opens(scene, app, session, of):
    found = doors(scene, session)
    place, _, token = found[of].rpartition("/")
    others = [one.rpartition("/")[2] for name, one in found.items() if name != of]
    again = {
        "referral": lambda: live_link(session, Purpose.REFERRAL, scene.of["told"].id),
        "list": lambda: referrals.link_of_person(scene.of["told"].body.main),
        "question": lambda: live_link(session, Purpose.ALLOW, scene.of["asked"].id),
        "page": lambda: page_link_of(session.get_one(Case, scene.case.id)),
    }
    wrong = [*forged(token, links.token(again[of]()) if of != "page" else "1-x").values(), *others]
    session.commit()
    before = everything(session)
    for there in (place, ENGLISH[place]):
        browser = Pages(app)
        neutral = words(browser.get(f"{there}/1-x", 404).text)
        for one in wrong:
            browser.get(f"{there}/1-x", 404)
            assert words(browser.get(f"{there}/{one}", 404).text) == neutral, one
            browser.get("/fr/demande")  # for its token
            assert words(browser.post(f"{there}/{one}", status=404).text) == neutral, one
            forget_tries(session)
    assert everything(session) == before


def _destroyed(session, scene):
    """As destroying a file will leave its links: what they name is not there any more."""
    for one in (scene.of["sent"], scene.of["asked_by_mail"]):
        session.execute(delete(Referral).where(Referral.id == one.id))
    main = scene.of["sent"].body.main_id
    session.execute(update(Body).where(Body.main_id == main).values(main_id=None))
    session.execute(delete(Person).where(Person.id == main))


def _body_closed(session, scene):
    for one in (scene.of["sent"], scene.of["asked_by_mail"]):
        one.body.active = False


def _revoked(session, scene):
    links.revoke(Purpose.REFERRAL, scene.of["sent"].id)
    links.revoke(Purpose.BODY, scene.of["sent"].body.main_id)
    links.revoke(Purpose.ALLOW, scene.of["asked_by_mail"].id)


def _key_changed(session, scene):
    """A copy of the database under another key, or a link of another installation."""
    session.execute(update(Link).values(version=Link.version + 1))


def _too_old(session, scene):
    session.execute(update(Link).values(expires_at=clock.now()))


@pytest.mark.parametrize("end", [_destroyed, _body_closed, _revoked, _key_changed, _too_old])
def test_t8_a_link_that_ended_opens_what_a_forged_one_opens(scene, app, session, end):
    found = {name: address for name, address in doors(scene, session).items() if name != "page"}
    inside = {name: entered(app, session, found[name]) for name in ("referral", "list")}
    end(session, scene)
    session.commit()
    for name, address in found.items():
        place = address.rpartition("/")[0]
        for there in (address, in_english(address)):
            neutral = words(Pages(app).get(f"{there.rpartition('/')[0]}/1-x", 404).text)
            browser = Pages(app)
            assert words(browser.get(there, 404).text) == neutral
            browser.get("/fr/demande")  # for its token
            assert words(browser.post(there, {"answer": "yes"}, status=404).text) == neutral
        if name in inside and end is not _key_changed:
            forged = words(Pages(app).get(place, 404).text)
            assert words(inside[name].get(place, 404).text) == forged
        forget_tries(session)


def test_t8_what_a_link_opens_is_not_kept_not_listed_and_not_told_to_other_sites(scene, app, session):
    seen = [(Pages(app), one) for address in doors(scene, session).values() for one in (address, in_english(address))]
    seen += [(form.browser, form.page) for form in scene.forms if form.page in {ANSWER, LIST, MINE}]
    for browser, address in seen:
        answer = browser.get(address)
        assert answer.headers["Cache-Control"] == "no-store", address
        assert answer.headers["Referrer-Policy"] == "same-origin", address
        assert 'name="robots" content="noindex"' in answer.text, address
        for led in re.findall(r'(?:href|src|action)="([^"]+)"', answer.text):
            assert led.startswith(("/", "#", "mailto:", "tel:")), f"{address} leads to {led}"


def test_t8_no_token_is_in_an_address_once_the_button_was_pressed(scene, app, session):
    for name, address in doors(scene, session).items():
        if name == "question":
            continue
        forget_tries(session)
        browser, token = Pages(app), address.rpartition("/")[2]
        browser.get(address)
        led = browser.post(address)
        assert token not in led.headers["Location"]
        assert token not in str(led.headers.getlist("Set-Cookie"))
        assert token not in browser.get(led.headers["Location"]).text


def test_t8_no_token_is_in_the_log(scene, app, session, caplog):
    caplog.set_level(logging.DEBUG, "crm")
    found = doors(scene, session)
    for address in found.values():
        Pages(app).get(address)
        Pages(app).get(flipped(address, -1), 404)
        Pages(app).client.get(address, headers={"Host": "evil.example"})
    session.execute(text("ALTER TABLE referral RENAME TO referral_away"))
    session.execute(text("ALTER TABLE body_person RENAME TO body_person_away"))
    session.commit()
    for name in ("referral", "list", "question"):
        Pages(app).get(found[name], 500)
    assert caplog.text.count("incident ") == 3, "what could not be foreseen was logged"
    assert not [address for address in found.values() if address.partition("-")[2] in caplog.text.replace("\n", "")]


@pytest.fixture
def two_files(make, session, people):
    """Two files of one person, each with words of its own."""
    gone, kept = make.case_at(Stage.PLANNING), make.case_at(Stage.PLANNING)
    kept.project.summary, kept.project.name = "Résumé secret de l’autre dossier", "Projet secret"
    session.commit()
    return gone, kept


@pytest.mark.parametrize("undone", [False, True])
def test_t8_the_link_of_a_referral_goes_on_when_its_file_becomes_another(two_files, make, app, session, people, undone):
    gone, kept = two_files
    referral = make.referral(gone)
    address = f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, referral.id))}"
    inside = entered(app, session, address)
    done = merge(gone, kept, people.coordinator)
    session.commit()
    if undone:
        undo(done, people.coordinator)
        session.commit()
    of, other = (gone, kept) if undone else (kept, gone)
    for browser in (inside, entered(app, session, address)):
        shown = words(browser.get(ANSWER).text)
        assert of.reference in shown
        assert "choisir sa forme juridique" in shown, "what left stays what left"
        for leaked in ("secret", other.reference):
            assert leaked not in shown
    inside.get(ANSWER)
    inside.post(ANSWER, {"answer": "accept"})
    session.expire_all()
    assert (referral.status, referral.case_id) == (Status.ACCEPTED, of.id)
    event = session.scalars(select(Event).where(Event.kind == "referral.accepted")).one()
    assert event.case_id == of.id


def test_t8_a_list_shows_a_file_that_became_another_under_its_new_number_only(two_files, make, app, session, people):
    gone, kept = two_files
    body = make.body()
    make.referral(gone, body)
    address = f"{LIST}/{links.token(referrals.link_of_person(body.main))}"
    session.commit()
    browser = entered(app, session, address)
    assert gone.reference in browser.get(LIST).text
    merge(gone, kept, people.coordinator)
    session.commit()
    shown = words(browser.get(LIST).text)
    assert (kept.reference in shown, gone.reference in shown, "secret" in shown) == (True, False, False)
    cases.restrict(kept, restricted=True, readers=[], actor=people.adviser)
    session.commit()
    assert kept.reference not in browser.get(LIST).text


def test_t8_a_question_goes_on_when_its_file_becomes_another(two_files, make, app, session, people):
    gone, kept = two_files
    referral = referrals.ask_permission(
        gone, make.body(), purpose="un atelier", fields=["name"], expires_on=clock.today() + timedelta(days=60), actor=people.adviser
    )  # fmt: skip
    address = f"{QUESTION}/{links.token(live_link(session, Purpose.ALLOW, referral.id))}"
    merge(gone, kept, people.coordinator)
    session.commit()
    browser = Pages(app)
    page = browser.get(address)
    assert kept.reference in page.text
    assert "secret" not in words(page.text)
    mark = re.search(r'name="mark" value="([^"]+)"', page.text)[1]
    browser.post(address, {"answer": "yes", "mark": mark})
    session.expire_all()
    permission = session.get_one(Permission, referral.permission_id)
    assert (referral.status, permission.case_id, permission.fields) == (Status.READY, kept.id, ["name"])


# --- T10 -------------------------------------------------------------------------------------------------------------

EVIL = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-Host": "evil.example",
    "Forwarded": "host=evil.example;proto=https",
}


HERE = "https://passerelle.example"


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_t10_addresses_in_mail_are_those_of_the_settings_whatever_host_is_asked(
    scene, session, people, moment, tmp_path, database_url, proxies
):
    app = create_app(settings_for(tmp_path, database_url, CRM_BASE_URL=HERE, CRM_TRUSTED_PROXIES=proxies))
    headers = EVIL | {"Host": "passerelle.example"}
    hers = f"{LIST}/{links.token(referrals.link_of_person(scene.of['sent'].body.main))}"
    last = session.scalar(select(func.max(Message.id)))
    session.commit()

    def go(browser, page, address, data, status=303):
        shown = browser._ask(browser.client.get, page, headers=headers, base_url=HERE)
        carried = {name: re.search(f'name="{name}" value="([^"]*)"', shown.text) for name in ("csrf_token", "seen")}
        typed = {name: found[1] for name, found in carried.items() if found} | data
        answer = browser._ask(browser.client.post, address, data=typed, headers=headers, base_url=HERE)
        assert answer.status_code == status, words(answer.text)
        assert "evil" not in str(answer.headers)

    def let_leave():
        session.commit()
        with app.app_context():
            send_due()
            db.session.remove()

    staff, asker, file = Pages(app), Pages(app), f"/staff/cases/{scene.case.reference}"
    one = {state: f"{file}/referrals/{scene.of[state].id}" for state in ("ready", "asks", "told")}
    until = (clock.today() + timedelta(days=60)).isoformat()
    asks = {
        "body": str(by_code("ulule").id),
        "purpose": "un prêt",
        "fields": ["name"],
        "answer": "ask",
        "expires_on": until,
    }
    go(staff, "/staff/sign-in", "/staff/sign-in", {"email": people.adviser.email, "password": PASSWORD})
    go(staff, one["ready"], f"{one['ready']}/send", {})
    go(staff, one["asks"], f"{one['asks']}/reply", {"words": "Quatre"})
    go(staff, one["told"], f"{one['told']}/answer", {"answer": "accept"})
    go(staff, f"{file}/refer", f"{file}/refer", asks)
    let_leave()
    moment.shift(timedelta(days=31))
    go(asker, hers, hers, {"again": "1"}, 200)
    let_leave()
    with app.app_context():
        db.engine.dispose()
    kinds = set(session.scalars(select(Message.kind).where(Message.id > last)))
    wanted = {f"referrals.{one}" for one in ("invitation", "reply", "permission", "person_accepted", "list")}
    assert wanted <= kinds
    left = [file for file in (tmp_path / "mail").glob("*.eml") if int(file.name.partition(".")[0]) > last]
    assert len(left) >= len(wanted)
    for mail in (message_from_bytes(file.read_bytes(), policy=policy.default) for file in left):
        written = "".join(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        led = re.findall(r"\w+://[^\s\"<>]+", written)
        assert led
        assert all(address.startswith(f"{HERE}/") for address in led), led
        assert not re.search("evil|gopher", str(mail))


def test_t10_another_host_opens_no_link_and_takes_no_form(scene, session):
    sent = [(form, form.filled(), form.browser.token()) for form in scene.forms]
    before = everything(session)
    for form, data, token in sent:
        for host in ("evil.example", "127.0.0.1:8000.evil.example", "evil.example:8000"):
            assert press(form, data, token, headers={"Host": host}) == 400, form.endpoint
            assert form.browser.last.text == "This host name is not served here.\n", form.endpoint
    assert everything(session) == before


# --- T16 -------------------------------------------------------------------------------------------------------------

CROSSED = {
    "without a token": (lambda token, other: (None, {}, ""), 400),
    "an empty token": (lambda token, other: ("", {}, ""), 400),
    "somebody else's token": (lambda token, other: (other, {}, ""), 400),
    "a token cut short": (lambda token, other: (token[:-1], {}, ""), 400),
    "the token in the address": (lambda token, other: (None, {}, f"?csrf_token={token}"), 400),
    "sent by another site": (lambda token, other: (token, {"Sec-Fetch-Site": "cross-site"}, ""), 403),
    "from another origin": (lambda token, other: (token, {"Origin": "https://evil.example"}, ""), 403),
    "from the origin of an attachment": (lambda token, other: (None, {"Origin": "null"}, ""), 400),
}


@pytest.mark.parametrize("crossed", CROSSED)
def test_t16_a_form_that_another_site_sends_is_refused(scene, session, people, signed_in, crossed):
    how, status = CROSSED[crossed]
    sent = [(form, form.filled(), form.browser.token()) for form in scene.forms]
    other = signed_in(people.coordinator)
    other.get("/staff/partners/ulule")
    token_of_another = other.token()
    before = everything(session)
    for form, data, token in sent:
        given, headers, query = how(token, token_of_another)
        assert press(form, data, given, headers=headers, query=query) == status, form.endpoint
    assert everything(session) == before


def test_t16_no_form_is_taken_by_another_method_or_as_json(scene, session):
    sent = [(form, form.filled(), form.browser.token()) for form in scene.forms if form.fields is None]
    before = everything(session)
    for form, data, token in sent:
        ask = partial(form.browser._ask, headers={"Host": HOST})
        query = {name: one for name, one in data.items() if name != "file"} | {"csrf_token": token}
        assert ask(partial(form.browser.client.get, query_string=query), form.address).status_code in {200, 405}, (
            form.endpoint
        )
        for method in ("PUT", "PATCH", "DELETE"):
            answer = ask(partial(form.browser.client.open, method=method, data=query), form.address)
            assert answer.status_code == 405, form.endpoint
        answer = ask(partial(form.browser.client.post, json=query), form.address)
        assert answer.status_code == 400, form.endpoint
        overridden = {"_method": "POST", "csrf_token": token}
        answer = ask(partial(form.browser.client.get, query_string=query | overridden), form.address)
        assert answer.status_code in {200, 405}, form.endpoint
    assert everything(session) == before


# --- T17 -------------------------------------------------------------------------------------------------------------


def bomb_of_a_workbook() -> bytes:
    """A workbook of some kilobytes that unpacks to sixty megabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
        book.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    return file.getvalue()


LARGE = "trop lourd"
SENT = {
    "a page": ("annuaire.html", b"<!doctype html><script>alert(1)</script>", 422),
    "a page that says it is a sheet": ("annuaire.csv", b"<html><body onload=alert(1)>,x\n1,2\n", 422),
    "a picture with a script": (
        "logo.svg",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        422,
    ),
    "a PDF": ("annuaire.pdf", papers.pdf_with_script(), 422),
    "a picture": ("logo.png", papers.png(), 422),
    "a workbook that swells": ("annuaire.xlsx", bomb_of_a_workbook(), 422),
    "a program": ("annuaire.json", b"MZ\x90\x00" + b"\x00" * 500, 422),
    "numbers that swell": ("annuaire.json", b'{"organizations": ' + b"9" * 5000 + b"}", 422),
    "entities that swell": ("annuaire.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>', 422),
    "too many bytes": ("annuaire.csv", b"entry,code,name_fr\n" + b"organization,x,Nom\n" * 60_000, 422),
    "more than a form may carry": ("annuaire.csv", b"x" * (26 * 1024 * 1024), 413),
    "a name that climbs": ("../../../etc/cron.d/x", b"un,deux\n1,2\n", 422),
}


@pytest.mark.parametrize("what", SENT)
def test_t17_what_is_no_directory_is_refused_and_said(people, session, signed_in, tmp_path, what):
    name, content, status = SENT[what]
    browser = signed_in(people.coordinator)
    browser.get(EXCHANGE)
    token, before = browser.token(), everything(session)
    there = set(tmp_path.rglob("*"))
    data = {"file": (io.BytesIO(content), name), "csrf_token": token}
    refused = browser._ask(browser.client.post, EXCHANGE, data=data, headers={"Host": HOST})
    assert refused.status_code == status
    shown = words(refused.text)
    said = "10 Mo au plus" if status == 413 else "ne se lit pas|trop lourd|colonnes d’un répertoire|Ce tableau"
    assert re.search(said, shown), shown
    assert "alert(1)" not in refused.text
    assert everything(session) == before
    assert {file for file in set(tmp_path.rglob("*")) - there if "sqlite" not in file.name} == set(), "nothing is kept"


def test_t17_what_a_form_carries_back_is_no_larger_than_what_was_brought(people, session, signed_in):
    """The rehearsal gives the file to the browser, packed: what comes back may be anything."""
    browser = signed_in(people.coordinator)
    before = everything(session)
    swells = base64.b64encode(zlib.compress(b"[" + b" " * (300 * LARGEST), 9)).decode()
    assert len(swells) < 900_000
    browser.get(EXCHANGE)
    refused = browser.post(f"{EXCHANGE}/apply", {"held": swells, "stamp": "x"}, status=422)
    assert LARGE in words(refused.text)
    for content in (b"<script>alert(1)</script>", papers.pdf_with_script(), b"{}", b"[" * 100_000):
        browser.get(EXCHANGE)
        held = base64.b64encode(zlib.compress(content)).decode()
        refused = browser.post(f"{EXCHANGE}/apply", {"held": held, "stamp": "x"}, status=422)
        assert "alert(1)" not in refused.text
    assert everything(session) == before


# --- T19 -------------------------------------------------------------------------------------------------------------

TWO_ADDRESSES = [
    "jean@cdrq.example, eve@evil.example",
    "jean@cdrq.example;eve@evil.example",
    "jean@cdrq.example eve@evil.example",
    "jean@cdrq.example\r\nBcc: eve@evil.example",
    "jean@cdrq.example\nBcc: eve@evil.example",
    "jean@cdrq.example%0ABcc: eve@evil.example",
    "Jean <jean@cdrq.example>",
    "<jean@cdrq.example>, <eve@evil.example>",
    '"jean@cdrq.example, eve"@evil.example',
    "jean@cdrq.example,",
    "jean@[127.0.0.1]",
    "mailto:jean@cdrq.example?bcc=eve@evil.example",
]


@pytest.mark.parametrize("typed", TWO_ADDRESSES)
def test_t19_a_body_is_written_to_at_one_address(make, people, session, signed_in, typed):
    body = make.body()
    browser = signed_in(people.coordinator)
    before = everything(session)
    given = {
        "name": "Jean Roy",
        "email": typed,
        "language": "fr",
        "chase_days": "10",
        "version": str(body.version),
        "receives": "y",
    }
    for address in (
        f"/staff/partners/{body.code}",
        f"/staff/partners/{body.code}/people/add",
        f"/staff/partners/{body.code}/people/{body.main_id}/save",
    ):
        browser.get("/staff/partners/cdrq")
        refused = browser.post(address, given, status=422)
        assert "nom@exemple.ca" in words(refused.text)
    assert everything(session) == before


HOSTILE = [
    "Jean\r\nBcc: eve@evil.example",
    "Jean\nBcc: eve@evil.example\n\nCliquez ici",
    "Jean, eve@evil.example",
    "Jean <eve@evil.example>",
    "=?utf-8?q?Jean=0d=0aBcc=3A_eve=40evil=2Eexample?=",
    'Jean" <eve@evil.example>, "Roy',
    "Jean; eve@evil.example",
    "Jean\u2028Bcc: eve@evil.example",
]


@pytest.fixture
def posting(app, monkeypatch):
    """Mail leaves through a server that keeps what it takes; `posting()` lets it leave and gives it."""
    server = MailServer()
    where = Smtp("127.0.0.1", server.port, None, None, implicit_tls=False)
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], smtp=where))

    def go():
        db.session.commit()
        send_due()
        return server.received

    yield go
    server.let_go()
    server.stop()


@pytest.mark.parametrize("typed", HOSTILE)
def test_t19_whatever_is_typed_in_a_name_or_a_purpose_one_mail_leaves_for_one_address(
    make, people, session, signed_in, posting, typed
):
    case = make.case_at(Stage.PLANNING)
    coordinator, adviser = signed_in(people.coordinator), signed_in(people.adviser)
    coordinator.get("/staff/partners/cdrq/people/add")
    given = {"name": typed, "email": "jean@cdrq.example", "language": "fr", "receives": "y"}
    coordinator.post("/staff/partners/cdrq/people/add", given)
    address = f"/staff/cases/{case.reference}/refer"
    adviser.get(address)
    until = (clock.today() + timedelta(days=60)).isoformat()
    adviser.post(
        address,
        {
            "body": str(by_code("cdrq").id),
            "purpose": typed,
            "fields": ["name"],
            "answer": "verbal",
            "expires_on": until,
        },
    )
    referral = session.scalars(select(Referral)).one()
    one = f"/staff/cases/{case.reference}/referrals/{referral.id}"
    adviser.get(one)
    adviser.post(f"{one}/send")
    (taken,) = posting()
    assert taken.to == ["jean@cdrq.example"]
    assert [address.addr_spec for address in taken.mail["To"].addresses] == ["jean@cdrq.example"]
    headers = {name.lower() for name in taken.mail.keys()}  # noqa: SIM118 - a mail has several of one name
    assert not headers & {"bcc", "cc"}
    assert taken.mail["Subject"] == f"Un projet pour votre organisme : CDRQ ({case.reference})"
    assert "evil" not in str(taken.mail["Reply-To"])
    assert len(taken.mail.get_body(("plain",)).get_content()) > 400, "the text is ours"


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x07", "\x85"])
def test_t19_signs_that_no_mail_carries_are_refused(make, people, session, signed_in, sign):
    case, body = make.case_at(Stage.PLANNING), make.body()
    coordinator, adviser = signed_in(people.coordinator), signed_in(people.adviser)
    before = everything(session)
    coordinator.get("/staff/partners/cdrq/people/add")
    given = {"name": f"Jean{sign}Roy", "email": "autre@cdrq.example", "language": "fr"}
    coordinator.post("/staff/partners/cdrq/people/add", given, status=422)
    address = f"/staff/cases/{case.reference}/refer"
    adviser.get(address)
    until = (clock.today() + timedelta(days=60)).isoformat()
    asked = {
        "body": str(body.id),
        "purpose": f"un{sign}prêt",
        "fields": ["name"],
        "answer": "verbal",
        "expires_on": until,
    }
    adviser.post(address, asked, status=422)
    assert everything(session) == before


# --- T22 -------------------------------------------------------------------------------------------------------------

SECRETS = {
    name: f"Zq{name}Zq"
    for name in ("purpose", "note", "next", "question", "reply", "ended", "summary", "person", "contact", "typed")
}


def test_t22_what_people_typed_is_in_no_log_subject_or_address(make, app, people, session, signed_in, tmp_path, caplog):
    """From the form to what came of it, and through a failure that nobody foresaw."""
    caplog.set_level(logging.DEBUG, "crm")
    case = make.case_at(Stage.PLANNING)
    case.contact.name, case.project.summary = SECRETS["person"], SECRETS["summary"]
    body = make.body()
    body.main.name = SECRETS["contact"]
    led, until = [], (clock.today() + timedelta(days=60)).isoformat()
    adviser = signed_in(people.adviser)

    def go(browser, page, address, data, status=303):
        values = next(values for action, values in forms_of(browser.get(page).text) if (action or page) == address)
        answer = browser.post(address, values | data, status=status, token=None)
        led.append(answer.headers.get("Location", ""))
        led.extend(re.findall(r'(?:href|src|action)="([^"]*)"', browser.get(page).text))
        session.commit()
        send_due()

    file = f"/staff/cases/{case.reference}"
    asked = {
        "body": str(body.id),
        "purpose": SECRETS["purpose"],
        "fields": ["name", "summary"],
        "answer": "verbal",
        "expires_on": until,
    }
    go(adviser, f"{file}/refer", f"{file}/refer", asked)
    referral = session.scalars(select(Referral)).one()
    one = f"{file}/referrals/{referral.id}"
    go(adviser, one, f"{one}/send", {})
    inside = entered(app, session, f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, referral.id))}")
    go(inside, ANSWER, ANSWER, {"answer": "ask", "note": SECRETS["question"]})
    go(adviser, one, f"{one}/reply", {"words": SECRETS["reply"]})
    go(inside, ANSWER, ANSWER, {"answer": "accept", "note": SECRETS["note"], "next_note": SECRETS["next"]})
    session.execute(text("ALTER TABLE event_detail RENAME TO event_detail_away"))
    session.commit()
    seen = re.search(r'name="seen" value="([^"]+)"', inside.get(ANSWER).text)[1]
    failed = inside.post(ANSWER, {"what": "next", "next_note": SECRETS["typed"], "seen": seen}, status=500)
    assert "Traceback" not in failed.text
    assert "event_detail" in caplog.text, "what could not be saved was logged"
    session.execute(text("ALTER TABLE event_detail_away RENAME TO event_detail"))
    session.commit()
    inside.get(ANSWER)
    inside.post(ANSWER, {"what": "end", "came": "helped", "note": SECRETS["ended"]})
    led += [inside.last.headers["Location"], *re.findall(r'(?:href|src|action)="([^"]*)"', inside.get(ANSWER).text)]
    session.expire_all()
    assert referral.status is Status.COMPLETED
    stored = repr(everything(session))
    assert all(secret in stored for name, secret in SECRETS.items() if name != "typed"), "each was really typed"

    subjects = [
        str(message_from_bytes(file.read_bytes(), policy=policy.default)["Subject"])
        for file in (tmp_path / "mail").glob("*.eml")
    ]
    assert len(subjects) >= 3
    assert len(led) > 100
    for secret in SECRETS.values():
        assert secret not in caplog.text
        assert not [subject for subject in subjects if secret in subject]
        assert not [address for address in led if secret in address]
        assert not [message for message in session.scalars(select(Message.dedupe_key)) if secret in message]


# --- T23 -------------------------------------------------------------------------------------------------------------

# What the second press of a form answers: where it is no refusal, nothing changes either.
AGAIN = {
    "referrals.withdraw_permission": 303,
    "referral_body.enter": 303,
    "referral_body.list_enter": 303,
    "referral_body.open_one": 303,
    "financing_body.say": 303,
    "directory.put_person_first": 303,
    "referral_permission.answer_question": 303,
    "portal.permission": 303,
    "portal.take_permission_back": 303,
    "directory.add_person": 422,
    "directory.person_left": 404,
    "directory.add_body": 422,
    "directory.verify": 303,
    "directory.add_programme": 422,
    "directory.verify_programme": 303,
    "directory.add_rule": 422,
    "exchange.rehearse": 200,
}


def test_t23_a_form_pressed_twice_is_taken_once(scene, session):
    for form in scene.forms:
        data, token = form.filled(), form.browser.token()
        assert press(form, data, token) == form.status, form.endpoint
        once = everything(session)
        assert press(form, data, token) == AGAIN.get(form.endpoint, 409), (
            form.endpoint,
            words(form.browser.last.text)[:300],
        )
        assert everything(session) == once, form.endpoint


def test_t23_a_form_is_stale_once_a_colleague_saved_below_it(scene, session, people, signed_in):
    """Of two who have the same entry before them, the second keeps what they typed."""
    other, second = signed_in(people.admin), "Texte du second"
    stale = {
        "directory.change": {"name": second},
        "directory.save_person": {"name": second},
        "directory.save": {"name_fr": second},
        "directory.save_programme": {"name_fr": second},
        "directory.save_rule": {"name_fr": second},
        "financing.change": {"asked": "12 345"},
        "financing.save_plan": {"budget": "12 345"},
    }
    forms = [form for form in scene.forms if form.endpoint in stale]
    assert len(forms) == len(stale)
    for form in forms:
        mine, token = form.filled(), form.browser.token()
        other.get(form.page)
        assert press(form, form.filled(), other.token(), browser=other) == 303
        once = everything(session)
        assert press(form, mine | stale[form.endpoint], token) == 409, form.endpoint
        (typed,) = stale[form.endpoint].values()
        assert typed in form.browser.last.text, form.endpoint
        assert everything(session) == once, form.endpoint


def _closes(scene, people):
    cases.advance(
        scene.case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.WITHDRAWN, person_told="told"
    )  # fmt: skip


# What a body took on goes on when the file closes, and a permission can be taken back for ever.
GOES_ON = {
    "referrals.end_for",
    "referrals.next_for",
    "referrals.correct_for",
    "referrals.withdraw_permission",
    "referral_body.list_enter",
}


def test_t23_after_the_file_closed_nobody_answers_any_more(scene, session, people):
    sent = [
        (form, form.filled(), form.browser.token())
        for form in scene.forms
        if form.endpoint.startswith(("referral", "portal.permission"))
        and form.endpoint not in GOES_ON
        and form.having.get("what", "answer") == "answer"
    ]
    assert len(sent) == 11
    _closes(scene, people)
    session.commit()
    before = everything(session)
    for form, data, token in sent:
        status = press(form, data, token)
        assert status == (
            303 if form.endpoint == "portal.permission" else 404 if form.endpoint.startswith("referral_") else 409
        ), form.endpoint
    assert everything(session) == before


@pytest.mark.parametrize("first", ["accept", "decline"])
def test_t23_a_body_that_answered_answers_otherwise_by_correcting_only(make, app, session, people, first):
    referral = make.referral()
    one, other = (
        entered(app, session, f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, referral.id))}")
        for _ in range(2)
    )
    for browser in (one, other):
        browser.get(ANSWER)
    one.post(ANSWER, {"answer": first, "reason": "area"})
    once = everything(session)
    for typed in (
        {"answer": "accept", "note": "Une longue note"},
        {"answer": "decline", "reason": "capacity", "note": "Une longue note"},
        {"answer": "ask", "note": "Une longue note"},
        {"what": "end", "came": "helped", "note": "Une longue note"}
        if first == "decline"
        else {"answer": "ask", "note": "Une longue note"},
        {"what": "correct", "was": "sent"},
        {"what": "correct", "was": {"accept": "declined", "decline": "accepted"}[first]},
    ):
        other.get("/fr/demande")  # for its token
        refused = other.post(ANSWER, typed, status=409)
        assert typed.get("note", "") in refused.text
    assert everything(session) == once


def at_once(*presses) -> list[int]:
    """What each of several people who press in the same moment is answered."""
    together, answered = threading.Barrier(len(presses)), []

    def go(one):
        together.wait(LONGEST_WAIT)
        answered.append(one())

    threads = [threading.Thread(target=go, args=(one,)) for one in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answered)


def test_t23_of_two_who_answer_at_once_one_counts(make, app, session, people):
    for _ in range(3):
        referral = make.referral()
        address = f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, referral.id))}"
        browsers = [entered(app, session, address) for _ in range(4)]
        for browser in browsers:
            browser.get(ANSWER)
        typed = [
            {"answer": "accept"},
            {"answer": "decline", "reason": "area"},
            {"answer": "ask", "note": "Combien?"},
            {"answer": "accept"},
        ]
        sent = [
            partial(browser.client.post, ANSWER, data=one | {"csrf_token": browser.token()}, headers={"Host": HOST})
            for browser, one in zip(browsers, typed, strict=True)
        ]
        session.commit()
        statuses = at_once(*(lambda one=one: one().status_code for one in sent))
        session.expire_all()
        told = session.scalars(
            select(Event.kind)
            .where(
                Event.case_id == referral.case_id,
                Event.kind.in_([f"referral.{one}" for one in ("accepted", "declined", "info_asked")]),
            )
            .order_by(Event.id)
        ).all()
        # A question may be followed by an answer: every other second answer is refused.
        assert len(told) == statuses.count(303)
        assert statuses.count(303) + statuses.count(409) == 4
        assert told in (
            ["referral.accepted"],
            ["referral.declined"],
            ["referral.info_asked", "referral.accepted"],
            ["referral.info_asked", "referral.declined"],
        )
        assert told[-1] == f"referral.{referral.status}"
        assert session.scalar(
            select(func.count(Message.id)).where(
                Message.kind.like("referrals.person_%"), Message.case_id == referral.case_id
            )
        ) == len(told)


def test_t23_of_two_who_send_or_allow_at_once_one_counts(make, app, session, people, signed_in):
    ready = make.referral(sent=False)
    case = ready.case
    asked = referrals.ask_permission(
        case, make.body("esplanade"), purpose="un atelier", fields=["name"], expires_on=clock.today() + timedelta(days=60),
        actor=people.adviser, sends_itself=True,
    )  # fmt: skip
    question = f"{QUESTION}/{links.token(live_link(session, Purpose.ALLOW, asked.id))}"
    session.commit()
    one = f"/staff/cases/{case.reference}/referrals/{ready.id}"
    sent = []
    for who in (people.adviser, people.coordinator, people.admin):
        browser = signed_in(who)
        browser.get(one)
        sent.append(
            partial(browser.client.post, f"{one}/send", data={"csrf_token": browser.token()}, headers={"Host": HOST})
        )
    session.commit()
    assert at_once(*(lambda one=one: one().status_code for one in sent)) == [303, 409, 409]
    pressed = []
    for answer in ("yes", "no", "self", "yes"):
        browser = Pages(app)
        mark = re.search(r'name="mark" value="([^"]+)"', browser.get(question).text)[1]
        data = {"answer": answer, "mark": mark, "csrf_token": browser.token()}
        pressed.append(partial(browser.client.post, question, data=data, headers={"Host": HOST}))
    session.commit()
    assert at_once(*(lambda one=one: one().status_code for one in pressed)) == [303] * 4
    session.expire_all()
    invited = session.scalars(select(Message.subject_ids).where(Message.kind == "referrals.invitation")).all()
    answered = session.scalars(
        select(Event.kind).where(Event.kind.in_(("referral.allowed", "referral.refused", "referral.goes_alone")))
    ).all()
    assert ready.status is Status.SENT
    assert len(answered) == 1
    assert (
        asked.status
        is {"referral.allowed": Status.SENT, "referral.refused": Status.WITHDRAWN, "referral.goes_alone": Status.SELF}[
            answered[0]
        ]
    )
    assert len(invited) == (2 if asked.status is Status.SENT else 1)


def test_t22_what_postgresql_says_of_a_row_it_refuses_is_in_no_log(app, session, make, caplog):
    """The row is in its message, whatever is hidden of the statement's values."""
    referral = make.referral()
    browser = entered(app, session, f"{ANSWER}/{links.token(live_link(session, Purpose.REFERRAL, referral.id))}")
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite names the rule and no value")
    session.execute(text("ALTER TABLE referral ADD CONSTRAINT later CHECK (answer_note = '')"))
    session.commit()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    page = browser.post(ANSWER, {"answer": "accept", "note": "ZqsecretZq", "about": str(referral.id)}, status=500)
    assert "ZqsecretZq" in page.text, "what was typed is given back to who typed it"
    assert "23514" in caplog.text
    assert "later" in caplog.text
    for value in ("ZqsecretZq", "Nadia", referral.purpose):
        assert value not in caplog.text


@pytest.mark.parametrize("address", (ANSWER, LIST, QUESTION))
def test_t8_who_tries_tokens_is_stopped(app, session, address):
    forget_tries(session)
    browser = Pages(app)
    for _try in range(30):
        browser.get(f"{address}/1-x", status=404)
    browser.get(f"{address}/1-x", status=429)
