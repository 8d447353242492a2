"""A run on Spark reads and leaves the memory that a run in columns does, night after night, into however many tasks the records go."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
import roe
from effort import HEAVY
from helpers import policy_text
from in_tasks import InTasks
from roe.ledger.entries import RunEntry
from roe.ledger.store import open_store
from roe.run import engines
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from test_ledger_columns import FIRST, POLICY, Crm, decided_in

LEADS = POLICY.index("  lead:\n    ae:")
ACCOUNT_RULES = POLICY.index("  account:\n    ae:")
MORE = """track: [account.size, account.flag]
invariants:
  - {name: gone, every: run, holds: vanished = 0, severity: warn}
  - {name: changed, every: run, holds: changed_in_crm = 0, severity: warn}
  - {name: few, every: rep, holds: owned < 12, severity: warn}
"""
POLICIES = {  # what is decided -> the policy, and the reasons that keep all records in one task
    "accounts": (POLICY[:LEADS] + MORE, {""}),
    "leads": (POLICY[:ACCOUNT_RULES] + POLICY[LEADS:], {""}),
    "kept leads": (
        (POLICY[:ACCOUNT_RULES] + POLICY[LEADS:]).replace("      - {name: given", "      - {name: kept, when: lead.owner.ae != null, then: keep}\n      - {name: given"),
        {""},
    ),
    "complete accounts": (POLICY[:LEADS].replace("engagement:", "data: {account: {complete: true}}\nengagement:"), {""}),
    "both": (POLICY, {""}),
}  # fmt: skip
NIGHTS = [
    (what, number, seed) for what in POLICIES for number in ((1, 3) if HEAVY else (3,)) for seed in (range(4) if HEAVY else (number,))
]


class StampedCrm(Crm):
    """Its rows say when they were changed last, and some of them are older than what was there before; some are deleted, or back."""

    def _new(self) -> dict[str, str]:
        return {**super()._new(), "modified_at": self._moment(), "deleted": ""}

    def _moment(self) -> str:
        return f"2026-03-{self.rng.randrange(1, 9):02}T{self.rng.randrange(24):02}:30:00Z"

    def a_day_passes(self, decided: list[Any]) -> None:
        super().a_day_passes(decided)
        for x in self.records["account"].values():
            is_changed = self.rng.random() < 0.4
            x["deleted"] = self.rng.choice(["", "yes"]) if is_changed else x["deleted"]
            x["modified_at"] = self._moment() if is_changed else x["modified_at"]


@pytest.mark.parametrize(("what", "number", "seed"), NIGHTS)
def test_nights_in_tasks_are_those_in_columns(what: str, number: int, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.PREFERENCES, "spark", (InTasks,))
    monkeypatch.setattr(InTasks, "number", number)
    text, reasons = POLICIES[what]
    crm, evaluator = (
        (StampedCrm if "accounts" in what else Crm)(random.Random(seed)),
        roe.compile(roe.load(policy_text(tmp_path / "policy", text))),
    )
    shared = set_aside = 0
    for night in range(8 if HEAVY else 4):
        crm.write(tmp_path / "data")
        found: dict[str, Any] = {}
        for engine in ("columns", "spark"):
            state, out = str(tmp_path / engine), tmp_path / f"out-{engine}"
            job = Job(evaluator, Source(evaluator.policy, tmp_path / "data"), str(FIRST + timedelta(days=night)))
            finished = run(job, out, RunOptions(state, engine))
            with open_store(state) as store:
                entries = [x.entry for x in store.entries() if not isinstance(x.entry, RunEntry)]
                decided = decided_in(store)
            files = {p.name: p.read_text("utf-8") for p in out.iterdir() if p.name != "run.json" and p.is_file()}
            late = [note for note in finished.notes if "one task" not in note]
            found[engine] = (entries, files, late, finished.since, [d.message for d in finished.broken])
        for one, other in zip(found["columns"], found["spark"], strict=True):
            assert one == other, night
        assert InTasks.together in reasons
        set_aside += files.get("rejects.csv", "").count("is from before the record was deleted")
        shared += not InTasks.together
        crm.a_day_passes(decided)
    assert shared >= {"accounts": 4, "complete accounts": 4, "leads": 4, "kept leads": 4, "both": 4}.get(what, 0)
    assert set_aside or not isinstance(crm, StampedCrm)
