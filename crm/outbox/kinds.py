"""What a feature declares about each kind of message it sends."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm.feature import plugged

if TYPE_CHECKING:
    from crm.outbox.models import Message


def _always(_message: "Message") -> bool:
    return True


@dataclass(frozen=True)
class Attachment:
    """A file that goes along with a message. `subtype` is of "text"; `parameters` follow it in the header."""

    name: str
    subtype: str
    content: bytes
    parameters: tuple[tuple[str, str], ...] = ()


def _as_queued(message: "Message") -> str | None:
    return message.body


def _no_attachment(_message: "Message") -> Attachment | None:
    return None


def _nothing(_message: "Message") -> None:
    return None


@dataclass(frozen=True)
class MessageKind:
    """`texts` is the prefix of the subject and body pairs; `still_true` is asked just before sending, or `true_ones`, of kinds of which many leave
    together: of several messages at once, it gives the numbers of those that may leave, whatever becomes of the others. `on_final` runs
    in the transaction that marks the message sent, failed or dropped; `attachment` makes the file that goes along. `way_out` is where a mail program
    takes the person off such mail in one press, where they may be taken off (RFC 8058). `written_anew` gives the
    text that leaves, for what must say how things are then, or None when there is nothing left to say. What is asked before sending only reads.
    """

    kind: str
    texts: str
    still_true: "Callable[[Message], bool]" = _always
    true_ones: "Callable[[Sequence[Message]], Collection[int]] | None" = None
    written_anew: "Callable[[Message], str | None]" = _as_queued
    on_final: "Callable[[Message], None]" = _nothing
    attachment: "Callable[[Message], Attachment | None]" = _no_attachment
    way_out: "Callable[[Message], str] | None" = None

    def true_of(self, messages: "Sequence[Message]") -> "Collection[int]":
        """The numbers of those messages of this kind that may leave."""
        if self.true_ones is not None:
            return self.true_ones(messages)
        return {one.id for one in messages if self.still_true(one)}


def find(kind: str) -> MessageKind:
    """The declaration of a kind; raises KeyError when no feature declares it."""
    for declared in plugged("messages"):
        if declared.kind == kind:
            found: MessageKind = declared
            return found
    raise KeyError(kind)
