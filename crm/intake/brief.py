"""One page to read, or print, before a talk: who, what, what was said, files that look like this one, and likely partners."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template

from crm.access import case_team
from crm.accounts.feature import me
from crm.cases import queries
from crm.cases.views import case_or_404
from crm.cases.vocabulary import Need
from crm.duplicates import views as duplicates
from crm.i18n import language
from crm.intake import panel
from crm.partners.models import Body
from crm.partners.queries import directory
from crm.partners.vocabulary import BodyKind
from crm.talks import services as talks
from crm.timeline.sentences import tell

bp = Blueprint("brief", __name__, url_prefix="/staff/cases/<reference>/brief")
LATEST = 6  # events
# What each kind of body is there for: domain reference, sections 2.1, 2.2 and 4. Programmes and their criteria come with the directory's issue.
ANSWERS: Mapping[BodyKind, frozenset[Need]] = {
    BodyKind.ASSISTANCE: frozenset(
        {Need.MODEL, Need.FORM, Need.GOVERNANCE, Need.MARKET, Need.PLAN, Need.TECH, Need.LEGAL, Need.GROWTH}
    ),
    BodyKind.FINANCING: frozenset({Need.FUNDING}),
    BodyKind.INCUBATION: frozenset({Need.INCUBATION}),
    BodyKind.NETWORK: frozenset({Need.NETWORK}),
    BodyKind.PUBLIC: frozenset(),
}


@dataclass(frozen=True)
class Likely:
    """A body that may help: the needs of the file that its kind answers, and whether it supports the project already."""

    body: Body
    needs: tuple[Need, ...]
    already: bool


def likely(bodies: Iterable[Body], needs: Sequence[Need], supports: Iterable[str]) -> list[Likely]:
    """Bodies that may help, those that answer most needs first; it suggests, staff decide. Pure."""
    known = set(supports)
    found = [
        Likely(body, tuple(need for need in needs if need in ANSWERS[body.kind]), body.code in known) for body in bodies
    ]
    return sorted((one for one in found if one.needs), key=lambda one: (one.already, -len(one.needs), one.body.code))


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
        likely=likely(directory(), needs, case.project.supports or ()),
        latest=[_told(row) for row in queries.history(case, limit=LATEST).rows],
        **panel.load(case, staff),
    )


def _told(row: Any) -> tuple[Any, str, str]:
    """When, who did what, and the words of it."""
    said = tell(row.kind, row.codes, row.detail)
    return row.at, " ".join(filter(None, (row.staff_name, said.sentence))), row.note or row.exchange or said.body
