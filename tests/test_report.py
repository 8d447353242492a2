"""Reports: counts by group over the run's own owners, and what is missing from a list."""

from __future__ import annotations

import json

from helpers import EXAMPLES
from test_cli import roe

ABM = str(EXAMPLES / "abm")
ASKED = ("report", ABM, "--data", f"{ABM}/data", "--as-of", "2026-03-02T10:00")


def test_the_coverage_of_a_target_list() -> None:
    found = json.loads(roe(*ASKED, "--format", "json").output)[0]
    assert found["listed"] == 200 and len(found["missing"]) == 7 and "Havrosin Retail" in found["missing"]
    assert {tier: g["records"] for tier, g in found["groups"].items()} == {"1": 19, "2": 58, "3": 116, "all": 193}
    assert {tier: g["qualified (MQA)"] for tier, g in found["groups"].items()} == {"1": 3, "2": 4, "3": 4, "all": 11}
    for measure in ("with an AE", "with an SDR", "open pipeline", "engaged people"):
        groups = found["groups"]
        assert groups["all"][measure] == sum(groups[tier][measure] for tier in "123") > 0


def test_the_text_fits_a_terminal_and_says_what_is_wrong() -> None:
    text = roe(*ASKED).output
    assert max(map(len, text.splitlines())) <= 80
    assert "200 rows are on the list; 7 match no record in the data" in text
    assert roe(*ASKED, "--format", "csv").output.startswith("report,group,records,with an AE,")
    assert "did you mean `coverage`" in roe(*ASKED, "--only", "coverige", code=2).output
    assert "has no reports" in roe("report", str(EXAMPLES / "static"), *ASKED[2:], code=2).output
