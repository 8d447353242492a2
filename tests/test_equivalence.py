"""The proof of the proof: whatever single thing is changed in a policy, "equivalent" is said only where every record is decided alike.

The other policy is decided by the evaluator, record by record: the example's own data, records with values at the boundaries that the
policies name, and a second night. Everyday a seeded sample is looked at, with ROE_HEAVY thousands; `-s` prints how many.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import HEAVY, tries
from helpers import AS_OF, EXAMPLES, example, policy_text, tables
from made_policies import make_data, make_policy
from roe.analysis.decided import with_made_records
from roe.analysis.equivalence import compare
from roe.evaluator.engine import Evaluator
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.policy.reads import expressions
from roe.run.rows import extra_of
from roe.stages.build import build
from single_changes import apply, edits, shuffled

OF_AN_EXAMPLE = tries(1, 3, int(os.environ.get("ROE_CHANGES", "500")))
BLOCK, BLOCKS, OF_A_MADE = tries((1, 1, 1), (2, 1, 2), (20, 20, 14))  # made policies in a block, blocks, and changes of each: 5,600 in all
NAMES = sorted(AS_OF)


def outcome(evaluator: Evaluator, given: Any, moments: list[str]) -> list[Any]:
    """Owner, until, action, credit and sentence of every record, night after night."""
    state: Any = {}
    seen: list[Any] = []
    for moment in moments:
        run = evaluator.run(given, as_of=moment, state=state)
        seen.append([(d.entity, d.id, d.role, d.owner, d.until, d.action, d.reason) for d in run.decisions])
        seen.append(extra_of(run))
        state = run.state()
    return seen


def boundaries(evaluator: Evaluator, as_of: str, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Records whose values are the constants of the policy, and what lies beside them."""
    rng = random.Random(seed)
    policy = evaluator.policy
    constants = [n.value for _, tree in expressions(policy) for n in s.walk(tree) if isinstance(n, s.Literal)]
    numbers = [x + d for x in constants if v.is_number(x) for d in (-1, 0, 1)] or [0, 1, 100]
    texts = [x for x in constants if isinstance(x, str)] + [str(x) for values in policy.plan.lists.values() for x in values] or ["x"]
    spans = [x for x in constants if isinstance(x, timedelta)] or [timedelta(days=30)]
    now = datetime.fromisoformat(as_of)
    days = [now - x + timedelta(days=d) for x in (*spans, timedelta()) for d in (-1, 0, 1)] + [
        x for x in constants if isinstance(x, datetime)
    ]
    reps = [f"R{i}" for i in range(5)]
    made: dict[str, list[dict[str, Any]]] = {}
    for entity, known in policy.model.entities.items():
        rows = []
        for i in range(5 if entity == "rep" else 40 if entity in ("account", "lead", "activity") else 8):
            row: dict[str, Any] = {"id": reps[i] if entity == "rep" else f"{entity}-{i}"}
            for name, f in known.items():
                if name == "id" or f.via or (rng.random() < 0.3 and not f.required):
                    continue
                kind = f.type.name
                if kind == "owners":
                    row |= {f"{name}.{role}": rng.choice(reps) for role in policy.roles if rng.random() < 0.7}
                elif kind == "record":
                    size = {"rep": 5, "account": 40, "lead": 40, "activity": 40}.get(f.type.entity, 8)
                    k = rng.randrange(size)
                    row[name] = reps[k] if f.type.entity == "rep" else f"{f.type.entity}-{k}"
                elif kind == "number":
                    row[name] = rng.choice(numbers)
                elif kind == "boolean":
                    row[name] = rng.choice(["true", "false"])
                elif kind == "date":
                    row[name] = str(rng.choice(days).date())
                elif kind == "date and time":
                    row[name] = rng.choice(days).isoformat()
                elif kind == "string":
                    row[name] = rng.choice(f.type.values or texts)
            rows.append(row)
        made[entity] = rows
    return made


def nights(as_of: str) -> list[str]:
    return [as_of, (datetime.fromisoformat(as_of) + timedelta(days=3)).isoformat()]


class Watched:
    """A policy, the worlds that its changes are tried on, and what it decides there."""

    def __init__(self, folder: Path, evaluator: Evaluator, worlds: list[tuple[Any, list[str]]]) -> None:
        self.folder, self.evaluator, self.worlds = folder, evaluator, worlds
        self.decided = [outcome(evaluator, given, moments) for given, moments in worlds]

    def verdict(self, other: Evaluator) -> tuple[str, bool]:
        """The verdict, and whether all records bear it out where it is "equivalent"."""
        verdict = compare(self.evaluator, other).verdict
        worlds = zip(self.worlds, self.decided, strict=True) if verdict == "equivalent" else ()
        return verdict, all(outcome(other, given, moments) == before for (given, moments), before in worlds)


def check(watched: Watched, most: int, seed: int, scratch: Path) -> Counter[str]:
    """Up to so many changes that load, in a seeded order."""
    seen: Counter[str] = Counter()
    false: list[str] = []
    for edit in shuffled(edits(watched.folder), seed):
        policy, _ = build(apply(edit, watched.folder, scratch))
        if policy is None:
            seen["does not load"] += 1
            continue
        verdict, right = watched.verdict(Evaluator(policy))
        seen[verdict] += 1
        if not right:
            false.append(f"{watched.folder.name}/{edit.file}: {edit.what}")
        if loaded(seen) >= most:
            break
    assert not false, "called equivalent, and a record is decided otherwise:\n" + "\n".join(false)
    return seen


def loaded(seen: Counter[str]) -> int:
    return sum(n for verdict, n in seen.items() if verdict != "does not load")


SLOW = {"windows"}  # whose conditions about dates make each comparison look at all days of seventy years


@pytest.mark.parametrize("name", tries([name for name in NAMES if name not in SLOW], NAMES, NAMES))
def test_no_single_change_of_an_example_is_called_equivalent_where_a_record_is_decided_otherwise(name: str, tmp_path: Path) -> None:
    evaluator = example(name)
    worlds: list[Any] = [(tables(evaluator, EXAMPLES / name / "data"), nights(AS_OF[name]))]
    if name != "pipeline":  # which has records enough
        worlds += [(boundaries(evaluator, AS_OF[name], seed), nights(AS_OF[name])) for seed in ((1, 2) if HEAVY else (1,))]
    seen = check(Watched(EXAMPLES / name, evaluator, worlds), OF_AN_EXAMPLE, 7, tmp_path / "other")
    print(f"\n{name}: {loaded(seen)} single changes: {dict(seen)}", flush=True)
    assert loaded(seen) > 0


@pytest.mark.parametrize("first", range(0, BLOCK * BLOCKS, BLOCK))
def test_no_single_change_of_a_made_policy_is_called_equivalent_where_a_record_is_decided_otherwise(first: int, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(first, first + BLOCK):
        rng = random.Random(number)
        folder = tmp_path / f"{number}"
        make_policy(rng, folder)
        policy, found = build(folder)
        assert policy is not None, found
        evaluator = Evaluator(policy)
        worlds = [
            (make_data(rng, 30), nights("2026-02-01T10:00")),
            (boundaries(evaluator, "2026-02-01T10:00", number), nights("2026-02-01T10:00")),
        ]
        seen += check(Watched(folder, evaluator, worlds), OF_A_MADE, number, tmp_path / "other")
    print(f"\nmade policies {first} to {first + BLOCK - 1}: {loaded(seen)} single changes: {dict(seen)}", flush=True)
    assert loaded(seen) > 0


SHOWN = {  # parts that could not be compared by their text, and yet a record shows that they decide
    "a field's default": ("default: A", "default: B"),
    "a pool's fallback": ("fallback: boss", "fallback: chief"),
    "a pool's cap": ("per_day: 5", "per_day: 0"),
    "a sentence behind a window": ("is big", "is very big"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_cannot_be_compared_is_tried_with_records(name: str, tmp_path: Path) -> None:
    text = """
roe: 1
name: tried
roles: [ae]
fields: {account: {seg: {type: string, values: [A, B], default: A}}}
windows: {guard: {lasts: 30 days, grace: 5 days}}
pools: {p: {members: [ann], caps: {per_day: 5}, fallback: boss}, q: {members: 'rep.team = "S"', fallback: boss}}
engagement:
  account:
    ae:
      - {name: kept, when: 'account.guard_state = "protected"', then: keep}
      - {name: b, when: 'account.seg = "B"', then: hold}
      - {name: big, when: account.employees > 10, then: {assign: '"ann"'}, because: it is big}
      - {name: us, when: 'account.country = "US"', then: {route: q}}
      - {name: rest, then: {route: p}}
"""
    old, new = SHOWN[name]
    assert text.count(old) >= 1
    sides = [roe.compile(roe.load(policy_text(tmp_path / side, x))) for side, x in (("old", text), ("new", text.replace(old, new)))]
    compared = with_made_records(compare(*sides), *sides)
    assert compared.verdict == "different", compared
    assert all(d.certainty == "proven" and d.witness is not None and not d.witness.given for d in compared.differences)


@pytest.mark.parametrize(("because", "same"), [("", False), (", because: big", True)])
def test_a_refused_claim_names_its_rule_where_it_has_no_sentence(because: str, same: bool, tmp_path: Path) -> None:
    text = """
roe: 1
name: claimed
roles: [ae]
claims: {role: ae, lasts: 20 days, blocked_by: [{name: BLOCKS, when: account.employees > 400BECAUSE}]}
engagement: {account: {ae: [{name: rest, then: open}]}}
""".replace("BECAUSE", because)
    sides = [roe.compile(roe.load(policy_text(tmp_path / name, text.replace("BLOCKS", name)))) for name in ("big", "large")]
    assert (compare(*sides).verdict == "equivalent") is same
