"""What can be asked of many files at once. Each feature offers its own, as a record of functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import MultiDict

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.feature import plugged

if TYPE_CHECKING:
    from crm.bulk.models import BulkItem


@dataclass(frozen=True)
class BulkAction:
    """`form` makes the form from what was sent, or a blank one; it is drawn by its own template.

    `told` says in one line what is asked. `against` gives every reason to leave a file alone, and changes nothing; `do` changes it,
    raising RefusedError, and returns what `undo` needs; `key` is the same whenever the same file of the same run is tried again.
    `seen` says whether the file still stands as it was when chosen. `warning` is what cannot be taken back. `kept` offers what a form may
    begin with, each with its name, and `begun` makes the form that begins so.
    """

    name: str
    label: Any
    form: Callable[[Mapping[str, Any] | None], Any]
    told: Callable[[Any], str]
    against: Callable[[Case, Any, Staff], Sequence[str]]
    do: Callable[[Case, Any, Staff, str], dict[str, Any] | None]
    undo: Callable[[Case, dict[str, Any], Staff], None] | None = None
    seen: "Callable[[Case, BulkItem], bool]" = lambda _case, _item: True
    warning: Any = ""
    kept: Callable[[], Sequence[tuple[str, str]]] = lambda: ()
    begun: Callable[[str], Any] | None = None


def actions() -> dict[str, BulkAction]:
    """Every action, by name, in the order in which they are offered."""
    return {one.name: one for one in plugged("bulk")}


def filled(action: BulkAction, values: Mapping[str, Any]) -> Any:
    """The form of an action with what was sent."""
    return action.form(MultiDict(values))
