"""What tasks write for the ledger, put together again."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roe
from alike import InPortions
from effort import tries
from helpers import AS_OF, EXAMPLES
from roe.dynamic import Saved
from roe.ledger.between import entries_between, in_sections
from roe.ledger.decided import Decided
from roe.ledger.encode import draft
from roe.ledger.entries import Owned, Raised, Referred, RunEntry
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.store import store_in_memory
from roe.run import engines
from roe.run.engine import Job
from roe.run.folder import damaged
from roe.run.run import RunOptions, run
from roe.run.source import Source

pytest.importorskip("pyarrow")
from roe.ledger import segment
from roe.ledger.segment import read_segments, write_segment

Night = tuple[Remembered, list[Decided], int]
AT = At.of(date(2026, 2, 1), "Europe/Berlin")
# ids that a sort by other rules than those of the ledger would put elsewhere
RECORDS = st.text("aB!|}~éß€😀 0\0", min_size=1, max_size=4)
ROLES = st.sampled_from(["ae", "ae!", "csm", "é"])


def owned(record: str, role: str, rep: str) -> Owned:
    return Owned(
        at=AT, entity="account", record=record, role=role, rep=rep, former="r0", rule="big", action="assign", sentence=f"{rep} has {record}"
    )


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """What a night leaves of some records, and how many tasks there are."""
    keys = draw(st.lists(st.tuples(RECORDS, ROLES), unique=True, max_size=12))
    owners = {f"account|{record}|{role}": {"rep": "r1", "since": "2026-02-01", "by": "rule"} for record, role in keys}
    events = {
        f"account|{record}|{name}": "2026-01-31" for record, name in draw(st.lists(st.tuples(RECORDS, ROLES), unique=True, max_size=5))
    }
    asked = {f"account|{record}|{role}": {"on": "2026-02-01"} for record, role in keys[:3]}
    decided = [Decided("account", record, role, "r1", None, "assign", "big", reason=f"why {record}") for record, role in keys]
    return as_remembered({"owners": owners, "events": events, "referred": asked}), decided, draw(st.integers(1, 4))


def record_of(key: str) -> str:
    return key.partition("|")[2].rpartition("|")[0]


@given(night=nights(), seed=st.integers(0, 1000))
@settings(max_examples=tries(20, 60, 400), deadline=None)
def test_the_segments_of_tasks_are_the_entries_of_one_run(night: Night, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    after, decided, tasks = night
    whole = [draft(e) for e in entries_between({}, after, AT, decided, {})]
    folder, paths = tmp_path_factory.mktemp("segments"), []
    for task in range(tasks):

        def is_here(record: str, task: int = task) -> bool:
            return Random(f"{seed}{record}").randrange(tasks) == task

        parts: Saved = after
        some = {part: {key: x for key, x in of.items() if is_here(record_of(key))} for part, of in parts.items()}
        path = folder / f"{task}.parquet"
        if write_segment(in_sections({}, some, AT, [d for d in decided if is_here(d.record)], {}, of_all=False), path):
            paths.append(path)
    read = list(read_segments(paths))
    assert [(d.subject, d.name, d.kind, d.at, d.word, d.fact, d.value) for _, (_, d) in read] == [
        (d.subject, d.name, d.kind, d.at, d.word, d.fact, d.value) for d in whole
    ]
    assert [section for section, _ in read] == sorted(section for section, _ in read)


def test_a_section_is_of_each_record_or_of_all(tmp_path: Path) -> None:
    """Together the two kinds of sections say all; none says the same twice."""
    before = {"assigned": {"lead|l1|sdr": {"rep": "r1", "by": "inbound", "position": 3, "pool": "inbound"}}}
    after = {
        "owners": {"lead|l1|sdr": {"rep": "r2", "since": "2026-02-01", "by": "rule"}},
        "pools": {"inbound": {"turns": 1, "counts": {}, "credits": {}}},
        "claims": {"c1": ""},
        "events": {"lead|l1|hot": "2026-02-01"},
    }
    each = list(in_sections(before, after, AT, of_all=False))
    together = list(in_sections(before, after, AT, of_all=True))
    assert [e.KIND for _, e in each] == ["owned", "raised"]
    assert [e.KIND for _, e in together] == ["turn-back", "standing", "claimed"]
    merged = [e for _, e in sorted([*each, *together], key=lambda x: x[0])]
    assert merged == list(entries_between(before, after, AT))


def test_what_every_task_says_is_there_once(tmp_path: Path) -> None:
    """An event of a rep, whom all tasks have."""
    event = Raised(at=AT, entity="rep", record="r1", event="full")
    own = [Raised(at=AT, entity="account", record=f"a{i}", event="full") for i in range(3)]
    for i, e in enumerate(own):
        assert write_segment([(12, e), (12, event)], tmp_path / f"{i}.parquet") == 2
    read = [e for _, (e, _) in read_segments(sorted(tmp_path.glob("*.parquet")))]
    assert read == [*own, event]


def test_two_entries_of_one_key_stay_in_their_order(tmp_path: Path) -> None:
    """What the CRM showed of a record, then what was decided of it."""
    shown, decided = owned("a1", "ae", "r9"), owned("a1", "ae", "r1")
    write_segment([(2, shown), (2, decided), (2, owned("a2", "ae", "r1"))], tmp_path / "0.parquet")
    reps = [(e.record, e.rep) for _, (e, _) in read_segments([tmp_path / "0.parquet"]) if isinstance(e, Owned)]
    assert reps == [("a1", "r9"), ("a1", "r1"), ("a2", "r1")]


def test_a_ledger_of_segments_is_that_of_the_entries(tmp_path: Path) -> None:
    """Values are kept as if the writer had packed them itself, and can be erased."""
    entries: list[Entry] = [owned(f"a{i}", "ae", f"r{i % 3}") for i in range(7)]
    entries.append(Referred(at=AT, entity="account", record="a9", role="ae", rule="ask", sentence="a9 waits for sales-ops to decide"))
    write_segment([(2 + isinstance(e, Referred), e) for e in entries], tmp_path / "0.parquet")
    with store_in_memory() as one, store_in_memory() as other:
        one.append(entries, RunEntry(at=AT, id="n1"))
        with other.writing() as tx:
            tx.run(RunEntry(at=AT, id="n1"))
            tx.append(x for _, x in read_segments([tmp_path / "0.parquet"]))
        assert [x.entry for x in other.entries()] == [x.entry for x in one.entries()]
        assert other.holdings() == one.holdings()
        assert other.db.rows("SELECT value FROM value") == one.db.rows("SELECT value FROM value")
        assert other.rebuild()


def test_very_many_segments_are_put_together_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "TOGETHER", 3)
    monkeypatch.setattr(segment, "ROWS", 2)
    n, paths = 100, [tmp_path / f"{i:02d}.parquet" for i in range(20)]
    for i, path in enumerate(paths):
        write_segment(((2, owned(f"a{k:02d}", "ae", f"r{k}")) for k in range(i, n, len(paths))), path)
    records = [e.record for _, (e, _) in read_segments(paths) if isinstance(e, Owned)]
    assert records == [f"a{k:02d}" for k in range(n)]
    assert sorted(tmp_path.iterdir()) == paths  # nothing is left of it


@pytest.mark.parametrize("outcome", ["committed", "dry", "refused", "forgetful"])
def test_no_segment_is_left_whatever_becomes_of_the_run(outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does `run.json` list one."""
    root = tmp_path / "policy"
    shutil.copytree(EXAMPLES / "static", root)
    if outcome == "refused":
        with (root / "policy.yaml").open("a") as file:
            file.write("\ninvariants:\n  - {name: nobody-owns, every: account, holds: account.owner.ae = null}\n")
    evaluator = roe.compile(roe.load(root))
    monkeypatch.setattr(engines, "PREFERENCES", {"one": (InPortions,)})
    options = RunOptions("" if outcome == "forgetful" else str(tmp_path / "state"), "one", dry=outcome == "dry")
    finished = run(Job(evaluator, Source(evaluator.policy, root / "data"), AS_OF["static"]), tmp_path / "out", options)
    assert finished.outcome == outcome
    assert damaged(tmp_path / "out") == []
    assert [path for path in (tmp_path / "out").rglob("*") if "ledger" in path.name or path.name.startswith("part-")] == []
