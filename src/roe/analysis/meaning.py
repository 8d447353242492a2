"""What the parts of a policy mean, as text: two parts with one meaning have one text, however they are written.

An expression is spelt one way: names in full, definitions written out, lists by what is in them, operands in one order. A part of the plan is
the text of all its fields, found by walking its dataclass, so that a new field counts from the day on which it is added. What changes nothing is
named in `UNIMPORTANT`, and a test walks all fields of all parts.

Every part also *mentions* the computed fields and the lists that are left in it. Its text is its meaning only if those mean the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from roe.analysis.constants import folded, kinds, simplified
from roe.analysis.spelling import existence, plainly, spelt
from roe.analysis.writing_out import Key
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.calls import argument_order
from roe.grammar.functions import BY_NAME
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.types import Type
from roe.plan.operators import TEMPLATE, Choose, Derive, Expr, Relate, Rule
from roe.policy.model import Policy
from roe.source import Inline, Text

UNIMPORTANT = {  # fields that say where a part stands or how it is shown, by class
    "Expr": ("text",), "Rule": ("name",), "Derive": ("entity", "name", "stage"), "Choose": ("entity", "name", "stage"), "Relate": ("entity", "name", "stage"),
    "Allocate": ("text",), "Claims": ("text",), "Field": ("span", "standard"), "Type": ("declared",),
}  # fmt: skip
UNORDERED = {("Derive", "group"), ("Derive", "vacant"), ("Field", "aliases"), ("Crm", "queues"), ("Crm", "territories")}
MOST_NODES = 4_000  # of a tree with definitions written out
MOST_KEPT = 20_000  # texts of expressions
MOST_LISTED = 200  # values of a list that is written out
MOST_EXACT = 10**6  # of the weights, and of their denominators, that turns do not round
ITEM = s.Name("item")
MATCHED = "matched_account"


@dataclass(frozen=True, slots=True)
class NameFrame:
    """A filter or a loop around an expression: what its items are called, and their entity, if that is known.

    In a filter a bare name may be a field of the item, in a loop it never is, also where the variable is called `item`.
    """

    name: str
    entity: str | None
    is_filter: bool


Frames = tuple[NameFrame, ...]


class Meaning:
    """The meaning of everything in one policy. `labels` and `lists` are other names for its computed fields and lists."""

    def __init__(self, policy: Policy, labels: Mapping[Key, str], lists: Mapping[str, str]) -> None:
        self.policy, self.labels, self.lists = policy, labels, lists
        self.known_lists = {*policy.plan.lists, *policy.plan.dated_lists}
        self._definitions: dict[Key, s.Node | None] = {}
        self._texts: dict[tuple[int, str], tuple[s.Node, str, set[str]]] = {}  # by the identity of a tree, and the entity it is about
        self._steps: dict[Key, tuple[str, set[str]]] = {}

    def forget(self) -> None:
        """Names have changed: what was written out is written again."""
        self._definitions.clear()
        self._texts.clear()
        self._steps.clear()

    # --- expressions ------------------------------------------------------------------------------------------------

    def condition(self, tree: s.Node, entity: str) -> s.Node:
        """A condition of which only matters whether it is true. Its `and`, `or` and `not` stay as they are: cells take them apart."""
        if isinstance(tree, (s.And, s.Or)):
            return replace(tree, items=tuple(self.condition(x, entity) for x in tree.items))
        return existence(self._tree(tree, entity, ()))

    def value(self, tree: s.Node, entity: str) -> s.Node:
        """An expression whose value matters."""
        return spelt(self._tree(tree, entity, ()), False)

    def _tree(self, node: s.Node, entity: str, frames: Frames) -> s.Node:
        if isinstance(node, s.Literal):
            return s.Literal(node.value, "") if isinstance(node.value, (timedelta, v.Months)) else node
        if isinstance(node, s.Name):
            return self._name(node, entity, frames)
        if isinstance(node, s.Path):
            return self._path(node, entity, frames)
        if isinstance(node, s.Filter):
            base = self._tree(node.base, entity, frames)
            _, of = self._kind(base, entity, frames)
            inner = self._tree(node.condition, entity, (*frames, NameFrame("item", of, True)))
            return s.Filter(base, spelt(inner, True))
        if isinstance(node, s.Quantified):
            return self._quantified(node, entity, frames)
        if isinstance(node, s.For):
            bindings, body = self._loop(node.bindings, node.body, entity, frames)
            return s.For(bindings, body)
        if isinstance(node, s.Call):
            return self._call(node, entity, frames)
        if isinstance(node, s.In) and len(node.tests) == 1 and isinstance(node.tests[0], s.Name) and frames:
            return self._member(node, entity, frames)
        made = simplified(s.mapped(node, lambda x: self._tree(x, entity, frames)), kinds(lambda x: self._type_name(x, entity, frames)))
        if isinstance(made, s.If):
            return replace(made, condition=spelt(made.condition, True))
        return spelt(made, False) if frames else plainly(made)

    def _call(self, node: s.Call, entity: str, frames: Frames) -> s.Node:
        order = argument_order(node) if node.function in BY_NAME else None
        args = tuple(self._tree(x, entity, frames) for x in node.args)
        if order is not None and None not in order:
            return folded(s.Call(node.function, tuple(args[i] for i in order if i is not None), ("",) * len(order)))
        return folded(replace(node, args=args))

    def _name(self, node: s.Name, entity: str, frames: Frames) -> s.Node:
        for depth, frame in enumerate(reversed(frames)):
            if node.id == frame.name or (frame.is_filter and frame.entity is None):
                return node
            if frame.is_filter and frame.entity is not None and self._has(frame.entity, node.id):
                return self._labelled(s.Path(ITEM, node.id), frame.entity) if depth == 0 else node
        if node.id in self.known_lists:
            return s.Name(self.lists.get(node.id, node.id))
        hidden = any(f.name == entity or (f.is_filter and f.entity is not None and self._has(f.entity, entity)) for f in frames)
        if node.id not in ("today", "now", "?", "item", entity) and self._has(entity, node.id) and not hidden:
            return self._path(s.Path(s.Name(entity), node.id), entity, frames)
        return node

    def _path(self, node: s.Path, entity: str, frames: Frames) -> s.Node:
        base = self._tree(node.base, entity, frames)
        if base == s.Name(entity):
            written = self._definition(entity, node.field)
            if written is not None and not _captured(written, frames, self):
                return written
        _, of = self._kind(base, entity, frames)
        return self._labelled(s.Path(base, node.field), of)

    def _labelled(self, node: s.Path, entity: str | None) -> s.Node:
        return node if entity is None else replace(node, field=self.labels.get((entity, node.field), node.field))

    def _has(self, entity: str, name: str) -> bool:
        return name in self.policy.model.entities.get(entity, ()) or (entity, name) in self.policy.plan.steps

    def _definition(self, entity: str, name: str) -> s.Node | None:
        """What a definition says about its own record, which is there."""
        key = (entity, name)
        if key not in self._definitions:
            self._definitions[key] = None  # one that rests on itself is not written out
            step = self.policy.plan.steps.get(key)
            if isinstance(step, Derive) and step.expr is not None and step.frozen is None and step.among is None:
                tree = self._tree(step.expr.tree, entity, ())
                small = sum(1 for _ in itertools.islice(s.walk(tree), MOST_NODES)) < MOST_NODES
                self._definitions[key] = tree if small else None
        return self._definitions[key]

    def _quantified(self, node: s.Quantified, entity: str, frames: Frames) -> s.Node:
        only = node.bindings[0]
        source = self._tree(only.source, entity, frames)
        kind, of = self._kind(source, entity, frames)
        others = s.names(node.condition) - {only.name}
        if (
            node.kind != "some" or len(node.bindings) > 1 or kind != "list" or of is None or _nested(node.condition, only.name)
            or any(self._has(of, name) for name in others)  # a filter would take it for a field of the item
        ):  # fmt: skip
            bindings, condition = self._loop(node.bindings, node.condition, entity, frames)
            return replace(node, bindings=bindings, condition=condition)
        inner = self._tree(_renamed(node.condition, only.name), entity, (*frames, NameFrame("item", of, True)))
        return s.Quantified("some", (s.Binding("item", source),), spelt(inner, True))

    def _loop(self, bindings: tuple[s.Binding, ...], body: s.Node, entity: str, frames: Frames) -> tuple[tuple[s.Binding, ...], s.Node]:
        bound = []
        for binding in bindings:
            source = self._tree(binding.source, entity, frames)
            until = self._tree(binding.until, entity, frames) if binding.until is not None else None
            bound.append(s.Binding(binding.name, source, until))
            _, of = self._kind(source, entity, frames)
            frames = (*frames, NameFrame(binding.name, of, False))
        return tuple(bound), self._tree(body, entity, frames)

    def _member(self, node: s.In, entity: str, frames: Frames) -> s.Node:
        """`x in a_list` by what is in the list, where that is short."""
        value, test = self._tree(node.value, entity, frames), self._tree(node.tests[0], entity, frames)
        name = node.tests[0].id if isinstance(node.tests[0], s.Name) else ""
        members = self.policy.plan.lists.get(name)
        if members is None or len(members) > MOST_LISTED or not isinstance(test, s.Name):
            return replace(node, value=value, tests=(test,))
        return spelt(replace(node, value=value, tests=tuple(s.Literal(x, "") for x in members)), False)

    def _kind(self, node: s.Node, entity: str, frames: Frames) -> tuple[str, str | None]:
        """(record, list or nothing that is known, the entity) of an expression that was spelt by this class."""
        if isinstance(node, s.Name):
            for frame in reversed(frames):
                if node.id == frame.name:
                    return ("record", frame.entity) if frame.entity is not None else ("", None)
            return ("record", node.id) if node.id in self.policy.model.entities else ("", None)
        if isinstance(node, s.Filter):
            kind, of = self._kind(node.base, entity, frames)
            number = isinstance(node.condition, s.Literal) and v.is_number(node.condition.value)
            return ("record" if number and kind == "list" else kind, of) if kind else ("", None)
        return self._kind_of_field(node, entity, frames) if isinstance(node, s.Path) else ("", None)

    def _type(self, node: s.Path, entity: str, frames: Frames) -> Type | None:
        """The type of a field of a record, or of the records of a list, under the name that it has here."""
        _, of = self._kind(node.base, entity, frames)
        name = next((n for (e, n), label in self.labels.items() if e == of and label == node.field), node.field)
        return self.policy.model.field_type(of, name) if of is not None else None

    def _type_name(self, node: s.Node, entity: str, frames: Frames) -> str:
        """The type of one record's field; '' for anything else."""
        if isinstance(node, s.Path) and self._kind(node.base, entity, frames)[0] == "record":
            known = self._type(node, entity, frames)
            return known.name if known is not None else ""
        return ""

    def _kind_of_field(self, node: s.Path, entity: str, frames: Frames) -> tuple[str, str | None]:
        kind, _ = self._kind(node.base, entity, frames)
        if kind == "owners":
            return "record", "rep"
        field = self._type(node, entity, frames)
        if field is None:
            return "", None
        if field.name == "owners":
            return "owners", None
        of, kind = (field.item, "list") if field.name == "list" else (field, kind)
        return (kind, of.entity) if of is not None and of.entity else ("", None)

    # --- parts of the plan ------------------------------------------------------------------------------------------

    def text(self, part: Value, entity: str = "", mentions: set[str] | None = None, whole: bool = False) -> str:
        """A part as text. `mentions` gets every name in it; with `whole` every text of it, since a part may name a field."""
        names = mentions if mentions is not None else set()
        if type(part) in s.FIELDS:
            key = (id(part), entity)
            if key not in self._texts:
                if len(self._texts) >= MOST_KEPT:
                    self._texts.clear()
                tree = self.value(part, entity)
                self._texts[key] = part, show(tree), named_in(tree, entity)
            names |= self._texts[key][2]
            return self._texts[key][1]
        if isinstance(part, Expr):
            return self.text(part.tree, entity, names)
        if isinstance(part, str):
            if whole:
                names.add(str(part))
            return v.quote(str(part))
        if isinstance(part, Mapping):
            return (
                "{"
                + ", ".join(f"{self.text(k, entity, names, whole)}: {self.text(x, entity, names, whole)}" for k, x in part.items())
                + "}"
            )
        if isinstance(part, Sequence):
            return "[" + ", ".join(self.text(x, entity, names, whole) for x in part) + "]"
        if is_dataclass(part):
            return self._fields(part, str(getattr(part, "entity", "") or entity), names, whole)
        return f"{type(part).__name__} {part}"

    def _fields(self, part: Value, entity: str, names: set[str], whole: bool) -> str:
        kind = type(part).__name__
        said = []
        for f in fields(part):
            if f.name in UNIMPORTANT.get(kind, ()):
                continue
            value = getattr(part, f.name)
            if isinstance(value, Mapping) and (kind, f.name) in UNORDERED:
                value = dict(sorted(value.items()))
            if (kind, f.name) == ("Allocate", "members") and not isinstance(value, Expr):
                value = sorted(value, key=lambda member: self.text(member))  # of whom those with the same number of turns go by their ids
            if (kind, f.name) == ("Allocate", "weight") and isinstance(value, Expr):
                value = _shares(self.value(value.tree, entity))
            if (kind, f.name) == ("Derive", "frozen") and isinstance(value, tuple):
                value = _beginnings(*value)
            if (kind, f.name) == ("Claims", "blocked_by"):  # a refusal without a sentence names the rule
                value = [
                    replace(x, because=Text(f"`{x.name}` holds", Inline())) if isinstance(x, Rule) and not x.because else x for x in value
                ]
            if f.name == "because" and value is not None:
                said.append(f"{f.name}: {self.sentence(value, entity, names)}")
            else:
                said.append(f"{f.name}: {self.text(value, entity, names, whole)}")
        return f"{kind}({', '.join(said)})"

    def sentence(self, text: str, entity: str, names: set[str]) -> str:
        """A sentence with its expressions spelt one way."""
        pieces = TEMPLATE.split(text)
        for i in range(1, len(pieces), 2):
            tree = parse(pieces[i])[0]
            pieces[i] = "{" + self.text(tree, entity, names) + "}" if tree is not None else "{" + pieces[i] + "}"
        return v.quote("".join(pieces))

    def step(self, step: Derive | Choose | Relate, names: set[str]) -> str:
        """What a computed field means, but for its name."""
        key = (step.entity, step.name)
        if key not in self._steps:
            own = set[str]()
            if isinstance(step, Derive):
                own |= {*(step.group or {}).values()} | ({f"{step.name}_within"} if step.among is not None else set())
            self._steps[key] = self.text(step, step.entity, own), own
        text, own = self._steps[key]
        names |= own
        return text


def _shares(tree: s.Node) -> s.Node:
    """A weight that is one of a few numbers, as the smallest whole numbers in the same proportions: turns go by shares of the sum."""
    leaves: list[Fraction] = []
    node = tree
    while isinstance(node, (s.If, s.Literal)):
        leaf = node.then if isinstance(node, s.If) else node
        if not isinstance(leaf, s.Literal) or not v.is_number(leaf.value):
            return tree
        leaves.append(_weight(leaf.value))
        if isinstance(node, s.Literal):
            break
        node = node.otherwise
    else:
        return tree
    scale = math.lcm(*(x.denominator for x in leaves))
    common = math.gcd(*(int(x * scale) for x in leaves)) or 1
    if scale > MOST_EXACT or any(x > MOST_EXACT for x in leaves):
        return tree

    def divided(node: s.Node) -> s.Node:
        if isinstance(node, s.If):
            return replace(node, then=divided(node.then), otherwise=divided(node.otherwise))
        assert isinstance(node, s.Literal)
        return s.Literal(int(_weight(node.value) * scale) // common, "")

    return divided(tree)


def _weight(value: Value) -> Fraction:
    """A weight as turns count it: one below nothing is nothing."""
    return max(Fraction(str(value)), Fraction())


def _beginnings(first: date, months: int) -> tuple[int, int, int]:
    """Where in a year periods begin: they go on before the first and after it, so one that begins a whole number of them away is the same."""
    return first.month % months, first.day, months


def named_in(tree: s.Node, entity: str) -> set[str]:
    """Every name in a tree that may be a computed field or a list. The account of a lead may be one that was matched."""
    names: set[str] = set()
    for n in s.walk(tree):
        if isinstance(n, s.Path):
            names |= {n.field, MATCHED} if n.field == "account" else {n.field}
        elif isinstance(n, s.Name):
            names |= {n.id, MATCHED} if n.id == "account" != entity else {n.id}
    return names


def _nested(tree: s.Node, name: str) -> bool:
    """Whether an `item` of its own, or a loop, stands inside."""
    return (
        any(isinstance(n, (s.Filter, s.Quantified, s.For)) or (isinstance(n, s.Name) and n.id == "item") for n in s.walk(tree))
        and name != "item"
    )


def _renamed(tree: s.Node, name: str) -> s.Node:
    """The tree with the items of a loop called `item`."""
    if isinstance(tree, s.Name):
        return ITEM if tree.id == name else tree
    return s.mapped(tree, lambda x: _renamed(x, name))


def _captured(tree: s.Node, frames: Frames, meaning: Meaning) -> bool:
    """Whether a name of a definition would mean something else inside of these filters and loops."""
    free = s.names(tree) if frames else set()
    return any(
        name == frame.name or (frame.is_filter and (frame.entity is None or meaning._has(frame.entity, name)))
        for frame in frames
        for name in free - {"item"}
    )
