"""Every example: checked, tested, canonical, run; and its traces agree with its run, condition by condition."""

from __future__ import annotations

import json
import random
import re
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from effort import HEAVY
from helpers import AS_OF, EXAMPLES, ROOT, example, tables, write_run
from roe.cli import main
from roe.data.read import read_tables
from roe.evaluator.observe import leaves
from roe.evaluator.row import Row
from roe.files import schema
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK, IMPLICIT
from roe.policy.format import format_policy
from roe.stages.build import build
from roe.testing.cases import load_cases
from roe.testing.runner import play, run_case

NAMES = sorted(p.name for p in EXAMPLES.iterdir() if (p / "policy.yaml").is_file())


def test_every_example_has_a_moment() -> None:
    assert sorted(AS_OF) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_example_is_checked_tested_and_told(name: str) -> None:
    policy, found = build(EXAMPLES / name)
    assert policy is not None and not [d for d in found if d.severity != "hint"], found
    cases, problems = load_cases(policy)
    assert cases and not problems
    evaluator = example(name)
    failed = [(r.case.name, r.failures) for r in (run_case(evaluator, c) for c in cases) if not r.passed]
    assert not failed
    assert "roe test" in (EXAMPLES / name / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_example_is_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert format_policy(text, path.name) == text


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_of_an_example_is_tested(name: str) -> None:
    """Each engagement rule decides some test: a rule that nothing tests could be broken in silence."""
    evaluator = example(name)
    cases, _ = load_cases(evaluator.policy)
    decided = {(d.entity, d.role, d.rule) for c in cases for _, run in play(evaluator, c) for d in run.decisions}
    rules = {(e, r, str(rule.name)) for (e, r), c in evaluator.policy.plan.engagement.items() for rule in c.rules if not rule.is_built_in}
    assert rules <= decided, rules - decided


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_changes_nothing(name: str, tmp_path: Path) -> None:
    evaluator = example(name)
    given = tables(evaluator, EXAMPLES / name / "data")
    for row in (r for rows in given.values() for r in rows):
        row.pop("$line")
    shuffled = {e: random.Random(3).sample(rows, len(rows)) for e, rows in given.items()}
    for folder, data in (("a", given), ("b", shuffled)):
        write_run(evaluator.run(data, as_of=AS_OF[name]), tmp_path / folder, traces=True)
    for file in ("allocations.csv", "changes.csv", "rollback.csv", "turns.jsonl", "trace.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize("name", NAMES)
def test_trace_and_run_agree(name: str, tmp_path: Path) -> None:
    """Replaying one record, with pool turns read back from the run's records, gives the run's owner and rule."""
    from roe.evaluator.recorded import read_turns

    evaluator = example(name)
    data, _ = read_tables(evaluator.policy, EXAMPLES / name / "data")
    run = evaluator.run(data, as_of=AS_OF[name])
    write_run(run, tmp_path)
    again = evaluator.bind(data, as_of=AS_OF[name])
    again.turns = read_turns(tmp_path)
    replayed = {again.key(d): d for d in again.decide_all()}
    validator = Draft202012Validator(schema("trace"))
    assert run.decisions
    for decision in run.decisions:
        other = replayed[run.bound.key(decision)]
        assert (decision.owner, decision.rule, decision.action) == (other.owner, other.rule, other.action)
        trace = json.loads(json.dumps(other.trace.as_json()))
        validator.validate(trace)
        assert (trace["outcome"]["owner"], trace["outcome"]["rule"]) == (decision.owner, decision.rule or None)
        _recompute(trace, again)


def _recompute(trace: dict[str, Any], bound: Any) -> None:
    """Each condition of a trace, evaluated again from its own recorded values alone, gives its recorded result."""
    lists = bound.plan.lists
    for step in trace["steps"]:
        for rule in step.get("rules", ()):
            result: bool | None = True
            for c in rule["conditions"]:
                tree, problems = parse(c["text"])
                assert tree is not None, (c["text"], problems)
                got = _evaluate(tree, {x["text"]: _decode(x["value"], x["type"], bound) for x in c["values"]}, bound, lists)
                assert (got if isinstance(got, bool) else None) is c["result"], c
                result = v.both(result, c["result"])
                assert c["missing"] == [x["text"] for x in c["values"] if x["value"] is None]
                assert c["place"]["line"] >= 1
            assert result is rule["result"]
            assert not rule["fired"] or rule["result"] is True


def _evaluate(tree: s.Node, values: dict[str, Any], bound: Any, lists: dict[str, Any]) -> Any:
    """The tree's value where every recorded part is a constant and nothing else can be read."""
    wanted = {id(node) for node in leaves(tree, frozenset(lists))}

    def constant(node: s.Node, code: Any) -> Any:
        if id(node) in wanted and show(node) in values:
            return lambda scope: values[show(node)]
        return code

    return compile_expression(tree, constant)({CLOCK: bound.world.clock, IMPLICIT: None, **lists})


def _decode(value: Any, kind: str, bound: Any) -> Any:
    if isinstance(value, dict) and "entity" in value:
        fields = bound.policy.model.entities[value["entity"]]
        found = {k: _typed(x, fields[k].type.name) if k in fields else x for k, x in value.items() if k != "entity"}
        return _Kept(value["entity"], bound.world, found)
    if isinstance(value, list):
        return [_decode(x, "", bound) for x in value]
    if isinstance(value, str) and (kind not in ("string", "") or re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", value)):
        return v.parse_temporal(value) or value
    return value


def _typed(value: Any, name: str) -> Any:
    return v.parse_temporal(value) if isinstance(value, str) and name in ("date", "date and time", "time") else value


class _Kept(Row):
    """A record rebuilt from a trace: it has what was recorded, and reads the rest from the record it stands for."""

    def __missing__(self, name: str) -> Any:
        other = self.world.find(self.entity, str(dict.get(self, "id")))
        return other[name] if other is not None else None


def test_bound_routes_a_new_lead() -> None:
    evaluator = example("inbound")
    bound = evaluator.bind(tables(evaluator, EXAMPLES / "inbound" / "data"), as_of="2026-02-02T10:00:00")
    lead = {"id": "new", "email": "x@blueridge.org", "company": "Blue Ridge", "form": "demo", "country": "US"}
    assert bound.decide(lead, "sdr").owner == "oli"
    with pytest.raises(ValueError, match="declared values"):
        bound.decide({**lead, "id": "n2", "form": "nonsense"}, "sdr")


def test_one_record_alone() -> None:
    evaluator = example("static")
    record = {"id": "1", "name": "Solo", "country": "Germany", "segment": "SMB"}
    decision = evaluator.decide(record, as_of=date(2026, 2, 1))
    assert (decision.owner, decision.territory, decision.rule) == ("eva", "dach", "territory")
    assert decision.trace.sentence.startswith("eva owns Solo (account 1) as ae")


@pytest.mark.parametrize("name", NAMES)
def test_one_record_of_a_world_is_decided_as_in_the_run(name: str) -> None:
    """`bind` and `decide` on a record alone give the run's decision wherever no pool takes turns."""
    evaluator = example(name)
    data = tables(evaluator, EXAMPLES / name / "data")
    run = evaluator.run(data, as_of=AS_OF[name])
    chosen = run.decisions if HEAVY else random.Random(name).sample(run.decisions, min(25, len(run.decisions)))
    for decision in chosen:
        if decision.turn is None:
            bound = evaluator.bind(data, as_of=AS_OF[name])
            row = bound.world.find(decision.entity, decision.id)
            assert row is not None
            alone = bound.decide(row, decision.role)
            assert (alone.owner, alone.rule, alone.until) == (decision.owner, decision.rule, decision.until)


WITH_MEMORY = [n for n in NAMES if "    roe history " in (EXAMPLES / n / "README.md").read_text("utf-8")]


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_what_a_readme_shows_of_the_memory_can_be_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands with a `--state`, in the order of the README."""
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    lines = (EXAMPLES / name / "README.md").read_text("utf-8").splitlines()
    for command in (shlex.split(line)[1:] for line in lines if line.startswith("    roe ") and "--state state" in line):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0 and done.output, (command, done.output[-500:])
