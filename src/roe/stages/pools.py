"""`pools:` who takes turns; each lowers to an `Allocate`."""

from __future__ import annotations

from typing import Any

from roe.grammar import types as t
from roe.plan.operators import Allocate, DatedValue, Expr
from roe.policy.context import Context
from roe.source import Text


def lower(policy: dict[str, Any], cx: Context) -> dict[str, Allocate]:
    pools: dict[str, Allocate] = {}
    names = cx.names("lead").binding(rep=t.record("rep"), account=t.record("account"))
    for name, raw in (policy.get("pools") or {}).items():
        given = raw["members"]
        members: Expr | tuple[DatedValue, ...] | None
        if isinstance(given, list):
            rows = [m if isinstance(m, dict) else {"rep": m} for m in given]
            members = tuple(cx.dated_value(m["rep"], m.get("from"), m.get("until")) for m in rows)
        else:
            members = cx.condition(given, names)
        if members is None:
            continue
        weight = cx.value(raw["weight"], names, "number") if raw.get("weight") else None
        strategy = raw.get("strategy") or "round_robin"
        if weight and strategy != "weighted":
            cx.say("R304", raw["weight"], f"a weight has no effect in a `{strategy}` pool", "say `strategy: weighted`, or remove it")
        if strategy == "weighted" and not raw.get("weight"):
            cx.say("R304", raw.key("strategy"), "a weighted pool needs a weight", "add `weight: rep.ramp`, or another number per rep")
        caps = {}
        for cap, text in (raw.get("caps") or {}).items():
            expr = cx.value(str(text) if not isinstance(text, Text) else text, names, "number")
            if expr:
                caps[str(cap)] = expr
        pools[str(name)] = Allocate(str(name), strategy, members, weight, caps, raw.get("fallback"), name)
    return pools
