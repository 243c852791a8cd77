"""Codes of the directory that the database repeats as CHECKs. Their words are in `texts.toml`."""

from enum import StrEnum


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
