"""Two files side by side, and what is decided of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import wtforms
from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import String, and_, bindparam, cast, or_, select
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.cases import queries
from crm.cases.founders import founders_of_case
from crm.cases.merging import same_person
from crm.cases.models import Case
from crm.cases.views import case_or_404
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.duplicates import services
from crm.duplicates.models import LikePair, Verdict
from crm.errors import RefusedError
from crm.forms import Filled
from crm.i18n import format_phone, gettext, lazy
from crm.texts import label, text

bp = Blueprint("duplicates", __name__, url_prefix="/staff/cases/<reference>/beside")
SHOWN = 50


class OtherForm(forms.Form):
    """Another file to look at beside this one, though nothing suggested it."""

    ids = "beside-"

    other = wtforms.StringField(lazy("Number of the other file"), [Filled(lazy("Write the number of the other file"))])


@dataclass(frozen=True)
class Line:
    """One fact of both files."""

    name: str
    values: tuple[str, str]
    spoken: bool = False  # in the language of its file
    compared: bool = True  # whether being the same says anything of the two

    @property
    def same(self) -> bool:
        return self.compared and bool(self.values[0]) and self.values[0].casefold() == self.values[1].casefold()


def waiting(staff: Staff) -> list[LikePair]:
    """Pairs of files to judge, of those this person may see."""
    seen = and_(queries.visible(staff, services.OLDER), queries.visible(staff, services.NEWER))
    return list(services.undecided(seen, limit=SHOWN))


# What two files may be to each other for each to show the other, in the order in which they are shown.
_SHOWN = (Verdict.SAME_PERSON, Verdict.SAME_TEAM, Verdict.RELATED, Verdict.SAME_PROJECT)


class Alike(NamedTuple):
    """A file that looks like another, or was linked with it or merged into it."""

    reference: str
    stage: str
    verdict: str | None
    score: int
    reasons: Any  # codes
    project: str
    person: str


def load(_case: Case, _staff: Staff) -> dict[str, Any]:
    return {"beside_form": OtherForm()}


@cache
def rows() -> Any:
    """Files that look like `case_id`, those of the same person, and those merged into it, of those that `staff_id` may see."""
    me_first = and_(LikePair.older_id == bindparam("case_id"), Case.id == LikePair.newer_id)
    me_last = and_(LikePair.newer_id == bindparam("case_id"), Case.id == LikePair.older_id)
    undecided = and_(LikePair.verdict.is_(None), services.comparable())
    read = select(
        Case.reference, Case.stage, LikePair.verdict, LikePair.score, cast(LikePair.reasons, String).label("reasons")
    )
    return queries.named(read.select_from(LikePair).join(Case, or_(me_first, me_last))).where(
        or_(undecided, LikePair.verdict.in_(_SHOWN)), queries.visible_to(bindparam("staff_id"))
    )


def shown(found: Iterable[Iterable[Any]]) -> dict[str, Any]:
    """What the case page shows of them: those to judge first, the likeliest first."""
    order: list[str | None] = [None, *_SHOWN]
    alike = sorted((Alike(*row) for row in found), key=lambda row: (order.index(row.verdict), -row.score))
    return {"alike": [row._replace(reasons=json.loads(row.reasons)) for row in alike]}


def alike_of(case: Case, staff: Staff) -> Sequence[Alike]:
    """The same, alone."""
    found: Sequence[Alike] = shown(db.session.execute(rows(), {"case_id": case.id, "staff_id": staff.id}))["alike"]
    return found


def _both(reference: str, other: str, *, lock: bool = False) -> tuple[Case, Case]:
    """Two files that this person may see; held in the order of their numbers, so that two people cannot hold each other up."""
    first, second = sorted((reference, other))
    found = {name: case_or_404(name, lock=lock) for name in (first, second)}
    if first.upper() == second.upper():
        abort(404)
    return found[reference], found[other]


@bp.get("")
@case_team
def choose(reference: str) -> BaseResponse:
    """To the page of two files, the second typed by hand."""
    case = case_or_404(reference)
    wanted = request.args.get("other", "").strip().upper()
    if wanted == case.reference or not queries.find(wanted, me()):
        said = "same_file" if wanted == case.reference else "unknown_file" if wanted else "number_missing"
        flash(text(f"duplicates.refusal.{said}", reference=wanted))
        return redirect(url_for("cases.page", reference=case.reference))
    return redirect(url_for("duplicates.page", reference=case.reference, other=wanted))


@bp.get("/<other>")
@case_team
def page(reference: str, other: str) -> Response:
    """Both files, fact by fact, and the three things one may decide."""
    one, two = _both(reference, other)
    pair = services.pair_of(one, two)
    merge = services.merge_of(one) or services.merge_of(two)
    if merge is not None and {merge.gone_id, merge.kept_id} != {one.id, two.id}:
        merge = None
    body = render_template(
        "duplicates/page.html",
        one=one,
        two=two,
        lines=_lines(one, two),
        likeness=services.likeness_of(one, two),
        pair=pair,
        merge=merge,
        undo_until=services.undo_until(merge) if merge else None,
        can_undo=merge is not None and clock.now() <= services.undo_until(merge),
        better=better(one, two),
        one_person=same_person(one, two),
    )
    return make_response(body)


def better(one: Case, two: Case) -> Case:
    """Which file to keep, unless somebody knows better: the open one, then the one further along, then the older."""
    order = {stage: place for place, stage in enumerate(Stage)}
    return max(one, two, key=lambda case: (case.stage is not Stage.CLOSED, order[case.stage], -case.id))


def _lines(one: Case, two: Case) -> list[Line]:
    facts = (_facts(one), _facts(two))
    spoken, ours = gettext("Description"), {gettext("Stage"), gettext("Responsible"), gettext("Received")}
    return [
        Line(name, (facts[0][name], facts[1][name]), name == spoken, compared=name not in ours) for name in facts[0]
    ]


def _facts(case: Case) -> dict[str, str]:
    contact, project = case.contact, case.project
    place = label("cases.region", project.region)
    if project.locality:
        place += f", {label('cases.locality', project.locality)}"
    return {
        gettext("Name"): contact.name,
        gettext("Email"): contact.email,
        gettext("Phone"): format_phone(contact.phone, contact.phone_extension) if contact.phone else "",
        gettext("Other founders"): ", ".join(founder.name for founder in founders_of_case(case)),
        gettext("Project"): project.name,
        gettext("NEQ"): project.neq,
        gettext("Field"): project.sector_other or label("cases.sector", project.sector),
        gettext("Territory"): place,
        gettext("Legal form"): label("cases.legal_form", project.legal_form),
        gettext("Needs"): ", ".join(label("cases.need", need) for need in sorted(queries.needs(case))),
        gettext("Description"): project.description,
        gettext("Stage"): label("cases.stage", case.stage),
        gettext("Responsible"): case.owner.name if case.owner else gettext("Nobody’s yet"),
        gettext("Received"): clock.local_date(case.received_at).isoformat(),
    }


@bp.post("/<other>/verdict")
@case_team
def verdict(reference: str, other: str) -> BaseResponse:
    """Same person with another project, not a duplicate, or to be decided anew."""
    one, two = _both(reference, other, lock=True)
    wanted = request.form.get("verdict", "")
    if wanted not in {"", *Verdict} - {Verdict.SAME_PROJECT}:
        raise RefusedError(text("duplicates.refusal.choose"))
    services.judge(one, two, Verdict(wanted) if wanted else None, me())
    db.session.commit()
    flash(text(f"duplicates.done.{wanted or 'reopened'}", one=one.reference, two=two.reference))
    to = url_for("cases.page", reference=one.reference) if wanted else _address(one, two)
    return redirect(to, 303)


@bp.post("/<other>/merge")
@case_team
def merge(reference: str, other: str) -> BaseResponse:
    """One project: the file that `keep` names goes on with all that both had."""
    one, two = _both(reference, other, lock=True)
    kept = {one.reference: one, two.reference: two}.get(request.form.get("keep", ""))
    if kept is None:
        raise RefusedError(text("duplicates.refusal.choose"))
    gone = two if kept is one else one
    if services.merge_of(gone) is None or gone.merged_into_id != kept.id:  # pressed twice, it is done once
        services.merge(gone, kept, me())
        db.session.commit()
    flash(text("duplicates.done.same_project", one=gone.reference, two=kept.reference))
    return redirect(_address(kept, gone), 303)  # where it can be undone


@bp.post("/<other>/undo")
@case_team
def undo(reference: str, other: str) -> BaseResponse:
    """Both files again, as they were but for what was done since."""
    one, two = _both(reference, other, lock=True)
    done = next((m for m in (services.merge_of(one), services.merge_of(two)) if m), None)
    if done is not None and {done.gone_id, done.kept_id} == {one.id, two.id}:
        services.undo(done, me())
        db.session.commit()
    flash(text("duplicates.done.unmerged", one=one.reference, two=two.reference))
    return redirect(_address(one, two), 303)


def _address(one: Case, two: Case) -> str:
    return url_for("duplicates.page", reference=one.reference, other=two.reference)
