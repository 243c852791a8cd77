"""Keys of pages: where a page of a list begins, as an address carries it. Pages follow each other by key, so that the last costs what the first does.

A key is not a secret and is not trusted: anything that is not one of the list at hand is read as none.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

LONGEST, LARGEST_ID = 160, 2**31 - 1


def write_key(*values: Any) -> str:
    """A key of texts, whole numbers, days, instants and nothing."""
    plain = [_plain(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return value.toordinal() if isinstance(value, date) else value


def read_key(value: str, *kinds: type[Any]) -> Sequence[Any] | None:
    """The values of a key, each of its kind (str, int, date, datetime) or None; None when it is not such a key.

    A whole number is at least 0 and no larger than a database's own.
    """
    if not value or len(value) > LONGEST:
        return None
    try:
        plain = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
        if not isinstance(plain, list):
            return None
        return [None if one is None else _READ[kind](one) for one, kind in zip(plain, kinds, strict=True)]
    except (binascii.Error, ValueError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _number(value: Any) -> int:
    found = int(value)
    if not 0 <= found <= LARGEST_ID:
        raise ValueError(value)
    return found


_READ: dict[type[Any], Any] = {
    str: str,
    int: _number,
    date: lambda value: date.fromordinal(int(value)),
    datetime: lambda value: datetime.fromtimestamp(float(value), tz=UTC),
}
