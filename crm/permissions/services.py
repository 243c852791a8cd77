"""Recording permissions and their withdrawal."""

from collections.abc import Sequence
from datetime import date

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.models import Case
from crm.db import db
from crm.i18n import format_date, speaking
from crm.partners.models import Body
from crm.permissions.models import Consent, How, Permission, Purpose
from crm.permissions.rules import is_live
from crm.texts import label, text
from crm.texts.published import version_of
from crm.timeline.services import record


def listed(fields: Sequence[str]) -> str:
    """Names of fields in a sentence, in the language spoken now: a, b et c."""
    words = [label("permissions.field", field) for field in fields]
    if not words:
        return ""
    joint = text("permissions.and")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"


def wording(key: str, *, language: str, body: Body, purpose: str, fields: Sequence[str], expires_on: date) -> str:
    """One of the two texts ("shown" or "script") as the person reads or hears it."""
    with speaking(language):
        return text(
            f"permissions.{key}",
            body=body.name(language),
            purpose=purpose,
            list=listed(fields),
            date=format_date(expires_on),
        )


def give(
    case: Case,
    body: Body,
    *,
    purpose: str,
    fields: Sequence[str],
    how: How,
    language: str,
    expires_on: date,
    recorded_by: Staff | None,
) -> Permission:
    """Record that the person allows these fields to be shared with this one body, with the exact text shown. `recorded_by` is
    the colleague who heard or received it; None when the person pressed the button, in `language`.
    """
    permission = Permission(
        case_id=case.id,
        body_id=body.id,
        text_version=version_of("permissions"),
        text_shown=wording(
            "shown", language=language, body=body, purpose=purpose, fields=fields, expires_on=expires_on
        ),
        language=language,
        purpose=purpose,
        fields=list(fields),
        how=how,
        given_at=clock.now(),
        recorded_by_id=recorded_by.id if recorded_by else None,
        expires_on=expires_on,
    )
    db.session.add(permission)
    db.session.flush()  # its id is in the event
    record(
        "permission.given",
        case_id=case.id,
        actor=by(recorded_by),
        codes={"permission": permission.id, "body": body.id},
        detail={"body_name": body.short(language)},
    )
    return permission


def live(permission: Permission) -> bool:
    """Whether a permission counts now."""
    return is_live(expires_on=permission.expires_on, withdrawn_at=permission.withdrawn_at, today=clock.today())


def withdraw(permission: Permission, case: Case, actor: Staff | None) -> bool:
    """Note that the person took a permission back; False when that was noted before."""
    if permission.withdrawn_at is not None:
        return False
    permission.withdrawn_at = clock.now()
    record(
        "permission.withdrawn",
        case_id=case.id,
        actor=by(actor),
        codes={"permission": permission.id, "body": permission.body_id},
        detail={"body_name": permission.body.short(case.language)},
    )
    return True


def consent(case: Case, purpose: Purpose, *, shown: str, version: str, language: str) -> Consent:
    """Record that the person ticked a box of their own, with the exact words that stood beside it."""
    given = Consent(
        case_id=case.id,
        purpose=purpose,
        text_version=version,
        text_shown=shown,
        language=language,
        given_at=clock.now(),
    )
    db.session.add(given)
    record("consent.given", case_id=case.id, actor=by(None), codes={"purpose": purpose})
    return given


def withdraw_consent(given: Consent, case: Case) -> bool:
    """The person unticks a box of their own; False when they had before. It takes effect with this transaction."""
    if given.withdrawn_at is not None:
        return False
    given.withdrawn_at = clock.now()
    record("consent.withdrawn", case_id=case.id, actor=by(None), codes={"purpose": given.purpose})
    return True
