"""A run's memory through the ledger is the memory that it left."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT
from ledgers import place
from roe.cache import load_policy
from roe.data.read import read_tables
from roe.diagnostics import PolicyError
from roe.evaluator.engine import Evaluator
from roe.ledger.between import entries_between
from roe.ledger.decided import Decided, how_decided
from roe.ledger.entries import RunEntry
from roe.ledger.moment import At
from roe.ledger.remembered import Remembered
from roe.ledger.state import remembered
from roe.ledger.store import open_store

EXAMPLES = sorted(p.parent for p in (ROOT / "policies" / "examples").glob("*/policy.yaml") if (p.parent / "data").is_dir())


def night(evaluator: Evaluator, tables: Any, as_of: str, before: Remembered) -> tuple[Remembered, list[Decided]]:
    run = evaluator.run(tables, as_of=as_of, state=before)
    decided = [Decided(d.entity, d.id, d.role, d.owner, d.previous, d.action, d.rule, d.pool, d.until, d.reason) for d in run.decisions]
    return run.state(), decided


EVERY_DAY = [("sqlite", p) for p in EXAMPLES] + [("postgres", p) for p in EXAMPLES if p.name in ("inbound", "territories")]


@pytest.mark.parametrize(("kind", "example"), EVERY_DAY, ids=lambda p: getattr(p, "name", p))
def test_what_a_run_left_is_what_the_next_reads(kind: str, example: Path, tmp_path: Path) -> None:
    pytest.importorskip("roe.evaluator.memory")
    policy, _ = load_policy(example)
    assert policy is not None
    evaluator = Evaluator(policy)
    tables = read_tables(policy, example / "data", complete=True)[0]
    with open_store(place(kind, tmp_path)) as store:
        for n in range(3):
            as_of = str(date(2026, 3, 1) + timedelta(days=31 * n))
            before = remembered(store)
            after, decided = night(evaluator, tables, as_of, before)
            at = At.of(as_of, policy.timezone)
            number = store.head().number
            store.append(
                entries_between(before, after, at, decided, how_decided(before)), RunEntry(at=at, id=f"night-{n}", policy=policy.name)
            )
            read = remembered(store)
            after.pop("crm_since", None)  # is for the entries alone
            for x in after["owners"].values():
                x["since"] = x["since"] and min(x["since"], as_of)  # what the data dates later than as-of is taken at as-of
            read.pop("ends", None)  # are made from the entries alone
            assert {k: x for k, x in read.items() if x} == {k: x for k, x in after.items() if x}
            again = remembered(store)
            assert list(entries_between(again, after, at, decided, how_decided(again))) == []
            if n == 0:
                first = store.head().number - number
        assert store.head().number - number <= first  # a night on the same data says no more than the first
        assert store.rebuild()


def test_an_old_state_is_taken_over_once(tmp_path: Path) -> None:
    """What an earlier version left in `state.json` is what the first run on the ledger reads."""
    for example in ("inbound", "windows", "distribution"):
        folder = ROOT / "policies" / "examples" / example
        policy, _ = load_policy(folder)
        assert policy is not None
        evaluator = Evaluator(policy)
        after, _ = night(evaluator, read_tables(policy, folder / "data", complete=True)[0], "2026-06-01", {})
        left: dict[str, Any] = {**after}
        for part in ("returned", "referred", "crm_since"):
            left.pop(part, None)
        owners = {key: x for key, x in left["owners"].items() if x["rep"] is not None}
        left["owners"] = {key: {k: x[k] for k in ("rep", "since", "former") if k in x} for key, x in owners.items()}
        old = tmp_path / example
        old.mkdir()
        (old / "state.json").write_text(json.dumps(left), "utf-8")
        for _ in range(2):
            with open_store(old) as store:
                read = remembered(store)
                for x in read["owners"].values():  # what roe had decided counted as what the CRM had
                    assert (x.pop("by"), x.pop("base")) == ("import", x["rep"])
                assert {k: x for k, x in read.items() if x} == {k: x for k, x in left.items() if x}
                assert [x.entry.id for x in store.runs()] == ["state.json"]  # type: ignore[attr-defined]
                assert store.rebuild()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 1}', '{"version": 2}', '{"version": 2, "as_of": "2026-02-01", "owners": {"a|b|c": 3}}']
)
def test_a_damaged_state_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text, "utf-8")
    with pytest.raises(PolicyError) as said:
        open_store(tmp_path)
    assert said.value.diagnostics[0].code == "R608"
