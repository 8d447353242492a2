"""The JSON Schema of a policy is what the classes of its sections say, and what they read is what the schema lets through."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import MISSING, fields
from typing import Any, cast, get_args, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from helpers import ROOT
from roe.files import schema
from roe.policy.loader import Map, parse_yaml
from roe.policy.section import Section, keys, required
from roe.stages import STAGES


def sections() -> set[type[Section]]:
    """Every class of a section that a stage reads, those inside of others included."""
    seen: set[type[Section]] = set()
    waiting: list[Any] = [heading.kind for stage in STAGES for heading in stage.sections]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, Section) and kind not in seen:
            seen.add(kind)
            waiting += [inner for _, inner in keys(kind).values()]
    return seen


def test_the_schema_is_what_the_classes_say() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "schema.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["policy", "tests", "allocations", "trace"])
def test_a_schema_is_a_schema_and_refers_to_what_it_has(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    text = json.dumps(schema(name))
    for definition in schema(name).get("$defs", {}):
        assert f'"#/$defs/{definition}"' in text, f"nothing refers to {definition}"


def test_every_section_says_what_it_is() -> None:
    for cls in sections():
        assert cls.__doc__ and not cls.__doc__.endswith("."), f"{cls.__name__}: an editor shows this line"
        assert cls.__name__.endswith("Section")
    assert len({cls.__name__ for cls in sections()}) == len(sections())


def test_what_must_be_there_has_no_default() -> None:
    for cls in sections():
        optional = {f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING}  # type: ignore[arg-type]
        for name, (attribute, kind) in keys(cls).items():
            assert (name not in required(cls)) == (attribute in optional)
            assert type(None) not in get_args(kind) or attribute in optional, f"{cls.__name__}.{attribute} may be None and must be given"


def test_a_stage_takes_what_its_sections_hold() -> None:
    """The types of a stage's functions are those of its headings, in their order."""
    for stage in STAGES:
        for function in (stage.declare, stage.lower, stage.part):
            if function is None or not stage.sections:
                continue
            hints = list(get_type_hints(function, include_extras=True).values())
            for heading, hint in zip(stage.sections, hints, strict=False):
                assert plain(hint) in (plain(heading.kind), plain(cast(type, heading.kind) | None)), f"{stage.name}: {function.__name__}"


def plain(kind: Any) -> str:
    """A type without what it says beside its Python type."""
    while get_args(kind) and hasattr(kind, "__metadata__"):
        kind = get_args(kind)[0]
    inner = [plain(x) for x in get_args(kind)]
    return f"{getattr(kind, '__origin__', kind)}{sorted(inner) if 'Union' in str(type(kind)) else inner}"


def test_a_text_that_is_read_keeps_its_place() -> None:
    text = "roe: 1\nname: x\nevents:\n  lead.hot: {when: lead.score > 1, because: warm}\n"
    content, problems = parse_yaml(text, "policy.yaml", schema("policy"))
    assert not problems
    heading = next(h for stage in STAGES for h in stage.sections if h.name == "events")
    (name, event), *_ = heading.read(content).items()
    assert (name, event.when, event.rearm, event.because) == ("lead.hot", "lead.score > 1", None, "warm")
    assert str(event.because.span()) == "policy.yaml:4:45" and str(event.key("when").span()) == "policy.yaml:4:14"


def test_one_of_several_shapes_is_read_as_the_one_it_has() -> None:
    invariants = next(h for stage in STAGES for h in stage.sections if h.name == "invariants")
    text = "roe: 1\nname: x\ninvariants:\n  - no rep over capacity\n  - {name: few, holds: moved < 3}\n"
    content, _ = parse_yaml(text, "policy.yaml", schema("policy"))
    sentence, mapping = invariants.read(content)
    assert sentence == "no rep over capacity" and mapping.severity == "error" and mapping.every is None
    assert invariants.read(Map()) == ()
