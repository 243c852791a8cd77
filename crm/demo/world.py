"""What all files of a demonstration share: the team, the bodies, the days, and how lively it all is."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product

from crm import clock
from crm.cases.services import DIGITS, LETTERS
from crm.demo.workdays import Workdays, after
from crm.i18n import format_date, speaking
from crm.partners.vocabulary import BodyKind
from crm.permissions.services import listed
from crm.texts import fill, pair

REFERENCES = (len(DIGITS) * len(LETTERS)) ** 4
# A demonstration shows a few reminders leaving, not a flood of them.
MOST_UNREMINDED = 6
TALK_TIMES = ((10, 0), (14, 0), (15, 30), (11, 0), (9, 30), (13, 0))


@dataclass(frozen=True)
class Mate:
    """A colleague, by what the history needs to know."""

    id: int
    name: str
    role: str
    language: str


@dataclass(frozen=True, eq=False)
class Partner:
    """A body files are referred to. Compared as one and the same, never by its names."""

    id: int
    kind: BodyKind
    language: str
    names: Mapping[str, str]
    short: Mapping[str, str]


@dataclass(frozen=True)
class Mix:
    """How a programme goes: how likely a file is still open by its age in days, how closed ones ended, how much of what
    came due was done in time, how much staff write, and which share of the requests came in the last five days.
    """

    open_by_age: tuple[tuple[int, float], ...]
    endings: Mapping[str, int]
    tended: float
    talkative: float
    rush: float


PROGRAMME = Mix(
    open_by_age=((45, 0.9), (90, 0.7), (180, 0.45), (365, 0.25), (1000, 0.12)),
    endings={
        "spam": 3, "duplicate": 3, "error": 1, "out_scope": 7, "out_area": 4, "withdrawn": 4, "no_answer": 9,
        "answered": 16, "other_model": 4, "abandoned": 8, "suspended": 5, "consent": 1, "partner_ok": 26,
        "launched_ok": 9,
    },
    tended=0.7,
    talkative=0.8,
    rush=0.03,
)  # fmt: skip
CROWD = Mix(
    open_by_age=((30, 0.8), (90, 0.5), (180, 0.25), (365, 0.12), (1000, 0.06)),
    endings={
        "spam": 16, "duplicate": 5, "error": 2, "out_scope": 23, "out_area": 10, "withdrawn": 9, "no_answer": 8,
        "answered": 17, "other_model": 2, "abandoned": 2, "suspended": 2, "consent": 1, "partner_ok": 2,
        "launched_ok": 1,
    },
    tended=0.04,
    talkative=0.1,
    rush=0.009,
)  # fmt: skip


# What the team wrote of the last quarter: names nobody.
WRITTEN = {
    "fr": {
        "text": "Le trimestre a été marqué par des projets de livraison de proximité et de partage d’équipements, souvent menés par des équipes de deux ou trois personnes qui ne connaissaient pas encore le modèle coopératif.\n\nLes premiers échanges ont surtout porté sur la gouvernance : qui est membre, et de quoi. L’équipe a répondu par des rencontres plutôt que par des documents.",
        "learned": "Une rencontre dès les premiers jours change la suite : un projet avance plus vite quand la personne qui le porte a parlé à quelqu’un que quand elle a seulement reçu de la documentation.",
        "missing": "Il manque du financement de prédémarrage pour le développement technologique, avant la constitution de la coopérative, et de l’accompagnement juridique sur les données des membres.",
    },
    "en": {
        "text": "The quarter was marked by projects in local delivery and in sharing equipment, often led by teams of two or three people who did not know the co-operative model yet.\n\nFirst conversations were mostly about governance: who is a member, and of what. The team answered with meetings rather than documents.",
        "learned": "A meeting in the first days changes what follows: projects whose lead spoke with somebody move faster than those whose lead only received documentation.",
        "missing": "Pre-start-up financing is missing for technological development before a co-operative is incorporated, as is legal support about members’ data.",
    },
}


@dataclass
class World:
    """Made once per load. `unreminded` counts the follow-ups left for the worker; `booked` the talks to come."""

    seed: int
    prefix: str
    today: date
    days: Workdays
    mix: Mix
    team: tuple[Mate, ...]
    bodies: tuple[Partner, ...]
    notice_version: str
    permission_version: str
    tags: tuple[int, ...]
    unreminded: int = 0
    booked: dict[int, Iterator[datetime]] = field(default_factory=dict)

    @property
    def duty(self) -> Mate:
        return self.one("coordinator")

    def one(self, role: str) -> Mate:
        return next(mate for mate in self.team if mate.role == role)

    def advisers(self, lang: str) -> tuple[list[Mate], list[int]]:
        """Who takes a file of a language, and how often."""
        takers = [mate for mate in self.team if mate.role in {"adviser", "coordinator"}]
        shares = [2 if mate.role == "coordinator" else 9 if mate.language == lang else 1 for mate in takers]
        return takers, shares

    def reference(self, number: int) -> str:
        """Each number below `REFERENCES` has its own: the step shares no factor with their count."""
        spread = int.from_bytes(hashlib.sha256(f"{self.seed}:references".encode()).digest()[:8])
        place = (number * 194_899_729 + spread) % REFERENCES
        signs = []
        for turn in range(8):
            alphabet = DIGITS if turn % 2 == 0 else LETTERS
            place, sign = divmod(place, len(alphabet))
            signs.append(alphabet[sign])
        return f"{self.prefix}-{''.join(signs[:4])}-{''.join(signs[4:])}"

    def free_slot(self, adviser: Mate) -> datetime | None:
        """The adviser's next free time for a talk in the two weeks ahead; None when all are taken."""
        if adviser.id not in self.booked:
            first = after(self.today, 0)
            days = [first, *(after(first, count) for count in range(1, 10))]
            # Not every adviser keeps the same hours: two talks never start together.
            shift = [mate.id for mate in self.team].index(adviser.id)
            self.booked[adviser.id] = iter(
                clock.at_local(day, hour, minute) for (hour, minute), day in product(TALK_TIMES[shift % 2 :: 2], days)
            )
        return next(self.booked[adviser.id], None)

    def permission_text(self, partner: Partner, lang: str, purpose: str, fields: list[str], until: date) -> str:
        """What the person was shown or read, word for word."""
        return fill(
            pair("permissions.shown")[lang],
            {
                "body": partner.names[lang],
                "purpose": purpose,
                "list": _listed(fields, lang),
                "date": format_date(until, lang),
            },
        )


def _listed(fields: list[str], lang: str) -> str:
    with speaking(lang):
        return listed(fields)
