"""`pools:` who takes turns; each lowers to an `Allocate`."""

from __future__ import annotations

from typing import Any

from roe.grammar import types as t
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.plan.operators import Allocate, DatedValue, Expr, Sla
from roe.policy.context import Context, written
from roe.source import Text

# two leads of one company go to one rep: by its account, else by its own e-mail domain, else by the person's e-mail address
COMPANY = "if lead.account != null then lead.account.id else if is_freemail(domain(lead.email)) then lead.email else domain(lead.email)"


def lower(policy: dict[str, Any], cx: Context) -> dict[str, Allocate]:
    pools = cx.pools
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
        strategy = str(raw.get("strategy") or "round_robin")
        weight, score = (_number(raw, key, strategy, cx, names) for key in ("weight", "score"))
        caps = {}
        for cap, text in (raw.get("caps") or {}).items():
            expr = cx.value(str(text) if not isinstance(text, Text) else text, names, "number")
            if expr:
                caps[str(cap)] = expr
        sticky = cx.value(raw["sticky"], names, "record", "owners", "string") if raw.get("sticky") else None
        debt = 3 if raw.get("debt") is None else int(raw["debt"])
        hours = str(raw.get("hours") or "any") == "working"
        by, within = _together(raw, name, cx, names)
        pools[str(name)] = Allocate(
            str(name), strategy, members, weight, caps, raw.get("fallback"), name, score, sticky, by,
            debt, hours, _sla(raw.get("sla"), cx), within,
        )  # fmt: skip
    _fallbacks(pools, cx)
    return pools


def _fallbacks(pools: dict[str, Allocate], cx: Context) -> None:
    """A pool that falls back on another must not come back to itself."""
    for name, pool in pools.items():
        seen = [name]
        while pool.fallback and str(pool.fallback) in pools:
            if str(pool.fallback) in seen:
                cx.say("R208", pool.fallback, f"the pool `{name}` falls back on itself", "give the last pool a rep as its fallback")
                break
            seen.append(str(pool.fallback))
            pool = pools[str(pool.fallback)]


NEEDS = {"weight": "weighted", "score": "top_score"}


def _number(raw: Any, key: str, strategy: str, cx: Context, names: Names) -> Expr | None:
    """The weight or the score of a rep, which one strategy needs and no other has a use for."""
    found = cx.value(raw[key], names, "number") if raw.get(key) else None
    if found and strategy != NEEDS[key] and (key, strategy) != ("weight", "top_score"):
        cx.say("R304", raw[key], f"`{key}` has no effect in a `{strategy}` pool", f"write `strategy: {NEEDS[key]}`, or remove it")
    if strategy == NEEDS[key] and not raw.get(key):
        help = "add `weight: rep.ramp`, or another number per rep" if key == "weight" else "add `score:`, the best rep has the highest"
        cx.say("R304", raw.key("strategy"), f"a {strategy} pool needs a {key}", help)
    return found


def _together(raw: Any, name: Text, cx: Context, names: Names) -> tuple[Expr | None, Any]:
    """What records of one company have in common, and for how long they stay together."""
    given: Any = raw.get("together")
    within = None
    if isinstance(given, dict):
        given, within = given.get("by"), cx.lasting(given.get("within"))
    if given is None:
        tree, _ = parse(COMPANY)
        assert tree is not None
        return written(tree, name), within
    return (None if str(given) == "never" else cx.value(given, names, "string", "number")), within


def _sla(raw: Any, cx: Context) -> Sla | None:
    if raw is None:
        return None
    within = cx.lasting(raw["within"])
    if within is None:
        return None
    activity = cx.names("activity", implicit=True)
    counts = cx.condition(raw["worked_by"], activity) if raw.get("worked_by") else None
    grace = cx.lasting(raw["grace"]) if raw.get("grace") else None
    return Sla(within, counts, 1 if raw.get("times") is None else int(raw["times"]), raw.get("escalate"), grace)
