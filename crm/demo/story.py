"""One file's life, lived forward: each verb leaves the rows that the product's own services would have left."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from zlib import crc32

from crm import clock
from crm.cases.models import Case, CaseNeed, CaseReader, Contact, Exchange, Note, Project, StageSpell, TurnSpell
from crm.cases.pipeline import NOBODY_TO_TELL, SETTLING
from crm.cases.services import REPLY_WITHIN
from crm.cases.turns import Claim
from crm.cases.vocabulary import Stage, Turn
from crm.demo.hands import Hold, hands
from crm.demo.papers import Paper
from crm.demo.people import Asked
from crm.demo.rows import Rows
from crm.demo.words import said, words
from crm.demo.workdays import DAY, after
from crm.demo.world import MOST_UNREMINDED, Mate, World
from crm.duplicates.matching import keys
from crm.duplicates.models import MatchKey
from crm.intake.models import Request
from crm.reminders import rules
from crm.reminders.models import FollowUp
from crm.tags.models import CaseTag
from crm.talks.models import Talk
from crm.timeline.models import Event, EventDetail

RECEIVED = -1  # the minute of the request itself, which keeps its own hour
plan = cache(rules.plan)
Actor = tuple[str, int | None]
TRIES = frozenset({"reach", "reach_again", "reach_last"})


@dataclass(slots=True)
class Step:
    """A follow-up."""

    owner: int
    due_on: date
    first_due_on: date
    created: int
    rule: str = ""
    title: str = ""
    reason: str = ""
    created_by: int | None = None
    state: str = "todo"
    ended: int | None = None
    ended_by: int | None = None
    outcome: str = ""
    waiting_on: str | None = None


@dataclass(slots=True)
class Fact:
    """An event, with its detail and the note or exchange that hangs on it."""

    at: int
    kind: str
    actor: Actor
    codes: dict[str, Any] = field(default_factory=dict)
    detail: dict[str, Any] | None = None
    note: str = ""
    exchange: tuple[Any, ...] = ()


class Story:
    """`now` is the minute of working time it is; `before` the minute at which something last happened."""

    def __init__(self, world: World, rows: Rows, rng: Random, received_at: datetime, asked: Asked) -> None:
        self.world, self.rows, self.rng, self.asked = world, rows, rng, asked
        self.days = world.days
        self.received_at = received_at
        self.start = self.days.following(received_at)
        self.now = self.before = RECEIVED
        self.case_id = rows.new_id(Case)
        self.reply_due_on = after(clock.local_date(received_at), REPLY_WITHIN)
        self.owner: Mate | None = None
        self.stage = Stage.NEW
        self.since = RECEIVED
        self.paused_from: Stage | None = None
        self.closing: str | None = None
        self.first_reply: int | None = None
        self.restricted = False
        self.assessed: int | None = None
        self.summary = ""
        self.readers: tuple[int, ...] = ()
        self.facts: list[Fact] = []
        self.steps: list[Step] = []
        self.todo: list[Step] = []
        self.spells: list[tuple[Stage, int, int | None]] = []
        self.talks: list[tuple[Any, ...]] = []
        self.papers: list[Paper] = []
        staff_entered = asked.source != "web"
        self.event(
            "case.opened", self.by(world.duty) if staff_entered else ("person", None), codes={"source": asked.source}
        )
        self._plan(Stage.NEW, clock.local_date(received_at), None)

    # --- time and actors

    def at(self, minute: int) -> datetime:
        return self.received_at if minute == RECEIVED else self.days.at(minute)

    def by(self, mate: Mate | None = None) -> Actor:
        return ("staff", (mate or self.owner or self.world.duty).id)

    def mate(self) -> Mate:
        return self.owner or self.world.duty

    def say(self, what: str, key: str, **values: object) -> str:
        return said(self.rng, what, self.asked.lang, key, **values)

    def event(
        self, kind: str, by: Actor | None = None, at: int | None = None, codes: dict[str, Any] | None = None
    ) -> Fact:
        fact = Fact(self.now if at is None else at, kind, by or self.by(), codes or {})
        self.facts.append(fact)
        return fact

    # --- files

    def take(self) -> None:
        """An adviser takes the file, or is given it by the coordinator."""
        takers, shares = self.world.advisers(self.asked.lang)
        self.owner = self.rng.choices(takers, shares)[0]
        if self.rng.random() < 0.6 or self.owner is self.world.duty:
            self.event("case.taken")
        else:
            given = self.event("case.assigned", self.by(self.world.duty), codes={"to": self.owner.id})
            given.detail = {"to_name": self.owner.name}
        for step in self.todo:
            step.owner = self.owner.id

    def note(self) -> None:
        self.event("note.added").note = self.say("said", "note")

    def exchange(
        self, kind: str, key: str, *, attempt: bool = False, incoming: bool = False, minutes: int | None = None,
        at: int | None = None,
    ) -> None:  # fmt: skip
        """A call, an e-mail or a meeting. The first that answers the person is the file's first reply."""
        at = self.now if at is None else at
        if not attempt and minutes is None and kind != "mail":
            minutes = self.rng.choice((10, 15, 20, 25, 30, 35, 45))
        direction, result = "incoming" if incoming else "outgoing", "attempt" if attempt else "two_way"
        fact = self.event(f"exchange.{kind}_{result}", None, at, {"minutes": minutes or 0, "direction": direction})
        fact.exchange = (self.mate().id, kind, direction, result, minutes, self.say("said", key))
        self.first_reply = at if self.first_reply is None else min(self.first_reply, at)
        self._reached()

    def _reached(self) -> None:
        """An attempt to reach the person is ticked off, most of the time; the last one waits for what comes next."""
        tries = [step for step in self.todo if step.rule in TRIES]
        if self.stage is Stage.CONTACT and len(tries) > 1 and self.rng.random() < self.world.mix.tended:
            self._end(min(tries, key=lambda step: step.due_on), "done", self.now, self.mate())

    def talk(self, *, held: bool = True) -> None:
        """A talk that was booked when something last happened and took place, or was missed, just now."""
        starts = (self.now - 45) // 30 * 30
        booked = max(self.before + 1, starts - self.rng.randint(2 * DAY, 9 * DAY))
        if starts < booked + 60:
            self.exchange("call", "talk")
            return
        mode = self.rng.choice(("phone", "video", "video", "in_person"))
        minutes = self.rng.choice((30, 30, 45, 60))
        self._book(mode, booked, self.days.at(starts))
        self.talks.append((self.days.at(starts), minutes, mode, "held" if held else "no_show", booked, self.now))
        kind = "call" if mode == "phone" else "meeting"
        self.exchange(
            kind,
            "talk" if held else "attempt",
            attempt=not held,
            minutes=minutes if held else None,
            at=starts,
        )
        if not held:
            self._step(after(self.days.day(self.now), 1), rule="no_show")

    def cancelled_talk(self) -> None:
        """A talk that the person moved: it was booked before, and is called off now."""
        starts, booked = self.days.at((self.now + DAY) // 30 * 30), self.before + 1
        if self.now <= booked or (self.now + DAY) // 30 * 30 > self.days.end:
            return
        self._book("video", booked, starts)
        self.talks.append((starts, 30, "video", "cancelled", booked, self.now))
        self.event("talk.cancelled", None, None, {"at": starts.isoformat()})
        self._step(after(self.days.day(self.now), 1), rule="no_show")

    def coming_talk(self) -> None:
        """A talk in the days to come, while the adviser has a time free."""
        starts = self.world.free_slot(self.mate())
        if starts is not None:
            mode = self.rng.choice(("phone", "video", "in_person"))
            self._book(mode, self.now, starts)
            self.talks.append((starts, 30, mode, "booked", self.now, None))

    def _book(self, mode: str, at: int, starts: datetime) -> None:
        self.event("talk.booked", None, at, {"mode": mode, "at": starts.isoformat()})
        self._step(after(clock.local_date(starts), 3), rule="record", at=at)

    def assess(self) -> None:
        self.assessed = self.now
        self.asked.assess(self.rng)
        values = {"n": self.asked.people, "place": self.asked.place}
        self.summary = " ".join(self.say("summary", key, **values) for key in ("who", "what", "wants"))
        self.event("case.assessed")

    def restrict(self) -> None:
        """Kept to its owner and the coordinator."""
        self.restricted, self.readers = True, (self.world.duty.id,)
        self.event("case.restricted", self.by(self.world.duty))

    # --- stages

    def move(self, to: Stage, *, reason: str = "", return_on: date | None = None, forced: bool = False) -> None:
        """To another stage that is not the last: what rules had planned goes, what they plan now comes."""
        self.tend(self.now)
        for step in [one for one in self.todo if one.rule]:
            self._end(step, "cancelled", self.now, None)
        kind = "case.move_forced" if forced else "case.moved"
        fact = self.event(kind, self.by(self.world.duty) if forced else None, codes={"from": self.stage, "to": to})
        fact.detail = {"reason": reason} if reason else None
        self.paused_from = self.stage if to is Stage.PAUSED else None
        self.closing = None
        self._enter(to)
        self._plan(to, self.days.day(self.now), return_on)

    def close(self, reason: str) -> None:
        """The last stage. What people planned is finished first, unless the reason settles everything by itself."""
        self.tend(self.now)
        settles = reason in SETTLING
        for step in list(self.todo):
            if step.rule or settles:
                self._end(step, "cancelled", self.now, None)
            else:
                self._end(step, "done", self.now, self.mate())
        nobody = "unreachable" if reason == "no_answer" else ""
        told = nobody if reason in NOBODY_TO_TELL else "told"
        codes = {"from": self.stage, "closing_reason": reason, "person_told": told}
        self.event("case.closed", codes=codes).detail = {"reason": self.say("closing", reason)}
        for paper in self.papers:
            if settles and paper.unsettled:
                paper.withdraw()
        self.paused_from, self.closing = None, reason
        self._enter(Stage.CLOSED)

    def _enter(self, to: Stage) -> None:
        self.spells.append((self.stage, self.since, self.now))
        self.stage, self.since = to, self.now

    # --- follow-ups

    def _plan(self, stage: Stage, day: date, return_on: date | None) -> None:
        for one in plan(stage, day, reply_due_on=self.reply_due_on, return_on=return_on):
            self._step(one.due_on, rule=one.rule)

    def _step(self, due_on: date, *, rule: str = "", at: int | None = None) -> Step:
        step = Step(self.mate().id, due_on, due_on, self.now if at is None else at, rule=rule)
        self.steps.append(step)
        self.todo.append(step)
        return step

    def answered(self, names: Mapping[str, str]) -> None:
        """A body answered: its adviser gets a step for the next business day, with the body's name."""
        step = self._step(after(self.days.day(self.now), 1), rule="answered")
        step.reason = names[self.mate().language]

    def by_hand(self, due_on: date, at: int) -> Step:
        step = self._step(due_on, at=at)
        step.title, step.reason = self.rng.choice(words()["todo"][self.asked.lang]["texts"])
        step.created_by = self.mate().id
        step.waiting_on = "person" if len(self.steps) % 4 == 0 else None
        self.event("follow_up.planned", None, at, {"due_on": due_on.isoformat()}).detail = {"title": step.title}
        return step

    def _end(self, step: Step, state: str, at: int, by: Mate | None) -> None:
        """Done or cancelled; by a person it is an event, by a move it is not."""
        step.state, step.ended = state, at
        self.todo.remove(step)
        if by is None:
            return
        step.ended_by = by.id
        fact = self.event(f"follow_up.{state}", None, at, {} if step.title else {"rule": step.rule})
        fact.detail = {"title": step.title} if step.title else {}
        if state == "done" and (outcome := self.say("todo", "outcome")):
            step.outcome = fact.detail["outcome"] = outcome

    def tend(self, until: int) -> None:
        """What came due before a minute was done or put off, as people do, or left until something else settled it."""
        day = self.days.day(until)
        # What a taking or a call settles is left to them.
        due = [step for step in self.todo if step.due_on < day and step.rule not in {"assign", *TRIES}]
        self._tend(due, until - 5, day, lambda _step: self._skips())

    def tend_to_today(self) -> None:
        """The same up to now; a few follow-ups of the last days stay late, and some are for today."""
        today = self.world.today
        late = after(self.days.day(max(self.days.end - 8 * DAY, 0)), 0)
        waiting = [step for step in self.todo if step.due_on < today]
        self._tend(waiting, self.days.end, today, lambda step: step.due_on >= late and self.rng.random() < 0.3)
        first = min(self.todo, key=lambda step: step.due_on)
        put_off = max(self.days.end - self.rng.randrange(DAY), first.created + 1, self.start + 1)
        if first.due_on > today and put_off <= self.days.end and self.rng.random() < 0.15:
            self._snooze(first, put_off, after(today, 0))

    def _skips(self) -> bool:
        return self.rng.random() >= self.world.mix.tended

    def _tend(self, waiting: list[Step], last: int, day: date, leaves: Callable[[Step], bool]) -> None:
        earlier = RECEIVED
        while waiting:
            waiting.sort(key=lambda step: step.due_on)
            step = waiting.pop(0)
            low = max(step.created + 5, self.days.of_day(step.due_on), earlier + 1, self.start + 5)
            if leaves(step) or low > last:
                continue
            earlier = at = min(low + self.rng.randrange(2 * DAY), last)
            if all(other is step or other.created > at for other in self.todo):
                next_one = self.by_hand(after(self.days.day(at), self.rng.randint(6, 35)), at)
                if next_one.due_on < day:
                    waiting.append(next_one)
            if not step.rule and self.rng.random() < 0.1:
                self._end(step, "cancelled", at, self.mate())
            else:
                self._end(step, "done", at, self.mate())

    def _snooze(self, step: Step, at: int, due_on: date) -> None:
        step.due_on = due_on
        told = {} if step.title else {"rule": step.rule}
        fact = self.event("follow_up.snoozed", None, at, {"due_on": due_on.isoformat(), **told})
        fact.detail = {"title": step.title} if step.title else {}

    # --- rows

    def write(self) -> None:
        """Everything that happened, as rows."""
        add, new_id, asked = self.rows.add, self.rows.new_id, self.asked
        contact_id, project_id = new_id(Contact), new_id(Project)
        add(Contact, contact_id, *asked.contact())
        assessed = None if self.assessed is None else self.at(self.assessed)
        add(
            Project, project_id, *asked.project(), self.summary, assessed,
            None if assessed is None else self.mate().id, 1 if assessed is None else 2,
        )  # fmt: skip
        closed = self.stage is Stage.CLOSED
        held = self._hands()
        holder = held[-1][0]
        add(
            Case, self.case_id, self.world.reference(self.case_id), self.stage.value, self.at(self.since),
            self.paused_from.value if self.paused_from else None, self.owner.id if self.owner else None,
            contact_id, project_id, asked.lang, asked.source, self.received_at, self.reply_due_on,
            None if self.first_reply is None else self.at(self.first_reply),
            min((step.due_on for step in self.todo), default=None),
            self.at(self.since) if closed else None, self.closing, self.restricted,
            self.received_at if closed else None,  # files still open are compared by the job, as in real life
            holder.turn.value, holder.since, holder.until, holder.body_id,
        )  # fmt: skip
        for place, (one, since) in enumerate(held):
            until = held[place + 1][1] if place + 1 < len(held) else None
            add(TurnSpell, new_id(TurnSpell), self.case_id, one.turn.value, one.body_id, since, until)
        for found_under in dict.fromkeys(keys(asked.traits()).every):
            add(MatchKey, found_under, self.case_id)
        for reader in self.readers:
            add(CaseReader, self.case_id, reader)
        for need in asked.needs:
            add(CaseNeed, self.case_id, need, self.received_at)
        for need in asked.needs_found:
            add(CaseNeed, self.case_id, need, assessed)
        for place, tag in enumerate(self.world.tags):
            # Drawn from the number alone: what else becomes of the file stays what it was.
            if crc32(f"{self.world.seed}:{self.case_id}:{place}".encode()) % (5 + 4 * place) == 0:
                add(CaseTag, self.case_id, tag)
        for stage, entered, left in (*self.spells, (self.stage, self.since, None)):
            add(
                StageSpell,
                new_id(StageSpell),
                self.case_id,
                stage.value,
                self.at(entered),
                None if left is None else self.at(left),
            )
        if asked.source == "web":
            key = hashlib.sha256(f"demo:{self.world.seed}:{self.case_id}".encode()).hexdigest()[:40]
            version = self.world.notice_version
            add(
                Request,
                new_id(Request),
                key,
                self.case_id,
                self.received_at,
                asked.lang,
                version,
                asked.answers,
            )
        self._write_facts()
        for step in self.steps:
            self._write_step(step)
        for starts, minutes, mode, state, booked, ended in self.talks:
            add(
                Talk, new_id(Talk), self.case_id, self.mate().id, starts, minutes, mode, state, self.at(booked),
                None if ended is None else self.at(ended),
            )  # fmt: skip
        for paper in self.papers:
            paper.write(self.rows)

    def _hands(self) -> list[tuple[Claim, datetime]]:
        """Who held the file, from when."""
        at = self.at
        holds = [
            Hold(Claim(Turn.BODY, at(paper.sent), None, paper.partner.id), paper.left())
            for paper in self.papers
            if paper.sent is not None
        ]
        holds += [
            Hold(Claim(Turn.PERSON, at(paper.created)), None if paper.withdrawn is None else at(paper.withdrawn))
            for paper in self.papers
            if paper.asked
        ]
        holds += [
            Hold(Claim(Turn.TALK, at(booked), starts), None if ended is None else at(ended))
            for starts, _minutes, _mode, _state, booked, ended in self.talks
        ]
        for step in self.steps:
            ended = None if step.ended is None else at(step.ended)
            if step.rule in rules.THEY_ACTED:
                holds.append(Hold(Claim(Turn.TEAM, at(step.created)), ended))
            elif step.waiting_on:
                holds.append(Hold(Claim(Turn.PERSON, at(step.created), clock.at_local(step.due_on, 0)), ended))
        entered = [(stage, at(since)) for stage, since, _left in (*self.spells, (self.stage, self.since, None))]
        replied = None if self.first_reply is None else at(self.first_reply)
        return hands(self.received_at, entered, holds, replied_at=replied, now=clock.at_local(self.world.today, 0))

    def _write_facts(self) -> None:
        add, new_id = self.rows.add, self.rows.new_id
        for fact in sorted(self.facts, key=lambda one: one.at):
            event_id, at = new_id(Event), self.at(fact.at)
            add(Event, event_id, at, fact.kind, self.case_id, *fact.actor, fact.codes)
            if fact.detail:
                add(EventDetail, event_id, fact.detail)
            if fact.note:
                add(Note, new_id(Note), self.case_id, event_id, fact.actor[1], fact.note)
            if fact.exchange:
                staff, kind, direction, result, minutes, summary = fact.exchange
                add(
                    Exchange, new_id(Exchange), self.case_id, event_id, staff, kind, direction, result, at, minutes,
                    summary,
                )  # fmt: skip

    def _write_step(self, step: Step) -> None:
        ended = None if step.ended is None else self.at(step.ended)
        due = step.due_on <= (self.world.today if ended is None else clock.local_date(ended))
        recent = step.due_on >= self.world.today - timedelta(days=5)
        if due and ended is None and recent and self.world.unreminded < MOST_UNREMINDED:
            self.world.unreminded += 1
            due = False
        self.rows.add(
            FollowUp, self.rows.new_id(FollowUp), self.case_id, step.owner, step.rule, step.title, step.reason,
            step.waiting_on,
            step.due_on, step.first_due_on, step.state, step.due_on if due else None, self.at(step.created),
            step.created_by, ended, step.ended_by, step.outcome,
        )  # fmt: skip
