"""Languages: which one is spoken now, the catalogue, and how dates, times and numbers are written in each.

French is the default. `language()` is the single answer to "which language?"; requests set it once, messages set it
for their recipient with `speaking()`. Typography rules: domain reference, section 9.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from babel import Locale
from babel.dates import format_timedelta
from babel.support import NullTranslations, Translations
from flask import Blueprint, Flask, request
from flask_babel import Babel
from flask_babel.speaklater import LazyString
from markupsafe import Markup

from crm import clock
from crm.config import LANGUAGES, ROOT, Settings

CATALOGUES = ROOT / "crm" / "translations"
LOCALES = {"fr": "fr-CA", "en": "en-CA"}
NAMES = {"fr": "Français", "en": "English"}  # each in its own language
NBSP = "\u00a0"

View = TypeVar("View", bound=Callable[..., Any])

_language: ContextVar[str] = ContextVar("language", default="fr")


class CatalogueMissingError(Exception):
    """The compiled catalogues are not there: the interface would silently speak English."""


def language() -> str:
    """The language spoken now: "fr" or "en"."""
    return _language.get()


def use_language(lang: str) -> None:
    """Speak `lang` from here to the end of the request; anything but a known language means French."""
    _language.set(lang if lang in LANGUAGES else "fr")


@contextlib.contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Speak `lang` inside the block, then what was spoken before."""
    token = _language.set(lang if lang in LANGUAGES else "fr")
    try:
        yield
    finally:
        _language.reset(token)


def other_language() -> str:
    return "en" if language() == "fr" else "fr"


@cache
def _catalogue(lang: str) -> NullTranslations:
    found = Translations.load(str(CATALOGUES), [lang])
    if type(found) is NullTranslations:
        raise CatalogueMissingError(f"No compiled catalogue for {lang!r}. Run: make setup")
    return found


def gettext(message: str, **values: object) -> str:
    """The message in the language spoken now."""
    text = _catalogue(_language.get()).gettext(message)
    return text % values if values else text


def ngettext(singular: str, plural: str, num: int, **values: object) -> str:
    """The message for a count, by the plural rules of the language spoken now (in French, 0 is singular)."""
    text = _catalogue(_language.get()).ngettext(singular, plural, num)
    return text % {"num": num, **values}


def lazy(message: str) -> Any:
    """A message translated when it is shown: for anything written in a class body or a module."""
    return LazyString(gettext, message)


@cache
def _names(lang: str) -> tuple[dict[int, str], dict[int, str]]:
    locale = Locale.parse(LOCALES[lang], sep="-")
    return dict(locale.months["format"]["wide"]), dict(locale.days["format"]["wide"])


def format_date(day: date, lang: str | None = None) -> str:
    """22 novembre 2026, 1er décembre 2026; November 22, 2026. Raises TypeError for an instant: its day depends on where one is."""
    if isinstance(day, datetime):
        raise TypeError("an instant is not a day: make it local first")
    lang = lang or _language.get()
    month = _names(lang)[0][day.month]
    if lang == "fr":
        return f"{'1er' if day.day == 1 else day.day}{NBSP}{month}{NBSP}{day.year}"
    return f"{month}{NBSP}{day.day}, {day.year}"


def format_month(day: date, lang: str | None = None) -> str:
    """novembre 2026; November 2026."""
    lang = lang or _language.get()
    return f"{_names(lang)[0][day.month]}{NBSP}{day.year}"


def format_weekday_date(day: date, lang: str | None = None) -> str:
    """le mercredi 25 novembre 2026 (without the article); Wednesday, November 25, 2026."""
    lang = lang or _language.get()
    name = _names(lang)[1][day.weekday()]
    return f"{name} {format_date(day, lang)}" if lang == "fr" else f"{name}, {format_date(day, lang)}"


def weekdays() -> list[str]:
    """Lundi to dimanche, Monday to Sunday, as a label writes them."""
    names = _names(_language.get())[1]
    return [names[place].capitalize() for place in range(7)]


def format_time(instant: datetime, lang: str | None = None) -> str:
    """14 h 30, 14 h; 2:30 p.m. On a Montréal wall clock."""
    lang = lang or _language.get()
    wall = clock.local(instant)
    if lang == "fr":
        return f"{wall.hour}{NBSP}h{NBSP}{wall.minute:02d}" if wall.minute else f"{wall.hour}{NBSP}h"
    half = "a.m." if wall.hour < 12 else "p.m."
    return f"{wall.hour % 12 or 12}:{wall.minute:02d}{NBSP}{half}"


def format_instant(instant: datetime, lang: str | None = None) -> str:
    """A date and a time on a Montréal wall clock."""
    lang = lang or _language.get()
    joint = ", " if lang == "en" else " à "
    return format_date(clock.local_date(instant), lang) + joint + format_time(instant, lang)


def format_span(span: timedelta) -> str:
    """12 minutes, 3 heures, 2 jours; 12 minutes, 3 hours, 2 days."""
    words = format_timedelta(
        span, granularity="minute", threshold=1.5, locale=LOCALES[_language.get()].replace("-", "_")
    )
    return words.replace(" ", NBSP)


def short_date(day: date) -> str:
    """2026-11-22: Canada's numeric date, the same in both languages."""
    return day.isoformat()


def format_number(value: float) -> str:
    """12 345,5 in French, 12,345.5 in English; at most one decimal."""
    text = f"{value:,.1f}".removesuffix(".0")
    if _language.get() == "en":
        return text
    return text.replace(",", NBSP).replace(".", ",")


def capped(count: int, most: int) -> str:
    """A count that stopped at `most`: 99+ for one that reached 100."""
    return str(count) if count < most else f"{most - 1}+"


def format_amount(cents: int, lang: str | None = None) -> str:
    """50 000 $ and 1 234,50 $; $50,000 and $1,234.50. Cents are written when there are some."""
    number = f"{cents // 100:,}" + (f".{cents % 100:02d}" if cents % 100 else "")
    if (lang or _language.get()) == "en":
        return f"${number}"
    return f"{number.replace(',', NBSP).replace('.', ',')}{NBSP}$"


def format_size(size: int) -> str:
    """1,2 Mo and 1.2 MB, 340 Ko and 340 KB; at most one decimal, never 0 for something."""
    mega = "Mo" if _language.get() == "fr" else "MB"
    if size >= 1024 * 1024:
        return f"{format_number(size / 1024 / 1024)}{NBSP}{mega}"
    return f"{format_number(max(1, round(size / 1024)))}{NBSP}{'Ko' if mega == 'Mo' else 'KB'}"


def format_phone(number: str, extension: str = "", lang: str | None = None) -> str:
    """+15145550142 and 12 become 514 555-0142, poste 12 (ext. 12 in English); other countries keep their +."""
    if number.startswith("+1") and len(number) == 12:
        number = f"{number[2:5]}{NBSP}{number[5:8]}-{number[8:]}"
    if not extension:
        return number
    word = "poste" if (lang or _language.get()) == "fr" else "ext."
    return f"{number}, {word}{NBSP}{extension}"


def raised(text: str) -> Markup:
    """In a page, the "er" of "1er" is raised."""
    if text.startswith("1er"):
        return Markup("1<sup>er</sup>") + text[3:]
    return Markup.escape(text)


def in_both_languages(
    blueprint: Blueprint, french: str, english: str, methods: tuple[str, ...] = ("GET",)
) -> Callable[[View], View]:
    """One view under an address readable in French and one readable in English; it receives `lang`."""

    def add(view: View) -> View:
        for lang, path in (("fr", french), ("en", english)):
            blueprint.add_url_rule(path, view.__name__, view, defaults={"lang": lang}, methods=list(methods))
        return view

    return add


def init_app(app: Flask, settings: Settings) -> None:
    """Install the languages; refuse to start when a compiled catalogue is missing."""
    for lang in settings.languages:
        _catalogue(lang)
    Babel(app, default_locale="fr", default_timezone="America/Toronto", locale_selector=language)
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        _catalogue_gettext, _catalogue_ngettext, newstyle=True
    )
    app.jinja_env.globals["_"] = _in_template
    helpers: dict[str, Callable[..., object]] = {
        "date": lambda day: raised(format_date(day)),
        "weekday": format_weekday_date,
        "day": format_date,  # inside a text, where nothing can be raised
        "time": format_time,
        "instant": lambda at: raised(format_instant(at)),
        "short": short_date,
        "number": format_number,
        "amount": format_amount,
        "capped": capped,
        "size": format_size,
        "phone": format_phone,
        "local_date": clock.local_date,
        "span": format_span,
    }
    app.jinja_env.filters.update(helpers)
    app.jinja_env.globals.update(LOCALES=LOCALES, LANGUAGE_NAMES=NAMES, languages=settings.languages)

    @app.context_processor
    def _language_of_the_page() -> dict[str, str]:
        return {"lang": language(), "other_lang": other_language()}

    @app.before_request
    def _speak() -> None:
        use_language((request.view_args or {}).get("lang", "fr"))


@cache
def _marked(lang: str, message: str) -> Markup:
    return Markup(_catalogue(lang).gettext(message))  # noqa: S704 - our own words, not what people typed


def _in_template(message: str, **values: object) -> Markup:
    """`_` in templates: the message is our own markup, values are escaped. Short, because pages call it a hundred times."""
    found = _marked(_language.get(), message)
    return found % values if values else found


def _catalogue_gettext(message: str) -> str:
    return _catalogue(_language.get()).gettext(message)


def _catalogue_ngettext(singular: str, plural: str, num: int) -> str:
    return _catalogue(_language.get()).ngettext(singular, plural, num)
