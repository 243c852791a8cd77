"""The list of files: narrowed, sorted and shown as the address says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from crm.access import case_team
from crm.accounts.feature import me
from crm.accounts.queries import active_case_team
from crm.cases import saved
from crm.cases.cells import rows_as_html
from crm.cases.filters import ALL, FORGOTTEN, LATE_REPLY, LATE_STEP, ME, NOBODY, OPEN, Filter, facets
from crm.cases.listing import COUNTED, SORTS, Look, columns, counts, page_of
from crm.cases.models import SavedView
from crm.cases.vocabulary import Stage, Turn
from crm.feature import once
from crm.i18n import format_date, gettext, lazy
from crm.outbox.queries import mail_trouble
from crm.texts import label, words

PANELS = ("filters", "columns")
LIST, BOARD = "cases.queue", "cases.board"


@dataclass(frozen=True)
class Quick:
    """A list that everybody asks for, one press away and with its number. `bad` says that any file at all in it is a bad sign."""

    name: str
    label: Any
    wanted: Filter
    sort: str = "new"
    bad: bool = False


QUICK = (
    Quick("open", lazy("All open"), Filter()),
    Quick("mine", lazy("Mine"), Filter(owners=(ME,)), "step"),
    Quick("nobody", lazy("Nobody’s"), Filter(owners=(NOBODY,)), "old"),
    Quick("late", lazy("Late next step"), Filter(late=LATE_STEP), "step", bad=True),
    Quick("reply", lazy("Late reply"), Filter(late=LATE_REPLY), "old", bad=True),
    Quick("ours", lazy("Our turn"), Filter(facets=(("turn", (Turn.TEAM,)),)), "waiting"),
    Quick("person", lazy("The person’s turn"), Filter(facets=(("turn", (Turn.PERSON,)),)), "waiting"),
    Quick("body", lazy("An organization’s turn"), Filter(facets=(("turn", (Turn.BODY,)),)), "waiting"),
)


@dataclass(frozen=True)
class Chip:
    """One thing the list is narrowed by, and the address of the list without it."""

    words: str
    without: str


def join(bp: Blueprint) -> None:
    """The list stands at the address of files."""
    bp.add_url_rule("", "queue", queue)


def address_of(wanted: Filter, look: Look, on: str = LIST, **more: str) -> str:
    """The address of a list, or of what else (`on`, an endpoint) shows the files of a filter."""
    return _address(on, "&".join(filter(None, (_query(wanted, look), urlencode(more)))))


def _address(on: str, query: str) -> str:
    base = once(f"address of {on}", lambda: url_for(on))
    return f"{base}?{query}" if query else base


@lru_cache(2000)
def _query(wanted: Filter, look: Look) -> str:
    """A page of a list writes the addresses of twenty others: most are the same for everybody."""
    return urlencode([*wanted.pairs(), *look.pairs()])


@case_team
def queue() -> str | Response:
    wanted, ignored = Filter.read(request.args)
    look, also = Look.read(request.args)
    if "arrange" in request.args:
        return redirect(address_of(wanted, Look(look.sort, _arranged(request.args))), 303)
    found = page_of(me(), wanted, look.sort, after=request.args.get("after", ""), columns=look.columns)
    return render_template(
        "cases/queue.html",
        rows=rows_as_html(found.rows, look.columns) if found.rows else "",
        after=address_of(wanted, look, after=found.after) if found.after else "",
        further="after" in request.args and not found.stray,
        **tools(wanted, look, [*ignored, *also, *(["after"] if found.stray else [])], LIST),
    )


def tools(wanted: Filter, look: Look, ignored: Sequence[str], on: str) -> dict[str, Any]:
    """What stands above the files of a filter: lists with their numbers, stages, what it is narrowed by, and the panels that change it."""
    asked_for = [one.wanted for one in QUICK if one.name != "open"]
    asked_for += [wanted] if on == LIST and wanted not in asked_for and not wanted.impossible else []
    numbers = dict(zip(asked_for, counts(me(), asked_for), strict=True))
    asked = request.args.get("panel", "")
    panel = asked if asked in PANELS and (asked != "columns" or on == LIST) else ""
    return {
        "wanted": wanted,
        "look": look,
        "sorts": SORTS,
        "columns": columns(),
        "on": on,
        "other_view": address_of(wanted, look, BOARD if on == LIST else LIST),
        "quick": [
            (
                one,
                address_of(one.wanted, Look(one.sort if on == LIST else "new"), on),
                numbers[one.wanted] if one.name != "open" else None,
            )
            for one in QUICK
        ],
        "here": next((one.name for one in QUICK if one.wanted == wanted), ""),
        "counted": COUNTED,
        "matching": numbers.get(wanted, 0),
        "listed": _query(wanted, look),
        "stages": _stages(wanted, look, on),
        "chips": list(chips(wanted, look, on)),
        "ignored": _in_words(ignored),
        "panel": panel,
        "facets": _facets(wanted) if panel == "filters" else (),
        "team": active_case_team() if panel == "filters" else (),
        "address": address_of(wanted, look, on),
        "address_of_panel": {name: address_of(wanted, look, on, panel=name) for name in PANELS},
        "kept": _kept(wanted, look, panel),
        "views": _views(wanted, look, on),
        "to_save": url_for("views.views", list=_query(wanted, look), board="yes" if on == BOARD else None),
        "trouble": mail_trouble(),
    }


def _views(wanted: Filter, look: Look, on: str) -> list[tuple[str, str, bool]]:
    """Saved views: (address, name, whether it is this list)."""
    now = (_query(wanted, look), on == BOARD)
    views = [row.SavedView for row in saved.seen_by(me())]
    return [(address_of_view(view), view.name, (view.query, view.on_board) == now) for view in views]


def address_of_view(view: SavedView) -> str:
    """Where a saved view leads."""
    return _address(BOARD if view.on_board else LIST, view.query)


def _arranged(arguments: Any) -> tuple[str, ...]:
    """The columns that were ticked, in the order of the numbers typed beside them; as listed where numbers are equal or none."""
    known = list(columns())
    ticked = [name for name in arguments.getlist("show") if name in known]

    def place(name: str) -> tuple[int, int]:
        typed = arguments.get(f"place_{name}", "")
        return (
            int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 4 else 999,
            known.index(name),
        )

    return tuple(sorted(dict.fromkeys(ticked), key=place))


def _stages(wanted: Filter, look: Look, on: str) -> list[tuple[str, str, bool]]:
    """The lists of each stage under the same filter: (address, words, whether it is this one)."""
    of_stage = words("cases.stage")
    named = [gettext("Open"), *(of_stage[stage] for stage in Stage), gettext("All")]
    return [
        (_address(on, query), name, here)
        for (query, here), name in zip(_stage_queries(wanted, look), named, strict=True)
    ]


@lru_cache(500)
def _stage_queries(wanted: Filter, look: Look) -> list[tuple[str, bool]]:
    return [(_query(wanted.but(stages=(code,)), look), wanted.stages == (code,)) for code in (OPEN, *Stage, ALL)]


def chips(wanted: Filter, look: Look, on: str = LIST) -> Iterable[Chip]:
    """What the list is narrowed by, beside its stage."""

    def chip(words: str, without: Filter) -> Chip:
        return Chip(words, address_of(without, look, on))

    names = {str(number): name for number, name in active_case_team()} if wanted.owners else {}
    for owner in wanted.owners:
        words = {ME: gettext("Mine"), NOBODY: gettext("Nobody’s")}.get(owner) or names.get(owner, owner)
        yield chip(words, wanted.but(owners=tuple(one for one in wanted.owners if one != owner)))
    every = facets()
    for name, values in wanted.facets:
        words_of = dict(every[name].options())
        for value in values:
            rest = tuple(one for one in values if one != value)
            yield chip(_named(every[name].label, words_of[value]), wanted.with_facet(name, *rest))
    if wanted.late:
        late = {
            LATE_STEP: gettext("Late next step"),
            LATE_REPLY: gettext("Late reply"),
            FORGOTTEN: gettext("No next step at all"),
        }
        yield chip(late[wanted.late], wanted.but(late=""))
    if wanted.since:
        yield chip(gettext("Received from %(date)s", date=format_date(wanted.since)), wanted.but(since=None))
    if wanted.until:
        yield chip(gettext("Received until %(date)s", date=format_date(wanted.until)), wanted.but(until=None))
    if wanted.q:
        yield chip(gettext("Words: %(words)s", words=wanted.q), wanted.but(q=""))


def said_of(wanted: Filter, look: Look) -> list[str]:
    """A list in words: its stages, what it is narrowed by, and how it is sorted."""
    every = {OPEN: gettext("All open files"), ALL: gettext("All files")}
    stages = [every.get(stage) or label("cases.stage", stage) for stage in wanted.stages]
    return [*stages, *(chip.words for chip in chips(wanted, look)), str(SORTS[look.sort])]


def _named(name: Any, value: str) -> str:
    return gettext("%(name)s: %(value)s", name=name, value=value)


def _facets(wanted: Filter) -> Sequence[tuple[str, Any, Sequence[tuple[str, str, bool]], int]]:
    """Each facet for the panel: name, label, options with whether they are chosen, and how many are."""
    found = []
    for name, facet in facets().items():
        chosen, options = wanted.chosen(name), facet.options()
        if options:  # nothing carries a tag before there is one
            found.append(
                (name, facet.label, [(value, words, value in chosen) for value, words in options], len(chosen))
            )
    return found


def _kept(wanted: Filter, look: Look, panel: str) -> list[tuple[str, str]]:
    """What a form of the page carries along, so that pressing it loses nothing of the list."""
    pairs = [*wanted.pairs(), *look.pairs()]
    if panel == "filters":  # its form has everything of the filter but the words
        return [pair for pair in pairs if pair[0] in {"q", "sort", "cols"}]
    return pairs


def _in_words(ignored: Iterable[str]) -> list[str]:
    """Names of what an address asked for and nobody knows, as people read them."""
    known = {
        "stage": gettext("Stage"), "owner": gettext("Owner"), "late": gettext("Late"), "since": gettext("Received from"),
        "until": gettext("Received until"), "sort": gettext("Sort"), "cols": gettext("Columns"), "after": gettext("Page"),
    }  # fmt: skip
    every = facets()
    return [str(known.get(name) or every[name].label) for name in dict.fromkeys(ignored)]
