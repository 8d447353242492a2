"""`until: today + …` counts from the night on which the rule first decided a record; then the next rule decides, and goes on deciding."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
import roe
from helpers import policy_text
from ledgers import STORES, place
from roe.ledger.audit import verify
from roe.ledger.store import open_store
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source

TRIAL = """roe: 1
name: trial
timezone: Europe/Berlin
roles: [ae]
fields: {account: {flag: {type: string}}}
engagement:
  account:
    ae:
      - {name: trial, when: account.flag = "x", then: {assign: ann, until: UNTIL}}
      - {name: rest, then: NEXT}
"""
FIRST = date(2026, 3, 20)  # the clocks change on the 29th


class Nights:
    def __init__(self, folder: Path, state: str, engine: str, until: str, rest: str = "{assign: ben}") -> None:
        self.folder, self.state, self.engine = folder, state, engine
        text = TRIAL.replace("UNTIL", until).replace("NEXT", rest)
        self.evaluator = roe.compile(roe.load(policy_text(folder / "policy", text)))
        (folder / "data").mkdir()
        (folder / "data" / "reps.csv").write_text("id,name\nann,Ann\nben,Ben\n", "utf-8")
        self.owner = ""

    def __call__(self, day: str, flag: str = "x", loaded: bool = True) -> tuple[str, str, str]:
        """(owner, rule, end) of the one account, once the CRM has loaded what the night before decided."""
        (self.folder / "data" / "accounts.csv").write_text(f"id,flag,owner\nA1,{flag},{self.owner}\n", "utf-8")
        job = Job(self.evaluator, Source(self.evaluator.policy, self.folder / "data"), day)
        run(job, self.folder / "out", RunOptions(self.state, self.engine))
        with (self.folder / "out" / "allocations.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        if loaded:
            self.owner = row["owner"]
        return row["owner"], row["rule"], row["expires"]


@pytest.mark.parametrize("engine", ["rows", "columns"])
@pytest.mark.parametrize("kind", STORES)
def test_the_end_does_not_move_and_the_next_rule_decides_from_then_on(kind: str, engine: str, tmp_path: Path) -> None:
    night = Nights(tmp_path, place(kind, tmp_path), engine, "today + 10 days")
    end = str(FIRST + timedelta(days=10))
    for n in (0, 1, 2, 9):
        assert night(str(FIRST + timedelta(days=n))) == ("ann", "trial", end)
    for n in (10, 11, 12):
        assert night(str(FIRST + timedelta(days=n)))[:2] == ("ben", "rest")
    with open_store(night.state) as store:
        assert verify(store).bad is None and store.rebuild()
        said = [x.entry for x in store.of_record("account", "A1", ("owned",)) if x.entry.by == "rule"]  # type: ignore[attr-defined]
        assert [(str(e.at.date), e.rep) for e in said] == [(str(FIRST), "ann"), (str(FIRST + timedelta(days=10)), "ben")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_moment_ends_at_its_moment(engine: str, tmp_path: Path) -> None:
    night = Nights(tmp_path, str(tmp_path / "state"), engine, "now + 36 hours")
    assert night("2026-03-28T12:00")[:2] == ("ann", "trial")
    assert night("2026-03-28T18:00")[:2] == ("ann", "trial")
    assert night("2026-03-30T00:59")[:2] == ("ann", "trial")  # 36 exact hours over the change of the clocks
    assert night("2026-03-30T01:00")[:2] == ("ben", "rest")
    assert night("2026-03-30T08:00")[:2] == ("ben", "rest")


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_hold_that_another_rule_interrupts_keeps_its_end(engine: str, tmp_path: Path) -> None:
    night = Nights(tmp_path, str(tmp_path / "state"), engine, "today + 10 days")
    assert night("2026-03-20") == ("ann", "trial", "2026-03-30")
    assert night("2026-03-22", flag="")[:2] == ("ben", "rest")
    assert night("2026-03-24") == ("ann", "trial", "2026-03-30")
    assert night("2026-03-30")[:2] == ("ben", "rest")


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_record_that_nobody_gets_afterwards_stays_without_an_owner(engine: str, tmp_path: Path) -> None:
    night = Nights(tmp_path, str(tmp_path / "state"), engine, "today + 2 days", "open")
    found = [night(str(FIRST + timedelta(days=n)))[0] for n in range(6)]
    assert found == ["ann", "ann", "", "", "", ""]
    with open_store(night.state) as store:
        assert len([x for x in store.of_record("account", "A1", ("owned",)) if x.entry.by == "rule"]) == 2  # type: ignore[attr-defined]


def test_people_read_when_a_rule_ends_and_not_how_that_is_kept(tmp_path: Path) -> None:
    """The explanation has the text of the policy, and `roe check` asks nobody to fill what the ledger remembers."""
    from click.testing import CliRunner

    from roe.cli import main

    nights = Nights(tmp_path, "", "", "today + 30 days")
    (tmp_path / "data" / "accounts.csv").write_text("id,flag,owner\nA1,x,\n", "utf-8")
    policy, data = str(nights.evaluator.policy.root), str(tmp_path / "data")
    explained = CliRunner().invoke(main, ["explain", "A1", policy, "--data", data, "--as-of", "2026-03-20"]).output
    assert "the time of this rule (today + 30 days) is not over" in explained
    assert "its end = 2026-04-19" in explained and "holds" not in explained
    checked = CliRunner().invoke(main, ["check", policy, "--data", data])
    assert checked.exit_code == 0 and "R421" not in checked.output, checked.output
