"""Back ends know operators and expressions: no section of a policy, and no field that a stage or `plan/standard.py` declares, by name.

What still stands there is listed, file by file and name by name with how often. The list may only shrink: a name too many fails, and so does one
too few, so that whoever takes one out takes it out of the list as well.
"""

from __future__ import annotations

import ast
import json
from collections import Counter

import pytest

from helpers import ROOT
from roe.plan.operators import Claims
from roe.plan.plan import Plan
from roe.plan.standard import standard_steps
from roe.stages import claims, crm, matching

BACK_ENDS = ("evaluator", "columns", "sql", "spark")
GENERAL = {"roe", "name", "description", "timezone", "calendar", "working_hours", "fiscal_year", "profile", "include", "roles", "data", "fields", "lists", "define"}  # fmt: skip
TERRITORIES = {"territory", "territory_owner"}
# what a name also means: a field of the data, or a key of the state that a run leaves to the next
COMMON = {"account", "until", "reason", "status", "books", "claims", "credits", "events", "pools"}

LEFT: dict[str, dict[str, int]] = {
    "evaluator/able.py": {"leave": 2},
    "evaluator/pool.py": {"is_open": 1},
    "evaluator/cycle.py": {"leave": 1},
    "evaluator/claims.py": {"claim": 2},
    "evaluator/extra.py": {"claim": 1, "territory": 3},
    "evaluator/kept.py": {"is_open": 3},
    "evaluator/render.py": {"territory": 1},
    "evaluator/trace.py": {"claim": 2, "territory": 1},
    "evaluator/row.py": {"able": 1, "may_hold": 1},
    "evaluator/world.py": {"is_open": 1},
    "columns/world.py": {"able": 1, "is_open": 1, "may_hold": 1},
    "sql/outcome.py": {"able": 2, "may_hold": 2},
    "sql/statement.py": {"territory": 2},
}  # fmt: skip


def sections() -> set[str]:
    """The sections of a policy that a stage reads."""
    schema = json.loads((ROOT / "schemas" / "policy.schema.json").read_text("utf-8"))
    return set(schema["properties"]) - GENERAL - COMMON


def declared() -> set[str]:
    """The fields that stages declare under a fixed name, and those that every policy has as steps."""
    asked = Claims("account", "ae", None, None, None, None, None, None, {}, ())  # type: ignore[arg-type]
    standard = {name for _, name in standard_steps(Plan({}, {}, {}, parts={"claims": asked}))}
    return (standard | {name for name, _ in (*claims.OF_RECORD, *claims.OF_CLAIM)} | {crm.OPEN, matching.NAME} | TERRITORIES) - COMMON


def names_in(source: str, wanted: set[str]) -> Counter[str]:
    """How often each of some names is a text in a module, its documentation left out."""
    tree = ast.parse(source)
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return Counter(str(node.value) for node in texts if node.value in wanted and id(node) not in spoken)


def left() -> dict[str, dict[str, int]]:
    wanted = sections() | declared()
    found = {}
    for folder in BACK_ENDS:
        for path in sorted((ROOT / "src" / "roe" / folder).rglob("*.py")):
            names = names_in(path.read_text("utf-8"), wanted)
            if names:
                found[path.relative_to(ROOT / "src" / "roe").as_posix()] = dict(sorted(names.items()))
    return found


def test_back_ends_name_no_section_and_no_field_of_a_stage() -> None:
    assert left() == LEFT
    assert sum(n for names in LEFT.values() for n in names.values()) <= 34  # may only shrink


@pytest.mark.parametrize("name", ["windows", "territory", "ultimate_parent", "matched_account"])
def test_a_planted_name_is_found(name: str) -> None:
    wanted = sections() | declared()
    assert name in wanted
    assert names_in(f'"""{name}"""\ndef f(row: dict) -> object:\n    return row["{name}"]\n', wanted) == {name: 1}
