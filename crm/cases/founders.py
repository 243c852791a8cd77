"""The founding team of a project: people beside the one who asks, with how to reach them and whether we may.

The request never asks for them (domain reference, section 13.2): staff name those they are told of, once these people know.
"""

from collections.abc import Sequence
from typing import Any

import wtforms
from flask import Blueprint, abort, make_response, render_template, request
from sqlalchemy import Select, bindparam, delete, func, select
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import StopValidation

from crm import forms
from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.models import Staff
from crm.accounts.services import by
from crm.cases.models import Case, Founder
from crm.cases.views import back_to, case_or_404
from crm.cases.vocabulary import PreferredLanguage, Stage
from crm.db import db
from crm.errors import RefusedError
from crm.formats import read_email, read_phone
from crm.forms import AtMost, Chosen, Filled
from crm.i18n import format_phone, gettext, lazy
from crm.texts import choices, label, text
from crm.timeline.services import record

bp = Blueprint("founders", __name__, url_prefix="/staff/cases/<reference>/founders")
MOST = 12


class FounderForm(forms.Form):
    """One person of the founding team. `seen` is the version that was on the screen."""

    seen = wtforms.HiddenField()
    name = wtforms.StringField(
        lazy("Name"),
        [Filled(lazy("Write the name")), AtMost(120)],
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    role = wtforms.StringField(lazy("Role in the project"), [AtMost(120)], render_kw={"optional": True})
    language = forms.Radio(lazy("Language"), [Chosen(lazy("Choose the language"))], default=PreferredLanguage.FR)
    email = wtforms.StringField(
        lazy("Email"), [AtMost(254)], render_kw={"optional": True, "type": "email", "autocomplete": "off"}
    )
    phone = wtforms.StringField(lazy("Phone"), [AtMost(60)], render_kw={"optional": True, "autocomplete": "off"})
    may_contact = wtforms.BooleanField(lazy("This person agreed that we contact them"))
    told = wtforms.BooleanField(lazy("This person knows that their name is kept here"))

    address: str = ""
    number: tuple[str, str] = ("", "")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = choices("cases.language")

    def validate_email(self, field: wtforms.Field) -> None:
        if field.data:
            read = read_email(field.data)
            if read is None:
                raise StopValidation(gettext("Enter a full email address, like name@example.ca"))
            self.address = read

    def validate_phone(self, field: wtforms.Field) -> None:
        if field.data:
            read = read_phone(field.data)
            if read is None:
                raise StopValidation(gettext("Write a 10-digit number, or an international number starting with +"))
            self.number = read

    def validate_told(self, field: wtforms.Field) -> None:
        if not field.data:
            raise StopValidation(gettext("Tell the person first, then tick the box"))

    def put(self, founder: Founder) -> None:
        """What was typed, onto the row."""
        founder.name, founder.role = self.name.data or "", self.role.data or ""
        founder.language, founder.may_contact = PreferredLanguage(self.language.data), bool(self.may_contact.data)
        founder.email = self.address
        founder.phone, founder.phone_extension = self.number


# --- verbs -----------------------------------------------------------------------------------------------------------


def founders_of_case(case: Case) -> Sequence[Founder]:
    """The people named beside who asked, in the order they were named."""
    return db.session.scalars(select(Founder).where(Founder.case_id == case.id).order_by(Founder.id)).all()


def name_founder(case: Case, founder: Founder, actor: Staff) -> None:
    """Another person of the team; the file is compared anew. Raises RefusedError when there are too many."""
    many = db.session.scalar(select(func.count(Founder.id)).where(Founder.case_id == case.id)) or 0
    if many >= MOST:
        raise RefusedError(text("cases.refusal.many_founders", most=MOST))
    founder.case_id, founder.version = case.id, 1
    db.session.add(founder)
    _note(case, "named", founder, actor)


def change_founder(case: Case, founder: Founder, actor: Staff) -> None:
    """What is known of a person changed."""
    founder.version += 1
    _note(case, "changed", founder, actor)


def forget_founder(case: Case, founder: Founder, actor: Staff) -> None:
    """A person is no longer of the team, or asks not to be named: the row is destroyed, the history names nobody."""
    _note(case, "forgotten", None, actor)
    db.session.delete(founder)


def forget_all(case: Case) -> None:
    """Nobody of the team is named any more."""
    db.session.execute(delete(Founder).where(Founder.case_id == case.id))


def _note(case: Case, what: str, founder: Founder | None, actor: Staff) -> None:
    case.matched_at = None
    detail = {"name": founder.name} if founder else {}
    record(f"founder.{what}", case_id=case.id, actor=by(actor), detail=detail)


# --- the panel and the page ------------------------------------------------------------------------------------------


def rows() -> Select[*tuple[Any, ...]]:
    """The founders of a file."""
    columns = (
        Founder.id,
        Founder.name,
        Founder.role,
        Founder.language,
        Founder.email,
        Founder.phone,
        Founder.phone_extension,
        Founder.may_contact,
    )
    return select(*columns).where(Founder.case_id == bindparam("case_id"))


def shown(found: list[list[Any]]) -> dict[str, Any]:
    """What the panel of the case page shows, in the order they were named."""
    names = ("id", "name", "role", "language", "email", "phone", "extension", "may_contact")
    return {"founders": [dict(zip(names, row, strict=True)) for row in sorted(found)]}


def _open_case(reference: str, *, lock: bool = False) -> Case:
    case = case_or_404(reference, lock=lock)
    if case.stage is Stage.CLOSED:
        raise RefusedError(text("cases.refusal.closed_file"))
    return case


def _founder(case: Case, number: int) -> Founder:
    found = db.session.scalar(select(Founder).where(Founder.id == number, Founder.case_id == case.id))
    if found is None:
        abort(404)
    return found


def _page(case: Case, form: FounderForm, founder: Founder | None, theirs: Sequence[tuple[str, str]] = ()) -> str:
    return render_template("cases/founder.html", case=case, form=form, founder=founder, theirs=theirs)


@bp.get("")
@case_team
def blank(reference: str) -> str:
    case = _open_case(reference)
    return _page(case, FounderForm(data={"language": case.language}), None)


@bp.post("")
@case_team
def add(reference: str) -> BaseResponse:
    case = _open_case(reference, lock=True)
    form = FounderForm(request.form)
    if not form.validate():
        return make_response(_page(case, form, None), 422)
    founder = Founder()
    form.put(founder)
    name_founder(case, founder, me())
    db.session.commit()
    return back_to(case, gettext("%(name)s is on the founding team.", name=founder.name))


@bp.get("/<int:number>")
@case_team
def page(reference: str, number: int) -> str:
    case = _open_case(reference)
    founder = _founder(case, number)
    saved = {
        "seen": str(founder.version),
        "name": founder.name,
        "role": founder.role,
        "language": founder.language,
        "email": founder.email,
        "phone": format_phone(founder.phone, founder.phone_extension),
        "may_contact": founder.may_contact,
        "told": True,
    }
    return _page(case, FounderForm(data=saved), founder)


@bp.post("/<int:number>/change")
@case_team
def save(reference: str, number: int) -> BaseResponse:
    """Save what changed; who saves over somebody else's change is shown it first."""
    case = _open_case(reference, lock=True)
    founder, form = _founder(case, number), FounderForm(request.form)
    if not form.validate():
        return make_response(_page(case, form, founder), 422)
    if form.seen.data != str(founder.version):
        form.seen.data = str(founder.version)
        return make_response(_page(case, form, founder, _saved(founder)), 409)
    form.put(founder)
    change_founder(case, founder, me())
    db.session.commit()
    return back_to(case, gettext("The founding team was saved."))


def _saved(founder: Founder) -> list[tuple[str, str]]:
    return [
        (gettext("Name"), founder.name),
        (gettext("Role in the project"), founder.role),
        (gettext("Language"), label("cases.language", founder.language)),
        (gettext("Email"), founder.email),
        (gettext("Phone"), format_phone(founder.phone, founder.phone_extension)),
    ]


@bp.post("/<int:number>/forget")
@case_team
def forget(reference: str, number: int) -> BaseResponse:
    case = _open_case(reference, lock=True)
    forget_founder(case, _founder(case, number), me())
    db.session.commit()
    return back_to(case, gettext("The person was taken off the founding team."))
