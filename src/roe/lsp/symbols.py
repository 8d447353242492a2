"""Where the names of a policy are declared and used: fields, definitions, lists and pools, to the character."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from roe.grammar import check
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.grammar.types import Type
from roe.plan.operators import Action, Choose, Derive, Expr
from roe.policy.loader import Map
from roe.policy.model import Policy
from roe.source import Inline, SameOrigin, Span, Text, span_of
from roe.stages import STAGES
from roe.words import some

Name = tuple[str, str]  # (field, list or pool; `account.size`, `strategic`, `emea-sdr`)


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a name stands, and nothing but the name."""

    name: Name
    span: Span
    declares: bool = False


def uses(policy: Policy, files: list[tuple[str, object]], checked: list[tuple[Expr, Names]]) -> list[Use]:
    """Every use and declaration in a policy, its files and its expressions."""
    every = [*_declared(files), *_in_expressions(policy, checked), *_in_rules(policy)]
    return list({(u.name, u.span): u for u in reversed(every)}.values())


def _declared(files: list[tuple[str, object]]) -> Iterator[Use]:
    for _, content in files:
        if isinstance(content, Map):
            yield from _fields_declared(content)
            yield from (Use(("list", str(key)), span_of(key), True) for key in content.get("lists") or {})
            yield from (Use(("pool", str(key)), span_of(key), True) for key in content.get("pools") or {})


def _fields_declared(content: Map) -> Iterator[Use]:
    """The fields of `fields:`, and those that the sections of stages declare: see `Stage.fields_in` and `Stage.names_in`."""
    for entity, fields in (content.get("fields") or {}).items():
        yield from (Use(("field", f"{entity}.{name}"), span_of(name), True) for name in fields)
    for section in (section for stage in STAGES for section in stage.fields_in):
        given = content.get(section) or {}
        for key in given:
            entity, _, name = str(key).partition(".")
            yield Use(("field", f"{entity}.{name}"), span_of(key, len(entity) + 1, len(key)), isinstance(given, Map))
    for section in (section for stage in STAGES for section in stage.names_in):
        for key, spec in (content.get(section) or {}).items():
            given = spec.get("for") if isinstance(spec, Map) else None
            entity = str((given[0] if isinstance(given, list) else given) or "account")
            yield Use(("field", f"{entity}.{key}"), span_of(key), True)


def _in_expressions(policy: Policy, checked: list[tuple[Expr, Names]]) -> Iterator[Use]:
    lists = {*policy.plan.lists, *policy.plan.dated_lists}
    for expr, names in checked:
        if isinstance(expr.text.origin, (SameOrigin, Inline)):
            continue  # a stage wrote it
        watcher = _Watcher(expr.text, lists)
        watcher.type_of(expr.tree, names)
        yield from watcher.uses


def _in_rules(policy: Policy) -> Iterator[Use]:
    """Pools that rules route to and that pools fall back on."""
    for rules in policy.plan.engagement.values():
        for rule in rules.rules:
            for action in rule.value.with_otherwise() if isinstance(rule.value, Action) else ():
                if action.kind == "route" and isinstance(action.pool, Text):
                    yield Use(("pool", str(action.pool)), action.pool.span())
    for pool in policy.plan.pools.values():
        if pool.fallback is not None and str(pool.fallback) in policy.plan.pools:
            yield Use(("pool", str(pool.fallback)), pool.fallback.span())


class _Watcher(check.Checker):
    """The type checker, which notes where each field and list stands and keeps its findings to itself."""

    def __init__(self, text: Text, lists: set[str]) -> None:
        super().__init__(text)
        self.lists = lists
        self.uses: list[Use] = []
        self._at: s.Node | None = None

    def say(self, code: str, node: s.Node, message: str, help: str, related: object = ()) -> Type:
        return t.ANY

    def Name(self, node: s.Name, names: Names) -> Type:
        if node.id in self.lists:
            self.uses.append(Use(("list", node.id), span_of(self.text, *node.at)))
        self._at = node
        return super().Name(node, names)

    def Path(self, node: s.Path, names: Names) -> Type:
        base = self.type_of(node.base, names)
        inner = base.item if base.name == "list" and base.item is not None else base
        self._note(inner, node.field, (node.at[1] - len(node.field), node.at[1]))
        return super().Path(node, names)

    def _field(self, of: Type, name: str, names: Names) -> Type | None:
        kind = super()._field(of, name, names)
        if kind is not None and isinstance(self._at, s.Name) and self._at.id == name:
            self._note(of, name, self._at.at)
            self._at = None
        return kind

    def _in_the_past(self, node: s.Call, args: list[Type], names: Names) -> Type:
        field = node.args[1]
        if node.function == "value_at" and isinstance(field, s.Literal) and isinstance(field.value, str):
            end = field.at[1] - self.text.startswith('"', field.at[0])  # `value_at(lead, "stage", …)` or `value_at(lead.stage, …)`
            self._note(args[0], field.value, (end - len(field.value), end))
        return super()._in_the_past(node, args, names)

    def _note(self, of: Type, name: str, at: tuple[int, int]) -> None:
        if of.name == "record" and of.entity and of.fields is None:
            self.uses.append(Use(("field", f"{of.entity}.{name}"), span_of(self.text, *at)))


def described(policy: Policy, name: Name) -> str:
    """What a name means, in Markdown: its type, values and columns, or what it says."""
    kind, key = name
    return {"list": _list_described, "pool": _pool_described, "field": _field_described}[kind](policy, key)


def _list_described(policy: Policy, name: str) -> str:
    values = policy.plan.lists.get(name) or [str(x.value) for x in policy.plan.dated_lists.get(name, ())]
    return f"**list `{name}`** of {len(values)} values\n\n{some([f'`{x}`' for x in values], 8)}"


def _pool_described(policy: Policy, name: str) -> str:
    pool = policy.plan.pools[name]
    members = f"`{pool.members.text}`" if isinstance(pool.members, Expr) else ", ".join(f"`{m.value}`" for m in pool.members)
    caps = ", ".join(f"{cap} {expr.text}" for cap, expr in pool.caps.items())
    rest = "".join(f"\n\n{k}: {x}" for k, x in (("caps", caps), ("fallback", pool.fallback)) if x)
    return f"**pool `{name}`** ({pool.strategy.replace('_', ' ')})\n\nmembers: {members}{rest}"


def _field_described(policy: Policy, key: str) -> str:
    entity, _, field = key.partition(".")
    type_ = policy.model.field_type(entity, field)
    paragraphs = [f"**`{key}`**: {type_}" if type_ is not None else f"**`{key}`**"]
    if type_ is not None and type_.values:
        paragraphs.append("values: " + ", ".join(f"`{x}`" for x in type_.values[:20]))
    step = policy.plan.steps.get((entity, field))
    known = policy.model.entities.get(entity, {}).get(field)
    if isinstance(step, Derive) and step.expr is not None:
        paragraphs.append(f"computed ({step.stage}):\n```\n{step.expr.text}\n```")
    elif isinstance(step, Choose):
        paragraphs.append(f"computed ({step.stage}) by {len(step.rules)} rules, hit policy {step.hit}")
    elif known is not None and known.columns:
        paragraphs.append("column " + " or ".join(f"`{c}`" for c in known.columns))
    elif known is not None and known.via:
        paragraphs.append(f"the records whose `{known.via}` " + (f"is equal to its `{known.key}`" if known.key else "it is"))
    return "\n\n".join(paragraphs)
