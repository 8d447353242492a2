"""Ways to what a list of rules gives: through a rule that holds, criteria of a score that add up to it, or through none of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from roe.analysis.changes import Way, together
from roe.analysis.nearby import TRIED, Accept
from roe.dynamic import Value
from roe.evaluator.choose import Chooser
from roe.evaluator.row import Row
from roe.grammar.scopes import Scope
from roe.plan.operators import Choose, Rule

if TYPE_CHECKING:
    from roe.analysis.facts import Proposals

RULES = 12  # of a table, those that lack the fewest conditions


def ways_to_choice(facts: Proposals, row: Row, chooser: Chooser, accept: Accept) -> Iterator[Way]:
    """Ways to a value of a `Choose`: through its rules, or through none of them."""
    step, scope = chooser.step, facts.world.scope(row)
    if step.hit.startswith("collect"):
        yield from _collected(facts, step, scope, accept)
        return
    rules = step.rules
    holding = [i for i in range(min(len(rules), TRIED * 20)) if chooser.truth(i, scope) is True]
    good = [i for i in range(min(len(rules), TRIED * 20)) if accept(rules[i].value)]
    for i in sorted(good, key=lambda i: (_lacking(facts, rules[i], scope), i))[:RULES] if len(good) > RULES else good:
        others = [j for j in holding if (j < i if step.hit == "first" else j != i)]
        if len(others) <= 3:
            yield from together([facts.rule(rules[i], scope), *(facts.rule(rules[j], scope, False) for j in others)])
    if accept(step.default):
        yield from together([facts.rule(rules[j], scope, False) for j in holding[:4]])


def _lacking(facts: Proposals, rule: Rule, scope: Scope) -> int:
    return sum(facts.value(expr.tree, scope) is not True for expr in rule.conditions)


def _collected(facts: Proposals, step: Choose, scope: Scope, accept: Accept) -> Iterator[Way]:
    """Criteria of a score that are met, or no longer, one, two or three of them."""
    totals: dict[str, Callable[[list[Value]], Value]] = {
        "collect sum": sum,
        "collect count": len,
        "collect min": min,
        "collect max": max,
    }
    total = totals.get(step.hit, list)
    true = [facts.is_met(rule, scope) for rule in step.rules[:TRIED]]
    options = []
    for i in range(len(true)):
        ways = facts.rule(step.rules[i], scope, not true[i])
        if ways:
            options.append((i, ways))
    for size in (1, 2, 3):
        for group in itertools.islice(itertools.combinations(options, size), TRIED):
            flipped = {i for i, _ in group}
            values = [r.value for i, r in enumerate(step.rules[:TRIED]) if true[i] != (i in flipped)]
            if accept(total(values) if values else step.default):
                yield from together([ways for _, ways in group])
