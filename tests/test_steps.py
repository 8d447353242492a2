"""Policy tests in steps: runs one after another, each of which remembers the ones before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from roe.cache import load_policy
from roe.cli import main
from roe.evaluator.engine import Evaluator
from roe.policy.loader import validate
from roe.testing.cases import load_cases
from roe.testing.coverage import cover
from roe.testing.mutate import fates
from roe.testing.runner import run_case

POLICY = """
roe: 1
name: steps
roles: [ae]
windows: {protection: {lasts: 30 days}}
pools: {inbound: {members: [ann, ben]}}
freezes: {account.yearly: {value: account.segment, from: 2026-01-01, every: year}}
engagement:
  account:
    ae:
      - {name: protected, when: 'account.protection_state = "protected"', then: keep}
      - {name: us, when: 'account.country = "US"', then: {assign: ann}}
      - {name: ask, when: 'account.country = "FR"', then: {refer: ops, within: 2 days}}
      - {name: rest, then: {assign: ben}}
  lead:
    ae: [{name: in, then: {route: inbound}}]
"""
GIVEN = "given: {reps: [{id: ann, name: Ann}, {id: ben, name: Ben}]}\n"


def read_tests(tmp_path: Path, tests: str) -> tuple[Evaluator, Any, Any]:
    (tmp_path / "tests").mkdir()
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    (tmp_path / "tests" / "steps.yaml").write_text(GIVEN + tests, "utf-8")
    policy, problems = load_policy(tmp_path)
    assert policy is not None, problems
    return Evaluator(policy), *load_cases(policy)


def failures(tmp_path: Path, tests: str) -> list[tuple[str, str, str]]:
    evaluator, cases, problems = read_tests(tmp_path, tests)
    assert not problems
    return [(f.what, f.wanted, f.got) for case in cases for f in run_case(evaluator, case).failures]


def test_what_a_step_decides_is_what_the_next_remembers(tmp_path: Path) -> None:
    """A window of 30 days from the first decision, turns that go on, a value that is frozen for the year, a referral's day that stays."""
    tests = """
tests:
  - name: a year
    steps:
      - as_of: 2026-03-01
        given:
          accounts: [{id: A1, country: US, segment: small}, {id: A2, country: FR, owner: ann, owner_since: 2020-01-01}]
          leads: [{id: L1, email: a@x.example}]
        expect:
          - {record: A1, owner: ann, rule: us, values: {account.yearly: small}}
          - {record: L1, owner: ann}
          - {record: A2, rule: ask, until: 2026-03-03}
      - as_of: 2026-03-30
        given: {accounts: [{id: A1, country: DE, segment: large}], leads: [{id: L2, email: b@y.example}]}
        expect:
          - {record: A1, owner: ann, rule: protected, until: 2026-03-31, values: {account.owner_since.ae: '@"2026-03-01"', account.yearly: small}}
          - {record: L1, owner: ann}
          - {record: L2, owner: ben}
          - {record: A2, rule: ask, until: 2026-03-03}
      - as_of: 2026-03-31
        expect: [{record: A1, owner: ben, rule: rest}]
      - as_of: 2027-01-01
        expect: [{record: A1, values: {account.former_owner.ae.id: '"ann"', account.yearly: large}}]
"""
    assert failures(tmp_path, tests) == []


def test_a_decision_is_loaded_unless_a_step_says_otherwise(tmp_path: Path) -> None:
    """One that is not loaded is still roe's owner, and the change is written again; an owner that a step gives is a change by hand."""
    tests = """
tests:
  - name: loads
    given: {accounts: [{id: A1, country: US}]}
    steps:
      - {as_of: 2026-03-01, expect: [{record: A1, owner: ann}]}
      - as_of: 2026-03-02
        loaded: false
        expect: [{record: A1, owner: ann, rule: protected, values: {account.owner_by.ae: '"rule"'}}]
      - as_of: 2026-03-03
        given: {accounts: [{id: A1, owner: ben}]}
        expect: [{record: A1, owner: ben, rule: protected, values: {account.owner_by.ae: '"hand"', account.owner_since.ae: '@"2026-03-03"'}}]
      - as_of: 2026-03-04
        given: {accounts: [{id: A1, owner: ""}]}
        expect: [{record: A1, owner: ann, rule: us, values: {account.former_owner.ae.id: '"ben"'}}]
"""
    assert failures(tmp_path, tests) == []


def test_a_record_that_is_gone_is_not_decided_and_keeps_its_place(tmp_path: Path) -> None:
    tests = """
tests:
  - name: away and back
    given: {accounts: [{id: A1, country: US}, {id: A2, country: DE}]}
    steps:
      - {as_of: 2026-03-01, expect: [{record: A1, owner: ann}]}
      - {as_of: 2026-03-02, gone: {accounts: [A1]}, expect: [{record: A2, owner: ben}]}
      - as_of: 2026-03-03
        given: {accounts: [{id: A1, country: DE}]}
        expect: [{record: A1, owner: ann, rule: protected, until: 2026-03-31}]
"""
    assert failures(tmp_path, tests) == []


def test_an_owner_of_what_nobody_had_was_given_it_in_the_crm(tmp_path: Path) -> None:
    """A record that a run has left without an owner is known: whoever has it the next night was given it by hand, and a window begins."""
    tests = """
tests:
  - name: nobody's
    given: {accounts: [{id: A1, country: FR}, {id: A2, country: FR}]}
    steps:
      - {as_of: 2026-03-01, expect: [{record: A1, owner: nobody}]}
      - as_of: 2026-03-02
        given: {accounts: [{id: A1, owner: ben}]}
        expect:
          - {record: A1, owner: ben, rule: protected, until: 2026-04-01, values: {account.owner_by.ae: '"hand"', account.owner_since.ae: '@"2026-03-02"'}}
          - {record: A2, owner: nobody}
      - {as_of: 2026-03-03, expect: [{record: A1, owner: ben, rule: protected, until: 2026-04-01}]}
"""
    assert failures(tmp_path, tests) == []


def test_a_failure_names_its_day(tmp_path: Path) -> None:
    tests = """
tests:
  - name: wrong
    given: {accounts: [{id: A1, country: US}]}
    steps:
      - {as_of: 2026-03-01}
      - {as_of: 2026-04-15, expect: [{record: A1, owner: ben}]}
"""
    assert failures(tmp_path, tests) == [("owner on 2026-04-15", "ben", "ann")]


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("tests: [{name: a}]\n", "the test `a` has no date"),
        ("tests: [{name: a, as_of: 2026-03-01}]\n", "the test `a` expects nothing"),
        ("tests: [{name: a, steps: [{expect: [{record: A1, owner: ann}]}]}]\n", "step 1 has no date"),
        ("tests: [{name: a, steps: [{as_of: 2026-03-02}, {as_of: 2026-03-01}]}]\n", "step 2 is before step 1"),
        ("tests: [{name: a, steps: [{as_of: 2026-03-02, gone: {accounts: [A9]}}]}]\n", "there is no account `A9` before this step"),
        ("tests: [{name: a, steps: [{as_of: 2026-03-02, gone: {acounts: [A9]}}]}]\n", "there is no entity `acounts`"),
        (
            "tests: [{name: a, steps: [{as_of: 2026-03-02, given: {accounts: [{id: A1, contry: x}]}}]}]\n",
            "unknown field `contry` of account",
        ),
        ("tests: [{name: a, expect: [{record: A1, owner: x}], steps: [{as_of: 2026-03-02}]}]\n", "its expectations in the steps"),
    ],
)
def test_a_test_that_cannot_be_read_says_where(tests: str, said: str, tmp_path: Path) -> None:
    _, _, problems = read_tests(tmp_path, tests)
    assert any(said in p.message for p in problems), problems
    assert all(p.help and p.span.file == "tests/steps.yaml" for p in problems)


def test_a_day_that_is_none_fails_the_test(tmp_path: Path) -> None:
    evaluator, cases, problems = read_tests(tmp_path, "tests: [{name: a, steps: [{as_of: 2026-03-02}, {as_of: soon}]}]\n")
    assert not problems
    (failure,) = run_case(evaluator, cases[0]).failures
    assert failure.what == "as_of" and "soon" in failure.got


def test_steps_count_for_coverage_and_notice_planted_faults(tmp_path: Path) -> None:
    """Only a later step reaches the window's rule; and only it notices that the window lasts a day longer."""
    evaluator, cases, problems = read_tests(
        tmp_path,
        """
tests:
  - name: window
    given: {accounts: [{id: A1, country: US}]}
    steps:
      - {as_of: 2026-03-01, expect: [{record: A1, owner: ann}]}
      - {as_of: 2026-03-30, given: {accounts: [{id: A1, country: DE}]}, expect: [{record: A1, rule: protected}]}
      - {as_of: 2026-03-31, expect: [{record: A1, rule: rest}]}
""",
    )
    assert not problems
    fired = {rule.name: rule.fired for rules in cover(evaluator, cases).lists.values() for rule in rules}
    assert {name: fired[name] for name in ("protected", "us", "ask", "rest")} == {"protected": 1, "us": 1, "ask": 0, "rest": 1}
    found, _ = fates(evaluator, cases)
    longer = [f for f in found if "P31D" in f.mutant.what]
    assert longer and all(f.outcome == "killed" for f in longer)


def test_the_command_runs_them(tmp_path: Path) -> None:
    read_tests(
        tmp_path,
        "tests: [{name: a, given: {accounts: [{id: A1, country: US}]}, steps: [{as_of: 2026-03-01, expect: [{record: A1, owner: ann}]}, {as_of: 2026-03-02}]}]\n",
    )
    done = CliRunner().invoke(main, ["test", str(tmp_path), "-v"])
    assert done.exit_code == 0 and "1 passed, 0 failed" in done.output


def test_a_file_of_tests_is_held_against_the_schema_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def checked(value: Any, of: Any, shown: str) -> Any:
        asked.append(shown)
        return validate(value, of, shown)

    monkeypatch.setattr("roe.testing.cases.validate", checked)
    tests = "tests: [{name: one, as_of: 2026-03-01, given: {accounts: [{id: A1}]}, expect: [{record: A1, owner: ben}]}]\n"
    evaluator, cases, problems = read_tests(tmp_path, tests)
    assert len(cases) == 1 and not problems and len(asked) == 1
    assert len(load_cases(evaluator.policy)[0]) == 1 and len(asked) == 1
    file = tmp_path / "tests" / "steps.yaml"
    file.write_text(file.read_text("utf-8").replace("owner: ben", "ownr: ben"), "utf-8")
    for _ in range(2):  # what is wrong is said each time
        assert [d.code for d in load_cases(evaluator.policy)[1]] == ["R305"]
    assert len(asked) == 3
