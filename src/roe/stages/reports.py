"""`reports:` what is counted over records, by group: coverage of a target list, engagement, pipeline. They lower to `Report`."""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.plan.operators import Choose, Report
from roe.policy.context import Context
from roe.stages import models


def lower(policy: dict[str, Any], cx: Context) -> dict[str, Report]:
    found: dict[str, Report] = models.reports(policy, cx)
    for name, raw in (policy.get("reports") or {}).items():
        entity = str(raw.get("for") or "account")
        if entity not in cx.model.entities:
            cx.say("R504", raw["for"], f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
            continue
        names = cx.names(entity)
        table = raw.get("list")
        if table is not None and not isinstance(cx.steps.get((entity, str(table))), Choose):
            known = [n for (e, n), step in cx.steps.items() if e == entity and isinstance(step, Choose)]
            cx.say("R501", table, f"there is no table `{table}` of {entity} records", suggest(table, known, "name one under `tables:`"))
            continue
        where = cx.condition(raw["where"], names) if raw.get("where") else None
        by = cx.value(raw["by"], names) if raw.get("by") else None
        measures = {}
        for label, text in raw["measures"].items():
            expr = cx.value(text, names, "boolean", "number")
            if expr:
                measures[str(label)] = expr
        found[str(name)] = Report(str(name), entity, where, by, str(table) if table is not None else None, measures)
    return found
