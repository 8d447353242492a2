"""Rules that can never fire, since one earlier rule of a first-match list holds wherever they do.

A later step that an earlier catch-all has decided already is the commonest fault of rules of engagement. The proof is in
the partition index: rule i covers rule j if in every cell of every subject where j is true, i is true as well. Whatever
a record is, it falls into one cell per subject, so this holds even where subjects depend on each other; that values are
of their declared types is what loading sees to. What several earlier rules cover only together is not found here.
"""

from __future__ import annotations

from collections.abc import Iterator

from roe.diagnostics import Diagnostic
from roe.plan.index import Index
from roe.plan.operators import Choose, Plan
from roe.source import Text

MAX_WORK = 20_000_000  # rules times cells; a keyed table of 40,000 rows is not looked through


def shadowed_rules(plan: Plan) -> list[Diagnostic]:
    """A warning for each rule, or table row, that an earlier one of its list always decides before."""
    found = []
    for step in (*plan.steps.values(), *plan.engagement.values()):
        if isinstance(step, Choose) and step.hit == "first" and len(step.rules) > 1:
            for later, earlier in covered(step, Index((rule.conditions for rule in step.rules), plan.lists)):
                one, other = step.rules[later], step.rules[earlier]
                if not _written(one.name) or not _written(other.name):
                    continue
                message = f"`{one.name}` can never fire: `{other.name}` before it holds wherever it does"
                help = "put the narrower rule first, or remove it"
                found.append(Diagnostic("R405", message, one.name.span(), help, (("this one decides first", other.name.span()),)))
    return list({(d.span, d.message): d for d in found}.values())


def _written(name: str) -> bool:
    return isinstance(name, Text)


def covered(step: Choose, index: Index) -> Iterator[tuple[int, int]]:
    """Pairs of a rule and an earlier one that covers it. A rule with alternatives is covered if each of them is, by one rule."""
    cells = [subject.cells() for subject in index.subjects]
    if any(c is None for c in cells) or len(index.rule_of) * sum(len(c or ()) for c in cells) > MAX_WORK:
        return
    for number in range(1, len(step.rules)):
        bits = [bit for bit, rule in enumerate(index.rule_of) if rule == number]
        first = bits[0] if bits else 0
        covering: set[int] | None = None
        for bit in bits:
            candidates = (1 << first) - 1
            for masks in cells:
                for true, _ in masks or ():
                    if true >> bit & 1:
                        candidates &= true
                if not candidates:
                    break
            rules = set(index.rules_of(candidates))
            covering = rules if covering is None else covering & rules
        if covering:
            yield number, min(covering)
