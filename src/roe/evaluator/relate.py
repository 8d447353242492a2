"""`Relate`: the related row of a row, by methods in order and tiebreakers among their candidates.

A method asks its condition only of candidates that a look-up finds (`look_ups.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.look_ups import KEYED, KeyLookUp, LookUp, NameLookUp, blocking_keys, by_id, needed, plan_of_method
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import Scope
from roe.node import node
from roe.plan.operators import Method, Relate

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


CLOSE = 0.01  # scores that differ by no more say nothing about which is right: tiebreakers do
LOST = "lost"  # of a candidate that only the choice is made from: nobody asks why
NEAR, BELOW = 5, 0.2  # candidates below the least score that a trace still shows, and how far below


@node(frozen=False)
class Candidate:
    """A row that was considered: by which method, its score, its tiebreaker values, and why it was not taken."""

    row: Row
    method: str
    score: float = 1.0
    ties: list[Value] = field(default_factory=list)
    lost: str = ""


@node(frozen=False)
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
        self._matches: dict[int, Match] = {}

    def best(self, row: Row) -> Row | None:
        """The related row alone: what only a trace shows is not computed."""
        match = self._matches.get(id(row))
        if match is not None:
            return match.row
        for method in self.methods:
            held = method.held(self.world.scope(row))
            if held:
                return held[0].row if len(held) == 1 else self.choose(row, held, explained=False)
        return None

    def names(self, theirs: s.Node, meanwhile: Callable[[], object] | None = None) -> NameLookUp:
        """The names that an expression gives, in one index however many methods compare them."""
        names = self._names.get(id(theirs))
        if names is None:
            names = self._names[id(theirs)] = self.world.name_look_up(theirs, self, meanwhile)
        return names

    def keys(self, kind: str, theirs: s.Node) -> KeyLookUp:
        """The rows by the keys that an expression gives, however many methods look them up."""
        keys = self._keys.get((kind, id(theirs)))
        if keys is None:
            keys = self._keys[kind, id(theirs)] = self.world.key_look_up(kind, theirs, self)
        return keys

    def prepare(self) -> None:
        """Make every look-up now, not when the first row asks; those of keys while other processes take names apart."""
        for method in self.methods:
            if method.theirs is not None and method.kind == "similar":
                self.names(method.theirs, self._prepare_keys)
        self._prepare_keys()
        row, target = self.world.first(self.step.entity), self.world.first(self.step.target)
        if row is not None and target is not None:  # whatever tiebreakers rest on, once, before processes are copied
            scope = {**self.world.scope(row), self.step.target: target}
            for _, code, _ in self.ties:
                code(scope)

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
        self._matches.clear()
        for look_up in stale:
            if isinstance(look_up, NameLookUp):
                self._names.pop(id(look_up.theirs), None)
            else:
                self._keys.pop((look_up.kind, id(look_up.theirs)), None)

    def can_search(self, row: Row) -> bool:
        """Whether the record has a value that some method compares."""
        scope = self.world.scope(row)
        return any(m.mine is None or m.mine(scope) is not None for m in self.methods if not m.finds_nothing(scope))

    def match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        """The related row and every candidate; `only` says which rows may be candidates at all."""
        if only is not None:
            return self._match(row, only)
        match = self._matches.get(id(row))
        if match is None:
            match = self._matches[id(row)] = self._match(row)
        return match

    def _match(self, row: Row, only: Callable[[Row], bool] | None = None) -> Match:
        considered: list[Candidate] = []
        for method in self.methods:
            held, excluded = method.candidates(row, only)
            considered += excluded
            if held:
                return Match(self.choose(row, held, explained=True), method.name, [*held, *considered])
        return Match(None, "", considered)

    def choose(self, row: Row, held: list[Candidate], explained: bool) -> Row:
        """Of those with the best scores the first by the tiebreakers in order, then by score and id; a missing value loses.

        With `explained`, each candidate has the values of all tiebreakers and why it lost, and the winner stands first.
        """
        scope = self.world.scope(row)
        for c in held if explained else ():
            c.ties = [self._tie(n, c, scope) for n in range(len(self.ties))]
        best = max(c.score for c in held)
        for c in held:
            if c.score < best - CLOSE:
                c.lost = f"score {c.score:g} against {best:g}" if explained else LOST
        standing = [c for c in held if not c.lost]
        for n in range(len(self.ties)):
            if len(standing) == 1:
                break
            standing = self._still_standing(n, standing, scope, explained)
        winner = min(standing, key=_by_score)
        if explained:
            for c in standing:
                if c is not winner:
                    lower = c.score < winner.score
                    c.lost = f"score {c.score:g} against {winner.score:g}" if lower else "the tie goes to the lower id"
            held.sort(key=lambda c: (c is not winner, *_by_score(c)))
        return winner.row

    def _still_standing(self, n: int, standing: list[Candidate], scope: Scope, explained: bool) -> list[Candidate]:
        """Those with the best value of the n-th tiebreaker; all of them if nobody has one."""
        kind, _, text = self.ties[n]
        values = [c.ties[n] if explained else self._tie(n, c, scope) for c in standing]
        known = [value for value in values if value is not None]
        if not known:
            return standing
        best = _extreme(known, kind == "most")
        for c, value in zip(standing, values, strict=True):
            if value is None or v.equal(value, best) is not True:
                c.lost = f"{kind} {text}: {v.literal(value)} against {v.literal(best)}" if explained else LOST
        return [c for c in standing if not c.lost]

    def _tie(self, n: int, candidate: Candidate, scope: Scope) -> Value:
        """The value that the n-th tiebreaker compares."""
        scope[self.step.target] = candidate.row
        return self.ties[n][1](scope)


def _by_score(candidate: Candidate) -> tuple[float, str]:
    return -candidate.score, by_id(candidate.row)


def _extreme(values: list[Value], most: bool) -> Value:
    best = values[0]
    for value in values:
        if v.less(best, value) if most else v.less(value, best):
            best = value
    return best


class MatchMethod:
    """One method over the rows of a world."""

    def __init__(self, method: Method, step: Relate, matcher: Matcher) -> None:
        self.name, self.step, self.world, self.matcher = str(method.name), step, matcher.world, matcher
        self.match = compile_expression(method.match.tree)
        needs = needed(method.match.tree, step.target)
        self.needs = None if needs is None else compile_expression(needs)
        self.unless = compile_expression(method.unless.tree) if method.unless else None
        self.unless_text = str(method.unless.text) if method.unless else ""
        self.least, self.group = method.least, method.group
        self.kind, mine, theirs = plan_of_method(method, step)
        self.theirs, self.is_keyed = theirs, self.kind in KEYED
        self.mine = compile_expression(mine) if mine is not None else None

    # --- candidates -------------------------------------------------------------------------------------------------

    def held(self, scope: Scope) -> list[Candidate]:
        """Rows for which the method's condition is true, and `unless` is not; but those whose scores are too low to be chosen."""
        only = None if self.unless is None else lambda target: not self._is_excluded(target, scope)
        return [Candidate(t, self.name, score) for score, t in self._scored(scope, self.least, only, CLOSE)]

    def candidates(self, row: Row, only: Callable[[Row], bool] | None = None) -> tuple[list[Candidate], list[Candidate]]:
        """Rows for which the method's condition is true, and those that `unless` then excludes, or whose scores are a little too low."""
        scope = self.world.scope(row)
        held, excluded = [], []
        for score, target in self._scored(scope, max(self.least - BELOW, min(self.least, CLOSE)), only):
            if self._is_excluded(target, scope):
                excluded.append(Candidate(target, self.name, score, lost=f"unless {self.unless_text}"))
            elif score < self.least:
                excluded.append(Candidate(target, self.name, score, lost=f"score {score:g}, below {self.least:g}"))
            else:
                held.append(Candidate(target, self.name, score))
        return held, excluded[:NEAR] if self.kind == "similar" else excluded

    def finds_nothing(self, scope: Scope) -> bool:
        """Whether the record itself says that no row can be meant, such as one without a city where a method compares cities."""
        return self.needs is not None and self.needs(scope) is not True

    def _is_excluded(self, target: Row, scope: Scope) -> bool:
        if self.unless is None:
            return False
        scope[self.step.target] = target
        return self.unless(scope) is True

    def _scored(self, scope: Scope, least: float, only: Callable[[Row], bool] | None, within: float = 1.0) -> Iterable[tuple[float, Row]]:
        """The rows for which the condition is true, and `only`, each with its score; of names the best first, down to `least`, and perhaps no
        further below the best than `within`.
        """
        if self.finds_nothing(scope):
            return ()

        def fits(target: Row) -> bool:
            scope[self.step.target] = target
            return self.match(scope) is True and (only is None or only(target))

        if self.kind != "similar":
            return [(1.0, row) for row in self._possible(scope) if fits(row)]
        assert self.mine is not None and self.theirs is not None
        value = self.mine(scope)
        return self.matcher.names(self.theirs).search(value, least, self.group, fits, within) if isinstance(value, str) else ()

    def keys_of(self, scope: Scope) -> tuple[Value, ...]:
        """The keys by which the record is looked up."""
        value = None if self.mine is None else self.mine(scope)
        if self.kind == "block":
            return blocking_keys(value)
        return () if value is None or isinstance(value, (list, dict)) else (value,)

    def _possible(self, scope: Scope) -> Iterable[Row]:
        if self.mine is None or self.theirs is None:
            return self.world.all(self.step.target)
        keys, look_up = self.keys_of(scope), self.matcher.keys(self.kind, self.theirs)
        if len(keys) == 1:
            return look_up.rows(keys[0])
        return list(dict.fromkeys(r for key in keys for r in look_up.rows(key)))
