"""The programmes that fit a file, ranked, in words; and which open files a change of what is asked would touch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from crm import clock
from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.directory import matching, queries
from crm.directory.matching import Asked, Criterion, Facts, Fit, Judged, Offer, Ranked
from crm.feature import once
from crm.i18n import format_amount, language
from crm.partners import queries as partners
from crm.partners.models import Body, Programme
from crm.partners.vocabulary import BodyKind
from crm.referrals.queries import open_at, usual_days
from crm.texts import choices, label, text, words

READ_AT_MOST = 20_000  # open files that a change is tried on
SHOWN = 40  # of those that it touches


@dataclass(frozen=True)
class Line:
    """One criterion in words: what the programme asks, what the project is, and whether it is met. `rule` is the name of the rule that asks it."""

    criterion: Criterion
    verdict: matching.Verdict
    theirs: str
    ours: str
    rule: str


@dataclass(frozen=True)
class Suggestion:
    """A programme for a file. `door` is the body that the file would go to."""

    programme: Programme
    door: Body
    ranked: Ranked
    lines: list[Line]


def suggest(case: Case) -> list[Suggestion]:
    """Every programme that is offered, the fittest first."""
    today, bodies = clock.today(), partners.everyone()
    doors, programmes = partners.doors(bodies), partners.programmes_offered(today)
    known = queries.known_of(case, partners.wholes(bodies))
    door = {one.id: doors.get(one.body_id, {}).get(known.facts.locality, one.body) for one, _asked in programmes}
    rules = partners.rules_in_force(today)
    ranked = matching.rank(
        [Offer(one.code, one.body.code, one.kind, Asked.read(asked), door[one.id].code) for one, asked in programmes],
        known.facts,
        {rule.code: Asked.read(asked) for rule, asked in rules},
        _at({one.id: one.code for one in door.values()}, known.refused),
    )
    by_code = {one.code: one for one, _asked in programmes}
    said = Words(_shorts(bodies), {rule.code: rule.name(language()) for rule, _asked in rules})
    return [
        Suggestion(
            by_code[one.offer.code],
            door[by_code[one.offer.code].id],
            one,
            [said.line(judged, known.facts) for judged in one.judged],
        )
        for one in ranked
    ]


def _at(codes: Mapping[int, str], refused: frozenset[str]) -> dict[str, matching.AtBody]:
    """What is known of bodies, by code: how soon they answered lately, what is open there, and whether they refused this project."""
    numbers = list(codes)
    days, open_now = usual_days(numbers), open_at(numbers)
    return {
        code: matching.AtBody(days.get(number), open_now.get(number, 0), code in refused)
        for number, code in codes.items()
    }


def _rules(day: date) -> dict[str, Asked]:
    return {rule.code: Asked.read(asked) for rule, asked in partners.rules_in_force(day)}


def _shorts(bodies: Sequence[Body]) -> dict[str, str]:
    lang = language()
    return {body.code: body.short(lang) for body in bodies}


@dataclass(frozen=True)
class Words:
    """What criteria are said with: the short names of bodies and the names of rules, by code."""

    shorts: Mapping[str, str]
    rules: Mapping[str, str]

    def line(self, one: Judged, facts: Facts) -> Line:
        theirs, ours = _WORDS[one.criterion](one.asked, facts, self.shorts)
        return Line(one.criterion, one.verdict, theirs, ours, self.rules.get(one.rule, ""))


def all_of(prefix: str, codes: Sequence[str]) -> str:
    """The words of codes of a vocabulary, in its order."""
    return ", ".join(said for code, said in choices(prefix) if code in codes)


def forms_asked() -> list[tuple[str, str]]:
    """The legal forms that a programme may ask for, with their words: a family stands for all of its kinds."""
    families = words("directory.family")
    return [(code, families.get(code, said)) for code, said in choices("cases.legal_form")]


def amounts(least: int | None, most: int | None) -> str:
    """A range of amounts in words, in cents; nothing when there is neither end."""
    if least is not None and most is not None:
        if least == most:
            return format_amount(least)
        return text("directory.from_to", least=format_amount(least), most=format_amount(most))
    if most is not None:
        return text("directory.up_to", most=format_amount(most))
    return text("directory.from", least=format_amount(least)) if least is not None else ""


def _people(least: int, most: int | None) -> str:
    if least == most:
        return str(least)
    return (
        text("directory.people_from", least=least)
        if most is None
        else text("directory.from_to", least=least, most=most)
    )


def _territory(asked: Asked, facts: Facts, _shorts: Any) -> tuple[str, str]:
    theirs = [all_of("cases.region", asked.regions), all_of("cases.locality", asked.localities)]
    ours = [
        label("cases.region", facts.region) if facts.region else "",
        label("cases.locality", facts.locality) if facts.locality else "",
    ]
    return "; ".join(filter(None, theirs)), ", ".join(filter(None, ours))


def _named(codes: Sequence[str], shorts: Mapping[str, str]) -> str:
    return ", ".join(shorts.get(code, code) for code in codes)


def _of(prefix: str, theirs: str, ours: Callable[[Facts], str]) -> Any:
    return lambda asked, facts, _shorts: (
        all_of(prefix, getattr(asked, theirs)),
        label(prefix, ours(facts)) if ours(facts) else "",
    )


_Words = Callable[[Asked, Facts, Mapping[str, str]], tuple[str, str]]
_WORDS: Mapping[Criterion, _Words] = {
    Criterion.NEED: lambda asked, facts, _shorts: (
        all_of("cases.need", asked.needs),
        all_of("cases.need", list(facts.needs)),
    ),
    Criterion.STAGE: _of("cases.project_stage", "stages", lambda facts: facts.stage),
    Criterion.FORM: lambda asked, facts, _shorts: (
        ", ".join(said for code, said in forms_asked() if code in asked.forms),
        label("cases.legal_form", facts.form),
    ),
    Criterion.TERRITORY: _territory,
    Criterion.FIELD: _of("cases.sector", "fields", lambda facts: facts.field),
    Criterion.AMOUNT: lambda asked, facts, _shorts: (
        amounts(asked.least, asked.most),
        amounts(facts.amount[0] or None, facts.amount[1]) if facts.amount else "",
    ),
    Criterion.TEAM: lambda asked, facts, _shorts: (
        _people(asked.team or 0, None),
        _people(*facts.team) if facts.team else "",
    ),
    Criterion.LANGUAGE: _of(
        "partners.language", "languages", lambda facts: facts.language if facts.language != "either" else ""
    ),
    Criterion.SUPPORT: lambda asked, facts, shorts: (
        _named(asked.support, shorts),
        _named(sorted(facts.supports), shorts) or (text("directory.others") if facts.others_support else ""),
    ),
}


def in_words(asked: Asked) -> list[tuple[Criterion, str]]:
    """What a programme or a rule asks, criterion by criterion."""
    facts, shorts = Facts(), once("shorts_of_bodies", lambda: _shorts(partners.everyone()))
    return [(one.criterion, _WORDS[one.criterion](asked, facts, shorts)[0]) for one in matching.judge(asked, facts)]


@dataclass(frozen=True)
class Touched:
    """An open file for which a change makes a difference."""

    reference: str
    project: str
    before: Fit
    after: Fit


@dataclass(frozen=True)
class Impact:
    """What a change would do: how many open files it touches, the newest of them, and of how many files that is said."""

    count: int
    shown: list[Touched]
    looked_at: int


Judging = Callable[
    [Facts], tuple[Fit, tuple[str, ...]]
]  # how well it fits, and for which kinds of programmes it would not


def impact_on_files(staff: Staff, before: Judging, after: Judging) -> Impact:
    """Which open files that this person may see would be judged otherwise."""
    count, looked_at = 0, 0
    shown: list[Touched] = []
    for row, facts in queries.open_files(staff, READ_AT_MOST, partners.wholes(partners.everyone())):
        looked_at += 1
        was, is_ = before(facts), after(facts)
        if was != is_:
            count += 1
            if len(shown) < SHOWN:
                shown.append(Touched(row.reference, row.project, was[0], is_[0]))
    return Impact(count, shown, looked_at)


def of_programme(kind: BodyKind, asked: Asked, day: date, *, offered: bool) -> Judging:
    """How well a programme would fit a project on a day, were it of this kind and to ask this; one that is not offered fits nobody."""
    rules, offer = _rules(day), Offer("", "", kind, asked)
    return lambda facts: (matching.rank([offer], facts, rules)[0].fit if offered else Fit.AGAINST, ())


def of_rule(asked: Asked, *, counts: bool) -> Judging:
    """What a rule says of a project; nothing when it does not count."""

    def judging(facts: Facts) -> tuple[Fit, tuple[str, ...]]:
        fit = matching.fit_of(matching.judge(asked, facts)) if asked.kinds and counts else Fit.FITS
        return fit, asked.kinds if fit is not Fit.FITS else ()

    return judging
