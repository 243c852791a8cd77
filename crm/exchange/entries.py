"""Entries of the directory as they travel: from and to Open Referral HSDS 3 (JSON) and a sheet. Pure: no database, no page.

What identifies a person is not exchanged: who receives what a body is sent, and who verified an entry, stay here.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from crm.directory.matching import Asked
from crm.formats import is_website, read_amount
from crm.forms import whole
from crm.imports.reading import seen
from crm.partners.vocabulary import CODE, new_code
from crm.sheets import Value

HSDS = "3.0"
# Everything that is identified here is identified by a name within this one, so that it has the same number in each export.
NAMESPACE = uuid.UUID("6d1f4d0c-9a0e-5a55-8a0e-3b8d1f0c7a11")
IDENTIFIER = "passerelle"
LISTS = ("needs", "stages", "forms", "regions", "localities", "fields", "languages", "support")
BODY, PROGRAMME = "organization", "programme"
MOST_ENTRIES = 2000
LONGEST = {"name": 160, "short": 60, "territory": 160}
LONGEST_READ = 20_000  # signs of one text: a longer one is refused for its length
LONGEST_TEXT, LONGEST_CODE = 2000, {BODY: 30, PROGRAMME: 60}


@dataclass(frozen=True, kw_only=True)
class BodyEntry:
    """A body as it travels. `part_of` is the code of the body whose local office it is, `known_as` its number where it came from."""

    code: str
    known_as: str = ""
    kind: str = "network"
    name_fr: str
    name_en: str
    short_fr: str
    short_en: str
    offer_fr: str = ""
    offer_en: str = ""
    territory_fr: str = ""
    territory_en: str = ""
    website: str = ""
    part_of: str = ""
    localities: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class ProgrammeEntry:
    """A programme as it travels, with what it asks today. `body` is a code."""

    code: str
    known_as: str = ""
    body: str
    kind: str = "network"
    name_fr: str
    name_en: str
    text_fr: str
    text_en: str
    criteria_fr: str = ""
    criteria_en: str = ""
    instruments: tuple[str, ...] = ()
    answer_days: int | None = None
    active: bool = True
    asked: Asked = field(default_factory=Asked)


Entry = BodyEntry | ProgrammeEntry


@dataclass(frozen=True)
class Problem:
    """What keeps an entry from being read. `where` names it, `why` is a key of the texts `exchange.problem`."""

    where: str
    why: str
    value: str = ""


@dataclass(frozen=True)
class Known:
    """What entries may speak of: the codes of each vocabulary, and the bodies and programmes that are there, by the numbers under which they
    are known, here and elsewhere.
    """

    vocabularies: Mapping[str, Collection[str]]
    bodies: Mapping[str, str]
    programmes: Mapping[str, str]
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)  # what is there, by kind and code


class UnreadableError(Exception):
    """A file that holds no directory. `why` is a key of the texts `exchange.unreadable`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def number_of(kind: str, code: str) -> str:
    """The number under which something of ours is known elsewhere: the same for ever."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{code}"))


# --- HSDS ----------------------------------------------------------------------------------------------------------


def to_hsds(
    entries: Iterable[Entry], words: Mapping[str, Mapping[str, str]], verified: Mapping[str, str]
) -> dict[str, Any]:
    """The directory as HSDS 3: organizations, and their programmes as services. `words` say codes in French, by vocabulary; `verified` are
    the days on which programmes were verified, by code.
    """
    found = list(entries)
    bodies = {one.code: one for one in found if isinstance(one, BodyEntry)}
    return {
        "version": HSDS,
        "organizations": [_organization(one, bodies, words) for one in bodies.values()],
        "services": [
            _service(one, bodies[one.body], words, verified.get(one.code, ""))
            for one in found
            if isinstance(one, ProgrammeEntry) and one.body in bodies
        ],
    }


class _Attributes:
    """The attributes of one thing: codes of a vocabulary, and values that HSDS has no place for."""

    def __init__(self, owner: str, words: Mapping[str, Mapping[str, str]]) -> None:
        self.owner, self.words, self.made = owner, words, list[dict[str, Any]]()

    def codes(self, taxonomy: str, codes: Iterable[str]) -> None:
        for code in codes:
            said = self.words.get(taxonomy, {}).get(code, code)
            self._add(taxonomy, code, said)

    def value(self, name: str, value: object) -> None:
        if value not in {"", None}:
            self._add("passerelle", name, name, str(value))

    def _add(self, taxonomy: str, code: str, said: str, value: str = "") -> None:
        term = {
            "id": number_of("term", f"{taxonomy}:{code}"), "code": code, "name": said, "description": said, "taxonomy": taxonomy,
            "language": "fr",
        }  # fmt: skip
        number = number_of("attribute", f"{self.owner}:{taxonomy}:{code}")
        self.made.append(
            {"id": number, "link_type": taxonomy, "taxonomy_term": term} | ({"value": value} if value else {})
        )


def _organization(
    one: BodyEntry, bodies: Mapping[str, BodyEntry], words: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    attributes = _Attributes(f"{BODY}:{one.code}", words)
    attributes.codes("kind", [one.kind])
    attributes.codes("localities", one.localities)
    for name in ("name_en", "short_en", "offer_en", "territory_fr", "territory_en"):
        attributes.value(name, getattr(one, name))
    attributes.value("active", "" if one.active else "no")
    made: dict[str, Any] = {
        "id": _id(BODY, one),
        "name": one.name_fr,
        "alternate_name": one.short_fr,
        "description": one.offer_fr,
        "organization_identifiers": [
            {"id": number_of("identifier", one.code), "identifier_type": IDENTIFIER, "identifier": one.code}
        ],
        "attributes": attributes.made,
    }
    if one.website:
        made["website"] = one.website
    if one.part_of:
        whole = bodies.get(one.part_of)
        made["parent_organization_id"] = _id(BODY, whole) if whole else number_of(BODY, one.part_of)
    return made


def _service(
    one: ProgrammeEntry, body: BodyEntry, words: Mapping[str, Mapping[str, str]], verified: str
) -> dict[str, Any]:
    attributes = _Attributes(f"{PROGRAMME}:{one.code}", words)
    attributes.value("code", one.code)
    attributes.codes("kind", [one.kind])
    attributes.codes("instruments", one.instruments)
    for name in LISTS:
        attributes.codes(name, getattr(one.asked, name))
    for name in ("name_en", "text_en", "criteria_en"):
        attributes.value(name, getattr(one, name))
    attributes.value("answer_days", one.answer_days)
    for name in ("team", "least", "most"):
        value = getattr(one.asked, name)
        attributes.value(name, value if name == "team" or value is None else dollars(value))
    made: dict[str, Any] = {
        "id": _id(PROGRAMME, one),
        "name": one.name_fr,
        "description": one.text_fr,
        "status": "active" if one.active else "inactive",
        "organization": {"id": _id(BODY, body), "name": body.name_fr, "description": body.offer_fr},
        "attributes": attributes.made,
    }
    if one.criteria_fr:
        made["eligibility_description"] = one.criteria_fr
    if verified:
        made["assured_date"] = verified
    if one.asked.regions or one.asked.localities:
        made["service_areas"] = [
            {"id": number_of("area", f"{one.code}:{code}"), "name": words.get(name, {}).get(code, code)}
            for name in ("regions", "localities")
            for code in getattr(one.asked, name)
        ]
    if one.asked.languages:
        made["languages"] = [
            {
                "id": number_of("language", f"{one.code}:{code}"),
                "code": code,
                "name": words.get("languages", {}).get(code, code),
            }
            for code in one.asked.languages
        ]
    return made


def dollars(cents: int) -> str:
    """Cents as exchanged files write an amount, with a point.

    >>> dollars(123450)
    '1234.50'
    """
    return f"{cents // 100}.{cents % 100:02d}"


def from_hsds(document: object, known: Known) -> tuple[list[Entry], list[Problem]]:
    """The entries of an HSDS 3 document, and what could not be read of it. What is not ours gets a code made from its name.

    Organizations stand in a list of their own or within services; services may be the whole document, as the API's pages give them.
    Raises UnreadableError for what is no such document.
    """
    if isinstance(document, list):
        document = {"services": document}
    if not isinstance(document, dict):
        raise UnreadableError("shape")
    organizations, services = document.get("organizations", []), document.get("services", document.get("contents", []))
    if not isinstance(organizations, list) or not isinstance(services, list) or not (organizations or services):
        raise UnreadableError("shape")
    if len(organizations) + len(services) > MOST_ENTRIES:
        raise UnreadableError("many")
    reader = _Reader(known)
    for one in organizations:
        reader.organization(one)
    reader.offices()
    for one in services:
        reader.service(one)
    return reader.entries, reader.problems


# What a document of somebody else says of an organization, and of a service.
_SAID_BY_OTHERS = {
    BODY: ("name_fr", "short_fr", "offer_fr", "website"),
    PROGRAMME: ("name_fr", "text_fr", "criteria_fr", "body"),
}


class _Reader:
    """Reads organizations, then services, and remembers under which code each number is known."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []
        self._bodies, self._programmes = dict(known.bodies), dict(known.programmes)
        self._parents: dict[str, str] = {}
        self._read: set[str] = set()

    def organization(self, one: object) -> str:
        """The code of an organization, which is read unless it was."""
        if not isinstance(one, dict) or not _text(one, "id") or not _text(one, "name"):
            self.problems.append(
                Problem(_text(one, "name") or _text(one, "id") if isinstance(one, dict) else "?", "no_name")
            )
            return ""
        number, name = _text(one, "id").lower(), _text(one, "name")
        if number in self._read:
            return self._bodies[number]
        self._read.add(number)
        codes, values = _attributes(one)
        ours = next(
            (
                _text(each, "identifier")
                for each in _dicts(one, "organization_identifiers")
                if _text(each, "identifier_type") == IDENTIFIER
            ),
            "",
        )
        code = ours or self._bodies.get(number) or new_code(name, set(self._bodies.values()), LONGEST_CODE[BODY])
        self._bodies[number] = code
        if parent := _text(one, "parent_organization_id").lower():
            self._parents[code] = parent
        short = _text(one, "alternate_name") or name[:60].strip()
        offer = _text(one, "description")
        entry = BodyEntry(
            code=code,
            known_as=_theirs(number, BODY, code),
            kind=next(iter(codes.get("kind", ())), "network"),
            name_fr=name,
            name_en=values.get("name_en") or name,
            short_fr=short,
            short_en=values.get("short_en") or short,
            offer_fr=offer,
            offer_en=values.get("offer_en") or offer,
            territory_fr=values.get("territory_fr", ""),
            territory_en=values.get("territory_en", ""),
            website=_text(one, "website"),
            localities=tuple(codes.get("localities", ())),
            active=values.get("active") != "no",
        )
        self.entries.append(self._kept(BODY, entry, ours=bool(ours)))
        return code

    def offices(self) -> None:
        """Say of each local office whose it is, once all organizations were read."""
        for place, entry in enumerate(self.entries):
            if isinstance(entry, BodyEntry) and entry.code in self._parents:
                parent = self._bodies.get(self._parents[entry.code], "")
                self.entries[place] = replace(entry, part_of=parent)

    def service(self, one: object) -> None:
        if not isinstance(one, dict) or not _text(one, "id") or not _text(one, "name"):
            self.problems.append(Problem("?", "no_name"))
            return
        name, inner = _text(one, "name"), one.get("organization")
        number = _text(one, "organization_id").lower()
        if isinstance(inner, dict):
            number = _text(inner, "id").lower()
            body = self._bodies[number] if number in self._bodies else self.organization(inner)
        else:
            body = self._bodies.get(number, "")
        if not body:
            self.problems.append(Problem(name, "no_body"))
            return
        codes, values = _attributes(one)
        own = self._programmes.get(_text(one, "id").lower()) or values.get("code")
        code = own or new_code(f"{body} {name}", set(self._programmes.values()), LONGEST_CODE[PROGRAMME])
        self._programmes[_text(one, "id").lower()] = code
        text, criteria = _text(one, "description") or name, _text(one, "eligibility_description")
        try:
            asked = Asked(
                **{name: tuple(codes.get(name, ())) for name in LISTS},
                team=_number(values.get("team", "")),
                least=_cents(values.get("least", "")),
                most=_cents(values.get("most", "")),
            )
            days = _number(values.get("answer_days", ""))
        except ValueError as error:
            self.problems.append(Problem(name, "number", str(error)))
            return
        entry = ProgrammeEntry(
            code=code,
            known_as=_theirs(_text(one, "id").lower(), PROGRAMME, code),
            body=body,
            kind=next(iter(codes.get("kind", ())), "network"),
            name_fr=name,
            name_en=values.get("name_en") or name,
            text_fr=text,
            text_en=values.get("text_en") or text,
            criteria_fr=criteria,
            criteria_en=values.get("criteria_en") or criteria,
            instruments=tuple(codes.get("instruments", ())),
            answer_days=days,
            active=_text(one, "status") in {"", "active"},
            asked=asked,
        )
        self.entries.append(self._kept(PROGRAMME, entry, ours=bool(values.get("code"))))

    def _kept(self, kind: str, entry: Any, *, ours: bool) -> Any:
        """An entry with what is there of what the document does not speak of. Ours speaks of everything; another's has no place for most."""
        was = self.known.entries.get((kind, entry.code))
        if was is None:
            return entry
        number = entry.known_as or was.known_as
        if ours:
            return replace(entry, known_as=number)
        said = {name: getattr(entry, name) for name in _SAID_BY_OTHERS[kind]}
        if kind == PROGRAMME:
            said["active"] = entry.active
        for name in [name for name in said if name.endswith("_fr")]:
            english = f"{name[:-3]}_en"
            if getattr(was, english) == getattr(was, name):  # it was never written in English
                said[english] = said[name]
        return replace(was, known_as=number, **{name: value for name, value in said.items() if value != ""})


def _theirs(number: str, kind: str, code: str) -> str:
    """The number of something where it came from; nothing when it is ours."""
    return "" if number == number_of(kind, code) else number[:100]


def _id(kind: str, one: Entry) -> str:
    """The number that something is sent with: that of where it came from, when it is one as HSDS has them."""
    try:
        return str(uuid.UUID(one.known_as))
    except ValueError:
        return number_of(kind, one.code)


def _text(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    return seen(value[:LONGEST_READ]) if isinstance(value, str) else ""


def _dicts(one: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = one.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _attributes(one: Mapping[str, Any]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The codes of an organization or a service by taxonomy, and its values by name."""
    codes: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for each in _dicts(one, "attributes"):
        term = each.get("taxonomy_term")
        if not isinstance(term, dict) or not (code := _text(term, "code")):
            continue
        if _text(term, "taxonomy") == "passerelle":
            values[code] = _text(each, "value")
        else:
            codes.setdefault(_text(term, "taxonomy"), []).append(code)
    return codes, values


def _number(typed: str) -> int | None:
    number = whole(typed)
    if typed and (number is None or not 0 < number < 1000):
        raise ValueError(typed)
    return number


def _cents(typed: str) -> int | None:
    cents = read_amount(typed) if typed else None
    if typed and cents is None:
        raise ValueError(typed)
    return cents


# --- sheets --------------------------------------------------------------------------------------------------------

_PLAIN = (
    "entry", "code", "known_as", "of", "kind", "name_fr", "name_en", "short_fr", "short_en", "text_fr", "text_en", "territory_fr",
    "territory_en", "criteria_fr", "criteria_en", "website", "active", "instruments", "answer_days", *LISTS, "team", "least", "most",
)  # fmt: skip
_AS = {
    "offer_fr": "text_fr",
    "offer_en": "text_en",
    "part_of": "of",
    "body": "of",
}  # in one column with those of the other kind


def to_rows(entries: Iterable[Entry]) -> list[list[Value]]:
    """The directory as rows of a sheet, the titles first: one row for each body and each programme."""
    return [list(_PLAIN), *([_cells(one).get(title, "") for title in _PLAIN] for one in entries)]


def _cells(one: Entry) -> dict[str, Value]:
    kind = BODY if isinstance(one, BodyEntry) else PROGRAMME
    said: dict[str, Any] = {each.name: getattr(one, each.name) for each in fields(one)}
    asked = said.pop("asked", None)
    if asked is not None:
        said |= {name: getattr(asked, name) for name in (*LISTS, "team")}
        said |= {name: dollars(cents) for name in ("least", "most") if (cents := getattr(asked, name)) is not None}
    cells = {_AS.get(name, name): _cell(value) for name, value in said.items()}
    return {"entry": kind, **cells}


def _cell(value: Any) -> Value:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else "" if value is None else value


def from_rows(
    titles: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], known: Known
) -> tuple[list[Entry], list[Problem]]:
    """The entries of a sheet, and what could not be read of it; what has no column stays as it is. Raises UnreadableError when it is not a
    sheet of a directory.
    """
    columns = [title.strip().lower() for title in titles]
    if not {"entry", "code", "name_fr"} <= set(columns):
        raise UnreadableError("titles")
    entries: list[Entry] = []
    problems: list[Problem] = []
    for number, row in rows:
        cells = dict(zip(columns, row, strict=False))
        where = f"{number}: {cells.get('code', '')}"
        if len(entries) >= MOST_ENTRIES:
            raise UnreadableError("many")
        if not cells.get("code") or not cells.get("name_fr"):
            problems.append(Problem(where, "no_name"))
            continue
        try:
            entries.append(_with_what_is_there(_from_cells(cells), columns, known))
        except ValueError as error:
            problems.append(Problem(where, "number", str(error)))
        except KeyError:
            problems.append(Problem(where, "entry", cells.get("entry", "")))
    return entries, problems


def _with_what_is_there(entry: Entry, columns: Collection[str], known: Known) -> Entry:
    """An entry with what is there of what the sheet has no column for."""
    was: Any = known.entries.get((BODY if isinstance(entry, BodyEntry) else PROGRAMME, entry.code))
    if was is None:
        return entry
    parts = {each.name for each in fields(entry)} - {"code", "asked"}
    kept = {name: getattr(was, name) for name in parts if _AS.get(name, name) not in columns}
    if isinstance(entry, BodyEntry):
        return replace(entry, **kept)
    asked = {name: getattr(was.asked, name) for name in (*LISTS, "team", "least", "most") if name not in columns}
    return replace(entry, **kept, asked=replace(entry.asked, **asked))


def _from_cells(cells: Mapping[str, str]) -> Entry:
    """Raises KeyError for a kind of entry that is none, ValueError for a number that is none."""

    def said(name: str) -> str:
        return cells.get(name, "")

    def both(name: str) -> dict[str, Any]:
        return {f"{name}_fr": said(f"{name}_fr"), f"{name}_en": said(f"{name}_en") or said(f"{name}_fr")}

    def codes(name: str) -> tuple[str, ...]:
        return tuple(said(name).replace(",", " ").replace(";", " ").split())

    common: dict[str, Any] = {
        "code": said("code"),
        "known_as": said("known_as")[:100].lower(),
        "kind": said("kind") or "network",
        "active": said("active").lower() != "no",
    }
    if said("entry") == BODY:
        short: dict[str, Any] = {
            "short_fr": said("short_fr") or said("name_fr")[:60],
            "short_en": said("short_en") or said("short_fr") or said("name_fr")[:60],
        }
        offer: dict[str, Any] = {f"offer_{lang}": both("text")[f"text_{lang}"] for lang in ("fr", "en")}
        place: dict[str, Any] = {"website": said("website"), "part_of": said("of"), "localities": codes("localities")}
        return BodyEntry(**common, **both("name"), **short, **offer, **both("territory"), **place)
    if said("entry") != PROGRAMME:
        raise KeyError(said("entry"))
    asked = Asked(
        **{name: codes(name) for name in LISTS},
        team=_number(said("team")),
        least=_cents(said("least")),
        most=_cents(said("most")),
    )
    rest: dict[str, Any] = {
        "body": said("of"),
        "instruments": codes("instruments"),
        "answer_days": _number(said("answer_days")),
        "asked": asked,
    }
    return ProgrammeEntry(**common, **both("name"), **both("text"), **both("criteria"), **rest)


# --- whether entries can be taken in -------------------------------------------------------------------------------


def problems_of(entries: Sequence[Entry], known: Known) -> list[Problem]:
    """What keeps entries from being saved: codes that are none, texts that are too long, bodies that are not there."""
    bodies = {one.code: one for one in entries if isinstance(one, BodyEntry)}
    there = {*known.bodies.values(), *bodies}
    whole_of = {one.code: one.part_of for one in known.entries.values() if isinstance(one, BodyEntry)}
    whole_of |= {code: one.part_of for code, one in bodies.items()}
    with_programmes = {one.body for one in (*known.entries.values(), *entries) if isinstance(one, ProgrammeEntry)}
    found: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for one in entries:
        kind = BODY if isinstance(one, BodyEntry) else PROGRAMME
        if (kind, one.code) in seen:
            found.append(Problem(one.code, "twice"))
        seen.add((kind, one.code))
        if len(one.code) > LONGEST_CODE[kind] or not CODE.fullmatch(one.code):
            found.append(Problem(one.code[:60], "code"))
        for each in fields(one):
            value = getattr(one, each.name)
            limit = LONGEST.get(each.name[:-3], 200 if each.name == "website" else LONGEST_TEXT)
            if isinstance(value, str) and len(value) > limit:
                found.append(Problem(one.code, "long", each.name))
        found += [
            Problem(one.code, "unknown", code)
            for name, codes in _codes_of(one)
            for code in codes
            if code not in known.vocabularies[name]
        ]
        if isinstance(one, BodyEntry):
            if one.website and not is_website(one.website):
                found.append(Problem(one.code, "website", one.website[:80]))
            wrong = one.part_of not in there or one.part_of == one.code or whole_of.get(one.part_of)
            if one.part_of and (wrong or one.code in with_programmes or one.code in whole_of.values()):
                found.append(Problem(one.code, "part_of", one.part_of))
        else:
            if one.body not in there:
                found.append(Problem(one.code, "no_body", one.body))
            found += [Problem(one.code, "unknown", code) for code in one.asked.support if code not in there]
            if one.asked.least is not None and one.asked.most is not None and one.asked.most < one.asked.least:
                found.append(Problem(one.code, "amounts"))
    return found


def _codes_of(one: Entry) -> list[tuple[str, Sequence[str]]]:
    found: list[tuple[str, Sequence[str]]] = [("kind", [one.kind])]
    if isinstance(one, BodyEntry):
        return [*found, ("localities", one.localities)]
    lists = [(name, getattr(one.asked, name)) for name in LISTS if name != "support"]
    return [*found, ("instruments", one.instruments), *lists]
