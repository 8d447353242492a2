"""`scores:` points from criteria, tiers from tables, and the models of `models.py`; and `tables:`, decision tables of one's own."""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.grammar.types import Type
from roe.plan.operators import Choose, Rule
from roe.policy.context import Context
from roe.source import Text
from roe.stages import models


def sections(policy: dict[str, Any]) -> list[tuple[Text, Any, str]]:
    return [(n, s, k) for k in ("scores", "tables") for n, s in (policy.get(k) or {}).items()]


def entity_of(section: Any) -> str:
    given = section.get("for") or "account"
    return str(given[0] if isinstance(given, list) else given)


def declare(policy: dict[str, Any], cx: Context) -> None:
    for name, section, _kind in sections(policy):
        entity = entity_of(section)
        if entity not in cx.model.entities:
            cx.say(
                "R504", section["for"], f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "declare it under `fields:`")
            )
            continue
        if name in cx.model.entities[entity] or (entity, str(name)) in cx.model.steps:
            cx.say("R306", name, f"`{entity}.{name}` exists already", "choose another name")
            continue
        cx.model.steps[entity, str(name)] = lambda section=section, name=name: _type(section, cx, name)  # type: ignore[misc]
        given = [k for k in (*models.KINDS, "table", "rows") if section.get(k)]
        if len(given) > 1 and set(given) != {"criteria", "signals"}:
            cx.say(
                "R304", name, f"`{name}` is {' and '.join(given)} at once", "a score is one model: write the others as scores of their own"
            )
        for part, kind in models.parts_of(section, models.kind_of(section)):
            step = f"{name}{part}"
            if step in cx.model.entities[entity] or (entity, step) in cx.model.steps:
                cx.say("R306", name, f"`{entity}.{step}` exists already", "choose another name")
            cx.model.steps[entity, step] = lambda kind=kind: kind  # type: ignore[misc]


def _type(section: Any, cx: Context, name: str) -> Type:
    kind = models.kind_of(section)
    if kind:
        return models.type_of(section, kind)
    before = len(cx.found)
    table = cx.table(section, section.key("table") if section.get("table") else section.key("rows"))
    del cx.found[before:]
    if table is None:
        return t.ANY
    return output_type(table, section, cx, entity_of(section), str(name))


def output_type(table: Any, section: Any, cx: Context, entity: str, own: str) -> Type:
    """One output column is a value, several are a record."""
    _, outputs = cx.split(table, section, cx.names(entity, implicit=True), own)
    from roe.policy.context import all_numbers

    hit, default = section.get("hit") or "first", section.get("default")
    kinds = {}
    for i, name in outputs.items():
        cells = [row[i] for row in table.rows if row[i] not in ("", "-")]
        number = all_numbers(cells)
        otherwise = default.get(name) if isinstance(default, dict) else default  # what the table gives where no row holds
        values = tuple(dict.fromkeys(map(str, [*cells, *([otherwise] if otherwise is not None else [])])))
        kinds[str(name)] = t.NUMBER if number else Type("string", values=values, declared=cells[0].span() if cells else None)
    if hit == "collect count" or (hit.startswith("collect ") and len(kinds) == 1):
        return t.NUMBER
    one = next(iter(kinds.values())) if len(kinds) == 1 else Type("record", fields={"name": t.STRING, **kinds})
    return t.list_of(one) if hit == "collect" else one


def lower(policy: dict[str, Any], cx: Context) -> None:
    for name, section, of in sections(policy):
        entity = entity_of(section)
        if (entity, str(name)) not in cx.model.steps:
            continue
        stage = "score" if of == "scores" else "table"
        kind = models.kind_of(section)
        if kind and kind != "criteria":
            models.lower(section, kind, name, entity, cx)
            continue
        if kind:
            step: Choose | None = _criteria(section["criteria"], cx, entity, str(name))
        else:
            step = cx.choose(section, name, entity, str(name), stage, _single)
        if step:
            cx.steps[entity, str(name)] = step


def _single(label: Any, outputs: dict[str, Any]) -> Any:
    values = list(outputs.values())
    return values[0] if len(values) == 1 else {"name": None if label is None else str(label), **outputs}


def _criteria(found: list[Any], cx: Context, entity: str, name: str) -> Choose:
    cx.unique_names([c["name"] for c in found], "criteria")
    rules = []
    for raw in found:
        when = cx.condition(raw["when"], cx.names(entity))
        conditions = ((when,) if when else ()) + cx.period(raw.get("from"), raw.get("until"))
        rules.append(Rule(raw["name"], conditions, raw["points"], raw.get("because")))
    return Choose(entity, name, "score", "collect sum", tuple(rules), 0)
