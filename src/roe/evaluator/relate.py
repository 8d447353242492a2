"""`Relate`: the related row of a row, by methods in order and tiebreakers among their candidates.

Comparing every lead with every account is what blocking avoids. A condition `f(lead) = g(account)` becomes a look-up in
an index on `g`. A `similarity(f(lead), g(account)) >= x` is asked only of accounts that share a *key* with the lead: the
first four letters of any word of the company name, or of the name without its spaces. A method with `similar` searches
all names at once (`companies.index`). Every other condition is asked of every candidate that is left.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.functions.sales import company
from roe.grammar.registry import BY_NAME
from roe.grammar.scopes import Scope
from roe.plan.operators import Method, Relate

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


CLOSE = 0.01  # scores that differ by no more say nothing about which is right: tiebreakers do
MOST_REPEATED = 2_000  # distinct texts whose keys are kept, until there are more: those are names or domains, which do not repeat
LOST = "lost"  # of a candidate that only the choice is made from: nobody asks why
KEYED = ("equal", "among", "block")  # how a method finds candidates by keys that both sides give
NEAR, BELOW = 5, 0.2  # candidates below the least score that a trace still shows, and how far below


@dataclass(slots=True)
class Candidate:
    """A row that was considered: by which method, its score, its tiebreaker values, and why it was not taken."""

    row: Row
    method: str
    score: float = 1.0
    ties: list[Value] = field(default_factory=list)
    lost: str = ""


@dataclass(slots=True)
class Match:
    row: Row | None
    method: str = ""
    candidates: list[Candidate] = field(default_factory=list)


class Matcher:
    """A `Relate` over one world: indexes are made when the first row asks."""

    def __init__(self, step: Relate, world: World) -> None:
        self.step, self.world = step, world
        self.methods = [MatchMethod(m, step, self) for m in step.methods]
        trees: dict[s.Node, s.Node] = {}
        for method in self.methods:
            if method.theirs is not None:
                method.theirs = trees.setdefault(method.theirs, method.theirs)
        self._names: dict[int, NameLookUp] = {}
        self._keys: dict[tuple[str, int], KeyLookUp] = {}
        self.ties = [(kind, compile_expression(expr.tree), str(expr.text)) for kind, expr in step.tie_break]
        self._found: dict[int, Match] = {}

    def best(self, row: Row) -> Row | None:
        """The related row alone: what only a trace shows is not computed."""
        match = self._found.get(id(row))
        if match is not None:
            return match.row
        for method in self.methods:
            held = method.held(row)
            if held:
                return held[0].row if len(held) == 1 else self.choose(row, held, told=False)
        return None

    def names(self, theirs: s.Node, meanwhile: Callable[[], object] | None = None) -> NameLookUp:
        """The names that an expression gives, in one index however many methods compare them."""
        names = self._names.get(id(theirs))
        if names is None:
            names = self._names[id(theirs)] = NameLookUp(theirs, self, meanwhile)
        return names

    def keys(self, kind: str, theirs: s.Node) -> KeyLookUp:
        """The rows by the keys that an expression gives, however many methods look them up."""
        keys = self._keys.get((kind, id(theirs)))
        if keys is None:
            keys = self._keys[kind, id(theirs)] = KeyLookUp(kind, theirs, self)
        return keys

    def prepare(self) -> None:
        """Make every look-up now, not when the first row asks; those of keys while other processes take names apart."""
        for method in self.methods:
            if method.theirs is not None and method.kind == "similar":
                self.names(method.theirs, self._prepare_keys)
        self._prepare_keys()

    def _prepare_keys(self) -> None:
        for method in self.methods:
            if method.theirs is not None and method.kind != "similar":
                self.keys(method.kind, method.theirs)

    @cached_property
    def most_look_ups(self) -> int:
        """How many look-ups there are once all of them are made."""
        return len({(m.kind, id(m.theirs)) for m in self.methods if m.theirs is not None})

    def look_ups(self) -> Iterable[tuple[s.Node, LookUp]]:
        """What was made of the rows to be searched, each with the expression about a row that it rests on."""
        yield from ((names.theirs, names) for names in self._names.values())
        yield from ((keys.theirs, keys) for keys in self._keys.values())

    def forget(self, stale: Iterable[LookUp] = ()) -> None:
        """Drop the matches, and look-ups that are to be made again."""
        self._found.clear()
        for look_up in stale:
            if isinstance(look_up, NameLookUp):
                self._names.pop(id(look_up.theirs), None)
            else:
                self._keys.pop((look_up.kind, id(look_up.theirs)), None)

    def match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        """The related row and every candidate; `only` says which rows may be candidates at all."""
        if only is not None:
            return self._match(row, only)
        match = self._found.get(id(row))
        if match is None:
            match = self._found[id(row)] = self._match(row)
        return match

    def _match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        considered: list[Candidate] = []
        for method in self.methods:
            held, excluded = method.candidates(row, only)
            considered += excluded
            if held:
                return Match(self.choose(row, held, told=True), method.name, [*held, *considered])
        return Match(None, "", considered)

    def choose(self, row: Row, held: list[Candidate], told: bool) -> Row:
        """Of those with the best scores the first by the tiebreakers in order, then by score and id; a missing value loses.

        With `told`, each candidate has the values of all tiebreakers and why it lost, and the winner stands first.
        """
        scope = self.world.scope(row)
        for c in held if told else ():
            c.ties = [self._tie(n, c, scope) for n in range(len(self.ties))]
        best = max(c.score for c in held)
        for c in held:
            if c.score < best - CLOSE:
                c.lost = f"score {c.score:g} against {best:g}" if told else LOST
        standing = [c for c in held if not c.lost]
        for n, (kind, _, text) in enumerate(self.ties):
            if len(standing) == 1:
                break
            values = [c.ties[n] if told else self._tie(n, c, scope) for c in standing]
            known = [value for value in values if value is not None]
            best = _extreme(known, kind == "most")
            for c, value in zip(standing, values, strict=True):
                if known and (value is None or v.equal(value, best) is not True):
                    c.lost = f"{kind} {text}: {v.literal(value)} against {v.literal(best)}" if told else LOST
            standing = [c for c in standing if not c.lost]
        winner = min(standing, key=lambda c: (-c.score, str(c.row["id"])))
        if told:
            for c in standing:
                if c is not winner:
                    lower = c.score < winner.score
                    c.lost = f"score {c.score:g} against {winner.score:g}" if lower else "the tie goes to the lower id"
            held.sort(key=lambda c: (c is not winner, -c.score, str(c.row["id"])))
        return winner.row

    def _tie(self, n: int, candidate: Candidate, scope: Scope) -> Value:
        """The value that the n-th tiebreaker compares."""
        scope[self.step.target] = candidate.row
        return self.ties[n][1](scope)


def _extreme(values: list[Value], most: bool) -> Value:
    best = values[0] if values else None
    for value in values:
        if v.less(best, value) if most else v.less(value, best):
            best = value
    return best


def plan_of(match: s.Node, entity: str, target: str) -> tuple[str, s.Node | None, s.Node | None]:
    """How candidates are found: ('equal' | 'among' | 'block' | 'all', the side about the row, the side about the target).

    The first condition that allows it gives the look-up; an equality beats a similarity.
    """

    def sides(a: s.Node, b: s.Node) -> tuple[s.Node, s.Node] | None:
        for one, other in ((a, b), (b, a)):
            if _roots(one) == {entity} and _roots(other) == {target}:
                return one, other
        return None

    block = None
    for condition in s.conjuncts(match):
        if isinstance(condition, s.In) and not condition.negated and len(condition.tests) == 1:
            pair = sides(condition.value, condition.tests[0])
            if pair is not None and pair[0] is condition.value:
                return "among", *pair
        if not isinstance(condition, s.Compare):
            continue
        if condition.op == "=" and (pair := sides(condition.left, condition.right)):
            return "equal", *pair
        call = condition.left
        if (
            block is None
            and condition.op in (">=", ">")
            and isinstance(call, s.Call)
            and call.function == "similarity"
            and len(call.args) == 2
        ):
            block = sides(*call.args)
    return ("block", *block) if block else ("all", None, None)


class MatchMethod:
    """One method over the rows of a world."""

    def __init__(self, method: Method, step: Relate, matcher: Matcher) -> None:
        self.name, self.step, self.world, self.matcher = str(method.name), step, matcher.world, matcher
        self.match = compile_expression(method.match.tree)
        self.unless = compile_expression(method.unless.tree) if method.unless else None
        self.unless_text = str(method.unless.text) if method.unless else ""
        self.least, self.group = method.least, method.group
        self.kind, mine, theirs = plan_of(method.match.tree, step.entity, step.target)
        if method.similar is not None:
            self.kind, mine, theirs = "similar", method.similar[0].tree, method.similar[1].tree
        self.theirs = theirs
        self.mine = compile_expression(mine) if mine is not None else None

    # --- candidates -------------------------------------------------------------------------------------------------

    def held(self, row: Row) -> list[Candidate]:
        """Rows for which the method's condition is true, and `unless` is not."""
        scope = self.world.scope(row)
        return [Candidate(t, self.name, score) for score, t in self._scored(scope, self.least, None) if not self._is_excluded(t, scope)]

    def candidates(self, row: Row, only: Callable[[Row], bool] | None = None) -> tuple[list[Candidate], list[Candidate]]:
        """Rows for which the method's condition is true, and those that `unless` then excludes, or whose scores are a little too low."""
        scope = self.world.scope(row)
        held, excluded = [], []
        for score, target in self._scored(scope, max(self.least - BELOW, 0.0), only):
            if self._is_excluded(target, scope):
                excluded.append(Candidate(target, self.name, score, lost=f"unless {self.unless_text}"))
            elif score < self.least:
                excluded.append(Candidate(target, self.name, score, lost=f"score {score:g}, and {self.least:g} is asked"))
            else:
                held.append(Candidate(target, self.name, score))
        return held, excluded[:NEAR] if self.kind == "similar" else excluded

    def _is_excluded(self, target: Row, scope: Scope) -> bool:
        if self.unless is None:
            return False
        scope[self.step.target] = target
        return self.unless(scope) is True

    def _scored(self, scope: Scope, least: float, only: Callable[[Row], bool] | None) -> Iterable[tuple[float, Row]]:
        """The rows for which the condition is true, and `only`, each with its score; of names the best first, down to `least`."""

        def fits(target: Row) -> bool:
            scope[self.step.target] = target
            return (only is None or only(target)) and self.match(scope) is True

        if self.kind != "similar":
            return [(1.0, row) for row in self._possible(scope) if fits(row)]
        assert self.mine is not None and self.theirs is not None
        value = self.mine(scope)
        return self.matcher.names(self.theirs).search(value, least, self.group, fits) if isinstance(value, str) else ()

    def _possible(self, scope: Scope) -> Iterable[Row]:
        if self.mine is None or self.theirs is None:
            return self.world.all(self.step.target)
        value, groups = self.mine(scope), self.matcher.keys(self.kind, self.theirs).groups
        if self.kind == "block":
            keys = blocking_keys(value) if isinstance(value, str) else ()
            return list(dict.fromkeys(r for key in keys for r in groups.get(key, ())))
        return groups.get(value, ()) if value is not None and not isinstance(value, (list, dict)) else ()


class KeyLookUp:
    """The rows by their keys, as one expression has them. What it holds of a row may be taken out and put back, as the row changes."""

    def __init__(self, kind: str, theirs: s.Node, matcher: Matcher) -> None:
        self.kind, self.theirs = kind, theirs
        self._code, self._scope, self._target = compile_expression(theirs), dict(matcher.world.base), matcher.step.target
        self._fields = _fields_of(theirs, self._target)
        self._repeated: dict[tuple[Value, ...], tuple[Value, ...]] = {}
        self.groups: dict[Value, list[Row]] = {}  # key -> rows, by id
        groups, of = self.groups, self.keys_of
        for row in matcher.world.all(self._target):
            for key in of(row):
                if key in groups:
                    groups[key].append(row)
                else:
                    groups[key] = [row]

    def add(self, row: Row) -> None:
        for key in self.keys_of(row):
            insort(self.groups.setdefault(key, []), row, key=by_id)

    def remove(self, row: Row) -> None:
        for key in self.keys_of(row):
            rows = self.groups[key]
            place = bisect_left(rows, by_id(row), key=by_id)
            while rows[place] is not row:
                place += 1
            del rows[place]
            if not rows:
                del self.groups[key]

    def keys_of(self, row: Row) -> tuple[Value, ...]:
        """The keys of a row. Rows with the same texts have the same ones, and where a column is empty all rows have."""
        if self._fields is None:
            return self._made_of(row)
        texts = tuple([row[name] for name in self._fields])
        for x in texts:
            if x is not None and type(x) is not str:  # 1 is equal to 1.0 and to true
                return self._made_of(row)
        keys = self._repeated.get(texts)
        if keys is None:
            keys = self._made_of(row)
            if len(self._repeated) < MOST_REPEATED:
                self._repeated[texts] = keys
            else:
                self._fields = None
        return keys

    def _made_of(self, row: Row) -> tuple[Value, ...]:
        self._scope[self._target] = row
        value = self._code(self._scope)
        if value is None or isinstance(value, dict) or isinstance(value, list) is not (self.kind == "among"):
            return ()
        if self.kind == "among":
            return tuple(dict.fromkeys(map(_key, value)))
        return blocking_keys(value) if self.kind == "block" else (value,)


class NameLookUp:
    """The names of rows, as one expression has them, searched by all methods that compare them."""

    def __init__(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None = None) -> None:
        from roe.companies.kept import index_of

        self._code, self._world, self._target = compile_expression(theirs), matcher.world, matcher.step.target
        self.theirs = theirs
        named = [(row, name) for row in self._world.all(self._target) if (name := self._name(row))]
        self._rows: list[Row | None] = [row for row, _ in named]
        self._place = {id(row): place for place, (row, _) in enumerate(named)}
        self._index = index_of([name for _, name in named], meanwhile)

    def _name(self, row: Row) -> str:
        value = self._code({**self._world.base, self._target: row})
        return value if isinstance(value, str) and value.strip() else ""

    def add(self, row: Row) -> None:
        name = self._name(row)
        if name:
            self._place[id(row)] = len(self._rows)
            self._index.add(name, len(self._rows))
            self._rows.append(row)

    def remove(self, row: Row) -> None:
        name = self._name(row)
        if name:
            place = self._place.pop(id(row))
            self._index.remove(name, place)
            self._rows[place] = None

    def search(self, name: str, least: float, group: bool, only: Callable[[Row], bool]) -> list[tuple[float, Row]]:
        """(score, row) of the rows whose names are the same company at least so likely, the best first; of equals by their ids. `only` says
        which rows may be found at all.
        """
        rows = self._rows
        found = self._index.search(name, least, group, lambda place: (row := rows[place]) is not None and only(row))
        return sorted([(score, row) for score, place in found if (row := rows[place]) is not None], key=lambda x: (-x[0], by_id(x[1])))


def by_id(row: Row) -> str:
    return str(row["id"])


def _key(value: Value) -> Value:
    return value if not isinstance(value, (list, dict)) else None


def _fields_of(node: s.Node, target: str) -> tuple[str, ...] | None:
    """The fields of a record that an expression rests on, if it rests on nothing else."""
    paths = [n for n in s.walk(node) if isinstance(n, s.Path)]
    own = [n.field for n in paths if isinstance(n.base, s.Name) and n.base.id == target]
    named = sum(isinstance(n, s.Name) and n.id == target for n in s.walk(node))
    asks_the_day = any(isinstance(n, s.Call) and n.function in BY_NAME and BY_NAME[n.function].clock for n in s.walk(node))
    return tuple(dict.fromkeys(own)) if _roots(node) == {target} and len(own) == named == len(paths) and not asks_the_day else None


def _roots(node: s.Node) -> set[str]:
    """The variables that an expression rests on."""
    bound = {b.name for n in s.walk(node) if isinstance(n, (s.For, s.Quantified)) for b in n.bindings}
    return {n.id for n in s.walk(node) if isinstance(n, s.Name)} - bound


def blocking_keys(name: object) -> tuple[str, ...]:
    """The first four letters of each word of a company name, and of the whole without spaces."""
    words = company(name).split() if isinstance(name, str) else []
    return tuple(dict.fromkeys(w[:4] for w in (*words, "".join(words)) if w))


LookUp = KeyLookUp | NameLookUp  # what was made of the rows to be searched
