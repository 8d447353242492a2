"""Invariants: sentences and conditions, in both evaluators and in a diff; an error leaves the state as it was."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roe
from helpers import EXAMPLES, policy_text
from roe.cli import main
from roe.run.memory import read_memory

STATIC = EXAMPLES / "static"
DATA = ("--data", str(STATIC / "data"), "--as-of", "2026-02-01")


def with_invariants(folder: Path, *lines: str) -> Path:
    shutil.copytree(STATIC, folder)
    path = folder / "policy.yaml"
    path.write_text(path.read_text("utf-8") + "\ninvariants:\n" + "".join(f"  - {line}\n" for line in lines), "utf-8")
    return folder


def run(*args: str) -> Any:
    return CliRunner().invoke(main, list(args))


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_what_does_not_hold_is_kept_in_a_file(engine: str, tmp_path: Path) -> None:
    policy = with_invariants(
        tmp_path / "p", "every account has exactly one ae", "no rep over capacity", "moved <= 5 %",
        '{name: no-us-for-eva, every: account, holds: account.country != "US" or account.owner.ae.id != "eva", severity: warn}',
        "{name: small-books, every: rep, holds: owned <= 3, severity: warn}", "{name: calm, holds: decided = 32 and unowned < 10}",
    )  # fmt: skip
    done = run("run", str(policy), *DATA, "--out", str(tmp_path / "out"), "--engine", engine, "--state", str(tmp_path / "state"))
    assert done.exit_code == 1 and "`every account has exactly one ae` does not hold for 2 account records" in done.output
    assert read_memory(tmp_path / "state") == {}
    found = rows(tmp_path / "out" / "invariants.csv")
    by = Counter(r["invariant"] for r in found)
    allocations = [a for a in rows(tmp_path / "out" / "allocations.csv") if a["entity"] == "account"]
    nobody = {a["record"] for a in allocations if a["role"] == "ae" and not a["owner"] and not a["previous_owner"]}
    assert {r["record"] for r in found if r["invariant"].startswith("every")} == nobody and len(nobody) == 2
    books = Counter(a["owner"] or a["previous_owner"] for a in allocations if a["role"] == "ae" and (a["owner"] or a["action"] == "refer"))
    assert {r["record"] for r in found if r["invariant"] == "small-books"} == {rep for rep, n in books.items() if n > 3 and rep}
    assert by["moved <= 5 %"] == 1 and by["no rep over capacity"] == 0 and "calm" not in by


def test_both_engines_write_the_same_file(tmp_path: Path) -> None:
    policy = with_invariants(tmp_path / "p", "every account has exactly one ae", "moved <= 5 %", "{name: s, every: rep, holds: owned <= 1}")
    for engine in ("rows", "columns"):
        run("run", str(policy), *DATA, "--out", str(tmp_path / engine), "--engine", engine)
    assert (tmp_path / "rows" / "invariants.csv").read_bytes() == (tmp_path / "columns" / "invariants.csv").read_bytes()


def test_invariants_that_hold_let_the_state_be_written(tmp_path: Path) -> None:
    policy = with_invariants(tmp_path / "p", "moved <= 100 %", "{name: w, holds: moved = 0, severity: warn}")
    done = run("run", str(policy), *DATA, "--out", str(tmp_path / "out"), "--state", str(tmp_path / "state"))
    assert done.exit_code == 0 and "`w` does not hold" in done.output
    assert read_memory(tmp_path / "state")["owners"]


def test_a_diff_fails_on_what_only_the_new_policy_breaks(tmp_path: Path) -> None:
    old = with_invariants(
        tmp_path / "old",
        "every account has exactly one ae",
        '{name: dach, every: account, holds: account.country != "CH" or account.owner.ae.id = "eva"}',
    )
    new = tmp_path / "new"
    shutil.copytree(old, new)
    table = new / "tables" / "staffing.csv"
    table.write_text(table.read_text("utf-8").replace("dach,ae,eva", "dach,ae,gus"), "utf-8")
    done = run("diff", str(old), str(new), *DATA)
    assert done.exit_code == 1 and "`dach` does not hold" in done.output and "every account" not in done.output
    assert run("diff", str(old), str(old), *DATA).exit_code == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("every acount has exactly one ae", "R504"), ("every account has exactly one boss", "R204"), ("all is well", "R304"),
        ("{name: x, holds: movd > 3}", "R201"), ("{name: x, every: account, holds: account.nothing = 3}", "R204"), ("{name: x, holds: moved + 1}", "R205"),
        ("{name: x, every: rep, holds: owned < 3, role: vp}", "R502"),
    ],
)  # fmt: skip
def test_mistakes_are_diagnostics(line: str, code: str, tmp_path: Path) -> None:
    text = f"roe: 1\nname: x\nroles: [ae]\nengagement: {{account: {{ae: [{{name: all, then: keep}}]}}}}\ninvariants:\n  - {line}\n"
    with pytest.raises(roe.PolicyError) as e:
        roe.load(policy_text(tmp_path, text))
    assert [d.code for d in e.value.diagnostics] == [code] and e.value.diagnostics[0].span.line == 6


def test_an_invariant_survives_the_cache(tmp_path: Path) -> None:
    policy = with_invariants(tmp_path / "p", "every account has exactly one ae", "{name: w, holds: moved = 0, severity: warn}")
    assert roe.load(policy).plan.invariants == roe.load(policy).plan.invariants != ()
