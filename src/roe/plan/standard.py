"""The fields that every policy has beyond its data, as steps: what an engine needs to know of them stands here.

They are computed like the steps of a policy, and belong to none of its sections: nobody wrote them, so they are not in `Plan.steps`.
"""

from __future__ import annotations

from roe.grammar import syntax as s
from roe.grammar.parser import parse
from roe.plan.operators import Derive, Expr, Fill, Settle, Walk
from roe.plan.plan import Plan
from roe.source import Inline, Text

STANDARD = "standard"  # their stage
# who may keep what she has, and who may receive: one notion for rules, territories, pools, claims and books, by the day where the rep is
MAY_HOLD = "rep.active != false and (rep.ends = null or rep.local_day < rep.ends)"
ON_LEAVE = "some x in rep.leaves satisfies (x.starts = null or x.starts <= rep.local_day) and (x.until = null or rep.local_day < x.until)"
ABLE = f"{MAY_HOLD} and (rep.starts = null or rep.starts <= rep.local_day) and not ({ON_LEAVE})"
TEXTS = (MAY_HOLD, ABLE)  # a policy that is kept keeps their trees
NULL = s.Literal(None, "null")
BuiltIn = Derive | Walk | Fill | Settle


def standard_steps(plan: Plan) -> dict[tuple[str, str], BuiltIn]:
    """The built-in fields of a plan, by (entity, name)."""
    steps: list[BuiltIn] = [
        Walk("account", "ancestors", STANDARD, "parent"),
        Walk("account", "ultimate_parent", STANDARD, "parent", last=True),
        _derive("account", "open_opportunities", _open_opportunities()),
        _derive("rep", "leave", _leave()),
        _derive("rep", "may_hold", _parsed(MAY_HOLD)),
        _derive("rep", "able", _parsed(ABLE)),
    ]
    matched = {entity: name for (entity, name), step in plan.steps.items() if step.stage == "matching"}
    steps += [Fill(entity, "account", STANDARD, name) for entity, name in matched.items()]
    if plan.claims is not None:
        steps.append(Settle(plan.claims.entity, "claim", STANDARD))
        steps += [Settle("claim", name, STANDARD, name) for name in ("status", "reason", "until")]
    return {(step.entity, step.name): step for step in steps}


def _derive(entity: str, name: str, tree: s.Node) -> Derive:
    return Derive(entity, name, STANDARD, Expr(tree, Text(f"{entity}.{name}", Inline())))


def _parsed(text: str) -> s.Node:
    tree, _ = parse(text)
    assert tree is not None
    return tree


def _item(name: str) -> s.Path:
    return s.Path(s.Name("item"), name)


def _open_opportunities() -> s.Node:
    """`account.opportunities[item.is_open != false]`"""
    return s.Filter(s.Path(s.Name("account"), "opportunities"), s.Compare("!=", _item("is_open"), s.Literal(False, "false")))


def _leave() -> s.Node:
    """The leave that a rep is on today: of several the one that ends last, or has no end."""
    today = s.Path(s.Name("rep"), "local_day")
    begun = s.Or((s.Compare("=", _item("starts"), NULL), s.Compare("<=", _item("starts"), today)))
    lasting = s.Or((s.Compare("=", _item("until"), NULL), s.Compare("<", today, _item("until"))))
    current = s.Filter(s.Path(s.Name("rep"), "leaves"), s.And((begun, lasting)))
    last = s.Literal(-1, "-1")
    endless = s.Filter(s.Filter(current, s.Compare("=", _item("until"), NULL)), last)
    latest = s.Call("max", (s.Path(current, "until"),), ("",))
    ending = s.Filter(s.Filter(current, s.Compare("=", _item("until"), latest)), last)
    return s.If(s.Compare("=", endless, NULL), ending, endless)
