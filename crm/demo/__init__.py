"""A believable programme to look at and to measure with: eighteen months of files up to today.

Small or large, the same lives are drawn (`fates`), lived (`story`) and written in bulk (`rows`). The seed decides
everything but passwords, which are random and are kept in the data folder, readable by its owner only.
"""

import contextlib
import itertools
import os
import random
import secrets
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import click
from flask import Flask
from sqlalchemy import select

from crm import clock
from crm.access import Role
from crm.accounts.models import Staff
from crm.accounts.services import create_staff
from crm.activities.models import Kind, Spoken
from crm.activities.services import Written, write_down
from crm.business_days import next_business_day
from crm.cases.models import Case
from crm.cases.searching import rebuild as rebuild_search
from crm.cases.vocabulary import Stage
from crm.config import LANGUAGES, Settings
from crm.db import db, writing
from crm.demo.fates import live
from crm.demo.rows import Rows, finish
from crm.demo.words import plain, words
from crm.demo.workdays import Workdays
from crm.demo.world import CROWD, PROGRAMME, REFERENCES, WRITTEN, Mate, Partner, World
from crm.financing.models import Application, FinancingPlan
from crm.financing.rules import Status as Applied
from crm.partners.models import Body
from crm.partners.queries import by_codes
from crm.partners.services import change_contact
from crm.partners.vocabulary import Instrument
from crm.privacy import services as privacy
from crm.privacy.models import Outcome as PrivacyOutcome
from crm.privacy.models import Right, Risk
from crm.summaries import services as summaries
from crm.summaries.models import State
from crm.summaries.periods import Period
from crm.tags.services import named
from crm.talks.hours import rules_of, save_weekly
from crm.talks.models import Talk, TalkCell, TalkState
from crm.talks.slots import cells
from crm.texts.facts import FACTS, PREFIX
from crm.texts.published import newest, publish, version_of
from crm.timeline.models import ActorKind, Event

DAYS = 548  # eighteen months
BATCH = 1000  # files per transaction
LOADED = "demo.loaded"
DOMAIN = "passerelle.example"
SIGN_INS = "demo-sign-ins.txt"
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
Say = Callable[[str], None]


class RealDataError(Exception):
    """The database holds files that are not the demonstration's: nothing was changed."""


def load(app: Flask, *, cases: int, seed: int, say: Say) -> None:
    """Load the demonstration into a database without files, and say its sign-ins.

    A database that holds it already is left as it is; one that holds other files is refused (RealDataError).
    """
    if not 0 < cases < REFERENCES:
        raise ValueError("cases must be 1 or more, and fewer than there are references")
    settings: Settings = app.extensions["settings"]
    with app.app_context(), writing():
        if _is_there():
            say("The demonstration is there already; nothing was changed.")
            _repeat_sign_ins(settings.data_dir / SIGN_INS, say)
            return
        try:
            sign_ins = _load(settings, cases, seed, say)
        finally:
            db.session.rollback()
    say(f"{cases} requests over {DAYS} days were loaded. Sign-ins, also in {settings.data_dir / SIGN_INS}:")
    say(sign_ins.rstrip())


def _is_there() -> bool:
    """Whether the demonstration was loaded to its end; RealDataError when other files are there."""
    mark = db.session.scalar(select(Event.id).where(Event.kind == LOADED, Event.case_id.is_(None)).limit(1))
    if mark is not None:
        return True
    if db.session.scalar(select(Case.id).limit(1)) is None:
        return False
    ours = select(Staff.id).where(Staff.email.endswith(f"@{DOMAIN}", autoescape=True)).limit(1)
    if db.session.scalar(ours) is not None:
        raise RealDataError(
            "this database holds files that the demonstration did not load, or a load that stopped before its end. "
            "Point CRM_DATA_DIR or CRM_DATABASE_URL to an empty one"
        )
    raise RealDataError(
        "this database holds real files; the demonstration never mixes with them. "
        "Point CRM_DATA_DIR or CRM_DATABASE_URL to an empty one"
    )


def _load(settings: Settings, cases: int, seed: int, say: Say) -> str:
    today = clock.today()
    first = today - timedelta(days=DAYS)
    span = clock.at_local(first, 0), clock.at_local(today, 0)
    team, sign_ins = _team(first)
    _contacts(today)
    _facts(team[0])
    db.session.flush()
    world = World(
        seed=seed,
        prefix=settings.programme.reference_prefix,
        today=today,
        days=Workdays(first, today),
        mix=PROGRAMME if cases < 5000 else CROWD,
        team=tuple(Mate(staff.id, staff.name, staff.role, staff.language) for staff in team),
        bodies=_bodies(),
        notice_version=version_of("intake.notice"),
        permission_version=version_of("permissions"),
        tags=tuple(named(tag).id for tag in words()["tags"]),
    )
    _write_private(settings.data_dir / SIGN_INS, sign_ins)
    rows = Rows(db.session.connection())
    with _progress(cases, say) as done:
        for number in range(cases):
            live(world, rows, number, total=cases, span=span)
            if (number + 1) % BATCH == 0:
                rows.write(db.session.connection())
                db.session.commit()
                done(BATCH)
    rows.write(db.session.connection())
    rebuild_search()
    finish(db.session.connection())
    _offer_times(team)
    _financing(random.Random(seed), team[0])
    _activities(first, today, team[0])
    _registers(first, today, team[0])
    _publish(first, today, world)
    last = db.session.scalar(select(Case.id).order_by(Case.id.desc()).limit(1))
    db.session.add(
        Event(
            at=clock.now(), kind=LOADED, case_id=None, actor_kind=ActorKind.SYSTEM, actor_id=None,
            codes={"cases": cases, "seed": seed, "last_case_id": last},
        )
    )  # fmt: skip
    db.session.commit()
    return sign_ins


def _team(since: date) -> tuple[list[Staff], str]:
    """The demonstration's accounts, and the text of their sign-ins."""
    team, lines = [], []
    for facts in words()["staff"]:
        password = "-".join("".join(secrets.choice(_SIGNS) for _ in range(5)) for _ in range(4))
        try:
            mate = create_staff(
                email=f"{plain(facts['name'])}@{DOMAIN}",
                name=facts["name"],
                role=Role(facts["role"]),
                language=facts["language"],
                password=password,
                on_duty=facts.get("on_duty", False),
            )
        except ValueError as error:
            raise RealDataError(f"the demonstration's accounts cannot be made: {error}") from None
        mate.created_at = clock.at_local(since, 9)
        team.append(mate)
        lines.append(f"{mate.role:<12} {mate.email:<42} {password}\n")
    return team, "".join(lines)


def _facts(admin: Staff) -> None:
    """The programme's facts, as a coordinator would have saved them; those that somebody saved stay."""
    facts = tomllib.loads((Path(__file__).parent / "programme.toml").read_text(encoding="utf-8"))
    for fact in FACTS:
        value, key = facts.get(fact.name, ""), f"{PREFIX}.{fact.name}"
        pair_of = value if isinstance(value, list) else [("no", "yes")[value] if isinstance(value, bool) else value] * 2
        known = value == "" or newest(key) is not None
        if not known and (made := publish(key, *pair_of, by_id=admin.id, both_agree=True)):
            made.at = made.fr_at = made.en_at = admin.created_at


def _offer_times(team: list[Staff]) -> None:
    """Advisers' hours, as each might keep them, and the quarters of an hour that booked talks take."""
    for mate in team:
        if mate.role is not Role.ADVISER:
            continue
        rules = rules_of(mate)
        rules.offered, rules.languages, rules.version = True, ["fr", "en"], 1
        rules.video_address = "https://visio.passerelle.example/salle"
        db.session.add(rules)
        morning, afternoon = (9 * 60, 12 * 60), (13 * 60, 16 * 60 + 30)
        save_weekly(mate, {day: [morning, afternoon] if day != 4 else [morning] for day in range(5)})
    taken = set()
    for talk in db.session.scalars(select(Talk).where(Talk.state == TalkState.BOOKED).order_by(Talk.id)):
        for at in cells(talk.starts_at, talk.minutes):
            if (talk.adviser_id, at) not in taken:
                taken.add((talk.adviser_id, at))
                db.session.add(TalkCell(adviser_id=talk.adviser_id, at=at, talk_id=talk.id))


SHOWN = 25  # files whose financing is told


def _financing(rng: random.Random, by: Staff) -> None:
    """The newest files that look for money: what each needs, one application that was filed, and one that waits for it."""
    found = select(Case).where(Case.stage.in_((Stage.FINANCING, Stage.LAUNCHED))).order_by(Case.id.desc()).limit(SHOWN)
    bodies = {body.code: body.id for body in db.session.scalars(select(Body))}
    for case in db.session.scalars(found):
        budget = rng.randrange(60, 260) * 100_000
        db.session.add(FinancingPlan(case_id=case.id, budget=budget, own=budget // 5, version=1))
        granted = case.stage is Stage.LAUNCHED or rng.random() < 0.4
        asked = budget * rng.randrange(25, 45) // 100 // 100_000 * 100_000
        since = case.stage_since
        first = Application(
            case_id=case.id, body_id=bodies["pme-mtl"], status=Applied.GRANTED if granted else Applied.FILED,
            instrument=Instrument.GRANT, asked=asked, granted=asked if granted else None, conditions="",
            filed_on=clock.local_date(since), decided_on=clock.local_date(since) + timedelta(days=30) if granted else None,
            created_at=since, created_by_id=by.id,
        )  # fmt: skip
        db.session.add(first)
        db.session.flush()
        db.session.add(
            Application(
                case_id=case.id, body_id=bodies["caisse-solidaire"], status=Applied.PREPARING, instrument=Instrument.LOAN,
                asked=budget * 3 // 10, conditions="", waits_for_id=first.id, created_at=since, created_by_id=by.id,
            )
        )  # fmt: skip


def _contacts(today: date) -> None:
    """Who receives what is sent to the bodies that ship; a contact somebody entered stays."""
    contacts = words()["contact"]
    for body in db.session.scalars(
        select(Body).where(Body.code.in_(contacts), Body.main_id.is_(None)).order_by(Body.id)
    ):
        name, email, lang = contacts[body.code]
        verified = today - timedelta(days=20 + 7 * body.id)
        change_contact(
            body,
            seen_version=body.version,
            name=name,
            email=email,
            language=lang,
            answer_days=None,
            chase_days=body.chase_days,
            actor=None,
        )
        body.verified_on = verified


def _bodies() -> tuple[Partner, ...]:
    return tuple(
        Partner(
            id=body.id,
            kind=body.kind,
            language=body.contact_language,
            names={lang: body.name(lang) for lang in LANGUAGES},
            short={lang: body.short(lang) for lang in LANGUAGES},
        )
        for body in db.session.scalars(select(Body).where(Body.named_in_request.is_(True)).order_by(Body.id))
    )


def _activities(first: date, today: date, by: Staff) -> None:
    """An activity of the team every three weeks, the last one still to come."""
    told = itertools.cycle(words()["activity"])
    for number, days in enumerate(range(14, (today - first).days + 22, 21)):
        one, day = next(told), next_business_day(first + timedelta(days=days))
        day = next_business_day(max(day, today + timedelta(days=1))) if day >= today else day
        written = Written(
            day,
            Kind(one["kind"]),
            Spoken.BOTH if number % 4 == 3 else Spoken.FR,
            one["audiences"],
            one["people"] + number % 5,
            by_codes(one["bodies"]),
            one["organization"],
            "",
            "",
        )
        at = clock.at_local(min(day, today - timedelta(days=1)), 16)
        write_down(written, key=f"demo-{number}", actor=by, at=at)


def _registers(first: date, today: date, by: Staff) -> None:
    """A request of somebody about their information each quarter, the last one still to be answered, and one incident without a risk."""
    told = words()["registers"]
    days = [
        day for quarter in range(0, (today - first).days, 91) if (day := first + timedelta(days=quarter + 30)) < today
    ]
    for number, day in enumerate(days):
        answered = day + timedelta(days=12 + 5 * (number % 4))
        is_answered = answered < today
        asked = privacy.Asked(
            day,
            Right.ACCESS if number % 2 else Right.RECTIFICATION,
            told["person"],
            told["identity"],
            "",
            answered if is_answered else None,
            PrivacyOutcome.GRANTED if is_answered else None,
            "",
        )
        privacy.write_request(asked, None, key=f"demo-{number}", actor=by, at=clock.at_local(day, 10))
    if days:
        happened = privacy.Happened(
            days[-1], "", told["information"], told["circumstances"], 1, Risk.NONE, told["grounds"], None, days[-1],
            "", told["measures"], days[-1],
        )  # fmt: skip
        privacy.write_incident(happened, key="demo", actor=by, at=clock.at_local(days[-1], 11))


def _publish(first: date, today: date, world: World) -> None:
    """The quarters whose cut-off has passed, each taken and published on that day. The last one has what the team wrote."""
    period = Period.of(first)
    second = next(mate.id for mate in world.team if mate.role == "admin")
    while period.cut_off < today:
        at = clock.at_local(period.cut_off, 10)
        summary = summaries.make(period, at=at)
        if period.next.cut_off >= today:
            summary.texts = {lang: dict(words) for lang, words in WRITTEN.items()}
        summary.proposed_by_id, summary.proposed_at = second, at
        summary.approved_by_id, summary.approved_at = world.duty.id, at
        summary.state = State.APPROVED
        db.session.flush()
        summaries.publish(summary, at=at)
        period = period.next


@contextlib.contextmanager
def _progress(cases: int, say: Say) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line each tenth elsewhere, nothing for a small load."""
    if cases < 10 * BATCH:
        yield lambda _more: None
        return
    if sys.stderr.isatty():
        with click.progressbar(length=cases, label="files", file=sys.stderr) as bar:
            yield bar.update
        return
    loaded = 0

    def count(more: int) -> None:
        nonlocal loaded
        before, loaded = loaded, loaded + more
        if loaded * 10 // cases > before * 10 // cases:
            say(f"{loaded} of {cases} files")

    yield count


def _write_private(path: Path, sign_ins: str) -> None:
    """Readable by its owner only from its first byte, whatever was there before."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(sign_ins)


def _repeat_sign_ins(path: Path, say: Say) -> None:
    if path.exists():
        say(f"Its sign-ins, from {path}:")
        say(path.read_text(encoding="utf-8").rstrip())
