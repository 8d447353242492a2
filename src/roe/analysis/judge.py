"""Whether two policies decide a record differently: both evaluators are asked, with the record alone and with an owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from roe.analysis.witness import TODAY, Witness
from roe.dynamic import Value, Values
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.extra import credit_lines
from roe.evaluator.leavers import named_reps
from roe.plan.operators import Choose

Tables = dict[str, list[Values]]
CASE = "case"  # the id of a witness
OWNED_FOR = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one policy decides of a record in a role, as far as anybody notices; None where it has no rules for it."""

    action: str
    owner: str | None
    until: date | None
    pool: str
    territory: str
    window: str
    sentence: str


def outcome(decision: Decision | None, plain: bool) -> Judgement | None:
    """The decision without the names of rules. A sentence that roe wrote names its rule; it is `plain` if the policy wrote it."""
    if decision is None:
        return None
    sentence = decision.reason if plain else decision.reason.replace(f"rule `{decision.rule}`", "rule")
    d = decision
    return Judgement(d.action, d.owner, d.until, d.pool, d.territory, d.window, sentence)


class Judge:
    """Asks both policies."""

    def __init__(self, old: Evaluator, new: Evaluator) -> None:
        self.evaluators = (old, new)

    def differ(self, witness: Witness, named: bool = False) -> bool:
        """Whether both have decided the witness, and differently; if `named`, also with all reps there whom the policies name."""
        if witness.given:
            return False
        today = witness.today or TODAY
        worlds = list(self._worlds(witness))
        if named:
            reps = {str(rep): None for e in self.evaluators for rep, _ in named_reps(e.policy.plan, today)}
            worlds += [{**w, "rep": [*w.get("rep", ()), *({"id": x, "name": x} for x in reps)]} for w in worlds]
        return any(self._differ(tables, witness.entity, today) for tables in worlds)

    def credited(self, name: str, witness: Witness) -> bool:
        """Whether both credit the witness, and differently."""
        if witness.given:
            return False
        for tables in self._worlds(witness):
            bounds = [evaluator.bind(tables, as_of=witness.today or TODAY) for evaluator in self.evaluators]
            if not any(bound.world.rejects for bound in bounds) and _lines(bounds[0], name) != _lines(bounds[1], name):
                return True
        return False

    def _worlds(self, witness: Witness) -> Iterator[Tables]:
        """The witness with all that it refers to: alone, and owned by somebody."""
        policy = self.evaluators[1].policy
        tables = witness.tables(policy)
        yield tables
        fields = policy.model.entities.get(witness.entity, {})
        if "owner" not in fields:
            return
        record = dict(tables[witness.entity][0])
        reps = [*tables.get("rep", [])]
        for role in policy.roles:
            if f"owner.{role}" not in record:
                record[f"owner.{role}"] = f"{CASE}-{role}"
                reps.append({"id": f"{CASE}-{role}"})
        if "owner_since" in fields and ("owner_since",) not in witness.facts:
            record["owner_since"] = str((witness.today or TODAY) - OWNED_FOR)
        yield {**tables, witness.entity: [record, *tables[witness.entity][1:]], "rep": reps}

    def _differ(self, tables: Tables, entity: str, today: date | datetime) -> bool:
        decided = [decisions(evaluator, tables, entity, today) for evaluator in self.evaluators]
        if None in decided:
            return False
        before, after = decided
        assert before is not None and after is not None
        return any(differs(before.get(role), after.get(role)) for role in {*before, *after})


def _lines(bound: Bound, name: str) -> list[tuple[object, ...]]:
    """Who is credited with what, and the reason if the policy wrote it."""
    lines = []
    for credit in bound.plan.credits:
        step = bound.plan.steps[credit.entity, credit.name]
        written = isinstance(step, Choose) and any(rule.because for rule in step.rules)
        if credit.name == name:
            lines += [(*line[:-1], line[-1] if written else "") for line in credit_lines(credit, bound.world)]
    return lines


def differs(before: Decision | None, after: Decision | None) -> bool:
    """Whether somebody would notice: another owner, action, end, pool, territory, window or sentence."""
    plain = wrote(before) or wrote(after)
    return outcome(before, plain) != outcome(after, plain)


def wrote(decision: Decision | None) -> bool:
    """Whether the policy itself wrote the sentence of a decision. A rule that finds nobody says so in roe's words, whatever its `because`."""
    if decision is None or decision.action == "unassigned" or decision.choice is None or not decision.choice.fired:
        return False
    rules = decision.row.world.compiled.engagement[decision.entity, decision.role].step.rules
    return bool(rules[decision.choice.fired[0]].because)


def decisions(evaluator: Evaluator, tables: Mapping[str, Value], entity: str, today: date | datetime) -> dict[str, Decision] | None:
    """By role what a policy decides of the first record of an entity; None if it cannot be loaded."""
    if any(name not in evaluator.policy.model.entities for name in tables):
        return None
    bound = evaluator.bind(tables, as_of=today)
    if bound.world.rejects or not bound.world.rows[entity]:
        return None
    row = next((row for row in bound.world.rows[entity] if row["id"] == CASE), bound.world.rows[entity][0])
    return {role: bound.decide(row, role) for role in bound.roles(entity)}
