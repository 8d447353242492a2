"""Why a rep does not own a record, and what would give it to them: changes that were replayed before anybody reads of them.

Proposals come from the routes through the rules (`routes.py`, `facts.py`), the cheapest first. Each is applied to the data and the
record is decided again, in the same world, with every rule, pool and queue (`replay.py`). One that does not help may show the next
obstacle in its own world: that is added, so that the smallest set of changes is found where no single one is enough. A set that helps
is then tried without each of its changes. The search stops after a number of replays, and says so.
"""

from __future__ import annotations

import heapq
import itertools
import textwrap
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from roe.analysis.changes import FieldChange, Wait, Way, best, cost, merge
from roe.analysis.nearby import waiting
from roe.analysis.replay import Replays, given
from roe.analysis.routes import Route, days, routes
from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import values as v
from roe.progress import phase
from roe.words import counted

MOST = 3  # ways that are named
LARGEST = 4  # changes in one set
REPLAYS = 120  # of a small world; a large one has fewer
WORK = 400_000  # records that all replays together may decide or load
WORLDS = 12  # that did not help, and are looked into for what else is in the way
NEXT = 5  # proposals that are added to one that did not help
OWNS = ("keep", "assign", "route", "exception")


@dataclass(slots=True)
class WhyNot:
    """Why not, and what would help. `ways` were replayed and give the record to the rep, each by the rule of the same place in `rules`;
    `complete` says whether every proposal was tried. `route` is the nearest one, with what stands in its way. `turn` says whose turn it was in a pool and when the rep's own comes.
    """

    rep: Row
    owns: bool
    route: Route | None = None
    ways: list[Way] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    turn: str = ""
    replays: int = 0
    complete: bool = True
    left_out: int = 0  # changes after which a pool would take another turn, where that was not worked out

    def as_json(self) -> Json:
        return {
            "rep": self.rep["id"], "owns": self.owns, "route": self.route.as_json() if self.route else None,
            "ways": [
                {"rule": rule, "changes": [change.as_json() for change in way], "text": [change.says() for change in way]}
                for way, rule in zip(self.ways, self.rules, strict=True)
            ],
            "turn": self.turn or None, "replays": self.replays,
            "complete": self.complete,
        }  # fmt: skip


def why_not(bound: Bound, decision: Decision, rep: Row, most: int = MOST) -> WhyNot:
    """Why a rep does not own a record, and up to `most` sets of changes that give it to them. The bound world stays as it is."""
    if owned(decision, rep):
        return WhyNot(rep, True)
    return _Search(bound, decision, rep, most).answer()


def owned(d: Decision, rep: Row) -> bool:
    return d.owner == rep["id"] and d.action in OWNS


class _Search:
    def __init__(self, bound: Bound, d: Decision, rep: Row, most: int) -> None:
        self.d, self.most, self.rep = d, most, rep
        self.replays = Replays(bound, d.entity, d.id, d.role)
        records = sum(map(len, bound.world.rows.values()))
        self.budget = max(6, min(REPLAYS, WORK // max(1, records)))
        self._todo: list[tuple[float, int, Way]] = []
        self._seen: set[frozenset[Hashable]] = set()
        self._count = itertools.count()
        self.out_of_budget = False
        self._worlds = 0

    def answer(self) -> WhyNot:
        base = self.replays.decide(())
        if base is None or (base[1].owner, base[1].rule) != (self.d.owner, self.d.rule):
            # what was decided rests on more than the data: an earlier run's turns, say
            return WhyNot(self.rep, False, replays=1, complete=False)
        bound, d = base
        rep = bound.world.rep(self.rep["id"])
        assert rep is not None
        every_way = routes(bound, d, rep)
        now = bound.world.clock.now
        for day in days(bound, d, rep)[:16]:
            self._put((Wait(day, cost=waiting(now, day)),))
        for route in every_way:
            for way in route.ways():
                self._put(way)
        phase("trying what would change the owner", self.budget)
        ways = self._ways()
        turn = next_turn(self.replays, d, rep, every_way)
        rules = [after[1].rule for way in ways if (after := self.replays.decide(way)) is not None]
        left = self.replays.left_out
        near = next((route for route in every_way if rules and route.rule == rules[0]), every_way[0] if every_way else None)
        return WhyNot(self.rep, False, near, ways, rules, turn, self.replays.made, not (self.out_of_budget or left), left)

    def _put(self, way: Way) -> None:
        key = frozenset(way)
        if way and key not in self._seen and len(way) <= LARGEST:
            self._seen.add(key)
            heapq.heappush(self._todo, (cost(way), next(self._count), way))

    def _ways(self) -> list[Way]:
        by_facts: dict[frozenset[Hashable], Way] = {}
        while self._todo:
            way = heapq.heappop(self._todo)[2]
            if by_facts and (len(by_facts) >= self.most or len(way) > min(map(len, by_facts.values()))):
                break
            if self.replays.made >= self.budget:
                self.out_of_budget = True
                break
            if facts_of(way) in by_facts:  # another value of a field that is named already
                continue
            after = self.replays.decide(way)
            if after is None:
                continue
            if owned(after[1], self.rep):
                small = self._smallest(way)
                by_facts.setdefault(facts_of(small), small)
            elif not by_facts:
                self._further(way, *after)
        return self._said(sorted(by_facts.values(), key=cost))

    def _further(self, way: Way, bound: Bound, d: Decision) -> None:
        """Add what stands in the way in the world of a way that did not help."""
        rep = bound.world.rep(self.rep["id"])
        same = (d.owner, d.rule, turned(d)) == (self.d.owner, self.d.rule, turned(self.d))
        if rep is None or same or len(way) >= LARGEST:
            return
        if self._worlds >= WORLDS:
            self.out_of_budget = True
            return
        self._worlds += 1
        more = sorted({frozenset(w): w for route in routes(bound, d, rep) for w in route.ways()}.values(), key=cost)
        for other in more[:NEXT]:
            merged = merge(way, other)
            if merged is not None:
                self._put(merged)

    def _smallest(self, way: Way) -> Way:
        """The way without the changes that it does not need."""
        for size in range(1, len(way)):
            for fewer in itertools.combinations(way, size):
                after = self.replays.decide(fewer)
                if after is not None and owned(after[1], self.rep):
                    return fewer
        return way

    def _said(self, ways: list[Way]) -> list[Way]:
        """Of several ways those that do not beg the question: to own it already is the last of all advice."""
        least = min(map(len, ways), default=0)
        good = [w for w in ways if len(w) == least]
        waits = [w for w in good if isinstance(w[0], Wait) and len(w) == 1]
        good = [w for w in good if w not in waits[1:]]  # of the days to wait for, the first
        plain = [w for w in good if not any(isinstance(c, FieldChange) and c.field.startswith("owner.") for c in w)]
        return (plain or good)[: self.most]


def facts_of(way: Way) -> frozenset[Hashable]:
    """What a way changes, whatever the value that it gives a field: employees of 200 or of 201 are one advice."""
    return frozenset((c.entity, c.record, c.field) if isinstance(c, FieldChange) else c for c in way)


def turned(d: Decision) -> object:
    """What a pool said of its members, to tell two turns apart."""
    return None if d.turn is None else (d.turn.pool, d.turn.rep and d.turn.rep["id"], [(m.rep["id"], m.skipped) for m in d.turn.members])


# --- when a rep's own turn comes ------------------------------------------------------------------------------------------


def next_turn(replays: Replays, d: Decision, rep: Row, routes: list[Route]) -> str:
    """Whose turn it was in a pool, what would make the rep a member of it, and which of the next records is the rep's own."""
    turn = d.turn
    if turn is None or turn.why or turn.repeated or turn.rep is None or turn.rep is rep:
        return ""
    said = f"It was the turn of {turn.rep.label} (turn {turn.position} of the pool `{turn.pool}`)."
    member = next((m for m in turn.members if m.rep is rep), None)
    if member is not None and member.skipped:
        return f"{said} {rep.label} was skipped: {member.skipped}."
    if member is not None:
        return f"{said} {_comes(replays, replays.bound, d, rep)}"
    own = [route for route in routes if route.how == f"pool {turn.pool}" and route.rule == d.rule]
    for way in best(w for route in own for w in route.ways()):
        after = replays.decide(way)
        if after is not None and joined(after[1], turn.pool, rep):
            said += f" {rep.label} is not a member of it, but would be after: {'; '.join(change.says() for change in way)}."
            return said if owned(after[1], rep) else f"{said} Then: {_comes(replays, after[0], after[1], rep)}"
    return f"{said} {rep.label} is not a member of it."


def joined(d: Decision, pool: str, rep: Row) -> bool:
    return d.turn is not None and d.turn.pool == pool and any(m.rep["id"] == rep["id"] and not m.skipped for m in d.turn.members)


def _comes(replays: Replays, bound: Bound, d: Decision, rep: Row) -> str:
    """Which of the next records is the rep's, counted in a replay of as many copies of this one."""
    assert d.turn is not None
    if bound.anew is not None:
        return "Who gets the next turns depends on all records."
    many = min(60, 3 * len(d.turn.members) + 5)
    replays.made += 1
    number = which_of_the_next(bound, d, rep, many)
    if number is None:
        return f"None of the next {many} records like this one is {rep.label}'s."
    nth = "next record" if number == 1 else f"{ordinal(number)} of the next records"
    other = " from other companies" if bound.plan.pools[d.turn.pool].together is not None else ""
    return f"The {nth} like this one{other} is {rep.label}'s, if nothing else happens."


def which_of_the_next(bound: Bound, d: Decision, rep: Row, many: int) -> int | None:
    """Copies of a record that come after all others of a run, one after the other: the number of the first that the rep gets.

    No two of them are of one company, since a company's records go to one rep.
    """
    records = given(bound.world)
    values = next((x for x in records[d.entity] if x["id"] == d.id), None)
    if values is None or not bound.plan.takes_turns(d.entity):
        return None
    world = World(bound.evaluator.compiled, {}, bound.world.clock)
    world.typed = dict(bound.world.typed)
    for entity, rows in records.items():
        world.restore(entity, rows)
    after = Bound(bound.evaluator, world, bound.state)
    for _ in after.decide_all():
        pass
    for pool in after.pools.pools.values():
        pool.together = None
    for n in range(1, many + 1):
        (row,) = world.restore(d.entity, [{**values, "id": f"~next-{n:03}"}])
        world.resolve(row)
        if after.decide_alone(row, d.role).owner == rep["id"]:
            return n
    return None


def ordinal(n: int) -> str:
    end = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{end}"


# --- in words ---------------------------------------------------------------------------------------------------------------


def as_text(answer: WhyNot, d: Decision, markdown: bool = False) -> str:
    """The answer for a terminal of 80 columns, or for a ticket."""
    bullet = "- " if markdown else "  - "
    lines = []
    for indent, line in _lines(answer, d):
        head = bullet if indent == 1 else " " * (len(bullet) * min(indent, 1) + 2 * (indent - 1))
        rest = " " * (len(bullet) + 2 * (indent - 1)) if indent else ""
        lines += [head + line] if markdown else textwrap.wrap(line, 80, initial_indent=head, subsequent_indent=rest, break_on_hyphens=False)
    return "\n".join(lines)


def _lines(a: WhyNot, d: Decision) -> Iterator[tuple[int, str]]:
    """(0 for a sentence, 1 for an item, 2 for what belongs to it; the text)."""
    who = a.rep.label
    if a.owns:
        yield 0, f"{who} does own it as {d.role}."
        return
    yield 0, f"Why not {who} as {d.role}?"
    if a.turn:
        yield 0, a.turn
    if a.ways:
        yield from _helps(a, d, who)
    elif a.route is None and not a.complete and a.replays == 1:
        yield 0, "What was decided cannot be replayed from this data and state alone, so no change is named."
        return
    else:
        more = "" if a.complete or a.left_out else ", after which the search ended: there may be one"
        yield 0, f"No change was found that gives it to {who} ({a.replays} replays{more})."
    if a.left_out:
        yield 0, f"Left out: {counted(a.left_out, 'change')} that would alter a pool's turns, because turns depend on all records."
    if a.route is None:
        yield 0, f"No rule of this policy gives a {d.entity} to {who} as {d.role}: none assigns, keeps or routes it."
    elif a.route.obstacles:
        yield 0, f"In the way of rule `{a.route.rule}` ({a.route.how}):"
        for o in a.route.obstacles:
            yield 1, o.what
            yield 2, o.value + (f"  ({o.place})" if o.place else "")


def _helps(a: WhyNot, d: Decision, who: str) -> Iterator[tuple[int, str]]:
    now: datetime = d.row.world.clock.now
    size, several = len(a.ways[0]), "Each of these" if len(a.ways) > 1 else "This"
    if size > 1:
        yield 0, "No single change is enough."
        several = f"Each of these sets of {size} changes" if len(a.ways) > 1 else f"These {size} changes together"
    yield 0, f"{several} would give it to {who} (replayed with all rules, as of {v.readable(now)}):"
    for way, rule in zip(a.ways, a.rules, strict=True):
        for i, change in enumerate(way):
            last = f" (by rule `{rule}`)" if i == len(way) - 1 else ""
            yield min(i, 1) + 1, ("and " if i else "") + change.says() + last
    if not a.complete and not a.left_out:
        yield 0, f"The search ended after {a.replays} replays: there may be a smaller or a better way."
