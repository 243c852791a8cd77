"""Publishing a summary: figures are taken once, frozen, and never computed again."""

from dataclasses import asdict
from datetime import datetime

from crm import clock
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.db import db
from crm.errors import RefusedError
from crm.i18n import format_date
from crm.summaries import queries
from crm.summaries.figures import DEFINITIONS
from crm.summaries.models import Summary
from crm.summaries.periods import Period
from crm.summaries.suppression import released
from crm.texts import text
from crm.timeline.services import record


def publish(period: Period, actor: Staff) -> Summary:
    """Freeze a period's figures and release what may be shown. Refused before the cut-off day and the second time."""
    if clock.today() < period.cut_off:
        raise RefusedError(text("summaries.refusal.too_early", date=format_date(period.cut_off)))
    if queries.published(period) is not None:
        raise RefusedError(text("summaries.refusal.already"))
    summary = frozen(period, at=clock.now(), by_id=actor.id)
    db.session.add(summary)
    record("summary.published", case_id=None, actor=by(actor), codes={"period": period.code})
    return summary


def frozen(period: Period, *, at: datetime, by_id: int) -> Summary:
    """A period's figures as they stand now, with what of them may be shown, as one row that never changes."""
    figures = queries.figures(period)
    return Summary(
        period=period.code,
        first_day=period.first,
        last_day=period.last,
        definitions=DEFINITIONS,
        figures=asdict(figures),
        shown=released(figures),
        published_at=at,
        published_by_id=by_id,
    )
