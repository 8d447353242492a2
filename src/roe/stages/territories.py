"""`territories:` a table, and who staffs each territory in which role and when; `overlays:` are more of the same.

A table lowers to a `Choose` with a record of outputs; staffing to one `Choose` per role on the territory's name and the
effective dates, and a `Derive` that gathers them as `territory_owner`, with whoever covers for a rep on leave and a
fallback for what is vacant. Where another record decides (`decided_by`: the ultimate parent, say), the table is asked about
that record, but for the declared exceptions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Choose, Derive, Expr, Rule
from roe.policy.context import Context, written
from roe.policy.tables import Table, inline_table
from roe.source import Text, span_of
from roe.stages.scores import output_type

OWN = "itself"  # whose attributes decide where nothing else is said


def sections(policy: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(the name of the step, the section, the key it stands under): the territories, then each overlay."""
    found = [("territory", policy["territories"], policy.key("territories"))] if policy.get("territories") else []  # type: ignore[attr-defined]
    overlays = policy.get("overlays") or {}
    return [*found, *((str(name), section, name) for name, section in overlays.items())]


def entities(section: Any) -> list[str]:
    given = section.get("for") or ["account"]
    return [str(e) for e in (given if isinstance(given, list) else [given])]


def declare(policy: dict[str, Any], cx: Context) -> None:
    for name, section, key in sections(policy):
        for entity in entities(section):
            if entity not in cx.model.entities:
                cx.say("R504", section.key("for"), f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
                continue
            if (entity, name) in cx.model.steps or name in cx.model.entities[entity]:
                cx.say("R306", key, f"`{entity}.{name}` exists already", "choose another name")
                continue
            for step in (name, _own(name)) if section.get("decided_by") else (name,):
                cx.model.steps[entity, step] = lambda section=section, entity=entity, name=name: _type(section, cx, entity, name)  # type: ignore[misc]
            if section.get("decided_by"):
                labels = (OWN, *(str(x["name"]) for x in section["decided_by"].get("except") or ()), _decider(section))
                cx.model.steps[entity, f"{name}_decided_by"] = lambda labels=labels: t.Type("string", values=labels)  # type: ignore[misc]
            if section.get("staffing") is not None:
                cx.model.steps[entity, f"{name}_owner"] = lambda: t.OWNERS


def _own(name: str) -> str:
    return f"own_{name}"


def _decider(section: Any) -> str:
    return str(section["decided_by"]["account"])


def _table_key(section: Any) -> Any:
    return section.key("table") if section.get("table") else section.key("rows")


def _type(section: Any, cx: Context, entity: str, name: str) -> t.Type:
    before = len(cx.found)
    table = cx.table(section, _table_key(section))
    found = t.ANY if table is None else output_type(table, section, cx, entity, name)
    del cx.found[before:]
    if found.name != "record" and table is not None:
        _, outputs = cx.split(table, section, cx.names(entity, implicit=True), name)
        found = t.Type("record", fields={"name": t.STRING, **dict.fromkeys(outputs.values(), found)})
    return found


def lower(policy: dict[str, Any], cx: Context) -> None:
    for name, section, _ in sections(policy):
        _lower(name, section, cx)


def _lower(name: str, section: Any, cx: Context) -> None:
    def as_value(label: Any, outputs: dict[str, Any]) -> Any:
        return {"name": None if label is None else str(label), **outputs}

    staffing = _staffing(section, cx)
    for entity in entities(section):
        if (entity, name) not in cx.model.steps:
            continue
        before = len(cx.found)
        decided = section.get("decided_by")
        own = _own(name) if decided else name
        step = cx.choose(section, _table_key(section), entity, own, "territory", as_value)
        if entity != entities(section)[0]:
            del cx.found[before:]
        if step is None:
            continue
        if isinstance(section.get("default"), str):  # it names the territory where no row holds
            step = replace(step, default={**step.default, "name": str(section["default"])})
        cx.steps[entity, own] = step
        if decided:
            _decided_by(name, decided, entity, cx)
        cx.unique_names([r.name for r in step.rules if section.get("hit") == "unique"], "territories")
        if staffing:
            known = {str(r.name) for r in step.rules} | ({str(step.default.get("name"))} if step.default else set())
            _staff(name, section, staffing, known, entity, cx, entity == entities(section)[0])


def levels(policy: dict[str, Any], cx: Context) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of each entity, what its territories are part of, from the widest to the narrowest."""
    section = policy.get("territories")
    if not section or not section.get("levels"):
        return {}
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for entity in entities(section):
        step = cx.steps.get((entity, _own("territory") if section.get("decided_by") else "territory"))
        if not isinstance(step, Choose):
            continue
        values = [*(rule.value for rule in step.rules), *([step.default] if step.default else [])]
        for level in section["levels"]:
            if values and level not in values[0]:
                known = [k for k in values[0] if k != "name"]
                cx.say("R403", level, f"the territories have no column `{level}`", suggest(level, known, "add the column"))
        found[entity] = {str(x["name"]): tuple(str(x.get(level) or "-") for level in section["levels"]) for x in values}
    return found


def _decided_by(name: str, raw: Any, entity: str, cx: Context) -> None:
    """The table's answer about another record, but for the exceptions: which it is, and what it says."""
    names = cx.names(entity)
    other = cx.value(raw["account"], names, "record")
    if other is None:
        return
    label = str(raw["account"])
    cx.unique_names([x["name"] for x in raw.get("except") or ()], "exceptions")
    rules = []
    for item in raw.get("except") or ():
        when = cx.condition(item["when"], names)
        if when:
            rules.append(Rule(item["name"], (when,), str(item["name"])))
    missing = written(s.Compare("=", other.tree, s.Literal(None, "null")), raw["account"])
    rules.append(Rule(Text(OWN, raw["account"].origin), (missing,), OWN))
    cx.steps[entity, f"{name}_decided_by"] = Choose(entity, f"{name}_decided_by", "territory", "first", tuple(rules), label)
    record = s.Name(entity)
    parent = s.Compare("=", s.Path(record, f"{name}_decided_by"), s.Literal(label, label))
    tree = s.If(parent, s.Path(other.tree, _own(name)), s.Path(record, _own(name)))
    cx.steps[entity, name] = Derive(entity, name, "territory", written(tree, raw["account"]))


def _staffing(section: Any, cx: Context) -> Table | None:
    found = section.get("staffing")
    if found is None:
        return None
    if isinstance(found, list):
        table, problems = inline_table(found, span_of(section.key("staffing")))
    else:
        table, problems = cx.file_table(found)
    cx.found += problems
    if table is None:
        return None
    missing = [c for c in ("territory", "role", "rep") if table.column(c) is None]
    for column in missing:
        cx.say("R403", table.place, f"the staffing table has no column `{column}`", suggest(column, table.header, "add the column"))
    return None if missing else table


def _staff(name: str, section: Any, table: Table, known: set[str], entity: str, cx: Context, report: bool) -> None:
    rules: dict[str, list[Rule]] = {role: [] for role in cx.model.roles()}
    before = len(cx.found)
    subject = s.Path(s.Path(s.Name(entity), name), "name")
    for row in table.rows:
        cells = table.cells(row)
        territory, role, rep = cells["territory"], cells["role"], cells["rep"]
        if territory not in known:
            cx.say("R201", territory, f"there is no territory `{territory}`", suggest(territory, known, "add it to the territories"))
        if role not in rules:
            cx.say("R502", role, f"there is no role `{role}`", suggest(role, rules, "add it under `roles:`"))
            continue
        here = Expr(s.Compare("=", subject, s.Literal(str(territory), str(territory))), territory)
        conditions = (here, *cx.period(cells.get("from"), cells.get("until")))
        label = Text(f"{rep} for {territory}" if rep else f"vacant: {territory}", rep.origin)
        rules[role].append(Rule(label, conditions, str(rep) or None))
    fallback = section.get("fallback") or {}
    if not isinstance(fallback, dict):
        fallback = dict.fromkeys(rules, fallback)
    for role in fallback:
        if role not in rules:
            cx.say("R502", role, f"there is no role `{role}`", suggest(role, rules, "add it under `roles:`"))
    if not report:
        del cx.found[before:]
    for title, found in rules.items():
        cx.steps[entity, f"{name}_owner.{title}"] = Choose(entity, f"{name}_owner.{title}", "staffing", "first", tuple(found))
    group = {title: f"{name}_owner.{title}" for title in rules}
    vacant = {str(role): str(rep) for role, rep in fallback.items()}
    cx.steps[entity, f"{name}_owner"] = Derive(entity, f"{name}_owner", "staffing", None, group, vacant, section.get("cover") == "leave")
