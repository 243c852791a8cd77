"""Bodies that are silent are written to again: one mail for all the files that wait for one body, at the interval of that body, with a link to
each. After the second in vain, it becomes a task for the adviser of each file. Nobody is chased who answered meanwhile.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from crm import clock
from crm.business_days import add_business_days, business_days_between
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.i18n import format_date, format_number
from crm.jobs import one_by_one, working_day
from crm.links.models import Link
from crm.links.services import is_live, place_of
from crm.outbox.models import Message
from crm.outbox.models import Status as MailStatus
from crm.outbox.services import queue, written
from crm.partners.models import Body, Person
from crm.permissions.models import Permission
from crm.referrals.models import Referral
from crm.referrals.outcomes import Status
from crm.referrals.queries import others_told
from crm.referrals.services import (
    about,
    address_of_list,
    address_of_referral,
    link_of_person,
    link_to,
    organisation_sentence,
    still_theirs,
)
from crm.reminders.services import plan_by_rule
from crm.texts import fill, pair
from crm.timeline.services import SYSTEM, record

AT_HOUR = 8  # local time on business days
MOST = 2  # mails about one file before a person takes over
LISTED = 200  # files of one mail


def silent_for(sent_on: date, today: date) -> int:
    """For how many business days a body has not answered."""
    return business_days_between(sent_on, today)


def chase_bodies() -> int:
    """Job: one mail to each body that is silent beyond its interval. Returns how many bodies were looked after; each is a transaction of its own."""
    day = working_day(AT_HOUR)
    if day is None:
        return 0
    return one_by_one(_waited_for(day), lambda body_id: _one(body_id, day), "body %s cannot be chased")


def _waited_for(day: date) -> Sequence[int]:
    """Bodies that some file waits for and that were not written to for their interval."""
    oldest = (
        select(Referral.body_id, func.min(Referral.waits_since).label("since"))
        .where(Referral.status == Status.SENT, Referral.chases <= MOST)
        .group_by(Referral.body_id)
        .subquery()
    )
    rows = db.session.execute(
        select(Body.id, Body.chase_days, Body.chased_on, oldest.c.since)
        .join(oldest, oldest.c.body_id == Body.id)
        .where(Body.active.is_(True), Body.chase_days > 0)
        .order_by(Body.id)
    ).all()
    return [row.id for row in rows if _is_time(row.chase_days, row.chased_on, clock.local_date(row.since), day)]


def _is_time(interval: int, chased_on: date | None, sent_on: date, day: date) -> bool:
    return all(silent_for(since, day) >= interval for since in (sent_on, chased_on) if since is not None)


def _one(body_id: int, day: date) -> int:
    body = db.session.get_one(Body, body_id, with_for_update={"key_share": True, "of": Body})
    if body.chased_on is not None and silent_for(body.chased_on, day) < body.chase_days:
        return 0  # another worker was quicker
    waiting = _waiting(body, Referral.chases <= MOST)
    late = [one for one in waiting if silent_for(_since(one), day) >= body.chase_days]
    if not late:
        return 0
    body.chased_on = day
    # A file that only some may see is not spoken of in a mail that the whole team reads: somebody calls about it.
    told = [one for one in waiting if one.chases < MOST and not one.case.restricted and body.contact_email]
    for one in late:
        if one in told:
            one.chases += 1
        else:
            one.chases = MOST + 1
            _becomes_a_task(one, body, day)
    asked = [one for one in told if silent_for(_since(one), day) >= (body.chase_days + 1) // 2]
    if asked:
        _write(body, asked, day)
        for person in others_told(body):
            _tell(body, person, len(asked), day)
    return 1


def _since(referral: Referral) -> date:
    """Since when the body has the next word."""
    return clock.local_date(referral.waits_since or referral.created_at)


def _waiting(body: Body, *which: ColumnElement[bool]) -> list[Referral]:
    """What the body has not answered and may still read, the longest silent first."""
    found = db.session.scalars(
        select(Referral)
        .join(Permission, Permission.id == Referral.permission_id)
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.body_id == body.id, Referral.status == Status.SENT, Case.stage != Stage.CLOSED, *which)
        .where(Permission.withdrawn_at.is_(None), Permission.expires_on >= clock.today())
        .options(joinedload(Referral.permission), joinedload(Referral.case))
        .order_by(Referral.waits_since, Referral.id)
        .limit(LISTED)
    )
    return list(found)


def _becomes_a_task(referral: Referral, body: Body, day: date) -> None:
    case = db.session.get_one(Case, referral.case_id, with_for_update={"key_share": True})
    db.session.refresh(referral, ["status"])
    if referral.status is not Status.SENT or case.stage is Stage.CLOSED:
        return  # answered since it was read
    plan_by_rule(case, "call_body", add_business_days(day, 1), about=about(case, body))


def _write(body: Body, asked: Sequence[Referral], day: date) -> None:
    assert body.main is not None  # noqa: S101 - without one it becomes a task
    links = {}
    for one in asked:
        links[one.id] = link_to(one, at_least=14).id
    queue(
        "referrals.chase",
        dedupe_key=f"chase:{body.id}:{day}",
        to=(body.contact_email, body.contact_name),
        language=body.contact_language,
        values=_values(body, [(one, links[one.id]) for one in asked], day),
        link=link_of_person(body.main),
        subject_ids={
            "body": body.id,
            "day": day.isoformat(),
            "referrals": [one.id for one in asked],
            "links": [links[one.id] for one in asked],
        },
    )


def _tell(body: Body, person: Person, count: int, day: date) -> None:
    """Somebody else at the body hears that files wait, with a link of their own to all of them."""
    lang = person.language
    queue(
        "referrals.waiting",
        dedupe_key=f"waiting:{person.id}:{day}",
        to=(person.email, person.name),
        language=lang,
        values={
            "name": person.name,
            "body": body.short(lang),
            "count": format_number(count),
            "main": body.contact_name,
            "address_of_link": address_of_list(lang),
            "organisation_sentence": organisation_sentence(lang),
        },
        link=link_of_person(person),
        subject_ids={"body": body.id, "person": person.id},
    )


def still_waits(message: Message) -> bool:
    """Whether something waits still, and the person is told of it still."""
    body = db.session.get(Body, message.subject_ids["body"])
    return still_theirs(message) and body is not None and bool(_waiting(body, Case.restricted.is_(False)))


def _values(body: Body, files: Sequence[tuple[Referral, int]], day: date) -> dict[str, object]:
    lang = body.contact_language
    line = pair("referrals.chase.line")[lang]
    listed = [
        fill(
            line,
            {
                "reference": one.case.reference,
                "sent_on": format_date(_since(one), lang),
                "days": fill(
                    pair(f"referrals.chase.{'day' if days == 1 else 'days'}")[lang], {"count": format_number(days)}
                ),
                "address": address_of_referral(lang, place_of(link)),
            },
        )
        for one, link in files
        for days in (silent_for(_since(one), day),)
    ]
    return {
        "name": body.contact_name,
        "body": body.short(lang),
        "count": format_number(len(files)),
        "files": "\n\n".join(listed),
        "address_of_list": address_of_list(lang),
        "organisation_sentence": organisation_sentence(lang),
    }


def _still(message: Message) -> list[tuple[Referral, int]]:
    """What a mail is about that waits still, with the link to each."""
    body = db.session.get(Body, message.subject_ids["body"])
    if body is None or not body.active or body.contact_email != message.to_address:
        return []
    links = dict(zip(message.subject_ids["referrals"], message.subject_ids["links"], strict=True))
    found = []
    for one in _waiting(body, Referral.id.in_(links)):
        link = db.session.get(Link, links[one.id])
        if link is not None and is_live(link) and not one.case.restricted:
            found.append((one, link.id))
    return found


def written_now(message: Message) -> str | None:
    """The text that leaves: only what waits still, or nothing."""
    files = _still(message)
    if not files:
        return None
    body = files[0][0].body
    values = _values(body, files, date.fromisoformat(message.subject_ids["day"]))
    return written("referrals.chase", message.language, values)[1]


def note_final(message: Message) -> None:
    """The history of each file that the mail names says that the body was asked again, or could not be."""
    if message.status not in {MailStatus.SENT, MailStatus.FAILED}:
        return
    links = zip(message.subject_ids["referrals"], message.subject_ids["links"], strict=True)
    told = [
        number for number, link in links if place_of(link) in message.body
    ]  # the others were answered before it left
    rows = db.session.execute(select(Referral.id, Referral.case_id).where(Referral.id.in_(told)))
    for referral_id, case_id in rows:
        record(
            "referral.chased" if message.status is MailStatus.SENT else "referral.chase_failed",
            case_id=case_id,
            actor=SYSTEM,
            codes={"referral": referral_id, "message": message.id},
            detail={"to_name": message.to_name},
        )
