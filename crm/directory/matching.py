"""Which programmes fit a project, criterion by criterion. Pure: no database, no page. It suggests; staff decide, and nothing is ever refused by it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from crm.cases.vocabulary import LegalForm, Need, ProjectStage
from crm.partners.vocabulary import BodyKind

Range = tuple[int, int | None]  # the least, and the most; none: there is no most


class Criterion(StrEnum):
    """What a programme may ask of a project, in the order in which people read it."""

    NEED = "need"
    STAGE = "stage"
    FORM = "form"
    TERRITORY = "territory"
    FIELD = "field"
    AMOUNT = "amount"
    TEAM = "team"
    LANGUAGE = "language"
    SUPPORT = "support"


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


class Fit(StrEnum):
    """What the criteria say together, the best first."""

    FITS = "fits"  # all are met
    CHECK = "check"  # none is against it, some are not known
    AGAINST = "against"  # at least one is not met


# What each kind of programme is there for, when it does not say itself: domain reference, sections 2.1, 2.2 and 4.
NEEDS_OF: Mapping[BodyKind, tuple[str, ...]] = {
    BodyKind.ASSISTANCE: (
        Need.MODEL, Need.FORM, Need.GOVERNANCE, Need.MARKET, Need.PLAN, Need.TECH, Need.LEGAL, Need.GROWTH,
    ),
    BodyKind.FINANCING: (Need.FUNDING,),
    BodyKind.INCUBATION: (Need.INCUBATION,),
    BodyKind.NETWORK: (Need.NETWORK,),
    BodyKind.PUBLIC: (),
}  # fmt: skip
# What the answers of the request stand for, in cents and in people: domain reference, questions 11 and 15.
BANDS: Mapping[str, Range] = {
    "under_10k": (0, 999_999),
    "10k_49k": (1_000_000, 4_999_999),
    "50k_249k": (5_000_000, 24_999_999),
    "250k_999k": (25_000_000, 99_999_999),
    "1m_plus": (100_000_000, None),
}
TEAMS: Mapping[str, Range] = {"1": (1, 1), "2": (2, 2), "3_4": (3, 4), "5_9": (5, 9), "10_plus": (10, None)}
MONTREAL = "06"
_FAMILIES = {LegalForm.COOP: "coop_", LegalForm.NPO: "npo_"}
_LISTS = ("needs", "stages", "forms", "regions", "localities", "fields", "languages", "support", "kinds")


@dataclass(frozen=True)
class Asked:
    """What a programme, or a rule, asks of a project: sets of codes (none: it does not matter), the fewest people of the group, and the
    amounts it gives, in cents. `kinds` are the kinds of programmes that a rule speaks of.
    """

    needs: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    localities: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    support: tuple[str, ...] = ()  # codes of bodies, of which one supports the project
    kinds: tuple[str, ...] = ()
    team: int | None = None
    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        for name in _LISTS:  # in one order, so that two that ask the same are equal
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Asked":
        """From what `kept` wrote; what is not known any more is left out."""
        lists = {name: tuple(kept.get(name) or ()) for name in _LISTS}
        return cls(**lists, team=kept.get("team"), least=kept.get("least"), most=kept.get("most"))

    def kept(self) -> dict[str, Any]:
        """As JSON, without what does not matter."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value not in ((), None)
        }

    @cached_property
    def every_form(self) -> frozenset[str]:
        """The legal forms asked for; a family stands for all of its members."""
        found = set(self.forms)
        for family, start in _FAMILIES.items():
            if family in found:
                found |= {form for form in LegalForm if form.startswith(start)}
        return frozenset(found)


@dataclass(frozen=True)
class Facts:
    """What is known of a project. `team` and `amount` (cents) are none when they are not known; `supports` are codes of bodies."""

    needs: frozenset[str] = frozenset()
    stage: str = ProjectStage.UNKNOWN
    form: str = LegalForm.UNDECIDED
    region: str = ""
    locality: str = ""
    field: str = ""
    language: str = "fr"
    team: Range | None = None
    amount: Range | None = None
    supports: frozenset[str] = frozenset()
    others_support: bool = False  # bodies that the directory does not hold


@dataclass(frozen=True)
class Judged:
    """One criterion of one programme. `rule` is the code of the rule that asked it, or none when the programme did."""

    criterion: Criterion
    verdict: Verdict
    asked: Asked
    rule: str = ""


def _among(ours: str, theirs: Iterable[str], unknown: Iterable[str] = ("", "unknown")) -> Verdict:
    if ours in theirs:
        return Verdict.MET
    return Verdict.UNKNOWN if ours in unknown else Verdict.NOT_MET


def _need(asked: Asked, facts: Facts) -> Verdict:
    if facts.needs.intersection(asked.needs):
        return Verdict.MET
    return Verdict.NOT_MET if facts.needs - {Need.UNKNOWN, Need.OTHER} else Verdict.UNKNOWN


def _form(asked: Asked, facts: Facts) -> Verdict:
    accepted = asked.every_form
    if facts.form in accepted:
        return Verdict.MET
    if facts.form in _FAMILIES:  # a co-op whose type is not known yet
        kin = any(form.startswith(_FAMILIES[LegalForm(facts.form)]) for form in accepted)
        return Verdict.UNKNOWN if kin else Verdict.NOT_MET
    return Verdict.UNKNOWN if facts.form in {"", LegalForm.UNDECIDED, LegalForm.OTHER} else Verdict.NOT_MET


def _territory(asked: Asked, facts: Facts) -> Verdict:
    if asked.regions:
        found = _among(facts.region, asked.regions)
        if found is not Verdict.MET:
            return found
    if not asked.localities:
        return Verdict.MET
    if facts.region not in {"", MONTREAL}:
        return Verdict.NOT_MET  # boroughs and cities are those of the island
    return _among(facts.locality, asked.localities)


def _amount(asked: Asked, facts: Facts) -> Verdict:
    if facts.amount is None:
        return Verdict.UNKNOWN
    # What is below the whole need covers a part of it: a project puts several sources together.
    most = facts.amount[1]
    return Verdict.NOT_MET if asked.least is not None and most is not None and most < asked.least else Verdict.MET


def _team(asked: Asked, facts: Facts) -> Verdict:
    if facts.team is None or asked.team is None:
        return Verdict.UNKNOWN
    least, most = facts.team
    if least >= asked.team:
        return Verdict.MET
    return Verdict.NOT_MET if most is not None and most < asked.team else Verdict.UNKNOWN


def _language(asked: Asked, facts: Facts) -> Verdict:
    return Verdict.MET if facts.language in {"either", *asked.languages} else Verdict.NOT_MET


def _support(asked: Asked, facts: Facts) -> Verdict:
    if facts.supports.intersection(asked.support):
        return Verdict.MET
    return Verdict.NOT_MET if facts.supports or facts.others_support else Verdict.UNKNOWN


# What tells that a criterion is asked at all, and how it is judged.
_CRITERIA: Sequence[tuple[Criterion, Any, Any]] = (
    (Criterion.NEED, lambda asked: asked.needs, _need),
    (Criterion.STAGE, lambda asked: asked.stages, lambda asked, facts: _among(facts.stage, asked.stages)),
    (Criterion.FORM, lambda asked: asked.forms, _form),
    (Criterion.TERRITORY, lambda asked: asked.regions or asked.localities, _territory),
    (Criterion.FIELD, lambda asked: asked.fields, lambda asked, facts: _among(facts.field, asked.fields)),
    (Criterion.AMOUNT, lambda asked: asked.least is not None or asked.most is not None, _amount),
    (Criterion.TEAM, lambda asked: asked.team is not None, _team),
    (Criterion.LANGUAGE, lambda asked: asked.languages, _language),
    (Criterion.SUPPORT, lambda asked: asked.support, _support),
)


def judge(asked: Asked, facts: Facts, rule: str = "") -> list[Judged]:
    """Each criterion that is asked, with what the project says to it.

    >>> [(one.criterion.value, one.verdict.value) for one in judge(Asked(stages=("idea",), team=3), Facts(stage="idea", team=(2, 2)))]
    [('stage', 'met'), ('team', 'not_met')]
    """
    return [Judged(code, how(asked, facts), asked, rule) for code, is_asked, how in _CRITERIA if is_asked(asked)]


@dataclass(frozen=True)
class Offer:
    """A programme as it is matched. `body` is whose programme it is, `door` the body that a file goes to: another one where a body has one
    for each territory. Both are codes.
    """

    code: str
    body: str
    kind: BodyKind
    asked: Asked
    door: str = ""

    @cached_property
    def whole(self) -> Asked:
        """What it asks; one that says no needs answers those of its kind."""
        needs = self.asked.needs or NEEDS_OF[self.kind]
        return self.asked if needs == self.asked.needs else replace(self.asked, needs=needs)


@dataclass(frozen=True)
class AtBody:
    """What is known of a body: business days it usually takes to answer, files that are open there, and whether it refused this project."""

    usual_days: int | None = None
    open_now: int = 0
    refused: bool = False


@dataclass(frozen=True)
class Ranked:
    """A programme with every criterion judged."""

    offer: Offer
    judged: tuple[Judged, ...]
    fit: Fit
    met: int  # needs of the project that it answers
    already: bool  # its body supports the project
    at: AtBody = field(default_factory=AtBody)

    def those(self, verdict: str) -> list[Judged]:
        """The criteria of one verdict."""
        return [one for one in self.judged if one.verdict == verdict]


def fit_of(judged: Iterable[Judged]) -> Fit:
    """What the criteria say together."""
    found = {one.verdict for one in judged}
    if Verdict.NOT_MET in found:
        return Fit.AGAINST
    return Fit.CHECK if Verdict.UNKNOWN in found else Fit.FITS


_ORDER = {fit: place for place, fit in enumerate(Fit)}


def rank(
    offers: Iterable[Offer], facts: Facts, rules: Mapping[str, Asked], at: Mapping[str, AtBody] | None = None
) -> list[Ranked]:
    """The programmes, those that fit first. Among equals: those whose body did not refuse this project, then those whose body does not
    support it already, then by how many criteria are against it, how many needs it answers, how many criteria are unknown, and how soon
    its body usually answers.
    """
    standing, by_rule = (
        at or {},
        [(code, asked, {BodyKind(kind) for kind in asked.kinds}) for code, asked in rules.items()],
    )
    found = []
    for offer in offers:
        judged = judge(offer.whole, facts)
        for code, asked, kinds in by_rule:
            if offer.kind in kinds:
                judged += judge(asked, facts, code)
        met = len(facts.needs.intersection(offer.whole.needs))
        place = standing.get(offer.door or offer.body) or AtBody()
        already = bool(facts.supports & {offer.body, offer.door})
        found.append(Ranked(offer, tuple(judged), fit_of(judged), met, already, place))
    return sorted(found, key=_key)


def _key(one: Ranked) -> tuple[Any, ...]:
    against, unknown = len(one.those(Verdict.NOT_MET)), len(one.those(Verdict.UNKNOWN))
    days = one.at.usual_days
    return (
        _ORDER[one.fit], one.at.refused, one.already, against, -one.met, unknown,
        days is None, days or 0, one.offer.code,
    )  # fmt: skip
