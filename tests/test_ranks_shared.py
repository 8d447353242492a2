"""Ranks and events of records that are shared out: one task puts all values in order, and the files are those of a run by rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
import pyarrow as pa

from alike import COLUMNS, ROWS, allocations, assert_alike, tasks
from made_worlds import write_csv
from roe.evaluator.fields import place, ranks_of
from roe.share.parcels import LINE
from roe.share.ranks import GROUP, RECORD, VALUE, placed

TIERS = (("top", 20.0), ("middle", 30.0), ("rest", 50.0))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_places_are_those_of_records_that_are_all_together(seed: int, strict: bool) -> None:
    rng = random.Random(seed)
    n = rng.choice([1, 2, 50, 300])
    ids = rng.sample([f"{c}{i}" for c in ("A", "a", "Ä", "😀") for i in range(100)], n)
    values = [rng.choice([0.0, -1.5, 2.0, 2.0, 1e300, float(rng.randrange(9))]) for _ in ids]
    groups = [rng.choice(["x", "y", "", None]) for _ in ids]
    columns = {LINE: pa.array(range(n)), VALUE: pa.array(values), GROUP: pa.array(groups, pa.string()).dictionary_encode()}
    found = placed(pa.table(columns | ({RECORD: pa.array(ids)} if strict else {})))
    said = {x: place(int(found["rank"][i]), int(found["of"][i]), int(found["below"][i]), TIERS) for i, x in enumerate(ids)}
    assert said == ranks_of([*ids], [*values], [*groups], TIERS, strict)


RULES = """roe: 1
name: ranks
roles: [ae]
fields: {account: {revenue: {type: number}}}
scores:
  size: {rank: {of: account.revenue, within: account.owner.ae, tiers: {A: 20, B: 80}}}
  calls: {rank: {of: count(account.activities), ties: strict, tiers: {A: 50, B: 50}}}
events: {account.busy: {when: account.calls.percentile > 60, rearm: account.calls.percentile < 20, because: "{account.calls.rank} of {account.parent.name}"}}
engagement:
  account:
    ae:
      - {name: first, when: account.size.rank = 1, then: {assign: ann}, because: "{account.size.rank} of {account.size.of}"}
      - {name: family, when: 'account.parent.size.tier = "A"', then: {assign: account.parent.owner.ae}}
      - {name: busy, when: account.calls.rank < 9, then: {assign: bob}, because: "{account.calls.percentile}"}
      - {name: kept, then: keep}
"""


def written(folder: Path, rng: random.Random) -> None:
    folder.mkdir(exist_ok=True)
    ids = [f"A{i:02}" for i in range(70)]
    accounts: list[dict[str, Any]] = [
        {
            "id": x, "name": f"N{x}", "revenue": rng.choice([1, 2, 2.5, 1000, "", "many"]), "parent": rng.choice([*ids, "", ""]),
            "owner": rng.choice(["ann", "bob", "cy", ""]),
        }
        for x in ids
    ]  # fmt: skip
    calls = [{"id": f"T{i}", "account": rng.choice(ids[:30])} for i in range(60)]
    for name, table in (("accounts", accounts), ("activities", calls), ("reps", [{"id": x} for x in ("ann", "bob", "cy")])):
        write_csv(folder / f"{name}.csv", list(table[0]), table)


@pytest.mark.parametrize("number", [1, 5])
def test_ranks_and_events_night_after_night(number: int, tmp_path: Path) -> None:
    evaluator, rng, shared = roe.compile(roe.load(policy_text(tmp_path, RULES))), random.Random(number), tasks(number)
    events = []
    for night in range(3):
        written(tmp_path / "data", rng)
        found = assert_alike({**ROWS, **COLUMNS, "tasks": shared}, evaluator, tmp_path / "data", f"2026-02-0{night + 1}", tmp_path)
        assert shared.together == ""
        assert {x["rule"] for x in allocations(found)} == {"first", "family", "busy", "kept"}
        events.append(found["events.csv"])
    assert all(",raised," in x for x in events) and ",up," in events[1]


@pytest.mark.parametrize(("more", "reason"), [
    ("invariants: [{name: top, every: account, holds: account.size.rank > 0, severity: warn}]", "the invariant `top` may look at owners of other accounts once they are decided"),
    ("scores: {twice: {rank: {of: account.size.percentile}}}", "what account.twice ranks is not known from the records alone"),
])  # fmt: skip
def test_what_takes_all_records_is_said(more: str, reason: str, tmp_path: Path) -> None:
    text = RULES.replace("scores:\n", "scores:\n  twice: {rank: {of: account.size.percentile}}\n") if "twice" in more else RULES + more
    evaluator, shared = roe.compile(roe.load(policy_text(tmp_path, text))), tasks(3)
    written(tmp_path / "data", random.Random(1))
    assert_alike({**ROWS, "tasks": shared}, evaluator, tmp_path / "data", "2026-02-01", tmp_path, remembers=False)
    assert shared.together == reason
