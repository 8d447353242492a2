"""How a row finds candidates without a comparison with every other row.

A condition `f(lead) = g(account)` becomes a look-up in an index on `g`. A `similarity(f(lead), g(account)) >= x` is asked only of accounts
that share a *key* with the lead: the first four letters of any word of the company name, or of the name without its spaces. A method
with `similar` searches all names at once (`companies.index`). Every other condition is asked of every candidate that is left.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.functions.sales import company
from roe.grammar.registry import BY_NAME

if TYPE_CHECKING:
    from roe.companies.index import NameIndex
    from roe.evaluator.relate import Matcher
    from roe.evaluator.row import Row
    from roe.evaluator.world import World
    from roe.plan.operators import Method, Relate

KEYED = ("equal", "among", "block")  # how a method finds candidates by keys that both sides give
MOST_REPEATED = 2_000  # distinct texts whose keys are kept, until there are more: those are names or domains, which do not repeat


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


def plan_of_method(method: Method, step: Relate) -> tuple[str, s.Node | None, s.Node | None]:
    """How a method finds its candidates: see `plan_of`, or 'similar' where it searches names."""
    if method.similar is not None:
        return "similar", method.similar[0].tree, method.similar[1].tree
    return plan_of(method.match.tree, step.entity, step.target)


def look_up_number(step: Relate, kind: str, theirs: s.Node) -> int:
    """The number of a look-up: methods that search the same have the same one."""
    return next(i for i, method in enumerate(step.methods) if plan_of_method(method, step)[::2] == (kind, theirs))


def needed(condition: s.Node, target: str) -> s.Node | None:
    """What a condition asks of the record alone: where that is not true, it is true of no target. None where it asks nothing."""
    if isinstance(condition, (s.And, s.Or)):
        parts = [needed(item, target) for item in condition.items]
        some = tuple(part for part in parts if part is not None)
        if not some or (isinstance(condition, s.Or) and None in parts):
            return None
        return some[0] if len(some) == 1 else replace(condition, items=some)
    names = {n.id for n in s.walk(condition) if isinstance(n, s.Name)}
    return condition if names and target not in names else None


class KeyLookUp:
    """The rows by their keys, as one expression has them. What it holds of a row may be taken out and put back, as the row changes."""

    def __init__(self, kind: str, theirs: s.Node, matcher: Matcher) -> None:
        self.kind, self.theirs = kind, theirs
        self._code, self._scope, self._target = compile_expression(theirs), dict(matcher.world.base), matcher.step.target
        self._fields = _fields_of(theirs, self._target)
        self._repeated: dict[tuple[Value, ...], tuple[Value, ...]] = {}
        self._groups: dict[Value, list[Row]] = {}  # key -> rows, by id
        self.fill(matcher.world)

    def fill(self, world: World) -> None:
        """Find the keys of all rows."""
        groups, rows = self._groups, world.all(self._target)
        for row, texts in zip(rows, self._texts_of_all(world, rows), strict=True):
            for key in self._keys_of(row, texts):
                if key in groups:
                    groups[key].append(row)
                else:
                    groups[key] = [row]

    def _texts_of_all(self, world: World, rows: Sequence[Row]) -> Iterable[tuple[Value, ...] | None]:
        """What the expression rests on, of each of all rows; None where it rests on more than their fields."""
        return zip(*(world.values(self._target, name) for name in self._fields), strict=True) if self._fields else repeat(None, len(rows))

    def rows(self, key: Value) -> Sequence[Row]:
        """The rows that have a key, by id."""
        return self._groups.get(key, ())

    def groups(self) -> Iterable[tuple[Value, Sequence[Row]]]:
        """Every key, with its rows."""
        return self._groups.items()

    def add(self, row: Row) -> None:
        for key in self.keys_of(row):
            insort(self._groups.setdefault(key, []), row, key=by_id)

    def remove(self, row: Row) -> None:
        for key in self.keys_of(row):
            rows = self._groups[key]
            place = bisect_left(rows, by_id(row), key=by_id)
            while rows[place] is not row:
                place += 1
            del rows[place]
            if not rows:
                del self._groups[key]

    def keys_of(self, row: Row) -> tuple[Value, ...]:
        """The keys of a row. Rows with the same texts have the same ones, and where a column is empty all rows have."""
        return self._keys_of(row, tuple([row[name] for name in self._fields]) if self._fields else None)

    def _keys_of(self, row: Row, texts: tuple[Value, ...] | None) -> tuple[Value, ...]:
        if self._fields is None or texts is None:
            return self._made_of(row)
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
        return keys_of_value(self.kind, self._code(self._scope))


class NameLookUp:
    """The names of rows, as one expression has them, searched by all methods that compare them."""

    def __init__(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None = None) -> None:
        self._code, self._world, self._target = compile_expression(theirs), matcher.world, matcher.step.target
        self.theirs = theirs
        self._rows: list[Row | None] = []
        self._place: dict[int, int] = {}
        self._index = self.index(self.fill(), meanwhile)

    def index(self, names: list[str], meanwhile: Callable[[], object] | None) -> NameIndex:
        """The names, ready to be searched."""
        from roe.companies.kept import index_of

        return index_of(names, meanwhile, grows=self._world.grows)

    def fill(self) -> list[str]:
        """The names; each is at the place in the index that it has in this list."""
        rows = self._world.all(self._target)
        named = [(row, name) for row, value in zip(rows, self.values(rows), strict=True) if (name := name_in(value))]
        self._rows = [row for row, _ in named]
        self._place = {id(row): place for place, (row, _) in enumerate(named)}
        return [name for _, name in named]

    def values(self, rows: Sequence[Row]) -> Iterable[Value]:
        """What the expression gives for each of all rows."""
        if isinstance(self.theirs, s.Path) and isinstance(self.theirs.base, s.Name) and self.theirs.base.id == self._target:
            return self._world.values(self._target, self.theirs.field)
        return (self._code({**self._world.base, self._target: row}) for row in rows)

    def row(self, place: int) -> Row | None:
        """The row whose name is at a place in the index; None if it is gone."""
        return self._rows[place]

    def _name(self, row: Row) -> str:
        return name_in(self._code({**self._world.base, self._target: row}))

    def add(self, row: Row) -> None:
        name = self._name(row)
        if name:
            self._place[id(row)] = len(self._rows)
            self._index.add(name, len(self._rows))
            self._rows.append(row)

    def remove(self, row: Row) -> None:
        name = self._name(row)
        if name:
            place = self._taken(row)
            self._index.remove(name, place)
            self._rows[place] = None

    def _taken(self, row: Row) -> int:
        """The place of a row that goes."""
        return self._place.pop(id(row))

    def search(self, name: str, least: float, group: bool, only: Callable[[Row], bool], within: float) -> list[tuple[float, Row]]:
        """(score, row) of the rows whose names are the same company at least so likely, the best first; of equals by their ids. `only` says
        which rows may be found at all. Rows with a score below the best one by more than `within` may be left out.
        """
        row_at = self.row
        hits = self._index.search(name, least, group, lambda place: (row := row_at(place)) is not None and only(row), within)
        return sorted([(score, row) for score, place in hits if (row := row_at(place)) is not None], key=lambda x: (-x[0], by_id(x[1])))


def by_id(row: Row) -> str:
    return str(row["id"])


def name_in(value: Value) -> str:
    """A value as a name to be searched; empty where it is none."""
    return value if isinstance(value, str) and value.strip() else ""


def keys_of_value(kind: str, value: Value) -> tuple[Value, ...]:
    """What a row with this value is looked up by."""
    if value is None or isinstance(value, dict) or isinstance(value, list) is not (kind == "among"):
        return ()
    if kind == "among":
        return tuple(dict.fromkeys(map(_key, value)))
    return blocking_keys(value) if kind == "block" else (value,)


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
