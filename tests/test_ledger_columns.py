"""Columns read and write the same memory as rows: night after night, with the ledger's copy of who holds what and without it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
import roe
from effort import HEAVY
from helpers import policy_text
from ledgers import STORES, Engines, Ticks, place
from roe.ledger import snapshot
from roe.ledger.decided import how_decided
from roe.ledger.entries import Answered, Owned, Referred, RunEntry
from roe.ledger.moment import At
from roe.ledger.projections import dump
from roe.ledger.snapshot import owners_of
from roe.ledger.state import remembered
from roe.ledger.store import Store, open_store
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source

COPIES = ((0.0, "a copy every night"), (1.0, "an old copy"))
NIGHTS = [(share, seed, f"{name}-{seed}") for n, (share, name) in enumerate(COPIES) for seed in (range(40) if HEAVY else (n,))]
POLICY = """roe: 1
name: nights
roles: [ae, csm]
fields:
  account: {size: {type: number}, flag: {type: string}}
  lead: {flag: {type: string}}
pools: {desk: {members: [r0, r1, r2], together: never}}
engagement:
  account:
    ae:
      - {name: asked, when: account.flag = "ask", then: {refer: r4, within: 2 days}}
      - {name: fresh, when: account.owner_since.ae != null and account.owner_since.ae > today - 3 days, then: {assign: account.owner.ae, until: today + 2 days}}
      - {name: former, when: account.flag = "back" and account.former_owner.ae != null, then: {assign: account.former_owner.ae}}
      - {name: away, when: 'account.size in [55..60]', then: return}
      - {name: huge, when: account.size > 80, then: {assign: '"r0"'}}
      - {name: big, when: account.size > 60, then: {assign: '"r1"'}}
      - {name: nobody, when: account.size < 20, then: open}
      - {name: keep, when: account.owner.ae != null, then: keep}
    csm:
      - {name: small, when: account.size < 50 and account.owner_by.ae != "hand", then: {assign: '"r3"'}}
  lead:
    ae:
      - {name: given, when: lead.flag != "stop", then: {route: desk}}
"""
FIRST = date(2026, 3, 2)


class Crm:
    """A CRM that loads what runs decide sooner, later or never, and in which people and systems move records."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.records = {e: {f"{e[0].upper()}{i:02}": self._new() for i in range(30)} for e in ("account", "lead")}

    def _new(self) -> dict[str, str]:
        since = str(FIRST - timedelta(days=self.rng.randrange(9))) if self.rng.random() < 0.3 else ""
        return {"size": str(self.rng.randrange(100)), "flag": "", "owner": self._rep(), "owner_csm": self._rep(), "owner_since": since}

    def _rep(self) -> str:
        return self.rng.choice(["", "r0", "r1", "r2", "r3", "stranger"])

    def write(self, data: Path) -> None:
        data.mkdir(exist_ok=True)
        (data / "reps.csv").write_text("id,name\n" + "".join(f"r{i},Rep {i}\n" for i in range(5)), "utf-8")
        for entity, records in self.records.items():
            names = ["id", *(n for n in next(iter(records.values())) if entity == "account" or n in ("flag", "owner"))]
            rows = [{"id": key, **x} for key, x in records.items() if self.rng.random() > 0.05]
            lines = [",".join(row[n] for n in names) for row in rows]
            (data / f"{entity}s.csv").write_text("\n".join([",".join(names), *lines]) + "\n", "utf-8")

    def a_day_passes(self, decided: list[Owned]) -> None:
        rng = self.rng
        for e in decided:
            if rng.random() < 0.6 and e.record in self.records.get(e.entity, {}) and e.entity in ("account", "lead"):
                self.records[e.entity][e.record]["owner" if e.role == "ae" else "owner_csm"] = e.rep or ""
        for records in self.records.values():
            for x in records.values():
                if rng.random() < 0.1:
                    x["owner"] = self._rep()
                if rng.random() < 0.1:
                    x["size"], x["flag"] = str(rng.randrange(100)), rng.choice(["", "ask", "back", "stop"])
            records[f"N{rng.randrange(10**6)}"] = self._new()


def decided_in(store: Store) -> list[Owned]:
    last = store.last_run()
    assert last is not None
    return [x.entry for x in store.of_run(last.number) if isinstance(x.entry, Owned)]


@pytest.mark.parametrize(("share", "seed"), [x[:2] for x in NIGHTS], ids=[x[2] for x in NIGHTS])
def test_nights_of_both_engines_are_the_same(share: float, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LEAST", 0)
    monkeypatch.setattr(snapshot, "STALE", share)
    crm = Crm(random.Random(seed))
    evaluator = roe.compile(roe.load(policy_text(tmp_path / "policy", POLICY)))
    for night in range(8):
        crm.write(tmp_path / "data")
        found: dict[str, Any] = {}
        for engine in ("rows", "columns"):
            state, out = str(tmp_path / engine), tmp_path / f"out-{engine}"
            job = Job(evaluator, Source(evaluator.policy, tmp_path / "data"), str(FIRST + timedelta(days=night)))
            run(job, out, RunOptions(state, engine))
            with open_store(state) as store:
                entries = [x.entry for x in store.entries() if not isinstance(x.entry, RunEntry) and x.kind != "evidence"]
                files = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix in (".csv", ".jsonl")}
                found[engine] = (entries, files)
                if engine == "columns":
                    assert_columns_are_the_projection(store)
                decided = decided_in(store)
        assert found["rows"][0] == found["columns"][0]
        assert found["rows"][1] == found["columns"][1]
        crm.a_day_passes(decided)


def assert_columns_are_the_projection(store: Store) -> None:
    """What columns read, with the copy, is what rows read of the projection."""
    owners = owners_of(store)
    assert dict(owners) == remembered(store)["owners"]
    assert dict(owners.last_how) == how_decided(remembered(store))
    assert all(owners[key] == x for key, x in remembered(store)["owners"].items())


@pytest.mark.parametrize("kind", STORES)
def test_a_copy_with_what_was_written_since_is_the_projection(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LEAST", 0)
    rng = random.Random(7)
    with open_store(place(kind, tmp_path), clock=Ticks()) as store:
        for night in range(12):
            at = At.of(str(FIRST + timedelta(days=night)), rng.choice(["UTC", "Europe/Berlin"]))
            entries = [
                Owned(
                    at=at, entity=rng.choice(["account", "lead"]), record=f"R{rng.randrange(40)}", role=rng.choice(["ae", "sdr"]),
                    rep=rng.choice([None, "r1", "r2"]), former=rng.choice([None, "r3"]), queue=rng.choice(["", "", "Inbound"]),
                    by=rng.choice(["rule", "import", "hand"]), rule=rng.choice(["a", "b"]), action="assign",
                    until=rng.choice([None, at, At(at.instant + 1, False, at.zone)]), since_unknown=rng.random() < 0.3,
                )
                for _ in range(25)
            ]  # fmt: skip
            store.append([e if e.queue == "" else replace(e, rep=None) for e in entries], RunEntry(at=at, id=f"n{night}"))
            assert_columns_are_the_projection(store)
            if night in (1, 6):
                assert snapshot.keep_copy(store, 1) and not snapshot.keep_copy(store, 1)
                assert_columns_are_the_projection(store)
        before = dump(store.db)
        assert store.rebuild() and dump(store.db) == before


def test_a_damaged_copy_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LEAST", 0)
    with open_store(tmp_path / "state") as store:
        at = At.of("2026-03-02")
        store.append([Owned(at=at, entity="account", record=f"R{i}", role="ae", rep="r1") for i in range(9)], RunEntry(at=at, id="n"))
        assert snapshot.keep_copy(store, 1)
        body = bytes(store.db.rows("SELECT body FROM snapshot")[0][0])
        store.db.run("UPDATE snapshot SET body = ?", (body[:-9] + bytes(9),))
        assert_columns_are_the_projection(store)


def test_a_copy_of_wrong_projections_does_not_outlive_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LEAST", 0)
    with open_store(tmp_path / "state") as store:
        at = At.of("2026-03-02")
        store.append([Owned(at=at, entity="account", record=f"R{i}", role="ae", rep="r1") for i in range(9)], RunEntry(at=at, id="n"))
        right = dict(owners_of(store))
        store.db.run("UPDATE holding SET rep = NULL")
        assert snapshot.keep_copy(store, 1) and dict(owners_of(store)) != right
        assert not store.rebuild() and dict(owners_of(store)) == right


def test_nobody_is_forgotten_while_a_copy_names_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roe.ledger.erase import forget

    monkeypatch.setattr(snapshot, "LEAST", 0)
    with open_store(tmp_path / "state") as store:
        at = At.of("2026-03-02")
        names = [f"Record-{i:04}-of-somebody" for i in range(50)]
        store.append([Owned(at=at, entity="account", record=x, role="ae", rep="rep-of-nobody") for x in names], RunEntry(at=at, id="n"))
        assert snapshot.keep_copy(store, 1)
        forget(store, names[7])
        assert_columns_are_the_projection(store)
        assert store.db.rows("SELECT count(*) FROM snapshot")[0][0] == 0


def test_a_referral_that_is_opened_again_has_its_rule_and_sentence(tmp_path: Path) -> None:
    """Its rule, action and end are those of the referral that somebody has answered, and its owner stays."""
    rules = "engagement: {account: {ae: [{name: big, when: account.size > 60, then: {refer: r4}}]}}\n"
    nights = Engines("sqlite", tmp_path, POLICY.partition("pools:")[0] + rules, {"accounts": "id,size,owner", "reps": "id,name"})
    lines = {"accounts": ["A1,70,r1"], "reps": ["r1,Rep 1", "r4,Rep 4"]}
    nights.night("2026-03-02", **lines)
    for state in nights.states.values():
        with open_store(state) as store:
            at = At.of("2026-03-03", "UTC")
            store.append([Answered(at=at, entity="account", record="A1", role="ae", answer="it stays", by="Ann")])
    nights.night("2026-03-04", **lines)
    asked = [(str(e.at), e.rule, e.sentence) for e in nights.entries() if isinstance(e, Referred)]
    assert asked == [(day, "big", "r4 must decide, by rule `big`") for day in ("2026-03-02", "2026-03-04")]
