"""What becomes of files: where each ends or stands today, and the beats that lead there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from random import Random

from crm import clock
from crm.business_days import next_business_day
from crm.cases.vocabulary import ClosingReason, Stage
from crm.demo.papers import Paper
from crm.demo.people import Asked
from crm.demo.rows import Rows
from crm.demo.story import Story
from crm.demo.workdays import DAY
from crm.demo.world import World
from crm.partners.vocabulary import BodyKind
from crm.referrals.outcomes import Status

S, R, C = Stage, Status, ClosingReason
Beat = tuple[float, Callable[[], None]]  # how long after the one before, in shares of the whole; 0 means at once
_TO_PLANNING = (S.CONTACT, S.DISCOVERY, S.PLANNING)
_TO_REFERRED = (*_TO_PLANNING, S.REFERRED)


@dataclass(frozen=True)
class Fate:
    """Stages after "new" in order, the closing if any, what the referral comes to, and what is unusual about it."""

    stages: tuple[Stage, ...] = ()
    closing: ClosingReason | None = None
    referral: Status | None = None
    twist: str = ""


# Of closed files: the least and the most business days from request to closing, and ways of getting there.
ENDINGS: dict[ClosingReason, tuple[int, int, tuple[Fate, ...]]] = {
    C.SPAM: (0, 2, (Fate(),)),
    C.DUPLICATE: (0, 3, (Fate(),)),
    C.ERROR: (0, 2, (Fate(),)),
    C.OUT_SCOPE: (1, 4, (Fate(),)),
    C.OUT_AREA: (1, 4, (Fate(),)),
    C.WITHDRAWN: (3, 12, (Fate(), Fate((S.CONTACT,)), Fate(_TO_PLANNING, referral=R.WITHDRAWN))),
    C.NO_ANSWER: (12, 20, (Fate((S.CONTACT,)),)),
    C.ANSWERED: (4, 30, (Fate((S.CONTACT,)), Fate((S.CONTACT, S.DISCOVERY)), Fate((S.CONTACT, S.DISCOVERY)))),
    C.OTHER_MODEL: (20, 90, (Fate((S.CONTACT, S.DISCOVERY)), Fate(_TO_PLANNING))),
    C.ABANDONED: (25, 140, (
        Fate((S.CONTACT, S.DISCOVERY)),
        Fate(_TO_PLANNING),
        Fate(_TO_REFERRED, referral=R.DECLINED),
        Fate((*_TO_REFERRED, S.ASSISTANCE), referral=R.INTERRUPTED),
    )),
    C.SUSPENDED: (40, 140, (Fate((S.CONTACT, S.DISCOVERY, S.PAUSED)), Fate(_TO_PLANNING))),
    C.CONSENT: (30, 90, (Fate(_TO_REFERRED, referral=R.WITHDRAWN),)),
    C.PARTNER_OK: (45, 200, (
        Fate(_TO_REFERRED, referral=R.ACCEPTED),
        Fate((*_TO_REFERRED, S.ASSISTANCE), referral=R.ACCEPTED),
        Fate((*_TO_REFERRED, S.ASSISTANCE), referral=R.COMPLETED),
        Fate(_TO_REFERRED, referral=R.SELF),
    )),
    C.LAUNCHED_OK: (150, 330, (
        Fate((*_TO_REFERRED, S.ASSISTANCE, S.LAUNCHED), referral=R.COMPLETED),
        Fate((*_TO_REFERRED, S.ASSISTANCE, S.FINANCING, S.LAUNCHED), referral=R.COMPLETED),
    )),
}  # fmt: skip
UNANSWERED = frozenset({C.SPAM, C.DUPLICATE, C.ERROR})

_CONTACT, _DISCOVERY = Fate((S.CONTACT,)), Fate((S.CONTACT, S.DISCOVERY))
_PLANNING = Fate(_TO_PLANNING)
_ASSISTANCE = Fate((*_TO_REFERRED, S.ASSISTANCE), referral=R.ACCEPTED)
_FINANCING = Fate((*_TO_REFERRED, S.ASSISTANCE, S.FINANCING), referral=R.COMPLETED)
_LAUNCHED = Fate((*_TO_REFERRED, S.ASSISTANCE, S.FINANCING, S.LAUNCHED), referral=R.COMPLETED)
_PAUSED = Fate((S.CONTACT, S.DISCOVERY, S.PAUSED))


def _referred(status: Status) -> Fate:
    return Fate(_TO_REFERRED, referral=status)


# Of open files: where they stand, by their age in days at most.
STANDING: tuple[tuple[int, tuple[tuple[Fate, int], ...]], ...] = (
    (4, ((Fate(), 10), (_CONTACT, 3))),
    (15, ((_CONTACT, 5), (_DISCOVERY, 5))),
    (60, ((_CONTACT, 1), (_DISCOVERY, 8), (_PLANNING, 6), (Fate(_TO_PLANNING, referral=R.READY), 1),
          (_referred(R.SENT), 4), (_PAUSED, 1))),
    (150, ((_DISCOVERY, 3), (_PLANNING, 5), (_referred(R.SENT), 4), (_referred(R.ACCEPTED), 2),
           (_referred(R.DECLINED), 2), (_referred(R.NO_ANSWER), 1), (_referred(R.INFO_ASKED), 1),
           (_referred(R.SELF), 1), (_ASSISTANCE, 4), (_PAUSED, 2))),
    (2000, ((_PLANNING, 1), (_referred(R.SENT), 2), (_ASSISTANCE, 6), (_FINANCING, 5), (_LAUNCHED, 4), (_PAUSED, 2),
            (Fate((*_TO_PLANNING, S.PAUSED)), 1))),
)  # fmt: skip

# Whatever chance brings, these are there, at these shares of the eighteen months.
SHOWCASE: dict[float, Fate] = {
    0.02: Fate((*_TO_REFERRED, S.ASSISTANCE, S.LAUNCHED), C.LAUNCHED_OK, R.COMPLETED),
    0.05: Fate((*_TO_REFERRED, S.ASSISTANCE), C.ABANDONED, R.INTERRUPTED),
    0.08: _LAUNCHED,
    0.11: Fate(_TO_REFERRED, C.CONSENT, R.WITHDRAWN),
    0.14: Fate((), C.ERROR),
    0.17: Fate((S.CONTACT, S.DISCOVERY), C.OTHER_MODEL),
    0.20: _FINANCING,
    0.23: Fate(_TO_PLANNING, C.SUSPENDED),
    0.26: Fate((), C.SPAM),
    0.29: Fate(_TO_REFERRED, C.PARTNER_OK, R.ACCEPTED),
    0.32: Fate((), C.OUT_AREA),
    0.35: Fate((S.CONTACT, S.DISCOVERY), C.ANSWERED, twist="reopened"),
    0.38: Fate((), C.DUPLICATE),
    0.41: _LAUNCHED,
    0.44: _FINANCING,
    0.47: Fate((S.CONTACT,), C.NO_ANSWER),
    0.50: Fate(_TO_PLANNING, C.WITHDRAWN, R.WITHDRAWN),
    0.53: _ASSISTANCE,
    0.56: Fate((*_TO_PLANNING, S.PAUSED)),
    0.59: Fate(_TO_REFERRED, referral=R.DECLINED, twist="back"),
    0.62: _PAUSED,
    0.65: _referred(R.SELF),
    0.68: _referred(R.NO_ANSWER),
    0.71: Fate((), C.OUT_SCOPE),
    0.74: Fate(_TO_REFERRED, referral=R.ACCEPTED, twist="restricted"),
    0.77: _referred(R.INFO_ASKED),
    0.80: _referred(R.DECLINED),
    0.83: Fate(_TO_PLANNING, referral=R.CONSENT_PENDING),
    0.855: Fate(_TO_PLANNING, referral=R.DRAFT),
    0.88: _referred(R.SENT),
    0.90: Fate(_TO_PLANNING, referral=R.READY),
    0.92: Fate((S.CONTACT, S.DISCOVERY, S.PLANNING), twist="forced"),
    0.94: _DISCOVERY,
    0.95: _DISCOVERY,
    0.96: _CONTACT,
    0.967: _CONTACT,
}


def live(world: World, rows: Rows, number: int, *, total: int, span: tuple[datetime, datetime]) -> None:
    """The file of this number among `total`, from its request to its end or to today, written to `rows`.

    The number and the seed decide everything: the same ones make the same file, on the same day.
    """
    rng, received_at, fate, asked = _drawn(world, number, total, span)
    if fate.closing is C.DUPLICATE and number:  # the same person asks again
        asked = _drawn(world, number - 1, total, span)[3]
    if asked.source != "web":  # somebody was at work to take it
        minute = world.days.following(received_at)
        received_at = world.days.at(minute) if minute <= world.days.end else received_at
    story = Story(world, rows, rng, received_at, asked)
    _play(story, fate)
    story.write()


def _drawn(
    world: World, number: int, total: int, span: tuple[datetime, datetime]
) -> tuple[Random, datetime, Fate, Asked]:
    rng = Random(f"{world.seed}:{number}")
    received_at = _received((number + rng.random()) / total, span, world.mix.rush)
    fate = _fate(world, rng, number, total, received_at)
    return rng, received_at, fate, Asked(rng, world.seed, number, fate.closing)


# Of a day's requests, how many have come by which minute of the day.
_BY = ((0.0, 0), (0.03, 420), (0.13, 540), (0.75, 1020), (0.96, 1320), (1.0, 1439))


def _received(share: float, span: tuple[datetime, datetime], rush: float) -> datetime:
    """Requests follow each other evenly but for the last days, more in working hours, hardly any at night."""
    recent = span[1] - timedelta(days=5)
    if share < 1 - rush:
        instant = span[0] + (recent - span[0]) * (share / (1 - rush))
    else:
        instant = recent + (span[1] - recent) * ((share - 1 + rush) / rush)
    wall = clock.local(instant)
    passed = (wall.hour * 60 + wall.minute) / 1440
    (low, first), (high, last) = next(pair for pair in pairwise(_BY) if passed < pair[1][0])
    minute = int(first + (last - first) * (passed - low) / (high - low))
    return clock.at_local(wall.date(), *divmod(minute, 60)) + timedelta(seconds=wall.second)


def _fate(world: World, rng: Random, number: int, total: int, received_at: datetime) -> Fate:
    chance, ending = rng.random(), rng.random()
    shown = {int(share * total): fate for share, fate in SHOWCASE.items()}.get(number) if total < 5000 else None
    if shown is not None:
        return shown
    age = (world.today - clock.local_date(received_at)).days
    standing = next(fates for days, fates in STANDING if age <= days)
    still_open = rng.choices([fate for fate, _share in standing], [share for _fate, share in standing])[0]
    if chance < next(share for days, share in world.mix.open_by_age if age <= days):
        return still_open
    worked = world.days.end // DAY - world.days.following(received_at) // DAY
    possible = {reason: share for reason, share in world.mix.endings.items() if ENDINGS[C(reason)][0] + 1 < worked}
    if not possible:
        return still_open
    reason = C(rng.choices(list(possible), list(possible.values()))[0])
    way = ENDINGS[reason][2][int(ending * len(ENDINGS[reason][2]))]
    return Fate(way.stages, reason, way.referral)


def _play(story: Story, fate: Fate) -> None:
    """Lay the beats of a fate out in time and play them."""
    days, rng = story.days, story.rng
    last = days.end - 130
    room = last - story.start
    if not (fate.stages or fate.closing) or room < DAY // 2:
        return
    if fate.closing and fate.twist != "reopened":
        least, most, _ways = ENDINGS[fate.closing]
        last = min(last, story.start + rng.randint(least * DAY, most * DAY) + 150)
    else:
        last -= min(rng.randrange(20 * DAY), room // 3)
    first = _first_reply(story, fate, last)
    beats = list(_beats(story, fate))
    whole = sum(gap for gap, _beat in beats[1:]) or 1
    span, minute, passed = last - first, first, 0.0
    for place, (gap, beat) in enumerate(beats):
        passed += gap if place else 0
        wanted = first + int(span * passed / whole * (0.85 + 0.15 * rng.random())) if gap and place else minute
        minute = max(wanted, minute + rng.randint(2, 7) if place else minute)
        story.now = minute = min(minute, days.end - 5)
        beat()
        story.before = minute
    if story.stage is not S.CLOSED:
        story.tend_to_today()


def _first_reply(story: Story, fate: Fate, last: int) -> int:
    """When somebody first acts: within the three days promised, mostly."""
    if not fate.stages:
        soon = fate.closing is None or fate.closing in UNANSWERED
        return story.start + 10 if soon else story.rng.randint(story.start + 10, max(story.start + 10, last - 20))
    delay = story.rng.choices((0, 1, 2, 3, 4, 6), (9, 36, 30, 17, 6, 2))[0]
    day = story.start // DAY + delay
    minute = max(day * DAY + story.rng.randrange(DAY - 60), story.start + 30)
    return min(minute, max(story.start + 30, last - DAY // 2))


def _beats(story: Story, fate: Fate) -> Iterable[Beat]:
    if not fate.stages:
        yield from _at_the_door(story, fate)
        return
    rng, likes = story.rng, story.world.mix.talkative
    yield 0, story.take
    for stage, following in zip(fate.stages, (*fate.stages[1:], None), strict=True):
        match stage:
            case S.CONTACT:
                yield 0, partial(story.move, stage)
                yield from _contact(story, fate)
            case S.DISCOVERY:
                yield 0, partial(story.move, stage)
                yield from _discovery(story, assessed=following is S.PLANNING and fate.twist != "forced")
            case S.PLANNING if fate.twist == "forced":
                yield 1, partial(story.move, stage, reason=story.say("todo", "forced"), forced=True)
            case S.PLANNING:
                yield 0.3, partial(story.move, stage)
                if fate.referral in _ACCEPTED and rng.random() < 0.35:
                    yield from _elsewhere_first(story)
                if fate.referral is not None:
                    yield 1, partial(_prepare, story, fate.referral)
                    if following is not S.REFERRED and fate.referral is R.WITHDRAWN:
                        yield 0.3, partial(_last_paper, story, Paper.send)
            case S.REFERRED:
                yield from _referral(story, fate)
            case S.PAUSED:
                yield 1, partial(story.exchange, "call", "checkin")
                yield 0, partial(_pause, story)
            case _:
                yield 1.2, partial(story.move, stage)
                if rng.random() < likes:
                    yield 1.5, partial(story.exchange, "call", "checkin")
                if stage is S.FINANCING and rng.random() < likes:
                    yield 0.5, partial(_to_a_fund, story)
                    if fate.closing or rng.random() < 0.5:
                        status = rng.choice((R.ACCEPTED, R.ACCEPTED, R.DECLINED))
                        yield 0.5, partial(_last_paper, story, partial(Paper.answer, status=status))
        if rng.random() < likes * 0.5:
            yield 0, story.note
    yield from _end(story, fate)


def _at_the_door(story: Story, fate: Fate) -> Iterable[Beat]:
    """Requests closed while new: nobody takes them, the duty person answers."""
    if fate.closing is None:
        return
    if fate.closing is C.WITHDRAWN:
        yield 0, partial(story.exchange, "mail", "incoming", incoming=True)
    elif fate.closing not in UNANSWERED:
        yield 0, partial(story.exchange, "mail", "told_out", attempt=True)
    yield 1, partial(story.close, fate.closing)


def _contact(story: Story, fate: Fate) -> Iterable[Beat]:
    rng = story.rng
    if fate.closing is C.NO_ANSWER:
        yield 0, partial(story.exchange, "call", "attempt", attempt=True)
        yield 3, partial(story.exchange, "mail", "reply_mail", attempt=True)
        yield 3, partial(story.exchange, "call", "attempt", attempt=True)
        return
    alone = fate.stages == (S.CONTACT,) and fate.closing is None
    if alone or rng.random() < 0.5:
        kind, key = rng.choice((("mail", "reply_mail"), ("mail", "reply_mail"), ("call", "attempt")))
        yield 0, partial(story.exchange, kind, key, attempt=True)
        if alone:
            return
        yield 0.6, partial(story.exchange, "call", "first_call")
    else:
        yield 0, partial(story.exchange, "call", "first_call")


def _discovery(story: Story, *, assessed: bool) -> Iterable[Beat]:
    rng, likes = story.rng, story.world.mix.talkative
    if rng.random() < likes * 0.8:
        if rng.random() < 0.12:
            yield 0.7, partial(story.talk, held=False)
        elif rng.random() < 0.1:
            yield 0.7, story.cancelled_talk
        yield 1, story.talk
    if rng.random() < likes * 0.2:
        yield 0.5, partial(story.exchange, "mail", "incoming", incoming=True)
    if assessed:
        yield 0.4, story.assess


_ACCEPTED = frozenset({R.ACCEPTED, R.COMPLETED, R.INTERRUPTED})


def _elsewhere_first(story: Story) -> Iterable[Beat]:
    """Not every first door is the right one."""
    status = story.rng.choice((R.DECLINED, R.DECLINED, R.NO_ANSWER))
    yield 0.7, partial(_prepare, story, status)
    yield 0.1, partial(_last_paper, story, Paper.send)
    if status is R.DECLINED:
        yield 0.4, partial(_last_paper, story, Paper.read)
    yield 0.4, partial(_last_paper, story, partial(Paper.answer, status=status))


def _prepare(story: Story, wanted: Status) -> None:
    """The first referral goes to technical assistance; what stops before a permission is prepared without one."""
    kind = story.rng.choices(
        (BodyKind.ASSISTANCE, BodyKind.INCUBATION, BodyKind.NETWORK, BodyKind.PUBLIC), (20, 2, 1, 1)
    )[0]
    if wanted in _ACCEPTED:
        kind = BodyKind.ASSISTANCE
    Paper(story, kind, wanted if wanted in {R.DRAFT, R.CONSENT_PENDING, R.SELF} else R.READY)


def _referral(story: Story, fate: Fate) -> Iterable[Beat]:
    """Sent, read and answered, or noted as the person's own step."""
    rng, wanted = story.rng, fate.referral or R.SENT
    if wanted is not R.SELF:
        yield 0.3, partial(_last_paper, story, Paper.send)
    yield 0, partial(story.move, S.REFERRED)
    if wanted is R.SELF:
        return
    if wanted not in {R.SENT, R.NO_ANSWER, R.WITHDRAWN} or rng.random() < 0.5:
        yield 0.4, partial(_last_paper, story, Paper.read)
    if wanted is R.WITHDRAWN:
        yield 1, partial(_last_paper, story, Paper.take_back)
    elif wanted is not R.SENT:
        yield 0.4, partial(_last_paper, story, partial(Paper.answer, status=wanted))
    if wanted is R.DECLINED:
        yield 0.3, partial(story.exchange, "call", "decline_told")
        if fate.twist == "back":
            yield 0, partial(story.move, S.PLANNING, reason=story.say("todo", "back"))


def _last_paper(story: Story, does: Callable[[Paper], None]) -> None:
    does(story.papers[-1])


def _to_a_fund(story: Story) -> None:
    paper = Paper(story, BodyKind.FINANCING)
    paper.send()


def _pause(story: Story) -> None:
    """Back within six months, and after today for a file that is on hold now."""
    day = story.days.day(story.now)
    wanted = max(day, story.world.today) + timedelta(days=story.rng.randint(10, 60))
    story.move(
        S.PAUSED, reason=story.say("todo", "pause"), return_on=next_business_day(min(wanted, day + timedelta(days=175)))
    )


def _end(story: Story, fate: Fate) -> Iterable[Beat]:
    if fate.twist == "restricted":
        yield 0, story.restrict
    if fate.closing is None:
        if story.rng.random() < 0.22:
            yield 0, story.coming_talk
        return
    if fate.closing is C.WITHDRAWN:
        yield 1, partial(story.exchange, "mail", "incoming", incoming=True)
    elif fate.closing is not C.NO_ANSWER:
        yield 1, partial(story.exchange, "call", "told_end")
    yield (1 if fate.closing is C.NO_ANSWER else 0), partial(story.close, fate.closing)
    if fate.twist == "reopened":
        yield 4, partial(story.move, S.DISCOVERY, reason=story.say("todo", "reopened"))
        yield 0, partial(story.exchange, "call", "first_call")
