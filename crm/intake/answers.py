"""The answers of a file as its form would show them, and putting a changed answer back on the file.

The inverse of receiving a request: what the person corrects on their page, or staff correct for them, is asked with the same questions and
judged by the same rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from wtforms import Field

from crm.accounts.models import Staff
from crm.cases.models import Case
from crm.cases.queries import needs
from crm.cases.services import correct
from crm.cases.vocabulary import LegalForm, Need, PreferredLanguage
from crm.db import db
from crm.errors import RefusedError
from crm.formats import read_phone
from crm.i18n import format_phone, speaking
from crm.intake.forms import PAGES, RESTRICTED, Answers, QuestionPage, Whole, applies, read
from crm.intake.models import Request
from crm.intake.services import asker_of, facts_of

CORRECTED = tuple(code for code in PAGES if code != "choices")  # a choice is withdrawn, never corrected
# Where each answer is kept: what of the person, what of the project. Needs, language and the way they heard of us are the file's.
OF_PERSON: Mapping[str, tuple[str, ...]] = {
    "contact_name": ("name",),
    "contact_role": ("role",),
    "lang_pref": ("language",),
    "contact_mode": ("mode",),
    "email": ("email",),
    "phone": ("phone", "phone_extension"),
    "availability": ("availability",),
}
OF_PROJECT: Mapping[str, tuple[str, ...]] = {
    "description": ("description",),
    "project_name": ("name",),
    "sector": ("sector",),
    "sector_other": ("sector_other",),
    "stage": ("stage",),
    "legal_form": ("legal_form",),
    "coop_type": ("legal_form",),
    "incorporated": ("incorporated",),
    "neq": ("neq",),
    "region": ("region",),
    "locality": ("locality",),
    "team_size": ("team_size",),
    "funding_band": ("funding_band",),
    "supports": ("supports",),
    "supports_other": ("supports_other",),
}


def answers_of(case: Case, page: str) -> dict[str, list[str]]:
    """What the form would show of a file on one of its pages, in the language spoken now."""
    contact, project = case.contact, case.project
    family = _family(project.legal_form)
    found: dict[str, Any] = {
        "lang_pref": contact.language,
        "contact_name": contact.name,
        "contact_role": contact.role,
        "behalf_known": _said_of_others(case) if page == "you" and contact.role == "behalf" else "",
        "contact_mode": contact.mode,
        "email": contact.email,
        "phone": format_phone(contact.phone, contact.phone_extension).replace("\u00a0", " "),
        "availability": contact.availability or [],
        "description": project.description,
        "project_name": project.name,
        "sector": project.sector,
        "sector_other": project.sector_other,
        "stage": project.stage,
        "legal_form": family,
        "coop_type": project.legal_form if family == "coop" else "",
        "incorporated": {True: "yes", False: "no", None: ""}[project.incorporated],
        "neq": project.neq,
        "region": project.region,
        "locality": project.locality,
        "team_size": project.team_size,
        "needs": needs(case) if page == "needs" else [],
        "funding_band": project.funding_band,
        "supports": project.supports or [],
        "supports_other": project.supports_other,
        "heard": case.heard,
    }
    listed = {name: value if isinstance(value, list) else [value] for name, value in found.items() if value}
    return {name: [str(one) for one in values] for name, values in listed.items()}


def _family(form: LegalForm) -> str:
    """The public option of a legal form: staff may know its exact type."""
    family = form.partition("_")[0]
    return family if family in {"coop", "npo"} else form.value


def _said_of_others(case: Case) -> str:
    """Whether the team knew of the request, as answered when it was sent."""
    answers = db.session.scalar(select(Request.answers).where(Request.case_id == case.id).order_by(Request.id).limit(1))
    return str((answers or {}).get("behalf_known", "yes"))


def page_of(code: str, answers: Answers, *, shown: bool = True) -> QuestionPage:
    """A page of questions about a file, without those that only the first request asks."""
    page = PAGES[code](answers, shown=shown)
    for name in RESTRICTED & set(page.data):
        del page[name]
    return page


def typed_on(code: str, sent: Any) -> dict[str, list[str]]:
    """What a form says of the questions of a page."""
    return {name: sent.getlist(name) for name in PAGES[code].questions() if any(sent.getlist(name))}


def changed(before: Answers, page: QuestionPage) -> dict[str, list[str]]:
    """The answers of a page that was judged right and that differ from those before; what is not called for counts as none."""
    wanted = {field.name: _kept(field) if applies(field.name, page.given) else [] for field in page}
    return {name: values for name, values in wanted.items() if not same(name, before.get(name, []), values)}


def _kept(field: Field) -> list[str]:
    data = field.data or []
    return [data] if isinstance(data, str) else [str(one) for one in data]


def same(name: str, one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two answers to a question say the same."""
    if name == "phone" and one and other:
        return read_phone(one[0]) == read_phone(other[0])
    if name in {"needs", "supports", "availability"}:
        return set(one) == set(other)
    return list(one) == list(other)


def in_words(code: str, name: str, values: Sequence[str]) -> str:
    """An answer as people read it, in the language spoken now; empty for none."""
    field = PAGES[code]({name: list(values)})[name]
    labels = dict(field.choices or ()) if hasattr(field, "choices") else {}
    return ", ".join(str(labels.get(value, value)) for value in values)


def put(case: Case, code: str, wanted: Answers, actor: Staff, reason: str = "") -> list[str]:
    """Put changed answers of a page on the file, with the reason of who does; the questions whose answer really changed.

    Everything is judged again, beside what the file says now: raises RefusedError with what is wrong.
    """
    before = answers_of(case, code)
    answers = {name: values for name, values in (before | dict(wanted)).items() if values}
    whole = read(_everything(case) | {name: [] for name in PAGES[code].questions()} | answers)
    page = whole.pages[code]
    if page.errors:
        raise RefusedError(*(message for _, message in page.error_list()))
    now = {name: _kept(page[name]) if applies(name, page.given) else [] for name in wanted if name in page.data}
    really = [name for name, values in now.items() if not same(name, before.get(name, []), values)]
    if not really:
        return []
    with speaking(case.language):
        told = [(name, in_words(code, name, before.get(name, [])), in_words(code, name, now[name])) for name in really]
    _write(case, whole, really, told, actor=actor, reason=reason)
    return really


def _everything(case: Case) -> dict[str, list[str]]:
    """The answers of all pages that are asked again; what nobody corrects is needed to read the others."""
    found: dict[str, list[str]] = {}
    for code in CORRECTED:
        found |= {name: values for name, values in answers_of(case, code).items() if name in PAGES[code].questions()}
    return found


def _write(
    case: Case, whole: Whole, names: Sequence[str], told: Sequence[tuple[str, str, str]], *, actor: Staff, reason: str
) -> None:
    preferred = PreferredLanguage(whole.you.lang_pref.data)
    asker, facts = asker_of(whole, preferred), facts_of(whole)
    person = {column: getattr(asker, column) for name in names for column in OF_PERSON.get(name, ())}
    project = {column: getattr(facts, column) for name in names for column in OF_PROJECT.get(name, ())}
    for values, column in ((person, "availability"), (project, "supports")):
        if column in values:
            values[column] = list(values[column])
    of_file: dict[str, Any] = {}
    if "lang_pref" in names and preferred is not PreferredLanguage.EITHER:
        of_file["language"] = preferred.value
    if "heard" in names:
        of_file["heard"] = facts.heard
    correct(
        case,
        person=person,
        project=project,
        of_file=of_file,
        needs=[Need(need) for need in facts.needs] if "needs" in names else None,
        told=told,
        reason=reason,
        actor=actor,
    )
