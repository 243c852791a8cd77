"""From events to sentences: each kind is declared by the feature that records it, with the keys it may carry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from crm.feature import plugged
from crm.i18n import format_amount, format_date, format_instant
from crm.texts import label, text
from crm.timeline.groups import group_of

# Codes are written in the reader's language when they are told, never when they are recorded.
FORMATS: dict[str, Callable[[Any], str]] = {
    "instant": lambda value: format_instant(datetime.fromisoformat(value)),
    "day": lambda value: format_date(date.fromisoformat(value)),
    "amount": lambda value: f" – {format_amount(value)}" if value else "",
    "minutes": lambda value: f" ({value}\u00a0min)" if value else "",
}


@dataclass(frozen=True)
class Sentence:
    """One kind of event.

    `kind` is "thing.happened"; `text` the key of its bilingual sentence; `codes` and `detail` the only keys an event of
    this kind may carry. `labels` maps a code's key to the vocabulary that names its values, `formats` to how its value is written (FORMATS).
    `stands_in` maps a labelled code to the detail it takes the place of when there is none: a rule's name for typed words. `tone` is "internal",
    "outgoing", "incoming", "move" or "referral", and says how the history draws it. `body` names the detail shown as
    quoted text under the sentence. `settles` is false for what moves neither whose turn a file is nor what search finds: a program's
    own doings, of which there are thousands at once.
    """

    kind: str
    text: str
    tone: str = "internal"
    codes: frozenset[str] = frozenset()
    detail: frozenset[str] = frozenset()
    labels: Mapping[str, str] | None = None
    formats: Mapping[str, str] | None = None
    stands_in: Mapping[str, str] | None = None
    body: str | None = None
    settles: bool = True


@dataclass(frozen=True)
class Told:
    """An event as people read it."""

    sentence: str
    tone: str
    body: str


def find(kind: str) -> Sentence:
    """The declaration of a kind; raises KeyError when no feature declares it."""
    for sentence in plugged("event_sentences"):
        if sentence.kind == kind:
            found: Sentence = sentence
            return found
    raise KeyError(kind)


def kinds_of(group: str) -> list[str]:
    """The kinds of events of a group."""
    return [sentence.kind for sentence in plugged("event_sentences") if group_of(sentence.kind) == group]


def tell(kind: str, codes: Mapping[str, Any], detail: Mapping[str, Any] | None) -> Told:
    """The sentence of an event in the language spoken now. A destroyed detail leaves "…" in its place."""
    sentence = find(kind)
    vocabularies = sentence.labels or {}
    values: dict[str, object] = dict.fromkeys(sentence.detail, "…")
    values |= {key: str(value) for key, value in (detail or {}).items()}
    written = sentence.formats or {}
    for key, wanted in (sentence.stands_in or {}).items():
        if key in codes and wanted not in (detail or {}):
            values[wanted] = label(vocabularies[key], codes[key])
    for key, value in codes.items():
        if key in written:
            values[key] = FORMATS[written[key]](value)
        else:
            values[key] = label(vocabularies[key], value) if key in vocabularies else value
    body = str((detail or {}).get(sentence.body, "")) if sentence.body else ""
    return Told(text(sentence.text, **values), sentence.tone, body)
