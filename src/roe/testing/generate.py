"""Tests that nobody wrote: for each planted fault that no test notices, a record on which it shows, with what the policy decides today.

They are proposals. A generated test says what *is* decided; whether that is right is for a person to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from roe.analysis.witness import Witness
from roe.dynamic import Value, Values
from roe.evaluator.engine import Evaluator
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.plan.operators import Derive
from roe.policy.loader import Map
from roe.source import Inline, Text
from roe.testing.cases import Case, CaseStep, Expectation, Given
from roe.testing.coverage import Key
from roe.testing.mutate import Fate, planted
from roe.testing.runner import run_case


@dataclass(slots=True)
class Proposal:
    """A test to be written: the records, the day, and what is expected; `kills` are the faults that it notices."""

    name: str
    as_of: str
    given: Given
    expect: Values
    kills: list[str] = field(default_factory=list)


def propose(evaluator: Evaluator, fates: Sequence[Fate]) -> list[Proposal]:
    """Tests that notice what the tests do not; each has been run against the policy and against the faults that it is for."""
    proposals: list[Proposal] = []
    cases: list[Case] = []
    for fate in fates:
        if fate.outcome != "survived" or fate.witness is None:
            continue
        other = planted(evaluator, fate.mutant)
        known = next((p for p, c in zip(proposals, cases, strict=True) if not run_case(other, c).passed), None)
        if known is not None:
            known.kills.append(fate.mutant.what)
            continue
        made = _proposal(evaluator, fate.mutant.key, fate.witness, len(proposals) + 1)
        if made is None:
            continue
        case = _case(made)
        if run_case(evaluator, case).passed and not run_case(other, case).passed:
            made.kills.append(fate.mutant.what)
            proposals.append(made)
            cases.append(case)
    return proposals


def _proposal(evaluator: Evaluator, key: Key, witness: Witness, number: int) -> Proposal | None:
    """What the policy decides about a witness, as a test; None where a test cannot give the record, or says nothing of the list."""
    if witness.given:
        return None
    kind, entity, name = key
    day = str(witness.today or "2026-01-01")
    tables = witness.tables(evaluator.policy)
    run = evaluator.run(tables, as_of=day)
    row = run.world.find(entity, "case")
    if row is None:
        return None
    record: Values = {"record": "case", "entity": entity}
    if kind == "engagement":
        decision = next((d for d in run.decisions if (d.entity, d.id, d.role) == (entity, "case", name)), None)
        if decision is None:
            return None
        record |= {"role": name, "rule": decision.rule, "action": decision.action, "owner": decision.owner or ""}
        what = f"{name}: {decision.rule or 'no rule'}"
    else:
        values = dict(_values(evaluator, entity, name, row))
        if not values:
            return None
        record["values"] = values
        what = ", ".join(f"{k} is {x}" for k, x in list(values.items())[:2])
    given = {e: [{k: str(_text(x)) for k, x in r.items()} for r in rows] for e, rows in tables.items()}
    return Proposal(f"boundary {number}: {witness}: {what}"[:160], day, given, record)


def _values(evaluator: Evaluator, entity: str, name: str, row: Row) -> Iterable[tuple[str, str]]:
    """What a computed field gives, part by part; of a staffing the owner in its role."""
    plan = evaluator.policy.plan
    base, _, role = name.rpartition(".")
    group = plan.steps.get((entity, base))
    if isinstance(group, Derive) and group.group is not None and group.group.get(role) == name:
        owner = row[base].get(role)
        yield f"{entity}.{base}.{role}.id", v.literal(str(owner["id"])) if owner is not None else "null"
        return
    if not name.isidentifier():
        return
    value = row[name]
    if isinstance(value, dict):
        yield from ((f"{entity}.{name}.{k}", v.literal(x)) for k, x in value.items())
    else:
        yield f"{entity}.{name}", v.literal(value)


def _text(value: object) -> Value:
    return v.string(value) if not isinstance(value, str) else value


def _case(p: Proposal) -> Case:
    """The proposal as the test that it will be."""
    at = Inline("<generated>")

    def text(x: object) -> Text:
        return Text(str(x), at)

    wanted = {k: text(x) for k, x in p.expect.items() if k in ("rule", "action", "owner")}
    values = Map()
    for k, x in p.expect.get("values", {}).items():
        values[text(k)] = text(x)
    expectation = Expectation("case", p.expect["entity"], p.expect.get("role", ""), wanted, values, None, at.locate("", 0, 0))
    return Case(p.name, "<generated>", [CaseStep(p.as_of, p.given, [expectation])])


def as_yaml(proposals: Sequence[Proposal]) -> str:
    """The proposals as a file of tests."""
    import yaml

    tests = [
        {"name": p.name, "as_of": p.as_of, "given": {_plural(e): rows for e, rows in p.given.items()}, "expect": [p.expect]}
        for p in proposals
    ]
    head = "# Proposed by `roe test --generate`: what is decided today, at boundaries that no other test looks at. Is it right?\n"
    return head + yaml.safe_dump({"tests": tests}, sort_keys=False, allow_unicode=True, width=140)


def _plural(entity: str) -> str:
    from roe.policy.standard import FILES

    return FILES.get(entity, (f"{entity}s",))[0]
