"""Rows of a `unique` table that hold together, each pair with a *witness*: a record for which both do.

The partition index says which pairs could overlap: rows that are true in a common cell of every subject. From those cells a
record is built and the table is asked about it. Only what it then says is reported, so a finding is never a guess. A table
that tests anything but the record's own fields is left to the run, which names the records (R609).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any

from roe.diagnostics import Diagnostic
from roe.evaluator.expressions import CLOCK, IMPLICIT
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.plan.index import Index, Subject
from roe.plan.operators import Choose
from roe.policy.model import Policy

MAX_ROWS = 2_000
MAX_FINDINGS = 20  # per table; a table that says `unique` and overlaps everywhere needs no longer list


def overlapping_rows(policy: Policy) -> list[Diagnostic]:
    found = []
    for step in policy.plan.steps.values():
        if isinstance(step, Choose) and step.hit == "unique" and 1 < len(step.rules) <= MAX_ROWS:
            index = Index((rule.conditions for rule in step.rules), policy.plan.lists)
            for number, (later, earlier, witness) in enumerate(overlaps(step, index)):
                if number == MAX_FINDINGS:
                    break
                one, other = step.rules[later], step.rules[earlier]
                shown = ", ".join(f"{name} = {v.literal(value)}" for name, value in witness.items()) or "any record"
                message = f"`{one.name}` and `{other.name}` both hold for {shown}"
                help = "make one of them exclude it, or say `hit: first`"
                found.append(Diagnostic("R407", message, one.name.span(), help, (("this one holds, too", other.name.span()),)))
    return list({(d.span, d.message): d for d in found}.values())


def overlaps(step: Choose, index: Index) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(a row, an earlier one, the fields of a record for which both hold)."""
    fields = [field_of(subject, step.entity) for subject in index.subjects]
    if any(f is None for f in fields):
        return
    samples = [[(value, subject.masks(value)[0]) for value in subject.samples()] for subject in index.subjects]
    for later, rule in enumerate(index.rule_of):
        possible = (1 << later) - 1
        for cells in samples:
            common = 0
            for _, true in cells:
                if true >> later & 1:
                    common |= true
            possible &= common
        for earlier in index.rules_of(possible):
            if earlier == rule:
                continue
            bits = [b for b in range(later) if possible >> b & 1 and index.rule_of[b] == earlier]
            witness = next((w for b in bits if (w := _witness(fields, samples, later, b)) is not None), None)
            if witness is not None and {rule, earlier} <= set(index.all(_scope(step, witness)).true):
                yield rule, earlier, {k: x for k, x in witness.items() if x is not None}


def field_of(subject: Subject, entity: str) -> str | None:
    """The record's own field that a subject is, or `today`; None for anything that no record can be given."""
    node = subject.node
    if isinstance(node, s.Name):
        return node.id
    if isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == entity:
        return node.field
    return None


def _witness(fields: list[str | None], samples: list[list[tuple[Any, int]]], one: int, other: int) -> dict[str, Any] | None:
    """A value per field from a cell in which both are true; what no row asks for stays missing."""
    witness: dict[str, Any] = {}
    for name, cells in zip(fields, samples, strict=True):
        fits = [value for value, true in cells if true >> one & 1 and true >> other & 1]
        if not fits:
            return None
        witness[str(name)] = fits[0]
    return witness


def _scope(step: Choose, witness: dict[str, Any]) -> dict[str, Any]:
    day = witness.get("today")
    clock = Clock(datetime.combine(day, time(), UTC) if day is not None else datetime(2026, 1, 1, tzinfo=UTC))
    return {CLOCK: clock, "today": clock.today, step.entity: witness, IMPLICIT: witness}
