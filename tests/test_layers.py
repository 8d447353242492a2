"""Imports run one way, from the tools down to the grammar, and no two packages import each other."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sized
from functools import cache

import pytest

from helpers import ROOT

# A package may import those above it in this list, and those on its own line; imports for types and inside functions count.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "roe.source",
        "roe.words",
        "roe.diagnostics",
        "roe.files",
        "roe.untrusted",
        "roe.progress",
        "roe.parallel",
        "roe.node",
        "roe.dynamic",
        "roe.revisions",
    ),
    ("roe.crm", "roe.places"),
    ("roe.companies",),
    ("roe.grammar",),
    ("roe.plan",),
    ("roe.sheets",),
    ("roe.policy",),
    ("roe.stages",),
    ("roe.data",),
    ("roe.ledger.reconcile", "roe.ledger.holders", "roe.ledger.remembered"),
    ("roe.evaluator",),
    ("roe.ledger",),
    ("roe.columns",),
    ("roe.share",),
    ("roe.sql", "roe.spark"),
    ("roe.run",),
    ("roe.analysis", "roe.scoring", "roe.testing", "roe.cache", "roe.api"),
    ("roe.handbook",),
    ("roe.web",),
    ("roe.lsp",),
    ("roe.serve",),
    ("roe.cli", "roe.__main__"),
)


BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # where a statement has others


def layer(module: str) -> int:
    """The layer with the longest name that the module falls under."""
    known = [(len(name), i) for i, names in enumerate(LAYERS) for name in names if module == name or module.startswith(name + ".")]
    return max(known)[1] if known else -1


@cache
def imports(text: str) -> list[str]:
    """What a module imports of roe, anywhere in it."""
    names = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        waiting += [x for block in BLOCKS for x in getattr(node, block, ())]
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("roe"):
            names += [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names += [a.name for a in node.names if a.name.startswith("roe")]
    return names


@cache
def modules() -> dict[str, str]:
    """The text of every module of roe, by its name."""
    source = ROOT / "src"
    paths = sorted(source.rglob("*.py"))
    return {".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path.read_text("utf-8") for path in paths}


def upward(texts: Mapping[str, str]) -> list[str]:
    """Imports from a layer below, and modules that are in no layer."""
    wrong = [f"{module} is in no layer" for module in texts if module != "roe" and layer(module) < 0]
    for module, text in texts.items():
        if module != "roe":
            wrong += [f"{module} imports {name}" for name in imports(text) if layer(name) > layer(module)]
    return wrong


def mutual(texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Packages that import each other."""
    packages = {name.split(".")[1] for name in texts if name.count(".") > 1}
    pairs = set()
    for module, text in texts.items():
        own = module.split(".")[1:2]
        pairs |= {(own[0], name.split(".")[1]) for name in imports(text) if own and name.count(".") and name.split(".")[1] in packages}
    return {(a, b) for a, b in pairs if a < b and (b, a) in pairs}


def of_stages(texts: Mapping[str, str]) -> list[str]:
    """Imports of stages in the plan, the evaluator or a back end; a worker may build its policy anew."""
    return [
        f"{module} imports {name}"
        for module, text in texts.items()
        if module.split(".")[1:2] and module.split(".")[1] in ("plan", "evaluator", "columns", "share", "sql", "spark")
        for name in imports(text)
        if name.startswith("roe.stages") and not name.startswith("roe.stages.build")
    ]


def test_imports_run_one_way() -> None:
    assert upward(modules()) == []


def test_no_two_packages_import_each_other() -> None:
    assert mutual(modules()) == set()


def test_back_ends_know_no_stage() -> None:
    assert of_stages(modules()) == []


@pytest.mark.parametrize(
    ("module", "text", "guard"),
    [
        ("roe.grammar.check", "from roe.policy.model import Policy", upward),
        ("roe.grammar.check", "def f():\n    import roe.evaluator.world", upward),
        ("roe.data.read", "if TYPE_CHECKING:\n    from roe.evaluator.world import World", upward),
        ("roe.nowhere.new", "", upward),
        ("roe.spark.run", "from roe.sql.statement import compile_sql", mutual),
        ("roe.columns.world", "from roe.stages.books import KEPT", of_stages),
    ],
)
def test_a_planted_import_is_found(module: str, text: str, guard: Callable[[Mapping[str, str]], Sized]) -> None:
    planted = {**modules(), module: text}
    if guard is mutual:
        planted["roe.sql.statement"] = "from roe.spark.run import run"
    assert len(guard(planted)) == 1


def test_public_names() -> None:
    import roe

    expected = "Bound Decision Diagnostic Evaluator Policy PolicyError Run compile evaluate evaluate_table load"
    assert sorted(roe.__all__) == expected.split()
    assert all(getattr(roe, name) is not None for name in roe.__all__)
