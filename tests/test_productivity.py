"""The SDR productivity calculator: both ways agree, its arithmetic is the published one, and bad figures are said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from roe.analysis.productivity import NUMBERS, RATES, backward, figures, forward, ramped
from roe.cli import main

rate = st.floats(0.01, 1)
number = st.floats(0.1, 5000)


@given(
    values=st.fixed_dictionaries({name: rate if name in RATES else number for name in NUMBERS}), reps=st.integers(1, 40),
    of=st.sampled_from(["meetings", "opportunities", "pipeline", "won"]), period=st.sampled_from(["month", "quarter", "year"]), new=st.booleans(),
)  # fmt: skip
def test_a_quota_that_reps_just_reach_asks_for_these_reps(values: dict[str, float], reps: int, of: str, period: str, new: bool) -> None:
    shares = "25/50/75/100"
    done = {s.name: s.value for s in forward(values, reps, period, reps / 2 if new else 0, shares)}
    quota = done["meetings held" if of == "meetings" else of]
    back = {s.name: s.value for s in backward(values, quota, of, period, 0.5 if new else 0, shares)}
    assert back["reps"] == pytest.approx(reps)
    assert back["accounts to work"] == pytest.approx(done["accounts worked"])
    assert back["heads to hire for"] in (reps, reps + 1)  # one more where rounding errs


def test_the_published_example() -> None:
    """1,000 hours / (12 touches x 0.75 hours) = 111 accounts (novacalculator.com)."""
    values = {n: f.value for n, f in figures().items() if n in NUMBERS}
    values |= {"selling_hours": 1000, "hours_per_touch": 0.75, "touches_per_contact": 12, "contacts_per_account": 1}
    done = {s.name: s.value for s in forward(values, 1, "year")}
    assert round(done["accounts worked"]) == 111
    assert ramped("0/25/50/75/100", 12) == 0 + 0.25 + 0.5 + 0.75 + 8


def test_every_default_has_a_source() -> None:
    assert all(f.source and f.unit and f.what for f in figures().values())


def test_the_command_shows_every_step(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["calc", "sdr", "--quota", "1000000", "--of", "pipeline", "--format", "json"])
    found = json.loads(done.output)
    values = {s["name"]: s["value"] for s in found["steps"]}
    assert values["opportunities"] == 20 and values["accounts to work"] == pytest.approx(20 / 0.6 / 0.8 / 0.1)
    text = CliRunner().invoke(main, ["calc", "sdr", "--reps", "3", "--new", "1"]).output
    assert "GitLab handbook" in text and "touches per account" in text and max(map(len, text.splitlines())) <= 80
    (tmp_path / "own.csv").write_text("figure,value,unit,what,source\nmeeting_rate,0.5,of accounts,x,our CRM\n")
    text = CliRunner().invoke(main, ["calc", "sdr", "--benchmarks", str(tmp_path / "own.csv")]).output
    assert "our CRM" in text and "50.0%" in text


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--set", "meeting_rte=0.1"], "R801"), (["--set", "meeting_rate=3"], "R801"), (["--set", "deal_size=x"], "R801"),
        (["--set", "hours_per_touch=0"], "R801"), (["--new", "2"], "R801"), (["--quota", "inf"], "R801"), (["--benchmarks", "nowhere.csv"], "R601"),
    ],
)  # fmt: skip
def test_bad_figures_are_said(args: list[str], code: str) -> None:
    done = CliRunner().invoke(main, ["calc", "sdr", *args])
    assert done.exit_code == 2 and code in done.output
