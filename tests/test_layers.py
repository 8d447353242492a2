"""Imports run one way, from the tools down to the grammar, and no two packages import each other."""

from __future__ import annotations

import ast
from pathlib import Path

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
    ("roe.ledger.reconcile", "roe.ledger.holders"),
    ("roe.evaluator",),
    ("roe.ledger",),
    ("roe.columns",),
    ("roe.sql", "roe.spark"),
    ("roe.run",),
    ("roe.analysis", "roe.scoring", "roe.testing", "roe.cache", "roe.api"),
    ("roe.handbook",),
    ("roe.web",),
    ("roe.lsp",),
    ("roe.serve",),
    ("roe.cli", "roe.__main__"),
)


def layer(module: str) -> int:
    """The layer with the longest name that the module falls under."""
    found = [(len(name), i) for i, names in enumerate(LAYERS) for name in names if module == name or module.startswith(name + ".")]
    return max(found)[1] if found else -1


def imports(path: Path) -> list[str]:
    out = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("roe"):
            out += [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            out += [a.name for a in node.names if a.name.startswith("roe")]
    return out


def test_imports_run_one_way() -> None:
    source = ROOT / "src"
    wrong = []
    for path in sorted(source.rglob("*.py")):
        module = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        own = layer(module)
        if module == "roe":
            continue
        assert own >= 0, f"{module} is in no layer"
        wrong += [f"{module} imports {name}" for name in imports(path) if layer(name) > own]
    assert not wrong, wrong


def test_no_two_packages_import_each_other() -> None:
    source = ROOT / "src" / "roe"
    pairs = set()
    for path in sorted(source.glob("*/**/*.py")):
        own = path.relative_to(source).parts[0]
        pairs |= {(own, parts[1]) for name in imports(path) if len(parts := name.split(".")) > 1 and (source / parts[1]).is_dir()}
    assert not {(a, b) for a, b in pairs if a < b and (b, a) in pairs}


def test_back_ends_know_no_stage() -> None:
    """Neither the plan nor the evaluator imports a stage; a worker may build its policy anew."""
    for folder in ("plan", "evaluator", "columns", "sql", "spark"):
        for path in (ROOT / "src" / "roe" / folder).glob("*.py"):
            found = [i for i in imports(path) if i.startswith("roe.stages") and not i.startswith("roe.stages.build")]
            assert not found, f"{path.name}: {found}"


def test_public_names() -> None:
    import roe

    expected = "Bound Decision Diagnostic Evaluator Policy PolicyError Run compile evaluate evaluate_table load"
    assert sorted(roe.__all__) == expected.split()
    assert all(getattr(roe, name) is not None for name in roe.__all__)
