"""A policy as JSON, and back: the model, the plan with its syntax trees, and where every text stands.

A value is itself, or a list whose first item says what it is: a class of the plan by name, a text with its origin, a
tuple, list, dict, or temporal value. Only the classes named here can come out of it.

The conditions of rules are most of a large policy, and few commands ask for them: each rule's are a text of JSON of their own, which
is read when somebody does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar, overload

from roe.dynamic import Json, Value
from roe.files import read_text
from roe.grammar import parser
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Fiscal
from roe.grammar.types import Type
from roe.node import is_node, names_of
from roe.plan import operators as o
from roe.plan import parts
from roe.plan.plan import Plan
from roe.plan.standard import TEXTS
from roe.policy.model import DataSource, Field, Keys, Model, Policy, standard_fields
from roe.source import Added, Cell, Inline, Origin, SameOrigin, Scalar, Span, Text

# every node of a plan, whichever stage has it
_NODES = [
    c for module in (o, parts) for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__ and is_node(c)
]
_PLAN = (*_NODES, Field, Keys, DataSource, Type)
CLASSES: dict[str, type] = {**s.NODES, **{c.__name__: c for c in _PLAN}, "Span": Span}
T = TypeVar("T")
Stored = Any  # JSON: a text, a number, a list that begins with the name of what it holds, or null
_FIELDS = {name: names_of(c) for name, c in CLASSES.items()}
_TEMPORAL = (date, datetime, time, timedelta)


class LazyTuple(Sequence[T]):
    """Rules, or their conditions, that are made from what was kept when they are asked for; also from a text of JSON."""

    __slots__ = ("_given", "_made", "_make")

    def __init__(self, stored: list[Stored] | str, make: Callable[[Stored], T]) -> None:
        self._given, self._make = stored, make
        self._made: dict[int, T] = {}

    @property
    def _stored(self) -> list[Stored]:
        stored = self._given
        if isinstance(stored, str):
            stored = self._given = json.loads(stored)
        return stored

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        if isinstance(at, slice):
            return tuple(self[i] for i in range(*at.indices(len(self))))
        at = range(len(self._stored))[at]
        item = self._made.get(at)
        if item is None:
            item = self._made[at] = self._make(self._stored[at])
        return item

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, LazyTuple)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


class LazyRules(LazyTuple[o.Rule]):
    """The rules of a step, as they were kept."""

    __slots__ = ()

    def names(self) -> list[str]:
        """Of every rule; none is made for it."""
        return [name if type(name) is str else str(name[1]) for _, name, *_ in self._stored]


def rule_names(rules: Sequence[o.Rule]) -> list[str]:
    """The names of rules, in their order."""
    return rules.names() if isinstance(rules, LazyRules) else [str(rule.name) for rule in rules]


# --- writing --------------------------------------------------------------------------------------------------------


class PolicyWriter:
    def __init__(self) -> None:
        self.excerpts: dict[str, int] = {}
        self.conditions: list[str] = []  # of each rule, as JSON

    def value(self, x: Value) -> Stored:
        if x is None or type(x) in (bool, int, float, str):
            return x
        if isinstance(x, Text):
            return ["T", str(x), self.origin(x.origin)]
        if isinstance(x, str):
            return str(x)
        name = type(x).__name__
        if type(x) in s.FIELDS:  # their places, two numbers, stand at the end
            return [name, *(self.value(getattr(x, f)) for f in s.FIELDS[type(x)] if f != "at"), *x.at]
        if type(x) is o.Rule:
            return self._rule(x)
        if CLASSES.get(name) is type(x):
            return [name, *(self.value(getattr(x, f)) for f in _FIELDS[name])]
        if isinstance(x, (tuple, LazyTuple)):
            return ["t", *map(self.value, x)]
        if isinstance(x, list):
            return ["l", *map(self.value, x)]
        if isinstance(x, dict):
            return ["d", *([self.value(k), self.value(y)] for k, y in x.items())]
        if isinstance(x, v.Months):
            return ["m", x.months]
        if isinstance(x, v.CalendarDays):
            return ["c", x.days]
        if isinstance(x, v.WorkingDays):
            return ["w", x.days]
        if isinstance(x, v.WorkingHours):
            return ["h", x.hours]
        if isinstance(x, _TEMPORAL):
            return ["v", v.literal(x)]
        raise TypeError(f"a {type(x)} is not kept")

    def _rule(self, rule: o.Rule) -> Stored:
        """A rule, with the number of its conditions in place of them."""
        own = [self.value(condition) for condition in rule.conditions]
        self.conditions.append(json.dumps(own, ensure_ascii=False, separators=(",", ":")))
        name, _, *rest = (getattr(rule, f) for f in _FIELDS["Rule"])
        return ["Rule", self.value(name), len(self.conditions) - 1, *map(self.value, rest)]

    def origin(self, x: Value) -> Stored:
        if isinstance(x, Scalar):
            return ["S", x.file, x.start, x.end, x.style]
        if isinstance(x, KeptScalar):  # a policy that was kept can be written again
            return ["S", *x.at]
        if isinstance(x, Cell):
            return ["C", x.file, x.line, x.index, self.excerpts.setdefault(x.excerpt, len(self.excerpts)), x.delimiter, x.name]
        if isinstance(x, Inline):
            return ["I", x.name]
        return ["A" if isinstance(x, Added) else "H", self.value(x.text)]


def write_policy(policy: Policy) -> Json:
    w = PolicyWriter()
    plan, model = policy.plan, policy.model
    said = [
        piece
        for step in (*plan.steps.values(), *plan.engagement.values())
        if isinstance(step, o.Choose)
        for rule in step.rules
        for piece in _pieces(rule)
    ]
    trees = [[piece, w.value(tree)] for piece in dict.fromkeys((*TEXTS, *said)) if (tree := parser.parse(piece)[0]) is not None]
    return {
        "name": policy.name, "timezone": policy.timezone, "calendar": policy.calendar,
        "hours": w.value(policy.hours), "fiscal": [policy.fiscal.starts, policy.fiscal.named_by_end], "profile": policy.profile, "files": list(policy.files),
        "data": w.value(dict(policy.data)), "roles": model.roles(),
        "entities": [[e, [name if _is_standard(policy, e, name) else w.value(f) for name, f in fs.items()]] for e, fs in model.entities.items()],
        "types": [[*key, w.value(model.field_type(*key))] for key in model.steps],
        "steps": [[*key, w.value(step)] for key, step in plan.steps.items()],
        "engagement": [[*key, w.value(step)] for key, step in plan.engagement.items()],
        "pools": w.value(dict(plan.pools)),
        "parts": w.value({name: dict(section) if isinstance(section, Mapping) else section for name, section in plan.parts.items()}),
        "lists": w.value(dict(plan.lists)), "dated": w.value(dict(plan.dated_lists)),
        "trees": trees, "excerpts": list(w.excerpts), "conditions": w.conditions,
    }  # fmt: skip


def _is_standard(policy: Policy, entity: str, name: str) -> bool:
    """Whether a field is as roe itself has it, so that its name is enough: what is kept counts for this roe alone."""
    return standard_fields(policy.profile).get(entity, {}).get(name) is policy.model.entities[entity][name]


def _pieces(rule: o.Rule) -> list[str]:
    to = rule.value.refers() if isinstance(rule.value, o.Action) else ""
    return [*o.TEMPLATE.split(rule.because or "")[1::2], *o.TEMPLATE.split(to)[1::2]]


# --- reading --------------------------------------------------------------------------------------------------------


_BY_LETTER: Mapping[str, Callable[[list[Value]], Value]] = {
    "t": tuple, "l": list, "m": lambda x: v.Months(*x), "c": lambda x: v.CalendarDays(*x), "w": lambda x: v.WorkingDays(*x),
    "h": lambda x: v.WorkingHours(*x), "v": lambda x: v.parse_temporal("".join(x).removeprefix('@"').removesuffix('"')),
}  # fmt: skip


class PolicyReader:
    """A policy from what was kept. Raises KeyError, TypeError, ValueError or IndexError for what nobody wrote."""

    def __init__(self, stored: Json, root: Path, sources: Mapping[str, str] | None = None) -> None:
        """`sources` are the texts of files of the policy, where these cannot be read here."""
        self.stored, self.root = stored, root
        self._sources: dict[str, str] = dict(sources or {})

    def source(self, file: str) -> str:
        """A policy file's text: read again only when a place in it is to be shown."""
        text_of_file = self._sources.get(file)
        if text_of_file is None:
            text, _ = read_text(self.root / file, file, 1 << 30)
            text_of_file = self._sources[file] = text or ""
        return text_of_file

    def policy(self) -> Policy:
        stored = self.stored
        for piece, tree in stored["trees"]:
            parser.remember_kept("expr", piece, lambda tree=tree: self.value(tree))  # type: ignore[misc]
        model = Model([str(r) for r in stored["roles"]])
        standard = standard_fields(str(stored["profile"]))
        model.entities = {
            e: {f.name: f for f in (standard[e][f] if type(f) is str else self.value(f) for f in fs)} for e, fs in stored["entities"]
        }
        for e, name, kind in stored["types"]:
            model.steps[e, name] = lambda kind=kind: self.value(kind)  # type: ignore[misc]
        plan = Plan(
            {(e, name): self.value(step) for e, name, step in stored["steps"]},
            self.value(stored["pools"]),
            {(e, role): self.value(step) for e, role, step in stored["engagement"]},
            self.value(stored["lists"]),
            self.value(stored["dated"]),
            self.value(stored["parts"]),
        )
        model.tracked = set(plan.past.tracked)
        return Policy(
            self.root, str(stored["name"]), str(stored["timezone"]), str(stored["calendar"]), self.value(stored["hours"]),
            str(stored["profile"]), model, plan,
            self.value(stored["data"]), tuple(map(str, stored["files"])), Fiscal(*stored["fiscal"]),
        )  # fmt: skip

    def value(self, x: Stored) -> Value:
        if type(x) is not list:
            return x
        head = x[0]
        made = s.NODES.get(head)
        if made is not None:
            *given, start, end = x
            return made(*[self.value(y) if type(y) is list else y for y in given[1:]], (start, end))
        if head == "T":
            return Text(x[1], self.origin(x[2]))
        made = CLASSES.get(head)
        if made is o.Choose:
            return self._choose(x)
        if made is o.Rule:
            return self._rule(x)
        if head == "d":
            return {self.value(k): self.value(y) for k, y in x[1:]}
        rest = [self.value(y) if type(y) is list else y for y in x[1:]]
        if made is not None:
            return made(*rest)
        if head in _BY_LETTER:
            return _BY_LETTER[head](rest)
        raise ValueError(f"`{head}` is kept by nobody")

    def _choose(self, x: list[Stored]) -> o.Choose:
        *head, rules, default, priority = x[1:]
        entity, name, stage, hit = map(self.value, head)
        return o.Choose(entity, name, stage, hit, LazyRules(rules[1:], self.value), self.value(default), self.value(priority))

    def _rule(self, x: list[Stored]) -> o.Rule:
        name, conditions, *rest = x[1:]
        return o.Rule(self.value(name), LazyTuple(self.stored["conditions"][conditions], self.value), *map(self.value, rest))

    def origin(self, x: list[Stored]) -> Origin:
        if x[0] == "S":
            return KeptScalar(self, *x[1:])
        if x[0] == "C":
            _, file, line, index, excerpt, delimiter, name = x
            return Cell(file, line, index, self.stored["excerpts"][excerpt], delimiter, name)
        if x[0] == "I":
            return Inline(x[1])
        return (Added if x[0] == "A" else SameOrigin)(self.value(x[1]))


class KeptScalar:
    """The origin of a YAML scalar whose file is read when its place is asked for."""

    __slots__ = ("_reader", "at")

    def __init__(self, reader: PolicyReader, file: str, start: int, end: int, style: str) -> None:
        self._reader, self.at = reader, (file, start, end, style)

    def locate(self, text: str, start: int, end: int) -> Span:
        file, first, last, style = self.at
        return Scalar(file, self._reader.source(file), first, last, style).locate(text, start, end)
