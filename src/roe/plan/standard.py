"""The fields that every policy has beyond its data, as steps: what an engine needs to know of them stands here.

They are computed like the steps of a policy, and belong to none of its sections: nobody wrote them, so they are not in `Plan.steps`.
"""

from __future__ import annotations

from roe.grammar.parser import parse
from roe.plan.operators import Derive, Expr, Fill, Settle, Walk
from roe.plan.plan import Plan
from roe.source import Inline, Text

STANDARD = "standard"  # their stage
# who may keep what she has, and who may receive: one notion for rules, territories, pools, claims and books, by the day where the rep is
MAY_HOLD = "rep.active != false and (rep.ends = null or rep.local_day < rep.ends)"
ON_LEAVE = "some x in rep.leaves satisfies (x.starts = null or x.starts <= rep.local_day) and (x.until = null or rep.local_day < x.until)"
ABLE = f"{MAY_HOLD} and (rep.starts = null or rep.starts <= rep.local_day) and not ({ON_LEAVE})"
_NOW = "rep.leaves[(item.starts = null or item.starts <= rep.local_day) and (item.until = null or rep.local_day < item.until)]"
_ENDLESS = f"{_NOW}[item.until = null][-1]"
# the leave that a rep is on today: of several the one that ends last, or has no end
LEAVE = f"if {_ENDLESS} = null then {_NOW}[item.until = max({_NOW}.until)][-1] else {_ENDLESS}"
DERIVED = {
    ("account", "open_opportunities"): "account.opportunities[item.is_open != false]",
    ("rep", "leave"): LEAVE,
    ("rep", "may_hold"): MAY_HOLD,
    ("rep", "able"): ABLE,
}
TEXTS = tuple(DERIVED.values())  # a policy that is kept keeps their trees
BuiltIn = Derive | Walk | Fill | Settle


def standard_steps(plan: Plan) -> dict[tuple[str, str], BuiltIn]:
    """The built-in fields of a plan, by (entity, name)."""
    steps: list[BuiltIn] = [
        Walk("account", "ancestors", STANDARD, "parent"),
        Walk("account", "ultimate_parent", STANDARD, "parent", last=True),
        *(_derive(entity, name, text) for (entity, name), text in DERIVED.items()),
    ]
    matched = {entity: name for (entity, name), step in plan.steps.items() if step.stage == "matching"}
    steps += [Fill(entity, "account", STANDARD, name) for entity, name in matched.items()]
    if plan.claims is not None:
        steps.append(Settle(plan.claims.entity, "claim", STANDARD))
        steps += [Settle("claim", name, STANDARD, name) for name in ("status", "reason", "until")]
    return {(step.entity, step.name): step for step in steps}


def _derive(entity: str, name: str, text: str) -> Derive:
    tree, _ = parse(text)
    assert tree is not None
    return Derive(entity, name, STANDARD, Expr(tree, Text(f"{entity}.{name}", Inline())))
