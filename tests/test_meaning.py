"""Nothing of a policy is forgotten by the comparison: every field of every part counts, or is named as one that does not."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from helpers import AS_OF, EXAMPLES, example
from roe.analysis.meaning import UNIMPORTANT, Meaning
from roe.analysis.policy_parts import WHEREABOUTS, beside, parts
from roe.grammar.parser import parse
from roe.plan import operators
from roe.plan import parts as of_stages
from roe.plan.plan import Plan
from roe.policy.model import DataSource, Field, Policy
from roe.stages import STAGES

OF_THE_PLAN = [c for module in (operators, of_stages) for c in vars(module).values() if isinstance(c, type) and is_dataclass(c)]
CLASSES: list[Any] = [*OF_THE_PLAN, Field, DataSource]


class Marked(str):
    """A value that stands for any other."""


@pytest.mark.parametrize("part", CLASSES, ids=lambda c: c.__name__)
def test_every_field_of_a_part_counts(part: Any) -> None:
    """Whoever adds a field to a part of the plan has it compared; whoever excepts one from that names it in `UNIMPORTANT`."""
    if part is operators.Expr:  # which is compared by its tree
        return
    meaning = Meaning(example("static").policy, {}, {})
    names = [f.name for f in fields(part)]
    plain = part(**dict.fromkeys(names, "x"))
    for name in names:
        other = replace(plain, **{name: {"y": "z"} if isinstance(getattr(plain, name), dict) else "y"})
        counts = meaning.text(plain) != meaning.text(other)
        assert counts is (name not in UNIMPORTANT.get(part.__name__, ())), name


def test_what_does_not_count_is_there() -> None:
    known = {c.__name__: {f.name for f in fields(c)} for c in [*CLASSES, type(Field("x", None).type), operators.Expr] if is_dataclass(c)}  # type: ignore[arg-type, union-attr]
    for name, excepted in UNIMPORTANT.items():
        assert name == "Type" or set(excepted) <= known[name], name


def test_every_field_of_a_policy_is_compared() -> None:
    """A field of `Policy` or `Plan` that is new is compared as a part of its own; these are the only ones that are not."""
    policy = example("static").policy

    def everything(policy: Policy) -> dict[str, object]:
        return dict([*parts(policy), *beside(policy)])

    before = everything(policy)
    assert {f.name for f in fields(Plan)} == {"steps", "pools", "engagement", "lists", "dated_lists", "parts"}
    assert policy.plan.parts.keys() >= {stage.part_name or stage.name for stage in STAGES if stage.part} - {"data", "pools", "engagement"}
    for name in policy.plan.parts:
        other = replace(policy, plan=policy.plan.with_part(name, Marked("another")))
        assert everything(other) != before, name
    for f in fields(Policy):
        if f.compare and f.name not in (*WHEREABOUTS, "model", "plan"):
            other = replace(policy, **{f.name: Marked("another")})  # type: ignore[arg-type]
            assert everything(other) != before, f.name
    assert set(WHEREABOUTS) <= {f.name for f in fields(Policy)}
    assert isinstance(policy.model.entities, dict | types.MappingProxyType)


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_a_policy_means_the_same_as_itself(name: str) -> None:
    from roe.analysis.equivalence import compare

    found = compare(example(name), example(name))
    assert found.verdict == "equivalent" and not (found.fields or found.possible), found
    assert (EXAMPLES / name).is_dir()


def test_a_bare_name_in_a_filter_is_not_the_field_of_what_the_item_refers_to() -> None:
    """Rules refuse such a name; if they did not, it would mean the record around the filter."""
    meaning = Meaning(example("static").policy, {}, {})
    trees = [parse(text)[0] for text in ("count(account.activities[employees > 5])", "count(account.activities[account.employees > 5])")]
    bare, of_item = (meaning.text(tree, "account") for tree in trees)
    assert bare != of_item
