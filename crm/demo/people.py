"""Who asks, and what for: the answers of one request."""

from random import Random
from typing import Any

from crm.demo.words import Idea, address, idea, in_words, person, said, stray
from crm.duplicates.matching import Traits

BOROUGHS = (
    "ahuntsic-cartierville", "cote-des-neiges-notre-dame-de-grace", "lachine", "lasalle", "le-plateau-mont-royal",
    "le-sud-ouest", "mercier-hochelaga-maisonneuve", "montreal-nord", "pierrefonds-roxboro",
    "rosemont-la-petite-patrie", "saint-laurent", "saint-leonard", "verdun", "ville-marie",
    "villeray-saint-michel-parc-extension",
)  # fmt: skip
REGIONS = (("06", 78), ("13", 6), ("16", 7), ("14", 3), ("15", 3), ("05", 1), ("03", 2))
# Outside the island, a project is placed by its city.
CITIES = {
    "03": "Québec",
    "05": "Sherbrooke",
    "13": "Laval",
    "14": "Repentigny",
    "15": "Saint-Jérôme",
    "16": "Longueuil",
}
STAGES = (("idea", 24), ("exploration", 30), ("planning", 18), ("incorporation", 9), ("launch", 8), ("operating", 6),
          ("conversion", 2), ("unknown", 3))  # fmt: skip
INCORPORATED = frozenset({"launch", "operating", "conversion"})
NEEDS = ("model", "form", "governance", "market", "plan", "tech", "legal", "funding", "network", "incubation")


AREAS = (514, 438, 450, 579, 354, 263, 418, 581, 367, 819, 873, 468)


def _one(rng: Random, shares: tuple[tuple[str, int], ...]) -> str:
    return rng.choices([code for code, _share in shares], [share for _code, share in shares])[0]


class Asked:
    """The answers of a request, and what an assessment makes of them."""

    def __init__(self, rng: Random, seed: int, number: int, ending: str | None) -> None:
        self.people = rng.randint(4, 28)
        borough = rng.choice(BOROUGHS)
        lang = idea(seed, number, "", self.people).lang
        self.region = _one(rng, REGIONS)
        self.place = CITIES.get(self.region) or in_words("cases.locality", borough, lang)
        words = (stray(rng, ending, lang) if ending else None) or idea(seed, number, self.place, self.people)
        self.idea: Idea = words
        self.lang = words.lang
        self.preferred = "either" if rng.random() < 0.08 else self.lang
        self.source = (
            "web"
            if words.stray in {"spam", "error"}
            else _one(rng, (("web", 84), ("phone", 7), ("event", 5), ("partner", 4)))
        )
        self.person = words.person or person(rng, self.lang)
        self.role = _one(rng, (("lead", 48), ("team", 28), ("org", 16), ("behalf", 6), ("other", 2)))
        self.mode = _one(rng, (("email", 48), ("phone", 32), ("video", 20)))
        self.email = address(rng, self.person, words.name) if self.mode != "phone" or rng.random() < 0.7 else ""
        # Numbers kept for examples end in 0100 to 0199: each file its own for as long as there are some.
        self.area = AREAS[number // 100 % len(AREAS)]
        self.phone_end: int | None = None
        if self.mode == "phone" or rng.random() < 0.55:
            self.phone_end = number % 100
        self.extension = (
            str(rng.randint(10, 299))
            if self.phone_end is not None and self.role == "org" and rng.random() < 0.4
            else ""
        )
        self.name = words.name if words.stray or rng.random() < 0.88 else ""
        self.stage = _one(rng, STAGES)
        self.description = words.about if words.stray else f"{words.about} {said(rng, 'stands', self.lang, self.stage)}"
        self.legal_form = self._form_said(rng)
        self.incorporated = None if words.stray else self.stage in INCORPORATED
        if ending == "out_area":
            self.region = "abroad" if self.lang == "fr" else "canada"
        self.locality = borough if self.region == "06" and rng.random() < 0.9 else ""
        self.needs = words.needs if words.stray else self._needs_said(rng)
        self.needs_found: tuple[str, ...] = ()
        self.answers = self._answers()

    def _form_said(self, rng: Random) -> str:
        """Many hesitate when they write to us; the assessment settles it."""
        if self.idea.stray:
            return self.idea.legal_form
        if self.stage in {"incorporation", "launch", "operating"}:
            return self.idea.legal_form
        family = "npo" if self.idea.legal_form.startswith("npo") else "coop"
        return rng.choice((self.idea.legal_form, family, family, "undecided"))

    def _needs_said(self, rng: Random) -> tuple[str, ...]:
        if self.stage == "unknown":
            return ("unknown",)
        more = [need for need in NEEDS if need not in self.idea.needs]
        chosen = [*rng.sample(self.idea.needs, k=rng.randint(1, 3)), *rng.sample(more, k=rng.randint(0, 1))]
        return tuple(sorted(chosen))

    def _answers(self) -> dict[str, Any]:
        """Under the names of the request form, as it keeps them: what was left blank is not there."""
        coop = self.legal_form.startswith("coop")
        npo = self.legal_form.startswith("npo")
        extension = f", {'poste' if self.lang == 'fr' else 'ext.'} {self.extension}" if self.extension else ""
        every = {
            "lang_pref": self.preferred,
            "contact_name": self.person,
            "contact_role": self.role,
            "behalf_known": "yes" if self.role == "behalf" else "",
            "contact_mode": self.mode,
            "email": self.email,
            "phone": "" if self.phone_end is None else f"{self.area} 555-01{self.phone_end:02d}{extension}",
            "project_name": self.name,
            "description": self.description,
            "sector": self.idea.sector,
            "stage": self.stage,
            "legal_form": "coop" if coop else "npo" if npo else self.legal_form,
            "coop_type": self.legal_form if coop else "",
            "incorporated": "" if self.incorporated is None else "yes" if self.incorporated else "no",
            "region": self.region,
            "locality": self.locality,
            "needs": list(self.needs),
        }
        return {name: value for name, value in every.items() if value}

    def assess(self, rng: Random) -> None:
        """What is known after a talk: a name, a form, where the project stands, needs that the request left out."""
        self.name = self.name or self.idea.name
        self.legal_form = self.idea.legal_form
        if self.stage in {"idea", "unknown"}:
            self.stage = rng.choice(("exploration", "planning"))
        self.needs_found = tuple(sorted(need for need in self.idea.needs if need not in self.needs))

    @property
    def phone(self) -> str:
        return "" if self.phone_end is None else f"+1{self.area}55501{self.phone_end:02d}"

    def contact(self) -> tuple[str, ...]:
        """Columns of a contact, after its id."""
        return self.person, self.role, self.preferred, self.mode, self.email, self.phone, self.extension

    def traits(self) -> Traits:
        """What the file is compared by."""
        _person, _role, _language, _mode, email, phone, extension = self.contact()
        return Traits(
            name=self.person, email=email, phone=phone, extension=extension, project=self.name, sector=self.idea.sector,
            place=self.locality or (self.region if self.region != "06" else ""),
        )  # fmt: skip

    def project(self) -> tuple[object, ...]:
        """Columns of a project, from its name to its locality."""
        return (
            self.name, self.description, self.idea.sector, "", self.stage, self.legal_form, self.incorporated, self.region,
            self.locality,
        )  # fmt: skip
