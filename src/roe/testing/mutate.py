"""Mutation of a policy: small faults planted in its plan, and which of them its tests notice.

A mutant moves a boundary, drops a condition, swaps an owner or the order of two rules. Only the tests that reached the rule are run, each
against an evaluator that shares everything but that one list of rules. A mutant that no test notices is held against the original by the
analysis: either it is *equivalent*, by proof, or there is a record that tells the two apart, which makes a test.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from roe.analysis.cases import Known
from roe.analysis.diff import said
from roe.analysis.finder import Finder
from roe.analysis.lists import as_list, compare_lists
from roe.analysis.space import Undecided
from roe.analysis.verdicts import PROVEN
from roe.analysis.witness import Witness
from roe.dynamic import Json, Value
from roe.evaluator.choose import Choice, Chooser
from roe.evaluator.engine import Evaluator
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import Scope
from roe.plan.operators import Action, Choose, Derive, Expr, Rule
from roe.source import Added, Span
from roe.testing.cases import Case
from roe.testing.coverage import CoverageReport, Key, Probe, cover
from roe.testing.runner import run_case

MOST_ELSEWHERE = 3  # tests that are tried where a fault decides otherwise about records that they do not ask for
MOST_ROWS = 20  # of one table that are mutated, spread evenly


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted fault: in which list, at which rule, what was done; `probe` tells whether a decision would be another."""

    key: Key
    rule: int
    kind: str
    what: str
    place: Span
    step: Choose | Derive
    probe: Probe | None  # none for a definition, of which every test is asked


@dataclass(slots=True)
class Fate:
    """What became of a mutant: killed by a test, equivalent by proof, or survived, with a record that tells it apart if one was found."""

    mutant: Mutant
    outcome: str
    by: str = ""
    witness: Witness | None = None

    def as_json(self) -> Json:
        m = self.mutant
        return {
            "kind": m.kind, "what": m.what, "file": m.place.file, "line": m.place.line, "outcome": self.outcome, "by": self.by or None,
            "witness": None if self.witness is None else self.witness.as_json(),
        }  # fmt: skip


def mutants(evaluator: Evaluator, keys: Sequence[Key]) -> Iterator[Mutant]:
    """Every mutant of these lists of rules, in the order of the policy."""
    for key in keys:
        step = chooser_of(evaluator, key).step
        n = len(step.rules)
        chosen = range(n) if n <= MOST_ROWS else sorted({i * n // MOST_ROWS for i in range(MOST_ROWS)})
        for number in (i for i in chosen if not step.rules[i].is_built_in):
            yield from _of_rule(evaluator, key, step, number)


def of_definitions(evaluator: Evaluator) -> Iterator[Mutant]:
    """Boundaries moved in definitions, and windows that last a day longer."""
    for (entity, name), step in evaluator.policy.plan.steps.items():
        own = isinstance(step, Derive) and (step.stage == "definition" or (step.stage == "window" and name.endswith("_until")))
        if not own or not isinstance(step, Derive) or step.expr is None:
            continue
        for other in moved(step.expr.tree):
            what = f"`{step.name}` as `{show(other)}` where it is `{show(step.expr.tree)}`"
            made = replace(step, expr=Expr(other, step.expr.text))
            yield Mutant(("steps", entity, name), 0, "boundary", what, step.expr.text.span(), made, None)


def _of_rule(evaluator: Evaluator, key: Key, step: Choose, number: int) -> Iterator[Mutant]:
    rule = step.rules[number]
    place = evaluator.compiled.place(rule.name)

    def made(kind: str, what: str, rules: dict[int, Rule], probe: Probe, at: Span = place) -> Mutant:
        changed = tuple(rules.get(i, r) for i, r in enumerate(step.rules))
        return Mutant(key, number, kind, what, at, replace(step, rules=changed), probe)

    trees = [(tree, c) for c in rule.conditions for tree in s.conjuncts(c.tree)]
    for i, (tree, expr) in enumerate(trees):
        if isinstance(expr.text.origin, Added):  # nobody wrote it, so no fault is in it
            continue
        at = expr.text.span(*tree.at) if tree.at != s.NOWHERE else expr.text.span()
        rest = tuple(Expr(t, c.text) for j, (t, c) in enumerate(trees) if j != i)
        if not isinstance(tree, s.Literal):
            yield made("condition", f"`{rule.name}` without `{show(tree)}`", {number: replace(rule, conditions=rest)}, _without(i), at)
        for other in moved(tree):
            conditions = (*rest[:i], Expr(other, expr.text), *rest[i:])
            yield made(
                "boundary", f"`{show(tree)}` as `{show(other)}`", {number: replace(rule, conditions=conditions)}, _with(i, other), at
            )
    given = _other_value(step, number)
    if given is not None:
        named, value = given
        yield made(
            "owner",
            f"`{rule.name}` gives what `{named}` gives",
            {number: replace(rule, value=value)},
            lambda chooser, scope, truths, choice: number in choice.fired,
        )
    if step.hit == "first" and number + 1 < len(step.rules):
        later = step.rules[number + 1]
        yield made("order", f"`{later.name}` before `{rule.name}`", {number: later, number + 1: rule}, _swapped(number))


def _without(condition: int) -> Probe:
    """Whether a rule holds where it does not, once it has one condition fewer."""
    return lambda chooser, scope, truths, choice: not truths[condition] and all(x for i, x in enumerate(truths) if i != condition)


def _with(condition: int, other: s.Node) -> Probe:
    """Whether another condition in the place of one changes that a rule holds."""
    code = compile_expression(other)

    def probe(chooser: Chooser, scope: Scope, truths: list[bool], choice: Choice) -> bool:
        rest = all(x for i, x in enumerate(truths) if i != condition)
        return rest and (code(scope) is True) is not truths[condition]

    return probe


def _swapped(number: int) -> Probe:
    """Whether a rule decides that would come second."""
    return lambda chooser, scope, truths, choice: number in choice.fired and chooser.truth(number + 1, scope) is True


def _other_value(step: Choose, number: int) -> tuple[str, object] | None:
    """What the nearest rule gives that gives something else: after it, or else before."""
    own = said(step.rules[number].value)
    n = len(step.rules)
    for other in (*range(number + 1, n), *range(number - 1, -1, -1)):
        value = step.rules[other].value
        if isinstance(value, Action):  # what it does first, and no more
            value = replace(value, otherwise=None)
        if said(value) != own:
            if isinstance(value, dict) and isinstance(step.rules[number].value, dict):  # a row keeps its own name
                value = {**value, "name": step.rules[number].value.get("name")}
                if value == step.rules[number].value:
                    continue
            return str(step.rules[other].name), value
    return None


FLIPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


def moved(tree: s.Node) -> Iterator[s.Node]:
    """The condition with one of its boundaries moved: what lay on it falls to the other side, or a span of time is a day longer."""
    if isinstance(tree, (s.Compare, s.Unary)) and tree.op in FLIPPED and not any(map(_is_text, s.children(tree))):
        yield replace(tree, op=FLIPPED[tree.op])
    if isinstance(tree, s.RangeOf):
        if any(map(_is_text, s.children(tree))):  # postal codes
            return
        if tree.low is not None:
            yield replace(tree, low_closed=not tree.low_closed)
        if tree.high is not None:
            yield replace(tree, high_closed=not tree.high_closed)
        return
    if isinstance(tree, s.Literal):
        if isinstance(tree.value, timedelta):
            longer = tree.value + timedelta(days=1)
            yield s.Literal(longer, f'@"{v.literal(longer)}"', tree.at)
        return
    for name in s.FIELDS[type(tree)]:
        child = getattr(tree, name)
        if type(child) in s.FIELDS:
            yield from (_with_part(tree, name, other) for other in moved(child))
        elif type(child) is tuple:
            for i, each in enumerate(child):
                if type(each) in s.FIELDS:
                    yield from (_with_part(tree, name, (*child[:i], other, *child[i + 1 :])) for other in moved(each))


def _with_part(tree: s.Node, name: str, child: Value) -> s.Node:
    return replace(tree, **{name: child})


def _is_text(node: s.Node) -> bool:
    return isinstance(node, s.Literal) and isinstance(node.value, str)


# --- what the tests notice ------------------------------------------------------------------------------------------


def chooser_of(evaluator: Evaluator, key: Key) -> Chooser:
    kind, entity, name = key
    return evaluator.compiled.engagement[entity, name] if kind == "engagement" else evaluator.compiled.choosers[entity, name]


def _list(evaluator: Evaluator, key: Key) -> Chooser | None:
    """A list of rules, or a definition as one; None for a definition that is none."""
    kind, entity, name = key
    step = evaluator.policy.plan.steps.get((entity, name)) if kind == "steps" else None
    if not isinstance(step, Derive):
        return chooser_of(evaluator, key)
    made = as_list(evaluator, step, constants=True)
    return Chooser(made, evaluator.policy.plan.lists) if made is not None else None


def planted(evaluator: Evaluator, mutant: Mutant) -> Evaluator:
    """The evaluator with a fault in it: it shares all but the one list of rules."""
    kind, entity, name = mutant.key
    plan = evaluator.policy.plan
    step = mutant.step
    compiled = evaluator.compiled.apart()
    if kind == "engagement" and isinstance(step, Choose):
        compiled.engagement = {**compiled.engagement, (entity, name): Chooser(step, plan.lists)}
        plan = replace(plan, engagement={**plan.engagement, (entity, name): step})
    else:
        if isinstance(step, Choose):
            compiled.choosers = {**compiled.choosers, (entity, name): Chooser(step, plan.lists)}
        plan = replace(plan, steps={**plan.steps, (entity, name): mutant.step})
        compiled.steps = {**compiled.steps, (entity, name): mutant.step}
    other = copy.copy(evaluator)
    other.policy = compiled.policy = replace(evaluator.policy, plan=plan)
    other.compiled = compiled
    return other


def fates(evaluator: Evaluator, cases: Sequence[Case]) -> tuple[list[Fate], CoverageReport]:
    """What becomes of each mutant, and what the tests cover. The tests are run once with all mutants beside each decision, and again
    only for a mutant that would decide something in them otherwise.
    """
    keys = list(cover(evaluator, ()).lists)
    planned = list(mutants(evaluator, keys))
    report = cover(evaluator, cases, ((m.key, m.rule, m.probe) for m in planned if m.probe is not None))
    every_fate = []
    known: dict[Key, Known] = {}
    for number, mutant in enumerate(planned):
        first, then = ([case for case, seen in report.noticed if seen.get(number) is wanted] for wanted in (True, False))
        by_size = sorted(then, key=lambda c: c.size)
        every_fate.append(fate(evaluator, mutant, [*first, *by_size[:MOST_ELSEWHERE]], known.setdefault(mutant.key, {})))
    everything = sorted(cases, key=lambda c: c.size)
    every_fate += [fate(evaluator, mutant, everything, {}) for mutant in of_definitions(evaluator)]
    return every_fate, report


def fate(evaluator: Evaluator, mutant: Mutant, asked: Sequence[Case], known: Known) -> Fate:
    """Whether one of the tests notices a mutant; else whether anything could."""
    other = planted(evaluator, mutant)
    for case in asked:
        if not run_case(other, case).passed:
            return Fate(mutant, "killed", case.name)
    try:
        one, two = _list(evaluator, mutant.key), _list(other, mutant.key)
        if one is None or two is None:
            return Fate(mutant, "survived")
        differences = compare_lists("", Finder(evaluator), one, Finder(other), two, known)
    except Undecided:
        return Fate(mutant, "survived")
    if not differences:
        return Fate(mutant, "equivalent")
    best = next((d for d in differences if d.certainty == PROVEN), None)
    return Fate(mutant, "survived", witness=best.witness if best is not None else None)


def score(fates: Sequence[Fate]) -> float:
    """Killed mutants, of those that are not just another spelling, in percent."""
    counted = [f for f in fates if f.outcome != "equivalent"]
    return 100 * sum(f.outcome == "killed" for f in counted) / len(counted) if counted else 100.0
