"""Answers that the person would have corrected: proposed on their page, confirmed or not by staff, told either way."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, Text, bindparam, cast, delete, select, update

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.business_days import add_business_days
from crm.cases.addresses import DAYS, address_of_page, link_of
from crm.cases.models import Case
from crm.cases.pipeline import Move
from crm.cases.vocabulary import Stage
from crm.db import db, read_instant
from crm.errors import RefusedError
from crm.feature import AnnexLine
from crm.i18n import speaking
from crm.intake.answers import answers_of, changed, in_words, put, same
from crm.intake.forms import QuestionPage
from crm.links.models import Purpose
from crm.links.services import issue
from crm.outbox.services import carry_instead, queue
from crm.portal.conversation import without_place
from crm.portal.models import Correction, CorrectionState
from crm.portal.services import mail_link, tell_team
from crm.privacy.rules import answer_by
from crm.referrals.services import ask_anew
from crm.reminders.models import FollowUp, State
from crm.reminders.services import complete, plan_once
from crm.texts import label, text
from crm.timeline.services import record

RULE = "confirm_correction"


@dataclass(frozen=True)
class Change:
    """One answer, in words: what it is about, as it was and as it is wanted."""

    name: str
    was: str
    wanted: str


@dataclass(frozen=True)
class Proposed:
    """A correction as people read it."""

    sent_at: datetime
    id: int
    changes: tuple[Change, ...]
    state: CorrectionState
    reason: str


def propose(case: Case, page: QuestionPage, key: str) -> Correction | None:
    """The person would have answers of a page changed: staff hear of it. None when nothing differs from what the file says.

    Raises IntegrityError when this very form was received before.
    """
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("portal.correct.closed"))
    if case.merged_into_id is not None:
        raise RefusedError(text("portal.page.joined"))
    before = answers_of(case, page.page)
    wanted = changed(before, page)
    waiting = _waiting(case, page.page)
    if not wanted and not waiting:
        return None
    for earlier in waiting:  # the person changed their mind before anybody answered
        db.session.delete(earlier)
    if not wanted:
        _nothing_more_to_decide(case, None)
        return None
    correction = Correction(
        case_id=case.id,
        form_key=key,
        page=page.page,
        changes={name: {"was": before.get(name, []), "wanted": values} for name, values in wanted.items()},
        sent_at=clock.now(),
        state=CorrectionState.OPEN,
        reason="",
    )
    db.session.add(correction)
    db.session.flush()
    with speaking(case.language):
        body = "\n".join(f"{one.name} ({one.was or '–'} → {one.wanted or '–'})" for one in _changes(correction))
    record("person.correction", case_id=case.id, actor=by(None), detail={"body": body})
    plan_once(case, RULE, add_business_days(clock.today(), 1))
    tell_team("portal.correction", case, f"correction:{correction.id}")
    return correction


def _waiting(case: Case, page: str) -> Sequence[Correction]:
    """The corrections of a page that nobody decided yet."""
    mine = (Correction.case_id == case.id, Correction.page == page, Correction.state == CorrectionState.OPEN)
    return db.session.scalars(select(Correction).where(*mine)).all()


def pending(case: Case, page: str) -> dict[str, list[str]]:
    """The answers of a page that the person has asked for already."""
    return {name: one["wanted"] for waiting in _waiting(case, page) for name, one in waiting.changes.items()}


def _changes(correction: Correction) -> tuple[Change, ...]:
    return changes_in_words(correction.page, correction.changes)


def changes_in_words(page: str, changes: Mapping[str, Any]) -> tuple[Change, ...]:
    """The changes of a correction in the language spoken now."""
    return tuple(
        Change(label("intake.answer", name), in_words(page, name, one["was"]), in_words(page, name, one["wanted"]))
        for name, one in changes.items()
    )


def of_case(case: Case, most: int | None = 20) -> list[Proposed]:
    """The corrections of a file, the newest first, as its person reads them."""
    mine = select(Correction).where(Correction.case_id == case.id).order_by(Correction.id.desc()).limit(most)
    return [
        Proposed(one.sent_at, one.id, _changes(one), one.state, one.reason) for one in db.session.scalars(mine).all()
    ]


def waits(key: str) -> bool:
    """Whether the correction that a form made is still to be decided."""
    made = (Correction.form_key == key, Correction.state == CorrectionState.OPEN)
    return db.session.scalar(select(Correction.id).where(*made)) is not None


# --- staff decide ----------------------------------------------------------------------------------------------------


def find(case: Case, number: int) -> Correction | None:
    """A correction of this file, or None."""
    return db.session.scalar(select(Correction).where(Correction.id == number, Correction.case_id == case.id))


def confirm(correction: Correction, case: Case, actor: Staff) -> None:
    """The answers become what the person wants, judged again as any answer. Raises RefusedError with what is wrong."""
    _still_open(correction)
    wanted = {name: one["wanted"] for name, one in correction.changes.items()}
    change_answers(case, correction.page, wanted, actor)
    _decide(correction, case, CorrectionState.CONFIRMED, "", actor)
    _tell_person("portal.corrected", correction, case)


def caught_up(correction: Correction, case: Case) -> bool:
    """Whether an answer changed since the person wrote: what they would replace is then shown anew, to be decided again."""
    _still_open(correction)
    now = answers_of(case, correction.page)
    newer = {name for name, one in correction.changes.items() if not same(name, now.get(name, []), one["was"])}
    if newer:
        correction.changes = {
            name: one | {"was": now.get(name, [])} if name in newer else one for name, one in correction.changes.items()
        }
    return bool(newer)


def decline(correction: Correction, case: Case, reason: str, actor: Staff) -> None:
    """Nothing changes; the person reads why."""
    _still_open(correction)
    _decide(correction, case, CorrectionState.DECLINED, reason, actor)
    _tell_person("portal.not_corrected", correction, case)


def _still_open(correction: Correction) -> None:
    if correction.state is not CorrectionState.OPEN:
        raise RefusedError(text("portal.refusal.decided"))


def _decide(correction: Correction, case: Case, state: CorrectionState, reason: str, actor: Staff) -> None:
    correction.state, correction.reason = state, reason
    correction.decided_at, correction.decided_by_id = clock.now(), actor.id
    detail = {"reason": reason} if reason else {}
    record(f"correction.{state}", case_id=case.id, actor=by(actor), codes={"correction": correction.id}, detail=detail)
    _nothing_more_to_decide(case, actor)


def _nothing_more_to_decide(case: Case, actor: Staff | None) -> None:
    """What was planned to decide on corrections is done when none is left."""
    db.session.flush()
    if case.stage is Stage.CLOSED or _open_ones(case):
        return
    mine = (FollowUp.case_id == case.id, FollowUp.state == State.TODO, FollowUp.rule == RULE)
    for follow_up in db.session.scalars(select(FollowUp).where(*mine)):
        complete(follow_up, case, actor)


def _tell_person(kind: str, correction: Correction, case: Case) -> None:
    if case.contact.email and not case.quarantined:
        queue(
            kind,
            dedupe_key=f"correction:{correction.id}:{correction.state}",
            to=(case.contact.email, case.contact.name),
            language=case.language,
            values={
                "name": case.contact.name,
                "reference": case.reference,
                "reason": without_place(correction.reason),
                "address_of_page": address_of_page(case.language),
            },
            case_id=case.id,
            link=link_of(case),
        )


def _open_ones(case: Case) -> Sequence[int]:
    mine = (Correction.case_id == case.id, Correction.state == CorrectionState.OPEN)
    return db.session.scalars(select(Correction.id).where(*mine)).all()


def change_answers(case: Case, page: str, wanted: Mapping[str, list[str]], actor: Staff, reason: str = "") -> list[str]:
    """Put changed answers on the file, with the reason of who does; the questions that really changed.

    A new address is told to the old one, and only links that leave for the new one open the page from now on.
    """
    former = case.contact.email
    really = put(case, page, wanted, actor, reason)
    if former.casefold() == case.contact.email.casefold():
        return really
    if former and not case.quarantined:
        queue(
            "portal.address_changed",
            dedupe_key=f"address:{case.id}:{clock.now().isoformat()}",
            to=(former, case.contact.name),
            language=case.language,
            values={"name": case.contact.name, "reference": case.reference},
            case_id=case.id,
        )
    link = issue(Purpose.CASE, case.id, days=DAYS)
    carry_instead(link, to=case.contact.email)
    if case.contact.email and not case.quarantined:
        mail_link(case, link, "portal.new_address")
    ask_anew(case)
    return really


def forget_all(case: Case) -> None:
    """What the person would have had corrected is destroyed."""
    db.session.execute(delete(Correction).where(Correction.case_id == case.id))


def annex(first: date, last: date) -> Iterator[AnnexLine]:
    """Corrections that people asked for on their page from one day to another, and how many were answered within the delay of the law."""
    start, end = clock.day_bounds(first, last)
    asked = select(Correction.sent_at, Correction.decided_at).where(
        Correction.sent_at >= start, Correction.sent_at < end
    )
    found = db.session.execute(asked).all()
    in_time = [
        one
        for one in found
        if one.decided_at and clock.local_date(one.decided_at) <= answer_by(clock.local_date(one.sent_at))
    ]
    due = [one for one in found if one.decided_at or answer_by(clock.local_date(one.sent_at)) < clock.today()]
    yield AnnexLine("rights", text("portal.annex.asked"), len(found))
    yield AnnexLine("rights", text("portal.annex.in_time"), len(in_time), len(due))


def moved(case: Case, move: Move, actor: Staff | None) -> None:
    """A file that closes leaves no correction waiting: its person reads that it was not made, and why."""
    if move.to is not Stage.CLOSED or not _open_ones(case):
        return
    with speaking(case.language):
        why = text("portal.correct.file_closed")
    db.session.execute(
        update(Correction)
        .where(Correction.case_id == case.id, Correction.state == CorrectionState.OPEN)
        .values(
            state=CorrectionState.DECLINED,
            reason=why,
            decided_at=clock.now(),
            decided_by_id=actor.id if actor else None,
        )
    )


# --- the panel of the case page --------------------------------------------------------------------------------------


def rows() -> Select[*tuple[Any, ...]]:
    """The open corrections of a file."""
    columns = (Correction.sent_at, Correction.id, Correction.page, cast(Correction.changes, Text))
    return select(*columns).where(Correction.case_id == bindparam("case_id"), Correction.state == CorrectionState.OPEN)


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """What the panel shows, the oldest first."""
    corrections = [
        Proposed(read_instant(at), number, changes_in_words(page, json.loads(changes)), CorrectionState.OPEN, "")
        for at, number, page, changes in found
    ]
    return {"corrections": sorted(corrections, key=lambda one: one.id)}
