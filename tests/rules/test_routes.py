"""Who may open which address: the committed list `routes.txt` against the product, address by address, role by role.

The list is a decision: an address that disappears breaks somebody's bookmark or e-mail, and one that changes hands
shows files to other people. After such a decision, refresh it:

    UPDATE=1 .venv/bin/python -m pytest tests/rules/test_routes.py -k decision
"""

import ast
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from crm import access, clock
from crm.absences.models import Absence
from crm.access import Access, Role
from crm.activities.models import Kind, Spoken
from crm.activities.services import Asked, ask_for
from crm.bulk.services import choose_ticked
from crm.cases.models import Founder, SavedView
from crm.exports.models import Export
from crm.files.kinds import Checked, FileKind
from crm.files.services import keep
from crm.financing.models import Application
from crm.financing.rules import Status as Applied
from crm.imports.models import Import, ImportState
from crm.mailbox.models import ReceivedMail
from crm.mailbox.models import State as MailState
from crm.outbox.models import Message
from crm.partners.vocabulary import Instrument
from crm.portal.models import Correction, MessageTemplate
from crm.privacy import services as privacy
from crm.privacy.models import Right, Risk
from crm.reminders.models import FollowUp
from crm.summaries import sessions
from crm.summaries.models import Point, SummaryFile
from crm.summaries.periods import Period
from crm.tags.services import named
from crm.talks import services as talks
from crm.talks.models import Mode
from tests.rules.sources import functions, modules, name_of, where
from tests.support.pages import HOST, words
from tests.support.printed import kept
from tests.support.summaries import published

LIST = Path(__file__).with_name("routes.txt")
DECORATORS = {"public", "by_link", "case_team", "coordinators", "anyone_signed_in"}
ROUTERS = {"get", "post", "put", "patch", "delete", "route", "in_both_languages"}
# Who opens an address of each kind, typed from the reference and not from the decorators.
WHO = {
    "public": {"anonymous", "observer", "adviser", "coordinator", "admin"},
    "link": {"anonymous", "observer", "adviser", "coordinator", "admin"},
    "signed-in": {"observer", "adviser", "coordinator", "admin"},
    "case-team": {"adviser", "coordinator", "admin"},
    "coordinators": {"coordinator", "admin"},
}
ROLES = {
    frozenset(Role): "signed-in",
    frozenset({Role.ADMIN, Role.COORDINATOR, Role.ADVISER}): "case-team",
    frozenset({Role.ADMIN, Role.COORDINATOR}): "coordinators",
}
PEOPLE = ("anonymous", "observer", "adviser", "coordinator", "admin")
# These forms have a field called "summary", which hides the method that lists their errors: the page breaks (500).
SEVERAL_FIELDS = {
    f"/staff/cases/<reference>/{end}" for end in ("assessment", "exchanges", "talks/<int:number>/outcome")
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    method: str
    address: str
    who: str

    def __str__(self) -> str:
        return f"{self.method:<4} {self.address:<66} {self.who}"


def routes(app: Flask) -> list[Route]:
    """Every address of the product but its static files, with who may open it."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        mark: Access = app.view_functions[rule.endpoint].access
        who = ROLES[mark.roles] if mark.kind == "account" else mark.kind
        found += [Route(method, rule.rule, who) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
    return sorted(found, key=lambda route: (route.address, route.method))


def listed() -> list[Route]:
    return [Route(*line.split()) for line in LIST.read_text(encoding="utf-8").splitlines()]


# --- the list ------------------------------------------------------------------------------------------------------


def test_the_list_of_addresses_is_a_decision(product):
    now = "\n".join(str(route) for route in routes(product)) + "\n"
    kept("tests/rules/routes.txt", now)


def test_addresses_are_kebab_case(product):
    parts = {part for route in routes(product) for part in route.address.split("/") if part and "<" not in part}
    assert not [part for part in parts if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", part)]


def test_public_addresses_are_readable_in_their_language_and_hold_nothing_but_a_token(product):
    for route in routes(product):
        if route.who not in {"public", "link"} or route.address.startswith("/staff"):
            continue
        assert re.fullmatch(r"/|/healthz|/metrics|/(fr|en)/([a-z-]+(/[a-z-]+)*(/<token>)?)?", route.address), route


def test_every_public_page_stands_under_a_french_and_an_english_address(product):
    both = {}
    for rule in product.url_map.iter_rules():
        if lang := (rule.defaults or {}).get("lang"):
            both.setdefault((rule.endpoint, rule.defaults.get("page")), []).append(lang)
            assert rule.rule.startswith(f"/{lang}/")
    assert both
    assert not {endpoint: langs for endpoint, langs in both.items() if sorted(langs) != ["en", "fr"]}


def test_staff_addresses_all_begin_with_staff(product):
    needing_an_account = [route for route in routes(product) if route.who not in {"public", "link"}]
    assert needing_an_account
    assert not [route for route in needing_an_account if not re.match(r"/staff(/|$)", route.address)]


# --- the decorators ------------------------------------------------------------------------------------------------


def test_every_view_carries_exactly_one_access_decorator():
    wrong = []
    seen = 0
    for file, tree in modules().items():
        for function in functions(tree):
            names = [name_of(decorator) for decorator in function.decorator_list]
            calls = [d for d in function.decorator_list if isinstance(d, ast.Call) and name_of(d) in ROUTERS]
            if not calls:
                continue
            seen += 1
            if sum(name in DECORATORS for name in names) != 1:
                wrong.append(f"{where(file, function)} {function.name}: {names}")
    assert seen > 30, "the views were looked for in the wrong place"
    assert not wrong


def test_every_view_that_is_served_says_who_may_open_it(product):
    views = {name: view for name, view in product.view_functions.items() if name != "static"}
    assert all(isinstance(getattr(view, "access", None), Access) for view in views.values())


def test_two_access_decorators_on_a_view_are_refused():
    with pytest.raises(TypeError, match="two access decorators"):

        @access.public
        @access.case_team
        def view():
            """Which of the two would count?"""


def test_the_product_does_not_start_with_a_view_nobody_thought_about():
    app = Flask(__name__)
    app.add_url_rule("/forgotten", "forgotten", lambda: "")
    with pytest.raises(TypeError, match="forgotten"):
        access.refuse_views_without_access(app)


# --- role × route --------------------------------------------------------------------------------------------------


@pytest.fixture
def arguments(make, session, people):
    """What stands for each part of an address: a file with one of everything, a body, and a published quarter."""
    sent = make.referral()
    case = sent.case
    ready = make.referral(case=case, sent=False)
    talk = talks.book(
        case,
        adviser=people.adviser,
        starts_at=clock.now() + timedelta(days=2),
        minutes=30,
        mode=Mode.PHONE,
        actor=people.adviser,
    )
    quarter = Period.quarter(clock.today().year - 1, 3)
    make.case(received_at=clock.at_local(quarter.last, 10))
    summary = published(quarter, people.admin, people.coordinator)
    session.commit()
    values = {
        "reference": case.reference,
        "other": make.case(email="autre@exemple.ca").reference,
        "message_id": session.scalar(select(Message.id).where(Message.case_id == case.id).limit(1)),
        "token": "1-forged",
        "key": "intake.home.title",
    }
    activity = ask_for(
        Asked("Incubateur", "Zoé", "zoe@incubateur.example", Spoken.FR, Kind.PANEL, [], None, "", "", ""),
        key="x",
        language="fr",
    )
    session.flush()
    correction = Correction(
        case_id=case.id,
        form_key="x",
        page="you",
        changes={"contact_name": {"was": ["N"], "wanted": ["M"]}},
        sent_at=clock.now(),
    )
    founder = Founder(
        case_id=case.id,
        name="Li Wei",
        role="",
        language="fr",
        email="",
        phone="",
        phone_extension="",
        may_contact=True,
        version=1,
    )
    view = SavedView(owner_id=people.admin.id, name="Vue", query="", shared=True)
    away = Absence(
        staff_id=people.adviser.id, begins_on=clock.today(), ends_on=clock.today(), deputy_id=people.admin.id
    )
    session.add_all([correction, founder, view, away])
    tag = named("Étiquette")
    sheet = Import(
        actor_id=people.coordinator.id,
        name="suivi.csv",
        state=ImportState.UNDONE,
        titles=["Nom"],
        told={},
        plan={},
        made_at=clock.now(),
    )
    stock = MessageTemplate(name="Relance", fr="Bonjour", en="Hello")
    mail = ReceivedMail(
        dedupe_key="x",
        validity=1,
        uid=1,
        received_at=clock.now(),
        from_address="x@exemple.ca",
        from_name="X",
        subject="Bonjour",
        body="Bonjour",
        said="Bonjour",
        attachments=[],
        state=MailState.TRAY,
    )
    applied = Application(
        case_id=case.id,
        body_id=ready.body_id,
        status=Applied.FILED,
        instrument=Instrument.GRANT,
        conditions="",
        created_at=clock.now(),
        created_by_id=people.adviser.id,
    )
    session.add_all([sheet, stock, mail, applied])
    session.flush()
    team = {"adviser": people.adviser, "coordinator": people.coordinator, "admin": people.admin}
    drafts = {who: choose_ticked([case.reference], one, "").id for who, one in team.items()}
    taken = {
        who: Export(staff_id=one.id, at=clock.now(), query="", kind="csv", everything=True, reason="Essai")
        for who, one in team.items()
    }
    session.add_all(taken.values())
    session.flush()
    own = {"bulk": drafts, "exports": {who: one.id for who, one in taken.items()}}
    numbers = {
        "activities": activity.id,
        "follow-ups": session.scalars(select(FollowUp.id).where(FollowUp.case_id == case.id)).first(),
        "referrals": ready.id,
        "permissions": sent.permission_id,
        "talks": talk.id,
        "corrections": correction.id,
        "founders": founder.id,
        "views": view.id,
        "tags": tag.id,
        "message-templates": stock.id,
        "imports": sheet.id,
        "absences": away.id,
        "mailbox": mail.id,
        "financing": applied.id,
        "people": ready.body.main_id,
        "summaries": session.scalar(select(SummaryFile.id).where(SummaryFile.summary_id == summary.id)),
        "documents": keep(Checked("plan.pdf", FileKind.PDF, b"%PDF-"), case.id).id,
    }
    sessions.add_point(quarter, "Prolonger", key="x", actor=people.admin)
    learned = privacy.Happened(clock.today(), "", "Noms", "Perte", None, Risk.ASSESSING, "", None, None, "", "", None)
    incident = privacy.write_incident(learned, key="x", actor=people.admin)
    asked = privacy.Asked(clock.today(), Right.ACCESS, "Ada", "", "", None, None, "")
    rights = privacy.write_request(asked, None, key="x", actor=people.admin)
    # Before "requests" of the intake.
    numbers = {"privacy/incidents": incident.id, "privacy/requests": rights.id} | numbers
    numbers = {"points": session.scalar(select(Point.id))} | numbers  # before "summaries", under which they are
    body = ready.body.code
    session.commit()

    def fill(address: str, who: str = "adviser") -> str:
        theirs = numbers | {place: found.get(who, 0) for place, found in own.items()}
        number = next((one for place, one in theirs.items() if f"/{place}/" in address), 0)
        code = quarter.code if "/summaries/" in address else "financing-after-support" if "/rules/" in address else body
        chosen = values | {
            "number": number,
            "code": code,
            "programme": "cdrq-demarrage",
            "page": "you",
            "name": "received",
        }
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda part: str(chosen[part[1]]), address)

    return fill


@pytest.fixture
def visitor(people, signed_in, pages):
    return lambda who: pages if who == "anonymous" else signed_in(getattr(people, who))


def ask(browser, method: str, address: str, token: str):
    """One request with the token its forms have, whatever the answer."""
    data = {"csrf_token": token} if method != "GET" else None
    return browser._ask(getattr(browser.client, method.lower()), address, data=data, headers={"Host": HOST})


def answered(route: Route, answer) -> str:
    """An answer in a word: what it lets a person do."""
    status = answer.status_code
    if status == 401 or (status == 302 and urlsplit(answer.headers["Location"]).query.startswith("to=")):
        return "sign in"
    if status == 404:
        return "not found"
    # 409 and 422: the door was open and what was sent was refused. 503: no worker runs in a test.
    opened = status in {200, 302, 303, 409, 422} or (status == 503 and route.address == "/healthz")
    return "open" if opened else f"status {status}"


def expected(route: Route, who: str) -> str:
    if route.who == "link" or "<token>" in route.address:
        return "not found"  # anybody may try, and this token opens nothing
    if route.address == "/metrics":
        return "not found"  # without a setting it does not exist
    if who in WHO[route.who]:
        return "open"
    return "sign in" if who == "anonymous" else "not found"


@pytest.mark.parametrize("who", PEOPLE)
def test_each_person_opens_what_their_role_opens_and_nothing_else(who, visitor, arguments):
    browser = visitor(who)
    token = browser.token()
    wrong = []
    # Reading first, and signing out last: it ends the session of the one who asks.
    for route in sorted(listed(), key=lambda route: (route.address == "/staff/sign-out", route.method, route.address)):
        answer = ask(browser, route.method, arguments(route.address, who), token)
        found = answered(route, answer)
        if found != expected(route, who):
            wrong.append(f"{route}: {who} got {found!r} ({answer.status_code}), not {expected(route, who)!r}")
    assert not wrong, "\n".join(wrong)


def test_an_empty_form_comes_back_and_says_what_is_missing(visitor, arguments):
    adviser = visitor("adviser")
    token = adviser.token()
    for address in sorted(SEVERAL_FIELDS):
        answer = ask(adviser, "POST", arguments(address), token)
        assert answer.status_code == 422, address
        assert 'class="error-summary"' in answer.text


def test_a_refusal_reads_like_an_address_that_does_not_exist(visitor, arguments):
    observer = visitor("observer")
    refused = words(observer.get(arguments("/staff/cases/<reference>"), 404).text)
    assert refused == words(observer.get("/staff/cases/PCC-0000-0000", 404).text)
    assert refused == words(observer.get("/staff/nowhere", 404).text)
    adviser = visitor("adviser")
    refused = words(adviser.post(arguments("/staff/partners/<code>"), status=404).text)
    assert refused == words(adviser.post("/staff/nowhere", status=404).text)


def test_an_address_that_only_receives_does_not_answer_to_reading(product, pages, people, signed_in, arguments):
    by_address = {}
    for route in listed():
        by_address.setdefault(route.address, set()).add(route.method)
    only_post = [address for address, methods in by_address.items() if methods == {"POST"}]
    assert len(only_post) > 15
    for browser in (pages, signed_in(people.admin)):
        for address in only_post:
            answer = browser.get(arguments(address), 405)
            assert "POST" in answer.headers["Allow"], address


def test_no_address_answers_to_other_methods_than_those_listed(people, signed_in, arguments):
    by_address = {}
    for route in listed():
        by_address.setdefault(route.address, set()).add(route.method)
    admin = signed_in(people.admin)
    token = admin.token()
    wrong = []
    for address, methods in by_address.items():
        for method in sorted(set(METHODS) - methods):
            status = ask(admin, method, arguments(address), token).status_code
            if status != 405:
                wrong.append(f"{method} {address}: {status}")
    assert not wrong


def test_a_person_without_an_account_is_led_back_to_where_they_were_going(pages, arguments):
    address = arguments("/staff/cases/<reference>")
    answer = pages.get(f"{address}?after=2", 302)
    sign_in, query = urlsplit(answer.headers["Location"])[2:4]
    assert sign_in == "/staff/sign-in"
    assert parse_qs(query) == {"to": [f"{address}?after=2"]}


def test_what_somebody_typed_without_a_session_is_kept_for_after_signing_in(pages, arguments):
    answer = pages.post(arguments("/staff/cases/<reference>/notes"), {"body": "Une longue note"}, 401)
    assert "Une longue note" in answer.text


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "999999",
        "99999999999999999999",
    ],
)
def test_a_number_nobody_has_is_not_found(number, people, signed_in, arguments):
    admin = signed_in(people.admin)
    token = admin.token()
    wrong = []
    numbered = [route for route in listed() if "<int:" in route.address]
    for route in numbered:
        address = arguments(re.sub(r"<int:\w+>", number, route.address))
        status = ask(admin, route.method, address, token).status_code
        if status != 404:
            wrong.append(f"{route}: {status}")
    assert len(numbered) > 5
    assert not wrong, "\n".join(wrong)
