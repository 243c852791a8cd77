"""The directory's pages: bodies, their programmes, the rules that hold for all, and the programmes that fit a file."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import wtforms
from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from crm import clock, forms
from crm.access import case_team, coordinators
from crm.accounts.feature import me
from crm.cases.views import case_or_404
from crm.db import db, writing
from crm.directory import joining, services, suggestions
from crm.directory import queries as read
from crm.directory.forms import BodyForm, ContactForm, JoinForm, PersonForm, ProgrammeForm, RuleForm
from crm.directory.matching import Asked, Fit
from crm.directory.suggestions import Judging
from crm.i18n import gettext
from crm.partners import queries
from crm.partners.models import Body, Person, Programme, Rule, Terms
from crm.partners.services import add_person as add_person_to
from crm.partners.services import change_contact, hold, put_first, save_entry, set_terms
from crm.partners.services import save_person as save_person_of
from crm.partners.vocabulary import BodyKind, new_code
from crm.referrals.services import MAY_REFER_FROM
from crm.search.words import fold

bp = Blueprint("directory", __name__, url_prefix="/staff")
of_case = Blueprint("fitting", __name__, url_prefix="/staff/cases/<reference>/programmes")


# --- bodies --------------------------------------------------------------------------------------------------------


def _body_or_404(code: str) -> Body:
    body = queries.by_code(code)
    if body is None:
        abort(404)
    return body


@bp.get("/partners")
@case_team
def bodies() -> str:
    """The directory, doors under the body whose doors they are."""
    everyone = queries.everyone()
    return render_template(
        "directory/bodies.html",
        bodies=[one for one in everyone if one.part_of_id is None],
        doors={one.id: [part for part in everyone if part.part_of_id == one.id] for one in everyone},
        offered=queries.count_programmes(),
    )


@bp.get("/partners/<code>")
@case_team
def body(code: str) -> str:
    return _body(_body_or_404(code))


def _body(found: Body, form: ContactForm | None = None, theirs: Body | None = None) -> str:
    return render_template(
        "directory/body.html",
        body=found,
        form=form or _contact_form(found),
        theirs=theirs,
        programmes=queries.programmes_of(found.part_of or found),
        doors=queries.doors_of(found),
        people=queries.people_of(found),
        record=read.record_of(found),
    )


@bp.post("/partners/<code>")
@coordinators
def change(code: str) -> Response:
    """Who receives what the body is sent."""
    found = _body_or_404(code)
    form = ContactForm(request.form)
    if not form.validate():
        return make_response(_body(found, form), 422)
    with services.welcoming(found):
        saved = change_contact(
            found,
            seen_version=forms.seen_version(form.version.data),
            name=form.name.data,
            email=form.email.data,
            language=form.language.data,
            answer_days=int(form.answer_days.data) if form.answer_days.data else None,
            chase_days=int(form.chase_days.data),
            actor=me(),
            verified=form.verified.data,
        )
    if not saved:
        db.session.rollback()
        found = _body_or_404(code)
        form.version.data = found.version
        return make_response(_body(found, form, found), 409)
    db.session.commit()
    flash(gettext("The contact was saved."))
    return redirect(url_for("directory.body", code=code), 303)


def _contact_form(body: Body) -> ContactForm:
    return ContactForm(
        data={
            "version": body.version,
            "name": body.contact_name,
            "email": body.contact_email,
            "language": body.contact_language,
            "answer_days": "" if body.answer_days is None else str(body.answer_days),
            "chase_days": str(body.chase_days),
        }
    )


def _person_or_404(body: Body, number: int) -> Person:
    found = queries.person_of(body, number)
    if found is None:
        abort(404)
    return found


def _person(body: Body, person: Person | None, form: PersonForm, *, stale: bool = False) -> str:
    return render_template("directory/person.html", body=body, person=person, form=form, stale=stale)


@bp.get("/partners/<code>/people/add")
@coordinators
def new_person(code: str) -> str:
    return _person(_body_or_404(code), None, PersonForm(data={"receives": True, "language": "fr"}))


@bp.post("/partners/<code>/people/add")
@coordinators
def add_person(code: str) -> Response:
    found, form = _body_or_404(code), PersonForm(request.form)
    if not form.validate():
        return make_response(_person(found, None, form), 422)
    with services.welcoming(found):
        added = add_person_to(found, form.facts(), me())
    if added is None:
        form.email.errors = [gettext("Somebody there has this address already")]
        return make_response(_person(found, None, form), 422)
    db.session.commit()
    flash(gettext("Saved."))
    return redirect(url_for("directory.body", code=code), 303)


@bp.get("/partners/<code>/people/<int:number>")
@coordinators
def person(code: str, number: int) -> str:
    found = _body_or_404(code)
    one = _person_or_404(found, number)
    return _person(found, one, PersonForm.of(one))


@bp.post("/partners/<code>/people/<int:number>/save")
@coordinators
def save_person(code: str, number: int) -> Response:
    found = _body_or_404(code)
    one, form = _person_or_404(found, number), PersonForm(request.form)
    if not form.validate():
        return make_response(_person(found, one, form), 422)
    there = queries.at_address(found, form.email.data)
    if there is not None and there.id != one.id:
        form.email.errors = [gettext("Somebody there has this address already")]
        return make_response(_person(found, one, form), 422)
    with services.welcoming(found):
        saved = save_person_of(found, one, forms.seen_version(form.version.data), form.facts(), me())
    if not saved:
        db.session.rollback()
        form.version.data = _person_or_404(_body_or_404(code), number).version
        return make_response(_person(found, one, form, stale=True), 409)
    db.session.commit()
    flash(gettext("Saved."))
    return redirect(url_for("directory.body", code=code), 303)


@bp.post("/partners/<code>/people/<int:number>/first")
@coordinators
def put_person_first(code: str, number: int) -> Response:
    found = _body_or_404(code)
    one = _person_or_404(found, number)
    with services.welcoming(found):
        put_first(found, one, me())
    db.session.commit()
    flash(gettext("From now on this person receives each referral. Links sent to somebody else no longer open one."))
    return redirect(url_for("directory.body", code=code), 303)


@bp.post("/partners/<code>/people/<int:number>/works-there-no-more")
@coordinators
def person_left(code: str, number: int) -> Response:
    """Somebody works there no more: their links stop working at once."""
    found = _body_or_404(code)
    services.person_left(found, _person_or_404(found, number), me())
    db.session.commit()
    flash(gettext("Noted. The links that were sent to this person no longer work."))
    return redirect(url_for("directory.body", code=code), 303)


@bp.get("/directory/add")
@coordinators
def new_body() -> str:
    return _edit(None, BodyForm(others=_wholes(None)))


@bp.post("/directory/add")
@coordinators
def add_body() -> Response:
    hold()
    form = BodyForm(request.form, others=_wholes(None))
    if not form.validate() or _there_is(form.short_fr, queries.everyone(), Body.short):
        return make_response(_edit(None, form), 422)
    taken = set(db.session.scalars(select(Body.code)))
    added = services.add_body(new_code(form.short_fr.data, taken, 30), form.facts(), me(), verified=form.verified.data)
    db.session.commit()
    flash(gettext("The organization was added. Say who receives what we send."))
    return redirect(url_for("directory.body", code=added.code), 303)


def _there_is(field: wtforms.Field, entries: Iterable[Any], name_of: Callable[[Any, str], str]) -> bool:
    """Whether an entry has this French name already, as after a button pressed twice; says so on the form."""
    found = any(fold(name_of(one, "fr")) == fold(field.data) for one in entries)
    if found:
        field.errors = [gettext("An entry of the directory has this name already")]
    return found


def _wholes(body: Body | None) -> list[Body]:
    """The bodies that may have local offices: those that are not one themselves; and the one whose office this is, whatever it is by now."""
    return [
        one
        for one in queries.everyone()
        if one is not body and ((one.active and one.part_of_id is None) or (body and one.id == body.part_of_id))
    ]


def _named(owner: Programme | Rule | None) -> list[Body]:
    """The bodies that may be named in what is asked: those of the directory that are no local office, and those that are named already."""
    named = set(_asked_now(owner)[1].support) if owner else set()
    return [one for one in queries.everyone() if (one.active and one.part_of_id is None) or one.code in named]


def _cannot_be_an_office(body: Body, form: BodyForm) -> bool:
    """Whether a body that has programmes, or offices of its own, would become another's local office; says so on the form."""
    wrong = bool(form.part_of.data) and bool(queries.programmes_of(body) or queries.doors_of(body))
    if wrong:
        form.part_of.errors = [gettext("This organization has programmes or local offices of its own")]
    return wrong


def _edit(body: Body | None, form: BodyForm, *, stale: bool = False) -> str:
    return render_template("directory/edit.html", body=body, form=form, stale=stale)


@bp.get("/partners/<code>/edit")
@coordinators
def edit(code: str) -> str:
    found = _body_or_404(code)
    return _edit(found, BodyForm.of(found, _wholes(found)))


@bp.post("/partners/<code>/edit")
@coordinators
def save(code: str) -> Response:
    found = _body_or_404(code)
    form = BodyForm(request.form, others=_wholes(found))
    if not form.validate() or _cannot_be_an_office(found, form):
        return make_response(_edit(found, form), 422)
    seen = forms.seen_version(form.version.data)
    if not services.save_body(found, seen, form.facts(), me(), verified=form.verified.data):
        db.session.rollback()
        form.version.data = _body_or_404(code).version
        return make_response(_edit(found, form, stale=True), 409)
    db.session.commit()
    flash(gettext("The organization was saved."))
    return redirect(url_for("directory.body", code=code), 303)


@bp.get("/partners/<code>/join")
@coordinators
def join_form(code: str) -> str:
    """Asks to which entry of the same body this one is joined."""
    found = _not_joined(code)
    return _join(found, JoinForm(data={"version": found.version}, others=joining.may_take(found)))


def _not_joined(code: str) -> Body:
    found = _body_or_404(code)
    joining.check_not_joined(found)
    return found


def _join(body: Body, form: JoinForm, into: Body | None = None) -> str:
    """The question; or, with the entry that stays, what goes from the one to the other."""
    moves = joining.what_moves(body) if into else None
    return render_template("directory/join.html", body=body, form=form, into=into, moves=moves)


@bp.post("/partners/<code>/join")
@coordinators
def join(code: str) -> Response:
    """Shows first what goes from one entry to the other; done when it was seen."""
    found = _not_joined(code)
    others = {one.code: one for one in joining.may_take(found)}
    form = JoinForm(request.form, others=list(others.values()))
    if not form.validate():
        return make_response(_join(found, form), 422)
    into = others[form.into.data]
    if "seen" not in request.form or forms.seen_version(form.version.data) != found.version:
        form.version.data = found.version
        return make_response(_join(found, form, into))
    joining.join(found, into, me())
    db.session.commit()
    flash(gettext("The two entries are one."))
    return redirect(url_for("directory.body", code=into.code), 303)


@bp.post("/partners/<code>/verified")
@coordinators
def verify(code: str) -> Response:
    """What the entry says was checked and is right as it stands."""
    return _verified(_body_or_404(code), url_for("directory.body", code=code))


def _verified(entry: Body | Programme, back: str) -> Response:
    if save_entry(entry, forms.seen_version(request.form.get("version")), me(), verified=True):
        db.session.commit()
        flash(gettext("Noted: verified today."))
    else:
        db.session.rollback()
        flash(gettext("Somebody changed this entry meanwhile: read it again first."))
    return redirect(back, 303)


# --- programmes ----------------------------------------------------------------------------------------------------


def _programme_or_404(code: str, programme: str) -> Programme:
    found = queries.programme_by_code(programme)
    if found is None or found.body.code != code:
        abort(404)
    return found


def _asked_now(owner: Programme | Rule) -> tuple[list[Terms], Asked]:
    terms = queries.terms_of(owner)
    now = queries.in_force(terms, clock.today())
    return terms, Asked.read(now.asked if now else {})


@bp.get("/partners/<code>/programmes/<programme>")
@case_team
def programme(code: str, programme: str) -> str:
    found = _programme_or_404(code, programme)
    terms, asked = _asked_now(found)
    return render_template(
        "directory/programme.html",
        offer=found,
        asked=suggestions.in_words(asked),
        terms=[(one, suggestions.in_words(Asked.read(one.asked))) for one in terms],
        today=clock.today(),
    )


@bp.get("/partners/<code>/programmes/<programme>/edit")
@coordinators
def edit_programme(code: str, programme: str) -> str:
    found = _programme_or_404(code, programme)
    return _programme(found.body, found, ProgrammeForm.of(found, _asked_now(found)[1], _named(found)))


@bp.get("/partners/<code>/add")
@coordinators
def new_programme(code: str) -> str:
    today = clock.today().isoformat()
    return _programme(
        _body_or_404(code), None, ProgrammeForm(bodies=_named(None), data={"since": today, "active": True})
    )


@bp.post("/partners/<code>/add")
@coordinators
def add_programme(code: str) -> Response:
    hold()
    found = _body_or_404(code)
    form = ProgrammeForm(request.form, bodies=_named(None))
    if not form.validate() or _there_is(form.name_fr, queries.programmes_of(found), Programme.name):
        return make_response(_programme(found, None, form), 422)
    added = services.add_programme(found, form.facts(), form.asked(), form.day, me(), verified=form.verified.data)
    db.session.commit()
    flash(gettext("The programme was added."))
    return redirect(url_for("directory.programme", code=code, programme=added.code), 303)


def _programme(body: Body, found: Programme | None, form: ProgrammeForm, **shown: Any) -> str:
    return render_template("directory/programme_edit.html", body=body, offer=found, form=form, **shown)


@bp.post("/partners/<code>/programmes/<programme>/edit")
@coordinators
def save_programme(code: str, programme: str) -> Response:
    """Save a programme; a change that touches open files is shown first."""
    found = _programme_or_404(code, programme)
    form = ProgrammeForm(request.form, bodies=_named(found))

    def page(**shown: Any) -> str:
        return _programme(found.body, found, form, **shown)

    def before(asked: Asked) -> Judging:
        return suggestions.of_programme(found.kind, asked, form.day, offered=found.active)

    def after(asked: Asked) -> Judging:
        return suggestions.of_programme(BodyKind(form.kind.data), asked, form.day, offered=form.active.data)

    return _save_asked(
        found, form, page, (before, after), url_for("directory.programme", code=code, programme=programme)
    )


def _save_asked(
    owner: Programme | Rule,
    form: ProgrammeForm | RuleForm,
    page: Callable[..., str],
    judged: tuple[Callable[[Asked], Judging], Callable[[Asked], Judging]],
    back: str,
) -> Response:
    """Save an entry and what it asks. A change that judges open files otherwise is shown first, and saved at the next press; `judged` say how
    it judges before and after.
    """
    if not form.validate():
        return make_response(page(), 422)
    terms, now = queries.terms_of(owner), form.asked()
    before = queries.in_force(terms, form.day)
    was = Asked.read(before.asked if before else {})
    stamp = _stamp(form, now)
    if request.form.get("seen_files") != stamp and stamp != _stamp_of(owner, was, form.day):
        with writing(allowed=False):  # thousands of files may be looked at: nobody waits to write meanwhile
            db.session.rollback()
            impact = suggestions.impact_on_files(me(), judged[0](was), judged[1](now))
            db.session.rollback()
        if impact.count:
            return make_response(page(impact=impact, stamp=stamp), 200)
    verified = "verified" in form and form.verified.data
    if not save_entry(owner, forms.seen_version(form.version.data), me(), verified=verified, **form.facts()):
        db.session.rollback()
        db.session.refresh(owner)
        form.version.data = owner.version
        return make_response(page(stale=True), 409)
    if was != now:
        set_terms(owner, now.kept(), since=form.day, actor=me())
    db.session.commit()
    flash(gettext("Saved."))
    return redirect(back, 303)


def _stamp(form: ProgrammeForm | RuleForm, asked: Asked) -> str:
    """What of a form decides how files are judged, in short."""
    kind = form.kind.data if isinstance(form, ProgrammeForm) else ""
    return _in_short(asked, form.day, kind, active=form.active.data)


def _stamp_of(owner: Programme | Rule, asked: Asked, day: date) -> str:
    kind = owner.kind if isinstance(owner, Programme) else ""
    return _in_short(asked, day, kind, active=owner.active)


def _in_short(asked: Asked, day: date, kind: str, *, active: bool) -> str:
    said = json.dumps([asked.kept(), day.isoformat(), str(kind), bool(active)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


@bp.post("/partners/<code>/programmes/<programme>/verified")
@coordinators
def verify_programme(code: str, programme: str) -> Response:
    found = _programme_or_404(code, programme)
    return _verified(found, url_for("directory.programme", code=code, programme=programme))


# --- rules ---------------------------------------------------------------------------------------------------------


@bp.get("/directory/rules")
@case_team
def rules() -> str:
    found = [(rule, *_asked_now(rule)) for rule in queries.rules()]
    return render_template(
        "directory/rules.html",
        rules=[(rule, asked, suggestions.in_words(asked)) for rule, _terms, asked in found],
        kinds_of=lambda asked: suggestions.all_of("partners.kind", asked.kinds),
    )


@bp.get("/directory/rules/add")
@coordinators
def new_rule() -> str:
    today = clock.today().isoformat()
    return _rule(None, RuleForm(bodies=_named(None), data={"since": today, "active": True}))


@bp.post("/directory/rules/add")
@coordinators
def add_rule() -> Response:
    hold()
    form = RuleForm(request.form, bodies=_named(None))
    if not form.validate() or _there_is(form.name_fr, queries.rules(), Rule.name):
        return make_response(_rule(None, form), 422)
    services.add_rule(form.facts(), form.asked(), form.day, me())
    db.session.commit()
    flash(gettext("The rule was added."))
    return redirect(url_for("directory.rules"), 303)


def _rule_or_404(code: str) -> Rule:
    found = queries.rule_by_code(code)
    if found is None:
        abort(404)
    return found


def _rule(found: Rule | None, form: RuleForm, **shown: Any) -> str:
    terms = queries.terms_of(found) if found else []
    said = [(one, suggestions.in_words(Asked.read(one.asked))) for one in terms]
    return render_template("directory/rule_edit.html", rule=found, form=form, terms=said, today=clock.today(), **shown)


@bp.get("/directory/rules/<code>")
@coordinators
def rule(code: str) -> str:
    found = _rule_or_404(code)
    return _rule(found, RuleForm.of(found, _asked_now(found)[1], _named(found)))


@bp.post("/directory/rules/<code>")
@coordinators
def save_rule(code: str) -> Response:
    """Save a rule; a change that touches open files is shown first."""
    found = _rule_or_404(code)
    form = RuleForm(request.form, bodies=_named(found))

    def before(asked: Asked) -> Judging:
        return suggestions.of_rule(asked, counts=found.active)

    def after(asked: Asked) -> Judging:
        return suggestions.of_rule(asked, counts=form.active.data)

    return _save_asked(
        found, form, lambda **shown: _rule(found, form, **shown), (before, after), url_for("directory.rules")
    )


# --- the programmes that fit a file --------------------------------------------------------------------------------


@of_case.get("")
@case_team
def page(reference: str) -> str:
    """The programmes that fit a file, and why; it suggests, staff decide."""
    case = case_or_404(reference)
    found = suggestions.suggest(case)
    return render_template(
        "directory/fitting.html",
        case=case,
        groups=[(fit, [one for one in found if one.ranked.fit is fit]) for fit in Fit],
        may_refer=case.stage in MAY_REFER_FROM,
    )
