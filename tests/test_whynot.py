"""`--why-not` never misleads: each change that it names is made in the files, everything runs again, and the rep owns the record.

The application of a change (`changed.py`) and the run share nothing with the search that found it but the loader and the engine.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from changed import apply
from helpers import AS_OF, EXAMPLES, example, policy_text, tables
from roe.analysis.whynot import as_text, why_not
from roe.data.read import read_tables
from roe.evaluator.engine import Evaluator
from roe.policy.build import build

HEAVY = bool(os.environ.get("ROE_HEAVY"))
SAMPLE = 4  # of each example, in the everyday suite
OWNS = ("keep", "assign", "route", "exception")


def owner(evaluator: Evaluator, data: Path, as_of: str, key: tuple[str, str, str]) -> str | None:
    """Who owns a record after a run over the files; None where nobody does, or a person must decide."""
    found, problems = read_tables(evaluator.policy, data)
    assert not problems, problems
    run = evaluator.run(found, as_of=as_of)
    assert not run.world.rejects
    (decision,) = [d for d in run.decisions if (d.entity, d.id, d.role) == key]
    return decision.owner if decision.action in OWNS else None


def held(source: Path, ways: list[list[dict[str, Any]]], rep: str, key: tuple[str, str, str], as_of: str, folder: Path) -> list[Any]:
    """The ways that do not give the record to the rep when they are made in the files."""
    wrong = []
    for number, way in enumerate(ways):
        evaluator, data, day = apply(way, source, folder / str(number))
        got = owner(evaluator, data, day or as_of, key)
        if got != rep:
            wrong.append((key, rep, got, way))
    return wrong


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_each_change_that_is_named_flips_the_outcome(name: str, tmp_path: Path) -> None:
    evaluator = example(name)
    bound = evaluator.bind(tables(evaluator, EXAMPLES / name / "data"), as_of=AS_OF[name])
    pairs = [(d, rep) for d in list(bound.decide_all()) for rep in bound.world.rows["rep"] if d.owner != rep["id"]]
    asked = pairs if HEAVY else random.Random(name).sample(pairs, SAMPLE)
    counts: Counter[str] = Counter()
    wrong = []
    for number, (d, rep) in enumerate(asked):
        answer = why_not(bound, d, rep)
        ways = answer.as_json()["ways"]
        wrong += held(EXAMPLES / name, ways, rep["id"], (d.entity, d.id, d.role), AS_OF[name], tmp_path / str(number))
        counts.update(asked=1, helped=bool(ways), ways=len(ways), replays=answer.replays, unfinished=not answer.complete)
        if HEAVY:
            import shutil

            shutil.rmtree(tmp_path / str(number), ignore_errors=True)
    print(f"{name}: {dict(counts)}, wrong {len(wrong)}", file=sys.stderr)
    assert not wrong, wrong[:3]
