"""A run happens whole or not at all: killed at any moment, two at once, on a full disk, over a torn folder."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import roe
from effort import HEAVY, tries
from forked import forked
from forked import roe as forked_command
from helpers import EXAMPLES, interrupted, policy_text
from ledgers import STORES, place
from roe.cli import main
from roe.diagnostics import PolicyError
from roe.ledger.audit import verify
from roe.ledger.entries import RunEntry, Turn
from roe.ledger.store import Store, open_store
from roe.run.engine import Job
from roe.run.folder import LOCK, MARK, OLD, STAGED, OutFolder, damaged, read_mark
from roe.run.memory import read_memory
from roe.run.run import RunOptions, run
from roe.run.source import Source

resource = pytest.importorskip("resource")  # limits and signals of POSIX
KILLS = tries(3, 4, 200)
PAIRS = 50 if HEAVY else 2
POOL = """roe: 1
name: pool
roles: [sdr]
pools: {team: {members: 'rep.team = "in"'}}
engagement: {lead: {sdr: [{name: all, then: {route: team}}]}}
"""
FIRST = date(2026, 3, 2)


def pool(folder: Path) -> Path:
    """A policy that hands leads out in turn, and five reps."""
    policy = policy_text(folder / "policy", POOL)
    (folder / "data").mkdir(parents=True)
    reps = "".join(f"r{i},Rep {i},in\n" for i in range(5))
    (folder / "data" / "reps.csv").write_text("id,name,team\n" + reps, "utf-8")
    return policy


def leads(folder: Path, count: int) -> None:
    lines = "".join(f"L{i:04},Lead {i},2026-01-0{1 + i % 9}\n" for i in range(count))
    (folder / "data" / "leads.csv").write_text("id,name,created\n" + lines, "utf-8")


def command(folder: Path, state: str, night: int = 0, out: str = "out", *more: str) -> list[str]:
    day = str(FIRST + timedelta(days=night))
    return [
        "run",
        str(folder / "policy"),
        "--data",
        str(folder / "data"),
        "--as-of",
        day,
        "--out",
        str(folder / out),
        "--state",
        state,
        *more,
    ]


def invoke(arguments: list[str], code: int = 0) -> Result:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def turns_of(store: Store) -> list[tuple[str, str, int]]:
    found = [x.entry for x in store.entries(kinds=("turn",))]
    return [(e.record, str(e.rep), e.number) for e in found if isinstance(e, Turn)]


def is_sound(store: Store) -> None:
    assert verify(store).bad is None
    turns = turns_of(store)
    assert len({record for record, _, _ in turns}) == len(turns), "a lead was given twice"
    ids = [x.entry.id for x in store.runs() if isinstance(x.entry, RunEntry)]
    assert len(set(ids)) == len(ids), "a run was committed twice"


def forked_roe(folder: Path, arguments: list[str]) -> BaseProcess:
    """The command in a process of its own, which writes what it says to `log`."""
    return forked(folder / "log", dict(os.environ), forked_command, tuple(arguments))


# --- the folder ---------------------------------------------------------------------------------------------------------


def write(folder: OutFolder, run: str, **files: str) -> None:
    staged = folder.begin(("changes.csv",))
    for name, text in files.items():
        path = staged / name.replace("_", ".").replace("0", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    folder.seal({"run": run})


def names(place: Path) -> list[str]:
    return sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())


def test_what_an_earlier_run_left_is_replaced_whole(tmp_path: Path) -> None:
    folder = OutFolder(tmp_path)
    (tmp_path / "mine.txt").write_text("not roe's", "utf-8")
    (tmp_path / "changes.csv").write_text("of a roe without run.json", "utf-8")
    write(folder, "one", a_csv="1", trace0b_csv="2")
    folder.put_in_place()
    assert names(tmp_path) == ["a.csv", "mine.txt", MARK, "trace/b.csv"] and damaged(tmp_path) == []
    write(folder, "two", a_csv="3", c_csv="4")
    folder.put_in_place()
    assert names(tmp_path) == ["a.csv", "c.csv", "mine.txt", MARK] and damaged(tmp_path) == []
    assert not (tmp_path / "trace").exists() and read_mark(tmp_path)["run"] == "two"
    (tmp_path / "c.csv").write_text("changed", "utf-8")
    assert damaged(tmp_path) == ["c.csv"]
    (tmp_path / MARK).unlink()
    assert damaged(tmp_path) == [MARK]


def test_a_table_is_a_file_in_one_run_and_a_folder_of_files_in_the_next(tmp_path: Path) -> None:
    """As the traces of a run in columns and of one in tasks are."""
    folder = OutFolder(tmp_path)
    for made, name in (("one", "trace"), ("two", "trace0part_csv"), ("three", "trace")):
        write(folder, made, **{name: made})
        folder.put_in_place()
        assert damaged(tmp_path) == [] and names(tmp_path) == sorted([*read_mark(tmp_path)["files"], MARK]), made


@pytest.mark.parametrize("happened", [True, False])
def test_a_folder_torn_at_any_step_is_finished_or_undone(happened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every replacing and removing of a file is a moment at which the run may be killed."""
    steps = 0
    for step in range(1, 40):
        place = tmp_path / str(step)
        folder = OutFolder(place)
        write(folder, "one", a_csv="1", b_csv="2")
        folder.put_in_place()
        write(folder, "two", a_csv="3", c_csv="4")
        with monkeypatch.context() as patch:
            left = [step]
            patch.setattr(os, "replace", interrupted(os.replace, left))
            patch.setattr(Path, "unlink", interrupted(Path.unlink, left))
            try:
                folder.put_in_place()
            except KeyboardInterrupt:
                steps += 1
        if (place / MARK).exists():  # a loader that looks now sees one run, whole
            assert damaged(place) == []
        note = folder.recover(lambda mark: happened)
        assert not (place / STAGED).exists()
        if left[0] > 0:  # nothing was torn
            assert note == "" and damaged(place) == []
            break
        if happened:
            assert names(place) == ["a.csv", "c.csv", MARK] and damaged(place) == [] and "two" in note
    assert steps >= 5


def test_a_run_apart_is_the_one_before_or_this_one_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads `run.json` at any moment finds a run, whole; nothing is left of the other one once the next command has looked."""
    seen: set[str] = set()
    for step in range(1, 60):
        place, left = tmp_path / str(step), [step]
        first = OutFolder(place)  # a run of another form stood there before
        write(first, "zero", a_csv="0")
        first.put_in_place()
        folder = OutFolder(place, apart=True)
        write(folder, "one", a_csv="1", b_csv="2")
        folder.put_in_place()
        assert names(place) == [MARK, *(f"{read_mark(place)['folder']}/{x}" for x in ("a.csv", "b.csv"))]
        with monkeypatch.context() as patch:
            for where, what in ((os, "replace"), (os, "fsync"), (Path, "unlink"), (Path, "mkdir"), (Path, "rmdir")):
                patch.setattr(where, what, interrupted(getattr(where, what), left))
            with suppress(KeyboardInterrupt):
                write(folder, "two", a_csv="3", c_csv="4")
                folder.put_in_place()
        assert damaged(place) == []
        run = read_mark(place)["run"]
        seen.add(run)
        OutFolder(place, apart=True).recover(lambda mark: False)
        mark = read_mark(place)
        assert damaged(place) == [] and mark["run"] == run
        assert names(place) == sorted([*mark["files"], MARK])
        if left[0] > 0:
            assert run == "two"
            break
    assert seen == {"one", "two"} and step > 8


WRITER = """
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from roe.run.folder import OutFolder
folder = OutFolder(Path(sys.argv[1]), apart=True)
folder.recover(lambda mark: False)
print("ready", flush=True)
for n in range(1, 100_000):
    staged = folder.begin(())
    for part in range(8):
        (staged / "allocations.parquet").mkdir(exist_ok=True)
        (staged / "allocations.parquet" / f"part-{n}-{part}").write_text(f"{n} " * 2_000)
    (staged / "summary.json").write_text(str(n))
    folder.seal({"run": str(n)})
    folder.put_in_place()
"""


def test_readers_see_a_run_apart_whole_however_it_is_killed(tmp_path: Path) -> None:
    """A reader looks again and again while writers are killed: it sees a run of eight parts and a summary, all of one number."""
    place, rng = tmp_path / "out", random.Random(6)
    first = OutFolder(place, apart=True)
    staged = first.begin(())
    for number in range(9):
        (staged / f"part-{number}").write_text("0 ", "utf-8")
    first.seal({"run": "0"})
    first.put_in_place()
    for _ in range(20 if HEAVY else 2):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(place)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=subprocess.PIPE) as process:  # fmt: skip
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            end, seen = time.monotonic() + rng.random(), 0
            try:
                while time.monotonic() < end or not seen:
                    with suppress(FileNotFoundError):
                        seen += _is_one_run(place, still=False)
            finally:
                process.send_signal(signal.SIGKILL)
        assert _is_one_run(place, still=True)


@pytest.mark.parametrize("torn", ["", '["run'])
def test_a_run_that_was_killed_as_it_began_leaves_the_one_before(torn: str, tmp_path: Path) -> None:
    folder = OutFolder(tmp_path / "out")
    for text in ("first", torn):
        staged = folder.begin(())
        (staged / "a.csv").write_text(text, "utf-8")
        if text == "first":
            folder.seal({"run": "1"})
            folder.put_in_place()
    (folder.staged / OLD).write_text(torn, "utf-8")
    assert folder.recover(lambda mark: True) == "a run was interrupted before it was complete; what it left is removed"
    assert not folder.staged.exists() and damaged(folder.place) == [] and (folder.place / "a.csv").read_text("utf-8") == "first"


def _is_one_run(place: Path, still: bool) -> bool:
    """Whether a run is there. One that is replaced while it is read may lose files; then `run.json` names another."""
    before = read_mark(place)
    if not before:
        return False
    found = damaged(place)
    texts = [path.read_text("utf-8") for name in before["files"] if (path := place / name).is_file()] if not found else []
    if read_mark(place) != before and not still:
        return False
    assert found == [] and len(texts) == 9 and {x.split()[0] for x in texts} == {before["run"]}
    return True


def test_a_name_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x", "utf-8")
    place = tmp_path / "out"
    place.mkdir()
    (place / MARK).write_text(json.dumps({"roe": 1, "run": "x", "files": {"../precious.txt": "0"}}), "utf-8")
    folder = OutFolder(place)
    write(folder, "two", a_csv="1")
    folder.put_in_place()
    assert (tmp_path / "precious.txt").exists()


# --- runs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_run_says_in_run_json_what_it_was(engine: str, tmp_path: Path) -> None:
    pool(tmp_path)
    leads(tmp_path, 7)
    state = str(tmp_path / "state")
    for night in range(2):
        invoke(command(tmp_path, state, night, "out", "--engine", engine))
        mark = read_mark(tmp_path / "out")
        assert damaged(tmp_path / "out") == [] and mark["outcome"] == "committed" and mark["engine"] == engine
        assert mark["as_of"].startswith(str(FIRST + timedelta(days=night))) and mark["version"] == roe.__version__
        assert set(mark["inputs"]) == {"leads.csv", "reps.csv"} and mark["policy"]["name"] == "pool"
        with open_store(state) as store:
            assert store.last_run().entry.id == mark["run"]  # type: ignore[union-attr]
            assert set(store.policy(mark["policy"]["digest"])) == {"policy.yaml"}
        assert "verified" in invoke(["ledger", "verify", "--state", state, "--against", str(tmp_path / "out")]).output
    assert not (tmp_path / "out" / LOCK).exists()


EXAMPLES_WITH_MEMORY = ("inbound", "windows", "wild-west", "static", "dynamic-books")


def test_both_engines_leave_the_same_ledger(tmp_path: Path) -> None:
    for name in tries(EXAMPLES_WITH_MEMORY[:3], EXAMPLES_WITH_MEMORY, EXAMPLES_WITH_MEMORY):
        told: dict[str, list[Any]] = {}
        for engine in ("rows", "columns"):
            state = str(tmp_path / name / engine)
            source = EXAMPLES / name
            for day in ("2026-06-10", "2026-06-12"):
                job = Job(roe.compile(roe.load(source)), Source(roe.load(source), source / "data"), day)
                run(job, tmp_path / "out", RunOptions(state, engine))
            with open_store(state) as store:
                told[engine] = [x.entry for x in store.entries() if not isinstance(x.entry, RunEntry)]
        assert told["rows"] == told["columns"] and told["rows"]


def test_a_dry_run_commits_nothing(tmp_path: Path) -> None:
    pool(tmp_path)
    leads(tmp_path, 5)
    state = str(tmp_path / "state")
    invoke(command(tmp_path, state))
    before = read_memory(state)
    leads(tmp_path, 8)
    assert "nothing was committed" in invoke(command(tmp_path, state, 1, "dry", "--dry-run")).output
    assert read_memory(state) == before and read_mark(tmp_path / "dry")["outcome"] == "dry"
    invoke(command(tmp_path, state, 1))
    assert (tmp_path / "out" / "allocations.csv").read_bytes() == (tmp_path / "dry" / "allocations.csv").read_bytes()


def test_a_dry_run_is_applied_just_as_it_is(tmp_path: Path) -> None:
    """The ledger is then what a plain run would have made of it; files that were changed and a ledger that went on are refused."""
    pool(tmp_path)
    memories = []
    for way in ("plain", "applied"):
        state = str(tmp_path / way)
        for night, count in enumerate((5, 8)):
            leads(tmp_path, count)
            if way == "plain":
                invoke(command(tmp_path, state, night))
                continue
            dry = command(tmp_path, state, night, "dry")
            assert "R647" in invoke([*dry, "--apply"], code=2).output
            invoke([*dry, "--dry-run"])
            changes = tmp_path / "dry" / "changes.csv"
            text = changes.read_text("utf-8")
            changes.write_text(text + "x", "utf-8")
            assert "`changes.csv` is not as the dry run left it" in invoke([*dry, "--apply"], code=2).output
            changes.write_text(text, "utf-8")
            assert "committed: " in invoke([*dry, "--apply"]).output
            assert damaged(tmp_path / "dry") == [] and read_mark(tmp_path / "dry")["outcome"] == "committed"
            invoke(["ledger", "verify", "--state", state, "--against", str(tmp_path / "dry")])
        memories.append(read_memory(state))
    assert memories[0] == memories[1]
    invoke([*command(tmp_path, state, 2, "dry"), "--dry-run"])
    leads(tmp_path, 9)
    invoke(command(tmp_path, state, 2))
    assert "the ledger has gone on" in invoke([*command(tmp_path, state, 2, "dry"), "--apply"], code=2).output
    invoke([*command(tmp_path, state, 2, "dry"), "--dry-run", "--format", "parts"])
    assert "`--format parts` or `delta` cannot be applied" in invoke([*command(tmp_path, state, 2, "dry"), "--apply"], code=2).output


def test_records_that_vanish_stop_the_commit(tmp_path: Path) -> None:
    pool(tmp_path)
    policy_text(tmp_path / "policy", POOL + "invariants: ['vanished <= 2']\n")
    state = str(tmp_path / "state")
    leads(tmp_path, 9)
    invoke(command(tmp_path, state))
    leads(tmp_path, 7)
    invoke(command(tmp_path, state, 1))
    leads(tmp_path, 4)
    for engine in ("rows", "columns"):
        done = invoke(command(tmp_path, state, 2, "out", "--engine", engine), code=1)
        assert "vanished = 5" in done.output
    invoke(command(tmp_path, state, 2, "out", "--accept", "Bob: the old export had test leads"))


def test_many_changes_in_the_crm_stop_the_commit(tmp_path: Path) -> None:
    policy_text(tmp_path / "policy", BY_COUNTRY + "invariants: ['changed_in_crm <= 1']\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\neva,Eva\nbob,Bob\nzoe,Zoe\n", "utf-8")
    state = str(tmp_path / "state")
    accounts(tmp_path, "DE", "DE", "DE", owner="bob")
    invoke(command(tmp_path, state))
    accounts(tmp_path, "DE", "DE", "DE", owner="zoe")
    for engine in ("rows", "columns"):
        assert "changed_in_crm = 3" in invoke(command(tmp_path, state, 1, "out", "--engine", engine), code=1).output
    said = invoke(command(tmp_path, state, 1, "out", "--accept", "Ann: Zoe took over")).output
    assert "0 by rules, 3 by hand" in said


def test_many_changes_in_the_crm_that_rules_would_take_back_stop_the_commit(tmp_path: Path) -> None:
    rules = "roe: 1\nname: back\nroles: [ae]\nengagement: {account: {ae: [{name: bob, when: 'account.country = \"DE\"', then: {assign: bob}}, {name: rest, then: keep}]}}\n"
    policy_text(tmp_path / "policy", rules + "invariants: ['undone <= 1']\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\nbob,Bob\nzoe,Zoe\n", "utf-8")
    state = str(tmp_path / "state")
    accounts(tmp_path, "DE", "DE", "FR", owner="bob")
    invoke(command(tmp_path, state))
    accounts(tmp_path, "DE", "DE", "FR", owner="zoe")
    for engine in ("rows", "columns"):
        assert "undone = 2" in invoke(command(tmp_path, state, 1, "out", "--engine", engine), code=1).output
    said = invoke(command(tmp_path, state, 1, "out", "--accept", "Ann: they are Bob's")).output
    assert "3 by hand" in said


TRIAL = """roe: 1
name: trial
roles: [ae]
engagement:
  account:
    ae:
      - {name: after, when: 'today >= date("2026-03-04")', then: {assign: '"bob"'}}
      - {name: trial, when: account.owner.ae = null, then: {assign: '"eva"', until: 'date("2026-03-04")'}}
      - {name: rest, then: {assign: '"eva"', until: 'date("2026-03-04")'}}
"""


def test_an_owner_whose_time_has_ended_changes_by_time(tmp_path: Path) -> None:
    policy_text(tmp_path / "policy", TRIAL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\neva,Eva\nbob,Bob\n", "utf-8")
    state = str(tmp_path / "state")
    accounts(tmp_path, "DE", "DE")
    invoke(command(tmp_path, state))
    accounts(tmp_path, "DE", "DE", owner="eva")
    assert "owners changed since the run as of 2026-03-02: none" in invoke(command(tmp_path, state, 1)).output
    assert "0 by rules, 0 by hand, 2 by time" in invoke(command(tmp_path, state, 2)).output


def test_a_replay_decides_as_it_would_have_then(tmp_path: Path) -> None:
    pool(tmp_path)
    state = str(tmp_path / "state")
    for night, count in enumerate((5, 8, 12)):
        leads(tmp_path, count)
        invoke(command(tmp_path, state, night, f"night{night}"))
    leads(tmp_path, 8)
    with open_store(state) as store:
        head = store.head()
    invoke(command(tmp_path, state, 0, "again"), code=2)
    invoke(command(tmp_path, state, 0, "again", "--replay"))
    with open_store(state) as store:
        assert store.head() == head
    again, then = (list(csv.DictReader((tmp_path / name / "allocations.csv").open())) for name in ("again", "night1"))
    owners = [{row["record"]: row["owner"] for row in found} for found in (again, then)]
    assert owners[0] == owners[1]  # the first night's five leads stay, and the turns go on from there


def test_runs_go_forward_in_time(tmp_path: Path) -> None:
    pool(tmp_path)
    leads(tmp_path, 3)
    state, now = str(tmp_path / "state"), datetime(2026, 3, 2, 12, tzinfo=UTC)

    def at(as_of: str, **more: Any) -> Any:
        policy = roe.load(tmp_path / "policy")
        return run(Job(roe.compile(policy), Source(policy, tmp_path / "data"), as_of), tmp_path / "out", RunOptions(state, now=now, **more))

    assert at("2026-03-02").outcome == "committed" and at("2026-03-02").outcome == "committed"
    assert at("2026-03-03T23:59").outcome == "committed"  # 35 hours and 59 minutes ahead
    for as_of in ("2026-03-02", "2026-03-04T00:01", "2062-03-02"):
        with pytest.raises(PolicyError) as refused:
            at(as_of)
        assert refused.value.diagnostics[0].code == "R646"
        assert at(as_of, replay=True).outcome == "dry"
    assert not (tmp_path / "out" / STAGED).exists()


def test_an_invariant_that_does_not_hold_stops_the_commit_unless_it_is_accepted(tmp_path: Path) -> None:
    pool(tmp_path)
    leads(tmp_path, 3)
    policy_text(tmp_path / "policy", POOL + "invariants: ['moved <= 50 %']\n")
    state = str(tmp_path / "state")
    refused = invoke(command(tmp_path, state), code=1)
    assert "the ledger in" in refused.output and read_memory(state) == {} and read_mark(tmp_path / "out")["outcome"] == "refused"
    invoke(command(tmp_path, state, 0, "out", "--accept", "Ann: the team is new"))
    with open_store(state) as store:
        entry = store.last_run().entry  # type: ignore[union-attr]
    assert isinstance(entry, RunEntry) and entry.accepted == "Ann: the team is new"


def test_a_run_says_what_has_changed_since_the_last_one(tmp_path: Path) -> None:
    pool(tmp_path)
    state = str(tmp_path / "state")
    leads(tmp_path, 3)
    assert "owners changed" not in invoke(command(tmp_path, state)).output
    leads(tmp_path, 5)
    assert "since the run as of 2026-03-02: 2 by rules, 0 by hand, 0 by time" in invoke(command(tmp_path, state, 1)).output


# --- undo ---------------------------------------------------------------------------------------------------------------

BY_COUNTRY = """roe: 1
name: countries
roles: [ae]
engagement: {account: {ae: [{name: west, when: account.country = "US", then: {assign: '"eva"'}}, {name: rest, then: keep}]}}
"""


def accounts(folder: Path, *countries: str, owner: str = "") -> None:
    lines = "".join(f"A{i},{country},{owner}\n" for i, country in enumerate(countries))
    (folder / "data" / "accounts.csv").write_text("id,country,owner\n" + lines, "utf-8")


def owners_of(folder: Path) -> dict[str, str]:
    with (folder / "out" / "allocations.csv").open(encoding="utf-8") as file:
        return {row["record"]: row["owner"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("engine", ["rows", "columns"])
@pytest.mark.parametrize("kind", STORES)
def test_what_a_run_gave_is_given_back_and_held(kind: str, engine: str, tmp_path: Path) -> None:
    policy_text(tmp_path / "policy", BY_COUNTRY)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\neva,Eva\nbob,Bob\n", "utf-8")
    state, more = place(kind, tmp_path), ("--engine", engine)
    accounts(tmp_path, "DE", "DE", "US", owner="bob")
    invoke(command(tmp_path, state, 0, "out", *more))
    accounts(tmp_path, "US", "DE", "US", owner="bob")  # somebody mistyped a country
    invoke(command(tmp_path, state, 1, "out", *more))
    assert owners_of(tmp_path) == {"A0": "eva", "A1": "bob", "A2": "eva"}
    name = read_mark(tmp_path / "out")["run"]
    with open_store(state) as store:
        assert store.holding("account", "A0", "ae").rep == "eva"  # type: ignore[union-attr]
    said = invoke(["undo", name, "--state", state, "--accept", "Ann: a typing error"]).output
    assert "account A0" in said and "undone: 1 owners" in said
    with open_store(state) as store:
        now = store.holding("account", "A0", "ae")
        assert now is not None and (now.rep, str(now.start)) == ("bob", str(FIRST))
        assert verify(store).bad is None and store.rebuild()
    accounts(tmp_path, "US", "DE", "US", owner="bob")
    invoke(command(tmp_path, state, 2, "out", *more))
    assert owners_of(tmp_path) == {"A0": "bob", "A1": "bob", "A2": "eva"}  # it holds
    policy_text(tmp_path / "policy", BY_COUNTRY.replace("west", "states"))
    invoke(command(tmp_path, state, 3, "out", *more))
    assert owners_of(tmp_path)["A0"] == "eva"  # until the policy changes
    assert "undone already" in invoke(["undo", name, "--state", state, "--accept", "x"], code=2).output
    assert "R604" in invoke(["undo", "nothing", "--state", state, "--accept", "x"], code=2).output


def test_an_undo_ends_on_its_day_and_leaves_what_was_touched_since(tmp_path: Path) -> None:
    policy_text(tmp_path / "policy", BY_COUNTRY)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\neva,Eva\nbob,Bob\n", "utf-8")
    state = str(tmp_path / "state")
    accounts(tmp_path, "DE", "DE", owner="bob")
    invoke(command(tmp_path, state))
    accounts(tmp_path, "US", "US", owner="bob")
    invoke(command(tmp_path, state, 1))
    name = read_mark(tmp_path / "out")["run"]
    policy_text(tmp_path / "policy", BY_COUNTRY.replace("country =", 'id != "A1" and account.country ='))
    accounts(tmp_path, "US", "US", owner="eva")  # loaded into the CRM
    invoke(command(tmp_path, state, 2))
    (tmp_path / "data" / "accounts.csv").write_text("id,country,owner\nA0,US,eva\nA1,US,bob\n", "utf-8")  # moved back by hand
    invoke(command(tmp_path, state, 2))
    today = str(FIRST + timedelta(days=2))  # of the last run
    assert "nothing would be held" in invoke(["undo", name, "--state", state, "--accept", "Ann: x", "--until", today], code=2).output
    said = invoke(["undo", name, "--state", state, "--accept", "Ann: too early", "--until", str(FIRST + timedelta(days=5))]).output
    assert "undone: 1 owners" in said and "account A1 (ae)" in said.partition("left as they are")[2]
    for night, owner in ((3, "bob"), (4, "bob"), (5, "eva")):
        accounts(tmp_path, "US", "DE", owner="bob")
        invoke(command(tmp_path, state, night))
        assert owners_of(tmp_path)["A0"] == owner, night


def test_what_is_undone_is_held_whatever_somebody_has_asked_for_before(tmp_path: Path) -> None:
    """A turn that is given back between the run and its undo is an entry of no policy; the undo still holds under the run's policy."""
    policy_text(tmp_path / "policy", BY_COUNTRY.replace("[ae]", "[ae, sdr]", 1).replace("}]}}", "}]}, lead: {sdr: [{name: all, then: {route: team}}]}}")
                + "pools: {team: {members: [eva, bob]}}\n")  # fmt: skip
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("id,name\neva,Eva\nbob,Bob\n", "utf-8")
    state = str(tmp_path / "state")
    leads(tmp_path, 1)
    for number, country in enumerate(("DE", "US")):
        accounts(tmp_path, country, owner="bob")
        invoke(command(tmp_path, state, number))
    name = read_mark(tmp_path / "out")["run"]
    invoke(["ledger", "give-back", "L0000", "--reason", "junk", "--by", "Ann", "--state", state])
    assert "account A0" in invoke(["undo", name, "--state", state, "--accept", "Ann: a typing error"]).output
    invoke(command(tmp_path, state, 2))
    assert owners_of(tmp_path)["A0"] == "bob"


def test_turns_that_are_undone_are_taken_again(tmp_path: Path) -> None:
    pool(tmp_path)
    state = str(tmp_path / "state")
    leads(tmp_path, 4)
    invoke(command(tmp_path, state))
    before = read_memory(state)
    leads(tmp_path, 9)
    invoke(command(tmp_path, state, 1))
    said = invoke(["undo", read_mark(tmp_path / "out")["run"], "--state", state, "--accept", "Ann: test leads"]).output
    assert "5 turns" in said
    after = read_memory(state)
    assert after["assigned"] == before["assigned"] and after["pools"] == before["pools"]
    assert {k: x["rep"] for k, x in after["owners"].items() if x["rep"]} == {k: x["rep"] for k, x in before["owners"].items()}


# --- faults -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
def test_a_run_that_is_killed_at_any_moment_never_happened_or_is_finished(kind: str, tmp_path: Path) -> None:
    pool(tmp_path)
    state = place(kind, tmp_path)
    leads(tmp_path, 40)
    began = time.monotonic()
    invoke(command(tmp_path, state))
    alone = forked_roe(tmp_path, command(tmp_path, state))
    alone.join()
    assert alone.exitcode == 0, (tmp_path / "log").read_text("utf-8")
    whole = time.monotonic() - began
    rng = random.Random(1)
    kills = KILLS if kind == "sqlite" or HEAVY else 2
    for n in range(1, kills + 1):
        leads(tmp_path, 40 + 3 * n)
        process = forked_roe(tmp_path, command(tmp_path, state, n))
        time.sleep(rng.uniform(0.2, 0.9) * whole)
        process.kill()
        process.join()
        mark = read_mark(tmp_path / "out")
        assert not mark or damaged(tmp_path / "out") == [], "a loader would take files that do not belong together"
        if n % 2:
            invoke(command(tmp_path, state, n))
            assert damaged(tmp_path / "out") == [] and not (tmp_path / "out" / STAGED).exists()
            with open_store(state) as store:
                is_sound(store)
                assert store.last_run().entry.id == read_mark(tmp_path / "out")["run"]  # type: ignore[union-attr]
                assert len(turns_of(store)) == 40 + 3 * n


@pytest.mark.parametrize("kind", STORES)
def test_two_at_once_lose_nothing_and_give_nothing_twice(kind: str, tmp_path: Path) -> None:
    pool(tmp_path)
    state = place(kind, tmp_path)
    for n in range(PAIRS):
        leads(tmp_path, 30 * (n + 1))
        pair = [forked_roe(tmp_path, command(tmp_path, state, n, out)) for out in ("one", "one" if n % 2 else "other")]
        for process in pair:
            process.join()
            assert process.exitcode == 0, (tmp_path / "log").read_text("utf-8")
        with open_store(state) as store:
            is_sound(store)
            assert len(store.runs()) == 2 * (n + 1) and len(turns_of(store)) == 30 * (n + 1)
        assert damaged(tmp_path / "one") == []


def test_who_waits_too_long_is_told_so(tmp_path: Path) -> None:
    pool(tmp_path)
    leads(tmp_path, 3)
    state = str(tmp_path / "state")
    invoke(command(tmp_path, state))
    with OutFolder(tmp_path / "out").locked(0):
        assert "R642" in invoke(command(tmp_path, state, 1, "out", "--wait", "0.2"), code=2).output
    with open_store(state) as store, store.writing():
        said = invoke(command(tmp_path, state, 1, "out", "--wait", "0.2"), code=2).output
    assert "R642" in said and "another run is writing" in said
    assert damaged(tmp_path / "out") == [] and not (tmp_path / "out" / STAGED).exists()
    invoke(command(tmp_path, state, 1))


@pytest.mark.parametrize("limit", [1_000, 5_000, 20_000, 60_000, 200_000] if HEAVY else [1_000, 60_000])
def test_a_full_disk_is_said_and_the_next_run_is_right(limit: int, tmp_path: Path) -> None:
    pool(tmp_path)
    state = str(tmp_path / "state")
    leads(tmp_path, 20)
    invoke(command(tmp_path, state))
    before = read_memory(state)
    leads(tmp_path, 900)

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = subprocess.run([sys.executable, "-m", "roe", *command(tmp_path, state, 1)], capture_output=True, preexec_fn=full)
    output = process.stdout + process.stderr
    assert b"Traceback" not in output, output.decode()
    if process.returncode:
        assert b"R801" in output or b"R641" in output
        assert read_memory(state) == before
    assert damaged(tmp_path / "out") == []
    invoke(command(tmp_path, state, 1))
    with open_store(state) as store:
        is_sound(store)
        assert len(turns_of(store)) == 900
