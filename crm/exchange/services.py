"""The directory as entries, what a file would change of it, and taking it in."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select

from crm import clock
from crm.accounts.models import Staff
from crm.db import db
from crm.directory import services as directory
from crm.directory.forms import LISTS as VOCABULARIES_ASKED
from crm.directory.forms import NOT_ASKED
from crm.directory.matching import Asked
from crm.exchange.entries import BODY, LISTS, PROGRAMME, BodyEntry, Entry, Known, ProgrammeEntry, number_of, problems_of
from crm.i18n import format_amount
from crm.partners import queries
from crm.partners.models import Body, Programme
from crm.partners.services import note, save_entry, set_terms
from crm.texts import choices, text, words

VOCABULARIES = {
    "kind": "partners.kind",
    "instruments": "partners.instrument",
    **{name: vocabulary for name, vocabulary in VOCABULARIES_ASKED.items() if name != "kinds"},
}


def said() -> dict[str, dict[str, str]]:
    """The words of each vocabulary in the language spoken, by code."""
    return {name: words(prefix) for name, prefix in VOCABULARIES.items()}


def entries() -> list[Entry]:
    """The whole directory, bodies before programmes, each in the order of their codes; programmes with what they ask today."""
    bodies = sorted(queries.everyone(), key=lambda one: one.code)
    codes = {body.id: body.code for body in bodies}
    asked = queries.asked_by_programmes(clock.today())
    programmes = db.session.scalars(select(Programme).order_by(Programme.code))
    return [
        *(_body_entry(body, codes) for body in bodies),
        *(_programme_entry(one, codes[one.body_id], asked.get(one.id, {})) for one in programmes),
    ]


_TEXTS_OF_BODY = ("name_fr", "name_en", "short_fr", "short_en", "offer_fr", "offer_en", "territory_fr", "territory_en")
_TEXTS_OF_PROGRAMME = ("name_fr", "name_en", "text_fr", "text_en", "criteria_fr", "criteria_en")


def _body_entry(body: Body, codes: dict[int, str]) -> BodyEntry:
    return BodyEntry(
        code=body.code,
        known_as=body.known_as,
        kind=body.kind,
        **{name: getattr(body, name) for name in _TEXTS_OF_BODY},
        website=body.website,
        part_of=codes.get(body.part_of_id or 0, ""),
        localities=tuple(body.localities or ()),
        active=body.active,
    )


def _programme_entry(one: Programme, body: str, asked: dict[str, Any]) -> ProgrammeEntry:
    return ProgrammeEntry(
        code=one.code,
        known_as=one.known_as,
        body=body,
        kind=one.kind,
        **{name: getattr(one, name) for name in _TEXTS_OF_PROGRAMME},
        instruments=tuple(one.instruments or ()),
        answer_days=one.answer_days,
        active=one.active,
        asked=Asked.read(asked),
    )


def verified_on() -> dict[str, str]:
    """The day on which each programme was verified, by code; those that were."""
    read = select(Programme.code, Programme.verified_on).where(Programme.verified_on.is_not(None))
    return {code: day.isoformat() for code, day in db.session.execute(read) if day}


def known() -> Known:
    """What entries that come in may speak of."""
    asked_for = {name: {*codes} - (NOT_ASKED if name in LISTS else set()) for name, codes in said().items()}
    there: dict[tuple[str, str], Entry] = {
        (BODY if isinstance(one, BodyEntry) else PROGRAMME, one.code): one for one in entries()
    }
    return Known(asked_for, _numbers(BODY, Body), _numbers(PROGRAMME, Programme), there)


def _numbers(kind: str, model: type[Body | Programme]) -> dict[str, str]:
    found = list(db.session.execute(select(model.code, model.known_as)))
    return {number_of(kind, code): code for code, _theirs in found} | {theirs: code for code, theirs in found if theirs}


@dataclass(frozen=True)
class Change:
    """An entry that a file would change: what of it, each as it is and as it would be. One that is new has nothing before."""

    entry: Entry
    parts: list[tuple[str, str, str]]
    new: bool

    @property
    def name(self) -> dict[str, str]:
        """The name of the entry in each language."""
        return {"fr": self.entry.name_fr, "en": self.entry.name_en}


@dataclass(frozen=True)
class Comparison:
    """What a file would do to the directory. `stamp` changes whenever that does."""

    changes: list[Change]
    same: int

    @property
    def new(self) -> list[Change]:
        return [one for one in self.changes if one.new]

    @property
    def changed(self) -> list[Change]:
        return [one for one in self.changes if not one.new]

    @property
    def stamp(self) -> str:
        told = [(one.entry.code, type(one.entry).__name__, one.new, one.parts) for one in self.changes]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def compare(wanted: Sequence[Entry]) -> Comparison:
    """What entries that have no problem would change of the directory. Nothing is ever taken away by what a file leaves out."""
    there = {(type(one), one.code): one for one in entries()}
    changes, same = [], 0
    for one in wanted:
        now = there.get((type(one), one.code))
        parts = [(name, was, will) for name, was, will in _parts(now, one) if was != will]
        if now is not None and not parts:
            same += 1
            continue
        changes.append(Change(one, parts, now is None))
    return Comparison(changes, same)


def _parts(now: Entry | None, then: Entry) -> list[tuple[str, str, str]]:
    def flat(one: Entry | None) -> dict[str, str]:
        found: dict[str, Any] = {each.name: getattr(one, each.name) for each in fields(one)} if one else {}
        asked = found.pop("asked", None)
        found |= {each.name: getattr(asked, each.name) for each in fields(asked)} if asked else {}
        return {name: _shown(value) for name, value in found.items() if name not in {"code", "kinds"}}

    was, will = flat(now), flat(then)
    return [(name, was.get(name, ""), value) for name, value in will.items()]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(sorted(value))
    return "" if value is None else str(value)


def told(name: str, value: str) -> str:
    """A part of an entry in words."""
    if name in VOCABULARIES:
        codes = value.split()
        return ", ".join(words_ for code, words_ in choices(VOCABULARIES[name]) if code in codes)
    if name == "active":
        return text(f"exchange.{'yes' if value == 'True' else 'no'}") if value else ""
    return format_amount(int(value)) if name in {"least", "most"} and value else value


def problems(wanted: Sequence[Entry]) -> list[Any]:
    """What keeps entries from being saved."""
    return list(problems_of(wanted, known()))


class ChangedMeanwhileError(Exception):
    """Somebody saved an entry while a file was being taken in: nothing of it is saved."""


def take_in(comparison: Comparison, actor: Staff) -> None:
    """Make the changes of a comparison, all or none. Raises ChangedMeanwhileError. What is new or changed is to be verified again: nobody here checked it."""
    bodies = [one for one in comparison.changes if isinstance(one.entry, BodyEntry)]
    for change in bodies:
        _take_body(change.entry, actor)
    db.session.flush()
    ids = dict(db.session.execute(select(Body.code, Body.id)).all())
    for change in bodies:  # once all are there
        body = queries.by_code(change.entry.code)
        if body is not None and isinstance(change.entry, BodyEntry):
            body.part_of_id = ids.get(change.entry.part_of)
    for change in comparison.changes:
        if isinstance(change.entry, ProgrammeEntry):
            _take_programme(change, ids, actor)


def _take_body(entry: Entry, actor: Staff) -> None:
    assert isinstance(entry, BodyEntry)  # noqa: S101 - chosen so
    facts = {name: getattr(entry, name) for name in (*_TEXTS_OF_BODY, "kind", "known_as", "website", "active")}
    facts["localities"] = list(entry.localities) or None
    body = queries.by_code(entry.code)
    if body is None:
        directory.add_body(entry.code, facts, actor, verified=False)
        return
    if not directory.save_body(body, body.version, facts, actor, verified=False):
        raise ChangedMeanwhileError
    body.verified_on = body.verified_by_id = None


def _take_programme(change: Change, ids: dict[str, int], actor: Staff) -> None:
    entry = change.entry
    assert isinstance(entry, ProgrammeEntry)  # noqa: S101 - chosen so
    facts = {name: getattr(entry, name) for name in (*_TEXTS_OF_PROGRAMME, "kind", "known_as", "answer_days", "active")}
    facts |= {"instruments": list(entry.instruments) or None, "body_id": ids[entry.body]}
    programme = queries.programme_by_code(entry.code)
    if programme is None:
        programme = Programme(code=entry.code, version=1, **facts)
        db.session.add(programme)
        db.session.flush()
        note("added", programme, actor)
    else:
        if not save_entry(programme, programme.version, actor, **facts):
            raise ChangedMeanwhileError
        programme.verified_on = programme.verified_by_id = None
    asks = {*LISTS, "team", "least", "most"}
    if change.new or any(name in asks for name, _was, _will in change.parts):
        set_terms(programme, entry.asked.kept(), since=clock.today(), actor=actor)
