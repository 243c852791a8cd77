"""Talks as calendars read them: the file in a person's mail, and an adviser's feed."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crm import clock
from crm.cases.addresses import address_of_file
from crm.cases.models import Case
from crm.i18n import speaking
from crm.outbox.services import settings
from crm.reminders.models import FollowUp
from crm.reminders.words import instant_of
from crm.talks.models import Talk, TalkState
from crm.texts import label, text
from crm.texts.facts import programme

if TYPE_CHECKING:
    from icalendar import Calendar, Event

# The library of calendars is an eighth of what a web worker reads to start: it is read when somebody asks for one.


def uid_of(talk: Talk) -> str:
    """The same for every copy of a talk, whatever becomes of it."""
    return f"talk-{talk.id}@{urlsplit(settings().base_url).hostname}"


def file_of(talk: Talk, case: Case, *, where: str, cancelled: bool, language: str) -> bytes:
    """The calendar file of a person's mail, in their language: a request, or the cancellation of one."""
    from icalendar import Alarm, vCalAddress, vText  # noqa: PLC0415 - see above

    calendar = _calendar("CANCEL" if cancelled else "REQUEST")
    with speaking(language):
        event = _event(talk, text("talks.calendar.title"), where)
        event.add("description", text("talks.calendar.about", reference=case.reference, phone=programme().phone))
    organizer = vCalAddress(f"mailto:{programme().email}")
    organizer.params["cn"] = vText(programme().name[language])
    event["organizer"] = organizer
    if case.contact.email:
        attendee = vCalAddress(f"mailto:{case.contact.email}")
        attendee.params["partstat"] = vText("ACCEPTED")
        attendee.params["rsvp"] = vText("FALSE")
        event.add("attendee", attendee, encode=False)
    event["status"] = vText("CANCELLED" if cancelled else "CONFIRMED")
    if not cancelled:
        reminder = Alarm()
        reminder.add("action", "DISPLAY")
        reminder.add("trigger", timedelta(minutes=-30))
        reminder.add("description", str(event["summary"]))
        event.add_component(reminder)
    calendar.add_component(event)
    return _written(calendar)


def feed(
    talks: Iterable[tuple[Talk, Case]], follow_ups: Iterable[tuple[FollowUp, Case]], *, language: str, name: str
) -> bytes:
    """An adviser's booked talks and open follow-ups. References and addresses of files only, and what rules say is to be done, not what people
    typed: a feed is read by machines far away.
    """
    from icalendar import vText  # noqa: PLC0415 - see above

    calendar = _calendar("PUBLISH")
    with speaking(language):
        calendar.add("x-wr-calname", text("talks.calendar.feed", name=name))
        for talk, case in talks:
            event = _event(talk, f"{text('talks.calendar.title')} {case.reference}", label("talks.mode", talk.mode))
            event.add("url", address_of_file(case))
            event["status"] = vText("CANCELLED" if talk.state is TalkState.CANCELLED else "CONFIRMED")
            calendar.add_component(event)
        for follow_up, case in follow_ups:
            calendar.add_component(_to_do(follow_up, case))
    return _written(calendar)


def _to_do(follow_up: FollowUp, case: Case) -> "Event":
    """A follow-up as calendars show it: the whole day without taking it, or half an hour at its hour. Few of them read tasks."""
    from icalendar import Event, vText  # noqa: PLC0415 - see above

    event = Event()
    event.add("uid", f"follow-up-{follow_up.id}@{urlsplit(settings().base_url).hostname}")
    event.add("dtstamp", clock.now())
    start = instant_of(follow_up)
    if start is None:
        event.add("dtstart", follow_up.due_on)
        event.add("dtend", follow_up.due_on + timedelta(days=1))
    else:
        event.add("dtstart", start.astimezone(clock.ZONE))
        event.add("dtend", (start + timedelta(minutes=30)).astimezone(clock.ZONE))
    event["transp"] = vText("TRANSPARENT")
    what = label("reminders.rule", follow_up.rule) if follow_up.rule else text("reminders.digest.typed")
    event.add("summary", f"{what} {case.reference}")
    event.add("url", address_of_file(case))
    return event


def _calendar(method: str) -> "Calendar":
    from icalendar import Calendar  # noqa: PLC0415 - see above

    calendar = Calendar()
    calendar.add("prodid", "-//Passerelle//FR")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    return calendar


def _event(talk: Talk, title: str, where: str) -> "Event":
    from icalendar import Event  # noqa: PLC0415 - see above

    event = Event()
    event.add("uid", uid_of(talk))
    event.add("sequence", talk.sequence)
    event.add("dtstamp", clock.now())
    event.add("dtstart", talk.starts_at.astimezone(clock.ZONE))
    event.add("dtend", (talk.starts_at + timedelta(minutes=talk.minutes)).astimezone(clock.ZONE))
    event.add("summary", title)
    event.add("location", where)
    return event


def _written(calendar: "Calendar") -> bytes:
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())
