"""The queue's lists: twelve that people name, on their first page and on page 200, any other combination, and search as one types."""

import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from bench.served import Served, batch, coordinator, must, spread

# What people name: (name, filter as an address writes it, sort). The tests read their plans.
NAMED = (
    ("all open", "", "new"),
    ("all open, by next step", "", "step"),
    ("longest in the same hands", "", "waiting"),
    ("mine", "owner=me", "new"),
    ("mine, by next step", "owner=me", "step"),
    ("nobody's, oldest", "owner=none", "old"),
    ("late next step", "late=step", "step"),
    ("our turn", "turn=team", "waiting"),
    ("the person's turn", "turn=person", "waiting"),
    ("an organization's turn", "turn=body", "waiting"),
    ("in discovery", "stage=discovery", "new"),
    ("every file", "stage=all", "new"),
)
DEEP = 200
BATCHES, SECONDS = 5, 0.4
OTHERS, OTHERS_SEED, OTHERS_AT_MOST = 300, 20261126, 300  # ms, 95 of 100
SEARCHES_AT_MOST = 30  # ms, 95 of 100
SQL_AT_MOST = 8


def deep_keys() -> dict[str, tuple[str, int]]:
    """For each named list, the key of its page 200, or of its last one, and which page that is."""
    from werkzeug.datastructures import MultiDict

    from crm.app import create_app
    from crm.cases.filters import Filter
    from crm.cases.listing import page_of

    found = {}
    with create_app().app_context():
        person = coordinator()
        for name, query, sort in NAMED:
            wanted, ignored = Filter.read(MultiDict(parse_qsl(query)))
            must(not ignored, f"{name}: {ignored} mean nothing")
            after, page = "", 1
            while page < DEEP and (further := page_of(person, wanted, sort, after=after).after):
                after, page = further, page + 1
            found[name] = (after, page)
    return found


def address_of(query: str, sort: str, after: str = "") -> str:
    rest = urlencode([("sort", sort), *([("after", after)] if after else [])])
    return f"/staff/cases?{'&'.join(filter(None, (query, rest)))}"


def named(staff: Served, floor: Served, keys: dict[str, tuple[str, int]]) -> dict[str, Any]:
    """CPU in bare pages and wall milliseconds of each named list, first page and deep one."""
    pages = {
        (name, which): address_of(query, sort, keys[name][0] if which == "deep" else "")
        for name, query, sort in NAMED
        for which in ("first", "deep")
    }
    found: dict[tuple[str, str], dict[str, list[float]]] = {page: {"ratio": [], "wall": []} for page in pages}
    for address in pages.values():
        for _ in range(3):
            must(staff.call("GET", address)[0] == 200, f"{address} is not answered")
    for _ in range(BATCHES):
        for page, address in pages.items():
            beside, _ = batch(floor, _getting(floor, "/"), SECONDS / 2)
            cpu, wall = batch(staff, _getting(staff, address), SECONDS)
            found[page]["ratio"].append(cpu / beside)
            found[page]["wall"].append(wall)
    return {
        name: {
            which: {figure: statistics.median(found[name, which][figure]) for figure in ("ratio", "wall")}
            for which in ("first", "deep")
        } | {"page": keys[name][1]}
        for name, _query, _sort in NAMED
    }  # fmt: skip


def others(staff: Served) -> dict[str, Any]:
    """Wall milliseconds of combinations that nobody named, drawn at random, each asked once: its statement has to be built too."""
    return _timed(staff, addresses(OTHERS))


def addresses(count: int) -> list[str]:
    """Addresses of lists that nobody named."""
    from crm.app import create_app
    from crm.i18n import speaking

    with create_app().test_request_context(), speaking("fr"):
        return [f"/staff/cases?{urlencode([*pairs, ('sort', sort)])}" for pairs, sort in drawn(count)]


def drawn(count: int) -> list[tuple[list[tuple[str, str]], str]]:
    """Filters with two to five things chosen at random, each with a sort; the same each time. In an app context."""
    from crm.cases.filters import facets
    from crm.cases.listing import SORTS
    from crm.cases.vocabulary import Stage

    chance = random.Random(OTHERS_SEED)
    values = {name: [value for value, _ in facet.options()] for name, facet in facets().items()}
    values |= {
        "stage": ["all", *(one.value for one in Stage)], "owner": ["me", "none"], "late": ["step", "reply"],
        "since": ["2026-03-01", "2026-09-01"], "until": ["2026-06-30"], "q": ["coop", "tremblay", "velo cargo", "514"],
    }  # fmt: skip
    names = [name for name, options in values.items() if options]
    return [
        (
            [(name, chance.choice(values[name])) for name in chance.sample(names, chance.randint(2, 5))],
            chance.choice(list(SORTS)),
        )
        for _ in range(count)
    ]


def searches(staff: Served) -> dict[str, Any]:
    """Wall milliseconds of one to three words, letter by letter from the second on."""
    typed = (
        "tremblay", "coop velo", "noemie roy", "514 555", "le bail", "cuisine collective rosemont", "PCC", "caisse solidaire",
        "bibliotheque outils", "amelie", "marche", "montreal nord velo",
    )  # fmt: skip
    asked = [words[:length] for words in typed for length in range(2, len(words) + 1)]
    return _timed(staff, [f"/staff/search/suggestions?{urlencode({'q': one})}" for one in asked])


def _timed(staff: Served, addresses: Iterable[str]) -> dict[str, Any]:
    """Wall milliseconds of some pages, each asked once."""
    walls = {}
    for address in addresses:
        started = time.perf_counter()
        status, _ = staff.call("GET", address)
        walls[address] = (time.perf_counter() - started) * 1000
        must(status == 200, f"{address} answered {status}")
    return spread(walls.values()) | {"slowest": max(walls, key=walls.__getitem__), "count": len(walls)}


def _getting(served: Served, address: str) -> Callable[[], tuple[int, bytes]]:
    return lambda: served.call("GET", address)
