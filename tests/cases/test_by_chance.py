"""Whatever four people do, in whatever order, each sees and does what a plain model says they may: no more and no less."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from crm import clock
from crm.accounts.models import Staff
from crm.bulk.models import BulkRun, RunState
from crm.cases import pipeline, services
from crm.cases.models import Case, CaseReader, Note, Project
from crm.cases.pipeline import Move
from crm.cases.queries import forgotten
from crm.cases.vocabulary import ClosingReason, Stage
from crm.reminders.models import FollowUp, State
from crm.tags.models import CaseTag, Tag
from tests.bulk.test_bulk import ask, begin, choose
from tests.support.typed import form_with

TEAM = ("adviser", "other_adviser", "coordinator")
MOST = 4  # files of one run
STEPS = 13
# Runs in which, together, all of DONE is done: where a rule or the library changes that, the test says so and others are chosen.
SEEDS = (7, 8, 10, 13, 19, 20, 24)
DONE = {
    "take", "assign", "notes", "exchanges", "restriction", "follow-ups", "assessment", "to contact", "to discovery",
    "to planning", "to paused", "to closed", "bulk", "bulk, one hidden",
}  # fmt: skip
TAGS = ("Cohorte du hasard", "Relance du hasard")
# Lists that something is asked of, and which files they hold.
LISTS = {
    "stage=all": lambda file, who: True,
    "": lambda file, who: file.stage is not Stage.CLOSED,
    "stage=all&owner=me": lambda file, who: file.owner == who,
}
# Pages that bring files of many people together.
ELSEWHERE = (
    "/staff/today",
    "/staff/follow-ups",
    "/staff/cases/board?stage=all",
    "/staff/requests",
    "/staff/bulk",
    "/staff/tags",
    "/staff/mail",
)
# Two that settle what is still planned, and two that do not.
CLOSINGS = (ClosingReason.WITHDRAWN, ClosingReason.OUT_SCOPE, ClosingReason.SPAM, ClosingReason.ANSWERED)
LISTED = re.compile(r'name="file" value="([^"]+)"')
FOUND = re.compile(r'href="/staff/cases/([^"]+)"><span class="found-name">')
NOTE = re.compile(r'class="words">Note (note\d+z)<')
TO_DO = re.compile(r'<li class="todo">\s*<strong>(suivi\d+z)</strong>')

WHO, COLLEAGUE = st.sampled_from((*TEAM, *TEAM, "observer")), st.sampled_from(TEAM)
SELDOM = st.sampled_from((False, False, False, True))
_numbers = count(1)


def word(of: str) -> str:
    """A word that is written nowhere else, nor begins another."""
    return f"{of}{next(_numbers)}z"


@dataclass(eq=False)
class File:
    """What everybody should find. `readers` is None while the team may see it; `said` is all that was ever written in it."""

    reference: str
    name: str
    stage: Stage = Stage.NEW
    paused_from: Stage | None = None
    owner: str | None = None
    readers: set[str] | None = None
    talked: bool = False
    summary: str = ""
    notes: list[str] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def seen_by(self, who: str) -> bool:
        return who in TEAM and (self.readers is None or who == self.owner or who in self.readers)

    def refuses(self, move: Move) -> bool:
        """The rules of stages, and what is asked of this file before a move unless it is forced."""
        if pipeline.refusals(move):
            return True
        if move.forced:
            return False
        match move.to:
            case Stage.CONTACT:
                return self.owner is None
            case Stage.DISCOVERY:
                return move.origin is Stage.CONTACT and not self.talked
            case Stage.PLANNING:
                return move.origin is Stage.DISCOVERY and not self.summary
            case Stage.REFERRED:
                return move.origin is Stage.PLANNING  # nobody refers anything here
            case Stage.CLOSED:
                return bool(self.to_do) and move.closing_reason not in pipeline.SETTLING
        return False

    def move(self, move: Move) -> None:
        self.stage = move.to
        self.paused_from = move.origin if move.to is Stage.PAUSED else None
        if move.to is Stage.CLOSED:
            self.to_do.clear()


class World:
    """Four people with their browsers, on one database. Files of earlier runs stay in it: `earlier` are theirs."""

    def __init__(self, make, people, session, signed_in) -> None:
        self.make, self.people, self.session = make, people, session
        self.pages = {who: signed_in(getattr(people, who)) for who in (*TEAM, "observer")}
        self.ids = {who: getattr(people, who).id for who in self.pages}
        self.earlier: set[str] = set()
        self.done: Counter[str] = Counter()  # of what was asked and not refused

    def person(self, who: str) -> Staff:
        return self.session.get_one(Staff, self.ids[who])

    def case(self, file: File) -> Case:
        return self.session.scalars(select(Case).where(Case.reference == file.reference)).one()


class Chance(RuleBasedStateMachine):
    """The rules are what people do; what must be true after each is below them."""

    files = Bundle("files")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.session, self.pages = world, world.session, world.pages
        self.model: list[File] = []
        self.changed: set[File] = set()  # since everybody last looked
        self.lot = word("lot")  # in the name of every project of this run
        self.turns = count()

    def teardown(self) -> None:
        self.world.earlier |= {file.reference for file in self.model}

    # --- how it is done --------------------------------------------------------------------------------------------------

    def seen(self, who: str) -> set[str]:
        return {file.reference for file in self.model if file.seen_by(who)}

    def tag(self, name: str) -> int | None:
        return self.session.scalar(select(Tag.id).where(Tag.name == name))

    def look(self, who: str, address: str, status: int = 200) -> str:
        """What a page says to somebody: of a file that they may not see, nothing but what its own address repeats."""
        page = self.pages[who].get(address, status=status).text
        hidden = [file for file in self.model if not file.seen_by(who)]
        written = [one for file in hidden for one in (file.reference, file.name, *file.said)]
        told = [one for one in written if one in page and one not in address]
        assert not told, f"{address} tells {who} {told}"
        return page

    def send(self, who: str, file: File, to: str, data: dict, status: int = 303) -> bool:
        """Send a form of a file, to be answered `status` or, where they may not see the file, 404; whether it was done."""
        status = status if file.seen_by(who) else 404
        self.pages[who].post(f"/staff/cases/{file.reference}/{to}", data, status=status)
        if status == 303:
            self.changed.add(file)
            self.world.done[to.partition("/")[0]] += 1
        return status == 303

    def open(self, at: Stage, owner: str) -> File:
        """A file brought to a stage by the moves a person would make."""
        make, name = self.world.make, word("projet")
        person = None if at is Stage.NEW else self.world.person(owner)
        case = make.case(owner=person, name=f"{self.lot} {name}", email=f"{name}@exemple.ca")
        file = File(case.reference, name, owner=person and owner)
        path = [Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING]
        for to in path[: path.index(at) + 1] if person else []:
            if to is Stage.DISCOVERY:
                make.exchange(case, person)
                file.talked = True
            if to is Stage.PLANNING:
                make.assessed(case, person)
                file.summary = case.project.summary
            services.advance(case, to, person)
            file.stage = to
        self.session.commit()
        self.model.append(file)
        self.changed.add(file)
        return file

    def try_to_move(self, who: str, file: File, to: Stage, *, late: bool = False, **typed) -> None:
        forced = typed.pop("forced", False)
        move = Move(
            origin=file.stage,
            to=to,
            today=clock.today(),
            reason=typed.get("reason", ""),
            return_on=typed.get("return_on"),
            closing_reason=typed.get("closing_reason") if to is Stage.CLOSED else None,
            person_told=typed.get("person_told", ""),
            forced=forced and who == "coordinator",
            paused_from=file.paused_from,
        )
        seen = next(one for one in Stage if one is not file.stage) if late else file.stage
        data = {"to": to, "seen": seen} | {name: str(value or "") for name, value in typed.items()}
        refused = late or file.refuses(move)
        if self.send(who, file, "stage", data | ({"forced": "y"} if forced else {}), 409 if refused else 303):
            file.move(move)
            self.world.done[f"to {to}"] += 1

    def name_readers(self, file: File, who: str, readers: set[str]) -> None:
        """As the product's own verb does it: the page names nobody but the owner and who asks."""
        numbers = [self.world.ids[one] for one in readers]
        services.restrict(self.world.case(file), restricted=True, readers=numbers, actor=self.world.person(who))
        self.session.commit()
        file.readers = {who, *readers}
        self.changed.add(file)

    def plan(self, file: File, who: str, owner: str, days: int = 0) -> None:
        title, due_on = word("suivi"), clock.today() + timedelta(days=days)
        typed = {"title": title, "reason": "Nouvelles", "due_on": due_on, "owner": self.world.ids[owner]}
        if self.send(who, file, "follow-ups", typed, 409 if file.stage is Stage.CLOSED else 303):
            file.to_do.append(title)
            file.said.append(title)

    # --- what people do --------------------------------------------------------------------------------------------------

    @initialize(target=files, owner=COLLEAGUE, planned_for=COLLEAGUE)
    def two_files_are_there(self, owner, planned_for):
        new, known = self.open(Stage.NEW, owner), self.open(Stage.DISCOVERY, owner)
        self.plan(known, owner, planned_for)
        return multiple(new, known)

    @precondition(lambda self: len(self.model) < MOST)
    @rule(
        target=files,
        at=st.sampled_from((Stage.NEW, Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING)),
        owner=COLLEAGUE,
    )
    def open_a_file(self, at, owner):
        return self.open(at, owner)

    @rule(file=files, who=WHO)
    def take(self, file, who):
        if self.send(who, file, "take", {}, 409 if file.stage is Stage.CLOSED else 303):
            file.owner = who

    @rule(file=files, who=WHO, to=WHO)
    def assign(self, file, who, to):
        status = 422 if to == "observer" else 409 if file.stage is Stage.CLOSED else 303
        if self.send(who, file, "assign", {"to": self.world.ids[to]}, status):
            file.owner = to

    @rule(file=files, who=WHO)
    def write_a_note(self, file, who):
        note = word("note")
        if self.send(who, file, "notes", {"body": f"Note {note}"}):
            file.notes.append(note)
            file.said.append(note)

    @rule(file=files, who=WHO)
    def record_a_conversation(self, file, who):
        typed = {"kind": "call", "direction": "outgoing", "result": "two_way", "on": clock.today().isoformat()}
        file.talked |= self.send(who, file, "exchanges", typed)

    @rule(
        file=files, who=st.sampled_from(("coordinator", "coordinator", "adviser", "observer")), restricted=st.booleans()
    )
    def restrict_or_open_on_the_page(self, file, who, restricted):
        typed = {"restricted": "yes" if restricted else "no"}
        if self.send(who, file, "restriction", typed, 303 if who == "coordinator" else 404):
            file.readers = {who, *({file.owner} if file.owner else ())} if restricted else None

    @rule(file=files, who=COLLEAGUE, readers=st.sets(WHO, max_size=2))
    def restrict_to_named_readers(self, file, who, readers):
        if file.seen_by(who):
            self.name_readers(file, who, readers)

    @rule(
        file=files,
        who=WHO,
        to=st.sampled_from(Stage),
        late=SELDOM,
        reason=st.sampled_from(("", "Parce que")),
        days=st.sampled_from((0, 30, 400)),
        closing_reason=st.sampled_from((None, *ClosingReason)),
        person_told=st.sampled_from(("", "told")),
        forced=SELDOM,
    )
    def ask_for_any_move(self, file, who, to, days, **typed):
        return_on = clock.today() + timedelta(days=days) if days else None
        self.try_to_move(who, file, to, return_on=return_on, **typed)

    def move_well(self, file, who, to, closing_reason=ClosingReason.OUT_SCOPE):
        """With all that a move may ask for."""
        on = clock.today() + timedelta(days=30)
        told = {"reason": "Convenu", "person_told": "told", "closing_reason": closing_reason}
        self.try_to_move(who, file, to, return_on=on, **told)

    @rule(file=files, who=WHO, place=st.integers(0, 5))
    def ask_for_a_move_that_is_offered(self, file, who, place):
        offered = pipeline.allowed(file.stage, file.paused_from)
        self.move_well(file, who, offered[place % len(offered)])

    @rule(file=files, who=WHO, closing_reason=st.sampled_from(CLOSINGS))
    def close(self, file, who, closing_reason):
        self.move_well(file, who, Stage.CLOSED, closing_reason)

    @precondition(lambda self: any(file.stage is Stage.CLOSED for file in self.model))
    @rule(who=WHO)
    def reopen(self, who):
        self.move_well(next(file for file in self.model if file.stage is Stage.CLOSED), who, Stage.DISCOVERY)

    @rule(file=files, who=WHO, owner=COLLEAGUE, days=st.integers(0, 700))
    def plan_a_follow_up(self, file, who, owner, days):
        self.plan(file, who, owner, days)

    @rule(file=files, who=WHO, place=st.integers(0, 5))
    def complete_a_follow_up_twice(self, file, who, place):
        steps = select(FollowUp.id, FollowUp.title).join(Case, Case.id == FollowUp.case_id).order_by(FollowUp.id)
        steps = steps.where(Case.reference == file.reference, FollowUp.state == State.TODO)
        if planned := self.session.execute(steps).all():
            number, title = planned[place % len(planned)]
            if self.send(who, file, f"follow-ups/{number}/done", {}):
                file.to_do = [one for one in file.to_do if one != title]
            self.send(who, file, f"follow-ups/{number}/done", {}, 409)

    @rule(file=files, who=WHO, other=WHO)
    def save_one_assessment_from_two_windows(self, file, who, other):
        """The second is told, and what the first wrote stays."""
        address, forms = f"/staff/cases/{file.reference}/assessment", []
        for one in (who, other):
            status = 404 if not file.seen_by(one) else 409 if file.stage is Stage.CLOSED else 200
            page = self.look(one, address, status)
            forms += [(one, form_with(page, "summary")[1])] if status == 200 else []
        for place, (one, form) in enumerate(forms):
            summary, status = word("sommaire"), 409 if place else 303
            answer = self.pages[one].post(address, form | {"summary": summary, "reason": "Précisé"}, status=status)
            if place:
                assert summary in answer.text
                assert file.summary in answer.text
            else:
                file.summary = summary
                file.said.append(summary)
                self.changed.add(file)
                self.world.done["assessment"] += len(forms) == 2

    @rule(who=WHO, listed=st.sampled_from(sorted(LISTS)), tag=st.sampled_from(TAGS), hides=st.booleans())
    def tag_all_that_match(self, who, listed, tag, hides):
        """A file that is hidden from who asked, between choosing and doing, is left alone."""
        browser, address = self.pages[who], f"{listed}&q={self.lot}"
        chosen = [one for one in self.model if one.seen_by(who) and LISTS[listed](one, who)]
        if not chosen:
            browser.post("/staff/bulk", {"which": "all", "list": address}, status=409 if who in TEAM else 404)
            return
        run = choose(browser, listed=address, which="all")
        hidden = next((one for one in chosen if hides and one.owner != who), None)
        self.world.done["bulk, one hidden" if hidden else "bulk"] += 1
        if hidden:
            self.name_readers(hidden, next(one for one in TEAM if one != who), set())
        ask(browser, run, "tag", new=tag)
        self.look(who, run)
        begin(browser, run)
        number = int(run.rsplit("/", 1)[1])
        for _ in chosen:  # a slow machine leaves some for later
            if self.session.scalar(select(BulkRun.state).where(BulkRun.id == number)) is RunState.RUNNING:
                browser.post(f"{run}/on", {})
        self.look(who, run)
        for one in chosen:
            if one.seen_by(who):
                one.tags.add(tag)
                self.changed.add(one)
        page = self.look(who, f"/staff/cases?stage=all&tag={self.tag(tag)}")
        tagged = {one.reference for one in self.model if tag in one.tags and one.seen_by(who)}
        assert set(LISTED.findall(page)) - self.world.earlier == tagged

    @rule(file=files, who=WHO)
    def look_for_a_file(self, file, who):
        """By its name, its number and each of its notes."""
        browser, wanted = self.pages[who], [file.reference] if file.seen_by(who) else []
        status = 200 if who in TEAM else 404
        for typed in (file.name, *file.notes):
            assert FOUND.findall(browser.get(f"/staff/search?q={typed}", status=status).text) == wanted, typed
        answer = browser.get(f"/staff/search?q={file.reference}", status=302 if wanted else status)
        assert not FOUND.findall(answer.text)

    @rule(who=WHO, address=st.sampled_from(ELSEWHERE))
    def look_elsewhere(self, who, address):
        self.look(who, address, 200 if who in TEAM else 404)

    # --- what is always true ---------------------------------------------------------------------------------------------

    @invariant()
    def every_open_file_has_a_next_step(self):
        ours = {file.reference for file in self.model}
        assert [case.reference for case in forgotten() if case.reference in ours] == []

    @invariant()
    def what_is_kept_is_what_was_done(self):
        """Of every file: so that what was refused, or done to one, changed nothing else."""
        names = {number: who for who, number in self.world.ids.items()}
        ours = Case.reference.in_([file.reference for file in self.model])
        read = select(Case.reference, Case.stage, Case.owner_id, Case.restricted, Project.summary)
        kept = self.session.execute(read.join(Project, Project.id == Case.project_id).where(ours))
        assert {(row[0], row[1], names.get(row[2]), row[3], row[4]) for row in kept} == {
            (one.reference, one.stage, one.owner, one.readers is not None, one.summary) for one in self.model
        }
        for of, what, model in (
            (CaseReader, CaseReader.staff_id, lambda one: [self.world.ids[who] for who in one.readers or ()]),
            (Note, Note.body, lambda one: [f"Note {note}" for note in one.notes]),
            (FollowUp, FollowUp.title, lambda one: one.to_do),
            (CaseTag, CaseTag.tag_id, lambda one: [self.tag(name) for name in one.tags]),
        ):
            rows = select(Case.reference, what).join(Case, Case.id == of.case_id).where(ours)
            if of is FollowUp:
                rows = rows.where(FollowUp.rule == "", FollowUp.state == State.TODO)
            found = sorted(tuple(row) for row in self.session.execute(rows))
            assert found == sorted((one.reference, value) for one in self.model for value in model(one)), of

    @invariant()
    def each_sees_what_they_may_and_nothing_else(self):
        """Looked at when something changed: what changed, and one other file in turn."""
        if self.changed:
            self.look_at_lists()
            for file in {*self.changed, self.model[next(self.turns) % len(self.model)]}:
                self.look_at(file)
            self.changed.clear()

    def look_at_lists(self):
        for who in TEAM:
            listed = set(LISTED.findall(self.look(who, "/staff/cases?stage=all")))
            assert listed - self.world.earlier == self.seen(who), who
            found = FOUND.findall(self.look(who, f"/staff/search?q={self.lot}"))
            assert sorted(found) == sorted(self.seen(who)), who
        for address in ("/staff/cases?stage=all", f"/staff/search?q={self.lot}"):
            self.look("observer", address, 404)

    def look_at(self, file):
        for who in (*TEAM, "observer"):
            seen = file.seen_by(who)
            page = self.look(who, f"/staff/cases/{file.reference}?show=notes", 200 if seen else 404)
            assert NOTE.findall(page) == (file.notes[::-1] if seen else []), who
            assert sorted(TO_DO.findall(page)) == (sorted(file.to_do) if seen else []), who
            if who in TEAM and not seen:  # something may have been planned for them before it was hidden
                self.look(who, "/staff/follow-ups")


def test_whatever_people_do_each_sees_and_does_what_they_may(make, people, session, signed_in):
    world = World(make, people, session, signed_in)
    rules = settings(
        # The first example of a seed is the simplest there is; those after the second are much like it. So: many seeds.
        max_examples=2,
        stateful_step_count=STEPS,
        database=None,
        # A failure is told as it was found: making it shorter would outlast the time a test may take.
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    for number in SEEDS:
        run_state_machine_as_test(seed(number)(lambda: Chance(world)), settings=rules)
    assert not DONE - (+world.done).keys(), "choose other seeds"
