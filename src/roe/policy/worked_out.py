"""What has been worked out from a policy, kept beside it in the cache folder, so that the next command need not work it out again.

Only what takes long for many rules is here: the tests of rules behind a partition index, and which fields the policy reads. Like the kept
policy it is JSON that holds nothing but values, and it counts only under the digest of the policy's files and of roe itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roe.dynamic import Json, Value
from roe.files import read_own, write_aside
from roe.plan.index import PartitionIndex, RuleTests, as_tests
from roe.plan.operators import Choose
from roe.plan.subjects import Test, Truth

if TYPE_CHECKING:
    from roe.policy.model import Policy

MOST_POINTS = 20_000  # constants of the tests of one rule set that are kept: more are read as slowly as they are worked out


class WorkedOut:
    """What was worked out from the policy with a digest, by name; all of it in one file, or in no file where `values` are given."""

    def __init__(self, place: Path | None, digest: str, values: Json | None = None) -> None:
        self.place, self.digest = place, digest
        self._values = values

    @property
    def values(self) -> Json:
        if self._values is None:
            self._values = self._read()
        return self._values

    def get(self, name: str, make: Callable[[], Value]) -> Value:
        """What is known under a name, else what `make` gives, which is kept."""
        if name not in self.values:
            self.values[name] = make()
            if self.place is not None:
                stored = {"digest": self.digest, "values": self.values}
                write_aside(self.place, json.dumps(stored, ensure_ascii=False, separators=(",", ":")))
        return self.values[name]

    def _read(self) -> Json:
        try:
            stored = json.loads(read_own(self.place)) if self.place is not None else {}
            values: Json = stored["values"] if stored["digest"] == self.digest else {}
            return values if isinstance(values, dict) else {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}


def remember(policy: Policy, known: WorkedOut) -> None:
    """Let a policy know what has been worked out from it."""
    object.__setattr__(policy, "worked_out", known)


def once(policy: Policy, name: str, make: Callable[[], Value]) -> Value:
    """What `make` works out from a policy alone, as JSON: from the cache folder, if it is known there."""
    return make() if policy.worked_out is None else policy.worked_out.get(name, make)


def index_of(policy: Policy | None, step: Choose, lists: Mapping[str, list[Value]]) -> PartitionIndex:
    """The partition index of the rules of a step of the policy. `lists` are the policy's own."""
    conditions = (rule.conditions for rule in step.rules)
    if policy is None or policy.worked_out is None:
        return PartitionIndex(conditions, lists)
    made: list[RuleTests] = []

    def make() -> Value:
        made.append(RuleTests.of(conditions, lists))
        return _kept_tests(made[0])

    stored = policy.worked_out.get(f"rules of {step.stage} {step.entity}.{step.name}", make)
    return PartitionIndex(conditions, lists, made[0] if made else None if stored is None else _tests(stored, policy, step, lists))


def _kept_tests(tests: RuleTests) -> Json | None:
    """The tests of rules as JSON, each test and each subject once; None where there are too many constants."""
    from roe.policy.store import PolicyWriter

    writer = PolicyWriter()
    subjects: dict[str, int] = {}
    trees: list[Value] = []
    numbers: dict[int, int] = {}
    lines: list[Value] = []
    points = 0
    for rule, alternatives in enumerate(tests.alternatives):
        for place, conjunction in enumerate(alternatives):
            for key, test in conjunction.items():
                if id(test) in numbers:
                    continue
                if key not in subjects:
                    subjects[key] = len(trees)
                    trees.append([key, writer.value(test.subject)])
                numbers[id(test)] = len(lines)
                points += len(test.points)
                values = [writer.value(str(p) if isinstance(p, str) else p) for p in test.points]
                lines.append([subjects[key], values, test.at_points, test.gaps, test.other, test.null, rule, place])
    if points > MOST_POINTS:
        return None
    rules = [[[numbers[id(test)] for test in conjunction.values()] for conjunction in alternatives] for alternatives in tests.alternatives]
    return {"excerpts": list(writer.excerpts), "subjects": trees, "tests": lines, "rules": rules, "plain": tests.plain}


def _tests(stored: Json, policy: Policy, step: Choose, lists: Mapping[str, list[Value]]) -> RuleTests:
    """Tests of rules from what was kept; what they say of a value that no cell is for is worked out when somebody asks."""
    from roe.policy.store import PolicyReader

    value = PolicyReader(stored, policy.root).value
    subjects = [(key, value(tree)) for key, tree in stored["subjects"]]
    tests = []
    for subject, points, at_points, gaps, other, null, rule, place in stored["tests"]:
        key, node = subjects[subject]
        again = _Again(step, lists, rule, place, key)
        points = tuple(value(x) if type(x) is list else x for x in points)
        tests.append((key, Test(node, points, tuple(at_points), tuple(gaps), other, null, again)))
    return RuleTests(
        [[dict(tests[i] for i in conjunction) for conjunction in alternatives] for alternatives in stored["rules"]], stored["plain"]
    )


class _Again:
    """The condition of a kept test: made from its rule when it is first asked."""

    __slots__ = ("_condition", "_from")

    def __init__(self, step: Choose, lists: Mapping[str, list[Value]], rule: int, place: int, key: str) -> None:
        self._from = step, lists, rule, place, key
        self._condition: Callable[[Value], Truth] | None = None

    def __call__(self, value: Value) -> Truth:
        if self._condition is None:
            step, lists, rule, place, key = self._from
            alternatives, _ = as_tests([c.tree for c in step.rules[rule].conditions], lists)
            self._condition = alternatives[place][key].condition
        return self._condition(value)
