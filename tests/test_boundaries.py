"""Boundary tables (`tests/boundaries/`): what holds on the last day, at the last second, on the first day, on both sides of an edge.

One row a case. What is expected comes from the documentation and from arithmetic by hand, never from a run: both evaluators share this
code, so comparing them cannot find that it is wrong. Each case goes through rows and columns.

- `clocks.csv`: an expression at a moment, in a zone, with a calendar and working hours, and its value.
- `*.yaml`: a policy and records, and `mistakes` that must be found in it; each case may change tables (`given`), has runs `before` it whose state it is given, a moment (`at`), and
  what is `expected` of a record: `A.owner`, `A.until`, a part of `A.reason`, any step such as `A.protection_state`; of a claim its `status`;
  of the credit lines `credits`; `leads` are the owners of all leads in turn. `nobody` and `null` are what they say.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from helpers import compiled, write_run
from roe.grammar import values as v
from roe.grammar.clock import OFFICE, Clock, hours_of
from roe.grammar.closures import compile_expression
from roe.grammar.parser import parse
from roe.grammar.scopes import CLOCK
from roe.plan.operators import Action, Choose, Rule
from roe.plan.plan import Plan
from roe.source import Inline, Text

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")
from roe.columns.run import ColumnRun

FOLDER = Path(__file__).parent / "boundaries"
BASE = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the one in C, where PyYAML has it
CLOCKS = list(csv.DictReader((FOLDER / "clocks.csv").read_text("utf-8").splitlines(), skipinitialspace=True))
DOCUMENTS: dict[str, Any] = {path.stem: yaml.load(path.read_text("utf-8"), BASE) for path in sorted(FOLDER.glob("*.yaml"))}
Tables = Mapping[str, list[dict[str, Any]]]


@pytest.mark.parametrize("case", CLOCKS, ids=lambda case: f"{case['now']} {case['expression']}")
def test_clocks(case: dict[str, str]) -> None:
    hours = hours_of(case["hours"]) if case["hours"] else OFFICE
    assert hours is not None
    clock = Clock.at(case["now"], case["zone"], case["calendar"], hours)
    tree, problems = parse(case["expression"])
    assert tree is not None, problems
    assert shown(compile_expression(tree)({"today": clock.today, "now": clock.now, CLOCK: clock})) == case["expected"]


@pytest.mark.parametrize("settings", sorted({(c["zone"], c["calendar"], c["hours"]) for c in CLOCKS}), ids=" ".join)
def test_clocks_of_a_policy(settings: tuple[str, str, str]) -> None:
    """The same rows as definitions of a policy with that zone, calendar and hours, in both engines."""
    mine = [(f"value_{i}", c) for i, c in enumerate(CLOCKS) if (c["zone"], c["calendar"], c["hours"]) == settings]
    policy: dict[str, Any] = {"roe": 1, "name": "clock", "roles": ["ae"]}
    policy |= {key: x for key, x in zip(("timezone", "calendar", "working_hours"), settings, strict=True) if x}
    policy |= {"define": {f"account.{name}": case["expression"] for name, case in mine}}
    evaluator = compiled(yaml.safe_dump(policy | {"engagement": {"account": {"ae": [{"name": "all", "then": "keep"}]}}}))
    tables = {"account": [{"id": "A"}]}
    for now in sorted({case["now"] for _, case in mine}):
        for world in (evaluator.bind(tables, as_of=now).world, ColumnRun.of(evaluator, tables, as_of=now).world):
            wanted = {c["expression"]: c["expected"] for _, c in mine if c["now"] == now}
            assert {c["expression"]: shown(world.values("account", n)[0]) for n, c in mine if c["now"] == now} == wanted, type(world)


def shown(value: Any) -> str:
    """A value as the tables write it."""
    return "null" if value is None else str(value["id"]) if isinstance(value, dict) else v.string(value) or ""


def cases() -> Iterator[Any]:
    for name, document in DOCUMENTS.items():
        for i, case in enumerate(document["cases"]):
            yield pytest.param(name, case, id=f"{name}-{i + 1}-{case.get('name', case['at'])}")


def evaluator_of(name: str, changed: str = "") -> Any:
    text = DOCUMENTS[name]["policy"]
    for line in changed.splitlines():
        old, _, new = line.partition(" => ")
        assert old in text, old
        text = text.replace(old, new.replace("\\n", "\n"))
    return compiled(text, *DOCUMENTS[name].get("files", {}).items())


@pytest.mark.parametrize(("name", "case"), list(cases()))
def test_tables(name: str, case: dict[str, Any], tmp_path: Path) -> None:
    document = DOCUMENTS[name]
    made: Any = None
    evaluator = evaluator_of(name, case.get("policy", ""))
    for columns in (False, True):
        state: Any = None
        for run in (*case.get("before", ()), case):
            tables = tables_of({**document.get("data", {}), **run.get("given", {})})
            made = (ColumnRun.of if columns else type(evaluator).run)(evaluator, tables, as_of=run["at"], state=state)
            state = json.loads(json.dumps(made.state(), default=dict))  # columns give owners as what differs from before
        folder = tmp_path / ("columns" if columns else "rows")
        write_run(made, folder)
        for key, wanted in case["expected"].items():
            assert found(key, wanted, made, folder) == wanted, f"{key} in {folder.name}"


@pytest.mark.parametrize(("name", "case"), list(cases()))
def test_tables_by_rows_alone(name: str, case: dict[str, Any]) -> None:
    """Owners, ends, claims and fields, without files and columns: the same rows, in a tenth of the time."""
    evaluator = evaluator_of(name, case.get("policy", ""))
    made: Any = None
    for run in (*case.get("before", ()), case):
        tables = tables_of({**DOCUMENTS[name].get("data", {}), **run.get("given", {})})
        made = evaluator.run(tables, as_of=run["at"], state=None if made is None else json.loads(json.dumps(made.state())))
    known: dict[str, Any] = {d.id: d for d in made.decisions}
    known |= made.world.settled.outcomes if made.world.policy.plan.claims else {}
    for key, wanted in case["expected"].items():
        record, _, field = key.partition(".")
        if key == "leads":
            assert " ".join(d.owner or "nobody" for d in made.decisions if d.entity == "lead") == wanted
        elif hasattr(known.get(record), field):
            value = getattr(known[record], field)
            said = shown(value or None) if field != "owner" else value or "nobody"
            assert said == wanted or (field == "reason" and wanted in str(value)), key
        elif key != "credits":  # which a run writes
            assert found(key, wanted, made, Path()) == wanted, key


CLAIMED = [pytest.param(*x.values, id=x.id) for x in cases() if x.values[0].startswith("claims") and "before" not in x.values[1]]


@pytest.mark.parametrize(("name", "case"), CLAIMED)
def test_claims_of_the_tables_before_anything_is_decided(name: str, case: dict[str, Any]) -> None:
    """What became of each claim, without a run: the same rows, in a hundredth of the time."""
    tables = tables_of({**DOCUMENTS[name].get("data", {}), **case.get("given", {})})
    outcomes = evaluator_of(name, case.get("policy", "")).bind(tables, as_of=case["at"]).world.settled.outcomes
    for key, wanted in case["expected"].items():
        claim, _, part = key.partition(".")
        if claim.startswith("K"):
            value = getattr(outcomes.get(claim), part, None)
            assert shown(value) == wanted or (part == "reason" and wanted in str(value)), key


MISTAKES = [pytest.param(n, x, id=f"{n}-{x['policy']}") for n, document in DOCUMENTS.items() for x in document.get("mistakes", ())]


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_mistakes(name: str, mistake: dict[str, str]) -> None:
    with pytest.raises(roe.PolicyError) as caught:
        evaluator_of(name, mistake["policy"])
    found = caught.value.diagnostics
    assert " ".join(sorted({d.code for d in found})) == mistake["code"]
    assert mistake.get("says", "") in " ".join(f"{d.message} {d.help}" for d in found)


@pytest.mark.parametrize(
    "as_of", ["2026-02-01", " 2026-02-01T00:00 ", date(2026, 2, 1), datetime(2026, 2, 1), datetime(2026, 1, 31, 23, tzinfo=UTC)]
)
def test_a_moment_is_given_as_text_or_as_a_date(as_of: Any) -> None:
    clock = Clock.at(as_of, "Europe/Berlin")
    assert (clock.today, clock.now.isoformat()) == (date(2026, 2, 1), "2026-02-01T00:00:00+01:00")


def tables_of(given: Mapping[str, Any]) -> Tables:
    """The records as the engines take them: nothing is a missing value."""
    return {entity: [{k: x if x != "null" else None for k, x in row.items()} for row in rows] for entity, rows in given.items()}


DECIDED = {"until": "expires"}


def found(key: str, wanted: str, run: Any, folder: Path) -> str:
    """What a run says about what a case asks for."""
    lines = read(folder / "allocations.csv")
    if key == "leads":
        return " ".join(line["owner"] or "nobody" for line in lines if line["entity"] == "lead")
    if key == "credits":
        return "; ".join(f"{x['record']} {x['rep']} {x['share']} {x['until'] or 'null'}" for x in read(folder / "credits.csv"))
    record, _, field = key.partition(".")
    line = next((x for x in lines if x["record"] == record), None) or {x["claim"]: x for x in read(folder / "claims.csv")}.get(record, {})
    text = line.get(DECIDED.get(field, field))
    if text is not None:
        return wanted if field == "reason" and wanted in text else text or ("nobody" if field == "owner" else "null")
    entity = next(e for e in run.world.policy.model.entities if record in run.world.values(e, "id"))
    return shown(run.world.values(entity, field)[run.world.values(entity, "id").index(record)])


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines())) if path.exists() else []


@pytest.mark.parametrize(("name", "entity", "takes"), [("pools", "", True), ("pools", "lead", True), ("pools", "account", False), ("windows", "", False), ("windows", "account", False)])  # fmt: skip
def test_whether_records_take_turns(name: str, entity: str, takes: bool) -> None:
    assert evaluator_of(name).policy.plan.takes_turns(entity) is takes


def test_a_pool_that_an_action_falls_back_on_takes_turns_too() -> None:
    route = Action("route", pool="p")
    for action, takes in ((Action("keep"), False), (route, True), (Action("keep", otherwise=route), True), (Action("keep", otherwise=Action("open")), False)):  # fmt: skip
        rules = (Rule(Text("r", Inline()), (), action),)
        plan = Plan({}, {}, {("lead", "sdr"): Choose("lead", "sdr", "engagement", "first", rules)})
        assert (plan.takes_turns(), plan.takes_turns("lead"), plan.takes_turns("account")) == (takes, takes, False)
        assert list(action.with_otherwise()) == [action, *([action.otherwise] if action.otherwise else [])]
    asks = Action("keep", otherwise=Action("refer", to="ops"))
    assert (asks.refers(), Action("refer", to="vp", otherwise=asks).refers(), route.refers()) == ("ops", "vp", "")


def test_what_a_plan_says_where_its_policy_says_nothing() -> None:
    plan, empty = evaluator_of("pools").policy.plan, Plan({}, {}, {})
    assert plan.crm.load_within == empty.crm.load_within == 3, "docs/ledger.md: after three days the run warns"
    assert evaluator_of("crm").policy.plan.crm.load_within == 14
    asks = evaluator_of("pools", 'lead.cell = "owned" => owner_at(lead, "sdr", today) = null').policy.plan
    assert (asks.past.looks_back, plan.past.looks_back, empty.past.looks_back) == (True, False, False)
