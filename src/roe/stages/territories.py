"""`territories:` a table, and who staffs each territory in which role and when.

The table lowers to a `Choose` with a record of outputs; staffing to one `Choose` per role on the territory's name and the
effective dates, and a `Derive` that gathers them as `territory_owner`.
"""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Choose, Derive, Expr, Rule
from roe.policy.context import Context
from roe.policy.tables import Table, inline_table
from roe.source import Text, span_of
from roe.stages.scores import output_type


def entities(section: Any) -> list[str]:
    given = section.get("for") or ["account"]
    return [str(e) for e in (given if isinstance(given, list) else [given])]


def declare(policy: dict[str, Any], cx: Context) -> None:
    section = policy.get("territories")
    if not section:
        return
    for entity in entities(section):
        if entity not in cx.model.entities:
            cx.say("R504", section.key("for"), f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
            continue
        cx.model.steps[entity, "territory"] = lambda entity=entity: _type(section, cx, entity)  # type: ignore[misc]
        if section.get("staffing") is not None:
            cx.model.steps[entity, "territory_owner"] = lambda: t.OWNERS


def _type(section: Any, cx: Context, entity: str) -> t.Type:
    before = len(cx.found)
    table = cx.table(section, section.key("table"))
    found = t.ANY if table is None else output_type(table, section, cx, entity, "territory")
    del cx.found[before:]
    if found.name != "record" and table is not None:
        _, outputs = cx.split(table, section, cx.names(entity, implicit=True), "territory")
        found = t.Type("record", fields={"name": t.STRING, **dict.fromkeys(outputs.values(), found)})
    return found


def lower(policy: dict[str, Any], cx: Context) -> None:
    section = policy.get("territories")
    if not section:
        return

    def as_value(label: Any, outputs: dict[str, Any]) -> Any:
        return {"name": None if label is None else str(label), **outputs}

    staffing = _staffing(section, cx)
    for entity in entities(section):
        if (entity, "territory") not in cx.model.steps:
            continue
        before = len(cx.found)
        step = cx.choose(section, section.key("table"), entity, "territory", "territory", as_value)
        if entity != entities(section)[0]:
            del cx.found[before:]
        if step is None:
            continue
        cx.steps[entity, "territory"] = step
        cx.unique_names([r.name for r in step.rules if section.get("hit") == "unique"], "territories")
        if staffing:
            known = {str(r.name) for r in step.rules} | ({str(step.default.get("name"))} if step.default else set())
            _staff(staffing, known, entity, cx, entity == entities(section)[0])


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


def _staff(table: Table, known: set[str], entity: str, cx: Context, report: bool) -> None:
    rules: dict[str, list[Rule]] = {role: [] for role in cx.model.roles()}
    before = len(cx.found)
    subject = s.Path(s.Path(s.Name(entity), "territory"), "name")
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
        label = Text(f"{rep} for {territory}", rep.origin)
        rules[role].append(Rule(label, conditions, str(rep) or None))
    if not report:
        del cx.found[before:]
    for name, found in rules.items():
        cx.steps[entity, f"territory_{name}"] = Choose(entity, f"territory_{name}", "staffing", "first", tuple(found))
    group = {name: f"territory_{name}" for name in rules}
    cx.steps[entity, "territory_owner"] = Derive(entity, "territory_owner", "staffing", None, group)
