"""Checks of who staffs what and when: two reps at one time, nobody for some days, nobody at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from roe.analysis.checked import LISTS, CheckedPolicy, diagnostic, title
from roe.analysis.gaps import gaps
from roe.analysis.overlaps import run_into
from roe.analysis.verdicts import PROVEN, Verdict, timely
from roe.diagnostics import Diagnostic
from roe.grammar import syntax as s
from roe.plan.operators import Action, Choose, Derive, Expr, Rule
from roe.source import Text


def staffed_twice(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R407 in a staffing: two reps whose periods run into each other. A dated row before one for the rest of the time is not such a thing."""
    for table in subject.tables:
        step = table.step
        if step.stage != "staffing":
            continue
        role = step.name.rpartition(".")[2]
        for later, earlier, span, verdict in run_into(table):
            one, other = step.rules[later], step.rules[earlier]
            if one.value == other.value:
                continue
            message = f"`{other.value}` and `{one.value}` both staff `{one.conditions[0].text}` as {role} {span}"
            related = (("the first of them counts", _cell(other).span()),)
            yield diagnostic(subject, table, "R407", _cell(one), message, "end one period on the day the other starts", verdict, related)


def unstaffed(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R416 for a territory that no row staffs in a role, where rules of the role give its owner and have no other way."""
    plan = subject.evaluator.policy.plan
    for (entity, role), rules in plan.engagement.items():
        for name in dict.fromkeys(n for rule in rules.rules for n in _territories(rule.value, entity, plan.steps)):
            staffing, owner = plan.steps.get((entity, f"{name}_owner.{role}")), plan.steps[entity, f"{name}_owner"]
            table = next((t for t in subject.tables if t.step.entity == entity and t.step.name in (name, f"own_{name}")), None)
            if (
                table is None
                or not isinstance(staffing, Choose)
                or not len(staffing.rules)
                or (isinstance(owner, Derive) and role in owner.vacant)
            ):
                continue
            staffed = {str(rule.conditions[0].text) for rule in staffing.rules}
            for number, rule in enumerate(table.step.rules):
                if str(rule.name) not in staffed:
                    help = "add a staffing row (without a rep if the territory is vacant), a `fallback:`, or an `else` in the rule"
                    verdict = Verdict((number,), PROVEN, touches=table.decides(number))
                    yield diagnostic(subject, table, "R416", rule.name, f"nobody staffs `{rule.name}` as {role}", help, verdict)


def _territories(action: object, entity: str, steps: Mapping[tuple[str, str], object]) -> Iterator[str]:
    """The names of territories whose owner an action gives, without another way."""
    if not isinstance(action, Action) or action.kind != "assign" or action.assign is None or action.otherwise is not None:
        return
    tree = action.assign.tree
    name = tree.id if isinstance(tree, s.Name) else tree.field if isinstance(tree, s.Path) else ""
    if name.endswith("_owner") and (entity, name) in steps:
        yield name.removesuffix("_owner")


def pool_in_time(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R416 of a pool: days between its members' periods on which nobody is in it."""
    for pool in subject.evaluator.policy.plan.pools.values():
        if isinstance(pool.members, Expr):
            continue
        known = sorted({d for m in pool.members for d in (m.start, m.until) if d is not None})
        empty = [(a, b) for a, b in pairwise(known) if not any(m.holds(a) for m in pool.members)]
        for first, last in empty:
            message = f"nobody is in the pool `{pool.name}` from {first} to {last}"
            yield Diagnostic("R416", message, pool.text.span(), "start one period on the day the other ends", certainty=PROVEN)


def in_time(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R416: days between two periods on which no row is in force."""
    for table in subject.tables:
        step = table.step
        if step.hit not in ("first", "unique", "any") or step.stage not in LISTS or step.default is not None:
            continue
        name, _, role = step.name.rpartition(".")
        owner = subject.evaluator.policy.plan.steps.get((step.entity, name))
        if step.stage == "staffing" and isinstance(owner, Derive) and role in owner.vacant:
            continue
        for verdict in gaps(table, timely, inner=True):
            beside = step.rules[verdict.rules[0]]
            if step.stage == "staffing":
                whose = str(beside.conditions[0].text)
                message = f"nobody staffs `{whose}` as {role} {verdict.span}"
                help = "start one period on the day the other ends, or add `fallback:` to the staffing"
            else:
                message, help = f"no rule of {title(step)} is in force {verdict.span}", "start one period on the day the other ends"
            yield diagnostic(subject, table, "R416", _cell(beside), message, help, verdict)


def _cell(rule: Rule) -> Text:
    """The cell of a staffing row that names the rep; the name of any other rule."""
    return Text(rule.value, rule.name.origin) if isinstance(rule.value, str) else rule.name


CHECKS: tuple[Callable[[CheckedPolicy], Iterator[Diagnostic]], ...] = (staffed_twice, in_time, unstaffed, pool_in_time)
