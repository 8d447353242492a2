"""`--why-not` never misleads: each change that it names is made in the files, everything runs again, and the rep owns the record.

The application of a change (`changed.py`) and the run share nothing with the search that found it but the loader and the engine.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from changed import apply, in_records
from effort import HEAVY, tries
from helpers import AS_OF, EXAMPLES, policy_text, tables
from made_policies import make_data, make_policy
from roe.analysis.whynot import why_not
from roe.data.read import read_tables
from roe.evaluator.engine import Evaluator
from roe.stages.build import build

SAMPLE = tries(1, 2, 2)  # of each example
OWNS = ("keep", "assign", "route", "exception")


def owner(evaluator: Evaluator, found: Any, as_of: str, key: tuple[str, str, str]) -> str | None:
    """Who owns a record after a run; None where nobody does, or a person must decide. What comes after it changes nothing for it."""
    for d in evaluator.bind(found, as_of=as_of).decide_all():
        if (d.entity, d.id, d.role) == key:
            return d.owner if d.action in OWNS else None
    raise AssertionError(f"{key} was not decided")


class Files:
    """An example whose changes are made in a copy of its files. With `quick`, changes of records are made in the tables that were
    read from its files, and a changed policy is read once: for thousands of changes.
    """

    def __init__(self, source: Path, as_of: str, scratch: Path, quick: bool, found: Any = None) -> None:
        self.source, self.as_of, self.scratch, self.quick = source, as_of, scratch, quick
        policy, problems = build(source)
        assert policy is not None, problems
        self.evaluator = Evaluator(policy)
        self.tables = tables(self.evaluator, self.source / "data") if found is None else found
        self._policies: dict[str, Evaluator] = {}
        self._made = 0

    def owner(self, way: list[dict[str, Any]], key: tuple[str, str, str]) -> str | None:
        self._made += 1
        if not self.quick:
            evaluator, data, day = apply(way, self.source, self.scratch / str(self._made))
            found, problems = read_tables(evaluator.policy, data)
            assert not problems, problems
            return owner(evaluator, found, day or self.as_of, key)
        policy = [c for c in way if c["kind"] not in ("field", "record", "wait")]
        named = json.dumps(policy)
        if policy and named not in self._policies:
            self._policies[named] = apply(policy, self.source, self.scratch / str(self._made))[0]
        given: dict[str, Any] = dict(self.tables)
        for number, change in enumerate(way):
            if change["kind"] in ("field", "record"):
                records: list[dict[str, Any]] = list(given.get(change["entity"], []))
                columns = list(dict.fromkeys(k for r in records for k in r if k != "$line"))
                given[change["entity"]] = in_records(self.evaluator.policy, columns, records, change, number)
        day = max((c["until"] for c in way if c["kind"] == "wait"), default=self.as_of)
        return owner(self._policies.get(named, self.evaluator), given, day, key)


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_each_change_that_is_named_flips_the_outcome(name: str, tmp_path: Path) -> None:
    files = Files(EXAMPLES / name, AS_OF[name], tmp_path, HEAVY)
    bound = files.evaluator.bind(files.tables, as_of=AS_OF[name])
    pairs = [(d, rep) for d in list(bound.decide_all()) for rep in bound.world.rows["rep"] if d.owner != rep["id"]]
    asked = pairs if HEAVY else random.Random(name).sample(pairs, SAMPLE)
    counts, wrong = tried(files, bound, asked)
    print(f"{name}: {dict(counts)}, wrong {len(wrong)}", file=sys.stderr)
    assert not wrong, wrong[:3]


def tried(files: Files, bound: Any, asked: list[tuple[Any, Any]]) -> tuple[Counter[str], list[Any]]:
    """How many were asked and helped, and each way that does not give the record to the rep."""
    counts: Counter[str] = Counter()
    wrong = []
    for d, rep in asked:
        answer = why_not(bound, d, rep)
        ways = [way["changes"] for way in answer.as_json()["ways"]]
        got = [files.owner(way, (d.entity, d.id, d.role)) for way in ways]
        wrong += [(d.id, d.role, rep["id"], who, way) for who, way in zip(got, ways, strict=True) if who != rep["id"]]
        counts.update(asked=1, helped=bool(ways), ways=len(ways), replays=answer.replays, unfinished=not answer.complete)
    return counts, wrong


@pytest.mark.parametrize("seed", range(100) if HEAVY else tries((1, 23), (*range(3), 23), ()))
def test_named_changes_flip_the_outcome_under_policies_that_nobody_wrote(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    make_policy(rng, tmp_path / "p")
    files = Files(tmp_path / "p", "2026-02-01T10:30", tmp_path / "changed", True, make_data(rng, 12))
    bound = files.evaluator.bind(files.tables, as_of=files.as_of)
    lines = Counter((entity, record["id"]) for entity, records in files.tables.items() for record in records)
    once = [
        d for d in bound.decide_all() if lines[d.entity, d.id] == 1
    ]  # of a record on two lines, one of them rejected, both would be changed
    pairs = [(d, rep) for d in once for rep in bound.world.rows["rep"] if d.owner != rep["id"]]
    counts, wrong = tried(files, bound, rng.sample(pairs, min(3, len(pairs))))
    print(f"{seed}: {dict(counts)}", file=sys.stderr)
    assert not wrong, wrong[:3]


def test_a_fact_is_named_once_and_nobody_is_advised_to_close_a_lead(tmp_path: Path) -> None:
    text = (
        "roe: 1\nname: w\nroles: [ae]\nengagement:\n"
        "  account: {ae: [{name: big, when: account.employees >= 200, then: {assign: '\"ann\"'}},"
        " {name: fr, when: 'account.country = \"FR\"', then: {assign: '\"ann\"'}}, {name: rest, then: {assign: '\"ben\"'}}]}\n"
        "  lead: {ae: [{name: all, then: {assign: '\"ben\"'}}]}\n"
    )
    policy, problems = build(policy_text(tmp_path, text))
    assert policy is not None, problems
    found: dict[str, list[dict[str, Any]]] = {
        "account": [{"id": "A1", "employees": 5, "country": "US"}],
        "lead": [{"id": "L1"}],
        "rep": [{"id": "ann"}, {"id": "ben"}],
    }
    bound = Evaluator(policy).bind(found, as_of="2026-02-01")
    ann = bound.world.find("rep", "ann")
    assert ann is not None
    answers = {d.entity: why_not(bound, d, ann).as_json() for d in list(bound.decide_all())}
    facts = [[change["field"] for change in way["changes"]] for way in answers["account"]["ways"]]
    assert sorted(facts) == [["country"], ["employees"]]
    assert answers["lead"]["ways"] == []
