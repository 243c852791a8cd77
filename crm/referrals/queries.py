"""Reads about referrals: what the case page, the start page, lists and search show, and what a link opens."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from statistics import median_low
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased, contains_eager, joinedload

from crm import clock
from crm.accounts.models import Staff
from crm.business_days import business_days_between
from crm.cases.filters import IS_OPEN
from crm.cases.listing import gathered
from crm.cases.models import Case
from crm.cases.queries import named
from crm.cases.vocabulary import Stage, Turn
from crm.db import db, read_instant
from crm.feature import once
from crm.i18n import language
from crm.links import services as links
from crm.links.models import Link, Purpose
from crm.partners.models import Body, Person
from crm.partners.queries import directory, people_of
from crm.permissions import services as permissions
from crm.permissions.models import Permission
from crm.permissions.rules import is_live
from crm.referrals.models import Referral
from crm.referrals.outcomes import CORRECTED_WITHIN, READABLE, RECEIPTS, UNANSWERED, EndedBy, Status

_READ: dict[str, Any] = {
    "id": Referral.id,
    "body_id": Referral.body_id,
    "status": Referral.status,
    "decline_reason": Referral.decline_reason,
    "sent_at": Referral.sent_at,
    "seen_at": Referral.seen_at,
    "answered_at": Referral.answered_at,
    "short_fr": Body.short_fr,
    "short_en": Body.short_en,
    "permission": Permission.id,
    "expires_on": Permission.expires_on,
    "withdrawn_at": Permission.withdrawn_at,
}


def rows() -> Select[*tuple[Any, ...]]:
    """The referrals of the file `case_id` with their bodies and permissions, as a panel of its page reads them."""
    read = select(*(column.label(name) for name, column in _READ.items())).join(Body, Body.id == Referral.body_id)
    return read.outerjoin(Permission, Permission.id == Referral.permission_id).where(
        Referral.case_id == bindparam("case_id")
    )


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """For the panel of the case page, the newest first."""
    return {"referrals": [_shown(dict(zip(_READ, row, strict=True))) for row in sorted(found, reverse=True)]}


def _shown(read: dict[str, Any]) -> dict[str, Any]:
    for name in ("sent_at", "seen_at", "answered_at", "withdrawn_at"):
        read[name] = read_instant(read[name]) if read[name] else None
    expires_on = read["expires_on"] = date.fromisoformat(read["expires_on"]) if read["expires_on"] else None
    live = expires_on and is_live(expires_on=expires_on, withdrawn_at=read["withdrawn_at"], today=clock.today())
    return read | {"body": read[f"short_{language()}"], "live": bool(live)}


def turns() -> Select[*tuple[Any, ...]]:
    """A body that was written to and has not answered holds the file."""
    who = literal_column("'body'", String).label("turn")
    return select(who, Referral.waits_since, null().label("until"), Referral.body_id).where(
        Referral.case_id == bindparam("case_id"), Referral.status == Status.SENT
    )


def turns_of_the_asked() -> Select[*tuple[Any, ...]]:
    """A person who was asked for a permission has the next word."""
    who = literal_column("'person'", String).label("turn")
    return select(who, Referral.asked_at, null().label("until"), null().label("body")).where(
        Referral.case_id == bindparam("case_id"),
        Referral.status == Status.CONSENT_PENDING,
        Referral.asked_at.is_not(None),
    )


def owed_answers(staff: Staff) -> dict[str, Any]:
    """For the start page: bodies that have not answered, the longest silent first, on the files of this person."""
    rows = db.session.execute(_owed(), {"staff_id": staff.id}).all()
    today = clock.today()
    return {"owed": [(row, business_days_between(clock.local_date(row.waits_since), today)) for row in rows]}


@cache
def _owed() -> Any:
    read = select(Referral.waits_since, Body.short_fr, Body.short_en, Case.reference).select_from(Case)
    return (
        named(read.join(Referral, Referral.case_id == Case.id).join(Body, Body.id == Referral.body_id))
        .where(Case.owner_id == bindparam("staff_id"), Case.turn == Turn.BODY, IS_OPEN, Referral.status == Status.SENT)
        .order_by(Case.turn_since, Case.id, Referral.waits_since, Referral.id)
        .limit(12)
    )


def bodies_to_choose() -> list[tuple[str, str]]:
    """Bodies that lists of files are narrowed by: those of the directory, by code; asked of the database once per request."""
    found: list[tuple[str, str]] = once(
        "bodies_to_choose", lambda: [(body.code, body.short(language())) for body in directory()]
    )
    return found


def went_to(codes: Any) -> ColumnElement[bool]:
    """Files that were sent to one of some bodies, or whose person contacts it themselves."""
    theirs, joined = aliased(Body), aliased(Body)  # a list joins bodies for its own reasons
    # A view that was saved before two entries became one names the one that is gone.
    took_its_place = select(joined.joined_to_id).where(joined.code.in_(codes), joined.joined_to_id.is_not(None))
    named = or_(theirs.code.in_(codes), theirs.id.in_(took_its_place))
    return exists().where(Referral.case_id == Case.id, _WENT, Referral.body_id == theirs.id, named)


_WENT = Referral.status.not_in((Status.DRAFT, Status.CONSENT_PENDING, Status.READY))


def where_they_went(lang: str) -> Any:
    """The short names of the bodies that a file went to, within a list of files, the first one first."""
    theirs = aliased(Body)
    went = select(getattr(theirs, f"short_{lang}")).join(Referral, Referral.body_id == theirs.id)
    went = went.where(Referral.case_id == Case.id, _WENT).group_by(theirs.id)
    return gathered(went.order_by(func.min(Referral.id)))


def bodies_of_files() -> Select[*tuple[Any, ...]]:
    """The names of the bodies that files were sent to, for search."""
    names = (Body.name_fr, Body.name_en, Body.short_fr, Body.short_en)
    return select(Referral.case_id, Referral.id, *names).join(Body, Body.id == Referral.body_id)


def opened_by(token_or_id: str | int) -> Referral | None:
    """The referral a live link opens, while its permission counts and its status lets the body read; else None."""
    if isinstance(token_or_id, int):
        link = db.session.get(Link, token_or_id)
        if link is None or not links.is_live(link) or link.purpose is not Purpose.REFERRAL:
            return None
    else:
        link = links.opened(token_or_id, Purpose.REFERRAL)
    if link is None:
        return None
    referral = _with_all(link.object_id)
    if referral is None or referral.status not in READABLE:
        return None
    if referral.permission is None or not permissions.live(referral.permission) or not referral.body.active:
        return None
    if was_for_another(link, referral.body):
        return None
    ended_at = referral.ended_at or referral.answered_at
    if referral.status in RECEIPTS and ended_at is not None and clock.now() - ended_at > CORRECTED_WITHIN:
        return None  # a receipt is read for a week
    return referral


def was_for_another(link: Link, body: Body) -> bool:
    """Whether a link was sent to somebody who does not receive what we send to a body any more."""
    return body.contact_since is not None and link.created_at < body.contact_since


PAGE = 25  # files of one page of a body


def holder_of(link: Link | None) -> Person | None:
    """Who may read, by this link, all that waits for their body; None when they, or it, are there no more."""
    person = db.session.get(Person, link.object_id) if link is not None and link.purpose is Purpose.BODY else None
    if person is None or person.left_at is not None:
        return None
    body = db.session.get_one(Body, person.body_id)
    told = person.receives or body.main_id == person.id
    return person if told and body.active else None


def body_of(link: Link | None) -> Body | None:
    """The body whose files a live link lists; None when it, or who the link was sent to, is there no more."""
    person = holder_of(link)
    return db.session.get(Body, person.body_id) if person is not None else None


def others_told(body: Body) -> list[Person]:
    """The people of a body who are told of what waits, but for the one who receives each referral."""
    return [one for one in people_of(body) if one.receives and one.id != body.main_id]


def waiting_for(body: Body, *, after: int = 0) -> tuple[list[Referral], bool]:
    """What a body has to answer, in the order in which it came, and whether there is more after a page."""
    found = list(db.session.scalars(_page_of(body, UNANSWERED, after)))
    return found[:PAGE], len(found) > PAGE


def taken_on_by(body: Body, *, after: int = 0) -> tuple[list[Referral], bool]:
    """What a body took on and has not ended, in the order in which it came, and whether there is more after a page."""
    found = list(db.session.scalars(_page_of(body, (Status.ACCEPTED,), after)))
    return found[:PAGE], len(found) > PAGE


def _page_of(body: Body, statuses: Any, after: int) -> Select[Referral]:
    return (
        select(Referral)
        .join(Permission, Permission.id == Referral.permission_id)
        .join(Case, Case.id == Referral.case_id)
        .where(Referral.body_id == body.id, Referral.status.in_(statuses), Referral.id > after)
        # A file that only some may see is opened by its own link, sent to one person, and stands in no list.
        .where(Case.restricted.is_(False), Case.merged_into_id.is_(None))
        .where(or_(Case.stage != Stage.CLOSED, Referral.status == Status.ACCEPTED))
        .where(Permission.withdrawn_at.is_(None), Permission.expires_on >= clock.today())
        .options(contains_eager(Referral.case).load_only(Case.reference))
        .order_by(Referral.id)
        .limit(PAGE + 1)
    )


def asked_by(token: str) -> Referral | None:
    """The referral that a live link asks, or asked, the person about, while its body is there; else None. Closing a file revokes the link."""
    link = links.opened(token, Purpose.ALLOW)
    referral = _with_all(link.object_id) if link is not None else None
    if referral is None or not referral.body.active:
        return None
    return referral


def _with_all(number: int) -> Referral | None:
    return db.session.scalar(
        select(Referral)
        .where(Referral.id == number)
        .options(joinedload(Referral.body), joinedload(Referral.permission), joinedload(Referral.case))
    )


RECENT = timedelta(days=365)
MOST_AT_ONCE = 200  # parts of one statement: SQLite takes five hundred
LATEST = 50  # answers that the usual delay of a body is read from
DECLINED = and_(Referral.status == Status.DECLINED, Referral.declined_by == EndedBy.BODY)  # by the body itself
UNDER_WAY = (Status.SENT, Status.INFO_ASKED, Status.NO_ANSWER, Status.ACCEPTED)


def usual_days(bodies: Sequence[int]) -> dict[int, int]:
    """The business days within which bodies, by number, answered half of the latest files of the last twelve months; those that did."""
    found: dict[int, list[int]] = {}
    for start in range(0, len(bodies), MOST_AT_ONCE):
        for number, sent_at, answered_at in db.session.execute(_latest_answers(bodies[start : start + MOST_AT_ONCE])):
            waited = business_days_between(clock.local_date(sent_at), clock.local_date(answered_at))
            found.setdefault(number, []).append(waited)
    return {number: median_low(waits) for number, waits in found.items()}


def _latest_answers(bodies: Sequence[int]) -> Any:
    since = clock.now() - RECENT
    latest = (
        select(Referral.body_id, Referral.sent_at, Referral.answered_at)
        .where(Referral.body_id == number, Referral.answered_at.is_not(None), Referral.answered_at > since)
        .where(Referral.sent_at.is_not(None), Referral.declined_by.is_distinct_from(EndedBy.TIME))
        .order_by(Referral.answered_at.desc())
        .limit(LATEST)
        .subquery()
        for number in bodies
    )
    return union_all(*(select(one) for one in latest))


def open_at(bodies: Sequence[int]) -> dict[int, int]:
    """How many files are open at bodies, by number; those that have some."""
    read = select(Referral.body_id, func.count()).where(Referral.body_id.in_(bodies), Referral.status.in_(UNDER_WAY))
    return dict(db.session.execute(read.group_by(Referral.body_id)).all())


def refusals_of(case: Case) -> Sequence[Referral]:
    """The referrals of a file that a body itself declined, the last one first."""
    refused = select(Referral).where(Referral.case_id == case.id, DECLINED).options(joinedload(Referral.body))
    return db.session.scalars(refused.order_by(Referral.id.desc())).all()
