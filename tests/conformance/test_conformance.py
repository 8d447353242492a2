"""The language against the public conformance suite, where it lies beside the project."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _runner() -> ModuleType:
    path = Path(__file__).with_name("runner.py")
    spec = importlib.util.spec_from_file_location("conformance_runner", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["conformance_runner"] = module
    spec.loader.exec_module(module)
    return module


runner = _runner()
absent = pytest.mark.skipif(not runner.DEFAULT.is_file(), reason="../shared/conformance is not there")


@absent
def test_agreement() -> None:
    verdicts = runner.run()
    literal = [v for v in verdicts if v.case["kind"] == "literal"]
    inside = [v for v in literal if v.outcome != "outside"]
    assert len(inside) / len(literal) >= 0.75
    for wants_value in (True, False):
        of = [v for v in inside if v.wants_value is wants_value]
        agree = sum(v.outcome == "agree" for v in of)
        assert agree / len(of) >= 0.98, [v.case["id"] for v in of if v.outcome != "agree"]
    tables = [v for v in verdicts if v.case["kind"] == "table"]
    assert tables and all(v.outcome == "agree" for v in tables)


def test_outside_is_a_table_of_constructs() -> None:
    assert all(name and pattern and reason for name, pattern, _, reason in runner.OUTSIDE)
    assert runner.outside("{a: 1}") == "contexts"
    assert runner.outside('"{a: 1}"') is None
    assert runner.outside('time("10:30:00@Europe/Paris")') == "named time zones"


def test_the_runner_can_disagree() -> None:
    case: dict[str, object] = {
        "kind": "literal",
        "id": "x",
        "folder": "x",
        "type": None,
        "expression": "1 + 1",
        "inputs": {},
        "error": False,
    }
    assert runner.run_literal({**case, "expected": 2}).outcome == "agree"
    assert runner.run_literal({**case, "expected": 3}).outcome == "disagree"
    assert runner.run_literal({**case, "expected": None}).outcome == "disagree"
