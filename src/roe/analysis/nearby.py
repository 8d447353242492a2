"""Values near to a present one, what a change to them costs, and which changes do harm: what `facts.py` chooses among."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

from roe.dynamic import Value
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.scopes import IMPLICIT, Scope
from roe.plan.subjects import Test, places_of

Accept = Callable[[Value], bool]
RECORDS = 6  # related records that are tried
TRIED = 400  # rows of a long table that are looked at
POOL = 12  # values that the data has in a field, the most frequent first


def nearest(test: Test, passes: Accept, now: object) -> list[object]:
    """Values from the cells of a test that pass it: its constants, and a value from below, between and above them."""
    candidates = [*test.points, *(x for x in places_of(test.points) if x is not None)] if test.gaps else list(test.points)
    close = [y for x in test.points for y in neighbours(x)] if test.gaps else []
    return sorted((x for x in [*candidates, *close] if can_be_typed(x) and passes(x)), key=lambda x: apart(now, x))[:POOL]


def can_be_typed(value: object) -> bool:
    """Whether a person can enter a value: the text just above another one ends in a character that nobody types."""
    return not isinstance(value, str) or value.isprintable()


def neighbours(value: object) -> list[Value]:
    """A value, and those just beside it."""
    if v.is_number(value):
        step = 1 if value == int(value) and abs(value) > 1 else 0.01
        return [value, v.number(round(value + step, 6)), v.number(round(value - step, 6))]
    if isinstance(value, datetime):
        return [value, *(x for d in (1, -1) if (x := v.add(value, timedelta(minutes=d))) is not None)]
    if isinstance(value, date):
        return [value, *(x for d in (1, -1) if (x := v.add(value, timedelta(days=d))) is not None)]
    return [value]


def moved(leaf: object, now: object, hints: Sequence[object]) -> list[Value]:
    """Hints for a part of an expression: those of the whole, and the part moved by what the whole is away from them."""
    values = list(hints)
    for hint in hints:
        if v.is_number(now) and v.is_number(hint) and v.is_number(leaf):
            values += [v.add(leaf, v.subtract(hint, now)), v.subtract(leaf, v.subtract(hint, now))]
            values += [v.multiply(leaf, ratio)] if now and (ratio := v.divide(hint, now)) is not None else []
        elif isinstance(leaf, date) and isinstance(now, date) and isinstance(hint, date):
            gap = v.subtract(hint, now)
            if isinstance(gap, timedelta):
                values += [v.add(leaf, gap), v.subtract(leaf, gap)]
    return [x for x in values if x is not None]


def mails(value: object, hints: Sequence[object]) -> list[str]:
    """The address with another domain, where the expression may be about its domain."""
    if not isinstance(value, str) or value.count("@") != 1:
        return []
    return [f"{value.partition('@')[0]}@{h}" for h in hints if isinstance(h, str) and "." in h and "@" not in h]


def leaves(tree: s.Node) -> Iterator[s.Node]:
    """The names and paths in an expression that stand for one value each; nothing inside a loop or a filter."""
    if isinstance(tree, (s.Filter, s.Quantified, s.For, s.Literal)):
        return
    if isinstance(tree, s.Path):
        if any(isinstance(n, (s.Filter, s.Call)) for n in s.walk(tree)):
            yield from leaves(tree.base)
        else:
            yield tree
    elif isinstance(tree, s.Name):
        yield tree
    else:
        for child in s.children(tree):
            yield from leaves(child)


def above(least: float) -> Accept:
    return lambda x: v.is_number(x) and x > least


def bound_to(scope: Scope, name: str, item: Row) -> Scope:
    """The scope of a quantifier's condition for one item."""
    return {**scope, name: item}


def filtered(scope: Scope, item: Row, condition: s.Node) -> Scope:
    """The scope of a filter's condition for one item, as the evaluator makes it."""
    inner = {**scope, "item": item, IMPLICIT: item}
    for node in s.walk(condition):
        if isinstance(node, s.Name) and node.id in item:
            inner[node.id] = item[node.id]
    return inner


def apart(now: object, value: object) -> tuple[float, str]:
    """How far a value is from the present one: 0 to 1, then a value of another kind, then none."""
    if value is None:
        return 3.0, ""
    if v.is_number(now) and v.is_number(value):
        return abs(float(now) - float(value)) / (1 + abs(float(now)) + abs(float(value))), str(value)
    if isinstance(now, date) and isinstance(value, date):
        gap = v.subtract(value, now)
        days = abs(gap.total_seconds()) / 86400 if isinstance(gap, timedelta) else 1000
        return days / (days + 100), str(value)
    return 1.0 if now is not None else 2.0, ""


def waiting(now: datetime, until: date) -> float:
    """What a wait costs: nothing much for days, as much as a record's field for a month or two."""
    days = (date(until.year, until.month, until.day) - now.date()).days
    return min(8.0, 0.2 + days / 60)


def price(row: Row, name: str, before: object, after: object) -> float:
    """What a field's change costs: facts that are the record's own and may be corrected are cheap, its history is not."""
    if name.startswith("owner."):
        return 25.0  # it begs the question: anything else comes first
    cost = 1.0 + apart(before, after)[0]
    kind = row.world.policy.model.entities[row.entity][name].type.name
    if kind == "record":
        cost += 2.0
    elif kind in ("date", "date and time"):
        cost += 4.0
    if name in ("name", "email", "domain", "company"):
        cost += 3.0  # which say what the record is
    return cost + (2.0 if row.entity == "rep" else 0.0)


def harmful(row: Row, name: str, before: Value, after: Value, asker: Row) -> bool:
    """Whether a change takes something from a rep: nobody is told to be inactive, to leave, or to have less."""
    if row.entity == "leave":
        return True
    if row.entity != "rep":
        return False
    kind = row.world.policy.model.entities["rep"][name].type.name
    if row is not asker:
        return kind != "record"
    if name in ("name", "email", "first_name", "last_name"):
        return True
    if name == "active":
        return after is not True
    if name == "ends":
        return after is not None and (before is None or after < before)
    if name == "starts":
        return after is not None and (before is None or after > before)
    if kind == "number":
        return after is None or (before is not None and after < before)
    return kind == "boolean" and after is not True
