"""An attacker who kept everything that was ever published, and solves for whole numbers. What can be bounded of what was hidden?

Nothing of the product's reasoning is used: only what a release says, what every reader knows of the numbers (they are whole and not negative, tables
have totals, twelve months are four quarters, files that are active today were active before or came in) and what is hidden stands for.
`python -m tests.summaries.attacker 100` plays it on a hundred invented histories and prints what it found.
"""

import math
import random
import sys
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_matrix

from crm.summaries.figures import NUMBERS, Amount, Count, Median, Number, Rate, Table
from crm.summaries.periods import Period
from crm.summaries.release import BY_AWARENESS, FIELDS, Before, released
from crm.summaries.suppression import OTHER

STAGES = ("new", "contact", "discovery", "planning", "referred", "assistance", "financing", "launched", "paused")
FORMS = ("coop", "npo", "mutual", "company", "unknown")
HEARD = ("partner", "incubator", "school", "event", "peer", "web", "other")
SECTORS = ("mobility", "delivery", "care", "food", "arts", "media", "housing", "data", "energy", "other")
REGIONS = ("06", "13", "16", "03", "canada", "abroad")
REASONS = ("done", "silent", "refused", "stopped")
KINDS = ("assistance", "financing", "network", "city")
BODIES = {"assistance": (1, 2, 3), "financing": (3, 4, 5, 6), "network": (7,), "city": (8, 9)}  # one is of two kinds
SENT_TO = {f"{kind}/{body}": kind for kind, bodies in BODIES.items() for body in bodies}
QUARTERS = 6
WHOLE = 1e-6


@dataclass
class Quarter:
    """What is true of a quarter, by category."""

    requests: dict[str, dict[str, int]]  # by table, then category, each of the same requests
    active: dict[str, int]
    sent: dict[str, int]
    sent_files: int
    closed: dict[str, int]
    answered: int
    on_time: int
    granted: dict[str, int]
    granted_files: int
    refused: int
    launched: int
    not_reached: int
    forgotten: int  # of files active and not on hold
    withdrawn: int  # of those sent
    accepted: int  # within sixty days
    answered_otherwise: int  # refused, or late
    stopped: int  # of launched ones that were reached a year later
    sent_to: dict[str, int] = field(default_factory=dict)  # those sent, by kind and body

    @property
    def received(self) -> int:
        return sum(self.requests["by_form"].values())


def invented(seed: int) -> list[Quarter]:
    """A history: few requests, and most categories small, as in such a programme."""
    chance = random.Random(seed)
    usual = chance.choice((2, 6, 9, 15, 40))
    quarters: list[Quarter] = []
    active = {stage: chance.choice((0, 0, 1, 2, 3, 5, 8)) for stage in STAGES}
    for place in range(QUARTERS):
        received = max(0, int(chance.gauss(usual, usual / 2)))
        requests = {
            table: _spread(chance, received, names)
            for table, names in (("by_form", FORMS), ("heard", HEARD), ("by_field", SECTORS), ("by_region", REGIONS))
        }
        closed = _spread(chance, min(chance.randrange(0, 6), sum(active.values())), REASONS)
        active = _spread(chance, sum(active.values()) + received - sum(closed.values()), STAGES)
        sent = _spread(chance, chance.choice((0, 2, 7, 12, 18)), KINDS)
        answered = chance.randint(max(0, received - 6), received)
        granted = _spread(chance, chance.choice((0, 0, 2, 6, 12)), ("loan", "grant", "guarantee"))
        due = quarters[place - 4].launched if place > 3 else 0
        not_reached = chance.choice((0, 0, min(due, chance.randint(1, 6))))
        followed = sum(active.values()) - active["paused"]
        asked = sum(sent.values())
        withdrawn = min(asked, chance.choice((0, 0, 1, 2, 6)))
        accepted = chance.randint(0, asked - withdrawn)
        quarters.append(
            Quarter(
                requests,
                active,
                sent,
                max(0, sum(sent.values()) - chance.choice((0, 0, 1, 3, 6))),
                closed,
                answered,
                chance.randint(max(0, answered - 6), answered),
                granted,
                max(0, sum(granted.values()) - chance.choice((0, 1, 5))),
                chance.choice((0, 1, 5, 9)),
                chance.choice((0, 1, 5, 14, 16)),
                not_reached,
                chance.randint(0, followed),
                withdrawn,
                accepted,
                chance.randint(0, asked - withdrawn - accepted),
                min(due - not_reached, chance.choice((0, 1, 5))),
            )
        )
    chance = random.Random(f"bodies of {seed}")  # of its own: the histories are those that there were before
    for quarter in quarters:
        for kind, bodies in BODIES.items():
            quarter.sent_to |= _spread(chance, quarter.sent[kind], tuple(f"{kind}/{body}" for body in bodies))
    return quarters


def _spread(chance: random.Random, number: int, names: tuple[str, ...]) -> dict[str, int]:
    weights = [chance.choice((0, 1, 1, 4, 12)) for _ in names]
    if not any(weights):
        weights[0] = 1
    found = dict.fromkeys(names, 0)
    for name in chance.choices(names, weights, k=number):
        found[name] += 1
    return found


def count(number: int) -> Count:
    return Count(tuple(range(number)))


def table(cells: dict[str, int]) -> Table:
    return Table({name: count(number) for name, number in cells.items() if number})


def figures(history: list[Quarter], place: int) -> dict[str, object]:
    """What the product would find of a quarter."""
    now, year = history[place], history[max(0, place - 3) : place + 1]
    found: dict[str, object] = dict.fromkeys(NUMBERS, Count())
    for name in ("by_form", "heard", "by_field", "by_region"):
        found[name] = table(_summed([one.requests[name] for one in year]))
    found["by_language"] = table({"fr": sum(one.received for one in year)})
    found["by_stage"] = table({"idea": sum(one.received for one in year)})
    found["closed_by_reason"] = table(_summed([one.closed for one in year]))
    found["left_out"] = found["unmet_by_need"] = found["incorporated"] = Table()
    due = history[place - 4].launched if place > 3 else 0
    followed = sum(now.active.values()) - now.active["paused"]
    last = history[place - 1] if place else None
    two_back = history[place - 2] if place > 1 else None
    answered = two_back.accepted + two_back.answered_otherwise if two_back else 0
    launched = sum(one.launched for one in year)
    found |= {
        "received": count(now.received),
        "first_reply": Median(tuple((n, 2.0) for n in range(now.answered)), count(now.received - now.answered)),
        "on_time": Rate(count(now.on_time), count(now.received)),
        "active": table(now.active),
        "sent": count(sum(now.sent.values())),
        "sent_files": count(now.sent_files),
        "sent_by_kind": table(now.sent),
        "sent_by_body": table(now.sent_to),
        "granted": Amount(tuple((n, 100) for n in range(sum(now.granted.values())))),
        "granted_files": count(now.granted_files),
        "granted_by_instrument": Table(
            {name: Amount(tuple((n, 100) for n in range(number))) for name, number in now.granted.items() if number}
        ),
        "approval": Rate(count(sum(now.granted.values())), count(sum(now.granted.values()) + now.refused)),
        "launched": count(now.launched),
        "not_reached": count(now.not_reached),
        "still_active": Rate(count(due - now.not_reached - now.stopped), count(due - now.not_reached)),
        "body_reply": Median(
            tuple((n, 2.0) for n in range(answered)), count(sum(two_back.sent.values()) - answered if two_back else 0)
        ),
        "to_launch": Median(tuple((n, 90.0) for n in range(launched))),
        "no_next_step": Rate(count(now.forgotten), count(followed)),
        "accepted": Rate(
            count(last.accepted if last else 0), count(sum(last.sent.values()) - last.withdrawn if last else 0)
        ),
        "activities": Number(1),
        "groups": Number(0),
        "bodies_present": Number(0),
        "participants": Number(0),
    }
    for name in ("reached", "steps_on_time", "unmet"):
        found[name] = Rate(Count(), Count())
    return found


def _summed(parts: list[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for part in parts:
        for name, number in part.items():
            found[name] += number
    return dict(found)


def releases(history: list[Quarter], k: int, *, since: int) -> dict[int, dict]:
    """What is published, quarter after quarter, from one on; nothing was published of those before."""
    before: list[Before] = []
    shown: dict[int, dict] = {}
    period = Period.quarter(2024, 1)
    for place in range(len(history)):
        if place >= since:
            shown[place] = released(figures(history, place), period, STAGES, before, k)
            before.append(Before.of(period.first, period.last, shown[place]))
        period = period.next
    return shown


# --- the attack ------------------------------------------------------------------------------------------------------


@dataclass
class Attack:
    """Unknown whole numbers, and what is known of them: `equal` and `most` are rows of a programme."""

    k: int
    names: dict[tuple, int] = field(default_factory=dict)
    equal: list[tuple[dict[tuple, float], float]] = field(default_factory=list)
    most: list[tuple[dict[tuple, float], float]] = field(default_factory=list)
    truth: dict[tuple, int] = field(default_factory=dict)  # what the attacker is after

    def one(self, *name) -> tuple:
        self.names.setdefault(name, len(self.names))
        return name

    def is_(self, terms: dict[tuple, float], number: float) -> None:
        for name in terms:
            self.one(*name)
        self.equal.append((terms, number))

    def at_most(self, terms: dict[tuple, float], number: float) -> None:
        for name in terms:
            self.one(*name)
        self.most.append((terms, number))

    def hears(self, cell: dict, terms: dict[tuple, float]) -> None:
        """What a cell says of a sum."""
        if "value" in cell:
            self.is_(terms, cell["value"])
        elif cell.get("hidden") == "small":
            self.at_most(terms, self.k - 1)
            self.at_most({name: -factor for name, factor in terms.items()}, -1)

    def hears_rate(self, cell: dict, part: dict[tuple, float], whole: dict[tuple, float]) -> None:
        """What a percentage, rounded, says of a part and its whole."""
        if "value" in cell:
            low, high = (cell["value"] - 0.5) / 100, (cell["value"] + 0.5) / 100
            self.at_most(_less(part, whole, high), 0)
            self.at_most(_less({n: low * f for n, f in whole.items()}, part, 1), 0)

    def solved(self, wanted: tuple) -> tuple[int, int | None]:
        """The least and the most that a number can be; no most when nothing bounds it."""
        size = len(self.names)
        objective = np.zeros(size)
        objective[self.names[wanted]] = 1
        found: list[float | None] = []
        for sign in (1, -1):
            answer = milp(sign * objective, constraints=self._constraints(), integrality=np.ones(size))
            # Without a bound (3), or too large for whole numbers to be told so (4).
            assert answer.status in {0, 3, 4}, f"what was published contradicts itself: {answer.message}"
            found.append(sign * answer.fun if answer.status == 0 else None)
        low, high = found
        return math.ceil((low or 0) - WHOLE), None if high is None else math.floor(high + WHOLE)

    def _constraints(self) -> list[LinearConstraint]:
        known = [(self.equal, True), (self.most, False)]
        found = []
        for rows, exact in known:
            if rows:
                most = np.array([one for _terms, one in rows])
                found.append(LinearConstraint(self._rows(rows), most if exact else -np.inf, most))
        return found

    def _rows(self, rows: list[tuple[dict[tuple, float], float]]) -> csr_matrix:
        at = [
            (line, self.names[name], factor) for line, (terms, _n) in enumerate(rows) for name, factor in terms.items()
        ]
        lines, columns, factors = zip(*at, strict=True)
        return csr_matrix((factors, (lines, columns)), shape=(len(rows), len(self.names)))


def _less(terms: dict[tuple, float], other: dict[tuple, float], factor: float) -> dict[tuple, float]:
    found = dict(terms)
    for name, value in other.items():
        found[name] = found.get(name, 0) - factor * value
    return found


GROUPS = {
    "by_region": lambda name: name if name == "06" else "elsewhere" if name in {"canada", "abroad"} else "quebec",
    "by_field": lambda name: next((group for group, fields in FIELDS.items() if name in fields), name),
    "heard": lambda name: "awareness" if name in BY_AWARENESS else name,
}
TABLES = {"by_form": FORMS, "heard": HEARD, "by_field": SECTORS, "by_region": REGIONS}


def attack(history: list[Quarter], shown: dict[int, dict], k: int) -> Attack:
    """Everything that was published, as equations; and the small numbers that were meant to be hidden."""
    known = Attack(k)
    for place, quarter in enumerate(history):
        _truths(known, place, quarter, history)
        received = {("received", place): 1.0}
        for name, categories in TABLES.items():
            known.is_({("request", name, place, one): 1.0 for one in categories} | {("received", place): -1.0}, 0)
        known.is_({("active", place, one): 1.0 for one in STAGES} | {("stock", place): -1.0}, 0)
        known.is_({("sent", place, one): 1.0 for one in KINDS} | {("sent", place): -1.0}, 0)
        for kind, bodies in BODIES.items():
            to = {("sent to", place, f"{kind}/{body}"): 1.0 for body in bodies}
            known.is_(to | {("sent", place, kind): -1.0}, 0)
        known.is_({("closed", place, one): 1.0 for one in REASONS} | {("closed", place): -1.0}, 0)
        known.is_({("answered", place): 1.0, ("silent", place): 1.0, ("received", place): -1.0}, 0)
        known.is_({("on time", place): 1.0, ("late", place): 1.0, ("received", place): -1.0}, 0)
        known.is_({("on time", place): 1.0, ("replied late", place): 1.0, ("answered", place): -1.0}, 0)
        known.is_({("followed", place): 1.0, ("active", place, "paused"): 1.0, ("stock", place): -1.0}, 0)
        known.is_({("forgotten", place): 1.0, ("held", place): 1.0, ("followed", place): -1.0}, 0)
        known.is_({("cohort", place): 1.0, ("withdrawn", place): 1.0, ("sent", place): -1.0}, 0)
        known.is_({("accepted", place): 1.0, ("not accepted", place): 1.0, ("cohort", place): -1.0}, 0)
        known.is_({("accepted", place): 1.0, ("otherwise", place): 1.0, ("heard back", place): -1.0}, 0)
        known.is_({("heard back", place): 1.0, ("no answer", place): 1.0, ("sent", place): -1.0}, 0)
        known.at_most({("heard back", place): 1.0, ("cohort", place): -1.0}, 0)
        known.is_({("sent files", place): 1.0, ("sent again", place): 1.0, ("sent", place): -1.0}, 0)
        known.is_({("granted files", place): 1.0, ("granted again", place): 1.0, ("granted", place): -1.0}, 0)
        known.is_({("granted", place): 1.0, ("refused", place): 1.0, ("decided", place): -1.0}, 0)
        if place:  # what was active, and came in, and was not closed; files may have been opened again
            known.is_(
                {
                    ("stock", place): 1.0, ("stock", place - 1): -1.0, ("received", place): -1.0,
                    ("closed", place): 1.0, ("opened again", place): -1.0,
                },
                0,
            )  # fmt: skip
        if place > 3:
            known.is_({("reached", place): 1.0, ("not reached", place): 1.0, ("launched", place - 4): -1.0}, 0)
            known.is_({("still active", place): 1.0, ("stopped", place): 1.0, ("reached", place): -1.0}, 0)
        if place in shown:
            _reads(known, place, shown[place], received)
    return known


def _truths(known: Attack, place: int, quarter: Quarter, history: list[Quarter]) -> None:
    truths: dict[tuple, int] = {
        ("received", place): quarter.received,
        ("sent", place): sum(quarter.sent.values()),
        ("silent", place): quarter.received - quarter.answered,
        ("answered", place): quarter.answered,
        ("late", place): quarter.received - quarter.on_time,
        ("on time", place): quarter.on_time,
        ("sent again", place): sum(quarter.sent.values()) - quarter.sent_files,
        ("granted again", place): sum(quarter.granted.values()) - quarter.granted_files,
        ("granted", place): sum(quarter.granted.values()),
        ("refused", place): quarter.refused,
        ("launched", place): quarter.launched,
        ("closed", place): sum(quarter.closed.values()),
        ("stock", place): sum(quarter.active.values()),
        ("replied late", place): quarter.answered - quarter.on_time,
        ("forgotten", place): quarter.forgotten,
        ("held", place): sum(quarter.active.values()) - quarter.active["paused"] - quarter.forgotten,
        ("withdrawn", place): quarter.withdrawn,
        ("accepted", place): quarter.accepted,
        ("not accepted", place): sum(quarter.sent.values()) - quarter.withdrawn - quarter.accepted,
        ("otherwise", place): quarter.answered_otherwise,
        ("no answer", place): sum(quarter.sent.values()) - quarter.accepted - quarter.answered_otherwise,
    }
    if place > 3:
        truths |= {
            ("not reached", place): quarter.not_reached,
            ("reached", place): history[place - 4].launched - quarter.not_reached,
            ("stopped", place): quarter.stopped,
            ("still active", place): history[place - 4].launched - quarter.not_reached - quarter.stopped,
        }
    for name in TABLES:
        truths |= {("request", name, place, one): number for one, number in quarter.requests[name].items()}
    truths |= {("active", place, one): number for one, number in quarter.active.items()}
    truths |= {("sent", place, one): number for one, number in quarter.sent.items()}
    truths |= {("sent to", place, one): number for one, number in quarter.sent_to.items()}
    truths |= {("closed", place, one): number for one, number in quarter.closed.items()}
    for name, number in truths.items():
        known.truth[known.one(*name)] = number


def _reads(known: Attack, place: int, shown: dict, received: dict[tuple, float]) -> None:
    says = shown["figures"]
    known.hears(says["received"], received)
    known.hears(says["sent"], {("sent", place): 1.0})
    known.hears(says["sent_files"], {("sent files", place): 1.0})
    known.hears(says["granted"], {("granted", place): 1.0})
    known.hears(says["granted_files"], {("granted files", place): 1.0})
    known.hears(says["launched"], {("launched", place): 1.0})
    known.hears(says["first_reply"]["without"], {("silent", place): 1.0})
    known.hears_rate(says["on_time"], {("on time", place): 1.0}, received)
    known.hears_rate(says["approval"], {("granted", place): 1.0}, {("decided", place): 1.0})
    known.hears_rate(says["no_next_step"], {("forgotten", place): 1.0}, {("followed", place): 1.0})
    if place:
        known.hears_rate(says["accepted"], {("accepted", place - 1): 1.0}, {("cohort", place - 1): 1.0})
    if place > 1:
        known.hears(says["body_reply"]["without"], {("no answer", place - 2): 1.0})
    if place > 3:
        known.hears(says["not_reached"], {("not reached", place): 1.0})
        known.hears_rate(says["still_active"], {("still active", place): 1.0}, {("reached", place): 1.0})
    _reads_medians(known, place, says)
    stages = shown["tables"]["active"]
    known.hears(stages["total"], {("stock", place): 1.0})
    for stage, cell in (stages["cells"] or {}).items():
        known.hears(cell, {("active", place, stage): 1.0})
        if "hidden" in cell:  # zeros are shown
            known.at_most({("active", place, stage): -1.0}, -1)
    _reads_table(known, shown["tables"]["sent_by_kind"], {one: {("sent", place, one): 1.0} for one in KINDS}, str)
    if "sent_by_body" in shown["tables"]:
        _reads_bodies(known, place, shown["tables"]["sent_by_body"])
    year = range(max(0, place - 3), place + 1)
    for name, categories in TABLES.items():
        if name in shown["tables"]:
            sums = {one: {("request", name, at, one): 1.0 for at in year} for one in categories}
            _reads_table(known, shown["tables"][name], sums, GROUPS.get(name, str))
    if "closed_by_reason" in shown["tables"]:
        sums = {one: {("closed", at, one): 1.0 for at in year} for one in REASONS}
        closed = shown["tables"]["closed_by_reason"]
        if "value" in closed["total"]:
            _reads_table(known, closed, sums, str)
        else:
            _reads_shares(known, closed["cells"] or {}, sums)


def _reads_medians(known: Attack, place: int, says: dict) -> None:
    """A median that is told rests on enough, one that is empty on none. One that is masked may be so for several reasons."""
    year = {("launched", at): 1.0 for at in range(max(0, place - 3), place + 1)}
    enough = max(5, known.k)
    medians = [("first_reply", {("answered", place): 1.0})]
    medians += [("body_reply", {("heard back", place - 2): 1.0})] if place > 1 else []
    medians += [("to_launch", year)] if "to_launch" in says else []
    for code, terms in medians:
        if "value" in says[code]:
            known.at_most({name: -1.0 for name in terms}, -enough)
        elif "empty" in says[code]:
            known.is_(terms, 0)


def _reads_table(known: Attack, said: dict, sums: dict[str, dict[tuple, float]], group) -> None:
    groups: dict[str, dict[tuple, float]] = defaultdict(dict)
    for name, terms in sums.items():
        groups[group(name)] |= terms
    known.hears(said["total"], {name: 1.0 for terms in groups.values() for name in terms})
    cells = said["cells"]
    if cells is None:
        return
    for name, cell in cells.items():
        if name != OTHER:
            known.hears(cell, groups[name])
    unnamed = {name: 1.0 for code, terms in groups.items() if code not in cells for name in terms}
    if unnamed:  # together the cell of what was put together, or nothing at all
        known.is_(unnamed, cells.get(OTHER, {"value": 0})["value"])


def _reads_bodies(known: Attack, place: int, said: dict) -> None:
    """Rows of bodies, those of a kind that were put together, and what is left. A kind with a row is told whole."""
    cells = said["cells"]
    split = {name.partition("/")[0] for name in cells if name != OTHER}
    left = {}
    for name, kind in SENT_TO.items():
        if name in cells:
            known.hears(cells[name], {("sent to", place, name): 1.0})
        elif kind not in split:
            left["sent to", place, name] = 1.0
    for kind in split:
        unnamed = {("sent to", place, one): 1.0 for one, of in SENT_TO.items() if of == kind and one not in cells}
        if unnamed:
            known.is_(unnamed, cells.get(f"{kind}/{OTHER}", {"value": 0})["value"])
    if left:
        known.is_(left, cells.get(OTHER, {"value": 0})["value"])


def _reads_shares(known: Attack, cells: dict, sums: dict[str, dict[tuple, float]]) -> None:
    whole = {name: 1.0 for terms in sums.values() for name in terms}
    for name, cell in cells.items():
        others = {n: 1.0 for code, terms in sums.items() if code not in cells for n in terms}
        known.hears_rate(cell, others if name == OTHER else sums[name], whole)


def found_out(known: Attack) -> list[tuple[tuple, int, int, int | None]]:
    """The small numbers that are bounded more tightly than "from 1 to k - 1" bounds them: name, truth, least, most."""
    betrayed = []
    for name, number in known.truth.items():
        if 0 < number < known.k:
            low, high = known.solved(name)
            assert low <= number <= (math.inf if high is None else high), f"{name} is {number}, not {low} to {high}"
            if high is not None and high - low < known.k - 2:
                betrayed.append((name, number, low, high))
    return betrayed


def main(histories: int) -> None:
    tried = hidden = 0
    betrayed: list[tuple] = []
    for seed in range(histories):
        k, since = (5, 5, 7, 10)[seed % 4], (0, 0, 2, 4)[seed // 4 % 4]
        history = invented(seed)
        known = attack(history, releases(history, k, since=since), k)
        hidden += sum(0 < number < k for number in known.truth.values())
        betrayed += [(seed, k, *one) for one in found_out(known)]
        tried += 1
    print(
        f"{tried} histories of {QUARTERS} quarters, {hidden} small numbers, {len(betrayed)} bounded more tightly than the threshold"
    )
    for one in betrayed[:20]:
        print("  ", one)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
