"""When a talk can be held. Pure: opening hours and what is taken in, free starts out.

Opening hours are wall-clock times in Montréal; a start is an instant. What a talk takes is counted in cells of fifteen
minutes, its buffer included: the database holds each cell of an adviser once.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from crm import clock
from crm.business_days import in_force

CELL = timedelta(minutes=15)
DAYS_AHEAD = 28
Span = tuple[int, int]  # minutes after midnight: from, to
_SPAN = re.compile(r"(\d{1,2}) ?(?:[:h] ?(\d{2})?)? ?(?:-|–|—|à|to) ?(\d{1,2}) ?(?:[:h] ?(\d{2})?)?", re.IGNORECASE)


def cells(starts_at: datetime, minutes: int) -> list[datetime]:
    """The cells that a talk of `minutes`, buffer included, takes: whole quarters of an hour, in UTC."""
    first = starts_at - timedelta(
        minutes=starts_at.minute % 15, seconds=starts_at.second, microseconds=starts_at.microsecond
    )
    end = starts_at + timedelta(minutes=minutes)
    return [first + place * CELL for place in range(-(-int((end - first).total_seconds()) // 900))]


def free_starts(
    *,
    now: datetime,
    weekly: Mapping[int, Sequence[Span]],
    exceptions: Mapping[date, Sequence[Span]],
    minutes: int,
    buffer: int,
    notice_hours: int,
    taken: Collection[datetime],
) -> Iterator[datetime]:
    """Starts that an adviser can still be given, the earliest first.

    `weekly` has the hours of each weekday (Monday is 0); `exceptions` replaces those of one day, with nothing when it is
    closed. Statutory holidays and the programme's closures are closed unless an exception opens them. An hour that the spring change skips is not offered.
    """
    first = clock.local_date(now)
    earliest, calendar = now + timedelta(hours=notice_hours), in_force()
    for place in range(DAYS_AHEAD):
        day = first + timedelta(days=place)
        weekday = () if calendar.is_closed(day) else weekly.get(day.weekday(), ())
        spans = exceptions.get(day, weekday)
        for begins, ends in sorted(spans):
            for start in range(begins, ends - minutes + 1, minutes + buffer if (minutes + buffer) % 15 == 0 else 15):
                at = clock.at_local(day, *divmod(start, 60))
                real = clock.local(at)
                if (real.hour, real.minute) != divmod(start, 60) or at < earliest:
                    continue
                if not any(cell in taken for cell in cells(at, minutes + buffer)):
                    yield at


def read_spans(typed: str) -> list[Span] | None:
    """Hours typed by hand: "9:00-12:00, 13 h 30 à 17 h". None when they cannot be read, overlap or go backwards.

    >>> read_spans("9-12, 13h30 à 17h")
    [(540, 720), (810, 1020)]
    """
    found: list[Span] = []
    for part in filter(str.strip, re.split(r"[,;]| et | and ", typed)):
        read = _SPAN.fullmatch(" ".join(part.split()))  # one blank at most: a run of them would cost its cube
        if read is None:
            return None
        begins, ends = (int(read[i]) * 60 + int(read[i + 1] or 0) for i in (1, 3))
        if not 0 <= begins < ends <= 24 * 60 or any(int(read[i] or 0) > 59 for i in (2, 4)):
            return None
        found.append((begins, ends))
    found.sort()
    overlapping = any(one[1] > two[0] for one, two in pairwise(found))
    return None if overlapping else found


def write_spans(spans: Sequence[Span]) -> str:
    """Hours as they are shown in their field: 9:00-12:00, 13:30-17:00."""
    return ", ".join(f"{a // 60}:{a % 60:02d}-{b // 60}:{b % 60:02d}" for a, b in sorted(spans))
