"""One page to read, or print, before a talk: who, what, what was said, files that look like this one, and programmes that may fit."""

from typing import Any

from flask import Blueprint, render_template

from crm.access import case_team
from crm.accounts.feature import me
from crm.cases import queries
from crm.cases.views import case_or_404
from crm.cases.vocabulary import Need
from crm.directory import suggestions
from crm.directory.matching import Fit
from crm.duplicates import views as duplicates
from crm.i18n import language
from crm.intake import panel
from crm.talks import services as talks
from crm.timeline.sentences import tell

bp = Blueprint("brief", __name__, url_prefix="/staff/cases/<reference>/brief")
LATEST = 6  # events
LIKELY = 6  # programmes


@bp.get("")
@case_team
def page(reference: str) -> str:
    """The brief of a file."""
    case, staff = case_or_404(reference), me()
    needs = [Need(need) for need in queries.needs(case)]
    return render_template(
        "intake/brief.html",
        case=case,
        talks=[
            (talks.when(talk, language()), talks.where(talk, case, language()), talk) for talk in talks.coming(case)
        ],
        needs=needs,
        alike=duplicates.alike_of(case, staff),
        likely=[one for one in suggestions.suggest(case) if one.ranked.fit is not Fit.AGAINST][:LIKELY],
        latest=[_told(row) for row in queries.history(case, limit=LATEST).rows],
        **panel.load(case, staff),
    )


def _told(row: Any) -> tuple[Any, str, str]:
    """When, who did what, and the words of it."""
    said = tell(row.kind, row.codes, row.detail)
    return row.at, " ".join(filter(None, (row.staff_name, said.sentence))), row.note or row.exchange or said.body
