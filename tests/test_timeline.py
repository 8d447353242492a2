"""Timelines: at every moment they say what the evaluator says then; states follow each other without gap or overlap."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from helpers import EXAMPLES, example
from roe.analysis.timeline import timeline
from roe.data.read import read_tables
from test_cli import roe


@pytest.mark.parametrize("name", ["static", "wild-west"])
def test_a_timeline_is_what_the_evaluator_says_at_every_hour(name: str) -> None:
    evaluator = example(name)
    data, _ = read_tables(evaluator.policy, EXAMPLES / name / "data")
    bound = evaluator.bind(data, as_of="2026-02-01")
    world, now = bound.world, bound.world.clock
    found = {row["id"]: timeline(bound, row) for row in world.rows["account"]}
    assert any(found.values()) and world.clock == now
    moment = datetime(2025, 9, 1, 7, 30, tzinfo=now.now.tzinfo)
    while moment < datetime(2026, 6, 1, tzinfo=now.now.tzinfo):
        world.at(replace(now, now=moment))
        for row in world.rows["account"]:
            for window in bound.plan.windows:
                states = [s for s in found[row["id"]] if s.window == window.name]
                here = [s for s in states if s.start <= moment and (s.until is None or moment < s.until)]
                assert len(here) <= 1
                # before a record's first state there is nothing; a window cannot look back behind its owner's beginning
                if here or (states and moment >= states[0].start):
                    assert here[0].state == row[window.state], (row["id"], window.name, moment)
        moment += timedelta(hours=31)
    for states in found.values():
        for window in bound.plan.windows:
            own = [s for s in states if s.window == window.name]
            assert all(a.until == b.start and a.state != b.state for a, b in pairwise(own))
            assert all(s.cause for s in own)


def test_roe_timeline_in_eighty_columns() -> None:
    folder = str(EXAMPLES / "wild-west")
    asked = ("timeline", "W9", folder, "--data", f"{folder}/data", "--as-of", "2026-02-01")
    text = roe(*asked).output
    assert max(map(len, text.splitlines())) <= 80 and "* protected" in text and "+ none" in text
    states = json.loads(roe(*asked, "--format", "json").output)["states"]
    assert [s["cause"] for s in states][:2] == ["claim by Rosa Ruiz", "protected has ended"]
    inbound = str(EXAMPLES / "inbound")
    wrong = roe("timeline", "L01", inbound, "--data", f"{inbound}/data", "--as-of", "2026-02-02", code=2).output
    assert "no windows" in wrong
