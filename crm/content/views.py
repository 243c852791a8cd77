"""Public pages that coordinators write, and the pages where they write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import wtforms
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel.speaklater import LazyString
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms
from crm.access import coordinators, public
from crm.accounts.feature import me
from crm.business_days import read_closures
from crm.content import editing
from crm.content.markup import drawn, quoted
from crm.db import db
from crm.formats import read_email
from crm.forms import AtMost, Filled
from crm.i18n import View, gettext, language, lazy, speaking
from crm.outbox.services import programme_values
from crm.security import too_often
from crm.texts import everything, fill, pair, text
from crm.texts.facts import FACTS, Fact, Kind, facts_before, missing, programme
from crm.texts.models import Publication
from crm.texts.published import EnglishAheadError, Standing, forget, standing, versions

bp = Blueprint("content", __name__)
SLUGS = {
    "faq": ("questions", "questions"),
    "privacy": ("confidentialite", "privacy"),
    "accessibility": ("accessibilite", "accessibility"),
}
KEPT_VERSIONS = ("privacy",)  # earlier versions stay readable by everybody (P-39.1, s. 8.2)
LONGEST_TEXT = 40_000
TESTS = 20  # mails of trial in an hour


# --- what everybody reads --------------------------------------------------------------------------------------------


def _in_both(view: View) -> View:
    """One view for the public pages, each under an address readable in its language."""
    for name, slugs in SLUGS.items():
        for lang, slug in zip(("fr", "en"), slugs, strict=True):
            bp.add_url_rule(f"/{lang}/{slug}", "page", view, defaults={"lang": lang, "page": name})
    return view


@_in_both
@public
def public_page(lang: str, page: str) -> str:
    """A page as it stands, or an earlier version of it."""
    earlier = _earlier(f"content.{page}.body") if page in KEPT_VERSIONS else []
    wanted = request.args.get("version", "")
    shown = next((one for one in earlier if str(one.number) == wanted), None)
    if wanted and shown is None:
        abort(404)
    values = programme_values(lang, facts_before(shown.until) if shown and not shown.current else None)
    body = getattr(shown, lang) if shown and not shown.current else pair(f"content.{page}.body")[lang]
    return render_template(
        "content/page.html",
        name=page,
        title=text(f"content.{page}.title"),
        body=drawn(fill(body, quoted(values))),
        earlier=earlier,
        shown=shown if shown and not shown.current else None,
        since=earlier[0].day if earlier and earlier[0].number else None,
    )


@dataclass(frozen=True)
class Version:
    """A version of a page; number 0 is the one that shipped. `current` is the one in force, `until` the number of the next."""

    number: int
    day: Any
    fr: str
    en: str
    current: bool
    until: int = 0


def _earlier(key: str) -> list[Version]:
    published = versions(key)
    found = [
        Version(one.id, clock.local_date(one.at), one.fr, one.en, place == 0, published[place - 1].id if place else 0)
        for place, one in enumerate(published)
    ]
    ships = everything()[key]
    return [*found, Version(0, None, ships["fr"], ships["en"], not found, published[-1].id if published else 0)]


# --- the programme's facts -------------------------------------------------------------------------------------------


def one_line(typed: str | None) -> str:
    """A fact without line ends: it goes into headers of mail."""
    return re.sub(r"[\r\n\t]+", " ", typed or "")


class FactsForm(forms.Form):
    """One field for each fact, two for a pair: `<name>_fr` and `<name>_en`."""

    seen = wtforms.HiddenField()

    def read(self, fact: Fact) -> tuple[str, str]:
        """What was typed of a fact, in both languages."""
        if fact.kind is Kind.PAIR:
            return one_line(self[f"{fact.name}_fr"].data), one_line(self[f"{fact.name}_en"].data)
        value = self[fact.name].data
        if fact.kind is Kind.SWITCH:
            value = "yes" if value else "no"
        return one_line(value), one_line(value)

    def validate(self, extra_validators: Any = None) -> bool:
        valid = super().validate(extra_validators)
        for fact in FACTS:
            french, english = self.read(fact)
            if fact.kind is Kind.PAIR and bool(french) != bool(english):
                field = self[f"{fact.name}_{'en' if french else 'fr'}"]
                field.errors = [gettext("Write it in both languages, or in neither")]
                valid = False
            if fact.kind is Kind.EMAIL and french and read_email(french) is None:
                self[fact.name].errors = [gettext("Enter a full email address, like name@example.ca")]
                valid = False
            if fact.kind is Kind.DAYS and read_closures(french) is None:
                self[fact.name].errors = [
                    gettext("Write days and periods like %(example)s", example="2026-12-24/2027-01-03, 2027-07-19")
                ]
                valid = False
        empty = [fact.name for fact in FACTS if fact.printed and not all(self.read(fact))]
        if self.form_open.data and empty and valid:
            named = ", ".join(text(f"content.fact.{name}") for name in empty)
            self.form_open.errors = [
                gettext("The form cannot be opened while the notice lacks this: %(facts)s", facts=named)
            ]
            valid = False
        return valid


def _fields() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for fact in FACTS:
        names = (f"{fact.name}_fr", f"{fact.name}_en") if fact.kind is Kind.PAIR else (fact.name,)
        for name in names:
            label = lazy_fact(fact.name)
            if fact.kind is Kind.SWITCH:
                made[name] = wtforms.BooleanField(label)
            else:
                made[name] = wtforms.StringField(label, [AtMost(300)])
    return made


def lazy_fact(name: str) -> Any:
    """The label of a fact, in the language spoken when it is shown."""
    return LazyString(text, f"content.fact.{name}")


for _name, _field in _fields().items():
    setattr(FactsForm, _name, _field)


@bp.get("/staff/settings")
@coordinators
def settings() -> str:
    facts = programme()
    shown: dict[str, Any] = {"seen": str(editing.newest_fact())}
    for fact in FACTS:
        value = getattr(facts, fact.name)
        if fact.kind is Kind.PAIR:
            shown |= {f"{fact.name}_{lang}": value[lang] for lang in ("fr", "en")}
        else:
            shown[fact.name] = value
    return _settings_page(FactsForm(data=shown))


def _settings_page(form: FactsForm, theirs: bool = False) -> str:
    return render_template(
        "content/settings.html", form=form, facts=FACTS, missing=missing(programme()), theirs=theirs, kinds=Kind
    )


@bp.post("/staff/settings")
@coordinators
def save_settings() -> BaseResponse | tuple[str, int]:
    """Save what changed; each fact keeps its earlier versions."""
    form = FactsForm(request.form)
    if not form.validate():
        return _settings_page(form), 422
    newest = str(editing.newest_fact())
    if form.seen.data != newest:
        form.seen.data = newest
        return _settings_page(form, theirs=True), 409
    try:
        saved = editing.save_facts({fact: form.read(fact) for fact in FACTS}, me())
        db.session.commit()
    except IntegrityError:  # two saved at the same instant
        db.session.rollback()
        form.seen.data = str(editing.newest_fact())
        return _settings_page(form, theirs=True), 409
    forget()
    flash(gettext("The settings were saved.") if saved else gettext("Nothing had changed."))
    return redirect(url_for("content.settings"), 303)


# --- every text ------------------------------------------------------------------------------------------------------


class TextForm(forms.Form):
    """A text in both languages. `seen` is the version that was on screen."""

    seen = wtforms.HiddenField()
    draft_seen = wtforms.HiddenField()
    fr = wtforms.TextAreaField(lazy("French"), [Filled(lazy("Write the French")), AtMost(LONGEST_TEXT)])
    en = wtforms.TextAreaField(lazy("English"), [Filled(lazy("Write the English")), AtMost(LONGEST_TEXT)])
    both_agree = wtforms.BooleanField(lazy("I read both languages: each says what the other does"))

    def check_placeholders(self, key: str) -> bool:
        """Whether each language has the placeholders that ship, neither more nor fewer; says which are wrong."""
        wanted = editing.placeholders(key)
        for field in (self.fr, self.en):
            found = set(re.findall(r"\{([a-z_]+)\}", field.data or ""))
            if lost := wanted - found:
                named = ", ".join(f"{{{name}}}" for name in sorted(lost))
                field.errors = [gettext("Put this back: %(placeholders)s", placeholders=named)]
            elif unknown := found - wanted - editing.always(key):
                named = ", ".join(f"{{{name}}}" for name in sorted(unknown))
                field.errors = [gettext("Nothing fills this in: %(placeholders)s", placeholders=named)]
        return not (self.fr.errors or self.en.errors)


@bp.get("/staff/texts")
@coordinators
def texts() -> str:
    """Every text that may be changed, by where people read it; those that changed or wait are marked."""
    group = request.args.get("group", "pages")
    if group not in editing.GROUPS:
        abort(404)
    return render_template(
        "content/texts.html", group=group, groups=tuple(editing.GROUPS), rows=editing.listed(group, language())
    )


def _key_or_404(key: str) -> str:
    if not editing.is_editable(key):
        abort(404)
    return key


@bp.get("/staff/texts/<key>")
@coordinators
def edit(key: str) -> str:
    now, draft = standing(_key_or_404(key)), editing.draft_of(key)
    shown = draft or now
    based_on = draft.based_on if draft else now.number
    form = TextForm(data={"seen": str(based_on), "draft_seen": editing.mark_of(draft), "fr": shown.fr, "en": shown.en})
    return _text_page(key, form, now)


def _text_page(
    key: str,
    form: TextForm,
    now: Standing,
    *,
    preview: bool = False,
    theirs: bool = False,
    theirs_draft: bool = False,
    tested: bool = False,
) -> str:
    return render_template(
        "content/text.html",
        key=key,
        group=editing.group_of(key),
        form=form,
        now=now,
        theirs=theirs,
        theirs_draft=theirs_draft,
        draft=editing.draft_of(key),
        placeholders=sorted(editing.placeholders(key) | editing.always(key)),
        preview=_preview(key, form) if preview else (),
        versions=versions(key),
        ships=everything()[key],
        is_page=editing.is_body(key),
        is_mail=editing.is_mail(key),
        tested=tested,
    )


def _preview(key: str, form: TextForm) -> Sequence[tuple[str, Any]]:
    """Both languages as people would read them."""
    found = []
    for lang, typed in (("fr", form.fr.data or ""), ("en", form.en.data or "")):
        with speaking(lang):
            is_page = editing.is_body(key)
            values = programme_values(lang) if is_page else editing.sample(lang, me())
            words = fill(typed, quoted(values) if is_page else values)
        found.append((lang, drawn(words) if is_page else words))
    return found


@bp.post("/staff/texts/<key>")
@coordinators
def save(key: str) -> BaseResponse | tuple[str, int] | str:
    """Show, keep aside, or publish; French is never behind English."""
    now = standing(_key_or_404(key))
    form = TextForm(request.form)
    valid = form.validate() and form.check_placeholders(key)
    form.fr.data = editing.mended(form.fr.data or "")
    if request.form.get("_draft"):
        return _kept_aside(key, form, now)
    if not valid:
        return _text_page(key, form, now), 422
    if request.form.get("_preview"):
        return _text_page(key, form, now, preview=True)
    if request.form.get("_test") and editing.is_mail(key):
        if too_often("test-mail", str(me().id), limit=TESTS, seconds=3600):
            raise TooManyRequests
        editing.send_test(key, {"fr": form.fr.data, "en": form.en.data or ""}, me())
        db.session.commit()
        return _text_page(key, form, now, preview=True, tested=True)
    if form.seen.data != str(now.number):
        form.seen.data = str(now.number)
        return _text_page(key, form, now, theirs=True), 409
    try:
        made = editing.publish_text(key, form.fr.data, form.en.data or "", me(), both_agree=bool(form.both_agree.data))
        editing.drop_draft(key, seen=form.draft_seen.data or "")
        db.session.commit()
    except EnglishAheadError:
        form.fr.errors = [
            gettext("Only the English changed. Change the French too, or tick that each says what the other does")
        ]
        return _text_page(key, form, now), 422
    except IntegrityError:  # two published at the same instant
        db.session.rollback()
        now = standing(key)
        form.seen.data = str(now.number)
        return _text_page(key, form, now, theirs=True), 409
    forget()
    flash(gettext("The text is published.") if made else gettext("Nothing had changed."))
    return redirect(url_for("content.edit", key=key), 303)


def _kept_aside(key: str, form: TextForm, now: Standing) -> BaseResponse | tuple[str, int]:
    based_on = form.seen.data or ""
    try:
        editing.keep_draft(
            key,
            form.fr.data or "",
            form.en.data or "",
            me(),
            based_on=int(based_on) if based_on.isascii() and based_on.isdigit() and len(based_on) < 9 else now.number,
            seen=form.draft_seen.data or "",
        )
        db.session.commit()
    except (editing.StaleDraftError, IntegrityError):
        db.session.rollback()
        form.draft_seen.data = editing.mark_of(editing.draft_of(key))
        return _text_page(key, form, standing(key), theirs_draft=True), 409
    flash(gettext("The draft is kept. Nobody else reads it until it is published."))
    return redirect(url_for("content.edit", key=key), 303)


@bp.post("/staff/texts/<key>/back")
@coordinators
def back(key: str) -> BaseResponse:
    """Publish again what an earlier version said, or what ships."""
    now = standing(_key_or_404(key))
    wanted = request.form.get("version", "")
    found: Publication | None = next((one for one in versions(key) if str(one.id) == wanted), None)
    ships = everything()[key]
    fr, en = (found.fr, found.en) if found else (ships["fr"], ships["en"])
    if (fr, en) != (now.fr, now.en):
        editing.publish_text(key, fr, en, me(), both_agree=True)
        db.session.commit()
        forget()
    flash(gettext("That version is published again."))
    return redirect(url_for("content.edit", key=key), 303)


@bp.post("/staff/texts/<key>/discard")
@coordinators
def discard(key: str) -> BaseResponse:
    """Throw a draft away."""
    editing.drop_draft(_key_or_404(key), seen=request.form.get("draft_seen", ""))
    db.session.commit()
    flash(gettext("The draft is gone. What people read has not changed."))
    return redirect(url_for("content.edit", key=key), 303)
