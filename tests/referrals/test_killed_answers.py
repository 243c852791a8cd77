"""A process killed at each write while a referral is sent, allowed or answered: all of it is there, or nothing; the next press does it whole."""

import json
import sys

import pytest
from sqlalchemy import select

from crm.cases.vocabulary import Stage, Turn
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.referrals import answers
from crm.referrals import services as referrals
from crm.referrals.models import Referral
from tests.conftest import PASSWORD
from tests.support.killing import lines_of

# The product in a process of its own: it opens the page once, then, at each write in turn, a copy of it presses the button and is killed
# there as `kill -9` does, the commit and the moment after it included. What the database holds then is told, one line for each. The copy
# that comes after the commit presses a second time: it meets no more writes, and ends with what it was answered.
PRESSED_AND_KILLED = """
import json, sys
from sqlalchemy import text
from crm.app import create_app
from crm.cases.models import Case
from crm.db import db
from crm.referrals.models import Referral
from crm.reminders.services import open_ones
from tests.support.killing import kill_at, killed_at_each_write
from tests.support.pages import HOST, Pages

door, page, address, typed, who, number = json.loads(sys.argv[1])
app = create_app()
browser = Pages(app)
if who:
    browser.get("/staff/sign-in")
    browser.post("/staff/sign-in", who)
if door:
    browser.get(door)
    browser.post(door)
browser.get(page)
typed |= {name: one for name, one in zip(("mark", "seen"), (browser.last.text.partition(f'name="{name}" value="')[2].partition('"')[0]
          for name in ("mark", "seen"))) if one}


def said():
    with app.app_context():
        referral = db.session.get(Referral, number)
        case = db.session.get(Case, referral.case_id)
        found = {
            "status": referral.status,
            "dates": [one is not None for one in (referral.sent_at, referral.answered_at, referral.ended_at)],
            "permission": referral.permission_id is not None,
            "words": [referral.answer_note, referral.question, referral.reply, referral.outcome_note, referral.outcome],
            "turn": case.turn,
            "steps": sorted(f"{one.rule} {one.reason}" for one in open_ones(case)),
            "next": str(case.next_step_on),
        }
        for name, statement in (
            ("events", "SELECT kind FROM event WHERE case_id = :case ORDER BY id"),
            ("mail", "SELECT kind FROM message WHERE case_id = :case ORDER BY id"),
            ("links", "SELECT purpose FROM link WHERE revoked_at IS NULL ORDER BY id"),
            ("permissions", "SELECT count(*) FROM permission WHERE case_id = :case AND :case > 0"),
        ):
            values = {"case": case.id} if ":case" in statement else {}
            found[name] = [str(one) for one in db.session.scalars(text(statement), values)]
        db.session.remove()
        db.engine.dispose()
    return found


def pressed(at):
    with app.app_context():
        kill_at(at)
    token = browser.token()
    answer = browser._ask(browser.client.post, address, data=typed | {"csrf_token": token}, headers={"Host": HOST})
    return answer.status_code


print(json.dumps(["before", said()]), flush=True)
killed_at_each_write(pressed, said, base=300)
"""


def _file(referral) -> str:
    return f"/staff/cases/{referral.case.reference}/referrals/{referral.id}"


def _door(session, purpose, place, referral) -> str:
    found = select(Link).where(Link.purpose == purpose, Link.object_id == referral.id, Link.revoked_at.is_(None))
    return f"{place}/{links.token(session.scalars(found).one())}"


def _ready(make, session, people):
    return make.referral(sent=False), None


def _sent(make, session, people):
    referral = make.referral()
    return referral, _door(session, Purpose.REFERRAL, "/fr/mise-en-relation", referral)


def _accepted(make, session, people):
    referral, door = _sent(make, session, people)
    answers.accept(referral, "")
    return referral, door


def _asks(make, session, people):
    referral, _ = _sent(make, session, people)
    answers.ask(referral, "Combien?")
    return referral, None


def _asked(make, session, people):
    case = make.case_at(Stage.PLANNING)
    until = case.received_at.date().replace(year=case.received_at.year + 1)
    given = {"purpose": "un atelier", "fields": ["name"], "expires_on": until, "actor": people.adviser}
    referral = referrals.ask_permission(case, make.body(), **given, sends_itself=True)
    return referral, _door(session, Purpose.ALLOW, "/fr/permission", referral)


ANSWER = "/fr/mise-en-relation"
# What is pressed: where it begins, what is typed, and what is there afterwards: status, new events, new mail, whose turn it is, the new step.
PRESSES = {
    "send": (_ready, "/send", {}, "sent", ["referral.sent"], ["referrals.invitation"], Turn.BODY, None),
    "accept": (
        _sent, ANSWER, {"answer": "accept", "note": "Oui", "next_note": "Un appel"},
        "accepted", ["referral.accepted"], ["referrals.person_accepted"], Turn.TEAM, "answered CDRQ",
    ),
    "decline": (
        _sent, ANSWER, {"answer": "decline", "reason": "area", "note": "Non"},
        "declined", ["referral.declined"], ["referrals.person_declined"], Turn.TEAM, "answered CDRQ",
    ),
    "ask": (
        _sent, ANSWER, {"answer": "ask", "note": "Combien?"},
        "info_asked", ["referral.info_asked"], ["referrals.person_info_asked"], Turn.TEAM, "body_asks CDRQ",
    ),
    "complete": (
        _accepted, ANSWER, {"what": "end", "came": "helped", "note": "Fini"},
        "completed", ["referral.completed"], [], Turn.TEAM, "answered CDRQ",
    ),
    "reply": (_asks, "/reply", {"words": "Quatre"}, "sent", ["referral.replied"], ["referrals.reply"], Turn.BODY, None),
    "allow": (
        _asked, "", {"answer": "yes"},
        "sent", ["permission.given", "referral.allowed", "referral.sent_itself"], ["referrals.invitation"], Turn.BODY, None,
    ),
    "withdraw": (_sent, "/withdraw", {}, "withdrawn", ["referral.withdrawn"], ["referrals.withdrawn"], Turn.TEAM, None),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="copies of a process, and their killing")
@pytest.mark.parametrize("what", PRESSES)
def test_killed_at_each_write_it_is_all_there_or_nothing(make, session, people, database_url, tmp_path, what):
    begin, place, typed, status, events, mail, turn, step = PRESSES[what]
    referral, door = begin(make, session, people)
    session.commit()
    by_staff = place.startswith("/") and place != ANSWER
    page = _file(referral) if by_staff else place or door
    address = page + place if by_staff else page
    who = {"email": people.adviser.email, "password": PASSWORD} if by_staff else {}
    told = [None if by_staff or not place else door, page, address, typed, who, referral.id]
    session.commit()
    (_, before), *killed, (again, after) = lines_of(PRESSED_AND_KILLED, database_url, tmp_path, json.dumps(told))
    assert {how for how, _ in killed} == {"killed"}
    states = [state for _, state in killed]
    done = states[-1]
    whole = states.index(done)
    assert whole >= 5, "it was killed at several writes"
    assert states == [before] * whole + [done] * (len(states) - whole)
    assert done != before
    assert done["status"] == status
    assert done["events"] == before["events"] + events
    assert done["mail"] == before["mail"] + mail
    assert done["turn"] == turn
    assert step is None or step in done["steps"]
    assert done["steps"], "somebody follows it"
    assert (again, after) == (303 if what == "allow" else 409, done), (
        "who presses again is told, and nothing is done twice"
    )
    session.expire_all()
    assert session.get_one(Referral, referral.id).status == status
