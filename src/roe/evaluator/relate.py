"""`Relate`: the related row of a row, by methods in order and tiebreakers among their candidates.

Comparing every lead with every account is what blocking avoids. A condition `f(lead) = g(account)` becomes a look-up in
an index on `g`. A `similarity(f(lead), g(account)) >= x` is asked only of accounts that share a *key* with the lead: the
first four letters of any word of the company name, or of the name without its spaces. A method with `similar` searches
all names at once (`companies.index`). Every other condition is asked of every candidate that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roe.evaluator.expressions import Code, Scope, compile_expression
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.field_functions import company
from roe.plan.operators import Method, Relate

if TYPE_CHECKING:
    from roe.companies.index import NameIndex
    from roe.evaluator.world import Row, World


CLOSE = 0.01  # scores that differ by no more say nothing about which is right: tiebreakers do
NEAR, BELOW = 5, 0.2  # candidates below the least score that a trace still shows, and how far below


@dataclass(slots=True)
class Candidate:
    """A row that was considered: by which method, its score, its tiebreaker values, and why it was not taken."""

    row: Row
    method: str
    score: float = 1.0
    ties: list[Any] = field(default_factory=list)
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
        self.methods = [_Method(m, step, world) for m in step.methods]
        self.ties = [(kind, compile_expression(expr.tree), str(expr.text)) for kind, expr in step.tie_break]
        self._found: dict[int, Match] = {}

    def best(self, row: Row) -> Row | None:
        return self.match(row).row

    def match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        """The related row and every candidate; `only` says which rows may be candidates at all."""
        if only is not None:
            return self._match(row, only)
        found = self._found.get(id(row))
        if found is None:
            found = self._found[id(row)] = self._match(row)
        return found

    def _match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        considered: list[Candidate] = []
        for method in self.methods:
            held, excluded = method.candidates(row, only)
            considered += excluded
            if held:
                return Match(self._choose(row, held), method.name, [*held, *considered])
        return Match(None, "", considered)

    def _choose(self, row: Row, held: list[Candidate]) -> Row:
        """Of those with the best scores the first by the tiebreakers in order, then by score and id; a missing value loses."""
        scope = self.world.scope(row)
        for candidate in held:
            scope[self.step.target] = candidate.row
            candidate.ties = [code(scope) for _, code, _ in self.ties]
        best = max(c.score for c in held)
        for c in held:
            if c.score < best - CLOSE:
                c.lost = f"score {c.score:g} against {best:g}"
        standing = [c for c in held if not c.lost]
        for i, (kind, _, text) in enumerate(self.ties):
            known = [c for c in standing if c.ties[i] is not None]
            best = _extreme([c.ties[i] for c in known], kind == "most")
            for c in standing:
                if known and (c.ties[i] is None or v.equal(c.ties[i], best) is not True):
                    c.lost = f"{kind} {text}: {v.literal(c.ties[i])} against {v.literal(best)}"
            standing = [c for c in standing if not c.lost]
        winner = min(standing, key=lambda c: (-c.score, str(c.row["id"])))
        for c in standing:
            if c is not winner:
                lower = c.score < winner.score
                c.lost = f"score {c.score:g} against {winner.score:g}" if lower else "the tie goes to the lower id"
        held.sort(key=lambda c: (c is not winner, -c.score, str(c.row["id"])))
        return winner.row


def _extreme(values: list[Any], most: bool) -> Any:
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
            found = sides(condition.value, condition.tests[0])
            if found is not None and found[0] is condition.value:
                return "among", *found
        if not isinstance(condition, s.Compare):
            continue
        if condition.op == "=" and (found := sides(condition.left, condition.right)):
            return "equal", *found
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


class _Method:
    def __init__(self, method: Method, step: Relate, world: World) -> None:
        self.name, self.step, self.world = str(method.name), step, world
        self.match = compile_expression(method.match.tree)
        self.unless = compile_expression(method.unless.tree) if method.unless else None
        self.unless_text = str(method.unless.text) if method.unless else ""
        self._names: tuple[Code, NameIndex, list[Row]] | None = None
        self._keys: tuple[Code, dict[Any, list[Row]]] | None = None
        self._blocks: tuple[Code, dict[str, list[Row]]] | None = None
        self.least = method.least
        if method.similar is not None:
            self._names = compile_expression(method.similar[0].tree), *self._named(compile_expression(method.similar[1].tree))
            return
        kind, mine, theirs = plan_of(method.match.tree, step.entity, step.target)
        if mine is not None and theirs is not None:
            code = compile_expression(mine)
            if kind == "equal":
                self._keys = code, self._group(compile_expression(theirs), lambda value: (value,))
            elif kind == "among":
                self._keys = code, self._group(compile_expression(theirs), lambda value: dict.fromkeys(map(_key, value)), True)
            else:
                self._blocks = code, self._group(compile_expression(theirs), blocking_keys)

    def _named(self, code: Code) -> tuple[NameIndex, list[Row]]:
        from roe.companies.index import NameIndex

        base = dict(self.world.base)
        names, rows = [], []
        for row in self.world.all(self.step.target):
            base[self.step.target] = row
            value = code(base)
            if isinstance(value, str) and value.strip():
                names.append(value)
                rows.append(row)
        return NameIndex(names), rows

    def _group(self, code: Code, keys: Any, lists: bool = False) -> dict[Any, list[Row]]:
        groups: dict[Any, list[Row]] = {}
        base = dict(self.world.base)
        for row in self.world.all(self.step.target):
            base[self.step.target] = row
            value = code(base)
            if value is not None and not isinstance(value, dict) and isinstance(value, list) is lists:
                for key in keys(value):
                    groups.setdefault(key, []).append(row)
        return groups

    def candidates(self, row: Row, only: Callable[[Row], bool] | None = None) -> tuple[list[Candidate], list[Candidate]]:
        """Rows for which the method's condition is true, and those that `unless` then excludes."""
        scope = self.world.scope(row)
        held, excluded = [], []
        for score, target in self._scored(scope):
            scope[self.step.target] = target
            if (only is not None and not only(target)) or self.match(scope) is not True:
                continue
            if self.unless and self.unless(scope) is True:
                excluded.append(Candidate(target, self.name, score, lost=f"unless {self.unless_text}"))
            elif score < self.least:
                excluded.append(Candidate(target, self.name, score, lost=f"score {score:g}, and {self.least:g} is asked"))
            else:
                held.append(Candidate(target, self.name, score))
        return held, excluded[:NEAR] if self._names is not None else excluded

    def _scored(self, scope: Scope) -> Iterable[tuple[float, Row]]:
        if self._names is None:
            return ((1.0, row) for row in self._possible(scope))
        code, index, rows = self._names
        value = code(scope)
        found = index.search(value, max(self.least - BELOW, 0.0)) if isinstance(value, str) else []
        return ((score, rows[i]) for score, i in found)

    def _possible(self, scope: Scope) -> Iterable[Row]:
        if self._keys is not None:
            value = self._keys[0](scope)
            return self._keys[1].get(value, ()) if value is not None and not isinstance(value, (list, dict)) else ()
        if self._blocks is not None:
            value = self._blocks[0](scope)
            groups = self._blocks[1]
            keys = blocking_keys(value) if isinstance(value, str) else ()
            return list(dict.fromkeys(r for key in keys for r in groups.get(key, ())))
        return self.world.all(self.step.target)


def _key(value: Any) -> Any:
    return value if not isinstance(value, (list, dict)) else None


def _roots(node: s.Node) -> set[str]:
    """The variables that an expression rests on."""
    bound = {b.name for n in s.walk(node) if isinstance(n, (s.For, s.Quantified)) for b in n.bindings}
    return {n.id for n in s.walk(node) if isinstance(n, s.Name)} - bound


def blocking_keys(name: Any) -> tuple[str, ...]:
    """The first four letters of each word of a company name, and of the whole without spaces."""
    words = company(name).split() if isinstance(name, str) else []
    return tuple(dict.fromkeys(w[:4] for w in (*words, "".join(words)) if w))
