"""The words of the demonstration, read from `words.toml`, and how people and projects are drawn from them."""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from crm.texts import group


@cache
def words() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


def said(rng: Random, what: str, lang: str, key: str, **values: object) -> str:
    """One of the sentences of `words.toml` under a table, a language and a key."""
    return contracted(lang, str(rng.choice(words()[what][lang][key])).format(**values))


@cache
def both(prefix: str, code: str) -> tuple[str, str]:
    """The label of a code in French and in English, as staff and bodies read it."""
    found = group(f"{prefix}_told").get(code) or group(prefix)[code]
    return found["fr"], found["en"]


def in_words(prefix: str, code: str, lang: str) -> str:
    return both(prefix, code)[lang == "en"]


@dataclass(frozen=True)
class Idea:
    """A project as its request tells it; `stray` is the reason why it is none."""

    lang: str
    name: str
    about: str
    sector: str
    legal_form: str
    needs: tuple[str, ...]
    stray: str = ""
    person: str = ""


@cache
def _order(seed: int) -> tuple[dict[str, Any], ...]:
    every = list(words()["idea"])
    Random(f"{seed}:ideas").shuffle(every)
    return tuple(every)


def contracted(lang: str, sentence: str) -> str:
    """French contracts its prepositions with the article of a name: au Plateau-Mont-Royal, d’Ahuntsic."""
    if lang != "fr":
        return sentence
    sentence = sentence.replace("à Le ", "au ").replace("de Le ", "du ")
    return re.sub(r"\bde (?=[AEIOUÉÎÔ])", "d’", sentence)


def idea(seed: int, number: int, place: str, people: int) -> Idea:
    """The idea of a file. Each comes once before any comes twice, under another name each time."""
    order = _order(seed)
    cycle, turn = divmod(number, len(order))
    facts = order[turn]
    names = facts["names"]
    name = names[cycle % len(names)]
    return Idea(
        lang=facts["lang"],
        name=name if cycle < len(names) else f"{name} {place}",
        about=contracted(facts["lang"], facts["about"].format(place=place, n=people)),
        sector=facts["sector"],
        legal_form=facts["form"],
        needs=tuple(facts["needs"]),
    )


def stray(rng: Random, reason: str, lang: str) -> Idea | None:
    """A request that is no project, for the reasons that have words of their own."""
    of_reason = [one for one in words()["stray"] if one["reason"] == reason]
    if not of_reason:
        return None
    facts = rng.choice([one for one in of_reason if one["lang"] == lang])
    return Idea(
        lang=lang,
        name=facts["project"],
        about=facts["about"],
        sector="other" if reason in {"spam", "error"} else "commerce",
        legal_form="other" if reason in {"spam", "error"} else "share_corp",
        needs=("other",) if reason in {"spam", "error"} else ("funding", "tech"),
        stray=reason,
        person=facts["person"],
    )


@cache
def _families(lang: str) -> tuple[tuple[dict[str, Any], ...], tuple[int, ...]]:
    families = tuple(one for one in words()["people"] if one["lang"] == lang)
    return families, tuple(one["share"] for one in families)


def person(rng: Random, lang: str) -> str:
    families, shares = _families(lang)
    family = rng.choices(families, shares)[0]
    return f"{rng.choice(family['first'])} {rng.choice(family['last'])}"


def plain(name: str) -> str:
    """What is left of a name in an address: small letters, digits and full stops."""
    bare = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return ".".join("".join(sign if sign.isalnum() else " " for sign in bare).split())


def address(rng: Random, name: str, project: str) -> str:
    """A demonstration address: .example belongs to nobody, by RFC 2606."""
    own = plain(project).replace(".", "-")
    domain = rng.choice(("courriel", "boite-aux-lettres", "poste-mtl", own or "courriel"))
    return f"{plain(name)}@{domain}.example"
