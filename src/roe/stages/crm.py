"""`crm:` what the CRM calls nobody, a rep and the territories, for the files that are loaded into it; it lowers to a `Crm`."""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.plan.operators import Choose, Crm
from roe.policy.context import Context


def lower(policy: dict[str, Any], cx: Context) -> Crm:
    section = policy.get("crm") or {}
    queues = {}
    for entity, given in (section.get("queues") or {}).items():
        if entity not in cx.model.entities:
            cx.say("R504", entity, f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
        by_role = given.items() if isinstance(given, dict) else [(cx.model.roles()[0], given)]
        for role, queue in by_role:
            if role not in cx.model.roles():
                cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
            queues[str(entity), str(role)] = str(queue)
    territories = {str(name): str(key) for name, key in (section.get("territories") or {}).items()}
    if territories:
        step = cx.steps.get(("account", "territory"))
        known = [str(r.name) for r in step.rules] if isinstance(step, Choose) else []
        for name in section["territories"]:
            if name not in known:
                cx.say("R501", name, f"there is no territory `{name}`", suggest(name, known, "name a row of `territories:`"))
    owner = str(section.get("owner") or ("name" if str(policy.get("profile")) == "hubspot" else "id"))
    return Crm(queues, territories, owner)
