"""What a column of a sheet may hold, and how its cells are read. Pure: no database, no web.

A row is read the same way at the rehearsal and at the import: from its cells and the `Plan`. What cannot be read is never lost: it is a
remark, which is kept in a note of the file, or a fault, for which no file can be made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from crm.duplicates.matching import folded
from crm.formats import read_email, read_neq, read_phone
from crm.tags.services import MOST_ON_A_FILE, read_name

NOTE = "note"
NEW = "new"  # said of a word: it becomes a tag of its own
LEFT_OUT = ""
LONGEST = {"name": 120, "project": 120, "description": 5000, "next_step": 200, "number": 60}
NEAR = 72  # of 100
# What our own report of rows adds to a sheet that is corrected and brought back.
REPORT = frozenset({"ligne", "row", "quoi", "what", "pourquoi", "why"})
MAY_BE_BLANK = frozenset({"owner", "locality", "closing_reason", "tags"})
NUMBERED = frozenset({"owner", "tags"})  # fields whose codes are numbers, which nobody writes in a sheet
LISTED = frozenset({"needs", "tags"})  # fields of which a cell may hold several words
FARTHEST = 730  # days ahead that somebody may plan
FIRST_DAY = date(1990, 1, 1)
# Where the words of a field are, and what stands in a blank cell unless somebody says otherwise.
WORDS = {
    "language": "imports.language",
    "stage": "cases.stage",
    "closing_reason": "cases.closing_reason",
    "owner": "",
    "source": "cases.source",
    "sector": "cases.sector",
    "project_stage": "cases.project_stage",
    "legal_form": "cases.legal_form",
    "region": "cases.region",
    "locality": "cases.locality",
    "needs": "cases.need",
    "tags": "",
}
BLANK = {
    "language": "fr",
    "stage": "contact",
    "closing_reason": "",
    "owner": "",
    "source": "phone",
    "sector": "unknown",
    "project_stage": "unknown",
    "legal_form": "undecided",
    "region": "06",
    "locality": "",
    "needs": "unknown",
    "tags": "",
}
DATES = ("received", "closed", "next_step_on")
FIELDS = (
    "name", "email", "phone", "language",
    "project", "description", "sector", "project_stage", "legal_form", "neq", "region", "locality", "needs", "tags",
    "number", "received", "source", "stage", "owner", "closed", "closing_reason", "next_step", "next_step_on",
    NOTE,
)  # fmt: skip
SEVERAL = frozenset({NOTE, "needs", "tags", "description"})  # fields that several columns may feed
# Titles that sheets give to columns, folded; the words of our own labels are known beside these.
TITLES = {
    "name": "nom|nom complet|prenom et nom|nom et prenom|contact|personne|personne contact|personne ressource|promoteur|promotrice|promoteurs"
    "|entrepreneur|porteur|porteuse|porteur de projet|name|full name|contact name|contact person|founder",
    "email": "courriel|courriels|email|e mail|mail|adresse courriel|email address|adresse electronique",
    "phone": "telephone|tel|no tel|no de telephone|numero de telephone|cellulaire|cell|mobile|phone|phone number",
    "language": "langue|language|langue de correspondance|fr en|langue preferee",
    "project": "projet|nom du projet|titre|titre du projet|organisation|organisme|entreprise|project|project name|organization|company|cooperative|coop",
    "description": "description|resume|description du projet|idee|summary|about|project description",
    "sector": "secteur|secteur d activite|domaine|sector|field|industry|activity",
    "project_stage": "stade|stade du projet|phase|phase du projet|avancement|maturity|project stage",
    "legal_form": "forme juridique|statut juridique|type|type d organisation|legal form|legal status|structure",
    "neq": "neq|no entreprise|numero d entreprise|enterprise number",
    "region": "region|region administrative",
    "locality": "arrondissement|ville|quartier|borough|city|municipalite",
    "needs": "besoins|besoin|needs|need|demande|besoins exprimes",
    "tags": "etiquette|etiquettes|mot cle|mots cles|categorie|categories|cohorte|tag|tags|keyword|keywords|category|categories|cohort",
    "number": "no|numero|no dossier|numero de dossier|id|identifiant|number|file number|case number|reference",
    "received": "date|date de reception|recu le|date de la demande|date de contact|premier contact|date du premier contact|date d entree|received"
    "|received on|request date|first contact|created|date created|created at",
    "source": "source|provenance|canal|origine|channel",
    "stage": "etape|statut|etat|suivi|statut du dossier|etape du dossier|status|stage|state|pipeline",
    "owner": "responsable|conseiller|conseillere|suivi par|assigne a|owner|adviser|advisor|assigned to|agent",
    "closed": "date de fermeture|ferme le|date de fin|closed|closed on|date closed|end date",
    "closing_reason": "motif de fermeture|raison de fermeture|motif|closing reason|reason",
    "next_step": "prochaine etape|prochaine action|a faire|suite|next step|next action|to do",
    "next_step_on": "date de relance|relance|date du prochain suivi|prochain suivi|echeance|rappel|follow up|follow up date|next step date|due|due date",
    NOTE: "note|notes|commentaire|commentaires|remarque|remarques|historique|comment|comments|history",
}
_FIELD_OF_TITLE = {title: name for name, titles in TITLES.items() for title in titles.split("|")}
# Words that sheets use for some codes, beside our labels in both languages.
SAYINGS = {
    "language": "fr:francais|french|f|francophone;en:anglais|english|a|e|anglophone;either:bilingue|les deux|bilingual|both|fr en|fra ang",
    "stage": "new:nouveau|nouvelle|new|a traiter;contact:premier contact|contacte|a rappeler|en contact|contacted;discovery:en cours|en analyse|analyse"
    "|in progress;paused:en pause|en attente|pause|on hold;closed:ferme|termine|clos|archive|closed|done|archived"
    ";launched:lance|launched",
    "legal_form": "coop:coop|cooperative|co op;npo:obnl|osbl|npo|non profit|nonprofit;coop_work:coop de travail|cooperative de travail|cooperative de travailleurs"
    "|worker coop|worker co op;coop_solidarity:coop de solidarite|coop solidarite|solidarity coop|solidarity co op;coop_producer:coop de producteurs"
    "|producer coop;coop_consumer:coop de consommateurs|consumer coop;share_corp:inc|compagnie|corporation|s a|entreprise privee"
    ";undecided:a determiner|indecis|a preciser|tbd|undecided;unincorporated:non incorpore|informel|aucune|none",
    "region": "06:mtl|ile de montreal|montreal island;13:laval;16:monteregie|rive sud|longueuil|south shore",
    "source": "web:web|site web|site|formulaire|internet|website|form;phone:tel|telephone|appel|phone|call;event:evenement|kiosque|atelier"
    "|event;partner:partenaire|reference|refere|partner|referral",
    "needs": "funding:financement|argent|subvention|funding|money;legal:juridique|legal;plan:plan d affaires|business plan;tech:techno|technologie|technology|tech"
    ";governance:gouvernance|governance",
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier january janv jan", "fevrier february fevr fev feb", "mars march mar", "avril april avr apr", "mai may",
            "juin june jun", "juillet july juil jul", "aout august aou aug", "septembre september sept sep", "octobre october oct",
            "novembre november nov", "decembre december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip


_WEEKDAYS = frozenset(
    [
        "lundi",
        "mardi",
        "mercredi",
        "jeudi",
        "vendredi",
        "samedi",
        "dimanche",
        "lun",
        "mar",
        "mer",
        "jeu",
        "ven",
        "sam",
        "dim",
        "le",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
    ]
)


@dataclass(frozen=True)
class Plan:
    """How a sheet is read: the field of each column by its place, the code of each word that needed a choice, what a blank cell means,
    and whether 03/04 is the third of April ("dmy") or the fourth of March ("mdy"), or years of two digits come first ("ymd").
    """

    columns: Mapping[int, str]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    blank: Mapping[str, str] = field(default_factory=lambda: BLANK)
    days: str = "dmy"

    @staticmethod
    def of(kept: Mapping[str, Any]) -> "Plan":
        """A plan as `kept` wrote it."""
        columns = {int(place): name for place, name in kept.get("columns", {}).items()}
        return Plan(columns, kept.get("words", {}), BLANK | kept.get("blank", {}), kept.get("days", "dmy"))

    def kept(self) -> dict[str, Any]:
        """The plan as a row of the database holds it."""
        columns = {str(place): name for place, name in self.columns.items()}
        return {"columns": columns, "words": dict(self.words), "blank": dict(self.blank), "days": self.days}


@dataclass
class Reading:
    """One row as it was read. `faults` are (key, field, cell); `remarks` are (title of the column, cell)."""

    values: dict[str, Any]
    faults: list[tuple[str, str, str]]
    remarks: list[tuple[str, str]]


Known = Mapping[str, Mapping[str, str]]  # by field: the code of each folded word


def field_of(title: str, labels: Mapping[str, str]) -> str:
    """The field that a column's title names, or a note. `labels` are our own names of fields, folded."""
    words = folded(title)
    if words in REPORT:
        return LEFT_OUT
    return labels.get(words) or _FIELD_OF_TITLE.get(words, NOTE)


def guessed(titles: Sequence[str], labels: Mapping[str, str]) -> dict[int, str]:
    """A field for each column; one that another column has already is kept in a note."""
    found: dict[int, str] = {}
    for place, title in enumerate(titles):
        name = field_of(title, labels) if title else NOTE
        found[place] = NOTE if name and name in found.values() and name not in SEVERAL else name
    return found


def known_words(labels: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, dict[str, str]]:
    """The code of each word, by field: codes, the labels of both languages (`labels`) and what sheets say.

    A word that stands for two codes is not known: somebody is asked. The number of a colleague or of a tag is nobody's name.
    """
    found: dict[str, dict[str, str]] = {}
    for name, codes in labels.items():
        words = found.setdefault(name, {})
        for one in SAYINGS.get(name, "").split(";"):
            code, _, said = one.partition(":")
            words.update(dict.fromkeys(said.split("|") if said else (), code))
        ours: dict[str, set[str]] = {}
        for code, said_so in codes.items():
            for word in said_so if name in NUMBERED else (code, *said_so):
                ours.setdefault(folded(word), set()).add(code)
        for word, meant in ours.items():
            if len(meant) == 1:
                words[word] = next(iter(meant))
            else:
                words.pop(word, None)
    return found


def nearest(word: str, labels: Mapping[str, Sequence[str]]) -> str:
    """The code whose words are nearest to one that is not understood; empty when none is near.

    >>> nearest("Coop. de solidarité", {"coop_solidarity": ["Coopérative de solidarité"], "npo": ["OBNL"]})
    'coop_solidarity'
    """
    from rapidfuzz import fuzz  # noqa: PLC0415 - several megabytes, for who brings a sheet

    scored = [
        (fuzz.token_set_ratio(folded(word), folded(said)), code) for code, said_so in labels.items() for said in said_so
    ]
    best, code = max(scored, default=(0, ""))
    return code if best >= NEAR else ""


def split(cell: str) -> list[str]:
    """The words of a cell that holds several.

    >>> split("Financement, gouvernance ; plan d’affaires")
    ['Financement', 'gouvernance', 'plan d’affaires']
    """
    return [word for part in re.split(r"[;,\n/|•]", cell) if (word := part.strip())]


def words_of(name: str, cell: str) -> list[str]:
    """The words of a cell that are looked up for a field."""
    return split(cell) if name in LISTED else [cell] if cell else []


def read_date(cell: str, days: str) -> date | None:
    """A day however it is written; None when it is not one, or when it could be another.

    >>> [str(read_date(cell, "dmy")) for cell in ("2026-03-04", "4/3/2026", "4 mars 2026", "Mar. 4, 26", "46085", "hier")]
    ['2026-03-04', '2026-03-04', '2026-03-04', '2026-03-04', '2026-03-04', 'None']
    >>> str(read_date("4/3/2026 10:30", "mdy")), str(read_date("24-05-13", "dmy")), str(read_date("24-05-13", "ymd"))
    ('2026-04-03', 'None', '2024-05-13')
    """
    bare = re.sub(r"[T ,à@]*\d{1,2} ?[:h] ?\d{2}.*$", "", cell)
    words = re.sub(r"(\d)(er|st|nd|rd|th)\b", r"\1", folded(bare))
    parts = words.split()
    if len(parts) > 3 and parts[0] in _WEEKDAYS:
        parts = parts[1:]
    if len(parts) == 1 and re.fullmatch(r"(19|20)\d{6}", parts[0]):
        return _day(parts[0][:4], int(parts[0][4:6]), parts[0][6:])
    if len(parts) == 1 and re.fullmatch(r"[345]\d{4}", parts[0]):  # how Excel keeps a day: days since 1899
        return date(1899, 12, 30) + timedelta(days=int(parts[0]))
    named = [part for part in parts if part in _MONTHS]
    numbers = [part for part in parts if part.isascii() and part.isdigit()]
    if len(named) == 1 and len(numbers) == 2:
        year_first = len(numbers[0]) == 4
        year, day = (numbers[0], numbers[1]) if year_first else (numbers[1], numbers[0])
        return _day(year, _MONTHS[named[0]], day)
    if named or len(numbers) != 3:
        return None
    return _of_numbers(numbers, days, dashed="-" in bare)


def _of_numbers(numbers: Sequence[str], days: str, *, dashed: bool) -> date | None:
    first, second, third = numbers
    if len(first) == 4 or days == "ymd" or (len(third) == 2 and int(first) > 31):
        return _day(first, int(second), third)
    if len(third) == 2 and dashed and int(third) <= 31:  # 24-05-13: which end is the year?
        return None
    return _day(third, int(second), first) if days == "dmy" else _day(third, int(first), second)


def _day(year: str, month: int, day: str) -> date | None:
    if len(year) not in {2, 4} or len(day) > 2:
        return None
    try:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, int(day))
    except ValueError:
        return None


def order_of_days(cells: Sequence[str]) -> str:
    """Whether days, months or years come first in dates such as 03/04/2026 and 24-05-13: what most cells that can only be read one way say."""
    said = {"dmy": 0, "mdy": 0, "ymd": 0}
    for cell in cells:
        found = re.match(r"(\d{1,2})([/.\- ])(\d{1,2})[/.\- ](\d{4}|\d{2})(?!\d)", cell)
        if found is None:
            continue
        first, second, last = int(found[1]), int(found[3]), found[4]
        if len(last) == 2 and found[2] == "-" and (first > 31 or int(last) <= 31):
            said["ymd"] += first > 31  # otherwise nothing says which end is the year
        elif first > 12:
            said["dmy"] += 1
        elif second > 12:
            said["mdy"] += 1
    return max(said, key=lambda order: said[order])


def read_row(cells: Sequence[str], titles: Sequence[str], plan: Plan, known: Known, today: date) -> Reading:
    """Read one row. `known` holds the code of each word; codes that a plan chose come first."""
    row = Reading({}, [], [])
    by_field: dict[str, list[tuple[str, str]]] = {}
    for place, cell in enumerate(cells):
        title = titles[place] if place < len(titles) else ""
        if place >= len(titles) and cell:
            row.faults.append(("ragged", NOTE, cell[:60]))
        name = plan.columns.get(place, LEFT_OUT)
        if cell and name:
            by_field.setdefault(name, []).append((title, cell))
    for name in FIELDS:
        given = by_field.get(name, [])
        if name in WORDS:
            _read_words(row, name, given, plan, known)
        elif name in DATES:
            _read_date(row, name, given, plan, today)
        elif name != NOTE:
            _read_text(row, name, given)
    _judge(row, by_field, today)
    row.values["notes"] = by_field.get(NOTE, []) + row.remarks
    return row


def _read_text(row: Reading, name: str, given: Sequence[tuple[str, str]]) -> None:
    cell = "\n\n".join(cell for _, cell in given)
    title = given[0][0] if given else ""
    if name != "description":
        cell = " ".join(cell.split())
    read: Any = cell
    if name == "email":
        read = read_email(cell) if cell else ""
    elif name == "phone":
        read = read_phone(cell) if cell else ("", "")
    elif name == "neq":
        read = read_neq(cell) if cell else ""
    elif len(cell) > LONGEST[name]:
        row.remarks.append((title, cell))
        read = cell[: LONGEST[name] - 1].rstrip() + "…"
    if read is None:
        row.remarks.append((title, cell))
        read = ("", "") if name == "phone" else ""
    row.values[name] = read


def _read_words(row: Reading, name: str, given: Sequence[tuple[str, str]], plan: Plan, known: Known) -> None:
    chosen, codes, new = plan.words.get(name, {}), list[str](), list[str]()
    for title, cell in given:
        for word in words_of(name, cell):
            key = folded(word)
            code = chosen.get(key, known.get(name, {}).get(key))
            if name == "tags" and len(new) + len(codes) >= MOST_ON_A_FILE:
                code = None
            elif name == "tags" and code == NEW:
                if tag := read_name(word):
                    new.append(tag)
                    continue
                code = None
            if code:
                codes.append(code)
            if code is None or key in chosen:  # what was chosen for a word may say less than the word did
                row.remarks.append((title, word))
    codes = list(dict.fromkeys(codes))
    if not codes and not new:
        codes = [code for code in (plan.blank.get(name, ""),) if code]
    row.values[name] = codes if name in LISTED else codes[0] if codes else ""
    if name == "tags":
        row.values["new_tags"] = list(dict.fromkeys(new))


def _read_date(row: Reading, name: str, given: Sequence[tuple[str, str]], plan: Plan, today: date) -> None:
    cell = given[0][1] if given else ""
    read = read_date(cell, plan.days) if cell else None
    if cell and (read is None or read < FIRST_DAY or read > today + timedelta(days=FARTHEST)):
        row.values[name] = None
        if name == "next_step_on":
            row.remarks.append(given[0])
        else:
            row.faults.append(("date", name, cell[:60]))
        return
    row.values[name] = read


def _judge(row: Reading, cells: Mapping[str, list[tuple[str, str]]], today: date) -> None:
    """What no file can be made of; and what a file has no place for, which goes to a note."""
    values = row.values
    is_closed = values["stage"] == "closed"
    if is_closed and not values["received"]:
        values["received"] = values["closed"]
    if not values["name"]:
        row.faults.append(("empty", "name", ""))
    for name in ("received", "closed"):
        if values[name] and values[name] > today and ("future", name, values[name].isoformat()) not in row.faults:
            row.faults.append(("future", name, values[name].isoformat()))
    if not is_closed and not values["email"] and not values["phone"][0]:
        row.faults.append(("reach", "email", ""))
    if is_closed and not values["closing_reason"]:
        row.faults.append(("empty", "closing_reason", ""))
    if is_closed and values["closed"] and values["closed"] < values["received"]:
        row.faults.append(("order", "closed", values["closed"].isoformat()))
    homeless: tuple[str, ...] = ("next_step", "next_step_on") if is_closed else ("closed", "closing_reason")
    homeless += ("locality",) if values["region"] != "06" else ()
    for name in homeless:
        row.remarks += [one for one in cells.get(name, ()) if one not in row.remarks]
