"""Which programmes fit: the criteria one by one, and the order. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from crm.directory.matching import (
    BANDS,
    NEEDS_OF,
    TEAMS,
    Asked,
    AtBody,
    Criterion,
    Facts,
    Fit,
    Offer,
    Verdict,
    fit_of,
    judge,
    rank,
)
from crm.partners.vocabulary import BodyKind
from crm.texts import shipped

MET, NOT, UNKNOWN = Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN


def facts(**known):
    known = {name: frozenset(value) if name in {"needs", "supports"} else value for name, value in known.items()}
    return Facts(**known)


@pytest.mark.parametrize(
    ("criterion", "asked", "known", "verdict"),
    [
        ("need", {"needs": ("plan", "form")}, {"needs": ["form"]}, MET),
        ("need", {"needs": ("plan",)}, {"needs": ["form"]}, NOT),
        ("need", {"needs": ("plan",)}, {"needs": []}, UNKNOWN),
        ("need", {"needs": ("plan",)}, {"needs": ["unknown", "other"]}, UNKNOWN),
        ("need", {"needs": ("plan",)}, {"needs": ["unknown", "form"]}, NOT),
        ("stage", {"stages": ("idea",)}, {"stage": "idea"}, MET),
        ("stage", {"stages": ("idea",)}, {"stage": "launch"}, NOT),
        ("stage", {"stages": ("idea",)}, {"stage": "unknown"}, UNKNOWN),
        ("form", {"forms": ("coop",)}, {"form": "coop_work"}, MET),
        ("form", {"forms": ("coop",)}, {"form": "coop"}, MET),
        ("form", {"forms": ("coop_work",)}, {"form": "coop"}, UNKNOWN),
        ("form", {"forms": ("npo",)}, {"form": "coop"}, NOT),
        ("form", {"forms": ("coop_work",)}, {"form": "coop_solidarity"}, NOT),
        ("form", {"forms": ("npo",)}, {"form": "npo_federal"}, MET),
        ("form", {"forms": ("npo_qc",)}, {"form": "npo"}, UNKNOWN),
        ("form", {"forms": ("coop", "npo")}, {"form": "share_corp"}, NOT),
        ("form", {"forms": ("coop",)}, {"form": "undecided"}, UNKNOWN),
        ("form", {"forms": ("coop",)}, {"form": "other"}, UNKNOWN),
        ("form", {"forms": ("coop",)}, {"form": "unincorporated"}, NOT),
        ("territory", {"regions": ("06",)}, {"region": "06"}, MET),
        ("territory", {"regions": ("06",)}, {"region": "13"}, NOT),
        ("territory", {"regions": ("06",)}, {"region": ""}, UNKNOWN),
        ("territory", {"localities": ("verdun",)}, {"region": "06", "locality": "verdun"}, MET),
        ("territory", {"localities": ("verdun",)}, {"region": "06", "locality": "anjou"}, NOT),
        ("territory", {"localities": ("verdun",)}, {"region": "06", "locality": "unknown"}, UNKNOWN),
        ("territory", {"localities": ("verdun",)}, {"region": "06"}, UNKNOWN),
        ("territory", {"localities": ("verdun",)}, {"region": "13"}, NOT),
        ("territory", {"regions": ("06", "13"), "localities": ("verdun",)}, {"region": "13"}, NOT),
        ("field", {"fields": ("food",)}, {"field": "food"}, MET),
        ("field", {"fields": ("food",)}, {"field": "other"}, NOT),
        ("field", {"fields": ("food",)}, {"field": "unknown"}, UNKNOWN),
        ("amount", {"most": 1000}, {"amount": (0, 1000)}, MET),
        ("amount", {"most": 1000}, {"amount": (1001, 2000)}, MET),
        ("amount", {"most": 1000}, {"amount": (1000, None)}, MET),
        ("amount", {"least": 1000}, {"amount": (0, 999)}, NOT),
        ("amount", {"least": 1000}, {"amount": (0, 1000)}, MET),
        ("amount", {"least": 1000}, {"amount": (5, None)}, MET),
        ("amount", {"least": 1000, "most": 2000}, {}, UNKNOWN),
        ("team", {"team": 3}, {"team": (3, 4)}, MET),
        ("team", {"team": 4}, {"team": (3, 4)}, UNKNOWN),
        ("team", {"team": 5}, {"team": (3, 4)}, NOT),
        ("team", {"team": 20}, {"team": (10, None)}, UNKNOWN),
        ("team", {"team": 3}, {}, UNKNOWN),
        ("language", {"languages": ("fr",)}, {"language": "fr"}, MET),
        ("language", {"languages": ("fr",)}, {"language": "either"}, MET),
        ("language", {"languages": ("fr",)}, {"language": "en"}, NOT),
        ("support", {"support": ("cdrq",)}, {"supports": ["cdrq", "esplanade"]}, MET),
        ("support", {"support": ("cdrq",)}, {"supports": ["esplanade"]}, NOT),
        ("support", {"support": ("cdrq",)}, {"others_support": True}, NOT),
        ("support", {"support": ("cdrq",)}, {}, UNKNOWN),
    ],
)
def test_a_criterion_is_met_not_met_or_not_known(criterion, asked, known, verdict):
    [judged] = judge(Asked(**asked), facts(**known))
    assert (judged.criterion, judged.verdict) == (Criterion(criterion), verdict)


def test_each_criterion_was_tried_and_what_is_not_asked_is_not_judged():
    assert judge(Asked(), facts()) == []
    whole = Asked(("plan",), ("idea",), ("coop",), ("06",), (), ("food",), ("fr",), ("cdrq",), (), 3, 1, 2)
    assert [one.criterion for one in judge(whole, facts())] == list(Criterion)


@pytest.mark.parametrize(
    ("verdicts", "fit"),
    [([], "fits"), ([MET], "fits"), ([MET, UNKNOWN], "check"), ([UNKNOWN, NOT, MET], "against"), ([NOT], "against")],
)
def test_what_criteria_say_together(verdicts, fit):
    judged = [judge(Asked(needs=("plan",)), facts())[0].__class__(Criterion.NEED, one, Asked()) for one in verdicts]
    assert fit_of(judged) is Fit(fit)


def test_answers_of_the_request_stand_for_amounts_and_people_without_a_hole():
    assert set(BANDS) | {"unknown"} == set(shipped().group("cases.funding_band"))
    assert set(TEAMS) | {"unknown"} == set(shipped().group("cases.team_size"))
    for ranges, first in ((BANDS, 0), (TEAMS, 1)):
        at = first
        for least, most in ranges.values():
            assert least == at
            at = None if most is None else most + 1
        assert at is None
    assert set(NEEDS_OF) == set(BodyKind)


CODES = some.lists(some.sampled_from(["a", "b"]), max_size=2, unique=True).map(tuple)


@given(
    some.builds(
        Asked, CODES, CODES, CODES, CODES, CODES, CODES, CODES, CODES, CODES,
        some.none() | some.integers(2, 9), some.none() | some.integers(0, 9), some.none() | some.integers(0, 9),
    )
)  # fmt: skip
def test_what_is_asked_comes_back_from_the_database_as_it_was(asked):
    assert Asked.read(asked.kept()) == asked
    assert all(value not in ([], (), None) for value in asked.kept().values())


def offer(code, body="b", kind="assistance", **asked):
    return Offer(code, body, BodyKind(kind), Asked(**asked))


def order(*offers, known=None, rules=None, at=None):
    return [one.offer.code for one in rank(offers, known or facts(needs=["plan"]), rules or {}, at)]


def test_a_programme_that_names_no_need_answers_those_of_its_kind():
    [one] = rank([offer("x", kind="financing")], facts(needs=["funding"]), {})
    assert (one.fit, one.met) == (Fit.FITS, 1)
    [one] = rank([offer("x", kind="financing")], facts(needs=["plan"]), {})
    assert one.fit is Fit.AGAINST
    assert rank([offer("x", kind="public")], facts(needs=["plan"]), {})[0].judged == ()


def test_those_that_fit_come_first_then_those_to_clarify_then_the_others():
    here = facts(needs=["plan"], stage="idea", region="")
    codes = order(
        offer("against", stages=("launch",)),
        offer("check", regions=("06",)),
        offer("fits", stages=("idea",)),
        known=here,
    )
    assert codes == ["fits", "check", "against"]


@pytest.mark.parametrize(
    ("better", "worse", "known", "at"),
    [
        # its body did not refuse this project
        ({"body": "new"}, {"body": "refused"}, {}, {"refused": AtBody(refused=True)}),
        # its body does not support the project already
        ({"body": "new"}, {"body": "old"}, {"supports": ["old"]}, {}),
        # it answers more needs
        ({"needs": ("plan", "form")}, {"needs": ("plan",)}, {"needs": ["plan", "form"]}, {}),
        # fewer criteria are not known
        ({"regions": ("06",)}, {"regions": ("06",), "team": 3}, {}, {}),
        # its body answers sooner, or is known to answer
        ({"body": "soon"}, {"body": "late"}, {}, {"soon": AtBody(2), "late": AtBody(9)}),
        ({"body": "known"}, {"body": "new"}, {}, {"known": AtBody(30)}),
    ],
)
def test_the_order_among_equals(better, worse, known, at):
    known = facts(**{"needs": ["plan"], "region": "", **known})
    one, other = offer("z", **better), offer("a", **worse)
    assert order(one, other, known=known, at=at) == order(other, one, known=known, at=at) == ["z", "a"]


def test_fewer_criteria_against_it_come_first_among_those_that_do_not_fit():
    known = facts(needs=["plan"], stage="idea", region="13")
    assert order(
        offer("two", stages=("launch",), regions=("06",)), offer("z-one", stages=("launch",)), known=known
    ) == ["z-one", "two"]


def test_a_rule_counts_for_programmes_of_its_kinds_only():
    rule = {"seed": Asked(support=("cdrq",), kinds=("financing",))}
    money, advice = offer("money", kind="financing"), offer("advice")
    known = facts(needs=["funding", "plan"], supports=["esplanade"])
    found = {one.offer.code: one for one in rank([money, advice], known, rule)}
    assert (found["money"].fit, found["advice"].fit) == (Fit.AGAINST, Fit.FITS)
    [asked] = [one for one in found["money"].judged if one.rule]
    assert (asked.rule, asked.criterion, asked.verdict) == ("seed", Criterion.SUPPORT, NOT)
    assert rank([money], facts(needs=["funding"], supports=["cdrq"]), rule)[0].fit is Fit.FITS
    assert rank([money], facts(needs=["funding"]), rule)[0].fit is Fit.CHECK


def test_a_local_office_is_asked_about_instead_of_the_whole():
    local = Offer("x", "whole", BodyKind.ASSISTANCE, Asked(), "office")
    at = {"whole": AtBody(refused=True), "office": AtBody(4, 2)}
    [one] = rank([local], facts(needs=["plan"], supports=["office"]), {}, at)
    assert one.at == AtBody(4, 2)
    assert one.already
