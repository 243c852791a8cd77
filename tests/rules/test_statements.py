"""No page asks the database more than twelve statements, whatever it shows."""

import re

import pytest
from sqlalchemy import event

from crm import demo as demonstration
from crm.db import db
from crm.intake.forms import PAGES
from crm.summaries import queries
from crm.texts import published
from tests.support import asking
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, Pages

AT_MOST = 12
SENDING_AT_MOST = 22  # it writes sixteen rows


@pytest.fixture
def asked(app, monkeypatch):
    """The statements the product runs from here on; not the one that notes, once a minute, that a session is used."""
    statements = []
    monkeypatch.setattr(published, "FRESH_FOR", 3600.0)  # the texts are looked at again each second: not a page's doing

    def note(_connection, _cursor, statement, _values, _context, _many):
        if not statement.lstrip().upper().startswith(("PRAGMA", "BEGIN", "UPDATE SIGN_IN")):
            statements.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def test_pages_ask_few_statements(app, asked):
    said = []
    demonstration.load(app, cases=60, seed=1, say=said.append)
    email, password = re.search(r"^coordinator\s+(\S+@\S+)\s+(\S+)$", "\n".join(said), re.MULTILINE).groups()
    visitor, staff = Pages(app), Pages(app)
    staff.get("/staff/sign-in")
    staff.post("/staff/sign-in", {"email": email, "password": password})
    staff.get("/staff/cases")
    files = re.findall(r'href="(/staff/cases/[A-Z]+-\w{4}-\w{4})"', staff.last.text)
    # One that is published: what a period would say now reads each kind of row there is.
    with app.app_context():
        summary = f"/staff/summaries/{queries.all_published()[0].period}"
    asking.begin(visitor)
    asking.fill(visitor, ANSWERS)
    sender = Pages(app)
    confirmation = asking.ask(sender, ANSWERS).headers["Location"]
    sender.get(confirmation)
    sender.post(confirmation)
    found = {}
    for name, go in {
        "start": lambda: visitor.get("/fr/demande"),
        **{page: (lambda page=page: visitor.get(asking.address(page))) for page in (*PAGES, "check")},
        "saved": lambda: visitor.post(asking.address("needs"), {"needs": "form"}),
        "accepted": lambda: visitor.post(asking.CHECK["fr"]),
        "received": lambda: sender.get(confirmation),
        "file": lambda: sender.get("/fr/mon-dossier"),
        "times": lambda: sender.get("/fr/mon-dossier/moments"),
        "requests": lambda: staff.get("/staff/requests"),
        "hours": lambda: staff.get("/staff/hours"),
        "queue": lambda: staff.get("/staff/cases"),
        "filters": lambda: staff.get("/staff/cases?panel=filters&owner=me&body=cdrq&todo=answered&sort=step"),
        "search": lambda: staff.client.get("/staff/search/suggestions?q=coop", headers={"Host": HOST}),
        "today": lambda: staff.get("/staff/today"),
        "board": lambda: staff.get("/staff/cases/board"),
        "follow-ups": lambda: staff.get("/staff/follow-ups"),
        **{address: (lambda address=address: staff.get(address)) for address in files[:10]},
        "brief": lambda: staff.get(f"{files[0]}/brief"),
        "beside": lambda: staff.get(f"{files[0]}/beside/{files[1].rpartition('/')[2]}"),
        "assessment": lambda: staff.get(f"{files[0]}/assessment"),
        "summary": lambda: staff.get(summary),
        "directory": lambda: staff.get("/staff/partners"),
    }.items():
        asked.clear()
        go()
        found[name] = len(asked)
    assert found[files[0]] > 5, found
    assert found.pop("accepted") <= SENDING_AT_MOST
    assert found["search"] <= 4, found
    assert max(found["queue"], found["filters"]) <= 8, found
    assert found["board"] <= 10, found
    assert max(found.values()) <= AT_MOST, found
