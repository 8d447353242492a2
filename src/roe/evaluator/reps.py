"""The people whom a policy names, held against the reps of the data: a name that several have, or that is nearly somebody's."""

from __future__ import annotations

from collections.abc import Iterator

from roe.diagnostics import Diagnostic, suggest
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.plan.operators import Action, Choose, Expr
from roe.plan.plan import Plan
from roe.source import Text, span_of

MOST = 6  # candidates that a message lists
CLOSE = 0.84  # of difflib's ratio: one letter in six


def misnamed(world: World) -> list[Diagnostic]:
    """An error for each text of the policy that should name a rep, and names several or, by a slip, nobody."""
    if not world.rows["rep"]:
        return []
    diagnostics = []
    for text, written in {str(text): text for text in named(world.policy.plan)}.items():
        reps = world.search("rep", text)
        if len(reps) > 1:
            listed = ", ".join(f"`{r.written}`" + (f" ({r['email']})" if r["email"] else "") for r in reps[:MOST])
            diagnostics.append(
                Diagnostic("R605", f"{len(reps)} reps have the name `{text}`", span_of(written), f"name one by id: {listed}")
            )
        elif not reps and (" " in text or "@" in text):  # a name; ids are often alike
            names = [str(x) for r in world.rows["rep"] for x in (r["name"], r["email"]) if x]
            help = suggest(text, names, "", CLOSE)
            if help:
                diagnostics.append(Diagnostic("R604", f"no rep has the name `{text}`", span_of(written), help))
    return diagnostics


def named(plan: Plan) -> Iterator[Text | str]:
    """Every text in a policy that names a rep: of rules, pools, staffing and exceptions."""
    for chooser in plan.engagement.values():
        for rule in chooser.rules:
            yield from _assigned(rule.value)
    for pool in plan.pools.values():
        if isinstance(pool.members, tuple):
            yield from (member.value for member in pool.members)
    for step in plan.steps.values():
        if isinstance(step, Choose) and step.stage == "staffing":
            yield from (_at(rule.value, rule.name) for rule in step.rules if rule.value)
    yield from (row.owner for row in plan.exceptions if row.owner)


def _assigned(first: Action) -> Iterator[Text]:
    for action in first.with_otherwise():
        if isinstance(action.assign, Expr) and isinstance(action.assign.tree, s.Literal) and isinstance(action.assign.tree.value, str):
            yield _at(action.assign.tree.value, action.assign.text)


def _at(value: str, place: Text) -> Text:
    return Text(str(value), place.origin)
