"""What is kept of a policy is the policy: plan, model and places, value by value and kind by kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from helpers import EXAMPLES, policy_text
from roe.evaluator.engine import Evaluator
from roe.evaluator.trace import trace
from roe.grammar import values as v
from roe.grammar.parser import parse
from roe.plan.operators import Action
from roe.plan.parts import Crm
from roe.plan.plan import Plan
from roe.policy.store import LazyTuple, PolicyReader, PolicyWriter, rule_names, write_policy
from roe.source import Added, Text

TABLES = Path(__file__).parent / "boundaries"
NAMES = ["static", "scoring", "disputes", "dynamic-books", "crm"]


def alike(a: Any, b: Any, at: str = "policy") -> None:
    """Fail at the first part that differs, in value, in kind, or in the place where a text stands."""
    if isinstance(a, Text):
        assert isinstance(b, Text) and str(a) == str(b) and a.span() == b.span(), at
        assert isinstance(a.origin, Added) is isinstance(b.origin, Added), at
    elif isinstance(a, (tuple, LazyTuple)):
        assert isinstance(b, (tuple, LazyTuple)) and len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            alike(x, y, f"{at}[{i}]")
    elif isinstance(a, list):
        assert type(b) is list and len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            alike(x, y, f"{at}[{i}]")
    elif isinstance(a, Mapping):
        assert isinstance(b, Mapping) and list(a) == list(b), at
        for key in a:
            alike(a[key], b[key], f"{at}[{key}]")
    elif hasattr(a, "__dataclass_fields__"):
        assert type(a) is type(b), at
        for f in fields(a):
            alike(getattr(a, f.name), getattr(b, f.name), f"{at}.{f.name}")
    else:
        assert type(a) is type(b) and a == b, f"{at}: {a!r} and {b!r}"


def folder_of(name: str, tmp_path: Path) -> Path:
    if name in NAMES:
        return EXAMPLES / name
    document = yaml.load((TABLES / f"{name}.yaml").read_text("utf-8"), yaml.BaseLoader)
    policy_text(tmp_path, document["policy"])
    for file, content in document.get("files", {}).items():
        (tmp_path / file).write_text(content, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", [*sorted(p.stem for p in TABLES.glob("*.yaml")), *NAMES])
def test_a_policy_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    policy = roe.load(folder_of(name, tmp_path))
    kept = PolicyReader(json.loads(json.dumps(write_policy(policy))), policy.root).policy()
    alike(policy.plan, kept.plan)
    assert write_policy(kept) == write_policy(policy), "what was read back is written as before, as tasks of Spark get it"
    assert policy.model.tracked == kept.model.tracked
    for part in ("name", "timezone", "calendar", "hours", "fiscal", "profile", "files", "roles", "data"):
        alike(getattr(policy, part), getattr(kept, part), part)
    alike(policy.model.entities, kept.model.entities)
    assert list(policy.model.steps) == list(kept.model.steps)
    for key in policy.model.steps:
        alike(policy.model.field_type(*key), kept.model.field_type(*key), str(key))


def test_a_policy_that_was_kept_is_explained_as_it_was(tmp_path: Path) -> None:
    """Two roles ask the same of a record: each explanation names its own line."""
    rule = "      - {name: abroad, when: account.employees > 5, then: open}"
    text = f"roe: 1\nname: t\nroles: [ae, csm]\nengagement:\n  account:\n    ae:\n{rule}\n    csm:\n{rule}\n"
    policy = roe.load(policy_text(tmp_path, text))
    kept = PolicyReader(json.loads(json.dumps(write_policy(policy))), policy.root).policy()
    for each in (policy, kept):
        run = Evaluator(each).run({"account": [{"id": "A", "employees": 9}]}, as_of="2026-02-01")
        places = {d.role: trace(d).steps[0].rules[0].conditions[0].place for d in run.decisions}
        assert {role: place.line for role, place in places.items()} == {"ae": 7, "csm": 9}


def test_the_expressions_of_sentences_and_referrals_are_kept_as_trees(tmp_path: Path) -> None:
    rules = "{name: a, then: {refer: '{account.owner.csm} team {account.owner.ae}'}, because: '{account.name} has {account.employees + 1}'}"
    text = f"roe: 1\nname: t\nroles: [ae, csm]\ntrack: [opportunity.stage]\nengagement: {{account: {{ae: [{rules}]}}}}\n"
    policy = roe.load(policy_text(tmp_path, text))
    kept = json.loads(json.dumps(write_policy(policy)))
    trees = {piece: PolicyReader(kept, policy.root).value(tree) for piece, tree in kept["trees"]}
    assert {"account.owner.csm", "account.owner.ae", "account.name", "account.employees + 1"} <= trees.keys()
    assert " has " not in trees and " team " not in trees, "what stands between expressions is none"
    assert all(tree == parse(piece)[0] for piece, tree in trees.items())
    assert PolicyReader(kept, policy.root).policy().model.tracked == policy.model.tracked == {("opportunity", "stage")}


def test_rules_are_a_sequence_like_a_tuple() -> None:
    made: list[str] = []

    def make(kept: Any) -> Any:
        made.append(kept)
        return kept.upper()

    rules: Any = LazyTuple(["a", "b", "c"], make)
    assert (len(rules), rules[0], rules[-1], rules[1:]) == (3, "A", "C", ("B", "C"))
    assert made == ["a", "c", "b"]  # each once, when it is asked for
    assert rules == ("A", "B", "C") and list(rules) == ["A", "B", "C"] and hash(rules) == hash(("A", "B", "C"))
    assert rules != ("A", "B") and rules != ["A", "B", "C"] and rules == LazyTuple(["a", "b", "c"], make)
    with pytest.raises(IndexError):
        rules[3]


def test_the_conditions_of_a_rule_are_read_when_somebody_asks_for_them() -> None:
    conditions: Any = LazyTuple('["a", "b"]', str.upper)
    assert conditions == ("A", "B") and len(conditions) == 2
    never: Any = LazyTuple("no JSON", str.upper)
    with pytest.raises(ValueError, match="Expecting value"):
        len(never)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_rules_are_known_before_the_rules_are(name: str) -> None:
    policy = roe.load(EXAMPLES / name)
    stored = json.loads(json.dumps(write_policy(policy)))
    stored["conditions"] = ["no JSON"] * len(stored["conditions"])
    plan = PolicyReader(stored, policy.root).policy().plan
    for key, step in policy.plan.engagement.items():
        assert rule_names(plan.engagement[key].rules) == rule_names(step.rules) == [str(rule.name) for rule in step.rules]


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(TypeError):
        PolicyWriter().value(object())
    with pytest.raises(ValueError):
        PolicyReader({}, Path()).value(["nobody"])


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "x", (1, (2,)), [1], {"a": (1,)}, v.Months(3), v.WorkingDays(5), v.WorkingHours(4.5), v.CalendarDays(3)]
)
def test_values(value: Any) -> None:
    back = PolicyReader({}, Path()).value(json.loads(json.dumps(PolicyWriter().value(value))))
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("text", ["2026-02-01", "2026-02-01T09:30:00Z", "09:30:00", "P1DT2H"])
def test_temporal_values(text: str) -> None:
    value = v.parse_temporal(text)
    assert value is not None and PolicyReader({}, Path()).value(json.loads(json.dumps(PolicyWriter().value(value)))) == value


PARTS = [
    "windows",
    "exceptions",
    "reports",
    "holdovers",
    "levels",
    "credits",
    "books",
    "events",
    "by_hand",
    "invariants",
    "claims",
    "kpis",
    "crm",
]


@pytest.mark.parametrize("name", PARTS)
def test_a_plan_gives_a_part_as_its_stage_made_it(name: str) -> None:
    empty = Plan({}, {}, {}, {})
    part = ("made by a stage",)
    assert getattr(empty.with_part(name, part), name) is part
    nothing = getattr(empty, name)
    assert nothing == Crm() if name == "crm" else nothing is None if name in ("claims", "kpis") else len(nothing) == 0
    assert not getattr(empty.with_part("other", part), name) or name == "crm"


def test_an_action_refers_to_the_person_of_its_own_or_of_what_it_falls_back_on() -> None:
    refer = Action("refer", to="sales-ops")
    assert refer.refers() == "sales-ops" and Action("assign", otherwise=refer).refers() == "sales-ops"
    assert Action("assign", to="ann", otherwise=refer).refers() == "ann"
    assert Action("keep").refers() == Action("keep", otherwise=Action("open")).refers() == ""
