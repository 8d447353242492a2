"""Imports run one way: source, grammar, plan and evaluator parts, policy, stages, engine, tools."""

from __future__ import annotations

import ast
from pathlib import Path

from helpers import ROOT

# A module may import modules of its own layer and of those above it in this list.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("roe.source", "roe.diagnostics", "roe.files", "roe.untrusted", "roe.progress"),
    ("roe.crm",),
    ("roe.grammar", "roe.companies"),
    ("roe.evaluator.expressions",),
    ("roe.plan",),
    ("roe.evaluator.choose", "roe.evaluator.observe"),
    ("roe.sheets",),
    ("roe.policy", "roe.policy.model", "roe.policy.standard", "roe.policy.loader", "roe.policy.tables", "roe.policy.format"),
    ("roe.plan.store",),
    ("roe.policy.context",),
    ("roe.stages",),
    ("roe.policy.build",),
    ("roe.data.encoding", "roe.data.scan", "roe.data.numbers", "roe.data.dates", "roe.data.habits", "roe.data.reading"),
    ("roe.data.coerce", "roe.data.shape", "roe.data.spreadsheet", "roe.data.read"),
    ("roe.ledger.reconcile",),
    ("roe.evaluator",),
    ("roe.ledger",),
    ("roe.analysis", "roe.data", "roe.testing", "roe.cache", "roe.api", "roe.columns"),
    ("roe.sql", "roe.spark"),
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


def test_back_ends_know_no_stage() -> None:
    """Neither the plan nor the evaluator imports a stage."""
    for folder in ("plan", "evaluator", "columns", "sql", "spark"):
        for path in (ROOT / "src" / "roe" / folder).glob("*.py"):
            found = [i for i in imports(path) if i.startswith("roe.stages")]
            assert not found, f"{path.name}: {found}"


def test_public_names() -> None:
    import roe

    expected = "Bound Decision Diagnostic Evaluator Policy PolicyError Run compile evaluate evaluate_table load"
    assert sorted(roe.__all__) == expected.split()
    assert all(getattr(roe, name) is not None for name in roe.__all__)
