"""Coverage, planted faults and proposed tests: what they say is what the tests do."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

import roe
from effort import tries
from helpers import AS_OF, EXAMPLES, ROOT, example, policy_text, tables
from roe.analysis.finder import Finder
from roe.cli import main
from roe.evaluator.engine import Evaluator
from roe.testing.cases import load_cases
from roe.testing.coverage import cover
from roe.testing.mutate import Fate, chooser_of, fates, planted, score
from roe.testing.runner import run_case

POLICY = """
roe: 1
name: small
roles: [ae]
scores:
  size: {hit: first, rows: [{employees: "< 100", size: small}, {employees: ">= 100", size: large}]}
engagement:
  account:
    ae:
      - {name: late, when: account.created > today - 30 days, then: keep}
      - {name: us, when: 'account.country = "US" and account.size = "large"', then: {assign: '"ann"'}}
      - {name: us-too, when: 'account.country = "US" and account.employees > 200', then: open}
      - {name: rest, then: {assign: '"bob"'}}
"""
TESTS = """
as_of: 2026-02-01
tests:
  - {name: a large American, given: {accounts: [{id: A, country: US, employees: "500", created: 2025-01-01}]}, expect: [{record: A, rule: us, owner: ann}]}
  - {name: anybody, given: {accounts: [{id: B, country: DE, employees: "5", created: 2025-01-01}]}, expect: [{record: B, rule: rest}]}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return policy_text(tmp_path / "small", POLICY, tests__first_yaml=TESTS)


def run(*args: str, code: int = 0) -> Any:
    done = CliRunner().invoke(main, ["test", *args])
    assert done.exit_code == code, done.output
    return done


def test_coverage_counts_what_decides_and_says_why_the_rest_does_not(small: Path) -> None:
    evaluator = roe.compile(roe.load(small))
    cases, _ = load_cases(evaluator.policy)
    report = cover(evaluator, cases)
    rules = {r.name: r for rules in report.lists.values() for r in rules}
    assert {n: r.fired for n, r in rules.items()} == {"small": 1, "large": 1, "late": 0, "us": 1, "us-too": 0, "rest": 1}
    assert rules["late"].reason.startswith("considered 2 times, and never held: `account.created > today - 30 days`")
    assert rules["us-too"].reason == "can never fire: shadowed by `us`"
    conditions = {c.text: (c.true, c.other) for r in rules.values() for c in r.conditions}
    assert conditions['account.country = "US"'] == (0, 1) and conditions['account.size = "large"'] == (1, 1)
    fired, of = report.rules()
    assert (fired, of) == (4, 6) and report.share == pytest.approx(100 * (4 + report.outcomes()[0]) / (6 + report.outcomes()[1]))


def test_a_rule_that_tests_never_come_to_is_said_to_be_decided_earlier(tmp_path: Path) -> None:
    folder = policy_text(tmp_path / "p", POLICY, tests__first_yaml=TESTS.split("  - {name: anybody")[0])
    evaluator = roe.compile(roe.load(folder))
    report = cover(evaluator, load_cases(evaluator.policy)[0])
    assert {r.name: r.reason for rules in report.lists.values() for r in rules}["rest"] == "always decided earlier, by `us`"


def test_the_command_s_formats(small: Path, tmp_path: Path) -> None:
    done = run(
        str(small),
        "--coverage",
        "--html",
        str(tmp_path / "c.html"),
        "--cobertura",
        str(tmp_path / "c.xml"),
        "--junit",
        str(tmp_path / "j.xml"),
    )
    assert "2 passed, 0 failed" in done.output and "coverage " in done.output and "shadowed by `us`" in done.output
    page = (tmp_path / "c.html").read_text("utf-8")
    assert "<script" not in page and 'class="line none"' in page and 'class="line full"' in page
    root = ElementTree.parse(tmp_path / "c.xml").getroot()
    hits = {int(x.get("number", 0)): int(x.get("hits", 0)) for x in root.iter("line")}
    text = (small / "policy.yaml").read_text("utf-8").split("\n")
    assert [hits[n] for n, line in enumerate(text, 1) if "name: late" in line or "name: us," in line] == [0, 1]
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("tests") == "2"
    assert json.loads(CliRunner().invoke(main, ["test", str(small), "--coverage", "--format", "json"]).stdout)["percent"] < 80
    run(str(small), "--min", "99", code=1)
    run(str(small), "--min", "10")


def test_mutants_are_killed_by_the_tests_that_say_so_and_by_no_others(small: Path) -> None:
    """Every verdict held against running all tests against the planted fault."""
    evaluator = roe.compile(roe.load(small))
    cases, _ = load_cases(evaluator.policy)
    found, _ = fates(evaluator, cases)
    outcomes = {f.outcome for f in found}
    assert outcomes == {"killed", "survived", "equivalent"}
    for f in found:
        noticed = [c.name for c in cases if not run_case(planted(evaluator, f.mutant), c).passed]
        assert (f.outcome == "killed") == bool(noticed) and (not f.by or f.by in noticed), f
    killed = sum(f.outcome == "killed" for f in found)
    assert score(found) == 100 * killed / sum(f.outcome != "equivalent" for f in found)


@pytest.mark.parametrize(
    "name", sorted(tries({"static", "inbound"}, set(AS_OF) - {"abm"}, set(AS_OF)))
)  # abm alone takes as long as all others
def test_the_tests_of_every_example_notice_nine_of_ten_planted_faults(name: str) -> None:
    """What is said of those that no test notices is so: decided alike where it says so, and otherwise where there is a witness."""
    evaluator = example(name)
    cases, _ = load_cases(evaluator.policy)
    found, report = fates(evaluator, cases)
    assert all(r.passed for r in report.results)
    assert score(found) >= 90, [(f.mutant.what, f.outcome) for f in found if f.outcome == "survived"]
    assert len(found) >= 7
    if name in ("inbound", "static", "windows", "territories"):
        verdicts_are_right(name, evaluator, found)


def verdicts_are_right(name: str, evaluator: Evaluator, found: list[Fate]) -> None:
    data = tables(evaluator, EXAMPLES / name / "data")
    asked = [f for f in found if f.outcome == "equivalent"]
    before = decided(evaluator, data, name)
    for f in asked:
        assert decided(planted(evaluator, f.mutant), data, name) == before, f.mutant.what
    for f in found:
        if f.witness is not None:
            a, b = (Finder(e).asked(f.witness, chooser_of(e, f.mutant.key)) for e in (evaluator, planted(evaluator, f.mutant)))
            assert a is not None and b is not None and (a != b or f.mutant.kind == "owner"), f.mutant.what
    assert asked or name not in ("inbound", "static", "territories")


def decided(evaluator: Evaluator, data: Any, name: str) -> list[Any]:
    return [(d.id, d.role, d.owner, d.action) for d in evaluator.run(data, as_of=AS_OF[name]).decisions]


def test_proposed_tests_pass_and_notice_what_no_test_did(small: Path) -> None:
    made = run(str(small), "--generate").stdout
    assert yaml.safe_load(made)["tests"]
    before = json.loads(run(str(small), "--mutate", "--format", "json").stdout)
    (small / "tests" / "boundaries.yaml").write_text(made, "utf-8")
    run(str(small))
    after = json.loads(run(str(small), "--mutate", "--format", "json").stdout)
    assert after["score"] > before["score"] + 20
    left = [m for m in after["mutants"] if m["outcome"] == "survived"]
    assert len(left) < sum(m["outcome"] == "survived" for m in before["mutants"])
    assert yaml.safe_load(run(str(small), "--generate").stdout)["tests"] == []
    run(str(small), "--mutate", "--min", "100", code=1 if left else 0)


def test_tests_that_fail_are_mended_first(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "other")
    path = tmp_path / "other" / "tests" / "first.yaml"
    path.write_text(path.read_text("utf-8").replace("owner: ann", "owner: bob"), "utf-8")
    assert "mend them first" in run(str(tmp_path / "other"), "--mutate", code=1).output
    run(str(tmp_path / "other"), "--coverage", code=1)


def test_faults_that_are_said_to_change_nothing_are_in_the_code_of_today() -> None:
    rows = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text("utf-8"))["unchanged"]
    texts = {row["file"]: (ROOT / row["file"]).read_text("utf-8") for row in rows}
    stale = [row["before"] for row in rows if row["before"].strip() not in texts[row["file"]]]
    stale += [row["function"] for row in rows if f"def {row['function'].rpartition('.')[2]}(" not in texts[row["file"]] and row["function"]]
    assert rows and not stale


def test_the_tests_that_guard_against_planted_faults_are_there() -> None:
    """A guard is a test file or one test of it, by its whole name; behind a `[` begin the cases that are meant."""
    modules = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text("utf-8"))["modules"]
    for file, guards in modules.items():
        assert (ROOT / file).is_file(), file
        for guard in guards:
            path, _, test = guard.partition("::")
            name = test.partition("[")[0]
            assert (ROOT / path).is_file() and (not name or f"def {name}(" in (ROOT / path).read_text("utf-8")), guard
