"""Follow-ups in words: what is to be done, and when."""

from datetime import datetime
from typing import Any

from crm import clock
from crm.i18n import format_date, format_time, format_weekday_date
from crm.reminders.rules import ANY_TIME
from crm.texts import label


def title_of(follow_up: Any) -> str:
    """What is to be done, in the language spoken now for what a rule made, as typed otherwise."""
    typed: str = follow_up.title
    if typed:
        return typed
    named = label("reminders.rule", follow_up.rule)
    return f"{named} ({follow_up.reason})" if follow_up.reason else named


def when(follow_up: Any, *, weekday: bool = False) -> str:
    """The day it is due, by its name too if asked, and, where there is one, the hour, in the language spoken now."""
    day = format_weekday_date(follow_up.due_on) if weekday else format_date(follow_up.due_on)
    hour = hour_of(follow_up)
    return f"{day}, {hour}" if hour else day


def hour_of(follow_up: Any) -> str:
    """The hour, in the language spoken now; nothing for one that has none."""
    at = instant_of(follow_up)
    return format_time(at) if at else ""


def instant_of(follow_up: Any) -> datetime | None:
    """When it is due, where an hour was said."""
    if follow_up.due_minute == ANY_TIME:
        return None
    return clock.at_local(follow_up.due_on, *divmod(follow_up.due_minute, 60))
