"""The directory: loading what ships, and keeping it right."""

import tomllib
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.config import ROOT
from crm.db import db, save_over
from crm.links.models import Purpose
from crm.links.services import revoke
from crm.partners.models import CHASED_AFTER, Body, Person, Programme, Rule, Terms
from crm.partners.queries import at_address, owned_by
from crm.partners.vocabulary import BodyKind
from crm.timeline.services import record

SHIPPED_ON = date(2026, 1, 1)  # since when what ships is in force


def load_directory() -> int:
    """Add the bodies, programmes and rules that ship and are not there yet; never changes one that is. Returns how many were added."""
    shipped = tomllib.loads((ROOT / "crm" / "partners" / "directory.toml").read_text(encoding="utf-8"))
    rules = shipped.pop("rules")
    bodies = _load_bodies(shipped)
    there = set(db.session.scalars(select(Programme.code)))
    added = len(bodies)
    by_code = {body.code: body for body in db.session.scalars(select(Body))}
    for body_code, body_facts in shipped.items():
        for short, facts in body_facts.get("programmes", {}).items():
            if (code := f"{body_code}-{short}") not in there:
                _load_programme(code, by_code[body_code], facts)
                added += 1
    known = set(db.session.scalars(select(Rule.code)))
    for code, facts in rules.items():
        if code not in known:
            rule = Rule(code=code, name_fr=facts["name"][0], name_en=facts["name"][1], version=1)
            db.session.add(rule)
            db.session.flush()
            asked = {name: facts[name] for name in ("kinds", "support")}
            db.session.add(Terms(rule_id=rule.id, since=SHIPPED_ON, asked=asked, made_at=clock.at_local(SHIPPED_ON, 9)))
            added += 1
    return added


def _load_bodies(shipped: dict[str, Any]) -> list[Body]:
    there = {body.code: body for body in db.session.scalars(select(Body))}
    new = [
        Body(
            code=code,
            kind=BodyKind(facts["kind"]),
            name_fr=facts["name"][0],
            name_en=facts["name"][1],
            short_fr=facts["short"][0],
            short_en=facts["short"][1],
            offer_fr=facts["offer"][0],
            offer_en=facts["offer"][1],
            territory_fr=facts["territory"][0],
            territory_en=facts["territory"][1],
            localities=facts.get("localities"),
            named_in_request=facts.get("named_in_request", False),
            active=True,
            chase_days=CHASED_AFTER,
            version=1,
        )
        for code, facts in shipped.items()
        if code not in there
    ]
    db.session.add_all(new)
    db.session.flush()
    by_code = there | {body.code: body for body in new}
    for body in new:
        if whole := shipped[body.code].get("part_of"):
            body.part_of_id = by_code[whole].id
    return new


def _load_programme(code: str, body: Body, facts: dict[str, Any]) -> None:
    programme = Programme(
        code=code,
        body_id=body.id,
        kind=BodyKind(facts["kind"]),
        name_fr=facts["name"][0],
        name_en=facts["name"][1],
        text_fr=facts["text"][0],
        text_en=facts["text"][1],
        criteria_fr=facts.get("criteria", ["", ""])[0],
        criteria_en=facts.get("criteria", ["", ""])[1],
        instruments=facts.get("instruments"),
        version=1,
    )
    db.session.add(programme)
    db.session.flush()
    asked: dict[str, Any] = {
        name: facts[name] for name in ("needs", "stages", "forms", "regions", "fields") if name in facts
    }
    least, most = (dollars * 100 for dollars in facts.get("amount", (0, 0)))
    asked |= {"least": least} if least else {}
    asked |= {"most": most} if most else {}
    db.session.add(
        Terms(programme_id=programme.id, since=SHIPPED_ON, asked=asked, made_at=clock.at_local(SHIPPED_ON, 9))
    )


def set_terms(owner: Programme | Rule, asked: dict[str, Any], *, since: date, actor: Staff) -> None:
    """Say whom a programme, or a rule, is for from a day on, today or later; those that begin on that day are replaced. Raises ValueError for a day that is past."""
    if since < clock.today():
        raise ValueError("terms begin today or later: what was in force stays as it was")
    by_id, now = actor.id, clock.now()
    there = db.session.scalar(select(Terms).where(owned_by(owner), Terms.since == since))
    if there is None:
        rule_id, programme_id = (owner.id, None) if isinstance(owner, Rule) else (None, owner.id)
        there = Terms(
            since=since, rule_id=rule_id, programme_id=programme_id, asked=asked, made_at=now, made_by_id=by_id
        )
        db.session.add(there)
    else:
        there.asked, there.made_at, there.made_by_id = asked, now, by_id
    note("terms", owner, actor)


def save_entry(
    entry: Body | Programme | Rule, seen_version: int, actor: Staff, *, verified: bool = False, **facts: Any
) -> bool:
    """Save what is written of an entry; False when somebody saved it after `seen_version` was shown. `verified` says that it was checked today."""
    if isinstance(entry, Body) and entry.joined_to_id is not None and "active" in facts:
        facts["active"] = False  # another took its place for good
    parts = sorted(name for name, value in facts.items() if getattr(entry, name) != value)
    checked = {"verified_on": clock.today(), "verified_by_id": actor.id} if verified else {}
    if not save_over(entry, seen_version, **facts, **checked):
        return False
    if parts:
        note("changed", entry, actor, parts)
    if verified:
        note("verified", entry, actor)
    return True


def hold() -> None:
    """One at a time adds to the directory, or takes a file in, until the end of the transaction."""
    db.session.execute(select(Body.id).order_by(Body.id).with_for_update()).all()


def note(what: str, entry: Body | Programme | Rule, actor: Staff, parts: Sequence[str] = ()) -> None:
    """Record what somebody did to an entry: which, and the names of the parts that changed."""
    codes = {"entry": f"{entry.__tablename__}:{entry.code}"} | ({"parts": list(parts)} if parts else {})
    record(f"directory.{what}", case_id=None, actor=by(actor), codes=codes)


def change_contact(
    body: Body,
    *,
    seen_version: int,
    name: str,
    email: str,
    language: str,
    answer_days: int | None,
    chase_days: int,
    actor: Staff | None,
    verified: bool = False,
) -> bool:
    """Save who receives what we send to a body, and its delays in business days; False when somebody changed it after `seen_version` was shown.

    Another address is another person: who received it before leaves, and the links that they were sent stop working.
    """
    before = body.main
    another = before is not None and email.lower() != before.email.lower()
    facts: dict[str, Any] = {"answer_days": answer_days, "chase_days": chase_days}
    if another:
        facts["contact_since"] = clock.now()
    told = {"contact_name": name != body.contact_name, "contact_email": email != body.contact_email}
    parts = [
        *(part for part, changed in told.items() if changed),
        *(p for p, value in facts.items() if getattr(body, p) != value),
    ]
    checked = {"verified_on": clock.today(), "verified_by_id": actor.id} if verified and actor else {}
    if not save_over(body, seen_version, **facts, **checked):
        return False
    if another and before is not None:
        leave(body, before)
    _make_main(body, name, email, language)
    if actor is not None and parts:
        note("changed", body, actor, sorted(parts))
    if actor is not None and verified:
        note("verified", body, actor)
    return True


def _make_main(body: Body, name: str, email: str, language: str) -> None:
    person = at_address(body, email)
    if person is None:
        person = Person(body_id=body.id, name=name, email=email, language=language, version=1)
        db.session.add(person)
        db.session.flush()
    elif (person.name, person.language, person.receives) != (name, language, True):
        person.version += 1
    person.name, person.language, person.receives = name, language, True
    body.main_id = person.id
    db.session.flush()
    db.session.refresh(body, ["main"])


def leave(body: Body, person: Person, actor: Staff | None = None) -> None:
    """Somebody is at a body no more: they are written to no more, and the links that they were sent stop working at once."""
    person.left_at = clock.now()
    revoke(Purpose.BODY, person.id)
    if body.main_id == person.id:
        body.main_id, body.contact_since = None, clock.now()
        body.version += 1  # who has the form of the first person before them is told
        db.session.flush()
        db.session.refresh(body, ["main"])
    if actor is not None:
        note("changed", body, actor, ["people"])


def add_person(body: Body, facts: dict[str, Any], actor: Staff) -> Person | None:
    """Write down somebody at a body; the first one receives what it is sent. None when somebody there has that address."""
    db.session.scalar(select(Body.id).where(Body.id == body.id).with_for_update())
    if at_address(body, facts["email"]) is not None:
        return None
    person = Person(body_id=body.id, version=1, **facts)
    db.session.add(person)
    db.session.flush()
    if body.main_id is None:
        _make_main(body, person.name, person.email, person.language)
        body.version += 1  # who has the form of a body without anybody is told
    note("changed", body, actor, ["people"])
    return person


def save_person(body: Body, person: Person, seen_version: int, facts: dict[str, Any], actor: Staff) -> bool:
    """Save what is written of somebody at a body; False when somebody saved it after `seen_version` was shown. Another address ends the links
    that were sent to the earlier one.
    """
    moved = facts["email"].lower() != person.email.lower()
    if not save_over(person, seen_version, **facts):
        return False
    if moved or not facts["receives"]:
        revoke(Purpose.BODY, person.id)
    if body.main_id == person.id:
        body.contact_since = clock.now() if moved else body.contact_since
        body.version += 1
    note("changed", body, actor, ["people"])
    return True


def put_first(body: Body, person: Person, actor: Staff) -> None:
    """From now on this person receives each referral; links that were sent to the earlier one are theirs no more."""
    if body.main_id == person.id:
        return
    if body.main_id is not None:
        body.contact_since = clock.now()
    _make_main(body, person.name, person.email, person.language)
    body.version += 1
    note("changed", body, actor, ["contact_email", "contact_name"])
