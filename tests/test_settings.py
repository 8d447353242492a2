"""`--data` and `--as-of` typed once: the command line before the environment before roe.toml."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers import policy_text
from roe.cli import main

POLICY = """roe: 1
name: x
roles: [ae]
engagement:
  account:
    ae:
      - {name: late, when: "today >= @\\"2026-06-01\\"", then: {assign: '"ann"'}}
      - {name: early, then: {assign: '"bob"'}}
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROE_DATA", "ROE_AS_OF"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "accounts.csv").write_text(f"id,name\n{folder},N\n", "utf-8")
        (tmp_path / folder / "reps.csv").write_text("id,name\nann,Ann\nbob,Bob\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return policy_text(tmp_path / "rules", POLICY)


def roe(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def decided(*args: str) -> tuple[str, str]:
    """The record and the rule of the one allocation that a run with these arguments makes."""
    roe("run", "rules", "--out", "out", *args)
    with open("out/allocations.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    return row["record"], row["rule"]


def test_the_nearest_word_counts(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (policy / "roe.toml").write_text('data = "../one"\nas_of = 2026-01-01\n', "utf-8")
    assert decided() == ("one", "early")
    monkeypatch.setenv("ROE_DATA", "two")
    monkeypatch.setenv("ROE_AS_OF", "2026-07-01")
    assert decided() == ("two", "late")
    assert decided("--data", "three", "--as-of", "2026-02-01") == ("three", "early")
    assert decided("--as-of", "2026-02-01") == ("two", "early")


def test_a_path_in_the_file_is_from_the_policy_wherever_one_stands(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (policy / "roe.toml").write_text('data = "../one"\nas_of = "2026-01-01T09:00"\n', "utf-8")
    (policy / "tests").mkdir()
    monkeypatch.chdir(policy / "tests")
    assert "one" in roe("explain", "one")
    assert "one" in roe("explain", "one", "..")


def test_a_path_in_the_environment_is_from_here_or_else_from_the_policy(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROE_AS_OF", "2026-01-01")
    monkeypatch.setenv("ROE_DATA", "../one")
    monkeypatch.chdir(policy.parent / "two")
    assert "one" in roe("explain", "one", "../rules")
    monkeypatch.chdir(policy.parent)
    assert "one" in roe("explain", "one", "rules")


@pytest.mark.parametrize(
    "command",
    [
        ("run", "rules", "--out", "out"), ("explain", "one", "rules"), ("check", "rules"),
        ("handbook", "rules"), ("graph", "rules"), ("graph", "rules", "--record", "one"), ("eval", "1 + 1"),
        ("eval", "account.name", "--policy", "rules", "--record", "one"), ("diff", "rules", "rules"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_takes_them(policy: Path, command: tuple[str, ...]) -> None:
    (policy / "roe.toml").write_text('data = "../one"\nas_of = 2026-01-01\n', "utf-8")
    roe(*command)


def test_a_comparison_uses_them(policy: Path) -> None:
    assert "change hands" not in roe("diff", "rules", "rules")
    (policy / "roe.toml").write_text('data = "../one"\nas_of = 2026-01-01\n', "utf-8")
    assert "0 of 1 allocations change hands" in roe("diff", "rules", "rules")
    (policy / "roe.toml").write_text('data = "../one"\n', "utf-8")
    assert "they need --as-of" in roe("diff", "rules", "rules")


def test_records_that_a_setting_names_and_that_are_not_here_stop_no_check(policy: Path) -> None:
    (policy / "roe.toml").write_text('data = "../gone"\nas_of = 2026-01-01\n', "utf-8")
    assert "it has no records" in roe("check", "rules")
    assert "it has no records" not in roe("check", "rules", "--no-data")
    assert "there are none" in roe("diff", "rules", "rules")
    assert "R606" in roe("run", "rules", "--out", "out", code=2)


BAD = ["data = 5", "data = ''", "date = 'x'", "data", "[data]", "as_of = [1]", 'data = "a\\u0000b"', "x = 1\n" * 20_000, "a=" + "[" * 5000]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_file_that_cannot_be_used_is_named(policy: Path, text: str) -> None:
    (policy / "roe.toml").write_text(text, "utf-8")
    said = roe("run", "rules", "--out", "out", code=2)
    assert "R804" in said and "roe.toml" in said


def test_what_is_missing_is_said_with_all_its_places(policy: Path) -> None:
    said = " ".join(roe("run", "rules", "--out", "out", code=2).split())
    assert "--data" in said and "ROE_DATA" in said and "roe.toml" in said
