"""`kpis:` what counts as work, when an account is worked to completion, how soon a lead is answered, and targets; it lowers to `Kpis`."""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.plan.operators import KPI_NAMES, Kpis
from roe.policy.context import Context


def lower(policy: dict[str, Any], cx: Context) -> Kpis | None:
    raw = policy.get("kpis")
    if not raw:
        return None
    roles = [str(raw.get("role") or cx.model.roles()[0])]
    roles.append(str(raw.get("lead_role") or roles[0]))
    for role in roles:
        if role not in cx.model.roles():
            cx.say(
                "R502",
                raw.get("role") or raw["lead_role"],
                f"there is no role `{role}`",
                suggest(role, cx.model.roles(), "add it under `roles:`"),
            )
    names = cx.names("activity", implicit=True)
    activity = raw.get("activity") or {}
    counts, meeting = (cx.condition(activity[k], names) if activity.get(k) else None for k in ("counts", "meeting"))
    completed = raw.get("completed") or {}
    within = cx.lasting(raw.get("answer_within"))
    return Kpis(
        roles[0],
        roles[1],
        counts,
        meeting,
        int(completed.get("touches") or 1),
        int(completed.get("contacts") or 0),
        within,
        _targets(raw, cx),
    )


def _targets(raw: Any, cx: Context) -> tuple[tuple[str, str, float | None, float | None, str], ...]:
    if not raw.get("targets"):
        return ()
    table, problems = cx.file_table(raw["targets"])
    cx.found += problems
    if table is None:
        return ()
    if table.column("kpi") is None:
        cx.say("R403", table.place, "the targets have no column `kpi`", suggest("kpi", table.header, "add the column"))
        return ()
    found = []
    for row in table.rows:
        cells = {name: row[at] for name in ("kpi", "group", "target", "benchmark", "source") if (at := table.column(name)) is not None}
        if cells["kpi"] not in KPI_NAMES:
            cx.say(
                "R503",
                cells["kpi"],
                f"there is no KPI `{cells['kpi']}`",
                suggest(cells["kpi"], KPI_NAMES, f"there are {', '.join(KPI_NAMES)}"),
            )
            continue
        numbers = [_number(cells.get(key), cx) for key in ("target", "benchmark")]
        found.append((str(cells["kpi"]), str(cells.get("group") or ""), *numbers, str(cells.get("source") or "")))
    return tuple(found)  # type: ignore[arg-type]


def _number(cell: Any, cx: Context) -> float | None:
    if cell is None or not cell.strip("- "):
        return None
    try:
        found = float(cell.rstrip("% ")) / (100 if cell.rstrip().endswith("%") else 1)
        if found == found and abs(found) < 1e15:
            return found
    except ValueError:
        pass
    cx.say("R311", cell, f"`{cell}` is not a number", "write 0.8 or 80 %")
    return None
