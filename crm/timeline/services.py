"""Recording what happened."""

from datetime import datetime
from typing import Any

from crm import clock
from crm.db import db, touch
from crm.timeline.models import ActorKind, Event, EventDetail
from crm.timeline.sentences import find


def record(
    kind: str,
    *,
    case_id: int | None,
    actor: tuple[ActorKind, int | None],
    codes: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> Event:
    """Write one event in the caller's transaction.

    `kind` must be declared by a feature, and `codes` and `detail` may hold only the keys it declares: a wrong key is a
    fault of the program (ValueError), so that nothing personal slips into a row that is never destroyed.
    """
    declared = find(kind)
    if wrong := set(codes or {}) - declared.codes:
        raise ValueError(f"{kind} does not declare the codes {sorted(wrong)}")
    if wrong := set(detail or {}) - declared.detail:
        raise ValueError(f"{kind} does not declare the detail {sorted(wrong)}")
    event = Event(
        at=at or clock.now(),
        kind=kind,
        case_id=case_id,
        actor_kind=actor[0],
        actor_id=actor[1],
        codes=codes or {},
    )
    if detail:
        event.detail = EventDetail(values=detail)
    db.session.add(event)
    if case_id is not None and declared.settles:
        touch(case_id)
    return event


SYSTEM: tuple[ActorKind, int | None] = (ActorKind.SYSTEM, None)
