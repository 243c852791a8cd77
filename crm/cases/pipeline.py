"""The rules of stages: which moves exist and what each asks for. Pure: no database, no web.

Source: domain reference, sections 14.1, 14.2 and 14.5. A refusal is a key of `texts.toml` and its values, so that it is
told in plain words in the reader's language.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

from crm.cases.vocabulary import ClosingReason, Stage

S = Stage
MOVES: dict[Stage, frozenset[Stage]] = {
    S.NEW: frozenset({S.CONTACT, S.CLOSED}),
    S.CONTACT: frozenset({S.DISCOVERY, S.PAUSED, S.CLOSED}),
    S.DISCOVERY: frozenset({S.PLANNING, S.PAUSED, S.CLOSED}),
    S.PLANNING: frozenset({S.REFERRED, S.ASSISTANCE, S.FINANCING, S.DISCOVERY, S.PAUSED, S.CLOSED}),
    S.REFERRED: frozenset({S.ASSISTANCE, S.FINANCING, S.PLANNING, S.PAUSED, S.CLOSED}),
    S.ASSISTANCE: frozenset({S.FINANCING, S.LAUNCHED, S.PLANNING, S.PAUSED, S.CLOSED}),
    S.FINANCING: frozenset({S.ASSISTANCE, S.LAUNCHED, S.PLANNING, S.PAUSED, S.CLOSED}),
    S.LAUNCHED: frozenset({S.ASSISTANCE, S.FINANCING, S.CLOSED}),
    S.PAUSED: frozenset({S.CLOSED}),  # and the stage it came from
    S.CLOSED: frozenset({S.DISCOVERY}),
}
CLOSING_A_NEW_REQUEST = frozenset(
    {
        ClosingReason.SPAM,
        ClosingReason.DUPLICATE,
        ClosingReason.ERROR,
        ClosingReason.OUT_SCOPE,
        ClosingReason.OUT_AREA,
        ClosingReason.WITHDRAWN,
    }
)
# These settle what is still open by themselves and are never blocked by it.
SETTLING = frozenset({ClosingReason.SPAM, ClosingReason.DUPLICATE, ClosingReason.WITHDRAWN, ClosingReason.ERROR})
NOBODY_TO_TELL = frozenset({ClosingReason.SPAM, ClosingReason.ERROR, ClosingReason.NO_ANSWER, ClosingReason.DUPLICATE})
# Left out of every indicator: domain reference, section 17.1.
NEVER_COUNTED = frozenset({ClosingReason.SPAM, ClosingReason.ERROR, ClosingReason.DUPLICATE})
LONGEST_PAUSE = timedelta(days=183)
_ORDER = {stage: place for place, stage in enumerate(Stage)}


@dataclass(frozen=True)
class Refusal:
    """Why a move is refused: a text of a feature and its values. Values that are keys of texts are translated."""

    key: str
    values: dict[str, str] = field(default_factory=dict)
    feature: str = "cases"


@dataclass(frozen=True)
class Move:
    """A move somebody asks for."""

    origin: Stage
    to: Stage
    today: date
    reason: str = ""
    return_on: date | None = None
    closing_reason: ClosingReason | None = None
    person_told: str = ""
    forced: bool = False
    paused_from: Stage | None = None


def allowed(origin: Stage, paused_from: Stage | None = None) -> list[Stage]:
    """Where a file may go from a stage, in the order of the pipeline."""
    targets = set(MOVES[origin])
    if origin is S.PAUSED and paused_from is not None:
        targets.add(paused_from)
    return sorted(targets, key=_ORDER.__getitem__)


def goes_back(move: Move) -> bool:
    """Whether a move returns to an earlier stage, or reopens: it then asks for a reason."""
    resumes = move.origin is S.PAUSED
    return not resumes and move.to not in {S.PAUSED, S.CLOSED} and _ORDER[move.to] < _ORDER[move.origin]


def refusals(move: Move) -> list[Refusal]:
    """Every reason against a move that can be told from the move alone; empty when there is none."""
    names = {"from": f"cases.stage.{move.origin}", "to": f"cases.stage.{move.to}"}
    if move.to is move.origin:
        return [Refusal("not_allowed", names)]
    if move.forced:
        return _against_forcing(move)
    if move.to not in allowed(move.origin, move.paused_from):
        return [Refusal("not_allowed", names)]
    found = []
    if goes_back(move) and not move.reason:
        found.append(Refusal("needs_reason"))
    if move.to is S.PAUSED and not (move.reason and _within_six_months(move)):
        found.append(Refusal("needs_pause"))
    if move.to is S.CLOSED:
        found += _against_closing(move)
    return found


def _against_forcing(move: Move) -> list[Refusal]:
    """A forced move is free of the table and the guards, never of its reason, nor a closing of its closing reason."""
    found = [] if move.reason else [Refusal("needs_reason")]
    if move.to is S.CLOSED and move.closing_reason is None:
        found.append(Refusal("needs_closing"))
    if move.to is S.PAUSED and not _within_six_months(move):
        found.append(Refusal("needs_pause"))
    return found


def _within_six_months(move: Move) -> bool:
    return move.return_on is not None and move.today < move.return_on <= move.today + LONGEST_PAUSE


def _against_closing(move: Move) -> list[Refusal]:
    reason = move.closing_reason
    if reason is None or not move.reason:
        return [Refusal("needs_closing")]
    if move.origin is S.NEW and reason not in CLOSING_A_NEW_REQUEST:
        return [Refusal("closing_reason_not_for_new")]
    if reason not in NOBODY_TO_TELL and not move.person_told:
        return [Refusal("needs_told")]
    return []


def missing_for_planning(
    *, project_stage: str | None, legal_form: str | None, region: str | None, needs: int, summary: str
) -> list[str]:
    """What a needs assessment still lacks before referral planning: keys under `missing` in `texts.toml`."""
    facts = {
        "project_stage": bool(project_stage),
        "legal_form": bool(legal_form),
        "region": bool(region),
        "needs": needs > 0,
        "summary": bool(summary),
    }
    return [name for name, there in facts.items() if not there]
