"""Codes of the directory: those that the database repeats as CHECKs, whose words are in `texts.toml`, and those of its entries."""

import re
from enum import StrEnum

from crm.search.words import fold

CODE = re.compile(r"[a-z0-9_-]{1,60}")


class BodyKind(StrEnum):
    """What a body, or one of its programmes, is there for."""

    ASSISTANCE = "assistance"
    FINANCING = "financing"
    INCUBATION = "incubation"
    NETWORK = "network"
    PUBLIC = "public"


class Instrument(StrEnum):
    """Domain reference, section 14.4."""

    GRANT = "grant"
    AWARD = "award"
    LOAN = "loan"
    GUARANTEE = "guarantee"
    PATIENT = "patient"  # patient capital or quasi-equity
    EQUITY = "equity"
    CROWD = "crowd"
    IN_KIND = "in_kind"
    OTHER = "other"


def new_code(name: str, taken: set[str], longest: int) -> str:
    """A code for the addresses of a new entry, made from its name; numbered when another has it.

    >>> new_code("Fonds d’élan", {"fonds-d-elan"}, 30)
    'fonds-d-elan-2'
    """
    base = re.sub(r"[^a-z0-9]+", "-", fold(name[:200])).strip("-")[: longest - 4].strip("-") or "x"
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(code for code in (base, *numbered) if code not in taken)
