"""Precedence that stands too late: a rule whose records an earlier rule takes and decides otherwise.

A rule that says `overrides: [name, …]` must lose none of its records to the rules that it names: that is proven, or a record shows it.
Of other rules nobody knows what they are meant to do. Where there is data, a rule is named that is narrower than an earlier one, and yet
loses most of its records to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from roe.analysis.diff import said
from roe.analysis.space import Undecided
from roe.analysis.verdicts import POSSIBLE, PROVEN, UNDECIDED, RuleTable, Verdict
from roe.analysis.witness import THERE, Witness, path_of
from roe.diagnostics import Diagnostic
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.plan.operators import Action, Expr

if TYPE_CHECKING:
    from roe.analysis.checked import CheckedPolicy
    from roe.evaluator.row import Row

LEAST = 2  # records of a rule from which its losses say something
PROTECTS = ("keep", "hold")  # what stands first on purpose: nobody loses what they have
MOST_RULES = 1_000  # of a list that every record is asked about


def overridden(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R426: a rule declares that it overrides another, and the other takes records of it."""
    for table in subject.tables:
        rules = table.step.rules
        numbers = {str(rule.name): number for number, rule in enumerate(rules)} if table.step.hit == "first" else {}
        for number, rule in enumerate(rules):
            for name in rule.overrides:
                other = numbers.get(str(name), number)
                if other >= number or said(rules[other].value) == said(rule.value):
                    continue
                verdict = taken(table, number, other)
                if verdict is None:
                    continue
                message = f"`{rule.name}` overrides `{name}`, but `{name}` comes earlier and takes records from it"
                if verdict.certainty == UNDECIDED:
                    message = f"undecided whether `{name}` takes records from `{rule.name}`, which overrides it"
                yield Diagnostic(
                    "R426", message, rule.name.span(), f"put `{rule.name}` before `{name}`",
                    (("this one decides first", rules[other].name.span()),), certainty=verdict.certainty,
                    witness="" if verdict.witness is None else str(verdict.witness), touches=subject.touched(table.step.entity, verdict.touches),
                )  # fmt: skip


def taken(table: RuleTable, rule: int, other: int) -> Verdict | None:
    """Records that meet a rule, and that an earlier rule decides; None is a proof that there are none."""

    def touches(row: Row) -> bool:
        scope = row.world.scope(row)
        return table.chooser(scope).fired == (other,) and table.chooser.truth(rule, scope) is True

    def taken_from(witness: Witness) -> bool:
        asked = table.finder.asked(witness, table.chooser)
        return asked is not None and asked[0] == (other,) and _differ(table, witness, rule, other)

    possible: Verdict | None = None
    for space in table.spaces:
        if rule not in space.rules or other not in space.rules:
            continue
        for _, both in ((bit, box) for _, mine in space.boxes(rule) for bit, box in space.boxes(other, mine)):
            try:
                box = space.clear(both, space.before(other))
            except Undecided:
                return Verdict((rule,), UNDECIDED, others=(other,), touches=touches)
            if box is None:
                continue
            possible = possible or Verdict((rule,), POSSIBLE, others=(other,), touches=touches)
            verdict = table.shown(space, box, (rule,), taken_from, touches, lambda witness: _peopled(table, witness, (rule, other)))
            if verdict is not None:
                verdict.others = (other,)
                if verdict.certainty == PROVEN:
                    return verdict
                possible = verdict if possible.witness is None else possible
    if possible is not None and table.impossible([rule, other], range(other)):
        return None
    return possible


def _peopled(table: RuleTable, witness: Witness, rules: Iterable[int]) -> Witness:
    """The record with somebody wherever the rules look for the rep whom they assign, unless it says something of that already."""
    fields = (n for i in rules for expr in _assigned(table.step.rules[i].value) for n in s.walk(table.cases.writer.full(expr.tree)))
    paths = (path_of(n, witness.entity) for n in fields if isinstance(n, s.Path))
    new = {p: THERE for p in paths if p is not None and len(p) > 1 and not any(q[: len(p)] == p for q in witness.facts)}
    full = replace(witness, facts={**witness.facts, **new})
    return full if new and full.possible and table.finder.row(full) is not None else witness


def _assigned(action: object) -> list[Expr]:
    """What a rule gives as the rep, and what it falls back on."""
    return [a.assign for a in action.with_otherwise() if a.assign is not None] if isinstance(action, Action) else []


def _differ(table: RuleTable, witness: Witness, rule: int, other: int) -> bool:
    """Whether both rules hold for a record, and give it to two people, or do two things with it."""
    row = table.finder.row(witness)
    if row is None or table.chooser.truth(rule, row.world.scope(row)) is not True:
        return False
    return table.step.stage != "engagement" or _given(table, row, rule) != _given(table, row, other)


def _given(table: RuleTable, row: Row, rule: int) -> tuple[Value, ...]:
    """What a rule does with a record: the action, or the pool, the rep and until when."""
    code, scope, role = row.world.compiled.code, row.world.scope(row), table.step.name.removeprefix("engagement_")
    outcome = row.world.compiled.role(row.entity, role).of(rule)
    while True:
        rep = None if outcome.owner is None else row.world.assignee(code(outcome.owner)(scope), role)
        if rep is not None or outcome.pool or outcome.otherwise is None:
            until = None if outcome.until is None or (rep is None and outcome.action == "assign") else code(outcome.until)(scope)
            return outcome.action, outcome.pool, rep and rep["id"], until, outcome.action == "refer" and said(table.step.rules[rule].value)
        outcome = outcome.otherwise


def too_late(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R427: most records of a rule are decided otherwise by an earlier one, which holds for more, or for as many if it takes them all."""
    if subject.bound is None:
        return
    for table in subject.tables:
        step = table.step
        if step.stage != "engagement" or len(step.rules) > MOST_RULES:
            continue
        holds, lost = _losses(table, subject.bound.world.rows[step.entity])
        proven = {v.rules[0] for v in table.never}
        for number, rule in enumerate(step.rules):
            if number in proven or _catch_all(table, number) or len(holds[number]) < LEAST or not lost[number]:
                continue
            (earlier, count), total = lost[number].most_common(1)[0], lost[number].total()
            if 2 * count <= len(holds[number]) or len(holds[earlier]) < len(holds[number]) + (count < len(holds[number])):
                continue
            first = step.rules[earlier]
            if isinstance(first.value, Action) and first.value.kind in PROTECTS:
                continue
            them = "them" if total == count else f"{count} of them"
            message = f"`{rule.name}` would decide {total} of its {len(holds[number])} records differently, but the earlier `{first.name}` takes {them}"
            help = f"if it should win, put it before `{first.name}` and write `overrides: [{first.name}]`; roe then proves that it does"
            names = tuple(str(row["id"]) for row in holds[number] if table.chooser(row.world.scope(row)).fired == (earlier,))[:5]
            related = ((f"`{first.name}` decides first", first.name.span()),)
            yield Diagnostic("R427", message, rule.name.span(), help, related, certainty=PROVEN, touches=(total, names))


def _losses(table: RuleTable, records: Iterable[Row]) -> tuple[list[list[Row]], list[Counter[int]]]:
    """Of each rule the records that it holds for, and how many of them each earlier rule decides otherwise."""
    does = [said(rule.value) for rule in table.step.rules]
    holds: list[list[Row]] = [[] for _ in does]
    lost: list[Counter[int]] = [Counter() for _ in does]
    for row in records:
        held = table.chooser.all(row.world.scope(row)).true
        for holding in held:
            holds[holding].append(row)
            if does[holding] != does[held[0]]:
                lost[holding][held[0]] += 1
    return holds, lost


def _catch_all(table: RuleTable, number: int) -> bool:
    conditions = table.step.rules[number].conditions
    return not conditions or all(isinstance(c.tree, s.Literal) and c.tree.value is True for c in conditions)


CHECKS: tuple[Callable[[CheckedPolicy], Iterator[Diagnostic]], ...] = (overridden, too_late)
