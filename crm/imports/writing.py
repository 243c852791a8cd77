"""Making files of rows, many at once, and taking them back. Nothing here commits.

The rows are those that the verbs of a file would have written, had it been opened by hand and brought to its stage: `tests/imports`
holds one against the other. They are written together because a programme brings tens of thousands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.exc import IntegrityError

from crm import clock
from crm.business_days import add_business_days, next_business_day
from crm.cases import turns
from crm.cases.models import (
    Case,
    CaseNeed,
    CaseReading,
    Contact,
    Note,
    Project,
    StageSpell,
    TurnSpell,
)
from crm.cases.services import REPLY_WITHIN, new_reference
from crm.cases.turns import Claim
from crm.cases.vocabulary import (
    ClosingReason,
    ContactMode,
    LegalForm,
    Need,
    PreferredLanguage,
    ProjectStage,
    Source,
    Stage,
    Turn,
)
from crm.db import db, touched
from crm.duplicates.matching import keys
from crm.duplicates.models import LikePair, MatchKey
from crm.duplicates.services import traits_of
from crm.errors import RefusedError
from crm.imports.fields import Reading
from crm.imports.models import ImportKey
from crm.reminders import rules
from crm.reminders.models import FollowUp, State
from crm.reminders.plans import in_force
from crm.search import services as search
from crm.search.models import SearchFile, SearchText
from crm.tags import services as tags
from crm.tags.models import CaseTag
from crm.texts import text
from crm.timeline.models import ActorKind, Event, EventDetail
from crm.timeline.services import record

OPENED, NOTED = "import.opened", "import.note"
ROLE = "lead"
RECEIVED_AT_HOUR = 9
LONGEST_NOTE = 20_000  # signs: what a form can edit


@dataclass(frozen=True)
class Setting:
    """What all files of one import share; people by number. `owners` are those who may be responsible, `tags` the
    tags there are.
    """

    run_id: int
    actor_id: int
    prefix: str
    owners: frozenset[int]
    tags: frozenset[int]
    duty_id: int | None
    now: datetime

    @property
    def by(self) -> tuple[ActorKind, int]:
        return ActorKind.STAFF, self.actor_id

    @property
    def today(self) -> date:
        return clock.local_date(self.now)


def write(rows: Sequence[tuple[int, Reading]], setting: Setting) -> list[Case]:
    """A file for each (line of the sheet, what was read of it), with its history, its next step and its words for search.

    No mail leaves for them: what is due already, and what our rules plan, is in lists, and only what the sheet planned is reminded of.
    """
    cases = [_case(reading.values, setting) for _, reading in rows]
    steps = [_steps(case, reading.values, setting) for case, (_, reading) in zip(cases, rows, strict=True)]
    for case, planned in zip(cases, steps, strict=True):
        case.next_step_on = min((one.due_on for one in planned), default=None)
    db.session.add_all(cases)
    db.session.flush()
    _tag([(case, reading.values) for case, (_, reading) in zip(cases, rows, strict=True)], setting)
    noted = list[tuple[Case, Event, str]]()
    for case, planned, (line, reading) in zip(cases, steps, rows, strict=True):
        _around(case, planned, line, reading.values, setting)
        told = _note_of(reading)
        for start in range(0, len(told), LONGEST_NOTE):
            event = record(NOTED, case_id=case.id, actor=setting.by)
            noted.append((case, event, told[start : start + LONGEST_NOTE]))
    db.session.flush()
    db.session.add_all(
        Note(case_id=case.id, event_id=event.id, author_id=setting.actor_id, body=told) for case, event, told in noted
    )
    db.session.flush()
    search.begin_all([case.id for case in cases])
    known_by = [(case.id, key) for case in cases for key in dict.fromkeys(keys(traits_of(_compared(case))).every)]
    if known_by:  # so that another sheet meets them at once; what looks alike among them is looked for by the job
        db.session.execute(insert(MatchKey), [{"case_id": case_id, "key": key} for case_id, key in known_by])
    touched(db.session())  # whose turn it is and what is found are written above: nothing is left to settle
    return cases


def _compared(case: Case) -> SimpleNamespace:
    """What of a file is compared with others, as a row of the database would say it."""
    person, project = case.contact, case.project
    return SimpleNamespace(
        name=person.name,
        email=person.email,
        phone=person.phone,
        extension=person.phone_extension,
        neq=project.neq,
        project=project.name,
        sector=project.sector,
        region=project.region,
        locality=project.locality,
    )


def _case(values: Mapping[str, Any], setting: Setting) -> Case:
    stage, language = Stage(values["stage"]), PreferredLanguage(values["language"])
    received_at = _instant(values["received"] or setting.today, setting)
    closed_at = _instant(values["closed"] or setting.today, setting) if stage is Stage.CLOSED else None
    phone, extension = values["phone"]
    owner_id = int(values["owner"] or 0)
    case = Case(
        reference=new_reference(setting.prefix),
        stage=stage,
        stage_since=closed_at or received_at,
        owner_id=owner_id if owner_id in setting.owners else None,
        contact=Contact(
            name=values["name"],
            role=ROLE,
            language=language,
            mode=ContactMode.PHONE if phone and not values["email"] else ContactMode.EMAIL,
            email=values["email"],
            phone=phone,
            phone_extension=extension,
            availability=[],
        ),
        project=Project(
            name=values["project"],
            description=values["description"],
            sector=values["sector"],
            stage=ProjectStage(values["project_stage"]),
            legal_form=LegalForm(values["legal_form"]),
            region=values["region"],
            locality=values["locality"] if values["region"] == "06" else "",
            neq=values["neq"],
            supports=[],
            summary="",
            version=1,
        ),
        language="en" if language is PreferredLanguage.EN else "fr",
        source=Source(values["source"]),
        received_at=received_at,
        reply_due_on=add_business_days(clock.local_date(received_at), REPLY_WITHIN),
        closed_at=closed_at,
        closing_reason=ClosingReason(values["closing_reason"]) if closed_at else None,
        turn=Turn.TEAM,
        turn_since=received_at,
    )
    held = turns.whose(
        stage,
        [],
        now=setting.now,
        was=Claim(Turn.TEAM, received_at),
        stage_since=case.stage_since,
        unanswered_since=turns.unanswered(case),
    )
    case.turn, case.turn_since = held.turn, held.since
    return case


def _instant(day: date, setting: Setting) -> datetime:
    return min(clock.at_local(day, RECEIVED_AT_HOUR), setting.now)


def _around(case: Case, steps: Sequence[FollowUp], line: int, values: Mapping[str, Any], setting: Setting) -> None:
    """Where the file stood and in whose hands, its needs, what is to be done, and the first line of its history."""
    add = db.session.add
    if case.closed_at is not None:
        # A sheet does not say where a file stood before it was closed: it was being worked on.
        add(StageSpell(case_id=case.id, stage=Stage.CONTACT, entered_at=case.received_at, left_at=case.closed_at))
        add(TurnSpell(case_id=case.id, turn=Turn.TEAM, entered_at=case.received_at, left_at=case.closed_at))
    add(StageSpell(case_id=case.id, stage=case.stage, entered_at=case.stage_since))
    add(TurnSpell(case_id=case.id, turn=case.turn, entered_at=case.turn_since))
    db.session.add_all(CaseNeed(case_id=case.id, need=Need(need), since=case.received_at) for need in values["needs"])
    for step in steps:
        step.case_id = case.id
        add(step)
    codes = {"import": setting.run_id, "line": line, "source": case.source}
    record(OPENED, case_id=case.id, actor=setting.by, codes=codes, at=setting.now)


def _tag(files: Iterable[tuple[Case, Mapping[str, Any]]], setting: Setting) -> None:
    """The tags of files. What can be no tag, the team having as many as it may, is kept in the note."""
    made: dict[str, int | None] = {}
    for case, values in files:
        carried = {number for code in values["tags"] if (number := int(code)) in setting.tags}
        for name in values["new_tags"]:
            if name not in made:
                made[name] = _tag_named(name)
            if (tag := made[name]) is not None:
                carried.add(tag)
            else:
                values["notes"].append((text("imports.field.tags"), name))
        db.session.add_all(CaseTag(case_id=case.id, tag_id=number) for number in sorted(carried))


def _tag_named(name: str) -> int | None:
    try:
        return tags.named(name).id
    except RefusedError:
        return None


def _steps(case: Case, values: Mapping[str, Any], setting: Setting) -> list[FollowUp]:
    """What is to be done: what the sheet says, otherwise what our rules plan on entering the stage today (truth 1)."""
    if case.stage is Stage.CLOSED:
        return []
    title, on = values["next_step"], values["next_step_on"]
    if title or on:
        due_on = on or add_business_days(setting.today, 1)
        typed = {
            "title": title,
            "rule": "" if title else "decide",
            "created_by_id": setting.actor_id if title else None,
        }
        planned = [(next_business_day(due_on), typed)]
    else:
        made = rules.plan(case.stage, setting.today, reply_due_on=case.reply_due_on, steps=in_force())
        planned = [(one.due_on, {"rule": one.rule}) for one in made]
    return [
        FollowUp(
            owner_id=case.owner_id or setting.duty_id,
            title=more.get("title", ""),
            rule=more["rule"],
            reason="",
            outcome="",
            due_on=due_on,
            first_due_on=due_on,
            state=State.TODO,
            created_at=setting.now,
            created_by_id=more.get("created_by_id"),
            reminded_on=None if more.get("reminds") and due_on > setting.today else setting.today,
        )
        for due_on, more in planned
    ]


def _note_of(reading: Reading) -> str:
    """What columns kept as notes say, and what could not be read, each under the title of its column."""
    values = reading.values
    lines = [text("imports.note.number", number=values["number"])] if values["number"] else []
    lines += [text("imports.note.line", title=title, said=said) if title else said for title, said in values["notes"]]
    return "\n".join(lines)


# --- taking back -----------------------------------------------------------------------------------------------------


def _happened() -> Any:
    """Something happened on a file since it was imported."""
    return exists().where(Event.case_id == Case.id, Event.kind.not_in((OPENED, NOTED)))


def touched_since(case_ids: Any) -> int:
    """How many of some files, given by a select, something happened on since."""
    stay = _happened() | Case.merged_into_id.is_not(None)
    return db.session.scalar(select(func.count()).select_from(Case).where(Case.id.in_(case_ids), stay)) or 0


def untouched(case_ids: Iterable[int]) -> list[int]:
    """Those of some files on which nothing happened since they were imported."""
    left_alone = select(Case.id).where(Case.id.in_(list(case_ids)), ~_happened(), Case.merged_into_id.is_(None))
    return list(db.session.scalars(left_alone.order_by(Case.id)))


def take_back(case_ids: Sequence[int]) -> set[int]:
    """Destroy files with all that the import wrote of them; which of them could be. Something else may hold on to one: it stays.

    Foreign keys say so: whatever a feature keeps of a file that it should not lose has one.
    """
    try:
        with db.session.begin_nested():
            _destroy(case_ids)
    except IntegrityError:
        if len(case_ids) == 1:
            return set()
        return {one for case_id in case_ids for one in take_back([case_id])}
    return set(case_ids)


def _destroy(case_ids: Sequence[int]) -> None:
    made_of = db.session.execute(select(Case.contact_id, Case.project_id).where(Case.id.in_(case_ids))).all()
    events = select(Event.id).where(Event.case_id.in_(case_ids), Event.kind.in_((OPENED, NOTED)))
    gone = (
        delete(Note).where(Note.case_id.in_(case_ids)),
        delete(EventDetail).where(EventDetail.event_id.in_(events)),
        delete(Event).where(Event.case_id.in_(case_ids), Event.kind.in_((OPENED, NOTED))),
        *(delete(model).where(model.case_id.in_(case_ids)) for model in _GO_ALONG),
        delete(LikePair).where(LikePair.older_id.in_(case_ids) | LikePair.newer_id.in_(case_ids)),
        delete(Case).where(Case.id.in_(case_ids)),
        delete(Contact).where(Contact.id.in_([row.contact_id for row in made_of])),
        delete(Project).where(Project.id.in_([row.project_id for row in made_of])),
    )
    for one in gone:
        db.session.execute(one.execution_options(synchronize_session=False))


_GO_ALONG: tuple[Any, ...] = (
    CaseTag,
    CaseNeed,
    CaseReading,
    StageSpell,
    TurnSpell,
    FollowUp,
    SearchFile,
    SearchText,
    MatchKey,
    ImportKey,
)
